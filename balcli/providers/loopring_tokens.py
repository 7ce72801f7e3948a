"""A Loopring deployment's token table: which tokens there are, and the unit of each.

Token ids belong to a deployment: a table is never shared between hosts (documented).
"""

import re
from collections import Counter
from collections.abc import Mapping
from typing import Final, NamedTuple

from balcli.cache import Cache
from balcli.errors import BadShape
from balcli.http.exactjson import Json, Number
from balcli.money import MAX_DECIMALS
from balcli.providers.reading import as_list, as_object, field, undocumented
from balcli.text import valid_unicode
from balcli.urls import is_on_loopback

FIRST_NFT_SLOT: Final = 32768
"""Ids from here on are an account's own NFT slots, not tokens (code)."""

_TABLE_SECONDS: Final = 86_400.0
ID: Final = re.compile(r"0|[1-9][0-9]{0,9}")
"""The number of a token, an account or an NFT slot."""


class Token(NamedTuple):
    """A token of a deployment: how it is labelled, and how many decimals its whole unit has."""

    label: str
    symbol: str
    decimals: int


class TokenTable(NamedTuple):
    """A deployment's tokens by id, None where a token's unit is not known; and whether they are yesterday's news."""

    tokens: Mapping[int, Token | None]
    from_cache: bool

    def knows(self, payload: Json) -> bool:
        """Whether every token of an answer is in the table; a row without an id is for the parser to judge."""
        rows = payload if isinstance(payload, list) else []
        texts = [str(row.get("tokenId")) for row in rows if isinstance(row, dict)]
        ids = [int(text) for text in texts if ID.fullmatch(text)]
        return all(number in self.tokens or number >= FIRST_NFT_SLOT for number in ids)


def kept_table(base_url: str, cache: Cache | None) -> TokenTable | None:
    """The table that was kept in the last day, read as strictly as an answer; None if there is none that is sound."""
    usable = _cache_for(base_url, cache)
    document = usable.read(_key(base_url), _TABLE_SECONDS) if usable is not None else None
    try:
        return None if document is None else TokenTable(parse_tokens(document), from_cache=True)
    except BadShape:
        return None


def new_table(base_url: str, cache: Cache | None, payload: Json) -> TokenTable:
    """The table of an answer, which is kept for the next runs. Raises BadShape."""
    tokens = parse_tokens(payload)
    usable = _cache_for(base_url, cache)
    if usable is not None:
        rows = [{"tokenId": number, **(_entry(token) if token else {})} for number, token in tokens.items()]
        usable.write(_key(base_url), rows)
    return TokenTable(tokens, from_cache=False)


def _entry(token: Token) -> dict[str, str | int]:
    return {"symbol": token.symbol, "decimals": token.decimals}


def _key(base_url: str) -> str:
    return f"loopring tokens {base_url}"


def _cache_for(base_url: str, cache: Cache | None) -> Cache | None:
    """The cache, unless the host is none to remember.

    Ports of the loopback range change hands: what answers there today need not be yesterday's
    deployment. It is remembered only where the user chose a folder for it.
    """
    return None if cache is None or (is_on_loopback(base_url) and not cache.chosen) else cache


def parse_tokens(payload: Json) -> Mapping[int, Token | None]:
    """The tokens of a deployment by id; None where the entry says nothing usable about its unit.

    `decimals` is the unit (documented); `precision` is for display and is not read. Symbols are
    not unique: one that stands twice is labelled with its id, and so is one that could be such a
    label. Raises BadShape.
    """
    entries: dict[int, tuple[str, int] | None] = {}
    for number, item in enumerate(as_list(payload, "the token table")):
        where = f"tokens[{number}]"
        row = as_object(item, where)
        token_id = row_id(row, where)
        symbol, decimals = row.get("symbol"), row.get("decimals")
        usable = (
            isinstance(symbol, str)
            and not isinstance(symbol, Number)
            and symbol != ""
            and isinstance(decimals, Number)
            and ID.fullmatch(decimals) is not None
            and int(decimals) <= MAX_DECIMALS
        )
        entry = (valid_unicode(str(symbol)), int(str(decimals))) if usable else None
        # Two entries of one id that differ leave its unit open.
        entries[token_id] = entry if entries.get(token_id, entry) == entry else None
    symbols = Counter(entry[0] for entry in entries.values() if entry is not None)
    return {
        token_id: entry
        and Token(
            label=f"{entry[0]}#{token_id}" if symbols[entry[0]] > 1 or "#" in entry[0] else entry[0],
            symbol=entry[0],
            decimals=entry[1],
        )
        for token_id, entry in entries.items()
    }


def row_id(row: dict[str, Json], where: str) -> int:
    """The `tokenId`: a number in every published answer; a text of digits is accepted, too."""
    value = field(row, "tokenId", where)
    if not isinstance(value, str) or ID.fullmatch(value) is None:
        raise undocumented(f"{where}.tokenId is no token's number")
    return int(value)
