"""Rows 5 to 7: the cost of a run compared with the network, and with scripts of curl and jq."""

import json
import math
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from benchmarks.amounts import Account
from benchmarks.answers import CREDENTIALS, credential, tokens
from benchmarks.bench import THREE, Bench, Line, ms
from benchmarks.checks import adds_up, has
from benchmarks.measure import Command, Spread, ratios, spread, wall

_JOBS: Final = 50
_LATENCY: Final = 0.05
_HEAD: Final = "deadline = 600"
_ADD: Final = (
    "reduce (inputs.data[]) as $row ({}; "
    ".[$row.asset] += ($row | [.balance, .holdBalance, .lockBalance | tonumber] | add))"
)
_SHOW: Final = (
    "($tokens[0] | map({(.tokenId | tostring): .}) | add) as $table | "
    "($loopring[0][] | $table[.tokenId | tostring] as $token | [$token.symbol, .total, .locked, $token.decimals]), "
    "($wallet[0].data[] | [.asset, .balance, .holdBalance, .lockBalance]), "
    "($merchant[0].data.balances[] | [.asset, .total, .free, .locked]) | @tsv"
)


def version(tool: str) -> str | None:
    """The name and version in a tool's first line of output; None if it is not installed."""
    if shutil.which(tool) is None:
        return None
    told = subprocess.run([tool, "--version"], capture_output=True, text=True, check=False).stdout.split()
    return " ".join(told[:2]) if told[:1] == [tool] else told[0].replace("-", " ")


def _peers() -> str | None:
    """Both peers with their versions; None if one is not installed."""
    curl, jq = version("curl"), version("jq")
    return f"{curl}, {jq}" if curl and jq else None


def _missing(row: int, what: str) -> list[Line]:
    return [Line(row, what, "not measured: curl or jq is not there")]


def _request(bench: Bench, account: Account) -> tuple[str, list[str], str | None]:
    """The URL, the headers and the body of an account's request."""
    url = bench.server.url(account.provider)
    name, value = CREDENTIALS[account.provider][0], credential(account)
    if account.provider == "loopring":
        return f"{url}/api/v3/user/balances?accountId={account.target}", [f"{name}: {value}"], None
    if account.provider == "merchant":
        return f"{url}/v2/assets/account/assets?merchantId={account.target}", [f"{name}: {value}"], None
    headers = [f"{name}: {value}", "Content-Type: application/json"]
    return f"{url}/v2/balance", headers, json.dumps({"walletId": str(account.target)})


def _curl_file(bench: Bench, name: str, accounts: Sequence[Account], *, apart: bool) -> Path:
    """A file for `curl -K` with the accounts' requests; with `apart`, each response gets its own file."""
    parts = []
    for account in accounts:
        url, headers, body = _request(bench, account)
        lines = [f'url = "{url}"', *(f'header = "{header}"' for header in headers)]
        lines += [f"data = {json.dumps(body)}"] if body else []
        lines += [f'output = "{account.provider}.json"'] if apart else []
        parts.append("\n".join(lines))
    file = bench.folder / f"{name}.curl"
    file.write_text("\nnext\n".join(parts) + "\n", encoding="utf-8")
    return file


def _scripts(bench: Bench) -> tuple[Command, Command]:
    """A user's script for the three accounts: curl in sequence or in parallel, then jq."""
    (bench.folder / "tokens.json").write_text(json.dumps(tokens()), encoding="utf-8")
    files = " ".join(
        f"--slurpfile {name} {name}.json" for name in ("tokens", *(account.provider for account in THREE))
    )
    jq = f"jq -n -r {files} {shlex.quote(_SHOW)}\n"
    one_by_one = []
    for account in THREE:
        url, headers, body = _request(bench, account)
        options = [part for header in headers for part in ("-H", header)] + (["-d", body] if body else [])
        one_by_one.append(shlex.join(["curl", "-sS", *options, "-o", f"{account.provider}.json", url]))
    together = _curl_file(bench, "three", THREE, apart=True)
    texts = {
        "serial.sh": "\n".join(["set -e", *one_by_one, jq]),
        "parallel.sh": f"set -e\ncurl -sS --no-progress-meter --parallel -K {shlex.quote(str(together))}\n{jq}",
    }
    for name, text in texts.items():
        (bench.folder / name).write_text(text, encoding="utf-8")
    check = has(sum(account.rows for account in THREE), "\n")
    serial, parallel = (Command(("bash", str(bench.folder / name)), check) for name in texts)
    return serial, parallel


def row_5(bench: Bench) -> list[Line]:
    """`all`, compared with the script that a user would write."""
    what = "`all`, three providers, 200 ms, token table cached"
    ours = bench.ask(bench.profile("three", THREE), THREE)
    bench.server.set_latency(0.2)
    try:
        bench.runner.run(ours)  # which caches the token table
        bench.server.log()
        bench.runner.run(ours)
        log = bench.server.log()
        told = f"{log.requests} requests over {log.connections} connections, {log.together} at once"
        trip = Line(
            5, f"{what}: requests", told, "", "one round trip", log.together == log.requests == len(THREE)
        )
        if (peers := _peers()) is None:
            return [trip, *_missing(5, what)]
        here, serial, parallel = bench.runner.rounds([ours, *_scripts(bench)], bench.rounds(20, 2))
    finally:
        bench.server.set_latency(0)
    lines = [trip]
    for name, times, most in (("one after the other", serial, 0.7), ("in parallel", parallel, 1.75)):
        ratio = ratios(here, times, wall)
        measured = f"wall {ratio} ×, {ms(here)}"
        lines.append(
            Line(
                5,
                what,
                measured,
                f"{name}, then jq: {ms(times)} ({peers})",
                f"≤ {most:g} ×",
                ratio.median <= most,
            )
        )
    return lines


def _wallets(count: int) -> tuple[Account, ...]:
    return tuple(Account("wallet", number, 1) for number in range(1, count + 1))


def _many(bench: Bench, count: int) -> Command:
    """The command for that many wallets, with only the deadline raised."""
    accounts = _wallets(count)
    return bench.ask(
        bench.profile(f"wallets-{count}", accounts, head=_HEAD), accounts, "json", "--jobs", str(_JOBS)
    )


def _curls(bench: Bench, count: int) -> tuple[Command, Command]:
    """One curl per wallet, alone and piped into a jq that adds up."""
    accounts = _wallets(count)
    file = shlex.quote(str(_curl_file(bench, f"wallets-{count}", accounts, apart=False)))
    curl = f"curl -sS --no-progress-meter --parallel --parallel-max {_JOBS} -K {file}"
    bare = Command(("bash", "-c", f"exec {curl}"), has(count, '"data"'))
    return bare, Command(("bash", "-c", f"{curl} | jq -n {shlex.quote(_ADD)}"), adds_up(accounts))


def row_6(bench: Bench) -> list[Line]:
    """Many accounts on one host."""
    count = 200 if bench.quick else 1000
    what = f"{count:,} wallets of one asset on one host, 50 ms, `--jobs {_JOBS}`, `-o json`"
    ours = _many(bench, count)
    peers, commands = _peers(), [ours]
    if peers is not None:
        commands += _curls(bench, count)
    bench.server.set_latency(_LATENCY)
    try:
        here, *others = bench.runner.rounds(commands, bench.rounds(20, 2))
        peak = bench.runner.peak(ours)
        bench.server.log()
        bench.runner.run(ours)
        log = bench.server.log()
    finally:
        bench.server.set_latency(0)
    lines = [] if others else _missing(6, what)
    for name, times in zip(("bare `curl --parallel`", "`curl --parallel | jq`"), others, strict=False):
        ratio = ratios(here, times, wall)
        measured, peer = f"wall {ratio} ×, {ms(here)}", f"{name}: {ms(times)} ({peers})"
        if "jq" in name:
            lines.append(Line(6, what, measured, peer))
        else:
            lines.append(_held(bench, 6, what, measured, peer, "≤ 1.45 ×", met=ratio.median <= 1.45))
    told = f"{log.requests:,} requests over {log.connections} connections, {log.together} at once"
    # The server's waits alone: with so many connections, no client is faster than this.
    floor = f"at least {math.ceil(count / _JOBS) * _LATENCY * 1000:,.0f} ms for any client"
    lines.append(Line(6, f"{what}: requests", told, floor))
    lines.append(_per_account(bench, count))
    lines.append(_held(bench, 6, f"{what}: peak memory", f"{peak:.1f} MiB", "", "≤ 46 MiB", met=peak <= 46))
    return lines


def _per_account(bench: Bench, count: int) -> Line:
    """The cost of an account without network waits, in instructions or else in time."""
    one, many = _many(bench, 1), _many(bench, count)
    what, target = f"an account, of {count:,}, 0 ms", "≤ 1,750 k instructions"
    if bench.counter.tool is None:
        first, last = bench.runner.rounds([one, many], bench.rounds(5, 2))
        taken = [(b.cpu - a.cpu) / (count - 1) * 1e6 for a, b in zip(first, last, strict=True)]
        return Line(6, what, f"CPU {_micro(spread(taken))}; instructions not counted", "", target)
    counts = bench.counter.count([one, many])
    each = (counts[1] - counts[0]) / (count - 1) / 1000
    return _held(bench, 6, what, f"{each:,.0f} k instructions", "", target, met=each <= 1750)


def _micro(taken: Spread) -> str:
    return f"{taken.median:.0f} [{taken.low:.0f}–{taken.high:.0f}] µs"


def row_7(bench: Bench) -> list[Line]:
    """Five times as many accounts."""
    few, many = (200, 1000) if bench.quick else (1000, 5000)
    what = f"{many:,} wallets, as row 6"
    bench.server.set_latency(_LATENCY)
    try:
        commands = [_many(bench, few), _many(bench, many)]
        _, peak = map(bench.runner.peak, commands)
        base, times = bench.runner.rounds(commands, bench.rounds(5, 1), warm=True)
    finally:
        bench.server.set_latency(0)
    ratio = ratios(times, base, wall)
    return [
        _held(bench, 7, what, f"wall {ratio} ×, {ms(times)}", f"{few:,} wallets: {ms(base)}", "≤ 4.6 ×",
              met=ratio.median <= 4.6),
        _held(bench, 7, f"{what}: peak memory", f"{peak:.1f} MiB", "", "≤ 64 MiB", met=peak <= 64),
    ]  # fmt: skip


def _held(bench: Bench, row: int, what: str, measured: str, peer: str, target: str, *, met: bool) -> Line:
    """The line, without a verdict if a quick run measured less than the target requires."""
    return Line(row, what, measured, peer, target, None if bench.quick else met)
