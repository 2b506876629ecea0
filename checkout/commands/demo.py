"""`checkout demo`: the whole main job on one machine, by itself (``--once``) or with a person who clicks.

It changes nothing outside a temporary directory, except in a database the environment names.
"""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from typing import Any, Final

import click

from checkout.commands.answers import announce, json_option, table
from checkout.commands.demo_stage import DemoFailed, Stage, set_up
from checkout.commands.demo_story import ENDED, Story, Timeline
from checkout.commands.installation import process_environment
from checkout.rules.payments import Status
from checkout.rules.payouts import PayoutState

#: Fast enough to watch, slow enough that a quote outlives the transfer it is used for, on a busy machine too.
SPEED: Final = 20.0
TIMEOUT_S: Final = 120.0
#: Real providers take their own time.
TIMEOUT_OUTSIDE_S: Final = 900.0
WATCH_S: Final = 0.5


@click.command(short_help="One order, from checkout to the bank.")
@click.option("--once", is_flag=True, help="Play it through by itself, without a browser.")
@click.option("--speed", type=click.FloatRange(1, 200), default=SPEED, show_default=True, help="Divides every wait.")
@click.option("--timeout", "timeout_s", type=click.FloatRange(1), help="Seconds for --once. Default: 120.")
@json_option
@click.pass_context
def demo(ctx: click.Context, once: bool, speed: float, timeout_s: float | None, as_json: bool) -> None:
    """One order, from checkout to the bank: shop, both providers and the service on this machine.

    Without --once: buy something in the shop, pay at the mock bank, and watch the money arrive.
    """
    setting = set_up(process_environment(), speed=speed, usual_ports=not once)
    default = TIMEOUT_S if setting.own_providers else TIMEOUT_OUTSIDE_S
    before = signal.signal(signal.SIGTERM, _end)
    timeline = Timeline(lambda line: click.echo(line, err=as_json))
    with Stage(setting, timeout_s=(timeout_s or default) if once else None) as stage:
        story = Story(stage, timeline)
        try:
            code = _once(story, timeline, as_json) if once else _with_a_person(story, timeline, as_json)
        except DemoFailed as failed:
            click.echo(f"checkout: the demo failed: {failed}\n{stage.tails()}".rstrip(), err=True)
            if as_json and once:
                click.echo(json.dumps({"error": str(failed), **_document(timeline)}, indent=2))
            elif as_json:
                click.echo(json.dumps({"error": str(failed)}))
            code = failed.code
        finally:
            story.close()
            signal.signal(signal.SIGTERM, before)
    ctx.exit(code)


def _end(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt  # clears the stage on its way out


def _once(story: Story, timeline: Timeline, as_json: bool) -> int:
    story.open_shop()
    payment_id = story.order()
    payment = story.settled(payment_id)
    record = story.record(story.shop_heard(payment_id))
    payout = story.pay_out()
    balance = story.proof(payment_id, payout["id"])
    credit = payout["credit"]
    document = {
        "payment": {name: payment.get(name) for name in ("id", "status", "anomaly", "amount", "currency", "order")},
        "settlement": {name: record[name] for name in ("id", "received", "asset", "network", "fee")},
        "payout": {"id": payout["id"], "status": payout["state"], "amount": payout["amount"], "asset": payout["asset"],
                   "credit": credit},
        "balanced": balance["balanced"],
        "timeline": timeline.lines,
    }  # fmt: skip
    arrived = payment["status"] == "settled" and payout["state"] == "completed" and credit is not None
    if as_json:
        click.echo(json.dumps(document, indent=2))
    else:
        rows = [(one["account"].partition("/")[2], one["asset"], one["balance"]) for one in balance["accounts"]]
        paid, sent = f"{payment['currency']} {payment['amount']}", f"{payout['amount']} {payout['asset']}"
        took = f"after {timeline.lines[-1]['after_s']:.0f} s"
        click.echo("\n" + table(("account", "asset", "balance"), rows, empty=""))
        click.echo(f"\n{paid} paid → {sent} delivered → {credit['currency']} {credit['amount']} in the bank, {took}.")
    return 0 if arrived and balance["balanced"] else 1


def _document(timeline: Timeline) -> dict[str, Any]:
    """What is known of a story that broke off."""

    steps = [line["step"] for line in timeline.lines]
    paid = [status.value for status in Status if f"payment.{status.value}" in steps]
    moved = [state.value for state in PayoutState if f"payout.{state.value}" in steps]
    return {
        "payment": {"status": paid[-1] if paid else None},
        "payout": {"status": moved[-1] if moved else None},
        "balanced": None,
        "timeline": timeline.lines,
    }


def _with_a_person(story: Story, timeline: Timeline, as_json: bool) -> int:
    story.open_shop()
    announce(
        as_json,
        {"shop": story.shop_url, "service": story.service_url, "store": story.store},
        f"\nOpen the demo shop in a browser and buy something:\n\n    {story.shop_url}/\n\n"
        "Its basket has three ways to pay, each with the code it needs: on the payment page (a redirect),\n"
        "inside the shop (the widget), and as a returning customer (buy again in one click).\n\n"
        "What happens is told here as it happens. Ctrl-C ends the demo.\n",
    )
    try:
        _watch(story, timeline.note)
    except KeyboardInterrupt:
        click.echo("\nThe demo is over; nothing stays behind.", err=True)
    return 0


def _watch(story: Story, note: Callable[[str, str], None]) -> None:
    """Tell every change of every payment; take each settled one to the bank."""
    told: dict[str, str] = {}
    done: set[str] = set()
    while True:
        for payment in reversed(story.payments()):
            ident, status = payment["id"], payment["status"]
            if told.get(ident) != status:
                told[ident] = status
                amount = f"{payment['currency']} {payment['amount']}"
                note(f"payment.{status}", f"order {payment['order']}, {amount}: the payment is {status}")
            if status in ENDED or status != "settled" or ident in done:
                continue
            done.add(ident)
            _to_the_bank(story, payment, note)
        story.wait(WATCH_S)


def _to_the_bank(story: Story, payment: dict[str, Any], note: Callable[[str, str], None]) -> None:
    try:
        story.record(story.shop_heard(payment["id"]))
        payout = story.pay_out()
        story.proof(payment["id"], payout["id"])
    except DemoFailed as failed:
        note("trouble", f"this one does not reach the bank by itself: {failed}")
