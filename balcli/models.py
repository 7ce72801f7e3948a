"""The data model: Account, Balance, Failure, Outcome, Total, Report. No I/O."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Generic, Literal, NamedTuple, TypeAlias, TypeVar, final

from balcli.errors import BalcliError
from balcli.files import shown
from balcli.money import Amount, is_nonzero
from balcli.urls import normalize_url

Settings = TypeVar("Settings")

KINDS = frozenset({"fiat"})
"""The kinds of rows that are requested separately, and can be missing although the account answered."""

AMOUNT_FIELDS = ("total", "available", "locked")
"""The three amounts of a balance or total, in display order."""


class CaSource(NamedTuple):
    """The CA certificates to verify servers with."""

    kind: Literal["file", "folder", "system", "built-in"] = "built-in"
    path: Path | None = None
    named_by: str = ""
    """The variable or `ca_bundle` that sets it; empty for the built-in certificates."""

    @property
    def described(self) -> str:
        """The source for people."""
        place = f"the {self.kind} certificates" if self.path is None else shown(self.path)
        return f"{place} ({self.named_by})" if self.named_by else place


class Account(NamedTuple, Generic[Settings]):
    """One account at one provider.

    `target` identifies it there, as text. Accounts with the same `key`, made of `identity`, are the same account.
    An account with `aggregate_of` is the sum of the accounts with the same `part_of`. `assets` are the assets that the
    profile selects, as written there; empty means all.
    """

    name: str
    provider: str
    base_url: str
    target: Mapping[str, str]
    identity: tuple[str, ...]
    settings: Settings
    part_of: str | None = None
    aggregate_of: str | None = None
    assets: tuple[str, ...] = ()
    ca: CaSource | None = None
    """The CA certificates for its servers; None for those of the run."""

    @property
    def key(self) -> tuple[str, ...]:
        """A key that is equal for the same account, however its URL is spelled."""
        place = normalize_url(self.base_url)
        return self.provider, *(place if part == self.base_url else part for part in self.identity)


@final
class ExactName(str):
    """The exact name of a requested asset. Other names match in any ASCII case."""

    __slots__ = ()


class DepositAddress(NamedTuple):
    """A deposit address of an asset: network, address and memo, as the provider returns them."""

    network: str
    address: str | None
    memo: str | None


Detail: TypeAlias = Amount | str | bool | tuple[DepositAddress, ...] | None


class Balance(NamedTuple):
    """The balance of one asset in one account, in whole units; None is unknown, never 0.

    `raw` has the original field names and values of the response, as text. `counted` is False if the row
    is not in any total.
    """

    account: str
    provider: str
    asset: str
    asset_id: str | None
    total: Amount | None
    available: Amount | None
    locked: Amount | None
    details: Mapping[str, Detail] = MappingProxyType({})
    raw: Mapping[str, str | None] = MappingProxyType({})
    counted: bool = True

    def is_zero(self) -> bool:
        """Whether every amount of the row, including details and unread fields, is known and 0."""
        amounts: list[Detail] = [self.total, self.available, self.locked]
        amounts += [v for v in self.details.values() if isinstance(v, Amount)]
        return all(isinstance(amount, Amount) and not amount for amount in amounts) and not any(
            is_nonzero(text) for text in self.raw.values()
        )


def by_account(balances: Iterable[Balance]) -> Mapping[str, list[Balance]]:
    """The balances by account name; an empty list for any other name."""
    found: dict[str, list[Balance]] = defaultdict(list)
    for balance in balances:
        found[balance.account].append(balance)
    return found


class Notice(NamedTuple):
    """A warning about the numbers of an account, or of the whole run (None)."""

    code: str
    account: str | None
    message: str


class Holdings(NamedTuple):
    """The holdings of one account, as its provider returned them."""

    balances: tuple[Balance, ...]
    notices: tuple[Notice, ...] = ()
    owner: str | None = None
    """The owner in the response, if two targets can mean the same account."""
    failed: tuple[tuple[str, "Failure"], ...] = ()
    """The kinds of rows that could not be fetched, such as `fiat`, with the reason."""


class Failure(NamedTuple):
    """Why an account, or the whole run, failed."""

    code: str
    message: str
    retryable: bool
    http_status: int | None
    exit_code: int

    @classmethod
    def from_error(cls, error: BalcliError) -> "Failure":
        """The Failure for a BalcliError."""
        return cls(error.code, error.message, error.retryable, error.http_status, error.exit_code)


AccountStatus: TypeAlias = Literal["ok", "failed"]


class Outcome(NamedTuple):
    """The result of one account: its holdings and when they were fetched, or why it failed."""

    account: Account[object]
    holdings: Holdings | None
    fetched_at: datetime | None
    failure: Failure | None

    @classmethod
    def failed(cls, account: Account[object], error: BalcliError) -> "Outcome":
        """The outcome of an account that failed."""
        return cls(account, None, None, Failure.from_error(error))

    @property
    def status(self) -> AccountStatus:
        """The status, as in every format."""
        return "ok" if self.failure is None else "failed"

    @property
    def missing_kind(self) -> str | None:
        """The kind of rows that is missing (`fiat` for `shop/fiat`); None for a whole account."""
        kind = self.account.name.rpartition("/")[2]
        return kind if self.failure is not None and kind in KINDS and kind != self.account.name else None

    @property
    def owner(self) -> str:
        """The account name of its rows: `shop` for `shop/fiat`."""
        kind = self.missing_kind
        return self.account.name if kind is None else self.account.name.removesuffix(f"/{kind}")


class Amounts(NamedTuple):
    """Total, available and locked amounts of one asset, in whole units; None if unknown."""

    total: Amount | None
    available: Amount | None
    locked: Amount | None


class Total(NamedTuple):
    """The total of one asset in the run, known only if it is known for every account.

    `known` is the sum of the known amounts; `missing` names the other accounts.
    """

    asset: str
    amounts: Amounts
    known: Amounts
    missing: tuple[str, ...]


class Report(NamedTuple):
    """The result of a run: the outcome of every account, balances, totals and warnings."""

    generated_at: datetime
    profile: str | None
    outcomes: tuple[Outcome, ...] = ()
    balances: tuple[Balance, ...] = ()
    totals: tuple[Total, ...] = ()
    notices: tuple[Notice, ...] = ()
    failures: tuple[Failure, ...] = ()
    """The failures of the whole run, not of one account."""
    hidden: int = 0
    """The number of hidden rows of zeros."""
    hidden_totals: int = 0
    """The number of hidden totals of 0."""
    left_out: int | None = None
    """The number of rows omitted by --totals-only; None if rows are shown."""

    @property
    def warnings(self) -> tuple[Notice, ...]:
        """All warnings, including those on hidden rows."""
        told = [*self.notices]
        if self.hidden or self.hidden_totals:
            rows = _counted(self.hidden, "row of zeros", "rows of zeros")
            totals = _counted(self.hidden_totals, "total of 0", "totals of 0")
            told.append(Notice("rows.hidden", None, f"{rows if self.hidden else totals} hidden (--nonzero)"))
        if self.left_out:
            rows = _counted(self.left_out, "row", "rows")
            told.append(Notice("rows.left_out", None, f"{rows} left out (--totals-only)"))
        return tuple(told)

    @property
    def complete(self) -> bool:
        """Whether every account of the run answered."""
        return self.exit_code == 0

    @property
    def answered(self) -> bool:
        """Whether at least one account answered and nothing stopped the run."""
        return self.exit_code in {0, 8}

    @property
    def exit_code(self) -> int:
        """0 if complete, 8 if some accounts answered, else the lowest code of the failures."""
        if self.failures:
            return min(failure.exit_code for failure in self.failures)
        codes = [outcome.failure.exit_code for outcome in self.outcomes if outcome.failure is not None]
        return 8 if 0 < len(codes) < len(self.outcomes) else min(codes, default=0)


def _counted(number: int, one: str, more: str) -> str:
    return f"1 {one} is" if number == 1 else f"{number} {more} are"
