"""Decode and parse one large response at a time, so that eight need no more memory than one.

A thread that has the turn never waits for another: it gives up the turn before a request or a shared value.
"""

import threading
from typing import Final

from balcli.http.timing import Deadline

_LARGE: Final = 262_144
"""Bodies of this many bytes or more wait for the turn. Decoded, they are five to twenty times as large."""

_lock = threading.Lock()
_here = threading.local()


def take(size: int, deadline: Deadline) -> bool:
    """Take the turn for a body of `size` bytes, unless it is small; False if the deadline comes first."""
    if size < _LARGE or getattr(_here, "taken", False):
        return True
    _here.taken = _lock.acquire(timeout=deadline.left())
    return bool(_here.taken)


def leave() -> None:
    """Give up this thread's turn, if it has one."""
    if getattr(_here, "taken", False):
        _here.taken = False
        _lock.release()
