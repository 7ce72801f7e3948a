"""What the server's accounts hold, computed from their numbers in whole numbers, and nothing of balcli's."""

from collections.abc import Iterable
from typing import Final, NamedTuple

SCALE: Final = 18
"""Amounts here are integers in units of 10**-18."""
TOKENS: Final = 266
"""How many tokens the relayer's table lists, as many as that of the main deployment."""

_MOST_ROWS: Final = 100_000
_EIGHT_DECIMALS: Final = 10 ** (SCALE - 8)


class Account(NamedTuple):
    """An account of the server's: what it holds follows from its number, and `rows` is how many assets."""

    provider: str
    number: int
    rows: int

    @property
    def name(self) -> str:
        """How the profile names it."""
        return f"{self.provider[0]}{self.number:05}"

    @property
    def target(self) -> int:
        """The number by which the provider knows it, from which `account_of` tells the rest."""
        return self.number * _MOST_ROWS + self.rows


class Held(NamedTuple):
    """One asset of an account."""

    available: int
    hold: int
    lock: int

    @property
    def locked(self) -> int:
        """What is held back."""
        return self.hold + self.lock

    @property
    def total(self) -> int:
        """All of it."""
        return self.available + self.locked


class Row(NamedTuple):
    """A balance as every format shows it: five texts."""

    account: str
    asset: str
    total: str
    available: str
    locked: str


def account_of(provider: str, target: int) -> Account:
    """The account with that target."""
    return Account(provider, *divmod(target, _MOST_ROWS))


def asset(provider: str, row: int) -> str:
    """The name of an account's asset of that number; wallets and merchants share theirs."""
    return f"T{row:03}" if provider == "loopring" else f"A{row:05}"


def held(account: Account, row: int) -> Held:
    """What an account holds of its asset of that number; the relayer has 18 decimals, the others 8."""
    number = account.number
    available = (number * 1_000_003 + row * 7_919 + 12_345) * 1_000_007 % 10**14 + 1
    hold = (number * 31 + row * 17) % 1_000 * 10**6
    lock = (number * 7 + row * 3) % 10 * 10**5
    finer = number * 13 + row * 101 + 1 if account.provider == "loopring" else 0
    return Held(available * _EIGHT_DECIMALS + finer, hold * _EIGHT_DECIMALS, lock * _EIGHT_DECIMALS)


def text(amount: int) -> str:
    """The amount as a plain decimal, without zeros at its end."""
    whole, part = divmod(amount, 10**SCALE)
    decimals = f"{part:0{SCALE}}".rstrip("0")
    return f"{whole}.{decimals}" if decimals else str(whole)


def balances(accounts: Iterable[Account]) -> list[Row]:
    """All rows of the accounts, in order."""
    found = []
    for account in accounts:
        for number in range(account.rows):
            here = held(account, number)
            amounts = (text(here.total), text(here.available), text(here.locked))
            found.append(Row(account.name, asset(account.provider, number), *amounts))
    return sorted(found)


def totals(accounts: Iterable[Account]) -> dict[str, int]:
    """The total of each asset over the accounts."""
    found: dict[str, int] = {}
    for account in accounts:
        for number in range(account.rows):
            name = asset(account.provider, number)
            found[name] = found.get(name, 0) + held(account, number).total
    return found
