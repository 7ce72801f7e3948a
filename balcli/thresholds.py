"""Thresholds on balances (the `limits` of a profile): ranges as monitoring plugins have them, and their evaluation."""

import re
from collections.abc import Iterable, Mapping, Sequence
from enum import IntEnum
from typing import Final, NamedTuple, TypeAlias

from balcli.models import AMOUNT_FIELDS, Balance, ExactName, Outcome, Report
from balcli.money import ZERO, Amount, exact_sum, parse
from balcli.providers.selection import NOT_LISTED, names_of, selects, suggestion
from balcli.text import folded, printable

KEYS: Final = {
    "asset": "a symbol, a label (SNX#173) or #id, in any case, or a list of exact names to add",
    "exact": "true: match the case of the asset (SNX is not snx)",
    "field": "available (the default), total or locked",
    "account": "default: the total over all accounts",
    "warn": "the range that is OK: 1000: warns below 1000",
    "crit": "10, 10:, ~:10, 10:20, or @10:20 (alerts inside)",
    "absent": "zero: treat an asset that no account lists as 0",
}
"""The keys of a limit, with their help texts."""

DEFAULT_FIELD: Final = "available"
ZERO_IF_ABSENT: Final = "zero"
"""The only value of the key `absent`."""

_NUMBER = r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?"
_RANGE = re.compile(rf"(@?)(?:({_NUMBER}|~):({_NUMBER})?|({_NUMBER}))")
_LONGEST_ASSET: Final = 100
_MOST_NAMES: Final = 4
_LONGEST_NAME: Final = 40


class State(IntEnum):
    """The four states of the monitoring-plugin convention, each with its exit code."""

    OK = 0
    WARNING = 1
    CRITICAL = 2
    UNKNOWN = 3


class Range(NamedTuple):
    """Amounts from `start` to `end`, inclusive; None is no bound. Alerts outside, or inside if `inside` is True.

    `text` is the original text of the range.
    """

    text: str
    start: Amount | None
    end: Amount | None
    inside: bool

    def alerts(self, value: Amount) -> bool:
        """Whether the range alerts for a value."""
        above_start = self.start is None or self.start <= value
        below_end = self.end is None or value <= self.end
        return (above_start and below_end) is self.inside


Value: TypeAlias = "str | bool | tuple[str, ...] | Range"
"""The value of a key of a limit."""


class Threshold(NamedTuple):
    """The ranges for a field of an asset, in one account or in the total over all accounts (None).

    `asset` is the user's text. For a list, `assets` has the names, and `asset` joins them with ` + `.
    """

    asset: str
    field: str
    account: str | None
    warn: Range | None
    crit: Range | None
    absent_is_zero: bool = False
    """Whether an asset that no account lists counts as 0."""
    exact: bool = False
    assets: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The names of its assets, `ExactName` for a list or with `exact`."""
        if self.assets or self.exact:
            return tuple(map(ExactName, self.assets or (self.asset,)))
        return (self.asset,)


class Finding(NamedTuple):
    """The result of one threshold. `value` is in whole units, or None if unknown. `reason` says why, or adds a note."""

    threshold: Threshold
    state: State
    value: Amount | None
    reason: str | None


class Verdict(NamedTuple):
    """The results of all thresholds, and their report."""

    findings: tuple[Finding, ...]
    report: Report

    @property
    def state(self) -> State:
        """The worst state: CRITICAL, UNKNOWN, WARNING, OK. UNKNOWN if there is no threshold."""
        found = {finding.state for finding in self.findings}
        for state in (State.CRITICAL, State.UNKNOWN, State.WARNING):
            if state in found:
                return state
        return State.OK if found else State.UNKNOWN


def parse_range(text: str) -> Range:
    """Parse a range. Raises ValueError, without the text."""
    match = _RANGE.fullmatch(text)
    if match is None:
        raise ValueError(
            "is not a range; use 10, 10:, '~:10' (quoted for the shell), 10:20 or @10:20, with plain decimal numbers"
        )
    at, start_text, end_text, alone = match.groups()
    try:
        start = ZERO if alone else None if start_text == "~" else parse(start_text)
        end = parse(end_text or alone) if end_text or alone else None
    except ValueError:
        raise ValueError("contains a number of more than 80 characters; use a shorter one") from None
    if start is not None and end is not None and end < start:
        hint = (
            "; use ~: before the number for a range without a lower bound"
            if alone
            else "; put the smaller number first"
        )
        raise ValueError(f"starts above its end{hint}")
    if start is None and end is None and not at:
        raise ValueError("includes every amount and would never alert; set a bound, or remove it")
    return Range(text, start, end, inside=bool(at))


def parse_value(key: str, value: str | list[str]) -> Value:
    """Parse the value of a key. Raises ValueError, without the value."""
    if isinstance(value, list):  # the key is `asset`
        if not value or len(set(value)) < len(value):
            raise ValueError("must be a list of different assets; list each once")
        if any(name.startswith("#") for name in value):
            raise ValueError("must be a list of names; use the label from the table, not the #id")
        return tuple(_asset(name) for name in value)
    if key in {"warn", "crit"}:
        return parse_range(value)
    if key == "field" and value not in AMOUNT_FIELDS:
        raise ValueError("must be available, total or locked; change it")
    if key == "absent" and value != ZERO_IF_ABSENT:
        raise ValueError(
            f"must be {ZERO_IF_ABSENT}; remove it to get UNKNOWN for an asset that is not listed"
        )
    if key == "asset" and "," in value:
        raise ValueError(
            "has several assets; set a limit for each, or use a list of exact names in the profile"
        )
    return _asset(value) if key == "asset" else value


def _asset(text: str) -> str:
    """The name of one asset. Raises ValueError."""
    if not text or text != text.strip() or not text.isprintable() or len(text) > _LONGEST_ASSET:
        raise ValueError(f"is not an asset; use a symbol of 1 to {_LONGEST_ASSET} printable characters")
    if folded(text).startswith("nft:"):
        raise ValueError("is an NFT, which has no amount; use a token")
    return text


def missing_key(keys: Iterable[str]) -> tuple[str, str] | None:
    """A required key that is not among these, with its message; None if all are there."""
    given = set(keys)
    if "asset" not in given:
        return "asset", "is missing; set the asset of the limit"
    if given.isdisjoint({"warn", "crit"}):
        return "crit", "is missing; add warn, crit or both"
    return None


def make_threshold(values: Mapping[str, Value]) -> Threshold:
    """The threshold with these values from `parse_value`, which have no `missing_key`."""
    text = {key: value for key, value in values.items() if isinstance(value, str)}
    ranges = {key: value for key, value in values.items() if isinstance(value, Range)}
    asset = values["asset"]
    assets = tuple(map(str, asset)) if isinstance(asset, tuple) else ()
    return Threshold(
        " + ".join(assets) or text["asset"],
        text.get("field", DEFAULT_FIELD),
        text.get("account"),
        ranges.get("warn"),
        ranges.get("crit"),
        absent_is_zero="absent" in values,
        exact=values.get("exact") is True or bool(assets),
        assets=assets,
    )


def named_accounts(thresholds: Sequence[Threshold]) -> list[str]:
    """The names of the accounts to request for these thresholds; an empty list means all."""
    names = [threshold.account for threshold in thresholds if threshold.account is not None]
    return list(dict.fromkeys(names)) if len(names) == len(thresholds) else []


def watched_assets(thresholds: Iterable[Threshold]) -> tuple[tuple[str | None, str], ...]:
    """The account (None for all) and asset of each threshold, one for each asset of a list."""
    return tuple((threshold.account, name) for threshold in thresholds for name in threshold.names)


class _Undecided(Exception):
    """The value of a threshold is unknown. The message says why."""


def evaluate(report: Report, thresholds: Iterable[Threshold]) -> Verdict:
    """The result of each threshold for a report, in order; UNKNOWN if its value is unknown."""
    findings = []
    for threshold in thresholds:
        try:
            findings.append(_evaluate_one(report, threshold))
        except _Undecided as undecided:
            findings.append(Finding(threshold, State.UNKNOWN, None, str(undecided)))
    return Verdict(tuple(findings), report)


def _evaluate_one(report: Report, threshold: Threshold) -> Finding:
    """The result of one threshold. Raises _Undecided if its value is unknown.

    An asset that no account lists is more likely misspelled than 0, so it can alert, but is never OK.
    """
    value, absent = _measure(report, threshold)
    state = _state(threshold, value)
    if not absent:
        return Finding(threshold, state, value, None)
    rows = [row.asset for row in report.balances if threshold.account in (None, row.account)]
    name = printable(absent[0], _LONGEST_NAME) if threshold.assets else "it"
    close = suggestion(absent[0], threshold.names, rows)
    if state is State.OK and not threshold.absent_is_zero:
        raise _Undecided(
            f"no account lists {name} ({NOT_LISTED}){close}; check the name, or set absent = {ZERO_IF_ABSENT} to treat it as 0"
        )
    return Finding(threshold, state, value, f"{name} is not listed{close}")


def _state(threshold: Threshold, value: Amount) -> State:
    if threshold.crit is not None and threshold.crit.alerts(value):
        return State.CRITICAL
    if threshold.warn is not None and threshold.warn.alerts(value):
        return State.WARNING
    return State.OK


def _measure(report: Report, threshold: Threshold) -> tuple[Amount, list[str]]:
    """The value in whole units, and the assets that no account lists. Raises _Undecided."""
    outcomes = _answered(report, threshold)
    rows = [balance for balance in report.balances if threshold.account in (None, balance.account)]
    values, absent = [], []
    for asset in threshold.names:
        matching = _matching_rows(rows, asset)
        if matching:
            values.append(_amount(report, threshold, rows, matching))
        elif any(_includes(outcome, asset) for outcome in outcomes):
            absent.append(asset)
        else:
            raise _Undecided("the profile excludes the asset; add it to the account's assets")
    return exact_sum(values), absent


def _matching_rows(rows: Sequence[Balance], asset: str) -> list[Balance]:
    """The rows of one asset. Raises _Undecided if its name matches several assets, or may be a row without a name."""
    labels = _possible_assets(rows, asset)
    if len(labels) > 1:
        raise _Undecided(
            f"it matches several assets: {_listed(labels)}; choose one with exact, or set an account"
        )
    matching = [row for row in rows if row.asset in labels and selects((asset,), *names_of(row))]
    unnamed = unnamed_row(rows, matching, asset)
    if unnamed is not None:
        account = printable(unnamed.account, _LONGEST_NAME)
        raise _Undecided(
            f"{unnamed.asset} at {account} has no known name and may be this asset; use the asset's #id"
        )
    return matching


def _amount(
    report: Report, threshold: Threshold, rows: Sequence[Balance], matching: Sequence[Balance]
) -> Amount:
    """The value of matching rows, in whole units. Raises _Undecided."""
    amounts = [getattr(row, threshold.field) for row in matching]
    if None in amounts:
        lacking = [row.account for row, amount in zip(matching, amounts, strict=True) if amount is None]
        raise _Undecided(
            f"the provider did not return it ({_listed(lacking)}); set the limit on another field"
        )
    if not any(row.counted for row in matching):
        raise _Undecided("it is not in any total, so it cannot have a limit; remove the limit")
    if threshold.account is not None:
        return exact_sum(amounts)
    _reject_other_id(rows, matching)
    return _from_total(report, matching, threshold)


def _reject_other_id(rows: Iterable[Balance], matching: Sequence[Balance]) -> None:
    """Raise _Undecided if an account also lists the asset under another id, because the total includes both."""
    chosen, accounts = {id(row) for row in matching}, {row.account for row in matching}
    for row in rows:
        if row.asset == matching[0].asset and row.account in accounts and id(row) not in chosen:
            account, name = printable(row.account, _LONGEST_NAME), printable(row.asset, _LONGEST_NAME)
            raise _Undecided(
                f"{name} has another id at {account}, too; use {name} as the asset, or set an account"
            )


def _answered(report: Report, threshold: Threshold) -> list[Outcome]:
    """The outcomes of the threshold's accounts. Raises _Undecided unless all of them answered."""
    if report.failures:
        raise _Undecided(f"the run failed ({report.failures[0].code})")
    outcomes = [outcome for outcome in report.outcomes if threshold.account in (None, outcome.account.name)]
    if not outcomes:
        raise _Undecided("the account is not in this run; choose one that is")
    failures = {each.account.name: each.failure for each in outcomes if each.failure is not None}
    if len(failures) == 1:
        ((name, failure),) = failures.items()
        raise _Undecided(
            f"{printable(name, _LONGEST_NAME)} did not answer ({failure.code}): {failure.message}"
        )
    if failures:
        codes = _listed(failure.code for failure in failures.values())
        raise _Undecided(f"{_listed(failures)} did not answer ({codes})")
    return outcomes


def _from_total(report: Report, matching: Sequence[Balance], threshold: Threshold) -> Amount:
    """The report's total of the asset, which excludes aggregates of other accounts. Raises _Undecided if it has none."""
    for total in report.totals:
        if total.asset == matching[0].asset:
            value: Amount | None = getattr(total.amounts, threshold.field)
            if value is None:
                raise _Undecided(
                    f"the total is not complete ({_listed(total.missing)}); set the limit on an account, or on another field"
                )
            return value
    left_out = _listed(row.account for row in matching)
    raise _Undecided(
        f"it is listed only by accounts that are not in the totals ({left_out}); set the limit's account"
    )


def _possible_assets(rows: Iterable[Balance], asset: str) -> list[str]:
    """The assets in these rows that match a name.

    There are several if a host has more than one token with the symbol, each labelled with its id. A listed exact
    name matches only itself.
    """
    found = {row.asset: None for row in rows if selects((asset,), *names_of(row))}
    if isinstance(asset, ExactName) and asset in found:
        return [str(asset)]
    namesakes = {row.asset: None for row in rows if _is_namesake(row, asset)}
    found = {name: None for name in found if name not in namesakes}
    # A single labelled token is ambiguous, too: the host has another one with that symbol.
    other = [f"another {asset}"] if len(namesakes) == 1 and not found else []
    return [*found, *namesakes, *other]


def _is_namesake(row: Balance, asset: str) -> bool:
    """Whether an asset is the symbol of a row labelled `SYMBOL#ID`, which shares its symbol with another token."""
    symbol, mark, number = row.asset.rpartition("#")
    return mark != "" and number == row.asset_id and selects((asset,), symbol)


def unnamed_row(rows: Iterable[Balance], matching: Iterable[Balance], asset: str) -> Balance | None:
    """The first token without a known name, which may be the asset, at an account that does not list the asset."""
    listing = {row.account for row in matching}
    for row in rows:
        unnamed = row.asset == f"#{row.asset_id}"
        if unnamed and row.account not in listing and ("#" not in asset or asset.endswith(row.asset)):
            return row
    return None


def _includes(outcome: Outcome, asset: str) -> bool:
    """Whether the account's profile includes the asset."""
    assets = outcome.account.assets
    return not assets or selects((str(asset),), *assets)


def _listed(names: Iterable[str]) -> str:
    """The first four different names, and the number of the others."""
    each = [printable(name, _LONGEST_NAME) for name in dict.fromkeys(names)]
    more = f" and {len(each) - _MOST_NAMES} more" if len(each) > _MOST_NAMES else ""
    return ", ".join(each[:_MOST_NAMES]) + more
