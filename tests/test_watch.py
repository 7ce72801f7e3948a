"""`--watch`: each look is shown, what moved is told, what is stale never looks fresh, and it ends cleanly."""

import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from datetime import UTC, datetime
from fcntl import ioctl
from typing import Any

import pytest

from balcli.cli.watching import worse
from balcli.models import Account, Failure, Outcome, Report
from balcli.render.screen import Answer, WatchUpdate, fitted, render
from balcli.sandbox import Sandbox, SandboxResponse, json_response
from tests.conftest import ROOT, Program
from tests.lists import each_case
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


def _start(program: Program, *arguments: str, stdout: int = subprocess.PIPE) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "balcli", *arguments],
        env={**program.environment(), "TERM": "xterm", "LINES": "60"},
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.PIPE,
    )


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

    def __init__(self, program: Program, *arguments: str) -> None:
        self._master, terminal = pty.openpty()
        ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 60, 100, 0, 0))
        self.process = _start(program, *arguments, stdout=terminal)
        os.close(terminal)
        self.shown = ""

    def until(self, seen: Callable[[str], bool]) -> str:
        """The newest whole screen for which this is true, without its colours."""
        limit = time.monotonic() + 30
        while time.monotonic() < limit:
            self.shown += os.read(self._master, 65536).decode()
            for screen in reversed(self.shown.split("\x1b[H\x1b[2J")[:-1]):
                plain = re.sub(r"\x1b\[[0-9;]*m", "", screen).replace("\r", "")
                if seen(plain):
                    return plain
        raise AssertionError(self.shown)

    def end(self) -> int:
        """The exit code after Ctrl-C."""
        self.process.send_signal(signal.SIGINT)
        while True:
            try:
                if not os.read(self._master, 65536):
                    break
            except OSError:
                break
        os.close(self._master)
        self.process.communicate(timeout=20)
        return self.process.returncode


def test_a_terminal_shows_what_moved(program: Program) -> None:
    """A screen has the look's number, the answer's age, and exactly what moved since the last look and the start."""
    with Sandbox(scripted={ASSETS: [_assets("1"), _assets("1"), _assets("3.000000000000000001")]}) as server:
        file = program.write(
            f'[profiles.main.merchant]\nbase_url = "{server.url}/merchant"\ntoken = "t-0123456789abcdef"\n'
        )
        screen = _Screen(program, "all", "-c", str(file), "--watch", "1")
        second = screen.until(lambda text: "look 2" in text)
        third = screen.until(lambda text: "look 3" in text)
        fourth = screen.until(lambda text: "look 4" in text)
        assert 0 == screen.end()
    assert ["nothing changed since the last look", "nothing changed since the start"] == re.findall(
        "nothing.*", second
    )
    assert 4 == third.count("+2.000000000000000001")  # total and available, twice
    assert (2, True) == (
        fourth.count("+2.000000000000000001"),
        "nothing changed since the last look" in fourth,
    )
    assert re.search(r"age of the answers: merchant [0-9]+ s", fourth)


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
    assert re.search(r"STALE: merchant does not answer; this is from [0-9]+ s ago", shown)
    assert "unavailable" in shown
    assert [
        "not compared since the last look: merchant",
        "not compared since the start: merchant",
    ] == re.findall("not compared.*", shown)
    assert "nothing changed" not in shown


def test_accounts_that_did_not_answer_are_named_as_not_compared() -> None:
    """What is said of no change is said of the accounts that answered, and the others are named."""
    now = datetime.now(UTC)
    there, gone = (
        Account[object](name, "merchant", "https://x.example", {}, (name,), None) for name in ("shop", "gone")
    )
    failed = Failure("network", "no answer; try again", retryable=True, http_status=None, exit_code=5)
    whole = Report(now, "main", (Outcome(there, None, now, None), Outcome(gone, None, None, failed)), ())
    before = {
        name: Answer(Outcome(each, None, now, None), ()) for name, each in (("shop", there), ("gone", gone))
    }
    shown = render(
        WatchUpdate(2, 1, whole, whole, before, {"gone": before["gone"]}), now, columns=None, colour=False
    )
    assert shown.splitlines()[-3:] == [
        "not compared since the last look: shop, gone",
        "",
        "nothing changed since the start at those that answered; not compared: gone",
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


@each_case(("rows", "shown"), [(None, 40), (41, 40), (40, 39), (24, 23), (4, 3), (3, 2), (1, 2)])
def test_a_screen_fits_its_terminal(rows: int | None, shown: int) -> None:
    """A look that is too long keeps its head and its end, says how much is left out, and never scrolls."""
    screen = "".join(f"line {number}\n" for number in range(40))
    lines = fitted(screen, rows).splitlines()
    assert (shown, "line 0") == (len(lines), lines[0])
    if shown < 40:
        assert f"... {40 - (shown - 1)} lines that this terminal has no rows for" == lines[1]
        assert [f"line {number}" for number in range(40 - (shown - 2), 40)] == lines[2:]
