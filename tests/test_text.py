"""Text from outside, made safe to show."""

import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balcli.text import folded, is_text, printable, width
from tests.generated import examples
from tests.lists import each_case
from tests.proof.naughty import IGNORABLE

SOME = examples(200)

# Any code point, unpaired surrogates too, the dangerous ones often.
ANYTHING = st.text(
    st.one_of(
        st.characters(),
        st.sampled_from("\x00\x07\t\n\r\x1b\x7f\x85\x9b\u00ad\u200b\u2028\u202e\u2066\u3164\ud800\ufeff"),
    ),
    max_size=60,
)

ESCAPED = [
    ("\x1b[31mred\x1b[0m", r"\x1b[31mred\x1b[0m"),
    ("\x1b]52;c;Zm9v\x07", r"\x1b]52;c;Zm9v\x07"),
    ("\x1b]8;;https://evil.example\x1b\\click", r"\x1b]8;;https://evil.example\x1b\click"),
    ("\x9b31m", r"\x9b31m"),
    ("\x9d0;title\x9c", r"\x9d0;title\x9c"),
    ("a\rb", r"a\x0db"),
    ("a\x00b", r"a\x00b"),
    ("a\nb", r"a\x0ab"),
    ("a\tb", r"a\x09b"),
    ("a\x0b\x0cb", r"a\x0b\x0cb"),
    ("a\x08b", r"a\x08b"),
    ("\x7f", r"\x7f"),
    ("a\x85b", r"a\x85b"),
    ("a\u2028b\u2029c", r"a\u2028b\u2029c"),
    ("\u202eHTE", r"\u202eHTE"),
    ("\u2066x\u2069", r"\u2066x\u2069"),
    ("\u200e\u200f\u061c", r"\u200e\u200f\u061c"),
    ("US\u200bDT", r"US\u200bDT"),
    ("US\u200dDT\u200c\u2060", r"US\u200dDT\u200c\u2060"),
    ("\ufeffUSDT", r"\ufeffUSDT"),
    ("US\u00adDT", r"US\xadDT"),
    ("\ud800x\udfff", r"\ud800x\udfff"),
    ("\u3164", r"\u3164"),
    ("\u2800", r"\u2800"),
    ("\u115f\u1160\uffa0", r"\u115f\u1160\uffa0"),
    ("\u034f", r"\u034f"),
    ("E\ufe0fTH", r"E\ufe0fTH"),
    ("\U000e0041", r"\U000e0041"),
    ("\U000e0100", r"\U000e0100"),
    ("\u00a0\u2003\u3000", r"\xa0\u2003\u3000"),
    ("\ue000\U0010ffff", r"\ue000\U0010ffff"),
]

SHOWN_AS_THEY_ARE = [
    *["", "USDT", "a b", "[red]x[/]", "x[/]", "r\u00e9seau", "\u4e2d\u6587", "\u20bf", "\U0001f600", r"\x1b"],
    *["e\u0301", "\u0e01\u0e31", "\u05d0\u05d1", "100%", "%s", "{}", "~" * 500],
]


@each_case(("text", "shown"), ESCAPED, ids=ascii)
def test_what_acts_on_a_terminal_or_hides_is_escaped(text: str, shown: str) -> None:
    """Control, bidirectional, zero-width, filling and unpaired characters are shown by their numbers."""
    assert shown == printable(text)


@each_case("text", SHOWN_AS_THEY_ARE, ids=ascii)
def test_what_can_be_seen_stays_as_it_is(text: str) -> None:
    """Letters of any script, markup and a backslash are shown as they are, at any length."""
    assert text == printable(text)


@pytest.mark.parametrize("category", ["Cc", "Cf", "Cs", "Zl", "Zp"])
def test_no_character_of_a_dangerous_category_passes(category: str) -> None:
    """Every control, format and surrogate character and line separator of Unicode comes out in ASCII."""
    dangerous = [chr(n) for n in range(sys.maxunicode + 1) if unicodedata.category(chr(n)) == category]
    assert [] == [ascii(character) for character in dangerous if not printable(character).isascii()]


def test_no_ignorable_character_passes() -> None:
    """Every code point that Unicode lets a screen leave out comes out in ASCII."""
    hidden = [chr(n) for first, last in IGNORABLE for n in range(first, last + 1)]
    assert [] == [ascii(character) for character in hidden if not printable(character).isascii()]


@SOME
@given(ANYTHING)
def test_any_text_becomes_one_line_that_any_stream_can_carry(text: str) -> None:
    """Whatever comes in, what comes out is one printable line that encodes as UTF-8."""
    shown = printable(text)
    assert (True, [shown] if shown else [], shown) == (
        shown.isprintable(),
        shown.splitlines(),
        shown.encode().decode(),
    )


@SOME
@given(ANYTHING, ANYTHING)
def test_each_character_is_judged_alone(left: str, right: str) -> None:
    """A character is escaped or not by itself: nothing beside it can let it through."""
    assert printable(left) + printable(right) == printable(left + right)


@SOME
@given(ANYTHING)
def test_what_is_printable_is_not_escaped_again(text: str) -> None:
    """A text that was made printable stays as it is."""
    assert printable(text) == printable(printable(text))


@SOME
@given(ANYTHING, st.integers(3, 70))
def test_a_limit_bounds_what_is_shown_and_marks_the_cut(text: str, limit: int) -> None:
    """With a limit, a text that fits is whole, and another is its beginning with three dots, of that length."""
    whole = printable(text)
    expected = whole if len(whole) <= limit else whole[: limit - 3] + "..."
    assert expected == printable(text, limit)


@pytest.mark.parametrize("limit", [1, 2])
def test_a_limit_below_the_mark_holds(limit: int) -> None:
    """A limit too small for the three dots is kept all the same."""
    assert limit == len(printable("abcdef", limit))


def test_ten_thousand_characters_are_cut_to_the_limit() -> None:
    """A very long name is shown by its beginning, of the limit's length with its mark."""
    assert "A" * 45 + "..." == printable("A" * 10_000, 48)


def test_a_limit_counts_what_is_shown() -> None:
    """Escapes count towards the limit by the characters that they take."""
    assert r"\x1b\x1..." == printable("\x1b" * 10_000, 10)


@each_case(
    ("text", "columns"),
    [
        ("", 0),
        ("USDT", 4),
        ("r\u00e9seau", 6),
        ("e\u0301", 1),
        ("\u4e2d\u6587", 4),
        ("\u30b3\u30a4\u30f3", 6),
        ("\ud55c\uad6d", 4),
        ("\uff21", 2),
        ("\uff76", 1),
        ("\U0001f600", 2),
        ("a\u4e2db", 4),
        ("\u05d0", 1),
        ("\u03b1", 1),
    ],
    ids=ascii,
)
def test_width_is_in_terminal_columns(text: str, columns: int) -> None:
    """Wide East Asian characters take two columns, accents none, all others one."""
    assert columns == width(text)


@each_case("text", ["\u0e01\u0e31", "\u0915\u0947", "\u0b95\u0bcd", "\u05d0\u0308\u20dd"], ids=ascii)
def test_marks_of_every_script_take_no_column(text: str) -> None:
    """A mark that stands on its letter takes no column of its own, in Thai and Hindi as in Latin."""
    assert 1 == width(text)


@SOME
@given(st.text(st.characters(max_codepoint=126, min_codepoint=32)))
def test_ascii_is_as_wide_as_long(text: str) -> None:
    """Each character of printable ASCII takes one column."""
    assert len(text) == width(text)


@SOME
@given(ANYTHING)
def test_text_is_what_can_be_written(text: str) -> None:
    """A string is text exactly where UTF-8 can carry it."""
    unpaired = any(unicodedata.category(character) == "Cs" for character in text)
    assert (not unpaired) is is_text(text)
    if not unpaired:
        assert text == text.encode().decode()


@SOME
@given(ANYTHING)
def test_folding_knows_ascii_alone(text: str) -> None:
    """The 26 capital letters become small; every other character, small or capital elsewhere, stays as it is."""
    expected = "".join(chr(ord(c) | 0x20) if "A" <= c <= "Z" else c for c in text)
    assert (expected, expected) == (folded(text), folded(folded(text)))


def test_letters_that_other_foldings_make_ascii_stay() -> None:
    """The long s, the dotted I, the Kelvin sign and the sharp s are no spelling of an ASCII letter."""
    for odd, plain in (
        ("\u017f", "s"),
        ("\u0130", "i"),
        ("\u212a", "k"),
        ("\xdf", "ss"),
        ("\ufb01", "fi"),
        ("\u0131", "i"),
    ):
        assert folded(odd) != folded(plain)
