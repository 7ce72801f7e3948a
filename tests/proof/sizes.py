"""Large responses, one and eight at once, in every format: each run succeeds, in time and within its memory limit."""

import argparse
import json
import os
import pty
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final, NamedTuple

from balcli.cli.options import REPORTS
from benchmarks.measure import PEAK
from tests.conftest import ROOT, Program
from tests.faults.wire import sends
from tests.wire import TOKEN, Wire, answer

MIB: Final = 1024 * 1024
_BOUND: Final = 200 * MIB
_SMALL_BOUND: Final = 150_000_000
_SMALL: Final = 5000
_AT_ONCE: Final = 8
_DEADLINE: Final = 60
FORMATS: Final = (*REPORTS, "terminal")
"""The measured outputs: each format in a pipe, and the coloured table in a pseudo-terminal."""


class Cost(NamedTuple):
    """The cost of a run, and its end."""

    code: int
    seconds: float
    memory: int
    """The peak resident memory in bytes."""
    written: int
    """The bytes on stdout."""


def wallet_row(account: int, row: int) -> dict[str, object]:
    """A row of KunaCore's response: a new asset, and three amounts with 18 decimal places."""
    amount = f"{row + 1}.{account:03}{row:014}7"
    return {
        "balance": amount,
        "asset": f"A{account}-{row}",
        "holdBalance": f"0.{row + 1:018}",
        "lockBalance": "0",
        "referralBalance": "0.000000000000000001",
        "depositAddress": {},
    }


def merchant_row(account: int, row: int) -> dict[str, object]:
    """A row of VelaFi's response: a new asset, and three amounts with 18 decimal places."""
    name, amount = f"A{account}-{row}", f"{row + 1}.{row:017}7"
    return {"asset": name, "assetId": name, "assetName": name, "total": amount, "free": amount, "locked": "0"}


def name_alone(account: int, row: int) -> dict[str, object]:
    """A row of KunaCore's response without amounts, which is valid: they are unknown."""
    return {"asset": f"A{account}-{row}"}


Row = Callable[[int, int], Mapping[str, object]]
KINDS: Final[Mapping[str, Row]] = {"wallet": wallet_row, "merchant": merchant_row, "names": name_alone}


def body(kind: str, account: int, rows: int) -> bytes:
    """The response for one account, with rows of that kind."""
    listed = [KINDS[kind](account, row) for row in range(rows)]
    data = {"canDeposit": True, "balances": listed} if kind == "merchant" else listed
    return json.dumps({"code": 200, "data": data}, separators=(",", ":")).encode()


def _profile(kind: str, urls: Sequence[str]) -> str:
    tables = []
    for number, url in enumerate(urls):
        own = f'token = "{TOKEN}"\n' if kind == "merchant" else f'access_token = "{TOKEN}"\nwallet_id = "w"\n'
        name = "merchant" if kind == "merchant" else "wallet"
        tables.append(f'[[profiles.main.{name}]]\nname = "a{number}"\nbase_url = "{url}"\n{own}')
    return "".join(tables)


@contextmanager
def serving(kind: str, accounts: int, rows: int, folder: Path) -> Iterator[Program]:
    """A program whose profile has that many accounts, each with that many rows."""
    with ExitStack() as stack:
        answers = [answer(body(kind, number, rows)) for number in range(accounts)]
        wires = [stack.enter_context(Wire(sends(raw))) for raw in answers]
        program = Program(folder)
        program.write(_profile(kind, [wire.url for wire in wires]))
        yield program


def cost(program: Program, output: str, *arguments: str) -> Cost:
    """The cost of `balcli all` in a format, as a separate process."""
    on_terminal = output == "terminal"
    environment = program.environment({"TERM": "xterm-256color"} if on_terminal else {})
    options = ["-o", "table" if on_terminal else output, "-q", "--config", str(program.file), *arguments]
    reader, writer = pty.openpty() if on_terminal else os.pipe()
    if on_terminal:
        termios.tcsetwinsize(writer, (40, 120))
    begun = time.monotonic()
    with tempfile.NamedTemporaryFile() as peak:
        measured = (sys.executable, "-I", "-S", "-c", PEAK, peak.name)
        process = subprocess.Popen(
            [*measured, sys.executable, "-m", "balcli", "all", *options],
            cwd=ROOT,
            env=environment,
            stdout=writer,
            stderr=subprocess.DEVNULL,
        )
        os.close(writer)
        written = 0
        with suppress(OSError):  # what a pseudo-terminal on Linux ends with
            while piece := os.read(reader, 65_536):
                written += len(piece)
        os.close(reader)
        code = process.wait()
        seconds = time.monotonic() - begun
        memory = int(peak.read()) * (1 if sys.platform == "darwin" else 1024)
    return Cost(code, seconds, memory, written)


def bound(accounts: int, rows: int) -> int:
    """The memory limit of a run in bytes."""
    return _SMALL_BOUND if accounts == 1 and rows <= _SMALL else _BOUND


def main(argv: Sequence[str]) -> int:
    """Measure each size in each format. Returns 1 if a run took too much or failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.proof sizes", description=__doc__)
    parser.add_argument(
        "--count", type=int, default=100_000, help="rows of the largest run (default %(default)s)"
    )
    parser.add_argument("--only", default="", help="one kind of rows, or one format")
    arguments = parser.parse_args(argv)
    largest: int = arguments.count
    sizes = ((1, largest // 20), (1, largest // 5), (_AT_ONCE, largest // _AT_ONCE))
    failed = 0
    print(
        f"{'rows':<9} {'accounts':>8} {'of each':>8}  {'format':<10} {'seconds':>7} {'MiB':>6} {'written':>8}"
    )
    for kind in KINDS:
        for accounts, rows in sizes:
            with (
                tempfile.TemporaryDirectory() as folder,
                serving(kind, accounts, rows, Path(folder)) as program,
            ):
                for output in FORMATS:
                    if arguments.only not in {"", kind, output}:
                        continue
                    took = cost(program, output, "--deadline", str(_DEADLINE))
                    well = (
                        took.code == 0
                        and took.memory <= bound(accounts, rows)
                        and took.seconds <= _DEADLINE + 0.5
                    )
                    failed += not well
                    mark = "" if well else f"  exit {took.code}, over the bound or late"
                    print(
                        f"{kind:<9} {accounts:>8} {rows:>8,}  {output:<10} {took.seconds:>7.2f} {took.memory / MIB:>6.0f}"
                        f" {took.written / MIB:>8.1f}{mark}",
                        flush=True,
                    )
    return 1 if failed else 0
