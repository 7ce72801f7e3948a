"""The limits of a profile, `[[profiles.NAME.limits]]`: what `balcli check` holds balances against.

Each message names file, key and cure, never a value.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from balcli.config.checks import Faults, checked_table, refuse_unknown
from balcli.config.sources import Variables
from balcli.errors import AccountError, KeyProblem, ValueProblem
from balcli.text import did_you_mean, folded
from balcli.thresholds import KEYS, Threshold, Value, make_threshold, missing_key, parse_value

_RANGES: Final = ("warn", "crit")


class ThresholdEntry(NamedTuple):
    """A limit as it stands in the profile: the values of its keys that have no fault, and the limit if none has one.

    `number` is its place in the list, from 0.
    """

    number: int
    settings: Mapping[str, Any]
    values: Mapping[str, Value]
    threshold: Threshold | None


def read_thresholds(
    tables: Any, place: str, accounts: Sequence[str] | None, variables: Variables, faults: Faults
) -> tuple[ThresholdEntry, ...]:
    """The limits that stand at a place, on these accounts; None where they are not known. The faults are ConfigErrors."""
    if not isinstance(tables, list):
        with faults:
            raise ValueProblem(
                f"{place}: is no list of tables; write [[{place.rsplit(': ', 1)[-1]}]] above each"
            )
        return ()
    found: list[ThresholdEntry] = []
    seen: dict[tuple[object, ...], str] = {}
    for number, item in enumerate(tables):
        at = f"{place}[{number}]"
        with faults:
            before = faults.count
            table = checked_table(item, at)
            values = _values(table, at, accounts, variables, faults)
            limit = make_threshold(values) if faults.count == before else None
            found.append(ThresholdEntry(number, table, values, limit))
            if limit is not None:
                names = limit.names if limit.exact else map(folded, limit.names)
                held = tuple(sorted(names)), limit.exact, limit.field, limit.account
                if held in seen:
                    raise KeyProblem(f"{at}: is on what {seen[held]} is on; keep one of them")
                seen[held] = f"limits[{number}]"
    return tuple(found)


def _values(
    table: Mapping[str, Any], place: str, accounts: Sequence[str] | None, variables: Variables, faults: Faults
) -> dict[str, Value]:
    """The values of a limit's keys, those with a fault left out."""
    refuse_unknown(table, KEYS, place, ".", faults)
    values: dict[str, Value] = {}
    for key in KEYS:
        if key in table:
            with faults:
                values[key] = _value(key, table[key], f"{place}.{key}", accounts, variables)
    lacking = missing_key(table)
    if lacking is not None:
        with faults:
            raise KeyProblem(f"{place}.{lacking[0]}: {lacking[1]}")
    return values


def _value(key: str, raw: Any, place: str, accounts: Sequence[str] | None, variables: Variables) -> Value:
    """The value of one key. Raises ValueProblem, VariableError and AccountError, naming the place."""
    if key == "exact":
        if not isinstance(raw, bool):
            raise ValueProblem(f"{place}: must be true or false; write it without quotes")
        return raw
    if key == "asset" and isinstance(raw, list):
        if not all(isinstance(item, str) for item in raw):
            raise ValueProblem(f"{place}: must be a text or a list of texts; write each name in quotes")
        return _read(key, [variables.expand(item, place) for item in raw], place)
    if not isinstance(raw, str):
        example = ', as "1000:"' if key in _RANGES else ""
        raise ValueProblem(f"{place}: is no text; write it in quotes{example}")
    text = variables.expand(raw, place)
    if key == "account" and accounts is not None and text not in accounts:
        hint = did_you_mean(text, accounts)
        raise AccountError(f"{place}: names no account of the profile; {hint}; leave it out for the total")
    return _read(key, text, place)


def _read(key: str, value: str | list[str], place: str) -> Value:
    try:
        return parse_value(key, value)
    except ValueError as problem:
        raise ValueProblem(f"{place}: {problem}") from None
