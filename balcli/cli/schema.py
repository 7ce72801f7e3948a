"""`balcli schema`: the JSON Schema of what the balance commands print."""

from typing import Annotated

import typer

from balcli.cli.commands import SHOWN
from balcli.cli.options import OutputFile
from balcli.cli.output import print_error, write_output


def register(app: typer.Typer, name: str, about: str) -> None:
    """Add the command."""
    app.command(name, help=about)(_schema)


def _schema(
    lines: Annotated[
        bool,
        typer.Option(
            "--lines", help="Of a line of -o jsonl, not of the -o json document.", rich_help_panel=SHOWN
        ),
    ] = False,
    output_file: OutputFile = None,
) -> None:
    from balcli.render.schema import render

    unwritten = write_output(render(lines=lines), output_file)
    raise typer.Exit(0 if unwritten is None else print_error(unwritten))
