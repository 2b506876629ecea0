"""A database whose refunds an earlier version had put before a person after a restore: they are in doubt after the upgrade."""

from __future__ import annotations

from sqlalchemy import text

from checkout.store import refunds
from checkout.store.engine import Database
from tests.flows.test_schema import upgrade
from tests.system import START

#: Of refunds that an earlier version had restored: state, acts in this order, and whether it is in doubt.
EARLIER = (
    ("requested", "given taken", True),
    ("requested", "given taken given voided", False),
    ("requested", "given taken given taken", True),
    ("requested", "given voided", False),
    ("requested", "", False),
    ("needs_details", "given taken", True),
    ("sending", "given taken given", False),
    ("failed", "given taken", False),
)
ACTIONS = {"given": "refund approved", "taken": "refund approval taken back", "voided": "refund details given"}


def test_whose_approval_an_earlier_version_took_back_is_in_doubt_after_the_upgrade(empty_database_url: str) -> None:
    database = Database(empty_database_url)
    upgrade(database, "0011")
    with database.write() as unit:

        def add(table: str, **values: object) -> None:
            names = ", ".join(values)
            unit.execute(text(f"INSERT INTO {table} ({names}) VALUES (:{', :'.join(values)})"), values)  # noqa: S608

        def at(second: int) -> str:
            moment = START.replace(second=second)
            return moment.replace(tzinfo=None).isoformat(sep=" ") if database.is_sqlite else moment.isoformat()

        add("store", id="sto_1", name="Shop", origins="[]", created_at=at(0), created_by="ann")
        add(
            "payment", id="pay_1", store_id="sto_1", idempotency_key="k", request_hash="h", flow="hosted", amount_minor=900,
            currency="EUR", country="DE", order_ref="o-1", metadata="{}", status="settled", pay_token_hash="th",
            pay_token_sealed=b"ts", created_at=at(0), updated_at=at(0),
        )  # fmt: skip
        for number, (after, acts, _) in enumerate(EARLIER):
            add(
                "refund", id=f"ref_{number}", payment_id="pay_1", idempotency_key=f"{number}", request_hash="h", amount_minor=1,
                currency="EUR", state=after, created_at=at(0), approved_by="ann" if after == "sending" else None,
            )  # fmt: skip
            for second, word in enumerate(acts.split(), start=1):
                add(
                    "act", id=f"act_{number}_{second}", who="ann", action=ACTIONS[word], subject=f"ref_{number}", detail="{}",
                    at=at(second),
                )  # fmt: skip
    upgrade(database, "head")
    with database.read() as unit:
        found = [refunds.refund_by_id(unit, f"ref_{number}") for number in range(len(EARLIER))]
    assert [one is not None and one.in_doubt_since is not None for one in found] == [doubt for *_, doubt in EARLIER]
    assert found[2] is not None
    assert found[2].in_doubt_since == START.replace(second=4)
    database.close()
