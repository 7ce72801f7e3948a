"""`balcli mcp`: a read-only server for AI assistants on stdin and stdout, of the Model Context Protocol."""

import json
import os
import signal
import sys
import time
from collections.abc import Mapping
from contextlib import redirect_stdout, suppress
from importlib.util import find_spec
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, Final, NoReturn

import typer

from balcli import __version__, pipes, signals
from balcli.cli import options
from balcli.cli.app import Command
from balcli.cli.output import ReaderGone, is_interactive, print_message
from balcli.cli.profiles import SANDBOX, default_file
from balcli.errors import ConfigFileError, OutputError, UsageError
from balcli.files import shown

if TYPE_CHECKING:
    from mcp_types import CallToolRequestParams, CallToolResult, ListToolsResult

_AT_ONCE: Final = 4
_SECONDS_TO_END: Final = 2.0
"""How long a cancelled run has to end its secrets' commands, before it is killed."""
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

    It speaks the Model Context Protocol and needs the extra mcp. Each call is a run of balcli with this profile.
    """
    options.validate_faults(fault, sandbox=sandbox)
    if find_spec("mcp") is None:
        raise UsageError(f"balcli mcp needs the MCP SDK; install it with: {_install_command()}")
    if not sandbox:
        _refuse_fifos(config or default_file(), env_file)
    if sys.stdin is None or sys.__stdout__ is None:
        raise OutputError("stdin or stdout is closed; a client starts balcli mcp with pipes for both")
    if is_interactive():
        print_message("note: waiting for an MCP client on stdin; Ctrl-C ends it")
    texts = {"--config": config, "--profile": profile, "--env-file": env_file}
    if sandbox:  # whatever the environment names
        texts = {"--config": None, "--profile": SANDBOX, "--env-file": None}
    fixed = {option: [] if text is None else [f"{option}={text}"] for option, text in texts.items()}
    fixed["--fault"] = [f"--fault={name}" for name in fault or ()]
    fixed["--sandbox"] = ["--sandbox"] if sandbox else []
    with redirect_stdout(sys.__stdout__):
        _serve_stdio(fixed)


def _install_command() -> str:
    """The command that adds the SDK to the environment that balcli runs in."""
    from importlib import metadata  # both here, because they are hardly ever needed
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


def _serve_stdio(fixed: Mapping[str, list[str]]) -> None:
    """Serve until stdin ends. Raises ReaderGone if the client closed stdout."""
    import asyncio
    import logging

    from mcp.server import Server
    from mcp.server.stdio import stdio_server

    from balcli.cli.tools import INSTRUCTIONS

    logging.disable()  # the SDK's messages have values in them
    calls = _Calls(fixed)
    server = Server(
        "balcli",
        version=__version__,
        instructions=INSTRUCTIONS,
        on_list_tools=_list_tools,
        on_call_tool=calls.call,
    )

    async def serve_stdio() -> None:
        async with stdio_server() as (reading, writing):
            await server.run(reading, writing, server.create_initialization_options())

    for number in signals.ENDING:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, calls.end)
    try:
        asyncio.run(serve_stdio())
    except BaseExceptionGroup as group:
        if group.subgroup(BrokenPipeError) is None:
            raise
        raise ReaderGone from None


async def _list_tools(_context: Any, _params: Any) -> "ListToolsResult":
    from mcp_types import ListToolsResult, Tool, ToolAnnotations

    from balcli.cli.tools import TOOLS, output_schema

    return ListToolsResult(
        tools=[
            Tool(
                name=name,
                title=tool["title"],
                description=tool["description"],
                input_schema=tool["input"],
                output_schema=output_schema(name),
                annotations=ToolAnnotations(
                    read_only_hint=True,
                    destructive_hint=False,
                    idempotent_hint=True,
                    open_world_hint="--fault" in tool["fixed"],
                ),
            )
            for name, tool in TOOLS.items()
        ]
    )


class _Calls:
    """Answers calls of tools, each with a run of balcli in a process of its own."""

    def __init__(self, fixed: Mapping[str, list[str]]) -> None:
        import asyncio

        self._fixed = fixed
        self._free = asyncio.Semaphore(_AT_ONCE)
        self._running: set[int] = set()

    async def call(self, _context: Any, params: "CallToolRequestParams") -> "CallToolResult":
        """The result of a call. Raises MCPError for a tool that does not exist."""
        from jsonschema import Draft202012Validator
        from jsonschema.exceptions import best_match
        from mcp import MCPError
        from mcp_types import INVALID_PARAMS

        from balcli.cli.tools import TOOLS, command_line

        name, arguments = params.name, params.arguments or {}
        if name not in TOOLS:
            print_message("mcp: refused a call of an unknown tool")
            raise MCPError(INVALID_PARAMS, f"unknown tool; the tools are {', '.join(TOOLS)}")
        wrong = best_match(Draft202012Validator(TOOLS[name]["input"]).iter_errors(arguments))
        if wrong is not None:
            print_message(f"{name}: refused arguments that break its schema", "mcp")
            return _error(f"{wrong.json_path}: {wrong.message}")
        begun, ending = time.monotonic(), "cancelled"
        try:
            async with self._free:
                code, printed = await self._run(command_line(name, arguments, self._fixed))
            ending = f"exit code {code}"
        except (OSError, ValueError):  # a text with a NUL or half of a surrogate pair
            ending = "not started"
            return _error("balcli could not be started with these arguments")
        finally:
            print_message(f"{name}: {ending} after {time.monotonic() - begun:.1f} s", "mcp")
        return _result(name, code, printed)

    async def _run(self, arguments: list[str]) -> tuple[int, bytes]:
        """The exit code of a run of balcli and what it prints. Raises OSError and ValueError where it cannot start."""
        import asyncio

        from anyio import move_on_after

        # -P: no module comes from the folder that the client starts the server in.
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "balcli", *arguments),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env={**os.environ, pipes.REFUSAL: _FIFO},
            start_new_session=True,
        )
        self._running.add(process.pid)
        try:
            printed, _ = await process.communicate()
        except asyncio.CancelledError:
            _signal_group(process.pid, signal.SIGTERM)
            with move_on_after(_SECONDS_TO_END, shield=True):
                await process.wait()
            if process.returncode is None:
                _signal_group(process.pid, signal.SIGKILL)
            raise
        finally:
            self._running.discard(process.pid)
        return process.returncode or 0, printed

    def end(self, number: int, _frame: FrameType | None) -> NoReturn:
        """End all runs and this process at a signal. A normal exit would wait for the thread that reads stdin."""
        for leader in self._running:
            _signal_group(leader, signal.SIGTERM)
        os._exit(128 + number)


def _signal_group(leader: int, number: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(leader, number)


def _result(name: str, code: int, printed: bytes) -> "CallToolResult":
    """What a tool returns for a run that ended with this code and printed that."""
    from mcp_types import CallToolResult, TextContent

    from balcli.cli.tools import TOOLS, answer

    try:
        document = answer(name, printed)
    except ValueError:
        return _error(f"balcli ended with exit code {code} and printed no document", exit_code=code)
    return CallToolResult(
        content=[TextContent(text=json.dumps(document, separators=(",", ":")))],
        structured_content=document,
        is_error=code not in TOOLS[name]["results"],
        _meta={"exit_code": code},
    )


def _error(message: str, **meta: int) -> "CallToolResult":
    from mcp_types import CallToolResult, TextContent

    return CallToolResult(content=[TextContent(text=message)], is_error=True, _meta=meta)
