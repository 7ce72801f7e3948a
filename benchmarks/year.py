"""Row 11: a year's history, 52,560 runs of 30 balances: a series, a day, two runs, and pruning."""

import json
import shutil
from datetime import timedelta
from pathlib import Path
from statistics import median
from typing import Final

from benchmarks.bench import Bench, Line, balcli
from benchmarks.checks import Check, Wrong
from benchmarks.measure import Command, Took, cpu, spread
from tests.proof.year import BALANCES, START, STEP, write_year

_YEAR: Final = 52_560
_QUICK: Final = 2_000
_CHANGING: Final = 20
_DAYS_KEPT: Final = 90


def row_11(bench: Bench) -> list[Line]:
    """The extra time of each command with a year's history, compared with a history of one run."""
    count = _QUICK if bench.quick else _YEAR
    file, small = bench.folder / "year.db", bench.folder / "run.db"
    write_year(file, count, _CHANGING, 11, {})
    write_year(small, 1, _CHANGING, 11, {})
    day = f"{START + STEP * (count // 2):%Y-%m-%d}"
    ids = (str(count // 2), str(count))
    base = _history(small, "show", "1", "-o", "json", check=_shows(""))
    commands = {
        f"a day in the middle of {count:,} runs, `-o json`": (
            _history(file, "show", day, "-o", "json", check=_shows(day)), 0.3
        ),
        "the series of one asset at all accounts and their sum, `-o json`": (
            _history(file, "--asset", "A00", "-o", "json", check=_has_series), 1.5
        ),
        "two whole runs compared, `-o json`": (_diff(file, *ids), 0.02),
    }  # fmt: skip
    lines = []
    for what, (command, most) in commands.items():
        bases, times = bench.runner.rounds([base, command], bench.rounds(10, 3))
        lines.append(_line(bench, what, bases, times, most))
    lines.append(_pruned(bench, file, base, count))
    peak = max(bench.runner.peak(command) for command, _ in commands.values())
    what = "the most memory of these"
    lines.append(Line(11, what, f"{peak:.1f} MiB", "", "≤ 80 MB", None if bench.quick else peak <= 76.3))
    return lines


def _line(bench: Bench, what: str, base: list[Took], times: list[Took], most: float) -> Line:
    """The CPU time in addition to that with a history of one run."""
    found = spread([(cpu(b) - cpu(a)) * 1000 for a, b in zip(base, times, strict=True)])
    met = None if bench.quick else found.median <= most * 1000
    return Line(
        11,
        what,
        f"CPU + {found} ms",
        f"a history of one run: {_cpu_ms(base)}",
        f"≤ + {most * 1000:g} ms",
        met,
    )


def _cpu_ms(times: list[Took]) -> str:
    return f"{median(map(cpu, times)) * 1000:.0f} ms"


def _pruned(bench: Bench, file: Path, base: Command, count: int) -> Line:
    """Pruning all but the last 90 days, each time in a new copy."""
    kept = min(_DAYS_KEPT, (STEP * count).days // 2)
    before = START + STEP * count - timedelta(days=kept)
    copy = bench.folder / "copy.db"
    command = balcli(
        *("history", "--history", str(copy), "--prune", f"{before:%Y-%m-%dT%H:%M:%SZ}", "-o", "json"),
        check=_has_pruned,
    )
    bases, times = [], []
    for _ in range(bench.rounds(5, 2)):
        shutil.copy(file, copy)
        bases.append(bench.runner.run(base))
        times.append(bench.runner.run(command))
    return _line(bench, f"pruning all but {kept} days", bases, times, 1.0)


def _history(file: Path, *arguments: str, check: Check) -> Command:
    return balcli("history", *arguments, "--history", str(file), check=check)


def _diff(file: Path, one: str, other: str) -> Command:
    arguments = ("diff", one, other, "--allow-partial", "-o", "json", "--history", str(file))
    return balcli(*arguments, check=_has_differences, code=1)


def _shows(day: str) -> Check:
    def check(printed: str) -> None:
        made = json.loads(printed)
        if len(made["balances"]) != BALANCES or not made["generated_at"].startswith(day):
            raise Wrong("another run than that of the day")

    return check


def _has_series(printed: str) -> None:
    if not json.loads(printed)["series"]:
        raise Wrong("no series")


def _has_differences(printed: str) -> None:
    if not json.loads(printed)["balances"]:
        raise Wrong("no difference")


def _has_pruned(printed: str) -> None:
    if not json.loads(printed)["pruned"]:
        raise Wrong("nothing pruned")
