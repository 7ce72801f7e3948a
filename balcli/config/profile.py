"""Read a profile (accounts, request settings, thresholds), and open its accounts for a run."""

import re
from binascii import a2b_base64
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from balcli.config.entry import (
    Entry,
    OpenedAccount,
    entries_of_table,
    entries_of_variables,
    open_entry,
    unknown_key,
)
from balcli.config.problems import Problem, Problems, Source, Table
from balcli.config.sources import (
    SecretSources,
    Variables,
    ca_source,
    exists,
    exposed_error,
    has_own_text,
    parse_toml,
    prefix_of,
    profile_names,
    read_text,
    read_variables,
    texts_in,
)
from balcli.errors import AccountError, ConfigFileError, ProfileError, UsageError, ValueProblem
from balcli.files import is_readable_by_others, shown, working_folder
from balcli.http import echoes
from balcli.http.client import RequestSettings
from balcli.models import CaSource
from balcli.providers import PROVIDERS
from balcli.secret import Secret, reveal
from balcli.settings import (
    CA_VARIABLES,
    MOST_COMMAND_SECONDS,
    MOST_JOBS,
    MOST_RETRIES,
    MOST_SECONDS,
    parse_seconds,
)
from balcli.text import did_you_mean, join_names, printable
from balcli.urls import validate_proxy

if TYPE_CHECKING:
    from balcli.config.thresholds import ThresholdEntry

RUN_KEYS: Final = {
    "timeout": "seconds for one request",
    "deadline": "seconds for the whole run",
    "command_timeout": "seconds for a secret command, up to 120",
    "retries": "retries of a failed request",
    "jobs": "accounts requested at once",
    "proxy": "http://host:port (default: HTTPS_PROXY and NO_PROXY)",
    "ca_bundle": 'a PEM file, relative to this file, or "system" (default: SSL_CERT_FILE etc., or built-in)',
}
"""The keys of a profile other than accounts and limits, with their help texts."""
_LIMITS: Final = "limits"


class Profile(NamedTuple):
    """One profile, checked except for the secrets of its accounts."""

    name: str | None
    entries: tuple[Entry, ...]
    request_settings: RequestSettings
    variables: Variables
    place: Table | None = None
    """Its table; None if the accounts come from variables."""
    unusable: frozenset[str] = frozenset()
    """The keys of `RUN_KEYS` that have a problem."""
    thresholds: tuple["ThresholdEntry", ...] = ()
    problems: tuple[Problem, ...] = ()
    """The problems so far. Opening accounts raises them, with those of the accounts."""

    def located(self, text: str) -> str:
        """The message about the profile, ending with this text."""
        return f"the environment {text}" if self.place is None else self.place.located((), text)


class ProfileFile(NamedTuple):
    """A config file and its variables, with the problems outside its profiles."""

    path: Path
    source: Source
    document: Mapping[str, Any]
    variables: Variables
    problems: tuple[Problem, ...] = ()

    def profile(self, name: str | None) -> Profile:
        """The named profile; without a name, the default or the only one. Raises ConfigErrors if it does not exist."""
        problems = Problems(self.problems)
        place = None
        with problems.step():
            place, table = _choose(self, name, problems)
        if place is None:
            raise problems.error()
        variables, folder = self.variables, self.path.parent
        known = (*PROVIDERS.titles, *RUN_KEYS, _LIMITS)
        before = len(problems.found)
        entries: list[Entry] = []
        for key, value in table.items():
            if key in PROVIDERS.titles:
                path = (*place.path, key)
                entries += entries_of_table(key, value, self.source, path, folder, variables, problems)
            elif key not in known:
                problems.add(unknown_key(key, known), place, key)
        if variables.have_settings:
            entries += entries_of_variables(variables, table, working_folder(), problems)
        named: dict[str, Entry] = {}
        for entry in entries:
            first = named.setdefault(entry.name, entry)
            if first is not entry:
                where = f" in {first.source.name}" if first.source and not entry.source else ""
                problems.add(
                    AccountError(f"is also the name of {first.label}{where}; rename one"), entry, "name"
                )
        thresholds: tuple[ThresholdEntry, ...] = ()
        if _LIMITS in table:
            from balcli.config.thresholds import read_thresholds  # most profiles have no problem

            # The name of an account with a problem may be unknown.
            names = [entry.name for entry in entries] if len(problems.found) == before else None
            thresholds = read_thresholds(table[_LIMITS], place, names, variables, problems)
        given = RUN_KEYS.keys() & table.keys()
        settings = _run_settings(table, place, variables, problems) if given else {}
        unusable = frozenset(given - settings.keys())
        settings["ca_bundle"] = ca_source(None, settings.get("ca_bundle"), folder, variables.environ)
        return Profile(
            str(place.path[-1]),
            tuple(entries),
            RequestSettings(**settings),
            variables,
            place,
            unusable,
            thresholds,
            tuple(problems.found),
        )

    @property
    def names(self) -> list[str]:
        """The names of its profiles."""
        return profile_names(self.document)


def load(
    file: Path, *, must_exist: bool, name: str | None, env_file: Path | None, environ: Mapping[str, str]
) -> Profile:
    """Load the named profile from a file; without a name, the default profile or the only one.

    If the file is optional and does not exist, the accounts come from the environment. Raises ConfigErrors if no
    profile can be loaded. Other errors are in its `problems`.
    """
    if not must_exist and not exists(file):
        return without_file(file, name=name, env_file=env_file, environ=environ)
    return read_file(file, env_file=env_file, environ=environ).profile(name)


def without_file(
    file: Path, *, name: str | None, env_file: Path | None, environ: Mapping[str, str]
) -> Profile:
    """The profile of the environment, if the file does not exist. Raises ConfigErrors if it has no accounts."""
    problems = Problems()
    variables = read_variables(environ, env_file, problems)
    entries = tuple(entries_of_variables(variables, (), working_folder(), problems))
    if name is not None:
        problems.add(
            ProfileError(
                f"{shown(file)} does not exist, so profile {printable(name, 40)} was not found; create it with balcli config init, or use another file with --config"
            )
        )
    elif not entries:
        problems.add(
            ConfigFileError(
                f"{shown(file)} does not exist; create it with balcli config init, use another with --config, set BALCLI_<PROVIDER>_<KEY> variables, or try --sandbox"
            )
        )
    if name is not None or not entries:
        raise problems.error()
    settings = RequestSettings(ca_bundle=ca_source(None, None, Path(), environ))
    return Profile(None, entries, settings, variables, problems=tuple(problems.found))


def read_file(file: Path, *, env_file: Path | None, environ: Mapping[str, str]) -> ProfileFile:
    """Read the file, the environment, and the given `.env` or the one next to the file.

    Raises ConfigErrors if the file is not valid TOML.
    """
    problems = Problems()
    if env_file is None and exists(file.parent / ".env"):
        env_file = file.parent / ".env"
    variables = read_variables(environ, env_file, problems)
    with problems.step():
        read = read_text(file, problems)
        source = Source(file, read.text)
        document = parse_toml(source)
        if is_readable_by_others(read.state) and holds_secret(document):
            problems.add(exposed_error(file, read.state, "contains a secret"))
        _check_document(document, source, problems)
        return ProfileFile(file, source, document, variables, tuple(problems.found))
    raise problems.error()


def holds_secret(document: Mapping[str, Any]) -> bool:
    """Whether a secret key, login or proxy contains literal text, so the file must be readable only by its user."""
    profiles = document.get("profiles")
    for table in profiles.values() if isinstance(profiles, dict) else ():
        if not isinstance(table, dict):
            continue
        if isinstance(table.get("proxy"), str) and "@" in table["proxy"]:
            return True
        for name in PROVIDERS.keys() & table.keys():
            for entry in table[name] if isinstance(table[name], list) else [table[name]]:
                for key in PROVIDERS[name].KEYS if isinstance(entry, dict) else ():
                    raw = entry.get(key.name) if key.kind in {"secret", "table"} else None
                    if any(map(has_own_text, texts_in(raw))):
                        return True
    return False


def _check_document(document: Mapping[str, Any], source: Source, problems: Problems) -> None:
    """Add the problems of a file outside its profiles."""
    whole, known = Table(source), ("default_profile", "profiles")
    for key in document:
        if key not in known:
            problems.add(unknown_key(key, known), whole, key)
    default, profiles = document.get("default_profile", ""), document.get("profiles", {})
    if not isinstance(default, str):
        problems.add(
            ValueProblem("must be the name of a profile; put it in quotes"), whole, "default_profile"
        )
    elif "default_profile" in document and isinstance(profiles, dict) and default not in profiles:
        text = f"names profile {printable(default, 40)}, which does not exist; {_hint(default, profiles)}"
        problems.add(ProfileError(text), whole, "default_profile")


def _hint(wanted: str, profiles: Mapping[str, Any]) -> str:
    return did_you_mean(wanted, profiles) if profiles else "add [profiles.main]"


def _choose(file: ProfileFile, name: str | None, problems: Problems) -> tuple[Table, Mapping[str, Any]]:
    """The profile to use, with its table: the given one, the default or the only one. Raises ConfigError."""
    default, profiles = file.document.get("default_profile"), file.document.get("profiles", {})
    if not isinstance(profiles, dict):
        raise ValueProblem(
            Table(file.source).located(("profiles",), "must be a table; write it as [profiles.main]")
        )
    if name is not None and name not in profiles:
        raise ProfileError(
            f"{file.source.name} has no profile {printable(name, 40)}; {_hint(name, profiles)}"
        )
    if name is None and isinstance(default, str) and default in profiles:
        name = default
    if name is None and not profiles:
        raise ProfileError(f"{file.source.name} has no profiles; add [profiles.main]")
    if name is None and len(profiles) > 1:
        if default is not None:
            raise problems.error()  # an invalid default_profile cannot choose one
        raise ProfileError(
            f"{file.source.name} has several profiles ({join_names(profiles)}); choose one with --profile or default_profile"
        )
    chosen = next(iter(profiles)) if name is None else name
    place = Table(file.source, ("profiles", chosen))
    if not isinstance(profiles[chosen], dict):
        raise ValueProblem(
            place.located((), f"must be a table; write it as [profiles.{printable(chosen, 40)}]")
        )
    return place, profiles[chosen]


def _run_settings(
    table: Mapping[str, Any], place: Table, variables: Variables, problems: Problems
) -> dict[str, Any]:
    """The valid values of `RUN_KEYS` in the profile."""
    settings: dict[str, Any] = {}
    for key in RUN_KEYS:
        if key in table:
            with problems.step(place, key):
                settings[key] = _run_setting(key, table[key], variables)
    if settings.get("command_timeout", 0.0) > (deadline := settings.get("deadline", MOST_SECONDS)):
        del settings["command_timeout"]
        text = f"must not exceed the deadline of {deadline:g} s; raise deadline, or lower it"
        problems.add(ValueProblem(text), place, "command_timeout")
    return settings


def _run_setting(key: str, value: Any, variables: Variables) -> Any:
    """The value of one of `RUN_KEYS`. Raises ValueProblem and VariableError."""
    if key in {"timeout", "deadline"}:
        return _seconds(value, variables, MOST_SECONDS)
    if key == "command_timeout":
        return _seconds(value, variables, MOST_COMMAND_SECONDS)
    if key == "retries":
        return _whole(value, 0, MOST_RETRIES)
    if key == "jobs":
        return _whole(value, 1, MOST_JOBS)
    if not isinstance(value, str) or not value:
        raise ValueProblem("must be a string; put it in quotes")
    text = variables.expand(value)
    if key == "ca_bundle":
        return variables.path(text)
    try:
        # It may contain a password, so register it as a secret to redact it from messages.
        return reveal(Secret(validate_proxy(text)))
    except ValueError as problem:
        raise ValueProblem(str(problem)) from None


def _seconds(value: Any, variables: Variables, most: float) -> float:
    try:
        found = parse_seconds(variables.expand(value)) if isinstance(value, str) else value
    except ValueError as problem:
        raise ValueProblem(str(problem)) from None
    if isinstance(found, bool) or not isinstance(found, int | float) or not 0 < found <= most:
        raise ValueProblem(f'must be above 0 and at most {most:g} seconds; write it as 5 or "500ms"')
    return float(found)


def _whole(value: Any, least: int, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise ValueProblem(f"must be a whole number from {least} to {most}; change it{_unquoted(value)}")
    return value


def _unquoted(value: Any) -> str:
    return " and remove the quotes" if isinstance(value, str) else ""


def open_accounts(
    profile: Profile,
    sources: SecretSources,
    provider: str | None = None,
    names: Iterable[str] = (),
    targets: Mapping[str, tuple[str, ...]] | None = None,
) -> list[OpenedAccount]:
    """Open the accounts of a run, in the profile's order: of one provider or all, with these names or all.

    `targets` overrides the keys that identify the single selected account. Several values open several accounts.
    Raises all ConfigErrors of the profile and these accounts as one, and UsageError for invalid targets.
    """
    problems = Problems(profile.problems)
    entries = select(profile, provider, [*names], problems)
    if targets and len(entries) > 1:
        keys = PROVIDERS[entries[0].provider].KEYS
        options = ", ".join(key.option for key in keys if key.option and key.name in targets)
        raise UsageError(
            f"{options} works only with one account, but {len(entries)} are selected; choose one: "
            + join_names(entry.name for entry in entries)
        )
    opened = open_entries(entries, sources, targets or {}, problems)
    check_certificates(profile, opened, problems)
    if problems.found:
        raise problems.error()
    return opened


def select(profile: Profile, provider: str | None, names: list[str], problems: Problems) -> list[Entry]:
    """The entries of a provider (or all) with these names (or all). Adds an AccountError if there are none."""
    of_provider = [entry for entry in profile.entries if provider in (None, entry.provider)]
    kind = f"{provider} account" if provider else "account"
    if not of_provider:
        heading = f"[profiles.{printable(profile.name or 'main', 40)}.{provider or 'loopring'}]"
        variables = f"set {prefix_of(provider or 'loopring')}… variables"
        problems.add(AccountError(profile.located(f"has no {kind}; add {heading} or {variables}")))
    for name in names if of_provider else ():
        if all(name != entry.name for entry in of_provider):
            other = next((entry.provider for entry in profile.entries if entry.name == name), None)
            hint = did_you_mean(name, [entry.name for entry in of_provider])
            if other is not None:
                hint = f"it is a {other} account; use balcli {other}"
            where = "the environment" if profile.place is None else profile.place.title
            problems.add(AccountError(f"{where} has no {kind} {printable(name, 40)}; {hint}"))
    return [entry for entry in of_provider if entry.name in names] if names else of_provider


def open_entries(
    entries: Iterable[Entry],
    sources: SecretSources,
    targets: Mapping[str, tuple[str, ...]],
    problems: Problems,
) -> list[OpenedAccount]:
    """Open the accounts of these entries, as far as possible."""
    opened: list[OpenedAccount] = []
    for entry in entries:
        opened += open_entry(entry, sources, targets, problems)
    check_together(opened, problems)
    return opened


def check_together(opened: Iterable[OpenedAccount], problems: Problems) -> None:
    """Add problems between accounts: a credential in a name, and duplicate accounts."""
    first: dict[tuple[str, ...], Entry] = {}
    for entry, _, account in opened:
        if echoes.contains_any_credential(entry.name):
            problems.add(ValueProblem("contains a credential; use another name"), entry, "name")
        if account is not None:
            one = first.setdefault(account.key, entry)
            if one is not entry:
                text = f"is the same account as {one.title} and would count twice; remove one"
                problems.add(AccountError(text), entry)


_MOST_PEM: Final = 10_000_000
_CERTIFICATE: Final = rb"(?s)-----BEGIN (?:TRUSTED )?CERTIFICATE-----(.*?)-----END "


def check_certificates(profile: Profile, opened: Iterable[OpenedAccount], problems: Problems) -> None:
    """Add a ValueProblem for each file that does not look like PEM certificates. TLS validates them later."""
    places: dict[CaSource, Entry | Table | None] = {profile.request_settings.ca_bundle: profile.place}
    for entry, _, account in opened:
        if account is not None and account.ca is not None:
            places.setdefault(account.ca, entry)
    for source, place in places.items():
        flaw = pem_flaw(source.path) if source.kind == "file" and source.path is not None else None
        if flaw is None or source.path is None:
            continue
        variable = source.named_by if source.named_by in CA_VARIABLES else None
        text = f": {shown(source.path)} {flaw}"
        if variable is not None:
            cure = f"use a file of PEM certificates, or unset {variable}"
            problems.add(ValueProblem(f"{variable}{text}; {cure}"))
        else:
            cure = "use a file of PEM certificates, or remove ca_bundle"
            problems.add(ValueProblem(f"{text}; {cure}"), place, "ca_bundle")


def pem_flaw(path: Path) -> str | None:
    """Why a file does not contain PEM certificates; None if it seems to."""
    try:
        if path.exists() and not path.is_file():
            return "is not a regular file"
        with path.open("rb") as file:
            content = file.read(_MOST_PEM + 1)
    except (OSError, ValueError) as problem:
        if isinstance(problem, FileNotFoundError):
            return "does not exist"
        return f"cannot be read: {getattr(problem, 'strerror', None) or 'not a usable path'}"
    if len(content) > _MOST_PEM:
        return f"is larger than {_MOST_PEM // 1_000_000} MB"
    blocks = re.findall(_CERTIFICATE, content)  # not compiled at import: few profiles set ca_bundle
    return None if blocks and all(map(_is_base64, blocks)) else "contains no certificates"


def _is_base64(block: bytes) -> bool:
    try:
        return bool(a2b_base64(b"".join(block.split()), strict_mode=True))
    except ValueError:
        return False
