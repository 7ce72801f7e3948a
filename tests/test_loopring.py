"""The Loopring relayer: units, labels, unknown tokens, NFTs, paging, pacing, the token table's cache."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from balcli.sandbox import Sandbox, SandboxResponse, json_response
from balcli.sandbox.loopring import ACCOUNT_ID, ADDRESS, KEY, Loopring
from tests.conftest import Program, Result
from tests.lists import each_case

BALANCES = "/loopring/api/v3/user/balances"
TOKENS = "/loopring/api/v3/exchange/tokens"
NFTS = "/loopring/api/v3/user/nft/balances"


def _profile(server: Sandbox, extra: str = "", count: int = 1) -> str:
    return "".join(
        f'[[profiles.main.loopring]]\nname = "l{number}"\nbase_url = "{server.url}/loopring"\n'
        f'api_key = "{KEY}"\naccount_id = {ACCOUNT_ID + number}\n{extra}\n'
        for number in range(count)
    )


def _token(token_id: object, symbol: object, decimals: object, **more: object) -> dict[str, object]:
    return {"tokenId": token_id, "symbol": symbol, "decimals": decimals, "precision": 3, **more}


def _row(token_id: object, total: object, locked: object = "0", **more: object) -> dict[str, object]:
    return {"accountId": ACCOUNT_ID, "tokenId": token_id, "total": total, "locked": locked, **more}


def _run(
    program: Program, tokens: list[dict[str, object]], rows: list[dict[str, object]], *arguments: str
) -> tuple[Result, Sandbox]:
    """The run of one account whose relayer has these tokens and answers with these rows."""
    with Sandbox(scripted={TOKENS: [json_response(tokens)], BALANCES: [json_response(rows)]}) as server:
        return program.with_profile(_profile(server), "loopring", "-o", "json", *arguments), server


def _amounts(result: Result) -> list[tuple[Any, ...]]:
    return [(r["asset"], r["total"], r["available"], r["locked"]) for r in result.json["balances"]]


def test_decimals_are_the_unit_and_precision_is_not(program: Program) -> None:
    """The token's `decimals` scale its amounts, whatever its display precision."""
    result, _ = _run(program, [_token(3, "USDT", 6, enabled=False)], [_row(3, "1234567", "567")])
    assert _amounts(result) == [("USDT", "1.234567", "1.234", "0.000567")]


def test_the_largest_amount_is_exact(program: Program) -> None:
    """The 29 digits of a full uint96 come through whole, in available = total - locked, too."""
    largest = str(2**96 - 1)
    result, _ = _run(program, [_token(0, "ETH", 18)], [_row(0, largest, "1")])
    assert _amounts(result) == [
        ("ETH", "79228162514.264337593543950335", "79228162514.264337593543950334", "0.000000000000000001")
    ]


@each_case(
    "total", ["1.0", "1e3", "", " 1", "+1", "0x10", "1_000", "١٢", None, True, [], 1.5, "NaN", "1" * 81]
)
def test_what_is_no_integer_fails_the_account(program: Program, total: object) -> None:
    """An amount that is not a plain integer of smallest units is refused: no row, no zero, exit code 6."""
    result, _ = _run(program, [_token(0, "ETH", 18)], [_row(0, total)])
    assert (
        result.code,
        result.json["balances"],
        result.json["accounts"][0]["error"]["code"],
    ) == (6, [], "answer.amount")


def test_integers_as_numbers_are_as_good_as_texts(program: Program) -> None:
    """An amount or a token id may be a JSON number, of any length, and a token id a text of digits."""
    with Sandbox(
        scripted={
            TOKENS: [json_response([_token(0, "ETH", 18)])],
            BALANCES: [
                SandboxResponse(200, b'[{"tokenId":"0","total":12345678901234567890123456789,"locked":0}]')
            ],
        }
    ) as server:
        result = program.with_profile(_profile(server), "loopring", "-o", "json")
    assert _amounts(result) == [
        ("ETH", "12345678901.234567890123456789", "12345678901.234567890123456789", "0")
    ]


def test_one_symbol_of_two_tokens(program: Program) -> None:
    """Two tokens with one symbol carry their ids, also where only one is held, and are never added; nor is a third named like them."""
    tokens = [_token(24, "SNX", 18), _token(173, "SNX", 18)]
    both, _ = _run(program, tokens, [_row(24, "1" + "0" * 18), _row(173, "2" + "0" * 18)])
    assert [total["asset"] for total in both.json["totals"]] == ["SNX#173", "SNX#24"]
    one, _ = _run(program, [*tokens, _token(5, "SNX#24", 6)], [_row(24, "1" + "0" * 18), _row(5, "7000000")])
    assert _amounts(one) == [("SNX#24", "1", "1", "0"), ("SNX#24#5", "7", "7", "0")]
    assert [total["total"] for total in one.json["totals"]] == ["1", "7"]


@each_case("decimals", [None, "18", 78, -1, 18.5, True, 10**30])
def test_a_token_without_a_sound_unit_is_unknown(program: Program, decimals: object) -> None:
    """Where a token's decimals are no integer from 0 to 77, its amounts are unknown and its raw units kept."""
    result, _ = _run(program, [_token(7, "ODD", decimals)], [_row(7, "500", "20")])
    assert _amounts(result) == [("#7", None, None, None)]
    assert result.json["balances"][0]["raw"] == {"total": "500", "locked": "20"}
    assert [warning["code"] for warning in result.json["warnings"]] == ["asset.unknown"]
    assert (result.code, result.json["totals"], result.json["complete"]) == (0, [], True)


def test_an_unknown_token_keeps_its_row_and_the_others_their_amounts(program: Program) -> None:
    """A token that the table lacks blanks nothing else, and is told in the table with its raw units."""
    with Sandbox(
        scripted={
            TOKENS: [json_response([_token(0, "ETH", 18)])],
            BALANCES: [json_response([_row(0, "1" + "0" * 18), _row(999, "77")])],
        }
    ) as server:
        result = program.with_profile(_profile(server), "loopring")
    assert "ETH" in result.out
    assert "raw total 77, raw locked 0" in result.out
    assert "token #999 is not in the relayer's token table" in result.err


def test_the_table_says_what_is_a_token(program: Program) -> None:
    """An id from 32768 that the table lists is a token with its unit; one that it does not list is an NFT slot."""
    tokens = [
        _token(32768, "VAULT", 2),
        _token(40000, "BAD", "2"),
        _token(5, "nft:32769", 0),
        _token(6, "NFT:9", 0),
    ]
    rows = [_row(number, "300") for number in (32767, 32768, 32769, 40000, 5, 6, 65536)]
    result, _ = _run(program, tokens, rows)
    assert _amounts(result) == [
        ("#32767", None, None, None),
        ("#40000", None, None, None),
        ("NFT:9#6", "300", "300", "0"),
        ("VAULT", "3", "3", "0"),
        ("nft:32769", "300", "300", "0"),
        ("nft:32769#5", "300", "300", "0"),
        ("nft:65536", "300", "300", "0"),
    ]
    assert ["NFT:9#6", "VAULT", "nft:32769#5"] == [total["asset"] for total in result.json["totals"]]
    told = {w["message"].partition(":")[0] for w in result.json["warnings"]}
    assert told == {
        "token #32767 is not in the relayer's token table",
        "token #40000 (BAD) has no usable unit in the relayer's token table",
    }


def test_a_token_without_a_unit_is_found_by_its_symbol(program: Program) -> None:
    """It answers to its symbol and its id, is called listed, and makes another token of its symbol carry its id."""
    tokens = [
        _token(7, "ODD", None),
        _token(8, "ODD", 0),
        _token(9, None, 18),
        _token(10, "X", 1),
        _token(10, "X", 2),
    ]
    rows = [_row(number, "5") for number in (7, 8, 9, 10)]
    result, _ = _run(program, tokens, rows, "--asset", "odd,x,#9")
    assert ["#10", "#7", "#9", "ODD#8"] == [row["asset"] for row in result.json["balances"]]
    messages = sorted(warning["message"].partition(" no usable")[0] for warning in result.json["warnings"])
    assert ["token #10 (X) has", "token #7 (ODD) has", "token #9 has"] == messages
    assert "no usable symbol" in result.err


def test_an_id_that_the_table_lacks_can_be_asked_for(program: Program) -> None:
    """What is named by an id is looked for in the whole answer: a filter by the table's ids would lose its row."""
    rows = [_row(number, "5") for number in (0, 999, 40000)]
    for wanted, asset in (
        ("#999,eth", {"ETH", "#999"}),
        ("nft:40000,#0", {"ETH", "nft:40000"}),
        ("#40000", {"nft:40000"}),
    ):
        result, server = _run(program, [_token(0, "ETH", 0)], rows, "--asset", wanted)
        assert asset == {row["asset"] for row in result.json["balances"]}
        assert "tokens" not in server.log[-1].query
        assert "asset.not_listed" not in {warning["code"] for warning in result.json["warnings"]}


@pytest.mark.parametrize("held", [True, False])
def test_a_symbol_with_half_a_character_fails_who_holds_it(program: Program, held: bool) -> None:
    """A token that nobody holds hurts nobody; a row of it has no name, and fails its account."""
    tokens = [_token(0, "ETH", 0), _token(1, "\ud800", 0), _token(2, "\ufffd", 0)]
    result, _ = _run(program, tokens, [_row(0, "5"), _row(2, "6"), *([_row(1, "7")] if held else [])])
    assert (6 if held else 0) == result.code
    assert ([] if held else ["ETH", "\ufffd"]) == [row["asset"] for row in result.json["balances"]]


def test_nfts_of_another_account_are_refused(program: Program) -> None:
    """Also where the account is named by its address, and on a later page: whose the balances are, the NFTs must be."""
    mine, other = _row(32768, "1"), {**_row(32769, "1"), "accountId": 1}
    pages = [
        ([mine, other], [_row(0, "1")], 6),
        ([{**mine, "accountId": 1}], [_row(0, "1")], 6),
        ([mine, other], [], 6),
        ([mine, {**other, "accountId": None}], [_row(0, "1")], 0),
        ([other], [], 6),
    ]
    for place, (nfts, rows, code) in enumerate(pages):
        for target in (f"account_id = {ACCOUNT_ID}", f'address = "{ADDRESS}"'):
            scripted = {
                TOKENS: [json_response([_token(0, "ETH", 0)])],
                BALANCES: [json_response(rows)],
                NFTS: [
                    json_response({"totalNum": len(nfts), "data": nfts[:1]}),
                    json_response({"totalNum": len(nfts), "data": nfts[1:]}),
                ],
            }
            with Sandbox(scripted=scripted) as server:
                text = _profile(server).replace(f"account_id = {ACCOUNT_ID}", target)
                result = program.with_profile(text, "loopring", "-o", "json", "--nfts")
            # An address without a balance says nothing of whose it is: its NFTs must be of one account.
            due = 0 if place == 4 and "address" in target else code
            assert (place, target, due) == (place, target, result.code)


def test_nfts_hide_no_token(program: Program) -> None:
    """A slot that both answers list alike is one row; whatever differs, and a token named like a slot, stays."""
    tokens = [_token(5, "nft:32768", 0), _token(32770, "VAULT", 0)]
    rows = [_row(5, "9"), _row(32768, "1"), _row(32769, "2"), _row(32770, "7")]
    nfts = [_row(32768, "1"), _row(32769, "3"), _row(32770, "1"), _row(32771, "4")]
    with Sandbox(
        scripted={
            TOKENS: [json_response(tokens)],
            BALANCES: [json_response(rows)],
            NFTS: [json_response({"totalNum": 4, "data": nfts})],
        }
    ) as server:
        result = program.with_profile(_profile(server), "loopring", "-o", "json", "--nfts")
    assert [(asset, total) for asset, total, _, _ in _amounts(result)] == [
        ("VAULT", "7"),
        ("nft:32768", "1"),
        ("nft:32768#5", "9"),
        ("nft:32769", "2"),
        ("nft:32769", "3"),
        ("nft:32770", "1"),
        ("nft:32771", "4"),
    ]
    assert {"VAULT": "7", "nft:32768#5": "9"} == {t["asset"]: t["total"] for t in result.json["totals"]}


def test_without_pending_its_details_are_unknown(program: Program) -> None:
    """A row without `pending` has unknown pending amounts, not zeros; with it they are in whole units."""
    pending = {"withdraw": "1500000", "deposit": "2"}
    result, _ = _run(program, [_token(3, "USDT", 6)], [_row(3, "1"), _row(3, "1", pending=pending)])
    assert [row["details"] for row in result.json["balances"]] == [
        {"pending_withdraw": None, "pending_deposit": None},
        {"pending_withdraw": "1.5", "pending_deposit": "0.000002"},
    ]


def test_the_same_token_twice(program: Program) -> None:
    """A token that stands twice in an answer keeps both rows, both in the total, with a warning."""
    result, _ = _run(program, [_token(3, "USDT", 6)], [_row(3, "1000000"), _row(3, "2000000")])
    assert [row["total"] for row in result.json["balances"]] == ["1", "2"]
    assert result.json["totals"][0]["total"] == "3"
    assert [warning["code"] for warning in result.json["warnings"]] == ["asset.repeated"]


def test_a_row_of_another_account_is_refused(program: Program) -> None:
    """An answer about another account than the one asked for is not shown as this one's."""
    result, _ = _run(program, [_token(0, "ETH", 18)], [{**_row(0, "1"), "accountId": 1}])
    assert (result.code, result.json["accounts"][0]["error"]["code"]) == (6, "answer.shape")


@pytest.mark.parametrize("wanted", ["eth", "ETH", "#0"])
def test_assets_become_token_ids(program: Program, sandbox: Sandbox, wanted: str) -> None:
    """`--asset` takes a symbol of any case or an id; the relayer is asked for the token's id alone."""
    result = program.with_profile(_profile(sandbox), "loopring", "-o", "json", "--asset", wanted)
    assert [row["asset"] for row in result.json["balances"]] == ["ETH"]
    assert sandbox.log[-1].query["tokens"] == "0"


def test_an_asset_of_two_tokens_and_one_of_none(program: Program, sandbox: Sandbox) -> None:
    """A doubled symbol asks for both ids, a label for one; a symbol that is not there gives a warning."""
    both = program.with_profile(_profile(sandbox), "loopring", "-o", "json", "--asset", "snx,LRC")
    assert sandbox.log[-1].query["tokens"] == "1,24,173"
    assert [row["asset"] for row in both.json["balances"]] == ["LRC", "SNX#24"]
    one = program.with_profile(_profile(sandbox), "loopring", "-o", "json", "--asset", "SNX#173")
    assert (sandbox.log[-1].query["tokens"], one.json["balances"]) == ("173", [])
    none = program.with_profile(_profile(sandbox), "loopring", "-o", "json", "--asset", "NOPE")
    assert (
        none.code,
        none.json["balances"],
        [warning["code"] for warning in none.json["warnings"]],
    ) == (0, [], ["asset.not_listed"])


def test_an_account_by_its_address(program: Program, sandbox: Sandbox) -> None:
    """An address stands for the account, in a profile and, for one run, on the command line."""
    text = f'[profiles.main.loopring]\nbase_url = "{sandbox.url}/loopring"\napi_key = "{KEY}"\naddress = "{ADDRESS}"\n'
    assert program.with_profile(text, "loopring", "-o", "json").json["accounts"][0]["target"] == {
        "address": ADDRESS
    }
    assert [ADDRESS] == [q.query["address"] for q in sandbox.log if q.path == BALANCES]
    other = program.with_profile(_profile(sandbox), "loopring", "-o", "json", "--address", ADDRESS)
    assert (other.code, other.json["accounts"][0]["target"]) == (0, {"address": ADDRESS})


def test_one_account_by_number_and_by_address_counts_once(program: Program, sandbox: Sandbox) -> None:
    """If the answers tell that two accounts of the profile are one, the second is in no total, with a warning."""
    text = _profile(sandbox) + (
        f'[[profiles.main.loopring]]\nname = "same"\nbase_url = "{sandbox.url}/loopring"\n'
        f'api_key = "{KEY}"\naddress = "{ADDRESS}"\n'
    )
    document = program.with_profile(text, "loopring", "-o", "json").json
    assert "0.099476758" == document["totals"][0]["total"]
    assert [("account.repeated", "same")] == [(w["code"], w["account"]) for w in document["warnings"]]


def test_one_account_with_two_filters_loses_no_row(program: Program, sandbox: Sandbox) -> None:
    """What only one of its names is asked for counts; what both list counts once, with a warning for each row left out."""
    filters = [
        (["ETH", "LRC"], ["LRC", "USDT"], ["LRC"]),
        (["ETH"], ["USDT"], []),
        (["ETH"], [], ["ETH"]),
        ([], ["ETH", "USDT"], ["ETH", "USDT"]),
    ]
    for first, second, again in filters:
        text = _profile(sandbox, f"assets = {json.dumps(first)}" if first else "") + (
            f'[[profiles.main.loopring]]\nname = "same"\nbase_url = "{sandbox.url.replace("127.0.0.1", "localhost")}/loopring/"\n'
            f'api_key = "{KEY}"\naddress = "{ADDRESS}"\n'
            + (f"assets = {json.dumps(second)}\n" if second else "")
        )
        document = program.with_profile(text, "loopring", "-o", "json").json
        held = {row["asset"]: row["total"] for row in document["balances"]}
        assert held == {total["asset"]: total["total"] for total in document["totals"]}
        about, *rows = [w["message"] for w in document["warnings"] if w["code"] == "account.repeated"]
        assert "is the same account as l0" in about
        assert again == [message.partition(" is already listed")[0] for message in rows]


@pytest.mark.parametrize(
    ("answer", "code", "told"),
    [
        (json_response({"resultInfo": {"code": 104002, "message": "invalid key"}}, 400), 4, "check api_key"),
        (
            json_response({"resultInfo": {"code": 101002, "message": "no user"}}, 400),
            4,
            "the account_id or address does not exist, or the API key",
        ),
        (json_response({"resultInfo": {"code": 104003, "msg": "bad id"}}, 400), 6, "104003 (bad id)"),
        (json_response({"code": 100001, "msg": "argument"}), 6, "100001 (argument)"),
        (json_response({"accountId": ["Must satisfy x > 0"]}, 400), 6, "accountId: Must satisfy x > 0"),
        (json_response({"resultInfo": {"code": 0, "message": "SUCCESS"}}), 6, "not a list"),
        (SandboxResponse(400, b""), 6, "HTTP 400"),
        (SandboxResponse(503, b""), 5, "unavailable (HTTP 503)"),
        (SandboxResponse(200, b""), 6, "the body is empty"),
        (SandboxResponse(200, b"<html>gone</html>"), 6, "web page"),
        (
            json_response({"resultInfo": {"code": 104002, "message": "\x1b[31mbad\u202e"}}, 400),
            4,
            "\\x1b[31mbad\\u202e",
        ),
    ],
)
def test_the_relayers_errors(program: Program, answer: SandboxResponse, code: int, told: str) -> None:
    """Each shape of the relayer's errors gives its exit code and its own words, escaped; never a balance."""
    with Sandbox(scripted={BALANCES: [answer]}) as server:
        result = program.with_profile(_profile(server), "loopring", "-o", "json", "--retries", "0")
    assert (code, []) == (result.code, result.json["balances"])
    assert told in result.err
    assert told in result.json["accounts"][0]["error"]["message"]


def test_a_token_table_that_cannot_be_had_fails_the_account(program: Program) -> None:
    """Without a token table there is no unit, so there are no amounts: the account fails."""
    with Sandbox(scripted={TOKENS: [SandboxResponse(200, b"{}")]}) as server:
        result = program.with_profile(_profile(server), "loopring", "-o", "json")
    assert (result.code, result.json["balances"], result.json["accounts"][0]["status"]) == (6, [], "failed")


def test_nfts_are_paged_to_the_end(program: Program, sandbox: Sandbox) -> None:
    """`--nfts` lists all NFTs, 50 at a time, in no total; without it they are not asked for."""
    result = program.with_profile(_profile(sandbox), "loopring", "-o", "json", "--nfts")
    nfts = [row for row in result.json["balances"] if row["details"].get("kind") == "nft"]
    assert [f"nft:{32768 + number}" for number in range(53)] == [row["asset"] for row in nfts]
    assert not [total for total in result.json["totals"] if total["asset"].startswith("nft:")]
    asked = [request.query for request in sandbox.log if request.path == NFTS]
    assert [(query["offset"], query["limit"]) for query in asked] == [("0", "50"), ("50", "50")]
    program.with_profile(_profile(sandbox), "loopring", "-o", "json")
    assert len([request for request in sandbox.log if request.path == NFTS]) == 2


_FIRST_PAGE = json_response({"totalNum": 53, "data": [_row(32768 + number, 1, 0) for number in range(50)]})


@each_case("second", [SandboxResponse(500, b""), json_response({"totalNum": 53, "data": []}), _FIRST_PAGE])
def test_an_nft_list_that_breaks_off_is_no_list(program: Program, second: SandboxResponse) -> None:
    """If a page fails, comes again, or the list ends before its count, the account fails: half a list is none."""
    first = _FIRST_PAGE
    with Sandbox(scripted={NFTS: [first, second]}) as server:
        result = program.with_profile(_profile(server), "loopring", "-o", "json", "--nfts", "--retries", "0")
    assert (result.json["complete"], result.json["balances"]) == (False, [])
    assert result.code in {5, 6}


def test_fifteen_accounts_keep_the_documented_pace(program: Program) -> None:
    """Fifteen accounts on one host that allows five requests a second come back without one 429, however it is spelled."""
    heard: list[str] = []
    with Sandbox(stand_ins=[Loopring(accounts=15)], log_line=heard.append) as server:
        text = _profile(server, count=15).replace("127.0.0.1", "localhost", 7)
        result = program.with_profile(text, "loopring", "-o", "json", "--deadline", "60")
    assert (result.code, result.json["complete"], len(result.json["accounts"])) == (0, True, 15)
    assert {"200"} == {line.rsplit(" ", 1)[1] for line in heard}
    assert len(heard) == 17  # the token table once for each spelling


def _cached_run(program: Program, server: Sandbox, folder: Path, *arguments: str) -> Result:
    return program.with_profile(
        _profile(server), "loopring", "-o", "json", *arguments, env={"XDG_CACHE_HOME": str(folder)}
    )


def _tables_asked(server: Sandbox) -> int:
    return len([request for request in server.log if request.path == TOKENS])


def test_the_token_table_is_kept_for_the_next_run(program: Program, sandbox: Sandbox, tmp_path: Path) -> None:
    """The second run asks for balances alone; the file is its owner's alone; --no-cache leaves it be."""
    first = _cached_run(program, sandbox, tmp_path / "cache")
    second = _cached_run(program, sandbox, tmp_path / "cache")
    assert _tables_asked(sandbox) == 1
    assert first.json["balances"] == second.json["balances"]
    (file,) = (tmp_path / "cache" / "balcli").iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    assert KEY not in file.read_text()
    _cached_run(program, sandbox, tmp_path / "cache", "--no-cache")
    assert _tables_asked(sandbox) == 2


def test_an_unknown_id_refreshes_the_kept_table(program: Program, tmp_path: Path) -> None:
    """A token that the kept table lacks is looked up in a new one before it is called unknown."""
    old, new = [_token(0, "ETH", 18)], [_token(0, "ETH", 18), _token(5, "NEW", 2)]
    rows = [_row(0, "1" + "0" * 18), _row(5, "1234")]
    with Sandbox(
        scripted={
            TOKENS: [json_response(old), json_response(new)],
            BALANCES: [json_response(rows[:1]), json_response(rows)],
        }
    ) as server:
        _cached_run(program, server, tmp_path)
        result = _cached_run(program, server, tmp_path)
        assert _tables_asked(server) == 2
    assert _amounts(result) == [("ETH", "1", "1", "0"), ("NEW", "12.34", "12.34", "0")]


def _spoil_text(file: Path) -> None:
    file.write_text("{")


def _spoil_shape(file: Path) -> None:
    entry = json.loads(file.read_text())
    file.write_text(json.dumps({**entry, "document": [{"symbol": "ETH"}]}))


def _spoil_size(file: Path) -> None:
    entry = json.loads(file.read_text())
    file.write_text(json.dumps({**entry, "document": [0] * 400_001}))


def _spoil_key(file: Path) -> None:
    entry = json.loads(file.read_text())
    file.write_text(json.dumps({**entry, "key": "loopring tokens https://elsewhere.example"}))


def _spoil_mode(file: Path) -> None:
    file.chmod(0o666)


def _spoil_age(file: Path) -> None:
    old = file.stat().st_mtime - 90_000
    os.utime(file, (old, old))


def _spoil_future(file: Path) -> None:
    later = file.stat().st_mtime + 90_000
    os.utime(file, (later, later))


def _spoil_kind(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


@pytest.mark.parametrize(
    "spoil",
    [_spoil_text, _spoil_shape, _spoil_size, _spoil_key, _spoil_mode, _spoil_age, _spoil_future, _spoil_kind],
)
def test_a_kept_table_is_not_trusted_blindly(
    program: Program, sandbox: Sandbox, tmp_path: Path, spoil: Any
) -> None:
    """A kept table that is broken, foreign, old or open to others is not used: the relayer is asked."""
    _cached_run(program, sandbox, tmp_path)
    (file,) = (tmp_path / "balcli").iterdir()
    spoil(file)
    result = _cached_run(program, sandbox, tmp_path)
    assert (result.code, _tables_asked(sandbox)) == (0, 2)


def test_a_cache_that_cannot_be_written_hides_nothing(
    program: Program, sandbox: Sandbox, tmp_path: Path
) -> None:
    """Where the cache's place is a file, the run goes on without one."""
    (tmp_path / "taken").write_text("")
    result = _cached_run(program, sandbox, tmp_path / "taken")
    assert (result.code, result.err) == (0, "")


def test_the_closed_public_relayer_is_told(program: Program) -> None:
    """A failure on the default host says that it was closed, and what to set instead."""
    text = '[profiles.main.loopring]\napi_key = "some-key-of-mine"\naccount_id = 1\n'
    dead = {"HTTPS_PROXY": "http://127.0.0.1:9"}
    result = program.run("loopring", "-o", "json", "-c", str(program.write(text)), "--retries", "0", env=dead)
    assert result.code == 5
    assert "closed its public relayer on 2026-06-28; set base_url" in result.err


def test_a_kept_table_filters_nothing(program: Program, tmp_path: Path) -> None:
    """A token that was listed since the table was kept is found by symbol and by id, also at an NFT slot and as a twin."""
    old = [_token(0, "ETH", 0), _token(24, "SNX", 0)]
    new = [*old, _token(173, "SNX", 0), _token(40000, "VAULT", 1), _token(5, "NEW", 2)]
    rows = [_row(0, "1"), _row(24, "2"), _row(173, "3"), _row(40000, "4"), _row(5, "5")]
    due = {"snx": ["SNX#173", "SNX#24"], "vault": ["VAULT"], "#5": ["NEW"], "NEW": ["NEW"]}
    for wanted, assets in due.items():
        folder = tmp_path / wanted.strip("#")
        with Sandbox(
            scripted={
                TOKENS: [json_response(old), json_response(new)],
                BALANCES: [json_response(rows[:1]), json_response(rows)],
            }
        ) as server:
            _cached_run(program, server, folder)
            result = _cached_run(program, server, folder, "--asset", wanted)
        assert assets == [row["asset"] for row in result.json["balances"]]
        assert [] == result.json["warnings"]
    with Sandbox(
        scripted={TOKENS: [json_response(old), json_response(new)], BALANCES: [json_response(rows[:1])]}
    ) as server:
        _cached_run(program, server, tmp_path / "none")
        held = _cached_run(program, server, tmp_path / "none", "--asset", "NEW")
    assert ([], []) == (held.json["balances"], held.json["warnings"])
