"""The sandbox server: a port and a path prefix for each provider, and a log of requests."""

import socket
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import parse_qsl, urlsplit

from balcli.sandbox.exchange import (
    FaultContext,
    SandboxRequest,
    SandboxResponse,
    StandIn,
    json_response,
    whole,
)
from balcli.sandbox.faults import EXPIRED, FAULTS, HERE
from balcli.sandbox.loopring import Loopring
from balcli.sandbox.merchant import Merchant
from balcli.sandbox.wallet import Wallet

__all__ = ["Sandbox", "SandboxRequest", "SandboxResponse", "json_response"]

_STAND_INS: Final[tuple[Callable[[], StandIn], ...]] = (Loopring, Wallet, Merchant)
_LOOPBACK: Final = "127.0.0.1"


class Sandbox:
    """A server that simulates the providers inside its `with` block.

    Each provider has its own port, unless a `port` is given. All of them respond at `url`. `latency` is in seconds.
    `faults` are `NAME` or `PROVIDER:NAME`. `scripted` has the responses for a path, such as `/wallet/v2/balance`, in
    order; the last one is repeated. `stand_ins` are added to the simulated providers, or replace them.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        latency: float = 0.0,
        stand_ins: Iterable[StandIn] = (),
        faults: Iterable[str] = (),
        scripted: Mapping[str, list[SandboxResponse]] | None = None,
        log_line: Callable[[str], None] | None = None,
    ) -> None:
        self.latency = latency
        self.scripted = dict(scripted or {})
        self.log: list[SandboxRequest] = []
        """All requests, in order of arrival, with the provider's prefix in the path."""
        self._stand_ins: dict[str, StandIn] = {
            stand_in.NAME: stand_in for stand_in in (make() for make in _STAND_INS)
        }
        self._stand_ins |= {stand_in.NAME: stand_in for stand_in in stand_ins}
        self._faults = self._by_provider(faults)
        self._counts: Counter[str] = Counter()
        self._log_line = log_line
        self._lock = threading.Lock()
        self._server = _Server((_LOOPBACK, port), _handler(self))
        # Two unserved ports: one refuses connections, the other accepts them and never responds.
        self._closed, self._deaf = socket.socket(), socket.create_server((_LOOPBACK, 0))
        self._closed.bind((_LOOPBACK, 0))
        self._own = {} if port else {name: socket.create_server((_LOOPBACK, 0)) for name in self._stand_ins}
        self._listeners = (self._server.socket, *self._own.values())

    @property
    def url(self) -> str:
        """The base URL, without a trailing slash."""
        return f"http://{_LOOPBACK}:{self._server.server_address[1]}"

    def profile(self, name: str = "sandbox") -> str:
        """The TOML text of a profile with all its accounts."""
        return "\n".join(
            stand_in.profile(f"{self.address(stand_in.NAME)}/{stand_in.NAME}").format(
                table=f"profiles.{name}"
            )
            for stand_in in self._stand_ins.values()
        )

    def address(self, provider: str) -> str:
        """The URL of a provider's host, without a trailing slash, possibly changed by a fault."""
        places = {
            "here": self._own.get(provider, self._server.socket),
            "closed": self._closed,
            "deaf": self._deaf,
        }
        hosts = {place: f"{_LOOPBACK}:{held.getsockname()[1]}" for place, held in places.items()}
        addresses = [FAULTS[fault].address for fault in self._faults[provider]]
        return next((text for text in addresses if text != HERE), HERE).format(**hosts)

    def start(self) -> Self:
        """Serve each port in its own thread."""
        for listener in self._listeners:
            threading.Thread(target=self._serve, args=(listener,), daemon=True).start()
        return self

    def _serve(self, listener: socket.socket) -> None:
        """Serve at one port until it is closed."""
        with suppress(OSError):
            while True:
                self._server.process_request(*listener.accept())

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        for listener in self._listeners:
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)  # interrupts accept()
        for each in (self._closed, self._deaf, *self._listeners):
            each.close()

    def answer(self, request: SandboxRequest) -> SandboxResponse:
        """The response to a request whose path has the provider's prefix."""
        _, prefix, *rest = request.path.split("/")
        stand_in = self._stand_ins.get(prefix)
        with self._lock:
            self.log.append(request)
            self._counts[request.path] += 1
            count = self._counts[request.path]
            script = self.scripted.get(request.path)
            scripted = script[min(count, len(script)) - 1] if script else None
        if scripted is not None:
            response = scripted
        elif stand_in is None:
            response = SandboxResponse(404, b"")
        else:
            path = "/" + "/".join(rest)
            if EXPIRED in self._faults[prefix] and path == stand_in.BALANCES and count == 1:
                stand_in.expire_tokens()
            response = stand_in.answer(
                SandboxRequest(request.method, path, request.query, request.headers, request.body)
            )
            places = {
                "balances": stand_in.BALANCES,
                "names": stand_in.NAMES,
                "login": stand_in.LOGIN,
                "all": path,
            }
            for fault in (FAULTS[name] for name in self._faults[prefix]):
                if path == places[fault.where]:
                    response = fault.play(FaultContext(request, response, count))
        if self._log_line is not None:
            self._log_line(f"{request.method} {request.path} {response.status}")
        time.sleep(self.latency + response.delay)
        return response

    def _by_provider(self, faults: Iterable[str]) -> defaultdict[str, list[str]]:
        found: defaultdict[str, list[str]] = defaultdict(list)
        for text in faults:
            provider, colon, name = text.rpartition(":")
            if name not in FAULTS or (colon and provider not in self._stand_ins):
                raise ValueError(text)
            for prefix in [provider] if colon else self._stand_ins:
                found[prefix].append(name)
        return found


class _Server(ThreadingTCPServer):
    """Replaces http.server's class, which looks up the host's name."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Do nothing: clients may disconnect."""


def _handler(sandbox: Sandbox) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        server_version = "balcli-sandbox"
        sys_version = ""
        # Send the response in one segment, to avoid waiting for an acknowledgement.
        wbufsize = -1
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            self._serve()

        def do_POST(self) -> None:
            self._serve()

        def _serve(self) -> None:
            parts = urlsplit(self.path)
            length = whole(self.headers.get("Content-Length") or "0")
            if length is None:
                self.send_error(400)
                return
            request = SandboxRequest(
                self.command,
                parts.path,
                dict(parse_qsl(parts.query, keep_blank_values=True)),
                {name.lower(): value for name, value in self.headers.items()},
                self.rfile.read(length),
            )
            response = sandbox.answer(request)
            if response.script is not None:
                self.close_connection = True
                response.script(self.connection, response.as_bytes())
                return
            self.send_response(response.status)
            for name, value in response.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(response.body)))
            self.end_headers()
            self.wfile.write(response.body)
            self.wfile.flush()

        def log_message(self, *_: Any) -> None:
            """Do nothing: the sandbox has its own log."""

    return Handler
