"""A strict parser of monitoring plugins' output, after the guidelines of the Monitoring Plugins project."""

import re
from dataclasses import dataclass

from tests.conftest import Result

CODES = {"OK": 0, "WARNING": 1, "CRITICAL": 2, "UNKNOWN": 3}

_NUMBER = r"-?[0-9]+(?:\.[0-9]+)?"
_RANGE = rf"@?(?:(?:{_NUMBER}|~):(?:{_NUMBER})?|{_NUMBER})"
_DATUM = re.compile(rf"'([^'=|]+)'=(U|{_NUMBER})(?:;({_RANGE})?)?(?:;({_RANGE})?)?")


@dataclass(frozen=True)
class Plugin:
    """The output of a plugin: state, text, performance data by label, and other lines."""

    state: str
    text: str
    data: dict[str, tuple[str, ...]]
    lines: list[str]


def plugin(result: Result) -> Plugin:
    """The output of a run. Fails the test if it violates the guidelines or contradicts the exit code."""
    assert result.out.endswith("\n")
    first, *lines = result.out[:-1].split("\n")
    head, bar, data = first.partition(" | ")
    match = re.fullmatch(r"BALCLI (OK|WARNING|CRITICAL|UNKNOWN) - ([^|]+)", head)
    assert match, first
    assert CODES[match[1]] == result.code
    # A bar in another line would start performance data again.
    assert not any("|" in line for line in [*lines, result.err])
    assert all(line.isprintable() for line in [first, *lines])
    assert bool(bar) == bool(data)
    return Plugin(match[1], match[2], performance(data), lines)


def performance(text: str) -> dict[str, tuple[str, ...]]:
    """The performance data by label: value, warning and critical range; "" for missing ones."""
    found: dict[str, tuple[str, ...]] = {}
    while text:
        match = _DATUM.match(text)
        assert match, text
        assert match[1] not in found
        found[match[1]] = tuple(match.groups(default="")[1:])
        rest = text[match.end() :]
        assert not rest or rest[0] == " "
        text = rest[1:]
    return found
