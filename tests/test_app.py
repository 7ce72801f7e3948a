"""The boundary: every ending of a command line, run in this process, and its exit code."""

import io
import json
import os
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple, NoReturn

import pytest

from balcli import __version__
from balcli.cli import app
from balcli.cli import output as cli_output
from balcli.errors import BadShape, OutputError, RateLimited, Terminated
from balcli.secret import Secret
from balcli.signals import ENDING

KEY: Final = "s-5Ht9wQk3ZxC7"


class Ran(NamedTuple):
    """How a command line ended."""

    code: int
    out: str
    err: str


@pytest.fixture
def run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Iterator[Callable[..., Ran]]:
    """The boundary, with a file as stdout and an empty home."""
    for name in [name for name in os.environ if name.startswith(("BALCLI_", "_BALCLI", "XDG_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    before = {number: signal.getsignal(number) for number in ENDING}

    def run(*arguments: str) -> Ran:
        with (tmp_path / "stdout").open("w+", encoding="utf-8") as stream:
            monkeypatch.setattr(sys, "__stdout__", stream)
            code = app.run(list(arguments))
            stream.seek(0)
            out = stream.read()
            monkeypatch.setattr(sys, "__stdout__", None)
        captured = capsys.readouterr()
        assert "" == captured.out
        return Ran(code, out, captured.err)

    yield run
    for number, handler in before.items():
        signal.signal(number, handler)
    sys.unraisablehook = sys.__unraisablehook__


@pytest.fixture
def instead_of_a_report(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], None]:
    """Has something else happen where a run's report would be made."""
    import balcli.report

    def replace(happens: Callable[[], object]) -> None:
        monkeypatch.setattr(balcli.report, "build", lambda *_arguments, **_options: happens())

    return replace


def raising(problem: BaseException) -> Callable[[], NoReturn]:
    """A function that raises this."""

    def fail() -> NoReturn:
        raise problem

    return fail


def test_the_version_is_one_line(run: Callable[..., Ran]) -> None:
    """--version and `version` print the program's name and version, and nothing else."""
    assert [Ran(0, f"balcli {__version__}\n", "")] * 2 == [run("--version"), run("version")]


def test_help_is_on_stdout_in_two_spellings(run: Callable[..., Ran]) -> None:
    """-h and --help print the same help, of the program and of each command, and succeed."""
    helps = [run(option) for option in ("-h", "--help")]
    assert helps[0] == helps[1]
    assert (0, "") == (helps[0].code, helps[0].err)
    assert re.match(r"Usage: balcli \[OPTIONS\] COMMAND", helps[0].out)
    assert "Show your exact balances" in helps[0].out
    assert "Usage: balcli all [OPTIONS]" in run("all", "-h").out


def test_nothing_at_all_is_wrong_usage(run: Callable[..., Ran]) -> None:
    """A line without a command gets the help on stderr, where no script takes it for data."""
    ended = run()
    assert (2, "") == (ended.code, ended.out)
    assert ended.err.startswith("Usage: balcli ")


@pytest.mark.parametrize(
    "command", ["loopring", "wallet", "merchant", "all", "config", "doctor", "sandbox", "schema"]
)
def test_every_command_is_there(run: Callable[..., Ran], command: str) -> None:
    """Each command of the contract is part of the tree."""
    assert 0 == run(command, "--help").code


def test_wrong_usage_names_the_help_of_its_command(run: Callable[..., Ran]) -> None:
    """What is wrong is said in one line that ends with where to look."""
    wrong = [run("nope"), run("all", "--nope"), run("--nope")]
    assert [2, 2, 2] == [ended.code for ended in wrong]
    assert ["", "", ""] == [ended.out for ended in wrong]
    assert [1, 1, 1] == [len(ended.err.splitlines()) for ended in wrong]
    ends = ["; see balcli --help\n", "; see balcli all --help\n", "; see balcli --help\n"]
    assert [True] * 3 == [ended.err.endswith(end) for ended, end in zip(wrong, ends, strict=True)]
    assert [False] * 3 == [".;" in ended.err for ended in wrong]


@pytest.mark.parametrize(
    ("arguments", "asked"),
    [
        (["all", "--nope", "-o", "json"], True),
        (["all", "--nope", "--output", "json"], True),
        (["all", "--nope", "--output=json"], True),
        (["all", "--nope", "-ojson"], True),
        (["all", "-o", "json", "--nope"], True),
        (["-o", "json"], True),
        (["all", "--nope", "-o", "table"], False),
        (["all", "--nope", "--output=table"], False),
        (["all", "--nope", "-otable"], False),
        (["all", "--nope", "json"], False),
        (["all", "--nope", "-o"], False),
        (["all", "--nope", "json", "-o"], False),
        (["all", "--nope", "-o", "json", "-o", "table"], False),
        (["all", "--nope", "-o", "table", "-o", "json"], True),
        (["all", "--nope"], False),
    ],
)
def test_wrong_usage_makes_a_document_if_one_is_asked_for(
    run: Callable[..., Ran], arguments: list[str], asked: bool
) -> None:
    """However the format is written, a script that asks for JSON gets a document with the error, and no other does."""
    ended = run(*arguments)
    assert 2 == ended.code
    if asked:
        document = json.loads(ended.out)
        (error,) = document["errors"]
        assert ("usage", False) == (error["code"], document["complete"])
        assert f"balcli: {error['message']}\n" == ended.err
    else:
        assert "" == ended.out


@pytest.mark.parametrize(
    ("value", "arguments", "asked"),
    [
        ("json", ["all", "--nope"], True),
        ("table", ["all", "--nope"], False),
        ("json", ["all", "--nope", "-o", "table"], False),
        ("table", ["all", "--nope", "-o", "json"], True),
        ("json", ["all", "--nope", "-o"], False),
    ],
)
def test_the_environment_asks_for_a_document_too(
    run: Callable[..., Ran],
    monkeypatch: pytest.MonkeyPatch,
    value: str,
    arguments: list[str],
    asked: bool,
) -> None:
    """BALCLI_OUTPUT counts where the command line names no format."""
    monkeypatch.setenv("BALCLI_OUTPUT", value)
    assert asked == run(*arguments).out.startswith("{")


@pytest.mark.parametrize(
    ("option", "most", "beyond"),
    [
        ("--timeout", "86400", "86400.1"),
        ("--deadline", "86400", "86400.1"),
        ("--retries", "100", "101"),
        ("--jobs", "500", "501"),
    ],
)
def test_limits_have_the_bounds_that_are_said(
    run: Callable[..., Ran], option: str, most: str, beyond: str
) -> None:
    """A day, a hundred retries and five hundred jobs are allowed; what is beyond is wrong usage and says the bound."""
    assert 0 == run("all", "--sandbox", option, most).code
    ended = run("all", "--sandbox", option, beyond)
    assert (2, "") == (ended.code, ended.out)
    assert most in ended.err


def test_a_run_that_is_well_is_0(run: Callable[..., Ran]) -> None:
    """A complete run puts its data on stdout and says nothing."""
    ended = run("all", "--sandbox", "-o", "json")
    assert (0, "", True) == (ended.code, ended.err, json.loads(ended.out)["complete"])


def test_a_configuration_that_is_not_there_is_3(run: Callable[..., Ran], tmp_path: Path) -> None:
    """What fails before any request has its exit code, one line on stderr, and a document if asked for."""
    missing = str(tmp_path / "none.toml")
    table, document = run("all", "-c", missing), run("all", "-c", missing, "-o", "json")
    assert (3, "", 3) == (table.code, table.out, document.code)
    assert ["config.file"] == [error["code"] for error in json.loads(document.out)["errors"]]
    assert table.err == document.err
    assert 1 == len(table.err.splitlines())


@pytest.mark.parametrize(("fault", "code"), [("merchant:refused", 8), ("refused", 4), ("page", 6)])
def test_accounts_that_fail_give_the_contracts_code(run: Callable[..., Ran], fault: str, code: int) -> None:
    """The report's exit code is the program's."""
    assert code == run("all", "--sandbox", "--fault", fault, "-q").code


@pytest.mark.parametrize(
    ("problem", "code"), [(BadShape("odd"), 6), (RateLimited("slow"), 7), (OutputError("full"), 9)]
)
def test_an_error_that_reaches_the_boundary_is_its_code_and_one_line(
    monkeypatch: pytest.MonkeyPatch, run: Callable[..., Ran], problem: Any, code: int
) -> None:
    """An error of the tree from where no report is made any more is said, and is its own exit code."""
    monkeypatch.setattr(cli_output, "write_stdout", lambda _text: raising(problem)())
    assert Ran(code, "", f"balcli: {problem.message}\n") == run("all", "--sandbox")


@pytest.mark.parametrize(
    ("ending", "code"),
    [
        (KeyboardInterrupt(), 130),
        (cli_output.ReaderGone(), 141),
        (SystemExit(7), 7),
        (SystemExit(), 0),
        (SystemExit("words"), 1),
    ],
    ids=["Ctrl-C", "reader gone", "exit with a code", "exit", "exit with words"],
)
def test_endings_that_are_no_errors_say_nothing(
    run: Callable[..., Ran],
    instead_of_a_report: Callable[[Callable[[], object]], None],
    ending: BaseException,
    code: int,
) -> None:
    """An interrupt, a reader that has gone, and an exit have their codes, and neither data nor words."""
    instead_of_a_report(raising(ending))
    assert Ran(code, "", "") == run("all", "--sandbox")


def test_an_interrupt_while_data_is_written_is_one_too(
    monkeypatch: pytest.MonkeyPatch, run: Callable[..., Ran]
) -> None:
    """Ctrl-C is 130 also when the command itself is done."""
    monkeypatch.setattr(app, "write_stdout", lambda _text: raising(KeyboardInterrupt())())
    assert Ran(130, "", "") == run("--version")


def test_usage_that_a_command_finds_wrong_is_2(
    run: Callable[..., Ran], instead_of_a_report: Callable[[Callable[[], object]], None]
) -> None:
    """A refusal of Typer's from within a command names the help of what it knows about."""
    import typer

    for problem, command in (
        (typer.BadParameter("odd."), "balcli all"),
        (typer.TyperException("odd."), "balcli"),
    ):
        instead_of_a_report(raising(problem))
        ended = run("all", "--sandbox")
        assert (2, "") == (ended.code, ended.out)
        assert ended.err.endswith(f"odd; see {command} --help\n")


def test_a_command_that_has_no_code_is_well(run: Callable[..., Ran], tmp_path: Path) -> None:
    """A command that ends without a word about its success has succeeded."""
    assert Ran(0, f"{tmp_path / '.config' / 'balcli' / 'config.toml'}\n", "") == run("config", "path")


def test_an_abort_is_an_interrupt(
    run: Callable[..., Ran], instead_of_a_report: Callable[[Callable[[], object]], None]
) -> None:
    """What Typer makes of an interrupt at a prompt is one."""
    import typer

    instead_of_a_report(raising(typer.Abort()))
    assert Ran(130, "", "") == run("all", "--sandbox")


def test_sigterm_is_143(
    run: Callable[..., Ran], instead_of_a_report: Callable[[Callable[[], object]], None]
) -> None:
    """A termination ends the run where it is, without a word."""

    def terminate() -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        raise AssertionError

    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    instead_of_a_report(terminate)
    assert Ran(143, "", "") == run("all", "--sandbox")


def broken() -> NoReturn:
    """A bug beside a secret."""
    key = Secret(KEY)
    raise LookupError(f"{key!r} {KEY}")


LINE: Final = broken.__code__.co_firstlineno + 3


@pytest.mark.parametrize("value", [None, "0", "", "yes"])
def test_a_bug_is_one_line_with_its_place(
    run: Callable[..., Ran],
    instead_of_a_report: Callable[[Callable[[], object]], None],
    monkeypatch: pytest.MonkeyPatch,
    value: str | None,
) -> None:
    """A bug is 1 and one line that names what, where and which versions; never the text of the exception."""
    if value is not None:
        monkeypatch.setenv("BALCLI_DEBUG", value)
    instead_of_a_report(broken)
    python = ".".join(map(str, sys.version_info[:3]))
    assert Ran(
        1,
        "",
        f"balcli: this is a bug in balcli {__version__} (LookupError at test_app.py:{LINE}, Python {python}); "
        "please report it with what BALCLI_DEBUG=1 prints\n",
    ) == run("all", "--sandbox")


def test_a_bug_has_a_traceback_on_request(
    run: Callable[..., Ran],
    instead_of_a_report: Callable[[Callable[[], object]], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With BALCLI_DEBUG=1 the traceback follows the line, with secrets hidden and without local variables."""
    monkeypatch.setenv("BALCLI_DEBUG", "1")
    instead_of_a_report(broken)
    ended = run("all", "--sandbox")
    assert (1, "") == (ended.code, ended.out)
    first, rest = ended.err.split("\n", 1)
    assert first.startswith("balcli: this is a bug in balcli")
    assert rest.startswith('Traceback (most recent call last):\n  File "')
    assert rest.endswith("LookupError: Secret('***') ***\n")
    assert KEY not in ended.err


def test_a_bug_without_a_stderr_is_still_1(
    run: Callable[..., Ran],
    instead_of_a_report: Callable[[Callable[[], object]], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where there is nobody to tell, the exit code still tells."""
    monkeypatch.setenv("BALCLI_DEBUG", "1")
    instead_of_a_report(broken)
    kept = sys.stderr
    monkeypatch.setattr(sys, "stderr", None)
    ended = run("all", "--sandbox")
    monkeypatch.setattr(sys, "stderr", kept)
    assert Ran(1, "", "") == ended


def test_what_others_print_is_data_that_is_written_with_care(
    run: Callable[..., Ran], instead_of_a_report: Callable[[Callable[[], object]], None]
) -> None:
    """What a library prints reaches stdout by the same way as all data."""

    def chatter() -> NoReturn:
        sys.stdout.write(f"{isinstance(sys.stdout, io.StringIO)} \ud800\n")
        raise SystemExit(0)

    instead_of_a_report(chatter)
    assert Ran(0, "True \\ud800\n", "") == run("all", "--sandbox")


BEGINS: Final = {
    "json": "{\n",
    "jsonl": '{"type": "error", "code": ',
    "csv": "account,provider,",
    "prometheus": "# HELP balcli_failure ",
    "beancount": "; ",
    "hledger": "; ",
}


@pytest.mark.parametrize("output", BEGINS)
@pytest.mark.parametrize("command", [["all"], ["loopring"], ["wallet"], ["merchant"], []])
def test_wrong_usage_is_told_in_every_format_for_programs(
    run: Callable[..., Ran], output: str, command: list[str]
) -> None:
    """A command that shows balances tells its wrong usage in the format that a program awaits, as does no command."""
    ended = run(*command, "--nope", "-o", output)
    assert (2, True) == (ended.code, ended.out.startswith(BEGINS[output]))


@pytest.mark.parametrize("output", [*BEGINS, "table", "yaml", ""])
@pytest.mark.parametrize("command", [["doctor"], ["config", "show"], ["config", "check"]])
def test_other_commands_tell_wrong_usage_in_json_alone(
    run: Callable[..., Ran], output: str, command: list[str]
) -> None:
    """A command that shows no balances has no other format for programs."""
    ended = run(*command, "--nope", "-o", output)
    assert (2, output == "json") == (ended.code, ended.out.startswith("{"))
    assert output == "json" or not ended.out


@pytest.mark.parametrize("output", ["table", "yaml", "", "JSON"])
def test_a_format_that_is_for_people_or_none_gets_no_document(run: Callable[..., Ran], output: str) -> None:
    """The reason on stderr is all that there is."""
    ended = run("all", "--nope", "-o", output)
    assert (2, "") == (ended.code, ended.out)


@pytest.mark.parametrize("output", BEGINS)
def test_a_bug_is_told_in_the_format_that_is_asked_for(
    run: Callable[..., Ran],
    instead_of_a_report: Callable[[Callable[[], object]], None],
    monkeypatch: pytest.MonkeyPatch,
    output: str,
) -> None:
    """Where nothing is written yet, a bug makes a document, too, with its code and the words of stderr."""
    monkeypatch.setattr(cli_output, "_written", False)
    instead_of_a_report(broken)
    ended = run("all", "--sandbox", "-o", output)
    assert (1, 1) == (ended.code, len(ended.err.splitlines()))
    assert ended.out.startswith(BEGINS[output])
    assert "bug" in ended.out
    if output == "json":
        document = json.loads(ended.out)
        assert [("bug", ended.err)] == [(e["code"], f"balcli: {e['message']}\n") for e in document["errors"]]


def test_a_bug_after_the_document_writes_no_second_one(
    run: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once stdout was written, a bug is told on stderr alone: two documents are none."""
    monkeypatch.setattr(cli_output, "_written", False)
    monkeypatch.setattr("balcli.cli.balances.print_problems", lambda *_arguments, **_options: broken())
    ended = run("all", "--sandbox", "-o", "json")
    assert (1, True) == (ended.code, json.loads(ended.out)["complete"])
    assert ended.err.startswith("balcli: this is a bug")


def test_a_bug_in_what_writes_documents_is_told_all_the_same(
    run: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the document of a bug cannot be made either, the line and the code are."""
    monkeypatch.setattr(cli_output, "_written", False)
    monkeypatch.setattr("balcli.cli.balances.machine", lambda *_arguments: broken())
    ended = run("all", "--sandbox", "-o", "json")
    assert (1, "", 1) == (ended.code, ended.out, len(ended.err.splitlines()))


@pytest.mark.parametrize("output", ["jsonl", "json"])
def test_a_bug_of_another_command_is_told_in_json_alone(
    run: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch, output: str
) -> None:
    """A command that shows no balances has one format for programs, for its bugs, too."""
    from balcli.cli import doctor

    monkeypatch.setattr(cli_output, "_written", False)
    monkeypatch.setattr(doctor, "_rendered", lambda *_arguments, **_options: broken(), raising=True)
    ended = run("doctor", "--sandbox", "-o", "json") if output == "json" else run("doctor", "-o", output)
    assert (output == "json") == ended.out.startswith("{")


def _swallowed(problem: BaseException) -> Callable[[], None]:
    """Something in whose callback this is raised, where Python drops it."""

    class Callback:
        def __del__(self) -> None:
            raise problem

    def happens() -> None:
        Callback()
        time.sleep(5)
        raise AssertionError

    return happens


def _in_a_class(problem: BaseException) -> Callable[[], None]:
    """The making of a class, which makes a RuntimeError of what interrupts it, as an import can be interrupted."""

    class Named:
        def __set_name__(self, owner: type, name: str) -> None:
            raise problem

    def happens() -> None:
        type("Made", (), {"named": Named()})

    return happens


def _while_another_is_handled(problem: BaseException) -> Callable[[], None]:
    """An error beside which a signal was on its way."""

    def happens() -> None:
        try:
            raise problem
        finally:
            raise ValueError

    return happens


@pytest.mark.parametrize(
    ("problem", "code"), [(KeyboardInterrupt(), 130), (Terminated(143), 143), (Terminated(129), 129)]
)
@pytest.mark.parametrize("wrapped", [_swallowed, _in_a_class, _while_another_is_handled])
def test_a_signal_that_python_makes_something_else_of_is_one(
    run: Callable[..., Ran],
    instead_of_a_report: Callable[[Callable[[], object]], None],
    wrapped: Callable[[BaseException], Callable[[], None]],
    problem: BaseException,
    code: int,
) -> None:
    """Ctrl-C or SIGTERM in the midst of an import or a callback ends the run with its own code, and no bug."""
    instead_of_a_report(wrapped(problem))
    assert Ran(code, "", "") == run("all", "--sandbox")
