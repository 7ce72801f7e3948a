"""`balcli config`: what init writes and never overwrites, where it is, what show tells and hides, what check finds."""

import json
import os
import pty
import re
import select
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from balcli.config.problems import Source, line_numbers
from balcli.config.sources import parse_toml
from balcli.providers import PROVIDERS
from balcli.render.settings import Row
from balcli.render.settings import render as render_settings
from tests.acme import install
from tests.conftest import ROOT, Program, Result
from tests.lists import each_case
from tests.profiles import private
from tests.test_readme import _example

SECRET = "s3cr3t-CANARY-value"
OTHER = "An0ther-CANARY/secret+text"
ALL_NAMES = [
    "LOOPRING_BASE_URL",
    "LOOPRING_API_KEY",
    "LOOPRING_ACCOUNT_ID",
    "WALLET_BASE_URL",
    "WALLET_ACCESS_TOKEN",
    "WALLET_ID",
    "MERCHANT_API_KEY",
    "MERCHANT_API_SECRET",
]
VALUES = {
    "LOOPRING_BASE_URL": "https://relayer.example",
    "LOOPRING_API_KEY": SECRET,
    "LOOPRING_ACCOUNT_ID": "11329",
    "WALLET_BASE_URL": "https://core.example",
    "WALLET_ACCESS_TOKEN": OTHER,
    "WALLET_ID": "w-1",
    "MERCHANT_API_KEY": SECRET,
    "MERCHANT_API_SECRET": OTHER,
}


def mode(path: Path) -> int:
    """The permission bits of a file or folder."""
    return stat.S_IMODE(path.lstat().st_mode)


def default_file(program: Program) -> Path:
    """Where the program's profile is without an option."""
    return program.folder / ".config" / "balcli" / "config.toml"


def tables(file: Path) -> list[str]:
    """The providers that a written profile has a table for."""
    return [
        key
        for key in parse_toml(Source("", file.read_text()))["profiles"]["main"]
        if key in (*PROVIDERS, "acme")
    ]


# init


@pytest.mark.skipif(sys.platform != "linux", reason="other systems keep configuration elsewhere")
@each_case("umask", [0o000, 0o022, 0o077])
def test_init_writes_a_file_for_its_owner_alone(program: Program, umask: int) -> None:
    """The file has mode 0600 and the folders that were made for it 0700; its path is all of stdout."""
    result = program.run("config", "init", umask=umask)
    file = default_file(program)
    assert (0, f"{file}\n") == (result.code, result.out)
    assert (0o600, 0o700, 0o700) == (mode(file), mode(file.parent), mode(file.parent.parent))
    assert list(PROVIDERS) == tables(file)


def test_init_tells_the_next_steps_on_stderr(program: Program) -> None:
    """Each variable that the file needs is named, and where it can be set; with -q nothing is."""
    file = program.folder / "one.toml"
    told = program.run("config", "init", "-c", str(file))
    quiet = program.run("config", "init", "-q", "-c", str(program.folder / "two.toml"))
    assert all(name in told.err for name in [*ALL_NAMES, str(program.folder / ".env"), "config check"])
    assert told.err.startswith(f"balcli: wrote {file}, mode 0600, for loopring, wallet, merchant\n")
    assert told.err.endswith(f"balcli: then run balcli config check -c {file}, and balcli all -c {file}\n")
    assert all(line.startswith("balcli: ") and len(line) <= 300 for line in told.err.splitlines())
    assert (0, "") == (quiet.code, quiet.err)
    assert file.read_bytes() == (program.folder / "two.toml").read_bytes()


@each_case("kind", ["file", "folder", "link", "dangling link", "FIFO"])
def test_init_leaves_what_is_there(program: Program, kind: str) -> None:
    """Whatever stands at the path stays as it is: 3, with what to do, and nothing on stdout."""
    file = program.folder / "config.toml"
    target = program.folder / "elsewhere"
    if kind == "file":
        file.write_text("# mine\n")
    elif kind == "folder":
        file.mkdir()
    elif kind == "FIFO":
        os.mkfifo(file)
    else:
        if kind == "link":
            target.write_text("# mine\n")
        file.symlink_to(target)
    before = file.lstat()
    result = program.run("config", "init", "-c", str(file))
    after = file.lstat()
    assert (3, "") == (result.code, result.out)
    assert "already exists; edit it, move it away first, or use another file with --config" in result.err
    assert (before.st_ino, before.st_mode, before.st_mtime_ns) == (
        after.st_ino,
        after.st_mode,
        after.st_mtime_ns,
    )
    assert (kind == "link") == target.exists()


@each_case("size", ["100", "1000"])
def test_init_leaves_nothing_behind_where_it_fails(program: Program, size: str) -> None:
    """Where a file cannot be written whole, neither a part of it nor the `.env`, which is shorter, nor a folder is left; 9."""
    script = (
        "import resource, signal, sys\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (LEAST, LEAST))\n"
        "from balcli.cli.app import run\n"
        "sys.exit(run(sys.argv[1:]))\n"
    )
    file = program.folder / "a" / "b" / "config.toml"
    done = subprocess.run(
        [sys.executable, "-c", script.replace("LEAST", size), "config", "init", "--env", "-c", str(file)],
        env={**program.environment(), "PYTHONDONTWRITEBYTECODE": "1"},
        cwd=ROOT,
        capture_output=True,
        check=False,
        text=True,
    )
    assert (9, "") == (done.returncode, done.stdout)
    assert "cannot be written" in done.stderr
    assert [] == list(program.folder.iterdir())


def test_init_where_no_folder_can_be_made_is_an_output_error(program: Program) -> None:
    """A file in the place of a folder ends it with 9, and stays."""
    private(program.folder / "taken", "x")
    result = program.run("config", "init", "-c", str(program.folder / "taken" / "config.toml"))
    assert (9, "", "x") == (result.code, result.out, (program.folder / "taken").read_text())


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["wallet"], ["wallet"]),
        (["merchant", "loopring", "merchant"], ["loopring", "merchant"]),
        (["KunaCore"], ["wallet"]),
        (["VELAFI", "loopRing"], ["loopring", "merchant"]),
        (["velafi,kunacore"], ["wallet", "merchant"]),
        ([" 3 , 1 "], ["loopring", "merchant"]),
        (["Merchant wallet", "2"], ["wallet", "merchant"]),
    ],
)
def test_init_writes_the_providers_that_are_named(
    program: Program, names: list[str], expected: list[str]
) -> None:
    """--provider chooses the tables: by name, vendor or number, in any case, several with commas or blanks."""
    options = [part for name in names for part in ("--provider", name)]
    assert 0 == program.run("config", "init", *options, "-c", str(program.file)).code
    assert expected == tables(program.file)


def test_init_says_that_the_default_relayer_is_closed(program: Program) -> None:
    """The file says so beside the address, stderr too; of a provider that is in service nothing is said."""
    said = "Loopring closed its public relayer on 2026-06-28; set base_url to use another deployment"
    result = program.run("config", "init", "--provider", "loopring", "-c", str(program.file))
    (line,) = [line for line in program.file.read_text().splitlines() if "base_url = " in line]
    assert re.fullmatch(rf'base_url = "\$\{{LOOPRING_BASE_URL\}}" +# the URL of the API. {said}', line)
    assert f"balcli: loopring: note: {said}" in result.err.splitlines()
    other = program.run("config", "init", "--provider", "merchant", "-c", str(program.folder / "other.toml"))
    assert (0, False) == (other.code, "note: " in other.err)


@each_case("name", ["bank", "loopring,bank", "4", "0", "1-3", "", " , "])
def test_init_of_an_unknown_provider_writes_nothing(program: Program, name: str) -> None:
    """A provider that there is not, or none at all, is wrong usage, answered with those that there are."""
    result = program.run("config", "init", "--provider", name, "-c", str(program.file))
    assert (2, "", False) == (result.code, result.out, program.file.exists())
    assert "use one of: loopring, wallet, merchant" in result.err


def test_check_and_doctor_say_that_an_account_is_at_the_closed_relayer(program: Program) -> None:
    """They say it of the default address alone, however it is spelled, with what to do; it is no problem."""
    note = "Loopring closed its public relayer on 2026-06-28; set base_url to use another deployment"
    for base_url, closed in {
        "": True,
        'base_url = "https://API3.loopring.io:443/"': True,
        'base_url = "https://relayer.example"': False,
    }.items():
        text = f'[profiles.main.loopring]\n{base_url}\napi_key = "{SECRET}"\naccount_id = 1\n'
        checked = program.with_profile(text, "config", "check", "-o", "json")
        expected = [{"code": "base_url.note", "account": "loopring", "message": note}] if closed else []
        assert (0, expected) == (checked.code, checked.json["warnings"])
        examined = program.with_profile(text, "doctor", "--offline", "-o", "json").json
        warnings = [step for step in examined["steps"] if step["status"] == "warning"]
        cure = "set base_url to use another deployment"
        assert [("loopring", "settings", cure)] * closed == [
            (step["account"], step["step"], step["cure"]) for step in warnings
        ]


def test_the_written_file_lacks_variables_and_nothing_else(program: Program) -> None:
    """A check of a fresh file names each variable that is not defined, and has nothing else to say."""
    program.run("config", "init", "-q", "-c", str(program.file))
    result = program.run("config", "check", "-o", "json", "-c", str(program.file))
    problems = result.json["problems"]
    assert (3, {"config.variable"}) == (result.code, {problem["code"] for problem in problems})
    assert len(ALL_NAMES) == len(problems)
    for name, problem in zip(ALL_NAMES, problems, strict=True):
        assert f"needs ${{{name}}}, which is not set" in problem["message"]


def test_the_written_env_file_lacks_values_and_nothing_else(program: Program) -> None:
    """--env writes a `.env` of the names alone, 0600; a check then names each as not set, once."""
    result = program.run("config", "init", "--env", "-c", str(program.file))
    env_file = program.folder / ".env"
    lines = [line for line in env_file.read_text().splitlines() if line and not line.startswith("#")]
    assert (0, 0o600, [f"{name}=" for name in ALL_NAMES]) == (result.code, mode(env_file), lines)
    assert f"balcli: wrote {env_file}, mode 0600; fill in its values\n" in result.err
    problems = program.run("config", "check", "-o", "json", "-c", str(program.file)).json["problems"]
    named = [re.search(r"needs \$\{(\w+)\}, which is not set; set \1", each["message"]) for each in problems]
    assert ALL_NAMES == [match and match[1] for match in named]
    env_file.write_text("".join(f"{name}={value}\n" for name, value in VALUES.items()))
    assert 0 == program.run("config", "check", "-c", str(program.file)).code


def test_init_leaves_an_env_file_that_is_there(program: Program) -> None:
    """With --env it is 3, and no profile is written; without, the profile is written beside it."""
    private(program.folder / ".env", "MINE=1\n")
    refused = program.run("config", "init", "--env", "-c", str(program.file))
    assert (3, "", False) == (refused.code, refused.out, program.file.exists())
    assert "add the variables to it, or remove --env" in refused.err
    assert 0 == program.run("config", "init", "-c", str(program.file)).code
    assert "MINE=1\n" == (program.folder / ".env").read_text()


def test_the_written_file_loads_with_its_variables(program: Program) -> None:
    """With every variable set in a `.env` beside it, the file has no problem."""
    program.run("config", "init", "-q", "-c", str(program.file))
    private(program.folder / ".env", "".join(f"{name}={value}\n" for name, value in VALUES.items()))
    result = program.run("config", "check", "-c", str(program.file))
    assert (0, "ok      profile main: loopring, wallet, merchant\n", "") == (
        result.code,
        result.out,
        result.err,
    )


def test_each_commented_key_can_be_uncommented(program: Program) -> None:
    """Each line of the written file that is a key in a comment is valid TOML without its #, and known."""
    program.run("config", "init", "-q", "-c", str(program.file))
    lines = program.file.read_text().splitlines()
    commented = [line for line in lines if line.startswith("# ") and " = " in line and "  # " in line]
    commented += [line for line in lines if re.fullmatch(r"# \[\[[a-z.]+\]\]", line)]
    keys = {line[2:].split(" = ")[0] for line in commented}
    assert {
        "default_profile",
        "timeout",
        "proxy",
        "ca_bundle",
        "name",
        "login",
        "merchant_id",
        "crit",
    } <= keys
    text = "\n".join(line[2:] if line in commented else line for line in lines)
    parse_toml(Source("", text))
    result = program.with_profile(text, "config", "check", "-o", "json")
    assert "config.key" not in {problem["code"] for problem in result.json["problems"]}


def test_a_plug_in_provider_gets_its_table(program: Program, tmp_path: Path) -> None:
    """The table of another package's provider is made from what it declares, like any other."""
    env = install(tmp_path, _example())
    file = tmp_path / "profile" / "config.toml"
    assert 0 == program.run("config", "init", "--provider", "acme", "-c", str(file), env=env).code
    assert ["acme"] == tables(file)
    values = {"ACME_BASE_URL": "https://acme.example", "ACME_API_KEY": SECRET, "ACME_USER_ID": "7"}
    result = program.run("config", "check", "-c", str(file), env={**env, **values})
    assert (0, "ok      profile main: acme\n") == (result.code, result.out)


def session(program: Program, *arguments: str, answers: list[bytes | None]) -> tuple[int, str, str]:
    """The exit code, stdout and the screen of a run whose stdin and stderr are a terminal.

    Each answer follows a request; None is an interrupt.
    """
    master, slave = pty.openpty()
    process = program.start(*arguments, stdin=slave, stderr=slave, session=True)
    os.close(slave)
    screen = b""
    waiting = list(answers)
    limit = time.monotonic() + 30
    try:
        while time.monotonic() < limit:
            if not select.select([master], [], [], 0.1)[0]:
                if process.poll() is not None:
                    break
                continue
            try:
                piece = os.read(master, 4096)
            except OSError:
                break
            screen += piece
            asked = screen.count(b"Enter for all): ") + screen.count(b"[Y/n] ")
            if waiting and asked > len(answers) - len(waiting):
                answer = waiting.pop(0)
                if answer is None:
                    process.send_signal(signal.SIGINT)
                else:
                    os.write(master, answer)
        out, _ = process.communicate(timeout=10)
    finally:
        process.kill()
        os.close(master)
    return process.returncode, out.decode(), screen.decode(errors="replace").replace("\r\n", "\n")


@each_case(
    ("answers", "expected"),
    [
        pytest.param([b"\n", b"\n"], ["loopring", "wallet", "merchant"], id="all"),
        pytest.param([b"merchant\n", b"Y\n"], ["merchant"], id="one"),
        pytest.param([b"merchant, loopring\n", b"yes\n"], ["loopring", "merchant"], id="two"),
        pytest.param([b"3 1\n", b"y\n"], ["loopring", "merchant"], id="numbers"),
        pytest.param([b"VelaFi,kunacore\n", b"y\n"], ["wallet", "merchant"], id="vendors"),
        pytest.param(
            [b"bank\n", b"4\n", b"\xe9\n", b"wallet\n", b"what\n", b"y\n"], ["wallet"], id="asked again"
        ),
    ],
)
def test_init_asks_at_a_terminal_which_providers_are_used(
    program: Program, answers: list[bytes | None], expected: list[str]
) -> None:
    """The questions are on stderr: the providers, by number, and whether to write a `.env`; never for a secret."""
    code, out, screen = session(program, "config", "init", "-c", str(program.file), answers=answers)
    assert (0, f"{program.file}\n", expected) == (code, out, tables(program.file))
    env_file = program.folder / ".env"
    assert 0o600 == mode(env_file)
    asked = screen.partition("balcli: ")[0]
    assert len(answers) == asked.count("Enter for all): ") + asked.count("[Y/n] ")
    questions = asked.partition(f"Write {env_file}")[0].lower()
    assert "  2  wallet     kunacore wallet api\n" in questions
    assert not any(word in questions for word in ("key", "secret", "token", "password"))


@each_case("answer", [b"n\n", b"No\n"])
def test_init_writes_no_env_file_unless_it_is_wanted(program: Program, answer: bytes) -> None:
    """A no leaves the profile alone; with the providers named, the `.env` is the only question."""
    code, _, screen = session(
        program, "config", "init", "-c", str(program.file), "--provider", "wallet", answers=[answer]
    )
    assert (0, False, ["wallet"]) == (code, "Which" in screen, tables(program.file))
    assert not (program.folder / ".env").exists()


@each_case("options", [["-q"], ["--provider", "wallet", "--no-env"], ["--provider", "wallet", "--env"]])
def test_init_asks_nothing_where_all_is_said(program: Program, options: list[str]) -> None:
    """With -q, or with --provider and one of --env and --no-env, there is no question, also at a terminal."""
    code, _, screen = session(program, "config", "init", "-c", str(program.file), *options, answers=[])
    assert (0, False, False) == (code, "Which" in screen, "[Y/n]" in screen)
    assert (program.file.exists(), "--env" in options) == (True, (program.folder / ".env").exists())


@pytest.mark.parametrize("answer", [b"\x04", None], ids=["end of input", "interrupt"])
@pytest.mark.parametrize("before", [[], [b"1\n"]], ids=["first", "second"])
def test_init_that_is_broken_off_writes_nothing(
    program: Program, before: list[bytes | None], answer: bytes | None
) -> None:
    """The end of the input, or an interrupt, at either question leaves no file."""
    code, out, _ = session(program, "config", "init", "-c", str(program.file), answers=[*before, answer])
    assert (130, "", []) == (code, out, list(program.folder.iterdir()))


# profiles


@each_case(
    ("text", "env", "expected"),
    [
        pytest.param("[profiles.main]\n", {}, [("main", True, 0)], id="only one"),
        pytest.param(
            'default_profile = "b"\n[profiles.a.loopring]\n[[profiles.b.wallet]]\nname = "one"\n[[profiles.b.wallet]]\n'
            'name = "other"\n[profiles.b.merchant]\n',
            {},
            [("a", False, 1), ("b", True, 3)],
            id="default",
        ),
        pytest.param("[profiles.a]\n[profiles.b]\n", {}, [("a", False, 0), ("b", False, 0)], id="none"),
        pytest.param(
            "[profiles.a]\n[profiles.b]\n",
            {"BALCLI_PROFILE": "b"},
            [("a", False, 0), ("b", True, 0)],
            id="variable",
        ),
        pytest.param(
            "[profiles.a.loopring]\n[profiles.b]\n",
            {"BALCLI_MERCHANT_TOKEN": SECRET},
            [("a", False, 2), ("b", False, 1)],
            id="accounts of variables",
        ),
    ],
)
def test_profiles_are_listed_with_their_accounts(
    program: Program, text: str, env: dict[str, str], expected: list[tuple[str, bool, int]]
) -> None:
    """Each profile of the file, in its order; the default is that of a run without -p. No secret need be there."""
    result = program.with_profile(text, "config", "profiles", "-o", "json", env=env)
    assert ["schema_version", "file", "profiles", "warnings", "errors"] == list(result.json)
    assert (0, "", str(program.file)) == (result.code, result.err, result.json["file"])
    assert expected == [tuple(each.values()) for each in result.json["profiles"]]
    table = program.with_profile(text, "config", "profiles", env=env)
    lines = [
        f"{name}  {count} account{'' if count == 1 else 's'}{'  (default)' if default else ''}"
        for name, default, count in expected
    ]
    assert (0, lines, "") == (
        table.code,
        [re.sub("  +", "  ", line) for line in table.out.splitlines()],
        table.err,
    )


@each_case(
    ("text", "expected", "errors"),
    [
        pytest.param("[profiles", [], ["config.syntax"], id="syntax"),
        pytest.param("", [], ["config.profile"], id="empty"),
        pytest.param("profiles = 3\n", [], ["config.value"], id="no tables"),
        pytest.param(
            "[profiles]\na = 3\n[profiles.b.loopring]\n",
            [("a", None), ("b", 1)],
            ["config.value"],
            id="one that is no table",
        ),
        pytest.param(
            'odd = 1\ndefault_profile = "c"\n[profiles.a.bank]\n[profiles.b]\ntimeout = "x"\n',
            [("a", 0), ("b", 0)],
            ["config.key", "config.profile", "config.key", "config.value"],
            id="several",
        ),
    ],
)
def test_profiles_of_a_broken_file_are_listed_as_far_as_they_can_be_read(
    program: Program, text: str, expected: list[tuple[str, int | None]], errors: list[str]
) -> None:
    """Every problem of the file's structure is in `errors` and on stderr, once; 3."""
    result = program.with_profile(text, "config", "profiles", "-o", "json")
    assert expected == [(each["profile"], each["accounts"]) for each in result.json["profiles"]]
    assert (3, errors) == (result.code, [each["code"] for each in result.json["errors"]])
    table = program.with_profile(text, "config", "profiles", "-q")
    assert (3, len(expected), len(errors)) == (
        table.code,
        len(table.out.splitlines()),
        len(table.err.splitlines()),
    )


def test_profiles_without_a_file_are_those_of_the_variables(program: Program) -> None:
    """The accounts of variables are listed without a profile's name; with none, init is the cure."""
    some = program.run("config", "profiles", env={"BALCLI_MERCHANT_TOKEN": SECRET})
    assert (0, "the environment's accounts  1 account  (default)\n") == (some.code, some.out)
    none = program.run("config", "profiles", "-o", "json")
    assert (3, [], ["config.file"]) == (
        none.code,
        none.json["profiles"],
        [error["code"] for error in none.json["errors"]],
    )
    assert "create it with balcli config init" in none.err


# path


@pytest.mark.skipif(sys.platform != "linux", reason="other systems keep configuration elsewhere")
@pytest.mark.parametrize("there", [False, True], ids=["missing", "there"])
def test_path_is_told_whether_or_not_the_file_is_there(program: Program, there: bool) -> None:
    """The default file's path is all of stdout, and the end is 0."""
    if there:
        program.run("config", "init", "-q")
    result = program.run("config", "path")
    assert (0, f"{default_file(program)}\n", "") == (result.code, result.out, result.err)


@each_case("by", ["option", "variable", "relative"])
def test_path_is_the_one_that_is_named(program: Program, by: str) -> None:
    """-c and BALCLI_CONFIG name the file; a relative one is told whole."""
    file = str(program.folder / "mine.toml")
    arguments = {"option": ["-c", file], "relative": ["-c", "mine.toml"]}.get(by, [])
    env = {"BALCLI_CONFIG": file} if by == "variable" else {}
    result = program.run(
        "config", "path", *arguments, env=env | {"PYTHONPATH": str(ROOT)}, cwd=program.folder
    )
    assert (0, f"{file}\n") == (result.code, result.out)


def test_path_without_a_fixed_home_is_refused(program: Program) -> None:
    """Where the home is no absolute path there is no default file to name."""
    for home in ("relative", ""):
        result = program.run("config", "path", env={"HOME": home})
        assert (3, "") == (result.code, result.out)


# show

SHOWN = f"""\
[profiles.main]
timeout = 2.5
jobs = 3
proxy = "http://${{PROXY_USER}}:{OTHER.replace("/", "%2F")}@proxy.example:3128"

[profiles.main.loopring]
api_key = "${{KEY}}"
account_id = 11329
assets = [
  "ETH",
  "${{ASSET}}",
]

[[profiles.main.wallet]]
name = "treasury"
base_url = "https://${{HOST}}/api"
wallet_id = "w-1"
login = {{ merchant_id = "m-1", email = "${{EMAIL}}", device = {{ id = "{SECRET}" }}, kind = 7 }}

[[profiles.main.wallet]]
name = "payouts"
base_url = "https://core.example"
wallet_id = "w-2"
access_token_command = ["sh", "-c", "touch ran; echo {SECRET}"]

[profiles.main.merchant]
api_key = "{SECRET}"
api_secret_file = "secret.txt"
"""
SHOWN_ENV = {"KEY": OTHER, "HOST": "core.example", "PROXY_USER": "proxy-CANARY-user"}


def shown(program: Program, *arguments: str) -> Result:
    """`config show` of a profile with every kind of source."""
    private(program.folder / ".env", f"# from here\n\nEMAIL={SECRET}@example.org\nASSET=LRC\nKEY=unused\n")
    private(program.folder / "secret.txt", f"{OTHER}\n")
    return program.with_profile(SHOWN, "config", "show", *arguments, env=SHOWN_ENV)


def listed(result: Result) -> dict[tuple[str, str], tuple[object, str]]:
    """The settings of a document by account (`run` for the profile's own) and key: value and source."""
    document = result.json
    accounts = [*document["accounts"], {"account": "run", "settings": document["settings"]}]
    return {
        (account["account"], each["key"]): (each["value"], each["source"])
        for account in accounts
        for each in account["settings"]
    }


def test_show_names_the_source_of_each_value(program: Program) -> None:
    """File and line, environment, `.env` and line, file, command and default each are told; secrets are ***."""
    result = shown(program, "-o", "json")
    document = result.json
    secret_file = program.folder / "secret.txt"
    assert (0, "main", str(program.file), []) == (
        result.code,
        document["profile"],
        document["file"],
        document["errors"],
    )
    assert {
        ("loopring", "name"): ("loopring", "default"),
        ("loopring", "base_url"): ("https://api3.loopring.io", "default"),
        ("loopring", "api_key"): ("***", "environment KEY"),
        ("loopring", "account_id"): (11329, "config.toml:8"),
        ("loopring", "assets"): (["ETH", "LRC"], "config.toml:9, .env:4 ASSET"),
        ("treasury", "name"): ("treasury", "config.toml:15"),
        ("treasury", "base_url"): ("https://${HOST}/api", "config.toml:16, environment HOST"),
        ("treasury", "wallet_id"): ("w-1", "config.toml:17"),
        ("treasury", "login.merchant_id"): ("***", "config.toml:18"),
        ("treasury", "login.email"): ("***", ".env:3 EMAIL"),
        ("treasury", "login.device.id"): ("***", "config.toml:18"),
        ("treasury", "login.kind"): ("***", "config.toml:18"),
        ("payouts", "name"): ("payouts", "config.toml:21"),
        ("payouts", "base_url"): ("https://core.example", "config.toml:22"),
        ("payouts", "access_token"): ("***", "command sh"),
        ("payouts", "wallet_id"): ("w-2", "config.toml:23"),
        ("merchant", "name"): ("merchant", "default"),
        ("merchant", "base_url"): ("https://api.velafi.com", "default"),
        ("merchant", "api_key"): ("***", "config.toml:27"),
        ("merchant", "api_secret"): ("***", f"file {secret_file}"),
        ("run", "timeout"): (2.5, "config.toml:2"),
        ("run", "deadline"): (30, "default"),
        ("run", "command_timeout"): (10, "default"),
        ("run", "retries"): (3, "default"),
        ("run", "jobs"): (3, "config.toml:3"),
        ("run", "proxy"): ("http://***@proxy.example:3128", "config.toml:4, environment PROXY_USER"),
        ("run", "ca_bundle"): ("built-in", "default"),
    } == listed(result)


@pytest.mark.parametrize("output", ["table", "json"])
def test_show_tells_no_secret_in_any_form(program: Program, output: str) -> None:
    """No secret, login value or proxy's password is in the output, plain or encoded; no command ran."""
    from balcli import secret

    result = shown(program, "-o", output)
    assert 0 == result.code
    for text in (SECRET, OTHER, "proxy-CANARY-user"):
        for form in secret.encodings(text):
            assert form not in result.out + result.err
    assert "CANARY" not in result.out + result.err
    assert not (program.folder / "ran").exists()
    assert not (ROOT / "ran").exists()


def test_show_as_a_table_has_a_line_for_each_setting(program: Program) -> None:
    """The table has accounts as headings, and key, value and source in columns."""
    lines = shown(program).out.splitlines()
    assert f"profile main: {program.file}" == lines[0]
    assert {"loopring (loopring)", "treasury (wallet)", "run"} <= set(lines)
    (key,) = [line for line in lines if "environment KEY" in line]
    assert ["api_key", "***", "environment", "KEY"] == key.split()
    assert len(lines) == len(set(lines[:1])) + 27 + 5 * 2


def test_settings_fold_to_the_terminal() -> None:
    """A row that is too wide has its source below its value; a value is broken at its blanks alone."""
    url = "https://core.example/a/long/path/to/the/api"
    rows = [
        Row("name", "shop", "config.toml:7"),
        Row("base_url", url, "default"),
        Row("assets", "A, B, " * 9, "x:1"),
    ]
    wide, narrow = (render_settings("profile main: f", [("shop", rows)], columns) for columns in (None, 48))
    assert narrow.splitlines() == [
        "profile main: f",
        "",
        "shop",
        "  name      shop  config.toml:7",
        f"  base_url  {url}",
        "              default",
        "  assets    A, B, A, B, A, B, A, B, A, B, A, B,",
        "            A, B, A, B, A, B,",
        "              x:1",
    ]
    assert 6 == len(wide.splitlines())


def test_show_hides_a_secret_that_stands_where_it_should_not(program: Program) -> None:
    """A key that was pasted into the account's name or URL, too, is not shown there."""
    text = (
        f'[profiles.main.loopring]\nname = "my {SECRET}"\nbase_url = "https://h.example/{SECRET}"\n'
        f'api_key = "{SECRET}"\naccount_id = 1\n'
    )
    for arguments in (["show"], ["show", "-o", "json"], ["check"]):
        result = program.with_profile(text, "config", *arguments)
        assert "CANARY" not in result.out + result.err


def test_show_never_tells_a_value_with_a_fault(program: Program) -> None:
    """A URL with a password in it is refused, told as null, and nowhere shown."""
    text = (
        f'[profiles.main]\nproxy = "ftp://u:{SECRET}@h"\n[profiles.main.loopring]\n'
        f'base_url = "https://u:{SECRET}@h"\napi_key = "${{NO_KEY}}"\naccount_id = -1\n'
    )
    result = program.with_profile(text, "config", "show", "-o", "json")
    settings = listed(result)
    assert 3 == result.code
    assert (None, "config.toml:4") == settings["loopring", "base_url"]
    assert (None, "config.toml:5, NO_KEY (not defined)") == settings["loopring", "api_key"]
    assert (None, "config.toml:6") == settings["loopring", "account_id"]
    assert (None, "config.toml:2") == settings["run", "proxy"]
    assert 4 == len(result.json["errors"]) == len(result.err.splitlines())
    assert "CANARY" not in result.out + result.err


def test_show_lists_the_accounts_of_variables(program: Program) -> None:
    """Accounts that variables make are shown with the variables' names, beside a profile and without one."""
    env = {"BALCLI_MERCHANT_TOKEN": SECRET, "BALCLI_MERCHANT_MERCHANT_ID": "7"}
    alone = program.run("config", "show", "-o", "json", env=env)
    text = f'[profiles.main.loopring]\napi_key = "{OTHER}"\naccount_id = 1\n'
    beside = program.with_profile(text, "config", "show", "-o", "json", env=env)
    assert (0, 0, None) == (alone.code, beside.code, alone.json["profile"])
    assert ["loopring", "merchant"] == [each["account"] for each in beside.json["accounts"]]
    for result in (alone, beside):
        settings = listed(result)
        assert ("***", "environment BALCLI_MERCHANT_TOKEN") == settings["merchant", "token"]
        assert (7, "environment BALCLI_MERCHANT_MERCHANT_ID") == settings["merchant", "merchant_id"]


def test_show_lists_the_accounts_of_an_env_file(program: Program) -> None:
    """Variables of the `.env` that make an account are told with their line."""
    private(program.folder / ".env", f"\nBALCLI_MERCHANT_TOKEN={SECRET}\n")
    text = f'[profiles.main.loopring]\napi_key = "{OTHER}"\naccount_id = 1\n'
    result = program.with_profile(text, "config", "show", "-o", "json")
    assert ("***", ".env:2 BALCLI_MERCHANT_TOKEN") == listed(result)["merchant", "token"]


@pytest.mark.parametrize("quiet", [False, True], ids=["told", "quiet"])
def test_show_says_which_variables_a_table_shadows(program: Program, quiet: bool) -> None:
    """A variable of a provider that has a table is told to have no effect, but with -q on stderr."""
    env = {"BALCLI_LOOPRING_API_KEY": SECRET}
    text = f'[profiles.main.loopring]\napi_key = "{OTHER}"\naccount_id = 1\n'
    result = program.with_profile(text, "config", "show", "-o", "json", *["-q"] * quiet, env=env)
    (warning,) = result.json["warnings"]
    assert (0, "variable.shadowed", None) == (result.code, warning["code"], warning["account"])
    assert "BALCLI_LOOPRING_API_KEY has no effect" in warning["message"]
    assert quiet != ("BALCLI_LOOPRING_API_KEY" in result.err)
    assert ("***", "config.toml:2") == listed(result)["loopring", "api_key"]


@each_case("name", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
def test_show_tells_the_environments_proxy_without_its_password(program: Program, name: str) -> None:
    """Where the profile has no proxy, the environment's is told, its user and password as ***."""
    text = f'[profiles.main.loopring]\napi_key = "{OTHER}"\naccount_id = 1\n'
    env = {name: f"http://user:{SECRET}@proxy.example:3128"}
    result = program.with_profile(text, "config", "show", "-o", "json", env=env)
    assert ("http://***@proxy.example:3128", f"environment {name}") == listed(result)["run", "proxy"]
    assert "CANARY" not in result.out + result.err


def test_show_of_an_unknown_profile_is_one_document(program: Program) -> None:
    """Where no profile can be chosen there is a document all the same, with the error; the table is empty."""
    text = "[profiles.one]\n[profiles.two]\n"
    result = program.with_profile(text, "config", "show", "-o", "json", "-p", "three")
    document = result.json
    assert (3, "three", [], []) == (
        result.code,
        document["profile"],
        document["accounts"],
        document["settings"],
    )
    assert ["config.profile"] == [error["code"] for error in document["errors"]]
    assert "" == program.with_profile(text, "config", "show").out


def test_show_lists_the_limits(program: Program) -> None:
    """Each limit stands with the source of each of its values, after the run's own settings; a fault has no value."""
    text = """\
[profiles.main.merchant]
token = "t"
[[profiles.main.limits]]
asset = "USDT"
crit = "${LEAST}:"
[[profiles.main.limits]]
asset = "BTC"
field = "total"
account = "merchant"
warn = "20:10"
crit = "5:"
"""
    result = program.with_profile(text, "config", "show", "-o", "json", env={"LEAST": "500"})
    assert (3, ["config.value"]) == (result.code, [error["code"] for error in result.json["errors"]])
    limits = [[tuple(each.values()) for each in limit["settings"]] for limit in result.json["limits"]]
    assert [
        [
            ("asset", "USDT", "config.toml:4"),
            ("field", "available", "default"),
            ("account", None, "default"),
            ("crit", "500:", "config.toml:5, environment LEAST"),
        ],
        [
            ("asset", "BTC", "config.toml:7"),
            ("field", "total", "config.toml:8"),
            ("account", "merchant", "config.toml:9"),
            ("warn", None, "config.toml:10"),
            ("crit", "5:", "config.toml:11"),
        ],
    ] == limits
    table = program.with_profile(text, "config", "show", env={"LEAST": "500"}).out
    assert ["limit 1", "limit 2"] == [line for line in table.splitlines() if line.startswith("limit ")]


def test_show_keeps_its_keys(program: Program) -> None:
    """The document's keys are what scripts rely on."""
    document = shown(program, "-o", "json").json
    assert [
        "schema_version",
        "profile",
        "file",
        "accounts",
        "settings",
        "limits",
        "warnings",
        "errors",
    ] == list(document)
    assert ["account", "provider", "settings"] == list(document["accounts"][0])
    assert ["key", "value", "source"] == list(document["settings"][0])


def test_lines_are_those_of_any_way_to_write_a_key() -> None:
    """Dotted keys, quoted ones, lists of tables in lists of tables and values over several lines are found."""
    text = """\
# a comment
top = 1
[a]
b.c = 1
"d e" = \'\'\'
text
\'\'\'
list = [
  { x = 1 },
  { x = 2 },
]
[[t]]
k = 1
[[t.u]]
k = 2
[[t.u]]
k = 3
[[t]]
[[t.u]]
k = 4
[t.v.w]
k = 5
"""
    expected = {
        ("top",): 2,
        ("a", "b", "c"): 4,
        ("a", "d e"): 5,
        ("a", "list", 1, "x"): 10,
        ("t", 0, "k"): 13,
        ("t", 0, "u", 0, "k"): 15,
        ("t", 0, "u", 1, "k"): 17,
        ("t", 1, "u", 0, "k"): 20,
        ("t", 1, "v", "w", "k"): 22,
    }
    found = line_numbers(text)
    assert expected == {path: found.get(path) for path in expected}
    assert expected == {path: line_numbers(text.replace("\n", "\r\n")).get(path) for path in expected}


def test_lines_behind_a_very_long_statement_are_known() -> None:
    """A text over thousands of lines does not cost minutes, and hides no line behind it."""
    text = 'a = 1\nb = """\n' + "x\n" * 5000 + '"""\nc = 2\n'
    assert {("a",): 1, ("b",): 2, ("c",): 5004} == line_numbers(text)


# check

FAULTS = f"""\
default_profile = "elsewhere"
colour = "red"

[profiles.main]
timeout = "fast"
retries = -1
jobs = 0
ca_bundle = "no-such.pem"
proxy = "ftp://u:{SECRET}@h"
nonsense = 1

[profiles.main.loopring]
base_url = "http://relayer.example"
api_key = "${{NO_KEY}}"
account_id = "eleven"
adress = "0x"

[[profiles.main.wallet]]
name = "one"
base_url = "https://${{NO_HOST}}/${{NO_PATH}}"
wallet_id = 7
access_token_command = ["no-such-program-here", "{SECRET}"]

[[profiles.main.wallet]]
name = "one"
base_url = "https://u:{SECRET}@core.example"
wallet_id = "w-2"
login = {{ merchant_id = "${{NO_ID}}", email = "${{NO_MAIL}}", at = 1.5 }}

[[profiles.main.wallet]]
base_url = "https://core.example"
api_key_file = "no-such-file"

[[profiles.main.wallet]]
name = "same"
base_url = "https://core.example"
wallet_id = "w-9"
api_key = "${{NO_KEY}}"

[[profiles.main.wallet]]
name = "same again"
base_url = "https://core.example/"
wallet_id = "w-9"
api_key_command = "pass show it"

[profiles.main.merchant]
merchant_id = -1
limits = 1

[[profiles.main.limits]]
asset = "USDT"
account = "nobody"
field = "hold"
crit = 500

[[profiles.main.limits]]
feld = "total"

[profiles.spare.merchant]
token = "a\\nb"
api_secret = "{SECRET}"
"""
FOUND = [
    ("config.key", '2: unknown key "colour"; known keys: default_profile, profiles'),
    ("config.profile", "1: default_profile names profile elsewhere, which does not exist"),
    ("config.key", '10: unknown key "nonsense" in profile "main"; known keys'),
    ("config.key", '16: unknown key "adress" in loopring; did you mean "address"?'),
    ("config.key", "30: name in wallet 3 is missing"),
    ("config.key", '48: unknown key "limits" in merchant'),
    ("config.account", '25: name in wallet "one" is also the name of wallet 1'),
    ("config.value", "53: field in limit 1 must be available, total or locked"),
    ("config.value", "54: crit in limit 1 must be a string"),
    ("config.key", '57: unknown key "feld" in limit 2; did you mean "field"?'),
    ("config.key", "56: asset in limit 2 is missing"),
    ("config.value", '5: timeout in profile "main" is not a duration; use a number'),
    ("config.value", '6: retries in profile "main" must be a whole number'),
    ("config.value", '7: jobs in profile "main" must be a whole number'),
    ("config.value", '9: proxy in profile "main" is not a supported proxy'),
    ("config.value", '8: ca_bundle in profile "main": '),
    ("config.variable", "14: api_key in loopring needs ${NO_KEY}, which is not set; set NO_KEY"),
    ("config.value", "15: account_id in loopring must be a whole number"),
    ("config.value", "13: base_url in loopring is plain HTTP"),
    (
        "config.variable",
        '20: base_url in wallet "one" needs ${NO_HOST}, ${NO_PATH}, which are not set; set NO_HOST, NO_PATH',
    ),
    ("config.secret", '22: access_token_command in wallet "one": no-such-program-here not found'),
    ("config.value", '21: wallet_id in wallet "one" must be a string'),
    ("config.variable", '28: login.merchant_id in wallet "one" needs ${NO_ID}'),
    ("config.variable", '28: login.email in wallet "one" needs ${NO_MAIL}'),
    ("config.value", '28: login.at in wallet "one" must be a string'),
    ("config.value", '26: base_url in wallet "one" contains a user name'),
    ("config.secret", "32: api_key_file in wallet 3: "),
    ("config.key", "30: wallet_id in wallet 3 is missing"),
    ("config.variable", '38: api_key in wallet "same" needs ${NO_KEY}'),
    ("config.value", '44: api_key_command in wallet "same again" must be a list of strings'),
    ("config.key", "46: token in merchant is missing"),
    ("config.key", "47: merchant_id in merchant must not be negative"),
    ("config.account", '40: wallet "same again" is the same account as wallet "same"'),
    ("config.secret", "60: token in merchant contains a control character"),
    ("config.key", "61: api_secret in merchant cannot be combined with token"),
]


def test_check_finds_everything_at_once(program: Program) -> None:
    """Each fault of each profile is one problem, with its code, and none is told twice or made up."""
    result = program.with_profile(FAULTS, "config", "check", "-o", "json")
    problems = [(problem["code"], problem["message"]) for problem in result.json["problems"]]
    assert (3, False) == (result.code, result.json["ok"])
    missing = [(code, part) for code, part in FOUND if not any(c == code and part in m for c, m in problems)]
    extra = [
        (code, message)
        for code, message in problems
        if not any(c == code and part in message for c, part in FOUND)
    ]
    assert ([], []) == (missing, extra)
    assert len(FOUND) == len(problems)
    assert "CANARY" not in result.out + result.err


def test_check_tells_a_line_for_each_problem_on_stderr(program: Program) -> None:
    """One line a problem is on stderr; stdout has a result for each profile."""
    result = program.with_profile(FAULTS, "config", "check")
    lines = result.err.splitlines()
    assert len(FOUND) == len(lines)
    assert all(line.startswith("balcli: ") and len(line) <= 300 for line in lines)
    assert ["not ok  file", "not ok  profile main", "not ok  profile spare"] == [
        line.split(":")[0] for line in result.out.splitlines()
    ]


def test_a_run_says_all_that_the_check_says(program: Program) -> None:
    """A run of all accounts ends with every problem of its profile: a line for each, and one in the document."""
    run = program.with_profile(FAULTS, "all", "-o", "json", "-p", "main")
    checked = program.with_profile(FAULTS, "config", "check", "-o", "json", "-p", "main")
    assert (3, run.json["errors"]) == (run.code, checked.json["problems"])
    assert len(FOUND) - 2 == len(run.json["errors"]) == len(run.err.splitlines())


def test_check_of_one_profile_leaves_the_others(program: Program) -> None:
    """With -p the faults of another profile's tables are not looked for."""
    text = '[profiles.good.loopring]\nbase_url = "https://relayer.example"\napi_key = "key-of-some-length"\naccount_id = 1\n[profiles.bad.loopring]\nnonsense = 1\n'
    good = program.with_profile(text, "config", "check", "-p", "good")
    both = program.with_profile(text, "config", "check")
    assert (0, "ok      profile good: loopring\n", "") == (good.code, good.out, good.err)
    assert (3, ["ok      profile good: loopring", "not ok  profile bad: 3 problems"]) == (
        both.code,
        both.out.splitlines(),
    )


def test_check_runs_no_command(program: Program) -> None:
    """A secret's command is looked up, and not run."""
    text = (
        f'[profiles.main.loopring]\napi_key_command = ["touch", "{program.folder / "ran"}"]\naccount_id = 1\n'
    )
    result = program.with_profile(text, "config", "check", "-o", "json")
    assert (0, True, []) == (result.code, result.json["ok"], result.json["problems"])
    assert not (program.folder / "ran").exists()


def test_check_judges_every_file(program: Program) -> None:
    """The modes of the profile, its `.env` and a secret's file, and each bad line of the `.env`, are problems."""
    file = program.write(
        f'[profiles.main]\n[profiles.main.loopring]\napi_key = "{SECRET}"\naccount_id = 1\n'
        '[profiles.main.merchant]\ntoken_file = "token.txt"\n'
    )
    file.chmod(0o646)
    private(program.folder / ".env", "GOOD=1\nbad line\nOTHER=2\n= bad\n").chmod(0o604)
    private(program.folder / "token.txt", SECRET).chmod(0o620)
    result = program.run("config", "check", "-o", "json", "-c", str(file))
    table = program.run("config", "check", "-c", str(file))
    messages = [problem["message"] for problem in result.json["problems"]]
    parts = [
        ".env may contain secrets and is readable by everyone; chmod 600",
        ".env:2: expected NAME=value",
        ".env:4: expected NAME=value",
        "config.toml can be written by others; chmod 600",
        "config.toml contains a secret and is readable by everyone; chmod 600",
        "token_file in merchant: ",
    ]
    assert 3 == result.code
    assert len(parts) == len(messages)
    assert all(part in message for part, message in zip(parts, messages, strict=True))
    assert ["not ok  file: 5 problems", "not ok  profile main: 1 problem"] == table.out.splitlines()


@each_case(
    ("text", "code"),
    [
        pytest.param(None, "config.file", id="missing"),
        pytest.param("[", "config.syntax", id="syntax"),
        pytest.param("", "config.profile", id="empty"),
        pytest.param("profiles = 1", "config.value", id="no table"),
        pytest.param("[profiles]\nmain = 1", "config.value", id="no profile's table"),
        pytest.param("[profiles.main]", "config.account", id="no accounts"),
    ],
)
def test_check_of_what_is_no_profile_is_one_problem(program: Program, text: str | None, code: str) -> None:
    """A file that cannot be gone through has one problem, and a document all the same."""
    if text is not None:
        program.write(text)
    result = program.run("config", "check", "-o", "json", "-c", str(program.file))
    assert (3, False, str(program.file), [code]) == (
        result.code,
        result.json["ok"],
        result.json["file"],
        [problem["code"] for problem in result.json["problems"]],
    )
    assert ["schema_version", "file", "ok", "problems", "warnings"] == list(result.json)
    assert 1 == len(result.err.splitlines())
    table = program.run("config", "check", "-c", str(program.file))
    about = "profile main" if text == "[profiles.main]" else "file"
    assert f"not ok  {about}: 1 problem\n" == table.out


def test_check_without_a_file_looks_at_the_variables(program: Program) -> None:
    """The accounts that variables make are checked where there is no file."""
    good = program.run("config", "check", env={"BALCLI_MERCHANT_TOKEN": SECRET})
    bad = {"BALCLI_MERCHANT_TOKEN": SECRET, "BALCLI_MERCHANT_NONSENSE": "1", "BALCLI_MERCHANT_ODD": "1"}
    result = program.run("config", "check", "-o", "json", env=bad)
    assert (0, "ok      the environment's accounts: merchant\n") == (good.code, good.out)
    assert (3, ["config.key", "config.key"]) == (
        result.code,
        [problem["code"] for problem in result.json["problems"]],
    )


def test_check_of_the_example_file_lacks_variables_alone(program: Program) -> None:
    """config.example.toml is a profile in which nothing but its variables is missing."""
    result = program.with_profile((ROOT / "config.example.toml").read_text(), "config", "check", "-o", "json")
    assert {"config.variable"} == {problem["code"] for problem in result.json["problems"]}


def test_quiet_check_says_nothing_beside_its_result(program: Program) -> None:
    """With -q and all well, stderr is empty even where a `.env` has ignored names; problems are told."""
    private(program.folder / ".env", "LD_PRELOAD=x\n")
    good = '[profiles.main.loopring]\napi_key = "k-1"\naccount_id = 1\n'
    loud = program.with_profile(good, "config", "check")
    quiet = program.with_profile(good, "config", "check", "-q")
    bad = program.with_profile(good + "nonsense = 1\n", "config", "check", "-q")
    assert ("LD_PRELOAD" in loud.err, "", 1) == (True, quiet.err, len(bad.err.splitlines()))


@each_case("variable", ["json", "table", "prometheus"])
def test_output_of_the_environment_counts_where_it_is_known(program: Program, variable: str) -> None:
    """BALCLI_OUTPUT chooses the document; a format that only balances have is no trouble here."""
    text = '[profiles.main.loopring]\napi_key = "k-1"\naccount_id = 1\n'
    result = program.with_profile(text, "config", "check", env={"BALCLI_OUTPUT": variable})
    assert 0 == result.code
    assert (variable == "json") == result.out.startswith("{")


def test_documents_are_ascii(program: Program) -> None:
    """The documents are pure ASCII, whatever the names."""
    text = '[profiles.main.loopring]\nname = "k\u00e9y \u202e"\napi_key = "k-1"\naccount_id = 1\n'
    result = program.with_profile(text.replace("\u202e", ""), "config", "show", "-o", "json")
    assert result.out.isascii()
    assert "k\u00e9y " == json.loads(result.out)["accounts"][0]["account"]
