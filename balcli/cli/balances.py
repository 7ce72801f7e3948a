"""The four commands that show balances: one for each provider, and `all`."""

import inspect
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from balcli.cli import options
from balcli.cli.app import Command, CommandLine
from balcli.cli.options import REPORTS, Format, account_option, output_option, recording_option, shown_option
from balcli.cli.output import (
    Outputs,
    print_error,
    print_exchange,
    print_message,
    print_problems,
    progress,
    terminal_view,
    wants_colour,
    write_stdout,
)
from balcli.errors import BalcliError, OutputError
from balcli.providers import PROVIDERS
from balcli.settings import Order

if TYPE_CHECKING:
    from balcli.evidence.record import Recorder
    from balcli.models import Report
    from balcli.providers.base import Flag, Key, Provider
    from balcli.render.value import ValueRequest
    from balcli.run import RunRequest, RunResult


class Display(NamedTuple):
    """How to write a report."""

    output: Format
    outputs: Outputs
    quiet: bool
    addresses: bool = False
    """Whether the table shows deposit addresses."""
    value: "ValueRequest | None" = None
    """The amount for the format `value`."""
    verbose: bool = False
    """Whether the table on a terminal shows full targets."""
    about: str = ""
    """The end of the status line on a terminal: the duration of the run, or its age."""
    deadline: float | None = None
    """The deadline of the run in seconds; None for the default."""

    @property
    def formats(self) -> Iterable[str]:
        """All formats to write."""
        return dict(self.outputs.all(self.output))

    @property
    def in_table(self) -> bool:
        """Whether a table goes to stdout."""
        return (Format.table, None) in self.outputs.all(self.output)


_keyword = partial(inspect.Parameter, kind=inspect.Parameter.KEYWORD_ONLY)


def app_for(name: str, about: str) -> typer.Typer:
    """The Typer app of `all` or of a provider's command, with the provider's options."""
    provider = PROVIDERS.get(name)
    keys = [key for key in provider.KEYS if key.option] if provider else []
    flags = provider.FLAGS if provider else ()

    def command(**values: Any) -> None:
        targets: dict[str, tuple[str, ...]] = {}
        for key in keys:
            if (value := values.pop(key.name)) not in (None, []):
                targets[key.name] = tuple(value) if isinstance(value, list) else (value,)
        chosen = [flag for flag in flags if values.pop(flag.name.replace("-", "_"))]
        _show_balances(provider, targets, chosen, **values)

    _, _, _, context, accounts, *fixed = inspect.signature(_show_balances).parameters.values()
    own = _provider_options(keys, flags)
    command.__signature__ = inspect.Signature([context, accounts, *own, *fixed])  # type: ignore[attr-defined]
    app = typer.Typer(add_completion=False, rich_markup_mode=None)
    app.command(name, cls=Command, help=about)(command)
    return app


def _provider_options(keys: "Iterable[Key]", flags: "Iterable[Flag]") -> Iterator[inspect.Parameter]:
    """The options that a provider declares: its keys and flags."""
    for key in keys:
        metavar = "N" if key.kind == "integer" else "0x…" if key.name == "address" else "ID"
        again = "; repeatable" if key.repeatable else ""
        option = account_option(key.option or "", metavar=metavar, help=f"For one run: {key.help}{again}.")
        kind = list[str] | None if key.repeatable else str | None
        yield _keyword(key.name, default=None, annotation=Annotated[kind, option])
    for flag in flags:
        switch = shown_option(f"--{flag.name}", help=flag.help)
        yield _keyword(flag.name.replace("-", "_"), default=False, annotation=Annotated[bool, switch])


def _show_balances(
    provider: "Provider | None",
    targets: Mapping[str, tuple[str, ...]],
    flags: "Sequence[Flag]",
    *,
    context: typer.Context,
    accounts: options.Accounts = None,
    output: Annotated[
        Format, output_option("--output", "-o", envvar="BALCLI_OUTPUT", metavar="FORMAT", help="The format.")
    ] = Format.table,
    output_file: options.OutputFiles = None,
    mode: options.Mode = None,
    asset: options.OnlyAssets = None,
    exact: options.Exact = False,
    field: options.ValueField = None,
    absent: options.ValueAbsent = None,
    nonzero: Annotated[bool, shown_option("--nonzero", help="Hide rows in which every amount is 0.")] = False,
    sort: Annotated[
        Order | None, shown_option("--sort", metavar="KEY", help="Sort the rows by this key.")
    ] = None,
    totals_only: Annotated[
        bool, shown_option("--totals-only", help="Show only totals by asset, and failures.")
    ] = False,
    watch: Annotated[
        int | None,
        output_option(
            "--watch",
            metavar="S",
            parser=options.whole_seconds,
            help="Run every S seconds, until you press q.",
        ),
    ] = None,
    verbose: Annotated[
        bool, output_option("--verbose", "-v", help="Log each request to stderr (never its values).")
    ] = False,
    evidence: Annotated[
        Path | None,
        recording_option(
            "--evidence",
            metavar="DIR",
            callback=options.in_home,
            help="Save responses, without secrets, for balcli replay.",
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
    _no_color: options.NoColor = False,
    _color: options.Color = None,
) -> None:
    """Run once, or repeatedly with --watch, and write the report."""
    # Imported here, so that --help and completion do not load it.
    from balcli import report as reports
    from balcli.providers.selection import wanted
    from balcli.run import RunRequest, RunResult, run

    request = RunRequest(
        provider=provider.NAME if provider else None,
        accounts=accounts or (),
        targets=targets,
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
    display = Display(
        output, Outputs(), quiet, "addresses" in request.flags, verbose=verbose, deadline=deadline
    )
    begun = time.monotonic()
    observe = print_exchange if verbose else None
    opening = options.open_profile(
        config, profile, env_file, sandbox=sandbox, faults=fault, deadline=deadline
    )
    if watch is not None:
        from balcli import pipes  # both here, because few runs use --watch
        from balcli.cli import watching

        watching.validate_options(output, record=record, files=output_file, evidence=evidence)
        options.validate_options(request, fault, flags)
        request = request._replace(assets=wanted(asset, exact=exact))
        options.value_request([output], request.assets, field, absent)
        pipes.reader.refusal = "it is a FIFO, which --watch cannot read again"
        with opening as opened:
            look = partial(run, opened, request, observe=observe)
            raise typer.Exit(watching.watch(watch, look, output, quiet=quiet))
    recorder: Recorder | None = None
    try:
        options.validate_options(request, fault, flags)
        if output_file or mode:
            explicit = options.is_explicit(context, "output")
            outputs = options.outputs(output_file, Format, explicit=explicit, mode=mode)
            display = display._replace(outputs=outputs.without_files())
            outputs.check()
            display = display._replace(outputs=outputs)
        if evidence is not None:
            from balcli.evidence import (
                record as evidence_record,
            )  # imported here, because few runs save evidence

            recorder = evidence_record.Recorder(evidence)
        request = request._replace(assets=wanted(asset, exact=exact) if asset or exact else ())
        if field or absent or Format.value in display.formats:
            value = options.value_request(display.formats, request.assets, field, absent)
            display = display._replace(value=value)
        with opening as opened:
            profile = opened.name
            display = display._replace(deadline=deadline or opened.request_settings.deadline)
            colour = display.in_table and wants_colour()
            bar = progress(quiet=quiet or verbose, colour=colour)
            result = run(opened, request, recorder=recorder, observe=observe, progress=bar)
    except BalcliError as problem:
        report = reports.failed(profile, problem)
        result = RunResult(report, report)
    if recorder is not None:
        result = _with_evidence(recorder, result, request, display, exact=exact)
    about = f"{time.monotonic() - begun:.1f} s"
    raise typer.Exit(write_report(result, display._replace(about=about)))


def _with_evidence(
    recorder: "Recorder", result: "RunResult", request: "RunRequest", display: Display, *, exact: bool
) -> "RunResult":
    """Write the evidence of a run, and print the SHA-256 of its manifest. Returns the result, with any error."""
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
    try:
        digest = recorder.keep(result.document, shaping)
    except OutputError as problem:
        return result._replace(problems=(*result.problems, problem))
    if not display.quiet:
        print_message(f"note: the SHA-256 of the evidence manifest is {digest}")
    return result


def write_report(result: "RunResult", display: Display) -> int:
    """Write the report of a run and print its problems; returns the exit code.

    If an account answered, the first error in recording or writing sets the code.
    """
    report, document, outputs = result.report, result.document, display.outputs
    found = None
    if Format.value in display.formats:
        from balcli.render.value import Value, value

        found = Value(None, exit_code=result.whole.exit_code)
        if display.value is not None and not result.whole.failures:
            found = value(result.whole, display.value)
        if found.text is None:
            outputs = outputs.without(Format.value, display.output)
    exit_code = report.exit_code if found is None else found.exit_code

    # If the whole run failed, an older file is more useful.
    unwritten = outputs.write(
        display.output,
        partial(_rendered, document, display, found and found.text),
        keep_old=not report.answered,
        deadline=display.deadline,
    )
    print_problems(report, quiet=display.quiet, in_table=display.in_table)
    if found is not None and found.reason:
        print_message(found.reason)
    problems = [*result.problems, *unwritten]
    codes = [*map(print_error, problems)]
    return codes[0] if codes and report.answered else exit_code


def _rendered(
    report: "Report", display: Display, amount: str | None, output: str, file: Path | None
) -> Iterable[str]:
    """The report in a format for a file or stdout, in pieces."""
    if output == Format.value:
        return f"{amount}\n"
    if output != Format.table:
        return machine(output, report)
    if report.failures:
        return ()  # the reason is already on stderr
    from balcli.render import table

    view = terminal_view(file, verbose=display.verbose, about=display.about)
    return table.pieces(report, view, colour=wants_colour(file), addresses=display.addresses)


def machine(name: str, report: "Report") -> Iterator[str]:
    """The report in a machine-readable format, in pieces of whole lines. Imports only the module of the format."""
    ledgers = {"beancount", "hledger"}
    module = import_module(f"balcli.render.{'ledger' if name in ledgers else name}")
    pieces: Iterator[str] = getattr(module, name if name in ledgers else "pieces")(report)
    return pieces


def write_failure(error: BalcliError, line: CommandLine) -> None:
    """Write the document of a run that failed before it started, in a machine-readable format."""
    if line.output in set(REPORTS) - {Format.table}:
        from balcli.report import failed

        write_stdout(machine(line.output, failed(None, error)))
