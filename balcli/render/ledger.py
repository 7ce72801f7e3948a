"""What beancount and hledger share: the amounts to assert, what there is to say of them, and names made legal."""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Final, NamedTuple

from balcli.models import Balance, Report, Total
from balcli.money import Amount, exact_sum
from balcli.render.json import format_time
from balcli.text import printable


class Assertion(NamedTuple):
    """What an account holds of an asset in all, at a time; None is unknown. Without an account, all of them."""

    account: str | None
    asset: str
    amount: Amount | None
    at: datetime


def assertions(report: Report) -> list[Assertion]:
    """One for each account and asset, in the report's order; of totals, where they are all that was asked for."""
    if report.left_out is not None:
        return [_of_total(total, report) for total in report.totals]
    times = {outcome.account.name: outcome.fetched_at for outcome in report.outcomes}
    held: dict[tuple[str, str], list[Balance]] = defaultdict(list)
    for balance in report.balances:
        held[balance.account, balance.asset].append(balance)
    return [
        Assertion(account, asset, _sum(rows), times.get(account) or report.generated_at)
        for (account, asset), rows in held.items()
    ]


def _of_total(total: Total, report: Report) -> Assertion:
    return Assertion(None, total.asset, total.amounts.total, report.generated_at)


def _sum(rows: Iterable[Balance]) -> Amount | None:
    totals = [row.total for row in rows]
    known = [total for total in totals if total is not None]
    return exact_sum(known) if len(known) == len(totals) else None


def preface(report: Report, how: str) -> Iterator[str]:
    """The comments at the top: whose balances these are, how to use them, what failed and what else to know."""
    if report.profile is not None:
        yield f"; balances of the profile {printable(report.profile)} at {format_time(report.generated_at)}, by balcli"
    if report.complete:
        yield "; complete: every account answered"
    else:
        yield "; INCOMPLETE: nothing is asserted of what failed"
    for failure in report.failures:
        yield f"; failed: {failure.code}: {printable(failure.message)}"
    for outcome in report.outcomes:
        if outcome.failure is not None:
            why = printable(f"{outcome.account.name}: {outcome.failure.code}: {outcome.failure.message}")
            yield f"; failed: {why}"
    for warning in report.warnings:
        about = "" if warning.account is None else f"{warning.account}: "
        yield f"; note: {printable(f'{about}{warning.code}: {warning.message}')}"
    if not report.failures:
        yield f"; {how}"


UNCLEAR: Final = "not asserted: its legal name would be another's, too"
"""Why nothing is asserted of what `legal` left out."""


def unknown(assertion: Assertion, why: str = "unknown") -> str:
    """The comment in the place of an assertion that cannot be made."""
    account = "all accounts" if assertion.account is None else printable(assertion.account)
    return f"; {account}, {printable(assertion.asset)}: {why}"


def legal(
    names: Iterable[str], pattern: str, renamed: Callable[[str], str], plain: Callable[[str], str] = str
) -> Mapping[str, str]:
    """Each name as a ledger takes it: its plain form where that fits the pattern, else renamed, with its digest.

    The same name is always renamed alike. Two that would become one are left out: they are never merged.
    """
    made = {}
    for name in dict.fromkeys(names):
        fits = re.fullmatch(pattern, plain(name)) is not None
        made[name] = plain(name) if fits else f"{renamed(name)}-{_digest(name)}"
    times = Counter(made.values())
    return {name: new for name, new in made.items() if times[new] == 1}


def glossary(names: Mapping[str, str], plain: Callable[[str], str] = str) -> Iterator[str]:
    """The comments that say which name was renamed to what."""
    for name, new in names.items():
        if new != plain(name):
            yield f"; {new} is {printable(name)}"


def _digest(name: str) -> str:
    import hashlib  # here, because it brings OpenSSL with it

    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:8].upper()
