"""The result of a check: the status line of a monitoring plugin with a line for each limit, or a document."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, Final

from balcli.render.json import amount_text, head, lists, to_json
from balcli.render.layout import Line, Style, to_text
from balcli.text import printable
from balcli.thresholds import Finding, State, Threshold, Verdict

_LONGEST_NAME: Final = 40
_LONGEST_REASON: Final = 120
_LONGEST_LINE: Final = 300
_STYLES: Final[dict[State, Style]] = {
    State.OK: "good",
    State.WARNING: "open",
    State.CRITICAL: "bad",
    State.UNKNOWN: "bad",
}
# These characters would end a label, or the text before the performance data.
_NO_LABEL: Final = str.maketrans("'=|", "___")


def render(verdict: Verdict, *, colour: bool, terminal: bool = False) -> str:
    """The status line, `BALCLI STATE - text | performance data`, without colors, and a line for each limit.

    On a terminal, the state is colored, there is no performance data, and a single limit has no extra line.
    """
    status = Line().add(f"BALCLI {verdict.state.name}", _STYLES[verdict.state] if terminal else "")
    status.add(f" - {_text(verdict)}")
    if not terminal and verdict.findings:
        status.add(f" | {' '.join(_performance(verdict.findings))}")
    details = map(_detail, verdict.findings if not terminal or len(verdict.findings) > 1 else ())
    return to_text([status, *details], colour=colour)


def render_json(verdict: Verdict) -> str:
    """The verdict as one JSON document, in ASCII. Values are canonical decimal strings in whole units; unknown is null."""
    report = {**head(verdict.report), **lists(verdict.report)}
    return to_json(
        {
            **{key: report[key] for key in ("schema_version", "generated_at", "profile")},
            "state": verdict.state.name,
            "exit_code": int(verdict.state),
            "limits": [_limit(finding) for finding in verdict.findings],
            **{key: report[key] for key in ("accounts", "warnings", "errors")},
        }
    )


def plain(text: str, limit: int = 0) -> str:
    """The text on one line, escaped, including `|`, which starts the performance data."""
    return printable(text, limit).replace("|", "\\x7c")


def _limit(finding: Finding) -> dict[str, Any]:
    limit = finding.threshold
    return {
        "asset": limit.asset,
        "assets": [*limit.names],
        "exact": limit.exact,
        "field": limit.field,
        "account": limit.account,
        "warn": None if limit.warn is None else limit.warn.text,
        "crit": None if limit.crit is None else limit.crit.text,
        "value": amount_text(finding.value),
        "state": finding.state.name,
        "reason": finding.reason,
    }


def _text(verdict: Verdict) -> str:
    """The failure of the run, or the first limit with the verdict's state, and the number of limits."""
    if verdict.report.failures:
        failure, *others = verdict.report.failures
        return plain(failure.message, _LONGEST_LINE) + (f" ({len(others)} more on stderr)" if others else "")
    number = len(verdict.findings)
    if verdict.state is State.OK and number > 1:
        return f"all {number} limits hold"
    first = next(finding for finding in verdict.findings if finding.state is verdict.state)
    text = f"{_subject(first.threshold)} {_value(first)}"
    alarming = {State.WARNING: first.threshold.warn, State.CRITICAL: first.threshold.crit}.get(first.state)
    if alarming is not None:
        text += f", {'warn' if first.state is State.WARNING else 'crit'} {alarming.text}"
    if first.reason is not None:
        text += f": {plain(first.reason, _LONGEST_REASON)}"
    return text if number == 1 else f"{text} ({number} limits: {_counted(verdict.findings)})"


def _counted(findings: Iterable[Finding]) -> str:
    counts = Counter(finding.state for finding in findings)
    order = (State.CRITICAL, State.UNKNOWN, State.WARNING, State.OK)
    return ", ".join(f"{counts[state]} {state.name}" for state in order if counts[state])


def _subject(limit: Threshold) -> str:
    where = "in total" if limit.account is None else f"at {plain(limit.account, _LONGEST_NAME)}"
    return f"{plain(limit.asset, _LONGEST_NAME)} {limit.field} {where}"


def _value(finding: Finding) -> str:
    return "is unknown" if finding.value is None else f"is {finding.value}"


def _detail(finding: Finding) -> Line:
    """One limit: its state, subject, value, ranges, and the reason if it is unknown."""
    limit = finding.threshold
    ranges = [f"{name} {held.text}" for name, held in (("warn", limit.warn), ("crit", limit.crit)) if held]
    text = f": {_subject(limit)} {_value(finding)}; {', '.join(ranges)}"
    if finding.reason is not None:
        text += f"; {plain(finding.reason, _LONGEST_LINE)}"
    return Line().add(finding.state.name, _STYLES[finding.state]).add(text)


def _performance(findings: Iterable[Finding]) -> Iterator[str]:
    """`'label'=value;warn;crit` for each limit, with unique labels. U means unknown in the plugin guidelines."""
    taken: set[str] = set()
    for finding in findings:
        limit = finding.threshold
        words = (*([] if limit.account is None else [limit.account]), limit.asset, limit.field)
        label = name = printable(" ".join(words)).translate(_NO_LABEL)
        number = 1
        while label in taken:
            number += 1
            label = f"{name} {number}"
        taken.add(label)
        value = "U" if finding.value is None else str(finding.value)
        ranges = [held.text if held else "" for held in (limit.warn, limit.crit)]
        yield f"'{label}'={';'.join([value, *ranges]).rstrip(';')}"
