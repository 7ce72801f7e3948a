"""The number of files and functions of the package that one run enters: `python -m benchmarks.path [--list]`.

It runs `balcli wallet -o json` with a profile of one wallet against a sandbox server in another process. A file
counts if any of its functions or class bodies runs. A function or comprehension counts if it is entered. Code that
only an import runs does not count.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Final

PACKAGE: Final = Path(__file__).parents[1] / "balcli"
_COUNTING: Final = """
import sys, threading
entered = set()
def enter(frame, event, argument):
    if event == "call":
        code = frame.f_code
        entered.add((code.co_filename, code.co_qualname, code.co_firstlineno, code.co_flags & 1))
threading.setprofile(enter)
sys.setprofile(enter)
sys.argv[0] = "balcli"
from balcli.__main__ import main
try:
    main()
finally:
    sys.setprofile(None)
    threading.setprofile(None)
    for each in entered:
        print("entered", *each, sep="\\t", file=sys.stderr)
"""
_CLASS_BODY: Final = "0"
"""The flag CO_OPTIMIZED of a code object, which functions have and class bodies do not."""


def entered() -> Mapping[str, set[str]]:
    """The functions of the package that a run enters, by file."""
    from balcli.sandbox import Sandbox

    with Sandbox() as server, tempfile.TemporaryDirectory() as home:
        file = Path(home) / "config.toml"
        file.write_text(server.profile("main").partition("[[")[2].partition("[[")[0].join(("[[", "")))
        file.chmod(0o600)
        done = subprocess.run(
            [sys.executable, "-c", _COUNTING, "wallet", "-o", "json", "-c", str(file)],
            env={"HOME": home, "PATH": os.environ["PATH"], "PYTHONPATH": str(PACKAGE.parent)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    if done.returncode != 0:
        raise SystemExit(f"the run failed with exit code {done.returncode}:\n{done.stderr}")
    functions: dict[str, set[str]] = defaultdict(set)
    for line in done.stderr.splitlines():
        place, name, number, kind = line.removeprefix("entered\t").split("\t")
        if place.startswith(f"{PACKAGE}{os.sep}") and name != "<module>":
            names = functions[str(Path(place).relative_to(PACKAGE))]
            if kind != _CLASS_BODY:
                names.add(f"{name}:{number}")
    return functions


def main() -> None:
    """Print the two numbers, and with --list each function under its file."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.path")
    parser.add_argument("--list", action="store_true", help="name each function under its file")
    whole = parser.parse_args().list
    functions = entered()
    for file, names in sorted(functions.items()) if whole else ():
        print(f"{file}  {len(names)}", *(f"  {name}" for name in sorted(names)), sep="\n")
    print(f"{len(functions)} files, {sum(map(len, functions.values()))} functions")


if __name__ == "__main__":
    main()
