"""Reading configuration files: bounded, regular files alone, and errors that show no content."""

import os
import re
import stat
from binascii import a2b_base64
from pathlib import Path
from typing import Any, Final, NamedTuple

from balcli.config.faults import RAISED, Faults
from balcli.errors import ConfigFileError, ConfigSyntaxError
from balcli.files import is_readable_by_others, open_for_reading, permission_problem, shown
from balcli.text import printable

MAX_BYTES: Final = 1_000_000
_MOST_LEVELS: Final = 50  # a login nested twenty deep begins at level five
_MOST_PEM: Final = 10_000_000
_CERTIFICATE: Final = rb"(?s)-----BEGIN (?:TRUSTED )?CERTIFICATE-----(.*?)-----END "


def is_there(path: Path) -> bool:
    """Whether there is something at a path; what cannot even be looked at counts, so that reading it says why."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return False
    except OSError:
        return True
    return True


class FileText(NamedTuple):
    """A file's text, and what the opened file was found to be."""

    path: Path
    text: str
    state: os.stat_result

    def refuse_if_readable(self, why: str) -> None:
        """Raise ConfigFileError, with the chmod, if other users may read the file."""
        if is_readable_by_others(self.state):
            raise ConfigFileError(
                f"{shown(self.path)}: {why}, and every user can read it; chmod 600 {printable(str(self.path), 120)}"
            )


def read_text(path: Path, most_bytes: int = MAX_BYTES, faults: Faults = RAISED) -> FileText:
    """A regular file of the user or root, writable by its owner alone, in UTF-8, without its byte-order mark.

    The checks are made on the opened file, so that it cannot be changed between check and use.
    Raises ConfigFileError; what is wrong with owner and mode alone is left to the faults.
    """
    name = shown(path)
    try:
        descriptor = open_for_reading(path)
    except FileNotFoundError:
        raise ConfigFileError(f"{name}: there is no such file; check the path") from None
    except (OSError, ValueError) as problem:
        reason = getattr(problem, "strerror", None) or "not a usable path"
        raise ConfigFileError(
            f"{name}: cannot be opened: {reason}; check the path and its permissions"
        ) from None
    try:
        state = os.fstat(descriptor)
        if not stat.S_ISREG(state.st_mode):
            raise ConfigFileError(f"{name}: is no regular file; give the path of one")
        flaw = permission_problem(state, path)
        if flaw is not None:
            with faults:
                raise ConfigFileError(f"{name}: {flaw}")
        content = _read(descriptor, most_bytes + 1)
    except OSError as problem:
        raise ConfigFileError(f"{name}: cannot be read: {problem.strerror}; check the disk") from None
    finally:
        os.close(descriptor)
    if len(content) > most_bytes:
        size = f"{most_bytes / 1_000_000:g} MB" if most_bytes >= 1_000_000 else f"{most_bytes} bytes"
        raise ConfigFileError(f"{name}: is over {size}, which no such file can need; name the right one")
    try:
        return FileText(path, content.decode("utf-8-sig"), state)
    except UnicodeDecodeError:
        raise ConfigFileError(f"{name}: is not UTF-8; save it in that encoding") from None


def _read(descriptor: int, most: int) -> bytes:
    """Up to so many bytes of an open file."""
    content = b""
    while len(content) < most and (piece := os.read(descriptor, most - len(content))):
        content += piece
    return content


def pem_flaw(path: Path) -> str | None:
    """Why a file cannot be one of PEM certificates; None where it looks like one."""
    try:
        descriptor = open_for_reading(path)
    except (OSError, ValueError) as problem:
        return f"cannot be opened: {getattr(problem, 'strerror', None) or 'not a usable path'}"
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return "is no regular file"
        content = _read(descriptor, _MOST_PEM + 1)
    except OSError as problem:
        return f"cannot be read: {problem.strerror}"
    finally:
        os.close(descriptor)
    if len(content) > _MOST_PEM:
        return f"is over {_MOST_PEM // 1_000_000} MB"
    blocks = re.findall(_CERTIFICATE, content)  # compiled where a bundle is named, which is seldom
    return None if blocks and all(_is_base64(block) for block in blocks) else "holds no certificates"


def _is_base64(block: bytes) -> bool:
    try:
        return bool(a2b_base64(b"".join(block.split()), strict_mode=True))
    except ValueError:
        return False


# How the parser's words begin, which can go on with the text that stands there; what is wrong, and what to do.
_TOML_FLAWS: Final = {
    ("Cannot ", "Duplicate "): (
        ": it stands above already",
        "remove one of the two, and write each of several accounts as [[...]]",
    ),
    ("Unterminated ", "Illegal ", "Expected '\"", "Expected \"'"): (
        ": a text is not closed, or holds what no text can",
        "add its quote",
    ),
    ("Expected '='",): (": a key is not followed by =", "write KEY = VALUE"),
    ("Invalid value",): (": what follows = is no value", "write texts in quotes"),
    ("Unclosed ",): (": a list or table is not closed", "add its bracket"),
    ("Unescaped ",): (": a \\ stands alone in a text", "write it twice"),
    ("",): ("", "mend that place"),
}


def _is_deeper(document: dict[str, Any], most: int) -> bool:
    """Whether tables and lists stand in one another more than so often: what goes through them recurses."""
    level: list[Any] = [document]
    for _ in range(most):
        level = [
            item
            for value in level
            if isinstance(value, dict | list)
            for item in (value.values() if isinstance(value, dict) else value)
        ]
    return any(isinstance(value, dict | list) for value in level)


def parse_toml(text: str, name: str) -> dict[str, Any]:
    """The document of a TOML 1.1 text; `name` says in messages where it is from.

    Raises ConfigSyntaxError with line, column and kind alone: the text there may be a secret.
    """
    import tomli  # where the work begins: `--help` and completion need none of it

    too_deep = ConfigSyntaxError(
        f"{name}: is nested too deeply, and a profile needs four levels; remove the others"
    )
    try:
        document = tomli.loads(text)
    except tomli.TOMLDecodeError as problem:
        flaws = (said for begin, said in _TOML_FLAWS.items() if problem.msg.startswith(begin))
        flaw, cure = next(flaws)
        raise ConfigSyntaxError(
            f"{name}: is not valid TOML at line {problem.lineno}, column {problem.colno}{flaw}; {cure}"
        ) from None
    except RecursionError:
        raise too_deep from None
    except ValueError:
        # tomli lets a number of over 4,300 digits through to int(), which refuses it.
        raise ConfigSyntaxError(f"{name}: holds a number that is too long; shorten it") from None
    if _is_deeper(document, _MOST_LEVELS):
        raise too_deep
    return document
