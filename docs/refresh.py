"""Makes what the pages show: the output of the examples, the pictures, and the files that are generated.

`python docs/refresh.py`, with balcli and its extra `mcp` installed in the interpreter's environment and jq and mlr
(Miller) on the PATH.
"""

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import completions
import manpage
import pictures
import reference

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
EXAMPLE = re.compile(r"```console\n\$ (?P<command>.*)\n(?P<output>(?:(?!```).*\n)*)```\n")


def output(command: str, environment: Mapping[str, str]) -> str:
    """What a command line prints in an empty folder without a history, with this environment."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "docs").symlink_to(ROOT / "docs")
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=folder,
            env={**environment, "XDG_STATE_HOME": folder},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            stdin=subprocess.DEVNULL,
            check=False,
            text=True,
        )
    return done.stdout


def refreshed(text: str) -> str:
    """A document's text with each example's output as it is now, by the balcli beside this interpreter."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {"HOME": os.environ["HOME"], "PATH": path}
    return EXAMPLE.sub(
        lambda m: f"```console\n$ {m['command']}\n{output(m['command'], environment)}```\n", text
    )


if __name__ == "__main__":
    for page in (README, *sorted((ROOT / "docs").glob("*.md"))):
        page.write_text(refreshed(page.read_text()))
    pictures.refresh()
    reference.refresh()
    manpage.refresh()
    completions.refresh()
