"""Generate a new config file from the keys that the providers declare."""

import json
from collections.abc import Sequence
from typing import Final

from balcli.config.entry import COMMON_KEYS, stand_in
from balcli.config.profile import RUN_KEYS
from balcli.http.client import RequestSettings
from balcli.providers.base import HasBaseUrlNote, Key, Provider, SettingProblem, Value, Values
from balcli.text import printable
from balcli.thresholds import DEFAULT_FIELD, KEYS, ZERO_IF_ABSENT

_BUNDLE: Final = '"company-ca.pem"'
_HEAD: Final = """\
# A balcli config file. Lines that start with # are comments; remove the # to set their key.
#
# ${NAME} is replaced with the variable from the environment, or else from the `.env` next to this
# file. Keep secrets there, not here. Write $${ for a literal ${. A secret can also come from a file
# (api_key_file = "/run/secrets/key") or from the output of a command
# (api_key_command = ["pass", "show", "some/name"]).
#
# For several accounts at one provider, repeat its table in double brackets,
# [[profiles.main.{first}]], and give each account a name.

# default_profile = "main"    # required with several profiles

[profiles.main]
"""


def profile_text(providers: Sequence[Provider]) -> str:
    """A commented profile with an account at each provider. Required values are `${NAME}`."""
    defaults = RequestSettings()
    examples = {"proxy": '"http://proxy.example:3128"', "ca_bundle": _BUNDLE}
    rows = [
        (f"# {key} = {examples.get(key) or format(getattr(defaults, key), 'g')}", about)
        for key, about in RUN_KEYS.items()
    ]
    head = _HEAD.replace("{first}", providers[0].NAME)
    tables = "".join(_table(provider) for provider in providers)
    return head + _lines(rows) + tables + _limit(providers[0])


def env_text(providers: Sequence[Provider]) -> str:
    """A `.env` file with the variables of a new profile, without values."""
    lines = ["# The values for the profile next to this file. Write each value after its =."]
    for provider in providers:
        lines += ["", f"# {printable(provider.TITLE)}", *(f"{name}=" for name in variables_of(provider))]
    return "\n".join(lines) + "\n"


def variables_of(provider: Provider) -> list[str]:
    """The names of the variables of the provider's account in a new profile."""
    needed = _needed(provider)
    return [_variable(provider, key) for key in _keys(provider) if key.name in needed]


def _table(provider: Provider) -> str:
    needed = _needed(provider)
    rows = []
    for key in _keys(provider):
        hidden = "" if key.name in needed else "# "
        rows.append((f"{hidden}{key.name} = {_example(provider, key)}", _about(provider, key)))
    return f"\n# {printable(provider.TITLE)}\n[profiles.main.{provider.NAME}]\n{_lines(rows)}"


def _about(provider: Provider, key: Key) -> str:
    """The comment for a key."""
    if key.name == "base_url" and isinstance(provider, HasBaseUrlNote):
        return f"{key.help}. {provider.BASE_URL_NOTE}"
    return key.help


def _limit(provider: Provider) -> str:
    """A commented-out limit for the provider's account."""
    examples = {
        "asset": "USDT",
        "exact": True,
        "field": DEFAULT_FIELD,
        "account": provider.NAME,
        "warn": "1000:",
        "crit": "500:",
        "absent": ZERO_IF_ABSENT,
    }
    rows = [(f"# {key} = {json.dumps(examples[key])}", about) for key, about in KEYS.items()]
    return f"\n# Limits for balcli check, one table for each\n# [[profiles.main.limits]]\n{_lines(rows)}"


def _lines(rows: list[tuple[str, str]]) -> str:
    """The lines with aligned comments. Lines longer than 52 characters do not move the other comments."""
    column = max(len(text) for text, _ in rows if len(text) <= 52) + 2
    return "".join(f"{text:<{column}}  # {printable(about)}\n" for text, about in rows)


def _keys(provider: Provider) -> tuple[Key, ...]:
    return (*COMMON_KEYS, *provider.KEYS)


def _needed(provider: Provider) -> set[str]:
    """The required keys of an account, found by opening one and adding each missing key.

    Of several alternatives, it is the first in the provider's list.
    """
    keys = {key.name: key for key in provider.KEYS}
    given: dict[str, Value] = {}
    while True:
        try:
            provider.open_account(provider.NAME, provider.BASE_URL or "https://localhost", Values(given))
        except SettingProblem as problem:
            key = next((name for name in keys if name in (problem.missing or (problem.key,))), problem.key)
            if key in given or key not in keys:
                break
            given[key] = stand_in(keys[key])
        else:
            break
    return given.keys() | (set() if _base_url(provider) else {"base_url"})


def _base_url(provider: Provider) -> str | None:
    """The default URL, if it is in service."""
    return None if isinstance(provider, HasBaseUrlNote) else provider.BASE_URL


def _variable(provider: Provider, key: Key) -> str:
    """The variable for a key: `MERCHANT_TOKEN` for `token`, `MERCHANT_ID` for a merchant's `merchant_id`."""
    name = key.name if key.name.startswith(f"{provider.NAME}_") else f"{provider.NAME}_{key.name}"
    return name.upper().replace("-", "_")


def _example(provider: Provider, key: Key) -> str:
    """An example value in TOML: the default, a choice, or a variable."""
    variable = _variable(provider, key)
    fixed = {"name": f'"{provider.NAME}"', "ca_bundle": _BUNDLE}
    if key.name in fixed:
        return fixed[key.name]
    if key.name == "base_url" and (base_url := _base_url(provider)) is not None:
        return f'"{base_url}"'
    if key.choices:
        return f'"{key.choices[0]}"'
    if key.kind == "list":
        return '["ETH", "USDT"]'
    if key.kind == "table":
        parts = ("merchant_id", "email", "password")
        return "{ " + ", ".join(f'{part} = "${{{variable}_{part.upper()}}}"' for part in parts) + " }"
    return f'"${{{variable}}}"'
