"""The number of examples of a generated test: a tenth by default, all with `BALCLI_EXAMPLES=whole`."""

import os
from collections.abc import Iterable
from typing import Final, TypeVar

from hypothesis import settings

T = TypeVar("T")

_WHOLE: Final = os.environ.get("BALCLI_EXAMPLES") == "whole"


def examples(number: int) -> settings:
    """The settings of a test with that many examples, or a tenth of them (at least 10) by default."""
    return settings(max_examples=number if _WHOLE else max(number // 10, 10), deadline=None)


def sampled(cases: Iterable[T], step: int) -> list[T]:
    """Every n-th case of a test, or all of them. A test that uses it is marked `whole`."""
    return [*cases][:: 1 if _WHOLE else step]
