"""`balcli history`: lists recorded runs, shows how amounts went, and lets old runs go."""

import os
import sys
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from balcli.cli import completion, options, times
from balcli.cli.app import Command, CommandLine
from balcli.cli.options import OtherFormat, format_option, recording_option, shown_option
from balcli.cli.output import (
    check_destination,
    print_error,
    print_message,
    terminal_columns,
    write_output,
    write_stdout,
)
from balcli.errors import BalcliError, UsageError
from balcli.files import shown
from balcli.text import did_you_mean, printable


class HistoryFormat(OtherFormat):
    """What `-o` takes here."""

    table = "table"
    json = "json"
    jsonl = "jsonl"
    csv = "csv"


class HistoryRequest(NamedTuple):
    """What a command line asks of the history."""

    file: Path
    named: bool
    profile: str | None
    assets: tuple[str, ...]
    accounts: tuple[str, ...]
    since: datetime | None
    limit: int | None
    output: HistoryFormat


app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command("history", cls=Command)
def show_history(
    asset: Annotated[
        list[str] | None,
        shown_option(
            "--asset", metavar="SYMBOL", help="How these assets went; repeat, or give a comma list."
        ),
    ] = None,
    exact: options.Exact = False,
    account: Annotated[
        list[str] | None,
        shown_option(
            "--account",
            metavar="NAME",
            help="How amounts went at this account; repeat for several.",
            autocompletion=completion.accounts,
        ),
    ] = None,
    since: Annotated[
        str | None,
        shown_option("--since", metavar="WHEN", help="From then on: 24h, 7d, 2w, a date, an ISO time (UTC)."),
    ] = None,
    limit: Annotated[
        int | None,
        shown_option(
            "--limit", metavar="N", min=1, help="Only the newest so many runs, or lines of a series."
        ),
    ] = None,
    prune: Annotated[
        str | None,
        recording_option("--prune", metavar="WHEN", help="Remove the runs from before then, such as 90d."),
    ] = None,
    profile: options.ProfileName = None,
    history: options.HistoryFile = None,
    output: Annotated[HistoryFormat | None, format_option("table")] = None,
    output_file: options.OutputFile = None,
    wait: options.Wait = None,
) -> None:
    """List the recorded runs, or show how amounts went from run to run.

    Runs are recorded by --record. Without --profile, those of all profiles are shown.
    """
    from balcli.history.database import history_file
    from balcli.providers.selection import wanted

    request = HistoryRequest(
        file=history_file(history, os.environ),
        named=history is not None,
        profile=profile,
        assets=wanted(asset, exact=exact),
        accounts=tuple(account or ()),
        since=None if since is None else times.parse_time(since, "--since"),
        limit=limit,
        output=HistoryFormat.chosen(output),
    )
    if prune is None and wait is not None:
        raise UsageError("--wait is for --prune alone; add --prune, or leave it out")
    check_destination(output_file)
    if prune is None:
        text = _rendered(request, output_file)
        _print_steps_back(request)
    else:
        text = _prune(request, times.parse_time(prune, "--prune"), wait or 0)
    unwritten = write_output(text, output_file)
    raise typer.Exit(0 if unwritten is None else print_error(unwritten))


def write_failure(error: BalcliError, line: CommandLine) -> None:
    """Write the document of the list, the series or the pruning that a command line asks for and that failed."""
    if line.output != HistoryFormat.json:
        return
    from balcli.render.json import SCHEMA_VERSION, to_json

    keys = ["series"] if line.options & {"asset", "account"} else ["runs"]
    keys = ["before", "pruned", "left"] if "prune" in line.options else keys
    problems = [{"code": error.code, "message": error.message}]
    write_stdout(to_json({"schema_version": SCHEMA_VERSION, **dict.fromkeys(keys), "errors": problems}))


def _rendered(request: HistoryRequest, output_file: Path | None) -> str:
    """The runs, or the series where an asset or an account is named, in the format that is asked for."""
    if not (request.assets or request.accounts):
        return _rendered_runs(request, output_file)
    from balcli.history.series import Series, series
    from balcli.render import series as render

    found: tuple[Series, ...] = ()
    if request.file.exists():
        found = series(
            request.file,
            profile=request.profile,
            assets=request.assets,
            accounts=request.accounts,
            since=request.since,
        )
    if found or request.output is not HistoryFormat.table:
        _print_mistyped(request, {each.account for each in found})
    if request.limit is not None:
        found = tuple(each._replace(intervals=each.intervals[-request.limit :]) for each in found)
    if request.output is not HistoryFormat.table:
        return {
            HistoryFormat.json: render.as_json, HistoryFormat.jsonl: render.as_jsonl, HistoryFormat.csv: render.as_csv,
        }[request.output](found)  # fmt: skip
    if not found:
        return _nothing_found(request)
    bars = render.BARS if output_file is not None or _can_encode(render.BARS) else render.PLAIN_BARS
    return render.table(found, terminal_columns(output_file), bars)


def _rendered_runs(request: HistoryRequest, output_file: Path | None) -> str:
    from balcli.history.reading import RunSummary, runs
    from balcli.render import runs as render

    found: tuple[RunSummary, ...] = ()
    if request.file.exists():
        found = runs(request.file, request.profile, since=request.since, limit=request.limit)
    if request.output is HistoryFormat.table:
        return render.table(found, terminal_columns(output_file)) if found else _nothing_found(request)
    if not found:
        _print_mistyped(request, set())
    return {
        HistoryFormat.json: render.as_json, HistoryFormat.jsonl: render.as_jsonl, HistoryFormat.csv: render.as_csv,
    }[request.output](found)  # fmt: skip


def _print_steps_back(request: HistoryRequest) -> None:
    """A note where the clock stepped back between two runs of one profile."""
    from balcli.history.reading import steps_back

    found = steps_back(request.file, request.profile) if request.file.exists() else ()
    if found:
        number, before, at = found[-1]
        more = f" (and {len(found) - 1} times before)" if len(found) > 1 else ""
        print_message(
            f"note: the clock stepped back from {before:%Y-%m-%d %H:%M:%S} to {at:%Y-%m-%d %H:%M:%S} UTC before run {number}"
            f"{more}; runs are in the order in which they were recorded"
        )


def _nothing_found(request: HistoryRequest) -> str:
    """That there is nothing to show, in words."""
    narrowed = any((request.profile, request.assets, request.accounts, request.since))
    if narrowed and request.file.exists():
        mistyped = _mistyped(request)
        if mistyped is not None:
            return f"no recorded run in {shown(request.file)} is of {mistyped}\n"
        return f"no recorded run in {shown(request.file)} fits what was asked for; balcli history lists those that there are\n"
    option = f" --history {shown(request.file)}" if request.named else ""
    return f"no run is recorded in {shown(request.file)}; balcli all --record{option} records one\n"


def _print_mistyped(request: HistoryRequest, found: set[str | None]) -> None:
    """Say on stderr which name no recorded run has, where something is named that was not found."""
    missed = not found.issuperset(request.accounts) or (request.profile is not None and not found)
    mistyped = _mistyped(request) if missed and request.file.exists() else None
    if mistyped is not None:
        print_message(f"note: no recorded run in {shown(request.file)} is of {mistyped}")


def _mistyped(request: HistoryRequest) -> str | None:
    """The profile or account that is named and that no recorded run has, with what to name instead."""
    from balcli.history.reading import runs

    found = runs(request.file)
    profiles = {run.profile for run in found if run.profile is not None}
    if request.profile is not None and request.profile not in profiles:
        return f"profile {printable(request.profile, 40)}; {did_you_mean(request.profile, sorted(profiles))}"
    accounts = dict.fromkeys(name for run in found for name, _ in run.accounts)
    other = next((name for name in request.accounts if name not in accounts), None)
    return None if other is None else f"account {printable(other, 40)}; {did_you_mean(other, accounts)}"


def _can_encode(text: str) -> bool:
    """Whether stdout can carry a text as it is."""
    try:
        text.encode(getattr(sys.__stdout__, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _prune(request: HistoryRequest, before: datetime, wait: float) -> str:
    """Remove what is older, each profile's under its lock, and say what that came to."""
    if request.output not in {HistoryFormat.table, HistoryFormat.json}:
        raise UsageError(
            f"--prune says what it did as a table or json, not as {request.output}; leave -o out"
        )
    if request.assets or request.accounts or request.since or request.limit:
        raise UsageError("--prune removes whole runs; leave out --asset, --account, --since and --limit")
    from balcli import state
    from balcli.history.pruning import prune
    from balcli.history.reading import runs

    gone = left = 0
    if request.file.exists():
        profiles = dict.fromkeys(run.profile for run in runs(request.file, request.profile, until=before))
        with ExitStack() as held:
            for name in profiles:
                held.enter_context(state.lock(name, os.environ, wait=wait))
            gone = prune(request.file, tuple(profiles), before)
        left = len(runs(request.file, request.profile))
    if request.output is HistoryFormat.json:
        from balcli.render.json import SCHEMA_VERSION, format_time, to_json

        told = {"schema_version": SCHEMA_VERSION, "before": format_time(before), "pruned": gone, "left": left}
        return to_json(told)
    size = f", and the history takes {request.file.stat().st_size:,} bytes" if gone else ""
    return f"{gone} run{'' if gone == 1 else 's'} from before {before:%Y-%m-%dT%H:%M:%SZ} removed; {left} left{size}\n"
