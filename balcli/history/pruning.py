"""Delete old runs: the file shrinks, and every run that remains reads as before."""

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from balcli.history.database import connect, execute_with_retry, to_milliseconds, write_transaction

if TYPE_CHECKING:
    from balcli.history.database import Connection


def prune(path: Path, profiles: Iterable[str | None], before: datetime) -> int:
    """Delete these profiles' runs from before a time and free their space. Returns how many there were.

    Deletes all of them or none. Raises StateError.
    """
    with connect(path) as connection:
        with write_transaction(connection):
            gone = sum(_remove(connection, each, to_milliseconds(before)) for each in profiles)
        if gone:
            execute_with_retry(connection, "VACUUM")
    return gone


def _remove(connection: "Connection", profile: str | None, before: int) -> int:
    gone = connection.execute("DELETE FROM runs WHERE profile IS ? AND at < ?", (profile, before)).rowcount
    if not gone:
        return 0
    connection.execute("DELETE FROM asked WHERE run NOT IN (SELECT id FROM runs)")
    (first,) = connection.execute("SELECT min(id) FROM runs WHERE profile IS ?", (profile,)).fetchone()
    series = connection.execute(
        "SELECT s.id FROM series s JOIN accounts a ON a.id = s.account WHERE a.profile IS ?", (profile,)
    ).fetchall()
    for (number,) in series:
        _forget(connection, number, first)
    connection.execute("DELETE FROM series WHERE id NOT IN (SELECT series FROM changes)")
    connection.execute(
        "DELETE FROM accounts WHERE id NOT IN (SELECT account FROM asked UNION SELECT account FROM series)"
    )
    connection.execute(
        "DELETE FROM texts WHERE id NOT IN (SELECT rest FROM changes WHERE rest IS NOT NULL"
        " UNION SELECT notices FROM runs WHERE notices IS NOT NULL"
        " UNION SELECT failure FROM asked WHERE failure IS NOT NULL)"
    )
    return gone


def _forget(connection: "Connection", series: int, first: int | None) -> None:
    """Delete the changes of a series that no run needs; `first` is the oldest run that remains, None without any."""
    if first is None:
        connection.execute("DELETE FROM changes WHERE series = ?", (series,))
        return
    # The last change up to the first run is what that run shows: it stays, unless it says that the row is gone.
    (base,) = connection.execute(
        "SELECT max(run) FROM changes WHERE series = ? AND run <= ?", (series, first)
    ).fetchone()
    if base is not None:
        connection.execute(
            "DELETE FROM changes WHERE series = ? AND (run < ? OR (run = ? AND NOT held))",
            (series, base, base),
        )
