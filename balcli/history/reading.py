"""Reading the history: which runs there are, and one of them whole."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, TypeAlias

from balcli.errors import StateError
from balcli.files import shown
from balcli.history.database import milliseconds, moment, opened, reading
from balcli.history.recording import SETTINGS, Selection
from balcli.models import (
    Account,
    Balance,
    DepositAddress,
    Detail,
    Failure,
    Holdings,
    Notice,
    Outcome,
    Parts,
    Report,
    Total,
)
from balcli.money import restore

if TYPE_CHECKING:
    from balcli.history.database import Connection

_STATUS: Final[Mapping[int, Literal["ok", "failed"]]] = {1: "ok", 0: "failed"}
_Row: TypeAlias = tuple[Any, ...]


class Recorded(NamedTuple):
    """A recorded run in one line: what `balcli history` lists."""

    id: int
    at: datetime
    profile: str | None
    complete: bool
    accounts: tuple[tuple[str, Literal["ok", "failed"]], ...]


class RecordedRun(NamedTuple):
    """A recorded run, whole: its report is equal to what was shown then, its selection says what was asked for.

    The base_url of its accounts is a digest, or empty where the history does not tell.
    """

    id: int
    report: Report
    selection: Selection


@contextmanager
def reading_back(path: Path) -> Iterator["Connection"]:
    """A connection through which all that is read is of one moment.

    Raises StateError for whatever is wrong with the file, what no balcli wrote in it included.
    """
    try:
        with opened(path) as connection, reading(connection):
            yield connection
    except (ValueError, TypeError, LookupError, OverflowError, RecursionError):
        raise StateError(
            f"the history {shown(path)} is damaged: it holds what no balcli wrote; move it away, or put a copy of it back"
        ) from None


def runs(
    path: Path,
    profile: str | None = None,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    complete: bool = False,
    limit: int | None = None,
) -> tuple[Recorded, ...]:
    """The recorded runs, oldest first: of one profile or all, within these times, the newest so many of them.

    With `complete`, those alone in which every account answered. Raises StateError.
    """
    with reading_back(path) as connection:
        rows = connection.execute(
            "SELECT r.id, r.at, r.profile, r.complete, a.name, q.failure IS NULL FROM ("
            " SELECT * FROM runs WHERE profile IS ifnull(?, profile) AND at BETWEEN ? AND ? AND complete >= ?"
            " ORDER BY id DESC LIMIT ?) r"
            " LEFT JOIN asked q ON q.run = r.id AND q.place > 0 LEFT JOIN accounts a ON a.id = q.account"
            " ORDER BY r.id, q.place",
            (profile, *between(since, until), complete, -1 if limit is None else limit),
        ).fetchall()
        found = []
        for facts, of_run in groupby(rows, lambda row: row[:4]):
            accounts = tuple((row[4], _STATUS[row[5]]) for row in of_run if row[4] is not None)
            number, at, name, whole = facts
            found.append(Recorded(number, moment(at), name, bool(whole), accounts))
    return tuple(found)


def steps_back(path: Path, profile: str | None = None) -> tuple[tuple[int, datetime, datetime], ...]:
    """Each run whose time is before that of its profile's run before it: its id, that time and its own.

    Raises StateError.
    """
    with reading_back(path) as connection:
        rows = connection.execute(
            "SELECT id, before, at FROM (SELECT id, at, lag(at) OVER (PARTITION BY profile ORDER BY id) before"
            " FROM runs WHERE profile IS ifnull(?, profile)) WHERE at < before ORDER BY id",
            (profile,),
        ).fetchall()
        return tuple((number, moment(before), moment(at)) for number, before, at in rows)


def run(path: Path, number: int) -> RecordedRun | None:
    """The run with that id, exactly as it was recorded; None where there is none. Raises StateError."""
    with reading_back(path) as connection:
        facts = connection.execute(
            "SELECT at, profile, complete, selection, text FROM runs LEFT JOIN texts ON texts.id = notices"
            " WHERE runs.id = ?",
            (number,),
        ).fetchone()
        if facts is None:
            return None
        asked = connection.execute(
            "SELECT place, account, name, provider, target, fetched_at, text FROM asked"
            " JOIN accounts ON accounts.id = account LEFT JOIN texts ON texts.id = failure"
            " WHERE run = ? AND place >= 0 ORDER BY place",
            (number,),
        ).fetchall()
        settings = connection.execute(
            "SELECT target FROM asked JOIN accounts ON accounts.id = account WHERE run = ? AND place = ?",
            (number, SETTINGS),
        ).fetchone()
        held = {
            account: _held(connection, account, number)
            for _, account, *_, failure in asked
            if failure is None
        }
        return _rebuilt(number, facts, asked, held, {} if settings is None else json.loads(settings[0]))


def _held(connection: "Connection", account: int, run: int) -> list[_Row]:
    """What an account held in a run in which it answered."""
    return connection.execute(
        "SELECT asset, asset_id, place, total, available, locked, counted, texts, text FROM series s"
        " JOIN changes c ON c.series = s.id"
        " AND c.run = (SELECT max(run) FROM changes WHERE series = s.id AND run <= ?)"
        " LEFT JOIN texts ON texts.id = rest WHERE s.account = ? AND held"
        " ORDER BY asset, ifnull(asset_id, ''), place",
        (run, account),
    ).fetchall()


def _rebuilt(
    number: int,
    facts: _Row,
    asked: Sequence[_Row],
    held: Mapping[int, Sequence[_Row]],
    settings: Mapping[str, tuple[str, list[str]]],
) -> RecordedRun:
    at, profile, _, selection, notices = facts
    outcomes = tuple(_outcome(row, held, settings) for row in asked if row[0] > 0)
    balances = [balance for each in outcomes if each.holdings for balance in each.holdings.balances]
    report = Report(
        generated_at=moment(at),
        profile=profile,
        outcomes=outcomes,
        balances=tuple(balances),
        totals=tuple(_total(row) for place, account, *_ in asked if place == 0 for row in held[account]),
        notices=tuple(Notice(*notice) for notice in json.loads(notices or "[]")),
    )
    chosen = json.loads(selection) if selection else {}
    return RecordedRun(number, report, Selection(**{name: tuple(texts) for name, texts in chosen.items()}))


def _outcome(
    row: _Row, held: Mapping[int, Sequence[_Row]], settings: Mapping[str, tuple[str, list[str]]]
) -> Outcome:
    _, number, name, provider, target, fetched_at, failure = row
    place, assets = settings.get(name, ("", []))
    account: Account[object] = Account(
        name, provider, place, json.loads(target), (), None, assets=tuple(assets)
    )
    if failure is not None:
        return Outcome(account, None, None, Failure(*json.loads(failure)))
    balances = tuple(_balance(name, provider, each) for each in held[number])
    return Outcome(account, Holdings(balances), None if fetched_at is None else moment(fetched_at), None)


def _balance(account: str, provider: str, row: _Row) -> Balance:
    asset, asset_id, _, *amounts, counted, others, rest = row
    parts = parts_of(amounts)
    texts = [*amounts, *json.loads(others or "[]")]
    details, raw = json.loads(rest)
    return Balance(
        account,
        provider,
        asset,
        asset_id,
        parts.total,
        parts.available,
        parts.locked,
        {key: _detail(value, texts) for key, value in details.items()},
        {key: None if place is None else texts[place] for key, place in raw.items()},
        bool(counted),
    )


def _total(row: _Row) -> Total:
    asset, _, _, *amounts, _, others, rest = row
    texts = [*amounts, *json.loads(others or "[]")]
    places, missing = json.loads(rest)
    known = parts_of([None if place is None else texts[place] for place in places])
    return Total(asset, parts_of(amounts), known, tuple(missing))


def parts_of(texts: Sequence[str | None]) -> Parts:
    """The three amounts that stored texts stand for. Raises ValueError for one that stands for none."""
    total, available, locked = (None if text is None else restore(text) for text in texts)
    return Parts(total, available, locked)


def between(since: datetime | None, until: datetime | None) -> tuple[int, int]:
    """The first and last stored time within two times, where there is no limit beyond any."""
    first = -(2**62) if since is None else milliseconds(since)
    return first, 2**62 if until is None else milliseconds(until)


def _detail(value: Any, texts: Sequence[str]) -> Detail:
    """A detail from its JSON: one number in a list is that of an amount's text, lists in a list are addresses."""
    if not isinstance(value, list):
        checked: str | bool | None = value
        return checked
    if value and isinstance(value[0], int):
        return restore(texts[value[0]])
    return tuple(DepositAddress(*address) for address in value)
