"""The thresholds of a profile, `[[profiles.NAME.limits]]`, which `balcli check` holds balances against.

Each message names file, key and cure, never a value.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from balcli.config.checks import Problems, checked_table, reject_unknown_keys
from balcli.config.sources import Variables
from balcli.errors import AccountError, KeyProblem, ValueProblem
from balcli.text import did_you_mean, folded
from balcli.thresholds import KEYS, Threshold, Value, make_threshold, missing_key, parse_value


class ThresholdEntry(NamedTuple):
    """A threshold as it is written: its keys, and the values of those without a problem.

    `number` is its place in the list, from 0. `threshold` is None if any key has a problem.
    """

    number: int
    settings: Mapping[str, Any]
    values: Mapping[str, Value]
    threshold: Threshold | None


def read_thresholds(
    tables: Any, place: str, accounts: Sequence[str] | None, variables: Variables, problems: Problems
) -> tuple[ThresholdEntry, ...]:
    """The thresholds of a profile with these accounts, None where their names are unknown. The problems are ConfigErrors."""
    if not isinstance(tables, list):
        heading = place.rsplit(": ", 1)[-1]
        problems.add(ValueProblem(f"{place}: is no list of tables; write [[{heading}]] above each"))
        return ()
    found: list[ThresholdEntry] = []
    seen: dict[tuple[object, ...], str] = {}
    for number, item in enumerate(tables):
        at = f"{place}[{number}]"
        with problems:
            before = problems.count
            table = checked_table(item, at)
            values = _read_values(table, at, accounts, variables, problems)
            threshold = make_threshold(values) if problems.count == before else None
            found.append(ThresholdEntry(number, table, values, threshold))
            if threshold is not None:
                names = threshold.names if threshold.exact else map(folded, threshold.names)
                subject = tuple(sorted(names)), threshold.exact, threshold.field, threshold.account
                if subject in seen:
                    raise KeyProblem(f"{at}: is on what {seen[subject]} is on; keep one of them")
                seen[subject] = f"limits[{number}]"
    return tuple(found)


def _read_values(
    table: Mapping[str, Any],
    place: str,
    accounts: Sequence[str] | None,
    variables: Variables,
    problems: Problems,
) -> dict[str, Value]:
    """The values of the keys that have no problem."""
    reject_unknown_keys(table, KEYS, f"{place}.", problems)
    values: dict[str, Value] = {}
    for key in KEYS:
        if key in table:
            with problems:
                values[key] = _read_value(key, table[key], f"{place}.{key}", accounts, variables)
    lacking = missing_key(table)
    if lacking is not None:
        problems.add(KeyProblem(f"{place}.{lacking[0]}: {lacking[1]}"))
    return values


def _read_value(
    key: str, raw: Any, place: str, accounts: Sequence[str] | None, variables: Variables
) -> Value:
    """The value of one key. Raises ValueProblem, VariableError and AccountError, naming the place."""
    if key == "exact":
        if not isinstance(raw, bool):
            raise ValueProblem(f"{place}: must be true or false; write it without quotes")
        return raw
    text: str | list[str]
    if key == "asset" and isinstance(raw, list):
        if not all(isinstance(item, str) for item in raw):
            raise ValueProblem(f"{place}: must be a text or a list of texts; write each name in quotes")
        text = [variables.expand(item, place) for item in raw]
    elif isinstance(raw, str):
        text = variables.expand(raw, place)
    else:
        example = ', as "1000:"' if key in {"warn", "crit"} else ""
        raise ValueProblem(f"{place}: is no text; write it in quotes{example}")
    if key == "account" and accounts is not None and text not in accounts:
        hint = did_you_mean(str(text), accounts)
        raise AccountError(f"{place}: names no account of the profile; {hint}; leave it out for the total")
    try:
        return parse_value(key, text)
    except ValueError as problem:
        raise ValueProblem(f"{place}: {problem}") from None
