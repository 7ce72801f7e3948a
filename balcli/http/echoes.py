"""Find responses that repeat a credential, before anything is shown.

Data is never rewritten: a response is shown as sent, or not at all.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from contextvars import ContextVar
from functools import lru_cache
from typing import Final, NamedTuple, final
from urllib.parse import unquote, urlsplit

from balcli.errors import BalcliError
from balcli.http.strictjson import Json, decode
from balcli.secret import MIN_RECOGNIZABLE, CredentialMatcher, Secret, is_recognizable, reveal, secrets_in
from balcli.urls import normalize_url

_SHORTEST_PIECE: Final = 6
_LARGE: Final = 65_536
_LONG_PIECE: Final = f'[^"]{{{MIN_RECOGNIZABLE},}}'
_MOST_CLEAN: Final = 10_000
_LONGEST_CLEAN: Final = 100


@final
class EchoedText(str):
    """A string of a response that repeats a credential. It must not be shown, stored or cached."""

    __slots__ = ("echo",)
    echo: "CredentialEcho"


class CredentialEcho:
    """A good response that repeats a credential in `texts`, or `elsewhere` in its headers or bytes."""

    def __init__(self, login_secrets: Iterable[str]) -> None:
        self.texts: set[str] = set()
        self.elsewhere = False
        self.login_secrets = CredentialMatcher(MIN_RECOGNIZABLE, login_secrets)
        """The secrets in a login request: none of them can be the token that it returns."""


class _Credentials(CredentialMatcher):
    """Credentials to search responses for. A text without any is remembered and not searched again."""

    def __init__(self) -> None:
        super().__init__(MIN_RECOGNIZABLE)
        self._clean: tuple[int, set[str]] = (0, set())

    def matches_any(self, texts: Iterable[str]) -> bool:
        """Whether one of the texts contains a credential."""
        number, clean = self._clean
        if number != len(self.texts) or len(clean) > _MOST_CLEAN:
            self._clean = number, clean = (len(self.texts), set())
        for text in {*texts} - clean:
            if len(text) >= MIN_RECOGNIZABLE and self.find_in(text):
                return True
            if len(text) <= _LONGEST_CLEAN:
                clean.add(text)
        return False

    def matches_response(self, values: list[str], text: str, document: Json) -> bool:
        """Whether a header's value, a body or a text of its document contains a credential."""
        # Without escapes, each text of a JSON document is in the body between two quotes.
        escaped = "\\" in text
        if len(text) <= _LARGE:
            pieces = text.split('"')
            pieces += values
            if escaped:
                pieces += _texts(document)
            return self.matches_any(pieces)
        if self.matches_any(values):
            return True
        # In a large body most texts are long and distinct, so remembering them does not help.
        whole = (text,) if self.are_few else (found[0] for found in re.finditer(_LONG_PIECE, text))
        return any(map(self.find_in, whole)) or (escaped and any(map(self.find_in, _texts(document))))

    def pieces(self) -> set[str]:
        """The beginnings, middles and ends of all encodings, in lowercase."""
        found = set()
        for form in self.encodings():
            length = max(_SHORTEST_PIECE, len(form) // 3)
            middle = (len(form) - length) // 2
            found |= {
                part.casefold() for part in (form[:length], form[middle : middle + length], form[-length:])
            }
        return found


class _Host(NamedTuple):
    """The credentials for one host: those of its accounts, and the tokens that logins returned."""

    own: _Credentials
    issued: _Credentials
    digits: set[str]
    """Credentials of 12 digits or more. Only account names are searched for them."""


_hosts: dict[str, _Host] = {}
_noted: ContextVar[list[CredentialEcho] | None] = ContextVar("_noted", default=None)


@lru_cache(maxsize=64)  # a run has few hosts
def host_key(base_url: str) -> str:
    """The normalized host and port of a base URL."""
    return urlsplit(normalize_url(base_url)).netloc


def _host(base_url: str) -> _Host:
    key = host_key(base_url)
    return _hosts.get(key) or _hosts.setdefault(key, _Host(_Credentials(), _Credentials(), set()))


def register_credentials(base_url: str, credentials: Iterable[Secret]) -> None:
    """Search a host's responses for an account's credentials, if they can be distinguished from data."""
    host = _host(base_url)
    for text in map(reveal, credentials):
        if len(text) >= MIN_RECOGNIZABLE:
            (host.digits if text.isdigit() else host.own).add(text)


def register_token(base_url: str, secret: Secret) -> None:
    """Search a host's responses for a credential that a request sends, such as a token from a login."""
    host, text = _host(base_url), reveal(secret).removeprefix("Bearer ")
    if text not in host.own.texts and is_recognizable(Secret(text)):
        host.issued.add(text)


def contains_any_credential(text: str) -> bool:
    """Whether a text contains a credential, of 12 characters or more, of any account."""
    return len(text) >= MIN_RECOGNIZABLE and any(
        host.own.find_in(text) or any(digits in text for digits in host.digits) for host in [*_hosts.values()]
    )


def contains_credential(
    base_url: str, headers: Mapping[str, str], body: bytes, document: Json = None, *, login: bool = False
) -> bool:
    """Whether a host's response repeats a credential in a header, its body or the decoded body (`document`).

    In the response of a `login`, issued tokens are ignored.
    """
    host = _host(base_url)
    text, values = body.decode("utf-8", "replace"), [value for _, value in headers.items()]
    searched = (host.own,) if login else (host.own, host.issued)
    for credentials in searched:
        if credentials.texts and credentials.matches_response(values, text, document):
            return True
    return False


def mark_echoes(
    base_url: str, headers: Mapping[str, str], body: bytes, document: Json, login: object
) -> Json:
    """The document of a good response, with each text that repeats a credential as an `EchoedText`.

    `login` has the headers and body of the request, if it was a login; else None.
    """
    is_login = login is not None
    if not contains_credential(base_url, headers, body, document, login=is_login):
        return document
    host = _host(base_url)
    echo = CredentialEcho(host.own.texts.intersection(map(reveal, secrets_in(login))))
    marked = _marked(document, (host.own,) if is_login else (host.own, host.issued), echo)
    echo.elsewhere = not echo.texts or contains_credential(base_url, headers, b"", login=is_login)
    noted = _noted.get()
    if noted is not None:
        noted.append(echo)
    return marked


def contains_issued_token(base_url: str, texts: Iterable[str]) -> bool:
    """Whether a text contains a token that a login at that host returned, maybe after the text was parsed."""
    return _host(base_url).issued.matches_any(texts)


def tokens_were_issued() -> bool:
    """Whether any login returned a token that was used."""
    return any(host.issued.texts for host in [*_hosts.values()])


def may_contain_credential(base_url: str, body: bytes) -> bool:
    """Whether a body may repeat a credential. A body that is not JSON may contain only a part of it, or markup."""
    try:
        return contains_credential(base_url, {}, body, decode(body))
    except BalcliError:
        import html  # imported here, because few runs receive a web page

        host = _host(base_url)
        found = host.own.pieces() | host.issued.pieces()
        raw = body.replace(b"\0", b"")  # UTF-16 and UTF-32 have null bytes between ASCII characters
        pages = [
            html.unescape(unquote(raw.decode(name, "replace"))).casefold() for name in ("utf-8", "latin-1")
        ]
        return any(piece in page for piece in found for page in pages)


def is_free_of_credentials(base_url: str, document: Json) -> bool:
    """Whether a document, such as a cached one, contains no credential of that host."""
    host = _host(base_url)
    texts = [*_texts(document)]
    return not (host.own.matches_any(texts) or host.issued.matches_any(texts))


def record_echoes() -> list[CredentialEcho]:
    """A list that gets each good response that repeats a credential, in this thread until the next call."""
    noted: list[CredentialEcho] = []
    _noted.set(noted)
    return noted


def _marked(document: Json, searched: Iterable[_Credentials], echo: CredentialEcho) -> Json:
    if isinstance(document, dict):
        return {
            _marked_text(key, searched, echo): _marked(item, searched, echo) for key, item in document.items()
        }
    if isinstance(document, list):
        return [_marked(item, searched, echo) for item in document]
    return _marked_text(document, searched, echo) if isinstance(document, str) else document


def _marked_text(text: str, searched: Iterable[_Credentials], echo: CredentialEcho) -> str:
    if not any(each.matches_any((text,)) for each in searched):
        return text
    echoed = EchoedText(text)
    echoed.echo = echo
    echo.texts.add(text)
    return echoed


def _texts(document: Json) -> Iterator[str]:
    """Every string, key and number of a document."""
    if isinstance(document, dict):
        yield from document
        for item in document.values():
            yield from _texts(item)
    elif isinstance(document, list):
        for item in document:
            yield from _texts(item)
    elif isinstance(document, str):
        yield document
