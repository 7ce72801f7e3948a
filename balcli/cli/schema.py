"""`balcli schema`: the JSON Schema of what the balance commands print."""

from typing import Annotated

import typer

from balcli.cli.app import Command
from balcli.cli.options import OutputFile, shown_option
from balcli.cli.output import print_error, write_output

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command(cls=Command)
def schema(
    lines: Annotated[
        bool, shown_option("--lines", help="Of a line of -o jsonl, not of the -o json document.")
    ] = False,
    output_file: OutputFile = None,
) -> None:
    """Print the JSON Schema of -o json."""
    from balcli.render.schema import render

    unwritten = write_output(render(lines=lines), output_file)
    raise typer.Exit(0 if unwritten is None else print_error(unwritten))
