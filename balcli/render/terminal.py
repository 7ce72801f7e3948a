"""The colors of the terminal, and lines as colored text. Only this module imports rich."""

import os
from collections.abc import Iterable, Iterator
from typing import Any, Final

from rich.color import ColorSystem
from rich.style import Style as Look

from balcli.render.layout import Line, Style

# Each color has a contrast ratio of at least 3.9 against both black and white. Opposites never differ only in
# color: each also has a mark, a sign or a word.
PALETTE: Final[dict[Style, dict[str, Any]]] = {
    "head": {"bold": True},
    "name": {"bold": True},
    "thousands": {"bold": True},
    "faint": {"dim": True},
    "good": {"color": "color(28)"},  # green
    "plus": {"color": "color(28)"},
    "open": {"color": "color(130)"},  # amber
    "bad": {"color": "color(160)"},  # red
    "minus": {"color": "color(160)"},
    "bar": {"color": "color(30)"},  # teal
}


def coloured(lines: Iterable[Line]) -> Iterator[str]:
    """The lines as text with terminal codes, one by one.

    rich makes the codes of each style once. Its console would take ten times as long per line, and twice as long to
    import.
    """
    system = ColorSystem.EIGHT_BIT if _has_256_colours() else ColorSystem.STANDARD
    codes = {style: Look(**look).render("\0", color_system=system) for style, look in PALETTE.items()}
    codes[""] = "\0"
    for line in lines:
        yield "".join([codes[style].replace("\0", text) for text, style in line.trimmed()]) + "\n"


def _has_256_colours() -> bool:
    return "256" in os.environ.get("TERM", "") or bool(os.environ.get("COLORTERM"))
