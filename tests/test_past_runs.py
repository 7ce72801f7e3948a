"""Documents read back, and `balcli history show`: a recorded run, shown again in every format."""

import copy
import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from balcli import document
from balcli.cli.options import REPORTS, Format
from balcli.errors import TimedOut
from balcli.history.reading import run
from balcli.history.recording import Selection, record
from balcli.models import Account, Balance, Failure, Holdings, Outcome, Report
from balcli.money import ZERO, parse
from balcli.render import schema, table
from balcli.render.display import View
from balcli.render.json import document as to_document
from balcli.report import build
from balcli.text import is_text
from tests.conftest import Program, Result
from tests.generated import examples, sampled
from tests.lists import each_case
from tests.proof import reports
from tests.rendering import drawn, machine

NOON = datetime(2026, 10, 31, 12, tzinfo=UTC)
FAILURE = Failure.from_error(TimedOut("no answer within 10 s; try again"))


def past_report(seed: int, at: datetime = NOON) -> Report:
    """A report as runs make them: partial, failed, with unknown amounts, NFTs, fiat and hostile names."""
    rng = random.Random(seed)
    outcomes = [reports.outcome(rng, number) for number in range(rng.choice((1, 2, 3, 4)))]
    while not all(
        map(
            is_text,
            (text for o in outcomes for text in (o.account.name, *o.account.target.values(), *_assets(o))),
        )
    ):
        outcomes = [reports.outcome(rng, number) for number in range(2)]
    return build("main", outcomes)._replace(generated_at=at)


def _assets(outcome: Outcome) -> Iterator[str]:
    return (balance.asset for balance in outcome.holdings.balances) if outcome.holdings else iter(())


def _small(total: str, *, fails: bool = False, at: datetime = NOON, profile: str = "main") -> Report:
    """The report of one account with so much USDT, or of one that failed."""
    account: Account[object] = Account("shop", "merchant", "", {"merchant_id": "0"}, (), None)
    details = {"asset_name": None, "can_deposit": None, "merchant_id": "0"}
    row = Balance("shop", "merchant", "USDT", "USDT", parse(total), parse(total), ZERO, details)
    outcome = Outcome(account, None, None, FAILURE) if fails else Outcome(account, Holdings((row,)), at, None)
    return build(profile, [outcome])._replace(generated_at=at)


@examples(300)
@given(st.integers(0, 2**64))
def test_a_report_reads_back(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    """From its document and from the history a report reads back as one whose every format is the same."""
    report = past_report(seed)
    file = tmp_path_factory.mktemp("history") / "own.db"
    recorded = run(file, record(file, report))
    assert recorded is not None
    for again in (document.parse(machine("json", report).encode()), recorded.report):
        assert to_document(report) == to_document(again)
        for name in REPORTS:
            if name is not Format.table:
                assert machine(name, report) == machine(name, again), name
        for view in (None, View(60)):
            assert [*table.pieces(report, view, colour=False, addresses=True)] == [
                *table.pieces(again, view, colour=False, addresses=True)
            ]


def _places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to each value of a document."""
    if path:
        yield path
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in parts:
        yield from _places(part, (*path, key))


_ODD: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    7,
    "",
    "x",
    "-0",
    "1.0",
    "1e5",
    "2026-13-01T00:00:00Z",
    [],
    {},
    ["x"],
    "ok",
    "failed",
    "answer.json",
)
_VALIDATOR = Draft202012Validator(schema.document())


@examples(500)
@given(st.integers(0, 2**64))
def test_a_document_that_is_not_valid_is_refused_with_the_place(seed: int) -> None:
    """A document with a value replaced or a key removed is refused where the schema refuses it, and the place is said."""
    rng = random.Random(seed)
    made: Any = json.loads(machine("json", past_report(seed)))
    path = rng.choice([*_places(made)])
    above = made
    for key in path[:-1]:
        above = above[key]
    if rng.random() < 0.2:
        del above[path[-1]]
    else:
        above[path[-1]] = rng.choice(_ODD)
    valid = _VALIDATOR.is_valid(made)
    try:
        document.parse(json.dumps(made).encode())
    except document.DocumentError as problem:
        place = str(problem).partition(":")[0]
        names = [*(name for name in made if place.startswith(name)), "the document"]
        assert not valid or names[0] in {"complete", "exit_code", "accounts", "balances", "generated_at"}
        assert place == "the document" or len(names) > 1
    else:
        assert valid


@each_case(
    "change, said",
    [
        (lambda d: d["balances"][0].update(total="1.0"), 'balances[0].total: "1.0" does not match the schema'),
        (lambda d: d["balances"][0].pop("raw"), "balances[0]: the key raw is missing"),
        (lambda d: d["balances"][0].update(account="nobody"), 'balances[0].account: "nobody" is not in accounts'),
        (lambda d: d["accounts"].append(copy.deepcopy(d["accounts"][0])), "accounts: two have the same name"),
        (lambda d: d.update(exit_code=8), "exit_code: 8 contradicts the accounts and errors"),
        (lambda d: d.update(complete=False), "complete: False contradicts the accounts and errors"),
        (lambda d: d.update(generated_at="2026-02-30T00:00:00Z"), 'generated_at: "2026-02-30T00:00:00Z" is not a time'),
        (lambda d: d["accounts"][0].update(status="failed"), "accounts[0].fetched_at: "),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_document_is_said(change: Any, said: str) -> None:
    """Each kind of contradiction is refused, with the place."""
    made = json.loads(machine("json", _small("5")))
    change(made)
    with pytest.raises(document.DocumentError) as told:
        document.parse(json.dumps(made).encode())
    assert str(told.value).startswith(said)


@each_case(
    "data, said",
    [
        (b"", "not JSON at line 1, column 1"),
        (b"\xff", "not UTF-8"),
        (b"\xef\xbb\xbf{}", "not JSON at line 1, column 1"),
        (b"[]", "the document: "),
        (b"{}", "the document: the key schema_version is missing"),
        (b'{"a": 1, "a": 2}', "an object has the same key twice"),
        (b'{"a": 1.5}', "the number 1.5 must be a string, like all amounts"),
        (b'{"a": NaN}', "the number NaN must be a string"),
        (b'{"a": ' + b"9" * 5000 + b"}", "the number 9999"),
        (b"[" * 100_000, "nested too deeply"),
    ],
)
def test_what_is_no_document_is_refused(data: bytes, said: str) -> None:
    """Bytes that are not one JSON document of balcli are refused in words."""
    with pytest.raises(document.DocumentError) as told:
        document.parse(data)
    assert str(told.value).startswith(said)


def _show(program: Program, history: Path, *arguments: str, **env: str) -> Result:
    return program.run("history", "show", *arguments, "--history", str(history), env=env)


@pytest.mark.whole
def test_a_recorded_run_is_shown_again(program: Program, tmp_path: Path) -> None:
    """Show's document is that of the run but for one warning, other formats are made of it, the exit code is the run's."""
    history = tmp_path / "own.db"
    others = [name for name in REPORTS if name is not Format.json]
    for seed in sampled(range(300), 60):
        report = past_report(seed)
        number = str(record(history, report))
        files = (argument for name in others for argument in ("-O", f"{name.value}:{tmp_path / name.value}"))
        shown = _show(program, history, number, "-o", "json", *files)
        *warnings, last = shown.json["warnings"]
        assert ("history.past_run", None) == (last["code"], last["account"])
        assert to_document(report) == {**shown.json, "warnings": warnings}
        assert report.exit_code == shown.code
        if report.answered:
            made = {name: (tmp_path / name.value).read_bytes().decode() for name in others}
        else:  # such a run leaves files as they are
            name = others[seed % len(others)]
            made = {name: _show(program, history, number, "-o", name.value).out}
        again = document.parse(shown.out.encode())
        for name, text in made.items():
            in_table = name is Format.table
            expected = drawn(again) if in_table else machine(name, again)
            assert expected == text, (seed, name)


@pytest.fixture
def history(tmp_path: Path) -> Path:
    """Runs of two days, recorded in this order: complete, partial, narrowed; then one of the next day."""
    file = tmp_path / "own.db"
    record(file, _small("1", at=NOON))
    record(file, _small("0", fails=True, at=NOON + timedelta(hours=1)))
    record(file, _small("3", at=NOON + timedelta(hours=2)), Selection(accounts=("shop",)))
    record(file, _small("4", at=NOON + timedelta(hours=35, minutes=30)))  # 2026-11-01T23:30Z
    return file


@each_case(
    "word, zone, number",
    [
        ("last", "UTC", 4),
        ("2", "UTC", 2),
        ("2026-10-31", "UTC", 1),
        ("2026-11-01", "UTC", 4),
        ("2026-11-02", "Asia/Tokyo", 4),
        ("2026-10-31", "America/New_York", 1),
        ("2026-10-31T13:00:00Z", "UTC", 2),
        ("2026-10-31T13:00:00", "UTC", 2),
        ("2026-10-31T14:00:00+01:00", "UTC", 2),
        ("2026-10-31T13:30", "Europe/Berlin", 1),
        ("2026-10-31T21:30", "Asia/Tokyo", 1),
        ("0h", "UTC", 4),
    ],
)
def test_a_run_is_named_in_several_ways(
    program: Program, history: Path, word: str, zone: str, number: int
) -> None:
    """A run is named by its id, as the last, by a time, and by a date for the last complete run of that local day."""
    shown = _show(program, history, word, "-o", "json", TZ=zone)
    assert f"this is run {number}, " in shown.err, shown
    assert (5 if number == 2 else 0) == shown.code


def test_a_narrowed_run_says_so(program: Program, history: Path) -> None:
    """A run that was asked for some accounts alone says which; a date takes it only where there is no other."""
    said = "; it includes only account shop\n"
    assert _show(program, history, "3", "-o", "json").err.endswith(said)
    record(history, _small("5", at=NOON + timedelta(days=5)), Selection(("USDT",), accounts=("shop",)))
    said = "; it includes only account shop and asset USDT\n"
    assert _show(program, history, "2026-11-05", "-o", "json").err.endswith(said)


@each_case(
    "arguments, said",
    [
        (["9"], "run 9 does not exist in {file}; balcli history --history {file} lists the runs"),
        (["2026-10-30"], "no complete recorded run on 2026-10-30; the nearest are on 2026-10-31; "),
        (["2026-12-24"], "no complete recorded run on 2026-12-24; the nearest are on 2026-11-01; "),
        (["2026-02-30"], "run 2026-02-30: not a time; use 24h, "),
        (["yesterday"], "run yesterday: not a time; use 24h, "),
        ([""], "run : not a time; use 24h, "),
        (["2020-01-01T00:00:00"], "no recorded run at or before 2020-01-01T00:00:00+00:00; balcli history "),
        (["-p", "mian"], "no recorded run has profile mian; did you mean main? (one of: main); balcli history "),
        (["1", "-p", "mian"], "run 1 is of profile main, not mian; balcli history --history {file} lists the runs"),
    ],
)  # fmt: skip
def test_no_such_run_is_2(program: Program, tmp_path: Path, arguments: list[str], said: str) -> None:
    """A run that is not there is 2, with a document where one is asked for, and the command that lists the runs."""
    file = tmp_path / "own.db"
    record(file, _small("1", at=NOON))
    record(file, _small("4", at=NOON + timedelta(days=1)))
    shown = _show(program, file, *arguments, "-o", "json")
    assert (2, ["usage"]) == (shown.code, [error["code"] for error in shown.json["errors"]])
    assert shown.err.startswith(f"balcli: {said.format(file=file)}"), shown.err
    assert " lists the runs\n" in shown.err or "use 24h" in shown.err


def test_a_history_that_is_not_there_has_no_run(program: Program, tmp_path: Path) -> None:
    """Where nothing was recorded, there is nothing to show: 2, and no file is made."""
    missing = _show(program, tmp_path / "none.db", "-o", "json")
    assert (2, True) == (missing.code, "no recorded run; balcli history " in missing.err)
    assert not (tmp_path / "none.db").exists()


def test_of_several_profiles_one_is_named(program: Program, history: Path) -> None:
    """Where runs of several profiles are recorded, a time or a date does not say which is meant: 2."""
    record(history, _small("9", at=NOON, profile="other"))
    for word in ("last", "2026-10-31", "0h"):
        shown = _show(program, history, word)
        assert (2, "") == (shown.code, shown.out)
        assert (
            "the history has runs of profile main and of profile other; choose one with --profile"
            in shown.err
        )
    assert "this is run 5, " in _show(program, history, "last", "-p", "other", "-o", "json").err
    assert "this is run 5, " in _show(program, history, "5", "-o", "json").err


def test_the_sandbox_has_a_history_of_its_own(program: Program) -> None:
    """Runs of --sandbox are recorded apart, and shown with --sandbox alone."""
    shown = program.run("all", "--sandbox", "--record", "-o", "json")
    again = program.run("history", "show", "--sandbox", "-o", "json")
    *warnings, past = again.json["warnings"]
    assert (shown.json, "history.past_run") == ({**again.json, "warnings": warnings}, past["code"])
    assert 2 == program.run("history", "show").code
    assert "no run is recorded in " in program.run("history").out
    assert 1 == len(program.run("history", "--sandbox", "-o", "json").json["runs"])


def test_an_option_in_front_of_show_is_refused(program: Program) -> None:
    """An option that stands in front of `show` would be lost: 2, and where to write it."""
    result = program.run("history", "--sandbox", "show")
    said = "balcli: --sandbox is before show; write it after: balcli history show --sandbox\n"
    assert (2, "", said) == (result.code, result.out, result.err)


def test_times_for_people_are_local(program: Program, history: Path) -> None:
    """The list has local times with their offset; machine formats have UTC. Dates of options are local days."""
    arguments = ("history", "--history", str(history))
    tokyo = {"TZ": "Asia/Tokyo"}
    assert " 1  2026-10-31T21:00:00+09:00  main " in program.run(*arguments, env=tokyo).out
    runs = program.run(*arguments, "-o", "json", env=tokyo).json["runs"]
    assert "2026-10-31T12:00:00Z" == runs[0]["at"]
    for zone, until, ids in (("Asia/Tokyo", "2026-11-01", [1, 2, 3]), ("UTC", "2026-11-01", [1, 2, 3, 4])):
        found = program.run(*arguments, "-o", "json", "--until", until, env={"TZ": zone}).json["runs"]
        assert ids == [each["id"] for each in found]
    month = program.run(
        *arguments, "--account", "shop", "--since", "2026-10-01", "--until", "2026-10-31", "-o", "csv"
    )
    assert ["1", "", "3"] == [line.split(",")[13] for line in month.out.splitlines()[1:]]
