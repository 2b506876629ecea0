"""What is sealed opens again with any of the keys, and with nothing else."""

from __future__ import annotations

import base64

import pytest
from cryptography.fernet import Fernet
from hypothesis import given
from hypothesis import strategies as st

from checkout.errors import KeyRefused
from checkout.sealing import (
    Sealer,
    data_key_problem,
    generate_data_key,
    same,
    secret_hash,
    token,
    token_hash,
)

#: Fixed, because they name tests: two processes must find the same ones.
OLD, NEW = "b2xkb2xkb2xkb2xkb2xkb2xkb2xkb2xkb2xkb2xkb2w=", "bmV3bmV3bmV3bmV3bmV3bmV3bmV3bmV3bmV3bmV3bmU="


@given(st.binary(max_size=2000))
def test_what_is_sealed_opens_again(plain: bytes) -> None:
    sealer = Sealer([NEW, OLD])
    sealed = sealer.seal(plain)

    assert sealer.open(sealed) == plain
    assert len(plain) < 8 or plain not in sealed
    assert sealer.seal(plain) != sealed


@given(st.text(max_size=200))
def test_text_is_sealed_as_utf8(plain: str) -> None:
    sealer = Sealer([NEW])

    assert sealer.open_text(sealer.seal_text(plain)) == plain


def test_the_first_key_seals_and_every_key_opens() -> None:
    before, during, after = Sealer([OLD]), Sealer([NEW, OLD]), Sealer([NEW])

    assert during.open(before.seal(b"iban")) == b"iban"
    assert after.open(during.seal(b"iban")) == b"iban"
    with pytest.raises(KeyRefused, match="CHECKOUT_DATA_KEY"):
        after.open(before.seal(b"iban"))


def test_an_altered_seal_is_refused() -> None:
    sealer = Sealer([NEW])
    sealed = bytearray(sealer.seal(b"iban"))
    sealed[30] ^= 1

    for broken in (bytes(sealed), b"", b"not sealed", "é".encode()):
        with pytest.raises(KeyRefused):
            sealer.open(broken)


@pytest.mark.parametrize(
    "key",
    [
        "",
        "short",
        "=" * 44,
        OLD[:-1],
        OLD + "=",
        OLD + "\n",
        "é" * 44,
        base64.b64encode(b"\xff" * 32).decode(),
    ],
)
def test_what_is_no_fernet_key_is_refused_without_showing_it(key: str) -> None:
    problem = data_key_problem(key)

    assert problem is not None
    assert len(key) < 6 or key not in problem
    with pytest.raises(KeyRefused) as refused:
        Sealer([NEW, key])
    assert str(refused.value) == problem


def test_a_sealer_needs_a_key() -> None:
    with pytest.raises(KeyRefused, match="at least one"):
        Sealer([])


def test_a_generated_key_is_a_fernet_key() -> None:
    assert data_key_problem(OLD) is None
    assert Fernet(NEW).decrypt(Sealer([NEW]).seal(b"x")) == b"x"
    assert OLD != NEW
    assert OLD not in repr(Sealer([OLD]))


def test_a_token_is_128_random_bits_and_safe_in_a_url() -> None:
    tokens = {token() for _ in range(100)}

    assert len(tokens) == 100
    for text in tokens:
        assert len(base64.urlsafe_b64decode(text + "==")) == 16
        assert text.replace("-", "").replace("_", "").isalnum()


def test_hashes_are_fixed_because_rows_are_found_by_them() -> None:
    assert token_hash("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert secret_hash("abc") != token_hash("abc")
    assert secret_hash("abc") == "11c23d4086189b8566a896a57a5c3947d2e5677c89ccf8252a3da46ee214b3e4"
    assert len(secret_hash("")) == 64


@given(st.text(), st.text())
def test_same_is_equality(left: str, right: str) -> None:
    assert same(left, left)
    assert same(left, right) is (left == right)


def test_lone_surrogates_compare_and_hash_without_raising() -> None:
    assert same("\udcff", "\udcff")
    assert not same("\udcff", "ÿ")
    assert token_hash("\udcff") != secret_hash("\udcff")


def test_a_generated_key_is_a_good_one_and_a_new_one_each_time() -> None:
    keys = {generate_data_key(), generate_data_key()}
    assert len(keys) == 2
    assert {data_key_problem(key) for key in keys} == {None}
