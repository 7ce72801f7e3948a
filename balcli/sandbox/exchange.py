"""A request as it arrived and a response as it goes out: what the stand-ins receive and return."""

import json
from collections.abc import Callable, Mapping
from socket import socket
from types import MappingProxyType
from typing import NamedTuple, Protocol, TypeAlias

Script: TypeAlias = Callable[[socket, bytes], object]
"""What a server does with a connection instead of answering well; it may look at the bytes it is given."""


class SandboxRequest(NamedTuple):
    """One request to a stand-in; the path is without its prefix, header names are in lower case."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes


class SandboxResponse(NamedTuple):
    """One answer. `script` does the sending, gets the bytes of the whole answer for it, and ends the connection."""

    status: int
    body: bytes
    headers: Mapping[str, str] = MappingProxyType({"Content-Type": "application/json"})
    delay: float = 0.0
    """Seconds before the answer begins."""
    script: Script | None = None

    def as_bytes(self) -> bytes:
        """The whole answer, as it goes out over a connection that ends with it."""
        lines = [
            f"HTTP/1.1 {self.status} Sandbox",
            *(f"{name}: {value}" for name, value in self.headers.items()),
        ]
        lines += ["Connection: close", f"Content-Length: {len(self.body)}"]
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + self.body


def whole(text: str) -> int | None:
    """The whole number that a text of digits is; None for anything else."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else None


class FaultContext(NamedTuple):
    """A request, the good response to it, and how many times its path was asked, this time included."""

    request: SandboxRequest
    good: SandboxResponse
    number: int


def json_response(payload: object, status: int = 200) -> SandboxResponse:
    """A response with a JSON body."""
    return SandboxResponse(status, json.dumps(payload, separators=(",", ":")).encode())


class StandIn(Protocol):
    """The stand-in of one provider."""

    NAME: str
    BALANCES: str
    """The path of the balances, where most faults play: logins and token tables stay well."""
    NAMES: str
    """The path of the answer that names the assets."""
    LOGIN: str
    """The path where a credential is given for a token; "" if there is none."""

    def answer(self, request: SandboxRequest) -> SandboxResponse:
        """What the provider would answer."""

    def expire_tokens(self) -> None:
        """Let no token that was given out so far work any more."""

    def profile(self, base_url: str) -> str:
        """The lines of a profile that reach its accounts, with a `{table}` to fill in."""
