"""`balcli sandbox`, and the sandbox that `--sandbox` runs beside one command."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from balcli.cli import completion
from balcli.cli.options import RunOptions
from balcli.cli.output import print_message, write_stdout
from balcli.errors import OutputError, UsageError
from balcli.text import closest, printable

if TYPE_CHECKING:
    from balcli.config.profile import Profile
    from balcli.sandbox import Sandbox

_NAME = "sandbox"


def register(app: typer.Typer, name: str, about: str) -> None:
    """Add the command."""
    app.command(name, help=about)(_sandbox)


def _sandbox(
    port: Annotated[
        int,
        typer.Option(
            "--port", metavar="N", min=0, max=65535, help="Listen on this port; 0 takes a free one."
        ),
    ] = 0,
    latency: Annotated[
        int,
        typer.Option("--latency", metavar="MS", min=0, max=60_000, help="Answer after so many milliseconds."),
    ] = 0,
    fault: Annotated[
        list[str] | None,
        typer.Option(
            "--fault",
            metavar="[PROVIDER:]NAME",
            help="Misbehave so; repeat for several.",
            autocompletion=completion.faults,
        ),
    ] = None,
    faults: Annotated[bool, typer.Option("--faults", help="List the faults and exit.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Do not log the requests on stderr.")] = False,
) -> None:
    if faults:
        from balcli.sandbox.faults import FAULTS

        lines = [f"{name:<18} {fault.code}  {fault.about}{fault.others}\n" for name, fault in FAULTS.items()]
        write_stdout(f"{'NAME':<17} EXIT  WHAT HAPPENS\n{''.join(lines)}")
        return
    with _started(port, latency / 1000, fault or [], log=not quiet) as server:
        write_stdout(f"# balcli sandbox at {server.url}; Ctrl-C ends it.\n\n{server.profile(_NAME)}")
        while True:
            time.sleep(3600)


@contextmanager
def sandbox_profile(options: RunOptions) -> Iterator["Profile"]:
    """The profile of a sandbox that runs for as long as the context does. Raises UsageError for an unknown fault."""
    from balcli.config.profile import parse
    from balcli.config.source import parse_toml
    from balcli.config.variables import Variables

    with _started(0, 0.0, options.fault or [], log=False) as server:
        # No variable of the environment may mix a real account in among the false ones.
        source = "the sandbox's profile"
        document = parse_toml(server.profile(_NAME), source)
        yield parse(document, source, Path(os.sep), name=_NAME, variables=Variables({}))


def _started(port: int, latency: float, faults: list[str], *, log: bool) -> "Sandbox":
    from balcli.sandbox import Sandbox, fault_names

    try:
        return Sandbox(port=port, latency=latency, faults=faults, heard=print_message if log else None)
    except ValueError as unknown:
        named = str(unknown)
        close = closest(named, fault_names(named))
        hint = "" if close is None else f"did you mean {close}? "
        raise UsageError(
            f"--fault: there is no {printable(named, 60)}; {hint}balcli sandbox --faults lists those that there are"
        ) from None
    except OSError as problem:
        raise OutputError(
            f"port {port} of 127.0.0.1 cannot be used: {problem.strerror}; try another --port"
        ) from None
