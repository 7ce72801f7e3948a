"""Rows of balances and NFTs in a relayer's responses: their owner, and their amounts in whole units."""

from collections.abc import Callable
from typing import Final

from balcli.errors import BadShape
from balcli.http.strictjson import Json
from balcli.models import Balance, Detail
from balcli.money import Amount, parse_units
from balcli.providers.loopring_tokens import ID, Token, nft_slot, token_id
from balcli.providers.parsing import (
    HoldingsBuilder,
    Row,
    amount,
    as_object,
    bad_shape,
    balance_rows,
    optional_amount,
    raw_texts,
    required_field,
)
from balcli.providers.selection import selects

_AMOUNTS: Final = ("total", "locked")
_FIELDS: Final = frozenset({"accountId", "tokenId", *_AMOUNTS, "pending.withdraw", "pending.deposit"})
_NFT_PAGE: Final = 50  # the documented maximum
_MOST_NFTS: Final = 100_000


def checked_owner(row: Row, where: str, owner: str | None) -> str | None:
    """The owner of the rows up to this one, by their `accountId`, which can be missing (code).

    Raises BadShape for a row of another owner.
    """
    sent = row.get("accountId")
    if sent is None:
        return owner
    if not isinstance(sent, str) or ID.fullmatch(sent) is None:
        raise bad_shape(f"{where}.accountId is not an account number")
    if owner is not None and owner != sent:
        raise BadShape(
            f"unexpected response: {where} belongs to another account; check account_id or address"
        )
    return str(sent)


def to_balance(
    row: Row, where: str, token: Token, builder: HoldingsBuilder, *, shown: bool, required: bool
) -> Balance:
    """A row as a balance. Its amounts are checked even if the token's unit is unknown.

    available = total - locked, as in the vendor's front end (code). Pending amounts are details: whether `locked`
    includes them is not documented.
    """

    def whole_units(sent: str) -> Amount:
        return parse_units(sent, token.decimals or 0)

    def read(row: Row, where: str) -> tuple[Amount, Amount, Amount | None, Amount | None]:
        place, pending = f"{where}.pending", row.get("pending")
        pending = {} if pending is None else as_object(pending, place)
        return (
            amount(row, "total", where, whole_units),
            amount(row, "locked", where, whole_units),
            optional_amount(pending, "withdraw", place, whole_units),
            optional_amount(pending, "deposit", place, whole_units),
        )

    is_known, is_nft = token.decimals is not None, token.kind == "nft"
    amounts = builder.amounts(row, where, token.label, read, required=required)
    total, locked, withdraw, deposit = amounts if amounts and is_known else (None, None, None, None)
    details: dict[str, Detail] = {"pending_withdraw": withdraw, "pending_deposit": deposit}
    if is_nft:
        details["kind"] = "nft"
    return Balance(
        account=builder.account.name,
        provider=builder.account.provider,
        asset=token.label,
        asset_id=str(token.number),
        total=total,
        available=None if total is None or locked is None else total - locked,
        locked=locked,
        details=details,
        raw=builder.raw(row, token.label, _AMOUNTS, _FIELDS) if shown else raw_texts(row, _AMOUNTS),
        counted=is_known and not is_nft,
    )


def add_nfts(
    fetch_page: Callable[[int, int], Json], builder: HoldingsBuilder, owner: str | None
) -> str | None:
    """Add all NFTs of the account; `fetch_page` returns the response for an offset and a limit.

    Returns the owner in the rows, or `owner` if they have none. Raises BadShape for a list that ends before its
    `totalNum`.
    """
    found = builder.balances
    while True:
        page, announced, owner = _parse_nfts(fetch_page(len(found), _NFT_PAGE), builder, owner)
        # A relayer without paging sends the same rows again.
        is_over = not page or page == found[-len(page) :]
        found += () if is_over else page
        if len(found) >= announced:
            return owner
        if is_over or len(found) > _MOST_NFTS:
            raise BadShape(f"incomplete list: expected {announced} NFTs, got {len(found)}; try again later")


def _parse_nfts(
    payload: Json, builder: HoldingsBuilder, owner: str | None
) -> tuple[list[Balance], int, str | None]:
    """A page of `/api/v3/user/nft/balances`: its rows, the number of all rows, and their owner.

    The amount of an NFT is a count. It is not part of any total.
    """
    announced = required_field(payload, "totalNum", "the body")
    if not isinstance(announced, str) or ID.fullmatch(announced) is None:
        raise bad_shape("totalNum is not a whole number")
    page = []
    for where, row in balance_rows(required_field(payload, "data", "the body"), "data", "data"):
        owner = checked_owner(row, where, owner)
        slot = nft_slot(token_id(row, where))
        shown = selects(builder.assets, *slot.names)
        page.append(to_balance(row, where, slot, builder, shown=shown, required=shown))
    return page, int(announced), owner
