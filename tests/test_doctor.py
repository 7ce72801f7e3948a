"""The doctor, as processes: every kind of trouble is named with its cure, and the exit code is the run's."""

import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from balcli import doctor
from balcli.config.entry import Entry
from balcli.config.sources import Variables
from balcli.files import shown
from balcli.http import probe
from balcli.http.client import RequestSettings
from balcli.http.timing import Deadline
from balcli.providers import merchant
from balcli.providers.base import Values
from balcli.sandbox import Sandbox, SandboxResponse, json_response
from balcli.sandbox.merchant import API_KEY, API_SECRET, TOKEN
from balcli.secret import Secret
from tests.conftest import ROOT, Program, Result, free_port, wait_until
from tests.lists import each_case

NETWORK = ["name", "tcp", "tls", "credentials", "latency", "clock"]


def _shop(url: str, secret: str = f'token = "{TOKEN}"') -> str:
    return f'[profiles.main.merchant]\nname = "shop"\nbase_url = "{url}"\n{secret}\n'


def _steps(result: Result, account: str | None = None) -> dict[str, dict[str, Any]]:
    """The steps of one account, or of the whole run, by their names."""
    return {step["step"]: step for step in result.json["steps"] if step["account"] == account}


def _statuses(result: Result, account: str | None) -> dict[str, str]:
    return {name: step["status"] for name, step in _steps(result, account).items()}


@contextmanager
def _silent() -> Iterator[int]:
    """The port of a server that takes connections and never says a word."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(20)
        yield int(server.getsockname()[1])


def test_all_is_well_in_the_sandbox(program: Program) -> None:
    """Every step of every account is ok, nothing is on stderr, and the code is 0."""
    result = program.run("doctor", "--sandbox", "-o", "json")
    assert (0, "", True, "sandbox", []) == (
        result.code,
        result.err,
        result.json["ok"],
        result.json["profile"],
        result.json["errors"],
    )
    assert {"ok"} == {step["status"] for step in result.json["steps"]}
    for account in ("loopring", "treasury", "payouts", "shop"):
        assert ["settings", "secrets", "proxy", *NETWORK] == list(_steps(result, account))


def test_the_document_has_its_keys(program: Program) -> None:
    """The document and its steps have exactly the keys that scripts rely on."""
    document = program.run("doctor", "--sandbox", "-o", "json").json
    assert ["schema_version", "generated_at", "profile", "ok", "steps", "errors"] == list(document)
    assert {("account", "step", "status", "message", "cure")} == {tuple(step) for step in document["steps"]}


def test_a_person_reads_lines(program: Program) -> None:
    """The table has a line a step under its account, what was skipped on one, the cure below, and the end in words."""
    result = program.run("doctor", "--sandbox", "--fault", "merchant:refused")
    assert 8 == result.code
    shop = result.out[result.out.index("\nshop\n") :]
    assert re.search(
        r"  failed   credentials  127\.0\.0\.1:\d+ refused the credentials \(HTTP 401\)\n +→ check", shop
    )
    assert "  skipped  latency: credentials failed\n" in shop
    assert result.out.endswith("\na run would end with exit code 8\n")
    (line,) = result.err.splitlines()
    assert line.startswith("balcli: shop: credentials: 127.0.0.1")


@each_case("columns", ["30", "60", "100"])
def test_lines_fit_a_terminal(program: Program, columns: str) -> None:
    """With FORCE_COLOR there are colours; the words are the same."""
    env = {"FORCE_COLOR": "1", "COLUMNS": columns}
    shown = program.run("doctor", "--sandbox", "--fault", "refused", env=env)
    assert "\x1b[" in shown.out
    plain = program.run("doctor", "--sandbox", "--fault", "refused", "--no-color", env=env)
    without = [re.sub(r":\d{4,5}|\d+ ms|\x1b\[[0-9;]*m", "", text) for text in (shown.out, plain.out)]
    assert without[0] == without[1]


@pytest.mark.parametrize(
    ("fault", "code", "error"),
    [
        ("refused", 4, "credentials.refused"),
        ("forbidden", 4, "credentials.refused"),
        ("firewall", 4, "access.blocked"),
        ("limited", 7, "rate_limited"),
        ("redirect", 6, "answer.redirect"),
        ("page", 6, "answer.json"),
        ("empty", 6, "answer.json"),
        ("amount", 6, "answer.amount"),
        ("flaky", 0, None),
    ],
)
def test_the_code_is_that_of_the_run(program: Program, fault: str, code: int, error: str | None) -> None:
    """Whatever the servers do, the doctor ends as the balance command would."""
    result = program.run("doctor", "--sandbox", "--fault", fault, "-o", "json")
    assert (code, code) == (result.code, program.run("all", "--sandbox", "--fault", fault).code)
    assert {error} - {None} == {problem["code"] for problem in result.json["errors"]}
    assert (code == 0) is result.json["ok"]


def test_the_doctor_tries_as_often_as_the_run(program: Program) -> None:
    """A server that stays unavailable is 5, after the profile's retries."""
    with Sandbox(faults=["merchant:unavailable"]) as server:
        profile = f"[profiles.main]\nretries = 1\n{server.profile('main')}"
        result = program.with_profile(profile, "doctor", "shop", "-o", "json")
        asked = [question.path for question in server.log]
    assert (5, ["network.unavailable"]) == (result.code, [each["code"] for each in result.json["errors"]])
    assert 2 == asked.count("/merchant/v2/assets/account/assets")


def test_a_partial_run_is_8(program: Program) -> None:
    """One account refused and others well: 8, and the others' steps are whole."""
    result = program.run("doctor", "--sandbox", "--fault", "wallet:refused", "-o", "json")
    assert 8 == result.code
    assert "failed" == _statuses(result, "treasury")["credentials"]
    assert "ok" == _statuses(result, "shop")["credentials"]


def test_only_the_accounts_that_are_named(program: Program) -> None:
    """Accounts can be named; a name that is not there is 3 and told with those that are."""
    result = program.run("doctor", "shop", "--sandbox", "-o", "json")
    assert {None, "shop"} == {step["account"] for step in result.json["steps"]}
    wrong = program.run("doctor", "nobody", "--sandbox", "-o", "json")
    assert (3, "config.account") == (wrong.code, wrong.json["errors"][0]["code"])
    assert "shop" in _steps(wrong)["accounts"]["cure"]


@pytest.mark.parametrize("output", ["table", "json"])
def test_there_is_no_file(program: Program, output: str) -> None:
    """Without a profile the code is 3, the step says what to write, and a document is made all the same."""
    result = program.run("doctor", "-o", output)
    assert 3 == result.code
    assert "does not exist" in result.out.replace("\n", " ")
    assert 1 == len(result.err.splitlines())
    if output == "json":
        assert ["config.file"] == [error["code"] for error in result.json["errors"]]


@each_case(
    ("text", "mode", "step", "error"),
    [
        ("[profiles.main", 0o600, "profile", "config.syntax"),
        ("[profiles.main.merchant]\ntoken = 'some-secret'\n", 0o644, "profile", "config.file"),
        ("[profiles.main.merchant]\ntoken = 'some-secret'\n", 0o622, "profile", "config.file"),
        ("[profiles.a]\n[profiles.b]\n", 0o600, "accounts", "config.profile"),
        (
            "[profiles.main]\nnope = 1\n[profiles.main.merchant]\ntoken = 'some-secret'\n",
            0o600,
            "accounts",
            "config.key",
        ),
    ],
)
def test_a_file_that_cannot_be_used(program: Program, text: str, mode: int, step: str, error: str) -> None:
    """Each fault of the profile's file is a failed step with its cure, and the code is 3."""
    program.write(text).chmod(mode)
    result = program.run("doctor", "-c", str(program.file), "-o", "json")
    assert (3, [error]) == (result.code, [problem["code"] for problem in result.json["errors"]])
    assert ("failed", True) == (_steps(result)[step]["status"], bool(_steps(result)[step]["cure"]))


@each_case(
    ("second", "names", "told"),
    [
        ('name = "one"\nmerchant_id = 2\n', [], 'name in merchant "one" is also the name of merchant 1'),
        ('name = "two"\nmerchant_id = 1\n', [], 'merchant "two" is the same account'),
        ('name = "two"\nmerchant_id = 2\nnope = 1\n', ["one"], 'unknown key "nope" in merchant "two"'),
    ],
)
def test_what_is_wrong_between_accounts_is_a_step_of_all(
    program: Program, sandbox: Sandbox, second: str, names: list[str], told: str
) -> None:
    """One name or account twice, and a fault of an account that is not looked at, fail the accounts: nobody is asked."""
    table = f'[[profiles.main.merchant]]\nbase_url = "{sandbox.url}/merchant"\ntoken = "{TOKEN}"\n'
    text = f'{table}name = "one"\nmerchant_id = 1\n{table}{second}'
    result = program.with_profile(text, "doctor", *names, "-o", "json")
    (step,) = [step for step in result.json["steps"] if step["step"] == "accounts"]
    assert (3, "failed", True) == (result.code, step["status"], told in step["message"])
    assert [] == sandbox.log


@pytest.mark.parametrize(
    ("secret", "step"),
    [
        ('token_file = "nowhere"', "secrets"),
        ('token_command = ["false"]', "secrets"),
        ('token = "${NOT_THERE}"', "secrets"),
        ('token = ""', "secrets"),
        ('api_key = "only-one-half"', "settings"),
    ],
)
def test_a_secret_that_is_not_there(program: Program, sandbox: Sandbox, secret: str, step: str) -> None:
    """A secret that cannot be had fails its account's step; the network is left alone, and the code is 3."""
    result = program.with_profile(_shop(f"{sandbox.url}/merchant", secret), "doctor", "-o", "json")
    assert (3, {step: "failed"} | dict.fromkeys(NETWORK, "skipped")) == (
        result.code,
        _statuses(result, "shop"),
    )
    assert f"{step} failed" == _steps(result, "shop")["tcp"]["message"]
    assert [] == sandbox.log


def test_one_account_without_its_secret_does_not_hide_the_others(program: Program, sandbox: Sandbox) -> None:
    """The others are looked at to the end, though the run as a whole would be refused (3)."""
    text = sandbox.profile("main").replace('api_key = "sandbox-loopring-key"', 'api_key = "${NOT_THERE}"')
    result = program.with_profile(text, "doctor", "-o", "json")
    assert 3 == result.code
    assert "failed" == _statuses(result, "loopring")["secrets"]
    assert "ok" == _statuses(result, "shop")["credentials"]


def test_the_same_account_twice_is_told(program: Program, sandbox: Sandbox) -> None:
    """Two tables of one account are 3, as in a run."""
    table = _shop(f"{sandbox.url}/merchant").replace("[profiles.main.merchant]", "[[profiles.main.merchant]]")
    result = program.with_profile(table + table.replace('"shop"', '"again"'), "doctor", "-o", "json")
    assert (3, "failed") == (result.code, _statuses(result, None)["accounts"])


def test_every_source_of_a_secret_is_named(program: Program, sandbox: Sandbox) -> None:
    """Where each secret comes from is told, of which kind it is, and never what it is."""
    (program.folder / "key").write_text(API_KEY)
    (program.folder / "key").chmod(0o600)
    (program.folder / ".env").write_text("FROM_FILE=env-file-secret\n")
    (program.folder / ".env").chmod(0o600)
    base = f'base_url = "{sandbox.url}/merchant"\nmerchant_id = '
    tables = [
        ("open", f'token = "{TOKEN}"', "token: config.toml:5"),
        ("env", 'token = "${FROM_ENV}"', "token: environment FROM_ENV"),
        ("dotenv", 'token = "${FROM_FILE}"', "token: .env:1 FROM_FILE"),
        ("mixed", 'token = "a-${FROM_ENV}"', "token: config.toml:20, environment FROM_ENV"),
        ("command", f'token_command = ["printf", "{TOKEN}"]', "token: command printf"),
        (
            "pair",
            f'api_key_file = "key"\napi_secret = "{API_SECRET}"',
            f"api_key: file {program.folder / 'key'!s}; api_secret: config.toml:31",
        ),
    ]
    text = "".join(
        f'[[profiles.main.merchant]]\nname = "{name}"\n{base}{number}\n{secret}\n'
        for number, (name, secret, _) in enumerate(tables)
    )
    result = program.with_profile(
        text, "doctor", "--offline", "-o", "json", env={"FROM_ENV": "environment-secret"}
    )
    assert 0 == result.code
    for name, _, origin in tables:
        assert origin == _steps(result, name)["secrets"]["message"]
    for secret in (TOKEN, API_KEY, API_SECRET, "env-file-secret", "environment-secret"):
        assert secret not in result.out + result.err


def test_accounts_of_variables_alone(program: Program, sandbox: Sandbox) -> None:
    """Without a file the variables' account is looked at, and its source named."""
    env = {"BALCLI_MERCHANT_TOKEN": TOKEN, "BALCLI_MERCHANT_BASE_URL": f"{sandbox.url}/merchant"}
    result = program.run("doctor", "-o", "json", env=env)
    assert (0, None) == (result.code, result.json["profile"])
    assert "does not exist" in _steps(result)["profile"]["message"]
    assert "token: environment BALCLI_MERCHANT_TOKEN" == _steps(result, "merchant")["secrets"]["message"]


def test_offline_asks_nobody(program: Program, sandbox: Sandbox) -> None:
    """--offline looks at files, sources and proxies, and skips the rest with its reason."""
    result = program.with_profile(_shop(f"{sandbox.url}/merchant"), "doctor", "--offline", "-o", "json")
    assert (0, []) == (result.code, sandbox.log)
    assert dict.fromkeys(NETWORK, "skipped") == {
        k: v for k, v in _statuses(result, "shop").items() if k in NETWORK
    }
    assert "--offline" == _steps(result, "shop")["name"]["message"]
    text = program.with_profile(_shop(f"{sandbox.url}/merchant"), "doctor", "--offline").out
    assert f"  skipped  {', '.join(NETWORK)}: --offline\n" in text


def test_modes_are_told(program: Program) -> None:
    """The profile's and the `.env`'s modes stand in their steps; a `.env` that all can read is 3."""
    (program.folder / ".env").write_text("A=1\nHTTPS_PROXY=http://evil.example\n")
    (program.folder / ".env").chmod(0o600)
    result = program.with_profile(_shop("https://x.example"), "doctor", "--offline", "-o", "json")
    assert f"{shown(program.file)}, mode 0600" == _steps(result)["profile"]["message"]
    told = [step for step in result.json["steps"] if step["step"] == "env_file"]
    assert [("ok", "mode 0600"), ("warning", "HTTPS_PROXY is ignored in a .env")] == [
        (step["status"], re.findall("mode 0600|HTTPS_PROXY is ignored in a .env", step["message"])[0])
        for step in told
    ]
    (program.folder / ".env").chmod(0o644)
    worse = program.run("doctor", "-c", str(program.file), "--offline", "-o", "json")
    assert (3, "failed") == (worse.code, _statuses(worse, None)["env_file"])


def test_the_environment_that_is_ignored_is_told(program: Program, sandbox: Sandbox) -> None:
    """What the user may count on and has no effect is a warning each, which changes no code; -q keeps stderr empty."""
    (program.folder / ".netrc").write_text("default login a password netrc-secret\n")
    env = {
        "SSL_CERT_FILE": str(program.folder),
        "REQUESTS_CA_BUNDLE": "/some/ca.pem",
        "SSLKEYLOGFILE": str(program.folder / "keys.log"),
        "BALCLI_MERCHANT_TOKEN": "shadowed-secret",
    }
    arguments = ("doctor", "-o", "json")
    result = program.with_profile(_shop(f"{sandbox.url}/merchant"), *arguments, env=env)
    warned = " ".join(s["message"] for s in result.json["steps"] if s["status"] == "warning")
    for name in (
        ".netrc",
        "REQUESTS_CA_BUNDLE is ignored",
        "SSLKEYLOGFILE",
        "BALCLI_MERCHANT_TOKEN: overridden",
    ):
        assert name in warned
    assert (0, True, 4) == (result.code, result.json["ok"], len(result.err.splitlines()))
    assert "secret" not in (result.out + result.err).replace("secrets", "")
    assert not (program.folder / "keys.log").exists()
    assert "" == program.with_profile(_shop(f"{sandbox.url}/merchant"), *arguments, "-q", env=env).err


@each_case(
    ("url", "env", "said"),
    [
        ("https://api.example", {}, "direct connection to api.example:443"),
        (
            "https://api.example",
            {"HTTPS_PROXY": "http://user:proxy-password@proxy.example:3128"},
            "api.example:443 through proxy.example:3128 (HTTPS_PROXY)",
        ),
        ("https://api.example", {"ALL_PROXY": "http://proxy.example:1"}, "through proxy.example:1"),
        (
            "https://api.example",
            {"HTTPS_PROXY": "http://p.example:1", "NO_PROXY": "example"},
            "direct connection to api.example:443; HTTPS_PROXY is set, but NO_PROXY or the scheme excludes it",
        ),
        ("http://127.0.0.1:9", {"HTTP_PROXY": "http://p.example:1"}, "is set, but not for loopback"),
    ],
)
def test_the_proxy_that_applies_is_named(program: Program, url: str, env: dict[str, str], said: str) -> None:
    """The proxy for each host is told without its credentials, and why one that is set does not apply."""
    result = program.with_profile(_shop(url), "doctor", "--offline", "-o", "json", env=env)
    assert said in _steps(result, "shop")["proxy"]["message"]
    assert "proxy-password" not in result.out + result.err


def test_a_proxy_that_cannot_be_reached(program: Program) -> None:
    """A proxy that refuses is the account's failure (5), and the host behind it is not looked up."""
    env = {"HTTPS_PROXY": f"http://127.0.0.1:{free_port()}"}
    result = program.with_profile(_shop("https://api.example"), "doctor", "-o", "json", env=env)
    assert (5, ["network.proxy"]) == (result.code, [error["code"] for error in result.json["errors"]])
    assert ("ok", "failed") == tuple(_statuses(result, "shop")[name] for name in ("name", "tcp"))


def test_a_refused_port(program: Program) -> None:
    """Nobody listens: the tcp step fails, the rest is skipped, and the code is 5."""
    result = program.with_profile(_shop(f"http://127.0.0.1:{free_port()}"), "doctor", "-o", "json")
    assert (5, ["network.connection"]) == (result.code, [error["code"] for error in result.json["errors"]])
    assert ["ok", "failed", *["skipped"] * 4] == [_statuses(result, "shop")[name] for name in NETWORK]


def test_a_name_that_does_not_resolve(program: Program) -> None:
    """A name without an address fails at its step, with 5."""
    result = program.with_profile(_shop("https://nowhere.invalid"), "doctor", "-o", "json")
    assert (5, ["network.dns"]) == (result.code, [error["code"] for error in result.json["errors"]])
    assert ["failed", *["skipped"] * 5] == [_statuses(result, "shop")[name] for name in NETWORK]


def test_a_silent_server_ends_by_the_deadline(program: Program) -> None:
    """A server that takes the connection and says nothing costs the deadline and no more."""
    with _silent() as port:
        begun = time.monotonic()
        result = program.with_profile(
            _shop(f"http://127.0.0.1:{port}"), "doctor", "--deadline", "1", "-o", "json"
        )
        assert time.monotonic() - begun < 5
    assert 5 == result.code
    assert ["ok", "ok", "ok", "failed", "skipped", "skipped"] == [
        _statuses(result, "shop")[name] for name in NETWORK
    ]
    assert 1 == len(result.err.splitlines())


def test_what_comes_after_the_deadline_changes_nothing(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An answer that is there a moment too late makes no success of what is told as a failure."""
    late: list[Callable[[], bool]] = []

    def nothing_in_time(tasks: Mapping[Any, Any], do: Callable[[Any], bool], *_: object) -> dict[Any, object]:
        late.extend(partial(do, account) for account in tasks.values())
        return {}

    monkeypatch.setattr(doctor, "each", nothing_in_time)
    account = merchant.open_account("shop", f"{sandbox.url}/merchant", Values({"token": Secret(TOKEN)}))
    diagnosis = doctor._AccountDiagnosis(Entry("merchant", "shop", {"token": TOKEN}, Variables({}), Path()))
    diagnosis.account = account
    diagnosis.find_route(account, RequestSettings(), {})
    doctor._Prober([account], RequestSettings(), Deadline(10)).visit({diagnosis: account}, None)
    assert [True] == [do() for do in late]
    assert diagnosis.outcome is not None
    assert "failed" == diagnosis.outcome.status
    steps = diagnosis.whole("")
    assert ["ok", "failed", *["skipped"] * 5] == [step.status for step in steps]


@pytest.mark.parametrize(("option", "seconds"), [("--timeout", "1"), ("--deadline", "2")])
def test_what_is_slow_is_told_with_the_limit_that_is_near(
    program: Program, option: str, seconds: str
) -> None:
    """Beyond half of the time for one request, or of that for all of them, the warning names which one to raise."""
    with Sandbox(latency=0.55) as server:
        file = str(program.write(server.profile("main")))
        result = program.run("doctor", "shop", "-c", file, option, seconds, "-o", "json")
    latency = next(step for step in result.json["steps"] if step["step"] == "latency")
    assert ("warning", f"raise {option} above {seconds} s") == (
        latency["status"],
        latency["cure"],
    )


def test_a_silent_tls_server(program: Program) -> None:
    """A handshake that nobody answers is a time-out of the tls step."""
    with _silent() as port:
        result = program.with_profile(
            _shop(f"https://127.0.0.1:{port}"), "doctor", "--timeout", "0.5", "-o", "json"
        )
    assert (5, ["network.timeout"]) == (result.code, [error["code"] for error in result.json["errors"]])
    assert "failed" == _statuses(result, "shop")["tls"]


def test_a_resolver_that_hangs_ends_by_the_deadline(program: Program) -> None:
    """Name resolution that never comes back holds neither the run nor the interpreter's end."""
    (program.folder / "sitecustomize.py").write_text(
        "import socket, time\nsocket.getaddrinfo = lambda *a, **k: time.sleep(600)\n"
    )
    begun = time.monotonic()
    result = program.with_profile(
        _shop("https://api.example"),
        "doctor",
        "--deadline",
        "1",
        "-o",
        "json",
        env={"PYTHONPATH": str(program.folder)},
    )
    assert time.monotonic() - begun < 5
    assert (5, ["network.deadline"]) == (result.code, [error["code"] for error in result.json["errors"]])
    assert "failed" == _statuses(result, "shop")["name"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_at_once(program: Program, number: signal.Signals) -> None:
    """Ctrl-C is 130 and SIGTERM 143 within half a second, in the middle of a wait, without a word."""
    with Sandbox(faults=["merchant:silent"]) as server:
        file = program.write(_shop(f"{server.url}/merchant"))
        process = program.start("doctor", "-c", str(file), "--timeout", "60", "--deadline", "60")
        wait_until(lambda: server.log)
        begun = time.monotonic()
        process.send_signal(number)
        out, err = process.communicate(timeout=5)
    assert (128 + number, b"", b"") == (process.returncode, out, err)
    assert time.monotonic() - begun < 1.5


def _dated(seconds: int) -> SandboxResponse:
    date = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + seconds))
    balances = [
        {"asset": "BTC", "assetId": "BTC", "assetName": "BTC", "total": "1", "free": "1", "locked": "0"}
    ]
    good = json_response({"code": 200, "msg": "", "data": {"canDeposit": True, "balances": balances}})
    return SandboxResponse(200, good.body, {"Date": date})


class _Dated:
    """Answers one HTTP request after another with one reply, its Date header alone."""

    def __init__(self, reply: SandboxResponse) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._socket.getsockname()[1])
        head = "".join(f"{name}: {value}\r\n" for name, value in reply.headers.items())
        self._answer = (
            f"HTTP/1.1 {reply.status} x\r\n{head}Content-Length: {len(reply.body)}\r\nConnection: close\r\n\r\n"
        ).encode() + reply.body
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection:
                if connection.recv(65536):
                    connection.sendall(self._answer)

    def __enter__(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __exit__(self, *_: object) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


@each_case(("seconds", "status"), [(0, "ok"), (20, "ok"), (-20, "ok"), (60, "warning"), (-400, "warning")])
def test_the_clock_is_held_against_the_servers(program: Program, seconds: int, status: str) -> None:
    """An offset of over half a minute is a warning; where no signature depends on it, no more than that."""
    with _Dated(_dated(seconds)) as url:
        result = program.with_profile(_shop(url), "doctor", "-o", "json")
    clock = _steps(result, "shop")["clock"]
    assert (0, status) == (result.code, clock["status"])
    if status == "warning":
        shown = int(re.findall(r"(\d+) s (?:ahead of|behind) the server's", clock["message"])[0])
        assert abs(shown - abs(seconds)) <= 2
        assert ("behind" if seconds > 0 else "ahead of") in clock["message"]


def test_a_wrong_clock_is_the_likely_cause_of_a_refused_signature(program: Program) -> None:
    """With signatures that hold the time, over five minutes off and refused, the clock's step fails, too."""
    reply = SandboxResponse(401, b'{"code": 401, "msg": "timestamp"}', _dated(-900).headers)
    pair = f'api_key = "{API_KEY}"\napi_secret = "{API_SECRET}"'
    with _Dated(reply) as url:
        signed = program.with_profile(_shop(url, pair), "doctor", "-o", "json")
        plain = program.with_profile(_shop(url), "doctor", "-o", "json")
    assert (4, "failed") == (signed.code, _statuses(signed, "shop")["clock"])
    assert (4, "warning") == (plain.code, _statuses(plain, "shop")["clock"])


def test_a_server_without_a_date(program: Program) -> None:
    """Without a Date header, or with one that is none, the clock's step is skipped with its reason."""
    good = _dated(0)
    for headers in ({}, {"Date": "soon"}, {"Date": "Fri, 21 Nov 99999999999999999999 00:00:00 GMT"}):
        with _Dated(SandboxResponse(200, good.body, headers)) as url:
            result = program.with_profile(_shop(url), "doctor", "-o", "json")
        assert (0, "skipped") == (result.code, _statuses(result, "shop")["clock"])


def test_a_ca_bundle_that_is_none(program: Program) -> None:
    """A ca_bundle that cannot be read is 3, as in a run, and the accounts are not asked."""
    text = '[profiles.main]\nca_bundle = "nowhere.pem"\n' + _shop("https://127.0.0.1:9")
    result = program.with_profile(text, "doctor", "-o", "json")
    assert (3, "failed") == (result.code, _statuses(result, None)["ca_bundle"])
    assert "ca_bundle failed" == _steps(result, "shop")["name"]["message"]


@contextmanager
def _tls_server(folder: Path, days: int, host: str = "127.0.0.1") -> Iterator[tuple[str, Path]]:
    """The URL of a server with a certificate of that host for so many days, and the file that vouches for it."""
    if shutil.which("openssl") is None:
        pytest.skip("the openssl command, which makes the certificate, is not installed")
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    kind = "IP" if host[0].isdigit() else "DNS"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=test"),
            *("-days", str(days), "-addext", f"subjectAltName={kind}:{host}"),
            *("-keyout", str(key), "-out", str(certificate)),
        ],
        check=True,
        capture_output=True,
    )
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    answer = _dated(0)
    stopping = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while not stopping.is_set():
                try:
                    plain, _ = server.accept()
                    with context.wrap_socket(plain, server_side=True) as connection:
                        if connection.recv(65536):
                            head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(answer.body)}\r\n\r\n"
                            connection.sendall(head.encode() + answer.body)
                except OSError:
                    continue

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"https://127.0.0.1:{server.getsockname()[1]}", certificate
        stopping.set()
        server.shutdown(socket.SHUT_RDWR)
        thread.join(5)


@pytest.mark.parametrize(("days", "status"), [(90, "ok"), (10, "warning")])
def test_a_certificate_with_its_end(program: Program, tmp_path: Path, days: int, status: str) -> None:
    """The protocol and the days that are left are told; under 21 is a warning, which changes no code."""
    with _tls_server(tmp_path, days) as (url, bundle):
        text = f'[profiles.main]\nca_bundle = "{bundle}"\n{_shop(url)}'
        result = program.with_profile(text, "doctor", "-o", "json")
    tls = _steps(result, "shop")["tls"]
    assert (0, status) == (result.code, tls["status"])
    assert re.fullmatch(rf"TLSv1\.[23], certificate expires in ({days}|{days - 1}) days", tls["message"])


@pytest.mark.parametrize(
    ("host", "known", "said"),
    [
        ("127.0.0.1", False, "is from an authority that is not in the built-in certificates"),
        ("other.example", True, "is for another"),
    ],
)
def test_a_certificate_that_does_not_hold(
    program: Program, tmp_path: Path, host: str, known: bool, said: str
) -> None:
    """A certificate of nobody known, or for another name, fails the tls step in words, with 5 and one cure."""
    with _tls_server(tmp_path, 90, host) as (url, bundle):
        head = f'[profiles.main]\nca_bundle = "{bundle}"\n' if known else ""
        result = program.with_profile(head + _shop(url), "doctor", "-o", "json")
    tls = _steps(result, "shop")["tls"]
    assert (5, "failed", True) == (result.code, tls["status"], said in tls["message"])
    assert "base_url" in tls["cure"]
    assert ["network.tls"] == [error["code"] for error in result.json["errors"]]


def test_plain_http_where_tls_is_expected(program: Program, sandbox: Sandbox) -> None:
    """An https base_url at a port of plain HTTP fails the tls step, with 5."""
    url = sandbox.url.replace("http:", "https:")
    result = program.with_profile(_shop(f"{url}/merchant"), "doctor", "-o", "json")
    assert (5, "failed") == (result.code, _statuses(result, "shop")["tls"])


@pytest.mark.parametrize("output", ["table", "json"])
def test_no_secret_is_shown(program: Program, output: str) -> None:
    """A server that echoes the token in its error gets none of it onto any stream."""
    script = {
        "/merchant/v2/assets/account/assets": [json_response({"code": 401, "msg": f"bad {TOKEN}"}, 401)]
    }
    with Sandbox(scripted=script) as server:
        result = program.with_profile(_shop(f"{server.url}/merchant"), "doctor", "-o", output)
    assert 4 == result.code
    assert TOKEN not in result.out + result.err
    assert "message hidden, because the response repeats a credential" in " ".join(result.out.split())


@each_case("arguments", [["--fault", "cut"], ["--sandbox", "--fault", "nope"], ["--timeout", "0"]])
def test_wrong_usage(program: Program, arguments: list[str]) -> None:
    """What cannot be meant is 2, with a document where one is asked for."""
    result = program.run("doctor", *arguments, "-o", "json")
    assert (2, ["usage"]) == (result.code, [error["code"] for error in result.json["errors"]])


def test_no_time_is_left_for_a_stage() -> None:
    """Once the deadline is over, a stage begins no connection and says so."""
    from balcli.errors import DeadlinePassed

    with pytest.raises(DeadlinePassed, match="no time left"):
        probe.reach(probe.Server("127.0.0.1", 9, tls=False), RequestSettings(), Deadline(0))


def test_servers_are_shown_as_urls_have_them() -> None:
    """Hosts have the port of their scheme where none is named, and IPv6 its brackets."""
    assert ["a.example:443", "a.example:80", "[::1]:8443"] == [
        probe.Server.of(url).shown
        for url in ("https://a.example/x", "http://a.example", "https://[::1]:8443")
    ]


def test_help_needs_no_network_room(program: Program) -> None:
    """The doctor's help does not load what its work needs."""
    loaded = program.loaded("doctor", "--help")
    assert set() == {"ssl", "requests", "balcli.http.probe", "balcli.sandbox"} & loaded


WITHOUT_OWNERS = """
import os, sys
del os.getuid
from balcli.cli.app import run
sys.exit(run(sys.argv[1:]))
"""


def test_a_system_without_owners_is_told(program: Program, sandbox: Sandbox) -> None:
    """Where the system tells no owners and modes, the doctor says that they are not checked."""
    file = program.write(sandbox.profile("main"))
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_OWNERS, "doctor", "--offline", "-c", str(file)],
        env=program.environment(),
        cwd=ROOT,
        capture_output=True,
        check=False,
        text=True,
    )
    assert 0 == done.returncode
    assert "file owners and modes are not checked on this system" in done.stdout
