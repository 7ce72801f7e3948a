"""The progress line on a terminal's stderr: the accounts that have not answered."""

import os
import select
import sys
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Final, Self

from balcli.text import LONGEST_NAME, printable, width

_PATIENCE: Final = 0.5
"""Seconds before the line is shown."""
_ERASED: Final = "\r\x1b[K"
_MORE: Final = ", ..."


class Progress:
    """The progress line of a context, which erases it at its end.

    A line that cannot be written at once is dropped: no run waits for it.
    """

    def __init__(self) -> None:
        self._begun = 0.0
        self._begun_to_show = False
        self._shown = ""

    def __enter__(self) -> Self:
        self._begun = time.monotonic()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._begun_to_show:
            self._write(_ERASED)

    def __call__(self, out: Sequence[str], total: int) -> None:
        """Show the accounts that have not answered, in the terminal's present width."""
        if time.monotonic() - self._begun < _PATIENCE:
            return
        try:
            columns = os.get_terminal_size(2).columns
        except OSError:
            return
        text = line(out, total, columns - 1)
        if text != self._shown:
            self._begun_to_show = True  # before it is: Ctrl-C can come in between
            if self._write(_ERASED + text):
                self._shown = text

    def _write(self, text: str) -> bool:
        """Whether the text was written; a stopped terminal, or one that another job has, takes none."""
        stream = sys.stderr
        try:
            if not (select.select([], [2], [], 0)[1] and _is_ours()):
                return False
            stream.write(text.encode(stream.encoding, "backslashreplace").decode(stream.encoding))
            stream.flush()
        except (OSError, ValueError):
            return False
        return True


def _is_ours() -> bool:
    """Whether this run is in the terminal's foreground, or the terminal has no job control."""
    try:
        return os.tcgetpgrp(2) == os.getpgrp()
    except OSError:
        return True


def line(out: Sequence[str], total: int, columns: int) -> str:
    """The number of accounts that have not answered, and as many of their names as fit the columns."""
    text = f"balcli: waiting for {len(out):,} of {total:,} account{'' if total == 1 else 's'}"
    if width(text) > columns:
        return text[: max(columns, 0)]
    mark = ": "
    for number, name in enumerate(out, 1):
        longer = f"{text}{mark}{printable(name, LONGEST_NAME)}"
        if width(longer) + (0 if number == len(out) else len(_MORE)) > columns:
            return text + _MORE if number > 1 else text
        text, mark = longer, ", "
    return text
