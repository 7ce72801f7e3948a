"""Draws the pictures of README.md and docs/ from the scenes that the tests record: `python docs/pictures.py`.

Rich makes the SVG. Its font is fetched from a foreign host and its blanks are lost by renderers other than browsers:
both are mended here.
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
"""Each scene with the command line that shows it, and the width of its terminal."""
_BAR: Final = "#008787"
"""The colour of bars, as rich writes that of the palette."""


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
    # Not every renderer stretches a text to its length: in this size, a character is as wide as rich counts.
    svg = svg.replace("font-size: 20px", "font-size: 20.27px")
    # Blocks do not fill a line of the picture: without an edge, bars have seams.
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
