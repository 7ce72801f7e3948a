"""Amounts, held against an oracle that knows whole numbers alone."""

import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balcli.money import (
    MAX_DECIMALS,
    ZERO,
    Amount,
    exact_sum,
    is_canonical,
    is_nonzero,
    parse,
    parse_canonical,
    parse_units,
)
from tests.generated import examples
from tests.lists import each_case
from tests.proof.integers import REFUSED, SCALE, answer, read, read_units, written
from tests.proof.money import NO_AMOUNTS

# The contract's own words for the printed form.
CANONICAL = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]*[1-9])?")

MANY = examples(400)
SOME = examples(200)


def scaled(amount: Amount) -> int:
    """An amount in the oracle's scale."""
    shift: int = 10 ** (SCALE - amount.places)
    return amount.units * shift


DIGITS = "0123456789"
WHOLES = st.one_of(
    st.just("0"), st.builds(str.__add__, st.sampled_from("123456789"), st.text(DIGITS, max_size=45))
)
SIGNED = st.builds(str.__add__, st.sampled_from(["", "-"]), WHOLES)
FRACTIONS = st.one_of(st.just(""), st.text(DIGITS, min_size=1, max_size=26).map(lambda digits: f".{digits}"))
EXPONENTS = st.one_of(
    st.just(""),
    st.builds(
        lambda letter, sign, power, fill: letter + sign + str(power).rjust(fill, "0"),
        st.sampled_from("eE"),
        st.sampled_from(["", "+", "-"]),
        st.integers(0, 40),
        st.integers(1, 3),
    ),
)
WIRE = st.builds(lambda *parts: "".join(parts), SIGNED, FRACTIONS, EXPONENTS)
"""Texts of the contract's grammar, up to 78 characters."""

NEARLY = st.one_of(
    st.text("0123456789+-.eE_, x\n\u0661", max_size=12),
    st.builds(
        lambda text, place, odd: text[: place % (len(text) + 1)] + odd + text[place % (len(text) + 1) :],
        WIRE,
        st.integers(0, 80),
        st.sampled_from([*"0.-+eE_, \t\n\0x", "\u0661", "00", "1e9"]),
    ),
    st.text(max_size=6),
)
"""Texts that are an amount, or miss it by little."""

AMOUNTS = st.builds(Amount, st.integers(-(10**60), 10**60), st.integers(0, MAX_DECIMALS))

HUGE = [
    ("79228162514264337593543950335", "79228162514264337593543950335"),
    ("-79228162514264337593543950335", "-79228162514264337593543950335"),
    (
        "123456789012345678901234567890.123456789012345678",
        "123456789012345678901234567890.123456789012345678",
    ),
    ("1e-18", "0.000000000000000001"),
    ("1E+18", "1000000000000000000"),
    ("1.5e1", "15"),
    ("1.50e1", "15"),
    ("15e-1", "1.5"),
    ("1e40", "1" + "0" * 40),
    ("1e-40", "0." + "0" * 39 + "1"),
    ("1e040", "1" + "0" * 40),
    ("9" * 80, "9" * 80),
    ("0." + "0" * 77 + "1", "0." + "0" * 77 + "1"),
    ("1." + "0" * 78, "1"),
    ("0." + "3" * 74 + "e-40", "0." + "0" * 40 + "3" * 74),
    ("100", "100"),
    ("1.10", "1.1"),
    ("0.0", "0"),
]

ZEROS = ["0", "-0", "0.0", "-0.0", "-0.000", "0e5", "-0e40", "-0E-40", "0.00e+1"]


@each_case(("text", "printed"), HUGE)
def test_every_digit_that_was_sent_is_printed(text: str, printed: str) -> None:
    """A wire text of any length comes out in plain notation with all its digits."""
    assert printed == str(parse(text))


@each_case("text", ZEROS)
def test_zero_has_one_form(text: str) -> None:
    """Every way to write zero, a negative one included, is printed as 0 and counts as nothing."""
    assert ("0", False, True) == (str(parse(text)), bool(parse(text)), parse(text) == ZERO)


@each_case("text", NO_AMOUNTS, ids=ascii)
def test_what_is_outside_the_grammar_is_refused(text: str) -> None:
    """A text that is not exactly a plain decimal number is refused, not trimmed, guessed or taken for 0."""
    with pytest.raises(ValueError, match=r"^(not a plain|which has an exponent)"):
        parse(text)


@each_case("text", ["9" * 81, "0." + "1" * 79, "-" + "1" * 80, "1" * 10_000, "1" * 78 + "e40"])
def test_a_number_over_eighty_characters_is_refused(text: str) -> None:
    """An amount of 81 characters or more is refused, though every one of them is well."""
    assert (REFUSED, True) == (answer(lambda: parse(text)), len(text) > 80)


@MANY
@given(WIRE)
def test_reading_and_printing_agree_with_the_oracle(text: str) -> None:
    """Any text of the grammar is printed as the number that its digits say."""
    assert written(read(text)) == str(parse(text))


@MANY
@given(NEARLY)
def test_the_same_texts_are_amounts_as_for_the_oracle(text: str) -> None:
    """A text is accepted if it is of the grammar, and refused with ValueError if it misses it by anything."""
    assert answer(lambda: written(read(text))) == answer(lambda: parse(text))


@MANY
@given(AMOUNTS)
def test_printing_is_canonical(amount: Amount) -> None:
    """A printed amount has the contract's form, no minus before a zero, and the amount's exact value."""
    text = str(amount)
    assert (True, False, written(scaled(amount))) == (
        CANONICAL.fullmatch(text) is not None,
        text == "-0",
        text,
    )


@SOME
@given(st.integers(-(10**30), 10**30), st.integers(0, 18))
def test_a_printed_amount_reads_back_as_itself(units: int, places: int) -> None:
    """What is printed is a wire text again, of the same amount, printed the same way."""
    amount = Amount(units, places)
    assert (amount, str(amount)) == (parse(str(amount)), str(parse(str(amount))))


@MANY
@given(WIRE, WIRE)
def test_sums_and_differences_are_exact(left: str, right: str) -> None:
    """Two amounts of any lengths are added and subtracted without losing a digit."""
    mine, its = parse(left), parse(right)
    expected = [written(read(left) + read(right)), written(read(left) - read(right))]
    assert expected == [str(mine + its), str(mine - its)]


@SOME
@given(st.lists(WIRE, max_size=12), st.randoms(use_true_random=False))
def test_a_sum_is_exact_in_any_order(texts: list[str], shuffler: random.Random) -> None:
    """The sum of many amounts has every digit, whatever order they come in; of none it is 0."""
    shuffled = list(texts)
    shuffler.shuffle(shuffled)
    expected = written(sum(read(text) for text in texts))
    assert [expected, expected] == [str(exact_sum(map(parse, order))) for order in (texts, shuffled)]


def test_a_trillion_and_an_atto_keep_both_their_ends() -> None:
    """10**12 and 10**-18 add up to a number of thirty-one digits."""
    assert "1000000000000.000000000000000001" == str(exact_sum([parse("1e12"), parse("1e-18")]))


def test_a_sum_of_opposites_is_nothing() -> None:
    """An amount and its negative of another scale add up to exactly 0."""
    assert "0" == str(exact_sum([parse("1.10"), parse("-11e-1")]))


@MANY
@given(WIRE, st.one_of(WIRE, st.none()), st.integers(0, 40))
def test_comparison_is_by_value(left: str, right: str | None, zeros: int) -> None:
    """All six comparisons are those of the exact values, between amounts of different scales too."""
    mine = parse(left)
    # Half of the pairs are equal in value and not in form, which chance alone would never make.
    its = Amount(mine.units * 10**zeros, mine.places + zeros) if right is None else parse(right)
    a, b = read(left), read(left) if right is None else read(right)
    assert (a < b, a <= b, a == b, a != b, a > b, a >= b) == (
        mine < its,
        mine <= its,
        mine == its,
        mine != its,
        mine > its,
        mine >= its,
    )


@SOME
@given(AMOUNTS, st.integers(0, 40))
def test_equal_amounts_are_one_key(amount: Amount, zeros: int) -> None:
    """Two forms of one amount are equal, hash alike and print alike."""
    other = Amount(amount.units * 10**zeros, amount.places + zeros)
    assert (1, str(amount)) == (len({amount, other}), str(other))


@each_case("other", [1, 1.0, "1", None, True])
def test_an_amount_equals_amounts_alone(other: object) -> None:
    """An amount is never equal to a number, a text or nothing."""
    assert (False, True) == (Amount(1) == other, Amount(1) != other)


@SOME
@given(AMOUNTS)
def test_only_zero_counts_as_nothing(amount: Amount) -> None:
    """Any amount but exactly 0, negative and tiny ones included, counts as something."""
    assert (scaled(amount) != 0) is bool(amount)


@MANY
@given(
    st.builds(
        str.__add__,
        st.sampled_from(["", "-"]),
        st.one_of(WHOLES, st.integers(0, 2**256 - 1).map(str)),
    ),
    st.integers(0, 77),
)
def test_smallest_units_are_scaled_exactly(text: str, decimals: int) -> None:
    """A number of smallest units becomes whole units by moving the point and nothing else."""
    assert written(read_units(text, decimals)) == str(parse_units(text, decimals))


@each_case(
    ("text", "decimals", "printed"),
    [
        ("79228162514264337593543950335", 18, "79228162514.264337593543950335"),
        ("99476758000000000", 18, "0.099476758"),
        ("1", 18, "0.000000000000000001"),
        ("-1", 6, "-0.000001"),
        ("-0", 18, "0"),
        ("0", 77, "0"),
        ("1", 77, "0." + "0" * 76 + "1"),
        ("1000000", 6, "1"),
        ("12", 0, "12"),
        ("9" * 80, 0, "9" * 80),
        ("-" + "9" * 79, 77, "-99." + "9" * 77),
        (str(2**256 - 1), 18, f"{(2**256 - 1) // 10**18}.{(2**256 - 1) % 10**18:018d}"),
    ],
)
def test_known_smallest_units(text: str, decimals: int, printed: str) -> None:
    """Wei, the largest uint96 and the largest uint256 come out in whole units with every digit."""
    assert printed == str(parse_units(text, decimals))


@each_case("text", [*NO_AMOUNTS, "1.0", "1.5", "0.0", "1e1", "1E1", "1e0", "9" * 81], ids=ascii)
def test_smallest_units_are_digits_alone(text: str) -> None:
    """A count of smallest units with a point, an exponent or anything but digits and a sign is refused."""
    assert REFUSED == answer(lambda: parse_units(text, 18))


@each_case("decimals", [-1, 78, 10**9])
def test_decimals_that_no_token_has_are_refused(decimals: int) -> None:
    """A token's decimals below 0 or above 77 are refused before any power of ten is made."""
    with pytest.raises(ValueError, match=r"^decimals outside 0 to 77$"):
        parse_units("1", decimals)


def test_units_are_whole_unless_places_are_given() -> None:
    """An amount that is made of units alone has no decimal places."""
    assert ("15", parse("15")) == (str(Amount(15)), Amount(15))


def test_negative_places_are_refused() -> None:
    """An amount cannot be made with a negative number of decimal places."""
    with pytest.raises(ValueError, match="negative number of decimal places"):
        Amount(1, -1)


def test_the_developers_view_shows_the_amount() -> None:
    """The repr of an amount is its canonical form in its class's name."""
    assert "Amount('-1.5')" == repr(parse("-1.50"))


@SOME
@given(AMOUNTS)
def test_a_printed_amount_is_restored(amount: Amount) -> None:
    """Any amount, longer than the wire has them, too, comes back from its own text."""
    assert (amount, str(amount)) == (parse_canonical(str(amount)), str(parse_canonical(str(amount))))
    assert is_canonical(str(amount))


@each_case("text", [*NO_AMOUNTS, "-0", "1.0", "1.50", "0.0", "1e5", "-0.0", "1e-5", "00.1", "-.5"], ids=ascii)
def test_what_is_no_printed_amount_is_not_restored(text: str) -> None:
    """Only the canonical form is one: whatever else could be read as a number is refused."""
    assert REFUSED == answer(lambda: parse_canonical(text))
    assert not is_canonical(text)


@each_case(
    ("text", "expected"),
    [
        *((text, False) for text in ("0", "0.00", "-0", None, "", "x", "1 BTC")),
        *((text, True) for text in ("1", "-0.1", "1e-9")),
    ],
    ids=str,
)
def test_only_an_amount_other_than_zero_is_nonzero(text: str | None, expected: bool) -> None:
    """Nothing, and a text that is no amount, do not count as one."""
    assert expected is is_nonzero(text)
