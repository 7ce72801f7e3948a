"""A server that sends any bytes, and functions that run many cases against it."""

import base64
import contextlib
import gzip
import json
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self, TypeAlias
from urllib.parse import quote

import pytest

from balcli import errors
from tests.conftest import Program, Result
from tests.faults.wire import sends

if TYPE_CHECKING:
    from ssl import SSLContext

TOKEN: Final = "tQ7zK-9vXw2mRb5LhN8cYd4J"
"""A credential whose parts do not occur in any message by chance."""

Script: TypeAlias = Callable[[socket.socket, bytes], object]
"""What the server does with one request: it is called with the socket and the request's bytes.

The connection is closed afterwards, unless the script returns KEEP.
"""

KEEP: Final = object()
"""Returned by a script if the connection stays open for the next request."""

_LOOPBACK: Final = "127.0.0.1"
_PIECE: Final = 64 * 1024
_EXIT_CODES: Final = {
    value.code: value.exit_code
    for value in vars(errors).values()
    if isinstance(value, type) and issubclass(value, errors.BalcliError) and hasattr(value, "code")
}
_CLOSE: Final = "Connection: close"


def whole_request(connection: socket.socket) -> bytes:
    """The bytes of one request, including its body; b"" if the client closed the connection."""
    received = b""
    while b"\r\n\r\n" not in received:
        piece = connection.recv(_PIECE)
        if not piece:
            return b""
        received += piece
    head, _, body = received.partition(b"\r\n\r\n")
    length = int(headers_of(head).get("content-length", ["0"])[0])
    while len(body) < length:
        piece = connection.recv(_PIECE)
        if not piece:
            return b""
        received += piece
        body += piece
    return received


def first_bytes(connection: socket.socket) -> bytes:
    """The first bytes, HTTP or not."""
    return connection.recv(_PIECE)


def headers_of(request: bytes) -> dict[str, list[str]]:
    """The header fields of a request: all values by lowercase name."""
    found: dict[str, list[str]] = {}
    for line in request.partition(b"\r\n\r\n")[0].split(b"\r\n")[1:]:
        name, _, value = line.decode("latin-1").partition(":")
        found.setdefault(name.lower(), []).append(value.strip())
    return found


class Wire:
    """A server on 127.0.0.1, as a context. Script n answers request n, and the last script all later ones.

    `requests` has the bytes of every request, and `connections` counts accepted connections. Connections are refused
    for the first `refuses_for` seconds.
    """

    def __init__(
        self,
        *scripts: Script,
        tls: "SSLContext | None" = None,
        read: Callable[[socket.socket], bytes] = whole_request,
        address: tuple[str, int] = (_LOOPBACK, 0),
        refuses_for: float = 0.0,
    ) -> None:
        self.requests: list[bytes] = []
        self.connections = 0
        self._scripts = scripts
        self._tls = tls
        self._read = read
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._refuses_for = refuses_for
        self._listener = socket.socket()
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind(address)
        if not refuses_for:
            self._listener.listen(64)
        self.port: int = self._listener.getsockname()[1]

    @property
    def url(self) -> str:
        """Its URL, without a final slash."""
        return f"{'http' if self._tls is None else 'https'}://{_LOOPBACK}:{self.port}"

    def __enter__(self) -> Self:
        accepting = threading.Thread(target=self._accept, daemon=True)
        accepting.start()
        self._threads.append(accepting)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            still_open = list(self._open)
        for connection in still_open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(timeout=5)

    def _accept(self) -> None:
        if self._refuses_for:
            time.sleep(self._refuses_for)
            with contextlib.suppress(OSError):
                self._listener.listen(64)
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                self.connections += 1
                self._open.add(connection)
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        plain = connection
        # Clients that disconnect or refuse the certificate are part of the tests.
        with contextlib.suppress(OSError):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._tls is not None:
                connection = self._tls.wrap_socket(connection, server_side=True)
            while request := self._read(connection):
                with self._lock:
                    self.requests.append(request)
                    script = self._scripts[min(len(self.requests), len(self._scripts)) - 1]
                if script(connection, request) is not KEEP:
                    break
        with self._lock:
            self._open.discard(plain)
        connection.close()


def answer(body: bytes = b"", status: str = "200 OK", *headers: str, length: bool = True) -> bytes:
    """The bytes of a response with `Connection: close`; without `length`, the body ends with the connection."""
    lines = [f"HTTP/1.1 {status}", "Content-Type: application/json", _CLOSE, *headers]
    lines += [f"Content-Length: {len(body)}"] if length else []
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def keeps(raw: bytes) -> Script:
    """A script that sends these bytes without `Connection: close` and waits for the next request."""
    kept = raw.replace(f"{_CLOSE}\r\n".encode(), b"", 1)

    def script(connection: socket.socket, _request: bytes) -> object:
        connection.sendall(kept)
        return KEEP

    return script


def row(total: object = "5000", free: object = "4000", locked: object = "1000", asset: str = "USDT") -> Any:
    """A row of the merchant API's response."""
    return {
        "asset": asset,
        "assetId": asset,
        "assetName": asset,
        "total": total,
        "free": free,
        "locked": locked,
    }


def holdings(*rows: Any) -> bytes:
    """A body of the merchant API, which is valid if its rows are."""
    data = {"canDeposit": True, "balances": list(rows) or [row()]}
    return json.dumps({"code": 200, "msg": "SUCCESS", "data": data}, separators=(",", ":")).encode()


def merchant(url: str, token: str = TOKEN) -> str:
    """A profile of one merchant account with a fixed token."""
    return f'[profiles.main.merchant]\nbase_url = "{url}"\ntoken = "{token}"\n'


def wallet(url: str, credential: str = f'access_token = "{TOKEN}"') -> str:
    """A profile of one wallet account."""
    return f'[profiles.main.wallet]\nbase_url = "{url}"\nwallet_id = "w-1"\n{credential}\n'


def loopring(url: str, key: str = TOKEN) -> str:
    """A profile of one Loopring account."""
    return f'[profiles.main.loopring]\nbase_url = "{url}"\naccount_id = 11329\napi_key = "{key}"\n'


GOOD: Final = sends(answer(holdings()))
"""A script that sends a good response."""

GZIPPED: Final = gzip.compress(holdings(), mtime=0)


@dataclass(frozen=True, eq=False)
class Case:
    """A server's behavior, the run of the program, and the expected result."""

    name: str
    scripts: tuple[Script, ...]
    code: int = 0
    errors: tuple[str, ...] = ()
    """The error codes, one of which the document must have; empty if the account answers."""
    requests: int = 1
    statuses: tuple[int | None, ...] = (None, 200)
    """The allowed `http_status` values: for most faults it may or may not be named."""
    options: tuple[str, ...] = ()
    command: str = "merchant"
    profile: Callable[[str], str] = merchant
    secrets: tuple[str, ...] = (TOKEN,)
    bound: float = 30.0
    """Seconds after which the process is considered to hang."""
    group: str | None = None
    """Cases of one group are accounts of one run, which saves processes."""

    def __str__(self) -> str:
        return self.name


class Played(NamedTuple):
    """The result of a case: what the program did, and the requests that the server got."""

    result: Result
    requests: list[bytes]


def each(scripts: Mapping[str, Script], **common: Any) -> list[Case]:
    """A case for each script, all with the same expected result."""
    return [Case(name, (script,), **common) for name, script in scripts.items()]


def play(cases: Sequence[Case], program: Program) -> list[Played]:
    """Run one case, in a new process with a new server."""
    (case,) = cases
    with Wire(*case.scripts) as wire:
        file = program.write(case.profile(wire.url))
        arguments = (case.command, "-o", "json", "--config", str(file), *case.options)
        result = program.run(*arguments, timeout=case.bound)
        return [Played(result, list(wire.requests))]


def play_together(cases: Sequence[Case], program: Program) -> list[Played]:
    """Run cases of the merchant API as accounts of one process. Returns the result of each account.

    Each has its own server, part of the document, lines of stderr, and exit code from its error. The exit code of the
    process must follow from these.
    """
    with ExitStack() as stack:
        wires = [stack.enter_context(Wire(*case.scripts)) for case in cases]
        tables = [
            f'[[profiles.main.merchant]]\nname = "a{n}"\nbase_url = "{wire.url}"\ntoken = "{case.secrets[0]}"\n'
            for n, (wire, case) in enumerate(zip(wires, cases, strict=True))
        ]
        file = program.write("".join(tables))
        arguments = ("merchant", "-o", "json", "--config", str(file), *cases[0].options)
        result = program.run(*arguments, timeout=cases[0].bound)
        requests = [list(wire.requests) for wire in wires]
    document = result.json
    assert [account["account"] for account in document["accounts"]] == [f"a{n}" for n in range(len(cases))]
    lines = result.err.splitlines(keepends=True)
    assert all(re.match(r"balcli: a[0-9]+: ", line) for line in lines), result.err
    codes = [
        _EXIT_CODES[account["error"]["code"]] if account["error"] else 0 for account in document["accounts"]
    ]
    assert result.code == (8 if 0 in codes and any(codes) else min(codes)), (result.code, codes)
    assert document["complete"] is not any(codes)
    played = []
    for n, account in enumerate(document["accounts"]):
        rows = [found for found in document["balances"] if found["account"] == account["account"]]
        totals = document["totals"] if rows else []
        view = {"complete": codes[n] == 0, "accounts": [account], "balances": rows, "totals": totals}
        said = "".join(line for line in lines if line.startswith(f"balcli: a{n}: "))
        played.append(Played(Result(codes[n], json.dumps(document | view), said), requests[n]))
    return played


def _values_of(item: pytest.Function) -> Iterator[object]:
    """The values of a test's cases, from pytest's parameters or `tests.lists.each_case`."""
    if hasattr(item, "callspec"):
        yield from item.callspec.params.values()
    _, cases = getattr(item.function, "each_case", (None, ()))
    for case in cases:
        yield from case.values.values()


class Batch:
    """Runs the cases of a module's tests: single cases on demand, and each group together, once."""

    def __init__(self, request: pytest.FixtureRequest, folder: Path) -> None:
        self._folder = folder
        self._groups: dict[object, list[Case]] = {}
        self._runs: dict[object, list[Played] | str] = {}
        for item in request.session.items:
            if item.path == request.path and isinstance(item, pytest.Function):
                for case in _values_of(item):
                    if isinstance(case, Case):
                        self._groups.setdefault(case.group or case, []).append(case)

    def __call__(self, case: Case) -> Played:
        """The result of a case. Fails the test if the case could not be run or checked."""
        group = case.group or case
        if group not in self._runs:
            home = self._folder / str(len(self._runs))
            home.mkdir()
            try:
                run = play if case.group is None else play_together
                self._runs[group] = run(self._groups[group], Program(home))
            except Exception as problem:  # noqa: BLE001 - raised by every test of the group, without a new run
                self._runs[group] = f"{type(problem).__name__}: {problem}"
        played = self._runs[group]
        if isinstance(played, str):
            pytest.fail(played, pytrace=False)
        return played[self._groups[group].index(case)]


def fragments(secret: str, length: int = 8) -> Iterator[str]:
    """The pieces that identify a secret or an encoding of it."""
    raw = secret.encode("latin-1")
    forms = {secret, quote(secret, safe=""), raw.hex(), base64.b64encode(raw).decode()}
    for form in forms:
        for start in range(max(1, len(form) - length + 1)):
            yield form[start : start + length]


def assert_no_secret(result: Result, *secrets: str) -> None:
    """Check that neither stream has any part of a secret."""
    for secret in secrets:
        for piece in fragments(secret):
            assert piece not in result.out, f"stdout has a piece of the secret: {result.out}"
            assert piece not in result.err, f"stderr has a piece of the secret: {result.err}"


def assert_one_line(result: Result, account: str) -> None:
    """Check that stderr is one clean line about the account."""
    line = result.err.removesuffix("\n")
    assert line.startswith(f"balcli: {account}: "), result.err
    assert result.err.endswith("\n"), result.err
    assert line.isprintable(), result.err
    assert len(line) <= 300, result.err


def assert_failed(case: Case, played: Played) -> None:
    """Check that the account failed as expected: exit code, document, one line, requests, and no secret."""
    result = played.result
    assert result.code == case.code, (result.code, result.err, result.out)
    document = result.json
    (account,) = document["accounts"]
    assert account["status"] == "failed"
    assert account["fetched_at"] is None
    assert account["error"]["code"] in case.errors, account
    assert account["error"]["http_status"] in case.statuses, account
    assert account["error"]["message"].isprintable(), account
    assert document["complete"] is False
    assert document["balances"] == []
    assert document["totals"] == []
    assert document["errors"] == []
    assert_one_line(result, account["account"])
    assert_no_secret(result, *case.secrets)
    assert len(played.requests) == case.requests, played.requests


def assert_answered(case: Case, played: Played) -> list[Any]:
    """Check that the account answered without messages. Returns the rows of the document."""
    result = played.result
    assert result.code == 0, (result.code, result.err, result.out)
    document = result.json
    assert document["complete"] is True
    assert [account["error"] for account in document["accounts"]] == [None]
    assert result.err == ""
    assert_no_secret(result, *case.secrets)
    assert len(played.requests) == case.requests, played.requests
    rows: list[Any] = document["balances"]
    return rows


def amounts(rows: list[Any]) -> list[tuple[str, str, str]]:
    """The total, available and locked amount of each row."""
    return [(found["total"], found["available"], found["locked"]) for found in rows]
