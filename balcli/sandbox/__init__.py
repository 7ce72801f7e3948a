"""A server that simulates the three providers, over real HTTP, only on the loopback address.

It is for trying balcli, for the README's examples, and for the tests. Only the CLI and the tests import it.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from balcli.sandbox.server import Sandbox, SandboxRequest, SandboxResponse, json_response

__all__ = ["Sandbox", "SandboxRequest", "SandboxResponse", "json_response"]


def __getattr__(name: str) -> Any:
    # Completion of fault names must not import an HTTP server.
    if name not in __all__:
        raise AttributeError(name)
    from balcli.sandbox import server

    return getattr(server, name)
