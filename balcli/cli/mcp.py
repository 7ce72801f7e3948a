"""`balcli mcp`: a read-only server for AI assistants on stdin and stdout, of the Model Context Protocol."""

import os
import sys
from contextlib import redirect_stdout
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import typer

from balcli import pipes
from balcli.cli import options
from balcli.cli.app import Command
from balcli.cli.output import is_interactive, print_message
from balcli.cli.profiles import SANDBOX, default_file
from balcli.errors import ConfigFileError, OutputError, UsageError
from balcli.files import shown

_FIFO: Final = "it is a FIFO, and each call of balcli mcp reads it again"

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command("mcp", cls=Command)
def serve(
    config: options.ConfigFile = None,
    profile: options.ProfileName = None,
    env_file: options.EnvFile = None,
    sandbox: options.UseSandbox = False,
    fault: options.Faults = None,
) -> None:
    """Serve balances to AI assistants, read-only, over stdio.

    It speaks the Model Context Protocol and needs the mcp extra. Each call runs balcli with this profile.
    """
    options.validate_faults(fault, sandbox=sandbox)
    if find_spec("mcp") is None:
        raise UsageError(f"balcli mcp needs the MCP SDK; install it with: {_install_command()}")
    if not sandbox:
        _refuse_fifos(config or default_file(), env_file)
    if sys.stdin is None or sys.__stdout__ is None:
        raise OutputError(
            "stdin or stdout is closed; let an MCP client start balcli mcp with a pipe for each"
        )
    if is_interactive():
        print_message("note: waiting for an MCP client on stdin; press Ctrl-C to stop")
    if sandbox:  # regardless of what the environment names
        config, profile, env_file = None, SANDBOX, None
    os.environ[pipes.REFUSAL] = _FIFO
    from balcli.cli.tools import serve_stdio  # imported here, because it needs the SDK

    with redirect_stdout(sys.__stdout__):
        serve_stdio(
            {
                "--config": config,
                "--profile": profile,
                "--env-file": env_file,
                "--sandbox": sandbox,
                "--fault": fault,
            }
        )


def _install_command() -> str:
    """The command that adds the SDK to the environment that balcli runs in."""
    from importlib import metadata  # both imported here, because they are rarely needed
    from shlex import quote

    requirements = (each.partition(";") for each in metadata.requires("balcli") or ())
    sdk = " ".join(quote(name.strip()) for name, _, marker in requirements if "mcp" in marker)
    environment = Path(sys.prefix)
    if (environment / "pipx_metadata.json").is_file():
        return f"pipx inject {environment.name} {sdk}"
    if (environment / "uv-receipt.toml").is_file():
        return f"uv pip install --python {quote(sys.executable)} {sdk}"
    return f"{quote(sys.executable)} -m pip install {sdk}"


def _refuse_fifos(config: Path, env_file: Path | None) -> None:
    """Raise ConfigFileError for a profile or `.env` that is a FIFO."""
    for path in (config, env_file or config.with_name(".env")):
        if path.is_fifo():
            raise ConfigFileError(f"{shown(path)} cannot be read: {_FIFO}; use a regular file")
