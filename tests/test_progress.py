"""What a person sees who waits: who is still out, in one line that is gone before anything else is written."""

import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator, Sequence
from fcntl import ioctl
from pathlib import Path

import pytest

from balcli.cli.progress import line
from balcli.collect import AccountProgress, each
from balcli.http.timing import Deadline
from balcli.models import Account
from balcli.sandbox import Sandbox
from balcli.text import width
from tests.conftest import ROOT, Program
from tests.lists import each_case

ERASED = "\r\x1b[K"
WAITING = f"{ERASED}balcli: 0 of 4  ○ loopring  ○ treasury  ○ payouts  ○ shop"
COLUMNS = 80


class _Terminal:
    """A run whose stdout and stderr are one terminal of 80 columns, or whose stderr alone is."""

    def __init__(self, program: Program, *arguments: str, both: bool = True, **env: str) -> None:
        self._master, terminal = pty.openpty()
        ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, COLUMNS, 0, 0))
        self.process = program.start(
            *arguments,
            env={"TERM": "xterm", "NO_COLOR": "1", **env},
            stdout=terminal if both else subprocess.DEVNULL,
            stderr=terminal,
        )
        os.close(terminal)
        self.shown = ""

    def _pieces(self) -> Iterator[str]:
        while True:
            try:
                yield os.read(self._master, 65536).decode()
            except OSError:  # nobody holds the other end any more
                return

    def until(self, text: str) -> None:
        """Wait until this is shown."""
        for piece in self._pieces():
            self.shown += piece
            if text in self.shown:
                return

    def end(self) -> int:
        """The exit code, once the run is over and all of it is shown."""
        self.shown += "".join(self._pieces())
        os.close(self._master)
        self.process.communicate(timeout=20)
        return int(self.process.returncode)


@pytest.fixture
def slow(program: Program) -> Iterator[Path]:
    """The profile of a sandbox that takes its time."""
    with Sandbox(latency=0.7) as server:
        yield program.write(server.profile("main"))


def test_a_terminal_is_told_who_is_waited_for(program: Program, slow: Path) -> None:
    """After half a second the line stands there; it is erased before the table."""
    begun = time.monotonic()
    run = _Terminal(program, "all", "--no-cache", "-c", str(slow))
    run.until(WAITING)
    assert time.monotonic() - begun >= 0.5
    assert 0 == run.end()
    before, *lines, table = run.shown.split(ERASED)
    assert ("", 0) == (before, table.count("balcli: "))
    assert {True} == {
        each.startswith("balcli: ") and " of 4  " in each and len(each) < COLUMNS for each in lines
    }
    assert "4 of 4 accounts answered" in table


@each_case(("seconds", "shown"), [(0.0, ""), (1.0, f"{ERASED}balcli: reading the history ...{ERASED}")])
def test_long_work_is_told(seconds: float, shown: str) -> None:
    """What takes over half a second in one piece says what it is, in a line that is erased."""
    screen, terminal = pty.openpty()
    termios.tcsetwinsize(terminal, (24, COLUMNS))
    code = f"import time; from balcli.cli.output import waiting_for as w\nwith w('reading the history'): time.sleep({seconds})"
    subprocess.run(
        [sys.executable, "-c", f"{code}\nprint('end')"],
        env={"TERM": "xterm"},
        cwd=ROOT,
        stdout=terminal,
        stderr=terminal,
        check=True,
    )
    assert f"{shown}end\r\n" == os.read(screen, 4096).decode()
    os.close(screen)
    os.close(terminal)


def test_ctrl_c_leaves_an_empty_line(program: Program, slow: Path) -> None:
    """Ctrl-C erases the line and ends the run at once, with 130."""
    run = _Terminal(program, "all", "--no-cache", "-c", str(slow))
    run.until(WAITING)
    begun = time.monotonic()
    run.process.send_signal(signal.SIGINT)
    assert 130 == run.end()
    assert time.monotonic() - begun < 0.5
    assert run.shown.endswith(ERASED)


def test_nobody_else_is_told(program: Program, slow: Path) -> None:
    """No line with -q, beside the lines of -v, in a look of --watch, or on a terminal that cannot erase."""
    arguments = ["wallet", "payouts", "-c", str(slow)]
    quiet = _Terminal(program, *arguments, "-q")
    dumb = _Terminal(program, *arguments, TERM="dumb")
    verbose = _Terminal(program, *arguments, "-v", both=False)
    watching = _Terminal(program, *arguments, "--watch", "1")
    watching.until("wallet 7c9e6679")
    watching.process.send_signal(signal.SIGINT)
    assert [0, 0, 0, 0] == [run.end() for run in (quiet, dumb, verbose, watching)]
    assert not any("○" in run.shown for run in (quiet, dumb, verbose, watching))
    assert "try 1" in verbose.shown


@each_case("columns", [0, 1, 20, 36, 40, 52, 60, 80, 200])
@each_case("count", [1, 3, 412])
def test_the_line_fits_its_terminal(count: int, columns: int) -> None:
    """However many accounts are out and whatever they are called, the line is no wider than it may be."""
    names = ["財布" * 20, *(f"account {number}" for number in range(count - 1))]
    text = line([AccountProgress(name, "waiting") for name in names], columns)
    assert width(text) <= columns
    assert text.startswith("balcli: "[:columns])


def test_the_line_names_as_many_as_it_can() -> None:
    """All accounts have a mark where they fit; else those that wait are named, escaped, and what is left out is marked."""

    def told(columns: int, *accounts: AccountProgress, unicode: bool = True) -> str:
        return line(accounts, columns, unicode=unicode)

    waiting = [AccountProgress(f"account{number}", "waiting") for number in range(1410)]
    answered = [AccountProgress(f"done{number}", "answered") for number in range(588)]
    first = AccountProgress("a\x1b[2J", "waiting", 2), AccountProgress("b", "waiting")
    assert told(79, *first, *waiting, *answered) == (
        "balcli: waiting for 1,412 of 2,000 accounts: a\\x1b[2J (retry in 2 s), b, ..."
    )
    few = AccountProgress("shop", "failed"), AccountProgress("loopring", "answered"), *first
    assert "balcli: 2 of 4  ✗ shop  ● loopring  ○ a\\x1b[2J (retry in 2 s)  ○ b" == told(79, *few)
    assert "balcli: 1 of 1  x shop" == told(79, few[0], unicode=False)


def test_a_retry_is_told(program: Program) -> None:
    """Who is asked again has the seconds until then beside its name; who has answered has its mark."""
    with Sandbox(faults=["merchant:busy"]) as server:
        file = program.write(server.profile("main"))
        run = _Terminal(program, "all", "--no-cache", "-c", str(file), "--deadline", "20", "--retries", "5")
        run.until("(retry in ")
        run.process.send_signal(signal.SIGINT)
        assert 130 == run.end()
    last = run.shown.split(ERASED)[-2]
    assert re.search(r"● loopring  ● treasury  ● payouts  ○ shop \(retry in [0-9] s\)", last), run.shown


def test_who_waits_is_told_a_few_times_a_second() -> None:
    """The names out are told in order, at most four times a second, until the last has come or time is over."""
    told: list[Sequence[AccountProgress]] = []
    tasks: dict[tuple[int, ...], Account[None]] = {
        (number,): Account(name, "wallet", "https://a.example", {}, (name,), None)
        for number, name in enumerate(("quick", "slow", "never"))
    }
    naps = {"quick": 0.0, "slow": 0.3, "never": 9.0}

    def nap(account: Account[None]) -> bool:
        time.sleep(naps[account.name])
        return True

    begun = time.monotonic()
    done = each(tasks, nap, 8, Deadline(0.7), told.append)
    assert 0.75 < time.monotonic() - begun < 1.1
    assert {(0,), (1,)} == set(done)
    assert [("quick", "answered"), ("slow", "answered"), ("never", "waiting")] == [
        each[:2] for each in told[-1]
    ]
    assert 3 <= len(told) <= 5
