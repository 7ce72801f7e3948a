"""The KunaCore wallet: the three ways to authenticate, the meaning of its amounts, its likely errors."""

import json
from typing import Any

import pytest

from balcli.sandbox import Sandbox, SandboxResponse, json_response
from balcli.sandbox.faults import cuts
from balcli.sandbox.wallet import ACCESS_TOKEN, API_KEY, LOGIN, MERCHANT_ID, PAYOUTS, TREASURY
from tests.conftest import Program, Result
from tests.lists import each_case

BALANCE = "/wallet/v2/balance"
LOGIN_PATH = "/wallet/v2/auth/login"
BY_LOGIN = f'login = {{ merchant_id = "{MERCHANT_ID}", email = "{LOGIN["email"]}", password = "{LOGIN["password"]}" }}'
BY_KEY = f'api_key = "{API_KEY}"'
BY_JWT = f'access_token = "{ACCESS_TOKEN}"'


def _profile(
    server: Sandbox, credentials: str = BY_KEY, extra: str = "", wallets: tuple[str, ...] = (TREASURY,)
) -> str:
    return "".join(
        f'[[profiles.main.wallet]]\nname = "w{number}"\nbase_url = "{server.url}/wallet"\n{credentials}\n'
        f'wallet_id = "{wallet_id}"\n{extra}\n'
        for number, wallet_id in enumerate(wallets)
    )


def _run(program: Program, rows: list[dict[str, object]], extra: str = "", *arguments: str) -> Result:
    with Sandbox(scripted={BALANCE: [json_response({"data": rows})]}) as server:
        return program.with_profile(_profile(server, extra=extra), "wallet", "-o", "json", *arguments)


def _row(**fields: object) -> dict[str, object]:
    full = {
        "asset": "USDT",
        "balance": "10",
        "holdBalance": "2",
        "lockBalance": "0.5",
        "referralBalance": "7",
    }
    return {key: value for key, value in {**full, **fields}.items() if value != "absent"}


def _parts(row: dict[str, Any]) -> tuple[Any, ...]:
    return row["total"], row["available"], row["locked"]


@pytest.mark.parametrize(
    ("credentials", "header", "value"),
    [(BY_KEY, "api-key", API_KEY), (BY_JWT, "authorization", f"Bearer {ACCESS_TOKEN}")],
)
def test_a_key_and_a_jwt_travel_in_their_own_headers(
    program: Program, sandbox: Sandbox, credentials: str, header: str, value: str
) -> None:
    """An API key goes as Api-key and never as a Bearer value; a JWT goes as Bearer and never as a key."""
    result = program.with_profile(_profile(sandbox, credentials), "wallet", "-o", "json")
    headers = sandbox.log[-1].headers
    assert (0, value) == (result.code, headers[header])
    assert {header} == {"api-key", "authorization"} & headers.keys()


def test_balance_is_the_available_part_by_default(program: Program) -> None:
    """Total is balance + hold + lock; referral is shown and in no total."""
    result = _run(program, [_row()])
    row = result.json["balances"][0]
    assert ("12.5", "10", "2.5") == _parts(row)
    assert ("2", "0.5", "7") == (
        row["details"]["hold"],
        row["details"]["aml_lock"],
        row["details"]["referral"],
    )
    assert "12.5" == result.json["totals"][0]["total"]


def test_balance_can_be_the_total(program: Program) -> None:
    """With `balance_is = "total"` the available part is balance - hold - lock."""
    row = _run(program, [_row()], 'balance_is = "total"').json["balances"][0]
    assert ("10", "7.5", "2.5") == _parts(row)


@each_case("missing", [None, "absent"])
@each_case(
    ("field", "parts"),
    [
        ("balance", (None, None, "2.5")),
        ("holdBalance", (None, "10", None)),
        ("lockBalance", (None, "10", None)),
        ("referralBalance", ("12.5", "10", "2.5")),
    ],
)
def test_what_is_not_sent_is_unknown(
    program: Program, field: str, parts: tuple[str | None, ...], missing: object
) -> None:
    """A field that is null or absent is unknown, and so is all that hangs on it; it is never 0."""
    result = _run(program, [_row(**{field: missing})])
    row = result.json["balances"][0]
    assert (0, parts, None) == (result.code, _parts(row), row["raw"][field])
    total = result.json["totals"][0]
    assert parts == _parts(total)
    assert (["w0"] if None in parts else []) == total["missing"]


@each_case("field", ["balance", "holdBalance", "lockBalance", "referralBalance"])
def test_what_is_no_amount_fails_the_account(program: Program, field: str) -> None:
    """Anything else than a decimal number in an amount's place fails the account."""
    amounts: list[object] = ["1_000", " 1", "", "1,5", "NaN", True, [], {}, "١"]
    with Sandbox(
        scripted={BALANCE: [json_response({"data": [_row(**{field: amount})]}) for amount in amounts]}
    ) as server:
        wallets = tuple(f"wallet {number}" for number in range(len(amounts)))
        result = program.with_profile(_profile(server, wallets=wallets), "wallet", "-o", "json")
        assert len(amounts) == len(server.log)
    codes = [account["error"]["code"] for account in result.json["accounts"]]
    assert (6, [], ["answer.amount"] * len(amounts)) == (result.code, result.json["balances"], codes)


@pytest.mark.parametrize("status", [200, 201])
def test_both_statuses_are_an_answer(program: Program, status: int) -> None:
    """A POST is answered with 200 or 201: both count."""
    with Sandbox(scripted={BALANCE: [json_response({"data": [_row()]}, status)]}) as server:
        assert 0 == program.with_profile(_profile(server), "wallet", "-o", "json").code


def test_assets_are_sent_where_some_are_asked_for(program: Program, sandbox: Sandbox) -> None:
    """The body has the profile's assets as written; --asset is never sent, and filters the answer in any ASCII case."""

    def sent(extra: str, *arguments: str) -> tuple[object, list[str]]:
        document = program.with_profile(
            _profile(sandbox, extra=extra), "wallet", "-o", "json", *arguments
        ).json
        return json.loads(sandbox.log[-1].body).get("assets"), [row["asset"] for row in document["balances"]]

    assert (None, ["BTC", "USDT", "XRP"]) == sent("")
    assert (None, ["BTC"]) == sent("", "--asset", "btc")
    assert (None, []) == sent("", "--asset", "btc", "--exact")
    assert (None, ["BTC"]) == sent("", "--asset", "BTC", "--exact")
    assert (["usdt", "BTC"], ["BTC"]) == sent('assets = ["usdt", "BTC"]')
    assert (["USDT"], ["USDT"]) == sent('assets = ["USDT"]')
    assert (["USDT", "BTC"], ["BTC"]) == sent('assets = ["USDT", "BTC"]', "--asset", "BTC")
    assert (None, []) == sent("", "--asset", "#1")


def test_one_login_serves_all_wallets(program: Program, sandbox: Sandbox) -> None:
    """Two wallets with one login cost one login; its merchant_id is a header, the rest its body."""
    text = _profile(sandbox, BY_LOGIN, wallets=(TREASURY, PAYOUTS))
    result = program.with_profile(text, "wallet", "-o", "json")
    logins = [question for question in sandbox.log if question.path == LOGIN_PATH]
    assert (0, 1) == (result.code, len(logins))
    assert (MERCHANT_ID, LOGIN) == (logins[0].headers["merchant_id"], json.loads(logins[0].body))


def test_wallets_refused_together_share_one_new_login(program: Program) -> None:
    """When three wallets' JWT expires in mid-run, one new login and one repeat each mend it."""
    wallets = tuple(f"{TREASURY[:-1]}{digit}" for digit in "567")
    refused, good = (
        json_response({"statusCode": 401, "message": "jwt expired"}, 401),
        json_response({"data": [_row()]}),
    )
    with Sandbox(scripted={BALANCE: [refused, refused, refused, good]}, latency=0.05) as server:
        result = program.with_profile(_profile(server, BY_LOGIN, wallets=wallets), "wallet", "-o", "json")
        paths = [question.path for question in server.log]
    assert (0, 2, 6) == (result.code, paths.count(LOGIN_PATH), paths.count(BALANCE))


def test_a_second_refusal_is_final(program: Program) -> None:
    """After one new login and one repeat, a 401 is the answer: exit code 4."""
    with Sandbox(scripted={BALANCE: [SandboxResponse(401, b"")]}) as server:
        result = program.with_profile(_profile(server, BY_LOGIN), "wallet", "-o", "json")
        paths = [question.path for question in server.log]
    assert (4, 2, 2) == (result.code, paths.count(LOGIN_PATH), paths.count(BALANCE))


@pytest.mark.parametrize("credentials", [BY_KEY, BY_JWT])
def test_fixed_credentials_are_refused_once(program: Program, credentials: str) -> None:
    """A 401 for a key or a JWT from the profile is final: one request, exit code 4."""
    with Sandbox(scripted={BALANCE: [SandboxResponse(401, b"")]}) as server:
        result = program.with_profile(_profile(server, credentials), "wallet", "-o", "json")
        assert (4, 1) == (result.code, len(server.log))


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (SandboxResponse(503, b""), 5),
        (SandboxResponse(500, b""), 5),
        (SandboxResponse(429, b""), 7),
        (SandboxResponse(200, b"{}", script=cuts), 6),
        (json_response({"data": {}}), 6),
        (json_response({"data": {"accessToken": ""}}), 6),
        (json_response({"data": {"accessToken": "two\nlines"}}), 6),
        (json_response({"data": {"accessToken": None}}), 6),
        (json_response({"data": {"accessToken": 7}}), 6),
        (json_response({"statusCode": 401, "message": "no such user"}, 401), 4),
        (SandboxResponse(200, b"x", delay=5.0), 5),
    ],
)
def test_a_login_is_never_sent_twice(program: Program, answer: SandboxResponse, code: int) -> None:
    """Whatever comes of a login, it is not repeated, and every wallet that needs it says the same."""
    with Sandbox(scripted={LOGIN_PATH: [answer]}) as server:
        text = _profile(server, BY_LOGIN, wallets=(TREASURY, PAYOUTS))
        result = program.with_profile(text, "wallet", "-o", "json", "--timeout", "1", "--retries", "3")
        paths = [question.path for question in server.log]
    assert (code, 1, 0) == (result.code, paths.count(LOGIN_PATH), paths.count(BALANCE))
    assert LOGIN["password"] not in result.out + result.err


@pytest.mark.parametrize(
    ("answer", "code", "told"),
    [
        (json_response({"errors": [{"code": "E7", "message": "no wallet"}]}, 400), 6, "E7 (no wallet)"),
        (json_response({"errors": [{"code": "E7", "message": "no wallet"}]}), 6, "E7 (no wallet)"),
        (json_response({"errors": ["plain"]}), 6, "plain"),
        (json_response({"statusCode": 404, "message": "no", "error": "Not Found"}, 404), 6, "404 (no)"),
        (
            json_response({"statusCode": 400, "message": ["a bad", "b bad"], "error": "x"}, 400),
            6,
            "a bad; b bad",
        ),
        (json_response({"statusCode": 401, "message": "Unauthorized"}), 4, "Unauthorized"),
        (json_response({"errors": [{"code": "x", "message": "denied"}]}, 403), 4, "denied"),
        (json_response({}), 6, "has no data"),
        (json_response({"data": None}), 6, "data is null"),
        (json_response([]), 6, "not an object"),
        (SandboxResponse(200, b""), 6, "empty"),
        (SandboxResponse(404, b"<html>"), 6, "HTTP 404"),
        (SandboxResponse(200, b"<html></html>"), 6, "web page"),
        (json_response({"data": [{"balance": "1"}]}), 6, "has no asset"),
    ],
)
def test_the_wallets_errors(program: Program, answer: SandboxResponse, code: int, told: str) -> None:
    """Each likely shape of an error gives its exit code and its words; none is taken for no balances."""
    with Sandbox(scripted={BALANCE: [answer]}) as server:
        result = program.with_profile(_profile(server), "wallet", "-o", "json", "--retries", "0")
    assert (code, []) == (result.code, result.json["balances"])
    assert told in result.err


def test_deposit_addresses_in_the_table(program: Program, sandbox: Sandbox) -> None:
    """`--addresses` shows network, address and memo under the asset; without it the table has none."""
    shown = program.with_profile(_profile(sandbox), "wallet", "--addresses").out
    assert "XRP: rEb8TK3gBgk5auZkwc6sHnwrGVJH8DuaLh, memo 270215" in shown
    assert "rEb8TK3gBgk5auZkwc6sHnwrGVJH8DuaLh" not in program.with_profile(_profile(sandbox), "wallet").out


@each_case("odd", ["\\ud800", "US\\udfffDT", "\\ude00\\ud83d", "\\ud83d\\ud83d\\ude00"])
def test_half_a_character_is_no_name(program: Program, odd: str) -> None:
    """An unpaired surrogate fails its account and no other: what replaces it could make two names one."""
    rows = [_row(asset="\ufffd"), _row(asset="USDT")]
    bad = json.dumps({"data": rows}).replace('"USDT"', f'"{odd}"').encode()
    assert odd.encode() in bad
    with Sandbox(scripted={BALANCE: [SandboxResponse(200, bad)]}) as server:
        text = (
            _profile(server, wallets=("w-1",))
            + '[profiles.main.merchant]\nname = "shop"\n'
            + (f'base_url = "{server.url}/merchant"\ntoken = "sandbox-merchant-token"\n')
        )
        document = program.with_profile(text, "all", "-o", "json").json
    assert ["failed", "ok"] == [account["status"] for account in document["accounts"]]
    assert "answer.shape" == document["accounts"][0]["error"]["code"]
    assert {"shop"} == {row["account"] for row in document["balances"]}


def test_names_that_differ_in_case_are_two_assets(program: Program) -> None:
    """Each is a row and a total of its own, with one warning for the run; other foldings join nothing."""
    spellings = ["USDT", "usdt", "U\u017fDT", "u\u017fdt", "\u212a", "K", "\u0130", "i\u0307"]
    rows = [_row(asset=name, balance=str(number)) for number, name in enumerate(spellings, 1)]
    with Sandbox(scripted={BALANCE: [json_response({"data": rows})]}) as server:
        whole = program.with_profile(_profile(server), "wallet", "-o", "json").json
        loose = program.with_profile(_profile(server), "wallet", "-o", "json", "--asset", "Usdt,k").json
        exact = program.with_profile(
            _profile(server), "wallet", "-o", "json", "--asset", "usdt,k", "--exact"
        ).json
    assert sorted(spellings) == sorted(total["asset"] for total in whole["totals"])
    messages = [warning["message"] for warning in whole["warnings"] if warning["code"] == "asset.case"]
    assert ["USDT, usdt differ", "U\u017fDT, u\u017fdt differ"] == sorted(
        message.partition(" only in case")[0] for message in messages
    )
    assert {"USDT", "usdt", "K"} == {row["asset"] for row in loose["balances"]}
    assert ["usdt"] == [row["asset"] for row in exact["balances"]]
    assert ["asset.not_listed"] == [warning["code"] for warning in exact["warnings"]]
