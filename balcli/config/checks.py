"""What every reader of the configuration shares: where problems go, and the checks of any table."""

from collections.abc import Collection, Iterable, Mapping
from types import TracebackType
from typing import Any, Final

from balcli.errors import AccountError, ConfigError, KeyProblem, ValueProblem
from balcli.text import did_you_mean, printable


class Faults:
    """A step of reading the configuration, as `with faults:`. As it is, a fault in it is raised."""

    count: int = 0
    """How many faults were kept so far."""

    def __enter__(self) -> None:
        """Begin the step."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        return isinstance(problem, ConfigError) and self._keep(problem)

    def _keep(self, problem: ConfigError) -> bool:
        """Whether the problem is kept, and the reading goes on behind the step."""
        del problem
        return False


class KeptFaults(Faults):
    """Keeps what is wrong in a step, each problem once, and lets the reading go on after it."""

    def __init__(self) -> None:
        self._found: dict[str, ConfigError] = {}

    @property
    def found(self) -> tuple[ConfigError, ...]:
        """The faults in the order in which they were met."""
        return tuple(self._found.values())

    def _keep(self, problem: ConfigError) -> bool:
        self.count += 1
        self._found.setdefault(problem.message, problem)
        return True


RAISED: Final = Faults()
"""What a run reads its configuration with."""


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
