"""On which line of a TOML file each key stands, which the parser does not tell."""

from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeAlias

from balcli.config.source import parse_toml
from balcli.errors import ConfigSyntaxError

KeyPath: TypeAlias = tuple[str | int, ...]
"""The keys and list indices that lead to a value in a document."""

# A statement over more lines is none of a profile, and trying where it ends would take long.
_MOST_LINES: Final = 200


def lines_of(text: str) -> dict[KeyPath, int]:
    """The line, counted from 1, on which the statement of each key begins; the text is valid TOML.

    What stands behind a statement of very many lines is left out.
    """
    found: dict[KeyPath, int] = {}
    last_of: dict[KeyPath, int] = {}
    table: KeyPath = ()
    for line, statement in _statements(text):
        document = parse_toml(statement, "")
        if statement.lstrip().startswith("["):
            table = _table(document, last_of)
            found.setdefault(table, line)
        else:
            for path in _paths(document):
                found.setdefault((*table, *path), line)
    return found


def _statements(text: str) -> Iterator[tuple[int, str]]:
    """Each statement, comment or blank line, with the number of its first line.

    A statement is whole where it is valid by itself: inside a list, an inline table or a text of
    several lines it is not.
    """
    first, statement = 1, ""
    for number, line in enumerate(text.split("\n"), 1):
        statement += f"{line}\n"
        try:
            parse_toml(statement, "")
        except ConfigSyntaxError:
            if number - first >= _MOST_LINES:
                return
            continue
        yield first, statement
        first, statement = number + 1, ""


def _table(header: Mapping[str, Any], last_of: dict[KeyPath, int]) -> KeyPath:
    """Where a `[table]` or `[[table]]` is; the last index of each list of tables is kept."""
    path: KeyPath = ()
    rest: Any = header
    while rest:
        ((key, rest),) = rest.items()
        path = (*path, key)
        if isinstance(rest, list):
            last_of[path] = last_of.get(path, -1) + 1
            rest = {}
        if path in last_of:
            path = (*path, last_of[path])
    return path


def _paths(value: Any) -> Iterator[KeyPath]:
    """Each path into a value, those to its tables and lists included."""
    items: Any = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    for key, item in items:
        yield (key,)
        for path in _paths(item):
            yield (key, *path)
