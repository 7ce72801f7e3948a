"""An account as it is written in a profile or in variables, and the values of its keys.

Each message names file, key and cure, never a value.
"""

import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeAlias

from balcli.config.checks import RAISE_FIRST, Problems, checked_table, reject_unknown_keys
from balcli.config.sources import SecretSources, Variables, checked_secret, prefix_of
from balcli.errors import ConfigError, KeyProblem, ValueProblem
from balcli.files import chmod, is_readable_by_others, working_folder
from balcli.http.strictjson import is_deeper
from balcli.models import Notice
from balcli.providers import PROVIDERS
from balcli.providers.base import Key, Value
from balcli.secret import Secret, validate_credential
from balcli.text import closest_match, join_names, printable

KeyPath: TypeAlias = tuple[str | int, ...]
"""The keys and list indices that lead to a value in a document."""

COMMON_KEYS: Final = (
    Key("name", "text", "the account's name in the output"),
    Key("base_url", "text", "where the API is"),
)
INTEGER: Final = re.compile(r"-?[0-9]{1,18}")
_BEYOND: Final = 10**18
_MOST_LEVELS: Final = 21
"""How deep a login may be nested: it is read and written by recursion."""
_WORD: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z0-9]+|[0-9]+[A-Za-z]*")
_CREDENTIALS: Final = frozenset({"password", "passwd", "passphrase", "pin", "secret", "token", "otp", "key"})
_BESIDE_CODE: Final = frozenset({"otp", "auth", "2fa", "mfa"})


@cache  # once for each provider, not for each account
def allowed_keys(provider: str) -> Mapping[str, Key]:
    """The keys of an account's table at a provider, by each spelling: `token`, `token_file`, `token_command`."""
    return {name: key for key in (*COMMON_KEYS, *PROVIDERS[provider].KEYS) for name in key.spellings}


def allowed_variables(provider: str) -> list[str]:
    """The spellings that a variable can have: a table or an argument list cannot be written as one text."""
    keys = allowed_keys(provider).items()
    return [name for name, key in keys if key.kind != "table" and not name.endswith("_command")]


class Entry(NamedTuple):
    """An account as it is written in the profile or the environment, its variables not yet filled in."""

    provider: str
    name: str
    settings: Mapping[str, Any]
    table: str
    """Its place in messages: `FILE: profiles.main.wallet[0]`, or the source of its variables."""
    folder: Path
    """What relative paths in it are relative to."""
    from_variables: bool = False
    path: KeyPath = ()
    """The keys that lead to its table in the file."""

    def at(self, key: str) -> str:
        """The place of a key in messages."""
        if self.from_variables:
            return f"{self.variable(key)} ({self.table})"
        return f"{self.table}.{key}"

    def variable(self, key: str) -> str:
        """The name of the variable for a key."""
        return f"{prefix_of(self.provider)}{key.upper()}"

    def how_to_add(self, keys: Collection[str]) -> str:
        """The cure where one of these keys is missing."""
        names = [self.variable(key) for key in keys if key in allowed_variables(self.provider)]
        if self.from_variables and names:
            return f"set {' or '.join(names)}"
        return f"add {' or '.join(keys)}"

    def expand(self, text: str, place: str, variables: Variables) -> str:
        """The text with its variables filled in. What comes from a variable is not expanded again."""
        return text if self.from_variables else variables.expand(text, place)

    def exposed_files(self, variables: Variables) -> Iterator[Notice]:
        """A notice for each secret's file that every user can read."""
        for key, spellings in self.given_keys().items():
            for spelling in spellings:
                if spelling == key.in_file and isinstance(text := self.settings[spelling], str):
                    place = self.at(spelling)
                    try:
                        path = self.folder / variables.path(self.expand(text, place, variables), place)
                        state = path.stat()
                    except (ConfigError, OSError, ValueError):
                        continue  # reading it says why
                    if is_readable_by_others(state):
                        message = f"{place}: every user can read the file; {chmod(state, path)}"
                        yield Notice("secret.readable", self.name, message)

    def given_keys(self, *, without_targets: bool = False) -> dict[Key, tuple[str, ...]]:
        """The keys that the account has, each with its spellings; of these all but one are too many."""
        given: dict[Key, tuple[str, ...]] = {}
        for spelling, key in allowed_keys(self.provider).items():
            if spelling in self.settings and not (without_targets and key.option):
                given[key] = (*given.get(key, ()), spelling)
        return given


def entries_of_table(
    provider: str,
    value: Any,
    place: str,
    path: KeyPath,
    folder: Path,
    variables: Variables,
    problems: Problems,
) -> list[Entry]:
    """The accounts of one provider in a profile: one table, or a list of tables with names."""
    several = isinstance(value, list)
    tables = value if several else [value]
    entries = []
    for number, item in enumerate(tables):
        at = f"{place}[{number}]" if several else place
        with problems:
            table = checked_table(item, at)
            reject_unknown_keys(table, allowed_keys(provider), f"{at}.", problems)
            # Its place replaces a faulty name: no other account has it.
            name = f"({at.rpartition('.')[2]})"
            with problems:
                name = _read_name(table, provider, at, variables, needed=len(tables) > 1)
            where = (*path, number) if several else path
            entries.append(Entry(provider, name, table, at, folder, path=where))
    return entries


def _read_name(
    table: Mapping[str, Any], provider: str, place: str, variables: Variables, *, needed: bool
) -> str:
    """The account's name, by default the provider's. Raises KeyProblem if it is needed and missing."""
    if "name" not in table and needed:
        raise KeyProblem(f"{place}.name: is missing, and several accounts need one each; add name = …")
    name = table.get("name", provider)
    if not isinstance(name, str):
        raise ValueProblem(f"{place}.name: is no text; write it in quotes")
    return _checked_name(variables.expand(name, f"{place}.name"), f"{place}.name")


def _checked_name(name: str, place: str) -> str:
    if not name or not name.isprintable() or len(name) > 100 or name.startswith("-") or "/" in name:
        raise ValueProblem(
            f"{place}: is no usable name; give 1 to 100 printable characters without a slash, the first no dash"
        )
    return name


def entries_of_variables(variables: Variables, providers: Iterable[str], problems: Problems) -> list[Entry]:
    """The accounts that `BALCLI_<PROVIDER>_<KEY>` variables describe, at most one a provider."""
    entries = []
    for provider in providers:
        settings, origin = variables.settings(provider)
        if not settings:
            continue
        name = settings.get("name", provider)
        entry = Entry(provider, name, settings, origin, working_folder(), from_variables=True)
        allowed = allowed_variables(provider)
        for unknown in sorted(settings.keys() - set(allowed)):
            close = closest_match(unknown, allowed)
            names = join_names(key.upper() for key in allowed)
            cure = f"use {prefix_of(provider)} with {names}"
            if close is not None:
                cure = f"did you mean {entry.variable(close)}?"
            problems.add(KeyProblem(f"{entry.at(unknown)}: is no setting that balcli knows; {cure}"))
        with problems:
            _checked_name(name, entry.at("name"))
        entries.append(entry)
    return entries


def stand_in(key: Key) -> Value:
    """A value of the key's kind, to go on without its own. That of a secret is random: it makes no two accounts one."""
    kinds: dict[str, Value] = {
        "secret": Secret(os.urandom(16).hex()),
        "integer": 0,
        "list": (),
        "table": {"merchant_id": "-"},
    }
    return kinds.get(key.kind, key.choices[0] if key.choices else "-")


def read_values(
    entry: Entry,
    variables: Variables,
    sources: SecretSources,
    *,
    without_targets: bool,
    problems: Problems = RAISE_FIRST,
) -> dict[str, Value]:
    """The values of an account's keys, by name: a secret under the same name wherever it comes from.

    The problems are ConfigErrors; a key that has one has no value.
    """
    reader = _Reader(entry, variables, sources, problems)
    values: dict[str, Value] = {}
    for key, spellings in entry.given_keys(without_targets=without_targets).items():
        before = problems.count
        with problems:
            if len(spellings) > 1:
                raise KeyProblem(f"{entry.at(spellings[1])}: stands beside {spellings[0]}; keep one of them")
            value = reader.read(key, spellings[0])
            if problems.count == before:
                values[key.name] = value
    return values


class _Reader:
    """Reads the values of one account. It raises ValueProblem, VariableError and SecretError with their place.

    Problems of an item in a list or table are added to the problems, so that all of them are found.
    """

    def __init__(
        self, entry: Entry, variables: Variables, sources: SecretSources, problems: Problems
    ) -> None:
        self._entry = entry
        self._variables = variables
        self._sources = sources
        self._problems = problems

    def read(self, key: Key, spelling: str) -> Value:
        """The value of a key, given in this spelling."""
        raw, place = self._entry.settings[spelling], self._entry.at(spelling)
        if spelling != key.name:
            if spelling == key.in_file:
                return self._from_file(raw, place)
            return self._from_command(key, raw, place)
        if key.kind == "list":
            return self._list(raw, place)
        if key.kind == "table":
            return self._login(checked_table(raw, place), place)
        if isinstance(raw, str):
            return _from_text(key, self._expand(raw, place), place)
        if key.kind == "integer" and isinstance(raw, int) and not isinstance(raw, bool):
            return _bounded(raw, place)
        if key.kind == "integer":
            raise ValueProblem(f"{place}: is no whole number; write it without a point")
        raise ValueProblem(f"{place}: is no text; write it in quotes")

    def _expand(self, text: str, place: str) -> str:
        return self._entry.expand(text, place, self._variables)

    def _expand_all(self, texts: Iterable[str], place: str) -> list[str]:
        """The texts with their variables filled in, without those that have a problem."""
        expanded = []
        for text in texts:
            with self._problems:
                expanded.append(self._expand(text, place))
        return expanded

    def _from_file(self, raw: Any, place: str) -> Value:
        if not isinstance(raw, str) or not raw:
            raise ValueProblem(f"{place}: is no text; give the path of a file")
        path = self._variables.path(self._expand(raw, place), place)
        return self._sources.from_file(self._entry.folder / path, place)

    def _from_command(self, key: Key, raw: Any, place: str) -> Value:
        if not isinstance(raw, list) or not raw or not all(isinstance(part, str) and part for part in raw):
            raise ValueProblem(f'{place}: is no list of texts; write it as ["pass", "show", "some/name"]')
        command = self._expand_all(raw, place)
        if len(command) < len(raw):
            return stand_in(key)  # a problem was added, so the caller drops the value
        return self._sources.from_command(command, place)

    def _list(self, raw: Any, place: str) -> tuple[str, ...]:
        items = [part.strip() for part in raw.split(",")] if self._entry.from_variables else raw
        if (
            not isinstance(items, list)
            or not items
            or not all(isinstance(item, str) and item for item in items)
        ):
            raise ValueProblem(f'{place}: is no list of texts; write it as ["ETH", "USDT"]')
        texts = self._expand_all(items, place)
        if not all(text and text.isprintable() for text in texts):
            raise ValueProblem(
                f"{place}: holds a text that is empty or has a control character; give plain ones"
            )
        return tuple(texts)

    def _login(self, table: Mapping[str, Any], place: str) -> dict[str, Any]:
        """A login's body: its texts are secrets, but for `merchant_id`, which is sent as a header."""
        if is_deeper(table, _MOST_LEVELS):
            raise ValueProblem(f"{place}: is nested too deeply; write the login's body as it is sent")
        body: dict[str, Any] = {}
        for key, value in table.items():
            at = f"{place}.{printable(key, 40)}"
            if key == "merchant_id":
                with self._problems:
                    body[key] = self._header(value, at)
            else:
                body[key] = self._login_value(value, at, is_credential=names_credential(key))
        return body

    def _login_value(self, value: Any, at: str, *, is_credential: bool) -> Any:
        """A value of a login at any depth. All values below a key that names a credential are credentials."""
        if isinstance(value, dict):
            return {
                key: self._login_value(
                    item, f"{at}.{printable(key, 40)}", is_credential=is_credential or names_credential(key)
                )
                for key, item in value.items()
            }
        if isinstance(value, list):
            return [self._login_value(item, at, is_credential=is_credential) for item in value]
        with self._problems:
            if isinstance(value, int):
                return _bounded(value, at)
            if not isinstance(value, str):
                raise ValueProblem(
                    f"{at}: is nothing that a login's body can hold; give a text, a whole number or true or false"
                )
            return checked_secret(self._expand(value, at), at, is_credential=is_credential)
        return None

    def _header(self, value: Any, place: str) -> str:
        if isinstance(value, int) and not isinstance(value, bool):
            value = str(_bounded(value, place))
        if not isinstance(value, str):
            raise ValueProblem(f"{place}: is no text; write it in quotes")
        header = self._expand(value, place)
        problem = validate_credential(header)
        if problem is not None:
            raise ValueProblem(f"{place}: the text {problem}; give the merchant's id")
        return header


def _bounded(number: int, place: str) -> int:
    """A number of at most 18 digits, the bound of a number in a text. Raises ValueProblem."""
    if not -_BEYOND < number < _BEYOND:
        raise ValueProblem(f"{place}: is a number of over 18 digits; give a shorter one")
    return number


def _from_text(key: Key, text: str, place: str) -> Value:
    """The value that a text stands for at a key of kind secret, integer or text."""
    if key.kind == "secret":
        return checked_secret(text, place)
    if key.kind == "integer":
        if INTEGER.fullmatch(text) is None:
            raise ValueProblem(f"{place}: is no whole number; write digits alone")
        return int(text)
    if not text or not text.isprintable():
        raise ValueProblem(f"{place}: is empty or holds a control character; give a plain text")
    if key.choices and text not in key.choices:
        raise ValueProblem(f"{place}: is none of the values known here; write {' or '.join(key.choices)}")
    return text


@lru_cache(maxsize=256)  # many accounts have logins of the same keys
def names_credential(key: str) -> bool:
    """Whether the value of a login's key is a credential, by the key's words: split at `_`, `-` and case changes."""
    found = _WORD.findall(key)
    words = {word.lower() for word in found}
    words |= {word.rstrip("0123456789") for word in words}
    if words & _CREDENTIALS:
        return True
    return "code" in words and (len(found) == 1 or bool(words & _BESIDE_CODE))
