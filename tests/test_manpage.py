"""The man page: made of the live command tree, whole, without a word that troff stumbles over, and in the wheel."""

import re
import shlex
import shutil
import subprocess
import tomllib

import manpage
import pytest

from balcli.errors import BalcliError, leaves
from tests.conftest import ROOT, Program
from tests.lists import each_case
from tests.tree import commands, options

FILE = ROOT / "docs" / "balcli.1"
PAGE = FILE.read_text()


def _read(troff: str) -> str:
    """The page's text without the escapes of troff."""
    plain = re.sub(r"\\f[BIR]|\\&", "", troff)
    for escape, character in {r"\-": "-", r"\(aq": "'", r"\(ga": "`", r"\(ti": "~", r"\e": "\\"}.items():
        plain = plain.replace(escape, character)
    return plain


def _parts(text: str, macro: str) -> dict[str, str]:
    """What stands below each heading of a kind."""
    _, *found = re.split(rf"^\.{macro} (.*)\n", text, flags=re.MULTILINE)
    return {name.strip('"'): content for name, content in zip(found[::2], found[1::2], strict=True)}


SECTIONS = _parts(_read(PAGE), "SH")
COMMANDS = {"balcli": SECTIONS["OPTIONS"], **_parts(SECTIONS["COMMANDS"], "SS")}


def test_the_page_is_what_the_tree_gives() -> None:
    """The page that is kept, and shipped, is the one that is made now; else run `python docs/manpage.py`."""
    assert manpage.page(manpage.date_of(PAGE)) == PAGE, "run `python docs/manpage.py`"


def test_the_page_has_its_sections() -> None:
    """The sections are those of a command's page, in their order."""
    assert [
        "NAME",
        "SYNOPSIS",
        "DESCRIPTION",
        "OPTIONS",
        "COMMANDS",
        "COMMON OPTIONS",
        "EXIT STATUS",
        "ENVIRONMENT",
        "FILES",
        "EXAMPLES",
        "SEE ALSO",
    ] == list(SECTIONS)


def test_each_command_has_its_part() -> None:
    """Every command of the live tree stands there with its usage and help, and none that there is not."""
    leaf_commands = {
        name: command
        for name, command in commands()
        if not hasattr(command, "commands") or getattr(command, "is_command", False)
    }
    assert set(leaf_commands) == set(COMMANDS) - {"balcli"}
    for name, command in leaf_commands.items():
        assert re.match(rf"balcli {name}( |$)", COMMANDS[name], re.MULTILINE)
        assert " ".join(command.help.split()) in re.sub(r"\s+(\.PP\s+)?", " ", COMMANDS[name])


def test_each_option_has_its_place() -> None:
    """Every option of the live tree stands with its command; one that is only named there, with the common ones."""
    missing = []
    for command, option in options():
        part = COMMANDS[command]
        described = rf"^\.TP\n(--?[\w-]+, )?{re.escape(option)}( |,|$)"
        named = re.search(rf"(?<![\w-]){re.escape(option)}(?![\w-])", part)
        if not named or not re.search(described, part + SECTIONS["COMMON OPTIONS"], re.MULTILINE):
            missing.append((command, option))
    assert [] == missing


def test_the_exit_codes_are_those_of_the_code() -> None:
    """Each exit code has its line: those of the errors, with their names, of a whole and a partial run, of signals."""
    main = SECTIONS["EXIT STATUS"].partition("\n.SS ")[0]
    lines = dict(re.findall(r"^\.TP\n([\d, ]+)\n((?:(?!\.).*\n)+)", main, re.MULTILINE))
    codes = [int(code) for written in lines for code in written.split(", ")]
    assert sorted({0, 8, 129, 130, 143, 141} | {leaf.exit_code for leaf in leaves(BalcliError)}) == sorted(
        codes
    )
    for leaf in leaves(BalcliError):
        assert re.search(rf"\b{re.escape(leaf.code)}\b", lines[str(leaf.exit_code)])


def test_each_example_is_a_command_line(program: Program, subtests: pytest.Subtests) -> None:
    """Each line of the examples names a command and options that there are."""
    for line in re.findall(r"^balcli .*", SECTIONS["EXAMPLES"], re.MULTILINE):
        with subtests.test(line=line):
            result = program.run(*shlex.split(line)[1:], "--help")
            assert (0, "") == (result.code, result.err)


@each_case(
    "command",
    [["groff", "-man", "-ww", "-z"], ["groff", "-man", "-Tascii", "-ww", "-z"], ["mandoc", "-Tlint"]],
)
def test_no_reader_of_the_page_warns(command: list[str]) -> None:
    """Neither groff nor mandoc has anything to say about the page."""
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    done = subprocess.run([*command, FILE], capture_output=True, check=False, text=True)
    assert (0, "") == (done.returncode, done.stdout + done.stderr)


def test_the_page_is_where_man_looks_for_it() -> None:
    """The wheel puts the page beside the program, in share/man."""
    targets = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]
    assert "share/man/man1/balcli.1" == targets["wheel"]["shared-data"]["docs/balcli.1"]
