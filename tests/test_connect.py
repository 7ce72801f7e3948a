"""A host with several addresses, of which some are dead: a good one is found, and nothing is sent twice."""

import http.client
import inspect
import shutil
import socket
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final

import pytest
import urllib3.connection
from requests.adapters import HTTPAdapter

from balcli.http import connect, transport
from balcli.sandbox.faults import keeps_silent
from tests.authority import LEAF, Authority, found, serving
from tests.conftest import Program, Result
from tests.faults.wire import hangs_up, sends
from tests.lists import each_case
from tests.wire import GOOD, Script, Wire, amounts, answer, headers_of, holdings, merchant, whole_request

WELL: Final = [("5000", "4000", "1000")]
RESOLVER: Final = """
import socket
found = socket.getaddrinfo
def getaddrinfo(host, port, *arguments, **more):
    if host not in {names!r}:
        return found(host, port, *arguments, **more)
    kind = {{True: socket.AF_INET6, False: socket.AF_INET}}
    tail = {{True: (0, 0), False: ()}}
    return [
        (kind[":" in each], socket.SOCK_STREAM, 6, "", (each, port, *tail[":" in each])) for each in {addresses!r}
    ]
socket.getaddrinfo = getaddrinfo
"""
NO_ROUTE: Final = "2001:db8::1"
"""An address for documentation, to which no network has a route."""


def resolving(program: Program, addresses: Sequence[str], *names: str) -> dict[str, str]:
    """The environment of a run that resolves these names, or localhost, to these addresses, in this order."""
    names = names or ("localhost",)
    (program.folder / "sitecustomize.py").write_text(RESOLVER.format(names=names, addresses=list(addresses)))
    return {"PYTHONPATH": str(program.folder)}


def ask(program: Program, port: int, addresses: Sequence[str], *options: str) -> Result:
    """A run of one merchant account at localhost, which has these addresses."""
    text = f"[profiles.main]\n{merchant(f'http://localhost:{port}')}"
    return program.with_profile(text, "merchant", "-o", "json", *options, env=resolving(program, addresses))


@contextmanager
def silent(port: int, *addresses: str) -> Iterator[list[socket.socket]]:
    """Listeners at these addresses whose queues are full: connections to them get no answer."""
    with ExitStack() as stack:
        listeners = []
        for address in addresses:
            listener = stack.enter_context(socket.socket())
            listener.bind((address, port))
            listener.listen(0)
            for _ in range(4):
                waiting = stack.enter_context(socket.socket())
                waiting.settimeout(0)
                waiting.connect_ex((address, port))
            listeners.append(listener)
        yield listeners


def received(listener: socket.socket) -> bytes:
    """What all connections in a listener's queue have sent."""
    found = b""
    listener.settimeout(0)
    with suppress(BlockingIOError):
        while True:
            connection, _ = listener.accept()
            with connection, suppress(BlockingIOError):
                connection.settimeout(0)
                found += connection.recv(100)
    return found


linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux drops connections beyond a full queue")
DEAD: Final = {
    "refuses": ["127.0.0.2"],
    "has no route": [NO_ROUTE],
    "two refuse": ["127.0.0.2", "127.0.0.3"],
    "the good one twice": ["127.0.0.1"],
}


@each_case("addresses", DEAD.values(), ids=DEAD)
def test_a_good_address_is_not_lost_to_a_dead_one(program: Program, addresses: list[str]) -> None:
    """With addresses in front that refuse or have no route, one request is sent, to the good one."""
    with Wire(GOOD) as wire:
        result = ask(program, wire.port, [*addresses, "127.0.0.1"], "--retries", "0")
    assert (0, WELL) == (result.code, amounts(result.json["balances"])), result.err
    assert (1, 1) == (wire.connections, len(wire.requests))


@linux
@each_case("count", [1, 2])
def test_a_silent_address_costs_a_quarter_of_a_second(program: Program, count: int) -> None:
    """Behind silent addresses the good one is asked, once, and the silent ones get no byte."""
    with Wire(GOOD) as wire:
        dead = [f"127.0.0.{number + 2}" for number in range(count)]
        with silent(wire.port, *dead) as listeners:
            begun = time.monotonic()
            result = ask(program, wire.port, [*dead, "127.0.0.1"], "--retries", "0", "--timeout", "3")
            took = time.monotonic() - begun
            assert (0, WELL) == (result.code, amounts(result.json["balances"])), result.err
            assert (1, 1) == (wire.connections, len(wire.requests))
            assert b"" == b"".join(map(received, listeners))
    assert took < 2.5 + 0.25 * count


@linux
def test_the_addresses_of_a_host_share_the_time_of_a_request(program: Program) -> None:
    """Where all addresses are silent, a request takes its time-out once, not once for each address."""
    with Wire(GOOD) as wire, silent(wire.port, "127.0.0.2", "127.0.0.3", "127.0.0.4"):
        begun = time.monotonic()
        dead = ["127.0.0.2", "127.0.0.3", "127.0.0.4"]
        result = ask(program, wire.port, dead, "--retries", "0", "--timeout", "1")
    assert (5, ["network.timeout"]) == (result.code, [a["error"]["code"] for a in result.json["accounts"]])
    assert time.monotonic() - begun < 4


@each_case("script", [hangs_up, keeps_silent], ids=["hangs up", "keeps silent"])
def test_a_retry_goes_to_another_address(program: Program, script: Script) -> None:
    """Where an address accepts a connection and does not answer, the next attempt is made at another one."""
    with Wire(GOOD) as wire, Wire(script, address=("127.0.0.2", wire.port)) as dead:
        result = ask(program, wire.port, ["127.0.0.2", "127.0.0.1"], "--retries", "1", "--timeout", "1")
    assert (0, 1, 1) == (result.code, len(wire.requests), len(dead.requests)), result.err


def test_the_addresses_of_a_proxy_are_tried_as_well(program: Program, tmp_path: Path) -> None:
    """A proxy's name with a dead address in front of a good one carries the request."""
    if shutil.which("openssl") is None:
        pytest.skip("certificates are made with the openssl command, which is not installed")
    authority: Authority = found(tmp_path)
    context = serving(authority.issue("api", f"{LEAF}subjectAltName = DNS:api.example\n"))

    def tunnel(connection: socket.socket, _request: bytes) -> None:
        connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        with context.wrap_socket(connection, server_side=True) as inner:
            if whole_request(inner):
                inner.sendall(answer(holdings()))

    with Wire(tunnel) as proxy:
        text = (
            f'[profiles.main]\nca_bundle = "{authority.bundle}"\n'
            f'proxy = "http://proxy.example:{proxy.port}"\n{merchant("https://api.example")}'
        )
        env = resolving(program, ["127.0.0.2", "127.0.0.1"], "proxy.example")
        result = program.with_profile(text, "merchant", "-o", "json", env=env)
    assert (0, [b"CONNECT api.example:443"]) == (
        result.code,
        [b" ".join(request.split(b" ")[:2]) for request in proxy.requests],
    ), result.err


def test_the_doctor_names_each_address(program: Program) -> None:
    """Each address is listed with what came of it; a dead one beside a good one is a warning, not a failure."""
    with Wire(GOOD) as wire:
        text = f"[profiles.main]\n{merchant(f'http://localhost:{wire.port}')}"
        env = resolving(program, ["127.0.0.2", NO_ROUTE, "127.0.0.1"])
        result = program.with_profile(text, "doctor", "-o", "json", env=env)
        steps = {step["step"]: step for step in result.json["steps"] if step["account"]}
    assert 0 == result.code, result.err
    for address in ("127.0.0.1", "127.0.0.2", NO_ROUTE):
        assert address in steps["name"]["message"]
    assert "warning" == steps["tcp"]["status"]
    for words in ("127.0.0.1 connected in", "127.0.0.2 refused", f"{NO_ROUTE} "):
        assert words in steps["tcp"]["message"]


def test_the_doctor_names_each_address_of_a_host_that_is_down(program: Program) -> None:
    """Where none answers, the failure has each address and what it did."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        text = f"[profiles.main]\n{merchant(f'http://localhost:{port}')}"
        env = resolving(program, ["127.0.0.2", "127.0.0.3"])
        result = program.with_profile(text, "doctor", "-o", "json", env=env)
    (error,) = result.json["errors"]
    assert (5, "network.connection") == (result.code, error["code"])
    assert "127.0.0.2 refused, 127.0.0.3 refused" in error["message"]


def test_families_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each address once, the first family first and the other one between (RFC 8305, section 4)."""
    names = ["::2", "::3", "::2", "::4", "10.0.0.1", "10.0.0.2"]
    families = {True: socket.AF_INET6, False: socket.AF_INET}
    entries = [(families[":" in name], socket.SOCK_STREAM, 6, "", (name, 80)) for name in names]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: entries)
    assert ["::2", "10.0.0.1", "::3", "10.0.0.2", "::4"] == [
        address[0] for _, address in connect.addresses("api.example", 80)
    ]


@each_case(
    ("ours", "theirs", "name"),
    [
        (connect._Connection, urllib3.connection.HTTPConnection, "_new_conn"),
        (connect._Response, http.client.HTTPResponse, "begin"),
        (connect._Response, http.client.HTTPResponse, "_read_status"),
        (transport._Adapter, HTTPAdapter, "cert_verify"),
        (transport._Adapter, HTTPAdapter, "request_url"),
        (transport._Adapter, HTTPAdapter, "build_response"),
        (transport._Adapter, HTTPAdapter, "proxy_headers"),
        (transport._Adapter, HTTPAdapter, "proxy_manager_for"),
        (transport._Adapter, HTTPAdapter, "init_poolmanager"),
        (transport._Adapter, HTTPAdapter, "get_connection_with_tls_context"),
    ],
)
def test_what_is_overridden_is_there_and_used(ours: type, theirs: type, name: str) -> None:
    """The libraries have each method that is overridden, and call it, with arguments that the override takes."""
    calls = inspect.getsource(sys.modules[theirs.__module__])
    assert callable(getattr(theirs, name))
    assert f".{name}(" in calls
    taken = inspect.signature(getattr(ours, name)).parameters
    given = inspect.signature(getattr(theirs, name)).parameters
    kinds = {parameter.kind for parameter in taken.values()}
    any_number = {inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD}
    assert not kinds.isdisjoint(any_number) or len(given) <= len(taken)


def test_the_private_names_that_are_used_are_there() -> None:
    """What is read from http.client and set in urllib3 has the form that it had."""
    assert 1000 == http.client._MAXHEADERS  # type: ignore[attr-defined]
    assert {"http", "https"} == set(urllib3.PoolManager().pool_classes_by_scheme)
    assert http.client.HTTPResponse is urllib3.connection.HTTPConnection.response_class


def test_an_interim_response_through_a_process(program: Program) -> None:
    """A run passes over an interim response and counts the final one; headers of the first are not the second's."""
    script = sends(b"HTTP/1.1 103 Early Hints\r\nX-Some: a\r\n\r\n" + answer(holdings()))
    with Wire(script) as wire:
        result = ask(program, wire.port, ["127.0.0.1"])
    assert (0, WELL) == (result.code, amounts(result.json["balances"]))
    assert 1 == len([headers_of(request) for request in wire.requests])
