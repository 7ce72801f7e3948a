"""`-o table`: uses `render.display` for a terminal; for a pipe or file, a row of three amounts per asset."""

from collections.abc import Iterator, Mapping
from itertools import chain
from operator import attrgetter
from typing import Final

from balcli.models import AMOUNT_FIELDS, Amounts, Balance, Outcome, Report, by_account
from balcli.render import display, words
from balcli.render.layout import Column, Line, Style, pad, to_pieces
from balcli.text import LONGEST_NAME, numbered, printable, width

_KNOWN: Final = "known so far"
_INDENT: Final = "  "
_GAP: Final = "  "
_LOOKS: Final[Mapping[str, Style]] = {words.UNKNOWN: "open", "0": "faint"}


def pieces(
    report: Report, view: display.View | None, *, colour: bool, addresses: bool = False
) -> Iterator[str]:
    """The report line by line, for a terminal or a pipe (None).

    With `addresses`, deposit addresses are shown below their asset.
    """
    if view is not None:
        return to_pieces(display.lines(report, view._replace(addresses=addresses)), colour=colour)
    return to_pieces(_Table(report, addresses=addresses).lines(), colour=colour)


class _Table:
    """The layout of a report: the texts of its rows, and their widths."""

    def __init__(self, report: Report, *, addresses: bool) -> None:
        self._report = report
        self._by_account = by_account(report.balances)
        self._addresses = addresses
        self._shows_totals = words.shows_totals(report)
        self._totals = report.totals if self._shows_totals else ()
        # Row texts are generated twice, because keeping them would take as much memory as the balances.
        self._columns = [
            Column((words.amount_text(getattr(row, field)) for row in self._amounts()), field.upper())
            for field in AMOUNT_FIELDS
        ]
        assets = map(attrgetter("asset"), chain(report.balances, report.totals))
        self._label_width = max(map(width, chain([_KNOWN], map(words.label_of, assets))))

    def _amounts(self) -> Iterator[Balance | Amounts]:
        yield from self._report.balances
        for total in self._totals:
            yield total.amounts
            yield total.known

    def lines(self) -> Iterator[Line]:
        """The lines of the table."""
        report = self._report
        if report.balances or report.totals:
            heading = "".join(f"{_GAP}{column.heading}" for column in self._columns)
            yield Line().add(_INDENT + " " * self._label_width).add(heading, "head")
        told = words.shown_outcomes(report)
        for number, outcome in enumerate(told):
            if number:
                yield Line()
            yield from self._account(outcome)
        if self._shows_totals:
            if told:
                yield Line()
            yield from self._total_lines()
        notes = [*words.omissions(report), *map(words.note_on, report.notices)]
        if notes:
            yield Line()
        for note in notes:
            yield Line().add(note, "faint")

    def _account(self, outcome: Outcome) -> Iterator[Line]:
        account = outcome.account
        target = ", ".join(f"{key} {printable(value, 80)}" for key, value in account.target.items())
        kind = "" if account.name == account.provider else f"{account.provider}, "
        balances = self._by_account[account.name]
        facts = [f"{kind}{target}", *words.facts_of(balances)]
        name = printable(account.name, LONGEST_NAME)
        yield Line().add(name, "name").add(f" ({', '.join(facts)})", "faint")
        if outcome.failure is not None:
            yield Line().add(f"{_INDENT}unavailable: {printable(outcome.failure.message)}", "bad")
            return
        for balance in balances:
            row = words.row_of(balance)
            yield self._row(row)
            if row.notes:
                yield Line().add(f"{_INDENT * 2}{', '.join(row.notes)}", "faint")
            for address in words.addresses_of(balance) if self._addresses else ():
                yield Line().add(_INDENT * 2 + address)
        if not balances:
            yield Line().add(_INDENT + words.no_rows(outcome), "faint")

    def _row(self, row: words.Row, style: Style = "") -> Line:
        line = Line([(_INDENT, ""), (pad(row.label, self._label_width), style)])
        for column, text in zip(self._columns, row.texts, strict=True):
            line.spans += (_GAP, ""), (column.cell(text), _LOOKS.get(text, ""))
        return line

    def _total_lines(self) -> Iterator[Line]:
        answered = f"{numbered(len(self._report.outcomes), 'account')} answered"
        silent = words.without_answer(self._report)
        line = Line().add("TOTALS", "head")
        if silent:
            yield line.add(f" (INCOMPLETE: without {words.joined(silent)})", "bad")
        elif any(total.missing for total in self._report.totals):
            yield line.add(f" ({answered}; some amounts are unknown)", "open")
        else:
            yield line.add(f" (complete: {answered})", "good")
        for total in self._totals:
            yield self._row(words.Row(words.label_of(total.asset), words.texts_of(total.amounts)))
            if total.known != total.amounts:
                yield self._row(words.Row(_KNOWN, words.texts_of(total.known)), "open")
            if total.missing and total.missing != silent:
                yield Line().add(f"{_INDENT * 2}some amounts unknown: {words.joined(total.missing)}", "open")
        if not self._totals:
            yield Line().add(f"{_INDENT}no totals", "faint")
