"""A plug-in's provider behind a guard: whatever it does wrong fails its account, and nothing else.

The rest of balcli relies on what a provider returns. A plug-in is another's code: what it returns is checked
here, and what it raises, exits included, becomes a PluginFault.
"""

import io
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

from balcli.errors import BalcliError, Bug, PluginFault, Terminated
from balcli.http.door import Endpoint
from balcli.models import AMOUNT_FIELDS, Account, Balance, DepositAddress, Holdings, Notice
from balcli.money import Amount
from balcli.providers.base import Flag, Key, Run, SettingProblem, Values

T = TypeVar("T")


class _Silence:
    """A context for several threads in which what is printed is dropped: stdout is for data."""

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


_SILENCE: Final = _Silence()

_LISTS: Final = {"KEYS": Key, "FLAGS": Flag, "ENDPOINTS": Endpoint}


def permission_problem(provider: Any) -> str:
    """What keeps a module with all names of a provider from being one; "" if nothing."""
    if not isinstance(provider.TITLE, str) or not _is_text(provider.BASE_URL):
        return "its TITLE or BASE_URL is not a text"
    for name, kind in _LISTS.items():
        items = getattr(provider, name)
        if not isinstance(items, tuple) or not all(isinstance(item, kind) for item in items):
            return f"its {name} is not a tuple of {kind.__name__}"
    calls = ("open_account", "fetch", *(["expand"] if hasattr(provider, "expand") else ()))
    return next(
        (f"its {name} is not a function" for name in calls if not callable(getattr(provider, name))), ""
    )


class Guarded:
    """A plug-in's provider that raises errors of balcli alone, and returns what the Protocol says."""

    def __init__(self, provider: Any) -> None:
        self.NAME: str = provider.NAME
        self.TITLE: str = provider.TITLE
        self.BASE_URL: str | None = provider.BASE_URL
        self.KEYS: tuple[Key, ...] = provider.KEYS
        self.FLAGS: tuple[Flag, ...] = provider.FLAGS
        self.ENDPOINTS: tuple[Endpoint, ...] = provider.ENDPOINTS
        self._provider = provider
        # Only where the plug-in has them: the names make it `Expanding` and `Remarked`.
        if hasattr(provider, "expand"):
            self.expand = self._expand
        if isinstance(getattr(provider, "BASE_URL_NOTE", None), str):
            self.BASE_URL_NOTE: str = provider.BASE_URL_NOTE

    def open_account(self, name: str, base_url: str, values: Values) -> Account[Any]:
        """The account that these settings describe; one that fails when it is fetched, where the plug-in is at fault."""
        try:
            made: Account[Any] = self._call(
                "open_account",
                lambda: self._provider.open_account(name, base_url, values),
                lambda made: self._account_flaw(made, name),
            )
        except PluginFault as fault:
            return Account(name, self.NAME, base_url, {}, (name,), fault)
        return made

    def fetch(self, account: Account[Any], run: Run) -> Holdings:
        """What the account holds. Raises the errors that a provider may raise, and PluginFault."""
        if isinstance(account.settings, PluginFault):
            raise account.settings
        made: Holdings = self._call(
            "fetch",
            lambda: self._provider.fetch(account, run),
            lambda made: _holdings_flaw(made, account),
        )
        return made

    def _expand(self, account: Account[Any], run: Run) -> Sequence[Account[Any]]:
        """The accounts to fetch in its place. Raises as `fetch` does."""
        if isinstance(account.settings, PluginFault):
            raise account.settings
        return self._call(
            "expand",
            lambda: [*self._provider.expand(account, run)],
            lambda made: next(
                filter(None, (self._account_flaw(each, account.name, part=True) for each in made)), ""
            ),
        )

    def _call(self, function: str, call: Callable[[], T], flaw: Callable[[T], str]) -> T:
        """What the call returns. Raises SettingProblem, the errors of an account, and PluginFault for anything else."""
        try:
            with _SILENCE:
                made = call()
                found = flaw(made)
        except BaseException as problem:
            # A signal reaches the main thread alone: there these two are the user's, and not the plug-in's.
            in_main = threading.current_thread() is threading.main_thread()
            is_signal = in_main and isinstance(problem, KeyboardInterrupt | Terminated)
            if is_signal or _is_due(problem, in_settings=function == "open_account"):
                raise
            raised = f"raised {type(problem).__name__}"
        else:
            raised = f"returned {found}"
            if not found:
                return made
        raise PluginFault(f"the plug-in {self.NAME} failed: its {function} {raised}; update or remove it")

    def _account_flaw(self, made: Any, name: str, *, part: bool = False) -> str:
        """Why this is not an account of that name, or a part of it; "" if it is one."""
        if not isinstance(made, Account):
            return f"{type(made).__name__} where an Account is due"
        is_named = isinstance(made.name, str) and (
            made.name == name or (part and made.name.startswith(f"{name}/"))
        )
        if not is_named or made.provider != self.NAME:
            return "an Account of another name or provider"
        texts = isinstance(made.base_url, str) and _is_mapping(made.target, str)
        if not texts or not _is_tuple(made.identity, str) or not _is_tuple(made.assets, str):
            return "an Account whose base_url, target, identity or assets are not texts"
        parts = _is_text(made.part_of) and _is_text(made.aggregate_of)
        return "" if parts else "an Account whose part_of or aggregate_of is not a text"


def _is_due(problem: BaseException, *, in_settings: bool) -> bool:
    """Whether a plug-in may raise this: an error that balcli documents for an account, with words for it."""
    if isinstance(problem, SettingProblem):
        return in_settings and isinstance(problem.key, str) and isinstance(problem.message, str)
    return (
        isinstance(problem, BalcliError)
        and type(problem).__module__ == BalcliError.__module__
        and "code" in vars(type(problem))
        and not isinstance(problem, Bug)
        and isinstance(problem.message, str)
        and isinstance(problem.http_status, int | None)
    )


def _holdings_flaw(made: Any, account: Account[Any]) -> str:
    """Why this is not what an account holds; "" if it is."""
    if not isinstance(made, Holdings):
        return f"{type(made).__name__} where Holdings are due"
    if not _is_tuple(made.balances, Balance) or not _is_tuple(made.notices, Notice):
        return "Holdings whose balances or notices are not a tuple of them"
    if not _is_text(made.owner):
        return "Holdings whose owner is not a text"
    flaws = (_balance_flaw(balance, account) for balance in made.balances)
    flaw = next((flaw for flaw in flaws if flaw), "")
    if flaw:
        return f"a Balance {flaw}"
    odd = any(
        not (
            isinstance(note.code, str)
            and isinstance(note.message, str)
            and note.account in (None, account.name)
        )
        for note in made.notices
    )
    return "a Notice without texts, or of another account" if odd else ""


def _balance_flaw(balance: Balance, account: Account[Any]) -> str:
    """Why this is not a row of the account; "" if it is one."""
    if (balance.account, balance.provider) != (account.name, account.provider):
        return "of another account or provider"
    if not isinstance(balance.asset, str) or not balance.asset or not _is_text(balance.asset_id):
        return "whose asset or asset_id is not a text"
    if not all(_is_amount(getattr(balance, part)) for part in AMOUNT_FIELDS):
        return "with an amount that is not an Amount"
    if not isinstance(balance.details, Mapping) or not all(
        isinstance(key, str) and _is_detail(value) for key, value in balance.details.items()
    ):
        return "with details of another kind"
    if not _is_mapping(balance.raw, str, type(None)) or not isinstance(balance.counted, bool):
        return "whose raw or counted is of another kind"
    return ""


def _is_text(value: Any) -> bool:
    """Whether this is a text, or None."""
    return value is None or isinstance(value, str)


def _is_amount(value: Any) -> bool:
    return value is None or (
        isinstance(value, Amount) and type(value.units) is int and type(value.places) is int
    )


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
