"""Shell completion of profiles, accounts, faults and fields. On an error, nothing is completed."""

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import typer

if TYPE_CHECKING:
    from balcli.config.problems import Source

# Other characters are special in some shell, and Typer's scripts do not quote them.
_PLAIN: Final = r"[\w ./@:+,%=-]+"


def profiles(context: typer.Context, incomplete: str) -> list[str]:
    """The matching profiles of the config file."""
    from balcli.config.sources import profile_names
    from balcli.errors import BalcliError

    try:
        _, document = _read(_path(context))
    except (BalcliError, OSError, ValueError):
        return []
    return offered(profile_names(document), incomplete)


def accounts(context: typer.Context, incomplete: str) -> list[str]:
    """The matching accounts of the profile and the command's provider that are not given yet."""
    from balcli.config.profile import ProfileFile
    from balcli.config.sources import Variables
    from balcli.errors import BalcliError
    from balcli.providers import PROVIDERS

    try:
        path = _path(context)
        file = ProfileFile(path, *_read(path), Variables(os.environ))
        profile = file.profile(context.params.get("profile"))
    except (BalcliError, OSError, ValueError):
        return []
    command = context.info_name
    given = context.params.get("accounts") or context.params.get("account") or ()
    names = [
        entry.name
        for entry in profile.entries
        if entry.name not in given and (command not in PROVIDERS or command == entry.provider)
    ]
    return offered(names, incomplete)


def providers(incomplete: str) -> list[str]:
    """The matching providers."""
    from balcli.providers import PROVIDERS

    return offered(list(PROVIDERS), incomplete)


def fields(incomplete: str) -> list[str]:
    """The matching fields of a balance."""
    from balcli.models import AMOUNT_FIELDS

    return offered(list(AMOUNT_FIELDS), incomplete)


def faults(incomplete: str) -> list[str]:
    """The matching faults of the sandbox, as `PROVIDER:FAULT` if the text has a colon."""
    from balcli.sandbox.faults import fault_names

    return offered(fault_names(incomplete), incomplete)


def _path(context: typer.Context) -> Path:
    """The path of the config file. Raises ValueError for `~/` without HOME."""
    from balcli.cli.profiles import default_file
    from balcli.files import expand_home

    # A command without --config does not read BALCLI_CONFIG.
    named = context.params.get("config") or os.environ.get("BALCLI_CONFIG")
    return Path(expand_home(str(named), os.environ)) if named else default_file()


def _read(path: Path) -> "tuple[Source, Any]":
    """The config file's text and TOML document, without its `.env`, which completion does not need."""
    from balcli.config.problems import Source
    from balcli.config.sources import parse_toml, read_text
    from balcli.pipes import reader

    reader.refusal = "it is a FIFO, which only the run can read"
    source = Source("", read_text(path).text)
    return source, parse_toml(source)


def offered(names: list[str], incomplete: str) -> list[str]:
    """The matching names that are safe in every shell, quoted for the current one."""
    fitting = [name for name in names if name.startswith(incomplete) and re.fullmatch(_PLAIN, name)]
    if os.environ.get("_BALCLI_COMPLETE", "").endswith("_bash"):
        # Bash inserts a completion unquoted. The other shells quote it.
        return [name.replace(" ", "\\ ") for name in fitting]
    return fitting
