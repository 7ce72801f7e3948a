"""The assets that the user asked for, by symbol, label or `#id`, in any ASCII case or exactly."""

from collections.abc import Collection, Iterable, Sequence

from balcli.errors import UsageError
from balcli.models import Balance, ExactName, Notice
from balcli.text import closest_match, folded, printable

NOT_LISTED = "asset.not_listed"


def wanted(given: Iterable[str] | None, *, exact: bool) -> tuple[str, ...]:
    """The assets of `--asset` without repetitions, comma lists split; with `--exact`, each in its own spelling only.

    Raises UsageError for an empty name, and for `--exact` without any.
    """
    found = [*map(str.strip, ",".join(given).split(","))] if given else []
    if not all(found):
        raise UsageError("--asset: a symbol is empty; write --asset ETH or --asset ETH,USDT")
    if exact and not found:
        raise UsageError("--exact is for --asset; add --asset, or leave --exact out")
    return tuple(dict.fromkeys(map(ExactName, found) if exact else found))


def selects(assets: Sequence[str], *names: str) -> bool:
    """Whether one of an asset's names is among those asked for; an empty `assets` selects everything."""
    if not assets:
        return True
    loose = {folded(name) for name in names}
    return any(_is_one_of(asset, names, loose) for asset in assets)


def _is_one_of(asset: str, names: Collection[str], loose: Collection[str]) -> bool:
    """Whether an asset that was asked for is one of these names; `loose` are the names in lower case."""
    return asset in names if isinstance(asset, ExactName) else folded(asset) in loose


def names(asset: str, asset_id: str | None) -> tuple[str, ...]:
    """The names by which an asset can be asked for: its symbol or label, its id, and the symbol in a label."""
    if asset_id is None:
        return (asset,)
    number = f"#{asset_id}"
    symbol = asset.removesuffix(number)
    return (asset, number) if symbol in {asset, ""} else (asset, number, symbol)


def names_of(balance: Balance) -> tuple[str, ...]:
    """The names by which a row's asset can be asked for."""
    return names(balance.asset, balance.asset_id)


def unlisted(
    account: str, assets: Iterable[str], balances: Iterable[Balance], others: Iterable[str] = ()
) -> list[Notice]:
    """A notice for each asset that was asked for and that the account does not list.

    `others` are names in the response besides those of the balances. A similar one is suggested.
    """
    assets, balances = tuple(assets), tuple(balances)
    there = {name for balance in balances for name in names_of(balance)}
    loose = {folded(name) for name in there}
    names = [*(balance.asset for balance in balances), *others]
    return [absent(account, asset, assets, names) for asset in assets if not _is_one_of(asset, there, loose)]


def absent(account: str, asset: str, asked: Sequence[str], there: Iterable[str]) -> Notice:
    """The notice for an asset that was asked for and is not listed, with a similar name that is."""
    close = suggestion(asset, asked, there)
    return Notice(NOT_LISTED, account, f"{asset} is not listed{close}; check --asset if it should be")


def suggestion(asset: str, asked: Sequence[str], there: Iterable[str]) -> str:
    """`, NAME is` with the listed name that is most similar to an asset that is not; "" if none is similar.

    Names that were asked for are not suggested. It is no request: USDC beside USDT is as often another asset as a typo.
    """
    close = closest_match(asset, (name for name in there if not selects(asked, name)))
    return "" if close is None else f", {printable(close)} is"
