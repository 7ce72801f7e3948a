"""Answers that repeat a credential: shown to the byte, warned of or refused whole; and which settings are credentials."""

import base64
import json
import random

import pytest

from balcli.config.credentials import names_credential
from balcli.http import echoes
from balcli.sandbox import Sandbox, SandboxResponse, json_response
from balcli.secret import Secret
from tests import faults
from tests.conftest import Program
from tests.proof.echoes import work

KEY = "tk-9b1f-endings-77"
OTHER = "tk-4c2e-another-19"
BALANCE = "/wallet/v2/balance"
ASSETS = "/merchant/v2/assets/account/assets"


def wallet(*rows: dict[str, object]) -> SandboxResponse:
    """A good answer of a wallet with these rows."""
    parts = {"balance": "1", "holdBalance": "0", "lockBalance": "0"}
    return json_response({"data": [parts | row for row in rows]}, 201)


def table(name: str, url: str, credential: str, wallet_id: str = "w-1") -> str:
    """The table of a wallet account."""
    return f'[[profiles.main.wallet]]\nname = "{name}"\nbase_url = "{url}"\nwallet_id = "{wallet_id}"\n{credential}\n'


def test_a_short_run_of_the_proof_finds_nothing() -> None:
    """Random answers that repeat credentials anywhere are shown to the byte or refused whole, and nothing leaks."""
    tally = work(random.Random("20261128"), 192)
    assert ([], True) == (tally.differences, tally.cases.total() >= 192)


def test_the_proof_can_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the search, the proof finds accounts that should have failed, and credentials that were left."""
    monkeypatch.setattr(echoes, "contains_credential", lambda *_, **__: False)
    tally = work(random.Random("20261128"), 96)
    assert tally.different["a credential was left"]


def test_a_short_credential_alters_no_data(program: Program) -> None:
    """A PIN, a year or a word in a name stays: on stdout, in files, in the history, in the evidence, for `check`."""
    names = ["BOND2024", "BOND***", "secretary-USDT", "data"]
    login = 'login = { merchant_id = "m", pin = "2024", otp = "data", email = "desk-of-2024", userSecret = "secret" }'
    token = json_response({"data": {"accessToken": "jwt-0123456789abcdef"}}, 201)
    address = {"data": {"address": "2024", "memo": None}}
    held: list[dict[str, object]] = [{"asset": name, "depositAddress": address} for name in names]
    rows = wallet(*held)
    folder = program.folder
    with Sandbox(scripted={"/wallet/v2/auth/login": [token], BALANCE: [rows]}) as server:
        profile = table("desk-of-2024", f"{server.url}/wallet", login)
        options = ("--record", "--history", str(folder / "h.db"), "--evidence", str(folder / "evidence"))
        run = program.with_profile(profile, "all", "-o", "json", *options)
        text = program.with_profile(profile, "all", "-O", str(folder / "out.txt"))
        check = program.with_profile(profile, "check", "--asset", "BOND2024", "--crit", "1:")
    assert (0, 0, 0) == (run.code, text.code, check.code), (run.err, text.err, check.out)
    assert sorted(names) == [row["asset"] for row in run.json["balances"]]
    assert {"desk-of-2024"} == {row["account"] for row in run.json["balances"]}
    assert all("2024" in json.dumps(row["details"]) for row in run.json["balances"])
    assert all(name in (folder / "out.txt").read_text() for name in [*names, "desk-of-2024"])
    assert rows.body in [file.read_bytes() for file in (folder / "evidence").glob("*.body")]
    assert all(name.encode() in (folder / "h.db").read_bytes() for name in names)
    assert "BOND2024" in check.out


def test_each_fault_of_the_sandbox_ends_as_it_says(program: Program) -> None:
    """Every kind of repeated credential, at all providers at once: the code of each account, and no key anywhere."""
    wrong = []
    echoing = {name: fault for name, fault in faults.ALL.items() if name.startswith("echo-")}
    for name, fault in echoing.items():
        result = program.run("all", "--sandbox", "--fault", name, "--retries", "0", "-o", "json", "-v")
        document = result.json
        errors = {account["provider"]: account["error"] for account in document["accounts"]}
        codes = {warning["code"] for warning in document["warnings"]}
        for provider, error in errors.items():
            expected = fault.but.get(provider, fault.code)
            if (error is None) != (expected == 0):
                wrong.append((name, provider, error))
        if name in {"echo-unread", "echo-header"} and "answer.echoes_credential" not in codes:
            wrong.append((name, "no warning", codes))
        keys = ("sandbox-loopring-key", "sandbox-password", "sandbox-merchant-key", "sandbox-jwt-")
        wrong += [(name, "leak", key) for key in keys if key in result.out + result.err]
    assert [] == wrong


def test_credentials_of_other_accounts_at_the_host_count_too(program: Program) -> None:
    """Another account's key in a name fails the account that gets it; a key of another host is a name like any other."""
    for text in (OTHER, base64.b64encode(OTHER.encode()).decode(), f"x{OTHER}y"):
        with Sandbox(scripted={BALANCE: [wallet({"asset": text})]}) as server, Sandbox() as elsewhere:
            first = table("first", f"{server.url}/wallet", f'api_key = "{KEY}"')
            for host, failed in ((server, True), (elsewhere, False)):
                url = f"{host.url.replace('127.0.0.1', 'localhost')}/other"
                profile = first + table("second", url, f'api_key = "{OTHER}"', "w-2")
                result = program.with_profile(profile, "all", "-o", "json", "--retries", "0")
                account = result.json["accounts"][0]
                assert failed is (account["error"] is not None), (text, failed)
                assert failed is (text not in result.out), (text, failed)


def test_a_cached_table_is_searched_again(program: Program) -> None:
    """A symbol that another run cached without knowing the credential is not shown by a run that knows it."""
    tokens = json_response([{"tokenId": 1, "symbol": OTHER, "decimals": 0}])
    rows = json_response([{"tokenId": 1, "total": "5", "locked": "0"}])
    script = {"/loopring/api/v3/exchange/tokens": [tokens], "/loopring/api/v3/user/balances": [rows]}
    cache = {"XDG_CACHE_HOME": str(program.folder / "cache")}
    with Sandbox(scripted=script) as server:
        head = f'[profiles.main.loopring]\nbase_url = "{server.url}/loopring"\naccount_id = 11329\n'
        first = program.with_profile(f'{head}api_key = "{KEY}"\n', "all", "-o", "json", env=cache)
        second = program.with_profile(f'{head}api_key = "{OTHER}"\n', "all", "-o", "json", env=cache)
    assert (0, [OTHER]) == (first.code, [row["asset"] for row in first.json["balances"]])
    assert (6, False) == (second.code, OTHER in second.out + second.err)
    assert "answer.echoes_credential" == second.json["accounts"][0]["error"]["code"]


def test_what_fills_in_base_url_is_shown_nowhere(program: Program) -> None:
    """A key in the path of base_url is in no message, log, settings, diagnosis, history, cache or evidence."""
    key = "3f9c-path-key-0123456789"
    folder, env = program.folder, {"PATH_KEY": key, "XDG_CACHE_HOME": str(program.folder / "cache")}
    script = {f"/loopring/{key}/api/v3/exchange/tokens": [json_response([])]}
    script |= {
        f"/loopring/{key}/api/v3/user/balances": [
            json_response([]),
            json_response([]),
            SandboxResponse(404, b""),
        ]
    }
    with Sandbox(scripted=script) as server:
        url = f"{server.url}/loopring/${{PATH_KEY}}"
        profile = f'[profiles.main.loopring]\nbase_url = "{url}"\naccount_id = 11329\napi_key = "{KEY}"\n'
        kept = ("--record", "--history", str(folder / "h.db"), "--evidence", str(folder / "evidence"))
        runs = [
            program.with_profile(profile, *arguments, env=env)
            for arguments in (
                ("all", "-v", *kept), ("all", "-o", "json", "-v"), ("doctor",), ("doctor", "-o", "json"),
                ("config", "show"), ("config", "check"),
            )
        ]  # fmt: skip
        runs.append(program.run("replay", str(folder / "evidence")))
    assert ([0, 0, 6, 6, 0, 0, 0], []) == (
        [run.code for run in runs],
        [run for run in runs if key in run.out + run.err],
    )
    assert "/loopring/${PATH_KEY}/api/v3/user/balances" in runs[0].err
    assert url in runs[4].out
    files = [file for file in folder.rglob("*") if file.is_file() and file.name != "config.toml"]
    assert [] == [file for file in files if key.encode() in file.read_bytes()]
    assert (folder / "cache").exists()


@pytest.mark.parametrize("command", ["check", "doctor"])
def test_short_credentials_are_warned_of(program: Program, command: str) -> None:
    """Under 12 characters or of digits alone: `secret.short`, by its key and never its value."""
    login = (
        'login = { merchant_id = "m", pin = 2024, device = { api_key = "k-1" }, email = "e@x", password = '
        f'"{KEY}", otp = "123456789012" }}'
    )
    with Sandbox() as server:
        profile = table("desk", f"{server.url}/wallet", login)
        if command == "check":
            result = program.with_profile(profile, "config", "check", "-o", "json")
            told = [one["message"] for one in result.json["warnings"] if one["code"] == "secret.short"]
        else:
            result = program.with_profile(profile, "doctor", "-o", "json")
            told = [one["message"] for one in result.json["steps"] if one["status"] == "warning"]
    keys = [
        text.partition(" in ")[0].rpartition("login.")[2] for text in told if "is shorter than 12" in text
    ]
    assert ["pin", "device.api_key", "otp"] == keys
    assert KEY not in result.out + result.err


def test_which_keys_of_a_login_are_credentials() -> None:
    """By the words of a key, split at underscores, dashes and case changes, whatever the case."""
    credentials = (
        "password passwd passphrase pin PIN userPin user_pin api-key apiKey APIKey api_secret accessToken otp OTP "
        "otp_code otpCode code CODE auth_code authCode 2fa_code mfa-code password2 secretQuestion"
    )
    others = (
        "email username country_code zipCode shipping spinner keyboard device merchant_id pinned tokenizer"
    )
    assert {} == {key: False for key in credentials.split() if not names_credential(key)}
    assert {} == {key: True for key in others.split() if names_credential(key)}


def test_a_name_that_contains_a_credential_is_shown_nowhere(program: Program) -> None:
    """An account named by a credential, its own or another's, is 3 for every command, without the name."""
    profile = table("first", "https://a.example", f'api_key = "{KEY}"')
    profile += table(f"my {KEY}", "https://b.example", f'api_key = "{OTHER}"', "w-2")
    for arguments in (
        ("all", "-o", "json"), ("all",), ("config", "check"), ("config", "show", "-o", "json"), ("doctor", "--offline")
    ):  # fmt: skip
        result = program.with_profile(profile, *arguments)
        assert (3, False) == (result.code, KEY in result.out + result.err), arguments


def test_a_login_may_give_the_same_token_again(program: Program) -> None:
    """What a login gives is no echo in that login's own answer; a password in its place is refused."""
    again = json_response({"data": {"accessToken": "jwt-0123456789abcdef"}}, 201)
    login = f'login = {{ merchant_id = "m", password = "{KEY}" }}'
    answers = [SandboxResponse(401, b""), wallet({"asset": "USDT"})]
    with Sandbox(scripted={"/wallet/v2/auth/login": [again], BALANCE: answers}) as server:
        renewed = program.with_profile(table("desk", f"{server.url}/wallet", login), "all", "-o", "json")
    assert (0, []) == (renewed.code, renewed.json["warnings"])
    echo = json_response({"data": {"accessToken": KEY}}, 201)
    with Sandbox(scripted={"/wallet/v2/auth/login": [echo]}) as server:
        refused = program.with_profile(table("desk", f"{server.url}/wallet", login), "all", "-o", "json")
        asked = [request for request in server.log if request.path == BALANCE]
    assert (6, []) == (refused.code, asked)


def test_a_large_answer_is_searched_within_its_time() -> None:
    """With 1,000 credentials at a host, each of their forms is found at the end of a large answer."""
    at = "https://large.example"
    keys = [f"{number:04}-{random.Random(number).getrandbits(96):x}" for number in range(1000)]
    echoes.register_credentials(at, map(Secret, keys))
    head = json.dumps([{"asset": f"A{number}", "address": f"{number:034}"} for number in range(5000)])[:-1]
    for form in (keys[999], keys[500].encode().hex(), base64.b64encode(keys[7].encode()).decode()):
        assert echoes.contains_credential(at, {}, f'{head},{{"asset":"x{form}y"}}]'.encode())
    assert not echoes.contains_credential(at, {"Date": "Sat, 21 Nov 2026 00:57:00 GMT"}, f"{head}]".encode())
