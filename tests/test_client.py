"""The client, asked in this process and answered over real sockets: what leaves, how often, and what comes back."""

import itertools
import json
import re
import socket
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Any, Final

import pytest

from balcli import __version__
from balcli.errors import (
    AccessBlocked,
    AnswerTooLarge,
    BadJson,
    BadShape,
    BalcliError,
    BrokenAnswer,
    ConnectionFailed,
    CredentialsRefused,
    CutAnswer,
    DeadlinePassed,
    NameNotResolved,
    ProviderError,
    ProxyFailed,
    RateLimited,
    RedirectRefused,
    ServerUnavailable,
    TimedOut,
    TlsFailed,
    UnexpectedStatus,
)
from balcli.http import echoes
from balcli.http.client import Client, Endpoint, Exchange, Request, RequestSettings, parse_response
from balcli.http.echoes import EchoedText
from balcli.http.response import refusal_message
from balcli.http.strictjson import Json, Number
from balcli.http.timing import Deadline
from balcli.models import CaSource
from balcli.sandbox.faults import keeps_silent
from balcli.secret import Secret, reveal
from tests.faults.wire import hangs_up, sends
from tests.generated import sampled
from tests.lists import each_case
from tests.wire import TOKEN, Script, Wire, answer, headers_of, keeps

GET: Final = Endpoint("GET", "/v2/balance")
POST: Final = Endpoint("POST", "/v2/balance")
AT_ONCE: Final = "Retry-After: 0"
FINE: Final = sends(answer(b'{"well": 1}'))


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """No proxy of this environment."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def says_nothing(_status: int, _payload: Json) -> None:
    """What a provider that explains nothing makes of an answer."""


def question(base_url: str, endpoint: Endpoint = GET, **more: Any) -> Request:
    """A request to that place."""
    return Request(**{"endpoint": endpoint, "base_url": base_url, "explain": says_nothing, **more})


def opened(
    limits: RequestSettings | None = None,
    seconds: float = 20,
    observe: Callable[[Exchange], None] | None = None,
    **more: Any,
) -> Client:
    """A client for plain HTTP, open for both endpoints."""
    return Client(
        limits or RequestSettings(),
        Deadline(seconds),
        [GET, POST],
        **{"tls": False, "observe": observe, **more},
    )


def refused(client: Client, request: Request) -> BalcliError:
    """What the client raises for a request."""
    with pytest.raises(BalcliError) as caught:
        client.request(request)
    # Another error behind it could hold headers, and a traceback shows it.
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    return caught.value


def status(number: int, *headers: str, body: bytes = b"") -> Script:
    """A script that answers with this status."""
    return sends(answer(body, f"{number} Now", *headers))


def status_kept(number: int, body: bytes = b"{}") -> Script:
    """A script that answers with this status and keeps the connection."""
    return keeps(answer(body, f"{number} Now"))


# What leaves.


def test_only_the_endpoints_that_it_was_opened_for_are_asked() -> None:
    """Another path or method is a bug of the program, found before anything leaves."""
    with Wire(FINE) as wire:
        for endpoint in (Endpoint("GET", "/v2/transfer"), Endpoint("PUT", GET.path)):
            with pytest.raises(RuntimeError, match="is not an allowed endpoint"):
                opened().request(question(wire.url, endpoint))
        assert [] == wire.requests


def test_a_get_is_exactly_this() -> None:
    """A request has its path, its query, the program's headers and its own, and a secret as its text."""
    with Wire(FINE) as wire:
        request = question(
            f"{wire.url}/base",
            query=(("tokens", "0,1"), ("a b", "ä&=")),
            headers={"X-Key": Secret("k-123456"), "X-Plain": "plain"},
        )
        opened().request(request)
        (raw,) = wire.requests
    assert b"GET /base/v2/balance?tokens=0,1&a+b=%C3%A4%26%3D HTTP/1.1" == raw.split(b"\r\n")[0]
    assert {
        "host": [f"127.0.0.1:{wire.port}"],
        "user-agent": [f"balcli/{__version__}"],
        "accept": ["application/json"],
        "accept-encoding": ["gzip"],
        "x-key": ["k-123456"],
        "x-plain": ["plain"],
    } == headers_of(raw)


def test_a_post_carries_its_body_as_json() -> None:
    """A body is JSON, with the secrets in it as their texts at any depth, and is said to be."""
    body = {
        "email": "a@b.example",
        "auth": {"password": Secret("p-123456"), "codes": [1, Secret("c-123456")]},
    }
    with Wire(sends(answer(b"[]", "201 Created"))) as wire:
        assert [] == opened().request(question(wire.url, POST, body=body))
        (raw,) = wire.requests
    head, _, sent = raw.partition(b"\r\n\r\n")
    assert b"POST /v2/balance HTTP/1.1" == head.split(b"\r\n")[0]
    assert (["application/json"], [str(len(sent))]) == tuple(
        headers_of(raw)[name] for name in ("content-type", "content-length")
    )
    expected = {"email": "a@b.example", "auth": {"password": "p-123456", "codes": [1, "c-123456"]}}
    assert expected == json.loads(sent)


def test_an_empty_body_is_one() -> None:
    """A body without entries is sent as one, and not left out."""
    with Wire(FINE) as wire:
        opened().request(question(wire.url, POST, body={}))
        (raw,) = wire.requests
    assert raw.endswith(b"\r\n\r\n{}")
    assert ["application/json"] == headers_of(raw)["content-type"]


def test_201_is_an_answer_to_a_post_alone() -> None:
    """What another method makes was not asked for."""
    put = Endpoint("PUT", GET.path)
    with Wire(status(201, body=b"{}")) as wire:
        client = Client(RequestSettings(), Deadline(20), [put], tls=False)
        assert UnexpectedStatus is type(refused(client, question(wire.url, put)))


def test_a_body_of_anything_else_is_a_bug() -> None:
    """What JSON does not know and is no secret has no place in a body, and nothing leaves."""
    with Wire(FINE) as wire:
        with pytest.raises(TypeError, match=r"(?m)^a bytes cannot be sent in a request$"):
            opened().request(question(wire.url, POST, body={"a": b"raw"}))
        assert [] == wire.requests


def test_a_request_names_its_address_and_host() -> None:
    """The address has the query where there is one; the host has the port and no path."""
    request = question("https://m.example:8443/base", query=(("a", "1"),))
    assert ("https://m.example:8443/base/v2/balance?a=1", "m.example:8443") == (request.url, request.host)
    assert "https://m.example/v2/balance" == question("https://m.example").url


def test_loopback_is_asked_without_the_proxy_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy that the environment names does not see what stays on this machine."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with Wire(FINE) as wire:
        assert {"well": "1"} == opened(RequestSettings(retries=0)).request(question(wire.url))


# What comes back.


def test_a_good_answer_is_its_document() -> None:
    """200 to either method, and 201 to a POST, is an answer: its JSON, with numbers by their text."""
    for endpoint, script in ((GET, FINE), (POST, FINE), (POST, status(201, body=b'{"well": 1}'))):
        with Wire(script) as wire:
            payload = opened().request(question(wire.url, endpoint))
        assert {"well": Number("1")} == payload
        assert isinstance(payload, dict)
        assert isinstance(payload["well"], Number)


def meant(number: int, endpoint: Endpoint) -> type[BalcliError] | None:
    """What a final status means, as the contract has it."""
    if number == 200 or (number == 201 and endpoint.method == "POST"):
        return None
    if 300 <= number < 400:
        return RedirectRefused
    if 500 <= number < 600 or number in {408, 425}:
        return ServerUnavailable
    own = {401: CredentialsRefused, 403: CredentialsRefused, 429: RateLimited, 451: AccessBlocked}
    return own.get(number, UnexpectedStatus)


SINGULAR: Final = frozenset(
    {200, 201, 202, 299, 300, 399, 400, 401, 402, 403, 404, 407, 408, 409, 424, 425, 426, 428, 429}
    | {430, 451, 499, 500, 599, 600, 999}
)
"""The statuses that have a meaning of their own, and those at the bounds of the others."""


@pytest.mark.whole
@pytest.mark.parametrize("endpoint", [GET, POST], ids=["GET", "POST"])
@pytest.mark.parametrize("hundred", range(200, 1000, 100))
def test_every_status_has_one_meaning(hundred: int, endpoint: Endpoint) -> None:
    """Any final status to 999 is an answer or one class of error, which carries the status."""
    every = [n for n in range(hundred, hundred + 100) if n >= 200 and n not in {204, 304}]
    numbers = sorted({*sampled(every, 4), *(SINGULAR & {*every})})
    with Wire(*map(status_kept, numbers)) as wire:
        client = opened(RequestSettings(retries=0))
        for number in numbers:
            kind = meant(number, endpoint)
            if kind is None:
                assert {} == client.request(question(wire.url, endpoint))
            else:
                error = refused(client, question(wire.url, endpoint))
                assert (kind, number) == (type(error), error.http_status)
                assert f"127.0.0.1:{wire.port}" in error.message
                with pytest.raises(kind) as parsed:  # as a replay does
                    parse_response(question(wire.url, endpoint), number, {}, b"{}")
                assert error.message.startswith(parsed.value.message)
        assert len(numbers) == len(wire.requests)


@pytest.mark.parametrize(("number", "kind"), [(204, UnexpectedStatus), (304, RedirectRefused)])
def test_a_status_that_has_no_body_is_no_answer(number: int, kind: type[BalcliError]) -> None:
    """No content and not modified are no answers, either."""
    with Wire(sends(answer(b"", f"{number} Now", length=False))) as wire:
        assert kind is type(refused(opened(), question(wire.url)))


@each_case("number", [404, 429, 500, 501])
@each_case("body", [b"", b"<p>", b"[]", b"{}", b'{"data": 1}', b'{"message": "vault shut"}'])
def test_an_error_has_its_status_and_the_providers_words_if_any(number: int, body: bytes) -> None:
    """The message has the status, and the provider's words if the body has any."""
    with Wire(status(number, body=body)) as wire:
        message = refused(opened(RequestSettings(retries=0)), question(wire.url)).message
    words = ": vault shut" if b"vault" in body else None
    assert [words] == [
        found[1] for found in re.finditer(rf"HTTP {number}(?: for [/\w]+)?(: [^;)]*)?", message)
    ]


def test_what_a_provider_explains_comes_first() -> None:
    """An error that the provider reads out of an answer or a refusal is raised; it is asked with what was sent."""
    for number, body in ((200, b'{"code": 7}'), (400, b'{"code": 7}'), (401, b"[7]"), (499, b'"x"')):
        asked: list[tuple[int, Json]] = []
        own = ProviderError("own words")

        def explain(
            number: int, payload: Json, asked: list[tuple[int, Json]] = asked, own: BalcliError = own
        ) -> BalcliError:
            asked.append((number, payload))
            return own

        with Wire(status(number, body=body)) as wire:
            assert own is refused(opened(), question(wire.url, explain=explain))
        (found,) = asked
        assert (number, json.loads(body, parse_int=Number)) == found


def test_an_explanation_is_not_sought_where_there_is_none() -> None:
    """A provider is not asked about a redirect, a server's error, or a refusal whose body is no document."""
    asked = []

    def explain(number: int, _payload: Json) -> BalcliError | None:
        asked.append(number)
        return None

    bodies = (
        (302, b"{}"),
        (501, b"{}"),
        (204, b""),
        (299, b"{}"),
        (600, b"{}"),
        (401, b"<p>"),
        (401, b"null"),
        (403, b""),
    )
    for number, body in bodies:
        with Wire(status(number, body=body)) as wire:
            request = question(wire.url, explain=explain)
            error = refused(opened(), request)
        assert number == error.http_status
        with pytest.raises(type(error)):  # as a replay does, whatever body it was given
            parse_response(request, number, {}, body)
    assert [] == asked


@each_case(
    ("body", "kind"),
    [(b"{", BadJson), (b"", BadJson), (b"[0" + b",0" * 400_000 + b"]", AnswerTooLarge)],
    ids=["cut", "empty", "too many values"],
)
def test_a_body_that_cannot_be_read_keeps_its_error_and_the_status(
    body: bytes, kind: type[BalcliError]
) -> None:
    """What is wrong with a body is told with the host, what to do, and the status that it came with."""
    with Wire(sends(answer(body))) as wire:
        error = refused(opened(), question(wire.url))
        assert (kind, 200, 1) == (type(error), error.http_status, len(wire.requests))
        assert error.message.startswith(f"127.0.0.1:{wire.port}: the ")
    assert error.message.endswith("; try again later, or check base_url")


@each_case(
    ("script", "kind"),
    [
        (sends(answer(b"{}", "200 OK", "Content-Length: 3", length=False)), CutAnswer),
        (hangs_up, ConnectionFailed),
        (sends(answer(b"{}", "200 OK", "Content-Encoding: br")), BrokenAnswer),
    ],
    ids=["cut", "closed", "broken"],
)
def test_trouble_on_the_way_is_told_with_the_host_and_a_cure(script: Script, kind: type[BalcliError]) -> None:
    """What befell a request is told with the host that it was for and what to do, and has no status."""
    with Wire(script) as wire:
        error = refused(opened(RequestSettings(retries=0)), question(wire.url))
        assert (kind, None) == (type(error), error.http_status)
        assert error.message.startswith(f"127.0.0.1:{wire.port}: the ")
    assert error.message.endswith("; try again later, or check base_url")


def test_each_kind_of_trouble_has_its_cure() -> None:
    """A name, a proxy and TLS are told with what there is to check for each."""
    with Wire(hangs_up, read=lambda connection: connection.recv(1)) as plain, socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        proxy = f"http://127.0.0.1:{closed.getsockname()[1]}"
        cases: list[tuple[RequestSettings, bool, str, type[BalcliError], str]] = [
            (RequestSettings(retries=0), False, "http://nobody.invalid", NameNotResolved, "check base_url and DNS"),
            (RequestSettings(retries=0, proxy=proxy), False, "http://192.0.2.1", ProxyFailed, "the proxy cannot be reached; check the profile's proxy"),
            (RequestSettings(retries=0), True, plain.url.replace("http", "https"), ConnectionFailed, "try again later, or check base_url"),
        ]  # fmt: skip
        for limits, tls, url, kind, cure in cases:
            error = refused(opened(limits, tls=tls), question(url))
            assert (kind, True) == (type(error), error.message.endswith(cure)), error.message
    with Wire(sends(b"HTTP/1.1 400 Plain\r\n\r\n"), read=lambda connection: connection.recv(1)) as plain:
        error = refused(opened(tls=True), question(plain.url.replace("http", "https")))
        assert (TlsFailed, True) == (
            type(error),
            error.message.endswith("; check the port in base_url"),
        )
        assert 1 == plain.connections


# How often.


@each_case("retries", [0, 1, 3])
def test_there_are_as_many_tries_after_the_first_as_the_limits_say(retries: int) -> None:
    """What another try can mend is tried so often and no oftener, and then told as it was."""
    with Wire(status(503, AT_ONCE)) as wire:
        error = refused(opened(RequestSettings(retries=retries)), question(wire.url))
        assert (ServerUnavailable, 503, retries + 1) == (type(error), error.http_status, len(wire.requests))


def test_three_tries_follow_the_first_by_default() -> None:
    """Limits that say nothing are those of the documentation: 10 s, 30 s, three retries, eight at once, no proxy."""
    assert (
        RequestSettings(timeout=10, deadline=30, retries=3, jobs=8, proxy=None, ca_bundle=CaSource())
        == RequestSettings()
    )


@each_case("number", [408, 425, 429, 500, 502, 503, 504])
def test_a_status_that_another_try_can_mend_is_tried_again(number: int) -> None:
    """After such a status the next answer counts."""
    with Wire(status(number, AT_ONCE), FINE) as wire:
        assert {"well": "1"} == opened().request(question(wire.url))
        assert 2 == len(wire.requests)


@pytest.mark.parametrize(
    "script", [hangs_up, sends(answer(b"{", "200 OK", "Content-Length: 3", length=False))]
)
def test_a_connection_that_broke_is_tried_again(script: Script) -> None:
    """After a connection that broke, the next answer counts, and comes within a second or so."""
    begun = time.monotonic()
    with Wire(script, FINE) as wire:
        assert {"well": "1"} == opened().request(question(wire.url))
        assert 2 == len(wire.requests)
    assert 0.5 <= time.monotonic() - begun < 2


@each_case("number", [300, 302, 400, 401, 403, 404, 501, 505, 599])
def test_a_status_that_no_try_mends_is_not_tried_again(number: int) -> None:
    """Any other status ends it after one request."""
    with Wire(status(number, AT_ONCE)) as wire:
        refused(opened(), question(wire.url))
        assert 1 == len(wire.requests)


@each_case("kind", [ServerUnavailable, RateLimited, ProviderError])
@pytest.mark.whole
@each_case("number", sampled([200, 400, 401, 499], 2))
@each_case("repeats", [False, True])
def test_only_a_provider_that_says_it_is_unavailable_is_asked_again(
    number: int, kind: type[BalcliError], *, repeats: bool
) -> None:
    """A provider's own error is final, except the one that may pass, whatever the status and whatever it repeats."""
    body = json.dumps({"message": TOKEN if repeats else "vault shut"}).encode()

    def explain(_status: int, payload: Json) -> BalcliError | None:
        return kind("vault shut") if isinstance(payload, dict) and "message" in payload else None

    with Wire(status(number, body=body), FINE) as wire:
        request = question(wire.url, headers={"X-Key": Secret(TOKEN)}, explain=explain)
        if kind is ServerUnavailable:
            assert {"well": "1"} == opened().request(request)
        else:
            assert kind is type(refused(opened(), request))
        assert (2 if kind is ServerUnavailable else 1) == len(wire.requests)


@each_case("script", [status(503, AT_ONCE), status(429, AT_ONCE), hangs_up], ids=["503", "429", "closed"])
def test_what_is_not_repeatable_is_sent_once(script: Script) -> None:
    """A request that may have arrived and must not arrive twice is sent once, whatever befalls it."""
    with Wire(script, FINE) as wire:
        refused(opened(), question(wire.url, repeatable=False))
        assert 1 == len(wire.requests)


def test_a_request_is_repeatable_unless_it_says_otherwise() -> None:
    """Questions can be asked again."""
    assert (True, (), {}, None, None) == tuple(
        getattr(question("http://127.0.0.1"), name)
        for name in ("repeatable", "query", "headers", "body", "per_second")
    )


@each_case(
    ("number", "kind"),
    [(429, RateLimited), *((number, ServerUnavailable) for number in (408, 425, 500, 503))],
)
@each_case("wish", ["60", "99999999", "soon", "-1", ""])
def test_a_wish_to_wait_that_does_not_fit_ends_it(number: int, kind: type[BalcliError], wish: str) -> None:
    """A Retry-After beyond the deadline, or one that means nothing, is neither waited for nor ignored."""
    begun = time.monotonic()
    with Wire(status(number, f"Retry-After: {wish}"), FINE) as wire:
        error = refused(opened(), question(wire.url))
        assert (kind, number, 1) == (type(error), error.http_status, len(wire.requests))
        assert f"127.0.0.1:{wire.port}" in error.message
    assert time.monotonic() - begun < 1


def apart(seconds: float, script: Script, **more: Any) -> tuple[int, float]:
    """How many requests were sent before the answer or the error, and how far apart the first two were."""
    moments = []

    def played(connection: socket.socket, request: bytes) -> object:
        moments.append(time.monotonic())
        return (script if len(moments) == 1 else FINE)(connection, request)

    with Wire(played) as wire, suppress(RateLimited):
        opened(seconds=seconds).request(question(wire.url, **more))
    return len(moments), moments[1] - moments[0] if len(moments) > 1 else 0.0


def test_a_wish_to_wait_is_granted_to_the_second() -> None:
    """After `Retry-After: 1` the next request comes a second later."""
    number, seconds = apart(20, status(503, "Retry-After: 1"))
    assert 2 == number
    assert 1 <= seconds < 1.9


@pytest.mark.parametrize("headers", [(), (AT_ONCE,), ("Retry-After: Sun, 06 Nov 1994 08:49:37 GMT",)])
def test_a_rate_limit_without_a_wish_is_given_a_second(headers: tuple[str, ...]) -> None:
    """Rates are counted by the second: after a 429 that names no wait, or none to speak of, nothing is sent for one."""
    number, seconds = apart(20, status(429, *headers))
    assert 2 == number
    assert 1 <= seconds < 2.9


def test_those_who_were_limited_together_do_not_come_back_together() -> None:
    """The second that a rate limit is waited out for differs a little from one to the next."""
    with ThreadPoolExecutor(12) as pool:
        waits = [seconds for _, seconds in pool.map(lambda _: apart(20, status(429)), range(12))]
    assert 1 <= min(waits) < max(waits) - 0.05


def test_a_rate_limit_that_the_run_cannot_wait_out_ends_it() -> None:
    """Where less than a second is left, a 429 is the end, at once."""
    begun = time.monotonic()
    assert 1 == apart(0.9, status(429))[0]
    assert time.monotonic() - begun < 0.8


@each_case("code", [408, 425, 503])
def test_trouble_without_a_wish_is_tried_again_soon(code: int) -> None:
    """Other trouble is tried again after a pause of half a second to a second."""
    number, seconds = apart(20, status(code))
    assert 2 == number
    assert 0.5 <= seconds < 1.9


@pytest.mark.parametrize("wish", [AT_ONCE, "Retry-After: Sun, 06 Nov 1994 08:49:37 GMT"])
def test_no_pause_is_under_a_tenth_of_a_second(wish: str) -> None:
    """A server in trouble that asks for no wait, or for one that is past, is given a tenth of a second."""
    number, seconds = apart(20, status(503, wish))
    assert 2 == number
    assert 0.1 <= seconds < 0.9


@pytest.mark.parametrize(
    ("script", "least"),
    [
        (status(429, "Retry-After: 2"), 2),
        (status(429), 1),
        (status(429, "Retry-After: soon"), 1),
        (status(503, "Retry-After: 5"), 0),
    ],
    ids=["429", "429 without a wait", "429 with an odd wait", "503"],
)
def test_a_rate_limit_holds_for_the_whole_host(script: Script, least: int) -> None:
    """After a 429 no other request is sent to that host, however it is spelled, before the pause is over."""
    moments: list[float] = []

    def timed(connection: socket.socket, request: bytes) -> object:
        moments.append(time.monotonic())
        return (script if len(moments) == 1 else FINE)(connection, request)

    with Wire(timed) as wire, Wire(FINE) as other:
        client = opened(RequestSettings(retries=0))
        refused(client, question(wire.url))
        begun = time.monotonic()
        assert {"well": "1"} == client.request(question(other.url))
        assert time.monotonic() - begun < 0.9
        with ThreadPoolExecutor() as pool:
            urls = [wire.url, wire.url.replace("127.0.0.1", "LOCALHOST") + "/base"] * 2
            assert [{"well": "1"}] * 4 == list(pool.map(client.request, map(question, urls)))
    assert all(least <= moment - moments[0] < least + 2 for moment in moments[1:])


def test_a_pause_beyond_the_deadline_ends_the_requests_that_were_not_sent() -> None:
    """A host that asked for a longer wait than the run has is asked nothing more, and each error names the wait."""
    with Wire(status(429, "Retry-After: 3600"), FINE) as wire:
        client, begun = opened(seconds=20), time.monotonic()
        errors = [refused(client, question(wire.url, per_second=pace)) for pace in (None, None, 5)]
        assert time.monotonic() - begun < 1
        assert 1 == len(wire.requests)
    host = f"127.0.0.1:{wire.port} is rate limiting requests"
    wait = "and asked to wait 3600 s; run less often or lower --jobs"
    assert [(f"{host} (HTTP 429) {wait}", 429), *[(f"{host} {wait}", None)] * 2] == [
        (error.message, error.http_status) for error in errors
    ]
    assert {RateLimited} == {type(error) for error in errors}


@each_case(
    ("wish", "words"),
    [
        ("60", " and asked to wait 60 s; "),
        ("999999", " and asked to wait 999999 s; "),
        ("99999999", " and asked to wait over 999999 s; "),
        ("1" * 5000, " and asked to wait over 999999 s; "),
        ("Sat, 21 Nov 2026 00:58:00 GMT", " and asked to wait 60 s; "),
        ("soon", " and sent an invalid Retry-After; "),
        ("-5", " and sent an invalid Retry-After; "),
    ],
)
@each_case("number", [429, 503])
def test_the_wait_that_was_asked_for_is_told(number: int, wish: str, words: str) -> None:
    """The message has the wait that the run cannot grant; a date is counted from the server's own."""
    date = "Date: Sat, 21 Nov 2026 00:57:00 GMT"
    with Wire(status(number, f"Retry-After: {wish}", date)) as wire:
        assert words in refused(opened(), question(wire.url)).message


def test_the_wait_that_was_asked_for_is_told_when_the_retries_are_spent() -> None:
    """The last answer's wait is in the message, beside the provider's own words."""
    body = b'{"message": "slow down"}'
    with Wire(status(503, AT_ONCE), status(503, "Retry-After: 2", body=body)) as wire:
        error = refused(opened(RequestSettings(retries=1)), question(wire.url))
    assert " is unavailable (HTTP 503: slow down) and asked to wait 2 s; " in error.message


def test_no_pause_goes_beyond_the_deadline() -> None:
    """Tries that go on failing end by the deadline, with the error that there was, long before their number."""
    begun = time.monotonic()
    with Wire(hangs_up) as wire:
        error = refused(opened(RequestSettings(retries=100), seconds=1.5), question(wire.url))
        assert type(error) in {ConnectionFailed, DeadlinePassed}
        assert 2 <= len(wire.requests) < 50
    assert time.monotonic() - begun < 2.5


# How long.


@pytest.mark.parametrize(("timeout", "seconds"), [(0.3, 20.0), (20.0, 0.3)])
def test_one_request_has_its_time_out_and_no_more_than_the_run(timeout: float, seconds: float) -> None:
    """A silent server costs the time-out, or what is left of the run if that is less; the message says which."""
    begun = time.monotonic()
    with Wire(keeps_silent) as wire:
        error = refused(
            opened(RequestSettings(timeout=timeout, retries=0), seconds=seconds), question(wire.url)
        )
        host = f"127.0.0.1:{wire.port}"
    expected: tuple[type[Exception], str] = (
        TimedOut,
        f"{host}: no response in time; raise --timeout (now 0.3 s) or try again later",
    )
    if seconds < timeout:
        late = f"{host}: no response before the deadline of 0.3 s; raise --deadline or try again later"
        expected = (DeadlinePassed, late)
    assert expected == (type(error), error.message)
    assert 0.25 <= time.monotonic() - begun < 1.5


def test_nothing_leaves_when_no_time_is_left() -> None:
    """After the deadline nobody is asked; that is told, and not tried again."""
    seen: list[Exchange] = []
    with Wire(FINE) as wire:
        error = refused(opened(seconds=0, observe=seen.append), question(wire.url))
        assert [] == wire.requests
        assert (
            f"127.0.0.1:{wire.port}: no time left before the deadline of 0 s; raise --deadline or try again later"
            == error.message
        )
    assert DeadlinePassed is type(error)
    assert [("network.deadline", 1, 0, None)] == [(e.outcome, e.attempt, e.received, e.date) for e in seen]


# How fast.


def test_a_host_is_asked_no_faster_than_it_allows() -> None:
    """With one request a second, the second leaves a second after the first was answered."""
    with Wire(FINE) as wire:
        client, begun = opened(), time.monotonic()
        for _ in range(2):
            client.request(question(wire.url, per_second=1))
        assert 1 <= time.monotonic() - begun < 3


def test_requests_without_a_pace_do_not_wait() -> None:
    """Where the host sets none, and at another host, there is nothing to wait for."""
    with Wire(FINE) as one, Wire(FINE) as other:
        client, begun = opened(), time.monotonic()
        for wire in (one, other):
            client.request(question(wire.url, per_second=1))
        for _ in range(5):
            client.request(question(one.url))
    assert time.monotonic() - begun < 0.9


@pytest.mark.parametrize("script", [hangs_up, status(503, AT_ONCE), status(404)])
def test_a_failed_request_gives_its_place_back(script: Script) -> None:
    """A place at a host is free again a second after a request failed, too."""
    with Wire(script, FINE) as wire:
        client = opened(RequestSettings(retries=0), seconds=5)
        refused(client, question(wire.url, per_second=1))
        assert {"well": "1"} == client.request(question(wire.url, per_second=1))


def test_a_pace_that_the_deadline_does_not_allow_is_told() -> None:
    """Where no place comes free in time, the request is not sent, and what to change is said."""
    with Wire(FINE) as wire:
        client = opened(seconds=0.8)
        client.request(question(wire.url, per_second=1))
        error = refused(client, question(wire.url, per_second=1))
        assert 1 == len(wire.requests)
        assert error.message.startswith(f"127.0.0.1:{wire.port} allows 1 requests per second")
    assert DeadlinePassed is type(error)


# What an observer is told.


def test_each_try_is_told_without_a_value() -> None:
    """Every try is told: where to, which names, how many bytes, how long, what came of it."""
    seen: list[Exchange] = []
    dated = answer(b'{"well": 1}', "200 OK", "Date: Sat, 21 Nov 2026 00:57:00 GMT")
    with Wire(hangs_up, status(503, AT_ONCE), sends(dated)) as wire:
        request = question(
            f"{wire.url}/base",
            POST,
            query=(("wallet", "w-1"), ("token", "0")),
            headers={"X-Key": Secret("k-123456")},
            body={"a": Secret("s-123456")},
        )
        opened(observe=seen.append).request(request)
    names = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type", "X-Key")
    assert [
        (request, names, 1, 17, 0, "network.connection", None),
        (request, names, 2, 17, 0, "503", None),
        (request, names, 3, 17, 11, "200",
         "Sat, 21 Nov 2026 00:57:00 GMT"),
    ] == [
        (e.request, e.headers, e.attempt, e.sent, e.received, e.outcome, e.date)
        for e in seen
    ]  # fmt: skip
    assert all(0 <= exchange.seconds < 2 for exchange in seen)


def test_the_time_of_a_try_is_how_long_it_took() -> None:
    """The seconds of a try are those between its request and its answer; without a body nothing was sent."""
    seen: list[Exchange] = []

    def late(connection: socket.socket, request: bytes) -> None:
        time.sleep(0.2)
        FINE(connection, request)

    with Wire(late) as wire:
        opened(observe=seen.append).request(question(wire.url))
    (exchange,) = seen
    assert 0.2 <= exchange.seconds < 0.9
    assert 0 == exchange.sent


# What is hidden.

CARRIED: Final[Mapping[str, dict[str, Any]]] = {
    "in a header": {"headers": {"X-Key": Secret(TOKEN)}},
    "as a bearer": {"headers": {"Authorization": Secret(f"Bearer {TOKEN}")}},
}
ECHOES: Final = {
    "as it is": json.dumps({"word": TOKEN, "list": [f"x{TOKEN}y"]}),
    "as a key": json.dumps({TOKEN: 1}),
    "escaped": '{"word": "' + "".join(f"\\u{ord(c):04x}" for c in TOKEN) + '"}',
    "escaped in a list": '[["' + "".join(f"\\u{ord(c):04x}" for c in TOKEN) + '"]]',
    "escaped as a key": '{"' + "".join(f"\\u{ord(c):04x}" for c in TOKEN) + '": 1}',
    "escaped in part": f'{{"word": "\\u{ord(TOKEN[0]):04x}{TOKEN[1:]}"}}',
}


def _texts(document: Json) -> list[str]:
    if isinstance(document, dict):
        return [*document, *(text for item in document.values() for text in _texts(item))]
    if isinstance(document, list):
        return [text for item in document for text in _texts(item)]
    return [document] if isinstance(document, str) else []


def test_a_credential_that_comes_back_is_marked() -> None:
    """Wherever a request carried a credential and however a good answer spells it, each text with it is marked."""
    for place, echo in itertools.product(CARRIED, ECHOES):
        noted = echoes.record_echoes()
        with Wire(status(200, body=ECHOES[echo].encode())) as wire:
            payload = opened().request(question(wire.url, POST, **CARRIED[place]))
        found = [text for text in _texts(payload) if TOKEN in text]
        assert (True, True) == (bool(found), all(isinstance(text, EchoedText) for text in found)), (
            place,
            echo,
        )
        assert [set(found)] == [echo.texts for echo in noted]


def test_the_words_of_an_answer_with_a_credential_are_dropped() -> None:
    """An error whose body or headers repeat a credential keeps its class and status, and none of its words."""

    def explain(_status: int, payload: Json) -> BalcliError | None:
        return BadShape(f"explained: {payload}", http_status=400)

    for place, echo in itertools.product(CARRIED, (*ECHOES.values(), None)):
        head = () if echo else (f"X-Echo: {TOKEN}",)
        with Wire(status(400, *head, body=(echo or '{"word": "clean"}').encode())) as wire:
            problem = refused(opened(), question(wire.url, POST, explain=explain, **CARRIED[place]))
        assert (BadShape, 400, False) == (type(problem), problem.http_status, "explained" in problem.message)
        assert OMITTED in problem.message


OMITTED: Final = "message hidden, because the response repeats a credential"
WORDLESS: Final = [
    *((number, None, ServerUnavailable) for number in (408, 425, 500, 501, 502, 503, 504, 505, 599)),
    *((number, None, RedirectRefused) for number in (300, 302, 399)),
    *((number, None, CredentialsRefused) for number in (401, 403)),
    *((number, None, UnexpectedStatus) for number in (202, 299, 400, 404, 499)),
    (429, None, RateLimited),
    *(
        (number, kind, kind)
        for kind in (CredentialsRefused, ProviderError, RateLimited, ServerUnavailable)
        for number in (200, 400, 401, 499)
    ),
]
"""Statuses, the class of the provider's own error, and the class of the error that is raised."""


@pytest.mark.whole
@each_case(("number", "own", "kind"), sampled(WORDLESS, 3))
@pytest.mark.parametrize("place", ["body", "header", "escaped"])
def test_an_error_without_its_words_says_what_to_do(
    number: int, own: type[BalcliError] | None, kind: type[BalcliError], place: str
) -> None:
    """Where a response repeats a credential, an error keeps its class, its status and its cure, and no word of the provider."""
    escaped = "".join(f"\\u{ord(character):04x}" for character in TOKEN)
    said = {"body": TOKEN, "header": "vault shut", "escaped": escaped}[place]
    # The body of any other status below 400 is not read.
    head = (f"X-Echo: {TOKEN}",) if place == "header" or 200 < number < 400 else ()
    with Wire(status(number), status(number, *head, body=f'{{"message": "{said}"}}'.encode())) as wire:
        host = f"127.0.0.1:{wire.port}"
        client = opened(RequestSettings(retries=0))
        # Without a word of the provider and without a credential.
        what, _, cure = refused(client, question(wire.url)).message.rpartition("; ")
        error = refused(
            client,
            question(
                wire.url,
                headers={"X-Key": Secret(TOKEN)},
                explain=lambda status, _payload: own and own(f"vault shut {TOKEN}; shut", http_status=status),
            ),
        )
    if kind is CredentialsRefused:
        message = f"{refusal_message(host, number, OMITTED)}; check the account's key or token in the profile"
    elif own or kind is UnexpectedStatus:
        message = (
            f"{host} returned an error (HTTP {number}): {OMITTED}; check the account's settings and base_url"
        )
    elif kind is RedirectRefused:
        message = f"{what}: {OMITTED}; {cure}"
    else:
        message = f"{what.replace(f'(HTTP {number}', f'(HTTP {number}: {OMITTED}')}; {cure}"
    assert (kind, number, message) == (type(error), error.http_status, error.message)


def test_refused_settings_without_a_source_are_named_in_a_row() -> None:
    """Where nothing says from where two settings are, the cure names both."""
    headers = {name: Secret(f"{name} {TOKEN}", origin=partial(str, name)) for name in ("one", "other")}
    with Wire(status(401)) as wire:
        error = refused(opened(RequestSettings(retries=0)), question(wire.url, headers=headers))
    assert error.message.endswith("; check one and other")


@each_case("body", [f"<p>{TOKEN}".encode(), f'["\\x {TOKEN}"]'.encode()], ids=["a page", "a bad escape"])
def test_a_body_that_is_not_json_is_told_so_whatever_it_repeats(body: bytes) -> None:
    """The message about such a body has no words of it, so none are left out."""
    with Wire(status(200, body=body)) as wire:
        error = refused(opened(), question(wire.url, headers={"X-Key": Secret(TOKEN)}))
    assert (BadJson, False, False) == (type(error), OMITTED in error.message, TOKEN in error.message)


def test_amounts_stay_as_they_were_sent() -> None:
    """A number is never altered by what is hidden, nor is a text that holds no credential."""
    body = b'{"a\\u0062": "\\u0063d", "amount": 1234567890123.10, "list": [null, true, "\\u00e9"]}'
    with Wire(sends(answer(body))) as wire:
        payload = opened().request(
            question(wire.url, headers={"X-Key": Secret("1234567890123"), "X": Secret(TOKEN)})
        )
    assert {"ab": "cd", "amount": Number("1234567890123.10"), "list": [None, True, "é"]} == payload
    assert isinstance(payload, dict)
    assert isinstance(payload["amount"], Number)


def test_a_credential_of_digits_alters_no_text() -> None:
    """Digits alone cannot be told from an amount: they are not looked for."""
    with Wire(sends(answer(b'{"total": "91234567.5"}'))) as wire:
        payload = opened().request(question(wire.url, headers={"X-Key": Secret("1234567")}))
    assert {"total": "91234567.5"} == payload


@pytest.mark.parametrize("login", [True, False])
def test_no_secret_of_a_login_can_be_its_token(*, login: bool) -> None:
    """Every credential in the headers and the body of a login, at any depth, is known with what its response repeats."""
    names = ("header", "body", "list", "mapping in a list", "mapping")
    secrets = {name: Secret(f"{TOKEN}-{name}") for name in names}
    body = {
        "email": "a@b.example",
        "password": secrets["body"],
        "codes": [7, secrets["list"], {"otp": secrets["mapping in a list"]}],
        "device": {"id": None, "key": secrets["mapping"]},
    }
    noted = echoes.record_echoes()
    with Wire(sends(answer(json.dumps({"token": f"{TOKEN}-body"}).encode()))) as wire:
        echoes.register_credentials(wire.url, secrets.values())
        opened().request(
            question(
                wire.url,
                POST,
                headers={"X-Key": secrets["header"], "X-Plain": "plain"},
                body=body,
                returns_credential=login,
            )
        )
    (echo,) = noted
    assert ({reveal(secret) for secret in secrets.values()} if login else set()) == echo.login_secrets.texts


def test_the_scheme_of_a_bearer_is_no_secret() -> None:
    """Only the token is looked for, not the scheme's own word; of other headers, the whole value is."""
    headers = {
        "Authorization": Secret(f"Bearer {TOKEN}"),
        "X-Key": Secret("Basic words-that-are-said"),
    }
    text = "Bearer expected, not words-that-are-said"
    with Wire(sends(answer(json.dumps({"msg": text}).encode()))) as wire:
        payload = opened().request(question(wire.url, headers=headers))
    assert {"msg": text} == payload
    assert isinstance(payload, dict)
    assert not isinstance(payload["msg"], EchoedText)


def test_a_refusal_has_the_words_of_the_provider_if_any() -> None:
    """The message for refused credentials names host and status, and what the provider said."""
    assert [
        "m.example refused the credentials (HTTP 401)",
        "m.example refused the credentials (HTTP 403: expired)",
    ] == [refusal_message("m.example", 401), refusal_message("m.example", 403, "expired")]
