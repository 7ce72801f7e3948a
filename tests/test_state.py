"""The lock of a profile: one run at a time, told who has it, free when its holder ends in any way."""

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from balcli import state
from balcli.errors import LockHeld, StateError
from tests.conftest import ROOT
from tests.lists import each_case

HOLD = """
import os, sys, time
from balcli import state
with state.lock(sys.argv[1], os.environ):
    print("held", flush=True)
    time.sleep(60)
"""


@contextmanager
def _holder(home: Path, profile: str = "main") -> Iterator["subprocess.Popen[bytes]"]:
    """A process that holds the lock of a profile."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, profile],
        env={"HOME": str(home), "PATH": os.environ["PATH"]},
        cwd=ROOT,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert b"held\n" == process.stdout.readline()
    yield process
    process.kill()
    process.communicate()


@each_case(
    ("environ", "folder"),
    [
        ({"XDG_STATE_HOME": "/there"}, "/there/balcli"),
        ({"XDG_STATE_HOME": "/there", "HOME": ""}, "/there/balcli"),
        ({"XDG_STATE_HOME": "relative"}, None),
        ({"XDG_STATE_HOME": "", "HOME": ""}, None),
    ],
)
def test_where_state_is(environ: dict[str, str], folder: str | None) -> None:
    """State is under XDG_STATE_HOME; a relative or empty place is refused with what to set."""
    if folder is not None:
        assert Path(folder) == state.folder(environ)
        return
    with pytest.raises(StateError, match="its lock: HOME or XDG_STATE_HOME is not an absolute path; set it"):
        state.folder(environ)


def test_without_xdg_state_is_in_the_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without XDG_STATE_HOME, or with an empty one, it is ~/.local/state/balcli."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for environ in ({"HOME": str(tmp_path)}, {"HOME": str(tmp_path), "XDG_STATE_HOME": ""}):
        assert tmp_path / ".local" / "state" / "balcli" == state.folder(environ)


def test_the_lock_is_the_users_alone(tmp_path: Path) -> None:
    """The folders are made with mode 0700 and the lock with 0600, and the lock stays when it is let go."""
    environ = {"XDG_STATE_HOME": str(tmp_path / "deep" / "state")}
    with state.lock("main", environ):
        pass
    made = sorted((tmp_path / "deep").rglob("*"))
    assert [("state", 0o700), ("balcli", 0o700), ("main.lock", 0o600)] == [
        (path.name, path.stat().st_mode & 0o777) for path in made
    ]


@each_case(
    ("one", "other"),
    [("a/b", "a%2Fb"), ("..", "."), ("x" * 300, "x" * 301), (None, "environment"), (None, "(environment)")],
)
def test_each_profile_has_its_own_lock(tmp_path: Path, one: str | None, other: str | None) -> None:
    """The locks of two profiles, whatever their names, are two, and both are in the folder."""
    environ = {"XDG_STATE_HOME": str(tmp_path)}
    with state.lock(one, environ), state.lock(other, environ):
        assert 2 == len(list((tmp_path / "balcli").iterdir()))


def test_a_second_run_is_told_who_has_it(tmp_path: Path) -> None:
    """While a process holds the lock another gets LockHeld at once, with its number and what to do."""
    environ = {"XDG_STATE_HOME": str(tmp_path / ".local" / "state")}
    with _holder(tmp_path) as process:
        with pytest.raises(LockHeld) as told, state.lock("main", environ):
            pytest.fail("two have it")
        with state.lock("other", environ):
            pass
    assert 10 == told.value.exit_code
    assert told.value.message.startswith(f"another run (process {process.pid}, since 2")
    assert told.value.message.endswith(
        ") holds the lock of profile main; try again later, or wait for it with --wait S"
    )


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_holder_that_ends_lets_it_go(tmp_path: Path, number: signal.Signals) -> None:
    """A run that waits has the lock as soon as its holder has ended, however that was."""
    environ = {"XDG_STATE_HOME": str(tmp_path / ".local" / "state")}
    with _holder(tmp_path) as process:
        process.send_signal(number)
        with state.lock("main", environ, wait=30):
            assert process.wait() in {-number, 128 + number}


def test_waiting_ends(tmp_path: Path) -> None:
    """A run waits as long as it was told to and no longer."""
    environ = {"XDG_STATE_HOME": str(tmp_path)}
    start = time.monotonic()
    with state.lock("main", environ), pytest.raises(LockHeld), state.lock("main", environ, wait=0.3):
        pytest.fail("two have it")
    assert 0.3 <= time.monotonic() - start < 10


def test_a_lock_that_cannot_be_had_is_told(tmp_path: Path) -> None:
    """A place where no lock can be made, or that others can write, is refused with the cure."""
    (tmp_path / "file").write_text("")
    (tmp_path / "open" / "balcli").mkdir(parents=True)
    (tmp_path / "open" / "balcli").chmod(0o777)
    (tmp_path / "odd" / "balcli").mkdir(parents=True)
    os.mkfifo(tmp_path / "odd" / "balcli" / "main.lock")
    (tmp_path / "link" / "balcli").mkdir(parents=True)
    (tmp_path / "link" / "balcli" / "main.lock").symlink_to(tmp_path / "file")
    for name, reason in (
        ("file", "Not a directory; make its folder writable, or set XDG_STATE_HOME"),
        ("open", "can be written by others; chmod 700 "),
        ("odd", "main.lock is not a regular file; remove it"),
        ("link", "Too many levels of symbolic links"),
    ):
        with pytest.raises(StateError) as told, state.lock("main", {"XDG_STATE_HOME": str(tmp_path / name)}):
            pytest.fail("there is no lock to have")
        assert reason in told.value.message
        assert 9 == told.value.exit_code


def test_a_file_system_without_locks_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the system refuses every lock, that is said, and nobody runs as if there was one."""

    def refused(descriptor: int, operation: int) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refused)
    with (
        pytest.raises(
            StateError,
            match="cannot be locked on this system; set XDG_STATE_HOME to a folder on a local disk",
        ),
        state.lock("main", {"XDG_STATE_HOME": str(tmp_path)}),
    ):
        pytest.fail("there is no lock to have")


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs Linux's /proc")
def test_what_a_run_starts_does_not_keep_the_lock(tmp_path: Path) -> None:
    """What a run starts does not hold its lock: the descriptor is closed in other programs."""
    with state.lock("main", {"XDG_STATE_HOME": str(tmp_path)}):
        done = subprocess.run(
            ["ls", "-l", "/proc/self/fd"], capture_output=True, text=True, check=True, close_fds=False
        )
    assert "main.lock" not in done.stdout
