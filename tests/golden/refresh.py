"""Writes the golden outputs anew, when a format is meant to change or to be added."""

import subprocess
import sys

from tests.golden import FOLDER, FORMATS, RUNS, output


def refresh() -> None:
    """Write what each format makes of each record; a record that is not there is made by a run."""
    for name, arguments in RUNS.items():
        record = FOLDER / name
        if not record.exists():
            options = ["--sandbox", "-q", "--evidence", str(record)]
            command = [sys.executable, "-m", "balcli", *arguments, *options]
            subprocess.run(command, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for form in FORMATS:
            (FOLDER / f"{name}.{form}").write_bytes(output(record, form).encode())
