"""The proofs, in short: each holds, and each can fail."""

import json
import re
import subprocess
import sys
from collections.abc import Iterable
from decimal import Decimal

import pytest

from balcli.errors import BadJson
from balcli.http.strictjson import Json, Number, decode
from balcli.models import Report
from balcli.money import Amount, exact_sum, parse
from tests.conftest import ROOT, Program
from tests.proof import documents, money, tables
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
    return exact_sum(list(amounts)[:2])


@pytest.mark.parametrize("name", proofs())
def test_a_proof_is_found_with_its_help(name: str) -> None:
    """Each proof says in a sentence what it proves, and its module has the `main` that it is run by."""
    assert (True, True) == (proofs()[name].endswith("."), len(proofs()[name]) < 130)


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
    assert 0 == main(["money", "--count", "5000", "--seed", SEED])
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
        (money.BALCLI._replace(exact_sum=floating), "sums in every order"),
        (money.BALCLI._replace(exact_sum=forgetful), "sums in every order"),
    ],
    ids=["rounding", "trimming", "unscaled", "floating", "forgetful"],
)
def test_wrong_amounts_are_found(wrong: money.Money, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Amounts that are rounded, guessed, not scaled or badly added fail the proof, and the cases are shown."""
    assert 1 == money.main(["--count", "2000", "--seed", SEED], wrong)
    out = capsys.readouterr().out
    assert f"  {kind}\n" in out.partition("differences: ")[2]
    assert 0 < len(re.findall(r"^\d+\. ", out, re.MULTILINE)) <= 10


def cutting(report: Report, *, columns: int | None, colour: bool, addresses: bool) -> str:
    """A table whose lines are cut to fit."""
    text = tables.rendered(report, columns=columns, colour=colour, addresses=addresses)
    return "".join(f"{line[:columns]}\n" for line in text.splitlines())


def folding(report: Report, *, columns: int | None, colour: bool, addresses: bool) -> str:
    """A table in columns at every width, folded by the terminal."""
    text = tables.rendered(report, columns=None, colour=colour, addresses=addresses)
    return re.sub(f"(.{{{columns}}})(?=.)", r"\1\n", text) if columns else text


def zeroing(report: Report, *, columns: int | None, colour: bool, addresses: bool) -> str:
    """A table in which what is not known is 0, and so is an account that failed."""
    text = tables.rendered(report, columns=columns, colour=colour, addresses=addresses)
    return text.replace("unavailable: ", "0 ").replace("unknown", "      0")


def trusting(report: Report, *, columns: int | None, colour: bool, addresses: bool) -> str:
    """A table that shows control and bidirectional characters as they are."""
    text = tables.rendered(report, columns=columns, colour=colour, addresses=addresses)
    return re.sub(r"\\x1b|\\x9b|\\u202e", lambda escape: escape[0].encode().decode("unicode_escape"), text)


def rounding_off(report: Report, *, columns: int | None, colour: bool, addresses: bool) -> str:
    """A table without the last digits of a long fraction."""
    text = tables.rendered(report, columns=columns, colour=colour, addresses=addresses)
    return re.sub(r"(\.[0-9]{8})[0-9]+", r"\1", text)


def gilding(report: Report, *, columns: int | None, colour: bool, addresses: bool) -> str:
    """A table whose colours bring a word along."""
    text = tables.rendered(report, columns=columns, colour=colour, addresses=addresses)
    return f"{text}{'done' if colour else ''}\n"


def inventing(report: Report, *, columns: int | None, colour: bool, addresses: bool) -> str:
    """A table with a row that no account holds, below each of its headings."""
    text = tables.rendered(report, columns=columns, colour=colour, addresses=addresses)
    return re.sub(r"(?m)^((?!  ).*\))$", r"\1\n  FREE  1  1  0", text)


def test_tables_hold_what_the_reports_hold(capsys: pytest.CaptureFixture[str]) -> None:
    """Some tables of random reports, at every width, are what they must be."""
    assert 0 == main(["tables", "--count", "10", "--seed", SEED])
    assert "differences: 0\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    "wrong",
    [cutting, folding, zeroing, trusting, rounding_off, gilding, inventing],
    ids=lambda made: made.__name__,
)
def test_wrong_tables_are_found(wrong: tables.Render, capsys: pytest.CaptureFixture[str]) -> None:
    """Amounts that are cut, folded, rounded, invented or 0 for unknown, and raw characters, fail the proof."""
    assert 1 == tables.main(["--count", "3", "--seed", SEED], wrong)
    out = capsys.readouterr().out
    assert (True, False) == (". tables " in out, "raised" in out)


def obliging(body: bytes) -> Json:
    """A document as Python's own reader takes it: the last of two keys, NaN, any encoding, any depth."""
    try:
        document: Json = json.loads(body, parse_int=Number, parse_float=Number)
    except (ValueError, RecursionError):
        raise BadJson("it is none") from None
    return document


def patching(body: bytes) -> Json:
    """A document whose bytes that are not UTF-8 are replaced."""
    return decode(body.decode("utf-8", "replace").encode())


def stripping(body: bytes) -> Json:
    """A document without the byte-order mark and the NULs about it."""
    return decode(body.removeprefix(b"\xef\xbb\xbf").strip(b"\0"))


def shortening(body: bytes) -> Json:
    """A document whose numbers are as short as floats make them."""
    decode(body)
    document: Json = json.loads(body, parse_int=Number, parse_float=lambda text: Number(repr(float(text))))
    return document


def crashing(body: bytes) -> Json:
    """A document, and no answer of the error tree to one that is nested deeply."""
    if body.count(b"[") > 200:
        raise RecursionError
    return decode(body)


def test_documents_are_read_as_the_oracle_reads_them(capsys: pytest.CaptureFixture[str]) -> None:
    """Some thousand documents and names are read, refused and shown as they must be."""
    assert 0 == main(["documents", "--count", "1000", "--seed", SEED])
    assert "differences: 0\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("wrong", "kind"),
    [
        (obliging, "i: a key twice (refused)"),
        (patching, "i: bytes that are not UTF-8 (refused)"),
        (stripping, "i: a byte-order mark (refused)"),
        (shortening, "y: documents that must be read"),
        (crashing, "i: depth (100 levels are read, more refused)"),
    ],
    ids=["obliging", "patching", "stripping", "shortening", "crashing"],
)
def test_wrong_documents_are_found(
    wrong: documents.Decode, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A reader that guesses, mends, rounds or crashes fails the proof, which names the kind of the document."""
    assert 1 == documents.main(["--count", "600", "--seed", SEED], wrong)
    assert f"  {kind}\n" in capsys.readouterr().out.partition("differences: ")[2]


def test_proofs_that_start_many_processes_hold(program: Program, subtests: pytest.Subtests) -> None:
    """Killed runs leave files and a history that are old or new and no litter; a year's runs read back as written."""
    endings = {
        "kills --count 12": "not whole or left behind: 0\n",
        "kills --what record --count 6": "not whole or left behind: 0\n",
        "year --count 600": "runs that read otherwise than they were written, of 2: 0\n",
    }
    for line, ending in endings.items():
        with subtests.test(line=line):
            command = [sys.executable, "-m", "tests.proof", *line.split()]
            done = subprocess.run(
                command, env=program.environment(), cwd=ROOT, capture_output=True, check=False, text=True
            )
            assert (0, "") == (done.returncode, done.stderr), done.stdout
            assert done.stdout.endswith(ending)
