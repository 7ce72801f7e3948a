"""The four commands that show balances: one for each provider, and `all`."""

import inspect
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from balcli.cli import options
from balcli.cli.command import Command, CommandLine
from balcli.cli.options import REPORTS, Format, account_option, output_option, recording_option, shown_option
from balcli.cli.output import (
    check_destination,
    print_error,
    print_exchange,
    print_message,
    print_problems,
    terminal_columns,
    wants_colour,
    write_output,
    write_stdout,
)
from balcli.cli.profiles import open_profile
from balcli.errors import BalcliError, OutputError, UsageError
from balcli.providers import PROVIDERS
from balcli.settings import MOST_SECONDS, Order

if TYPE_CHECKING:
    from balcli.evidence.record import Recorder
    from balcli.models import Report
    from balcli.providers.base import Flag, Key, Provider
    from balcli.render.value import ValueRequest
    from balcli.run import RunRequest, RunResult


class Display(NamedTuple):
    """How a report is written."""

    output: Format
    file: Path | None
    """None for stdout."""
    quiet: bool
    no_color: bool
    addresses: bool = False
    """Whether the table shows deposit addresses."""
    value: "ValueRequest | None" = None
    """The amount that `-o value` prints."""


def app_for(name: str, about: str) -> typer.Typer:
    """The Typer app of `all`, or of a provider's command, with this help."""
    app = typer.Typer(add_completion=False, rich_markup_mode=None)
    app.command(name, cls=Command, help=about)(_command(PROVIDERS.get(name)))
    return app


def _command(provider: "Provider | None") -> Callable[..., None]:
    """`_show_balances` with the options that a provider declares in its signature, behind the accounts."""
    _, _, accounts, *fixed = inspect.signature(_show_balances).parameters.values()
    own = []
    if provider is not None:
        own = [_target_option(key) for key in provider.KEYS if key.option]
        own += [_flag_option(flag) for flag in provider.FLAGS]

    def command(**values: Any) -> None:
        chosen = {parameter.name: values.pop(parameter.name) for parameter in own}
        _show_balances(provider, chosen, **values)

    command.__signature__ = inspect.Signature([accounts, *own, *fixed])  # type: ignore[attr-defined]
    return command


def _target_option(key: "Key") -> inspect.Parameter:
    metavar = "N" if key.kind == "integer" else "0x…" if key.name == "address" else "ID"
    again = "; repeat for several" if key.repeatable else ""
    option = account_option(key.option or "", metavar=metavar, help=f"For one run: {key.help}{again}.")
    kind = list[str] | None if key.repeatable else str | None
    return inspect.Parameter(
        key.name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[kind, option]
    )


def _flag_option(flag: "Flag") -> inspect.Parameter:
    option = shown_option(f"--{flag.name}", help=flag.help)
    return inspect.Parameter(
        _name_of(flag), inspect.Parameter.KEYWORD_ONLY, default=False, annotation=Annotated[bool, option]
    )


def _name_of(flag: "Flag") -> str:
    return flag.name.replace("-", "_")


def _show_balances(
    provider: "Provider | None",
    chosen: Mapping[str, Any],
    *,
    accounts: options.Accounts = None,
    output: Annotated[
        Format, output_option("--output", "-o", envvar="BALCLI_OUTPUT", metavar="FORMAT", help="The format.")
    ] = Format.table,
    output_file: options.OutputFile = None,
    asset: options.OnlyAssets = None,
    exact: options.Exact = False,
    field: options.ValueField = None,
    absent: options.ValueAbsent = None,
    nonzero: Annotated[
        bool, shown_option("--nonzero", help="Hide rows whose every amount is exactly 0.")
    ] = False,
    sort: Annotated[
        Order | None, shown_option("--sort", metavar="KEY", help="The order of the rows.")
    ] = None,
    totals_only: Annotated[
        bool, shown_option("--totals-only", help="Only the totals by asset, and what failed.")
    ] = False,
    watch: Annotated[
        int | None,
        output_option(
            "--watch",
            metavar="S",
            min=1,
            max=int(MOST_SECONDS),
            help="Look again every S seconds, until Ctrl-C.",
        ),
    ] = None,
    verbose: Annotated[
        bool, output_option("--verbose", "-v", help="Tell each request on stderr: sizes, times, no value.")
    ] = False,
    evidence: Annotated[
        Path | None,
        recording_option(
            "--evidence", metavar="DIR", help="Keep all answers, without secrets, for balcli replay."
        ),
    ] = None,
    record: options.Record = False,
    history: options.HistoryFile = None,
    wait: options.Wait = None,
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
    """Run once, or with --watch again and again, and write the report."""
    # Imported here, so that --help and completion do not load it.
    from balcli import report as reports
    from balcli.cli.progress import progress
    from balcli.providers.selection import wanted
    from balcli.run import RunRequest, RunResult, run

    keys = {key.name for key in provider.KEYS} if provider else set()
    flags = [flag for flag in (provider.FLAGS if provider else ()) if chosen[_name_of(flag)]]
    request = RunRequest(
        provider=provider.NAME if provider else None,
        accounts=accounts or (),
        targets={
            name: tuple(value) if isinstance(value, list) else (value,)
            for name, value in chosen.items()
            if name in keys and value not in (None, [])
        },
        flags=frozenset(flag.name for flag in flags),
        settings=options.given(timeout=timeout, deadline=deadline, retries=retries, jobs=jobs),
        nonzero=nonzero,
        sort=sort,
        totals_only=totals_only,
        sandbox=sandbox,
        cache=not no_cache,
        record=record,
        history=history,
        wait=wait,
    )
    display = Display(output, output_file, quiet, no_color, addresses="addresses" in request.flags)
    observe = print_exchange if verbose else None
    opening = open_profile(config, profile, env_file, sandbox=sandbox, faults=fault)
    if watch is not None:
        from balcli.cli import watching  # here, because few runs are watched

        watching.validate_options(output, record=record, output_file=output_file, evidence=evidence)
        _validate_options(request, flags, fault)
        request = request._replace(assets=wanted(asset, exact=exact))
        options.value_request(output, request.assets, field, absent)
        with opening as opened:
            colour = wants_colour(os.environ, no_color=no_color)
            run_once = partial(run, opened, request, observe=observe)
            raise typer.Exit(watching.watch(watch, run_once, output, quiet=quiet, colour=colour))
    recorder: Recorder | None = None
    try:
        _validate_options(request, flags, fault)
        check_destination(output_file)
        if evidence is not None:
            from balcli.evidence import record as evidence_record  # here, because few runs keep any

            recorder = evidence_record.Recorder(evidence)
        request = request._replace(assets=wanted(asset, exact=exact))
        display = display._replace(value=options.value_request(output, request.assets, field, absent))
        with opening as opened:
            profile = opened.name
            bar = progress(quiet=quiet or verbose)
            result = run(opened, request, recorder=recorder, observe=observe, progress=bar)
    except BalcliError as problem:
        report = reports.failed(profile, problem)
        result = RunResult(report, report)
    if recorder is not None:
        try:
            digest = _keep_evidence(recorder, result, request, display, exact=exact)
        except OutputError as problem:
            result = result._replace(problems=(*result.problems, problem))
        else:
            if not quiet:
                print_message(f"note: the manifest of the evidence has the SHA-256 {digest}")
    raise typer.Exit(write_report(result, display))


def _validate_options(request: "RunRequest", flags: Sequence["Flag"], faults: list[str] | None) -> None:
    """Raise UsageError for options that cannot be meant together."""
    for flag in flags:
        if not request.targets.keys().isdisjoint(flag.excludes):
            raise UsageError(f"--{flag.name} stands for all of them; leave out the option that names one")
    options.validate_faults(faults, sandbox=request.sandbox)
    options.validate_recording(record=request.record, history=request.history, wait=request.wait)


def _keep_evidence(
    recorder: "Recorder", result: "RunResult", request: "RunRequest", display: Display, *, exact: bool
) -> str:
    """Write the evidence of a run; the SHA-256 of its manifest. Raises OutputError."""
    shaping = {
        "output": display.output.value,
        "field": display.value and display.value.field,
        "absent": "zero" if display.value and display.value.absent_zero else None,
        "assets": [] if result.report.failures else request.assets,
        "exact": exact,
        "flags": sorted(request.flags),
        "nonzero": request.nonzero,
        "sort": request.sort,
        "totals_only": request.totals_only,
    }
    return recorder.keep(result.document, shaping)


def write_report(result: "RunResult", display: Display) -> int:
    """Write the report of a run and print what is wrong; the exit code.

    Where an account answered, the first problem with recording or writing decides, if there is one.
    """
    report = result.report
    if display.output is Format.value:
        return _write_value(result, display)
    # Of a run that failed wholly, an older file is worth more.
    unwritten = write_output(_rendered(result.document, display), display.file if report.answered else None)
    in_table = display.output is Format.table and display.file is None
    print_problems(report, quiet=display.quiet, in_table=in_table)
    problems = [*result.problems, *([unwritten] if unwritten else [])]
    codes = [print_error(problem) for problem in problems]
    return codes[0] if codes and report.answered else report.exit_code


def _write_value(result: "RunResult", display: Display) -> int:
    """Write the one amount that is asked for, and print what is wrong; the exit code."""
    from balcli.render.value import value

    print_problems(result.report, quiet=display.quiet)
    if display.value is None or result.whole.failures:
        return result.whole.exit_code
    found = value(result.whole, display.value)
    problems = [*result.problems]
    if found.text is None:
        print_message(found.reason)
    elif unwritten := write_output(f"{found.text}\n", display.file):
        problems.append(unwritten)
    codes = [print_error(problem) for problem in problems]
    return codes[0] if codes and result.report.answered else found.exit_code


def _rendered(report: "Report", display: Display) -> Iterable[str]:
    """The report in the format that is asked for, in one piece or more."""
    if display.output is not Format.table:
        from balcli.render import machine

        return machine(display.output, report)
    if report.failures:
        return ()  # there is nothing to show a person but the reason, which stderr has
    from balcli.render import table

    colour = wants_colour(os.environ, no_color=display.no_color, file=display.file)
    columns = terminal_columns(display.file)
    return (table.render(report, columns=columns, colour=colour, addresses=display.addresses),)


def write_failure(error: BalcliError, line: CommandLine) -> None:
    """Write the document of a run that failed before it began, in a format for programs."""
    if line.output in set(REPORTS) - {Format.table}:
        from balcli.render import machine
        from balcli.report import failed

        write_stdout(machine(line.output, failed(None, error)))
