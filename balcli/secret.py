"""Secrets, which no `repr`, format, log or pickle reveals, and the search for them in text."""

import re
import threading
from binascii import b2a_base64
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from itertools import chain
from typing import Final, NoReturn, final

_SHOWN: Final = "***"
# Credentials of at least this length are redacted from messages. Those below the second length look like data.
_SHORTEST_FILTERED: Final = 6
MIN_RECOGNIZABLE: Final = 12
"""The minimum length, not only digits, at which a credential can be distinguished from data."""
# Up to this many prefixes, searching for each is faster than looking up every part of the text.
_FEW: Final = 64


@final
class Secret:
    """A value that is shown as `***`. Only `reveal` returns its text.

    Credentials are also redacted from messages. Some values of a login are not credentials.
    """

    __slots__ = ("_text", "origin")

    def __init__(
        self, text: str, *, is_credential: bool = True, origin: Callable[[], str] | None = None
    ) -> None:
        self._text = text
        self.origin = origin
        """Returns the setting and its source: `token, from .env:3 TOKEN`."""
        if is_credential and len(text) >= _SHORTEST_FILTERED:
            _known.add(text)

    def __repr__(self) -> str:
        return f"Secret({_SHOWN!r})"

    def __str__(self) -> str:
        return _SHOWN

    def __format__(self, spec: str) -> str:
        return format(_SHOWN, spec)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._text == other._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not pickled")


def reveal(secret: Secret) -> str:
    """The text of a secret, for a header, body or signature."""
    return secret._text  # noqa: SLF001 - the only access


def validate_credential(text: str) -> str | None:
    """Why a text cannot be sent as a credential, without the text; None if it can."""
    if text.isascii() and text.isprintable() and text.strip() == text != "":
        return None  # the usual case
    flaws = (
        (not text, "is empty"),
        (text.isspace(), "contains only whitespace"),
        (
            any(ord(c) < 0x20 or 0x7F <= ord(c) < 0xA0 for c in text),
            "contains a control character, such as a line break",
        ),
        (
            any(ord(c) > 0xFF for c in text),
            "contains a character that is not allowed in HTTP headers (outside Latin-1)",
        ),
        (text != text.strip(), "starts or ends with whitespace"),
        (not text.isprintable(), "contains an invisible character"),
    )
    return next((words for there, words in flaws if there), None)


def secrets_in(value: object) -> Iterator[Secret]:
    """The secrets in a value, at any depth."""
    if isinstance(value, Secret):
        yield value
    elif isinstance(value, Mapping):
        yield from secrets_in([*value.values()])
    elif isinstance(value, list | tuple):
        yield from chain.from_iterable(map(secrets_in, value))


def placeholder_problem(secret: Secret, *, is_key: bool) -> str | None:
    """Why a value is a placeholder, not a real credential, without the value; None if it is not.

    `is_key` is True for keys and tokens. Users choose passwords, so only template syntax counts in these.
    """
    text = reveal(secret)
    words = text.lower()
    if text[:1] not in "$%<{" and len(set(words)) > 1 and not _TEMPLATE_WORDS.search(words):
        return None  # the usual case
    if is_key and re.match(r"bearer\s", text, re.IGNORECASE):
        return 'starts with "Bearer", which balcli adds itself'
    # A variable name is all upper case or all lower case. A random key that starts with a dollar sign mixes both.
    name = "(?:[A-Z_][A-Z0-9_]*|[a-z_]+)" if is_key else "[A-Z_][A-Z0-9_]+"
    if re.fullmatch(rf"\$\{{?{name}\}}?|%{name}%|\$\{{.*\}}", text):
        return "is the name of a variable, not its value (in a profile, use ${NAME})"
    shapes = r"<[a-z][a-z0-9 _.'/-]*>|\{\{.*\}\}"
    if re.fullmatch(f"{shapes}|{_WORDS}" if is_key else shapes, text, re.IGNORECASE):
        return "is a placeholder"
    return None


_TEMPLATE_WORDS: Final = re.compile("bearer|your|change|replace")
# Keys and tokens are random, so they never read like a template's instructions.
_WORDS: Final = (
    r"(?:(?:insert|enter|put|paste|add)[-_ ])?your[-_ ]?(?:[a-z0-9]+[-_ ]){0,3}?(?:api[-_ ]?)?"
    r"(?:key|token|secret|jwt|credentials?)(?:[-_ ]here)?|change[-_ ]?me|replace[-_ ]?me|([x*.])\1{2,}"
)


def encodings(text: str) -> Collection[str]:
    """The text, and its JSON, URL, base64 and hexadecimal encodings."""
    raw = text.encode("utf-8", "surrogatepass")
    # JSON and URLs do not encode unreserved characters (RFC 3986, 2.3).
    if text.isascii() and (text.isalnum() or re.fullmatch("[A-Za-z0-9_.~-]+", text)):
        return (text, *_packed(raw))
    return _escaped(text, raw).union(_packed(raw), () if text.isascii() else _other_bytes(text))


def _packed(raw: bytes) -> tuple[str, ...]:
    """Bytes in base64 without padding (a prefix of the padded form), and in hexadecimal digits."""
    encoded, digits = b2a_base64(raw, newline=False).decode().rstrip("="), raw.hex()
    return encoded, encoded.replace("+", "-").replace("/", "_"), digits, digits.upper()


def _other_bytes(text: str) -> set[str]:
    """The encodings of a non-ASCII text as Latin-1 bytes, as in headers, and as UTF-8 misread as Latin-1."""
    misread = {text.encode("utf-8", "surrogatepass").decode("latin-1")}
    try:
        raw = text.encode("latin-1")
    except UnicodeEncodeError:
        return misread
    return misread.union(_packed(raw), _quoted(raw))


def _escaped(text: str, raw: bytes) -> set[str]:
    """The text, and its JSON and URL encodings if they differ."""
    import json

    forms = {json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]}
    for form in tuple(forms):
        # By default, PHP also escapes slashes, and Go the special characters of HTML.
        php = form.replace("/", "\\/")
        go = re.sub("[&<>]", lambda match: f"\\u{ord(match[0]):04x}", form)
        forms |= {php, go}
    for form in tuple(forms):
        forms.add(re.sub(r"\\u[0-9a-f]{4}", lambda match: rf"\u{match[0][2:].upper()}", form))
    return forms.union((text,), _quoted(raw))


def _quoted(raw: bytes) -> set[str]:
    """The percent-encodings of bytes. Python's and JavaScript's functions have different safe characters."""
    from urllib.parse import quote, quote_plus

    forms = {quote_plus(raw)}
    for safe in ("/", "", "!'()*", "!'()*;,/?:@&=+$#"):
        forms.add(quote(raw, safe=safe))
    for form in tuple(forms):
        forms.add(re.sub("%[0-9A-F]{2}", lambda match: match[0].lower(), form))
    return forms


def is_recognizable(secret: Secret) -> bool:
    """Whether a credential can be distinguished from data: it has at least 12 characters and is not all digits."""
    text = reveal(secret)
    return len(text) >= MIN_RECOGNIZABLE and not text.isdigit()


def redact(text: str) -> str:
    """The message, with every credential of 6 characters or more, in any encoding, replaced by `***`."""
    if len(_known) != len(_filter.texts):
        for new in _known - _filter.texts:
            _filter.add(new)
    for form in _filter.find_in(text):
        text = text.replace(form, _SHOWN)
    return text


class CredentialMatcher:
    """Searches texts for credentials in every encoding. Fast for any number of credentials.

    All have at least `shortest` characters.
    """

    def __init__(self, shortest: int, texts: Iterable[str] = ()) -> None:
        self._shortest = shortest
        self.texts: set[str] = set()
        self._by_start: dict[str, list[str]] = {}
        self._lock = threading.Lock()
        for text in texts:
            self.add(text)

    def add(self, text: str) -> None:
        """Search for this credential too."""
        with self._lock:
            if text not in self.texts:
                for form in encodings(text):
                    self._by_start.setdefault(form[: self._shortest], []).append(form)
                # Added last: a thread that finds it in `texts`, or counts them, must already be able to search for it.
                self.texts.add(text)

    def find_in(self, text: str) -> list[str]:
        """The encoded credentials in the text, longest first, because one can contain another.

        Only those with a prefix in the text are compared.
        """
        size, starts = self._shortest, self._by_start
        if len(starts) <= _FEW:
            begun: Iterable[str] = [*starts]  # a copy, because another thread may add to it
        else:
            pieces = (text[at : at + size] for at in range(len(text) - size + 1))
            begun = {piece for piece in pieces if piece in starts}
        found: set[str] = set()
        for start in begun:
            if start in text:
                found.update([form for form in starts[start] if form in text])
        return sorted(found, key=len, reverse=True)

    @property
    def are_few(self) -> bool:
        """Whether there are few enough credentials to search text of any length quickly."""
        return len(self._by_start) <= _FEW

    def encodings(self) -> list[str]:
        """All encoded credentials that are searched for."""
        return list(chain.from_iterable([*self._by_start.values()]))


_known: set[str] = set()
"""Every credential of this process."""
# Encoded only for the first message. With many logins, encoding all for each message takes seconds.
_filter = CredentialMatcher(_SHORTEST_FILTERED)
