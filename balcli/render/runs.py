"""The list of recorded runs: a table for people, and json, jsonl and csv."""

from collections.abc import Sequence
from typing import Any, Final

from balcli.history.reading import RunSummary
from balcli.render.csv import text, to_csv
from balcli.render.json import SCHEMA_VERSION, format_time, to_json, to_jsonl
from balcli.render.layout import hanging_indent, local_time, pad
from balcli.text import LONGEST_NAME, printable, width

_TIME: Final = len("2026-11-21T00:57:00+00:00")
_NARROWEST: Final = 20
"""Columns for the result beside the rest of its line; where fewer are left, it stands below."""


def table(runs: Sequence[RunSummary], columns: int | None) -> str:
    """A line for each run, oldest first. `columns` is the terminal's width; None means any width will do."""
    profiles = ["-" if run.profile is None else printable(run.profile, LONGEST_NAME) for run in runs]
    number = max([len("ID"), *(len(str(run.id)) for run in runs)])
    name = max([len("PROFILE"), *(width(profile) for profile in profiles)])
    heading = f"{'ID':>{number}}  {'TIME':<{_TIME}}  {'PROFILE':<{name}}  "
    beside = columns is None or columns - len(heading) >= _NARROWEST
    rows = [f"{heading}RESULT" if beside else heading.rstrip()]
    for run, profile in zip(runs, profiles, strict=True):
        start = f"{run.id:>{number}}  {local_time(run.at)}  {pad(profile, name)}  "
        rows += (
            hanging_indent(start, _result(run), columns)
            if beside
            else [start.rstrip(), *hanging_indent(" " * (number + 2), _result(run), columns)]
        )
    return "".join(f"{row}\n" for row in rows)


def _result(run: RunSummary) -> str:
    silent = [printable(name, LONGEST_NAME) for name, status in run.accounts if status != "ok"]
    if silent:
        return f"INCOMPLETE: without {', '.join(silent)}"
    accounts = "1 account" if len(run.accounts) == 1 else f"{len(run.accounts)} accounts"
    return f"complete: {accounts} answered"


def as_json(runs: Sequence[RunSummary]) -> str:
    """One document, a run a line."""
    return to_json({"schema_version": SCHEMA_VERSION, "runs": [*map(_plain, runs)]})


def as_jsonl(runs: Sequence[RunSummary]) -> str:
    """A run a line, and a summary last."""
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
