"""What `config show` and `config check` need: all profiles with all their problems, each setting with its source."""

import re
from collections.abc import Iterator, Mapping
from functools import reduce
from operator import getitem
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeAlias

from balcli.config.accounts import OpenedAccount, inspect_accounts, shown_name
from balcli.config.checks import Problems
from balcli.config.entry import Entry, KeyPath, allowed_keys
from balcli.config.profile import RUN_KEYS, Profile, ProfileFile, check_ca_bundle, read_file, without_file
from balcli.config.sources import Variables, as_written, exists, has_own_text, names_in, parse_toml
from balcli.errors import ConfigError, ConfigSyntaxError, VariableError
from balcli.http.echoes import contains_any_credential
from balcli.models import Notice
from balcli.providers import PROVIDERS
from balcli.providers.base import Key
from balcli.text import printable
from balcli.thresholds import DEFAULT_FIELD, KEYS, Range

_REDACTED: Final = "***"
_DEFAULT: Final = "default"
# In the order in which requests looks for them.
_PROXY_VARIABLES: Final = ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")
# No statement of a profile is longer, and the search for its end is quadratic.
_MOST_LINES: Final = 200

Plain: TypeAlias = str | int | float | tuple[str, ...] | None


class InspectedProfile(NamedTuple):
    """One profile with its accounts and the number of its problems."""

    profile: Profile
    accounts: tuple[OpenedAccount, ...]
    problems: int


class Inspection(NamedTuple):
    """The profiles of a file, or without one of the environment, and every problem of it."""

    file: ProfileFile | None
    profiles: tuple[InspectedProfile, ...]
    problems: tuple[ConfigError, ...]
    elsewhere: int
    """The number of problems outside these profiles: of the file, its `.env`, or a profile that cannot be read."""


def inspect(
    file: Path,
    *,
    must_exist: bool,
    name: str | None,
    every: bool,
    env_file: Path | None,
    environ: Mapping[str, str],
) -> Inspection:
    """The profile of that name; without a name the default or only one, or with `every` each of the file.

    It is read as a run reads it, but goes on after each problem and runs no command.
    """
    problems = Problems(collect=True)
    read: ProfileFile | None = None
    found: list[InspectedProfile] = []
    with problems:
        if not must_exist and not exists(file):
            profile = without_file(file, name=name, env_file=env_file, environ=environ, problems=problems)
            found.append(_inspect_profile(profile, problems, 0))
        else:
            read = read_file(file, env_file=env_file, environ=environ, problems=problems)
            names: list[str | None] = [name]
            if every and name is None:
                names = [*read.names] or names
            for each in names:
                before = problems.count
                with problems:
                    found.append(_inspect_profile(read.profile(each, problems), problems, before))
    elsewhere = problems.count - sum(each.problems for each in found)
    return Inspection(read, tuple(found), problems.found, elsewhere)


def _inspect_profile(profile: Profile, problems: Problems, before: int) -> InspectedProfile:
    check_ca_bundle(profile, problems)
    accounts = tuple(inspect_accounts(profile, problems))
    return InspectedProfile(profile, accounts, problems.count - before)


class Setting(NamedTuple):
    """One setting: its value, `***` for a secret, None if it has a problem or is not set; and its source."""

    key: str
    value: Plain
    source: str


class Settings:
    """The settings of a file's profiles with the source of each, by file and line where it is written in one."""

    def __init__(self, file: ProfileFile | None, variables: Variables) -> None:
        self._lines: Mapping[KeyPath, int] = line_numbers(file.text) if file is not None else {}
        self._name = printable(file.path.name, 60) if file is not None else ""
        self._variables = variables
        self._document: Mapping[str, Any] = file.document if file is not None else {}

    def of_account(self, opened: OpenedAccount) -> list[Setting]:
        """The settings of an account, in the order of its provider's keys, and its defaults."""
        entry = opened.entry
        base_url = PROVIDERS[entry.provider].BASE_URL
        given = entry.given_keys()
        found: list[Setting] = []
        for key in dict.fromkeys(allowed_keys(entry.provider).values()):
            for spelling in given.get(key, ()):
                raw = entry.settings[spelling]
                usable = key.name in opened.values
                if key.kind == "table" and isinstance(raw, dict):
                    found += self._login(entry, (spelling,), raw, usable=usable)
                    continue
                value: Any = opened.values.get(key.name)
                if key.kind in {"secret", "table"}:
                    value = _REDACTED
                elif key.name == "base_url" and isinstance(raw, str) and not entry.from_variables:
                    value = as_written(raw)  # what variables fill in may be a credential
                source = self._source(entry, key, spelling)
                found.append(Setting(key.name, _plain(value) if usable else None, source))
            if key not in given and key.name == "name":
                found.append(Setting(key.name, shown_name(entry), _DEFAULT))
            if key not in given and key.name == "base_url" and base_url is not None:
                found.append(Setting(key.name, base_url, _DEFAULT))
        return found

    def of_run(self, profile: Profile, environ: Mapping[str, str]) -> list[Setting]:
        """The profile's request settings, defaults included."""
        profiles = self._document.get("profiles", {})
        table = profiles.get(profile.name, {}) if profile.name is not None else {}
        found = []
        for key in RUN_KEYS:
            value, source = getattr(profile.request_settings, key), _DEFAULT
            if key in table:
                source = self._source_of_text(table[key], ("profiles", profile.name or "", key))
            elif key == "proxy":
                name = next((name for name in _PROXY_VARIABLES if environ.get(name)), None)
                if name is not None:
                    value, source = environ[name], f"environment {name}"
            if key in profile.unusable:
                value = None
            elif key == "proxy" and value is not None:
                value = _without_user(value)
            elif isinstance(value, Path):
                value = _without_credential(printable(str(value)))
            elif isinstance(value, float) and value.is_integer():
                value = int(value)
            found.append(Setting(key, value, source))
        return found

    def of_thresholds(self, profile: Profile) -> list[list[Setting]]:
        """The settings of each threshold, defaults included."""
        found = []
        for entry in profile.thresholds:
            path = ("profiles", profile.name or "", "limits", entry.number)
            settings = []
            for key in KEYS:
                value = entry.values.get(key)
                if key in entry.settings:
                    shown = _plain(value.text if isinstance(value, Range) else value)
                    source = self._source_of_text(entry.settings[key], (*path, key))
                    settings.append(Setting(key, shown, source))
                elif key in {"field", "account"}:
                    settings.append(Setting(key, DEFAULT_FIELD if key == "field" else None, _DEFAULT))
            found.append(settings)
        return found

    def origin(self, entry: Entry, path: KeyPath) -> str:
        """A setting as it is spelled, and its source, for messages: `login.password, from .env:3 PASSWORD`."""
        key, spelling = next(
            (key, names[0]) for key, names in entry.given_keys().items() if key.name == path[0]
        )
        name = ".".join(printable(part, 40) for part in (spelling, *path[1:]) if isinstance(part, str))
        source = self._source(entry, key, spelling)
        if len(path) > 1:
            raw = reduce(getitem, path[1:], entry.settings[spelling])
            source = self._source_of_text(raw, (*entry.path, spelling, *path[1:]))
        source = re.sub("^(file|command) ", r"the \1 ", source)
        source = re.sub("(^|, )environment ", r"\1the environment variable ", source)
        return f"{name}, from {printable(source, 100)}" if source else name

    def _login(
        self, entry: Entry, path: tuple[str, ...], table: Mapping[str, Any], *, usable: bool
    ) -> Iterator[Setting]:
        for key, value in table.items():
            here = (*path, key)
            if isinstance(value, dict):
                yield from self._login(entry, here, value, usable=usable)
            else:
                name = ".".join(printable(part, 40) for part in here)
                source = self._source_of_text(value, (*entry.path, *here))
                yield Setting(name, _REDACTED if usable else None, source)

    def _source(self, entry: Entry, key: Key, spelling: str) -> str:
        raw = entry.settings[spelling]
        if spelling == key.in_file and isinstance(raw, str):
            return _without_credential(f"file {printable(str(entry.folder / self._filled(entry, raw)))}")
        if spelling == f"{key.name}_command" and isinstance(raw, list) and raw and isinstance(raw[0], str):
            return _without_credential(f"command {printable(self._filled(entry, raw[0]), 60)}")
        if entry.from_variables:
            return self._variables.origin(entry.variable(spelling))
        return self._source_of_text(raw, (*entry.path, spelling))

    def _filled(self, entry: Entry, text: str) -> str:
        try:
            return entry.expand(text, "", self._variables)
        except VariableError:
            return text

    def _source_of_text(self, raw: Any, path: KeyPath) -> str:
        """The variables in a value of the file, after the file itself if the value has text of its own."""
        texts = list(_texts(raw))
        names = dict.fromkeys(name for text in texts for name in names_in(text))
        found = [self._variables.origin(name) for name in names]
        defined = all(self._variables.is_defined(name) for name in names)
        if not names or not defined or any(has_own_text(text) for text in texts):
            line = self._lines.get(path)
            found.insert(0, self._name if line is None else f"{self._name}:{line}")
        return ", ".join(found)


def shadowed(profile: Profile) -> tuple[Notice, ...]:
    """A notice for each `BALCLI_<PROVIDER>_<KEY>` variable that has no effect, because the profile has a table."""
    tables = {entry.provider for entry in profile.entries if not entry.from_variables}
    return tuple(
        Notice(
            "variable.shadowed",
            None,
            f"{printable(name, 60)} has no effect: the profile has a table for {provider}; unset it, or remove the table",
        )
        for provider in PROVIDERS
        if provider in tables
        for name in profile.variables.names(provider)
    )


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)


def _plain(value: Any) -> Plain:
    """A value as it may be shown: `***` if it contains a credential."""
    if isinstance(value, str):
        return _without_credential(value)
    if isinstance(value, tuple):
        return tuple(map(_without_credential, value))
    return value if isinstance(value, int) else None


def _without_credential(text: str) -> str:
    return _REDACTED if contains_any_credential(text) else text


def _without_user(proxy: str) -> str:
    """A proxy's URL, with `***` for the user and password."""
    before, at, host = proxy.rpartition("@")
    scheme = f"{before.partition('://')[0]}://" if "://" in before else ""
    return printable(f"{scheme}{_REDACTED}@{host}" if at else proxy, 200)


def line_numbers(text: str) -> dict[KeyPath, int]:
    """The line, from 1, on which the statement of each key of a valid TOML text begins; tomli does not tell it.

    What follows a statement of very many lines is left out.
    """
    found: dict[KeyPath, int] = {}
    last_index: dict[KeyPath, int] = {}
    table: KeyPath = ()
    for line, statement in _statements(text):
        document = parse_toml(statement, "")
        if statement.lstrip().startswith("["):
            table = _table_path(document, last_index)
            found.setdefault(table, line)
        else:
            for path in _paths(document):
                found.setdefault((*table, *path), line)
    return found


def _statements(text: str) -> Iterator[tuple[int, str]]:
    """Each statement, comment or blank line, with the number of its first line.

    A statement ends where it is valid by itself: not inside a list, an inline table or a text of several lines.
    """
    first, statement = 1, ""
    for number, line in enumerate(text.split("\n"), 1):
        statement += f"{line}\n"
        try:
            parse_toml(statement, "")
        except ConfigSyntaxError:
            if number - first >= _MOST_LINES:
                return
            continue
        yield first, statement
        first, statement = number + 1, ""


def _table_path(header: Mapping[str, Any], last_index: dict[KeyPath, int]) -> KeyPath:
    """The path of a `[table]` or `[[table]]`. Updates the last index of each list of tables."""
    path: KeyPath = ()
    rest: Any = header
    while rest:
        ((key, rest),) = rest.items()
        path = (*path, key)
        if isinstance(rest, list):
            last_index[path] = last_index.get(path, -1) + 1
            rest = {}
        if path in last_index:
            path = (*path, last_index[path])
    return path


def _paths(value: Any) -> Iterator[KeyPath]:
    """The path of each value inside a table or list, at any depth."""
    items: Any = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    for key, item in items:
        yield (key,)
        for path in _paths(item):
            yield (key, *path)
