"""From a profile's entries to accounts: which are meant, and their settings with variables filled in.

Each message names file, key and cure, never a value.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from balcli.config.profile import Entry, Profile, refuse_doubles
from balcli.config.secrets import SecretSources
from balcli.config.values import INTEGER, settings_of
from balcli.config.variables import PREFIX
from balcli.errors import AccountError, KeyProblem, UsageError, ValueProblem
from balcli.http.timing import Deadline
from balcli.models import Account
from balcli.providers import PROVIDERS
from balcli.providers.base import Key, Provider, SettingProblem, Value, Values
from balcli.text import printable
from balcli.urls import checked_base_url


def accounts(
    profile: Profile,
    provider: str | None,
    names: Iterable[str],
    targets: Mapping[str, tuple[str, ...]],
    deadline: Deadline,
) -> tuple[Account[Any], ...]:
    """The accounts of a run, in the profile's order: one provider's or all, all of them or those named.

    `targets` replaces, for the one account that is selected, what identifies it at its provider;
    several values make an account of each. Secret commands run within the deadline. Raises the ConfigErrors, and UsageError for targets that
    do not fit.
    """
    entries = _selected(profile, provider, list(names))
    if targets and len(entries) != 1:
        options = ", ".join(_option(PROVIDERS[entries[0].provider], key) for key in targets)
        raise UsageError(
            f"{options} is for one account, and {len(entries)} are selected; name the one that is meant: "
            + ", ".join(printable(entry.name, 40) for entry in entries)
        )
    sources = SecretSources(deadline)
    found: list[tuple[Account[Any], str]] = []
    for entry in entries:
        settings = settings_of(entry, profile.variables, sources, set(targets))
        for name, values in _targeted(entry, settings, targets):
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
    if INTEGER.fullmatch(text) is None:
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
