"""The simulated VelaFi merchant API: signed, expiring tokens, pages of merchants, fiat."""

import hashlib
import hmac
import time
import uuid

from balcli.sandbox.exchange import SandboxRequest, SandboxResponse, json_response, whole

TOKEN = "sandbox-merchant-token"
API_KEY = "sandbox-merchant-key"
API_SECRET = "sandbox-merchant-secret"

_TOKEN_LIFE_MS = 3_600_000
# merchant: asset: total, free, locked. The aggregate and 12345 use the figures from the vendor's examples,
# and the aggregate is the sum of the merchants.
_MERCHANTS = {
    0: {"USDT": ("5000", "4000", "1000"), "BTC": ("2", "1.5", "0.5")},
    12345: {"USDT": ("1000", "800", "200"), "BTC": ("0.5", "0.3", "0.2")},
    12346: {"USDT": ("2500", "2200", "300"), "BTC": ("1", "0.9", "0.1")},
    12347: {"USDT": ("1500", "1000", "500"), "BTC": ("0.5", "0.3", "0.2")},
}
# 1 authenticating, 2 normal, 3 authentication failed, 4 incomplete (documented)
_NORMAL = 2
_STATUSES = {12347: 1}
_PAGING = (("pageSize", "10"), ("currentPage", "1"))
_FIAT = {12345: {"USD": "12500.00", "MXN": "310000.50"}, 12346: {"USD": "800.25"}}


class Merchant:
    """The merchant API, with three or more merchants. Tokens are valid for an hour."""

    NAME = "merchant"
    BALANCES = "/v2/assets/account/assets"
    NAMES = BALANCES
    LOGIN = "/v2/token/generate"

    def __init__(self, merchants: int = len(_MERCHANTS) - 1) -> None:
        self._tokens: dict[str, int] = {TOKEN: 2**63}
        self._ids = [12345 + number for number in range(merchants)]

    def expire_tokens(self) -> None:
        """Expire all generated tokens."""
        self._tokens = {TOKEN: self._tokens[TOKEN]}

    def answer(self, request: SandboxRequest) -> SandboxResponse:
        """The merchant API's response."""
        if (request.method, request.path) == ("GET", "/v2/token/generate"):
            return self._token(request)
        lists = {
            "/v2/assets/account/assets": self._assets,
            "/v2/merchants": self._merchants,
            "/v2/merchant/accounts": self._fiat,
        }
        if request.method != "GET" or request.path not in lists:
            return _error(-5046, "COMMON_ERROR", 404)
        if self._tokens.get(request.headers.get("x-bh-token", ""), 0) < _now_ms():
            return _error(401, "the token is not valid", 401)
        return lists[request.path](request)

    def _assets(self, request: SandboxRequest) -> SandboxResponse:
        merchant_id = whole(request.query.get("merchantId", ""))
        if merchant_id is None:
            return _not_numeric()
        if merchant_id not in {0, *self._ids}:
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
            for asset, (total, free, locked) in _MERCHANTS.get(merchant_id, {"USDT": ("1", "1", "0")}).items()
        ]
        return _success({"canDeposit": True, "balances": balances})

    def _merchants(self, request: SandboxRequest) -> SandboxResponse:
        return _page(request, "data", [_merchant(number) for number in self._ids], status="2")

    def _fiat(self, request: SandboxRequest) -> SandboxResponse:
        rows = [
            _fiat_account(number, fiat, balance)
            for number, accounts in _FIAT.items()
            for fiat, balance in accounts.items()
        ]
        return _page(request, "record", rows, status="-1")

    def _token(self, request: SandboxRequest) -> SandboxResponse:
        timestamp = request.query.get("timestamp", "")
        signed = hmac.new(API_SECRET.encode(), f"timestamp={timestamp}".encode(), hashlib.sha256).hexdigest()
        genuine = hmac.compare_digest(signed, request.query.get("signature", ""))
        if request.headers.get("x-bh-apikey") != API_KEY or not genuine:
            return _error(401, "the key or the signature is not valid", 401)
        token, expires = str(uuid.uuid4()), _now_ms() + _TOKEN_LIFE_MS
        self._tokens[token] = expires
        return _success({"token": token, "expireTime": str(expires)})

    def profile(self, base_url: str) -> str:
        """The lines of a profile for the aggregate of the key's merchants."""
        return (
            f'[{{table}}.merchant]\nname = "shop"\nbase_url = "{base_url}"\n'
            f'api_key = "{API_KEY}"\napi_secret = "{API_SECRET}"\nmerchant_id = 0\n'
        )


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _merchant(number: int) -> dict[str, object]:
    """A merchant with the fields of the vendor's page."""
    return {
        "merchantId": number,
        "country": "Mexico",
        "merchantName": f"Shop {number}",
        "email": f"shop{number}@shop.example",
        "merchantType": 2,
        "status": _STATUSES.get(number, _NORMAL),
        "rejectReason": "",
        "upgradeMerchantLimitStatus": _NORMAL,
        "upgradeMerchantLimitRejectReason": "",
        "dayFiatLimit": 25000.0,
        "dayFiatUsed": 0.0,
        "monthFiatLimit": 25000.0,
        "monthFiatUsed": 0.0,
        "monthCryptoLimit": 15000.0,
        "monthCryptoUsed": 0.0,
        "remark": "",
        "createTime": "1737452292000",
        "updateTime": "1737452344000",
    }


def _fiat_account(number: int, fiat: str, balance: str) -> dict[str, object]:
    """A fiat account with the fields of the vendor's page and of its example."""
    return {
        "merchantId": number,
        "fiat": fiat,
        "balance": balance,
        "status": _NORMAL,
        "buyAmountLimit": "0",
        "buyAmountUsed": "2000.00",
        "sellAmountLimit": "10000.00",
        "sellAmountUsed": "0",
        "paymentId": 105,
        "paymentMethodName": "Automated SPEI - Arcus",
        "createTime": "1737452292000",
        "updateTime": "1737452344000",
        "monthBuyLimit": "0",
        "monthBuyUsed": "0",
        "monthSellLimit": "0",
        "monthSellUsed": "0",
        "failReason": "",
    }


def _page(request: SandboxRequest, key: str, rows: list[dict[str, object]], status: str) -> SandboxResponse:
    """The requested page of rows (at most 1,000), under that key of the response.

    `status` is the default status of the request; -1 means any status.
    """
    wanted = request.query.get("status", status)
    size, page = (whole(request.query.get(name, default)) for name, default in _PAGING)
    if size is None or page is None or whole(wanted.removeprefix("-")) is None:
        return _not_numeric()
    found = [row for row in rows if wanted in {"-1", str(row["status"])}]
    size = min(size, 1000)
    start = (max(page, 1) - 1) * size
    shown = found[start : start + size]
    return _success({"currentPage": page, "size": size, "total": len(found), key: shown})


def _not_numeric() -> SandboxResponse:
    return _error(-4021, "PARAM_NOT_IS_NUMERIC", 400)


def _success(data: object) -> SandboxResponse:
    return json_response({"code": 200, "msg": "SUCCESS", "data": data})


def _error(code: int, message: str, status: int = 200) -> SandboxResponse:
    return json_response({"code": code, "msg": message}, status)
