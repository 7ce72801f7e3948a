"""Build the Report from outcomes: rows in order, totals by asset, and warnings about rows in no total."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import TypeVar

from balcli.errors import BalcliError
from balcli.models import AMOUNT_FIELDS, Amounts, Balance, Failure, Notice, Outcome, Report, Total
from balcli.money import Amount, exact_sum
from balcli.settings import Order
from balcli.text import LONGEST_NAME, folded, join_names, printable
from balcli.urls import normalize_url

T = TypeVar("T")


def build(
    profile: str | None, outcomes: Sequence[Outcome], notices: Iterable[Notice] = (), *, nonzero: bool = False
) -> Report:
    """The report of a run. With `nonzero`, rows and totals that are exactly 0 throughout are hidden."""
    aggregates = _aggregates(outcomes)
    answered = [outcome for outcome in outcomes if outcome.holdings is not None]
    balances = [
        balance
        for outcome in answered
        for balance in sorted(outcome.holdings.balances if outcome.holdings else (), key=_by_asset)
    ]
    found = [*notices]
    for outcome in answered:
        found += outcome.holdings.notices if outcome.holdings else ()
    doubles, about_doubles = _doubles(outcomes)
    left_out = {id(b) for b in balances if not b.counted or b.account in aggregates} | doubles
    found += _repeated(balances, left_out)
    found += _in_several_cases(balances)
    found += [
        Notice(
            "total.aggregate_left_out",
            name,
            "sums up merchants that are in this run themselves: it is left out of the totals",
        )
        for name in sorted(aggregates)
    ]
    found += about_doubles
    totals = _totals([b for b in balances if id(b) not in left_out], outcomes)
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
    """The report without rows and totals that are exactly 0 throughout; it counts them."""
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
            totals=_largest_first(report.totals, lambda total: total.amounts.total),
        )
    if totals_only:
        report = report._replace(balances=(), hidden=0, left_out=len(report.balances) + report.hidden)
    return report


def _largest_first(rows: Sequence[T], amount: Callable[[T], Amount | None]) -> tuple[T, ...]:
    """The rows by descending amount, unknown ones last."""
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
    """The rows (by `id`) that an earlier account with the same owner has already listed, and notices about them.

    Adding them would count money twice. Where the two are limited to different assets, each such row has a notice.
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
        message = "is an account that is in this run already, by another name: it is left out of the totals; remove one"
    else:
        message = f"is the account {printable(first, LONGEST_NAME)} by another name: what both list counts once in the totals"
    yield Notice("account.repeated", name, message)
    for balance in again:
        asset = printable(balance.asset, LONGEST_NAME)
        yield Notice(
            "account.repeated",
            name,
            f"{asset} is listed before under another name: this row is left out of the totals",
        )


def _asset_of(balance: Balance) -> str:
    """The key of an asset within an account: its id if it has one, else its name."""
    return balance.asset if balance.asset_id is None else f"#{balance.asset_id}"


def _aggregates(outcomes: Sequence[Outcome]) -> set[str]:
    """The names of accounts that aggregate others of this run: adding them would count money twice."""
    single = {outcome.account.part_of for outcome in outcomes} - {None}
    return {o.account.name for o in outcomes if o.account.aggregate_of in single}


def _repeated(balances: Sequence[Balance], left_out: set[int]) -> list[Notice]:
    """A notice for each asset that one account's answer lists more than once, under one id or several."""
    rows: dict[tuple[str, str], list[Balance]] = defaultdict(list)
    for balance in balances:
        rows[balance.account, balance.asset].append(balance)
    return [
        _repetition(each, left_out) for each in rows.values() if len(each) > 1 and not _of_merchants(each)
    ]


def _of_merchants(rows: Sequence[Balance]) -> bool:
    """Whether the rows are one for each merchant, as the aggregate of an API key lists them."""
    merchants = {row.details.get("merchant_id") for row in rows} - {None}
    return len(merchants) == len(rows) and len({row.details.get("kind") for row in rows}) == 1


def _repetition(rows: Sequence[Balance], left_out: set[int]) -> Notice:
    ids = list(dict.fromkeys(row.asset_id for row in rows if row.asset_id is not None))
    under = f" under the ids {join_names(ids)}" if len(ids) > 1 else ""
    counted = "shown" if any(id(row) in left_out for row in rows) else "in the totals"
    asset = printable(rows[0].asset, LONGEST_NAME)
    message = f"{asset} stands {len(rows)} times in the answer{under}; all are {counted}"
    return Notice("asset.repeated", rows[0].account, message)


def _in_several_cases(balances: Iterable[Balance]) -> list[Notice]:
    """A notice for each set of assets of the run whose names differ in ASCII case alone."""
    spellings: dict[str, dict[str, None]] = defaultdict(dict)
    for asset in sorted({balance.asset for balance in balances}):
        spellings[folded(asset)][asset] = None
    return [
        Notice(
            "asset.case",
            None,
            f"{join_names(names)} differ in case alone: they are different assets, each added by itself; name one with --exact",
        )
        for names in spellings.values()
        if len(names) > 1
    ]


def _totals(balances: Sequence[Balance], outcomes: Sequence[Outcome]) -> list[Total]:
    """The totals by asset. An amount is a number only if every account of the run made it known."""
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
        for part in AMOUNT_FIELDS:
            amounts = [getattr(row, part) for row in rows]
            there = [amount for amount in amounts if amount is not None]
            known.append(exact_sum(there) if there else None)
            sums.append(known[-1] if whole and len(there) == len(amounts) else None)
            if len(there) < len(amounts):
                lacking |= {row.account for row in rows if getattr(row, part) is None}
        missing = tuple(name for name in order if name in lacking) if lacking else ()
        totals.append(Total(asset, Amounts(*sums), Amounts(*known), missing))
    return totals


def _is_zero(total: Total) -> bool:
    return all(amount is not None and not amount for amount in total.amounts)
