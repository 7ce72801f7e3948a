"""Outputs of every kind: FIFOs, devices, descriptors, mount points, modes, and several files of one run."""

import csv
import io
import json
import os
import random
import select
import shutil
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from balcli import atomic
from balcli.cli import app
from balcli.cli.options import REPORTS, Format
from tests.conftest import ROOT, Program, Result, warm
from tests.generated import sampled
from tests.lists import each_case

ASKED: Final = ("merchant", "--sandbox", "-q")
CAN_MOUNT: Final = (
    shutil.which("unshare") is not None
    and subprocess.run(["unshare", "-m", "true"], check=False, capture_output=True).returncode == 0
)


def _in_shell(program: Program, script: str, **env: str) -> Result:
    """What a bash script does in which `balcli` is the program; its folder is the program's home."""
    done = subprocess.run(
        ["bash", "-c", f'balcli() {{ "{sys.executable}" -m balcli "$@"; }}\n{script}'],
        env=program.environment({"PYTHONPATH": str(ROOT), **env}),
        cwd=program.folder,
        capture_output=True,
        stdin=subprocess.DEVNULL,
        timeout=60,
        check=False,
        text=True,
    )
    return Result(done.returncode, done.stdout, done.stderr)


def _rows(document: str) -> list[str]:
    """The totals of the accounts' rows in a JSON document."""
    return [row["total"] for row in json.loads(document)["balances"]]


def _kind(path: Path) -> int:
    return stat.S_IFMT(path.lstat().st_mode)


# FIFOs, devices and descriptors.


def test_a_fifo_gets_what_stdout_would_get(program: Program, tmp_path: Path) -> None:
    """A FIFO stays one, and its reader gets the whole document, also of a run that fails; stdout gets nothing."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo, 0o600)
    for arguments, code in ((ASKED, 0), ((*ASKED, "--fault", "refused"), 4)):
        with subprocess.Popen(["cat", str(fifo)], stdout=subprocess.PIPE) as reader:
            result = program.run(*arguments, "-o", "json", "-O", str(fifo), "--mode", "0644")
            out, _ = reader.communicate(timeout=30)
        assert (code, "", code == 0) == (result.code, result.out, json.loads(out)["complete"])
        assert (stat.S_IFIFO, 0o600) == (_kind(fifo), fifo.stat().st_mode & 0o777)


def test_a_fifo_that_nobody_reads_costs_the_deadline(program: Program, tmp_path: Path) -> None:
    """Without a reader, or with one that does not read on, the run ends with 9 by the deadline; the rows are on stdout."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    start = time.monotonic()
    result = program.run(*ASKED, "-O", str(fifo), "--deadline", "1")
    assert (9, program.run(*ASKED).out) == (result.code, result.out)
    assert f"{fifo} cannot be written: No process reads it; start its reader first" in result.err
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    full = os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
    while select.select([], [full], [], 0)[1]:
        os.write(full, bytes(4096))
    assert 9 == program.run(*ASKED, "-O", str(fifo), "--deadline", "1").code
    os.close(full)
    os.close(reader)
    assert time.monotonic() - start < 15


def test_a_fifo_is_waited_for_as_long_as_the_profile_says(program: Program, tmp_path: Path) -> None:
    """The profile's deadline counts as the option's does."""
    os.mkfifo(tmp_path / "fifo")
    program.write(
        '[profiles.main]\ndeadline = 1\n[profiles.main.merchant]\ntoken = "t"\nbase_url = "http://[::1]:9"'
    )
    start = time.monotonic()
    for command in (["merchant", "--retries", "0"], ["doctor"]):
        result = program.run(*command, "-c", str(program.file), "-O", str(tmp_path / "fifo"))
        assert "No process reads it" in result.err
    assert time.monotonic() - start < 20


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a FIFO away")
def test_another_users_fifo_in_a_shared_folder_is_refused(program: Program, tmp_path: Path) -> None:
    """Where everybody can make files, one that another user has put there gets nothing; elsewhere it does."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    os.chown(fifo, 65534, -1)
    for mode, code in ((0o1777, 9), (0o755, 0)):
        tmp_path.chmod(mode)
        with subprocess.Popen(["cat", str(fifo)], stdout=subprocess.PIPE) as reader:
            result = program.run(*ASKED, "-O", str(fifo))
            if code:
                os.close(os.open(fifo, os.O_WRONLY))
            out, _ = reader.communicate(timeout=30)
        assert (code, code == 0) == (result.code, bool(out))
        assert code == 0 or "fifo is another user's FIFO; remove it" in result.err


DEVICES: Final = {
    "/dev/null": (0, False),
    "/dev/full": (9, True),
    "null": (0, False),
    "/dev/fd/77": (9, False),
    "/proc/self/fd/77": (9, False),
    "/dev/fd/0": (9, False),
}
"""By path, the exit code and whether the rows are on stdout; `null` is a link."""


@each_case(("path", "expected"), DEVICES.items(), ids=DEVICES)
def test_a_device_is_written_and_stays_one(
    program: Program, tmp_path: Path, path: str, expected: tuple[int, bool]
) -> None:
    """A device is never replaced and keeps its mode; what it does not take is on stdout. What cannot be written is told first."""
    (tmp_path / "null").symlink_to("/dev/null")
    before = Path("/dev/null").stat()
    result = program.run(*ASKED, "-O", str(tmp_path / path), "--mode", "0600")
    after = Path("/dev/null").stat()
    code, on_stdout = expected
    assert (code, program.run(*ASKED).out if on_stdout else "") == (result.code, result.out)
    assert code == len(result.err.splitlines()) * 9
    assert (before.st_ino, before.st_mode) == (after.st_ino, after.st_mode)


def test_a_descriptor_is_written_where_it_stands(program: Program) -> None:
    """What stands in a file before an open descriptor's place is kept, whatever the descriptor's number or spelling."""
    result = _in_shell(
        program,
        "exec 3> out 7>> more\necho before >&3\necho before > more\n"
        "balcli merchant --sandbox -q -O csv:/dev/fd/3 -O jsonl:/proc/self/fd/7 && balcli schema -O /dev/fd/3\n"
        "echo after >&3",
    )
    assert (0, "", "") == (result.code, result.out, result.err)
    written = (program.folder / "out").read_text()
    assert written.startswith("before\naccount,provider,")
    assert written.endswith("}\nafter\n")
    first, *lines = (program.folder / "more").read_text().splitlines()
    assert ("before", "summary") == (first, json.loads(lines[-1])["type"])


def test_a_process_substitution_is_an_output(program: Program) -> None:
    """`-O >(command)` of the shell gets the document."""
    result = _in_shell(program, "balcli merchant --sandbox -q -o json -O >(cat > got; touch done)\nsleep 0.5")
    assert 0 == result.code
    assert json.loads((program.folder / "got").read_text())["complete"]


@pytest.mark.whole
@each_case("path", sampled(["-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1", "link"], 2))
def test_stdout_by_any_name_is_stdout(program: Program, tmp_path: Path, path: str) -> None:
    """Stdout's other names make what no -O makes, a reader that goes away included."""
    (tmp_path / "link").symlink_to("/dev/stdout")
    name = str(tmp_path / path) if path == "link" else path
    assert program.run(*ASKED).out == program.run(*ASKED, "-O", name).out
    assert program.run(*ASKED, "-o", "csv").out == program.run(*ASKED, "-O", f"csv:{name}").out
    gone = _in_shell(
        program, f"balcli schema -O {name} | true; exit ${{PIPESTATUS[0]}}", PYTHONUNBUFFERED="1"
    )
    assert (gone.code, gone.err) in {(141, ""), (0, "")}  # the pipe may hold all of it


def test_a_reader_that_goes_away_is_told(program: Program, tmp_path: Path) -> None:
    """Where the reader of a FIFO ends before the output does, the code is 9, and the reason one line."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    reading = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    full = os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
    while select.select([], [full], [], 0)[1]:
        os.write(full, bytes(4096))
    os.close(full)
    threading.Timer(1.5, os.close, [reading]).start()
    result = program.run(*ASKED, "-O", str(fifo))
    assert (9, 1) == (result.code, len(result.err.splitlines()))
    assert "Broken pipe; check the program that reads it" in result.err


# Mount points.


def run_with_mounts(program: Program, script: str) -> "subprocess.CompletedProcess[str]":
    """A script in a mount namespace of its own."""
    return subprocess.run(
        ["unshare", "-m", "bash", "-c", script],
        env=program.environment({"PYTHONPATH": str(ROOT)}),
        cwd=program.folder,
        capture_output=True,
        check=False,
        text=True,
    )


@pytest.mark.skipif(not CAN_MOUNT, reason="a mount namespace cannot be had: unshare -m")
def test_a_mount_point_is_refused_before_any_request(program: Program) -> None:
    """A file that is bind-mounted, also by a link or under an odd name, is 9 with the cure, and no request is made."""
    script = (
        'touch source "a \\\\b" && ln -s "a \\\\b" link && mount --bind source "a \\\\b" && '
        'for name in "a \\\\b" link ./link; do '
        f'"{sys.executable}" -m balcli merchant --sandbox -v -O "$name"; echo "$?"; done; '
        f'"{sys.executable}" -m balcli merchant --sandbox -q -O beside && cat beside'
    )
    done = run_with_mounts(program, script)
    assert f"9\n9\n9\n{program.run(*ASKED).out}" == done.stdout
    lines = done.stderr.splitlines()
    assert 3 == len(lines)  # -v would tell a request
    assert all(
        "cannot be written: Is a mount point; write to another file in that folder, or mount" in line
        for line in lines
    )


@pytest.mark.skipif(not CAN_MOUNT, reason="a mount namespace cannot be had: unshare -m")
def test_a_mount_point_that_is_not_listed_is_told_at_the_rename(program: Program) -> None:
    """Where no list of mounts can be read, the rename fails: 9 with the cure, the rows on stdout, nothing left."""
    script = (
        "touch source out && mount --bind source out && mount --bind /dev/null /proc/self/mountinfo; "
        f'mount -t tmpfs none /proc; "{sys.executable}" -m balcli merchant --sandbox -q -O out; echo "$?"; ls -A'
    )
    done = run_with_mounts(program, script)
    assert done.stdout.startswith(program.run(*ASKED).out)
    code, *left = done.stdout.removeprefix(program.run(*ASKED).out).split()
    assert ("9", ["out", "source"]) == (code, [name for name in left if name not in {".cache", ".local"}])
    assert (
        "out cannot be written: Device or resource busy; write to another file in that folder" in done.stderr
    )


# Modes.


@each_case("old", [None, 0o600, 0o444, 0o666])
@each_case("given", ["0644", "640", "000", "0777"])
def test_a_mode_is_that_of_the_file_new_or_old(
    program: Program, tmp_path: Path, given: str, old: int | None
) -> None:
    """--mode decides, whatever the umask and the old file's mode."""
    file = tmp_path / "out"
    if old is not None:
        file.write_text("old")
        file.chmod(old)
    before = os.umask(0o077)
    try:
        atomic.replace(file, b"new", int(given, 8))
    finally:
        os.umask(before)
    assert int(given, 8) == file.stat().st_mode & 0o7777
    assert 0 == program.run("schema", "-O", str(file), "--mode", given).code
    assert int(given, 8) == file.stat().st_mode & 0o7777


@each_case(
    "given", ["4755", "2755", "1777", "04755", "0o644", "644.0", "888", "-1", "u+r", "", "64", "06440", "٦٤٤"]
)
def test_what_is_no_mode_is_wrong_usage(program: Program, tmp_path: Path, given: str) -> None:
    """Anything but three octal digits, with a zero before them or not, is 2; so is a mode without a file."""
    assert 2 == program.run("schema", "-O", str(tmp_path / "out"), "--mode", given).code
    assert 2 == program.run("schema", "--mode", "0644").code
    assert [] == [*tmp_path.iterdir()]


# Several files of one run.


def test_several_files_tell_the_same(program: Program, tmp_path: Path) -> None:
    """One run writes every report, each as -o would make it of that run; stdout is empty."""
    files = {form: tmp_path / f"out.{form}" for form in REPORTS}
    result = program.run(*ASKED, *(word for form, file in files.items() for word in ("-O", f"{form}:{file}")))
    assert (0, "", "") == (result.code, result.out, result.err)
    texts = {form: file.read_text() for form, file in files.items()}
    totals = _rows(texts[Format.json])
    rows = csv.DictReader(io.StringIO(texts[Format.csv]))
    assert totals == [row["total"] for row in rows if row["total"] and row["status"] == "ok"]
    lines = map(json.loads, texts[Format.jsonl].splitlines())
    assert totals == [line["total"] for line in lines if line["type"] == "balance"]
    assert all(total in texts[form] for total in totals for form in REPORTS)
    assert texts[Format.table] == program.run(*ASKED).out
    assert {0o600} == {file.stat().st_mode & 0o777 for file in files.values()}


@each_case(
    ("asset", "code", "amount"),
    [("BTC", 0, "2\n"), ("NONE", 6, None)],
)
def test_an_amount_goes_into_a_file_of_its_own(
    program: Program, tmp_path: Path, asset: str, code: int, amount: str | None
) -> None:
    """`-O value:FILE` beside a report: where there is no value, that file alone is left as it was, and the code says so."""
    record = str(tmp_path / "record")
    value = ("--asset", asset, "-O", "value:v", "-O", "json:j")
    runs = [
        ("merchant", "--sandbox", "--record", "--evidence", record, *value),
        ("replay", record, *value[2:]),
        ("history", "show", "--sandbox", *value),
    ]
    for command in runs:
        result = program.run(*command, cwd=tmp_path)
        written = (tmp_path / "v").read_text() if (tmp_path / "v").exists() else None
        assert (code, "", amount) == (result.code, result.out, written), command
        assert json.loads((tmp_path / "j").read_text())["complete"]
        assert ("no value: " in result.err) == (amount is None)
        (tmp_path / "v").unlink(missing_ok=True)
        (tmp_path / "j").unlink()


DESTINATIONS: Final[dict[tuple[str, ...], tuple[str | None, dict[str, str]]]] = {
    ("-O", "json:a"): (None, {"a": "json"}),
    ("-O", "json:a", "-o", "csv"): ("csv", {"a": "json"}),
    ("-O", "json:a", "-O", "csv:b", "-O", "c", "-o", "jsonl"): (
        None,
        {"a": "json", "b": "csv", "c": "jsonl"},
    ),
    ("-O", "json:a", "-O", "b"): (None, {"a": "json", "b": "table"}),
    ("-O", "json:a", "-O", "-", "-o", "csv"): ("csv", {"a": "json"}),
    ("-O", "json:-"): ("json", {}),
    ("-O", "json:-", "-O", "csv:a"): ("json", {"a": "csv"}),
    ("-O", "./json:a"): (None, {"json:a": "table"}),
    ("-O", "json:json:a"): (None, {"json:a": "json"}),
    ("-O", "JSON:a"): (None, {"JSON:a": "table"}),
    ("-O", "json :a"): (None, {"json :a": "table"}),
    ("-O", "yaml:a"): (None, {"yaml:a": "table"}),
    ("-O", ":a"): (None, {":a": "table"}),
    ("-O", "json:~/a"): (None, {"a": "json"}),
    ("-O", "~/a", "-o", "csv"): (None, {"a": "csv"}),
    ("-O", "~a"): (None, {"~a": "table"}),
}
"""By options, the format on stdout and those of the files."""


def _format_of(text: str) -> str | None:
    beginnings = {'{"type"': "jsonl", "{": "json", "account,": "csv", " ": "table"}
    return next((form for begin, form in beginnings.items() if text.startswith(begin)), None)


@each_case(("given", "expected"), DESTINATIONS.items(), ids=[" ".join(each) for each in DESTINATIONS])
@pytest.mark.whole
@each_case("variable", sampled(["", "prometheus"], 2))
def test_each_format_goes_where_it_is_sent(
    program: Program,
    tmp_path: Path,
    given: tuple[str, ...],
    expected: tuple[str | None, dict[str, str]],
    variable: str,
) -> None:
    """A prefix is exactly a format's name; stdout gets output with an explicit -o alone, not for BALCLI_OUTPUT."""
    env = {"BALCLI_OUTPUT": variable} if variable else {}
    result = program.run(*ASKED, *given, cwd=tmp_path, env=env)
    on_stdout, files = expected
    made = {path.name: path.read_text() for path in tmp_path.iterdir()}
    plain = "-o" not in given and variable
    found = {
        name: "table" if plain and text.startswith("# HELP") else _format_of(text)
        for name, text in made.items()
    }
    assert (0, on_stdout, files) == (result.code, _format_of(result.out), found)


TWICE: Final = (
    ("-O", "a", "-O", "b"),
    ("-O", "a", "-O", "a"),
    ("-O", "json:a", "-O", "csv:a"),
    ("-O", "json:a", "-O", "./a"),
    ("-O", "json:a", "-O", "csv:folder/../a"),
    ("-O", "json:a", "-O", "csv:link"),
    ("-O", "json:new", "-O", "csv:dangling"),
    ("-O", "json:folder/x", "-O", "csv:also/x"),
    ("-O", "json:a", "-O", "csv:~/a"),
    ("-O", "json:/dev/null", "-O", "csv:null"),
    ("-O", "json:fifo", "-O", "csv:./fifo"),
    ("-O", "json:-", "-O", "csv:/dev/stdout"),
    ("-O", "json:-", "-o", "table"),
    ("-O", "json:missing/x", "-O", "csv:missing/./x"),
    ("-O", "csv:"),
    ("-p", "a", "-p", "b"),
    ("-c", "a", "-c", "a"),
)


@each_case("given", TWICE)
def test_one_target_twice_is_wrong_usage(program: Program, tmp_path: Path, given: tuple[str, ...]) -> None:
    """Two outputs that lead to one place by any spelling are 2, and nothing is touched."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "also").symlink_to("folder")
    (tmp_path / "a").write_text("old")
    (tmp_path / "link").symlink_to("folder/../a")
    (tmp_path / "dangling").symlink_to("new")
    (tmp_path / "null").symlink_to("/dev/null")
    os.mkfifo(tmp_path / "fifo")
    before = sorted(tmp_path.rglob("*"))
    result = program.run(*ASKED, *given, cwd=tmp_path)
    assert (2, "old", before) == (result.code, (tmp_path / "a").read_text(), sorted(tmp_path.rglob("*")))


def test_a_file_that_is_stdout_too_is_wrong_usage(program: Program) -> None:
    """A file that the shell opened as stdout is not replaced while stdout is written."""
    assert 2 == _in_shell(program, "balcli merchant --sandbox -o csv -O json:out > out").code


@each_case(
    ("command", "form", "code"),
    [
        ("doctor --sandbox --offline", "csv", 2),
        ("doctor --sandbox --offline", "json", 0),
        ("schema", "csv", 2),
        ("schema", "json", 0),
        ("history", "prometheus", 2),
        ("history", "jsonl", 0),
        ("history --asset BTC", "csv", 0),
        ("history --prune 1d", "csv", 2),
        ("history --prune 1d", "json", 0),
        ("diff", "csv", 2),
        ("diff", "value", 2),
        ("replay record", "prometheus", 0),
        ("replay record --check", "json", 2),
        ("replay record --check", "table", 0),
    ],
)
def test_every_command_takes_its_own_formats(
    program: Program, tmp_path: Path, command: str, form: str, code: int
) -> None:
    """A format that the command does not write is 2 with a way to name such a file; the others are written."""
    if command.startswith("replay"):
        program.run(*ASKED, "--evidence", str(tmp_path / "record"))
    result = program.run(*command.split(), "-O", f"{form}:out", cwd=tmp_path)
    assert (code, code == 0, "") == (result.code, (tmp_path / "out").exists(), result.out)
    assert code == 0 or f"or ./{form}: for a file with that name" in result.err


def test_a_comparison_goes_into_several_files(program: Program, tmp_path: Path) -> None:
    """`diff` and `history` read once and write each format of what they read."""
    for fault in ((), ("--fault", "minus")):
        program.run(*ASKED, "--record", *fault)
    files = ("-O", "json:d.json", "-O", "table:d.txt")
    assert (1, "") == ((result := program.run("diff", "--sandbox", *files, cwd=tmp_path)).code, result.out)
    assert json.loads((tmp_path / "d.json").read_text())["different"]
    assert program.run("diff", "--sandbox").out == (tmp_path / "d.txt").read_text()
    assert 0 == program.run("history", "--sandbox", *files, "-O", "csv:d.csv", cwd=tmp_path).code
    assert 2 == len(json.loads((tmp_path / "d.json").read_text())["runs"])
    assert program.run("history", "--sandbox", "-o", "csv").out == (tmp_path / "d.csv").read_text().replace(
        "\r\n", "\n"
    ).replace("\n", "\r\n")


def test_none_is_replaced_where_one_cannot_be_written(program: Program, tmp_path: Path) -> None:
    """All files are written aside first: one that cannot be keeps all the others as they were."""
    (tmp_path / "a").write_text("old")
    result = program.run(*ASKED, "-O", f"json:{tmp_path}/a", "-O", "csv:/proc/out")
    assert (9, "", "old", 1) == (
        result.code,
        result.out,
        (tmp_path / "a").read_text(),
        len(result.err.splitlines()),
    )
    result = program.run(*ASKED, "-O", f"{tmp_path}/a", "-O", "csv:/proc/out")
    assert (9, program.run(*ASKED).out, "old") == (result.code, result.out, (tmp_path / "a").read_text())
    assert ["a"] == [path.name for path in tmp_path.iterdir()]


def test_of_a_run_that_fails_wholly_older_files_stay(program: Program, tmp_path: Path) -> None:
    """Neither file is touched or made, and stdout has a document only where -o asks for it."""
    (tmp_path / "a").write_text("old")
    files = ("-O", f"json:{tmp_path}/a", "-O", f"csv:{tmp_path}/b")
    for more, document in (((), False), (("-o", "json"), True)):
        result = program.run(*ASKED, "--fault", "refused", *files, *more)
        assert (4, document, "old") == (result.code, bool(result.out), (tmp_path / "a").read_text())
    assert ["a"] == [path.name for path in tmp_path.iterdir()]


CONTENTS: Final = {name: (name * 1_000_000).encode() for name in "abc"}


def _writing(folder: Path, new: bytes) -> int:
    """A child of this process that replaces three files of a megabyte each; its id."""
    process = os.fork()
    if process:
        return process
    code = 1
    try:
        signal.signal(signal.SIGTERM, app._terminate)
        atomic.replace_all((folder / name, (content, new)) for name, content in CONTENTS.items())
        code = 0
    except SystemExit as ending:
        code = int(str(ending.code))
    finally:
        os._exit(code)


def _killed(folder: Path, how: signal.Signals, seconds: float, new: bytes) -> tuple[int, list[bool]]:
    """How a run ended that was killed so late, and which files are new; each is old or new, whole."""
    before = {name: (folder / name).read_bytes() for name in CONTENTS}
    process = _writing(folder, new)
    time.sleep(seconds)
    os.kill(process, how)
    _, status = os.waitpid(process, 0)
    replaced = []
    for name, content in CONTENTS.items():
        found = (folder / name).read_bytes()
        assert found in {before[name], content + new}
        replaced.append(found == content + new)
    return os.waitstatus_to_exitcode(status), replaced


@pytest.mark.whole
@pytest.mark.filterwarnings(
    "ignore:.*use of fork"
)  # the threads of this process have no part in the child's work
@each_case("how", [signal.SIGKILL, signal.SIGTERM])
def test_kills_while_several_files_are_written(tmp_path: Path, how: signal.Signals) -> None:
    """Whenever a run is killed, each file is old or new, never torn; after SIGTERM all are new or none is, and no litter."""
    for name in CONTENTS:
        (tmp_path / name).write_bytes(b"old")
    start = time.monotonic()
    assert 0 == os.waitstatus_to_exitcode(os.waitpid(_writing(tmp_path, b""), 0)[1])
    span = time.monotonic() - start
    ended = set()
    for number in sampled(range(40), 5):
        seconds = random.uniform(0, span * 1.2)
        code, replaced = _killed(tmp_path, how, seconds, str(number).encode())
        ended.add(code)
        if how is signal.SIGTERM:
            assert len({*replaced}) == 1
            assert [*CONTENTS] == sorted(path.name for path in tmp_path.iterdir())
    assert ended <= {0, 143, -how}
    os.waitpid(_writing(tmp_path, b"last"), 0)
    assert [*CONTENTS] == sorted(path.name for path in tmp_path.iterdir())


def test_a_signal_between_two_renames_waits_for_the_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What ends a run while files are renamed takes effect when all are."""
    renamed: list[str] = []
    rename: Callable[[Path, Path], Path] = Path.replace

    def interrupted(path: Path, target: Path) -> Path:
        if not renamed:
            os.kill(os.getpid(), signal.SIGINT)
        renamed.append(target.name)
        return rename(path, target)

    monkeypatch.setattr(Path, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        atomic.replace_all([(tmp_path / "a", [b"new"]), (tmp_path / "b", [b"new"])])
    assert (["a", "b"], {b"new"}) == (renamed, {path.read_bytes() for path in tmp_path.iterdir()})


# The home folder.


HOMELESS: Final[tuple[dict[str, str], ...]] = ({}, {"HOME": ""}, {"HOME": "relative"})


@pytest.mark.whole
@each_case("env", sampled(HOMELESS, 3))
@each_case(
    ("given", "code"),
    [
        (("schema", "-O", "~/x"), 2),
        (("schema", "-O", "json:~/x"), 2),
        (("all", "-c", "~/x"), 2),
        (("all", "--sandbox", "--env-file", "~/x"), 2),
        (("all", "--sandbox", "--evidence", "~/x"), 2),
        (("history", "--history", "~/x"), 2),
        (("replay", "~/x"), 2),
        (("config", "init", "-c", "~/x"), 2),
        (("config", "path"), 3),
    ],
)
def test_a_home_that_is_missing_is_told(
    program: Program, given: tuple[str, ...], code: int, env: dict[str, str]
) -> None:
    """`~/` without an absolute HOME is 2 in an option and 3 in BALCLI_CONFIG, in one line that names both."""
    whole = {"PATH": os.environ["PATH"], **env}
    if code == 3:
        whole["BALCLI_CONFIG"] = "~/x"
    ended, _, err = warm().run(given, whole, program.folder, 60)
    assert (code, 1) == (ended, len(err.splitlines()))
    assert b"~/ needs HOME, which is not an absolute path; set HOME" in err
    assert [] == [*program.folder.iterdir()]


def test_the_home_folder_in_a_profile(program: Program) -> None:
    """`~/` is the home folder in a secret's file, a CA bundle, BALCLI_CONFIG and a variable's file; `~user` is a name."""
    (program.folder / "token").write_text("t" * 20)
    (program.folder / "token").chmod(0o600)
    text = '[profiles.main.merchant]\nbase_url = "http://127.0.0.1:9"\ntoken_file = "{}"\n'
    told = {
        "~/token": "the connection was refused",
        "~//token": "the connection was refused",
        "~/missing": f"{program.folder}/missing does not exist",
        "~nobody/token": f"{program.folder}/~nobody/token does not exist",
    }
    for path, words in told.items():
        program.write(text.format(path))
        for env in ({"BALCLI_CONFIG": "~/config.toml"}, {"BALCLI_CONFIG": str(program.file)}):
            assert words in program.run("merchant", "--retries", "0", env=env).err
    program.write(f'[profiles.main]\nca_bundle = "~/missing"\n{text.format("~/token")}')
    assert f"{program.folder}/missing does not exist" in program.run("merchant", "-c", "~/config.toml").err
    variables = {"BALCLI_MERCHANT_TOKEN_FILE": "~/missing", "BALCLI_MERCHANT_BASE_URL": "http://127.0.0.1:9"}
    assert f"{program.folder}/missing does not exist" in program.run("merchant", env=variables).err
    for env in HOMELESS[1:]:
        result = program.run("merchant", "-c", str(program.file), env=env)
        assert (3, 2) == (result.code, len(result.err.splitlines()))
        for place in ('ca_bundle in profile "main"', "token_file in merchant"):
            assert f"{place}: ~/ needs HOME, which is not an absolute path; set HOME" in result.err
