"""VelaFi's paged lists, of merchants and of their fiat balances: every row, or an error."""

from collections.abc import Callable, Iterable
from typing import Final

from balcli.errors import BadShape
from balcli.http.strictjson import Json
from balcli.models import Balance
from balcli.money import Amount
from balcli.providers.parsing import (
    HoldingsBuilder,
    Row,
    amount,
    as_list,
    as_object,
    bad_shape,
    required_field,
    required_text,
    whole_number,
)

_PAGE_SIZE: Final = 1000
_MOST_PAGES: Final = 1000

# Amounts that were traded or may be traded, of which nothing is held (documented).
_TURNOVER: Final = frozenset({"buyAmountLimit", "buyAmountUsed", "sellAmountLimit", "sellAmountUsed"})
_FIAT_FIELDS: Final = frozenset({"merchantId", "fiat", "balance", *_TURNOVER})


def all_rows(ask: Callable[[int, int], Json]) -> list[Row]:
    """All rows of a list; `ask` returns the response for a page size and a page number, from 1.

    The list ends with its `total` if it has one, else with an empty page or one that repeats the last, as a server
    that does not page sends it. Raises BadShape for a list that ends before its `total`, or not at all.
    """
    found: list[Row] = []
    previous: list[Row] = []
    total: int | None = None
    for page in range(1, _MOST_PAGES + 1):
        rows, total = _page(ask(_PAGE_SIZE, page))
        is_over = not rows or rows == previous
        found += () if is_over else rows
        if is_over if total is None else len(found) >= total:
            return found
        if is_over:
            break
        previous = rows
    announced = "more" if total is None else f"{total} rows"
    raise BadShape(
        f"the provider announced {announced} and listed {len(found)}: the list is not complete; try again"
    )


def _page(payload: Json) -> tuple[list[Row], int | None]:
    """The rows of a page, under `data` or `record` (documented both), and how many there are in all, if it says."""
    data = required_field(payload, "data", "the answer")
    if isinstance(data, list):
        return [as_object(row, "a row of data") for row in data], None
    answer = as_object(data, "data")
    key = "record" if "record" in answer else "data"
    listed = as_list(required_field(answer, key, "data"), f"data.{key}")
    total = whole_number(answer.get("total"))
    page = [as_object(row, f"a row of data.{key}") for row in listed]
    if total is None and answer.get("total") is not None:
        raise bad_shape("data.total is no count")
    return page, total


def merchant_ids(merchants: Iterable[Row]) -> list[str]:
    """The number of each merchant in the rows of `/v2/merchants`, without 0, the aggregate."""
    ids = dict.fromkeys(_merchant_id(row, f"merchants[{number}]") for number, row in enumerate(merchants))
    return [single for single in ids if single != "0"]


def parse_fiat(accounts: Iterable[Row], builder: HoldingsBuilder) -> list[Balance]:
    """The fiat balances of a merchant (all, for the aggregate) in the rows of `/v2/merchant/accounts`.

    The balance is the one amount there. What of it is available is documented nowhere, so that is unknown.
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
    """The `merchantId` of a row: a number (documented); a text of digits is accepted, too."""
    number = whole_number(row.get("merchantId"))
    if number is None:
        raise bad_shape(f"{where}.merchantId is no number")
    return str(number)
