"""The state folder, and the lock that allows one run of a profile at a time to write there."""

import os
import re
import stat
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from urllib.parse import quote

from balcli.errors import LockHeld, StateError
from balcli.files import base_folder, make_folders, permission_problem, shown, try_lock
from balcli.text import printable

_HOLDER: Final = re.compile(rb"([0-9]{1,10}) ([0-9TZ:-]{1,30})\n")
_POLL_SECONDS: Final = 0.05
_LONGEST_NAME: Final = 120


def folder(environ: Mapping[str, str]) -> Path:
    """The user's state folder, in `$XDG_STATE_HOME` or `~/.local/state`. Raises StateError if it is not absolute."""
    base = base_folder(environ, "XDG_STATE_HOME", ".local/state")
    if base is None:
        raise StateError(
            "no folder for the history and its lock: HOME or XDG_STATE_HOME is not an absolute path; set it"
        )
    return base / "balcli"


@contextmanager
def lock(profile: str | None, environ: Mapping[str, str], *, wait: float = 0) -> Iterator[None]:
    """Hold the profile's lock during the context. The end of the process always releases it.

    Waits for it for `wait` seconds. Raises LockHeld after that, and StateError if locking fails.
    """
    file = folder(environ) / f"{_name(profile)}.lock"
    try:
        make_folders(file.parent)
        flaw = permission_problem(file.parent.stat(), file.parent)
        if flaw is not None:
            raise StateError(f"{shown(file.parent)} {flaw}")
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
        # O_NONBLOCK: do not wait if the file is a FIFO.
        descriptor = os.open(file, flags | getattr(os, "O_NONBLOCK", 0), 0o600)
    except OSError as problem:
        raise StateError(
            f"{shown(file)} cannot be written: {problem.strerror}; make its folder writable, or set XDG_STATE_HOME"
        ) from None
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise StateError(f"the lock {shown(file)} is not a regular file; remove it")
        _acquire(descriptor, file, profile, wait)
        yield
    finally:
        os.close(descriptor)  # releases the lock; the file stays, so that no process locks a deleted one


def _name(profile: str | None) -> str:
    """The lock's file name, different for each profile."""
    if profile is None:
        return "(environment)"
    name = quote(profile, safe=" ")
    if len(name) <= _LONGEST_NAME:
        return name
    from hashlib import sha256  # imported here, because few names are that long

    return f"({sha256(profile.encode()).hexdigest()[:32]})"


def _acquire(descriptor: int, file: Path, profile: str | None, seconds: float) -> None:
    """Lock the file within `seconds`, and write the process and time to it."""
    end = time.monotonic() + seconds
    while not (locked := try_lock(descriptor)):
        if locked is None:
            raise StateError(
                f"{shown(file)} cannot be locked on this system; set XDG_STATE_HOME to a folder on a local disk"
            )
        if time.monotonic() >= end:
            raise LockHeld(_held_by(descriptor, profile))
        time.sleep(min(_POLL_SECONDS, max(end - time.monotonic(), 0)))
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()} {datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}\n".encode(), 0)
    except OSError:
        return  # for example, the disk is full: the lock works, but does not name its process


def _held_by(descriptor: int, profile: str | None) -> str:
    found = _HOLDER.fullmatch(os.pread(descriptor, 64, 0))
    about = f" (process {found[1].decode()}, since {found[2].decode()})" if found else ""
    of = "without a profile" if profile is None else f"of profile {printable(profile, 40)}"
    return f"another run{about} holds the lock {of}; try again later, or wait for it with --wait S"
