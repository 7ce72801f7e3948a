"""Lines for people: text in spans, amounts aligned on the decimal point and never cut."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, TypeAlias

from balcli.text import width

Style: TypeAlias = Literal["", "head", "name", "bad", "open", "faint"]


@dataclass(slots=True)
class Line:
    """One line of output, as pieces of text with what each of them is.

    Prose was broken to fit before; what is still too long in it is one word, and does no harm.
    """

    spans: list[tuple[str, Style]] = field(default_factory=list)
    prose: bool = False

    def add(self, text: str, style: Style = "") -> "Line":
        """The line itself, with a piece of text added."""
        self.spans.append((text, style))
        return self

    @property
    def text(self) -> str:
        """The line without its styles, and without blanks at its end."""
        return "".join(text for text, _ in self.spans).rstrip()


class Column:
    """The width of a column of amounts: whole part, point and fraction each under the others'.

    A word in the place of an amount may reach into the room of the fractions, so that it makes no column wider.
    """

    def __init__(self, texts: Iterable[str], heading: str = "") -> None:
        self._whole = self._fraction = word = 0
        for text in texts:
            whole, point, fraction = text.partition(".")
            if len(whole) > self._whole:
                if whole[-1].isdigit():
                    self._whole = len(whole)
                else:
                    word = max(word, len(whole))
            self._fraction = max(self._fraction, len(point + fraction))
        self._whole = max(self._whole, len(heading) - self._fraction, word - self._fraction)
        self.width = self._whole + self._fraction
        self.heading = f"{heading:>{self._whole}}".ljust(self.width)
        """The heading, ending where the whole parts end, if it is that short."""

    def cell(self, text: str) -> str:
        """The whole text, its decimal point aligned with the column's."""
        whole, point, fraction = text.partition(".")
        if len(whole) > self._whole:  # a word
            return whole.ljust(self.width)
        return f"{whole:>{self._whole}}{point + fraction:<{self._fraction}}"


def pad(text: str, columns: int) -> str:
    """The text, padded with spaces to that many terminal columns."""
    return text + " " * (columns - width(text))


def paragraph(text: str, indent: str, columns: int | None, style: Style = "") -> list[Line]:
    """A text wrapped to that many columns, None for no limit. An ASCII word is never broken."""
    rows = [text] if columns is None else _wrapped(text, max(columns - len(indent), 1))
    return [Line(prose=True).add(indent).add(row, style) for row in rows]


def hanging_indent(start: str, text: str, columns: int | None) -> list[str]:
    """A text after a start, wrapped as by `paragraph`, further lines indented to where the text began."""
    indent = " " * width(start)
    first, *more = (line.text for line in paragraph(text, indent, columns))
    return [start + first.removeprefix(indent), *more]


def first_fitting(layouts: Iterable[Iterable[Line]], columns: int | None) -> list[Line]:
    """The first layout whose lines, prose aside, fit that many columns; else the last one."""
    lines: list[Line] = []
    for layout in layouts:
        lines = list(layout)
        if columns is None or all(width(line.text) <= columns for line in lines if not line.prose):
            break
    return lines


def _wrapped(text: str, room: int) -> list[str]:
    """The text wrapped at its spaces. A word that is too long is broken if it cannot be an amount.

    textwrap counts characters, not columns. In one pass: a server can send a word of millions of characters.
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


def local_time(at: datetime) -> str:
    """A time for people: local by TZ, with its offset, to the second."""
    try:
        return at.astimezone().isoformat(timespec="seconds")
    except (OverflowError, ValueError, OSError):  # at an end of the calendar
        return at.isoformat(timespec="seconds")
