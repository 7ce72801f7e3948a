"""The screen of `--watch`: the table with changes and stale accounts."""

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime
from itertools import chain
from typing import NamedTuple

from balcli.diff import BalanceChange, Diff, compare
from balcli.models import Report, by_account
from balcli.render.diff import lines as diff_lines
from balcli.render.display import Table, View, lines
from balcli.render.layout import Line, Style, paragraph, ranked
from balcli.text import LONGEST_NAME, join_names, printable

_MARK = "stale | "


class WatchUpdate(NamedTuple):
    """One run of --watch, with earlier results."""

    number: int
    every: int
    """Seconds between runs."""
    report: Report
    whole: Report
    """The report with all rows."""
    first: Mapping[str, Report]
    """The first result of each account."""
    before: Mapping[str, Report]
    """The latest result of each account before this run."""


def answers(report: Report) -> dict[str, Report]:
    """The result of each account that answered, as a report of only that account."""
    rows = by_account(report.balances)
    return {
        outcome.account.name: report._replace(
            outcomes=(outcome,), balances=tuple(rows[outcome.account.name]), totals=(), notices=()
        )
        for outcome in report.outcomes
        if outcome.failure is None
    }


def screen(look: WatchUpdate, now: datetime, view: View) -> Iterator[Line]:
    """The screen as lines. Earlier results of failed accounts are separate from current balances."""
    about = [f"run {look.number}", f"every {look.every} s", "q to quit"]
    times = [o.fetched_at for o in look.report.outcomes if o.failure is None and o.fetched_at is not None]
    if times:
        about.insert(1, f"{_age(min(times), now)} s old")
    asked = len(look.whole.outcomes)
    changes, left_out = _changes(look, look.before)
    moves, others = _by_row(look.whole, changes)
    yield from lines(look.report, view._replace(about=", ".join(about), moves=moves))
    yield from _stale(look, now, view)
    if look.number > 1:
        yield from ranked(4, _summary("the last run", changes, left_out, others, asked, view))
        since_start, not_compared = _changes(look, look.first)
        yield from ranked(5, _summary("the start", since_start, not_compared, since_start, asked, view))


def _age(at: datetime, now: datetime) -> int:
    return max(0, round((now - at).total_seconds()))


def _stale(look: WatchUpdate, now: datetime, view: View) -> Iterator[Line]:
    """The last results of accounts that failed now, with each line marked."""
    for outcome in look.report.outcomes:
        kept = look.before.get(outcome.account.name)
        if outcome.failure is None or kept is None:
            continue
        name, at = printable(outcome.account.name, LONGEST_NAME), kept.outcomes[0].fetched_at
        age = "of unknown age" if at is None else f"from {_age(at, now)} s ago"
        yield Line()
        yield from ranked(
            2, paragraph(f"STALE: {name} did not answer; its data is {age}", "", view.columns, "bad")
        )
        narrow = view._replace(columns=max(1, view.columns - len(_MARK)), moves={})
        for line in Table(kept, narrow).lines():
            yield Line().add(f"{_MARK}{line.text}", "faint")


def _changes(look: WatchUpdate, past: Mapping[str, Report]) -> tuple[Diff, list[str]]:
    """The changes of accounts that answered both times, and the names of the others."""
    now = answers(look.whole)
    names = [name for name in now if name in past]
    left_out = [o.account.name for o in look.whole.outcomes if o.account.name not in names]
    return compare(_merged(look, past, names), _merged(look, now, names)), left_out


def _by_row(report: Report, changes: Diff) -> tuple[dict[tuple[str, str, str | None], BalanceChange], Diff]:
    """The changes of rows that appear in the table only once, by key, and all other changes."""
    counts = Counter((row.account, row.asset, row.asset_id) for row in report.balances)
    keys = {id(change): (change.account, change.asset, change.asset_id) for change in changes.balances}
    marked = {key: change for change in changes.balances if counts[key := keys[id(change)]] == 1}
    others = tuple(change for change in changes.balances if counts[keys[id(change)]] != 1)
    return marked, changes._replace(balances=others)


def _summary(
    since: str, changes: Diff, left_out: list[str], listed: Diff, number: int, view: View
) -> Iterator[Line]:
    """A summary of changes since a time, the accounts that were not compared, and the changes in `listed`."""
    yield Line()
    if len(left_out) == number:
        yield from paragraph(f"not compared since {since}: {join_names(left_out)}", "", view.columns, "bad")
        return
    said = f"{'CHANGED' if changes else 'nothing changed'} since {since}"
    style: Style = "open" if changes else "faint"
    if left_out:
        said += f" (not compared: {join_names(left_out)})"
        style = "open"
    yield from paragraph(said, "", view.columns, style)
    yield from diff_lines(listed, view.columns)


def _merged(look: WatchUpdate, past: Mapping[str, Report], names: list[str]) -> Report:
    """A report of these accounts with their results in `past`."""
    outcomes = tuple(past[name].outcomes[0] for name in names)
    return look.whole._replace(
        outcomes=outcomes, balances=tuple(chain.from_iterable(past[name].balances for name in names))
    )
