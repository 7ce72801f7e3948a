"""Which of an account's settings are credentials, and which of these are too short to be told from data."""

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, Final
from urllib.parse import urlsplit

from balcli.config.profile import Entry
from balcli.config.variables import Variables, as_written, names_in
from balcli.errors import ValueProblem
from balcli.http.echoes import holds_credential
from balcli.models import Notice
from balcli.providers.base import Value
from balcli.secret import SHORTEST_TOLD, Secret, can_be_told
from balcli.text import printable
from balcli.urls import BaseUrl

_WORD: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z0-9]+|[0-9]+[A-Za-z]*")
_CREDENTIALS: Final = frozenset({"password", "passwd", "passphrase", "pin", "secret", "token", "otp", "key"})
_BESIDE_CODE: Final = frozenset({"otp", "auth", "2fa", "mfa"})


@lru_cache(maxsize=256)  # many accounts have logins of the same keys
def names_credential(key: str) -> bool:
    """Whether the value of a login's key is a credential, by the key's words: split at `_`, `-` and case changes."""
    words = {word.lower().rstrip("0123456789") for word in _WORD.findall(key)}
    words |= {word.lower() for word in _WORD.findall(key)}
    if words & _CREDENTIALS:
        return True
    return "code" in words and (len(_WORD.findall(key)) == 1 or bool(words & _BESIDE_CODE))


def credentials_of(values: Mapping[str, Value]) -> Iterator[tuple[str, Secret]]:
    """The credentials of an account, each with its key; those of a login with all the keys that lead to them."""
    for name, value in values.items():
        if isinstance(value, Secret):
            yield name, value
        elif isinstance(value, dict):
            yield from _in_login(value, name, is_credential=False)


def _in_login(value: Any, place: str, *, is_credential: bool) -> Iterator[tuple[str, Secret]]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            named = is_credential or names_credential(key)
            yield from _in_login(item, f"{place}.{printable(key, 40)}", is_credential=named)
    elif isinstance(value, list):
        for item in value:
            yield from _in_login(item, place, is_credential=is_credential)
    elif is_credential and isinstance(value, Secret):
        yield place, value
    elif is_credential and isinstance(value, int) and not isinstance(value, bool):
        yield place, Secret(str(value))


def short_credentials(entry: Entry, values: Mapping[str, Value]) -> Iterator[Notice]:
    """A notice for each credential of an account that cannot be told from data."""
    for key, secret in credentials_of(values):
        if not can_be_told(secret):
            yield Notice(
                "secret.short",
                entry.name,
                f"{entry.at(key)}: shorter than {SHORTEST_TOLD} characters or only digits, so balcli does not recognize "
                "it in a response; use a longer one if the provider offers it",
            )


def refuse_credential_as_name(entry: Entry) -> None:
    """Raise ValueProblem for an account whose name, which is shown, contains a credential of 12 characters."""
    if holds_credential(entry.name):
        raise ValueProblem(f"{entry.at('name')}: contains a credential; use another name")


def shown_name(entry: Entry) -> str:
    """The account's name, or its place in the profile where the name contains a credential."""
    return f"({entry.table.rpartition('.')[2]})" if holds_credential(entry.name) else entry.name


def marked_url(base_url: str, raw: str, variables: Variables) -> tuple[str, list[Secret]]:
    """The base URL, shown as written in the profile where variables fill it in, and what they fill in.

    Of a variable that holds the scheme and host, what follows these counts.
    """
    names = names_in(raw)
    if not names:  # an escaped one
        return base_url, []
    filled: set[str] = set()
    for name in names:
        text = variables.expand(f"${{{name}}}", "base_url")
        text = urlsplit(text).path if "://" in text else text
        filled |= {text.strip("/"), *text.split("/")}
    filled |= {text.lower() for text in filled}
    # A host name is not a credential, but one of its labels can be.
    host = urlsplit(base_url).netloc
    filled = {text for text in filled if "." not in text or text.lower() not in host}
    parts = [Secret(text, is_credential=False) for text in filled]
    parts = [Secret(text) for text, part in zip(filled, parts, strict=True) if can_be_told(part)]
    return BaseUrl(base_url, as_written(raw).rstrip("/")), parts
