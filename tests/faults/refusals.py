"""Faults that are responses: redirects, refusals, limits, and errors with a success status."""

import json
from typing import Final

from balcli.sandbox.exchange import FaultContext, SandboxResponse, json_response
from balcli.sandbox.faults import DEGRADED, FAULTS, LOOPRING_DEGRADED, Fault, always, keeps_silent, scripted
from tests.faults import wire


def _redirect(status: int, location: str) -> Fault:
    return Fault(f"{status} to {location}", 6, always(SandboxResponse(status, b"", {"Location": location})))


def _to_itself(context: FaultContext) -> SandboxResponse:
    return SandboxResponse(307, b"", {"Location": context.request.path})


def _limited(retry_after: str, about: str) -> Fault:
    return Fault(
        f"429 with a Retry-After {about}", 7, always(SandboxResponse(429, b"", {"Retry-After": retry_after}))
    )


def _doubtful(context: FaultContext) -> SandboxResponse:
    """The complete response with an error next to its rows; for the relayer, with its error code."""
    payload = json.loads(context.good.body)
    if isinstance(payload, list):
        return json_response(LOOPRING_DEGRADED, context.good.status)
    return json_response({**payload, "errors": {"message": DEGRADED}}, context.good.status)


def _denied_once(context: FaultContext) -> SandboxResponse:
    return FAULTS["denied"].play(context) if context.number == 1 else context.good


def _reply_to_login(payload: object) -> Fault:
    about = f"a login is answered with {json.dumps(payload)}"
    return Fault(
        about, 6, lambda context: json_response(payload, context.good.status), "login", {"loopring": 0}
    )


REDIRECTS: Final = {
    "redirect-port": _redirect(308, "http://127.0.0.1:9/"),
    "redirect-itself": Fault("307 to the very same path", 6, _to_itself),
    "redirect-broken": _redirect(301, "http://["),
    "redirect-nowhere": Fault("303 without a Location", 6, always(SandboxResponse(303, b"", {}))),
    "redirect-bomb": Fault(
        "302 with an endless body", 6,
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
    "status-202": Fault("202 with a good body", 6, lambda context: SandboxResponse(202, context.good.body)),
    "status-204": Fault("204, which has no body", 6, always(SandboxResponse(204, b"", {}))),
    "status-206": Fault("206 with a good body", 6, lambda context: SandboxResponse(206, context.good.body)),
    "degraded-full": Fault("an error beside all balances", 6, _doubtful, but={"loopring": 5}),
    "denied-once": Fault(
        "a refusal with HTTP 200, once, so that a new token helps", 0, _denied_once, but={"loopring": 4}
    ),
}
