"""A report in a machine format as text, and the rows of a terminal's table parsed from its output."""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from balcli.cli.balances import machine as pieces
from balcli.models import AMOUNT_FIELDS, Balance, Report, Total
from balcli.money import Amount
from balcli.render import table
from balcli.render.display import View
from balcli.text import width

AMOUNT: Final = r"(?:-?(?:0|[1-9][0-9]*)(?:\.[0-9]*[1-9])?|unknown)"
_FIELD: Final = f"(?:{'|'.join(AMOUNT_FIELDS)})"
_BELOW: Final = re.compile(rf" *({_FIELD}(?:, {_FIELD})*)(?: +({AMOUNT}))?")
_ALONE: Final = re.compile(rf" *({AMOUNT})")


def machine(name: str, report: Report) -> str:
    """The report in the format of that name."""
    return "".join(pieces(name, report))


def drawn(report: Report, view: View | None = None, *, colour: bool = False, addresses: bool = False) -> str:
    """The report as a table for a terminal, or for a pipe."""
    return "".join(table.pieces(report, view, colour=colour, addresses=addresses))


def terminal_columns(text: str) -> int:
    """The columns of a text in a terminal: none for combining marks, two for wide East Asian characters, or else one."""
    wide = [(0x1100, 0x115F), (0x2E80, 0xA4CF), (0xAC00, 0xD7A3), (0xF900, 0xFAFF), (0xFF01, 0xFF60)]
    wide += [(0x1F300, 0x1FAFF), (0x20000, 0x3FFFD)]
    return sum(
        0
        if unicodedata.category(character) in {"Mn", "Me"}
        else 2
        if any(first <= ord(character) <= last for first, last in wide)
        else 1
        for character in text
    )


class Shown(NamedTuple):
    """A row as a terminal must show it: the label and the texts of the amounts."""

    label: str
    amounts: tuple[str, ...]


def balance_shown(balance: Balance, label: str) -> Shown:
    """The expected row of a balance."""
    return Shown(label, _texts([balance.total, balance.available, balance.locked]))


def total_shown(total: Total, label: str) -> Shown:
    """The expected row of a total: the sum of the known amounts if the total is unknown."""
    pairs = zip(total.amounts, total.known, strict=True)
    return Shown(label, _texts([known if amount is None else amount for amount, known in pairs]))


def _texts(amounts: Iterable[Amount | None]) -> tuple[str, ...]:
    return tuple("unknown" if amount is None else str(amount) for amount in amounts)


def missing_rows(text: str, rows: Sequence[Shown]) -> Iterator[Shown]:
    """The rows that are missing in a terminal's table. Rows must be in order, with complete amounts under their headings."""
    lines = text.split("\n")
    ends = next((_ends(line) for line in lines if line.split() == ["TOTAL", "AVAILABLE", "LOCKED"]), [])
    place = 0
    for row in rows:
        found = next(
            (n for n in range(place, len(lines)) if row.amounts == _read(lines, n, row.label, ends)), None
        )
        if found is None:
            yield row
        else:
            place = found + 1


def _ends(heading: str) -> list[int]:
    return [match.end() for match in re.finditer(r"\S+", heading)]


def _read(lines: Sequence[str], place: int, label: str, ends: Sequence[int]) -> tuple[str, ...] | None:
    """The amounts of the row whose label is on that line; None if the line is not a row."""
    start = f"  {label}"
    if not lines[place].startswith(start):
        return None
    rest = [lines[place].removeprefix(start), *lines[place + 1 :]]
    taken = width(start)
    # A label that is too long for its column is on a line of its own.
    if not rest[0] and ends and not (rest[1:] and _BELOW.fullmatch(rest[1])):
        taken, rest = 0, rest[1:]
    found: dict[str, str] = {}
    for number, match in enumerate(re.finditer(r"\S+", rest[0] if ends else "")):
        whole = taken + width(rest[0][: match.start()]) + len(match[0].partition(".")[0])
        if not re.fullmatch(AMOUNT, match[0]) or number > 2:
            break
        if match[0] == "unknown":
            column = next(n for n in range(3) if ends[n] > whole - len(match[0]))
        elif whole in ends:
            column = ends.index(whole)
        else:
            break
        found[AMOUNT_FIELDS[column]] = match[0]
    rest = rest[1 if ends else 0 if rest[0] else 1 :]
    while len(found) < 3 and rest and (below := _BELOW.fullmatch(rest[0])):
        amount = below[2]
        if amount is None and len(rest) > 1 and (alone := _ALONE.fullmatch(rest[1])):
            amount, rest = alone[1], rest[1:]
        found |= dict.fromkeys(below[1].split(", "), amount)
        rest = rest[1:]
    return tuple(found[field] for field in AMOUNT_FIELDS) if len(found) == 3 else None
