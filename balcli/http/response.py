"""The errors of responses, with the provider's own message and a cure."""

import math
import re
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from balcli.errors import (
    AccessBlocked,
    AnswerTooLarge,
    BadJson,
    BalcliError,
    CredentialsRefused,
    RateLimited,
    RedirectRefused,
    ServerUnavailable,
)
from balcli.http import echoes
from balcli.http.strictjson import Json, decode, error_text
from balcli.http.timing import CLOCK_TOLERANCE, seconds_ahead
from balcli.secret import redact, secrets_in

if TYPE_CHECKING:
    from balcli.http.client import Request
    from balcli.http.transport import Answer

RETRIED_STATUSES: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
FEWER_REQUESTS: Final = "run less often or lower --jobs"
TRY_LATER: Final = "try again later, or check base_url"
_NO_SETTING: Final = "the account's key or token in the profile"
_OMITTED: Final = "message hidden, because the response repeats a credential"


def unavailable_error(request: "Request", answer: "Answer", wait: str) -> BalcliError:
    """The error of a 408, 425, 429 or 5xx response, without the provider's message if that repeats a credential."""
    words = _OMITTED if _repeats_credential(request, answer) else provider_message(answer.body)
    return temporary_error(request, answer.status, words, wait)


def requested_wait(seconds: float | None) -> str:
    """The wait that a server requested, for messages; None for an invalid `Retry-After`."""
    if seconds is None:
        return " and sent an invalid Retry-After"
    # Headers are not searched for short credentials that are all digits.
    return redact(f" and asked to wait {'over 999999' if math.isinf(seconds) else math.ceil(seconds)} s")


def temporary_error(request: "Request", status: int, words: str, wait: str = "") -> BalcliError:
    """The error of a 408, 425, 429 or 5xx response, with the provider's message and the requested wait."""
    what = status_text(status, words)
    if status == 429:
        return RateLimited(
            f"{request.host} is rate limiting requests ({what}){wait}; {FEWER_REQUESTS}",
            http_status=status,
        )
    return ServerUnavailable(
        f"{request.host} is unavailable ({what}){wait}; try again later, or ask the provider",
        http_status=status,
    )


def status_text(status: int, words: str) -> str:
    """The status for messages, with the provider's message if there is one."""
    return f"HTTP {status}: {words}" if words else f"HTTP {status}"


def provider_message(body: bytes) -> str:
    """The provider's message in an error body; "" if there is none."""
    with suppress(BalcliError):
        return error_text(decode(body))
    return ""


def refusal_message(host: str, status: int, words: str = "") -> str:
    """The message for refused credentials, with the provider's message. The client adds the cure."""
    return f"{host} refused the credentials ({status_text(status, words)})"


def blocked_message(host: str, status: int, words: str) -> str:
    """The message for a request that was blocked before it reached the provider's API."""
    return (
        f"{host} blocked the request ({status_text(status, words)}): a firewall, an IP allowlist or a region block; "
        "ask the provider to allow this machine's address"
    )


def is_page(headers: Mapping[str, str], body: bytes, payload: Json) -> bool:
    """Whether a response is a web page: providers answer in JSON, firewalls in HTML."""
    is_html = re.match(r"\s*(text/html|application/xhtml)", headers.get("content-type", ""), re.IGNORECASE)
    return body.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<") or (is_html is not None and payload is None)


def with_cure(request: "Request", answer: "Answer", problem: CredentialsRefused) -> CredentialsRefused:
    """The refusal with the settings to check, an expired token, and a wrong clock on this machine."""
    from balcli.http import jwt  # imported here, because few runs need it

    sent = secrets_in([request.headers, request.body, request.credentials])
    secrets = [secret for secret in sent if secret.origin]
    settings = dict.fromkeys(secret.origin() for secret in secrets if secret.origin)
    named = (", and " if any(", from " in each for each in settings) else " and ").join(settings)
    cure = f"check {named or _NO_SETTING}"
    found = [problem.message]
    ahead = seconds_ahead(answer.headers.get("date", ""), time.time())
    ends = [
        end
        for secret in secrets
        if (end := jwt.expiry(secret)) and end.timestamp() <= time.time() - (ahead or 0)
    ]
    if ends:
        found.append(f"the token expired at {ends[0]:%Y-%m-%d %H:%M} UTC")
        cure = f"replace {cure.removeprefix('check ')}"
    if ahead is not None and abs(ahead) > CLOCK_TOLERANCE:
        found.append(
            f"this machine's clock is {abs(ahead)} s {'ahead of' if ahead > 0 else 'behind'} the server's"
        )
        cure = f"set the clock, then {cure}"
    return CredentialsRefused(f"{', and '.join(found)}; {cure}", http_status=problem.http_status)


def _repeats_credential(request: "Request", answer: "Answer") -> bool:
    document = None
    if b"\\" in answer.body:  # only escapes can hide a credential in the bytes
        with suppress(BalcliError):
            document = decode(answer.body)
    return echoes.contains_credential(request.base_url, answer.headers, answer.body, document)


def without_echo(request: "Request", answer: "Answer", problem: BalcliError) -> BalcliError:
    """The same error, without the provider's message if the response repeats a credential."""
    if isinstance(problem, BadJson | AnswerTooLarge) or not _repeats_credential(request, answer):
        return problem
    if answer.status >= 500:
        return temporary_error(request, answer.status, _OMITTED)
    if isinstance(problem, RedirectRefused):
        what, _, cure = problem.message.rpartition("; ")
        message = f"{what}: {_OMITTED}; {cure}"
    elif isinstance(problem, CredentialsRefused):
        message = refusal_message(request.host, answer.status, _OMITTED)
    elif isinstance(problem, AccessBlocked):
        message = blocked_message(request.host, answer.status, _OMITTED)
    else:
        message = (
            f"{request.host} returned an error (HTTP {answer.status}): {_OMITTED}; "
            "check the account's settings and base_url"
        )
    return type(problem)(message, http_status=problem.http_status)
