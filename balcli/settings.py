"""The bounds of a run's settings and the order of its rows, which the command line needs to parse options."""

from typing import Final, Literal, TypeAlias

MOST_SECONDS: Final = 86_400.0
MOST_RETRIES: Final = 100
MOST_JOBS: Final = 500

Order: TypeAlias = Literal["asset", "account", "total"]
"""What `--sort` sorts rows by. Without it: accounts as in the profile, then assets."""
