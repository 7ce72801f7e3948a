"""Reading configuration files: bounded, regular files alone, and errors that show no content."""

import os
import stat
from pathlib import Path
from typing import Any, Final

from balcli.errors import ConfigFileError, ConfigSyntaxError
from balcli.text import printable

MAX_BYTES: Final = 1_000_000


def shown(path: Path) -> str:
    """A path as messages name it."""
    return printable(str(path), 120)


def is_there(path: Path) -> bool:
    """Whether there is something at a path; what cannot even be looked at counts, so that reading it says why."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return False
    except OSError:
        return True
    return True


def read_text(path: Path) -> str:
    """The text of a regular file of at most 1 MB, in UTF-8, a byte-order mark at its start left out.

    The checks are made on the opened file, so that it cannot be changed between check and use.
    Raises ConfigFileError.
    """
    try:
        # O_NONBLOCK: opening a FIFO must not wait for a writer that never comes.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0))
    except FileNotFoundError:
        raise ConfigFileError(f"{shown(path)}: there is no such file; check the path") from None
    except (OSError, ValueError) as problem:
        reason = (
            problem.strerror if isinstance(problem, OSError) and problem.strerror else "not a usable path"
        )
        raise ConfigFileError(
            f"{shown(path)}: cannot be opened: {reason}; check the path and its permissions"
        ) from None
    with os.fdopen(descriptor, "rb") as stream:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ConfigFileError(f"{shown(path)}: is no regular file; give the path of one")
        try:
            content = stream.read(MAX_BYTES + 1)
        except OSError as problem:
            raise ConfigFileError(
                f"{shown(path)}: cannot be read: {problem.strerror}; check the disk"
            ) from None
    if len(content) > MAX_BYTES:
        raise ConfigFileError(f"{shown(path)}: is over 1 MB; this cannot be the file that you mean")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ConfigFileError(f"{shown(path)}: is not UTF-8; save it in that encoding") from None


def parse_toml(text: str, name: str) -> dict[str, Any]:
    """The document of a TOML 1.1 text; `name` says in messages where it is from.

    Raises ConfigSyntaxError with line and column alone: the text there may be a secret.
    """
    import tomli  # where the work begins: `--help` and completion need none of it

    try:
        return tomli.loads(text)
    except tomli.TOMLDecodeError as problem:
        raise ConfigSyntaxError(
            f"{name}: is not valid TOML at line {problem.lineno}, column {problem.colno}; mend that place"
        ) from None
    except RecursionError:
        raise ConfigSyntaxError(f"{name}: is nested too deeply; a profile needs four levels") from None
    except ValueError:
        # tomli lets a number of over 4,300 digits through to int(), which refuses it.
        raise ConfigSyntaxError(f"{name}: holds a number that is too long; shorten it") from None
