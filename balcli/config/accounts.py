"""From a profile's entries to accounts: which are selected, and which of their values are credentials.

Each message names file, key and cure, never a value.
"""

import functools
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import urlsplit

from balcli.config.checks import RAISE_FIRST, Problems, reject_duplicates
from balcli.config.entry import INTEGER, Entry, KeyPath, allowed_keys, names_credential, read_values, stand_in
from balcli.config.profile import Profile
from balcli.config.sources import SecretSources, Variables, as_written, names_in, prefix_of
from balcli.errors import AccountError, KeyProblem, PluginFault, SecretError, UsageError, ValueProblem
from balcli.http import echoes
from balcli.models import Account, Notice
from balcli.providers import PROVIDERS
from balcli.providers.base import Key, Provider, SettingProblem, Value, Values
from balcli.secret import MIN_RECOGNIZABLE, Secret, is_recognizable, placeholder_problem, secrets_in
from balcli.text import did_you_mean, join_names, printable
from balcli.urls import BaseUrl, validate_base_url

if TYPE_CHECKING:
    from balcli.config.inspection import Settings

_EXPIRING_SECONDS: Final = 72 * 3600
_STAND_IN_URL: Final = "https://localhost"


class OpenedAccount(NamedTuple):
    """An entry with its usable values, and its account unless a problem hides which account that is."""

    entry: Entry
    values: Mapping[str, Value]
    account: Account[Any] | None


def open_accounts(
    profile: Profile,
    sources: SecretSources,
    provider: str | None = None,
    names: Iterable[str] = (),
    targets: Mapping[str, tuple[str, ...]] | None = None,
) -> list[OpenedAccount]:
    """The accounts of a run in the profile's order: one provider's or all, every one or the named ones.

    `targets` replaces, for the one selected account, the keys that identify it at its provider; several
    values make an account of each. Raises the ConfigErrors, and UsageError for targets that do not fit.
    """
    entries = select(profile, provider, list(names))
    if targets and len(entries) != 1:
        options = ", ".join(_option(PROVIDERS[entries[0].provider], key) for key in targets)
        raise UsageError(
            f"{options} is for one account, and {len(entries)} are selected; name the one that is meant: "
            + join_names(entry.name for entry in entries)
        )
    return _open_entries(profile, entries, sources, targets or {}, RAISE_FIRST)


def inspect_accounts(profile: Profile, problems: Problems) -> list[OpenedAccount]:
    """Every account of the profile as far as it goes. No command is run, and problems are added."""
    found: list[OpenedAccount] = []
    with problems:
        found = _open_entries(profile, select(profile, None, []), SecretSources(None), {}, problems)
    for opened in found:
        fault = None if opened.account is None else opened.account.settings
        if isinstance(fault, PluginFault):
            problems.add(ValueProblem(f"{opened.entry.table}: {fault.message}"))
    return found


def select(profile: Profile, provider: str | None, names: list[str]) -> list[Entry]:
    """The entries of a provider or all, and of these names if any. Raises AccountError for an unknown name."""
    of_provider = [entry for entry in profile.entries if provider in (None, entry.provider)]
    kind = f"{provider} account" if provider else "account"
    if not of_provider:
        table = (
            f"add [profiles.{printable(profile.name or 'main', 40)}.{provider or 'loopring'}] to the profile"
        )
        variables = f"set {prefix_of(provider or 'loopring')}… variables"
        raise AccountError(f"{profile.place} has no {kind}; {table} or {variables}")
    where = f"profile {printable(profile.name, 40)}" if profile.name else "the environment"
    for name in names:
        if all(name != entry.name for entry in of_provider):
            other = next((entry.provider for entry in profile.entries if entry.name == name), None)
            hint = did_you_mean(name, [entry.name for entry in of_provider])
            if other is not None:
                hint = f"it is a {other} account; use balcli {other}"
            raise AccountError(f"{where} has no {kind} {printable(name, 40)}; {hint}")
    return [entry for entry in of_provider if not names or entry.name in names]


def _open_entries(
    profile: Profile,
    entries: Iterable[Entry],
    sources: SecretSources,
    targets: Mapping[str, tuple[str, ...]],
    problems: Problems,
) -> list[OpenedAccount]:
    found = []
    variables = profile.variables

    @functools.cache  # made when the first message names a setting: finding their lines is slow
    def settings_of_file() -> "Settings":
        from balcli.config.inspection import Settings

        return Settings(profile.file, variables)

    def origin(entry: Entry, path: KeyPath) -> str:
        return settings_of_file().origin(entry, path)

    for entry in entries:
        values = read_values(entry, variables, sources, without_targets=bool(targets), problems=problems)
        _set_origins(entry, values, origin)
        _reject_placeholders(entry, values, problems)
        for name, settings in _with_targets(entry, values, targets):
            found.append(_open(entry, name, settings, set(targets), variables, problems))
    for opened in found:  # after all are opened: a name may contain a credential of another account
        with problems:
            reject_credential_as_name(opened.entry)
    made = [(opened.account, opened.entry.table) for opened in found if opened.account is not None]
    names = ((account.name, place) for account, place in made)
    reject_duplicates(names, "are both named {}; rename one", problems)
    reject_duplicates(
        (("\n".join(account.key), place) for account, place in made),
        "are the same account at the provider and would count twice; remove one",
        problems,
    )
    return found


def _option(provider: Provider, key: str) -> str:
    return next((k.option for k in provider.KEYS if k.name == key and k.option), key)


def _with_targets(
    entry: Entry, values: dict[str, Value], targets: Mapping[str, tuple[str, ...]]
) -> list[tuple[str, dict[str, Value]]]:
    """The account's name and values, once for each combination of the targets. Raises UsageError."""
    keys = {key.name: key for key in PROVIDERS[entry.provider].KEYS}
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
    targets: set[str],
    variables: Variables,
    problems: Problems,
) -> OpenedAccount:
    """The provider's account with these values.

    Where problems are collected, a stand-in replaces each faulty value, so that the others are checked, too.
    """
    provider = PROVIDERS[entry.provider]
    keys = allowed_keys(entry.provider)
    faulty: set[str] = set()
    if problems.count:  # without a problem, every key has its value
        given_keys = entry.given_keys(without_targets=bool(targets))
        faulty = {key.name for key in given_keys if key.name not in values}
    base_url = _STAND_IN_URL
    if "base_url" not in faulty:
        before = problems.count
        with problems:
            base_url = _base_url(entry, values, variables)
        if problems.count != before:
            faulty.add("base_url")
    echoes.register_credentials(base_url, (secret for _, secret in credentials_of(values)))
    account: Account[Any] | None = None
    while account is None:
        given = values | {key: stand_in(keys[key]) for key in faulty}
        try:
            account = provider.open_account(name, base_url, Values(given))
        except SettingProblem as problem:
            if problem.key in targets:
                raise UsageError(f"{_option(provider, problem.key)}: {problem.message}") from None
            key = problem.key.partition(".")[0]
            if key not in faulty:
                problems.add(_key_problem(problem, entry))
            if key in faulty or key not in keys:
                break
            faulty.add(key)
    # A stand-in for a secret still leaves it known which account is meant; any other hides it.
    if any(keys[key].kind != "secret" for key in faulty):
        account = None
    return OpenedAccount(entry, {key: value for key, value in values.items() if key not in faulty}, account)


def _key_problem(problem: SettingProblem, entry: Entry) -> KeyProblem:
    message = f"is missing; {entry.how_to_add(problem.missing)}" if problem.missing else problem.message
    return KeyProblem(f"{entry.at(problem.key)}: {message}")


def _base_url(entry: Entry, values: Mapping[str, Value], variables: Variables) -> str:
    """The base URL of an account. What variables fill in may be a credential and is remembered as one."""
    provider = PROVIDERS[entry.provider]
    base_url = values.get("base_url", provider.BASE_URL)
    if not isinstance(base_url, str):
        raise KeyProblem(
            f"{entry.at('base_url')}: is missing, and no host is known for {provider.TITLE}; "
            + entry.how_to_add(["base_url"])
        )
    try:
        url = validate_base_url(base_url)
    except ValueError as problem:
        raise ValueProblem(f"{entry.at('base_url')}: {problem}") from None
    raw = entry.settings.get("base_url", "")
    names = () if entry.from_variables or url == provider.BASE_URL else names_in(raw)
    if not names:
        return url
    shown = BaseUrl(url, as_written(raw).rstrip("/"))
    echoes.register_credentials(shown, _credentials_in_url(url, names, variables))
    return shown


def _credentials_in_url(url: str, names: Iterable[str], variables: Variables) -> list[Secret]:
    """What variables fill in in a base URL and can be told from data; scheme and host count for none."""
    parts: set[str] = set()
    for name in names:
        text = variables.expand(f"${{{name}}}", "base_url")
        text = urlsplit(text).path if "://" in text else text
        parts |= {text.strip("/"), *text.split("/")}
    parts |= {text.lower() for text in parts}
    # A host name is not a credential, but one of its labels can be.
    host = urlsplit(url).netloc
    parts = {text for text in parts if "." not in text or text.lower() not in host}
    return [Secret(text) for text in parts if is_recognizable(Secret(text, is_credential=False))]


def credentials_of(values: Mapping[str, Value]) -> Iterator[tuple[str, Secret]]:
    """The credentials of an account, each with its key: `token`, or `login.device.pin`."""
    for path, secret, is_credential in _secrets(values):
        if is_credential:
            yield _shown_path(path), secret


def _secrets(
    value: Any, path: KeyPath = (), *, is_credential: bool | None = None
) -> Iterator[tuple[KeyPath, Secret, bool]]:
    """The secrets in an account's values, each with its keys, and whether it is a credential; of a login not all are."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            named = None if not path else is_credential or names_credential(key)
            yield from _secrets(item, (*path, key), is_credential=named)
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _secrets(item, (*path, number), is_credential=is_credential)
    elif isinstance(value, Secret):
        yield path, value, is_credential is not False
    elif is_credential and isinstance(value, int) and not isinstance(value, bool):
        yield path, Secret(str(value)), True


def _set_origins(entry: Entry, values: Mapping[str, Value], origin: Callable[[Entry, KeyPath], str]) -> None:
    """Let each credential know the setting that it is the value of; of a login whose texts are none, all are of `login`."""
    for key, value in values.items():
        texts = {id(secret) for secret in secrets_in(value)}
        found = [each for each in _secrets({key: value}) if id(each[1]) in texts]
        has_credential = any(is_credential for *_, is_credential in found)
        for path, secret, is_credential in found:
            if is_credential or not has_credential:
                secret.origin = functools.partial(origin, entry, path if is_credential else (key,))


def _reject_placeholders(entry: Entry, values: dict[str, Value], problems: Problems) -> None:
    """Add a SecretError for each secret that has a template's text for its value, and remove the value."""
    for path, secret, _ in [*_secrets(values)]:
        flaw = placeholder_problem(secret, is_key=len(path) == 1)
        if flaw is not None and not _is_literal(entry, path):
            values.pop(str(path[0]), None)
            _, _, source = (secret.origin() if secret.origin else "").partition(", from ")
            problems.add(
                SecretError(
                    f"{entry.at(_shown_path(path))}: {flaw}; put the credential itself into {source or 'its place'}"
                )
            )


def _is_literal(entry: Entry, path: KeyPath) -> bool:
    """Whether the profile says, by `$${`, that a `${` is no variable."""
    raw: Any = {} if entry.from_variables else entry.settings
    for part in path:
        raw = raw.get(part) if isinstance(raw, Mapping) else raw[part]
        if raw is None:
            return False
    return isinstance(raw, str) and "$${" in raw


def _shown_path(path: KeyPath) -> str:
    return ".".join(printable(part, 40) for part in path if isinstance(part, str))


def short_credentials(opened: OpenedAccount) -> Iterator[Notice]:
    """A notice for each credential of an account that cannot be told from data."""
    for key, secret in credentials_of(opened.values):
        if not is_recognizable(secret):
            yield Notice(
                "secret.short",
                opened.entry.name,
                f"{opened.entry.at(key)}: shorter than {MIN_RECOGNIZABLE} characters or only digits, so balcli does not recognize "
                "it in a response; use a longer one if the provider offers it",
            )


def expiring_credentials(opened: OpenedAccount) -> Iterator[Notice]:
    """A notice for each fixed JWT of an account that has expired or will soon."""
    from balcli.http import jwt

    for secret in opened.values.values():
        end = jwt.expiry(secret) if isinstance(secret, Secret) else None
        if end is not None and isinstance(secret, Secret) and secret.origin:
            left = end.timestamp() - time.time()
            if left < _EXPIRING_SECONDS:
                verb, cure = ("expires", "replace it before") if left > 0 else ("expired", "replace it")
                yield Notice(
                    "credentials.expiring",
                    opened.entry.name,
                    f"{secret.origin()}, {verb} at {end:%Y-%m-%d %H:%M} UTC; {cure}",
                )


def reject_credential_as_name(entry: Entry) -> None:
    """Raise ValueProblem if the account's name, which every format shows, contains a credential."""
    if echoes.contains_any_credential(entry.name):
        raise ValueProblem(f"{entry.at('name')}: contains a credential; use another name")


def shown_name(entry: Entry) -> str:
    """The account's name, or its place in the profile if the name contains a credential."""
    return f"({entry.table.rpartition('.')[2]})" if echoes.contains_any_credential(entry.name) else entry.name
