"""Providers that other installed packages add, through the entry point group `balcli.providers`."""

import io
import os
import re
import sys
from collections.abc import Container, Iterator
from contextlib import redirect_stdout, suppress
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from balcli.models import Notice
    from balcli.providers.base import Provider

GROUP: Final = "balcli.providers"
_NAMES: Final = ("NAME", "TITLE", "BASE_URL", "KEYS", "FLAGS", "ENDPOINTS", "open_account", "fetch")
_COMMAND = re.compile(r"[a-z][a-z0-9-]{0,30}")
_COMMANDS: Final = {"all", "check", "config", "diff", "doctor", "history", "replay", "sandbox", "schema"}
_KEYS: Final = {"ca_bundle", "command_timeout", "deadline", "jobs", "limits", "proxy", "retries", "timeout"}
TAKEN: Final = frozenset(_COMMANDS | _KEYS)
"""The names of other commands and of a profile's own keys, beside which a provider has its table."""


def installed_providers(taken: Container[str]) -> tuple[dict[str, "Provider"], tuple["Notice", ...]]:
    """The providers of other packages by name, and a notice for each that cannot be used."""
    found: dict[str, Provider] = {}
    notices: list[Notice] = []
    for entry in _entry_points():
        try:
            with redirect_stdout(io.StringIO()):  # stdout is for data
                provider = entry.load()
                problem = _problem(provider, taken, found)
                if not problem:
                    from balcli.providers.guard import Guarded  # here: most starts have no plug-in

                    found[provider.NAME] = Guarded(provider)
        except KeyboardInterrupt:
            raise
        except BaseException as failure:  # noqa: BLE001 - whatever a plug-in does, the others are loaded
            problem = f"it fails to load ({type(failure).__name__})"
        if problem:
            notices.append(_left_out(entry.name, problem))
    return found, tuple(notices)


def _left_out(name: str, problem: str) -> "Notice":
    from balcli.models import Notice  # here, like the next: most starts need neither
    from balcli.text import printable

    about = f"the provider plug-in {printable(name, 40)} is left out: {problem}; mend or remove it"
    return Notice("plugin.left_out", None, about)


def _problem(provider: Any, taken: Container[str], found: Container[str]) -> str:
    """Why a module is not a provider that can be added; "" if it is one."""
    missing = [name for name in _NAMES if not hasattr(provider, name)]
    if missing:
        return f"it has no {', '.join(missing)}"
    name = provider.NAME
    if not isinstance(name, str) or not _COMMAND.fullmatch(name) or name in TAKEN:
        return "its NAME cannot be a subcommand"
    from balcli.providers.guard import type_problem  # here: most starts have no plug-in

    return type_problem(provider) or (f"its name {name} is taken" if name in taken or name in found else "")


def _entry_points() -> Iterator[Any]:
    """The entry points of the group, if any installed package names it at all.

    `importlib.metadata.entry_points` takes 68 million instructions, 29 % of `balcli --version`; this search takes 2.
    """
    if any(_names_group(folder) for folder in sys.path):
        from importlib.metadata import entry_points

        yield from entry_points(group=GROUP)


def _names_group(folder: str) -> bool:
    """Whether an `entry_points.txt` of a package installed in the folder contains the group's name."""
    try:
        with os.scandir(folder or ".") as entries:
            packages = [entry.name for entry in entries if entry.name.endswith(".dist-info")]
    except OSError:
        return False  # nothing can be loaded from a folder that cannot be read
    for package in packages:
        # A Path for each package takes longer than the reading.
        with suppress(OSError), open(f"{folder or '.'}/{package}/entry_points.txt", "rb") as stream:  # noqa: PTH123
            if f"[{GROUP}]".encode() in stream.read():
                return True
    return False
