"""The words with which a provider says what went wrong, wherever in the payload it puts them."""

from collections.abc import Iterator
from http import HTTPStatus
from typing import Final

from balcli.http.exactjson import Json
from balcli.secret import hide
from balcli.text import printable

_LONGEST: Final = 120
_MOST: Final = 5
_DEEPEST: Final = 4
# In the order in which they are looked for: the fields of an error first, the text beside them after.
_FIELDS: Final = ("errors", "error", "message", "msg", "resultInfo", "detail", "error_description", "reason")
_CODES: Final = frozenset({"code", "statusCode", "status", "timestamp", "path"})
_WELL: Final = frozenset({"success", "ok"})
# The status once more, which says nothing where there are other words.
_PHRASES: Final = frozenset(status.phrase.casefold() for status in HTTPStatus)


def message_text(value: Json) -> str:
    """A provider's own message made safe to show in ours: one line, at most 120 characters; "" if it is none."""
    if isinstance(value, list):
        return printable(
            "; ".join(message_text(item) for item in value[:_MOST] if isinstance(item, str)), _LONGEST
        )
    return printable(hide(value).strip(), _LONGEST) if isinstance(value, str) else ""


def error_text(payload: Json) -> str:
    """What the payload of an error says, as `message_text` gives it; "" if it says nothing."""
    if not isinstance(payload, dict):
        return ""
    found = dict.fromkeys(text for key in _FIELDS for text in _texts(payload.get(key), _DEEPEST))
    data = payload.get("data")
    if isinstance(data, dict):
        found |= dict.fromkeys(text for key in _FIELDS[:2] for text in _texts(data.get(key), _DEEPEST))
    told = [text for text in found if text.casefold() not in _WELL]
    telling = [text for text in told if text.casefold() not in _PHRASES]
    return printable("; ".join(telling or told), _LONGEST)


def _texts(value: Json, depth: int) -> Iterator[str]:
    """The texts in a value: those of its known fields, else of each field with the field's name before it."""
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
