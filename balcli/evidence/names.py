"""What stands for each secret in a record, and the answers with it in the secrets' places.

The same secret has the same name throughout a record, so that a request can be told from another,
and an account that is opened with the names asks what the account with the secrets asked.
"""

import html
import json
import os
import re
from collections.abc import Iterable
from typing import Final, NamedTuple
from urllib.parse import unquote

from balcli.errors import BalcliError
from balcli.http.exactjson import Json, Number, decode_text, mapped, text_of
from balcli.secret import Secret, flaw, forms, known, reveal

NAME: Final = re.compile(r"secret-[0-9]{4,}-[0-9a-f]{8}")
"""What a name looks like."""

# A shorter secret can be a word that an answer holds by chance; with a figure or a sign in it, it is none.
_SHORTEST_SURE: Final = 12
_SHORTEST_PIECE: Final = 6
_AMOUNT: Final = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")
# Keys and numbers of a login's answer that are too short and plain to be a credential.
_PLAIN_KEY: Final = re.compile(r"[A-Za-z_]{1,24}")
_LONGEST_NUMBER: Final = 6
# Endings that give a name each of the flaws which keep a text from being sent.
_FLAWED_ENDINGS: Final = ("", "\x01", "\u0100", " ", "\xad")


class Kept(NamedTuple):
    """An answer's body as a record keeps it: None where it is not kept; and whether it is other than it came."""

    body: bytes | None
    redacted: bool


class Names:
    """The names of the secrets in one record, given as they are needed. Nothing of a secret is in its name."""

    def __init__(self) -> None:
        self._mark = os.urandom(4).hex()
        self._names: dict[str, str] = {}
        self._numbers: dict[int, int] = {}
        self._needles: list[tuple[str, str]] = []
        self._known: frozenset[str] = frozenset()

    def of(self, secret: Secret) -> str:
        """The name of a secret; a bearer's token keeps its own behind the scheme."""
        return self.of_text(reveal(secret))

    def of_text(self, text: str) -> str:
        """The name of a text that is to be kept no more than a secret."""
        scheme, _, token = text.partition(" ")
        if scheme == "Bearer" and token:
            return f"{scheme} {self.of_text(token)}"
        return self._names.setdefault(text, f"secret-{len(self._names) + 1:04}-{self._mark}")

    def of_number(self, number: int) -> int:
        """What stands for a number that is to be kept no more than a secret."""
        return self._numbers.setdefault(number, len(self._numbers) + 1)

    def stands_for(self, text: str) -> str | None:
        """The name of a text, if it has one already."""
        return self._names.get(text)

    def hide(self, text: str, carried: Iterable[Secret] = ()) -> str:
        """The text with names in the places of the secrets, in whatever form these are written.

        Those `carried` by the request are looked for whatever they look like, the others if they are
        no mere word. Secrets of digits alone could be part of an amount, and stay.
        """
        needles = self._sure()
        more = {reveal(secret) for secret in carried} & self._known
        more = {secret for secret in more if not _is_sure(secret) and not secret.isdigit()}
        if more:
            needles = sorted([*needles, *self._forms_of(more)], key=_by_length)
        for form, name in needles:
            text = text.replace(form, name)
        return text

    def keep(self, body: bytes, carried: Iterable[Secret]) -> Kept:
        """What is kept of an answer's body: every byte, unless it holds a secret.

        What is no JSON, and could hold a secret in a spelling that is not looked for, is not kept.
        """
        try:
            text = text_of(body)
        except BalcliError:
            return Kept(None, redacted=True) if self._hinted(body) else Kept(body, redacted=False)
        carried = list(carried)
        plain = self.hide(text, carried)
        try:
            document = decode_text(plain)
        except BalcliError:
            if self._hinted(plain.encode()):
                return Kept(None, redacted=True)
            return Kept(plain.encode(), redacted=plain != text)
        digits = [secret for secret in self._known if secret.isdigit() and secret in plain]
        if "\\" in plain or digits:
            # Where there are escapes, a text can be spelt in ways without number: then each is looked at.
            hidden = mapped(document, lambda part: self._without_digits(self.hide(part, carried), digits))
            plain = plain if hidden == document else dumped(hidden)
        return Kept(plain.encode(), redacted=plain != text)

    def keep_shape(self, body: bytes) -> Kept:
        """What is kept of a login's answer: its shape, with a name for each text."""
        return Kept(dumped(self._shape(decode_text(text_of(body)))).encode(), redacted=True)

    def _shape(self, value: Json) -> Json:
        if isinstance(value, dict):
            return {
                key if _PLAIN_KEY.fullmatch(key) else self.of_text(key): self._shape(item)
                for key, item in value.items()
            }
        if isinstance(value, list):
            return [self._shape(item) for item in value]
        if isinstance(value, Number):
            return value if len(value) <= _LONGEST_NUMBER else Number("0")
        return self._like(value) if isinstance(value, str) and not value.isspace() else value

    def _like(self, text: str) -> str:
        """The name of a login's text, with the same flaw, if it has one that keeps it from being sent."""
        if not text:
            return text
        name = self.of_text(text)
        problem = flaw(text)
        return next((f"{name}{end}" for end in _FLAWED_ENDINGS if flaw(f"{name}{end}") == problem), name)

    def _without_digits(self, text: str, digits: Iterable[str]) -> str:
        """A text of a document without the secrets of digits alone, unless it is an amount."""
        if _AMOUNT.fullmatch(text):
            return text
        for secret in digits:
            text = text.replace(secret, self.of_text(secret))
        return text

    def _sure(self) -> list[tuple[str, str]]:
        """What is looked for in every text, the longest first, with the names; of all that is known by now."""
        if self._known != known():
            self._known = known()
            self._needles = self._forms_of(secret for secret in self._known if _is_sure(secret))
        return self._needles

    def _forms_of(self, secrets: Iterable[str]) -> list[tuple[str, str]]:
        pairs = [(form, self.of_text(secret)) for secret in secrets for form in _spellings(secret)]
        return sorted(pairs, key=_by_length)

    def _hinted(self, body: bytes) -> bool:
        """Whether a body that is no JSON holds as much as a piece of a secret, in one of the ways of the web."""
        self._sure()
        raw = body.replace(b"\0", b"")
        pages = {
            html.unescape(unquote(raw.decode(encoding, "replace"))).casefold()
            for encoding in ("utf-8", "latin-1")
        }
        pieces = {
            piece.casefold()
            for secret in self._known
            for form in _spellings(secret)
            for piece in _pieces(form)
        }
        return any(piece in page for page in pages for piece in pieces)


class GivenNames:
    """The names of a record that is told again: there the secrets are the names."""

    def of(self, secret: Secret) -> str:
        """The name that a secret is."""
        return reveal(secret)

    def stands_for(self, text: str) -> str | None:
        """The text, if it is a name."""
        return text if NAME.fullmatch(text) else None

    def hide(self, text: str) -> str:
        """The text: there is nothing in it to hide."""
        return text


def dumped(value: Json) -> str:
    """The document as JSON, numbers by their own characters."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(key)}:{dumped(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(dumped(item) for item in value) + "]"
    return str(value) if isinstance(value, Number) else json.dumps(value)


def _is_sure(secret: str) -> bool:
    """Whether a secret is none that a text could hold by chance."""
    if secret.isdigit():
        return False
    return len(secret) >= _SHORTEST_SURE or not secret.isalpha()


def _spellings(secret: str) -> set[str]:
    """The forms that are looked for in all texts, and that of a page."""
    return forms(secret) | {html.escape(secret)}


def _by_length(pair: tuple[str, str]) -> int:
    return -len(pair[0])


def _pieces(text: str) -> Iterable[str]:
    """The beginning, the middle and the end of a text; a short one as a whole."""
    length = max(_SHORTEST_PIECE, len(text) // 3)
    start = max(0, (len(text) - length) // 2)
    return text[:length], text[start : start + length], text[-length:]
