"""Fixtures of the tests: real processes, real sockets, and an empty home."""

import atexit
import functools
import gc
import importlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from balcli import secret
from balcli.render import schema
from balcli.sandbox import Sandbox
from benchmarks.modules import TELLING_MODULES, modules_of
from tests.warm import Running, Warm, needs_own_process

ROOT = Path(__file__).parent.parent


# Rewriting the assertions of all tests takes seconds. Each worker begins with another part of them, and finds
# what the others have written.
sys.dont_write_bytecode = False


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Iterator[None]:
    """Import the test modules in a worker that is to run them all, each worker in an order of its own.

    What is imported and collected stays to the end, so the collector of garbage need not look at it.
    """
    gc.disable()
    worker = os.environ.get("PYTEST_XDIST_WORKER", "")
    if worker and not session.config.option.file_or_dir:
        names = sorted(path.stem for path in Path(__file__).parent.glob("test_*.py"))
        first = int(worker[2:]) * len(names) // int(os.environ["PYTEST_XDIST_WORKER_COUNT"])
        for name in (*names[first:], *names[:first]):
            importlib.import_module(f"tests.{name}")
    result = yield
    gc.freeze()
    gc.enable()
    return result


@pytest.hookimpl(optionalhook=True)  # mutants are tried without xdist
def pytest_xdist_auto_num_workers() -> int:
    """Three workers a processor: most tests wait for a process or a clock of their own."""
    return 3 * (os.cpu_count() or 1)


@dataclass(frozen=True)
class Result:
    """The result of one run of the program."""

    code: int
    out: str
    err: str

    @functools.cached_property
    def json(self) -> Any:
        """The document on stdout. Fails the test if it is not exactly one, or a report that violates the schema."""
        made = json.loads(self.out)
        if isinstance(made, dict) and "balances" in made:
            hold_to_schema(made)
        return made


def hold_to_schema(made: object) -> None:
    """Fail the test if a report's document violates the schema, or has a key that is not in the schema."""
    errors = [f"{error.json_path}: {error.message}" for error in _validator().iter_errors(made)]
    assert [] == errors


@functools.cache
def _validator() -> Draft202012Validator:
    return Draft202012Validator(closed(schema.document()))


def closed(part: Any) -> Any:
    """The schema, without additional keys in the objects whose keys it lists completely."""
    if isinstance(part, list):
        return [closed(item) for item in part]
    if not isinstance(part, dict):
        return part
    whole = {"properties", "required"} <= part.keys()
    return {key: closed(item) for key, item in part.items()} | (
        {"additionalProperties": False} if whole else {}
    )


class Program:
    """Runs balcli as a separate process, in an empty home and without this environment."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "config.toml"

    def environment(self, env: Mapping[str, str] | None = None) -> dict[str, str]:
        """The environment of a run: an empty home, and the variables of a test."""
        kept = {name: os.environ[name] for name in ("PATH", "COVERAGE_PROCESS_CONFIG") if name in os.environ}
        # urllib3 does not close the socket of a response with invalid headers.
        warnings = "error,ignore:unclosed:ResourceWarning"
        return {**kept, "HOME": str(self.folder), "PYTHONWARNINGS": warnings, **(env or {})}

    def run(
        self,
        *arguments: str,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        timeout: float = 60,
        own_process: str = "",
        umask: int = 0o022,
    ) -> Result:
        """The exit code and both streams of `balcli ARGUMENTS`, run in a fork of a warm process.

        It is a new process if the test gives a reason for that, or sets a variable that only a starting interpreter
        reads.
        """
        whole = self.environment(env)
        if own_process or needs_own_process(env or {}):
            done = subprocess.run(
                [sys.executable, "-m", "balcli", *arguments],
                env=whole,
                cwd=cwd or ROOT,
                capture_output=True,
                stdin=subprocess.DEVNULL,
                timeout=timeout,
                umask=umask,
                check=False,
            )
            code, out, err = done.returncode, done.stdout, done.stderr
        else:
            code, out, err = warm().run(arguments, whole, cwd or ROOT, timeout, umask=umask)
        assert b"Traceback" not in err, err.decode()
        return Result(code, out.decode(), err.decode())

    def start(
        self,
        *arguments: str,
        env: Mapping[str, str] | None = None,
        stdin: int = subprocess.DEVNULL,
        stdout: int = subprocess.PIPE,
        stderr: int = subprocess.PIPE,
        session: bool = False,
        umask: int = 0o022,
    ) -> Running:
        """A running program, also a fork of a warm process. The streams are as for `subprocess.Popen`.

        With `session` it starts a new session, in which a stream that is a terminal is its controlling terminal.
        """
        opened: list[int] = []
        ours: list[int | None] = []
        streams = []
        for stream in (stdin, stdout, stderr):
            reading = None
            if stream == subprocess.PIPE:
                reading, stream = os.pipe()  # noqa: PLW2901 - the run's end of it
                opened.append(stream)
            elif stream == subprocess.DEVNULL:
                stream = os.open(os.devnull, os.O_RDWR)  # noqa: PLW2901 - the same
                opened.append(stream)
            ours.append(reading)
            streams.append(stream)
        first, second, third = streams
        whole = self.environment(env)
        connection = warm().start(arguments, whole, ROOT, (first, second, third), session, umask)
        for each in opened:
            os.close(each)
        return Running(connection, *ours[1:])

    def loaded(self, *arguments: str, **env: str) -> set[str]:
        """The modules that `balcli ARGUMENTS` has loaded at its end, even if it fails."""
        done = subprocess.run(
            [sys.executable, "-c", TELLING_MODULES, *arguments],
            env=self.environment(env),
            cwd=ROOT,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            check=False,
            text=True,
        )
        modules = modules_of(done.stderr)
        assert "typer" in modules, done.stderr
        return modules

    def write(self, text: str) -> Path:
        """Write the profile file with this text, readable only by its owner."""
        self.file.write_text(text)
        self.file.chmod(0o600)
        return self.file

    def with_profile(
        self, text: str, *arguments: str, env: Mapping[str, str] | None = None, timeout: float = 60
    ) -> Result:
        """Run a command with `--config` and a file with this text."""
        return self.run(*arguments, "--config", str(self.write(text)), env=env, timeout=timeout)


@contextmanager
def secrets_forgotten() -> Iterator[None]:
    """A context that forgets the secrets registered in it."""
    known, encoded = secret._known, secret._filter
    secret._known = {*known}
    secret._filter = secret.CredentialMatcher(secret._SHORTEST_FILTERED)
    yield
    secret._known, secret._filter = known, encoded


@pytest.fixture(autouse=True)
def _secrets_are_forgotten() -> Iterator[None]:
    """Forget the secrets of each test: random ones could occur by chance in another test's output."""
    with secrets_forgotten():
        yield


@functools.cache
def warm() -> Warm:
    """The process that forks for each run. It ends with the test process."""
    started = Warm(Program(Path("/nonexistent")).environment())
    atexit.register(started.close)
    return started


def wait_until(holds: Callable[[], object], seconds: float = 30) -> None:
    """Wait until something holds; fail the test if it does not within that many seconds."""
    limit = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < limit, f"not within {seconds} seconds"
        time.sleep(0.01)


def free_port() -> int:
    """A port of 127.0.0.1 without a listener."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return int(unused.getsockname()[1])


@pytest.fixture
def program(tmp_path: Path) -> Program:
    """The program, in an empty home."""
    return Program(tmp_path)


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """A running sandbox server."""
    with Sandbox() as server:
        yield server
