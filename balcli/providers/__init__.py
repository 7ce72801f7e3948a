"""The registry of providers, in the order of the subcommands; installed packages can add theirs.

A provider's module is imported when it is first looked up: a run imports those that it uses.
"""

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Final, cast

from balcli.providers.plugins import installed_providers

if TYPE_CHECKING:
    from balcli.providers import loopring, merchant, wallet
    from balcli.providers.base import Coverage, Provider

    _CHECKED: tuple[Provider, ...] = (loopring, wallet, merchant)

OWN: Final = {
    "loopring": "Loopring relayer",
    "wallet": "KunaCore wallet API",
    "merchant": "VelaFi merchant API",
}
"""The providers of this package, each with the name of its API."""


class _Registry(Mapping[str, "Provider"]):
    """The providers by name; a look-up imports the module."""

    def __init__(self, added: dict[str, "Provider"]) -> None:
        self._loaded = added
        self.titles: Final = {**OWN, **{name: provider.TITLE for name, provider in added.items()}}
        """The name of each provider's API, without importing it."""

    def __getitem__(self, name: str) -> "Provider":
        if name not in self._loaded and name in OWN:
            self._loaded[name] = cast("Provider", import_module(f"balcli.providers.{name}"))
        return self._loaded[name]

    def __contains__(self, name: object) -> bool:
        return name in self.titles

    def __iter__(self) -> Iterator[str]:
        return iter(self.titles)

    def __len__(self) -> int:
        return len(self.titles)


_added, PLUGIN_NOTICES = installed_providers(OWN)
PROVIDERS: Final = _Registry(_added)


def coverage_of(name: str) -> "Coverage":
    """What a provider's balances cover; empty if it does not say."""
    from balcli.providers.base import Coverage, HasCoverage

    provider = PROVIDERS.get(name)
    return provider.COVERAGE if isinstance(provider, HasCoverage) else Coverage((), (), None)


__all__ = ["OWN", "PLUGIN_NOTICES", "PROVIDERS", "coverage_of"]
