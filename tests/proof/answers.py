"""Faulty responses: random bytes from first to last, compared with what an oracle reads in them."""

import gzip
import io
import json
import os
import random
import re
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple, Self, TypeAlias

from balcli.sandbox.faults import NAMES
from tests.canary.marked import Marked, forms, traces
from tests.faults.wire import chunked
from tests.proof import reading
from tests.proof.conduct import Proof, Tally, conduct
from tests.proof.integers import read, written
from tests.wire import Wire

PROVIDERS: Final = ("loopring", "wallet", "merchant")
PER_RUN: Final = 24
"""The accounts of one run, each with its own response: the failure of one must not affect another."""

Reader: TypeAlias = Callable[[bytes, bytes], list[reading.Row]]
READERS: Final[Mapping[str, Reader]] = {
    "loopring": reading.loopring,
    "wallet": reading.wallet,
    "merchant": reading.merchant,
}
"""The oracle of each provider's responses."""
_AMOUNT_KEYS: Final = {
    "loopring": ("total", "locked"),
    "wallet": ("balance", "holdBalance", "lockBalance", "referralBalance"),
    "merchant": ("total", "free", "locked"),
}
_TOKENS: Final = [
    (0, "ETH", 18),
    (1, "LRC", 18),
    (3, "USDT", 6),
    (4, "WBTC", 8),
    (24, "SNX", 18),
    (173, "SNX", 18),
]
_TABLE: Final = json.dumps(
    [dict(zip(("tokenId", "symbol", "decimals"), token, strict=True)) for token in _TOKENS]
).encode()
_ODD: Final = [
    '"1_000"', '" 1 "', '"1,000"', '"0x10"', '""', '"+1"', '".5"', '"1."', '"01"', '"-"', '"NaN"', '"Infinity"', '"1e41"', '"1e-41"',
    '"\\u0661\\u0662"', '"\\uff11"', '"1\\u200b"', "null", "true", "false", "[]", '["1"]', "{}", "NaN", "-Infinity", "1e400", "1e-400", "01",
    "9" * 81, '"' + "9" * 81 + '"', "1E+1000000", '"1e99"', "-0", '"-0"', "1e-18", "0.1e1", '"1E2"', "9" * 5000, '"١٢"', "1.", ".5", "+1",
]  # fmt: skip
_STATUSES: Final = ("100 Continue", "201 Created", "202 Accepted", "203 Odd", "204 No", "206 StandIn", "226 Odd", "301 Moved", "302 Found",
                    "304 Same", "400 Bad", "401 No", "403 No", "404 No", "408 Late", "418 Tea", "429 Slow", "500 Oh", "503 Off", "599 Odd", "999 Odd")  # fmt: skip


class Case(NamedTuple):
    """One account's response: the bytes on the wire, and the expected result."""

    kind: str
    provider: str
    raw: bytes
    tokens: bytes
    rows: list[reading.Row] | None
    """The expected rows; None if the account must fail."""
    certain: bool = True
    """False if either a failure or these rows are correct."""


# Good responses, in every spelling that JSON and the contract allow.


def _spelled(rng: random.Random, places: int, *, whole: bool) -> str:
    """An amount as JSON, in one of its spellings."""
    digits = str(rng.randrange(10 ** rng.choice((1, 3, 9, 18, 30))))
    if whole:
        text = digits
    else:
        text = digits + (f".{rng.randrange(10**places):0{places}d}" if places and rng.random() < 0.7 else "")
        text += rng.choice(("", "", "", "e-3", "E+4", "e0"))
    text = f"-{text}" if rng.random() < 0.05 else text
    return text if rng.random() < 0.3 else json.dumps(text)


def _payload(rng: random.Random, provider: str) -> Any:
    """A good response as plain values. An amount is a `_Raw` with its JSON."""
    count = rng.choice((0, 1, 2, 3, 8))
    places = rng.choice((0, 2, 8, 18))
    amounts = [
        {key: _Raw(_spelled(rng, places, whole=provider == "loopring")) for key in _AMOUNT_KEYS[provider]}
        for _ in range(count)
    ]
    if provider == "loopring":
        ids = rng.sample([number for number, _, _ in _TOKENS] + [999, 40000], min(count, 8))
        rows: list[Any] = [
            {"accountId": 11329, "tokenId": number, **row, "pending": {"withdraw": "0", "deposit": "0"}}
            for number, row in zip(ids, amounts, strict=False)
        ]
        return rows
    names = [rng.choice(("BTC", "ETH", "USDT", "XRP", "é", rng.choice(NAMES[:-1]))) for _ in amounts]
    rows = [{"asset": name, **row} for name, row in zip(names, amounts, strict=True)]
    if provider == "wallet":
        return {"data": [{**row, "depositAddress": {"TRX": {"address": "T1", "memo": None}}} for row in rows]}
    rows = [{"assetId": row["asset"], "assetName": row["asset"], **row} for row in rows]
    return {"code": 200, "msg": "SUCCESS", "data": {"canDeposit": True, "balances": rows}}


class _Raw(str):
    """JSON to send unchanged."""

    __slots__ = ()


def _written(rng: random.Random, value: Any) -> str:
    """A value as JSON, with random spaces and escapes."""
    blank = rng.choice(("", "", "", " ", "\n  ", "\t")) if rng.random() < 0.3 else ""
    if isinstance(value, _Raw):
        return str(value)
    if isinstance(value, dict):
        members = (f"{json.dumps(key)}:{blank}{_written(rng, item)}" for key, item in value.items())
        return "{" + blank + ",".join(members) + "}"
    if isinstance(value, list):
        return "[" + ",".join(_written(rng, item) for item in value) + blank + "]"
    return json.dumps(
        value, ensure_ascii=rng.random() < 0.5 or (isinstance(value, str) and not value.isprintable())
    )


# Changes to responses.


def _places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every value in a payload."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from _places(item, (*path, key))


def _changed(payload: Any, path: tuple[Any, ...], change: Callable[[Any, Any], None]) -> None:
    """Apply a change to the container and the key of a path."""
    for key in path[:-1]:
        payload = payload[key]
    change(payload, path[-1])


def _bend(rng: random.Random, payload: Any) -> Any:
    """The payload with one value changed, removed or added."""
    path = rng.choice(list(_places(payload)))
    other: Any = rng.choice(
        (None, True, 0, -1, "", "x", [], {}, [None], {"code": 0}, _Raw("1e5"), {"data": []}, "1" * 300)
    )
    if not path:
        return rng.choice((other, [payload], {"data": payload}, payload))
    how = rng.choice(("put", "drop", "rename", "double"))

    def change(container: Any, key: Any) -> None:
        if how == "put":
            container[key] = other
        elif how == "drop":
            del container[key]
        elif how == "rename" and isinstance(container, dict):
            container[str(key).upper()] = container.pop(key)
        elif isinstance(container, list):
            container.append(container[key])

    _changed(payload, path, change)
    return payload


def _odd_amount(rng: random.Random, provider: str, payload: Any) -> Any:
    """The payload with one of its amounts, if any, in an odd form."""
    keys = {*_AMOUNT_KEYS[provider], "withdraw", "deposit"}
    paths = [path for path in _places(payload) if path and path[-1] in keys]
    if paths:
        text = rng.choice(_ODD)

        def change(container: Any, key: Any) -> None:
            container[key] = _Raw(text)

        _changed(payload, rng.choice(paths), change)
    return payload


def _scratched(rng: random.Random, body: bytes) -> bytes:
    """The body with a few bytes changed, removed, doubled or added."""
    data = bytearray(body)
    for _ in range(rng.choice((1, 1, 1, 2, 5))):
        where = rng.randrange(len(data) + 1)
        how = rng.randrange(5)
        piece = rng.choice(
            (
                b"\x00",
                b"\xff",
                b'"',
                b",",
                b"}",
                b"[",
                b"1",
                b"0",
                b"-",
                b".",
                b"e",
                b"\\",
                b" ",
                b"\xef\xbb\xbf",
                b"\xc3\xa9",
            )
        )
        if how == 0:
            data[where:where] = piece
        elif how == 1:
            del data[where : where + rng.choice((1, 1, 2, 20))]
        elif how == 2 and data:
            data[min(where, len(data) - 1)] = rng.randrange(256)
        elif how == 3:
            data[where:where] = data[where : where + rng.randrange(40)]
        else:
            other = rng.randrange(len(data) + 1)
            data[min(where, other) : max(where, other)] = b"" if rng.random() < 0.3 else piece
    return bytes(data)


def _spliced(rng: random.Random, body: bytes) -> bytes:
    """The body with something added around it, or in another encoding."""
    text = body.decode("utf-8", "replace")
    bodies: tuple[bytes, ...] = (
        body + body, b"\xef\xbb\xbf" + body, text.encode("utf-16"), text.encode("utf-32"), b"[" * rng.choice((50, 99, 5000)) + body,
        b"<html>" + body, body + b"\n", b"\n \t" + body + b"\r\n", body + b"\x00", b"", b" ", b"null", b"0", b'"', text.encode("latin-1", "replace"),
        b"while(1);" + body, body.replace(b":", b": ", 5), b"{}" + body, body[1:], body[:-1],
    )  # fmt: skip
    return rng.choice(bodies)


# HTTP framing.


def _head(status: str, *lines: str) -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status}", *lines, "Connection: close", "", ""]).encode("latin-1")


def _framed(rng: random.Random, body: bytes) -> bytes:
    """The body in a random valid framing."""
    how = rng.randrange(5)
    if how == 0:
        return _head("200 OK") + body if body else _head("200 OK", "Content-Length: 0")
    if how == 1:
        cuts = sorted(rng.sample(range(1, len(body)), min(3, len(body) - 1))) if len(body) > 1 else []
        chunks = [body[a:b] for a, b in zip([0, *cuts], [*cuts, len(body)], strict=True)] if body else []
        return _head("200 OK", "Transfer-Encoding: chunked") + chunked(*chunks)
    if how == 2:
        packed = gzip.compress(body, mtime=0)
        return _head("200 OK", "Content-Encoding: gzip", f"Content-Length: {len(packed)}") + packed
    return _head("200 OK", "Content-Type: application/json", f"Content-Length: {len(body)}") + body


def _misframed(rng: random.Random, body: bytes) -> bytes:
    """The body in an invalid framing."""
    size = len(body)
    packed = gzip.compress(body, mtime=0)
    answers: tuple[bytes, ...] = (
        _head("200 OK", f"Content-Length: {size + rng.randrange(1, 99)}") + body,
        _head("200 OK", f"Content-Length: {size}", f"Content-Length: {size + 1}") + body,
        _head("200 OK", f"Content-Length: {size}", "Transfer-Encoding: chunked") + body,
        _head("200 OK", "Content-Length: -1") + body,
        _head("200 OK", "Content-Length: many") + body,
        _head("200 OK", "Transfer-Encoding: chunked") + b"%x\r\n" % (size + 5) + body,
        _head("200 OK", "Transfer-Encoding: chunked") + chunked(body, last=b""),
        _head("200 OK", "Transfer-Encoding: chunked") + b"zz\r\n" + body,
        _head("200 OK", "Content-Encoding: gzip", f"Content-Length: {len(packed) - 9}") + packed[:-9],
        _head("200 OK", "Content-Encoding: gzip", f"Content-Length: {size}") + body,
        _head("200 OK", "Content-Encoding: br", f"Content-Length: {size}") + body,
        _head("200 OK", "Content-Encoding: gzip", f"Content-Length: {len(packed) + 1}") + packed + b"x",
        _head("200 OK", "X-Large: " + "x" * 70_000, f"Content-Length: {size}") + body,
        *(_head(status, f"Content-Length: {size}") + body for status in _STATUSES if status[:3] != "201"),
        b"HTTP/9 200 OK\r\n\r\n" + body, b"\x16\x03\x01" + body, b"", b"HTTP/1.1 2", b"HTTP/1.1 200 OK\r\nContent-Le", body,
    )  # fmt: skip
    return rng.choice(answers)


_KINDS: Final = {
    "good": 10, "odd amount": 15, "bent": 20, "scratched": 20, "spliced": 8, "cut": 5, "misframed": 12, "echo": 5,
    "scratched head": 5, "scratched tokens": 5,
}  # fmt: skip
"""The kinds of changes, with their frequencies."""


def _body(rng: random.Random, kind: str, provider: str, secret: str) -> bytes:
    """A random body of a provider with that kind of change."""
    payload = _payload(rng, provider)
    if kind == "bent":
        for _ in range(rng.choice((1, 1, 2, 4))):
            payload = _bend(rng, payload)
    elif kind == "odd amount":
        payload = _odd_amount(rng, provider, payload)
    elif kind == "echo":
        form = rng.choice(
            [text for name, text in forms(secret).items() if "part" not in name and name != "latin-1"]
        )
        payload = _echoed(rng, payload, form.decode("utf-8", "replace"))
    body = _written(rng, payload).encode("utf-8", "surrogatepass")
    if kind == "cut":
        return body[: rng.randrange(len(body))]
    change = {"scratched": _scratched, "spliced": _spliced}.get(kind)
    return body if change is None else change(rng, body)


def _case(rng: random.Random, provider: str, secret: str, reader: Reader) -> Case:
    """A random response of a provider, good or not, with the expected result."""
    kind = rng.choices(list(_KINDS), list(_KINDS.values()))[0]
    body = _body(rng, kind, provider, secret)
    tokens = _scratched(rng, _TABLE) if kind == "scratched tokens" else _TABLE
    if kind == "misframed":
        return Case(kind, provider, _misframed(rng, body), tokens, None)
    raw = _framed(rng, body)
    if kind == "scratched head":
        head, gap, rest = raw.partition(b"\r\n\r\n")
        raw = _scratched(rng, head) + gap + rest
    try:
        rows: list[reading.Row] | None = reader(body, tokens)
    except reading.Refused:
        rows = None
    # A response that repeats the credential in what would be shown fails. Another proof checks where.
    return Case(kind, provider, raw, tokens, rows, certain=kind not in {"scratched head", "echo"})


def _echoed(rng: random.Random, payload: Any, text: str) -> Any:
    """The payload with the credential somewhere in it."""
    paths = [path for path in _places(payload) if path]
    if not paths:
        return payload

    def change(container: Any, key: Any) -> None:
        if isinstance(container, dict) and rng.random() < 0.3:
            container[text] = container[key]
        else:
            container[key] = rng.choice((text, f"x{text}y"))

    _changed(payload, rng.choice(paths), change)
    return payload


# The program and the servers in this process.


class Bench:
    """The accounts of a run, their hosts, and the program."""

    def __init__(self, folder: Path) -> None:
        self.cases: Sequence[Case] = ()
        self.secrets = [f"tK{number:02d}-9vXw2mRb5LhN8cYd4J-{number:02d}zQ" for number in range(PER_RUN)]
        self._profile = folder / "config.toml"
        self._home = folder
        # A host per account: a connection left open by an odd head must not be used for another account.
        self._hosts = [Wire(self._script) for _ in range(PER_RUN)]

    def __enter__(self) -> Self:
        tables = []
        for number in range(PER_RUN):
            provider = PROVIDERS[number % len(PROVIDERS)]
            host = self._hosts[number]
            key, target = {
                "loopring": ("api_key", "account_id = 11329"),
                "wallet": ("access_token", 'wallet_id = "w-1"'),
                "merchant": ("token", "merchant_id = 0"),
            }[provider]
            tables.append(
                f'[[profiles.main.{provider}]]\nname = "a{number}"\nbase_url = "{host.url}/{number}"\n'
                f'{key} = "{self.secrets[number]}"\n{target}\n'
            )
        self._profile.touch(mode=0o600)
        self._profile.write_text("\n".join(tables))
        for host in self._hosts:
            host.__enter__()
        return self

    def __exit__(self, *ending: object) -> None:
        for host in self._hosts:
            host.__exit__(None, None, None)

    def _script(self, connection: socket.socket, request: bytes) -> None:
        _, number, path = request.split(b" ")[1].split(b"/", 2)
        case = self.cases[int(number)]
        if path.startswith(b"api/v3/exchange/tokens"):
            connection.sendall(_head("200 OK", f"Content-Length: {len(case.tokens)}") + case.tokens)
        else:
            connection.sendall(case.raw)

    def run(self, output: str, *options: str) -> tuple[int, str, str]:
        """The exit code and both streams of one run of the program."""
        limits = ["--retries", "0", "--timeout", "3", "--deadline", "10", "--jobs", str(PER_RUN)]
        arguments = ["all", "-o", output, "-c", str(self._profile), *limits, *options]
        return run_program(arguments, self._home)


def run_program(
    arguments: list[str], home: Path, env: Mapping[str, str] | None = None
) -> tuple[int, str, str]:
    """The exit code and both streams of one run of the program in this process."""
    from balcli.cli import app

    out, err = io.BytesIO(), io.StringIO()
    kept = sys.__stdout__, sys.stderr, dict(os.environ)
    ending = signal.getsignal(signal.SIGTERM)
    stream = io.TextIOWrapper(out, encoding="utf-8", write_through=True)
    os.environ.clear()
    os.environ.update({"HOME": str(home), "PATH": os.defpath, "BALCLI_DEBUG": "1", **(env or {})})
    try:
        sys.__stdout__, sys.stderr = stream, err  # type: ignore[misc]
        code = app.run(arguments)
    finally:
        sys.__stdout__, sys.stderr = kept[0], kept[1]  # type: ignore[misc]
        os.environ.clear()
        os.environ.update(kept[2])
        signal.signal(signal.SIGTERM, ending)
    return code, out.getvalue().decode(), err.getvalue()


def work(rng: random.Random, count: int, readers: Mapping[str, Reader] = READERS) -> Tally:
    """Check that many responses against the oracles."""
    tally = Tally()
    folder = Path(tempfile.mkdtemp(prefix="balcli-answers-"))
    threading.excepthook = lambda args: tally.differs(
        "an exception in a thread", "", "none", args.exc_type.__name__
    )
    try:
        with Bench(folder) as bench:
            hidden = [Marked("any", "token", secret, frozenset()) for secret in bench.secrets]
            for done in range(0, count, PER_RUN):
                providers = [PROVIDERS[number % len(PROVIDERS)] for number in range(PER_RUN)]
                bench.cases = [
                    _case(rng, provider, secret, readers[provider])
                    for provider, secret in zip(providers, bench.secrets, strict=True)
                ]
                output = "table" if done // PER_RUN % 4 == 3 else "json"
                begun = time.monotonic()
                code, out, err = bench.run(output)
                tally.took(f"a run with -o {output}", time.monotonic() - begun)
                _judge(tally, bench.cases[: min(PER_RUN, count - done)], bench.cases, code, out, err, output)
                for secret, form in traces(out.encode() + err.encode(), hidden):
                    tally.differs(
                        "a secret in the output",
                        [case.raw for case in bench.cases],
                        "none",
                        f"{secret.key} ({form})",
                    )
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return tally


def _judge(
    tally: Tally, counted: Sequence[Case], cases: Sequence[Case], code: int, out: str, err: str, output: str
) -> None:
    """Compare one run with the oracle: each account, then the whole run."""
    if "Traceback" in err or code == 1:
        tally.differs("a traceback", [case.raw for case in cases], "none", err)
    if output == "table":
        words = set(out.split())
        for case in counted:
            tally.cases[f"{case.kind}, in a table"] += 1
            amounts = {part for row in case.rows or () for part in row[1:] if part is not None}
            # Echoes are checked in their own proof, and here only in the JSON.
            if case.rows is not None and case.certain and case.kind != "echo" and not amounts <= words:
                tally.differs("an amount is not in the table", case.raw, amounts - words, err)
        return
    document = json.loads(out)
    shown: dict[str, list[reading.Row]] = {account["account"]: [] for account in document["accounts"]}
    for row in document["balances"]:
        shown[row["account"]].append((row["asset"], row["total"], row["available"], row["locked"]))
    statuses = {account["account"]: account["status"] for account in document["accounts"]}
    errors = {account["account"]: account["error"] for account in document["accounts"]}
    for number, case in enumerate(counted):
        found = shown[f"a{number}"] if statuses[f"a{number}"] == "ok" else None
        wanted = None if case.rows is None else sorted(case.rows, key=str)
        got = None if found is None else sorted(found, key=str)
        tally.cases[case.kind] += 1
        echoes = (
            case.kind == "echo" and (errors[f"a{number}"] or {}).get("code") == "answer.echoes_credential"
        )
        if got != wanted and not (got is None and (echoes or not case.certain)):
            kind = "a good answer was refused" if got is None else "wrong amounts"
            tally.differs(
                f"{kind}: {case.kind}, {case.provider}",
                (case.raw, case.tokens),
                wanted,
                got or errors[f"a{number}"],
            )
    _judge_whole(tally, document, code, list(statuses.values()))


def _judge_whole(tally: Tally, document: Any, code: int, statuses: list[str]) -> None:
    """Compare the totals and the exit code with the rows."""
    failed = statuses.count("failed")
    due = 0 if not failed else 8 if failed < len(statuses) else code
    if code != due or document["complete"] is not (not failed):
        tally.differs("the exit code", statuses, due, code)
    counted = [row for row in document["balances"] if not re.fullmatch(r"nft:[0-9]+|#[0-9]+", row["asset"])]
    for total in document["totals"]:
        rows = [row for row in counted if row["asset"] == total["asset"]]
        for part in ("total", "available", "locked"):
            known = [read(row[part]) for row in rows if row[part] is not None]
            sum_of_known = written(sum(known)) if known else None
            if total["known"] is not None and total["known"][part] != sum_of_known:
                tally.differs("what is known of a total", total, sum_of_known, total["known"][part])
            whole = None if failed or len(known) < len(rows) else sum_of_known
            if total[part] != whole:
                tally.differs("a total", total, whole, total[part])


ANSWERS: Final = Proof("answers", __doc__, 50_000, 480, work, renewed=4)


def main(argv: Sequence[str]) -> int:
    """Run the proof and print its figures. Returns 1 if anything differs."""
    return conduct(argv, ANSWERS)
