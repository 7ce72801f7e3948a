"""What every reader of the configuration shares: where problems go, and the checks of any table."""

from collections.abc import Collection, Iterable, Mapping
from types import TracebackType
from typing import Any, Final

from balcli.errors import AccountError, ConfigError, KeyProblem, ValueProblem
from balcli.text import did_you_mean, printable


class Problems:
    """Where the problems of a configuration go: a run raises the first, `config check` collects them all.

    `with problems:` is one step of the reading: where problems are collected, one in it ends only the step.
    """

    def __init__(self, *, collect: bool = False) -> None:
        self._collect = collect
        self._found: dict[str, ConfigError] = {}
        self.count = 0
        """How many problems were collected so far, repeated ones included."""

    @property
    def found(self) -> tuple[ConfigError, ...]:
        """The collected problems in the order in which they were met, each message once."""
        return tuple(self._found.values())

    def add(self, problem: ConfigError) -> None:
        """Raise the problem, or collect it."""
        if not self._collect:
            raise problem
        self.count += 1
        self._found.setdefault(problem.message, problem)

    def __enter__(self) -> None:
        """Begin a step."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        if not self._collect or not isinstance(problem, ConfigError):
            return False
        self.add(problem)
        return True


RAISE_FIRST: Final = Problems()


def checked_table(value: Any, place: str) -> Mapping[str, Any]:
    """The value, which must be a table. Raises ValueProblem."""
    if not isinstance(value, dict):
        raise ValueProblem(f"{place}: is no table; write it as [{place.rsplit(': ', 1)[-1]}]")
    return value


def reject_unknown_keys(
    table: Mapping[str, Any], known: Collection[str], prefix: str, problems: Problems
) -> None:
    """Add a KeyProblem for each key of the table that is not known. `prefix` stands before the key in messages."""
    for key in table:
        if key not in known:
            problems.add(
                KeyProblem(
                    f"{prefix}{printable(key, 40)}: is no key that balcli knows; "
                    + did_you_mean(key, known, "known here")
                )
            )


def reject_duplicates(pairs: Iterable[tuple[str, str]], words: str, problems: Problems) -> None:
    """Add an AccountError for each pair of key and place whose key another has. `words` follows both places."""
    seen: dict[str, str] = {}
    for key, place in pairs:
        if key in seen:
            file, _, table = place.partition(": ")
            other = table if seen[key].startswith(f"{file}: ") else place
            problems.add(AccountError(f"{seen[key]} and {other} {words.format(printable(key, 40))}"))
        seen[key] = place
