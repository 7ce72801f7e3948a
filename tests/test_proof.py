"""The proofs, in short: each holds, and each can fail."""

import re
import subprocess
import sys
from collections.abc import Iterable
from decimal import Decimal

import pytest

from balcli.money import Amount, add_up, parse
from tests.conftest import ROOT
from tests.proof import money
from tests.proof.__main__ import main, proofs

SEED = "20261121"


def rounding(text: str) -> Amount:
    """The amount of a text, by way of Decimal's default context."""
    return parse(format(+Decimal(text), "f"))


def trimming(text: str) -> Amount:
    """The amount of a text, blanks around it forgiven."""
    return parse(text.strip())


def unscaled(text: str, _: int) -> Amount:
    """A number of smallest units, taken for whole ones."""
    return Amount(int(text))


def floating(amounts: Iterable[Amount]) -> Amount:
    """A sum by way of binary floats."""
    return parse(format(Decimal(sum(float(str(amount)) for amount in amounts)), "f")[:80])


def forgetful(amounts: Iterable[Amount]) -> Amount:
    """A sum that depends on its order: of more than two, the last is left out."""
    return add_up(list(amounts)[:2])


@pytest.mark.parametrize("name", proofs())
def test_a_proof_is_found_with_its_help(name: str) -> None:
    """Each proof says in a sentence what it proves, and its module has the `main` that it is run by."""
    assert (True, True) == (proofs()[name].endswith("."), len(proofs()[name]) < 100)


def test_the_command_lists_the_proofs() -> None:
    """`python -m tests.proof --help` names each proof with its help."""
    command = [sys.executable, "-m", "tests.proof", "--help"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=False, text=True)
    listed = [line.split(maxsplit=1) for line in done.stdout.splitlines() if line.startswith("  ")]
    assert (0, "", [[name, about] for name, about in proofs().items()]) == (
        done.returncode,
        done.stderr,
        listed,
    )


@pytest.mark.parametrize(
    "argv", [[], ["nope"], ["conduct"], ["naughty"], ["__main__"], ["../conftest"]], ids=str
)
def test_what_is_no_proof_is_wrong_usage(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Without the name of a proof, the command says on stderr what there is, and ends with 2."""
    code, told = main(argv), capsys.readouterr()
    assert (2, "", True) == (code, told.out, "  money" in told.err)


def test_the_same_seed_makes_the_same_cases(capsys: pytest.CaptureFixture[str]) -> None:
    """A run says its seed, and a run with that seed has the same cases."""
    main(["money", "--count", "500"])
    first = capsys.readouterr().out
    (seed,) = re.findall(r"^money: seed (\d+), 500 cases$", first, re.MULTILINE)
    main(["money", "--count", "500", "--seed", seed])
    second = capsys.readouterr().out
    assert first.partition("seconds")[0] == second.partition("seconds")[0]


def test_amounts_agree_with_the_oracle(capsys: pytest.CaptureFixture[str]) -> None:
    """Some thousand cases of the proof of money show no difference."""
    assert 0 == main(["money", "--count", "10000", "--seed", SEED])
    assert "differences: 0\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("wrong", "kind"),
    [
        (money.BALCLI._replace(parse=rounding), "amounts read and printed"),
        (money.BALCLI._replace(parse=trimming), "odd texts refused"),
        (
            money.BALCLI._replace(parse_units=unscaled),
            "smallest units scaled",
        ),
        (money.BALCLI._replace(add_up=floating), "sums in every order"),
        (money.BALCLI._replace(add_up=forgetful), "sums in every order"),
    ],
    ids=["rounding", "trimming", "unscaled", "floating", "forgetful"],
)
def test_wrong_amounts_are_found(wrong: money.Money, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Amounts that are rounded, guessed, not scaled or badly added fail the proof, and the cases are shown."""
    assert 1 == money.main(["--count", "2000", "--seed", SEED], wrong)
    out = capsys.readouterr().out
    assert (True, False) == (f". {kind}\n" in out, "differences: 0\n" in out)
    assert 0 < len(re.findall(r"^\d+\. ", out, re.MULTILINE)) <= 10
