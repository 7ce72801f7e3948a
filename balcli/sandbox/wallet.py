"""The simulated KunaCore wallet: login, two wallets, likely errors."""

import json
import secrets

from balcli.sandbox.exchange import SandboxRequest, SandboxResponse, json_response

API_KEY = "sandbox-wallet-key"
ACCESS_TOKEN = "sandbox-wallet-jwt"
MERCHANT_ID = "sandbox-merchant"
LOGIN = {"email": "operator@wallet.example", "password": "sandbox-password"}
TREASURY = "1f44b1c7-9fd4-4d20-b9a4-7aca3646d0d5"
PAYOUTS = "7c9e6679-7425-40de-944b-e07fc1f90ae7"

# wallet: asset: balance, hold, lock, referral, deposit addresses
_WALLETS: dict[str, dict[str, tuple[str, str, str, str, dict[str, tuple[str, str | None]]]]] = {
    TREASURY: {
        "BTC": ("1.25", "0.5", "0", "0", {"BTC": ("bc1q4curzl6agt0l3zvc3ermrzuesm2f9nevm9rll0", None)}),
        "USDT": ("48210.64", "150", "25.5", "0", {"TRX": ("TW6fBsVChypHoN3xFXpizHFJNQa7b1wRWc", None)}),
        "XRP": ("10000", "0", "0", "0", {"XRP": ("rEb8TK3gBgk5auZkwc6sHnwrGVJH8DuaLh", "270215")}),
    },
    PAYOUTS: {
        "ETH": ("3.000000000000000001", "0", "0", "0.02", {}),
        "USDT": ("920", "80", "0", "0", {}),
    },
}


class Wallet:
    """The wallet API. A login's JWT is valid until `expire_tokens` is called."""

    NAME = "wallet"
    BALANCES = "/v2/balance"
    NAMES = BALANCES
    LOGIN = "/v2/auth/login"

    def __init__(self) -> None:
        self._tokens = {ACCESS_TOKEN}

    def expire_tokens(self) -> None:
        """Expire the JWTs of all logins."""
        self._tokens = {ACCESS_TOKEN}

    def answer(self, request: SandboxRequest) -> SandboxResponse:
        """The wallet API's response."""
        if (request.method, request.path) == ("POST", "/v2/auth/login"):
            return self._log_in(request)
        if (request.method, request.path) != ("POST", "/v2/balance"):
            return json_response(
                {"statusCode": 404, "message": f"Cannot {request.method}", "error": "Not Found"}, 404
            )
        bearer = request.headers.get("authorization", "").removeprefix("Bearer ")
        if bearer not in self._tokens and request.headers.get("api-key") != API_KEY:
            return _unauthorized()
        try:
            body = json.loads(request.body)
            holdings = _WALLETS[body["walletId"]]
        except (ValueError, KeyError, TypeError, RecursionError):
            return _bad_request("walletId must be a known wallet")
        wanted = body.get("assets")
        if wanted is not None and not isinstance(wanted, list):
            return _bad_request("assets must be an array")
        rows = [_row(asset, *parts) for asset, parts in holdings.items() if wanted is None or asset in wanted]
        return json_response({"data": rows}, 201)

    def _log_in(self, request: SandboxRequest) -> SandboxResponse:
        try:
            known = json.loads(request.body) == LOGIN
        except (ValueError, RecursionError):
            known = False
        if not known or request.headers.get("merchant_id") != MERCHANT_ID:
            return _unauthorized()
        token = f"sandbox-jwt-{secrets.token_hex(16)}"
        self._tokens.add(token)
        return json_response({"data": {"accessToken": token}}, 201)

    def profile(self, base_url: str) -> str:
        """The lines of a profile for the two wallets, with one login."""
        login = f'{{{{ merchant_id = "{MERCHANT_ID}", email = "{LOGIN["email"]}", password = "{LOGIN["password"]}" }}}}'
        return "\n".join(
            f'[[{{table}}.wallet]]\nname = "{name}"\nbase_url = "{base_url}"\nlogin = {login}\nwallet_id = "{wallet_id}"\n'
            for name, wallet_id in (("treasury", TREASURY), ("payouts", PAYOUTS))
        )


def _row(
    asset: str,
    balance: str,
    hold: str,
    lock: str,
    referral: str,
    addresses: dict[str, tuple[str, str | None]],
) -> dict[str, object]:
    return {
        "balance": balance,
        "asset": asset,
        "holdBalance": hold,
        "lockBalance": lock,
        "referralBalance": referral,
        "depositAddress": {
            network: {"address": address, "memo": memo} for network, (address, memo) in addresses.items()
        },
    }


def _bad_request(message: str) -> SandboxResponse:
    return json_response({"statusCode": 400, "message": [message], "error": "Bad Request"}, 400)


def _unauthorized() -> SandboxResponse:
    return json_response(
        {"errors": [{"code": "unauthorized", "message": "the token or key is not valid"}]}, 401
    )
