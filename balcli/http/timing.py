"""Time on the way to an answer: the run's deadline, a host's pace, the pauses between tries. All monotonic."""

import random
import threading
import time
from collections import deque
from datetime import UTC
from typing import Final

_FIRST_PAUSE: Final = 0.25
_LONGEST_PAUSE: Final = 8.0
_COUNTED_SECONDS: Final = 1.02  # a second, and what two clocks may differ over it


class Deadline:
    """The moment, on the monotonic clock, by which a whole run has ended."""

    def __init__(self, seconds: float) -> None:
        self.seconds: Final = seconds
        self._end: Final = time.monotonic() + seconds

    def left(self) -> float:
        """The seconds that remain, never below 0."""
        return max(0.0, self._end - time.monotonic())


class Pace:
    """At most so many requests in any second at one host, as the host counts them.

    A place is taken from before a request leaves until a second after its answer came: whenever in
    between it arrived, no second at the host can hold more, however uneven the way there is.
    """

    def __init__(self, per_second: int) -> None:
        self._places: Final = per_second
        self._under_way = 0
        self._ended: deque[float] = deque()
        self._changed = threading.Condition()

    def enter(self, deadline: Deadline) -> bool:
        """Wait for a place; False if the deadline comes first."""
        with self._changed:
            while True:
                now = time.monotonic()
                while self._ended and self._ended[0] <= now - _COUNTED_SECONDS:
                    self._ended.popleft()
                if self._under_way + len(self._ended) < self._places:
                    self._under_way += 1
                    return True
                left = deadline.left()
                if left <= 0:
                    return False
                until_free = self._ended[0] + _COUNTED_SECONDS - now if self._ended else left
                self._changed.wait(min(until_free, left))

    def leave(self) -> None:
        """Give the place back, a second from now."""
        with self._changed:
            self._under_way -= 1
            self._ended.append(time.monotonic())
            self._changed.notify_all()


def pause_before(attempt: int) -> float:
    """How long to wait before the next try, in seconds; full jitter, so that clients do not come back together."""
    return random.uniform(0, min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0**attempt))  # noqa: S311 - no secret hangs on it


def asked_wait(retry_after: str) -> float | None:
    """The wait that a `Retry-After` asks for (RFC 9110, 10.2.3): whole seconds or a date; None if neither."""
    text = retry_after.strip()
    if text.isascii() and text.isdigit():
        return float(text) if len(text) <= 6 else None
    moment = seconds_of(text)
    return None if moment is None else max(0.0, moment - time.time())


def seconds_of(date: str) -> float | None:
    """The moment of an HTTP date (RFC 9110, 5.6.7), in seconds since 1970; None if it is none."""
    from email.utils import parsedate_to_datetime  # rarely wanted, and dear to import

    try:
        moment = parsedate_to_datetime(date)
        # A date without a zone is in GMT, which HTTP knows alone.
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None
