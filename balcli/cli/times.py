"""Times as people name them on a command line. Without an offset they are local, by TZ."""

import re
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

from balcli.errors import UsageError

_AGO: Final = re.compile(r"([0-9]{1,6})([mhdw])")
_UNITS: Final = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def parse_time(text: str, option: str, *, end: bool = False) -> datetime:
    """The time of a text: an age such as 24h, a date or a time. Raises UsageError.

    A date is its first moment, or with `end` its last.
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
    """The first and last moment of a date, to the millisecond; None for another text.

    Raises UsageError for a date that no calendar has.
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
