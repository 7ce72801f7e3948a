"""Where the faults of a configuration go: a run ends at the first, a check goes on and keeps them all."""

from types import TracebackType
from typing import Final

from balcli.errors import ConfigError


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
