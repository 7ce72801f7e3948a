"""The fault matrix, in part: each kind of trouble ends as it must, and a wrong ending is seen."""

import pytest

from tests.proof.matrix import OUTPUTS, cell, cells
from tests.proof.rows import Trouble, troubles

CALM = 20.0
"""Seconds that a busy machine may take longer: times are looked at by the command."""


def _id(one: tuple[Trouble, str, str]) -> str:
    return f"{one[0].kind}: {one[0].name}, {one[1]}, {one[2]}"


@pytest.mark.parametrize("one", cells(troubles(), rotate=True)[::10], ids=_id)
def test_a_run_in_trouble_ends_as_it_must(one: tuple[Trouble, str, str]) -> None:
    """Exit code, streams, amounts, secrets and memory of a run in trouble are what they must be."""
    trouble, provider, output = one
    assert [] == cell(trouble, provider, output, CALM).problems


def _alter(code: str) -> Trouble:
    return Trouble("proof", "a program that is wrong", 0, lambda stage: stage.customize(code))


WRONG = {
    "an exit code": "import atexit, os\natexit.register(os._exit, 3)\n",
    "a line on stderr": "import sys\nsys.stderr.write('balcli: treasury: lost\\n')\n",
    "a traceback": "import sys\nsys.stderr.write('Traceback (most recent call last):\\n')\n",
    "an amount": (
        "import balcli.money as money\n"
        "shown = money.Amount.__str__\n"
        "money.Amount.__str__ = lambda self: shown(self) + '0' if self.units else '0'\n"
    ),
    "a leak": (
        "import sys\n"
        "text = open(sys.orig_argv[sys.orig_argv.index('-c') + 1]).read()\n"
        "sys.stderr.write(f'balcli: note: {text!r}')\n"
    ),
    "memory": "held = b'x' * (200 << 20)\n",
}


@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("code", WRONG.values(), ids=WRONG)
def test_a_wrong_ending_is_seen(code: str, output: str) -> None:
    """A program that ends otherwise, says more, shows another amount, leaks or swells does not pass the judge."""
    assert [] != cell(_alter(code), "merchant", output, CALM).problems
