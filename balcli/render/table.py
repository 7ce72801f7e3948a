"""The table of `-o table`: for people, at any width, every amount whole.

Three layouts, the widest that fits: columns, one amount a line beside its name, one amount a line
below its name. The layout is ours, because a general table cuts what does not fit; rich only
colours it.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import Final, TypeAlias

from balcli.models import AMOUNT_FIELDS, Amounts, Balance, Outcome, Report, Total
from balcli.money import Amount
from balcli.render.layout import Column, Line, Style, first_fitting, pad, paragraph
from balcli.text import LONGEST_NAME, printable, width

_UNKNOWN: Final = "unknown"
_KNOWN: Final = "known so far"
_BLANK: Final = "\\x20"
_INDENT: Final = "  "
_GAP: Final = "  "
# Of the colours that a terminal's own theme decides, those that can be read on black and on white: its yellow,
# green and cyan fade on white, its blue on black.
_COLOURS: Final[dict[Style, str]] = {
    "head": "bold",
    "name": "bold",
    "bad": "bold red",
    "open": "magenta",
    "faint": "dim",
}


def render(report: Report, *, columns: int | None, colour: bool, addresses: bool = False) -> str:
    """The report as lines of text. `columns` is the terminal's width; None means any width will do.

    With `addresses`, deposit addresses are shown under their asset.
    """
    table = _Table(report, columns, addresses=addresses)
    return to_text(first_fitting((table.wide(), table.stacked(), table.tall()), columns), colour=colour)


_Rows: TypeAlias = Callable[[str, Balance | Amounts, Style], Iterator[Line]]
"""How a layout shows one label with its three amounts."""


class _Table:
    """One report being laid out: the texts of its amounts and the widths that they need."""

    def __init__(self, report: Report, columns: int | None, *, addresses: bool) -> None:
        self._report = report
        self._columns = columns
        self._addresses = addresses
        self._note_indent = _INDENT
        rows: list[Balance | Amounts] = [*report.balances]
        if self._shows_totals:
            rows += [parts for total in report.totals for parts in (total.amounts, total.known)]
        texts = {part: [_text(getattr(row, part)) for row in rows] for part in AMOUNT_FIELDS}
        self._cells = {part: Column(texts[part], part.upper()) for part in AMOUNT_FIELDS}
        self._any_cell = Column(text for part in AMOUNT_FIELDS for text in texts[part])
        labels = [_label(balance.asset) for balance in report.balances]
        labels += [_label(total.asset) for total in report.totals]
        self._label_width = max(width(label) for label in (*labels, _KNOWN))
        self._by_account: dict[str, list[Balance]] = defaultdict(list)
        for balance in report.balances:
            self._by_account[balance.account].append(balance)

    @property
    def _shows_totals(self) -> bool:
        """Whether totals say more than the rows: of one account they are the rows again, if no asset repeats."""
        if self._report.left_out is not None:
            return True
        counted = {total.asset for total in self._report.totals}
        assets = [balance.asset for balance in self._report.balances if balance.asset in counted]
        return len(self._report.outcomes) > 1 or len(set(assets)) < len(assets)

    def wide(self) -> Iterator[Line]:
        """A row of three amounts for each asset."""
        heading = "".join(f"{_GAP}{self._cells[part].heading}" for part in AMOUNT_FIELDS)
        self._note_indent = _INDENT * 2
        if self._report.balances or self._report.totals:
            yield Line().add(_INDENT + " " * self._label_width).add(heading, "head")
        yield from self._body(self._wide_row)

    def stacked(self) -> Iterator[Line]:
        """A line for each amount, beside its name."""
        self._note_indent = _INDENT
        yield from self._body(self._stacked_rows)

    def tall(self) -> Iterator[Line]:
        """A line for each amount, below its name."""
        self._note_indent = " "
        yield from self._body(self._tall_rows)

    def _wide_row(self, label: str, row: Balance | Amounts, style: Style) -> Iterator[Line]:
        line = Line().add(_INDENT).add(pad(label, self._label_width), style)
        for part in AMOUNT_FIELDS:
            amount = getattr(row, part)
            line.add(_GAP).add(self._cells[part].cell(_text(amount)), _style(amount))
        yield line

    def _stacked_rows(self, label: str, row: Balance | Amounts, style: Style) -> Iterator[Line]:
        yield Line().add(" ").add(label, style)
        for part in AMOUNT_FIELDS:
            amount = getattr(row, part)
            yield Line().add(f"  {part:<9} ").add(self._any_cell.cell(_text(amount)), _style(amount))

    def _tall_rows(self, label: str, row: Balance | Amounts, style: Style) -> Iterator[Line]:
        yield Line().add(label, style)
        for part in AMOUNT_FIELDS:
            amount = getattr(row, part)
            yield Line().add(f" {part}")
            yield Line().add(" ").add(_text(amount), _style(amount))

    def _body(self, rows: _Rows) -> Iterator[Line]:
        report = self._report
        # Of accounts whose rows are left out, only those that failed have something to say.
        told = [o for o in report.outcomes if report.left_out is None or o.failure is not None]
        for number, outcome in enumerate(told):
            if number:
                yield Line()
            yield from self._account(outcome, rows)
        if self._shows_totals:
            if told:
                yield Line()
            yield from self._totals(rows)
        yield from self._notes()

    def _account(self, outcome: Outcome, rows: _Rows) -> Iterator[Line]:
        account = outcome.account
        name = printable(account.name, LONGEST_NAME)
        target = ", ".join(f"{key} {printable(value, 80)}" for key, value in account.target.items())
        kind = "" if account.name == account.provider else f"{account.provider}, "
        here = self._by_account[account.name]
        facts = [f"{kind}{target}", *_facts(here)]
        yield from self._titled(name, "name", f"({', '.join(facts)})")
        if outcome.failure is not None:
            yield from self._prose(f"unavailable: {printable(outcome.failure.message)}", "bad")
            return
        for balance in here:
            yield from rows(_label(balance.asset), balance, "")
            yield from self._told(_details(balance))
            for address in _addresses(balance) if self._addresses else ():
                yield from self._prose(address, "", self._note_indent)
        if not here:
            held = outcome.holdings.balances if outcome.holdings else ()
            yield from self._prose("every row is zero and hidden" if held else "no balances listed", "faint")

    def _totals(self, rows: _Rows) -> Iterator[Line]:
        outcomes = self._report.outcomes
        silent = tuple(outcome.account.name for outcome in outcomes if outcome.failure is not None)
        if silent:
            yield from self._titled("TOTALS", "head", f"(INCOMPLETE: without {_names(silent)})", "bad")
        elif any(total.missing for total in self._report.totals):
            said = f"({_number(len(outcomes), 'account')} answered, but not with every amount)"
            yield from self._titled("TOTALS", "head", said, "open")
        else:
            yield from self._titled(
                "TOTALS", "head", f"(complete: {_number(len(outcomes), 'account')} answered)"
            )
        for total in self._report.totals:
            nothing = all(amount is None for amount in total.amounts)
            if nothing and total.known != total.amounts and rows != self._wide_row:
                yield from self._known(total, rows, silent)
                continue
            yield from rows(_label(total.asset), total.amounts, "")
            if total.known != total.amounts:
                yield from rows(_KNOWN, total.known, "open")
            if total.missing and total.missing != silent:
                yield from self._prose(f"not all known of {_names(total.missing)}", "open", self._note_indent)
        if not self._report.totals:
            yield from self._prose("nothing to add up", "faint")

    def _known(self, total: Total, rows: _Rows, silent: tuple[str, ...]) -> Iterator[Line]:
        """A total without any amount, in half the lines: that it is unknown, without whom, and the sum of the others."""
        head, *amounts = rows(_label(total.asset), total.known, "")
        said = f"{_UNKNOWN}; {_KNOWN} without {_names(total.missing)}:"
        room = None if self._columns is None else self._columns - len(_INDENT + _GAP) - self._label_width
        # Those that the heading of the totals names need not be named where there is no room.
        if total.missing == silent and room is not None and width(said) > room:
            said = f"{_UNKNOWN}; {_KNOWN}:"
        if room is None or width(said) <= room:
            yield head.add(_GAP).add(said, "open")
        else:
            yield head
            yield from self._prose(said, "open")
        yield from amounts

    def _notes(self) -> Iterator[Line]:
        report = self._report
        notes = []
        if report.hidden:
            notes.append(f"{_number(report.hidden, 'row')} of zeros hidden")
        elif report.hidden_totals:
            notes.append(f"{_number(report.hidden_totals, 'total')} of 0 hidden")
        if report.left_out:
            notes.append(f"{_number(report.left_out, 'row')} left out (--totals-only)")
        for notice in report.notices:
            about = f"{printable(notice.account, LONGEST_NAME)}: " if notice.account else ""
            notes.append(f"note: {about}{printable(notice.message)}")
        if notes:
            yield Line()
        for note in notes:
            yield from self._prose(note, "faint", indent="")

    def _titled(self, title: str, title_style: Style, rest: str, style: Style = "faint") -> Iterator[Line]:
        """A heading, with what belongs to it on the same line if it fits, else below."""
        if self._columns is None or width(title) + 1 + width(rest) <= self._columns:
            yield Line().add(title, title_style).add(f" {rest}", style)
        else:
            yield Line(prose=True).add(title, title_style)
            yield from self._prose(rest, style)

    def _told(self, notes: list[str]) -> Iterator[Line]:
        """What is told below a row: on one line if it fits, else each note by itself.

        Broken elsewhere, the end of `raw locked 5` would look like a locked amount of 5 whole units.
        """
        together = ", ".join(notes)
        fits = self._columns is None or len(self._note_indent) + width(together) <= self._columns
        for note in [together] if notes and fits else notes:
            yield from self._prose(note, "faint", self._note_indent)

    def _prose(self, text: str, style: Style, indent: str = _INDENT) -> Iterator[Line]:
        yield from paragraph(text, indent, self._columns, style)


def _number(number: int, thing: str) -> str:
    return f"1 {thing}" if number == 1 else f"{number} {thing}s"


def _label(asset: str) -> str:
    """The name of an asset, its first and last blanks escaped: two rows that look alike are one to a reader."""
    core = asset.strip(" ")
    before, _, after = asset.partition(core) if core else (asset, "", "")
    return printable(_BLANK * len(before) + core + _BLANK * len(after), LONGEST_NAME)


def _names(accounts: Iterable[str]) -> str:
    return ", ".join(printable(name, LONGEST_NAME) for name in accounts)


def _text(amount: Amount | None) -> str:
    return _UNKNOWN if amount is None else str(amount)


def _style(amount: Amount | None) -> Style:
    if amount is None:
        return "open"
    return "" if amount else "faint"


def _facts(balances: list[Balance]) -> list[str]:
    """What is true of an account as a whole: the yes and no that all its rows agree on."""
    said: dict[str, set[bool]] = defaultdict(set)
    for balance in balances:
        for key, value in balance.details.items():
            if isinstance(value, bool):
                said[key].add(value)
    return [
        f"{key.replace('_', ' ')}: {'yes' if True in values else 'no'}"
        for key, values in said.items()
        if len(values) == 1
    ]


def _addresses(balance: Balance) -> Iterator[str]:
    """The deposit addresses of a row, each in words; the address itself is never cut."""
    for value in balance.details.values():
        for address in value if isinstance(value, tuple) else ():
            memo = f", memo {printable(address.memo)}" if address.memo else ""
            yield f"{printable(address.network, LONGEST_NAME)}: {printable(address.address or 'none')}{memo}"


def _details(balance: Balance) -> list[str]:
    """What else there is to know of a row, in words: amounts other than 0, and raw units of an unknown token."""
    notes = [
        f"{key.replace('_', ' ')} {value}"
        for key, value in balance.details.items()
        if isinstance(value, Amount) and value
    ]
    if all(getattr(balance, part) is None for part in AMOUNT_FIELDS):
        notes += [f"raw {key} {printable(value)}" for key, value in balance.raw.items() if value is not None]
    return notes


def to_text(lines: Iterable[Line], *, colour: bool) -> str:
    """The lines as text, with terminal colours where that is asked for."""
    return _coloured(lines) if colour else "".join(f"{line.text}\n" for line in lines)


def _coloured(lines: Iterable[Line]) -> str:
    """The lines with terminal colours. Rich is imported here alone, and draws no more than a piece of text.

    Its console would take a hundred times as long for a line, and import a third of a whole run.
    """
    from rich.color import ColorSystem
    from rich.style import Style as Drawn

    drawn = {style: Drawn.parse(look) for style, look in _COLOURS.items()}
    rows = []
    for line in lines:
        spans = [*line.spans]
        while spans and not spans[-1][0].rstrip():
            spans.pop()
        for number, (piece, style) in enumerate(spans):
            text = piece.rstrip() if number == len(spans) - 1 else piece
            look = drawn.get(style)
            rows.append(text if look is None else look.render(text, color_system=ColorSystem.STANDARD))
        rows.append("\n")
    return "".join(rows)
