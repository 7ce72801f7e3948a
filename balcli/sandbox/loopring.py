"""The simulated Loopring relayer: token table, balances, NFTs, errors, and a limit of five requests per second."""

import threading
import time
from collections import deque

from balcli.sandbox.exchange import SandboxRequest, SandboxResponse, json_response, whole

KEY = "sandbox-loopring-key"
ACCOUNT_ID = 11329
ADDRESS = "0x8656920c85342d646e5286cb841f90209272abeb"

_NFTS = "/api/v3/user/nft/balances"
_NFT_COUNT = 53
_PER_SECOND = 5
# id, symbol, decimals, display precision; the ids and the duplicate SNX are from the main deployment.
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
    """The relayer, with one or more accounts with the same holdings."""

    NAME = "loopring"
    BALANCES = "/api/v3/user/balances"
    NAMES = "/api/v3/exchange/tokens"
    LOGIN = ""

    def __init__(self, accounts: int = 1) -> None:
        self._ids = {str(ACCOUNT_ID + number) for number in range(accounts)}
        self._arrivals: deque[float] = deque()
        self._lock = threading.Lock()

    def expire_tokens(self) -> None:
        """Do nothing: the relayer's keys do not expire."""

    def answer(self, request: SandboxRequest) -> SandboxResponse:
        """The relayer's response."""
        if self._too_many():
            return SandboxResponse(429, b"")
        if (request.method, request.path) == ("GET", "/api/v3/exchange/tokens"):
            return json_response([_token(*row) for row in _TOKENS])
        if request.method != "GET" or request.path not in {self.BALANCES, _NFTS}:
            return SandboxResponse(404, b"")
        key = request.headers.get("x-api-key", "")
        if key != KEY:
            return _error(104002 if key else 104001, "invalid apiKey" if key else "empty apiKey")
        account_id, address = request.query.get("accountId"), request.query.get("address")
        if account_id is None and address is None:
            return _error(100001, "accountId or address is required")
        if account_id not in self._ids and (address or "").lower() != ADDRESS:
            return _error(101002, "user not found")
        owner = whole(account_id or str(ACCOUNT_ID))
        if owner is None:
            return _error(100001, "accountId is not a number")
        if request.path == _NFTS:
            return _nft_page(request, owner)
        # An empty filter means all tokens; the vendor's front end sends it (code).
        wanted = request.query.get("tokens", "")
        asked = {whole(text) for text in wanted.split(",")} if wanted else {*_BALANCES}
        if None in asked:
            return _error(100001, "tokens is not a list of numbers")
        return json_response([_balance(owner, number) for number in _BALANCES if number in asked])

    def _too_many(self) -> bool:
        """Whether this request exceeds the documented limit of five per second."""
        with self._lock:
            now = time.monotonic()
            while self._arrivals and self._arrivals[0] <= now - 1.0:
                self._arrivals.popleft()
            self._arrivals.append(now)
            return len(self._arrivals) > _PER_SECOND

    def profile(self, base_url: str) -> str:
        """The lines of a profile for the account."""
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


def _balance(owner: int, token_id: int) -> dict[str, object]:
    total, locked, withdraw, deposit = _BALANCES[token_id]
    return {
        "accountId": owner,
        "tokenId": token_id,
        "total": total,
        "locked": locked,
        "pending": {"withdraw": withdraw, "deposit": deposit},
    }


def _nft_page(request: SandboxRequest, owner: int) -> SandboxResponse:
    offset, limit = whole(request.query.get("offset", "0")), whole(request.query.get("limit", "20"))
    if offset is None or limit is None:
        return _error(100001, "offset and limit must be numbers")
    limit = min(limit, 50)
    rows = [
        {
            "accountId": owner,
            "tokenId": 32768 + number,
            "nftId": f"0x{number:064x}",
            "tokenAddress": f"0x{number % 3:040x}",
            "nftType": "ERC1155",
            "total": str(1 + number % 4),
            "locked": "0",
            "pending": {"withdraw": "0", "deposit": "0"},
        }
        for number in range(offset, min(offset + limit, _NFT_COUNT))
    ]
    return json_response({"totalNum": _NFT_COUNT, "data": rows})


def _error(code: int, message: str) -> SandboxResponse:
    return json_response({"resultInfo": {"code": code, "message": message}}, 400)
