"""Faults in the body: invalid JSON, invalid amounts, and good responses that are hard to show."""

import json
import re
from collections.abc import Callable
from typing import Final

from balcli.sandbox.faults import Fault, rows_of, with_amount, with_body

_AMOUNT: Final = re.compile(rb'"(total|balance)":"([0-9.]+)",?')
_LOOPRING_ALONE: Final = {"loopring": 6}
_LONG: Final = "123456789012345678901234567890.123456789012345678"


def _more(text: str) -> Callable[[bytes], bytes]:
    """The body with this JSON text added as the last member or item."""
    return lambda body: (
        body[:-1] + (b',"more":' if body.startswith(b"{") else b",") + text.encode() + body[-1:]
    )


def _more_in_rows(**fields: object) -> Callable[[bytes], bytes]:
    """The body with these fields added to each row, and to the object around the rows."""

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


def _no_amount(text: str) -> Fault:
    return Fault(f"an amount is {text}", 6, with_amount(text))


DOCUMENTS: Final = {
    "empty": _not_json("an empty body", lambda _body: b""),
    "bom": _not_json("a byte order mark before the JSON", lambda body: b"\xef\xbb\xbf" + body),
    "utf-16": _not_json("JSON in UTF-16", lambda body: body.decode().encode("utf-16")),
    "bytes": _not_json("JSON with bytes that are no UTF-8", lambda body: body.replace(b'":"', b'":"\xff', 1)),
    "twins": _not_json(
        "an amount that stands twice, with two values", lambda body: _AMOUNT.sub(rb'"\1":"0","\1":"\2",', body, count=1)
    ),
    "two": _not_json("two documents in one body", lambda body: body + body),
    "number": _not_json("a number for the whole body", lambda _body: b"1000000"),
    "nan": _not_json("NaN in the JSON", _more("NaN")),
    "digits": Fault("an integer of 5,000 digits in the JSON", 6, with_amount("9" * 5000)),
    "exponent": Fault("1E+1000000 for an amount", 6, with_amount("1E+1000000")),
    "deep": _not_json("100,000 brackets one in the other", _more("[" * 100_000 + "]" * 100_000)),
}  # fmt: skip

AMOUNTS: Final = {
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
    "small": Fault("an amount is the number 1e-18", 0, with_amount("1e-18"), but=_LOOPRING_ALONE),
    "long": Fault(f"an amount is {_LONG}", 0, with_amount(f'"{_LONG}"'), but=_LOOPRING_ALONE),
    "units": Fault("an amount has 48 digits and no point", 0, with_amount(f'"{_LONG.replace(".", "")}"')),
    "minus-zero": Fault("an amount is -0", 0, with_amount('"-0"')),
    "decorations": Fault(
        "addresses and display names that cannot be read", 0,
        with_body(_more_in_rows(depositAddress={"XRP": None}, canDeposit="yes", assetName=[])),
    ),
    "unread": Fault(
        "funds in settlement, in a field of which nothing is known", 0, with_body(_more_in_rows(settlementBalance="12"))
    ),
}  # fmt: skip
