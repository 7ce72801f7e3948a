"""Check a plugin's provider: its faults fail only its account.

The rest of balcli trusts what providers return. What a plugin returns is checked here, and what it raises, including
SystemExit, becomes a PluginFault.
"""

import io
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

from balcli.errors import BalcliError, Bug, PluginFault, Terminated
from balcli.http.client import Endpoint
from balcli.models import AMOUNT_FIELDS, Account, Balance, DepositAddress, Holdings, Notice
from balcli.money import Amount
from balcli.providers.base import Flag, Key, Run, SettingProblem, Values
from balcli.providers.parsing import valid_text

T = TypeVar("T")


class _DroppedStdout:
    """A context manager, shared by several threads, that discards what they print: stdout is for data."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._threads = 0
        self._stdout: Any = None

    def __enter__(self) -> None:
        with self._lock:
            if not self._threads:
                self._stdout, sys.stdout = sys.stdout, io.StringIO()
            self._threads += 1

    def __exit__(self, *_problem: object) -> None:
        with self._lock:
            self._threads -= 1
            if not self._threads:
                sys.stdout = self._stdout


_DROPPED_STDOUT: Final = _DroppedStdout()

_LISTS: Final = {"KEYS": Key, "FLAGS": Flag, "ENDPOINTS": Endpoint}


def type_problem(provider: Any) -> str:
    """What is wrong with the first attribute of a provider that has the wrong type; "" if there is none."""
    if not isinstance(provider.TITLE, str) or not _is_text(provider.BASE_URL):
        return "its TITLE or BASE_URL is not a string"
    for name, kind in _LISTS.items():
        if not _is_tuple(getattr(provider, name), kind):
            return f"its {name} is not a tuple of {kind.__name__}"
    for name in ("open_account", "fetch", "expand"):
        if hasattr(provider, name) and not callable(getattr(provider, name)):
            return f"its {name} is not a function"
    return ""


class Guarded:
    """A plugin's provider that raises only balcli's errors and returns only what the Protocol allows."""

    def __init__(self, provider: Any) -> None:
        self.NAME: str = provider.NAME
        self.TITLE: str = provider.TITLE
        self.BASE_URL: str | None = provider.BASE_URL
        self.KEYS: tuple[Key, ...] = provider.KEYS
        self.FLAGS: tuple[Flag, ...] = provider.FLAGS
        self.ENDPOINTS: tuple[Endpoint, ...] = provider.ENDPOINTS
        self._provider = provider
        # Only if the plugin has them: these names make it a `SupportsExpand` and a `HasBaseUrlNote`.
        if hasattr(provider, "expand"):
            self.expand = self._expand
        if isinstance(getattr(provider, "BASE_URL_NOTE", None), str):
            self.BASE_URL_NOTE: str = provider.BASE_URL_NOTE

    def open_account(self, name: str, base_url: str, values: Values) -> Account[Any]:
        """The account with these settings; if the plugin fails, an account whose fetch raises its fault."""

        def check(account: Any) -> str:
            return self._account_problem(account, lambda found: found == name)

        try:
            account: Account[Any] = self._call(
                "open_account", lambda: self._provider.open_account(name, base_url, values), check
            )
        except PluginFault as fault:
            return Account(name, self.NAME, base_url, {}, (name,), fault)
        return account

    def fetch(self, account: Account[Any], run: Run) -> Holdings:
        """The account's holdings. Raises a provider's errors, BadShape for names that are not text, and PluginFault."""

        def check(holdings: Any) -> str:
            return _holdings_problem(holdings, account)

        self._raise_fault(account)
        holdings: Holdings = self._call("fetch", lambda: self._provider.fetch(account, run), check)
        for balance in holdings.balances:
            valid_text(balance.asset, "an asset's name")
            valid_text(balance.asset_id or "", "an asset's id")
        return holdings

    def _expand(self, account: Account[Any], run: Run) -> Sequence[Account[Any]]:
        """The accounts to fetch instead. Raises what `fetch` raises."""

        def is_part(name: str) -> bool:
            return name == account.name or name.startswith(f"{account.name}/")

        def check(accounts: list[Any]) -> str:
            problems = (self._account_problem(each, is_part) for each in accounts)
            return next(filter(None, problems), "")

        self._raise_fault(account)
        return self._call("expand", lambda: [*self._provider.expand(account, run)], check)

    def _raise_fault(self, account: Account[Any]) -> None:
        if isinstance(account.settings, PluginFault):
            raise account.settings

    def _call(self, function: str, call: Callable[[], T], check: Callable[[T], str]) -> T:
        """The result of the call. Raises SettingProblem, an account's errors, and PluginFault for anything else."""
        try:
            with _DROPPED_STDOUT:
                result = call()
                problem = check(result)
        except BaseException as error:
            # Signals reach only the main thread: there, these two exceptions come from the user, not from the plugin.
            in_main = threading.current_thread() is threading.main_thread()
            is_signal = in_main and isinstance(error, KeyboardInterrupt | Terminated)
            if is_signal or _is_allowed(error, in_settings=function == "open_account"):
                raise
            did = f"raised {type(error).__name__}"
        else:
            if not problem:
                return result
            did = f"returned {problem}"
        raise PluginFault(f"the plugin {self.NAME} failed: its {function} {did}; update or remove it")

    def _account_problem(self, account: Any, is_name: Callable[[str], bool]) -> str:
        """What is wrong with an account or its name; "" if nothing."""
        if not isinstance(account, Account):
            return f"{type(account).__name__} instead of an Account"
        is_named = isinstance(account.name, str) and is_name(account.name)
        if not is_named or account.provider != self.NAME:
            return "an Account with another name or provider"
        if not (
            isinstance(account.base_url, str)
            and _is_mapping(account.target, str)
            and _is_tuple(account.identity, str)
            and _is_tuple(account.assets, str)
        ):
            return "an Account whose base_url, target, identity or assets are not strings"
        if not _is_text(account.part_of) or not _is_text(account.aggregate_of):
            return "an Account whose part_of or aggregate_of is not a string"
        return ""


def _is_allowed(error: BaseException, *, in_settings: bool) -> bool:
    """Whether a plugin may raise this: an error that balcli documents for an account, with a message."""
    if isinstance(error, SettingProblem):
        return in_settings and isinstance(error.key, str) and isinstance(error.message, str)
    return (
        isinstance(error, BalcliError)
        and type(error).__module__ == BalcliError.__module__
        and "code" in vars(type(error))
        and not isinstance(error, Bug)
        and isinstance(error.message, str)
        and isinstance(error.http_status, int | None)
    )


def _holdings_problem(holdings: Any, account: Account[Any]) -> str:
    """What is wrong with an account's holdings; "" if nothing."""
    if not isinstance(holdings, Holdings):
        return f"{type(holdings).__name__} instead of Holdings"
    if not _is_tuple(holdings.balances, Balance) or not _is_tuple(holdings.notices, Notice):
        return "Holdings whose balances or notices have the wrong type"
    if not _is_text(holdings.owner):
        return "Holdings whose owner is not a string"
    for balance in holdings.balances:
        if problem := _balance_problem(balance, account):
            return f"a Balance {problem}"
    for note in holdings.notices:
        is_of_account = note.account in (None, account.name)
        if not is_of_account or not isinstance(note.code, str) or not isinstance(note.message, str):
            return "an invalid Notice, or one for another account"
    return ""


def _balance_problem(balance: Balance, account: Account[Any]) -> str:
    """What is wrong with a row of the account; "" if nothing."""
    if (balance.account, balance.provider) != (account.name, account.provider):
        return "of another account or provider"
    if not isinstance(balance.asset, str) or not balance.asset or not _is_text(balance.asset_id):
        return "whose asset or asset_id is not a string"
    if not all(_is_amount(getattr(balance, part)) for part in AMOUNT_FIELDS):
        return "with an amount that is not an Amount"
    if not isinstance(balance.details, Mapping) or not all(
        isinstance(key, str) and _is_detail(value) for key, value in balance.details.items()
    ):
        return "whose details have the wrong type"
    if not _is_mapping(balance.raw, str, type(None)) or not isinstance(balance.counted, bool):
        return "whose raw or counted has the wrong type"
    return ""


def _is_text(value: Any) -> bool:
    """Whether this is a string or None."""
    return value is None or isinstance(value, str)


def _is_amount(value: Any) -> bool:
    return value is None or (isinstance(value, Amount) and value.is_consistent())


def _is_detail(value: Any) -> bool:
    if isinstance(value, tuple):
        return all(
            isinstance(each, DepositAddress)
            and isinstance(each.network, str)
            and _is_text(each.address)
            and _is_text(each.memo)
            for each in value
        )
    return isinstance(value, str | bool) or _is_amount(value)


def _is_tuple(value: Any, kind: type) -> bool:
    return isinstance(value, tuple) and all(isinstance(item, kind) for item in value)


def _is_mapping(value: Any, *kinds: type) -> bool:
    return isinstance(value, Mapping) and all(
        isinstance(key, str) and isinstance(item, kinds) for key, item in value.items()
    )
