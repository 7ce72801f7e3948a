"""The document of `-o json`: one shape for every run, all keys always there, amounts as text."""

import json
from datetime import datetime
from typing import Any, Final

from balcli.models import (
    PARTS,
    Balance,
    DepositAddress,
    Detail,
    Failure,
    Notice,
    Outcome,
    Parts,
    Report,
    Total,
)
from balcli.money import Amount

SCHEMA_VERSION: Final = "1.0"


def render(report: Report) -> str:
    """The report as one JSON document, in ASCII, so that no locale or terminal can alter it."""
    return written(document(report))


def written(document: object) -> str:
    """Plain objects as one JSON document, in ASCII, with a final newline."""
    return json.dumps(document, indent=2) + "\n"


def document(report: Report) -> dict[str, Any]:
    """The report as plain objects. Amounts are canonical decimal texts in whole units; unknown is None."""
    return {
        "schema_version": SCHEMA_VERSION,
        "generated_at": moment(report.generated_at),
        "profile": report.profile,
        "complete": report.complete,
        "accounts": [_account(outcome) for outcome in report.outcomes],
        "balances": [_balance(balance) for balance in report.balances],
        "totals": [_total(total) for total in report.totals],
        "warnings": [warning(notice) for notice in report.warnings],
        "errors": [{"code": failure.code, "message": failure.message} for failure in report.failures],
    }


def moment(at: datetime) -> str:
    """A time in UTC as every format writes it, to the second."""
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def warning(notice: Notice) -> dict[str, str | None]:
    """A notice as plain objects."""
    return {"code": notice.code, "account": notice.account, "message": notice.message}


def _account(outcome: Outcome) -> dict[str, Any]:
    return {
        "account": outcome.account.name,
        "provider": outcome.account.provider,
        "status": outcome.status,
        "fetched_at": None if outcome.fetched_at is None else moment(outcome.fetched_at),
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
    """An amount as every document has it: its canonical text, None where it is unknown."""
    return None if amount is None else str(amount)


def _balance(balance: Balance) -> dict[str, Any]:
    return {
        "account": balance.account,
        "provider": balance.provider,
        "asset": balance.asset,
        "asset_id": balance.asset_id,
        **{part: amount_text(getattr(balance, part)) for part in PARTS},
        "details": {key: _detail(value) for key, value in balance.details.items()},
        "raw": dict(balance.raw),
    }


def _detail(value: Detail) -> Any:
    if isinstance(value, Amount):
        return str(value)
    if isinstance(value, tuple):
        return [_address(address) for address in value]
    return value


def _address(address: DepositAddress) -> dict[str, str | None]:
    return {"network": address.network, "address": address.address, "memo": address.memo}


def _parts(parts: Parts) -> dict[str, str | None]:
    return {part: amount_text(getattr(parts, part)) for part in PARTS}


def _total(total: Total) -> dict[str, Any]:
    nothing = all(getattr(total.known, part) is None for part in PARTS)
    return {
        "asset": total.asset,
        **_parts(total.parts),
        "known": None if nothing else _parts(total.known),
        "missing": list(total.missing),
    }
