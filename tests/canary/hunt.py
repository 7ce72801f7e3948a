"""Runs of the whole program with false secrets, and the search of all that they leave.

Each run is a process of its own, split off from one that has loaded the program already: as faithful
as a new process, and many times faster. Nothing of it touches the user's files or another network.
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
# A fault of the address would need another profile than the home's own.
_FAULTS: Final = [name for name, fault in faults.ALL.items() if fault.address == HERE]
_EVERYWHERE: Final = ", also at logins and tables"
TROUBLES: Final = (_WELL, *ECHOES, *(f"{name}{_EVERYWHERE}" for name in ECHOES), *_FAULTS)
"""What the servers do to a run."""

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
    """One run of the program: its home, its stand-ins and what the command line was."""

    number: int
    trouble: str
    arguments: list[str]
    planting: Planting
    parts: list[EchoingPart] = field(default_factory=list)

    @property
    def name(self) -> str:
        """What it is called in a finding."""
        told = " ".join(text for text in self.arguments if text not in {"-c", str(self.planting.profile)})
        return f"run {self.number} (balcli {told}; fault: {self.trouble})"

    def result(self, kind: str) -> Path:
        """The file that takes what the run leaves: `out`, `err` or `code`."""
        return self.planting.home.parent / f"{self.number}.{kind}"

    def hidden(self) -> list[Marked]:
        """Every secret of the run, those included that its servers made."""
        return [*self.planting.secrets, *(secret for part in self.parts for secret in part.issued)]


@dataclass(slots=True)
class Figures:
    """What a hunt came to."""

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
    """The figures of so many runs. Raises RuntimeError if the search itself does not find what was hidden for it."""
    _prove_search()
    figures, begun = Figures(runs), time.monotonic()
    with _swept_folder() as (folder, lifeline), ExitStack() as stack:
        trials, hosts = _prepared(runs, folder)
        workers: list[int] = []
        try:
            _split_off(trials, lifeline, workers)
            # After the split: a process with threads must not be split.
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
    """A temporary folder, and the descriptor at whose closing a process of its own removes it.

    Thousands of files take seconds to remove: an interrupted hunt does not wait for that, and
    nothing stays even of one that is killed.
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
            for _ in range(100):  # what was just ended may still be writing
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
    """Search texts that do hold a secret, one for each form: a search that finds nothing must be able to."""
    secret = Marked("nobody", "secret", mark(), frozenset())
    for name, form in forms(secret.text).items():
        if not list(traces(b"before " + form + b" after", [secret])):
            raise RuntimeError(f"the search does not find a secret in the form {name}")


def _prepared(runs: int, folder: Path) -> tuple[list[Trial], dict[str, Sandbox]]:
    """The trials with their homes written, and a host for each provider, not serving yet, and one for nobody."""
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
        # Another account at the same host, whose secrets its answers must not hold, either.
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
    """Add processes that go through the trials together, each leading a group of its own."""
    # What every run imports is loaded once, before the split.
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
        # A group of its own, so that all that it starts can be ended with it; both say so, as either may be first.
        os.setpgid(worker, worker)
        workers.append(worker)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDINGS)


def _split() -> int:
    """What os.fork gives, with all signals blocked that would end a process, until the caller unblocks them.

    An exception that a signal raises within a fork's own hooks would be lost, and the new process forgotten.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, _ENDINGS)
    return os.fork()


def _work(trials: Sequence[Trial]) -> None:
    """Make each run in a process of its own, one after the other, and end."""
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
    """Be one run of the program from its command line to its exit code."""
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
    """Let descriptors of this process be files."""
    for path, descriptor in files:
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        os.dup2(file, descriptor)
        os.close(file)


def _end_group(worker: int) -> None:
    """End a worker with all that it started."""
    try:
        os.killpg(worker, signal.SIGKILL)
        os.waitpid(worker, 0)
    except (ProcessLookupError, ChildProcessError):
        return  # it had ended before


def _requests_by_run(hosts: dict[str, Sandbox]) -> dict[int, list[tuple[str, SandboxRequest]]]:
    """What each host was asked, by the run that asked."""
    asked: dict[int, list[tuple[str, SandboxRequest]]] = {}
    for host, server in hosts.items():
        for request in server.log:
            run_name = request.path.split("/")[1].partition("-")[0].removeprefix("r")
            asked.setdefault(int(run_name) if run_name.isdigit() else -1, []).append((host, request))
    return asked


def _search(trial: Trial, asked: Sequence[tuple[str, SandboxRequest]], figures: Figures) -> None:
    """Look for the run's secrets in all that it left, and add what is found to the figures."""
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
    """What a run wrote, by where it stands: both streams, and every file of its home that is not as it was planted."""
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
