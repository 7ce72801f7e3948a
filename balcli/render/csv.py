"""`-o csv` (RFC 4180): a row for each balance, then for each account without balances, warning and error."""

import csv
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import chain
from typing import Final, TypeAlias

from balcli.models import AMOUNT_FIELDS, Report
from balcli.text import escape_unprintable

HEADER: Final = ("account", "provider", "asset", "asset_id", *AMOUNT_FIELDS, "status", "error")
_Row: TypeAlias = tuple[object, ...]
_NO_AMOUNTS: Final = ("",) * len(AMOUNT_FIELDS)

# The characters that start a formula in a spreadsheet, including full-width forms.
_FORMULA: Final = tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")


def pieces(report: Report) -> Iterator[str]:
    """The report as rows of nine cells, with CRLF. Amounts are exact numbers; unknown is empty.

    Includes totals only with --totals-only, so that columns can be added up.
    """
    totals = () if report.left_out is None else _totals(report)
    return to_csv(chain([HEADER], _balances(report), totals, _accounts(report), _messages(report)))


class _Echo:
    """A file whose `write` returns the text, which `writerow` returns in turn."""

    def write(self, line: str) -> str:
        return line


def to_csv(rows: Iterable[Sequence[object]]) -> Iterator[str]:
    """Rows of cells as RFC 4180 lines; None is an empty cell."""
    return map(csv.writer(_Echo(), lineterminator="\r\n").writerow, rows)


def _balances(report: Report) -> Iterator[_Row]:
    for balance in report.balances:
        names = (balance.account, balance.provider, balance.asset, balance.asset_id)
        yield (*map(text, names), balance.total, balance.available, balance.locked, "ok", "")


def _totals(report: Report) -> Iterator[_Row]:
    for total in report.totals:
        amounts = total.known._asdict().items()
        known = ", ".join(f"{field} {amount}" for field, amount in amounts if amount is not None)
        lacks = f"without {', '.join(total.missing)}; known so far: {known or 'nothing'}"
        state = ("incomplete", text(lacks)) if total.missing else ("total", "")
        yield ("", "", text(total.asset), "", *total.amounts, *state)


def _accounts(report: Report) -> Iterator[_Row]:
    """A row for each account without balances: it failed, or is empty."""
    listed = {balance.account for balance in report.balances}
    for outcome in report.outcomes:
        account = (text(outcome.account.name), text(outcome.account.provider), "", "", *_NO_AMOUNTS)
        if outcome.failure is not None:
            yield (*account, outcome.status, text(f"{outcome.failure.code}: {outcome.failure.message}"))
        elif report.left_out is None and outcome.account.name not in listed:
            held = outcome.holdings.balances if outcome.holdings else ()
            yield (*account, "empty", "all rows are 0 and hidden" if held else "no balances listed")


def _messages(report: Report) -> Iterator[_Row]:
    for warning in report.warnings:
        message = text(f"{warning.code}: {warning.message}")
        yield (text(warning.account), "", "", "", *_NO_AMOUNTS, "warning", message)
    for failure in report.failures:
        yield ("", "", "", "", *_NO_AMOUNTS, "failed", text(f"{failure.code}: {failure.message}"))


@lru_cache(maxsize=4096)  # the same account and asset names appear in many rows
def text(value: str | None) -> str:
    """A text cell that is not a formula, with unprintable characters other than line breaks escaped."""
    shown = escape_unprintable(value or "", keep="\t\r\n")
    return f"'{shown}" if shown.startswith(_FORMULA) else shown
