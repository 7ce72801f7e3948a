"""Text from outside made safe to show: one line, bounded, nothing invisible or reordering; and mistyped names.

Used for everything that a server, a file name or a user's string puts in front of a person.
"""

import re
import unicodedata
from collections.abc import Iterable
from typing import Final

LONGEST_NAME: Final = 48
"""How many characters of a name are shown in the midst of other text."""

# How many characters the names take that a message lists: all there is to say, and beside one that is close.
_LONG_LIST: Final = 160
_SHORT_LIST: Final = 80
# A hostile answer can list names without end; each costs time to compare.
_MOST_COMPARED: Final = 2000

_LOWER: Final = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}

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


def closest_match(name: str, there: Iterable[str]) -> str | None:
    """The one of the names there that a mistyped one is closest to, whatever the case; None where none is close."""
    from difflib import get_close_matches  # only to word an error

    by_folded: dict[str, str] = {}
    for each in there:
        if len(each) <= LONGEST_NAME and len(by_folded) < _MOST_COMPARED:
            by_folded.setdefault(each.casefold(), each)
    found = get_close_matches(name.casefold(), by_folded, 1) if len(name) <= LONGEST_NAME else []
    return by_folded[found[0]] if found else None


def did_you_mean(name: str, there: Iterable[str], known: str = "there are") -> str:
    """What to say of a name that is none of those there: which one is close, and which there are, if that is short."""
    names = list(dict.fromkeys(there))
    if not names:
        return "there is none"
    close = closest_match(name, names)
    if close is None:
        return f"{known}: {listed(names)}"
    every = listed(names)
    beside = f" {known}: {every}" if len(every) <= _SHORT_LIST else ""
    return f"did you mean {printable(close)}?{beside}"


def listed(names: Iterable[str]) -> str:
    """The names with commas between them, or as many as a message has room for, and how many more there are."""
    names, text = list(names), ""
    for number, name in enumerate(names):
        longer = f"{text}, {printable(name, 40)}" if text else printable(name, 40)
        if len(longer) > _LONG_LIST:
            return f"{text} and {len(names) - number} more"
        text = longer
    return text


def folded(text: str) -> str:
    """The text with the ASCII letters in lower case and no other changed: names that fold alike differ in ASCII case alone."""
    return text.lower() if text.isascii() else text.translate(_LOWER)


def is_text(text: str) -> bool:
    """Whether a string is text: with an unpaired surrogate no encoding can carry it."""
    return text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text)
