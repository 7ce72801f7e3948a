"""Text from outside made safe to show: one line, bounded, nothing invisible or reordering.

Used for everything that a server, a file name or a user's string puts in front of a person.
"""

import re
import unicodedata
from typing import Final

LONGEST_NAME: Final = 48
"""How many characters of a name are shown in the midst of other text."""

# Printable to Python, yet drawn as nothing or as a blank: fillers, joiners, variation selectors.
_INVISIBLE: Final = (
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)


def _escape(character: str) -> str:
    number = ord(character)
    if number <= 0xFF:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number <= 0xFFFF else f"\\U{number:08x}"


def printable(text: str, limit: int = 0) -> str:
    """The text on one line, with control, bidirectional, zero-width and unpaired characters escaped.

    With a limit, at most that many characters, the cut marked with `...`.
    """
    if limit and len(text) > limit:
        # Cut before escaping, too, so that a megabyte costs no more than what is shown.
        text = text[:limit] + "..."
    text = legible(text)
    if limit and len(text) > limit:
        text = f"{text[: max(limit - 3, 0)]}..."[:limit]
    return text


def legible(text: str, keep: str = "") -> str:
    """The text with what `printable` escapes escaped, but for the characters to keep."""
    if _is_legible(text):
        return text
    return "".join(c if c in keep or _is_legible(c) else _escape(c) for c in text)


def _is_legible(text: str) -> bool:
    # The pattern is compiled where a text needs it (`re` keeps it): most runs show ASCII alone.
    return text.isprintable() and (text.isascii() or not re.search(_INVISIBLE, text))


def width(text: str) -> int:
    """How many terminal columns a printable text takes."""
    if text.isascii():
        return len(text)
    return sum(_columns(c) for c in text)


def _columns(character: str) -> int:
    # Marks stand on the character before them, and so do the vowels and finals of conjoining Hangul.
    if unicodedata.category(character) in {"Mn", "Me"} or "\u1160" <= character <= "\u11ff":
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def valid_unicode(text: str) -> str:
    """The text with unpaired surrogates, which no encoding can carry, replaced by U+FFFD."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text
