"""`balcli replay`: what a recorded run printed, from its evidence alone."""

from pathlib import Path
from typing import Annotated

import typer

from balcli.cli.balances import Display, write_report
from balcli.cli.balances import write_failure as write_failure  # noqa: PLC0414 - it has the shape of the balances
from balcli.cli.command import Command
from balcli.cli.options import (
    SHOWN,
    Format,
    NoColor,
    OutputFile,
    Quiet,
    format_option,
    shown_option,
    value_request,
)
from balcli.cli.output import check_destination, print_error, print_message, write_output
from balcli.errors import BalcliError, UsageError

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command(cls=Command)
def replay(
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="DIR", help="The folder of --evidence.", rich_help_panel=SHOWN, show_default=False
        ),
    ],
    output: Annotated[Format | None, format_option("the run's own")] = None,
    output_file: OutputFile = None,
    check: Annotated[
        bool, shown_option("--check", help="No balances, only whether the record is whole: 0 or 6.")
    ] = False,
    quiet: Quiet = False,
    no_color: NoColor = False,
) -> None:
    """Print what a run printed, from its evidence alone.

    No network, no profile, no secret. The exit code is the run's own; 6 if the evidence was altered or is not whole.
    """
    # Imported here, so that --help and completion do not load it.
    from balcli.evidence import replay as evidence
    from balcli.report import failed
    from balcli.run import RunResult

    display = Display(output or Format.table, output_file, quiet, no_color)
    try:
        check_destination(output_file)
        told = evidence.replay(folder)
    except BalcliError as problem:
        if check:
            raise typer.Exit(print_error(problem)) from None
        report = failed(None, problem)
        raise typer.Exit(write_report(RunResult(report, report), display)) from None
    if told.other_version is not None:
        print_message(
            f"note: balcli {told.other_version} printed another document from this record; install that version to see it"
        )
    if check:
        count = "1 answer" if told.answers == 1 else f"{told.answers} answers"
        text = f"whole, with {count}; the manifest's SHA-256 is {told.sha256}\n"
        unwritten = write_output(text, output_file)
        raise typer.Exit(0 if unwritten is None else print_error(unwritten))
    if output is None and told.options.output in set(Format):
        display = display._replace(output=Format(told.options.output))
    display = display._replace(addresses="addresses" in told.options.flags)
    if display.output is Format.value:
        try:
            asked = value_request(
                display.output, told.options.assets, told.options.field, told.options.absent
            )
        except UsageError as problem:
            raise typer.Exit(print_error(problem)) from None
        display = display._replace(value=asked)
    raise typer.Exit(write_report(RunResult(told.report, told.report), display))
