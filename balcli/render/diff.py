"""The differences between two runs, as lines for people or as a document."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any, Final, NamedTuple

from balcli.diff import AccountChange, BalanceChange, Diff
from balcli.errors import BalcliError
from balcli.models import Failure
from balcli.money import Amount
from balcli.render.json import SCHEMA_VERSION, amount_text, format_time, run_error, to_json
from balcli.render.layout import (
    Block,
    Column,
    Line,
    Style,
    first_fitting,
    local_iso,
    pad,
    paragraph,
    stacked,
    tall,
    to_text,
)
from balcli.render.words import local_time, signed, style_of
from balcli.text import LONGEST_NAME, printable, width

_MARKS: Final[Mapping[str, str]] = {"appeared": "+", "vanished": "-", "changed": "~", "incomparable": "?"}
_STYLES: Final[Mapping[str, Style]] = {
    "incomparable": "bad",
    "appeared": "plus",
    "vanished": "minus",
    "changed": "open",
}


class Side(NamedTuple):
    """One of the two runs: its id or file (both None for a live run), its time, and whether it is complete."""

    id: int | None
    at: datetime
    complete: bool
    file: str | None = None


class Comparison(NamedTuple):
    """Two runs and their differences."""

    profile: str | None
    before: Side | None
    after: Side | None
    """Both are None where the runs could not be compared."""
    changes: Diff


def render(comparison: Comparison, *, columns: int | None, colour: bool) -> str:
    """The differences as lines of text; empty if there are none.

    `columns` is the terminal's width; None means no limit.
    """
    if not (comparison.changes.accounts or comparison.changes.balances):
        return ""
    heading = " -> ".join(
        _named(side, local_iso if columns is None else local_time)
        for side in (comparison.before, comparison.after)
        if side is not None
    )
    told = [*paragraph(heading, "", columns, "head"), *lines(comparison.changes, columns)]
    return to_text(told, colour=colour)


def _named(side: Side, time: Callable[[datetime], str]) -> str:
    of_file = "now" if side.file is None else printable(side.file, LONGEST_NAME)
    name = of_file if side.id is None else f"run {side.id}"
    return f"{name} ({time(side.at)}{'' if side.complete else ', partial'})"


def lines(changes: Diff, columns: int | None) -> Iterator[Line]:
    """A line for each account and amount that differs; if too wide, a line for each value."""
    for account in changes.accounts:
        yield _account_line(account)
    for name, rows in groupby(changes.balances, lambda change: change.account):
        of_account = list(rows)
        yield Line().add(printable(name, LONGEST_NAME), "name").add(f" ({of_account[0].provider})", "faint")
        below = stacked(map(_block, of_account)), tall(map(_block, of_account), "    ", " ")
        yield from first_fitting((_wide(of_account), *below), columns)
    if changes.within_threshold:
        rows_are = "row is" if changes.within_threshold == 1 else "rows are"
        yield Line().add(f"{changes.within_threshold} more {rows_are} within the threshold", "faint")


def _account_line(change: AccountChange) -> Line:
    said = f"not compared: {change.reason}" if change.reason else change.happened
    name = printable(change.account, LONGEST_NAME)
    style = _STYLES[change.happened]
    line = Line().add(f"{_MARKS[change.happened]} ", style).add(name, "name")
    return line.add(f" ({change.provider}) ", "faint").add(said, style)


def _wide(changes: list[BalanceChange]) -> Iterator[Line]:
    """The rows of one account, one line for each amount, starting with its difference."""
    moves = [move for change in changes for move in change.amounts]
    difference = Column([signed(move) for move in moves])
    before, after = Column(_text(move.before) for move in moves), Column(_text(move.after) for move in moves)
    assets = [printable(change.asset, LONGEST_NAME) for change in changes]
    wide = max(map(width, assets))
    parts = max((len(_words(move.field)) for move in moves), default=0)
    for change, asset in zip(changes, assets, strict=True):
        style = _STYLES[change.happened]
        start = f"  {_MARKS[change.happened]} {pad(asset, wide)}  "
        if not change.amounts:
            yield Line().add(start, style).add(f"{change.happened}, no known amount")
        for number, move in enumerate(change.amounts):
            line = Line().add(start if not number else " " * width(start), style)
            line.add(f"{_words(move.field):<{parts}}  ").add(difference.cell(signed(move)), style_of(move))
            yield line.add(f"  {before.cell(_text(move.before))}  ->  {after.cell(_text(move.after))}")


def _block(change: BalanceChange) -> Block:
    """One row as a block: for each amount, the difference, and the values before and after."""
    heading = [
        Line().add(
            f"  {_MARKS[change.happened]} {printable(change.asset, LONGEST_NAME)}", _STYLES[change.happened]
        )
    ]
    if not change.amounts:
        heading.append(Line().add(f"    {change.happened}, no known amount"))
    amounts: list[tuple[str, str, Style]] = []
    for move in change.amounts:
        amounts.append((_words(move.field), signed(move), style_of(move)))
        amounts += [("  before", _text(move.before), ""), ("  after", _text(move.after), "")]
    return Block(heading, amounts)


def _words(part: str) -> str:
    return part.replace("_", " ")


def _text(amount: Amount | None) -> str:
    return "-" if amount is None else str(amount)


def render_json(comparison: Comparison, trouble: Sequence[Failure] = ()) -> str:
    """The comparison as one JSON document, in ASCII, with the failures that make it inconclusive, if any.

    Amounts are canonical decimal strings in whole units; unknown is null.
    """
    changes = comparison.changes
    return to_json(
        {
            "schema_version": SCHEMA_VERSION,
            "profile": comparison.profile,
            "different": None if trouble else bool(changes),
            "from": _side(comparison.before),
            "to": _side(comparison.after),
            "accounts": [change._asdict() for change in changes.accounts],
            "balances": [_change(change) for change in changes.balances],
            "within_threshold": changes.within_threshold,
            "errors": [*map(run_error, trouble)],
        }
    )


def failed(profile: str | None, error: BalcliError) -> str:
    """The document of a failed comparison."""
    return render_json(Comparison(profile, None, None, Diff((), ())), [*map(Failure.from_error, error.every)])


def _side(side: Side | None) -> dict[str, Any] | None:
    return side and side._asdict() | {"at": format_time(side.at)}


def _change(change: BalanceChange) -> dict[str, Any]:
    amounts = {
        move.field: {key: amount_text(getattr(move, key)) for key in ("before", "after", "difference")}
        for move in change.amounts
    }
    return change._asdict() | {"amounts": amounts}
