"""A Loopring deployment's token table: which tokens there are, and the unit of each.

Token ids belong to a deployment: a table is never shared between hosts (documented).
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple, TypeVar

from balcli.cache import Cache
from balcli.errors import BadShape
from balcli.http import echoes
from balcli.http.exactjson import Json, Number
from balcli.money import MAX_DECIMALS
from balcli.providers.parsing import as_list, as_object, field, undocumented, unechoed
from balcli.text import folded
from balcli.urls import is_on_loopback

T = TypeVar("T")

FIRST_NFT_SLOT: Final = 32768
"""Ids from here on are an account's own NFT slots, unless the relayer's table lists them: then they are tokens (code)."""
NFT: Final = "nft:"
"""What the label of an NFT slot begins with, before its number."""

_TABLE_SECONDS: Final = 86_400.0
ID: Final = re.compile(r"0|[1-9][0-9]{0,9}")
"""The number of a token, an account or an NFT slot."""


class Token(NamedTuple):
    """A token of a deployment: its label, its symbol where that is one, and the decimals of its whole unit; None is unknown."""

    label: str
    symbol: str | None
    decimals: int | None

    def names(self, token_id: int) -> tuple[str, ...]:
        """What it can be asked for by."""
        return (
            (f"#{token_id}", self.label) if self.symbol is None else (f"#{token_id}", self.label, self.symbol)
        )


class TokenTable(NamedTuple):
    """A deployment's tokens by id, and whether they are yesterday's."""

    tokens: Mapping[int, Token]
    from_cache: bool

    def knows(self, payload: Json) -> bool:
        """Whether every id of an answer is in the table; a row without an id is for the parser to judge.

        What looks like an NFT slot may be a token that was listed since.
        """
        rows = payload if isinstance(payload, list) else []
        texts = [str(row.get("tokenId")) for row in rows if isinstance(row, dict)]
        ids = [int(text) for text in texts if ID.fullmatch(text)]
        return all(number in self.tokens for number in ids)


def kept_table(base_url: str, cache: Cache | None) -> TokenTable | None:
    """The table that was kept in the last day, read as strictly as an answer; None if there is none that is sound."""
    usable = _cache_for(base_url, cache)
    document = usable.read(_key(base_url), _TABLE_SECONDS) if usable is not None else None
    if document is None or not echoes.is_clean(base_url, document):
        return None  # another run, which did not know the credential, may have cached it
    try:
        return TokenTable(parse_tokens(document), from_cache=True)
    except BadShape:
        return None


def new_table(base_url: str, cache: Cache | None, payload: Json) -> TokenTable:
    """The table of an answer, which is kept for the next runs. Raises BadShape."""
    tokens = parse_tokens(payload)
    usable = _cache_for(base_url, cache)
    if usable is not None:
        rows = (
            {"tokenId": token_id, "symbol": symbol, "decimals": decimals}
            for token_id, entries in _entries(payload).items()
            for symbol, decimals in entries
        )
        usable.write(_key(base_url), [*rows])
    return TokenTable(tokens, from_cache=False)


def _key(base_url: str) -> str:
    return f"loopring tokens {base_url}"


def _cache_for(base_url: str, cache: Cache | None) -> Cache | None:
    """The cache, unless the host is none to remember.

    Ports of the loopback range change hands: what answers there today need not be yesterday's
    deployment. It is remembered only where the user chose a folder for it.
    """
    return None if cache is None or (is_on_loopback(base_url) and not cache.chosen) else cache


def parse_tokens(payload: Json) -> Mapping[int, Token]:
    """The tokens of a deployment by id.

    `decimals` is the unit (documented); `precision` is for display and is not read. A token without a
    usable symbol and unit is labelled `#id`. Symbols are not unique: one that stands twice is labelled
    with its id, and so is one that could be a label or an NFT slot. Raises BadShape.
    """
    table = _entries(payload)
    used = Counter(symbol for entries in table.values() for symbol in {symbol for symbol, _ in entries})
    tokens = {}
    for token_id, entries in table.items():
        # Two entries of one id that differ leave open what differs.
        symbol = _agreed(symbol for symbol, _ in entries)
        decimals = _agreed(decimals for _, decimals in entries)
        label = f"#{token_id}"
        if symbol is not None and decimals is not None:
            imitates = "#" in symbol or folded(symbol).startswith(NFT)
            label = f"{symbol}#{token_id}" if used[symbol] > 1 or imitates else symbol
        tokens[token_id] = Token(label, symbol, None if symbol is None else decimals)
    return tokens


def _agreed(values: Iterable[T]) -> T | None:
    """The one value that all of these are; None where they differ."""
    found = {*values}
    return found.pop() if len(found) == 1 else None


def _entries(payload: Json) -> Mapping[int, Mapping[tuple[str | None, int | None], None]]:
    """The symbols and decimals that the entries of each id have, None for what is not usable; each pair once."""
    table: dict[int, dict[tuple[str | None, int | None], None]] = {}
    for number, item in enumerate(as_list(payload, "the token table")):
        where = f"tokens[{number}]"
        row = as_object(item, where)
        symbol, decimals = row.get("symbol"), row.get("decimals")
        symbol = (
            unechoed(symbol, where, "symbol")
            if isinstance(symbol, str) and not isinstance(symbol, Number) and symbol != ""
            else None
        )
        unit = isinstance(decimals, Number) and ID.fullmatch(decimals) and int(decimals) <= MAX_DECIMALS
        entry = (symbol, int(str(decimals)) if unit else None)
        table.setdefault(row_id(row, where), {})[entry] = None
    return table


def row_id(row: dict[str, Json], where: str) -> int:
    """The `tokenId`: a number in every published answer; a text of digits is accepted, too."""
    value = field(row, "tokenId", where)
    if not isinstance(value, str) or ID.fullmatch(value) is None:
        raise undocumented(f"{where}.tokenId is no token's number")
    return int(value)
