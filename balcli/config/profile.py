"""A profile: its accounts, request settings and thresholds, read without touching a secret.

Each message names file, key and cure, never a value.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from balcli.config.checks import RAISE_FIRST, Problems, checked_table, reject_duplicates, reject_unknown_keys
from balcli.config.entry import Entry, entries_of_table, entries_of_variables
from balcli.config.sources import (
    Variables,
    exists,
    has_own_text,
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
from balcli.settings import MOST_COMMAND_SECONDS, MOST_JOBS, MOST_RETRIES, MOST_SECONDS, RequestSettings
from balcli.text import did_you_mean, join_names, printable
from balcli.urls import validate_proxy

if TYPE_CHECKING:
    from balcli.config.thresholds import ThresholdEntry

RUN_KEYS: Final = {
    "timeout": "seconds for one request",
    "deadline": "seconds for the whole run",
    "command_timeout": "seconds for a secret's command, up to 120",
    "retries": "tries after the first, where another can help",
    "jobs": "accounts asked at once",
    "proxy": "http://host:port; else HTTPS_PROXY and NO_PROXY count",
    "ca_bundle": "a PEM file, relative to this one; else the built-in certificates",
}
"""The keys of a profile beside its accounts and limits, with their help."""
_LIMITS: Final = "limits"


class Profile(NamedTuple):
    """One profile, checked as far as that goes without its accounts' secrets."""

    name: str | None
    entries: tuple[Entry, ...]
    request_settings: RequestSettings
    variables: Variables
    place: str = "the environment"
    """Its place in messages: `FILE: profiles.main`."""
    unusable: frozenset[str] = frozenset()
    """Those of `RUN_KEYS` that have a problem, where problems are collected."""
    thresholds: tuple["ThresholdEntry", ...] = ()

    @property
    def notices(self) -> tuple[Notice, ...]:
        """The warnings about its variables."""
        return self.variables.notices


class ProfileFile(NamedTuple):
    """A profile file and its variables as they were read."""

    path: Path
    text: str
    document: Mapping[str, Any]
    variables: Variables

    def profile(self, name: str | None, problems: Problems = RAISE_FIRST) -> Profile:
        """The profile of that name; without a name the default or only one. The problems are ConfigErrors."""
        source, folder = shown(self.path), self.path.parent
        return parse(self.document, source, folder, name=name, variables=self.variables, problems=problems)

    @property
    def names(self) -> list[str]:
        """The names of its profiles. Raises ValueProblem."""
        return list(_profiles(self.document, shown(self.path)))


def load(
    file: Path, *, must_exist: bool, name: str | None, env_file: Path | None, environ: Mapping[str, str]
) -> Profile:
    """The profile of that name in a file; without a name the default or only one.

    If the file does not exist and need not, the accounts are those of the environment. Raises ConfigErrors.
    """
    if not must_exist and not exists(file):
        return without_file(file, name=name, env_file=env_file, environ=environ)
    return read_file(file, env_file=env_file, environ=environ).profile(name)


def without_file(
    file: Path,
    *,
    name: str | None,
    env_file: Path | None,
    environ: Mapping[str, str],
    problems: Problems = RAISE_FIRST,
) -> Profile:
    """The accounts of the environment, where the file does not exist. Raises ConfigFileError if it has none."""
    if name is not None:
        raise ProfileError(
            f"there is no profile {printable(name, 40)}: the file {shown(file)} is not there; write it with balcli config init, or name another with --config"
        )
    variables = read_variables(environ, env_file, problems)
    entries = tuple(entries_of_variables(variables, PROVIDERS, problems))
    if not entries:
        raise ConfigFileError(
            f"{shown(file)}: there is no such file; write one with balcli config init, name one with "
            "--config, set BALCLI_<PROVIDER>_<KEY> variables, or try --sandbox"
        )
    return Profile(None, entries, RequestSettings(), variables)


def read_file(
    file: Path, *, env_file: Path | None, environ: Mapping[str, str], problems: Problems = RAISE_FIRST
) -> ProfileFile:
    """The file, with the variables of the environment and of the named `.env` or the one beside it.

    Raises ConfigFileError and ConfigSyntaxError. Problems that do not end the reading are added.
    """
    read = read_text(file, problems=problems)
    if env_file is None and exists(file.parent / ".env"):
        env_file = file.parent / ".env"
    variables = read_variables(environ, env_file, problems)
    document = parse_toml(read.text, shown(file))
    if holds_secret(document):
        with problems:
            read.require_private("a secret stands in it")
    return ProfileFile(file, read.text, document, variables)


def holds_secret(document: Mapping[str, Any]) -> bool:
    """Whether a secret key, a login or a proxy has text of its own, beside `${NAME}`: then only its user may read it."""
    profiles = document.get("profiles")
    for table in profiles.values() if isinstance(profiles, dict) else ():
        if not isinstance(table, dict):
            continue
        if isinstance(table.get("proxy"), str) and "@" in table["proxy"]:
            return True
        for name in PROVIDERS.keys() & table.keys():
            for entry in table[name] if isinstance(table[name], list) else [table[name]]:
                if isinstance(entry, dict) and any(
                    _is_written_out(key, entry.get(key.name)) for key in PROVIDERS[name].KEYS
                ):
                    return True
    return False


def _is_written_out(key: Key, value: Any) -> bool:
    if key.kind == "secret":
        return isinstance(value, str) and has_own_text(value)
    return key.kind == "table" and isinstance(value, dict) and _has_text(value)


def _has_text(value: Any) -> bool:
    """Whether a value has text of its own, at any depth."""
    if isinstance(value, str):
        return has_own_text(value)
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return any(map(_has_text, items))


def parse(
    document: Mapping[str, Any],
    source: str,
    folder: Path,
    *,
    name: str | None,
    variables: Variables,
    problems: Problems = RAISE_FIRST,
) -> Profile:
    """The profile in a document that messages call `source`; relative paths in it are relative to the folder."""
    reject_unknown_keys(document, ("default_profile", "profiles"), f"{source}: ", problems)
    profiles = _profiles(document, source)
    chosen = _choose(document, profiles, name, source, problems)
    place = f"{source}: profiles.{printable(chosen, 40)}"
    table = checked_table(profiles[chosen], place)
    reject_unknown_keys(table, (*PROVIDERS, *RUN_KEYS, _LIMITS), f"{place}.", problems)
    entries: list[Entry] = []
    before = problems.count
    for key, value in table.items():
        if key in PROVIDERS:
            path = ("profiles", chosen, key)
            entries += entries_of_table(key, value, f"{place}.{key}", path, folder, variables, problems)
    entries += entries_of_variables(variables, [key for key in PROVIDERS if key not in table], problems)
    named = ((entry.name, entry.table) for entry in entries)
    reject_duplicates(named, "are both named {}; rename one with name = …", problems)
    thresholds: tuple[ThresholdEntry, ...] = ()
    if _LIMITS in table:
        from balcli.config.thresholds import read_thresholds  # most profiles have none

        # The name of an account with a problem may be unknown.
        names = [entry.name for entry in entries] if problems.count == before else None
        thresholds = read_thresholds(table[_LIMITS], f"{place}.{_LIMITS}", names, variables, problems)
    settings: dict[str, Any] = {}
    given = [key for key in RUN_KEYS if key in table]
    for key in given:
        with problems:
            settings[key] = _run_setting(key, table[key], f"{place}.{key}", folder, variables)
    with problems:
        _refuse_longer_command(settings, place)
    unusable = frozenset(given) - settings.keys()
    run = RequestSettings(**settings)
    return Profile(chosen, tuple(entries), run, variables, place, unusable, thresholds)


def _profiles(document: Mapping[str, Any], source: str) -> Mapping[str, Any]:
    return checked_table(document.get("profiles", {}), f"{source}: profiles")


def _choose(
    document: Mapping[str, Any],
    profiles: Mapping[str, Any],
    name: str | None,
    source: str,
    problems: Problems,
) -> str:
    """The name of the profile to use: the given one, the default or the only one. Raises ProfileError."""

    def hint(wanted: str) -> str:
        return did_you_mean(wanted, profiles) if profiles else "there is none; add [profiles.main]"

    default = document.get("default_profile")
    with problems:
        if default is not None and not isinstance(default, str):
            raise ValueProblem(f"{source}: default_profile: is no text; give the name of a profile")
        if default is not None and default not in profiles:
            raise ProfileError(
                f"{source}: default_profile: there is no profile {printable(default, 40)}; {hint(default)}"
            )
    if name is not None and name not in profiles:
        raise ProfileError(f"{source}: there is no profile {printable(name, 40)}; {hint(name)}")
    if name is not None:
        return name
    if isinstance(default, str) and default in profiles:
        return default
    if not profiles:
        raise ProfileError(f"{source}: has no profile; add [profiles.main]")
    if len(profiles) > 1:
        raise ProfileError(
            f"{source}: there are several profiles ({join_names(profiles)}); name one with --profile or default_profile"
        )
    return next(iter(profiles))


def _run_setting(key: str, value: Any, place: str, folder: Path, variables: Variables) -> Any:
    """The value of one of `RUN_KEYS`. Raises ValueProblem and VariableError."""
    if key in {"timeout", "deadline"}:
        return _seconds(value, place, MOST_SECONDS)
    if key == "command_timeout":
        return _seconds(value, place, MOST_COMMAND_SECONDS)
    if key == "retries":
        return _whole(value, place, 0, MOST_RETRIES)
    if key == "jobs":
        return _whole(value, place, 1, MOST_JOBS)
    if not isinstance(value, str) or not value:
        raise ValueProblem(f"{place}: is no text; write it in quotes")
    text = variables.expand(value, place)
    if key == "ca_bundle":
        return folder / variables.path(text, place)
    try:
        # It may have a password: made a secret, it is filtered from every message.
        return reveal(Secret(validate_proxy(text)))
    except ValueError as problem:
        raise ValueProblem(f"{place}: {problem}") from None


def _seconds(value: Any, place: str, most: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= most:
        raise ValueProblem(
            f"{place}: is no number of seconds above 0 and up to {most:g}; write one{_unquoted(value)}"
        )
    return float(value)


def _refuse_longer_command(settings: dict[str, Any], place: str) -> None:
    """Raise ValueProblem, and drop it, for a command_timeout above the deadline, where the profile names both."""
    if settings.get("command_timeout", 0.0) > (deadline := settings.get("deadline", MOST_SECONDS)):
        del settings["command_timeout"]
        raise ValueProblem(
            f"{place}.command_timeout: is above the deadline of {deadline:g} s, which ends the run; raise deadline, or lower it"
        )


def _whole(value: Any, place: str, least: int, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise ValueProblem(f"{place}: is no whole number from {least} to {most}; write one{_unquoted(value)}")
    return value


def _unquoted(value: Any) -> str:
    return " without quotes" if isinstance(value, str) else ""


def check_ca_bundle(profile: Profile, problems: Problems = RAISE_FIRST) -> None:
    """Add a ValueProblem for a ca_bundle that does not look like certificates. TLS judges them later."""
    bundle = profile.request_settings.ca_bundle
    flaw = pem_flaw(bundle) if bundle is not None else None
    if bundle is not None and flaw is not None:
        problems.add(
            ValueProblem(
                f"{profile.place}.ca_bundle: {shown(bundle)} {flaw}; name a file of PEM certificates, or leave it out"
            )
        )
