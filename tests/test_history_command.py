"""`balcli history`: what it lists, how it shows what amounts did, its pictures, and what it removes."""

import csv
import io
import json
import os
import pty
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balcli import state
from balcli.errors import TimedOut
from balcli.history.reading import runs as recorded
from balcli.history.recording import record
from balcli.history.series import Interval, series
from balcli.models import Account, Balance, Failure, Holdings, Outcome
from balcli.money import Amount, parse_canonical
from balcli.render.runs import table as runs_table
from balcli.render.series import BARS, PLAIN_BARS, position, sparkline, table
from balcli.report import build
from tests.conftest import Program
from tests.generated import examples
from tests.lists import each_case

START = datetime(2026, 11, 1, tzinfo=UTC)
TINY = "0.000000000000000001"
ODD = "x$y$\x1b[31m"


def _outcome(name: str, rows: Sequence[tuple[str, str]] | None) -> Outcome:
    account: Account[object] = Account(name, "wallet", "", {"wallet_id": name}, (), None)
    if rows is None:
        return Outcome(account, None, None, Failure.from_error(TimedOut("no answer; try again")))
    balances = tuple(
        Balance(name, "wallet", asset, None, parse_canonical(text), parse_canonical(text), Amount(0))
        for asset, text in rows
    )
    return Outcome(account, Holdings(balances), START, None)


@pytest.fixture
def history(tmp_path: Path) -> Path:
    """Six runs of two accounts, a day apart: ETH changes, one account fails once, an asset goes."""
    file = tmp_path / "own.db"
    for number, (eth, odd) in enumerate(
        [("1", TINY), ("1", TINY), (None, TINY), ("1", None), ("2", None), (TINY, None)]
    ):
        one = _outcome("treasury", None if eth is None else [("ETH", eth)])
        two = _outcome("shop", [("ETH", "-5"), *([(ODD, odd)] if odd else [])])
        record(file, build("main", [one, two])._replace(generated_at=START + timedelta(days=number)))
    record(file, build(None, [])._replace(generated_at=START + timedelta(days=9)))
    return file


def _run(program: Program, history: Path, *arguments: str) -> str:
    result = program.run("history", "--history", str(history), *arguments)
    assert (0, "") == (result.code, result.err)
    return result.out


def test_the_list(program: Program, history: Path) -> None:
    """The list is a line for each run, oldest first, and says which accounts are missing."""
    lines = _run(program, history).splitlines()
    assert "ID  TIME                       PROFILE  RESULT" == lines[0]
    assert " 3  2026-11-03T00:00:00+00:00  main     INCOMPLETE: without treasury" == lines[3]
    assert " 7  2026-11-10T00:00:00+00:00  -        complete: 0 accounts answered" == lines[7]


def test_the_list_as_json(program: Program, history: Path) -> None:
    """The document has exactly the contract's keys, oldest first, and can be narrowed."""
    document = json.loads(
        _run(program, history, "-o", "json", "-p", "main", "--since", "2026-11-03", "--limit", "3")
    )
    accounts = [{"account": "treasury", "status": "ok"}, {"account": "shop", "status": "ok"}]
    assert {
        "schema_version": "1.1",
        "runs": [
            {
                "id": number,
                "at": f"2026-11-0{number}T00:00:00Z",
                "profile": "main",
                "complete": True,
                "accounts": accounts,
            }
            for number in (4, 5, 6)
        ],
    } == document


def test_the_list_as_lines_and_as_a_sheet(program: Program, history: Path) -> None:
    """Jsonl has a run a line and a summary, csv a row for each account of a run, with CRLF."""
    lines = [json.loads(line) for line in _run(program, history, "-o", "jsonl").splitlines()]
    assert [*["run"] * 7, "summary"] == [line["type"] for line in lines]
    rows = list(csv.DictReader(io.StringIO(_run(program, history, "-o", "csv", "--limit", "2"))))
    assert [("6", "treasury", "true"), ("6", "shop", "true"), ("7", "", "true")] == [
        (row["id"], row["account"], row["complete"]) for row in rows
    ]


def test_a_series_in_the_table(program: Program, history: Path) -> None:
    """A series says since when an amount stands, where the account was silent, and shows it as bars."""
    shown = _run(program, history, "--account", "treasury").splitlines()
    assert "  ▄▄ ▄█▁  total 0.000000000000000001 to 2" == shown[1]
    assert [
        ["ETH", "at", "treasury", "(wallet)"],
        ["SINCE", "UNTIL", "RUNS", "TOTAL", "AVAILABLE", "LOCKED"],
        ["2026-11-01T00:00:00+00:00", "2026-11-02T00:00:00+00:00", "2", "1", "1", "0"],
        ["2026-11-03T00:00:00+00:00", "2026-11-03T00:00:00+00:00", "1", "unavailable"],
        ["2026-11-04T00:00:00+00:00", "2026-11-04T00:00:00+00:00", "1", "1", "1", "0"],
        ["2026-11-05T00:00:00+00:00", "2026-11-05T00:00:00+00:00", "1", "2", "2", "0"],
        ["2026-11-06T00:00:00+00:00", "2026-11-06T00:00:00+00:00", "1", TINY, TINY, "0"],
    ] == [line.split() for line in (shown[0], *shown[2:])]


def _points(program: Program, history: Path, *arguments: str) -> list[Any]:
    found: list[Any] = json.loads(_run(program, history, "-o", "json", *arguments))["series"]
    return found


def test_a_series_as_json(program: Program, history: Path) -> None:
    """Series of an asset are those of each account and of their sum; a sum that lacks an account is unknown."""
    shop, treasury, both = _points(program, history, "--asset", "eth")
    assert ["shop", "treasury", None] == [each["account"] for each in (shop, treasury, both)]
    assert ["treasury", "shop"] == both["over"]
    assert [6] == [point["runs"] for point in shop["points"]]
    assert ["-4", None, "-4", "-3", "-4.999999999999999999"] == [point["total"] for point in both["points"]]
    assert {
        "since": "2026-11-03T00:00:00Z", "until": "2026-11-03T00:00:00Z", "runs": 1, "status": "failed",
        "total": None, "available": None, "locked": None,
    } == treasury["points"][1]  # fmt: skip
    (gone,) = _points(program, history, "--account", "shop", "--asset", ODD)
    assert [("ok", 3), ("absent", 3)] == [(point["status"], point["runs"]) for point in gone["points"]]


def test_a_series_as_lines_and_as_a_sheet(program: Program, history: Path) -> None:
    """Jsonl has an interval a line, csv a row; --limit leaves the newest of each series."""
    arguments = ["--account", "treasury", "--limit", "2"]
    *points, summary = [
        json.loads(line) for line in _run(program, history, "-o", "jsonl", *arguments).splitlines()
    ]
    assert (["2", TINY], 2) == ([point["total"] for point in points], summary["points"])
    rows = list(csv.DictReader(io.StringIO(_run(program, history, "-o", "csv", *arguments))))
    assert [("treasury", "ETH", "2", "ok"), ("treasury", "ETH", TINY, "ok")] == [
        (row["account"], row["asset"], row["total"], row["status"]) for row in rows
    ]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--account", "shpo"], "account shpo; did you mean shop? (one of: "),
        (["--account", "shop", "--account", "nobody"], None),
        (["-p", "mian"], "profile mian; did you mean main? (one of: main)"),
    ],
)
def test_a_mistyped_name_is_answered(
    program: Program, history: Path, arguments: list[str], said: str | None
) -> None:
    """A profile or account that no run has is answered with the one that is close, on stderr where stdout is data."""
    if said:
        assert _run(program, history, *arguments).startswith(f"no recorded run in {history} has {said}")
    for output in ("json", "jsonl", "csv", *(() if said else ("table",))):
        result = program.run("history", "--history", str(history), "-o", output, *arguments)
        note = f"balcli: note: no recorded run in {history} has {said or 'account nobody; '}"
        assert (0, True, 1) == (result.code, result.err.startswith(note), len(result.err.splitlines()))


def test_nothing_is_said_in_words(program: Program, history: Path, tmp_path: Path) -> None:
    """Without a history, or with nothing in it that fits, a table says so; other formats are empty and whole."""
    missing = tmp_path / "none.db"
    assert f"no run is recorded in {missing}; balcli all --record --history {missing} records one\n" == _run(
        program, missing
    )
    assert (
        f"no recorded run in {history} matches; balcli history --history {history} lists the runs\n"
        == _run(program, history, "--asset", "DOGE")
    )
    assert {"schema_version": "1.1", "runs": []} == json.loads(_run(program, missing, "-o", "json"))
    assert {"schema_version": "1.1", "series": []} == json.loads(
        _run(program, history, "-o", "json", "--asset", "DOGE")
    )
    assert not missing.exists()
    assert program.run("history").out.endswith(
        "/.local/state/balcli/history.db; balcli all --record records one\n"
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ["--since", "yesterday"],
        ["--since", "999999w"],
        ["--asset", ""],
        ["--limit", "0"],
        ["--wait", "1"],
        ["--yes"],
        ["--dry-run"],
        ["--until", "2026-13-01"],
        ["--prune", "1d", "--until", "1d"],
        ["--prune", "1d", "--asset", "ETH"],
        ["--prune", "1d", "-o", "csv"],
        ["-o", "svg", "--asset", "ETH"],
        ["-o", "prometheus"],
    ],
)
def test_what_cannot_be_meant(program: Program, history: Path, arguments: list[str]) -> None:
    """Options that make no sense, alone or together, are exit code 2 with one line."""
    result = program.run("history", "--history", str(history), *arguments)
    assert (2, "", 1) == (result.code, result.out, len(result.err.splitlines()))


def test_a_bad_history_is_told(program: Program, tmp_path: Path) -> None:
    """A file that is no history is exit code 9, and with -o json there is a document."""
    (tmp_path / "bad").write_bytes(b"no database" * 500)
    result = program.run("history", "--history", str(tmp_path / "bad"), "-o", "json")
    assert (9, 1, ["state.unusable"]) == (
        result.code, len(result.err.splitlines()), [error["code"] for error in result.json["errors"]],
    )  # fmt: skip


def test_pruning(program: Program, history: Path) -> None:
    """--prune deletes what is older, says how much that was, and leaves the rest as it was."""
    before = _points(program, history, "--account", "treasury", "--since", "2026-11-04")
    told = "3 runs before 2026-11-04T00:00:00+00:00 {} (0 bytes); 3 left\n"
    arguments = ("--prune", "2026-11-04", "-p", "main")
    assert told.format("would be deleted") == _run(program, history, *arguments, "--dry-run")
    assert 7 == len(recorded(history))
    assert told.format("deleted") == _run(program, history, *arguments)
    assert before == _points(program, history, "--account", "treasury")
    document = json.loads(_run(program, history, "--prune", "2026-11-05T01:00+01:00", "-o", "json"))
    assert {
        "schema_version": "1.1", "before": "2026-11-05T00:00:00Z", "pruned": 1, "left": 3, "bytes": 0, "dry_run": False,
    } == document  # fmt: skip


def test_pruning_keeps_the_newest_complete_run(program: Program, history: Path) -> None:
    """The newest complete run of each profile stays, without a run before or after it, unless --yes is given."""
    record(history, build("main", [_outcome("shop", None)])._replace(generated_at=START + timedelta(days=20)))
    arguments = ("--prune", "2027-01-01")
    sixth = ("history", "show", "6", "-o", "json", "--history", str(history))
    before = program.run(*sixth)
    assert _run(program, history, *arguments).startswith("6 runs ")
    assert [6, 7] == [each.id for each in recorded(history)]
    assert before == program.run(*sixth)
    assert _run(program, history, *arguments, "--yes").startswith("2 runs ")
    assert () == recorded(history)


@each_case("answer, left", [("y", 4), ("n", 7), ("", 7)])
def test_pruning_asks_on_a_terminal(program: Program, tmp_path: Path, answer: str, left: int) -> None:
    """On a terminal --prune says what it would delete and asks; with --yes or --dry-run it does not ask."""
    history = tmp_path / "own.db"
    for number in range(7):
        record(
            history,
            build("main", [_outcome("shop", [])])._replace(generated_at=START + timedelta(days=number)),
        )
    terminal, own_end = pty.openpty()
    command = ("history", "--history", str(history), "--prune", "2026-11-04")
    asked = program.start(*command, stdin=own_end, stderr=own_end)
    os.close(own_end)
    question = b""
    while b"[y/N]:" not in question:
        question += os.read(terminal, 4096)
    os.write(terminal, f"{answer}\n".encode())
    out, _ = asked.communicate()
    os.close(terminal)
    assert (
        b"3 runs before 2026-11-04T00:00:00+00:00 would be deleted (0 bytes); 4 left. Delete them? [y/N]:"
        in question
    )
    assert (0, left) == (asked.returncode, len(recorded(history)))
    assert out.startswith(b"3 runs" if answer == "y" else b"0 runs")


def test_pruning_takes_the_lock(program: Program, history: Path) -> None:
    """While a run of a profile records, its runs are not removed."""
    environ = {"XDG_STATE_HOME": str(program.folder / ".local" / "state")}
    with state.lock("main", environ):
        result = program.run("history", "--history", str(history), "--prune", "1d")
        assert (10, "") == (result.code, result.out)
        assert "0 runs" == _run(program, history, "--prune", "2026-01-01")[:6]


_AMOUNTS = st.builds(Amount, st.integers(-(10**30), 10**30), st.integers(0, 30))


@given(st.lists(_AMOUNTS, min_size=3, max_size=3))
def test_positions_are_exact(amounts: list[Amount]) -> None:
    """An amount's place between two others is its exact proportion, rounded down."""
    low, amount, high = sorted(amounts)
    where = position(amount, low, high, 1000)
    above, span = amount - low, high - low
    if span:
        assert _product(span, where) <= _product(above, 1000) < _product(span, where + 1) or where == 1000


def _product(amount: Amount, number: int) -> Amount:
    return Amount(amount.units * number, amount.places)


@examples(50)
@given(st.lists(st.tuples(st.integers(1, 5), st.none() | _AMOUNTS), min_size=1, max_size=12))
def test_bars_and_narrow_tables(steps: list[tuple[int, Amount | None]]) -> None:
    """Bars are at most forty, the table keeps every amount whole at any width, and lines fit where they can."""
    at = START
    intervals = []
    for runs, total in steps:
        until = at + timedelta(minutes=runs)
        text = None if total is None else str(total)
        intervals.append(Interval(at, until, runs, "failed" if total is None else "ok", text, text, text))
        at = until + timedelta(minutes=1)
    if any(interval.total is not None for interval in intervals):
        for bars in (BARS, PLAIN_BARS):
            shown = sparkline(intervals, bars)
            assert len(shown) <= 40
            assert set(shown) <= {*bars, " "}


@pytest.mark.parametrize("columns", [60, 40])
def test_the_runs_fit_a_narrow_terminal(history: Path, columns: int) -> None:
    """What came of a run stands beside the rest of its line or below it, and no word is broken."""
    wide, narrow = (runs_table(recorded(history), width) for width in (200, columns))
    assert max(map(len, narrow.splitlines())) <= columns
    assert wide.replace("RESULT", "").split() == narrow.replace("RESULT", "").split()


@pytest.mark.parametrize("columns", [None, 200, 80, 60, 40, 24])
def test_a_narrow_terminal_gets_whole_amounts(history: Path, columns: int | None) -> None:
    """Whatever the width, each amount stands in the table whole."""
    shown = table(series(history, assets=["ETH"]), columns)
    for amount in (TINY, "-4.999999999999999999", "-5"):
        assert amount in shown.split()
