"""The forms of bank fields: check digits worked out a second time, every slip of one digit found, no value ever quoted."""

from __future__ import annotations

import string
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from checkout.destinations import bank_fields
from checkout.destinations.sanctions import SANCTIONED_REGIONS
from checkout.enrolling.account_form import read_account
from checkout.errors import RequestRefused
from tests.account_samples import EXTRAS, account

TODAY = date(2026, 11, 21)
DIGITS = st.sampled_from("0123456789")
#: Country → the digits of a BBAN of only digits.
IBAN_DIGITS = {"DE": 18, "AT": 16, "ES": 20, "PT": 21, "DK": 14, "AE": 19, "FI": 14, "BE": 12}
CODES = sorted(bank_fields.CODES)


def iban(country: str, bban: str) -> str:
    """ISO 13616's own rule: letters are numbers from ten, and the whole leaves one when divided by 97."""
    moved = bban + country + "00"
    number = int("".join(str(int(one, 36)) for one in moved))
    return f"{country}{98 - number % 97:02d}{bban}"


def another_digit(text: str, place: int, step: int) -> str:
    digit = str((int(text[place]) + step) % 10)
    return text[:place] + digit + text[place + 1 :]


def problem(name: str, text: str, country: str) -> str | None:
    return bank_fields.form_problems({name: text}, country).get(f"bank.{name}")


@settings(deadline=None)
@given(st.sampled_from(sorted(IBAN_DIGITS)), st.data())
def test_an_iban_holds_and_no_other_digit_does(country: str, data: st.DataObject) -> None:
    length = IBAN_DIGITS[country]
    good = iban(country, "".join(data.draw(st.lists(DIGITS, min_size=length, max_size=length))))
    assert problem("iban", good, country) is None
    place, step = data.draw(st.integers(2, len(good) - 1)), data.draw(st.integers(1, 9))
    slip = another_digit(good, place, step)
    same_rest = int(slip[2:4]) % 97 == int(good[2:4]) % 97 and slip[4:] == good[4:]  # 00 and 97 leave the same
    assert problem("iban", slip, country) is not None or same_rest
    assert problem("iban", good[:-1], country) is not None
    assert problem("iban", good + "0", country) is not None


def test_an_iban_is_of_its_banks_country_and_only_where_there_are_any() -> None:
    german = "DE89370400440532013000"
    assert "begins with FR" in str(problem("iban", german, "FR"))
    assert "no IBAN" in str(problem("iban", german, "US"))
    assert problem("iban", "GB29NWBK60161331926819", "JE") is None
    assert "begins with FR" in str(problem("iban", german, "GP"))
    assert bank_fields.uses_iban("DE")
    assert bank_fields.uses_iban("IM")
    assert not bank_fields.uses_iban("US")
    assert not bank_fields.uses_iban("SG")


@settings(deadline=None)
@given(
    st.text("0123456789", min_size=8, max_size=8).filter(lambda text: int(text[:2]) <= 12 and int(text) > 0), st.data()
)
def test_an_aba_number_has_one_check_digit(text: str, data: st.DataObject) -> None:
    total = 3 * sum(int(text[place]) for place in (0, 3, 6)) + 7 * sum(int(text[place]) for place in (1, 4, 7))
    total += int(text[2]) + int(text[5])
    good = text + str(-total % 10)
    assert bank_fields.aba_problem(good) is None
    assert (
        bank_fields.aba_problem(another_digit(good, data.draw(st.integers(2, 8)), data.draw(st.integers(1, 9))))
        is not None
    )


@pytest.mark.parametrize("text", ["", "02100002", "0210000210", "02100002A", "000000000", "990000003", "５21000021"])
def test_what_is_no_aba_number_is_refused(text: str) -> None:
    assert bank_fields.aba_problem(text) is not None


#: Head offices, as their banks publish them.
@pytest.mark.parametrize(
    "code",
    ["102100099996", "103100000026", "104100000004", "105100000017", "301290000007", "308584000013", "403100000004"],
)
def test_the_cnaps_codes_of_great_banks_hold(code: str) -> None:
    assert bank_fields.cnaps_problem(code) is None


@settings(deadline=None)
@given(st.text("0123456789", min_size=11, max_size=11), st.data())
def test_a_cnaps_code_has_one_check_digit(text: str, data: st.DataObject) -> None:
    good = [text + digit for digit in string.digits if bank_fields.cnaps_problem(text + digit) is None]
    assert len(good) == 1
    slip = another_digit(good[0], data.draw(st.integers(0, 11)), data.draw(st.integers(1, 9)))
    assert bank_fields.cnaps_problem(slip) is not None
    assert bank_fields.cnaps_problem(good[0][:-1]) is not None


@settings(deadline=None)
@given(st.integers(10**8, 10**9 - 1), st.data())
def test_an_abn_has_two_check_digits(base: int, data: st.DataObject) -> None:
    rest = str(base)
    weights = (3, 5, 7, 9, 11, 13, 15, 17, 19)
    total = sum(weight * int(digit) for weight, digit in zip(weights, rest, strict=True))
    first_two = [f"{lead}" for lead in range(11, 100) if (total + 10 * (lead // 10 - 1) + lead % 10) % 89 == 0]
    for lead in first_two:
        good = lead + rest
        assert bank_fields.abn_problem(good) is None
        slip = another_digit(good, data.draw(st.integers(1, 10)), data.draw(st.integers(1, 9)))
        assert bank_fields.abn_problem(slip) is not None


@pytest.mark.parametrize("code", ["COBADEFF", "COBADEFFXXX", "DEUTDEDB110"])
def test_a_bic_of_the_country_holds(code: str) -> None:
    assert problem("swift_code", code, "DE") is None
    assert problem("bic_code", code, "DE") is None
    assert "fifth and sixth" in str(problem("swift_code", code, "FR"))


@pytest.mark.parametrize("code", ["", "COBADEF", "COBADEFFX", "COBAD1FF", "C0BADEFFXXXX", "COBAXXFF"])
def test_what_is_no_bic_is_refused(code: str) -> None:
    assert bank_fields.bic_problem(code, "DE") is not None


def test_two_names_of_one_code_must_agree() -> None:
    both = {"swift_code": "COBADEFF", "bic_code": "COBADEFFXXX"}
    assert bank_fields.form_problems(both, "DE") == {}
    assert "bank.bic_code" in bank_fields.form_problems({**both, "bic_code": "DEUTDEDB110"}, "DE")


@pytest.mark.parametrize(
    ("name", "country", "good", "bad"),
    [
        ("bsb_code", "AU", ["633333", "062000"], ["63333", "6333333", "63333A", ""]),
        ("sort_code", "GB", ["601613", "000000"], ["60161", "6016133", "60161X"]),
        ("sort_code", "JE", ["601613"], ["1"]),
        (
            "ifsc_code",
            "IN",
            ["HDFC0000001", "SBIN0AB12C3"],
            ["HDFC1000001", "HDF00000001", "HDFC000001", "HDFC00000012"],
        ),
        ("account_number", "GB", ["31926819"], ["3192681", "319268190", "3192681A"]),
        ("account_number", "US", ["1234", "12345678901234567"], ["123", "123456789012345678"]),
        ("account_number", "AU", ["1111111111"], ["123", "11111111111"]),
        ("account_number", "IN", ["123456789"], ["12345678"]),
        ("account_number", "CN", ["6222020200012345678"], ["1234567"]),
        ("account_number", "NZ", ["0102420100194000", "AB12"], ["A" * 35, "A.B"]),
        ("bank_code", "HK", ["004"], ["04", "0004"]),
        ("bank_code", "SG", ["7171"], ["717"]),
        ("bank_code", "TH", ["004"], ["4"]),
        ("bank_code", "ID", ["014"], ["14"]),
        ("bank_code", "NZ", ["01"], ["0123456789012"]),
        ("branch_code", "TH", ["0001"], ["1"]),
        ("branch_code", "HK", ["001"], ["1"]),
    ],
)
def test_codes_and_numbers_have_their_countrys_form(name: str, country: str, good: list[str], bad: list[str]) -> None:
    assert [one for one in good if problem(name, one, country) is not None] == []
    assert [one for one in bad if one and problem(name, one, country) is None] == []


@pytest.mark.parametrize(
    ("name", "country"),
    [("aba_code", "US"), ("sort_code", "GB"), ("bsb_code", "AU"), ("ifsc_code", "IN"), ("cnaps", "CN")],
)
def test_a_code_of_another_country_is_left_out(name: str, country: str) -> None:
    assert f"only accounts in {country} have one" in str(problem(name, "1", "DE"))


@settings(deadline=None)
@given(st.sampled_from(["DE89370400440532013000", "GB29NWBK60161331926819"]), st.lists(st.integers(0, 21), max_size=6))
def test_spaces_hyphens_and_small_letters_make_no_difference(text: str, gaps: list[int]) -> None:
    written = text.lower()
    for place in gaps:
        written = written[:place] + " -"[place % 2] + written[place:]
    assert bank_fields.tidy({"iban": written}) == {"iban": text}


@settings(deadline=None)
@given(
    st.dictionaries(st.sampled_from(CODES), st.text("0123456789ABCXYZ!", min_size=6, max_size=40), min_size=1),
    st.sampled_from(["DE", "US", "HK"]),
)
def test_no_complaint_about_a_field_quotes_it(bank: dict[str, str], country: str) -> None:
    said = " ".join(bank_fields.form_problems(bank, country).values()).lower()
    assert [text for text in bank.values() if text.strip().lower() in said and text.strip()] == []


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=6,
)


def refusals(content: object) -> set[str]:
    """The fields it is refused for; none when it is accepted."""
    try:
        read_account(content, today=TODAY, extras_required=True)
    except RequestRefused as refused:
        return set(refused.fields)
    return set()


PARTS = ["name", "stables_customer_id", "source", "destination", "bank", "purpose_code"]


@settings(deadline=None)
@given(st.sampled_from(PARTS), JSON)
def test_a_malformed_part_is_refused_by_name_and_breaks_nothing(part: str, value: object) -> None:
    refused = refusals({**account(), part: value})
    assert all(name.split(".")[0] in PARTS for name in refused)
    assert refused or part == "name"


@settings(deadline=None)
@given(st.sampled_from([*sorted(account()["bank"]), "swift_code", "alias", "date_of_birth"]), JSON)
def test_a_malformed_bank_field_is_refused_by_name_and_breaks_nothing(name: str, value: object) -> None:
    refused = refusals(account("EUR", "bank", **{name: value}))
    assert all(one.startswith("bank.") for one in refused)
    assert refused or isinstance(value, str | dict)


@settings(deadline=None)
@given(JSON)
def test_an_account_that_is_no_object_is_refused(content: object) -> None:
    with pytest.raises(RequestRefused):
        read_account(content, today=TODAY, extras_required=False)


def test_every_bad_field_is_named_at_once_with_its_fix() -> None:
    content = {
        "name": "", "stables_customer_id": "x", "source": {"currency": "USDC", "network": "tron"}, "colour": "red",
        "destination": {"currency": "EUR", "country": "DE", "network": "bank"}, "purpose_code": "GIFT",
        "bank": {
            "account_holder_name": "Quayside", "bank_country": "FR", "currency": "USD", "iban": "DE8937040044053201300",
            "bsb_code": "633333", "bic_code": "COBA", "recipient_type": "club", "address": {"street": "1", "moon": "x"},
        },
    }  # fmt: skip
    with pytest.raises(RequestRefused) as caught:
        read_account(content, today=TODAY, extras_required=True)
    assert set(caught.value.fields) == {
        "name", "stables_customer_id", "source.network", "colour", "purpose_code", "bank.bank_name", "bank.bank_country",
        "bank.currency", "bank.iban", "bank.bsb_code", "bank.bic_code", "bank.recipient_type", "bank.address.city",
        "bank.address.state", "bank.address.postal_code", "bank.address.country", "bank.address.moon",
    }  # fmt: skip
    assert "8937040044" not in str(caught.value)


def test_the_regions_words_are_single_words_in_small_letters() -> None:
    for words in SANCTIONED_REGIONS.values():
        assert all(word == word.lower() and word.isalpha() for word in words)
    assert EXTRAS["recipient_type"] == "business"
