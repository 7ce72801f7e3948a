"""What is different between two runs: accounts, assets and amounts, each with its exact difference."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, Literal, NamedTuple, TypeAlias

from balcli.models import PARTS, Balance, Outcome, Report
from balcli.money import ZERO, Amount
from balcli.providers.selection import names_of, selects

Happened: TypeAlias = Literal["appeared", "vanished", "changed", "incomparable"]
_Key: TypeAlias = tuple[str, str | None, str | None, str | None, int]
"""What tells rows of one account apart: asset, asset_id, kind, merchant, and its number among those alike."""


class Move(NamedTuple):
    """One amount before and after, in whole units; None is unknown. `difference` is None where either is."""

    part: str
    before: Amount | None
    after: Amount | None
    difference: Amount | None


class AccountChange(NamedTuple):
    """An account that one of the runs has alone, or that failed in one: then nothing of it is compared."""

    account: str
    provider: str
    happened: Happened
    reason: str | None = None


class BalanceChange(NamedTuple):
    """An asset of an account that one of the runs lists alone, or whose amounts are others."""

    account: str
    provider: str
    asset: str
    asset_id: str | None
    happened: Happened
    moves: tuple[Move, ...]


class Changes(NamedTuple):
    """All that is different between two runs, in the order of the accounts, then of the assets."""

    accounts: tuple[AccountChange, ...]
    balances: tuple[BalanceChange, ...]
    small: int = 0
    """How many changed rows are left out, because no amount of theirs moved by more than the threshold."""

    def __bool__(self) -> bool:
        """Whether anything is different that is not left out."""
        return bool(self.accounts or self.balances)


class Narrowing(NamedTuple):
    """What is looked at: accounts by name and assets by symbol, all without any; and what counts as small."""

    accounts: tuple[str, ...] = ()
    assets: tuple[str, ...] = ()
    threshold: Amount = ZERO


EVERYTHING: Final = Narrowing()


def between(before: Report, after: Report, narrowing: Narrowing = EVERYTHING) -> Changes:
    """What is different in the second report. Amounts are compared exactly; unknown is not 0, nor equal to it."""
    accounts: list[AccountChange] = []
    balances: list[BalanceChange] = []
    small = 0
    old, new = _by_name(before, narrowing), _by_name(after, narrowing)
    rows_before, rows_after = _rows(before, narrowing), _rows(after, narrowing)
    for name in [*new, *(name for name in old if name not in new)]:
        change = _of_account(old.get(name), new.get(name))
        if change is not None:
            accounts.append(change)
            continue
        for found in _of_rows(rows_before[name], rows_after[name]):
            if _is_small(found, narrowing.threshold):
                small += 1
            else:
                balances.append(found)
    return Changes(tuple(accounts), tuple(balances), small)


def _by_name(report: Report, narrowing: Narrowing) -> dict[str, Outcome]:
    return {
        outcome.account.name: outcome
        for outcome in report.outcomes
        if not narrowing.accounts or outcome.account.name in narrowing.accounts
    }


def _of_account(old: Outcome | None, new: Outcome | None) -> AccountChange | None:
    """What happened to an account as a whole; None where its rows can be compared."""
    if old is None or new is None:
        there = new or old
        if there is None:
            raise ValueError("an account that neither run has")
        return AccountChange(
            there.account.name, there.account.provider, "vanished" if new is None else "appeared"
        )
    name, provider = new.account.name, new.account.provider
    if (old.account.provider, dict(old.account.target)) != (provider, dict(new.account.target)):
        return AccountChange(name, provider, "incomparable", "it names another account now")
    failed = [which for which, outcome in (("before", old), ("after", new)) if outcome.failure is not None]
    if failed:
        return AccountChange(name, provider, "incomparable", f"it did not answer {' and '.join(failed)}")
    return None


def _rows(report: Report, narrowing: Narrowing) -> Mapping[str, dict[_Key, Balance]]:
    """The rows of each account by what tells them apart."""
    found: dict[str, dict[_Key, Balance]] = defaultdict(dict)
    for balance in report.balances:
        if selects(narrowing.assets, *names_of(balance)):
            kind, merchant = (_word(balance, key) for key in ("kind", "merchant_id"))
            number = 0
            while (key := (balance.asset, balance.asset_id, kind, merchant, number)) in found[
                balance.account
            ]:
                number += 1
            found[balance.account][key] = balance
    return found


def _word(balance: Balance, key: str) -> str | None:
    value = balance.details.get(key)
    return value if isinstance(value, str) else None


def _of_rows(old: Mapping[_Key, Balance], new: Mapping[_Key, Balance]) -> Iterator[BalanceChange]:
    for key in sorted({*old, *new}, key=str):
        before, after = old.get(key), new.get(key)
        there = after or before
        if there is None:
            raise ValueError("a row that neither run has")
        moves = tuple(_moves(before, after))
        if moves or before is None or after is None:
            happened: Happened = "appeared" if before is None else "vanished" if after is None else "changed"
            yield BalanceChange(there.account, there.provider, there.asset, there.asset_id, happened, moves)


def _moves(before: Balance | None, after: Balance | None) -> Iterator[Move]:
    """The amounts that are not the same; of a row that one side lacks, all that are known."""
    for part in _parts(before, after):
        old, new = (None if row is None else _amount(row, part) for row in (before, after))
        if before is None or after is None:
            if (old if after is None else new) is not None:
                yield Move(part, old, new, None)
        elif (old is None) != (new is None) or (old is not None and new is not None and old != new):
            yield Move(part, old, new, None if old is None or new is None else new - old)


def _parts(*rows: Balance | None) -> Iterable[str]:
    """The names of all amounts of the rows, those of the details last."""
    details = (key for row in rows if row for key, value in row.details.items() if isinstance(value, Amount))
    return dict.fromkeys([*PARTS, *details])


def _amount(row: Balance, part: str) -> Amount | None:
    value = getattr(row, part) if part in PARTS else row.details.get(part)
    return value if isinstance(value, Amount) else None


def _is_small(change: BalanceChange, threshold: Amount) -> bool:
    """Whether no amount moved by more than the threshold; what became known or unknown is never small."""
    if not threshold or not change.moves:
        return False
    if change.happened == "changed":
        sizes = [move.difference for move in change.moves]
    else:
        # What a provider does not list counts as nothing here: it leaves rows of 0 out.
        sizes = [move.after if move.before is None else move.before for move in change.moves]
    return all(size is not None and ZERO - threshold <= size <= threshold for size in sizes)
