"""Balance assertions for `-o beancount` and `-o hledger`. They are exact. Unknown amounts are comments."""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from itertools import groupby
from typing import Final, NamedTuple

from balcli.models import Balance, Report, by_account
from balcli.money import Amount, exact_sum
from balcli.render.json import format_time
from balcli.text import printable

# Version 2 allows 2 to 24 characters, and reserves three words.
_BEANCOUNT_COMMODITY: Final = r"(?!(?:TRUE|FALSE|NULL)$)[A-Z][A-Z0-9'._-]{0,22}[A-Z0-9]"
_BEANCOUNT_PART: Final = r"[A-Z0-9][A-Za-z0-9-]*"
_LONGEST: Final = 15  # plus a hyphen and the digest
# A quoted commodity is any printable text without quotes or semicolons.
_HLEDGER_COMMODITY: Final = r"[^\";\\\s](?:[^\";\\]*[^\";\\\s])?"
_HLEDGER_PART: Final = r"[\w./+@-]+(?: [\w./+@-]+)*"


class _Assertion(NamedTuple):
    """The total of an asset in an account (None for all accounts), at a time; None is unknown."""

    account: str | None
    asset: str
    amount: Amount | None
    at: datetime


def beancount(report: Report) -> Iterator[str]:
    """A balance directive for each account and asset, with zero tolerance, for the next day."""
    yield from _preface(report, "an assertion applies at the start of its day (UTC)")
    found = _assertions(report)
    commodities = _legal((each.asset for each in found), _BEANCOUNT_COMMODITY, _beancount_commodity)
    parts = _legal(_accounts(found), _BEANCOUNT_PART, _beancount_part, _capitalised)
    profile = report.profile or ""
    root = f"Assets:Balcli:{_legal([profile], _BEANCOUNT_PART, _beancount_part, _capitalised)[profile]}"
    yield from (*_glossary(commodities), *_glossary(parts, _capitalised))
    for each in found:
        why = _why_not(each, commodities, parts)
        if why is not None:
            yield why
            continue
        account = root if each.account is None else f"{root}:{parts[each.account]}"
        # Without an explicit tolerance, beancount allows a difference in the last digit.
        day = f"{each.at + timedelta(days=1):%Y-%m-%d}"
        yield f"{day} balance {account}  {each.amount} ~ 0 {commodities[each.asset]}\n"


def hledger(report: Report) -> Iterator[str]:
    """An empty transaction for each account, which asserts its balances."""
    yield from _preface(
        report, "an assertion applies after the earlier entries of its day (UTC): include this file last"
    )
    found = _assertions(report)
    commodities = _legal((each.asset for each in found), _HLEDGER_COMMODITY, _hyphenated, _printed)
    parts = _legal(_accounts(found), _HLEDGER_PART, _hyphenated)
    profile = report.profile or ""
    root = f"assets:balcli:{_legal([profile], _HLEDGER_PART, _hyphenated)[profile]}"
    yield from (*_glossary(commodities), *_glossary(parts))
    if found:
        # Independent of the decimal mark of the including journal.
        yield "decimal-mark .\n"
    for name, of_account in groupby(found, lambda each: each.account):
        yield "\n"
        asserted: list[_Assertion] = []
        for each in of_account:
            why = _why_not(each, commodities, parts)
            if why is None:
                asserted.append(each)
            else:
                yield why
        if asserted:
            yield f"{asserted[0].at:%Y-%m-%d} balcli\n"
        for each in asserted:
            account, sign = (root, "=*") if name is None else (f"{root}:{parts[name]}", "=")
            commodity = commodities[each.asset]
            if not re.fullmatch("[A-Za-z]+", commodity):
                commodity = f'"{commodity}"'
            yield f"    {account}  0 {commodity} {sign} {each.amount} {commodity}\n"


def _assertions(report: Report) -> list[_Assertion]:
    """An assertion for each account and asset, in the report's order, or for totals with --totals-only."""
    if report.left_out is not None:
        return [
            _Assertion(None, each.asset, each.amounts.total, report.generated_at) for each in report.totals
        ]
    times = {outcome.account.name: outcome.fetched_at for outcome in report.outcomes}
    repeated: dict[tuple[str, str], list[Balance]] = defaultdict(list)
    for account, balances in by_account(report.balances).items():
        counts = Counter(balance.asset for balance in balances)
        for balance in balances:
            if counts[balance.asset] > 1:
                repeated[account, balance.asset].append(balance)
    found = []
    for balance in report.balances:
        rows = repeated.get((balance.account, balance.asset), [balance])
        if rows[0] is balance:
            at = times.get(balance.account) or report.generated_at
            found.append(_Assertion(balance.account, balance.asset, _sum(rows), at))
    return found


def _sum(rows: Iterable[Balance]) -> Amount | None:
    totals = [row.total for row in rows]
    known = [total for total in totals if total is not None]
    return exact_sum(known) if len(known) == len(totals) else None


def _accounts(assertions: Iterable[_Assertion]) -> Iterator[str]:
    return (each.account for each in assertions if each.account is not None)


def _preface(report: Report, how: str) -> Iterator[str]:
    """The comments at the top: profile, usage, failures and warnings."""
    if report.profile is not None:
        at = format_time(report.generated_at)
        yield f"; balances of the profile {printable(report.profile)} at {at}, by balcli\n"
    if report.complete:
        yield "; complete: every account answered\n"
    else:
        yield "; INCOMPLETE: no assertions for failed accounts\n"
    for failure in report.failures:
        yield f"; failed: {failure.code}: {printable(failure.message)}\n"
    for outcome in report.outcomes:
        if outcome.failure is not None:
            why = printable(f"{outcome.account.name}: {outcome.failure.code}: {outcome.failure.message}")
            yield f"; failed: {why}\n"
    for warning in report.warnings:
        about = "" if warning.account is None else f"{warning.account}: "
        yield f"; note: {printable(f'{about}{warning.code}: {warning.message}')}\n"
    if not report.failures:
        yield f"; {how}\n"


def _why_not(assertion: _Assertion, commodities: Mapping[str, str], parts: Mapping[str, str]) -> str | None:
    """The comment that replaces an impossible assertion; None if it is possible."""
    name, asset = assertion.account, assertion.asset
    if assertion.amount is None:
        why = "unknown"
    elif asset not in commodities or (name is not None and name not in parts):
        why = "not asserted: its legal name is not unique"
    else:
        return None
    return f"; {'all accounts' if name is None else printable(name)}, {printable(asset)}: {why}\n"


def _legal(
    names: Iterable[str], pattern: str, renamed: Callable[[str], str], plain: Callable[[str], str] = str
) -> Mapping[str, str]:
    """The legal form of each name: its plain form if it matches the pattern, else a new name with a digest.

    Renaming is deterministic. Names whose legal forms collide are left out, never merged.
    """
    made = {}
    for name in dict.fromkeys(names):
        fits = re.fullmatch(pattern, plain(name)) is not None
        made[name] = plain(name) if fits else f"{renamed(name)}-{_digest(name)}"
    if all(name == new for name, new in made.items()):  # the usual case
        return made
    times = Counter(made.values())
    return {name: new for name, new in made.items() if times[new] == 1}


def _glossary(names: Mapping[str, str], plain: Callable[[str], str] = str) -> Iterator[str]:
    """The comments that list renamed names."""
    return (f"; {new} is {printable(name)}\n" for name, new in names.items() if new != plain(name))


def _digest(name: str) -> str:
    import hashlib  # imported here, because it loads OpenSSL

    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:8].upper()


def _beancount_commodity(asset: str) -> str:
    made = re.sub(r"[^A-Z0-9]+", "-", asset.upper())[:_LONGEST].strip("-")
    return made if made[:1].isalpha() else f"X{made}"[:_LONGEST]


def _beancount_part(name: str) -> str:
    return _capitalised(_hyphenated(name))


def _hyphenated(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-") or "X"


def _capitalised(name: str) -> str:
    return name[:1].upper() + name[1:]


def _printed(name: str) -> str:
    """The name, if it is printable; an unprintable name cannot be typed."""
    return name if name.isprintable() else ""
