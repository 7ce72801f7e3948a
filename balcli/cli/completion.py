"""What the shell offers for names: profiles and accounts of the file, faults, fields. Trouble of any kind offers nothing."""

import os
import re
from pathlib import Path
from typing import Any, Final

import typer

# Other characters mean something to one shell or another, and no shell is told them right.
_PLAIN: Final = re.compile(r"[\w ./@:+,%=-]+")


def profiles(context: typer.Context, incomplete: str) -> list[str]:
    """The profiles of the file that begin so."""
    from balcli.config.tables import checked_table
    from balcli.errors import BalcliError

    try:
        _, _, document = _file(context)
        return _offered(list(checked_table(document.get("profiles", {}), "")), incomplete)
    except (BalcliError, OSError, ValueError):
        return []


def accounts(context: typer.Context, incomplete: str) -> list[str]:
    """The accounts of the profile that begin so and are not named yet; those of the command's own provider, if it has one."""
    from balcli.config.faults import KeptFaults
    from balcli.config.profile import ProfileFile
    from balcli.config.variables import Variables
    from balcli.errors import BalcliError
    from balcli.providers import PROVIDERS

    try:
        # What is wrong with one account does not keep the others from being offered.
        # The environment alone: no `.env` is read for a name.
        file = ProfileFile(*_file(context), Variables(os.environ))
        profile = file.profile(context.params.get("profile"), KeptFaults())
    except (BalcliError, OSError, ValueError):
        return []
    command = context.info_name
    given = context.params.get("accounts") or context.params.get("account") or ()
    names = [
        entry.name
        for entry in profile.entries
        if entry.name not in given and (command not in PROVIDERS or command == entry.provider)
    ]
    return _offered(names, incomplete)


def providers(incomplete: str) -> list[str]:
    """The providers that begin so."""
    from balcli.providers import PROVIDERS

    return _offered(list(PROVIDERS), incomplete)


def fields(incomplete: str) -> list[str]:
    """The fields of a balance that begin so."""
    from balcli.models import PARTS

    return _offered(list(PARTS), incomplete)


def faults(incomplete: str) -> list[str]:
    """The faults of the sandbox that begin so, those of one provider where the colon behind its name is there."""
    from balcli.providers import OWN
    from balcli.sandbox.faults import FAULTS

    parts = [f"{provider}:" for provider in OWN] if ":" in incomplete else [""]
    return _offered([part + name for part in parts for name in FAULTS], incomplete)


def _file(context: typer.Context) -> tuple[Path, str, dict[str, Any]]:
    """The profile file of the command line so far: its path, text and document."""
    from balcli.cli.profiles import default_file
    from balcli.config.source import parse_toml, read_text

    # The commands without a --config do not fill in its variable.
    named = context.params.get("config") or os.environ.get("BALCLI_CONFIG")
    path = Path(named) if named else default_file()
    text = read_text(path).text
    return path, text, parse_toml(text, "")


def _offered(names: list[str], incomplete: str) -> list[str]:
    fitting = [name for name in names if name.startswith(incomplete) and _PLAIN.fullmatch(name)]
    if os.environ.get("_BALCLI_COMPLETE", "").endswith("_bash"):
        # Bash takes what it is offered as typed; the other shells quote it themselves.
        return [name.replace(" ", "\\ ") for name in fitting]
    return fitting
