"""Runs killed at random times: their files have the complete old or new state, and no temporary files remain."""

import argparse
import json
import os
import random
import re
import signal
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeAlias

from balcli import atomic, state
from balcli.cli import app
from balcli.errors import StateError
from balcli.files import try_lock
from balcli.history.database import connect
from balcli.history.reading import run, runs
from balcli.history.recording import record
from balcli.models import Account, Balance, Holdings, Outcome, Report
from balcli.money import Amount
from balcli.report import build

LEFT: Final = re.compile(r"\..*\.balcli")

Start: TypeAlias = Callable[[], int]
"""Starts a run as a separate process. Returns its id."""


class Subject(NamedTuple):
    """A kind of run to kill, and the check of its files."""

    start: Start
    sound: Callable[[], str]
    """Describes what is wrong with the files; "" if nothing."""
    folder: Path
    most_left: int = 1
    """The number of temporary files that a killed run may leave."""


def main(argv: Sequence[str]) -> int:
    """Kill that many runs and print what they left. Returns 1 if anything was incomplete."""
    parser = argparse.ArgumentParser(prog="python -m tests.proof kills", description=__doc__)
    parser.add_argument("--what", choices=("output", "record"), default="output", help="what the runs write")
    parser.add_argument("--count", type=int, help="so many kills; 1000 of output, 500 of record by default")
    parser.add_argument("--seed", type=int, default=None)
    given = parser.parse_args(argv)
    seed = given.seed if given.seed is not None else random.randrange(2**32)
    chance = random.Random(seed)
    of, usual, about = _KINDS[given.what]
    count = given.count if given.count is not None else usual
    print(f"kills: {count} runs that {about}, seed {seed}", flush=True)
    wrong = 0
    with tempfile.TemporaryDirectory() as home:
        os.environ["HOME"] = home
        os.environ.pop("XDG_STATE_HOME", None)
        for name, subject, number, how in of(Path(home), count):
            wrong += _kill(name, subject, number, how, chance)
    print(f"not whole or left behind: {wrong}")
    return 1 if wrong else 0


def _of_output(home: Path, count: int) -> list[tuple[str, Subject, int, signal.Signals]]:
    """The kinds of runs that write an output file, with their shares of the kills."""
    few = max(count // 10, 1)
    return [
        ("writing a megabyte, SIGKILL", _megabyte(home / "writing"), count - 5 * few, signal.SIGKILL),
        ("writing a megabyte, SIGTERM", _megabyte(home / "ending"), few, signal.SIGTERM),
        ("writing three files, SIGKILL", _several(home / "several"), few, signal.SIGKILL),
        ("writing three files, SIGTERM", _several(home / "all"), few, signal.SIGTERM),
        ("whole command line, forked, SIGKILL", _command(home / "forked", _warm), few, signal.SIGKILL),
        ("balcli as a program, SIGKILL", _command(home / "program", _program), few, signal.SIGKILL),
    ]


def _of_record(home: Path, count: int) -> list[tuple[str, Subject, int, signal.Signals]]:
    """The kinds of runs that write the history, with their shares of the kills."""
    few = max(count // 5, 1)
    return [
        ("recording 300 balances, SIGKILL", _recording(home / "recording"), count - 3 * few, signal.SIGKILL),
        ("recording 300 balances, SIGTERM", _recording(home / "ending"), few, signal.SIGTERM),
        ("whole command line, forked, SIGKILL", _recorded(home / "forked", _warm), few, signal.SIGKILL),
        ("balcli as a program, SIGKILL", _recorded(home / "program", _program), few, signal.SIGKILL),
    ]


_KINDS: Final = {
    "output": (_of_output, 1000, "write a file"),
    "record": (_of_record, 500, "record themselves in a history"),
}


def _kill(name: str, subject: Subject, number: int, how: signal.Signals, chance: random.Random) -> int:
    """Kill that many runs before their end, print the figures, and count the failures."""
    spans = [_span(subject) for _ in range(5)]
    span = statistics.median(spans)
    ended: Counter[str] = Counter()
    faults: Counter[str] = Counter()
    most_left = 0
    while ended["killed"] < number:
        process = subject.start()
        # Half of the kills in the second half, where files are written.
        time.sleep(chance.uniform(span * chance.choice((0, 0.5)), span))
        _send(process, how)
        _, status = os.waitpid(process, 0)
        ended["killed" if os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 143 else "had ended"] += 1
        left = _left(subject.folder)
        most_left = max(most_left, left)
        if left > (subject.most_left if how is signal.SIGKILL else 0):
            faults["litter"] += 1
        if fault := subject.sound():
            faults[fault] += 1
    _span(subject)  # one more run that is not killed and cleans up
    if _left(subject.folder):
        faults["litter at the end"] += 1
    told = ", ".join(f"{times} {what}" for what, times in (ended + faults).items())
    print(
        f"  {name}: runs of {span * 1000:.0f} ms, {told}; left beside it at most {most_left}",
        flush=True,
    )
    return faults.total()


def _span(subject: Subject) -> float:
    """The seconds of a run that is not killed."""
    start = time.monotonic()
    _, status = os.waitpid(subject.start(), 0)
    if status:
        raise SystemExit(f"a run that nobody killed ended with {status}")
    return time.monotonic() - start


def _send(process: int, how: signal.Signals) -> None:
    try:
        os.kill(process, how)
    except ProcessLookupError:
        return


def _left(folder: Path) -> int:
    return sum(1 for path in folder.iterdir() if LEFT.fullmatch(path.name))


def _forked(work: Callable[[], int]) -> int:
    """The id of a child of this process that does the work; this process has no threads."""
    process = os.fork()
    if process:
        return process
    code = 1
    try:
        null = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(null, stream)
        code = work()
    except SystemExit as ending:
        code = ending.code if isinstance(ending.code, int) else 1
    finally:
        os._exit(code)


def _megabyte(folder: Path) -> Subject:
    """A child that only writes, each with different content."""
    folder.mkdir()
    file = folder / "out"
    contents = [b""]

    def write() -> int:
        signal.signal(signal.SIGTERM, app._terminate)
        atomic.replace(file, contents[-1])
        return 0

    def start() -> int:
        contents[:] = [file.read_bytes() if file.exists() else b"", os.urandom(64) * 16384]
        return _forked(write)

    def sound() -> str:
        return "" if not file.exists() or file.read_bytes() in contents else "a torn file"

    return Subject(start, sound, folder)


def _several(folder: Path) -> Subject:
    """A child that writes three files. After a signal that can be handled, all must be new or all old."""
    folder.mkdir()
    files = [folder / name for name in ("a", "b", "c")]
    contents = [b""] * 2

    def write() -> int:
        signal.signal(signal.SIGTERM, app._terminate)
        atomic.replace_all((file, (contents[-1],)) for file in files)
        return 0

    def start() -> int:
        contents[:] = [contents[-1], os.urandom(64) * 16384]
        for file in files:
            file.write_bytes(contents[0])
        return _forked(write)

    def sound() -> str:
        found = [file.read_bytes() for file in files]
        if not set(contents).issuperset(found):
            return "a torn file"
        return "some files without the others" if folder.name == "all" and len({*found}) > 1 else ""

    return Subject(start, sound, folder, most_left=3)


def _warm(arguments: Sequence[str]) -> int:
    """A run in a child with all modules already imported."""
    for module in ("balcli.sandbox", "balcli.http.transport", "balcli.config.profile", "balcli.render.json"):
        import_module(module)
    return _forked(lambda: app.run(list(arguments)))


def _program(arguments: Sequence[str]) -> int:
    """A run started like a user does."""
    return _forked(lambda: os.execv(sys.executable, [sys.executable, "-m", "balcli", *arguments]))  # noqa: S606


def _command(folder: Path, begin: Callable[[Sequence[str]], int]) -> Subject:
    """A complete run against the sandbox that writes its document to a file."""
    folder.mkdir()
    file = folder / "out.json"
    arguments = ["all", "--sandbox", "-q", "-o", "json", "-O", str(file)]

    def sound() -> str:
        if not file.exists():
            return ""
        try:
            document: Any = json.loads(file.read_text())
        except ValueError:
            return "a torn document"
        whole = document["complete"] and len(document["balances"]) == 12
        return "" if whole and file.stat().st_mode & 0o777 == 0o600 else "another document"

    return Subject(lambda: begin(arguments), sound, folder)


def _report(random_units: Callable[[], int]) -> Report:
    """A run of ten accounts with 30 balances each, with different amounts in each run."""
    now = datetime.now(UTC)
    outcomes = []
    for number in range(10):
        name = f"account{number}"
        amounts = [Amount(random_units(), 18) for _ in range(30)]
        balances = tuple(
            Balance(
                name,
                "wallet",
                f"A{place:02}",
                None,
                amount,
                amount,
                amount,
                {"hold": amount},
                {"hold": str(amount)},
            )
            for place, amount in enumerate(amounts)
        )
        account: Account[object] = Account(name, "wallet", "", {"wallet_id": name}, (), None)
        outcomes.append(Outcome(account, Holdings(balances), now, None))
    return build("main", outcomes)


def _recording(folder: Path) -> Subject:
    """A child that only holds the lock and records."""
    folder.mkdir()
    file = folder / "history.db"

    def work() -> int:
        signal.signal(signal.SIGTERM, app._terminate)
        with state.lock("main", os.environ):
            record(file, _report(lambda: random.getrandbits(80)))
        return 0

    return Subject(lambda: _forked(work), lambda: _unsound(file, "main", 300), folder)


def _recorded(folder: Path, begin: Callable[[Sequence[str]], int]) -> Subject:
    """A complete run against the sandbox with `--record`."""
    folder.mkdir()
    file = folder / "history.db"
    arguments = ["all", "--sandbox", "-q", "--record", "--history", str(file)]
    return Subject(lambda: begin(arguments), lambda: _unsound(file, "sandbox", 12), folder)


def _unsound(file: Path, profile: str, balances: int) -> str:
    """Describes what is wrong with a history and its lock."""
    locks = state.folder(os.environ) / f"{profile}.lock"
    if locks.exists():
        with locks.open() as stream:
            if not try_lock(stream.fileno()):
                return "the lock is still held"
    if not file.exists():
        return ""
    try:
        with connect(file) as connection:
            if connection.execute("PRAGMA integrity_check").fetchall() != [("ok",)]:
                return "a damaged history"
        newest = [run(file, each.id) for each in runs(file, limit=1)]
    except StateError as problem:
        return problem.message
    halves = [each for each in newest if each is None or len(each.report.balances) != balances]
    return "half a run" if halves else ""
