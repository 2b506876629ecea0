"""`checkout customers`, a store's look, and sealing everything again: what an operator types, and what is never printed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from checkout.paying.customers import Person
from checkout.sealing import Sealer
from checkout.store.stores import customer_by_external_id
from tests.edges.command_line import Terminal
from tests.system import System, environment, make_system

ANN = Person("c-1", "ann@shop.example", "DE", {"full_name": "Ann Example", "date_of_birth": "1990-01-31"})
PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 60
OLD, NEW = Fernet.generate_key().decode(), Fernet.generate_key().decode()


@pytest.fixture
def url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    return f"sqlite:///{tmp_path / 'checkout.db'}"


@pytest.fixture
def system(url: str) -> Iterator[System]:
    made = make_system(url, CHECKOUT_DATA_KEY=OLD)
    made.services.customers.put(made.store, ANN)
    yield made
    made.close()


@pytest.fixture
def terminal(url: str, system: System) -> Terminal:
    return Terminal(environment(url, CHECKOUT_DATA_KEY=OLD))


def test_a_customer_is_shown_without_anything_they_told_us(terminal: Terminal, system: System) -> None:
    said = terminal.say("customers", "show", "Shop", "c-1")
    shown = terminal.ask("customers", "show", "Shop", "c-1")
    assert (shown["email"], shown["kyc_fields"], shown["country"]) == (True, ["date_of_birth", "full_name"], "DE")
    for secret in ("ann@shop.example", "Ann Example", "1990-01-31"):
        assert secret not in said + str(shown)
    assert "there is no customer 'nobody'" in terminal.say("customers", "show", "Shop", "nobody", code=1)
    assert "there is no store" in terminal.say("customers", "show", "Nowhere", "c-1", code=1)


def test_an_erased_customer_is_gone_and_the_act_has_a_name(terminal: Terminal, system: System) -> None:
    assert terminal.ask("customers", "erase", "Shop", "c-1") == {"id": "c-1", "erased": True, "by": "demo"}
    assert "Stable Mint" in terminal.say("customers", "erase", "Shop", "c-1")
    terminal.say("customers", "show", "Shop", "c-1", code=1)


def test_a_stores_look_is_set_beside_its_addresses(terminal: Terminal, system: System, tmp_path: Path) -> None:
    picture = tmp_path / "logo.png"
    picture.write_bytes(PNG)
    shown = terminal.ask(
        "stores",
        "set",
        "Shop",
        "--logo",
        str(picture),
        "--colour",
        "#0A7D5A",
        "--exit-url",
        "https://shop.example/basket",
    )
    assert (shown["colour"], shown["exit_url"]) == ("#0a7d5a", "https://shop.example/basket")
    assert shown["logo"]
    assert "notification_secret" not in shown
    assert "68 bytes" in terminal.say("stores", "set", "Shop", "--logo", str(picture))
    assert system.services.shopper.logo(system.store.id) == ("image/png", PNG)


def test_a_look_that_cannot_be_used_is_refused_by_name(terminal: Terminal, tmp_path: Path) -> None:
    drawing = tmp_path / "logo.svg"
    drawing.write_text("<svg/>", encoding="ascii")
    said = terminal.say("stores", "set", "Shop", "--logo", str(drawing), "--colour", "green", code=1)
    assert "logo: use a PNG" in said
    assert "colour: write it as #rrggbb" in said
    terminal.say("stores", "set", "Shop", "--logo", str(tmp_path / "nothing.png"), code=2)
    assert "nothing to change" in terminal.say("stores", "set", "Shop", code=2)


def test_everything_is_sealed_again_and_the_old_key_can_go(terminal: Terminal, system: System, url: str) -> None:
    both = f"{NEW},{OLD}"
    done = terminal.ask("keys", "reseal", CHECKOUT_DATA_KEY=both)
    assert done["columns"]["customer.email_sealed"] == 1
    assert done["resealed"] == sum(done["columns"].values())
    assert "newest key" in terminal.say("keys", "reseal", CHECKOUT_DATA_KEY=both)
    assert terminal.ask("customers", "show", "Shop", "c-1", CHECKOUT_DATA_KEY=NEW)["kyc_fields"]
    with system.database.read() as unit:
        row = customer_by_external_id(unit, system.store.id, "c-1")
    assert row is not None
    assert row.email_sealed is not None
    assert Sealer([NEW]).open_text(row.email_sealed) == "ann@shop.example"


def test_a_key_that_is_missing_is_said_and_nothing_is_half_sealed(terminal: Terminal) -> None:
    assert "no data key opens this" in terminal.say("keys", "reseal", code=1, CHECKOUT_DATA_KEY=NEW)
    assert terminal.ask("customers", "show", "Shop", "c-1")["kyc_fields"]
