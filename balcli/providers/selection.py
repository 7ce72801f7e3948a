"""Which assets the user asked for: `--asset` matches a symbol, a label or `#id`, whatever the case."""

from collections.abc import Iterable, Sequence

from balcli.models import Balance, Notice

NOT_LISTED = "asset.not_listed"


def selects(assets: Sequence[str], *names: str) -> bool:
    """Whether one of an asset's names is among those asked for; no request at all selects everything."""
    if not assets:
        return True
    wanted = {asset.casefold() for asset in assets}
    return not wanted.isdisjoint(name.casefold() for name in names)


def names_of(balance: Balance) -> tuple[str, ...]:
    """What a row's asset can be asked for by: its symbol or label, and its id where it has one."""
    return (balance.asset,) if balance.asset_id is None else (balance.asset, f"#{balance.asset_id}")


def unlisted(account: str, assets: Iterable[str], balances: Iterable[Balance]) -> list[Notice]:
    """A notice for each asset that was asked for and that the account's answer does not list."""
    there = {name.casefold() for b in balances for name in names_of(b)}
    return [absent(account, asset) for asset in assets if asset.casefold() not in there]


def absent(account: str, asset: str) -> Notice:
    """The notice for an asset that an account does not list."""
    return Notice(NOT_LISTED, account, f"{asset} is not listed; check --asset if it should be")
