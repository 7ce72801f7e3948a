"""The KunaCore custody wallet, API v2.

Source: docs.kunacore.io/docs/get-all-wallet-balances (documented), unless a line says otherwise.
Amounts are decimal strings in whole units of the asset. The vendor names no host.
"""

import json
from collections.abc import Mapping
from typing import Any, Final, Literal, NamedTuple

from balcli.errors import BalcliError, CredentialsRefused, ProviderError
from balcli.http.door import Endpoint, Request, refusal
from balcli.http.exactjson import Json, Number
from balcli.models import Account, Balance, DepositAddress, Detail, Holdings
from balcli.money import Amount
from balcli.providers import OWN, reading
from balcli.providers.base import Flag, Key, Run, SettingProblem, Values
from balcli.providers.reading import as_list, as_object, field, optional_amount, optional_text, token, words
from balcli.providers.selection import selects, unlisted
from balcli.secret import Secret, reveal
from balcli.text import valid_unicode

NAME: Final = "wallet"
TITLE: Final = OWN[NAME]
BASE_URL: Final = None
KEYS: Final = (
    Key("access_token", "secret", "a JWT, sent as Authorization: Bearer; or api_key, or login"),
    Key("api_key", "secret", "an API key, sent as Api-key"),
    Key("login", "table", "merchant_id (a header) and the login's body; a JWT is fetched with it"),
    Key("wallet_id", "text", "the wallet's UUID", option="--wallet-id"),
    Key("assets", "list", "ask for these assets alone"),
    Key(
        "balance_is",
        "text",
        "what the provider's balance means: available (the default) or total",
        choices=("available", "total"),
    ),
)
FLAGS: Final = (Flag("addresses", "Show deposit addresses in the table."),)

_BALANCE: Final = Endpoint("POST", "/v2/balance", ("walletId", "assets"))
_LOGIN: Final = Endpoint("POST", "/v2/auth/login")
ENDPOINTS: Final = (_BALANCE, _LOGIN)


class Settings(NamedTuple):
    """How to authenticate (one of three), which wallet to ask for, and how to read it."""

    access_token: Secret | None
    api_key: Secret | None
    login: Mapping[str, Any] | None
    wallet_id: str
    balance_is: Literal["available", "total"]


def open_account(name: str, base_url: str, values: Values) -> Account[Settings]:
    """The account of one wallet."""
    given = values.one_of("access_token", "api_key", "login")
    login = values.table("login") if given == "login" else None
    if login is not None and not isinstance(login.get("merchant_id"), str):
        raise SettingProblem(
            "login.merchant_id", "is missing, and the login sends it as a header; add it as a text"
        )
    wallet_id = values.text("wallet_id")
    if not wallet_id:
        raise SettingProblem("wallet_id", "is missing; add the wallet's UUID")
    return Account(
        name=name,
        provider=NAME,
        base_url=base_url,
        target={"wallet_id": wallet_id},
        identity=(base_url, wallet_id.lower()),
        settings=Settings(
            access_token=values.secret("access_token") if given == "access_token" else None,
            api_key=values.secret("api_key") if given == "api_key" else None,
            login=login,
            wallet_id=wallet_id,
            balance_is="total" if values.text("balance_is") == "total" else "available",
        ),
        assets=values.texts("assets"),
    )


def fetch(account: Account[Settings], run: Run) -> Holdings:
    """The wallet's balances; with a `login`, its token is fetched once a run and renewed once if refused."""
    settings = account.settings
    if settings.api_key is not None:
        return parse(_ask(account, run, "Api-key", settings.api_key), account, run.assets)
    if settings.access_token is not None:
        return parse(_ask_with_jwt(account, run, settings.access_token), account, run.assets)
    shared = run.share((NAME, account.base_url, _login_key(settings)), lambda: _log_in(account, run))
    jwt = shared.get()
    try:
        payload = _ask_with_jwt(account, run, jwt)
    except CredentialsRefused as refused:
        if refused.http_status != 401:
            raise
        payload = _ask_with_jwt(account, run, shared.renewed(jwt))
    return parse(payload, account, run.assets)


def parse(payload: Json, account: Account[Settings], assets: tuple[str, ...] = ()) -> Holdings:
    """The balances in the answer of `/v2/balance`, in whole units; null or absent fields are unknown.

    By default `balance` is the available part, as the vendor's prose has it (inferred), and the
    total is balance + hold + lock. `balance_is = "total"` reads it the other way.
    """
    settings = account.settings
    balances: list[Balance] = []
    listed: list[str] = []
    rows = as_list(field(as_object(payload, "the answer"), "data", "the answer"), "data")
    for number, item in enumerate(rows):
        where = f"data[{number}]"
        row = as_object(item, where)
        asset = reading.name(row, "asset", where)
        listed.append(asset)
        balance, raw_balance = optional_amount(row, "balance", where)
        hold, raw_hold = optional_amount(row, "holdBalance", where)
        lock, raw_lock = optional_amount(row, "lockBalance", where)
        referral, raw_referral = optional_amount(row, "referralBalance", where)
        addresses = _deposit_addresses(row, where)
        if not selects(assets, asset) or not selects(account.assets, asset):
            continue
        locked = None if hold is None or lock is None else hold + lock
        other = None if balance is None or locked is None else _other_part(settings, balance, locked)
        total, available = (balance, other) if settings.balance_is == "total" else (other, balance)
        details: dict[str, Detail] = {
            "hold": hold,
            "aml_lock": lock,
            "referral": referral,
            "deposit_addresses": addresses,
        }
        balances.append(
            Balance(
                account=account.name,
                provider=NAME,
                asset=asset,
                asset_id=None,
                total=total,
                available=available,
                locked=locked,
                details=details,
                raw={
                    "balance": raw_balance,
                    "holdBalance": raw_hold,
                    "lockBalance": raw_lock,
                    "referralBalance": raw_referral,
                },
            )
        )
    notices = unlisted(account.name, assets or account.assets, balances, listed)
    return Holdings(tuple(balances), tuple(notices))


def _other_part(settings: Settings, balance: Amount, locked: Amount) -> Amount:
    """The available part of a total, or the total of an available part."""
    return balance - locked if settings.balance_is == "total" else balance + locked


def _deposit_addresses(row: dict[str, Json], where: str) -> tuple[DepositAddress, ...]:
    """The addresses that were generated before, by network; none where the field is null or absent."""
    given = row.get("depositAddress")
    if given is None:
        return ()
    networks = as_object(given, f"{where}.depositAddress")
    found = []
    for network, item in networks.items():
        place = f"{where}.depositAddress.{words(network)}"
        entry = as_object(item, place)
        found.append(
            DepositAddress(
                valid_unicode(network),
                optional_text(entry, "address", place),
                optional_text(entry, "memo", place),
            )
        )
    return tuple(found)


def _ask_with_jwt(account: Account[Settings], run: Run, jwt: Secret) -> Json:
    return _ask(account, run, "Authorization", Secret(f"Bearer {reveal(jwt)}"))


def _ask(account: Account[Settings], run: Run, header: str, credential: Secret) -> Json:
    body: dict[str, object] = {"walletId": account.settings.wallet_id}
    assets = _assets_to_send(account, run.assets)
    if assets:
        body["assets"] = assets
    return run.door.ask(
        Request(_BALANCE, account.base_url, headers={header: credential}, body=body, explain=_explain)
    )


def _assets_to_send(account: Account[Settings], assets: tuple[str, ...]) -> list[str]:
    """The filter for the provider: the profile's as it stands, else the user's symbols in upper case.

    The vendor's samples are in upper case throughout. `#id` and labels mean nothing there: then no
    filter is sent, and the answer is filtered here.
    """
    if account.assets:
        return list(account.assets)
    return [asset.upper() for asset in assets] if not any("#" in asset for asset in assets) else []


def _login_key(settings: Settings) -> str:
    """What tells one login from another, without holding it."""
    import hashlib  # hashlib brings OpenSSL with it, which a --help has no use for

    text = json.dumps(settings.login, default=reveal, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _log_in(account: Account[Settings], run: Run) -> Secret:
    """The JWT of a new login. Never sent twice: a login that may have arrived may have counted."""
    login = dict(account.settings.login or {})
    header = str(login.pop("merchant_id"))
    payload = run.door.ask(
        Request(
            _LOGIN,
            account.base_url,
            headers={"merchant_id": header},
            body=login,
            explain=_explain,
            repeatable=False,
            gives_secret=True,
        )
    )
    data = as_object(field(as_object(payload, "the login's answer"), "data", "the login's answer"), "data")
    return token(data, "accessToken", "data")


def _explain(status: int, payload: Json) -> BalcliError | None:
    """The provider's own error. No shape is documented; these are the likely ones (inferred)."""
    if not isinstance(payload, dict):
        return None
    errors, own_status = payload.get("errors"), payload.get("statusCode")
    code, said = "", ""
    if isinstance(errors, list) and errors:
        first = errors[0] if isinstance(errors[0], dict) else {"message": errors[0]}
        code, said = words(first.get("code")), words(first.get("message"))
    elif own_status is not None or status >= 400:
        code, said = words(own_status), words(payload.get("message")) or words(payload.get("error"))
    else:
        return None
    if status in {401, 403} or (status < 400 and code in {"401", "403"}):
        return CredentialsRefused(refusal(TITLE, status, said), http_status=status)
    if status < 400 and isinstance(own_status, Number) and own_status in {"200", "201"}:
        return None
    if not code and not said:
        return (
            None
            if status >= 400
            else ProviderError(
                f"{TITLE} answered with an error; check the account's settings", http_status=status
            )
        )
    return ProviderError(
        f"{TITLE} answered with error {code or status} ({said or 'no message'}); check the account's settings",
        http_status=status,
    )
