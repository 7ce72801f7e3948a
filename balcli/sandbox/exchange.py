"""A question as it arrived and a reply as it goes out: what the stand-in's parts speak in."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Question:
    """One request to a part; the path is without the part's prefix, header names are in lower case."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer. With `cut`, half of the body goes out, and then the connection is closed."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=lambda: {"Content-Type": "application/json"})
    cut: bool = False
    delay: float = 0.0
    """Seconds before the answer begins."""


def json_reply(payload: object, status: int = 200) -> Reply:
    """A reply with a JSON body."""
    return Reply(status, json.dumps(payload, separators=(",", ":")).encode())


class Part(Protocol):
    """The stand-in of one provider."""

    NAME: str
    BALANCES: str
    """The path of the balances, where faults play: logins and token tables stay well."""

    def answer(self, question: Question) -> Reply:
        """What the provider would answer."""

    def expire_tokens(self) -> None:
        """Let no token that was given out so far work any more."""

    def profile(self, base_url: str) -> str:
        """The lines of a profile that reach this part's accounts, with a `{table}` to fill in."""
