"""Reading, adding and printing amounts, compared with integers."""

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import accumulate, permutations
from typing import Final, NamedTuple, TypeAlias

from balcli import money
from balcli.money import MAX_DECIMALS, Amount
from tests.proof.conduct import Proof, Tally, conduct
from tests.proof.integers import REFUSED, SCALE, answer, read, read_units, written


class Money(NamedTuple):
    """The functions that are compared with the oracle."""

    parse: Callable[[str], Amount] = money.parse
    parse_units: Callable[[str, int], Amount] = money.parse_units
    exact_sum: Callable[[Iterable[Amount]], Amount] = money.exact_sum


BALCLI: Final = Money()
LONGEST: Final = 80

KNOWN: Final = [
    *["0", "-0", "0.0", "-0.0", "-0.000", "0e5", "-0e40", "-0E-40", "0.00e+1", "0e-0", "-0e000"],
    *["1e12", "1e-18", "1000000000000", "0.000000000000000001", "1E+18", "1e40", "1e-40", "-1e-040"],
    *["123456789012345678901234567890.123456789012345678", "9" * 30 + "." + "9" * 18],
    *["9" * 80, "-" + "9" * 79, "0." + "0" * 77 + "1", "1." + "0" * 78, "0." + "3" * 74 + "e-40"],
    *["79228162514264337593543950335", "79228162514264337593543950336", "9007199254740993", str(2**256 - 1)],
]
"""Edge cases of the grammar, of binary floats, of Decimal and of a token's integers."""

ENDS: Final = ["1000000000000", "1e12", "-1e12", "1e-18", "-1e-18", "1e40", "-1e-40"]
"""Amounts whose sums have digits that are far apart."""

NO_AMOUNTS: Final = [
    *["", " ", "-", "+", ".", "e", "1e", "1e+", "1e-", "1.", ".5", "-.5", "1.e5", ".e5", "e5", "--1", "-+1"],
    *["+1", "+0", "01", "-01", "00", "00.1", "1_000", "1__0", "1,000", "1.000,00", "1 000", "1'000"],
    *[" 1", "1 ", " 1 ", "\t1", "1\n", "1\r\n", "\n1", "1\0", "1\u00a0", "\ufeff1", "1\u200b"],
    *["\u0661\u0662", "1\u0661", "\uff11", "\u0967", "\u00b2", "1\u00bd", "\u2212" + "1", "\U0001d7cf"],
    *["NaN", "nan", "sNaN", "inf", "Infinity", "-Infinity", "null", "true", "True", "None", "[]", "{}"],
    *["0x10", "0b1", "0o7", "1L", "1n", "1f", "1d", "1/2", "1e1.5", "1e5e5", "1.2.3", "1e1000", "1e0001"],
    *["1e41", "1e-41", "1e+41", "1E041", "1e999", "1e-999", "0e41", "$1", "1%", "1 ETH", "(1)", '"1"', "1;"],
]
"""Texts that are not amounts, but are valid elsewhere or almost valid."""

# Digits for str.isdigit, int, \d or the eye, but not for a provider.
OTHER_ZEROS: Final = "\u0660\u06f0\u07c0\u0966\u09e6\u0e50\u1040\uff10\U0001d7ce\U0001d7d8"
ODD: Final = (
    "+-.eE_,' \t\n\r\x0b\x0c\0xXjLnf%$/()\"0"
    "\u00a0\u2007\u2009\u202f\u3000\u200b\ufeff\u2212\uff0d\uff0e\u066b\u066c\u00b2\u00bd\u2160\u0661\uff11"
)
BLANKS: Final = [*" \t\n\x0b\x0c\x1c\x85\u00a0\u2003\u2028\ufeff", "\r\n"]


def digits(rng: random.Random, number: int) -> str:
    """That many digits."""
    return str(rng.randrange(10**number)).zfill(number) if number > 0 else ""


def whole(rng: random.Random, most: int) -> str:
    """A whole part of at most that many digits."""
    length = min(rng.choice((0, 1, 1, 2, 3, 5, 9, 12, 18, 24, 29, 30, 45, 78)), most)
    return str(rng.randrange(10 ** (length - 1), 10**length)) if length else "0"


def exponent(rng: random.Random) -> str:
    """An exponent from -40 to 40, in one of its spellings."""
    steps = str(rng.randrange(41)).zfill(rng.choice((1, 1, 2, 3)))
    return rng.choice("eE") + rng.choice(("", "+", "-", "-")) + steps


def wire(rng: random.Random) -> str:
    """An amount as a provider may send it, in any form, of up to 80 characters."""
    shape = rng.random()
    if shape < 0.06:
        return rng.choice(KNOWN)
    sign = "-" if rng.random() < 0.25 else ""
    power = exponent(rng) if rng.random() < 0.4 else ""
    room = LONGEST - len(sign) - len(power)
    start = sign + whole(rng, room)
    room -= len(start) - len(sign) + 1
    if shape < 0.3 or room < 1:
        return start + power
    length = room if shape < 0.4 else min(rng.choice((1, 2, 2, 6, 8, 18, 18, 26, 40)), room)
    fraction = digits(rng, length)
    if shape > 0.85:
        kept = rng.randrange(length)
        fraction = fraction[:kept] + "0" * (length - kept)
    return f"{start}.{fraction}{power}"


def other_digits(rng: random.Random, text: str) -> str:
    """The text with one of its digits in another script."""
    places = [place for place, character in enumerate(text) if character.isdigit()]
    place = rng.choice(places)
    other = chr(ord(rng.choice(OTHER_ZEROS)) + int(text[place]))
    return text[:place] + other + text[place + 1 :]


def mutated(rng: random.Random, text: str) -> str:
    """The text with a character added, removed or changed."""
    place = rng.randrange(len(text) + 1)
    kind = rng.randrange(4)
    if kind == 0:
        return text[:place] + text[place + 1 :]
    return text[:place] + rng.choice(ODD) + text[place + (kind == 1) :]


def in_blanks(rng: random.Random, text: str) -> str:
    """The text with whitespace before or after it, or both."""
    blank = rng.choice(BLANKS)
    return rng.choice((f"{blank}{text}", f"{text}{blank}", f"{blank}{text}{blank}"))


def too_long(rng: random.Random, text: str) -> str:
    """The text extended with zeros or digits to over 80 characters."""
    mantissa, letter, power = text.lower().partition("e")
    more = LONGEST + rng.choice((1, 1, 1, 2, 20, 2000)) - len(text)
    grown = mantissa + ("" if "." in mantissa else ".")
    return grown + ("0" * more if rng.random() < 0.5 else digits(rng, more)) + letter + power


def out_of_range(rng: random.Random, text: str) -> str:
    """The text with an exponent that is slightly or far out of range, or too long."""
    steps = rng.choice(("41", "41", "42", "041", "100", "400", "999", "1000", "0001", "99999", "1000000"))
    return text.lower().partition("e")[0] + rng.choice("eE") + rng.choice(("", "+", "-")) + steps


def underscored(rng: random.Random, text: str) -> str:
    """The text with an underscore, which Python's numbers may have."""
    place = rng.randrange(len(text) + 1)
    return f"{text[:place]}_{text[place:]}"


SPOILT: Final[Sequence[Callable[[random.Random, str], str]]] = (
    other_digits,
    mutated,
    mutated,
    mutated,
    in_blanks,
    too_long,
    out_of_range,
    underscored,
)


def odd(rng: random.Random) -> str:
    """A text that is not an amount, or almost one, or an unusual one."""
    kind = rng.random()
    if kind < 0.06:
        return rng.choice(NO_AMOUNTS)
    if kind < 0.12:
        return rng.choice(("+", "--", "$", "0", "0x", "00")) + wire(rng)
    if kind < 0.16:
        return wire(rng) + rng.choice((" ", ".", "e", "", "-", ",")) + wire(rng)
    return rng.choice(SPOILT)(rng, wire(rng))


def units(rng: random.Random) -> str:
    """A number of smallest units, of up to 80 characters."""
    sign = "-" if rng.random() < 0.2 else ""
    if rng.random() < 0.2:
        return sign + str(rng.choice((1, 2**64, 2**96, 2**128, 2**256)) - rng.randrange(2))
    return sign + whole(rng, LONGEST - len(sign))


def reads(rng: random.Random, made: Money, tally: Tally) -> None:
    """A wire amount is printed with the value of its digits."""
    text = wire(rng)
    expected = written(read(text))
    tally.compare("amounts read and printed", text, expected, answer(lambda: made.parse(text)))


def refuses(rng: random.Random, made: Money, tally: Tally) -> None:
    """An odd text is refused, unless it is a valid amount."""
    text = odd(rng)
    expected = answer(lambda: written(read(text)))
    kind = "odd texts refused" if expected == REFUSED else "odd texts that are amounts"
    tally.compare(kind, text, expected, answer(lambda: made.parse(text)))


def scales(rng: random.Random, made: Money, tally: Tally) -> None:
    """A number of smallest units is printed in whole units."""
    given = units(rng), rng.randrange(MAX_DECIMALS + 1)
    expected = written(read_units(*given))
    tally.compare("smallest units scaled", given, expected, answer(lambda: made.parse_units(*given)))


def refuses_units(rng: random.Random, made: Money, tally: Tally) -> None:
    """An invalid number of smallest units or of decimals is refused."""
    if rng.random() < 0.2:
        given = units(rng), rng.choice((-1, -18, 78, 79, 255, 256, 10**9))
    else:
        given = rng.choice((odd, wire, odd))(rng), rng.randrange(MAX_DECIMALS + 1)
    expected = answer(lambda: written(read_units(*given)))
    kind = "odd smallest units refused" if expected == REFUSED else "odd smallest units that are some"
    tally.compare(kind, given, expected, answer(lambda: made.parse_units(*given)))


def orders(rng: random.Random, amounts: Sequence[Amount]) -> Iterator[Sequence[Amount]]:
    """Every order of up to three amounts; for more, the given, the reversed and a random order."""
    if len(amounts) <= 3:
        yield from permutations(amounts)
    else:
        yield amounts
        yield amounts[::-1]
        yield rng.sample(amounts, len(amounts))


def grouped(rng: random.Random, amounts: Sequence[Amount], made: Money) -> Amount:
    """The sum of the sums of groups."""
    cuts = sorted(rng.randrange(len(amounts) + 1) for _ in range(rng.randrange(1, 5)))
    edges = zip([0, *cuts], [*cuts, len(amounts)], strict=True)
    return made.exact_sum([made.exact_sum(amounts[start:end]) for start, end in edges])


def adds(rng: random.Random, made: Money, tally: Tally) -> None:
    """A sum has every digit, in every order and grouping."""
    number = 300 if rng.random() < 0.002 else rng.choice((0, 1, 2, 2, 2, 3, 3, 3, 5, 8, 12))
    texts = rng.choices(ENDS, k=number) if rng.random() < 0.1 else [wire(rng) for _ in range(number)]
    expected = written(sum(map(read, texts)))

    def sums() -> str:
        amounts = list(map(made.parse, texts))
        found = [made.exact_sum(order) for order in orders(rng, amounts)]
        found.append(grouped(rng, amounts, made))
        equal = all(one == found[0] and hash(one) == hash(found[0]) for one in found)
        return " or ".join(sorted({str(one) for one in found})) if equal else "unequal sums"

    tally.compare("sums in every order", texts, expected, answer(sums))


def compares(rng: random.Random, made: Money, tally: Tally) -> None:
    """Two amounts, often equal in value but not in form, are subtracted and compared exactly."""
    left = wire(rng)
    a = b = read(left)
    zeros = 0
    right = left
    if rng.random() < 0.5:
        right = wire(rng)
        b = read(right)
    else:
        zeros = rng.randrange(1, 41)

    def found() -> tuple[str, bool, bool, bool, bool, bool]:
        one, parsed = made.parse(left), made.parse(right)
        other = Amount(parsed.units * 10**zeros, parsed.places + zeros)
        return str(one - other), one < other, one <= other, one == other, one > other, bool(one)

    expected = str((written(a - b), a < b, a <= b, a == b, a > b, a != 0))
    tally.compare("differences and comparisons", (left, right, zeros), expected, answer(found))


def prints(rng: random.Random, made: Money, tally: Tally) -> None:
    """Units and places are printed in the canonical form, which reads back as the same amount."""
    number = rng.randrange(-(10**45), 10**45) if rng.random() < 0.5 else rng.randrange(-1000, 1000)
    given = number * 10 ** rng.choice((0, 0, 1, 18)), rng.randrange(78)
    text = written(given[0] * 10 ** (SCALE - given[1]))

    def found() -> str:
        printed = str(Amount(*given))
        return printed if len(printed) > LONGEST else str(made.parse(printed))

    tally.compare("amounts printed and read back", given, text, answer(found))


Check: TypeAlias = Callable[[random.Random, Money, Tally], None]

CHECKS: Final[dict[Check, int]] = {
    reads: 30,
    refuses: 25,
    scales: 10,
    refuses_units: 5,
    adds: 20,
    compares: 5,
    prints: 5,
}
"""The kinds of cases, with the percentage of each."""


def work(made: Money, rng: random.Random, count: int) -> Tally:
    """The results of that many cases."""
    tally = Tally()
    shares = list(accumulate(CHECKS.values()))
    for check in rng.choices(list(CHECKS), cum_weights=shares, k=count):
        check(rng, made, tally)
    return tally


def main(argv: Sequence[str], made: Money = BALCLI) -> int:
    """Compare amounts with the oracle, a million cases by default. Returns 1 if any differs."""
    return conduct(argv, Proof("money", __doc__ or "", 1_000_000, 25_000, partial(work, made)))
