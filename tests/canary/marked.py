"""Fake secrets that are recognizable anywhere, and the search for all their forms."""

import base64
import json
import secrets
from collections.abc import Iterable, Iterator
from typing import NamedTuple
from urllib.parse import quote, quote_plus

from balcli.sandbox.exchange import SandboxRequest


class Marked(NamedTuple):
    """A fake secret of one account, and the parts of a request to its host where it belongs."""

    provider: str
    key: str
    text: str
    places: frozenset[str]

    @property
    def name(self) -> str:
        """Its name in findings, which never show its text."""
        return f"{self.provider} {self.key}"


def mark() -> str:
    """A new fake secret, with characters that JSON, URLs and shells encode."""
    return f"cnry-{secrets.token_hex(10)}\"+é/\\%'-{secrets.token_hex(10)}"


def mark_for_url() -> str:
    """A new fake secret that can be part of a URL's path."""
    return f"cnry-{secrets.token_hex(16)}"


def forms(text: str) -> dict[str, bytes]:
    """The text's forms in an output, by the name of the encoding, including parts of it."""
    raw = text.encode()
    plain, url_safe = base64.b64encode(raw), base64.urlsafe_b64encode(raw)
    found = {
        "raw": raw,
        "latin-1": text.encode("latin-1", "replace"),
        "json": json.dumps(text)[1:-1].encode(),
        "json in utf-8": json.dumps(text, ensure_ascii=False)[1:-1].encode(),
        "url": quote(text, safe="").encode(),
        "url path": quote(text).encode(),
        "url form": quote_plus(text).encode(),
        "base64": plain,
        "base64url": url_safe,
        "base64 without padding": plain.rstrip(b"="),
        "base64url without padding": url_safe.rstrip(b"="),
        "hex": raw.hex().encode(),
        "hex in capitals": raw.hex().upper().encode(),
    }
    # Encodings keep letters and digits, so halves find a secret that was cut or quoted.
    return found | {"its first part": raw[: len(raw) // 3], "its last part": raw[-(len(raw) // 3) :]}


def traces(data: bytes, hidden: Iterable[Marked]) -> Iterator[tuple[Marked, str]]:
    """Each fake secret in the data, with the first form found."""
    for secret in hidden:
        form = next((name for name, needle in forms(secret.text).items() if needle in data), None)
        if form is not None:
            yield secret, form


def parts_of(question: SandboxRequest) -> Iterator[tuple[str, bytes]]:
    """Every part of a request, by its name in `Marked.places`."""
    yield "path", question.path.encode()
    for name, value in question.query.items():
        yield f"query {name}", f"{name}={value}".encode()
    for name, value in question.headers.items():
        yield f"header {name}", f"{name}: {value}".encode()
    yield f"body of {'login' if question.path.endswith('/v2/auth/login') else 'request'}", question.body
