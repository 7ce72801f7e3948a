"""A profile: its accounts, request settings and thresholds, read without touching a secret.

Each message names file, key and cure, never a value.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from balcli.config.checks import RAISED, Faults, checked_table, refuse_doubles, refuse_unknown
from balcli.config.entry import Entry, entries_of_table, entries_of_variables
from balcli.config.sources import (
    Variables,
    has_own_text,
    is_there,
    parse_toml,
    pem_flaw,
    read_text,
    read_variables,
)
from balcli.errors import ConfigFileError, ProfileError, ValueProblem
from balcli.files import shown
from balcli.models import Notice
from balcli.providers import PROVIDERS
from balcli.providers.base import Key
from balcli.secret import Secret, reveal
from balcli.settings import MOST_JOBS, MOST_RETRIES, MOST_SECONDS, RequestSettings
from balcli.text import did_you_mean, join_names, printable
from balcli.urls import checked_proxy

if TYPE_CHECKING:
    from balcli.config.thresholds import ThresholdEntry

RUN_KEYS: Final = {
    "timeout": "seconds for one request",
    "deadline": "seconds for the whole run",
    "retries": "tries after the first, where another can help",
    "jobs": "accounts asked at once",
    "proxy": "http://host:port; else HTTPS_PROXY and NO_PROXY count",
    "ca_bundle": "a PEM file, relative to this one; else the built-in certificates",
}
"""The keys that a profile has beside its accounts and limits, and what each is."""
_OTHER_KEYS: Final = ("limits",)


class Profile(NamedTuple):
    """One profile, checked as far as that goes without its accounts' secrets."""

    name: str | None
    entries: tuple[Entry, ...]
    request_settings: RequestSettings
    variables: Variables
    place: str = "the environment"
    """Where it stands: `FILE: profiles.main`."""
    unusable: frozenset[str] = frozenset()
    """The keys of its own that have a fault, where faults are kept."""
    thresholds: tuple["ThresholdEntry", ...] = ()
    """What it holds balances against."""

    @property
    def notices(self) -> tuple[Notice, ...]:
        """What a reader of the run should know about the configuration."""
        return self.variables.notices


class ProfileFile(NamedTuple):
    """A profile file and its variables, as they were read; nothing of them is chosen yet."""

    path: Path
    text: str
    document: Mapping[str, Any]
    variables: Variables

    def profile(self, name: str | None, faults: Faults = RAISED) -> Profile:
        """The profile of that name, or the one that can only be meant."""
        return parse(
            self.document,
            shown(self.path),
            self.path.parent,
            name=name,
            variables=self.variables,
            faults=faults,
        )

    @property
    def names(self) -> list[str]:
        """The profiles that there are. Raises ValueProblem where they are no table."""
        return list(_profiles(self.document, shown(self.path)))


def load(
    file: Path, *, must_exist: bool, name: str | None, env_file: Path | None, environ: Mapping[str, str]
) -> Profile:
    """The profile of that name in a file, or the one that can only be meant, with the environment's accounts.

    Without the file (where it need not exist) the accounts are those of the environment alone.
    """
    if not must_exist and not is_there(file):
        return without_file(file, name=name, env_file=env_file, environ=environ)
    return read_file(file, env_file=env_file, environ=environ).profile(name)


def without_file(
    file: Path,
    *,
    name: str | None,
    env_file: Path | None,
    environ: Mapping[str, str],
    faults: Faults = RAISED,
) -> Profile:
    """The accounts of the environment, where there is no file. Raises ConfigFileError if that has none, either."""
    if name is not None:
        raise ProfileError(
            f"there is no profile {printable(name, 40)}: the file {shown(file)} is not there; write it with balcli config init, or name another with --config"
        )
    variables = read_variables(environ, env_file, faults)
    entries = tuple(entries_of_variables(variables, PROVIDERS, faults))
    if not entries:
        raise ConfigFileError(
            f"{shown(file)}: there is no such file; write one with balcli config init, name one with "
            "--config, set BALCLI_<PROVIDER>_<KEY> variables, or try --sandbox"
        )
    return Profile(None, entries, RequestSettings(), variables)


def read_file(
    file: Path, *, env_file: Path | None, environ: Mapping[str, str], faults: Faults = RAISED
) -> ProfileFile:
    """The file, with the variables of the environment and of the `.env` beside it or the one that is named.

    Raises ConfigFileError and ConfigSyntaxError; what can be passed over is left to the faults.
    """
    read = read_text(file, faults=faults)
    if env_file is None and is_there(file.parent / ".env"):
        env_file = file.parent / ".env"
    variables = read_variables(environ, env_file, faults)
    document = parse_toml(read.text, shown(file))
    if holds_secret(document):
        with faults:
            read.refuse_if_readable("a secret stands in it")
    return ProfileFile(file, read.text, document, variables)


def holds_secret(document: Mapping[str, Any]) -> bool:
    """Whether a secret key, a login's value or a proxy has text that is not filled in from elsewhere."""
    profiles = document.get("profiles")
    tables = (
        [table for table in profiles.values() if isinstance(table, dict)]
        if isinstance(profiles, dict)
        else []
    )
    for table in tables:
        if isinstance(table.get("proxy"), str) and "@" in table["proxy"]:
            return True
        for name in PROVIDERS.keys() & table.keys():
            entries = table[name] if isinstance(table[name], list) else [table[name]]
            for entry in entries:
                if isinstance(entry, dict) and any(
                    _stands_open(key, entry.get(key.name)) for key in PROVIDERS[name].KEYS
                ):
                    return True
    return False


def _stands_open(key: Key, value: Any) -> bool:
    """Whether the value of a key that can hold a secret has text of its own, in a table at any depth."""
    if isinstance(value, str):
        return key.kind == "secret" and has_own_text(value)
    return key.kind == "table" and isinstance(value, dict) and _has_text(value)


def _has_text(value: Any) -> bool:
    if isinstance(value, str):
        return has_own_text(value)
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return any(_has_text(item) for item in items)


def parse(
    document: Mapping[str, Any],
    source: str,
    directory: Path,
    *,
    name: str | None,
    variables: Variables,
    faults: Faults = RAISED,
) -> Profile:
    """The profile in a file's document; relative paths in it are relative to the directory."""
    refuse_unknown(document, ("default_profile", "profiles"), source, "", faults)
    profiles = _profiles(document, source)
    chosen = _choose(document, profiles, name, source, faults)
    place = f"{source}: profiles.{printable(chosen, 40)}"
    table = checked_table(profiles[chosen], place)
    refuse_unknown(table, (*PROVIDERS, *RUN_KEYS, *_OTHER_KEYS), place, ".", faults)
    entries: list[Entry] = []
    before = faults.count
    for key, value in table.items():
        if key in PROVIDERS:
            path = ("profiles", chosen, key)
            entries += entries_of_table(
                PROVIDERS[key], value, f"{place}.{key}", path, directory, variables, faults
            )
    entries += entries_of_variables(variables, [key for key in PROVIDERS if key not in table], faults)
    refuse_doubles(
        ((entry.name, entry.table) for entry in entries),
        "are both named {}; rename one with name = …",
        faults,
    )
    # Where an account has a fault, its name may not be known.
    names = [entry.name for entry in entries] if faults.count == before else None
    thresholds: tuple[ThresholdEntry, ...] = ()
    if "limits" in table:
        from balcli.config.thresholds import read_thresholds  # here, because most profiles have none

        thresholds = read_thresholds(table["limits"], f"{place}.limits", names, variables, faults)
    settings, unusable = _request_settings(table, place, directory, variables, faults)
    return Profile(chosen, tuple(entries), settings, variables, place, unusable, thresholds)


def _profiles(document: Mapping[str, Any], source: str) -> Mapping[str, Any]:
    return checked_table(document.get("profiles", {}), f"{source}: profiles")


def _choose(
    document: Mapping[str, Any], profiles: Mapping[str, Any], name: str | None, source: str, faults: Faults
) -> str:
    """The profile that is asked for, the default one, or the only one."""
    none = "there is none; add [profiles.main]"
    default = document.get("default_profile")
    if default is not None and (not isinstance(default, str) or default not in profiles):
        with faults:
            if not isinstance(default, str):
                raise ValueProblem(f"{source}: default_profile: is no text; give the name of a profile")
            there = did_you_mean(default, profiles) if profiles else none
            raise ProfileError(
                f"{source}: default_profile: there is no profile {printable(default, 40)}; {there}"
            )
        default = None
    if name is not None and name not in profiles:
        there = did_you_mean(name, profiles) if profiles else none
        raise ProfileError(f"{source}: there is no profile {printable(name, 40)}; {there}")
    if name is None and default is None and len(profiles) != 1:
        raise ProfileError(
            f"{source}: there are several profiles ({join_names(profiles)}); name one with --profile or default_profile"
            if profiles
            else f"{source}: has no profile; add [profiles.main]"
        )
    return name or default or next(iter(profiles))


def _request_settings(
    table: Mapping[str, Any], place: str, directory: Path, variables: Variables, faults: Faults
) -> tuple[RequestSettings, frozenset[str]]:
    """The profile's own time-outs and ways to the network, the defaults where it has none; and the faulty keys."""
    read: dict[str, Callable[[str], Any]] = {
        "timeout": lambda at: _number(table["timeout"], at),
        "deadline": lambda at: _number(table["deadline"], at),
        "retries": lambda at: _whole(table["retries"], at, 0, MOST_RETRIES),
        "jobs": lambda at: _whole(table["jobs"], at, 1, MOST_JOBS),
        "proxy": lambda at: _proxy(_text(table["proxy"], at, variables), at),
        "ca_bundle": lambda at: directory / _text(table["ca_bundle"], at, variables),
    }
    found: dict[str, Any] = {}
    given = [key for key in RUN_KEYS if key in table]
    for key in given:
        with faults:
            found[key] = read[key](f"{place}.{key}")
    return RequestSettings()._replace(**found), frozenset(given) - found.keys()


def _number(value: Any, place: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= MOST_SECONDS:
        raise ValueProblem(
            f"{place}: is no number of seconds above 0 and up to {MOST_SECONDS:g}; write one{_unquoted(value)}"
        )
    return float(value)


def _whole(value: Any, place: str, least: int, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise ValueProblem(f"{place}: is no whole number from {least} to {most}; write one{_unquoted(value)}")
    return value


def _unquoted(value: Any) -> str:
    return " without quotes" if isinstance(value, str) else ""


def _text(value: Any, place: str, variables: Variables) -> str:
    if not isinstance(value, str) or not value:
        raise ValueProblem(f"{place}: is no text; write it in quotes")
    return variables.expand(value, place)


def _proxy(text: str, place: str) -> str:
    try:
        # It may hold a password: made a secret, it is hidden wherever it might turn up.
        return reveal(Secret(checked_proxy(text)))
    except ValueError as problem:
        raise ValueProblem(f"{place}: {problem}") from None


def refuse_bad_bundle(profile: Profile, faults: Faults = RAISED) -> None:
    """Refuse a ca_bundle that does not look like certificates; whether TLS can use them shows with it."""
    bundle = profile.request_settings.ca_bundle
    flaw = pem_flaw(bundle) if bundle is not None else None
    if bundle is not None and flaw is not None:
        with faults:
            raise ValueProblem(
                f"{profile.place}.ca_bundle: {shown(bundle)} {flaw}; name a file of PEM certificates, or leave it out"
            )
