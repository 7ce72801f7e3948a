"""Atomic writes: a temporary file is renamed into place, so readers see either the old or the new file.

Several files are all written before the first is renamed. The temporary file is `.NAME.PID-NUMBER.balcli` in the
same folder, and is locked until its run ends. If a run is killed, the next run that writes the same file removes it.
"""

import errno
import os
import re
import stat
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from io import FileIO
from pathlib import Path
from typing import Final, NamedTuple

from balcli import pipes, signals
from balcli.errors import OutputError
from balcli.files import CAN_CHECK, is_relative_to_nothing, nowhere, shown, try_lock

_MOST_LINKS: Final = 40
# A name may have 255 bytes. The temporary name is up to 40 bytes longer.
_LONGEST_NAME: Final = 200
# Without locks, a file's age is the only sign that its run has ended.
_STALE_SECONDS: Final = 3600
_CURES: Final = {
    errno.ENOENT: "create the folder, or use another file",
    errno.ENOTDIR: "create the folder, or use another file",
    errno.EISDIR: "use a file in that folder",
    errno.EACCES: "make the folder writable, or use another file",
    errno.EPERM: "make the folder writable, or use another file",
    errno.EROFS: "use a file on another file system",
    errno.ENOSPC: "free space on the disk",
    errno.EDQUOT: "free space within your quota",
    errno.EFBIG: "raise the file size limit (ulimit -f)",
    errno.ENAMETOOLONG: "use a shorter name",
    errno.EBUSY: "write to another file in that folder, or mount the folder in place of the file",
    errno.EBADF: "open the descriptor for writing, or use a file",
    errno.EPIPE: "check the program that reads it",
    errno.ETIMEDOUT: "start its reader first, or use a file",
}
_MOUNTS: Final = Path("/proc/self/mountinfo")


class _Target(NamedTuple):
    """The path of a file, with symbolic links resolved."""

    path: Path
    old: os.stat_result | None
    """The state of the file to replace, if it exists."""
    is_replaced: bool = True
    """False for a FIFO, device or open descriptor, which is written directly."""


def check(path: Path) -> None:
    """Raise OutputError if a file cannot be written. Changes nothing."""
    try:
        target = _resolve(path)
        if not target.is_replaced:
            pipes.check_writable(target.path)
            return
        folder = target.path.parent
        if target.old is not None:
            _refuse_mount_point(target.path)
        if not stat.S_ISDIR(folder.stat().st_mode):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as problem:
        raise write_error(path, problem) from None


def is_replaced(path: Path) -> bool:
    """Whether writing a path replaces a file. False for a FIFO, device or descriptor."""
    try:
        return _resolve(path).is_replaced
    except (OSError, OutputError):
        return True


def is_stdout(path: Path) -> bool:
    """Whether a path is this process's stdout, like `/dev/stdout`."""
    try:
        return pipes.own_descriptor(_resolve(path).path) == 1
    except (OSError, OutputError):
        return False


def identity(path: Path) -> tuple[object, ...]:
    """A key that is the same for all paths to a file, however they are spelled or linked."""
    try:
        target = _resolve(path)
        if target.is_replaced:
            folder = target.path.parent.stat()
            return folder.st_dev, folder.st_ino, target.path.name
        state = target.path.stat()
    except (OSError, OutputError):
        return (os.path.normpath(path),)
    return state.st_dev, state.st_ino, state.st_rdev


def is_file_of_stdout(path: Path) -> bool:
    """Whether a path is the file that stdout is redirected to."""
    try:
        return os.path.samestat(path.stat(), os.fstat(1))
    except OSError:
        return False


def replace(path: Path, data: bytes, mode: int | None = None) -> None:
    """Write a file as `replace_all` does."""
    replace_all([(path, (data,))], mode)


def replace_all(files: Iterable[tuple[Path, Iterable[bytes]]], mode: int | None = None) -> None:
    """Write files and sync them to the disk, all of them or none.

    All temporary files are written before the first is renamed. Signals are deferred until the last is renamed.
    Without a mode, a new file gets 0600, and an existing one keeps its mode, and its owner if allowed. For a
    symbolic link, the file that it points to is replaced. Raises OutputError.
    """
    with ExitStack() as stack:
        written: list[tuple[Path, Path, Path]] = []
        for path, data in files:
            with _as_output_error(path):
                found = _resolve(path)
                if not found.is_replaced:
                    raise OSError(errno.EINVAL, "Not a regular file")
                _remove_leftovers(found.path)
                written.append((path, _write_temporary(found, data, mode, stack), found.path))
        with signals.deferred():
            for path, temporary, target in written:
                with _as_output_error(path):
                    temporary.replace(target)
    for path, _, target in written:
        with _as_output_error(path):
            _sync(target.parent)


def _write_temporary(target: _Target, data: Iterable[bytes], mode: int | None, stack: ExitStack) -> Path:
    """Write a temporary file next to the target and sync it. The stack closes it."""
    temporary, file = stack.enter_context(_temporary_file(target.path))
    if CAN_CHECK and target.old is not None:
        _copy_mode(file.fileno(), target.old)
    if CAN_CHECK and mode is not None:
        os.fchmod(file.fileno(), mode)
    for piece in data:
        left = memoryview(piece)
        while left:
            left = left[file.write(left) :]
    os.fsync(file.fileno())
    if not CAN_CHECK:
        file.close()  # such a system cannot rename an open file
    return temporary


@contextmanager
def _as_output_error(path: Path) -> Iterator[None]:
    """Convert an OSError to the OutputError of this path."""
    try:
        yield
    except OSError as problem:
        raise write_error(path, problem) from None


def write_error(path: Path, problem: OSError) -> OutputError:
    """The error for a path that cannot be written, with the cure."""
    if is_relative_to_nothing(path):
        return OutputError(nowhere(path))
    cure = _CURES.get(problem.errno or 0, "check the disk, or use another file")
    return OutputError(f"{shown(path)} cannot be written: {problem.strerror}; {cure}")


def _refuse_mount_point(path: Path) -> None:
    """Raise OSError for a mount point, which cannot be replaced. Linux only."""
    try:
        mounts = _MOUNTS.read_bytes().splitlines()
    except OSError:
        return
    wanted = os.fsencode(os.path.realpath(path))
    for line in mounts:
        # Spaces, tabs, newlines and backslashes are octal escapes there (proc_pid_mountinfo(5)).
        place = re.sub(rb"\\([0-7]{3})", lambda match: bytes([int(match[1], 8)]), line.split(b" ")[4])
        if place == wanted:
            raise OSError(errno.EBUSY, "Is a mount point")


def _refuse_foreign_fifo(path: Path, state: os.stat_result) -> None:
    """Raise OutputError for another user's FIFO in a folder like /tmp, as Linux does (fs.protected_fifos)."""
    folder = path.parent.stat()
    is_shared = folder.st_mode & stat.S_ISVTX and folder.st_mode & stat.S_IWOTH
    if stat.S_ISFIFO(state.st_mode) and is_shared and state.st_uid not in {os.getuid(), folder.st_uid}:
        raise OutputError(f"{shown(path)} is another user's FIFO; remove it, or use another file")


def _resolve(path: Path) -> _Target:
    """Resolve symbolic links. Raises OSError or OutputError if the file cannot be written."""
    for _ in range(_MOST_LINKS):
        if pipes.names_descriptor(path):
            return _Target(path, None, is_replaced=False)
        try:
            state = path.lstat()
        except FileNotFoundError:
            path.parent.stat()  # raises if the folder does not exist
            return _Target(path, None)
        if stat.S_ISDIR(state.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if stat.S_ISREG(state.st_mode):
            return _Target(path, state)
        if not stat.S_ISLNK(state.st_mode):
            _refuse_foreign_fifo(path, state)
            return _Target(path, None, is_replaced=False)
        if CAN_CHECK and state.st_uid not in {os.getuid(), 0}:
            raise OutputError(
                f"{shown(path)} is another user's symbolic link; remove it, or use another file"
            )
        path = path.parent / path.readlink()
    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))


@contextmanager
def _temporary_file(path: Path) -> Iterator[tuple[Path, FileIO]]:
    """A new, locked file in the same folder, removed on failure."""
    while True:
        number = int.from_bytes(os.urandom(4), "big")
        temporary = path.with_name(f".{_stem(path)}.{os.getpid()}-{number}.balcli")
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
        try:
            # Without a buffer: closing one that could not be written fails again on Python 3.15.
            with os.fdopen(os.open(temporary, flags, 0o600), "wb", buffering=0) as file:
                if try_lock(file.fileno()) is False or not os.fstat(file.fileno()).st_nlink:
                    continue  # another run removed it before it was locked
                yield temporary, file
                return
        except BaseException:  # also a signal must not leave the file
            temporary.unlink(missing_ok=True)
            raise


def _stem(path: Path) -> str:
    """The stem of a file's temporary names: its name, or a digest if that is too long."""
    if len(os.fsencode(path.name)) <= _LONGEST_NAME:
        return path.name
    from hashlib import sha256  # imported here, because few names are that long

    return sha256(os.fsencode(path.name)).hexdigest()[:32]


def _remove_leftovers(path: Path) -> None:
    """Remove temporary files of this file that killed runs left behind."""
    left = re.compile(re.escape(f".{_stem(path)}.") + r"[0-9]+-[0-9]+\.balcli")
    with suppress(OSError), os.scandir(path.parent) as entries:
        for name in [entry.name for entry in entries if left.fullmatch(entry.name)]:
            _remove_if_stale(path.with_name(name))


def _remove_if_stale(temporary: Path) -> None:
    """Remove one of this user's temporary files if no run is writing it."""
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
    """Copy the mode of the old file, and its owner and group if allowed."""
    mode = stat.S_IMODE(old.st_mode) & 0o777
    new = os.fstat(descriptor)
    if old.st_uid != new.st_uid:
        with suppress(OSError):
            os.fchown(descriptor, old.st_uid, -1)
    if old.st_gid != new.st_gid:
        try:
            os.fchown(descriptor, -1, old.st_gid)
        except OSError:
            mode &= ~0o070  # these permissions were for the old group
    os.fchmod(descriptor, mode)


def _sync(folder: Path) -> None:
    """Sync the folder to the disk, if the system supports it."""
    with suppress(PermissionError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        except OSError as problem:
            if problem.errno != errno.EINVAL:
                raise
        finally:
            os.close(descriptor)
