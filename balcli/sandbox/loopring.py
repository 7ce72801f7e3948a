"""The stand-in of the Loopring relayer: its token table, the balances of one account, its errors."""

from balcli.sandbox.exchange import Question, Reply, json_reply

KEY = "sandbox-loopring-key"
ACCOUNT_ID = 11329
ADDRESS = "0x8656920c85342d646e5286cb841f90209272abeb"

# id, symbol, decimals, display precision; the ids and the doubled SNX are those of the main deployment.
_TOKENS = (
    (0, "ETH", 18, 7),
    (1, "LRC", 18, 3),
    (3, "USDT", 6, 2),
    (4, "WBTC", 8, 5),
    (6, "USDC", 6, 2),
    (24, "SNX", 18, 3),
    (173, "SNX", 18, 3),
)
# token id: total, locked, pending withdrawal, pending deposit, in smallest units
_BALANCES = {
    0: ("99476758000000000", "0", "0", "0"),
    1: ("1250500000000000000000", "250250000000000000000", "0", "12500000000000000000"),
    3: ("3120500000", "120500000", "500000000", "0"),
    24: ("42000000000000000001", "0", "0", "0"),
    6: ("0", "0", "0", "0"),
}


class Loopring:
    """The relayer, with one account."""

    NAME = "loopring"
    BALANCES = "/api/v3/user/balances"

    def answer(self, question: Question) -> Reply:
        """What the relayer would answer."""
        if (question.method, question.path) == ("GET", "/api/v3/exchange/tokens"):
            return json_reply([_token(*row) for row in _TOKENS])
        if (question.method, question.path) != ("GET", "/api/v3/user/balances"):
            return Reply(404, b"")
        key = question.headers.get("x-api-key", "")
        if key != KEY:
            return _error(104002 if key else 104001, "invalid apiKey" if key else "empty apiKey")
        account_id, address = question.query.get("accountId"), question.query.get("address")
        if account_id is None and address is None:
            return _error(100001, "accountId or address is required")
        if account_id != str(ACCOUNT_ID) and (address or "").lower() != ADDRESS:
            return _error(101002, "user not found")
        wanted = question.query.get("tokens")
        ids = _BALANCES if wanted is None else [int(text) for text in wanted.split(",") if text.isdigit()]
        return json_reply([_balance(token_id) for token_id in ids if token_id in _BALANCES])

    def profile(self, base_url: str) -> str:
        """The lines of a profile that reach the account."""
        return (
            f'[{{table}}.loopring]\nbase_url = "{base_url}"\napi_key = "{KEY}"\naccount_id = {ACCOUNT_ID}\n'
        )


def _token(token_id: int, symbol: str, decimals: int, precision: int) -> dict[str, object]:
    return {
        "type": "ETH" if token_id == 0 else "ERC20",
        "tokenId": token_id,
        "symbol": symbol,
        "name": symbol,
        "address": f"0x{token_id:040x}",
        "decimals": decimals,
        "precision": precision,
        "enabled": True,
    }


def _balance(token_id: int) -> dict[str, object]:
    total, locked, withdraw, deposit = _BALANCES[token_id]
    return {
        "accountId": ACCOUNT_ID,
        "tokenId": token_id,
        "total": total,
        "locked": locked,
        "pending": {"withdraw": withdraw, "deposit": deposit},
    }


def _error(code: int, message: str) -> Reply:
    return json_reply({"resultInfo": {"code": code, "message": message}}, 400)
