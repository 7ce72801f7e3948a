"""The balances of the server's accounts, computed from their numbers in integers, without balcli's code."""

from collections.abc import Iterable
from typing import Final, NamedTuple

SCALE: Final = 18
"""Amounts are integers in units of 10**-18."""
TOKENS: Final = 266
"""The number of tokens in the relayer's table, the same as in the main deployment's."""

_MOST_ROWS: Final = 100_000
_EIGHT_DECIMALS: Final = 10 ** (SCALE - 8)


class Account(NamedTuple):
    """An account at the server. Its balances are computed from its number; `rows` is its number of assets."""

    provider: str
    number: int
    rows: int

    @property
    def name(self) -> str:
        """Its name in the profile."""
        return f"{self.provider[0]}{self.number:05}"

    @property
    def target(self) -> int:
        """Its number at the provider, from which `account_of` computes the rest."""
        return self.number * _MOST_ROWS + self.rows


class Held(NamedTuple):
    """One asset of an account."""

    available: int
    hold: int
    lock: int

    @property
    def locked(self) -> int:
        """The locked amount."""
        return self.hold + self.lock

    @property
    def total(self) -> int:
        """The total amount."""
        return self.available + self.locked


class Row(NamedTuple):
    """A balance as every format shows it, as five texts."""

    account: str
    asset: str
    total: str
    available: str
    locked: str


def account_of(provider: str, target: int) -> Account:
    """The account with that target."""
    return Account(provider, *divmod(target, _MOST_ROWS))


def asset(provider: str, row: int) -> str:
    """The name of an account's asset with that number. Wallets and merchants share names."""
    return f"T{row:03}" if provider == "loopring" else f"A{row:05}"


def held(account: Account, row: int) -> Held:
    """The balance of an account's asset with that number: 18 decimals at the relayer, 8 elsewhere."""
    number = account.number
    available = (number * 1_000_003 + row * 7_919 + 12_345) * 1_000_007 % 10**14 + 1
    hold = (number * 31 + row * 17) % 1_000 * 10**6
    lock = (number * 7 + row * 3) % 10 * 10**5
    finer = number * 13 + row * 101 + 1 if account.provider == "loopring" else 0
    return Held(available * _EIGHT_DECIMALS + finer, hold * _EIGHT_DECIMALS, lock * _EIGHT_DECIMALS)


def text(amount: int) -> str:
    """The amount as a plain decimal without trailing zeros."""
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
