"""The stand-in of the VelaFi merchant API: signed token generation, one merchant and the aggregate."""

import hashlib
import hmac
import time
import uuid

from balcli.sandbox.exchange import Question, Reply, json_reply

TOKEN = "sandbox-merchant-token"
API_KEY = "sandbox-merchant-key"
API_SECRET = "sandbox-merchant-secret"

_TOKEN_LIFE_MS = 3_600_000
# merchant: asset: total, free, locked; the figures of the vendor's two examples
_MERCHANTS = {
    "0": {"USDT": ("5000", "4000", "1000"), "BTC": ("2", "1.5", "0.5")},
    "12345": {"USDT": ("1000", "800", "200"), "BTC": ("0.5", "0.3", "0.2")},
}


class Merchant:
    """The merchant API. A generated token works for an hour."""

    NAME = "merchant"
    BALANCES = "/v2/assets/account/assets"

    def __init__(self) -> None:
        self._tokens: dict[str, int] = {TOKEN: 2**63}

    def answer(self, question: Question) -> Reply:
        """What the merchant API would answer."""
        if (question.method, question.path) == ("GET", "/v2/token/generate"):
            return self._token(question)
        if (question.method, question.path) != ("GET", "/v2/assets/account/assets"):
            return _error(-5046, "COMMON_ERROR", 404)
        if self._tokens.get(question.headers.get("x-bh-token", ""), 0) < _now_ms():
            return _error(401, "the token is not valid", 401)
        merchant_id = question.query.get("merchantId", "")
        if not merchant_id.isdigit():
            return _error(-4021, "PARAM_NOT_IS_NUMERIC")
        if merchant_id not in _MERCHANTS:
            return _error(-5006, "MC_NOT_EXIST")
        balances = [
            {
                "asset": asset,
                "assetId": asset,
                "assetName": asset,
                "total": total,
                "free": free,
                "locked": locked,
            }
            for asset, (total, free, locked) in _MERCHANTS[merchant_id].items()
        ]
        return _success({"canDeposit": True, "balances": balances})

    def _token(self, question: Question) -> Reply:
        timestamp = question.query.get("timestamp", "")
        signed = hmac.new(API_SECRET.encode(), f"timestamp={timestamp}".encode(), hashlib.sha256).hexdigest()
        genuine = hmac.compare_digest(signed, question.query.get("signature", ""))
        if question.headers.get("x-bh-apikey") != API_KEY or not genuine:
            return _error(401, "the key or the signature is not valid", 401)
        token, expires = str(uuid.uuid4()), _now_ms() + _TOKEN_LIFE_MS
        self._tokens[token] = expires
        return _success({"token": token, "expireTime": str(expires)})

    def profile(self, base_url: str) -> str:
        """The lines of a profile that reach the aggregate of the key's merchants."""
        return (
            f'[{{table}}.merchant]\nname = "shop"\nbase_url = "{base_url}"\n'
            f'api_key = "{API_KEY}"\napi_secret = "{API_SECRET}"\nmerchant_id = 0\n'
        )


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _success(data: object) -> Reply:
    return json_reply({"code": 200, "msg": "SUCCESS", "data": data})


def _error(code: int, message: str, status: int = 200) -> Reply:
    return json_reply({"code": code, "msg": message}, status)
