"""Rewrite the golden outputs after an intended change of a format, or for a new format."""

import subprocess
import sys

from tests.golden import FOLDER, FORMATS, RUNS, output


def refresh() -> None:
    """Write each record's output in each format. Missing records are made by a run."""
    for name, arguments in RUNS.items():
        record = FOLDER / name
        if not record.exists():
            options = ["--sandbox", "-q", "--evidence", str(record)]
            command = [sys.executable, "-m", "balcli", *arguments, *options]
            subprocess.run(command, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for form in FORMATS:
            (FOLDER / f"{name}.{form}").write_bytes(output(record, form).encode())
