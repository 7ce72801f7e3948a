"""The history: every run reads back as it was recorded, also after others were pruned, and bad files are told."""

import contextlib
import gc
import itertools
import os
import shutil
import sqlite3  # noqa: TID253 - the tests are other programs that have the file open, too
import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balcli.cli.balances import machine
from balcli.diff import compare
from balcli.errors import StateError, TimedOut
from balcli.history.database import connect, write_transaction
from balcli.history.pruning import prune
from balcli.history.reading import run, runs, steps_back
from balcli.history.recording import EVERYTHING, Selection, insert, record, with_url_digests
from balcli.history.series import Series, series
from balcli.models import Account, Balance, DepositAddress, Failure, Holdings, Notice, Outcome, Report
from balcli.money import Amount, parse_canonical
from balcli.render import runs as render_runs
from balcli.render import series as render_series
from balcli.render.json import document
from balcli.report import build
from tests.generated import examples, sampled

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
FAILURE = Failure.from_error(TimedOut("no answer within 10 s; try again", http_status=503))


def _account(name: str, target: str = "1") -> Account[object]:
    return Account(name, "wallet", "", {"wallet_id": target}, (), None)


def _row(account: str, asset: str, total: str, **more: Any) -> Balance:
    amount = parse_canonical(total)
    return Balance(account, "wallet", asset, None, amount, amount, Amount(0), **more)


def _report(*outcomes: Outcome, at: datetime = NOON, profile: str | None = "main") -> Report:
    return build(profile, outcomes)._replace(generated_at=at)


def _answered(name: str, *balances: Balance, target: str = "1", at: datetime = NOON) -> Outcome:
    return Outcome(_account(name, target), Holdings(balances), at, None)


def _failed(name: str) -> Outcome:
    return Outcome(_account(name), None, None, FAILURE)


def _told(report: Report) -> tuple[object, ...]:
    """All that a recorded report must have of the one that was shown."""
    return report.generated_at, document(report), [balance.counted for balance in report.balances]


def _same(file: Path, number: int, report: Report) -> bool:
    found = run(file, number)
    return found is not None and _told(report) == _told(found.report)


_AMOUNTS = st.builds(Amount, st.integers(-(10**40), 10**40), st.sampled_from([0, 2, 18, 77]))
_PART = st.one_of(st.none(), st.sampled_from([Amount(0), Amount(5), Amount(15, 1)]), _AMOUNTS)
_NAMES = st.sampled_from(["ETH", "USDT", "\u202eodd\x00", "ü'\"", ""])
_DETAILS = st.dictionaries(
    st.sampled_from(["hold", "referral", "merchant_id", "kind", "can_deposit", "deposit_addresses"]),
    st.one_of(
        st.none(), st.booleans(), _AMOUNTS, st.sampled_from(["fiat", "1", ""]),
        st.lists(st.builds(DepositAddress, _NAMES, st.none() | _NAMES, st.none() | _NAMES), max_size=2).map(tuple),
    ),
    max_size=3,
)  # fmt: skip
_RAW = st.dictionaries(
    st.sampled_from(["total", "locked"]), st.none() | st.sampled_from(["5", "1.50", "x"]), max_size=2
)


@st.composite
def _outcomes(draw: st.DrawFn, name: str) -> Outcome:
    if draw(st.integers(0, 4)) == 0:
        return _failed(name)
    rows = draw(
        st.lists(
            st.builds(
                Balance, st.just(name), st.just("wallet"), _NAMES, st.sampled_from([None, "1", "2"]), _PART, _PART, _PART,
                _DETAILS, _RAW, st.booleans(),
            ),
            max_size=4,
        )
    )  # fmt: skip
    return _answered(name, *rows, target=draw(st.sampled_from(["1", "1", "1", "2"])))


_REPORTS = st.lists(
    st.tuples(st.permutations(["a", "b", "c"]), st.integers(0, 3)).flatmap(
        lambda drawn: st.tuples(*[_outcomes(name) for name in drawn[0][: drawn[1]]])
    ),
    min_size=1,
    max_size=8,
)


@examples(25)
@given(all_outcomes=_REPORTS, keep=st.integers(0, 8))
def test_every_run_reads_back_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, all_outcomes: list[tuple[Outcome, ...]], keep: int
) -> None:
    """Whatever changes between runs, each reads back exactly, before and after older ones are pruned."""
    file = tmp_path_factory.mktemp("history") / "history.db"
    reports = [
        _report(*outcomes, at=NOON + timedelta(hours=number), profile=("main", "other")[number % 3 == 2])
        for number, outcomes in enumerate(all_outcomes)
    ]
    for number, report in enumerate(reports, 1):
        assert number == record(file, report)
    assert all(_same(file, number, report) for number, report in enumerate(reports, 1))
    before = NOON + timedelta(hours=keep)
    gone = [r for r in reports if r.profile == "main" and r.generated_at < before]
    assert len(gone) == prune(file, ["main"], before, keep_newest=False).runs
    left = {number: report for number, report in enumerate(reports, 1) if report not in gone}
    assert list(left) == [each.id for each in runs(file)]
    assert all(_same(file, number, report) for number, report in left.items())
    # What is recorded after pruning goes on from what is left.
    again = reports[0]._replace(generated_at=NOON + timedelta(hours=99))
    assert _same(file, record(file, again), again)


def _expected(reports: Sequence[Report], account: str, asset: str) -> list[tuple[int, str, str | None]]:
    """The intervals of an asset's total at an account, read off the reports one by one."""
    said: list[tuple[int, str, str | None]] = []
    for report in reports:
        (outcome,) = (o for o in report.outcomes if o.account.name == account)
        rows = [b for b in report.balances if (b.account, b.asset) == (account, asset)]
        if outcome.failure is not None:
            now: tuple[str, str | None] = ("failed", None)
        else:
            now = ("ok", str(rows[0].total)) if rows else ("absent", None)
        if not said and now[0] != "ok":
            continue  # what was before the asset was first seen
        if said and said[-1][1:] == now:
            said[-1] = (said[-1][0] + 1, *now)
        else:
            said.append((1, *now))
    return said


@examples(25)
@given(st.lists(st.tuples(st.sampled_from([None, None, 0, 0, 1, 2]), st.booleans()), min_size=1, max_size=12))
def test_series_are_what_the_runs_say(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[int | None, bool]]
) -> None:
    """The intervals of a series are those of the runs one by one: the same, gone, failed, and back."""
    file = tmp_path_factory.mktemp("history") / "history.db"
    reports = []
    for number, (total, fails) in enumerate(steps):
        rows = [] if total is None else [_row("a", "ETH", str(total))]
        outcome = _failed("a") if fails else _answered("a", *rows)
        reports.append(_report(outcome, at=NOON + timedelta(minutes=number)))
        record(file, reports[-1])
    expected = _expected(reports, "a", "ETH")
    found = series(file, assets=["eth"])
    assert ([expected] if expected else []) == [_stretches(each) for each in found]


def _stretches(found: Series) -> list[tuple[int, str, str | None]]:
    return [(interval.runs, interval.status, interval.total) for interval in found.intervals]


def test_series_of_sums_and_of_narrowed_runs(tmp_path: Path) -> None:
    """Sums have a series for each set of accounts, and a run for some assets says nothing about the others."""
    file = tmp_path / "history.db"
    for number, (eth, selection) in enumerate(
        [("1", EVERYTHING), ("1", Selection(("BTC",))), ("2", EVERYTHING)]
    ):
        rows = [] if selection.assets else [_row("a", "ETH", eth)]
        report = _report(
            _answered("a", *rows), _answered("b", _row("b", "ETH", "1")), at=NOON + timedelta(hours=number)
        )
        record(file, report, selection)
    record(file, _report(_answered("a", _row("a", "ETH", "9")), at=NOON + timedelta(hours=3)))
    at_a, at_b, both = series(file, assets=["ETH"])
    assert [(1, "ok", "1"), (1, "ok", "2"), (1, "ok", "9")] == _stretches(at_a)
    assert [(3, "ok", "1")] == _stretches(at_b)
    assert ((None, ("a", "b")), [(1, "ok", "2"), (1, "ok", "1"), (1, "ok", "3")]) == (
        (both.account, both.over),
        _stretches(both),
    )
    assert ["a"] == [each.account for each in series(file, accounts=["a"])]
    assert () == series(file, assets=["#none"])
    (late,) = series(file, accounts=["a"], since=NOON + timedelta(hours=2), until=NOON + timedelta(hours=2))
    assert [(1, "ok", "2")] == _stretches(late)


def test_an_account_with_another_target_goes_on(tmp_path: Path) -> None:
    """A series follows the account's name, also when its target changes and changes back."""
    file = tmp_path / "history.db"
    for number, target in enumerate(["1", "2", "1"]):
        at = NOON + timedelta(hours=number)
        record(file, _report(_answered("a", _row("a", "ETH", "5"), target=target), at=at))
    (found,) = series(file)
    assert [(3, "ok", "5")] == _stretches(found)


def test_what_does_not_change_takes_no_room(tmp_path: Path) -> None:
    """Runs that say the same take less than 100 bytes each, and pruning gives the room back."""
    file = tmp_path / "history.db"
    rows = [_row("a", f"A{number}", f"{number}.5", raw={"total": f"{number}.50"}) for number in range(10)]
    record(file, _report(_answered("a", *rows)))
    size = file.stat().st_size
    with connect(file) as connection, write_transaction(connection):
        for number in range(200):
            insert(connection, _report(_answered("a", *rows), at=NOON + timedelta(minutes=number)))
    grown = file.stat().st_size
    assert grown - size < 20_000
    size = file.stat().st_size
    pruned = prune(file, ["main"], NOON + timedelta(days=1), keep_newest=False)
    assert (201, size - file.stat().st_size) == pruned
    assert file.stat().st_size < grown
    assert () == runs(file)
    assert 202 == record(file, _report(_answered("a", *rows)))


def test_runs_are_listed_oldest_first(tmp_path: Path) -> None:
    """The list has each run's id, time, profile, completeness and accounts, and can be narrowed."""
    file = tmp_path / "history.db"
    for number, profile in enumerate(["main", None, "main", "main"]):
        outcomes = [_answered("a"), _failed("b")][: 1 + number % 2]
        record(file, _report(*outcomes, at=NOON + timedelta(hours=number), profile=profile))
    record(file, _report(at=NOON, profile="none"))
    every = runs(file)
    assert [1, 2, 3, 4, 5] == [each.id for each in every]
    assert ("main", False, (("a", "ok"), ("b", "failed"))) == every[3][2:]
    assert (None, ()) == (every[1].profile, every[4].accounts)
    assert [1, 3, 4] == [each.id for each in runs(file, "main")]
    assert [3, 4] == [each.id for each in runs(file, "main", limit=2)]
    assert [1, 3] == [each.id for each in runs(file, "main", complete=True)]
    assert [3] == [
        each.id for each in runs(file, since=NOON + timedelta(hours=2), until=NOON + timedelta(hours=2))
    ]
    assert run(file, 99) is None


def test_notices_and_the_selection_are_kept(tmp_path: Path) -> None:
    """A run carries its notices, and what it was narrowed to or widened by."""
    file = tmp_path / "history.db"
    notices = (Notice("asset.unknown", "a", "token 7 is unknown"), Notice("env_file.ignored", None, "x"))
    report = _report(_answered("a"))._replace(notices=notices)
    record(file, report, Selection(("ETH", "#7"), ("nfts",)))
    found = run(file, 1)
    assert found is not None
    assert (notices, Selection(("ETH", "#7"), ("nfts",))) == (found.report.notices, found.selection)


def test_the_file_is_the_users_alone(tmp_path: Path) -> None:
    """A history is made with mode 0600 in folders with 0700; nothing but it stays there."""
    file = tmp_path / "deep" / "history.db"
    record(file, _report(_answered("a")))
    assert (0o600, 0o700) == (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777)
    assert [file] == list(file.parent.iterdir())


def _made(file: Path, *statements: str) -> None:
    connection = sqlite3.connect(file)
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


def test_files_that_are_no_history_are_told(tmp_path: Path) -> None:
    """A damaged file, another program's, a newer balcli's and what is no file are refused, and stay as they are."""
    damaged, other, newer = tmp_path / "damaged", tmp_path / "other", tmp_path / "newer"
    damaged.write_bytes(b"no database" * 1000)
    _made(other, "CREATE TABLE theirs (x)")
    record(newer, _report(_answered("a")))
    _made(newer, "PRAGMA user_version = 7")
    os.mkfifo(tmp_path / "fifo")
    for file, reason in (
        (damaged, "is damaged, or not a history; move it away"),
        (other, "is another program's database; use another file with --history"),
        (newer, "was written by a newer balcli (schema 7, this version supports 1); update balcli"),
        (tmp_path / "fifo", "is not a regular file; use another file with --history"),
        (tmp_path, "is not a regular file; use another file with --history"),
        (damaged / "below", "; check its folder, or use another file with --history"),
    ):
        before = file.read_bytes() if file.is_file() else None
        for attempt in (
            lambda file=file: record(file, _report(_answered("a"))),
            lambda file=file: runs(file),
        ):
            with pytest.raises(StateError) as told:
                attempt()
            assert reason in told.value.message
            assert len(told.value.message) <= 300
        assert before == (file.read_bytes() if file.is_file() else None)


def test_damage_inside_is_told(tmp_path: Path) -> None:
    """A page that is overwritten, and a text that no balcli writes, are damage and no bug."""
    file = tmp_path / "history.db"
    record(file, _report(_answered("a", _row("a", "ETH", "1"))))
    _made(file, "UPDATE changes SET total = '1.0'")
    for attempt in (lambda: run(file, 1), lambda: series(file)):
        with pytest.raises(StateError, match=r"is damaged \(unexpected content\)"):
            attempt()
    _made(file, "UPDATE runs SET at = 4e18")
    with pytest.raises(StateError, match=r"is damaged \(unexpected content\)"):
        runs(file)
    content = file.read_bytes()
    file.write_bytes(content[:4096] + b"\xff" * (len(content) - 4096))
    with pytest.raises(StateError, match="is damaged"):
        runs(file)


def test_a_history_that_is_locked_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While another program holds the file nothing is recorded; when it lets go in time, it is."""
    file = tmp_path / "history.db"
    record(file, _report(_answered("a")))
    holder = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
    holder.execute("BEGIN EXCLUSIVE")
    monkeypatch.setattr("balcli.history.database._WAIT_SECONDS", 0.2)
    with pytest.raises(StateError, match="is locked by another program"):
        record(file, _report(_answered("a")))
    monkeypatch.setattr("balcli.history.database._WAIT_SECONDS", 30)
    threading.Timer(0.3, holder.execute, ["COMMIT"]).start()
    assert 2 == record(file, _report(_answered("a")))
    holder.close()


def test_a_run_that_is_broken_off_leaves_nothing(tmp_path: Path) -> None:
    """An interruption in the middle of recording leaves the history as it was."""
    file = tmp_path / "history.db"
    record(file, _report(_answered("a", _row("a", "ETH", "1"))))

    broken = _report(_answered("a"), _answered("b"))._replace(notices=(Notice("x", None, "y"),))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "balcli.history.recording._failure", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt)
        )
        with pytest.raises(KeyboardInterrupt):
            record(file, broken)
    with connect(file) as connection:
        assert [(1,)] == connection.execute("SELECT id FROM runs").fetchall()
        assert [(1,)] == connection.execute(
            "SELECT count(*) FROM changes WHERE held AND rest IS NOT NULL AND counted"
        ).fetchall()


def test_an_empty_file_becomes_a_history(tmp_path: Path) -> None:
    """What a run leaves that is killed before its first word is taken up by the next."""
    file = tmp_path / "history.db"
    file.touch()
    assert () == runs(file)
    assert 1 == record(file, _report(_answered("a")))


JSON = {"text", "texts", "target", "selection"}
"""The columns whose texts are read as JSON."""


def _uses(file: Path, *, writing_too: bool) -> Iterator[Callable[[], object]]:
    """All that balcli does with a history, its output included."""
    times = (NOON - timedelta(days=9), NOON + timedelta(days=9))

    def shown() -> None:
        found = runs(file)
        runs(file, "main", since=times[0], until=times[1], complete=True, limit=2)
        render_runs.table(found, 80)
        render_runs.as_json(found)
        render_runs.as_csv(found)

    def drawn() -> None:
        for assets, accounts in (((), ()), (("ETH",), ()), ((), ("a",))):
            found = series(file, assets=assets, accounts=accounts)
            if found:
                render_series.table(found, 80, render_series.BARS)
            "".join(render_series.as_json(found))
            "".join(render_series.as_csv(found))

    def compared() -> None:
        whole = [made for number in range(1, 4) if (made := run(file, number)) is not None]
        for made in whole:
            for form in ("json", "prometheus"):
                "".join(machine(form, made.report))
        for one, other in itertools.pairwise(whole):
            bool(compare(one.report, other.report))

    yield shown
    yield drawn
    yield compared
    yield lambda: steps_back(file)
    if writing_too:  # which waits for the disk
        yield lambda: record(file, _report(_answered("a", _row("a", "ETH", "7"))))
        yield lambda: prune(file, ["main"], NOON + timedelta(minutes=30))


@pytest.mark.whole
def test_a_value_of_a_wrong_type_is_damage_and_no_bug(tmp_path: Path) -> None:
    """Whatever stands in whichever column, each use of the history works, or says that the file is damaged."""
    whole = tmp_path / "whole.db"
    one, two = (
        _row("a", "ETH", "1.5", details={"hold": Amount(3), "memo": "x"}, raw={"total": "1.50"}),
        _row("a", "BTC", "2"),
    )
    addresses = one._replace(details={"deposit_addresses": (DepositAddress("N", "a", None),)})
    for number, rows in enumerate([(one, two), (addresses, two), (one,)]):
        outcomes = (_answered("a", *rows), _failed("b"), _answered("c", two._replace(account="c")))
        report = _report(*outcomes, at=NOON + timedelta(hours=number))._replace(
            notices=(Notice("x.y", "a", "told"),)
        )
        record(whole, with_url_digests(report, sandbox=False), Selection(("ETH",), ("nfts",), ("a",)))
    with contextlib.closing(sqlite3.connect(whole)) as database:
        tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        columns = [
            (table, column[1])
            for table in tables
            if not table.startswith("sqlite_")
            for column in database.execute(f"PRAGMA table_info({table})")
        ]
    shapes = (
        "[]",
        "{}",
        "[1]",
        '"x"',
        "7",
        "null",
        '{"a": 1}',
        "[[1]]",
        "[[null, null, null], {}]",
        '[[], "x"]',
        "[[[9]], []]",
        "[" * 5000,
    )
    values: list[object] = [
        None,
        5,
        -1,
        2**62,
        1.5,
        float("inf"),
        "x",
        "",
        "\x00",
        b"\xff",
        b"",
    ]
    wrong = []
    changes = [
        (table, column, value)
        for table, column in columns
        for value in [*values, *(shapes if column in JSON else ())]
    ]
    for table, column, value in sampled(changes, 17):
        gc.collect()  # from CPython 3.13 on, a traceback can keep a statement, and its lock on the file
        file = tmp_path / "odd.db"
        shutil.copy(whole, file)
        with contextlib.closing(sqlite3.connect(file)) as database:
            try:
                database.execute(f"UPDATE {table} SET {column} = ?", (value,))  # noqa: S608 - of this test's own names
                database.commit()
            except sqlite3.IntegrityError:
                continue  # the schema itself refuses it
        for number, use in enumerate(_uses(file, writing_too=value in values[:3])):
            try:
                use()
            except StateError:
                continue
            except Exception as bug:  # noqa: BLE001 - what is looked for
                wrong.append((table, column, value, number, repr(bug)))
    assert [] == wrong
