"""From outcomes to the Report: rows in order, totals by asset, and what is left out of them."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import TypeVar

from balcli.errors import BalcliError
from balcli.models import PARTS, Balance, Failure, Notice, Outcome, Parts, Report, Total
from balcli.money import Amount, add_up
from balcli.running import Order
from balcli.text import LONGEST_NAME, printable

T = TypeVar("T")


def build(
    profile: str | None, outcomes: Sequence[Outcome], notices: Iterable[Notice] = (), *, nonzero: bool = False
) -> Report:
    """The report of a run. With `nonzero`, rows and totals that are exactly 0 throughout are hidden."""
    aggregates, doubles = _aggregates(outcomes), _doubles(outcomes)
    excluded = aggregates | doubles
    answered = [outcome for outcome in outcomes if outcome.holdings is not None]
    balances = [
        balance
        for outcome in answered
        for balance in sorted(outcome.holdings.balances if outcome.holdings else (), key=_by_asset)
    ]
    found = [*notices]
    for outcome in answered:
        found += outcome.holdings.notices if outcome.holdings else ()
    found += _repeated(balances, excluded)
    found += [
        Notice(
            "total.aggregate_left_out",
            name,
            "sums up merchants that are in this run themselves: it is left out of the totals",
        )
        for name in sorted(aggregates)
    ]
    found += [
        Notice(
            "account.repeated",
            name,
            "is an account that is in this run already, by another name: it is left out of the totals; remove one",
        )
        for name in sorted(doubles)
    ]
    totals = _totals([b for b in balances if b.counted and b.account not in excluded], outcomes)
    report = Report(
        generated_at=datetime.now(UTC),
        profile=profile,
        outcomes=tuple(outcomes),
        balances=tuple(balances),
        totals=tuple(totals),
        notices=tuple(found),
    )
    return without_zeros(report) if nonzero else report


def without_zeros(report: Report) -> Report:
    """The report without rows and totals that are exactly 0 throughout; it says how many rows those are."""
    shown = tuple(balance for balance in report.balances if not balance.is_zero())
    totals = tuple(total for total in report.totals if not _is_zero(total))
    return report._replace(
        balances=shown,
        totals=totals,
        hidden=len(report.balances) - len(shown),
        hidden_totals=len(report.totals) - len(totals),
    )


def arranged(report: Report, order: Order | None = None, *, totals_only: bool = False) -> Report:
    """The report in another order, or without its rows. Sorts are stable: what is alike stays in its order.

    By total is from the largest amount down, unknown last; by account sorts the accounts, too.
    """
    if order == "asset":
        report = report._replace(balances=tuple(sorted(report.balances, key=_by_asset)))
    elif order == "account":
        outcomes = sorted(report.outcomes, key=lambda outcome: outcome.account.name)
        balances = sorted(report.balances, key=lambda balance: balance.account)
        report = report._replace(outcomes=tuple(outcomes), balances=tuple(balances))
    elif order == "total":
        report = report._replace(
            balances=_largest_first(report.balances, lambda balance: balance.total),
            totals=_largest_first(report.totals, lambda total: total.parts.total),
        )
    if totals_only:
        report = report._replace(balances=(), hidden=0, left_out=len(report.balances) + report.hidden)
    return report


def _largest_first(rows: Sequence[T], amount: Callable[[T], Amount | None]) -> tuple[T, ...]:
    """The rows from the largest amount down, those of an unknown one last."""
    known = [(found, row) for row in rows if (found := amount(row)) is not None]
    known.sort(key=lambda pair: pair[0], reverse=True)
    return (*(row for _, row in known), *(row for row in rows if amount(row) is None))


def failed(profile: str | None, error: BalcliError) -> Report:
    """The report of a run that failed before any request."""
    return Report(generated_at=datetime.now(UTC), profile=profile, failures=(Failure.of(error),))


def _by_asset(balance: Balance) -> tuple[str, str]:
    return balance.asset, balance.asset_id or ""


def _doubles(outcomes: Sequence[Outcome]) -> set[str]:
    """The accounts that turned out to be one that stands before them: adding them would count money twice."""
    seen: set[tuple[str, str, str]] = set()
    doubles = set()
    for outcome in outcomes:
        if outcome.holdings is not None and outcome.holdings.owner is not None:
            who = (outcome.account.provider, outcome.account.base_url, outcome.holdings.owner)
            doubles |= {outcome.account.name} if who in seen else set()
            seen.add(who)
    return doubles


def _aggregates(outcomes: Sequence[Outcome]) -> set[str]:
    """The accounts that sum up others of this run: adding them would count money twice."""
    single = {outcome.account.part_of for outcome in outcomes} - {None}
    return {o.account.name for o in outcomes if o.account.aggregate_of in single}


def _repeated(balances: Sequence[Balance], excluded: set[str]) -> list[Notice]:
    """A notice for each asset that one account's answer lists more than once."""
    if len({(b.account, b.asset, b.asset_id) for b in balances}) == len(balances):
        return []  # as in nearly every run
    # The aggregate of a key lists a currency once for each merchant: those rows are not the same.
    counts = Counter(
        (
            b.account,
            b.asset,
            b.asset_id,
            b.details.get("merchant_id"),
            b.counted and b.account not in excluded,
        )
        for b in balances
    )
    return [
        Notice(
            "asset.repeated",
            account,
            f"{printable(asset, LONGEST_NAME)} stands {count} times in the answer; all are {'in the totals' if counted else 'shown'}",
        )
        for (account, asset, _, _, counted), count in counts.items()
        if count > 1
    ]


def _totals(balances: Sequence[Balance], outcomes: Sequence[Outcome]) -> list[Total]:
    """The totals by asset; an amount is a number only where every account of the run made it known."""
    order = [outcome.account.name for outcome in outcomes]
    failed = [outcome for outcome in outcomes if outcome.failure is not None]
    silent = [outcome.account.name for outcome in failed if outcome.missing_kind is None]
    kinds = [(outcome.missing_kind, outcome.account.name) for outcome in failed if outcome.missing_kind]
    by_asset: dict[str, list[Balance]] = defaultdict(list)
    for balance in balances:
        by_asset[balance.asset].append(balance)
    totals = []
    for asset, rows in sorted(by_asset.items()):
        there_kinds = {row.details.get("kind") for row in rows} if kinds else set()
        lacking = {*silent, *(name for kind, name in kinds if kind in there_kinds)}
        whole = not lacking
        sums, known = [], []
        for part in PARTS:
            amounts = [getattr(row, part) for row in rows]
            there = [amount for amount in amounts if amount is not None]
            known.append(add_up(there) if there else None)
            sums.append(known[-1] if whole and len(there) == len(amounts) else None)
            if len(there) < len(amounts):
                lacking |= {row.account for row in rows if getattr(row, part) is None}
        missing = tuple(name for name in order if name in lacking) if lacking else ()
        totals.append(Total(asset, Parts(*sums), Parts(*known), missing))
    return totals


def _is_zero(total: Total) -> bool:
    parts = [total.parts.total, total.parts.available, total.parts.locked]
    return all(part is not None and not part for part in parts)
