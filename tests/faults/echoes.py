"""Faults that repeat the credential of the request: in what is shown, elsewhere in a good answer, in refusals and limits."""

import json
from base64 import b64encode
from collections.abc import Callable
from typing import Final

from balcli.sandbox.exchange import Reply, Turn, json_reply
from balcli.sandbox.faults import Fault, Play, credential_of, rows_of, with_amount, with_names


def _named(form: Callable[[str], str]) -> Play:
    return lambda turn: with_names([form(credential_of(turn.question))])(turn)


def _as_amount(turn: Turn) -> Reply:
    return with_amount(json.dumps(credential_of(turn.question)))(turn)


def _unread(turn: Turn) -> Reply:
    payload = json.loads(turn.good.body)
    rows_of(payload)[0]["note"] = credential_of(turn.question)
    return json_reply(payload, turn.good.status)


def _in_headers(turn: Turn) -> Reply:
    sent = credential_of(turn.question)
    return turn.good._replace(headers={**turn.good.headers, "X-Echo": sent, "X-Request": sent})


def _told(status: int | None) -> Play:
    def play(turn: Turn) -> Reply:
        text = f"the credential {credential_of(turn.question)} is not valid"
        told = {"code": -1, "msg": text, "resultInfo": {"code": 100001, "message": text}}
        told |= {"errors": [{"code": "invalid", "message": text}]}
        return json_reply(told, turn.good.status if status is None else status)

    return play


def _limited(turn: Turn) -> Reply:
    return Reply(429, b"", {"Retry-After": credential_of(turn.question)})


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
