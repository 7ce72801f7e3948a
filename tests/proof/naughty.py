"""Difficult names that a server or a file may contain, made by rules, and how a table must show them."""

import random
import sys
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Final

IGNORABLE: Final = [
    *[(0x00AD, 0x00AD), (0x034F, 0x034F), (0x061C, 0x061C), (0x115F, 0x1160), (0x17B4, 0x17B5)],
    *[(0x180B, 0x180F), (0x200B, 0x200F), (0x202A, 0x202E), (0x2060, 0x206F), (0x3164, 0x3164)],
    *[(0xFE00, 0xFE0F), (0xFEFF, 0xFEFF), (0xFFA0, 0xFFA0), (0xFFF0, 0xFFF8), (0x1BCA0, 0x1BCA3)],
    *[(0x1D173, 0x1D17A), (0xE0000, 0xE0FFF)],
]
"""Default_Ignorable_Code_Point of the Unicode Character Database: characters that are not drawn."""

_BLANK_BRAILLE: Final = 0x2800
_LONGEST: Final = 10_000

# No characters that move the cursor, join, reorder or have no width, and no spaces except U+0020.
_UNSEEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Zs"})

_C0: Final = "".join(map(chr, [*range(0x20), 0x7F]))
_C1: Final = "".join(map(chr, range(0x80, 0xA0)))
_BREAKS: Final = "\n\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"
_BIDI: Final = "\u200e\u200f\u061c\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
_MARKS: Final = "".join(map(chr, [*range(0x0300, 0x034F), *range(0x0483, 0x048A), 0x0E31, 0x0E34, 0x20DD]))
_SCRIPTS: Final = ((0x4E00, 0x9FFF), (0xAC00, 0xD7A3), (0x3041, 0x3096), (0x30A1, 0x30FA), (0xFF21, 0xFF5A))
_LETTERS: Final = ((0x41, 0x5A), (0x61, 0x7A), (0x410, 0x44F), (0x5D0, 0x5EA), (0x627, 0x64A), (0x905, 0x939))
_EMOJI: Final = ((0x1F300, 0x1F64F), (0x1F680, 0x1F6FF), (0x1F900, 0x1F9FF), (0x2600, 0x26FF))
_SYMBOLS: Final = (
    "ETH",
    "BTC",
    "USDT",
    "USDC",
    "LRC",
    "SNX#24",
    "wBTC.e",
    "stETH",
    "XRP",
    "DOGE",
    "a b",
    "1INCH",
)


def _one(rng: random.Random, ranges: Sequence[tuple[int, int]]) -> str:
    return chr(rng.randint(*rng.choice(ranges)))


def _among(rng: random.Random, alphabet: str) -> str:
    """A symbol with some characters of an alphabet inserted."""
    text = list(rng.choice(_SYMBOLS))
    for _ in range(rng.randint(1, 4)):
        text.insert(rng.randint(0, len(text)), rng.choice(alphabet))
    return "".join(text)


def plain(rng: random.Random) -> str:
    """An ordinary name: a symbol, or letters of one script."""
    if rng.random() < 0.5:
        return rng.choice(_SYMBOLS)
    script = [rng.choice(_LETTERS)]
    return "".join(_one(rng, script) for _ in range(rng.randint(1, 12)))


def markup(rng: random.Random) -> str:
    """Markup of terminal libraries: opening, closing, nested and escaped tags, and emoji names."""
    tag = rng.choice(
        ("red", "bold", "/", "link=https://evil.example", "not a tag", "@click=x", "", "0", "[", "\\[")
    )
    end = rng.choice(("[/]", f"[/{tag}]", "", "\\", "[/nope]"))
    return rng.choice((f"[{tag}]x{end}", f"x{end or '[/]'}", f"\\[{tag}]", ":warning:", f":{tag}:[{tag}]"))


def sequence(rng: random.Random) -> str:
    """A terminal control sequence: CSI, OSC 0, 8 and 52, DCS or a reset, in seven or eight bits."""
    csi, osc, dcs = rng.choice((("\x1b[", "\x1b]", "\x1bP"), ("\x9b", "\x9d", "\x90")))
    end = rng.choice(("\x07", "\x1b\\", "\x9c", ""))
    final = rng.choice("ABCDHJKSTfhlmnsu@c")
    return rng.choice(
        (
            f"{csi}{rng.randrange(100)};{rng.randrange(100)}{final}x",
            f"{csi}?{rng.randrange(3000)}{rng.choice('hl')}",
            f"{osc}8;;https://evil.example{end}pay{osc}8;;{end}",
            f"{osc}52;c;Zm9v{end}",
            f"{osc}{rng.choice('0124')};title{end}",
            f"{dcs}+q544e{end}",
            "\x1bc",
            "x\x1b",
        )
    )


def control(rng: random.Random) -> str:
    """A name with control characters, including NUL, TAB, CR, backspace and C1."""
    return _among(rng, rng.choice((_C0, _C1, "\x00", "\t", "\r", "\x08\x7f")))


def broken(rng: random.Random) -> str:
    """A name with line breaks of any kind."""
    return _among(rng, _BREAKS)


def bidirectional(rng: random.Random) -> str:
    """A name that reorders what is shown."""
    return rng.choice(_BIDI) + _among(rng, _BIDI)


def zero_width(rng: random.Random) -> str:
    """A name with characters that are not drawn, or drawn as a space."""
    ranges = [
        *IGNORABLE,
        (_BLANK_BRAILLE, _BLANK_BRAILLE),
        (0x00A0, 0x00A0),
        (0x2000, 0x200A),
        (0x3000, 0x3000),
    ]
    return _among(rng, "".join(_one(rng, ranges) for _ in range(3)))


def surrogate(rng: random.Random) -> str:
    """A name with surrogates that are unpaired or in the wrong order."""
    high, low = chr(rng.randint(0xD800, 0xDBFF)), chr(rng.randint(0xDC00, 0xDFFF))
    return rng.choice((f"x{high}", f"{low}x", f"{low}{high}", f"{high}{high}y", f"a{high} {low}b"))


def huge(rng: random.Random) -> str:
    """A name of up to ten thousand characters."""
    unit = rng.choice(
        ("A", "\x1b", "[x]", "\u4eba", "e\u0301", "\ud800", "a b ", "\U0001f600", "%s", "\u202e", "9x")
    )
    return (unit * _LONGEST)[: rng.choice((47, 48, 49, 60, 300, _LONGEST))].strip()


def combining(rng: random.Random) -> str:
    """Letters with many combining marks."""
    return "".join(
        _one(rng, _LETTERS[:3]) + "".join(rng.choices(_MARKS, k=rng.choice((1, 2, 30))))
        for _ in range(rng.randint(1, 4))
    )


def wide(rng: random.Random) -> str:
    """Characters with a width of two columns."""
    script = [rng.choice(_SCRIPTS)]
    return "".join(_one(rng, script) for _ in range(rng.choice((1, 2, 4, 20, 60))))


def emoji(rng: random.Random) -> str:
    """Emoji, including joined ones, skin tones, flags and keycaps."""
    face = _one(rng, _EMOJI)
    return rng.choice(
        (
            face,
            f"{face}\u200d{_one(rng, _EMOJI)}",
            f"{face}\U0001f3fd",
            f"{face}\ufe0f",
            "\U0001f1fa\U0001f1f8",
            "1\ufe0f\u20e3",
        )
    )


@cache
def _categories() -> Mapping[str, list[int]]:
    """The code points of each category of Unicode."""
    found: dict[str, list[int]] = defaultdict(list)
    for number in range(sys.maxunicode + 1):
        found[unicodedata.category(chr(number))].append(number)
    return found


def category(rng: random.Random) -> str:
    """A few characters of a random category of Unicode."""
    numbers = _categories()[rng.choice(sorted(_categories()))]
    return "x" + "".join(chr(rng.choice(numbers)) for _ in range(rng.randint(1, 5)))


def template(rng: random.Random) -> str:
    """A format string or template, of C, Python, shells and the web."""
    inside = rng.choice(("0", "", "x", "7*7", "HOME", "0.__class__", "a!r", "9999999999"))
    return rng.choice(
        (
            "%s%n",
            f"%({inside})s",
            f"%{inside}d",
            "{" + inside + "}",
            "{{" + inside + "}}",
            "${" + inside + "}",
            "{",
            "%",
        )
    )


def query(rng: random.Random) -> str:
    """Code in SQL, a shell, HTML, XML or JSON."""
    quote = rng.choice("'\"`")
    inside = rng.choice(("1=1", "x", "rm -r ~", "alert(1)", "sleep 9"))
    return rng.choice(
        (
            f"{quote} OR {inside} --",
            f"x{quote}; DROP TABLE t;--",
            f"$({inside})",
            f"`{inside}`",
            f"; {inside} #",
            f"| {inside} &",
            f"<script>{inside}</script>",
            f"<img src={quote}x{quote} onerror={inside}>",
            "&lt;&#x0a;&amp;",
            "]]><!--",
            f'", "total": "{inside}',
            "\\u0041\\n\\",
            "</table>|---|",
        )
    )


def formula(rng: random.Random) -> str:
    """A spreadsheet formula."""
    start = rng.choice(("=", "+", "-", "@", "\t=", "\r=", "=-", "\uff1d", "'="))
    return start + rng.choice(
        ("1+1", 'HYPERLINK("https://evil.example","x")', "cmd|'/C calc'!A0", "SUM(A1:A9)")
    )


def path(rng: random.Random) -> str:
    """A path, or an option of a command."""
    step = rng.choice(("../", "..\\", "/", "~/", "C:\\", "%2e%2e/", "//", "-", "--", "./"))
    return step * rng.randint(1, 3) + rng.choice(
        ("etc/passwd", "NUL", "con", "rf", "version", ".", "*", "x\x00.txt")
    )


def word(rng: random.Random) -> str:
    """A text that looks like a number or a missing value."""
    return rng.choice(
        ("0", "-0", "1.5", "1e5", "NaN", "null", "None", "true", "undefined", "unknown", "-", ".", "TOTALS")
    )


def blank(rng: random.Random) -> str:
    """A name with spaces at its ends or inside, or only spaces."""
    return rng.choice((" ", "   ", " ETH", "ETH ", "  ETH  ", "E  TH", "E T H"))


FAMILIES: Final[Mapping[str, Callable[[random.Random], str]]] = {
    made.__name__.replace("_", " "): made
    for made in (
        *(plain, markup, sequence, control, broken, bidirectional, zero_width, surrogate, huge, combining),
        *(wide, emoji, category, template, query, formula, path, word, blank),
    )
}
"""The kinds of names, by their names."""


def name(rng: random.Random) -> str:
    """A name of one kind, or of several kinds combined."""
    made = [rng.choice(list(FAMILIES.values()))(rng) for _ in range(rng.choice((1, 1, 1, 2, 3)))]
    return rng.choice(("", " ", "x")).join(made)


@cache
def hidden(character: str) -> bool:
    """Whether a character must not reach a terminal, because it controls it, reorders text, or is invisible."""
    number = ord(character)
    return (
        (unicodedata.category(character) in _UNSEEN and character != " ")
        or any(first <= number <= last for first, last in IGNORABLE)
        or number == _BLANK_BRAILLE
    )


def shown(text: str, limit: int = 0) -> str:
    """How a table shows a text: hidden characters as their numbers, and at most `limit` characters."""
    forms = ((0xFF, "\\x{:02x}"), (0xFFFF, "\\u{:04x}"), (sys.maxunicode, "\\U{:08x}"))
    made = "".join(
        next(form for most, form in forms if ord(c) <= most).format(ord(c)) if hidden(c) else c for c in text
    )
    return f"{made[: limit - 3]}..." if limit and len(made) > limit else made
