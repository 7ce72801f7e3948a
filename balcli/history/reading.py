"""Read the history: the list of runs, and single runs."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from balcli import document
from balcli.errors import StateError
from balcli.files import shown
from balcli.history.database import connect, from_milliseconds, read_transaction, to_milliseconds
from balcli.history.recording import SETTINGS, Selection
from balcli.models import (
    AMOUNT_FIELDS,
    Account,
    AccountStatus,
    Balance,
    DepositAddress,
    Failure,
    Holdings,
    Notice,
    Outcome,
    Report,
    Total,
)
from balcli.text import is_text

if TYPE_CHECKING:
    from balcli.history.database import Connection

INT: Final[frozenset[object]] = frozenset({int})
TEXT: Final[frozenset[object]] = frozenset({str})
MAYBE_INT: Final[frozenset[object]] = frozenset({int, type(None)})
MAYBE_TEXT: Final[frozenset[object]] = frozenset({str, type(None)})
"""The types of the history's columns. SQLite itself accepts any value in any column."""

_NOTICES: Final = [(str, str | None, str)]
_FAILURE: Final = (str, str, bool, int | None, int)
_TEXTS: Final = [str]
_ROW: Final = ({str: object}, {str: int | None})
_TOTAL: Final = ((int | None, int | None, int | None), [str])
_SETTINGS: Final = {str: (str, [str])}
_ADDRESSES: Final = [(str, str | None, str | None)]

_STATUS: Final[Mapping[int, AccountStatus]] = {1: "ok", 0: "failed"}
_Row: TypeAlias = tuple[Any, ...]


class RunSummary(NamedTuple):
    """A recorded run as `balcli history` lists it."""

    id: int
    at: datetime
    profile: str | None
    complete: bool
    accounts: tuple[tuple[str, AccountStatus], ...]


class RecordedRun(NamedTuple):
    """A recorded run: the report that was shown, and the options that selected it.

    The base_url of its accounts is a digest, or empty if unknown.
    """

    id: int
    report: Report
    selection: Selection


@contextmanager
def snapshot(path: Path) -> Iterator["Connection"]:
    """A connection whose reads all see the same state of the history.

    Raises StateError for any problem with the file or its content.
    """
    try:
        with connect(path) as connection, read_transaction(connection):
            yield connection
    except (ValueError, TypeError, LookupError, OverflowError, RecursionError):
        raise StateError(
            f"the history {shown(path)} is damaged (unexpected content); restore a backup, or move the file away"
        ) from None


def runs(
    path: Path,
    profile: str | None = None,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    complete: bool = False,
    full: bool = False,
    limit: int | None = None,
) -> tuple[RunSummary, ...]:
    """The recorded runs between two times, oldest first, of one profile or all. With a limit, the newest ones.

    With `complete`, only runs in which every account answered. With `full`, only runs that requested everything.
    Raises StateError.
    """
    with snapshot(path) as connection:
        most = -1 if limit is None else limit
        rows = read_rows(
            connection,
            "SELECT r.id, r.at, r.profile, r.complete, a.name, q.failure IS NULL FROM ("
            " SELECT * FROM runs WHERE profile IS ifnull(?, profile) AND at BETWEEN ? AND ? AND complete >= ?"
            " AND (selection IS NULL) >= ? ORDER BY id DESC LIMIT ?) r"
            " LEFT JOIN asked q ON q.run = r.id AND q.place > 0 LEFT JOIN accounts a ON a.id = q.account"
            " ORDER BY r.id, q.place",
            (profile_parameter(profile), *time_range(since, until), complete, full, most),
            *(INT, INT, MAYBE_TEXT, INT, MAYBE_TEXT, INT),
        )
        found = []
        for facts, of_run in groupby(rows, lambda row: row[:4]):
            accounts = tuple((row[4], _STATUS[row[5]]) for row in of_run if row[4] is not None)
            number, at, name, whole = facts
            found.append(RunSummary(number, from_milliseconds(at), name, bool(whole), accounts))
    return tuple(found)


def profiles(path: Path, until: datetime | None = None) -> Mapping[str | None, int]:
    """The profiles of the runs up to a time, sorted by name, with the number of runs of each. Raises StateError."""
    with snapshot(path) as connection:
        query = (
            "SELECT profile, count(*) FROM runs WHERE at BETWEEN ? AND ? GROUP BY profile ORDER BY profile"
        )
        return dict(read_rows(connection, query, time_range(None, until), MAYBE_TEXT, INT))


def nearest(
    path: Path, profile: str | None, before: datetime, after: datetime
) -> tuple[datetime | None, datetime | None]:
    """The times of the last complete run before `before` and the first one after `after`. Raises StateError."""
    with snapshot(path) as connection:
        (found,) = read_rows(
            connection,
            "SELECT max(CASE WHEN at < ? THEN at END), min(CASE WHEN at > ? THEN at END) FROM runs"
            " WHERE complete AND profile IS ifnull(?, profile)",
            (to_milliseconds(before), to_milliseconds(after), profile_parameter(profile)),
            *(MAYBE_INT, MAYBE_INT),
        )
        earlier, later = (None if at is None else from_milliseconds(at) for at in found)
        return earlier, later


def steps_back(path: Path, profile: str | None = None) -> tuple[tuple[int, datetime, datetime], ...]:
    """The runs that are earlier than their profile's previous run: id, time of the previous run, own time.

    Raises StateError.
    """
    with snapshot(path) as connection:
        rows = read_rows(
            connection,
            # It takes a fifth of the time and memory of lag().
            "SELECT id, before, at FROM (SELECT id, at, (SELECT at FROM runs WHERE id < r.id AND profile IS r.profile"
            " ORDER BY id DESC LIMIT 1) before FROM runs r WHERE profile IS ifnull(?, profile))"
            " WHERE at < before ORDER BY id",
            (profile_parameter(profile),),
            *(INT, INT, INT),
        )
        return tuple(
            (number, from_milliseconds(before), from_milliseconds(at)) for number, before, at in rows
        )


def run(path: Path, number: int) -> RecordedRun | None:
    """The run with that id, exactly as recorded; None if there is none. Raises StateError."""
    with snapshot(path) as connection:
        of_run = read_rows(
            connection,
            "SELECT at, profile, complete, selection, text FROM runs LEFT JOIN texts ON texts.id = notices"
            " WHERE runs.id = ?",
            (number,),
            *(INT, MAYBE_TEXT, INT, MAYBE_TEXT, MAYBE_TEXT),
        )
        asked = read_rows(
            connection,
            "SELECT place, account, name, provider, target, fetched_at, text FROM asked"
            " JOIN accounts ON accounts.id = account LEFT JOIN texts ON texts.id = failure"
            " WHERE run = ? AND place >= ? ORDER BY place",
            (number, SETTINGS),
            *(INT, INT, MAYBE_TEXT, MAYBE_TEXT, TEXT, MAYBE_INT, MAYBE_TEXT),
        )
        held = {
            account: _rows_of(connection, account, number)
            for place, account, *_, failure in asked
            if place != SETTINGS and failure is None
        }
        return _report_of(number, of_run[0], asked, held) if of_run else None


def _rows_of(connection: "Connection", account: int, run: int) -> Sequence[_Row]:
    """The stored rows of an account in a run in which it answered."""
    return read_rows(
        connection,
        "SELECT asset, asset_id, place, total, available, locked, counted, texts, text FROM series s"
        " JOIN changes c ON c.series = s.id"
        " AND c.run = (SELECT max(run) FROM changes WHERE series = s.id AND run <= ?)"
        " LEFT JOIN texts ON texts.id = rest WHERE s.account = ? AND held"
        " ORDER BY asset, ifnull(asset_id, ''), place",
        (run, account),
        *(TEXT, MAYBE_TEXT, MAYBE_INT, *[MAYBE_TEXT] * 3, MAYBE_INT, MAYBE_TEXT, TEXT),
    )


def _report_of(
    number: int, of_run: _Row, asked: Sequence[_Row], held: Mapping[int, Sequence[_Row]]
) -> RecordedRun:
    generated_at, profile, _, selection, notices = of_run
    settings: dict[str, tuple[str, list[str]]] = {}
    outcomes, totals = list[Outcome](), list[Total]()
    for place, key, name, provider, target, fetched_at, failure in asked:
        if place == SETTINGS:
            settings = load_json(target, _SETTINGS)
        elif place == 0:
            totals += map(_total, held[key])
        else:
            check_types([(name, provider)], TEXT, TEXT)
            base_url, assets = settings.get(name, ("", []))
            facts = load_json(target, {str: str})
            account = Account[object](name, provider, base_url, facts, (), None, assets=tuple(assets))
            if failure is None:
                rows = Holdings(tuple(_balance(name, provider, row) for row in held[key]))
                at = None if fetched_at is None else from_milliseconds(fetched_at)
                outcomes.append(Outcome(account, rows, at, None))
            else:
                outcomes.append(Outcome(account, None, None, Failure(*load_json(failure, _FAILURE))))
    report = Report(
        generated_at=from_milliseconds(generated_at),
        profile=profile,
        outcomes=tuple(outcomes),
        balances=tuple(row for each in outcomes if each.holdings for row in each.holdings.balances),
        totals=tuple(totals),
        notices=tuple(Notice(*notice) for notice in load_json(notices or "[]", _NOTICES)),
    )
    chosen = load_json(selection or "{}", {str: _TEXTS})
    return RecordedRun(number, report, Selection(**{name: tuple(texts) for name, texts in chosen.items()}))


def _balance(account: str, provider: str, row: _Row) -> Balance:
    asset, asset_id, _, *amounts, counted, others, rest = row
    texts = [*amounts, *load_json(others or "[]", _TEXTS)]
    details, raw = load_json(rest, _ROW)
    entry = {
        "account": account,
        "provider": provider,
        "asset": asset,
        "asset_id": asset_id,
        **dict(zip(AMOUNT_FIELDS, amounts, strict=True)),
        "details": {key: _detail(value, texts) for key, value in details.items()},
        "raw": {key: None if place is None else _text_at(texts, place) for key, place in raw.items()},
    }
    return document.balance(entry)._replace(counted=bool(counted))


def _total(row: _Row) -> Total:
    asset, _, _, *amounts, _, others, rest = row
    texts = [*amounts, *load_json(others or "[]", _TEXTS)]
    places, missing = load_json(rest, _TOTAL)
    known = [None if place is None else _text_at(texts, place) for place in places]
    names = (dict(zip(AMOUNT_FIELDS, each, strict=True)) for each in (amounts, known))
    return document.total({"asset": asset, **next(names), "known": next(names), "missing": missing})


def time_range(since: datetime | None, until: datetime | None) -> tuple[int, int]:
    """The first and last stored milliseconds of a range; None means no limit."""
    first = -(2**62) if since is None else to_milliseconds(since)
    return first, 2**62 if until is None else to_milliseconds(until)


def _detail(value: Any, texts: Sequence[str | None]) -> object:
    """A detail as in the document: `[n]` is the text with that number, and a list of lists is addresses."""
    if value is None or isinstance(value, str | bool):
        return value
    if _has_shape(value, (int,)):
        return _text_at(texts, value[0])
    return [DepositAddress(*address)._asdict() for address in _with_shape(value, _ADDRESSES)]


def _text_at(texts: Sequence[str | None], place: int) -> str:
    """The text with that number. Raises TypeError if it is null."""
    (text,) = check_types([(texts[place],)], TEXT)[0]
    return str(text)


def profile_parameter(profile: str | None) -> str | bytes | None:
    """A profile's name as a query parameter. A name that SQLite cannot encode becomes bytes, which match no row."""
    return profile if profile is None or is_text(profile) else b""


def read_rows(
    connection: "Connection", query: str, parameters: Sequence[object], *kinds: frozenset[object]
) -> Sequence[_Row]:
    """The rows of a query. Raises TypeError if a value does not have its column's type."""
    return check_types(connection.execute(query, parameters).fetchall(), *kinds)


def check_types(rows: Sequence[_Row], *kinds: frozenset[object]) -> Sequence[_Row]:
    """The rows. Raises TypeError if a value does not have its column's type."""
    for column, kind in zip(zip(*rows, strict=True), kinds, strict=False):
        if not kind.issuperset(map(type, column)):
            raise TypeError("a column has a value of another type")
    return rows


def load_json(text: str, shape: Any) -> Any:
    """Parse JSON of a given shape. Raises ValueError or TypeError."""
    return _with_shape(json.loads(text), shape)


def _with_shape(value: Any, shape: Any) -> Any:
    if not _has_shape(value, shape):
        raise TypeError("JSON of another shape")
    return value


def _has_shape(value: Any, shape: Any) -> bool:
    """Whether a JSON value has a shape: [of each item], (of the first, …), {str: of each value}, or a type."""
    if isinstance(shape, list):
        return isinstance(value, list) and all(_has_shape(item, shape[0]) for item in value)
    if isinstance(shape, tuple):
        if not isinstance(value, list) or len(value) != len(shape):
            return False
        return all(_has_shape(item, each) for item, each in zip(value, shape, strict=True))
    if isinstance(shape, dict):
        return isinstance(value, dict) and all(_has_shape(item, shape[str]) for item in value.values())
    return isinstance(value, shape) and (shape in (bool, object) or not isinstance(value, bool))
