"""`balcli diff`: what is different between two recorded runs, or between one and now."""

import os
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, NamedTuple, NoReturn

import typer

from balcli.cli import completion, options, times
from balcli.cli.app import Command, CommandLine
from balcli.cli.options import SHOWN, shown_option
from balcli.cli.output import (
    check_destination,
    print_error,
    print_message,
    progress,
    terminal_columns,
    wants_colour,
    write_output,
    write_stdout,
)
from balcli.cli.profiles import open_profile
from balcli.errors import BalcliError, StateError, UsageError
from balcli.text import did_you_mean, printable

if TYPE_CHECKING:
    from balcli.config.profile import Profile
    from balcli.diff import DiffFilter
    from balcli.history.reading import RecordedRun, RunSummary
    from balcli.models import Report
    from balcli.render.diff import Comparison, Side
    from balcli.run import RunRequest

SAME: Final = 0
DIFFERENT: Final = 1
TROUBLE: Final = 2
"""The exit code of everything that keeps a comparison from an answer."""

_LAST: Final = "last"


class _History(NamedTuple):
    """The recorded runs that can be compared."""

    file: Path
    profile: str | None
    """The profile that is named; None for the one that there is."""
    allow_partial: bool


app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command(cls=Command)
def diff(
    before: Annotated[
        str | None,
        typer.Argument(
            metavar="[FROM]",
            help="A run: its id, a time, so long ago (24h), or `last`.",
            rich_help_panel=SHOWN,
        ),
    ] = None,
    after: Annotated[
        str | None,
        typer.Argument(metavar="[TO]", help="The other run; the last one by default.", rich_help_panel=SHOWN),
    ] = None,
    output: options.TableOrJsonOption = None,
    output_file: options.OutputFile = None,
    history: options.HistoryFile = None,
    live: Annotated[bool, shown_option("--live", help="Compare with now: ask the accounts again.")] = False,
    asset: options.OnlyAssets = None,
    exact: options.Exact = False,
    account: Annotated[
        list[str] | None,
        shown_option(
            "--account",
            metavar="NAME",
            help="Only these accounts; repeat for several.",
            autocompletion=completion.accounts,
        ),
    ] = None,
    threshold: Annotated[
        str | None,
        shown_option("--threshold", metavar="AMOUNT", help="Leave out what moved by no more than this."),
    ] = None,
    allow_partial: Annotated[
        bool, shown_option("--allow-partial", help="Compare runs in which accounts failed, too.")
    ] = False,
    retries: options.Retries = None,
    jobs: options.Jobs = None,
    no_cache: options.NoCache = False,
    config: options.ConfigFile = None,
    profile: options.ProfileName = None,
    env_file: options.EnvFile = None,
    timeout: options.Timeout = None,
    deadline: options.DeadlineSeconds = None,
    sandbox: options.UseSandbox = False,
    fault: options.Faults = None,
    quiet: options.Quiet = False,
    no_color: options.NoColor = False,
) -> None:
    """Compare two recorded runs, or one with what there is now.

    The last two complete ones by default. Nothing is printed where nothing changed. Exit codes: 0 same, 1 different, 2 trouble.
    """
    from balcli.history.database import history_file
    from balcli.models import Failure
    from balcli.providers.selection import wanted
    from balcli.render import diff as render
    from balcli.run import RunRequest

    request = RunRequest(
        settings=options.given(timeout=timeout, deadline=deadline, retries=retries, jobs=jobs),
        sandbox=sandbox,
        cache=not no_cache,
    )
    as_json = options.TableOrJson.chosen(output) is options.TableOrJson.json
    try:
        check_destination(output_file)
        _validate_options(after, fault, live=live, sandbox=sandbox)
        recorded = _History(history_file(history, os.environ), profile, allow_partial)
        first, second = _chosen(recorded, before, after, live=live)
        narrowing = _narrowing(first, second, account, wanted(asset, exact=exact), threshold)
        if second is not None:
            report = second.report
        else:
            with open_profile(config, profile, env_file, sandbox=sandbox, faults=fault) as opened:
                report = _asked_now(opened, request, first, narrowing, quiet=quiet)
        if not (second or report.complete or allow_partial):
            _refuse_incomplete(report)
        comparison = _compared(first, second, report, narrowing, allow_partial=allow_partial, quiet=quiet)
    except BalcliError as problem:
        if as_json:
            write_stdout(render.failed(profile, problem))
        print_error(problem)
        raise typer.Exit(TROUBLE) from None
    colour = wants_colour(os.environ, no_color=no_color, file=output_file)
    trouble = None if comparison.changes else _incomparable_error(comparison)
    text = (
        render.render_json(comparison, None if trouble is None else Failure.from_error(trouble))
        if as_json
        else render.render(comparison, columns=terminal_columns(output_file), colour=colour)
    )
    unwritten = write_output(text, output_file) if text or output_file else None
    for each in (unwritten, trouble):
        if each is not None:
            print_error(each)
            raise typer.Exit(TROUBLE)
    raise typer.Exit(DIFFERENT if comparison.changes else SAME)


def write_failure(error: BalcliError, line: CommandLine) -> None:
    """Write the document of a comparison that could not begin."""
    if line.output == options.TableOrJson.json:
        from balcli.render.diff import failed

        write_stdout(failed(None, error))


def _incomparable_error(comparison: "Comparison") -> UsageError | None:
    """Why a comparison in which nothing is different does not say that all is the same; None where it does."""
    names = [printable(change.account, 40) for change in comparison.changes.incomparable]
    return UsageError(f"not compared: {', '.join(names)}; record a run in which it can be") if names else None


def _validate_options(after: str | None, faults: list[str] | None, *, live: bool, sandbox: bool) -> None:
    """Raise UsageError for options that cannot be meant together."""
    if live and after is not None:
        raise UsageError("--live compares with now; leave the second run out")
    options.validate_faults(faults, sandbox=sandbox)


def _compared(
    first: "RecordedRun",
    second: "RecordedRun | None",
    report: "Report",
    narrowing: "DiffFilter",
    *,
    allow_partial: bool,
    quiet: bool,
) -> "Comparison":
    """A run and what is different in another report, that of the second run or of now. Raises UsageError."""
    from balcli.diff import compare
    from balcli.render.diff import Comparison, Side

    profile, number = report.profile, None if second is None else second.id
    side = Side(number, report.generated_at, report.complete)
    if first.report.profile != profile:
        raise UsageError(
            f"run {first.id} is {_profile_text(first.report.profile)}, the other {_profile_text(profile)}; name two runs of one profile"
        )
    if second is not None:
        _refuse_unlike(first, second, narrowing)
    if not quiet:
        _print_unlisted(narrowing.assets, (first.report, report))
        _print_step_back(first, side)
    old = Side(first.id, first.report.generated_at, first.report.complete)
    changes = compare(first.report, report, narrowing)
    if changes.incomparable and not allow_partial:
        change = changes.incomparable[0]
        raise UsageError(
            f"{printable(change.account, 40)} cannot be compared: {change.reason}; add --allow-partial to compare the others"
        )
    return Comparison(profile, old, side, changes)


def _print_step_back(first: "RecordedRun", side: "Side") -> None:
    """A note where the clock stepped back from the run that was recorded first to the other."""
    at = first.report.generated_at
    if (side.id is None or first.id < side.id) and side.at < at:
        name = "now" if side.id is None else f"run {side.id}"
        print_message(
            f"note: the clock stepped back by {at - side.at} between run {first.id} and {name}; look at the order, not the times"
        )


def _profile_text(profile: str | None) -> str:
    return "without a profile" if profile is None else f"of profile {printable(profile, 40)}"


def _print_unlisted(assets: tuple[str, ...], reports: "tuple[Report, Report]") -> None:
    """A note for each asset that is named and that neither run lists: that nothing changed there says little."""
    from balcli.providers.selection import names_of, selects, suggestion

    there = {name: None for report in reports for balance in report.balances for name in names_of(balance)}
    for asset in assets:
        if not selects((asset,), *there):
            close = suggestion(asset, assets, there)
            print_message(f"note: {asset} is listed in neither run{close}; check --asset if it should be")


def _asked_now(
    profile: "Profile", request: "RunRequest", first: "RecordedRun", narrowing: "DiffFilter", *, quiet: bool
) -> "Report":
    """What the accounts of a recorded run answer now, asked for the same assets. Raises BalcliErrors."""
    from balcli.history.recording import with_url_digests
    from balcli.run import run

    if first.selection.flags:
        raise UsageError(
            f"run {first.id} was made with switches of its provider; compare it with a recorded run"
        )
    names = [outcome.account.name for outcome in first.report.outcomes]
    wanted = [name for name in names if not narrowing.accounts or name in narrowing.accounts]
    request = request._replace(accounts=wanted, assets=first.selection.asked)
    report = run(profile, request, progress=progress(quiet=quiet)).report
    return with_url_digests(report, sandbox=request.sandbox)


def _refuse_incomplete(report: "Report") -> NoReturn:
    """Raise UsageError for the first account that did not answer now."""
    outcome, failure = next((each, each.failure) for each in report.outcomes if each.failure is not None)
    raise UsageError(
        f"{outcome.account.name} did not answer now ({failure.message.partition(';')[0]}); "
        "add --allow-partial to compare the others"
    )


def _narrowing(
    first: "RecordedRun",
    second: "RecordedRun | None",
    account: list[str] | None,
    assets: tuple[str, ...],
    threshold: str | None,
) -> "DiffFilter":
    """What is compared: what the options name, of the accounts that both runs asked. Raises UsageError."""
    from balcli.diff import DiffFilter
    from balcli.money import parse

    try:
        least = parse("0" if threshold is None else threshold)
    except ValueError:
        least = parse("-1")
    if least < parse("0"):
        raise UsageError("--threshold: that is no amount of 0 or more; write it like 0.5")
    accounts = tuple(account or ())
    _refuse_unasked(accounts, first, second)
    for names in (run.selection.accounts for run in (first, second) if run is not None):
        if names:
            accounts = tuple(name for name in accounts or names if name in names)
            if not accounts:
                raise UsageError(
                    "the two runs asked no account in common; name two runs of the same accounts"
                )
    return DiffFilter(accounts, assets, least)


def _refuse_unasked(named: tuple[str, ...], first: "RecordedRun", second: "RecordedRun | None") -> None:
    """Raise UsageError for an account that is named and that a run did not ask: what it held then is not known."""
    runs = [run for run in (first, second) if run is not None]
    there = [outcome.account.name for run in runs for outcome in run.report.outcomes]
    for name in named:
        shown = printable(name, 40)
        if name not in there:
            where = f"run {first.id}" if second is None else f"run {first.id} or {second.id}"
            raise UsageError(
                f"--account: there is no account {shown} in {where}; {did_you_mean(name, there)}"
            )
        for run in runs:
            if run.selection.accounts and name not in run.selection.accounts:
                raise UsageError(
                    f"--account: run {run.id} did not ask {shown}; leave it out, or name two runs that did"
                )


def _chosen(
    history: _History, before: str | None, after: str | None, *, live: bool
) -> tuple["RecordedRun", "RecordedRun | None"]:
    """The two recorded runs that are meant; the second is None where it is now. Raises UsageError or StateError."""
    if live:
        return _found(history, _LAST if before is None else before), None
    if before is None:
        newest = _candidates(history, limit=2)
        if len(newest) < 2:
            which = "recorded runs" if history.allow_partial else "complete recorded runs"
            raise UsageError(
                f"there are too few {which} to compare, {len(newest)} of two; record more with balcli all --record"
            )
        return _whole(history, newest[0]), _whole(history, newest[1])
    first, second = _found(history, before), _found(history, _LAST if after is None else after)
    if first.id == second.id:
        raise UsageError(
            f"both are run {first.id} ({first.report.generated_at:%Y-%m-%d %H:%M:%S} UTC), no run since; "
            "record another with balcli all --record, or name two runs"
        )
    return first, second


def _found(history: _History, text: str) -> "RecordedRun":
    """The run that a word of the command line means."""
    from balcli.history.reading import run as read

    if text.isascii() and text.isdigit() and len(text) <= 15:
        found = read(history.file, int(text)) if history.file.exists() else None
        if found is None:
            raise UsageError(f"there is no recorded run {text}; balcli history lists those that there are")
        if not (found.report.complete or history.allow_partial):
            raise UsageError(
                f"run {text} is partial: what its failed accounts held is unknown; add --allow-partial to compare the others"
            )
        return found
    until = None if text == _LAST else times.parse_time(text, f"run {text}")
    runs = _candidates(history, limit=1, until=until)
    if not runs:
        which = "recorded run" if history.allow_partial else "complete recorded run"
        when = "" if until is None else f" from {until:%Y-%m-%d %H:%M:%S} UTC or before"
        raise UsageError(f"there is no {which}{when}; balcli history lists those that there are")
    return _whole(history, runs[0])


def _candidates(history: _History, *, limit: int, until: datetime | None = None) -> "tuple[RunSummary, ...]":
    """The newest runs that can be compared, of the one profile that there is or is named."""
    from balcli.history.reading import runs

    if not history.file.exists():
        return ()
    found = runs(history.file, history.profile, until=until, complete=not history.allow_partial, limit=limit)
    kinds = sorted({_profile_text(each.profile) for each in found})
    if len(kinds) > 1:
        raise UsageError(f"the last runs are {' and '.join(kinds)}; name one with --profile, or two runs")
    return found


def _whole(history: _History, recorded: "RunSummary") -> "RecordedRun":
    from balcli.history.reading import run as read

    found = read(history.file, recorded.id)
    if found is None:
        raise StateError(f"run {recorded.id} was removed meanwhile; try again")
    return found


def _refuse_unlike(before: "RecordedRun", after: "RecordedRun", narrowing: "DiffFilter") -> None:
    """Raise UsageError where one run was asked for less than the other: what it leaves out has not vanished."""
    one, other = before.selection, after.selection
    if one.flags != other.flags:
        raise UsageError(
            f"run {before.id} was made with other switches of its provider than the other; name two runs of one kind"
        )
    limited = [selection.asked for selection in (one, other) if selection.assets]
    if (one.assets, one.exact) != (other.assets, other.exact) and not all(
        _covers(assets, narrowing.assets) for assets in limited
    ):
        raise UsageError(
            f"run {before.id} and the other were not made for the same assets; name those to compare with --asset"
        )


def _covers(assets: tuple[str, ...], wanted: tuple[str, ...]) -> bool:
    """Whether a run that was asked for some assets was asked for all that are wanted, in each spelling that these take."""
    from balcli.providers.selection import ExactName, selects

    return bool(wanted) and all(
        any(
            selects((asset,), name) and (isinstance(name, ExactName) or not isinstance(asset, ExactName))
            for asset in assets
        )
        for name in wanted
    )
