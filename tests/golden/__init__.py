"""Records of sandbox runs, and their output in each format as golden files, made by the whole program."""

from pathlib import Path
from typing import Final

from balcli.cli.options import REPORTS
from balcli.evidence.replay import replay
from tests.rendering import drawn, machine

FOLDER: Final = Path(__file__).parent
RUNS: Final = {
    "partial": ("all", "--fault", "merchant:amount", "--fault", "wallet:expired"),
    "merchants": ("merchant", "--all-merchants", "--fiat", "--asset", "usdt,usd"),
    "refused": ("loopring", "--fault", "refused"),
}
"""The command line of each record."""
FORMATS: Final = tuple(form.value for form in REPORTS)


def output(record: Path, form: str) -> str:
    """A record's output in a format; tables have unlimited width."""
    report = replay(record).report
    return drawn(report) if form == "table" else machine(form, report)
