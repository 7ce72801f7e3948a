"""`--watch`: run repeatedly, as a screen on a terminal, as one JSON document per line in a pipe."""

import json
import os
import select
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from balcli.cli.options import Format
from balcli.cli.output import (
    is_terminal,
    print_problems,
    terminal_rows,
    terminal_view,
    wants_colour,
    write_stdout,
)
from balcli.cli.progress import is_foreground
from balcli.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from balcli.models import Report
    from balcli.render.screen import WatchUpdate
    from balcli.run import RunResult

# xterm codes: alternate screen without a cursor, and back; home; clear to the end of the line, and of the screen.
_OPEN: Final = "\x1b[?1049h\x1b[?25l"
_CLOSE: Final = "\x1b[?25h\x1b[?1049l"
_HOME: Final = "\x1b[H"
_LINE_END: Final = "\x1b[K\n"
_BELOW: Final = "\x1b[K\x1b[J"
_PARTIAL: Final = 8


def validate_options(
    output: Format, *, record: bool, files: "Sequence[str] | None", evidence: Path | None
) -> None:
    """Raise UsageError for options that cannot be combined with --watch."""
    for name, given in (("--record", record), ("-O", files), ("--evidence", evidence)):
        if given:
            raise UsageError(f"--watch cannot be combined with {name}; remove one of them")
    if output not in {Format.table, Format.json}:
        raise UsageError(f"--watch prints a table or JSON, not {output}; remove -o, or use one of these")


def watch(every: int, run_once: "Callable[[], RunResult]", output: Format, *, quiet: bool) -> int:
    """Run every `every` seconds until Ctrl-C or `q`; returns the worst exit code, or 130 if no run finished.

    An exception in a run ends the watch.
    """
    worst: int | None = None
    screen = _Screen() if output is Format.table and is_terminal() else None
    try:
        while True:
            begun = time.monotonic()
            report, whole, _ = run_once()
            worst = worse(0 if worst is None else worst, report.exit_code)
            if screen is not None:
                screen.look(every, report, whole)
                if screen.ended_by(begun + every):
                    break
            else:
                from balcli.render.json import document

                write_stdout(json.dumps(document(report), separators=(",", ":")) + "\n")
                print_problems(report, quiet=quiet)
                time.sleep(max(0.0, begun + every - time.monotonic()))
    except KeyboardInterrupt:
        pass
    finally:
        if screen is not None:
            screen.close()
    return 130 if worst is None else worst


class _Screen:
    """The alternate screen, which shows the latest run. That run stays on the normal screen after closing.

    A dumb terminal has no alternate screen, so it shows the runs one after another.
    """

    def __init__(self) -> None:
        self._newest: WatchUpdate | None = None
        self._dumb = os.environ.get("TERM", "dumb") in {"", "dumb"}

    def look(self, every: int, report: "Report", whole: "Report") -> None:
        """Add a new run, and show it."""
        from balcli.render.screen import WatchUpdate, answers

        last = self._newest
        if last is None:
            self._newest = WatchUpdate(1, every, report, whole, {}, {})
            if not self._dumb:
                write_stdout(_OPEN)
        else:
            now = answers(last.whole)
            first, before = {**now, **last.first}, {**last.before, **now}
            self._newest = WatchUpdate(last.number + 1, every, report, whole, first, before)
        if self._dumb:
            write_stdout(self._drawn(self._newest))

    def ended_by(self, moment: float) -> bool:
        """Show the run with its increasing age until this time of the monotonic clock. Returns whether `q` was typed."""
        with _keys() as typed:
            while True:
                if self._newest is not None and not self._dumb:
                    lines = self._drawn(self._newest, terminal_rows()).splitlines()
                    write_stdout(_HOME + _LINE_END.join(lines) + _BELOW)
                left = moment - time.monotonic()
                if typed(min(1.0, max(left, 0.0))):
                    return True
                if left <= 0:
                    return False

    def close(self) -> None:
        """Return to the normal screen, and print the latest run there."""
        if self._newest is not None and not self._dumb:
            write_stdout(_CLOSE + self._drawn(self._newest))

    def _drawn(self, look: "WatchUpdate", rows: int | None = None) -> str:
        """A run as text, in this many rows."""
        from balcli.render.display import View
        from balcli.render.layout import fitted, to_text
        from balcli.render.screen import screen

        lines = screen(look, datetime.now(UTC), terminal_view() or View(sys.maxsize))
        return to_text(fitted(lines, rows), colour=wants_colour())


@contextmanager
def _keys() -> "Iterator[Callable[[float], bool]]":
    """A function that waits for some seconds, or until a key or a resize. It returns whether `q` was typed."""
    import termios  # imported here, because few runs need it
    import tty

    reads, writes = os.pipe()
    os.set_blocking(writes, False)
    keyboard = [0] if is_foreground(0) else []
    settings = termios.tcgetattr(0) if keyboard else None
    old_handler = signal.signal(signal.SIGWINCH, lambda *_: None)
    old_fd = signal.set_wakeup_fd(writes, warn_on_full_buffer=False)

    def typed(seconds: float) -> bool:
        ready, _, _ = select.select([reads, *keyboard], [], [], seconds)
        if reads in ready:
            os.read(reads, 512)
        key = os.read(0, 512) if 0 in ready else b"."
        if not key:  # the terminal was closed
            keyboard.clear()
        return b"q" in key

    try:
        if keyboard:
            tty.setcbreak(0, termios.TCSADRAIN)
        yield typed
    finally:
        signal.set_wakeup_fd(old_fd)
        signal.signal(signal.SIGWINCH, old_handler)
        os.close(reads)
        os.close(writes)
        if settings is not None:
            with suppress(termios.error):
                termios.tcsetattr(0, termios.TCSADRAIN, settings)


def worse(one: int, other: int) -> int:
    """The worse of two exit codes: failed, then partial, then complete."""
    return max(one, other, key=lambda code: (code not in {0, _PARTIAL}, code == _PARTIAL, -code))
