"""Evidence by CSV: all bad lines at once, all or nothing, each line once."""

from __future__ import annotations

import threading

import pytest

from checkout.errors import IdempotencyReused, RequestRefused
from checkout.evidence_import import COLUMNS, FILE_BYTES_MAX, LINES_MAX, Taken
from checkout.store import stores
from checkout.treasury import Entered
from tests.system import System

HEADS = ",".join(COLUMNS)


def settled(system: System, amount: str = "9.00", word: str = "completed") -> str:
    session = system.sessions(system.pay(amount).payment.id)[0]
    system.hear(session, word, amount=float(amount))
    return str(session.reference)


def line(key: str, deposits: str, **changes: str) -> str:
    cells = {
        "key": key, "store": "Shop", "asset": "USDC", "network": "polygon", "amount": "9.71", "fee": "",
        "deposits": deposits, "evidence": "advice 17",
    } | changes  # fmt: skip
    return ",".join(cells[name] for name in COLUMNS)


def take(system: System, *lines: str) -> list[Taken]:
    return system.services.evidence_import.file("\r\n".join([HEADS, *lines]).encode(), who="ann")


def refused(system: System, *lines: str) -> dict[str, list[str]]:
    before = system.balances()
    with pytest.raises(RequestRefused) as error:
        take(system, *lines)
    assert system.balances() == before
    return error.value.fields


def test_a_file_makes_one_record_a_line_with_many_deposits_and_a_fee(system: System) -> None:
    one, two, three = settled(system), settled(system, "1.00"), settled(system, "2.00")
    taken = take(
        system, line("a", f"{one} {two}", amount="10.71", fee="0.29"), "", line("b", three, asset="usdc", amount="2")
    )
    assert [(made.line, made.key, made.new) for made in taken] == [(2, "a", True), (4, "b", True)]
    assert system.balances() == {
        "shopper_receivable/EUR": -1200, "stable_mint_fee/EUR": 29, "exchange/EUR": 1171,
        "exchange/USDC@polygon": -12_710_000, "treasury_free/USDC@polygon": 12_710_000,
    }  # fmt: skip


def test_the_same_file_again_changes_nothing_and_a_longer_one_adds_its_new_lines(system: System) -> None:
    one, two = settled(system), settled(system)
    first = take(system, line("a", one))
    before = system.balances()
    assert take(system, line("a", one)) == [Taken(2, "a", first[0].record, False)]
    assert system.balances() == before
    again = take(system, line("a", one), line("b", two))
    assert [made.new for made in again] == [False, True]


def test_every_bad_line_is_named_at_once_and_nothing_of_the_file_is_taken(system: System) -> None:
    good, late = settled(system), settled(system, word="accepted")
    known = settled(system)
    take(system, line("known", known))
    problems = refused(
        system,
        line("a", good),
        line("b", "NOT-THERE"),
        line("c", late),
        line("d", good),
        line("a", settled(system)),
        line("e", settled(system), amount="1e3", asset="DOGE", evidence="x"),
        line("f", settled(system), store="nobody"),
        line("known", known, amount="9.72"),
        line("g", settled(system), evidence=""),
        "one,two",
        line("h", settled(system), network="base"),
        line("i", settled(system), fee="9.01"),
        line("k" * 300, settled(system)),
        line("l", settled(system), evidence="e" * 1_001),
    )
    assert list(problems) == [f"line {number}" for number in (3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)]
    assert "NOT-THERE" in problems["line 3"][0]
    assert "not settled" in problems["line 4"][0]
    assert f"deposit {good} is in line 2 already" in problems["line 5"]
    assert "key a of Shop is in line 2 already" in problems["line 6"]
    assert "asset" in problems["line 7"][0]
    assert "nobody" in problems["line 8"][0]
    assert "has made set_" in problems["line 9"][0]
    assert problems["line 10"] == ["evidence is empty"]
    assert problems["line 11"] == ["has 2 cells, not 8"]
    assert "settlement rule" in problems["line 12"][0]
    assert "fee" in problems["line 13"][0]


@pytest.mark.parametrize(
    ("content", "where"),
    [
        (b"\xff\xfe", "file"),
        (b"", "line 1"),
        (b"key,store\r\na,b", "line 1"),
        (HEADS.encode(), "file"),
        (f'{HEADS}\r\n"a"b,c'.encode(), "line 2"),
        (f"{HEADS}\n".encode() + b"x,,,,,,,\n" * (LINES_MAX + 1), "file"),
        (b"a" * (FILE_BYTES_MAX + 1), "file"),
    ],
)
def test_what_is_no_such_file_is_refused_in_words(shared_system: System, content: bytes, where: str) -> None:
    with pytest.raises(RequestRefused) as error:
        shared_system.services.evidence_import.file(content, who="ann")
    assert set(error.value.fields) == {where}


def test_a_spreadsheets_mark_at_the_start_is_no_part_of_the_first_column(sqlite_system: System) -> None:
    content = b"\xef\xbb\xbf" + f"{HEADS}\n{line('a', settled(sqlite_system))}\n".encode()
    assert sqlite_system.services.evidence_import.file(content, who="ann")[0].new


def test_the_api_and_the_file_have_their_own_keys(sqlite_system: System) -> None:
    system = sqlite_system
    take(system, line("a", settled(system)))
    entered = Entered("USDC", "polygon", "9.71", "0", (settled(system),), "advice")
    record, new = system.services.evidence_import.request(system.store, "a", entered, who="treasury")
    assert new
    assert system.services.evidence_import.request(system.store, "a", entered, who="treasury") == (record, False)
    with pytest.raises(IdempotencyReused):
        system.services.evidence_import.request(
            system.store, "a", Entered("USDC", "polygon", "9.72", "0", entered.deposits, "advice"), who="treasury"
        )


def test_two_imports_of_one_file_at_once_make_each_record_once(system: System) -> None:
    lines = [line(f"k{number}", settled(system)) for number in range(4)]
    results: list[list[Taken]] = []

    def go() -> None:
        results.append(take(system, *lines))

    threads = [threading.Thread(target=go) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(sum(made.new for made in one) for one in results) == [0, 0, 4]
    assert len({tuple(made.record for made in one) for one in results}) == 1
    with system.database.read() as unit:
        assert stores.find_store(unit, "Shop") is not None
    assert system.balances()["treasury_free/USDC@polygon"] == 4 * 9_710_000
