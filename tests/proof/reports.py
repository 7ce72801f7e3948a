"""Random reports, like those of the three providers, with amounts and names of every kind."""

import random
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from balcli.models import Account, Balance, DepositAddress, Detail, Failure, Holdings, Notice, Outcome, Report
from balcli.money import Amount
from balcli.report import arranged, build, without_zeros
from balcli.settings import Order
from tests.proof import naughty

_NOON: Final = datetime(2026, 11, 21, 12, tzinfo=UTC)


def amount(rng: random.Random) -> Amount:
    """An amount of any length that the contract allows, including zeros and negative ones."""
    kind = rng.random()
    if kind < 0.15:
        return Amount(0, rng.choice((0, 18)))
    if kind < 0.2:
        return Amount(rng.randrange(-(10**80), 10**80), rng.randrange(118))
    places = rng.choice((0, 2, 6, 8, 18))
    units = rng.randrange(10 ** rng.choice((1, 3, 9, 18, 29)) * 10**places)
    return Amount(-units if rng.random() < 0.1 else units, places)


def maybe(rng: random.Random) -> Amount | None:
    """An amount, sometimes unknown."""
    return None if rng.random() < 0.08 else amount(rng)


def asset(rng: random.Random) -> str:
    """An asset's name: one of a few, so that accounts share them, or a difficult one."""
    return (
        rng.choice(("ETH", "USDT", "BTC", "SNX#24", "\u4eba\u6c11\u5e01"))
        if rng.random() < 0.5
        else some_name(rng)
    )


def some_name(rng: random.Random) -> str:
    """A difficult, non-empty name as after parsing: mostly without unpaired surrogates."""
    made = naughty.name(rng) or "x"
    return made if rng.random() < 0.1 else re.sub("[\ud800-\udfff]", "\ufffd", made)


def addresses(rng: random.Random) -> tuple[DepositAddress, ...]:
    """Deposit addresses, some with difficult names."""
    found = []
    for _ in range(rng.choice((0, 0, 1, 2))):
        where = rng.choice((f"0x{rng.randrange(16**40):040x}", "EQ-" + "9x-y" * 20, None, some_name(rng)))
        memo = rng.choice((None, str(rng.randrange(10**9, 10**30)), some_name(rng)))
        found.append(DepositAddress(rng.choice(("TRON", "ERC20", some_name(rng))), where, memo))
    return tuple(found)


def loopring_row(rng: random.Random, name: str) -> Balance:
    """A row of a relayer: a known or unknown token or an NFT, with pending amounts."""
    details: dict[str, Detail] = {"pending_withdraw": maybe(rng), "pending_deposit": maybe(rng)}
    kind = rng.random()
    if kind < 0.15:
        raw = {part: str(rng.randrange(10 ** rng.choice((1, 18, 29, 79)))) for part in ("total", "locked")}
        number = str(rng.randrange(300))
        return Balance(
            name, "loopring", f"#{number}", number, None, None, None,
            {"pending_withdraw": None, "pending_deposit": None}, raw, counted=False,
        )  # fmt: skip
    counted = kind > 0.25
    row = (asset(rng), None, maybe(rng), maybe(rng), maybe(rng), details)
    return Balance(name, "loopring", *row, raw={"total": "1", "locked": "0"}, counted=counted)


def wallet_row(rng: random.Random, name: str) -> Balance:
    """A row of a wallet, with holds and deposit addresses."""
    details: dict[str, Detail] = {part: maybe(rng) for part in ("hold", "aml_lock", "referral")}
    details["deposit_addresses"] = addresses(rng)
    row = (asset(rng), None, maybe(rng), maybe(rng), maybe(rng), details)
    return Balance(name, "wallet", *row)


def merchant_row(rng: random.Random, name: str) -> Balance:
    """A row of a merchant: crypto, or fiat with only a total."""
    if rng.random() < 0.2:
        return Balance(
            name, "merchant", "EUR", None, amount(rng), None, None, {"kind": "fiat", "merchant_id": "7"}
        )
    details: dict[str, Detail] = {"asset_name": some_name(rng), "can_deposit": True, "merchant_id": "7"}
    return Balance(name, "merchant", asset(rng), "1", amount(rng), amount(rng), amount(rng), details)


ROWS: Final[dict[str, Callable[[random.Random, str], Balance]]] = {
    "loopring": loopring_row,
    "wallet": wallet_row,
    "merchant": merchant_row,
}


def outcome(rng: random.Random, number: int) -> Outcome:
    """The outcome of an account: rows, no rows, or a failure with a random message."""
    provider = rng.choice(list(ROWS))
    name = rng.choice((provider, "treasury", "\u6771\u4eac", f"shop/{number}", f"x{naughty.name(rng)}"))
    name = f"{name}{number}" if number else name
    target = {"merchant_id": rng.choice(("7", str(rng.randrange(10**9)), some_name(rng)))}
    who: Account[object] = Account(name, provider, "https://host.example", target, (name,), None)
    if rng.random() < 0.2:
        reason = rng.choice(("no address for the host", "HTTP 401; check the token", some_name(rng)))
        failure = Failure("network.dns", reason, retryable=True, http_status=None, exit_code=5)
        return Outcome(who, None, None, failure)
    rows = [ROWS[provider](rng, name) for _ in range(rng.choice((0, 1, 2, 3, 5, 8)))]
    mismatch = Notice(
        "amount.mismatch", name, f"{some_name(rng)}: the total {amount(rng)} is not {amount(rng)}"
    )
    return Outcome(who, Holdings(tuple(rows), (mismatch,) * (rng.random() < 0.1)), _NOON, None)


def report(rng: random.Random) -> Report:
    """The report of one to four accounts, sometimes without zeros, sorted, or with totals only."""
    outcomes = [outcome(rng, number) for number in range(rng.choice((1, 2, 3, 4)))]
    notices = [Notice("env.ignored", None, some_name(rng)) for _ in range(rng.choice((0, 0, 1)))]
    made = build("main", outcomes, notices)
    made = without_zeros(made) if rng.random() < 0.2 else made
    order: Order | None = rng.choice((None, None, None, "asset", "account", "total"))
    return arranged(made, order, totals_only=rng.random() < 0.1)
