"""`checkout init`, `migrate` and `keys`: fresh settings that fit together, never over what is there."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from dotenv import dotenv_values

from checkout.commands.init import SIGNING_FILE
from checkout.config import Settings
from checkout.signing import load_partner_key
from tests.edges.command_line import Terminal
from tests.system import environment, private_pem, public_pem

#: Keys are given, because making them takes longer than everything else here; one test lets `init` make its own.
KEYS = {"STABLE_MINT_PRIVATE_KEY": private_pem("partner"), "STABLE_MINT_WEBHOOK_PUBLIC_KEY": public_pem("mint")}


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def written() -> dict[str, str]:
    return {name: value or "" for name, value in dotenv_values(".env", interpolate=False).items()}


def test_init_makes_settings_keys_and_a_database_that_fit_together() -> None:
    document = Terminal({}).ask("init")
    settings = Settings.from_env(written())
    assert settings.public_url == "http://127.0.0.1:8000"
    assert settings.stable_mint.api_url == "http://127.0.0.1:8101"
    assert settings.stables.api_key.startswith("sti_test_")
    assert settings.stables.webhook_secrets[0].startswith("whsec_")
    assert settings.stables.funding_window is not None
    assert settings.stables.funding_window.total_seconds() == 900
    assert [(one.host, one.port) for one in settings.stable_mint.page_domains] == [("127.0.0.1", 8101)]
    assert settings.stable_mint.widget_url == "http://127.0.0.1:8101/widget/stable-payment-gateway.js"
    assert settings.stable_mint.site_id == "3"
    assert document["public_key"] == settings.stable_mint.private_key.public_pem()
    signing = load_partner_key(str(SIGNING_FILE))
    assert settings.stable_mint.webhook_keys.fingerprints() == (signing.fingerprint,)
    assert settings.stable_mint.private_key.fingerprint != signing.fingerprint
    for path in (Path(".env"), SIGNING_FILE):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert Terminal({}).ask("stores", "list") == []
    assert Terminal({}).ask("keys", "check")["ok"]


def test_init_never_overwrites() -> None:
    terminal = Terminal(KEYS)
    Path(".env").write_text("mine", encoding="utf-8")
    assert "never overwrites" in terminal.say("init", code=1)
    assert Path(".env").read_text(encoding="utf-8") == "mine"
    Path(".env").unlink()
    SIGNING_FILE.write_text("mine", encoding="utf-8")
    assert str(SIGNING_FILE) in terminal.say("init", code=1)
    assert not Path(".env").exists()
    assert not Path("checkout.db").exists()


def test_init_respects_what_the_environment_says(tmp_path: Path) -> None:
    given = {
        **KEYS,
        "CHECKOUT_DATABASE_URL": f"sqlite:///{tmp_path / 'mine.db'}",
        "STABLE_MINT_API_URL": "http://127.0.0.1:7777",
    }
    document = Terminal(given).ask("init")
    assert set(document["from_environment"]) == set(given)
    assert not set(written()) & set(given)
    assert written()["STABLE_MINT_PAGE_DOMAINS"] == "http://127.0.0.1:7777"
    assert written()["STABLE_MINT_WIDGET_URL"].startswith("http://127.0.0.1:7777/")
    assert (tmp_path / "mine.db").exists()
    assert document["signing_key"] is None
    assert not SIGNING_FILE.exists()
    assert Terminal(given).ask("stores", "list") == []


def test_init_refuses_wrong_settings_before_it_makes_anything() -> None:
    said = Terminal({**KEYS, "CHECKOUT_SPEED": "fast"}).say("init", code=2)
    assert "CHECKOUT_SPEED" in said
    assert not list(Path().iterdir())


def test_init_is_for_the_sandbox() -> None:
    assert "sandbox" in Terminal({**KEYS, "CHECKOUT_MODE": "live"}).say("init", code=1)


def test_migrate_makes_a_database_once(tmp_path: Path) -> None:
    terminal = Terminal(environment(f"sqlite:///{tmp_path / 'new.db'}"))
    assert terminal.ask("migrate") == {"migrated": True, "current": True}
    assert terminal.ask("migrate") == {"migrated": False, "current": True}
    assert "already" in terminal.say("migrate")


def test_migrate_says_when_the_database_cannot_be_made(tmp_path: Path) -> None:
    terminal = Terminal(environment(f"sqlite:///{tmp_path / 'no' / 'such' / 'folder.db'}"))
    assert "cannot be reached" in terminal.say("migrate", code=1)


def test_generated_keys_are_a_pair_and_are_never_overwritten() -> None:
    document = Terminal({}).ask("keys", "generate", "--out", "mine.pem")
    key = load_partner_key("mine.pem")
    assert key.public_pem() == document["public_key"]
    assert key.bits == document["bits"] == 3072
    assert stat.S_IMODE(Path("mine.pem").stat().st_mode) == 0o600
    assert "PRIVATE" not in Terminal({}).say("keys", "show", STABLE_MINT_PRIVATE_KEY="mine.pem")
    assert "never overwritten" in Terminal({}).say("keys", "generate", "--out", "mine.pem", code=1)
    assert "cannot be written" in Terminal({}).say("keys", "generate", "--out", "no/folder/mine.pem", code=1)


def test_keys_show_needs_only_the_key() -> None:
    shown = Terminal({"STABLE_MINT_PRIVATE_KEY": private_pem("partner")}).ask("keys", "show")
    assert shown["public_key"] == public_pem("partner")
    assert "STABLE_MINT_PRIVATE_KEY" in Terminal({}).say("keys", "show", code=2)
    assert "neither PEM" in Terminal({"STABLE_MINT_PRIVATE_KEY": "nonsense!"}).say("keys", "show", code=2)


def test_keys_check_notices_a_key_on_the_wrong_side() -> None:
    mixed_up = {**KEYS, "STABLE_MINT_WEBHOOK_PUBLIC_KEY": public_pem("partner")}
    document = Terminal(mixed_up).ask("keys", "check", code=1)
    assert [one["check"] for one in document["checks"] if not one["ok"]] == ["sides"]
    assert "your own" in Terminal(mixed_up).say("keys", "check", code=1)


def test_keys_check_names_what_is_missing_and_what_does_not_fit() -> None:
    nothing = Terminal({}).ask("keys", "check", code=1)
    assert [one["ok"] for one in nothing["checks"]] == [False, False]
    SIGNING_FILE.write_text(private_pem("stranger"), encoding="ascii")
    found = Terminal(KEYS).ask("keys", "check", code=1)
    assert [one["check"] for one in found["checks"] if not one["ok"]] == [str(SIGNING_FILE)]
    SIGNING_FILE.write_text(private_pem("mint"), encoding="ascii")
    assert Terminal(KEYS).ask("keys", "check")["ok"]
    SIGNING_FILE.write_text("nonsense", encoding="ascii")
    assert not Terminal(KEYS).ask("keys", "check", code=1)["ok"]
