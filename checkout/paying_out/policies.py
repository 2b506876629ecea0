"""Payout policies: when a store's free treasury is proposed by itself, and how far a policy may approve what it proposed.

One policy per store, asset and network. It is a row that is due: any worker runs it, under its lease and the treasury's
lock, so that two propose once. A person's own proposals are not bound by it, but the number of people who must approve is.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from checkout.context import Context
from checkout.errors import AmountRefused, LostRace, NotFound, NotPossible, RequestRefused
from checkout.paying_out.mandates import by_policy
from checkout.paying_out.proposing import propose_in, sources_of, why_unusable
from checkout.rules.money import Money, parse_amount
from checkout.rules.policies import SCHEDULED, WEEKDAYS, Choice, Kind, Source, choose, next_run
from checkout.rules.work import MANDATE_LIFE, MANDATE_LIFE_MAX, POLICY_LOOK, POLL_SLOW
from checkout.store import payouts, policies, stores
from checkout.store.engine import Taken, Unit
from checkout.store.moves import close_by_proof, record_act, reopen_case
from checkout.store.records import PayoutAccountRow, PolicyRow
from checkout.store.tables import payout_policy
from checkout.store.work import release
from checkout.treasury import free_balance

#: Payouts that one run proposes at most; what is left follows at once.
BATCHES_MAX: Final = 20
REASON_MAX: Final = 500


@dataclass(frozen=True, slots=True)
class PolicyRequest:
    """A policy as a person writes it; the whole of it, what is None is not set."""

    kind: str
    account: str | None = None  #: id or name of the payout account, if there are several
    threshold: str | None = None
    minimum: str | None = None
    maximum: str | None = None
    time_zone: str | None = None
    at: str | None = None  #: HH:MM
    weekday: str | None = None
    approve_below: str | None = None
    two_people_from: str | None = None
    mandate_hours: str | None = None


class Policies:
    """The operator's verbs, and the worker's step."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def set(self, store_name: str, wanted: PolicyRequest, *, who: str) -> dict[str, Any]:
        """Set the policy of a payout account's asset and network, whole. RequestRefused with every bad field."""
        context = self._context
        now = context.clock()
        with context.database.write() as unit:
            store = stores.find_store(unit, store_name)
            if store is None:
                raise NotFound("store", store_name)
            account = account_of(unit, store.id, wanted.account)
            values = _read(wanted, account.asset)
            found = policies.policy_for(unit, store.id, account.asset, account.network)
            before = None if found is None else policies.policy_by_id(unit, found.id, lock=True)
            values |= {
                "account": account.name, "updated_at": now, "updated_by": who,
                "due_at": _first_run(Kind(wanted.kind), values, now),
            }  # fmt: skip
            ident = context.new_id("pol") if before is None else before.id
            try:
                if before is None:
                    fixed = {"id": ident, "store_id": store.id, "asset": account.asset, "network": account.network}
                    policies.insert_policy(unit, {**fixed, **values, "created_at": now, "created_by": who})
                else:
                    policies.update_policy(unit, ident, **values)
            except Taken:  # pragma: no cover - two people set the first one in the same moment
                raise NotPossible("a policy was set by somebody else just now; look at it first") from None
            told = {name: value for name, value in values.items() if not isinstance(value, datetime)}
            record_act(
                unit, context.new_id("act"), who=who, action="payout policy set", subject=ident, detail=told, at=now
            )
        return self.show(ident)

    def pause(self, ident: str, *, reason: str, who: str) -> dict[str, Any]:
        """The policy neither proposes nor approves until it is resumed; what it approved and is not sent waits."""
        reason = reason.strip()
        if not 1 <= len(reason) <= REASON_MAX:
            raise RequestRefused({"reason": f"say in 1 to {REASON_MAX} characters why"})
        return self._set_pause(ident, reason, "payout policy paused", who)

    def resume(self, ident: str, *, who: str) -> dict[str, Any]:
        """It goes on; a run that was missed meanwhile takes place once, now."""
        return self._set_pause(ident, None, "payout policy resumed", who)

    def _set_pause(self, ident: str, reason: str | None, action: str, who: str) -> dict[str, Any]:
        context = self._context
        now = context.clock()
        with context.database.write() as unit:
            row = policies.policy_by_id(unit, ident, lock=True)
            if row is None:
                raise NotFound("payout policy", ident)
            if reason is None and row.due_at is not None:
                policies.update_policy(unit, ident, due_at=min(row.due_at, _next(row, now, missed=True)))
            policies.update_policy(unit, ident, paused_because=reason, updated_at=now, updated_by=who)
            record_act(
                unit, context.new_id("act"), who=who, action=action, subject=ident, detail={"reason": reason}, at=now
            )
        return self.show(ident)

    def show(self, ident: str) -> dict[str, Any]:
        """A policy in words a person can read."""
        with self._context.database.read() as unit:
            row = policies.policy_by_id(unit, ident)
        if row is None:
            raise NotFound("payout policy", ident)
        return _shown(row)

    def list(self, store_name: str | None) -> list[dict[str, Any]]:
        """Every policy, or a store's."""
        with self._context.database.read() as unit:
            store = None if store_name is None else stores.find_store(unit, store_name)
            if store_name is not None and store is None:
                raise NotFound("store", store_name)
            return [_shown(one) for one in policies.list_policies(unit, None if store is None else store.id)]

    # --- the worker's part -----------------------------------------------------------------------------------------

    def step(self, ident: str, token: str) -> None:
        """Run a policy that is due: propose what it says, and say when it is due again. One transaction."""
        context = self._context
        now = context.clock()
        with context.database.write() as unit:
            row = policies.policy_by_id(unit, ident, lock=True)
            if row is None or row.lease_token != token:
                raise LostRace(f"the lease on policy {ident} was lost")
            account = _account_named(unit, row)
            why = (
                stores.why_paused(unit, row.store_id)
                or row.paused_because
                or _unfit(account, row)
                or (None if account is None else why_unusable(account, now))
            )
            if why is not None or account is None:
                self._wait(unit, row, token, account, why or "", now)
                return
            sources = sources_of(unit, row.store_id, row.asset, row.network)
            free = free_balance(unit, row.store_id, row.asset, row.network)
            choice = choose(
                Kind(row.kind), _within(sources, free), threshold=row.threshold_minor, minimum=row.minimum_minor,
                maximum=row.maximum_minor,
            )  # fmt: skip
            for batch in choice.batches[:BATCHES_MAX]:
                propose_in(
                    unit, context, account, batch, free=free, who=by_policy(row.id), now=now, policy_id=row.id
                )  # fmt: skip
                free -= sum(minor for _, minor in batch)
            self._report_too_large(unit, row, choice, now)
            more = len(choice.batches) > BATCHES_MAX
            release(
                unit, payout_policy, ident, token, due_at=now if more else self._due_again(row, now), last_run_at=now
            )  # fmt: skip

    def _wait(
        self, unit: Unit, row: PolicyRow, token: str, account: PayoutAccountRow | None, why: str, now: datetime
    ) -> None:
        """Nothing is proposed now; the run stays due, so that none is missed by a pause."""
        if _unfit(account, row) is not None:
            reopen_case(
                unit, self._context.new_id("case"), kind="policy_stuck", subject=row.id, detail=why, at=now
            )  # fmt: skip
        wait = self._context.scaled(POLL_SLOW)
        release(unit, payout_policy, row.id, token, due_at=now + wait, attempts=row.attempts + 1)

    def _report_too_large(self, unit: Unit, row: PolicyRow, choice: Choice, now: datetime) -> None:
        if not choice.too_large:
            close_by_proof(unit, kind="payout_over_maximum", subject=row.id, note="nothing waits any more", at=now)
            return
        named = ", ".join(f"{source} ({Money(minor, row.asset).plain()})" for source, minor in choice.too_large[:10])
        reopen_case(
            unit, self._context.new_id("case"), kind="payout_over_maximum", subject=row.id, at=now,
            detail=f"larger than the policy's maximum, and none is divided: {named}",
        )  # fmt: skip

    def _due_again(self, row: PolicyRow, now: datetime) -> datetime | None:
        if row.kind == Kind.MANUAL:
            return None
        if Kind(row.kind) not in SCHEDULED:
            return now + self._context.scaled(POLICY_LOOK)
        return _next(row, now)


def account_of(unit: Unit, store_id: str, wanted: str | None) -> PayoutAccountRow:
    """The store's payout account by id or name, or its only one; NotPossible when that is not one account."""
    accounts = payouts.payout_accounts(unit, store_id)
    if wanted is not None:
        accounts = [one for one in accounts if wanted in (one.id, one.name)]
    if not accounts:
        raise NotPossible("the store has no such payout account; add one with `checkout accounts add`")
    if len(accounts) > 1:
        names = ", ".join(one.name for one in accounts)
        raise NotPossible(f"the store has several payout accounts ({names}); choose one with --account")
    return accounts[0]


def _account_named(unit: Unit, row: PolicyRow) -> PayoutAccountRow | None:
    accounts = payouts.payout_accounts(unit, row.store_id)
    return next((one for one in accounts if one.name == row.account), None)


def _unfit(account: PayoutAccountRow | None, row: PolicyRow) -> str | None:
    if account is None:
        return f"there is no payout account {row.account!r} any more"
    if (account.asset, account.network) != (row.asset, row.network):
        return f"payout account {row.account} takes {account.asset} on {account.network} now; set the policy again"
    return None


def _within(sources: list[Source], free: int) -> list[Source]:
    """The oldest sources that free treasury covers."""
    covered: list[Source] = []
    for one in sources:
        if one[1] <= free:
            covered.append(one)
            free -= one[1]
    return covered


def _first_run(kind: Kind, values: dict[str, Any], now: datetime) -> datetime | None:
    if kind is Kind.MANUAL:
        return None
    if kind not in SCHEDULED:
        return now
    return next_run(ZoneInfo(values["time_zone"]), values["at_minute"], values["weekday"], after=now)


def _next(row: PolicyRow, now: datetime, *, missed: bool = False) -> datetime:
    """When a policy is due after now; ``missed``: a scheduled moment since its last run counts as well."""
    if Kind(row.kind) not in SCHEDULED or row.time_zone is None or row.at_minute is None:
        return now
    after = max(row.last_run_at or row.updated_at, now - timedelta(days=8)) if missed else now
    return next_run(ZoneInfo(row.time_zone), row.at_minute, row.weekday, after=after)


def _read(wanted: PolicyRequest, asset: str) -> dict[str, Any]:
    """The columns a policy's text makes; RequestRefused with every bad field."""
    problems: dict[str, str] = {}
    if wanted.kind not in list(Kind):
        raise RequestRefused({"kind": f"must be one of {', '.join(Kind)}"})
    kind = Kind(wanted.kind)
    values: dict[str, Any] = {"kind": kind.value}
    for name in ("threshold", "minimum", "maximum", "approve_below", "two_people_from"):
        values[f"{name}_minor"] = _amount(getattr(wanted, name), asset, name, problems)
    if (kind is Kind.THRESHOLD) != (wanted.threshold is not None):
        problems["threshold"] = "is for the kind threshold, which needs it"
    low, high = values["minimum_minor"], values["maximum_minor"]
    if low is not None and high is not None and low > high:
        problems["minimum"] = "is more than the maximum"
    values |= _schedule(kind, wanted, problems)
    values["mandate_life_s"] = _life(wanted.mandate_hours, problems)
    if problems:
        raise RequestRefused(problems)
    return values


def _amount(text: str | None, asset: str, name: str, problems: dict[str, str]) -> int | None:
    if text is None:
        return None
    try:
        return parse_amount(text, asset, positive=name not in ("two_people_from", "approve_below")).minor
    except AmountRefused as problem:
        problems[name] = str(problem)
        return None


def _schedule(kind: Kind, wanted: PolicyRequest, problems: dict[str, str]) -> dict[str, Any]:
    values: dict[str, Any] = {"time_zone": None, "at_minute": None, "weekday": None}
    needed = {"time_zone": kind in SCHEDULED, "at": kind in SCHEDULED, "weekday": kind is Kind.WEEKLY}
    for name, needs in needed.items():
        if needs != (getattr(wanted, name) is not None):
            problems[name] = f"is needed for {kind}" if needs else f"has no meaning for {kind}"
    if wanted.time_zone is not None:
        try:
            values["time_zone"] = ZoneInfo(wanted.time_zone).key
        except (KeyError, ValueError, OSError):
            problems["time_zone"] = "write an IANA time zone, for example Europe/Berlin"
    if wanted.at is not None:
        hours, _, minutes = wanted.at.partition(":")
        digits = hours.isascii() and hours.isdigit() and minutes.isascii() and minutes.isdigit() and len(minutes) == 2
        if not digits or int(hours) > 23 or int(minutes) > 59:
            problems["at"] = "write the time of day as HH:MM, for example 18:00"
        else:
            values["at_minute"] = int(hours) * 60 + int(minutes)
    if wanted.weekday is not None:
        if wanted.weekday.lower() in WEEKDAYS:
            values["weekday"] = WEEKDAYS.index(wanted.weekday.lower())
        else:
            problems["weekday"] = f"must be one of {', '.join(WEEKDAYS)}"
    return values


def _life(hours: str | None, problems: dict[str, str]) -> int:
    if hours is None:
        return int(MANDATE_LIFE.total_seconds())
    longest = int(MANDATE_LIFE_MAX.total_seconds()) // 3600
    if not (hours.isascii() and hours.isdigit() and 1 <= int(hours) <= longest):
        problems["mandate_hours"] = f"write whole hours, 1 to {longest}"
        return 0
    return int(hours) * 3600


def _shown(row: PolicyRow) -> dict[str, Any]:
    def plain(minor: int | None) -> str | None:
        return None if minor is None else Money(minor, row.asset).plain()

    at = row.at_minute
    return {
        "id": row.id, "store": row.store_id, "asset": row.asset, "network": row.network, "account": row.account,
        "kind": row.kind, "threshold": plain(row.threshold_minor), "minimum": plain(row.minimum_minor),
        "maximum": plain(row.maximum_minor), "time_zone": row.time_zone,
        "at": None if at is None else f"{at // 60:02}:{at % 60:02}",
        "weekday": None if row.weekday is None else WEEKDAYS[row.weekday],
        "approve_below": plain(row.approve_below_minor), "two_people_from": plain(row.two_people_from_minor),
        "mandate_hours": row.mandate_life_s // 3600, "paused": row.paused_because,
        "next_run": row.due_at, "last_run": row.last_run_at, "set_by": row.updated_by, "set_at": row.updated_at,
    }  # fmt: skip
