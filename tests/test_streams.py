"""Data on stdout and messages on stderr, written in this process to files, pipes and terminals of the tests' own."""

import io
import os
import pty
import re
import resource
import signal
import sys
import termios
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pytest

from balcli.cli import output
from balcli.errors import BadShape, OutputError, TimedOut
from balcli.http.client import Endpoint, Exchange, Request
from balcli.http.transport import Answer
from balcli.models import Account, Failure, Notice, Outcome, Report
from balcli.secret import Secret
from tests.conftest import ROOT, Program, warm
from tests.lists import each_case

NOON: Final = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)
SHOP: Final[Account[object]] = Account("shop", "merchant", "https://m.example", {}, ("shop",), None)
KEY: Final = "s-8Yt2vPq4LmN6"


@pytest.fixture(autouse=True)
def first_descriptor() -> Iterator[None]:
    """What is done to descriptor 1 is undone."""
    kept = os.dup(1)
    yield
    os.dup2(kept, 1)
    os.close(kept)


@contextmanager
def stdout(monkeypatch: pytest.MonkeyPatch, descriptor: int, encoding: str = "utf-8") -> Iterator[None]:
    """The descriptor as this process's stdout."""
    with monkeypatch.context() as patch, open(descriptor, "w", encoding=encoding, newline="\n") as stream:
        patch.setattr(sys, "__stdout__", stream)
        os.dup2(descriptor, 1)
        yield


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> Callable[..., bytes]:
    """What writing a text puts out on a stdout of that encoding."""

    def write(text: str, encoding: str = "utf-8") -> bytes:
        reading, writing = os.pipe()
        with stdout(monkeypatch, writing, encoding):
            output.write_stdout(text)
            # Read while stdout is still open: what was written must not wait for its end.
            os.set_blocking(reading, False)
            found = os.read(reading, 65536)
        os.close(reading)
        return found

    return write


def test_data_is_seen_off_at_once(written: Callable[..., bytes]) -> None:
    """What is written is out when the call returns, every byte of it and nothing else."""
    assert "1.5 €\n".encode() == written("1.5 €\n")


@pytest.mark.parametrize(
    ("encoding", "there"),
    [("ascii", b"1.5 \\u20ac"), ("latin-1", b"1.5 \\u20ac"), ("utf-8", b"1.5 \xe2\x82\xac")],
)
def test_what_a_stream_cannot_encode_is_escaped(
    written: Callable[..., bytes], encoding: str, there: bytes
) -> None:
    """An odd locale costs no amount: a character that it lacks is escaped."""
    assert there == written("1.5 €", encoding)


def test_data_is_not_rewritten(written: Callable[..., bytes]) -> None:
    """Stdout gets the data as it is, also where it contains a credential: no filter changes a name or an amount."""
    Secret(KEY)
    assert f"key {KEY}".encode() == written(f"key {KEY}")


def test_what_was_printed_before_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """Text that waits in the stream leaves ahead of the data."""
    reading, writing = os.pipe()
    with stdout(monkeypatch, writing):
        assert sys.__stdout__ is not None
        sys.__stdout__.write("first ")
        output.write_stdout("second")
        os.set_blocking(reading, False)
        assert b"first second" == os.read(reading, 100)
    os.close(reading)


def test_no_stdout_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a stdout, that is the error."""
    monkeypatch.setattr(sys, "__stdout__", None)
    with pytest.raises(OutputError, match=r"^stdout is closed; redirect it to a file or a pipe$"):
        output.write_stdout("1.5")


def test_a_full_disk_is_told_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the system says is the reason; nothing that waits is written later."""
    with stdout(monkeypatch, os.open("/dev/full", os.O_WRONLY)):
        with pytest.raises(OutputError) as caught:
            output.write_stdout("1.5")
        assert os.path.samestat(os.fstat(1), os.stat(os.devnull))  # noqa: PTH116 - a descriptor beside it
        assert sys.__stdout__ is not None
        os.dup2(1, sys.__stdout__.fileno())
    assert (
        "stdout cannot be written: No space left on device; check where the output goes"
        == caught.value.message
    )
    assert caught.value.__suppress_context__


def test_a_closed_stream_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stream that was closed under the program's feet is told, too."""
    _, writing = os.pipe()
    with stdout(monkeypatch, writing):
        assert sys.__stdout__ is not None
        sys.__stdout__.close()
        with pytest.raises(OutputError, match=r"^stdout cannot be written: it is closed; check where"):
            output.write_stdout("1.5")
        assert False is output.is_terminal()


def test_a_reader_that_has_gone_is_no_error_of_the_output(monkeypatch: pytest.MonkeyPatch) -> None:
    """A closed pipe is told apart, and what waits goes nowhere."""
    reading, writing = os.pipe()
    os.close(reading)
    with stdout(monkeypatch, writing):
        with pytest.raises(output.ReaderGone) as caught:
            output.write_stdout("1.5")
        assert os.path.samestat(os.fstat(1), os.stat(os.devnull))  # noqa: PTH116 - a descriptor beside it
        assert sys.__stdout__ is not None
        os.dup2(1, sys.__stdout__.fileno())
    assert caught.value.__suppress_context__


def test_a_process_without_a_descriptor_to_spare_ends_as_silently(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where not even the null device can be opened, stdout is given up all the same."""
    reading, writing = os.pipe()
    os.close(reading)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with stdout(monkeypatch, writing):
        stream = sys.__stdout__
        assert stream is not None
        resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
        try:
            with pytest.raises(output.ReaderGone):
                output.write_stdout("1.5")
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert None is sys.__stdout__
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)


def test_any_other_ending_while_data_is_written_gives_stdout_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A signal while the reader takes its time is passed on, and nothing waits for the reader once more."""

    def interrupt(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    reading, writing = os.pipe()
    before = signal.signal(signal.SIGALRM, interrupt)
    with stdout(monkeypatch, writing):
        assert sys.__stdout__ is not None
        signal.setitimer(signal.ITIMER_REAL, 0.5)
        with pytest.raises(KeyboardInterrupt):
            output.write_stdout("x" * 100_000)
        assert os.path.samestat(os.fstat(1), os.stat(os.devnull))  # noqa: PTH116 - a descriptor beside it
        os.dup2(1, sys.__stdout__.fileno())
    signal.signal(signal.SIGALRM, before)
    os.close(reading)


def test_whether_stdout_was_written_is_known(
    monkeypatch: pytest.MonkeyPatch, written: Callable[..., bytes]
) -> None:
    """Stdout counts as written from the first try on, and not by one that had no stdout."""
    monkeypatch.setattr(output, "_written", False)
    assert False is output.has_written()
    with monkeypatch.context() as patch:
        patch.setattr(sys, "__stdout__", None)
        with pytest.raises(OutputError):
            output.write_stdout("1.5")
    assert False is output.has_written()
    written("1.5")
    assert True is output.has_written()


def test_data_goes_into_the_file_that_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With a file, the data is in it and not on stdout, as it is and with every character; without, on stdout."""
    Secret(KEY)
    file = tmp_path / "out"
    reading, writing = os.pipe()
    with stdout(monkeypatch, writing):
        text = f"1.5 € \udc80 {KEY}\n"
        assert [] == output.Outputs(file).write("json", lambda *_: text)
        assert f"1.5 € \\udc80 {KEY}\n" == file.read_text(encoding="utf-8")
        assert [] == output.Outputs().write("json", lambda *_: "2.5\n")
    assert b"2.5\n" == os.read(reading, 100)
    os.close(reading)


def test_what_a_file_cannot_take_goes_to_stdout(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Data is never lost for a file that cannot be written; the reason comes back, to be said."""
    reading, writing = os.pipe()
    with stdout(monkeypatch, writing):
        problems = output.Outputs(tmp_path / "no folder" / "out").write("json", lambda *_: "1.5\n")
    assert [OutputError] == [type(problem) for problem in problems]
    assert b"1.5\n" == os.read(reading, 100)
    os.close(reading)


# Messages.


def test_an_error_is_said_and_gives_its_code(capsys: pytest.CaptureFixture[str]) -> None:
    """What is said of an error is its message, and what comes back is its exit code."""
    assert (5, "balcli: late\n") == (output.print_error(TimedOut("late")), capsys.readouterr().err)


def test_a_message_is_one_line_with_the_account(capsys: pytest.CaptureFixture[str]) -> None:
    """A message begins with the program's name, and the account's where it has one; what it holds is escaped."""
    output.print_message("it is so")
    output.print_message("it is\nso\x1b[31m", "shop\x07")
    captured = capsys.readouterr()
    assert ("", "balcli: it is so\nbalcli: shop\\x07: it is\\x0aso\\x1b[31m\n") == (
        captured.out,
        captured.err,
    )


def test_a_message_has_no_secret_and_at_most_300_characters(capsys: pytest.CaptureFixture[str]) -> None:
    """Every credential is hidden before the text is cut, but not in the name; a long name is cut on its own."""
    Secret(KEY)
    Secret("shop-1")
    output.print_message(f"key {KEY}", "shop-1")
    output.print_message("x" * 1000)
    output.print_message("x" * 1000, "y" * 1000)
    hidden, long, named = capsys.readouterr().err.splitlines()
    assert "balcli: shop-1: key ***" == hidden
    assert "balcli: " + "x" * 289 + "..." == long
    assert ("balcli: " + "y" * 57 + "...: " + "x" * 227 + "...", 300) == (named, len(named))


def test_no_stderr_or_a_broken_one_is_borne(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nobody listens nothing is said, and nothing is raised."""
    monkeypatch.setattr(sys, "stderr", None)
    output.print_message("it is so")
    with Path("/dev/full").open("w", encoding="utf-8", buffering=1) as full:
        monkeypatch.setattr(sys, "stderr", full)
        output.print_message("it is so")
        monkeypatch.undo()
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, full.fileno())
        os.close(null)
    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr(sys, "stderr", closed)
    output.print_message("it is so")


@pytest.mark.parametrize(("encoding", "there"), [("ascii", b"1 \\u20ac"), ("utf-8", b"1 \xe2\x82\xac")])
def test_a_message_is_out_at_once_in_any_encoding(
    monkeypatch: pytest.MonkeyPatch, encoding: str, there: bytes
) -> None:
    """A message leaves when it is said; a character that the stream lacks is escaped."""
    behind = io.BytesIO()
    monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(behind, encoding=encoding))
    output.print_message("1 €")
    assert b"balcli: " + there + b"\n" == behind.getvalue()
    monkeypatch.undo()


def test_a_stream_that_names_no_encoding_gets_utf_8(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a stream does not say how it encodes, a message is as it would be anywhere."""
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    output.print_message("1 €")
    assert ("None", "balcli: 1 €\n") == (str(stream.encoding), stream.getvalue())


@pytest.mark.parametrize("quiet", [False, True])
def test_the_reasons_of_failures_are_said_and_notices_unless_quiet(
    capsys: pytest.CaptureFixture[str], quiet: bool
) -> None:
    """Each failure has its line, with its account if it has one; each notice, too, unless quiet."""
    report = Report(
        NOON,
        "main",
        outcomes=(
            Outcome(SHOP, None, None, Failure.from_error(TimedOut("late"))),
            Outcome(SHOP, None, NOON, None),
        ),
        notices=(Notice("a.b", "shop", "odd"), Notice("a.b", None, "odd at large")),
        failures=(Failure.from_error(BadShape("wrong")),),
    )
    output.print_problems(report, quiet=quiet)
    failures = "balcli: wrong\nbalcli: shop: late\n"
    notices = "balcli: shop: note: odd\nbalcli: note: odd at large\n"
    assert failures + ("" if quiet else notices) == capsys.readouterr().err


@pytest.mark.parametrize(("query", "shown"), [((), "/v2"), (("a",), "/v2?a=…"), (("a", "b"), "/v2?a=…&b=…")])
def test_an_exchange_is_a_line_of_names_sizes_and_times(
    capsys: pytest.CaptureFixture[str], query: tuple[str, ...], shown: str
) -> None:
    """A try is told in one line, with milliseconds, and without a value."""
    request = Request(
        Endpoint("GET", "/v2"),
        "https://m.example",
        lambda *_: None,
        query=tuple((name, KEY) for name in query),
    )
    output.print_exchange(
        Exchange(request, ("Accept", "X-Key"), 2, 5, 0, 0.0416, Answer(503, {}, b"x" * 17), None)
    )
    assert (
        f"balcli: GET m.example{shown} (Accept, X-Key): 503, 5 B sent, 17 B received, 42 ms, try 2\n"
        == capsys.readouterr().err
    )


# Terminals.


@contextmanager
def terminal(monkeypatch: pytest.MonkeyPatch, columns: int) -> Iterator[None]:
    """A terminal of that width as stdout."""
    parent, child = pty.openpty()
    termios.tcsetwinsize(child, (24, columns))
    with stdout(monkeypatch, child):
        yield
    os.close(parent)


@each_case(
    ("set_by_user", "columns"),
    [
        *[("1", 1), ("80", 80), ("99999", 99999), ("0080", 80)],
        *[
            (odd, 123)
            for odd in ("", "0", "00000", "-3", "x", "8x", "100000", "1000000", "\u00b2", "\u0661", " 80")
        ],
    ],
)
def test_the_width_is_the_users_or_the_terminals(
    monkeypatch: pytest.MonkeyPatch, set_by_user: str, columns: int
) -> None:
    """COLUMNS counts if it is a sensible number; else the terminal's own width does."""
    monkeypatch.setenv("COLUMNS", set_by_user)
    with terminal(monkeypatch, 123):
        assert (True, columns) == (output.is_terminal(), output.terminal_columns())
        assert None is output.terminal_columns(Path("out"))


def test_the_width_is_the_terminals_where_the_user_names_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without COLUMNS the terminal is asked; one that says 0 does not know."""
    monkeypatch.delenv("COLUMNS", raising=False)
    for width, columns in ((100, 100), (1, 1), (0, None)):
        with terminal(monkeypatch, width):
            assert columns == output.terminal_columns()


def test_a_terminal_that_cannot_be_asked_has_no_known_width(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where descriptor 1 is no terminal any more, the width is not known, and nothing is raised."""
    monkeypatch.delenv("COLUMNS", raising=False)
    with terminal(monkeypatch, 100):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.close(null)
        assert None is output.terminal_columns()


def test_a_pipe_has_no_width(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is no terminal, or not there, has no width, also where COLUMNS names one."""
    monkeypatch.setenv("COLUMNS", "80")
    reading, writing = os.pipe()
    with stdout(monkeypatch, writing):
        assert (False, None) == (output.is_terminal(), output.terminal_columns())
    os.close(reading)
    monkeypatch.setattr(sys, "__stdout__", None)
    assert (False, None) == (output.is_terminal(), output.terminal_columns())


@each_case(
    ("environ", "no_color", "on_terminal", "in_pipe"),
    [
        ({}, False, True, False),
        ({}, True, False, False),
        ({"NO_COLOR": "1"}, False, False, False),
        ({"NO_COLOR": ""}, False, True, False),
        ({"FORCE_COLOR": "1"}, False, True, True),
        ({"FORCE_COLOR": "0"}, False, True, False),
        ({"FORCE_COLOR": "false"}, False, False, False),
        ({"FORCE_COLOR": "true"}, False, True, True),
        ({"FORCE_COLOR": ""}, False, True, False),
        ({"FORCE_COLOR": "1"}, True, False, False),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False, False, False),
        ({"FORCE_COLOR": "1", "TERM": "dumb"}, False, True, True),
        ({"TERM": "dumb"}, False, False, False),
        ({"TERM": "xterm"}, False, True, False),
        ({"TERM": "a"}, False, True, False),
    ],
)
def test_colour_is_for_who_wants_it(
    monkeypatch: pytest.MonkeyPatch, environ: dict[str, str], no_color: bool, on_terminal: bool, in_pipe: bool
) -> None:
    """NO_COLOR and --no-color win over FORCE_COLOR, which wins over what stdout is; a dumb terminal has none."""
    monkeypatch.setattr(output, "_colour_chosen", None)
    for name in ("NO_COLOR", "FORCE_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    if no_color:
        output.choose_colour(always=False)
        output.choose_colour(always=True)  # --no-color wins, also over --color always
    with terminal(monkeypatch, 80):
        assert on_terminal == output.wants_colour()
        # A file is no terminal, whatever stdout is.
        assert in_pipe == output.wants_colour(Path("out"))
    reading, writing = os.pipe()
    with stdout(monkeypatch, writing):
        assert in_pipe == output.wants_colour()
    os.close(reading)


def on_terminal(program: Program, *arguments: str, both: bool) -> tuple[int, str, bytes]:
    """The exit code and the screen of a run whose stdout is a terminal, and stderr too or a pipe, with what that got."""
    parent, child = pty.openpty()
    termios.tcsetwinsize(child, (24, 400))
    nothing, errors, errors_of_run = os.open(os.devnull, os.O_RDONLY), *os.pipe()
    environment = program.environment({"NO_COLOR": "1"})
    streams = (nothing, child, child if both else errors_of_run)
    with warm().start(arguments, environment, ROOT, streams) as run, run.makefile() as ending:
        for inherited in (nothing, child, errors_of_run):
            os.close(inherited)
        screen = b""
        with suppress(OSError):  # how a terminal says that nobody has its other side any more
            while piece := os.read(parent, 4096):
                screen += piece
        os.close(parent)
        with os.fdopen(errors, "rb") as told:
            said = told.read()
        _, status = ending.read().split()
    return os.waitstatus_to_exitcode(int(status)), screen.decode(), said


@pytest.mark.parametrize(
    "fault", [("--fault", "merchant:refused"), ("--fault", "refused"), ("--asset", "ZZZZ")]
)
def test_a_terminal_tells_a_reason_once(program: Program, fault: tuple[str, ...]) -> None:
    """Where stdout and stderr are one terminal, reasons and notices stand in the table alone; nothing is lost."""
    once, code = (
        on_terminal(program, "all", "--sandbox", *fault, both=True),
        program.run("all", "--sandbox", *fault),
    )
    told = [
        line.partition(": ")[2].partition(": ")[2].removeprefix("note: ") for line in code.err.splitlines()
    ]
    assert (code.code, True) == (once[0], bool(told))
    assert "balcli:" not in once[1]
    for text in told:
        assert re.sub(r":\d+", "", text) in re.sub(r":\d+", "", once[1])


def test_a_diagnosis_on_a_terminal_is_told_once(program: Program) -> None:
    """The doctor's failed steps stand in its lines alone; its document leaves the reasons to stderr."""
    arguments = ("doctor", "--sandbox", "shop", "--fault", "refused")
    code, lines, _ = on_terminal(program, *arguments, both=True)
    _, document, _ = on_terminal(program, *arguments, "-o", "json", both=True)
    assert (4, 1, False, True) == (
        code,
        lines.count("refused the credentials"),
        "balcli: " in lines,
        "balcli: shop: " in document,
    )


def test_a_pipe_beside_a_terminal_gets_the_reason(program: Program) -> None:
    """Where stderr is another stream than the terminal of stdout, both tell the reason."""
    code, screen, errors = on_terminal(program, "all", "--sandbox", "--fault", "merchant:refused", both=False)
    assert (8, True, 1) == (code, "  unavailable: " in screen, errors.count(b"balcli: shop: "))


def test_a_terminal_tells_what_no_table_has(program: Program) -> None:
    """A run that is stopped, and one in another format or into a file, says its reason on the terminal all the same."""
    file = str(program.folder / "out.txt")
    for arguments in (["nobody"], ["--fault", "refused", "-o", "json"], ["--fault", "refused", "-O", file]):
        _, screen, _ = on_terminal(program, "all", "--sandbox", *arguments, both=True)
        assert "balcli: " in screen
