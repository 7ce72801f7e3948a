"""The values that travel the line: Account, Balance, Failure, Outcome, Total, Report. No I/O."""

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
"""The kinds of rows that are asked for by themselves, and can be missing where the account answered."""

AMOUNT_FIELDS = ("total", "available", "locked")
"""The three amounts of a balance and of a total, in the order in which they are shown."""


class CaSource(NamedTuple):
    """The certificates of authorities that servers are verified with."""

    kind: Literal["file", "folder", "system", "built-in"] = "built-in"
    path: Path | None = None
    named_by: str = ""
    """What names it: a variable, or the `ca_bundle` of an account or the profile; empty for the built-in ones."""

    @property
    def described(self) -> str:
        """The source for people."""
        place = f"the {self.kind} certificates" if self.path is None else shown(self.path)
        return f"{place} ({self.named_by})" if self.named_by else place


class Account(NamedTuple, Generic[Settings]):
    """One account at one provider, ready to be asked for.

    `target` is what identifies it there, as text. Two accounts with one `key`, which is
    made of `identity`, are the same account. An account with `aggregate_of` sums up those that are `part_of` the same. `assets`
    are those that its profile limits it to, as written there; empty means all.
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
    """The certificates that its servers are verified with; None for those of the run."""

    @property
    def key(self) -> tuple[str, ...]:
        """What two accounts share that are the same account, however the place of each is spelled."""
        place = normalize_url(self.base_url)
        return self.provider, *(place if part == self.base_url else part for part in self.identity)


@final
class ExactName(str):
    """The name of an asset that was asked for, and matches its own spelling only; any other matches every ASCII case."""

    __slots__ = ()


class DepositAddress(NamedTuple):
    """Where an asset can be sent to: the network's name, the address and its memo, as the provider gives them."""

    network: str
    address: str | None
    memo: str | None


Detail: TypeAlias = Amount | str | bool | tuple[DepositAddress, ...] | None


class Balance(NamedTuple):
    """What one account holds of one asset, in whole units; None is unknown, never 0.

    `raw` has the wire's own field names and the very text that was sent. `counted` is False for
    what is in no total.
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
        """Whether every amount of the row, those of its details and of fields that are not read included, is known and 0."""
        amounts: list[Detail] = [self.total, self.available, self.locked]
        amounts += [v for v in self.details.values() if isinstance(v, Amount)]
        return all(isinstance(amount, Amount) and not amount for amount in amounts) and not any(
            is_nonzero(text) for text in self.raw.values()
        )


def by_account(balances: Iterable[Balance]) -> Mapping[str, list[Balance]]:
    """The balances of each account, by its name; an empty list for any other."""
    found: dict[str, list[Balance]] = defaultdict(list)
    for balance in balances:
        found[balance.account].append(balance)
    return found


class Notice(NamedTuple):
    """A warning about the numbers; `account` is None where it is about the whole run."""

    code: str
    account: str | None
    message: str


class Holdings(NamedTuple):
    """The answer of one account's provider."""

    balances: tuple[Balance, ...]
    notices: tuple[Notice, ...] = ()
    owner: str | None = None
    """The owner that the answer names, where two targets can mean one account."""
    failed: tuple[tuple[str, "Failure"], ...] = ()
    """The kinds of rows that could not be fetched, such as `fiat`, each with the reason."""


class Failure(NamedTuple):
    """Why an account, or the whole run, has no answer."""

    code: str
    message: str
    retryable: bool
    http_status: int | None
    exit_code: int

    @classmethod
    def from_error(cls, error: BalcliError) -> "Failure":
        """The failure that a BalcliError makes."""
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
        """The outcome of an account that ended with an error."""
        return cls(account, None, None, Failure.from_error(error))

    @property
    def status(self) -> AccountStatus:
        """The status as every format writes it."""
        return "ok" if self.failure is None else "failed"

    @property
    def missing_kind(self) -> str | None:
        """The kind of rows that alone is missing (`fiat` of `shop/fiat`); None for a whole account."""
        kind = self.account.name.rpartition("/")[2]
        return kind if self.failure is not None and kind in KINDS and kind != self.account.name else None

    @property
    def owner(self) -> str:
        """The name of the account that its rows are listed under: `shop` of `shop/fiat`."""
        kind = self.missing_kind
        return self.account.name if kind is None else self.account.name.removesuffix(f"/{kind}")


class Amounts(NamedTuple):
    """Total, available and locked amounts of one asset, in whole units; None is unknown."""

    total: Amount | None
    available: Amount | None
    locked: Amount | None


class Total(NamedTuple):
    """The sum of one asset over the run: a number only where every account's part is known.

    `known` is the sum of what is known all the same; `missing` names the accounts that lack.
    """

    asset: str
    amounts: Amounts
    known: Amounts
    missing: tuple[str, ...]


class Report(NamedTuple):
    """A whole run: the outcome of every account, the balances, the totals and the warnings."""

    generated_at: datetime
    profile: str | None
    outcomes: tuple[Outcome, ...] = ()
    balances: tuple[Balance, ...] = ()
    totals: tuple[Total, ...] = ()
    notices: tuple[Notice, ...] = ()
    failures: tuple[Failure, ...] = ()
    """What stopped the whole run, before or beside any account."""
    hidden: int = 0
    """How many rows of zeros were left out on request."""
    hidden_totals: int = 0
    """How many totals of 0 were left out with them."""
    left_out: int | None = None
    """How many rows were left out because totals alone were asked for; None where rows are shown."""

    @property
    def warnings(self) -> tuple[Notice, ...]:
        """All that a reader of the numbers should know, what was left out on request included."""
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
        """0 complete, 8 if some accounts answered, else the lowest of what went wrong."""
        if self.failures:
            return min(failure.exit_code for failure in self.failures)
        codes = [outcome.failure.exit_code for outcome in self.outcomes if outcome.failure is not None]
        return 8 if 0 < len(codes) < len(self.outcomes) else min(codes, default=0)


def _counted(number: int, one: str, more: str) -> str:
    return f"1 {one} is" if number == 1 else f"{number} {more} are"
