"""The SQLite file of the history: schema, connections and transactions. Its errors are raised as StateError.

A balance is stored if it differs from the account's last recorded response, or if it is no longer listed.
A run then shows, for each account that answered, the latest change of each series up to that run. The rest
of a row mostly repeats: it is stored once, with numbers in place of the texts that change, mostly amounts.

It uses SQLite's rollback journal and not WAL. So the history is a single file, which can be copied, works on
any file system, and can be read in a read-only folder.
"""

import os
import stat
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from balcli import state
from balcli.errors import StateError
from balcli.files import is_relative_to_nothing, make_folders, nowhere, shown

if TYPE_CHECKING:
    from sqlite3 import Connection as Connection  # noqa: PLC0414 - other modules import it from here

    from balcli.http.timing import Deadline

_APPLICATION: Final = 0x62616C63
"""SQLite's application id of a history: "balc"."""
_WAIT_SECONDS: Final = 5.0
_STEPS: Final = 20_000
"""SQLite's steps between two checks of the deadline, a few milliseconds."""
_POLL_SECONDS: Final = 0.02
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

_deadline: Final[ContextVar["Deadline | None"]] = ContextVar("_deadline", default=None)

_MIGRATIONS: Final = (
    """
    -- JSON in ASCII, each text once, found by its digest (CRC-32)
    CREATE TABLE texts (id INTEGER PRIMARY KEY, digest INTEGER NOT NULL, text TEXT NOT NULL);
    CREATE INDEX texts_by_digest ON texts (digest);
    CREATE TABLE runs (
        id INTEGER PRIMARY KEY AUTOINCREMENT, -- never reused, even after pruning
        at INTEGER NOT NULL, -- milliseconds since 1970, like all times
        profile TEXT,
        complete INTEGER NOT NULL,
        selection TEXT,
        notices INTEGER REFERENCES texts
    );
    CREATE TABLE accounts (
        id INTEGER PRIMARY KEY,
        profile TEXT,
        name TEXT, -- NULL for the totals of the accounts in the target
        provider TEXT,
        target TEXT NOT NULL
    );
    CREATE TABLE asked (
        run INTEGER NOT NULL REFERENCES runs,
        place INTEGER NOT NULL, -- in the run's order; 0 is the totals, -1 the accounts' settings
        account INTEGER NOT NULL REFERENCES accounts,
        fetched_at INTEGER,
        failure INTEGER REFERENCES texts,
        PRIMARY KEY (run, place)
    ) WITHOUT ROWID;
    CREATE TABLE series (
        id INTEGER PRIMARY KEY,
        account INTEGER NOT NULL REFERENCES accounts,
        asset TEXT NOT NULL,
        asset_id TEXT,
        kind TEXT,
        merchant TEXT,
        nth INTEGER NOT NULL
    );
    CREATE INDEX series_by_account ON series (account);
    CREATE TABLE changes (
        series INTEGER NOT NULL REFERENCES series,
        run INTEGER NOT NULL, -- the first with these values; it may have been pruned
        held INTEGER NOT NULL, -- 0 if the row is no longer listed
        total TEXT, -- amounts in canonical form
        available TEXT,
        locked TEXT,
        counted INTEGER,
        place INTEGER,
        rest INTEGER REFERENCES texts, -- everything else, with numbers for texts: 0 to 2 are the amounts
        texts TEXT, -- the list of texts from number 3 on
        PRIMARY KEY (series, run)
    ) WITHOUT ROWID;
    """,
)
"""The migrations from each version to the next; `PRAGMA user_version` counts them."""


def history_file(named: Path | None, environ: Mapping[str, str], *, sandbox: bool) -> Path:
    """The named history, or the user's own, or that of the sandbox's runs.

    Raises StateError if the home or working directory is not usable.
    """
    if named is not None and is_relative_to_nothing(named):
        raise StateError(nowhere(named))
    return named or state.folder(environ) / ("sandbox.db" if sandbox else "history.db")


def to_milliseconds(moment: datetime) -> int:
    """A time in stored form: milliseconds since 1970."""
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def from_milliseconds(stored: int) -> datetime:
    """The time of stored milliseconds. Raises OverflowError if it is out of range."""
    return _EPOCH + timedelta(milliseconds=stored)


@contextmanager
def within(deadline: "Deadline") -> Iterator[None]:
    """Limit the use of the history in this context to a deadline. Otherwise it waits up to five seconds for a lock."""
    token = _deadline.set(deadline)
    try:
        yield
    finally:
        _deadline.reset(token)


@contextmanager
def connect(path: Path, *, create: bool = False) -> Iterator["Connection"]:
    """A connection to the history. With `create`, a missing file is created with mode 0600.

    Raises StateError for any problem with the file or the disk, including while the connection is in use.
    """
    try:
        import sqlite3  # imported here, because most runs are not recorded
    except ImportError:
        raise StateError(
            "this Python has no sqlite3 module, which the history needs; install a Python with sqlite3"
        ) from None
    try:
        if create:
            make_folders(path.parent)
            # Only a new file is opened: closing a file releases this process's locks on it.
            with suppress(FileExistsError):
                os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        if not stat.S_ISREG(path.stat().st_mode):
            raise StateError(
                f"the history {shown(path)} is not a regular file; use another file with --history"
            )
        # SQLite itself must not wait for locks, because signals would wait too.
        uri = f"{path.absolute().as_uri()}?mode=rw"
        connection = sqlite3.connect(uri, uri=True, timeout=0, isolation_level=None)
    except OSError as problem:
        raise StateError(
            f"the history {shown(path)} cannot be opened: {problem.strerror}; check its folder, or use another file "
            "with --history"
        ) from None
    except sqlite3.Error as problem:
        raise _unusable(path, problem) from None
    try:
        deadline = _deadline.get()
        if deadline is not None:
            connection.set_progress_handler(lambda: deadline.left() <= 0, _STEPS)
        # These also read the file.
        execute_with_retry(connection, "PRAGMA synchronous = FULL")
        execute_with_retry(connection, "PRAGMA fullfsync = 1")
        with read_transaction(connection):
            version = _version(connection, path)
        if version < len(_MIGRATIONS):
            _migrate(connection)
        yield connection
    except sqlite3.DatabaseError as problem:
        raise _unusable(path, problem) from None
    finally:
        connection.close()


@contextmanager
def read_transaction(connection: "Connection") -> Iterator[None]:
    """A transaction whose reads all see the same state of the file."""
    execute_with_retry(connection, "BEGIN")
    try:
        # BEGIN takes no lock: the first read does.
        execute_with_retry(connection, "SELECT count(*) FROM sqlite_master")
        yield
    finally:
        connection.execute("ROLLBACK")


@contextmanager
def write_transaction(connection: "Connection") -> Iterator[None]:
    """An exclusive transaction: committed at the end, or rolled back on any exception."""
    execute_with_retry(connection, "BEGIN EXCLUSIVE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        # After some errors, SQLite has already rolled back.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def execute_with_retry(connection: "Connection", statement: str) -> None:
    """Execute a statement. While the database is locked, retry for five seconds or until the run's deadline."""
    import sqlite3

    deadline = _deadline.get()
    wait = _WAIT_SECONDS if deadline is None else min(_WAIT_SECONDS, deadline.left())
    end = time.monotonic() + wait
    while True:
        try:
            connection.execute(statement).fetchall()
        except sqlite3.OperationalError as problem:
            if problem.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() >= end:
                raise
            time.sleep(_POLL_SECONDS)
        else:
            return


def _version(connection: "Connection", path: Path) -> int:
    """The schema version; 0 for an empty file. Raises StateError for a database of another program or newer balcli."""
    version, application, entries = (
        int(connection.execute(query).fetchone()[0])
        for query in ("PRAGMA user_version", "PRAGMA application_id", "SELECT count(*) FROM sqlite_master")
    )
    if (version or entries) and application != _APPLICATION:
        raise StateError(f"{shown(path)} is another program's database; use another file with --history")
    if version > len(_MIGRATIONS):
        raise StateError(
            f"the history {shown(path)} was written by a newer balcli (schema {version}, this version supports "
            f"{len(_MIGRATIONS)}); update balcli"
        )
    return version


def _migrate(connection: "Connection") -> None:
    with write_transaction(connection):
        # Another run may have migrated it by now.
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        for step in _MIGRATIONS[version:]:
            for statement in _statements(step):
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {len(_MIGRATIONS)}")
        connection.execute(f"PRAGMA application_id = {_APPLICATION}")


def _statements(script: str) -> list[str]:
    """The statements of a script. Every semicolon at the end of a line ends a statement."""
    return [each for each in script.split(";\n") if each.strip()]


def _unusable(path: Path, problem: Exception) -> StateError:
    """The StateError for an SQLite error."""
    import sqlite3

    messages = {
        sqlite3.SQLITE_BUSY: "is locked by another program; wait for it to finish",
        sqlite3.SQLITE_INTERRUPT: "took longer than the deadline; raise --deadline",
        sqlite3.SQLITE_NOTADB: "is damaged, or not a history; move it away, or use another file with --history",
        sqlite3.SQLITE_CORRUPT: "is damaged; restore a backup, or move the file away",
        sqlite3.SQLITE_FULL: "cannot grow, because the disk is full; free some space",
        sqlite3.SQLITE_READONLY: "is read-only; make it and its folder writable, or use another file with --history",
        sqlite3.SQLITE_CANTOPEN: "cannot be opened; check the file and its folder",
    }
    otherwise = f"cannot be used: {problem}; check the file and its disk"
    return StateError(
        f"the history {shown(path)} {messages.get(getattr(problem, 'sqlite_errorcode', 0) & 0xFF, otherwise)}"
    )
