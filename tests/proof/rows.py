"""The rows of the fault matrix: each kind of fault, its setup around one run, and the expected end."""

import contextlib
import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from functools import cache, partial
from pathlib import Path
from threading import Lock
from types import MappingProxyType
from typing import Final, NamedTuple, TypeAlias

from balcli import state
from balcli.sandbox.exchange import SandboxRequest, SandboxResponse, json_response
from balcli.sandbox.faults import NAMES
from balcli.sandbox.loopring import KEY, Loopring
from tests import faults
from tests.acme import install
from tests.authority import HERE, LEAF, NOW, Authority, found, serving
from tests.proof.stage import Row, Stage, expected
from tests.wire import Wire

Arrange: TypeAlias = Callable[[Stage], contextlib.AbstractContextManager[object] | None]

NOTHING: Final[list[Row]] = []
_ALL: Final = ("loopring", "wallet", "merchant")


class Trouble(NamedTuple):
    """A row: the setup around a run with one account, the exit code, and the rows that it must show."""

    kind: str
    name: str
    code: int
    arrange: Arrange = lambda _stage: None
    fault: str = ""
    rows: Callable[[str], list[Row] | None] | None = None
    """The rows by provider. Without it: all rows of the account for exit code 0, and none for any other."""
    but: Mapping[str, int] = MappingProxyType({})
    providers: tuple[str, ...] = _ALL
    way: str = "text"
    slack: float = 0.0
    """Seconds after the deadline that the row itself takes."""

    def code_for(self, provider: str) -> int:
        """The exit code at that provider."""
        return self.but.get(provider, self.code)

    def rows_for(self, provider: str) -> list[Row] | None:
        """The rows that must be shown for that provider; None if they are not checked."""
        if self.rows is not None:
            return self.rows(provider)
        return expected(provider) if self.code_for(provider) == 0 else NOTHING


# Faults of the sandbox.

_LONG: Final = "123456789012345678901234567890.123456789012345678"
_FIRSTS: Final = {
    "small": "1e-18",
    "long": _LONG,
    "units": _LONG.replace(".", ""),
    "minus": "-5",
    "minus-zero": "-0",
}


def _rows_of(fault: str) -> Callable[[str], list[Row] | None]:
    def rows(provider: str) -> list[Row] | None:
        if faults.ALL[fault].but.get(provider, faults.ALL[fault].code):
            return NOTHING
        if fault == "repeated":
            return expected(provider, twice=True)
        if fault == "names":
            return _renamed(provider)
        if fault in _KINDS["identity"]:
            return _identified(fault, provider)
        unknown = fault in {"amount-null", "amount-missing"} and provider == "wallet"
        return expected(provider, None if unknown else _FIRSTS.get(fault, ""))

    return rows


_AS_NAMED: Final = {
    "case": ("USDT", "usdt"),
    "folding": ("STORJ", "\u017ftorj"),
    "ids": ("USDT", "USDT"),
    "label": ("LRC#1", "nft:32768"),
}


def _identified(fault: str, provider: str) -> list[Row]:
    rows = expected(provider)
    if fault in _AS_NAMED:
        return _as_named(provider, *_AS_NAMED[fault])
    if provider == "loopring" and fault == "slot":
        return [*rows, ("VAULT", *rows[0][1:]), ("nft:39768", "3", "3", "0")]
    return (
        [("#0", None, None, None), *rows[1:]] if provider == "loopring" and fault != "stranger-nft" else rows
    )


def _as_named(provider: str, *names: str) -> list[Row]:
    """The rows with these names for the first two assets, in the order of the response."""
    wire = {"loopring": ("ETH", "LRC"), "wallet": ("BTC", "USDT"), "merchant": ("USDT", "BTC")}[provider]
    given = dict(zip(wire, names, strict=True))
    if provider == "loopring":  # a symbol that occurs twice, or looks like a label, is followed by its id
        others = {row[0] for row in expected(provider)} - {*wire}
        labelled = {
            asset: len({*names}) < 2 or name in others or "#" in name or ":" in name
            for asset, name in given.items()
        }
        given = {
            asset: f"{name}#{place}" if labelled[asset] else name
            for place, (asset, name) in enumerate(given.items())
        }
    rows = expected(provider)
    if provider == "loopring" and "USDT" in names:  # which the table also has as token 3
        rows = [("USDT#3", *row[1:]) if row[0] == "USDT" else row for row in rows]
    return [(given.get(row[0] or "", row[0]), *row[1:]) for row in rows]


def _renamed(provider: str) -> list[Row]:
    """The rows with renamed assets: only their amounts."""
    rows = expected(provider)
    if provider != "loopring":
        first = next(row for row in rows if row[0] == ("BTC" if provider == "wallet" else "USDT"))
        rows += [first] * (len(NAMES) - len(rows))
    return [(None, *row[1:]) for row in rows]


_KINDS: Final = {
    "credentials": ("redirect", "echo"),
    "transport": ("no-name", "no-listener", "deaf", "silent", "head-", "body-", "continue", "hang-", "reset", "cut"),
    "tls": ("plain", "handshake"),
    "login and limits": ("refused", "forbidden", "firewall", "expired", "login-", "limited", "busy", "unavailable", "flaky", "error", "degraded", "denied", "page"),
    "framing": ("length", "chunks", "gzip-", "encoding", "endless", "headers", "status-"),
    "json": ("empty", "bom", "utf-16", "bytes", "twins", "two", "half", "number", "nan", "digits", "exponent", "deep"),
    "numbers": ("amount", "small", "long", "units", "minus", "repeated", "decorations", "unread"),
    "rendering": ("names",),
    "identity": ("case", "folding", "ids", "label", "surrogate", "slot", "stranger", "decimals", "unlisted"),
}  # fmt: skip


def _played() -> Iterator[Trouble]:
    for name, fault in faults.ALL.items():
        kind = next(kind for kind, starts in _KINDS.items() if name.startswith(starts))
        trouble = Trouble(kind, name, fault.code, fault=name, but=dict(fault.but), rows=_rows_of(name))
        # A relayer's token table is requested without a key, so it cannot repeat the stage's key.
        keyless = name.startswith("echo-") and fault.where == "names"
        yield trouble._replace(providers=("wallet", "merchant")) if keyless else trouble


# Credentials.


def _netrc(entry: str) -> Arrange:
    def arrange(stage: Stage) -> None:
        stage.file(".netrc", f"{entry} login somebody password something\n")
        stage.env["NETRC"] = str(stage.home / ".netrc")

    return arrange


def _env_file(line: str) -> Arrange:
    def arrange(stage: Stage) -> None:
        stage.file(".env", f"{line}\n")

    return arrange


def _bad_key(bad: str) -> Arrange:
    """A secret with something in its middle, or only that."""

    def arrange(stage: Stage) -> None:
        text = stage.planting.secrets[0].text
        stage.rewrite(
            lambda profile: profile.replace(json.dumps(text)[1:-1], bad.format(json.dumps(text)[1:-1]))
        )

    return arrange


def _two_hosts(stage: Stage) -> contextlib.AbstractContextManager[object]:
    """Add another provider's account at another host. The run is `all`."""
    from balcli.sandbox import Sandbox
    from tests.canary.echoes import EchoingPart
    from tests.proof.stage import KEYS

    other = "wallet" if stage.provider == "loopring" else "loopring"
    secrets = stage.planting.plant(other, f"/{other}", KEYS[other], "text")
    host = Sandbox(stand_ins=[EchoingPart(other, other, secrets, "", "", everywhere=False)])
    stage.hosts[other] = host
    stage.planting.write({stage.provider: stage.host.url, other: host.url})
    stage.command = "all"
    return host


def _both(provider: str) -> list[Row]:
    return expected(provider) + expected("wallet" if provider == "loopring" else "loopring")


def _keylog(stage: Stage) -> contextlib.AbstractContextManager[object] | None:
    stage.env["SSLKEYLOGFILE"] = str(stage.home / "keys.log")
    stage.customize(
        "import atexit, os\n"
        "atexit.register(lambda: os._exit(77) if os.path.exists(os.environ['SSLKEYLOGFILE']) else None)\n"
    )
    return _behind_tls("keylog")(stage)


CREDENTIALS: Final = (
    Trouble("credentials", ".netrc with the host", 0, _netrc("machine 127.0.0.1")),
    Trouble("credentials", ".netrc with a default entry", 0, _netrc("default")),
    Trouble("credentials", "a proxy in a .env", 0, _env_file("HTTP_PROXY=http://127.0.0.1:9\nall_proxy=http://127.0.0.1:9")),
    Trouble("credentials", "a CA in a .env", 0, _env_file("REQUESTS_CA_BUNDLE=/dev/null\nSSL_CERT_FILE=/dev/null")),
    Trouble("credentials", "keys from files with a final newline", 0, way="file"),
    *(
        Trouble("credentials", f"a key with {what}", 3, _bad_key(bad))
        for what, bad in {
            "an inner CR": "{0}\\r{0}", "an inner LF": "{0}\\n{0}", "a NUL": "{0}\\u0000{0}", "a zero-width space": "{0}\\u200b{0}",
            "a letter beyond Latin-1": "{0}\\u0416{0}", "nothing in it": "", "blanks alone": "   ",
        }.items()
    ),
    Trouble("credentials", "two accounts at two hosts", 0, _two_hosts, rows=_both),
)  # fmt: skip


# TLS.


_ISSUING: Final = Lock()


@cache
def _authority() -> Authority:
    return found(Path(tempfile.mkdtemp(prefix="balcli-authority-")))


@cache
def _issued(flaw: str, extensions: str, valid: tuple[str, str]) -> Path:
    return _authority().issue(flaw, extensions, valid)


def _behind_tls(
    flaw: str, extensions: str = LEAF + HERE, valid: tuple[str, str] = NOW, bundle: str = ""
) -> Arrange:
    """Put the host behind a certificate with this flaw. The profile trusts the authority, or `bundle`."""

    def arrange(stage: Stage) -> contextlib.AbstractContextManager[object]:
        with _ISSUING:  # only one process can write the authority's database
            certificate = _issued(flaw, extensions, valid)
        wire = Wire(_relay(stage), tls=serving(certificate))
        trusted = bundle or str(_authority().bundle)
        line = f"ca_bundle = {json.dumps(trusted)}\n" if bundle != "built-in" else ""
        stage.rewrite(
            lambda text: text.replace("[profiles.main]\n", f"[profiles.main]\n{line}").replace(
                stage.host.address(stage.provider), wire.url
            )
        )
        return wire

    return arrange


def _relay(stage: Stage) -> Callable[[socket.socket, bytes], None]:
    """A script that answers like the stage's host."""

    def script(connection: socket.socket, request: bytes) -> None:
        with socket.create_connection(stage.host.url.removeprefix("http://").split(":")) as host:  # type: ignore[arg-type]
            host.sendall(request.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1))
            while piece := host.recv(65536):
                connection.sendall(piece)

    return script


def _bundle(content: bytes | None) -> Arrange:
    def arrange(stage: Stage) -> None:
        if content is not None:
            stage.file("ca.pem", content)
        stage.rewrite(
            lambda text: text.replace("[profiles.main]\n", '[profiles.main]\nca_bundle = "ca.pem"\n').replace(
                "http:", "https:"
            )
        )

    return arrange


TLS: Final = (
    Trouble("tls", "a certificate in order", 0, _behind_tls("good")),
    Trouble(
        "tls",
        "an expired certificate",
        5,
        _behind_tls("expired", valid=("20200101000000Z", "20210101000000Z")),
    ),
    Trouble(
        "tls",
        "a certificate for another name",
        5,
        _behind_tls("other", LEAF + "subjectAltName = DNS:elsewhere.example\n"),
    ),
    Trouble("tls", "an unknown authority", 5, _behind_tls("unknown", bundle="built-in")),
    Trouble("tls", "a CA bundle that is missing", 3, _bundle(None)),
    Trouble("tls", "a CA bundle that is garbage", 3, _bundle(b"\x00garbage\n")),
    Trouble("tls", "SSLKEYLOGFILE", 0, _keylog),
)


# Transport faults that a host cannot simulate.

_HANGING_RESOLVER: Final = """
import socket, time
def hang(*_args, **_kwargs):
    time.sleep(60)
socket.getaddrinfo = hang
"""


def _hanging_resolver(stage: Stage) -> None:
    stage.customize(_HANGING_RESOLVER)
    stage.rewrite(lambda text: text.replace(stage.host.address(stage.provider), "https://nowhere.example"))


@contextlib.contextmanager
def _full_backlog(stage: Stage) -> Iterator[None]:
    """A port with a full queue: connections are dropped, as by a silent firewall."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener, contextlib.ExitStack() as stack:
        address = listener.getsockname()
        for _ in range(8):
            client = stack.enter_context(socket.socket())
            client.settimeout(0)
            client.connect_ex(address)
        stage.rewrite(
            lambda text: text.replace(stage.host.address(stage.provider), f"http://127.0.0.1:{address[1]}")
        )
        yield


def _second_page_fails(stage: Stage) -> None:
    if stage.provider == "loopring":
        question = SandboxRequest(
            "GET", "/api/v3/user/nft/balances", {"accountId": "11329", "limit": "50"}, {"x-api-key": KEY}, b""
        )
        stage.host.scripted["/loopring/api/v3/user/nft/balances"] = [
            Loopring().answer(question),
            SandboxResponse(500, b""),
        ]
        stage.options += ["--nfts"]
    else:
        first = json_response({"code": 200, "data": {"data": [{"merchantId": 1}], "total": 2}})
        stage.host.scripted["/merchant/v2/merchants"] = [first, SandboxResponse(500, b"")]
        stage.options += ["--all-merchants"]
    stage.options += ["--retries", "0"]


def _not_asked_for(stage: Stage) -> None:
    """Request only the second asset of a response whose first asset has a bad amount."""
    stage.host.scripted[f"/{stage.provider}{stage.part.BALANCES}"] = [json_response(_DUST[stage.provider])]
    stage.options += ["--asset", _SECOND[stage.provider]]


def _fiat_fails(stage: Stage) -> None:
    stage.host.scripted["/merchant/v2/merchant/accounts"] = [SandboxResponse(500, b"")]
    stage.options += ["--fiat", "--retries", "0"]


_SECOND: Final = {"loopring": "LRC", "wallet": "USDT", "merchant": "BTC"}
_DUST: Final[dict[str, object]] = {
    "loopring": [
        {"accountId": 11329, "tokenId": 0, "total": "1_000", "locked": "0"},
        {
            "accountId": 11329,
            "tokenId": 1,
            "total": "1250500000000000000000",
            "locked": "250250000000000000000",
        },
    ],
    "wallet": {
        "data": [
            {"asset": "BTC", "balance": "1_000", "holdBalance": "0", "lockBalance": "0"},
            {"asset": "USDT", "balance": "48210.64", "holdBalance": "150", "lockBalance": "25.5"},
        ]
    },
    "merchant": {
        "code": 200,
        "data": {
            "balances": [{"asset": "USDT"}, {"asset": "BTC", "total": "2", "free": "1.5", "locked": "0.5"}]
        },
    },
}

PARTS: Final = (
    Trouble(
        "numbers",
        "a bad amount that is not asked for",
        0,
        _not_asked_for,
        rows=lambda provider: [row for row in expected(provider) if row[0] == _SECOND[provider]],
    ),
    Trouble("numbers", "the fiat list fails", 8, _fiat_fails, rows=expected, providers=("merchant",)),
)

TRANSPORT: Final = (
    Trouble("transport", "a resolver that hangs", 5, _hanging_resolver),
    Trouble("transport", "a black hole", 5, _full_backlog),
    Trouble("numbers", "the second page fails", 5, _second_page_fails, providers=("loopring", "merchant")),
)


# Rendering.


def _terminal(columns: int) -> Arrange:
    def arrange(stage: Stage) -> None:
        stage.columns = columns
        stage.env["TERM"] = "xterm-256color"

    return arrange


def _environment(**variables: str) -> Arrange:
    return lambda stage: stage.env.update(variables)


RENDERING: Final = (
    *(
        Trouble(
            "rendering", f"a terminal of {columns} columns", 0, _terminal(columns), "names", rows=_renamed
        )
        for columns in (10, 20, 40, 60, 80, 120, 200)
    ),
    *(
        Trouble("rendering", f"a pipe with {name}", 0, _environment(**variables), "names", rows=_renamed)
        for name, variables in {
            "COLUMNS=0": {"COLUMNS": "0"},
            "COLUMNS=20": {"COLUMNS": "20"},
            "FORCE_COLOR": {"FORCE_COLOR": "1"},
            "ASCII": {"PYTHONIOENCODING": "ascii", "LC_ALL": "C", "PYTHONUTF8": "0"},
            "Latin-1": {"PYTHONIOENCODING": "latin-1"},
            "UTF-16": {"PYTHONIOENCODING": "utf-8", "LANG": "tr_TR.UTF-8"},
            "a broken locale": {"LC_ALL": "xx_YY.nope", "LANG": "?"},
        }.items()
    ),
)


# The process.


def _closed(stage: Stage) -> None:
    stage.shell = 'exec "$@" >&-'


@contextlib.contextmanager
def _full_disk(stage: Stage) -> Iterator[None]:
    with Path("/dev/full").open("wb") as full:
        stage.stdout = full.fileno()
        yield


@contextlib.contextmanager
def _reader_gone(stage: Stage) -> Iterator[None]:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        stage.stdout = writing
        yield
    finally:
        os.close(writing)


def _signal(number: signal.Signals, ready: Callable[[Stage], bool]) -> Arrange:
    """Send a signal once the run has started. It must end within half a second."""

    def during(process: subprocess.Popen[bytes], stage: Stage) -> None:
        limit = time.monotonic() + 10
        while not ready(stage) and not _gone(process.pid) and time.monotonic() < limit:
            time.sleep(0.01)
        time.sleep(0.1)
        sent = time.monotonic()
        # Not with the process's own methods: they would take its exit status from the waiting code.
        os.kill(process.pid, number)
        while process.returncode is None and time.monotonic() < sent + 5 and not _gone(process.pid):
            time.sleep(0.005)
        if time.monotonic() - sent > 0.5:
            os.kill(process.pid, signal.SIGKILL)

    def arrange(stage: Stage) -> None:
        stage.during = during

    return arrange


def _gone(process: int) -> bool:
    """Whether a process has exited."""
    try:
        status = Path(f"/proc/{process}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return True
    return status.rpartition(")")[2].split()[0] in {"Z", "X"}


def _asked(stage: Stage, times: int = 1) -> bool:
    return len(stage.host.log) >= times


def _in_command(number: signal.Signals) -> Arrange:
    """A secret's command that takes a minute, and writes its process id to a file."""

    def arrange(stage: Stage) -> None:
        note = stage.folder / "child"
        command = json.dumps(["sh", "-c", f"echo $$ > '{note}'; exec sleep 60"])
        key = stage.planting.secrets[-1].key
        if stage.provider == "wallet":
            stage.rewrite(lambda text: "\n".join(
                f"api_key_command = {command}" if line.startswith("login") else line for line in text.splitlines()
            ))  # fmt: skip
        else:
            stage.rewrite(lambda text: "\n".join(
                f"{key}_command = {command}" if line.startswith(f"{key} =") else line for line in text.splitlines()
            ))  # fmt: skip
        _signal(number, lambda _stage: note.exists() and bool(note.read_text().strip()))(stage)
        stage.afterwards = lambda: [] if _gone(int(note.read_text())) else ["the secret's command still runs"]

    return arrange


def _slow_reader(number: signal.Signals) -> Arrange:
    """A reader that does not read from a small pipe, so that the program gets the signal while writing."""

    @contextlib.contextmanager
    def arrange(stage: Stage) -> Iterator[None]:
        reading, writing = os.pipe()
        fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
        os.set_blocking(writing, False)
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(writing, b" " * 4096)
        os.set_blocking(writing, True)
        stage.stdout, stage.read = writing, False
        _signal(number, lambda there: _asked(there) and _settled(there))(stage)
        try:
            yield
        finally:
            os.close(reading)
            os.close(writing)

    return arrange


def _started(_stage: Stage) -> bool:
    """Return True once the program must have started to connect: a silent host cannot know."""
    time.sleep(0.6)
    return True


def _settled(stage: Stage) -> bool:
    """Whether the host has not had a request for a while."""
    before = len(stage.host.log)
    time.sleep(0.5)
    return len(stage.host.log) == before


def _bug(stage: Stage) -> None:
    stage.customize(
        "import balcli.report\n"
        "def broken(*_args, **_kwargs):\n"
        "    raise ZeroDivisionError('a bug')\n"
        "balcli.report.build = broken\n"
    )


_LATE_IMPORT: Final = """
import sys
class Interrupting:
    def __set_name__(self, owner, name):
        raise KeyboardInterrupt
class Finder:
    def find_spec(self, name, *_rest):
        if name == "balcli.collect":
            type("Made", (), {"named": Interrupting()})
sys.meta_path.insert(0, Finder())
"""


def _plug_in(fault: str) -> Arrange:
    """An account at a plugin's provider, which does this. The run has only that account."""

    def arrange(stage: Stage) -> None:
        (stage.folder / "site").mkdir()
        stage.env |= install(stage.folder / "site")
        stage.rewrite(lambda text: f"{text}\n[profiles.main.acme]\nfault = {json.dumps(fault)}\n")
        stage.command = "acme"

    return arrange


def _watched(stage: Stage) -> None:
    stage.options += ["--watch", "60"]
    _signal(signal.SIGINT, _asked)(stage)


def _options(*options: str) -> Arrange:
    return lambda stage: stage.options.extend(options)


def _no_folder(stage: Stage) -> None:
    stage.shell = 'gone=$(mktemp -d) && cd "$gone" && rmdir "$gone" && exec "$@"'


PLUG_INS: Final = tuple(
    Trouble("plug-ins", fault, 6, _plug_in(fault))
    for fault in (
        "fetch:None",
        "fetch:Holdings((row(total=1.5),))",
        "fetch:die(SystemExit(0))",
        "fetch:die(typer.Exit(0))",
        "fetch:die(BaseException())",
        "open:die(GeneratorExit())",
        "open:None",
        "open:die(errors.Bug('mine'))",
    )
)


PROCESS: Final = (
    Trouble("process", "a working directory that is deleted", 0, _no_folder),
    Trouble("process", "SIGINT in a watch before its first look", 130, _watched, "silent", slack=2.0),
    Trouble(
        "process",
        "an interrupt that an import makes another error of",
        130,
        lambda stage: stage.customize(_LATE_IMPORT),
        rows=lambda _p: None,
    ),
    *(
        Trouble("usage", f"{option} given twice", 2, _options(option, value, option, value))
        for option, value in (("-p", "main"), ("-c", "/nowhere"), ("-O", "/nowhere/file"), ("--evidence", "/nowhere"))
    ),
    Trouble("process", "a reader that is gone", 141, _reader_gone, rows=lambda _p: None),
    Trouble("process", "a full disk", 9, _full_disk, rows=lambda _p: None),
    Trouble("process", "a closed stdout", 9, _closed, rows=lambda _p: None),
    *(
        Trouble("process", f"{number.name} in {phase}", 128 + number, arrange(number), fault, providers=providers, slack=2.0)
        for number in (signal.SIGINT, signal.SIGTERM)
        for phase, fault, arrange, providers in (
            ("a wait for an answer", "silent", partial(_signal, ready=_asked), _ALL),
            ("a login", "login-silent", partial(_signal, ready=_asked), ("wallet", "merchant")),
            ("a pause", "busy", partial(_signal, ready=_asked), _ALL),
            ("a handshake", "handshake", partial(_signal, ready=_started), _ALL),
            ("a secret's command", "", _in_command, _ALL),
            ("the writing", "", _slow_reader, _ALL),
        )
    ),
    Trouble("process", "an injected bug", 1, _bug, rows=lambda _p: None),
)  # fmt: skip


# Configuration.


def _broken_toml(stage: Stage) -> None:
    secret = json.dumps(stage.planting.secrets[0].text)[1:-1]
    stage.rewrite(lambda text: text + f'\nkey = "{secret}" "{secret}\n')


def _replaced(make: Callable[[Path], None]) -> Arrange:
    """Something else instead of the profile file."""

    def arrange(stage: Stage) -> None:
        stage.planting.profile.unlink()
        make(stage.planting.profile)

    return arrange


def _mode(mode: int) -> Arrange:
    return lambda stage: stage.planting.profile.chmod(mode)


def _huge(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(100 * 1024 * 1024)
    path.chmod(0o600)


def _deep(path: Path) -> None:
    path.write_text("a = " + "[" * 100_000)
    path.chmod(0o600)


def _nested(begin: str, end: str, levels: int) -> Arrange:
    """Nested lists or tables: in the account's login if it has one, or else next to its keys."""

    def arrange(stage: Stage) -> None:
        value = f'{begin * levels}"${{NAME}}"{end * levels}'

        def nested(text: str) -> str:
            if "login = {" not in text:
                return f"{text}\ndeep = {value}\n"
            return text.replace("login = {", f"login = {{ deep = {value}, ", 1)

        stage.rewrite(nested)

    return arrange


def _stranger(stage: Stage) -> None:
    os.chown(stage.planting.profile, 12345, 12345)


def _env_above(stage: Stage) -> None:
    """Move the profile one folder down, and leave the .env with its variables."""
    below = stage.home / "below"
    below.mkdir()
    stage.planting.profile.rename(below / "config.toml")
    stage.options += ["-c", str(below / "config.toml")]
    stage.profile = False
    stage.planting.files[below / "config.toml"] = ""


def _preload(stage: Stage) -> None:
    """LD_PRELOAD in the .env. The secret's command reports whether it got that."""
    stage.file(".env", "LD_PRELOAD=/nonexistent/evil.so\n")
    for line in stage.planting.files[stage.planting.profile].splitlines():
        key, equals, rest = line.partition("_command = ")
        if equals:
            command = ["sh", "-c", f'test -z "$LD_PRELOAD" && {" ".join(json.loads(rest))}']
            stage.rewrite(
                lambda text, line=line, key=key, command=command: text.replace(  # type: ignore[misc]
                    line, f"{key}_command = {json.dumps(command)}"
                )
            )


def _command(*words: str) -> Arrange:
    """A command for a secret."""

    def arrange(stage: Stage) -> None:
        key = "api_key" if stage.provider == "wallet" else stage.planting.secrets[-1].key
        start = "login" if stage.provider == "wallet" else f"{key} ="
        stage.rewrite(lambda text: "\n".join(
            f"{key}_command = {json.dumps(list(words))}" if line.startswith(start) else line for line in text.splitlines()
        ))  # fmt: skip

    return arrange


def _no_home(home: str) -> Arrange:
    def arrange(stage: Stage) -> None:
        stage.profile = False
        stage.env["HOME"] = home

    return arrange


CONFIGURATION: Final = (
    Trouble("configuration", "a TOML error beside a secret", 3, _broken_toml),
    Trouble("configuration", "a FIFO", 3, _replaced(os.mkfifo)),
    Trouble("configuration", "a directory", 3, _replaced(Path.mkdir)),
    Trouble("configuration", "a device", 3, _replaced(lambda path: path.symlink_to("/dev/zero"))),
    Trouble("configuration", "100 MB", 3, _replaced(_huge)),
    Trouble("configuration", "100,000 levels", 3, _replaced(_deep)),
    Trouble("configuration", "300 lists in one another", 3, _nested("[", "]", 300)),
    Trouble("configuration", "300 tables in one another", 3, _nested("{a=", "}", 300)),
    Trouble("configuration", "150 lists of tables in one another", 3, _nested("[{a=", "}]", 150)),
    Trouble("configuration", "a profile of undecodable bytes", 3, _options("-p", "\udcff")),
    Trouble("configuration", "mode 0644", 3, _mode(0o644)),
    Trouble("configuration", "mode 0660", 3, _mode(0o660)),
    Trouble("configuration", "mode 0640", 0, _mode(0o640)),
    *([Trouble("configuration", "a foreign owner", 3, _stranger)] if os.geteuid() == 0 else []),
    Trouble("configuration", "a .env in the folder above", 3, _env_above, way="env_file"),
    Trouble("configuration", "LD_PRELOAD in a .env", 0, _preload, way="command"),
    Trouble("configuration", "a secret's command that fails", 3, _command("false")),
    Trouble("configuration", "a secret's command that is not there", 3, _command("/nonexistent/pass")),
    Trouble("configuration", "a secret's command that hangs", 3, _command("sleep", "60")),
    Trouble("configuration", "a secret's command with two lines", 3, _command("printf", "one\\ntwo\\n")),
    Trouble(
        "configuration", "a secret's command with 1 MB", 3, _command("head", "-c", "1000000", "/dev/zero")
    ),
    Trouble("configuration", "an empty HOME", 3, _no_home("")),
    Trouble("configuration", "a relative HOME", 3, _no_home("here")),
)


# Unattended runs.


@contextlib.contextmanager
def _lock_held(stage: Stage) -> Iterator[None]:
    stage.options += ["--record"]
    with state.lock("main", {"XDG_STATE_HOME": str(stage.home / ".local/state")}):
        yield


@contextlib.contextmanager
def _history_locked(stage: Stage) -> Iterator[None]:
    """A history that another program writes for longer than the run."""
    import sqlite3

    history = stage.folder / "history.db"
    stage.options += ["--record", "--history", str(history)]
    with contextlib.closing(sqlite3.connect(history, isolation_level=None)) as database:
        history.chmod(0o600)
        database.execute("PRAGMA journal_mode = DELETE")
        database.execute("BEGIN EXCLUSIVE")
        yield


def _history(content: bytes | None) -> Arrange:
    """A history with this content, or a folder instead of it."""

    def arrange(stage: Stage) -> None:
        stage.options += ["--record", "--history", str(stage.home / "history.db")]
        if content is None:
            (stage.home / "history.db").mkdir()
        else:
            stage.file("history.db", content)

    return arrange


def _into(path: str) -> Arrange:
    """Write the output to this file of the home."""

    def arrange(stage: Stage) -> None:
        stage.options += ["-O", str(stage.home / path)]
        (stage.home / "folder").mkdir()
        stage.file("here", "old\n")
        stage.afterwards = lambda: (
            [] if (stage.home / "here").read_text() == "old\n" else ["an old file is changed"]
        )

    return arrange


def _failing_into(stage: Stage) -> None:
    _into("here")(stage)


def _clock_back(stage: Stage) -> None:
    """A clock that steps back an hour each time it is read."""
    stage.customize(
        "import itertools, time\n"
        "true, steps = time.time, itertools.count()\n"
        "time.time = lambda: true() - 3600 * next(steps)\n"
    )


UNATTENDED: Final = (
    Trouble("unattended", "another run holds the lock", 10, _lock_held),
    Trouble("unattended", "a history that is locked", 9, _history_locked, rows=expected, slack=6.0),
    Trouble("unattended", "a history that is garbage", 9, _history(b"\x00garbage" * 1000), rows=expected),
    Trouble(
        "unattended", "a history that is cut", 9, _history(b"SQLite format 3\x00" + bytes(50)), rows=expected
    ),
    Trouble("unattended", "a folder in the place of the history", 9, _history(None), rows=expected),
    Trouble("unattended", "an output file in a folder that is missing", 9, _into("nowhere/file")),
    Trouble("unattended", "an output file that is a folder", 9, _into("folder")),
    Trouble(
        "unattended",
        "an output file that is a device",
        9,
        lambda stage: stage.options.extend(["-O", "/dev/full"]),
        rows=expected,
    ),
    Trouble("unattended", "a run that fails wholly, with an old output file", 4, _failing_into, "refused"),
    Trouble("unattended", "a clock that steps back", 0, _clock_back),
)


def troubles() -> list[Trouble]:
    """Every row that this machine supports."""
    tls = TLS if shutil.which("openssl") else ()
    return [
        *CREDENTIALS,
        *tls,
        *TRANSPORT,
        *PARTS,
        *_played(),
        *RENDERING,
        *PLUG_INS,
        *PROCESS,
        *CONFIGURATION,
        *UNATTENDED,
    ]
