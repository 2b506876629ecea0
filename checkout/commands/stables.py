"""`checkout stables`: the merchant's own standing at Stables, the link on which it proves itself, and the webhooks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final, TextIO

import click

from checkout.commands.answers import answer, facts, json_option, moment, table, text, who_option
from checkout.commands.installation import opened, proven
from checkout.commands.json_files import read_json
from checkout.enrolling.onboarding import LINK_LIFE

MINUTES: Final = int(LINK_LIFE.total_seconds()) // 60
DELIVERY_HEADS: Final = ("delivery", "status", "attempts", "answered", "first tried", "next try", "means")


@click.group(short_help="The merchant at Stables: set up, status, verification link, webhooks.")
def stables() -> None:
    """The Stables customer in whose name payouts are made. Documents are given on Stables' own page, never here."""


@stables.command()
@click.option("--file", "file", type=click.File(encoding="utf-8"), help="Who the merchant is, as JSON; - is stdin.")
@click.option(
    "--external-id", metavar="ID", help="Our name for the customer at Stables; default: this installation's id."
)
@who_option
@json_option
def setup(file: TextIO | None, external_id: str | None, claimed: str | None, as_json: bool) -> None:
    """Find the merchant's customer at Stables, or make it; then tell where it stands. Running it again is harmless.

    The file holds one JSON object in the provider's names. A business: customer_type "business", email, company_name,
    country, and whatever else is known (registration_number, legal_address, …). A person: customer_type "individual", email,
    first_name, last_name. No documents: they are given on the page the verification link leads to.
    """
    content = None if file is None else read_json(file)
    with opened() as services:
        done = services.onboarding.setup(content, external_id=external_id, who=proven(services, claimed))
    words = {
        "made": "Stables has a new customer.",
        "found": "Stables had this customer; it is known here now.",
        "known": "This customer was set up before.",
    }
    link = done["verification_link"]
    shown_once = "" if link is None else f"The merchant proves who it is here, within a day (shown once):\n{link}"
    answer(as_json, done, words[done["outcome"]], _merchant(done), shown_once, _warned(done["warnings"]))


@stables.command()
@click.argument("which", metavar="[CUSTOMER]", required=False)
@json_option
def status(which: str | None, as_json: bool) -> None:
    """Where the merchant stands, asked just now: levels, entitlements, what is missing, and what to do.

    CUSTOMER is our id, the external id or Stables' own; without it every merchant known here is shown.
    """
    with opened() as services:
        found = services.onboarding.status(which)
    merchants = [_merchant(one) for one in found["merchants"]]
    nothing = "" if merchants else "No merchant is set up yet; next: `checkout stables setup --file FILE`."
    answer(as_json, found, nothing, *merchants, _warned(found["warnings"]))


@stables.command()
@click.argument("which", metavar="[CUSTOMER]", required=False)
@click.option("--minutes", type=int, default=MINUTES, show_default=True, help="How long the link works.")
@who_option
@json_option
def link(which: str | None, minutes: int, claimed: str | None, as_json: bool) -> None:
    """Make a fresh verification link: where the merchant gives its documents to Stables.

    Whoever has it can act as the merchant. Coming back from it proves nothing: `checkout stables status` does.
    """
    with opened() as services:
        who = proven(services, claimed)
        made = services.onboarding.link(which, life=timedelta(minutes=minutes), who=who)
    answer(
        as_json,
        made,
        f"Until {moment(made['valid_until'])}, shown once:\n{made['verification_link']}",
        "Afterwards: `checkout stables status`.",
    )


@stables.command()
@click.option("--subscribe", is_flag=True, help="Subscribe this service's endpoint, unless it is.")
@click.option("--deliveries", type=click.IntRange(0, 50), default=10, show_default=True, help="How many of the newest.")
@who_option
@json_option
def webhooks(subscribe: bool, deliveries: int, claimed: str | None, as_json: bool) -> None:
    """Whether Stables sends its webhooks here, whether they fit the settings, and what became of the newest."""
    with opened() as services:
        made = None
        if subscribe:
            made = services.subscriptions.subscribe(who=proven(services, claimed))
        found = services.subscriptions.look(deliveries=deliveries)
    done = {
        "made": "Subscribed.",
        "known": "Subscribed already.",
        "found": "Subscribed; the answer was lost, it is there.",
    }
    subscribed = [
        (one["id"], "here" if one["ours"] else "elsewhere", one["active"], ", ".join(one["events"]), one["url"])
        for one in found["subscriptions"]
    ]
    log = [
        (
            one["id"], one["status"], text(one["attempts"]), text(one["answered"]), text(one["created_at"]),
            text(one["next_try_at"]), one["means"],
        )
        for one in found["deliveries"]
    ]  # fmt: skip
    answer(
        as_json,
        {**found, "subscribed": made},
        "" if made is None else done[made["outcome"]],
        facts(
            [("endpoint", found["endpoint"]), ("scheme", f"{found['scheme']} (managed by the {found['managed_by']})")]
        ),
        table(("subscription", "leads", "active", "events", "url"), subscribed, empty="No API-managed subscription."),
        _warned(found["problems"]),
        "" if deliveries == 0 else found["deliveries_note"] or table(DELIVERY_HEADS, log, empty="No delivery yet."),
    )


def _merchant(one: Mapping[str, Any]) -> str:
    """One merchant for a person: who, whether it may be paid, each level and entitlement in words, the next step."""
    head = facts(
        [
            ("customer", one["stables_customer_id"]), ("external id", one["external_customer_id"]), ("name", one["name"]),
            ("type", one["type"]), ("payouts", "may be made" if one["payouts"] else "may NOT be made yet"),
        ]
    )  # fmt: skip
    lines = [f"- {each['is']}: {each['status']} ({each['means']})" for each in (*one["levels"], *one["entitlements"])]
    reasons = [f"    {reason['means']} [{reason['code']}]" for each in one["levels"] for reason in each["reasons"]]
    steps = [f"Next: {step}" for step in one["next"]]
    return "\n".join([head, *map(text, lines), *map(text, reasons), *steps])


def _warned(warnings: Sequence[str]) -> str:
    return "\n".join(f"Note: {text(one)}" for one in warnings)
