"""The data of `config show` and `config check`: all profiles with their problems, and settings with their sources."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeAlias

from balcli.config.credentials import REDACTED, source_of, source_of_text, without_credential
from balcli.config.entry import Entry, OpenedAccount, allowed_keys
from balcli.config.problems import KeyPath, Problems
from balcli.config.profile import (
    RUN_KEYS,
    Profile,
    ProfileFile,
    check_certificates,
    open_entries,
    read_file,
    select,
    without_file,
)
from balcli.config.sources import (
    SecretSources,
    Variables,
    as_written,
    exists,
)
from balcli.errors import BalcliError, ConfigError, PluginFault, ValueProblem
from balcli.http.echoes import contains_any_credential
from balcli.models import CaSource, Notice
from balcli.providers import PROVIDERS
from balcli.providers.base import HasBaseUrlNote
from balcli.settings import CA_VARIABLES
from balcli.text import printable
from balcli.thresholds import DEFAULT_FIELD, KEYS, Range
from balcli.urls import normalize_url

_DEFAULT: Final = "default"
# In the order in which requests reads them.
_PROXY_VARIABLES: Final = ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")

Plain: TypeAlias = str | int | float | tuple[str, ...] | None


class InspectedProfile(NamedTuple):
    """One profile with its accounts and its number of problems."""

    profile: Profile
    accounts: tuple[OpenedAccount, ...]
    problems: int


class Inspection(NamedTuple):
    """The profiles of a file, or the profile of the environment, with all problems."""

    file: ProfileFile | None
    profiles: tuple[InspectedProfile, ...]
    problems: tuple[BalcliError, ...]
    elsewhere: int
    """The number of problems outside these profiles: in the file, its `.env`, or an unreadable profile."""


def inspect(
    file: Path,
    *,
    must_exist: bool,
    name: str | None,
    every: bool,
    env_file: Path | None,
    environ: Mapping[str, str],
) -> Inspection:
    """Inspect the named profile (by default, the default profile or the only one), or all profiles (`every`).

    Reads profiles as a run does, but opens all accounts and runs no commands.
    """
    read: ProfileFile | None = None
    profiles: list[InspectedProfile] = []
    found: dict[str, BalcliError] = {}
    new: Sequence[BalcliError]
    elsewhere = 0
    names: list[str | None] = [name]
    try:
        if must_exist or exists(file):
            read = read_file(file, env_file=env_file, environ=environ)
            elsewhere = len(read.problems)
            found = {problem.message: problem for problem in Problems(read.problems).errors()}
            names = ([*read.names] if every and name is None else []) or names
    except ConfigError as problem:
        names, elsewhere = [], 1 + len(problem.others)
        found = {each.message: each for each in problem.every}
    for each in names:
        try:
            if read is not None:
                profile = read.profile(each)
            else:
                profile = without_file(file, name=each, env_file=env_file, environ=environ)
        except ConfigError as problem:
            new = [one for one in problem.every if one.message not in found]
            elsewhere += len(new)
        else:
            accounts, new = _inspect_profile(profile)
            own = len(new) - sum(one.message in found for one in new)
            profiles.append(InspectedProfile(profile, accounts, own))
        found |= {one.message: one for one in new}
    return Inspection(read, tuple(profiles), tuple(found.values()), elsewhere)


def _inspect_profile(profile: Profile) -> tuple[tuple[OpenedAccount, ...], list[ConfigError]]:
    """All accounts of a profile that can be opened, and its problems, including those of the file."""
    problems = Problems(profile.problems)
    opened = open_entries(select(profile, None, [], problems), SecretSources(None), {}, problems)
    check_certificates(profile, opened, problems)
    for each in opened:
        fault = None if each.account is None else each.account.settings
        if isinstance(fault, PluginFault):
            problems.add(ValueProblem(f": {fault.message}"), each.entry)
    return tuple(opened), [*problems.errors()]


class ListedProfile(NamedTuple):
    """A profile in the list of profiles."""

    profile: str | None
    """None if the accounts come from variables."""
    default: bool
    """Whether it is used without --profile."""
    accounts: int | None
    """None if it is not a table."""


class ProfileList(NamedTuple):
    """The profiles of a file, or the profile of the environment, with all problems of their structure."""

    profiles: tuple[ListedProfile, ...]
    problems: tuple[BalcliError, ...]
    notices: tuple[Notice, ...]


def list_profiles(
    file: Path, *, must_exist: bool, env_file: Path | None, environ: Mapping[str, str]
) -> ProfileList:
    """The profiles that can be read. No account is opened."""
    try:
        if not (must_exist or exists(file)):
            profile = without_file(file, name=None, env_file=env_file, environ=environ)
            listed = ListedProfile(None, default=True, accounts=len(profile.entries))
            return ProfileList((listed,), Problems(profile.problems).errors(), profile.variables.notices)
        read = read_file(file, env_file=env_file, environ=environ)
    except ConfigError as problem:
        return ProfileList((), problem.every, ())
    default = None
    found: list[BalcliError] = [*Problems(read.problems).errors()]
    try:
        default = read.profile(environ.get("BALCLI_PROFILE") or None).name
    except ConfigError as problem:
        found += problem.every if not read.names else ()
    profiles = []
    for name in read.names:
        accounts = None
        try:
            profile = read.profile(name)
            accounts = len(profile.entries)
            found += Problems(profile.problems).errors()
        except ConfigError as problem:
            found += problem.every
        profiles.append(ListedProfile(name, name == default, accounts))
    unique = {problem.message: problem for problem in found}
    return ProfileList(tuple(profiles), tuple(unique.values()), read.variables.notices)


class Setting(NamedTuple):
    """One setting: its value (`***` for a secret, None if invalid or not set), and its source."""

    key: str
    value: Plain
    source: str


class Settings:
    """The settings of profiles, each with its source: file and line, if written in a file."""

    def __init__(self, file: ProfileFile | None, variables: Variables) -> None:
        self._source = None if file is None else file.source
        self._variables = variables
        self._document: Mapping[str, Any] = file.document if file is not None else {}

    def _text_source(self, raw: Any, path: KeyPath) -> str:
        return source_of_text(raw, self._source, path, self._variables)

    def of_account(self, opened: OpenedAccount) -> list[Setting]:
        """The settings of an account, including defaults, in the order of its provider's keys."""
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
                    value = REDACTED
                elif key.name == "base_url" and isinstance(raw, str) and entry.source is not None:
                    value = as_written(raw)  # values of variables may be credentials
                source = source_of(entry, spelling)
                found.append(Setting(key.name, _plain(value) if usable else None, source))
            if key not in given and key.name == "name":
                found.append(Setting(key.name, shown_name(entry), _DEFAULT))
            if key not in given and key.name == "base_url" and base_url is not None:
                found.append(Setting(key.name, base_url, _DEFAULT))
        return found

    def of_run(self, profile: Profile, environ: Mapping[str, str]) -> list[Setting]:
        """The profile's request settings, including defaults."""
        profiles = self._document.get("profiles", {})
        table = profiles.get(profile.name, {}) if profile.name is not None else {}
        found = []
        for key in RUN_KEYS:
            value, source = getattr(profile.request_settings, key), _DEFAULT
            if key in table:
                source = self._text_source(table[key], ("profiles", profile.name or "", key))
            elif key == "proxy":
                name = next((name for name in _PROXY_VARIABLES if environ.get(name)), None)
                if name is not None:
                    value, source = environ[name], f"environment {name}"
            if key in profile.unusable:
                value = None
            elif key == "proxy" and value is not None:
                value = _without_user(value)
            elif isinstance(value, CaSource):
                if value.named_by in CA_VARIABLES:
                    source = f"environment {value.named_by}"
                value = without_credential(printable(str(value.path or value.kind)))
            elif isinstance(value, float) and value.is_integer():
                value = int(value)
            found.append(Setting(key, value, source))
        return found

    def of_thresholds(self, profile: Profile) -> list[list[Setting]]:
        """The settings of each threshold, including defaults."""
        found = []
        for entry in profile.thresholds:
            path = ("profiles", profile.name or "", "limits", entry.number)
            settings = []
            for key in KEYS:
                value = entry.values.get(key)
                if key in entry.settings:
                    shown = _plain(value.text if isinstance(value, Range) else value)
                    source = self._text_source(entry.settings[key], (*path, key))
                    settings.append(Setting(key, shown, source))
                elif key in {"field", "account"}:
                    settings.append(Setting(key, DEFAULT_FIELD if key == "field" else None, _DEFAULT))
            found.append(settings)
        return found

    def _login(
        self, entry: Entry, path: tuple[str, ...], table: Mapping[str, Any], *, usable: bool
    ) -> Iterator[Setting]:
        for key, value in table.items():
            here = (*path, key)
            if isinstance(value, dict):
                yield from self._login(entry, here, value, usable=usable)
            else:
                name = ".".join(printable(part, 40) for part in here)
                source = source_of_text(value, entry.source, (*entry.path, *here), entry.variables)
                yield Setting(name, REDACTED if usable else None, source)


def shown_name(entry: Entry) -> str:
    """The account's name, or its position in the profile if the name contains a credential."""
    return f"({entry.label})" if contains_any_credential(entry.name) else entry.name


def shadowed(profile: Profile) -> tuple[Notice, ...]:
    """A notice for each `BALCLI_<PROVIDER>_<KEY>` variable that the profile's table overrides."""
    tables = {entry.provider for entry in profile.entries if entry.source is not None}
    return tuple(
        Notice(
            "variable.shadowed",
            None,
            f"{printable(name, 60)} has no effect, because the profile has a table for {provider}; unset it, or remove the table",
        )
        for provider in PROVIDERS
        if provider in tables
        for name in profile.variables.names(provider)
    )


def base_url_note(opened: OpenedAccount) -> Iterator[Notice]:
    """The provider's note on its default URL, if the account uses it."""
    provider, account = PROVIDERS[opened.entry.provider], opened.account
    default = normalize_url(provider.BASE_URL or "")
    if isinstance(provider, HasBaseUrlNote) and account and normalize_url(account.base_url) == default:
        yield Notice("base_url.note", opened.entry.name, provider.BASE_URL_NOTE)


def _plain(value: Any) -> Plain:
    """A value for display: `***` if it contains a credential."""
    if isinstance(value, str):
        return without_credential(value)
    if isinstance(value, tuple):
        return tuple(map(without_credential, value))
    return value if isinstance(value, int) else None


def _without_user(proxy: str) -> str:
    """A proxy's URL, with `***` for the user and password."""
    before, at, host = proxy.rpartition("@")
    scheme = f"{before.partition('://')[0]}://" if "://" in before else ""
    return printable(f"{scheme}{REDACTED}@{host}" if at else proxy, 200)
