"""Faults in the body: JSON that is none, amounts that are none, and good answers that are hard to show."""

import json
import re
from collections.abc import Callable, Iterable
from typing import Any, Final

from balcli.sandbox.faults.fault import Fault, with_body

_AMOUNT: Final = re.compile(rb'"(total|balance)":"([0-9.]+)",?')
_LOOPRING_ALONE: Final = {"loopring": 6}
_LONG: Final = "123456789012345678901234567890.123456789012345678"

NAMES: Final = (
    "[bold red]RICH[/]", "x[/]", "ESC\x1b[2J", "OSC\x1b]8;;http://elsewhere.example\x07", "OSC\x1b]52;c;AAAA\x07", "C1\x9b31m",
    "CR\rEVIL", "NUL\x00", "two\nlines", "TAB\tbed", "line\u2028end", "\u202eIDIB", "zero\u200bwidth",
    "=HYPERLINK(1)", "ﷺ", "💰", "N" * 10_000,
)  # fmt: skip
"""Names of assets that a terminal, a spreadsheet or a parser might take for something else."""


def amount_put(text: str) -> Callable[[bytes], bytes]:
    """The body with this JSON text as its first amount; "" leaves the amount out."""

    def make(body: bytes) -> bytes:
        def put(found: re.Match[bytes]) -> bytes:
            end = b"," if found[0].endswith(b",") else b""
            return b'"' + found[1] + b'":' + text.encode() + end if text else b""

        return _AMOUNT.sub(put, body, count=1)

    return make


def _more(text: str) -> Callable[[bytes], bytes]:
    """The body with this JSON text as one more member or item at its end."""
    return lambda body: (
        body[:-1] + (b',"more":' if body.startswith(b"{") else b",") + text.encode() + body[-1:]
    )


def rows_of(payload: Any) -> list[dict[str, Any]]:
    """The rows of any provider's balances or tokens; none where the answer has none."""
    while isinstance(payload, dict):
        payload = payload.get("data", payload.get("balances"))
    rows: list[dict[str, Any]] = payload or []
    return rows


def renamed(body: bytes, names: Iterable[str] = NAMES) -> bytes:
    """The body with these names for its assets, and a copy of its first row for each that is left."""
    payload = json.loads(body)
    rows = rows_of(payload)
    first = dict(rows[0])
    key = "symbol" if "symbol" in first else "asset"
    for number, name in enumerate(names):
        if number == len(rows):
            if key == "symbol":
                break
            rows.append(dict(first))
        rows[number][key] = name
    return json.dumps(payload).encode()


def _doubled(body: bytes) -> bytes:
    """The body with its first row twice."""
    payload = json.loads(body)
    rows_of(payload).append(dict(rows_of(payload)[0]))
    return json.dumps(payload, separators=(",", ":")).encode()


def _more_in_rows(**fields: object) -> Callable[[bytes], bytes]:
    """The body with these fields in each row, and in the object around the rows."""

    def make(body: bytes) -> bytes:
        payload = json.loads(body)
        for row in rows_of(payload):
            row.update(fields)
        if isinstance(payload, dict) and isinstance(payload["data"], dict):
            payload["data"] |= fields
        return json.dumps(payload, separators=(",", ":")).encode()

    return make


def _not_json(about: str, make: Callable[[bytes], bytes]) -> Fault:
    return Fault(about, 6, with_body(make))


def _no_amount(text: str, about: str = "", **but: int) -> Fault:
    return Fault(about or f"an amount is {text}", 6, with_body(amount_put(text)), but=but)


DOCUMENTS: Final = {
    "empty": _not_json("an empty body", lambda _body: b""),
    "bom": _not_json("a byte order mark before the JSON", lambda body: b"\xef\xbb\xbf" + body),
    "utf-16": _not_json("JSON in UTF-16", lambda body: body.decode().encode("utf-16")),
    "bytes": _not_json("JSON with bytes that are no UTF-8", lambda body: body.replace(b'":"', b'":"\xff', 1)),
    "twins": _not_json(
        "an amount that stands twice, with two values", lambda body: _AMOUNT.sub(rb'"\1":"0","\1":"\2",', body, count=1)
    ),
    "two": _not_json("two documents in one body", lambda body: body + body),
    "half": _not_json("half of the JSON, in good framing", lambda body: body[: len(body) // 2]),
    "number": _not_json("a number for the whole body", lambda _body: b"1000000"),
    "nan": _not_json("NaN in the JSON", _more("NaN")),
    "digits": _not_json("an integer of 5,000 digits in the JSON", amount_put("9" * 5000)),
    "exponent": _not_json("1E+1000000 for an amount", amount_put("1E+1000000")),
    "deep": _not_json("100,000 brackets one in the other", _more("[" * 100_000 + "]" * 100_000)),
}  # fmt: skip

AMOUNTS: Final = {
    "amount": _no_amount('"1_000"'),
    "amount-missing": _no_amount("", "an amount is missing; a wallet's is then unknown", wallet=0),
    "amount-null": _no_amount("null", "an amount is null; a wallet's is then unknown", wallet=0),
    "amount-true": _no_amount("true"),
    "amount-list": _no_amount('["5"]'),
    "amount-arabic": _no_amount('"\\u0661\\u0662"'),
    "amount-blanks": _no_amount('" 1 "'),
    "amount-comma": _no_amount('"1,000"'),
    "amount-hex": _no_amount('"0x10"'),
    "amount-empty": _no_amount('""'),
    "amount-plus": _no_amount('"+1"'),
    "amount-point": _no_amount('".5"'),
}

HARD: Final = {
    "small": Fault("an amount is the number 1e-18", 0, with_body(amount_put("1e-18")), but=_LOOPRING_ALONE),
    "long": Fault(f"an amount is {_LONG}", 0, with_body(amount_put(f'"{_LONG}"')), but=_LOOPRING_ALONE),
    "units": Fault(
        "an amount has 48 digits and no point", 0, with_body(amount_put(f'"{_LONG.replace(".", "")}"'))
    ),
    "minus": Fault("an amount is -5", 0, with_body(amount_put('"-5"'))),
    "minus-zero": Fault("an amount is -0", 0, with_body(amount_put('"-0"'))),
    "decorations": Fault(
        "addresses and display names that cannot be read", 0,
        with_body(_more_in_rows(depositAddress={"XRP": None}, canDeposit="yes", assetName=[])),
    ),
    "unread": Fault(
        "funds in settlement, in a field of which nothing is known", 0, with_body(_more_in_rows(settlementBalance="12"))
    ),
    "repeated": Fault("an asset stands twice", 0, with_body(_doubled)),
    "names": Fault("assets named to fool a terminal or a spreadsheet", 0, with_body(renamed), "names"),
}  # fmt: skip
