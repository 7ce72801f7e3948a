"""The VelaFi merchant account: signed tokens, the envelope, many merchants, fiat, the aggregate."""

import re
from typing import Any

import pytest

from balcli.errors import BadShape
from balcli.http.strictjson import Json, Number
from balcli.providers import merchant_requests
from balcli.providers.merchant_requests import signature
from balcli.sandbox import Sandbox, SandboxResponse, json_response
from balcli.sandbox.merchant import API_KEY, API_SECRET, TOKEN, Merchant
from tests.conftest import Program, Result
from tests.generated import sampled
from tests.lists import each_case

ASSETS = "/merchant/v2/assets/account/assets"
TOKENS = "/merchant/v2/token/generate"
LIST = "/merchant/v2/merchants"
FIAT = "/merchant/v2/merchant/accounts"
BY_TOKEN = f'token = "{TOKEN}"'
BY_KEY = f'api_key = "{API_KEY}"\napi_secret = "{API_SECRET}"'


def _profile(server: Sandbox, credentials: str = BY_TOKEN, merchant_id: int = 0, name: str = "shop") -> str:
    return (
        f'[[profiles.main.merchant]]\nname = "{name}"\nbase_url = "{server.url}/merchant"\n{credentials}\n'
        f"merchant_id = {merchant_id}\n"
    )


def _success(balances: object, **more: object) -> SandboxResponse:
    return json_response({"code": 200, "msg": "SUCCESS", "data": {"balances": balances, **more}})


def _row(**fields: object) -> dict[str, object]:
    full = {"asset": "USDT", "assetId": "1", "assetName": "Tether", "total": "10", "free": "9", "locked": "1"}
    return {key: value for key, value in {**full, **fields}.items() if value != "absent"}


def _run(program: Program, answer: SandboxResponse, *arguments: str) -> Result:
    with Sandbox(scripted={ASSETS: [answer]}) as server:
        return program.with_profile(_profile(server), "merchant", "-o", "json", "--retries", "0", *arguments)


def _paths(server: Sandbox) -> list[str]:
    return [request.path for request in server.log]


def test_the_documented_signature() -> None:
    """The vendor's test vector: secret `xxxx` and its timestamp give the documented signature."""
    expected = "7fdd71b6dfed9a746d2698e980a2cb5dc15ca9fab9e4339676dea3c282a862c6"
    assert expected == signature("xxxx", "1740568725231")


def test_a_key_and_secret_make_a_token(program: Program, sandbox: Sandbox) -> None:
    """The key signs for one token, which is sent as X-BH-TOKEN; the key and secret go nowhere else."""
    result = program.with_profile(_profile(sandbox, BY_KEY), "merchant", "-o", "json")
    generate, assets = sandbox.log
    assert (0, [TOKENS, ASSETS]) == (result.code, _paths(sandbox))
    assert API_KEY == generate.headers["x-bh-apikey"]
    assert re.fullmatch("[0-9]{13}", generate.query["timestamp"])
    assert "x-bh-apikey" not in assets.headers
    assert API_KEY != assets.headers["x-bh-token"]
    assert API_SECRET not in str(sandbox.log)
    assert {"merchantId": "0"} == assets.query


def test_one_token_serves_all_merchants_of_a_key(program: Program, sandbox: Sandbox) -> None:
    """Several merchants of one key cost one token."""
    arguments = ("--merchant-id", "12345", "--merchant-id", "12346")
    result = program.with_profile(_profile(sandbox, BY_KEY), "merchant", "-o", "json", *arguments)
    assert ["shop/12345", "shop/12346"] == [account["account"] for account in result.json["accounts"]]
    assert 1 == _paths(sandbox).count(TOKENS)


def test_a_token_that_expires_in_a_run_costs_one_refresh(program: Program) -> None:
    """A token refused in mid-run is made again once, for all merchants, and the run is complete."""
    with Sandbox(faults=["merchant:expired"], latency=0.05) as server:
        arguments = ("--merchant-id", "12345", "--merchant-id", "12346", "--merchant-id", "12347")
        result = program.with_profile(_profile(server, BY_KEY), "merchant", "-o", "json", *arguments)
        assert (0, 2) == (result.code, _paths(server).count(TOKENS))


def test_a_token_past_its_time_is_not_used_again(program: Program) -> None:
    """Past its expireTime a token is made again before it is used; one that is born past is used as it is."""
    past = json_response(
        {"code": 200, "msg": "SUCCESS", "data": {"token": TOKEN, "expireTime": "1740568725231"}}
    )
    with Sandbox(scripted={TOKENS: [past]}) as server:
        result = program.with_profile(_profile(server, BY_KEY), "merchant", "-o", "json")
        assert (0, 1) == (result.code, _paths(server).count(TOKENS))


@each_case(
    "answer",
    [
        json_response({"code": 200, "msg": "SUCCESS", "data": {}}),
        json_response({"code": 200, "msg": "SUCCESS", "data": {"token": ""}}),
        json_response({"code": 200, "msg": "SUCCESS", "data": {"token": "a\r\nX-Evil: 1"}}),
    ],
)
def test_an_answer_without_a_usable_token(program: Program, answer: SandboxResponse) -> None:
    """A token answer without a token that a header can carry is no answer: exit code 6."""
    with Sandbox(scripted={TOKENS: [answer]}) as server:
        result = program.with_profile(_profile(server, BY_KEY), "merchant", "-o", "json")
        assert (6, [TOKENS]) == (result.code, _paths(server))


def test_the_three_amounts_are_shown_as_sent(program: Program) -> None:
    """Total, free and locked are the provider's; where they do not add up, a warning says so."""
    result = _run(program, _success([_row(total="10", free="9", locked="2")], canDeposit=False))
    row = result.json["balances"][0]
    assert ("10", "9", "2", "1") == (row["total"], row["available"], row["locked"], row["asset_id"])
    assert {"asset_name": "Tether", "can_deposit": False, "merchant_id": "0"} == row["details"]
    assert ["amount.mismatch"] == [warning["code"] for warning in result.json["warnings"]]


def test_a_warning_names_an_asset_by_no_more_than_can_be_read(program: Program) -> None:
    """A name of ten thousand characters is whole in its row and cut in the warnings, whose amounts stay whole."""
    row = _row(asset="N" * 10_000, total="10.5", free="9", locked="2")
    report = _run(program, _success([row, row])).json
    told = {warning["code"]: warning["message"] for warning in report["warnings"]}
    name = "N" * 45 + "..."
    mismatch = f"{name}: the provider's total 10.5 is not free 9 + locked 2; amounts are shown as sent"
    assert (
        [row["asset"]] * 2,
        mismatch,
        f"{name} occurs 2 times in the response; all rows are in the totals",
    ) == (
        [balance["asset"] for balance in report["balances"]],
        told["amount.mismatch"],
        told["asset.repeated"],
    )


@each_case("field", ["total", "free", "locked"])
def test_an_amount_that_is_none_fails_the_account(program: Program, field: str) -> None:
    """All three amounts must be there and be decimal numbers: else the account fails, without a row."""
    amounts: list[object] = [None, "absent", "1_000", "", True, " 1 ", "NaN", "1e41", {}]
    answers = [_success([_row(**{field: amount})]) for amount in amounts]
    with Sandbox(scripted={ASSETS: answers}) as server:
        text = "".join(_profile(server, merchant_id=n, name=f"m{n}") for n, _ in enumerate(amounts, 1))
        result = program.with_profile(text, "merchant", "-o", "json")
        assert len(amounts) == len(server.log)
    codes = [account["error"]["code"] for account in result.json["accounts"]]
    assert (6, [], ["answer.amount"] * len(amounts)) == (result.code, result.json["balances"], codes)


@each_case("body", [b"1e-18", b"-0", b"0.30000000000000004", b"123456789012345678901234567890.5"])
def test_numbers_are_as_exact_as_texts(program: Program, body: bytes) -> None:
    """A JSON number keeps every digit that was sent, without a float on the way."""
    answer = b'{"code":200,"data":{"balances":[{"asset":"X","total":%s,"free":%s,"locked":0}]}}' % (
        body,
        body,
    )
    row = _run(program, SandboxResponse(200, answer)).json["balances"][0]
    expected = {b"1e-18": "0.000000000000000001", b"-0": "0"}.get(body, body.decode())
    assert (expected, expected, body.decode()) == (row["total"], row["available"], row["raw"]["total"])


@pytest.mark.parametrize(
    ("answer", "code", "told"),
    [
        (
            json_response({"code": -5006, "msg": "MC_NOT_EXIST"}),
            6,
            "the merchant does not exist; check merchant_id",
        ),
        (json_response({"code": -5006, "msg": "MC_NOT_EXIST"}, 400), 6, "-5006 (MC_NOT_EXIST)"),
        (json_response({"code": -5043, "msg": "x"}), 6, "KYC"),
        (json_response({"code": -1, "msg": "odd"}), 6, "-1 (odd)"),
        (json_response({"code": 201, "msg": "SUCCESS", "data": {"balances": []}}), 6, "error 201"),
        (json_response({"data": {"balances": []}}), 6, "without a code"),
        (json_response({"code": 200, "data": None}), 6, "data is null"),
        (json_response({"code": 200, "data": {"balances": None}}), 6, "balances is null"),
        (json_response({"code": 200, "data": {}}), 6, "has no balances"),
        (json_response([]), 6, "without a code"),
        (json_response({"code": 401, "msg": "token"}, 401), 4, "HTTP 401: token"),
        (SandboxResponse(403, b""), 4, "HTTP 403"),
        (_success([_row(asset="")]), 6, "asset is an empty string"),
        (_success([_row(asset=5)]), 6, "asset is a number"),
        (_success([_row(assetId=[])]), 6, "assetId is a list"),
    ],
)
def test_the_merchants_errors(program: Program, answer: SandboxResponse, code: int, told: str) -> None:
    """Success is HTTP 200 with the number 200 as code; anything else gives its exit code and its words."""
    result = _run(program, answer)
    assert (code, []) == (result.code, result.json["balances"])
    assert told in result.err


def test_assets_are_chosen_by_symbol_or_id(program: Program) -> None:
    """`--asset` matches the asset or `#assetId` of any case; one that is not listed gives a warning."""
    answer = _success([_row(), _row(asset="BTC", assetId="2"), _row(asset="XRP", assetId=None)])

    def chosen(wanted: str) -> tuple[list[str], list[str]]:
        document = _run(program, answer, "--asset", wanted).json
        return [r["asset"] for r in document["balances"]], [w["message"] for w in document["warnings"]]

    assert (["BTC"], []) == chosen("btc")
    assert (["USDT"], []) == chosen("#1")
    assert ([], ["#None is not listed; check --asset"]) == chosen("#None")
    assert (["BTC"], ["ETH is not listed; check --asset"]) == chosen("BTC,ETH")


def test_all_merchants_of_a_key(program: Program, sandbox: Sandbox) -> None:
    """`--all-merchants` lists them, whatever their state, and asks for each; names and e-mails stay out."""
    result = program.with_profile(_profile(sandbox, BY_KEY), "merchant", "-o", "json", "--all-merchants")
    assert ["shop/12345", "shop/12346", "shop/12347"] == [a["account"] for a in result.json["accounts"]]
    totals = {total["asset"]: total["total"] for total in result.json["totals"]}
    assert (0, {"BTC": "2", "USDT": "5000"}) == (result.code, totals)
    (listing,) = [request for request in sandbox.log if request.path == LIST]
    assert {"status": "-1", "pageSize": "1000", "currentPage": "1"} == listing.query
    assert "shop.example" not in result.out


@pytest.mark.whole
@pytest.mark.parametrize(("merchants", "pages"), sampled([(1001, 2), (2001, 3)], 2))
def test_a_thousand_merchants_and_more(program: Program, merchants: int, pages: int) -> None:
    """A key with more merchants than a page is listed in pages of 1,000, and each merchant is an account."""
    with Sandbox(stand_ins=[Merchant(merchants=merchants)]) as server:
        arguments = ("--all-merchants", "--jobs", "50", "--deadline", "120")
        result = program.with_profile(_profile(server, BY_KEY), "merchant", "-o", "json", *arguments)
        assert (pages, 1) == (_paths(server).count(LIST), _paths(server).count(TOKENS))
    assert (0, merchants) == (result.code, len(result.json["accounts"]))
    assert str(5000 + merchants - 3) == {t["asset"]: t["total"] for t in result.json["totals"]}["USDT"]


def test_a_list_of_three_pages() -> None:
    """2,001 rows are asked for in three pages, of which the last has one."""
    everything: list[Json] = [{"merchantId": str(number)} for number in range(2001)]
    asked = []

    def page_of(size: int, page: int) -> Json:
        asked.append(page)
        return {"data": {"data": everything[(page - 1) * size : page * size], "total": Number("2001")}}

    assert (everything, [1, 2, 3]) == (merchant_requests.all_rows(page_of), asked)


@each_case(
    "pages",
    [
        [
            json_response({"code": 200, "data": {"data": [{"merchantId": 1}], "total": 2}}),
            SandboxResponse(500, b""),
        ],
        [
            json_response({"code": 200, "data": {"data": [{"merchantId": 1}], "total": 2}}),
            json_response({"code": 200, "data": {"data": [], "total": 2}}),
        ],
        [json_response({"code": 200, "data": {"record": [{"merchantId": "x"}]}})],
        [json_response({"code": 200, "data": {"other": []}})],
        [json_response({"code": -5033, "msg": "NOT_API_USER"})],
    ],
)
def test_a_merchant_list_that_cannot_be_had(program: Program, pages: list[SandboxResponse]) -> None:
    """If any page fails or is missing, the account fails under its own name: a part is not the whole."""
    with Sandbox(scripted={LIST: pages}) as server:
        text = _profile(server)
        result = program.with_profile(text, "merchant", "-o", "json", "--all-merchants", "--retries", "0")
    assert [("shop", "failed")] == [(a["account"], a["status"]) for a in result.json["accounts"]]
    assert result.code in {5, 6}


def test_a_list_without_a_count_ends_with_an_empty_or_repeated_page(program: Program) -> None:
    """Where no total is told, an empty page ends a list, and so does a server that does not page at all."""
    for pages, expected in (
        ([{"record": [{"merchantId": 12345}]}, {"record": [{"merchantId": 12346}]}, {"record": []}], 2),
        ([{"data": [{"merchantId": 12345}]}], 1),
        ([{"data": []}], 1),
    ):
        responses = [json_response({"code": 200, "data": page}) for page in pages]
        with Sandbox(scripted={LIST: responses}) as server:
            result = program.with_profile(_profile(server), "merchant", "-o", "json", "--all-merchants")
        assert (0, expected) == (result.code, len(result.json["accounts"]))


def test_a_list_without_an_end_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where rows come page after page and no count says how many there are, what was listed by then is not all."""
    monkeypatch.setattr(merchant_requests, "_MOST_PAGES", 3)
    ends = iter(range(1, 9))
    assert [{"merchantId": "1"}] == merchant_requests.all_rows(
        lambda _size, _page: {"data": [{"merchantId": "1"}]}
    )
    with pytest.raises(BadShape, match="incomplete list: expected more rows, got 3;"):
        merchant_requests.all_rows(lambda _size, _page: {"data": [{"merchantId": str(next(ends))}]})


def test_fiat_balances(program: Program, sandbox: Sandbox) -> None:
    """`--fiat` adds the merchant's currencies: the balance is the total, the rest is unknown."""
    result = program.with_profile(_profile(sandbox, merchant_id=12345), "merchant", "-o", "json", "--fiat")
    rows: list[dict[str, Any]] = [r for r in result.json["balances"] if r["details"].get("kind") == "fiat"]
    assert [("MXN", "310000.5", None, None), ("USD", "12500", None, None)] == [
        (row["asset"], row["total"], row["available"], row["locked"]) for row in rows
    ]
    assert {"kind": "fiat", "merchant_id": "12345"} == rows[1]["details"]
    assert {"balance": "12500.00"} == rows[1]["raw"]


def test_fiat_of_all_merchants_is_listed_once(program: Program, sandbox: Sandbox) -> None:
    """With many merchants the list of fiat accounts is asked for once, and the aggregate shows every row."""
    arguments = ("merchant", "-o", "json", "--fiat")
    each = program.with_profile(_profile(sandbox), *arguments, "--all-merchants").json
    assert 1 == _paths(sandbox).count(FIAT)
    whole = program.with_profile(_profile(sandbox), *arguments).json
    expected = {"BTC": "2", "MXN": "310000.5", "USD": "13300.25", "USDT": "5000"}
    for document in (each, whole):
        assert expected == {total["asset"]: total["total"] for total in document["totals"]}
        assert [] == document["warnings"]


def test_the_aggregate_is_never_added_to_its_merchants(program: Program, sandbox: Sandbox) -> None:
    """An aggregate beside single merchants of its key is shown and left out of the totals, with a warning."""
    text = _profile(sandbox) + _profile(sandbox, merchant_id=12345, name="one")
    result = program.with_profile(text, "merchant", "-o", "json")
    assert {"BTC": "0.5", "USDT": "1000"} == {t["asset"]: t["total"] for t in result.json["totals"]}
    assert [("total.aggregate_left_out", "shop")] == [
        (warning["code"], warning["account"]) for warning in result.json["warnings"]
    ]
    assert 4 == len(result.json["balances"])


def test_a_merchant_of_two_accounts_counts_once(program: Program, sandbox: Sandbox) -> None:
    """With --all-merchants, a merchant that two accounts of the profile stand for is asked for and added once."""
    text = _profile(sandbox, merchant_id=0) + _profile(sandbox, merchant_id=12345, name="one")
    result = program.with_profile(text, "merchant", "-o", "json", "--all-merchants")
    assert {"BTC": "2", "USDT": "5000"} == {t["asset"]: t["total"] for t in result.json["totals"]}


def test_all_merchants_and_one_do_not_go_together(program: Program, sandbox: Sandbox) -> None:
    """--all-merchants with --merchant-id is wrong usage."""
    result = program.with_profile(
        _profile(sandbox), "merchant", "-o", "json", "--all-merchants", "--merchant-id", "1"
    )
    assert (2, "usage", []) == (result.code, result.json["errors"][0]["code"], _paths(sandbox))


def test_one_symbol_under_two_ids_is_two_rows(program: Program) -> None:
    """Both are shown and in the total, with one warning that names the ids; an id alone selects one row."""
    rows = [
        _row(asset="USDT", assetId="1", total="10", free="10", locked="0"),
        _row(asset="USDT", assetId="2", total="5", free="5", locked="0"),
        _row(asset="usdt", assetId=None, total="1", free="1", locked="0"),
    ]
    document = _run(program, _success(rows)).json
    assert [("USDT", "1"), ("USDT", "2"), ("usdt", None)] == [
        (r["asset"], r["asset_id"]) for r in document["balances"]
    ]
    assert {"USDT": "15", "usdt": "1"} == {total["asset"]: total["total"] for total in document["totals"]}
    messages = {warning["code"]: warning["message"] for warning in document["warnings"]}
    assert {"asset.repeated", "asset.case"} == messages.keys()
    assert (
        "USDT occurs 2 times in the response under the ids 1, 2; all rows are in the totals"
        == messages["asset.repeated"]
    )
