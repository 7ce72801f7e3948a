"""Balance assertions for beancount and hledger, judged by the tools themselves where they are installed."""

import os
import re
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balcli.models import Balance, Report
from balcli.money import Amount, parse
from balcli.report import arranged, build
from tests.conftest import Program
from tests.generated import examples
from tests.lists import each_case
from tests.rendering import machine
from tests.test_formats import ANY_TEXT, answered, everything_left_out, refused, report_of, row

SOME = examples(200)
SCRIPTS = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
BEAN_CHECK, HLEDGER = shutil.which("bean-check", path=SCRIPTS), shutil.which("hledger")
# The harder names: signs, other scripts, words of the tools, names that differ by case alone, and tricks.
NAMES = [
    *(
        "ETH",
        "eth",
        "Eth",
        "SNX#24",
        "SNX-24",
        "SNX#173",
        "nft:32768",
        "1INCH",
        "T",
        "TRUE",
        "NULL",
        "USDC.e",
    ),
    *("$WIF", "a b", " a", "a ", "a  b", 'a"b', "a;b", "a\\b", "a\nb", "a\tb", "ÄÖÜ", "比特币", "", "-", "'"),
    *(
        "A" * 24,
        "A" * 25,
        "A-",
        "A" * 24 + "b",
        "=1",
        "@x",
        "{5}",
        "(x)",
        "2026-11-21",
        "balance",
        "\u200b",
        "; x",
    ),
]


class Line(NamedTuple):
    """One assertion of a text: when, where, how much and of what, as the tool is told."""

    day: str
    account: str
    amount: str
    commodity: str


def beancount_lines(text: str) -> list[Line]:
    """The assertions for beancount; fails the test if a line is neither one nor a comment."""
    lines = [line for line in text.splitlines() if not line.startswith(";")]
    found = [re.fullmatch(r"(\S+) balance (\S+)  (\S+) ~ 0 (\S+)", line) for line in lines]
    assert all(found)
    return [Line(*match.groups()) for match in found if match]


def hledger_lines(text: str) -> list[Line]:
    """The assertions for hledger, each with the day of its transaction."""
    found, day = [], ""
    for line in text.splitlines():
        if match := re.fullmatch(r"(\d\S+) balcli", line):
            day = match[1]
        elif match := re.fullmatch(r'    (.+?)  0 (\w+|".*") =\*? (\S+) (\w+|".*")', line):
            assert match[2] == match[4]
            found.append(Line(day, match[1], match[3], match[4]))
        else:
            assert line.startswith(";") or line in {"", "decimal-mark ."}
    return found


def beancount_ledger(lines: list[Line], *, off: str = "0") -> str:
    """A ledger in which each account got what is asserted, in two parts, the day before; the last is off by so much."""
    text = ["1970-01-01 open Equity:Start"]
    text += [f"1970-01-01 open {account}" for account in sorted({line.account for line in lines})]
    for number, line in enumerate(lines):
        more = parse(off) if number == len(lines) - 1 else Amount(0)
        for amount in (parse(line.amount) - parse("0.3") + more, parse("0.3")):
            text += ['2026-11-21 * "in"', f"  {line.account}  {amount} {line.commodity}", "  Equity:Start"]
    return "\n".join(text) + "\n"


def hledger_ledger(lines: list[Line], *, off: str = "0") -> str:
    """The same as a journal, with another decimal mark than the assertions have."""
    text = ["decimal-mark ,"]
    for number, line in enumerate(lines):
        more = parse(off) if number == len(lines) - 1 else Amount(0)
        for amount in (parse(line.amount) - parse("0.3") + more, parse("0.3")):
            written = str(amount).replace(".", ",")
            text += [
                "",
                f"{line.day} in",
                f"    {line.account}  {written} {line.commodity}",
                "    equity:start",
            ]
    return "\n".join(text) + "\n"


def accepted(command: list[str], text: str, included: str, folder: Path) -> tuple[bool, str]:
    """Whether a tool finds nothing wrong with a ledger that includes another, and what it says."""
    (folder / "balcli").write_text(included)
    (folder / "ledger").write_text(text)
    done = subprocess.run(
        [*command, str(folder / "ledger")],
        capture_output=True,
        check=False,
        env={**os.environ, "LC_ALL": "C.UTF-8"},
    )
    return done.returncode == 0, (done.stdout + done.stderr).decode()


def bean_check(text: str, included: str, folder: Path) -> tuple[bool, str]:
    """What beancount says; skips the test without it."""
    if BEAN_CHECK is None:
        pytest.skip("bean-check is not installed: pip install -e '.[tools]'")
    return accepted([BEAN_CHECK, "--no-cache"], f'{text}include "balcli"\n', included, folder)


def hledger_check(text: str, included: str, folder: Path) -> tuple[bool, str]:
    """What hledger says; skips the test without it."""
    if HLEDGER is None:
        pytest.skip("hledger is not installed: apt-get install hledger")
    return accepted([HLEDGER, "check", "-f"], f"{text}\ninclude balcli\n", included, folder)


def odd() -> Report:
    """A run whose accounts and assets have all the harder names, with another amount each."""
    held = [
        answered(name, *(row(name, asset, f"{number}.{place:018}1") for number, asset in enumerate(NAMES)))
        for place, name in enumerate(NAMES)
    ]
    return build("my profile; é", held)._replace(generated_at=datetime(2026, 11, 21, 23, 59, tzinfo=UTC))


def sandbox_run(program: Program, form: str, *more: str) -> str:
    """What a run of the sandbox prints."""
    return program.run("all", "--sandbox", "-o", form, *more).out


@each_case("more", [(), ("--totals-only",), ("--sort", "total", "--nonzero")])
def test_beancount_holds_a_ledger_to_the_sandbox(
    program: Program, tmp_path: Path, more: tuple[str, ...]
) -> None:
    """bean-check accepts a ledger that holds the amounts, to the last digit, and no other."""
    text = sandbox_run(program, "beancount", *more)
    lines = beancount_lines(text)
    assert len(lines) == {(): 12, ("--totals-only",): 7}.get(more, 11)
    good = [line._replace(account=f"{line.account}:Sub") for line in lines] if len(lines) == 7 else lines
    opened = f"1970-01-01 open {lines[0].account}\n" if len(lines) == 7 else ""
    assert (True, "") == bean_check(opened + beancount_ledger(good), text, tmp_path)
    well, said = bean_check(opened + beancount_ledger(good, off="0.000000000000000001"), text, tmp_path)
    assert (False, True) == (well, "Balance failed" in said)


@each_case("more", [(), ("--totals-only",), ("--sort", "total", "--nonzero")])
def test_hledger_holds_a_journal_to_the_sandbox(
    program: Program, tmp_path: Path, more: tuple[str, ...]
) -> None:
    """Hledger accepts a journal that holds the amounts, to the last digit, and no other."""
    text = sandbox_run(program, "hledger", *more)
    lines = hledger_lines(text)
    assert len(lines) == {(): 12, ("--totals-only",): 7}.get(more, 11)
    good = [line._replace(account=f"{line.account}:sub") for line in lines] if len(lines) == 7 else lines
    assert (True, "") == hledger_check(hledger_ledger(good), text, tmp_path)
    well, said = hledger_check(hledger_ledger(good, off="0.000000000000000001"), text, tmp_path)
    assert (False, True) == (well, "balance assertion" in said)


def test_beancount_takes_every_name(tmp_path: Path) -> None:
    """bean-check accepts any account's and asset's name as it is written, and no two of them are one."""
    report = odd()
    text = machine("beancount", report)
    lines = beancount_lines(text)
    unclear = text.count("not asserted")
    assert len(NAMES) ** 2 == len(lines) + unclear
    assert len(lines) == len({line[:2] + line[3:] for line in lines})
    assert (True, "") == bean_check(beancount_ledger(lines), text, tmp_path)


def test_hledger_takes_every_name(tmp_path: Path) -> None:
    """Hledger accepts any account's and asset's name as it is written, and no two of them are one."""
    text = machine("hledger", odd())
    lines = hledger_lines(text)
    assert len(NAMES) ** 2 == len(lines)
    assert len(lines) == len({line[:2] + line[3:] for line in lines})
    assert (True, "") == hledger_check(hledger_ledger(lines), text, tmp_path)


def test_the_days_are_those_at_which_the_tools_look() -> None:
    """Beancount looks at the beginning of a day, so it gets the next one; hledger at the end of the file's part of it."""
    outcome = answered("a", row("a", "ETH", "1"))._replace(
        fetched_at=datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC)
    )
    report = report_of(outcome)
    assert ["2027-01-01"] == [line.day for line in beancount_lines(machine("beancount", report))]
    assert ["2026-12-31"] == [line.day for line in hledger_lines(machine("hledger", report))]


@pytest.mark.parametrize("form", ["beancount", "hledger"])
def test_a_partial_run_says_so_first_and_asserts_what_is_known(form: str) -> None:
    """The comments at the top name the failed account and all warnings; the unknown amount is a comment, too."""
    report = report_of(answered("a", row("a", "ETH", "1"), row("a", "BTC", None)), refused("b"))
    text = machine(form, report)
    comments = [line for line in text.splitlines() if line.startswith(";")]
    assert [
        "; balances of the profile main at 2026-11-21T00:57:00Z, by balcli",
        "; INCOMPLETE: no assertions for failed accounts",
        "; failed: b: credentials.refused: the key, so to say",
    ] == comments[:3]
    assert "; a, BTC: unknown" == comments[-1]
    lines = beancount_lines(text) if form == "beancount" else hledger_lines(text)
    assert [("1", "ETH")] == [(line.amount, line.commodity) for line in lines]


def test_rows_of_one_asset_are_asserted_as_their_sum() -> None:
    """What one account has of an asset in several rows is one amount; it is unknown if one of them is."""
    known = report_of(answered("a", row("a", "ETH", "0.1"), row("a", "ETH", "0.2", asset_id="9")))
    unknown = report_of(answered("a", row("a", "ETH", "0.1"), row("a", "ETH", None)))
    assert ["0.3"] == [line.amount for line in beancount_lines(machine("beancount", known))]
    assert ["0.3"] == [line.amount for line in hledger_lines(machine("hledger", known))]
    assert [] == beancount_lines(machine("beancount", unknown)) + hledger_lines(machine("hledger", unknown))


def test_an_incomplete_total_is_not_asserted() -> None:
    """With totals alone, a total that an account lacks in is a comment; the others are of the account above all."""
    report = report_of(answered("a", row("a", "ETH", "1"), row("a", "BTC", None)), answered("b"))
    made = machine("beancount", arranged(report, totals_only=True))
    assert [Line("2026-11-22", "Assets:Balcli:Main", "1", "ETH")] == beancount_lines(made)
    assert "; all accounts, BTC: unknown" in made.splitlines()


def test_names_that_would_become_one_are_asserted_of_neither() -> None:
    """Two accounts that differ by the case of a letter are one to beancount: neither is asserted, and both are told."""
    report = report_of(
        answered("shop", row("shop", "ETH", "1")),
        answered("Shop", row("Shop", "ETH", "2")),
        answered("x", row("x", "ETH", "3")),
    )
    made = machine("beancount", report)
    assert ["Assets:Balcli:Main:X"] == [line.account for line in beancount_lines(made)]
    assert ["; shop, ETH: ", "; Shop, ETH: "] == [
        line[:13] for line in made.splitlines() if "not asserted" in line
    ]


@SOME
@given(st.lists(ANY_TEXT, unique=True, max_size=6), st.lists(ANY_TEXT, unique=True, max_size=3))
def test_distinct_names_stay_distinct(assets: list[str], accounts: list[str]) -> None:
    """Whatever the names, each assertion is a line that a tool can read, of its own account, asset and amount."""
    held = [
        answered(
            name,
            *(
                Balance(name, "acme", asset, None, Amount(n + 10 * m), None, None)
                for n, asset in enumerate(assets)
            ),
        )
        for m, name in enumerate(accounts)
    ]
    report = report_of(*held)
    for lines in (beancount_lines(machine("beancount", report)), hledger_lines(machine("hledger", report))):
        pairs = {(line.account, line.commodity) for line in lines}
        assert len(lines) == len(pairs) == len({line.amount for line in lines})
    for line in beancount_lines(machine("beancount", report)):
        assert re.fullmatch(r"[A-Z][A-Z0-9'._-]{0,22}[A-Z0-9]", line.commodity)
        assert re.fullmatch(r"Assets(:[A-Z0-9][A-Za-z0-9-]*){3}", line.account)


def test_what_is_renamed_is_named_alike_in_every_run() -> None:
    """A renamed asset has one name, whatever else is in the run."""
    alone = report_of(answered("a", row("a", "SNX#24", "1")))
    among = report_of(
        answered("a", row("a", "SNX#173", "1"), row("a", "SNX#24", "1"), row("a", "SNX-24", "1"))
    )
    (line,) = beancount_lines(machine("beancount", alone))
    assert {line.commodity, "SNX-24"} < {
        other.commodity for other in beancount_lines(machine("beancount", among))
    }
    assert f"; {line.commodity} is SNX#24" in machine("beancount", alone).splitlines()


@pytest.mark.parametrize("form", ["beancount", "hledger"])
def test_the_comments_tell_every_omission(form: str) -> None:
    """What failed, is left out of totals or is hidden stands at the top, one line each."""
    text = machine(form, everything_left_out())
    told = ["credentials.refused", "total.aggregate_left_out", "rows.hidden"]
    assert told == [word for word in told if re.search(rf"^; .*{word}", text, re.MULTILINE)]
