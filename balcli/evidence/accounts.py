"""An account in a record: its settings with names for the secrets, and the account that is opened with them."""

from collections.abc import Mapping
from typing import Any, Final

from balcli.errors import EvidenceAltered, EvidenceDiffers
from balcli.evidence.names import Names
from balcli.models import Account
from balcli.providers import PROVIDERS
from balcli.providers.base import SettingProblem, Value, Values
from balcli.secret import Secret
from balcli.text import printable
from balcli.urls import display_url

_BESIDE: Final = ("name", "base_url", "ca_bundle")
_KINDS: Final[dict[str, type]] = {
    "secret": Secret,
    "text": str,
    "integer": int,
    "list": tuple,
    "table": Mapping,
}


def account_entry(account: Account[Any], values: Mapping[str, Value], names: Names) -> dict[str, Any]:
    """The account as a plain object, from which `opened` makes one that asks the same."""
    return {
        "account": account.name,
        "provider": account.provider,
        "base_url": display_url(account.base_url),
        "settings": {key: _plain(value, names) for key, value in values.items() if key not in _BESIDE},
    }


def open_entry(entry: Mapping[str, Any]) -> Account[Any]:
    """The account of such an object, with names for secrets.

    Raises EvidenceAltered or EvidenceDiffers, and TypeError or KeyError for what `written` does not write.
    """
    provider = PROVIDERS.get(entry["provider"])
    name, base_url = entry["account"], entry["base_url"]
    if not isinstance(name, str) or not isinstance(base_url, str):
        raise TypeError("an account's name and address are texts")
    if provider is None:
        raise EvidenceDiffers(
            f"the record has an account at {printable(entry['provider'], 40)}, which this balcli does not know; "
            "install the provider's plug-in"
        )
    kinds = {key.name: key.kind for key in provider.KEYS}
    values = {key: _value(setting) for key, setting in entry["settings"].items()}
    if not all(isinstance(value, _KINDS[kinds[key]]) for key, value in values.items()):
        raise TypeError("a setting is of another kind than its key")
    try:
        return provider.open_account(name, base_url, Values(values))
    except SettingProblem as problem:
        raise EvidenceAltered(
            f"the record's account {printable(name, 60)} cannot be opened: {problem.key} "
            f"{problem.message.partition(';')[0]}; ask for the record anew"
        ) from None


def _plain(value: Value, names: Names) -> Any:
    if isinstance(value, Secret):
        return {"secret": names.of(value)}
    if isinstance(value, Mapping):
        # A login is a secret throughout: its texts and numbers, too.
        return {"table": _named(value, names)}
    return list(value) if isinstance(value, tuple) else value


def _named(value: Any, names: Names) -> Any:
    """A part of a login's table, with names for its secrets, texts and numbers."""
    if isinstance(value, Mapping):
        return {key: _named(item, names) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_named(item, names) for item in value]
    if isinstance(value, Secret):
        return {"secret": names.of(value)}
    if isinstance(value, str):
        return names.of_text(value)
    return names.of_number(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _value(setting: Any) -> Value:
    """A setting as it was before `_plain`. Raises TypeError or KeyError for what that does not write."""
    if isinstance(setting, list):
        return tuple(str(item) for item in setting)
    if not isinstance(setting, Mapping):
        if not isinstance(setting, str | int):
            raise TypeError(f"a {type(setting).__name__} is no setting")
        return setting
    if setting.keys() == {"secret"}:
        return Secret(str(setting["secret"]))
    table = _unnamed(setting["table"])
    return table if isinstance(table, Mapping) else {}


def _unnamed(value: Any) -> Any:
    if isinstance(value, Mapping):
        if value.keys() == {"secret"} and isinstance(value["secret"], str):
            return Secret(value["secret"])
        return {key: _unnamed(item) for key, item in value.items()}
    return [_unnamed(item) for item in value] if isinstance(value, list) else value
