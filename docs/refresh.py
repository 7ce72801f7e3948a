"""Updates the pages: the output of the examples, the pictures, and the generated files.

Run `python docs/refresh.py`, with balcli and its extra `mcp` installed in the interpreter's environment, and jq and mlr
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
    """A document's text with each example's output as it is now, by the balcli beside this interpreter.

    Raises SystemExit if one prints nothing, as without jq or the extra `mcp`.
    """
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {"HOME": os.environ["HOME"], "PATH": path}

    def example(found: re.Match[str]) -> str:
        printed = output(found["command"], environment)
        if not printed:
            raise SystemExit(f"no page is changed, because this command printed nothing: {found['command']}")
        return f"```console\n$ {found['command']}\n{printed}```\n"

    return EXAMPLE.sub(example, text)


if __name__ == "__main__":
    pages = (README, *sorted((ROOT / "docs").glob("*.md")))
    for page, text in [(page, refreshed(page.read_text())) for page in pages]:
        page.write_text(text)
    pictures.refresh()
    reference.refresh()
    manpage.refresh()
    completions.refresh()
