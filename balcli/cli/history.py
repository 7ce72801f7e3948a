"""`balcli history`: list recorded runs, show one again, show amounts over time, and delete old runs."""

import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple, TypeAlias

import typer

from balcli.cli import completion, options, times
from balcli.cli.app import Command, CommandGroup, CommandLine
from balcli.cli.options import (
    SHOWN,
    Format,
    OtherFormat,
    format_option,
    output_option,
    recording_option,
    shown_option,
)
from balcli.cli.output import (
    Outputs,
    can_encode,
    is_interactive,
    print_error,
    print_message,
    terminal_columns,
    waiting_for,
    wants_colour,
    write_stdout,
)
from balcli.cli.recorded import LAST, Recorded, find_run, open_recorded
from balcli.errors import BalcliError, UsageError
from balcli.files import shown
from balcli.render.layout import local_iso
from balcli.text import did_you_mean, numbered, printable

if TYPE_CHECKING:
    from balcli.history.pruning import Pruned
    from balcli.history.reading import RecordedRun
    from balcli.models import Report

Render: TypeAlias = Callable[[str, Path | None], str | Iterable[str]]
"""A function that returns the text of a format, for a file or stdout."""


class HistoryFormat(OtherFormat):
    """The formats of `-o`."""

    table = "table"
    json = "json"
    jsonl = "jsonl"
    csv = "csv"


class HistoryRequest(NamedTuple):
    """The options of `balcli history`."""

    recorded: Recorded
    assets: tuple[str, ...]
    accounts: tuple[str, ...]
    since: datetime | None
    until: datetime | None
    limit: int | None
    output: HistoryFormat

    @property
    def file(self) -> Path:
        """The history file."""
        return self.recorded.file

    @property
    def profile(self) -> str | None:
        """The named profile."""
        return self.recorded.profile


_SandboxRuns = Annotated[bool, recording_option("--sandbox", help="Use the history of --sandbox runs.")]

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.callback(cls=CommandGroup, invoke_without_command=True)
def history_of_runs(
    context: typer.Context,
    asset: Annotated[
        list[str] | None,
        shown_option(
            "--asset", metavar="SYMBOL", help="Show assets over time (comma-separated or repeated)."
        ),
    ] = None,
    exact: options.Exact = False,
    account: Annotated[
        list[str] | None,
        shown_option(
            "--account",
            metavar="NAME",
            help="Show this account over time (repeatable).",
            autocompletion=completion.accounts,
        ),
    ] = None,
    since: Annotated[
        str | None,
        shown_option(
            "--since",
            metavar="WHEN",
            help="Show runs since this time: 24h, 7d or 2w ago, a date or an ISO time.",
        ),
    ] = None,
    until: Annotated[
        str | None,
        shown_option("--until", metavar="WHEN", help="Show runs until this time (a date: the whole day)."),
    ] = None,
    limit: Annotated[
        int | None,
        shown_option(
            "--limit", metavar="N", min=1, help="Show only the newest N runs, or lines of a series."
        ),
    ] = None,
    prune: Annotated[
        str | None,
        recording_option("--prune", metavar="WHEN", help="Delete runs older than this, for example 90d."),
    ] = None,
    dry_run: Annotated[
        bool, recording_option("--dry-run", help="With --prune: show what would be deleted.")
    ] = False,
    yes: Annotated[
        bool,
        recording_option(
            "--yes", help="With --prune: do not ask, and also delete a profile's newest complete run."
        ),
    ] = False,
    profile: options.ProfileName = None,
    history: options.HistoryFile = None,
    sandbox: _SandboxRuns = False,
    output: Annotated[HistoryFormat | None, format_option("table")] = None,
    output_file: options.OutputFiles = None,
    mode: options.Mode = None,
    wait: options.Wait = None,
    _no_color: options.NoColor = False,
    _color: options.Color = None,
) -> None:
    """List recorded runs, show one again, or show amounts over time.

    --record records a run. Without --profile, the runs of all profiles are shown.
    """
    if context.invoked_subcommand is not None:
        _refuse_options(context, context.invoked_subcommand)
        return
    from balcli.providers.selection import wanted

    request = HistoryRequest(
        recorded=open_recorded(history, profile, sandbox=sandbox),
        assets=wanted(asset, exact=exact),
        accounts=tuple(account or ()),
        since=None if since is None else times.parse_time(since, "--since"),
        until=None if until is None else times.parse_time(until, "--until", end=True),
        limit=limit,
        output=HistoryFormat.chosen(output),
    )
    for name, given in (("--wait", wait is not None), ("--dry-run", dry_run), ("--yes", yes)):
        if given and prune is None:
            raise UsageError(f"{name} works only with --prune; add --prune or remove the option")
    formats = HistoryFormat if prune is None else options.TableOrJson
    outputs = options.outputs(output_file, formats, explicit=output is not None, mode=mode)
    outputs.check()
    if prune is None:
        with waiting_for("reading the history"):
            render = _found(request, [name for name, _ in outputs.all(request.output)])
        _print_steps_back(request)
    else:
        before = times.parse_time(prune, "--prune")
        render = _prune(request, before, wait or 0, dry_run=dry_run, yes=yes)
    unwritten = outputs.write(request.output, render)
    raise typer.Exit(max(map(print_error, unwritten), default=0))


@app.command("show", cls=Command)
def show_run(
    context: typer.Context,
    run: Annotated[
        str,
        typer.Argument(
            metavar="[RUN]",
            help="A run: its id, `last`, a time, or a date for the last complete run of that day.",
            rich_help_panel=SHOWN,
            show_default=False,
        ),
    ] = LAST,
    asset: Annotated[
        list[str] | None, shown_option("--asset", metavar="SYMBOL", help="The asset of -o value.")
    ] = None,
    exact: options.Exact = False,
    field: options.ValueField = None,
    absent: options.ValueAbsent = None,
    output: Annotated[
        Format, output_option("--output", "-o", envvar="BALCLI_OUTPUT", metavar="FORMAT", help="The format.")
    ] = Format.table,
    output_file: options.OutputFiles = None,
    mode: options.Mode = None,
    profile: options.ProfileName = None,
    history: options.HistoryFile = None,
    sandbox: _SandboxRuns = False,
    quiet: options.Quiet = False,
    _no_color: options.NoColor = False,
    _color: options.Color = None,
) -> None:
    """Show a recorded run again, in any format.

    The default is the last run. The exit code is that of the run.
    """
    from balcli.cli.balances import Display, write_report
    from balcli.providers.selection import wanted
    from balcli.report import failed
    from balcli.run import RunResult

    display = Display(output, Outputs(), quiet)
    try:
        explicit = options.is_explicit(context, "output")
        outputs = options.outputs(output_file, Format, explicit=explicit, mode=mode)
        display = display._replace(outputs=outputs.without_files())
        outputs.check()
        display = display._replace(outputs=outputs)
        assets = wanted(asset, exact=exact)
        if assets and Format.value not in display.formats:
            raise UsageError("--asset works only with -o value; add -o value or remove the option")
        display = display._replace(value=options.value_request(display.formats, assets, field, absent))
        recorded = open_recorded(history, profile, sandbox=sandbox)
        with waiting_for("reading the history"):
            found = find_run(recorded, run)
        if assets and not found.selection.covers(assets):
            raise UsageError(
                f"run {found.id} does not include {assets[0]}; choose another run from {recorded.command}"
            )
        report = _past_report(found)
        about = f"run {found.id}, {_age(found.report.generated_at)} old"
        display = display._replace(addresses="addresses" in found.selection.flags, about=about)
    except BalcliError as problem:
        report = failed(profile, problem)
    raise typer.Exit(write_report(RunResult(report, report), display))


def _past_report(run: "RecordedRun") -> "Report":
    """The report of a recorded run, with a notice of its age."""
    from balcli.models import Notice
    from balcli.render.json import format_time

    message = f"this is run {run.id}, recorded at {format_time(run.report.generated_at)}; it is not the current balance"
    narrowed = run.selection.narrowed_to
    message += f"; it includes only {narrowed}" if narrowed else ""
    notice = Notice("history.past_run", None, message)
    return run.report._replace(notices=(*run.report.notices, notice))


def _age(at: datetime) -> str:
    """The age of a time, in its largest whole unit."""
    seconds = max(0, int(datetime.now(UTC).timestamp() - at.timestamp()))
    units = {"day": 86400, "hour": 3600, "minute": 60, "second": 1}
    name, length = next(each for each in units.items() if seconds >= each[1] or each[1] == 1)
    return numbered(seconds // length, name)


def _refuse_options(context: typer.Context, command: str) -> None:
    """Raise UsageError for an option before a subcommand, which would ignore it."""
    for parameter in context.command.params:
        if options.is_explicit(context, parameter.name or ""):
            option = max(parameter.opts, key=len)
            raise UsageError(
                f"{option} is before {command}; write it after: balcli history {command} {option}"
            )


def write_failure(error: BalcliError, line: CommandLine) -> None:
    """Write the document of a list, series, pruning or run that failed before it started."""
    if line.names[1:]:
        from balcli.cli import balances

        balances.write_failure(error, line)
        return
    if line.output != HistoryFormat.json:
        return
    from balcli.render.json import SCHEMA_VERSION, to_json

    keys = ["series"] if line.options & {"asset", "account"} else ["runs"]
    keys = ["before", "pruned", "left"] if "prune" in line.options else keys
    problems = [{"code": error.code, "message": error.message}]
    write_stdout(to_json({"schema_version": SCHEMA_VERSION, **dict.fromkeys(keys), "errors": problems}))


def _found(request: HistoryRequest, formats: list[str]) -> Render:
    """Read the runs, or the series of the named assets or accounts, for these formats."""
    if not (request.assets or request.accounts):
        return _found_runs(request, formats)
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
            until=request.until,
        )
    if found or formats != [HistoryFormat.table]:
        _print_mistyped(request, {each.account for each in found})
    if request.limit is not None:
        found = tuple(each._replace(intervals=each.intervals[-request.limit :]) for each in found)

    def rendered(output: str, file: Path | None) -> str | Iterable[str]:
        if output != HistoryFormat.table:
            return {"json": render.as_json, "jsonl": render.as_jsonl, "csv": render.as_csv}[output](found)
        if not found:
            return _nothing_found(request)
        bars = render.BARS if file is not None or can_encode(render.BARS) else render.PLAIN_BARS
        return render.table(found, terminal_columns(file), bars, colour=_colour(file))

    return rendered


def _found_runs(request: HistoryRequest, formats: list[str]) -> Render:
    from balcli.history.reading import RunSummary, runs
    from balcli.render import runs as render

    found: tuple[RunSummary, ...] = ()
    if request.file.exists():
        found = runs(
            request.file, request.profile, since=request.since, until=request.until, limit=request.limit
        )
    if not found and formats != [HistoryFormat.table]:
        _print_mistyped(request, set())

    def rendered(output: str, file: Path | None) -> str:
        if output != HistoryFormat.table:
            return {"json": render.as_json, "jsonl": render.as_jsonl, "csv": render.as_csv}[output](found)
        if not found:
            return _nothing_found(request)
        return render.table(found, terminal_columns(file), colour=_colour(file))

    return rendered


def _colour(output_file: Path | None) -> bool:
    """Whether to color the list or series: only on a terminal."""
    return terminal_columns(output_file) is not None and wants_colour(output_file)


def _print_steps_back(request: HistoryRequest) -> None:
    """Print a note if the clock stepped back between two runs of a profile."""
    from balcli.history.reading import steps_back

    found = steps_back(request.file, request.profile) if request.file.exists() else ()
    if found:
        number, before, at = found[-1]
        more = f" (and {len(found) - 1} times before)" if len(found) > 1 else ""
        print_message(
            f"note: the clock stepped back from {local_iso(before)} to {local_iso(at)} before run {number}"
            f"{more}; runs are listed in the order they were recorded"
        )


def _nothing_found(request: HistoryRequest) -> str:
    """The message if there is nothing to show."""
    narrowed = any((request.profile, request.assets, request.accounts, request.since, request.until))
    if narrowed and request.file.exists():
        mistyped = _mistyped(request)
        if mistyped is not None:
            return f"no recorded run in {shown(request.file)} has {mistyped}\n"
        return (
            f"no recorded run in {shown(request.file)} matches; {request.recorded.command} lists the runs\n"
        )
    options_of_file = request.recorded.command.removeprefix("balcli history")
    return f"no run is recorded in {shown(request.file)}; balcli all --record{options_of_file} records one\n"


def _print_mistyped(request: HistoryRequest, found: set[str | None]) -> None:
    """Print a note about a named profile or account that no recorded run has."""
    missed = not found.issuperset(request.accounts) or (request.profile is not None and not found)
    mistyped = _mistyped(request) if missed and request.file.exists() else None
    if mistyped is not None:
        print_message(f"note: no recorded run in {shown(request.file)} has {mistyped}")


def _mistyped(request: HistoryRequest) -> str | None:
    """The named profile or account that no recorded run has, with a suggestion."""
    from balcli.history.reading import runs

    found = runs(request.file)
    profiles = {run.profile for run in found if run.profile is not None}
    if request.profile is not None and request.profile not in profiles:
        return f"profile {printable(request.profile, 40)}; {did_you_mean(request.profile, sorted(profiles))}"
    accounts = dict.fromkeys(name for run in found for name, _ in run.accounts)
    other = next((name for name in request.accounts if name not in accounts), None)
    return None if other is None else f"account {printable(other, 40)}; {did_you_mean(other, accounts)}"


def _prune(request: HistoryRequest, before: datetime, wait: float, *, dry_run: bool, yes: bool) -> Render:
    """Delete older runs, under the lock of each profile, and return the result."""
    if request.output not in {HistoryFormat.table, HistoryFormat.json}:
        raise UsageError(f"--prune prints a table or JSON, not {request.output}; remove -o")
    if request.assets or request.accounts or request.since or request.until or request.limit:
        raise UsageError(
            "--prune deletes whole runs; remove --asset, --account, --since, --until and --limit"
        )
    from balcli import state
    from balcli.history.pruning import Pruned, prune
    from balcli.history.reading import profiles

    done, there = Pruned(0, 0), 0
    if request.file.exists():
        counts = _of_profile(request, profiles(request.file))
        names = [*_of_profile(request, profiles(request.file, before))]
        there = sum(counts.values())
        with ExitStack() as held:
            asks = not (yes or dry_run) and is_interactive()
            with waiting_for("removing old runs"):
                for name in () if dry_run else names:
                    held.enter_context(state.lock(name, os.environ, wait=wait))
                done = prune(request.file, names, before, keep_newest=not yes, dry_run=dry_run or asks)
            if asks and done.runs:
                question = f"{_summary(done, before, there, 'would be deleted')}. Delete them?"
                done = Pruned(0, 0)
                if typer.confirm(question, err=True):
                    with waiting_for("removing old runs"):
                        done = prune(request.file, names, before)

    def rendered(output: str, _file: Path | None) -> str:
        if output == HistoryFormat.json:
            from balcli.render.json import SCHEMA_VERSION, format_time, to_json

            told = {
                "before": format_time(before),
                "pruned": done.runs,
                "left": there - done.runs,
                "bytes": done.bytes,
            }
            return to_json({"schema_version": SCHEMA_VERSION, **told, "dry_run": dry_run})
        return f"{_summary(done, before, there, 'would be deleted' if dry_run else 'deleted')}\n"

    return rendered


def _of_profile(request: HistoryRequest, counts: Mapping[str | None, int]) -> dict[str | None, int]:
    """The counts of the named profile, or of all profiles."""
    return {name: count for name, count in counts.items() if request.profile in {None, name}}


def _summary(done: "Pruned", before: datetime, there: int, verb: str) -> str:
    """The result of a pruning, as a sentence. `there` is the number of runs before it."""
    runs = "1 run" if done.runs == 1 else f"{done.runs:,} runs"
    return f"{runs} before {local_iso(before)} {verb} ({done.bytes:,} bytes); {there - done.runs:,} left"
