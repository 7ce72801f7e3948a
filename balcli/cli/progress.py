"""The progress line on stderr, if it is a terminal."""

import os
import select
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from math import inf
from threading import Timer
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from balcli.text import LONGEST_NAME, printable, width

if TYPE_CHECKING:
    from balcli.collect import AccountProgress

_PATIENCE: Final = 0.5
"""Seconds before the line is shown."""
_ERASED: Final = "\r\x1b[K"
_MORE: Final = ", ..."


class Progress:
    """A context manager that shows a progress line and erases it at the end.

    A line that cannot be written immediately is dropped, so that a run never waits for it.
    """

    def __init__(self, *, shown: bool, colour: bool, unicode: bool) -> None:
        self._patience = _PATIENCE if shown else inf
        self._colour = colour
        self._unicode = unicode
        self._timer: Timer | None = None
        self._begun = 0.0
        self._begun_to_show = False
        self._shown = ""

    def __enter__(self) -> Self:
        self._begun = time.monotonic()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer.join(1)
        if self._begun_to_show:
            self._write(_ERASED)

    def __call__(self, accounts: "Sequence[AccountProgress]") -> None:
        """Show the progress of each account, in the current width of the terminal."""
        if self._colour:
            import balcli.render.terminal  # noqa: F401 - imports rich, which takes as long as a response
        if time.monotonic() - self._begun < self._patience:
            return
        with suppress(OSError):
            self.show(line(accounts, os.get_terminal_size(2).columns - 1, unicode=self._unicode))

    def show_later(self, text: str) -> None:
        """Show a text after a delay, unless the context ends before."""
        self._timer = Timer(self._patience, self.show, [text])
        self._timer.daemon = True
        self._timer.start()

    def show(self, text: str) -> None:
        """Replace the shown text."""
        if text != self._shown:
            self._begun_to_show = True  # set before, because Ctrl-C can arrive in between
            if self._write(_ERASED + text):
                self._shown = text

    def _write(self, text: str) -> bool:
        """Write text; returns False if the terminal is stopped or another job is in the foreground."""
        stream = sys.stderr
        try:
            if not (select.select([], [2], [], 0)[1] and is_foreground(2)):
                return False
            stream.write(text.encode(stream.encoding, "backslashreplace").decode(stream.encoding))
            stream.flush()
        except (OSError, ValueError):
            return False
        return True


def is_foreground(descriptor: int) -> bool:
    """Whether this process is in the foreground of the terminal, or the terminal has no job control."""
    try:
        return os.isatty(descriptor) and os.tcgetpgrp(descriptor) == os.getpgrp()
    except OSError:
        return os.isatty(descriptor)


def line(accounts: "Sequence[AccountProgress]", columns: int, *, unicode: bool = True) -> str:
    """The progress of each account, if it fits; else the number of waiting accounts, and as many names as fit."""
    marks = dict(zip(("answered", "failed", "waiting"), "●✗○" if unicode else "*x-", strict=True))
    told = [f"{marks[each.state]} {printable(each.name, LONGEST_NAME)}{_retry(each)}" for each in accounts]
    out = [each for each in accounts if each.state == "waiting"]
    whole = f"balcli: {len(accounts) - len(out):,} of {len(accounts):,}  {'  '.join(told)}"
    if width(whole) <= columns:
        return whole
    text = f"balcli: waiting for {len(out):,} of {len(accounts):,} account{'' if len(accounts) == 1 else 's'}"
    if width(text) > columns:
        return text[: max(columns, 0)]
    mark = ": "
    for number, each in enumerate(out, 1):
        longer = f"{text}{mark}{printable(each.name, LONGEST_NAME)}{_retry(each)}"
        if width(longer) + (0 if number == len(out) else len(_MORE)) > columns:
            return text + _MORE if number > 1 else text
        text, mark = longer, ", "
    return text


def _retry(account: "AccountProgress") -> str:
    return "" if account.retry_in is None else f" (retry in {account.retry_in} s)"
