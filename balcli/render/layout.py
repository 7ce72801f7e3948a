"""Lines for people: styled text, with amounts aligned at the decimal point and never cut."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, NamedTuple, TypeAlias

from balcli.text import width

Style: TypeAlias = Literal[
    "", "head", "name", "thousands", "faint", "good", "plus", "open", "bad", "minus", "bar"
]
"""The style of a piece of text; see `render.terminal`."""


@dataclass(slots=True)
class Line:
    """One line of output, as pieces of styled text."""

    spans: list[tuple[str, Style]] = field(default_factory=list)
    rank: int = 9
    """The rank of the line. If not all fit, the highest ranks are omitted first."""

    def add(self, text: str, style: Style = "") -> "Line":
        """Add a piece of text, and return the line."""
        self.spans.append((text, style))
        return self

    @property
    def text(self) -> str:
        """The line without styles and trailing spaces."""
        return "".join([text for text, _ in self.spans]).rstrip()

    def trimmed(self) -> list[tuple[str, Style]]:
        """The pieces of the line without trailing spaces."""
        spans = self.spans
        if spans and spans[-1][0][-1:] in {"", " "}:
            spans = [*spans]
            while spans and not (last := spans[-1][0].rstrip()):
                spans.pop()
            if spans:
                spans[-1] = last, spans[-1][1]
        return spans


class Column:
    """The width of a column of amounts, aligned at the decimal point.

    A word instead of an amount can extend into the fraction part, so that the column does not get wider.
    """

    def __init__(self, texts: Iterable[str], heading: str = "") -> None:
        self.whole = self._fraction = 0
        word = len(heading)
        # Even a thousand amounts have few distinct shapes (point, length).
        for point, length, is_amount in {(text.find("."), len(text), text[-1:].isdigit()) for text in texts}:
            whole = length if point < 0 else point
            if is_amount:
                self.whole = max(self.whole, whole)
            else:
                word = max(word, whole)
            self._fraction = max(self._fraction, length - whole)
        self.widen(word - self._fraction)
        self.heading = heading.rjust(self.whole).ljust(self.width)
        """The heading, aligned with the end of the whole parts if it fits."""

    def widen(self, whole: int) -> None:
        """Widen the column for a whole part of this many characters."""
        self.whole = max(self.whole, whole)
        self.width = self.whole + self._fraction

    def cell(self, text: str) -> str:
        """The text, aligned at the decimal point. A longer word starts at the column's start."""
        point = text.find(".")
        whole = len(text) if point < 0 else point
        return text.rjust(self.whole + len(text) - whole).ljust(self.width)

    def spans(self, text: str) -> list[tuple[str, Style]]:
        """The cell in styled pieces: faint fractions and zeros, grouped thousands, marked negatives."""
        if text == "0" or not text[0].isdigit():
            return [(self.cell(text), "faint" if text == "0" else "minus" if text[0] == "-" else "open")]
        point = text.find(".")
        whole = len(text) if point < 0 else point
        groups = (whole - 1) // 3
        end = whole - 3 * groups
        spans: list[tuple[str, Style]] = [
            (text[:end].rjust(self.whole - 3 * groups), "thousands" if groups % 2 else "")
        ]
        for left in reversed(range(groups)):
            spans.append((text[end : end + 3], "thousands" if left % 2 else ""))
            end += 3
        if self._fraction:
            spans.append((text[whole:].ljust(self._fraction), "faint"))
        return spans


def to_text(lines: Iterable[Line], *, colour: bool) -> str:
    """The lines as text, with terminal colors if `colour`."""
    return "".join(to_pieces(lines, colour=colour))


def to_pieces(lines: Iterable[Line], *, colour: bool) -> Iterator[str]:
    """The text line by line."""
    if not colour:
        return (f"{line.text}\n" for line in lines)
    from balcli.render.terminal import coloured  # imported here, because it imports rich

    return coloured(lines)


def pad(text: str, columns: int) -> str:
    """The text, padded with spaces to that many terminal columns."""
    return text + " " * (columns - width(text))


def ranked(rank: int, lines: Iterable[Line]) -> Iterator[Line]:
    """The lines, with this rank if they have none."""
    for line in lines:
        line.rank = min(rank, line.rank)
        yield line


def fitted(lines: Iterable[Line], rows: int | None) -> list[Line]:
    """The most important lines that fit this many rows, in order. The last line says how many are omitted."""
    lines = [*lines]
    if rows is None or len(lines) <= rows:
        return lines
    first = sorted(range(len(lines)), key=lambda number: lines[number].rank)
    kept = sorted(first[: max(rows - 1, 0)])
    note = Line().add(f"... {len(lines) - len(kept)} more lines do not fit", "open")
    return [*(lines[number] for number in kept), note]


def paragraph(text: str, indent: str, columns: int | None, style: Style = "") -> list[Line]:
    """A text wrapped to this many columns; None for no limit. ASCII words are never broken."""
    rows = [text] if columns is None else _wrapped(text, max(columns - len(indent), 1))
    return [Line().add(indent).add(row, style) for row in rows]


def hanging(line: Line, text: str, columns: int | None, style: Style = "") -> Iterator[Line]:
    """The line with a text appended, wrapped like `paragraph`, with further lines indented to its start."""
    indent = " " * sum(width(before) for before, _ in line.spans)
    for row in paragraph(text, indent, columns, style):
        line.spans.append(row.spans[-1])
        yield line
        line = Line([(indent, "")])


class Block(NamedTuple):
    """Amounts below a heading (name, text, style), for terminals that are too narrow for columns."""

    heading: Iterable[Line]
    amounts: Sequence[tuple[str, str, Style]]


def stacked(blocks: Iterable[Block]) -> Iterator[Line]:
    """Each amount next to its name, aligned at the decimal point."""
    blocks = [*blocks]
    amounts = [amount for block in blocks for amount in block.amounts]
    column = Column(text for _, text, _ in amounts)
    wide = max((len(name) for name, _, _ in amounts), default=0)
    for block in blocks:
        yield from block.heading
        for name, text, style in block.amounts:
            yield Line().add(f"    {name:<{wide}}  ").add(column.cell(text), style)


def tall(blocks: Iterable[Block], name_indent: str, indent: str) -> Iterator[Line]:
    """Each amount below its name."""
    for block in blocks:
        yield from block.heading
        for name, text, style in block.amounts:
            yield Line().add(name_indent + name)
            yield Line().add(indent).add(text, style)


def first_fitting(layouts: Iterable[Iterable[Line]], columns: int | None) -> list[Line]:
    """The first layout that fits this many columns, or else the last one."""
    lines: list[Line] = []
    for layout in layouts:
        lines = list(layout)
        if columns is None or all(width(line.text) <= columns for line in lines):
            break
    return lines


def _wrapped(text: str, room: int) -> list[str]:
    """The text wrapped at spaces. A word that is too long is broken only if it cannot be an amount.

    textwrap counts characters, not columns. This works in one pass, because a server can send huge words.
    """
    rows, taken = [""], 0
    for word in text.split(" "):
        wide, gap = width(word), " " if rows[-1] else ""
        if taken + len(gap) + wide <= room:
            rows[-1] += gap + word
            taken += len(gap) + wide
        elif word.isascii() or wide <= room:
            rows.append(word)
            taken = wide
        else:
            for character in gap + word:
                step = width(character)
                if taken + step > room:
                    rows.append("")
                    taken = 0
                rows[-1] += character
                taken += step
    return [row for row in rows if row]


def local_iso(at: datetime) -> str:
    """A local time (TZ) with its offset, to the second, without spaces, for messages and pipes."""
    try:
        return at.astimezone().isoformat(timespec="seconds")
    except (OverflowError, ValueError, OSError):  # out of the calendar's range
        return at.isoformat(timespec="seconds")
