"""An account as it is written in a profile or in variables, and the values of its keys.

Each message names file, key and cure, never a value.
"""

import os
import re
from collections.abc import Collection, Iterable, Mapping
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeAlias

from balcli.config.checks import RAISED, Faults, checked_table, refuse_unknown
from balcli.config.sources import SecretSources, Variables, checked_secret, prefix_of
from balcli.errors import ConfigFileError, KeyProblem, SecretError, ValueProblem
from balcli.files import working_folder
from balcli.providers import PROVIDERS
from balcli.providers.base import Key, Provider, Value
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
# A login's body is flat, or nearly so; what is nested without end could not be written out again.
_MOST_LEVELS: Final = 20
_WORD: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z0-9]+|[0-9]+[A-Za-z]*")
_CREDENTIALS: Final = frozenset({"password", "passwd", "passphrase", "pin", "secret", "token", "otp", "key"})
_BESIDE_CODE: Final = frozenset({"otp", "auth", "2fa", "mfa"})


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


@cache  # once for each provider, not for each account
def declared(provider: str) -> Mapping[str, Key]:
    """What an account's table can have at a provider: each spelling, with the key that it gives."""
    return {name: key for key in (*COMMON_KEYS, *PROVIDERS[provider].KEYS) for name in key.spellings}


def settable(provider: str) -> list[str]:
    """The spellings that variables can have: a table and a list of arguments cannot be written as one text."""
    keys = declared(provider).items()
    return [name for name, key in keys if key.kind != "table" and not name.endswith("_command")]


def entries_of_table(
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


def entries_of_variables(variables: Variables, providers: Iterable[str], faults: Faults) -> list[Entry]:
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
                    names = join_names(name.upper() for name in known)
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


def _checked_name(name: str, place: str) -> str:
    if not name or not name.isprintable() or len(name) > 100 or name.startswith("-") or "/" in name:
        raise ValueProblem(
            f"{place}: is no usable name; give 1 to 100 printable characters without a slash, the first no dash"
        )
    return name


def settings_of(
    entry: Entry,
    variables: Variables,
    sources: SecretSources,
    replaced: set[str],
    faults: Faults = RAISED,
) -> dict[str, Value]:
    """The settings of an account by key, a secret under its key wherever it comes from.

    Where a target is replaced from the command line, the profile's own targets are left out. A key
    with a fault is not among them. The faults are ConfigErrors.
    """
    values: dict[str, Value] = {}
    for key, given in keys_of(entry, replaced):
        before = faults.count
        with faults:
            if len(given) > 1:
                raise KeyProblem(f"{entry.at(given[1])}: stands beside {given[0]}; keep one of them")
            values[key.name] = _setting(entry, key, given[0], variables, sources, faults)
        if faults.count != before:
            values.pop(key.name, None)
    return values


def keys_of(entry: Entry, replaced: set[str]) -> Iterable[tuple[Key, tuple[str, ...]]]:
    """The keys that an account's settings are read from, each with the spellings that are there."""
    given = _given(entry.provider, tuple(entry.settings))
    return [pair for pair in given if not pair[0].option] if replaced else given


@lru_cache(maxsize=64)  # many accounts give the same keys
def _given(provider: str, names: tuple[str, ...]) -> tuple[tuple[Key, tuple[str, ...]], ...]:
    """The keys that settings of these names give, in the provider's order, each with its spellings among them."""
    keys: dict[Key, tuple[str, ...]] = {}
    for spelling, key in declared(provider).items():
        if spelling in names:
            keys[key] = (*keys.get(key, ()), spelling)
    return tuple(keys.items())


def stand_in(key: Key) -> Value:
    """A value of the key's kind where there is none, so that what stands beside it can be looked at.

    A secret's is like no other, so that two accounts are not taken for one.
    """
    kinds: dict[str, Value] = {
        "secret": Secret(os.urandom(16).hex()),
        "integer": 0,
        "list": (),
        "table": {"merchant_id": "-"},
    }
    return kinds.get(key.kind, key.choices[0] if key.choices else "-")


def _setting(
    entry: Entry, key: Key, name: str, variables: Variables, sources: SecretSources, faults: Faults
) -> Value:
    raw, place = entry.settings[name], entry.at(name)
    if name == key.name:
        return _value(entry, key, raw, place, variables, faults)
    if name == key.in_file:
        if not isinstance(raw, str) or not raw:
            raise ValueProblem(f"{place}: is no text; give the path of a file")
        path = raw if entry.from_variables else variables.expand(raw, place)
        try:
            return checked_secret(sources.from_file(entry.folder / path), place)
        except ConfigFileError as problem:
            raise SecretError(f"{place}: {problem.message}") from None
    if not isinstance(raw, list) or not raw or not all(isinstance(part, str) and part for part in raw):
        raise ValueProblem(f'{place}: is no list of texts; write it as ["pass", "show", "some/name"]')
    command = _expanded(raw, place, variables, faults)
    if len(command) < len(raw):
        return stand_in(key)  # not used: the fault was kept, and the key counts as not there
    return checked_secret(sources.from_command(command, place), place)


def _expanded(texts: Iterable[str], place: str, variables: Variables, faults: Faults) -> list[str]:
    """The texts with their variables filled in, those with a fault left out."""
    expanded = []
    for text in texts:
        with faults:
            expanded.append(variables.expand(text, place))
    return expanded


def _value(entry: Entry, key: Key, raw: Any, place: str, variables: Variables, faults: Faults) -> Value:
    """One setting. The faults are ValueProblem, VariableError and SecretError, naming the place."""
    if isinstance(raw, str) and key.kind not in {"list", "table"}:  # as most are
        return _of_text(key, raw if entry.from_variables else variables.expand(raw, place), place)
    if key.kind == "list":
        items = [part.strip() for part in raw.split(",")] if entry.from_variables else raw
        if (
            not isinstance(items, list)
            or not items
            or not all(isinstance(item, str) and item for item in items)
        ):
            raise ValueProblem(f'{place}: is no list of texts; write it as ["ETH", "USDT"]')
        texts = items if entry.from_variables else _expanded(items, place, variables, faults)
        if not all(text and text.isprintable() for text in texts):
            raise ValueProblem(
                f"{place}: holds a text that is empty or has a control character; give plain ones"
            )
        return tuple(texts)
    if key.kind == "table":
        return _login_table(checked_table(raw, place), place, variables, faults)
    if key.kind == "integer" and isinstance(raw, int) and not isinstance(raw, bool):
        return _bounded(raw, place)
    kind = "whole number" if key.kind == "integer" else "text"
    raise ValueProblem(
        f"{place}: is no {kind}; write it {'without a point' if kind != 'text' else 'in quotes'}"
    )


def _bounded(number: int, place: str) -> int:
    """A whole number of up to 18 digits, as a text can have, too."""
    if not -_BEYOND < number < _BEYOND:
        raise ValueProblem(f"{place}: is a number of over 18 digits; give a shorter one")
    return number


def _of_text(key: Key, text: str, place: str) -> Value:
    """The setting that a text, with its variables filled in, stands for."""
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


def _login_table(
    table: Mapping[str, Any], place: str, variables: Variables, faults: Faults
) -> dict[str, Any]:
    """A table that becomes a request's body as it stands; its texts are secrets, but for `merchant_id`."""

    def leaf(value: Any, at: str, level: int = 0, *, named: bool) -> Any:
        if level > _MOST_LEVELS:
            raise ValueProblem(f"{place}: is nested too deeply; write the login's body as it is sent")
        if isinstance(value, dict):
            return {
                key: leaf(item, f"{at}.{printable(key, 40)}", level + 1, named=named or names_credential(key))
                for key, item in value.items()
            }
        if isinstance(value, list):
            return [leaf(item, at, level + 1, named=named) for item in value]
        with faults:
            if isinstance(value, bool | int):
                return _bounded(value, at)
            if not isinstance(value, str):
                raise ValueProblem(
                    f"{at}: is nothing that a login's body can hold; give a text, a whole number or true or false"
                )
            return checked_secret(variables.expand(value, at), at, is_credential=named)
        return None

    made: dict[str, Any] = {}
    for key, value in table.items():
        at = f"{place}.{printable(key, 40)}"
        if key == "merchant_id":
            with faults:
                made[key] = _header(value, at, variables)
        else:
            made[key] = leaf(value, at, named=names_credential(key))
    return made


def _header(value: Any, place: str, variables: Variables) -> str:
    """The login's `merchant_id`, which travels as a header."""
    header = value
    if isinstance(value, int) and not isinstance(value, bool):
        header = str(_bounded(value, place))
    if not isinstance(header, str):
        raise ValueProblem(f"{place}: is no text; write it in quotes")
    header = variables.expand(header, place)
    problem = validate_credential(header)
    if problem is not None:
        raise ValueProblem(f"{place}: the text {problem}; give the merchant's id")
    return header


@lru_cache(maxsize=256)  # many accounts have logins of the same keys
def names_credential(key: str) -> bool:
    """Whether the value of a login's key is a credential, by the key's words: split at `_`, `-` and case changes."""
    words = {word.lower().rstrip("0123456789") for word in _WORD.findall(key)}
    words |= {word.lower() for word in _WORD.findall(key)}
    if words & _CREDENTIALS:
        return True
    return "code" in words and (len(_WORD.findall(key)) == 1 or bool(words & _BESIDE_CODE))
