"""What `config show` and `config check` need: every profile as far as it goes, each setting and its source."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeAlias

from balcli.config.accounts import Opened, looked_at, shown_name
from balcli.config.checks import KeptFaults
from balcli.config.entry import Entry, KeyPath, declared, keys_of
from balcli.config.profile import (
    RUN_KEYS,
    Profile,
    ProfileFile,
    read_file,
    refuse_bad_bundle,
    without_file,
)
from balcli.config.sources import (
    Variables,
    as_written,
    has_own_text,
    is_there,
    names_in,
    parse_toml,
)
from balcli.errors import ConfigError, ConfigSyntaxError, VariableError
from balcli.http.echoes import holds_credential
from balcli.models import Notice
from balcli.providers import PROVIDERS
from balcli.providers.base import Key
from balcli.text import printable
from balcli.thresholds import DEFAULT_FIELD, KEYS, Range

# A statement over more lines is none of a profile, and trying where it ends would take long.
_MOST_LINES: Final = 200
_SHOWN: Final = "***"
_DEFAULT: Final = "default"
# As the requests library looks for them, the small letters first.
_PROXY_VARIABLES: Final = ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")
Plain: TypeAlias = str | int | float | tuple[str, ...] | None


class Inspected(NamedTuple):
    """One profile with its accounts, and how many problems it has of its own."""

    profile: Profile
    accounts: tuple[Opened, ...]
    problems: int


class Inspection(NamedTuple):
    """What a file, or without one the environment, holds; and every problem of it."""

    file: ProfileFile | None
    profiles: tuple[Inspected, ...]
    problems: tuple[ConfigError, ...]
    elsewhere: int
    """How many of the problems are of no profile that could be gone through: the file's own, or its `.env`'s."""


def inspect(
    file: Path,
    *,
    must_exist: bool,
    name: str | None,
    every: bool,
    env_file: Path | None,
    environ: Mapping[str, str],
) -> Inspection:
    """The profile of that name, or the one that can only be meant; without a name every one, if `every` says so.

    It is read as a run reads it, but goes on behind each problem, and no command is run.
    """
    faults = KeptFaults()
    read: ProfileFile | None = None
    found: list[Inspected] = []
    with faults:
        if not must_exist and not is_there(file):
            before = faults.count
            profile = without_file(file, name=name, env_file=env_file, environ=environ, faults=faults)
            found.append(_inspected(profile, faults, before))
            return _inspection(None, found, faults)
        read = read_file(file, env_file=env_file, environ=environ, faults=faults)
        names: list[str | None] = [name]
        if every and name is None:
            names = [*read.names] or names
        for each in names:
            before = faults.count
            with faults:
                found.append(_inspected(read.profile(each, faults), faults, before))
    return _inspection(read, found, faults)


def _inspection(file: ProfileFile | None, found: list[Inspected], faults: KeptFaults) -> Inspection:
    elsewhere = faults.count - sum(each.problems for each in found)
    return Inspection(file, tuple(found), faults.found, elsewhere)


def _inspected(profile: Profile, faults: KeptFaults, before: int) -> Inspected:
    refuse_bad_bundle(profile, faults)
    accounts = tuple(looked_at(profile, faults))
    return Inspected(profile, accounts, faults.count - before)


class Setting(NamedTuple):
    """One setting: its value, a secret as `***` and None where it has a fault or is not set, and its source."""

    key: str
    value: Plain
    source: str


class Listing:
    """Names the source of each setting of a file's profiles, by file and line where it stands in one."""

    def __init__(self, file: ProfileFile | None, variables: Variables) -> None:
        self._lines: Mapping[KeyPath, int] = lines_of(file.text) if file is not None else {}
        self._name = printable(file.path.name, 60) if file is not None else ""
        self._variables = variables
        self._document: Mapping[str, Any] = file.document if file is not None else {}

    def of_account(self, opened: Opened) -> list[Setting]:
        """The settings of an account, in the order of its provider's keys, and its defaults."""
        entry = opened.entry
        provider = PROVIDERS[entry.provider]
        given = dict(keys_of(entry, set()))
        found: list[Setting] = []
        for key in dict.fromkeys(declared(entry.provider).values()):
            for name in given.get(key, ()):
                usable = key.name in opened.values
                if key.kind == "table" and isinstance(entry.settings[name], dict):
                    found += self._login(entry, (name,), entry.settings[name], usable=usable)
                else:
                    value = opened.values.get(key.name)
                    raw = entry.settings[name]
                    if key.name == "base_url" and isinstance(raw, str) and not entry.from_variables:
                        value = as_written(raw)  # what variables fill in may be a credential
                    shown = _SHOWN if key.kind in {"secret", "table"} else value
                    found.append(
                        Setting(key.name, _plain(shown) if usable else None, self._source(entry, key, name))
                    )
            if key not in given and key.name == "name":
                found.append(Setting(key.name, shown_name(entry), _DEFAULT))
            if key not in given and key.name == "base_url" and provider.BASE_URL is not None:
                found.append(Setting(key.name, provider.BASE_URL, _DEFAULT))
        return found

    def of_run(self, profile: Profile, environ: Mapping[str, str]) -> list[Setting]:
        """The profile's own settings, and the defaults of those that it leaves out."""
        profiles = self._document.get("profiles", {})
        table = profiles.get(profile.name, {}) if profile.name is not None else {}
        found = []
        for key in RUN_KEYS:
            value = getattr(profile.request_settings, key)
            if key in table:
                source = self._of_text(table[key], ("profiles", profile.name or "", key))
            else:
                source = _DEFAULT
            if key == "proxy" and key not in table:
                name = next((name for name in _PROXY_VARIABLES if environ.get(name)), None)
                value, source = (environ[name], f"environment {name}") if name else (None, _DEFAULT)
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

    def of_limits(self, profile: Profile) -> list[list[Setting]]:
        """The settings of each limit, and the defaults of those that it leaves out."""
        found = []
        for entry in profile.thresholds:
            path = ("profiles", profile.name or "", "limits", entry.number)
            settings = []
            for key in KEYS:
                value = entry.values.get(key)
                if key in entry.settings:
                    shown = _plain(value.text if isinstance(value, Range) else value)
                    settings.append(Setting(key, shown, self._of_text(entry.settings[key], (*path, key))))
                elif key in {"field", "account"}:
                    settings.append(Setting(key, DEFAULT_FIELD if key == "field" else None, _DEFAULT))
            found.append(settings)
        return found

    def _source(self, entry: Entry, key: Key, name: str) -> str:
        raw = entry.settings[name]
        if name == key.in_file and isinstance(raw, str):
            path = raw if entry.from_variables else self._filled(raw)
            return _without_credential(f"file {printable(str(entry.folder / path))}")
        if name == f"{key.name}_command" and isinstance(raw, list) and raw and isinstance(raw[0], str):
            return _without_credential(f"command {printable(self._filled(raw[0]), 60)}")
        if entry.from_variables:
            return self._variables.origin(entry.variable(name))
        return self._of_text(raw, (*entry.path, name))

    def _of_text(self, raw: Any, path: KeyPath) -> str:
        """Where a value in the file is from: its variables, and the file where it says something itself."""
        texts = list(_texts(raw))
        names = dict.fromkeys(name for text in texts for name in names_in(text))
        found = [self._variables.origin(name) for name in names]
        defined = all(self._variables.is_defined(name) for name in names)
        if not names or not defined or any(has_own_text(text) for text in texts):
            line = self._lines.get(path)
            found.insert(0, self._name if line is None else f"{self._name}:{line}")
        return ", ".join(found)

    def _login(
        self, entry: Entry, path: tuple[str, ...], table: Mapping[str, Any], *, usable: bool
    ) -> Iterator[Setting]:
        for key, value in table.items():
            here = (*path, key)
            if isinstance(value, dict):
                yield from self._login(entry, here, value, usable=usable)
            else:
                name = ".".join(printable(part, 40) for part in here)
                yield Setting(name, _SHOWN if usable else None, self._of_text(value, (*entry.path, *here)))

    def _filled(self, text: str) -> str:
        try:
            return self._variables.expand(text, "")
        except VariableError:
            return text


def shadowed(profile: Profile) -> tuple[Notice, ...]:
    """A notice on each `BALCLI_<PROVIDER>_<KEY>` variable that has no effect, because a table comes first."""
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
    """A value as it may be shown: not at all if it contains a credential."""
    if isinstance(value, str):
        return _without_credential(value)
    if isinstance(value, tuple):
        return tuple(map(_without_credential, value))
    return value if isinstance(value, int) else None


def _without_credential(text: str) -> str:
    return _SHOWN if holds_credential(text) else text


def _without_user(proxy: str) -> str:
    """A proxy's URL, with `***` for whatever stands before its host."""
    before, at, host = proxy.rpartition("@")
    scheme = f"{before.partition('://')[0]}://" if "://" in before else ""
    return printable(f"{scheme}{_SHOWN}@{host}" if at else proxy, 200)


def lines_of(text: str) -> dict[KeyPath, int]:
    """The line, counted from 1, on which the statement of each key begins; the text is valid TOML.

    What stands behind a statement of very many lines is left out.
    """
    found: dict[KeyPath, int] = {}
    last_of: dict[KeyPath, int] = {}
    table: KeyPath = ()
    for line, statement in _statements(text):
        document = parse_toml(statement, "")
        if statement.lstrip().startswith("["):
            table = _table(document, last_of)
            found.setdefault(table, line)
        else:
            for path in _paths(document):
                found.setdefault((*table, *path), line)
    return found


def _statements(text: str) -> Iterator[tuple[int, str]]:
    """Each statement, comment or blank line, with the number of its first line.

    A statement is whole where it is valid by itself: inside a list, an inline table or a text of
    several lines it is not.
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


def _table(header: Mapping[str, Any], last_of: dict[KeyPath, int]) -> KeyPath:
    """Where a `[table]` or `[[table]]` is; the last index of each list of tables is kept."""
    path: KeyPath = ()
    rest: Any = header
    while rest:
        ((key, rest),) = rest.items()
        path = (*path, key)
        if isinstance(rest, list):
            last_of[path] = last_of.get(path, -1) + 1
            rest = {}
        if path in last_of:
            path = (*path, last_of[path])
    return path


def _paths(value: Any) -> Iterator[KeyPath]:
    """Each path into a value, those to its tables and lists included."""
    items: Any = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    for key, item in items:
        yield (key,)
        for path in _paths(item):
            yield (key, *path)
