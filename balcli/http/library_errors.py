"""Map the exceptions of requests, urllib3, http.client and ssl to balcli's errors.

Their own messages are never shown, because they can contain headers and URLs.
"""

import http.client
import os
import re
import ssl
from collections.abc import Iterator, Sequence
from typing import Final

from urllib3 import exceptions as raw

from balcli.errors import (
    BalcliError,
    BrokenAnswer,
    ConnectionFailed,
    CutAnswer,
    MachineExhausted,
    NameNotResolved,
    NotConnected,
    ProxyFailed,
    ProxyRefused,
    TimedOut,
    TlsFailed,
)
from balcli.http import connect
from balcli.models import CaSource
from balcli.settings import CA_VARIABLES

TIMED_OUT: Final = "no response in time"
CUT: Final = "the response was cut short"
_CLOSED: Final = "the connection was closed or reset"

# Exceptions of requests and urllib3 wrap others (`args`, `reason`, `__context__`). The first entry that
# matches any of them counts, so the most specific exceptions come first.
_MEANINGS: Final[tuple[tuple[tuple[type[BaseException], ...], type[BalcliError], str], ...]] = (
    ((raw.NameResolutionError,), NameNotResolved, "the host name cannot be resolved"),
    # A subclass of ConnectTimeoutError in urllib3, but not a timeout.
    ((raw.NewConnectionError, ConnectionRefusedError), NotConnected, "the connection was refused, or there is no route to the host"),
    ((raw.ConnectTimeoutError,), TimedOut, "the connection timed out"),
    ((raw.ReadTimeoutError, TimeoutError), TimedOut, TIMED_OUT),
    ((ssl.SSLEOFError, ssl.SSLZeroReturnError), ConnectionFailed, _CLOSED),
    ((raw.SSLError, ssl.SSLError), TlsFailed, "the TLS handshake failed; check the port in base_url"),
    ((raw.IncompleteRead, raw.InvalidChunkLength, http.client.IncompleteRead), CutAnswer, CUT),
    ((raw.InvalidHeader,), BrokenAnswer, "the response has contradictory headers"),
    ((http.client.RemoteDisconnected, ConnectionError), ConnectionFailed, _CLOSED),
    ((connect.TooManyInterimResponses,), BrokenAnswer,
     f"the server sent more than {connect.MAX_INTERIM} interim (1xx) responses"),
    ((connect.HeadTooLarge, http.client.LineTooLong), BrokenAnswer, "the response headers are too large"),
    ((http.client.HTTPException, raw.HeaderParsingError), BrokenAnswer, "the response is not valid HTTP"),
    ((raw.ProtocolError,), ConnectionFailed, "the connection was lost"),
)  # fmt: skip


def balcli_error(problem: BaseException, setup: connect.Setup) -> BalcliError:
    """The BalcliError for an exception of a library."""
    members = list(exception_chain(problem))
    for member in members:
        if exhausted := MachineExhausted.from_exception(member):
            return exhausted
    if any(isinstance(member, raw.ProxyError) for member in members):
        return _proxy_error(members, setup)
    if any(isinstance(member, http.client.BadStatusLine) and _is_cut(member) for member in members):
        return ConnectionFailed(_CLOSED)
    for member in members:
        if isinstance(member, ssl.SSLCertVerificationError):
            return TlsFailed(f"the certificate {certificate_problem(member, setup.trusted)}")
    for kinds, meaning, words in _MEANINGS:
        if any(isinstance(member, kinds) for member in members):
            return meaning(words)
    return ConnectionFailed("the connection failed")


def certificate_problem(problem: ssl.SSLCertVerificationError, trusted: CaSource) -> str:
    """The problem with a server's certificate, by OpenSSL's X509_V_ERR_… code, and a cure."""
    code = getattr(problem, "verify_code", 0)
    if code in {7, 18, 19, 20, 21}:  # 7: the same name with another key
        cure = "set ca_bundle to that authority's file"
        unused = next((name for name in CA_VARIABLES if os.environ.get(name)), None)
        if unused is not None and trusted.named_by not in CA_VARIABLES:
            cure = f"remove the {trusted.named_by} to use {unused}"
        return f"is from an authority that is not in {trusted.described}; check base_url, or {cure}"
    return _CERTIFICATE_PROBLEMS.get(code, "cannot be verified; check base_url, the clock and ca_bundle")


_CERTIFICATE_PROBLEMS: Final = {
    9: "is not valid yet; check this machine's clock",
    10: "has expired; check this machine's clock, or tell the provider",
    62: "is for another host name; check base_url",
    64: "is for another IP address; check base_url",
}


def _proxy_error(members: Sequence[BaseException], setup: connect.Setup) -> ProxyFailed:
    """The error for a proxy that failed before the connection through it was established."""
    refused = [found[1] for member in members if (found := re.match(_TUNNEL_REFUSED, str(member)))]
    if "407" in refused and setup.has_password:
        return ProxyRefused(f"the proxy refused the user name or password (HTTP 407); check {setup.proxy}")
    if "407" in refused:
        return ProxyRefused(
            "the proxy requires a user name and password (HTTP 407); "
            f"set {setup.proxy} to http://USER:PASSWORD@HOST:PORT"
        )
    if refused:
        return ProxyRefused(
            f"the proxy refused to connect (HTTP {refused[0]}); allow the host in the proxy, or change {setup.proxy}"
        )
    for kinds, what in _PROXY_MEANINGS:
        if any(isinstance(member, kinds) for member in members):
            return ProxyFailed(f"{what}; check {setup.proxy}")
    return ProxyFailed(f"the proxy closed the connection; check {setup.proxy}")


_PROXY_MEANINGS: Final[tuple[tuple[tuple[type[BaseException], ...], str], ...]] = (
    ((raw.NameResolutionError,), "the proxy's host name cannot be resolved"),
    ((raw.ConnectTimeoutError,), "the proxy cannot be reached"),
    ((TimeoutError,), "the proxy timed out"),
    ((ssl.SSLError,), "the TLS handshake with the proxy failed"),
    ((http.client.RemoteDisconnected,), "the proxy closed the connection"),
    ((http.client.HTTPException,), "the proxy does not speak HTTP"),
)
# The message of the OSError that http.client and urllib3 raise.
_TUNNEL_REFUSED: Final = r"Tunnel connection failed: ([0-9]{3})\b"


def _is_cut(problem: http.client.BadStatusLine) -> bool:
    """Whether a status line is invalid because the connection was closed in the middle of it."""
    line = str(problem.args[0]) if problem.args else ""
    return line.startswith("HTTP/") and not line.endswith("\n")


def exception_chain(problem: BaseException) -> Iterator[BaseException]:
    """The exception and all exceptions that it wraps, each once."""
    seen: set[int] = set()
    waiting: list[object] = [problem]
    while waiting:
        member = waiting.pop(0)
        if isinstance(member, BaseException) and id(member) not in seen:
            seen.add(id(member))
            yield member
            reason = getattr(member, "reason", None)
            waiting = [*member.args, reason, member.__cause__, member.__context__, *waiting]
