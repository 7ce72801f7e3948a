"""The HTTP client: which endpoints are allowed, how long, how often to try, and what counts as an answer."""

import json
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from contextvars import ContextVar
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol
from urllib.parse import urlencode

from balcli import __version__
from balcli.errors import (
    AccessBlocked,
    AnswerError,
    BalcliError,
    Bug,
    CredentialsRefused,
    DeadlinePassed,
    NameNotResolved,
    NetworkError,
    NotConnected,
    ProxyFailed,
    RateLimited,
    RedirectRefused,
    ServerUnavailable,
    TimedOut,
    TlsFailed,
    UnexpectedStatus,
)
from balcli.http import echoes, response, turns
from balcli.http.strictjson import Json, decode, error_text
from balcli.http.timing import (
    SHORTEST_PAUSE,
    Deadline,
    HostPause,
    RateLimiter,
    backoff,
    parse_retry_after,
    sleep_before_retry,
)
from balcli.models import CaSource
from balcli.secret import Secret, reveal
from balcli.settings import COMMAND_SECONDS
from balcli.urls import display_host, is_loopback_url

if TYPE_CHECKING:
    from pathlib import Path

    from balcli.http.transport import Answer, Transport

trusted: Final[ContextVar[CaSource | None]] = ContextVar("trusted", default=None)
"""The certificates of the account that this thread asks for; None for those of the run."""


class RequestSettings(NamedTuple):
    """Timeouts in seconds, of one request, the run and a secret's command; retries, accounts at once, proxy, certificates."""

    timeout: float = 10.0
    deadline: float = 30.0
    retries: int = 3
    jobs: int = 8
    proxy: str | None = None
    ca_bundle: CaSource = CaSource()
    command_timeout: float = COMMAND_SECONDS


class Endpoint(NamedTuple):
    """A method and path that the program may call.

    `loggable_params` are the names in its query and body whose values may be recorded: they are not secret, and distinguish
    requests, such as an account's number or a page. The values of all others are recorded nowhere.
    """

    method: str
    path: str
    loggable_params: tuple[str, ...] = ()


class Request(NamedTuple):
    """One request to a provider. `explain` returns the provider's own error in a payload of that status, if any."""

    endpoint: Endpoint
    base_url: str
    explain: Callable[[int, Json], BalcliError | None]
    query: tuple[tuple[str, str], ...] = ()
    headers: Mapping[str, str | Secret] = MappingProxyType({})
    body: Mapping[str, object] | None = None
    repeatable: bool = True
    """False if a request that may have arrived must not be sent again (a login). One that was not sent is tried again."""
    per_second: int | None = None
    """How many such requests a second the host allows; None if it does not say."""
    returns_credential: bool = False
    """True if the response contains a credential (a login): it is never recorded."""
    credentials: object = None
    """The account's settings that authenticate it and are not in its headers or body themselves, such as a key that signs."""

    @property
    def url(self) -> str:
        """The whole URL with its query, which can contain a secret: it is never shown."""
        query = f"?{urlencode(self.query, safe=',')}" if self.query else ""
        return f"{self.base_url}{self.endpoint.path}{query}"

    @property
    def host(self) -> str:
        """The host and port, as messages name the server."""
        return display_host(self.base_url)


class Exchange(NamedTuple):
    """One attempt of a request, with its response or the error."""

    request: Request
    headers: tuple[str, ...]
    """The names of all headers that were sent."""
    attempt: int
    sent: int
    """The number of bytes of the request's body."""
    began: int
    """When, in nanoseconds since 1970."""
    seconds: float
    answer: "Answer | None"
    problem: BalcliError | None

    @property
    def received(self) -> int:
        """The number of bytes of the decoded body of the response."""
        return len(self.answer.body) if self.answer else 0

    @property
    def outcome(self) -> str:
        """The HTTP status, or the code of the error if there is no response."""
        return str(self.answer.status) if self.answer else (self.problem or Bug).code

    @property
    def date(self) -> str | None:
        """The `Date` header of the response."""
        return self.answer.headers.get("date") if self.answer else None


class SupportsRequest(Protocol):
    """What providers send requests through: a Client, a recorder around one, or a recording."""

    def request(self, request: Request) -> Json:
        """The JSON payload of a good response. Raises as `Client.request` does."""

    def close(self) -> None:
        """Close the connections that no request is using."""


class _RetryableError(Exception):
    """Another attempt may succeed after a pause of that many seconds."""

    def __init__(self, error: BalcliError, pause: float) -> None:
        super().__init__()
        self.error = error
        self.pause = pause


class Client:
    """Sends requests to providers within the run's deadline, and to the allowed endpoints only."""

    def __init__(
        self,
        settings: RequestSettings,
        deadline: Deadline,
        allowed: Iterable[Endpoint],
        *,
        tls: bool,
        certificates: Iterable[CaSource] = (),
        observe: Callable[[Exchange], None] | None = None,
    ) -> None:
        self._settings = settings
        self._deadline = deadline
        self._allowed = frozenset(allowed)
        self._observe = observe
        self._rate_limiters: dict[str, RateLimiter] = {}
        self._pauses: dict[str, HostPause] = {}
        self._lock = threading.Lock()
        self._tls = tls
        self._transports: dict[tuple[str, Path | None], Transport] = {}
        for source in certificates or (settings.ca_bundle,):
            self._transport(source)

    def request(self, request: Request) -> Json:
        """The JSON payload of a good response, after retries where they can help.

        Raises CredentialsRefused, a NetworkError, an AnswerError or RateLimited; an error that the request's
        `explain` returns comes first.
        """
        if request.endpoint not in self._allowed:
            raise RuntimeError(
                f"{request.endpoint.method} {request.endpoint.path} is not on the list of endpoints"
            )
        attempt = 0
        while True:
            turns.leave()
            try:
                return self._attempt(request, attempt)
            except _RetryableError as again:
                turns.leave()
                is_repeatable = request.repeatable or isinstance(again.error, NameNotResolved | NotConnected)
                if attempt >= self._settings.retries or not is_repeatable:
                    raise again.error from None
                if again.pause >= self._deadline.left():
                    raise again.error from None
                sleep_before_retry(again.pause)
                attempt += 1

    def close(self) -> None:
        """Close the connections that no request is using: the rest of a run may need their descriptors."""
        for transport in self._transports.values():
            transport.close()

    def _transport(self, source: CaSource) -> "Transport":
        """The transport that trusts these certificates, made once. Raises ValueProblem if they cannot be read."""
        # Imported here: urllib3 and ssl take several times as long as the rest of the start.
        from balcli.http.transport import Transport

        with self._lock:
            found = self._transports.get((source.kind, source.path))
            if found is None:
                found = self._transports[source.kind, source.path] = Transport(
                    proxy=self._settings.proxy,
                    ca_bundle=source,
                    connections=self._settings.jobs,
                    tls=self._tls,
                )
            return found

    def _attempt(self, request: Request, number: int) -> Json:
        body = None if request.body is None else _encoder.encode(request.body).encode()
        headers = _wire_headers(request)
        for value in request.headers.values():
            if isinstance(value, Secret):
                echoes.register_token(request.base_url, value)
        limits = self._pauses or request.per_second is not None
        limiter = self._wait_for_turn(request) if limits else None
        left = self._deadline.left()
        seconds, begun, began = min(self._settings.timeout, left), time.monotonic(), time.time_ns()
        answer, problem = None, None
        try:
            if left <= 0:
                raise DeadlinePassed(f"no time is left of the run's {self._deadline.seconds:g} s")
            answer = self._transport(trusted.get() or self._settings.ca_bundle).send(
                request.endpoint.method,
                request.url,
                headers,
                body,
                seconds=seconds,
                loopback=is_loopback_url(request.base_url),
            )
        except (NetworkError, AnswerError) as raised:
            problem = raised
            if isinstance(raised, TimedOut) and seconds < self._settings.timeout:
                problem = DeadlinePassed(f"no answer before the deadline of {self._deadline.seconds:g} s")
            advice = "" if isinstance(problem, ProxyFailed | TlsFailed) else f"; {_advice(problem, seconds)}"
            error = type(problem)(f"{request.host}: {problem.message}{advice}")
            if problem.retryable and not isinstance(problem, DeadlinePassed):
                raise _RetryableError(error, backoff(number)) from None
            raise error from None
        finally:
            if limiter is not None:
                limiter.release()
            if self._observe is not None:
                self._observe(
                    Exchange(
                        request=request,
                        headers=tuple(headers),
                        attempt=number + 1,
                        sent=len(body or b""),
                        began=began,
                        seconds=time.monotonic() - begun,
                        answer=answer,
                        problem=problem,
                    )
                )
        return self._payload(request, answer, number)

    def _wait_for_turn(self, request: Request) -> RateLimiter | None:
        """Wait until the host's pause is over and its rate limit allows the request. The rate limiter is to be released.

        Raises RateLimited or DeadlinePassed at once if the deadline comes first.
        """
        host = echoes.host_key(request.base_url)
        pause, limiter = self._pauses.setdefault(host, HostPause()), None
        if request.per_second is not None:
            limiter = self._rate_limiters.setdefault(host, RateLimiter(request.per_second))
        while True:
            if not pause.wait(self._deadline):
                raise RateLimited(
                    f"{request.host} limits the rate of requests{pause.reason}; {response.FEWER_REQUESTS}"
                )
            if limiter is not None and not limiter.acquire(self._deadline):
                raise DeadlinePassed(
                    f"{request.host} allows {request.per_second} requests a second, too few for this run's deadline "
                    f"of {self._deadline.seconds:g} s; raise --deadline or name fewer accounts"
                )
            if not pause.left():
                return limiter
            if limiter is not None:  # the pause began while this request waited for its turn
                limiter.release()

    def _payload(self, request: Request, answer: "Answer", number: int) -> Json:
        """The payload of a response. Raises its error, without the provider's message if that repeats a credential."""
        if not turns.take(len(answer.body), self._deadline):
            raise DeadlinePassed(
                f"{request.host}: no time was left of the run's {self._deadline.seconds:g} s to read the answer; "
                "raise --deadline or name fewer accounts"
            )
        if answer.status in response.RETRIED_STATUSES:
            raise self._unavailable(request, answer, number)
        try:
            payload = parse_response(request, answer.status, answer.headers, answer.body)
        except BalcliError as problem:
            own = response.without_echo(request, answer, problem)
            if isinstance(own, CredentialsRefused):
                own = response.with_cure(request, answer, own)
            # An error that a provider calls its own may pass, whatever the HTTP status.
            is_temporary = isinstance(own, ServerUnavailable) and answer.status < 500
            raise (_RetryableError(own, backoff(number)) if is_temporary else own) from None
        login = [request.headers, request.body] if request.returns_credential else None
        return echoes.mark_echoes(request.base_url, answer.headers, answer.body, payload, login)

    def _unavailable(self, request: Request, answer: "Answer", number: int) -> BalcliError | _RetryableError:
        """The error of a response of 408, 425, 429 or 5xx, retryable unless `Retry-After` cannot be read.

        After 429 nothing is sent to the host for a second at least: rates are counted by the second.
        """
        retry_after = answer.headers.get("retry-after")
        asked = None if retry_after is None else parse_retry_after(retry_after, answer.headers.get("date"))
        wait = "" if retry_after is None else response.asked_wait(asked)
        is_limit = answer.status == 429
        pause = (
            backoff(number + is_limit) if asked is None else max(asked, 1.0 if is_limit else SHORTEST_PAUSE)
        )
        if is_limit:
            host = echoes.host_key(request.base_url)
            self._pauses.setdefault(host, HostPause()).extend(pause, wait)
        error = response.unavailable_error(request, answer, wait)
        return error if retry_after is not None and asked is None else _RetryableError(error, pause)


def parse_response(request: "Request", status: int, headers: Mapping[str, str], body: bytes) -> Json:
    """The payload of a good response; raises as `Client.request` does after its last attempt.

    The message of CredentialsRefused has no cure: the client adds it.
    """
    if status in response.RETRIED_STATUSES or 500 <= status < 600:
        raise response.temporary_error(request, status, response.own_words(body))
    if 300 <= status < 400:
        raise RedirectRefused(
            f"{request.host} redirects (HTTP {status}); balcli follows no redirect, so set base_url to the right place",
            http_status=status,
        )
    if status == 200 or (status == 201 and request.endpoint.method == "POST"):
        try:
            payload = decode(body)
        except BalcliError as problem:
            raise type(problem)(
                f"{request.host}: {problem.message}; {response.TRY_LATER}", http_status=status
            ) from None
        explained = request.explain(status, payload)
        if explained is not None:
            raise explained
        return payload
    payload = None
    if 400 <= status < 500:
        # Without a payload, the status alone decides.
        with suppress(BalcliError):
            payload = decode(body)
    if status == 451 or (status == 403 and response.is_page(headers, body, payload)):
        raise AccessBlocked(
            response.blocked_message(request.host, status, error_text(payload)), http_status=status
        )
    explained = request.explain(status, payload) if payload is not None else None
    if explained is not None:
        raise explained
    if status in {401, 403}:
        raise CredentialsRefused(
            response.refusal_message(request.host, status, error_text(payload)), http_status=status
        )
    what = response.with_words(status, error_text(payload))
    raise UnexpectedStatus(
        f"{request.host} answered {what}, which is no answer to {request.endpoint.path}; check base_url",
        http_status=status,
    )


def _reveal(value: object) -> str:
    """The text of a secret in a request's body."""
    if isinstance(value, Secret):
        return reveal(value)
    raise TypeError(f"a {type(value).__name__} has no place in a request's body")


# One for all requests: `json.dumps` would make one for each.
_encoder: Final = json.JSONEncoder(default=_reveal)


def _wire_headers(request: Request) -> dict[str, str]:
    headers = {
        "User-Agent": f"balcli/{__version__}",
        "Accept": "application/json",
        "Accept-Encoding": "gzip",
    }
    if request.body is not None:
        headers["Content-Type"] = "application/json"
    for name, value in request.headers.items():
        headers[name] = reveal(value) if isinstance(value, Secret) else value
    return headers


def _advice(problem: BalcliError, seconds: float) -> str:
    """What to do about a request without a usable response."""
    if isinstance(problem, DeadlinePassed):
        return "raise --deadline or try later"
    if isinstance(problem, TimedOut):
        return f"it had {seconds:.3g} s: try later, or raise --timeout"
    if isinstance(problem, NameNotResolved):
        return "check base_url and the resolver"
    return response.TRY_LATER
