"""Connect to any address of a host, and skip interim responses: requests and urllib3 have no hooks for these.

The overridden methods are private in urllib3 and http.client: `tests/test_connect.py` fails when they change.
"""

import http.client
import queue
import selectors
import socket
import time
from collections.abc import Iterable
from contextlib import suppress
from itertools import chain, zip_longest
from typing import Any, Final, NamedTuple, TypeAlias, cast

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError, ProxyError

from balcli.errors import MachineExhausted
from balcli.models import CaSource

NEXT_ADDRESS: Final = 0.25
"""Seconds until the next address of a host is tried in parallel (RFC 8305, section 5)."""
_WAIT_AFTER_FIRST: Final = 2.0
MAX_INTERIM: Final = 10
"""Interim (1xx) responses that are skipped before the final one."""
MAX_HEAD: Final = 256 * 1024
"""Bytes of a response's status lines and headers. curl's limit is 300 KiB."""
# http.client's limit is 100, and valid responses can have more.
http.client._MAXHEADERS = 1000  # type: ignore[attr-defined] # noqa: SLF001

# Unlike epoll, poll needs no file descriptor of its own.
_Selector: Final = getattr(selectors, "PollSelector", selectors.DefaultSelector)

_Address: TypeAlias = tuple[Any, ...]
_Host: TypeAlias = tuple[str, int]

_connected: dict[_Host, _Address] = {}
"""The last connected address of each host."""
_failed: dict[_Address, float] = {}
"""The monotonic time when an address last failed or timed out."""


class Setup(NamedTuple):
    """The settings named in messages about proxies and certificates."""

    trusted: CaSource = CaSource()
    """The trusted certificates."""
    proxy: str = "HTTPS_PROXY"
    """The setting of the proxy."""
    has_password: bool = False
    """Whether the proxy's URL has a user name or password."""


class TooManyInterimResponses(http.client.HTTPException):
    """The server sent more than `MAX_INTERIM` interim responses."""


class HeadTooLarge(http.client.HTTPException):
    """The status lines and headers of a response are larger than `MAX_HEAD`."""


def addresses(host: str, port: int) -> list[tuple[int, _Address]]:
    """The families and addresses of a host, each once, with alternating families (RFC 8305, section 4).

    Failed addresses come last, in the order of their failures. Raises socket.gaierror. The time is not limited.
    """
    try:
        entries = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)
    except UnicodeError:
        raise socket.gaierror(socket.EAI_NONAME, "not a host name") from None
    except socket.gaierror:
        socket.socket().close()  # raises OSError if the resolver had no file descriptor
        raise
    by_family: dict[int, dict[tuple[int, _Address], None]] = {}
    for family, _, _, _, address in entries:
        by_family.setdefault(family, {})[int(family), address] = None
    in_turn = [*filter(None, chain.from_iterable(zip_longest(*by_family.values())))]
    return sorted(in_turn, key=lambda entry: _failed.get(entry[1], 0.0)) if _failed else in_turn


def report_failure(host: str, port: int) -> None:
    """From now on, try the other addresses of a host first: a request to its last address failed."""
    address = _connected.pop((host, port), None)
    if address is not None:
        _failed[address] = time.monotonic()


def connect(
    host: str, port: int, seconds: float, options: Iterable[tuple[int, int, int | bytes]] = ()
) -> socket.socket:
    """A connection to the first address of a host that accepts one. The others are closed without sending anything.

    Raises socket.gaierror, TimeoutError after that many seconds, or the OSError of the last address.
    """
    until = time.monotonic() + seconds
    waiting = addresses(host, port)
    problem = OSError("the host has no address")
    with _Selector() as pending:
        try:
            while waiting or pending.get_map():
                if waiting:
                    family, address = waiting.pop(0)
                    try:
                        pending.register(_dial(family, address, options), selectors.EVENT_WRITE, address)
                    except OSError as refused:
                        if MachineExhausted.from_exception(refused):
                            raise
                        problem = refused
                        continue
                left = until - time.monotonic()
                if left <= 0:
                    raise TimeoutError("no address accepted a connection in time")
                for key, _ in pending.select(min(left, NEXT_ADDRESS) if waiting else left):
                    connection = cast("socket.socket", pending.unregister(key.fileobj).fileobj)
                    error = connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                    if not error:
                        connection.settimeout(seconds)
                        _connected[host, port] = key.data
                        return connection
                    connection.close()
                    problem = OSError(error, "not connected")
                    _failed[key.data] = time.monotonic()
        finally:
            for key in pending.get_map().values():
                _failed[key.data] = time.monotonic()
                cast("socket.socket", key.fileobj).close()
    raise problem


def try_all(host: str, port: int, seconds: float) -> dict[str, float | OSError]:
    """The seconds that a connection to each address of a host took, or its error.

    All are tried at once, and time out 2 s after the first success. Raises socket.gaierror.
    """
    began = time.monotonic()
    until = began + seconds
    results: dict[str, float | OSError] = {}
    with _Selector() as pending:
        for family, address in addresses(host, port):
            results[address[0]] = TimeoutError("no connection in time")
            try:
                pending.register(_dial(family, address, ()), selectors.EVENT_WRITE, address[0])
            except OSError as problem:
                results[address[0]] = problem
        while pending.get_map() and (left := until - time.monotonic()) > 0:
            for key, _ in pending.select(left):
                with cast("socket.socket", pending.unregister(key.fileobj).fileobj) as connection:
                    error = connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                now = time.monotonic()
                results[key.data] = OSError(error, "not connected") if error else now - began
                until = until if error else min(until, now + _WAIT_AFTER_FIRST)
        for key in pending.get_map().values():
            cast("socket.socket", key.fileobj).close()
    return results


def _dial(family: int, address: _Address, options: Iterable[tuple[int, int, int | bytes]]) -> socket.socket:
    """A socket that is connecting to an address. Raises OSError if it failed at once."""
    connection = socket.socket(family, socket.SOCK_STREAM)
    try:
        connection.settimeout(0)
        for option in options:
            connection.setsockopt(*option)
        with suppress(BlockingIOError):
            connection.connect(address)
    except BaseException:  # also a signal must not leave the socket open
        connection.close()
        raise
    return connection


class _LimitedHead:
    """A connection's file that limits the size of a response's head."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self._left = MAX_HEAD

    def readline(self, limit: int) -> bytes:
        line: bytes = self._file.readline(limit)
        self._left -= len(line)
        if self._left < 0:
            raise HeadTooLarge
        return line

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


class _Response(http.client.HTTPResponse):
    """A response that skips interim ones, with a limit on the size of its head."""

    def begin(self, **limits: Any) -> None:  # Python 3.15 passes the maximum number of headers
        file = self.fp
        self.fp = _LimitedHead(file)  # type: ignore[assignment]
        super().begin(**limits)
        self.fp = file

    def _read_status(self) -> tuple[str, int, str]:
        for _ in range(MAX_INTERIM + 1):
            version, status, reason = super()._read_status()  # type: ignore[misc]
            if status >= 200:
                return version, status, reason
            http.client.parse_headers(self.fp)
        raise TooManyInterimResponses


class _Connection(HTTPConnection):
    response_class = _Response

    def _new_conn(self) -> socket.socket:
        try:
            return connect(self._dns_host, self.port, self.timeout or 0, self.socket_options or ())
        except socket.gaierror as problem:
            raise NameResolutionError(self.host, self, problem) from problem
        except TimeoutError as problem:
            raise ConnectTimeoutError(self, "no connection in time") from problem
        except OSError as problem:
            raise NewConnectionError(self, "no connection") from problem

    def _tunnel(self) -> None:
        try:
            super()._tunnel()
        except (OSError, http.client.HTTPException) as problem:
            raise ProxyError("no tunnel", problem) from problem


class _TlsConnection(_Connection, HTTPSConnection):
    pass


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


def close_idle(pool: HTTPConnectionPool) -> int:
    """Close the idle connections of a pool. Returns their number."""
    closed = 0
    with suppress(queue.Empty):
        while pool.pool is not None:
            connection = pool.pool.get(block=False)
            if connection is not None and connection.sock is not None:
                connection.close()
                closed += 1
    return closed


POOLS: Final = {"http": _Pool, "https": _TlsPool}
"""The `pool_classes_by_scheme` for a pool manager with the connections of this module."""
