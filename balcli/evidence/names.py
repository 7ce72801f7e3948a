"""The placeholder names of the secrets in a record, and its accounts and requests with these names.

A secret has the same name everywhere in a record. So requests can be distinguished, and an account opened
with the names sends the same requests as the account with the secrets.
"""

import json
import os
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from balcli.http.client import Request
from balcli.http.strictjson import Json, Number, decode
from balcli.models import Account
from balcli.providers.base import Value
from balcli.secret import Secret, reveal
from balcli.urls import display_url

NAME: Final = re.compile(r"secret-[0-9]{4,}-[0-9a-f]{8}")
"""The pattern of a name."""

# Keys and numbers in a login's response that are too short or simple to be a credential.
_PLAIN_KEY: Final = re.compile(r"[A-Za-z_]{1,24}")
_LONGEST_NUMBER: Final = 6

_BESIDE: Final = ("name", "base_url", "ca_bundle")


class Names:
    """The names of the secrets in one record, made when they are needed. A name reveals nothing about its secret.

    In a replay, the secrets are the `given` names, which are their own names.
    """

    def __init__(self, given: Iterable[str] = ()) -> None:
        self._mark = os.urandom(4).hex()
        self._names = {name: name for name in given}
        self._numbers: dict[int, int] = {}

    def of(self, secret: Secret) -> str:
        """The name of a secret. A bearer token keeps its scheme before the name."""
        return self.of_text(reveal(secret))

    def of_text(self, text: str) -> str:
        """The name of a text that must not be recorded, like a secret."""
        scheme, _, token = text.partition(" ")
        if scheme == "Bearer" and token:
            return f"{scheme} {self.of_text(token)}"
        return self._names.setdefault(text, f"secret-{len(self._names) + 1:04}-{self._mark}")

    def of_number(self, number: int) -> int:
        """The replacement of a number that must not be recorded, like a secret."""
        return self._numbers.setdefault(number, len(self._numbers) + 1)

    def stands_for(self, text: str) -> str | None:
        """The name of a text; None if it has none yet."""
        return self._names.get(text)

    def shape(self, body: bytes) -> bytes:
        """The recorded form of a login's response: its structure, with a name for each text."""
        return json.dumps(self._shape(decode(body))).encode()

    def _shape(self, value: Json) -> object:
        if isinstance(value, dict):
            return {
                key if _PLAIN_KEY.fullmatch(key) else self.of_text(key): self._shape(item)
                for key, item in value.items()
            }
        if isinstance(value, list):
            return [self._shape(item) for item in value]
        if isinstance(value, Number):
            return int(value) if value.isdigit() and len(value) <= _LONGEST_NUMBER else 0
        return self.of_text(value) if isinstance(value, str) and value.strip() else value


def account_entry(account: Account[Any], values: Mapping[str, Value], names: Names) -> dict[str, Any]:
    """The account as a plain object. A replay makes an account from it that sends the same requests."""
    settings = {key: _written(value, names) for key, value in values.items() if key not in _BESIDE}
    place = display_url(account.base_url)
    return {"account": account.name, "provider": account.provider, "base_url": place, "settings": settings}


def _written(value: Any, names: Names, *, hidden: bool = False) -> Any:
    """A setting as plain objects. In a login's table, all texts and numbers are replaced by names, too."""
    if isinstance(value, Secret):
        return {"secret": names.of(value)}
    if isinstance(value, Mapping):
        return {"table": {key: _written(item, names, hidden=True) for key, item in value.items()}}
    if isinstance(value, list | tuple):
        return [_written(item, names, hidden=hidden) for item in value]
    if isinstance(value, str) and hidden:
        return names.of_text(value)
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return names.of_number(value) if is_number and hidden else value


def written_request(request: Request, names: Names) -> dict[str, Any]:
    """The request as a plain object. A value that may be a secret is null."""
    loggable = request.endpoint.loggable_params
    return {
        "method": request.endpoint.method,
        "url": f"{display_url(request.base_url)}{request.endpoint.path}",
        "query": [[name, _loggable(value, names, known=name in loggable)] for name, value in request.query],
        "headers": {
            name: _loggable(value, names, known=name in loggable) for name, value in request.headers.items()
        },
        "body": None
        if request.body is None
        else {key: _loggable(value, names, known=key in loggable) for key, value in request.body.items()},
    }


def _loggable(value: object, names: Names, *, known: bool) -> Any:
    """A value of a request: its name if it has one, itself if it is known not to be a secret, or else null."""
    if isinstance(value, Secret):
        return names.of(value)
    if isinstance(value, Mapping):
        return {name: _loggable(item, names, known=known) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_loggable(item, names, known=known) for item in value]
    if not isinstance(value, str):
        return value if known else None
    return names.stands_for(value) or (value if known else None)
