"""Writes the output of `balcli completion` for bash, zsh and fish to `contrib/completions/`.

Run `python docs/completions.py`, with balcli installed in the interpreter's environment.
"""

import subprocess
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parent.parent
FOLDER: Final = ROOT / "contrib" / "completions"
FILES: Final = {"bash": "balcli.bash", "zsh": "_balcli", "fish": "balcli.fish"}


def script(shell: str) -> str:
    """The completion file of a shell."""
    done = subprocess.run(
        [sys.executable, "-m", "balcli", "completion", shell],
        cwd=ROOT,
        capture_output=True,
        check=True,
        text=True,
    )
    # In zsh, the first Tab loads the file, which must also complete.
    return done.stdout.strip() + ('\n\n_balcli_completion "$@"\n' if shell == "zsh" else "\n")


def refresh() -> None:
    """Write the files."""
    for shell, name in FILES.items():
        (FOLDER / name).write_text(script(shell))


if __name__ == "__main__":
    refresh()
