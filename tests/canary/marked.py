"""False secrets that can be told from everything else, and the search for them in whatever form they take."""

import base64
import json
import secrets
from collections.abc import Iterable, Iterator
from typing import NamedTuple
from urllib.parse import quote, quote_plus

from balcli.sandbox.exchange import SandboxRequest


class Marked(NamedTuple):
    """A false secret of one account, and the parts of a request at its own host where it belongs."""

    provider: str
    key: str
    text: str
    places: frozenset[str]

    @property
    def name(self) -> str:
        """What it is called where it is found; never its text."""
        return f"{self.provider} {self.key}"


def mark() -> str:
    """A fresh false secret, with characters in it that JSON, URLs and shells write in other ways."""
    return f"cnry-{secrets.token_hex(10)}\"+é/\\%'-{secrets.token_hex(10)}"


def mark_for_url() -> str:
    """A fresh false secret that can be a part of a URL's path."""
    return f"cnry-{secrets.token_hex(16)}"


def forms(text: str) -> dict[str, bytes]:
    """The text as it would stand in an output, by the name of the encoding; parts of it count, too."""
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
    # Whatever an encoding makes of the middle, letters and digits stay: halves show what was cut or quoted.
    return found | {"its first part": raw[: len(raw) // 3], "its last part": raw[-(len(raw) // 3) :]}


def traces(data: bytes, hidden: Iterable[Marked]) -> Iterator[tuple[Marked, str]]:
    """Each false secret that stands in the data, with the first form in which it does."""
    for secret in hidden:
        form = next((name for name, needle in forms(secret.text).items() if needle in data), None)
        if form is not None:
            yield secret, form


def parts_of(question: SandboxRequest) -> Iterator[tuple[str, bytes]]:
    """Every part of a request by the name that `Marked.places` knows it by."""
    yield "path", question.path.encode()
    for name, value in question.query.items():
        yield f"query {name}", f"{name}={value}".encode()
    for name, value in question.headers.items():
        yield f"header {name}", f"{name}: {value}".encode()
    yield f"body of {'login' if question.path.endswith('/v2/auth/login') else 'request'}", question.body
