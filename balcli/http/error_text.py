"""The message of a provider's error, wherever in the payload it is."""

from collections.abc import Iterator
from http import HTTPStatus
from typing import Final

from balcli.http.strictjson import Json
from balcli.secret import redact
from balcli.text import printable

_LONGEST: Final = 120
_MOST: Final = 5
_DEEPEST: Final = 4
# In order of preference: the fields of an error first, the text beside them after.
_FIELDS: Final = ("errors", "error", "message", "msg", "resultInfo", "detail", "error_description", "reason")
_CODES: Final = frozenset({"code", "statusCode", "status", "timestamp", "path"})
_WELL: Final = frozenset({"success", "ok"})
# They repeat the status, and are left out where there is another text.
_PHRASES: Final = frozenset(status.phrase.casefold() for status in HTTPStatus)


def message_text(value: Json) -> str:
    """A provider's own message, safe to show: one line of at most 120 characters; "" for any other value."""
    if isinstance(value, list):
        return printable(
            "; ".join(message_text(item) for item in value[:_MOST] if isinstance(item, str)), _LONGEST
        )
    return printable(redact(value).strip(), _LONGEST) if isinstance(value, str) else ""


def error_text(payload: Json) -> str:
    """The messages in the payload of an error, as one line; "" if there are none."""
    if not isinstance(payload, dict):
        return ""
    found = dict.fromkeys(text for key in _FIELDS for text in _texts(payload.get(key), _DEEPEST))
    data = payload.get("data")
    if isinstance(data, dict):
        found |= dict.fromkeys(text for key in _FIELDS[:2] for text in _texts(data.get(key), _DEEPEST))
    messages = [text for text in found if text.casefold() not in _WELL]
    telling = [text for text in messages if text.casefold() not in _PHRASES]
    return printable("; ".join(telling or messages), _LONGEST)


def _texts(value: Json, depth: int) -> Iterator[str]:
    """The texts in a value: those of its known fields, or else of each field, after the field's name."""
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
