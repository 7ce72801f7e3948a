"""Faults that repeat the request's credential: in what is shown, elsewhere in a good response, or in an error."""

import json
from base64 import b64encode
from collections.abc import Callable
from typing import Final

from balcli.sandbox.exchange import FaultContext, SandboxResponse, json_response
from balcli.sandbox.faults import Fault, Play, credential_of, rows_of, with_amount, with_names


def _named(form: Callable[[str], str]) -> Play:
    return lambda context: with_names([form(credential_of(context.request))])(context)


def _as_amount(context: FaultContext) -> SandboxResponse:
    return with_amount(json.dumps(credential_of(context.request)))(context)


def _unread(context: FaultContext) -> SandboxResponse:
    payload = json.loads(context.good.body)
    rows_of(payload)[0]["note"] = credential_of(context.request)
    return json_response(payload, context.good.status)


def _in_headers(context: FaultContext) -> SandboxResponse:
    sent = credential_of(context.request)
    return context.good._replace(headers={**context.good.headers, "X-Echo": sent, "X-Request": sent})


def _told(status: int | None) -> Play:
    def play(context: FaultContext) -> SandboxResponse:
        text = f"the credential {credential_of(context.request)} is not valid"
        told = {"code": -1, "msg": text, "resultInfo": {"code": 100001, "message": text}}
        told |= {"errors": [{"code": "invalid", "message": text}]}
        return json_response(told, context.good.status if status is None else status)

    return play


def _limited(context: FaultContext) -> SandboxResponse:
    return SandboxResponse(429, b"", {"Retry-After": credential_of(context.request)})


REPEATED: Final = {
    "echo-base64": Fault(
        "the credential in base64 as an asset's name", 6, _named(lambda text: b64encode(text.encode()).decode()), "names"
    ),
    "echo-hex": Fault(
        "the credential in hexadecimal digits as an asset's name", 6, _named(lambda text: text.encode().hex()), "names"
    ),
    "echo-amount": Fault("the credential as an amount", 6, _as_amount),
    "echo-unread": Fault("the credential in a field that is not read", 0, _unread),
    "echo-header": Fault("the credential in the headers of a good answer", 0, _in_headers),
    "echo-error": Fault("the credential in the words of a success that is an error", 6, _told(None)),
    "echo-refusal": Fault("401 with the credential in its words", 4, _told(401)),
    "echo-login": Fault("401 to a login, with the credential in its words", 4, _told(401), "login", {"loopring": 0}),
    "echo-limit": Fault("429 with the credential as its Retry-After", 7, _limited),
}  # fmt: skip
