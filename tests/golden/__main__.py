"""Records what balcli does for many command lines, and compares it later: `python -m tests.golden record|compare FOLDER`.

`record` writes a file for each command line: its exit code, stdout, stderr and the files that it wrote, with times,
ports and paths made alike. `compare` runs them again and prints what differs; its exit code is 1 if anything does.
`refresh` writes the outputs of this folder anew, when a format is meant to change; a record that was deleted, too.
"""

import argparse
import difflib
import sys
from pathlib import Path

from tests.golden import refresh
from tests.golden.recorder import record

_MOST_LINES = 400


def main() -> int:
    """Do what the command line says; 0, or 1 where a comparison finds a difference."""
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
