"""The table on a terminal of any width. Amounts are never cut.

It has three columns of amounts, aligned at the decimal point. On a narrow terminal, amounts that are too long are on
separate lines below their row. Generic table layouts cut long values, so this module has its own.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Final, NamedTuple, TypeAlias

from balcli.diff import BalanceChange
from balcli.models import AMOUNT_FIELDS, Balance, Notice, Outcome, Report, Total, by_account
from balcli.providers.selection import NOT_LISTED
from balcli.render import words
from balcli.render.layout import Column, Line, Style, pad, paragraph, ranked
from balcli.text import LONGEST_NAME, numbered, printable, width

_INDENT: Final = "  "
_GAP: Final = "   "
_NARROW_LABEL: Final = 12
"""Columns for a label on a narrow terminal. A longer label has its own line."""
_LONGEST_TARGET: Final = 12


SIGNS: Final = {"●": "*", "✓": "+", "✗": "x", "·": "|", "─": "-", "…": "..."}
"""The non-ASCII signs, with their ASCII replacements for other encodings."""


class View(NamedTuple):
    """The terminal that a report is shown on, and the options of its table."""

    columns: int
    unicode: bool = True
    """Whether it can show non-ASCII signs."""
    verbose: bool = False
    """Whether targets are shown in full."""
    addresses: bool = False
    about: str = ""
    """The end of the status line: the duration of the run, or its age."""
    moves: Mapping[tuple[str, str, str | None], BalanceChange] = {}
    """The changes by account, asset and asset id, shown next to the amounts."""

    def sign(self, sign: str) -> str:
        """The sign, or its ASCII replacement."""
        return sign if self.unicode else SIGNS[sign]


_Size: TypeAlias = tuple[tuple[int, ...], int | None]
"""The distinct lengths of a row's amounts, ascending, and the width of its notes, or None."""


def lines(report: Report, view: View) -> Iterator[Line]:
    """The report as lines for this terminal. If not all fit, status, totals and failures are kept longest."""
    yield from ranked(0, status_line(report, view))
    yield Line()
    yield from Table(report, view).lines()


def _columns_of(label: int, longest: int, texts: list[list[str]]) -> tuple[list[Column], int, str]:
    """The columns for amounts of up to `longest` characters, the position where they end, and the heading line."""
    columns: list[Column] = []
    end = len(_INDENT) + label
    headings = " " * end
    for field, of_field in zip(AMOUNT_FIELDS, texts, strict=True):
        column = Column(text for text in of_field if len(text) <= longest)
        start = end + len(_GAP)
        column.widen(max(len(headings) + len(_GAP) - 1 + len(field) - start, 1))
        headings += f"{field.upper():>{start + column.whole - len(headings)}}"
        end = start + column.width
        columns.append(column)
    return columns, end, headings


def status_line(report: Report, view: View) -> Iterator[Line]:
    """The profile, the local time, how many accounts answered, and the duration, on one line if it fits."""
    whole = [outcome for outcome in report.outcomes if outcome.missing_kind is None]
    answered = sum(outcome.failure is None for outcome in whole)
    parts = [name for outcome in report.outcomes if (name := outcome.missing_kind and outcome.account.name)]
    said = f"{answered} of {numbered(len(whole), 'account')} answered"
    if parts:
        said += f", without {words.joined(parts)}"
    style: Style = "good" if report.complete else "open" if answered else "bad"
    profile, at = (
        printable(report.profile or "no profile", LONGEST_NAME),
        words.local_time(report.generated_at),
    )
    pieces: list[tuple[str, Style]] = [(profile, "name"), (at, ""), (said, style)]
    if view.about:
        pieces.append((view.about, "faint"))
    dot = f" {view.sign('·')} "
    line, more = Line(), list[Line]()
    for text, style in pieces:
        if line.spans and not more and width(f"{line.text}{dot}{text}") <= view.columns:
            line.add(dot, "faint").add(text, style)
            continue
        if line.spans:
            yield line
        *more, line = paragraph(text, "", view.columns, style)
        yield from more
    yield line


class Table:
    """The layout of a report: its rows, the columns that fit, and the amounts on separate lines."""

    def __init__(self, report: Report, view: View) -> None:
        self._report = report
        self._view = view
        self._silent = words.without_answer(report)
        self._balances = by_account(report.balances)
        self._shows_totals = words.shows_totals(report)
        self._fit()

    def _rows(self) -> Iterator[words.Row]:
        """All rows, generated each time, because together they take as much memory as the balances."""
        return chain(map(self._of_balance, self._report.balances), self._totals())

    def _totals(self) -> Iterator[words.Row]:
        return map(self._of_total, self._report.totals if self._shows_totals else ())

    def _of_balance(self, balance: Balance) -> words.Row:
        row = words.row_of(balance)
        if self._view.addresses:
            row = row._replace(notes=[*row.notes, *words.addresses_of(balance)])
        change = self._view.moves.get((balance.account, balance.asset, balance.asset_id))
        if change is None:
            return row
        moved = {move.field: words.style_of(move) for move in change.amounts}
        told = [
            f"{move.field.replace('_', ' ')} {words.signed(move)}"
            for move in change.amounts
            if move.difference
        ]
        styles = {*moved.values()}
        style = styles.pop() if len(styles) == 1 else "open"
        notes = [", ".join(told) or change.happened, *row.notes]
        return row._replace(notes=notes, style=style, moved=moved)

    def _of_total(self, total: Total) -> words.Row:
        """The row of a total, or of the known sum, marked as incomplete. The heading names accounts missing in all."""
        lacking = [
            field for field, amount in zip(AMOUNT_FIELDS, total.amounts, strict=True) if amount is None
        ]
        texts = words.texts_of(
            known if amount is None else amount
            for amount, known in zip(total.amounts, total.known, strict=True)
        )
        if not lacking:
            return words.Row(words.label_of(total.asset), texts)
        note = "incomplete" if len(lacking) == len(AMOUNT_FIELDS) else f"{', '.join(lacking)} incomplete"
        if total.missing and total.missing != self._silent:
            note += f": without {words.joined(total.missing)}"
        return words.Row(words.label_of(total.asset), texts, [note], style="open")

    def _fit(self) -> None:
        """Choose the widths of label and columns, and the longest amount in them."""
        # One amount for each shape, so that trying a layout takes the same time for any number of rows.
        shapes: list[dict[tuple[int, int, str], str]] = [{} for _ in AMOUNT_FIELDS]
        widths, sizes = {0}, Counter[_Size]()
        for row in self._rows():
            widths.add(width(row.label))
            for shape, text in zip(shapes, row.texts, strict=True):
                shape[len(text), text.find("."), text[0]] = text
            notes = width(", ".join(row.notes)) if row.notes else None
            sizes[tuple(sorted(map(len, {*row.texts}))), notes] += 1
        self._has_rows = bool(sizes)
        labels = sorted(widths)
        lengths = sorted({0, *(length for shape in shapes for length, _, _ in shape)}, reverse=True)
        narrow = [each for each in labels if each <= _NARROW_LABEL]
        texts = [[*shape.values()] for shape in shapes]
        tries = [(narrow[-1], each) for each in lengths]
        # There may be room next to the columns for the mark of incomplete totals.
        marks = (len(_GAP) + width(note) for row in self._totals() for note in row.notes)
        rooms = [self._view.columns - mark for mark in sorted({0, min(marks, default=0)})]
        layouts = [self._layout(sizes, texts, [(labels[-1], lengths[0]), *tries], room) for room in rooms]
        best = min(layouts, key=lambda layout: layout[:2])
        _, _, self._label, self._longest, self._columns, self._headings = best
        self._end = len(_INDENT) * (1 if self._columns else 2) + self._label
        self._end += sum(len(_GAP) + column.width for column in self._columns)
        self._start = " " * (len(_INDENT) * 2 if self._columns else self._end)
        """The indentation of amounts on separate lines."""
        below = map(self._below, self._rows() if lengths[0] > self._longest else ())
        self._named = max((len(name) for found in below for name in found.values()), default=0)
        self._beside = Column(text for each in texts for text in each if len(text) > self._longest)

    def _layout(
        self, sizes: Counter[_Size], texts: list[list[str]], tries: list[tuple[int, int]], room: int
    ) -> tuple[int, int, int, int, list[Column], str]:
        """The widest layout for this room: additional lines, room, label width, longest amount, columns, headings.

        The line of an amount counts twice, because a note is as readable below its row.
        """
        for label, longest in tries:
            columns, end, headings = _columns_of(label, longest, texts)
            if end <= room:
                break
        rows = sizes.total()
        lines = sum(sum(length > longest for length in size) * alike for (size, _), alike in sizes.items())
        if end > room or sum(alike for (size, _), alike in sizes.items() if size[-1] > longest) * 2 > rows:
            return 4 * rows, -room, label, 0, [], ""
        beside = self._view.columns - end - len(_GAP)
        notes = sum(alike for (_, note), alike in sizes.items() if note is not None and note > beside)
        return 2 * lines + notes, -room, label, longest, columns, headings

    def _below(self, row: words.Row) -> dict[str, str]:
        """The amounts of a row that are too long for the columns, each with the names of its fields."""
        found: dict[str, str] = {}
        if max(map(len, row.texts)) <= self._longest:  # for almost all rows
            return found
        for field, text in zip(AMOUNT_FIELDS, row.texts, strict=True):
            if len(text) > self._longest:
                found[text] = f"{found[text]}, {field}" if text in found else field
        return found

    def lines(self) -> Iterator[Line]:
        """The lines of the table."""
        rule = Line().add(self._view.sign("─") * min(self._end, self._view.columns), "faint")
        if self._columns and self._has_rows:
            yield from ranked(0, [Line().add(self._headings, "head"), rule])
        shown = words.shown_outcomes(self._report)
        for number, outcome in enumerate(shown):
            if number:
                yield Line()
            account = self._account(outcome)
            yield from account if outcome.failure is None else ranked(2, account)
        if self._shows_totals:
            if shown:
                yield from ranked(1, [Line([*rule.spans])])
            yield from ranked(1, self._total_lines())
        yield from self._footer()

    def _account(self, outcome: Outcome) -> Iterator[Line]:
        account, view = outcome.account, self._view
        failed = outcome.failure is not None
        mark = view.sign("✗" if failed else "●")
        name = printable(account.name, LONGEST_NAME)
        own = account.name == account.provider
        targets = [
            f"{key.replace('_', ' ') if own else account.provider} {self._target(value)}"
            for key, value in account.target.items()
        ]
        here = self._balances[account.name]
        facts = [", ".join(targets), *words.facts_of(here)]
        about = f" {view.sign('·')} ".join(facts)
        line = Line().add(f"{mark} ", "bad" if failed else "good").add(name, "name")
        if self._view.moves and any(row.moved for row in map(self._of_balance, here)):
            line.rank = 3  # shown rows are grouped by account
        yield from self._titled(line, about, "faint")
        if outcome.failure is not None:
            yield from self._prose(f"unavailable: {printable(outcome.failure.message)}", "bad")
            return
        for row in map(self._of_balance, here):
            yield from ranked(3, self._row(row)) if row.moved else self._row(row)
        if not here:
            yield from self._prose(words.no_rows(outcome), "faint")

    def _target(self, value: str) -> str:
        text = printable(value, 80)
        if self._view.verbose or len(text) <= _LONGEST_TARGET:
            return text
        return text[: _LONGEST_TARGET - 4] + self._view.sign("…")

    def _row(self, row: words.Row) -> Iterator[Line]:
        """A row, with long amounts below it, and notes next to it if they fit."""
        label, below, start = row.label, self._below(row), self._start
        beside, notes = self._placed(row.notes) if row.notes else ([], [])
        if width(label) > self._label:
            yield Line().add(_INDENT).add(label)
            label = ""
        line = Line([(_INDENT + pad(label, self._label), "")])
        if self._columns:
            for field, column, text in zip(AMOUNT_FIELDS, self._columns, row.texts, strict=True):
                line.spans.append((_GAP, ""))
                if len(text) > self._longest:
                    line.add(" " * column.width)
                elif field in row.moved:
                    line.add(column.cell(text), row.moved[field])
                else:
                    line.spans += column.spans(text)
            if beside:
                line.add(_GAP).add(beside[0], row.style)
            yield line
        else:
            start = line.text.ljust(self._end) if label else start
        for text, name in below.items():
            yield from self._amount(start, name, text)
            start = self._start
        for note in beside[1:]:
            yield Line().add(" " * self._end + _GAP).add(note, row.style)
        for note in notes:
            yield from paragraph(note, _INDENT * 2, self._view.columns, row.style)

    def _placed(self, notes: Sequence[str]) -> tuple[Sequence[str], Sequence[str]]:
        """The notes next to a row, and those below it, on one line if it fits, otherwise one line each.

        If `raw locked 5` were wrapped, its end would look like a locked amount of 5 whole units.
        """
        together = ", ".join(notes)
        room = self._view.columns - self._end - len(_GAP) if self._columns else 0
        if width(together) <= room:
            return [together], []
        if all(width(note) <= room for note in notes):
            return notes, []
        return [], [together] if width(together) + len(_INDENT) * 2 <= self._view.columns else notes

    def _amount(self, start: str, name: str, text: str) -> Iterator[Line]:
        """An amount after the names of its fields, aligned at the decimal point if it fits; else below them."""
        named = pad(name, self._named) + _INDENT
        column = self._beside
        if width(start + named) + column.width > self._view.columns:
            named, column = name + _INDENT, Column([text])
        line = Line().add(start).add(named, "faint")
        if width(start + named) + column.width > self._view.columns:
            yield line
            line = Line().add(_INDENT if len(text) + len(_INDENT) <= self._view.columns else "")
        line.spans += column.spans(text)
        yield line

    def _total_lines(self) -> Iterator[Line]:
        said = f"incomplete: without {words.joined(self._silent)}" if self._silent else ""
        yield from self._titled(Line().add("TOTALS", "head"), said, "bad")
        for row in self._totals():
            yield from self._row(row)
        if not self._report.totals:
            yield from self._prose("no totals", "faint")

    def _footer(self) -> Iterator[Line]:
        """The notices, and the number of hidden rows."""
        notices, hidden = self._attention(), words.omissions(self._report)
        if notices or hidden:
            yield Line()
        for notice in notices:
            yield from self._prose(words.note_on(notice), "open", "")
        if hidden:
            yield from self._prose(", ".join(hidden), "faint", "")

    def _attention(self) -> list[Notice]:
        """The notices, with at most one for an asset that is not listed, and none if another account lists it."""
        kept: dict[object, Notice] = {}
        lacking = Counter(n.message.partition(" ")[0] for n in self._report.notices if n.code == NOT_LISTED)
        answered = sum(outcome.failure is None for outcome in self._report.outcomes)
        for number, notice in enumerate(self._report.notices):
            asset = notice.message.partition(" ")[0]
            if notice.code != NOT_LISTED:
                kept[number] = notice
            elif lacking[asset] >= answered:
                kept.setdefault(asset, notice if answered == 1 else notice._replace(account=None))
        return [*kept.values()]

    def _titled(self, title: Line, text: str, style: Style) -> Iterator[Line]:
        """A title followed by a text, or with the text below it."""
        if width(f"{title.text}{_INDENT}{text}") <= self._view.columns:
            yield title.add(_INDENT + text, style)
        else:
            yield title
            yield from self._prose(text, style)

    def _prose(self, text: str, style: Style, indent: str = _INDENT) -> Iterator[Line]:
        yield from paragraph(text, indent, self._view.columns, style)
