"""The stages of a connection, one at a time: DNS, TCP, TLS. No request is sent."""

import socket
import ssl
import time
from collections.abc import Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from balcli.errors import ConnectionFailed, DeadlinePassed, NameNotResolved, TimedOut, TlsFailed
from balcli.http.client import RequestSettings
from balcli.http.timing import Deadline
from balcli.text import printable
from balcli.urls import display_host, is_loopback

_PORTS: Final = {"http": 80, "https": 443}
_DAY: Final = 86_400
_TIMED_OUT: Final = "timed out"


class Server(NamedTuple):
    """A host and port to connect to: a provider's, or a proxy's."""

    host: str
    port: int
    tls: bool
    name: str = ""
    """Its name for messages, if the host must not be shown."""

    @classmethod
    def of(cls, url: str) -> "Server":
        """The server of a URL."""
        parts = urlsplit(url)
        name = display_host(url) if display_host(url).lower() != parts.netloc.lower() else ""
        return cls(parts.hostname or "", parts.port or _PORTS[parts.scheme], parts.scheme == "https", name)

    @property
    def shown(self) -> str:
        """The host and port, for messages."""
        if self.name:
            return printable(self.name, 80)
        host = f"[{self.host}]" if ":" in self.host else self.host
        return printable(f"{host}:{self.port}", 80)


class Certificate(NamedTuple):
    """The protocol of a verified TLS connection, and the days until its certificate expires."""

    protocol: str
    days: int


class Route(NamedTuple):
    """How a provider is reached: directly or through a proxy, without the proxy's credentials."""

    server: Server
    proxy: Server | None
    setting: str = ""
    """The setting that names the proxy."""


def route_to(base_url: str, proxy: str | None) -> Route:
    """The route to an API, with the proxy of the profile or the environment. Raises ProxyRefused."""
    # The transport's own function, so that the two always agree.
    from balcli.http.transport import proxy_for

    server = Server.of(base_url)
    chosen = proxy_for(base_url, proxy, loopback=is_loopback(server.host))
    if chosen is None:
        return Route(server, None)
    return Route(server, Server.of(chosen.url), chosen.setting)


class Reached(NamedTuple):
    """The addresses of a server: the milliseconds that each took to connect, or why it failed."""

    answered: Mapping[str, float]
    failed: Mapping[str, str]

    def require_answer(self, server: Server) -> None:
        """Raise TimedOut or ConnectionFailed if no address answered."""
        if not self.answered:
            kind = TimedOut if _TIMED_OUT in self.failed.values() else ConnectionFailed
            tried = ", ".join(f"{address} {why}" for address, why in self.failed.items())
            raise kind(f"{server.shown}: no TCP connection ({tried}); check base_url and the firewall")


def reach(server: Server, settings: RequestSettings, deadline: Deadline) -> Reached:
    """Connect to each address of a server. Raises NameNotResolved. Name resolution has no time limit."""
    # Imported here, because it loads urllib3.
    from balcli.http.connect import try_all

    try:
        results = try_all(server.host, server.port, _seconds(settings, deadline))
    except OSError:
        raise NameNotResolved(
            f"{server.shown}: the host name cannot be resolved; check base_url and DNS"
        ) from None
    return Reached(
        {address: took * 1000 for address, took in results.items() if isinstance(took, float)},
        {address: _reason(problem) for address, problem in results.items() if isinstance(problem, OSError)},
    )


def _reason(problem: OSError) -> str:
    if isinstance(problem, TimeoutError):
        return _TIMED_OUT
    return "refused" if isinstance(problem, ConnectionRefusedError) else "has no route"


def certificate(server: Server, settings: RequestSettings, deadline: Deadline) -> Certificate:
    """The certificate of a TLS handshake, verified as in a request.

    Raises TlsFailed, TimedOut or ConnectionFailed.
    """
    from balcli.http.library_errors import certificate_problem
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
            flaw = certificate_problem(problem, settings.ca_bundle)
            raise TlsFailed(f"{server.shown}: the certificate {flaw}") from None
        except TimeoutError:
            raise TimedOut(
                f"{server.shown}: the TLS handshake timed out after {seconds:.3g} s; "
                "raise --timeout or try again later"
            ) from None
        except ssl.SSLError:
            raise TlsFailed(f"{server.shown}: the TLS handshake failed; check the port in base_url") from None
        except OSError:
            raise ConnectionFailed(
                f"{server.shown}: the connection was closed during the TLS handshake; check base_url"
            ) from None


def _seconds(settings: RequestSettings, deadline: Deadline) -> float:
    """The timeout of the next stage in seconds. Raises DeadlinePassed if no time is left."""
    left = deadline.left()
    if left <= 0:
        raise DeadlinePassed(
            f"no time left before the deadline of {deadline.seconds:g} s; raise --deadline or try again later"
        )
    return min(settings.timeout, left)


def _connection(server: Server, seconds: float) -> socket.socket:
    from balcli.http.connect import connect

    try:
        return connect(server.host, server.port, seconds)
    except OSError:
        raise ConnectionFailed(
            f"{server.shown}: the connection was refused, or there is no route to the host; check base_url and the firewall"
        ) from None


def _days_left(peer: dict[str, Any] | None) -> int:
    end = (peer or {}).get("notAfter")
    return int((ssl.cert_time_to_seconds(end) - time.time()) // _DAY) if isinstance(end, str) else 0
