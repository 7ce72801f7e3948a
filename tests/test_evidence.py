"""Evidence: a record tells its run again byte for byte, holds no secret, and shows what was done to it."""

import base64
import json
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from balcli.errors import EvidenceAltered, EvidenceDiffers, EvidenceError, EvidenceIncomplete, UsageError
from balcli.evidence import folder
from balcli.evidence.names import Names
from balcli.evidence.replay import replay
from balcli.http import echoes
from balcli.http.strictjson import decode
from balcli.render.json import document
from balcli.sandbox import Sandbox, SandboxResponse, json_response
from balcli.secret import Secret
from tests import golden
from tests.canary.echoes import ECHOES, EchoingPart
from tests.canary.marked import traces
from tests.canary.planting import KINDS, Planting
from tests.conftest import ROOT, Program, Result, wait_until, warm
from tests.generated import sampled
from tests.lists import each_case

NO_NETWORK = (
    "import socket\n"
    "def refuse(*_):\n"
    "    raise SystemExit('a replay opened a connection')\n"
    "socket.socket.connect = socket.socket.connect_ex = socket.getaddrinfo = refuse\n"
)
RUNS = (
    ("all", "-o", "json"),
    ("all", "-o", "table", "--fault", "wallet:expired", "--fault", "merchant:expired"),
    ("all", "-o", "json", "--fault", "refused"),
    ("all", "-o", "csv", "--fault", "flaky", "--fault", "merchant:amount"),
    (
        "all",
        "-o",
        "jsonl",
        "--fault",
        "loopring:cut",
        "--fault",
        "wallet:page",
        "--fault",
        "merchant:limited",
        "--retries",
        "1",
    ),
    ("all", "-o", "json", "--fault", "wallet:firewall", "--fault", "loopring:denied"),
    ("all", "-o", "table", "--fault", "names", "--nonzero"),
    ("all", "-o", "json", "--fault", "echo", "--retries", "0"),
    ("all", "-o", "json", "--fault", "wallet:silent", "--deadline", "1.5"),
    ("merchant", "-o", "csv", "--all-merchants", "--fiat"),
    ("all", "-o", "table", "--sort", "total", "--nonzero"),
    ("all", "-o", "json", "--totals-only", "--fault", "merchant:flaky"),
    ("loopring", "-o", "prometheus", "--nfts", "--asset", "eth,nft:32770"),
    ("wallet", "-o", "table", "--addresses"),
    ("wallet", "-o", "json", "--asset", ""),
    ("all", "-o", "json", "--asset", "usdt", "--exact", "--fault", "case"),
)


def replayed(program: Program, *arguments: str) -> Result:
    """What a replay does without a home, without a variable, and where every connection is a failure."""
    (program.folder / "sitecustomize.py").write_text(NO_NETWORK)
    code, out, err = warm().run(
        ["replay", *arguments], {"PYTHONPATH": str(program.folder)}, program.folder, seconds=60
    )
    assert b"Traceback" not in err
    return Result(code, out.decode(), err.decode())


def messages(result: Result) -> list[str]:
    """What a run said, but for the note on its evidence."""
    return [line for line in result.err.splitlines() if "evidence manifest" not in line]


@pytest.mark.whole
@pytest.mark.parametrize("arguments", sampled(RUNS, 2), ids=" ".join)
def test_a_replay_is_the_run_again(program: Program, arguments: tuple[str, ...]) -> None:
    """Without network, home and secrets, a record gives the run's output byte for byte, its messages and its code."""
    place = str(program.folder / "evidence")
    run = program.run(*arguments, "--sandbox", "--evidence", place)
    again = replayed(program, place)
    assert (run.out, messages(run), run.code) == (again.out, messages(again), again.code)


def test_a_replay_takes_another_format(program: Program) -> None:
    """`-o` asks a record for another format than the run's own, and `-O` puts it into a file."""
    place, file = program.folder / "evidence", program.folder / "out.json"
    run = program.run("all", "--sandbox", "--evidence", str(place), "-q")
    assert (0, "") == (run.code, run.err)
    again = replayed(program, str(place), "-o", "json", "-O", str(file))
    assert (0, "") == (again.code, again.out)
    made = json.loads(file.read_text())
    assert (document(replay(place).report), True) == (made, made["complete"])


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small record: one merchant, one login, one answer."""
    home = tmp_path_factory.mktemp("recorded")
    place = home / "evidence"
    result = Program(home).run("merchant", "--sandbox", "--asset", "BTC", "--evidence", str(place))
    assert 0 == result.code
    return place


@pytest.fixture
def copied(record: Path, tmp_path: Path) -> Path:
    """A copy of the small record, to be spoilt."""
    return Path(shutil.copytree(record, tmp_path / "copy"))


def test_a_record_is_its_owners_alone(record: Path) -> None:
    """The folder has mode 0700, its files 0600."""
    assert 0o700 == stat.S_IMODE(record.stat().st_mode)
    assert {0o600} == {stat.S_IMODE(file.stat().st_mode) for file in record.iterdir()}


def test_a_record_is_told(record: Path) -> None:
    """A record that is whole says so, with the SHA-256 of its manifest, which sha256sum confirms."""
    told = replay(record)
    assert (2, None) == (told.answers, told.other_version)
    done = subprocess.run(
        ["sha256sum", "-c", "manifest.sha256"], cwd=record, capture_output=True, check=False
    )
    assert (0, b"manifest.json: OK\n") == (done.returncode, done.stdout)


def test_an_answer_is_kept_as_it_came(program: Program) -> None:
    """A body without a secret is kept byte for byte, blanks and all, with its digest."""
    body = b'{ "code" : 200,\n "data": {"balances": [ ], "canDeposit":true } }\n'
    script = {"/merchant/v2/assets/account/assets": [SandboxResponse(200, body)]}
    with Sandbox(scripted=script) as server:
        run = program.with_profile(
            server.profile("main"), "merchant", "--evidence", str(program.folder / "e"), "-o", "json"
        )
    assert 0 == run.code
    manifest = json.loads((program.folder / "e" / "manifest.json").read_text())
    (told,) = [
        one["body"]
        for asked in manifest["asked"]
        for one in asked["tries"]
        if asked["request"]["url"].endswith("/assets")
    ]
    assert body == (program.folder / "e" / told["file"]).read_bytes()
    assert (False, folder.digest(body), len(body)) == (
        told["redacted"],
        manifest["files"][told["file"]],
        told["received_bytes"],
    )


@pytest.mark.whole
def test_every_altered_byte_is_noticed(copied: Path) -> None:
    """Whatever bit of whatever file of a record is another, the record is refused."""
    noticed, bytes_there = 0, 0
    for file in sorted(copied.iterdir()):
        data = file.read_bytes()
        for place in sampled(range(len(data)), 20):
            file.write_bytes(data[:place] + bytes([data[place] ^ (1 << place % 8)]) + data[place + 1 :])
            bytes_there += 1
            try:
                replay(copied)
            except EvidenceAltered:
                noticed += 1
        file.write_bytes(data)
    assert bytes_there == noticed > 150
    assert 2 == replay(copied).answers


def test_what_is_missing_or_added_is_noticed(copied: Path) -> None:
    """A file less or a file more, of whatever name and kind, and the record is refused."""
    for file in sorted(copied.iterdir()):
        data = file.read_bytes()
        file.unlink()
        expected = EvidenceIncomplete if file.stem == "manifest" else EvidenceAltered
        with pytest.raises(expected):
            replay(copied)
        file.write_bytes(data)
    makers: list[Callable[[Path], object]] = [
        Path.touch,
        Path.mkdir,
        os.mkfifo,
        lambda path: path.symlink_to(copied / "0001.body"),
    ]
    for name in ("0009.body", "x", ".hidden"):
        for make in makers:
            make(copied / name)
            with pytest.raises(EvidenceAltered, match=name):
                replay(copied)
            (copied / name).rmdir() if (copied / name).is_dir() else (copied / name).unlink()
    with pytest.raises(UsageError):
        replay(copied / "nowhere")


def sealed(place: Path, manifest: object) -> None:
    """Put another manifest into a record, with a hash that fits it: what anybody can do."""
    data = json.dumps(manifest).encode()
    (place / "manifest.json").write_bytes(data)
    (place / "manifest.sha256").write_bytes(f"{folder.digest(data)}  manifest.json\n".encode())


def spoilt(value: Any) -> Iterator[Any]:
    """The value with each of its parts in turn replaced by others, of other kinds, or left out."""
    yield from (None, "", "x", -1, 7, True, [], {}, ["x"], {"x": 1})
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in list(pairs):
        rest = (
            {k: v for k, v in pairs if k != key}
            if isinstance(value, dict)
            else [*value[:key], *value[key + 1 :]]
        )
        yield rest
        for other in spoilt(part):
            copy = dict(value) if isinstance(value, dict) else list(value)
            copy[key] = other
            yield copy


@pytest.mark.whole
def test_a_manifest_of_another_shape_is_refused(copied: Path) -> None:
    """A manifest that somebody made, its hash fitting: refused, or the same balances; never a bug."""
    manifest = json.loads((copied / "manifest.json").read_text())
    expected = document(replay(copied).report)["balances"]
    refused = tried = 0
    for other in sampled(spoilt(manifest), 20):
        sealed(copied, other)
        tried += 1
        try:
            told = replay(copied)
        except EvidenceError:
            refused += 1
        else:
            version = other["balcli"] != manifest["balcli"]
            assert version or expected == document(told.report)["balances"]
    assert tried > 50
    assert refused > tried // 2


def test_an_amount_that_is_another_is_noticed(copied: Path) -> None:
    """With all file hashes made anew, another amount is told by the digest of the document that was printed."""
    manifest = json.loads((copied / "manifest.json").read_text())
    (body,) = [one["tries"][0]["body"] for one in manifest["asked"] if "assets" in one["request"]["url"]]
    file = copied / body["file"]
    data = file.read_bytes().replace(b'"1.5"', b'"2.5"')
    file.write_bytes(data)
    manifest["files"][body["file"]] = folder.digest(data)
    sealed(copied, manifest)
    with pytest.raises(EvidenceDiffers):
        replay(copied)


def test_the_command_tells_what_is_wrong(program: Program, copied: Path) -> None:
    """A record that was altered: one line, a document without balances, and 6; --check says the same without one."""
    assert 0 == replayed(program, str(copied), "--check").code
    with (copied / "0001.body").open("ab") as file:
        file.write(b" ")
    result = replayed(program, str(copied), "-o", "json")
    assert (6, ["evidence.altered"]) == (result.code, [e["code"] for e in result.json["errors"]])
    check = replayed(program, str(copied), "--check")
    assert (6, "", 1) == (check.code, check.out, len(check.err.splitlines()))
    assert "0001.body was altered" in check.err


@pytest.mark.parametrize(
    "echo",
    ["echo in every field", "echo in other encodings", "echo on a page", "echo in headers of a refusal"],
)
def test_no_secret_is_in_a_record(program: Program, tmp_path: Path, echo: str) -> None:
    """Against servers that throw back all that they are sent, no file of a record holds a secret in any form."""
    planting = Planting(tmp_path / "home")
    parts = []
    for provider, kinds in KINDS.items():
        secrets = planting.plant(provider, f"/r-{provider}", kinds[-1], "text")
        parts.append(EchoingPart(f"r-{provider}", provider, secrets, echo, "", everywhere=True))
    place = tmp_path / "evidence"
    with Sandbox(stand_ins=parts) as server:
        planting.write(dict.fromkeys(KINDS, server.url))
        run = program.run(
            "all", "-o", "json", "-c", str(planting.profile), "--evidence", str(place), env=planting.variables
        )
    hidden = [*planting.secrets, *(secret for part in parts for secret in part.issued)]
    found = [
        (file.name, secret.name, form)
        for file in place.iterdir()
        for secret, form in traces(file.read_bytes(), hidden)
    ]
    assert [] == found
    assert echo in ECHOES
    assert (run.out, run.code) == ((again := replayed(program, str(place))).out, again.code)


def test_a_folder_that_is_not_empty_is_refused(program: Program, sandbox: Sandbox) -> None:
    """Evidence goes into a new or an empty folder; anything else is 9, before any request."""
    full, file, empty = (program.folder / name for name in ("full", "file", "empty"))
    for new in (full, empty):
        new.mkdir(mode=0o755)
    (full / "x").touch()
    file.touch()
    text = sandbox.profile("main")
    for wrong in (full, file, program.folder / "no" / "where"):
        result = program.with_profile(text, "merchant", "--evidence", str(wrong), "-o", "json")
        assert (9, ["output.write"]) == (result.code, [e["code"] for e in result.json["errors"]])
    assert ([], ["x"]) == (sandbox.log, [path.name for path in full.iterdir()])
    assert 0 == program.with_profile(text, "merchant", "--evidence", str(empty)).code
    assert 0o700 == stat.S_IMODE(empty.stat().st_mode)


def test_a_full_disk_costs_the_evidence_alone(program: Program) -> None:
    """Where the evidence cannot be written, the balances are shown, the code is 9, and no file stays."""
    place = program.folder / "evidence"
    command = f"ulimit -f 1; exec {sys.executable} -m balcli all --sandbox -o json --evidence {place}"
    done = subprocess.run(
        ["bash", "-c", command], env=program.environment(), cwd=ROOT, capture_output=True, check=False
    )
    assert (9, True, []) == (done.returncode, json.loads(done.stdout)["complete"], list(place.iterdir()))
    assert b"cannot be written" in done.stderr


def test_a_killed_run_leaves_no_record(program: Program) -> None:
    """What a run that was killed leaves is told to be incomplete."""
    place = program.folder / "evidence"
    with Sandbox(latency=20) as server:
        file = program.write(server.profile("main"))
        process = program.start("all", "-c", str(file), "--evidence", str(place))
        wait_until(lambda: server.log)
        process.kill()
        process.communicate()
    result = replayed(program, str(place), "-o", "json")
    assert (6, ["evidence.incomplete"]) == (result.code, [e["code"] for e in result.json["errors"]])


def test_a_bad_profile_is_evidence_too(program: Program) -> None:
    """A run that fails before any request is told again with its error."""
    place = str(program.folder / "evidence")
    run = program.with_profile("[profiles.main.merchant]\n", "all", "-o", "json", "--evidence", place)
    again = replayed(program, place)
    assert (3, run.out) == (again.code, again.out)


@each_case("text", ["plain-token", "two\nlines", " ", ""])
def test_a_login_keeps_its_shape(text: str) -> None:
    """Of a login's answer each text is another; numbers are short, the rest stays."""
    made = {"code": 200, "data": {"accessToken": text, "n": 123456789012, "ok": True, "none": None}}
    told: Any = decode(Names().shape(json.dumps(made).encode()))
    data = told["data"]
    assert ("200", "0", True, None) == (told["code"], data["n"], data["ok"], data["none"])
    assert (text if text in {" ", ""} else "secret-0001-") == data["accessToken"][:12]


def test_tokens_that_cannot_be_sent_fail_again(program: Program, tmp_path: Path) -> None:
    """Logins whose tokens cannot be sent are replayed with their failures."""
    place = str(tmp_path / "evidence")
    tokens = ["two\nlines", "\u03a9mega", "end ", " ", "", None, 7]
    answers = [
        json_response(
            {"code": 200, "msg": "SUCCESS", "data": {"token": token, "expireTime": "99999999999999"}}
        )
        for token in tokens
    ]
    with Sandbox(scripted={"/merchant/v2/token/generate": answers}) as server:
        profile = "".join(
            f'[[profiles.main.merchant]]\nname = "shop{number}"\nbase_url = "{server.url}/merchant"\n'
            f'api_key = "key-of-shop-{number}"\napi_secret = "secret-of-shop-{number}"\n'
            for number in range(len(tokens))
        )
        arguments = ("all", "-o", "json", "--jobs", "1", "--evidence", place)
        run = program.with_profile(profile, *arguments)
    again = replayed(program, place)
    assert (run.out, messages(run), run.code) == (again.out, messages(again), again.code)
    codes = [account["error"]["code"] for account in run.json["accounts"]]
    assert (6, ["answer.shape"] * len(tokens)) == (run.code, codes)


def test_a_document_that_is_another_is_noticed(copied: Path) -> None:
    """With all hashes made anew, another amount in the document is not what the responses come to."""
    manifest = json.loads((copied / "manifest.json").read_text())
    file = copied / "document.json"
    for old, new, error in (
        (b'"total": "2"', b'"total": "3"', EvidenceDiffers),
        (b'"complete": true', b'"complete": false', EvidenceDiffers),
        (b'"profile"', b'"profiles"', EvidenceDiffers),
    ):
        data = file.read_bytes()
        file.write_bytes(data.replace(old, new))
        manifest["files"][file.name] = folder.digest(file.read_bytes())
        sealed(copied, manifest)
        with pytest.raises(error):
            replay(copied)
        file.write_bytes(data)


def test_what_is_kept_of_a_body() -> None:
    """A body that repeats a credential in any spelling is not kept, a page with a piece of it neither; any other is."""
    at = "https://kept.example"
    echoes.register_credentials(at, [Secret("77001234567"), Secret("other-secret-9"), Secret("merchant")])
    kept = ['{"a":"77001234567"}', '{"a": "merchantmen"}', "<p>nothing of it", '{"a": "other-sec"}']
    left = ['{"a": "other-secret-9"}', r'{"a":"\u006fther-secret-9"}', "<p>other-secret-9", "<p>OTHER-sec"]
    left += ["<p>&#111;ther-secret-9", "<p>other%2Dsecret%2D9"]
    left += ['{"a": "' + base64.b64encode(b"other-secret-9").decode() + '"}']
    assert [False] * len(kept) == [echoes.may_contain_credential(at, body.encode()) for body in kept]
    assert [True] * len(left) == [echoes.may_contain_credential(at, body.encode()) for body in left]
    assert echoes.may_contain_credential(at, "<p>other-secret-9".encode("utf-16"))


def test_a_request_shows_what_is_no_secret(record: Path) -> None:
    """A request has the merchant's number, and neither the time of a signature nor the signature."""
    asked = json.loads((record / "manifest.json").read_text())["asked"]
    requests: list[Mapping[str, Any]] = [one["request"] for one in asked]
    assert [[["timestamp", None], ["signature", None]], [["merchantId", "0"]]] == [
        r["query"] for r in requests
    ]
    assert all(value.startswith("secret-") for r in requests for value in r["headers"].values())


@each_case("form", golden.FORMATS)
@each_case("name", golden.RUNS)
def test_golden_records_come_to_golden_outputs(name: str, form: str) -> None:
    """The records in tests/golden print, byte for byte, what they printed when they were looked at."""
    file = golden.FOLDER / f"{name}.{form}"
    expected = file.read_bytes() if file.exists() else b""
    made = golden.output(golden.FOLDER / name, form).encode()
    assert expected == made, (
        "if this is meant, run `python -m tests.golden refresh`, and look at what git shows"
    )
