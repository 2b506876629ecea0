"""Every setting, its default, and what each mode refuses: all at once, by name, never a value."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from checkout.config import VARIABLES, Mode, PageDomain, Settings, database_problem, page_allowed
from checkout.errors import SettingsRefused

KEYS = Path(__file__).parents[2] / "keys.example"
DATA_KEY = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
SVIX_SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3"

# The smallest size that is accepted: a key is parsed in every test here, and parsing gets slow with size.
OWN_KEY = rsa.generate_private_key(65537, 2048)
OWN_PRIVATE = OWN_KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
OWN_PUBLIC = OWN_KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

#: The smallest environment that starts, in the sandbox.
SANDBOX = {
    "CHECKOUT_PUBLIC_URL": "http://127.0.0.1:8000",
    "CHECKOUT_SECRET_KEY": "c00kie-s3cret-c00kie-s3cret",
    "CHECKOUT_DATA_KEY": DATA_KEY,
    "STABLE_MINT_API_KEY": "api-key-s3cret",
    "STABLE_MINT_API_SECRET": "api-secret-s3cret",
    "STABLE_MINT_PRIVATE_KEY": OWN_PRIVATE,
    "STABLE_MINT_WEBHOOK_PUBLIC_KEY": OWN_PUBLIC,
    "STABLES_API_KEY": "sti_test_s3cret",
    "STABLES_WEBHOOK_SECRET": SVIX_SECRET,
}

EXAMPLES = {
    "STABLE_MINT_PRIVATE_KEY": str(KEYS / "partner-private.pem"),
    "STABLE_MINT_WEBHOOK_PUBLIC_KEY": str(KEYS / "simulator-public.pem"),
}


def live() -> dict[str, str]:
    """The smallest environment that starts, in live."""
    return SANDBOX | {
        "CHECKOUT_MODE": "live",
        "CHECKOUT_PUBLIC_URL": "https://pay.shop.example",
        "STABLE_MINT_FLOWS": "hosted",
        "STABLES_API_KEY": "sti_live_s3cret",
    }


def problems(environ: dict[str, str]) -> dict[str, str]:
    refused: SettingsRefused | None = None
    try:
        Settings.from_env(environ)
    except SettingsRefused as caught:
        refused = caught
    found = dict(refused.problems) if refused else {}
    assert refused is None or len(found) == len(refused.problems) > 0
    return found


def test_the_defaults_of_the_sandbox() -> None:
    read = Settings.from_env(SANDBOX)

    assert read.mode is Mode.SANDBOX
    assert read.public_url == "http://127.0.0.1:8000"
    assert read.database_url == "sqlite:///checkout.db"
    assert read.data_keys == (DATA_KEY,)
    assert (read.trusted_proxies, read.metrics_token) == (0, None)
    assert (read.provider_timeout, read.lease) == (timedelta(seconds=10), timedelta(seconds=120))
    assert read.speed == 1
    mint = read.stable_mint
    assert mint.api_url == "https://paymentinitiationservice-rest.stablemint.net"
    assert mint.page_domains == (PageDomain(scheme="https", host="stablemint.net", port=None),)
    assert mint.webhook_tolerance == timedelta(hours=4)
    assert mint.flows == {"hosted", "hosted_partner", "embedded"}
    assert (mint.partner_id, mint.partner_name, mint.widget_url, mint.site_id) == (None,) * 4
    assert mint.v1_accepted_is == "settled"
    assert mint.private_key.bits == 2048
    assert len(mint.webhook_keys.fingerprints()) == 1
    stables = read.stables
    assert stables.api_url == "https://api.sandbox.stables.money"
    assert (stables.webhook_scheme, stables.webhook_secrets) == ("svix", (SVIX_SECRET,))
    assert stables.extras is True
    assert (stables.key_lifetime, stables.funding_window) == (timedelta(hours=20), None)


def test_the_defaults_of_live() -> None:
    read = Settings.from_env(live())

    assert read.mode is Mode.LIVE
    assert read.stable_mint.api_url == "https://paymentinitiationservice-rest.stablemint.io"
    assert read.stable_mint.page_domains == (PageDomain(scheme="https", host="stablemint.io", port=None),)
    assert read.stable_mint.flows == {"hosted"}
    assert read.stables.api_url == "https://api.stables.money"


def test_everything_can_be_set() -> None:
    read = Settings.from_env(
        {
            "CHECKOUT_MODE": " sandbox ",
            "CHECKOUT_PUBLIC_URL": "https://Pay.Shop.example:443/checkout/",
            "CHECKOUT_DATABASE_URL": "postgresql+psycopg://u:p%40ss@db.example:5433/checkout?sslmode=require",
            "CHECKOUT_SECRET_KEY": "k",
            "CHECKOUT_DATA_KEY": f"{DATA_KEY}, {DATA_KEY} ,",
            "CHECKOUT_TRUSTED_PROXIES": "2",
            "CHECKOUT_METRICS_TOKEN": "token",
            "STABLE_MINT_API_URL": "http://127.0.0.1:9001/",
            "STABLE_MINT_PAGE_DOMAINS": "http://127.0.0.1:9001, stablemint.net",
            "STABLE_MINT_API_KEY": "key",
            "STABLE_MINT_API_SECRET": "secret, with ünïcode",
            "STABLE_MINT_PRIVATE_KEY": OWN_PRIVATE.replace("\n", "\\n"),
            "STABLE_MINT_WEBHOOK_PUBLIC_KEY": OWN_PUBLIC + (KEYS / "simulator-public.pem").read_text(),
            "STABLE_MINT_WEBHOOK_TOLERANCE": "300.5",
            "STABLE_MINT_FLOWS": "hosted, embedded",
            "STABLE_MINT_PARTNER_ID": "id",
            "STABLE_MINT_PARTNER_NAME": "Näme",
            "STABLE_MINT_V1_ACCEPTED_IS": "accepted",
            "STABLE_MINT_WIDGET_URL": "http://localhost:9001/widget.js?v=1",
            "STABLE_MINT_SITE_ID": "3",
            "STABLES_API_URL": "http://127.0.0.1:9002",
            "STABLES_API_KEY": "sti_test_1",
            "STABLES_WEBHOOK_SCHEME": "hmac",
            "STABLES_WEBHOOK_SECRET": "one,two",
            "STABLES_EXTRAS": "off",
            "STABLES_KEY_LIFETIME": "3600",
            "STABLES_FUNDING_WINDOW": "900",
            "CHECKOUT_PROVIDER_TIMEOUT": "2.5",
            "CHECKOUT_LEASE": "5",
            "CHECKOUT_SPEED": "60",
            "PATH": "is no business of ours",
        }
    )

    assert read.public_url == "https://pay.shop.example/checkout"
    assert read.database_url.startswith("postgresql+psycopg://")
    assert read.data_keys == (DATA_KEY, DATA_KEY)
    assert (read.trusted_proxies, read.metrics_token) == (2, "token")
    assert (read.provider_timeout, read.lease) == (timedelta(seconds=2.5), timedelta(seconds=5))
    mint, stables = read.stable_mint, read.stables
    assert mint.api_url == "http://127.0.0.1:9001"
    assert page_allowed("http://127.0.0.1:9001/s/1", mint.page_domains)
    assert page_allowed("https://checkout.stablemint.net/s/1", mint.page_domains)
    assert not page_allowed("https://checkout.stablemint.io/s/1", mint.page_domains)
    assert mint.api_secret == "secret, with ünïcode"
    assert mint.private_key.public_pem() == OWN_PUBLIC
    assert len(mint.webhook_keys.fingerprints()) == 2
    assert mint.webhook_tolerance == timedelta(seconds=300.5)
    assert mint.flows == {"hosted", "embedded"}
    assert (mint.partner_id, mint.partner_name, mint.site_id) == ("id", "Näme", "3")
    assert mint.v1_accepted_is == "accepted"
    assert mint.widget_url == "http://localhost:9001/widget.js?v=1"
    assert (stables.webhook_scheme, stables.webhook_secrets) == ("hmac", ("one", "two"))
    assert stables.extras is False
    assert stables.key_lifetime == timedelta(hours=1)
    assert stables.funding_window == timedelta(minutes=15)
    assert read.scaled(timedelta(minutes=1)) == timedelta(seconds=1)


REQUIRED = sorted(SANDBOX)


@pytest.mark.parametrize("empty", ["", " \t\n"])
def test_nothing_at_all_names_everything_that_is_required(empty: str) -> None:
    missing = problems(dict.fromkeys(VARIABLES, empty))

    assert sorted(missing) == REQUIRED
    assert all(reason.startswith("is missing; ") for reason in missing.values())
    assert missing == problems({})


def test_problems_come_in_the_order_of_the_documentation() -> None:
    with pytest.raises(SettingsRefused) as refused:
        Settings.from_env({"CHECKOUT_SPEED": "x", "CHECKOUT_MODE": "x"})

    names = [name for name, _ in refused.value.problems]
    assert names == sorted(names, key=VARIABLES.index)
    assert names[0] == "CHECKOUT_MODE"
    assert names[-1] == "CHECKOUT_SPEED"
    assert str(refused.value).splitlines()[0] == "CHECKOUT_MODE: must be sandbox or live"


WRONG = {
    "CHECKOUT_MODE": ["Live", "production", "test"],
    "CHECKOUT_PUBLIC_URL": [
        "pay.shop.example", "ftp://a.example", "https://u:p@a.example", "https://a.example?x=1",
        "https://a.example#x", "https://a.example/ä", "https://", "https://a b",
    ],
    "CHECKOUT_DATABASE_URL": [
        "checkout.db", "sqlite://", "sqlite:///", "sqlite://checkout.db", "sqlite:///:memory:",
        "sqlite:///file:x?mode=memory&uri=true", "sqlite:///file:x.db", "sqlite:///x.db?timeout=1",
        "sqlite+pysqlite:///x.db", "postgres://u:p@h/db", "postgresql://u:p@h/db",
        "postgresql+psycopg2://u:p@h/db", "postgresql+asyncpg://u:p@h/db", "mysql://u:p@h/db",
        "postgresql+psycopg://u:p@h", "postgresql+psycopg:///db", "postgresql+psycopg://u:p@h:port/db",
        "postgresql+psycopg://u:p@[h/db",
    ],
    "CHECKOUT_DATA_KEY": ["short", f"{DATA_KEY},short", ",", DATA_KEY[:-1]],
    "CHECKOUT_TRUSTED_PROXIES": ["-1", "1.5", "17", "one", "٣"],
    "STABLE_MINT_API_URL": ["x", "https://a.example?x", "https://paymentinitiationservice-rest.stablemint.io"],
    "STABLE_MINT_PAGE_DOMAINS": ["*.a.example", "io", "http://a.example", "a.example,b@c.example"],
    "STABLE_MINT_API_KEY": ["two words", "line\nbreak", "kéy"],
    "STABLE_MINT_PRIVATE_KEY": ["s3cret", "/nowhere/key.pem", str(KEYS / "partner-public.pem"), str(KEYS)],
    "STABLE_MINT_PRIVATE_KEY_PASSPHRASE": ["s3cret"],
    "STABLE_MINT_WEBHOOK_PUBLIC_KEY": ["s3cret", str(KEYS / "partner-private.pem")],
    "STABLE_MINT_WEBHOOK_TOLERANCE": ["0", "-1", "4h", "1e3", "604801", "nan", "inf"],
    "STABLE_MINT_FLOWS": ["hosted,all", "Hosted"],
    "STABLE_MINT_V1_ACCEPTED_IS": ["yes"],
    "STABLE_MINT_WIDGET_URL": ["widget.js", "http://cdn.example/widget.js", "javascript:alert(1)"],
    "STABLES_API_URL": ["x", "https://api.stables.money", "https://API.stables.money:443/"],
    "STABLES_API_KEY": ["sti_live_s3cret", "two words"],
    "STABLES_WEBHOOK_SCHEME": ["auto"],
    "STABLES_WEBHOOK_SECRET": ["whsec_", "not base64!", f"{SVIX_SECRET},x!", ","],
    "STABLES_EXTRAS": ["true", "1"],
    "STABLES_KEY_LIFETIME": ["0", "86401"],
    "STABLES_FUNDING_WINDOW": ["0", "86401", "soon"],
    "CHECKOUT_PROVIDER_TIMEOUT": ["0", "61", "60.001", "ten"],
    "CHECKOUT_LEASE": ["0", "3601", "x"],
    "CHECKOUT_SPEED": ["0", "-1", "fast", "1000001"],
}  # fmt: skip


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in WRONG.items() for value in values])
def test_a_wrong_value_is_refused_by_name_with_a_reason_and_never_shown(name: str, value: str) -> None:
    found = problems(SANDBOX | {name: value})

    blamed = "STABLE_MINT_PRIVATE_KEY" if name.endswith("PASSPHRASE") else name
    assert list(found) == [blamed]
    assert len(found[blamed]) > 10
    assert "s3cret" not in found[blamed]
    assert len(value) < 12 or value not in found[blamed]


def test_all_wrong_values_are_reported_at_once() -> None:
    environ = {name: values[0] for name, values in WRONG.items() if not name.endswith("PASSPHRASE")}
    everything = set(environ) | {"CHECKOUT_SECRET_KEY", "STABLE_MINT_API_SECRET"}
    # Under a mistyped mode the rules of either mode stay silent.
    del environ["CHECKOUT_MODE"]

    assert set(problems(environ)) == everything - {"CHECKOUT_MODE"}


def test_every_variable_is_tested_wrong_or_takes_any_text() -> None:
    any_text = {
        "CHECKOUT_SECRET_KEY", "CHECKOUT_METRICS_TOKEN", "STABLE_MINT_API_SECRET",
        "STABLE_MINT_PARTNER_ID", "STABLE_MINT_PARTNER_NAME", "STABLE_MINT_SITE_ID",
    }  # fmt: skip

    assert set(WRONG) | any_text == set(VARIABLES)


@pytest.mark.parametrize("name", VARIABLES)
def test_bytes_that_are_not_utf8_are_refused(name: str) -> None:
    assert problems(SANDBOX | {name: "s3cret\udcff"}) == {
        name: "is not UTF-8 text; write it again without the stray bytes"
    }


LIVE_REFUSES = [
    ("CHECKOUT_PUBLIC_URL", "http://pay.shop.example", "live needs https"),
    ("CHECKOUT_PUBLIC_URL", "https://localhost", "loopback"),
    ("CHECKOUT_PUBLIC_URL", "http://127.0.0.1:8000", "loopback"),
    ("CHECKOUT_SECRET_KEY", "short", "at least 16 characters"),
    ("STABLE_MINT_API_URL", "http://api.stablemint.io", "live needs https"),
    ("STABLE_MINT_API_URL", "https://127.0.0.1:9001", "simulator"),
    ("STABLE_MINT_API_URL", "https://[::1]:9001", "simulator"),
    ("STABLE_MINT_API_URL", "http://localhost:9001", "simulator"),
    ("STABLE_MINT_API_URL", "https://paymentinitiationservice-rest.stablemint.net", "sandbox"),
    ("STABLE_MINT_PAGE_DOMAINS", "http://127.0.0.1:9001", "https origin"),
    ("STABLE_MINT_PAGE_DOMAINS", "stablemint.io,localhost", "entry 2 of 2"),
    ("STABLE_MINT_PRIVATE_KEY", str(KEYS / "partner-private.pem"), "example key"),
    ("STABLE_MINT_PRIVATE_KEY", str(KEYS / "simulator-private.pem"), "example key"),
    ("STABLE_MINT_WEBHOOK_PUBLIC_KEY", str(KEYS / "simulator-public.pem"), "example key"),
    ("STABLE_MINT_WEBHOOK_PUBLIC_KEY", str(KEYS / "partner-public.pem"), "example key"),
    ("STABLE_MINT_FLOWS", "", "live needs"),
    ("STABLE_MINT_WIDGET_URL", "http://localhost/w.js", "simulator"),
    ("STABLE_MINT_WIDGET_URL", "https://127.0.0.1/w.js", "simulator"),
    ("STABLES_API_URL", "http://api.stables.money", "live needs https"),
    ("STABLES_API_URL", "http://127.0.0.1:9002", "simulator"),
    ("STABLES_API_URL", "https://api.sandbox.stables.money", "sandbox"),
    ("STABLES_API_KEY", "sti_test_s3cret", "sandbox key"),
    ("CHECKOUT_SPEED", "60", "real clock"),
    ("CHECKOUT_SPEED", "0.5", "real clock"),
]


@pytest.mark.parametrize(("name", "value", "reason"), LIVE_REFUSES)
def test_live_refuses_what_is_not_real(name: str, value: str, reason: str) -> None:
    found = problems(live() | {name: value})

    assert list(found) == [name]
    assert reason in found[name]
    assert "s3cret" not in found[name]


def test_live_refuses_an_example_key_in_any_form_and_beside_a_good_one() -> None:
    example = (KEYS / "simulator-public.pem").read_text()
    private = (KEYS / "partner-private.pem").read_text().replace("\n", "\\n")
    found = problems(
        live() | {"STABLE_MINT_WEBHOOK_PUBLIC_KEY": OWN_PUBLIC + example, "STABLE_MINT_PRIVATE_KEY": private}
    )

    assert sorted(found) == ["STABLE_MINT_PRIVATE_KEY", "STABLE_MINT_WEBHOOK_PUBLIC_KEY"]


def test_the_sandbox_takes_the_example_keys() -> None:
    assert problems(SANDBOX | EXAMPLES) == {}


def test_live_refuses_the_whole_sandbox_at_once() -> None:
    sandbox = (
        SANDBOX
        | EXAMPLES
        | {
            "CHECKOUT_MODE": "live",
            "CHECKOUT_SPEED": "60",
            "STABLE_MINT_API_URL": "http://localhost",
        }
    )

    assert set(problems(sandbox)) == {
        "CHECKOUT_PUBLIC_URL",
        "STABLE_MINT_API_URL",
        "STABLE_MINT_PRIVATE_KEY",
        "STABLE_MINT_WEBHOOK_PUBLIC_KEY",
        "STABLE_MINT_FLOWS",
        "STABLES_API_KEY",
        "CHECKOUT_SPEED",
    }


def test_a_speed_of_one_is_no_speed() -> None:
    assert Settings.from_env(live() | {"CHECKOUT_SPEED": "1.0"}).speed == 1


@pytest.mark.parametrize(
    ("timeout", "lease", "accepted"),
    [("10", "20", True), ("10", "19.999", False), ("", "20", True), ("", "19", False), ("60", "", True)],
)
def test_the_timeout_may_not_exceed_half_the_lease(timeout: str, lease: str, accepted: bool) -> None:
    found = problems(SANDBOX | {"CHECKOUT_PROVIDER_TIMEOUT": timeout, "CHECKOUT_LEASE": lease})

    assert found == ({} if accepted else {"CHECKOUT_PROVIDER_TIMEOUT": found.get("CHECKOUT_PROVIDER_TIMEOUT")})
    assert accepted or "half the lease" in found["CHECKOUT_PROVIDER_TIMEOUT"]


def test_an_encrypted_key_without_its_passphrase_names_the_variable_to_set() -> None:
    pem = OWN_KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"pw")).decode()
    environ = SANDBOX | {"STABLE_MINT_PRIVATE_KEY": pem}

    assert "(STABLE_MINT_PRIVATE_KEY_PASSPHRASE)" in problems(environ)["STABLE_MINT_PRIVATE_KEY"]
    assert problems(environ | {"STABLE_MINT_PRIVATE_KEY_PASSPHRASE": "pw"}) == {}


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:///checkout.db",
        "sqlite:////var/lib/checkout/checkout.db",
        "sqlite:///C:/data/checkout.db",
        "postgresql+psycopg://checkout:p%2Fw@db.example/checkout",
        "postgresql+psycopg://db.example:5432/checkout?sslmode=verify-full",
        "postgresql+psycopg://postgres:@/postgres?host=/tmp/socket",
        "postgresql+psycopg://u:p@[::1]:5432/checkout",
    ],
)
def test_a_database_is_a_file_or_a_postgresql_server(url: str) -> None:
    assert database_problem(url) is None


@pytest.mark.parametrize(
    ("url", "fix"),
    [
        ("postgres://u:s3cret@h/db", "write postgresql+psycopg://"),
        ("postgresql+psycopg2://u:s3cret@h/db", "write postgresql+psycopg://"),
        ("sqlite://", "three slashes"),
        ("sqlite:///:memory:", "must be a file"),
        ("mysql://u:s3cret@h/db", "only SQLite"),
    ],
)
def test_another_database_is_refused_with_the_fix(url: str, fix: str) -> None:
    problem = database_problem(url)

    assert problem is not None
    assert fix in problem
    assert "s3cret" not in problem


def test_no_secret_is_shown_when_settings_are_printed() -> None:
    read = Settings.from_env(SANDBOX | {"CHECKOUT_DATABASE_URL": "postgresql+psycopg://u:s3cret@h/db"})
    shown = repr(read)

    assert "s3cret" not in shown
    assert DATA_KEY not in shown
    assert SVIX_SECRET not in shown
    assert "PartnerKey" not in shown


def test_settings_do_not_change() -> None:
    read = Settings.from_env(SANDBOX)

    with pytest.raises(dataclasses.FrozenInstanceError):
        read.speed = 2  # type: ignore[misc]


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.sampled_from(VARIABLES), st.text(max_size=40), max_size=8))
def test_any_environment_is_accepted_or_refused_and_shows_no_value(environ: dict[str, str]) -> None:
    found = problems({name: f"{value}ZQXJ" for name, value in environ.items()})

    assert found
    assert not any("ZQXJ" in reason for reason in found.values())
