"""The VelaFi merchant account, API v2.

Source: docs.velafi.com/api-reference/merchant/get-crypto-assets-balance (documented), unless a
line says otherwise. Amounts are decimal strings in whole units of the asset.
"""

import time
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, TypeVar

from balcli.errors import BalcliError
from balcli.http.client import Endpoint, Request
from balcli.http.strictjson import Json
from balcli.models import Account, Balance, Failure, Holdings
from balcli.money import Amount
from balcli.providers import OWN
from balcli.providers.base import Coverage, Flag, Key, Run, SettingProblem, Values
from balcli.providers.envelope import own_error
from balcli.providers.merchant_lists import all_rows, merchant_ids, parse_fiat
from balcli.providers.parsing import (
    HoldingsBuilder,
    Row,
    amount,
    as_object,
    login_token,
    optional_flag,
    optional_text,
    required_field,
    required_text,
    rows,
    whole_number,
)
from balcli.providers.selection import names
from balcli.secret import Secret, reveal
from balcli.text import LONGEST_NAME, printable
from balcli.urls import normalize_url

T = TypeVar("T")

NAME: Final = "merchant"
TITLE: Final = OWN[NAME]
BASE_URL: Final = "https://api.velafi.com"
KEYS: Final = (
    Key("api_key", "secret", "the API key that tokens are made with"),
    Key("api_secret", "secret", "the API secret that signs for a token", signs_time=True),
    Key("token", "secret", "the value of X-BH-TOKEN, in place of api_key and api_secret"),
    Key(
        "merchant_id",
        "integer",
        "the merchant; 0, the default, is the aggregate over all merchants",
        option="--merchant-id",
        repeatable=True,
    ),
)
FLAGS: Final = (
    Flag("all-merchants", "List the account's merchants and ask for each.", excludes=("merchant_id",)),
    Flag("fiat", "Show fiat balances, too."),
)

_PAGING: Final = ("pageSize", "currentPage")
_ASSETS: Final = Endpoint("GET", "/v2/assets/account/assets", ("merchantId",))
_TOKEN: Final = Endpoint("GET", "/v2/token/generate")
_MERCHANTS: Final = Endpoint("GET", "/v2/merchants", ("status", *_PAGING))
# Documented next to a POST on the same path that opens an account: only GET is ever on the list.
_FIAT: Final = Endpoint("GET", "/v2/merchant/accounts", _PAGING)
ENDPOINTS: Final = (_ASSETS, _TOKEN, _MERCHANTS, _FIAT)
COVERAGE: Final = Coverage(
    covers=("the crypto assets of one merchant, or of all merchants of the key together",),
    leaves_out=(
        "fiat balances (--fiat asks for them)",
        "merchants of other keys",
        "orders under way and settlements: the vendor's page does not mention them",
    ),
    source="https://docs.velafi.com/api-reference/merchant/get-crypto-assets-balance",
)

_AMOUNTS: Final = ("total", "free", "locked")
_FIELDS: Final = frozenset({"asset", "assetId", "assetName", *_AMOUNTS})

# The vendor's table of error codes, with what to do about each.
_ADVICE: Final = {
    "-4010": "a parameter is invalid; check merchant_id",
    "-4021": "a parameter is not a number; check merchant_id",
    "-5006": "there is no such merchant; check merchant_id",
    "-5007": "the merchant is not valid; ask the provider to look at it",
    "-5033": "the key's owner is not an API user; ask the provider to enable API access",
    "-5043": "the identity check (KYC or KYB) is not finished; finish it with the provider",
    "-5046": "a general error at the provider; try again later",
}


class Settings(NamedTuple):
    """A token, or the API key that generates one with a secret; and the merchant."""

    credential: Secret
    """The token; the API key if there is an `api_secret`."""
    api_secret: Secret | None
    merchant_id: int

    @property
    def signed_with(self) -> tuple[Secret, ...]:
        """The key and secret behind a generated token; none for a fixed one."""
        return () if self.api_secret is None else (self.credential, self.api_secret)


def open_account(name: str, base_url: str, values: Values) -> Account[Settings]:
    """The account of one merchant, or of the aggregate (merchant_id 0)."""
    if "api_secret" in values and "token" in values:
        raise SettingProblem("api_secret", "stands beside token; keep the token, or api_key and api_secret")
    key = "api_key" if "api_secret" in values else values.one_of("token", "api_key")
    settings = Settings(
        credential=values.secret(key),
        api_secret=values.secret("api_secret") if key == "api_key" else None,
        merchant_id=values.integer("merchant_id"),
    )
    if settings.merchant_id < 0:
        raise SettingProblem("merchant_id", "is negative; give the merchant's number, or 0 for all of them")
    return _account(name, base_url, settings)


def _account(name: str, base_url: str, settings: Settings) -> Account[Settings]:
    import hashlib  # hashlib brings OpenSSL with it, which a --help has no use for

    number = settings.merchant_id
    owner = f"{normalize_url(base_url)} {reveal(settings.credential)}"
    same_credentials = hashlib.sha256(owner.encode()).hexdigest()
    return Account(
        name=name,
        provider=NAME,
        base_url=base_url,
        target={"merchant_id": str(number)},
        # A merchant is the same under any key; an aggregate is that of its key.
        identity=(base_url, str(number), same_credentials if number == 0 else ""),
        settings=settings,
        part_of=same_credentials if number != 0 else None,
        aggregate_of=same_credentials if number == 0 else None,
    )


def expand(account: Account[Settings], run: Run) -> Sequence[Account[Settings]]:
    """With `--all-merchants`, an account of each merchant of the key, whatever its state, named `shop/ID`."""
    if "all-merchants" not in run.flags:
        return (account,)
    settings = account.settings
    return [
        _account(f"{account.name}/{number}", account.base_url, settings._replace(merchant_id=int(number)))
        for number in merchant_ids(_fetch_list(account, run, _MERCHANTS, (("status", "-1"),)))
    ]


def fetch(account: Account[Settings], run: Run) -> Holdings:
    """The merchant's crypto balances, and with `--fiat` its fiat ones, which can be missing by themselves."""
    builder = HoldingsBuilder(account, run.assets, run.limited(account.name))
    query = (("merchantId", account.target["merchant_id"]),)
    payload = _with_token(
        account, run, lambda token: run.client.request(_request(account, _ASSETS, query, token))
    )
    _parse_crypto(payload, builder)
    if "fiat" in run.flags:
        # One list serves every merchant of the key.
        key = (NAME, "fiat", account.base_url, account.settings.credential)
        try:
            listed = run.share(key, lambda: _fetch_list(account, run, _FIAT)).get()
            builder.balances += parse_fiat(listed, builder)
        except BalcliError as problem:
            return builder.holdings(failure=("fiat", Failure.from_error(problem)))
    return builder.holdings()


def parse(
    payload: Json,
    account: Account[Settings],
    assets: tuple[str, ...] = (),
    limited: tuple[str, ...] = (),
) -> Holdings:
    """The balances in the response of `/v2/assets/account/assets`, in whole units.

    `free` is the available amount. Nothing documents that total = free + locked: the three are shown as sent, with a
    notice where they do not add up. Amounts are strict except in rows of assets that neither `assets` nor the
    thresholds (`limited`) name.
    """
    builder = HoldingsBuilder(account, assets, limited)
    _parse_crypto(payload, builder)
    return builder.holdings()


def _parse_crypto(payload: Json, builder: HoldingsBuilder) -> None:
    account = builder.account
    data = as_object(required_field(payload, "data", "the answer"), "data")
    can_deposit = builder.optional(data, "canDeposit", "data", optional_flag)
    for where, row in rows(required_field(data, "balances", "data"), "data.balances", "balances"):
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
                f"{printable(asset, LONGEST_NAME)}: the provider's total {total} is not its free {free} + locked {locked}; "
                "shown as sent",
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


def signature(secret: str, timestamp: str) -> str:
    """The signature of a token request: HMAC-SHA256 over `timestamp=<ms>` under the secret, in lower-case hex."""
    import hashlib  # hashlib brings OpenSSL with it, which a --help has no use for
    import hmac

    return hmac.new(secret.encode(), f"timestamp={timestamp}".encode(), hashlib.sha256).hexdigest()


def _fetch_list(
    account: Account[Settings], run: Run, endpoint: Endpoint, query: tuple[tuple[str, str], ...] = ()
) -> list[Row]:
    """All rows of one of the lists of the account's key."""

    def fetch_rows(token: Secret) -> list[Row]:
        def fetch_page(size: int, number: int) -> Json:
            paging = zip(_PAGING, (str(size), str(number)), strict=True)
            return run.client.request(_request(account, endpoint, (*query, *paging), token))

        return all_rows(fetch_page)

    return _with_token(account, run, fetch_rows)


def _request(
    account: Account[Settings], endpoint: Endpoint, query: tuple[tuple[str, str], ...], token: Secret
) -> Request:
    headers, signed_with = {"X-BH-TOKEN": token}, account.settings.signed_with
    return Request(endpoint, account.base_url, _explain, query, headers, credentials=signed_with)


class _Token(NamedTuple):
    """A generated token, and when it expires, in epoch milliseconds; None where that is unknown."""

    secret: Secret
    expires: int | None

    def is_expired(self) -> bool:
        return self.expires is not None and _now_ms() >= self.expires


def _with_token(account: Account[Settings], run: Run, function: Callable[[Secret], T]) -> T:
    """What `function` returns for the account's token; a generated one is renewed once if it expired or was refused."""
    credential, api_secret, _ = account.settings
    if api_secret is None:
        return function(credential)
    key = (NAME, "token", account.base_url, credential)
    shared = run.share(key, lambda: _new_token(account, run, api_secret))
    if (token := shared.get()).is_expired():
        shared.renewed(token)
    return shared.use(lambda token: function(token.secret))


def _new_token(account: Account[Settings], run: Run, api_secret: Secret) -> _Token:
    """A new token for the account's key; it serves every merchant of that key."""
    timestamp = str(_now_ms())
    signed = signature(reveal(api_secret), timestamp)
    payload = run.client.request(
        Request(
            _TOKEN,
            account.base_url,
            _explain,
            query=(("timestamp", timestamp), ("signature", signed)),
            headers={"X-BH-APIKEY": account.settings.credential},
            returns_credential=True,
            credentials=account.settings.signed_with,
        )
    )
    data = as_object(required_field(payload, "data", "the answer"), "data")
    expires = whole_number(data.get("expireTime"))
    # A new token that has expired already means that a clock is wrong: then only its refusal counts.
    is_future = expires is not None and expires > _now_ms()
    return _Token(login_token(data, "token", "data"), expires if is_future else None)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _explain(status: int, payload: Json) -> BalcliError | None:
    """The provider's own error: success is HTTP 200 and an object whose `code` is 200, without another mark."""
    return own_error(TITLE, status, payload, code_is_200=True, advice=_ADVICE)
