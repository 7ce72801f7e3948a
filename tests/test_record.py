"""`--record`: runs are kept, one at a time, and no trouble with that ever hides a balance."""

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from balcli import state
from balcli.history.reading import run, runs
from balcli.render.json import document
from tests.conftest import ROOT, Program

RECORD = ("all", "--sandbox", "--record")


def _history(program: Program) -> Path:
    return program.folder / ".local" / "state" / "balcli" / "sandbox.db"


def test_a_run_is_kept_as_it_was_shown(program: Program) -> None:
    """A recorded run reads back as the very document that was printed, partial ones and hidden rows included."""
    whole = program.run(*RECORD, "-o", "json")
    partial = program.run(*RECORD, "-o", "json", "--fault", "merchant:refused")
    hidden = program.run(*RECORD, "--nonzero", "--asset", "USDC,ETH")
    assert (0, "", 8, 0) == (whole.code, whole.err, partial.code, hidden.code)
    assert 0o600 == _history(program).stat().st_mode & 0o777
    for number, shown in ((1, whole), (2, partial)):
        found = run(_history(program), number)
        assert found is not None
        assert shown.json == document(found.report)
    last = run(_history(program), 3)
    assert last is not None
    assert (("USDC", "ETH"), {"USDC", "ETH"}) == (
        last.selection.assets,
        {b.asset for b in last.report.balances},
    )
    assert [("sandbox", True), ("sandbox", False), ("sandbox", True)] == [
        each[2:4] for each in runs(_history(program))
    ]


def test_which_runs_are_runs(program: Program, tmp_path: Path) -> None:
    """A run in which every account failed is kept; one that was stopped before any request is not."""
    file = tmp_path / "own.db"
    assert 4 == program.run(*RECORD, "--history", str(file), "--fault", "refused").code
    assert 3 == program.run(*RECORD, "--history", str(file), "nobody").code
    (only,) = runs(file)
    assert {"failed"} == {status for _, status in only.accounts}
    assert not _history(program).exists()


@pytest.mark.parametrize("option", ["--history=x", "--wait=1"])
def test_what_is_for_recording_alone(program: Program, option: str) -> None:
    """--history and --wait without --record cannot be meant."""
    result = program.run("all", "--sandbox", option)
    assert (2, True) == (
        result.code,
        "works only with --record; add --record or remove the option" in result.err,
    )
    assert 2 == program.run(*RECORD, "--wait", "nan").code


def test_a_second_run_is_refused(program: Program) -> None:
    """While one run holds the lock another ends with 10 before any request; without --record it needs none."""
    environ = {"XDG_STATE_HOME": str(program.folder / ".local" / "state")}
    with state.lock("sandbox", environ):
        result = program.run(*RECORD, "-v", "-o", "json")
        assert (10, ["lock.held"]) == (result.code, [error["code"] for error in result.json["errors"]])
        assert (1, True) == (len(result.err.splitlines()), f"(process {os.getpid()}, since " in result.err)
        assert 10 == program.run(*RECORD, "--wait", "0.2").code
        assert 0 == program.run("all", "--sandbox").code
    assert 0 == program.run(*RECORD).code


def _bad_histories(folder: Path) -> dict[str, Path]:
    (folder / "garbage").write_bytes(b"no database" * 1000)
    return {"garbage": folder / "garbage", "folder": folder, "missing": Path("/proc/none/history.db")}


@pytest.mark.parametrize("kind", ["garbage", "folder", "missing"])
def test_a_bad_history_hides_no_balance(program: Program, tmp_path: Path, kind: str) -> None:
    """The rows are shown, one line says what is wrong, the document warns of it, and the code is 9."""
    arguments = [*RECORD, "--history", str(_bad_histories(tmp_path)[kind])]
    table, made = program.run(*arguments), program.run(*arguments, "-q", "-o", "json")
    assert (9, 9, 1, 1) == (table.code, made.code, len(table.err.splitlines()), len(made.err.splitlines()))
    assert table.out.startswith(program.run("all", "--sandbox").out)
    assert "\nnote: the run is not recorded: " in table.out
    assert (True, 12) == (made.json["complete"], len(made.json["balances"]))
    assert ["history.not_recorded"] == [warning["code"] for warning in made.json["warnings"]]


def test_no_place_for_state_hides_no_balance(program: Program) -> None:
    """Without a home directory, or with one that cannot be written, the rows are shown all the same."""
    for env in ({"HOME": ""}, {"XDG_STATE_HOME": "/proc/none"}, {"XDG_STATE_HOME": "x"}):
        result = program.run(*RECORD, env=env)
        assert (9, 1, True) == (result.code, len(result.err.splitlines()), "57506.64" in result.out)


def test_a_python_without_sqlite_hides_no_balance(program: Program, tmp_path: Path) -> None:
    """Where Python has no sqlite3, the rows are shown, and the line says what to install."""
    (tmp_path / "sqlite3.py").write_text("raise ImportError")
    result = program.run(*RECORD, env={"PYTHONPATH": str(tmp_path)})
    assert (9, True) == (result.code, "57506.64" in result.out)
    assert (
        "balcli: this Python has no sqlite3 module, which the history needs; install a Python with sqlite3\n"
        == result.err
    )


def test_what_outranks_a_bad_history(program: Program, tmp_path: Path) -> None:
    """A partial run that is not recorded ends with 9; where nobody answered, the reason for that is the code."""
    arguments = [*RECORD, "--history", str(tmp_path)]
    assert 9 == program.run(*arguments, "--fault", "merchant:refused").code
    assert 4 == program.run(*arguments, "--fault", "refused").code


def test_a_full_disk_hides_no_balance(program: Program) -> None:
    """Where the history cannot grow, the rows are shown, the code is 9, and the old runs are still there."""
    assert 0 == program.run(*RECORD).code

    def without_room() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))

    done = subprocess.run(
        [sys.executable, "-B", "-m", "balcli", *RECORD, "--no-cache"],
        env=program.environment(),
        cwd=ROOT,
        capture_output=True,
        check=False,
        preexec_fn=without_room,
    )
    assert (9, 1, True) == (done.returncode, len(done.stderr.splitlines()), b"57506.64" in done.stdout)
    assert [1] == [each.id for each in runs(_history(program))]
