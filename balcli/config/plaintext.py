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
    if key.kind == "secret":
        return isinstance(value, str) and has_own_text(value)
    if key.kind == "table" and isinstance(value, dict):
        return any(
            _stands_open(key, item)
            if isinstance(item, dict)
            else isinstance(item, str) and has_own_text(item)
            for item in value.values()
        )
    return False
