"""Stores' keys: made with scopes, found by their hash, ended at once or while another takes over; and those of before."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from sqlalchemy import text

from checkout.api_keys import READ, REFUNDS, SCOPES, STOREFRONT, TREASURY, WRITE
from checkout.app import build
from checkout.config import Settings
from checkout.errors import (
    KeyOutOfPlace,
    NotAuthenticated,
    NotFound,
    NotPossible,
    RequestRefused,
    ScopeMissing,
)
from checkout.sealing import token_hash
from checkout.store import moves
from checkout.store.engine import Database
from checkout.store.schema import migrate
from tests.flows.test_schema import upgrade
from tests.system import START, Clock, System, environment


def acts(system: System, action: str) -> list[dict[str, object]]:
    """The details of a store's acts of one kind, in order."""
    with system.database.read() as unit:
        return [json.loads(one["detail"]) for one in moves.acts_on(unit, system.store.id) if one["action"] == action]


def test_the_first_key_of_a_store_may_do_what_a_shop_does(system: System) -> None:
    made = system.services.stores.create("Second", ["https://second.example"], who="ann")
    keys = system.services.api_keys
    assert made.api_key.startswith("sk_test_")
    assert made.api_key not in repr(made)
    for scope in (READ, WRITE, REFUNDS):
        assert keys.admit(made.api_key, scope=scope).id == made.id
    with pytest.raises(ScopeMissing, match="treasury"):
        keys.admit(made.api_key, scope=TREASURY)
    (row,) = keys.of_store("Second")
    assert (row.id, row.scope_list, row.per_minute, row.label) == (made.key_id, list(STOREFRONT), None, None)


@pytest.mark.parametrize("scope", SCOPES)
def test_a_key_may_do_what_its_scopes_say_and_nothing_else(sqlite_system: System, scope: str) -> None:
    keys = sqlite_system.services.api_keys
    made = keys.create("Shop", who="ann", scopes=[scope])
    for other in SCOPES:
        if other == scope:
            assert keys.admit(made.api_key, scope=other).id == sqlite_system.store.id
        else:
            with pytest.raises(ScopeMissing, match=f"`{other}`"):
                keys.admit(made.api_key, scope=other)


def test_a_key_is_stored_nowhere(system: System) -> None:
    made = system.services.api_keys.create("Shop", who="ann", label="web server")
    assert made.api_key not in repr(made)
    with system.database.read() as unit:
        rows = [dict(row._mapping) for row in unit.execute(text("SELECT * FROM store_key"))]
        written = unit.execute(text("SELECT detail FROM act")).scalars().all()
    stored = json.dumps([rows, list(written)], default=str)
    assert token_hash(made.api_key) in stored
    assert made.api_key[:12] in stored
    assert made.api_key[8:20] not in stored
    created = acts(system, "key created")[-1]
    assert created == {
        "key": made.id, "hint": made.api_key[:12], "scopes": "read write refunds", "per_minute": None,
        "label": "web server",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"scopes": []}, "scope"),
        ({"scopes": ["admin"]}, "scope"),
        ({"per_minute": 0}, "per_minute"),
        ({"per_minute": 1_000_001}, "per_minute"),
        ({"label": " "}, "label"),
        ({"label": "x" * 81}, "label"),
        ({"label": "a\x00b"}, "label"),
    ],
)
def test_every_bad_wish_is_named(shared_system: System, wrong: dict[str, object], field: str) -> None:
    before = len(shared_system.services.api_keys.of_store("Shop"))
    with pytest.raises(RequestRefused) as refused:
        shared_system.services.api_keys.create("Shop", who="ann", **wrong)  # type: ignore[arg-type]
    assert set(refused.value.fields) == {field}
    assert len(shared_system.services.api_keys.of_store("Shop")) == before


def test_a_revoked_key_is_none_from_that_moment(system: System) -> None:
    keys = system.services.api_keys
    made, other = keys.create("Shop", who="ann"), keys.create("Shop", who="ann")
    keys.admit(made.api_key, scope=READ)
    row = keys.revoke(made.id, who="ben")
    assert row.revoked_at == system.clock.now
    with pytest.raises(NotAuthenticated):
        keys.admit(made.api_key, scope=READ)  # though this process has requests of it left
    assert keys.admit(other.api_key, scope=READ).id == system.store.id
    with pytest.raises(NotPossible, match="already"):
        keys.revoke(made.id, who="ben")
    (revoked,) = acts(system, "key revoked")
    assert revoked == {"key": made.id, "hint": made.api_key[:12], "ends": system.clock.now.isoformat()}


def test_a_key_works_beside_its_successor_until_its_end(system: System) -> None:
    keys = system.services.api_keys
    old = keys.create("Shop", who="ann")
    keys.revoke(old.id, who="ann", after=timedelta(hours=24))
    new = keys.create("Shop", who="ann")
    for made in (old, new):
        keys.admit(made.api_key, scope=WRITE)
    system.clock.advance(hours=24, microseconds=-1)
    keys.admit(old.api_key, scope=WRITE)
    system.clock.advance(microseconds=1)
    with pytest.raises(NotAuthenticated):
        keys.admit(old.api_key, scope=WRITE)
    keys.admit(new.api_key, scope=WRITE)


def test_the_end_of_a_key_may_be_moved_while_it_lasts(sqlite_system: System) -> None:
    keys = sqlite_system.services.api_keys
    made = keys.create("Shop", who="ann")
    keys.revoke(made.id, who="ann", after=timedelta(hours=1))
    assert keys.revoke(made.id, who="ann", after=timedelta(hours=48)).revoked_at == START + timedelta(hours=48)
    assert keys.revoke(made.id, who="ann").revoked_at == START
    assert len(acts(sqlite_system, "key revoked")) == 3


@pytest.mark.parametrize("after", [timedelta(), timedelta(hours=-1), timedelta(days=91)])
def test_an_overlap_is_bounded(shared_system: System, after: timedelta) -> None:
    made = shared_system.services.api_keys.create("Shop", who="ann")
    with pytest.raises(RequestRefused, match="in:"):
        shared_system.services.api_keys.revoke(made.id, who="ann", after=after)
    shared_system.services.api_keys.admit(made.api_key, scope=READ)


def test_what_is_unknown_is_said(shared_system: System) -> None:
    keys = shared_system.services.api_keys
    with pytest.raises(NotFound, match="key 'key_none'"):
        keys.revoke("key_none", who="ann")
    with pytest.raises(NotFound, match="store 'None'"):
        keys.create("None", who="ann")
    with pytest.raises(NotFound, match="store 'None'"):
        keys.of_store("None")


def test_a_key_of_live_mode_is_told_apart_in_the_sandbox_even_if_it_were_stored(sqlite_system: System) -> None:
    with pytest.raises(KeyOutOfPlace, match=r"live mode \(`sk_live_…`\).* in sandbox mode.*sk_test_"):
        sqlite_system.services.api_keys.admit("sk_live_" + "x" * 43, scope=READ)


def test_a_key_of_the_sandbox_is_told_apart_in_live_mode(sqlite_system: System) -> None:
    live = environment(
        str(sqlite_system.database.url), CHECKOUT_MODE="live", CHECKOUT_PUBLIC_URL="https://pay.example",
        STABLE_MINT_API_URL="https://mint.example", STABLE_MINT_PAGE_DOMAINS="mint.example",
        STABLES_API_URL="https://stables.example", STABLES_API_KEY="sti_live_x", STABLE_MINT_FLOWS="hosted",
    )  # fmt: skip
    tested = sqlite_system.services.api_keys.create("Shop", who="ann").api_key
    services = build(Settings.from_env(live), clock=sqlite_system.clock)
    try:
        made = services.api_keys.create("Shop", who="ann").api_key
        assert made.startswith("sk_live_")
        assert services.api_keys.admit(made, scope=READ).name == "Shop"
        with pytest.raises(KeyOutOfPlace, match="sandbox"):
            services.api_keys.admit(tested, scope=READ)
    finally:
        services.close()


def test_keys_made_before_scopes_and_limits_go_on_working(empty_database_url: str) -> None:
    database = Database(empty_database_url)
    upgrade(database, "0007")
    at = START.replace(tzinfo=None).isoformat(sep=" ") if database.is_sqlite else START.isoformat()
    keys = {"key_1": ("sk_test_shop", "read write", None), "key_2": ("sk_test_treasury", "treasury", None),
            "key_3": ("sk_test_gone", "read write", at)}  # fmt: skip
    with database.write() as unit:
        unit.execute(
            text(
                "INSERT INTO store (id, name, origins, created_at, created_by) VALUES ('sto_1', 'Old', '[]', :at, 'ann')"
            ),
            {"at": at},
        )
        for ident, (key, scopes, revoked) in keys.items():
            unit.execute(
                text(
                    "INSERT INTO store_key (id, store_id, key_hash, hint, scopes, revoked_at, created_at, created_by) "
                    "VALUES (:id, 'sto_1', :hash, 'sk_test_', :scopes, :revoked, :at, 'ann')"
                ),
                {"id": ident, "hash": token_hash(key), "scopes": scopes, "revoked": revoked, "at": at},
            )
    database.close()
    services = build(Settings.from_env(environment(empty_database_url)), clock=Clock())
    try:
        migrate(services.context.database, installation_id="ins_old", now=START)
        for scope in STOREFRONT:
            assert services.api_keys.admit("sk_test_shop", scope=scope).id == "sto_1"
        assert services.api_keys.admit("sk_test_treasury", scope=TREASURY).id == "sto_1"
        with pytest.raises(ScopeMissing):
            services.api_keys.admit("sk_test_treasury", scope=WRITE)
        with pytest.raises(NotAuthenticated):
            services.api_keys.admit("sk_test_gone", scope=READ)
        assert [one.per_minute for one in services.api_keys.of_store("Old")] == [None, None, None]
    finally:
        services.close()
