"""The settings of a profile one by one: what each is, without a secret, and where it comes from."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeAlias

from balcli.config.accounts import Opened
from balcli.config.credentials import shown_name
from balcli.config.lines import KeyPath, lines_of
from balcli.config.profile import RUN_KEYS, Entry, Profile, ProfileFile, declared
from balcli.config.values import keys_of
from balcli.config.variables import Variables, as_written, has_own_text, names_in
from balcli.errors import VariableError
from balcli.http.echoes import holds_credential
from balcli.models import Notice
from balcli.providers import PROVIDERS
from balcli.providers.base import Key
from balcli.text import printable
from balcli.thresholds import DEFAULT_FIELD, KEYS, Range

_SHOWN: Final = "***"
_DEFAULT: Final = "default"
# As the requests library looks for them, the small letters first.
_PROXY_VARIABLES: Final = ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")

Plain: TypeAlias = str | int | float | tuple[str, ...] | None


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
