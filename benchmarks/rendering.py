"""Row 8: the cost of a balance from the response to the output, in each format, and in memory."""

from collections.abc import Sequence
from typing import Final

from benchmarks.amounts import Account
from benchmarks.bench import Bench, Line
from benchmarks.measure import Took, cpu, spread, wall

_MOST: Final = {"json": 15.0, "csv": 15.0, "jsonl": 15.0, "table": 60.0}
_COUNT: Final = 10_000


def row_8(bench: Bench) -> list[Line]:
    """The time per balance in each format: ten accounts with a thousand assets each, minus one with a single asset."""
    bench.server.set_latency(0)
    one, many = (Account("wallet", 1, 1),), (Account("wallet", 1, _COUNT),)
    ten = tuple(Account("wallet", number, _COUNT // 10) for number in range(1, 11))
    files = [bench.profile(f"rows-{n}", accounts) for n, accounts in enumerate((one, many, ten))]
    lines: list[Line] = []
    for output, most in _MOST.items():
        commands = [bench.ask(files[0], one, output), bench.ask(files[2], ten, output)]
        # In a quick run, one format warms up for all.
        times = bench.runner.rounds(commands, bench.rounds(10, 1), warm=bench.quick and bool(lines))
        measured, median = _each(*times)
        what = f"a balance as {output}, of {_COUNT:,} in ten accounts, 0 ms"
        lines.append(Line(8, what, measured, "the same with 1", f"≤ {most:g} µs", median <= most))
    if bench.quick:
        return [*lines, _memory(bench)]
    # As many totals as balances: all assets are different.
    commands = [bench.ask(files[0], one), bench.ask(files[1], many)]
    measured, _ = _each(*bench.runner.rounds(commands, bench.rounds(10, 1)))
    what = f"a balance as json, of {_COUNT:,} in one account, each a different asset"
    lines.append(Line(8, what, measured, "the same with 1"))
    return [*lines, _memory(bench)]


def _each(base: Sequence[Took], times: Sequence[Took]) -> tuple[str, float]:
    """The time per balance: in words, and the median wall time in microseconds."""
    told = []
    for name, of in (("wall", wall), ("CPU", cpu)):
        found = spread([(of(b) - of(a)) / (_COUNT - 1) * 1e6 for a, b in zip(base, times, strict=True)])
        told.append((f"{name} {found.median:.1f} [{found.low:.1f}–{found.high:.1f}] µs", found.median))
    return "; ".join(text for text, _ in told), told[0][1]


def _memory(bench: Bench) -> Line:
    """The peak memory with ten times as many balances. A quick run uses fewer and has no verdict."""
    assets = 500 if bench.quick else 5_000
    peaks = []
    for count in (2, 20):
        accounts = tuple(Account("wallet", number, assets) for number in range(1, count + 1))
        file = bench.profile(f"memory-{count}", accounts, head="deadline = 600")
        peaks.append(bench.runner.peak(bench.ask(file, accounts, "jsonl")))
    few, many = peaks
    return Line(
        8,
        f"peak memory of {20 * assets:,} balances as jsonl, in 20 accounts",
        f"{many / few:.2f} ×, {many:.1f} MiB",
        f"{2 * assets:,} in 2 accounts: {few:.1f} MiB",
        "≤ 2 ×",
        None if bench.quick else many / few <= 2,
    )
