"""A strict JSON decoder: numbers keep their text, and ambiguous documents are refused."""

import json
from typing import Any, Final, NoReturn, TypeAlias, final

from balcli.errors import AnswerTooLarge, BadJson

MAX_VALUES: Final = 400_000
MAX_DEPTH: Final = 100
"""How deep lists and objects may be nested. Python's own limit depends on its version and on the caller's depth, and
a document just below it could still be too deep for the code that reads it."""


@final
class Number(str):
    """A JSON number by the characters that were sent: it never becomes a float."""

    __slots__ = ()


Json: TypeAlias = "bool | str | Number | list[Json] | dict[str, Json] | None"


def _no_constant(name: str) -> NoReturn:
    raise BadJson(f"{name} is no JSON")


def _unique(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    entries = dict(pairs)
    if len(entries) != len(pairs):
        raise BadJson("an object has the same key twice")
    return entries


# One decoder for all responses: making one takes longer than decoding a small response.
_decoder = json.JSONDecoder(
    parse_float=Number, parse_int=Number, parse_constant=_no_constant, object_pairs_hook=_unique
)


def decode(body: bytes) -> Json:
    """The JSON document of a body. Raises BadJson or AnswerTooLarge; the message is a phrase."""
    return decode_text(text_of(body))


def text_of(body: bytes) -> str:
    """The text of a body, which is in UTF-8. Raises BadJson, and AnswerTooLarge for too many values.

    A value can take 200 bytes of memory and only two of the body, so a limit on the size is not enough.
    """
    if not body or body.isspace():
        raise BadJson("the body is empty")
    if sum(map(body.count, (b",", b"[", b"{"))) > MAX_VALUES:
        raise AnswerTooLarge(f"the answer has more than {MAX_VALUES:,} values")
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError:
        raise BadJson("the body is not UTF-8") from None


def decode_text(text: str) -> Json:
    """The JSON document of a text without a byte-order mark. Raises BadJson; the message is a phrase."""
    try:
        document: Json = _decoder.decode(text)
    except RecursionError:
        raise BadJson("the JSON is nested too deeply") from None
    except json.JSONDecodeError as problem:
        if text.lstrip()[:1] == "<":
            raise BadJson("the body is a web page, not JSON") from None
        raise BadJson(
            f"the body is not valid JSON at line {problem.lineno}, column {problem.colno}"
        ) from None
    if text.count("[") + text.count("{") > MAX_DEPTH and is_deeper(document, MAX_DEPTH):
        raise BadJson("the JSON is nested too deeply")
    return document


def is_deeper(document: Any, most: int) -> bool:
    """Whether lists and objects, or tables, are nested more than `most` levels deep."""
    level = [document]
    for _ in range(most):
        level = [
            item
            for value in level
            if isinstance(value, dict | list)
            for item in (value.values() if isinstance(value, dict) else value)
        ]
    return any(isinstance(value, dict | list) for value in level)
