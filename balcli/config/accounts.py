"""From a profile's entries to accounts: which are meant, and their settings with variables filled in.

Each message names file, key and cure, never a value.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from balcli.config.profile import COMMON_KEYS, Entry, Profile, checked_table, refuse_doubles
from balcli.config.variables import PREFIX, Variables
from balcli.errors import AccountError, KeyProblem, SecretError, UsageError, ValueProblem
from balcli.models import Account
from balcli.providers import PROVIDERS
from balcli.providers.base import Key, Provider, SettingProblem, Value, Values
from balcli.secret import Secret, flaw
from balcli.text import printable
from balcli.urls import checked_base_url

_INTEGER = re.compile(r"-?[0-9]{1,18}")


def accounts(
    profile: Profile, provider: str | None, names: Iterable[str], targets: Mapping[str, tuple[str, ...]]
) -> tuple[Account[Any], ...]:
    """The accounts of a run, in the profile's order: one provider's or all, all of them or those named.

    `targets` replaces, for the one account that is selected, what identifies it at its provider;
    several values make an account of each. Raises the ConfigErrors, and UsageError for targets that
    do not fit.
    """
    entries = _selected(profile, provider, list(names))
    if targets and len(entries) != 1:
        options = ", ".join(_option(PROVIDERS[entries[0].provider], key) for key in targets)
        raise UsageError(
            f"{options} is for one account, and {len(entries)} are selected; name the one that is meant: "
            + ", ".join(printable(entry.name, 40) for entry in entries)
        )
    found: list[tuple[Account[Any], str]] = []
    for entry in entries:
        for name, values in _targeted(entry, _values(entry, profile.variables, set(targets)), targets):
            found.append((_account(entry, name, values, set(targets)), entry.table))
    refuse_doubles(((account.name, place) for account, place in found), "are both named {}; rename one")
    refuse_doubles(
        (("\n".join((account.provider, *account.identity)), place) for account, place in found),
        "are the same account at the provider and would count twice; remove one",
    )
    return tuple(account for account, _ in found)


def _selected(profile: Profile, provider: str | None, names: list[str]) -> list[Entry]:
    of_provider = [entry for entry in profile.entries if provider in (None, entry.provider)]
    where = f"profile {printable(profile.name, 40)}" if profile.name else "the environment"
    if not of_provider:
        kind = provider or "account"
        table = (
            f"add [profiles.{printable(profile.name or 'main', 40)}.{provider or 'loopring'}] to the profile"
        )
        variables = f"set {PREFIX}{(provider or 'loopring').upper()}_… variables"
        raise AccountError(f"{where} has no {kind}{' account' if provider else ''}; {table} or {variables}")
    for name in names:
        if all(name != entry.name for entry in of_provider):
            other = next((entry for entry in profile.entries if entry.name == name), None)
            hint = "there are: " + ", ".join(printable(entry.name, 40) for entry in of_provider)
            if other is not None:
                hint = f"it is a {other.provider} account; use balcli {other.provider}"
            raise AccountError(
                f"{where} has no {provider or ''} account {printable(name, 40)}; {hint}".replace("  ", " ")
            )
    return [entry for entry in of_provider if not names or entry.name in names]


def _option(provider: Provider, key: str) -> str:
    return next((k.option for k in provider.KEYS if k.name == key and k.option), key)


def _values(entry: Entry, variables: Variables, replaced: set[str]) -> dict[str, Value]:
    """The settings of an account with their variables filled in, each checked for its key's kind.

    Where a target is replaced from the command line, the profile's own targets are left out.
    """
    provider = PROVIDERS[entry.provider]
    values: dict[str, Value] = {}
    for key in (*COMMON_KEYS, *provider.KEYS):
        if key.name in entry.settings and not (replaced and key.option):
            values[key.name] = _value(entry, key, entry.settings[key.name], variables)
    return values


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
        return _secret(text, place)
    if key.kind == "integer":
        if _INTEGER.fullmatch(text) is None:
            raise ValueProblem(f"{place}: is no whole number; write digits alone")
        return int(text)
    if not text or not text.isprintable():
        raise ValueProblem(f"{place}: is empty or holds a control character; give a plain text")
    if key.choices and text not in key.choices:
        raise ValueProblem(f"{place}: is none of the values known here; write {' or '.join(key.choices)}")
    return text


def _secret(text: str, place: str) -> Secret:
    problem = flaw(text)
    if problem is not None:
        raise SecretError(f"{place}: the secret {problem}; check where it comes from")
    return Secret(text)


def _login_table(table: Mapping[str, Any], place: str, variables: Variables) -> dict[str, Any]:
    """A table that becomes a request's body as it stands; its texts are secrets, but for `merchant_id`."""

    def leaf(value: Any, at: str) -> Any:
        if isinstance(value, dict):
            return {key: leaf(item, f"{at}.{printable(key, 40)}") for key, item in value.items()}
        if isinstance(value, list):
            return [leaf(item, at) for item in value]
        if isinstance(value, str):
            return _secret(variables.expand(value, at), at)
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


def _targeted(
    entry: Entry, values: dict[str, Value], targets: Mapping[str, tuple[str, ...]]
) -> list[tuple[str, dict[str, Value]]]:
    """The account's name and settings, with the command line's targets in them: one pair for each value."""
    if not targets:
        return [(entry.name, values)]
    provider = PROVIDERS[entry.provider]
    keys = {key.name: key for key in provider.KEYS}
    pairs = [(entry.name, values)]
    for target, given in targets.items():
        parsed = [_target(keys[target], text) for text in dict.fromkeys(given)]
        pairs = [
            (f"{name}/{value}" if len(parsed) > 1 else name, {**settings, target: value})
            for name, settings in pairs
            for value in parsed
        ]
    return pairs


def _target(key: Key, text: str) -> Value:
    if key.kind != "integer":
        return text
    if _INTEGER.fullmatch(text) is None:
        raise UsageError(f"{key.option}: is no whole number; write digits alone")
    return int(text)


def _account(entry: Entry, name: str, values: dict[str, Value], replaced: set[str]) -> Account[Any]:
    """The provider's account of these settings, and what is wrong with them said with its place."""
    provider = PROVIDERS[entry.provider]
    base_url = values.get("base_url", provider.BASE_URL)
    if not isinstance(base_url, str):
        raise KeyProblem(
            f"{entry.at('base_url')}: is missing; no host is known for {provider.TITLE}, so add base_url"
        )
    try:
        checked = checked_base_url(base_url)
    except ValueError as problem:
        raise ValueProblem(f"{entry.at('base_url')}: {problem}") from None
    try:
        return provider.open_account(name, checked, Values(values))
    except SettingProblem as problem:
        if problem.key in replaced:
            raise UsageError(f"{_option(provider, problem.key)}: {problem.message}") from None
        raise KeyProblem(f"{entry.at(problem.key)}: {problem.message}") from None
