"""Profiles, `.env` files and secrets that come out of FIFOs and process substitutions: read once, and not for ever."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Final

import pytest

from balcli.sandbox import Sandbox
from balcli.sandbox.merchant import TOKEN
from tests.conftest import ROOT, Program, Result
from tests.generated import sampled
from tests.lists import each_case
from tests.profiles import codes, private

PLACES: Final = ("--config", "--env-file", ".env", "X_file", "variable")
"""What a FIFO can stand for: an option, the file beside the profile, a secret's file, one that a variable names."""


class _Setting:
    """A profile, with a FIFO in the place of one of its files."""

    def __init__(self, program: Program, url: str, place: str, mode: int = 0o600) -> None:
        self.program = program
        self.options = ["-c", str(program.file)]
        self.env: dict[str, str] = {}
        self.fifo = program.folder / (place if place == ".env" else "fifo")
        os.mkfifo(self.fifo)
        self.fifo.chmod(mode)
        secret = {
            "--env-file": "token = '${TOKEN}'",
            ".env": "token = '${TOKEN}'",
            "X_file": "token_file = 'fifo'",
        }
        accounts = "".join(
            f'[[profiles.main.merchant]]\nname = "m{number}"\nbase_url = "{url}/merchant"\n'
            f"merchant_id = {number}\n{secret.get(place, f'token = {TOKEN!r}')}\n"
            for number in (12345, 12346)
        )
        self.content = {"--config": accounts, "X_file": TOKEN, "variable": TOKEN}.get(
            place, f"TOKEN={TOKEN}\n"
        ).encode()
        if place == "--config":
            self.options = ["-c", str(self.fifo)]
        else:
            program.write(accounts)
        if place == "--env-file":
            self.options += ["--env-file", str(self.fifo)]
        if place == "variable":
            self.options = []
            self.env = {
                "BALCLI_MERCHANT_TOKEN_FILE": str(self.fifo),
                "BALCLI_MERCHANT_BASE_URL": f"{url}/merchant",
            }

    def run(self, *command: str, timeout: float = 60) -> Result:
        return self.program.run(*command, *self.options, env=self.env, timeout=timeout)

    def written(self, *pieces: bytes, pause: float = 0.0) -> "_Writer":
        return _Writer(self.fifo, pieces or (self.content,), pause)


class _Writer:
    """A process that waits for a reader of a FIFO and writes to it once."""

    def __init__(self, fifo: Path, pieces: tuple[bytes, ...], pause: float) -> None:
        code = (
            "import os, sys, time\nfifo, pause, *pieces = sys.argv[1:]\ntime.sleep(float(pause))\n"
            "with open(fifo, 'wb', buffering=0) as file:\n"
            "    for piece in pieces:\n        time.sleep(float(pause))\n        file.write(piece.encode())\n"
        )
        self._arguments = [
            sys.executable,
            "-c",
            code,
            str(fifo),
            str(pause),
            *(piece.decode() for piece in pieces),
        ]

    def __enter__(self) -> "subprocess.Popen[bytes]":
        self.process = subprocess.Popen(self._arguments)
        return self.process

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()


@pytest.mark.parametrize("place", PLACES)
def test_a_fifo_is_read_once(program: Program, sandbox: Sandbox, place: str) -> None:
    """Each command reads it once, wherever it needs it, also for two accounts; its writer writes once and ends."""
    setting = _Setting(program, sandbox.url, place)
    commands = [["merchant", "-o", "json"], ["doctor"], ["check", "--asset", "BTC", "--crit", "0:"]]
    commands += [] if place == "variable" else [["config", "check"], ["config", "show"]]
    for command in commands:
        with setting.written() as writer:
            result = setting.run(*command)
            assert (0, command) == (result.code, command), result.err
            assert command[:2] == ["config", "show"] or 0 == writer.wait(timeout=10)


@pytest.mark.whole
@each_case("place", sampled(PLACES, 3))
def test_a_writer_that_comes_late_and_writes_slowly(program: Program, sandbox: Sandbox, place: str) -> None:
    """It is waited for, and its pieces are put together."""
    setting = _Setting(program, sandbox.url, place)
    middle = len(setting.content) // 2
    with setting.written(setting.content[:middle], b"", setting.content[middle:], pause=0.4):
        assert 0 == setting.run("merchant").code


def test_process_substitutions_are_files(program: Program, sandbox: Sandbox) -> None:
    """A profile, variables and a secret, each out of a command of the shell, or of a descriptor that is a file."""
    profile = f'[profiles.main.merchant]\nbase_url = "{sandbox.url}/merchant"\ntoken_file = "${{WHERE}}"\n'
    private(program.folder / "kept", profile.encode())
    script = (
        f'balcli() {{ "{sys.executable}" -m balcli "$@"; }}\n'
        "balcli merchant -q -o json -c <(cat kept) --env-file <(echo WHERE=/dev/fd/9) 9< <(echo "
        + TOKEN
        + ") && "
        "balcli merchant -q -o json -c /dev/fd/8 --env-file <(echo WHERE=$PWD/token) 8< kept"
    )
    private(program.folder / "token", TOKEN.encode())
    done = subprocess.run(
        ["bash", "-c", script],
        env=program.environment({"PYTHONPATH": str(ROOT)}),
        cwd=program.folder,
        capture_output=True,
        check=False,
        text=True,
    )
    assert (0, "") == (done.returncode, done.stderr)
    assert 2 == done.stdout.count('"complete": true')


@pytest.mark.parametrize("place", PLACES)
def test_a_fifo_without_a_writer_is_3(program: Program, place: str) -> None:
    """By the deadline where that is shorter, and still with the code of a configuration."""
    setting = _Setting(program, "http://127.0.0.1:9", place)
    start = time.monotonic()
    result = setting.run("merchant", "-o", "json", "--deadline", "1")
    assert (3, True) == (result.code, codes(result)[0] in {"config.file", "config.secret"})
    assert (
        f"{setting.fifo} cannot be read: no process wrote to it for 1 s; start its writer first" in result.err
    )
    assert time.monotonic() - start < 8


def test_a_fifo_without_a_writer_is_waited_for_10_seconds(program: Program) -> None:
    """Where there is more time, a FIFO has 10 seconds."""
    setting = _Setting(program, "http://127.0.0.1:9", "--config")
    assert "no process wrote to it for 10 s; " in setting.run("merchant").err


@pytest.mark.whole
@each_case("place", sampled(PLACES, 3))
def test_a_writer_that_does_not_end_costs_the_deadline(program: Program, tmp_path: Path, place: str) -> None:
    """One that holds the FIFO open, with and without a word, ends the run with 3."""
    setting = _Setting(program, "http://127.0.0.1:9", place)
    for content in (b"", b"# a piece\n"):
        opened = os.open(setting.fifo, os.O_RDWR)
        os.write(opened, content)
        result = setting.run("merchant", "-o", "json", "--deadline", "1")
        os.close(opened)
        assert (3, True) == (result.code, "its writer did not close it for 1 s" in result.err)


@each_case("place", PLACES)
def test_more_than_a_file_may_have_is_refused(program: Program, place: str) -> None:
    """A FIFO has the bounds of a file, and is not read any further."""
    setting = _Setting(program, "http://127.0.0.1:9", place)

    def pour() -> None:
        try:
            with setting.fifo.open("wb") as fifo:
                for _ in range(100):
                    fifo.write(b"#" * 100_000)
        except BrokenPipeError:
            return

    pouring = threading.Thread(target=pour)
    pouring.start()
    result = setting.run("merchant", "-o", "json")
    pouring.join(20)
    assert (3, True, False) == (result.code, "is larger than " in result.err, pouring.is_alive())


@each_case(
    ("place", "mode", "told"),
    [
        *((place, 0o666, "can be written by others; chmod 600") for place in PLACES),
        *((place, 0o620, "can be written by others; chmod 600") for place in PLACES),
        *(
            (place, 0o644, "is readable by everyone; chmod 600")
            for place in ("--config", "--env-file", ".env")
        ),
    ],
)
def test_a_fifo_has_the_rules_of_a_file(program: Program, place: str, mode: int, told: str) -> None:
    """Who may write it, and read it where it holds secrets, is judged as of a file; nothing waits for a writer then."""
    setting = _Setting(program, "http://127.0.0.1:9", place, mode)
    with setting.written():
        result = setting.run("merchant", "-o", "json")
    assert (3, True) == (result.code, told in result.err)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give files away")
def test_another_users_fifo_is_refused(program: Program) -> None:
    """Its owner is judged as that of a file."""
    setting = _Setting(program, "http://127.0.0.1:9", "--config")
    os.chown(setting.fifo, 12345, -1)
    with setting.written():
        assert "belongs to '#12345'; run as that user" in setting.run("merchant").err


@each_case("place", PLACES)
def test_a_watch_refuses_a_fifo(program: Program, place: str) -> None:
    """`--watch` reads its files at each look, which a FIFO cannot give: 3, and it is not opened."""
    setting = _Setting(program, "http://127.0.0.1:9", place)
    with setting.written() as writer:
        result = setting.run("merchant", "--watch", "1", "-o", "json", timeout=20)
        assert (3, None) == (result.code, writer.poll())
    assert "it is a FIFO, which --watch cannot read again" in result.err


@each_case("env", [{}, {"BALCLI_CONFIG": "fifo"}])
def test_a_completion_opens_no_fifo(program: Program, env: dict[str, str]) -> None:
    """Names are not looked for in a FIFO, whose content is for the run."""
    setting = _Setting(program, "http://127.0.0.1:9", "--config")
    words = "balcli merchant " if env else f"balcli merchant -c {setting.fifo} "
    asked = {"_BALCLI_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(len(words.split()))}
    with setting.written() as writer:
        result = program.run(env=asked | {name: str(setting.fifo) for name in env}, timeout=10)
        assert (0, "", "", None) == (result.code, result.out.strip(), result.err, writer.poll())
