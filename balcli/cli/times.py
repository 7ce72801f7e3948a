"""Parse times on the command line. Without an offset, they are local times (TZ)."""

import re
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

from balcli.errors import UsageError

_AGO: Final = re.compile(r"([0-9]{1,6})([mhdw])")
_UNITS: Final = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def parse_time(text: str, option: str, *, end: bool = False) -> datetime:
    """Parse an age such as 24h, a date or a time. Raises UsageError.

    A date means its start, or with `end` its end.
    """
    day = parse_day(text, option)
    if day is not None:
        return day[1] if end else day[0]
    ago = _AGO.fullmatch(text)
    try:
        if ago:
            return datetime.now(UTC) - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        raise _not_a_time(option) from None


def parse_day(text: str, option: str) -> tuple[datetime, datetime] | None:
    """The start and end of a date, to the millisecond; None if the text is not a date.

    Raises UsageError for an invalid date.
    """
    if not _DATE.fullmatch(text):
        return None
    try:
        day = date.fromisoformat(text)
        begin, after = (
            datetime.combine(each, time()).astimezone(UTC) for each in (day, day + timedelta(days=1))
        )
    except (ValueError, OverflowError):
        raise _not_a_time(option) from None
    return begin, after - timedelta(milliseconds=1)


def _not_a_time(option: str) -> UsageError:
    return UsageError(f"{option}: not a time; use 24h, 7d, 2w, 2026-11-21 or 2026-11-21T07:00:00+01:00")
