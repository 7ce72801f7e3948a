"""Record what balcli does for many command lines, and compare it later: `python -m tests.golden record|compare FOLDER`.

`record` writes a file for each command line: its exit code, stdout, stderr and written files, with normalized times,
ports and paths. `compare` runs them again, prints the differences, and exits with 1 if there are any. `refresh`
rewrites the outputs in this folder after an intended change of a format, and makes deleted records again.
"""

import argparse
import difflib
import sys
from pathlib import Path

from tests.golden import refresh
from tests.golden.recorder import record

_MOST_LINES = 400


def main() -> int:
    """Run the command. Returns 1 if a comparison finds a difference, or else 0."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.golden", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("verb", choices=("record", "compare", "refresh"))
    parser.add_argument(
        "folder", type=Path, nargs="?", help="where the recording is kept, outside the repository"
    )
    given = parser.parse_args()
    if given.verb == "refresh":
        refresh.refresh()
        return 0
    if given.folder is None:
        parser.error("give the folder of the recording")
    now = record()
    if given.verb == "record":
        given.folder.mkdir(parents=True, exist_ok=True)
        for name, text in now.items():
            (given.folder / name).write_bytes(text.encode())
        print(f"{len(now)} command lines recorded in {given.folder}")
        return 0
    return _compare({path.name: path.read_bytes().decode() for path in given.folder.iterdir()}, now)


def _compare(before: dict[str, str], now: dict[str, str]) -> int:
    differing = [name for name in sorted({*before, *now}) if before.get(name) != now.get(name)]
    lines = [
        line
        for name in differing
        for line in difflib.unified_diff(
            before.get(name, "").splitlines(), now.get(name, "").splitlines(), name, name, lineterm="", n=1
        )
    ]
    print(*lines[:_MOST_LINES], sep="\n")
    if len(lines) > _MOST_LINES:
        print(f"({len(lines) - _MOST_LINES} more lines)")
    print(f"{len(differing)} of {len(now)} command lines differ")
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
