"""The oracle for amounts: integers on a common scale, based on the contract and independent of balcli."""

from collections.abc import Callable
from typing import Final

SCALE: Final = 120
"""The oracle's numbers are values times ten to this power: no wire text has smaller digits."""

ONE: Final = int("1" + "0" * SCALE)

REFUSED: Final = "refused"


def read(text: str) -> int:
    """The value of a wire text, times ten to the power of SCALE. Raises ValueError for an invalid text."""
    negative, unsigned = text[:1] == "-", text.removeprefix("-")
    mantissa, letter, power = unsigned.replace("E", "e").partition("e")
    whole, point, fraction = mantissa.partition(".")
    steps = power[1:] if power[:1] in {"+", "-"} else power
    if (
        len(text) > 80
        or not text.isascii()
        or not whole.isdigit()
        or (whole[0] == "0" and whole != "0")
        or (point and not fraction.isdigit())
        or (letter and not (steps.isdigit() and len(steps) <= 3 and int(steps) <= 40))
    ):
        raise ValueError("no amount")
    zeros = SCALE - len(fraction)
    if letter:
        zeros += -int(steps) if power[0] == "-" else int(steps)
    magnitude = int(whole + fraction + "0" * zeros)
    return -magnitude if negative else magnitude


def read_units(text: str, decimals: int) -> int:
    """The value of a text of smallest units in whole units, on the scale. Raises ValueError for an invalid text."""
    digits = text.removeprefix("-")
    plain = len(text) <= 80 and digits.isascii() and digits.isdigit()
    if not plain or (digits[0] == "0" and digits != "0") or decimals not in range(78):
        raise ValueError("no amount")
    return int(text + "0" * (SCALE - decimals))


def written(scaled: int) -> str:
    """The canonical text of a number on the scale."""
    whole, rest = divmod(abs(scaled), ONE)
    fraction = f"{rest:0{SCALE}d}".rstrip("0") if rest else ""
    return ("-" if scaled < 0 else "") + str(whole) + ("." + fraction if fraction else "")


def answer(function: Callable[[], object]) -> str:
    """A function's result as text, `refused` for a ValueError, or the name of another exception."""
    try:
        return str(function())
    except ValueError:
        return REFUSED
    except Exception as bug:  # noqa: BLE001 - a difference, printed with its case
        return f"raised {type(bug).__name__}"
