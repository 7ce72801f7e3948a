"""Where an account's secrets come from, and what around the program is ignored: names and kinds, never a value."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from balcli.config.profile import Entry, Profile
from balcli.config.source import is_there
from balcli.config.variables import Variables
from balcli.files import shown
from balcli.providers import PROVIDERS
from balcli.providers.base import Key
from balcli.text import printable

_IGNORED_CAS: Final = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR")


def origins(entry: Entry, variables: Variables) -> Iterator[str]:
    """Where each secret of an account that could be opened comes from, in words."""
    for key in PROVIDERS[entry.provider].KEYS:
        for name in key.spellings if key.kind in {"secret", "table"} else ():
            if name in entry.settings:
                yield f"{key.name}: {_origin(entry, key, name, variables)}"


def _origin(entry: Entry, key: Key, name: str, variables: Variables) -> str:
    raw = entry.settings[name]
    if name == key.in_file:
        path = raw if entry.from_variables else variables.expand(raw, entry.at(name))
        return f"the file {shown(entry.folder / path)}"
    if name != key.name:
        return f"the command {printable(raw[0], 60)}"
    if entry.from_variables:
        return entry.at(name)
    found = [origin for text in _texts(raw) for origin in variables.origins(text)]
    return ", ".join(dict.fromkeys(found))


def _texts(value: Any) -> Iterator[str]:
    """Every text in a setting; of a table, those at all depths but the merchant's id, which is no secret."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _texts(item) if key != "merchant_id" else ()
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)


def ignored(environ: Mapping[str, str], profile: Profile | None) -> Iterator[str]:
    """A sentence, with its cure, on each thing of the environment that has no effect here."""
    for file in _netrc_files(environ):
        yield f"{shown(file)} is there and never read; give credentials in the profile"
    bundles = [name for name in _IGNORED_CAS if environ.get(name)]
    if bundles:
        verb = "are" if len(bundles) > 1 else "is"
        yield f"{', '.join(bundles)} {verb} ignored; name the file as ca_bundle in the profile"
    if environ.get("SSLKEYLOGFILE"):
        yield "SSLKEYLOGFILE is ignored, and no TLS keys are written; leave it for other programs, or unset it"
    if profile is None:
        return
    tables = [entry.provider for entry in profile.entries if not entry.from_variables]
    for provider in dict.fromkeys(tables):
        names = sorted(profile.variables.names(provider))
        if names:
            listed = ", ".join(printable(name, 60) for name in names)
            yield f"{listed}: shadowed by the profile's {provider} table; unset what is not meant"


def _netrc_files(environ: Mapping[str, str]) -> Iterator[Path]:
    home = environ.get("HOME", "")
    named = [Path(home) / name for name in (".netrc", "_netrc")] if home else []
    if environ.get("NETRC"):
        named.append(Path(environ["NETRC"]))
    yield from (file for file in named if is_there(file))
