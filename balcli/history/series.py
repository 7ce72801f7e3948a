"""Read amounts over time: the intervals of each series in which runs had the same amounts."""

from array import array
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from heapq import merge
from itertools import chain, groupby
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, TypeAlias

from balcli.history.database import from_milliseconds
from balcli.history.reading import (
    INT,
    MAYBE_TEXT,
    TEXT,
    check_types,
    load_json,
    profile_parameter,
    read_rows,
    snapshot,
    time_range,
)
from balcli.money import is_canonical
from balcli.providers.selection import names, selects

if TYPE_CHECKING:
    from balcli.history.database import Connection

_UNKNOWN: Final = (None, None, None)
_BATCH: Final = 500
"""The changes to read at once: a series can have 50,000."""

IntervalStatus: TypeAlias = Literal["ok", "failed", "absent"]


class Interval(NamedTuple):
    """Consecutive runs in which a series had the same amounts, as canonical texts; None is unknown.

    In `failed` runs the account did not answer. In `absent` runs its response did not list the asset.
    """

    since: datetime
    until: datetime
    runs: int
    status: IntervalStatus
    total: str | None
    available: str | None
    locked: str | None


class Series(NamedTuple):
    """One asset of one account over time; if `account` is None, the totals of the accounts in `over`."""

    profile: str | None
    account: str | None
    over: tuple[str, ...]
    provider: str | None
    asset: str
    asset_id: str | None
    kind: str | None
    merchant_id: str | None
    nth: int
    intervals: tuple[Interval, ...]


class _Runs(NamedTuple):
    """The runs in a period, in the order in which they were recorded. A year has 50,000."""

    ids: Sequence[int]
    times: Sequence[datetime]
    spans: Mapping[int, Sequence[tuple[int, int, bool, bool]]]
    """For each requested account, its groups of similar consecutive runs.

    Each is the first run's index, the index after the last, whether the account answered, and whether only some
    accounts or assets were requested.
    """


def series(
    path: Path,
    *,
    profile: str | None = None,
    assets: Sequence[str] = (),
    accounts: Sequence[str] = (),
    since: datetime | None = None,
    until: datetime | None = None,
) -> tuple[Series, ...]:
    """The series of some assets (or all) of some accounts; if no accounts are named, also of the totals.

    Assets are named as for `--asset`. Raises StateError.
    """
    with snapshot(path) as connection:
        found = _find_series(connection, profile, assets, accounts)
        runs = _runs(connection, profile, time_range(since, until))
        result = []
        for each, stored in found.items():
            pieces = [
                _pieces(_changes(connection, number), runs, account, optional=each.kind is not None)
                for number, account in stored
            ]
            intervals = tuple(_merged(merge(*pieces, key=itemgetter(0))))
            result.append(each._replace(intervals=intervals))
    return tuple(each for each in result if each.intervals)


def _find_series(
    connection: "Connection", profile: str | None, assets: Sequence[str], accounts: Sequence[str]
) -> Mapping[Series, list[tuple[int, int]]]:
    """The series without intervals, each with the ids of its stored series and accounts: several if a target changed."""
    found: dict[Series, list[tuple[int, int]]] = defaultdict(list)
    rows = read_rows(
        connection,
        "SELECT s.id, s.account, a.profile, a.name, CASE WHEN a.name IS NULL THEN a.target END, a.provider, asset,"
        " asset_id, kind, merchant, nth FROM series s JOIN accounts a ON a.id = s.account"
        " WHERE a.profile IS ifnull(?, a.profile)"
        " ORDER BY a.profile, a.name IS NULL, a.name, asset, ifnull(asset_id, ''), kind, merchant, nth, s.id",
        (profile_parameter(profile),),
        *(INT, INT, *[MAYBE_TEXT] * 4, TEXT, *[MAYBE_TEXT] * 3, INT),
    )
    for number, account, of, name, target, provider, asset, asset_id, *more in rows:
        over = tuple(load_json(target or "[]", [str]))
        # The total of one account only repeats its row.
        is_wanted = len(over) != 1 and (not accounts or name in accounts)
        if is_wanted and selects(assets, *names(asset, asset_id)):
            kind, merchant, nth = more
            each = Series(of, name, over, provider, asset, asset_id, kind, merchant, nth, ())
            found[each].append((number, account))
    return found


def _runs(connection: "Connection", profile: str | None, within: tuple[int, int]) -> _Runs:
    """The runs in that period. SQL returns one row per run: one per account would take four times as long."""
    ids, times = array("q"), list[datetime]()
    spans: dict[int, list[tuple[int, int, bool, bool]]] = defaultdict(list)
    cursor = connection.execute(
        "SELECT selection IS NOT NULL, group_concat(CASE WHEN failure IS NULL THEN account END),"
        " group_concat(CASE WHEN failure IS NOT NULL THEN account END), r.id, r.at"
        " FROM runs r JOIN asked ON run = r.id AND place >= 0"
        " WHERE profile IS ifnull(?, profile) AND r.at BETWEEN ? AND ? GROUP BY r.id",
        (profile_parameter(profile), *within),
    )
    for (narrowed, *asked), alike in groupby(cursor, itemgetter(0, 1, 2)):
        start = len(ids)
        for *_, run, at in alike:
            ids.append(run)  # raises TypeError if it is not an integer
            times.append(from_milliseconds(at))
        for accounts, answered in zip(asked, (True, False), strict=True):
            for account in map(int, accounts.split(",") if accounts else ()):
                spans[account].append((start, len(ids), answered, bool(narrowed)))
    return _Runs(ids, times, spans)


def _changes(connection: "Connection", number: int) -> Iterator[tuple[Any, ...]]:
    """The changes of a stored series. Raises ValueError for a text that is not a canonical amount."""
    cursor = connection.execute(
        "SELECT run, held, total, available, locked FROM changes WHERE series = ? ORDER BY run", (number,)
    )
    while rows := cursor.fetchmany(_BATCH):
        check_types(rows, INT, INT, MAYBE_TEXT, MAYBE_TEXT, MAYBE_TEXT)
        if not all(map(is_canonical, [text for row in rows for text in row[2:] if text is not None])):
            raise ValueError("not a canonical amount")
        yield from rows


def _pieces(
    changes: Iterable[tuple[Any, ...]], runs: _Runs, account: int, *, optional: bool
) -> Iterator[tuple[int, Interval]]:
    """The intervals of a stored series, each with the index of its first run; adjacent ones can be equal.

    Rows that only some runs request (`optional`) are never absent.
    """
    spans = runs.spans.get(account, ())
    at, span, current = 0, 0, None
    for change in chain(changes, [None]):
        until = len(runs.ids) if change is None else bisect_left(runs.ids, change[0], at)
        while current is not None and span < len(spans) and spans[span][0] < until:
            start, end, answered, narrowed = spans[span]
            first, last = max(start, at), min(end, until)
            _, held, *texts = current
            status: IntervalStatus = "failed" if not answered else "ok" if held else "absent"
            if first < last and (status != "absent" or not (narrowed or optional)):
                times = runs.times[first:last]
                amounts = texts if status == "ok" else _UNKNOWN
                yield first, Interval(min(times), max(times), last - first, status, *amounts)
            if end > until:
                break
            span += 1
        at, current = until, change


def _merged(pieces: Iterable[tuple[int, Interval]]) -> Iterator[Interval]:
    """The intervals, with adjacent ones merged if their amounts are equal."""
    last: Interval | None = None
    for _, piece in pieces:
        if last is None:
            last = piece
        elif last[3:] == piece[3:]:
            since, until = min(last.since, piece.since), max(last.until, piece.until)
            last = piece._replace(since=since, until=until, runs=last.runs + piece.runs)
        else:
            yield last
            last = piece
    if last is not None:
        yield last
