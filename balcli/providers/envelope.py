"""Errors in responses of KunaCore and VelaFi, and which responses are good.

Neither vendor documents how an error looks at HTTP 200. A public client of KunaCore's sister exchange tests
`errors`, `code` and `error` whatever the status (code), and VelaFi sends its negative codes with 200 (inferred).
"""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final

from balcli.errors import BadShape, BalcliError, CredentialsRefused, ProviderError
from balcli.http.error_text import error_text, message_text
from balcli.http.response import refusal_message
from balcli.http.strictjson import Json, Number
from balcli.money import Amount, parse

_GOOD: Final = frozenset({0, 200, 201})
_REFUSED: Final = frozenset({401, 403})
_REFUSED_WORDS: Final = frozenset({"unauthorized", "forbidden"})
_BAD_WORDS: Final = frozenset({"error", "fail", "failed", "failure", *_REFUSED_WORDS})
_CODES: Final = ("code", "statusCode", "status")
_ERRORS: Final = ("errors", "error")
_ADVICE: Final = "check the account's settings, or ask the provider"


def own_error(
    title: str,
    status: int,
    payload: Json,
    *,
    code_is_200: bool = False,
    advice: Mapping[str, str] = MappingProxyType({}),
) -> BalcliError | None:
    """The provider's own error in a response; None if the response is good, or the status alone decides.

    With `code_is_200`, a good response must have the `code` 200. `advice` says what to do about single codes.
    """
    answer = payload if isinstance(payload, dict) else {}
    is_marked = is_error(answer)
    if status < 400 and not is_marked and (not code_is_200 or _is_in(answer.get("code"), {200})):
        return None
    message = error_text(payload)
    refused = CredentialsRefused(refusal_message(title, status, message), http_status=status)
    if status in _REFUSED:
        return refused if answer else None
    codes = [*_error_codes(answer), *_own_codes(answer)]
    if status < 400 and any(_is_in(code, _REFUSED) or _is_word(code, _REFUSED_WORDS) for code in codes):
        return refused
    if status < 400 and not is_marked:
        codes = [answer.get("code")]
    code = next(filter(None, map(message_text, codes)), "")
    if not code and not is_marked and status < 400:
        return BadShape(
            f"{title} answered without its code; check base_url, else ask the provider", http_status=status
        )
    if not code and not message and status >= 400:
        return None
    what = f"error {code or status}" if code or status >= 400 else "an error"
    advised = f": {advice[code]}" if code in advice else f"; {_ADVICE}"
    return ProviderError(
        f"{title} answered with {what} ({message or 'no message'}){advised}", http_status=status
    )


def is_error(answer: dict[str, Json]) -> bool:
    """Whether a response is marked as an error: beside its data, in its place, or in its object."""
    return bool(_own_codes(answer)) or any(
        part.get("success") is False or _is_filled(part.get("errors")) or _is_filled(part.get("error"))
        for part in _parts(answer)
    )


def _parts(answer: dict[str, Json]) -> list[dict[str, Json]]:
    """The response, and its data if that is an object."""
    return [part for part in (answer, answer.get("data")) if isinstance(part, dict)]


def _own_codes(answer: dict[str, Json]) -> list[Json]:
    """The codes beside the data that mean an error."""
    found = [answer[key] for key in ("code", "statusCode") if key in answer and _is_bad(answer[key])]
    return [*found, answer["status"]] if _is_bad_status(answer.get("status")) else found


def _error_codes(answer: dict[str, Json]) -> Iterator[Json]:
    """The codes in the error objects of a response."""
    for value in (part.get(key) for part in _parts(answer) for key in _ERRORS):
        for item in value if isinstance(value, list) else [value]:
            yield from (item.get(key) for key in _CODES if isinstance(item, dict))


def _is_bad(value: Json) -> bool:
    """Whether a `code` or `statusCode` means an error. Unknown texts do not."""
    if _is_numeric(value):
        return not _is_in(value, _GOOD)
    return isinstance(value, bool | list | dict) or _is_word(value, _BAD_WORDS)


def _is_bad_status(value: Json) -> bool:
    """Whether a `status` means an error: a number from 400 on, or a known word."""
    if not isinstance(value, Number):
        return _is_word(value, _BAD_WORDS)
    number = _amount(value)
    return number is None or Amount(400) <= number


def _is_filled(value: Json) -> bool:
    """Whether an `error` or `errors` is not empty; null, false, 0, "", [] and {} are."""
    return bool(value) and not (isinstance(value, Number) and _is_in(value, {0}))


def _is_word(value: Json, among: frozenset[str]) -> bool:
    return isinstance(value, str) and value.casefold() in among


def _is_numeric(value: Json) -> bool:
    """Whether a value is a number or a text of digits."""
    return isinstance(value, Number) or (isinstance(value, str) and value.isascii() and value.isdigit())


def _is_in(value: Json, numbers: frozenset[int] | set[int]) -> bool:
    if not isinstance(value, str) or not _is_numeric(value):
        return False
    number = _amount(value)
    return number is not None and any(number == Amount(each) for each in numbers)


def _amount(text: str) -> Amount | None:
    """The value of a number or a text of digits; None if it is too large."""
    try:
        return parse(text if isinstance(text, Number) else text.lstrip("0") or "0")
    except ValueError:
        return None
