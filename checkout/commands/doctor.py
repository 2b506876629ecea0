"""`checkout doctor`: what is wrong with this installation, and what to do. Reads only; changes nothing."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Final

import click
import httpx

from checkout.api_keys import ended
from checkout.app import Services, build
from checkout.commands.answers import answer, json_option, table
from checkout.commands.init import SIGNING_FILE
from checkout.commands.installation import DOTENV, environment, require_current, settings_of
from checkout.commands.keys import key_checks
from checkout.config import Mode, Settings
from checkout.errors import CheckoutError, KeyRefused, SettingsRefused
from checkout.rules.money import CURRENCY_EXPONENTS
from checkout.rules.urls import read_url
from checkout.store import endpoints, moves, payments, payouts, stores
from checkout.store.tables import event, payment, payout, session
from checkout.store.work import next_due

OK: Final = "ok"
WARN: Final = "warn"
FAIL: Final = "fail"

#: Work that is due for longer than this says that no worker is at it.
WORK_LATE: Final = timedelta(seconds=60)
#: Stable Mint's tolerance of our clock is UNKNOWN (providers.md A1: assume minutes); svix allows five.
CLOCK_WARN_S: Final = 30
CLOCK_FAIL_S: Final = 240
ANSWER_TIMEOUT_S: Final = 3.0
#: A key that nobody has used for this long is one that nobody would miss, until a thief does.
KEY_IDLE: Final = timedelta(days=90)


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the diagnosis."""

    check: str
    state: str  #: ok, warn or fail
    detail: str
    do: str = ""


@click.command(short_help="What is wrong here, and what to do.")
@json_option
@click.pass_context
def doctor(ctx: click.Context, as_json: bool) -> None:
    """Say what is wrong here and what to do; exit code 1 when something fails."""
    found = list(_examine())
    counts = {state: sum(one.state == state for one in found) for state in (OK, WARN, FAIL)}
    document = {
        "healthy": counts[FAIL] == 0,
        "counts": counts,
        "findings": [{"check": one.check, "state": one.state, "detail": one.detail, "do": one.do} for one in found],
    }
    rows = [(one.state, one.check, one.detail) for one in found]
    todo = [f"  {one.check}: {one.do}" for one in found if one.do and one.state != OK]
    verdict = "Nothing is wrong." if not counts[FAIL] and not counts[WARN] else "What to do:\n" + "\n".join(todo)
    answer(as_json, document, table(("", "check", "found"), rows, empty=""), verdict)
    if counts[FAIL]:
        ctx.exit(1)


def _examine() -> Iterator[Finding]:
    """Everything that can be looked at; what stands on something broken is left out."""
    yield from _files()
    try:
        environ = environment()
        settings = settings_of(environ)
    except SettingsRefused as refused:
        for name, reason in refused.problems:
            yield Finding(f"setting {name}", FAIL, reason, f"correct {name} in the environment or in .env")
        return
    yield Finding("settings", OK, f"complete, for {settings.mode.value}")
    for one in key_checks(environ):
        yield Finding(
            f"keys: {one['check']}",
            OK if one["ok"] else FAIL,
            one["detail"],
            "" if one["ok"] else "`checkout keys check`",
        )
    yield from _places(settings)
    yield from _far_side(settings)
    services = build(settings)
    try:
        yield from _inside(services)
    except CheckoutError as problem:
        yield Finding("database", FAIL, str(problem), "`checkout migrate`, or correct CHECKOUT_DATABASE_URL")
    finally:
        services.close()


def _inside(services: Services) -> Iterator[Finding]:
    """What the database tells."""
    database = services.context.database
    require_current(database)
    yield Finding("database", OK, f"{database.url.get_backend_name()}, reachable, newest schema")
    for check in (_data_key, _people, _stores, _api_keys, _money, _work):
        yield from check(services)


def _files() -> Iterator[Finding]:
    for path in (DOTENV, SIGNING_FILE):
        if path.exists() and stat.S_IMODE(path.stat().st_mode) & 0o077:
            yield Finding(str(path), WARN, "others on this machine may read it", f"chmod 600 {path}")


def _places(settings: Settings) -> Iterator[Finding]:
    """Whether the addresses fit each other: simulator and real providers, public and local."""
    urls = {"Stable Mint": settings.stable_mint.api_url, "Stables": settings.stables.api_url}
    simulated = {name for name, url in urls.items() if _is_local(url)}
    if len(simulated) == 1:
        only = simulated.pop()
        yield Finding(
            "providers", WARN, f"{only} is simulated, the other provider is real", "use both simulators, or none"
        )
    elif simulated:
        yield Finding("providers", OK, "both are simulated on this machine")
    else:
        yield Finding("providers", OK, f"the real {settings.mode.value} of both")
    public = settings.public_url
    if _is_local(public) and len(simulated) < len(urls):
        detail = f"{public} is this machine: no provider can send a webhook there"
        yield Finding("CHECKOUT_PUBLIC_URL", WARN, detail, "use an address the internet reaches, for example a tunnel")
    elif not public.startswith("https://") and not _is_local(public):
        yield Finding("CHECKOUT_PUBLIC_URL", WARN, "is plain http: shoppers' links can be read on the way", "use https")
    else:
        yield Finding("CHECKOUT_PUBLIC_URL", OK, public)
    if settings.mode is Mode.SANDBOX and settings.speed != 1:
        yield Finding("CHECKOUT_SPEED", OK, f"every wait is divided by {settings.speed:g}")


def _is_local(text: str) -> bool:
    url = read_url(text)
    return url is not None and url.loopback


def _far_side(settings: Settings) -> Iterator[Finding]:
    """Who answers, and whether their clocks agree with ours."""
    sides = {"Stable Mint": settings.stable_mint.api_url, "Stables": settings.stables.api_url,
             "this service": settings.public_url + "/healthz"}  # fmt: skip
    for name, url in sides.items():
        try:
            response = httpx.get(url, timeout=ANSWER_TIMEOUT_S, trust_env=False)
        except (httpx.HTTPError, httpx.InvalidURL) as problem:
            do = (
                "`checkout serve`"
                if name == "this service"
                else "`checkout simulator`"
                if _is_local(url)
                else "check the network"
            )
            yield Finding(name, WARN, f"does not answer at {url} ({type(problem).__name__})", do)
            continue
        yield _clock(name, response)


def _clock(name: str, response: httpx.Response) -> Finding:
    try:
        theirs = parsedate_to_datetime(response.headers["date"])
    except (KeyError, ValueError):
        return Finding(name, OK, "answers")
    apart = abs((datetime.now(UTC) - theirs.replace(tzinfo=theirs.tzinfo or UTC)).total_seconds())
    state = FAIL if apart > CLOCK_FAIL_S else WARN if apart > CLOCK_WARN_S else OK
    said = f"answers; its clock and ours are {apart:.0f} s apart" if state != OK else "answers, clocks agree"
    return Finding(
        name, state, said, "" if state == OK else "set this machine's clock (NTP): signatures carry the time"
    )


def _data_key(services: Services) -> Iterator[Finding]:
    """Whether today's keys open what is stored: a lost data key is noticed here, not when a payout needs it."""
    with services.context.database.read() as unit:
        newest = payments.page_of_payments(unit, None, limit=1, after=None, filters={})
    for one in newest:
        try:
            services.context.sealer.open_text(one.pay_token_sealed)
        except KeyRefused as problem:
            yield Finding(
                "CHECKOUT_DATA_KEY", FAIL, str(problem), "put the earlier key behind the new one, with a comma"
            )
            return
    yield Finding("CHECKOUT_DATA_KEY", OK, "opens what is stored" if newest else "nothing is sealed with it yet")


def _people(services: Services) -> Iterator[Finding]:
    nobody = services.people.nobody_yet()
    if nobody and services.settings.mode is Mode.LIVE:
        yield Finding(
            "people", WARN, "nobody has a name here, so nobody can act", "`checkout people add NAME`, twice or more"
        )
    elif nobody:
        yield Finding("people", OK, "only demo, which live mode does not know")


def _stores(services: Services) -> Iterator[Finding]:
    found = services.stores.all()
    if not found:
        yield Finding("stores", WARN, "there is none", "`checkout stores create NAME --origin URL`")
    for one in found:
        with services.context.database.read() as unit:
            rules = any(stores.rule_for(unit, one.id, currency) for currency in CURRENCY_EXPONENTS)
            accounts = payouts.payout_accounts(unit, one.id)
            paused = stores.why_paused(unit, one.id)
            told = endpoints.endpoints_of(unit, one.id)
        missing: list[tuple[str, str]] = []
        if not told:
            missing.append(("no notification endpoint", f"`checkout stores set {one.id} --notify-url URL`"))
        for endpoint in told:
            if endpoint.state != endpoints.ACTIVE:
                why = f"endpoint {endpoint.id} is disabled ({endpoint.disabled_because})"
                missing.append((why, f"`checkout notifications enable {endpoint.id}`"))
        if not all((one.success_url, one.exit_url, one.error_url, one.support_url)):
            missing.append(("not every return URL", f"`checkout stores set {one.id} --success-url URL …`"))
        if not rules:
            missing.append(("no settlement rule", f"`checkout stores rule {one.id} …`"))
        if not accounts:
            missing.append(("no payout account", f"`checkout accounts add {one.id} --file FILE`"))
        if paused is not None:
            missing.append((paused, f"`checkout stores resume {one.id}`, when its reason is gone"))
        detail, do = "; ".join(what for what, _ in missing), "; ".join(how for _, how in missing)
        yield Finding(f"store {one.name}", WARN if missing else OK, detail or "complete", do)


def _api_keys(services: Services) -> Iterator[Finding]:
    """Keys that nobody seems to need, and stores that are about to be without one."""
    now = services.context.clock()
    for one in services.stores.all():
        keys = [key for key in services.api_keys.of_store(one.id) if not ended(key, now)]
        for key in keys:
            if (key.last_used_at or key.created_at) < now - KEY_IDLE:
                detail = f"{key.id} ({key.label or key.hint}) was not used for {KEY_IDLE.days} days"
                yield Finding(f"API keys of {one.name}", WARN, detail, f"`checkout stores revoke {key.id}`")
        if all(key.revoked_at is not None for key in keys):
            ends = max((key.revoked_at for key in keys if key.revoked_at is not None), default=None)
            detail = "there is none" if ends is None else f"the last one ends at {ends:%Y-%m-%d %H:%M}Z"
            yield Finding(f"API keys of {one.name}", WARN, detail, f"`checkout stores key {one.id}`")


def _money(services: Services) -> Iterator[Finding]:
    balance: dict[str, Any] = services.report.balance()
    if balance["balanced"]:
        yield Finding("ledger", OK, "balances")
    else:
        detail = "; ".join(balance["problems"][:3])
        yield Finding(
            "ledger", FAIL, detail, "`checkout report balance`; pause payouts: `checkout stores pause all --reason …`"
        )
    with services.context.database.read() as unit:
        waiting = moves.count_open_cases(unit)
    if waiting:
        yield Finding("cases", WARN, f"{waiting} wait for a person", "`checkout cases list`")
    else:
        yield Finding("cases", OK, "none waits")


def _work(services: Services) -> Iterator[Finding]:
    """A worker shows by its work: what has been due for a minute has nobody at it."""
    now = services.context.clock()
    with services.context.database.read() as unit:
        due = {kind.name: next_due(unit, kind, now=now) for kind in (event, session, payout, payment)}
        due["notification"] = next((one.due_at for one in endpoints.due_endpoints(unit, now=now)), None)
    behind = [name for name, at in due.items() if at is not None and at < now - WORK_LATE]
    if behind:
        detail = f"due for over {int(WORK_LATE.total_seconds())} s and nobody at it: {', '.join(behind)}"
        yield Finding("worker", FAIL, detail, "`checkout serve` or `checkout worker`; if one runs, read its log")
    else:
        yield Finding("worker", OK, "no work is late")
