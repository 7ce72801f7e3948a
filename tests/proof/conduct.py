"""Run a proof: its arguments, its cases on all processors, its figures and its verdict."""

import argparse
import multiprocessing
import os
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Final, NamedTuple

_SHOWN: Final = 10
_LONGEST: Final = 2000


class Difference(NamedTuple):
    """A case in which the program and the oracle differ."""

    kind: str
    case: str
    expected: str
    found: str

    def __str__(self) -> str:
        values = {"given": self.case, "expected": self.expected, "found": self.found}
        return f"{self.kind}\n" + "\n".join(f"    {name:<8} {_told(value)}" for name, value in values.items())


def _told(value: str) -> str:
    """A value in ASCII with limited length, each line on its own."""
    return "\n             ".join(ascii(line)[1:-1] for line in value[:_LONGEST].split("\n"))


def _written(value: object) -> str:
    """The repr of a value; a text of several lines unchanged."""
    return value if isinstance(value, str) and "\n" in value else repr(value)


class Tally:
    """The results: cases and differences by kind, the first differences, and the time of the slowest case."""

    def __init__(self) -> None:
        self.cases: Counter[str] = Counter()
        self.differences: list[Difference] = []
        self.different: Counter[str] = Counter()
        self.slowest = (0.0, "")

    def differs(self, kind: str, case: object, expected: object, found: object) -> None:
        """Count a difference. The first ones are kept completely."""
        self.different[kind] += 1
        if len(self.differences) < _SHOWN:
            self.differences.append(Difference(kind, *map(_written, (case, expected, found))))

    def compare(self, kind: str, case: object, expected: object, found: object) -> None:
        """Count a case, and a difference if the two are not equal."""
        self.cases[kind] += 1
        if expected != found:
            self.differs(kind, case, expected, found)

    def took(self, kind: str, seconds: float) -> None:
        """Keep the time of the slowest case in seconds, and its kind."""
        self.slowest = max(self.slowest, (seconds, kind))

    def add(self, other: "Tally") -> None:
        """Count what another counted."""
        self.cases += other.cases
        self.different += other.different
        self.differences = (self.differences + other.differences)[:_SHOWN]
        self.slowest = max(self.slowest, other.slowest)


class Proof(NamedTuple):
    """A proof: `work` makes and checks that many cases from a random source, at most `batch` at once."""

    name: str
    about: str
    cases: int
    batch: int
    work: Callable[[random.Random, int], Tally]
    renewed: int | None = None
    """The batches after which a process is replaced, because runs of the program leave threads behind."""


def conduct(argv: Sequence[str], proof: Proof) -> int:
    """Run a proof with `[--count N] [--seed N]` and print its figures. Returns 1 if anything differs."""
    parser = argparse.ArgumentParser(prog=f"python -m tests.proof {proof.name}", description=proof.about)
    parser.add_argument("--count", type=int, default=proof.cases, help="how many cases (default %(default)s)")
    parser.add_argument("--seed", type=int, help="the seed of the cases (default: a new one)")
    given = parser.parse_args(argv)
    seed = random.SystemRandom().randrange(2**32) if given.seed is None else given.seed
    print(f"{proof.name}: seed {seed}, {given.count:,} cases", flush=True)
    begun = time.monotonic()
    tally = Tally()
    for part in _parts(proof, seed, given.count):
        tally.add(part)
    seconds = time.monotonic() - begun
    for kind, number in sorted(tally.cases.items()):
        print(f"  {number:>9,}  {kind}")
    longest, kind = tally.slowest
    if kind:
        print(f"slowest case: {longest * 1000:.0f} ms ({kind})")
    print(f"differences: {tally.different.total():,}")
    for kind, number in sorted(tally.different.items()):
        print(f"  {number:>9,}  {kind}")
    print(f"seconds: {seconds:.1f}")
    for number, difference in enumerate(tally.differences, 1):
        print(f"{number}. {difference}")
    return 1 if tally.different else 0


def _parts(proof: Proof, seed: int, count: int) -> Iterator[Tally]:
    """The tallies of all batches. Each has its own random source, so that cases depend only on the seed."""
    sizes = [min(proof.batch, count - done) for done in range(0, count, proof.batch)]
    processes = min(os.cpu_count() or 1, len(sizes))
    if processes < 2:
        yield from (_batch(proof, seed, number, size) for number, size in enumerate(sizes))
        return
    numbered = list(enumerate(sizes))
    # Not `max_tasks_per_child`, with which the pool of Python 3.11 can hang.
    group = len(sizes) if proof.renewed is None else proof.renewed * processes
    for start in range(0, len(sizes), group):
        with ProcessPoolExecutor(processes, multiprocessing.get_context("spawn")) as pool:
            some = numbered[start : start + group]
            for part in [pool.submit(_batch, proof, seed, number, size) for number, size in some]:
                yield part.result()


def _batch(proof: Proof, seed: int, number: int, size: int) -> Tally:
    return proof.work(random.Random(f"{seed} {number}"), size)
