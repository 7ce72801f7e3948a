"""`balcli help`, `balcli version` and `balcli completion`: commands that do the same as the corresponding options."""

from collections.abc import Callable
from enum import StrEnum
from typing import Annotated

import typer

from balcli.cli.app import COMMANDS, Command, load
from balcli.cli.app import app as program
from balcli.cli.completion import offered


class Shell(StrEnum):
    """A shell that balcli has a completion script for."""

    bash = "bash"
    zsh = "zsh"
    fish = "fish"


def app_for(name: str, about: str) -> typer.Typer:
    """The Typer app of one of these commands, with `about` as its help."""
    app = typer.Typer(add_completion=False, rich_markup_mode=None)
    commands: dict[str, Callable[..., None]] = {
        "help": show_help,
        "version": show_version,
        "completion": print_script,
    }
    app.command(name, cls=Command, help=about)(commands[name])
    return app


def _commands(context: typer.Context, incomplete: str) -> list[str]:
    """The matching commands, or the matching subcommands of the given command."""
    given = [name for name in context.params.get("commands") or () if name in COMMANDS]
    return offered([*(getattr(load(given[0]), "commands", ()) if given else COMMANDS)], incomplete)


def show_help(
    commands: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[COMMAND]...",
            help="The command, for example config init.",
            show_default=False,
            autocompletion=_commands,
        ),
    ] = None,
) -> None:
    """Print what `balcli COMMAND --help` prints."""
    _run(*(commands or ()), "--help")


def show_version() -> None:
    """Print what `balcli --version` prints."""
    _run("--version")


def print_script(
    shell: Annotated[Shell, typer.Argument(metavar="SHELL", help="The shell.", show_default=False)],
) -> None:
    """Print what `balcli --show-completion` prints in that shell."""
    from typer._completion_shared import get_completion_script  # not public in Typer

    typer.echo(get_completion_script(prog_name="balcli", complete_var="_BALCLI_COMPLETE", shell=shell))


def _run(*arguments: str) -> None:
    program(arguments, prog_name="balcli", standalone_mode=False)
