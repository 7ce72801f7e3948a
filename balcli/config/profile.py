"""A profile: which accounts there are and where each is described, checked without touching a secret.

What cannot be so is refused before any request. Each message names file, key and cure, never a value.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from balcli.config.source import is_there, parse_toml, read_text, shown
from balcli.config.variables import PREFIX, Variables, has_own_text, read_variables
from balcli.errors import (
    AccountError,
    ConfigFileError,
    KeyProblem,
    ProfileError,
    ValueProblem,
)
from balcli.http.door import MOST_JOBS, MOST_RETRIES, MOST_SECONDS, Limits
from balcli.models import Notice
from balcli.providers import PROVIDERS
from balcli.providers.base import Key, Provider
from balcli.secret import Secret, reveal
from balcli.text import printable
from balcli.urls import checked_proxy

COMMON_KEYS: Final = (
    Key("name", "text", "the account's name in the output"),
    Key("base_url", "text", "where the API is"),
)
_RUN_KEYS: Final = ("timeout", "deadline", "retries", "jobs", "proxy", "ca_bundle")
_OTHER_KEYS: Final = ("limits",)


@dataclass(frozen=True, slots=True)
class Entry:
    """An account as it stands in the profile or the environment, before its variables are filled in."""

    provider: str
    name: str
    settings: Mapping[str, Any]
    table: str
    """Where it stands: `FILE: profiles.main.wallet[0]`, or the name of the variables' source."""
    folder: Path
    """What a relative path in it is relative to."""
    from_variables: bool = False

    def at(self, key: str) -> str:
        """The place of a key, as messages name it."""
        if self.from_variables:
            return f"{PREFIX}{self.provider.upper()}_{key.upper()} ({self.table})"
        return f"{self.table}.{key}"


@dataclass(frozen=True, slots=True)
class Profile:
    """One profile, checked as far as that goes without its accounts' secrets."""

    name: str | None
    entries: tuple[Entry, ...]
    limits: Limits
    variables: Variables

    @property
    def notices(self) -> tuple[Notice, ...]:
        """What a reader of the run should know about the configuration."""
        return self.variables.notices


def load(
    file: Path, *, must_exist: bool, name: str | None, env_file: Path | None, environ: Mapping[str, str]
) -> Profile:
    """The profile of that name in a file, or the one that can only be meant, with the environment's accounts.

    Without the file (where it need not exist) the accounts are those of the environment alone.
    """
    if not must_exist and not is_there(file):
        if name is not None:
            raise ProfileError(
                f"there is no profile {printable(name, 40)}: the file {shown(file)} is not there; write it"
            )
        variables = read_variables(environ, env_file)
        entries = tuple(_entries_of_variables(variables, PROVIDERS))
        if not entries:
            raise ConfigFileError(
                f"{shown(file)}: there is no such file; write one (config.example.toml shows how), name one with "
                "--config, or try --sandbox"
            )
        return Profile(None, entries, Limits(), variables)
    read = read_text(file)
    if env_file is None and is_there(file.parent / ".env"):
        env_file = file.parent / ".env"
    variables = read_variables(environ, env_file)
    document = parse_toml(read.text, shown(file))
    if _holds_secret(document):
        read.refuse_if_readable("a secret stands in it")
    return parse(document, shown(file), file.parent, name=name, variables=variables)


def parse(
    document: Mapping[str, Any], source: str, directory: Path, *, name: str | None, variables: Variables
) -> Profile:
    """The profile in a file's document; relative paths in it are relative to the directory."""
    _refuse_unknown(document, ("default_profile", "profiles"), source, "")
    profiles = checked_table(document.get("profiles", {}), f"{source}: profiles")
    chosen = _choose(document, profiles, name, source)
    place = f"{source}: profiles.{printable(chosen, 40)}"
    table = checked_table(profiles[chosen], place)
    _refuse_unknown(table, (*PROVIDERS, *_RUN_KEYS, *_OTHER_KEYS), place, ".")
    entries: list[Entry] = []
    for key, value in table.items():
        if key in PROVIDERS:
            entries += _entries_of_table(PROVIDERS[key], value, f"{place}.{key}", directory, variables)
    if not isinstance(table.get("limits", []), list):
        raise ValueProblem(
            f"{place}.limits: is no list of tables; write [[profiles.{printable(chosen, 40)}.limits]]"
        )
    entries += _entries_of_variables(variables, [key for key in PROVIDERS if key not in table])
    refuse_doubles(
        ((entry.name, entry.table) for entry in entries), "are both named {}; rename one with name = …"
    )
    return Profile(chosen, tuple(entries), _limits(table, place, directory, variables), variables)


def _holds_secret(document: Mapping[str, Any]) -> bool:
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
        for name, provider in PROVIDERS.items():
            entries = table.get(name, [])
            for entry in entries if isinstance(entries, list) else [entries]:
                if isinstance(entry, dict) and any(
                    _stands_open(key, entry.get(key.name)) for key in provider.KEYS
                ):
                    return True
    return False


def _stands_open(key: Key, value: Any) -> bool:
    if key.kind == "secret":
        return isinstance(value, str) and has_own_text(value)
    if key.kind == "table" and isinstance(value, dict):
        return any(
            _stands_open(key, item)
            if isinstance(item, dict)
            else isinstance(item, str) and has_own_text(item)
            for item in value.values()
        )
    return False


def _choose(document: Mapping[str, Any], profiles: Mapping[str, Any], name: str | None, source: str) -> str:
    """The profile that is asked for, the default one, or the only one."""
    there = "there is none; add [profiles.main]"
    if profiles:
        there = "there are: " + ", ".join(printable(key, 40) for key in profiles)
    default = document.get("default_profile")
    if default is not None and not isinstance(default, str):
        raise ValueProblem(f"{source}: default_profile: is no text; give the name of a profile")
    if default is not None and default not in profiles:
        raise ProfileError(f"{source}: default_profile names no profile; {there}")
    if name is not None and name not in profiles:
        raise ProfileError(f"{source}: there is no profile {printable(name, 40)}; {there}")
    if name is None and default is None and len(profiles) != 1:
        raise ProfileError(
            f"{source}: which profile is meant is open; {there}; use --profile or default_profile"
        )
    return name or default or next(iter(profiles))


def checked_table(value: Any, place: str) -> Mapping[str, Any]:
    """The table that stands at a place. Raises ValueProblem for anything else."""
    if not isinstance(value, dict):
        raise ValueProblem(f"{place}: is no table; write it as [{place.rsplit(': ', 1)[-1]}]")
    return value


def _refuse_unknown(table: Mapping[str, Any], known: Iterable[str], place: str, joint: str) -> None:
    known = list(known)
    for key in table:
        if key not in known:
            from difflib import get_close_matches  # only to word an error

            close = get_close_matches(key, known, 1)
            hint = f"did you mean {close[0]}?" if close else f"known here: {', '.join(known)}"
            raise KeyProblem(
                f"{place}{joint or ': '}{printable(key, 40)}: is no key that balcli knows; {hint}"
            )


def _entries_of_table(
    provider: Provider, value: Any, place: str, folder: Path, variables: Variables
) -> list[Entry]:
    """The accounts of one provider in a profile: one table, or a list of tables with names."""
    several = isinstance(value, list)
    tables = value if several else [value]
    entries = []
    for number, item in enumerate(tables):
        at = f"{place}[{number}]" if several else place
        table = checked_table(item, at)
        _refuse_unknown(table, _spellings(provider), at, ".")
        if "name" not in table and len(tables) > 1:
            raise KeyProblem(f"{at}.name: is missing; where there are several accounts, each needs one")
        name = table.get("name", provider.NAME)
        if not isinstance(name, str):
            raise ValueProblem(f"{at}.name: is no text; write it in quotes")
        name = variables.expand(name, f"{at}.name")
        entries.append(Entry(provider.NAME, _checked_name(name, f"{at}.name"), table, at, folder))
    return entries


def _entries_of_variables(variables: Variables, providers: Iterable[str]) -> list[Entry]:
    """The accounts that `BALCLI_<PROVIDER>_<KEY>` variables describe."""
    entries = []
    for key in providers:
        provider = PROVIDERS[key]
        settings, origin = variables.settings(key)
        if settings:
            entry = Entry(key, settings.get("name", key), settings, origin, Path.cwd(), from_variables=True)
            # A table and a list of arguments cannot be written as one text.
            known = [
                name for name in _spellings(provider) if name != "login" and not name.endswith("_command")
            ]
            for unknown in settings.keys() - set(known):
                raise KeyProblem(
                    f"{entry.at(unknown)}: is no setting that balcli knows; known here: {', '.join(known)}"
                )
            _checked_name(entry.name, entry.at("name"))
            entries.append(entry)
    return entries


def _spellings(provider: Provider) -> list[str]:
    """Every key that a provider's table can have."""
    return [name for key in (*COMMON_KEYS, *provider.KEYS) for name in key.spellings]


def _checked_name(name: str, place: str) -> str:
    if not name or not name.isprintable() or len(name) > 100 or name.startswith("-"):
        raise ValueProblem(
            f"{place}: is no usable name; give 1 to 100 printable characters, the first no dash"
        )
    return name


def refuse_doubles(pairs: Iterable[tuple[str, str]], words: str) -> None:
    """Refuse two pairs with one first part; `words` follows the places of both in the message."""
    seen: dict[str, str] = {}
    for key, place in pairs:
        if key in seen:
            raise AccountError(f"{seen[key]} and {place} {words.format(printable(key, 40))}")
        seen[key] = place


def _limits(table: Mapping[str, Any], place: str, directory: Path, variables: Variables) -> Limits:
    """The profile's own time-outs and ways to the network, the defaults where it has none."""
    default = Limits()
    proxy, ca_bundle = table.get("proxy"), table.get("ca_bundle")
    for key, value in (("proxy", proxy), ("ca_bundle", ca_bundle)):
        if value is not None and (not isinstance(value, str) or not value):
            raise ValueProblem(f"{place}.{key}: is no text; write it in quotes")
    if proxy is not None:
        try:
            # It may hold a password: made a secret, it is hidden wherever it might turn up.
            proxy = reveal(Secret(checked_proxy(variables.expand(proxy, f"{place}.proxy"))))
        except ValueError as problem:
            raise ValueProblem(f"{place}.proxy: {problem}") from None
    return Limits(
        timeout=_number(table, "timeout", place, default.timeout),
        deadline=_number(table, "deadline", place, default.deadline),
        retries=_whole(table, "retries", place, default.retries, 0, MOST_RETRIES),
        jobs=_whole(table, "jobs", place, default.jobs, 1, MOST_JOBS),
        proxy=proxy,
        ca_bundle=directory / variables.expand(ca_bundle, f"{place}.ca_bundle") if ca_bundle else None,
    )


def _number(table: Mapping[str, Any], key: str, place: str, default: float) -> float:
    value = table.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= MOST_SECONDS:
        raise ValueProblem(
            f"{place}.{key}: is no number of seconds above 0 and up to {MOST_SECONDS:g}; write one"
        )
    return float(value)


def _whole(table: Mapping[str, Any], key: str, place: str, default: int, least: int, most: int) -> int:
    value = table.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise ValueProblem(f"{place}.{key}: is no whole number from {least} to {most}; write one")
    return value
