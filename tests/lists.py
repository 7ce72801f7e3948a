"""One test for a list of cases: a test id, or a subtest, of its own costs more than most cases do."""

import functools
import inspect
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.conftest import Program, secrets_forgotten

_SHOWN = 80


class _Case(NamedTuple):
    label: str
    values: dict[str, Any]


def each_case(
    names: str | Sequence[str],
    cases: Iterable[Any],
    ids: Iterable[str] | Callable[[Any], object] | None = None,
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Use like `pytest.mark.parametrize`, where the cases are cheap: the test tries all; each that fails is a subtest.

    Each case has its own `tmp_path`, `program` and `monkeypatch`; other fixtures are shared by all.
    """
    keys = [name.strip() for name in names.split(",")] if isinstance(names, str) else [*names]
    listed = [*_cases(keys, cases, ids)]

    def decorate(test: Callable[..., None]) -> Callable[..., None]:
        body, inner = getattr(test, "each_case", (test, [_Case("", {})]))
        combined = [
            _Case("-".join(filter(None, (outer.label, own.label))), {**outer.values, **own.values})
            for own in inner
            for outer in listed
        ]

        @functools.wraps(body)
        def tries_all(**fixtures: Any) -> None:
            subtests: pytest.Subtests = fixtures.pop("subtests")
            for number, case in enumerate(combined):
                try:
                    with _of_the_case(number, fixtures, asked) as own:
                        body(**case.values, **own)
                except (Exception, pytest.fail.Exception, pytest.skip.Exception):
                    with subtests.test(case.label):
                        raise

        asked = set(inspect.signature(body).parameters) - combined[0].values.keys()
        needed = {"subtests", *asked} - {"program", "monkeypatch"} | (
            {"tmp_path"} if "program" in asked else set()
        )
        made: Any = tries_all
        made.each_case = body, combined
        made.__signature__ = inspect.Signature(
            [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY) for name in sorted(needed)]
        )
        return tries_all

    return decorate


def _cases(
    keys: list[str], cases: Iterable[Any], ids: Iterable[str] | Callable[[Any], object] | None
) -> Iterator[_Case]:
    names = None if ids is None or callable(ids) else [*ids]
    for number, case in enumerate(cases):
        marked = isinstance(case, type(pytest.param()))
        assert not (marked and case.marks)
        values = case.values if marked else (case,) if len(keys) == 1 else case
        if marked and case.id is not None:
            label = case.id
        elif names is not None:
            label = names[number]
        elif callable(ids):
            label = "-".join(str(ids(value)) for value in values)
        else:
            label = "-".join(ascii(value)[:_SHOWN] for value in values)
        yield _Case(str(label), dict(zip(keys, values, strict=True)))


@contextmanager
def _of_the_case(number: int, fixtures: dict[str, Any], asked: set[str]) -> Iterator[dict[str, Any]]:
    own = dict(fixtures)
    with ExitStack() as stack:
        stack.enter_context(secrets_forgotten())
        if "tmp_path" in fixtures:
            folder: Path = fixtures["tmp_path"] / str(number)
            folder.mkdir()
            own["tmp_path"], own["program"] = folder, Program(folder)
        if "monkeypatch" in asked:
            own["monkeypatch"] = stack.enter_context(pytest.MonkeyPatch.context())
        yield {name: value for name, value in own.items() if name in asked}
