"""Records of sandbox runs, and what each format made of them: golden files that are read by the whole program."""

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
"""The command lines by the names of their records."""
FORMATS: Final = tuple(form.value for form in REPORTS)


def output(record: Path, form: str) -> str:
    """What a record comes to in a format; a table as wide as it likes."""
    report = replay(record).report
    return drawn(report) if form == "table" else machine(form, report)
