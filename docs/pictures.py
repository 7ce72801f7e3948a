"""Draws the pictures of README.md and docs/ from the scenes of the tests: `python docs/pictures.py`.

Rich exports the SVG. Its font comes from another host, and only browsers keep its spaces: both are corrected here.
"""

import io
import re
import sys
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

ROOT: Final = Path(__file__).parent.parent
FOLDER: Final = ROOT / "docs" / "pictures"
PICTURES: Final = {
    "complete": ("balcli all", 100),
    "partial": ("balcli all --nonzero", 100),
    "watch": ("balcli all --watch 5", 110),
    "doctor": ("balcli doctor", 100),
    "history": ("balcli history --asset USDT --account shop", 100),
    "diff": ("balcli diff --live", 100),
}
"""Each scene with its command line and the width of its terminal."""
_BAR: Final = "#008787"
"""The colour of bars in rich's output."""


def picture(scene: str) -> str:
    """The SVG of a scene."""
    sys.path.insert(0, str(ROOT))
    from tests.screens import SCENES, one_terminal

    title, columns = PICTURES[scene]
    with one_terminal():
        shown = Text.from_ansi(SCENES[scene](columns))
    console = Console(record=True, width=columns, file=io.StringIO(), color_system="256", force_terminal=True)
    console.print(shown, no_wrap=True, crop=False)
    svg = console.export_svg(title=title, unique_id=f"balcli-{scene}", theme=MONOKAI)
    svg = re.sub(r"\s*@font-face \{.*?\}\n", "", svg, flags=re.DOTALL)
    svg = re.sub(r"font-family: Fira Code", "font-family: 'DejaVu Sans Mono', Menlo, Consolas", svg)
    # Not every renderer stretches text to its length. In this size, characters have the width that rich expects.
    svg = svg.replace("font-size: 20px", "font-size: 20.27px")
    # Block characters are lower than a line. Without a stroke, bars have gaps.
    svg = svg.replace(f"fill: {_BAR}", f"fill: {_BAR}; stroke: {_BAR}; stroke-width: 3px")
    lines = svg.replace("<text ", '<text xml:space="preserve" ').splitlines()
    return "".join(f"{line.rstrip()}\n" for line in lines if line.strip())


def refresh() -> None:
    """Draw all pictures."""
    FOLDER.mkdir(exist_ok=True)
    for scene in PICTURES:
        (FOLDER / f"{scene}.svg").write_text(picture(scene), encoding="utf-8")


if __name__ == "__main__":
    refresh()
