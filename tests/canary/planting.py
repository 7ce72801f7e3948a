"""Fake accounts of all providers, with marked secrets given in every possible way, as files and variables."""

import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from balcli.sandbox.loopring import ACCOUNT_ID
from balcli.sandbox.wallet import LOGIN, MERCHANT_ID, PAYOUTS, TREASURY
from tests.canary.marked import Marked, mark, mark_for_url

WAYS: Final = ("text", "file", "command", "environment", "env_file", "variable")
"""The sources of a secret: the profile, a file, a command, ${NAME} from two places, or no profile."""

_HEADERS: Final = {
    ("loopring", "api_key"): "header x-api-key",
    ("wallet", "access_token"): "header authorization",
    ("wallet", "api_key"): "header api-key",
    ("wallet", "password"): "body of login",
    ("merchant", "token"): "header x-bh-token",
    ("merchant", "api_key"): "header x-bh-apikey",
    # It signs requests and is never sent.
    ("merchant", "api_secret"): "",
}
_LOGIN: Final = ("password",)
KINDS: Final[dict[str, tuple[tuple[str, ...], ...]]] = {
    "loopring": (("api_key",),),
    "wallet": (("access_token",), ("api_key",), _LOGIN),
    "merchant": (("token",), ("api_key", "api_secret")),
}
"""The secrets of one account, for each way to authenticate at a provider."""
_TARGETS: Final = {
    "loopring": ("account_id", (str(ACCOUNT_ID), str(ACCOUNT_ID + 1))),
    "wallet": ("wallet_id", (TREASURY, PAYOUTS)),
    "merchant": ("merchant_id", ("0", "12345")),
}
"""What distinguishes accounts of one provider: the key, and the targets of two accounts."""
URL_KEY: Final = "base_url"


@dataclass(slots=True)
class Planting:
    """A fake home: its files, its environment variables, and the secrets in both."""

    home: Path
    files: dict[Path, str] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)
    secrets: list[Marked] = field(default_factory=list)
    _tables: list[str] = field(default_factory=list)
    _accounts: Counter[str] = field(default_factory=Counter)
    _env_file: list[str] = field(default_factory=list)

    @property
    def profile(self) -> Path:
        """The profile file."""
        return self.home / "config.toml"

    def plant(
        self, provider: str, path: str, keys: tuple[str, ...], way: str, *, url_key: bool = False
    ) -> dict[str, str]:
        """Add an account at a path of the provider's host with new secrets, and return them by key.

        With a `url_key`, the base URL ends with one of them. A provider can have two accounts; variables can only make
        the first.
        """
        base_url = f"{_host(provider)}{path}"
        made = {key: mark() for key in keys}
        for key, text in made.items():
            place = _HEADERS[provider, key]
            self.secrets.append(Marked(provider, key, text, frozenset({place} if place else ())))
        number = self._accounts[provider]
        self._accounts[provider] += 1
        if keys == _LOGIN and way in {"file", "command", "variable"}:
            way = "text"  # a login is a table, which these cannot set
        target, values = _TARGETS[provider]
        value = values[number]
        if way == "variable":
            prefix = f"BALCLI_{provider.upper()}_"
            given = made | {"base_url": base_url, target: value}
            self.variables |= {f"{prefix}{key.upper()}": text for key, text in given.items()}
            return made
        lines = [self._given(f"{provider}_{number}", key, text)[way]() for key, text in made.items()]
        if keys == _LOGIN:
            body = f"email = {_toml(LOGIN['email'])}, {', '.join(lines)}"
            lines = [f"login = {{ merchant_id = {_toml(MERCHANT_ID)}, {body} }}"]
        if url_key:
            made[URL_KEY] = text = mark_for_url()
            self.secrets.append(Marked(provider, URL_KEY, text, frozenset({"path"})))
            name = f"{provider}_{number}_PATH".upper()
            self.variables[name] = text
            base_url += f"/${{{name}}}"
        self._tables.append(
            "\n".join(
                [
                    f"[[profiles.main.{provider}]]",
                    f'name = "{provider}{number or ""}"',
                    f"base_url = {_toml(base_url)}",
                    f"{target} = {value if provider != 'wallet' else _toml(value)}",
                    *lines,
                ]
            )
        )
        return made

    def _given(self, account: str, key: str, text: str) -> dict[str, Callable[[], str]]:
        """The function that makes a profile's line for a secret, by its source."""
        name = f"{account}_{key}".upper()
        file = self.home / "secrets" / name.lower()

        def from_file() -> str:
            self.files[file] = f"{text}\n"
            return f"{key}_file = {_toml(str(file))}"

        def from_command() -> str:
            self.files[file] = f"{text}\n"
            return f"{key}_command = {json.dumps(['cat', str(file)])}"

        def from_environment() -> str:
            self.variables[name] = text
            return f'{key} = "${{{name}}}"'

        def from_env_file() -> str:
            escaped = text.replace("\\", "\\\\").replace("'", "\\'")
            self._env_file.append(f"{name}='{escaped}'")
            return f'{key} = "${{{name}}}"'

        return {
            "text": lambda: f"{key} = {_toml(text)}",
            "file": from_file,
            "command": from_command,
            "environment": from_environment,
            "env_file": from_env_file,
        }

    def write(self, hosts: Mapping[str, str]) -> None:
        """Make the home and its files, accessible only to their owner, with these URLs as the providers' hosts."""
        head = "[profiles.main]\nretries = 1\ntimeout = 2\ndeadline = 5\n"
        self.files[self.profile] = "\n".join([head, *self._tables]) + "\n"
        self.files[self.home / ".env"] = "\n".join(self._env_file) + "\n"
        for provider, url in hosts.items():
            self.files[self.profile] = self.files[self.profile].replace(_host(provider), url)
            self.variables = {k: v.replace(_host(provider), url) for k, v in self.variables.items()}
        for file, text in self.files.items():
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch(mode=0o600)
            file.write_text(text, encoding="utf-8")


def _host(provider: str) -> str:
    """A placeholder for a provider's host until its port is known."""
    return f"host-of-{provider}:"


def _toml(text: str) -> str:
    # TOML's basic strings have the same escapes as JSON.
    return json.dumps(text)
