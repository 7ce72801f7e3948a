"""The process: streams, signals, odd environments, and what a closed door or a bug looks like from outside."""

import json
import os
import pty
import re
import select
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from balcli.cli.app import COMMANDS, load
from balcli.sandbox import Sandbox
from balcli.sandbox.merchant import TOKEN
from tests.conftest import ROOT, Program, wait_until, warm
from tests.documents import README
from tests.generated import sampled
from tests.lists import each_case
from tests.warm import Running


def _profile(server: Sandbox) -> str:
    return f'[profiles.main.merchant]\nname = "shop"\nbase_url = "{server.url}/merchant"\ntoken = "{TOKEN}"\n'


def test_quiet_and_well_is_silent(program: Program) -> None:
    """With -q and all well there is no byte but the data; without -q there is none either."""
    assert "" == program.run("all", "--sandbox", "-q").err
    assert "" == program.run("all", "--sandbox").err


def test_quiet_never_hides_a_failure(program: Program) -> None:
    """-q hides warnings, and never the reason of a failure."""
    arguments = ("all", "--sandbox", "--asset", "NOPE", "--fault", "merchant:refused")
    assert 4 == len(program.run(*arguments).err.splitlines())
    (line,) = program.run(*arguments, "-q").err.splitlines()
    assert line.startswith("balcli: shop: ")


@pytest.mark.parametrize(
    "arguments", [["all", "--sandbox"], ["all", "--sandbox", "-o", "json"], ["--help"], ["--version"]]
)
def test_a_full_disk_is_told(program: Program, arguments: list[str]) -> None:
    """Output that cannot be written is exit code 9, with one line, and nothing else."""
    with Path("/dev/full").open("wb") as full:
        process = program.start(*arguments, stdout=full.fileno())
        _, err = process.communicate(timeout=30)
    assert (9, 1) == (process.returncode, len(err.splitlines()))
    assert b"stdout cannot be written: No space left on device" in err


@pytest.mark.parametrize("output", ["table", "json"])
def test_a_closed_stdout_is_told(program: Program, output: str) -> None:
    """Without a stdout the exit code is 9 and stderr says why."""
    done = subprocess.run(
        ["bash", "-c", f'"{sys.executable}" -m balcli all --sandbox -o {output} >&-'],
        env=program.environment(),
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    assert (9, b"balcli: stdout is closed; redirect it to a file or a pipe\n") == (
        done.returncode,
        done.stderr,
    )


@each_case("arguments", [["all", "--sandbox"], ["all", "--sandbox", "-o", "json"], ["--help"]])
def test_a_reader_that_goes_away(program: Program, arguments: list[str]) -> None:
    """If the reader has closed the pipe, the program ends silently with 141."""
    reading, writing = os.pipe()
    os.close(reading)
    process = program.start(*arguments, stdout=writing)
    os.close(writing)
    _, err = process.communicate(timeout=30)
    assert (141, b"") == (process.returncode, err)


def test_a_closed_stderr_costs_no_data(program: Program) -> None:
    """Without a stderr the data and the exit code are as ever."""
    done = subprocess.run(
        ["bash", "-c", f'"{sys.executable}" -m balcli all --sandbox --fault wallet:refused -o json 2>&-'],
        env=program.environment(),
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    assert (8, False) == (done.returncode, json.loads(done.stdout)["complete"])


def test_under_cron(program: Program, sandbox: Sandbox) -> None:
    """With an empty environment, no HOME, the root as folder and a closed stdin, a run is as ever."""
    file = program.write(_profile(sandbox))
    done = subprocess.run(
        ["bash", "-c", f'exec env -i "{sys.executable}" -m balcli all -o json -c "{file}" <&-'],
        cwd="/",
        capture_output=True,
        check=False,
    )
    assert (0, b"", True) == (done.returncode, done.stderr, json.loads(done.stdout)["complete"])


@pytest.mark.parametrize(
    "env",
    [
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"PYTHONIOENCODING": "ascii"},
        {"PYTHONIOENCODING": "latin-1"},
        {"LC_ALL": "tr_TR.UTF-8"},
        {"COLUMNS": "0"},
        {"COLUMNS": "-3"},
        {"COLUMNS": "x"},
        {"TERM": "dumb"},
    ],
)
def test_no_locale_or_width_costs_an_amount(program: Program, env: dict[str, str]) -> None:
    """Whatever the locale, encoding or COLUMNS of a pipe, the table is the README's, and the document whole."""
    table = program.run("all", "--sandbox", env=env).out
    assert "TOTALS (complete" in table
    assert f"\n{table}```\n" in README
    result = program.run("all", "--sandbox", "-o", "json", env=env)
    assert (0, 12) == (result.code, len(result.json["balances"]))


@each_case(
    ("env", "arguments", "coloured"),
    [
        ({}, [], False),
        ({"FORCE_COLOR": "1"}, [], True),
        ({"FORCE_COLOR": "0"}, [], False),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, [], False),
        ({"FORCE_COLOR": "1"}, ["--no-color"], False),
        ({"FORCE_COLOR": "1"}, ["-o", "json"], False),
        ({"FORCE_COLOR": "1"}, ["--color", "never"], False),
        ({"NO_COLOR": "1"}, ["--color", "always"], True),
        ({"FORCE_COLOR": "1"}, ["--color", "auto"], True),
        ({}, ["--color", "auto"], False),
    ],
)
def test_colour_in_a_pipe(
    program: Program, env: dict[str, str], arguments: list[str], coloured: bool
) -> None:
    """A pipe gets colour only by FORCE_COLOR, which NO_COLOR and --no-color overrule; JSON never does."""
    assert coloured == ("\x1b[" in program.run("all", "--sandbox", *arguments, env=env).out)


def _on_a_terminal(program: Program, columns: int, *arguments: str, **env: str) -> str:
    """What a command shows on a terminal of that width."""
    parent, child = pty.openpty()
    settings = program.environment({"TERM": "xterm", "COLUMNS": str(columns), **env})
    run = warm().start(arguments, settings, ROOT, (child, child, child))
    os.close(child)
    shown = b""
    while select.select([parent], [], [], 30)[0]:
        try:
            piece = os.read(parent, 65536)
        except OSError:
            break
        if not piece:
            break
        shown += piece
    run.close()
    os.close(parent)
    return shown.decode().replace("\r\n", "\n")


@pytest.mark.parametrize("columns", [20, 40, 60, 80, 120, 200])
def test_a_terminal_of_any_width_shows_whole_amounts(program: Program, columns: int) -> None:
    """On a terminal every amount stands whole on one line, and no line that holds one is too long to."""
    shown = re.sub(r"\x1b\[[0-9;]*m", "", _on_a_terminal(program, columns, "all", "--sandbox"))
    for amount in ("42.000000000000000001", "3.099476758000000001", "57506.64", "10000"):
        assert any(amount in line for line in shown.splitlines())
    numbers = re.compile(r"[0-9.]+$")
    for line in shown.splitlines():
        if numbers.search(line) and "-" not in line:
            assert len(line) <= max(columns, len("42.000000000000000001") + 1)


@pytest.mark.parametrize(
    ("env", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)]
)
def test_colour_on_a_terminal(program: Program, env: dict[str, str], coloured: bool) -> None:
    """A terminal gets colour, unless NO_COLOR or a dumb one says otherwise."""
    assert coloured == ("\x1b[" in _on_a_terminal(program, 120, "all", "--sandbox", **env))


def test_messages_of_a_terminal_are_coloured(program: Program) -> None:
    """`balcli:` is red and the cure dim; the text is that of a pipe."""
    shown = _on_a_terminal(program, 80, "all", "nobody", "--sandbox")
    assert shown.startswith("\x1b[31mbalcli: \x1b[0m")
    assert re.search(r"\x1b\[2m; [^\x1b]+\x1b\[0m\n$", shown)
    assert program.run("all", "nobody", "--sandbox").err == re.sub(r"\x1b\[[0-9;]*m", "", shown)


def test_the_headings_of_a_help_are_bold(program: Program) -> None:
    """On a terminal; the text is that of a pipe."""
    shown = _on_a_terminal(program, 80, "all", "--help")
    assert "\x1b[1mOutput:\x1b[0m\n" in shown
    assert program.run("all", "--help").out == re.sub(r"\x1b\[[0-9;]*m", "", shown)


def test_a_terminal_is_told_the_verdict_once(program: Program) -> None:
    """A check of one limit is one line without performance data, its state in colour."""
    shown = _on_a_terminal(program, 80, "check", "--sandbox", "--asset", "USDT", "--crit", "500:")
    assert shown == "\x1b[32mBALCLI OK\x1b[0m - USDT available in total is 56130.64\n"


@contextmanager
def _waiting(program: Program, arguments: list[str]) -> Iterator[Running]:
    """A run that waits for a silent server."""
    asked: list[str] = []
    with Sandbox(faults=["merchant:silent"], log_line=asked.append) as server:
        file = program.write(_profile(server))
        process = program.start("all", "-c", str(file), *arguments)
        wait_until(lambda: asked)
        yield process
        process.kill()
        process.communicate()


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_a_signal_ends_a_wait_at_once(program: Program, number: signal.Signals, code: int) -> None:
    """Ctrl-C, SIGTERM and SIGHUP end a run that waits for an answer, without waiting for it, and say nothing."""
    with _waiting(program, ["--timeout", "600", "--deadline", "600"]) as process:
        process.send_signal(number)
        out, err = process.communicate(timeout=5)
        assert (code, b"", b"") == (process.returncode, out, err)


def test_the_deadline_ends_a_wait(program: Program) -> None:
    """A server that never answers costs the deadline and no more; the account says what it waited for."""
    with _waiting(program, ["--timeout", "600", "--deadline", "1", "-o", "json"]) as process:
        out, err = process.communicate(timeout=10)
    assert 5 == process.returncode
    assert json.loads(out)["accounts"][0]["error"]["code"] in {"network.timeout", "network.deadline"}
    assert 1 == len(err.splitlines())


@each_case(
    "arguments",
    [
        ["all", "--nope"],
        ["nope"],
        [],
        ["all", "-o", "yaml"],
        ["all", "--timeout", "0"],
        ["all", "--timeout", "nan"],
        ["all", "--deadline", "inf"],
        ["all", "--jobs", "0"],
        ["all", "--retries", "-1"],
        ["all", "--asset", ""],
        ["all", "--asset", "ETH,,LRC", "--sandbox"],
        ["all", "--fault", "refused"],
        ["all", "--sandbox", "--fault", "nope"],
        ["all", "--sandbox", "--fault", "nobody:refused"],
        ["all", "--nfts"],
        ["wallet", "--account-id", "1"],
        ["loopring", "--sandbox", "--account-id", "x"],
        ["loopring", "--sandbox", "--address", "0x12"],
        [
            "loopring",
            "--sandbox",
            "--account-id",
            "1",
            "--address",
            "0x8656920c85342d646e5286cb841f90209272abeb",
        ],
        ["wallet", "--sandbox", "--wallet-id", "1f44b1c7-9fd4-4d20-b9a4-7aca3646d0d5"],
    ],
)
def test_wrong_usage(program: Program, arguments: list[str]) -> None:
    """What cannot be meant is exit code 2, with the reason on stderr and nothing on stdout."""
    result = program.run(*arguments)
    assert (2, "") == (result.code, result.out)
    assert result.err


def test_wrong_usage_still_makes_a_document(program: Program) -> None:
    """With -o json a command line that cannot be parsed is told in a document, too."""
    for arguments in (
        ["all", "-o", "json", "--nope"],
        ["all", "--nope", "--output=json"],
        ["all", "-ojson", "--jobs", "x"],
    ):
        result = program.run(*arguments)
        assert (2, ["usage"]) == (result.code, [error["code"] for error in result.json["errors"]])
    assert "usage" == program.run("all", "--nope", env={"BALCLI_OUTPUT": "json"}).json["errors"][0]["code"]


def test_the_output_can_come_from_the_environment(program: Program) -> None:
    """BALCLI_OUTPUT chooses the format, and the option overrules it."""
    env = {"BALCLI_OUTPUT": "json"}
    assert program.run("all", "--sandbox", env=env).json["complete"]
    assert program.run("all", "--sandbox", "-o", "table", env=env).out.lstrip().startswith("TOTAL")


def test_nonzero_hides_and_tells(program: Program) -> None:
    """--nonzero leaves out rows and totals of 0, in both formats, and both say so."""
    table = program.run("all", "--sandbox", "--nonzero").out
    assert "1 row of zeros hidden" in table
    assert "USDC" not in table
    document = program.run("all", "--sandbox", "--nonzero", "-o", "json").json
    assert "USDC" not in {row["asset"] for row in document["balances"] + document["totals"]}
    assert ["rows.hidden"] == [warning["code"] for warning in document["warnings"]]


BUG = """
import sys
from balcli.cli import app
import balcli.report
from balcli.secret import Secret
def broken(*args, **kwargs):
    key = Secret("a-very-secret-key")
    raise LookupError("a-very-secret-key")
balcli.report.build = broken
sys.exit(app.run(["all", "--sandbox", "-o", "json"]))
"""


@pytest.mark.parametrize("debug", [False, True])
def test_a_bug_is_one_line(program: Program, debug: bool) -> None:
    """A bug ends with exit code 1, one line to report and a document; a traceback, without secrets, only on request."""
    done = subprocess.run(
        [sys.executable, "-c", BUG],
        env=program.environment({"BALCLI_DEBUG": "1"} if debug else {}),
        cwd=ROOT,
        capture_output=True,
        check=False,
        text=True,
    )
    assert (1, "bug") == (done.returncode, json.loads(done.stdout)["errors"][0]["code"])
    assert done.stderr.startswith("balcli: this is a bug in balcli")
    assert debug == ("Traceback" in done.stderr)
    assert "a-very-secret-key" not in done.stdout + done.stderr


def test_version_and_help(program: Program) -> None:
    """--version prints one line; -h and --help are the same, also on each command."""
    assert re.fullmatch(r"balcli [0-9]+\.[0-9]+\.[0-9]+\n", program.run("--version").out)
    assert program.run("-h").out == program.run("--help").out
    for command in ("loopring", "wallet", "merchant", "all", "sandbox"):
        result = program.run(command, "--help")
        assert (0, "") == (result.code, result.err)
        assert f"Usage: balcli {command} [OPTIONS]" in result.out


def test_the_sandbox_command_prints_a_profile_that_works(program: Program) -> None:
    """`balcli sandbox` prints a profile; a run with it is complete, and each request is logged without its query."""
    process = program.start("sandbox", "--latency", "1")
    assert process.stdout is not None
    text = b""
    while b"merchant_id = 0" not in text:
        text += process.stdout.readline()
    result = program.with_profile(text.decode(), "all", "-o", "json")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=10)
    assert (0, True, 4) == (result.code, result.json["complete"], len(result.json["accounts"]))
    assert 130 == process.returncode
    assert b"balcli: GET /merchant/v2/token/generate 200\n" in err
    assert b"signature" not in err


WITH_SANDBOX = {
    "loopring": [],
    "wallet": [],
    "merchant": [],
    "all": [],
    "check": ["--asset", "USDT", "--crit", "0:"],
    "diff": ["--live"],
    "doctor": ["--offline"],
    "history": [],
}
"""The commands that take --sandbox, each with what it needs beside that; without `mcp`, which waits for a client."""


def test_every_command_with_a_sandbox_is_listed() -> None:
    """The list names all of them."""
    assert WITH_SANDBOX.keys() | {"mcp"} == {
        name for name in COMMANDS for each in load(name).params if "--sandbox" in each.opts
    }


@pytest.mark.whole
@each_case(
    ("command", "option"),
    sampled(
        [
            (command, option)
            for command in WITH_SANDBOX
            for option in ("-p=main", "-c=x.toml", "--env-file=x")
            if any(option.partition("=")[0] in each.opts for each in load(command).params)
        ],
        2,
    ),
)
def test_a_profile_beside_the_sandbox_is_wrong_usage(program: Program, command: str, option: str) -> None:
    """A named profile, or its file, would go unseen: 2 (3 for `check`), in either order, and nothing is run."""
    name, _, value = option.partition("=")
    code = 3 if command == "check" else 2
    for arguments in (["--sandbox", name, value], [name, value, "--sandbox"]):
        result = program.run(command, *WITH_SANDBOX[command], *arguments, "-o", "json")
        assert (code, "usage") == (result.code, json.loads(result.out)["errors"][0]["code"])
        assert "--sandbox has its own profile; remove --sandbox or --" in result.err


@each_case("command", [name for name in WITH_SANDBOX if name != "diff"])
def test_the_environments_profile_does_not_stand_in_the_sandboxs_way(program: Program, command: str) -> None:
    """Variables that name a profile are for other runs, and `-p sandbox` names the sandbox's own."""
    env = {"BALCLI_CONFIG": "/nonexistent/x.toml", "BALCLI_PROFILE": "main"}
    for arguments in ([], ["-p", "sandbox"]):
        result = program.run(command, *WITH_SANDBOX[command], "--sandbox", *arguments, env=env)
        assert (0, "") == (result.code, result.err)


@each_case("number", [signal.SIGINT, signal.SIGTERM])
def test_the_sandbox_writes_its_profile_and_removes_it(program: Program, number: int) -> None:
    """The file of --profile is the user's alone, whatever the umask, works while the sandbox runs, and goes with it."""
    file = program.folder / "new" / "a profile.toml"
    process = _sandbox_with(program, file, umask=0)
    result = program.run("all", "-o", "json", "-c", str(file))
    assert (0, 0o600) == (result.code, stat.S_IMODE(file.stat().st_mode))
    _, err = _ended(process, number)
    assert (128 + number, False) == (process.returncode, file.exists())
    assert b"balcli: sandbox at http://127.0.0.1:" in err
    assert f"; try balcli all -c '{file}'; press Ctrl-C to stop\n".encode() in err


def test_the_sandbox_keeps_a_profile_that_was_edited(program: Program) -> None:
    """What the user added is neither removed at the end nor replaced by the next sandbox."""
    process = _sandbox_with(program, program.file)
    edited = program.file.read_text() + "[[profiles.sandbox.limits]]\nasset = 'BTC'\ncrit = '1:'\n"
    program.file.write_text(edited)
    _ended(process, signal.SIGINT)
    assert edited == program.file.read_text()
    result = program.run("sandbox", "--profile", str(program.file))
    assert (3, "", edited) == (result.code, result.out, program.file.read_text())


def test_the_sandbox_replaces_the_profile_of_a_killed_one(program: Program) -> None:
    """A file that a killed sandbox left makes room, also for another fault; of two that run, the last one's file stays."""
    killed = _sandbox_with(program, program.file)
    _ended(killed, signal.SIGKILL)
    left = program.file.read_text()
    first = _sandbox_with(program, program.file, "--fault", "wallet:no-listener")
    second = _sandbox_with(program, program.file)
    _ended(first, signal.SIGINT)
    assert left != program.file.read_text()
    assert 0 == program.run("all", "-c", str(program.file)).code
    _ended(second, signal.SIGINT)
    assert not program.file.exists()


@each_case("kind", ["text", "empty", "folder", "dangling link", "FIFO", "no folder"])
def test_the_sandbox_leaves_what_is_there(program: Program, kind: str) -> None:
    """Whatever else is at the path of --profile stays as it is: 3, or 9 where no file can be made, with what to do."""
    file = program.file
    if kind in {"text", "empty"}:
        file.write_text("[profiles.main]\n" if kind == "text" else "")
    elif kind == "folder":
        file.mkdir()
    elif kind == "FIFO":
        os.mkfifo(file)
    elif kind == "dangling link":
        file.symlink_to(program.folder / "elsewhere")
    else:
        file.write_text("")
        file = file / "in a file"
    before = program.file.lstat()
    result = program.run("sandbox", "--profile", str(file))
    assert (9 if kind == "no folder" else 3, "") == (result.code, result.out)
    assert result.err.endswith("use another file with --profile\n")
    assert (before.st_ino, before.st_mode, before.st_mtime_ns) == (
        program.file.lstat().st_ino,
        program.file.lstat().st_mode,
        program.file.lstat().st_mtime_ns,
    )


def _sandbox_with(program: Program, file: Path, *arguments: str, umask: int = 0o022) -> Running:
    """A sandbox that has written its profile to this file."""
    process = program.start("sandbox", "--profile", str(file), *arguments, umask=umask)
    assert process.stdout is not None
    assert f"{file}\n".encode() == process.stdout.readline()
    return process


def _ended(process: Running, number: int) -> tuple[bytes, bytes]:
    """What a process still writes after this signal."""
    process.send_signal(number)
    return process.communicate(timeout=10)


def test_the_sandbox_lists_its_faults_and_refuses_others(program: Program) -> None:
    """`--faults` lists what `--fault` takes, with exit codes; a port that is taken is told."""
    heading, *lines = program.run("sandbox", "--faults").out.splitlines()
    assert ["NAME", "EXIT", "WHAT", "HAPPENS"] == heading.split()
    codes = {name: int(code) for name, code, *_ in (line.split() for line in lines)}
    assert {"refused": 4, "flaky": 0, "limited": 7, "silent": 5, "amount": 6} == {
        name: codes[name] for name in ("refused", "flaky", "limited", "silent", "amount")
    }
    assert 2 == program.run("sandbox", "--fault", "nope").code
    with Sandbox() as server:
        result = program.run("sandbox", "--port", server.url.rsplit(":", 1)[1])
        assert (9, 1) == (result.code, len(result.err.splitlines()))
