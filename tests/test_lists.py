"""A list of cases in one test: each is tried, in a place of its own, whatever becomes of the others."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conftest import Program
from tests.lists import each_case


class _Subtests:
    """Stands in for pytest's: remembers the label of each case that failed."""

    def __init__(self) -> None:
        self.failed: list[str] = []

    @contextmanager
    def test(self, label: str) -> Iterator[None]:
        """Report one case."""
        self.failed.append(label)
        with pytest.raises(AssertionError):
            yield


def test_each_case_is_tried_in_a_place_of_its_own(tmp_path: Path) -> None:
    """Every combination has an empty folder, a program there and the environment as it was, also after a failure."""
    seen = set()

    @each_case("number", [1, 2])
    @each_case("text", ["a", pytest.param("b", id="second")])
    def body(
        tmp_path: Path, program: Program, monkeypatch: pytest.MonkeyPatch, number: int, text: str
    ) -> None:
        seen.add((number, text))
        is_new = not [*tmp_path.iterdir()] and "BALCLI_CASE" not in os.environ
        monkeypatch.setenv("BALCLI_CASE", text)
        program.file.touch()
        assert is_new
        assert (tmp_path, 2) != (program.folder, number)

    subtests = _Subtests()
    body(subtests=subtests, tmp_path=tmp_path)
    assert {(1, "a"), (1, "b"), (2, "a"), (2, "b")} == seen
    assert ["2-'a'", "2-second"] == subtests.failed
