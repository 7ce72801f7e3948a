"""Secrets from the profile, a file or a command: each works, is bounded, and is never shown."""

import base64
import json
import os
import pwd
import signal
import stat
import sys
from pathlib import Path
from urllib.parse import quote

import pytest

from balcli import files
from balcli.sandbox import Sandbox, SandboxResponse, json_response
from balcli.sandbox.merchant import API_KEY, API_SECRET, TOKEN
from tests.conftest import Program, Result, wait_until
from tests.lists import each_case
from tests.profiles import codes, private

ASSETS = "/merchant/v2/assets/account/assets"
MARK = "s3cr3t+mark/ed=value"


def _profile(url: str, credentials: str) -> str:
    return f'[profiles.main.merchant]\nname = "shop"\nbase_url = "{url}/merchant"\n{credentials}\n'


def _run(program: Program, url: str, credentials: str, *arguments: str, **env: str) -> Result:
    return program.with_profile(_profile(url, credentials), "merchant", "-o", "json", *arguments, env=env)


@pytest.mark.parametrize("ending", [b"", b"\n", b"\r\n"])
def test_a_file_beside_the_profile(program: Program, sandbox: Sandbox, ending: bytes) -> None:
    """`X_file` is relative to the profile, and one line break at its end is no part of the secret."""
    private(program.folder / "token", TOKEN.encode() + ending)
    result = _run(program, sandbox.url, 'token_file = "token"')
    assert (0, TOKEN) == (result.code, sandbox.log[-1].headers["x-bh-token"])


def test_a_file_of_systemds_credentials(program: Program, sandbox: Sandbox, tmp_path: Path) -> None:
    """`X_file` takes variables: `$CREDENTIALS_DIRECTORY` of a systemd unit works as `${CREDENTIALS_DIRECTORY}`."""
    folder = tmp_path / "credentials"
    folder.mkdir()
    private(folder / "key", API_KEY.encode(), 0o440)
    private(folder / "secret", API_SECRET.encode(), 0o440)
    credentials = "\n".join(f'api_{n}_file = "${{CREDENTIALS_DIRECTORY}}/{n}"' for n in ("key", "secret"))
    result = _run(program, sandbox.url, credentials, CREDENTIALS_DIRECTORY=str(folder))
    assert (0, "") == (result.code, result.err)


def test_a_file_by_a_variable(program: Program, sandbox: Sandbox, tmp_path: Path) -> None:
    """`BALCLI_<PROVIDER>_<KEY>_FILE` names a file, as container secrets are given."""
    private(tmp_path / "token", TOKEN.encode())
    env = {
        "BALCLI_MERCHANT_TOKEN_FILE": str(tmp_path / "token"),
        "BALCLI_MERCHANT_BASE_URL": f"{sandbox.url}/merchant",
    }
    assert 0 == program.run("merchant", env=env).code


@pytest.mark.parametrize(
    ("content", "mode", "told"),
    [
        (MARK.encode() + b"\n\n", 0o600, "contains a control character"),
        (MARK.encode() + b"\nsecond", 0o600, "contains a control character"),
        (MARK.encode() + b"\x00", 0o600, "contains a control character"),
        (MARK.encode() + "\u200b".encode(), 0o600, "not allowed in HTTP headers"),
        (b"", 0o600, "is empty"),
        (b"\n", 0o600, "is empty"),
        (b"  ", 0o600, "contains only whitespace"),
        (MARK.encode() + b" ", 0o600, "starts or ends with whitespace"),
        (MARK.encode() + b"\xff", 0o600, "is not UTF-8"),
        (MARK.encode() * 10_000, 0o600, "is larger than 65536 bytes"),
        (MARK.encode(), 0o620, "chmod 600"),
        (MARK.encode(), 0o602, "chmod 600"),
    ],
)
def test_a_file_that_is_no_secrets(
    program: Program, sandbox: Sandbox, content: bytes, mode: int, told: str
) -> None:
    """A file that is unsound or that others may write is refused with the cure, its content unseen."""
    private(program.folder / "token", content, mode)
    result = _run(program, sandbox.url, 'token_file = "token"')
    assert (3, []) == (result.code, sandbox.log)
    assert 'token_file in merchant "shop"' in result.err
    assert told in result.err
    assert MARK not in result.out + result.err


def test_a_file_that_is_none(program: Program, sandbox: Sandbox) -> None:
    """A missing file, a folder and a device are refused at once."""
    for path in ("missing", ".", "/dev/zero"):
        result = _run(program, sandbox.url, f'token_file = "{path}"')
        assert (3, ["config.secret"]) == (result.code, codes(result))


def test_a_command(program: Program, sandbox: Sandbox) -> None:
    """`X_command` is a list of arguments, run without a shell; what it prints is the secret."""
    code = f"import sys; print(sys.argv[1]); print('{MARK}', file=sys.stderr)"
    credentials = f"token_command = {json.dumps([sys.executable, '-c', code, '${WHICH}'])}"
    result = _run(program, sandbox.url, credentials, WHICH=TOKEN)
    assert (0, "", TOKEN) == (result.code, result.err, sandbox.log[-1].headers["x-bh-token"])


def test_no_shell_reads_a_command(program: Program, sandbox: Sandbox) -> None:
    """What would be syntax to a shell is a plain argument."""
    touched = program.folder / "touched"
    credentials = f"token_command = {json.dumps(['echo', f'$(touch {touched})', ';', 'touch', str(touched)])}"
    _run(program, sandbox.url, credentials)
    assert not touched.exists()


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (["/no/such/command"], "cannot be started: No such file or directory"),
        (["sh", "-c", f"echo {MARK}; exit 3"], "exited with status 3"),
        (["sh", "-c", "kill -9 $$"], "was killed by signal 9"),
        (["sh", "-c", f"echo {MARK} >&2"], "printed nothing"),
        (["sh", "-c", f"echo {MARK}; echo {MARK}"], "printed several lines; use only the first one with"),
        (["sh", "-c", f"printf '{MARK}\\r'"], "contains a control character"),
        (["sh", "-c", f"yes {MARK} | head -c 1000000"], "printed more than 65536 bytes"),
        (["sh", "-c", f"yes {MARK}"], "printed more than 65536 bytes"),
        (["sh", "-c", "printf '\\377'"], "are not UTF-8"),
        (["sh", "-c", f"echo {MARK}; sleep 60"], "took more than 0.9 s"),
        (["sh", "-c", f"echo {MARK}; exec >&-; sleep 60"], "took more than 0.9 s"),
    ],
)
def test_a_command_that_gives_no_secret(
    program: Program, sandbox: Sandbox, command: list[str], told: str
) -> None:
    """A command that fails, hangs or prints what is no secret is exit code 3 by the deadline; nothing of it shows."""
    credentials = f"token_command = {json.dumps(command)}"
    result = _run(program, sandbox.url, credentials, "--deadline", "1")
    assert (3, ["config.secret"], []) == (result.code, codes(result), sandbox.log)
    assert told in result.err
    assert MARK not in result.out + result.err


@pytest.mark.parametrize("value", ['"pass show x"', "[]", '[""]', "[1]", "true"])
def test_a_command_is_a_list_of_arguments(program: Program, sandbox: Sandbox, value: str) -> None:
    """A text is no command: it would need a shell."""
    result = _run(program, sandbox.url, f"token_command = {value}")
    assert (3, ["config.value"]) == (result.code, codes(result))


def test_one_command_runs_once(program: Program, sandbox: Sandbox, tmp_path: Path) -> None:
    """Several accounts with the same command cost one run of it."""
    log = tmp_path / "log"
    command = json.dumps(["sh", "-c", f"echo x >> {log}; echo {TOKEN}"])
    text = "".join(
        f'[[profiles.main.merchant]]\nname = "m{number}"\nbase_url = "{sandbox.url}/merchant"\n'
        f"token_command = {command}\nmerchant_id = {number}\n"
        for number in (12345, 12346)
    )
    assert 0 == program.with_profile(text, "merchant").code
    assert "x\n" == log.read_text()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_command_does_not_outlive_an_interrupted_run(
    program: Program, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    """Ctrl-C in a secret command ends the run at once, and the command with it."""
    noted = tmp_path / "pid"
    command = json.dumps(
        [
            sys.executable,
            "-c",
            f"import os,time; open({str(noted)!r},'w').write(str(os.getpid())); time.sleep(60)",
        ]
    )
    file = program.write(_profile("http://127.0.0.1:9", f"token_command = {command}"))
    process = program.start("merchant", "-c", str(file))
    wait_until(lambda: noted.exists() and noted.read_text())
    process.send_signal(number)
    out, err = process.communicate(timeout=5)
    assert (code, b"", b"") == (process.returncode, out, err)
    assert not Path(f"/proc/{noted.read_text()}").exists()


@pytest.mark.parametrize(
    "credentials",
    [
        'token = "x-token"\ntoken_file = "token"',
        'token_file = "token"\ntoken_command = ["echo", "x"]',
        'token = "x-token"\napi_key_file = "token"\napi_secret = "y-secret"',
        'api_key_file = "token"',
    ],
)
def test_one_source_for_each_secret(program: Program, sandbox: Sandbox, credentials: str) -> None:
    """A secret from two sources, two ways to authenticate, or half a pair is refused."""
    private(program.folder / "token", b"x-token")
    result = _run(program, sandbox.url, credentials)
    assert (3, ["config.key"]) == (result.code, codes(result))


@pytest.mark.parametrize(
    ("credentials", "mode", "code"),
    [
        ('token = "sandbox-merchant-token"', 0o644, 3),
        ('token = "sandbox-merchant-token"', 0o604, 3),
        ('token = "sandbox-merchant-token"', 0o640, 0),
        ('token = "sandbox-merchant-${REST}"', 0o644, 3),
        ('token = "${TOKEN}"', 0o644, 0),
        ('token_command = ["echo", "sandbox-merchant-token"]', 0o644, 0),
        ('token = "${TOKEN}"', 0o664, 3),
        ('token = "${TOKEN}"', 0o646, 3),
    ],
)
def test_who_may_read_and_write_a_profile(
    program: Program, sandbox: Sandbox, credentials: str, mode: int, code: int
) -> None:
    """Nobody else may write a profile, and not everybody read one that holds a secret as it stands."""
    file = program.write(_profile(sandbox.url, credentials))
    file.chmod(mode)
    env = {"TOKEN": TOKEN, "REST": "token"}
    result = program.run("merchant", "-o", "json", "-c", str(file), env=env)
    assert code == result.code
    if code:
        assert (["config.file"], []) == (codes(result), sandbox.log)
        assert f"; chmod 600 {file}" in result.err


@pytest.mark.parametrize(("mode", "code"), [(0o600, 0), (0o640, 0), (0o644, 3), (0o660, 3)])
def test_who_may_read_a_dotenv(program: Program, sandbox: Sandbox, mode: int, code: int) -> None:
    """A .env is taken to hold secrets: not for everybody to read, nor for others to write."""
    private(program.folder / ".env", f"TOKEN={TOKEN}\n".encode(), mode)
    assert code == _run(program, sandbox.url, 'token = "${TOKEN}"').code


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() != 0, reason="only root can give files away")
def test_a_strangers_file_is_refused(program: Program, sandbox: Sandbox) -> None:
    """Root does not read another user's profile; the cure is to run as that user."""
    file = program.write(_profile(sandbox.url, f'token = "{TOKEN}"'))
    for number, name in ((12345, "'#12345'"), (pwd.getpwnam("nobody").pw_uid, "nobody")):
        os.chown(file, number, -1)
        result = program.run("merchant", "-o", "json", "-c", str(file))
        assert (3, ["config.file"]) == (result.code, codes(result))
        assert f"; run as that user: sudo -u {name} balcli ..." in result.err


def _state(mode: int, owner: int) -> os.stat_result:
    return os.stat_result((mode, 0, 0, 1, owner, 0, 0, 0, 0, 0))


CURES = {
    (0o666, True): "chmod 600 'a b'",
    (0o646, True): "chmod 600 'a b'",
    (0o664, True): "chmod 600 'a b'",
    (0o620, True): "chmod 600 'a b'",
    (0o660, True): "chmod 640 'a b'",
    (0o666, False): "sudo chmod 640 'a b'",
    (0o602, False): "sudo chmod 600 'a b'",
}


@each_case(("given", "cure"), CURES.items())
def test_the_cure_of_a_mode_is_right_at_once(
    monkeypatch: pytest.MonkeyPatch, given: tuple[int, bool], cure: str
) -> None:
    """One command makes a file private enough, and leaves it to who reads it: the group keeps root's file."""
    mode, is_own = given
    monkeypatch.setattr(os, "getuid", lambda: 1000)
    state = _state(stat.S_IFREG | mode, 1000 if is_own else 0)
    assert f"can be written by others; {cure}" == files.permission_problem(state, Path("a b"))
    mended = _state(stat.S_IFREG | int(cure.split()[-3], 8), state.st_uid)
    assert (None, False) == (
        files.permission_problem(mended, Path("a b")),
        files.is_readable_by_others(mended),
    )


def test_no_cure_takes_a_file_away_from_its_owner(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who is not root is told to use another file: to change the owner would need root, and harm the other user."""
    monkeypatch.setattr(os, "getuid", lambda: 1000)
    flaw = files.permission_problem(_state(stat.S_IFREG | 0o600, 12345), Path("a"))
    assert "belongs to '#12345'; use your own file, or a copy with mode 0600" == flaw


@pytest.mark.parametrize(("mode", "told"), [(0o600, False), (0o640, False), (0o604, True), (0o644, True)])
def test_a_secret_file_that_everybody_can_read_is_told(
    program: Program, sandbox: Sandbox, mode: int, told: bool
) -> None:
    """`doctor` and `config check` warn of it, with the key and the chmod; a run does not, and works."""
    private(program.folder / "token", TOKEN.encode(), mode)
    file = program.write(_profile(sandbox.url, 'token_file = "token"'))
    cure = f'token_file in merchant "shop" names a file that is readable by everyone; chmod 600 {program.folder}/token'
    check = program.run("config", "check", "-o", "json", "-c", str(file))
    doctor = program.run("doctor", "--offline", "-c", str(file))
    assert (0, 0) == (check.code, doctor.code)
    warned = [warning["code"] for warning in check.json["warnings"]]
    assert (["secret.readable"] if told else [], told) == (warned, cure in check.err)
    assert told == (cure in doctor.err)
    run = program.run("merchant", "-c", str(file))
    assert (0, "") == (run.code, run.err)


FORMS = {
    "raw": MARK,
    "json": json.dumps(MARK)[1:-1],
    "url": quote(MARK, safe=""),
    "base64": base64.b64encode(MARK.encode()).decode(),
}


@pytest.mark.parametrize(
    ("output", "form"), [("json", MARK), *(("table", form) for form in FORMS.values())], ids=["json", *FORMS]
)
def test_an_echoed_secret_is_not_shown(program: Program, form: str, output: str) -> None:
    """A server that puts our token into a name or a message, in any usual form: the account fails without it."""
    row = {"asset": f"X{form}", "total": "1", "free": "1", "locked": "0"}
    named = json_response({"code": 200, "data": {"balances": [row]}})
    told = json_response({"code": -1, "msg": f"bad {form}"})
    echoed = SandboxResponse(401, json.dumps({"code": 401, "msg": f"token {form}"}).encode())
    for answer in (named, told, echoed):
        with Sandbox(scripted={ASSETS: [answer]}) as server:
            text = _profile(server.url, f'token = "{MARK}"')
            result = program.with_profile(text, "merchant", "-o", output, "-v")
        assert not any(needle in result.out + result.err for needle in FORMS.values())
        assert "repeats a credential" in result.err


@each_case(
    "spelled",
    [
        MARK.replace("/", "\\/"),
        MARK.replace("+", "\\u002b").replace("/", "\\u002F").replace("=", "\\u003D"),
        "".join(f"\\u{ord(character):04x}" for character in MARK),
    ],
)
def test_no_spelling_of_json_brings_a_secret_through(program: Program, spelled: str) -> None:
    """Escaped slashes, capital digits or nothing but escapes: an echoed token is found after decoding, too."""
    told = f'{{"code": -1, "msg": "bad {spelled}"}}'
    row = f'{{"asset": "{spelled}", "total": "1", "free": "1", "locked": "0"}}'
    named = f'{{"code": 200, "data": {{"balances": [{row}]}}}}'
    for body in (told, named):
        with Sandbox(scripted={ASSETS: [SandboxResponse(200, body.encode())]}) as server:
            for output in ("table", "json"):
                text = _profile(server.url, f'token = "{MARK}"')
                result = program.with_profile(text, "merchant", "-o", output)
                assert MARK not in result.out + result.err
                assert (6, True) == (result.code, "repeats a credential" in result.err)


def test_a_name_that_holds_a_credential_is_refused(program: Program, sandbox: Sandbox) -> None:
    """Names are shown: one that contains a credential of 12 characters is 3, and is not in the message."""
    token = f"a-token-that-is-a-name-{TOKEN}"
    text = _profile(sandbox.url, f'token = "{token}"').replace('name = "shop"', f'name = "{token}"')
    for output in ("table", "json"):
        result = program.with_profile(text, "merchant", "-o", output)
        assert (3, False) == (result.code, token in result.out + result.err)
        assert "name in merchant contains a credential" in result.err


def test_verbose_tells_names_and_no_values(program: Program, sandbox: Sandbox) -> None:
    """-v tells method, host, path, status, sizes and header names of each request; no query value, no header value."""
    credentials = f'api_key = "{API_KEY}"\napi_secret = "{API_SECRET}"'
    result = _run(program, sandbox.url, credentials, "-v")
    first, second = result.err.splitlines()
    assert "/merchant/v2/token/generate?timestamp=…&signature=… (" in first
    assert "X-BH-APIKEY): 200, 0 B sent, " in first
    assert "/merchant/v2/assets/account/assets?merchantId=… (" in second
    for question in sandbox.log:
        for value in (*question.query.values(), question.headers.get("x-bh-token", API_KEY)):
            assert value == "0" or value not in result.err
