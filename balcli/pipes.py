"""FIFOs, devices and open descriptors (`/dev/fd/N`): written and read as they are, and never for longer than allowed."""

import errno
import os
import re
import select
import stat
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final, NamedTuple

_PROCESS_FOLDER: Final = r"/proc/[0-9]+(?:/task/[0-9]+)?/fd"
_PAUSE: Final = 0.02
"""Seconds between two attempts to open a FIFO for writing: no system call waits for a reader for a limited time."""


def names_descriptor(path: Path) -> bool:
    """Whether a path names an open descriptor of a process, as `/dev/fd/3` and `/proc/self/fd/3` do."""
    folder = os.path.realpath(path.parent)
    is_number = path.name.isascii() and path.name.isdigit()
    return is_number and (folder == "/dev/fd" or re.fullmatch(_PROCESS_FOLDER, folder) is not None)


def own_descriptor(path: Path) -> int | None:
    """The number of this process's descriptor that a path names; None for any other path."""
    folder = os.path.realpath(path.parent)
    own = folder == "/dev/fd" or folder.startswith(f"{os.path.realpath('/proc/self')}/")
    return int(path.name) if own and names_descriptor(path) else None


def check_writable(path: Path) -> None:
    """Raise OSError for a FIFO, device or descriptor that cannot be written."""
    number = own_descriptor(path)
    if number is None:
        if not os.access(path, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return
    import fcntl  # here, because not every system has it

    if fcntl.fcntl(number, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
        raise OSError(errno.EBADF, "Open for reading only")


def write(path: Path, data: Iterable[bytes], until: float) -> None:
    """Write pieces to a FIFO, device or descriptor until that moment of the monotonic clock. Raises OSError."""
    descriptor = _open_for_writing(path, until)
    try:
        for piece in data:
            rest = memoryview(piece)
            while rest:
                _wait(descriptor, until)
                # Where a pipe has room at all, it has room for this much: the call returns at once.
                try:
                    rest = rest[os.write(descriptor, rest[: select.PIPE_BUF]) :]
                except BlockingIOError:
                    time.sleep(_PAUSE)
    finally:
        os.close(descriptor)


def _open_for_writing(path: Path, until: float) -> int:
    """A new descriptor. One of this process is duplicated: to open it anew would write over what is before its place."""
    number = own_descriptor(path)
    if number is not None:
        return os.dup(number)
    while True:
        try:
            return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK | os.O_NOCTTY)
        except OSError as problem:
            if problem.errno != errno.ENXIO or not stat.S_ISFIFO(path.stat().st_mode):
                raise
        if time.monotonic() >= until:
            raise _nobody_reads()
        time.sleep(_PAUSE)


def _wait(descriptor: int, until: float) -> None:
    """Wait till a descriptor can be written. Raises TimeoutError."""
    if not select.select([], [descriptor], [], max(0.0, until - time.monotonic()))[1]:
        raise _nobody_reads()


def _nobody_reads() -> TimeoutError:
    return TimeoutError(errno.ETIMEDOUT, "No process reads it")


_WRITER_SECONDS: Final = 10.0
"""How long a FIFO is waited for that nobody has opened for writing."""
_READ_SECONDS: Final = 30.0
"""How long one is read where no deadline is known yet: as long as a run takes by default."""


class Piped(NamedTuple):
    """What came out of a FIFO, and the state of the opened one."""

    content: bytes
    state: os.stat_result


REFUSAL: Final = "BALCLI_FIFO_REFUSAL"
"""The variable with which `balcli mcp` tells its runs why none may be read."""


class Reader:
    """Reads FIFOs (`/dev/fd/N` of a process substitution, too), each once a process: its writer writes once."""

    def __init__(self) -> None:
        self._read: dict[tuple[int, int], Piped] = {}
        self._end: float | None = None
        self.refusal: str | None = None
        """Why none may be read, in words; None if they may."""

    def stop_after(self, seconds: float) -> None:
        """End all reading that many seconds from now."""
        self._end = time.monotonic() + seconds

    def read(self, path: Path, most: int, check: Callable[[os.stat_result], None]) -> Piped:
        """At most that many bytes of a FIFO. Raises OSError, and what the check of its state raises.

        It is a TimeoutError where nobody opens it for writing for 10 seconds, or its writer does not come to an end.
        """
        refusal = self.refusal or os.environ.get(REFUSAL)
        if refusal:
            raise OSError(errno.EINVAL, refusal)
        state = path.stat()
        known = self._read.get((state.st_dev, state.st_ino))
        if known is None:
            descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
            try:
                state = os.fstat(descriptor)
                check(state)
                known = Piped(self._content(descriptor, most), state)
            finally:
                os.close(descriptor)
            self._read[state.st_dev, state.st_ino] = known
        return known

    def _content(self, descriptor: int, most: int) -> bytes:
        content, has_writer, begun = b"", False, time.monotonic()
        end = begun + _READ_SECONDS if self._end is None else self._end
        while len(content) < most:
            limit = end if has_writer else min(end, begun + _WRITER_SECONDS)
            left = limit - time.monotonic()
            if left <= 0:
                waited = time.monotonic() - begun
                what = "its writer did not close it" if has_writer else "no process wrote to it"
                raise TimeoutError(errno.ETIMEDOUT, f"{what} for {waited:.0f} s")
            # Ready also without data, when the last writer has closed it.
            ready = select.select([descriptor], [], [], min(left, _PAUSE))[0]
            try:
                piece = os.read(descriptor, most - len(content))
            except BlockingIOError:
                has_writer = True
                continue
            if not piece and (ready or has_writer):
                break
            has_writer = has_writer or bool(piece)
            content += piece
        return content


reader: Final = Reader()
"""The reader of this process."""
