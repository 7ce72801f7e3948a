"""One deadline for a whole run: whatever is slow, the run ends by it with what it has, in every format."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

import pytest

from balcli.cli.options import REPORTS
from balcli.http.timing import Deadline, writable_rows, writing_seconds
from tests.conftest import ROOT, Program, Result
from tests.lists import each_case
from tests.proof.sizes import serving
from tests.wire import Wire, answer, holdings, merchant

_SLACK: Final = 0.5
# What a start of the interpreter and its end may take beside the run, on a machine that is busy with other tests.
_START: Final = 1.5


def ended(program: Program, seconds: float, *arguments: str, timeout: float = 30) -> Result:
    """The result of a process with that deadline, which must end by it."""
    begun = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "balcli", *arguments, "--deadline", str(seconds)],
        env=program.environment(),
        cwd=ROOT,
        capture_output=True,
        stdin=subprocess.DEVNULL,
        timeout=timeout,
        check=False,
    )
    took = time.monotonic() - begun
    assert took < seconds + _SLACK + _START, (took, arguments)
    return Result(done.returncode, done.stdout.decode(), done.stderr.decode())


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """A history that another program holds, for as long as the context lasts."""
    import sqlite3

    holder = sqlite3.connect(file, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    try:
        yield
    finally:
        holder.close()


@each_case("output", [*REPORTS])
def test_a_busy_history_costs_no_more_than_the_deadline(program: Program, output: str) -> None:
    """Where another program holds the history, a run shows all balances by its deadline, and ends with 9."""
    file = program.folder / "history.db"
    with locked(file):
        arguments = ("all", "--sandbox", "--record", "--history", str(file), "-o", output)
        result = ended(program, 1, *arguments)
    assert (9, True) == (result.code, bool(result.out))
    assert "is locked by another program" in result.err


def test_a_check_with_a_busy_history_ends_by_the_deadline(program: Program) -> None:
    """A check waits for the history until its deadline, and its state is that of the balances."""
    file = program.folder / "history.db"
    with locked(file):
        limit = ("--asset", "ETH", "--warn", "0:")
        result = ended(program, 1, "check", "--sandbox", "--record", "--history", str(file), *limit)
    assert (0, True) == (result.code, result.out.startswith("BALCLI OK"))


def test_a_live_comparison_counts_the_wait_for_its_history(program: Program) -> None:
    """`diff --live` waits for the recorded run within the one deadline; then it says what holds the history."""
    file = program.folder / "history.db"
    assert 0 == program.run("all", "--sandbox", "--record", "--history", str(file)).code
    with locked(file):
        result = ended(program, 1, "diff", "--live", "--sandbox", "--history", str(file))
    assert (2, True) == (result.code, "is locked by another program" in result.err)


@each_case("output", [*REPORTS])
@each_case("commands", [1, 3])
def test_slow_secret_commands_cost_no_more_than_the_deadline(
    program: Program, output: str, commands: int
) -> None:
    """Commands that hang are stopped before the deadline, all of them together."""
    tables = [
        f'[[profiles.main.merchant]]\nname = "m{number}"\nmerchant_id = "{number}"\n'
        f'token_command = ["sh", "-c", "exec sleep 3{number}"]\n'
        for number in range(commands)
    ]
    file = program.write("".join(tables))
    result = ended(program, 1, "all", "-c", str(file), "-o", output)
    assert (3, True) == (result.code, "token_command in merchant" in result.err)


def test_a_slow_secret_command_leaves_the_other_accounts_nothing_to_wait_for(program: Program) -> None:
    """A command that uses up most of the deadline and then gives its secret leaves its account the rest."""
    with Wire(lambda connection, _request: connection.sendall(answer(holdings()))) as wire:
        text = merchant(wire.url).replace('token = "', 'token_command = ["sh", "-c", "sleep 0.5; echo ')
        file = program.write(text.rstrip().removesuffix('"') + '"]\n')
        assert 0 == ended(program, 3, "all", "-c", str(file), "-o", "json").code


@each_case("output", [*REPORTS])
@each_case("seconds", [1, 20])
def test_a_large_answer_is_written_by_the_deadline(large: Program, output: str, seconds: int) -> None:
    """20,000 rows are all shown where the deadline leaves the time for it, and none of them where it does not."""
    result = ended(large, seconds, "all", "-q", "-c", str(large.file), "-o", output, timeout=60)
    if seconds == 20:
        assert (0, "") == (result.code, result.err)
        assert result.out.count("A0-") >= ROWS
    else:
        assert (5, 0) == (result.code, result.out.count("A0-"))
        assert "before the deadline of 1 s" in result.err


ROWS: Final = 20_000


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """A profile of one wallet with the most rows that an answer can have."""
    with serving("wallet", 1, ROWS, tmp_path_factory.mktemp("large")) as program:
        yield program


def looks(program: Program, arguments: Sequence[str], seconds: float) -> list[str]:
    """The documents of a watch that is interrupted after so many seconds."""
    process = subprocess.Popen(
        [sys.executable, "-m", "balcli", *arguments],
        env=program.environment(),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    with ExitStack() as stack:
        stack.callback(process.kill)
        time.sleep(seconds)
        process.send_signal(2)
        out, _ = process.communicate(timeout=10)
    return out.splitlines()


def test_each_look_of_a_watch_has_its_own_deadline(program: Program) -> None:
    """A server that never answers costs each look its deadline; the next look has a whole one again."""
    with Wire(lambda _connection, _request: time.sleep(20)) as wire:
        file = program.write(merchant(wire.url))
        arguments = ["all", "--watch", "1", "--deadline", "0.5", "-c", str(file), "-o", "json"]
        documents = [json.loads(line) for line in looks(program, arguments, 5)]
    assert len(documents) >= 2
    assert {"network.deadline"} == {each["accounts"][0]["error"]["code"] for each in documents}


@each_case(("seconds", "left"), [(1, 0.1), (10, 1), (20, 2), (30, 2), (600, 2)])
def test_requests_stop_early_enough_to_write(seconds: float, left: float) -> None:
    """A tenth of the deadline, at most 2 s, is kept for recording and writing; the figure in messages stays whole."""
    whole = Deadline(seconds)
    part = whole.for_requests()
    assert seconds == part.seconds
    assert whole.left() - part.left() == pytest.approx(left, abs=0.01)


def test_as_many_rows_are_taken_as_can_be_written() -> None:
    """The rows that fit take no longer than what is left; a thousand always fit."""
    deadline = Deadline(5)
    assert writing_seconds(writable_rows(deadline)) == pytest.approx(deadline.left(), abs=0.01)
    assert 1000 == writable_rows(Deadline(0))
