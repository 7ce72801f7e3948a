"""The benchmarks' command: it prints its table, and does not pass over a wrong amount. No time is asserted."""

import subprocess
import sys

import pytest

import benchmarks.__main__ as command
from benchmarks import amounts, checks
from tests.conftest import ROOT

ONE = (amounts.Account("wallet", 1, 1),)
TABLE = "w00001 (wallet, wallet_id 100001)\n  A00000  {}  {}  {}\n"


def test_it_prints_a_markdown_table() -> None:
    """The cheapest row, with every run checked."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--quick", "--row", "9"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    head, _, table = done.stdout.partition("\n\n| row ")
    assert all(piece in head for piece in ("# balcli ", "- machine: ", "- Python ", "curl", "typer "))
    rows = [line for line in table.splitlines() if line.startswith("| 9 |")]
    assert len(rows) == 2
    assert all(line.count(" | ") == 5 for line in rows), rows


def test_a_wrong_amount_ends_it_with_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The server, a process of its own, serves another amount than what is computed here."""
    right = amounts.held

    def other(account: amounts.Account, row: int) -> amounts.Held:
        here = right(account, row)
        return here._replace(lock=here.lock + 1)

    monkeypatch.setattr(amounts, "held", other)
    assert command.main(["--quick", "--row", "9"]) == 1
    printed = capsys.readouterr().out
    assert "| FAILED |" in printed
    assert "wrong balances" in printed


def test_each_amount_and_the_count_are_compared() -> None:
    """A digit that is wrong, a row too few, and a row without an amount are all noticed."""
    check = checks.prints_balances("table", ONE)
    here = amounts.held(ONE[0], 0)
    total, available, locked = map(amounts.text, (here.total, here.available, here.locked))
    check(TABLE.format(total, available, locked))
    for printed in (TABLE.format(total, available, f"{locked}1"), "", TABLE.format(total, available, "")):
        with pytest.raises(checks.Wrong):
            check(printed)
