"""The history's file: its schema, and opening it so that whatever is wrong with it is said in one line.

A balance is stored when it differs from what the account's last recorded answer said, or is no longer in
it. What a run showed is then, for each account that answered in it, the latest change of each series up
to that run. What a row says beside its amounts mostly repeats: it is stored once, with holes where texts
change, and most of those are the amounts again.

The journal is SQLite's rollback journal and not WAL: at rest the history is one file, which can be copied,
stands on any file system, and can be read where nothing may be written.
"""

import os
import stat
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from balcli import state
from balcli.errors import StateError
from balcli.files import make_folders, shown

if TYPE_CHECKING:
    from sqlite3 import Connection as Connection  # noqa: PLC0414 - the other modules have it from here

_APPLICATION: Final = 0x62616C63
"""By which a file is known to be a history: "balc"."""
_WAIT_SECONDS: Final = 5.0
_POLL_SECONDS: Final = 0.02
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

_MIGRATIONS: Final = (
    """
    -- JSON in ASCII, each text once; the digest, CRC-32, finds it again
    CREATE TABLE texts (id INTEGER PRIMARY KEY, digest INTEGER NOT NULL, text TEXT NOT NULL);
    CREATE INDEX texts_by_digest ON texts (digest);
    CREATE TABLE runs (
        id INTEGER PRIMARY KEY AUTOINCREMENT, -- never the same twice, also after pruning
        at INTEGER NOT NULL, -- milliseconds since 1970, as all times
        profile TEXT,
        complete INTEGER NOT NULL,
        selection TEXT,
        notices INTEGER REFERENCES texts
    );
    CREATE TABLE accounts (
        id INTEGER PRIMARY KEY,
        profile TEXT,
        name TEXT, -- without one: the totals over the accounts that the target lists
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
        run INTEGER NOT NULL, -- the first that says so; it may have been pruned
        held INTEGER NOT NULL, -- 0 where the row is no longer listed
        total TEXT, -- amounts in canonical form
        available TEXT,
        locked TEXT,
        counted INTEGER,
        place INTEGER,
        rest INTEGER REFERENCES texts, -- what else there is, with numbers for texts: 0 to 2 are the amounts
        texts TEXT, -- a list of the texts from 3 on
        PRIMARY KEY (series, run)
    ) WITHOUT ROWID;
    """,
)
"""What makes a history of each version out of the one before; `PRAGMA user_version` counts them."""


def history_file(named: Path | None, environ: Mapping[str, str]) -> Path:
    """The history that is named, or the user's own. Raises StateError where the home directory is no fixed place."""
    return named or state.folder(environ) / "history.db"


def milliseconds(moment: datetime) -> int:
    """The number by which a time is stored."""
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def moment(stored: int) -> datetime:
    """The time that a stored number stands for. Raises OverflowError for one beyond the calendar."""
    return _EPOCH + timedelta(milliseconds=stored)


@contextmanager
def opened(path: Path, *, create: bool = False) -> Iterator["Connection"]:
    """A connection to the history, made (the user's alone) where there is none and that is wanted.

    Raises StateError for whatever is wrong with the file or the disk, also while the connection is used.
    """
    try:
        import sqlite3  # here alone: most runs keep nothing
    except ImportError:
        raise StateError(
            "this Python is built without sqlite3; install one with it to have a history"
        ) from None
    try:
        if create:
            make_folders(path.parent)
            # Only one that is not there: to close a file gives up the locks that this process has on it.
            with suppress(FileExistsError):
                os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        if not stat.S_ISREG(path.stat().st_mode):
            raise StateError(f"the history {shown(path)} is no regular file; name another with --history")
        # No waiting inside SQLite: a signal would have to wait, too.
        uri = f"{path.absolute().as_uri()}?mode=rw"
        connection = sqlite3.connect(uri, uri=True, timeout=0, isolation_level=None)
    except OSError as problem:
        raise StateError(
            f"the history {shown(path)} cannot be opened: {problem.strerror}; check its folder, or name another "
            "with --history"
        ) from None
    except sqlite3.Error as problem:
        raise _unusable(path, problem) from None
    try:
        # Even these read the file.
        insist(connection, "PRAGMA synchronous = FULL")
        insist(connection, "PRAGMA fullfsync = 1")
        with reading(connection):
            version = _version(connection, path)
        if version < len(_MIGRATIONS):
            _migrate(connection)
        yield connection
    except sqlite3.DatabaseError as problem:
        raise _unusable(path, problem) from None
    finally:
        connection.close()


@contextmanager
def reading(connection: "Connection") -> Iterator[None]:
    """A transaction in which everything read is of one moment."""
    insist(connection, "BEGIN")
    try:
        # Only this makes it begin in earnest.
        insist(connection, "SELECT count(*) FROM sqlite_master")
        yield
    finally:
        connection.execute("ROLLBACK")


@contextmanager
def writing(connection: "Connection") -> Iterator[None]:
    """A transaction in which nobody else reads or writes: all of it is kept, or nothing."""
    insist(connection, "BEGIN EXCLUSIVE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        # SQLite has rolled back itself after some errors.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def insist(connection: "Connection", statement: str) -> None:
    """Execute a statement as soon as others let it, within five seconds."""
    import sqlite3

    end = time.monotonic() + _WAIT_SECONDS
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
    """The version of the schema, 0 for an empty file. Raises StateError where the file is not ours to use."""
    version, application, entries = (
        int(connection.execute(query).fetchone()[0])
        for query in ("PRAGMA user_version", "PRAGMA application_id", "SELECT count(*) FROM sqlite_master")
    )
    if (version or entries) and application != _APPLICATION:
        raise StateError(f"{shown(path)} is another program's database; name another file with --history")
    if version > len(_MIGRATIONS):
        raise StateError(
            f"the history {shown(path)} is of a newer balcli (schema {version}, this one knows {len(_MIGRATIONS)}); "
            "update balcli"
        )
    return version


def _migrate(connection: "Connection") -> None:
    with writing(connection):
        # Another run may have been faster.
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        for step in _MIGRATIONS[version:]:
            for statement in _statements(step):
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {len(_MIGRATIONS)}")
        connection.execute(f"PRAGMA application_id = {_APPLICATION}")


def _statements(script: str) -> list[str]:
    """A script's statements; no semicolon stands inside one."""
    return [each for each in script.split(";\n") if each.strip()]


def _unusable(path: Path, problem: Exception) -> StateError:
    """The error that one of SQLite stands for."""
    import sqlite3

    said = {
        sqlite3.SQLITE_BUSY: "is locked by another program; let that end",
        sqlite3.SQLITE_NOTADB: "is no history, or damaged; move it away, or name another with --history",
        sqlite3.SQLITE_CORRUPT: "is damaged; move it away, or put a copy of it back",
        sqlite3.SQLITE_FULL: "cannot grow: the disk is full; make room",
        sqlite3.SQLITE_READONLY: "cannot be written; let it and its folder be written, or name another with --history",
        sqlite3.SQLITE_CANTOPEN: "cannot be opened; check that it is a file, and its folder",
    }
    otherwise = f"cannot be used: {problem}; check it, and the disk that it is on"
    return StateError(
        f"the history {shown(path)} {said.get(getattr(problem, 'sqlite_errorcode', 0) & 0xFF, otherwise)}"
    )
