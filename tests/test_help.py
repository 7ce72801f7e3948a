"""The help: every option under a heading, nothing wider than the terminal, a screen a command, examples that run."""

import re
import shlex
from typing import Any

import pytest
import typer

from balcli.cli.commands import HEADINGS, OUTPUT
from balcli.cli.help import EXAMPLES
from tests.conftest import Program
from tests.tree import commands

SCREEN = 40
TREE = dict(commands())
LINES = [line for lines in EXAMPLES.values() for line in lines]


def _help(name: str, monkeypatch: pytest.MonkeyPatch, columns: int) -> list[str]:
    """The lines of a command's help in a terminal of that width."""
    monkeypatch.setenv("COLUMNS", str(columns))
    path = name if name == "balcli" else f"balcli {name}"
    context = typer.Context(TREE[name], info_name=path, help_option_names=["--help", "-h"])
    return list(TREE[name].get_help(context).splitlines())


@pytest.mark.parametrize("name", TREE)
def test_a_help_fits_the_terminal(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No line is wider than a terminal of 60 columns or more, and at 80 the help is a screen."""
    for columns in (60, 61, 79, 80, 200):
        assert max(map(len, _help(name, monkeypatch, columns))) <= columns
    assert len(_help(name, monkeypatch, 80)) <= SCREEN


def test_a_narrow_help_has_its_texts_below(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no column is left beside the options, what they do stands below them."""
    lines = _help("doctor", monkeypatch, 40)
    at = lines.index("  -c, --config FILE")
    assert ["      Read this profile file", "      [env: BALCLI_CONFIG]."] == lines[at + 1 : at + 3]


@pytest.mark.parametrize("name", TREE)
def test_every_option_has_its_line(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each option and argument has its line once; where one has a heading, all have but --help."""
    lines = _help(name, monkeypatch, 80)
    parameters: list[Any] = TREE[name].params
    for parameter in parameters:
        shown = max(parameter.opts, key=len) if parameter.param_type_name == "option" else parameter.metavar
        assert 1 == sum(bool(re.match(rf"  (-\w, )?{re.escape(shown)}( |$)", line)) for line in lines)
    headings = {parameter.rich_help_panel for parameter in parameters}
    assert headings in ({None}, set()) or headings <= {*HEADINGS}


def test_formats_are_named_with_their_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """The choices of an option stand in its text, not in its name, with the variable that stands for it."""
    text = " ".join(" ".join(_help("all", monkeypatch, 80)).split())
    assert (
        "-o, --output FORMAT The format: table (default), json, jsonl, csv, prometheus, beancount or hledger "
        "[env: BALCLI_OUTPUT]." in text
    )
    assert f"{OUTPUT}: -o, --output FORMAT" in text
    assert "--sort KEY The order of the rows: asset, account or total." in text


def test_each_command_of_the_list_has_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """At 80 columns no command's help is cut, nor broken."""
    lines = _help("balcli", monkeypatch, 80)
    listed = lines[lines.index("Commands:") + 1 :]
    assert [line.split()[0] for line in listed[: listed.index("")]] == [
        name for name in TREE if name != "balcli" and " " not in name
    ]
    assert all(line.endswith(".") for line in listed[: listed.index("")])


def test_every_command_has_examples() -> None:
    """The program and each command have examples of their own, and no other name has."""
    assert {"" if name == "balcli" else name for name in TREE} == set(EXAMPLES)
    for name, lines in EXAMPLES.items():
        assert all(line.startswith(f"balcli {name}".rstrip()) for line in lines)


@pytest.mark.parametrize("line", LINES)
def test_an_example_is_a_command_line(line: str) -> None:
    """Each example names a command, options and values that there are."""
    arguments = shlex.split(line)[1:]
    name = next(name for name in (" ".join(arguments[:2]), arguments[0]) if name in TREE)
    rest = arguments[len(name.split()) :]
    assert TREE[name].make_context(name, rest).params.keys() == {each.name for each in TREE[name].params}


@pytest.mark.parametrize("line", [line for line in dict.fromkeys(LINES) if "--sandbox" in line])
def test_an_example_runs(program: Program, line: str) -> None:
    """What an example asks the sandbox, it answers; where a fault is played, the run is partial."""
    result = program.run(*shlex.split(line)[1:])
    assert (8 if "--fault" in line else 0) == result.code, result.err
    assert result.out
