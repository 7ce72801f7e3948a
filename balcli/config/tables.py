"""What holds of any table of a profile: it is one, its keys are known, and nothing in it stands twice."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from balcli.config.faults import RAISED, Faults
from balcli.errors import AccountError, KeyProblem, ValueProblem
from balcli.text import did_you_mean, printable


def checked_table(value: Any, place: str) -> Mapping[str, Any]:
    """The table that stands at a place. Raises ValueProblem for anything else."""
    if not isinstance(value, dict):
        raise ValueProblem(f"{place}: is no table; write it as [{place.rsplit(': ', 1)[-1]}]")
    return value


def refuse_unknown(
    table: Mapping[str, Any], known: Collection[str], place: str, joint: str, faults: Faults
) -> None:
    """Refuse each key that is not known; `joint` stands between the place and the key."""
    for key in table:
        if key not in known:
            with faults:
                raise KeyProblem(
                    f"{place}{joint or ': '}{printable(key, 40)}: is no key that balcli knows; "
                    + did_you_mean(key, known, "known here")
                )


def refuse_doubles(pairs: Iterable[tuple[str, str]], words: str, faults: Faults = RAISED) -> None:
    """Refuse two pairs with one first part; `words` follows the places of both in the message."""
    seen: dict[str, str] = {}
    for key, place in pairs:
        if key in seen:
            with faults:
                file, _, table = place.partition(": ")
                other = table if seen[key].startswith(f"{file}: ") else place
                raise AccountError(f"{seen[key]} and {other} {words.format(printable(key, 40))}")
        seen[key] = place
