"""The oracle for amounts: whole numbers on one common scale, read from the contract and from nothing of balcli."""

from collections.abc import Callable
from typing import Final

SCALE: Final = 120
"""The oracle's numbers are values times ten to this power: no wire text has a digit below it."""

ONE: Final = int("1" + "0" * SCALE)

REFUSED: Final = "refused"


def read(text: str) -> int:
    """What a wire text stands for, times ten to the power of SCALE. Raises ValueError if it stands for nothing."""
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
    """What a text of smallest units stands for in whole ones, on the scale. Raises ValueError if for nothing."""
    digits = text.removeprefix("-")
    plain = len(text) <= 80 and digits.isascii() and digits.isdigit()
    if not plain or (digits[0] == "0" and digits != "0") or decimals not in range(78):
        raise ValueError("no amount")
    return int(text + "0" * (SCALE - decimals))


def written(scaled: int) -> str:
    """The one canonical text of a number on the scale."""
    whole, rest = divmod(abs(scaled), ONE)
    fraction = f"{rest:0{SCALE}d}".rstrip("0") if rest else ""
    return ("-" if scaled < 0 else "") + str(whole) + ("." + fraction if fraction else "")


def answer(function: Callable[[], object]) -> str:
    """What a function gives as text, `refused` where it raises ValueError; whatever else it raises is named."""
    try:
        return str(function())
    except ValueError:
        return REFUSED
    except Exception as bug:  # noqa: BLE001 - a difference like any other, to be printed with its case
        return f"raised {type(bug).__name__}"
