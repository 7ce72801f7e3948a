"""Escape untrusted text for display (one line, limited length, nothing invisible), and format lists and hints.

Used for all text from servers, file names and users that is shown to a person.
"""

import re
import unicodedata
from collections.abc import Iterable
from typing import Final

LONGEST_NAME: Final = 48
"""The maximum length of a name within other text."""

# The maximum length of a list of names in a message: alone, and after a similar name.
_LONG_LIST: Final = 160
_SHORT_LIST: Final = 80
# A hostile response can list any number of names, and each comparison takes time.
_MOST_COMPARED: Final = 2000

_LOWER: Final = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz")

# Printable according to Python, but invisible or blank: fillers, joiners, variation selectors.
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

    With a limit, the text is cut to that many characters, ending with `...`.
    """
    if limit and len(text) > limit:
        # Cut before escaping, too, so that a megabyte takes no longer than the part that is shown.
        text = text[:limit] + "..."
    text = escape_unprintable(text)
    if limit and len(text) > limit:
        text = f"{text[: max(limit - 3, 0)]}..."[:limit]
    return text


def escape_unprintable(text: str, keep: str = "") -> str:
    """The text with all unprintable characters escaped, except those in `keep`."""
    if _is_printable(text):
        return text
    return "".join(c if c in keep or _is_printable(c) else _escape(c) for c in text)


def _is_printable(text: str) -> bool:
    # Compiled only if needed (`re` caches it): most runs show only ASCII.
    return text.isprintable() and (text.isascii() or not re.search(_INVISIBLE, text))


def width(text: str) -> int:
    """The number of terminal columns of a printable text."""
    if text.isascii():
        return len(text)
    return sum(_columns(c) for c in text)


def _columns(character: str) -> int:
    # Marks, and the vowels and finals of conjoining Hangul, have no width of their own.
    if unicodedata.category(character) in {"Mn", "Me"} or "\u1160" <= character <= "\u11ff":
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def closest_match(name: str, there: Iterable[str]) -> str | None:
    """The name most similar to a mistyped one, ignoring case; None if no name is similar."""
    from difflib import get_close_matches  # only for error messages

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
    """The names joined by commas. A long list is cut, with the number of the others."""
    names, text = list(names), ""
    for number, name in enumerate(names):
        longer = f"{text}, {printable(name, 40)}" if text else printable(name, 40)
        if len(longer) > _LONG_LIST:
            return f"{text} and {len(names) - number} more"
        text = longer
    return text


def numbered(number: int, thing: str) -> str:
    """The number and the noun, in the singular or plural."""
    return f"1 {thing}" if number == 1 else f"{number} {thing}s"


def folded(text: str) -> str:
    """The text with only its ASCII letters in lower case."""
    return text.lower() if text.isascii() else text.translate(_LOWER)


def is_text(text: str) -> bool:
    """Whether a string can be encoded: it has no unpaired surrogate."""
    return text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text)
