"""The VelaFi merchant account, API v2.

Source: docs.velafi.com/api-reference/merchant/get-crypto-assets-balance (documented), unless a
line says otherwise. Amounts are decimal strings in whole units of the asset.
"""

import hashlib
import hmac
import time
from dataclasses import dataclass
from typing import Final

from balcli.errors import BadShape, BalcliError, CredentialsRefused, ProviderError
from balcli.http.door import Endpoint, Request, refusal
from balcli.http.exactjson import Json, Number
from balcli.models import Account, Balance, Holdings, Notice
from balcli.providers import reading
from balcli.providers.base import Flag, Key, Run, SettingProblem, Values
from balcli.providers.reading import (
    amount,
    as_list,
    as_object,
    field,
    optional_flag,
    optional_text,
    token,
    words,
)
from balcli.providers.selection import selects, unlisted
from balcli.secret import Secret, reveal

NAME: Final = "merchant"
TITLE: Final = "VelaFi merchant API"
BASE_URL: Final = "https://api.velafi.com"
KEYS: Final = (
    Key("token", "secret", "the value of X-BH-TOKEN; or api_key and api_secret, which make one"),
    Key("api_key", "secret", "the API key that tokens are made with"),
    Key("api_secret", "secret", "the API secret that signs for a token"),
    Key(
        "merchant_id",
        "integer",
        "the merchant; 0, the default, is the aggregate over all merchants",
        option="--merchant-id",
        repeatable=True,
    ),
)
FLAGS: Final[tuple[Flag, ...]] = ()

_ASSETS: Final = Endpoint("GET", "/v2/assets/account/assets")
_TOKEN: Final = Endpoint("GET", "/v2/token/generate")
ENDPOINTS: Final = (_ASSETS, _TOKEN)

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


@dataclass(frozen=True, slots=True)
class Settings:
    """A ready token, or the key and secret that one is made with; and the merchant."""

    token: Secret | None
    api_key: Secret | None
    api_secret: Secret | None
    merchant_id: int


def open_account(name: str, base_url: str, values: Values) -> Account[Settings]:
    """The account of one merchant, or of the aggregate (merchant_id 0)."""
    given = values.one_of("token", "api_key") if "api_secret" not in values else "api_key"
    if given == "token":
        settings = Settings(values.secret("token"), None, None, values.integer("merchant_id"))
        credential = values.secret("token")
    else:
        if "token" in values:
            raise SettingProblem(
                "api_secret", "stands beside token; keep the token, or api_key and api_secret"
            )
        credential = values.secret("api_key")
        settings = Settings(None, credential, values.secret("api_secret"), values.integer("merchant_id"))
    merchant_id = settings.merchant_id
    if merchant_id < 0:
        raise SettingProblem("merchant_id", "is negative; give the merchant's number, or 0 for all of them")
    same_credentials = hashlib.sha256(f"{base_url} {reveal(credential)}".encode()).hexdigest()
    return Account(
        name=name,
        provider=NAME,
        base_url=base_url,
        target={"merchant_id": str(merchant_id)},
        # A merchant is the same under any key; an aggregate is that of its key.
        identity=(base_url, str(merchant_id), same_credentials if merchant_id == 0 else ""),
        settings=settings,
        part_of=same_credentials if merchant_id != 0 else None,
        aggregate_of=same_credentials if merchant_id == 0 else None,
    )


def fetch(account: Account[Settings], run: Run) -> Holdings:
    """The merchant's crypto balances, with a token that is renewed once if it is refused."""
    settings = account.settings
    if settings.token is not None:
        return parse(_ask(account, run, settings.token), account, run.assets)
    key, secret = settings.api_key, settings.api_secret
    shared = run.share((NAME, account.base_url, key, secret), lambda: _new_token(account, run))
    current = shared.get()
    try:
        payload = _ask(account, run, current)
    except CredentialsRefused:
        payload = _ask(account, run, shared.renewed(current))
    return parse(payload, account, run.assets)


def parse(payload: Json, account: Account[Settings], assets: tuple[str, ...] = ()) -> Holdings:
    """The balances in the answer of `/v2/assets/account/assets`, in whole units.

    `free` is the available amount. Whether total = free + locked holds is promised nowhere: the
    three are shown as sent, with a notice where they do not add up.
    """
    data = as_object(field(as_object(payload, "the answer"), "data", "the answer"), "data")
    can_deposit = optional_flag(data, "canDeposit", "data")
    balances: list[Balance] = []
    notices: list[Notice] = []
    for number, item in enumerate(as_list(field(data, "balances", "data"), "data.balances")):
        where = f"balances[{number}]"
        row = as_object(item, where)
        asset = reading.name(row, "asset", where)
        asset_id = optional_text(row, "assetId", where)
        total, raw_total = amount(row, "total", where)
        free, raw_free = amount(row, "free", where)
        locked, raw_locked = amount(row, "locked", where)
        if not selects(assets, asset, f"#{asset_id}"):
            continue
        if total != free + locked:
            notices.append(
                Notice(
                    "amount.mismatch",
                    account.name,
                    f"{asset}: the provider's total {total} is not its free {free} + locked {locked}; shown as sent",
                )
            )
        balances.append(
            Balance(
                account=account.name,
                provider=NAME,
                asset=asset,
                asset_id=asset_id,
                total=total,
                available=free,
                locked=locked,
                details={
                    "asset_name": optional_text(row, "assetName", where),
                    "can_deposit": can_deposit,
                    "merchant_id": account.target["merchant_id"],
                },
                raw={"total": raw_total, "free": raw_free, "locked": raw_locked},
            )
        )
    return Holdings(tuple(balances), (*notices, *unlisted(account.name, assets, balances)))


def signature(secret: str, timestamp: str) -> str:
    """The signature of a token request: HMAC-SHA256 over `timestamp=<ms>` under the secret, in lower-case hex."""
    return hmac.new(secret.encode(), f"timestamp={timestamp}".encode(), hashlib.sha256).hexdigest()


def _ask(account: Account[Settings], run: Run, bh_token: Secret) -> Json:
    return run.door.ask(
        Request(
            _ASSETS,
            account.base_url,
            query=(("merchantId", account.target["merchant_id"]),),
            headers={"X-BH-TOKEN": bh_token},
            explain=_explain,
        )
    )


def _new_token(account: Account[Settings], run: Run) -> Secret:
    """A fresh token for the account's key; it serves every merchant of that key."""
    settings = account.settings
    if settings.api_key is None or settings.api_secret is None:
        raise RuntimeError("a token is made only where there is a key and a secret")
    timestamp = str(time.time_ns() // 1_000_000)
    payload = run.door.ask(
        Request(
            _TOKEN,
            account.base_url,
            query=(
                ("timestamp", timestamp),
                ("signature", signature(reveal(settings.api_secret), timestamp)),
            ),
            headers={"X-BH-APIKEY": settings.api_key},
            explain=_explain,
        )
    )
    data = as_object(field(as_object(payload, "the answer"), "data", "the answer"), "data")
    return token(data, "token", "data")


def _explain(status: int, payload: Json) -> BalcliError | None:
    """The provider's own error: success is HTTP 200 and an object with the number 200 as its `code`."""
    if status in {401, 403}:
        said = words(payload.get("msg")) if isinstance(payload, dict) else ""
        return CredentialsRefused(refusal(TITLE, status, said), http_status=status)
    code = payload.get("code") if isinstance(payload, dict) else None
    if isinstance(code, Number) and code == "200":
        return None
    if not isinstance(payload, dict) or not isinstance(code, str):
        # Of a refusal, the status says enough; of a success, nothing vouches for the numbers.
        return BadShape(f"{TITLE} answered without its code", http_status=status) if status == 200 else None
    shown = words(code)
    advice = _ADVICE.get(str(code), "the provider's documentation may say more")
    return ProviderError(
        f"{TITLE} answered with error {shown} ({words(payload.get('msg')) or 'no message'}): {advice}",
        http_status=status,
    )
