"""Providers that other installed packages add, through the entry point group `balcli.providers`."""

import io
import os
import re
import sys
from collections.abc import Container, Iterator
from contextlib import redirect_stdout
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from balcli.models import Notice
    from balcli.providers.base import Provider

GROUP: Final = "balcli.providers"
_NAMES: Final = ("NAME", "TITLE", "BASE_URL", "KEYS", "FLAGS", "ENDPOINTS", "open_account", "fetch")
_COMMAND = re.compile(r"[a-z][a-z0-9-]{0,30}")
_COMMANDS: Final = {"all", "check", "config", "diff", "doctor", "history", "replay", "sandbox", "schema"}
_KEYS: Final = {"ca_bundle", "deadline", "jobs", "limits", "proxy", "retries", "timeout"}
TAKEN: Final = frozenset(_COMMANDS | _KEYS)
"""The names of other commands and of a profile's own keys, beside which a provider has its table."""


def installed_providers(taken: Container[str]) -> tuple[dict[str, "Provider"], tuple["Notice", ...]]:
    """The providers of other packages by name, and a notice for each that cannot be used."""
    found: dict[str, Provider] = {}
    notices: list[Notice] = []
    for entry in _entry_points():
        try:
            with redirect_stdout(io.StringIO()):  # stdout is for data alone
                provider = entry.load()
                problem = _flaw(provider)
                if not problem and (provider.NAME in taken or provider.NAME in found):
                    problem = f"its name {provider.NAME} is taken"
                if not problem:
                    from balcli.providers.guard import Guarded  # here: most starts have no plug-in

                    found[provider.NAME] = Guarded(provider)
        except KeyboardInterrupt:
            raise
        except BaseException as failure:  # noqa: BLE001 - whatever a stranger's module does, the others go on
            problem = f"it fails to load ({type(failure).__name__})"
        if problem:
            notices.append(_left_out(entry.name, problem))
    return found, tuple(notices)


def _left_out(name: str, problem: str) -> "Notice":
    # Imported here, because there is seldom cause: the rest of a start does without these.
    from balcli.models import Notice
    from balcli.text import printable

    about = f"the provider plug-in {printable(name, 40)} is left out: {problem}; mend or remove it"
    return Notice("plugin.left_out", None, about)


def _flaw(provider: Any) -> str:
    """What a module lacks to be a provider; "" if nothing."""
    missing = [name for name in _NAMES if not hasattr(provider, name)]
    if missing:
        return f"it has no {', '.join(missing)}"
    if not isinstance(provider.NAME, str) or not _COMMAND.fullmatch(provider.NAME) or provider.NAME in TAKEN:
        return "its NAME cannot be a subcommand"
    from balcli.providers.guard import permission_problem

    return permission_problem(provider)


def _entry_points() -> Iterator[Any]:
    """The group's entry points, if any installed package names the group at all.

    importlib.metadata costs a fifth of a whole start, so the files are looked through first.
    """
    if any(_names_group(file) for folder in sys.path for file in _entry_files(folder)):
        from importlib.metadata import entry_points

        yield from entry_points(group=GROUP)


def _entry_files(folder: str) -> Iterator[str]:
    try:
        with os.scandir(folder or ".") as entries:
            names = [entry.name for entry in entries if entry.name.endswith(".dist-info")]
    except OSError:
        return  # a folder of the path that cannot be read holds nothing that could be loaded
    for name in names:
        yield f"{folder or '.'}/{name}/entry_points.txt"


def _names_group(file: str) -> bool:
    try:
        with open(file, "rb") as stream:  # noqa: PTH123 - a Path for each package takes longer than the reading
            return f"[{GROUP}]".encode() in stream.read()
    except OSError:
        return False
