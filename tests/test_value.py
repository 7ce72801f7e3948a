"""`-o value`: one amount that is right, or none, the reason and an exit code."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from balcli.history.recording import Selection, record
from balcli.models import AMOUNT_FIELDS, ExactName
from balcli.render.json import document
from balcli.render.value import ValueRequest, value
from balcli.sandbox import Sandbox, json_response
from balcli.sandbox.merchant import TOKEN
from tests.conftest import Program, Result
from tests.generated import examples
from tests.lists import each_case
from tests.test_past_runs import NOON, past_report
from tests.wire import row

ASSETS = "/merchant/v2/assets/account/assets"


def _value(program: Program, *arguments: str) -> Result:
    return program.run("all", "--sandbox", "-o", "value", *arguments)


@each_case(
    "arguments, code, out, said",
    [
        ("--asset USDT", 0, "57506.64", ""),
        ("--asset usdt --field available -q", 0, "56130.64", ""),
        ("--asset USDT --field locked --nonzero", 0, "1376", ""),
        ("--asset USDC --nonzero -q", 0, "0", ""),
        ("--asset XRP --totals-only --sort total -q", 0, "10000", ""),
        ("treasury payouts --asset USDT", 0, "49386.14", ""),
        ("--asset SNX#24 -q", 0, "42.000000000000000001", ""),
        ("--asset SNX -q", 0, "42.000000000000000001", ""),
        ("--asset ETH --fault loopring:decimals -q", 6, "", "no value: #0 at loopring has no known name and may be ETH"),
        ("loopring --asset ETH --fault loopring:decimals --absent zero -q", 6, "", "no value: #0 at loopring "),
        ("--asset #0 --fault loopring:decimals -q", 6, "", "no value: #0 is not in any total"),
        ("--asset DOGE", 6, "", "no value: no account lists DOGE; use --absent zero to treat it as 0"),
        ("--asset USTD", 6, "", "no value: no account lists USTD"),
        ("--asset DOGE --absent zero -q", 0, "0", ""),
        ("--asset USDT --absent zero", 0, "57506.64", ""),
        ("", 2, "", "-o value prints the amount of one asset; choose it with --asset"),
        ("--asset USDT,BTC", 2, "", "-o value prints the amount of one asset; choose it with --asset"),
        ("--asset USDT --fault wallet:refused", 8, "", "no value: treasury, payouts did not answer"),
        ("--asset DOGE --absent zero --fault wallet:refused", 8, "", "no value: treasury, payouts did not answer"),
        ("--asset USDT --fault refused", 4, "", "no value: loopring, treasury, payouts, shop did not answer"),
        ("nobody --asset USDT", 3, "", "nobody"),
        ("--asset USDT --nope", 2, "", "No such option: --nope"),
        ("--asset USDT --field sum", 2, "", "is not total or available or locked"),
        ("--asset USDT --absent 0", 2, "", "is not zero"),
    ],
)  # fmt: skip
def test_a_value_or_a_reason(program: Program, arguments: str, code: int, out: str, said: str) -> None:
    """One line with the amount; or nothing on stdout, the reason on stderr and the code for it."""
    result = _value(program, *arguments.split())
    assert (code, f"{out}\n" if out else "") == (result.code, result.out)
    assert said in result.err if said else not result.err


@each_case(
    "rows, asset, code, out",
    [
        ([row("1.50", "1", "0.5", "USDT"), row("7", "7", "0", "usdt")], ("USDT",), 2, ""),
        ([row("1.50", "1", "0.5", "USDT"), row("7", "7", "0", "usdt")], ("USDT", "--exact"), 0, "1.5\n"),
        ([row("1.50", "1", "0.5", "USDT"), row("2.5", "2", "0.5", "USDT")], ("USDT",), 0, "4\n"),
        ([row("-3", "-3", "0", "USDT")], ("USDT",), 0, "-3\n"),
        ([row("1e-18", "0", "1e-18", "USDT")], ("USDT",), 0, "0.000000000000000001\n"),
        ([row("1_000", "0", "0", "USDT")], ("USDT",), 6, ""),
        ([], ("USDT",), 6, ""),
    ],
)
def test_names_and_amounts_of_every_kind(
    program: Program, rows: list[object], asset: tuple[str, ...], code: int, out: str
) -> None:
    """Two assets that match are none; rows of one asset are added exactly; what is no amount is never a value."""
    response = json_response({"code": 200, "msg": "SUCCESS", "data": {"canDeposit": True, "balances": rows}})
    with Sandbox(scripted={ASSETS: [response]}) as server:
        profile = f'[profiles.main.merchant]\nbase_url = "{server.url}/merchant"\ntoken = "{TOKEN}"\n'
        result = program.with_profile(profile, "merchant", "-o", "value", "--asset", *asset)
    assert (code, out) == (result.code, result.out)


@each_case("option", [("--field", "total"), ("--absent", "zero")])
def test_options_of_value_are_for_it_alone(program: Program, option: tuple[str, str]) -> None:
    """--field and --absent with another format cannot be meant."""
    result = program.run("all", "--sandbox", *option)
    said = f"balcli: {option[0]} works only with -o value; add -o value or remove the option\n"
    watched = program.run("all", "--sandbox", "--watch", "1", *option)
    assert [(2, said)] * 2 == [(each.code, each.err) for each in (result, watched)]


def test_a_file_is_written_only_with_a_value(program: Program, tmp_path: Path) -> None:
    """-O gets the amount; a run without one leaves the file as it is."""
    file = tmp_path / "usdt"
    assert Result(0, "", "") == _value(program, "--asset", "USDT", "-O", str(file))
    failed = _value(program, "--asset", "USDT", "-O", str(file), "--fault", "wallet:refused")
    assert (8, "", "57506.64\n") == (failed.code, failed.out, file.read_text())


def test_a_value_that_is_not_recorded_is_printed_all_the_same(program: Program, tmp_path: Path) -> None:
    """Trouble with the history hides no amount: it is printed, and the code is 9."""
    result = _value(program, "--asset", "USDT", "--record", "--history", str(tmp_path))
    assert (9, "57506.64\n") == (result.code, result.out)


def test_a_value_of_a_recorded_run(program: Program) -> None:
    """`history show` prints one amount of a recorded run; one that the run was not asked for is 2."""
    program.run("all", "--sandbox", "--record", "--asset", "USDT")
    show = ("history", "show", "--sandbox", "-q")
    found = program.run(*show, "-o", "value", "--asset", "usdt", "--field", "locked")
    assert Result(0, "1376\n", "") == found
    for more in (("--asset", "BTC", "--absent", "zero"), ("--asset", "DOGE")):
        other = program.run(*show, "-o", "value", *more)
        assert (2, "") == (other.code, other.out)
        assert f"run 1 does not include {more[1]}; " in other.err
    assert 2 == program.run(*show, "--asset", "USDT").code


def test_replay_prints_the_value_again(program: Program, tmp_path: Path) -> None:
    """The evidence of a run with -o value prints it again, with its field."""
    run = _value(program, "--asset", "USDT", "--field", "locked", "-q", "--evidence", str(tmp_path / "kept"))
    assert Result(0, "1376\n", "") == run == program.run("replay", str(tmp_path / "kept"), "-q")


def _may_be_unnamed(balances: list[dict[str, Any]], asset: str) -> bool:
    """Whether an account has a token without a name, and no row that the asset's name selects."""
    named = {row["account"] for row in balances if asset in {row["asset"], f"#{row['asset_id']}"}}
    named |= {row["account"] for row in balances if row["asset"] == f"{asset}#{row['asset_id']}"}
    unnamed = [
        row for row in balances if row["asset"] == f"#{row['asset_id']}" and row["account"] not in named
    ]
    return any("#" not in asset or asset.endswith(row["asset"]) for row in unnamed)


@examples(300)
@given(seed=st.integers(0, 2**64), field=st.sampled_from(AMOUNT_FIELDS), absent=st.booleans())
def test_a_value_is_the_documents_total(seed: int, field: str, absent: bool) -> None:
    """Of every asset, the value is the total in the document of a complete run; where that is null, there is none."""
    report = past_report(seed, NOON + timedelta(days=1))
    made = document(report)
    totals = {total["asset"]: total for total in made["totals"]}
    for asset in {*(balance["asset"] for balance in made["balances"]), "nowhere"}:
        found = value(report, ValueRequest(ExactName(asset), field, absent))
        if made["complete"] and _may_be_unnamed(made["balances"], asset):
            assert (None, 6) == (found.text, found.exit_code)
            continue
        expected = totals.get(asset, {}).get(field) if made["complete"] else None
        if made["complete"] and absent and asset == "nowhere":
            expected = "0"
        assert expected == found.text
        # A name may be that of several assets of a generated run, by their ids.
        several = 2 if " matches " in found.reason else 0
        assert (0 if expected is not None else several or made["exit_code"] or 6) == found.exit_code
        assert bool(found.reason) == (expected is None)


def test_a_recorded_value_is_the_runs(tmp_path: Path, program: Program) -> None:
    """Narrowed by other spellings, a recorded run tells what it was asked for."""
    file = tmp_path / "own.db"
    record(file, past_report(3), Selection(("USDT",), exact=("USDT",)))
    show = ("history", "show", "-q", "--history", str(file), "-o", "value", "--asset", "USDT")
    assert "does not include USDT" in program.run(*show).err
    assert "does not include" not in program.run(*show, "--exact").err
    assert 1 == len(json.loads(program.run("history", "--history", str(file), "-o", "json").out)["runs"])
