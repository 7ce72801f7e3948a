"""The proof that rows in are rows out, in short: it holds, and it can fail."""

import random
from collections.abc import Callable

import pytest

from tests.proof import rows_out
from tests.proof.rows_out import Asked, work

SEED = "20261128"


def test_each_row_is_shown_once_and_added_to_its_own_name() -> None:
    """Of some hundred answers with names made to be confused, every row comes out once, and every total is exact."""
    tally = work(random.Random(SEED), 480)
    assert [] == [str(difference) for difference in tally.differences]
    assert 480 == sum(tally.cases.values())


WRONG: dict[str, tuple[object, str, Callable[..., object]]] = {
    "another folding": (rows_out, "folded", lambda name: name.casefold().encode("utf-8", "surrogatepass")),
    "no exactness": (
        Asked,
        "takes",
        lambda asked, row: Asked(asked.name).name is None or asked.name in row.names,
    ),
    "half characters": (rows_out, "_is_text", lambda _names: True),
    "a row left out of sums": (
        rows_out,
        "_sums",
        lambda rows, failed, sums=rows_out._sums: sums(rows[1:], failed),
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_another_identity_is_found(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Where program and oracle take different things for one, the proof fails."""
    monkeypatch.setattr(*WRONG[name])
    rng = random.Random(SEED)
    assert any(work(rng, 240).different.total() for _ in range(20))
