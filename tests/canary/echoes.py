"""Sandbox servers that know one home's fake secrets, and servers that echo what the client sends."""

import json
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from html import escape
from typing import Any, Final, TypeAlias
from urllib.parse import quote

from balcli.providers.merchant_requests import signature
from balcli.sandbox import loopring, merchant, wallet
from balcli.sandbox.exchange import SandboxRequest, SandboxResponse, StandIn, json_response
from tests.canary.marked import Marked, forms
from tests.canary.planting import URL_KEY

_STAND_INS: Final[dict[str, Callable[[], StandIn]]] = {
    "loopring": partial(loopring.Loopring, accounts=2),
    "wallet": wallet.Wallet,
    "merchant": merchant.Merchant,
}
_ACCEPTED: Final = {
    ("loopring", "api_key"): loopring.KEY,
    ("wallet", "access_token"): wallet.ACCESS_TOKEN,
    ("wallet", "api_key"): wallet.API_KEY,
    ("wallet", "password"): wallet.LOGIN["password"],
    ("merchant", "token"): merchant.TOKEN,
    ("merchant", "api_key"): merchant.API_KEY,
}
_Echo: TypeAlias = Callable[[SandboxResponse, SandboxRequest, str], SandboxResponse]

_TOKEN_PLACES: Final = {"wallet": "header authorization", "merchant": "header x-bh-token"}
_DULL: Final = frozenset(
    {"host", "user-agent", "accept", "accept-encoding", "connection", "content-type", "content-length"}
)
# Shorter parts of a path are ordinary words.
_SHORTEST: Final = 24
_NAMES: Final = frozenset({"asset", "symbol", "assetName", "assetId", "address", "memo", "name"})
_AMOUNTS: Final = frozenset({"total", "balance", "free", "locked", "decimals"})


def _sent(question: SandboxRequest) -> list[str]:
    """Every value in a request."""
    body = question.body.decode("utf-8", "replace")
    values = [value for name, value in question.headers.items() if name not in _DULL]
    values += [value.removeprefix("Bearer ") for value in values if value.startswith("Bearer ")]
    try:
        values += [text for text in json.loads(body).values() if isinstance(text, str)]
    except (ValueError, AttributeError):
        values.append(body)
    in_path = [piece for piece in question.path.split("/") if len(piece) >= _SHORTEST]
    return [*values, *in_path, *question.query.values(), *([body] if body else [])]


def _all_put(payload: Any, text: str) -> Any:
    """The payload with this text as every value, and as every key of a deposit address."""
    if isinstance(payload, dict):
        return {key: _all_put(value, text) for key, value in payload.items()}
    return [_all_put(item, text) for item in payload] if isinstance(payload, list) else text


def _in_every_value(good: SandboxResponse, question: SandboxRequest, _elsewhere: str) -> SandboxResponse:
    return json_response(_all_put(json.loads(good.body or b"null"), " ".join(_sent(question))), good.status)


def _rows(payload: Any) -> list[Any]:
    """Every object of a payload."""
    items = payload.values() if isinstance(payload, dict) else payload if isinstance(payload, list) else ()
    return [
        *([payload] if isinstance(payload, dict) else []),
        *(row for item in items for row in _rows(item)),
    ]


def _in_networks(good: SandboxResponse, question: SandboxRequest, _elsewhere: str) -> SandboxResponse:
    payload = json.loads(good.body or b"null")
    for row in _rows(payload):
        row["depositAddress"] = {" ".join(_sent(question)): {"address": "a", "memo": None}}
    return json_response(payload, good.status)


def _unread(good: SandboxResponse, question: SandboxRequest, _elsewhere: str) -> SandboxResponse:
    payload = json.loads(good.body or b"null")
    for row in _rows(payload):
        row["note"] = _sent(question)
    return json_response(payload, good.status)


def _rewritten(payload: Any, keys: Iterable[str], text: str) -> Any:
    """The payload with this text as the value of every key with that name."""
    if isinstance(payload, dict):
        return {
            key: text if key in keys and not isinstance(value, dict | list) else _rewritten(value, keys, text)
            for key, value in payload.items()
        }
    if isinstance(payload, list):
        return [_rewritten(item, keys, text) for item in payload]
    return payload


def _in_fields(keys: Iterable[str]) -> _Echo:
    def echo(good: SandboxResponse, question: SandboxRequest, _elsewhere: str) -> SandboxResponse:
        try:
            payload = json.loads(good.body)
        except ValueError:
            return good
        return json_response(_rewritten(payload, keys, " ".join(_sent(question))), good.status)

    return echo


def _in_error(status: int, filler: str = "") -> _Echo:
    def echo(_good: SandboxResponse, question: SandboxRequest, _elsewhere: str) -> SandboxResponse:
        text = filler + " | ".join(_sent(question))
        errors = [{"code": text, "message": text}]
        told = {"statusCode": 400, "message": text, "error": text, "errors": errors, "code": -1, "msg": text}
        return json_response(told | {"resultInfo": {"code": 1, "message": text}}, status)

    return echo


def _on_page(status: int) -> _Echo:
    def echo(_good: SandboxResponse, question: SandboxRequest, _elsewhere: str) -> SandboxResponse:
        rows = "".join(f"<li>{text}<li>{escape(text)}" for text in _sent(question))
        return SandboxResponse(
            status, f"<!doctype html><ul>{rows}</ul>".encode(), {"Content-Type": "text/html"}
        )

    return echo


def _in_location(_good: SandboxResponse, question: SandboxRequest, elsewhere: str) -> SandboxResponse:
    sent = "&".join(f"v={quote(text, safe='')}" for text in _sent(question))
    return SandboxResponse(302, b"", {"Location": f"{elsewhere}?{sent}"})


def _in_headers(status: int) -> _Echo:
    def echo(good: SandboxResponse, question: SandboxRequest, _elsewhere: str) -> SandboxResponse:
        text = " ".join(_sent(question)).encode("latin-1", "replace").decode("latin-1")
        named = ("X-Echo", "Date", "Retry-After", "Set-Cookie", "Content-Type", "WWW-Authenticate")
        return good._replace(status=status, headers=dict.fromkeys(named, text))

    return echo


def _as_keys(_good: SandboxResponse, question: SandboxRequest, _elsewhere: str) -> SandboxResponse:
    members = ",".join(f"{json.dumps(text)}:1" for text in _sent(question) for _ in range(2))
    return SandboxResponse(200, f'{{"data":{{{members}}}}}'.encode())


def _encoded(good: SandboxResponse, question: SandboxRequest, elsewhere: str) -> SandboxResponse:
    texts = [
        form.decode("utf-8", "replace")
        for value in _sent(question)
        for name, form in forms(value).items()
        if "part" not in name and name != "latin-1"  # JSON cannot contain that
    ]
    wrapped = question._replace(headers={str(n): text for n, text in enumerate(texts)}, query={}, body=b"")
    return _in_fields(_NAMES)(good, wrapped, elsewhere)


ECHOES: Final[Mapping[str, _Echo]] = {
    "echo in names": _in_fields(_NAMES),
    "echo in amounts": _in_fields(_AMOUNTS),
    "echo in every field": _in_fields(_NAMES | _AMOUNTS | {"accountId", "code", "msg", "canDeposit"}),
    "echo in an error": _in_error(400),
    "echo in a long error": _in_error(400, "x" * 95),
    "echo in an error with 200": _in_error(200),
    "echo in a refusal": _in_error(401),
    "echo on a page": _on_page(200),
    "echo on an error page": _on_page(500),
    "echo in a redirect": _in_location,
    "echo in headers": _in_headers(200),
    "echo in headers of a refusal": _in_headers(403),
    "echo in headers of a limit": _in_headers(429),
    "echo as keys": _as_keys,
    "echo in every value": _in_every_value,
    "echo in networks": _in_networks,
    "echo where nothing is read": _unread,
    "echo in headers of trouble": _in_headers(503),
    "echo in other encodings": _encoded,
}
"""The kinds of echoes by name: each makes a response from the good one, the request and another host's URL."""


class EchoingPart:
    """The sandbox of one provider for one home. It accepts that home's secrets, and may echo requests."""

    def __init__(
        self,
        name: str,
        provider: str,
        secrets: Mapping[str, str],
        echo: str,
        elsewhere: str,
        *,
        everywhere: bool,
        others: Iterable[str] = (),
    ) -> None:
        self.NAME = name
        self.provider = provider
        self.issued: list[Marked] = []
        """The tokens that it issued, which are also secrets."""
        self._inner = _STAND_INS[provider]()
        self.BALANCES = self._inner.BALANCES
        self.NAMES = self._inner.NAMES
        self.LOGIN = self._inner.LOGIN
        self._secrets = secrets
        self._swaps = {
            secrets[key]: right for (of, key), right in _ACCEPTED.items() if of == provider and key in secrets
        }
        self._echo = ECHOES.get(echo)
        self._elsewhere = elsewhere
        self._everywhere = everywhere
        self._others = tuple(others)
        """The secrets of another account at this host, which are also echoed."""

    def expire_tokens(self) -> None:
        """Invalidate all issued tokens."""
        self._inner.expire_tokens()

    def profile(self, base_url: str) -> str:
        """Return nothing: the home already has a profile."""
        return base_url[:0]

    def answer(self, question: SandboxRequest) -> SandboxResponse:
        """The sandbox's response, or an echo made from it."""
        path = "/" + question.path.removeprefix("/").removeprefix(
            self._secrets.get(URL_KEY, "")
        ).removeprefix("/")
        response = self._inner.answer(self._as_known(question._replace(path=path)))
        self._keep_token(response)
        if self._echo is not None and (self._everywhere or path == self.BALANCES):
            headers = {f"other-{number}": text for number, text in enumerate(self._others)}
            question = question._replace(headers={**question.headers, **headers})
            return self._echo(response, question, self._elsewhere)
        return response

    def _as_known(self, question: SandboxRequest) -> SandboxRequest:
        """The request with the home's secrets replaced by the sandbox's."""
        headers = {name: self._swapped(value) for name, value in question.headers.items()}
        query = dict(question.query)
        if "api_secret" in self._secrets and "signature" in query:
            timestamp = query.get("timestamp", "")
            if query["signature"] == signature(self._secrets["api_secret"], timestamp):
                query["signature"] = signature(merchant.API_SECRET, timestamp)
        body = question.body
        if question.path == "/v2/auth/login":
            sent = json.loads(body)
            body = json.dumps({key: self._swaps.get(value, value) for key, value in sent.items()}).encode()
        return question._replace(headers=headers, query=query, body=body)

    def _swapped(self, value: str) -> str:
        for secret, right in self._swaps.items():
            value = value.replace(secret, right)
        return value

    def _keep_token(self, response: SandboxResponse) -> None:
        try:
            data = json.loads(response.body)["data"]
            token = data.get("accessToken") or data.get("token")
        except (ValueError, KeyError, TypeError, AttributeError):
            return
        if isinstance(token, str):
            place = _TOKEN_PLACES[self.provider]
            self.issued.append(Marked(self.provider, "generated token", token, frozenset({place})))
