"""The proof of faulty answers, in short: it holds, and it can fail."""

import random
from functools import partial

import pytest

from tests.proof import answers
from tests.proof.answers import READERS, Reader, work
from tests.proof.reading import Row

SEED = "20261121"
CASES = 480

# urllib3 leaves the socket of an answer whose headers it refuses to the collector.
pytestmark = pytest.mark.filterwarnings(
    "ignore:unclosed:ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)


def test_faulty_answers_are_read_as_the_oracle_reads_them() -> None:
    """Of some hundred answers, most of them faulty, each is refused or shown with exactly the amounts that it has."""
    tally = work(random.Random(SEED), CASES)
    assert [] == [str(difference) for difference in tally.differences]
    assert CASES == sum(tally.cases.values())


def _without_last(reader: Reader, body: bytes, tokens: bytes) -> list[Row]:
    return reader(body, tokens)[:-1]


def _forgiving(reader: Reader, body: bytes, tokens: bytes) -> list[Row]:
    return reader(body.replace(b"1_000", b"1000"), tokens)


def _lenient(reader: Reader, body: bytes, tokens: bytes) -> list[Row]:
    return reader(body.removeprefix(b"\xef\xbb\xbf"), tokens)


@pytest.mark.parametrize("wrong", [_without_last, _forgiving, _lenient], ids=["last row", "1_000", "BOM"])
def test_another_reading_is_found(wrong: partial[list[Row]]) -> None:
    """Where program and oracle read the same bytes differently, be it in one row or one rule, the proof fails."""
    readers = {name: partial(wrong, reader) for name, reader in READERS.items()}
    rng = random.Random(SEED)
    assert any(work(rng, CASES // 4, readers).different.total() for _ in range(12))


def test_every_kind_is_served_to_every_provider() -> None:
    """The random answers are of every kind, for each provider, and a good part of them is good."""
    rng = random.Random(SEED)
    cases = [
        answers._case(rng, provider, "tK-9vXw2mRb5LhN8cYd4J", reader)
        for _ in range(300)
        for provider, reader in READERS.items()
    ]
    assert {(case.kind, case.provider) for case in cases} == {
        (kind, provider) for kind in answers._KINDS for provider in READERS
    }
    good = sum(case.rows is not None for case in cases)
    assert len(cases) // 4 < good < len(cases) * 3 // 4
