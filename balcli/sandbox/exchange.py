"""The requests and responses of the simulated providers."""

import json
from collections.abc import Callable, Mapping
from socket import socket
from types import MappingProxyType
from typing import NamedTuple, Protocol, TypeAlias

Script: TypeAlias = Callable[[socket, bytes], object]
"""A function that a server runs instead of sending the response, whose bytes it gets."""


class SandboxRequest(NamedTuple):
    """One request. The path has no provider prefix, and header names are in lower case."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes


class SandboxResponse(NamedTuple):
    """One response. If `script` is set, it is called with the response's bytes, and the connection then closes."""

    status: int
    body: bytes
    headers: Mapping[str, str] = MappingProxyType({"Content-Type": "application/json"})
    delay: float = 0.0
    """Seconds before the response starts."""
    script: Script | None = None

    def as_bytes(self) -> bytes:
        """The bytes of the response, with `Connection: close`."""
        lines = [
            f"HTTP/1.1 {self.status} Sandbox",
            *(f"{name}: {value}" for name, value in self.headers.items()),
        ]
        lines += ["Connection: close", f"Content-Length: {len(self.body)}"]
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + self.body


def whole(text: str) -> int | None:
    """The number of a text of digits; None for any other text."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else None


class FaultContext(NamedTuple):
    """A request, its normal response, and the number of requests for its path so far."""

    request: SandboxRequest
    good: SandboxResponse
    number: int


def json_response(payload: object, status: int = 200) -> SandboxResponse:
    """A response with a JSON body."""
    return SandboxResponse(status, json.dumps(payload, separators=(",", ":")).encode())


class StandIn(Protocol):
    """One simulated provider."""

    NAME: str
    BALANCES: str
    """The path of the balances, which most faults affect. Logins and token tables still work."""
    NAMES: str
    """The path of the response with the names of the assets."""
    LOGIN: str
    """The path of the login; "" without one."""

    def answer(self, request: SandboxRequest) -> SandboxResponse:
        """The provider's response."""

    def expire_tokens(self) -> None:
        """Expire all issued tokens."""

    def profile(self, base_url: str) -> str:
        """The lines of a profile for its accounts, with a `{table}` placeholder."""
