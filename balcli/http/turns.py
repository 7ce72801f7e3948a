"""One large answer at a time is decoded and parsed, so that eight at once need no more memory than one.

A thread that has its turn never waits for another: it leaves its turn before a request and before a shared value.
"""

import threading
from typing import Final

from balcli.http.timing import Deadline

_LARGE: Final = 262_144
"""The bytes from which a body waits for its turn. Decoded, it is five to twenty times as large."""

_lock = threading.Lock()
_here = threading.local()


def take(size: int, deadline: Deadline) -> bool:
    """Take the turn for a body of so many bytes, unless it is small; False if the deadline comes first."""
    if size < _LARGE or getattr(_here, "taken", False):
        return True
    _here.taken = _lock.acquire(timeout=deadline.left())
    return bool(_here.taken)


def leave() -> None:
    """Give the turn of this thread, if it has one, to the next."""
    if getattr(_here, "taken", False):
        _here.taken = False
        _lock.release()
