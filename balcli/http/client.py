"""The HTTP client: which endpoints are allowed, how long and how often to try, and what counts as a response."""

import json
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol
from urllib.parse import urlencode

from balcli import __version__
from balcli.errors import (
    AnswerError,
    AnswerTooLarge,
    BadJson,
    BalcliError,
    Bug,
    CredentialsRefused,
    DeadlinePassed,
    NameNotResolved,
    NetworkError,
    ProxyFailed,
    RateLimited,
    RedirectRefused,
    ServerUnavailable,
    TimedOut,
    TlsFailed,
    UnexpectedStatus,
)
from balcli.http import echoes
from balcli.http.error_text import error_text
from balcli.http.strictjson import Json, decode
from balcli.http.timing import Deadline, RateLimiter, backoff, parse_retry_after, sleep_before_retry
from balcli.secret import Secret, reveal
from balcli.settings import RequestSettings
from balcli.urls import display_host, is_loopback_url

if TYPE_CHECKING:
    from balcli.http.transport import Answer

_RETRIED_STATUSES: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
_OMITTED: Final = "its words are left out, because the response repeats a credential"
_TRY_LATER: Final = "try later, and check base_url if it stays so"


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
    """False if a request that may have arrived must not be sent again (a login)."""
    per_second: int | None = None
    """How many such requests a second the host allows; None if it does not say."""
    returns_credential: bool = False
    """True if the response contains a credential (a login): it is never recorded."""

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


class _RetryableError(Exception):
    """Another attempt may succeed; `after` is the wait in seconds that the server asked for."""

    def __init__(self, error: BalcliError, after: float | None = None) -> None:
        super().__init__()
        self.error = error
        self.after = after


class Client:
    """Sends requests to providers within the run's deadline, and to the allowed endpoints only."""

    def __init__(
        self,
        settings: RequestSettings,
        deadline: Deadline,
        allowed: Iterable[Endpoint],
        *,
        tls: bool,
        observe: Callable[[Exchange], None] | None = None,
    ) -> None:
        # Imported here: urllib3 and ssl take several times as long as the rest of the start.
        from balcli.http.transport import Transport

        self._settings = settings
        self._deadline = deadline
        self._allowed = frozenset(allowed)
        self._observe = observe
        self._rate_limiters: dict[str, RateLimiter] = {}
        self._lock = threading.Lock()
        self._transport = Transport(
            proxy=settings.proxy, ca_bundle=settings.ca_bundle, connections=settings.jobs, tls=tls
        )

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
            try:
                return self._attempt(request, attempt)
            except _RetryableError as again:
                if attempt >= self._settings.retries or not request.repeatable:
                    raise again.error from None
                pause = backoff(attempt) if again.after is None else again.after
                if pause >= self._deadline.left():
                    raise again.error from None
                sleep_before_retry(pause)
                attempt += 1

    def _attempt(self, request: Request, number: int) -> Json:
        body = None if request.body is None else _encoder.encode(request.body).encode()
        headers = _wire_headers(request)
        for value in request.headers.values():
            if isinstance(value, Secret):
                echoes.register_token(request.base_url, value)
        limiter = self._rate_limiter(request)
        if limiter is not None and not limiter.acquire(self._deadline):
            raise DeadlinePassed(
                f"{request.host} allows {request.per_second} requests a second, too few for this run's deadline "
                f"of {self._deadline.seconds:g} s; raise --deadline or name fewer accounts"
            )
        left = self._deadline.left()
        seconds, begun, began = min(self._settings.timeout, left), time.monotonic(), time.time_ns()
        answer, problem = None, None
        try:
            if left <= 0:
                raise DeadlinePassed(f"no time is left of the run's {self._deadline.seconds:g} s")
            answer = self._transport.send(
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
            error = type(problem)(f"{request.host}: {problem.message}; {_advice(problem, seconds)}")
            if problem.retryable and not isinstance(problem, DeadlinePassed):
                raise _RetryableError(error) from None
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
        return self._payload(request, answer)

    def _payload(self, request: Request, answer: "Answer") -> Json:
        """The payload of a response. Raises its error, without the provider's message if that repeats a credential."""
        status = answer.status
        try:
            if status in _RETRIED_STATUSES:
                refused = _unavailable_error(request, status, answer.body)
                raise self._retry_error(refused, status, answer.headers.get("retry-after")) from None
            payload = parse_response(request, status, answer.body)
        except _RetryableError as again:
            raise _RetryableError(_without_echo(request, answer, again.error), again.after) from None
        except BalcliError as problem:
            own = _without_echo(request, answer, problem)
            # An error that a provider calls its own may pass, whatever the HTTP status.
            is_temporary = (
                isinstance(own, ServerUnavailable) and status < 500 and status not in _RETRIED_STATUSES
            )
            raise (_RetryableError(own) if is_temporary else own) from None
        login_secrets = _secrets_of(request) if request.returns_credential else None
        return echoes.mark_echoes(request.base_url, answer.headers, answer.body, payload, login_secrets)

    def _rate_limiter(self, request: Request) -> RateLimiter | None:
        """The rate limiter of the request's host; None if the host sets no limit."""
        if request.per_second is None:
            return None
        with self._lock:
            return self._rate_limiters.setdefault(
                echoes.host_key(request.base_url), RateLimiter(request.per_second)
            )

    def _retry_error(
        self, error: BalcliError, status: int, retry_after: str | None
    ) -> BalcliError | _RetryableError:
        """The error of a response of 408, 425, 429 or 5xx, retryable unless `Retry-After` cannot be read."""
        if retry_after is None:
            # Rates are counted by the second: a retry before that is refused, too.
            return _RetryableError(error, 1.0 + backoff(0)) if status == 429 else _RetryableError(error)
        after = parse_retry_after(retry_after)
        return error if after is None else _RetryableError(error, after)


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


def _unavailable_error(request: Request, status: int, body: bytes) -> BalcliError:
    """The error of a response of 408, 425, 429 or 5xx."""
    what = _http(status, body)
    if status == 429:
        return RateLimited(
            f"{request.host} limits the rate of requests ({what}); run less often or with fewer --jobs",
            http_status=status,
        )
    return ServerUnavailable(
        f"{request.host} is unavailable ({what}); try later, and ask the provider if it stays so",
        http_status=status,
    )


def _http(status: int, body: bytes) -> str:
    """The status for messages, with the provider's own message if the body has one."""
    said = ""
    with suppress(BalcliError):
        said = error_text(decode(body))
    return f"HTTP {status}: {said}" if said else f"HTTP {status}"


def parse_response(request: Request, status: int, body: bytes) -> Json:
    """The payload of a good response; raises as `Client.request` does after its last attempt."""
    if status in _RETRIED_STATUSES:
        raise _unavailable_error(request, status, body)
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
                f"{request.host}: {problem.message}; {_TRY_LATER}", http_status=status
            ) from None
        explained = request.explain(status, payload)
        if explained is not None:
            raise explained
        return payload
    if 500 <= status < 600:
        raise _unavailable_error(request, status, body)
    payload = None
    if 400 <= status < 500:
        # Without a payload, the status alone decides.
        with suppress(BalcliError):
            payload = decode(body)
    explained = request.explain(status, payload) if payload is not None else None
    if explained is not None:
        raise explained
    if status in {401, 403}:
        raise CredentialsRefused(
            refusal_message(request.host, status, error_text(payload)), http_status=status
        )
    raise UnexpectedStatus(
        f"{request.host} answered {_http(status, body)}, which is no answer to {request.endpoint.path}; check base_url",
        http_status=status,
    )


def _advice(problem: BalcliError, seconds: float) -> str:
    """What to do about a request without a usable response."""
    if isinstance(problem, DeadlinePassed):
        return "raise --deadline or try later"
    if isinstance(problem, TimedOut):
        return f"it had {seconds:.3g} s: try later, or raise --timeout"
    if isinstance(problem, TlsFailed):
        return "check base_url, the clock and ca_bundle"
    if isinstance(problem, ProxyFailed):
        return "check the profile's proxy and HTTPS_PROXY"
    if isinstance(problem, NameNotResolved):
        return "check base_url and the resolver"
    return _TRY_LATER


def refusal_message(host: str, status: int, words: str = "") -> str:
    """The message for credentials that a host refused, with the provider's own message if there is one."""
    said = f": {words}" if words else ""
    return f"{host} refused the credentials (HTTP {status}{said}); check the account's key or token in the profile"


def _without_echo(request: Request, answer: "Answer", problem: BalcliError) -> BalcliError:
    """The same error, without the provider's message if the response repeats a credential."""
    document = None
    if b"\\" in answer.body:  # only escapes can hide a credential from a search of the bytes
        with suppress(BalcliError):
            document = decode(answer.body)
    if isinstance(problem, BadJson | AnswerTooLarge) or not echoes.contains_credential(
        request.base_url, answer.headers, answer.body, document
    ):
        return problem
    if answer.status in _RETRIED_STATUSES or answer.status >= 500 or isinstance(problem, RedirectRefused):
        silent = problem if answer.status < 400 else _unavailable_error(request, answer.status, b"")
        what, _, cure = silent.message.rpartition("; ")
        message = f"{what}: {_OMITTED}; {cure}"
    elif isinstance(problem, CredentialsRefused):
        message = refusal_message(request.host, answer.status, _OMITTED)
    else:
        message = (
            f"{request.host} returned an error (HTTP {answer.status}): {_OMITTED}; "
            "check the account's settings and base_url"
        )
    return type(problem)(message, http_status=problem.http_status)


def _secrets_of(request: Request) -> list[Secret]:
    """The secrets in a request's headers and body, at any depth."""
    found: list[Secret] = []
    values: list[object] = [*request.headers.values(), request.body]
    for value in values:  # the loop appends to it
        if isinstance(value, Secret):
            found.append(value)
        elif isinstance(value, list):
            values += value
        elif isinstance(value, Mapping):
            values += value.values()
    return found
