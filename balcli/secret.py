"""Secrets: values that no `repr`, format, log or pickle shows, and the filter that hides them in text."""

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final, NoReturn, final

_SHOWN: Final = "***"
# Below this length a value is no credential, and hiding it would garble innocent words.
_SHORTEST_HIDDEN: Final = 4
# From this length on a value is no word that the output could hold by chance.
_SHORTEST_SURE: Final = 12
# The characters of almost every form; and from how many forms on it pays to look a text through once for all.
_RUN: Final = "[A-Za-z0-9_.~+/=%-]"
_MANY: Final = 64
_known: set[str] = set()
# A list: another thread may add to it while one goes through it.
_known_digits: list[str] = []


@final
class Secret:
    """A credential. Only `reveal` gives its text; everything else shows `***`."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text
        if len(text) >= _SHORTEST_HIDDEN and text not in _known:
            if text.isdigit():
                _known_digits.append(text)
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
    """The secret's text, for the one header, body or signature that it is for."""
    return secret._text  # noqa: SLF001 - the one way to it


def flaw(text: str) -> str | None:
    """Why a text cannot be sent as a credential, in words without the text; None if it can."""
    if text.isascii() and text.isprintable() and text.strip() == text != "":
        return None  # as nearly all are
    flaws = (
        (not text, "is empty"),
        (text.isspace(), "is blank"),
        (
            any(ord(c) < 0x20 or 0x7F <= ord(c) < 0xA0 for c in text),
            "holds a control character, such as a line break",
        ),
        (
            any(ord(c) > 0xFF for c in text),
            "holds a character that no HTTP header can carry (outside Latin-1)",
        ),
        (text != text.strip(), "begins or ends with a blank"),
        (not text.isprintable(), "holds an invisible character"),
    )
    return next((words for there, words in flaws if there), None)


def forms(text: str) -> set[str]:
    """The text as it stands, and as JSON, URLs, base64 and hexadecimal digits write it."""
    from base64 import b64encode, urlsafe_b64encode  # here: a start that meets no secret does without

    raw = text.encode("utf-8", "surrogatepass")
    packed = {b64encode(raw).decode(), urlsafe_b64encode(raw).decode()}
    # JSON and URLs leave unreserved characters (RFC 3986, 2.3) as they are.
    written = {text} if re.fullmatch("[A-Za-z0-9_.~-]+", text) else _escaped(text, raw)
    return {*written, *packed, *(form.rstrip("=") for form in packed), raw.hex(), raw.hex().upper()}


def _escaped(text: str, raw: bytes) -> set[str]:
    """The text as it stands, and as JSON and URLs write it where they escape something."""
    import json
    from urllib.parse import quote, quote_plus

    quoted = {quote(raw), quote(raw, safe=""), quote_plus(raw)}
    return {
        text,
        json.dumps(text)[1:-1],
        json.dumps(text, ensure_ascii=False)[1:-1],
        *quoted,
        *(re.sub("%[0-9A-F]{2}", lambda match: match[0].lower(), form) for form in quoted),
    }


def hide_in_name(text: str) -> str:
    """A name from an answer with credentials of digits alone hidden; the others were hidden before it was read."""
    for digits in _known_digits:
        text = text.replace(digits, _SHOWN)
    return text


def hide(text: str, among: Iterable[Secret] | None = None) -> str:
    """The text with secrets, as they stand or JSON-, URL-, base64- or hex-encoded, replaced by `***`.

    All that this process knows, or only those named.
    """
    return _hidden(text, _known if among is None else {reveal(secret) for secret in among} & _known)


def hide_in_data(text: str) -> str:
    """The output with every known secret hidden that could not be anything else: long, and not of digits alone.

    The last of the filters. What a provider echoes is hidden before it is read; this stands behind it.
    """
    sure = {secret for secret in _known.difference(_known_digits) if len(secret) >= _SHORTEST_SURE}
    return _hidden(text, sure)


def known() -> frozenset[str]:
    """Every secret of this process that is long enough to be looked for, as it stands."""
    return frozenset(_known)


def _hidden(text: str, secrets: Iterable[str]) -> str:
    for needle in _needles(frozenset(secrets)).standing_in(text):
        text = text.replace(needle, _SHOWN)
    return text


class _Needles:
    """Every form of some secrets, so kept that a text is looked through once, however many there are."""

    def __init__(self, secrets: frozenset[str]) -> None:
        self._forms = {form for secret in secrets for form in _forms(secret)}
        self._head = min(map(len, self._forms), default=1)
        self._by_head: dict[str, list[str]] = {}
        if len(self._forms) > _MANY:
            for form in self._forms:
                if re.fullmatch(f"{_RUN}+", form):
                    self._by_head.setdefault(form[: self._head], []).append(form)
            self._forms.difference_update(*self._by_head.values())

    def standing_in(self, text: str) -> list[str]:
        """The forms that stand in the text, the longest first: one that contains another leaves nothing of itself."""
        found = [form for form in self._forms if form in text]
        if self._by_head:
            # Where one of these stands in a text, it is in a run of such characters, with its first few.
            size, heads = self._head, set()
            for run in set(re.findall(f"{_RUN}{{{size},}}", text)):
                heads |= {run[at : at + size] for at in range(len(run) - size + 1)}
            found += [
                form for head in heads & self._by_head.keys() for form in self._by_head[head] if form in text
            ]
        return sorted(found, key=len, reverse=True)


@lru_cache(maxsize=8)
def _needles(secrets: frozenset[str]) -> _Needles:
    return _Needles(secrets)


@lru_cache(maxsize=1024)
def _forms(secret: str) -> frozenset[str]:
    return frozenset(forms(secret))
