"""The default config file, new files next to it, and the profile of a sandbox."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import typer

from balcli.cli.output import print_message
from balcli.errors import ConfigFileError, OutputError, UsageError
from balcli.files import shown, write_new
from balcli.text import closest_match, printable

if TYPE_CHECKING:
    from balcli.config.profile import Profile
    from balcli.sandbox import Sandbox

SANDBOX: Final = "sandbox"
"""The name of the sandbox's profile."""


def default_file() -> Path:
    """The default path of the config file. Raises ConfigFileError if the home directory is not an absolute path."""
    folder = Path(typer.get_app_dir("balcli"))
    # An empty HOME would mean the root folder.
    homeless = os.environ.get("HOME") == "" and not os.environ.get("XDG_CONFIG_HOME")
    if homeless or not folder.is_absolute():
        raise ConfigFileError(
            "no default path for the config file: HOME or XDG_CONFIG_HOME is not an absolute path; set it, or use --config"
        )
    return folder / "config.toml"


def refuse_existing(file: Path, cure: str) -> None:
    """Raise ConfigFileError if the path exists."""
    if os.path.lexists(file):
        raise ConfigFileError(f"{shown(file)} already exists; {cure}")


def write_new_files(texts: Mapping[Path, str], cure: str) -> None:
    """Write new files that only the user can read, all or none. Raises ConfigFileError and OutputError."""
    try:
        write_new({path: text.encode() for path, text in texts.items()})
    except FileExistsError as problem:
        raise ConfigFileError(f"{shown(Path(problem.filename))} already exists; {cure}") from None
    except OSError as problem:
        where = ", ".join(map(shown, texts))
        raise OutputError(
            f"{where} cannot be written: {problem.strerror}; check the folder, or {cure}"
        ) from None


def sandbox_profile(server: "Sandbox") -> "Profile":
    """The profile with an account of each provider at a running sandbox."""
    from balcli.config.problems import Source
    from balcli.config.profile import ProfileFile
    from balcli.config.sources import Variables, parse_toml

    # No variable of the environment may add a real account.
    source = Source("the sandbox's profile", server.profile(SANDBOX))
    document = parse_toml(source)
    return ProfileFile(Path(os.sep, "config.toml"), source, document, Variables({})).profile(SANDBOX)


def start_sandbox(
    port: int = 0, latency: float = 0.0, faults: Sequence[str] | None = None, *, log: bool = False
) -> "Sandbox":
    """A sandbox context that delays responses by `latency` seconds. Raises UsageError for an unknown fault."""
    from balcli.sandbox import Sandbox
    from balcli.sandbox.faults import fault_names

    try:
        return Sandbox(
            port=port, latency=latency, faults=list(faults or ()), log_line=print_message if log else None
        )
    except ValueError as unknown:
        named = str(unknown)
        close = closest_match(named, fault_names(named))
        hint = "" if close is None else f"did you mean {close}? "
        raise UsageError(
            f"--fault: unknown fault {printable(named, 60)}; {hint}balcli sandbox --faults lists them"
        ) from None
    except OSError as problem:
        raise OutputError(
            f"port {port} of 127.0.0.1 cannot be used: {problem.strerror}; use another --port"
        ) from None
