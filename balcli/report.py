"""Build the Report from outcomes: rows in order, totals by asset, and warnings about excluded rows."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import groupby
from operator import attrgetter
from typing import TypeVar

from balcli.errors import BalcliError
from balcli.models import AMOUNT_FIELDS, Amounts, Balance, Failure, Notice, Outcome, Report, Total
from balcli.money import Amount, exact_sum
from balcli.settings import Order
from balcli.text import LONGEST_NAME, folded, join_names, printable
from balcli.urls import normalize_url

T = TypeVar("T")


def build(profile: str | None, outcomes: Sequence[Outcome], notices: Iterable[Notice] = ()) -> Report:
    """The report of a run, with every row."""
    found, balances, aggregates = [*notices], list[Balance](), list[str]()
    left_out, about_doubles = _doubles(outcomes)
    # Adding an aggregate to its parts would count money twice.
    single = {outcome.account.part_of for outcome in outcomes} - {None}
    for outcome in outcomes:
        is_aggregate = outcome.account.aggregate_of in single
        if is_aggregate:
            aggregates.append(outcome.account.name)
        if outcome.holdings is not None:
            balances += sorted(outcome.holdings.balances, key=_by_asset)
            found += outcome.holdings.notices
            for balance in outcome.holdings.balances:
                if is_aggregate or not balance.counted:
                    left_out.add(id(balance))
    found += _repeated(balances, left_out)
    found += _in_several_cases(balances)
    found += map(_about_aggregate, sorted(aggregates))
    found += about_doubles
    totals = _totals(balances, left_out, outcomes)
    return Report(
        generated_at=datetime.now(UTC),
        profile=profile,
        outcomes=tuple(outcomes),
        balances=tuple(balances),
        totals=tuple(totals),
        notices=tuple(found),
    )


def _about_aggregate(name: str) -> Notice:
    message = "includes merchants that are also in this run, so it is not in the totals"
    return Notice("total.aggregate_left_out", name, message)


def without_zeros(report: Report) -> Report:
    """The report without rows and totals whose amounts are all 0. The result counts those left out."""
    shown = tuple(balance for balance in report.balances if not balance.is_zero())
    totals = tuple(total for total in report.totals if not _is_zero(total))
    return report._replace(
        balances=shown,
        totals=totals,
        hidden=len(report.balances) - len(shown),
        hidden_totals=len(report.totals) - len(totals),
    )


def arranged(report: Report, order: Order | None = None, *, totals_only: bool = False) -> Report:
    """The report in another order, or without its rows. Sorts are stable.

    `total` sorts from the largest amount down, unknown last. `account` also sorts the accounts.
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
            totals=_largest_first(report.totals, lambda total: total.amounts.total),
        )
    if totals_only:
        report = report._replace(balances=(), hidden=0, left_out=len(report.balances) + report.hidden)
    return report


def _largest_first(rows: Sequence[T], amount: Callable[[T], Amount | None]) -> tuple[T, ...]:
    """The rows by descending amount, unknown amounts last."""
    known = [(found, row) for row in rows if (found := amount(row)) is not None]
    known.sort(key=lambda pair: pair[0], reverse=True)
    return (*(row for _, row in known), *(row for row in rows if amount(row) is None))


def failed(profile: str | None, error: BalcliError) -> Report:
    """The report of a run that failed before any request."""
    failures = tuple(Failure.from_error(each) for each in error.every)
    return Report(generated_at=datetime.now(UTC), profile=profile, failures=failures)


def _by_asset(balance: Balance) -> tuple[str, str]:
    return balance.asset, balance.asset_id or ""


def _doubles(outcomes: Sequence[Outcome]) -> tuple[set[int], list[Notice]]:
    """The rows (by `id`) that an earlier account with the same owner already lists, and notices about them.

    Adding them would count money twice. If the two accounts select different assets, each row gets a notice.
    """
    seen: dict[tuple[str, ...], tuple[Outcome, set[str]]] = {}
    doubles: set[int] = set()
    notices: list[Notice] = []
    for outcome in outcomes:
        if outcome.holdings is None or outcome.holdings.owner is None:
            continue
        account = outcome.account
        who = (account.provider, normalize_url(account.base_url), outcome.holdings.owner)
        first, before = seen.setdefault(who, (outcome, set()))
        counted = [balance for balance in outcome.holdings.balances if balance.counted]
        again = [balance for balance in counted if _asset_of(balance) in before]
        doubles |= {id(balance) for balance in again}
        if first is not outcome:
            alike = first.account.assets == account.assets and len(again) == len(counted)
            notices += _about_double(account.name, first.account.name, [] if alike else again, whole=alike)
        before.update(map(_asset_of, counted))
    return doubles, sorted(notices, key=lambda notice: notice.account or "")


def _about_double(name: str, first: str, again: Iterable[Balance], *, whole: bool) -> Iterator[Notice]:
    if whole:
        message = "is in this run twice, under two names, so it is not in the totals; remove one"
    else:
        message = f"is the same account as {printable(first, LONGEST_NAME)}, so assets of both count once in the totals"
    yield Notice("account.repeated", name, message)
    for balance in again:
        asset = printable(balance.asset, LONGEST_NAME)
        yield Notice(
            "account.repeated",
            name,
            f"{asset} is already listed under the other account name, so this row is not in the totals",
        )


def _asset_of(balance: Balance) -> str:
    """The key of an asset within an account: its id, or else its name."""
    return balance.asset if balance.asset_id is None else f"#{balance.asset_id}"


def _repeated(balances: Sequence[Balance], left_out: set[int]) -> Iterator[Notice]:
    """A notice for each asset that one account lists more than once, under one id or several.

    The rows must be grouped by account and asset.
    """
    for _, group in groupby(balances, key=attrgetter("account", "asset")):
        alike = [*group]
        if len(alike) > 1 and not _of_merchants(alike):
            yield _repetition(alike, left_out)


def _of_merchants(rows: Sequence[Balance]) -> bool:
    """Whether there is one row for each merchant, as in the aggregate of an API key."""
    merchants = {row.details.get("merchant_id") for row in rows} - {None}
    return len(merchants) == len(rows) and len({row.details.get("kind") for row in rows}) == 1


def _repetition(rows: Sequence[Balance], left_out: set[int]) -> Notice:
    ids = list(dict.fromkeys(row.asset_id for row in rows if row.asset_id is not None))
    under = f" under the ids {join_names(ids)}" if len(ids) > 1 else ""
    counted = "shown" if any(id(row) in left_out for row in rows) else "in the totals"
    asset = printable(rows[0].asset, LONGEST_NAME)
    message = f"{asset} occurs {len(rows)} times in the response{under}; all rows are {counted}"
    return Notice("asset.repeated", rows[0].account, message)


def _in_several_cases(balances: Iterable[Balance]) -> Iterator[Notice]:
    """A notice for each set of assets whose names differ only in ASCII case."""
    assets = {*map(attrgetter("asset"), balances)}
    if len({*map(str.lower, assets)}) == len(assets):
        return  # the usual case
    spellings: dict[str, list[str]] = defaultdict(list)
    for asset in sorted(assets):
        spellings[folded(asset)].append(asset)
    for names in spellings.values():
        if len(names) > 1:
            yield Notice(
                "asset.case",
                None,
                f"{join_names(names)} differ only in case and are different assets with separate totals; select one with --exact",
            )


def _totals(balances: Sequence[Balance], left_out: set[int], outcomes: Sequence[Outcome]) -> list[Total]:
    """The totals by asset. An amount is known only if it is known for every account."""
    failed = [outcome for outcome in outcomes if outcome.failure is not None]
    counted = [balance for balance in balances if id(balance) not in left_out]
    counted.sort(key=attrgetter("asset"))
    totals = []
    for asset, group in groupby(counted, key=attrgetter("asset")):
        rows = [*group]
        lacking: set[str] = set()
        if failed:
            # If an account lacks one kind of rows, the totals of other kinds are still known.
            kinds = {None, *(row.details.get("kind") for row in rows)}
            lacking = {outcome.account.name for outcome in failed if outcome.missing_kind in kinds}
        whole = not lacking
        sums, known = [], []
        for part in AMOUNT_FIELDS:
            there = [amount for amount in map(attrgetter(part), rows) if amount is not None]
            known.append(exact_sum(there) if there else None)
            sums.append(known[-1] if whole and len(there) == len(rows) else None)
            if len(there) < len(rows):
                lacking |= {row.account for row in rows if getattr(row, part) is None}
        missing: tuple[str, ...] = ()
        if lacking:
            missing = tuple(o.account.name for o in outcomes if o.account.name in lacking)
        amounts = Amounts(*known)
        totals.append(Total(asset, amounts if sums == known else Amounts(*sums), amounts, missing))
    return totals


def _is_zero(total: Total) -> bool:
    return all(amount is not None and not amount for amount in total.amounts)
