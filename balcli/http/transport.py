"""One HTTP request over the wire, and every way in which that fails, as the error tree's classes.

The only module that imports requests and urllib3; it is itself imported when the first request is
due, because these imports cost more than the rest of a start.
"""

import http.client
import queue
import ssl
import threading
import time
import zlib
from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any, Final, NamedTuple

import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.utils import DEFAULT_CA_BUNDLE_PATH
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

MAX_BODY: Final = 8 * 1024 * 1024
_CHUNK: Final = 65_536
# What the socket's own time-out says comes first: it knows better what it waited for.
_GRACE: Final = 0.05
_RAISED: Final = (
    requests.RequestException,
    raw.HTTPError,
    raw.ProxySchemeUnsupported,
    http.client.HTTPException,
    OSError,
)


class Answer(NamedTuple):
    """What came back: the status, the headers (names in lower case) and the decoded body.

    The body is whole for 200 and 201, an explanation at best (or empty) for 4xx, and else not read.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes


class _Adapter(HTTPAdapter):
    """requests' adapter with one TLS context for every connection of the process.

    Left alone, requests has each new connection parse the whole CA bundle again.
    """

    def __init__(self, context: ssl.SSLContext | None, connections: int) -> None:
        self._context = context
        super().__init__(pool_connections=64, pool_maxsize=connections)

    def build_connection_pool_key_attributes(
        self, request: requests.PreparedRequest, verify: Any, cert: Any = None
    ) -> tuple[Any, Any]:
        host, tls = super().build_connection_pool_key_attributes(request, verify, cert)
        if self._context is not None:
            tls = {"ssl_context": self._context, "cert_reqs": "CERT_REQUIRED"}
        return host, tls

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
        """Nothing: the context verifies, and naming the bundle here would parse it once more."""


def tls_context(ca_bundle: Path | None) -> ssl.SSLContext:
    """A context that verifies certificates and host names, and writes no SSLKEYLOGFILE.

    Raises ValueProblem if the bundle cannot be read as one.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_verify_locations(cafile=ca_bundle or DEFAULT_CA_BUNDLE_PATH)
    except OSError:  # ssl.SSLError is one, too
        raise ValueProblem(
            f"ca_bundle: {ca_bundle or 'the built-in bundle'} cannot be read as PEM certificates; "
            "name a file that holds some, or leave ca_bundle out for the built-in ones"
        ) from None
    return context


def proxies(url: str, proxy: str | None, *, loopback: bool) -> dict[str, str]:
    """The proxies for an address by scheme: the profile's `proxy`, else what the environment names for it."""
    if loopback:
        return {}
    if proxy is not None:
        return {"http": proxy, "https": proxy}
    return requests.utils.get_environ_proxies(url)


def proxy_for(url: str, proxy: str | None, *, loopback: bool) -> str | None:
    """The proxy through which an address is asked; None where it is asked directly."""
    return requests.utils.select_proxy(url, proxies(url, proxy, loopback=loopback))


class Transport:
    """Sends requests, over kept connections, from many threads at once.

    `proxy` is the profile's; without one the environment's `HTTPS_PROXY` and `NO_PROXY` count.
    Loopback addresses are never asked for through a proxy.
    """

    def __init__(self, *, proxy: str | None, ca_bundle: Path | None, connections: int, tls: bool) -> None:
        self._adapter = _Adapter(tls_context(ca_bundle) if tls else None, connections)
        self._proxy = proxy
        self._tls = tls

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
        prepared = requests.Request(method, url, headers=dict(headers), data=body).prepare()
        outcome: queue.SimpleQueue[Answer | BaseException] = queue.SimpleQueue()
        refusals: list[Answer] = []

        def attempt() -> None:
            try:
                outcome.put(
                    self._send(prepared, seconds, proxies(url, self._proxy, loopback=loopback), refusals)
                )
            except BaseException as problem:  # noqa: BLE001 - carried to the caller, which raises it
                outcome.put(problem)

        # A thread of its own: a socket's time-out is for each receive, and starts anew with every
        # byte that a server lets drip. One that is given up ends with the process at the latest.
        threading.Thread(target=attempt, daemon=True).start()
        try:
            result = outcome.get(timeout=seconds + _GRACE)
        except queue.Empty:
            if refusals:  # a refusal stands, also without the explanation that does not come
                return refusals[0]
            raise TimedOut(_TIMED_OUT) from None
        if isinstance(result, BaseException):
            raise result
        return result

    def _send(
        self,
        prepared: requests.PreparedRequest,
        seconds: float,
        through: dict[str, str],
        refusals: list[Answer],
    ) -> Answer:
        """One attempt; a refusal is put into `refusals` before its body is read."""
        until = time.monotonic() + seconds
        try:
            # Straight to the adapter: a Session adds redirects, cookies, .netrc and the environment.
            response = self._adapter.send(
                prepared,
                stream=True,
                timeout=seconds,
                proxies=through,
            )
            stream: urllib3.HTTPResponse = response.raw
            headers = {name.lower(): value for name, value in response.headers.items()}
            try:
                content = b""
                if response.status_code in {200, 201}:
                    content = _body(stream, until)
                elif 400 <= response.status_code < 500 and response.status_code not in {408, 425, 429}:
                    refusals.append(Answer(response.status_code, headers, b""))
                    content = _hint(stream, until)
            finally:
                # One that was read to its end has given its connection back already; any other is closed.
                stream.close()
        except _RAISED as problem:
            raise _explained(problem) from None
        return Answer(response.status_code, headers, content)


def _body(stream: urllib3.HTTPResponse, until: float) -> bytes:
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


def _hint(stream: urllib3.HTTPResponse, until: float) -> bytes:
    """The body of a refusal, if it is well and small: it can explain the status, which stands without it."""
    try:
        return _body(stream, until)
    except (BalcliError, *_RAISED):
        return b""


def _pieces(stream: urllib3.HTTPResponse, until: float) -> Iterator[bytes]:
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


def _received(stream: urllib3.HTTPResponse) -> bytes:
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

# Kind of exception -> what it means, the more telling first. An exception of requests or urllib3
# wraps others (`args`, `reason`, `__context__`); the first entry that any of them matches decides.
_MEANINGS: Final[tuple[tuple[tuple[type[BaseException], ...], type[BalcliError], str], ...]] = (
    ((requests.exceptions.ProxyError, raw.ProxyError, requests.exceptions.InvalidProxyURL, raw.ProxySchemeUnsupported),
     ProxyFailed, "the proxy does not answer or does not let the request pass"),
    ((ssl.SSLCertVerificationError,), TlsFailed,
     "the server's certificate cannot be verified"),
    ((raw.NameResolutionError,), NameNotResolved, "the host's name cannot be resolved"),
    # A kind of ConnectTimeoutError to urllib3, though it timed out in nothing.
    ((raw.NewConnectionError, ConnectionRefusedError), ConnectionFailed, "the connection was refused or has no route"),
    ((requests.exceptions.ConnectTimeout, raw.ConnectTimeoutError), TimedOut, "no connection in time"),
    ((requests.exceptions.ReadTimeout, raw.ReadTimeoutError, TimeoutError), TimedOut, _TIMED_OUT),
    ((ssl.SSLEOFError, ssl.SSLZeroReturnError), ConnectionFailed, _CLOSED),
    ((requests.exceptions.SSLError, raw.SSLError, ssl.SSLError), TlsFailed, "the TLS handshake failed"),
    ((raw.IncompleteRead, raw.InvalidChunkLength, http.client.IncompleteRead), CutAnswer, _CUT),
    ((raw.InvalidHeader, requests.exceptions.InvalidHeader), BrokenAnswer, "the answer contradicts itself in its headers"),
    ((http.client.RemoteDisconnected, ConnectionError), ConnectionFailed, _CLOSED),
    ((http.client.HTTPException, raw.HeaderParsingError), BrokenAnswer, "the answer is not proper HTTP"),
    ((requests.exceptions.InvalidSchema, requests.exceptions.InvalidURL, raw.LocationValueError),
     ProxyFailed, "the address or the proxy's address is of no kind that can be used"),
    ((raw.ProtocolError,), ConnectionFailed, "the connection broke"),
    ((requests.RequestException, raw.HTTPError, OSError), ConnectionFailed, "the connection failed"),
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
