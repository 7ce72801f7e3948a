"""VelaFi's paged lists, of merchants and of their fiat balances: every row, or an error."""

from collections.abc import Callable
from typing import Final, TypeAlias

from balcli.errors import BadShape
from balcli.http.exactjson import Json
from balcli.providers.parsing import as_list, as_object, field, undocumented, whole

Row: TypeAlias = dict[str, Json]

_PAGE_SIZE: Final = 1000
_MOST_PAGES: Final = 1000


def all_rows(ask: Callable[[int, int], Json]) -> list[Row]:
    """All rows of a list; `ask` gives the answer for a page's size and its number, from 1.

    They go up to the list's `total` if it says one, else up to an empty page; a server that does not
    page gives its first page again, which is the end, too. Raises BadShape for a list that ends
    before its `total`, or not at all.
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
    data = field(as_object(payload, "the answer"), "data", "the answer")
    if isinstance(data, list):
        return [as_object(row, "a row of data") for row in data], None
    answer = as_object(data, "data")
    key = "record" if "record" in answer else "data"
    rows = [
        as_object(row, f"a row of data.{key}") for row in as_list(field(answer, key, "data"), f"data.{key}")
    ]
    total = whole(answer.get("total"))
    if total is None and answer.get("total") is not None:
        raise undocumented("data.total is no count")
    return rows, total
