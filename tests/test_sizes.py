"""Bounds of size: of one answer, of a run, and of the memory that both take."""

import random
from datetime import UTC, datetime
from pathlib import Path

import pytest

from balcli import collect
from balcli.errors import AnswerTooLarge
from balcli.models import Account, Balance, Holdings, Outcome
from balcli.money import ZERO
from balcli.providers.parsing import MAX_ROWS, balance_rows, check_count
from tests.conftest import Program
from tests.generated import sampled
from tests.lists import each_case
from tests.proof.sizes import FORMATS, KINDS, bound, cost, serving


@pytest.mark.whole
@each_case("kind", sampled(KINDS, 3))
@each_case("rows", [MAX_ROWS, MAX_ROWS + 1])
def test_an_answer_has_at_most_so_many_rows(tmp_path: Path, kind: str, rows: int) -> None:
    """One row more than the bound, of names alone too, fails the account; none of the rows is shown."""
    with serving(kind, 1, rows, tmp_path) as program:
        result = program.run("all", "-q", "-o", "csv", "-c", str(program.file))
    shown = result.out.count(",ok,")
    if rows == MAX_ROWS:
        assert (0, rows) == (result.code, shown)
    else:
        assert (6, 0, True) == (result.code, shown, "answer.too_large: " in result.out)


def test_a_page_of_balances_has_at_most_so_many_rows() -> None:
    """A page of a list of balances is held to the same bound."""
    check_count([None] * MAX_ROWS)
    with pytest.raises(AnswerTooLarge, match=r"has 20,001 rows, more than the limit of 20,000;"):
        check_count([None] * (MAX_ROWS + 1))
    assert MAX_ROWS == sum(1 for _ in balance_rows([{}] * MAX_ROWS, "data", "data"))


def outcome(number: int, rows: int) -> Outcome:
    """The outcome of an account with so many rows."""
    account: Account[object] = Account(
        f"a{number}", "wallet", "https://core.example", {}, (str(number),), None
    )
    balance = Balance(account.name, "wallet", "A", None, ZERO, ZERO, ZERO)
    return Outcome(account, Holdings((balance,) * rows), datetime.now(UTC), None)


@each_case("seed", [*range(20)])
def test_the_profiles_order_decides_who_is_beyond_the_rows_of_a_run(seed: int) -> None:
    """In whatever order accounts answer, those fail with whose rows, and those before them, the run has too many."""
    chance = random.Random(seed)
    rows = [chance.choice([0, 1, 50, 9_000, 20_000]) for _ in range(20)]
    found = collect._Outcomes()
    for number in chance.sample(range(20), 20):
        found[number,] = outcome(number, rows[number])
        held = sum(len(each.holdings.balances) for each in found.values() if each.holdings)
        assert held <= collect.MAX_ROWS + collect._SPARE_ROWS
    found.drop()
    failed = [number for number in range(20) if found[number,].failure is not None]
    due = [number for number in range(20) if rows[number] and sum(rows[: number + 1]) > collect.MAX_ROWS]
    assert due == failed
    assert {"answer.too_large"} >= {each.failure.code for each in found.values() if each.failure}


@pytest.mark.whole
@each_case("output", sampled(FORMATS, 8))
def test_a_large_answer_takes_little_memory(program: Program, output: str) -> None:
    """An answer of 5,000 rows stays below 150 MB in every format; `python -m tests.proof sizes` has the larger ones."""
    with serving("wallet", 1, 5_000, program.folder) as large:
        took = cost(large, output)
    assert (0, True) == (took.code, took.memory <= bound(1, 5_000))
