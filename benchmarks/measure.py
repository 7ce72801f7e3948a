"""Measure processes: wall and CPU time in interleaved rounds, counted instructions, peak memory."""

import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

from benchmarks.checks import Check, Wrong

_MOST_SAID: Final = 600
_LONGEST_SECONDS: Final = 900.0
PEAK: Final = """
import os, sys
child = os.fork()
if not child:
    os.execv(sys.argv[2], sys.argv[2:])
_, status, usage = os.wait4(child, 0)
with open(sys.argv[1], "w") as stream:
    stream.write(str(usage.ru_maxrss))
os._exit(os.waitstatus_to_exitcode(status))
"""
"""Runs a command and writes its peak, as getrusage(2) counts it, into a file.

A process of its own, because the peak of one that is started by vfork begins at its parent's: this one's is 10 MB,
below that of any Python program that is measured.
"""


@dataclass(frozen=True, slots=True)
class Command:
    """A command: its arguments, the check of its output, its exit code, and its environment variables."""

    argv: tuple[str, ...]
    check: Check
    code: int = 0
    env: Mapping[str, str] = field(default_factory=dict)


class Took(NamedTuple):
    """The seconds of one run: wall time, and CPU time including its children."""

    wall: float
    cpu: float


class Spread(NamedTuple):
    """A median with the quartiles, or with the minimum and maximum for fewer than four values."""

    low: float
    median: float
    high: float

    def __str__(self) -> str:
        return f"{self.median:.2f} [{self.low:.2f}–{self.high:.2f}]"


def spread(values: Sequence[float]) -> Spread:
    """The spread of at least one value."""
    if len(values) < 4:
        return Spread(min(values), statistics.median(values), max(values))
    low, median, high = statistics.quantiles(values, n=4, method="inclusive")
    return Spread(low, median, high)


class Runner:
    """Runs commands in a folder and an environment that contain only what the benchmark put there."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(folder),
            "XDG_CACHE_HOME": str(folder / "cache"),
            "LANG": "C.UTF-8",
        }

    def run(self, command: Command, *before: str, env: Mapping[str, str] | None = None) -> Took:
        """The times of one run with a pipe as stdout; `before` is put before its arguments. Raises Wrong."""
        return self.read(command, *before, env=env)[0]

    def read(self, command: Command, *before: str, env: Mapping[str, str] | None = None) -> tuple[Took, str]:
        """The times and the stderr of one run whose output is checked. Raises Wrong."""
        took, printed, said = self._whole(command, before, env or {})
        try:
            command.check(printed)
        except (ValueError, KeyError, TypeError, IndexError) as problem:
            raise Wrong(
                f"{_named(command)}: not to be read ({problem!r}): {printed[:200]!r} {said[-200:]}"
            ) from None
        except Wrong as problem:
            raise Wrong(f"{_named(command)}: {problem}") from None
        return took, said

    def _whole(
        self, command: Command, before: Sequence[str], env: Mapping[str, str]
    ) -> tuple[Took, str, str]:
        """The times and both streams of one run. Raises Wrong for an unexpected exit code."""
        with tempfile.TemporaryFile() as errors:
            begun = time.perf_counter()
            process = subprocess.Popen(
                [*before, *command.argv],
                cwd=self._folder,
                env={**self.environment, **command.env, **env},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
            )
            assert process.stdout is not None
            # A run that hangs ends with an exit code that is never expected.
            guard = threading.Timer(_LONGEST_SECONDS, process.kill)
            guard.start()
            with process.stdout as stdout:
                printed = stdout.read()
            _, status, usage = os.wait4(process.pid, 0)
            wall = time.perf_counter() - begun
            guard.cancel()
            process.returncode = os.waitstatus_to_exitcode(status)
            errors.seek(0)
            said = errors.read().decode("utf-8", "replace")
        if process.returncode != command.code:
            raise Wrong(
                f"{_named(command)}: exit code {process.returncode}, not {command.code}: {said[-_MOST_SAID:]}"
            )
        return Took(wall, usage.ru_utime + usage.ru_stime), printed.decode("utf-8", "replace"), said

    def rounds(self, commands: Sequence[Command], count: int, *, warm: bool = False) -> list[list[Took]]:
        """The times of each command in that many rounds of all commands, after a warm-up round if needed."""
        for command in () if warm else commands:
            self.run(command)
        found: list[list[Took]] = [[] for _ in commands]
        for _ in range(count):
            for times, command in zip(found, commands, strict=True):
                times.append(self.run(command))
        return found

    def peak(self, command: Command) -> float:
        """The peak memory of the command in MiB, in a separate run."""
        with tempfile.NamedTemporaryFile("r", dir=self._folder) as result:
            self.run(command, sys.executable, "-I", "-S", "-c", PEAK, result.name)
            return int(result.read()) / 1024


def ratios(these: Sequence[Took], those: Sequence[Took], of: Callable[[Took], float]) -> Spread:
    """The ratios of the times of two commands, pair by pair."""
    return spread([of(this) / of(that) for this, that in zip(these, those, strict=True)])


def wall(took: Took) -> float:
    """The wall time in seconds."""
    return took.wall


def cpu(took: Took) -> float:
    """The CPU time in seconds."""
    return took.cpu


class Counter:
    """Counts instructions in user space with `tool`; None if no tool is available."""

    def __init__(self, runner: Runner, *, quick: bool) -> None:
        self._runner = runner
        self.tool: str | None = None
        if _perf_counts():
            self.tool = "perf"
        elif shutil.which("valgrind") and not quick:  # about 40 times slower than the run itself
            self.tool = "valgrind"

    def count(self, commands: Sequence[Command]) -> list[int]:
        """The instructions of each command in a separate run, one run per processor at once."""
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            return list(pool.map(self._one, commands))

    def _one(self, command: Command) -> int:
        with tempfile.NamedTemporaryFile("r") as told:
            before = {
                "perf": ("perf", "stat", "-x,", "-e", "instructions:u", "-o", told.name, "--"),
                # Cachegrind without its caches counts what callgrind counts, in half the time.
                "valgrind": (
                    *("valgrind", "--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null"),
                    *("--fair-sched=try", f"--log-file={told.name}"),
                ),
            }[self.tool or "valgrind"]
            # A fixed hash seed, so that two counts of the same run are equal.
            self._runner.run(command, *before, env={"PYTHONHASHSEED": "0"})
            text = told.read()
        found = re.search(r"^(\d+),.*instructions:u|I +refs: +([\d,]+)", text, re.MULTILINE)
        if found is None:
            raise Wrong(f"{self.tool} counted nothing: {text[-200:]}")
        return int((found[1] or found[2]).replace(",", ""))


def _perf_counts() -> bool:
    """Whether perf exists and can count here; many virtual machines do not allow it."""
    if shutil.which("perf") is None:
        return False
    command = ["perf", "stat", "-x,", "-e", "instructions:u", "true"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode == 0 and re.search(r"^\d+,", done.stderr, re.MULTILINE) is not None


def _named(command: Command) -> str:
    return " ".join(command.argv)[-200:]
