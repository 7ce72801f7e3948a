"""An account's settings: each of the type that its key declares, with variables and secrets filled in.

Each message names file, key and cure, never a value.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from balcli.config.profile import COMMON_KEYS, Entry, checked_table
from balcli.config.secrets import SecretSources, checked_secret
from balcli.config.variables import Variables
from balcli.errors import ConfigFileError, KeyProblem, SecretError, ValueProblem
from balcli.providers import PROVIDERS
from balcli.providers.base import Key, Value
from balcli.secret import flaw
from balcli.text import printable

INTEGER: Final = re.compile(r"-?[0-9]{1,18}")


def settings_of(
    entry: Entry, variables: Variables, sources: SecretSources, replaced: set[str]
) -> dict[str, Value]:
    """The settings of an account by key, a secret under its key wherever it comes from.

    Where a target is replaced from the command line, the profile's own targets are left out.
    Raises the ConfigErrors.
    """
    values: dict[str, Value] = {}
    for key in (*COMMON_KEYS, *PROVIDERS[entry.provider].KEYS):
        given = [name for name in key.spellings if name in entry.settings]
        if len(given) > 1:
            raise KeyProblem(f"{entry.at(given[1])}: stands beside {given[0]}; keep one of them")
        if given and not (replaced and key.option):
            values[key.name] = _setting(entry, key, given[0], variables, sources)
    return values


def _setting(entry: Entry, key: Key, name: str, variables: Variables, sources: SecretSources) -> Value:
    raw, place = entry.settings[name], entry.at(name)
    if name == key.name:
        return _value(entry, key, raw, variables)
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
    command = [variables.expand(part, place) for part in raw]
    return checked_secret(sources.from_command(command, place), place)


def _value(entry: Entry, key: Key, raw: Any, variables: Variables) -> Value:
    """One setting. Raises ValueProblem, VariableError or SecretError, naming the place."""
    place = entry.at(key.name)
    if key.kind == "list":
        items = [part.strip() for part in raw.split(",")] if entry.from_variables else raw
        if (
            not isinstance(items, list)
            or not items
            or not all(isinstance(item, str) and item for item in items)
        ):
            raise ValueProblem(f'{place}: is no list of texts; write it as ["ETH", "USDT"]')
        return tuple(item if entry.from_variables else variables.expand(item, place) for item in items)
    if key.kind == "table":
        return _login_table(checked_table(raw, place), place, variables)
    if key.kind == "integer" and isinstance(raw, int) and not isinstance(raw, bool):
        return raw
    if not isinstance(raw, str):
        kind = "whole number" if key.kind == "integer" else "text"
        raise ValueProblem(
            f"{place}: is no {kind}; write it {'without a point' if kind != 'text' else 'in quotes'}"
        )
    return _of_text(key, raw if entry.from_variables else variables.expand(raw, place), place)


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


def _login_table(table: Mapping[str, Any], place: str, variables: Variables) -> dict[str, Any]:
    """A table that becomes a request's body as it stands; its texts are secrets, but for `merchant_id`."""

    def leaf(value: Any, at: str) -> Any:
        if isinstance(value, dict):
            return {key: leaf(item, f"{at}.{printable(key, 40)}") for key, item in value.items()}
        if isinstance(value, list):
            return [leaf(item, at) for item in value]
        if isinstance(value, str):
            return checked_secret(variables.expand(value, at), at)
        if isinstance(value, bool | int):
            return value
        raise ValueProblem(
            f"{at}: is nothing that a login's body can hold; give a text, a whole number or true or false"
        )

    made: dict[str, Any] = {}
    for key, value in table.items():
        at = f"{place}.{printable(key, 40)}"
        if key == "merchant_id":
            header = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
            if not isinstance(header, str):
                raise ValueProblem(f"{at}: is no text; write it in quotes")
            header = variables.expand(header, at)
            problem = flaw(header)
            if problem is not None:
                raise ValueProblem(f"{at}: the text {problem}; give the merchant's id")
            made[key] = header
        else:
            made[key] = leaf(value, at)
    return made
