"""Read the document of `-o json` back into a Report, strictly by its JSON Schema."""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any, Final, NoReturn

from balcli.errors import BalcliError, leaves
from balcli.models import (
    AMOUNT_FIELDS,
    Account,
    Amounts,
    Balance,
    DepositAddress,
    Detail,
    Failure,
    Holdings,
    Notice,
    Outcome,
    Report,
    Total,
)
from balcli.money import parse_canonical
from balcli.text import printable

_SCHEMA: Final = Path(__file__).parent / "render" / "schema.json"
_LONGEST_NUMBER: Final = 9
_TEXT_DETAILS: Final = frozenset({"kind", "merchant_id", "asset_name"})
"""Details that are text even if they look like an amount."""
_TYPES: Final[Mapping[str, type]] = {
    "object": dict, "array": list, "string": str, "boolean": bool, "integer": int, "null": type(None),
}  # fmt: skip


class DocumentError(ValueError):
    """The text is not a document of `-o json`. The message says why, and where."""


def parse(data: bytes) -> Report:
    """The report of a document.

    Its accounts have no `base_url` or `settings`. Raises DocumentError.
    """
    try:
        document = _decoder.decode(data.decode())
    except UnicodeDecodeError:
        raise DocumentError("not UTF-8") from None
    except json.JSONDecodeError as problem:
        raise DocumentError(f"not JSON at line {problem.lineno}, column {problem.colno}") from None
    except RecursionError:
        raise DocumentError("nested too deeply") from None
    for broken in _problems(document, _schema(), ""):
        raise DocumentError(broken)
    return _report(document)


def balance(entry: Mapping[str, Any]) -> Balance:
    """The balance of an entry of `balances`. Raises ValueError or TypeError for an amount that is not canonical."""
    return Balance(
        entry["account"],
        entry["provider"],
        entry["asset"],
        entry["asset_id"],
        *_amounts(entry),
        details={key: _detail(key, value) for key, value in entry["details"].items()},
        raw=entry["raw"],
    )


def total(entry: Mapping[str, Any]) -> Total:
    """The total of an entry of `totals`. Raises ValueError or TypeError for an amount that is not canonical."""
    known = entry["known"]
    return Total(
        entry["asset"],
        _amounts(entry),
        Amounts(None, None, None) if known is None else _amounts(known),
        tuple(entry["missing"]),
    )


def _amounts(entry: Mapping[str, str | None]) -> Amounts:
    texts = (entry[field] for field in AMOUNT_FIELDS)
    return Amounts(*(None if text is None else parse_canonical(text) for text in texts))


def _detail(key: str, value: Any) -> Detail:
    """A detail. A canonical amount becomes an Amount, unless the key is in `_TEXT_DETAILS`."""
    if isinstance(value, str) and key not in _TEXT_DETAILS:
        try:
            return parse_canonical(value)
        except ValueError:
            return value
    if isinstance(value, list):
        return tuple(DepositAddress(*(each[field] for field in DepositAddress._fields)) for each in value)
    return value if value is None or isinstance(value, bool) else str(value)


def _report(document: Mapping[str, Any]) -> Report:
    """The report of a document that matches the schema. Raises DocumentError if it is inconsistent."""
    names = [entry["account"] for entry in document["accounts"]]
    held: dict[str, list[Balance]] = {name: [] for name in names}
    if len(held) < len(names):
        raise DocumentError("accounts: two have the same name")
    for number, entry in enumerate(document["balances"]):
        if entry["account"] not in held:
            raise DocumentError(f"balances[{number}].account: {_shown(entry['account'])} is not in accounts")
        try:
            held[entry["account"]].append(balance(entry))
        except (KeyError, TypeError, AttributeError):
            # The schema does not describe the details of plugins.
            raise DocumentError(f"balances[{number}].details: not written by balcli") from None
    report = Report(
        generated_at=_time(document["generated_at"], "generated_at"),
        profile=document["profile"],
        outcomes=tuple(
            _outcome(entry, held[entry["account"]], f"accounts[{number}]")
            for number, entry in enumerate(document["accounts"])
        ),
        balances=tuple(chain.from_iterable(held.values())),
        totals=tuple(map(total, document["totals"])),
        notices=tuple(
            Notice(entry["code"], entry["account"], entry["message"]) for entry in document["warnings"]
        ),
        failures=tuple(_failure(entry) for entry in document["errors"]),
    )
    for key in ("complete", "exit_code"):
        if document[key] != getattr(report, key):
            raise DocumentError(f"{key}: {document[key]} contradicts the accounts and errors")
    return report


def _outcome(entry: Mapping[str, Any], balances: Iterable[Balance], place: str) -> Outcome:
    account: Account[object] = Account(entry["account"], entry["provider"], "", entry["target"], (), None)
    if entry["error"] is not None:
        return Outcome(account, None, None, _failure(entry["error"]))
    at = _time(entry["fetched_at"], f"{place}.fetched_at")
    return Outcome(account, Holdings(tuple(balances)), at, None)


def _failure(entry: Mapping[str, Any]) -> Failure:
    error = _errors()[entry["code"]]
    retryable = entry.get("retryable", error.retryable)
    return Failure(entry["code"], entry["message"], retryable, entry.get("http_status"), error.exit_code)


@cache
def _errors() -> Mapping[str, type[BalcliError]]:
    return {leaf.code: leaf for leaf in leaves(BalcliError)}


def _time(text: str, place: str) -> datetime:
    try:
        return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError:
        raise DocumentError(f"{place}: {_shown(text)} is not a time") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise DocumentError("an object has the same key twice")
    return found


def _integer(text: str) -> int:
    return int(text) if len(text) <= _LONGEST_NUMBER else _no_amount(text)


def _no_amount(text: str) -> NoReturn:
    raise DocumentError(f"the number {text[:40]} must be a string, like all amounts")


_decoder: Final = json.JSONDecoder(
    parse_float=_no_amount, parse_int=_integer, parse_constant=_no_amount, object_pairs_hook=_unique
)


def _shown(value: object) -> str:
    return printable(json.dumps(value), 60)


@cache
def _schema() -> Mapping[str, Any]:
    schema: Mapping[str, Any] = json.loads(_SCHEMA.read_bytes())
    return schema


def _problems(value: Any, schema: Mapping[str, Any], place: str) -> Iterator[str]:
    """The violations of a JSON Schema. Supports only the keywords that `schema.json` uses."""
    for keyword, rule in schema.items():
        if keyword == "$ref":
            yield from _problems(value, _schema()["$defs"][rule.rpartition("/")[2]], place)
        elif keyword in {"anyOf", "oneOf"}:
            found = [next(_problems(value, each, place), None) for each in rule]
            if None not in found or (keyword == "oneOf" and found.count(None) > 1):
                yield next(filter(None, found), f"{place}: matches two schemas")
        elif keyword == "allOf":
            yield from chain.from_iterable(_problems(value, each, place) for each in rule)
        elif keyword == "if":
            branch = "then" if next(_problems(value, rule, place), None) is None else "else"
            yield from _problems(value, schema.get(branch, {}), place)
        elif keyword in _PARTS:
            yield from _PARTS[keyword](value, rule, place)
        elif keyword in _CHECKS and not _CHECKS[keyword](value, rule):
            yield f"{place or 'the document'}: {_shown(value)} does not match the schema ({keyword})"


def _of_keys(value: Any, rule: list[str], place: str) -> Iterator[str]:
    if isinstance(value, dict):
        yield from (
            f"{place or 'the document'}: the key {key} is missing" for key in rule if key not in value
        )


def _of_properties(value: Any, rule: Mapping[str, Any], place: str) -> Iterator[str]:
    if isinstance(value, dict):
        for key in (key for key in rule if key in value):
            yield from _problems(value[key], rule[key], f"{place}.{key}".lstrip("."))


def _of_others(value: Any, rule: Mapping[str, Any], place: str) -> Iterator[str]:
    if isinstance(value, dict):  # the schema uses it only in objects without named properties
        for key, each in value.items():
            yield from _problems(each, rule, f"{place}.{printable(key, 40)}")


def _of_items(value: Any, rule: Mapping[str, Any], place: str) -> Iterator[str]:
    if isinstance(value, list):
        for number, each in enumerate(value):
            yield from _problems(each, rule, f"{place}[{number}]")


def _is_of_type(value: Any, rule: str) -> bool:
    return isinstance(value, _TYPES[rule]) and not (rule == "integer" and isinstance(value, bool))


_PARTS: Final[Mapping[str, Callable[[Any, Any, str], Iterator[str]]]] = {
    "required": _of_keys,
    "properties": _of_properties,
    "additionalProperties": _of_others,
    "items": _of_items,
}
"""The keywords for the parts of a value."""

_CHECKS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "type": _is_of_type,
    "const": lambda value, rule: value == rule and type(value) is type(rule),
    "enum": lambda value, rule: value in rule,
    "pattern": lambda value, rule: not isinstance(value, str) or re.fullmatch(rule[1:-1], value) is not None,
    "not": lambda value, rule: next(_problems(value, rule, ""), None) is not None,
    "minimum": lambda value, rule: not _is_of_type(value, "integer") or value >= rule,
    "maximum": lambda value, rule: not _is_of_type(value, "integer") or value <= rule,
    "maxItems": lambda value, rule: not isinstance(value, list) or len(value) <= rule,
    "uniqueItems": lambda value, _: (
        not isinstance(value, list) or len({*map(json.dumps, value)}) == len(value)
    ),
}
"""The keywords for a value itself."""
