"""One HTTP request through requests, and every way in which that fails, as the error tree's classes.

The only module that imports requests; it is itself imported when the first request is due, because that import costs
more than the rest of a start. Requests go through an adapter without a session, so that there are no redirects,
no cookies and no `.netrc`.
"""

import http.client
import os
import queue
import ssl
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, Final, NamedTuple, TypeAlias
from urllib.parse import unquote_to_bytes

from requests import PreparedRequest, Response
from requests import exceptions as wrapped
from requests.adapters import DEFAULT_POOLSIZE, HTTPAdapter
from requests.utils import get_environ_proxies, select_proxy
from urllib3 import BaseHTTPResponse, HTTPConnectionPool
from urllib3 import exceptions as raw
from urllib3.util import parse_url

from balcli.errors import (
    AnswerTooLarge,
    BalcliError,
    BrokenAnswer,
    CutAnswer,
    MachineExhausted,
    NetworkError,
    ProxyRefused,
    TimedOut,
    ValueProblem,
)
from balcli.http import connect
from balcli.http.library_errors import CUT, TIMED_OUT, explained, family
from balcli.models import CaSource
from balcli.settings import MOST_JOBS
from balcli.urls import validate_proxy

MAX_BODY: Final = 8 * 1024 * 1024
_CHUNK: Final = 65_536
# What the socket's own time-out says comes first: it knows better what it waited for.
_GRACE: Final = 0.05
_EXPLAINED_IN: Final = 0.5
"""Seconds for the body of an answer that says "later": it may hold the provider's own words, and decides nothing."""
_RAISED: Final = (
    wrapped.RequestException,
    raw.HTTPError,
    raw.ProxySchemeUnsupported,
    http.client.HTTPException,
    OSError,
)


class Answer(NamedTuple):
    """What came back: the status, the headers (by names in any case) and the decoded body.

    The body is whole for 200 and 201, an explanation at best (or empty) for 4xx, and else not read.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes


def tls_context(source: CaSource) -> ssl.SSLContext:
    """A context that verifies certificates and host names, and writes no SSLKEYLOGFILE.

    Raises ValueProblem if the source cannot be read as certificates.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        if source.kind == "system":
            context.load_default_certs()
        elif source.kind == "folder":
            context.load_verify_locations(capath=source.path)
        else:
            context.load_verify_locations(cafile=source.path or _built_in())
    except OSError:  # ssl.SSLError is one, too
        raise ValueProblem(
            f"{source.described} cannot be read as PEM certificates; name a file of them, or remove what names it"
        ) from None
    return context


def _built_in() -> str:
    import certifi  # here, because a run with certificates of its own does without

    return certifi.where()


class Proxy(NamedTuple):
    """The URL of a proxy, which can contain a password and is never shown, and the setting that names it."""

    url: str
    setting: str
    """`the profile's proxy`, or the name of an environment variable."""


def proxy_for(url: str, proxy: str | None, *, loopback: bool) -> Proxy | None:
    """The proxy for a URL: the profile's `proxy`, or the environment's as requests reads it. None for none.

    Loopback addresses never have one. Raises ProxyRefused for a URL that is not that of an HTTP proxy.
    """
    if loopback:
        return None
    if proxy is not None:
        return _checked_proxy(proxy, "the profile's proxy")
    if not any(value and name.lower().endswith("_proxy") for name, value in os.environ.items()):
        return None  # few environments name one, and asking requests takes its time
    chosen = select_proxy(url, get_environ_proxies(url))
    return None if chosen is None else _checked_proxy(chosen, _variable_with(chosen, url))


def _variable_with(proxy: str, url: str) -> str:
    """The environment variable that names the proxy of a URL; lower case comes first, as in requests."""
    for wanted in (f"{url.partition(':')[0]}_proxy", "all_proxy"):
        for name in sorted(os.environ, reverse=True):
            if name.lower() == wanted and os.environ[name] == proxy:
                return name
    return "the system's proxy"


def _checked_proxy(text: str, setting: str) -> Proxy:
    scheme = text.partition("://")[0].lower() if "://" in text else "http"
    if scheme.startswith("socks"):
        raise ProxyRefused(
            f"{setting} is a SOCKS proxy; name an http:// or https:// proxy there, or unset it"
        )
    try:
        return Proxy(validate_proxy(text if "://" in text else f"http://{text}"), setting)
    except ValueError:
        raise ProxyRefused(
            f"{setting} is not the URL of a proxy; write it as http://host:port, or unset it"
        ) from None


_Attempt: TypeAlias = Callable[[], Answer]
_Outcome: TypeAlias = "queue.SimpleQueue[Answer | BaseException | None]"
_Sender: TypeAlias = "queue.SimpleQueue[tuple[_Attempt, _Outcome] | None]"
"""What to put attempts into for one thread, and at last None."""


class _Route(NamedTuple):
    """The connections by which a host is reached, and the settings that decided it."""

    connections: HTTPConnectionPool
    setup: connect.Setup

    def report_failure(self) -> None:
        """Try the other addresses of the server, or of the proxy, first from now on."""
        server = self.connections.proxy or self.connections
        connect.report_failure(server.host or "", server.port or 0)


class _Prepared(PreparedRequest):
    """A request as the adapter sends it. Its attributes are set as they are: nothing is left to prepare."""

    def __init__(
        self,
        route: _Route,
        method: str,
        url: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes | None,
    ) -> None:
        self.route = route
        self.method = method
        self.url = url
        self.target = target
        self.headers = {**headers, "Content-Length": str(len(body))} if body is not None else headers  # type: ignore[assignment]
        self.body = body


class _Adapter(HTTPAdapter):
    """The adapter of requests, with one TLS context and the connections of `balcli.http.connect`."""

    def __init__(self, context: ssl.SSLContext | None, trusted: CaSource, connections: int) -> None:
        super().__init__()
        self._context = context
        self.setup = connect.Setup(trusted)
        # Without a context of ours, each connection would parse the whole CA bundle again.
        self.init_poolmanager(DEFAULT_POOLSIZE, connections, ssl_context=context)
        self.poolmanager.pool_classes_by_scheme = connect.POOLS

    def proxy_manager_for(self, proxy: str, **more: Any) -> Any:
        more |= {"ssl_context": self._context, "proxy_ssl_context": self._context}
        manager = super().proxy_manager_for(proxy, **more)
        manager.pool_classes_by_scheme = connect.POOLS
        return manager

    def proxy_headers(self, proxy: str) -> dict[str, str]:
        auth = parse_url(proxy).auth
        if auth is None:
            return {}
        from base64 import b64encode  # here, because few proxies want it

        credentials = b64encode(unquote_to_bytes(auth if ":" in auth else f"{auth}:"))
        return {"Proxy-Authorization": f"Basic {credentials.decode()}"}

    def route_through(self, proxy: Proxy, host: str) -> _Route:
        """The connections to a scheme and host through a proxy."""
        manager = self.proxy_manager_for(proxy.url)
        has_password = parse_url(proxy.url).auth is not None
        return _Route(
            manager.connection_from_url(host),
            self.setup._replace(proxy=proxy.setting, has_password=has_password),
        )

    def get_connection_with_tls_context(self, request: _Prepared, *_: Any, **__: Any) -> HTTPConnectionPool:  # type: ignore[override]
        return request.route.connections

    def request_url(self, request: _Prepared, _: Any) -> str:  # type: ignore[override]
        # A proxy that passes on plain HTTP needs the whole URL; one for HTTPS is a tunnel.
        pool = request.route.connections
        passes_on = pool.proxy is not None and pool.scheme == "http"
        return str(request.url) if passes_on else request.target

    def cert_verify(self, *_: Any) -> None:
        """Do nothing: the context verifies. requests would load its own bundle into it for each connection."""

    def build_response(self, _: PreparedRequest, stream: Any) -> Response:
        """The response with its stream alone: nobody reads its cookies and text."""
        response = Response()
        response.raw = stream
        return response


class Transport:
    """Sends requests, over kept connections, from many threads at once.

    `proxy` is the profile's; without one the environment's `HTTPS_PROXY` and `NO_PROXY` count.
    """

    def __init__(self, *, proxy: str | None, ca_bundle: CaSource, connections: int, tls: bool) -> None:
        self._adapter = _Adapter(tls_context(ca_bundle) if tls else None, ca_bundle, connections)
        self._tls = tls
        self._proxy = proxy
        self._routes: dict[str, _Route] = {}
        self._lock = threading.Lock()
        self._idle: list[_Sender] = []
        # Fewer at once where the machine gives too little for all.
        self._active, self._most = 0, MOST_JOBS
        self._changed = threading.Condition()

    def send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | None,
        *,
        seconds: float,
        loopback: bool,
    ) -> Answer:
        """The answer to one request within that many seconds, of which the resolver and the headers count, too.

        Raises the network's and the answer's classes of the error tree, never another library's.
        """
        if url.startswith("https:") and not self._tls:
            raise RuntimeError("a transport that was made without TLS was asked for https")
        scheme, _, rest = url.partition("://")
        host, _, path = rest.partition("/")
        route = self._route_to(f"{scheme}://{host}", loopback=loopback)
        prepared = _Prepared(route, method, url, f"/{path}", headers, body)
        until = time.monotonic() + seconds
        while True:
            with self._changed:
                while self._active >= self._most:
                    if not self._changed.wait(until - time.monotonic()):
                        raise TimedOut(TIMED_OUT)
                self._active += 1
            try:
                return self._attempt(prepared, max(until - time.monotonic(), 0.001))
            except MachineExhausted:
                if not self._can_go_on():
                    raise
            finally:
                with self._changed:
                    self._active -= 1
                    self._changed.notify()

    def _can_go_on(self) -> bool:
        """Whether a request that found too few descriptors, threads or memory may be sent again: with fewer at once."""
        closed = self._close_idle()
        with self._changed:
            others = self._active - 1
            if not closed:
                self._most = max(1, min(self._most, others))
        return closed + others > 0

    def _close_idle(self) -> int:
        """Close the connections that no request is using; how many there were."""
        return sum(connect.close_idle(route.connections) for route in [*self._routes.values()])

    def close(self) -> None:
        """Close the connections, and end the threads, that no request is using."""
        self._close_idle()
        while self._idle:
            self._idle.pop().put(None)

    def _attempt(self, prepared: _Prepared, seconds: float) -> Answer:
        refusals: list[Answer] = []
        outcome: _Outcome = queue.SimpleQueue()
        # A thread of its own: a socket's time-out is for each receive, and starts anew with every
        # byte that a server lets drip. One that is given up ends with the process at the latest.
        sender = self._sender()
        if sender is None:
            return self._send(prepared, seconds, refusals, outcome)
        sender.put((partial(self._send, prepared, seconds, refusals, outcome), outcome))
        try:
            result = outcome.get(timeout=seconds + _GRACE)
            if result is None:  # the status is there, and its explanation under way
                result = outcome.get(timeout=_EXPLAINED_IN)
        except queue.Empty:
            sender.put(None)
            if refusals:  # a refusal stands, also without the explanation that does not come
                return refusals[0]
            prepared.route.report_failure()
            raise TimedOut(TIMED_OUT) from None
        self._idle.append(sender)
        if isinstance(result, BaseException):
            raise result
        if result is None:
            raise RuntimeError("an attempt ends with an answer or a problem")
        return result

    def _sender(self) -> "_Sender | None":
        """The sender of a thread that has nothing under way, a new one where all have; None if no thread can start."""
        try:
            return self._idle.pop()
        except IndexError:
            sender: _Sender = queue.SimpleQueue()
        try:
            threading.Thread(target=_send_all, args=(sender,), daemon=True).start()
        except RuntimeError:
            return None
        return sender

    def _route_to(self, host: str, *, loopback: bool) -> _Route:
        """The connections by which a scheme and host are asked. Raises ProxyRefused for an unusable proxy."""
        with self._lock:
            if host not in self._routes:
                proxy, adapter = proxy_for(host, self._proxy, loopback=loopback), self._adapter
                self._routes[host] = (
                    _Route(adapter.poolmanager.connection_from_url(host), adapter.setup)
                    if proxy is None
                    else adapter.route_through(proxy, host)
                )
            return self._routes[host]

    def _send(self, prepared: _Prepared, seconds: float, refusals: list[Answer], outcome: _Outcome) -> Answer:
        """One attempt; a refusal is put into `refusals` before its body is read.

        Of one that another try may mend, None goes into `outcome` first: its body is not waited for long.
        """
        until = time.monotonic() + seconds
        try:
            stream = self._adapter.send(prepared, stream=True, timeout=seconds).raw
            try:
                content = b""
                if stream.status in {200, 201}:
                    content = _body(stream, until)
                elif 400 <= stream.status < 600:
                    refusals.append(Answer(stream.status, stream.headers, b""))
                    if stream.status >= 500 or stream.status in {408, 425, 429}:
                        outcome.put(None)
                        until = min(until, time.monotonic() + _EXPLAINED_IN)
                    content = _hint(stream, until)
            finally:
                # One that was read to its end has given its connection back already; any other is closed.
                stream.close()
        except BalcliError as problem:
            if isinstance(problem, NetworkError | CutAnswer):
                prepared.route.report_failure()
            raise
        except _RAISED as problem:
            prepared.route.report_failure()
            raise explained(problem, prepared.route.setup) from None
        return Answer(stream.status, stream.headers, content)


def _send_all(sender: _Sender) -> None:
    """Make each attempt that is put in, and give its outcome back, until there are no more."""
    while (task := sender.get()) is not None:
        attempt, outcome = task
        try:
            outcome.put(attempt())
        except BaseException as problem:  # noqa: BLE001 - carried to the caller, which raises it
            outcome.put(problem)


def _body(stream: BaseHTTPResponse, until: float) -> bytes:
    """The whole body, decoded, at most 8 MiB. Raises BrokenAnswer, CutAnswer, AnswerTooLarge or TimedOut."""
    named = stream.headers.getlist("content-length")
    lengths = {*map(str.strip, ",".join(named).split(","))} if named else set[str]()
    if len(lengths) > 1:
        raise BrokenAnswer("the answer names two different lengths")
    length = "".join(lengths)
    if lengths and not (length.isascii() and length.isdigit()):
        raise BrokenAnswer("the answer's Content-Length is no number")
    if lengths and "transfer-encoding" in stream.headers:
        raise BrokenAnswer("the answer has both a Content-Length and a Transfer-Encoding")
    encoding = stream.headers.get("content-encoding", "identity").strip().lower()
    if encoding in {"", "identity"}:
        content = b"".join(_pieces(stream, until))
        if not content and not lengths and "transfer-encoding" not in stream.headers:
            # Closed where a body could begin: http.client takes that for the end of the headers, too.
            raise CutAnswer(CUT)
        return content
    if encoding not in {"gzip", "x-gzip"}:  # the same (RFC 9110, 8.4.1.3)
        raise BrokenAnswer("the answer is in an encoding that was not asked for")
    return _unzipped(_pieces(stream, until))


def _hint(stream: BaseHTTPResponse, until: float) -> bytes:
    """The body of a refusal, if it is well and small: it can explain the status, which stands without it."""
    try:
        return _body(stream, until)
    except (BalcliError, *_RAISED):
        return b""


def _pieces(stream: BaseHTTPResponse, until: float) -> Iterator[bytes]:
    """The body as it travels, piece by piece, at most 8 MiB and until that moment of the monotonic clock."""
    total = 0
    while True:
        try:
            # What one receive brought: a slow drip comes back here, where the clock is read.
            piece = stream.read1(_CHUNK, decode_content=False)
        except raw.SSLError as problem:
            # TLS can stop without saying so.
            if any(isinstance(member, ssl.SSLEOFError) for member in family(problem)):
                raise CutAnswer(CUT) from None
            raise
        if not piece:
            return
        total += len(piece)
        if total > MAX_BODY:
            raise AnswerTooLarge(_TOO_LARGE)
        if time.monotonic() > until:
            raise TimedOut("the answer did not arrive whole in time")
        yield piece


def _unzipped(pieces: Iterator[bytes]) -> bytes:
    """The content of gzip, of one member or several (RFC 1952, 2.2), without the zeros that may follow.

    Never more than 8 MiB is unpacked, whatever it claims.
    """
    content = bytearray()
    unpacker = zlib.decompressobj(wbits=31)  # gzip alone
    try:
        for piece in pieces:
            rest = piece
            # After the end of a member, there is another one or padding.
            while rest := rest.lstrip(b"\0") if unpacker.eof else rest:
                if unpacker.eof:
                    if not rest.startswith(_GZIP):
                        raise BrokenAnswer("the answer has more after its compressed end")
                    unpacker = zlib.decompressobj(wbits=31)
                content += unpacker.decompress(rest, MAX_BODY + 1 - len(content))
                if len(content) > MAX_BODY:
                    raise AnswerTooLarge(_TOO_LARGE)
                rest = unpacker.unused_data
    except zlib.error:
        raise BrokenAnswer("the answer's compression is corrupt") from None
    if not unpacker.eof:
        raise CutAnswer(CUT)
    return bytes(content)


_GZIP: Final = b"\x1f"
"""The first byte of each member of a gzip (RFC 1952, 2.3.1)."""
_TOO_LARGE: Final = f"the answer is larger than {MAX_BODY // 1024**2} MiB"
