"""The run's deadline, rate limits and the pauses between retries. All times are monotonic."""

import math
import random
import threading
import time
from collections import deque
from copy import copy
from datetime import UTC
from typing import Final

CLOCK_TOLERANCE: Final = 30
"""The seconds that this machine's clock may differ from a server's without a warning."""
SHORTEST_PAUSE: Final = 0.1
_LONGEST_PAUSE: Final = 4.0
_WRITING_PART: Final = 0.1
_LONGEST_WRITING: Final = 2.0
_ROW_SECONDS: Final = 1e-4  # four times what the slowest format takes on a machine of 2026
_LEAST_ROWS: Final = 1000  # a tenth of a second
_MOST_DIGITS: Final = 6  # of a Retry-After; eleven days
_COUNTED_SECONDS: Final = 1.02  # a second, plus the drift between two clocks


class Deadline:
    """The time by which a whole run must end."""

    def __init__(self, seconds: float) -> None:
        self.seconds: Final = seconds
        self._end = time.monotonic() + seconds

    def left(self) -> float:
        """The seconds that remain, never below 0."""
        return max(0.0, self._end - time.monotonic())

    def earlier(self, seconds: float) -> "Deadline":
        """A deadline that many seconds earlier, for a part of the run that must leave time for the rest."""
        part = copy(self)
        part._end -= seconds  # noqa: SLF001 - the same class
        return part

    def for_requests(self) -> "Deadline":
        """The deadline for secret commands and requests. It leaves a tenth, at most 2 s, to record and write."""
        return self.earlier(min(self.seconds * _WRITING_PART, _LONGEST_WRITING))


def writing_seconds(rows: int) -> float:
    """The most seconds that adding up and writing these rows takes, in any format."""
    return rows * _ROW_SECONDS


def writable_rows(deadline: Deadline) -> int:
    """The number of rows that can be added up and written before the deadline."""
    return max(_LEAST_ROWS, int(deadline.left() / _ROW_SECONDS))


class RateLimiter:
    """Allows at most `per_second` requests to one host in any second, as the host counts them.

    A slot is taken before a request is sent and freed a second after its response. The limit holds no matter when the
    host counts the request.
    """

    def __init__(self, per_second: int) -> None:
        self._per_second: Final = per_second
        self._active = 0
        self._ended: deque[float] = deque()
        self._changed = threading.Condition()

    def acquire(self, deadline: Deadline) -> bool:
        """Wait for a slot; False if the deadline comes first."""
        with self._changed:
            while True:
                now = time.monotonic()
                while self._ended and self._ended[0] <= now - _COUNTED_SECONDS:
                    self._ended.popleft()
                if self._active + len(self._ended) < self._per_second:
                    self._active += 1
                    return True
                left = deadline.left()
                if left <= 0:
                    return False
                until_free = self._ended[0] + _COUNTED_SECONDS - now if self._ended else left
                self._changed.wait(min(until_free, left))

    def release(self) -> None:
        """Free the slot in one second."""
        with self._changed:
            self._active -= 1
            self._ended.append(time.monotonic())
            self._changed.notify_all()


class HostPause:
    """The pause that a host requested. Nothing is sent to the host until it ends."""

    def __init__(self) -> None:
        self._end = 0.0
        self._lock = threading.Lock()
        self.reason = ""
        """Why the host pauses, for messages."""

    def left(self) -> float:
        """The seconds that remain, never below 0."""
        return max(0.0, self._end - time.monotonic())

    def extend(self, seconds: float, reason: str) -> None:
        """Pause for that many seconds from now, unless the current pause ends later."""
        end = time.monotonic() + seconds
        with self._lock:
            if end > self._end:
                self._end, self.reason = end, reason

    def wait(self, deadline: Deadline) -> bool:
        """Wait for the end of the pause. Returns False at once if the deadline comes first."""
        while (left := self.left()) > 0:
            if left >= deadline.left():
                return False
            sleep_before_retry(left)
        return True


def backoff(attempt: int) -> float:
    """The seconds to wait before the next attempt: 0.5 to 1, then 1 to 2, then 2 to 4.

    They are random, so that clients that fail together do not retry together. Three retries take at least 3.5 s.
    """
    longest = min(_LONGEST_PAUSE, 2.0**attempt)
    return random.uniform(longest / 2, longest)  # noqa: S311 - not used for security


_retries: Final[dict[int, float]] = {}
"""The time of the next attempt of each pausing thread, by thread id."""


def sleep_before_retry(seconds: float) -> None:
    """Sleep, and let `seconds_to_retry` report it."""
    _retries[threading.get_ident()] = time.monotonic() + seconds
    try:
        time.sleep(seconds)
    finally:
        del _retries[threading.get_ident()]


def seconds_to_retry(thread: int | None) -> int | None:
    """The seconds, rounded up, until a thread tries again; None if it is not pausing."""
    until = None if thread is None else _retries.get(thread)
    return None if until is None else max(0, math.ceil(until - time.monotonic()))


def parse_retry_after(retry_after: str, date: str | None = None) -> float | None:
    """The seconds in a `Retry-After` header (RFC 9110, 10.2.3), a number or a date; None for anything else.

    A date is compared with the response's `Date`, or with this machine's clock if that is missing or invalid. A
    number of more than six digits is infinity.
    """
    text = retry_after.strip()
    if text.isascii() and text.isdigit():
        return float(text) if len(text) <= _MOST_DIGITS else math.inf
    moment = parse_http_date(text)
    if moment is None:
        return None
    now = parse_http_date(date) if date else None
    return max(SHORTEST_PAUSE, moment - (time.time() if now is None else now))


def seconds_ahead(date: str, now: float) -> int | None:
    """The seconds that this machine's clock is ahead of a `Date` header; None if the header is not a date."""
    moment = parse_http_date(date)
    # The header is rounded down to a whole second, so it is half a second behind on average.
    return None if moment is None else round(now - moment - 0.5)


def parse_http_date(date: str) -> float | None:
    """The seconds since 1970 of an HTTP date (RFC 9110, 5.6.7); None if it is not a date."""
    from email.utils import parsedate_to_datetime  # rarely needed, and slow to import

    try:
        moment = parsedate_to_datetime(date)
        # HTTP dates are always in GMT.
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None
