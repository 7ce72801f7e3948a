"""The run's deadline, rate limits and the pauses between retries. All times are monotonic."""

import math
import random
import threading
import time
from collections import deque
from datetime import UTC
from typing import Final

_FIRST_PAUSE: Final = 0.25
_LONGEST_PAUSE: Final = 8.0
_COUNTED_SECONDS: Final = 1.02  # a second, and the difference of two clocks over it


class Deadline:
    """The time by which a whole run ends."""

    def __init__(self, seconds: float) -> None:
        self.seconds: Final = seconds
        self._end: Final = time.monotonic() + seconds

    def left(self) -> float:
        """The seconds that remain, never below 0."""
        return max(0.0, self._end - time.monotonic())


class RateLimiter:
    """Allows at most `per_second` requests in any second at one host, as the host counts them.

    A slot is taken before a request is sent and freed a second after its response came. So the limit holds whenever
    in between the request arrived at the host.
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
        """Free the slot, a second from now."""
        with self._changed:
            self._active -= 1
            self._ended.append(time.monotonic())
            self._changed.notify_all()


def backoff(attempt: int) -> float:
    """The seconds to wait before the next attempt, with full jitter: clients that fail together do not retry together."""
    return random.uniform(0, min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0**attempt))  # noqa: S311 - no secret hangs on it


_retries: Final[dict[int, float]] = {}
"""When each thread that pauses tries again, by its number."""


def sleep_before_retry(seconds: float) -> None:
    """Sleep; `seconds_to_retry` knows of it."""
    _retries[threading.get_ident()] = time.monotonic() + seconds
    try:
        time.sleep(seconds)
    finally:
        del _retries[threading.get_ident()]


def seconds_to_retry(thread: int | None) -> int | None:
    """The seconds, rounded up, until a thread tries again; None if it does not pause."""
    until = None if thread is None else _retries.get(thread)
    return None if until is None else max(0, math.ceil(until - time.monotonic()))


def parse_retry_after(retry_after: str) -> float | None:
    """The seconds to wait by a `Retry-After` header (RFC 9110, 10.2.3): whole seconds or a date; None if neither."""
    text = retry_after.strip()
    if text.isascii() and text.isdigit():
        return float(text) if len(text) <= 6 else None
    moment = parse_http_date(text)
    return None if moment is None else max(0.0, moment - time.time())


def parse_http_date(date: str) -> float | None:
    """The seconds since 1970 of an HTTP date (RFC 9110, 5.6.7); None if it is not a date."""
    from email.utils import parsedate_to_datetime  # rarely needed, and slow to import

    try:
        moment = parsedate_to_datetime(date)
        # All HTTP dates are in GMT.
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None
