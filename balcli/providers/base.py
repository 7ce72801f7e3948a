"""What a provider is: read this first. A provider is a module with the names of `Provider` below."""

import threading
from collections.abc import Callable, Hashable, Mapping, Sequence
from contextvars import copy_context
from typing import Any, Generic, Literal, NamedTuple, Protocol, TypeAlias, TypeVar, runtime_checkable

from balcli.cache import Cache
from balcli.errors import CredentialsRefused
from balcli.http.door import Asks, Endpoint
from balcli.models import Account, Holdings
from balcli.secret import Secret

T = TypeVar("T")
R = TypeVar("R")

Value: TypeAlias = str | int | Secret | tuple[str, ...] | Mapping[str, Any]
"""A setting after its variables are filled in, by the kind of its key: text, integer, secret, list, table."""


class Key(NamedTuple):
    """A key of the provider's table in a profile, also read from `BALCLI_<PROVIDER>_<KEY>`.

    A key with an `option` can be replaced on the command line for one run.
    """

    name: str
    kind: Literal["text", "secret", "integer", "list", "table"]
    help: str
    choices: tuple[str, ...] = ()
    option: str | None = None
    repeatable: bool = False
    signs_time: bool = False
    """Whether a signature with it holds the time, so that the clock must be right."""

    @property
    def in_file(self) -> str:
        """The key that names a file with the secret."""
        return f"{self.name}_file"

    @property
    def spellings(self) -> tuple[str, ...]:
        """The keys under which a profile can give it: a secret also by a file or a command."""
        return (self.name, self.in_file, f"{self.name}_command") if self.kind == "secret" else (self.name,)


class Flag(NamedTuple):
    """A switch of the provider's command, such as `--nfts`, under its name without the dashes.

    It does not go with the options of the keys that it `excludes`.
    """

    name: str
    help: str
    excludes: tuple[str, ...] = ()


class SettingProblem(Exception):
    """A provider cannot make an account of its settings; the reader of the profile adds file and table.

    Where nothing but a key is missing, `missing` has those of which one is to be added.
    """

    def __init__(self, key: str, message: str, missing: tuple[str, ...] = ()) -> None:
        super().__init__()
        self.key = key
        self.message = message
        self.missing = missing


class Values:
    """One account's settings, each of the type that its key declares."""

    def __init__(self, values: Mapping[str, Value]) -> None:
        self._values = values

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def text(self, key: str) -> str:
        """The text of a key that is there; "" where it is not."""
        value = self._values.get(key, "")
        return value if isinstance(value, str) else ""

    def integer(self, key: str, default: int = 0) -> int:
        """The whole number of a key."""
        value = self._values.get(key, default)
        return value if isinstance(value, int) else default

    def secret(self, key: str) -> Secret:
        """The secret of a key that is there."""
        value = self._values.get(key)
        if not isinstance(value, Secret):
            raise SettingProblem(key, f"is missing; add {key}", (key,))
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        """The list of a key, empty where it is not there."""
        value = self._values.get(key, ())
        return value if isinstance(value, tuple) else ()

    def table(self, key: str) -> Mapping[str, Any]:
        """The table of a key, empty where it is not there."""
        value = self._values.get(key, {})
        return value if isinstance(value, Mapping) else {}

    def one_of(self, *keys: str) -> str:
        """The one of these keys that is given. Raises SettingProblem if none is, or two are."""
        given = [key for key in keys if key in self._values]
        if not given:
            raise SettingProblem(keys[0], f"is missing; add {' or '.join(keys)}", keys)
        if len(given) > 1:
            raise SettingProblem(given[1], f"stands beside {given[0]}; keep one of {' or '.join(keys)}")
        return given[0]


class Shared(Generic[T]):
    """A value that several accounts of a run need and that is made once, such as a login's token.

    If making it fails, it fails alike for everyone: a login that may have been sent is not repeated.
    """

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._begun = threading.Lock()
        self._lock = threading.Lock()
        self._made: list[T] = []
        self._problem: BaseException | None = None

    def begin(self) -> None:
        """Start making the value beside what the caller does next, if nobody has."""
        if self._begun.acquire(blocking=False):
            # In this context, so that what is noted of the answer is noted for this account.
            threading.Thread(target=copy_context().run, args=(self._fill,), daemon=True).start()

    def get(self) -> T:
        """The value, made now if nobody has; raises what making it raised."""
        made = self._fill()
        if self._problem is not None:
            raise self._problem
        return made[-1]

    def use(self, function: Callable[[T], R], *, final_status: int | None = None) -> R:
        """What `function` returns for the value; called once more, with a renewed value, if the first was refused.

        A refusal of the HTTP status `final_status` is raised at once.
        """
        value = self.get()
        try:
            return function(value)
        except CredentialsRefused as refused:
            if final_status is not None and refused.http_status == final_status:
                raise
            return function(self.renewed(value))

    def renewed(self, stale: T) -> T:
        """The value after `stale`: made anew by the first who asks, shared by the others."""
        with self._lock:
            if self._made and self._made[-1] is stale:
                self._made.clear()
        return self.get()

    def _fill(self) -> list[T]:
        """What is made by then: a copy, because another thread may ask for a new one at any moment."""
        with self._lock:
            if not self._made and self._problem is None:
                try:
                    self._made.append(self._make())
                except BaseException as problem:  # noqa: BLE001 - kept, and raised to each who asks for the value
                    self._problem = problem
            return [*self._made]


class Run:
    """What a fetch works with: the door, what the user asked for, and what the accounts of a run share."""

    def __init__(
        self,
        door: Asks,
        assets: tuple[str, ...] = (),
        flags: frozenset[str] = frozenset(),
        cache: Cache | None = None,
        limited: Sequence[tuple[str | None, str]] = (),
    ) -> None:
        self.door = door
        self.cache = cache
        """What outlives a run and is no secret, such as a token table; None where nothing shall."""
        self.assets = assets
        """The assets that `--asset` names, as typed; empty means all."""
        self._limited = limited
        self.flags = flags
        """The provider's switches that were given, by their names."""
        self._shared: dict[Hashable, Shared[Any]] = {}
        self._lock = threading.Lock()

    def limited(self, account: str) -> tuple[str, ...]:
        """The assets of an account that limits are on; empty where all of its rows are looked at."""
        return tuple(asset for name, asset in self._limited if name in {None, account})

    def share(self, key: Hashable, make: Callable[[], T]) -> Shared[T]:
        """The run's one value under this key; `make` serves the first who asks."""
        with self._lock:
            return self._shared.setdefault(key, Shared(make))


class Provider(Protocol):
    """The seam between balcli and one provider's API. A module is a provider by having these names."""

    @property
    def NAME(self) -> str:  # noqa: N802 - a constant of the module
        """The subcommand, and the table in a profile."""

    @property
    def TITLE(self) -> str:  # noqa: N802 - a constant of the module
        """Whose API it is, for help and messages."""

    @property
    def BASE_URL(self) -> str | None:  # noqa: N802 - a constant of the module
        """Where the API is by default; None where the profile must say it."""

    @property
    def KEYS(self) -> tuple[Key, ...]:  # noqa: N802 - a constant of the module
        """The keys of an account's table, beside `name` and `base_url`."""

    @property
    def FLAGS(self) -> tuple[Flag, ...]:  # noqa: N802 - a constant of the module
        """The switches of the subcommand."""

    @property
    def ENDPOINTS(self) -> tuple[Endpoint, ...]:  # noqa: N802 - a constant of the module
        """All that the provider ever calls; the door refuses anything else."""

    def open_account(self, name: str, base_url: str, values: Values, /) -> Account[Any]:
        """The account that these settings describe. Raises SettingProblem."""

    def fetch(self, account: Account[Any], run: Run, /) -> Holdings:
        """What the account holds now, in whole units. Raises the classes of `balcli.errors`."""


@runtime_checkable
class Expanding(Protocol):
    """A provider at which one account of a profile can stand for several of a run."""

    def expand(self, account: Account[Any], run: Run, /) -> Sequence[Account[Any]]:
        """The accounts to fetch in its place, itself alone where there are no others; asks what it must."""


class Coverage(NamedTuple):
    """What a provider's endpoints cover, and what they leave out, by the page of the vendor that says so."""

    covers: tuple[str, ...]
    leaves_out: tuple[str, ...]
    source: str | None


@runtime_checkable
class Covering(Protocol):
    """A provider that says what its balances cover."""

    @property
    def COVERAGE(self) -> Coverage:  # noqa: N802 - a constant of the module
        """What is in the balances, and what the account may hold beside them."""


@runtime_checkable
class Remarked(Protocol):
    """A provider whose default address needs a word beside it."""

    @property
    def BASE_URL_NOTE(self) -> str:  # noqa: N802 - a constant of the module
        """What there is to know of the default `base_url`, and what to do about it."""
