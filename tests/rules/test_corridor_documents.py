"""Every list is the documents' own: each is taken out of the page it stands on, so that none can be missing here."""

from __future__ import annotations

import json
import re
from datetime import date
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from checkout.destinations import bank_fields, corridor_needs, corridors, purpose_codes, sanctions
from checkout.enrolling import merchant_form
from checkout.enrolling.account_form import AccountForm, read_account
from checkout.errors import RequestRefused
from checkout.paying_out.funding_instructions import CONTRACTS
from checkout.providers import stables_words
from checkout.providers.countries import COUNTRIES
from checkout.providers.stables_requests import ACCOUNT_TYPES, ALIAS_TYPES, RAILS, RECIPIENT_TYPES
from tests.account_samples import account

FOLDER = Path(__file__).parents[1] / "contracts"
DOCS = (FOLDER / "stables-docs.md").read_text(encoding="utf-8")
OPENAPI: dict[str, Any] = json.loads((FOLDER / "stables-openapi.json").read_text(encoding="utf-8"))
SCHEMAS: dict[str, Any] = OPENAPI["components"]["schemas"]
TODAY = date(2026, 11, 21)


def part(start: str, end: str) -> str:
    """The documents between two headings."""
    return DOCS.split(start, 1)[1].split(end, 1)[0]


#: asset → networks, in the API's spelling.
NETWORKS = {
    asset: frozenset(name.strip().lower() for name in names.split(","))
    for asset, names in re.findall(r"^\| (USD[CT]) +\| ([A-Z][^|]+?) +\|$", part("### Stablecoins", "### Fiat"), re.M)
}
#: (code, rails)
FIAT = re.findall(r"^\| [^|]+ \| ([A-Z]{3}) +\| ([^|]+?) *\|$", part("### Fiat", "# Purpose Codes"), re.M)
PURPOSES = dict(re.findall(r"^\| `([A-Z_]+)` +\| (.+?) +\|$", part("# Purpose Codes", "# Country Restrictions"), re.M))
LISTED = re.findall(r"^\| ([A-Z][^|]+?) +\|$", part("### Restricted and High-Risk", "### Regulatory"), re.M)[1:]
SANCTIONED = re.findall(r"^\* (.+)$", part("#### **Comprehensively Sanctioned", "#### **High-Risk"), re.M)
FATF = re.findall(r"^\* ([A-Za-z ]+?)(?: \(.*)?$", part("#### **High-Risk FATF", "# Verification levels"), re.M)
RAIL_WORDS = {"SWIFT": "swift", "Local": "bank"}
CODES = [code for code, _ in FIAT]
PAIRS = [
    (asset, network)
    for asset in ("USDC", "USDT", "STABLES")
    for network in sorted(NETWORKS["USDT"] | {"polygon-amoy", "bsc"})
]


def read(content: object, *, extras_required: bool = False) -> AccountForm:
    return read_account(content, today=TODAY, extras_required=extras_required)


def refused(content: object, *, extras_required: bool = False) -> dict[str, str]:
    with pytest.raises(RequestRefused) as caught:
        read(content, extras_required=extras_required)
    return {name: " ".join(said) for name, said in caught.value.fields.items()}


def test_the_excerpts_hold_what_they_are_for() -> None:
    assert (len(PURPOSES), len(FIAT), len(LISTED), len(SANCTIONED), len(FATF)) == (36, 11, 53, 6, 6)
    assert {name: len(networks) for name, networks in NETWORKS.items()} == {"USDC": 7, "USDT": 8}


# --- purpose codes -----------------------------------------------------------------------------------------------------


def test_the_purpose_codes_are_the_documents_own_with_their_words() -> None:
    assert dict(purpose_codes.PURPOSES) == PURPOSES


@pytest.mark.parametrize("code", sorted(PURPOSES))
def test_every_documented_purpose_code_is_accepted(code: str) -> None:
    assert read({**account(), "purpose_code": code}).columns["purpose_code"] == code


@pytest.mark.parametrize("code", ["", "merchant_settlement", "GIFT", "SALARY ", None, 7, ["SALARY"]])
def test_any_other_purpose_code_is_refused(code: object) -> None:
    assert "purpose_code" in refused({**account(), "purpose_code": code})


def test_an_account_that_states_no_purpose_settles_a_merchant() -> None:
    plain = account()
    del plain["purpose_code"]
    assert read(plain).columns["purpose_code"] == "MERCHANT_SETTLEMENT"


# --- currencies and rails ----------------------------------------------------------------------------------------------


def test_the_currencies_and_rails_are_the_documents_own() -> None:
    assert set(corridors.CURRENCIES) == set(CODES)
    assert all({RAIL_WORDS[word.strip()] for word in rails.split(",")} == set(corridors.RAILS) for _, rails in FIAT)
    rails = SCHEMAS["CreateQuoteRequest"]["properties"]["destination"]["properties"]["network"]["enum"]
    assert set(rails) == set(corridors.RAILS) == set(RAILS)


@pytest.mark.parametrize(("currency", "rail"), list(product(CODES, RAIL_WORDS.values())))
def test_every_documented_currency_is_accepted_over_both_rails(currency: str, rail: str) -> None:
    form = read(account(currency, rail), extras_required=True)
    assert (form.columns["currency"], form.columns["rail"], form.warnings) == (currency, rail, ())


@pytest.mark.parametrize(("currency", "rail"), list(product(CODES, RAIL_WORDS.values())))
def test_every_field_a_corridor_needs_is_named_when_it_is_missing(currency: str, rail: str) -> None:
    whole = account(currency, rail)
    for way in corridor_needs.needs(currency, whole["destination"]["country"], rail).ways[:1]:
        bare = account(currency, rail, **dict.fromkeys(way, ...))
        assert {f"bank.{name}" for name in way} <= set(refused(bare))
    for name in corridor_needs.ALWAYS:
        assert f"bank.{name}" in refused(account(currency, rail, **{name: ...}))


@pytest.mark.parametrize("currency", ["NGN", "MXN", "KES", "BRL", "CAD", "JPY", "CHF", "XXX", ""])
def test_a_currency_outside_the_table_is_refused_though_the_sandbox_may_quote_it(currency: str) -> None:
    content = account()
    content["destination"]["currency"] = currency
    assert "destination.currency" in refused(content)


@pytest.mark.parametrize("rail", ["", "sepa", "wire", "local"])
def test_any_other_rail_is_refused(rail: str) -> None:
    content = account()
    content["destination"]["network"] = rail
    assert "destination.network" in refused(content)


def test_a_local_rail_reaches_its_own_countries_only() -> None:
    for currency in CODES:
        content = account(currency)
        content["destination"]["country"] = content["bank"]["bank_country"] = "JP"
        assert "reaches" in refused(content)["destination.network"]
    assert corridors.destination_problems("EUR", "GR", "bank") == {}
    assert corridors.destination_problems("EUR", "CH", "swift") == {}


# --- assets and networks -----------------------------------------------------------------------------------------------


def test_the_networks_are_the_documents_own() -> None:
    assert dict(corridors.DOCUMENTED_NETWORKS) == NETWORKS


@pytest.mark.parametrize(("asset", "network"), PAIRS)
def test_a_source_is_accepted_as_documented_unless_its_token_is_not_certain(asset: str, network: str) -> None:
    content = {**account(), "source": {"currency": asset, "network": network}}
    uncertain = {("USDT", "optimism"), ("USDT", "base")}
    if network in NETWORKS.get(asset, ()) and (asset, network) not in uncertain:
        assert read(content).columns["network"] == network
    else:
        assert {"source.currency", "source.network"} & set(refused(content))


def test_every_source_has_a_token_contract_beyond_doubt_and_none_else_has() -> None:
    assert set(CONTRACTS) == {
        (asset, network) for asset, networks in corridors.NETWORKS.items() for network in networks
    }


def test_usdc_on_tron_stables_as_source_and_ambiguous_tokens_say_why() -> None:
    def why(asset: str, network: str) -> str:
        return " ".join(corridors.source_problems(asset, network).values())

    assert "has ended" in why("USDC", "tron")
    assert "no corridor" in why("STABLES", "polygon")
    assert "two tokens" in why("USDT", "optimism")
    assert "bridged" in why("USDT", "base")
    assert "testnets are not supported" in why("USDC", "polygon-amoy")
    sources = SCHEMAS["CreateQuoteRequest"]["properties"]["source"]["properties"]["currency"]["enum"]
    assert set(sources) == set(corridors.NETWORKS) | set(corridors.REFUSED_SOURCES)


# --- bank fields and the recipient -------------------------------------------------------------------------------------


def test_the_bank_fields_are_the_providers() -> None:
    known = set(SCHEMAS["CreateTransferDestination"]["properties"]) | {
        "recipient_type",
        "date_of_birth",
        "alias",
        "alias_type",
    }
    used = set(bank_fields.CODES) | set(corridor_needs.ALWAYS)
    used |= {name for ways in corridor_needs.LOCAL.values() for way in ways for name in way}
    assert used <= known
    assert set(SCHEMAS["CreateTransferDestination"]["required"]) == {"type", *corridor_needs.ALWAYS}
    assert SCHEMAS["CreateTransferDestination"]["properties"]["account_type"]["enum"] == list(ACCOUNT_TYPES)
    assert tuple(SCHEMAS["AddressApi"]["required"]) == corridor_needs.ADDRESS


def test_the_recipients_extras_are_those_of_the_notes() -> None:
    line = next(one for one in DOCS.splitlines() if one.startswith("| beneficiary extras"))
    described, typed = re.search(r"required for ([A-Z, ]+) \(.*account_type for ([A-Z]+ and [A-Z]+)", line).groups()  # type: ignore[union-attr]
    assert set(described.split(", ")) == corridor_needs.DESCRIBED
    assert set(typed.split(" and ")) == corridor_needs.ACCOUNT_TYPED
    assert re.search(r"recipient_type \((\w+) / (\w+)\)", line).groups() == RECIPIENT_TYPES  # type: ignore[union-attr]
    payid = next(one for one in DOCS.splitlines() if one.startswith("| PayID"))
    assert corridor_needs.PAYID_CURRENCY in payid
    assert tuple(re.search(r"type ([a-z_/ ]+) \|", payid).group(1).split(" / ")) == ALIAS_TYPES  # type: ignore[union-attr]


@pytest.mark.parametrize("currency", CODES)
def test_missing_extras_are_refused_in_live_mode_and_warned_about_in_the_sandbox(currency: str) -> None:
    bare = account(currency, recipient_type=..., address=..., account_type=...)
    wanted = {"bank.recipient_type", "bank.address"} if currency in corridor_needs.DESCRIBED else set()
    wanted |= {"bank.account_type"} if currency in corridor_needs.ACCOUNT_TYPED else set()
    assert {one.split(":")[0] for one in read(bare).warnings} == wanted
    if wanted:
        assert set(refused(bare, extras_required=True)) == wanted


def test_an_individual_needs_a_date_of_birth_that_can_be_one_and_a_business_has_none() -> None:
    assert "bank.date_of_birth" in refused(account(recipient_type="individual"), extras_required=True)
    assert read(account(recipient_type="individual", date_of_birth="1980-02-29"), extras_required=True).warnings == ()
    for wrong in ("1981-02-29", "2026-11-21", "1899-12-31", "19800229", "29.02.1980"):
        assert "bank.date_of_birth" in refused(account(recipient_type="individual", date_of_birth=wrong))
    assert "business has none" in refused(account(date_of_birth="1980-02-29"))["bank.date_of_birth"]


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        ("email", "pay@quay.example", "pay"), ("phone", "+61-412-345-678", "0412 345 678"),
        ("abn", "51 824 753 556", "51 824 753 557"), ("org_id", "quay.example", "q"),
    ],
)  # fmt: skip
def test_a_payid_stands_for_an_australian_account(kind: str, good: str, bad: str) -> None:
    instead = {"bsb_code": ..., "account_number": ..., "alias_type": kind}
    assert read(account("AUD", alias=good, **instead)).hint == "AU PayID"
    assert "bank.alias" in refused(account("AUD", alias=bad, **instead))
    assert "bank.alias" in refused(account("AUD", "swift", alias=good, alias_type=kind))
    assert "bank.alias_type" in refused(account("AUD", alias=good, bsb_code=..., account_number=...))


# --- countries ---------------------------------------------------------------------------------------------------------


def test_every_listed_country_is_known_here_refused_or_warned_about() -> None:
    ours = {name: code for code, name in {**sanctions.SANCTIONED, **sanctions.HIGH_RISK}.items()}
    aliases = {"Syrian Arab Republic": "Syria"}
    documented = {aliases.get(name, name) for name in [*LISTED, *FATF]} | set(SANCTIONED[:4])
    assert set(ours) == documented
    assert set(ours.values()) <= COUNTRIES
    assert not set(sanctions.SANCTIONED) & set(sanctions.HIGH_RISK)


def test_the_comprehensively_sanctioned_are_refused_whatever_the_rail() -> None:
    assert set(sanctions.SANCTIONED.values()) == set(SANCTIONED[:4])
    for country in sanctions.SANCTIONED:
        content = account("EUR", "swift")
        content["destination"]["country"] = content["bank"]["bank_country"] = country
        assert "comprehensively sanctioned" in refused(content)["destination.country"]
        lives = account(address={**account()["bank"]["address"], "country": country.lower()})
        assert "sanctioned" in refused(lives)["bank.address.country"]


def test_the_sanctioned_regions_are_refused_by_the_words_of_an_address() -> None:
    named = re.match(r"(\w+), (\w+), (\w+) regions", SANCTIONED[4])
    assert named is not None
    assert set(named.groups()) == set(sanctions.SANCTIONED_REGIONS)
    for region in sanctions.SANCTIONED_REGIONS:
        said = sanctions.region_refusal("UA", "Main street 1", f"{region} oblast")
        assert said is not None
        assert "Main street" not in said
        assert sanctions.region_refusal("DE", region) is None
    home = {**account()["bank"]["address"], "country": "ua", "city": "Sevastopol"}
    assert "sanctioned" in refused(account(address=home))["bank.address"]
    assert "Crimea" in str(sanctions.country_warning("UA"))
    assert sanctions.country_warning("DE") is None


def test_a_listed_high_risk_country_is_warned_about_and_not_refused() -> None:
    content = account("EUR", "swift", iban="GR1601101250000000012300695", swift_code="ETHNGRAA", bank_country="GR")
    content["destination"]["country"] = "GR"
    assert "Greece is on Stables' list" in read(content).warnings[0]


# --- words -------------------------------------------------------------------------------------------------------------


def test_every_word_stables_has_for_a_customer_has_a_sentence() -> None:
    level = SCHEMAS["VerificationLevelResponse"]["properties"]
    assert set(level["level"]["enum"]) == set(stables_words.LEVELS)
    assert set(level["status"]["enum"]) == set(stables_words.LEVEL_STATUSES)
    assert set(level["sub_status"]["items"]["enum"]) == set(stables_words.SUB_STATUSES)
    entitlement = SCHEMAS["GetCustomerResponse"]["properties"]["entitlements"]["items"]["properties"]["status"]
    assert set(entitlement["enum"]) == set(stables_words.ENTITLEMENT_STATUSES)
    assert {"base_payout", "virtual_account"} <= set(stables_words.ENTITLEMENTS)


@pytest.mark.parametrize(
    ("kind", "schema"),
    [("individual", "CreateIndividualWithVerificationLink"), ("business", "CreateBusinessWithVerificationLink")],
)
def test_a_merchants_form_has_the_providers_fields_less_the_documents(kind: str, schema: str) -> None:
    documented = set(SCHEMAS[schema]["properties"]) - {"ttl_in_secs", "redirect"}
    assert merchant_form.FIELDS[kind] == documented - merchant_form.HOSTED_ONLY - merchant_form.OURS


def test_every_table_says_when_and_where_it_was_read() -> None:
    for table in (corridors, purpose_codes, sanctions, bank_fields):
        assert table.CHECKED_ON == TODAY
        assert table.SOURCE
