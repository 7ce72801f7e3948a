"""The stand-in for the three providers: what they answer, over real HTTP, on the loopback address alone.

It serves a first look, the README's examples and the tests. Nothing but the CLI and the tests imports it.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from balcli.sandbox.server import Sandbox, SandboxRequest, SandboxResponse, json_response

__all__ = ["Sandbox", "SandboxRequest", "SandboxResponse", "json_response"]


def __getattr__(name: str) -> Any:
    # The names of faults are completed, for which no HTTP server may be loaded.
    if name not in __all__:
        raise AttributeError(name)
    from balcli.sandbox import server

    return getattr(server, name)
