"""Completion as the shells ask for it: names from the file, and never a word of trouble."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from itertools import product
from pathlib import Path
from typing import Final

import completions
import pytest

from tests.conftest import ROOT, Program, Result, warm
from tests.documents import DOCS
from tests.generated import sampled
from tests.lists import each_case

PROFILE = """\
default_profile = "main"

[profiles.main.loopring]
api_key = "${NO_SUCH_KEY}"
account_id = 1

[[profiles.main.wallet]]
name = "treasury"
base_url = "https://core.example"
wallet_id = "w-1"
access_token_command = ["touch", "ran"]

[[profiles.main.wallet]]
name = "two words"
base_url = "https://core.example"
wallet_id = "w-2"
api_key_file = "no-such-file"

[[profiles.main.wallet]]
name = "${WHOSE} own"
base_url = "https://core.example"
wallet_id = "w-3"
api_key = "k-1"

[profiles.main.merchant]
name = "shop"
token = "${NO_SUCH_TOKEN}"

[profiles.spare.merchant]
name = "stall"
token = "t-1"
"""
SHELLS = ("bash", "zsh", "fish")
FILES: Final = ROOT / "contrib" / "completions"
INSTALLED: Final = {
    "bash": f"source {FILES}/balcli.bash",
    "zsh": f"fpath=({FILES} $fpath); autoload -Uz compinit && compinit -u",
    "fish": f"set --prepend fish_complete_path {FILES}",
}
"""By shell, what makes it load the file that the wheel installs."""


def asked(shell: str, line: str) -> dict[str, str]:
    """The variables by which a shell asks what could stand at the end of a line."""
    variables = {"_BALCLI_COMPLETE": f"complete_{shell}"}
    if shell == "bash":
        words = line.split(" ")
        return {**variables, "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
    if shell == "fish":
        variables["_TYPER_COMPLETE_FISH_ACTION"] = "get-args"
    return {**variables, "_TYPER_COMPLETE_ARGS": line}


def complete(
    program: Program, shell: str, line: str, env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> tuple[Result, list[str]]:
    """The run that a shell makes at the end of a line, and the values that it is offered."""
    result = program.run(env={**asked(shell, line), **(env or {})}, cwd=cwd)
    if shell == "zsh":
        return result, re.findall(r'^(?:_arguments \'\*: :\(\()?"([^"]*)"', result.out, re.MULTILINE)
    return result, [value.partition("\t")[0] for value in result.out.splitlines() if value]


@pytest.fixture
def env(program: Program) -> dict[str, str]:
    """An environment in which the program's profile is the one above."""
    return {"BALCLI_CONFIG": str(program.write(PROFILE)), "WHOSE": "my"}


OFFERED = {
    "balcli all ": ["loopring", "treasury", "two words", "my own", "shop"],
    "balcli all t": ["treasury", "two words"],
    "balcli all nothing": [],
    "balcli wallet ": ["treasury", "two words", "my own"],
    "balcli merchant ": ["shop"],
    "balcli wallet treasury t": ["two words"],
    "balcli all -p spare ": ["stall"],
    "balcli all -p nowhere ": [],
    "balcli all --profile ": ["main", "spare"],
    "balcli config show -p s": ["spare"],
    "balcli config init --provider ": ["loopring", "wallet", "merchant"],
    "balcli history --account t": ["treasury", "two words"],
    "balcli diff --account s": ["shop"],
    "balcli check --field ": ["total", "available", "locked"],
    "balcli all --fault expi": ["expired"],
    "balcli help wal": ["wallet"],
    "balcli help config s": ["show"],
    "balcli help wallet s": [],
    "balcli config ": ["init", "path", "profiles", "show", "check"],
    "balcli all --non": ["--nonzero"],
}


@pytest.mark.whole
def test_names_are_offered(program: Program, env: dict[str, str], subtests: pytest.Subtests) -> None:
    """Accounts are those of the profile and the command's provider, profiles those of the file."""
    for shell, (line, expected) in sampled(product(SHELLS, OFFERED.items()), 2):
        with subtests.test(shell=shell, line=line):
            result, offered = complete(program, shell, line, env)
            names = [name.replace(" ", "\\ ") if shell == "bash" else name for name in expected]
            assert (0, "", names) == (result.code, result.err, offered)


@each_case("shell", SHELLS)
def test_file_of_the_option_counts(program: Program, shell: str) -> None:
    """The file that -c names on the line is the one whose names are offered."""
    file = program.write(PROFILE.replace("treasury", "vault"))
    _, offered = complete(program, shell, f"balcli wallet -c {file} v")
    assert ["vault"] == offered


@pytest.mark.skipif(sys.platform != "linux", reason="other systems keep configuration elsewhere")
def test_default_file_counts(program: Program) -> None:
    """Without a name the default file's accounts are offered."""
    file = program.folder / ".config" / "balcli" / "config.toml"
    file.parent.mkdir(parents=True)
    file.write_text(PROFILE)
    file.chmod(0o600)
    assert ["shop"] == complete(program, "bash", "balcli merchant ")[1]


TROUBLES = {
    "no file": None,
    "syntax": b"[profiles.main",
    "no UTF-8": b"\xff\xfe",
    "empty": b"",
    "profiles no table": b"profiles = 1",
    "profile no table": b"[profiles]\nmain = 1",
    "which profile": b"[profiles.a.loopring]\n[profiles.b.loopring]\n",
    "deep": b"a = " + b"[" * 5000,
    "name of the wrong type": b"[profiles.main.loopring]\nname = 1\n",
    "name undefined": b'[profiles.main.loopring]\nname = "${NO_SUCH_NAME}"\n',
    "name with a control character": b'[profiles.main.loopring]\nname = "a\\u001b[31m"\n',
    "name for a shell": b'[profiles.main.loopring]\nname = "$(touch ran)`touch ran`"\n',
    "tables of the wrong type": b"[profiles.main]\nloopring = 1\nwallet = [1, 2]\nmerchant = [[]]\n",
}


@pytest.mark.whole
def test_trouble_offers_nothing(program: Program, subtests: pytest.Subtests) -> None:
    """Whatever is wrong with the file, nothing is offered and nothing said."""
    for shell, (trouble, content) in sampled(product(SHELLS, TROUBLES.items()), 2):
        program.file.unlink(missing_ok=True)
        if content is not None:
            program.file.write_bytes(content)
            program.file.chmod(0o600)
        with subtests.test(shell=shell, trouble=trouble):
            result, offered = complete(program, shell, "balcli all ", {"BALCLI_CONFIG": str(program.file)})
            assert (0, "", []) == (result.code, result.err, offered)


@each_case(
    "env",
    [
        {"HOME": "relative"},
        {"BALCLI_OUTPUT": "nonsense", "BALCLI_CONFIG": "/nonexistent"},
        {"BALCLI_CONFIG": "/proc/self/mem"},
        {"BALCLI_CONFIG": "/"},
    ],
    ids=["home", "output", "odd file", "folder"],
)
def test_trouble_around_the_program_offers_nothing(program: Program, env: dict[str, str]) -> None:
    """A home that is no place, a variable that is wrong and a file that is none are not talked about."""
    for line in ("balcli all ", "balcli all -p "):
        result, offered = complete(program, "bash", line, env)
        assert (0, "", []) == (result.code, result.err, offered)


def test_file_that_others_can_write_is_not_read(program: Program, env: dict[str, str]) -> None:
    """A profile with the wrong mode offers nothing, like one that cannot be read."""
    program.file.chmod(0o666)
    assert [] == complete(program, "bash", "balcli all ", env)[1]


def test_no_secret_is_looked_for(program: Program, env: dict[str, str]) -> None:
    """No command runs, and neither a `.env` nor a secret's file is opened for a completion."""
    fifos = [program.folder / ".env", program.folder / "no-such-file"]
    for fifo in fifos:
        os.mkfifo(fifo)
    result, offered = complete(program, "bash", "balcli wallet ", env, cwd=ROOT)
    assert (0, "", "treasury") == (result.code, result.err, offered[0])
    assert not (ROOT / "ran").exists()


@pytest.mark.parametrize(("line", "expected"), [("balcli all ", 0), ("balcli all nothing", 1)])
def test_fish_is_told_whether_there_is_anything(
    program: Program, env: dict[str, str], line: str, expected: int
) -> None:
    """Fish asks first whether there are names, and takes the exit code for the answer."""
    variables = {**asked("fish", line), "_TYPER_COMPLETE_FISH_ACTION": "is-args", **env}
    result = program.run(env=variables)
    assert (expected, "", "") == (result.code, result.out.strip(), result.err)


@each_case(
    ("shell", "part"),
    [("bash", "complete -o default -F"), ("zsh", "#compdef balcli"), ("fish", "complete --command balcli")],
)
def test_completion_can_be_shown(program: Program, shell: str, part: str) -> None:
    """`completion SHELL` prints the script of a shell on stdout, which is that of --show-completion."""
    env = {"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    result = program.run("--show-completion", shell, env=env)
    assert (0, "") == (result.code, result.err)
    assert part in result.out
    assert result == program.run("completion", shell)


def test_a_shell_without_a_script_is_wrong_usage(program: Program) -> None:
    """`completion` names the shells that it has a script for."""
    result = program.run("completion", "tcsh")
    assert (2, "") == (result.code, result.out)
    assert "'tcsh' is not one of 'bash', 'zsh', 'fish'" in result.err


@each_case("shell", SHELLS)
def test_the_files_are_what_the_program_prints(shell: str) -> None:
    """The files of contrib/ are the ones that are made now; else run `python docs/completions.py`."""
    assert completions.script(shell) == (FILES / completions.FILES[shell]).read_text()


def set_up(shell: str) -> str:
    """The line of the documentation that sets up completion in a shell."""
    (line,) = re.findall(
        rf"^(.*\bbalcli completion {shell}\b.*?) +# ~/", DOCS["configuration.md"], re.MULTILINE
    )
    return str(line)


def in_shell(program: Program, env: Mapping[str, str], *command: str) -> str:
    """What a shell prints that has balcli on its PATH and is silent on stderr; skips the test where there is no such shell."""
    name, *arguments = command
    shell = shutil.which(name)
    if shell is None:
        pytest.skip(f"{name} is not installed")
    commands = program.folder / "bin"
    if not commands.exists():
        commands.mkdir()
        warm().install(commands)
    path = f"{commands}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [shell, *arguments],
        env={**program.environment(env), "PATH": path, "LC_ALL": "C.UTF-8"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert (0, "") == (done.returncode, done.stderr.decode())
    return done.stdout.decode()


@pytest.mark.parametrize("line", [set_up("bash"), INSTALLED["bash"]])
def test_bash_itself_completes(program: Program, env: dict[str, str], line: str) -> None:
    """In a real bash, set up as documented or by the file, a name of two words is one word, ready to be used."""
    script = (
        f'{line}; COMP_WORDS=(balcli wallet "two"); COMP_CWORD=2; '
        '_balcli_completion balcli; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    assert in_shell(program, env, "bash", "--norc", "-c", script) == "two\\ words\n"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("balcli wallet t", ["treasury", "two words"]),
        ("balcli all -p s", ["spare"]),
        ("balcli all --nonz", ["--nonzero"]),
    ],
)
def test_fish_itself_completes(program: Program, env: dict[str, str], line: str, expected: list[str]) -> None:
    """A real fish, set up as documented or by the file, offers the names and the options."""
    for start in (set_up("fish"), INSTALLED["fish"]):
        script = f"{start}; complete -C '{line}'"
        offered = in_shell(program, env, "fish", "--no-config", "-c", script)
        assert expected == [line.partition("\t")[0] for line in offered.splitlines()]


@pytest.mark.parametrize(
    ("start", "typed", "expected"),
    [
        (set_up("zsh"), "balcli wallet tr", "balcli wallet treasury "),
        (set_up("zsh"), "balcli wallet tw", "balcli wallet two\\ words "),
        (INSTALLED["zsh"], "balcli all -p s", "balcli all -p spare "),
        (INSTALLED["zsh"], "balcli all --nonz", "balcli all --nonzero "),
    ],
)
def test_zsh_itself_completes(
    program: Program, env: dict[str, str], start: str, typed: str, expected: str
) -> None:
    """In a real zsh on a terminal, set up as documented or by the file, the Tab key completes what is typed."""
    told = program.folder / "told"
    keys = f"{typed}\t\x18"
    script = f"""
        zmodload zsh/zpty
        zpty shell zsh -f -i
        zpty -w shell {shlex.quote(start)}
        zpty -w shell {shlex.quote(f'tell() {{ print -rn -- "$BUFFER" > {told}.new; mv {told}.new {told}; }}')}
        zpty -w shell "zle -N tell; bindkey '^X' tell; : > {told}.ready"
        until [[ -e {told}.ready ]]; do zpty -r -t shell > /dev/null; sleep 0.05; done
        zpty -w -n shell {shlex.quote(keys)}
        until [[ -e {told} ]]; do zpty -r -t shell > /dev/null; sleep 0.05; done
        zpty -d shell
    """
    assert in_shell(program, env, "zsh", "-f", "-c", script) == ""
    assert expected == told.read_text()
