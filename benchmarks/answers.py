"""The providers' responses as bytes, in the same shapes as those of `balcli --sandbox`."""

import json
from collections.abc import Mapping
from functools import cache
from typing import Final

from benchmarks.amounts import SCALE, TOKENS, Account, account_of, asset, held, text

CREDENTIALS: Final[Mapping[str, tuple[str, str]]] = {
    "loopring": ("x-api-key", "bench-loopring-key"),
    "wallet": ("api-key", "bench-wallet-key"),
    "merchant": ("x-bh-token", "bench-merchant-token"),
}
"""The header that each provider requires, in lowercase, and the prefix of its value."""

_TOKENS: Final = ("loopring", "GET", "/api/v3/exchange/tokens")
_TARGETS: Final = {
    ("loopring", "GET", "/api/v3/user/balances"): "accountId=",
    ("merchant", "GET", "/v2/assets/account/assets"): "merchantId=",
}
_WALLET: Final = ("wallet", "POST", "/v2/balance")


def credential(account: Account) -> str:
    """The account's key or token: the value of the provider's header."""
    return f"{CREDENTIALS[account.provider][1]}-{account.target}"


def answer(provider: str, method: str, url: str, headers: bytes, body: bytes) -> bytes:
    """The complete response to a request; `headers` are its lines, with lowercase names."""
    path, _, query = url.partition("?")
    place = (provider, method, path)
    if place == _TOKENS:
        return _tokens()
    header, value = CREDENTIALS[provider]
    if f"\r\n{header}: {value}-".encode() not in headers:
        return _http(401, {"message": "the credential is not valid"})
    try:
        if place == _WALLET:
            return _balances(provider, int(json.loads(body)["walletId"]))
        return _balances(provider, int(query.removeprefix(_TARGETS[place])))
    except (KeyError, TypeError, ValueError):
        return _http(404, {"message": f"nothing is known of {method} {url}"})


@cache
def _balances(provider: str, target: int) -> bytes:
    account = account_of(provider, target)
    if provider == "loopring":
        return _http(200, [_loopring(account, row) for row in range(account.rows)])
    if provider == "wallet":
        return _http(201, {"data": [_wallet(account, row) for row in range(account.rows)]})
    rows = [_merchant(account, row) for row in range(account.rows)]
    return _http(200, {"code": 200, "msg": "SUCCESS", "data": {"canDeposit": True, "balances": rows}})


def _loopring(account: Account, row: int) -> dict[str, object]:
    here = held(account, row)
    return {
        "accountId": account.target,
        "tokenId": row,
        "total": str(here.total),
        "locked": str(here.locked),
        "pending": {"withdraw": "0", "deposit": "0"},
    }


def _wallet(account: Account, row: int) -> dict[str, object]:
    here = held(account, row)
    return {
        "balance": text(here.available),
        "asset": asset(account.provider, row),
        "holdBalance": text(here.hold),
        "lockBalance": text(here.lock),
        "referralBalance": "0",
        "depositAddress": {},
    }


def _merchant(account: Account, row: int) -> dict[str, object]:
    here, name = held(account, row), asset(account.provider, row)
    amounts = {"total": text(here.total), "free": text(here.available), "locked": text(here.locked)}
    return {"asset": name, "assetId": name, "assetName": name, **amounts}


@cache
def _tokens() -> bytes:
    return _http(200, tokens())


def tokens() -> list[dict[str, object]]:
    """A token table of about 129 kB, as long as the main deployment's, including unread fields."""
    return [
        {
            "type": "ERC20",
            "tokenId": number,
            "symbol": asset("loopring", number),
            "name": f"Token {number}",
            "address": f"0x{number * 0x9E3779B97F4A7C15:040x}",
            "decimals": SCALE,
            "precision": 7,
            "precisionForOrder": 3,
            "orderAmounts": {"minimum": "7" + "0" * 16, "maximum": "1" + "0" * 22, "dust": "2" + "0" * 14},
            "luckyTokenAmounts": {
                "minimum": "5" + "0" * 16,
                "maximum": "1" + "0" * 22,
                "dust": "5" + "0" * 16,
            },
            "fastWithdrawLimit": "6" + "0" * 19,
            "gasAmounts": {"distribution": "150000", "deposit": "150000"},
            "enabled": True,
            "isLpToken": False,
            "tradePairs": ["T000", "T001"],
        }
        for number in range(TOKENS)
    ]


def _http(status: int, payload: object) -> bytes:
    body = json.dumps(payload, separators=(",", ":")).encode()
    head = f"HTTP/1.1 {status} Bench\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body
