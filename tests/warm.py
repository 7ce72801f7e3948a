"""A process that has imported balcli once and forks for each run: a fork costs a tenth of a start.

`python -m tests.warm ADDRESS` serves runs at the Unix socket ADDRESS until its stdin is closed. A request is a
JSON object (`arguments`, `environment`, `cwd`, and optionally `umask` and `session`) with three file descriptors for
the run's streams. The response is two lines: the run's process id and its exit status.

Settings of the interpreter's start (flags, encoding, warnings, imported modules) are the same in every fork, so tests
of these need a new process. PYTHONPATH is an exception: its folders are searched, their modules replace imported ones,
and balcli is imported again.
"""

import atexit
import contextlib
import errno
import fcntl
import gc
import importlib
import io
import json
import os
import pkgutil
import select
import signal
import socket
import subprocess
import sys
import tempfile
import termios
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NoReturn

ROOT: Final = Path(__file__).parent.parent
LIBRARIES: Final = (
    *("base64", "certifi", "csv", "difflib", "dotenv", "email.utils", "hmac", "http.server"),
    *("requests", "shlex", "sqlite3", "ssl", "statistics", "subprocess", "tomli", "urllib3"),
    *("encodings.ascii", "encodings.utf_8_sig", "typer._click.decorators"),
)
"""The modules that runs import late. rich is not included, because runs behave differently if it is loaded."""
_DECIDED_AT_START: Final = ("PYTHON", "LC_", "LANG", "LD_", "MALLOC", "GLIBC_")
_SECONDS_TO_START: Final = 60
_COMMAND: Final = """\
#!{python} -IS
import json, os, socket, sys
request = {{"arguments": sys.argv[1:], "environment": dict(os.environ), "cwd": os.getcwd()}}
with socket.socket(socket.AF_UNIX) as connection:
    connection.connect({address!r})
    socket.send_fds(connection, [json.dumps(request).encode()], [0, 1, 2])
    connection.shutdown(socket.SHUT_WR)
    _, status = connection.makefile().read().split()
code = os.waitstatus_to_exitcode(int(status))
os._exit(code if code >= 0 else 128 - code)
"""


def needs_own_process(environment: Mapping[str, str]) -> list[str]:
    """The variables of an environment that only a starting interpreter reads."""
    return [name for name in environment if name.startswith(_DECIDED_AT_START) and name != "PYTHONPATH"]


class Warm:
    """The client. It starts the process with the first run, and `close` ends it."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="balcli-")
        self._address = str(Path(self._folder.name) / "warm")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.warm", self._address],
            cwd=ROOT,
            env=dict(environment),
            stdin=subprocess.PIPE,
        )

    def run(
        self,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        cwd: Path,
        seconds: float,
        columns: int | None = None,
        umask: int = 0o022,
    ) -> tuple[int, bytes, bytes]:
        """The exit code of one run as in `subprocess`, and what it wrote to stdout and stderr.

        With `columns`, stdout is a terminal of that width. If the run takes longer than that many seconds, it is
        killed, and subprocess.TimeoutExpired is raised.
        """
        out, out_of_run = os.pipe() if columns is None else _terminal(columns)
        err, err_of_run = os.pipe()
        with open(os.devnull, "rb") as nothing:  # noqa: PTH123 - a device
            streams = (nothing.fileno(), out_of_run, err_of_run)
            connection = self.start(arguments, environment, cwd, streams, umask=umask)
        with connection:
            os.close(out_of_run)
            os.close(err_of_run)
            status = connection.fileno()
            received = {out: bytearray(), err: bytearray(), status: bytearray()}
            until = time.monotonic() + seconds
            try:
                _read_all(received, until)
            except TimeoutError:
                with contextlib.suppress(IndexError, ProcessLookupError):
                    os.kill(int(received[status].split()[0]), signal.SIGKILL)
                raise subprocess.TimeoutExpired(["balcli", *arguments], seconds) from None
            finally:
                os.close(out)
                os.close(err)
        _, code = received[status].split()
        return os.waitstatus_to_exitcode(int(code)), bytes(received[out]), bytes(received[err])

    def start(
        self,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        cwd: Path,
        streams: tuple[int, int, int],
        session: bool = False,
        umask: int = 0o022,
    ) -> socket.socket:
        """Start a run with these streams. The socket returns its process id and, at its end, its exit status.

        With `session` the run starts a new session. Its terminal is the first stream that is one.
        """
        request = {
            "arguments": arguments,
            "environment": dict(environment),
            "cwd": str(cwd),
            "umask": umask,
            "session": session,
        }
        connection = self._connected()
        socket.send_fds(connection, [json.dumps(request).encode()], streams)
        connection.shutdown(socket.SHUT_WR)
        return connection

    def install(self, folder: Path) -> None:
        """Write a command `balcli` to a folder. It is a run with the environment and streams of its caller."""
        self._connected().close()
        command = folder / "balcli"
        command.write_text(_COMMAND.format(python=sys.executable, address=self._address))
        command.chmod(0o755)

    def _connected(self) -> socket.socket:
        until = time.monotonic() + _SECONDS_TO_START
        while True:
            connection = socket.socket(socket.AF_UNIX)
            try:
                connection.connect(self._address)
            except OSError:
                connection.close()
                if self._process.poll() is not None or time.monotonic() > until:
                    raise
                time.sleep(0.01)
            else:
                return connection

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()
        self._folder.cleanup()


class Running:
    """A running program, with the methods of `subprocess.Popen` that tests use."""

    def __init__(self, connection: socket.socket, out: int | None, err: int | None) -> None:
        self._connection = connection
        self._told = bytearray()
        self.stdout, self.stderr = (
            None if stream is None else io.FileIO(stream, "rb") for stream in (out, err)
        )
        self.returncode: Any = None

    @property
    def pid(self) -> int:
        """The run's process id."""
        while b"\n" not in self._told:
            self._told += self._connection.recv(64)
        return int(self._told.split()[0])

    def poll(self) -> Any:
        """The exit code; None while it is running."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._until_ended({}, 0)
        return self.returncode

    def communicate(self, timeout: float = 60) -> tuple[bytes, bytes]:
        """Read its pipes to their ends and wait for its exit. Raises subprocess.TimeoutExpired."""
        received = {each.fileno(): bytearray() for each in (self.stdout, self.stderr) if each}
        self._until_ended(received, timeout)
        texts = [bytes(received[each.fileno()]) if each else b"" for each in (self.stdout, self.stderr)]
        self._close()
        return texts[0], texts[1]

    def _until_ended(self, received: dict[int, bytearray], timeout: float) -> None:
        status = {} if self.returncode is not None else {self._connection.fileno(): self._told}
        try:
            _read_all(received | status, time.monotonic() + timeout)
        except TimeoutError:
            raise subprocess.TimeoutExpired(["balcli"], timeout) from None
        self.returncode = os.waitstatus_to_exitcode(int(self._told.split()[1]))

    def send_signal(self, number: int) -> None:
        """Send it a signal, unless it has exited."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End it."""
        self.send_signal(signal.SIGKILL)

    def _close(self) -> None:
        for each in (self.stdout, self.stderr, self._connection):
            if each is not None:
                each.close()
        self.stdout = self.stderr = None


def _terminal(columns: int) -> tuple[int, int]:
    """The two ends of a new terminal, ours and the run's, which does not change the bytes."""
    ours, of_run = os.openpty()
    attributes = termios.tcgetattr(of_run)
    attributes[1] &= ~termios.OPOST
    termios.tcsetattr(of_run, termios.TCSANOW, attributes)
    termios.tcsetwinsize(of_run, (40, columns))
    return ours, of_run


def _read_all(received: Mapping[int, bytearray], until: float) -> None:
    """Read descriptors to their ends, until that monotonic time. Raises TimeoutError."""
    reading = set(received)
    while reading:
        ready, _, _ = select.select(reading, [], [], max(0.0, until - time.monotonic()))
        if not ready:
            raise TimeoutError
        for stream in ready:
            try:
                piece = os.read(stream, 1 << 16)
            except OSError as problem:  # on Linux: the other end of the terminal is closed
                if problem.errno != errno.EIO:
                    raise
                piece = b""
            received[stream] += piece
            if not piece:
                reading.discard(stream)


def serve(address: str) -> None:
    """Fork for each requested run until stdin is closed. It also returns in the fork of a run."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # background jobs ignore it
    _import_everything()
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(f"{address}.new")
    listener.listen(64)
    os.rename(f"{address}.new", address)  # noqa: PTH104 - once the name exists, clients can connect
    waker, wakened = os.pipe()
    os.set_blocking(wakened, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wakened)
    running: dict[int, socket.socket] = {}
    while True:
        ready, _, _ = select.select([listener.fileno(), waker, 0], [], [])
        if waker in ready:
            os.read(waker, 1 << 16)
            _tell_ended(running)
        if 0 in ready:
            os._exit(0)
        if listener.fileno() in ready:
            connection, _ = listener.accept()
            request, streams = _received(connection)
            if request is None:
                connection.close()
                continue
            run = os.fork()
            if run == 0:
                for inherited in (listener, connection, *running.values()):
                    inherited.close()
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                os.close(waker)
                os.close(wakened)
                _become(request, streams)
            for stream in streams:
                os.close(stream)
            running[run] = connection
            with contextlib.suppress(OSError):
                connection.sendall(f"{run}\n".encode())


def _import_everything() -> None:
    """Import balcli and the modules of its runs, and exclude them from garbage collection."""
    import balcli

    for module in pkgutil.walk_packages(balcli.__path__, "balcli."):
        if (
            module.name != "balcli.cli.tools"
        ):  # it needs the extra `mcp`, and each of its calls is another process
            importlib.import_module(module.name)
    for name in (*LIBRARIES, "tests.faults"):
        importlib.import_module(name)
    app = importlib.import_module("balcli.cli.app")
    for name in app.COMMANDS:
        app.load(name)  # fills caches: regular expressions, type hints
    gc.collect()
    gc.freeze()


def _tell_ended(running: dict[int, socket.socket]) -> None:
    """Send the exit statuses of the runs that have exited, and forget them."""
    with contextlib.suppress(ChildProcessError):
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            run, status = ended
            with running.pop(run) as connection, contextlib.suppress(OSError):
                connection.sendall(f"{status}\n".encode())


def _received(connection: socket.socket) -> tuple[Any, list[int]]:
    """A complete request (None if nothing was sent) and the descriptors of its streams."""
    data, streams, _, _ = socket.recv_fds(connection, 1 << 16, 3)
    while piece := connection.recv(1 << 16):
        data += piece
    return json.loads(data) if data else None, streams


def _become(request: Any, streams: list[int]) -> NoReturn:
    """Become `balcli ARGUMENTS`, from its streams to its exit."""
    if request.get("session"):
        os.setsid()
        if terminals := [*filter(os.isatty, streams)]:
            fcntl.ioctl(terminals[0], termios.TIOCSCTTY, 0)
    for number, descriptor in enumerate(streams):
        os.dup2(descriptor, number)
        os.close(descriptor)
    coerced = {name: os.environ[name] for name in ("LC_CTYPE",) if name in os.environ}
    os.environ.clear()
    os.environ.update(coerced | request["environment"])
    if "TZ" in request["environment"]:
        time.tzset()
    os.chdir(request["cwd"])
    os.umask(request.get("umask", 0o022))
    _search(request["environment"].get("PYTHONPATH", ""))
    if "--fault" in request["arguments"]:
        importlib.import_module("tests.faults").register()
    sys.argv = [str(ROOT / "balcli" / "__main__.py"), *request["arguments"]]
    # New streams, because the inherited ones were made for other descriptors.
    sys.stdin = sys.__stdin__ = _stream(0, "r")  # type: ignore[misc]
    sys.stdout = sys.__stdout__ = _stream(1, "w")  # type: ignore[misc]
    sys.stderr = sys.__stderr__ = _stream(2, "w")  # type: ignore[misc]
    code = 0
    try:
        from balcli.__main__ import main

        main()
    except SystemExit as ending:
        code = ending.code if isinstance(ending.code, int) else 1
    # Only the visible steps of an interpreter's exit: finalizing all modules would copy every page.
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            code = 120
    os._exit(code)


def _search(path: str) -> None:
    """Search these folders for modules first, also for imported ones, as at the start."""
    folders = [folder for folder in path.split(os.pathsep) if folder and Path(folder) != ROOT]
    if not folders:
        return
    sys.path[1:1] = folders
    there = {module.name for module in pkgutil.iter_modules(folders)}
    for name in [*sys.modules]:
        if name.partition(".")[0] in {"balcli", *there}:
            del sys.modules[name]
    if "sitecustomize" in there:
        importlib.import_module("sitecustomize")


def _stream(number: int, mode: str) -> io.TextIOWrapper:
    errors = {0: "strict", 1: "strict", 2: "backslashreplace"}[number]
    return open(number, mode, encoding="utf-8", errors=errors, closefd=False)  # type: ignore[return-value]


if __name__ == "__main__":
    serve(sys.argv[1])
