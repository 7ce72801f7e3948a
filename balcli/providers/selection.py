"""Which assets the user asked for: `--asset` matches a symbol, a label or `#id`, whatever the case."""

from collections.abc import Iterable, Sequence

from balcli.models import Balance, Notice
from balcli.text import closest, printable

NOT_LISTED = "asset.not_listed"


def selects(assets: Sequence[str], *names: str) -> bool:
    """Whether one of an asset's names is among those asked for; no request at all selects everything."""
    if not assets:
        return True
    wanted = {asset.casefold() for asset in assets}
    return not wanted.isdisjoint(name.casefold() for name in names)


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
    there = {name.casefold() for b in balances for name in names_of(b)}
    names = [*(balance.asset for balance in balances), *others]
    return [absent(account, asset, assets, names) for asset in assets if asset.casefold() not in there]


def absent(account: str, asset: str, asked: Sequence[str], there: Iterable[str]) -> Notice:
    """The notice for one asset of those asked for that an account does not list, with the one there that is close."""
    close = but_is(asset, asked, there)
    return Notice(NOT_LISTED, account, f"{asset} is not listed{close}; check --asset if it should be")


def but_is(asset: str, asked: Sequence[str], there: Iterable[str]) -> str:
    """The words `, NAME is` for the asset there that is close to one that is not, "" where none is.

    One that is asked for beside it is not meant by it. No question whether that is meant: USDC beside USDT is as often another asset as it is a slip.
    """
    close = closest(asset, (name for name in there if not selects(asked, name)))
    return "" if close is None else f", {printable(close)} is"
