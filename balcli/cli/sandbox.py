"""`balcli sandbox`: a server that simulates the providers until Ctrl-C."""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from shlex import quote
from typing import Annotated, Final

import typer

from balcli.cli import completion
from balcli.cli.app import Command
from balcli.cli.options import in_home, latency_seconds
from balcli.cli.output import print_message, write_stdout
from balcli.cli.profiles import SANDBOX, start_sandbox, write_new_files
from balcli.config.sources import read_text
from balcli.errors import ConfigFileError

_ADDRESS: Final = re.compile(r'https?://[^\s";]+')

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command(cls=Command)
def sandbox(
    port: Annotated[
        int,
        typer.Option("--port", metavar="N", min=0, max=65535, help="Listen on this port (0: a free one)."),
    ] = 0,
    latency: Annotated[
        float | None,
        typer.Option(
            "--latency",
            metavar="MS",
            parser=latency_seconds,
            help="Delay each response by this many milliseconds [default: 0].",
        ),
    ] = None,
    fault: Annotated[
        list[str] | None,
        typer.Option(
            "--fault",
            metavar="[PROVIDER:]NAME",
            help="Simulate this fault (repeatable).",
            autocompletion=completion.faults,
        ),
    ] = None,
    profile: Annotated[
        Path | None,
        typer.Option(
            "--profile",
            metavar="FILE",
            callback=in_home,
            help="Write the profile to a new file, deleted on exit.",
        ),
    ] = None,
    faults: Annotated[bool, typer.Option("--faults", help="List the faults and exit.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Do not log requests to stderr.")] = False,
) -> None:
    """Run a server that simulates the providers, and print a profile.

    It listens only on 127.0.0.1 and runs until Ctrl-C. Its keys and figures are fake.
    The --profile file is kept if you edited it.
    """
    if faults:
        from balcli.sandbox.faults import FAULTS

        lines = [f"{name:<18} {fault.code}  {fault.about}{fault.others}\n" for name, fault in FAULTS.items()]
        write_stdout(f"{'NAME':<17} EXIT  WHAT HAPPENS\n{''.join(lines)}")
        return
    with start_sandbox(port, latency or 0.0, fault, log=not quiet) as server:
        text = f"# balcli sandbox at {server.url}; press Ctrl-C to stop.\n\n{server.profile(SANDBOX)}"
        with nullcontext() if profile is None else _written(profile, text):
            if profile is not None and not quiet:
                print_message(
                    f"sandbox at {server.url}; try balcli all -c {quote(str(profile))}; press Ctrl-C to stop"
                )
            write_stdout(text if profile is None else f"{profile}\n")
            while True:
                time.sleep(3600)


@contextmanager
def _written(file: Path, text: str) -> Iterator[None]:
    """A context with the profile file, removed at the end unless edited. Raises ConfigFileError if the path exists."""
    if _ADDRESS.sub("", _content(file)) == _ADDRESS.sub("", text):
        file.unlink()  # left by a killed sandbox
    write_new_files({file: text}, "remove it, or use another file with --profile")
    try:
        yield
    finally:
        if _content(file) == text:
            file.unlink()


def _content(file: Path) -> str:
    """The text of a regular file; empty if it cannot be read."""
    try:
        return read_text(file).text if file.is_file() else ""
    except ConfigFileError:
        return ""
