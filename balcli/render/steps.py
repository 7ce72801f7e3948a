"""The steps of the doctor, as lines for people or as a document."""

from collections import Counter
from collections.abc import Iterator
from itertools import groupby
from typing import Final

from balcli.diagnosis import Diagnosis, Step
from balcli.render.display import View
from balcli.render.json import SCHEMA_VERSION, format_time, run_error, to_json
from balcli.render.layout import Line, Style, hanging, pad, paragraph, to_text
from balcli.text import LONGEST_NAME, numbered, printable

_STATUS_WIDTH: Final = len("warning")
_STYLES: Final[dict[str, Style]] = {"ok": "", "warning": "open", "failed": "bad", "skipped": "faint"}


def render(diagnosis: Diagnosis, view: View | None, *, colour: bool, offline: bool = False) -> str:
    """The steps as lines of text, by account, for a terminal or a pipe (None).

    On a terminal without -v, successful steps are summarized on one line.
    """
    if view is None or view.verbose:
        lines = _lines(diagnosis, view and view.columns)
    else:
        lines = _brief(diagnosis, view)
    return to_text([*lines, *_verdict(diagnosis, offline=offline)], colour=colour)


def render_json(diagnosis: Diagnosis) -> str:
    """The diagnosis as one JSON document, in ASCII. `errors` has the failures that set the exit code."""
    report = diagnosis.report
    of_accounts = [
        {"code": outcome.failure.code, "message": f"{outcome.account.name}: {outcome.failure.message}"}
        for outcome in report.outcomes
        if outcome.failure is not None
    ]
    document = {
        "schema_version": SCHEMA_VERSION,
        "generated_at": format_time(report.generated_at),
        "profile": report.profile,
        "ok": diagnosis.exit_code == 0,
        "steps": [step._asdict() for step in diagnosis.steps],
        "errors": [*map(run_error, report.failures), *of_accounts],
    }
    return to_json(document)


def _lines(diagnosis: Diagnosis, columns: int | None) -> Iterator[Line]:
    steps = [step for step in diagnosis.steps if step.status != "skipped"]
    wide = max((len(step.step) for step in steps), default=0)
    for account, of_account in groupby(diagnosis.steps, lambda step: step.account):
        if account is not None:
            yield Line()
            yield Line().add(printable(account, LONGEST_NAME), "name")
        # Steps that were skipped for the same reason share a line.
        for _, alike in groupby(of_account, lambda s: s.message if s.status == "skipped" else id(s)):
            found = list(alike)
            name = ", ".join(step.step for step in found)
            yield from _row(found[0], name, 0 if found[0].status == "skipped" else wide, columns)


def _brief(diagnosis: Diagnosis, view: View) -> Iterator[Line]:
    """A line for the run and for each account, with failed steps and warnings below it."""
    for account, of_account in groupby(diagnosis.steps, lambda step: step.account):
        steps = [*of_account]
        counts = Counter(step.status for step in steps)
        bad = [step for step in steps if step.status in {"failed", "warning"}]
        style: Style = "bad" if counts["failed"] else "open" if bad else "good"
        sign = view.sign("✗") if counts["failed"] else "!" if bad else view.sign("✓")
        summary = [f"{len(steps) - counts['skipped']} checks"]
        summary += [
            numbered(counts[status], status) if status == "warning" else f"{counts[status]} {status}"
            for status in ("failed", "warning", "skipped")
            if counts[status]
        ]
        summary += [
            step.message.rpartition(" in ")[2]
            for step in steps
            if (step.step, step.status) == ("latency", "ok")
        ]
        name = "setup" if account is None else printable(account, LONGEST_NAME)
        yield Line().add(f"{sign} ", style).add(name, "name").add(f"  {', '.join(summary)}", "faint")
        wide = max((len(step.step) for step in bad), default=0)
        for step in bad:
            yield from _row(step, step.step, wide, view.columns)


def _verdict(diagnosis: Diagnosis, *, offline: bool) -> Iterator[Line]:
    code = diagnosis.exit_code
    verdict = "a run would be complete" if code == 0 else f"a run would end with exit code {code}"
    if code == 0 and offline:
        verdict = "no problems found offline; network and credentials were not tested"
    yield Line()
    yield Line().add(verdict, "bad" if code else "head" if offline else "good")


def _row(step: Step, name: str, wide: int, columns: int | None) -> Iterator[Line]:
    style = _STYLES[step.status]
    text = printable(step.message)
    text = f"{name}: {text}" if not wide else f"{pad(name, wide)}  {text}"
    line = Line().add("  ").add(pad(step.status, _STATUS_WIDTH), style).add("  ")
    yield from hanging(line, text, columns)
    if step.cure is not None:
        yield from paragraph(f"→ {printable(step.cure)}", " " * (_STATUS_WIDTH + 4), columns, style)
