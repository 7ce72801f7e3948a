"""The HTTP client: allowed endpoints, timeouts, retries, rate limits, and the errors of responses."""

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
"""The certificates of the account that this thread fetches; None for those of the run."""


class RequestSettings(NamedTuple):
    """Timeouts in seconds (request, run, secret command), retries, concurrent accounts, proxy and certificates."""

    timeout: float = 10.0
    deadline: float = 30.0
    retries: int = 3
    jobs: int = 8
    proxy: str | None = None
    ca_bundle: CaSource = CaSource()
    command_timeout: float = COMMAND_SECONDS


class Endpoint(NamedTuple):
    """A method and path that the program may call.

    `loggable_params` are the names in its query and body whose values may be recorded. They are not secret, and
    distinguish requests, such as an account number or a page. No other value is recorded.
    """

    method: str
    path: str
    loggable_params: tuple[str, ...] = ()


class Request(NamedTuple):
    """One request to a provider. `explain` returns the provider's error in a payload with that status, if any."""

    endpoint: Endpoint
    base_url: str
    explain: Callable[[int, Json], BalcliError | None]
    query: tuple[tuple[str, str], ...] = ()
    headers: Mapping[str, str | Secret] = MappingProxyType({})
    body: Mapping[str, object] | None = None
    repeatable: bool = True
    """False if a request that may have arrived must not be resent (a login). An unsent request is always retried."""
    per_second: int | None = None
    """The host's limit of requests per second; None if unknown."""
    returns_credential: bool = False
    """True if the response contains a credential (a login): it is never recorded."""
    credentials: object = None
    """Credentials that are not in the headers or body, such as a key that signs."""

    @property
    def url(self) -> str:
        """The URL with its query. It can contain a secret and is never shown."""
        query = f"?{urlencode(self.query, safe=',')}" if self.query else ""
        return f"{self.base_url}{self.endpoint.path}{query}"

    @property
    def host(self) -> str:
        """The host and port, for messages."""
        return display_host(self.base_url)


class Exchange(NamedTuple):
    """One attempt of a request, with its response or error."""

    request: Request
    headers: tuple[str, ...]
    """The names of all headers sent."""
    attempt: int
    sent: int
    """The number of bytes of the request's body."""
    began: int
    """The start time in nanoseconds since 1970."""
    seconds: float
    answer: "Answer | None"
    problem: BalcliError | None

    @property
    def received(self) -> int:
        """The number of bytes of the response's decoded body."""
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
    """Anything that providers can send requests through: a client, a recorder or a recording."""

    def request(self, request: Request) -> Json:
        """The JSON payload of a good response. Raises the same errors as `Client.request`."""

    def close(self) -> None:
        """Close the connections that no request is using."""


class _RetryableError(Exception):
    """Another attempt may succeed after a pause, in seconds."""

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
        """The JSON payload of a good response, after retries if they can help.

        Raises CredentialsRefused, AccessBlocked, a NetworkError, an AnswerError or RateLimited. An error from the
        request's `explain` comes first.
        """
        if request.endpoint not in self._allowed:
            raise RuntimeError(
                f"{request.endpoint.method} {request.endpoint.path} is not an allowed endpoint"
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
        """Close idle connections: the rest of a run may need their file descriptors."""
        for transport in self._transports.values():
            transport.close()

    def _transport(self, source: CaSource) -> "Transport":
        """The transport for these certificates, made once. Raises ValueProblem if they cannot be read."""
        # Imported here, because importing urllib3 and ssl takes several times as long as the rest of startup.
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
                raise DeadlinePassed(f"no time left before the deadline of {self._deadline.seconds:g} s")
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
                problem = DeadlinePassed(f"no response before the deadline of {self._deadline.seconds:g} s")
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
        """Wait until the host's pause is over and its rate limit allows the request.

        Returns the rate limiter, which the caller must release. Raises RateLimited or DeadlinePassed at once if the
        deadline comes first.
        """
        host = echoes.host_key(request.base_url)
        pause, limiter = self._pauses.setdefault(host, HostPause()), None
        if request.per_second is not None:
            limiter = self._rate_limiters.setdefault(host, RateLimiter(request.per_second))
        while True:
            if not pause.wait(self._deadline):
                raise RateLimited(
                    f"{request.host} is rate limiting requests{pause.reason}; {response.FEWER_REQUESTS}"
                )
            if limiter is not None and not limiter.acquire(self._deadline):
                raise DeadlinePassed(
                    f"{request.host} allows {request.per_second} requests per second, too few for the deadline "
                    f"of {self._deadline.seconds:g} s; raise --deadline or select fewer accounts"
                )
            if not pause.left():
                return limiter
            if limiter is not None:  # the pause began while this request waited
                limiter.release()

    def _payload(self, request: Request, answer: "Answer", number: int) -> Json:
        """The payload of a response. Raises its error, without the provider's message if that repeats a credential."""
        if not turns.take(len(answer.body), self._deadline):
            raise DeadlinePassed(
                f"{request.host}: no time left to read the response before the deadline of "
                f"{self._deadline.seconds:g} s; raise --deadline or select fewer accounts"
            )
        if answer.status in response.RETRIED_STATUSES:
            raise self._unavailable(request, answer, number)
        try:
            payload = parse_response(request, answer.status, answer.headers, answer.body)
        except BalcliError as problem:
            own = response.without_echo(request, answer, problem)
            if isinstance(own, CredentialsRefused):
                own = response.with_cure(request, answer, own)
            # A provider may report a temporary error with any HTTP status.
            is_temporary = isinstance(own, ServerUnavailable) and answer.status < 500
            raise (_RetryableError(own, backoff(number)) if is_temporary else own) from None
        login = [request.headers, request.body] if request.returns_credential else None
        return echoes.mark_echoes(request.base_url, answer.headers, answer.body, payload, login)

    def _unavailable(self, request: Request, answer: "Answer", number: int) -> BalcliError | _RetryableError:
        """The error of a 408, 425, 429 or 5xx response; retryable unless its `Retry-After` is invalid.

        After a 429, nothing is sent to the host for at least a second, because rate limits count by the second.
        """
        retry_after = answer.headers.get("retry-after")
        asked = None if retry_after is None else parse_retry_after(retry_after, answer.headers.get("date"))
        wait = "" if retry_after is None else response.requested_wait(asked)
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
    """The payload of a good response. Raises like `Client.request` after its last attempt.

    The client adds the cure to the message of CredentialsRefused.
    """
    if status in response.RETRIED_STATUSES or 500 <= status < 600:
        raise response.temporary_error(request, status, response.provider_message(body))
    if 300 <= status < 400:
        raise RedirectRefused(
            f"{request.host} returned a redirect (HTTP {status}), which balcli never follows; "
            "set base_url to the final address",
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
        # Without a payload, only the status counts.
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
    words = error_text(payload)
    raise UnexpectedStatus(
        f"{request.host} returned HTTP {status} for {request.endpoint.path}{f': {words}' if words else ''}; "
        "check base_url",
        http_status=status,
    )


def _reveal(value: object) -> str:
    """The text of a secret in a request's body."""
    if isinstance(value, Secret):
        return reveal(value)
    raise TypeError(f"a {type(value).__name__} cannot be sent in a request")


# Shared, because `json.dumps` would make one for each request.
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
    """The cure for a request without a usable response."""
    if isinstance(problem, DeadlinePassed):
        return "raise --deadline or try again later"
    if isinstance(problem, TimedOut):
        return f"raise --timeout (now {seconds:.3g} s) or try again later"
    if isinstance(problem, NameNotResolved):
        return "check base_url and DNS"
    return response.TRY_LATER
