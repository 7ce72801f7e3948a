"""Select assets by symbol, label or `#id`, in any ASCII case or exactly."""

from collections.abc import Collection, Iterable, Sequence

from balcli.errors import UsageError
from balcli.models import Balance, ExactName, Notice
from balcli.text import closest_match, folded, printable

NOT_LISTED = "asset.not_listed"


def wanted(given: Iterable[str] | None, *, exact: bool) -> tuple[str, ...]:
    """The distinct assets of `--asset`, with comma lists split. With `--exact`, each matches only its own spelling.

    Raises UsageError for an empty name, or for `--exact` without `--asset`.
    """
    found = [*map(str.strip, ",".join(given).split(","))] if given else []
    if not all(found):
        raise UsageError("--asset has an empty symbol; use --asset ETH or --asset ETH,USDT")
    if exact and not found:
        raise UsageError("--exact requires --asset; add --asset or remove --exact")
    return tuple(dict.fromkeys(map(ExactName, found) if exact else found))


def selects(assets: Sequence[str], *names: str) -> bool:
    """Whether `assets` has one of an asset's names; an empty `assets` selects everything."""
    if not assets:
        return True
    loose = {folded(name) for name in names}
    return any(_is_one_of(asset, names, loose) for asset in assets)


def _is_one_of(asset: str, names: Collection[str], loose: Collection[str]) -> bool:
    """Whether a requested asset is one of these names; `loose` are the names in lowercase."""
    return asset in names if isinstance(asset, ExactName) else folded(asset) in loose


def names(asset: str, asset_id: str | None) -> tuple[str, ...]:
    """The names that select an asset: its symbol or label, its `#id`, and the symbol in a label."""
    if asset_id is None:
        return (asset,)
    number = f"#{asset_id}"
    symbol = asset.removesuffix(number)
    return (asset, number) if symbol in {asset, ""} else (asset, number, symbol)


def names_of(balance: Balance) -> tuple[str, ...]:
    """The names that select a row's asset."""
    return names(balance.asset, balance.asset_id)


def unlisted(
    account: str, assets: Iterable[str], balances: Iterable[Balance], others: Iterable[str] = ()
) -> list[Notice]:
    """A notice for each requested asset that the account does not list, with a similar name if there is one.

    `others` are the names in the response that have no balance.
    """
    assets, balances = tuple(assets), tuple(balances)
    there = {name for balance in balances for name in names_of(balance)}
    loose = {folded(name) for name in there}
    names = [*(balance.asset for balance in balances), *others]
    return [absent(account, asset, assets, names) for asset in assets if not _is_one_of(asset, there, loose)]


def absent(account: str, asset: str, asked: Sequence[str], there: Iterable[str]) -> Notice:
    """The notice for a requested asset that is not listed, with a similar name that is."""
    close = suggestion(asset, asked, there)
    return Notice(NOT_LISTED, account, f"{asset} is not listed{close}; check --asset")


def suggestion(asset: str, asked: Sequence[str], there: Iterable[str]) -> str:
    """`, but NAME is` with the listed name that is most similar to an unlisted asset; "" if none is similar.

    Requested names are not suggested. It does not ask "did you mean": USDC may be a typo of USDT, or another asset.
    """
    close = closest_match(asset, (name for name in there if not selects(asked, name)))
    return "" if close is None else f", but {printable(close)} is"
