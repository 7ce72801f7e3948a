"""How a run sends its requests, and the order of its rows.

A module of its own: the command line needs it to parse options, and `balcli.models` would cost every start 5 ms.
"""

from pathlib import Path
from typing import Final, Literal, NamedTuple, TypeAlias

MOST_SECONDS: Final = 86_400.0
COMMAND_SECONDS: Final = 10.0
MOST_COMMAND_SECONDS: Final = 120.0
MOST_RETRIES: Final = 100
MOST_JOBS: Final = 500

Order: TypeAlias = Literal["asset", "account", "total"]
"""What `--sort` sorts rows by. Without it: accounts as in the profile, then assets."""


class RequestSettings(NamedTuple):
    """Timeouts in seconds, of one request, the run and a secret's command; retries, accounts at once, proxy, certificates."""

    timeout: float = 10.0
    deadline: float = 30.0
    retries: int = 2
    jobs: int = 8
    proxy: str | None = None
    ca_bundle: Path | None = None
    command_timeout: float = COMMAND_SECONDS
