"""The fault matrix: every kind of fault, at three providers, in two formats, each as a real process."""

import argparse
import contextlib
import os
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from tests.proof.rows import Trouble, troubles
from tests.proof.stage import judge, staged

PROVIDERS = ("loopring", "wallet", "merchant")
OUTPUTS = ("table", "json")


class Verdict(NamedTuple):
    """The result of one cell: what is wrong with it, its time, and its memory in bytes."""

    trouble: Trouble
    provider: str
    output: str
    problems: list[str]
    seconds: float
    memory: int


def cell(trouble: Trouble, provider: str, output: str, slack: float = 0.5) -> Verdict:
    """Run one cell; `slack` is the time in seconds to start the process."""
    folder = Path(tempfile.mkdtemp(prefix="balcli-matrix-"))
    try:
        with contextlib.ExitStack() as stack:
            stage = stack.enter_context(staged(provider, output, folder, trouble.fault, trouble.way))
            arranged = trouble.arrange(stage)
            if arranged is not None:
                stack.enter_context(arranged)
            ended = stage.run()
            rows = trouble.rows_for(provider)
            problems = judge(stage, ended, trouble.code_for(provider), rows, trouble.slack + slack)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return Verdict(trouble, provider, output, problems, ended.seconds, ended.memory)


def cells(chosen: Sequence[Trouble], *, rotate: bool) -> list[tuple[Trouble, str, str]]:
    """The cells of these rows: all six per row, or one per row in turn."""
    whole = [(row, provider, output) for row in chosen for provider in row.providers for output in OUTPUTS]
    if not rotate:
        return whole
    found = []
    for number, row in enumerate(chosen):
        provider = row.providers[number % len(row.providers)]
        found.append((row, provider, OUTPUTS[number // len(PROVIDERS) % len(OUTPUTS)]))
    return found


def main(argv: Sequence[str]) -> int:
    """Run the matrix and print its figures. Returns 1 if any cell is wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.proof matrix", description=__doc__)
    parser.add_argument("--rotate", action="store_true", help="one cell of each row instead of all six")
    parser.add_argument("--only", default="", help="rows whose kind or name holds this text")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes at once")
    parser.add_argument("--slack", type=float, default=0.5, help="seconds that a process may take to start")
    options = parser.parse_args(argv)
    chosen = [row for row in troubles() if options.only in f"{row.kind}: {row.name}"]
    begun = time.monotonic()
    with ThreadPoolExecutor(options.jobs) as pool:
        asked = cells(chosen, rotate=options.rotate)
        verdicts = list(pool.map(lambda one: cell(one[0], one[1], one[2], options.slack), asked))
    rows: Counter[str] = Counter(row.kind for row in chosen)
    well = Counter(verdict.trouble.kind for verdict in verdicts if not verdict.problems)
    tried = Counter(verdict.trouble.kind for verdict in verdicts)
    print(f"{'kind':<18}{'rows':>6}{'runs':>7}{'as due':>8}{'slowest':>10}{'memory':>10}")
    for kind in rows:
        mine = [verdict for verdict in verdicts if verdict.trouble.kind == kind]
        slowest = max(verdict.seconds for verdict in mine)
        most = max(verdict.memory for verdict in mine) >> 20
        print(f"{kind:<18}{rows[kind]:>6}{tried[kind]:>7}{well[kind]:>8}{slowest:>8.1f} s{most:>6} MiB")
    for verdict in verdicts:
        for problem in verdict.problems:
            print(
                f"WRONG {verdict.trouble.kind}: {verdict.trouble.name}, {verdict.provider}, {verdict.output}: {problem[:200]}"
            )
    seconds = time.monotonic() - begun
    print(f"{len(chosen)} rows, {len(verdicts)} runs, {sum(well.values())} as due, {seconds:.0f} s")
    return 0 if sum(well.values()) == len(verdicts) else 1
