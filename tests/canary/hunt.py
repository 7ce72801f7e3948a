"""Runs of the whole program with fake secrets, and a search of everything that they write.

Each run is a fork of a process that has already loaded the program: as realistic as a new process, and many
times faster. It does not touch the user's files or other networks.
"""

import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from typing import Final

from balcli.sandbox import Sandbox
from balcli.sandbox.exchange import SandboxRequest
from balcli.sandbox.faults import HERE
from tests import faults
from tests.canary.echoes import ECHOES, EchoingPart
from tests.canary.marked import Marked, forms, mark, parts_of, traces
from tests.canary.planting import KINDS, WAYS, Planting

_WELL: Final = "none"
# A fault of the address would need another profile.
_FAULTS: Final = [name for name, fault in faults.ALL.items() if fault.address == HERE]
_EVERYWHERE: Final = ", also at logins and tables"
TROUBLES: Final = (_WELL, *ECHOES, *(f"{name}{_EVERYWHERE}" for name in ECHOES), *_FAULTS)
"""The servers' behaviors."""

_COMMANDS: Final = (
    ("all", "-v"),
    ("doctor",),
    ("all", "--record", "--evidence", "evidence", "-O", "output"),
    ("config", "show"),
)
_SECOND: Final = "-second"
_OUTPUTS: Final = ("table", "json")
_PROCESSES: Final = 8
_ENDINGS: Final = (signal.SIGINT, signal.SIGTERM)
_KEPT_VARIABLES: Final = ("PATH", "LANG", "LC_ALL", "COVERAGE_PROCESS_START")


@dataclass(slots=True)
class Trial:
    """One run of the program: its home, its servers and its command line."""

    number: int
    trouble: str
    arguments: list[str]
    planting: Planting
    parts: list[EchoingPart] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Its name in a finding."""
        told = " ".join(text for text in self.arguments if text not in {"-c", str(self.planting.profile)})
        return f"run {self.number} (balcli {told}; fault: {self.trouble})"

    def result(self, kind: str) -> Path:
        """The file for the run's `out`, `err` or `code`."""
        return self.planting.home.parent / f"{self.number}.{kind}"

    def hidden(self) -> list[Marked]:
        """Every secret of the run, including those that its servers issued."""
        return [*self.planting.secrets, *(secret for part in self.parts for secret in part.issued)]


@dataclass(slots=True)
class Figures:
    """The results of a hunt."""

    trials: int
    runs: int = 0
    troubles: set[str] = field(default_factory=set)
    secrets: int = 0
    at_home: int = 0
    searched: int = 0
    codes: Counter[str] = field(default_factory=Counter)
    findings: list[str] = field(default_factory=list)
    seconds: float = 0.0


def hunt(runs: int) -> Figures:
    """The results of that many runs. Raises RuntimeError if the search does not find secrets hidden for it."""
    _prove_search()
    figures, begun = Figures(runs), time.monotonic()
    with _swept_folder() as (folder, lifeline), ExitStack() as stack:
        trials, hosts = _prepared(runs, folder)
        workers: list[int] = []
        try:
            _split_off(trials, lifeline, workers)
            # After the fork: a process with threads must not fork.
            for host in hosts.values():
                stack.enter_context(host)
            for worker in workers:
                os.waitpid(worker, 0)
        except BaseException:
            for worker in workers:
                _end_group(worker)
            raise
        asked = _requests_by_run(hosts)
        for trial in trials:
            _search(trial, asked.get(trial.number, []), figures)
    figures.seconds = time.monotonic() - begun
    return figures


@contextmanager
def _swept_folder() -> Iterator[tuple[Path, int]]:
    """A temporary folder, and a descriptor; when it is closed, another process removes the folder.

    Removing thousands of files takes seconds. An interrupted hunt does not wait for that, and even a killed
    one leaves nothing.
    """
    folder = Path(mkdtemp(prefix="balcli-canary-"))
    ending, lifeline = os.pipe()
    sweeper = _split()
    if sweeper == 0:
        try:
            os.setpgid(0, 0)
            os.close(lifeline)
            _point_to(((Path(os.devnull), 0), (Path(os.devnull), 1), (Path(os.devnull), 2)))
            os.read(ending, 1)
            for _ in range(100):  # ended processes may still be writing
                rmtree(folder, ignore_errors=True)
                if not folder.exists():
                    break
                time.sleep(0.1)
        finally:
            os._exit(0)
    os.close(ending)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDINGS)
    try:
        yield folder, lifeline
    finally:
        os.close(lifeline)
    os.waitpid(sweeper, 0)


def _prove_search() -> None:
    """Search texts that contain a secret in each form, to prove that the search can find them."""
    secret = Marked("nobody", "secret", mark(), frozenset())
    for name, form in forms(secret.text).items():
        if not list(traces(b"before " + form + b" after", [secret])):
            raise RuntimeError(f"the search does not find a secret in the form {name}")


def _prepared(runs: int, folder: Path) -> tuple[list[Trial], dict[str, Sandbox]]:
    """The trials with their homes, a host for each provider that is not serving yet, and an unused host."""
    faults.register()
    elsewhere = Sandbox()
    trials = [_trial(number, folder, elsewhere.url) for number in range(runs)]
    hosts = {"elsewhere": elsewhere}
    for provider in KINDS:
        parts = [part for trial in trials for part in trial.parts if part.provider == provider]
        troubles = {part.NAME: trial.trouble for trial in trials for part in trial.parts}
        troubles |= {name: _WELL for name in troubles if name.endswith(_SECOND)}
        played = [f"{part.NAME}:{troubles[part.NAME]}" for part in parts if troubles[part.NAME] in _FAULTS]
        hosts[provider] = Sandbox(stand_ins=parts, faults=played)
    for trial in trials:
        trial.planting.write({provider: host.url for provider, host in hosts.items()})
    return trials, hosts


def _trial(number: int, folder: Path, elsewhere: str) -> Trial:
    output, turn = _OUTPUTS[number % len(_OUTPUTS)], number // len(_OUTPUTS)
    trouble, turns = TROUBLES[turn % len(TROUBLES)], turn // len(TROUBLES)
    planting = Planting(folder / f"home{number}")
    trial = Trial(number, trouble, [], planting)
    for place, (provider, kinds) in enumerate(KINDS.items()):
        way = WAYS[(turn + turns + place) % len(WAYS)]
        keys = kinds[(turn // len(WAYS) + turns + place) % len(kinds)]
        name = f"r{number}-{provider}"
        secrets = planting.plant(
            provider, f"/{name}", keys, way, url_key=way != "variable" and trouble not in _FAULTS
        )
        # Another account at the same host, whose secrets the responses must not contain either.
        second = planting.plant(provider, f"/{name}{_SECOND}", kinds[0], "text") if way != "variable" else {}
        trial.parts.append(
            EchoingPart(
                name,
                provider,
                secrets,
                trouble.removesuffix(_EVERYWHERE),
                f"{elsewhere}/r{number}-elsewhere",
                everywhere=trouble.endswith(_EVERYWHERE),
                others=second.values(),
            )
        )
        if second:
            trial.parts.append(EchoingPart(f"{name}{_SECOND}", provider, second, "", "", everywhere=False))
    command = _COMMANDS[turns % len(_COMMANDS)]
    trial.arguments = [*command, "-o", output, "-c", str(planting.profile)]
    if trouble in faults.SLOW and command[0] != "config":
        trial.arguments += ["--timeout", "0.3"]
    return trial


def _split_off(trials: Sequence[Trial], lifeline: int, workers: list[int]) -> None:
    """Start processes that share the trials, each with its own process group."""
    # The imports of every run are loaded once, before the fork.
    import balcli.cli.app
    import balcli.config.profile
    import balcli.doctor
    import balcli.http.transport
    import balcli.render.steps
    import balcli.render.table  # noqa: F401

    sys.stdout.flush()
    sys.stderr.flush()
    for number in range(min(_PROCESSES, len(trials))):
        worker = _split()
        if worker == 0:
            os.setpgid(0, 0)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDINGS)
            os.close(lifeline)
            _work(trials[number::_PROCESSES])
        # A new group, so that all its children can be killed with it. Both set it, because either may be first.
        os.setpgid(worker, worker)
        workers.append(worker)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDINGS)


def _split() -> int:
    """Call os.fork, with all signals that end a process blocked until the caller unblocks them.

    An exception raised by a signal in a fork's hooks would be lost, together with the new process.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, _ENDINGS)
    return os.fork()


def _work(trials: Sequence[Trial]) -> None:
    """Make each run in a new process, one after the other, and exit."""
    try:
        for trial in trials:
            process = os.fork()
            if process == 0:
                _become(trial)
            _, status = os.waitpid(process, 0)
            trial.result("code").write_text(str(os.waitstatus_to_exitcode(status)))
    finally:
        os._exit(0)


def _become(trial: Trial) -> None:
    """Become one run of the program, from its command line to its exit code."""
    code = 1
    try:
        _point_to(((Path(os.devnull), 0), (trial.result("out"), 1), (trial.result("err"), 2)))
        kept = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
        os.environ.clear()
        os.environ.update(kept | trial.planting.variables)
        home = trial.planting.home
        os.environ.update({"HOME": str(home), "XDG_CACHE_HOME": str(home / "cache"), "BALCLI_DEBUG": "1"})
        os.chdir(trial.planting.home)
        from balcli.cli.app import run as run_program

        code = run_program(trial.arguments)
        sys.stderr.flush()
    finally:
        os._exit(code)


def _point_to(files: Iterable[tuple[Path, int]]) -> None:
    """Redirect descriptors of this process to files."""
    for path, descriptor in files:
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        os.dup2(file, descriptor)
        os.close(file)


def _end_group(worker: int) -> None:
    """Kill a worker and its children."""
    try:
        os.killpg(worker, signal.SIGKILL)
        os.waitpid(worker, 0)
    except (ProcessLookupError, ChildProcessError):
        return  # already ended


def _requests_by_run(hosts: dict[str, Sandbox]) -> dict[int, list[tuple[str, SandboxRequest]]]:
    """The requests that each host got, by run."""
    asked: dict[int, list[tuple[str, SandboxRequest]]] = {}
    for host, server in hosts.items():
        for request in server.log:
            run_name = request.path.split("/")[1].partition("-")[0].removeprefix("r")
            asked.setdefault(int(run_name) if run_name.isdigit() else -1, []).append((host, request))
    return asked


def _search(trial: Trial, asked: Sequence[tuple[str, SandboxRequest]], figures: Figures) -> None:
    """Search everything that the run wrote for its secrets, and add the findings to the results."""
    hidden = trial.hidden()
    figures.runs += 1
    figures.troubles.add(trial.trouble)
    figures.secrets += len(hidden)
    figures.codes[trial.result("code").read_text()] += 1
    for where, data in _left_behind(trial):
        figures.searched += len(data)
        figures.findings += [
            f"{trial.name}: {secret.name} is in {where} ({form})" for secret, form in traces(data, hidden)
        ]
    for host, request in asked:
        for place, data in parts_of(request):
            figures.searched += len(data)
            for secret, form in traces(data, hidden):
                if host == secret.provider and place in secret.places:
                    figures.at_home += 1
                else:
                    figures.findings.append(f"{trial.name}: {secret.name} went to {host}, {place} ({form})")


def _left_behind(trial: Trial) -> Iterator[tuple[str, bytes]]:
    """What a run wrote, by place: both streams, and every new or changed file in its home."""
    yield "stdout", trial.result("out").read_bytes()
    yield "stderr", trial.result("err").read_bytes()
    planted = trial.planting.files
    for file in sorted(trial.planting.home.rglob("*")):
        where = str(file.relative_to(trial.planting.home))
        yield f"the name of the file {where}", where.encode()
        if file.is_file():
            data = file.read_bytes()
            if data != planted.get(file, "").encode() or not data:
                yield f"the file {where}", data
