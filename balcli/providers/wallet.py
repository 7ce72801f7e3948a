"""The KunaCore custody wallet, API v2.

Source: docs.kunacore.io/docs/get-all-wallet-balances (documented), unless a line says otherwise.
Amounts are decimal strings in whole units of the asset. The vendor publishes no host.
"""

import json
import re
from collections.abc import Mapping
from functools import partial
from typing import Any, Final, Literal, NamedTuple

from balcli.http.client import Endpoint, Request
from balcli.http.strictjson import Json
from balcli.models import Account, Balance, DepositAddress, Detail, Holdings
from balcli.money import Amount
from balcli.providers import OWN
from balcli.providers.base import Coverage, Flag, Key, Run, SettingProblem, Values
from balcli.providers.parsing import (
    HoldingsBuilder,
    NamedPlace,
    Row,
    as_object,
    balance_rows,
    checked_text,
    login_token,
    optional_amount,
    optional_text,
    own_error,
    required_field,
    required_text,
)
from balcli.secret import Secret, reveal
from balcli.text import folded

NAME: Final = "wallet"
TITLE: Final = OWN[NAME]
BASE_URL: Final = None
KEYS: Final = (
    Key("access_token", "secret", "a JWT, sent as Authorization: Bearer (or api_key, or login)"),
    Key("api_key", "secret", "an API key, sent as Api-key"),
    Key("login", "table", "the login request for a JWT: merchant_id (a header) and the body"),
    Key("wallet_id", "text", "the wallet's UUID", option="--wallet-id"),
    Key("assets", "list", "request only these assets"),
    Key(
        "balance_is",
        "text",
        "what the provider's balance means: available (default) or total",
        choices=("available", "total"),
    ),
)
FLAGS: Final = (Flag("addresses", "Show deposit addresses in the table."),)

_BALANCE: Final = Endpoint("POST", "/v2/balance", ("walletId", "assets"))
_LOGIN: Final = Endpoint("POST", "/v2/auth/login")
ENDPOINTS: Final = (_BALANCE, _LOGIN)
COVERAGE: Final = Coverage(
    covers=(
        "the assets of one wallet, each with balance, hold, AML lock and referral",
        "existing deposit addresses",
    ),
    leaves_out=(
        "other wallets of the merchant",
        "funds in settlement: the vendor's page names them, but no field for them",
    ),
    source="https://docs.kunacore.io/docs/get-all-wallet-balances",
)

_AMOUNTS: Final = ("balance", "holdBalance", "lockBalance", "referralBalance")
_FIELDS: Final = frozenset({"asset", *_AMOUNTS, "depositAddress"})


# Error responses are not documented: the recognized ones are inferred.
_explain: Final = partial(own_error, TITLE)


class Settings(NamedTuple):
    """How to authenticate (by headers, or by a login that returns a token), the wallet, and the meaning of its balance."""

    headers: Mapping[str, Secret]
    login: Mapping[str, Any] | None
    wallet_id: str
    balance_is: Literal["available", "total"]


def open_account(name: str, base_url: str, values: Values) -> Account[Settings]:
    """The account of one wallet."""
    given = values.one_of("access_token", "api_key", "login")
    headers: Mapping[str, Secret] = {}
    if given == "access_token":
        headers = _bearer(values.secret("access_token"))
    elif given == "api_key":
        headers = {"Api-key": values.secret("api_key")}
    elif not isinstance(values.table("login").get("merchant_id"), str):
        raise SettingProblem(
            "login.merchant_id", "is required and must be a string, because it is sent as a header; add it"
        )
    wallet_id = values.text("wallet_id")
    if not wallet_id:
        raise SettingProblem("wallet_id", "is missing; add the wallet's UUID")
    bare_uuid = re.sub("^urn:uuid:|[-{}]", "", wallet_id.lower())
    return Account(
        name=name,
        provider=NAME,
        base_url=base_url,
        target={"wallet_id": wallet_id},
        identity=(base_url, bare_uuid if re.fullmatch("[0-9a-f]{32}", bare_uuid) else folded(wallet_id)),
        settings=Settings(
            headers=headers,
            login=values.table("login") if given == "login" else None,
            wallet_id=wallet_id,
            balance_is="total" if values.text("balance_is") == "total" else "available",
        ),
        assets=values.texts("assets"),
    )


def fetch(account: Account[Settings], run: Run) -> Holdings:
    """The wallet's balances. A `login`'s token is fetched once per run, and renewed once if refused."""
    if account.settings.login is None:
        payload = _fetch_balances(account, run, account.settings.headers)
    else:
        import hashlib  # it loads OpenSSL, which --help does not need

        login = json.dumps(account.settings.login, default=reveal, sort_keys=True)
        key = (NAME, account.base_url, hashlib.sha256(login.encode()).hexdigest())
        # A 403 is about the user's rights, which another token would not change.
        payload = run.share(key, partial(_log_in, account, run)).use(
            partial(_fetch_balances, account, run), final_status=403
        )
    return parse(payload, account, run.assets, run.limited(account.name))


def parse(
    payload: Json,
    account: Account[Settings],
    assets: tuple[str, ...] = (),
    limited: tuple[str, ...] = (),
) -> Holdings:
    """The balances in the response of `/v2/balance`, in whole units; null or missing fields are unknown.

    By default `balance` is the available amount, as in the vendor's text (inferred), and the total is
    balance + hold + lock. With `balance_is = "total"`, `balance` is the total. Bad amounts are errors,
    except in rows that `assets`, the profile or the thresholds (`limited`) do not select.
    """
    builder = HoldingsBuilder(account, assets, limited)
    balance_is_total = account.settings.balance_is == "total"
    for where, row in balance_rows(required_field(payload, "data", "the body"), "data", "data"):
        asset = required_text(row, "asset", where)
        builder.listed.append(asset)
        shown = builder.shows(asset)
        amounts = builder.amounts(row, where, asset, _amounts, required=shown and builder.requires(asset))
        if not shown:
            continue
        balance, hold, lock, referral = amounts or (None,) * len(_AMOUNTS)
        locked = None if hold is None or lock is None else hold + lock
        other = None  # the available amount if the balance is the total, else the total
        if balance is not None and locked is not None:
            other = balance - locked if balance_is_total else balance + locked
        details: dict[str, Detail] = {
            "hold": hold,
            "aml_lock": lock,
            "referral": referral,
            "deposit_addresses": builder.optional(row, "depositAddress", where, _deposit_addresses),
        }
        builder.balances.append(
            Balance(
                account=account.name,
                provider=NAME,
                asset=asset,
                asset_id=None,
                total=balance if balance_is_total else other,
                available=other if balance_is_total else balance,
                locked=locked,
                details=details,
                raw=builder.raw(row, asset, _AMOUNTS, _FIELDS),
            )
        )
    return builder.holdings()


def _amounts(row: Row, where: str) -> tuple[Amount | None, ...]:
    """The amounts of a row, in the order of `_AMOUNTS`; None is unknown. Raises BadAmount."""
    return (
        optional_amount(row, "balance", where),
        optional_amount(row, "holdBalance", where),
        optional_amount(row, "lockBalance", where),
        optional_amount(row, "referralBalance", where),
    )


def _deposit_addresses(row: Row, key: str, where: str) -> tuple[DepositAddress, ...]:
    """The existing deposit addresses; empty if the field is null or missing."""
    found = []
    networks = row.get(key)
    for network, item in as_object({} if networks is None else networks, f"{where}.{key}").items():
        place = NamedPlace(f"{where}.{key}", network)
        shown = checked_text(network, where, key)
        entry = as_object(item, place)
        address = optional_text(entry, "address", place)
        found.append(DepositAddress(shown, address, optional_text(entry, "memo", place)))
    return tuple(found)


def _bearer(jwt: Secret) -> Mapping[str, Secret]:
    return {"Authorization": Secret(f"Bearer {reveal(jwt)}", origin=jwt.origin)}


def _fetch_balances(account: Account[Settings], run: Run, headers: Mapping[str, Secret]) -> Json:
    body: dict[str, object] = {"walletId": account.settings.wallet_id}
    # Only the profile's assets: it is unknown whether the provider ignores case, so `--asset` filters the response.
    if account.assets:
        body["assets"] = list(account.assets)
    return run.client.request(
        Request(
            _BALANCE,
            account.base_url,
            _explain,
            headers=headers,
            body=body,
            credentials=account.settings.login,
        )
    )


def _log_in(account: Account[Settings], run: Run) -> Mapping[str, Secret]:
    """The header with the JWT of a new login. A login is never resent: the first may have arrived and counted."""
    login = dict(account.settings.login or {})
    header = str(login.pop("merchant_id"))
    payload = run.client.request(
        Request(
            _LOGIN,
            account.base_url,
            _explain,
            headers={"merchant_id": header},
            body=login,
            repeatable=False,
            returns_credential=True,
        )
    )
    data = as_object(required_field(payload, "data", "the login response"), "data")
    return _bearer(login_token(data, "accessToken", "data"))
