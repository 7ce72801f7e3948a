"""One deadline for a whole run: whatever is slow, the run ends by it with what it has, in every format."""

import json
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from balcli.http.timing import Deadline, writable_rows, writing_seconds
from balcli.sandbox.faults import keeps_silent
from tests.conftest import Program, Result
from tests.generated import sampled
from tests.lists import each_case
from tests.proof.sizes import serving
from tests.wire import Wire, answer, holdings, merchant

SOME: Final = ("json", "table")
"""Two formats that are written in different ways; `python -m tests.proof sizes` tries them all."""
_SLACK: Final = 0.5
# What a start of the interpreter and its end may take beside the run, on a machine that is busy with other tests.
_START: Final = 1.5


def ended(program: Program, seconds: float, *arguments: str, timeout: float = 30) -> Result:
    """The result of a process with that deadline, which must end by it."""
    begun = time.monotonic()
    result = program.run(*arguments, "--deadline", str(seconds), timeout=timeout)
    took = time.monotonic() - begun
    assert took < seconds + _SLACK + _START, (took, arguments)
    return result


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


@each_case("output", SOME)
def test_a_busy_history_costs_no_more_than_the_deadline(program: Program, output: str) -> None:
    """Where another program holds the history, a run shows all balances by its deadline, and ends with 9."""
    file = program.folder / "history.db"
    with locked(file):
        arguments = ("all", "--sandbox", "--record", "--history", str(file), "-o", output)
        result = ended(program, 2, *arguments)
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


@each_case("output", SOME)
@each_case("commands", [3])
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


@pytest.mark.whole
@each_case("output", sampled(SOME, 2))
@each_case("seconds", [1, 20])
def test_a_large_answer_is_written_by_the_deadline(large: Program, output: str, seconds: int) -> None:
    """20,000 rows are all shown where the deadline leaves the time for it, and none of them where it does not."""
    result = ended(large, seconds, "all", "-q", "-c", str(large.file), "-o", output, timeout=60)
    if seconds == 20:
        assert (0, "") == (result.code, result.err)
        assert result.out.count("A0-") >= ROWS
    else:
        assert (5, 0) == (result.code, result.out.count("A0-"))
        assert "deadline" in result.err


ROWS: Final = 20_000


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """A profile of one wallet with the most rows that an answer can have."""
    with serving("wallet", 1, ROWS, tmp_path_factory.mktemp("large")) as program:
        yield program


def looks(program: Program, arguments: Sequence[str], seconds: float) -> list[str]:
    """The documents of a watch that is interrupted after so many seconds."""
    process = program.start(*arguments)
    time.sleep(seconds)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=10)
    return out.decode().splitlines()


def test_each_look_of_a_watch_has_its_own_deadline(program: Program) -> None:
    """A server that never answers costs each look its deadline; the next look has a whole one again."""
    with Wire(keeps_silent) as wire:
        file = program.write(merchant(wire.url))
        arguments = ["all", "--watch", "1", "--deadline", "0.5", "-c", str(file), "-o", "json"]
        documents = [json.loads(line) for line in looks(program, arguments, 4)]
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
