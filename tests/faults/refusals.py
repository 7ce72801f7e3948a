"""Faults that are answers: redirects, refusals, limits, and successes that are none."""

import json
from typing import Final

from balcli.sandbox.exchange import Reply, Turn, json_reply
from balcli.sandbox.faults import DEGRADED, FAULTS, LOOPRING_DEGRADED, Fault, always, keeps_silent, scripted
from tests.faults import wire


def _redirect(status: int, location: str) -> Fault:
    return Fault(f"{status} to {location}", 6, always(Reply(status, b"", {"Location": location})))


def _to_itself(turn: Turn) -> Reply:
    return Reply(307, b"", {"Location": turn.question.path})


def _limited(retry_after: str, about: str) -> Fault:
    return Fault(f"429 with a Retry-After {about}", 7, always(Reply(429, b"", {"Retry-After": retry_after})))


def _doubtful(turn: Turn) -> Reply:
    """The whole answer with an error beside its rows; of the relayer, its own code for that."""
    payload = json.loads(turn.good.body)
    if isinstance(payload, list):
        return json_reply(LOOPRING_DEGRADED, turn.good.status)
    return json_reply({**payload, "errors": {"message": DEGRADED}}, turn.good.status)


def _denied_once(turn: Turn) -> Reply:
    return FAULTS["denied"].play(turn) if turn.number == 1 else turn.good


def _reply_to_login(payload: object) -> Fault:
    about = f"a login is answered with {json.dumps(payload)}"
    return Fault(about, 6, lambda turn: json_reply(payload, turn.good.status), "login", {"loopring": 0})


REDIRECTS: Final = {
    "redirect-port": _redirect(308, "http://127.0.0.1:9/"),
    "redirect-itself": Fault("307 to the very same path", 6, _to_itself),
    "redirect-broken": _redirect(301, "http://["),
    "redirect-nowhere": Fault("303 without a Location", 6, always(Reply(303, b"", {}))),
    "redirect-bomb": Fault(
        "302 with a body without end", 6,
        scripted(wire.pours(wire.head("Location: /", status="302 Found"), b" " * 65536)),
    ),
    "redirect-drip": Fault(
        "302 with a body that comes byte by byte", 6,
        scripted(wire.drips(wire.head("Location: /", "Content-Length: 1000000", status="302 Found"))),
    ),
}  # fmt: skip

REFUSALS: Final = {
    "login-silent": Fault("no answer to a login", 5, scripted(keeps_silent), "login", {"loopring": 0}),
    "login-empty": _reply_to_login({"data": {}, "code": 200}),
    "login-odd": _reply_to_login({"data": {"accessToken": "a\nb", "token": "", "expireTime": "soon"}, "code": 200}),
    "limited-far": _limited("99999999", "of three years"),
    "limited-soon": _limited("soon", "that is no time"),
    "limited-minus": _limited("-5", "below zero"),
    "limited-digits": _limited("9" * 5000, "of 5,000 digits"),
}  # fmt: skip

PRETENCES: Final = {
    "status-202": Fault("202 with a good body", 6, lambda turn: Reply(202, turn.good.body)),
    "status-204": Fault("204, which has no body", 6, always(Reply(204, b"", {}))),
    "status-206": Fault("206 with a good body", 6, lambda turn: Reply(206, turn.good.body)),
    "degraded-full": Fault("an error beside all balances", 6, _doubtful, but={"loopring": 5}),
    "denied-once": Fault(
        "a refusal with HTTP 200, once, so that a new token helps", 0, _denied_once, but={"loopring": 4}
    ),
}
