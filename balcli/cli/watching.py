"""`--watch`: runs again and again, on a terminal as a screen, in a pipe as one JSON document a line."""

import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from balcli.cli.options import Format
from balcli.cli.output import is_terminal, print_problems, terminal_columns, terminal_rows, write_stdout
from balcli.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from balcli.render.screen import Answer, WatchUpdate
    from balcli.run import RunResult

_CLEAR: Final = "\x1b[H\x1b[2J"
_PARTIAL: Final = 8


def validate_options(
    output: Format, *, record: bool, files: "Sequence[str] | None", evidence: Path | None
) -> None:
    """Raise UsageError for options of a single run."""
    for name, given in (("--record", record), ("-O", files), ("--evidence", evidence)):
        if given:
            raise UsageError(f"--watch looks again and again, {name} is for one run; leave one of them out")
    if output not in {Format.table, Format.json}:
        raise UsageError(f"--watch prints a table or JSON, not {output}; leave -o out, or name one of these")


def watch(
    every: int, run_once: "Callable[[], RunResult]", output: Format, *, quiet: bool, colour: bool
) -> int:
    """Run every so many seconds until Ctrl-C; the worst exit code of all runs, 130 if there was none.

    What a run raises ends the watch.
    """
    worst, number = 0, 0
    shown = False
    first: dict[str, Answer] = {}
    before: dict[str, Answer] = {}
    on_screen = output is Format.table and is_terminal()
    try:
        while True:
            begun = time.monotonic()
            report, whole, _ = run_once()
            number += 1
            worst = worse(worst, report.exit_code)
            if on_screen:
                from balcli.render.screen import WatchUpdate, answers

                look = WatchUpdate(number, every, report, whole, dict(first), dict(before))
                shown = True
                _show_until(begun + every, look, colour=colour)
                before |= answers(whole)
                first = {**answers(whole), **first}
            else:
                from balcli.render.json import document

                write_stdout(json.dumps(document(report), separators=(",", ":")) + "\n")
                shown = True
                print_problems(report, quiet=quiet)
                time.sleep(max(0.0, begun + every - time.monotonic()))
    except KeyboardInterrupt:
        return worst if shown else 130


def _show_until(moment: float, look: "WatchUpdate", *, colour: bool) -> None:
    """Show a look, its ages growing, until that moment of the monotonic clock."""
    from balcli.render.screen import fitted, render

    while True:
        screen = render(look, datetime.now(UTC), columns=terminal_columns(), colour=colour)
        write_stdout(_CLEAR + fitted(screen, terminal_rows()))
        left = moment - time.monotonic()
        if left <= 0:
            return
        time.sleep(min(1.0, left))


def worse(one: int, other: int) -> int:
    """The worse of two exit codes: failed is worse than partial, partial than complete."""
    return max(one, other, key=lambda code: (code not in {0, _PARTIAL}, code == _PARTIAL, -code))
