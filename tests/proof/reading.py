"""The oracle for responses: the meaning of a provider's bytes, based on the contract and independent of balcli."""

import json
import re
from collections import Counter
from collections.abc import Callable
from typing import Any, Final, NoReturn, TypeAlias

from tests.proof.integers import read, read_units, written

Row: TypeAlias = tuple[str, str | None, str | None, str | None]
"""The asset, and the total, available and locked amount to show; None is unknown."""

_ID: Final = re.compile(r"0|[1-9][0-9]{0,9}")
_DEEPEST: Final = 100


class Refused(Exception):
    """The bytes are not a valid response."""


class _Digits(str):
    """A JSON number as its characters."""

    __slots__ = ()


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({key for key, _ in pairs}) < len(pairs):
        raise Refused
    return dict(pairs)


def _constant(_name: str) -> NoReturn:
    raise Refused


def document(body: bytes) -> Any:
    """The strict JSON document of a body. Raises Refused."""
    try:
        found = json.loads(
            body.decode("utf-8"), parse_int=_Digits, parse_float=_Digits, parse_constant=_constant, object_pairs_hook=_pairs
        )  # fmt: skip
    except (ValueError, RecursionError):
        raise Refused from None
    if body.startswith(b"\xef\xbb\xbf") or _depth(found) > _DEEPEST:
        raise Refused
    return found


def _depth(value: Any) -> int:
    levels, here = 0, [value]
    while here := [item for item in here if isinstance(item, dict | list)]:
        levels += 1
        here = [inner for item in here for inner in (item.values() if isinstance(item, dict) else item)]
    return levels


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Refused
    return value


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise Refused
    return value


def _name(value: Any) -> str:
    if not isinstance(value, str) or isinstance(value, _Digits) or not value:
        raise Refused
    _text(value)
    return value


def _text(value: Any) -> None:
    """Refuse a value that is present but not a text, or has an unpaired surrogate."""
    if value is not None and not isinstance(value, str):
        raise Refused
    if any("\ud800" <= character <= "\udfff" for character in value or ""):
        raise Refused


def _amount(value: Any, reader: Callable[[str], int] = read) -> int:
    if not isinstance(value, str):
        raise Refused
    try:
        return reader(str(value))
    except ValueError:
        raise Refused from None


def _known(value: Any) -> int | None:
    return None if value is None else _amount(value)


def _shown(value: int | None) -> str | None:
    return None if value is None else written(value)


_FAILURES: Final = {"error", "fail", "failed", "failure", "unauthorized", "forbidden"}


def _whole(value: Any) -> int | None:
    """The integer in a number or a text of digits; -1 for any other number."""
    if isinstance(value, _Digits):
        try:
            units, one = read(str(value)), read("1")
        except ValueError:
            return -1
        return units // one if units % one == 0 else -1
    return int(value) if isinstance(value, str) and re.fullmatch("[0-9]{1,80}", value) else None


def refuse_marked(answer: dict[str, Any]) -> None:
    """Raise Refused for a response that says that it is an error."""
    parts = [answer, *([answer["data"]] if isinstance(answer.get("data"), dict) else [])]
    for part in parts:
        for key in ("error", "errors"):
            value = part.get(key)
            if value and not (isinstance(value, _Digits) and _whole(value) == 0):
                raise Refused
        if part.get("success") is False:
            raise Refused
    for key in ("code", "statusCode"):
        value = answer.get(key)
        if isinstance(value, bool | list | dict) or _whole(value) not in {None, 0, 200, 201}:
            raise Refused
    status = answer.get("status")
    if isinstance(status, _Digits) and read(status) >= read("400"):
        raise Refused
    words = [answer.get(key) for key in ("code", "status", "statusCode")]
    if any(isinstance(word, str) and word.lower() in _FAILURES for word in words):
        raise Refused


def merchant(body: bytes, _tokens: bytes) -> list[Row]:
    """The rows of a merchant's response. Raises Refused."""
    answer = _object(document(body))
    refuse_marked(answer)
    if _whole(answer.get("code")) != 200:
        raise Refused
    rows: list[Row] = []
    for item in _list(_object(answer.get("data")).get("balances")):
        row = _object(item)
        _text(row.get("assetId"))
        total, free, locked = (_shown(_amount(row.get(key))) for key in ("total", "free", "locked"))
        rows.append((_name(row.get("asset")), total, free, locked))
    return rows


def wallet(body: bytes, _tokens: bytes) -> list[Row]:
    """The rows of a wallet's response. Raises Refused."""
    answer = _object(document(body))
    refuse_marked(answer)
    rows: list[Row] = []
    for item in _list(answer.get("data")):
        row = _object(item)
        asset = _name(row.get("asset"))
        balance, hold, lock = (_known(row.get(key)) for key in ("balance", "holdBalance", "lockBalance"))
        _known(row.get("referralBalance"))
        locked = None if hold is None or lock is None else hold + lock
        total = None if balance is None or locked is None else balance + locked
        rows.append((asset, _shown(total), _shown(balance), _shown(locked)))
    return rows


def loopring(body: bytes, tokens: bytes) -> list[Row]:
    """The rows of the relayer's response with this token table; unknown tokens have no amounts. Raises Refused."""
    known = _table(tokens)
    rows: list[Row] = []
    owners = {"11329"}
    for item in _list(document(body)):
        row = _object(item)
        owner = row.get("accountId")
        if owner is not None:
            owners.add(str(_id(owner)))
        number = _id(row.get("tokenId"))
        pending = row.get("pending")
        units = [row.get("total"), row.get("locked")]
        if pending is not None:
            units += [
                value for key in ("withdraw", "deposit") if (value := _object(pending).get(key)) is not None
            ]
        label, decimals = known.get(number, (None, None))
        _text(label)
        places = decimals or 0
        amounts = [_amount(value, lambda text, places=places: read_units(text, places)) for value in units]  # type: ignore[misc]
        if number >= 32768 and number not in known:
            rows.append((f"nft:{number}", *map(_shown, (amounts[0], amounts[0] - amounts[1], amounts[1]))))  # type: ignore[arg-type]
        elif label is None or decimals is None:
            rows.append((f"#{number}", None, None, None))
        else:
            rows.append((label, *map(_shown, (amounts[0], amounts[0] - amounts[1], amounts[1]))))  # type: ignore[arg-type]
    if len(owners) > 1:
        raise Refused
    return rows


def _id(value: Any) -> int:
    if not isinstance(value, str) or not _ID.fullmatch(value):
        raise Refused
    return int(value)


def _table(body: bytes) -> dict[int, tuple[str | None, int | None]]:
    """The label and decimals of each token; None if its entries are missing them or disagree."""
    symbols: dict[int, set[str | None]] = {}
    units: dict[int, set[int | None]] = {}
    for item in _list(document(body)):
        row = _object(item)
        symbol, decimals = row.get("symbol"), row.get("decimals")
        named = isinstance(symbol, str) and not isinstance(symbol, _Digits) and symbol != ""
        unit = isinstance(decimals, _Digits) and _ID.fullmatch(decimals) and int(decimals) <= 77
        number = _id(row.get("tokenId"))
        symbols.setdefault(number, set()).add(symbol if named else None)
        units.setdefault(number, set()).add(int(str(decimals)) if unit else None)
    times = Counter(symbol for found in symbols.values() for symbol in found)
    table: dict[int, tuple[str | None, int | None]] = {}
    for number, found in symbols.items():
        symbol = next(iter(found)) if len(found) == 1 else None
        own = symbol is not None and times[symbol] == 1 and "#" not in symbol and symbol[:4].lower() != "nft:"
        label = symbol if own or symbol is None else f"{symbol}#{number}"
        table[number] = label, next(iter(units[number])) if len(units[number]) == 1 else None
    return table
