"""`-o prometheus`: the text exposition format for a textfile collector, with exact decimal values."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import Final, TypeAlias, TypeVar

from balcli.models import AMOUNT_FIELDS, Amounts, Balance, Report
from balcli.money import Amount
from balcli.text import escape_unprintable

K = TypeVar("K")

_Labels: TypeAlias = tuple[tuple[str, str], ...]
_Sample: TypeAlias = tuple[_Labels, str]
_ESCAPES: Final = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})

_HELP: Final = {
    "balcli_balance": "Balance of an asset in an account, in whole units. Absent if unknown, never 0.",
    "balcli_balance_unknown": "1 for each unknown amount of a balance, which has no sample.",
    "balcli_asset_balance": "Sum of an asset over all accounts. Absent unless known for every account.",
    "balcli_asset_complete": "Whether a total is known for every account.",
    "balcli_account_up": "Whether the account answered.",
    "balcli_failure": "1 for each failure of an account or the whole run, by code.",
    "balcli_warnings": "Number of warnings, by account and code.",
    "balcli_complete": "Whether every account of the run answered.",
    "balcli_last_run_timestamp_seconds": "End of the run, as a Unix timestamp in seconds.",
}


def pieces(report: Report) -> Iterator[str]:
    """The report as gauges. Families without samples are omitted."""
    run = () if report.profile is None else (("profile", _label(report.profile)),)
    families = {
        "balcli_balance": _balances(report, run, known=True),
        "balcli_balance_unknown": _balances(report, run, known=False),
        "balcli_asset_balance": _totals(report, run),
        "balcli_asset_complete": _whole_totals(report, run),
        "balcli_account_up": _accounts(report, run),
        "balcli_failure": _failures(report, run),
        "balcli_warnings": _warnings(report, run),
        "balcli_complete": iter([(run, str(int(report.complete)))]),
        "balcli_last_run_timestamp_seconds": iter([(run, str(int(report.generated_at.timestamp())))]),
    }
    for name, samples in families.items():
        yield from _family(name, samples)


def _family(name: str, samples: Iterator[_Sample]) -> Iterator[str]:
    head = f"# HELP {name} {_HELP[name]}\n# TYPE {name} gauge\n"
    for labels, value in samples:
        yield f"{head}{name}{_braces(labels)} {value}\n"
        head = ""


def _braces(labels: _Labels) -> str:
    pairs = ",".join(f'{name}="{value.translate(_ESCAPES)}"' for name, value in labels)
    return f"{{{pairs}}}" if pairs else ""


def _label(value: str | None) -> str:
    """A label's value, with control characters escaped; "" for None."""
    return escape_unprintable(value or "", keep="\n")


def _balances(report: Report, run: _Labels, *, known: bool) -> Iterator[_Sample]:
    # One account at a time: the labels of 100,000 rows would take half of the memory limit.
    by_account: dict[str, list[Balance]] = defaultdict(list)
    for balance in report.balances:
        by_account[_label(balance.account)].append(balance)
    for balances in by_account.values():
        rows = ((_row_labels(balance), balance) for balance in balances)
        yield from _sums(rows, lambda labels: (*run, *labels), known=known)


def _totals(report: Report, run: _Labels) -> Iterator[_Sample]:
    rows = ((_label(total.asset), total.amounts) for total in report.totals)
    return _sums(rows, lambda asset: (*run, ("asset", asset)), known=True)


def _sums(
    rows: Iterable[tuple[K, Balance | Amounts]], labels: Callable[[K], _Labels], *, known: bool
) -> Iterator[_Sample]:
    """The known amounts, or 1 for each unknown one. Rows with the same key are added up; `labels` gives its labels."""
    alike: dict[K, Balance | Amounts] = {}
    for key, row in rows:
        alike[key] = _sum(alike[key], row) if key in alike else row
    for key, row in alike.items():
        for part in AMOUNT_FIELDS:
            amount: Amount | None = getattr(row, part)
            if known is (amount is not None):
                yield (*labels(key), ("kind", part)), str(amount) if known else "1"


def _sum(one: Balance | Amounts, other: Balance | Amounts) -> Amounts:
    """The sum of each amount that is known in both."""
    pairs: list[tuple[Amount | None, Amount | None]] = [
        (getattr(one, part), getattr(other, part)) for part in AMOUNT_FIELDS
    ]
    return Amounts(*(None if mine is None or its is None else mine + its for mine, its in pairs))


def _row_labels(balance: Balance) -> _Labels:
    merchant_id = balance.details.get("merchant_id")
    return (
        *_account_labels(balance.provider, balance.account),
        *((("merchant_id", _label(merchant_id)),) if isinstance(merchant_id, str) else ()),
        ("asset", _label(balance.asset)),
        ("asset_id", _label(balance.asset_id)),
    )


def _whole_totals(report: Report, run: _Labels) -> Iterator[_Sample]:
    whole: dict[str, bool] = {}
    for total in report.totals:
        asset = _label(total.asset)
        whole[asset] = whole.get(asset, True) and not total.missing
    for asset, complete in whole.items():
        yield (*run, ("asset", asset)), str(int(complete))


def _accounts(report: Report, run: _Labels) -> Iterator[_Sample]:
    for outcome in report.outcomes:
        about = _account_labels(outcome.account.provider, outcome.account.name)
        yield (*run, *about), str(int(outcome.failure is None))


def _account_labels(provider: str, account: str) -> _Labels:
    return ("provider", _label(provider)), ("account", _label(account))


def _failures(report: Report, run: _Labels) -> Iterator[_Sample]:
    for outcome in report.outcomes:
        if outcome.failure is not None:
            about = _account_labels(outcome.account.provider, outcome.account.name)
            yield (*run, *about, ("code", outcome.failure.code)), "1"
    for code in dict.fromkeys(failure.code for failure in report.failures):
        yield (*run, ("code", code)), "1"


def _warnings(report: Report, run: _Labels) -> Iterator[_Sample]:
    counts = Counter((_label(warning.account), warning.code) for warning in report.warnings)
    for (account, code), count in counts.items():
        yield (*run, ("account", account), ("code", code)), str(count)
