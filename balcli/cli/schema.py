"""`balcli schema`: the JSON Schema of what the balance commands print."""

from typing import Annotated

import typer

from balcli.cli import streams


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("schema")(schema)


def schema(
    lines: Annotated[
        bool, typer.Option("--lines", help="Of a line of -o jsonl, not of the -o json document.")
    ] = False,
) -> None:
    """Print the JSON Schema of -o json."""
    from balcli.render.schema import render

    streams.write_data(render(lines=lines))
