"""Secret commands as processes: prompts on a terminal, groups, children that live on, time-outs, interrupts."""

import fcntl
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import termios
import time
from pathlib import Path
from typing import Any, Final

import pytest

from balcli.sandbox import Sandbox
from balcli.sandbox.merchant import TOKEN
from tests.conftest import ROOT, Program, wait_until
from tests.generated import sampled
from tests.lists import each_case
from tests.warm import Running

BALCLI: Final = [sys.executable, "-m", "balcli"]


def _write(program: Program, url: str, command: list[str], settings: str = "") -> Path:
    """A profile with one account, whose token a command prints."""
    return program.write(
        f"[profiles.main]\n{settings}\n[profiles.main.merchant]\n"
        f'base_url = "{url}/merchant"\ntoken_command = {json.dumps(command)}\n'
    )


def _start(program: Program, *arguments: str, **streams: Any) -> Running:
    """A run in a session of its own, without a controlling terminal unless a stream is one."""
    command = ("merchant", "-q", "-o", "json", "-c", str(program.file), *arguments)
    return program.start(*command, session=True, **streams)


class _Terminal:
    """A run whose controlling terminal this is, and what the terminal has shown."""

    def __init__(self, program: Program, *arguments: str, **streams: int) -> None:
        self.ours, theirs = pty.openpty()
        self.process = _start(program, *arguments, **{"stdin": theirs, "stderr": theirs, **streams})
        os.close(theirs)
        self.shown = b""

    def until(self, words: bytes) -> None:
        """Wait till the terminal shows these words."""
        limit = time.monotonic() + 30
        while words not in self.shown:
            assert time.monotonic() < limit, self.shown
            if select.select([self.ours], [], [], 1)[0]:
                self.shown += os.read(self.ours, 65536)

    def type(self, text: bytes) -> None:
        os.write(self.ours, text)

    def echoes(self) -> bool:
        """Whether the terminal shows what is typed."""
        return bool(termios.tcgetattr(self.ours)[3] & termios.ECHO)

    def end(self) -> tuple[int, bytes]:
        """The run's exit code, and what it wrote to stdout."""
        out, _ = self.process.communicate(timeout=30)
        while select.select([self.ours], [], [], 0)[0]:
            try:
                self.shown += os.read(self.ours, 65536)
            except OSError:
                break
        return self.process.returncode, out


def _number(file: Path) -> int:
    """A process id that a command has written."""
    wait_until(lambda: file.exists() and file.read_text().endswith("\n"))
    return int(file.read_text())


def _lives(process: int) -> bool:
    """Whether a process runs; one that nobody waits for does not."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] not in {"Z", "X"}
    except FileNotFoundError:
        return False


# Prompts.

PROMPTS: Final = {
    "the terminal": f'printf "PIN: " > /dev/tty; read -r pin < /dev/tty; [ "$pin" = 1234 ] && echo {TOKEN}',
    "stdin": f'printf "PIN: " > /dev/tty; read -r pin; [ "$pin" = 1234 ] && echo {TOKEN}',
    "a name": f'printf "PIN: " > "$(tty)"; read -r pin < "$(tty)"; [ "$pin" = 1234 ] && echo {TOKEN}',
}
GETPASS: Final = f"import getpass; print('{TOKEN}' if getpass.getpass('PIN: ') == '1234' else '')"


@pytest.mark.parametrize(
    "command",
    [*(["sh", "-c", script] for script in PROMPTS.values()), [sys.executable, "-c", GETPASS]],
    ids=[*PROMPTS, "getpass"],
)
@pytest.mark.parametrize("streams", [{}, {"stdin": subprocess.DEVNULL}], ids=["", "stdin elsewhere"])
def test_a_command_can_prompt(
    program: Program, sandbox: Sandbox, command: list[str], streams: dict[str, Any]
) -> None:
    """On a terminal a command asks and reads, by /dev/tty, stdin or the terminal's name, also where stdin is another file."""
    _write(program, sandbox.url, command)
    terminal = _Terminal(program, **streams)
    terminal.until(b"PIN: ")
    time.sleep(0.2)
    terminal.type(b"1234\n")
    code, out = terminal.end()
    assert (0, True, True) == (code, json.loads(out)["complete"], terminal.echoes())


def test_a_prompt_that_nobody_answers_ends_with_the_time_out(program: Program) -> None:
    """The command is ended, the code is 3, and the terminal shows what is typed again."""
    _write(program, "http://127.0.0.1:9", [sys.executable, "-c", GETPASS], "command_timeout = 2")
    terminal = _Terminal(program)
    terminal.until(b"PIN: ")
    wait_until(lambda: not terminal.echoes())
    code, _ = terminal.end()
    assert (3, True) == (code, terminal.echoes())
    shown = re.sub(rb"\x1b\[[0-9;]*m", b"", terminal.shown)
    assert b"took more than 2 s; run it yourself" in shown


def test_ctrl_c_at_a_prompt_ends_both(program: Program, tmp_path: Path) -> None:
    """Ctrl-C reaches the command and the run, which ends with 130 and says nothing; the terminal is as it was."""
    noted = tmp_path / "pid"
    code = f"import os; open({str(noted)!r}, 'w').write(f'{{os.getpid()}}\\n'); {GETPASS}"
    _write(program, "http://127.0.0.1:9", [sys.executable, "-c", code])
    terminal = _Terminal(program)
    terminal.until(b"PIN: ")
    wait_until(lambda: not terminal.echoes())
    terminal.type(b"\x03")
    assert (130, b"") == terminal.end()
    assert terminal.shown.replace(b"^C", b"").strip() == b"PIN:"
    assert (True, False) == (terminal.echoes(), _lives(_number(noted)))


def test_a_run_in_the_background_of_a_terminal_is_not_stopped(program: Program, sandbox: Sandbox) -> None:
    """A command that would prompt fails there; one that does not works."""
    for command, code in ((["sh", "-c", "read -r pin < /dev/tty; echo $pin"], 3), (["echo", TOKEN], 0)):
        file = _write(program, sandbox.url, command)
        ours, theirs = pty.openpty()
        done = subprocess.run(
            [
                "bash",
                "-c",
                'set -m; "$@" & wait $!; echo "code $?"',
                "bash",
                *BALCLI,
                "merchant",
                "-c",
                str(file),
            ],
            env=program.environment(),
            cwd=ROOT,
            start_new_session=True,
            stdin=theirs,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            preexec_fn=lambda: fcntl.ioctl(theirs, termios.TIOCSCTTY, 0),  # noqa: B023 - it runs at once
            pass_fds=[theirs],
            timeout=30,
            check=False,
        )
        os.close(theirs)
        os.close(ours)
        assert done.stdout.endswith(f"code {code}\n".encode())


def test_whose_group_a_command_is_in(program: Program, sandbox: Sandbox, tmp_path: Path) -> None:
    """On a terminal it is ours; without one the command has a group of its own."""
    noted = tmp_path / "groups"
    code = (
        f"import os; open({str(noted)!r}, 'w').write(f'{{os.getpid()}} {{os.getpgrp()}}'); print('{TOKEN}')"
    )
    _write(program, sandbox.url, [sys.executable, "-c", code])
    terminal = _Terminal(program)
    assert 0 == terminal.end()[0]
    command, group = map(int, noted.read_text().split())
    assert terminal.process.pid == group != command
    process = _start(program)
    process.communicate(timeout=30)
    command, group = map(int, noted.read_text().split())
    assert command == group


# Children.


@pytest.mark.parametrize("on_terminal", [False, True])
@pytest.mark.parametrize("holds", ["sleep 60", "sleep 60 > /dev/null", "sleep 60 < /dev/null 2>&1 &"])
def test_an_agent_lives_on_and_delays_nothing(
    program: Program, sandbox: Sandbox, tmp_path: Path, holds: str, on_terminal: bool
) -> None:
    """A child in the background, with or without the command's stdout, is neither waited for nor ended."""
    noted = tmp_path / "agent"
    _write(program, sandbox.url, ["sh", "-c", f"{holds.rstrip('&')} & echo $! > {noted}; echo {TOKEN}"])
    start = time.monotonic()
    if on_terminal:
        code, _ = _Terminal(program).end()
    else:
        process = _start(program)
        process.communicate(timeout=30)
        code = process.returncode
    agent = _number(noted)
    # A terminal that ends takes its foreground with it.
    assert (0, True) == (code, on_terminal or _lives(agent))
    assert time.monotonic() - start < 20
    if _lives(agent):
        os.kill(agent, signal.SIGKILL)


def test_what_is_printed_last_counts(program: Program, sandbox: Sandbox) -> None:
    """All that a command prints until its exit is read, also behind a child that holds its stdout."""
    parts = [TOKEN[:5], TOKEN[5:9], TOKEN[9:]]
    script = "sleep 60 & " + "; sleep 0.1; ".join(f"printf {part}" for part in parts)
    _write(program, sandbox.url, ["sh", "-c", f"trap 'kill %1' USR1; {script}"])
    process = _start(program)
    process.communicate(timeout=30)
    assert 0 == process.returncode


@each_case(("number", "code"), [(None, 3), (signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_nothing_outlives_a_run_that_is_cut_short(
    program: Program, tmp_path: Path, number: signal.Signals | None, code: int
) -> None:
    """At a time-out and at each signal the command ends with its children, also one that ignores signals."""
    noted = tmp_path / "child"
    script = f"trap '' INT TERM HUP; sleep 60 & echo $! > {noted}; wait"
    _write(program, "http://127.0.0.1:9", ["sh", "-c", script])
    process = _start(program, *(["--deadline", "2"] if number is None else []))
    child = _number(noted)
    assert _lives(child)
    start = time.monotonic()
    if number is not None:
        process.send_signal(number)
    out, err = process.communicate(timeout=20)
    assert (code, number is None, number is None) == (process.returncode, bool(out), bool(err))
    assert time.monotonic() - start < 10
    wait_until(lambda: not _lives(child))


def test_a_hangup_that_is_ignored_stays_so(program: Program) -> None:
    """Under nohup a run goes on when its terminal hangs up."""
    with Sandbox(faults=["silent"]) as server:
        _write(program, server.url, ["echo", TOKEN])
        command = ["nohup", *BALCLI, "merchant", "-c", str(program.file), "--deadline", "2"]
        process = subprocess.Popen(
            command, env=program.environment(), cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        wait_until(lambda: server.log)
        process.send_signal(signal.SIGHUP)
        process.wait(timeout=30)
    assert 5 == process.returncode


# How long, and what.

TIMEOUTS: Final = {
    "command_timeout = 120\ndeadline = 120": "",
    "command_timeout = 0.5": "",
    "command_timeout = 60": "",
    "deadline = 5": "",
    "command_timeout = 5\ndeadline = 5": "",
    'command_timeout = "2m"': "",
    'command_timeout = "${SECONDS_OF_A_COMMAND}"': "needs ${SECONDS_OF_A_COMMAND}",
    "command_timeout = 0": "must be above 0 and at most 120 seconds",
    "command_timeout = 121": "must be above 0 and at most 120 seconds",
    'command_timeout = "3m"': "must be above 0 and at most 120 seconds",
    "command_timeout = -1": "must be above 0",
    "command_timeout = true": "must be above 0",
    'command_timeout = "ten"': "is not a duration",
    "command_timeout = nan": "must be above 0",
    "command_timeout = 6\ndeadline = 5": "must not exceed the deadline of 5 s; raise deadline",
    "command_timeout = 10.5\ndeadline = 10": "must not exceed the deadline of 10 s",
}


@pytest.mark.whole
@each_case(("settings", "told"), sampled(TIMEOUTS.items(), 3))
def test_the_seconds_of_a_command(program: Program, sandbox: Sandbox, settings: str, told: str) -> None:
    """`command_timeout` is up to 120 s, and not above a deadline that the profile names."""
    file = _write(program, sandbox.url, ["sh", "-c", f"sleep 0.1; echo {TOKEN}"], settings)
    for command in (["merchant"], ["config", "check"]):
        result = program.run(*command, "-c", str(file))
        assert (3 if told else 0, told in result.err) == (result.code, True)
    assert not told or 'config.toml:2: command_timeout in profile "main" ' in result.err


@each_case(
    ("settings", "options", "seconds"),
    [
        ("command_timeout = 1", (), "1"),
        ("command_timeout = 0.5", ("--deadline", "60"), "0.5"),
        ("", ("--deadline", "1"), "0.9"),
        ("deadline = 1", (), "0.9"),
        ("command_timeout = 20", ("--deadline", "1"), "0.9"),
    ],
)
def test_a_command_that_takes_too_long(
    program: Program, settings: str, options: tuple[str, ...], seconds: str
) -> None:
    """The shorter of its own seconds and the deadline ends it, and the message has that."""
    file = _write(program, "http://127.0.0.1:9", ["sleep", "60"], settings)
    result = program.run("merchant", "-c", str(file), *options)
    assert (3, True) == (result.code, f"sleep took more than {seconds} s; run it yourself" in result.err)


@each_case("lines", [(TOKEN, "user: me"), (TOKEN, ""), ("", TOKEN), (TOKEN, "\r"), ("a", "b", "c")])
def test_an_entry_of_several_lines_is_refused(
    program: Program, sandbox: Sandbox, lines: tuple[str, ...]
) -> None:
    """The message has no line of it and says how to take the first, which then works."""
    shown = "printf '" + "".join(f"{line}\\n" for line in lines) + "'"
    file = _write(program, "http://127.0.0.1:9", ["sh", "-c", shown])
    result = program.run("merchant", "-c", str(file))
    assert 3 == result.code
    assert (
        'sh printed several lines; use only the first one with ["sh", "-c", "sh … | head -n 1"]' in result.err
    )
    assert TOKEN not in result.out + result.err
    file = _write(program, sandbox.url, ["sh", "-c", f"{shown} | head -n 1"])
    assert (0 if lines[0] == TOKEN else 3 if not lines[0] else 4) == program.run(
        "merchant", "-c", str(file)
    ).code


# Before the first line of a run.

EARLY: Final = {
    "an import": "",
    "a class": "class Mark:\n    def __set_name__(self, *_): interrupt()\nclass Made:\n    mark = Mark()\n",
    "a callback": "import weakref\nclass Gone: pass\nmark = Gone()\nheld = weakref.ref(mark, interrupt)\ndel mark\n",
}


@each_case(("happens", "code"), EARLY.items(), ids=EARLY)
def test_ctrl_c_before_a_run_begins_is_silent(
    program: Program, tmp_path: Path, happens: str, code: str
) -> None:
    """While the program is still imported, an interrupt ends it with 130 and no word, wherever it comes."""
    (tmp_path / "typer").mkdir()
    (tmp_path / "typer" / "__init__.py").write_text(
        "import os, signal\ndef interrupt(*_): os.kill(os.getpid(), signal.SIGINT)\n"
        f"{code or 'interrupt()'}\nimport time\ntime.sleep(20)\n"
    )
    done = subprocess.run(
        [*BALCLI, "--version"],
        env=program.environment({"PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])}),
        capture_output=True,
        timeout=15,
        check=False,
    )
    assert (130, b"", b"") == (done.returncode, done.stdout, done.stderr)
