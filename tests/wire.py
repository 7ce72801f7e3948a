"""A server that says any bytes it likes, and the running of many cases against it."""

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
"""A credential no part of which stands in any message by chance."""

Script: TypeAlias = Callable[[socket.socket, bytes], object]
"""What the server does with one request: it gets the socket and the request's bytes.

The connection is closed afterwards, unless the script returns KEEP.
"""

KEEP: Final = object()
"""A script's way to say that the next request may come over the same connection."""

_LOOPBACK: Final = "127.0.0.1"
_PIECE: Final = 64 * 1024
_EXIT_CODES: Final = {
    value.code: value.exit_code
    for value in vars(errors).values()
    if isinstance(value, type) and issubclass(value, errors.BalcliError) and hasattr(value, "code")
}
_CLOSE: Final = "Connection: close"


def whole_request(connection: socket.socket) -> bytes:
    """The bytes of one request, its body included; b"" where the client is gone."""
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
    """Whatever comes first, be it HTTP or not."""
    return connection.recv(_PIECE)


def headers_of(request: bytes) -> dict[str, list[str]]:
    """The header fields of a request: all values under each name in lower case."""
    found: dict[str, list[str]] = {}
    for line in request.partition(b"\r\n\r\n")[0].split(b"\r\n")[1:]:
        name, _, value = line.decode("latin-1").partition(":")
        found.setdefault(name.lower(), []).append(value.strip())
    return found


class Wire:
    """A server on 127.0.0.1, as a context: request n is played by script n, all later ones by the last.

    `requests` has the raw bytes of every request, `connections` counts what was accepted. Connections are refused for
    the first `refuses_for` seconds.
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
        """Where it listens, without a final slash."""
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
        # A client that goes away or refuses the certificate is what the tests are about.
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
    """The bytes of an answer over a connection that ends with it; without `length`, so does the body."""
    lines = [f"HTTP/1.1 {status}", "Content-Type: application/json", _CLOSE, *headers]
    lines += [f"Content-Length: {len(body)}"] if length else []
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def keeps(raw: bytes) -> Script:
    """A script that sends these bytes, without their `Connection: close`, and awaits the next request."""
    kept = raw.replace(f"{_CLOSE}\r\n".encode(), b"", 1)

    def script(connection: socket.socket, _request: bytes) -> object:
        connection.sendall(kept)
        return KEEP

    return script


def row(total: object = "5000", free: object = "4000", locked: object = "1000", asset: str = "USDT") -> Any:
    """One row of the merchant API's answer."""
    return {
        "asset": asset,
        "assetId": asset,
        "assetName": asset,
        "total": total,
        "free": free,
        "locked": locked,
    }


def holdings(*rows: Any) -> bytes:
    """A body of the merchant API that is a good answer if its rows are."""
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
"""A script that answers well."""

GZIPPED: Final = gzip.compress(holdings(), mtime=0)


@dataclass(frozen=True, eq=False)
class Case:
    """What a server does, how the program is run, and how that must end."""

    name: str
    scripts: tuple[Script, ...]
    code: int = 0
    errors: tuple[str, ...] = ()
    """The codes of which the document has one; none where the account answers."""
    requests: int = 1
    statuses: tuple[int | None, ...] = (None, 200)
    """What `http_status` may be: for most faults of an answer, nothing says whether it is named."""
    options: tuple[str, ...] = ()
    command: str = "merchant"
    profile: Callable[[str], str] = merchant
    secrets: tuple[str, ...] = (TOKEN,)
    bound: float = 30.0
    """Seconds after which the process counts as hanging."""
    group: str | None = None
    """Cases of one group are accounts of one run, which saves starting a process for each."""

    def __str__(self) -> str:
        return self.name


class Played(NamedTuple):
    """How a case went: what the program did, and what the server was asked."""

    result: Result
    requests: list[bytes]


def each(scripts: Mapping[str, Script], **common: Any) -> list[Case]:
    """A case for each script, all to end alike."""
    return [Case(name, (script,), **common) for name, script in scripts.items()]


def play(cases: Sequence[Case], program: Program) -> list[Played]:
    """Run one case to its end, as a process of its own against a server of its own."""
    (case,) = cases
    with Wire(*case.scripts) as wire:
        file = program.write(case.profile(wire.url))
        arguments = (case.command, "-o", "json", "--config", str(file), *case.options)
        result = program.run(*arguments, timeout=case.bound)
        return [Played(result, list(wire.requests))]


def play_together(cases: Sequence[Case], program: Program) -> list[Played]:
    """Run cases of the merchant API as the accounts of one process: how it went, as each account has it.

    Each has a server of its own, its own part of the document, its own lines of stderr, and the exit code that its
    error has. The process's own must be what the contract makes of these.
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
    """What a test is tried with, by pytest's parameters or by `tests.lists.each_case`."""
    if hasattr(item, "callspec"):
        yield from item.callspec.params.values()
    _, cases = getattr(item.function, "each_case", (None, ()))
    for case in cases:
        yield from case.values.values()


class Batch:
    """Plays the cases of a module's tests: each when it is asked for, and those of a group together, once."""

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
        """How a case went; fails the test if its run could not be had or judged."""
        group = case.group or case
        if group not in self._runs:
            home = self._folder / str(len(self._runs))
            home.mkdir()
            try:
                run = play if case.group is None else play_together
                self._runs[group] = run(self._groups[group], Program(home))
            except Exception as problem:  # noqa: BLE001 - told by every test of the group, without a new run
                self._runs[group] = f"{type(problem).__name__}: {problem}"
        played = self._runs[group]
        if isinstance(played, str):
            pytest.fail(played, pytrace=False)
        return played[self._groups[group].index(case)]


def fragments(secret: str, length: int = 8) -> Iterator[str]:
    """The pieces by which a secret, or an encoding of it, would be known again."""
    raw = secret.encode("latin-1")
    forms = {secret, quote(secret, safe=""), raw.hex(), base64.b64encode(raw).decode()}
    for form in forms:
        for start in range(max(1, len(form) - length + 1)):
            yield form[start : start + length]


def assert_no_secret(result: Result, *secrets: str) -> None:
    """Neither stream has any part of a secret."""
    for secret in secrets:
        for piece in fragments(secret):
            assert piece not in result.out, f"stdout has a piece of the secret: {result.out}"
            assert piece not in result.err, f"stderr has a piece of the secret: {result.err}"


def assert_one_line(result: Result, account: str) -> None:
    """Stderr is one clean line about the account."""
    line = result.err.removesuffix("\n")
    assert line.startswith(f"balcli: {account}: "), result.err
    assert result.err.endswith("\n"), result.err
    assert line.isprintable(), result.err
    assert len(line) <= 300, result.err


def assert_failed(case: Case, played: Played) -> None:
    """The account failed as the case has it: exit code, document, one line, requests, and no secret."""
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
    """The account answered, and nothing is said about it; the rows of the document."""
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
