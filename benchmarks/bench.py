"""Shared by the rows: the profiles, balcli's command lines, and the lines of the table."""

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

from benchmarks.amounts import Account
from benchmarks.answers import credential
from benchmarks.checks import Check, prints_balances
from benchmarks.measure import Command, Counter, Runner, Took
from benchmarks.server import Server

THREE: Final = (Account("loopring", 1, 4), Account("wallet", 2, 4), Account("merchant", 3, 4))
"""One account per provider, with four assets."""

_KEYS: Final = {
    "loopring": ("api_key", "account_id = {}"),
    "wallet": ("api_key", 'wallet_id = "{}"'),
    "merchant": ("token", "merchant_id = {}"),
}


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the table; `met` is None if it has no target."""

    row: int
    what: str
    measured: str
    peer: str = ""
    target: str = ""
    met: bool | None = None
    failed: bool = False


@dataclass(frozen=True, slots=True)
class Bench:
    """The tools to measure a row."""

    folder: Path
    server: Server
    runner: Runner
    counter: Counter
    quick: bool
    bundle: Path | None
    """The CA bundle with the server's certificate; None if it could not be made."""

    def rounds(self, full: int, quick: int = 5) -> int:
        """The number of rounds of a row."""
        return quick if self.quick else full

    def profile(self, name: str, accounts: Iterable[Account], scheme: str = "http", head: str = "") -> Path:
        """The file of a profile with these accounts, and with `head` added to its keys."""
        lines = ["[profiles.main]", head]
        for account in accounts:
            secret, target = _KEYS[account.provider]
            lines += [
                f"[[profiles.main.{account.provider}]]",
                f'name = "{account.name}"',
                f'base_url = "{self.server.url(account.provider, scheme)}"',
                f'{secret} = "{credential(account)}"',
                target.format(account.target),
            ]
        file = self.folder / f"{name}.toml"
        file.touch(mode=0o600)
        file.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return file

    def ask(
        self,
        profile: Path,
        accounts: Sequence[Account],
        output: str = "json",
        *options: str,
        command: str = "all",
    ) -> Command:
        """The command that shows these accounts, with a check of its output."""
        arguments = (command, "--config", str(profile), "-o", output, *options)
        return balcli(*arguments, check=prints_balances(output, accounts))


def ms(times: Sequence[Took]) -> str:
    """The median of the wall times, in milliseconds."""
    return f"{median(took.wall for took in times) * 1000:.0f} ms"


def millions(count: int) -> str:
    """A count in millions."""
    return f"{count / 1e6:,.0f} M"


def balcli(*arguments: str, check: Check, code: int = 0, env: dict[str, str] | None = None) -> Command:
    """The program installed with this interpreter: its console script if there is one."""
    script = Path(sys.executable).parent / "balcli"
    start = (str(script),) if script.is_file() else ("-m", "balcli")
    return Command((sys.executable, *start, *arguments), check, code, env or {})


def arguments_of(command: Command) -> tuple[str, ...]:
    """The arguments that such a command passes to the program."""
    return command.argv[3:] if command.argv[1] == "-m" else command.argv[2:]
