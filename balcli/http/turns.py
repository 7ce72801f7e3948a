"""Decode and parse one large response at a time, so that eight need no more memory than one.

A thread that has the turn never waits for another: it gives up the turn before a request or a shared value.
"""

import threading
from contextlib import suppress
from functools import cache
from typing import Final

from balcli.http.timing import Deadline

_LARGE: Final = 262_144
"""Bodies of this many bytes or more wait for the turn. Decoded, they are five to twenty times as large."""

_M_MMAP_THRESHOLD: Final = -3
"""The parameter's number in glibc's malloc.h; mallopt(3) describes it."""

_lock = threading.Lock()
_here = threading.local()


def take(size: int, deadline: Deadline) -> bool:
    """Take the turn for a body of `size` bytes, unless it is small; False if the deadline comes first."""
    if size < _LARGE or getattr(_here, "taken", False):
        return True
    _here.taken = _lock.acquire(timeout=deadline.left())
    _free_to_system()
    return bool(_here.taken)


@cache
def _free_to_system() -> None:
    """Make glibc return large blocks to the system when they are freed, as other C libraries do.

    By default it keeps those of each thread once one of them was freed: 27 MiB after eight answers of 2 MB.
    """
    with suppress(ImportError, AttributeError, OSError, MemoryError):
        import ctypes  # imported here, because few responses are large

        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, _LARGE // 2)


def leave() -> None:
    """Give up this thread's turn, if it has one."""
    if getattr(_here, "taken", False):
        _here.taken = False
        _lock.release()
