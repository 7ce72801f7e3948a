"""`balcli sandbox`: a stand-in for the providers that serves until Ctrl-C."""

import time
from typing import Annotated

import typer

from balcli.cli import completion
from balcli.cli.app import Command
from balcli.cli.options import latency_seconds
from balcli.cli.output import write_stdout
from balcli.cli.profiles import SANDBOX, start_sandbox

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command(cls=Command)
def sandbox(
    port: Annotated[
        int,
        typer.Option(
            "--port", metavar="N", min=0, max=65535, help="Listen on this port; 0 takes a free one."
        ),
    ] = 0,
    latency: Annotated[
        float | None,
        typer.Option(
            "--latency",
            metavar="MS",
            parser=latency_seconds,
            help="Answer after so many milliseconds [default: 0].",
        ),
    ] = None,
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
    """Run a stand-in for the providers, and print a profile.

    It listens on 127.0.0.1 alone and runs until Ctrl-C. Its keys are false and its figures are invented.
    """
    if faults:
        from balcli.sandbox.faults import FAULTS

        lines = [f"{name:<18} {fault.code}  {fault.about}{fault.others}\n" for name, fault in FAULTS.items()]
        write_stdout(f"{'NAME':<17} EXIT  WHAT HAPPENS\n{''.join(lines)}")
        return
    with start_sandbox(port, latency or 0.0, fault, log=not quiet) as server:
        write_stdout(f"# balcli sandbox at {server.url}; Ctrl-C ends it.\n\n{server.profile(SANDBOX)}")
        while True:
            time.sleep(3600)
