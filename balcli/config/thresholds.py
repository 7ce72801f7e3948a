"""Read the thresholds of a profile (`[[profiles.NAME.limits]]`) for `balcli check`."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from balcli.config.entry import unknown_key
from balcli.config.problems import Problems, Table
from balcli.config.sources import Variables
from balcli.errors import AccountError, KeyProblem, ValueProblem
from balcli.text import did_you_mean, folded
from balcli.thresholds import KEYS, Threshold, Value, make_threshold, missing_key, parse_value


class ThresholdEntry(NamedTuple):
    """A threshold as written: its keys, and the valid values.

    `number` is its index in the list, from 0. `threshold` is None if any key has a problem.
    """

    number: int
    settings: Mapping[str, Any]
    values: Mapping[str, Value]
    threshold: Threshold | None


def read_thresholds(
    tables: Any, profile: Table, accounts: Sequence[str] | None, variables: Variables, problems: Problems
) -> tuple[ThresholdEntry, ...]:
    """Read the thresholds of a profile with these accounts (None if their names are unknown)."""
    if not isinstance(tables, list):
        problems.add(
            ValueProblem("must be a list of tables; write [[…limits]] above each"),
            profile,
            "limits",
        )
        return ()
    found: list[ThresholdEntry] = []
    seen: dict[tuple[object, ...], int] = {}
    for number, table in enumerate(tables):
        place = Table(profile.source, (*profile.path, "limits", number))
        before = len(problems.found)
        with problems.step(place):
            if not isinstance(table, dict):
                raise ValueProblem("must be a table; write [[…limits]] above it")
            values = _read_values(table, place, accounts, variables, problems)
            threshold = make_threshold(values) if len(problems.found) == before else None
            found.append(ThresholdEntry(number, table, values, threshold))
            if threshold is not None:
                names = threshold.names if threshold.exact else map(folded, threshold.names)
                subject = tuple(sorted(names)), threshold.exact, threshold.field, threshold.account
                first = seen.setdefault(subject, number)
                if first != number:
                    raise KeyProblem(
                        f"has the same asset, field and account as limit {first + 1}; remove one of them"
                    )
    return tuple(found)


def _read_values(
    table: Mapping[str, Any],
    place: Table,
    accounts: Sequence[str] | None,
    variables: Variables,
    problems: Problems,
) -> dict[str, Value]:
    """The valid values, by key."""
    for key in table:
        if key not in KEYS:
            problems.add(unknown_key(key, KEYS), place, key)
    values: dict[str, Value] = {}
    for key in KEYS:
        if key in table:
            with problems.step(place, key):
                values[key] = _read_value(key, table[key], accounts, variables)
    lacking = missing_key(table)
    if lacking is not None:
        problems.add(KeyProblem(lacking[1]), place, lacking[0])
    return values


def _read_value(key: str, raw: Any, accounts: Sequence[str] | None, variables: Variables) -> Value:
    """The value of one key. Raises ValueProblem, VariableError and AccountError."""
    if key == "exact":
        if not isinstance(raw, bool):
            raise ValueProblem("must be true or false; remove the quotes")
        return raw
    text: str | list[str]
    if key == "asset" and isinstance(raw, list):
        if not all(isinstance(item, str) for item in raw):
            raise ValueProblem("must be a string or a list of strings; put each name in quotes")
        text = [variables.expand(item) for item in raw]
    elif isinstance(raw, str):
        text = variables.expand(raw)
    else:
        example = ', as "1000:"' if key in {"warn", "crit"} else ""
        raise ValueProblem(f"must be a string; put it in quotes{example}")
    if key == "account" and accounts is not None and text not in accounts:
        hint = did_you_mean(str(text), accounts)
        raise AccountError(f"is not an account in the profile; {hint}; remove it to use the total")
    try:
        return parse_value(key, text)
    except ValueError as problem:
        raise ValueProblem(str(problem)) from None
