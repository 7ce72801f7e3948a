"""The table of `-o table`: for a terminal by `render.display`; for a pipe or a file a row of three amounts an asset."""

from collections.abc import Iterator
from typing import Final

from balcli.models import AMOUNT_FIELDS, Amounts, Balance, Outcome, Report
from balcli.money import Amount
from balcli.render import display
from balcli.render.layout import Column, Line, Style, pad, to_text
from balcli.render.words import (
    addresses_of,
    amount_text,
    by_account,
    details_of,
    facts_of,
    joined,
    label_of,
    no_rows,
    note_on,
    omissions,
    shown_outcomes,
    shows_totals,
    without_answer,
)
from balcli.text import LONGEST_NAME, numbered, printable, width

_KNOWN: Final = "known so far"
_INDENT: Final = "  "
_GAP: Final = "  "


def render(report: Report, view: display.View | None, *, colour: bool, addresses: bool = False) -> str:
    """The report as lines of text, for a terminal or, with None, for a pipe.

    With `addresses`, deposit addresses are shown under their asset.
    """
    if view is not None:
        return to_text(display.lines(report, view._replace(addresses=addresses)), colour=colour)
    return to_text(_Table(report, addresses=addresses).lines(), colour=colour)


class _Table:
    """One report being laid out: the texts of its amounts and the widths that they need."""

    def __init__(self, report: Report, *, addresses: bool) -> None:
        self._report = report
        self._addresses = addresses
        rows: list[Balance | Amounts] = [*report.balances]
        if shows_totals(report):
            rows += [parts for total in report.totals for parts in (total.amounts, total.known)]
        self._cells = {
            part: Column([amount_text(getattr(row, part)) for row in rows], part.upper())
            for part in AMOUNT_FIELDS
        }
        labels = [label_of(balance.asset) for balance in report.balances]
        labels += [label_of(total.asset) for total in report.totals]
        self._label_width = max(width(label) for label in (*labels, _KNOWN))
        self._by_account = by_account(report.balances)

    def lines(self) -> Iterator[Line]:
        """The lines of the table."""
        report = self._report
        if report.balances or report.totals:
            heading = "".join(f"{_GAP}{self._cells[part].heading}" for part in AMOUNT_FIELDS)
            yield Line().add(_INDENT + " " * self._label_width).add(heading, "head")
        told = shown_outcomes(report)
        for number, outcome in enumerate(told):
            if number:
                yield Line()
            yield from self._account(outcome)
        if shows_totals(report):
            if told:
                yield Line()
            yield from self._totals()
        notes = [*omissions(report), *map(note_on, report.notices)]
        if notes:
            yield Line()
        for note in notes:
            yield Line().add(note, "faint")

    def _account(self, outcome: Outcome) -> Iterator[Line]:
        account = outcome.account
        target = ", ".join(f"{key} {printable(value, 80)}" for key, value in account.target.items())
        kind = "" if account.name == account.provider else f"{account.provider}, "
        here = self._by_account[account.name]
        facts = [f"{kind}{target}", *facts_of(here)]
        name = printable(account.name, LONGEST_NAME)
        yield Line().add(name, "name").add(f" ({', '.join(facts)})", "faint")
        if outcome.failure is not None:
            yield Line().add(f"{_INDENT}unavailable: {printable(outcome.failure.message)}", "bad")
            return
        for balance in here:
            yield self._row(label_of(balance.asset), balance)
            notes = details_of(balance)
            if notes:
                yield Line().add(f"{_INDENT * 2}{', '.join(notes)}", "faint")
            for address in addresses_of(balance) if self._addresses else ():
                yield Line().add(_INDENT * 2 + address)
        if not here:
            yield Line().add(_INDENT + no_rows(outcome), "faint")

    def _row(self, label: str, row: Balance | Amounts, style: Style = "") -> Line:
        line = Line().add(_INDENT).add(pad(label, self._label_width), style)
        for part in AMOUNT_FIELDS:
            amount: Amount | None = getattr(row, part)
            look: Style = "open" if amount is None else "" if amount else "faint"
            line.add(_GAP).add(self._cells[part].cell(amount_text(amount)), look)
        return line

    def _totals(self) -> Iterator[Line]:
        outcomes = self._report.outcomes
        silent = without_answer(self._report)
        line = Line().add("TOTALS", "head")
        if silent:
            yield line.add(f" (INCOMPLETE: without {joined(silent)})", "bad")
        elif any(total.missing for total in self._report.totals):
            said = f"{numbered(len(outcomes), 'account')} answered, but not with every amount"
            yield line.add(f" ({said})", "open")
        else:
            yield line.add(f" (complete: {numbered(len(outcomes), 'account')} answered)", "good")
        for total in self._report.totals:
            yield self._row(label_of(total.asset), total.amounts)
            if total.known != total.amounts:
                yield self._row(_KNOWN, total.known, "open")
            if total.missing and total.missing != silent:
                yield Line().add(f"{_INDENT * 2}not all known of {joined(total.missing)}", "open")
        if not self._report.totals:
            yield Line().add(f"{_INDENT}nothing to add up", "faint")
