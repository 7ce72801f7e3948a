"""One run of the program as a real process, with fake secrets, its own host, and strict checks."""

import contextlib
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
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fcntl import ioctl
from pathlib import Path
from threading import Event, Thread
from typing import Any, Final, NamedTuple, TypeAlias

from balcli.sandbox import Sandbox
from balcli.sandbox.exchange import SandboxRequest
from tests import faults
from tests.canary.echoes import EchoingPart
from tests.canary.marked import parts_of, traces
from tests.canary.planting import Planting
from tests.conftest import ROOT
from tests.proof.integers import read, read_units, written

KEYS: Final = {
    "loopring": ("api_key",),
    "wallet": ("password",),
    "merchant": ("api_key", "api_secret"),
}
"""The credentials of each provider's account: the kind with the most steps."""

DEADLINE: Final = 3.0
PATIENCE: Final = 0.5
"""Seconds after its deadline by which a run must have ended."""

MOST_MEMORY: Final = 150 * 1024 * 1024
_LONGEST_LINE: Final = 300
_SIGNALLED: Final = frozenset({130, 141, 143})
_TOP: Final = {"schema_version", "generated_at", "profile", "complete", "exit_code", "coverage", "accounts", "balances", "totals", "warnings", "errors"}  # fmt: skip

# The balances of the sandbox's accounts, as in the responses and in their order.
_LOOPRING: Final = (
    ("ETH", 18, "99476758000000000", "0"),
    ("LRC", 18, "1250500000000000000000", "250250000000000000000"),
    ("USDT", 6, "3120500000", "120500000"),
    ("SNX#24", 18, "42000000000000000001", "0"),
    ("USDC", 6, "0", "0"),
)
_WALLET: Final = (
    ("BTC", "1.25", "0.5", "0"),
    ("USDT", "48210.64", "150", "25.5"),
    ("XRP", "10000", "0", "0"),
)
_MERCHANT: Final = (("USDT", "5000", "4000", "1000"), ("BTC", "2", "1.5", "0.5"))
Row: TypeAlias = tuple[str | None, str | None, str | None, str | None]
"""The asset (None: any), and the total, available and locked amount to show; None is unknown."""


def _shown(value: int | None) -> str | None:
    return None if value is None else written(value)


def expected(provider: str, first: str | None = "", *, twice: bool = False) -> list[Row]:
    """The rows that a run must show, with another or no first amount, or with the first row twice."""
    rows: list[Row] = []
    if provider == "loopring":
        for asset, places, total, locked in _LOOPRING:
            whole, held = (
                read_units(first if first and not rows else total, places),
                read_units(locked, places),
            )
            rows.append((asset, _shown(whole), _shown(whole - held), _shown(held)))
    elif provider == "wallet":
        for asset, balance, hold, lock in _WALLET:
            free = read(first if first and not rows else balance)
            held = read(hold) + read(lock)
            known = rows or first is not None
            rows.append(
                (asset, *((_shown(free + held), _shown(free)) if known else (None, None)), _shown(held))
            )
    else:
        for asset, total, available, locked in _MERCHANT:
            texts = (first if first and not rows else total, available, locked)
            shown = [_shown(read(text)) for text in texts]
            rows.append((asset, shown[0], shown[1], shown[2]))
    rows += rows[:1] if twice else []
    return sorted(rows, key=lambda row: row[0] or "")


class Ended(NamedTuple):
    """The end of a process."""

    code: int
    out: bytes
    err: bytes
    seconds: float
    memory: int


@dataclass
class Stage:
    """Everything around one run. A row changes it before the run starts."""

    provider: str
    output: str
    folder: Path
    planting: Planting
    host: Sandbox
    part: EchoingPart
    options: list[str]
    env: dict[str, str]
    command: str = ""
    stdin: int = subprocess.DEVNULL
    stdout: int | None = subprocess.PIPE
    profile: bool = True
    """Whether the command line has `--config`."""
    during: Callable[[subprocess.Popen[bytes], "Stage"], None] | None = None
    """Called with the running process."""
    read: bool = True
    """Whether stdout is read."""
    hosts: dict[str, Sandbox] = field(default_factory=dict)
    columns: int = 0
    """The width of the terminal at stdout; 0 if it is not a terminal."""
    shell: str = ""
    """The shell script that runs the command line; "" for no shell."""
    afterwards: Callable[[], list[str]] = list
    """Returns what is wrong after the run."""

    @property
    def home(self) -> Path:
        """The home of the run."""
        return self.planting.home

    def file(self, name: str, content: str | bytes, mode: int = 0o600) -> Path:
        """Write a file in the home with this content, which is not counted as the program's."""
        path = self.home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content)
        path.chmod(mode)
        self.planting.files[path] = content if isinstance(content, str) else content.decode("latin-1")
        return path

    def rewrite(self, change: Callable[[str], str]) -> None:
        """Change the text of the profile."""
        self.file("config.toml", change(self.planting.files[self.planting.profile]))

    def customize(self, code: str) -> None:
        """Make the run's interpreter execute this first."""
        (self.folder / "site").mkdir(exist_ok=True)
        (self.folder / "site/sitecustomize.py").write_text(code)
        self.env["PYTHONPATH"] = str(self.folder / "site")

    def run(self) -> Ended:
        """Run the program to its end."""
        named = ["-c", str(self.planting.profile)] if self.profile else []
        arguments = [self.command or self.provider, "-o", self.output, *named, *self.options]
        master = terminal = None
        if self.columns:
            master, terminal = pty.openpty()
            ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, self.columns, 0, 0))
        begun = time.monotonic()
        process = subprocess.Popen(
            [
                *(["sh", "-c", self.shell, "sh"] if self.shell else []),
                sys.executable,
                "-m",
                "balcli",
                *arguments,
            ],
            env=self.env,
            cwd=ROOT,
            stdin=self.stdin,
            stdout=terminal if terminal is not None else self.stdout,
            stderr=subprocess.PIPE,
        )
        pieces: dict[str, bytes] = {"out": b"", "err": b""}
        readers = [Thread(target=_read, args=(pieces, "err", process.stderr and process.stderr.fileno()))]
        if master is not None:
            os.close(terminal or 0)
            readers.append(Thread(target=_read, args=(pieces, "out", master)))
        elif process.stdout is not None and self.read:
            readers.append(Thread(target=_read, args=(pieces, "out", process.stdout.fileno())))
        for reader in readers:
            reader.start()
        if self.during is not None:
            self.during(process, self)
        watch = Watch(process.pid, begun + 60)
        _, status = os.waitpid(process.pid, 0)
        seconds = time.monotonic() - begun
        process.returncode = os.waitstatus_to_exitcode(status)
        watch.over.set()
        for reader in readers:
            reader.join()
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()
        if master is not None:
            os.close(master)
        return Ended(process.returncode, pieces["out"], pieces["err"], seconds, watch.memory)


class Watch:
    """Watches a running process: measures its peak memory in bytes, and kills it if it hangs.

    The memory from `wait4` is not usable, because it includes that of the parent at the fork.
    """

    def __init__(self, process: int, until: float) -> None:
        self.memory = 0
        self.over = Event()
        self._status = Path(f"/proc/{process}/status")
        self._process = process
        self._until = until
        Thread(target=self._look, daemon=True).start()

    def _look(self) -> None:
        while not self.over.wait(0.01):
            with contextlib.suppress(OSError):
                told = re.search(
                    r"VmHWM:\s*([0-9]+) kB", self._status.read_text(encoding="ascii", errors="replace")
                )
                self.memory = max(self.memory, int(told[1]) * 1024 if told else 0)
            if time.monotonic() > self._until:
                os.kill(self._process, signal.SIGKILL)


def _read(pieces: dict[str, bytes], name: str, descriptor: int | None) -> None:
    """Read a descriptor until its end."""
    assert descriptor is not None
    with contextlib.suppress(OSError):  # the end of a terminal
        while piece := os.read(descriptor, 65536):
            pieces[name] += piece


@contextlib.contextmanager
def staged(provider: str, output: str, folder: Path, fault: str = "", way: str = "text") -> Iterator[Stage]:
    """A stage with one account of a provider, secrets from that source, and a host with that fault."""
    planting = Planting(folder / "home")
    secrets = planting.plant(provider, f"/{provider}", KEYS[provider], way)
    part = EchoingPart(provider, provider, secrets, "", "", everywhere=False)
    faults.register()
    played = [f"{provider}:{fault}"] if fault else []
    kept = {name: os.environ[name] for name in ("PATH", "COVERAGE_PROCESS_START") if name in os.environ}
    warnings = "error,ignore:unclosed:ResourceWarning"
    with Sandbox(stand_ins=[part], faults=played) as host:
        planting.write({provider: host.address(provider)})
        env = {**kept, **planting.variables, "HOME": str(planting.home), "PYTHONWARNINGS": warnings}
        limits = ["--deadline", f"{DEADLINE:g}", "--timeout", "1"]
        stage = Stage(provider, output, folder, planting, host, part, limits, env)
        stage.hosts[provider] = host
        yield stage


def judge(stage: Stage, ended: Ended, code: int, rows: list[Row] | None, slack: float) -> list[str]:
    """What is wrong with a run that must end with this code and show these rows (None: not checked)."""
    return [
        *([f"exit code {ended.code}, not {code}"] if ended.code != code else []),
        *_wrong_with_streams(ended, code),
        *_leaks(stage, ended),
        *([f"took {ended.seconds:.2f} s"] if ended.seconds > DEADLINE + PATIENCE + slack else []),
        *([f"took {ended.memory >> 20} MiB"] if ended.memory > MOST_MEMORY else []),
        *(
            _wrong_with_output(stage, ended, code, rows)
            if stage.stdout == subprocess.PIPE and not stage.shell
            else []
        ),
        *stage.afterwards(),
    ]


def _wrong_with_streams(ended: Ended, code: int) -> Iterator[str]:
    """What is wrong with stderr: one clean line for a failure, one for each wrong setting, or else only notes."""
    if b"Traceback" in ended.out + ended.err:
        yield "a traceback"
    text = ended.err.decode("utf-8", "replace")
    lines = text.splitlines()
    reasons = [line for line in lines if " note: " not in line]
    due = 0 if code in {0, *_SIGNALLED} else 1
    if len(reasons) < due or (len(reasons) > due and code != 3):
        yield f"{len(reasons)} reasons on stderr: {text!r}"
    for line in lines:
        if not line.startswith("balcli: ") or not line.isprintable() or len(line) > _LONGEST_LINE:
            yield f"not a clean line: {line!r}"


def _leaks(stage: Stage, ended: Ended) -> Iterator[str]:
    """Where a secret is but must not be: streams, files, hosts."""
    hidden = [*stage.planting.secrets, *stage.part.issued]
    places = [("stdout", ended.out), ("stderr", ended.err)]
    made = (file for file in stage.home.rglob("*") if file.is_file() and file not in stage.planting.files)
    places += [(f"the file {file.name}", file.read_bytes()) for file in made]
    for where, data in places:
        yield from (f"{secret.name} in {where} ({form})" for secret, form in traces(data, hidden))
    for name, host in stage.hosts.items():
        for request in host.log:
            yield from _strays(name, request, hidden)


def _strays(host: str, request: SandboxRequest, hidden: list[Any]) -> Iterator[str]:
    for place, data in parts_of(request):
        for secret, form in traces(data, hidden):
            if host != secret.provider or place not in secret.places:
                yield f"{secret.name} went to {host}, {place} ({form})"


def _wrong_with_output(stage: Stage, ended: Ended, code: int, rows: list[Row] | None) -> Iterator[str]:
    text = ended.out.decode("utf-8", "replace")
    if code in _SIGNALLED:
        if text:
            yield f"data after a signal: {text!r}"
    elif stage.output == "json":
        yield from _wrong_with_document(text, code, rows)
    else:
        yield from _wrong_with_table(stage, re.sub(r"\x1b\[[0-9;]*m", "", text), code, rows)


def _wrong_with_document(text: str, code: int, rows: list[Row] | None) -> Iterator[str]:
    try:
        document = json.loads(text)
    except ValueError:
        yield f"not one JSON document: {text[:200]!r}"
        return
    if set(document) != _TOP:
        yield f"keys {sorted(document)}"
    # With rows and an error code, a later step failed: the history or a file.
    if document["complete"] is not (code == 0 or (bool(rows) and code == 9)):
        yield f"complete is {document['complete']}"
    # Failures after the rows are not in the document.
    if document["exit_code"] not in {code, *({0} if code == 9 and rows else {})}:
        yield f"exit_code is {document['exit_code']}"
    told = [account for account in document["accounts"] if account["error"]] + document["errors"]
    if code and not told and not document["warnings"] and not (code == 9 and rows):
        yield "no error in the document"
    if rows is None:
        return
    found = [(b["asset"], b["total"], b["available"], b["locked"]) for b in document["balances"]]
    if any(row[0] is None for row in rows):
        found = [(None, *row[1:]) for row in found]
    if Counter(rows) != Counter(found):
        yield f"rows {found}, not {rows}"
    if not rows and document["totals"]:
        yield f"totals {document['totals']} of nothing"


def _wrong_with_table(stage: Stage, text: str, code: int, rows: list[Row] | None) -> Iterator[str]:
    lines = [line.split() for line in text.splitlines()]
    if rows is None:
        return
    told = [{*line} for line in lines]
    for row in rows:
        parts = {part for part in row if part is not None}
        if not any(parts <= line for line in told) and not _stacked(parts, lines):
            yield f"{row} is not in the table {text!r}"
    if code and lines and not rows and "unavailable" not in text:
        yield f"the table does not say unavailable: {text!r}"
    if not rows:
        amounts = {part for row in expected(stage.provider) for part in row[1:]}
        for line in lines:
            if "unavailable" not in line and amounts & {*line}:
                yield f"an amount in {text!r}"


def _stacked(parts: set[str], lines: list[list[str]]) -> bool:
    """Whether a narrow layout has all parts on consecutive lines."""
    words = [{*line} for line in lines]
    return any(parts <= set[str]().union(*words[start : start + 6]) for start in range(len(words)))
