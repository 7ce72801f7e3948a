"""Record a run in one transaction: the changes since each account's last successful run."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias, cast
from zlib import crc32

from balcli.history.database import connect, to_milliseconds, write_transaction
from balcli.models import (
    AMOUNT_FIELDS,
    Account,
    Amounts,
    Balance,
    Detail,
    ExactName,
    Outcome,
    Report,
    by_account,
)
from balcli.money import Amount
from balcli.providers.selection import selects
from balcli.text import join_names
from balcli.urls import normalize_url

if TYPE_CHECKING:
    from balcli.history.database import Connection

_Key: TypeAlias = tuple[str, str | None, str | None, str | None, int]
"""The key of a row in its account: asset, asset_id, kind, merchant, and its number among equal keys."""
_Value: TypeAlias = tuple[Any, ...]
"""The stored columns of a row: held, total, available, locked, counted, place, rest, texts."""
_UNLISTED: Final[_Value] = (0, *[None] * 7)


class Selection(NamedTuple):
    """The options that decided what a run requested: `--asset`, the provider's flags, and account names."""

    assets: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    accounts: tuple[str, ...] = ()
    """The requested accounts; empty for all of the profile."""
    exact: tuple[str, ...] = ()
    """The assets requested with `--exact`."""

    @property
    def asked(self) -> tuple[str, ...]:
        """The assets, with the exact ones as `ExactName`."""
        return tuple(ExactName(asset) if asset in self.exact else asset for asset in self.assets)

    @property
    def narrowed_to(self) -> str:
        """The requested accounts and assets, in words; empty if the run requested everything."""
        parts = {"account": self.accounts, "asset": self.assets}
        return " and ".join(f"{kind} {join_names(names)}" for kind, names in parts.items() if names)

    def covers(self, assets: tuple[str, ...]) -> bool:
        """Whether a run requested all of these assets in each spelling that they match; empty means every asset."""
        if not self.assets:
            return True
        return bool(assets) and all(
            any(
                selects((asked,), name) and (isinstance(name, ExactName) or not isinstance(asked, ExactName))
                for asked in self.asked
            )
            for name in assets
        )


EVERYTHING: Final = Selection()
SETTINGS: Final = -1
"""The `place` of the accounts' settings in `asked`. Older versions ignore places below 0."""


def with_url_digests(report: Report, *, sandbox: bool) -> Report:
    """The report with a digest of each account's base_url, which can contain a credential.

    A sandbox's base_url is empty, because its port differs each time.
    """
    outcomes = [
        outcome._replace(
            account=outcome.account._replace(base_url="" if sandbox else _digest(outcome.account))
        )
        for outcome in report.outcomes
    ]
    return report._replace(outcomes=tuple(outcomes))


def _digest(account: Account[object]) -> str:
    from hashlib import sha256  # imported here, because most runs are not recorded

    return sha256(normalize_url(account.base_url).encode()).hexdigest()[:32]


def record(path: Path, report: Report, selection: Selection = EVERYTHING) -> int:
    """Add a run to the history in one transaction and sync it to the disk. Returns its id.

    The report comes from `with_url_digests` and includes rows of zeros. Raises StateError and leaves the history
    unchanged.
    """
    with connect(path, create=True) as connection, write_transaction(connection):
        return insert(connection, report, selection)


def insert(connection: "Connection", report: Report, selection: Selection = EVERYTHING) -> int:
    """Add a run within an open transaction. Returns its id."""
    notices = [(notice.code, notice.account, notice.message) for notice in report.notices]
    chosen = {key: value for key, value in selection._asdict().items() if value}
    run = _insert(
        connection,
        "runs (at, profile, complete, selection, notices)",
        to_milliseconds(report.generated_at),
        report.profile,
        report.complete,
        _to_json(chosen) if chosen else None,
        _text(connection, notices) if notices else None,
    )
    rows = by_account(report.balances)
    names = [outcome.account.name for outcome in report.outcomes]
    whole = _account(connection, report.profile, None, None, names)
    _insert_changes(connection, run, whole, _totals(connection, report))
    asked: list[tuple[Any, ...]] = [(run, 0, whole, None, None)]
    settings = {
        outcome.account.name: [outcome.account.base_url, sorted(outcome.account.assets)]
        for outcome in report.outcomes
        if outcome.account.base_url
    }
    if settings:
        asked.append((run, SETTINGS, _account(connection, report.profile, None, None, settings), None, None))
    for place, outcome in enumerate(report.outcomes, 1):
        account = outcome.account
        number = _account(connection, report.profile, account.name, account.provider, dict(account.target))
        at = None if outcome.fetched_at is None else to_milliseconds(outcome.fetched_at)
        asked.append((run, place, number, at, _failure(connection, outcome)))
        if outcome.failure is None:
            _insert_changes(connection, run, number, _rows(connection, rows[account.name]))
    connection.executemany("INSERT INTO asked VALUES (?, ?, ?, ?, ?)", asked)
    return run


def _insert_changes(connection: "Connection", run: int, account: int, now: dict[_Key, _Value]) -> None:
    """Store the rows of an account that differ from the last stored ones."""
    before: dict[_Key, tuple[int, _Value]] = {}
    for row in connection.execute(
        "SELECT asset, asset_id, kind, merchant, nth, s.id, held, total, available, locked, counted, place, rest, texts"
        " FROM series s JOIN changes c ON c.series = s.id"
        " AND c.run = (SELECT max(run) FROM changes WHERE series = s.id) WHERE s.account = ?",
        (account,),
    ):
        before[row[:5]] = (row[5], row[6:])
    changes = []
    for key, value in now.items():
        series, last = before.get(key, (None, None))
        if series is None:
            columns = "series (account, asset, asset_id, kind, merchant, nth)"
            series = _insert(connection, columns, account, *key)
        if last != value:
            changes.append((series, run, *value))
    unlisted = [series for key, (series, last) in before.items() if key not in now and last != _UNLISTED]
    changes += [(series, run, *_UNLISTED) for series in unlisted]
    connection.executemany("INSERT INTO changes VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", changes)


def _rows(connection: "Connection", balances: Iterable[Balance]) -> dict[_Key, _Value]:
    """An account's rows in stored form. `place` keeps the order of an asset's rows."""
    alike: defaultdict[tuple[str, str | None, str | None, str | None], list[_Value]] = defaultdict(list)
    places: Counter[tuple[str | None, ...]] = Counter()
    for balance in balances:
        what = (balance.asset, balance.asset_id)
        kind, merchant = (_text_or_none(balance.details.get(key)) for key in ("kind", "merchant_id"))
        texts = _amounts(balance)
        details = {name: _to_plain(value, texts) for name, value in balance.details.items()}
        raw = {name: None if text is None else _index_of(text, texts) for name, text in balance.raw.items()}
        rest = _text(connection, [details, raw])
        value = (1, *texts[:3], int(balance.counted), places[what], rest, _extra_texts(texts))
        alike[*what, kind, merchant].append(value)
        places[what] += 1
    # Sorted by amount, so that a different order in the response does not count as a change.
    return {
        (*what, number): value
        for what, values in alike.items()
        for number, value in enumerate(sorted(values, key=lambda value: [text or "" for text in value[1:4]]))
    }


def _totals(connection: "Connection", report: Report) -> dict[_Key, _Value]:
    """The totals in stored form, with `known` and `missing` as details."""
    rows: dict[_Key, _Value] = {}
    for total in report.totals:
        texts = _amounts(total.amounts)
        known = [None if text is None else _index_of(text, texts) for text in _amounts(total.known)]
        rest = _text(connection, [known, total.missing])
        rows[total.asset, None, None, None, 0] = (1, *texts[:3], None, None, rest, _extra_texts(texts))
    return rows


def _amounts(row: Balance | Amounts) -> list[str | None]:
    amounts: list[Amount | None] = [getattr(row, part) for part in AMOUNT_FIELDS]
    return [None if amount is None else str(amount) for amount in amounts]


def _index_of(text: str, texts: list[str | None]) -> int:
    """The index of a string in a row's strings, to which it is added if new."""
    if text not in texts:
        texts.append(text)
    return texts.index(text)


def _extra_texts(texts: list[str | None]) -> str | None:
    """The texts after the three amounts, in stored form."""
    return _to_json(texts[3:]) if texts[3:] else None


def _to_plain(value: Detail, texts: list[str | None]) -> object:
    """A detail as JSON: an amount is `[index of its text]`, and addresses are a list of lists."""
    if isinstance(value, Amount):
        return [_index_of(str(value), texts)]
    if isinstance(value, tuple):
        return [[address.network, address.address, address.memo] for address in value]
    return value


def _text_or_none(value: Detail) -> str | None:
    return value if isinstance(value, str) else None


def _to_json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


def _failure(connection: "Connection", outcome: Outcome) -> int | None:
    failure = outcome.failure
    if failure is None:
        return None
    facts = (failure.code, failure.message, failure.retryable, failure.http_status, failure.exit_code)
    return _text(connection, facts)


def _text(connection: "Connection", value: object) -> int:
    """The id of a value's JSON. Each text is stored once."""
    text = _to_json(value)
    return _id_of(connection, "texts", digest=crc32(text.encode()), text=text)


def _account(
    connection: "Connection", profile: str | None, name: str | None, provider: str | None, target: object
) -> int:
    """The id of a profile's account with this target. It is added if new."""
    facts = {"profile": profile, "name": name, "provider": provider, "target": _to_json(target)}
    return _id_of(connection, "accounts", **facts)


def _id_of(connection: "Connection", table: str, **facts: object) -> int:
    """The id of the row with these values. It is added if there is none."""
    conditions = " AND ".join(f"{column} IS ?" for column in facts)
    found = connection.execute(f"SELECT id FROM {table} WHERE {conditions}", (*facts.values(),)).fetchone()  # noqa: S608 - names of this module
    return int(found[0]) if found else _insert(connection, f"{table} ({', '.join(facts)})", *facts.values())


def _insert(connection: "Connection", columns: str, *values: object) -> int:
    """Insert a row with these values in these columns. Returns its id."""
    places = ", ".join("?" * len(values))
    number = connection.execute(f"INSERT INTO {columns} VALUES ({places})", values).lastrowid  # noqa: S608 - as above
    return cast("int", number)
