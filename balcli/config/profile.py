"""A profile: which accounts there are and where each is described, checked without touching a secret.

What cannot be so is refused before any request. Each message names file, key and cure, never a value.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from balcli.config.faults import RAISED, Faults
from balcli.config.lines import KeyPath
from balcli.config.plaintext import holds_secret
from balcli.config.source import is_there, parse_toml, pem_flaw, read_text
from balcli.config.tables import checked_table, refuse_doubles, refuse_unknown
from balcli.config.variables import Variables, prefix_of, read_variables
from balcli.errors import (
    ConfigFileError,
    KeyProblem,
    ProfileError,
    ValueProblem,
)
from balcli.files import shown, working_folder
from balcli.models import Notice
from balcli.providers import PROVIDERS
from balcli.providers.base import Key, Provider
from balcli.secret import Secret, reveal
from balcli.settings import MOST_JOBS, MOST_RETRIES, MOST_SECONDS, RequestSettings
from balcli.text import closest_match, did_you_mean, listed, printable
from balcli.urls import checked_proxy

if TYPE_CHECKING:
    from balcli.config.thresholds import ThresholdEntry

COMMON_KEYS: Final = (
    Key("name", "text", "the account's name in the output"),
    Key("base_url", "text", "where the API is"),
)
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


class Entry(NamedTuple):
    """An account as it stands in the profile or the environment, before its variables are filled in."""

    provider: str
    name: str
    settings: Mapping[str, Any]
    table: str
    """Where it stands: `FILE: profiles.main.wallet[0]`, or the name of the variables' source."""
    folder: Path
    """What a relative path in it is relative to."""
    from_variables: bool = False
    path: KeyPath = ()
    """The keys that lead to its table in the file."""

    def at(self, key: str) -> str:
        """The place of a key, as messages name it."""
        if self.from_variables:
            return f"{self.variable(key)} ({self.table})"
        return f"{self.table}.{key}"

    def variable(self, key: str) -> str:
        """The name of the variable that gives a key, where variables make the account."""
        return f"{prefix_of(self.provider)}{key.upper()}"

    def add(self, keys: Collection[str]) -> str:
        """How any one of these keys is given."""
        names = [self.variable(key) for key in keys if key in settable(self.provider)]
        if self.from_variables and names:
            return f"set {' or '.join(names)}"
        return f"add {' or '.join(keys)}"


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
    entries = tuple(_entries_of_variables(variables, PROVIDERS, faults))
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
            entries += _entries_of_table(
                PROVIDERS[key], value, f"{place}.{key}", path, directory, variables, faults
            )
    entries += _entries_of_variables(variables, [key for key in PROVIDERS if key not in table], faults)
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
            f"{source}: there are several profiles ({listed(profiles)}); name one with --profile or default_profile"
            if profiles
            else f"{source}: has no profile; add [profiles.main]"
        )
    return name or default or next(iter(profiles))


def _entries_of_table(
    provider: Provider,
    value: Any,
    place: str,
    path: KeyPath,
    folder: Path,
    variables: Variables,
    faults: Faults,
) -> list[Entry]:
    """The accounts of one provider in a profile: one table, or a list of tables with names."""
    several = isinstance(value, list)
    tables = value if several else [value]
    entries = []
    for number, item in enumerate(tables):
        at = f"{place}[{number}]" if several else place
        with faults:
            table = checked_table(item, at)
            refuse_unknown(table, declared(provider.NAME), at, ".", faults)
            # Where its own has a fault, the place serves as one that no other account has.
            name = f"({at.rpartition('.')[2]})"
            with faults:
                name = _name(table, provider, at, variables, needed=len(tables) > 1)
            where = (*path, number) if several else path
            entries.append(Entry(provider.NAME, name, table, at, folder, path=where))
    return entries


def _name(
    table: Mapping[str, Any], provider: Provider, place: str, variables: Variables, *, needed: bool
) -> str:
    """The account's name, the provider's where it has none of its own and needs none."""
    if "name" not in table and needed:
        raise KeyProblem(f"{place}.name: is missing, and several accounts need one each; add name = …")
    name = table.get("name", provider.NAME)
    if not isinstance(name, str):
        raise ValueProblem(f"{place}.name: is no text; write it in quotes")
    return _checked_name(variables.expand(name, f"{place}.name"), f"{place}.name")


def _entries_of_variables(variables: Variables, providers: Iterable[str], faults: Faults) -> list[Entry]:
    """The accounts that `BALCLI_<PROVIDER>_<KEY>` variables describe."""
    entries = []
    for key in providers:
        settings, origin = variables.settings(key)
        if settings:
            entry = Entry(
                key, settings.get("name", key), settings, origin, working_folder(), from_variables=True
            )
            known = settable(key)
            for unknown in sorted(settings.keys() - set(known)):
                with faults:
                    close = closest_match(unknown, known)
                    names = listed(name.upper() for name in known)
                    raise KeyProblem(
                        f"{entry.at(unknown)}: is no setting that balcli knows; "
                        + (
                            f"use {prefix_of(key)} with {names}"
                            if close is None
                            else f"did you mean {entry.variable(close)}?"
                        )
                    )
            with faults:
                _checked_name(entry.name, entry.at("name"))
            entries.append(entry)
    return entries


@cache  # once for each provider, not for each account
def declared(provider: str) -> Mapping[str, Key]:
    """What an account's table can have at a provider: each spelling, with the key that it gives."""
    return {name: key for key in (*COMMON_KEYS, *PROVIDERS[provider].KEYS) for name in key.spellings}


def settable(provider: str) -> list[str]:
    """The spellings that variables can have: a table and a list of arguments cannot be written as one text."""
    keys = declared(provider).items()
    return [name for name, key in keys if key.kind != "table" and not name.endswith("_command")]


def _checked_name(name: str, place: str) -> str:
    if not name or not name.isprintable() or len(name) > 100 or name.startswith("-") or "/" in name:
        raise ValueProblem(
            f"{place}: is no usable name; give 1 to 100 printable characters without a slash, the first no dash"
        )
    return name


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
