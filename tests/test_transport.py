"""The transport, used in this process over real sockets: what it reads, keeps, refuses, and how long it takes."""

import gc
import gzip
import os
import random
import shutil
import socket
import struct
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, Final

import pytest

from balcli.errors import (
    AnswerTooLarge,
    BalcliError,
    BrokenAnswer,
    ConnectionFailed,
    CutAnswer,
    ProxyFailed,
    TimedOut,
    TlsFailed,
    ValueProblem,
)
from balcli.files import shown
from balcli.http.transport import Answer, Proxy, Transport, proxy_for, tls_context
from balcli.models import CaSource
from balcli.sandbox.faults import keeps_silent
from tests.authority import LEAF, Authority, found, serving
from tests.faults.wire import chunked, drips, hangs_up, pours, resets, sends
from tests.lists import each_case
from tests.test_http_tls import FAR, FORGED
from tests.wire import GZIPPED, KEEP, Script, Wire, answer, headers_of, holdings, keeps, whole_request

BODY: Final = holdings()
MOST: Final = 8 * 1024 * 1024
CHUNKED: Final = "Transfer-Encoding: chunked"
ZIPPED: Final = "Content-Encoding: gzip"
HEAD: Final = answer(b"", length=False)

# urllib3 leaves the socket of an answer whose headers it refuses to the collector.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """No proxy of this environment."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture(scope="module", autouse=True)
def nothing_left_to_collect() -> Iterator[None]:
    """What the libraries leave to the collector is collected here, where it is expected."""
    yield
    gc.collect()


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """The authority that the transports of these tests trust."""
    if shutil.which("openssl") is None:
        pytest.skip("certificates are made with the openssl command, which is not installed")
    return found(tmp_path_factory.mktemp("authority"))


def plain(**more: Any) -> Transport:
    """A transport for plain HTTP."""
    return Transport(**{"proxy": None, "ca_bundle": CaSource(), "connections": 4, "tls": False, **more})


def send(
    url: str, transport: Transport | None = None, method: str = "GET", seconds: float = 10, **more: Any
) -> Answer:
    """The answer to one request without headers of its own."""
    sent = {"headers": {}, "body": None, "loopback": True, **more}
    return (transport or plain()).send(method, f"{url}/", seconds=seconds, **sent)


def played(script: Script, **more: Any) -> Answer:
    """The answer of a server that plays this."""
    with Wire(script) as wire:
        return send(wire.url, **more)


def refused(script: Script, **more: Any) -> type[BalcliError]:
    """The class of what is raised where a server plays this."""
    with pytest.raises(BalcliError) as caught:
        played(script, **more)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    assert caught.value.message.isprintable()
    return type(caught.value)


# What is read.


@pytest.mark.parametrize("number", [200, 201])
def test_an_answer_has_its_status_headers_and_body(number: int) -> None:
    """Names of headers are in lower case, values as they came, and the body is whole."""
    raw = answer(BODY, f"{number} Well", "X-Some: Thing", "Retry-After:  7")
    found = played(sends(raw))
    assert (number, BODY, "Thing", "7") == (
        found.status,
        found.body,
        found.headers["x-some"],
        found.headers["retry-after"],
    )


def test_a_request_is_sent_as_it_is_given() -> None:
    """Method, address, headers and body arrive, and nothing else does."""
    with Wire(sends(answer(BODY))) as wire:
        plain().send("POST", f"{wire.url}/a?b=c,d", {"X-Key": "k"}, b"{}", seconds=5, loopback=True)
        (raw,) = wire.requests
    assert b"POST /a?b=c,d HTTP/1.1" == raw.split(b"\r\n")[0]
    assert raw.endswith(b"\r\n\r\n{}")
    sent = headers_of(raw)
    assert (["k"], ["2"]) == (sent["x-key"], sent["content-length"])
    # What else there is, the libraries need: no cookie, no credential, no connection to be kept or closed.
    assert sent.keys() <= {"host", "x-key", "content-length", "accept-encoding", "user-agent"}


@each_case("number", [400, 401, 404, 422, 451, 499])
def test_the_body_of_a_refusal_is_read(number: int) -> None:
    """The explanation of a refusal is had, if it is there and well; the status stands without it."""
    first = played(sends(answer(b"why", f"{number} No")))
    assert (number, b"why") == (first.status, first.body)
    for script in (
        sends(answer(b"why", f"{number} No", "Content-Length: 9", length=False)),
        sends(answer(b"why", f"{number} No", "Content-Encoding: br")),
        sends(answer(b"why", f"{number} No", ZIPPED)),
        sends(answer(chunked(b"why", last=b""), f"{number} No", CHUNKED, length=False)),
        resets(answer(b"", f"{number} No", "Content-Length: 9", length=False)),
        sends(answer(b"x" * (MOST + 1), f"{number} No")),
    ):
        there = played(script)
        assert (number, b"") == (there.status, there.body)


@pytest.mark.parametrize("number", [202, 206, 299, 300, 301, 399, 408, 425, 429, 500, 503, 599, 600, 999])
def test_no_other_body_is_waited_for(number: int) -> None:
    """What is no answer and no refusal is known by its status: a body that does not come is not waited for."""
    begun = time.monotonic()
    script = drips(answer(b"", f"{number} Odd", "X-Some: Thing", length=False))
    there = played(script)
    assert (number, b"", "Thing") == (there.status, there.body, there.headers["x-some"])
    assert time.monotonic() - begun < 2


FAR_BACK: Final = bytes(random.Random(1).randbytes(20_000)) * 2
"""What a gzip repeats from as far back as it can."""

MEMBERS: Final = b"".join(
    gzip.compress(part, mtime=0) for part in (b"", BODY[:20], b"", BODY[20:30], BODY[30:], b"")
)

WELL: Final = {
    "a length": sends(answer(BODY)),
    "no length": sends(answer(BODY, length=False)),
    "one length, twice": sends(answer(BODY, "200 OK", f"Content-Length: {len(BODY)}")),
    "one length, twice in a line": sends(
        answer(BODY, "200 OK", f"Content-Length: {len(BODY)}, {len(BODY)}", length=False)
    ),
    "chunks": sends(answer(chunked(BODY[:9], BODY[9:]), "200 OK", CHUNKED, length=False)),
    "identity": sends(answer(BODY, "200 OK", "Content-Encoding: identity")),
    "an empty encoding": sends(answer(BODY, "200 OK", "Content-Encoding: ")),
    "identity in capitals": sends(answer(BODY, "200 OK", "Content-Encoding: Identity")),
    "gzip": sends(answer(GZIPPED, "200 OK", ZIPPED)),
    "gzip in capitals": sends(answer(GZIPPED, "200 OK", "Content-Encoding:  GZIP ")),
    "gzip that refers far back": sends(answer(gzip.compress(FAR_BACK, mtime=0), "200 OK", ZIPPED)),
    "gzip without a length": sends(answer(GZIPPED, "200 OK", ZIPPED, length=False)),
    "x-gzip": sends(answer(GZIPPED, "200 OK", "Content-Encoding: X-Gzip")),
    "padded gzip": sends(answer(GZIPPED + bytes(1000), "200 OK", ZIPPED)),
    "gzip of several members": sends(answer(MEMBERS, "200 OK", ZIPPED)),
    "padded members in chunks": sends(
        answer(
            chunked(*(bytes([byte]) for byte in MEMBERS + bytes(9))), "200 OK", ZIPPED, CHUNKED, length=False
        )
    ),
    "300 headers": sends(answer(BODY, "200 OK", *(f"X-{number}: a" for number in range(300)))),
    "gzip in chunks": sends(
        answer(chunked(GZIPPED[:9], GZIPPED[9:]), "200 OK", ZIPPED, CHUNKED, length=False)
    ),
}


@each_case("how", WELL)
def test_a_body_is_read_however_it_is_sent(how: str) -> None:
    """Lengths, chunks, gzip and the end of the connection all give the same bytes."""
    assert (FAR_BACK if "far back" in how else BODY) == played(WELL[how]).body


@each_case("number", range(1, 11))
@each_case("status", ["100 Continue", "101 Switching", "102 Processing", "103 Early Hints", "199 Odd"])
def test_up_to_ten_interim_responses_are_passed_over(number: int, status: str) -> None:
    """Whatever their status and headers, the final response is the one that counts."""
    interim = f"HTTP/1.1 {status}\r\nLink: a\r\nContent-Length: 9\r\n\r\n".encode() * number
    there = played(sends(interim + answer(BODY)))
    assert (200, BODY, None) == (there.status, there.body, there.headers.get("link"))


@each_case(
    "script",
    [
        sends(answer(b"")),
        sends(answer(chunked(), "200 OK", CHUNKED, length=False)),
        sends(answer(gzip.compress(b""), "200 OK", ZIPPED)),
    ],
    ids=["length", "chunks", "gzip"],
)
def test_an_empty_body_that_says_so_is_one(script: Script) -> None:
    """Where the framing says that there is nothing, nothing is the body."""
    assert b"" == played(script).body


CUT: Final = {
    "in the body": sends(answer(BODY[:9], "200 OK", f"Content-Length: {len(BODY)}", length=False)),
    "ahead of the body": sends(answer(b"", "200 OK", f"Content-Length: {len(BODY)}", length=False)),
    "where a body could begin": sends(HEAD),
    "in a chunk": sends(answer(b"ff\r\nabc", "200 OK", CHUNKED, length=False)),
    "ahead of the last chunk": sends(answer(chunked(BODY, last=b""), "200 OK", CHUNKED, length=False)),
    "in the gzip": sends(answer(GZIPPED[:-9], "200 OK", ZIPPED)),
    "in the second member": sends(answer(GZIPPED + GZIPPED[:-9], "200 OK", ZIPPED)),
    "in the gzip's check": sends(answer(GZIPPED[:-1], "200 OK", ZIPPED)),
    "ahead of the gzip": sends(answer(b"", "200 OK", ZIPPED, length=False)),
}


@each_case("where", CUT)
def test_a_body_that_ends_early_is_cut(where: str) -> None:
    """A body that its own framing shows to be cut is no answer, and said to be cut."""
    assert CutAnswer is refused(CUT[where])


BROKEN: Final = {
    "two lengths": sends(answer(BODY, "200 OK", "Content-Length: 9")),
    "two lengths in one line": sends(answer(BODY, "200 OK", f"Content-Length: {len(BODY)}, 9", length=False)),
    "one length in two spellings": sends(answer(BODY, "200 OK", f"Content-Length: 0{len(BODY)}")),
    "a length that is no number": sends(answer(BODY, "200 OK", "Content-Length: x", length=False)),
    "a negative length": sends(answer(BODY, "200 OK", "Content-Length: -1", length=False)),
    "a length with a sign": sends(answer(BODY, "200 OK", f"Content-Length: +{len(BODY)}", length=False)),
    "a length of other digits": sends(answer(BODY, "200 OK", "Content-Length: \xb2", length=False)),
    "an empty length": sends(answer(BODY, "200 OK", "Content-Length: ", length=False)),
    "a length and chunks": sends(answer(chunked(BODY), "200 OK", CHUNKED)),
    "an encoding not asked for": sends(answer(zlib.compress(BODY), "200 OK", "Content-Encoding: deflate")),
    "two encodings": sends(answer(GZIPPED, "200 OK", "Content-Encoding: gzip, gzip")),
    "no gzip": sends(answer(BODY, "200 OK", ZIPPED)),
    "deflate as gzip": sends(answer(zlib.compress(BODY), "200 OK", ZIPPED)),
    "a corrupt gzip": sends(answer(GZIPPED[:20] + b"\xff\xff\xff" + GZIPPED[23:], "200 OK", ZIPPED)),
    "a gzip whose check fails": sends(answer(GZIPPED[:-8] + b"\0" * 8, "200 OK", ZIPPED)),
    "more after the gzip": sends(answer(GZIPPED + b"{}", "200 OK", ZIPPED)),
    "more after the padding": sends(answer(GZIPPED + b"\0\0{}", "200 OK", ZIPPED)),
    "a corrupt second member": sends(
        answer(GZIPPED + GZIPPED[:20] + b"\xff\xff\xff" + GZIPPED[23:], "200 OK", ZIPPED)
    ),
    "no HTTP": sends(b"SSH-2.0-OpenSSH_9.9\r\n"),
    "eleven interim responses": sends(b"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n" * 11 + answer(BODY)),
    "2,000 headers": sends(answer(BODY, "200 OK", *(f"X-{number}: a" for number in range(2000)))),
    "300 KiB of headers": sends(
        answer(BODY, "200 OK", *(f"X-{number}: {'a' * 60_000}" for number in range(5)))
    ),
    "interim headers without end": pours(b"HTTP/1.1 100 Continue\r\n", b"X-Some: a\r\n" * 1000),
}


@each_case("how", BROKEN)
def test_a_body_that_contradicts_itself_is_broken(how: str) -> None:
    """Framing and encodings that do not fit together, or are none, make no answer."""
    assert BrokenAnswer is refused(BROKEN[how])


def test_a_body_has_at_most_8_mib() -> None:
    """A body of exactly the bound is read; one byte more is too large, packed or not."""
    most = b" " * MOST
    for body, headers in ((most, ()), (gzip.compress(most, 1), (ZIPPED,))):
        assert most == played(sends(answer(body, "200 OK", *headers))).body
    members = gzip.compress(most, 1) + gzip.compress(b" ")
    for body, headers in (
        (most + b" ", ()),
        (gzip.compress(most + b" ", 1), (ZIPPED,)),
        (members, (ZIPPED,)),
    ):
        assert AnswerTooLarge is refused(sends(answer(body, "200 OK", *headers)))


@each_case(
    "script",
    [
        pours(HEAD, b" " * 65536),
        pours(answer(b"", "200 OK", CHUNKED, length=False), b"10000\r\n" + b" " * 65536 + b"\r\n"),
        sends(answer(gzip.compress(bytes(2 * MOST), 1), "200 OK", ZIPPED)),
    ],
    ids=["no length", "chunks", "a bomb"],
)
def test_an_endless_body_is_too_large(script: Script) -> None:
    """A body that does not end is given up at the bound, before the time-out."""
    assert AnswerTooLarge is refused(script, seconds=30)


# How long.


def within(script: Script, seconds: float = 0.4) -> tuple[type[BalcliError] | int, float]:
    """What came of a request with so many seconds, and how many it took."""
    begun = time.monotonic()
    with Wire(script) as wire:
        try:
            came: type[BalcliError] | int = send(wire.url, seconds=seconds).status
        except BalcliError as problem:
            came = type(problem)
        took = time.monotonic() - begun
    return came, took


@pytest.mark.parametrize(
    "script",
    [
        keeps_silent,
        drips(b"HTTP/1.1 200 ", b"O"),
        drips(b"HTTP/1.1 200 OK\r\n", b"X-Slow: a\r\n"),
        drips(b"HTTP/1.1 100 Continue\r\n", b"X-Slow: a\r\n"),
        drips(HEAD),
        drips(answer(b"", "200 OK", CHUNKED, length=False), b"1\r\n \r\n"),
        drips(answer(GZIPPED[:10], "200 OK", ZIPPED, length=False), b"\x00\x00\x00\xff\xff"),
    ],
    ids=["silent", "status", "headers", "100 Continue", "body", "chunks", "gzip"],
)
def test_a_request_takes_no_longer_than_it_may(script: Script) -> None:
    """However the bytes drip, a request ends with its time, as timed out."""
    came, took = within(script)
    assert TimedOut is came
    assert 0.35 <= took < 1.3


def test_a_drip_is_not_read_on_after_its_time() -> None:
    """Who drips sees the connection closed soon after the request's time is over."""
    ended = threading.Event()

    def script(connection: socket.socket, request: bytes) -> None:
        try:
            drips(HEAD)(connection, request)
        finally:
            ended.set()

    with Wire(script) as wire:
        with pytest.raises(TimedOut):
            send(wire.url, seconds=0.3)
        assert ended.wait(3)


@pytest.mark.parametrize("number", [400, 401, 403, 499])
def test_a_refusal_stands_without_its_explanation(number: int) -> None:
    """A refusal whose body does not come in time is one all the same."""
    came, took = within(drips(answer(b"", f"{number} No", length=False)))
    assert number == came
    assert took < 1.5


def test_a_refusal_stands_when_its_explanation_is_awaited_in_vain() -> None:
    """A refusal is one, too, where the time runs out while nothing at all comes after its headers."""

    def script(connection: socket.socket, request: bytes) -> None:
        time.sleep(0.3)
        connection.sendall(answer(b"", "401 No", "X-Some: Thing", "Content-Length: 9", length=False))
        keeps_silent(connection, request)

    begun = time.monotonic()
    there = played(script, seconds=0.6)
    assert (401, b"", "Thing") == (there.status, there.body, there.headers["x-some"])
    assert time.monotonic() - begun < 1.5


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux drops connections beyond a full backlog")
def test_a_connection_that_does_not_come_about_is_said_to_be_that() -> None:
    """Where no connection is had, the message says so, and not that there was no answer over one."""
    with ExitStack() as stack:
        hole = stack.enter_context(socket.socket())
        hole.bind(("127.0.0.1", 0))
        hole.listen(0)
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.settimeout(0)
            waiting.connect_ex(hole.getsockname())
        begun = time.monotonic()
        with pytest.raises(TimedOut, match=r"^the connection timed out$"):
            send(f"http://127.0.0.1:{hole.getsockname()[1]}", seconds=1.2)
    assert 1.1 <= time.monotonic() - begun < 2.2


def test_an_answer_that_comes_in_pieces_is_whole() -> None:
    """Pieces that arrive one by one within the time make one body."""

    def script(connection: socket.socket, _request: bytes) -> None:
        raw = answer(BODY)
        for start in range(0, len(raw), 40):
            connection.sendall(raw[start : start + 40])
            time.sleep(0.02)

    assert BODY == played(script).body


def test_who_gives_up_leaves_nothing_that_keeps_the_program() -> None:
    """A request that was given up may linger; it does not keep the process from ending."""
    with Wire(drips(b"HTTP/1.1 200 ", b"O")) as wire:
        with pytest.raises(TimedOut):
            send(wire.url, seconds=0.2)
        others = [t for t in threading.enumerate() if t is not threading.main_thread()]
        assert others
        assert [] == [thread.name for thread in others if not thread.daemon]


# Connections.


def test_a_connection_serves_again_after_a_whole_answer() -> None:
    """Answers that were read to their end leave the connection for the next request."""
    bodies = (
        answer(BODY),
        answer(BODY, "201 Made"),
        answer(chunked(BODY), "200 OK", CHUNKED, length=False),
        answer(GZIPPED, "200 OK", ZIPPED),
        answer(b""),
        answer(BODY, "429 Slow"),
        answer(BODY, "503 Off"),
        answer(BODY),
    )
    with Wire(*map(keeps, bodies)) as wire:
        transport = plain()
        for _ in bodies:
            send(wire.url, transport)
        assert (len(bodies), 1) == (len(wire.requests), wire.connections)


@pytest.mark.parametrize(
    "first",
    [
        answer(BODY, "302 Found"),
        answer(b"x", "200 OK", "Content-Encoding: br"),
    ],
    ids=["302", "broken"],
)
def test_a_connection_with_another_answer_does_not_serve_again(first: bytes) -> None:
    """Whatever is left of an answer that was not one cannot be taken for the next: its connection is closed."""
    ended = threading.Event()

    def script(connection: socket.socket, request: bytes) -> object:
        keeps(first)(connection, request)
        if not connection.recv(1):
            ended.set()
        return None

    with Wire(script, sends(answer(BODY))) as wire:
        transport = plain()
        with suppress(BrokenAnswer):
            send(wire.url, transport)
        assert ended.wait(3)
        assert BODY == send(wire.url, transport).body
        assert 2 == wire.connections


def test_as_many_connections_are_kept_as_are_used_at_once() -> None:
    """A second round of requests, as many at once as the first, opens no new connection."""
    number = 12
    barrier = threading.Barrier(number)

    def script(connection: socket.socket, request: bytes) -> object:
        barrier.wait(10)
        keeps(answer(BODY))(connection, request)
        return KEEP

    with Wire(script) as wire, ThreadPoolExecutor(number) as pool:
        transport = plain(connections=number)
        for _ in range(2):
            answers = list(pool.map(lambda _: send(wire.url, transport).status, range(number)))
            assert [200] * number == answers
        assert (2 * number, number) == (len(wire.requests), wire.connections)


def test_requests_one_after_another_share_a_thread() -> None:
    """A thread that has sent one request sends the next; one that is given up is not waited for, and ends by itself."""

    def script(connection: socket.socket, request: bytes) -> object:
        if b"GET /slow" in request:
            ended.wait(10)
        return keeps(answer(BODY))(connection, request)

    ended = threading.Event()
    with Wire(script) as wire:
        transport = plain()
        assert BODY == send(wire.url, transport).body
        before = threading.active_count()
        for _ in range(20):
            assert BODY == send(wire.url, transport).body
        # The server has its own: a thread for each connection, of which there is one.
        assert before == threading.active_count()
        with pytest.raises(TimedOut):
            send(f"{wire.url}/slow", transport, seconds=0.1)
        assert BODY == send(wire.url, transport).body
        ended.set()


def test_connections_to_many_hosts_are_kept() -> None:
    """Twenty hosts asked in turn are each connected to once."""
    with ExitStack() as stack:
        wires = [stack.enter_context(Wire(keeps(answer(BODY)))) for _ in range(20)]
        transport = plain()
        for _ in range(2):
            for wire in wires:
                send(wire.url, transport)
        assert [1] * 20 == [wire.connections for wire in wires]


@each_case(
    "script",
    [
        hangs_up,
        resets(),
        sends(b"HTTP/1.1 2"),
        sends(b"HTTP/1."),
        sends(answer(BODY)[:40]),
        resets(answer(BODY)[:40]),
    ],
    ids=["closed", "reset", "in the status", "in the version", "in the headers", "reset in the headers"],
)
def test_a_connection_that_breaks_is_said_to_have(script: Script) -> None:
    """A connection that ends ahead of the body failed; it is not an answer that is broken or cut."""
    assert refused(script) in {ConnectionFailed, CutAnswer}


@each_case("line", [b"HTTP/1.1 2", b"HTTP/1.", b"HTTP/1.1"])
def test_a_status_line_that_is_cut_is_a_connection_that_broke(line: bytes) -> None:
    """The beginning of a status line is what came before the end."""
    assert ConnectionFailed is refused(sends(line))


@each_case("line", [b"HTTP/1.1 2x0 OK\r\n\r\n", b"HTTP/x\r\n\r\n", b"<html>", b"FTP/1.1 200 OK\r\n\r\n"])
def test_a_status_line_that_is_none_is_a_broken_answer(line: bytes) -> None:
    """What is no status line, whole or not, is no HTTP."""
    assert BrokenAnswer is refused(sends(line))


def test_nobody_there_is_a_failed_connection() -> None:
    """Where nobody listens, the connection failed at once."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        with pytest.raises(
            ConnectionFailed, match=r"^the connection was refused, or there is no route to the host$"
        ):
            send(f"http://127.0.0.1:{closed.getsockname()[1]}")


# TLS.


def secured(bundle: Path) -> Transport:
    """A transport that trusts the bundle."""
    return plain(ca_bundle=CaSource("file", bundle), tls=True)


def test_https_needs_a_transport_with_tls() -> None:
    """A transport made without TLS asks for no https address: that would be without the program's context."""
    with pytest.raises(RuntimeError, match="was made without TLS"):
        send("https://127.0.0.1:9")


def test_a_trusted_server_is_asked_over_one_connection(authority: Authority) -> None:
    """With its authority's bundle a server is asked, again over the same connection."""
    scripts = (keeps(answer(BODY)), sends(answer(BODY)))
    with Wire(*scripts, tls=serving(authority.issue("kept"))) as wire:
        transport = secured(authority.bundle)
        assert [BODY, BODY] == [send(wire.url, transport).body for _ in range(2)]
        assert 1 == wire.connections


def test_plain_http_goes_through_a_transport_with_tls(authority: Authority) -> None:
    """One transport serves both, as the accounts of a run may need."""
    with Wire(sends(answer(BODY))) as wire:
        assert BODY == send(wire.url, secured(authority.bundle)).body


@pytest.mark.parametrize("flaw", FORGED)
def test_a_certificate_with_a_flaw_is_no_certificate(authority: Authority, flaw: str) -> None:
    """A certificate that is not for this server now is refused in the handshake, before any byte of a request."""
    with Wire(sends(answer(BODY)), tls=serving(authority.issue(f"t {flaw}", *FORGED[flaw]))) as wire:
        with pytest.raises(TlsFailed, match=r"^the certificate (is|has|cannot) .*; .*check "):
            send(wire.url, secured(authority.bundle))
        assert [] == wire.requests


def test_an_unknown_authority_is_not_believed(authority: Authority) -> None:
    """The built-in bundle does not know the tests' authority."""
    with Wire(sends(answer(BODY)), tls=serving(authority.issue("unknown"))) as wire:
        with pytest.raises(
            TlsFailed, match=r"^the certificate is from an authority that is not in the built-in "
        ):
            send(wire.url, plain(tls=True))
        assert [] == wire.requests


def first_byte(connection: socket.socket) -> bytes:
    """A look at what comes first, which is left to be read."""
    return connection.recv(1, socket.MSG_PEEK)


def test_a_body_in_which_tls_breaks_is_no_answer(authority: Authority) -> None:
    """Where what comes is no TLS any more, what was read so far is not taken for all."""
    context = serving(authority.issue("noise"))

    def script(connection: socket.socket, _request: bytes) -> None:
        with context.wrap_socket(connection, server_side=True) as inner:
            whole_request(inner)
            inner.sendall(answer(BODY, length=False))
            time.sleep(0.1)
            os.write(inner.fileno(), b"\0" * 64)

    with Wire(script, read=first_byte) as wire, pytest.raises(TlsFailed):
        send(f"https://127.0.0.1:{wire.port}", secured(authority.bundle))


@each_case(
    "content", [None, b"", b"words\n", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
)
def test_a_bundle_that_is_none_is_named(tmp_path: Path, content: bytes | None) -> None:
    """A file that is missing or holds no certificate is the configuration's fault, and is named."""
    bundle = tmp_path / "bundle.pem"
    if content is not None:
        bundle.write_bytes(content)
    with pytest.raises(ValueProblem) as caught:
        tls_context(CaSource("file", bundle, "SSL_CERT_FILE"))
    assert caught.value.message.startswith(f"{shown(bundle)} (SSL_CERT_FILE) cannot be read")
    assert caught.value.__suppress_context__


def test_a_context_verifies_and_speaks_no_old_tls() -> None:
    """Certificates and names are verified, nothing before TLS 1.2 is spoken, and keys are logged nowhere."""
    import ssl

    context = tls_context(CaSource())
    assert (ssl.CERT_REQUIRED, True, True, "None") == (
        context.verify_mode,
        context.check_hostname,
        context.minimum_version >= ssl.TLSVersion.TLSv1_2,
        str(context.keylog_filename),
    )
    assert context.get_ca_certs()


# Proxies.


@pytest.mark.parametrize("url", ["http://m.example/", "https://m.example/"])
def test_the_profiles_proxy_is_for_both_schemes(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the profile names comes before the environment, which counts where the profile names none."""
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://environment.example:1")
    mine, loopback = "http://profile.example:2", "http://127.0.0.1:80/"
    of_profile = Proxy(mine, "the profile's proxy")
    of_environment = Proxy("http://environment.example:1", f"{url.partition(':')[0]}_proxy")
    assert [of_profile, of_environment, None, None, None] == [
        proxy_for(url, mine, loopback=False),
        proxy_for(url, None, loopback=False),
        proxy_for(url, mine, loopback=True),
        proxy_for(url, None, loopback=True),
        proxy_for(loopback, mine, loopback=True),
    ]
    monkeypatch.setenv("no_proxy", "m.example")
    assert (of_profile, None) == (proxy_for(url, mine, loopback=False), proxy_for(url, None, loopback=False))


@each_case(
    "variable",
    ["HTTPS_PROXY", "https_proxy", "Https_Proxy", "ALL_PROXY", "all_proxy"],
)
def test_the_variable_that_names_the_proxy_is_known(variable: str) -> None:
    """Whatever the case of its name, and beside others that do not count for the scheme."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HTTP_PROXY", "http://p.example:3128")
        patch.setenv(variable, "p.example:3128")
        found = proxy_for("https://m.example/", None, loopback=False)
    assert Proxy("http://p.example:3128", variable) == found


def test_a_proxy_gets_what_is_not_for_loopback() -> None:
    """A request to elsewhere goes to the proxy, and one to loopback never does."""
    with Wire(sends(answer(b"proxied"))) as proxy, Wire(sends(answer(BODY))) as wire:
        transport = plain(proxy=proxy.url)
        assert b"proxied" == send(f"http://{FAR}", transport, loopback=False).body
        assert BODY == send(wire.url, transport).body
        assert 1 == proxy.connections


@pytest.mark.parametrize("source", ["profile", "environment"])
def test_a_tunnel_verifies_the_far_end(
    authority: Authority, source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through a proxy, the certificate is that of the host asked for, by the same bundle."""
    context = serving(authority.issue(f"tunnel {source}", f"{LEAF}subjectAltName = IP:{FAR}\n"))

    def tunnel(connection: socket.socket, _request: bytes) -> None:
        connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        with context.wrap_socket(connection, server_side=True) as inner:
            if whole_request(inner):
                inner.sendall(answer(BODY))

    with Wire(tunnel) as proxy:
        if source == "environment":
            monkeypatch.setenv("https_proxy", proxy.url)
        given = proxy.url if source == "profile" else None
        good = plain(ca_bundle=CaSource("file", authority.bundle), tls=True, proxy=given)
        assert BODY == send(f"https://{FAR}", good, loopback=False).body
        with pytest.raises(TlsFailed):
            send("https://192.0.2.2", good, loopback=False)
        with pytest.raises(TlsFailed):
            send(f"https://{FAR}", plain(tls=True, proxy=given), loopback=False)


@each_case("address", ["ftp://127.0.0.1:1", "socks5://127.0.0.1:1", "http://127.0.0.1:99999", "http://"])
def test_a_proxy_of_no_kind_is_said_to_be_one(address: str) -> None:
    """A proxy's address that cannot be used is the proxy's fault."""
    with pytest.raises((ProxyFailed, ConnectionFailed)):
        send(f"http://{FAR}", plain(proxy=address), loopback=False, seconds=1)


def test_a_reset_of_the_whole_connection_is_no_answer() -> None:
    """A reset in the middle of a body is a connection that failed, with a length or without."""

    def script(length: str) -> Callable[[socket.socket, bytes], None]:
        def play(connection: socket.socket, _request: bytes) -> None:
            connection.sendall(answer(BODY[:20], "200 OK", *([length] if length else []), length=False))
            time.sleep(0.1)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

        return play

    assert [ConnectionFailed, ConnectionFailed] == [
        refused(script(length)) for length in ("", "Content-Length: 99")
    ]
