"""Send one HTTP request with requests, and raise balcli's errors when it fails.

Only this module imports requests. It is imported with the first request, because the import takes longer than the
rest of the start. Requests use an adapter without a session: no redirects, cookies or `.netrc`.
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
from balcli.http.library_errors import CUT, TIMED_OUT, balcli_error, exception_chain
from balcli.models import CaSource
from balcli.settings import MOST_JOBS
from balcli.urls import validate_proxy

MAX_BODY: Final = 8 * 1024 * 1024
_CHUNK: Final = 65_536
# The socket's own timeout should come first: its error says what timed out.
_GRACE: Final = 0.05
_ERROR_BODY_SECONDS: Final = 0.5
"""Seconds to wait for the body of a retryable error: it only adds the provider's message."""
_RAISED: Final = (
    wrapped.RequestException,
    raw.HTTPError,
    raw.ProxySchemeUnsupported,
    http.client.HTTPException,
    OSError,
)


class Answer(NamedTuple):
    """A response: the status, the headers (names in any case) and the decoded body.

    The body is complete for 200 and 201, optional for 4xx and 5xx, and not read otherwise.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes


def tls_context(source: CaSource) -> ssl.SSLContext:
    """A context that verifies certificates and host names, and ignores SSLKEYLOGFILE.

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
    except OSError:  # includes ssl.SSLError
        raise ValueProblem(
            f"{source.described} cannot be read as PEM certificates; use a PEM file, or remove the setting"
        ) from None
    return context


def _built_in() -> str:
    import certifi  # imported here, because a run with its own certificates does not need it

    return certifi.where()


class Proxy(NamedTuple):
    """The URL of a proxy, which can contain a password and is never shown, and the setting that it comes from."""

    url: str
    setting: str
    """`the profile's proxy`, or the name of an environment variable."""


def proxy_for(url: str, proxy: str | None, *, loopback: bool) -> Proxy | None:
    """The proxy for a URL, from the profile or the environment (as requests reads it); None if there is none.

    Loopback addresses never have a proxy. Raises ProxyRefused if its URL is not that of an HTTP proxy.
    """
    if loopback:
        return None
    if proxy is not None:
        return _checked_proxy(proxy, "the profile's proxy")
    if not any(value and name.lower().endswith("_proxy") for name, value in os.environ.items()):
        return None  # nearly always, and requests takes longer to find out
    chosen = select_proxy(url, get_environ_proxies(url))
    return None if chosen is None else _checked_proxy(chosen, _variable_with(chosen, url))


def _variable_with(proxy: str, url: str) -> str:
    """The environment variable with the proxy of a URL; lowercase names come first, as in requests."""
    for wanted in (f"{url.partition(':')[0]}_proxy", "all_proxy"):
        for name in sorted(os.environ, reverse=True):
            if name.lower() == wanted and os.environ[name] == proxy:
                return name
    return "the system's proxy"


def _checked_proxy(text: str, setting: str) -> Proxy:
    scheme = text.partition("://")[0].lower() if "://" in text else "http"
    if scheme.startswith("socks"):
        raise ProxyRefused(
            f"{setting} is a SOCKS proxy, which is not supported; use an http:// or https:// proxy, or unset it"
        )
    try:
        return Proxy(validate_proxy(text if "://" in text else f"http://{text}"), setting)
    except ValueError:
        raise ProxyRefused(f"{setting} is not a proxy URL; use http://host:port, or unset it") from None


_Attempt: TypeAlias = Callable[[], Answer]
_Outcome: TypeAlias = "queue.SimpleQueue[Answer | BaseException | None]"
_Sender: TypeAlias = "queue.SimpleQueue[tuple[_Attempt, _Outcome] | None]"
"""The queue of a thread's attempts; None ends the thread."""


class _Route(NamedTuple):
    """The connections to a host, and the settings that they depend on."""

    connections: HTTPConnectionPool
    setup: connect.Setup

    def report_failure(self) -> None:
        """From now on, try the other addresses of the server or proxy first."""
        server = self.connections.proxy or self.connections
        connect.report_failure(server.host or "", server.port or 0)


class _Prepared(PreparedRequest):
    """A request for the adapter. Its attributes are set directly, because nothing has to be prepared."""

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
    """An adapter of requests with one TLS context and the connections of `balcli.http.connect`."""

    def __init__(self, context: ssl.SSLContext | None, trusted: CaSource, connections: int) -> None:
        super().__init__()
        self._context = context
        self.setup = connect.Setup(trusted)
        # Without our own context, each connection would parse the whole CA bundle again.
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
        from base64 import b64encode  # imported here, because few proxies need it

        credentials = b64encode(unquote_to_bytes(auth if ":" in auth else f"{auth}:"))
        return {"Proxy-Authorization": f"Basic {credentials.decode()}"}

    def route_through(self, proxy: Proxy, host: str) -> _Route:
        """The route to a scheme and host through a proxy."""
        manager = self.proxy_manager_for(proxy.url)
        has_password = parse_url(proxy.url).auth is not None
        return _Route(
            manager.connection_from_url(host),
            self.setup._replace(proxy=proxy.setting, has_password=has_password),
        )

    def get_connection_with_tls_context(self, request: _Prepared, *_: Any, **__: Any) -> HTTPConnectionPool:  # type: ignore[override]
        return request.route.connections

    def request_url(self, request: _Prepared, _: Any) -> str:  # type: ignore[override]
        # A proxy needs the full URL for plain HTTP; for HTTPS it is a tunnel.
        pool = request.route.connections
        passes_on = pool.proxy is not None and pool.scheme == "http"
        return str(request.url) if passes_on else request.target

    def cert_verify(self, *_: Any) -> None:
        """Do nothing: the SSL context verifies. requests would load its own CA bundle for each connection."""

    def build_response(self, _: PreparedRequest, stream: Any) -> Response:
        """The response with only its stream: the cookies and text are not used."""
        response = Response()
        response.raw = stream
        return response


class Transport:
    """Sends requests from many threads, over persistent connections.

    `proxy` is the profile's. Without one, `HTTPS_PROXY` and `NO_PROXY` of the environment are used.
    """

    def __init__(self, *, proxy: str | None, ca_bundle: CaSource, connections: int, tls: bool) -> None:
        self._adapter = _Adapter(tls_context(ca_bundle) if tls else None, ca_bundle, connections)
        self._tls = tls
        self._proxy = proxy
        self._routes: dict[str, _Route] = {}
        self._lock = threading.Lock()
        self._idle: list[_Sender] = []
        # Lowered if the machine has too few threads, descriptors or memory.
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
        """The response to one request. The time limit, in seconds, includes name resolution.

        Raises NetworkError, AnswerError or MachineExhausted, never an exception from another library.
        """
        if url.startswith("https:") and not self._tls:
            raise RuntimeError("this transport was made without TLS")
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
                if not self._can_retry():
                    raise
            finally:
                with self._changed:
                    self._active -= 1
                    self._changed.notify()

    def _can_retry(self) -> bool:
        """Whether a request can be retried, with fewer at once, after descriptors, threads or memory ran out."""
        closed = self._close_idle()
        with self._changed:
            others = self._active - 1
            if not closed:
                self._most = max(1, min(self._most, others))
        return closed + others > 0

    def _close_idle(self) -> int:
        """Close the idle connections. Returns their number."""
        return sum(connect.close_idle(route.connections) for route in [*self._routes.values()])

    def close(self) -> None:
        """Close the idle connections and end the idle threads."""
        self._close_idle()
        while self._idle:
            self._idle.pop().put(None)

    def _attempt(self, prepared: _Prepared, seconds: float) -> Answer:
        refusals: list[Answer] = []
        outcome: _Outcome = queue.SimpleQueue()
        # In a thread, because a socket's timeout is per receive: a server that sends single bytes would
        # restart it. An abandoned thread ends with the process at the latest.
        sender = self._sender()
        if sender is None:
            return self._send(prepared, seconds, refusals, outcome)
        sender.put((partial(self._send, prepared, seconds, refusals, outcome), outcome))
        try:
            result = outcome.get(timeout=seconds + _GRACE)
            if result is None:  # an error status, whose body is still to come
                result = outcome.get(timeout=_ERROR_BODY_SECONDS)
        except queue.Empty:
            sender.put(None)
            if refusals:  # the status is enough
                return refusals[0]
            prepared.route.report_failure()
            raise TimedOut(TIMED_OUT) from None
        self._idle.append(sender)
        if isinstance(result, BaseException):
            raise result
        if result is None:
            raise RuntimeError("an attempt must end with a response or an exception")
        return result

    def _sender(self) -> "_Sender | None":
        """The queue of an idle thread, or of a new one; None if no thread can be started."""
        try:
            return self._idle.pop()
        except IndexError:
            sender: _Sender = queue.SimpleQueue()
        try:
            threading.Thread(target=_run_attempts, args=(sender,), daemon=True).start()
        except RuntimeError:
            return None
        return sender

    def _route_to(self, host: str, *, loopback: bool) -> _Route:
        """The route to a scheme and host. Raises ProxyRefused for an unusable proxy."""
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
        """Make one attempt. An error status is added to `refusals` before its body is read.

        For a retryable one, None is put into `outcome` first, because the caller waits only briefly for its body.
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
                        until = min(until, time.monotonic() + _ERROR_BODY_SECONDS)
                    content = _error_body(stream, until)
            finally:
                # A stream that was read to its end has already returned its connection to the pool.
                stream.close()
        except BalcliError as problem:
            if isinstance(problem, NetworkError | CutAnswer):
                prepared.route.report_failure()
            raise
        except _RAISED as problem:
            prepared.route.report_failure()
            raise balcli_error(problem, prepared.route.setup) from None
        return Answer(stream.status, stream.headers, content)


def _run_attempts(sender: _Sender) -> None:
    """Make the attempts in a queue and return their outcomes, until None."""
    while (task := sender.get()) is not None:
        attempt, outcome = task
        try:
            outcome.put(attempt())
        except BaseException as problem:  # noqa: BLE001 - raised again by the caller
            outcome.put(problem)


def _body(stream: BaseHTTPResponse, until: float) -> bytes:
    """The complete decoded body, at most 8 MiB. Raises BrokenAnswer, CutAnswer, AnswerTooLarge or TimedOut."""
    named = stream.headers.getlist("content-length")
    lengths = {*map(str.strip, ",".join(named).split(","))} if named else set[str]()
    if len(lengths) > 1:
        raise BrokenAnswer("the response has two different Content-Lengths")
    length = "".join(lengths)
    if lengths and not (length.isascii() and length.isdigit()):
        raise BrokenAnswer("the response's Content-Length is not a number")
    if lengths and "transfer-encoding" in stream.headers:
        raise BrokenAnswer("the response has both a Content-Length and a Transfer-Encoding")
    encoding = stream.headers.get("content-encoding", "identity").strip().lower()
    if encoding in {"", "identity"}:
        content = b"".join(_pieces(stream, until))
        if not content and not lengths and "transfer-encoding" not in stream.headers:
            # http.client also takes a closed connection for the end of the headers.
            raise CutAnswer(CUT)
        return content
    if encoding not in {"gzip", "x-gzip"}:  # the same (RFC 9110, 8.4.1.3)
        raise BrokenAnswer("the response has an encoding that was not requested")
    return _unzipped(_pieces(stream, until))


def _error_body(stream: BaseHTTPResponse, until: float) -> bytes:
    """The body of an error status; empty if it cannot be read."""
    try:
        return _body(stream, until)
    except (BalcliError, *_RAISED):
        return b""


def _pieces(stream: BaseHTTPResponse, until: float) -> Iterator[bytes]:
    """The encoded body, piece by piece: at most 8 MiB, and only until that time on the monotonic clock."""
    total = 0
    while True:
        try:
            # At most one receive, so that a slow body cannot pass the clock check below.
            piece = stream.read1(_CHUNK, decode_content=False)
        except raw.SSLError as problem:
            # The TLS connection was closed without a close_notify.
            if any(isinstance(member, ssl.SSLEOFError) for member in exception_chain(problem)):
                raise CutAnswer(CUT) from None
            raise
        if not piece:
            return
        total += len(piece)
        if total > MAX_BODY:
            raise AnswerTooLarge(_TOO_LARGE)
        if time.monotonic() > until:
            raise TimedOut("the response was not complete in time")
        yield piece


def _unzipped(pieces: Iterator[bytes]) -> bytes:
    """The content of one or several gzip members (RFC 1952, 2.2), without zero padding at the end.

    Never more than 8 MiB is unpacked.
    """
    content = bytearray()
    unpacker = zlib.decompressobj(wbits=31)  # only gzip
    try:
        for piece in pieces:
            rest = piece
            # A member is followed by another one or by padding.
            while rest := rest.lstrip(b"\0") if unpacker.eof else rest:
                if unpacker.eof:
                    if not rest.startswith(_GZIP):
                        raise BrokenAnswer("the response has extra data after its gzip data")
                    unpacker = zlib.decompressobj(wbits=31)
                content += unpacker.decompress(rest, MAX_BODY + 1 - len(content))
                if len(content) > MAX_BODY:
                    raise AnswerTooLarge(_TOO_LARGE)
                rest = unpacker.unused_data
    except zlib.error:
        raise BrokenAnswer("the response's gzip data is corrupt") from None
    if not unpacker.eof:
        raise CutAnswer(CUT)
    return bytes(content)


_GZIP: Final = b"\x1f"
"""The first byte of each member of a gzip (RFC 1952, 2.3.1)."""
_TOO_LARGE: Final = f"the response is larger than {MAX_BODY // 1024**2} MiB"
