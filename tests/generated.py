"""How many examples a generated test tries: a tenth by default, all of them with `BALCLI_EXAMPLES=whole`."""

import os
from typing import Final

from hypothesis import settings

_WHOLE: Final = os.environ.get("BALCLI_EXAMPLES") == "whole"


def examples(number: int) -> settings:
    """The settings of a test that tries so many examples, or a tenth of them (at least 10) by default."""
    return settings(max_examples=number if _WHOLE else max(number // 10, 10), deadline=None)
