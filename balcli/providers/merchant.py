"""The VelaFi merchant account, API v2.

Source: docs.velafi.com/api-reference/merchant/get-crypto-assets-balance (documented), unless a
line says otherwise. Amounts are decimal strings in whole units of the asset.
"""

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Final, NamedTuple

from balcli.errors import BalcliError
from balcli.http.strictjson import Json
from balcli.models import Account, Balance, Failure, Holdings
from balcli.money import Amount
from balcli.providers import OWN
from balcli.providers.base import Coverage, Flag, Key, Run, SettingProblem, Values
from balcli.providers.merchant_requests import ASSETS, FIAT, MERCHANTS, TOKEN, Session
from balcli.providers.parsing import (
    HoldingsBuilder,
    Row,
    amount,
    as_object,
    bad_shape,
    balance_rows,
    optional_flag,
    optional_text,
    required_field,
    required_text,
    whole_number,
)
from balcli.providers.selection import names
from balcli.secret import Secret, reveal
from balcli.text import LONGEST_NAME, printable
from balcli.urls import normalize_url

NAME: Final = "merchant"
TITLE: Final = OWN[NAME]
BASE_URL: Final = "https://api.velafi.com"
KEYS: Final = (
    Key("api_key", "secret", "the API key that requests tokens"),
    Key("api_secret", "secret", "the API secret that signs token requests", signs_time=True),
    Key("token", "secret", "a fixed token, sent as X-BH-TOKEN (instead of api_key and api_secret)"),
    Key(
        "merchant_id",
        "integer",
        "the merchant; 0 (default) is the aggregate of all merchants",
        option="--merchant-id",
        repeatable=True,
    ),
)
FLAGS: Final = (
    Flag("all-merchants", "Show each merchant of the account.", excludes=("merchant_id",)),
    Flag("fiat", "Also show fiat balances."),
)

ENDPOINTS: Final = (ASSETS, TOKEN, MERCHANTS, FIAT)
COVERAGE: Final = Coverage(
    covers=("the crypto assets of one merchant, or of all merchants of the key together",),
    leaves_out=(
        "fiat balances (use --fiat)",
        "merchants of other keys",
        "open orders and settlements: the vendor's page does not mention them",
    ),
    source="https://docs.velafi.com/api-reference/merchant/get-crypto-assets-balance",
)

_AMOUNTS: Final = ("total", "free", "locked")
_FIELDS: Final = frozenset({"asset", "assetId", "assetName", *_AMOUNTS})
# Trading limits and volumes, not balances (documented).
_TURNOVER: Final = frozenset({"buyAmountLimit", "buyAmountUsed", "sellAmountLimit", "sellAmountUsed"})
_FIAT_FIELDS: Final = frozenset({"merchantId", "fiat", "balance", *_TURNOVER})


class Settings(NamedTuple):
    """A token, or an API key and secret that generate one; and the merchant."""

    credential: Secret
    """The token; the API key if there is an `api_secret`."""
    api_secret: Secret | None
    merchant_id: int


def open_account(name: str, base_url: str, values: Values) -> Account[Settings]:
    """The account of one merchant, or of the aggregate (merchant_id 0)."""
    if "api_secret" in values and "token" in values:
        raise SettingProblem(
            "api_secret", "cannot be combined with token; keep token, or api_key and api_secret"
        )
    key = "api_key" if "api_secret" in values else values.one_of("token", "api_key")
    settings = Settings(
        credential=values.secret(key),
        api_secret=values.secret("api_secret") if key == "api_key" else None,
        merchant_id=values.integer("merchant_id"),
    )
    if settings.merchant_id < 0:
        raise SettingProblem("merchant_id", "must not be negative; use the merchant's number, or 0 for all")
    return _account(name, base_url, settings)


def _account(name: str, base_url: str, settings: Settings) -> Account[Settings]:
    import hashlib  # it loads OpenSSL, which --help does not need

    number = settings.merchant_id
    owner = f"{normalize_url(base_url)} {reveal(settings.credential)}"
    same_credentials = hashlib.sha256(owner.encode()).hexdigest()
    return Account(
        name=name,
        provider=NAME,
        base_url=base_url,
        target={"merchant_id": str(number)},
        # A merchant is the same for any key; an aggregate depends on its key.
        identity=(base_url, str(number), same_credentials if number == 0 else ""),
        settings=settings,
        part_of=same_credentials if number != 0 else None,
        aggregate_of=same_credentials if number == 0 else None,
    )


def expand(account: Account[Settings], run: Run) -> Sequence[Account[Settings]]:
    """With `--all-merchants`, an account for each merchant of the key in any state, named `shop/ID`."""
    if "all-merchants" not in run.flags:
        return (account,)
    settings = account.settings
    return [
        _account(f"{account.name}/{number}", account.base_url, settings._replace(merchant_id=int(number)))
        for number in _merchant_ids(_session(account, run).get_all(MERCHANTS, (("status", "-1"),)))
    ]


def fetch(account: Account[Settings], run: Run) -> Holdings:
    """The merchant's crypto balances, and with `--fiat` its fiat balances, which can fail separately."""
    builder = HoldingsBuilder(account, run.assets, run.limited(account.name))
    session = _session(account, run)
    _parse_crypto(session.get(ASSETS, (("merchantId", account.target["merchant_id"]),)), builder)
    if "fiat" in run.flags:
        # One list serves every merchant of the key.
        key = (NAME, "fiat", account.base_url, account.settings.credential)
        try:
            listed = run.share(key, partial(session.get_all, FIAT)).get()
            builder.balances += _parse_fiat(listed, builder)
        except BalcliError as problem:
            return builder.holdings(failure=("fiat", Failure.from_error(problem)))
    return builder.holdings()


def _session(account: Account[Settings], run: Run) -> Session:
    return Session(run, account.base_url, account.settings.credential, account.settings.api_secret)


def parse(
    payload: Json,
    account: Account[Settings],
    assets: tuple[str, ...] = (),
    limited: tuple[str, ...] = (),
) -> Holdings:
    """The balances in the response of `/v2/assets/account/assets`, in whole units.

    `free` is the available amount. total = free + locked is not documented: all three are shown as sent, with a
    notice if they do not add up. Bad amounts are errors, except in rows that `assets` or the thresholds (`limited`)
    do not select.
    """
    builder = HoldingsBuilder(account, assets, limited)
    _parse_crypto(payload, builder)
    return builder.holdings()


def _parse_crypto(payload: Json, builder: HoldingsBuilder) -> None:
    account = builder.account
    data = as_object(required_field(payload, "data", "the body"), "data")
    can_deposit = builder.optional(data, "canDeposit", "data", optional_flag)
    for where, row in balance_rows(required_field(data, "balances", "data"), "data.balances", "balances"):
        asset = required_text(row, "asset", where)
        builder.listed.append(asset)
        asset_id = optional_text(row, "assetId", where)
        of_row = names(asset, asset_id)
        shown = builder.shows(*of_row)
        required = shown and builder.requires(*of_row)
        amounts = builder.amounts(row, where, asset, _amounts, required=required)
        if not shown:
            continue
        total, free, locked = amounts or (None, None, None)
        if total is not None and free is not None and locked is not None and total != free + locked:
            builder.notify(
                "amount.mismatch",
                f"{printable(asset, LONGEST_NAME)}: the provider's total {total} is not free {free} + locked {locked}; "
                "amounts are shown as sent",
            )
        builder.balances.append(
            Balance(
                account=account.name,
                provider=NAME,
                asset=asset,
                asset_id=asset_id,
                total=total,
                available=free,
                locked=locked,
                raw=builder.raw(row, asset, _AMOUNTS, _FIELDS),
                details={
                    "asset_name": builder.optional(row, "assetName", where, optional_text),
                    "can_deposit": can_deposit,
                    "merchant_id": account.target["merchant_id"],
                },
            )
        )


def _amounts(row: Row, where: str) -> tuple[Amount, Amount, Amount]:
    return amount(row, "total", where), amount(row, "free", where), amount(row, "locked", where)


def _merchant_ids(merchants: Iterable[Row]) -> list[str]:
    """The merchant numbers in the rows of `/v2/merchants`, without 0, the aggregate."""
    ids = dict.fromkeys(_merchant_id(row, f"merchants[{number}]") for number, row in enumerate(merchants))
    return [single for single in ids if single != "0"]


def _parse_fiat(accounts: Iterable[Row], builder: HoldingsBuilder) -> list[Balance]:
    """The fiat balances of a merchant (all, for the aggregate) in the rows of `/v2/merchant/accounts`.

    The balance is the only amount. How much of it is available is not documented, and unknown.
    """
    account = builder.account
    balances = []
    for number, row in enumerate(accounts):
        where = f"accounts[{number}]"
        owner = _merchant_id(row, where)
        fiat = required_text(row, "fiat", where)
        builder.listed.append(fiat)
        shown = builder.shows(fiat)
        balance = builder.amounts(row, where, fiat, _fiat_amount, required=shown)
        if balance is None or not shown or account.target["merchant_id"] not in {"0", owner}:
            continue
        balances.append(
            Balance(
                account=account.name,
                provider=account.provider,
                asset=fiat,
                asset_id=None,
                total=balance,
                available=None,
                locked=None,
                details={"kind": "fiat", "merchant_id": owner},
                raw=builder.raw(row, fiat, ("balance",), _FIAT_FIELDS),
            )
        )
    return balances


def _fiat_amount(row: Row, where: str) -> Amount:
    return amount(row, "balance", where)


def _merchant_id(row: Row, where: str) -> str:
    """The `merchantId` of a row: a number (documented). A string of digits is also accepted."""
    number = whole_number(row.get("merchantId"))
    if number is None:
        raise bad_shape(f"{where}.merchantId is not a number")
    return str(number)
