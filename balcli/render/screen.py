"""What `--watch` shows on a terminal: the table, how old each answer is, what is stale, and what moved."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Final, NamedTuple

from balcli.diff import Diff, compare
from balcli.models import Balance, Outcome, Report
from balcli.render import table
from balcli.render.diff import lines
from balcli.render.display import View
from balcli.render.json import format_time
from balcli.render.layout import Line, Style, paragraph, to_text
from balcli.text import LONGEST_NAME, join_names, printable

_MARK: Final = "stale | "


class Answer(NamedTuple):
    """What an account answered, and its rows."""

    outcome: Outcome
    balances: tuple[Balance, ...]


class WatchUpdate(NamedTuple):
    """One look at the accounts, beside what they answered before."""

    number: int
    every: int
    """Seconds from one look to the next."""
    report: Report
    whole: Report
    """The report with the rows, too, that options leave out of the other."""
    first: Mapping[str, Answer]
    """The first answer of each account that has answered."""
    before: Mapping[str, Answer]
    """The newest answer of each account from before this look."""


def answers(report: Report) -> dict[str, Answer]:
    """What each account of a report answered that did."""
    return {
        outcome.account.name: Answer(
            outcome, tuple(row for row in report.balances if row.account == outcome.account.name)
        )
        for outcome in report.outcomes
        if outcome.failure is None
    }


def render(look: WatchUpdate, now: datetime, *, columns: int | None, colour: bool) -> str:
    """The screen as lines of text. What an account answered before it failed is never among what it holds now."""
    shown = table.render(look.report, View(columns) if columns else None, colour=colour)
    head = f"Every {look.every} s; look {look.number} at {format_time(look.report.generated_at)}; Ctrl-C ends"
    told = [*_ages(look, now, columns), *_stale(look, now, columns), *_moves(look, columns)]
    return to_text([Line().add(head, "faint"), Line()], colour=colour) + shown + to_text(told, colour=colour)


def fitted(screen: str, rows: int | None) -> str:
    """The screen in so many rows: its head, and of the rest the end, which has the totals and what moved."""
    lines = screen.splitlines()
    if rows is None or len(lines) < rows:  # the row after the last line is the cursor's
        return screen
    room = max(0, rows - 3)
    left_out = len(lines) - 1 - room
    note = f"... {left_out} lines that this terminal has no rows for"
    return "\n".join([lines[0], note, *lines[len(lines) - room :], ""])


def _ages(look: WatchUpdate, now: datetime, columns: int | None) -> Iterator[Line]:
    """How old the answer of each account is."""
    ages = [
        f"{printable(outcome.account.name, LONGEST_NAME)} {_age(outcome, now)}"
        for outcome in look.report.outcomes
        if outcome.failure is None
    ]
    if ages:
        yield Line()
        yield from paragraph(f"age of the answers: {', '.join(ages)}", "", columns, "faint")


def _age(outcome: Outcome, now: datetime) -> str:
    return (
        "unknown"
        if outcome.fetched_at is None
        else f"{max(0, round((now - outcome.fetched_at).total_seconds()))} s"
    )


def _stale(look: WatchUpdate, now: datetime, columns: int | None) -> Iterator[Line]:
    """The last answers of accounts that fail now, each line of them marked."""
    for outcome in look.report.outcomes:
        kept = look.before.get(outcome.account.name)
        if outcome.failure is None or kept is None:
            continue
        name = printable(outcome.account.name, LONGEST_NAME)
        yield Line()
        about = f"STALE: {name} does not answer; this is from {_age(kept.outcome, now)} ago"
        yield from paragraph(about, "", columns, "bad")
        old = Report(look.report.generated_at, look.report.profile, (kept.outcome,), kept.balances)
        room = None if columns is None else max(1, columns - len(_MARK))
        for line in table.render(old, View(room) if room else None, colour=False).splitlines():
            yield Line().add(f"{_MARK}{line}", "faint")


def _moves(look: WatchUpdate, columns: int | None) -> Iterator[Line]:
    """What moved since the last look, and since the start."""
    now = answers(look.whole)
    for since, past in (("the last look", look.before), ("the start", look.first)):
        if look.number == 1:
            return
        names = [name for name in now if name in past]
        asked = [outcome.account.name for outcome in look.whole.outcomes]
        left_out = [name for name in asked if name not in names]
        changes = compare(_of(look, past, names), _of(look, now, names))
        yield Line()
        if left_out and not names:
            yield from paragraph(f"not compared since {since}: {join_names(left_out)}", "", columns, "bad")
        else:
            yield from _told(since, changes, left_out, columns)


def _told(since: str, changes: Diff, left_out: list[str], columns: int | None) -> Iterator[Line]:
    """What moved at the accounts that answered now and before, and which are left out as they did not."""
    said = f"{'CHANGED' if changes else 'nothing changed'} since {since}"
    style: Style = "open" if changes else "faint"
    if left_out:
        said += f" at those that answered; not compared: {join_names(left_out)}"
        style = "bad"
    yield from paragraph(said, "", columns, style)
    yield from lines(changes, columns)


def _of(look: WatchUpdate, past: Mapping[str, Answer], names: list[str]) -> Report:
    """A report of these accounts with what they answered then."""
    return Report(
        look.report.generated_at,
        look.report.profile,
        tuple(past[name].outcome for name in names),
        tuple(row for name in names for row in past[name].balances),
    )
