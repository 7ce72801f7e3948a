"""The interface of a provider: read this first. A provider is a module with the names of `Provider` below."""

import threading
from collections.abc import Callable, Hashable, Mapping, Sequence
from contextvars import copy_context
from typing import Any, Generic, Literal, NamedTuple, Protocol, TypeAlias, TypeVar, runtime_checkable

from balcli.errors import CredentialsRefused
from balcli.http import turns
from balcli.http.client import Endpoint, SupportsRequest, trusted
from balcli.models import Account, Holdings
from balcli.secret import Secret

T = TypeVar("T")
R = TypeVar("R")

Value: TypeAlias = str | int | Secret | tuple[str, ...] | Mapping[str, Any]
"""A setting with expanded variables, by the kind of its key: text, integer, secret, list or table."""


class Key(NamedTuple):
    """A key of the provider's table in a profile, also read from `BALCLI_<PROVIDER>_<KEY>`.

    A key with an `option` can be overridden on the command line.
    """

    name: str
    kind: Literal["text", "secret", "integer", "list", "table"]
    help: str
    choices: tuple[str, ...] = ()
    option: str | None = None
    repeatable: bool = False
    signs_time: bool = False
    """Whether it signs the time, which requires a correct clock."""

    @property
    def in_file(self) -> str:
        """The key for the path of a file that contains the secret."""
        return f"{self.name}_file"

    @property
    def spellings(self) -> tuple[str, ...]:
        """The keys that can set it in a profile: a secret can also come from a file or a command."""
        return (self.name, self.in_file, f"{self.name}_command") if self.kind == "secret" else (self.name,)


class Flag(NamedTuple):
    """A flag of the provider's command, such as `--nfts`; `name` has no dashes.

    It cannot be combined with the options of the keys that it `excludes`.
    """

    name: str
    help: str
    excludes: tuple[str, ...] = ()


class SettingProblem(Exception):
    """Raised by a provider for settings that do not define a valid account. The parser adds the file and the table.

    `message` continues a sentence that begins with the key. If a key is missing, one of `missing` must be added.
    """

    def __init__(self, key: str, message: str, missing: tuple[str, ...] = ()) -> None:
        super().__init__()
        self.key = key
        self.message = message
        self.missing = missing


class Values(dict[str, Value]):
    """The settings of one account, each of the kind of its key."""

    def text(self, key: str) -> str:
        """The text of a key; "" if it is missing."""
        value = self.get(key, "")
        return value if isinstance(value, str) else ""

    def integer(self, key: str, default: int = 0) -> int:
        """The integer of a key; the default if it is missing."""
        value = self.get(key, default)
        return value if isinstance(value, int) else default

    def secret(self, key: str) -> Secret:
        """The secret of a key. Raises SettingProblem if it is missing."""
        value = self.get(key)
        if not isinstance(value, Secret):
            raise SettingProblem(key, f"is missing; add {key}", (key,))
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        """The list of a key; empty if it is missing."""
        value = self.get(key, ())
        return value if isinstance(value, tuple) else ()

    def table(self, key: str) -> Mapping[str, Any]:
        """The table of a key; empty if it is missing."""
        value = self.get(key, {})
        return value if isinstance(value, Mapping) else {}

    def one_of(self, *keys: str) -> str:
        """The one of these keys that is set. Raises SettingProblem if none is, or two are."""
        given = [key for key in keys if key in self]
        if not given:
            raise SettingProblem(keys[0], f"is missing; add {' or '.join(keys)}", keys)
        if len(given) > 1:
            raise SettingProblem(
                given[1], f"cannot be combined with {given[0]}; keep one of {' or '.join(keys)}"
            )
        return given[0]


class RunOnce(Generic[T]):
    """Makes a value, such as a login's token, once for all accounts of a run.

    If that fails, all of them get the error, because a login that may have been sent must not be repeated.
    """

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._begun = threading.Lock()
        self._lock = threading.Lock()
        self._made: list[T] = []
        self._problem: BaseException | None = None

    def begin(self) -> None:
        """Start making the value in a thread, unless already started."""
        if self._begun.acquire(blocking=False):
            # The thread runs in a copy of this context, so that echoes in the response are recorded for this account.
            threading.Thread(target=copy_context().run, args=(self._fill,), daemon=True).start()

    def get(self) -> T:
        """The value, made now if it does not exist yet. Raises the error if making it failed."""
        if not self._made:
            turns.leave()  # another thread may be making it and waiting for the turn
        made = self._fill()
        if self._problem is not None:
            raise self._problem
        return made[-1]

    def use(self, function: Callable[[T], R], *, final_status: int | None = None) -> R:
        """The result of `function` for the value. If it is refused, `function` is called again with a new value.

        A refusal with the HTTP status `final_status` is raised at once.
        """
        value = self.get()
        try:
            return function(value)
        except CredentialsRefused as refused:
            if final_status is not None and refused.http_status == final_status:
                raise
            return function(self.renewed(value))

    def renewed(self, stale: T) -> T:
        """The value after `stale`. The first call makes it, and the others share it."""
        with self._lock:
            if self._made and self._made[-1] is stale:
                self._made.clear()
        return self.get()

    def _fill(self) -> list[T]:
        """The value in a list, empty if making it failed. It is a copy, because another thread may renew the value."""
        with self._lock:
            if not self._made and self._problem is None:
                try:
                    self._made.append(self._make())
                except BaseException as problem:  # noqa: BLE001 - raised by each `get`
                    self._problem = problem
                finally:
                    turns.leave()
            return [*self._made]


class Run:
    """The context of a fetch: the HTTP client, the user's options, and values that the run's accounts share."""

    def __init__(
        self,
        client: SupportsRequest,
        assets: tuple[str, ...] = (),
        flags: frozenset[str] = frozenset(),
        limited: Sequence[tuple[str | None, str]] = (),
        *,
        use_cache: bool = False,
    ) -> None:
        self.client = client
        self.use_cache = use_cache
        """Whether public data, such as a token table, may be read from and written to the cache on disk."""
        self.assets = assets
        """The assets of `--asset` as typed; empty means all."""
        self._limited = limited
        self.flags = flags
        """The names of the provider's flags that are set."""
        self._shared: dict[Hashable, RunOnce[Any]] = {}
        self._lock = threading.Lock()

    def limited(self, account: str) -> tuple[str, ...]:
        """The assets of an account that have thresholds; empty means that all rows count."""
        return tuple(asset for name, asset in self._limited if name in {None, account})

    def share(self, key: Hashable, make: Callable[[], T]) -> RunOnce[T]:
        """A value that `make` makes once for all accounts with this key and the same trusted certificates."""
        with self._lock:
            return self._shared.setdefault((trusted.get(), key), RunOnce(make))


class Provider(Protocol):
    """The interface of a module for one provider's API."""

    @property
    def NAME(self) -> str:  # noqa: N802 - a constant of the module
        """The name of the subcommand and of the table in a profile."""

    @property
    def TITLE(self) -> str:  # noqa: N802 - a constant of the module
        """The name of the API, for help and messages."""

    @property
    def BASE_URL(self) -> str | None:  # noqa: N802 - a constant of the module
        """The API's default base URL; None if the profile must set it."""

    @property
    def KEYS(self) -> tuple[Key, ...]:  # noqa: N802 - a constant of the module
        """The keys of an account's table, besides `name` and `base_url`."""

    @property
    def FLAGS(self) -> tuple[Flag, ...]:  # noqa: N802 - a constant of the module
        """The flags of the subcommand."""

    @property
    def ENDPOINTS(self) -> tuple[Endpoint, ...]:  # noqa: N802 - a constant of the module
        """All endpoints that the provider calls. The client refuses any other."""

    def open_account(self, name: str, base_url: str, values: Values, /) -> Account[Any]:
        """The account with these settings. Raises SettingProblem."""

    def fetch(self, account: Account[Any], run: Run, /) -> Holdings:
        """The account's balances, in whole units. Raises the classes of `balcli.errors`."""


@runtime_checkable
class SupportsExpand(Protocol):
    """A provider that can expand one account of a profile to several."""

    def expand(self, account: Account[Any], run: Run, /) -> Sequence[Account[Any]]:
        """The accounts to fetch instead; only this account if there are no others. May send requests."""


class Coverage(NamedTuple):
    """What a provider's endpoints cover and leave out, and the vendor's page that documents it."""

    covers: tuple[str, ...]
    leaves_out: tuple[str, ...]
    source: str | None


@runtime_checkable
class HasCoverage(Protocol):
    """A provider that documents what its balances cover."""

    @property
    def COVERAGE(self) -> Coverage:  # noqa: N802 - a constant of the module
        """What the balances cover and leave out."""


@runtime_checkable
class HasBaseUrlNote(Protocol):
    """A provider with a note on its default base URL."""

    @property
    def BASE_URL_NOTE(self) -> str:  # noqa: N802 - a constant of the module
        """The note on the default `base_url`, with a cure."""
