"""Makes the golden records and their outputs anew: `python -m tests.golden`, when a format is meant to change."""

import shutil
import subprocess
import sys

from tests.golden import FOLDER, FORMATS, RUNS, output

for name, arguments in RUNS.items():
    shutil.rmtree(FOLDER / name, ignore_errors=True)
    command = [
        sys.executable,
        "-m",
        "balcli",
        *arguments,
        "--sandbox",
        "-q",
        "--evidence",
        str(FOLDER / name),
    ]
    subprocess.run(command, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for form in FORMATS:
        (FOLDER / f"{name}.{form}").write_bytes(output(FOLDER / name, form).encode())
