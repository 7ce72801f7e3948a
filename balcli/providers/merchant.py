"""The VelaFi merchant account, API v2.

Source: docs.velafi.com/api-reference/merchant/get-crypto-assets-balance (documented), unless a
line says otherwise. Amounts are decimal strings in whole units of the asset.
"""

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from balcli.errors import BalcliError, CredentialsRefused
from balcli.http.door import Endpoint, Request
from balcli.http.exactjson import Json
from balcli.models import Account, Balance, Failure, Holdings, Notice
from balcli.money import Amount
from balcli.providers import OWN, parsing
from balcli.providers.base import Coverage, Flag, Key, Run, SettingProblem, Values
from balcli.providers.envelope import own_error
from balcli.providers.parsing import (
    Remarks,
    amount,
    as_list,
    as_object,
    field,
    optional_flag,
    optional_text,
    raw_texts,
    token,
    undocumented,
    whole,
)
from balcli.providers.selection import names, selects, unlisted
from balcli.secret import Secret, reveal
from balcli.text import LONGEST_NAME, printable
from balcli.urls import same_place

if TYPE_CHECKING:
    from balcli.providers.merchant_lists import Row

T = TypeVar("T")

NAME: Final = "merchant"
TITLE: Final = OWN[NAME]
BASE_URL: Final = "https://api.velafi.com"
KEYS: Final = (
    Key("token", "secret", "the value of X-BH-TOKEN; or api_key and api_secret, which make one"),
    Key("api_key", "secret", "the API key that tokens are made with"),
    Key("api_secret", "secret", "the API secret that signs for a token", signs_time=True),
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
# What was traded and may be traded, of which nothing is held (documented).
_TURNOVER: Final = frozenset({"buyAmountLimit", "buyAmountUsed", "sellAmountLimit", "sellAmountUsed"})
_FIAT_FIELDS: Final = frozenset({"merchantId", "fiat", "balance", *_TURNOVER})

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
    """A ready token, or the key and secret that one is made with; and the merchant."""

    token: Secret | None
    api_key: Secret | None
    api_secret: Secret | None
    merchant_id: int

    @property
    def credential(self) -> Secret:
        """What the provider knows the account's owner by: the token, or the key."""
        credential = self.token or self.api_key
        if credential is None:
            raise RuntimeError("settings without a credential are refused when they are read")
        return credential


def open_account(name: str, base_url: str, values: Values) -> Account[Settings]:
    """The account of one merchant, or of the aggregate (merchant_id 0)."""
    given = values.one_of("token", "api_key") if "api_secret" not in values else "api_key"
    if given == "token":
        settings = Settings(values.secret("token"), None, None, values.integer("merchant_id"))
    else:
        if "token" in values:
            raise SettingProblem(
                "api_secret", "stands beside token; keep the token, or api_key and api_secret"
            )
        settings = Settings(
            None, values.secret("api_key"), values.secret("api_secret"), values.integer("merchant_id")
        )
    if settings.merchant_id < 0:
        raise SettingProblem("merchant_id", "is negative; give the merchant's number, or 0 for all of them")
    return _account(name, base_url, settings)


def _account(name: str, base_url: str, settings: Settings) -> Account[Settings]:
    import hashlib  # hashlib brings OpenSSL with it, which a --help has no use for

    number = settings.merchant_id
    same_credentials = hashlib.sha256(
        f"{same_place(base_url)} {reveal(settings.credential)}".encode()
    ).hexdigest()
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
    rows = _listed(account, run, _MERCHANTS, (("status", "-1"),))
    ids = dict.fromkeys(_merchant_id(row, f"merchants[{number}]") for number, row in enumerate(rows))
    return [_single(account, single) for single in ids if single != "0"]


def fetch(account: Account[Settings], run: Run) -> Holdings:
    """The merchant's crypto balances, and with `--fiat` its fiat ones, which can be missing by themselves."""
    payload = _with_token(account, run, lambda token: run.door.ask(_assets_request(account, token)))
    limited = run.limited(account.name)
    if "fiat" not in run.flags:
        return parse(payload, account, run.assets, limited)
    remarks = Remarks(account.name)
    balances, listed = _crypto(payload, account, run.assets, limited, remarks)
    # One list serves every merchant of the key.
    key = (NAME, "fiat", account.base_url, account.settings.credential)
    try:
        rows = run.share(key, lambda: _listed(account, run, _FIAT)).get()
        fiat = parse_fiat(rows, account, run.assets, remarks)
    except BalcliError as problem:
        # Whether an asset is listed that was asked for is not known then.
        return Holdings(
            tuple(balances), tuple(remarks.notices), failed=(("fiat", Failure.from_error(problem)),)
        )
    balances += fiat
    listed += [name for row in rows if isinstance(name := row.get("fiat"), str)]
    return Holdings(
        tuple(balances), (*remarks.notices, *unlisted(account.name, run.assets, balances, listed))
    )


def parse(
    payload: Json,
    account: Account[Settings],
    assets: tuple[str, ...] = (),
    limited: tuple[str, ...] = (),
) -> Holdings:
    """The balances in the answer of `/v2/assets/account/assets`, in whole units.

    `free` is the available amount. Whether total = free + locked holds is promised nowhere: the
    three are shown as sent, with a notice where they do not add up. Amounts are strict but in rows of
    assets that neither `assets` nor the limits (`limited`) ask for.
    """
    remarks = Remarks(account.name)
    balances, listed = _crypto(payload, account, assets, limited, remarks)
    return Holdings(tuple(balances), (*remarks.notices, *unlisted(account.name, assets, balances, listed)))


def _crypto(
    payload: Json,
    account: Account[Settings],
    assets: tuple[str, ...],
    limited: tuple[str, ...],
    remarks: Remarks,
) -> tuple[list[Balance], list[str]]:
    """The balances of an answer, and the name of every asset in it."""
    data = as_object(field(as_object(payload, "the answer"), "data", "the answer"), "data")
    can_deposit = remarks.decoration(data, "canDeposit", "data", optional_flag)
    balances: list[Balance] = []
    listed: list[str] = []
    for number, item in enumerate(as_list(field(data, "balances", "data"), "data.balances")):
        where = f"balances[{number}]"
        row = as_object(item, where)
        asset = parsing.name(row, "asset", where)
        listed.append(asset)
        asset_id = optional_text(row, "assetId", where)
        of_row = names(asset, asset_id)
        shown = selects(assets, *of_row)
        read = remarks.amounts(asset, row, where, _amounts, asked=shown and selects(limited, *of_row))
        if not shown:
            continue
        total, free, locked = read or (None, None, None)
        if total is not None and free is not None and locked is not None and total != free + locked:
            remarks.notices.append(
                Notice(
                    "amount.mismatch",
                    account.name,
                    f"{printable(asset, LONGEST_NAME)}: the provider's total {total} is not its free {free} + locked {locked}; "
                    "shown as sent",
                )
            )
        unread = remarks.unread(row, _FIELDS, asset)
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
                    "asset_name": remarks.decoration(row, "assetName", where, optional_text),
                    "can_deposit": can_deposit,
                    "merchant_id": account.target["merchant_id"],
                },
                raw={**raw_texts(row, _AMOUNTS), **unread},
            )
        )
    return balances, listed


def _amounts(row: dict[str, Json], where: str) -> list[Amount]:
    """Total, free and locked of a row. Raises BadAmount."""
    return [amount(row, key, where)[0] for key in _AMOUNTS]


def signature(secret: str, timestamp: str) -> str:
    """The signature of a token request: HMAC-SHA256 over `timestamp=<ms>` under the secret, in lower-case hex."""
    import hashlib  # hashlib brings OpenSSL with it, which a --help has no use for
    import hmac

    return hmac.new(secret.encode(), f"timestamp={timestamp}".encode(), hashlib.sha256).hexdigest()


def parse_fiat(
    rows: Sequence["Row"], account: Account[Settings], assets: tuple[str, ...], remarks: Remarks
) -> list[Balance]:
    """The fiat balances of a merchant (all, for the aggregate) in the rows of `/v2/merchant/accounts`.

    The one amount there is the balance. What of it is available is said nowhere: that is unknown.
    """
    balances = []
    for number, row in enumerate(rows):
        where = f"accounts[{number}]"
        owner = _merchant_id(row, where)
        fiat = parsing.name(row, "fiat", where)
        shown = selects(assets, fiat)
        read = remarks.amounts(fiat, row, where, _fiat_amount, asked=shown)
        if read is None or not shown or account.target["merchant_id"] not in {"0", owner}:
            continue
        balance, raw_balance = read
        unread = remarks.unread(row, _FIAT_FIELDS, fiat)
        balances.append(
            Balance(
                account=account.name,
                provider=NAME,
                asset=fiat,
                asset_id=None,
                total=balance,
                available=None,
                locked=None,
                details={"kind": "fiat", "merchant_id": owner},
                raw={"balance": raw_balance, **unread},
            )
        )
    return balances


def _fiat_amount(row: dict[str, Json], where: str) -> tuple[Amount, str]:
    """The balance of a fiat row, and the text as it was sent. Raises BadAmount."""
    return amount(row, "balance", where)


def _single(account: Account[Settings], number: str) -> Account[Settings]:
    """The account of one merchant of the same credentials."""
    settings = account.settings._replace(merchant_id=int(number))
    return _account(f"{account.name}/{number}", account.base_url, settings)


def _merchant_id(row: "Row", where: str) -> str:
    """The `merchantId` of a row: a number (documented); a text of digits is accepted, too."""
    number = whole(row.get("merchantId"))
    if number is None:
        raise undocumented(f"{where}.merchantId is no number")
    return str(number)


def _listed(
    account: Account[Settings], run: Run, endpoint: Endpoint, query: tuple[tuple[str, str], ...] = ()
) -> list["Row"]:
    """All rows of one of the lists that the account's token gives."""
    from balcli.providers.merchant_lists import all_rows  # here, because most runs ask for no list

    def ask(token: Secret) -> list["Row"]:
        def page(size: int, number: int) -> Json:
            paging = zip(_PAGING, (str(size), str(number)), strict=True)
            headers = {"X-BH-TOKEN": token}
            return run.door.ask(Request(endpoint, account.base_url, _explain, (*query, *paging), headers))

        return all_rows(page)

    return _with_token(account, run, ask)


def _assets_request(account: Account[Settings], token: Secret) -> Request:
    query = (("merchantId", account.target["merchant_id"]),)
    return Request(_ASSETS, account.base_url, _explain, query=query, headers={"X-BH-TOKEN": token})


class _Token(NamedTuple):
    """A generated token, and until when it can be used, in epoch milliseconds; None where that is open."""

    secret: Secret
    until: int | None

    def is_past(self) -> bool:
        return self.until is not None and _now_ms() >= self.until


def _with_token(account: Account[Settings], run: Run, ask: Callable[[Secret], T]) -> T:
    """What `ask` gets with the account's token; a generated one is made again once if it is past or refused."""
    settings = account.settings
    if settings.token is not None:
        return ask(settings.token)
    key = (NAME, "token", account.base_url, settings.credential)
    shared = run.share(key, lambda: _new_token(account, run))
    token = shared.get()
    if token.is_past():
        token = shared.renewed(token)
    try:
        return ask(token.secret)
    except CredentialsRefused:
        return ask(shared.renewed(token).secret)


def _new_token(account: Account[Settings], run: Run) -> _Token:
    """A fresh token for the account's key; it serves every merchant of that key."""
    settings = account.settings
    if settings.api_key is None or settings.api_secret is None:
        raise RuntimeError("a token is made only where there is a key and a secret")
    timestamp = str(_now_ms())
    signed = signature(reveal(settings.api_secret), timestamp)
    payload = run.door.ask(
        Request(
            _TOKEN,
            account.base_url,
            _explain,
            query=(("timestamp", timestamp), ("signature", signed)),
            headers={"X-BH-APIKEY": settings.api_key},
            returns_credential=True,
        )
    )
    data = as_object(field(as_object(payload, "the answer"), "data", "the answer"), "data")
    until = whole(data.get("expireTime"))
    # A token that is past when it is new tells of a clock that is wrong: then only its refusal counts.
    return _Token(token(data, "token", "data"), until if until is not None and until > _now_ms() else None)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _explain(status: int, payload: Json) -> BalcliError | None:
    """The provider's own error: success is HTTP 200 and an object whose `code` is 200, without another mark."""
    return own_error(TITLE, status, payload, code_is_200=True, advice=_ADVICE)
