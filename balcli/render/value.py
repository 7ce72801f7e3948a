"""`-o value`: one known and complete amount, or the reason why there is none."""

from typing import NamedTuple

from balcli.models import Report
from balcli.providers.selection import names_of, selects, suggestion
from balcli.text import join_names, printable
from balcli.thresholds import unnamed_row


class ValueRequest(NamedTuple):
    """The requested amount."""

    asset: str
    """From `providers.selection.wanted`."""
    field: str = "total"
    absent_zero: bool = False
    """Whether an asset that no account lists counts as 0."""


class Value(NamedTuple):
    """The text of an amount, or None with the reason and the exit code."""

    text: str | None
    reason: str = ""
    exit_code: int = 0


def value(report: Report, request: ValueRequest) -> Value:
    """The amount over all accounts of a report, whose rows of zeros must not be hidden."""
    if not report.complete:
        missing = [outcome.account.name for outcome in report.outcomes if outcome.failure is not None]
        return Value(None, f"no value: {join_names(missing)} did not answer", report.exit_code)
    rows = [row for row in report.balances if selects((request.asset,), *names_of(row))]
    matching = list(dict.fromkeys(row.asset for row in rows))
    asset = printable(request.asset, 60)
    unnamed = unnamed_row(report.balances, rows, request.asset)
    if unnamed is not None:
        where = printable(unnamed.account, 60)
        return Value(
            None, f"no value: {unnamed.asset} at {where} has no known name and may be {asset}; use its #id", 6
        )
    if not matching and request.absent_zero:
        return Value("0")
    if len(matching) > 1:
        return Value(None, f"no value: {asset} matches {join_names(matching)}; select one with --exact", 2)
    amounts = [total.amounts for total in report.totals if [total.asset] == matching]
    amount = getattr(amounts[0], request.field) if amounts else None
    if amount is not None:
        return Value(str(amount))
    if not matching:
        close = suggestion(request.asset, (), (row.asset for row in report.balances))
        reason = f"no account lists {asset}{close}; use --absent zero to treat it as 0"
    elif amounts:
        where = join_names(row.account for row in rows if getattr(row, request.field) is None)
        reason = f"{request.field} of {asset} is unknown at {where}; see -o json"
    else:
        reason = f"{asset} is not in any total; see -o json"
    return Value(None, f"no value: {reason}", 6)
