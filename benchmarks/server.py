"""The loopback server: a separate process, with a port per provider with and without TLS, and a set latency.

The latency is one round trip between a request and its response. Connecting has none. The process ends when its
stdin is closed.
"""

import asyncio
import json
import re
import ssl
import subprocess
import sys
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Final, NamedTuple, Self

from benchmarks.answers import CREDENTIALS, answer

_HOST: Final = "127.0.0.1"
_HEAD_END: Final = b"\r\n\r\n"
_CONTROL: Final = "/-/"
_LENGTH: Final = re.compile(rb"\r\ncontent-length: *([0-9]+)", re.IGNORECASE)
_NAME: Final = re.compile(rb"\r\n[^:]+:")


class Log(NamedTuple):
    """The requests since the log was last read."""

    requests: int
    connections: int
    together: int
    """The most requests that waited at the same time."""


class Server:
    """A running server, as a context. `certificate` is a PEM file with the key; without it there is no TLS."""

    def __init__(self, certificate: Path | None) -> None:
        arguments = [] if certificate is None else [str(certificate)]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.server", *arguments],
            cwd=Path(__file__).parent.parent,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        stdout = self._process.stdout
        self._ports: dict[str, int] = json.loads(stdout.readline()) if stdout else {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.communicate()

    def url(self, provider: str, scheme: str = "http") -> str:
        """The base_url of a provider. Each provider has its own port."""
        return f"{scheme}://{_HOST}:{self._ports[f'{scheme} {provider}']}"

    def set_latency(self, seconds: float) -> None:
        """Delay every response by that many seconds."""
        self._control(f"latency/{seconds}")

    def log(self) -> Log:
        """The requests since the last call."""
        return Log(*json.loads(self._control("log")))

    def _control(self, path: str) -> bytes:
        # Without the environment's proxies, because the server is on loopback.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"{self.url('wallet')}{_CONTROL}{path}") as reply:
            content: bytes = reply.read()
            return content


class _State:
    """Shared by the ports: the latency in seconds, and the log's counts."""

    def __init__(self) -> None:
        self.latency = 0.0
        self.waiting = 0
        self.clear()

    def clear(self) -> None:
        self.requests = self.connections = self.together = 0

    def obey(self, path: str) -> bytes:
        """The response to one of the benchmark's own requests."""
        told: object = None
        name, _, value = path.removeprefix(_CONTROL).partition("/")
        if name == "latency":
            self.latency = float(value)
        else:
            told = (self.requests, self.connections, self.together)
            self.clear()
        body = json.dumps(told).encode()
        return b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


class _Connection(asyncio.Protocol):
    """One connection to a provider's port, kept open until the client closes it."""

    def __init__(self, provider: str, state: _State) -> None:
        self._provider = provider
        self._state = state
        self._buffer = b""
        self._new = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(_HEAD_END)) >= 0:
            head = self._buffer[: end + 2]
            length = _LENGTH.search(head)
            after = end + len(_HEAD_END)
            whole = after + (int(length[1]) if length else 0)
            if len(self._buffer) < whole:
                return
            body, self._buffer = self._buffer[after:whole], self._buffer[whole:]
            self._serve(head, body)

    def _serve(self, head: bytes, body: bytes) -> None:
        line, _, _ = head.partition(b"\r\n")
        method, url, _ = line.decode("latin-1").split(" ")
        state = self._state
        if url.startswith(_CONTROL):
            self._transport.write(state.obey(url))
            self._transport.close()
            return
        state.requests += 1
        state.connections += self._new
        self._new = False
        state.waiting += 1
        state.together = max(state.together, state.waiting)
        headers = _NAME.sub(lambda name: name[0].lower(), head)
        reply = answer(self._provider, method, url, headers, body)
        if state.latency:
            asyncio.get_running_loop().call_later(state.latency, self._send, reply)
        else:
            self._send(reply)

    def _send(self, reply: bytes) -> None:
        self._state.waiting -= 1
        if not self._transport.is_closing():
            self._transport.write(reply)


async def _serve(certificate: str | None) -> None:
    """Serve on free ports, which are printed to stdout, until stdin is closed."""
    state, ports = _State(), {}
    loop = asyncio.get_running_loop()
    for scheme in ("http", "https") if certificate else ("http",):
        context = None
        if scheme == "https" and certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
        for provider in CREDENTIALS:

            def connection(provider: str = provider) -> _Connection:
                return _Connection(provider, state)

            listening = await loop.create_server(connection, _HOST, 0, ssl=context, backlog=1024)
            ports[f"{scheme} {provider}"] = listening.sockets[0].getsockname()[1]
    print(json.dumps(ports), flush=True)
    await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1] if len(sys.argv) > 1 else None))
