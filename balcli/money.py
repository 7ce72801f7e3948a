"""Exact amounts of any length: parse, scale, add, compare, print.

An amount is an integer number of units and of decimal places, so nothing is rounded. Every function is exact or
raises ValueError.
"""

import re
from collections.abc import Iterable
from typing import Final, final

MAX_CHARACTERS: Final = 80
MAX_EXPONENT: Final = 40
MAX_DECIMALS: Final = 77
"""10**77 is the largest power of ten below 2**256, so no token on an EVM chain can have more decimal places."""

# Not \d, which also matches digits of other scripts.
_INTEGER: Final = "-?(?:0|[1-9][0-9]*)"
_PLAIN = re.compile(rf"({_INTEGER})(?:\.([0-9]+))?")
_CANONICAL = re.compile(rf"(?!-0\Z){_INTEGER}(?:\.[0-9]*[1-9])?")
_EXPONENT: Final = "([^eE]+)[eE]([+-]?[0-9]{1,3})"
_NO_NUMBER: Final = "not a plain decimal number of at most 80 characters"


@final
class Amount:
    """An exact decimal number: `units` / 10**`places`. Immutable by convention."""

    __slots__ = ("_value", "places")

    def __init__(self, value: int | str, places: int = 0) -> None:
        """`value` is the units or, for most amounts in responses, the canonical text."""
        if places < 0:
            raise ValueError("an amount cannot have a negative number of decimal places")
        self._value: Final = value
        self.places: Final = places

    @property
    def units(self) -> int:
        """The amount as an integer number of its smallest units."""
        return self._value if isinstance(self._value, int) else int(self._value.replace(".", ""))

    def is_consistent(self) -> bool:
        """Whether the value and the places are consistent, because a plugin can create any Amount."""
        if type(self._value) is str:
            places = len(self._value.partition(".")[2])
            return bool(is_canonical(self._value)) and type(self.places) is int and places == self.places
        return type(self._value) is int and type(self.places) is int

    def _aligned(self, other: "Amount") -> tuple[int, int, int]:
        """Both amounts as units with the same, larger number of decimal places, and that number."""
        finer = self.places - other.places
        if finer >= 0:
            return self.units, other.units * 10**finer, self.places
        return self.units * 10**-finer, other.units, other.places

    def __add__(self, other: "Amount") -> "Amount":
        if not other:  # most amounts of a balance are 0
            return self
        mine, its, places = self._aligned(other)
        return Amount(mine + its, places)

    def __sub__(self, other: "Amount") -> "Amount":
        mine, its, places = self._aligned(other)
        return Amount(mine - its, places)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Amount):
            return NotImplemented
        mine, its, _ = self._aligned(other)
        return mine == its

    def __lt__(self, other: "Amount") -> bool:
        mine, its, _ = self._aligned(other)
        return mine < its

    def __le__(self, other: "Amount") -> bool:
        mine, its, _ = self._aligned(other)
        return mine <= its

    def __hash__(self) -> int:
        return hash(str(self))

    def __bool__(self) -> bool:
        """Whether the amount is not exactly 0."""
        return self._value not in {0, "0"}

    def __repr__(self) -> str:
        return f"Amount('{self}')"

    def __str__(self) -> str:
        """The canonical form: plain notation, no exponent, no redundant zeros, no `-0`."""
        units, places = self._value, self.places
        if isinstance(units, str):
            return units
        if not places:
            return str(units)
        sign = "-" if units < 0 else ""
        digits = str(abs(units))
        if len(digits) <= places:
            digits = digits.rjust(places + 1, "0")
        text = f"{sign}{digits[:-places]}.{digits[-places:]}"
        return text if text[-1] != "0" else text.rstrip("0").rstrip(".")


ZERO: Final = Amount(0)


def parse(text: str) -> Amount:
    """The amount, in whole units, of a decimal number in a response.

    Raises ValueError for anything but `-?(0|[1-9][0-9]*)(.[0-9]+)?([eE][+-]?[0-9]{1,3})?` of at
    most 80 characters with an exponent from -40 to 40. Nothing is trimmed or guessed.
    """
    if text == "0":  # as are most amounts of a balance, which share one object
        return ZERO
    if len(text) > MAX_CHARACTERS:
        raise ValueError(_NO_NUMBER)
    plain = _PLAIN.fullmatch(text)
    if plain is not None:  # the usual case
        whole, fraction = plain.groups("")
        is_canonical = fraction[-1] != "0" if fraction else whole != "-0"
        return Amount(text if is_canonical else int(whole + fraction), len(fraction))
    match = re.fullmatch(_EXPONENT, text)
    if match is None:
        raise ValueError(_NO_NUMBER)
    shift = int(match[2])
    if abs(shift) > MAX_EXPONENT:
        raise ValueError("which has an exponent beyond 40")
    significand = parse(match[1])
    places = significand.places - shift
    return Amount(significand.units * 10 ** max(0, -places), max(0, places))


def is_nonzero(text: str | None) -> bool:
    """Whether a text is an amount that is not 0."""
    try:
        return text is not None and bool(parse(text))
    except ValueError:
        return False


def parse_units(text: str, decimals: int) -> Amount:
    """The amount, in whole units (10**decimals), of a number of smallest units, such as wei.

    Raises ValueError for anything but a plain integer of at most 80 characters, and for decimals
    outside 0 to 77.
    """
    if not 0 <= decimals <= MAX_DECIMALS:
        raise ValueError("decimals outside 0 to 77")
    if text == "0":
        return ZERO
    plain = _PLAIN.fullmatch(text) if len(text) <= MAX_CHARACTERS else None
    if plain is None or plain[2] is not None:
        raise ValueError("not a plain integer of at most 80 characters")
    return Amount(int(text), decimals)


is_canonical: Final = _CANONICAL.fullmatch
"""Whether a text is a canonical amount, as a match or None. Twenty times as fast as parsing it."""


def parse_canonical(text: str) -> Amount:
    """The amount of a canonical text of any length, as returned by `str`. Raises ValueError for any other text."""
    if not is_canonical(text):
        raise ValueError("not a canonical amount")
    return Amount(text, len(text.partition(".")[2]))


def exact_sum(amounts: Iterable[Amount]) -> Amount:
    """The exact sum; 0 for no amounts."""
    summands = [*amounts]
    if len(summands) == 1:  # true for most assets
        return summands[0]
    places = max([amount.places for amount in summands], default=0)
    return Amount(sum([amount.units * 10 ** (places - amount.places) for amount in summands]), places)
