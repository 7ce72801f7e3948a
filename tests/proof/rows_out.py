"""Each row of random responses is shown once, and each total is the sum for its exact name."""

import json
import random
import shutil
import socket
import tempfile
from collections import Counter, defaultdict
from collections.abc import Container, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeAlias
from urllib.parse import parse_qs, urlsplit

from balcli.sandbox import json_response
from tests.proof.answers import PER_RUN, PROVIDERS, Bench
from tests.proof.conduct import Proof, Tally, conduct
from tests.proof.integers import read, read_units, written

_SPELLINGS: Final = (
    "USDT", "usdt", "Usdt", "uSDT", " USDT", "USDT ", "USDT.e", "U\u017fDT", "u\u017fdt", "\uff35SDT", "USDT\u200b", "USDT\x00",
    "SNX", "snx", "SNX#24", "snx#24", "SNX#173", "#24", "#7", "nft:40000", "NFT:40000", "nft:32768", "K", "k", "\u212a",
    "\u0130", "i\u0307", "i", "I", "\u0131", "\xe9", "e\u0301", "\xc9", "\xdf", "SS", "ss", "\ufb01", "fi", "\U00010400", "\U00010428",
    "=1+1", "[b]x[/b]", "***", "\ufffd", "0", "null", "x" * 300,
)  # fmt: skip
"""Names of different assets that would be equal after folding, trimming, cutting, numbering or filtering."""
_SURROGATES: Final = ("\ud800", "a\udfff", "USDT\ud83d", "\ude00\ud83d")
_IDS: Final = (0, 1, 3, 7, 24, 173, 999, 32767, 32768, 32769, 40000, 65535)
_PARTS: Final = ("total", "available", "locked")

Amounts: TypeAlias = tuple[str | None, str | None, str | None]


class Out(NamedTuple):
    """A row to show, the names that select it, and whether it is in a total."""

    asset: str
    asset_id: str | None
    amounts: Amounts
    names: tuple[str, ...]
    counted: bool = True


class Case(NamedTuple):
    """One account's response, its token table, and the expected rows."""

    provider: str
    payload: Any
    table: list[dict[str, Any]]
    rows: list[Out]

    def due(self, asked: "Asked", served: Container[str]) -> list[Out] | None:
        """The rows to show; None if the account must fail, because a name is not text."""
        sent = (row for row in self.rows if self.provider != "loopring" or row.asset_id in served)
        if not all(_is_text(row.names) for row in sent):
            return None
        return [row for row in self.rows if asked.takes(row)]


def folded(name: str) -> bytes:
    """The name with ASCII case folded."""
    return name.encode("utf-8", "surrogatepass").lower()


def _name(rng: random.Random) -> str:
    return rng.choice(_SURROGATES if rng.random() < 0.001 else _SPELLINGS)


def _amount(rng: random.Random, *, whole: bool = False) -> str:
    digits = str(rng.randrange(10 ** rng.choice((1, 2, 9, 18, 30))))
    places = 0 if whole else rng.choice((0, 0, 2, 18))
    return (
        rng.choice(("", "", "", "-"))
        + digits
        + (f".{rng.randrange(10**places):0{places}d}" if places else "")
    )


def _shown(*values: int | None) -> Amounts:
    total, available, locked = (None if value is None else written(value) for value in values)
    return total, available, locked


def _is_text(names: Iterable[str]) -> bool:
    return not any("\ud800" <= character <= "\udfff" for name in names for character in name)


def _wallet(rng: random.Random, count: int) -> Case:
    sent, out = [], []
    for _ in range(count):
        row: dict[str, Any] = {key: _amount(rng) for key in ("balance", "holdBalance", "lockBalance")}
        if rng.random() < 0.05:
            row[rng.choice([*row])] = None
        row["asset"] = _name(rng)
        balance, hold, lock = (
            None if row[key] is None else read(row[key]) for key in ("balance", "holdBalance", "lockBalance")
        )
        locked = None if hold is None or lock is None else hold + lock
        total = None if balance is None or locked is None else balance + locked
        sent.append(row)
        out.append(Out(row["asset"], None, _shown(total, balance, locked), (row["asset"],)))
    return Case("wallet", {"data": sent}, [], out)


def _merchant(rng: random.Random, count: int) -> Case:
    sent, out = [], []
    for _ in range(count):
        row: dict[str, Any] = {key: _amount(rng) for key in ("total", "free", "locked")}
        asset, number = _name(rng), rng.choice((None, "1", "2", "24", "173", _name(rng)))
        row |= {"asset": asset, "assetId": number, "assetName": asset}
        sent.append(row)
        amounts = _shown(*(read(row[key]) for key in ("total", "free", "locked")))
        names = (asset,) if number is None else (asset, f"#{number}", *_symbol(asset, number))
        out.append(Out(asset, number, amounts, names))
    answer = {"code": 200, "msg": "SUCCESS", "data": {"canDeposit": True, "balances": sent}}
    return Case("merchant", answer, [], out)


def _symbol(asset: str, number: str) -> list[str]:
    """The symbol of a label, if the asset looks like a label."""
    symbol, mark, rest = asset.rpartition("#")
    return [symbol] if symbol and mark and rest == number else []


def _loopring(rng: random.Random, count: int) -> Case:
    listed = rng.sample(_IDS, rng.randrange(len(_IDS)))
    table = {number: (_name(rng), rng.choice((0, 6, 18, 18, "18", None))) for number in listed}
    times = Counter(symbol for symbol, _ in table.values())
    sent, out = [], []
    for number in rng.choices(_IDS, k=count):
        total, locked = _amount(rng, whole=True), _amount(rng, whole=True)
        sent.append({"accountId": 11329, "tokenId": number, "total": total, "locked": locked})
        symbol, decimals = table.get(number, (None, None))
        label = f"#{number}"
        if symbol is None and number >= 32768:
            label, decimals = f"nft:{number}", 0
        elif symbol is not None and isinstance(decimals, int):
            own = times[symbol] == 1 and "#" not in symbol and not folded(symbol).startswith(b"nft:")
            label = symbol if own else f"{symbol}#{number}"
        amounts: Amounts = (None, None, None)
        if isinstance(decimals, int):
            units = read_units(total, decimals), read_units(locked, decimals)
            amounts = _shown(units[0], units[0] - units[1], units[1])
        names = (f"#{number}", label, *([] if symbol is None else [symbol]))
        out.append(
            Out(label, str(number), amounts, names, counted=amounts[0] is not None and symbol is not None)
        )
    entries = [
        {"tokenId": number, "symbol": symbol, "decimals": decimals}
        for number, (symbol, decimals) in table.items()
    ]
    return Case("loopring", sent, entries, out)


_MADE: Final = {"loopring": _loopring, "wallet": _wallet, "merchant": _merchant}


class _Host(Bench):
    """The host of a run's accounts. The relayer filters by the requested ids, like the real one."""

    rows: Sequence[Case] = ()
    served: Mapping[str, set[str]] = {}
    """The token ids sent to each account."""

    def _script(self, connection: socket.socket, request: bytes) -> None:
        url = urlsplit(request.split(b" ")[1].decode())
        case = self.rows[int(url.path.split("/")[1])]
        payload = case.payload
        wanted = parse_qs(url.query).get("tokens")
        if url.path.endswith("/exchange/tokens"):
            payload = case.table
        elif wanted is not None:
            payload = [row for row in payload if str(row["tokenId"]) in wanted[0].split(",")]
        if url.path.endswith("/user/balances"):
            self.served[f"a{url.path.split('/')[1]}"].update(str(row["tokenId"]) for row in payload)
        connection.sendall(json_response(payload).as_bytes())


class Asked(NamedTuple):
    """The assets that the command line selects."""

    name: str | None = None
    exact: bool = False

    @property
    def options(self) -> list[str]:
        """The options of the command line."""
        return [] if self.name is None else [f"--asset={self.name}", *(["--exact"] if self.exact else [])]

    def takes(self, row: Out) -> bool:
        """Whether a row is shown."""
        if self.name is None:
            return True
        return self.name in row.names if self.exact else folded(self.name) in map(folded, row.names)


def _asked(rng: random.Random) -> Asked:
    if rng.random() < 0.6:
        return Asked()
    names = [name for name in _SPELLINGS if name.strip() == name and "," not in name and "\0" not in name]
    return Asked(rng.choice(names), rng.random() < 0.5)


def work(rng: random.Random, count: int) -> Tally:
    """Check that many responses, in runs of the whole program with sockets."""
    tally = Tally()
    folder = Path(tempfile.mkdtemp(prefix="balcli-rows-"))
    try:
        with _Host(folder) as host:
            for done in range(0, count, PER_RUN):
                kinds = [PROVIDERS[number % len(PROVIDERS)] for number in range(PER_RUN)]
                host.rows = [_MADE[kind](rng, rng.choice((0, 1, 2, 3, 5, 8, 13))) for kind in kinds]
                host.served = defaultdict(set)
                asked = _asked(rng)
                code, out, err = host.run("jsonl" if rng.random() < 0.2 else "json", *asked.options)
                if not out:
                    tally.differs("a run without a document", (asked, code), "a document", err)
                    continue
                _judge(tally, host, min(PER_RUN, count - done), asked, _document(out), err)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return tally


def _document(out: str) -> Mapping[str, list[dict[str, Any]]]:
    """The balances, totals, accounts and warnings of a run, from a document or JSON lines."""
    first = json.loads(out.partition("\n")[0]) if '"type"' in out.partition("\n")[0] else None
    if first is None:
        document: Mapping[str, list[dict[str, Any]]] = json.loads(out)
        return document
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for line in out.splitlines():
        item = json.loads(line)
        found[f"{item['type']}s"].append(item)
    return found


def _judge(
    tally: Tally, host: _Host, counted: int, asked: Asked, document: Mapping[str, Any], err: str
) -> None:
    failed = {account["account"] for account in document["accounts"] if account["error"] is not None}
    shown: dict[str, list[Any]] = defaultdict(list)
    for row in document["balances"]:
        amounts = tuple(row[part] for part in _PARTS)
        shown[row["account"]].append((row["asset"], row["asset_id"], amounts))
    due: list[Out] = []
    repeated = 0
    for number, case in enumerate(host.rows):
        name = f"a{number}"
        rows = case.due(asked, host.served[name])
        due += rows or []
        repeated += sum(times > 1 for times in Counter(row.asset for row in rows or []).values())
        if number < counted:
            expected = "failed" if rows is None else sorted(map(repr, (row[:3] for row in rows)))
            found = "failed" if name in failed else sorted(map(repr, shown[name]))
            kind = f"answers of {case.provider}{'' if asked.name is None else ', filtered'}"
            tally.compare(kind, (asked, case.payload, case.table, err), expected, found)
    sums: dict[str, list[Out]] = defaultdict(list)
    for row in due:
        if row.counted:
            sums[row.asset].append(row)
    expected_totals = {asset: _sums(rows, bool(failed)) for asset, rows in sums.items()}
    totals = {
        total["asset"]: (tuple(total[part] for part in _PARTS), _known(total)) for total in document["totals"]
    }
    if len(totals) != len(document["totals"]) or totals != expected_totals:
        tally.differs("totals", (asked, [case.payload for case in host.rows]), expected_totals, totals)
    spellings: dict[bytes, set[str]] = defaultdict(set)
    for row in due:
        spellings[folded(row.asset)].add(row.asset)
    codes = Counter(warning["code"] for warning in document["warnings"])
    warned = codes["asset.case"], codes["asset.repeated"]
    several = sum(len(names) > 1 for names in spellings.values())
    if warned != (several, repeated):
        tally.differs("warnings of case and repetition", (asked, spellings), (several, repeated), warned)


def _known(total: Mapping[str, Any]) -> Amounts:
    known = total["known"] or dict.fromkeys(_PARTS)
    return known["total"], known["available"], known["locked"]


def _sums(rows: Sequence[Out], failed: bool) -> tuple[Amounts, Amounts]:
    """The total of one name, and its known part."""
    whole, known = [], []
    for place in range(len(_PARTS)):
        amounts = [row.amounts[place] for row in rows]
        there = [read(amount) for amount in amounts if amount is not None]
        known.append(written(sum(there)) if there else None)
        whole.append(None if failed or len(there) < len(amounts) else known[-1])
    return (whole[0], whole[1], whole[2]), (known[0], known[1], known[2])


ROWS_OUT: Final = Proof("rows-out", __doc__, 100_000, 480, work, renewed=4)


def main(argv: Sequence[str]) -> int:
    """Run the proof and print its figures. Returns 1 if anything differs."""
    return conduct(argv, ROWS_OUT)
