"""Times as people name them on a command line."""

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from balcli.errors import UsageError

_AGO: Final = re.compile(r"([0-9]{1,6})([mhdw])")
_UNITS: Final = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def parse_time(text: str, option: str) -> datetime:
    """The time that a text means: so long ago, or a date or time, UTC where it does not say. Raises UsageError."""
    ago = _AGO.fullmatch(text)
    try:
        if ago:
            return datetime.now(UTC) - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        found = datetime.fromisoformat(text)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise UsageError(
            f"{option}: that is no time; write 24h, 7d, 2w, 2026-11-21 or 2026-11-21T07:00:00Z"
        ) from None
