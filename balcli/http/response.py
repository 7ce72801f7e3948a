"""The errors that responses mean: whose fault each is, in the provider's own words, and what to do."""

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
FEWER_REQUESTS: Final = "run less often or with fewer --jobs"
TRY_LATER: Final = "try later, and check base_url if it stays so"
_NO_SETTING: Final = "the account's key or token in the profile"
_OMITTED: Final = "its words are left out, because the response repeats a credential"


def unavailable_error(request: "Request", answer: "Answer", wait: str) -> BalcliError:
    """The error of a response of 408, 425, 429 or 5xx, with the provider's words and the wait that it asked for."""
    words = _OMITTED if _repeats_credential(request, answer) else own_words(answer.body)
    return temporary_error(request, answer.status, words, wait)


def asked_wait(seconds: float | None) -> str:
    """The wait that a server asked for, for messages; None is one that cannot be read."""
    if seconds is None:
        return " and asked for a wait that cannot be read"
    # A short credential of digits alone is not found in headers.
    return redact(f" and asked to wait {'over 999999' if math.isinf(seconds) else math.ceil(seconds)} s")


def temporary_error(request: "Request", status: int, words: str, wait: str = "") -> BalcliError:
    """The error of a response of 408, 425, 429 or 5xx with the provider's words, and with the wait that it asked for."""
    what = with_words(status, words)
    if status == 429:
        return RateLimited(
            f"{request.host} limits the rate of requests ({what}){wait}; {FEWER_REQUESTS}",
            http_status=status,
        )
    return ServerUnavailable(
        f"{request.host} is unavailable ({what}){wait}; try later, and ask the provider if it stays so",
        http_status=status,
    )


def with_words(status: int, words: str) -> str:
    """The status for messages, with the provider's own words if there are any."""
    return f"HTTP {status}: {words}" if words else f"HTTP {status}"


def own_words(body: bytes) -> str:
    """The provider's own message in the body of an error; "" if there is none."""
    with suppress(BalcliError):
        return error_text(decode(body))
    return ""


def refusal_message(host: str, status: int, words: str = "") -> str:
    """The message for credentials that a host refused, with the provider's own words; the client adds the cure."""
    return f"{host} refused the credentials ({with_words(status, words)})"


def blocked_message(host: str, status: int, words: str) -> str:
    """The message for a request that something before the provider refused, with its own words."""
    return (
        f"{host} blocked the request ({with_words(status, words)}): a firewall, a list of allowed addresses or this "
        "region; ask the provider to allow this machine's address"
    )


def is_page(headers: Mapping[str, str], body: bytes, payload: Json) -> bool:
    """Whether a response is a web page: providers answer in JSON, firewalls in HTML."""
    is_html = re.match(r"\s*(text/html|application/xhtml)", headers.get("content-type", ""), re.IGNORECASE)
    return body.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<") or (is_html is not None and payload is None)


def with_cure(request: "Request", answer: "Answer", problem: CredentialsRefused) -> CredentialsRefused:
    """The refusal with the settings that were refused, and what is wrong with them or this machine's clock."""
    from balcli.http import jwt  # here, because few runs are refused

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
    if b"\\" in answer.body:  # only escapes can hide a credential from a search of the bytes
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
