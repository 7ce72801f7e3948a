"""The stand-in's server: a port and a path prefix for each provider, a log of what was asked."""

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

from balcli.sandbox.exchange import Part, Question, Reply, Turn, json_reply, whole
from balcli.sandbox.faults import EXPIRED, FAULTS, HERE
from balcli.sandbox.loopring import Loopring
from balcli.sandbox.merchant import Merchant
from balcli.sandbox.wallet import Wallet

__all__ = ["Question", "Reply", "Sandbox", "json_reply"]

_PARTS: Final[tuple[Callable[[], Part], ...]] = (Loopring, Wallet, Merchant)
_LOOPBACK: Final = "127.0.0.1"


class Sandbox:
    """A running stand-in, as a context: it serves from `with` to its end.

    Each provider has a port of its own, as its host has in earnest, unless a `port` is named; at `url`
    all of them answer. `latency` is in seconds. `faults` are `NAME` or `PROVIDER:NAME`. `scripted` replaces what a part
    answers to a path, such as `/wallet/v2/balance`: the replies in turn, the last one for ever.
    `parts` are added to the providers' own, or stand in their place.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        latency: float = 0.0,
        parts: Iterable[Part] = (),
        faults: Iterable[str] = (),
        scripted: Mapping[str, list[Reply]] | None = None,
        heard: Callable[[str], None] | None = None,
    ) -> None:
        self.latency = latency
        self.scripted = dict(scripted or {})
        self.log: list[Question] = []
        """Every question, in the order of arrival, with the part's prefix in its path."""
        self._parts: dict[str, Part] = {part.NAME: part for part in (make() for make in _PARTS)}
        self._parts |= {part.NAME: part for part in parts}
        self._faults = self._by_part(faults)
        self._counts: Counter[str] = Counter()
        self._heard = heard
        self._lock = threading.Lock()
        self._server = _Server((_LOOPBACK, port), _handler(self))
        # Two ports that nobody serves: one refuses connections, one takes them and says nothing.
        self._closed, self._deaf = socket.socket(), socket.create_server((_LOOPBACK, 0))
        self._closed.bind((_LOOPBACK, 0))
        self._own = {} if port else {part: socket.create_server((_LOOPBACK, 0)) for part in self._parts}

    @property
    def url(self) -> str:
        """Where it listens, without a final slash."""
        return f"http://{_LOOPBACK}:{self._server.server_address[1]}"

    def profile(self, name: str = "sandbox") -> str:
        """A profile, as the text of a TOML file, with which balcli reaches every account here."""
        return "\n".join(
            part.profile(f"{self.address(part.NAME)}/{part.NAME}").format(table=f"profiles.{name}")
            for part in self._parts.values()
        )

    def address(self, part: str) -> str:
        """The address of a part's host, without a final slash: where it is, or where a fault puts it."""
        places = {
            "here": self._own.get(part, self._server.socket),
            "closed": self._closed,
            "deaf": self._deaf,
        }
        hosts = {place: f"{_LOOPBACK}:{held.getsockname()[1]}" for place, held in places.items()}
        addresses = [FAULTS[fault].address for fault in self._faults[part]]
        return next((text for text in addresses if text != HERE), HERE).format(**hosts)

    def start(self) -> Self:
        """Serve in a thread of its own."""
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        for listener in self._own.values():
            threading.Thread(target=self._serve, args=(listener,), daemon=True).start()
        return self

    def _serve(self, listener: socket.socket) -> None:
        """Serve at one provider's port until it is closed."""
        with suppress(OSError):
            while True:
                self._server.process_request(*listener.accept())

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        for listener in self._own.values():
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)  # ends the wait for a connection
        for each in (self._closed, self._deaf, *self._own.values()):
            each.close()

    def answer(self, question: Question) -> Reply:
        """The reply to a question whose path still has the part's prefix."""
        _, prefix, *rest = question.path.split("/")
        part = self._parts.get(prefix)
        with self._lock:
            self.log.append(question)
            self._counts[question.path] += 1
            count = self._counts[question.path]
            script = self.scripted.get(question.path)
            scripted = script[min(count, len(script)) - 1] if script else None
        if scripted is not None:
            reply = scripted
        elif part is None:
            reply = Reply(404, b"")
        else:
            path = "/" + "/".join(rest)
            if EXPIRED in self._faults[prefix] and path == part.BALANCES and count == 1:
                part.expire_tokens()
            reply = part.answer(
                Question(question.method, path, question.query, question.headers, question.body)
            )
            places = {"balances": part.BALANCES, "names": part.NAMES, "login": part.LOGIN, "all": path}
            for fault in (FAULTS[name] for name in self._faults[prefix]):
                if path == places[fault.where]:
                    reply = fault.play(Turn(question, reply, count))
        if self._heard is not None:
            self._heard(f"{question.method} {question.path} {reply.status}")
        time.sleep(self.latency + reply.delay)
        return reply

    def _by_part(self, faults: Iterable[str]) -> defaultdict[str, list[str]]:
        found: defaultdict[str, list[str]] = defaultdict(list)
        for text in faults:
            part, colon, name = text.rpartition(":")
            if name not in FAULTS or (colon and part not in self._parts):
                raise ValueError(text)
            for prefix in [part] if colon else self._parts:
                found[prefix].append(name)
        return found


class _Server(ThreadingTCPServer):
    """Not http.server's own class, which asks the resolver for the host's name."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nothing: a client that went away is what it may do."""


def _handler(sandbox: Sandbox) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        server_version = "balcli-sandbox"
        sys_version = ""
        # The whole answer in one segment: two would wait for each other's acknowledgement.
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
            question = Question(
                self.command,
                parts.path,
                dict(parse_qsl(parts.query, keep_blank_values=True)),
                {name.lower(): value for name, value in self.headers.items()},
                self.rfile.read(length),
            )
            reply = sandbox.answer(question)
            if reply.script is not None:
                self.close_connection = True
                reply.script(self.connection, reply.as_bytes())
                return
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(reply.body)))
            self.end_headers()
            self.wfile.write(reply.body)
            self.wfile.flush()

        def log_message(self, *_: Any) -> None:
            """Nothing: the sandbox keeps its own log."""

    return Handler
