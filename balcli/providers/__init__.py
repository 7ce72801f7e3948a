"""The registry: one line a provider, in the order of the subcommands; installed packages may add theirs."""

from typing import Final

from balcli.providers import loopring, merchant, wallet
from balcli.providers.base import Provider
from balcli.providers.plugins import installed_providers

_OWN: Final[tuple[Provider, ...]] = (
    loopring,
    wallet,
    merchant,
)

PROVIDERS: Final[dict[str, Provider]] = {provider.NAME: provider for provider in _OWN}

_added, PLUGIN_NOTICES = installed_providers(PROVIDERS)
PROVIDERS.update(_added)

__all__ = ["PLUGIN_NOTICES", "PROVIDERS"]
