"""How the stand-in can misbehave, by name: so that users can try their alerts, and tests the program."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from balcli.sandbox.exchange import Reply

_PAGE: Final = b"<!doctype html><title>Maintenance</title><p>We will be back soon.</p>"
_AMOUNT = re.compile(rb'("(?:total|balance)":)"[0-9.]+"')


@dataclass(frozen=True, slots=True)
class Fault:
    """What it looks like to a user, and what it makes of a good reply on the n-th request of a part."""

    about: str
    play: Callable[[Reply, int], Reply]


def _always(reply: Reply) -> Callable[[Reply, int], Reply]:
    return lambda _good, _number: reply


EXPIRED: Final = "expired"
"""The fault that the parts play themselves: they alone know which tokens they gave out."""

FAULTS: Final = {
    EXPIRED: Fault("every generated token and JWT expires once, in mid-run", lambda good, _n: good),
    "refused": Fault("401: the key or token is not accepted", _always(Reply(401, b""))),
    "forbidden": Fault("403: the key may not do this", _always(Reply(403, b""))),
    "unavailable": Fault("503 with an empty body, every time", _always(Reply(503, b""))),
    "flaky": Fault(
        "503 on every other request, so that a retry helps",
        lambda good, n: Reply(503, b"") if n % 2 else good,
    ),
    "limited": Fault("429 with a Retry-After of a day", _always(Reply(429, b"", {"Retry-After": "86400"}))),
    "busy": Fault(
        "429 with a Retry-After of a second, every other time",
        lambda good, n: Reply(429, b"", {"Retry-After": "1"}) if n % 2 else good,
    ),
    "silent": Fault("no answer for ten minutes", lambda good, _n: replace(good, delay=600.0)),
    "redirect": Fault(
        "302 to another host", _always(Reply(302, b"", {"Location": "https://elsewhere.example/"}))
    ),
    "page": Fault(
        "200 with a web page instead of JSON", _always(Reply(200, _PAGE, {"Content-Type": "text/html"}))
    ),
    "empty": Fault("200 with an empty body", _always(Reply(200, b""))),
    "cut": Fault("the connection closes in mid-answer", lambda good, _n: replace(good, cut=True)),
    "amount": Fault(
        "an amount is written 1_000",
        lambda good, _n: replace(good, body=_AMOUNT.sub(rb'\1"1_000"', good.body, count=1)),
    ),
}
"""The faults by name, as `balcli sandbox --faults` lists them."""
