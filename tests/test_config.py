"""Which file, which profile and which accounts a run is about."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from balcli.config.problems import Source
from balcli.config.profile import holds_secret, load, open_accounts
from balcli.config.sources import SecretSources, parse_toml
from balcli.http.client import RequestSettings
from balcli.http.timing import Deadline
from balcli.sandbox import Sandbox, json_response
from balcli.sandbox.loopring import ADDRESS
from balcli.sandbox.merchant import TOKEN
from balcli.sandbox.wallet import PAYOUTS, TREASURY
from balcli.thresholds import Threshold, parse_range
from tests.conftest import ROOT, Program
from tests.lists import each_case
from tests.profiles import codes, names, private

LOOPRING_KEY = "sandbox-loopring-key"
BALANCES = "/loopring/api/v3/user/balances"
MERCHANT_BALANCES = "/merchant/v2/assets/account/assets"

NO_MERCHANT_ROWS = json_response(
    {"code": 200, "msg": "SUCCESS", "data": {"canDeposit": True, "balances": []}}
)


def loopring(url: str, profile: str = "main", extra: str = "") -> str:
    """A profile's only table: the sandbox's relayer account."""
    return (
        f'[profiles.{profile}.loopring]\nbase_url = "{url}/loopring"\n'
        f'api_key = "{LOOPRING_KEY}"\naccount_id = 11329\n{extra}'
    )


def merchant(url: str, extra: str = "") -> str:
    """A profile's only table: a merchant account named shop."""
    return (
        f'[profiles.main.merchant]\nname = "shop"\nbase_url = "{url}/merchant"\n'
        f'token = "sandbox-merchant-token"\n{extra}'
    )


def account_names(file: Path, environ: Mapping[str, str] | None = None) -> list[str]:
    """The accounts of the profile that a file leaves no doubt about, in their order."""
    profile = load(file, must_exist=True, name=None, env_file=None, environ=environ or {})
    return [each.account.name for each in open_accounts(profile, SecretSources(Deadline(10))) if each.account]


# The profile


@pytest.mark.parametrize(
    ("default", "arguments", "env", "expected"),
    [
        pytest.param("", ["--profile", "main"], {}, "main", id="option"),
        pytest.param("", ["-p", "spare"], {}, "spare", id="short option"),
        pytest.param("", [], {"BALCLI_PROFILE": "spare"}, "spare", id="variable"),
        pytest.param("", ["-p", "main"], {"BALCLI_PROFILE": "spare"}, "main", id="option over variable"),
        pytest.param('default_profile = "spare"', [], {}, "spare", id="default"),
        pytest.param('default_profile = "spare"', ["-p", "main"], {}, "main", id="option over default"),
        pytest.param(
            'default_profile = "spare"', [], {"BALCLI_PROFILE": "main"}, "main", id="variable over default"
        ),
    ],
)
def test_profile_is_the_one_that_is_named_first(
    program: Program,
    sandbox: Sandbox,
    default: str,
    arguments: list[str],
    env: dict[str, str],
    expected: str,
) -> None:
    """The option names the profile, else the variable, else the file's default."""
    text = "\n".join(
        [
            default,
            loopring(sandbox.url, "main", 'name = "account of main"\n'),
            loopring(sandbox.url, "spare", 'name = "account of spare"\n'),
        ]
    )
    result = program.with_profile(text, "all", "-o", "json", *arguments, env=env)
    assert (0, expected, [f"account of {expected}"]) == (result.code, result.json["profile"], names(result))


def test_only_profile_needs_no_name(program: Program, sandbox: Sandbox) -> None:
    """A file with one profile, whatever its name, is read without saying which."""
    result = program.with_profile(loopring(sandbox.url, "anything"), "all", "-o", "json")
    expected = (0, "anything", ["loopring"])
    assert expected == (result.code, result.json["profile"], names(result))


@pytest.mark.parametrize("arguments", [["-p", "absent"], []], ids=["unknown", "open"])
def test_profile_that_is_not_there_is_answered_with_those_that_are(
    program: Program, sandbox: Sandbox, arguments: list[str]
) -> None:
    """Where no profile can be chosen, the message lists the profiles of the file."""
    text = loopring(sandbox.url, "first") + loopring(sandbox.url, "second")
    result = program.with_profile(text, "all", "-o", "json", *arguments)
    expected = (3, ["config.profile"])
    assert expected == (result.code, codes(result))
    assert "first, second" in result.err


def test_key_of_another_profile_is_no_matter(tmp_path: Path) -> None:
    """What stands in a profile that is not asked for does not keep the one that is from being read."""
    text = 'default_profile = "main"\n[profiles.spare.loopring]\nno_such_key = 1\n' + loopring("http://[::1]")
    expected = ["loopring"]
    assert expected == account_names(private(tmp_path / "config.toml", text))


# The file


@pytest.mark.parametrize(
    ("arguments", "env", "expected"),
    [
        pytest.param(["-c", "{0}/one.toml"], {}, "one", id="option"),
        pytest.param([], {"BALCLI_CONFIG": "{0}/two.toml"}, "two", id="variable"),
        pytest.param(
            ["--config", "{0}/one.toml"], {"BALCLI_CONFIG": "{0}/two.toml"}, "one", id="option over variable"
        ),
    ],
)
def test_file_is_the_one_that_is_named(
    program: Program,
    sandbox: Sandbox,
    tmp_path: Path,
    arguments: list[str],
    env: dict[str, str],
    expected: str,
) -> None:
    """The option names the file, else the variable."""
    for name in ("one", "two"):
        file = tmp_path / f"{name}.toml"
        file.write_text(loopring(sandbox.url, name))
        file.chmod(0o600)
    result = program.run(
        "all",
        "-o",
        "json",
        *(text.format(tmp_path) for text in arguments),
        env={name: value.format(tmp_path) for name, value in env.items()},
    )
    assert (0, expected) == (result.code, result.json["profile"])


@pytest.mark.skipif(sys.platform != "linux", reason="other systems keep configuration elsewhere")
@pytest.mark.parametrize(
    ("folder", "env"),
    [
        pytest.param(".config/balcli", {}, id="home"),
        pytest.param("xdg/balcli", {"XDG_CONFIG_HOME": "{0}/xdg"}, id="XDG_CONFIG_HOME"),
    ],
)
def test_file_is_in_the_configuration_folder_by_default(
    program: Program, sandbox: Sandbox, tmp_path: Path, folder: str, env: dict[str, str]
) -> None:
    """Without an option the file is balcli/config.toml where the user keeps configuration."""
    private(tmp_path / folder / "config.toml", loopring(sandbox.url, "at_home"))
    variables = {name: value.format(tmp_path) for name, value in env.items()}
    result = program.run("all", "-o", "json", env=variables)
    expected = (0, "at_home")
    assert expected == (result.code, result.json["profile"])


@pytest.mark.parametrize("home", ["", "relative"], ids=["empty", "relative"])
def test_home_that_is_no_place_is_refused(program: Program, tmp_path: Path, home: str) -> None:
    """No profile of the working directory is taken for that of a home that is not set properly."""
    private(tmp_path / "relative/.config/balcli/config.toml", loopring("http://127.0.0.1:9"))
    private(tmp_path / ".config/balcli/config.toml", loopring("http://127.0.0.1:9"))
    result = program.run("all", "-o", "json", env={"HOME": home}, cwd=tmp_path)
    expected = (3, ["config.file"])
    assert expected == (result.code, codes(result))


def test_file_named_by_option_needs_no_home(program: Program, sandbox: Sandbox) -> None:
    """A home that is not set properly is no matter where the file is named."""
    result = program.with_profile(loopring(sandbox.url), "all", "-o", "json", env={"HOME": "relative"})
    expected = (0, ["loopring"])
    assert expected == (result.code, names(result))


def test_missing_default_file_says_where_it_would_be(program: Program) -> None:
    """Without any configuration the message names the file that is looked for."""
    result = program.run("all", "-o", "json")
    expected = (3, ["config.file"])
    assert expected == (result.code, codes(result))
    assert "config.toml" in result.err


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(lambda text: b"\xef\xbb\xbf" + text, id="byte-order mark"),
        pytest.param(lambda text: text.replace(b"\n", b"\r\n"), id="CRLF"),
        pytest.param(lambda text: b"\xef\xbb\xbf" + text.replace(b"\n", b"\r\n"), id="both"),
        pytest.param(lambda text: text.rstrip(b"\n"), id="no final newline"),
        pytest.param(lambda text: text + b"#" * (1_000_000 - len(text)), id="exactly 1 MB"),
    ],
)
def test_file_of_any_editor_is_read(program: Program, sandbox: Sandbox, content: Any) -> None:
    """A byte-order mark, either line ending and a size of up to 1 MB make no difference."""
    file = program.write("")
    file.write_bytes(content(loopring(sandbox.url).encode()))
    result = program.run("all", "-o", "json", "-c", str(file))
    expected = (0, ["loopring"])
    assert expected == (result.code, names(result))


@each_case(
    ("value", "expected"),
    [
        pytest.param('"\\x6bey-1"', "key-1", id="hexadecimal escape"),
        pytest.param("'key-1'", "key-1", id="literal"),
        pytest.param('"""\nkey-1"""', "key-1", id="several lines"),
    ],
)
def test_text_is_read_as_toml_1_1(tmp_path: Path, value: str, expected: str) -> None:
    """Every way in which TOML 1.1 writes a text gives the same name."""
    assert [expected] == account_names(
        private(tmp_path / "config.toml", loopring("http://127.0.0.1:9", extra=f"name = {value}"))
    )


def test_inline_table_may_span_lines(tmp_path: Path) -> None:
    """A login over several lines, with a comma after its last key, is TOML 1.1 and is read."""
    text = (
        '[profiles.main.wallet]\nbase_url = "http://127.0.0.1:9"\nwallet_id = "w-1"\n'
        'login = {\n  merchant_id = "m-1", # a comment\n  password = "p-1",\n}\n'
    )
    expected = ["wallet"]
    assert expected == account_names(private(tmp_path / "config.toml", text))


# Limits of the profile


@each_case(
    ("text", "expected"),
    [
        pytest.param("", RequestSettings(10.0, 30.0, 3, 8, None), id="defaults"),
        pytest.param("timeout = 0.5\ndeadline = 7", RequestSettings(0.5, 7.0, 3, 8, None), id="seconds"),
        pytest.param("retries = 0\njobs = 1", RequestSettings(10.0, 30.0, 0, 1, None), id="numbers"),
        pytest.param(
            'proxy = "${PROXY}"',
            RequestSettings(10.0, 30.0, 3, 8, "http://proxy.example:3128"),
            id="proxy",
        ),
    ],
)
def test_limits_are_the_profiles_or_the_defaults(
    tmp_path: Path, text: str, expected: RequestSettings
) -> None:
    """A profile sets the limits of its runs; those that it leaves out have their defaults."""
    file = private(tmp_path / "config.toml", f"[profiles.main]\n{text}\n{loopring('http://127.0.0.1:9')}")
    environ = {"PROXY": "http://proxy.example:3128"}
    assert expected == load(file, must_exist=True, name=None, env_file=None, environ=environ).request_settings


def test_limits_on_balances_are_read_with_their_variables(tmp_path: Path) -> None:
    """Each table of `limits` is one limit; a text of it can come from a variable, ranges are kept as written."""
    text = """\
[profiles.main.merchant]
name = "shop"
token = "t"
[[profiles.main.limits]]
asset = "${ASSET}"
account = "shop"
field = "total"
warn = "${LEAST}:"
crit = "@~:0.50"
[[profiles.main.limits]]
asset = "BTC"
crit = "5:10"
"""
    environ = {"ASSET": "SNX#24", "LEAST": "1000.000000000000000001"}
    profile = load(
        private(tmp_path / "config.toml", text), must_exist=True, name=None, env_file=None, environ=environ
    )
    expected = [
        Threshold("SNX#24", "total", "shop", parse_range("1000.000000000000000001:"), parse_range("@~:0.50")),
        Threshold("BTC", "available", None, None, parse_range("5:10")),
    ]
    assert expected == [entry.threshold for entry in profile.thresholds]


@pytest.mark.parametrize("value", ["company-ca.pem", "${CA}"], ids=["text", "variable"])
def test_ca_bundle_is_relative_to_the_file(tmp_path: Path, value: str) -> None:
    """A relative ca_bundle is looked for beside the profile file, wherever the program is started."""
    file = private(
        tmp_path / "config.toml", f'[profiles.main]\nca_bundle = "{value}"\n{loopring("http://127.0.0.1:9")}'
    )
    profile = load(file, must_exist=True, name=None, env_file=None, environ={"CA": "company-ca.pem"})
    assert tmp_path / "company-ca.pem" == profile.request_settings.ca_bundle.path


# Accounts

TABLES = {
    "loopring": 'base_url = "http://127.0.0.1:9"\napi_key = "k-1"\naccount_id = {0}\n',
    "wallet": 'base_url = "http://127.0.0.1:9"\napi_key = "k-2"\nwallet_id = "w-{0}"\n',
    "merchant": 'base_url = "http://127.0.0.1:9"\ntoken = "k-3"\nmerchant_id = {0}\n',
}


@each_case("provider", TABLES)
def test_single_table_takes_the_name_of_its_provider(tmp_path: Path, provider: str) -> None:
    """One account at a provider needs no name of its own."""
    text = f"[profiles.main.{provider}]\n{TABLES[provider].format(1)}"
    assert [provider] == account_names(private(tmp_path / "config.toml", text))


@each_case("provider", TABLES)
def test_single_table_may_have_a_name(tmp_path: Path, provider: str) -> None:
    """A name that is given counts, also where there is one account; its variables are filled in."""
    text = f'[profiles.main.{provider}]\nname = "${{WHOSE}} own"\n{TABLES[provider].format(1)}'
    expected = ["my own"]
    assert expected == account_names(private(tmp_path / "config.toml", text), {"WHOSE": "my"})


@each_case("provider", TABLES)
@each_case("order", [("b", "a", "c"), ("c", "b", "a")], ids="".join)
def test_array_of_tables_keeps_names_and_order(tmp_path: Path, provider: str, order: tuple[str, ...]) -> None:
    """Several accounts at a provider are known by their names, in the order of the file."""
    text = "".join(
        f'[[profiles.main.{provider}]]\nname = "{name}"\n{TABLES[provider].format(number)}'
        for number, name in enumerate(order, 1)
    )
    assert list(order) == account_names(private(tmp_path / "config.toml", text))


@pytest.mark.parametrize(
    "order",
    [
        ("loopring", "wallet", "merchant"),
        ("merchant", "loopring", "wallet"),
        ("wallet", "merchant", "loopring"),
    ],
    ids="-".join,
)
def test_accounts_stand_in_the_order_of_the_file(
    program: Program, sandbox: Sandbox, order: tuple[str, ...]
) -> None:
    """The accounts of a run stand as in the profile, whichever answers first."""
    tables = {
        "loopring": loopring(sandbox.url),
        "wallet": "".join(
            f'[[profiles.main.wallet]]\nname = "{name}"\nbase_url = "{sandbox.url}/wallet"\n'
            f'api_key = "sandbox-wallet-key"\nwallet_id = "{wallet}"\n'
            for name, wallet in (("treasury", TREASURY), ("payouts", PAYOUTS))
        ),
        "merchant": merchant(sandbox.url),
    }
    expected = {"loopring": ["loopring"], "wallet": ["treasury", "payouts"], "merchant": ["shop"]}
    result = program.with_profile("\n".join(tables[key] for key in order), "all", "-o", "json")
    assert (0, [name for key in order for name in expected[key]]) == (result.code, names(result))


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        pytest.param(["all"], ["loopring", "treasury", "payouts", "shop"], id="everything"),
        pytest.param(["all", "payouts"], ["payouts"], id="one"),
        pytest.param(["all", "shop", "loopring"], ["loopring", "shop"], id="two in the file's order"),
        pytest.param(["all", "shop", "shop"], ["shop"], id="one twice"),
        pytest.param(["loopring"], ["loopring"], id="loopring"),
        pytest.param(["wallet"], ["treasury", "payouts"], id="wallet"),
        pytest.param(["wallet", "payouts"], ["payouts"], id="one wallet"),
        pytest.param(["merchant", "shop"], ["shop"], id="merchant"),
    ],
)
def test_run_is_about_the_accounts_that_are_named(
    program: Program, sandbox: Sandbox, arguments: list[str], expected: list[str]
) -> None:
    """A command shows its provider's accounts, or those of them that are named, each once."""
    result = program.with_profile(sandbox.profile(), *arguments, "-o", "json")
    assert (0, expected) == (result.code, names(result))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param(
            ["all", "nobody"], "use one of: loopring, treasury, payouts, shop", id="of the whole profile"
        ),
        pytest.param(["wallet", "nobody"], "use one of: treasury, payouts", id="of one provider"),
        pytest.param(["wallet", "payouts", "nobody"], "use one of: treasury, payouts", id="one of two"),
        pytest.param(["wallet", "shop"], "balcli merchant", id="of another provider"),
        pytest.param(["all", "Shop"], "one of: loopring, treasury, payouts, shop", id="in another case"),
    ],
)
def test_unknown_account_is_answered_with_those_that_are(
    program: Program, sandbox: Sandbox, arguments: list[str], said: str
) -> None:
    """An account that the profile does not have is a fault of the configuration, and nobody is asked."""
    result = program.with_profile(sandbox.profile(), *arguments, "-o", "json")
    expected = (3, ["config.account"], 0)
    assert expected == (result.code, codes(result), len(sandbox.log))
    assert said in result.err


def test_provider_without_account_is_refused(program: Program, sandbox: Sandbox) -> None:
    """A command for a provider that the profile does not have says what to add."""
    result = program.with_profile(loopring(sandbox.url), "merchant", "-o", "json")
    expected = (3, ["config.account"])
    assert expected == (result.code, codes(result))
    assert "[profiles.main.merchant]" in result.err


@pytest.mark.parametrize(
    ("base", "path"),
    [
        ("/loopring", BALANCES),
        ("/loopring/", BALANCES),
        ("/loopring/deep/er", "/loopring/deep/er/api/v3/user/balances"),
        ("/a%20b/~x", "/a%20b/~x/api/v3/user/balances"),
    ],
    ids=["path", "final slash", "longer", "escaped"],
)
def test_base_url_may_have_a_path(program: Program, sandbox: Sandbox, base: str, path: str) -> None:
    """The API's paths follow the path of base_url, with one slash between them."""
    text = loopring(sandbox.url).replace(f"{sandbox.url}/loopring", sandbox.url + base)
    program.with_profile(text, "loopring", "--retries", "0")
    assert path in {question.path for question in sandbox.log}


def test_plain_http_reaches_loopback_by_name(program: Program, sandbox: Sandbox) -> None:
    """Plain HTTP is allowed to localhost as well as to its address."""
    text = loopring(sandbox.url).replace("127.0.0.1", "LocalHost")
    result = program.with_profile(text, "all", "-o", "json")
    expected = (0, ["loopring"])
    assert expected == (result.code, names(result))


@pytest.mark.parametrize(
    "key",
    ["kéy-ÿ-1", "a key with blanks", "!#$%&'()*+,-./:;<=>?@[]^_`{|}~"],
    ids=["accents", "blanks", "marks"],
)
def test_secret_travels_as_it_stands(program: Program, sandbox: Sandbox, key: str) -> None:
    """A secret of any printable Latin-1 characters arrives unchanged."""
    text = loopring(sandbox.url).replace(LOOPRING_KEY, key)
    result = program.with_profile(text, "loopring", "-o", "json")
    keys = [question.headers["x-api-key"] for question in sandbox.log if question.path == BALANCES]
    assert (4, [key]) == (result.code, keys)


def test_fault_in_one_account_keeps_every_request_back(program: Program, sandbox: Sandbox) -> None:
    """A profile that is wrong in its last account fails before the first is asked for."""
    text = sandbox.profile() + '\nunknown_key = "1"\n'
    result = program.with_profile(text, "all", "-o", "json")
    expected = (3, ["config.key"], 0)
    assert expected == (result.code, codes(result), len(sandbox.log))


# Targets


@pytest.mark.parametrize(
    ("arguments", "target"),
    [
        pytest.param(["loopring", "--account-id", "11329"], {"account_id": "11329"}, id="account_id"),
        pytest.param(["loopring", "--address", ADDRESS], {"address": ADDRESS}, id="address"),
        pytest.param(["wallet", "--wallet-id", PAYOUTS], {"wallet_id": PAYOUTS}, id="wallet_id"),
        pytest.param(["merchant", "--merchant-id", "12345"], {"merchant_id": "12345"}, id="merchant_id"),
        pytest.param(
            ["merchant", "--merchant-id", "12345", "--merchant-id", "12345"],
            {"merchant_id": "12345"},
            id="the same twice",
        ),
    ],
)
@pytest.mark.parametrize("given", [True, False], ids=["replaced", "added"])
def test_target_option_names_the_target_for_one_run(
    program: Program, sandbox: Sandbox, arguments: list[str], target: dict[str, str], given: bool
) -> None:
    """A target option stands in for the profile's target, and needs none there; the name stays."""
    targets = {"loopring": "account_id = 1", "wallet": 'wallet_id = "w-1"', "merchant": "merchant_id = 1"}
    keys = {
        "loopring": f'api_key = "{LOOPRING_KEY}"',
        "wallet": 'api_key = "sandbox-wallet-key"',
        "merchant": 'token = "sandbox-merchant-token"',
    }
    provider = arguments[0]
    text = (
        f'[profiles.main.{provider}]\nname = "mine"\nbase_url = "{sandbox.url}/{provider}"\n'
        f"{keys[provider]}\n{targets[provider] if given else ''}\n"
    )
    result = program.with_profile(text, *arguments, "-o", "json")
    (account,) = result.json["accounts"]
    assert (0, "mine", target) == (result.code, account["account"], account["target"])


def test_repeated_merchant_id_makes_an_account_of_each(program: Program, sandbox: Sandbox) -> None:
    """Each merchant of the command line is an account, named after the profile's, and asked for."""
    sandbox.scripted[MERCHANT_BALANCES] = [NO_MERCHANT_ROWS]
    result = program.with_profile(
        merchant(sandbox.url), "merchant", "--merchant-id", "1", "--merchant-id", "2", "-o", "json"
    )
    expected = (0, ["shop/1", "shop/2"])
    assert expected == (result.code, names(result))
    ids = ["1", "2"]
    assert ids == [account["target"]["merchant_id"] for account in result.json["accounts"]]
    assert ids == sorted(question.query["merchantId"] for question in sandbox.log)


def test_target_option_goes_with_the_account_that_is_named(program: Program, sandbox: Sandbox) -> None:
    """Where a provider has several accounts, the name of one makes a target option fit."""
    result = program.with_profile(
        sandbox.profile(), "wallet", "payouts", "--wallet-id", TREASURY, "-o", "json"
    )
    (account,) = result.json["accounts"]
    expected = (0, "payouts", {"wallet_id": TREASURY})
    assert expected == (result.code, account["account"], account["target"])


@pytest.mark.parametrize(
    ("provider", "option", "value"),
    [
        ("loopring", "--account-id", "11329"),
        ("loopring", "--address", ADDRESS),
        ("wallet", "--wallet-id", TREASURY),
        ("merchant", "--merchant-id", "1"),
    ],
)
def test_target_option_for_several_accounts_is_wrong_usage(
    program: Program, sandbox: Sandbox, provider: str, option: str, value: str
) -> None:
    """A target option where several accounts are selected is refused, with the names to choose from."""
    keys = {"merchant": "token", "loopring": "api_key", "wallet": "api_key"}
    targets = {"loopring": "account_id = {}", "wallet": 'wallet_id = "{}"', "merchant": "merchant_id = {}"}
    text = "".join(
        f'[[profiles.main.{provider}]]\nname = "number {n}"\nbase_url = "{sandbox.url}/{provider}"\n'
        f'{keys[provider]} = "k-1"\n{targets[provider].format(n)}\n'
        for n in (1, 2)
    )
    result = program.with_profile(text, provider, option, value, "-o", "json")
    expected = (2, ["usage"], 0)
    assert expected == (result.code, codes(result), len(sandbox.log))
    assert option in result.err
    assert "number 1, number 2" in result.err


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["loopring", "--account-id", "11329", "--address", ADDRESS], id="two targets"),
        pytest.param(["loopring", "--account-id", "eleven"], id="account_id of letters"),
        pytest.param(["loopring", "--account-id", "1_000"], id="account_id with a separator"),
        pytest.param(["loopring", "--account-id", "١٢"], id="account_id of other digits"),
        pytest.param(["loopring", "--account-id=-1"], id="negative account_id"),
        pytest.param(["loopring", "--account-id", "9" * 5000], id="account_id of 5,000 digits"),
        pytest.param(["loopring", "--account-id", ""], id="empty account_id"),
        pytest.param(["loopring", "--address", "0x12"], id="short address"),
        pytest.param(["loopring", "--address", f"{ADDRESS}\n"], id="address with a line break"),
        pytest.param(["loopring", "--address", ""], id="empty address"),
        pytest.param(["wallet", "payouts", "--wallet-id", ""], id="empty wallet_id"),
        pytest.param(["wallet", "payouts", "--wallet-id", "w\n1"], id="wallet_id with a line break"),
        pytest.param(["merchant", "--merchant-id", "1.5"], id="fraction of a merchant_id"),
        pytest.param(["merchant", "--merchant-id=-1"], id="negative merchant_id"),
        pytest.param(["merchant", "--merchant-id", ""], id="empty merchant_id"),
        pytest.param(["merchant", "--merchant-id", "1", "--merchant-id", "two"], id="second merchant_id"),
        pytest.param(["all", "--merchant-id", "1"], id="target of no provider"),
    ],
)
def test_target_that_is_none_is_wrong_usage(program: Program, sandbox: Sandbox, arguments: list[str]) -> None:
    """A target that cannot be one is refused, and the profile's own is not shown in its place."""
    result = program.with_profile(sandbox.profile(), *arguments, "-o", "json")
    expected = (2, ["usage"], 0)
    assert expected == (result.code, codes(result), len(sandbox.log))


# The example

EXAMPLE = ROOT / "config.example.toml"
EXAMPLE_ACCOUNTS = ["loopring", "treasury", "payouts", "shop"]
EXAMPLE_VARIABLES = {
    "LOOPRING_API_KEY": LOOPRING_KEY,
    "KUNACORE_MERCHANT": "sandbox-merchant",
    "KUNACORE_EMAIL": "operator@wallet.example",
    "KUNACORE_PASSWORD": "sandbox-password",
    "KUNACORE_API_KEY": "sandbox-wallet-key",
    "VELAFI_KEY": "sandbox-merchant-key",
    "VELAFI_SECRET": "sandbox-merchant-secret",
}


def test_example_is_a_profile_as_it_stands(tmp_path: Path) -> None:
    """The example of the repository is read once its variables are set."""
    expected = EXAMPLE_ACCOUNTS
    assert expected == account_names(
        private(tmp_path / "config.toml", EXAMPLE.read_text()), EXAMPLE_VARIABLES
    )


@each_case("missing", EXAMPLE_VARIABLES)
def test_example_needs_each_of_its_variables(program: Program, missing: str) -> None:
    """The example holds no credential itself: without one of its variables it is refused, naming it."""
    env = {name: value for name, value in EXAMPLE_VARIABLES.items() if name != missing}
    result = program.with_profile(EXAMPLE.read_text(), "all", "-o", "json", env=env)
    expected = (3, ["config.variable"])
    assert expected == (result.code, codes(result))
    assert missing in result.err


@pytest.mark.parametrize("source", ["environment", ".env"])
def test_example_works_against_the_sandbox(program: Program, sandbox: Sandbox, source: str) -> None:
    """The example, led to the stand-in, shows its accounts in order, with variables from either place."""
    text = EXAMPLE.read_text()
    for old, new in (
        ('"https://relayer.example"', f'"{sandbox.url}/loopring"'),
        ('"https://core.example"', f'"{sandbox.url}/wallet"'),
        ('name = "shop"', f'name = "shop"\nbase_url = "{sandbox.url}/merchant"'),
    ):
        assert old in text
        text = text.replace(old, new)
    env = dict(EXAMPLE_VARIABLES)
    if source == ".env":
        file = program.folder / ".env"
        file.write_text("".join(f"{name}={json.dumps(value)}\n" for name, value in env.items()))
        file.chmod(0o600)
        env = {}
    result = program.with_profile(text, "all", "-o", "json", env=env)
    expected = (0, "main", EXAMPLE_ACCOUNTS)
    assert expected == (result.code, result.json["profile"], names(result))
    assert {"ok"} == {account["status"] for account in result.json["accounts"]}


@each_case(
    ("line", "expected"),
    [
        ('api_key = "${KEY}"', False),
        ('api_key = "k-${KEY}"', True),
        ('api_key_command = ["pass", "show", "it"]', False),
        ('login = { merchant_id = "${ID}", password = "${WORD}" }', False),
        ('login = { merchant_id = "${ID}", password = "plain" }', True),
        ('login = { merchant_id = "${ID}", device = { id = "plain" } }', True),
        ('login = { merchant_id = "${ID}", codes = ["${ONE}", "plain"] }', True),
        ('login = { merchant_id = "${ID}", codes = [{ code = "plain" }] }', True),
        ('login = { merchant_id = "${ID}", codes = ["${ONE}"], kind = 7 }', False),
    ],
)
def test_a_secret_that_stands_in_the_file_is_seen_at_any_depth(line: str, expected: bool) -> None:
    """A secret, or any text of a login, that is not wholly filled in makes a file that nobody else may read."""
    source = Source("FILE", f"[[profiles.main.wallet]]\n{line}\n")
    assert expected is holds_secret(parse_toml(source))


SPELLINGS = [
    ("http://127.0.0.1:9/x", "http://localhost:9/x"),
    ("http://[::1]:9/x", "http://127.0.0.1:9/x/"),
    ("http://[0:0::1]:9/x", "http://LOCALHOST:9/y/../x"),
    ("https://core.example", "https://CORE.example.:443/."),
    ("https://core.example/v2/api", "https://core.example/v2/./%61pi"),
    ("https://core.example/a%2fb", "https://core.example/a%2Fb"),
    ("https://[2001:db8::1]", "https://[2001:DB8:0::0:1]:443"),
]


def _spelled(provider: str, number: int) -> tuple[str, str]:
    """The settings of an account at a provider, and the same account spelled otherwise."""
    uuid, address = f"1f44b1c7-9fd4-4d20-b9a4-{number:012}", f"{0xABC << 120 | number:040x}"
    return {
        "loopring": (f'api_key = "k"\naddress = "0x{address}"', f'api_key = "k"\naddress = "0x{address.upper()}"'),
        "wallet": (f'api_key = "k"\nwallet_id = "{uuid}"', f'api_key = "k"\nwallet_id = "{{{uuid.replace("-", "").upper()}}}"'),
        "merchant": (f'token = "t"\nmerchant_id = {number}', f'token = "t"\nmerchant_id = +{number}'),
    }[provider]  # fmt: skip


def test_two_spellings_of_one_account_are_one_account(program: Program) -> None:
    """However place and target are spelled, two accounts of one identity are refused, and others are not."""
    tables: list[str] = []
    for provider in ("loopring", "wallet", "merchant"):
        for number, places in enumerate(SPELLINGS, 10):
            for place, text in zip(places, _spelled(provider, number), strict=True):
                name = f"{provider}{len(tables)}"
                tables.append(
                    f'[[profiles.main.{provider}]]\nname = "{name}"\nbase_url = "{place}"\n{text}\n'
                )
    document = program.with_profile("\n".join(tables), "config", "check", "-o", "json").json
    told = [problem["message"] for problem in document["problems"]]
    assert (3 * len(SPELLINGS), []) == (len(told), [m for m in told if "is the same account" not in m])


def test_one_account_at_two_spellings_of_its_host_never_asks(program: Program, sandbox: Sandbox) -> None:
    """The run is refused before any request, and says both places."""
    here = sandbox.url
    text = "".join(
        f'[[profiles.main.merchant]]\nname = "m{number}"\nbase_url = "{url}/merchant"\ntoken = "t"\nmerchant_id = 7\n'
        for number, url in enumerate((here, here.replace("127.0.0.1", "localhost")))
    )
    result = program.with_profile(text, "all", "-o", "json")
    assert (3, ["config.account"], []) == (result.code, codes(result), sandbox.log)
    assert 'merchant "m1" is the same account as merchant "m0"' in result.err


def test_an_aggregate_is_left_out_beside_its_merchants_at_another_spelling(
    program: Program, sandbox: Sandbox
) -> None:
    """The aggregate of a key counts no merchant twice, also where the two name their host differently."""
    other = sandbox.url.replace("127.0.0.1", "localhost")
    text = "".join(
        f'[[profiles.main.merchant]]\nname = "m{number}"\nbase_url = "{url}/merchant"\ntoken = "{TOKEN}"\nmerchant_id = {number}\n'
        for url, number in ((sandbox.url, 0), (other, 12345))
    )
    document = program.with_profile(text, "all", "-o", "json").json
    assert ["total.aggregate_left_out"] == [warning["code"] for warning in document["warnings"]]
    assert {"USDT": "1000", "BTC": "0.5"} == {total["asset"]: total["total"] for total in document["totals"]}


@pytest.mark.parametrize("name", ["shop/1", "/", "a/b/c", "shop/fiat"])
def test_a_slash_marks_the_parts_of_an_account(program: Program, sandbox: Sandbox, name: str) -> None:
    """No account of a profile has a name that an expanded account could have."""
    text = f'[profiles.main.merchant]\nname = "{name}"\nbase_url = "{sandbox.url}/merchant"\ntoken = "t"\n'
    result = program.with_profile(text, "all", "-o", "json")
    assert (3, ["config.value"], []) == (result.code, codes(result), sandbox.log)
    assert "without a slash" in result.err
    given = program.run("all", "-o", "json", env={"BALCLI_MERCHANT_TOKEN": "t", "BALCLI_MERCHANT_NAME": name})
    assert (3, ["config.value"]) == (given.code, codes(given))


def test_one_merchant_in_two_spellings_of_its_number_is_one(program: Program, sandbox: Sandbox) -> None:
    """`1` and `01` are one merchant, asked for once."""
    sandbox.scripted[MERCHANT_BALANCES] = [NO_MERCHANT_ROWS]
    result = program.with_profile(
        merchant(sandbox.url), "merchant", "--merchant-id", "1", "--merchant-id", "01", "-o", "json"
    )
    assert (0, ["shop"], 1) == (result.code, names(result), len(sandbox.log))
