"""What a run is told: how long and how often it asks, and in which order its rows stand.

Apart from what uses it, because the command line needs it to be read, and the rest only to run.
"""

from pathlib import Path
from typing import Final, Literal, NamedTuple, TypeAlias

MOST_SECONDS: Final = 86_400.0
MOST_RETRIES: Final = 100
MOST_JOBS: Final = 500

Order: TypeAlias = Literal["asset", "account", "total"]
"""By what rows are sorted on request; without one, accounts as in the profile, then assets."""


class Limits(NamedTuple):
    """How long and how often: seconds for one request, tries after the first, connections at once."""

    timeout: float = 10.0
    deadline: float = 30.0
    retries: int = 2
    jobs: int = 8
    proxy: str | None = None
    ca_bundle: Path | None = None
