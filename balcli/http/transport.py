"""One HTTP request over the wire, and every way in which that fails, as the error tree's classes.

The only module that imports urllib3; it is itself imported when the first request is due, because
that import costs more than the rest of a start. What requests would put around it (cookies, redirects,
.netrc, a session) is all unwanted here, and takes half of the time of a small run.
"""

import http.client
import os
import queue
import ssl
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from itertools import chain
from typing import Final, NamedTuple, TypeAlias
from urllib.parse import unquote_to_bytes

import urllib3
from urllib3 import exceptions as raw

from balcli.errors import (
    AnswerTooLarge,
    BalcliError,
    BrokenAnswer,
    ConnectionFailed,
    CutAnswer,
    NameNotResolved,
    ProxyFailed,
    TimedOut,
    TlsFailed,
    ValueProblem,
)
from balcli.settings import CaSource

MAX_BODY: Final = 8 * 1024 * 1024
_CHUNK: Final = 65_536
# What the socket's own time-out says comes first: it knows better what it waited for.
_GRACE: Final = 0.05
_EXPLAINED_IN: Final = 0.5
"""Seconds for the body of an answer that says "later": it may hold the provider's own words, and decides nothing."""
# Whether another try helps is the client's to say. One for all requests, because making it takes its time.
_NO_RETRIES: Final = urllib3.Retry(total=False, redirect=False)
_RAISED: Final = (
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


def proxy_for(url: str, proxy: str | None, *, loopback: bool) -> str | None:
    """The proxy through which an address is asked, the profile's `proxy` before the environment's; None for none.

    Loopback addresses are never asked for through a proxy.
    """
    if loopback:
        return None
    if proxy is not None:
        return proxy
    if not any(value and name.lower().endswith("_proxy") for name, value in os.environ.items()):
        return None
    # Here, because few environments name a proxy. What NO_PROXY means, with its suffixes, ports and networks,
    # is as users know it from this library.
    from requests.utils import get_environ_proxies, select_proxy

    return select_proxy(url, get_environ_proxies(url))


_Attempt: TypeAlias = Callable[[], Answer]
_Outcome: TypeAlias = "queue.SimpleQueue[Answer | BaseException | None]"
_Sender: TypeAlias = "queue.SimpleQueue[tuple[_Attempt, _Outcome] | None]"
"""What to put attempts into for one thread, and at last None."""


class _Route(NamedTuple):
    """The connections to a host, and whether each request is for a proxy to pass on, which needs the whole URL."""

    connections: urllib3.HTTPConnectionPool
    asks_proxy: bool


class Transport:
    """Sends requests, over kept connections, from many threads at once.

    `proxy` is the profile's; without one the environment's `HTTPS_PROXY` and `NO_PROXY` count.
    """

    def __init__(self, *, proxy: str | None, ca_bundle: CaSource, connections: int, tls: bool) -> None:
        # One context for all connections: left alone, each parses the whole CA bundle again.
        self._context = tls_context(ca_bundle) if tls else None
        self._proxy = proxy
        self._connections = connections
        self._routes: dict[str, _Route] = {}
        self._lock = threading.Lock()
        self._idle: list[_Sender] = []

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
        if url.startswith("https:") and self._context is None:
            raise RuntimeError("a transport that was made without TLS was asked for https")
        refusals: list[Answer] = []
        outcome: _Outcome = queue.SimpleQueue()
        # A thread of its own: a socket's time-out is for each receive, and starts anew with every
        # byte that a server lets drip. One that is given up ends with the process at the latest.
        sender = self._sender()
        sender.put(
            (lambda: self._send(method, url, headers, body, seconds, loopback, refusals, outcome), outcome)
        )
        try:
            result = outcome.get(timeout=seconds + _GRACE)
            if result is None:  # the status is there, and its explanation under way
                result = outcome.get(timeout=_EXPLAINED_IN)
        except queue.Empty:
            sender.put(None)
            if refusals:  # a refusal stands, also without the explanation that does not come
                return refusals[0]
            raise TimedOut(_TIMED_OUT) from None
        self._idle.append(sender)
        if isinstance(result, BaseException):
            raise result
        if result is None:
            raise RuntimeError("an attempt ends with an answer or a problem")
        return result

    def _sender(self) -> _Sender:
        """The sender of a thread that has nothing under way, a new one where all have."""
        try:
            return self._idle.pop()
        except IndexError:
            sender: _Sender = queue.SimpleQueue()
            threading.Thread(target=_send_all, args=(sender,), daemon=True).start()
            return sender

    def _route_to(self, host: str, *, loopback: bool) -> _Route:
        """The connections by which a scheme and host are asked: at once, or through the proxy for it."""
        with self._lock:
            if host not in self._routes:
                through = proxy_for(host, self._proxy, loopback=loopback)
                self._routes[host] = _route(host, through, self._context, self._connections)
            return self._routes[host]

    def _send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | None,
        seconds: float,
        loopback: bool,
        refusals: list[Answer],
        outcome: _Outcome,
    ) -> Answer:
        """One attempt; a refusal is put into `refusals` before its body is read.

        Of one that another try may mend, None goes into `outcome` first: its body is not waited for long.
        """
        until = time.monotonic() + seconds
        scheme, _, rest = url.partition("://")
        host, _, path = rest.partition("/")
        try:
            route = self._route_to(f"{scheme}://{host}", loopback=loopback)
            # Straight to the host's connections: a manager would look for them anew for each request.
            stream = route.connections.urlopen(
                method,
                url if route.asks_proxy else f"/{path}",
                body=body,
                headers=headers,
                timeout=seconds,
                assert_same_host=False,
                redirect=False,
                retries=_NO_RETRIES,
                preload_content=False,
                decode_content=False,
            )
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
        except _RAISED as problem:
            raise _explained(problem) from None
        return Answer(stream.status, stream.headers, content)


def _send_all(sender: _Sender) -> None:
    """Make each attempt that is put in, and give its outcome back, until there are no more."""
    while (task := sender.get()) is not None:
        attempt, outcome = task
        try:
            outcome.put(attempt())
        except BaseException as problem:  # noqa: BLE001 - carried to the caller, which raises it
            outcome.put(problem)


def _route(host: str, through: str | None, context: ssl.SSLContext | None, most: int) -> _Route:
    """The connections to a host, kept for the next request, at once or through a proxy. Raises what urllib3 raises."""
    if through is None:
        direct = urllib3.PoolManager(maxsize=most, ssl_context=context)
        return _Route(direct.connection_from_url(host), asks_proxy=False)
    # Never shown: it can hold a password.
    proxy = urllib3.util.parse_url(through if "://" in through else f"http://{through}")
    if not proxy.host:
        raise raw.LocationParseError("a proxy without a host")
    headers = {}
    if proxy.auth is not None:
        from base64 import b64encode

        credentials = b64encode(unquote_to_bytes(proxy.auth if ":" in proxy.auth else f"{proxy.auth}:"))
        headers["Proxy-Authorization"] = f"Basic {credentials.decode()}"
    tunnels = urllib3.ProxyManager(
        proxy.url, proxy_headers=headers, proxy_ssl_context=context, maxsize=most, ssl_context=context
    )
    return _Route(tunnels.connection_from_url(host), asks_proxy=not host.startswith("https:"))


def _body(stream: urllib3.BaseHTTPResponse, until: float) -> bytes:
    """The whole body, decoded, at most 8 MiB. Raises BrokenAnswer, CutAnswer, AnswerTooLarge or TimedOut."""
    lengths = {
        part.strip() for value in stream.headers.getlist("content-length") for part in value.split(",")
    }
    if len(lengths) > 1:
        raise BrokenAnswer("the answer names two different lengths")
    if any(not (length.isascii() and length.isdigit()) for length in lengths):
        raise BrokenAnswer("the answer's Content-Length is no number")
    if lengths and "transfer-encoding" in stream.headers:
        raise BrokenAnswer("the answer has both a Content-Length and a Transfer-Encoding")
    encoding = stream.headers.get("content-encoding", "identity").strip().lower()
    if encoding in {"", "identity"}:
        content = b"".join(_pieces(stream, until))
        if not content and not lengths and "transfer-encoding" not in stream.headers:
            # Closed where a body could begin: http.client takes that for the end of the headers, too.
            raise CutAnswer(_CUT)
        return content
    if encoding != "gzip":
        raise BrokenAnswer("the answer is in an encoding that was not asked for")
    return _unzipped(_pieces(stream, until))


def _hint(stream: urllib3.BaseHTTPResponse, until: float) -> bytes:
    """The body of a refusal, if it is well and small: it can explain the status, which stands without it."""
    try:
        return _body(stream, until)
    except (BalcliError, *_RAISED):
        return b""


def _pieces(stream: urllib3.BaseHTTPResponse, until: float) -> Iterator[bytes]:
    """The body as it travels, piece by piece, at most 8 MiB and until that moment of the monotonic clock."""
    total = 0
    # read1 returns what one receive brought: a slow drip comes back here, where the clock is read.
    while piece := _received(stream):
        total += len(piece)
        if total > MAX_BODY:
            raise AnswerTooLarge(_TOO_LARGE)
        if time.monotonic() > until:
            raise TimedOut("the answer did not arrive whole in time")
        yield piece


def _received(stream: urllib3.BaseHTTPResponse) -> bytes:
    """What one receive brought; b"" at the end. Raises CutAnswer where TLS stops without saying so."""
    try:
        return stream.read1(_CHUNK, decode_content=False)
    except raw.SSLError as problem:
        if any(isinstance(member, ssl.SSLEOFError) for member in _family(problem, set())):
            raise CutAnswer(_CUT) from None
        raise


def _unzipped(pieces: Iterator[bytes]) -> bytes:
    """The content of one whole gzip stream; never more than 8 MiB is unpacked, whatever it claims."""
    unpacker = zlib.decompressobj(wbits=31)  # gzip alone
    content = bytearray()
    try:
        for piece in pieces:
            content += unpacker.decompress(piece, MAX_BODY + 1 - len(content))
            if len(content) > MAX_BODY:
                raise AnswerTooLarge(_TOO_LARGE)
    except zlib.error:
        raise BrokenAnswer("the answer's compression is corrupt") from None
    if not unpacker.eof:
        raise CutAnswer(_CUT)
    if unpacker.unused_data:
        raise BrokenAnswer("the answer has more after its compressed end")
    return bytes(content)


_TOO_LARGE: Final = f"the answer is larger than {MAX_BODY // 1024**2} MiB"
_TIMED_OUT: Final = "no answer in time"
_CUT: Final = "the answer ends before its end"
_CLOSED: Final = "the connection was closed or reset"

# Kind of exception -> what it means, the more telling first. An exception of urllib3
# wraps others (`args`, `reason`, `__context__`); the first entry that any of them matches decides.
_MEANINGS: Final[tuple[tuple[tuple[type[BaseException], ...], type[BalcliError], str], ...]] = (
    ((raw.ProxyError, raw.ProxySchemeUnsupported),
     ProxyFailed, "the proxy does not answer or does not let the request pass"),
    ((ssl.SSLCertVerificationError,), TlsFailed,
     "the server's certificate cannot be verified"),
    ((raw.NameResolutionError,), NameNotResolved, "the host's name cannot be resolved"),
    # A kind of ConnectTimeoutError to urllib3, though it timed out in nothing.
    ((raw.NewConnectionError, ConnectionRefusedError), ConnectionFailed, "the connection was refused or has no route"),
    ((raw.ConnectTimeoutError,), TimedOut, "no connection in time"),
    ((raw.ReadTimeoutError, TimeoutError), TimedOut, _TIMED_OUT),
    ((ssl.SSLEOFError, ssl.SSLZeroReturnError), ConnectionFailed, _CLOSED),
    ((raw.SSLError, ssl.SSLError), TlsFailed, "the TLS handshake failed"),
    ((raw.IncompleteRead, raw.InvalidChunkLength, http.client.IncompleteRead), CutAnswer, _CUT),
    ((raw.InvalidHeader,), BrokenAnswer, "the answer contradicts itself in its headers"),
    ((http.client.RemoteDisconnected, ConnectionError), ConnectionFailed, _CLOSED),
    ((http.client.HTTPException, raw.HeaderParsingError), BrokenAnswer, "the answer is not proper HTTP"),
    ((raw.LocationValueError,), ProxyFailed, "the address or the proxy's address is of no kind that can be used"),
    ((raw.ProtocolError,), ConnectionFailed, "the connection broke"),
    ((raw.HTTPError, OSError), ConnectionFailed, "the connection failed"),
)  # fmt: skip


def _explained(problem: BaseException) -> BalcliError:
    """The error tree's class for what a library raised; never its text, which can hold headers."""
    family = list(_family(problem, set()))
    if any(isinstance(member, http.client.BadStatusLine) and _is_cut(member) for member in family):
        return ConnectionFailed(_CLOSED)
    for kinds, meaning, words in _MEANINGS:
        if any(isinstance(member, kinds) for member in family):
            return meaning(words)
    return ConnectionFailed("the connection failed")


def _is_cut(problem: http.client.BadStatusLine) -> bool:
    """Whether a status line is wrong because the connection was closed in the middle of it."""
    line = str(problem.args[0]) if problem.args else ""
    return line.startswith("HTTP/") and not line.endswith("\n")


def _family(problem: BaseException, seen: set[int]) -> Iterator[BaseException]:
    """The exception with all that it wraps, each once."""
    if id(problem) in seen:
        return
    seen.add(id(problem))
    yield problem
    wrapped = chain(problem.args, (getattr(problem, "reason", None), problem.__cause__, problem.__context__))
    for other in wrapped:
        if isinstance(other, BaseException):
            yield from _family(other, seen)
