"""Read amounts over time: for each series, the intervals in which runs had the same amounts."""

from array import array
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import cache
from itertools import chain, groupby
from operator import attrgetter
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
    snapshot,
    time_range,
)
from balcli.money import is_canonical
from balcli.providers.selection import names, selects

if TYPE_CHECKING:
    from balcli.history.database import Connection

_UNKNOWN: Final = (None, None, None)
_ANSWERED: Final = 1
_NARROWED: Final = 2

IntervalStatus: TypeAlias = Literal["ok", "failed", "absent"]


class Interval(NamedTuple):
    """Consecutive runs in which a series had the same amounts, as canonical texts; None is unknown.

    `failed` are runs in which the account did not answer, `absent` those whose answer did not list the asset.
    """

    since: datetime
    until: datetime
    runs: int
    status: IntervalStatus
    total: str | None
    available: str | None
    locked: str | None


class Series(NamedTuple):
    """One asset of one account over time; where `account` is None, the totals of the accounts in `over`."""

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


class _StoredInterval(NamedTuple):
    """An interval as it is stored."""

    since: int
    until: int
    runs: int
    status: IntervalStatus
    texts: Sequence[str | None]
    first: int
    """The id of its first run: runs are ordered as they were recorded, whatever the clock did."""


class _Answers:
    """The runs that asked an account, oldest first: a year has 50,000, so each is three numbers in arrays."""

    def __init__(self) -> None:
        self.ids = array("q")
        self.times = array("q")
        self.flags = bytearray()
        """Of each run `_ANSWERED` if the account answered, and `_NARROWED` if only some assets were asked for."""

    def spans(self) -> Iterator[tuple[int, int, bool, bool]]:
        """Start and end (exclusive) of runs alike: whether it answered, and whether only some assets were asked for."""
        start = 0
        for flags, alike in groupby(self.flags):
            end = start + sum(1 for _ in alike)
            yield start, end, bool(flags & _ANSWERED), bool(flags & _NARROWED)
            start = end


def series(
    path: Path,
    *,
    profile: str | None = None,
    assets: Sequence[str] = (),
    accounts: Sequence[str] = (),
    since: datetime | None = None,
    until: datetime | None = None,
) -> tuple[Series, ...]:
    """The series of the named assets (or all) at the named accounts; without a named account, also of the totals.

    An asset is named as with `--asset`. Raises StateError.
    """
    with snapshot(path) as connection:
        found = _found(connection, profile, assets, accounts)
        wanted = {account for each in found.values() for _, account in each}
        answers = _answers(connection, profile, wanted, time_range(since, until))
        told = []
        moment = cache(from_milliseconds)  # the series share their times
        for facts, each in found.items():
            pieces: Iterable[_StoredInterval] = chain.from_iterable(
                _intervals(_changes(connection, number), answers[account], odd=facts[6] is not None)
                for number, account in each
            )
            if len(each) > 1:
                pieces = sorted(pieces, key=attrgetter("first"))
            made = _series(facts, _merged(pieces), moment)
            if made.intervals:
                told.append(made)
    # A sum over one account is that account's row again.
    return tuple(each for each in told if len(each.over) != 1)


def _found(
    connection: "Connection", profile: str | None, assets: Sequence[str], accounts: Sequence[str]
) -> Mapping[tuple[Any, ...], list[tuple[int, int]]]:
    """The stored series and account ids of each series: an account whose target changed has several."""
    found: dict[tuple[Any, ...], list[tuple[int, int]]] = defaultdict(list)
    cursor = connection.execute(
        "SELECT s.id, s.account, a.profile, a.name, a.provider, CASE WHEN a.name IS NULL THEN a.target END, asset,"
        " asset_id, kind, merchant, nth FROM series s JOIN accounts a ON a.id = s.account"
        " WHERE a.profile IS ifnull(?, a.profile)"
        " ORDER BY a.profile, a.name IS NULL, a.name, asset, ifnull(asset_id, ''), kind, merchant, nth, s.id",
        (profile_parameter(profile),),
    )
    kinds = (INT, INT, *[MAYBE_TEXT] * 4, TEXT, *[MAYBE_TEXT] * 3, INT)
    for number, account, *facts in check_types(cursor.fetchall(), *kinds):
        _, name, _, _, asset, asset_id, *_ = facts
        if selects(assets, *names(asset, asset_id)) and (not accounts or name in accounts):
            found[tuple(facts)].append((number, account))
    return found


def _answers(
    connection: "Connection", profile: str | None, wanted: set[int], times: tuple[int, int]
) -> Mapping[int, _Answers]:
    """For each account, the runs within those times that asked it."""
    found = {account: _Answers() for account in wanted}
    # An array raises TypeError for anything but an integer.
    appends = {
        account: (answers.ids.append, answers.times.append, answers.flags.append)
        for account, answers in found.items()
    }
    for account, run, at, flags in connection.execute(
        "SELECT account, r.id, r.at, (failure IS NULL) * ? + (selection IS NOT NULL) * ?"
        " FROM runs r JOIN asked ON run = r.id AND place >= 0"
        " WHERE profile IS ifnull(?, profile) AND r.at BETWEEN ? AND ? ORDER BY r.id",
        (_ANSWERED, _NARROWED, profile_parameter(profile), *times),
    ):
        if account in appends:
            add_id, add_time, add_flags = appends[account]
            add_id(run)
            add_time(at)
            add_flags(flags)
    return found


def _changes(connection: "Connection", number: int) -> Sequence[tuple[Any, ...]]:
    cursor = connection.execute(
        "SELECT run, held, total, available, locked FROM changes WHERE series = ? ORDER BY run", (number,)
    )
    return check_types(cursor.fetchall(), INT, INT, MAYBE_TEXT, MAYBE_TEXT, MAYBE_TEXT)


def _intervals(
    changes: Sequence[tuple[Any, ...]], answers: _Answers, *, odd: bool
) -> Iterator[_StoredInterval]:
    """A series' intervals. Rows that only some runs ask for (`odd`) are never absent."""
    begins = [bisect_left(answers.ids, run) for run, *_ in changes]
    for start, end, answered, narrowed in answers.spans():
        number = bisect_right(begins, start) - 1
        if not answered:
            if number >= 0:
                yield _interval(answers, start, end, "failed", _UNKNOWN)
            continue
        at = start
        while at < end:
            until = min(begins[number + 1] if number + 1 < len(begins) else end, end)
            if number >= 0 and until > at:
                held = changes[number][1]
                if held:
                    yield _interval(answers, at, until, "ok", changes[number][2:])
                elif not narrowed and not odd:
                    yield _interval(answers, at, until, "absent", _UNKNOWN)
            at, number = max(at, until), number + 1


def _interval(
    answers: _Answers, start: int, end: int, status: IntervalStatus, texts: Sequence[str | None]
) -> _StoredInterval:
    times = answers.times[start:end]
    since, until = (times[0], times[0]) if end - start == 1 else (min(times), max(times))
    return _StoredInterval(since, until, end - start, status, texts, answers.ids[start])


def _merged(pieces: Iterable[_StoredInterval]) -> Iterator[_StoredInterval]:
    """The intervals with adjacent ones merged that have the same amounts.

    Raises ValueError for a text that is not a canonical amount.
    """
    last: _StoredInterval | None = None
    for piece in pieces:
        if last is not None and (last.status, last.texts) == (piece.status, piece.texts):
            since, until = min(last.since, piece.since), max(last.until, piece.until)
            last = last._replace(since=since, until=until, runs=last.runs + piece.runs)
            continue
        if not all(text is None or is_canonical(text) for text in piece.texts):
            raise ValueError("not a canonical amount")
        if last is not None:
            yield last
        last = piece
    if last is not None:
        yield last


def _series(
    facts: tuple[Any, ...], pieces: Iterable[_StoredInterval], moment: Callable[[int], datetime]
) -> Series:
    """The series of these intervals."""
    profile, account, provider, over, asset, asset_id, kind, merchant, nth = facts
    intervals = tuple(
        Interval(moment(since), moment(until), number, status, *texts)
        for since, until, number, status, texts, _ in pieces
    )
    names = tuple(load_json(over, [str])) if over is not None else ()
    return Series(profile, account, names, provider, asset, asset_id, kind, merchant, nth, intervals)
