"""Files' owners and modes, locks and folders. Owners are checked on the open file, which nobody can swap."""

import os
import stat
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from balcli.text import printable

CAN_CHECK = hasattr(os, "getuid")
"""Whether the system tells owners and modes as POSIX does; where it does not, they are not checked."""


# Two of them, and what is said of both, fit a message.
_LONGEST_PATH: Final = 96


def working_folder() -> Path:
    """The working directory; where that was deleted, the empty path, in which no file is found."""
    try:
        return Path.cwd()
    except FileNotFoundError:
        return Path()


def is_relative_to_nothing(path: Path) -> bool:
    """Whether a path is relative, and the working directory was deleted."""
    return not path.is_absolute() and working_folder() == Path()


def nowhere(path: Path) -> str:
    """What is wrong with such a path, and the cure."""
    return f"{shown(path)}: the working directory was deleted; change to another one, or use an absolute path"


def expand_home(path: str, environ: Mapping[str, str]) -> str:
    """A path with the home folder in the place of `~/` at its start. Raises ValueError where HOME is not absolute."""
    if not path.startswith("~/"):
        return path
    home = environ.get("HOME", "")
    if not Path(home).is_absolute():
        raise ValueError("~/ needs HOME, which is not an absolute path; set HOME, or use an absolute path")
    return str(Path(home, path[2:].lstrip("/")))


def shown(path: Path) -> str:
    """A path as messages show it: of a long one the end, which tells more than the beginning."""
    text = printable(str(path))
    return text if len(text) <= _LONGEST_PATH else f"...{text[3 - _LONGEST_PATH :]}"


def base_folder(environ: Mapping[str, str], variable: str, in_home: str) -> Path | None:
    """The folder that a variable names, else one in the user's home folder; None if that is not an absolute path."""
    named = environ.get(variable, "")
    if not named and environ.get("HOME") == "":
        return None  # an empty HOME would stand for the root
    try:
        folder = Path(named) if named else Path("~", in_home).expanduser()
    except RuntimeError:  # no home folder is known
        return None
    return folder if folder.is_absolute() else None


def open_for_reading(path: Path) -> int:
    """A descriptor of the file. Raises OSError; never waits for the other end of a FIFO."""
    return os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))


def try_lock(descriptor: int) -> bool | None:
    """Whether a file is locked by this process now, until it closes it or ends; None where locks cannot be had."""
    try:
        import fcntl  # here, because not every system has it
    except ImportError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        return None
    return True


def permission_problem(state: os.stat_result, path: Path) -> str | None:
    """Why a file or folder cannot be trusted, with the cure: another user owns it or can write it. None if it can be."""
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
    """The command after which a file or folder is private enough for a secret, and still readable by who reads it now."""
    is_own = state.st_uid == os.getuid()
    # The group may be the only one that reads root's file, or one's own: it keeps that.
    keeps_group = state.st_mode & stat.S_IRGRP and not (is_own and state.st_mode & stat.S_IRWXO)
    mode = 0o640 if keeps_group else 0o600
    if stat.S_ISDIR(state.st_mode):
        mode |= mode >> 2 & 0o110
    return f"{'' if is_own else 'sudo '}chmod {mode:o} {_quoted(printable(str(path), 120))}"


def _quoted(text: str) -> str:
    """A text as a shell takes it for one word."""
    import shlex  # here, because only an error needs it

    return shlex.quote(text)


def _user_name(number: int) -> str:
    """The name of a user, as sudo takes it."""
    import pwd  # here, because not every system has it

    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"#{number}"


def is_readable_by_others(state: os.stat_result) -> bool:
    """Whether users beside the owner and the group may read the file."""
    return CAN_CHECK and bool(state.st_mode & stat.S_IROTH)


def make_folders(folder: Path) -> list[Path]:
    """Make a folder and those above it, the user's alone; those that are made, the topmost first. Raises OSError."""
    made: list[Path] = []
    for missing in reversed([each for each in (folder, *folder.parents) if not each.exists()]):
        try:
            missing.mkdir(0o700)
        except FileExistsError:
            continue  # another run was faster, or what is there will be found to be no folder
        except OSError:
            for each in reversed(made):
                each.rmdir()
            raise
        made.append(missing)
    return made


def write_new(texts: Mapping[Path, str]) -> None:
    """New files with these texts, the user's alone, and the folders that they need; all of them whole, or none.

    Raises FileExistsError where anything is at a path, and any other OSError of writing.
    """
    with ExitStack() as undo:
        for path, text in texts.items():
            for folder in make_folders(path.parent):
                undo.callback(folder.rmdir)
            # Made anew by this call, so that nobody else's file or link is written through.
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            undo.callback(path.unlink)
            with os.fdopen(descriptor, "wb") as file:
                file.write(text.encode())
                file.flush()
                os.fsync(file.fileno())
        undo.pop_all()
