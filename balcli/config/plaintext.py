"""Whether a profile holds a secret as it stands: then nobody else may read the file."""

from collections.abc import Mapping
from typing import Any

from balcli.config.variables import has_own_text
from balcli.providers import PROVIDERS
from balcli.providers.base import Key


def holds_secret(document: Mapping[str, Any]) -> bool:
    """Whether a secret key, a login's value or a proxy has text that is not filled in from elsewhere."""
    profiles = document.get("profiles")
    tables = (
        [table for table in profiles.values() if isinstance(table, dict)]
        if isinstance(profiles, dict)
        else []
    )
    for table in tables:
        if isinstance(table.get("proxy"), str) and "@" in table["proxy"]:
            return True
        for name in PROVIDERS.keys() & table.keys():
            entries = table[name] if isinstance(table[name], list) else [table[name]]
            for entry in entries:
                if isinstance(entry, dict) and any(
                    _stands_open(key, entry.get(key.name)) for key in PROVIDERS[name].KEYS
                ):
                    return True
    return False


def _stands_open(key: Key, value: Any) -> bool:
    """Whether the value of a key that can hold a secret has text of its own, in a table at any depth."""
    if isinstance(value, str):
        return key.kind == "secret" and has_own_text(value)
    return key.kind == "table" and isinstance(value, dict) and _has_text(value)


def _has_text(value: Any) -> bool:
    if isinstance(value, str):
        return has_own_text(value)
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return any(_has_text(item) for item in items)
