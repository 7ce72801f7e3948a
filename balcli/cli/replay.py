"""`balcli replay`: print the output of a run again, from its evidence."""

from pathlib import Path
from typing import Annotated

import typer

from balcli.cli.app import Command
from balcli.cli.balances import Display, write_report
from balcli.cli.balances import write_failure as write_failure  # noqa: PLC0414 - same document as for balances
from balcli.cli.options import (
    SHOWN,
    Color,
    Format,
    Mode,
    NoColor,
    OutputFiles,
    Quiet,
    format_option,
    in_home,
    outputs,
    shown_option,
    value_request,
)
from balcli.cli.output import Outputs, print_error, print_message
from balcli.errors import BalcliError
from balcli.text import numbered

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command(cls=Command)
def replay(
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="DIR",
            callback=in_home,
            help="The folder from --evidence.",
            rich_help_panel=SHOWN,
            show_default=False,
        ),
    ],
    output: Annotated[Format | None, format_option("the run's own")] = None,
    output_file: OutputFiles = None,
    mode: Mode = None,
    check: Annotated[
        bool, shown_option("--check", help="Only check that the evidence is complete (exits 0 or 6).")
    ] = False,
    quiet: Quiet = False,
    _no_color: NoColor = False,
    _color: Color = None,
) -> None:
    """Print the output of a run again, using only its evidence.

    It uses no network, profile or secrets. The exit code is that of the run, or 6 if the evidence was altered or is incomplete.
    """
    # Imported here, so that --help and completion do not load it.
    from balcli.evidence import replay as evidence
    from balcli.report import failed
    from balcli.run import RunResult

    display = Display(output or Format.table, Outputs(), quiet)
    try:
        formats = ("table",) if check else Format
        destinations = outputs(output_file, formats, explicit=output is not None, mode=mode)
        display = display._replace(outputs=destinations.without_files())
        destinations.check()
        display = display._replace(outputs=destinations)
        recorded = evidence.replay(folder)
        run = recorded.options
        if output is None and run.output in set(Format):
            display = display._replace(output=Format(run.output))
        if Format.value in display.formats and not check:
            value = value_request(display.formats, run.assets, run.field, run.absent)
            display = display._replace(value=value)
    except BalcliError as problem:
        if check:
            raise typer.Exit(print_error(problem)) from None
        report = failed(None, problem)
        raise typer.Exit(write_report(RunResult(report, report), display)) from None
    if recorded.other_version is not None:
        print_message(
            f"note: balcli {recorded.other_version} printed a different document for this record; install that version to see it"
        )
    if check:
        text = f"complete, with {numbered(recorded.answers, 'response')}; the SHA-256 of the manifest is {recorded.sha256}\n"
        unwritten = destinations.write("table", lambda *_: text)
        raise typer.Exit(max(map(print_error, unwritten), default=0))
    display = display._replace(addresses="addresses" in run.flags)
    raise typer.Exit(write_report(RunResult(recorded.report, recorded.report), display))
