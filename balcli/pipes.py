"""Read and write FIFOs, devices and open descriptors (`/dev/fd/N`), with a time limit."""

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
"""Seconds between two attempts to open a FIFO for writing. No system call can wait for a reader with a time limit."""


def names_descriptor(path: Path) -> bool:
    """Whether a path is an open descriptor of a process, like `/dev/fd/3` or `/proc/self/fd/3`."""
    folder = os.path.realpath(path.parent)
    is_number = path.name.isascii() and path.name.isdigit()
    return is_number and (folder == "/dev/fd" or re.fullmatch(_PROCESS_FOLDER, folder) is not None)


def own_descriptor(path: Path) -> int | None:
    """The descriptor number of a path such as `/dev/fd/3`, for this process; None for any other path."""
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
    import fcntl  # imported here, because some systems do not have it

    if fcntl.fcntl(number, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
        raise OSError(errno.EBADF, "Open for reading only")


def write(path: Path, data: Iterable[bytes], until: float) -> None:
    """Write pieces to a FIFO, device or descriptor. `until` is a time of the monotonic clock. Raises OSError."""
    descriptor = _open_for_writing(path, until)
    try:
        for piece in data:
            rest = memoryview(piece)
            while rest:
                _wait(descriptor, until)
                # A writable pipe has room for this much, so the call does not block.
                try:
                    rest = rest[os.write(descriptor, rest[: select.PIPE_BUF]) :]
                except BlockingIOError:
                    time.sleep(_PAUSE)
    finally:
        os.close(descriptor)


def _open_for_writing(path: Path, until: float) -> int:
    """A new descriptor. Our own ones are duplicated, because opening them again would overwrite earlier output."""
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
    """Wait until a descriptor is writable. Raises TimeoutError."""
    if not select.select([], [descriptor], [], max(0.0, until - time.monotonic()))[1]:
        raise _nobody_reads()


def _nobody_reads() -> TimeoutError:
    return TimeoutError(errno.ETIMEDOUT, "No process reads it")


_WRITER_SECONDS: Final = 10.0
"""Seconds to wait until a process opens a FIFO for writing."""
_READ_SECONDS: Final = 30.0
"""Seconds to read a FIFO before a deadline is known: the default deadline."""


class Piped(NamedTuple):
    """The content of a FIFO, and the state of its open file."""

    content: bytes
    state: os.stat_result


REFUSAL: Final = "BALCLI_FIFO_REFUSAL"
"""The variable with which `balcli mcp` tells its runs why FIFOs are refused."""


class Reader:
    """Reads FIFOs, including `/dev/fd/N` of a process substitution. Each is read once per process."""

    def __init__(self) -> None:
        self._read: dict[tuple[int, int], Piped] = {}
        self._end: float | None = None
        self.refusal: str | None = None
        """Why FIFOs are refused; None if they are allowed."""

    def stop_after(self, seconds: float) -> None:
        """Stop all reading after this many seconds."""
        self._end = time.monotonic() + seconds

    def read(self, path: Path, most: int, check: Callable[[os.stat_result], None]) -> Piped:
        """Read at most this many bytes of a FIFO. Raises OSError, and what `check` raises.

        Raises TimeoutError if no process opens it for writing within 10 seconds, or its writer does not close it.
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
                raise TimeoutError(errno.ETIMEDOUT, f"{what} for {max(1, round(waited))} s")
            # Also ready when the last writer has closed it.
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
