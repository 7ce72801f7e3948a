"""Delete old runs and shrink the file. The remaining runs can be read as before."""

from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from balcli.history.database import connect, execute_with_retry, to_milliseconds, write_transaction

if TYPE_CHECKING:
    from balcli.history.database import Connection


class Pruned(NamedTuple):
    """The number of runs that were (or would be) deleted, and the bytes that this frees."""

    runs: int
    bytes: int


def prune(
    path: Path,
    profiles: Iterable[str | None],
    before: datetime,
    *,
    keep_newest: bool = True,
    dry_run: bool = False,
) -> Pruned:
    """Delete the runs of these profiles before a time, in one transaction, and free their space.

    With `keep_newest`, the newest complete run of each profile stays. With `dry_run`, nothing is deleted, and the
    bytes are those of the pages that would be freed, which is slightly too low. Raises StateError.
    """
    size = path.stat().st_size
    deleted = 0
    with connect(path) as connection:
        with suppress(_Rollback), write_transaction(connection):
            for profile in profiles:
                deleted += _delete_runs(connection, profile, to_milliseconds(before), keep_newest=keep_newest)
            if dry_run:
                free, page = (
                    connection.execute(f"PRAGMA {name}").fetchone()[0]
                    for name in ("freelist_count", "page_size")
                )
                raise _Rollback
        if dry_run:
            return Pruned(deleted, free * page)
        if deleted:
            execute_with_retry(connection, "VACUUM")
    return Pruned(deleted, size - path.stat().st_size)


class _Rollback(Exception):
    """Rolls a transaction back."""


def _delete_runs(connection: "Connection", profile: str | None, before: int, *, keep_newest: bool) -> int:
    (newest,) = connection.execute(
        "SELECT max(id) FROM runs WHERE profile IS ? AND complete AND ?", (profile, keep_newest)
    ).fetchone()
    deleted = connection.execute(
        "DELETE FROM runs WHERE profile IS ? AND at < ? AND id IS NOT ?", (profile, before, newest)
    ).rowcount
    if not deleted:
        return 0
    connection.execute("DELETE FROM asked WHERE run NOT IN (SELECT id FROM runs)")
    (first,) = connection.execute("SELECT min(id) FROM runs WHERE profile IS ?", (profile,)).fetchone()
    series = connection.execute(
        "SELECT s.id FROM series s JOIN accounts a ON a.id = s.account WHERE a.profile IS ?", (profile,)
    ).fetchall()
    for (number,) in series:
        _delete_unneeded(connection, number, first)
    connection.execute("DELETE FROM series WHERE id NOT IN (SELECT series FROM changes)")
    connection.execute(
        "DELETE FROM accounts WHERE id NOT IN (SELECT account FROM asked UNION SELECT account FROM series)"
    )
    connection.execute(
        "DELETE FROM texts WHERE id NOT IN (SELECT rest FROM changes WHERE rest IS NOT NULL"
        " UNION SELECT notices FROM runs WHERE notices IS NOT NULL"
        " UNION SELECT failure FROM asked WHERE failure IS NOT NULL)"
    )
    return deleted


def _delete_unneeded(connection: "Connection", series: int, first: int | None) -> None:
    """Delete the changes of a series that no run needs; `first` is the oldest remaining run, None if there is none."""
    if first is None:
        connection.execute("DELETE FROM changes WHERE series = ?", (series,))
        return
    # The first run shows the last change up to it. That change stays, unless it removes the row.
    (base,) = connection.execute(
        "SELECT max(run) FROM changes WHERE series = ? AND run <= ?", (series, first)
    ).fetchone()
    if base is not None:
        connection.execute(
            "DELETE FROM changes WHERE series = ? AND (run < ? OR (run = ? AND NOT held))",
            (series, base, base),
        )
