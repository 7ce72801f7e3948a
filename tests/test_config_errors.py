"""Every fault of a configuration: what it is called, where it is said to be, and that no value is shown."""

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from balcli.config.profile import load, open_accounts
from balcli.config.sources import SecretSources
from balcli.errors import ConfigError
from balcli.http.timing import Deadline
from tests.conftest import Program, Result
from tests.lists import each_case

# The first stands beside each fault as the account's own secret, the second in the fault itself.
BESIDE = "s3cr3t-CANARY-beside"
VALUE = "s3cr3t-CANARY-value"

DEFAULTS: dict[str, dict[str, str]] = {
    "loopring": {"api_key": f'"{BESIDE}"', "account_id": "11329"},
    "wallet": {"api_key": f'"{BESIDE}"', "wallet_id": '"w-1"'},
    "merchant": {"token": f'"{BESIDE}"', "merchant_id": "7"},
}


def table(header: str, **changes: str | None) -> str:
    """A provider's table that is well but for the changes: TOML values by key, None for one to leave out."""
    provider = header.strip("[]").rpartition(".")[2]
    keys = {"base_url": '"http://127.0.0.1:9"', **DEFAULTS[provider], **changes}
    lines = [f"{key} = {value}" for key, value in keys.items() if value is not None]
    return "\n".join([header, *lines, ""])


def loopring(**changes: str | None) -> str:
    """A profile of one relayer account, well but for the changes."""
    return table("[profiles.main.loopring]", **changes)


def wallet(**changes: str | None) -> str:
    """A profile of one wallet, well but for the changes."""
    return table("[profiles.main.wallet]", **changes)


def merchant(**changes: str | None) -> str:
    """A profile of one merchant account, well but for the changes."""
    return table("[profiles.main.merchant]", **changes)


def pair(provider: str, first: Mapping[str, str | None], second: Mapping[str, str | None]) -> str:
    """A profile of two accounts at one provider, each well but for its changes."""
    header = f"[[profiles.main.{provider}]]"
    return table(header, **{"name": '"one"', **first}) + table(header, **{"name": '"two"', **second})


def beside(line: str) -> str:
    """A profile with one line among its own keys and an account that is well."""
    return f"[profiles.main]\n{line}\n{loopring()}"


def held(*lines: str) -> str:
    """A profile with an account and a limit of these lines."""
    return "\n".join([loopring(), "[[profiles.main.limits]]", *lines, ""])


def check_message(message: str, *parts: str) -> None:
    """A message names what it must and shows no value."""
    for part in parts:
        assert part in message
    assert "CANARY" not in message


def check_refusal(result: Result, code: str, *parts: str) -> None:
    """The run failed for its configuration: 3, one document, one whole line for each error, and no value anywhere."""
    document = result.json
    first, *others = document["errors"]
    expected = (3, code, 0, False)
    assert expected == (result.code, first["code"], len(document["accounts"]), document["complete"])
    line, *rest = result.err.splitlines()
    assert len(others) == len(rest)
    assert all(each.startswith("balcli: ") and len(each) <= 300 for each in (line, *rest))
    check_message(line, *parts)
    assert "CANARY" not in result.out + result.err


# Faults, one of each kind: the text of the file, the code, and what the message has to name.
FAULTS = {
    # profiles
    "empty file": ("", "config.profile", ["profiles"]),
    "no profile": ("[profiles]", "config.profile", ["profiles"]),
    "two profiles": (
        loopring() + loopring().replace(".main.", ".spare."),
        "config.profile",
        ["(main, spare)", "default_profile"],
    ),
    "unknown default": ('default_profile = "spare"\n' + loopring(), "config.profile", ["default_profile"]),
    "profile without accounts": ("[profiles.main]", "config.account", ["profiles.main"]),
    # keys
    "missing credential": (loopring(api_key=None), "config.key", ["api_key in loopring"]),
    "missing target": (loopring(account_id=None), "config.key", ["account_id in loopring", "address"]),
    "missing wallet_id": (wallet(wallet_id=None), "config.key", ["wallet_id in wallet"]),
    "missing base_url": (wallet(base_url=None), "config.key", ["base_url in wallet"]),
    "missing wallet credential": (
        wallet(api_key=None),
        "config.key",
        ["access_token in wallet", "api_key", "login"],
    ),
    "missing merchant credential": (merchant(token=None), "config.key", ["token in merchant", "api_key"]),
    "file for a login's password": (
        wallet(api_key=None, login='{ merchant_id = "m", password_file = "kuna.pw" }'),
        "config.key",
        ["login.password_file in wallet", 'use password = "${NAME}"'],
    ),
    "command for a login's PIN": (
        wallet(api_key=None, login='{ merchant_id = "m", device = { pin_command = ["cat", "pin"] } }'),
        "config.key",
        ["login.device.pin_command in wallet", 'use pin = "${NAME}"'],
    ),
    "login without merchant_id": (
        wallet(api_key=None, login=f'{{ password = "{VALUE}" }}'),
        "config.key",
        ["login.merchant_id in wallet"],
    ),
    "missing name": (pair("wallet", {}, {"name": None}), "config.key", ["name in wallet 2"]),
    "unknown key": (
        loopring(api_kee=f'"{VALUE}"'),
        "config.key",
        ['unknown key "api_kee" in loopring', '"api_key"?'],
    ),
    "unknown key far from any": (
        merchant(zzz=f'"{VALUE}"'),
        "config.key",
        ['unknown key "zzz" in merchant', "token"],
    ),
    "unknown key of the profile": (
        beside(f'timeuot = "{VALUE}"'),
        "config.key",
        ['unknown key "timeuot" in profile "main"', '"timeout"?'],
    ),
    "unknown provider": (
        beside("") + f'[profiles.main.wallett]\napi_key = "{VALUE}"\n',
        "config.key",
        ['unknown key "wallett" in profile "main"', '"wallet"?'],
    ),
    "unknown key of the file": (
        f'default_profil = "{VALUE}"\n' + loopring(),
        "config.key",
        ['unknown key "default_profil"', '"default_profile"?'],
    ),
    "key of another provider": (
        loopring(token=f'"{VALUE}"'),
        "config.key",
        ['unknown key "token" in loopring'],
    ),
    "two targets": (
        loopring(address=f'"0x{"0" * 40}"'),
        "config.key",
        ["address in loopring", "account_id"],
    ),
    "two wallet credentials": (
        wallet(access_token=f'"{VALUE}"'),
        "config.key",
        ["api_key in wallet", "access_token"],
    ),
    "three wallet credentials": (
        wallet(access_token=f'"{VALUE}"', login=f'{{ merchant_id = "m", password = "{VALUE}" }}'),
        "config.key",
        ["api_key in wallet", "access_token"],
    ),
    "token beside key and secret": (
        merchant(api_key=f'"{VALUE}"', api_secret=f'"{VALUE}"'),
        "config.key",
        ["api_secret in merchant", "token"],
    ),
    "token beside key": (merchant(api_key=f'"{VALUE}"'), "config.key", ["api_key in merchant", "token"]),
    "token beside secret": (
        merchant(api_secret=f'"{VALUE}"'),
        "config.key",
        ["api_secret in merchant", "token"],
    ),
    "key without secret": (
        merchant(token=None, api_key=f'"{VALUE}"'),
        "config.key",
        ["api_secret in merchant"],
    ),
    "secret without key": (
        merchant(token=None, api_secret=f'"{VALUE}"'),
        "config.key",
        ["api_key in merchant"],
    ),
    # accounts
    "one name twice": (
        pair("wallet", {"name": '"two"'}, {}),
        "config.account",
        ["name in wallet", "wallet 1"],
    ),
    "one name at two providers": (
        loopring(name='"wallet"') + wallet(),
        "config.account",
        ["name in wallet", "loopring"],
    ),
    "one relayer account twice": (
        pair("loopring", {}, {}),
        "config.account",
        ['loopring "two"', 'loopring "one"'],
    ),
    "one wallet twice": (pair("wallet", {}, {}), "config.account", ['wallet "two"', 'wallet "one"']),
    "one merchant twice": (pair("merchant", {}, {}), "config.account", ['merchant "two"', 'merchant "one"']),
    # values
    "text for a number": (loopring(account_id=f'"{VALUE}"'), "config.value", ["account_id in loopring"]),
    "number for a text": (wallet(wallet_id="5"), "config.value", ["wallet_id in wallet"]),
    "number for a secret": (loopring(api_key="5"), "config.value", ["api_key in loopring"]),
    "table for a secret": (
        loopring(api_key=f'{{ file = "{VALUE}" }}'),
        "config.value",
        ["api_key in loopring"],
    ),
    "text for a list": (loopring(assets=f'"{VALUE}"'), "config.value", ["assets in loopring"]),
    "text for a login": (wallet(api_key=None, login=f'"{VALUE}"'), "config.value", ["login in wallet"]),
    "text for an account": (f'[profiles.main]\nloopring = "{VALUE}"', "config.value", ["main.loopring"]),
    "text for a profile": (f'[profiles]\nmain = "{VALUE}"', "config.value", ["profiles.main"]),
    "text for the profiles": (f'profiles = "{VALUE}"', "config.value", ["profiles"]),
    "number for the default": ("default_profile = 5\n" + loopring(), "config.value", ["default_profile"]),
    "text for seconds": (
        beside(f'timeout = "{VALUE}"'),
        "config.value",
        ['timeout in profile "main" is not a duration', "500ms"],
    ),
    "proxy of no kind": (
        beside(f'proxy = "socks5://user:{VALUE}@127.0.0.1:9"'),
        "config.value",
        ['proxy in profile "main"'],
    ),
    "choice that is none": (
        wallet(balance_is=f'"{VALUE}"'),
        "config.value",
        ["balance_is in wallet", "total"],
    ),
    "plain HTTP": (
        loopring(base_url=f'"http://{VALUE}.example"'),
        "config.value",
        ["base_url in loopring", "https"],
    ),
    # variables
    "undefined variable": (
        loopring(api_key=f'"{VALUE}${{NO_SUCH_NAME}}"'),
        "config.variable",
        ["api_key in loopring", "NO_SUCH_NAME"],
    ),
    "malformed variable": (
        loopring(api_key=f'"{VALUE}${{NO SUCH NAME}}"'),
        "config.variable",
        ["api_key in loopring", "$${"],
    ),
    # secrets
    "empty secret": (loopring(api_key='""'), "config.secret", ["api_key in loopring"]),
    "blank secret": (wallet(api_key='" \u00a0 "'), "config.secret", ["api_key in wallet"]),
    "line break in a secret": (
        merchant(token=f'"{VALUE}\\r\\nX-Evil: 1"'),
        "config.secret",
        ["token in merchant"],
    ),
    "zero-width character in a secret": (
        loopring(api_key=f'"{VALUE}\u200b"'),
        "config.secret",
        ["api_key in loopring"],
    ),
    # syntax
    "quote that is not closed": (loopring(api_key=f'"{VALUE}'), "config.syntax", ["config.toml:3: "]),
    "deep list": (f'x = "{VALUE}"\ny = {"[" * 100_000}', "config.syntax", []),
    "long number": (loopring(account_id="9" * 5000), "config.syntax", []),
}


@each_case("fault", FAULTS)
def test_fault_is_told_with_its_code_and_place(tmp_path: Path, fault: str) -> None:
    """A fault of the file has its code, names file and key, and shows no value."""
    text, code, parts = FAULTS[fault]
    check_fault(tmp_path, text, code, *parts)


@each_case("fault", {code: name for name, (_, code, _) in FAULTS.items()}.values())
def test_fault_ends_the_run(program: Program, fault: str) -> None:
    """A fault of any kind ends the run before any request, with a document and a line on stderr."""
    text, code, parts = FAULTS[fault]
    result = program.with_profile(text, "all", "-o", "json")
    check_refusal(result, code, "config.toml", *parts)


@each_case("arguments", [[], ["-o", "table"], ["-q"]], ids=["default", "table", "quiet"])
@each_case("fault", ["missing credential", "quote that is not closed"])
def test_fault_is_told_on_stderr_alone_without_a_document(
    program: Program, fault: str, arguments: list[str]
) -> None:
    """Where no document is asked for, stdout stays empty; the code and the line are the same, also with -q."""
    text, _, parts = FAULTS[fault]
    result = program.with_profile(text, "all", *arguments)
    expected = (3, "", 1)
    assert expected == (result.code, result.out, result.err.count("\n"))
    check_message(result.err, "config.toml", *parts)


def names_of(file: Path, environ: Mapping[str, str] | None = None) -> list[str]:
    """The accounts of a profile file. Raises the ConfigErrors."""
    profile = load(file, must_exist=True, name=None, env_file=None, environ=environ or {})
    return [each.account.name for each in open_accounts(profile, SecretSources(Deadline(10))) if each.account]


def refusal(file: Path, environ: Mapping[str, str] | None = None) -> ConfigError:
    """What stands in the way of the accounts of a profile file."""
    with pytest.raises(ConfigError) as caught:
        names_of(file, environ)
    return caught.value


def check_fault(
    folder: Path, text: str | bytes, code: str, *parts: str, environ: Mapping[str, str] | None = None
) -> None:
    """A profile with this text is refused with that code, and a message that names file and key."""
    file = folder / "config.toml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    file.chmod(0o600)
    problem = refusal(file, environ)
    assert code == problem.code
    check_message(problem.message, "config.toml", *parts)


# Values of the wrong type, in TOML.
OTHERS = {
    "truth": "true",
    "fraction": "1.5",
    "infinity": "inf",
    "date": "2026-11-21",
    "time": "07:32:00",
    "list": f'["{VALUE}"]',
    "table": f'{{ x = "{VALUE}" }}',
}


@each_case("other", OTHERS)
@each_case(
    ("provider", "key"),
    [
        ("loopring", "api_key"),
        ("loopring", "base_url"),
        ("loopring", "name"),
        ("loopring", "account_id"),
        ("wallet", "wallet_id"),
        ("wallet", "balance_is"),
        ("merchant", "token"),
        ("merchant", "merchant_id"),
    ],
    ids=".".join,
)
def test_value_of_another_type_is_refused(tmp_path: Path, provider: str, key: str, other: str) -> None:
    """A key takes values of its own type alone; nothing is converted."""
    text = table(f"[profiles.main.{provider}]", **{key: OTHERS[other]})
    check_fault(tmp_path, text, "config.value", f"{key} in {provider}")


@each_case(
    ("text", "code", "parts"),
    [
        pytest.param(loopring(assets="[]"), "config.value", ["assets in loopring"], id="empty list"),
        pytest.param(
            loopring(assets='["ETH", 5]'), "config.value", ["assets in loopring"], id="number in a list"
        ),
        pytest.param(
            loopring(assets='["ETH", ""]'), "config.value", ["assets in loopring"], id="empty text in a list"
        ),
        pytest.param(
            loopring(assets='["${EMPTY}"]'),
            "config.value",
            ["assets in loopring"],
            id="empty variable in a list",
        ),
        pytest.param(
            wallet(assets='["\\u0007"]'),
            "config.value",
            ["assets in wallet"],
            id="control character in a list",
        ),
        pytest.param(loopring(account_id='"${EMPTY}"'), "config.value", ["account_id"], id="empty number"),
        pytest.param(
            loopring(account_id='"1_000"'), "config.value", ["account_id"], id="number with a separator"
        ),
        pytest.param(
            loopring(account_id='"١٢"'), "config.value", ["account_id"], id="number of other digits"
        ),
        pytest.param(loopring(account_id='" 1"'), "config.value", ["account_id"], id="number with a blank"),
        pytest.param(wallet(wallet_id='""'), "config.value", ["wallet_id in wallet"], id="empty text"),
        pytest.param(
            wallet(wallet_id=f'"{VALUE}\\n"'), "config.value", ["wallet_id"], id="text with a line break"
        ),
        pytest.param(
            wallet(wallet_id=f'"{VALUE}\\u202e"'), "config.value", ["wallet_id"], id="text that turns"
        ),
        pytest.param(loopring(name='""'), "config.value", ["name in loopring"], id="empty name"),
        pytest.param(
            loopring(name='"\\u001b[2J"'), "config.value", ["name in loopring"], id="name with an escape"
        ),
        pytest.param(loopring(name='"-o"'), "config.value", ["name in loopring"], id="name like an option"),
        pytest.param(loopring(name=f'"{"n" * 101}"'), "config.value", ["name in loopring"], id="long name"),
        pytest.param(beside("timeout = 0"), "config.value", ['timeout in profile "main"'], id="no seconds"),
        pytest.param(
            beside("timeout = nan"),
            "config.value",
            ['timeout in profile "main"'],
            id="seconds that are no number",
        ),
        pytest.param(
            beside("deadline = inf"), "config.value", ['deadline in profile "main"'], id="endless seconds"
        ),
        pytest.param(
            beside("deadline = true"), "config.value", ['deadline in profile "main"'], id="true seconds"
        ),
        pytest.param(
            beside("deadline = -1"), "config.value", ['deadline in profile "main"'], id="negative seconds"
        ),
        pytest.param(
            beside("retries = -1"), "config.value", ['retries in profile "main"'], id="negative retries"
        ),
        pytest.param(
            beside("retries = 1.0"), "config.value", ['retries in profile "main"'], id="fraction of a retry"
        ),
        pytest.param(beside("jobs = 0"), "config.value", ['jobs in profile "main"'], id="no jobs"),
        pytest.param(
            beside(f"jobs = 0x{'f' * 5000}"), "config.value", ['jobs in profile "main"'], id="too many jobs"
        ),
        pytest.param(beside("jobs = true"), "config.value", ['jobs in profile "main"'], id="true jobs"),
        pytest.param(
            beside("proxy = 5"), "config.value", ['proxy in profile "main"'], id="number for a proxy"
        ),
        pytest.param(beside('proxy = ""'), "config.value", ['proxy in profile "main"'], id="empty proxy"),
        pytest.param(
            beside(f'proxy = "{VALUE}:9"'),
            "config.value",
            ['proxy in profile "main"'],
            id="proxy without a scheme",
        ),
        pytest.param(
            beside(f'proxy = "http://{VALUE}:99999"'),
            "config.value",
            ['proxy in profile "main"'],
            id="proxy of no port",
        ),
        pytest.param(
            beside("ca_bundle = 5"), "config.value", ['ca_bundle in profile "main"'], id="number for a bundle"
        ),
        pytest.param(
            beside('ca_bundle = ""'), "config.value", ['ca_bundle in profile "main"'], id="empty bundle"
        ),
        pytest.param(
            beside("limits = 5"), "config.value", ['limits in profile "main"'], id="number for the limits"
        ),
        pytest.param(
            beside(f'limits = ["{VALUE}"]'),
            "config.value",
            ["limit 1 must be a table"],
            id="text for a limit",
        ),
        pytest.param(held('crit = "500:"'), "config.key", ["asset in limit 1"], id="limit on nothing"),
        pytest.param(
            held('asset = "USDT"'), "config.key", ["crit in limit 1", "warn"], id="limit of no range"
        ),
        pytest.param(
            held('asset = "USDT"', f'krit = "{VALUE}"', 'crit = "1:"'),
            "config.key",
            ['unknown key "krit" in limit 1', '"crit"?'],
            id="unknown key of a limit",
        ),
        pytest.param(
            held(
                'asset = "USDT"', 'crit = "1:"', "[[profiles.main.limits]]", 'asset = "usdt"', 'warn = "2:"'
            ),
            "config.key",
            ["limit 2 has the same", "limit 1"],
            id="two limits on one amount",
        ),
        pytest.param(
            held('asset = "USDT"', f'account = "{VALUE}"', 'crit = "1:"'),
            "config.account",
            ["account in limit 1", "use one of: loopring"],
            id="limit on an unknown account",
        ),
        pytest.param(
            '[[profiles.main.limits]]\nasset = "USDT"\naccount = "shop"\ncrit = "1:"',
            "config.account",
            ["account in limit 1", "none exist"],
            id="limit without accounts",
        ),
        pytest.param(
            held('asset = "USDT"', 'crit = "${NO_SUCH}:"'),
            "config.variable",
            ["crit in limit 1", "NO_SUCH"],
            id="undefined variable in a limit",
        ),
        *(
            pytest.param(
                held(
                    'asset = "USDT"' if key != "asset" else "", 'crit = "1:"' if key != "crit" else "", line
                ),
                "config.value",
                [f"{key} in limit 1 ", *parts],
                id=f"limit with {line}",
            )
            for key, line, *parts in [
                ("crit", "crit = 500", 'as "1000:"'),
                ("crit", "crit = 0.5", "quotes"),
                ("crit", f'crit = "{VALUE}"', "10:20"),
                ("warn", 'warn = "1e3:"', "plain decimal"),
                ("field", f'field = "{VALUE}"', "available, total or locked"),
                ("asset", 'asset = ""'),
                ("asset", 'asset = "US\\u0000DT"'),
                ("asset", 'asset = ["USDT", 1]'),
                ("asset", "asset = []"),
                ("asset", 'asset = ["USDT", "USDT"]'),
                ("exact", 'exact = "true"'),
            ]
        ),
        pytest.param(
            held('asset = "USDT"', 'crit = "20:10"'),
            "config.value",
            ["crit in limit 1 starts"],
            id="range turned round",
        ),
        pytest.param(
            held('asset = "USDT"', 'crit = "~:"'), "config.value", ["never alert"], id="limit without bounds"
        ),
        pytest.param(
            held('asset = "nft:5"', 'crit = "1:"'), "config.value", ["an NFT"], id="limit on an NFT"
        ),
        pytest.param(
            f'[profiles.main]\nwallet = ["{VALUE}"]',
            "config.value",
            ["main.wallet"],
            id="text for one of many",
        ),
        pytest.param(
            wallet(api_key=None, login=f'{{ merchant_id = 1.5, password = "{VALUE}" }}'),
            "config.value",
            ["login.merchant_id in wallet"],
            id="fraction for a login's merchant",
        ),
        pytest.param(
            wallet(api_key=None, login=f'{{ merchant_id = "m\\n", password = "{VALUE}" }}'),
            "config.value",
            ["login.merchant_id in wallet"],
            id="line break in a login's merchant",
        ),
        pytest.param(
            wallet(api_key=None, login='{ merchant_id = "m", born = 2026-11-21 }'),
            "config.value",
            ["login.born in wallet"],
            id="date in a login",
        ),
        pytest.param(
            wallet(api_key=None, login=f'{{ merchant_id = "m", more = {{ password = "{VALUE}\\u0000" }} }}'),
            "config.secret",
            ["login.more.password in wallet"],
            id="control character in a login",
        ),
        pytest.param(
            wallet(api_key=None, login='{ merchant_id = "m", password = "" }'),
            "config.secret",
            ["login.password in wallet"],
            id="empty password",
        ),
        pytest.param(
            loopring(address='"0x12"', account_id=None), "config.", ["address in loopring"], id="address"
        ),
        pytest.param(
            loopring(account_id="-1"), "config.", ["account_id in loopring"], id="negative account_id"
        ),
        pytest.param(
            merchant(merchant_id="-1"), "config.", ["merchant_id in merchant"], id="negative merchant_id"
        ),
    ],
)
def test_value_that_makes_no_sense_is_refused(tmp_path: Path, text: str, code: str, parts: list[str]) -> None:
    """A value of the right type that cannot be meant is refused at its place, before any request."""
    file = tmp_path / "config.toml"
    file.write_text(text)
    file.chmod(0o600)
    problem = refusal(file, {"EMPTY": ""})
    assert problem.code.startswith(code)
    check_message(problem.message, "config.toml", *parts)


@each_case(
    "value",
    [
        *("${NO_SUCH_NAME}", "${no_such_name}", "${}", "${A", "${", "${ A}", "${A }", "${A-B}", "${1A}"),
        *("${A:-default}", "${A.B}", "${Ä}", "${${A}}", "${A\\n}"),
    ],
)
@each_case(
    ("place", "text"),
    [
        ("api_key in loopring", loopring(api_key='"{}"')),
        ("account_id in loopring", loopring(account_id='"{}"')),
        ("base_url in loopring", loopring(base_url='"https://{}.example"')),
        ("name in loopring", loopring(name='"{}"')),
        ("assets in loopring", loopring(assets='["{}"]')),
        ("login.password in wallet", wallet(api_key=None, login='{ merchant_id = "m", password = "{}" }')),
        ("login.merchant_id in wallet", wallet(api_key=None, login='{ merchant_id = "{}" }')),
        ('proxy in profile "main"', beside('proxy = "http://{}:9"')),
        ('ca_bundle in profile "main"', beside('ca_bundle = "{}"')),
    ],
    ids=["secret", "number", "base_url", "name", "list", "login", "merchant", "proxy", "bundle"],
)
def test_variable_that_cannot_be_filled_in_is_refused(
    tmp_path: Path, place: str, text: str, value: str
) -> None:
    """An undefined name, or a `${` that begins no variable, is an error at its place, wherever it stands."""
    environ = {"A": VALUE, "A-B": VALUE, "1A": VALUE, "Ä": VALUE, "": VALUE}
    check_fault(tmp_path, text.replace("{}", value), "config.variable", place, environ=environ)


FLAWS = {
    "empty": "",
    "blank": "   ",
    "tab": f"{VALUE}\tx",
    "line feed": f"{VALUE}\nx",
    "final line feed": f"{VALUE}\n",
    "carriage return": f"{VALUE}\rx",
    "escape": f"\x1b{VALUE}",
    "delete": f"{VALUE}\x7f",
    "C1": f"{VALUE}\x85",
    "cyrillic": f"{VALUE}ключ",
    "zero width": f"{VALUE}\u200b",
    "bidirectional": f"\u202e{VALUE}",
    "emoji": f"{VALUE}🔑",
    "unpaired": f"{VALUE}\udcff",
    "euro": f"{VALUE}€",
}


@each_case("flaw", FLAWS)
@each_case(
    ("place", "text"),
    [
        ("api_key in loopring", loopring(api_key='"${SECRET}"')),
        ("api_key in wallet", wallet(api_key='"${SECRET}"')),
        ("access_token in wallet", wallet(api_key=None, access_token='"${SECRET}"')),
        (
            "login.password in wallet",
            wallet(api_key=None, login='{ merchant_id = "m", password = "${SECRET}" }'),
        ),
        ("token in merchant", merchant(token='"${SECRET}"')),
        ("api_key in merchant", merchant(token=None, api_key='"${SECRET}"', api_secret='"x"')),
        ("api_secret in merchant", merchant(token=None, api_key='"x"', api_secret='"${SECRET}"')),
    ],
    ids=lambda value: value if len(value) < 30 else "",
)
def test_secret_that_cannot_be_sent_is_refused(tmp_path: Path, place: str, text: str, flaw: str) -> None:
    """A secret that is empty, blank or no header's text is refused without a character of it shown."""
    environ = {"SECRET": FLAWS[flaw]}
    check_fault(tmp_path, text, "config.secret", place, environ=environ)


@each_case(
    ("flaw", "parts"),
    [
        ("unpaired", ["BALCLI_LOOPRING_API_KEY"]),
        ("carriage return", ["BALCLI_LOOPRING_API_KEY"]),
        ("cyrillic", ["BALCLI_LOOPRING_API_KEY"]),
        ("empty", ["BALCLI_LOOPRING_API_KEY"]),
    ],
)
def test_secret_of_a_variable_is_checked_alike(program: Program, flaw: str, parts: list[str]) -> None:
    """A secret from the environment that cannot be sent is refused, and its variable named."""
    env = {"BALCLI_LOOPRING_API_KEY": FLAWS[flaw], "BALCLI_LOOPRING_ACCOUNT_ID": "1"}
    check_refusal(program.run("all", "-o", "json", env=env), "config.secret", *parts)


@each_case(
    ("variables", "code", "part"),
    [
        pytest.param({"NO_SUCH_KEY": VALUE}, "config.key", "NO_SUCH_KEY", id="unknown"),
        pytest.param({"LOGIN": VALUE}, "config.key", "LOGIN", id="table"),
        pytest.param({"WALLET_ID": ""}, "config.value", "WALLET_ID", id="empty"),
        pytest.param({"BASE_URL": f"http://{VALUE}.example"}, "config.value", "BASE_URL", id="plain HTTP"),
        pytest.param({"BALANCE_IS": VALUE}, "config.value", "BALANCE_IS", id="choice"),
        pytest.param({"NAME": f"{VALUE}\n"}, "config.value", "NAME", id="name"),
        pytest.param({"ACCESS_TOKEN": VALUE}, "config.key", "API_KEY", id="two credentials"),
        pytest.param({"API_KEY": None}, "config.key", "ACCESS_TOKEN", id="no credential"),
        pytest.param({"WALLET_ID": None}, "config.key", "WALLET_ID", id="no wallet_id"),
        pytest.param({"BASE_URL": None}, "config.key", "BASE_URL", id="no base_url"),
    ],
)
def test_fault_in_a_variable_names_it(
    program: Program, variables: dict[str, str | None], code: str, part: str
) -> None:
    """A fault in the settings of the environment is told by the variable's name, without its value."""
    whole = {"API_KEY": BESIDE, "WALLET_ID": "w-1", "BASE_URL": "http://127.0.0.1:9"}
    env = {f"BALCLI_WALLET_{key}": value for key, value in (whole | variables).items() if value is not None}
    check_refusal(program.run("all", "-o", "json", env=env), code, f"BALCLI_WALLET_{part}")


def test_account_of_the_environment_with_the_name_of_another_is_refused(program: Program) -> None:
    """An account that variables describe cannot have the name of one in the profile."""
    env = {"BALCLI_MERCHANT_TOKEN": VALUE, "BALCLI_MERCHANT_NAME": "mine"}
    result = program.with_profile(loopring(name='"mine"'), "all", "-o", "json", env=env)
    check_refusal(result, "config.account", "config.toml", "loopring", "BALCLI_MERCHANT_NAME")


@each_case(
    ("url", "part"),
    [
        pytest.param(f"http://{VALUE}.example", "https", id="name"),
        pytest.param("http://192.0.2.1", "https", id="address"),
        pytest.param("HTTP://relay.example", "https", id="upper case"),
        pytest.param("http://127.0.0.1.evil.example", "https", id="loopback as a label"),
        pytest.param("http://localhost.evil.example", "https", id="localhost as a label"),
        pytest.param("http://evil.example/127.0.0.1", "https", id="loopback as a path"),
        pytest.param("http://2130706433", "https", id="loopback as a number"),
        pytest.param("http://127.0.0.1@evil.example", "user", id="loopback as a user"),
        pytest.param("http://localhost:80@evil.example", "user", id="localhost as a user"),
        pytest.param(f"https://user:{VALUE}@relay.example", "user", id="user and password"),
        pytest.param(f"https://{VALUE}@relay.example", "user", id="user"),
        pytest.param("https://@relay.example", "user", id="empty user"),
        pytest.param(f"https://relay.example/#{VALUE}", "fragment", id="fragment"),
        pytest.param("https://relay.example#", "fragment", id="empty fragment"),
        pytest.param("http://evil.example#@127.0.0.1", "", id="loopback as a fragment"),
        pytest.param(f"https://relay.example/?key={VALUE}", "query", id="query"),
        pytest.param("https://relay.example?", "query", id="empty query"),
        pytest.param(f"https://relay.example:{VALUE}", "", id="port of letters"),
        pytest.param("https://relay.example:99999", "", id="port out of range"),
        pytest.param("https://relay.example:0", "", id="port 0"),
        pytest.param("relay.example", "", id="no scheme"),
        pytest.param("//relay.example", "", id="no scheme but slashes"),
        pytest.param("https://", "", id="no host"),
        pytest.param("ftp://relay.example", "", id="other scheme"),
        pytest.param("file:///etc/passwd", "", id="file"),
        pytest.param("https://relay.example\\\\@evil.example", "", id="backslash"),
        pytest.param("https://relay.example/\\u0009x", "", id="tab"),
        pytest.param("https://relay.example /x", "", id="blank"),
        pytest.param("https://rеlay.example", "", id="cyrillic letter"),
        pytest.param("https://[::1", "", id="bracket that is not closed"),
        pytest.param("https://.relay.example", "", id="empty first label"),
        pytest.param("https://*.relay.example", "", id="wildcard"),
        pytest.param("https://relay..example", "", id="empty label"),
        pytest.param(f"https://{'a' * 64}.example", "", id="long label"),
        pytest.param("https://%zz.example", "", id="broken escape"),
        pytest.param("http://relay.example[::1]", "", id="name before a loopback address"),
    ],
)
def test_url_that_credentials_must_not_go_to_is_refused(tmp_path: Path, url: str, part: str) -> None:
    """A base_url that is no plain address of an HTTPS server, or of a loopback one, is refused."""
    check_fault(tmp_path, loopring(base_url=f'"{url}"'), "config.value", "base_url in loopring", part)


@each_case(
    "url",
    [
        "http://127.0.0.1.evil.example",
        "http://127.0.0.1@evil.example",
        "http://localhost.evil.example",
        "http://evil.example[::1]",
        "https://*.evil.example",
        "https://evil.example#@127.0.0.1",
        "https://evil.example?@127.0.0.1",
    ],
)
def test_nobody_is_asked_at_a_url_in_disguise(program: Program, url: str) -> None:
    """A base_url made to look like the loopback address, or like one server when it is another, is refused unseen."""
    text = loopring(base_url=f'"{url}"')
    result = program.with_profile(text, "all", "-o", "json", "--retries", "0", "--timeout", "0.5")
    check_refusal(result, "config.value", "config.toml", "base_url in loopring")
    assert "evil" not in result.err


@each_case(
    ("provider", "first", "second"),
    [
        pytest.param("loopring", {}, {"api_key": f'"{VALUE}"'}, id="account_id under two keys"),
        pytest.param("loopring", {}, {"base_url": '"http://127.0.0.1:9/"'}, id="final slash"),
        pytest.param("loopring", {}, {"account_id": '"11329"'}, id="number and text"),
        pytest.param(
            "loopring",
            {"account_id": None, "address": f'"0x{"ab" * 20}"'},
            {"account_id": None, "address": f'"0x{"AB" * 20}"'},
            id="address in two cases",
        ),
        pytest.param(
            "wallet", {}, {"api_key": None, "access_token": f'"{VALUE}"'}, id="wallet under two keys"
        ),
        pytest.param("wallet", {}, {"wallet_id": '"W-1"'}, id="wallet_id in two cases"),
        pytest.param("merchant", {}, {"token": f'"{VALUE}"'}, id="merchant under two tokens"),
        pytest.param(
            "merchant", {"merchant_id": "0"}, {"merchant_id": None}, id="aggregate, once by default"
        ),
        pytest.param(
            "merchant",
            {"base_url": '"https://api.velafi.com"'},
            {"base_url": None},
            id="base_url, once by default",
        ),
        pytest.param(
            "merchant", {"base_url": '"https://API.VelaFi.com"'}, {"base_url": None}, id="host in two cases"
        ),
        pytest.param(
            "merchant", {"base_url": '"https://api.velafi.com:443"'}, {"base_url": None}, id="port as implied"
        ),
    ],
)
def test_one_account_under_two_names_is_refused(
    tmp_path: Path, provider: str, first: dict[str, str | None], second: dict[str, str | None]
) -> None:
    """Two entries that are one account at the provider would count its money twice."""
    text = pair(provider, first, second)
    check_fault(tmp_path, text, "config.account", f'{provider} "one"', f'{provider} "two"')


@each_case(
    ("provider", "first", "second"),
    [
        pytest.param("loopring", {}, {"base_url": '"http://127.0.0.1:10"'}, id="two servers"),
        pytest.param("loopring", {}, {"base_url": '"http://127.0.0.1:9/other"'}, id="two paths"),
        pytest.param("loopring", {}, {"account_id": "11330"}, id="two accounts"),
        pytest.param("wallet", {}, {"wallet_id": '"w-2"'}, id="two wallets"),
        pytest.param("merchant", {}, {"merchant_id": "8"}, id="two merchants"),
        pytest.param("merchant", {}, {"merchant_id": "0"}, id="merchant and aggregate"),
        pytest.param(
            "merchant",
            {"merchant_id": "0"},
            {"merchant_id": "0", "token": f'"{VALUE}"'},
            id="aggregates of two tokens",
        ),
    ],
)
def test_two_accounts_are_two(
    tmp_path: Path, provider: str, first: dict[str, str | None], second: dict[str, str | None]
) -> None:
    """Accounts that differ in server or target are both shown, though all else is the same."""
    file = tmp_path / "config.toml"
    file.write_text(pair(provider, first, second))
    file.chmod(0o600)
    assert "one two" == " ".join(names_of(file))


SYNTAX = {
    "open quote": (f'api_key = "{VALUE}', "toml:3: string not closed"),
    "no quotes": (
        f"api_key = {VALUE}",
        "toml:3: invalid value (column 11); put strings in quotes",
    ),
    "no value": (f'"{VALUE}"', "toml:3: "),
    "no sign": (f"api_key {VALUE}", "toml:3: key without a value (column 9); write KEY = VALUE"),
    "stray text": (f'api_key = "{VALUE}" {VALUE}', "toml:3: "),
    "bad escape": (f'api_key = "{VALUE}\\q"', "single \\ in a string (column 33); write it twice"),
    "control character": (f'api_key = "{VALUE}\x01"', "toml:3: "),
    "key twice": (f'api_key = "{VALUE}"\napi_key = "{VALUE}"', "toml:4: "),
    "table twice": (
        f'api_key = "{VALUE}"\n[[profiles.main.loopring]]\n',
        "write several accounts as [[...]]",
    ),
    "list open": (f'assets = ["{VALUE}"', "list or table not closed (column 1); add the missing bracket"),
    "table over a value": (f'x = "{VALUE}"\n[profiles.main.loopring.x]\n', "toml:4: "),
    "several lines open": (f'api_key = """\n{VALUE}\n', ""),
    "number like a date": (f"x = 2026-13-45 # {VALUE}", "toml:3: "),
}


@each_case("fault", SYNTAX)
def test_syntax_error_shows_line_and_column_alone(tmp_path: Path, fault: str) -> None:
    """A TOML error beside, or inside, a secret is told by its place and kind, without what stands there."""
    line, place = SYNTAX[fault]
    text = f'[profiles.main.loopring]\nbase_url = "https://{VALUE}.example"\n{line}\n'
    check_fault(tmp_path, text, "config.syntax", place)


DEPTH = 100_000
HUGE = f"0x{'f' * 5000}"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        pytest.param(f"x = {'[' * DEPTH}{']' * DEPTH}", "config.syntax", id="lists"),
        pytest.param(f"x = {'{x=' * DEPTH}", "config.syntax", id="inline tables"),
        pytest.param(f"[{'x.' * DEPTH}x]", "config.syntax", id="table's name"),
        pytest.param(f"x{'.x' * DEPTH} = 1", "config.syntax", id="key"),
        pytest.param(
            wallet(api_key=None, login=None)
            + f'[profiles.main.wallet.login]\nmerchant_id = "m"\nx{".x" * 800} = 1',
            "config.",
            id="login's key",
        ),
        pytest.param(
            wallet(api_key=None, login=f'{{ merchant_id = "m", x = {"[" * 800}{"]" * 800} }}'),
            "config.",
            id="login's list",
        ),
        pytest.param(f"timeout = {'9' * 5000}", "config.syntax", id="decimal digits"),
        pytest.param(loopring(account_id=HUGE), "config.", id="hexadecimal digits"),
        pytest.param(merchant(merchant_id=HUGE), "config.", id="hexadecimal digits of a merchant"),
        pytest.param(
            wallet(api_key=None, login=f'{{ merchant_id = {HUGE}, password = "{VALUE}" }}'),
            "config.",
            id="hexadecimal digits of a login's merchant",
        ),
        pytest.param(
            wallet(api_key=None, login=f'{{ merchant_id = "m", pin = {HUGE} }}'),
            "config.",
            id="hexadecimal digits in a login",
        ),
    ],
)
def test_text_that_is_too_much_is_refused(program: Program, text: str, code: str) -> None:
    """Nesting and numbers beyond all measure are faults of the file, not of the program."""
    result = program.with_profile(text, "all", "-o", "json", "--retries", "0", "--timeout", "0.5")
    (found,) = [error["code"] for error in result.json["errors"]] or [""]
    assert found.startswith(code)
    check_refusal(result, found, "config.toml")


# Files that are none


def special(folder: Path, kind: str) -> Path:
    """Something at a path that is no profile."""
    path = folder / "special"
    contents: dict[str, bytes] = {
        "over 1 MB": loopring().encode() + b"#" * 1_048_577,
        "100 MB": b"",
        "bad UTF-8": loopring().encode() + b"# \xff\n",
        "UTF-16": loopring().encode("utf-16"),
        "Latin-1": (loopring() + "# é\n").encode("latin-1"),
    }
    if kind in contents:
        path.write_bytes(contents[kind])
        path.chmod(0o600)
        if kind == "100 MB":
            os.truncate(path, 100_000_000)
    elif kind == "directory":
        path.mkdir()
    elif kind == "link to nothing":
        path.symlink_to(folder / "nothing")
    elif kind == "link to itself":
        path.symlink_to(path)
    elif kind == "below a file":
        path.write_text("")
        return path / "config.toml"
    elif kind.startswith("/"):
        return Path(kind)
    return path


KINDS = [
    *("missing", "directory", "/dev/zero", "/dev/null", "link to nothing", "link to itself"),
    *("below a file", "over 1 MB", "100 MB", "bad UTF-8", "UTF-16", "Latin-1"),
]


@each_case("kind", KINDS)
def test_file_that_is_none_is_refused_at_once(program: Program, tmp_path: Path, kind: str) -> None:
    """What is no readable text of a bounded size is refused without waiting for it, its path named."""
    path = special(tmp_path, kind)
    result = program.run("all", "-o", "json", "-c", str(path), timeout=20)
    check_refusal(result, "config.file", f"/{path.name} ")


@each_case("kind", ["missing", "directory", "/dev/zero", "over 1 MB", "UTF-16"])
def test_named_env_file_that_is_none_is_refused_at_once(program: Program, tmp_path: Path, kind: str) -> None:
    """What --env-file names has to be there, and a text of a bounded size."""
    path = special(tmp_path, kind)
    result = program.with_profile(loopring(), "all", "-o", "json", "--env-file", str(path))
    check_refusal(result, "config.file", f"/{path.name} ")


@each_case("kind", ["directory", "over 1 MB", "bad UTF-8"])
def test_env_file_beside_that_is_none_is_refused(program: Program, tmp_path: Path, kind: str) -> None:
    """A `.env` beside the profile that cannot be read as one is an error, not passed over."""
    special(tmp_path, kind).rename(tmp_path / ".env")
    result = program.with_profile(loopring(), "all", "-o", "json")
    check_refusal(result, "config.file", "/.env ")


@each_case(
    ("content", "number"),
    [
        pytest.param(f"{VALUE} {VALUE}\n", 1, id="words"),
        pytest.param(f"={VALUE}\n", 1, id="no name"),
        pytest.param(f"A=1\nKEY='{VALUE}\n", 2, id="single quote that is not closed"),
        pytest.param(f'A=1\n\n\nKEY="{VALUE}\nB=2\n', 4, id="double quote that is not closed"),
        pytest.param(f"# a comment\n\n  \nKEY '{VALUE}'\n", 4, id="no sign"),
        pytest.param(f"A='1\n2'\nKEY: {VALUE}\n", 3, id="colon, after a value of two lines"),
        pytest.param(f"A=1\r\n\r\nKEY='{VALUE}' {VALUE}\r\nB=2\r\n", 3, id="text after a value, CRLF"),
        pytest.param(f"A=1\nB='{VALUE}\n{VALUE}' x\n", 2, id="text after a value of two lines"),
        pytest.param(f"A=1\n{VALUE} = \n= {VALUE}", 3, id="last line"),
        pytest.param(f"\ufeffKEY {VALUE}\n", 1, id="byte-order mark"),
        pytest.param("-----BEGIN PRIVATE KEY-----\n" + VALUE, 1, id="another file"),
    ],
)
def test_line_of_an_env_file_that_does_not_parse_is_told_by_its_number(
    program: Program, content: str, number: int
) -> None:
    """A line of a `.env` that sets no variable is an error with the number of the line it begins on."""
    file = program.folder / ".env"
    file.write_bytes(content.encode())
    file.chmod(0o600)
    result = program.with_profile(loopring(), "all", "-o", "json")
    check_refusal(result, "config.syntax", f"/.env:{number}: ")


@each_case("content", ["missing", "garbage", "empty", "directory", "FIFO", "NUL"])
def test_ca_bundle_that_is_none_is_refused(program: Program, tmp_path: Path, content: str) -> None:
    """A CA bundle without certificates is a fault of the profile, at its key, also where reading it would block."""
    path = tmp_path / "company-ca.pem"
    if content == "garbage":
        path.write_text(f"-----BEGIN CERTIFICATE-----\n{VALUE}\n-----END CERTIFICATE-----\n")
    elif content == "empty":
        path.touch()
    elif content == "directory":
        path.mkdir()
    elif content == "FIFO":
        os.mkfifo(path)
    name = "company-ca.pem" + "\\u0000" * (content == "NUL")
    text = f'[profiles.main]\nca_bundle = "{name}"\n' + loopring(base_url='"https://192.0.2.1"')
    result = program.run("all", "-o", "json", "-c", str(program.write(text)), timeout=15)
    check_refusal(result, "config.value", "config.toml", 'ca_bundle in profile "main"')


# Messages that stay whole


def deep(folder: Path, length: int) -> Path:
    """A profile file below that folder whose path has at least that many characters."""
    while len(str(folder)) < length:
        folder = folder / "a-folder-with-a-long-name"
    folder.mkdir(parents=True)
    return folder / "config.toml"


@each_case(
    ("fault", "parts"),
    [
        ("missing credential", ["api_key in loopring"]),
        ("one name twice", ["name in wallet", "wallet 1"]),
        ("one wallet twice", ['wallet "two"', 'wallet "one"']),
        ("undefined variable", ["api_key in loopring", "NO_SUCH_NAME"]),
        ("unknown key of the profile", ["timeuot"]),
        ("quote that is not closed", ["config.toml:3: "]),
    ],
)
def test_message_about_a_file_deep_down_is_whole(
    program: Program, tmp_path: Path, fault: str, parts: list[str]
) -> None:
    """The line that stderr has room for names file and key also where the path is long."""
    text, code, _ = FAULTS[fault]
    file = deep(tmp_path, 110)
    file.write_text(text)
    file.chmod(0o600)
    result = program.run("all", "-o", "json", "-c", str(file))
    check_refusal(result, code, "config.toml", *parts)


@each_case("name", ["absent\x1b[2J", "absent\nbalcli: all is well", "absent\u202e", "n" * 5000])
@each_case("kind", ["profile", "account"])
def test_name_from_the_command_line_is_shown_on_one_line(program: Program, kind: str, name: str) -> None:
    """A name that is not there is escaped and cut in the message, which stays one line with the names there are."""
    arguments = ["-p", name] if kind == "profile" else [name]
    result = program.with_profile(loopring(), "all", "-o", "json", *arguments)
    there = "main" if kind == "profile" else "loopring"
    check_refusal(result, f"config.{kind}", f"use one of: {there}")
    assert result.err.rstrip("\n").isprintable()
