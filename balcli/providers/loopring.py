"""The Loopring L2 relayer, REST API v3.

Sources: the vendor's "Get Assets" page (documented), answers that were published (seen) and what
public clients do (code); each line says which. Amounts travel as integers in the token's smallest
unit, up to 29 digits. The public relayer was closed on 2026-06-28; other deployments speak the same.
"""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from balcli.errors import (
    AnswerError,
    BadShape,
    BalcliError,
    CredentialsRefused,
    NetworkError,
    ProviderError,
)
from balcli.http.door import Endpoint, Request
from balcli.http.exactjson import Json, Number
from balcli.models import Account, Balance, Detail, Holdings, Notice
from balcli.money import MAX_DECIMALS, Amount, parse_units
from balcli.providers.base import Flag, Key, Run, SettingProblem, Shared, Values
from balcli.providers.reading import amount, as_list, as_object, field, optional_amount, words
from balcli.providers.selection import absent, selects
from balcli.secret import Secret
from balcli.text import valid_unicode

NAME: Final = "loopring"
TITLE: Final = "Loopring relayer"
BASE_URL: Final = "https://api3.loopring.io"
KEYS: Final = (
    Key("api_key", "secret", "the key, sent as X-API-KEY"),
    Key("account_id", "integer", "the account's number; or address", option="--account-id"),
    Key("address", "text", "the account's 0x… address; or account_id", option="--address"),
    Key("assets", "list", "ask for these assets alone"),
)
FLAGS: Final[tuple[Flag, ...]] = ()

_BALANCES: Final = Endpoint("GET", "/api/v3/user/balances")
_TOKENS: Final = Endpoint("GET", "/api/v3/exchange/tokens")
ENDPOINTS: Final = (_BALANCES, _TOKENS)

_CLOSED: Final = (
    ". Loopring closed its public relayer on 2026-06-28; set base_url if you mean another deployment"
)
_FIRST_NFT_SLOT: Final = 32768  # code: ids from here on are an account's own NFT slots, not tokens
_ID = re.compile(r"0|[1-9][0-9]{0,9}")
_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")

# Error codes (documented) for a key, a signature or an account that was not accepted.
_REFUSED: Final = frozenset({"104001", "104002", "104004", "104005"})
_NO_ACCOUNT_OR_NO_KEY: Final = "101002"  # seen: wrong keys are answered with it, too


@dataclass(frozen=True, slots=True)
class Settings:
    """The key, and the assets that the profile limits the account to."""

    api_key: Secret
    assets: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Token:
    """A token of a deployment: how it is labelled, and how many decimals its whole unit has."""

    label: str
    symbol: str
    decimals: int


def open_account(name: str, base_url: str, values: Values) -> Account[Settings]:
    """The account with that number or address."""
    api_key = values.secret("api_key")
    target = {}
    if values.one_of("account_id", "address") == "account_id":
        number = values.integer("account_id")
        if number < 0:
            raise SettingProblem("account_id", "is negative; give the account's number")
        target["account_id"] = str(number)
    else:
        address = values.text("address")
        if _ADDRESS.fullmatch(address) is None:
            raise SettingProblem("address", "is no address; give 0x and 40 hexadecimal digits")
        target["address"] = address
    return Account(
        name=name,
        provider=NAME,
        base_url=base_url,
        target=target,
        identity=(base_url, *(value.lower() for value in target.values())),
        settings=Settings(api_key, values.texts("assets")),
    )


def fetch(account: Account[Settings], run: Run) -> Holdings:
    """The account's balances; the deployment's token table is asked for once a run, at the same time."""
    table = run.share((NAME, account.base_url, "tokens"), lambda: _token_table(account.base_url, run))
    assets = (*account.settings.assets, *run.assets)
    try:
        if not assets:
            table.begin()
        payload = run.door.ask(_balances_request(account, table, assets))
        return parse(payload, table.get(), account, run.assets)
    except (NetworkError, AnswerError) as problem:
        if account.base_url != BASE_URL:
            raise
        raise type(problem)(f"{problem.message}{_CLOSED}", http_status=problem.http_status) from None


def _balances_request(
    account: Account[Settings], table: Shared[Mapping[int, Token | None]], assets: tuple[str, ...]
) -> Request:
    ((kind, value),) = account.target.items()
    query = [("accountId" if kind == "account_id" else "address", value)]
    if assets:
        ids = [
            str(number)
            for number in sorted(table.get())
            if _selected(assets, number, table.get().get(number))
        ]
        # Without a known id there is nothing to ask for; an empty filter would mean all.
        query += [("tokens", ",".join(ids))] if ids else []
    return Request(
        _BALANCES,
        account.base_url,
        query=tuple(query),
        headers={"X-API-KEY": account.settings.api_key},
        explain=_explain,
    )


def _token_table(base_url: str, run: Run) -> Mapping[int, Token | None]:
    return parse_tokens(run.door.ask(Request(_TOKENS, base_url, explain=_explain)))


def _selected(assets: tuple[str, ...], token_id: int, token: Token | None) -> bool:
    names = (token.symbol, token.label) if token else ()
    return selects(assets, f"#{token_id}", *names)


def parse_tokens(payload: Json) -> Mapping[int, Token | None]:
    """The tokens of a deployment by id; None where the entry says nothing usable about its unit.

    `decimals` is the unit (documented); `precision` is for display and is not read. Symbols are
    not unique: one that stands twice is labelled with its id. Raises BadShape.
    """
    entries: dict[int, tuple[str, int] | None] = {}
    for number, item in enumerate(as_list(payload, "the token table")):
        where = f"tokens[{number}]"
        row = as_object(item, where)
        token_id = _id(row, where)
        symbol, decimals = row.get("symbol"), row.get("decimals")
        usable = (
            isinstance(symbol, str)
            and not isinstance(symbol, Number)
            and symbol != ""
            and isinstance(decimals, Number)
            and _ID.fullmatch(decimals) is not None
            and int(decimals) <= MAX_DECIMALS
        )
        entry = (valid_unicode(str(symbol)), int(str(decimals))) if usable else None
        # Two entries of one id that differ leave its unit open.
        entries[token_id] = entry if entries.get(token_id, entry) == entry else None
    symbols = Counter(entry[0] for entry in entries.values() if entry is not None)
    return {
        token_id: entry
        and Token(
            label=f"{entry[0]}#{token_id}" if symbols[entry[0]] > 1 else entry[0],
            symbol=entry[0],
            decimals=entry[1],
        )
        for token_id, entry in entries.items()
    }


def parse(
    payload: Json,
    tokens: Mapping[int, Token | None],
    account: Account[Settings],
    assets: tuple[str, ...] = (),
) -> Holdings:
    """The balances in the answer of `/api/v3/user/balances`, in whole units.

    available = total − locked, as the vendor's own front end has it (code). Pending amounts stand
    apart: whether they are inside `locked` is open. A token that the table does not know keeps its
    row, in raw units, its amounts unknown.
    """
    balances: list[Balance] = []
    notices: list[Notice] = []
    for number, item in enumerate(as_list(payload, "the answer")):
        where = f"balances[{number}]"
        row = as_object(item, where)
        _check_owner(row, account, where)
        token_id = _id(row, where)
        token = tokens.get(token_id)
        nft = token_id >= _FIRST_NFT_SLOT
        if nft:
            token = Token(label=f"nft:{token_id}", symbol=f"nft:{token_id}", decimals=0)
        balance = _balance(row, where, account, token_id, token, nft=nft)
        if not _selected(assets, token_id, token) or not _selected(account.settings.assets, token_id, token):
            continue
        if token is None:
            notices.append(
                Notice(
                    "asset.unknown",
                    account.name,
                    f"token #{token_id} is not in the relayer's token table: its amounts are unknown, its raw units kept",
                )
            )
        balances.append(balance)
    notices += [
        absent(account.name, asset)
        for asset in assets or account.settings.assets
        if not any(_selected((asset,), token_id, token) for token_id, token in tokens.items())
    ]
    return Holdings(tuple(balances), tuple(notices))


def _balance(
    row: dict[str, Json],
    where: str,
    account: Account[Settings],
    token_id: int,
    token: Token | None,
    *,
    nft: bool,
) -> Balance:
    """One row as a balance; every amount in it is checked, also where the token's unit is unknown."""

    def whole(text: str) -> Amount:
        return parse_units(text, token.decimals if token else 0)

    total, raw_total = amount(row, "total", where, whole)
    locked, raw_locked = amount(row, "locked", where, whole)
    pending = row.get("pending")
    waiting = {} if pending is None else as_object(pending, f"{where}.pending")
    withdraw, _ = optional_amount(waiting, "withdraw", f"{where}.pending", whole)
    deposit, _ = optional_amount(waiting, "deposit", f"{where}.pending", whole)
    details: dict[str, Detail] = {
        "pending_withdraw": withdraw if token else None,
        "pending_deposit": deposit if token else None,
    }
    if nft:
        details["kind"] = "nft"
    return Balance(
        account=account.name,
        provider=NAME,
        asset=token.label if token else f"#{token_id}",
        asset_id=str(token_id),
        total=total if token else None,
        available=total - locked if token else None,
        locked=locked if token else None,
        details=details,
        raw={"total": raw_total, "locked": raw_locked},
        counted=token is not None and not nft,
    )


def _id(row: dict[str, Json], where: str) -> int:
    """The `tokenId`: a number in every published answer; a text of digits is accepted, too."""
    value = field(row, "tokenId", where)
    if not isinstance(value, str) or _ID.fullmatch(value) is None:
        raise BadShape(f"the provider's answer is not as documented: {where}.tokenId is no token's number")
    return int(value)


def _check_owner(row: dict[str, Json], account: Account[Settings], where: str) -> None:
    """Refuse a row of another account. Rows may leave `accountId` out (code)."""
    owner, asked = row.get("accountId"), account.target.get("account_id")
    if owner is not None and asked is not None and (not isinstance(owner, str) or owner != asked):
        raise BadShape(f"the provider's answer cannot be trusted: {where} belongs to another account")


def _explain(status: int, payload: Json) -> BalcliError | None:
    """The relayer's own error: `resultInfo` with a code other than 0, the same at the top, or a validation map."""
    if not isinstance(payload, dict):
        return None
    info = payload.get("resultInfo")
    source = info if isinstance(info, dict) else payload
    code = source.get("code")
    said = words(source.get("message")) or words(source.get("msg"))
    if not isinstance(code, str) or code == "0":
        reasons = _validation_failures(payload) if 400 <= status < 500 and status not in {401, 403} else ""
        return (
            ProviderError(f"{TITLE} refused the request ({reasons})", http_status=status) if reasons else None
        )
    shown = words(code)
    if code == _NO_ACCOUNT_OR_NO_KEY:
        return CredentialsRefused(
            f"{TITLE} answered 101002 ({said or 'no message'}): account not found, or the key was not accepted; "
            "check account_id or address, then api_key",
            http_status=status,
        )
    if code in _REFUSED or status in {401, 403}:
        return CredentialsRefused(
            f"{TITLE} refused the key with error {shown} ({said or 'no message'}); check api_key",
            http_status=status,
        )
    return ProviderError(
        f"{TITLE} answered with error {shown} ({said or 'no message'}); check the account's settings",
        http_status=status,
    )


def _validation_failures(payload: dict[str, Json]) -> str:
    """The words of a validation map, `{"field": ["Must satisfy …"]}` (seen), "" where there are none."""
    said = [(words(key), words(value)) for key, value in list(payload.items())[:3]]
    return "; ".join(f"{key}: {value}" for key, value in said if value)
