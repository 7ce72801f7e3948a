"""A strict JSON decoder for responses, and the messages in error payloads.

Numbers keep their text, and ambiguous documents are rejected.
"""

import json
from collections.abc import Iterator
from typing import Any, Final, NoReturn, TypeAlias, final

from balcli.errors import AnswerTooLarge, BadJson
from balcli.secret import redact
from balcli.text import printable

MAX_VALUES: Final = 400_000
MAX_DEPTH: Final = 100
"""How deep lists and objects may be nested. Python's own limit depends on its version and the call stack. A document
just below it could still be too deep for the code that reads it."""

_LONGEST: Final = 120
_MOST: Final = 5
_DEEPEST: Final = 4
# In order of preference: error fields, then general text.
_FIELDS: Final = ("errors", "error", "message", "msg", "resultInfo", "detail", "error_description", "reason")
_CODES: Final = frozenset({"code", "statusCode", "status", "timestamp", "path"})
_WELL: Final = frozenset({"success", "ok"})


@final
class Number(str):
    """A JSON number, kept as the characters sent. It never becomes a float."""

    __slots__ = ()


Json: TypeAlias = "bool | str | Number | list[Json] | dict[str, Json] | None"


def _no_constant(name: str) -> NoReturn:
    raise BadJson(f"{name} is not valid JSON")


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
    """The JSON document of a body. Raises BadJson, or AnswerTooLarge for too many values; the message is a phrase."""
    if not body or body.isspace():
        raise BadJson("the body is empty")
    # Two bytes of a body can take 200 bytes of memory, so a limit on the size is not enough.
    if sum(map(body.count, (b",", b"[", b"{"))) > MAX_VALUES:
        raise AnswerTooLarge(f"the response has more than {MAX_VALUES:,} values")
    try:
        text = body.decode("utf-8")
        document: Json = _decoder.decode(text)
    except UnicodeDecodeError:
        raise BadJson("the body is not UTF-8") from None
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
    for _ in range(most + 1):
        nested = [value for value in level if isinstance(value, dict | list)]
        if not nested:
            return False
        level = []
        for value in nested:
            level += value.values() if isinstance(value, dict) else value
    return True


def message_text(value: Json) -> str:
    """A provider's message, safe to print: one line of at most 120 characters; "" for any other value."""
    if isinstance(value, list):
        return printable(
            "; ".join(message_text(item) for item in value[:_MOST] if isinstance(item, str)), _LONGEST
        )
    return printable(redact(value).strip(), _LONGEST) if isinstance(value, str) else ""


def error_text(payload: Json) -> str:
    """The messages in an error payload, as one line; "" if there are none."""
    if not isinstance(payload, dict):
        return ""
    found = dict.fromkeys(text for key in _FIELDS for text in _texts(payload.get(key), _DEEPEST))
    data = payload.get("data")
    if isinstance(data, dict):
        found |= dict.fromkeys(text for key in _FIELDS[:2] for text in _texts(data.get(key), _DEEPEST))
    messages = [text for text in found if text.casefold() not in _WELL]
    from http import HTTPStatus  # imported here, because completing a profile name never decodes an error

    # Phrases such as "Not Found" only repeat the status: they are dropped if there is other text.
    phrases = {status.phrase.casefold() for status in HTTPStatus}
    telling = [text for text in messages if text.casefold() not in phrases]
    return printable("; ".join(telling or messages), _LONGEST)


def _texts(value: Json, depth: int) -> Iterator[str]:
    """The texts in a value: those of its known fields, or of all fields, each after the field's name."""
    if isinstance(value, dict) and depth:
        known = [text for key in _FIELDS if key in value for text in _texts(value[key], depth - 1)]
        yield from known
        if not known:
            for key, item in [pair for pair in value.items() if pair[0] not in _CODES][:_MOST]:
                yield from (f"{message_text(key)}: {text}" for text in _texts(item, depth - 1))
    elif isinstance(value, list) and depth:
        for item in value[:_MOST]:
            yield from _texts(item, depth - 1)
    elif type(value) is str and message_text(value):  # a number is a text of another class
        yield message_text(value)
