"""The Loopring L2 relayer, REST API v3.

Sources, named in each line: the vendor's "Get Assets" page (documented), published responses (seen)
and public clients (code). Amounts are integers in the token's smallest unit, up to 29 digits. The
public relayer closed on 2026-06-28; other deployments use the same API.
"""

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

from balcli.errors import (
    AnswerError,
    BalcliError,
    CredentialsRefused,
    NetworkError,
    ProviderError,
    ServerUnavailable,
)
from balcli.http.client import Endpoint, Request
from balcli.http.strictjson import Json, error_text, message_text
from balcli.models import Account, Holdings
from balcli.providers import OWN
from balcli.providers.base import Coverage, Flag, Key, Run, RunOnce, SettingProblem, Values
from balcli.providers.loopring_rows import add_nfts, checked_owner, to_balance
from balcli.providers.loopring_tokens import (
    ID,
    NFT,
    Token,
    TokenTable,
    cached_table,
    new_table,
    not_in_table,
    token_id,
    token_of,
    unknown_unit,
)
from balcli.providers.parsing import HoldingsBuilder, balance_rows, is_error, valid_text
from balcli.providers.selection import absent, names_of, selects
from balcli.secret import Secret

NAME: Final = "loopring"
TITLE: Final = OWN[NAME]
BASE_URL: Final = "https://api3.loopring.io"
BASE_URL_NOTE: Final = (
    "Loopring closed its public relayer on 2026-06-28; set base_url to use another deployment"
)
KEYS: Final = (
    Key("api_key", "secret", "the API key, sent as X-API-KEY"),
    Key("account_id", "integer", "the account number (or use --address)", option="--account-id"),
    Key("address", "text", "the 0x… address (or use --account-id)", option="--address"),
    Key("assets", "list", "request only these assets"),
)
FLAGS: Final = (Flag("nfts", "Also show NFTs (not included in totals)."),)

_BALANCES: Final = Endpoint("GET", "/api/v3/user/balances", ("accountId", "address", "tokens"))
_TOKENS: Final = Endpoint("GET", "/api/v3/exchange/tokens")
_NFTS: Final = Endpoint("GET", "/api/v3/user/nft/balances", ("accountId", "address", "offset", "limit"))
ENDPOINTS: Final = (_BALANCES, _TOKENS, _NFTS)
COVERAGE: Final = Coverage(
    covers=(
        "the fungible tokens of one account at one deployment, including LP tokens",
        "the locked and pending amount of each",
    ),
    leaves_out=(
        "NFTs (use --nfts)",
        "balances of the address on L1, on other chains and at other deployments",
    ),
    source="https://docs.loopring.io/en/dex_apis/getUserBalances.html",
)

_PER_SECOND: Final = 5  # documented; more get a 429, and the account may be suspended
_BY_ID = f"(?:#|{NFT})({ID.pattern})"

# Error codes for a refused key, signature or account (documented).
_REFUSED: Final = frozenset({"104001", "104002", "104004", "104005"})
_WRONG_ACCOUNT_OR_KEY: Final = "101002"  # documented for accounts; seen for wrong keys
_RELAYER_ERRORS: Final = frozenset({"100000", "104208"})  # documented: unknown error, relayer error


class Settings(NamedTuple):
    """The credentials of an account."""

    api_key: Secret


def open_account(name: str, base_url: str, values: Values) -> Account[Settings]:
    """The account with that number or address."""
    api_key = values.secret("api_key")
    target = {}
    if values.one_of("account_id", "address") == "account_id":
        number = values.integer("account_id")
        if number < 0:
            raise SettingProblem("account_id", "must not be negative; use the account's number")
        target["account_id"] = str(number)
    else:
        address = values.text("address")
        if re.fullmatch("0x[0-9a-fA-F]{40}", address) is None:
            raise SettingProblem("address", "is not an address; use 0x and 40 hexadecimal digits")
        target["address"] = address
    return Account(
        name=name,
        provider=NAME,
        base_url=base_url,
        target=target,
        identity=(base_url, *(value.lower() for value in target.values())),
        settings=Settings(api_key),
        assets=values.texts("assets"),
    )


def fetch(account: Account[Settings], run: Run) -> Holdings:
    """The account's balances, and with `--nfts` its NFTs."""
    try:
        holdings = _fetch_balances(account, run)
        return _with_nfts(holdings, account, run) if "nfts" in run.flags else holdings
    except (NetworkError, AnswerError) as problem:
        if account.base_url != BASE_URL:
            raise
        raise type(problem)(f"{problem.message}. {BASE_URL_NOTE}", http_status=problem.http_status) from None


def _fetch_balances(account: Account[Settings], run: Run) -> Holdings:
    """The balances, in the units of the deployment's token table, which is cached for a day.

    A table that is not cached is requested at the same time as the balances. A cached table that lacks a token is
    requested again. It is not used to filter the request, because it may lack new tokens.
    """
    base_url = account.base_url
    shared = run.share(
        (NAME, base_url, "tokens"), lambda: cached_table(base_url, run.use_cache) or _new_table(base_url, run)
    )
    assets = (*account.assets, *run.assets)
    if not assets:
        shared.begin()
    query = (*_owner(account), *_token_filter(shared, assets))
    payload = run.client.request(_request(account, _BALANCES, query))
    table = shared.get()
    if table.from_cache and not (table.knows(payload) and not not_in_table(assets, table.tokens)):
        table = run.share((NAME, base_url, "fresh tokens"), lambda: _new_table(base_url, run)).get()
    return parse(payload, table.tokens, account, run.assets, run.limited(account.name))


def _with_nfts(holdings: Holdings, account: Account[Settings], run: Run) -> Holdings:
    nfts = HoldingsBuilder(account, run.assets)

    def fetch_page(offset: int, limit: int) -> Json:
        query = (*_owner(account), ("offset", str(offset)), ("limit", str(limit)))
        return run.client.request(_request(account, _NFTS, query))

    owner = add_nfts(fetch_page, nfts, account.target.get("account_id", holdings.owner))
    # A slot that is equal in both responses is one row.
    slots = {balance.asset_id: balance for balance in holdings.balances if "kind" in balance.details}
    others = (nft for nft in nfts.balances if slots.get(nft.asset_id) != nft)
    chosen = (nft for nft in others if selects(run.assets, *names_of(nft)))
    return Holdings((*holdings.balances, *chosen), (*holdings.notices, *nfts.notices), owner)


def parse(
    payload: Json,
    tokens: Mapping[int, Token],
    account: Account[Settings],
    assets: tuple[str, ...] = (),
    limited: tuple[str, ...] = (),
) -> Holdings:
    """The balances in the response of `/api/v3/user/balances`, in whole units.

    The amounts of a token without a unit in the table are unknown, and its row has only raw units. Bad amounts are
    errors, except in rows of known tokens that `assets`, the profile or the thresholds (`limited`) do not select.
    """
    builder = HoldingsBuilder(account, assets, limited)
    owner = account.target.get("account_id")
    for where, row in balance_rows(payload, "the body", "balances"):
        owner = checked_owner(row, where, owner)
        token = token_of(token_id(row, where), tokens)
        if token.symbol is not None:
            valid_text(token.symbol, f"the symbol of token #{token.number}")
        names = token.names
        shown = builder.shows(*names)
        required = token.kind == "unlisted" or (shown and builder.requires(*names))
        balance = to_balance(row, where, token, builder, shown=shown, required=required)
        if shown:
            builder.balances.append(balance)
            if token.decimals is None:
                builder.notify("asset.unknown", unknown_unit(token))
    wanted = assets or account.assets
    if wanted:
        listed = [name for balance in builder.balances for name in names_of(balance)]
        symbols = [token.symbol for token in tokens.values() if token.symbol is not None]
        builder.notices += [
            absent(account.name, asset, wanted, symbols)
            for asset in not_in_table(wanted, tokens)
            if not selects((asset,), *listed)
        ]
    return Holdings(tuple(builder.balances), tuple(builder.notices), owner)


def _new_table(base_url: str, run: Run) -> TokenTable:
    payload = run.client.request(Request(_TOKENS, base_url, _explain, per_second=_PER_SECOND))
    return new_table(base_url, run.use_cache, payload)


def _owner(account: Account[Settings]) -> tuple[tuple[str, str], ...]:
    names = {"account_id": "accountId", "address": "address"}
    return tuple((names[kind], value) for kind, value in account.target.items())


def _token_filter(table: RunOnce[TokenTable], assets: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """The parameter with the assets' ids; none unless every id is known. An empty one would select all tokens."""
    if not assets or table.get().from_cache:
        return ()
    tokens = table.get().tokens
    named = [re.fullmatch(_BY_ID, asset, re.ASCII | re.IGNORECASE) for asset in assets]
    numbers = {int(found[1]) for found in named if found}
    ids = [str(number) for number in sorted(tokens) if selects(assets, *tokens[number].names)]
    # An id that the table does not list may be in the full response.
    return (("tokens", ",".join(ids)),) if ids and numbers <= tokens.keys() else ()


def _request(account: Account[Settings], endpoint: Endpoint, query: tuple[tuple[str, str], ...]) -> Request:
    headers = {"X-API-KEY": account.settings.api_key}
    return Request(endpoint, account.base_url, _explain, query, headers, per_second=_PER_SECOND)


def _explain(status: int, payload: Json) -> BalcliError | None:
    """The relayer's error: a code other than 0 in `resultInfo` or at the top level, or a validation map."""
    if not isinstance(payload, dict):
        return None
    info = payload.get("resultInfo")
    source = info if isinstance(info, dict) else payload
    code = source.get("code")
    said = message_text(source.get("message")) or message_text(source.get("msg")) or "no message"
    if not isinstance(code, str) or code == "0":
        return _error_without_code(status, payload)
    shown = message_text(code)
    if code == _WRONG_ACCOUNT_OR_KEY:
        return CredentialsRefused(
            f"{TITLE} returned error 101002 ({said}): the account_id or address does not exist, or the API key is wrong",
            http_status=status,
        )
    if code in _REFUSED or status in {401, 403}:
        return CredentialsRefused(
            f"{TITLE} refused the API key with error {shown} ({said})", http_status=status
        )
    if code in _RELAYER_ERRORS:
        return ServerUnavailable(
            f"{TITLE} is unavailable (error {shown}: {said}); try again later, or ask the provider",
            http_status=status,
        )
    return ProviderError(
        f"{TITLE} returned error {shown} ({said}); check the account's settings",
        http_status=status,
    )


def _error_without_code(status: int, payload: dict[str, Json]) -> ProviderError | None:
    """The error in a page of rows, or in a validation map: `{"field": ["Must satisfy …"]}` (seen)."""
    said = ""
    if status < 400:
        said = (error_text(payload) or "no message") if is_error(payload) else ""
    elif status < 500 and status not in {401, 403}:
        fields = [(message_text(key), message_text(value)) for key, value in list(payload.items())[:3]]
        said = error_text(payload) or "; ".join(f"{key}: {value}" for key, value in fields if value)
    about = f"{TITLE} refused the request ({said}); check the account's settings"
    return ProviderError(about, http_status=status) if said else None
