"""The official MCP client in a session with `balcli mcp`, for tests of both versions of the protocol."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import pytest
from jsonschema import Draft202012Validator

from tests.conftest import Program, closed

needs_sdk: Final = pytest.mark.skipif(
    find_spec("mcp") is None, reason="the MCP SDK is not installed (pip install '.[mcp]')"
)
ERAS: Final = {"legacy": "2025-11-25", "auto": "2026-07-28"}
"""The protocol version of each client mode: the handshake, and `server/discover`."""


class Session:
    """A client's connection to a server. Every result is checked against its tool's schema."""

    def __init__(self, client: Any, tools: list[Any]) -> None:
        self.client = client
        self.tools = {tool.name: tool for tool in tools}

    async def call(self, name: str, /, **arguments: Any) -> Any:
        """The result of a call."""
        result = await self.client.call_tool(name, arguments)
        document = result.structured_content
        if document is not None:
            validator = Draft202012Validator(closed(self.tools[name].output_schema))
            assert [] == [f"{error.json_path}: {error.message}" for error in validator.iter_errors(document)]
            assert document == json.loads(result.content[0].text)
        return result


@asynccontextmanager
async def connected(
    program: Program, *arguments: str, mode: str = "auto", **env: str
) -> AsyncIterator[Session]:
    """A session with `balcli mcp ARGUMENTS`. Its stderr goes to the file `err` in the program's folder."""
    from mcp import Client
    from mcp.client.stdio import StdioServerParameters, stdio_client

    server = StdioServerParameters(
        command=str(Path(sys.executable).with_name("balcli")),
        args=["mcp", *arguments],
        env=program.environment(env),
        cwd=program.folder,
    )
    with (program.folder / "err").open("w") as err:
        async with Client(stdio_client(server, errlog=err), mode=mode) as client:
            yield Session(client, (await client.list_tools()).tools)


def in_session(
    work: Callable[[Session], Awaitable[None]], program: Program, *arguments: str, **settings: str
) -> list[str]:
    """Do something in a session. Returns the lines that the server wrote to stderr."""

    async def run() -> None:
        async with connected(program, *arguments, **settings) as session:
            await work(session)

    asyncio.run(run())
    return (program.folder / "err").read_text().splitlines()


def call_every_tool(program: Program, mode: str) -> None:
    """Fail the test unless every tool answers a client in this mode, and stderr has a line for each call."""
    from balcli.cli.tools import TOOLS

    program.run("all", "--sandbox", "--record")
    program.run("all", "--sandbox", "--record", "--fault", "minus")

    async def work(session: Session) -> None:
        assert ERAS[mode] == session.client.protocol_version
        assert "null means unknown, not zero" in session.client.instructions
        assert [*TOOLS] == [*session.tools]
        for tool in session.tools.values():
            hints = tool.annotations
            assert (True, True, False) == (
                hints.read_only_hint,
                hints.idempotent_hint,
                hints.destructive_hint,
            )
        balances, check, accounts, history, run, changes, diagnosis, refused = await asyncio.gather(
            session.call("get_balances", assets=["usdt"], totals_only=True, nonzero=True),
            session.call("check_limits"),
            session.call("list_accounts"),
            session.call("get_history", assets=["USDT"], accounts=["shop"], since="7d"),
            session.call("get_run", at="1"),
            session.call("get_changes", **{"from": "1", "to": "2"}),
            session.call("diagnose", accounts=["shop"]),
            session.call("get_balances", accounts=["--config=/etc/passwd"]),
        )
        assert [("USDT", "57506.64")] == [
            (total["asset"], total["total"]) for total in balances.structured_content["totals"]
        ]
        assert ("UNKNOWN", 3, False) == (
            check.structured_content["state"],
            check.meta["exit_code"],
            check.is_error,
        )
        assert ["loopring", "treasury", "payouts", "shop"] == [
            each["account"] for each in accounts.structured_content["accounts"]
        ]
        assert ["5000", "-5"] == [
            point["total"] for point in history.structured_content["series"][0]["points"]
        ]
        assert "history.past_run" in [each["code"] for each in run.structured_content["warnings"]]
        assert (True, 1, False) == (
            changes.structured_content["different"],
            changes.meta["exit_code"],
            changes.is_error,
        )
        assert diagnosis.structured_content["ok"]
        assert (True, None) == (refused.is_error, refused.structured_content)

    other = {"BALCLI_CONFIG": "/nonexistent/x.toml", "BALCLI_PROFILE": "main"}
    lines = in_session(work, program, "--sandbox", mode=mode, **other)
    assert sorted(
        [
            *(f"balcli: mcp: {name}: exit code" for name in TOOLS),
            "balcli: mcp: get_balances: refused arguments",
        ]
    ) == sorted(" ".join(line.split()[:5]) for line in lines)
    assert not any(text in line for line in lines for text in ("USDT", "usdt", "shop", "passwd"))
