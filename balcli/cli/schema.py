"""`balcli schema`: the JSON Schema of the output of the balance commands."""

from typing import Annotated

import typer

from balcli.cli.app import Command
from balcli.cli.options import Mode, OutputFiles, outputs, shown_option
from balcli.cli.output import print_error

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command(cls=Command)
def schema(
    lines: Annotated[
        bool, shown_option("--lines", help="Print the schema of one line of -o jsonl instead.")
    ] = False,
    output_file: OutputFiles = None,
    mode: Mode = None,
) -> None:
    """Print the JSON Schema of -o json."""
    from balcli.render.schema import render

    destinations = outputs(output_file, ("json",), explicit=False, mode=mode)
    destinations.check()
    unwritten = destinations.write("json", lambda *_: render(lines=lines))
    raise typer.Exit(max(map(print_error, unwritten), default=0))
