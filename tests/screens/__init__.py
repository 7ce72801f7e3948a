"""What a person sees: scenes played on a terminal emulator, and the recorded screens of each at five widths.

`python -m tests.screens` records them anew.
"""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import pyte
import pytest

from balcli.cli.options import open_profile
from balcli.diagnosis import Diagnosis, Step
from balcli.diff import compare
from balcli.history.reading import RunSummary
from balcli.history.series import Interval, Series
from balcli.models import Balance, Failure, Report
from balcli.money import parse
from balcli.render import runs, screen, series, settings
from balcli.render.diff import Comparison, Side
from balcli.render.diff import render as render_diff
from balcli.render.display import View
from balcli.render.layout import fitted, to_text
from balcli.render.settings import Row
from balcli.render.steps import render as render_steps
from balcli.run import RunRequest, RunResult, run
from tests.rendering import drawn

FOLDER: Final = Path(__file__).parent
WIDTHS: Final = (40, 60, 80, 120, 200)
NOON: Final = datetime(2026, 11, 21, 12, tzinfo=UTC)
_ROWS: Final = 400


class Screen:
    """A terminal of that width, and what it shows of a coloured text."""

    def __init__(self, text: str, columns: int, rows: int = _ROWS) -> None:
        self._screen = pyte.Screen(columns, rows)
        pyte.Stream(self._screen).feed(re.sub("\r?\n", "\r\n", text))
        # To read the empty lines below takes most of the time.
        self._screen.lines = max(self._screen.buffer, default=0) + 1

    @property
    def lines(self) -> list[str]:
        """The lines without blanks at their ends, up to the last that shows anything."""
        lines = [line.rstrip() for line in self._screen.display]
        while lines and not lines[-1]:
            lines.pop()
        return lines

    def colours(self, word: str) -> set[str]:
        """The colours of a word, wherever it is shown."""
        return {
            self._screen.buffer[number][column].fg
            for number, line in enumerate(self._screen.display)
            for match in re.finditer(re.escape(word), line)
            for column in range(*match.span())
        }


@contextmanager
def one_terminal() -> Iterator[None]:
    """A terminal of 256 colours in the zone UTC, whatever this one is."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TERM", "xterm-256color")
        patch.setenv("TZ", "UTC")
        time.tzset()
        yield
    time.tzset()


def sandbox_run(request: RunRequest, *faults: str) -> RunResult:
    """The result of a run in the sandbox, at noon and on a port that is always the same."""
    with open_profile(None, None, None, sandbox=True, faults=list(faults)) as profile:
        result = run(profile, request)
    return result._replace(report=_at_noon(result.report), whole=_at_noon(result.whole))


def _at_noon(report: Report) -> Report:
    outcomes = [
        outcome._replace(fetched_at=outcome.fetched_at and NOON)
        if outcome.failure is None
        else outcome._replace(
            failure=outcome.failure._replace(message=re.sub(r":\d{4,5}\b", ":54321", outcome.failure.message))
        )
        for outcome in report.outcomes
    ]
    return report._replace(generated_at=NOON, outcomes=tuple(outcomes))


def _balances(columns: int, request: RunRequest, *faults: str, verbose: bool = False) -> str:
    report = sandbox_run(request, *faults).report
    view = View(columns, verbose=verbose, about="0.2 s")
    return drawn(report, view, colour=True, addresses="addresses" in request.flags)


def _large(columns: int) -> str:
    """Amounts that are long, negative and unknown, under names that are hostile, wide and long."""
    report = sandbox_run(RunRequest(provider="merchant")).report
    texts = [
        "-1234567.25",
        "123456789012345678901234567890.000000000000000000000000000001",
        "0",
        None,
        "98765432100",
    ]
    names = ["NEGATIVE", "[red]x[/]\x1b[2J", "\u4eba\u6c11\u5e01", "A" * 60, "e\u0301"]
    amounts = [None if text is None else parse(text) for text in texts]
    rows = [
        Balance("shop", "merchant", name, None, amount, amount, parse("0.5"))
        for name, amount in zip(names, amounts, strict=True)
    ]
    return drawn(report._replace(balances=tuple(rows)), View(columns), colour=True)


def _watch(columns: int) -> str:
    """A third look, in 30 rows: an amount rose, one fell, an account that answered before failed."""
    report = sandbox_run(RunRequest(), "wallet:refused").whole
    before = {**screen.answers(sandbox_run(RunRequest()).whole), **screen.answers(report)}
    changed = {"ETH": "-0.5", "LRC": "250.25"}
    rows = tuple(
        row._replace(total=row.total and row.total + parse(changed[row.asset]))
        if row.asset in changed
        else row
        for row in report.balances
    )
    report = report._replace(balances=rows)
    look = screen.WatchUpdate(3, 5, report, report, before, before)
    lines = screen.screen(look, NOON + timedelta(seconds=2), View(columns))
    return to_text(fitted(lines, 30), colour=True)


def _doctor(columns: int, *, verbose: bool = False, offline: bool = False) -> str:
    """A profile with a note on it, an account that is well and one whose key is refused."""
    refused = (
        "shop.example refused the credentials (HTTP 401); check the account's key or token in the profile"
    )
    steps = [
        Step(None, "profile", "ok", "/home/me/.config/balcli/config.toml"),
        Step.from_message(
            None, "environment", "warning", "SSL_CERT_FILE is ignored; name the file as ca_bundle"
        ),
        *(Step("treasury", name, "ok", "as it must be") for name in ("settings", "secrets", "name", "tcp")),
        Step("treasury", "latency", "ok", "balances received in 19 ms"),
        Step("shop", "settings", "ok", "merchant, merchant_id 0, at https://shop.example"),
        Step.from_message("shop", "credentials", "failed", refused),
        Step("shop", "latency", "skipped", "credentials failed"),
    ]
    steps = steps[:5] if offline else steps
    failures = (
        ()
        if offline
        else (Failure("credentials.refused", refused, retryable=False, http_status=401, exit_code=4),)
    )
    report = Report(NOON, "main", failures=failures)
    return render_steps(
        Diagnosis(tuple(steps), report), View(columns, verbose=verbose), colour=True, offline=offline
    )


def _series() -> Series:
    """A total that went up and down over twelve days, one of them without an answer."""
    days = [NOON - timedelta(days=12 - day) for day in range(13)]
    totals = [None if day == 7 else f"{1000 + (day * 37) % 250}.{day:02}1" for day in range(12)]
    intervals = [
        Interval(days[n], days[n + 1], 24, "failed" if total is None else "ok", total, total, total and "0")
        for n, total in enumerate(totals)
    ]
    return Series("main", "shop", (), "merchant", "USDT", None, None, None, 0, tuple(intervals))


def _diff(columns: int) -> str:
    """Amounts that rose, fell, appeared and vanished, and an account that cannot be compared."""
    before = sandbox_run(RunRequest()).report
    rows = [
        row._replace(total=row.total and row.total + parse("-120.5" if row.asset == "USDT" else "0.25"))
        for row in before.balances
        if row.asset != "XRP" and row.account != "payouts"
    ]
    after = before._replace(balances=(*rows, before.balances[0]._replace(asset="NEW", asset_id="999")))
    sides = Side(7, NOON, complete=True), Side(None, NOON + timedelta(hours=1), complete=True)
    return render_diff(Comparison("main", *sides, compare(before, after)), columns=columns, colour=True)


_RUNS: Final = [
    RunSummary(9, NOON, "main", complete=True, accounts=(("shop", "ok"), ("treasury", "ok"))),
    RunSummary(10, NOON, "main", complete=False, accounts=(("shop", "failed"), ("treasury", "ok"))),
]
_SETTINGS: Final = [
    (
        "treasury (wallet)",
        [Row("base_url", "https://core.example", "config.toml"), Row("access_token", "***", ".env:3")],
    ),
    ("run", [Row("timeout", "10", "default")]),
]

SCENES: Final[dict[str, Callable[[int], str]]] = {
    "complete": lambda columns: _balances(columns, RunRequest()),
    "partial": lambda columns: _balances(columns, RunRequest(nonzero=True), "wallet:refused"),
    "failed": lambda columns: _balances(columns, RunRequest(provider="wallet"), "wallet:refused"),
    "totals": lambda columns: _balances(columns, RunRequest(totals_only=True, assets=("USDT", "NONE"))),
    "addresses": lambda columns: _balances(
        columns, RunRequest(provider="wallet", flags=frozenset({"addresses"})), verbose=True
    ),
    "large": _large,
    "watch": _watch,
    "doctor": _doctor,
    "history": lambda columns: series.table([_series()], columns, colour=True),
    "runs": lambda columns: runs.table(_RUNS, columns, colour=True),
    "diff": _diff,
    "config": lambda columns: settings.render(
        "profile main: /home/me/config.toml", _SETTINGS, columns, colour=True
    ),
    "doctor-v": lambda columns: _doctor(columns, verbose=True),
    "doctor-offline": lambda columns: _doctor(columns, offline=True),
}
"""Each scene by its name: what it writes to a terminal of that width."""


def recorded(scene: str) -> str:
    """The screens of a scene, one below the other, each under its width."""
    with one_terminal():
        screens = [(columns, Screen(SCENES[scene](columns), columns).lines) for columns in WIDTHS]
    return "\n".join("\n".join([f"=== {columns} columns", *lines, ""]) for columns, lines in screens)
