"""A year of runs every ten minutes: the time of list, series, two runs for a diff, recording and pruning, and the file size."""

import argparse
import random
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

from balcli.cli.balances import machine
from balcli.cli.recorded import find_run, open_recorded
from balcli.errors import TimedOut
from balcli.history.database import connect, write_transaction
from balcli.history.pruning import prune
from balcli.history.reading import run, runs
from balcli.history.recording import insert, record
from balcli.history.series import series
from balcli.models import Account, Balance, Failure, Holdings, Outcome, Report
from balcli.money import Amount
from balcli.report import build

T = TypeVar("T")

START: Final = datetime(2025, 1, 1, tzinfo=UTC)
STEP: Final = timedelta(minutes=10)
BATCH: Final = 500
ACCOUNTS: Final = 5
BALANCES: Final = 30


def main(argv: Sequence[str]) -> int:
    """Write the year with the real recording code, measure, and print. Returns 1 if a run reads back differently."""
    parser = argparse.ArgumentParser(prog="python -m tests.proof year", description=__doc__)
    parser.add_argument("--count", type=int, default=52560, help="so many runs")
    parser.add_argument("--changing", type=int, default=20, help="so many balances of 100 change in a run")
    parser.add_argument("--seed", type=int, default=random.randrange(2**32))
    given = parser.parse_args(argv)
    print(
        f"year: {given.count:,} runs of {BALANCES} balances, {given.changing} % change, seed {given.seed}",
        flush=True,
    )
    with tempfile.TemporaryDirectory() as folder:
        return _measure(Path(folder) / "history.db", given.count, given.changing, given.seed)


def _measure(file: Path, count: int, changing: int, seed: int) -> int:
    kept: dict[int, Report] = {}
    last = _timed("written, in batches of 500", lambda: write_year(file, count, changing, seed, kept))
    _size(file)
    alone = [
        _seconds(partial(record, file, last._replace(generated_at=last.generated_at + STEP * n)))[0]
        for n in range(1, 6)
    ]
    print(f"  {sorted(alone)[2] * 1000:9.1f} ms  one run recorded by itself")
    listed = _timed("list of all runs", lambda: runs(file))
    shown = _timed("series of one asset at all accounts and their sum", lambda: series(file, assets=["A00"]))
    _timed("series of all assets of one account", lambda: series(file, accounts=["account1"]))
    _timed("two runs read whole, for a diff", lambda: [run(file, listed[0].id), run(file, listed[-1].id)])
    wrong = sum(not _same(file, number, report) for number, report in kept.items())
    middle = f"{START + STEP * (count // 2):%Y-%m-%d}"
    _timed("a day in the middle, found and written as json", lambda: _shown(file, middle))
    before = START + STEP * count - timedelta(days=90)
    _timed("prune of all but 90 days, as a dry run", lambda: prune(file, ["main"], before, dry_run=True))
    gone = _timed("prune of all but 90 days", lambda: prune(file, ["main"], before))
    _size(file)
    wrong += sum(
        not _same(file, number, report) for number, report in kept.items() if report.generated_at >= before
    )
    print(
        f"  {len(listed):,} runs listed, {sum(len(each.intervals) for each in shown):,} intervals, {gone.runs:,} runs and {gone.bytes:,} bytes pruned"
    )
    print(f"runs that read otherwise than they were written, of {len(kept)}: {wrong}")
    return 1 if wrong else 0


def _shown(file: Path, day: str) -> str:
    """The document of a day's last complete run."""
    found = find_run(open_recorded(file, None, sandbox=False), day)
    return "".join(machine("json", found.report))


def write_year(file: Path, count: int, changing: int, seed: int, kept: dict[int, Report]) -> Report:
    """Record the runs. Returns every 500th for comparison."""
    reports = _reports(count, changing, random.Random(seed))
    report = next(reports)
    with connect(file, create=True) as connection:
        for begin in range(0, count, BATCH):
            with write_transaction(connection):
                for _ in range(begin, min(begin + BATCH, count)):
                    number = insert(connection, report)
                    if number % BATCH == 7:
                        kept[number] = report
                    last, report = report, next(reports)
    return last


def _reports(count: int, changing: int, chance: random.Random) -> Iterator[Report]:
    """The runs, and one more: some balances change each time, and one run in a hundred is partial."""
    names = [f"account{number}" for number in range(ACCOUNTS)]
    accounts: list[Account[object]] = [
        Account(name, "wallet", "", {"wallet_id": name}, (), None) for name in names
    ]
    held = {name: [_balance(name, place, chance) for place in range(BALANCES // ACCOUNTS)] for name in names}
    failure = Failure.from_error(TimedOut("no answer within 10 s; try again, or raise --timeout"))
    for number in range(count + 1):
        at = START + STEP * number
        outcomes = []
        for account in accounts:
            rows = held[account.name]
            for place in range(len(rows)):
                if chance.randrange(100) < changing:
                    rows[place] = _balance(account.name, place, chance)
            fails = chance.randrange(100 * ACCOUNTS) == 0
            holdings = None if fails else Holdings(tuple(rows))
            fetched_at = None if fails else at + timedelta(milliseconds=chance.randrange(900))
            outcomes.append(Outcome(account, holdings, fetched_at, failure if fails else None))
        yield build("main", outcomes)._replace(generated_at=at)


def _balance(account: str, place: int, chance: random.Random) -> Balance:
    """A balance with 18 decimal places, and other fields that a provider sends."""
    available, hold = (Amount(chance.randrange(10**22), 18) for _ in range(2))
    raw = {"balance": str(available), "holdBalance": str(hold)}
    return Balance(
        account, "wallet", f"A{place:02}", None, available + hold, available, hold, {"hold": hold}, raw
    )


def _same(file: Path, number: int, report: Report) -> bool:
    """Whether a run reads back unchanged."""
    found = run(file, number)
    return found is not None and _plain(found.report) == _plain(report)


def _plain(report: Report) -> tuple[object, ...]:
    told = [
        (each.account.name, each.account.target, each.fetched_at, each.failure) for each in report.outcomes
    ]
    return report.generated_at, report.profile, told, report.balances, report.totals, report.notices


def _timed(what: str, work: Callable[[], T]) -> T:
    start = time.process_time()
    seconds, result = _seconds(work)
    own = time.process_time() - start
    print(f"  {seconds * 1000:9.1f} ms  {what} ({own * 1000:.1f} ms of the processor)", flush=True)
    return result


def _seconds(work: Callable[[], T]) -> tuple[float, T]:
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def _size(file: Path) -> None:
    print(f"  {file.stat().st_size / 1e6:9.1f} MB  the history")
