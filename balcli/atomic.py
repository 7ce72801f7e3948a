"""Atomic writes: a temporary file renamed into place, so that readers see the old file or the new one, whole.

The temporary file is `.NAME.PID-NUMBER.balcli` in the same folder, locked while its run lives. A run that is
killed leaves it there; the next run that writes the same file removes it.
"""

import errno
import os
import re
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

from balcli.errors import OutputError
from balcli.files import CAN_CHECK, shown, try_lock

_MOST_LINKS: Final = 40
# A name may have 255 bytes, and the temporary one is longer by up to 40.
_LONGEST_NAME: Final = 200
# Where nothing can be locked, only a file's age tells that its run has ended.
_STALE_SECONDS: Final = 3600
_CURES: Final = {
    errno.ENOENT: "make its folder, or name another file",
    errno.ENOTDIR: "make its folder, or name another file",
    errno.EISDIR: "name a file in that folder",
    errno.EACCES: "let its folder be written, or name another file",
    errno.EPERM: "let its folder be written, or name another file",
    errno.EROFS: "name a file that is not there",
    errno.ENOSPC: "make room on the disk",
    errno.EDQUOT: "make room within your quota",
    errno.EFBIG: "raise the limit of a file's size",
    errno.ENAMETOOLONG: "name it shorter",
}


class _Target(NamedTuple):
    """The path of a file, links followed, and the state of the file that it replaces."""

    path: Path
    old: os.stat_result | None


def check(path: Path) -> None:
    """Raise OutputError for a file that could not be written now; nothing is touched."""
    try:
        folder = _resolve(path).path.parent
        if not stat.S_ISDIR(folder.stat().st_mode):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as problem:
        raise write_error(path, problem) from None


def replace(path: Path, data: bytes | bytearray) -> None:
    """Write a file and sync it to the disk, whole or not at all.

    A new file has mode 0600; another keeps its mode, and its owner where that is allowed. Of a symbolic link,
    the file that it points to is replaced. Raises OutputError and leaves the old file as it was.
    """
    try:
        target = _resolve(path)
        _remove_leftovers(target.path)
        with _temporary_file(target.path) as (temporary, file):
            if target.old is not None and CAN_CHECK:
                _copy_mode(file.fileno(), target.old)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
            if not CAN_CHECK:
                file.close()  # such a system does not rename an open file
            temporary.replace(target.path)
        _sync(target.path.parent)
    except OSError as problem:
        raise write_error(path, problem) from None


def write_error(path: Path, problem: OSError) -> OutputError:
    """The error of a path that cannot be written, with what to do about it."""
    cure = _CURES.get(problem.errno or 0, "check the disk, or name another file")
    return OutputError(f"{shown(path)} cannot be written: {problem.strerror}; {cure}")


def _resolve(path: Path) -> _Target:
    """Follow the path's links. Raises OSError or OutputError where no file can be written."""
    for _ in range(_MOST_LINKS):
        try:
            state = path.lstat()
        except FileNotFoundError:
            path.parent.stat()  # raises for a missing folder, which is the cause to name
            return _Target(path, None)
        if stat.S_ISDIR(state.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if stat.S_ISREG(state.st_mode):
            return _Target(path, state)
        if not stat.S_ISLNK(state.st_mode):
            raise OutputError(
                f"{shown(path)} is no regular file, which alone can be replaced; leave -O out, or name another"
            )
        if CAN_CHECK and state.st_uid not in {os.getuid(), 0}:
            raise OutputError(f"{shown(path)} is another user's link; remove it, or name another file")
        path = path.parent / path.readlink()
    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))


@contextmanager
def _temporary_file(path: Path) -> Iterator[tuple[Path, BinaryIO]]:
    """A new, locked file beside another; removed when the work on it fails."""
    while True:
        number = int.from_bytes(os.urandom(4), "big")
        temporary = path.with_name(f".{_stem(path)}.{os.getpid()}-{number}.balcli")
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
        try:
            with os.fdopen(os.open(temporary, flags, 0o600), "wb") as file:
                if try_lock(file.fileno()) is False or not os.fstat(file.fileno()).st_nlink:
                    continue  # another run removed it before it was locked
                yield temporary, file
                return
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


def _stem(path: Path) -> str:
    """The first part of a file's temporary names: its name, or a digest of a name that is too long."""
    if len(os.fsencode(path.name)) <= _LONGEST_NAME:
        return path.name
    from hashlib import sha256  # here, because hardly any name is that long

    return sha256(os.fsencode(path.name)).hexdigest()[:32]


def _remove_leftovers(path: Path) -> None:
    """Remove the temporary files that killed runs left of this file, as far as they can be inspected."""
    left = re.compile(re.escape(f".{_stem(path)}.") + r"[0-9]+-[0-9]+\.balcli")
    with suppress(OSError), os.scandir(path.parent) as entries:
        for name in [entry.name for entry in entries if left.fullmatch(entry.name)]:
            _remove_if_stale(path.with_name(name))


def _remove_if_stale(temporary: Path) -> None:
    """Remove a temporary file of this user's that no run is writing."""
    flags = os.O_RDWR | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    with suppress(OSError):
        descriptor = os.open(temporary, flags)
        try:
            state = os.fstat(descriptor)
            locked = try_lock(descriptor)
            old = time.time() - state.st_mtime > _STALE_SECONDS
            own = stat.S_ISREG(state.st_mode) and (not CAN_CHECK or state.st_uid == os.getuid())
            if own and (locked or (locked is None and old)):
                temporary.unlink()
        finally:
            os.close(descriptor)


def _copy_mode(descriptor: int, old: os.stat_result) -> None:
    """Give a new file the mode of the old one, and its owner and group as far as that is allowed."""
    mode = stat.S_IMODE(old.st_mode) & 0o777
    new = os.fstat(descriptor)
    if old.st_uid != new.st_uid:
        with suppress(OSError):
            os.fchown(descriptor, old.st_uid, -1)
    if old.st_gid != new.st_gid:
        try:
            os.fchown(descriptor, -1, old.st_gid)
        except OSError:
            mode &= ~0o070  # they were for another group than the file will have
    os.fchmod(descriptor, mode)


def _sync(folder: Path) -> None:
    """Sync the new name to the disk, where the system can do that with a folder."""
    with suppress(PermissionError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        except OSError as problem:
            if problem.errno != errno.EINVAL:
                raise
        finally:
            os.close(descriptor)
