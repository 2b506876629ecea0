"""A statement as a page of text, and as CSV: two forms of the document that :mod:`checkout.explaining.statements` makes.

The page fits a printed sheet in a fixed-width face. In the CSV every row says what it is, amounts are plain decimals, and no
cell starts a formula in whatever opens the file.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from checkout.rules.statements import UNEXPLAINED

WIDTH: Final = 118
COLUMNS: Final = (
    "kind", "payout", "record", "order", "payment", "deposit", "reference", "name", "currency", "amount", "fee",
    "crossed", "asset", "asset_share", "credit_currency", "credit_share", "note",
)  # fmt: skip
#: What a spreadsheet would run.
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")

Document = Mapping[str, Any]


def page(statement: Document) -> str:
    """One payout's statement to print."""
    return "\n\n".join("\n".join(block) for block in _payout_blocks(statement) if block)


def period_page(statement: Document) -> str:
    """A period's statement: the accounts first, then every payout."""
    head = [
        f"STATEMENT OF {statement['name']}",
        f"from {statement['from']} to {statement['to']} (the end is not part of it)",
    ]
    accounts = _grid(
        ("account", "asset", "opening", "received", "given", "closing"),
        [
            (one["book"], one["asset"], one["opening"], one["received"], one["given"], one["closing"])
            for one in statement["accounts"]
        ],
        right=4,
    )
    totals = _grid(
        ("sent", "asset", "credited", "currency", "payouts"),
        [
            (one["sent"], f"{one['asset']} on {one['network']}", one["credited"], one["currency"], str(one["payouts"]))
            for one in statement["totals"]
        ],
    )
    blocks = [
        head,
        ["ACCOUNTS", *accounts] if accounts else ["No account moved."],
        ["PAYOUTS CREDITED", *totals] if totals else ["No payout was credited."],
        _differences(statement["differences"]),
    ]
    rest = [page(one) for one in statement["payouts"]]
    return f"\n\n{'=' * WIDTH}\n".join(["\n\n".join("\n".join(one) for one in blocks), *rest])


def _payout_blocks(statement: Document) -> Iterator[list[str]]:
    asset = statement["asset"]
    yield [
        f"STATEMENT OF PAYOUT {statement['id']}",
        f"state {statement['state']}, proposed {statement['created_at']}, sends {statement['sent']} {asset} "
        f"on {statement['network']}",
    ]
    credit = statement["credit"]
    heads = ("order", "deposit", "", "settled", "fee", "crossed", asset, credit["currency"] if credit else "credit")
    rows = [
        (
            _printable(one["order"], 24), _printable(one["reference"], 20), one["currency"], one["settled"],
            one["stable_mint_fee"], one["crossed"], one["asset_share"], one["credit_share"] or "-",
        )
        for one in statement["lines"]
    ]  # fmt: skip
    totals = statement["totals"]
    for position, one in enumerate(totals["orders"]):
        last = position == len(totals["orders"]) - 1
        shared = (totals["asset"], totals["credit"] or "-") if last else ("", "")
        rows.append(("TOTAL", "", one["currency"], one["settled"], one["stable_mint_fee"], one["crossed"], *shared))
    yield ["ORDERS", *_grid(heads, rows, right=5)]
    yield (
        [
            "SETTLEMENT RECORDS",
            *(
                f"{one['id']}  {one['received']} {one['asset']} on {one['network']} for {one['currency']} {one['deposits']}, "
                f"fee {one['fee']}; {one['kind']} by {one['by']}: {_printable(one['evidence'], 60)}"
                for one in statement["records"]
            ),
        ]
        if statement["records"]
        else []
    )
    yield _bank_block(statement)
    yield _differences(statement["differences"])


def _bank_block(statement: Document) -> list[str]:
    credit, told = statement["credit"], statement["provider"]
    if credit is None:
        return ["BANK CREDIT", "not known yet"]
    said = [("BANK CREDIT", ""), (f"{credit['is']} ({_printable(credit['evidence'], 60)})", credit["amount"])]
    if told is None:
        return [_entry(*one) for one in said]
    rows: list[tuple[str, str]] = [
        (f"{statement['sent']} {statement['asset']} at the provider's rate {told['rate']}", told["gross"])
    ]
    for fee in told["fees"]:
        taken = "-" if fee["in_credit"] is None else f"-{fee['in_credit']}"
        rows.append((f"{fee['name'].replace('_', ' ')}, stated as {fee['currency']} {fee['amount']}", taken))
    rows.append(
        (UNEXPLAINED + (" (above the limit: there is a case)" if told["over_limit"] else ""), told["unexplained"])
    )
    rows.append((f"bank credit, {said[1][0]}", credit["amount"]))
    return [f"BANK CREDIT in {credit['currency']}", *(_entry(*one) for one in rows), *told["notes"]]


def _differences(found: Mapping[str, Any]) -> list[str]:
    if not found:
        return ["Difference in our own arithmetic: 0"]
    return ["OUR OWN ARITHMETIC DIFFERS:", *(f"  {name}: {value}" for name, value in found.items())]


def _entry(text: str, amount: str) -> str:
    return f"  {text:<90}{amount:>20}".rstrip()


def _grid(heads: Sequence[str], rows: Sequence[Sequence[str]], *, right: int = 0) -> list[str]:
    """Aligned columns; the last ``right`` of them to the right."""
    if not rows:
        return []
    table = [[head.upper() for head in heads], *([str(cell) for cell in row] for row in rows)]
    widths = [max(len(row[column]) for row in table) for column in range(len(heads))]
    first_right = len(heads) - right
    return [
        "  ".join(
            cell.rjust(width) if column >= first_right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in table
    ]


def _printable(text: str, width: int) -> str:
    """Text of strangers, without what could move a cursor, cut to a column."""
    shown = "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in text)
    return shown if len(shown) <= width else shown[: width - 1] + "…"


# --- CSV ---------------------------------------------------------------------------------------------------------


def table(statements: Iterable[Document]) -> str:
    """The statements as one CSV: an ``order`` row per order, then what the provider stated, then the credit."""
    written = io.StringIO()
    writer = csv.DictWriter(written, COLUMNS, lineterminator="\r\n")
    writer.writeheader()
    for statement in statements:
        for row in _rows(statement):
            writer.writerow({name: _cell(row.get(name)) for name in COLUMNS})
    return written.getvalue()


def _rows(statement: Document) -> Iterator[Mapping[str, Any]]:
    about = {"payout": statement["id"]}
    for one in statement["lines"]:
        yield about | {
            "kind": "order", "record": one["record"], "order": one["order"], "payment": one["payment"],
            "deposit": one["deposit"], "reference": one["reference"], "currency": one["currency"],
            "amount": one["settled"], "fee": one["stable_mint_fee"], "crossed": one["crossed"], "asset": one["asset"],
            "asset_share": one["asset_share"], "credit_currency": one["credit_currency"],
            "credit_share": one["credit_share"],
        }  # fmt: skip
    for one in statement["records"]:
        yield about | {
            "kind": "record", "record": one["id"], "currency": one["currency"], "amount": one["deposits"],
            "fee": one["fee"], "asset": one["asset"], "asset_share": one["received"], "note": one["evidence"],
        }  # fmt: skip
    credit, told = statement["credit"], statement["provider"]
    yield about | {"kind": "sent", "asset": statement["asset"], "asset_share": statement["sent"]}
    if credit is None:
        return
    here = about | {"credit_currency": credit["currency"]}
    if told is not None:
        yield here | {"kind": "stated rate", "name": told["rate_of"], "amount": told["rate"]}
        yield here | {"kind": "gross at stated rate", "credit_share": told["gross"]}
        for fee in told["fees"]:
            taken = None if fee["in_credit"] is None else f"-{fee['in_credit']}"
            yield here | {"kind": "stated fee", "name": fee["name"], "currency": fee["currency"],
                          "amount": fee["amount"], "credit_share": taken}  # fmt: skip
        yield here | {"kind": UNEXPLAINED, "credit_share": told["unexplained"], "note": "; ".join(told["notes"])}
    yield here | {"kind": f"credit {credit['is']}", "credit_share": credit["amount"], "note": credit["evidence"]}
    for name, value in statement["differences"].items():
        yield about | {"kind": "difference", "name": name, "amount": str(value)}


def _cell(value: object) -> str:
    text = "" if value is None else str(value)
    if text.startswith(_FORMULA) and not _is_number(text):
        return "'" + text
    return text


def _is_number(text: str) -> bool:
    return text.lstrip("-").replace(".", "", 1).isdigit()
