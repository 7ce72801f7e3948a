"""The live command tree, for tests of the documentation."""

from collections.abc import Iterator
from typing import Any

import typer

from balcli.cli.app import COMMANDS, app, load


def commands() -> Iterator[tuple[str, Any]]:
    """Every command and group, with its full name; the program's is `balcli`."""
    yield "balcli", typer.main.get_command(app)
    for name, command in ((name, load(name)) for name in COMMANDS):
        yield name, command
        yield from ((f"{name} {below}", inner) for below, inner in getattr(command, "commands", {}).items())


def options() -> list[tuple[str, str]]:
    """Every long option, with the name of its command."""
    return [
        (name, option)
        for name, command in commands()
        for parameter in command.params
        for option in (*parameter.opts, *parameter.secondary_opts)
        if option.startswith("--")
    ]
