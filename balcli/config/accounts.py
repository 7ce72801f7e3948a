"""From a profile's entries to accounts: which are meant, what they ask for, and which of it is a credential.

Each message names file, key and cure, never a value.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from balcli.config.checks import RAISED, Faults, refuse_doubles
from balcli.config.entry import (
    INTEGER,
    Entry,
    declared,
    keys_of,
    names_credential,
    settings_of,
    stand_in,
)
from balcli.config.profile import Profile
from balcli.config.sources import (
    SecretSources,
    UnrunSources,
    Variables,
    as_written,
    names_in,
    prefix_of,
)
from balcli.errors import AccountError, KeyProblem, PluginFault, UsageError, ValueProblem
from balcli.http import echoes
from balcli.http.timing import Deadline
from balcli.models import Account, Notice
from balcli.providers import PROVIDERS
from balcli.providers.base import Key, Provider, SettingProblem, Value, Values
from balcli.secret import SHORTEST_TOLD, Secret, can_be_told
from balcli.text import did_you_mean, join_names, printable
from balcli.urls import BaseUrl, checked_base_url

# What the account of a faulty base_url is made with, to see what else is wrong with it.
_NO_BASE_URL: Final = "https://localhost"


class Opened(NamedTuple):
    """An entry with those of its settings that can be used, and the account if all that tells it apart can."""

    entry: Entry
    values: Mapping[str, Value]
    account: Account[Any] | None


def accounts(
    profile: Profile,
    provider: str | None,
    names: Iterable[str],
    targets: Mapping[str, tuple[str, ...]],
    deadline: Deadline,
    sources: SecretSources | None = None,
) -> tuple[Account[Any], ...]:
    """The accounts of a run, as `opened` has them."""
    found = opened(profile, provider, names, targets, deadline, sources)
    return tuple(each.account for each in found if each.account is not None)


def opened(
    profile: Profile,
    provider: str | None,
    names: Iterable[str],
    targets: Mapping[str, tuple[str, ...]],
    deadline: Deadline,
    sources: SecretSources | None = None,
) -> list[Opened]:
    """The accounts of a run with their settings, in the profile's order: one provider's or all, all of them or those named.

    `targets` replaces, for the one account that is selected, what identifies it at its provider;
    several values make an account of each. Secret commands run within the deadline, and not again
    where `sources` has their output. Raises the ConfigErrors, and UsageError for targets that do not fit.
    """
    entries = selected(profile, provider, list(names))
    if targets and len(entries) != 1:
        options = ", ".join(_option(PROVIDERS[entries[0].provider], key) for key in targets)
        raise UsageError(
            f"{options} is for one account, and {len(entries)} are selected; name the one that is meant: "
            + join_names(entry.name for entry in entries)
        )
    return _opened(entries, profile, sources or SecretSources(deadline), targets, RAISED)


def looked_at(profile: Profile, faults: Faults) -> list[Opened]:
    """Every account of the profile as far as it goes, without running a command; the rest is left to the faults."""
    found: list[Opened] = []
    with faults:
        found = _opened(selected(profile, None, []), profile, UnrunSources(), {}, faults)
    for each in found:
        fault = None if each.account is None else each.account.settings
        if isinstance(fault, PluginFault):
            with faults:
                raise ValueProblem(f"{each.entry.table}: {fault.message}")
    return found


def _opened(
    entries: Iterable[Entry],
    profile: Profile,
    sources: SecretSources,
    targets: Mapping[str, tuple[str, ...]],
    faults: Faults,
) -> list[Opened]:
    """The accounts of these entries; two with one name or one identity are refused."""
    replaced = set(targets)
    found = []
    for entry in entries:
        settings = settings_of(entry, profile.variables, sources, replaced, faults)
        found += [
            _open(entry, name, values, replaced, profile.variables, faults)
            for name, values in _targeted(entry, settings, targets)
        ]
    for each in found:
        if echoes.holds_credential(each.entry.name):
            with faults:
                refuse_credential_as_name(each.entry)
    made = [(each.account, each.entry.table) for each in found if each.account is not None]
    refuse_doubles(
        ((account.name, place) for account, place in made), "are both named {}; rename one", faults
    )
    refuse_doubles(
        (("\n".join(account.key), place) for account, place in made),
        "are the same account at the provider and would count twice; remove one",
        faults,
    )
    return found


def selected(profile: Profile, provider: str | None, names: list[str]) -> list[Entry]:
    """The entries that are meant, in the profile's order. Raises AccountError for a name that is not there."""
    of_provider = [entry for entry in profile.entries if provider in (None, entry.provider)]
    where = f"profile {printable(profile.name, 40)}" if profile.name else "the environment"
    if not of_provider:
        kind = provider or "account"
        table = (
            f"add [profiles.{printable(profile.name or 'main', 40)}.{provider or 'loopring'}] to the profile"
        )
        variables = f"set {prefix_of(provider or 'loopring')}… variables"
        raise AccountError(
            f"{profile.place} has no {kind}{' account' if provider else ''}; {table} or {variables}"
        )
    for name in names:
        if all(name != entry.name for entry in of_provider):
            other = next((entry for entry in profile.entries if entry.name == name), None)
            hint = did_you_mean(name, [entry.name for entry in of_provider])
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
        parsed = list(dict.fromkeys(_target(keys[target], text) for text in given))
        pairs = [
            (f"{name}/{value}" if len(parsed) > 1 else name, {**settings, target: value})
            for name, settings in pairs
            for value in parsed
        ]
    return pairs


def _target(key: Key, text: str) -> Value:
    if key.kind != "integer":
        if not text or not text.isprintable():
            raise UsageError(
                f"{key.option}: is empty or has a control character; give what stands at the provider"
            )
        return text
    if INTEGER.fullmatch(text) is None:
        raise UsageError(f"{key.option}: is no whole number; write digits alone")
    return int(text)


def _open(
    entry: Entry,
    name: str,
    values: dict[str, Value],
    replaced: set[str],
    variables: Variables,
    faults: Faults,
) -> Opened:
    """The provider's account of these settings; what is wrong with them is said with its place.

    Where faults are kept, stand-ins take the places of what has one, to see what else is wrong.
    """
    provider = PROVIDERS[entry.provider]
    keys = declared(entry.provider)
    faulty: set[str] = set()
    if faults.count:  # without one, every key that is there has its value
        faulty = {key.name for key, _ in keys_of(entry, replaced) if key.name not in values}
    base_url = _NO_BASE_URL
    if "base_url" not in faulty:
        before = faults.count
        with faults:
            base_url = _base_url(entry, values, variables)
        faulty |= {"base_url"} if faults.count != before else set()
    echoes.remember(base_url, (secret for _, secret in credentials_of(values)))
    given = values | {key: stand_in(keys[key]) for key in faulty} if faulty else values
    account: Account[Any] | None = None
    while account is None:
        try:
            account = provider.open_account(name, base_url, Values(given))
        except SettingProblem as problem:
            if problem.key in replaced:
                raise UsageError(f"{_option(provider, problem.key)}: {problem.message}") from None
            key = problem.key.partition(".")[0]
            if key not in faulty:
                with faults:
                    raise KeyProblem(f"{entry.at(problem.key)}: {_worded(problem, entry)}") from None
            if key in faulty or key not in keys:
                break
            faulty.add(key)
            given = given | {key: stand_in(keys[key])}
    if faulty:
        values = {key: value for key, value in values.items() if key not in faulty}
        # With a stand-in for a secret it is still known which account is meant; with any other it is not.
        if any(keys[key].kind != "secret" for key in faulty):
            account = None
    return Opened(entry, values, account)


def _worded(problem: SettingProblem, entry: Entry) -> str:
    """What a provider says of settings; the keys that it misses as variables, where these make the account."""
    return f"is missing; {entry.add(problem.missing)}" if problem.missing else problem.message


def _base_url(entry: Entry, values: Mapping[str, Value], variables: Variables) -> str:
    """The base URL; what variables fill in may be a credential, and is remembered as one."""
    provider = PROVIDERS[entry.provider]
    base_url = values.get("base_url", provider.BASE_URL)
    if not isinstance(base_url, str):
        raise KeyProblem(
            f"{entry.at('base_url')}: is missing, and no host is known for {provider.TITLE}; "
            + entry.add(["base_url"])
        )
    try:
        url = checked_base_url(base_url)
    except ValueError as problem:
        raise ValueProblem(f"{entry.at('base_url')}: {problem}") from None
    raw = entry.settings.get("base_url", "")
    if "${" not in raw or entry.from_variables or url == provider.BASE_URL:
        return url
    shown, parts = marked_url(url, raw, variables)
    echoes.remember(shown, parts)
    return shown


def credentials_of(values: Mapping[str, Value]) -> Iterator[tuple[str, Secret]]:
    """The credentials of an account, each with its key; those of a login with all the keys that lead to them."""
    for name, value in values.items():
        if isinstance(value, Secret):
            yield name, value
        elif isinstance(value, dict):
            yield from _in_login(value, name, is_credential=False)


def _in_login(value: Any, place: str, *, is_credential: bool) -> Iterator[tuple[str, Secret]]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            named = is_credential or names_credential(key)
            yield from _in_login(item, f"{place}.{printable(key, 40)}", is_credential=named)
    elif isinstance(value, list):
        for item in value:
            yield from _in_login(item, place, is_credential=is_credential)
    elif is_credential and isinstance(value, Secret):
        yield place, value
    elif is_credential and isinstance(value, int) and not isinstance(value, bool):
        yield place, Secret(str(value))


def short_credentials(entry: Entry, values: Mapping[str, Value]) -> Iterator[Notice]:
    """A notice for each credential of an account that cannot be told from data."""
    for key, secret in credentials_of(values):
        if not can_be_told(secret):
            yield Notice(
                "secret.short",
                entry.name,
                f"{entry.at(key)}: shorter than {SHORTEST_TOLD} characters or only digits, so balcli does not recognize "
                "it in a response; use a longer one if the provider offers it",
            )


def refuse_credential_as_name(entry: Entry) -> None:
    """Raise ValueProblem for an account whose name, which is shown, contains a credential of 12 characters."""
    if echoes.holds_credential(entry.name):
        raise ValueProblem(f"{entry.at('name')}: contains a credential; use another name")


def shown_name(entry: Entry) -> str:
    """The account's name, or its place in the profile where the name contains a credential."""
    return f"({entry.table.rpartition('.')[2]})" if echoes.holds_credential(entry.name) else entry.name


def marked_url(base_url: str, raw: str, variables: Variables) -> tuple[str, list[Secret]]:
    """The base URL, shown as written in the profile where variables fill it in, and what they fill in.

    Of a variable that holds the scheme and host, what follows these counts.
    """
    names = names_in(raw)
    if not names:  # an escaped one
        return base_url, []
    filled: set[str] = set()
    for name in names:
        text = variables.expand(f"${{{name}}}", "base_url")
        text = urlsplit(text).path if "://" in text else text
        filled |= {text.strip("/"), *text.split("/")}
    filled |= {text.lower() for text in filled}
    # A host name is not a credential, but one of its labels can be.
    host = urlsplit(base_url).netloc
    filled = {text for text in filled if "." not in text or text.lower() not in host}
    parts = [Secret(text, is_credential=False) for text in filled]
    parts = [Secret(text) for text, part in zip(filled, parts, strict=True) if can_be_told(part)]
    return BaseUrl(base_url, as_written(raw).rstrip("/")), parts
