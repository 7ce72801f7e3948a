"""Collect all problems of a configuration. Each names the file, line, key and cure.

Messages never contain values.
"""

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Final, NamedTuple, Protocol, TypeAlias

from balcli.errors import ConfigError
from balcli.files import shown
from balcli.secret import MIN_RECOGNIZABLE
from balcli.text import printable

KeyPath: TypeAlias = tuple[str | int, ...]
"""The keys and list indices of a value in a document."""


class Place(Protocol):
    """A table of a profile, or the variables of an account, in messages."""

    def located(self, keys: KeyPath, text: str) -> str:
        """The message with this text about the key at this path in the table, or about the table itself."""


class Problems:
    """Collects the problems of a configuration.

    A problem inside `with problems.step():` is caught, and execution continues after the block.

    Messages are formatted at the end, when all credentials are known, because account names may contain one.
    """

    def __init__(self, before: "Iterable[Problem]" = ()) -> None:
        self.found: list[Problem] = [*before]

    def add(self, problem: ConfigError, place: Place | None = None, *keys: str | int) -> None:
        """Add a problem. With a place, the message continues the name of its keys; without one, it is complete."""
        self.found.append((problem, place, keys))

    @contextmanager
    def step(self, place: Place | None = None, *keys: str | int) -> Iterator[None]:
        """A context manager that catches a ConfigError and adds it."""
        try:
            yield
        except ConfigError as problem:
            self.add(problem, place, *keys)

    def errors(self) -> tuple[ConfigError, ...]:
        """The problems with their complete messages, in the order of discovery, each once."""
        whole: dict[str, ConfigError] = {}
        for problem, place, keys in self.found:
            message = problem.message if place is None else place.located(keys, problem.message)
            whole.setdefault(message, type(problem)(message))
        return tuple(whole.values())

    def error(self) -> ConfigError:
        """The first problem, with the others."""
        first, *others = self.errors()
        first.others = tuple(others)
        return first


Problem: TypeAlias = tuple[ConfigError, Place | None, KeyPath]


class Source(NamedTuple):
    """TOML text, with its file or another name for messages."""

    place: Path | str
    text: str

    @property
    def name(self) -> str:
        """Its name in messages."""
        return self.place if isinstance(self.place, str) else shown(self.place)

    def at(self, path: KeyPath) -> str:
        """The name and the line of the key at this path, or of its table if the key is missing: `config.toml:14`."""
        lines = line_numbers(self.text)
        while path and path not in lines:
            path = path[:-1]
        return f"{self.name}:{lines[path]}" if path else self.name


class Table(NamedTuple):
    """A table of a TOML text: a profile, one of its limits, or the whole text."""

    source: Source
    path: KeyPath = ()

    @property
    def title(self) -> str:
        """Its name in messages; empty for the whole text."""
        match self.path:
            case ():
                return ""
            case (*_, "limits", int(number)):
                return f"limit {number + 1}"
        return f'profile "{printable(str(self.path[-1]), 40)}"'

    def located(self, keys: KeyPath, text: str) -> str:
        """The message about a key of the table; see `Place`."""
        return located(self.source.at((*self.path, *keys)), keys, self.title, text)


def located(where: str, keys: KeyPath, title: str, text: str) -> str:
    """`WHERE: KEY in TITLE TEXT`, or `WHERE: unknown key "KEY" in TITLE TEXT`."""
    subject = ".".join(printable(str(key), 40) for key in keys)
    if text.startswith(UNKNOWN_KEY):
        subject, text = _unknown(str(keys[-1])), text.removeprefix(UNKNOWN_KEY)
    subject = " in ".join(filter(None, (subject, title)))
    return f"{where}: {subject}{'' if text[:1] in ':;' else ' '}{text}" if subject else f"{where}: {text}"


UNKNOWN_KEY: Final = "unknown key"
"""The start of a message about an unknown key; `located` adds the key."""


def _unknown(key: str) -> str:
    """An unknown key for a message. Not shown if it may be a misplaced credential."""
    if len(key) >= MIN_RECOGNIZABLE and any(character.isdigit() for character in key):
        return f"{UNKNOWN_KEY} (not shown: it may be a secret)"
    return f'{UNKNOWN_KEY} "{printable(key, 40)}"'


# Compiled only for error messages.
_PATTERN: Final = r"""(?x)
    [\ \t\r]+ | \#[^\n]*
    | "{3} (?: [^\\] | \\[\s\S] )*? "{3,5} | '{3} [\s\S]*? '{3,5}
    | " (?: [^"\\\n] | \\. )* " | '[^'\n]*'
    | [^\s"'\#\[\]{},.=]+
    | [\s\S]
"""


@lru_cache(maxsize=4)  # called for each message
def line_numbers(text: str) -> dict[KeyPath, int]:
    """The line (from 1) of each key and list item in a valid TOML text of limited depth."""
    return _Scanner(text).found


class _Scanner:
    """Scans a valid TOML text. The line of a table is that of its heading, or of its first key."""

    def __init__(self, text: str) -> None:
        self.found: dict[KeyPath, int] = {}
        self._last_index: dict[KeyPath, int] = {}
        """The index of the last table in each list of `[[…]]`."""
        self._pieces: list[tuple[str, int]] = []
        self._next = 0
        line = 1
        for piece in re.findall(_PATTERN, text):
            if piece[0] not in " \t\r#":
                self._pieces.append((piece, line))
            line += piece.count("\n")
        self._pieces.append(("", line))
        table: KeyPath = ()
        while self._skip_lines():
            if self._take("["):
                table = self._heading()
            else:
                self._pair(table)

    def _take(self, piece: str) -> bool:
        """Consume this token if it is next; returns whether it was."""
        found = self._pieces[self._next][0] == piece
        self._next += found
        return found

    def _skip_lines(self) -> str:
        """The next token that is not a line break."""
        while self._take("\n"):
            pass
        return self._pieces[self._next][0]

    def _keys(self) -> tuple[list[str], int]:
        """The parts of a dotted key, and its line."""
        from balcli.config.sources import parse_toml  # imported here, because that module imports this one

        keys, line = [], self._pieces[self._next][1]
        while (piece := self._pieces[self._next][0]) not in {"=", "]"}:
            self._next += 1
            if piece != ".":
                keys.append(
                    next(iter(parse_toml(Source("", f"{piece} = 0")))) if piece[0] in "\"'" else piece
                )
        return keys, line

    def _heading(self) -> KeyPath:
        several = self._take("[")
        keys, line = self._keys()
        self._next += 1 + several
        path: KeyPath = ()
        for number, key in enumerate(keys, 1):
            path = (*path, key)
            self.found.setdefault(path, line)
            if several and number == len(keys):
                self._last_index[path] = self._last_index.get(path, -1) + 1
            if path in self._last_index:
                path = (*path, self._last_index[path])
        self.found[path] = line
        return path

    def _pair(self, path: KeyPath) -> None:
        keys, line = self._keys()
        self._next += 1
        for key in keys:
            path = (*path, key)
            self.found.setdefault(path, line)
        self._value(path)

    def _value(self, path: KeyPath) -> None:
        if self._take("["):
            index = 0
            while self._skip_lines() != "]":
                self.found[*path, index] = self._pieces[self._next][1]
                self._value((*path, index))
                index += 1
                self._skip_lines()
                self._take(",")
            self._next += 1
        elif self._take("{"):
            while self._skip_lines() != "}":
                self._pair(path)
                self._skip_lines()
                self._take(",")
            self._next += 1
        else:
            while self._pieces[self._next][0] not in {",", "]", "}", "\n", ""}:
                self._next += 1
