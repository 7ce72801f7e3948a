"""The answers on the vendors' own pages, served as they stand there, through a process and a socket."""

import json
import threading

import pytest

from balcli.sandbox import Sandbox, SandboxResponse, json_response
from tests.conftest import Program

MERCHANT_ONE = b"""{
  "code": 200,
  "msg": "SUCCESS",
  "data": {
    "canDeposit": true,
    "balances": [
      {
        "asset": "USDT",
        "assetId": "USDT",
        "assetName": "USDT",
        "total": "1000",
        "free": "800",
        "locked": "200"
      },
      {
        "asset": "BTC",
        "assetId": "BTC",
        "assetName": "BTC",
        "total": "0.5",
        "free": "0.3",
        "locked": "0.2"
      }
    ]
  }
}
"""
MERCHANT_ALL = (
    MERCHANT_ONE.replace(b'"1000"', b'"5000"')
    .replace(b'"800"', b'"4000"')
    .replace(b'"200"', b'"1000"')
    .replace(b'"0.5"', b'"2"')
    .replace(b'"0.3"', b'"1.5"')
    .replace(b'"0.2"', b'"0.5"')
)
# The page annotates the answer with // comments, which are no part of any answer.
WALLET = b"""{
  "data": [
    {
      "balance": "0",
      "asset": "BTC",
      "holdBalance": "0",
      "lockBalance": "0",
      "referralBalance": "0",
      "depositAddress": {
        "BTC": {
          "address": "bc1q4curzl6agt0l3zvc3ermrzuesm2f9nevm9rll0",
          "memo": null
        }
      }
    },
    {
      "balance": "0.64",
      "asset": "USDT",
      "holdBalance": "0",
      "lockBalance": "0",
      "referralBalance": "0",
      "depositAddress": {
        "TRX": { "address": "TW6fBsVChypHoN3xFXpizHFJNQa7b1wRWc", "memo": null }
      }
    }
  ]
}"""
LOOPRING = (
    b'[{"accountId":11329,"tokenId":0,"total":"99476758000000000","locked":"0",'
    b'"pending":{"withdraw":"0","deposit":"0"}}]'
)
PROFILE = """
[profiles.main.loopring]
base_url = "{url}/loopring"
api_key = "HlkcGxbqBeaF76j4rvPaOasyfPwnkQ6B"
account_id = 11329

[profiles.main.wallet]
base_url = "{url}/wallet"
access_token = "a.static.jwt"
wallet_id = "1f44b1c7-9fd4-4d20-b9a4-7aca3646d0d5"

[profiles.main.merchant]
base_url = "{url}/merchant"
token = "a-static-token"
merchant_id = {merchant_id}
"""
SCRIPT = {
    "/loopring/api/v3/user/balances": [SandboxResponse(200, LOOPRING)],
    "/wallet/v2/balance": [SandboxResponse(200, WALLET)],
    "/merchant/v2/assets/account/assets": [SandboxResponse(200, MERCHANT_ONE)],
}


def _amounts(document: object) -> list[tuple[str, ...]]:
    rows = json.loads(json.dumps(document))["balances"]
    return [(row["account"], row["asset"], row["total"], row["available"], row["locked"]) for row in rows]


def test_all_three_pages_give_their_amounts(program: Program) -> None:
    """The vendors' examples give exactly the amounts that stand on their pages."""
    with Sandbox(scripted=SCRIPT) as server:
        result = program.with_profile(PROFILE.format(url=server.url, merchant_id=12345), "all", "-o", "json")
    assert (result.code, result.err) == (0, "")
    assert _amounts(result.json) == [
        ("loopring", "ETH", "0.099476758", "0.099476758", "0"),
        ("wallet", "BTC", "0", "0", "0"),
        ("wallet", "USDT", "0.64", "0.64", "0"),
        ("merchant", "BTC", "0.5", "0.3", "0.2"),
        ("merchant", "USDT", "1000", "800", "200"),
    ]


def test_the_aggregate_example(program: Program) -> None:
    """The page's aggregate over all merchants gives its amounts, and `merchantId=0` was sent for it."""
    script = {"/merchant/v2/assets/account/assets": [SandboxResponse(200, MERCHANT_ALL)]}
    with Sandbox(scripted=script) as server:
        result = program.with_profile(PROFILE.format(url=server.url, merchant_id=0), "merchant", "-o", "json")
        assert server.log[-1].query == {"merchantId": "0"}
    assert _amounts(result.json) == [
        ("merchant", "BTC", "2", "1.5", "0.5"),
        ("merchant", "USDT", "5000", "4000", "1000"),
    ]


def test_what_the_pages_say_beside_amounts(program: Program) -> None:
    """Deposit addresses, pending amounts, names and the raw texts come through as the pages have them."""
    with Sandbox(scripted=SCRIPT) as server:
        document = program.with_profile(
            PROFILE.format(url=server.url, merchant_id=12345), "all", "-o", "json"
        ).json
    loopring, btc, usdt, shop_btc, _ = document["balances"]
    assert loopring["details"] == {"pending_withdraw": "0", "pending_deposit": "0"}
    assert loopring["raw"] == {"total": "99476758000000000", "locked": "0"}
    assert loopring["asset_id"] == "0"
    address = "bc1q4curzl6agt0l3zvc3ermrzuesm2f9nevm9rll0"
    assert {
        "hold": "0",
        "aml_lock": "0",
        "referral": "0",
        "deposit_addresses": [{"network": "BTC", "address": address, "memo": None}],
    } == btc["details"]
    assert usdt["raw"] == {"balance": "0.64", "holdBalance": "0", "lockBalance": "0", "referralBalance": "0"}
    assert usdt["asset_id"] is None
    assert shop_btc["details"] == {"asset_name": "BTC", "can_deposit": True, "merchant_id": "12345"}
    assert shop_btc["raw"] == {"total": "0.5", "free": "0.3", "locked": "0.2"}


def test_the_requests_are_the_documented_ones(program: Program) -> None:
    """Each provider is asked at its documented path, with its documented header and parameters."""
    with Sandbox(scripted=SCRIPT) as server:
        program.with_profile(PROFILE.format(url=server.url, merchant_id=12345), "all", "-o", "json")
        asked = {question.path: question for question in server.log}
    loopring = asked["/loopring/api/v3/user/balances"]
    assert (loopring.method, loopring.query) == ("GET", {"accountId": "11329"})
    assert loopring.headers["x-api-key"] == "HlkcGxbqBeaF76j4rvPaOasyfPwnkQ6B"
    assert "x-api-key" not in asked["/loopring/api/v3/exchange/tokens"].headers
    wallet = asked["/wallet/v2/balance"]
    assert wallet.headers["authorization"] == "Bearer a.static.jwt"
    assert "api-key" not in wallet.headers
    assert (
        wallet.method,
        json.loads(wallet.body),
    ) == ("POST", {"walletId": "1f44b1c7-9fd4-4d20-b9a4-7aca3646d0d5"})
    merchant = asked["/merchant/v2/assets/account/assets"]
    assert (merchant.method, merchant.query) == ("GET", {"merchantId": "12345"})
    assert merchant.headers["x-bh-token"] == "a-static-token"


def test_accounts_are_asked_at_the_same_time(program: Program) -> None:
    """No request waits for another's answer: all four of three accounts are under way before the first ends."""
    together = threading.Barrier(4, timeout=10)

    def wait(_line: str) -> None:
        together.wait()

    with Sandbox(scripted=SCRIPT, log_line=wait) as server:
        result = program.with_profile(
            PROFILE.format(url=server.url, merchant_id=12345), "all", "-o", "json", "--retries", "0"
        )
    assert (result.code, together.broken) == (0, False)


@pytest.mark.parametrize("output", ["table", "json"])
def test_one_account_of_three_refused(program: Program, output: str) -> None:
    """A refused account leaves the others' rows, makes every total unknown, and gives exit code 8."""
    script = {
        **SCRIPT,
        "/wallet/v2/balance": [json_response({"statusCode": 401, "message": "Unauthorized"}, 401)],
    }
    with Sandbox(scripted=script) as server:
        result = program.with_profile(PROFILE.format(url=server.url, merchant_id=12345), "all", "-o", output)
    assert result.code == 8
    assert len(result.err.splitlines()) == 1
    assert result.err.startswith("balcli: wallet: ")
    if output == "table":
        assert (
            "unavailable: KunaCore wallet API refused the credentials (HTTP 401: Unauthorized)" in result.out
        )
        assert "INCOMPLETE: without wallet" in result.out
        assert "0.099476758" in result.out
        return
    document = result.json
    assert document["complete"] is False
    assert [account["status"] for account in document["accounts"]] == ["ok", "failed", "ok"]
    assert (
        document["accounts"][1]["error"]["code"],
        document["accounts"][1]["error"]["http_status"],
    ) == ("credentials.refused", 401)
    assert {"loopring", "merchant"} == {row["account"] for row in document["balances"]}
    eth = document["totals"][1]
    assert eth == {
        "asset": "ETH",
        "total": None,
        "available": None,
        "locked": None,
        "known": {"total": "0.099476758", "available": "0.099476758", "locked": "0"},
        "missing": ["wallet"],
    }
