"""Which assets the user asked for: a name stands for a symbol, a label or `#id`, in any ASCII case or exactly."""

from collections.abc import Collection, Iterable, Sequence
from typing import final

from balcli.errors import UsageError
from balcli.models import Balance, Notice
from balcli.text import closest_match, folded, printable

NOT_LISTED = "asset.not_listed"


@final
class Exactly(str):
    """A name that stands for that spelling alone; any other stands for every spelling in ASCII case."""

    __slots__ = ()


def wanted(given: Iterable[str] | None, *, exact: bool = False) -> tuple[str, ...]:
    """What an `--asset` names, comma lists taken apart, each once; with `--exact`, each in that spelling alone.

    Raises UsageError for an empty name, and for `--exact` without any.
    """
    found = [part.strip() for text in given or () for part in text.split(",")]
    if not all(found):
        raise UsageError("--asset: a symbol is empty; write --asset ETH or --asset ETH,USDT")
    if exact and not found:
        raise UsageError("--exact is for --asset; add --asset, or leave --exact out")
    return tuple(dict.fromkeys(map(Exactly, found) if exact else found))


def selects(assets: Sequence[str], *names: str) -> bool:
    """Whether one of an asset's names is among those asked for; no request at all selects everything."""
    if not assets:
        return True
    loose = {folded(name) for name in names}
    return any(_is_one_of(asset, names, loose) for asset in assets)


def _is_one_of(asset: str, names: Collection[str], loose: Collection[str]) -> bool:
    """Whether an asset that was asked for is one of these names, `loose` being those folded."""
    return asset in names if isinstance(asset, Exactly) else folded(asset) in loose


def names(asset: str, asset_id: str | None) -> tuple[str, ...]:
    """What an asset can be asked for by: its symbol or label, its id where it has one, and the symbol in a label."""
    if asset_id is None:
        return (asset,)
    number = f"#{asset_id}"
    symbol = asset.removesuffix(number)
    return (asset, number) if symbol in {asset, ""} else (asset, number, symbol)


def names_of(balance: Balance) -> tuple[str, ...]:
    """What a row's asset can be asked for by."""
    return names(balance.asset, balance.asset_id)


def unlisted(
    account: str, assets: Iterable[str], balances: Iterable[Balance], others: Iterable[str] = ()
) -> list[Notice]:
    """A notice for each asset that was asked for and that the account's answer does not list.

    `others` are the names that the answer has beside those of the balances: one that is close is told.
    """
    assets = tuple(assets)
    if not assets:
        return []
    balances = tuple(balances)
    there = {name for balance in balances for name in names_of(balance)}
    loose = {folded(name) for name in there}
    names = [*(balance.asset for balance in balances), *others]
    return [absent(account, asset, assets, names) for asset in assets if not _is_one_of(asset, there, loose)]


def absent(account: str, asset: str, asked: Sequence[str], there: Iterable[str]) -> Notice:
    """The notice for one asset of those asked for that an account does not list, with the one there that is close."""
    close = suggestion(asset, asked, there)
    return Notice(NOT_LISTED, account, f"{asset} is not listed{close}; check --asset if it should be")


def suggestion(asset: str, asked: Sequence[str], there: Iterable[str]) -> str:
    """The words `, NAME is` for the asset there that is close to one that is not, "" where none is.

    One that is asked for beside it is not meant by it. No question whether that is meant: USDC beside USDT is as often another asset as it is a slip.
    """
    close = closest_match(asset, (name for name in there if not selects(asked, name)))
    return "" if close is None else f", {printable(close)} is"
