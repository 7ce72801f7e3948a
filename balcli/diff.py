"""The differences between two reports, by account, asset and amount. Differences are exact."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from itertools import zip_longest
from typing import Final, Literal, NamedTuple, TypeAlias

from balcli.models import AMOUNT_FIELDS, Balance, Outcome, Report
from balcli.money import ZERO, Amount
from balcli.providers.selection import names_of, selects

ChangeKind: TypeAlias = Literal["appeared", "vanished", "changed", "incomparable"]
_Key: TypeAlias = tuple[str, str | None, str | None, str | None]
"""The key of a row within its account: asset, asset_id, kind, merchant."""


class AmountChange(NamedTuple):
    """One amount before and after, in whole units; None is unknown. `difference` is None if either is."""

    field: str
    before: Amount | None
    after: Amount | None
    difference: Amount | None


class AccountChange(NamedTuple):
    """An account that is in only one run, or that cannot be compared for this `reason`."""

    account: str
    provider: str
    happened: ChangeKind
    reason: str | None = None


class BalanceChange(NamedTuple):
    """An asset of an account that is in only one run, or whose amounts differ."""

    account: str
    provider: str
    asset: str
    asset_id: str | None
    happened: ChangeKind
    amounts: tuple[AmountChange, ...]


class Diff(NamedTuple):
    """All differences between two runs, ordered by account and asset."""

    accounts: tuple[AccountChange, ...]
    balances: tuple[BalanceChange, ...]
    within_threshold: int = 0
    """The number of omitted rows, in which no amount changed by more than the threshold."""

    def __bool__(self) -> bool:
        """Whether there is a known difference. Accounts that could not be compared do not count."""
        return bool(self.balances) or len(self.incomparable) < len(self.accounts)

    @property
    def incomparable(self) -> tuple[AccountChange, ...]:
        """The accounts that could not be compared."""
        return tuple(change for change in self.accounts if change.happened == "incomparable")


class DiffFilter(NamedTuple):
    """The accounts and assets to compare (empty means all), and the threshold that changes must exceed."""

    accounts: tuple[str, ...] = ()
    assets: tuple[str, ...] = ()
    threshold: Amount = ZERO


EVERYTHING: Final = DiffFilter()


def compare(before: Report, after: Report, only: DiffFilter = EVERYTHING) -> Diff:
    """The differences between two reports. Amounts are compared exactly. Unknown is not 0."""
    accounts: list[AccountChange] = []
    balances: list[BalanceChange] = []
    small = 0
    old, new = _by_name(before, only), _by_name(after, only)
    missing = {
        (outcome.owner, outcome.missing_kind)
        for outcome in (*old.values(), *new.values())
        if outcome.missing_kind is not None
    }
    rows_before, rows_after = _rows(before, only, missing), _rows(after, only, missing)
    for name in [*new, *(name for name in old if name not in new)]:
        change = _of_account(old.get(name), new.get(name))
        if change is not None:
            accounts.append(change)
            continue
        for found in _of_rows(rows_before.get(name, {}), rows_after.get(name, {})):
            if _is_small(found, only.threshold):
                small += 1
            else:
                balances.append(found)
    return Diff(tuple(accounts), tuple(balances), small)


def _by_name(report: Report, only: DiffFilter) -> dict[str, Outcome]:
    return {
        outcome.account.name: outcome
        for outcome in report.outcomes
        if not only.accounts or outcome.owner in only.accounts
    }


def _of_account(old: Outcome | None, new: Outcome | None) -> AccountChange | None:
    """The change of an account as a whole, or None if its rows can be compared."""
    if old is None or new is None:
        there = new or old
        if there is None:
            raise ValueError("an account that neither run has")
        if there.missing_kind is not None:  # only a run in which it failed has this entry
            when = "before" if new is None else "after"
            return AccountChange(
                there.account.name, there.account.provider, "incomparable", f"it did not answer {when}"
            )
        return AccountChange(
            there.account.name, there.account.provider, "vanished" if new is None else "appeared"
        )
    name, provider = new.account.name, new.account.provider
    if (old.account.provider, dict(old.account.target)) != (provider, dict(new.account.target)):
        return AccountChange(name, provider, "incomparable", "it names another account now")
    if old.account.base_url and new.account.base_url:  # unknown in runs of older versions
        for key, was, now in (
            ("base_url", old.account.base_url, new.account.base_url),
            ("assets", {*old.account.assets}, {*new.account.assets}),
        ):
            if was != now:
                return AccountChange(name, provider, "incomparable", f"its {key} changed in the profile")
    failed = [which for which, outcome in (("before", old), ("after", new)) if outcome.failure is not None]
    if failed:
        return AccountChange(name, provider, "incomparable", f"it did not answer {' and '.join(failed)}")
    return None


def _rows(
    report: Report, only: DiffFilter, missing: AbstractSet[tuple[str, str | None]]
) -> Mapping[str, Mapping[_Key, list[Balance]]]:
    """The rows of each account by key, leaving out kinds that are missing from either run.

    Rows with the same key keep their order.
    """
    found: dict[str, dict[_Key, list[Balance]]] = defaultdict(lambda: defaultdict(list))
    for balance in report.balances:
        kind, merchant = (_word(balance, key) for key in ("kind", "merchant_id"))
        if selects(only.assets, *names_of(balance)) and (balance.account, kind) not in missing:
            found[balance.account][balance.asset, balance.asset_id, kind, merchant].append(balance)
    return found


def _word(balance: Balance, key: str) -> str | None:
    value = balance.details.get(key)
    return value if isinstance(value, str) else None


def _of_rows(old: Mapping[_Key, list[Balance]], new: Mapping[_Key, list[Balance]]) -> Iterator[BalanceChange]:
    for key in sorted({*old, *new}, key=str):
        for before, after in zip_longest(*_without_equals(old.get(key, []), new.get(key, []))):
            there = after or before
            moves = tuple(_moves(before, after))
            happened: ChangeKind = (
                "appeared" if before is None else "vanished" if after is None else "changed"
            )
            yield BalanceChange(there.account, there.provider, there.asset, there.asset_id, happened, moves)


def _without_equals(old: list[Balance], new: list[Balance]) -> tuple[list[Balance], list[Balance]]:
    """The rows of one key without those that are equal on both sides, in any order."""
    counts = Counter(map(_amounts, old)) & Counter(map(_amounts, new))
    rest: tuple[list[Balance], list[Balance]] = ([], [])
    for rows, left in zip((old, new), rest, strict=True):
        equals = counts.copy()
        for row in rows:
            amounts = _amounts(row)
            if equals[amounts]:
                equals[amounts] -= 1
            else:
                left.append(row)
    return rest


def _amounts(row: Balance) -> frozenset[tuple[str, Amount]]:
    """The known amounts of a row, by name."""
    return frozenset((part, amount) for part in _parts(row) if (amount := _amount(row, part)) is not None)


def _moves(before: Balance | None, after: Balance | None) -> Iterator[AmountChange]:
    """The amounts that differ. For a row that is missing on one side, all known amounts."""
    for part in _parts(before, after):
        old, new = (None if row is None else _amount(row, part) for row in (before, after))
        if before is None or after is None:
            if (old if after is None else new) is not None:
                yield AmountChange(part, old, new, None)
        elif (old is None) != (new is None) or (old is not None and new is not None and old != new):
            yield AmountChange(part, old, new, None if old is None or new is None else new - old)


def _parts(*rows: Balance | None) -> Iterable[str]:
    """The names of all amounts of the rows, details last."""
    details = (key for row in rows if row for key, value in row.details.items() if isinstance(value, Amount))
    return dict.fromkeys([*AMOUNT_FIELDS, *details])


def _amount(row: Balance, part: str) -> Amount | None:
    value = getattr(row, part) if part in AMOUNT_FIELDS else row.details.get(part)
    return value if isinstance(value, Amount) else None


def _is_small(change: BalanceChange, threshold: Amount) -> bool:
    """Whether no amount changed by more than the threshold. Becoming known or unknown is never small."""
    if not threshold or not change.amounts:
        return False
    if change.happened == "changed":
        sizes = [move.difference for move in change.amounts]
    else:
        # A missing row counts as 0 here, because providers omit rows of 0.
        sizes = [move.after if move.before is None else move.before for move in change.amounts]
    return all(size is not None and ZERO - threshold <= size <= threshold for size in sizes)
