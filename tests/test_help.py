"""The help: every option under a heading, nothing wider than the terminal, a screen a command, examples that run."""

import re
import shlex
from typing import Any

import pytest
import typer

from balcli.cli.app import COMMANDS
from balcli.cli.help import EXAMPLES
from balcli.cli.options import HEADINGS, OUTPUT
from tests.conftest import Program
from tests.lists import each_case
from tests.tree import commands

SCREEN = 45
TREE = dict(commands())
LINES = [line for lines in EXAMPLES.values() for line in lines]


def _help(name: str, monkeypatch: pytest.MonkeyPatch, columns: int) -> list[str]:
    """The lines of a command's help in a terminal of that width."""
    monkeypatch.setenv("COLUMNS", str(columns))
    path = name if name == "balcli" else f"balcli {name}"
    context = typer.Context(TREE[name], info_name=path, help_option_names=["--help", "-h"])
    return list(TREE[name].get_help(context).splitlines())


def test_a_help_fits_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """No line is wider than the terminal, and at 80 columns the help of a command is a screen."""
    helps = {(name, width): _help(name, monkeypatch, width) for name in TREE for width in (60, 80)}
    assert [] == [place for place, lines in helps.items() if max(map(len, lines)) > place[1]]
    assert [] == [place for place, lines in helps.items() if place[1] == 80 and len(lines) > SCREEN]


def test_every_option_has_its_line(monkeypatch: pytest.MonkeyPatch, subtests: pytest.Subtests) -> None:
    """Each option and argument has its line once; where one has a heading, all have but --help."""
    for name, command in TREE.items():
        lines = _help(name, monkeypatch, 80)
        parameters: list[Any] = command.params
        with subtests.test(name=name):
            for parameter in parameters:
                if getattr(parameter, "hidden", False):  # --no-color, for which --color has a line
                    continue
                is_option = parameter.param_type_name == "option"
                shown = max(parameter.opts, key=len) if is_option else parameter.metavar
                line = rf"  (-\w, )?{re.escape(shown)}( |,|$)"
                assert 1 == sum(bool(re.match(line, text)) for text in lines), shown
            headings = {parameter.rich_help_panel for parameter in parameters}
            assert headings in ({None}, set()) or headings <= {*HEADINGS}


def test_formats_are_named_with_their_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """The choices of an option stand in its text, not in its name, with the variable that stands for it."""
    text = " ".join(" ".join(_help("all", monkeypatch, 80)).split())
    assert (
        "-o, --output FORMAT The format: table (default), json, jsonl, csv, prometheus, beancount, hledger or value "
        "[env: BALCLI_OUTPUT]." in text
    )
    assert f"{OUTPUT}: -o, --output FORMAT" in text
    assert "--sort KEY Sort the rows by this key: asset, account or total." in text


def test_each_command_of_the_list_has_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """At 80 columns no command's help is cut, nor broken."""
    lines = _help("balcli", monkeypatch, 80)
    listed = lines[lines.index("Commands:") + 1 :]
    assert [line.split()[0] for line in listed[: listed.index("")]] == [
        name for name in TREE if name != "balcli" and " " not in name
    ]
    assert all(line.endswith(".") for line in listed[: listed.index("")])


def test_the_list_has_the_first_paragraph_of_each_help() -> None:
    """What stands beside a command in the list is what its own help begins with."""
    assert {name: entry.help for name, entry in COMMANDS.items()} == {
        name: " ".join(TREE[name].help.partition("\n\n")[0].split()) for name in COMMANDS
    }


def test_every_command_has_examples() -> None:
    """The program and each command have examples of their own, and no other name has."""
    assert {"" if name == "balcli" else name for name in TREE} == set(EXAMPLES)
    for name, lines in EXAMPLES.items():
        assert all(line.startswith(f"balcli {name}".rstrip()) for line in lines)


@each_case("name", ["", "all", "config", "config init", "help"])
def test_help_of_a_command_is_its_help(program: Program, name: str) -> None:
    """`balcli help COMMAND` prints what `balcli COMMAND --help` prints, and `balcli help` what `balcli --help` does."""
    assert program.run(*name.split(), "--help") == program.run("help", *name.split())


def test_help_of_an_unknown_command_is_wrong_usage(program: Program) -> None:
    """`balcli help` of a name that is no command ends with 2 and prints nothing on stdout."""
    result = program.run("help", "walet")
    assert (2, "") == (result.code, result.out)
    assert "No such command 'walet'" in result.err


def test_an_example_is_a_command_line(subtests: pytest.Subtests) -> None:
    """Each example names a command, options and values that there are."""
    for line in LINES:
        with subtests.test(line=line):
            arguments = shlex.split(line)[1:]
            name = next(name for name in (" ".join(arguments[:2]), arguments[0]) if name in TREE)
            rest = arguments[len(name.split()) :]
            assert TREE[name].make_context(name, rest).params.keys() == {
                each.name for each in TREE[name].params
            }


def test_an_example_runs(program: Program, subtests: pytest.Subtests) -> None:
    """What an example asks the sandbox, it answers; where a fault is played, the run is partial."""
    for line in dict.fromkeys(LINES):
        if "--sandbox" in line:
            with subtests.test(line=line):
                result = program.run(*shlex.split(line)[1:])
                assert (8 if "--fault" in line else 0) == result.code, result.err
                assert result.out
