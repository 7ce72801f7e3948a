"""The entry of an account in a profile or in variables, and the account with its values."""

import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from balcli.config.credentials import names_credential, set_origins
from balcli.config.problems import UNKNOWN_KEY, KeyPath, Problems, Source, located
from balcli.config.sources import (
    SecretSources,
    Variables,
    as_written,
    ca_source,
    checked_secret,
    names_in,
    prefix_of,
    texts_in,
)
from balcli.errors import ConfigError, KeyProblem, UsageError, ValueProblem
from balcli.files import chmod, is_readable_by_others
from balcli.http import echoes
from balcli.http.strictjson import is_deeper
from balcli.models import Account, Notice
from balcli.providers import PROVIDERS
from balcli.providers.base import Key, SettingProblem, Value, Values
from balcli.secret import Secret, is_recognizable, validate_credential
from balcli.text import closest_match, join_names, printable
from balcli.urls import BaseUrl, validate_base_url

COMMON_KEYS: Final = (
    Key("name", "text", "the account's name in the output"),
    Key("base_url", "text", "the URL of the API"),
    Key("ca_bundle", "text", 'a PEM file, relative to this file, or "system"; overrides the profile\'s'),
)
_BEYOND: Final = 10**18
_MOST_LEVELS: Final = 21
"""The maximum depth of a login, which is read and written recursively."""
_NOT_TEXT: Final = "must be a string; put it in quotes"
_STAND_IN_URL: Final = "https://localhost"


@cache  # once per provider, not per account
def allowed_keys(provider: str) -> Mapping[str, Key]:
    """The keys of a provider's account table, by spelling: `token`, `token_file`, `token_command`."""
    return {name: key for key in (*COMMON_KEYS, *PROVIDERS[provider].KEYS) for name in key.spellings}


def allowed_variables(provider: str) -> list[str]:
    """The spellings of the keys that a variable can set. Variables cannot set tables and argument lists."""
    keys = allowed_keys(provider).items()
    return [name for name, key in keys if key.kind != "table" and not name.endswith("_command")]


class Entry(NamedTuple):
    """An account as written in a profile, or in variables (without a source). `${NAME}` is not expanded yet."""

    provider: str
    name: str
    settings: Mapping[str, Any]
    variables: Variables
    folder: Path
    """The base of relative paths."""
    source: Source | None = None
    path: KeyPath = ()
    """The path of its table in the source."""

    @property
    def label(self) -> str:
        """Its provider, and its number in a list: `wallet 2`."""
        return (
            f"{self.provider} {self.path[-1] + 1}"
            if self.path and isinstance(self.path[-1], int)
            else self.provider
        )

    @property
    def title(self) -> str:
        """`wallet "treasury"`, or the label if it has no name or the name may contain a credential."""
        secrets = (text for key, raw in self.settings.items() if key != "name" for text in texts_in(raw))
        if (
            not isinstance(self.settings.get("name"), str)
            or self.name == f"({self.label})"
            or echoes.contains_any_credential(self.name)
            or any(text and text in self.name for text in secrets)
        ):
            return self.label
        return f'{self.provider} "{printable(self.name, 40)}"'

    def located(self, keys: KeyPath, text: str) -> str:
        """The message about a key of the account; see `Place`."""
        if self.source is not None:
            return located(self.source.at((*self.path, *keys)), keys, self.title, text)
        name = self.variable(str(keys[0]))
        return located(self.variables.place(name), (name, *keys[1:]), "", text)

    def variable(self, key: str) -> str:
        """The name of the variable for a key."""
        return f"{prefix_of(self.provider)}{key.upper()}"

    def missing(self, *keys: str) -> str:
        """The message if one of these keys is required, with the cure."""
        names = [self.variable(key) for key in keys if key in allowed_variables(self.provider)]
        if self.source is None and names:
            return f"is missing; set {' or '.join(names)}"
        return f"is missing; add {' or '.join(keys)}"

    def expand(self, text: str) -> str:
        """The text with its variables expanded. The values of variables are not expanded again."""
        return text if self.source is None else self.variables.expand(text)

    def path_of(self, text: str) -> Path:
        """The path of a text. Raises VariableError."""
        return self.folder / self.variables.path(self.expand(text))

    def exposed_files(self) -> Iterator[Notice]:
        """A notice for each secret file that every user can read."""
        for key, spellings in self.given_keys().items():
            for spelling in spellings:
                if spelling == key.in_file and isinstance(text := self.settings[spelling], str):
                    try:
                        path = self.path_of(text)
                        state = path.stat()
                    except (ConfigError, OSError, ValueError):
                        continue  # reading it raises the error
                    if is_readable_by_others(state):
                        message = f"names a file that is readable by everyone; {chmod(state, path)}"
                        yield Notice("secret.readable", self.name, self.located((spelling,), message))

    def given_keys(self, *, without_targets: bool = False) -> dict[Key, tuple[str, ...]]:
        """The keys of the account, each with its spellings. More than one spelling is an error."""
        given: dict[Key, tuple[str, ...]] = {}
        for spelling, key in allowed_keys(self.provider).items():
            if spelling in self.settings and not (without_targets and key.option):
                given[key] = (*given.get(key, ()), spelling)
        return given


class OpenedAccount(NamedTuple):
    """An entry with its valid values, and its account, unless a problem makes that unknown."""

    entry: Entry
    values: Mapping[str, Value]
    account: Account[Any] | None


def entries_of_table(
    provider: str,
    value: Any,
    source: Source,
    path: KeyPath,
    folder: Path,
    variables: Variables,
    problems: Problems,
) -> Iterator[Entry]:
    """The accounts of one provider in a profile: one table, or a list of tables with names."""
    allowed = allowed_keys(provider)
    several = isinstance(value, list)
    for number, table in enumerate(value if several else (value,)):
        entry = Entry(provider, provider, {}, variables, folder, source, (*path, number) if several else path)
        if not isinstance(table, dict):
            heading = ".".join(map(str, path))
            problems.add(ValueProblem(f"must be a table; write it as [{printable(heading, 60)}]"), entry)
            continue
        entry = entry._replace(settings=table)
        before = len(problems.found)
        with problems.step(entry, "name"):
            name = table.get("name", provider)
            if "name" not in table and several and len(value) > 1:
                raise KeyProblem("is missing, but is required with several accounts; add name = …")
            if not isinstance(name, str):
                raise ValueProblem(_NOT_TEXT)
            entry = entry._replace(name=_checked_name(variables.expand(name)))
        if len(problems.found) > before:
            entry = entry._replace(name=f"({entry.label})")
        for key in table:
            if key not in allowed:
                problems.add(unknown_key(key, allowed), entry, key)
        yield entry


def unknown_key(key: str, known: Iterable[str]) -> KeyProblem:
    """The problem of an unknown key."""
    close = closest_match(key, known)
    hint = f"known keys: {join_names(known)}" if close is None else f'did you mean "{close}"?'
    return KeyProblem(f"{UNKNOWN_KEY}; {hint}")


def _checked_name(name: str) -> str:
    if not name or not name.isprintable() or len(name) > 100 or name.startswith("-") or "/" in name:
        raise ValueProblem(
            "must be 1 to 100 printable characters without a slash, and must not start with a dash; change it"
        )
    return name


def entries_of_variables(
    variables: Variables, tables: Collection[str], folder: Path, problems: Problems
) -> Iterator[Entry]:
    """The accounts from `BALCLI_<PROVIDER>_<KEY>` variables, at most one per provider, and only without its table."""
    for provider in PROVIDERS:
        settings = {} if provider in tables else variables.settings(provider)
        if not settings:
            continue
        entry = Entry(provider, settings.get("name", provider), settings, variables, folder)
        allowed = allowed_variables(provider)
        for key in sorted(settings.keys() - set(allowed)):
            close = closest_match(key, allowed)
            hint = f"use {prefix_of(provider)} with {join_names(name.upper() for name in allowed)}"
            if close is not None:
                hint = f"did you mean {entry.variable(close)}?"
            problems.add(KeyProblem(f"is not a balcli setting; {hint}"), entry, key)
        with problems.step(entry, "name"):
            _checked_name(entry.name)
        yield entry


def stand_in(key: Key) -> Value:
    """A placeholder for an invalid value. Secrets are random, so that two accounts do not become the same."""
    kinds: dict[str, Value] = {
        "secret": Secret(os.urandom(16).hex()),
        "integer": 0,
        "list": (),
        "table": {"merchant_id": "-"},
    }
    return kinds.get(key.kind, key.choices[0] if key.choices else "-")


def open_entry(
    entry: Entry, sources: SecretSources, targets: Mapping[str, tuple[str, ...]], problems: Problems
) -> Iterator[OpenedAccount]:
    """Open the account of an entry, or one for each of several `targets`.

    A placeholder replaces each invalid value, so that the others are checked, too. Raises UsageError for a target.
    """
    values: dict[str, Value] = {}
    given_keys = entry.given_keys(without_targets=bool(targets))
    reader = _Reader(entry, sources, problems)
    for key, spellings in given_keys.items():
        before = len(problems.found)
        with problems.step(entry, spellings[-1]):
            if len(spellings) > 1:
                raise KeyProblem(f"cannot be combined with {spellings[0]}; remove one of them")
            value = reader.read(key, spellings[0])
            if len(problems.found) == before:
                values[key.name] = value
    credentials = set_origins(entry, values, problems)
    faulty = {key.name for key in given_keys} - values.keys() if problems.found else set()
    base_url = _STAND_IN_URL
    if "base_url" not in faulty:
        faulty.add("base_url")
        with problems.step(entry, "base_url"):
            base_url = _base_url(entry, values.get("base_url"))
            faulty.remove("base_url")
    echoes.register_credentials(base_url, credentials)
    for name, settings in _with_targets(entry, values, targets) if targets else ((entry.name, values),):
        yield _open(entry, name, base_url, settings, faulty, targets, problems)


def _open(
    entry: Entry,
    name: str,
    base_url: str,
    values: Mapping[str, Value],
    faulty: set[str],
    targets: Mapping[str, tuple[str, ...]],
    problems: Problems,
) -> OpenedAccount:
    """The provider's account with these values, and placeholders for the invalid ones."""
    keys, account = allowed_keys(entry.provider), None
    while account is None:
        given = {**values, **{key: stand_in(keys[key]) for key in faulty}} if faulty else values
        try:
            account = PROVIDERS[entry.provider].open_account(name, base_url, Values(given))
        except SettingProblem as problem:
            key, *below = problem.key.split(".")
            if key in targets:
                raise UsageError(f"{keys[key].option}: {problem.message}") from None
            if key not in faulty:
                message = entry.missing(*problem.missing) if problem.missing else problem.message
                problems.add(KeyProblem(message), entry, key, *below)
            if key in faulty or key not in keys:
                break
            faulty = {*faulty, key}
    bundle = values.get("ca_bundle")
    if account is not None:
        ca = ca_source(bundle, None, entry.folder, {}) if isinstance(bundle, str) else None
        account = account._replace(ca=ca)
    if faulty:
        # With a placeholder for a secret, the account is still known. With any other, it is not.
        if any(keys[key].kind != "secret" for key in faulty):
            account = None
        values = {key: value for key, value in values.items() if key not in faulty}
    return OpenedAccount(entry, values, account)


def _with_targets(
    entry: Entry, values: Mapping[str, Value], targets: Mapping[str, tuple[str, ...]]
) -> list[tuple[str, Mapping[str, Value]]]:
    """The account's name and values for each combination of the targets. Raises UsageError."""
    keys = allowed_keys(entry.provider)
    pairs = [(entry.name, values)]
    for target, texts in targets.items():
        parsed = list(dict.fromkeys(_parse_target(keys[target], text) for text in texts))
        pairs = [
            (f"{name}/{value}" if len(parsed) > 1 else name, {**settings, target: value})
            for name, settings in pairs
            for value in parsed
        ]
    return pairs


def _parse_target(key: Key, text: str) -> Value:
    try:
        return _from_text(key, text)
    except ValueProblem as problem:
        raise UsageError(f"{key.option} {problem.message}") from None


def _base_url(entry: Entry, base_url: Value | None) -> str:
    """The base URL of an account. Values of variables may be credentials and are registered as such."""
    default = PROVIDERS[entry.provider].BASE_URL
    base_url = default if base_url is None else base_url
    if not isinstance(base_url, str):
        raise KeyProblem(entry.missing("base_url"))
    try:
        url = validate_base_url(base_url)
    except ValueError as problem:
        raise ValueProblem(str(problem)) from None
    raw = entry.settings.get("base_url", "")
    if entry.source is None or url == default or "${" not in raw or not (names := names_in(raw)):
        return url
    shown = BaseUrl(url, as_written(raw).rstrip("/"))
    echoes.register_credentials(shown, _credentials_in_url(url, names, entry.variables))
    return shown


def _credentials_in_url(url: str, names: Iterable[str], variables: Variables) -> list[Secret]:
    """The values of variables in a base URL that may be credentials. Scheme and host do not count."""
    parts: set[str] = set()
    for name in names:
        text = variables.expand(f"${{{name}}}")
        text = urlsplit(text).path if "://" in text else text
        parts |= {text.strip("/"), *text.split("/")}
    parts |= {text.lower() for text in parts}
    # A host name is not a credential, but one of its labels can be.
    host = urlsplit(url).netloc
    parts = {text for text in parts if "." not in text or text.lower() not in host}
    return [Secret(text) for text in parts if is_recognizable(Secret(text, is_credential=False))]


class _Reader(NamedTuple):
    """Reads the values of one account. Raises ValueProblem, VariableError and SecretError.

    Problems of items in a list or table are collected, so that all are reported.
    """

    entry: Entry
    sources: SecretSources
    problems: Problems

    def read(self, key: Key, spelling: str) -> Value:
        """The value of a key in this spelling."""
        raw = self.entry.settings[spelling]
        if spelling != key.name:
            if spelling == key.in_file:
                return self._from_file(raw)
            return self._from_command(raw, spelling)
        if key.kind == "list":
            return self._list(raw, spelling)
        if key.kind == "table":
            return self._login(raw, spelling)
        if isinstance(raw, str):
            text = self.entry.expand(raw)
            return _from_text(key, self.entry.variables.path(text) if key.name == "ca_bundle" else text)
        if key.kind != "integer":
            raise ValueProblem(_NOT_TEXT)
        if isinstance(raw, int) and not isinstance(raw, bool):
            return _bounded(raw)
        raise ValueProblem("must be a whole number; remove the decimal point")

    def _expand_all(self, texts: Iterable[str], spelling: str) -> list[str]:
        """The texts with their variables expanded, without those that have a problem."""
        expanded = []
        for text in texts:
            with self.problems.step(self.entry, spelling):
                expanded.append(self.entry.expand(text))
        return expanded

    def _from_file(self, raw: Any) -> Value:
        if not isinstance(raw, str) or not raw:
            raise ValueProblem("must be a file path; put it in quotes")
        return self.sources.from_file(self.entry.path_of(raw))

    def _from_command(self, raw: Any, spelling: str) -> Value:
        if not isinstance(raw, list) or not raw or not all(isinstance(part, str) and part for part in raw):
            raise ValueProblem('must be a list of strings; write it as ["pass", "show", "some/name"]')
        command = self._expand_all(raw, spelling)
        # Not after a problem: another user may be able to edit the file that contains the command.
        run = not self.problems.found
        return self.sources.from_command(command, run=run) if len(command) == len(raw) else ""

    def _list(self, raw: Any, spelling: str) -> tuple[str, ...]:
        items = [part.strip() for part in raw.split(",")] if self.entry.source is None else raw
        if (
            not isinstance(items, list)
            or not items
            or not all(isinstance(item, str) and item for item in items)
        ):
            raise ValueProblem('must be a list of strings; write it as ["ETH", "USDT"]')
        texts = self._expand_all(items, spelling)
        if not all(text and text.isprintable() for text in texts):
            raise ValueProblem("contains an empty string or a control character; correct it")
        return tuple(texts)

    def _login(self, table: Any, *keys: str) -> dict[str, Any]:
        """The body of a login request. Its strings are secrets, except `merchant_id`, which is sent as a header."""
        if not isinstance(table, dict):
            raise ValueProblem(f"must be a table; write it as {keys[0]} = {{ merchant_id = …, … }}")
        if is_deeper(table, _MOST_LEVELS):
            raise ValueProblem("is nested too deeply; use only the fields of the login request")
        body: dict[str, Any] = {}
        for key, value in table.items():
            if key == "merchant_id":
                with self.problems.step(self.entry, *keys, key):
                    body[key] = self._header(value)
            else:
                body[key] = self._login_value(value, (*keys, key), is_credential=names_credential(key))
        return body

    def _login_value(self, value: Any, keys: KeyPath, *, is_credential: bool) -> Any:
        """A value of a login at any depth. Values below a key that names a credential are credentials."""
        if isinstance(value, dict):
            return {
                key: self._login_value(
                    item, (*keys, key), is_credential=is_credential or names_credential(key)
                )
                for key, item in value.items()
            }
        name, _, source = str(keys[-1]).rpartition("_")
        elsewhere = is_credential and source in {"file", "command"}
        if isinstance(value, list) and not elsewhere:
            return [self._login_value(item, keys, is_credential=is_credential) for item in value]
        read: Any = None
        with self.problems.step(self.entry, *keys):
            if elsewhere:
                raise KeyProblem(f'would be sent to the provider unchanged; use {name} = "${{NAME}}"')
            if isinstance(value, int):
                read = _bounded(value)
            elif isinstance(value, str):
                read = checked_secret(self.entry.expand(value), is_credential=is_credential)
            else:
                raise ValueProblem("must be a string, a whole number, true or false; change it")
        return read

    def _header(self, value: Any) -> str:
        if isinstance(value, int) and not isinstance(value, bool):
            value = str(_bounded(value))
        if not isinstance(value, str):
            raise ValueProblem(_NOT_TEXT)
        header = self.entry.expand(value)
        problem = validate_credential(header)
        if problem is not None:
            raise ValueProblem(f"{problem}; use the merchant's id")
        return header


def _bounded(number: int) -> int:
    """A number of at most 18 digits. Raises ValueProblem."""
    if not -_BEYOND < number < _BEYOND:
        raise ValueProblem("has more than 18 digits; use a shorter number")
    return number


def _from_text(key: Key, text: str) -> Value:
    """Parse the value of a key of kind secret, integer or text."""
    if key.kind == "secret":
        return checked_secret(text)
    if key.kind == "integer":
        if re.fullmatch("-?[0-9]{1,18}", text) is None:
            raise ValueProblem("must be a whole number; use only digits")
        return int(text)
    if not text or not text.isprintable():
        raise ValueProblem("is empty or contains a control character; use plain text")
    if key.choices and text not in key.choices:
        raise ValueProblem(f"must be {' or '.join(key.choices)}; change it")
    return text
