"""Makes the golden records and their outputs anew, when a format is meant to change."""

import shutil
import subprocess
import sys

from tests.golden import FOLDER, FORMATS, RUNS, output


def refresh() -> None:
    """Run each command line, keep its evidence as the record, and what each format makes of that."""
    for name, arguments in RUNS.items():
        record = FOLDER / name
        shutil.rmtree(record, ignore_errors=True)
        options = ["--sandbox", "-q", "--evidence", str(record)]
        command = [sys.executable, "-m", "balcli", *arguments, *options]
        subprocess.run(command, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for form in FORMATS:
            (FOLDER / f"{name}.{form}").write_bytes(output(record, form).encode())
