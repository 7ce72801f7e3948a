"""Owners and modes of files, locks and folders. Owners are checked on the open file, which cannot be swapped."""

import os
import stat
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from balcli.text import printable

CAN_CHECK = hasattr(os, "getuid")
"""Whether the system has POSIX owners and modes. Otherwise they are not checked."""


# A message has room for two of them.
_LONGEST_PATH: Final = 96


def working_folder() -> Path:
    """The working directory, or an empty path if it was deleted."""
    try:
        return Path.cwd()
    except FileNotFoundError:
        return Path()


def is_relative_to_nothing(path: Path) -> bool:
    """Whether a path is relative to a deleted working directory."""
    return not path.is_absolute() and working_folder() == Path()


def nowhere(path: Path) -> str:
    """The message for a path in a deleted working directory."""
    return f"{shown(path)}: the working directory was deleted; change to another one, or use an absolute path"


def expand_home(path: str, environ: Mapping[str, str]) -> str:
    """A path with a leading `~/` replaced by the home folder. Raises ValueError if HOME is not absolute."""
    if not path.startswith("~/"):
        return path
    home = environ.get("HOME", "")
    if not Path(home).is_absolute():
        raise ValueError("~/ needs HOME, which is not an absolute path; set HOME, or use an absolute path")
    return str(Path(home, path[2:].lstrip("/")))


def shown(path: Path) -> str:
    """A path for messages. Only the end of a long path is shown."""
    text = printable(str(path))
    return text if len(text) <= _LONGEST_PATH else f"...{text[3 - _LONGEST_PATH :]}"


def base_folder(environ: Mapping[str, str], variable: str, in_home: str) -> Path | None:
    """The folder from a variable, or else in the user's home folder. None if it is not an absolute path."""
    named = environ.get(variable, "")
    if not named and environ.get("HOME") == "":
        return None  # an empty HOME would mean the root folder
    try:
        folder = Path(named) if named else Path("~", in_home).expanduser()
    except RuntimeError:  # the home folder is not known
        return None
    return folder if folder.is_absolute() else None


def open_for_reading(path: Path) -> int:
    """Open a file, without waiting for the writer of a FIFO. Raises OSError."""
    return os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))


def try_lock(descriptor: int) -> bool | None:
    """Lock a file until this process closes it. Returns whether it is locked, or None if locks are not supported."""
    try:
        import fcntl  # imported here, because some systems do not have it
    except ImportError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # the file system does not support locks
        return None
    return True


def permission_problem(state: os.stat_result, path: Path) -> str | None:
    """Why a file or folder cannot be trusted (another user owns or can write it), with the cure; else None."""
    if not CAN_CHECK:
        return None
    if state.st_uid not in {os.getuid(), 0}:
        owner = _quoted(_user_name(state.st_uid))
        if os.getuid() == 0:
            return f"belongs to {owner}; run as that user: sudo -u {owner} balcli ..."
        return f"belongs to {owner}; use your own file, or a copy with mode 0600"
    if state.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return f"can be written by others; {chmod(state, path)}"
    return None


def chmod(state: os.stat_result, path: Path) -> str:
    """The chmod command that makes a file or folder private, but keeps it readable for its current readers."""
    is_own = state.st_uid == os.getuid()
    # The group may need to read the file, so it keeps that permission.
    keeps_group = state.st_mode & stat.S_IRGRP and not (is_own and state.st_mode & stat.S_IRWXO)
    mode = 0o640 if keeps_group else 0o600
    if stat.S_ISDIR(state.st_mode):
        mode |= mode >> 2 & 0o110
    return f"{'' if is_own else 'sudo '}chmod {mode:o} {_quoted(printable(str(path), 120))}"


def _quoted(text: str) -> str:
    """A text, quoted as one word for a shell."""
    import shlex  # imported here, because it is needed only for errors

    return shlex.quote(text)


def _user_name(number: int) -> str:
    """The name of a user for sudo."""
    import pwd  # imported here, because some systems do not have it

    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"#{number}"


def is_readable_by_others(state: os.stat_result) -> bool:
    """Whether users other than the owner and the group can read the file."""
    return CAN_CHECK and bool(state.st_mode & stat.S_IROTH)


def make_folders(folder: Path) -> list[Path]:
    """Create a folder and its parents, private to the user. Returns the new ones, topmost first. Raises OSError."""
    made: list[Path] = []
    for missing in reversed([each for each in (folder, *folder.parents) if not each.exists()]):
        try:
            missing.mkdir(0o700)
        except FileExistsError:
            continue  # another run created it, or it is not a folder, which fails later
        except OSError:
            for each in reversed(made):
                each.rmdir()
            raise
        made.append(missing)
    return made


def write_new(contents: Mapping[Path, bytes]) -> None:
    """Write new files, private to the user, and create their folders; all of them or none.

    Raises FileExistsError if a path exists, and any other OSError from writing.
    """
    with ExitStack() as undo:
        for path, content in contents.items():
            for folder in make_folders(path.parent):
                undo.callback(folder.rmdir)
            # Always a new file, never another user's file or link.
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            undo.callback(path.unlink)
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        undo.pop_all()
