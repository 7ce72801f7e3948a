"""The list of recorded runs: a table for people, and json, jsonl and csv."""

from collections.abc import Sequence
from typing import Any, Final

from balcli.history.reading import RunSummary
from balcli.render.csv import text, to_csv
from balcli.render.json import SCHEMA_VERSION, format_time, to_json, to_jsonl
from balcli.render.layout import Line, Style, hanging, local_iso, pad, to_text
from balcli.render.words import joined, local_time
from balcli.text import LONGEST_NAME, numbered, printable, width

_NARROWEST: Final = 20
"""The minimum columns for the result. If there are fewer, it is on the next line."""


def table(runs: Sequence[RunSummary], columns: int | None, *, colour: bool = False) -> str:
    """A line for each run, oldest first, in local time. `columns` is the width of a terminal; None is for a pipe."""
    time = local_iso if columns is None else local_time
    times = [time(run.at) for run in runs]
    profiles = ["-" if run.profile is None else printable(run.profile, LONGEST_NAME) for run in runs]
    number = max([len("ID"), *(len(str(run.id)) for run in runs)])
    at = max([len("TIME"), *map(len, times)])
    name = max([len("PROFILE"), *(width(profile) for profile in profiles)])
    heading = f"{'ID':>{number}}  {'TIME':<{at}}  {'PROFILE':<{name}}  "
    beside = columns is None or columns - len(heading) >= _NARROWEST
    lines = [Line().add(f"{heading}RESULT" if beside else heading, "head")]
    for run, when, profile in zip(runs, times, profiles, strict=True):
        start = f"{run.id:>{number}}  {when}  {pad(profile, name)}  "
        style: Style = "good" if all(status == "ok" for _, status in run.accounts) else "open"
        if not beside:
            lines.append(Line().add(start))
            start = " " * (number + 2)
        lines += hanging(Line().add(start), _result(run), columns, style)
    return to_text(lines, colour=colour)


def _result(run: RunSummary) -> str:
    silent = [name for name, status in run.accounts if status != "ok"]
    if silent:
        return f"INCOMPLETE: without {joined(silent)}"
    return f"complete: {numbered(len(run.accounts), 'account')} answered"


def as_json(runs: Sequence[RunSummary]) -> str:
    """One document, with one run per line."""
    return to_json({"schema_version": SCHEMA_VERSION, "runs": [*map(_plain, runs)]})


def as_jsonl(runs: Sequence[RunSummary]) -> str:
    """One run per line, with a summary at the end."""
    lines = [{"type": "run", **_plain(run)} for run in runs]
    lines.append({"type": "summary", "schema_version": SCHEMA_VERSION, "runs": len(runs)})
    return "".join(to_jsonl(lines))


def as_csv(runs: Sequence[RunSummary]) -> str:
    """A row for each account of each run."""
    rows: list[Sequence[object]] = [("id", "at", "profile", "complete", "account", "status")]
    for run in runs:
        facts = (run.id, format_time(run.at), text(run.profile), "true" if run.complete else "false")
        rows += [(*facts, text(name), status) for name, status in run.accounts or (("", ""),)]
    return "".join(to_csv(rows))


def _plain(run: RunSummary) -> dict[str, Any]:
    return {
        "id": run.id,
        "at": format_time(run.at),
        "profile": run.profile,
        "complete": run.complete,
        "accounts": [{"account": name, "status": status} for name, status in run.accounts],
    }
