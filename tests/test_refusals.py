"""Whose fault a refusal is: the credentials, their age, this machine's clock, or somebody in between."""

import base64
import json
import re
import time
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from email.utils import formatdate
from typing import Any, Final

import pytest

from balcli.http import jwt
from balcli.secret import Secret, placeholder_problem
from tests.conftest import Program, Result
from tests.faults.wire import sends
from tests.lists import each_case
from tests.wire import GOOD, TOKEN, Script, Wire, answer, assert_no_secret, keeps, loopring, merchant, wallet

HTML: Final = "Content-Type: text/html; charset=utf-8"
PAGE: Final = b"<!doctype html><title>Access denied</title>"
KEY: Final = "kP5wT8sV2xR7mQ4zL9cN3bD6"
LOGIN: Final = 'login = {{ merchant_id = "m-1", email = "a@b.example", {} }}'


def status(number: int, body: bytes = b"", *headers: str) -> Script:
    """A script that answers with this status, and with these headers in the place of those of JSON."""
    raw = answer(body, f"{number} Now", *headers)
    return sends(raw.replace(b"Content-Type: application/json\r\n", b"", 1) if headers else raw)


def dated(ahead: int, number: int = 401) -> Script:
    """A script that refuses with the time of a clock which is that far ahead of this one."""
    return lambda connection, _: connection.sendall(
        answer(b"", f"{number} Now", f"Date: {formatdate(time.time() + ahead, usegmt=True)}")
    )


def part(claims: object) -> str:
    """A part of a JWT."""
    return base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")


def token(seconds: float, **claims: object) -> str:
    """A JWT that expires in so many seconds."""
    return f"{part({'alg': 'none'})}.{part({**claims, 'exp': int(time.time() + seconds)})}.cPq7-sT_vW9x"


def error_of(result: Result) -> tuple[int, str, str]:
    """The exit code, the code of the only account's error and its message, which stderr repeats."""
    (account,) = result.json["accounts"]
    message = account["error"]["message"]
    assert result.err.splitlines()[0] == f"balcli: {account['account']}: {message}"
    assert len(result.err.splitlines()[0]) <= 300
    return result.code, account["error"]["code"], message


def both(program: Program, profile: str, *arguments: str, env: Mapping[str, str] | None = None) -> Result:
    """The run of a command; the doctor says the same and ends with the same code."""
    result = program.with_profile(profile, *arguments, "-o", "json", env=env)
    diagnosis = program.run("doctor", "-o", "json", "--config", str(program.file), env=env)
    (account,) = result.json["accounts"]
    steps = [step for step in diagnosis.json["steps"] if step["step"] == "credentials"]
    assert diagnosis.code == result.code
    assert [f"{step['message']}; {step['cure']}" for step in steps] == [account["error"]["message"]]
    return result


# A firewall.


ANSWERS: Final[dict[str, tuple[Script, bool]]] = {
    "403, a page": (status(403, PAGE, HTML), True),
    "403, a page as JSON": (status(403, PAGE), True),
    "403, a page behind blanks": (status(403, b"\xef\xbb\xbf\r\n <html>"), True),
    "403, XML": (status(403, b"<?xml version='1.0'?><Error/>", "Content-Type: application/xml"), True),
    "403, an empty page": (status(403, b"", HTML), True),
    "403, words as a page": (status(403, b"Forbidden", "content-type: TEXT/HTML"), True),
    "403, XHTML": (status(403, b"", "Content-Type: application/xhtml+xml"), True),
    "451": (status(451), True),
    "451, words": (status(451, b'{"message": "not here"}'), True),
    "451, a page": (status(451, PAGE, HTML), True),
    "403": (status(403), False),
    "403, words": (status(403, b'{"message": "no right"}'), False),
    "403, JSON as a page": (status(403, b'{"message": "<b>no right</b>"}', HTML), False),
    "403, text": (status(403, b"Forbidden", "Content-Type: text/plain"), False),
    "401": (status(401), False),
    "401, a page": (status(401, PAGE, HTML), False),
}


def together(program: Program, tables: Iterable[str], *arguments: str) -> tuple[Result, list[Any]]:
    """The run of the profile with these tables of an account each, and the errors of the accounts."""
    text = "".join(
        re.sub(r"\[(profiles[.]main[.]\w+)\]", rf'[[\1]]\nname = "a{n}"', table)
        for n, table in enumerate(tables)
    )
    result = program.with_profile(text, "all", "-o", "json", *arguments)
    return result, [account["error"] for account in result.json["accounts"]]


@pytest.mark.parametrize("profile", [loopring, merchant, wallet])
def test_a_page_is_a_firewalls_and_a_401_the_credentials(program: Program, profile: Any) -> None:
    """403 as a web page, and any 451, come from somebody between here and the API; a 401 never does."""
    with ExitStack() as stack:
        wires = [stack.enter_context(Wire(script)) for script, _ in ANSWERS.values()]
        result, errors = together(program, [profile(wire.url) for wire in wires])
    found = {
        name: (error["code"], "ask the provider to allow this machine's address" in error["message"])
        for name, error in zip(ANSWERS, errors, strict=True)
    }
    assert found == {
        name: ("access.blocked" if blocked else "credentials.refused", blocked)
        for name, (_, blocked) in ANSWERS.items()
    }
    assert result.code == 4
    assert_no_secret(result, TOKEN)


def test_what_blocks_a_request_is_said_in_its_own_words(program: Program) -> None:
    """The words of a 451 are in the message, and the doctor says the same."""
    with Wire(status(451, b'{"message": "not in your region"}')) as wire:
        result = both(program, merchant(wire.url), "all")
    assert error_of(result)[2] == (
        f"127.0.0.1:{wire.port} blocked the request (HTTP 451: not in your region): a firewall, an IP allowlist or a "
        "region block; ask the provider to allow this machine's address"
    )


def test_a_login_is_not_renewed_behind_a_firewall(program: Program) -> None:
    """A block is nothing that another token would mend: one login, one request."""
    made = keeps(answer(json.dumps({"data": {"accessToken": TOKEN}}).encode()))
    with Wire(made, status(403, PAGE, HTML)) as wire:
        profile = wallet(wire.url, LOGIN.format(f'password = "{KEY}"'))
        code, kind, _ = error_of(program.with_profile(profile, "all", "-o", "json"))
    assert (code, kind, len(wire.requests)) == (4, "access.blocked", 2)


# The clock.


CLOCKS: Final = {
    0: "",
    20: "",
    -20: "",
    45: r"this machine's clock is 4\d s behind the server's",
    -45: r"this machine's clock is 4\d s ahead of the server's",
    86_450: r"this machine's clock is 864\d\d s behind the server's",
}


@pytest.mark.parametrize("number", [401, 403])
def test_a_refusal_by_a_clock_that_is_off_says_so(program: Program, number: int) -> None:
    """A refused request with this machine's clock over 30 s off names the difference, and the clock as the first cure."""
    with ExitStack() as stack:
        wires = [stack.enter_context(Wire(dated(ahead, number))) for ahead in CLOCKS]
        tables = [
            f'[profiles.main.merchant]\nbase_url = "{wire.url}"\napi_key = "{n}{KEY}"\napi_secret = "{TOKEN}"\n'
            for n, wire in enumerate(wires)
        ]
        result, errors = together(program, tables)
    assert result.code == 4
    for n, (words, error) in enumerate(zip(CLOCKS.values(), errors, strict=True)):
        settings = f"api_key, from config.toml:{5 * n + 4}, and api_secret, from config.toml:{5 * n + 5}"
        expected = f", and {words}; set the clock, then check {settings}" if words else f"; check {settings}"
        assert error["code"] == "credentials.refused"
        assert re.search(re.escape(f"(HTTP {number})") + expected, error["message"])


def test_a_date_that_is_none_says_nothing_of_the_clock(program: Program) -> None:
    """Without a usable `Date` nothing is said of the clock."""
    dates = ("", "soon", "Fri, 99 Foo 2026 99:99:99 GMT")
    with ExitStack() as stack:
        wires = [stack.enter_context(Wire(status(401, b"", f"Date: {date}"))) for date in dates]
        _, errors = together(program, [merchant(wire.url) for wire in wires])
    assert len(dates) == len(errors)
    assert not [error for error in errors if "clock" in error["message"]]


# Which setting.

SETTINGS: Final[dict[str, tuple[str, dict[str, str], str]]] = {
    "in the profile": (
        'merchant]\ntoken = "{key}"',
        {},
        "token, from config.toml:2",
    ),
    "a variable": (
        'loopring]\naccount_id = 1\n\napi_key = "${{LOOP_KEY}}"',
        {"LOOP_KEY": KEY},
        "api_key, from the environment variable LOOP_KEY",
    ),
    "a variable with text beside it": (
        'loopring]\naccount_id = 1\napi_key = "a-${{LOOP_KEY}}"',
        {"LOOP_KEY": KEY},
        "api_key, from config.toml:3, the environment variable LOOP_KEY",
    ),
    "the .env": (
        'wallet]\nwallet_id = "w"\napi_key = "${{FROM_ENV}}"',
        {},
        "api_key, from .env:3 FROM_ENV",
    ),
    "a file": (
        'wallet]\nwallet_id = "w"\naccess_token_file = "{folder}/token"',
        {},
        "access_token_file, from the file {folder}/token",
    ),
    "a command": (
        'wallet]\nwallet_id = "w"\naccess_token_command = ["printf", "{key}"]',
        {},
        "access_token_command, from the command printf",
    ),
    "key and secret": (
        'merchant]\napi_key = "${{FROM_ENV}}"\napi_secret_file = "{folder}/token"',
        {},
        "api_key, from .env:3 FROM_ENV, and api_secret_file, from the file {folder}/token",
    ),
    "a login": (
        'wallet]\nwallet_id = "w"\nlogin = {{ merchant_id = "m", email = "a@b.example", password = "${{FROM_ENV}}" }}',
        {},
        "login.password, from .env:3 FROM_ENV",
    ),
    "a login of lines": (
        'wallet]\nwallet_id = "w"\n[profiles.main.wallet.login]\nmerchant_id = "m"\ndevice.pin = "{key}"\notp = ["{key}"]',
        {},
        "login.device.pin, from config.toml:5, and login.otp, from config.toml:6",
    ),
    "a login without words for credentials": (
        'wallet]\nwallet_id = "w"\nlogin = {{ merchant_id = "m", user = "a", number = 5 }}',
        {},
        "login, from config.toml:3",
    ),
}  # fmt: skip


@each_case(("table", "env", "expected"), list(SETTINGS.values()), ids=list(SETTINGS))
def test_a_refusal_names_the_setting_and_its_source(
    program: Program, table: str, env: dict[str, str], expected: str
) -> None:
    """The message names each setting that was refused as it is spelled, and where it comes from, never its value."""
    (program.folder / ".env").write_text(f"# comment\n\nFROM_ENV={KEY}\n")
    (program.folder / "token").write_text(f"{KEY}\n")
    for name in (".env", "token"):
        (program.folder / name).chmod(0o600)
    with Wire(status(401, b'{"message": "no such key"}')) as wire:
        # The base URL stands last, so that the lines are those of the table.
        text = f"[profiles.main.{table}".format(key=KEY, folder=program.folder)
        first, _, rest = text.partition("\n")
        text = f'{first}\nbase_url = "{wire.url}" # one line\n'.replace("\n", " ", 0) + rest
        result = program.with_profile(f"{text}\n", "all", "-o", "json", env=env)
    code, kind, message = error_of(result)
    expected = re.sub(
        r"toml:(\d+)", lambda line: f"toml:{int(line[1]) + 1}", expected.format(folder=program.folder)
    )
    assert (code, kind) == (4, "credentials.refused")
    assert message.endswith(f"; check {expected}")
    assert "no such key" in message
    assert_no_secret(result, KEY)


def test_a_setting_of_the_environment_is_named_by_its_variable(program: Program) -> None:
    """Without a profile the variable itself is named."""
    with Wire(status(401)) as wire:
        env = {"BALCLI_MERCHANT_TOKEN": KEY, "BALCLI_MERCHANT_BASE_URL": wire.url}
        result = program.run("all", "-o", "json", env=env)
    assert error_of(result)[2].endswith(
        "(HTTP 401); check token, from the environment variable BALCLI_MERCHANT_TOKEN"
    )


def test_accounts_of_one_file_name_their_own_lines(program: Program) -> None:
    """Each account's refusal has its own place."""
    with Wire(status(401)) as wire:
        table = (
            f'[[profiles.main.merchant]]\nname = "{{0}}"\nbase_url = "{wire.url}"\ntoken = "{{0}}{TOKEN}"\n'
        )
        result = program.with_profile(table.format("a") + table.format("b"), "all", "-o", "json")
    messages = [account["error"]["message"] for account in result.json["accounts"]]
    assert [message.rpartition("; ")[2] for message in messages] == [
        "check token, from config.toml:4",
        "check token, from config.toml:8",
    ]


@each_case("number", [200, 400, 401])
def test_the_providers_own_refusal_names_the_setting_too(program: Program, number: int) -> None:
    """Where the body says that the key was refused, whatever the status, the words are the provider's, the cure is ours."""
    with Wire(status(number, b'{"resultInfo": {"code": 104002, "message": "invalid key"}}')) as wire:
        code, kind, message = error_of(program.with_profile(loopring(wire.url), "all", "-o", "json"))
    assert (code, kind) == (4, "credentials.refused")
    assert "104002 (invalid key)" in message
    assert message.endswith("; check api_key, from config.toml:4")


@each_case("script", [status(401, f'{{"message": "{TOKEN}"}}'.encode()), status(451, TOKEN.encode())])
def test_words_that_repeat_the_credential_are_left_out(program: Program, script: Script) -> None:
    """The words go and the cure stays."""
    with Wire(script) as wire:
        result = program.with_profile(merchant(wire.url), "all", "-o", "json")
    code, _, message = error_of(result)
    assert code == 4
    assert "message hidden" in message
    assert re.search("; (check token, from config.toml:3|ask the provider to allow .*)$", message)
    assert_no_secret(result, TOKEN)


# Tokens that expire.


def test_a_jwt_that_expires_soon_is_warned_of(program: Program) -> None:
    """A static JWT within 72 hours of its end is a warning in every run, of the doctor and of the offline check."""
    ends = {
        -86_400: "expired at",
        -5: "expired at",
        3600: "expires at",
        71 * 3600: "expires at",
        73 * 3600: "",
        10**9: "",
    }
    tokens = [token(seconds, sub="someone") for seconds in ends]
    with Wire(sends(answer(b'{"data": []}'))) as wire:
        tables = [wallet(f"{wire.url}/{n}", f'access_token = "{text}"') for n, text in enumerate(tokens)]
        result, errors = together(program, tables)
        check = program.run("config", "check", "-o", "json", "--config", str(program.file))
        diagnosis = program.run("doctor", "-o", "json", "--config", str(program.file))
    assert (result.code, check.code, diagnosis.code, set(errors)) == (0, 0, 0, {None})
    warnings = result.json["warnings"]
    soon = [(n, words) for n, words in enumerate(ends.values()) if words]
    assert [(each["code"], each["account"]) for each in warnings] == [
        ("credentials.expiring", f"a{n}") for n, _ in soon
    ]
    assert check.json["warnings"] == warnings
    steps = [
        step for step in diagnosis.json["steps"] if (step["step"], step["status"]) == ("secrets", "warning")
    ]
    assert [f"{step['message']}; {step['cure']}" for step in steps] == [each["message"] for each in warnings]
    for warning, (n, words) in zip(warnings, soon, strict=True):
        assert warning["message"].startswith(f"access_token, from config.toml:{5 * n + 5}, {words} ")
        assert f"a{n}: note: {warning['message']}" in result.err
    for each in (result, check, diagnosis):
        assert_no_secret(each, *tokens)


def test_a_refusal_says_that_the_token_expired(program: Program) -> None:
    """A refused JWT that has expired is to be replaced, and its text is shown nowhere."""
    jwt_text = token(-3600)
    with Wire(status(401)) as wire:
        result = both(program, wallet(wire.url, f'access_token = "{jwt_text}"'), "all")
    assert re.search(
        r"\(HTTP 401\), and the token expired at \d{4}-\d\d-\d\d \d\d:\d\d UTC; replace access_token, from config\.toml:4$",
        error_of(result)[2],
    )
    assert_no_secret(result, jwt_text)


@each_case(("seconds", "ahead", "expired"), [(-3600, -7200, False), (3600, 7200, True)])
def test_a_token_expires_by_the_servers_clock(
    program: Program, seconds: int, ahead: int, expired: bool
) -> None:
    """Where this machine's clock is off, the server's decides whether the token had expired when it was refused."""
    with Wire(dated(ahead)) as wire:
        profile = wallet(wire.url, f'access_token = "{token(seconds)}"')
        message = error_of(program.with_profile(profile, "all", "-o", "json"))[2]
    assert ("the token expired" in message) is expired
    assert "; set the clock, then " in message


@each_case(
    "text",
    [
        "a.b.c",
        "..",
        "no dots",
        f"{part({})}.{part({})}.x",
        f"{part({})}.{part([1])}.x",
        f"{part({})}.{part({'exp': None})}.x",
        f"{part({})}.{part({'exp': True})}.x",
        f"{part({})}.{part({'exp': '1700000000'})}.x",
        f"{part({})}.{part({'exp': -1})}.x",
        f"{part({})}.{part({'exp': 0})}.x",
        f"{part({})}.{part({'exp': 10**40})}.x",
        f"{part({})}.{part({'exp': 1_700_000_000})}",
        f"{part({})}.{part({'exp': 1_700_000_000})}.x.y.z",
        f"{part({})}.{part({'exp': 1_700_000_000})}!.x",
        "x."
        + base64.urlsafe_b64encode(b'{"exp": 1700000000, "exp": 1700000001}').decode().rstrip("=")
        + ".x",
        "x." + base64.urlsafe_b64encode(b'{"exp": NaN}').decode().rstrip("=") + ".x",
        "x." + base64.urlsafe_b64encode(b'{"exp": 1e999}').decode().rstrip("=") + ".x",
        "x." + base64.urlsafe_b64encode(b"\xff").decode().rstrip("=") + ".x",
        "x." + base64.urlsafe_b64encode(b"[" * 5000).decode().rstrip("=") + ".x",
    ],
)
def test_what_is_no_jwt_has_no_end(text: str) -> None:
    """Anything that is not three parts with a claim of strict JSON is no JWT, and nothing is said of it."""
    assert jwt.expiry(Secret(text)) is None


@each_case(("exp", "end"), [(1_700_000_000, 1_700_000_000), (1_700_000_000.75, 1_700_000_000), (1, 1)])
@each_case("before", ["", "Bearer "])
def test_the_end_of_a_jwt_is_its_exp(exp: float, end: int, before: str) -> None:
    """The seconds of `exp` are whole or not; what is around them does not matter."""
    found = jwt.expiry(Secret(f"{before}{part({})}.{part({'exp': exp, 'é': 'ü'})}.a-b_c"))
    assert found is not None
    assert found.timestamp() == end


# Values that were never filled in.

KEYS_UNFILLED: Final = (
    *("$KEY", "$api_key", "${KEY}", "${KEY", "${no name}", "${KEY:-x}", "%KEY%", "%api_key%"),
    *("<your-key>", "<YOUR API KEY>", "<insert key here>", "{{ api_key }}", "{{KEY}}"),
    *(
        "your-api-key-here",
        "YOUR_API_KEY",
        "your_token",
        "your-velafi-api-secret",
        "INSERT_YOUR_API_KEY_HERE",
    ),
    *("changeme", "CHANGE_ME", "change-me", "replaceme", "xxx", "XXXXXXXXXXXX", "********", "..."),
    *("Bearer abcdef", "bearer abcdef", "BEARER  abcdef"),
)
REAL: Final = (
    *(
        "$",
        "$$",
        "$1abc",
        "a$KEY",
        "$KEY-2",
        "$KEY.x",
        "100%",
        "%41%42",
        "<one|two>",
        "<a",
        "a>",
        "{a}",
        "{{a}",
    ),
    *(
        "your",
        "yourself",
        "monkey",
        "key",
        "token",
        "my-key-1",
        "xx",
        "x1x",
        "xxxy",
        "Bearer",
        "bearerabc",
        "hunter2",
    ),
    *("${A}${B}x", "a${A}", KEY, TOKEN, "sk-xxxxxxxx", "pass your key", "change.me"),
)


@each_case("text", KEYS_UNFILLED)
def test_a_key_that_is_a_template_is_one(text: str) -> None:
    """Whole values in which a template speaks to its reader are no key or token."""
    assert placeholder_problem(Secret(text), is_key=True)


@each_case("text", REAL)
def test_other_texts_are_credentials(text: str) -> None:
    """Whatever else holds a dollar, a percent sign or a word of templates is taken for a credential."""
    assert placeholder_problem(Secret(text), is_key=True) is None
    assert placeholder_problem(Secret(text), is_key=False) is None


@each_case(
    "text", [text for text in KEYS_UNFILLED if text[0] not in "$%<{"] + ["$ummer24", "$ecret", "%tage%"]
)
def test_a_password_may_be_a_word(text: str) -> None:
    """A password is its user's own choice: words are taken, and names of variables only in capitals."""
    assert placeholder_problem(Secret(text), is_key=False) is None


@each_case(
    ("key", "text"), [("api_key", "$KEY"), ("access_token", "<your-key>"), ("access_token", "Bearer abcdef")]
)
def test_a_value_that_was_never_filled_in_is_refused_before_any_request(
    program: Program, key: str, text: str
) -> None:
    """It is a configuration error that names setting and line, not the value; the offline check finds it, too."""
    with Wire(GOOD) as wire:
        result = program.with_profile(wallet(wire.url, f'{key} = "{text}"'), "all", "-o", "json")
        check = program.run("config", "check", "-o", "json", "--config", str(program.file))
    (error,) = result.json["errors"]
    assert (result.code, error["code"], wire.requests) == (3, "config.secret", [])
    assert error["message"].startswith(
        (f"{program.file}:4: {key} in wallet is ", f"{program.file}:4: {key} in wallet starts ")
    )
    assert error["message"].endswith("; set the real value in config.toml:4")
    assert (check.code, check.json["problems"]) == (3, [error])
    assert text not in result.out + result.err + check.out + check.err


def test_every_value_that_was_never_filled_in_is_found_at_once(program: Program) -> None:
    """The offline check names them all, of variables, files and logins too."""
    (program.folder / "token").write_text("<your-token>\n")
    (program.folder / "token").chmod(0o600)
    with ExitStack() as stack:
        wire = stack.enter_context(Wire(GOOD))
        place = f'base_url = "{wire.url}"\n'
        result = program.with_profile(
            f'[[profiles.main.merchant]]\nname = "a"\n{place}token_file = "token"\n'
            f'[[profiles.main.merchant]]\nname = "b"\n{place}api_key = "${{KEY}}"\napi_secret = "{KEY}"\n'
            f'[[profiles.main.wallet]]\nname = "c"\n{place}wallet_id = "w"\n'
            + LOGIN.format('password = "$KUNA_PASSWORD", device = { pin = "<pin>" }')
            + "\n",
            "config",
            "check",
            env={"KEY": "${OTHER}"},
        )
    lines = [line.removeprefix(f"balcli: {program.file}:") for line in result.err.splitlines()]
    assert result.code == 3
    assert [(line.partition(" is ")[0], line.rpartition(" in ")[2]) for line in lines] == [
        ('4: token_file in merchant "a"', f"the file {program.folder}/token"),
        ('8: api_key in merchant "b"', "the environment variable KEY"),
        ('14: login.password in wallet "c"', "config.toml:14"),
        ('14: login.device.pin in wallet "c"', "config.toml:14"),
    ]
    assert wire.requests == []


def test_a_literal_of_the_profile_is_no_placeholder(program: Program) -> None:
    """`$${` says that the text is meant as it is written."""
    with Wire(GOOD) as wire:
        result = program.with_profile(merchant(wire.url, "$${KEY}"), "all")
    assert result.code == 0, result.err
    assert b"X-BH-TOKEN: ${KEY}\r\n" in wire.requests[0]


def test_the_check_of_limits_warns_too(program: Program) -> None:
    """`balcli check` warns of a token that expires."""
    with Wire(sends(answer(b'{"data": [{"asset": "USDT", "balance": "5"}]}'))) as wire:
        profile = wallet(wire.url, f'access_token = "{token(3600)}"')
        result = program.with_profile(profile, "check", "--asset", "USDT", "--crit", "1:", "-o", "json")
    assert result.code == 0, result.out
    assert [each["code"] for each in json.loads(result.out)["warnings"]] == ["credentials.expiring"]
