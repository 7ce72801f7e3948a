"""The command lines of a recording, and what each does, with normalized times, ports and paths."""

import re
import shlex
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, NamedTuple

from tests import faults
from tests.conftest import ROOT, Program
from tests.golden import FORMATS
from tests.warm import Warm

_SECONDS: Final = 60
_JOBS: Final = 4
_LONGEST_NAME: Final = 120

PROVIDERS: Final = ("loopring", "wallet", "merchant")
WIDTHS: Final = (30, 40, 60, 80, 100, 120, 200)
SLOW_FAULTS: Final = {
    *("busy", "login-silent", "silent", "deaf", "handshake", "head-drip", "body-drip", "redirect-drip"),
    *("no-name", "endless", "headers", "digits", "continue", "gzip-bomb", "redirect-bomb", "deep"),
}
"""Faults that need a deadline, megabytes, or a resolver."""
VARIED_FAULTS: Final = (
    "refused",
    "unavailable",
    "amount",
    "names",
    "repeated",
    "error",
    "expired",
    "redirect",
)

PROFILE: Final = """\
default_profile = "main"

[profiles.main]
retries = 0

[profiles.main.loopring]
base_url = "http://127.0.0.1:9"
api_key = "${LOOPRING_KEY}"
account_id = 11329

[[profiles.main.wallet]]
name = "treasury"
base_url = "http://127.0.0.1:9"
access_token_file = "token"
wallet_id = "w-1"

[[profiles.main.merchant]]
name = "shop"
base_url = "http://127.0.0.1:9"
token_command = ["printf", "merchant-token-1234"]

[[profiles.main.limits]]
asset = "USDT"
warn = "1000:"
crit = "500:"

[profiles.spare.wallet]
base_url = "http://127.0.0.1:9"
api_key = "spare-api-key-1234"
wallet_id = "w-2"
"""
_SET_UP: Final = {
    "config.toml": PROFILE,
    "token": "wallet-token-12345\n",
    ".env": "LOOPRING_KEY=loopring-key-1234\n",
}


class Run(NamedTuple):
    """A command line, in a home with these files. With `columns`, stdout is a terminal of that width."""

    line: str
    columns: int | None = None
    env: Mapping[str, str] = {}
    files: Mapping[str, str] = {}

    @property
    def name(self) -> str:
        """The name of the run's file."""
        words = ["balcli", self.line, *(f"{name}={value}" for name, value in self.env.items())]
        words += [f"columns={self.columns}"] if self.columns else []
        return re.sub(r"[^A-Za-z0-9=.,:_-]+", "_", " ".join(words))[:_LONGEST_NAME]


def record() -> dict[str, str]:
    """What every command line does, as text by name."""
    found: dict[str, str] = {}
    with ThreadPoolExecutor(_JOBS, initializer=_own_warm_process) as pool:
        for recorded in pool.map(_recorded_in_one_home, sequences()):
            for name, text in recorded:
                assert name not in found, name
                found[name] = text
    return found


_local: Final = threading.local()


def _own_warm_process() -> None:
    _local.warm = Warm(Program(Path("/nonexistent")).environment())


def _recorded_in_one_home(runs: Sequence[Run]) -> list[tuple[str, str]]:
    recorded = []
    with tempfile.TemporaryDirectory(prefix="balcli-golden-") as home:
        for number, run in enumerate(runs):
            name = f"{runs[0].name}.{number}.{run.name}" if number else run.name
            recorded.append((name, _recorded(run, Path(home), _local.warm)))
    return recorded


def _recorded(run: Run, home: Path, warm: Warm) -> str:
    for name, text in run.files.items():
        file = home / name
        file.write_text(text, encoding="utf-8")
        file.chmod(0o600)
    environment = Program(home).environment(run.env)
    code, out, err = warm.run(shlex.split(run.line), environment, home, _SECONDS, run.columns)
    # Accounts are fetched in parallel, so their order in the log is random.
    in_order = "".join(sorted(err.decode().splitlines(keepends=True)))
    parts = {"exit code": f"{code}\n", "stdout": out.decode(), "stderr": in_order}
    for path in sorted(home.iterdir()):
        if path.is_file() and path.suffix in {".json", ".txt", ".toml"}:
            text = path.read_bytes().decode()
            if text != run.files.get(path.name):
                parts[f"{path.name} {path.stat().st_mode & 0o777:o}"] = text
    head = f"$ balcli {run.line}{f' ({run.columns} columns)' if run.columns else ''}\n"
    whole = head + "".join(f"--- {part}\n{text}" for part, text in parts.items())
    return _alike(whole.replace(str(home), "HOME").replace(str(ROOT), "ROOT"))


def _alike(text: str) -> str:
    """The text without what differs between runs: times, durations, ports, hashes, days of the year."""
    replacements = {
        r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?(\.\d+)?(Z|[+-]\d\d:?\d\d)?": "TIME",
        r"\d{8}T\d{6}Z?": "TIME",
        r"\b\d{4}-\d\d-\d\d\b": "DAY",
        r"(127\.0\.0\.1|localhost|\[::1\]):\d{4,5}": r"\1:PORT",
        r"\b\d+(\.\d+)? ms\b": "N ms",
        r"\b\d{1,3}(\.\d+)? s (ago|later|earlier|apart)": r"N s \2",
        r"(?m)\d+\.\d s(?=(\x1b\[0m)?$)": "N s",  # the run's duration on the status line
        r"(timestamp_seconds(\{[^}]*\})?) [\d.e+]+": r"\1 SECONDS",
        r'"(sha256|hash|seconds|milliseconds|began|nonce)": ("[^"]*"|[\d.]+)': r'"\1": VALUE',
        r"\b[0-9a-f]{64}\b": "HASH",
        r"\b(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d [A-Z][a-z]{2} \d{4} [\d:]{8} GMT": "TIME",
        r"\+\d\d\d\d-\d\d-\d\d": "DAY",
    }
    for pattern, replacement in replacements.items():
        text = re.sub(pattern, replacement, text)
    return text


def sequences() -> Iterator[Sequence[Run]]:
    """The command lines, grouped by home."""
    for run in (*_shows(), *_narrowed(), *_faulty(), *_checks(), *_misused(), *_helps(), *_profiles()):
        yield [run]
    yield from _kept()


def _shows() -> Iterator[Run]:
    for command in (*PROVIDERS, "all"):
        for form in FORMATS:
            yield Run(f"{command} --sandbox -o {form}")
            yield Run(f"{command} --sandbox -o {form} -q -O out.txt")
        for width in WIDTHS:
            yield Run(f"{command} --sandbox", width)
            yield Run(f"{command} --sandbox --no-color --fault names", width)
        yield Run(f"{command} --sandbox", env={"FORCE_COLOR": "1"})
        yield Run(f"{command} --sandbox", 80, env={"NO_COLOR": "1"})
        yield Run(f"{command} --sandbox", env={"BALCLI_OUTPUT": "csv"})
        yield Run(f"{command} --sandbox -v")


def _narrowed() -> Iterator[Run]:
    options = (
        *("--asset USDT", "--asset usdt,eth", "--asset NONE", "--nonzero", "--sort asset", "--sort total"),
        *(
            "--sort account",
            "--totals-only",
            "--nonzero --totals-only --asset USDT",
            "--jobs 1",
            "--no-cache",
        ),
    )
    for option in options:
        for form in ("table", "json", "csv", "jsonl"):
            yield Run(f"all --sandbox {option} -o {form}")
    for line in (
        *("loopring --nfts", "wallet --addresses", "merchant --fiat", "merchant --all-merchants"),
        *(
            "merchant --all-merchants --fiat",
            "merchant --merchant-id 1 --merchant-id 2",
            "merchant --merchant-id 7",
        ),
        *(
            "wallet treasury",
            "wallet payouts treasury",
            "all shop",
            "wallet nobody",
            "loopring --account-id 5",
        ),
        "wallet treasury --wallet-id 7c9e6679-7425-40de-944b-e07fc1f90ae7",
    ):
        for form in ("table", "json", "prometheus", "csv"):
            yield Run(f"{line} --sandbox -o {form}")
        yield Run(f"{line} --sandbox", 60)


def _faulty() -> Iterator[Run]:
    for fault in faults.ALL:
        if fault not in SLOW_FAULTS:
            yield Run(f"all --sandbox --jobs 1 --retries 0 --fault {fault} -o json")
            yield Run(f"all --sandbox --jobs 1 --retries 0 --fault wallet:{fault}")
    for fault in VARIED_FAULTS:
        for command in (*PROVIDERS, "all"):
            for form in FORMATS[1:]:
                yield Run(f"{command} --sandbox --retries 0 --fault {fault} -o {form} -q")
        for width in (60, 120):
            yield Run(f"all --sandbox --jobs 1 --retries 0 --fault {fault}", width)
        yield Run(f"doctor --sandbox --fault {fault}")
        yield Run(f"doctor --sandbox --fault {fault} -o json")


def _checks() -> Iterator[Run]:
    limits = (
        *(
            "--crit 500:",
            "--warn 1000:",
            "--crit 10000000:",
            "--warn 10000000: --crit 1:",
            "--crit @0:",
            "--warn ~:1",
        ),
        *(
            "--crit 500: --account shop",
            "--crit 1: --field locked",
            "--crit x",
            "--crit 5:1",
            "",
            "--crit 1: --nope",
        ),
    )
    for limit in limits:
        for asset in ("USDT", "ETH", "NONE"):
            yield Run(f"check --sandbox --asset {asset} {limit}".strip())
        yield Run(f"check --sandbox --asset USDT {limit} -o json".replace("  ", " "))
        yield Run(f"check --sandbox --retries 0 --fault merchant:refused --asset USDT {limit}".strip())


def _misused() -> Iterator[Run]:
    commands = (
        *PROVIDERS,
        "all",
        "check",
        "diff",
        "history",
        "replay",
        "doctor",
        "schema",
        "config",
        "config show",
    )
    for command in commands:
        for wrong in ("--nope", "--output", "-o nope", "--timeout x", "--deadline 0", "-c", "nobody nothing"):
            yield Run(f"{command} {wrong}")
        yield Run(f"{command} -o json --nope")
    for line in (
        "",
        "nope",
        "--nope",
        "al",
        "-o json",
        "--sandbox all",
        "config",
        "config nope",
        "all --sandbox -O",
    ):
        yield Run(line)


def _helps() -> Iterator[Run]:
    commands = (
        *PROVIDERS,
        "all",
        "check",
        "diff",
        "history",
        "replay",
        "doctor",
        "sandbox",
        "schema",
        "config",
    )
    for command in ("", *commands, "config init", "config path", "config show", "config check"):
        for width in (60, 80):
            yield Run(f"{command} --help".strip(), env={"COLUMNS": str(width)})
    for line in ("--version", "schema", "sandbox --faults"):
        yield Run(line)
    for words in ("balcli ", "balcli all --", "balcli config ", "balcli all --sandbox --fault re"):
        count = str(words.count(" "))
        env = {"_BALCLI_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": count}
        yield Run("", env=env)


def _profiles() -> Iterator[Run]:
    for line in (
        *(
            "config show",
            "config show -o json",
            "config check",
            "config check -o json",
            "config path",
            "all -o json",
        ),
        *("all", "config show -p spare", "all -p spare", "all -p nowhere", "wallet shop", "doctor --offline"),
        *(
            "doctor -o json",
            "check",
            "check -o json",
            "all --retries 0 -o csv",
            "all -c nowhere.toml",
            "all nobody",
        ),
    ):
        named = line if "-c " in line else f"{line} -c config.toml"
        yield Run(named, files=_SET_UP)
    edits = (
        ("account_id = 11329", "acount_id = 11329"),
        ("account_id = 11329", 'account_id = "x"'),
        ("account_id = 11329", ""),
        ("retries = 0", 'retries = "many"'),
        ("retries = 0", "timeout = -1"),
        ("retries = 0", 'proxy = "nope"'),
        ('"${LOOPRING_KEY}"', '"${NO_SUCH_KEY}"'),
        ('"${LOOPRING_KEY}"', '""'),
        ('"${LOOPRING_KEY}"', '"a\\nb"'),
        ('"token"', '"no-such-file"'),
        ('["printf", "merchant-token-1234"]', '["false"]'),
        ('["printf", "merchant-token-1234"]', '"printf x"'),
        ('name = "shop"', 'name = "treasury"'),
        ('base_url = "http://127.0.0.1:9"', 'base_url = "http://example.com"'),
        ('base_url = "http://127.0.0.1:9"', ""),
        ('warn = "1000:"', 'warn = "x"'),
        ('default_profile = "main"', 'default_profile = "nope"'),
        ('default_profile = "main"', ""),
        ("[profiles.main]", "[profiles.main"),
    )
    for number, (old, new) in enumerate(edits):
        files = {**_SET_UP, "config.toml": PROFILE.replace(old, new, 1)}
        for line in ("all -o json", "config check", "doctor --offline"):
            yield Run(f"{line} -c config.toml", env={"EDIT": f"{number}"}, files=files)


def _kept() -> Iterator[list[Run]]:
    yield [
        *(
            Run(f"all --sandbox --record -q -o json{more}")
            for more in ("", " --retries 0 --fault shop:refused", " -v")
        ),
        *(
            Run(f"{line} --sandbox")
            for line in (
                *("history", "history -o json", "history -o csv", "history --asset USDT"),
                *("history --asset USDT -o json", "history --asset ETH -o jsonl", "history --limit 1"),
                *("diff", "diff -o json", "diff last --live", "diff 1 2", "diff 1 9", "diff 24h"),
                *("diff --allow-partial 1 2", "history --since 24h", "history --until 24h"),
                *(f"history show {run} -o {form}" for run in ("1", "last") for form in FORMATS),
                *("history show 9", "history show 2020-01-01", "history show -o value --asset USDT"),
                *("history --prune 1d", "history --prune 0h --dry-run", "history --prune 0h -o json"),
            )
        ),
    ]
    for line in (
        "all --sandbox",
        "all --sandbox --jobs 1 --retries 0 --fault wallet:amount",
        "merchant --sandbox --fiat",
    ):
        yield [
            Run(f"{line} --evidence kept -o json"),
            *(Run(f"replay kept -o {form}") for form in FORMATS),
            *(Run(more) for more in ("replay kept", "replay kept --check", "replay nowhere")),
        ]
    yield [
        Run(line)
        for line in (
            "config init -c new.toml",
            "config init -c new.toml --provider wallet",
            "history",
            "diff",
        )
    ]
