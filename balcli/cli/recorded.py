"""Find runs for the command line: recorded ones by id, `last`, time or date, and files of `-o json`."""

import os
import shlex
import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from balcli.cli import times
from balcli.errors import StateError, UsageError
from balcli.files import shown
from balcli.render.layout import local_iso
from balcli.text import did_you_mean, printable

if TYPE_CHECKING:
    from balcli.history.reading import RecordedRun, RunSummary
    from balcli.models import Report

LAST: Final = "last"
_STDIN: Final = "-"
_MOST_BYTES: Final = 128 * 1024 * 1024


class Recorded(NamedTuple):
    """A history, with the selection of its runs."""

    file: Path
    profile: str | None
    """The named profile; None for the only one."""
    command: str
    """The command to list these runs."""
    complete: bool = False
    """Whether to select only complete runs."""
    full: bool = False
    """Whether to prefer runs with all accounts and assets, except for ids."""


def open_recorded(
    history: Path | None, profile: str | None, *, sandbox: bool, complete: bool = False, full: bool = False
) -> Recorded:
    """The history for these options. Raises StateError if its path is not absolute."""
    from balcli.history.database import history_file

    words = ["balcli", "history", *(["--sandbox"] if sandbox and history is None else [])]
    words += [] if history is None else ["--history", shown(history)]
    file = history_file(history, os.environ, sandbox=sandbox)
    return Recorded(file, profile, shlex.join(words), complete, full)


def find_run(recorded: Recorded, word: str) -> "RecordedRun":
    """Find the run that an argument names. Raises UsageError if it does not exist, or StateError."""
    if word.isascii() and word.isdigit() and len(word) <= 15:
        return _by_id(recorded, int(word))
    label = f"run {printable(word, 40)}"
    day = None if word == LAST else times.parse_day(word, label)
    if day is not None:
        return _of_day(recorded, word, *day)
    until = None if word == LAST else times.parse_time(word, label)
    runs = newest_runs(recorded, 1, until=until)
    if not runs:
        when = "" if until is None else f" at or before {local_iso(until)}"
        raise UsageError(f"no {kind_of(recorded)}{when}; {recorded.command} lists the runs")
    return read_run(recorded, runs[0].id)


def newest_runs(
    recorded: Recorded, limit: int, since: datetime | None = None, until: datetime | None = None
) -> "tuple[RunSummary, ...]":
    """The newest selected runs, oldest first. Raises UsageError if the profile is ambiguous."""
    from balcli.history.reading import runs

    if not recorded.file.exists():
        return ()
    _check_profile(recorded)
    # If every run was limited to certain accounts or assets, use those runs.
    full = recorded.full and bool(runs(recorded.file, recorded.profile, full=True, limit=1))
    return runs(
        recorded.file,
        recorded.profile,
        since=since,
        until=until,
        complete=recorded.complete,
        full=full,
        limit=limit,
    )


def read_run(recorded: Recorded, number: int) -> "RecordedRun":
    """Read a run that existed before. Raises StateError if it was deleted."""
    from balcli.history.reading import run

    found = run(recorded.file, number)
    if found is None:
        raise StateError(f"run {number} was deleted in the meantime; try again")
    return found


def kind_of(recorded: Recorded, noun: str = "recorded run") -> str:
    """The selection of runs, for messages."""
    words = ["complete"] if recorded.complete else []
    of = "" if recorded.profile is None else f" of profile {printable(recorded.profile, 40)}"
    return " ".join([*words, f"{noun}{of}"])


def profile_text(profile: str | None) -> str:
    """A run's profile, for messages."""
    return "without a profile" if profile is None else f"of profile {printable(profile, 40)}"


def is_file(word: str) -> bool:
    """Whether an argument is a file, not a recorded run."""
    return word == _STDIN or "/" in word or word.endswith(".json")


def is_one_file(one: str, other: str) -> bool:
    """Whether two arguments name the same file."""
    if not (is_file(one) and is_file(other)):
        return False
    try:
        return one == other or Path(one).samefile(other)
    except OSError:
        return False


def file_label(word: str) -> str:
    """The name of a file in messages."""
    return "stdin" if word == _STDIN else shown(Path(word))


def read_document(recorded: Recorded, word: str) -> "Report":
    """Read a report from the document in a file. Raises UsageError."""
    from balcli import document

    label, cure = file_label(word), f"use a file of -o json, or a run from {recorded.command}"
    try:
        if word == _STDIN:
            data = b"" if sys.stdin is None else sys.stdin.buffer.read(_MOST_BYTES + 1)
        else:
            with Path(word).open("rb") as file:
                data = file.read(_MOST_BYTES + 1)
    except (OSError, ValueError) as problem:
        reason = getattr(problem, "strerror", None) or "not a path"
        raise UsageError(f"{label} cannot be read: {reason}; {cure}") from None
    if len(data) > _MOST_BYTES:
        raise UsageError(f"{label} is too large to be balcli output; {cure}")
    try:
        return document.parse(data)
    except document.DocumentError as problem:
        raise UsageError(f"{label} is not output of balcli -o json: {problem}; {cure}") from None


def _by_id(recorded: Recorded, number: int) -> "RecordedRun":
    from balcli.history.reading import run

    found = run(recorded.file, number) if recorded.file.exists() else None
    if found is None:
        raise UsageError(
            f"run {number} does not exist in {shown(recorded.file)}; {recorded.command} lists the runs"
        )
    profile = found.report.profile
    if recorded.profile is not None and profile != recorded.profile:
        raise UsageError(
            f"run {number} is {profile_text(profile)}, not {printable(recorded.profile, 40)}; "
            f"{recorded.command} lists the runs"
        )
    return found


def _of_day(recorded: Recorded, word: str, begin: datetime, end: datetime) -> "RecordedRun":
    """The last complete run of a day, preferably one with all accounts and assets."""
    from balcli.history.reading import nearest

    for full in (True, recorded.full):
        runs = newest_runs(recorded._replace(complete=True, full=full), 1, begin, end)
        if runs:
            return read_run(recorded, runs[0].id)
    near = nearest(recorded.file, recorded.profile, begin, end) if recorded.file.exists() else (None, None)
    days = " and ".join(local_iso(at)[:10] for at in near if at is not None)
    others = f"; the nearest are on {days}" if days else ""
    raise UsageError(
        f"no {kind_of(recorded._replace(complete=True))} on {word}{others}; {recorded.command} lists the runs"
    )


def _check_profile(recorded: Recorded) -> None:
    """Raise UsageError for a profile without runs, or if none is named and there are several."""
    from balcli.history.reading import profiles

    found = profiles(recorded.file)
    names = [name for name in found if name is not None]
    if recorded.profile is None and len(found) > 1:
        raise UsageError(
            f"the history has runs {' and '.join(map(profile_text, found))}; choose one with --profile, or a run by its id ({recorded.command} lists the runs)"
        )
    if recorded.profile is not None and recorded.profile not in found and found:
        raise UsageError(
            f"no recorded run has profile {printable(recorded.profile, 40)}; {did_you_mean(recorded.profile, names)}; "
            f"{recorded.command} lists the runs"
        )
