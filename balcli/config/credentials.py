"""The credentials of an account: their sources, placeholders and expiry."""

import re
import time
from collections.abc import Iterator, Mapping
from functools import lru_cache, partial, reduce
from operator import getitem
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from balcli.config.problems import KeyPath, Problems, Source
from balcli.config.sources import Variables, has_own_text, names_in, texts_in
from balcli.errors import SecretError, VariableError
from balcli.http import echoes
from balcli.models import Notice
from balcli.providers.base import Value
from balcli.secret import MIN_RECOGNIZABLE, Secret, is_recognizable, placeholder_problem
from balcli.text import printable

if TYPE_CHECKING:
    from balcli.config.entry import Entry, OpenedAccount

REDACTED: Final = "***"
_EXPIRING_SECONDS: Final = 72 * 3600
_WORD: Final = "[A-Z]+(?![a-z])|[A-Z]?[a-z0-9]+|[0-9]+[A-Za-z]*"
_CREDENTIALS: Final = frozenset({"password", "passwd", "passphrase", "pin", "secret", "token", "otp", "key"})
_BESIDE_CODE: Final = frozenset({"otp", "auth", "2fa", "mfa"})


@lru_cache(maxsize=256)  # many accounts have logins with the same keys
def names_credential(key: str) -> bool:
    """Whether the value of a login key is a credential, by the key's words, split at `_`, `-` and case changes."""
    found = re.findall(_WORD, key)
    words = {form for word in found for form in (word.lower(), word.lower().rstrip("0123456789"))}
    if words & _CREDENTIALS:
        return True
    return "code" in words and (len(found) == 1 or bool(words & _BESIDE_CODE))


class PlacedSecret(NamedTuple):
    """A secret of an account, with its keys and list indices: `("token",)`, or `("login", "device", "pin")`."""

    path: KeyPath
    secret: Secret
    is_credential: bool


def secrets_of(value: Any, path: KeyPath = (), *, is_credential: bool = False) -> Iterator[PlacedSecret]:
    """The secrets of an account, including numbers that are credentials."""
    if isinstance(value, Secret):
        yield PlacedSecret(path, value, is_credential or len(path) == 1)
    elif isinstance(value, Mapping | list):
        for key, item in value.items() if isinstance(value, Mapping) else enumerate(value):
            named = path != () and isinstance(key, str) and names_credential(key)
            yield from secrets_of(item, (*path, key), is_credential=is_credential or named)
    elif is_credential and isinstance(value, int) and not isinstance(value, bool):
        yield PlacedSecret(path, Secret(str(value)), is_credential)


def set_origins(entry: "Entry", values: dict[str, Value], problems: Problems) -> list[Secret]:
    """Set the origin of each credential, and drop placeholders. Returns the credentials.

    If a login has no key that names a credential, the origin of all its values is the login.
    """
    credentials: list[Secret] = []
    for key, value in [*values.items()]:
        found = [*secrets_of({key: value})]
        named = [each.secret for each in found if each.is_credential]
        for path, secret, is_credential in found:
            if is_credential or not named:
                secret.origin = partial(_origin, entry, path if named else (key,))
            flaw = placeholder_problem(secret, is_key=len(path) == 1)
            if flaw is not None and not _is_literal(entry, path):
                values.pop(key, None)
                names = [part for part in (_spelling(entry, key), *path[1:]) if isinstance(part, str)]
                where = _origin(entry, path).partition(", from ")[2] or "the profile"
                problems.add(SecretError(f"{flaw}; set the real value in {where}"), entry, *names)
        if key in values:
            credentials += named
    return credentials


def _is_literal(entry: "Entry", path: KeyPath) -> bool:
    """Whether the profile contains a `$${`, so that `${` is not a variable."""
    raw: Any = {} if entry.source is None else entry.settings
    for part in path:
        raw = raw.get(part) if isinstance(raw, Mapping) else raw[part]
        if raw is None:
            return False
    return isinstance(raw, str) and "$${" in raw


def _spelling(entry: "Entry", name: str | int) -> str:
    """The spelling of a key in the account: `token`, `token_file` or `token_command`."""
    return next(spellings[0] for key, spellings in entry.given_keys().items() if key.name == name)


def _origin(entry: "Entry", path: KeyPath) -> str:
    """A setting and its source, for messages: `login.password, from .env:3 PASSWORD`."""
    spelling = _spelling(entry, path[0])
    name = ".".join(printable(part, 40) for part in (spelling, *path[1:]) if isinstance(part, str))
    source = source_of(entry, spelling)
    if len(path) > 1:
        raw = reduce(getitem, path[1:], entry.settings[spelling])
        source = source_of_text(raw, entry.source, (*entry.path, spelling, *path[1:]), entry.variables)
    source = re.sub("^(file|command) ", r"the \1 ", source)
    source = re.sub("(^|, )environment ", r"\1the environment variable ", source)
    return f"{name}, from {printable(source, 100)}" if source else name


def credential_notices(opened: "OpenedAccount") -> Iterator[Notice]:
    """Notices about the credentials of an account that do not prevent a run."""
    yield from _short_credentials(opened)
    yield from expiring_credentials(opened)
    yield from opened.entry.exposed_files()


def _short_credentials(opened: "OpenedAccount") -> Iterator[Notice]:
    """A notice for each credential of an account that cannot be distinguished from data."""
    for path, secret, is_credential in secrets_of(opened.values):
        if is_credential and not is_recognizable(secret):
            keys = [part for part in path if isinstance(part, str)]
            yield Notice(
                "secret.short",
                opened.entry.name,
                opened.entry.located(
                    tuple(keys),
                    f"is shorter than {MIN_RECOGNIZABLE} characters or only digits, so balcli does not recognize "
                    "it in a response; use a longer one if the provider offers it",
                ),
            )


def expiring_credentials(opened: "OpenedAccount") -> Iterator[Notice]:
    """A notice for each static JWT of an account that has expired or will expire soon."""
    from balcli.http import jwt  # imported here, because `config show` needs no JSON

    for secret in opened.values.values():
        end = jwt.expiry(secret) if isinstance(secret, Secret) else None
        if end is not None and isinstance(secret, Secret) and secret.origin:
            left = end.timestamp() - time.time()
            if left < _EXPIRING_SECONDS:
                verb, cure = ("expires", "replace it before then") if left > 0 else ("expired", "replace it")
                yield Notice(
                    "credentials.expiring",
                    opened.entry.name,
                    f"{secret.origin()}, {verb} at {end:%Y-%m-%d %H:%M} UTC; {cure}",
                )


def source_of(entry: "Entry", spelling: str) -> str:
    """The source of a value: a file, a command, variables, or a line of the profile."""
    raw = entry.settings[spelling]
    if spelling.endswith("_file") and isinstance(raw, str):
        try:
            path = entry.path_of(raw)
        except VariableError:
            path = entry.folder / raw
        return without_credential(f"file {printable(str(path))}")
    if spelling.endswith("_command") and isinstance(raw, list) and raw and isinstance(raw[0], str):
        return without_credential(f"command {printable(_filled(entry, raw[0]), 60)}")
    if entry.source is None:
        return entry.variables.origin(entry.variable(spelling))
    return source_of_text(raw, entry.source, (*entry.path, spelling), entry.variables)


def _filled(entry: "Entry", text: str) -> str:
    try:
        return entry.expand(text)
    except VariableError:
        return text


def source_of_text(raw: Any, source: Source | None, path: KeyPath, variables: Variables) -> str:
    """Where a value in the file comes from: its variables, and the value's line if it has literal text."""
    texts = list(texts_in(raw))
    names = dict.fromkeys(name for text in texts for name in names_in(text))
    found = [variables.origin(name) for name in names]
    defined = all(variables.is_defined(name) for name in names)
    if source is not None and (not names or not defined or any(has_own_text(text) for text in texts)):
        found.insert(0, Path(source.at(path)).name)
    return ", ".join(found)


def without_credential(text: str) -> str:
    """The text, or `***` if it contains a credential."""
    return REDACTED if echoes.contains_any_credential(text) else text
