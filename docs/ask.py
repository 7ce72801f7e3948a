"""Calls tools of an MCP server with the official client and prints the conversation, without its times.

`python docs/ask.py "balcli mcp --sandbox" 'get_balances {"assets": ["USDT"]}'`, with the extra `mcp` installed.
"""

import asyncio
import json
import shlex
import sys

from mcp import Client
from mcp.client.stdio import StdioServerParameters

SHOWN = ("complete", "totals", "state", "accounts", "errors")
"""The keys of a document that are printed."""


def without_times(value: object) -> object:
    """A value without the times in it, which differ from one run to the next."""
    if isinstance(value, list):
        return [without_times(each) for each in value]
    if isinstance(value, dict):
        return {key: without_times(each) for key, each in value.items() if not key.endswith("_at")}
    return value


async def ask(server: str, calls: list[str]) -> None:
    """Start the server, and make the calls one after the other."""
    command, *arguments = shlex.split(server)
    async with Client(StdioServerParameters(command=command, args=arguments)) as client:
        print(f"protocol {client.protocol_version}")
        print(f"tools    {', '.join(tool.name for tool in (await client.list_tools()).tools)}")
        for call in calls:
            name, _, given = call.partition(" ")
            result = await client.call_tool(name, json.loads(given or "{}"))
            exit_code = (result.meta or {}).get("exit_code", "none")
            print(f"\n> {call}\n{'an error' if result.is_error else 'a result'}, exit code {exit_code}")
            if result.structured_content is None:
                print(result.content[0].text)
                continue
            for key in SHOWN:
                value = result.structured_content.get(key)
                many = isinstance(value, list) and value
                lines = (
                    [f"  {json.dumps(without_times(each))}" for each in value]
                    if many
                    else [json.dumps(value)]
                )
                if key in result.structured_content:
                    print(f"{key}:", *lines, sep="\n" if many else " ")


if __name__ == "__main__":
    asyncio.run(ask(sys.argv[1], sys.argv[2:]))
