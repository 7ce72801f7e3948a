"""Output files: whole or not at all, the user's alone, and nothing left beside them."""

import fcntl
import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from balcli import atomic
from balcli.cli import output
from balcli.errors import OutputError
from balcli.secret import Secret
from tests.conftest import ROOT, Program
from tests.lists import each_case


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_output_goes_into_the_file(program: Program, tmp_path: Path) -> None:
    """With -O the file holds what stdout would, readable by the user alone, and stdout and stderr stay empty."""
    file = tmp_path / "out.txt"
    result = program.run("all", "--sandbox", "-O", str(file))
    assert (0, "", "") == (result.code, result.out, result.err)
    assert (program.run("all", "--sandbox").out, 0o600) == (file.read_text(), file.stat().st_mode & 0o777)
    assert ["out.txt"] == _names(tmp_path)


def test_a_dash_is_stdout(program: Program) -> None:
    """`-O -` is stdout, as in other tools."""
    assert program.run("all", "--sandbox").out == program.run("all", "--sandbox", "-O", "-").out


def test_a_partial_run_is_written(program: Program, tmp_path: Path) -> None:
    """A run of which some accounts answered replaces the file, ends with 8 and says why."""
    file = tmp_path / "out.json"
    result = program.run("all", "--sandbox", "--fault", "wallet:refused", "-o", "json", "-O", str(file))
    assert (8, "", 2) == (result.code, result.out, len(result.err.splitlines()))
    assert not json.loads(file.read_text())["complete"]


@each_case("old", [None, "old\n"])
@each_case("arguments", [["--fault", "refused"], ["nobody"]])
def test_a_run_that_fails_wholly_writes_nothing(
    program: Program, tmp_path: Path, arguments: list[str], old: str | None
) -> None:
    """Without any answer the old file stays, no new one is made, and the document is on stdout."""
    file = tmp_path / "out.json"
    if old is not None:
        file.write_text(old)
    result = program.run("all", "--sandbox", *arguments, "-o", "json", "-O", str(file))
    assert result.code in {3, 4}
    assert not result.json["complete"]
    assert old == (file.read_text() if file.exists() else None)


def test_the_doctor_writes_what_it_found(program: Program, tmp_path: Path) -> None:
    """A diagnosis goes into the file, also one of something that fails; without one the file stays."""
    file = tmp_path / "doctor.json"
    arguments = ["doctor", "--sandbox", "-o", "json", "-O", str(file)]
    assert (4, "") == (program.run(*arguments, "--fault", "refused").code, program.run(*arguments).out)
    assert json.loads(file.read_text())["ok"]
    file.write_text("old")
    assert (2, "old") == (program.run(*arguments, "--fault", "nope").code, file.read_text())
    assert 9 == program.run("doctor", "--sandbox", "-O", str(tmp_path)).code


@each_case(
    ("name", "reason"),
    [
        ("missing/out", "No such file or directory; create the folder"),
        ("file/out", "Not a directory; create the folder"),
        ("", "Is a directory; use a file in that folder"),
        ("loop", "Too many levels of symbolic links; "),
        ("n" * 256, "File name too long; use a shorter name"),
    ],
)
def test_a_file_that_cannot_be_written_is_told_first(tmp_path: Path, name: str, reason: str) -> None:
    """What no file can be put into is refused with the file and the cure, and nothing changes."""
    (tmp_path / "file").write_text("")
    (tmp_path / "loop").symlink_to("loop")
    before = _names(tmp_path)
    for attempt in (atomic.check, lambda path: atomic.replace(path, b"")):
        with pytest.raises(OutputError) as told:
            attempt(tmp_path / name)
        assert reason in told.value.message
        assert 9 == told.value.exit_code
    assert before == _names(tmp_path)


def test_a_bad_place_is_told_before_any_request(program: Program, tmp_path: Path) -> None:
    """A missing folder or a folder itself ends the run with 9 and one line; a document says so, too."""
    for path in (tmp_path / "missing" / "out", tmp_path):
        result = program.run("all", "--sandbox", "-v", "-o", "json", "-O", str(path))
        assert (9, 1) == (result.code, len(result.err.splitlines()))
        assert (["output.write"], []) == ([e["code"] for e in result.json["errors"]], result.json["accounts"])
    assert [] == _names(tmp_path)


def test_a_place_that_refuses_late_is_told_too(program: Program) -> None:
    """A folder that looks as if it could be written and cannot be ends with 9; the rows are on stdout."""
    result = program.run("all", "--sandbox", "-O", "/proc/out")
    assert (9, 1) == (result.code, len(result.err.splitlines()))
    assert result.err.startswith("balcli: /proc/out cannot be written: ")
    assert program.run("all", "--sandbox").out == result.out


def _without_room() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))


def test_a_full_disk_costs_neither_the_old_file_nor_the_balances(program: Program, tmp_path: Path) -> None:
    """Where the new content does not fit, the old one stays, the rows are on stdout, and the code is 9."""
    file = tmp_path / "out.json"
    file.write_text("old")
    done = subprocess.run(
        [
            sys.executable,
            "-B",
            "-m",
            "balcli",
            "all",
            "--sandbox",
            "--no-cache",
            "-o",
            "json",
            "-O",
            str(file),
        ],
        env=program.environment(),
        cwd=ROOT,
        capture_output=True,
        check=False,
        preexec_fn=_without_room,
    )
    assert (9, 12) == (done.returncode, len(json.loads(done.stdout)["balances"]))
    assert f"balcli: {file} cannot be written: File too large; ".encode() in done.stderr
    assert (1, "old", ["out.json"]) == (len(done.stderr.splitlines()), file.read_text(), _names(tmp_path))


@each_case("mode", [0o600, 0o644, 0o440, 0o666])
def test_the_mode_stays(tmp_path: Path, mode: int) -> None:
    """A file that is replaced keeps its mode, and whoever has the old one open keeps that."""
    file = tmp_path / "out"
    file.write_text("old")
    file.chmod(mode)
    with file.open() as opened:
        atomic.replace(file, b"new")
        assert "old" == opened.read()
    assert (b"new", mode) == (file.read_bytes(), file.stat().st_mode & 0o777)


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    """What a symbolic link leads to is replaced, or made, and the link is as it was."""
    (tmp_path / "real").mkdir()
    target = tmp_path / "real" / "file"
    (tmp_path / "one").symlink_to("two")
    (tmp_path / "two").symlink_to("real/file")
    for content in (b"new", b"newer"):
        atomic.replace(tmp_path / "one", content)
        assert (content, "two") == (target.read_bytes(), str((tmp_path / "one").readlink()))


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a link away")
def test_anothers_link_is_not_followed(tmp_path: Path) -> None:
    """A link that another user has put there is refused."""
    (tmp_path / "link").symlink_to("file")
    os.chown(tmp_path / "link", 65534, 65534, follow_symlinks=False)
    with pytest.raises(OutputError, match="another user's symbolic link"):
        atomic.replace(tmp_path / "link", b"")
    assert ["link"] == _names(tmp_path)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a file away")
def test_the_owner_stays(tmp_path: Path) -> None:
    """A file that root replaces keeps its owner and group."""
    file = tmp_path / "out"
    file.write_text("old")
    os.chown(file, 65534, 65533)
    atomic.replace(file, b"new")
    assert (65534, 65533) == (file.stat().st_uid, file.stat().st_gid)


@each_case("name", ["out.json", "n" * 250, "ü" * 120])
def test_what_a_killed_run_left_is_removed(tmp_path: Path, name: str) -> None:
    """The next run that writes the file removes what is left aside of it, and nothing else."""
    stem = atomic._stem(Path(name))
    (tmp_path / f".{stem}.123-456.balcli").write_text("half")
    (tmp_path / f".{stem}.123-457.balcli").mkdir()
    (tmp_path / f".{stem}.123-458.balcli").symlink_to("elsewhere")
    others = [f".{stem}.123-459.balcli", ".other.123-456.balcli", f".{stem}.x.balcli"]
    for other in others:
        (tmp_path / other).write_text("")
    with (tmp_path / others[0]).open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        atomic.replace(tmp_path / name, b"new")
    kept = [f".{stem}.123-457.balcli", f".{stem}.123-458.balcli", *others, name]
    assert sorted(kept) == _names(tmp_path)


def test_a_file_gets_the_data_as_it_is(tmp_path: Path) -> None:
    """No filter changes the data on its way into a file; what UTF-8 cannot carry is escaped."""
    Secret("a-very-secret-key-of-32-characters")
    text = "a-very-secret-key-of-32-characters \ud800\n"
    assert [] == output.Outputs(tmp_path / "out").write("json", lambda *_: text)
    assert "a-very-secret-key-of-32-characters \\ud800\n" == (tmp_path / "out").read_text()


def test_a_file_is_coloured_only_on_request(program: Program, tmp_path: Path) -> None:
    """FORCE_COLOR colours a file, as it does a pipe; nothing else does."""
    for env, coloured in (({}, False), ({"FORCE_COLOR": "1"}, True)):
        program.run("merchant", "--sandbox", "-O", str(tmp_path / "out"), env=env)
        assert coloured == ("\x1b[" in (tmp_path / "out").read_text())
