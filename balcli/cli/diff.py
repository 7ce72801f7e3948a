"""`balcli diff`: the differences between two runs, each recorded, in a file of `-o json`, or made now."""

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, NamedTuple, cast

import typer

from balcli.cli import completion, options
from balcli.cli.app import Command, CommandLine
from balcli.cli.options import SHOWN, shown_option
from balcli.cli.output import (
    Outputs,
    print_error,
    print_message,
    progress,
    terminal_columns,
    wants_colour,
    write_stdout,
)
from balcli.cli.recorded import (
    LAST,
    Recorded,
    file_label,
    find_run,
    is_file,
    is_one_file,
    kind_of,
    newest_runs,
    open_recorded,
    profile_text,
    read_document,
    read_run,
)
from balcli.errors import BalcliError, UsageError
from balcli.render.layout import local_iso
from balcli.text import did_you_mean, join_names, printable

if TYPE_CHECKING:
    from balcli.config.profile import Profile
    from balcli.diff import DiffFilter
    from balcli.history.reading import RecordedRun
    from balcli.history.recording import Selection
    from balcli.http.timing import Deadline
    from balcli.models import Report
    from balcli.render.diff import Comparison, Side
    from balcli.run import RunRequest

SAME: Final = 0
DIFFERENT: Final = 1
TROUBLE: Final = 2
"""The exit code if the runs cannot be compared."""

_NOW: Final = "now"


class _Source(NamedTuple):
    """One of the two runs to compare, with its source."""

    report: "Report"
    label: str
    """Its name in messages."""
    id: int | None = None
    """Its id in the history."""
    file: str | None = None
    """Its file; "-" is stdin."""
    selection: "Selection | None" = None
    """The requested accounts and assets; None if unknown, as for a file."""

    @property
    def side(self) -> "Side":
        """This run as one side of the diff in the output."""
        from balcli.render.diff import Side

        return Side(self.id, self.report.generated_at, self.report.complete, self.file)

    @property
    def accounts(self) -> tuple[str, ...]:
        """The accounts that it is limited to."""
        return self.selection.accounts if self.selection else ()


app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command(cls=Command)
def diff(
    before: Annotated[
        str | None,
        typer.Argument(
            metavar="[FROM]",
            help="A run: its id, `last`, a time, a date, an age (24h), or a file saved with -o json.",
            rich_help_panel=SHOWN,
        ),
    ] = None,
    after: Annotated[
        str | None,
        typer.Argument(metavar="[TO]", help="The other run [default: the last one].", rich_help_panel=SHOWN),
    ] = None,
    output: options.TableOrJsonOption = None,
    output_file: options.OutputFiles = None,
    mode: options.Mode = None,
    history: options.HistoryFile = None,
    live: Annotated[bool, shown_option("--live", help="Compare with the current balances.")] = False,
    asset: options.OnlyAssets = None,
    exact: options.Exact = False,
    account: Annotated[
        list[str] | None,
        shown_option(
            "--account",
            metavar="NAME",
            help="Compare only these accounts (repeatable).",
            autocompletion=completion.accounts,
        ),
    ] = None,
    threshold: Annotated[
        str | None,
        shown_option("--threshold", metavar="AMOUNT", help="Ignore changes of at most this amount."),
    ] = None,
    allow_partial: Annotated[
        bool, shown_option("--allow-partial", help="Also compare runs in which accounts failed.")
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
    _no_color: options.NoColor = False,
    _color: options.Color = None,
) -> None:
    """Compare two runs: recorded, saved with -o json, or live.

    By default, it compares the last two complete runs with all accounts and assets. It prints nothing if nothing changed. Exit codes: 0 same, 1 different, 2 trouble.
    """
    from balcli.history.database import within
    from balcli.http.timing import Deadline
    from balcli.models import Failure
    from balcli.providers.selection import wanted
    from balcli.render import diff as render
    from balcli.run import RunRequest

    request = RunRequest(
        settings=options.given(timeout=timeout, deadline=deadline, retries=retries, jobs=jobs),
        sandbox=sandbox,
        cache=not no_cache,
    )
    chosen = options.TableOrJson.chosen(output)
    outputs = Outputs()
    try:
        named = options.outputs(output_file, options.TableOrJson, explicit=output is not None, mode=mode)
        outputs = named.without_files()
        named.check()
        outputs = named
        if live and after is not None:
            raise UsageError("--live compares with the current balances; do not also name a second run")
        options.validate_options(request, fault)
        recorded = open_recorded(history, profile, sandbox=sandbox, complete=not allow_partial, full=True)
        with ExitStack() as stack:
            opened, clock = None, None
            if live:
                opened = stack.enter_context(
                    options.open_profile(
                        config, profile, env_file, sandbox=sandbox, faults=fault, deadline=deadline
                    )
                )
                deadline = deadline or opened.request_settings.deadline
                # It also limits the wait for a busy history.
                clock = Deadline(opened.request_settings._replace(**request.settings).deadline)
                stack.enter_context(within(clock.for_requests()))
            first, second = _sources(recorded, before, after, live=live)
            narrowing = _narrowing(first, second, account, wanted(asset, exact=exact), threshold)
            if second is None:
                asked = _fetch_now(cast("Profile", opened), request, first, narrowing, clock, quiet=quiet)
                second = _Source(asked, _NOW)
        comparison = _compared(first, second, narrowing, allow_partial=allow_partial, quiet=quiet)
    except BalcliError as problem:
        document = render.failed(profile, problem)
        outputs.write(
            chosen, lambda form, _: document if form == "json" else "", keep_old=True, deadline=deadline
        )
        print_error(problem)
        raise typer.Exit(TROUBLE) from None
    trouble = None if comparison.changes else _incomparable_error(comparison)

    def rendered(output: str, file: Path | None) -> str:
        if output == options.TableOrJson.json:
            return render.render_json(comparison, [Failure.from_error(trouble)] if trouble else ())
        return render.render(comparison, columns=terminal_columns(file), colour=wants_colour(file))

    problems = [*outputs.write(chosen, rendered, deadline=deadline), *([trouble] if trouble else [])]
    for each in problems:
        print_error(each)
    if problems:
        raise typer.Exit(TROUBLE)
    raise typer.Exit(DIFFERENT if comparison.changes else SAME)


def write_failure(error: BalcliError, line: CommandLine) -> None:
    """Write the document of a comparison that failed before it started."""
    if line.output == options.TableOrJson.json:
        from balcli.render.diff import failed

        write_stdout(failed(None, error))


def _incomparable_error(comparison: "Comparison") -> UsageError | None:
    """The error if no difference was found, but some accounts were not compared; else None."""
    names = [printable(change.account, 40) for change in comparison.changes.incomparable]
    return (
        UsageError(f"not compared: {', '.join(names)}; record another run and compare with that one")
        if names
        else None
    )


def _compared(
    first: _Source, second: _Source, narrowing: "DiffFilter", *, allow_partial: bool, quiet: bool
) -> "Comparison":
    """Compare two runs. Raises UsageError if they cannot be compared."""
    from balcli.diff import compare
    from balcli.render.diff import Comparison

    old, new = first.report, second.report
    for each in (first, second):
        _check_source(each, allow_partial=allow_partial)
    if old.profile != new.profile and not (first.file or second.file):
        raise UsageError(
            f"{first.label} is {profile_text(old.profile)} and {second.label} {profile_text(new.profile)}; compare two runs of one profile"
        )
    if first.selection and second.selection:
        _check_selections(first, first.selection, second.selection, narrowing)
    if not quiet:
        _print_unlisted(narrowing.assets, (old, new))
        _print_step_back(first, second)
        _print_hidden(first, second)
    changes = compare(old, new, narrowing)
    if changes.incomparable and not allow_partial:
        change = changes.incomparable[0]
        raise UsageError(
            f"{printable(change.account, 40)} cannot be compared: {change.reason}; add --allow-partial to compare the others"
        )
    return Comparison(new.profile, first.side, second.side, changes)


def _check_source(source: _Source, *, allow_partial: bool) -> None:
    """Raise UsageError for a run that failed, is partial, or has no rows."""
    report = source.report
    if report.failures:
        raise UsageError(
            f"{source.label} failed ({report.failures[0].code}); use a run in which at least one account answered"
        )
    if any(notice.code == "rows.left_out" for notice in report.notices):
        raise UsageError(
            f"{source.label} was recorded with --totals-only and has no balances; use a run recorded without it"
        )
    if report.complete or allow_partial:
        return
    if source.label == _NOW:
        name, failure = next((o.account.name, o.failure) for o in report.outcomes if o.failure is not None)
        raise UsageError(
            f"{name} did not answer this time ({failure.message.partition(';')[0]}); "
            "add --allow-partial to compare the others"
        )
    raise UsageError(
        f"{source.label} is partial (some accounts failed); add --allow-partial to compare the others"
    )


def _print_hidden(first: _Source, second: _Source) -> None:
    """Print a note if only one of the runs hides rows of zeros."""
    sources = [s for s in (first, second) if any(n.code == "rows.hidden" for n in s.report.notices)]
    if len(sources) == 1:
        print_message(
            f"note: {sources[0].label} was made with --nonzero, so an asset that it does not list may be 0"
        )


def _print_step_back(first: _Source, second: _Source) -> None:
    """Print a note if the clock stepped back between the two runs."""
    before, after = first.report.generated_at, second.report.generated_at
    in_order = first.id is not None and (
        second.label == _NOW or (second.id is not None and first.id < second.id)
    )
    if in_order and after < before:
        print_message(
            f"note: the clock stepped back by {before - after} between {first.label} and {second.label}; rely on the order of the runs, not on their times"
        )


def _print_unlisted(assets: tuple[str, ...], reports: "tuple[Report, Report]") -> None:
    """Print a note for each requested asset that neither run lists."""
    from balcli.providers.selection import names_of, selects, suggestion

    there = {name: None for report in reports for balance in report.balances for name in names_of(balance)}
    for asset in assets:
        if not selects((asset,), *there):
            close = suggestion(asset, assets, there)
            print_message(f"note: {asset} is listed in neither run{close}; check --asset")


def _fetch_now(
    profile: "Profile",
    request: "RunRequest",
    first: _Source,
    narrowing: "DiffFilter",
    deadline: "Deadline | None",
    *,
    quiet: bool,
) -> "Report":
    """Fetch the accounts of a run now, with the same assets. Raises BalcliErrors."""
    from balcli import document
    from balcli.history.recording import with_url_digests
    from balcli.render.json import pieces
    from balcli.run import run

    if first.selection is None:
        made_with = {row.details.get("kind") for row in first.report.balances} - {None}
    else:
        made_with = {*first.selection.flags}
    if made_with:
        raise UsageError(
            f"{first.label} was made with provider options; compare it with another run with the same options"
        )
    names = [outcome.account.name for outcome in first.report.outcomes]
    wanted = [name for name in names if not narrowing.accounts or name in narrowing.accounts]
    request = request._replace(accounts=wanted, assets=first.selection.asked if first.selection else ())
    report = with_url_digests(
        run(profile, request, progress=progress(quiet=quiet), deadline=deadline).report,
        sandbox=request.sandbox,
    )
    # Parse both sides in the same way, because a plugin's detail can be text that looks like an amount.
    return report._replace(balances=document.parse("".join(pieces(report)).encode()).balances)


def _narrowing(
    first: _Source,
    second: _Source | None,
    account: list[str] | None,
    assets: tuple[str, ...],
    threshold: str | None,
) -> "DiffFilter":
    """The filter from the options, limited to the accounts of both runs. Raises UsageError."""
    from balcli.diff import DiffFilter
    from balcli.money import parse

    try:
        least = parse("0" if threshold is None else threshold)
    except ValueError:
        least = parse("-1")
    if least < parse("0"):
        raise UsageError("--threshold must be an amount of 0 or more; use, for example, 0.5")
    accounts = tuple(account or ())
    _check_accounts(accounts, first, second)
    for names in (source.accounts for source in (first, second) if source is not None):
        if names:
            accounts = tuple(name for name in accounts or names if name in names)
            if not accounts:
                raise UsageError(
                    "the two runs have no account in common; compare two runs of the same accounts"
                )
    return DiffFilter(accounts, assets, least)


def _check_accounts(named: tuple[str, ...], first: _Source, second: _Source | None) -> None:
    """Raise UsageError for a named account that a run does not include."""
    sources = [source for source in (first, second) if source is not None]
    there = [outcome.account.name for source in sources for outcome in source.report.outcomes]
    for name in named:
        account = printable(name, 40)
        if name not in there:
            where = " or ".join(source.label for source in sources)
            raise UsageError(f"--account: unknown account {account} in {where}; {did_you_mean(name, there)}")
        for source in sources:
            if source.accounts and name not in source.accounts:
                raise UsageError(
                    f"--account: {source.label} does not include {account}; remove it, or compare two runs that do"
                )


def _sources(
    recorded: Recorded, before: str | None, after: str | None, *, live: bool
) -> tuple[_Source, _Source | None]:
    """The two runs to compare; the second is None for --live. Raises UsageError or StateError."""
    if live:
        return _source(recorded, LAST if before is None else before), None
    if before is None:
        return _last_two(recorded)
    words = (before, LAST if after is None else after)
    if is_one_file(*words):
        raise UsageError(f"both are {file_label(before)}; use two files")
    first, second = (_source(recorded, word) for word in words)
    if first.id is not None and first.id == second.id:
        raise UsageError(
            f"both are {first.label} ({local_iso(first.report.generated_at)}), the last one; record another run with balcli all --record, or choose two runs from {recorded.command}"
        )
    return first, second


def _last_two(recorded: Recorded) -> tuple[_Source, _Source]:
    newest = newest_runs(recorded, 2)
    if len(newest) < 2:
        others = len(newest_runs(recorded._replace(full=False), 2)) - len(newest)
        passed = " with all accounts and assets" if others else ""
        raise UsageError(
            f"not enough runs to compare: found {len(newest)} of 2 {kind_of(recorded, 'recorded runs')}{passed}; record another with balcli all --record, or choose two from {recorded.command}"
        )
    first, second = (_of_run(read_run(recorded, each.id)) for each in newest)
    return first, second


def _source(recorded: Recorded, word: str) -> _Source:
    """The run that an argument names: a file, or a run in the history."""
    if is_file(word):
        return _Source(read_document(recorded, word), file_label(word), file=word)
    return _of_run(find_run(recorded, word))


def _of_run(run: "RecordedRun") -> _Source:
    return _Source(run.report, f"run {run.id}", run.id, selection=run.selection)


def _check_selections(first: _Source, one: "Selection", other: "Selection", narrowing: "DiffFilter") -> None:
    """Raise UsageError if the runs requested different assets, because a missing row would look like a change."""
    if one.flags != other.flags:
        raise UsageError(
            f"{first.label} was made with different provider options ({_listed(one.flags, 'none')}) than the other ({_listed(other.flags, 'none')}); compare two runs with the same options"
        )
    if (one.assets, one.exact) != (other.assets, other.exact) and not (
        one.covers(narrowing.assets) and other.covers(narrowing.assets)
    ):
        raise UsageError(
            f"{first.label} has {_assets_of(one)}, the other {_assets_of(other)}; choose the assets to compare with --asset"
        )


def _assets_of(selection: "Selection") -> str:
    return _listed(selection.assets, "all assets") + (" (--exact)" if selection.exact else "")


def _listed(names: tuple[str, ...], nothing: str) -> str:
    return join_names(names) if names else nothing
