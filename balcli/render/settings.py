"""A profile's settings as a table of keys, values and sources. Values are wrapped only at spaces."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from balcli.render.layout import Line, hanging, pad, paragraph, to_text
from balcli.text import width

_GAP: Final = "  "


class Row(NamedTuple):
    """A setting as text."""

    key: str
    value: str
    source: str


def render(
    head: str, parts: Iterable[tuple[str, Sequence[Row]]], columns: int | None, *, colour: bool = False
) -> str:
    """Each part under its title. `columns` is the terminal's width; None means no limit.

    If a row is too wide, the source is below the value.
    """
    listed = list(parts)
    rows = [row for _, settings in listed for row in settings]
    key = max((width(row.key) for row in rows), default=0)
    # A long value must not push all sources off the screen.
    beside = [row for row in rows if columns is None or _row_width(row, key, width(row.value)) <= columns]
    value = max((width(row.value) for row in beside), default=0)
    lines = paragraph(head, "", columns, "head")
    for title, settings in listed:
        lines += [Line(), Line().add(title, "name")]
        for row in settings:
            lines += _lines(row, key, value, columns)
    return to_text(lines, colour=colour)


def _row_width(row: Row, key: int, value: int) -> int:
    return len(_GAP) * 3 + key + value + width(row.source)


def _lines(row: Row, key: int, value: int, columns: int | None) -> Iterator[Line]:
    start = _GAP + pad(row.key, key) + _GAP
    line = Line().add(start)
    if (columns is None or _row_width(row, key, value) <= columns) and width(row.value) <= value:
        yield line.add(pad(row.value, value) + _GAP).add(row.source, "faint")
        return
    yield from hanging(line, row.value, columns)
    yield from paragraph(row.source, " " * width(start) + _GAP, columns, "faint")
