"""Escape untrusted text for display (one line, bounded, nothing invisible), and word lists, counts and likely names.

Used for everything that comes from a server, a file name or a user and is shown to a person.
"""

import re
import unicodedata
from collections.abc import Iterable
from typing import Final

LONGEST_NAME: Final = 48
"""The most characters of a name that are shown within other text."""

# How many characters the names take that a message lists: all there is to say, and beside one that is close.
_LONG_LIST: Final = 160
_SHORT_LIST: Final = 80
# A hostile answer can list names without end; each costs time to compare.
_MOST_COMPARED: Final = 2000

_LOWER: Final = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz")

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
    text = escape_unprintable(text)
    if limit and len(text) > limit:
        text = f"{text[: max(limit - 3, 0)]}..."[:limit]
    return text


def escape_unprintable(text: str, keep: str = "") -> str:
    """The text with all unprintable characters escaped but those to keep."""
    if _is_printable(text):
        return text
    return "".join(c if c in keep or _is_printable(c) else _escape(c) for c in text)


def _is_printable(text: str) -> bool:
    # The pattern is compiled where a text needs it (`re` keeps it): most runs show ASCII alone.
    return text.isprintable() and (text.isascii() or not re.search(_INVISIBLE, text))


def width(text: str) -> int:
    """The number of terminal columns of a printable text."""
    if text.isascii():
        return len(text)
    return sum(_columns(c) for c in text)


def _columns(character: str) -> int:
    # Marks stand on the character before them, and so do the vowels and finals of conjoining Hangul.
    if unicodedata.category(character) in {"Mn", "Me"} or "\u1160" <= character <= "\u11ff":
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def closest_match(name: str, there: Iterable[str]) -> str | None:
    """The name most similar to a mistyped one, ignoring case; None if no name is similar."""
    from difflib import get_close_matches  # only to word an error

    by_folded: dict[str, str] = {}
    for each in there:
        if len(each) <= LONGEST_NAME and len(by_folded) < _MOST_COMPARED:
            by_folded.setdefault(each.casefold(), each)
    found = get_close_matches(name.casefold(), by_folded, 1) if len(name) <= LONGEST_NAME else []
    return by_folded[found[0]] if found else None


def did_you_mean(name: str, there: Iterable[str]) -> str:
    """The hint for an unknown name: a similar name, and all names if the list is short."""
    names = list(dict.fromkeys(there))
    if not names:
        return "none exist"
    close = closest_match(name, names)
    if close is None:
        return f"use one of: {join_names(names)}"
    every = join_names(names)
    beside = f" (one of: {every})" if len(every) <= _SHORT_LIST else ""
    return f"did you mean {printable(close)}?{beside}"


def join_names(names: Iterable[str]) -> str:
    """The names joined by commas; of a long list the first ones, and the number of the others."""
    names, text = list(names), ""
    for number, name in enumerate(names):
        longer = f"{text}, {printable(name, 40)}" if text else printable(name, 40)
        if len(longer) > _LONG_LIST:
            return f"{text} and {len(names) - number} more"
        text = longer
    return text


def numbered(number: int, thing: str) -> str:
    """The number with the thing in singular or plural."""
    return f"1 {thing}" if number == 1 else f"{number} {thing}s"


def folded(text: str) -> str:
    """The text with its ASCII letters in lower case, and no other character changed."""
    return text.lower() if text.isascii() else text.translate(_LOWER)


def is_text(text: str) -> bool:
    """Whether a string can be encoded: it has no unpaired surrogate."""
    return text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text)
