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
    """The account as a plain object, from which `open_entry` makes one that asks the same."""
    settings = {key: _written(value, names) for key, value in values.items() if key not in _BESIDE}
    place = display_url(account.base_url)
    return {"account": account.name, "provider": account.provider, "base_url": place, "settings": settings}


def open_entry(entry: Mapping[str, Any]) -> Account[Any]:
    """The account of such an object, with names for secrets.

    Raises EvidenceAltered or EvidenceDiffers, and TypeError or KeyError for what `account_entry` does not make.
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
    kinds = {key.name: _KINDS[key.kind] for key in provider.KEYS}
    values = {key: _read(value) for key, value in entry["settings"].items()}
    if not all(isinstance(value, kinds[key]) for key, value in values.items()):
        raise TypeError("a setting is of another kind than its key")
    try:
        return provider.open_account(name, base_url, Values(values))
    except SettingProblem as problem:
        raise EvidenceAltered(
            f"the record's account {printable(name, 60)} cannot be opened: {problem.key} "
            f"{problem.message.partition(';')[0]}; ask for the record anew"
        ) from None


def _written(value: Any, names: Names, *, hidden: bool = False) -> Any:
    """A setting as plain objects; of a login's table, all texts and numbers are hidden, too."""
    if isinstance(value, Secret):
        return {"secret": names.of(value)}
    if isinstance(value, Mapping):
        return {"table": {key: _written(item, names, hidden=True) for key, item in value.items()}}
    if isinstance(value, list | tuple):
        return [_written(item, names, hidden=hidden) for item in value]
    if isinstance(value, str) and hidden:
        return names.of_text(value)
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return names.of_number(value) if is_number and hidden else value


def _read(value: Any) -> Any:
    """A setting as it was before `_written`. Raises TypeError or KeyError for what that does not make."""
    if isinstance(value, list):
        return tuple(map(_read, value))
    if not isinstance(value, Mapping):
        return value
    if "secret" in value:
        return Secret(str(value["secret"]))
    return {key: _read(item) for key, item in value["table"].items()}
