"""What must hold once everything has come to rest, whatever was killed: counted at the simulator, compared with our rows."""

from __future__ import annotations

import hashlib
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import Table, func, or_, select

from checkout.inbox import read_body
from checkout.rules.payouts import FINAL
from checkout.rules.refunds import ENDED
from checkout.store import ledger, tables
from tests.acceptance import books
from tests.acceptance.storefront import Order
from tests.acceptance.world import World

#: Work that is due later than this is a clock's, not something on its way.
SOON: Final = timedelta(seconds=60)
REST_S: Final = 120.0
WORK: Final = (
    tables.event, tables.session, tables.payout, tables.payout_policy, tables.refund, tables.notification_delivery,
    tables.payment,
)  # fmt: skip
#: Cases that kills and the providers' weather may rightly leave open: they say that a person has to look.
RIGHTFUL_CASES: Final = frozenset(
    {"exposed_transfer_ended", "payout_needs_approval", "session_not_opened", "refund_declined"}
)
#: How a transfer can end that had funds and whose payout did not complete.
BAD_ENDS: Final = ("expired", "failed")


class Checks:
    """Reads both sides once, after rest, and yields every disagreement as a sentence."""

    def __init__(self, world: World, orders: list[Order], forgotten: Sequence[str] = ()) -> None:
        self._world = world
        self._orders = orders
        self._forgotten = forgotten  #: attempts at transfers that Stables made and whose keys it forgot before we knew
        self._sealer = world.services.context.sealer

    # --- rest --------------------------------------------------------------------------------------------------------

    def wait_for_rest(self) -> float:
        """Let everything run until nothing moves any more; how long it took. AssertionError when it never rests."""
        begun = time.monotonic()
        moving: list[str] = []
        while time.monotonic() - begun < REST_S:
            moving = list(self._moving())
            if not moving:
                time.sleep(0.3)  # twice, a moment apart: something may just have passed from one to the other
                if not list(self._moving()):
                    return time.monotonic() - begun
            time.sleep(0.2)
        raise AssertionError("never at rest:\n  " + "\n  ".join(moving[:30]) + "\n" + self._world.tails())

    def _moving(self) -> Iterator[str]:
        now = datetime.now(UTC)
        for who in ("stable_mint", "stables"):
            state = self._world.ask(who, "state")
            waiting = state.get("delivery_counts", state.get("deliveries"))["waiting"]
            if waiting:
                yield f"{waiting} webhooks of {who} are on their way"
        with self._world.services.context.database.read() as unit:
            for table in WORK:
                soon = or_(table.c.due_at <= now + SOON, table.c.lease_until > now)
                for row in unit.execute(select(table.c.id, table.c.due_at, table.c.lease_until).where(soon).limit(5)):
                    yield f"{table.name} {row.id} is due at {row.due_at}, leased until {row.lease_until}"

    # --- everything ----------------------------------------------------------------------------------------------------

    def run(self) -> Counter[str]:
        """Check everything; what was counted. AssertionError with every disagreement at once."""
        problems = [problem for check in self._all() for problem in check()]
        assert not problems, "after rest:\n  " + "\n  ".join(problems[:60]) + "\n" + self._world.tails()
        return self._counts()

    def _all(self) -> tuple[Callable[[], Iterator[str]], ...]:
        return (
            self._transfers_are_funded_once, self._forgotten_keys_made_no_second_transfer,
            self._withdrawals_are_made_once, self._nothing_was_sent_before_it_was_stored, self._no_event_is_lost,
            self._orders_are_right, self._notifications_are_complete, self._nothing_is_stuck, self._ledger_is_right,
            self._only_rightful_cases_are_open, self._no_process_failed_by_itself,
        )  # fmt: skip

    def _rows(self, table: Table, *where: Any) -> list[Any]:
        with self._world.services.context.database.read() as unit:
            return list(unit.execute(select(table).where(*where)))

    def _transfers_are_funded_once(self) -> Iterator[str]:
        """Per payout at most one transfer ever received a deposit, once, exactly; exactly one when it is completed."""
        payouts = {row.id: row for row in self._rows(tables.payout)}
        known = {row.provider_transfer_id for row in self._rows(tables.transfer)}
        funded: defaultdict[str, list[str]] = defaultdict(list)
        ended: dict[str, str] = {}
        for one in self._world.ask("stables", "transfers"):
            payout, deposits = one["metadata"]["payout"], one["deposits"]
            if payout not in payouts:
                yield f"transfer {one['id']} names payout {payout}, which is not ours"
            if one["status"] == "completed" and one["id"] not in known:
                yield f"transfer {one['id']} of {payout} is completed and not known here"
            if not deposits["count"]:
                continue
            funded[payout].append(one["id"])
            ended[payout] = one["status"]
            exact = Decimal(deposits["sum"]) == Decimal(one["instructed_amount"]) == _usdc(payouts[payout].amount_minor)
            if deposits["count"] != 1 or not exact:
                yield f"transfer {one['id']} of {payout} got {deposits} for {one['instructed_amount']}"
        for ident, row in payouts.items():
            count = len(funded[ident])
            if count > 1 or (row.state == "completed" and count != 1):
                yield f"payout {ident} is {row.state} with {count} funded transfers"
            # funds that came to a transfer the provider then ended are a person's to find, or found
            rightful = row.state in ("needs_decision", "cancelled") and ended.get(ident) in BAD_ENDS
            if count == 1 and row.state != "completed" and not rightful:
                yield f"payout {ident} was funded and is {row.state}: {row.note}"

    def _forgotten_keys_made_no_second_transfer(self) -> Iterator[str]:
        """Reading found what Stables had made under keys that it knows no more."""
        attempts = {row.id: row for row in self._rows(tables.attempt, tables.attempt.c.id.in_(self._forgotten))}
        made = Counter(one["metadata"]["payout"] for one in self._world.ask("stables", "transfers"))
        for ident in self._forgotten:
            row = attempts[ident]
            if row.state != "accepted" or made[row.subject] != 1:
                yield f"attempt {ident}, whose key was forgotten, is {row.state} with {made[row.subject]} transfers"

    def _withdrawals_are_made_once(self) -> Iterator[str]:
        """Per refund at most one withdrawal, of its amount, under the key that was stored; and it ended as Stable Mint says."""
        refunds = {row.id: row for row in self._rows(tables.refund)}
        keys = {(row.subject, row.key) for row in self._rows(tables.attempt, tables.attempt.c.kind == "withdrawal")}
        made: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
        for one in self._world.ask("stable_mint", "withdrawals"):
            ident = one["custom_fields"]["refund"]
            made[ident].append(one)
            row = refunds.get(ident)
            if row is None or (ident, one["idempotency_key"]) not in keys:
                yield f"withdrawal {one['reference']} for {ident} was asked for under a key that was never stored"
            elif one["website_reference"] != row.website_reference or Decimal(one["amount"]) * 100 != row.amount_minor:
                yield f"withdrawal {one['reference']} is not what refund {ident} asked for: {one}"
        for ident, row in refunds.items():
            told = [word for one in made[ident] for word in one["events"]]
            expected = "sent" if made[ident] and "failed" not in told else "failed"
            if len(made[ident]) > 1 or row.state != expected:
                yield f"refund {ident} is {row.state} with {len(made[ident])} withdrawals, told {told}: {row.note}"

    def _nothing_was_sent_before_it_was_stored(self) -> Iterator[str]:
        """Every key a provider has seen is a row here, and no key or reference is there twice."""
        ours = {row.provider_key: row for row in self._rows(tables.session)}
        made = self._world.ask("stable_mint", "sessions")
        for field in ("idempotency_key", "website_reference", "reference", "session_id"):
            for value, count in Counter(one[field] for one in made).items():
                if count > 1:
                    yield f"{count} sessions at Stable Mint have the {field} {value}"
        for one in made:
            row = ours.get(one["idempotency_key"])
            if row is None or row.website_reference != one["website_reference"]:
                yield f"session {one['reference']} was opened under a key that was never stored"
            elif row.state == "open" and row.reference != one["reference"]:
                yield f"session {row.id} has reference {row.reference}, Stable Mint says {one['reference']}"
        keys = {row.key for row in self._rows(tables.attempt)}
        for one in self._world.ask("stables", "idempotency"):
            if one["key"] not in keys:
                yield f"{one['path']} was called under a key that was never stored"
            if one["forgotten"]:
                yield f"a key of {one['path']} outlived the provider's memory"

    def _no_event_is_lost(self) -> Iterator[str]:
        """Every delivery that was answered 2xx is here and applied; none was given up by its sender."""
        state_of = {(row.provider, row.body_hash): row for row in self._rows(tables.event)}
        told = {
            (row.provider, read_body(row.provider, self._sealer.open(row.body_sealed)).event_id)
            for row in state_of.values()
        }
        for who in ("stable_mint", "stables"):
            for one in self._world.ask(who, "deliveries"):
                body = one["body"].encode()
                answered = any(attempt["status"] in (200, 202, 204) for attempt in one["attempts"])
                ident = read_body(who, body).event_id
                row = state_of.get((who, _hash(body)))
                if not answered:
                    yield f"{who} gave up {one['event_type']} of {one['subject']}: {one['attempts'][-1:]}"
                elif row is None and (ident is None or (who, ident) not in told):
                    yield f"{one['event_type']} of {one['subject']} was acknowledged and is not in the inbox"
                elif row is not None and row.state not in ("applied", "ignored"):
                    yield f"event {row.id} {row.event_type} is {row.state}: {row.note}"

    def _orders_are_right(self) -> Iterator[str]:
        """One payment per key; what was paid is settled, what failed has failed, what was left is open."""
        payments = {row.idempotency_key: row for row in self._rows(tables.payment)}
        if set(payments) != {order.key for order in self._orders}:
            yield f"payments {sorted(payments)} for orders {sorted(order.key for order in self._orders)}"
            return
        expected = {"paid": "settled", "failed": "failed", "left": "open"}
        for order in self._orders:
            row = payments[order.key]
            if row.id != order.payment_id:
                yield f"{order.key} was answered with {order.payment_id}, stored as {row.id}"
            if row.status != expected[order.outcome] or row.anomalies:
                yield f"{order.key} {row.id} was {order.outcome} and is {row.status} {row.anomalies}"

    def _notifications_are_complete(self) -> Iterator[str]:
        """Each subject's sequence is whole, every message reached the shop, and an id always says the same."""
        heard = self._world.ask("shop", "heard")
        said: dict[str, set[tuple[str, int, str]]] = defaultdict(set)
        for one in heard:
            said[one["id"]].add((one["subject"], one["sequence"], one["type"]))
        rows = self._rows(tables.notification)
        expected = {row.id: {(row.subject, row.sequence, row.type)} for row in rows}
        for ident in said.keys() | expected.keys():
            if said.get(ident) != expected.get(ident):
                yield f"notification {ident}: the shop heard {said.get(ident)}, we meant {expected.get(ident)}"
        types: defaultdict[str, Counter[str]] = defaultdict(Counter)
        sequences: defaultdict[str, list[int]] = defaultdict(list)
        for row in rows:
            types[row.subject][row.type] += 1
            sequences[row.payment_id or row.subject].append(row.sequence)  # a refund's are its payment's
        for subject, numbers in sequences.items():
            if sorted(numbers) != list(range(1, len(numbers) + 1)):
                yield f"the notifications about {subject} are numbered {sorted(numbers)}"
        wanted = {"paid": ("payment.settled", 1), "failed": ("payment.failed", 1), "left": ("payment.settled", 0)}
        for order in self._orders:
            kind, count = wanted[order.outcome]
            if types[order.payment_id][kind] != count or types[order.payment_id]["payment.accepted"] > 1:
                yield f"{order.key} was {order.outcome}; told {dict(types[order.payment_id])}"

    def _nothing_is_stuck(self) -> Iterator[str]:
        """No row is past due, no session is half open, no payout waits for nobody."""
        late = datetime.now(UTC) - timedelta(seconds=1)
        for table in WORK:
            for row in self._rows(table, table.c.due_at < late):
                yield f"{table.name} {row.id} was due at {row.due_at}"
        for row in self._rows(tables.session, tables.session.c.state == "sending"):
            yield f"session {row.id} is still being opened"
        for row in self._rows(tables.notification_delivery, tables.notification_delivery.c.state != "delivered"):
            yield f"notification {row.notification_id} to {row.endpoint_id} is {row.state}"
        waiting = {row.subject for row in self._rows(tables.case, tables.case.c.closed_at.is_(None))}
        for row in self._rows(tables.payout):
            if row.state not in FINAL and row.due_at is None and row.id not in waiting and row.state != "quoted":
                yield f"payout {row.id} is {row.state} and nobody will look at it: {row.note}"
        for row in self._rows(tables.refund):
            if row.state not in ENDED and row.id not in waiting:
                yield f"refund {row.id} is {row.state} and nobody will look at it: {row.note}"

    def _ledger_is_right(self) -> Iterator[str]:
        """It balances, and every account holds what the two providers' own books say."""
        report = self._world.services.report.balance()
        yield from report["problems"]
        with self._world.services.context.database.read() as unit:
            held: Counter[str] = Counter()
            for row in ledger.balances(unit):
                held[f"{row['book']}/{row['asset']}"] += row["balance"]
        expected = books.balances(self._world, self._orders)
        for name in sorted(held.keys() | expected.keys()):
            if held[name] != expected[name]:
                yield f"{name} holds {held[name]}, the second bookkeeper says {expected[name]}"

    def _only_rightful_cases_are_open(self) -> Iterator[str]:
        for row in self._rows(tables.case, tables.case.c.closed_at.is_(None)):
            if row.kind not in RIGHTFUL_CASES:
                yield f"case {row.kind} on {row.subject}: {row.detail}"

    def _no_process_failed_by_itself(self) -> Iterator[str]:
        """Logs hold no step that failed by our own fault, and nothing ended but by being killed."""
        for path in self._world.folder.glob("*.log"):
            for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
                ours = '"level": "error"' in line and "gunicorn.error" not in line
                if ours or "Traceback" in line:
                    yield f"{path.name}: {line[:1500]}"
        for (role, code), count in self._world.supervisor.ends.items():
            if code != -9 and not (role == "command" and code in (0, 1)):
                yield f"{count} x {role} ended with {code}"

    def _counts(self) -> Counter[str]:
        """What was there to check."""
        counts: Counter[str] = Counter(orders=len(self._orders))
        with self._world.services.context.database.read() as unit:
            for table in (tables.event, tables.posting, tables.notification, tables.session, tables.attempt):
                counts[table.name] = int(unit.execute(select(func.count()).select_from(table)).scalar_one())
        counts.update(f"payout {row.state}" for row in self._rows(tables.payout))
        counts.update(f"refund {row.state}" for row in self._rows(tables.refund))
        counts["keys forgotten"] = len(self._forgotten)
        counts["approved by a policy"] = sum(row.created_by.startswith("policy:") for row in self._rows(tables.mandate))
        counts["resolved by a person"] = len(self._rows(tables.payout_resolution))
        counts["deposits at Stables"] = sum(one["deposits"]["count"] for one in self._world.ask("stables", "transfers"))
        return counts


def _usdc(minor: int) -> Decimal:
    return Decimal(minor).scaleb(-6)


def _hash(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()
