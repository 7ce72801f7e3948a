"""The registry of providers, in the order of the subcommands: balcli's own, then those of installed packages.

A provider's module is imported when it is first looked up, so a run imports only what it uses. Other packages
register providers in the entry point group `balcli.providers`.
"""

import io
import os
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import redirect_stdout, suppress
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, cast

if TYPE_CHECKING:
    from balcli.models import Notice
    from balcli.providers import loopring, merchant, wallet
    from balcli.providers.base import Coverage, Provider

    _CHECKED: tuple[Provider, ...] = (loopring, wallet, merchant)

OWN: Final = {
    "loopring": "Loopring relayer",
    "wallet": "KunaCore wallet API",
    "merchant": "VelaFi merchant API",
}
"""The providers of this package, with the name of each API."""

_GROUP: Final = "balcli.providers"
_NAMES: Final = ("NAME", "TITLE", "BASE_URL", "KEYS", "FLAGS", "ENDPOINTS", "open_account", "fetch")
_COMMANDS: Final = {
    *("all", "check", "completion", "config", "diff", "doctor"),
    *("help", "history", "mcp", "replay", "sandbox", "schema", "version"),
}
_KEYS: Final = {"ca_bundle", "command_timeout", "deadline", "jobs", "limits", "proxy", "retries", "timeout"}
TAKEN: Final = frozenset(_COMMANDS | _KEYS)
"""Names that a provider cannot have: those of other commands and of a profile's keys."""


class _Registry(Mapping[str, "Provider"]):
    """The providers by name. A lookup imports the module."""

    def __init__(self) -> None:
        self._loaded: dict[str, Provider] = {}
        self.titles: Final = dict(OWN)
        """The name of each provider's API, known without an import."""

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

    def add_installed(self) -> "Iterator[Notice]":
        """Add the providers of other packages. Yields a notice for each that cannot be used."""
        from importlib.metadata import entry_points

        from balcli.models import Notice
        from balcli.providers.guard import Guarded
        from balcli.text import printable

        for entry in entry_points(group=_GROUP):
            try:
                with redirect_stdout(io.StringIO()):  # stdout is for data
                    provider = entry.load()
                    problem = self._problem(provider)
                    if not problem:
                        self._loaded[provider.NAME] = Guarded(provider)
                        self.titles[provider.NAME] = provider.TITLE
            except KeyboardInterrupt:
                raise
            except BaseException as failure:  # noqa: BLE001 - a faulty plugin must not stop the others
                problem = f"loading it raised {type(failure).__name__}"
            if problem:
                message = (
                    f"skipped the provider plugin {printable(entry.name, 40)}: {problem}; update or remove it"
                )
                yield Notice("plugin.left_out", None, message)

    def _problem(self, provider: Any) -> str:
        """Why a module cannot be added as a provider; "" if it can."""
        from balcli.providers.guard import type_problem

        missing = [name for name in _NAMES if not hasattr(provider, name)]
        if missing:
            return f"it has no {', '.join(missing)}"
        name = provider.NAME
        if not isinstance(name, str) or not re.fullmatch("[a-z][a-z0-9-]{0,30}", name) or name in TAKEN:
            return "its NAME cannot be a subcommand"
        return type_problem(provider) or (f"its NAME {name} is already in use" if name in self else "")


def _are_installed() -> bool:
    """Whether the `entry_points.txt` of any installed package contains the group's name.

    `importlib.metadata.entry_points` takes 68 million instructions, 29% of `balcli --version`. This search takes 2
    million.
    """
    for folder in sys.path:
        # Python cannot import from a folder that it cannot read.
        with suppress(OSError), os.scandir(folder or ".") as entries:
            for entry in entries:
                if entry.name.endswith(".dist-info"):
                    # Making a Path for each package takes longer than reading the file.
                    with suppress(OSError), open(f"{entry.path}/entry_points.txt", "rb") as stream:  # noqa: PTH123
                        if f"[{_GROUP}]".encode() in stream.read():
                            return True
    return False


PROVIDERS: Final = _Registry()
PLUGIN_NOTICES: Final = tuple(PROVIDERS.add_installed()) if _are_installed() else ()
"""A notice for each provider plugin that cannot be used."""


def coverage_of(name: str) -> "Coverage":
    """What a provider's balances cover; empty if the provider does not say."""
    from balcli.providers.base import Coverage, HasCoverage

    provider = PROVIDERS.get(name)
    return provider.COVERAGE if isinstance(provider, HasCoverage) else Coverage((), (), None)


__all__ = ["OWN", "PLUGIN_NOTICES", "PROVIDERS", "coverage_of"]
