"""The Loopring L2 relayer, REST API v3.

Sources: the vendor's "Get Assets" page (documented), answers that were published (seen) and what
public clients do (code); each line says which. Amounts travel as integers in the token's smallest
unit, up to 29 digits. The public relayer was closed on 2026-06-28; other deployments speak the same.
"""

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

from balcli.errors import (
    AnswerError,
    BadShape,
    BalcliError,
    CredentialsRefused,
    NetworkError,
    ProviderError,
    ServerUnavailable,
)
from balcli.http.door import Endpoint, Request
from balcli.http.error_text import error_text
from balcli.http.exactjson import Json
from balcli.models import Account, Balance, Detail, Holdings, Notice
from balcli.money import Amount, parse_units
from balcli.providers import OWN
from balcli.providers.base import Coverage, Flag, Key, Run, SettingProblem, Shared, Values
from balcli.providers.envelope import is_error
from balcli.providers.loopring_tokens import (
    FIRST_NFT_SLOT,
    ID,
    NFT,
    Token,
    TokenTable,
    kept_table,
    new_table,
    row_id,
)
from balcli.providers.parsing import (
    Remarks,
    amount,
    as_list,
    as_object,
    field,
    optional_amount,
    raw_texts,
    text,
    undocumented,
    words,
)
from balcli.providers.selection import absent, names_of, selects
from balcli.secret import Secret
from balcli.text import LONGEST_NAME, printable

NAME: Final = "loopring"
TITLE: Final = OWN[NAME]
BASE_URL: Final = "https://api3.loopring.io"
BASE_URL_NOTE: Final = (
    "Loopring closed its public relayer on 2026-06-28; set base_url if you mean another deployment"
)
KEYS: Final = (
    Key("api_key", "secret", "the key, sent as X-API-KEY"),
    Key("account_id", "integer", "the account's number; or address", option="--account-id"),
    Key("address", "text", "the account's 0x… address; or account_id", option="--address"),
    Key("assets", "list", "ask for these assets alone"),
)
FLAGS: Final = (Flag("nfts", "Show NFT holdings, too; they are in no total."),)

_BALANCES: Final = Endpoint("GET", "/api/v3/user/balances", ("accountId", "address", "tokens"))
_TOKENS: Final = Endpoint("GET", "/api/v3/exchange/tokens")
_NFTS: Final = Endpoint("GET", "/api/v3/user/nft/balances", ("accountId", "address", "offset", "limit"))
ENDPOINTS: Final = (_BALANCES, _TOKENS, _NFTS)
COVERAGE: Final = Coverage(
    covers=(
        "the fungible tokens of one account at one deployment, LP tokens of pools among them",
        "what of each is locked or pending",
    ),
    leaves_out=(
        "NFTs (--nfts asks for them)",
        "balances of the address on L1, on other chains and at other deployments",
    ),
    source="https://docs.loopring.io/en/dex_apis/getUserBalances.html",
)

_AMOUNTS: Final = ("total", "locked")
_FIELDS: Final = frozenset({"accountId", "tokenId", *_AMOUNTS, "pending.withdraw", "pending.deposit"})

_PER_SECOND: Final = 5  # documented; beyond it come 429s, and possibly a suspended account
_NFT_PAGE: Final = 50  # documented as the most
_MOST_NFTS: Final = 100_000

_BY_ID = re.compile(f"(?:#|{NFT})({ID.pattern})", re.ASCII | re.IGNORECASE)
_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")

# Error codes (documented) for a key, a signature or an account that was not accepted.
_REFUSED: Final = frozenset({"104001", "104002", "104004", "104005"})
_NO_ACCOUNT_OR_NO_KEY: Final = "101002"  # seen: wrong keys are answered with it, too
_RELAYERS_TROUBLE: Final = frozenset({"100000", "104208"})  # documented: unknown error, and the relayer's own


class Settings(NamedTuple):
    """What authenticates the account."""

    api_key: Secret


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
        settings=Settings(api_key),
        assets=values.texts("assets"),
    )


def fetch(account: Account[Settings], run: Run) -> Holdings:
    """The account's balances, and its NFTs where they are asked for.

    The deployment's token table is kept for a day, and asked for at the same time as the balances
    where it is not at hand, or anew when it does not know a token. A kept one makes no filter: a
    token that was listed since could be missing in it.
    """
    base_url = account.base_url
    shared = run.share((NAME, base_url, "tokens"), lambda: _table(base_url, run))
    assets = (*account.assets, *run.assets)
    try:
        if not assets:
            shared.begin()
        payload = run.door.ask(_balances_request(account, shared, assets))
        table = shared.get()
        if table.from_cache and not (table.knows(payload) and not _unlisted(assets, table.tokens)):
            table = run.share((NAME, base_url, "fresh tokens"), lambda: _new_table(base_url, run)).get()
        holdings = parse(payload, table.tokens, account, run.assets, run.limited(account.name))
        if "nfts" not in run.flags:
            return holdings
        remarks = Remarks(account.name)
        nfts, owner = _fetch_nfts(account, run, remarks, holdings.owner)
    except (NetworkError, AnswerError) as problem:
        if base_url != BASE_URL:
            raise
        raise type(problem)(f"{problem.message}. {BASE_URL_NOTE}", http_status=problem.http_status) from None
    # A slot that both answers list alike is one row.
    slots = {balance.asset_id: balance for balance in holdings.balances if "kind" in balance.details}
    others = (nft for nft in nfts if slots.get(nft.asset_id) != nft)
    chosen = (nft for nft in others if selects(run.assets, *names_of(nft)))
    return Holdings((*holdings.balances, *chosen), (*holdings.notices, *remarks.notices), owner)


def _balances_request(
    account: Account[Settings], table: Shared[TokenTable], assets: tuple[str, ...]
) -> Request:
    query = list(_owner(account))
    if assets and not table.get().from_cache:
        tokens = table.get().tokens
        named = {int(found[1]) for found in map(_BY_ID.fullmatch, assets) if found}
        ids = [str(number) for number in sorted(tokens) if selects(assets, *tokens[number].names(number))]
        # Without a known id there is nothing to ask for; an empty filter would mean all. What the table does not list
        # is found in the whole answer.
        query += [("tokens", ",".join(ids))] if ids and named <= tokens.keys() else []
    return _request(account, _BALANCES, tuple(query))


def _owner(account: Account[Settings]) -> tuple[tuple[str, str], ...]:
    names = {"account_id": "accountId", "address": "address"}
    return tuple((names[kind], value) for kind, value in account.target.items())


def _request(account: Account[Settings], endpoint: Endpoint, query: tuple[tuple[str, str], ...]) -> Request:
    return Request(
        endpoint,
        account.base_url,
        _explain,
        query=query,
        headers={"X-API-KEY": account.settings.api_key},
        per_second=_PER_SECOND,
    )


def _fetch_nfts(
    account: Account[Settings], run: Run, remarks: Remarks, owner: str | None
) -> tuple[list[Balance], str | None]:
    """All NFTs of the account, page by page, and whose they are, which is the owner's if one is known.

    Raises BadShape for a list that ends before its `totalNum`.
    """
    found: list[Balance] = []
    while True:
        page = (("offset", str(len(found))), ("limit", str(_NFT_PAGE)))
        payload = run.door.ask(_request(account, _NFTS, (*_owner(account), *page)))
        rows, announced, owner = parse_nfts(payload, account, remarks, run.assets, owner)
        # Also where a relayer that does not page gives the same rows again.
        is_over = not rows or rows == found[-len(rows) :]
        found += () if is_over else rows
        if len(found) >= announced:
            return found, owner
        if is_over or len(found) > _MOST_NFTS:
            raise BadShape(
                f"{TITLE} announced {announced} NFTs and listed {len(found)}: the list is not complete; try again"
            )


def parse_nfts(
    payload: Json,
    account: Account[Settings],
    remarks: Remarks,
    assets: tuple[str, ...] = (),
    owner: str | None = None,
) -> tuple[list[Balance], int, str | None]:
    """One page of the answer of `/api/v3/user/nft/balances`, how many NFTs there are in all, and whose they are.

    An NFT's amount is a count. It has no unit in common with anything, and is in no total.
    """
    answer = as_object(payload, "the answer")
    announced = field(answer, "totalNum", "the answer")
    if not isinstance(announced, str) or ID.fullmatch(announced) is None:
        raise undocumented("totalNum, of the NFTs, is no count")
    balances = []
    owners = _owners(account, owner)
    for number, item in enumerate(as_list(field(answer, "data", "the answer"), "data")):
        where = f"data[{number}]"
        row = as_object(item, where)
        owners |= _owner_of(row, where)
        if len(owners) > 1:
            raise _anothers(where)
        token_id = row_id(row, where)
        slot = _nft_slot(token_id)
        shown = selects(assets, *slot.names(token_id))
        balances.append(
            _balance(row, where, account, token_id, slot, remarks, nft=True, shown=shown, asked=shown)
        )
    return balances, int(announced), next(iter(owners), None)


def _owners(account: Account[Settings], owner: str | None = None) -> set[str]:
    """Whose the rows of an answer must be, in a set: the account's number, or the owner that is known."""
    known = account.target.get("account_id", owner)
    return set() if known is None else {known}


def _anothers(where: str) -> BadShape:
    return BadShape(
        f"the provider's answer cannot be trusted: {where} belongs to another account; check account_id or address"
    )


def _nft_slot(token_id: int) -> Token:
    """An NFT slot in the place of a token: it is counted in pieces."""
    return Token(label=f"{NFT}{token_id}", symbol=None, decimals=0)


def _table(base_url: str, run: Run) -> TokenTable:
    """The deployment's table: the kept one, if there is one that is sound, else the relayer's."""
    return kept_table(base_url, run.cache) or _new_table(base_url, run)


def _new_table(base_url: str, run: Run) -> TokenTable:
    payload = run.door.ask(Request(_TOKENS, base_url, _explain, per_second=_PER_SECOND))
    return new_table(base_url, run.cache, payload)


def _unlisted(assets: tuple[str, ...], tokens: Mapping[int, Token]) -> list[str]:
    """Those of the assets that are none of the table's tokens."""
    if not assets:
        return []
    names = [name for number, token in tokens.items() for name in token.names(number)]
    return [asset for asset in assets if not selects((asset,), *names)]


def parse(
    payload: Json,
    tokens: Mapping[int, Token],
    account: Account[Settings],
    assets: tuple[str, ...] = (),
    limited: tuple[str, ...] = (),
) -> Holdings:
    """The balances in the answer of `/api/v3/user/balances`, in whole units.

    available = total − locked, as the vendor's own front end has it (code). Pending amounts stand
    apart: whether they are inside `locked` is open. A token whose unit the table does not say keeps
    its row, in raw units, its amounts unknown. Amounts are strict but in rows of known tokens that
    neither `assets`, the profile nor the limits (`limited`) ask for.
    """
    balances: list[Balance] = []
    remarks = Remarks(account.name)
    owners = _owners(account)
    for number, item in enumerate(as_list(payload, "the answer")):
        where = f"balances[{number}]"
        row = as_object(item, where)
        owners |= _owner_of(row, where)
        if len(owners) > 1:
            raise _anothers(where)
        token_id = row_id(row, where)
        token = tokens.get(token_id)
        nft = token is None and token_id >= FIRST_NFT_SLOT
        if nft:
            token = _nft_slot(token_id)
        if token is not None and token.symbol is not None:
            text(token.symbol, f"the symbol of token #{token_id}")
        names = (f"#{token_id}",) if token is None else token.names(token_id)
        shown = selects(assets, *names) and selects(account.assets, *names)
        asked = token is None or (shown and selects(limited, *names))
        balance = _balance(row, where, account, token_id, token, remarks, nft=nft, shown=shown, asked=asked)
        if not shown:
            continue
        if token is None or token.decimals is None:
            remarks.notices.append(_without_unit(account, token_id, token))
        balances.append(balance)
    wanted = assets or account.assets
    there = [name for balance in balances for name in names_of(balance)]
    remarks.notices += [
        absent(account.name, asset, wanted, (t.symbol for t in tokens.values() if t.symbol is not None))
        for asset in _unlisted(wanted, tokens)
        if not selects((asset,), *there)
    ]
    return Holdings(tuple(balances), tuple(remarks.notices), next(iter(owners), None))


def _without_unit(account: Account[Settings], token_id: int, token: Token | None) -> Notice:
    """That a token's amounts are unknown, and whether that is because the table does not list it."""
    if token is None:
        why = f"token #{token_id} is not in the relayer's token table"
    elif token.symbol is None:
        why = f"token #{token_id} is listed in the relayer's token table without a usable symbol"
    else:
        symbol = printable(token.symbol, LONGEST_NAME)
        why = f"token #{token_id} ({symbol}) is listed in the relayer's token table without a usable unit"
    return Notice("asset.unknown", account.name, f"{why}: its amounts are unknown, its raw units kept")


def _balance(
    row: dict[str, Json],
    where: str,
    account: Account[Settings],
    token_id: int,
    token: Token | None,
    remarks: Remarks,
    *,
    nft: bool,
    shown: bool,
    asked: bool,
) -> Balance:
    """One row as a balance; every amount in it is checked, also where the token's unit is unknown."""
    decimals = None if token is None else token.decimals
    known = decimals is not None

    def whole(sent: str) -> Amount:
        return parse_units(sent, decimals or 0)

    def read(row: dict[str, Json], where: str) -> tuple[Amount, Amount, Amount | None, Amount | None]:
        pending = row.get("pending")
        waiting = {} if pending is None else as_object(pending, f"{where}.pending")
        return (
            amount(row, "total", where, whole)[0],
            amount(row, "locked", where, whole)[0],
            optional_amount(waiting, "withdraw", f"{where}.pending", whole)[0],
            optional_amount(waiting, "deposit", f"{where}.pending", whole)[0],
        )

    asset = token.label if token else f"#{token_id}"
    amounts = remarks.amounts(asset, row, where, read, asked=asked)
    total, locked, withdraw, deposit = amounts if amounts and known else (None, None, None, None)
    unread = remarks.unread(row, _FIELDS, asset) if shown else {}
    details: dict[str, Detail] = {"pending_withdraw": withdraw, "pending_deposit": deposit}
    if nft:
        details["kind"] = "nft"
    return Balance(
        account=account.name,
        provider=NAME,
        asset=asset,
        asset_id=str(token_id),
        total=total,
        available=None if total is None or locked is None else total - locked,
        locked=locked,
        details=details,
        raw={**raw_texts(row, _AMOUNTS), **unread},
        counted=known and not nft,
    )


def _owner_of(row: dict[str, Json], where: str) -> set[str]:
    """The `accountId` of a row, alone in a set; rows may leave it out (code)."""
    owner = row.get("accountId")
    if owner is not None and (not isinstance(owner, str) or ID.fullmatch(owner) is None):
        raise undocumented(f"{where}.accountId is no account's number")
    return set() if owner is None else {str(owner)}


def _explain(status: int, payload: Json) -> BalcliError | None:
    """The relayer's own error: `resultInfo` with a code other than 0, the same at the top, or a validation map."""
    if not isinstance(payload, dict):
        return None
    info = payload.get("resultInfo")
    source = info if isinstance(info, dict) else payload
    code = source.get("code")
    said = words(source.get("message")) or words(source.get("msg"))
    if not isinstance(code, str) or code == "0":
        return _error_without_code(status, payload)
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
    if code in _RELAYERS_TROUBLE:
        return ServerUnavailable(
            f"{TITLE} is in trouble: error {shown} ({said or 'no message'}); try later, and ask the provider if it stays so",
            http_status=status,
        )
    return ProviderError(
        f"{TITLE} answered with error {shown} ({said or 'no message'}); check the account's settings",
        http_status=status,
    )


def _error_without_code(status: int, payload: dict[str, Json]) -> ProviderError | None:
    """The error beside the rows of a page, or in a validation map, `{"field": ["Must satisfy …"]}` (seen)."""
    said = ""
    if status < 400:
        said = (error_text(payload) or "no message") if is_error(payload) else ""
    elif status < 500 and status not in {401, 403}:
        told = [(words(key), words(value)) for key, value in list(payload.items())[:3]]
        said = error_text(payload) or "; ".join(f"{key}: {value}" for key, value in told if value)
    about = f"{TITLE} refused the request ({said}); check the account's settings"
    return ProviderError(about, http_status=status) if said else None
