"""What `${NAME}`, a `.env` file and `BALCLI_…` variables mean to a profile, and what they cannot do."""

import json
import os
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from balcli.config.entry import Entry
from balcli.config.profile import Profile, load, open_accounts
from balcli.config.sources import SecretSources, Variables
from balcli.http.timing import Deadline
from balcli.models import Account
from balcli.sandbox import Sandbox
from balcli.sandbox.wallet import TREASURY
from balcli.secret import reveal
from tests.conftest import Program
from tests.lists import each_case
from tests.profiles import codes, names, private

KEY = "sandbox-loopring-key"
BALANCES = "/loopring/api/v3/user/balances"

PROFILE = (
    '[profiles.main.loopring]\nbase_url = "{url}/loopring"\napi_key = "{key}"\naccount_id = {account_id}\n'
)
NOWHERE = "http://127.0.0.1:9"


def profile_text(url: str = NOWHERE, key: str = "${KEY}", account_id: str = "11329") -> str:
    """A profile with one account, its key a variable's."""
    return PROFILE.format(url=url, key=key, account_id=account_id)


def read(
    folder: Path,
    text: str,
    environ: Mapping[str, str] | None = None,
    env_file: Path | None = None,
) -> Profile:
    """The profile in a file of that folder."""
    file = private(folder / "config.toml", text)
    return load(file, must_exist=True, name=None, env_file=env_file, environ=environ or {})


def accounts_of(profile: Profile) -> tuple[Account[Any], ...]:
    """The profile's accounts, with their variables filled in."""
    found = open_accounts(profile, SecretSources(Deadline(10)))
    return tuple(each.account for each in found if each.account is not None)


def key_of(profile: Profile) -> str:
    """The key with which the profile's only account would be asked for."""
    (account,) = accounts_of(profile)
    return reveal(account.settings.api_key)


def keys_sent(sandbox: Sandbox) -> list[str]:
    """The keys with which balances were asked for."""
    return [request.headers["x-api-key"] for request in sandbox.log if request.path == BALANCES]


# ${NAME}


@each_case(
    ("text", "expected"),
    [
        pytest.param("${A}", "one", id="alone"),
        pytest.param("<${A}|${B}>", "<one|two>", id="inside a text"),
        pytest.param("${A}${A}${B}", "oneonetwo", id="side by side"),
        pytest.param("${_x9}", "three", id="underscore and digit"),
        pytest.param("${a}", "lower", id="lower case"),
        pytest.param("$${A}", "${A}", id="literal"),
        pytest.param("$${", "${", id="literal start"),
        pytest.param("$${A}${A}", "${A}one", id="literal beside a variable"),
        pytest.param("$$${A}", "$${A}", id="three dollars"),
        pytest.param("$$$${A}", "$$${A}", id="four dollars"),
        pytest.param("$A$B", "$A$B", id="no braces"),
        pytest.param("$", "$", id="dollar"),
        pytest.param("a$", "a$", id="dollar at the end"),
        pytest.param("$$", "$$", id="two dollars"),
        pytest.param("$1.50 {A} }", "$1.50 {A} }", id="dollar and braces apart"),
        pytest.param("%A% `A` $(A)", "%A% `A` $(A)", id="other languages"),
        pytest.param("~/A", "~/A", id="home"),
    ],
)
def test_variable_is_filled_in_and_any_other_dollar_stays(tmp_path: Path, text: str, expected: str) -> None:
    """`${NAME}` becomes its value, `$${` is a literal `${`, and nothing else has a meaning."""
    environ = {"A": "one", "B": "two", "_x9": "three", "a": "lower"}
    assert expected == key_of(read(tmp_path, profile_text(key=text), environ))


@given(st.text(alphabet=st.sampled_from("${}AZ_09 é"), max_size=40) | st.text(max_size=40))
@example("$${")
@example("$$${A}${")
def test_any_text_can_be_written_with_the_literal(text: str) -> None:
    """Every text stands for itself once each `${` in it is written `$${`."""
    assert text == Variables({}).expand(text.replace("${", "$${"))


@given(st.text(max_size=40), st.text(alphabet="${}AB", max_size=20))
@example("${A}", "${B}")
@example("$", "{A}")
def test_values_are_taken_as_they_are(first: str, second: str) -> None:
    """The value of a variable is not read again, whatever it holds or stands beside."""
    variables = Variables({"A": first, "B": second})
    assert f"{first}{second}" == variables.expand("${A}${B}")


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("environment", "key${B}"),
        ("environment", "$${B}"),
        ("environment", "a${no name}"),
        (".env", "${B}:"),
        (".env", "$${B}$B${"),
    ],
)
def test_value_with_a_dollar_reaches_the_provider_unchanged(
    program: Program, sandbox: Sandbox, source: str, value: str
) -> None:
    """A key that happens to look like a variable is sent as it is, from either source."""
    private(program.folder / ".env", f"B=other\n{f'KEY={value}' if source == '.env' else ''}\n")
    env = {"KEY": value} if source == "environment" else {}
    program.with_profile(profile_text(sandbox.url), "loopring", env=env)
    assert [value] == keys_sent(sandbox)


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        pytest.param("account_id", "${X}", {"account_id": "11329"}, id="whole number"),
        pytest.param("address", "0x${X}" + "0" * 35, {"address": "0x11329" + "0" * 35}, id="text"),
    ],
)
def test_target_may_come_from_a_variable(
    tmp_path: Path, key: str, value: str, expected: dict[str, str]
) -> None:
    """A variable can stand where a number or a text is meant."""
    text = f'[profiles.main.loopring]\nbase_url = "{NOWHERE}"\napi_key = "k-1"\n{key} = "{value}"\n'
    (account,) = accounts_of(read(tmp_path, text, {"X": "11329"}))
    assert expected == account.target


def test_variables_are_filled_in_wherever_a_text_stands(tmp_path: Path) -> None:
    """Names, URLs, lists and a login's texts take variables, at any depth of the login."""
    text = (
        '[profiles.main.wallet]\nname = "${A}"\nbase_url = "https://${A}.example"\nwallet_id = "w-${A}"\n'
        'assets = ["${A}", "BTC"]\n'
        'login = { merchant_id = "m-${A}", password = "p-${A}", more = { texts = ["t-${A}"], number = 1 } }\n'
    )
    (account,) = accounts_of(read(tmp_path, text, {"A": "x"}))
    login = json.loads(json.dumps(account.settings.login, default=reveal))
    expected = (
        "x",
        "https://x.example",
        "w-x",
        ("x", "BTC"),
        {"merchant_id": "m-x", "password": "p-x", "more": {"texts": ["t-x"], "number": 1}},
    )
    assert expected == (
        account.name,
        account.base_url,
        account.settings.wallet_id,
        account.assets,
        login,
    )


# .env


@pytest.mark.parametrize(
    ("environ", "beside", "named", "expected"),
    [
        pytest.param("from the environment", None, None, "from the environment", id="environment"),
        pytest.param(None, "from beside", None, "from beside", id="beside the profile"),
        pytest.param(None, None, "from named", "from named", id="named"),
        pytest.param(
            "from the environment", "from beside", None, "from the environment", id="environment over beside"
        ),
        pytest.param(
            "from the environment", None, "from named", "from the environment", id="environment over named"
        ),
        pytest.param(None, "from beside", "from named", "from named", id="named over beside"),
    ],
)
def test_variable_comes_from_the_first_source_that_has_it(
    program: Program,
    sandbox: Sandbox,
    environ: str | None,
    beside: str | None,
    named: str | None,
    expected: str,
) -> None:
    """The environment is asked first, then the file of --env-file or else the `.env` beside the profile."""
    if beside is not None:
        private(program.folder / ".env", f"KEY={beside}\n")
    arguments = []
    if named is not None:
        file = private(program.folder / "elsewhere/secrets.env", f"KEY={named}\n")
        arguments = ["--env-file", str(file)]
    env = {"KEY": environ} if environ is not None else {}
    program.with_profile(profile_text(sandbox.url), "loopring", *arguments, env=env)
    assert [expected] == keys_sent(sandbox)


def test_named_env_file_stands_in_for_the_one_beside(program: Program) -> None:
    """With --env-file, what only the `.env` beside the profile has is not defined."""
    private(program.folder / ".env", "KEY=value\n")
    other = private(program.folder / "other.env", "OTHER=value\n")
    result = program.with_profile(profile_text(), "all", "-o", "json", "--env-file", str(other))
    expected = (3, ["config.variable"])
    assert expected == (result.code, codes(result))
    assert "KEY" in result.err


@each_case("variable", ["KEY=value", f"BALCLI_LOOPRING_API_KEY={KEY}"], ids=["any", "setting"])
@each_case("place", ["working directory", "its parent", "profile's parent", "home"])
def test_env_file_anywhere_else_is_not_read(program: Program, place: str, variable: str) -> None:
    """No `.env` of the working directory, of a parent or of the home is ever looked for."""
    home = program.folder
    work = home / "a/work"
    work.mkdir(parents=True)
    folder = {
        "working directory": work,
        "its parent": home / "a",
        "profile's parent": home / "profiles",
        "home": home,
    }[place]
    private(folder / ".env", f"{variable}\nBALCLI_LOOPRING_ACCOUNT_ID=11329\n")
    text = profile_text() if variable.startswith("KEY") else "[profiles.main]\n"
    file = private(home / "profiles/mine/config.toml", text)
    result = program.run("all", "-o", "json", "-c", str(file), cwd=work)
    expected = "config.variable" if variable.startswith("KEY") else "config.account"
    assert (3, [expected]) == (result.code, codes(result))


@pytest.mark.parametrize("place", ["working directory", "home"])
def test_env_file_is_not_read_without_a_profile(program: Program, tmp_path: Path, place: str) -> None:
    """Where there is no profile file, no `.env` beside anything takes its place."""
    work = tmp_path / "work"
    work.mkdir()
    private(
        (work if place == "working directory" else tmp_path) / ".env",
        f"BALCLI_LOOPRING_API_KEY={KEY}\nBALCLI_LOOPRING_ACCOUNT_ID=11329\n",
    )
    result = program.run("all", "-o", "json", cwd=work)
    expected = (3, ["config.file"])
    assert expected == (result.code, codes(result))


@each_case(
    ("content", "expected"),
    [
        pytest.param("KEY=abc\n", "abc", id="plain"),
        pytest.param("KEY=abc", "abc", id="no final newline"),
        pytest.param("KEY=abc\r\n", "abc", id="CRLF"),
        pytest.param("\n\n# a comment\n  KEY=abc\n", "abc", id="blank lines and comments"),
        pytest.param("\ufeffKEY=abc\n", "abc", id="byte-order mark"),
        pytest.param("export KEY=abc\n", "abc", id="export"),
        pytest.param("KEY = abc\n", "abc", id="blanks around the sign"),
        pytest.param("KEY=abc # a comment\n", "abc", id="comment after a value"),
        pytest.param("KEY=abc#def\n", "abc#def", id="number sign inside"),
        pytest.param("KEY='abc # def' # a comment\n", "abc # def", id="single quotes"),
        pytest.param('KEY="abc # def"\n', "abc # def", id="double quotes"),
        pytest.param(r'KEY="a\"b\\c"' + "\n", 'a"b\\c', id="escapes in double quotes"),
        pytest.param(r"KEY='a\tb'" + "\n", r"a\tb", id="no escapes in single quotes"),
        pytest.param("KEY=a=b=c==\n", "a=b=c==", id="equals signs"),
        pytest.param("KEY=first\nKEY=last\n", "last", id="twice"),
        pytest.param("HOME=x\nKEY=$HOME/${HOME}\n", "$HOME/${HOME}", id="nothing is expanded"),
        pytest.param('A=x\nKEY="${A}b"\n', "${A}b", id="nothing is expanded in quotes"),
        pytest.param("KEY=`id`$(id)\n", "`id`$(id)", id="nothing is run"),
        pytest.param("KEY=ключ\nKEY=clé\n", "clé", id="UTF-8"),
    ],
)
def test_env_file_is_read_as_users_know_it(tmp_path: Path, content: str, expected: str) -> None:
    """Quotes, comments and `export` mean in a `.env` what python-dotenv makes of them; nothing is expanded."""
    private(tmp_path / ".env", content)
    assert expected == key_of(read(tmp_path, profile_text()))


IGNORED = [
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "https_proxy",
    "All_Proxy",
    "no_proxy",
    "socks_proxy",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "SSLKEYLOGFILE",
    "LD_PRELOAD",
    "LD_LIBRARY_PATH",
    "LD_AUDIT",
    "DYLD_INSERT_LIBRARIES",
    "PYTHONPATH",
    "PYTHONSTARTUP",
    "NETRC",
]


@each_case("name", IGNORED)
def test_name_that_could_turn_the_program_is_ignored_with_a_warning(tmp_path: Path, name: str) -> None:
    """A proxy, a CA or a loader's variable in a `.env` is not defined there, and a warning names it and the file."""
    private(tmp_path / ".env", f"KEY=kept\n{name}=s3cr3t-CANARY-value\nexport OTHER=kept\n")
    profile = read(tmp_path, profile_text())
    (notice,) = profile.variables.notices
    expected = ("kept", None)
    assert expected == (key_of(profile), notice.account)
    assert f"/.env:2: {name} " in notice.message
    assert "CANARY" not in notice.message
    assert {"KEY", "OTHER"} == set(profile.variables.from_file)


@each_case("name", ["PROXY", "MY_PROXY_KEY", "OLD_PRELOAD", "CA_BUNDLE", "SSLX", "MYPYTHON"])
def test_name_that_only_looks_alike_is_a_variable(tmp_path: Path, name: str) -> None:
    """A name that is none of the ignored ones serves as any other."""
    private(tmp_path / ".env", f"{name}=value\n")
    profile = read(tmp_path, profile_text(key=f"${{{name}}}"))
    expected = ("value", ())
    assert expected == (key_of(profile), profile.variables.notices)


def test_name_that_stands_twice_counts_as_it_stands_last(tmp_path: Path) -> None:
    """Of two values of a name the later counts, as in a shell, and a warning names both lines."""
    private(tmp_path / ".env", "KEY=old\n\nKEY=new\n")
    profile = read(tmp_path, profile_text())
    (notice,) = profile.variables.notices
    assert ("new", "env_file.doubled") == (key_of(profile), notice.code)
    assert notice.message.endswith(".env:3: KEY replaces line 1; remove one of the two")


@pytest.mark.parametrize("quiet", [False, True], ids=["told", "quiet"])
def test_warnings_of_ignored_names_are_on_stderr_and_in_the_document(
    program: Program, sandbox: Sandbox, quiet: bool
) -> None:
    """Each ignored name is told once on stderr, but with -q, and always in the document; the run goes on."""
    private(program.folder / ".env", f"LD_PRELOAD=s3cr3t-CANARY-value\nKEY={KEY}\nhttps_proxy=x\n")
    result = program.with_profile(profile_text(sandbox.url), "all", "-o", "json", *["-q"] * quiet)
    warnings = result.json["warnings"]
    expected = (0, ["loopring"], 2)
    assert expected == (result.code, names(result), len(warnings))
    for name, warning in zip(("LD_PRELOAD", "https_proxy"), warnings, strict=True):
        assert name in warning["message"]
        assert ".env" in warning["message"]
    told = [name for line in result.err.splitlines() for name in IGNORED if f" {name} " in line]
    assert told == ([] if quiet else ["LD_PRELOAD", "https_proxy"])
    assert "CANARY" not in result.out + result.err


@pytest.mark.parametrize("environ", [{}, {"HTTPS_PROXY": "${other}"}], ids=["undefined", "environment's"])
def test_ignored_name_has_no_value(tmp_path: Path, environ: dict[str, str]) -> None:
    """`${NAME}` of an ignored name is what the environment says it is, whatever the `.env` says."""
    private(tmp_path / ".env", "HTTPS_PROXY=from-the-file\n")
    profile = read(tmp_path, profile_text(key="k-${HTTPS_PROXY}"), {"HTTPS_PROXY": "real", **environ})
    assert f"k-{environ.get('HTTPS_PROXY', 'real')}" == key_of(profile)


def test_ignored_name_is_undefined(program: Program) -> None:
    """A profile that asks for an ignored name of its `.env` is refused like for any undefined one."""
    private(program.folder / ".env", "HTTPS_PROXY=s3cr3t-CANARY-value\n")
    result = program.with_profile(profile_text(key="${HTTPS_PROXY}"), "all", "-o", "json")
    expected = (3, ["config.variable"])
    assert expected == (result.code, codes(result))
    assert "CANARY" not in result.out + result.err


@pytest.fixture
def proxy() -> Iterator[socket.socket]:
    """A listening port that whoever takes it for a proxy connects to."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0)
        yield server


def contacted(server: socket.socket) -> bool:
    """Whether anybody has connected."""
    try:
        server.accept()[0].close()
    except BlockingIOError:
        return False
    return True


@pytest.mark.parametrize(
    ("name", "source", "expected"),
    [
        ("HTTPS_PROXY", "environment", True),
        ("HTTPS_PROXY", "beside", False),
        ("https_proxy", "beside", False),
        ("ALL_PROXY", "beside", False),
        ("HTTPS_PROXY", "named", False),
    ],
)
def test_proxy_of_an_env_file_is_not_contacted(
    program: Program, proxy: socket.socket, name: str, source: str, expected: bool
) -> None:
    """A proxy counts from the real environment, and never from a `.env`."""
    value = f"http://127.0.0.1:{proxy.getsockname()[1]}"
    arguments = ["--timeout", "0.3", "--retries", "0"]
    if source == "beside":
        private(program.folder / ".env", f"{name}={value}\n")
    if source == "named":
        arguments += [
            "--env-file",
            str(private(program.folder / "a/named.env", f"export {name}='{value}'\n")),
        ]
    # An address of the range for documentation: nothing answers there.
    text = profile_text("https://192.0.2.1", key="k-1")
    result = program.with_profile(
        text, "all", *arguments, env={name: value} if source == "environment" else {}
    )
    assert (5, expected) == (result.code, contacted(proxy))


WITNESS = """
import atexit, json, os, pathlib
atexit.register(lambda: pathlib.Path({!r}).write_text(json.dumps(dict(os.environ))))
"""


def test_nothing_of_an_env_file_enters_the_process(
    program: Program, sandbox: Sandbox, tmp_path: Path
) -> None:
    """At the end of a run the process's environment holds nothing that the `.env` defined."""
    seen = tmp_path / "seen.json"
    private(tmp_path / "witness/sitecustomize.py", WITNESS.format(str(seen)))
    private(
        program.folder / ".env",
        f"KEY={KEY}\nLD_PRELOAD=/nonexistent.so\nHTTPS_PROXY=http://127.0.0.1:9\nFROM_ENV_FILE=1\n",
    )
    env = {"PYTHONPATH": str(tmp_path / "witness"), "FROM_ENVIRONMENT": "1"}
    result = program.with_profile(profile_text(sandbox.url), "all", "-o", "json", env=env)
    environ = json.loads(seen.read_text())
    expected = (0, "1")
    assert expected == (result.code, environ["FROM_ENVIRONMENT"])
    assert set() == {"KEY", "LD_PRELOAD", "HTTPS_PROXY", "FROM_ENV_FILE"} & set(environ)


def test_reading_an_env_file_leaves_the_environment_as_it_is(tmp_path: Path) -> None:
    """Loading a profile with a `.env` changes no variable of the process."""
    before = dict(os.environ)
    private(tmp_path / ".env", "KEY=value\nLD_PRELOAD=/nonexistent.so\nHOME=/nowhere\nPATH=/nowhere\n")
    profile = read(tmp_path, profile_text(), os.environ)
    assert ("value", before) == (key_of(profile), dict(os.environ))


# BALCLI_<PROVIDER>_<KEY>


def settings(provider: str, url: str) -> dict[str, str]:
    """Variables that describe a whole account of the sandbox."""
    prefix = f"BALCLI_{provider.upper()}_"
    values = {
        "loopring": {"API_KEY": KEY, "ACCOUNT_ID": "11329"},
        "wallet": {"API_KEY": "sandbox-wallet-key", "WALLET_ID": TREASURY},
        "merchant": {"API_KEY": "sandbox-merchant-key", "API_SECRET": "sandbox-merchant-secret"},
    }[provider]
    return {f"{prefix}{key}": value for key, value in ({"BASE_URL": f"{url}/{provider}"} | values).items()}


TARGETS = {
    "loopring": {"account_id": "11329"},
    "wallet": {"wallet_id": TREASURY},
    "merchant": {"merchant_id": "0"},
}


@pytest.mark.parametrize("command", ["all", "provider"])
@pytest.mark.parametrize("provider", TARGETS)
def test_variables_make_an_account_without_a_file(
    program: Program, sandbox: Sandbox, provider: str, command: str
) -> None:
    """Where there is no file, the variables of a provider are an account of its name, in no profile."""
    arguments = [provider if command == "provider" else command, "-o", "json"]
    result = program.run(*arguments, env=settings(provider, sandbox.url))
    (account,) = result.json["accounts"]
    expected = (0, None)
    assert expected == (result.code, result.json["profile"])
    assert (provider, "ok", TARGETS[provider]) == (account["account"], account["status"], account["target"])


def test_variables_make_accounts_of_several_providers(program: Program, sandbox: Sandbox) -> None:
    """Each provider that has variables is an account of the run, by its own name if it has one."""
    env: dict[str, str] = {"BALCLI_WALLET_NAME": "treasury"}
    for provider in TARGETS:
        env |= settings(provider, sandbox.url)
    result = program.run("all", "-o", "json", env=env)
    assert (0, {"loopring", "treasury", "merchant"}) == (result.code, set(names(result)))


def test_variables_take_a_list_with_commas(program: Program, sandbox: Sandbox) -> None:
    """A list is given as one variable, its items apart by commas."""
    env = settings("wallet", sandbox.url) | {"BALCLI_WALLET_ASSETS": "BTC, XRP"}
    result = program.run("wallet", "-o", "json", env=env)
    expected = ["BTC", "XRP"]
    assert expected == [balance["asset"] for balance in result.json["balances"]]


def test_setting_of_a_variable_is_taken_as_it_is(program: Program, sandbox: Sandbox) -> None:
    """The value of a setting's variable is not expanded."""
    env = settings("loopring", sandbox.url) | {"BALCLI_LOOPRING_API_KEY": "${KEY}!", "KEY": KEY}
    result = program.run("all", env=env)
    expected = (4, ["${KEY}!"])
    assert expected == (result.code, keys_sent(sandbox))


def test_variables_add_the_provider_that_a_profile_lacks(program: Program, sandbox: Sandbox) -> None:
    """Beside a profile without a table for it, a provider's variables are one more account."""
    text = profile_text(sandbox.url, key=KEY)
    result = program.with_profile(text, "all", "-o", "json", env=settings("merchant", sandbox.url))
    expected = (0, "main", ["loopring", "merchant"])
    assert expected == (result.code, result.json["profile"], names(result))


def test_variables_of_a_plug_in_are_named_as_a_shell_can_set_them() -> None:
    """A dash in a provider's name is an underscore in its variables', also where a message names them."""
    variables = Variables({"BALCLI_MY_BANK_API_KEY": KEY})
    settings = variables.settings("my-bank")
    entry = Entry("my-bank", "my-bank", settings, variables, Path())
    assert [f"environment: BALCLI_MY_BANK_{name} is bad" for name in ("API_KEY", "USER")] == [
        entry.located((key,), "is bad") for key in (*settings, "user")
    ]


@each_case(
    "variables",
    [
        pytest.param({"BALCLI_LOOPRING_API_KEY": "other"}, id="key"),
        pytest.param({"BALCLI_LOOPRING_ACCOUNT_ID": "1"}, id="target"),
        pytest.param({"BALCLI_LOOPRING_NAME": "other"}, id="name"),
        pytest.param({"BALCLI_LOOPRING_ASSETS": "ETH"}, id="key that the table lacks"),
        pytest.param({"BALCLI_LOOPRING_ADDRESS": "0x" + "0" * 40}, id="other target"),
        pytest.param({"BALCLI_LOOPRING_NO_SUCH_KEY": "x"}, id="unknown key"),
    ],
)
def test_table_of_the_profile_wins_as_a_whole(tmp_path: Path, variables: dict[str, str]) -> None:
    """A provider with a table in the profile takes no setting from variables, not even one that it lacks."""
    alone, beside = (
        accounts_of(read(tmp_path, profile_text(key=KEY), environ)) for environ in ({}, variables)
    )
    assert alone == beside


def test_variables_change_nothing_for_a_provider_with_a_table(program: Program, sandbox: Sandbox) -> None:
    """Whole settings in the environment do not stand in for, or beside, the profile's table."""
    env = {"BALCLI_LOOPRING_API_KEY": "other", "BALCLI_LOOPRING_ADDRESS": "0x" + "0" * 40}
    result = program.with_profile(profile_text(sandbox.url, key=KEY), "all", "-o", "json", env=env)
    (account,) = result.json["accounts"]
    expected = (0, [KEY], {"account_id": "11329"})
    assert expected == (result.code, keys_sent(sandbox), account["target"])


@pytest.mark.parametrize(
    ("table", "variables", "missing"),
    [
        pytest.param('api_key = "{0}"', {"BALCLI_MERCHANT_API_SECRET": "{0}"}, "api_secret", id="secret"),
        pytest.param('api_secret = "{0}"', {"BALCLI_MERCHANT_API_KEY": "{0}"}, "api_key", id="key"),
        pytest.param("merchant_id = 0", {"BALCLI_MERCHANT_TOKEN": "{0}"}, "token", id="token"),
    ],
)
def test_credential_is_never_made_of_two_places(
    program: Program, sandbox: Sandbox, table: str, variables: dict[str, str], missing: str
) -> None:
    """Half a credential in the profile is not completed from the variables."""
    canary = "s3cr3t-CANARY-value"
    text = f'[profiles.main.merchant]\nbase_url = "{sandbox.url}/merchant"\n{table.format(canary)}\n'
    env = {name: value.format(canary) for name, value in variables.items()}
    result = program.with_profile(text, "all", "-o", "json", env=env)
    expected = (3, ["config.key"], 0)
    assert expected == (result.code, codes(result), len(sandbox.log))
    assert f"{missing} in merchant" in result.err
    assert "CANARY" not in result.out + result.err


def test_credential_is_never_made_of_environment_and_env_file(program: Program, sandbox: Sandbox) -> None:
    """Half a credential in the environment is not completed from the `.env`."""
    private(program.folder / ".env", "BALCLI_MERCHANT_API_SECRET=s3cr3t-CANARY-value\n")
    env = {"BALCLI_MERCHANT_API_KEY": "k-1", "BALCLI_MERCHANT_BASE_URL": f"{sandbox.url}/merchant"}
    result = program.with_profile(profile_text(sandbox.url, key=KEY), "all", "-o", "json", env=env)
    expected = (3, ["config.key"], 0)
    assert expected == (result.code, codes(result), len(sandbox.log))
    assert "CANARY" not in result.out + result.err


def test_sandbox_takes_nothing_from_variables(program: Program) -> None:
    """A run with --sandbox asks for the stand-in's accounts alone."""
    env = {"BALCLI_LOOPRING_API_KEY": "k-1", "BALCLI_LOOPRING_NO_SUCH_KEY": "x"}
    result = program.run("all", "--sandbox", "-o", "json", env=env)
    expected = (0, ["loopring", "treasury", "payouts", "shop"])
    assert expected == (result.code, names(result))
