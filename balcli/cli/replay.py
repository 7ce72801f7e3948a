"""`balcli replay`: what a recorded run printed, from its evidence alone."""

from pathlib import Path
from typing import Annotated

import typer

from balcli.cli import balances
from balcli.cli.balances import write_failure as write_failure  # noqa: PLC0414 - it has the shape of the balances
from balcli.cli.commands import SHOWN
from balcli.cli.options import BalanceOptions, Format, NoColor, OutputFile, Quiet, format_option
from balcli.cli.output import check_destination, print_error, print_message, print_problems, write_output
from balcli.errors import BalcliError
from balcli.models import Report


def register(app: typer.Typer, name: str, about: str) -> None:
    """Add the command."""
    app.command(name, help=about)(_replay)


def _replay(
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="DIR", help="The folder of --evidence.", rich_help_panel=SHOWN, show_default=False
        ),
    ],
    output: Annotated[Format | None, format_option("the run's own")] = None,
    output_file: OutputFile = None,
    check: Annotated[
        bool,
        typer.Option(
            "--check", help="No balances, only whether the record is whole: 0 or 6.", rich_help_panel=SHOWN
        ),
    ] = False,
    quiet: Quiet = False,
    no_color: NoColor = False,
) -> None:
    raise typer.Exit(run(folder, output, output_file, check=check, quiet=quiet, no_color=no_color))


def run(
    folder: Path,
    output: Format | None,
    output_file: Path | None,
    *,
    check: bool,
    quiet: bool,
    no_color: bool,
) -> int:
    """Tell a record again, write and report; the exit code."""
    # Imported here: what a replay needs is no matter for --help and completion.
    from balcli.evidence.replay import tell
    from balcli.report import failed

    given = {"output_file": output_file, "quiet": quiet, "no_color": no_color}
    try:
        check_destination(output_file)
        told = tell(folder)
    except BalcliError as problem:
        if check:
            return print_error(problem)
        options = BalanceOptions(output=output or Format.table, **given)
        return _show(failed(None, problem), options, addresses=False)
    if told.other_version is not None:
        print_message(
            f"note: balcli {told.other_version} printed another document from this record; install that version to see it"
        )
    if check:
        count = "1 answer" if told.answers == 1 else f"{told.answers} answers"
        text = f"whole, with {count}; the manifest's SHA-256 is {told.sha256}\n"
        unwritten = write_output(text, output_file)
        return 0 if unwritten is None else print_error(unwritten)
    own = Format(told.options.output) if told.options.output in set(Format) else Format.table
    return _show(
        told.report,
        BalanceOptions(output=output or own, **given),
        addresses="addresses" in told.options.flags,
    )


def _show(report: Report, options: BalanceOptions, *, addresses: bool) -> int:
    """Write the report, and say what is wrong; the exit code."""
    text = balances.rendered(report, options, addresses=addresses)
    unwritten = write_output(text, options.output_file if report.answered else None)
    print_problems(report, quiet=options.quiet, in_table=balances.is_table(options))
    return report.exit_code if unwritten is None else print_error(unwritten)
