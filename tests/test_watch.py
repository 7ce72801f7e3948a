"""`--watch`: each look is shown, what moved is told, what is stale never looks fresh, and it ends cleanly."""

import json
import os
import pty
import re
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Callable
from datetime import UTC, datetime
from fcntl import ioctl
from typing import Any

import pytest

from balcli.cli.watching import worse
from balcli.errors import TimedOut
from balcli.models import Account, Failure, Holdings, Notice, Outcome, Report
from balcli.render.display import View
from balcli.render.layout import Line, fitted, to_text
from balcli.render.screen import WatchUpdate, answers, screen
from balcli.report import build
from balcli.sandbox import Sandbox, SandboxResponse, json_response
from tests.conftest import Program, wait_until
from tests.lists import each_case
from tests.screens import Screen as Terminal
from tests.warm import Running
from tests.wire import row

ASSETS = "/merchant/v2/assets/account/assets"


def _assets(total: str) -> SandboxResponse:
    return json_response(
        {
            "code": 200,
            "msg": "SUCCESS",
            "data": {"canDeposit": True, "balances": [row(total, total, "0", "BTC")]},
        }
    )


def _start(program: Program, *arguments: str, stdout: int = subprocess.PIPE, term: str = "xterm") -> Running:
    stdin = subprocess.DEVNULL if stdout == subprocess.PIPE else stdout
    return program.start(*arguments, env={"TERM": term, "LINES": "60"}, stdin=stdin, stdout=stdout)


@pytest.mark.parametrize(
    ("fault", "code"),
    [("minus", 0), ("merchant:refused", 8), ("refused", 4)],
    ids=["well", "partial", "failed"],
)
def test_in_a_pipe_each_look_is_a_document_on_a_line(program: Program, fault: str, code: int) -> None:
    """One JSON document a line for each look; Ctrl-C ends it with the worst code seen."""
    process = _start(program, "all", "--sandbox", "--fault", fault, "--watch", "1", "-o", "json", "-q")
    assert process.stdout is not None
    documents = [json.loads(process.stdout.readline()) for _ in range(2)]
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    documents += [json.loads(line) for line in out.splitlines()]
    told = [[account["error"] for account in document["accounts"]] for document in documents]
    assert (code, False) == (process.returncode, b"Traceback" in err), (told, err)
    assert {code == 0} == {document["complete"] for document in documents}
    assert documents[0]["generated_at"] <= documents[1]["generated_at"]


class _Screen:
    """A run on a terminal, and what it has shown."""

    def __init__(self, program: Program, *arguments: str, term: str = "xterm") -> None:
        self._master, terminal = pty.openpty()
        self.resize(60, 100)
        self.process = _start(program, *arguments, stdout=terminal, term=term)
        os.close(terminal)
        self.shown = ""

    def resize(self, rows: int, columns: int) -> None:
        """Give the terminal another size."""
        ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def until(self, seen: Callable[[str], bool]) -> str:
        """The newest whole screen for which this is true, without its colours."""
        limit = time.monotonic() + 30
        while time.monotonic() < limit:
            self.shown += os.read(self._master, 65536).decode()
            for drawn in reversed(self.shown.split("\x1b[H")[1:-1]):
                plain = re.sub(r"\x1b\[[0-9;]*[mKJ]", "", drawn).replace("\r", "")
                if seen(plain):
                    return plain
        raise AssertionError(self.shown)

    def end(self, key: bytes = b"") -> int:
        """The exit code after Ctrl-C, or after a key; what is shown until then is read."""
        if key:
            os.write(self._master, key)
        else:
            self.process.send_signal(signal.SIGINT)
        while True:
            try:
                piece = os.read(self._master, 65536)
            except OSError:
                break
            self.shown += piece.decode()
            if not piece:
                break
        os.close(self._master)
        self.process.communicate(timeout=20)
        return int(self.process.returncode)


def test_a_terminal_shows_what_moved(program: Program) -> None:
    """A screen has the look's number, the answer's age, and exactly what moved since the last look and the start."""
    with Sandbox(scripted={ASSETS: [_assets("1"), _assets("1"), _assets("3.000000000000000001")]}) as server:
        file = program.write(
            f'[profiles.main.merchant]\nbase_url = "{server.url}/merchant"\ntoken = "t-0123456789abcdef"\n'
        )
        screen = _Screen(program, "all", "-c", str(file), "--watch", "1")
        second = screen.until(lambda text: "run 2" in text)
        third = screen.until(lambda text: "run 3" in text)
        fourth = screen.until(lambda text: "run 4" in text)
        assert 0 == screen.end()
    assert ["nothing changed since the last run", "nothing changed since the start"] == re.findall(
        "nothing.*", second
    )
    assert re.search(
        r"BTC +3.000000000000000001 +3.000000000000000001 +0\s+total \+2.000000000000000001", third
    )
    assert ("CHANGED since the last run" in third, third.count("+2.000000000000000001")) == (True, 4)
    assert (2, True) == (
        fourth.count("+2.000000000000000001"),
        "nothing changed since the last run" in fourth,
    )
    assert re.search(r"run 4, [0-9]+ s old, every 1 s, q to quit", fourth)


def test_a_stale_answer_never_looks_fresh(program: Program) -> None:
    """An account that fails keeps its last answer, each line marked, with its age; its row says unavailable."""
    with Sandbox(scripted={ASSETS: [_assets("7.25"), SandboxResponse(500, b"")]}) as server:
        file = program.write(
            f'[profiles.main.merchant]\nbase_url = "{server.url}/merchant"\ntoken = "t-0123456789abcdef"\n'
        )
        screen = _Screen(program, "all", "-c", str(file), "--watch", "1", "--retries", "0")
        shown = screen.until(lambda text: "STALE" in text)
        assert 5 == screen.end()
    (row_of_amount,) = [line for line in shown.splitlines() if "7.25" in line]
    assert row_of_amount.startswith("stale | ")
    assert re.search(r"STALE: merchant did not answer; its data is from [0-9]+ s ago", shown)
    assert "unavailable" in shown
    assert [
        "not compared since the last run: merchant",
        "not compared since the start: merchant",
    ] == re.findall("not compared.*", shown)
    assert "nothing changed" not in shown


def test_a_stale_answer_has_no_notes_of_its_run() -> None:
    """A note of the run in which an account answered last is not shown again beside what is kept of it."""
    account: Account[object] = Account("shop", "merchant", "https://m.example", {}, ("0",), None)
    note = Notice("asset.case", None, "usdt, USDT differ only in case")
    at = datetime(2026, 11, 21, tzinfo=UTC)
    then = build("main", [Outcome(account, Holdings(()), at, None)], [note])
    now = build("main", [Outcome.failed(account, TimedOut("no response in time"))])
    look = WatchUpdate(2, 1, now, now, answers(then), answers(then))
    shown = to_text(screen(look, at, View(100)), colour=False)
    assert (True, False) == ("STALE: shop did not answer" in shown, "differ only in case" in shown)


def test_q_ends_it_and_the_last_look_stays(program: Program) -> None:
    """The alternate screen is opened with the first look; q closes it, and the whole look is on the normal screen."""
    screen = _Screen(program, "all", "--sandbox", "--watch", "600")
    screen.until(lambda text: "TOTALS" in text)
    assert 0 == screen.end(b"q")
    before, after = screen.shown.split("\x1b[?25h\x1b[?1049l")
    shown = Terminal(after, 100).lines
    assert (1, True, 4, True) == (
        before.count("\x1b[?1049h"),
        "4 of 4 accounts answered" in shown[0],
        sum(line.startswith("\u25cf") for line in shown),
        shown[-1].startswith("  XRP"),
    )


def test_a_resize_draws_the_screen_anew(program: Program) -> None:
    """In a lower terminal, totals stay and what does not fit is counted, without waiting for the next second."""
    screen = _Screen(program, "all", "--sandbox", "--fault", "merchant:refused", "--watch", "600")
    screen.until(lambda text: "TOTALS" in text)
    screen.resize(24, 60)
    screen.process.send_signal(
        signal.SIGWINCH
    )  # as the kernel does where the terminal is the controlling one
    shown = screen.until(lambda text: "do not fit" in text).splitlines()
    assert 8 == screen.end()
    assert (24, True, True) == (
        len(shown),
        all(any(line.strip().startswith(name) for line in shown) for name in ("TOTALS", "BTC", "XRP")),
        any("unavailable: " in line for line in shown),
    )


def test_a_dumb_terminal_is_shown_one_look_after_the_other(program: Program) -> None:
    """Where nothing can be erased, no code is written."""
    screen = _Screen(program, "merchant", "--sandbox", "--watch", "1", term="dumb")
    while screen.shown.count("answered") < 2:
        screen.shown += os.read(screen._master, 65536).decode()
    assert 0 == screen.end()
    assert "\x1b" not in screen.shown


def test_ctrl_c_before_the_first_look_is_130(program: Program) -> None:
    """Without a look there is no screen to go back from."""
    with Sandbox(latency=5) as server:
        screen = _Screen(program, "all", "-c", str(program.write(server.profile("main"))), "--watch", "1")
        wait_until(lambda: server.log)
        assert (130, "") == (screen.end(), screen.shown)


def test_accounts_that_did_not_answer_are_named_as_not_compared() -> None:
    """What is said of no change is said of the accounts that answered, and the others are named."""
    now = datetime.now(UTC)
    there, gone = (
        Account[object](name, "merchant", "https://x.example", {}, (name,), None) for name in ("shop", "gone")
    )
    failed = Failure("network", "no answer; try again", retryable=True, http_status=None, exit_code=5)
    whole = Report(now, "main", (Outcome(there, None, now, None), Outcome(gone, None, None, failed)), ())
    before = {
        name: Report(now, None, (Outcome(each, None, now, None),))
        for name, each in (("shop", there), ("gone", gone))
    }
    look = WatchUpdate(2, 1, whole, whole, before, {"gone": before["gone"]})
    shown = to_text(screen(look, now, View(200)), colour=False)
    assert shown.splitlines()[-3:] == [
        "not compared since the last run: shop, gone",
        "",
        "nothing changed since the start (not compared: gone)",
    ]


@each_case(
    "arguments", [("--record",), ("-O", "file"), ("--evidence", "folder"), ("-o", "csv"), ("--fault", "cut")]
)
def test_what_does_not_go_with_it(program: Program, arguments: tuple[str, ...]) -> None:
    """What means one run, or another format, is wrong usage, which a format for programs tells, too."""
    result = program.run("all", "--watch", "1", *arguments)
    assert (2, "csv" in arguments, 1) == (
        result.code,
        "usage: --watch" in result.out,
        len(result.err.splitlines()),
    )


@each_case(
    ("codes", "worst"), [([0, 0], 0), ([0, 8], 8), ([8, 5], 5), ([5, 4], 4), ([4, 6, 0], 4), ([7, 8], 7)]
)
def test_the_worst_code(codes: list[Any], worst: int) -> None:
    """A failed look is worse than a partial one, and that than a complete one; of failures the lowest code counts."""
    found = 0
    for code in codes:
        found = worse(found, code)
    assert worst == found


@each_case(("rows", "shown"), [(None, 40), (41, 40), (40, 40), (24, 24), (4, 4), (3, 3), (1, 1)])
def test_a_screen_fits_its_terminal(rows: int | None, shown: int) -> None:
    """A look that is too long keeps its most important lines in their order, and counts the others on the last line."""
    lines = [Line(rank=number % 4).add(f"line {number}") for number in range(40)]
    made = fitted(lines, rows)
    assert shown == len(made)
    if shown < 40:
        *kept, last = (line.text for line in made)
        assert last == f"... {41 - shown} more lines do not fit"
        first = [f"line {number}" for number in sorted(range(40), key=lambda number: number % 4)[: shown - 1]]
        assert (sorted(first), kept) == (sorted(kept), sorted(kept, key=lambda text: int(text[5:])))
