"""The registry: one line a provider, in the order of the subcommands."""

from typing import Final

from balcli.providers import loopring, merchant, wallet
from balcli.providers.base import Provider

PROVIDERS: Final[dict[str, Provider]] = {
    provider.NAME: provider
    for provider in (
        loopring,
        wallet,
        merchant,
    )
}
