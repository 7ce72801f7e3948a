"""The canary: a hunt finds nothing where nothing is, and its search finds what is hidden for it."""

import base64
import json
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest

from balcli.sandbox.exchange import SandboxRequest
from tests.canary import hunt
from tests.canary.marked import Marked, mark, parts_of, traces
from tests.canary.planting import KINDS, URL_KEY, WAYS, Planting
from tests.conftest import ROOT, Program, Result, wait_until

SECRET = mark()
COMMAND = (sys.executable, "-m", "tests.canary")
RAW = SECRET.encode()
MARKED = Marked("wallet", "api_key", SECRET, frozenset({"header api-key"}))
LEAKS = {
    "raw": RAW,
    "json": json.dumps(SECRET).encode(),
    "json in utf-8": json.dumps(SECRET, ensure_ascii=False).encode(),
    "url": quote(SECRET, safe="").encode(),
    "url form": quote_plus(SECRET).encode(),
    "base64": base64.b64encode(RAW),
    "base64 without padding": base64.b64encode(RAW).rstrip(b"="),
    "base64url": base64.urlsafe_b64encode(RAW),
    "base64url without padding": base64.urlsafe_b64encode(RAW).rstrip(b"="),
    "hex": RAW.hex().encode(),
    "hex in capitals": RAW.hex().upper().encode(),
    "latin-1": SECRET.encode("latin-1"),
    "cut": RAW[:20],
    "the end": RAW[-20:],
}


def run_hunt(program: Program, *arguments: str, env: Mapping[str, str] | None = None) -> Result:
    """The exit code and both streams of a hunt."""
    done = subprocess.run(
        [*COMMAND, *arguments],
        env=program.environment(env),
        cwd=ROOT,
        capture_output=True,
        timeout=60,
        check=False,
        text=True,
    )
    return Result(done.returncode, done.stdout, done.stderr)


@pytest.mark.parametrize("leak", LEAKS.values(), ids=LEAKS)
def test_the_search_finds_a_leak_in_every_encoding(leak: bytes) -> None:
    """A text that holds the secret in any of the encodings, or a part of it, is found."""
    assert [MARKED] == [secret for secret, _ in traces(b"some text " + leak + b" and more", [MARKED])]


def test_the_search_finds_nothing_in_innocent_text() -> None:
    """Another secret, the hidden one's stars and its name are no finding."""
    assert [] == list(traces(f"{mark()} *** api_key cnry-".encode(), [MARKED]))


def test_each_part_of_a_request_is_looked_at() -> None:
    """A secret is told from its own header in the path, the query, another header and the body."""
    headers = {"api-key": SECRET, "x-other": SECRET}
    question = SandboxRequest("POST", f"/r1-wallet/{SECRET}", {"key": SECRET}, headers, RAW)
    seen = {place for place, data in parts_of(question) for _ in traces(data, [MARKED])}
    assert {"path", "query key", "header api-key", "header x-other", "body of request"} == seen


def test_every_way_plants_a_secret(tmp_path: Path) -> None:
    """Each way of giving a secret puts it, in the file's own spelling, where balcli reads it."""
    for way in WAYS:
        planting = Planting(tmp_path / way)
        secret = planting.plant("loopring", "/x", ("api_key",), way)["api_key"]
        planting.write({"loopring": "http://127.0.0.1:1"})
        files = b"".join(file.read_bytes() for file in planting.files)
        variables = "".join(planting.variables.values())
        # Quotes and backslashes are escaped in different ways; the mark's first part is in all of them.
        assert 1 == files.count(secret[:20].encode()) + variables.count(secret[:20])


def test_a_hunt_finds_nothing(program: Program) -> None:
    """A short hunt drives every kind of account and many faults, sees secrets in their place, and finds none elsewhere."""
    result = run_hunt(program, "--runs", "24", "-o", "json")
    figures = result.json
    assert (0, "", [], 24) == (result.code, result.err, figures["findings"], figures["runs"])
    assert 12 == figures["faults_driven"]
    assert figures["bytes_searched"] > 20_000
    assert figures["seen_in_place"] >= 24
    assert "1" not in figures["exit_codes"]


def test_a_hunt_finds_a_program_that_leaks(program: Program, tmp_path: Path) -> None:
    """With the search for echoed credentials taken out, the hunt ends with 1, says where, and shows no secret."""
    (tmp_path / "sitecustomize.py").write_text(
        "import balcli.secret\n"
        "balcli.secret.redact = lambda text: text\n"
        "import balcli.http.echoes\n"
        "balcli.http.echoes.contains_credential = lambda *_, **__: False\n"
    )
    result = run_hunt(program, "--runs", "40", "-o", "json", env={"PYTHONPATH": str(tmp_path)})
    found = result.json["findings"]
    assert (1, len(found)) == (result.code, len(result.err.splitlines()))
    assert any("is in stdout (raw)" in finding for finding in found)
    assert "cnry-" not in result.out + result.err


def test_a_hunt_tells_its_figures(program: Program) -> None:
    """The figures are for people, too; nothing of the user's home is touched."""
    result = run_hunt(program, "--runs", "2")
    assert (0, "") == (result.code, result.err)
    assert {"runs", "bytes", "faults", "false", "exit", "seconds", "findings"} == {
        line.split()[0] for line in result.out.splitlines()
    }
    assert [] == list(program.folder.iterdir())


def test_a_leak_is_told_without_the_secret(tmp_path: Path) -> None:
    """What a run leaves on its streams, in files and at other hosts is found; the finding never holds the secret."""
    planting = Planting(tmp_path / "home")
    secret = planting.plant("wallet", "/r7-wallet", ("api_key",), "text")["api_key"]
    planting.write({"wallet": "http://127.0.0.1:1"})
    trial = hunt.Trial(7, "none", ["all"], planting)
    trial.result("out").write_bytes(b"well")
    trial.result("err").write_bytes(base64.b64encode(secret.encode()))
    trial.result("code").write_text("0")
    (planting.home / "cache.json").write_text(json.dumps(secret))
    own = SandboxRequest("POST", "/r7-wallet/v2/balance", {}, {"api-key": secret}, b"")
    wrong = SandboxRequest("POST", "/r7-merchant/v2", {}, {"api-key": secret}, b"")
    figures = hunt.Figures(1)
    hunt._search(trial, [("wallet", own), ("merchant", wrong)], figures)
    found = "\n".join(figures.findings)
    assert (3, 1) == (len(figures.findings), figures.at_home)
    for place in ("stderr (base64)", "the file cache.json (json)", "went to merchant, header api-key"):
        assert place in found
    assert secret[:20] not in found


def test_a_whole_round_covers_everything(tmp_path: Path) -> None:
    """The trials of one round name every fault of the sandbox; some rounds give every kind of account in every way."""
    trials = [hunt._trial(number, tmp_path, "") for number in range(2000)]
    assert set(hunt.TROUBLES) == {trial.trouble for trial in trials[: 2 * len(hunt.TROUBLES)]}
    assert {"table", "json"} == {trial.arguments[trial.arguments.index("-o") + 1] for trial in trials}
    given = {
        (part.provider, tuple(key for key in part._secrets if key != URL_KEY))
        for trial in trials
        for part in trial.parts
    }
    assert {(provider, keys) for provider, kinds in KINDS.items() for keys in kinds} == given


def test_an_interrupted_hunt_ends_at_once(program: Program) -> None:
    """Ctrl-C ends a hunt with 130, without a word, and nothing of it stays: no process and no folder."""
    process = subprocess.Popen(
        [*COMMAND, "--runs", "100"],
        env={**program.environment(), "TMPDIR": str(program.folder)},
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    wait_until(lambda: [*program.folder.glob("balcli-canary-*/*.out")])
    process.send_signal(signal.SIGINT)
    assert (b"", b"") == process.communicate(timeout=10)
    assert 130 == process.returncode
    wait_until(lambda: not [*program.folder.iterdir()])


@pytest.mark.parametrize("arguments", [["shop"], ["--runs", "0"], ["--runs", "x"], ["-o", "csv"]])
def test_wrong_usage(program: Program, arguments: list[str]) -> None:
    """A hunt takes no account, at least one run, and a table or JSON."""
    assert 2 == run_hunt(program, *arguments).code
