"""The stages of a connection, one at a time: DNS, TCP, TLS, and the server's clock. No request is sent."""

import socket
import ssl
import time
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from balcli.errors import ConnectionFailed, DeadlinePassed, NameNotResolved, ProxyFailed, TimedOut, TlsFailed
from balcli.http.client import RequestSettings
from balcli.http.timing import Deadline, parse_http_date
from balcli.text import printable
from balcli.urls import display_host, is_loopback, validate_proxy

_PORTS: Final = {"http": 80, "https": 443}
_DAY: Final = 86_400

# OpenSSL's verification errors (X509_V_ERR_…), with what to do about each.
_UNKNOWN_ISSUER: Final = (
    "is from nobody that is trusted here; check base_url, or name the issuer's file in ca_bundle"
)
_FLAWS: Final = {
    9: "is not valid yet; set this machine's clock",
    10: "has expired; tell the provider, and check this machine's clock",
    18: _UNKNOWN_ISSUER,
    19: _UNKNOWN_ISSUER,
    20: _UNKNOWN_ISSUER,
    21: _UNKNOWN_ISSUER,
    62: "is for another name; check base_url",
    64: "is for another address; check base_url",
}


class Server(NamedTuple):
    """A host and port to connect to: a provider's, or a proxy's."""

    host: str
    port: int
    tls: bool
    name: str = ""
    """Its name in messages, if its host must not be shown."""

    @classmethod
    def of(cls, url: str) -> "Server":
        """The server of a URL, without the rest of the URL."""
        parts = urlsplit(url)
        name = display_host(url) if display_host(url).lower() != parts.netloc.lower() else ""
        return cls(parts.hostname or "", parts.port or _PORTS[parts.scheme], parts.scheme == "https", name)

    @property
    def shown(self) -> str:
        """Host and port for messages."""
        if self.name:
            return printable(self.name, 80)
        host = f"[{self.host}]" if ":" in self.host else self.host
        return printable(f"{host}:{self.port}", 80)


class Certificate(NamedTuple):
    """The protocol of a verified TLS connection, and the whole days until its certificate expires."""

    protocol: str
    days: int


class Route(NamedTuple):
    """How a provider is reached: directly, or through a proxy, whose own credentials are left out."""

    server: Server
    proxy: Server | None


def route_to(base_url: str, proxy: str | None) -> Route:
    """The route to an API, with the profile's proxy or the environment's. Raises ProxyFailed."""
    # The transport's own choice, so that the two cannot differ.
    from balcli.http.transport import proxy_for

    server = Server.of(base_url)
    chosen = proxy_for(base_url, proxy, loopback=is_loopback(server.host))
    if chosen is None:
        return Route(server, None)
    try:
        return Route(server, Server.of(validate_proxy(chosen if "://" in chosen else f"http://{chosen}")))
    except ValueError as problem:
        raise ProxyFailed(f"the proxy for {server.shown} {problem}") from None


def addresses(server: Server) -> tuple[str, ...]:
    """The addresses of a server without repetitions. Raises NameNotResolved. Nothing limits how long this takes."""
    try:
        found = socket.getaddrinfo(server.host, server.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise NameNotResolved(
            f"{server.shown}: the host's name cannot be resolved; check base_url and the resolver"
        ) from None
    return tuple(dict.fromkeys(str(entry[4][0]) for entry in found))


def connected(server: Server, settings: RequestSettings, deadline: Deadline) -> float:
    """The seconds that a TCP connection took. Raises TimedOut or ConnectionFailed."""
    begun = time.monotonic()
    _connection(server, _seconds(settings, deadline)).close()
    return time.monotonic() - begun


def certificate(server: Server, settings: RequestSettings, deadline: Deadline) -> Certificate:
    """The certificate of a TLS handshake, verified as a request does it.

    Raises TlsFailed, TimedOut or ConnectionFailed.
    """
    from balcli.http.transport import tls_context

    context = tls_context(settings.ca_bundle)
    seconds = _seconds(settings, deadline)
    until = time.monotonic() + seconds
    with _connection(server, seconds) as connection:
        connection.settimeout(max(until - time.monotonic(), 0.01))
        try:
            with context.wrap_socket(connection, server_hostname=server.host) as secured:
                return Certificate(secured.version() or "TLS", _days_left(secured.getpeercert()))
        except ssl.SSLCertVerificationError as problem:
            flaw = _FLAWS.get(
                problem.verify_code, "cannot be verified; check base_url, the clock and ca_bundle"
            )
            raise TlsFailed(f"{server.shown}: the certificate {flaw}") from None
        except TimeoutError:
            raise TimedOut(
                f"{server.shown}: no TLS handshake in {seconds:.3g} s; try later, or raise --timeout"
            ) from None
        except ssl.SSLError:
            raise TlsFailed(f"{server.shown}: the TLS handshake failed; check the port in base_url") from None
        except OSError:
            raise ConnectionFailed(
                f"{server.shown}: the connection was closed in the TLS handshake; check base_url"
            ) from None


def seconds_ahead(date: str, now: float) -> int | None:
    """The seconds that this machine's clock is ahead of a `Date` header; None if that is not a date."""
    moment = parse_http_date(date)
    # The header is rounded down to a second, half of one on average.
    return None if moment is None else round(now - moment - 0.5)


def _seconds(settings: RequestSettings, deadline: Deadline) -> float:
    """The seconds that the next stage may take. Raises DeadlinePassed if no time is left."""
    left = deadline.left()
    if left <= 0:
        raise DeadlinePassed(f"no time is left of the run's {deadline.seconds:g} s; raise --deadline")
    return min(settings.timeout, left)


def _connection(server: Server, seconds: float) -> socket.socket:
    try:
        return socket.create_connection((server.host, server.port), timeout=seconds)
    except TimeoutError:
        raise TimedOut(
            f"{server.shown}: no TCP connection in {seconds:.3g} s; check base_url and the firewall"
        ) from None
    except OSError:
        raise ConnectionFailed(
            f"{server.shown}: the connection was refused or has no route; check base_url and the firewall"
        ) from None


def _days_left(peer: dict[str, Any] | None) -> int:
    end = (peer or {}).get("notAfter")
    return int((ssl.cert_time_to_seconds(end) - time.time()) // _DAY) if isinstance(end, str) else 0
