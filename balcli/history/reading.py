"""Read the history: the list of runs, and one run as a whole."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, TypeAlias

from balcli import document
from balcli.errors import StateError
from balcli.files import shown
from balcli.history.database import connect, from_milliseconds, read_transaction, to_milliseconds
from balcli.history.recording import SETTINGS, Selection
from balcli.models import (
    AMOUNT_FIELDS,
    Account,
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
"""The types that the columns of the history hold; SQLite itself lets any value into any column."""

_NOTICES: Final = [(str, str | None, str)]
_FAILURE: Final = (str, str, bool, int | None, int)
_TEXTS: Final = [str]
_ROW: Final = ({str: object}, {str: int | None})
_TOTAL: Final = ((int | None, int | None, int | None), [str])
_SETTINGS: Final = {str: (str, [str])}
_ADDRESSES: Final = [(str, str | None, str | None)]

_STATUS: Final[Mapping[int, Literal["ok", "failed"]]] = {1: "ok", 0: "failed"}
_Row: TypeAlias = tuple[Any, ...]


class RunSummary(NamedTuple):
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
def snapshot(path: Path) -> Iterator["Connection"]:
    """A connection whose reads all see one state of the history.

    Raises StateError for any trouble with the file, content that balcli never writes included.
    """
    try:
        with connect(path) as connection, read_transaction(connection):
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
    full: bool = False,
    limit: int | None = None,
) -> tuple[RunSummary, ...]:
    """The recorded runs, oldest first, of one profile or all, between two times; with a limit the newest ones.

    With `complete`, only runs in which every account answered; with `full`, only those that asked for everything.
    Raises StateError.
    """
    with snapshot(path) as connection:
        cursor = connection.execute(
            "SELECT r.id, r.at, r.profile, r.complete, a.name, q.failure IS NULL FROM ("
            " SELECT * FROM runs WHERE profile IS ifnull(?, profile) AND at BETWEEN ? AND ? AND complete >= ?"
            " AND (selection IS NULL) >= ? ORDER BY id DESC LIMIT ?) r"
            " LEFT JOIN asked q ON q.run = r.id AND q.place > 0 LEFT JOIN accounts a ON a.id = q.account"
            " ORDER BY r.id, q.place",
            (
                profile_parameter(profile),
                *time_range(since, until),
                complete,
                full,
                -1 if limit is None else limit,
            ),
        )
        rows = check_types(cursor.fetchall(), INT, INT, MAYBE_TEXT, INT, MAYBE_TEXT, INT)
        found = []
        for facts, of_run in groupby(rows, lambda row: row[:4]):
            accounts = tuple((row[4], _STATUS[row[5]]) for row in of_run if row[4] is not None)
            number, at, name, whole = facts
            found.append(RunSummary(number, from_milliseconds(at), name, bool(whole), accounts))
    return tuple(found)


def profiles(path: Path, until: datetime | None = None) -> Mapping[str | None, int]:
    """The profiles of the runs up to a time, each with the number of its runs, in order of their names.

    Raises StateError.
    """
    with snapshot(path) as connection:
        cursor = connection.execute(
            "SELECT profile, count(*) FROM runs WHERE at BETWEEN ? AND ? GROUP BY profile ORDER BY profile",
            time_range(None, until),
        )
        return dict(check_types(cursor.fetchall(), MAYBE_TEXT, INT))


def nearest(
    path: Path, profile: str | None, before: datetime, after: datetime
) -> tuple[datetime | None, datetime | None]:
    """The times of the last complete run before a time and of the first one after another. Raises StateError."""
    with snapshot(path) as connection:
        found = connection.execute(
            "SELECT max(at) FILTER (WHERE at < ?), min(at) FILTER (WHERE at > ?) FROM runs"
            " WHERE complete AND profile IS ifnull(?, profile)",
            (to_milliseconds(before), to_milliseconds(after), profile_parameter(profile)),
        ).fetchone()
        check_types([found], MAYBE_INT, MAYBE_INT)
        earlier, later = (None if at is None else from_milliseconds(at) for at in found)
        return earlier, later


def steps_back(path: Path, profile: str | None = None) -> tuple[tuple[int, datetime, datetime], ...]:
    """The runs before which the clock stepped back: id, time of the profile's previous run, own time.

    Raises StateError.
    """
    with snapshot(path) as connection:
        cursor = connection.execute(
            # A fifth of the time and memory of lag().
            "SELECT id, before, at FROM (SELECT id, at, (SELECT at FROM runs WHERE id < r.id AND profile IS r.profile"
            " ORDER BY id DESC LIMIT 1) before FROM runs r WHERE profile IS ifnull(?, profile))"
            " WHERE at < before ORDER BY id",
            (profile_parameter(profile),),
        )
        rows = check_types(cursor.fetchall(), INT, INT, INT)
        return tuple(
            (number, from_milliseconds(before), from_milliseconds(at)) for number, before, at in rows
        )


def run(path: Path, number: int) -> RecordedRun | None:
    """The run with that id, exactly as it was recorded; None where there is none. Raises StateError."""
    with snapshot(path) as connection:
        facts = connection.execute(
            "SELECT at, profile, complete, selection, text FROM runs LEFT JOIN texts ON texts.id = notices"
            " WHERE runs.id = ?",
            (number,),
        ).fetchone()
        if facts is None:
            return None
        check_types([facts], INT, MAYBE_TEXT, INT, MAYBE_TEXT, MAYBE_TEXT)
        cursor = connection.execute(
            "SELECT place, account, name, provider, target, fetched_at, text FROM asked"
            " JOIN accounts ON accounts.id = account LEFT JOIN texts ON texts.id = failure"
            " WHERE run = ? AND place >= 0 ORDER BY place",
            (number,),
        )
        asked = check_types(cursor.fetchall(), INT, INT, MAYBE_TEXT, MAYBE_TEXT, TEXT, MAYBE_INT, MAYBE_TEXT)
        settings = connection.execute(
            "SELECT target FROM asked JOIN accounts ON accounts.id = account WHERE run = ? AND place = ?",
            (number, SETTINGS),
        ).fetchone()
        held = {
            account: _rows_of(connection, account, number)
            for _, account, *_, failure in asked
            if failure is None
        }
        return _report_of(number, facts, asked, held, load_json(settings[0] if settings else "{}", _SETTINGS))


def _rows_of(connection: "Connection", account: int, run: int) -> Sequence[_Row]:
    """The stored rows of an account in a run in which it answered."""
    cursor = connection.execute(
        "SELECT asset, asset_id, place, total, available, locked, counted, texts, text FROM series s"
        " JOIN changes c ON c.series = s.id"
        " AND c.run = (SELECT max(run) FROM changes WHERE series = s.id AND run <= ?)"
        " LEFT JOIN texts ON texts.id = rest WHERE s.account = ? AND held"
        " ORDER BY asset, ifnull(asset_id, ''), place",
        (run, account),
    )
    amounts = (MAYBE_TEXT, MAYBE_TEXT, MAYBE_TEXT)
    return check_types(cursor.fetchall(), TEXT, MAYBE_TEXT, MAYBE_INT, *amounts, MAYBE_INT, MAYBE_TEXT, TEXT)


def _report_of(
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
        generated_at=from_milliseconds(at),
        profile=profile,
        outcomes=outcomes,
        balances=tuple(balances),
        totals=tuple(_total(row) for place, account, *_ in asked if place == 0 for row in held[account]),
        notices=tuple(Notice(*notice) for notice in load_json(notices or "[]", _NOTICES)),
    )
    chosen = load_json(selection or "{}", {str: _TEXTS})
    return RecordedRun(number, report, Selection(**{name: tuple(texts) for name, texts in chosen.items()}))


def _outcome(
    row: _Row, held: Mapping[int, Sequence[_Row]], settings: Mapping[str, tuple[str, list[str]]]
) -> Outcome:
    _, number, name, provider, target, fetched_at, failure = row
    check_types([(name, provider)], TEXT, TEXT)
    place, assets = settings.get(name, ("", []))
    facts = load_json(target, {str: str})
    account: Account[object] = Account(name, provider, place, facts, (), None, assets=tuple(assets))
    if failure is not None:
        return Outcome(account, None, None, Failure(*load_json(failure, _FAILURE)))
    balances = tuple(_balance(name, provider, each) for each in held[number])
    return Outcome(
        account, Holdings(balances), None if fetched_at is None else from_milliseconds(fetched_at), None
    )


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
    """The first and last stored milliseconds of a range; None is no limit."""
    first = -(2**62) if since is None else to_milliseconds(since)
    return first, 2**62 if until is None else to_milliseconds(until)


def _detail(value: Any, texts: Sequence[str | None]) -> object:
    """A detail as the document has it: `[n]` is the text with that number, a list of lists is addresses."""
    if value is None or isinstance(value, str | bool):
        return value
    if _has_shape(value, (int,)):
        return _text_at(texts, value[0])
    return [DepositAddress(*address)._asdict() for address in _with_shape(value, _ADDRESSES)]


def _text_at(texts: Sequence[str | None], place: int) -> str:
    """The text with a number. Raises TypeError for null."""
    (text,) = check_types([(texts[place],)], TEXT)[0]
    return str(text)


def profile_parameter(profile: str | None) -> str | bytes | None:
    """A profile's name as a query parameter. A name that SQLite cannot encode becomes bytes, which match no row."""
    return profile if profile is None or is_text(profile) else b""


def check_types(rows: Sequence[_Row], *kinds: frozenset[object]) -> Sequence[_Row]:
    """The rows. Raises TypeError where a column has a value of another type than given."""
    for column, kind in zip(zip(*rows, strict=True), kinds, strict=False):
        if not kind.issuperset(map(type, column)):
            raise TypeError("a column holds a value of another type")
    return rows


def load_json(text: str, shape: Any) -> Any:
    """Parse JSON of a given shape. Raises ValueError or TypeError."""
    return _with_shape(json.loads(text), shape)


def _with_shape(value: Any, shape: Any) -> Any:
    if not _has_shape(value, shape):
        raise TypeError("JSON of another shape")
    return value


def _has_shape(value: Any, shape: Any) -> bool:
    """Whether JSON has a shape: [of each], (of the first, …), {str: of each value}, or a type."""
    if isinstance(shape, list):
        return isinstance(value, list) and all(_has_shape(item, shape[0]) for item in value)
    if isinstance(shape, tuple):
        if not isinstance(value, list) or len(value) != len(shape):
            return False
        return all(_has_shape(item, each) for item, each in zip(value, shape, strict=True))
    if isinstance(shape, dict):
        return isinstance(value, dict) and all(_has_shape(item, shape[str]) for item in value.values())
    return isinstance(value, shape) and (shape in (bool, object) or not isinstance(value, bool))
