"""The stand-in for the three providers: what they answer, over real HTTP, on the loopback address alone.

It serves a first look, the README's examples and the tests. Nothing but the CLI and the tests imports it.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from balcli.sandbox.server import Question, Reply, Sandbox, json_reply

__all__ = ["Question", "Reply", "Sandbox", "json_reply"]


def __getattr__(name: str) -> Any:
    # The names of faults are completed, for which no HTTP server may be loaded.
    if name not in __all__:
        raise AttributeError(name)
    from balcli.sandbox import server

    return getattr(server, name)
