"""The token table of a Loopring deployment: its tokens and their units.

Each deployment has its own token ids: a table is never used for another host (documented).
"""

import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final, Literal, NamedTuple, TypeVar

from balcli.cache import Cache, default_cache
from balcli.errors import BadShape
from balcli.http import echoes
from balcli.http.strictjson import Json, Number
from balcli.money import MAX_DECIMALS
from balcli.providers.parsing import Row, bad_shape, reject_echo, required_field, rows
from balcli.providers.selection import selects
from balcli.text import LONGEST_NAME, folded, printable
from balcli.urls import is_loopback_url

T = TypeVar("T")

NFT: Final = "nft:"
"""The prefix of an NFT slot's label."""
ID: Final = re.compile(r"0|[1-9][0-9]{0,9}")
"""The number of a token, an account or an NFT slot."""

# Ids from here on are an account's NFT slots, unless the relayer's table lists them as tokens (code).
_FIRST_NFT_SLOT: Final = 32768
_TABLE_SECONDS: Final = 86_400.0


class Token(NamedTuple):
    """The meaning of a token id: a token of the deployment, an NFT slot, or a token that the table does not list.

    An unknown symbol is None, as are unknown decimals.
    """

    number: int
    label: str
    symbol: str | None = None
    decimals: int | None = None
    kind: Literal["token", "nft", "unlisted"] = "token"

    @property
    def names(self) -> tuple[str, ...]:
        """The names that select it."""
        number = f"#{self.number}"
        return (number, self.label) if self.symbol is None else (number, self.label, self.symbol)


def nft_slot(number: int) -> Token:
    """An NFT slot, which is counted in pieces."""
    return Token(number, f"{NFT}{number}", decimals=0, kind="nft")


def token_of(number: int, tokens: Mapping[int, Token]) -> Token:
    """The token or NFT slot of an id in a row of balances."""
    if number in tokens:
        return tokens[number]
    is_nft = number >= _FIRST_NFT_SLOT
    return nft_slot(number) if is_nft else Token(number, f"#{number}", kind="unlisted")


class TokenTable(NamedTuple):
    """A deployment's tokens by id, and whether they come from the cache."""

    tokens: Mapping[int, Token]
    from_cache: bool

    def knows(self, payload: Json) -> bool:
        """Whether every id in a response is in the table. The parser checks rows without an id.

        An id in the range of NFT slots may be a new token.
        """
        listed = payload if isinstance(payload, list) else []
        texts = [str(row.get("tokenId")) for row in listed if isinstance(row, dict)]
        ids = [int(text) for text in texts if ID.fullmatch(text)]
        return all(number in self.tokens for number in ids)


def cached_table(base_url: str, use_cache: bool) -> TokenTable | None:
    """The table cached within the last day, parsed as strictly as a response; None if there is no valid one."""
    cache = _cache_for(base_url) if use_cache else None
    document = cache.read(_key(base_url), _TABLE_SECONDS) if cache is not None else None
    if document is None or not echoes.is_free_of_credentials(base_url, document):
        return None  # another run, which did not know the credential, may have cached it
    try:
        return TokenTable(parse_tokens(document), from_cache=True)
    except BadShape:
        return None


def new_table(base_url: str, use_cache: bool, payload: Json) -> TokenTable:
    """The table in a response. It is cached for later runs. Raises BadShape."""
    tokens = parse_tokens(payload)
    cache = _cache_for(base_url) if use_cache else None
    if cache is not None:
        table = [
            {"tokenId": number, "symbol": symbol, "decimals": decimals}
            for number, entries in _entries(payload).items()
            for symbol, decimals in entries
        ]
        cache.write(_key(base_url), table)
    return TokenTable(tokens, from_cache=False)


def _key(base_url: str) -> str:
    return f"loopring tokens {base_url}"


def _cache_for(base_url: str) -> Cache | None:
    """The user's cache; None for a loopback host, unless the user chose the cache's folder.

    The next server on a loopback port may be another deployment.
    """
    cache = default_cache(os.environ)
    return None if cache is None or (is_loopback_url(base_url) and not cache.chosen) else cache


def parse_tokens(payload: Json) -> Mapping[int, Token]:
    """The tokens of a deployment by id. Raises BadShape.

    `decimals` is the unit (documented); `precision` is for display and is not read. A token without a usable symbol
    and unit is labelled `#id`. Symbols are not unique: a repeated symbol is labelled with its id, and so is one that
    looks like a label or an NFT slot.
    """
    table = _entries(payload)
    used = Counter(symbol for entries in table.values() for symbol in {symbol for symbol, _ in entries})
    tokens = {}
    for number, entries in table.items():
        # If two entries for one id differ, the value that differs is treated as unknown.
        symbol = _agreed(symbol for symbol, _ in entries)
        decimals = _agreed(decimals for _, decimals in entries)
        label = f"#{number}"
        if symbol is not None and decimals is not None:
            imitates = "#" in symbol or folded(symbol).startswith(NFT)
            label = f"{symbol}#{number}" if used[symbol] > 1 or imitates else symbol
        tokens[number] = Token(number, label, symbol, None if symbol is None else decimals)
    return tokens


def _agreed(values: Iterable[T]) -> T | None:
    """The value, if all are equal; None if they differ."""
    found = {*values}
    return found.pop() if len(found) == 1 else None


def _entries(payload: Json) -> Mapping[int, Mapping[tuple[str | None, int | None], None]]:
    """The distinct pairs of symbol and decimals of each id; None for an unusable value."""
    table: dict[int, dict[tuple[str | None, int | None], None]] = {}
    for where, row in rows(payload, "the token table", "tokens"):
        symbol: str | None = None
        if isinstance(sent := row.get("symbol"), str) and sent and not isinstance(sent, Number):
            symbol = reject_echo(sent, where, "symbol")
        decimals = row.get("decimals")
        is_unit = isinstance(decimals, Number) and ID.fullmatch(decimals) and int(decimals) <= MAX_DECIMALS
        entry = (symbol, int(str(decimals)) if is_unit else None)
        table.setdefault(token_id(row, where), {})[entry] = None
    return table


def token_id(row: Row, where: str) -> int:
    """The `tokenId`: a number in every published response. A string of digits is also accepted."""
    value = required_field(row, "tokenId", where)
    if not isinstance(value, str) or ID.fullmatch(value) is None:
        raise bad_shape(f"{where}.tokenId is not a token number")
    return int(value)


def unknown_unit(token: Token) -> str:
    """The notice that says why a token's amounts are unknown."""
    if token.kind == "unlisted":
        why = f"token #{token.number} is not in the relayer's token table"
    elif token.symbol is None:
        why = f"token #{token.number} has no usable symbol in the relayer's token table"
    else:
        symbol = printable(token.symbol, LONGEST_NAME)
        why = f"token #{token.number} ({symbol}) has no usable unit in the relayer's token table"
    return f"{why}: its amounts are unknown, and only its raw units are kept"


def not_in_table(assets: tuple[str, ...], tokens: Mapping[int, Token]) -> list[str]:
    """The assets that are not in the table."""
    if not assets:
        return []
    names = [name for token in tokens.values() for name in token.names]
    return [asset for asset in assets if not selects((asset,), *names)]
