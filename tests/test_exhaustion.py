"""Few descriptors, threads and little memory: a run goes on with fewer requests at once, or says what ran out."""

import json
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import pytest

from balcli.errors import MachineExhausted
from balcli.sandbox import Sandbox
from balcli.sandbox.merchant import API_KEY, API_SECRET
from tests.conftest import ROOT, Program
from tests.lists import each_case
from tests.wire import Wire, answer, holdings, keeps

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there is no ulimit")

ACCOUNTS: Final = 60
HOSTS: Final = 12
FEW_THREADS: Final = """
import threading
start, started = threading.Thread.start, []
def start_few(self):
    if len(started) >= {number}:
        raise RuntimeError("can't start new thread")
    started.append(self)
    start(self)
threading.Thread.start = start_few
"""


def table(url: str, number: int) -> str:
    """A merchant account of its own."""
    return (
        f'[[profiles.main.merchant]]\nname = "m{number}"\nmerchant_id = "{number}"\n'
        f'token = "token-of-account-{number:04}"\nbase_url = "{url}"\n'
    )


def run(
    program: Program, limit: str, *arguments: str, env: dict[str, str] | None = None
) -> "subprocess.CompletedProcess[str]":
    """A run of 60 accounts at twelve hosts that keep their connections open, in a shell with a limit."""
    with ExitStack() as stack:
        wires = [stack.enter_context(Wire(keeps(answer(holdings())))) for _ in range(HOSTS)]
        tables = [table(wires[number % HOSTS].url, number) for number in range(ACCOUNTS)]
        file = program.write("[profiles.main]\njobs = 50\n" + "".join(tables))
        command = [sys.executable, "-m", "balcli", *arguments, "-c", str(file)]
        return subprocess.run(
            ["bash", "-c", f'{limit}; exec "$@"', "-", *command],
            env=program.environment(env),
            cwd=ROOT,
            capture_output=True,
            check=False,
            text=True,
            timeout=60,
        )


@each_case("limit", ["ulimit -n 6", "ulimit -v 300000"])
@each_case("command", [["merchant"], ["check", "--warn", "5:", "--asset", "USDT"], ["history", "--record"]])
def test_a_run_goes_on_with_what_there_is(tmp_path: Path, limit: str, command: list[str]) -> None:
    """With fewer descriptors or less memory than 50 requests at once take, all accounts answer, complete."""
    program = Program(tmp_path)
    arguments = ["all", "--record"] if "--record" in command else command
    result = run(program, limit, *arguments, "-o", "json")
    assert (0, "") == (result.returncode, result.stderr)
    document = json.loads(result.stdout)
    if "accounts" in document and command == ["merchant"]:
        assert {"ok"} == {account["status"] for account in document["accounts"]}
        assert [str(5000 * ACCOUNTS)] == [total["total"] for total in document["totals"]]


@each_case("number", [0, 1, 30])
def test_a_run_goes_on_with_the_threads_that_can_be_started(tmp_path: Path, number: int) -> None:
    """Where no more threads can be started, those that there are ask all accounts; without any, the main one does."""
    program = Program(tmp_path)
    (program.folder / "sitecustomize.py").write_text(FEW_THREADS.format(number=number))
    result = run(program, "true", "merchant", "-o", "json", env={"PYTHONPATH": str(program.folder)})
    assert (0, "") == (result.returncode, result.stderr)
    assert [str(5000 * ACCOUNTS)] == [total["total"] for total in json.loads(result.stdout)["totals"]]


NO_SOCKETS = """
import errno, socket
class NoSocket(socket.socket):
    def __init__(self, *arguments, **more):
        if more.get("fileno") is None:
            raise OSError({number}, "no more")
        super().__init__(*arguments, **more)
socket.socket = NoSocket
"""


@each_case(
    ("number", "words"),
    [(24, "not enough file descriptors; raise"), (12, "not enough memory; raise the limit")],
)
@each_case("output", ["json", "table"])
def test_accounts_that_cannot_be_asked_fail(tmp_path: Path, number: int, words: str, output: str) -> None:
    """Where no connection can be opened at all, it is 9, never a bug and never `check base_url`."""
    program = Program(tmp_path)
    (program.folder / "sitecustomize.py").write_text(NO_SOCKETS.format(number=number))
    result = run(program, "true", "merchant", "-o", output, env={"PYTHONPATH": str(program.folder)})
    assert 9 == result.returncode
    assert ACCOUNTS == result.stderr.count(words)
    assert "base_url" not in result.stderr
    if output == "json":
        codes = {account["error"]["code"] for account in json.loads(result.stdout)["accounts"]}
        assert {"machine.exhausted"} == codes


NO_MEMORY_ONCE = """
import json
class Decoder(json.JSONDecoder):
    spent = False
    def decode(self, text, *more):
        if {word!r} in text and not Decoder.spent:
            Decoder.spent = True
            raise MemoryError
        return super().decode(text, *more)
json.JSONDecoder = Decoder
"""


@each_case(("word", "options", "second"), [("merchantName", ["--all-merchants"], 3), ("canDeposit", [], 1)])
def test_an_account_without_memory_for_its_answer_fails_alone(
    tmp_path: Path, sandbox: Sandbox, word: str, options: list[str], second: int
) -> None:
    """Where memory is too small for one answer, be it the list of an account's merchants, the others are shown."""
    program = Program(tmp_path)
    (program.folder / "sitecustomize.py").write_text(NO_MEMORY_ONCE.format(word=word))
    keys = f'api_key = "{API_KEY}"\napi_secret = "{API_SECRET}"\nbase_url = "{sandbox.url}/merchant"\n'
    profile = "".join(
        f'[[profiles.main.merchant]]\nname = "{name}"\nmerchant_id = {number}\n{keys}'
        for number, name in ((12345, "first"), (12346, "second"))
    )
    arguments = ("merchant", *options, "--jobs", "1", "-o", "json")
    result = program.with_profile(profile, *arguments, env={"PYTHONPATH": str(program.folder)})
    first, *others = result.json["accounts"]
    assert (8, "first", "machine.exhausted") == (result.code, first["account"], first["error"]["code"])
    assert ["ok"] * second == [account["status"] for account in others]


def test_a_lost_memory_error_is_exhaustion_where_memory_is_limited(tmp_path: Path) -> None:
    """CPython can lose a MemoryError and raise a SystemError: under `ulimit -v` that is 9, and else a bug."""
    program = Program(tmp_path)
    (program.folder / "sitecustomize.py").write_text(
        "import balcli.report\ndef broken(*_, **__):\n    raise SystemError\nbalcli.report.build = broken\n"
    )
    env = {"PYTHONPATH": str(program.folder)}
    for limit, code, words in (
        ("ulimit -v 4000000", 9, "not enough memory; "),
        ("true", 1, "this is a bug in "),
    ):
        result = run(program, limit, "all", "-o", "json", env=env)
        assert (code, 1) == (result.returncode, len(result.stderr.splitlines()))
        assert result.stderr.startswith(f"balcli: {words}")
        assert code == json.loads(result.stdout)["exit_code"]


@each_case(
    ("problem", "words"),
    [
        (MemoryError(), "not enough memory; raise the limit (ulimit -v)"),
        (OSError(12, "x"), "not enough memory; "),
        (OSError(24, "x"), "not enough file descriptors; raise the limit (ulimit -n)"),
        (OSError(23, "x"), "not enough file descriptors; "),
        (RuntimeError("can't start new thread"), "not enough threads; raise the limits (ulimit -u"),
        (ImportError("libssl.so.3: failed to map segment from shared object"), "not enough memory; "),
        (
            ImportError("cannot create shared object descriptor: Cannot allocate memory"),
            "not enough memory; ",
        ),
        (
            ImportError("_ssl.so: cannot open shared object file: Too many open files"),
            "not enough file descriptors; ",
        ),
        (OSError(2, "x"), None),
        (ImportError("No module named 'x'"), None),
        (RuntimeError("x"), None),
        (ValueError("can't start new thread"), None),
    ],
    ids=repr,
)
def test_what_python_raises_has_one_meaning(problem: BaseException, words: str | None) -> None:
    """Each way in which Python says that the machine has no more, and no other, is exhaustion."""
    found = MachineExhausted.from_exception(problem)
    assert (words is None) == (found is None)
    assert found is None or found.message.startswith(words or "")
