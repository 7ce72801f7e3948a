"""Responses that repeat credentials anywhere: shown exactly or refused completely, without a leaked credential."""

import json
import random
import re
import shutil
import socket
import string
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, NamedTuple, Self
from urllib.parse import quote

from balcli.http import echoes
from tests.canary.marked import forms
from tests.conftest import secrets_forgotten
from tests.proof.answers import run_program
from tests.proof.conduct import Proof, Tally, conduct
from tests.wire import Wire

PER_RUN: Final = 48
_CODES: Final = {
    200: "provider.error",
    400: "provider.error",
    401: "credentials.refused",
    403: "credentials.refused",
    408: "network.unavailable",
    503: "network.unavailable",
}
"""The code of an error response by its status."""
_ALPHABETS: Final = (
    string.ascii_letters + string.digits,
    string.ascii_letters + string.digits + "-_.~",
    string.ascii_letters + string.digits + "+/=",
    string.ascii_letters + " !\"#$%&'()*,:;<>?@[\\]^`{|}",
    string.ascii_letters + "äöüéñß",
    string.digits,
    string.hexdigits,
)
_INNOCENT: Final = (
    "USDT",
    "BTC",
    "BOND2024",
    "data",
    "ETH",
    "total",
    "ключ",
    "x" * 40,
    "operator@mail.example",
)


class Account(NamedTuple):
    """An account: its provider, its way to authenticate, and its credentials."""

    provider: str
    lines: str
    credentials: tuple[str, ...]
    token: str
    """The token that its login returns; "" if it has no login."""


class Case(NamedTuple):
    """The response to one account, and the expected result."""

    kind: str
    status: int
    headers: tuple[str, ...]
    body: bytes
    tokens: bytes
    code: str | None
    """The code of the account's error; None if it must answer."""
    warned: bool
    rows: list[Any]


def _credential(rng: random.Random) -> str:
    """A text that a header can contain, often too short to be distinguished from data."""
    alphabet = rng.choice(_ALPHABETS)
    size = rng.choice((4, 6, 8, 11, 12, 13, 16, 24, 40, 40))
    text = "".join(rng.choices(alphabet, k=size)).strip()
    return text or "0000"


def _account(rng: random.Random, url: str, number: int) -> Account:
    # The relayer allows five requests a second: two accounts do not wait.
    provider = "loopring" if number < 2 else rng.choice(("wallet", "merchant"))
    base, kept = f"{url}/{number}", []
    if rng.random() < 0.2:
        key = "".join(rng.choices(string.ascii_letters + string.digits, k=rng.choice((5, 20))))
        kept.append(key)
        base += "/${PATH_KEY_" + str(number) + "}"
    first, token = _credential(rng), ""
    quoted = json.dumps(first).replace("${", "$${")
    if provider == "loopring":
        own = f"api_key = {quoted}\naccount_id = {number + 1}"
    elif provider == "merchant":
        own = f"token = {quoted}\nmerchant_id = {number + 1}"
    else:
        how = rng.choice(("access_token", "api_key", "login"))
        own = f"{how} = {quoted}"
        if how == "login":
            token = f"jwt-{rng.getrandbits(128):x}"
            key = rng.choice(("password", "userPin", "api-secret", "otp_code"))
            own = f'login = {{ merchant_id = "m", email = "operator@mail.example", {key} = {quoted} }}'
        own += f'\nwallet_id = "w-{number}"'
    lines = f'[[profiles.main.{provider}]]\nname = "a{number}"\nbase_url = "{base}"\n{own}\n'
    return Account(provider, lines, (first, *kept), token)


def _sought(credentials: Sequence[str]) -> dict[str, list[str]]:
    """Every form that must not be shown, by credential, without those that cannot be distinguished from data."""
    found = {}
    for text in credentials:
        if len(text) >= 12 and not text.isdigit():
            encoded = {name: form for name, form in forms(text).items() if "part" not in name}
            found[text] = [
                form.decode("latin-1" if name == "latin-1" else "utf-8") for name, form in encoded.items()
            ]
    return found


def _text(rng: random.Random, credentials: Sequence[str]) -> str:
    """A text for a response: harmless, or with a complete or almost complete credential in some form."""
    if rng.random() < 0.4:
        return rng.choice(_INNOCENT)
    text = rng.choice(credentials)
    encoded = [form for name, form in forms(text).items() if "part" not in name and name != "latin-1"]
    # A near miss has a character replaced and not removed: in JSON or in the history's file, the next character could
    # complete the credential.
    near = (text[:-1] + _other(text[-1]), _other(text[0]) + text[1:])
    form = rng.choice((text, text, rng.choice(encoded).decode(), *near))
    echo: str = rng.choice(("", "", "x", "key: ", "ü")) + form + rng.choice(("", "", "y", " (old)", "\n"))
    return echo


def _other(character: str) -> str:
    """Another character, which JSON and URLs do not escape and numbers do not have."""
    return "~" if character != "~" else "_"


def _as_json(rng: random.Random, value: Any) -> bytes:
    """The value as JSON, sometimes with all characters escaped."""
    ascii_alone = rng.random() < 0.5
    written = json.dumps(value, ensure_ascii=ascii_alone)
    if rng.random() < 0.2:
        written = json.dumps(json.loads(written)).replace("/", "\\/")
    return written.encode()


def _good(rng: random.Random, provider: str, put: Mapping[str, str]) -> tuple[Any, Any, list[Any]]:
    """A good response and its token table with these texts, and the expected rows."""
    row: dict[str, Any]
    name, second = put.get("name", "USDT"), put.get("second", "second")
    amount = put.get("amount", "1")
    unread = {"note": put.get("unread", "n"), put.get("key", "k"): 1}
    if provider == "loopring":
        rows = [{"tokenId": 1, "total": amount, "locked": "0", **unread}]
        table = [
            {"tokenId": 1, "symbol": name, "decimals": 0},
            {"tokenId": 2, "symbol": second, "decimals": 1},
        ]
        return rows, table, [f"{name}#1" if "#" in name else name]
    if provider == "wallet":
        network = {put.get("network", "TRX"): {"address": second, "memo": put.get("memo")}}
        row = {
            "asset": name,
            "balance": amount,
            "holdBalance": "0",
            "lockBalance": "0",
            "depositAddress": network,
        }
        shown = [name, [{"network": put.get("network", "TRX"), "address": second, "memo": put.get("memo")}]]
        return {"data": [row | unread]}, [], shown
    row = {
        "asset": name,
        "assetId": second,
        "assetName": put.get("memo"),
        "total": amount,
        "free": "1",
        "locked": "0",
    }
    answer = {"code": 200, "msg": "SUCCESS", "data": {"canDeposit": True, "balances": [row | unread]}}
    return answer, [], [name, second, put.get("memo")]


def _places(provider: str) -> list[str]:
    """The places in the provider's response whose texts are shown, stored or cached."""
    own = {"loopring": [], "wallet": ["network", "memo"], "merchant": ["memo"]}[provider]
    return ["name", "second", *own]


def _case(
    rng: random.Random, account: Account, credentials: Sequence[str], sought: Mapping[str, list[str]]
) -> Case:
    """The response to an account by a host that knows every credential of its accounts."""
    needles = [form for every in sought.values() for form in every]

    def repeats(*texts: str) -> bool:
        return any(form in text for text in texts for form in needles)

    text = _text(rng, credentials)
    header = _text(rng, credentials).encode("latin-1", "replace").decode("latin-1").replace("\n", "").strip()
    headers = (f"{rng.choice(('X-Echo', 'Date', 'Set-Cookie'))}: {header}",) if rng.random() < 0.2 else ()
    echoed_header = bool(headers) and repeats(header)
    if rng.random() < 0.3:
        status = rng.choice([*_CODES])
        told = {"code": -1, "msg": text, "errors": [{"code": "odd", "message": text}]}
        told["resultInfo"] = {"code": 100001, "message": text}
        if status in {408, 503}:
            headers = (*headers, f"Retry-After: {header if echoed_header else '99999'}")
        body = _as_json(rng, told)
        return Case(f"error {status}", status, headers, body, b"[]", _CODES[status], warned=False, rows=[])
    places = _places(account.provider)
    where = rng.choice([*places, *places, "unread", "key", "amount"])
    if where == "second" and account.provider == "loopring":
        text += "2"  # never the first token's symbol, because symbols must differ
    answer, table, shown = _good(rng, account.provider, {where: text})
    code = None
    if where not in {"unread", "key"} and repeats(text):
        code = "answer.echoes_credential"
    elif where == "amount" and not re.fullmatch("0|[1-9][0-9]*", text):
        code = "answer.amount"
    # In JSON, an escape can look like a credential that ends with two backslashes.
    written = (json.dumps(text), json.dumps(text, ensure_ascii=False))
    warned = code is None and (echoed_header or repeats(text, *written))
    status = 201 if account.provider == "wallet" and rng.random() < 0.3 else 200
    return Case(where, status, headers, _as_json(rng, answer), _as_json(rng, table), code, warned, shown)


class Bench:
    """The host of all accounts, and the program."""

    def __init__(self, folder: Path) -> None:
        self._home = folder
        self._host = Wire(self._script)
        self._lock = threading.Lock()
        self.accounts: list[Account] = []
        self.cases: list[Case] = []
        self.logins: Counter[int] = Counter()
        self._asked: set[int] = set()

    def __enter__(self) -> Self:
        self._host.__enter__()
        return self

    def __exit__(self, *ending: object) -> None:
        self._host.__exit__(None, None, None)

    def _script(self, connection: socket.socket, request: bytes) -> None:
        _, first, path = request.split(b" ")[1].split(b"/", 2)
        number, status = int(first), 200
        headers: tuple[str, ...] = ()
        if path.endswith(b"api/v3/exchange/tokens"):
            self._wait_for_logins()
            body = self.cases[number].tokens
        elif path.endswith(b"v2/auth/login"):
            with self._lock:
                self.logins[number] += 1
            body = json.dumps({"data": {"accessToken": self.accounts[number].token}}).encode()
        else:
            with self._lock:
                self._asked.add(number)
            self._wait_for_logins()
            _, status, headers, body, *_ = self.cases[number]
        lines = [
            f"HTTP/1.1 {status} X",
            *headers,
            f"Content-Length: {len(body)}",
            "Connection: close",
            "",
            "",
        ]
        connection.sendall("\r\n".join(lines).encode("latin-1") + body)

    def _wait_for_logins(self) -> None:
        """Wait until all logins have returned their tokens, so that responses can repeat them."""
        due = {number for number, account in enumerate(self.accounts) if account.token}
        limit = time.monotonic() + 5
        while not due <= self._asked and time.monotonic() < limit:
            time.sleep(0.002)

    def run(self, rng: random.Random, options: Sequence[str]) -> tuple[int, str, str]:
        """New accounts and answers; the exit code and both streams of the program that asks for them."""
        echoes._hosts.clear()
        self.accounts = [_account(rng, self._host.url, number) for number in range(PER_RUN)]
        self.logins.clear()
        self._asked.clear()
        known = [text for account in self.accounts for text in (*account.credentials, account.token) if text]
        sought = _sought(known)
        self.cases = [_case(rng, account, known, sought) for account in self.accounts]
        profile = self._home / "config.toml"
        profile.touch(mode=0o600)
        profile.write_text("\n".join(account.lines for account in self.accounts), encoding="utf-8")
        env = {
            f"PATH_KEY_{number}": account.credentials[1]
            for number, account in enumerate(self.accounts)
            if len(account.credentials) > 1
        }
        limits = ["--retries", "0", "--timeout", "30", "--deadline", "120", "--jobs", str(PER_RUN)]
        arguments = ["all", "-o", "json", "-c", str(profile), *limits, *options]
        env["XDG_CACHE_HOME"] = str(self._home / "cache")
        with secrets_forgotten():  # each run is a process of its own to the user
            return run_program(arguments, self._home, env)


def work(rng: random.Random, count: int) -> Tally:
    """Check that many responses."""
    tally = Tally()
    folder = Path(tempfile.mkdtemp(prefix="balcli-echoes-"))
    try:
        with Bench(folder) as bench:
            for done in range(0, count, PER_RUN):
                kept = done // PER_RUN % 4 == 3
                more = ["--record", "--evidence", str(folder / f"e{done}"), "-v"] if kept else []
                code, out, err = bench.run(rng, more)
                _judge(tally, bench, code, out, err, min(PER_RUN, count - done))
                _search(tally, bench, folder, out, err)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return tally


def _judge(tally: Tally, bench: Bench, code: int, out: str, err: str, count: int) -> None:
    """Compare each account with its expected result."""
    if code not in {0, 8}:
        tally.differs("the run", code, "0 or 8", err or out)
        return
    document = json.loads(out)
    found = {account["account"]: account["error"] for account in document["accounts"]}
    warned = {
        warning["account"]
        for warning in document["warnings"]
        if warning["code"] == "answer.echoes_credential"
    }
    shown: dict[str, list[Any]] = {name: [] for name in found}
    for row in document["balances"]:
        details = row["details"]
        more = {
            "loopring": [],
            "wallet": [details.get("deposit_addresses")],
            "merchant": [row["asset_id"], details.get("asset_name")],
        }
        shown[row["account"]] += [row["asset"], *more[row["provider"]]]
    for number, (account, case) in enumerate(zip(bench.accounts[:count], bench.cases, strict=False)):
        name = f"a{number}"
        expected = (case.code, case.warned, case.rows if case.code is None else [])
        got = (found[name] and found[name]["code"], name in warned, shown[name])
        tally.compare(f"{account.provider}: {case.kind}", (account, case), expected, got)
        logins = (2 if case.status == 401 else 1) if account.token else 0
        if bench.logins[number] != logins:
            tally.differs("logins", (account, case), logins, bench.logins[number])


def _search(tally: Tally, bench: Bench, folder: Path, out: str, err: str) -> None:
    """Search everything that the run wrote for every credential."""
    known = [text for account in bench.accounts for text in (*account.credentials, account.token) if text]
    places = {"stdout": out.encode(), "stderr": err.encode()}
    files = [file for file in folder.rglob("*") if file.is_file() and file.name != "config.toml"]
    for file in files:
        # A finished run may still rename a file, which the next search finds by its new name.
        with suppress(FileNotFoundError):
            places[str(file.relative_to(folder))] = file.read_bytes()
    for text in _sought(known):
        needles = {form for name, form in forms(text).items() if "part" not in name} | {quote(text).encode()}
        for where, data in places.items():
            if any(needle in data for needle in needles):
                tally.differs("a credential was left", where, "none", text)
    for file in files:
        file.unlink(missing_ok=True)


ECHOES: Final = Proof("echoes", __doc__, 100_000, 240, work, renewed=8)


def main(argv: Sequence[str]) -> int:
    """Run the proof and print its figures. Returns 1 if anything differs."""
    return conduct(argv, ECHOES)
