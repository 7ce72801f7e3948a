"""`balcli diff`: which runs it compares, what it prints, and its exit codes."""

import itertools
import json
import random
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balcli import document
from balcli.diff import AmountChange, BalanceChange, Diff, compare
from balcli.history.reading import run
from balcli.history.recording import record
from balcli.models import Account, Balance, Holdings, Outcome, Report
from balcli.money import parse_canonical
from balcli.render.diff import Comparison, Side, render
from balcli.report import build
from balcli.sandbox import Sandbox, SandboxResponse, json_response
from balcli.sandbox.merchant import TOKEN
from balcli.sandbox.wallet import API_KEY, TREASURY
from tests.conftest import ROOT, Program, Result
from tests.generated import examples, sampled
from tests.lists import each_case
from tests.proof import reports
from tests.rendering import machine
from tests.test_past_runs import past_report
from tests.wire import row

ASSETS = "/merchant/v2/assets/account/assets"


def _document(result: Result) -> Any:
    """The one document on stdout: another than that of a run."""
    return json.loads(result.out)


def _assets(**totals: str) -> SandboxResponse:
    rows = [row(total, total, "0", asset) for asset, total in totals.items()]
    return json_response({"code": 200, "msg": "SUCCESS", "data": {"canDeposit": True, "balances": rows}})


@pytest.fixture
def recorded(program: Program, tmp_path: Path) -> Callable[..., Callable[..., Result]]:
    """Record a run of one merchant account for each response; then how `balcli diff` with these arguments ends."""
    history = tmp_path / "history.db"

    def record(*responses: SandboxResponse, each: tuple[tuple[str, ...], ...] = ()) -> Callable[..., Result]:
        with Sandbox(scripted={ASSETS: list(responses)}) as server:
            file = program.write(
                f'[profiles.main.merchant]\nbase_url = "{server.url}/merchant"\ntoken = "sandbox-merchant-token"\n'
            )
            for options in each or [()] * len(responses):
                program.run(
                    "all", "--record", "--history", str(history), "-c", str(file), "--retries", "0", *options
                )
        return lambda *arguments: program.run("diff", "--history", str(history), *arguments)

    return record


def test_nothing_is_printed_where_nothing_changed(recorded: Callable[..., Callable[..., Result]]) -> None:
    """Two equal runs end with 0 and without a byte, so that cron mails nothing; a document is always one."""
    diff = recorded(_assets(BTC="1.50"), _assets(BTC="1.5"))
    assert Result(0, "", "") == diff()
    same = diff("-o", "json")
    document = _document(same)
    assert (0, False, 1, 2) == (
        same.code,
        document["different"],
        document["from"]["id"],
        document["to"]["id"],
    )


def test_a_change_is_told_with_its_exact_difference(recorded: Callable[..., Callable[..., Result]]) -> None:
    """A change ends with 1; the table has difference, before and after, the document each amount by its name."""
    diff = recorded(_assets(BTC="1.000000000000000001", XRP="5"), _assets(BTC="3", ETH="2"))
    table, document = diff(), _document(diff("-o", "json"))
    assert (1, "") == (table.code, table.err)
    assert "+1.999999999999999999" in table.out
    assert {("BTC", "changed"), ("XRP", "vanished"), ("ETH", "appeared")} == {
        (change["asset"], change["happened"]) for change in document["balances"]
    }
    (btc,) = (change for change in document["balances"] if change["asset"] == "BTC")
    assert {"before": "1.000000000000000001", "after": "3", "difference": "1.999999999999999999"} == btc[
        "amounts"
    ]["total"]


@each_case("columns", [100, 60, 36, 24])
def test_a_narrow_terminal_gets_whole_amounts(columns: int) -> None:
    """Whatever the width, differences, what was and what is are whole, each beside or below its name."""
    moves = (
        AmountChange(
            "total",
            parse_canonical("1.000000000000000001"),
            parse_canonical("33333.25"),
            parse_canonical("33332.249999999999999999"),
        ),
        AmountChange("pending_deposit", None, parse_canonical("5"), None),
    )
    gone = BalanceChange("shop", "merchant", "ETH", None, "vanished", ())
    changes = Diff((), (BalanceChange("shop", "merchant", "BTC", None, "changed", moves), gone), 0)
    side = Side(1, datetime(2026, 11, 21, tzinfo=UTC), complete=True)
    shown = render(Comparison("main", side, side, changes), columns=columns, colour=False)
    for amount in ("+33332.249999999999999999", "1.000000000000000001", "33333.25", "5"):
        assert amount in shown.split()
    assert ("+33332.249999999999999999  1.000000000000000001  ->  33333.25" in shown) == (columns == 100)
    said = {"vanished, no known amount", "ETH  vanished, no known amount"}
    assert any(line.strip(" -") in said for line in shown.splitlines())
    assert all(len(line) <= max(columns, 42) for line in shown.splitlines())


def test_the_last_two_complete_runs_are_compared(recorded: Callable[..., Callable[..., Result]]) -> None:
    """Without arguments, runs in which an account failed are passed over."""
    diff = recorded(_assets(BTC="1"), _assets(BTC="2"), SandboxResponse(500, b""))
    document = _document(diff("-o", "json"))
    assert (1, 2) == (document["from"]["id"], document["to"]["id"])


def test_runs_are_named_by_id_and_time(
    recorded: Callable[..., Callable[..., Result]], subtests: pytest.Subtests
) -> None:
    """A run is named by its id, as the last, or as the newest at or before a time."""
    diff = recorded(_assets(BTC="1"), _assets(BTC="2"), _assets(BTC="3"))
    named = {"1": (1, 3), "1 2": (1, 2), "3 1": (3, 1), "last 2": (3, 2), "0h 1": (3, 1)}
    for words, ids in named.items():
        with subtests.test(words):
            document = _document(diff(*words.split(), "-o", "json"))
            assert ids == (document["from"]["id"], document["to"]["id"])


def test_a_partial_run_is_refused_unless_asked_for(recorded: Callable[..., Callable[..., Result]]) -> None:
    """What a failed account held is unknown: 2, or the account is told as not compared."""
    diff = recorded(_assets(BTC="1"), SandboxResponse(500, b""))
    refused, allowed = diff("1", "2"), diff("1", "2", "--allow-partial")
    assert (2, "", True) == (refused.code, refused.out, "run 2 is partial" in refused.err)
    assert (2, True, True) == (allowed.code, "not compared" in allowed.out, ", partial)" in allowed.out)
    assert "balcli: not compared: merchant; record another run and compare with that one\n" == allowed.err
    document = _document(diff("1", "2", "--allow-partial", "-o", "json"))
    assert (None, ["usage"]) == (document["different"], [error["code"] for error in document["errors"]])


def test_a_run_is_never_compared_with_itself(program: Program, tmp_path: Path) -> None:
    """Whatever words mean the one run that there is, an empty one among them: 2, in both formats, and never `same`."""
    history = tmp_path / "history.db"
    report = build("main", [])._replace(generated_at=datetime.now(UTC) - timedelta(days=3))
    record(history, report)
    runs = [
        ("24h",),
        ("24h", "2h"),
        ("last",),
        ("1",),
        ("1", "1"),
        ("last", "last"),
        ("1", "last"),
        ("0h", "1"),
    ]
    empty = [("",), ("1", ""), ("", "1"), ("", ""), ("--live", "")]
    wrong = []
    for words, more in zip(
        [*runs, *empty], itertools.cycle([(), ("--allow-partial",), ("-o", "json")]), strict=False
    ):
        result = program.run("diff", "--history", str(history), *more, *words)
        said = ", the last one; " in result.err or words in empty
        different = _document(result)["different"] if "json" in more else result.out or None
        if (2, True, None) != (result.code, said, different):
            wrong.append((words, more, result))
    assert [] == wrong


def _two(server: Sandbox) -> str:
    """A profile of a merchant and a wallet."""
    url = server.url
    return (
        f'[[profiles.main.merchant]]\nname = "shop"\nbase_url = "{url}/merchant"\ntoken = "{TOKEN}"\n'
        f'[profiles.main.wallet]\nname = "other"\nbase_url = "{server.url}/wallet"\napi_key = "{API_KEY}"\n'
        f'wallet_id = "{TREASURY}"\n'
    )


def test_an_account_with_other_settings_is_named_and_not_compared(program: Program, tmp_path: Path) -> None:
    """Another base_url, target or list of assets: 2 with its name, left out with --allow-partial, and never `same` alone; another spelling of one place is none of that."""
    wrong = []
    with Sandbox() as server, Sandbox() as elsewhere:
        first = _two(server)
        others = {
            "base_url": first.replace(f"{server.url}/merchant", f"{elsewhere.url}/merchant"),
            "merchant": first.replace('/merchant"\n', '/merchant"\nmerchant_id = 12345\n'),
            "wallet's assets": f'{first}assets = ["BTC"]\n',
        }
        for name, text in others.items():
            history = str(tmp_path / f"{name}.db")
            for profile in (first, first.replace("127.0.0.1", "localhost"), text):
                program.with_profile(profile, "all", "--record", "--history", history, "--retries", "0")
            account = "other" if name == "wallet's assets" else "shop"
            diff = ("diff", "--history", history)
            same, refused = program.run(*diff, "1", "2"), program.run(*diff)
            allowed = program.run(*diff, "--allow-partial")
            live = program.with_profile(text, *diff, "--live", "1")
            lives = program.with_profile(first, *diff, "--live", "2")
            beside = program.run(*diff, "--account", "shop" if account == "other" else "other")
            found = (same.code, refused.code, allowed.code, live.code, lives.code, beside.code)
            named = f"balcli: {account} cannot be compared: its " in refused.err or name == "merchant"
            if (0, 2, 2, 2, 0, 0) != found or not named or f"? {account} (" not in allowed.out:
                wrong.append((name, found, refused, allowed, live))
        assert [] == wrong
        assert server.url.encode() not in (tmp_path / "base_url.db").read_bytes()


def test_a_clock_that_stepped_back_is_said(program: Program, tmp_path: Path) -> None:
    """Runs are compared, and listed as they were recorded; no interval of a series is negative."""
    history = tmp_path / "history.db"
    noon = datetime(2026, 11, 21, 12, tzinfo=UTC)
    account: Account[object] = Account("shop", "merchant", "", {"merchant_id": "0"}, (), None)
    for hour, total in ((0, "1"), (1, "1"), (-3, "1"), (-2, "2"), (-1, "2")):
        amount = parse_canonical(total)
        row_ = Balance("shop", "merchant", "BTC", None, amount, amount, parse_canonical("0"))
        report = build("main", [Outcome(account, Holdings((row_,)), noon, None)])
        record(history, report._replace(generated_at=noon + timedelta(hours=hour)))
    file = ("--history", str(history))
    said = "note: the clock stepped back "
    back, quiet, on = (program.run("diff", *file, *w) for w in (("2", "3"), ("2", "3", "-q"), ("3", "4")))
    assert [(0, True), (0, False), (1, False)] == [
        (each.code, said in each.err) for each in (back, quiet, on)
    ]
    assert "3" == str(_document(program.run("diff", *file, "3", "-o", "json"))["from"]["id"])
    listed = program.run("history", *file, "-o", "json")
    assert [1, 2, 3, 4, 5] == [each["id"] for each in _document(listed)["runs"]]
    drawn = program.run("history", *file, "--asset", "BTC", "-o", "json")
    for result in (listed, drawn, program.run("history", *file, "--asset", "BTC")):
        assert (
            f"{said}from 2026-11-21T13:00:00+00:00 to 2026-11-21T09:00:00+00:00 before run 3;" in result.err
        )
        assert 1 == result.err.count(said)
    intervals = [each for one in _document(drawn)["series"] for each in one["points"]]
    assert ["1", "2"] == [each["total"] for each in intervals]
    assert all(each["since"] <= each["until"] for each in intervals)


def test_a_threshold_leaves_small_moves_out(
    recorded: Callable[..., Callable[..., Result]], subtests: pytest.Subtests
) -> None:
    """A move of exactly the threshold is left out, one beyond it is told; what is no amount is trouble."""
    diff = recorded(_assets(BTC="1"), _assets(BTC="2"))
    codes = {"1": 0, "0.999999999999999999": 1, "1e0": 0, "-1": 2, "x": 2, "": 2}
    for threshold, code in codes.items():
        with subtests.test(threshold):
            result = diff("--threshold", threshold)
            assert (code, code == 1) == (result.code, bool(result.out))


def test_runs_for_different_assets_are_not_compared(recorded: Callable[..., Callable[..., Result]]) -> None:
    """What a run was not asked for has not vanished: 2, unless only what both were asked for is compared."""
    diff = recorded(_assets(BTC="1", ETH="1"), _assets(BTC="2", ETH="2"), each=((), ("--asset", "BTC")))
    refused, narrowed = diff("1", "2"), diff("1", "2", "--asset", "btc")
    assert (2, True) == (refused.code, "--asset" in refused.err)
    assert (1, False) == (narrowed.code, "ETH" in narrowed.out)


def test_trouble_is_2(recorded: Callable[..., Callable[..., Result]], subtests: pytest.Subtests) -> None:
    """Too few runs, none of that name, no time, no history, wrong usage: 2, with a line that says why, and no data."""
    diff = recorded(_assets(BTC="1"))
    for line in ("", "7", "yesterday", "2020-01-01", "--history /nonexistent/history.db", "--nope"):
        with subtests.test(line):
            result = diff(*line.split())
            assert (2, "", 1) == (result.code, result.out, len(result.err.splitlines()))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (
            "merchnat",
            "unknown account merchnat in run 1 or run 2; did you mean merchant? (one of: merchant)",
        ),
        ("nobody", "unknown account nobody in run 1 or run 2; use one of: merchant"),
    ],
)
def test_an_account_that_neither_run_has_is_trouble(
    recorded: Callable[..., Callable[..., Result]], name: str, said: str
) -> None:
    """Of an account that no run asked nothing is known, not that it is the same: 2, with those that there are."""
    diff = recorded(_assets(BTC="1"), _assets(BTC="2"))
    for options in (("--account", name), ("--account", "merchant", "--account", name)):
        result = diff(*options)
        assert (2, "", True) == (result.code, result.out, said in result.err), result.err


def test_an_account_that_one_run_did_not_ask_is_trouble(program: Program, tmp_path: Path) -> None:
    """An account that is named beside others, and that one of the runs left out, is never passed over; 2."""
    history = str(tmp_path / "history.db")
    for names in ((), ("shop",)):
        program.run("all", *names, "--sandbox", "--record", "--history", history)
    diff = ("diff", "--history", history, "1", "2")
    named = program.run(*diff, "--account", "shop", "--account", "treasury")
    shop = program.run(*diff, "--account", "shop")
    said = "--account: run 2 does not include treasury; remove it, or compare two runs that do"
    assert (2, "", f"balcli: {said}\n") == (named.code, named.out, named.err)
    assert (0, "") == (shop.code, shop.err)


def test_an_asset_that_neither_run_lists_is_told(recorded: Callable[..., Callable[..., Result]]) -> None:
    """A mistyped asset is a note on stderr, with the one that is close; the code is that of what is compared."""
    diff = recorded(_assets(USDT="1"), _assets(USDT="2"))
    told, quiet, right = diff("--asset", "USTD"), diff("--asset", "USTD", "-q"), diff("--asset", "usdt")
    assert Result(0, "", "balcli: note: USTD is listed in neither run, but USDT is; check --asset\n") == told
    assert (Result(0, "", ""), (1, "")) == (quiet, (right.code, right.err))


def test_a_wrong_account_asks_nobody(program: Program, tmp_path: Path) -> None:
    """With --live, an account that the recorded run does not have leads to no request at all, and to 2."""
    history = str(tmp_path / "history.db")
    with Sandbox() as server:
        file = str(program.write(server.profile("main")))
        program.run("all", "--record", "--history", history, "-c", file)
        asked = len(server.log)
        result = program.run("diff", "--live", "--history", history, "-c", file, "--account", "shpo")
        right = program.run("diff", "--live", "--history", history, "-c", file, "--account", "shop")
        paths = {question.path.split("/")[1] for question in server.log[asked:]}
    assert (2, "", True) == (
        result.code,
        result.out,
        "unknown account shpo in run 1; did you mean shop?" in result.err,
    )
    assert (0, {"merchant"}) == (right.code, paths)


def test_trouble_is_told_in_a_document(recorded: Callable[..., Callable[..., Result]]) -> None:
    """With -o json trouble is a document with all keys, too."""
    result = recorded(_assets(BTC="1"))("-o", "json")
    assert (2, None, "usage") == (
        result.code,
        json.loads(result.out)["different"],
        json.loads(result.out)["errors"][0]["code"],
    )
    keys = {
        "schema_version",
        "profile",
        "different",
        "from",
        "to",
        "accounts",
        "balances",
        "within_threshold",
        "errors",
    }
    assert keys == set(_document(result))


@each_case(
    ("options", "code"),
    [((), 0), (("--fault", "wallet:units"), 1), (("--fault", "wallet:refused"), 2), (("1", "2"), 2)],
)
def test_a_run_is_compared_with_now(program: Program, options: tuple[str, ...], code: int) -> None:
    """--live asks the accounts of the recorded run again; one that fails now, or a second run beside, is trouble."""
    program.run("all", "--sandbox", "--record", "--asset", "BTC")
    result = program.run("diff", "--live", "--sandbox", *options)
    assert (code, code == 1, code == 2) == (result.code, bool(result.out), bool(result.err))


def test_accounts_that_a_run_did_not_ask_have_not_vanished(program: Program) -> None:
    """Of runs of different accounts, those that both asked are compared; with none in common it is trouble."""
    for command in ("all", "merchant", "wallet"):
        program.run(command, "--sandbox", "--record")
    common, none = program.run("diff", "--sandbox", "1", "2"), program.run("diff", "--sandbox", "2", "3")
    assert (0, "") == (common.code, common.out)
    assert (2, True) == (none.code, "in common" in none.err)


def test_the_runs_of_checks_are_recorded_too(program: Program) -> None:
    """`balcli check --record` keeps its run, of the accounts that its limits name; nothing of the state changes."""
    program.run("all", "--sandbox", "--record")
    limit = ("--asset", "USDT", "--account", "shop", "--crit", "500:")
    checked = program.run("check", "--sandbox", "--record", *limit)
    compared = program.run("diff", "--sandbox", "1", "2", "-o", "json")
    assert (0, True) == (checked.code, checked.out.startswith("BALCLI OK"))
    assert (0, 2) == (compared.code, _document(compared)["to"]["id"])


def test_a_history_that_cannot_be_written_changes_no_state(program: Program, tmp_path: Path) -> None:
    """A check with a damaged history says its state all the same, and that it was not recorded."""
    (tmp_path / "broken.db").write_bytes(b"garbage" * 1000)
    limit = ("--asset", "USDT", "--account", "shop", "--crit", "500:")
    result = program.run("check", "--sandbox", "--record", "--history", str(tmp_path / "broken.db"), *limit)
    assert (0, True, True) == (result.code, result.out.startswith("BALCLI OK"), "not recorded" in result.err)


def test_exact_names_are_told_from_those_in_any_case(recorded: Callable[..., Callable[..., Result]]) -> None:
    """A run that asked for one spelling was not asked for the others: they have not vanished from it."""
    responses = (_assets(BTC="1", USDT="5", usdt="7"), _assets(USDT="5", usdt="8"))
    diff = recorded(*responses, each=(("--asset", "usdt"), ("--asset", "usdt", "--exact")))
    assert (2, True) == (diff().code, "has usdt, the other usdt (--exact);" in diff().err)
    assert 2 == diff("--asset", "usdt").code
    assert 2 == diff("--asset", "USDT", "--exact").code
    moved = _document(diff("--asset", "usdt", "--exact", "-o", "json"))["balances"]
    assert ["usdt"] == [change["asset"] for change in moved]


def _two_runs(seed: int) -> tuple[Report, Report]:
    """A report, and one a day later with some rows gone and some amounts changed."""
    one, rng = past_report(seed), random.Random(seed)
    rows = [row for row in one.balances if rng.random() < 0.8]
    rows = [row._replace(total=reports.maybe(rng)) if rng.random() < 0.3 else row for row in rows]
    return one, one._replace(generated_at=one.generated_at + timedelta(days=1), balances=tuple(rows))


@examples(300)
@given(seed=st.integers(0, 2**64))
def test_documents_are_compared_as_their_runs_are(
    tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    """Two documents differ as the two runs do, in any mixture."""
    history = tmp_path_factory.mktemp("history") / "own.db"
    sides = []
    for report in _two_runs(seed):
        recorded = run(history, record(history, report))
        assert recorded is not None
        sides.append((recorded.report, document.parse(machine("json", report).encode())))
    found = [compare(before, after) for before, after in itertools.product(*sides)]
    assert [found[0]] * 4 == found


@pytest.mark.whole
def test_files_are_compared_as_their_runs_are(program: Program, tmp_path: Path) -> None:
    """The output of a comparison is the same for runs and for files, in any mixture, with the same exit code."""
    history, table = tmp_path / "own.db", tmp_path / "table.txt"
    codes = set()
    for seed in sampled(range(0, 300, 4), 25):
        pair, sides = _two_runs(seed), []
        for report in pair:
            number = record(history, report)
            file = tmp_path / f"{number}.json"
            file.write_text(machine("json", report))
            sides.append((str(number), str(file)))
        more = () if all(report.complete for report in pair) else ("--allow-partial",)
        found = []
        for words in itertools.product(*sides):
            asked = ("-q", "-o", "json", "-O", f"table:{table}", *more, *words)
            result = program.run("diff", "--history", str(history), *asked)
            made = _document(result)
            for side in filter(None, (made["from"], made["to"])):
                side |= {"id": None, "file": None}
            made["errors"] = [error["code"] for error in made["errors"]]
            found.append((result.code, made, table.read_text().partition("\n")[2]))
        assert [found[0]] * 4 == found
        codes.add(found[0][0])
    assert codes >= {1, 2}


def test_a_document_is_read_from_files_of_all_kinds(program: Program, tmp_path: Path) -> None:
    """A document is read from a path, from a name that ends in .json, from stdin and from a pipe."""
    for number, fault in enumerate(("expired", "wallet:minus"), 1):
        program.run("all", "--sandbox", "--record", "--asset", "BTC", "--fault", fault)
        shown = program.run("history", "show", "--sandbox", "-o", "json")
        (tmp_path / f"{number}.json").write_text(shown.out)
    expected = program.run("diff", "--sandbox", "1", "2").out.partition("\n")[2]
    assert expected
    paths = (
        ("1.json", f"{tmp_path}/2.json"),
        ("--sandbox", "1", "2.json"),
        ("--sandbox", "1.json"),
    )
    found = [program.run("diff", *words, cwd=tmp_path) for words in paths]
    for command in ("diff - 2.json < 1.json", "diff <(cat 1.json) <(cat 2.json)"):
        done = subprocess.run(
            ["bash", "-c", f"{sys.executable} -m balcli {command}"],
            env={**program.environment(), "PYTHONPATH": str(ROOT)},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        found.append(Result(done.returncode, done.stdout, done.stderr))
    for result in found:
        heading, _, rest = result.out.partition("\n")
        assert (1, expected, "") == (result.code, rest, result.err), heading
        assert heading.startswith(("1.json (", "run 1 (", "- (", "/dev/fd/")), heading


def test_a_document_is_compared_with_now(program: Program, tmp_path: Path) -> None:
    """--live asks the accounts of a document again; of one with rows that only an option asks for it is trouble."""
    file = tmp_path / "own.json"
    file.write_text(program.run("all", "--sandbox", "-o", "json").out)
    live = ("diff", "--live", "--sandbox", str(file))
    same, other = program.run(*live), program.run(*live, "--fault", "wallet:minus")
    assert ((0, ""), (1, True)) == ((same.code, same.out), (other.code, " -> now (" in other.out))
    file.write_text(program.run("merchant", "--sandbox", "--fiat", "-o", "json").out)
    fiat = program.run(*live)
    assert (2, True) == (fiat.code, "was made with provider options" in fiat.err)


@pytest.fixture(scope="module")
def documents(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a document of a run, and with files that are not to be compared with it."""
    folder = tmp_path_factory.mktemp("documents")
    program = Program(folder)
    made = program.run("all", "--sandbox", "-o", "json").out
    files = {
        "1": made,
        "bad": "no document",
        "odd": made.replace('"total": "0.099476758"', '"total": "1.0"', 1),
        "totals": program.run("all", "--sandbox", "--totals-only", "-o", "json").out,
        "failed": program.run("all", "--nope", "-o", "json").out,
        "partial": program.run("all", "--sandbox", "--fault", "wallet:refused", "-o", "json").out,
    }
    for name, text in files.items():
        (folder / f"{name}.json").write_text(text)
    return folder


@each_case(
    "words, said",
    [
        (["none.json", "1.json"], "none.json cannot be read: No such file or directory; use a file of -o json, or a run from balcli history"),
        (["./", "1.json"], "cannot be read: Is a directory; use a file of -o json, or a run from balcli history"),
        (["bad.json", "1.json"], "bad.json is not output of balcli -o json: not JSON at line 1, column 1; use a file of -o json, "),
        (["odd.json", "1.json"], 'odd.json is not output of balcli -o json: balances[0].total: "1.0" does not match the schema'),
        (["1.json", "1.json"], "both are 1.json; use two files"),
        (["1.json", "./1.json"], "both are 1.json; use two files"),
        (["-", "-"], "both are stdin; use two files"),
        (["totals.json", "1.json"], "totals.json was recorded with --totals-only and has no balances; use a run recorded without it"),
        (["failed.json", "1.json"], "failed.json failed (usage); use a run in which at least one account answered"),
        (["partial.json", "1.json"], "partial.json is partial (some accounts failed); add --allow-partial"),
        (["1.json"], "no complete recorded run; balcli history lists the runs"),
        (["1.json", "7"], "run 7 does not exist in "),
        (["last", "24h"], "no complete recorded run; balcli history lists the runs"),
        ([], "not enough runs to compare: found 0 of 2 complete recorded runs; record another with balcli all --record, "),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_what_there_is(
    program: Program, documents: Path, words: list[str], said: str
) -> None:
    """No run, no file, the wrong file: 2, with the reason and the command that lists what there is."""
    result = program.run("diff", *words, "-o", "json", cwd=documents)
    assert (2, True) == (result.code, said in result.err), result.err
    made = _document(result)
    assert (None, ["usage"]) == (made["different"], [error["code"] for error in made["errors"]])


def test_hidden_rows_are_noted(program: Program, tmp_path: Path) -> None:
    """Where one of two documents leaves out rows of zeros, a note says that they have not vanished."""
    for name, more in (("all", ()), ("nonzero", ("--nonzero",))):
        (tmp_path / f"{name}.json").write_text(program.run("all", "--sandbox", "-o", "json", *more).out)
    result = program.run("diff", "all.json", "nonzero.json", cwd=tmp_path)
    said = "balcli: note: nonzero.json was made with --nonzero, so an asset that it does not list may be 0\n"
    assert (1, said) == (result.code, result.err)


def test_narrowed_runs_are_passed_over(program: Program) -> None:
    """By default the last two runs are compared that asked for everything; only narrowed ones where there are no others."""
    lines = ("merchant", "merchant", "all", "all shop", "all --asset BTC", "all")
    for number, line in enumerate(lines, 1):
        program.run(*line.split(), "--sandbox", "--record")
        compared = program.run("diff", "--sandbox", "-o", "json")
        sides = [side and side["id"] for side in (_document(compared)[key] for key in ("from", "to"))]
        assert {2: [1, 2], 6: [3, 6]}.get(number, [None, None]) == sides
    program.run("all", "--sandbox", "--record", "--asset", "BTC")
    assert [3, 6] == [
        _document(program.run("diff", "--sandbox", "3", "-o", "json"))[key]["id"] for key in ("from", "to")
    ]
    one = program.run("diff", "--sandbox", "last", "6")
    assert (2, True) == (one.code, "both are run 6 (" in one.err)
