"""Faults that are answers: redirects, refusals, limits, and successes that are none."""

import json
from typing import Final

from balcli.sandbox.exchange import Reply, Turn, json_reply
from balcli.sandbox.faults import wire
from balcli.sandbox.faults.fault import Fault, always, at_odd_times, scripted

_PAGE: Final = b"<!doctype html><title>Maintenance</title><p>We will be back soon.</p>"
_UNAVAILABLE: Final = Reply(503, b"")
# The errors of all three providers at once, as each would say it.
_ERROR: Final = {
    "resultInfo": {"code": 100001, "message": "unknown error"},
    "code": -5046,
    "msg": "COMMON_ERROR",
    "statusCode": 500,
    "message": "unknown error",
    "errors": [{"code": "unknown", "message": "unknown error"}],
}


def _redirect(status: int, location: str) -> Fault:
    return Fault(f"{status} to {location}", 6, always(Reply(status, b"", {"Location": location})))


def _to_itself(turn: Turn) -> Reply:
    return Reply(307, b"", {"Location": turn.question.path})


def _limited(retry_after: str, about: str) -> Fault:
    return Fault(f"429 with a Retry-After {about}", 7, always(Reply(429, b"", {"Retry-After": retry_after})))


def _echo(turn: Turn) -> Reply:
    sent = {**turn.question.headers, "body": turn.question.body.decode("utf-8", "replace")}
    return Reply(500, json.dumps(sent).encode(), {"Content-Type": "application/json", "X-Echo": repr(sent)})


def _error(turn: Turn) -> Reply:
    return json_reply(_ERROR, turn.good.status)


_DEGRADED: Final = "Service degraded"
_TROUBLE: Final = {"resultInfo": {"code": 104208, "message": _DEGRADED}}
_EXPIRED: Final = {
    "resultInfo": {"code": 104002, "message": "the token expired"},
    "code": 401,
    "msg": "the token expired",
    "statusCode": 401,
    "message": "the token expired",
}


def _degraded(turn: Turn) -> Reply:
    """The answer without its rows, and with an error beside them; of the relayer, its own code for that."""
    payload = json.loads(turn.good.body)
    if isinstance(payload, list):
        return json_reply(_TROUBLE, 400)
    data = [] if isinstance(payload["data"], list) else {**payload["data"], "balances": []}
    return json_reply({**payload, "data": data, "error": _DEGRADED}, turn.good.status)


def _doubtful(turn: Turn) -> Reply:
    """The whole answer with an error beside its rows; of the relayer, its own code for that."""
    payload = json.loads(turn.good.body)
    if isinstance(payload, list):
        return json_reply(_TROUBLE, turn.good.status)
    return json_reply({**payload, "errors": {"message": _DEGRADED}}, turn.good.status)


def _expired(turn: Turn) -> Reply:
    return json_reply(_EXPIRED, turn.good.status)


def _expired_once(turn: Turn) -> Reply:
    return _expired(turn) if turn.number == 1 else turn.good


def _reply_to_login(payload: object) -> Fault:
    about = f"a login is answered with {json.dumps(payload)}"
    return Fault(about, 6, lambda turn: json_reply(payload, turn.good.status), "login", {"loopring": 0})


REDIRECTS: Final = {
    "redirect": _redirect(302, "https://elsewhere.example/"),
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
    "refused": Fault("401: the key or token is not accepted", 4, always(Reply(401, b""))),
    "forbidden": Fault("403: the key may not do this", 4, always(Reply(403, b""))),
    "login-refused": Fault("401 to a login", 4, always(Reply(401, b"")), "login", {"loopring": 0}),
    "login-silent": Fault(
        "no answer to a login", 5, scripted(wire.keeps_silent), "login", {"loopring": 0}, slow=True
    ),
    "login-empty": _reply_to_login({"data": {}, "code": 200}),
    "login-odd": _reply_to_login({"data": {"accessToken": "a\nb", "token": "", "expireTime": "soon"}, "code": 200}),
    "unavailable": Fault("503 with an empty body, every time", 5, always(_UNAVAILABLE)),
    "flaky": Fault("503 on every other request, so that a retry helps", 0, at_odd_times(always(_UNAVAILABLE))),
    "limited": _limited("86400", "of a day"),
    "limited-far": _limited("99999999", "of three years"),
    "limited-soon": _limited("soon", "that is no time"),
    "limited-minus": _limited("-5", "below zero"),
    "limited-digits": _limited("9" * 5000, "of 5,000 digits"),
    "busy": Fault(
        "429 with a Retry-After of a second, every other time", 0,
        at_odd_times(always(Reply(429, b"", {"Retry-After": "1"}))),
    ),
    "echo": Fault("500 that sends back all that was sent", 5, _echo),
}  # fmt: skip

PRETENCES: Final = {
    "status-202": Fault("202 with a good body", 6, lambda turn: Reply(202, turn.good.body)),
    "status-204": Fault("204, which has no body", 6, always(Reply(204, b"", {}))),
    "status-206": Fault("206 with a good body", 6, lambda turn: Reply(206, turn.good.body)),
    "page": Fault(
        "200 with a web page instead of JSON", 6, always(Reply(200, _PAGE, {"Content-Type": "text/html"}))
    ),
    "error": Fault("a success whose body is the provider's error", 6, _error),
    "degraded": Fault("an error beside an empty list of balances", 6, _degraded, but={"loopring": 5}),
    "degraded-full": Fault("an error beside all balances", 6, _doubtful, but={"loopring": 5}),
    "denied-once": Fault(
        "a refusal with HTTP 200, once, so that a new token helps",
        0,
        _expired_once,
        but={"loopring": 4},
    ),
    "denied": Fault("a refusal with HTTP 200", 4, _expired),
}
