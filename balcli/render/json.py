"""The document of `-o json`: all keys are always present, and amounts are strings."""

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from itertools import islice
from operator import attrgetter
from typing import Any, Final

from balcli.models import Amounts, Balance, Failure, Notice, Outcome, Report, Total
from balcli.money import Amount
from balcli.providers import coverage_of

SCHEMA_VERSION: Final = "1.1"
_AT_ONCE: Final = 500

encode: Final = json.JSONEncoder().encode
"""Encode a value as JSON on one line, in ASCII."""


def pieces(report: Report) -> Iterator[str]:
    """The report as one JSON document, in ASCII, so that it is independent of locale and terminal."""
    return _laid_out({**head(report), **lists(report)})


def to_json(document: Mapping[str, Any]) -> str:
    """A dict as one JSON document in ASCII, with one line per key and list item, and a trailing newline.

    Deeper indentation would take five times as long, because only flat JSON is encoded in C.
    """
    return "".join(_laid_out(document))


def _laid_out(document: Mapping[str, Any]) -> Iterator[str]:
    """The text of a dict, in pieces. Lists can be iterators."""
    before = "{\n"
    for key, value in document.items():
        yield f"{before}  {encode(key)}: "
        before = ",\n"
        if not isinstance(value, list | map):
            yield encode(value)
            continue
        between = "[\n    "
        for many in _joined(value, ",\n    "):
            yield f"{between}{many}"
            between = ",\n    "
        yield "[]" if between[0] == "[" else "\n  ]"
    yield "\n}\n"


def _joined(items: Iterable[object], between: str) -> Iterator[str]:
    """Items as JSON, many at once, separated by a text.

    Encoding many at once is faster, because each call has an overhead. The replaced separator occurs only between
    objects, because quotes in strings are escaped.
    """
    items = iter(items)
    while batch := list(islice(items, _AT_ONCE)):
        text = encode(batch)[1:-1]
        if isinstance(batch[0], dict):
            first = encode(next(iter(batch[0]), ""))
            text = text.replace(f"}}, {{{first}: ", f"}}{between}{{{first}: ")
        yield text


def to_jsonl(items: Iterable[dict[str, Any]]) -> Iterator[str]:
    """Dicts as JSON in ASCII, one per line, in pieces of many lines. All have the same first key."""
    return (f"{many}\n" for many in _joined(items, "\n"))


def document(report: Report) -> dict[str, Any]:
    """The report as a dict. Amounts are canonical decimal strings in whole units; None if unknown."""
    return {**head(report), **{key: [*items] for key, items in lists(report).items()}}


def head(report: Report) -> dict[str, Any]:
    """The keys that come before the document's lists. They describe the whole run."""
    coverage = []
    for provider in dict.fromkeys(map(attrgetter("account.provider"), report.outcomes)):
        covers, leaves_out, source = coverage_of(provider)
        coverage.append(
            {"provider": provider, "covers": [*covers], "leaves_out": [*leaves_out], "source": source}
        )
    return {
        "schema_version": SCHEMA_VERSION,
        "generated_at": format_time(report.generated_at),
        "profile": report.profile,
        "complete": report.complete,
        "exit_code": report.exit_code,
        "coverage": coverage,
    }


def lists(report: Report) -> dict[str, Iterator[dict[str, Any]]]:
    """The document's lists by key, with lazily converted items."""
    return {
        "accounts": map(_account, report.outcomes),
        "balances": map(_balance, report.balances),
        "totals": map(_total, report.totals),
        "warnings": map(warning, report.warnings),
        "errors": map(run_error, report.failures),
    }


def format_time(at: datetime) -> str:
    """A time in UTC, to the second, as in every format."""
    return f"{at.isoformat()[:19]}Z"


def warning(notice: Notice) -> dict[str, Any]:
    """A notice as a dict."""
    return notice._asdict()


def run_error(failure: Failure) -> dict[str, Any]:
    """A failure of the whole run as a dict."""
    return {"code": failure.code, "message": failure.message}


def _account(outcome: Outcome) -> dict[str, Any]:
    return {
        "account": outcome.account.name,
        "provider": outcome.account.provider,
        "status": outcome.status,
        "fetched_at": None if outcome.fetched_at is None else format_time(outcome.fetched_at),
        "target": dict(outcome.account.target),
        "error": None if outcome.failure is None else _error(outcome.failure),
    }


def _error(failure: Failure) -> dict[str, Any]:
    return {
        "code": failure.code,
        "message": failure.message,
        "retryable": failure.retryable,
        "http_status": failure.http_status,
    }


def amount_text(amount: Amount | None) -> str | None:
    """An amount in documents: its canonical text, or None if unknown."""
    return None if amount is None else str(amount)


def _balance(balance: Balance) -> dict[str, Any]:
    details: dict[str, Any] = dict(balance.details)
    for key, value in balance.details.items():
        if isinstance(value, Amount):
            details[key] = str(value)
        elif isinstance(value, tuple):
            details[key] = [address._asdict() for address in value]
    return {
        "account": balance.account,
        "provider": balance.provider,
        "asset": balance.asset,
        "asset_id": balance.asset_id,
        **_amount_texts(balance),
        "details": details,
        "raw": dict(balance.raw),
    }


def _amount_texts(amounts: Amounts | Balance) -> dict[str, str | None]:
    """The amounts by name."""
    return {
        "total": amount_text(amounts.total),
        "available": amount_text(amounts.available),
        "locked": amount_text(amounts.locked),
    }


def _total(total: Total) -> dict[str, Any]:
    amounts = _amount_texts(total.amounts)
    # Without missing accounts, the known sum is the total.
    known = amounts if total.known == total.amounts else _amount_texts(total.known)
    return {
        "asset": total.asset,
        **amounts,
        "known": known if any(known.values()) else None,
        "missing": list(total.missing),
    }
