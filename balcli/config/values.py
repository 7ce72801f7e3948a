"""An account's settings: each of the type that its key declares, with variables and secrets filled in.

Each message names file, key and cure, never a value.
"""

import os
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, Final

from balcli.config.credentials import names_credential
from balcli.config.faults import RAISED, Faults
from balcli.config.profile import Entry, declared
from balcli.config.secrets import SecretSources, checked_secret
from balcli.config.tables import checked_table
from balcli.config.variables import Variables
from balcli.errors import ConfigFileError, KeyProblem, SecretError, ValueProblem
from balcli.providers.base import Key, Value
from balcli.secret import Secret, validate_credential
from balcli.text import printable

INTEGER: Final = re.compile(r"-?[0-9]{1,18}")
_BEYOND: Final = 10**18
# A login's body is flat, or nearly so; what is nested without end could not be written out again.
_MOST_LEVELS: Final = 20


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
