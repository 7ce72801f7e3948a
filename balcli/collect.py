"""From accounts to outcomes: every account at once, within the deadline. The only concurrency.

Threads are daemons and results come through a queue, so that neither the deadline nor Ctrl-C waits
for a resolver that hangs or a server that drips.
"""

import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final, TypeAlias, TypeVar

from balcli.cache import Cache
from balcli.errors import BalcliError, DeadlinePassed, EchoesCredential, ProviderError
from balcli.http import echoes
from balcli.http.door import Asks, Door, Exchange
from balcli.http.timing import Deadline
from balcli.models import Account, Failure, Holdings, Notice, Outcome
from balcli.providers import PROVIDERS
from balcli.providers.base import Expanding, Provider, Run
from balcli.providers.reading import text
from balcli.secret import hide
from balcli.settings import RequestSettings

T = TypeVar("T")

_Place: TypeAlias = tuple[int, ...]
"""Where an account stands in the run's order: its number, then its number among those it stands for."""

Tell: TypeAlias = Callable[[Sequence[str], int], None]
"""Is told the names of the accounts that are still out, and of how many they are."""
_TELL_EVERY: Final = 0.25
_REPEATED: Final = "the provider's answer repeats a credential, and nothing of it is shown; tell the provider, and replace it"
# An attempt that ends with the deadline says better than we could what it waited for.
_GRACE: Final = 0.1


def collect(
    accounts: Sequence[Account[Any]],
    limits: RequestSettings,
    deadline: Deadline,
    *,
    assets: tuple[str, ...] = (),
    flags: frozenset[str] = frozenset(),
    limited: Sequence[tuple[str | None, str]] = (),
    cache: Cache | None = None,
    door: Asks | None = None,
    tell: Tell | None = None,
) -> tuple[Outcome, ...]:
    """What came of each account, in the accounts' order; an account's error becomes its Failure.

    Raises what is no BalcliError: a bug is not swallowed. Returns by the deadline, whatever the
    network does. Asks through the `door`, or one of its own. While it waits, `tell` is told for whom.
    `limited` are the accounts (None for all) and assets that limits are on, where nothing else is looked at.
    """
    run = Run(door or open_door(accounts, limits, deadline), assets, flags, cache, limited)
    places: Mapping[_Place, Account[Any]] = {(number,): account for number, account in enumerate(accounts)}
    outcomes: dict[_Place, Outcome] = {}
    noted: Mapping[_Place, Sequence[echoes.Echo]] = {}
    if flags:  # without a switch, an account stands for itself alone
        places, outcomes, noted = _expanded(places, run, limits, deadline, tell)
    found = each(places, lambda account: _fetched(account, run), limits.jobs, deadline, tell)
    outcomes |= {place: found.get(place) or too_late(account, limits) for place, account in places.items()}
    for place, echo in noted.items():
        outcomes[place] = _with_notice(outcomes[place], echo)
    for place, outcome in tuple(outcomes.items()):
        for number, (kind, failure) in enumerate(outcome.holdings.failed if outcome.holdings else ()):
            # It sums up nothing, and is a part of nothing: the account itself is.
            account = outcome.account._replace(
                name=f"{outcome.account.name}/{kind}", part_of=None, aggregate_of=None
            )
            outcomes[*place, number] = Outcome(account, None, None, failure)
    ordered = [outcomes[place] for place in sorted(outcomes)]
    return tuple(map(_without_given, ordered) if echoes.were_given() else ordered)


def open_door(
    accounts: Sequence[Account[Any]],
    limits: RequestSettings,
    deadline: Deadline,
    observe: Callable[[Exchange], None] | None = None,
) -> Door:
    """The door for these accounts, open for their providers' endpoints alone.

    `observe` is told of every try of a request, from its thread.
    """
    providers = {account.provider for account in accounts}
    endpoints = [endpoint for name in providers for endpoint in PROVIDERS[name].ENDPOINTS]
    tls = any(account.base_url.startswith("https:") for account in accounts)
    return Door(limits, deadline, endpoints, tls=tls, observe=observe)


def each(
    tasks: Mapping[_Place, Account[Any]],
    do: Callable[[Account[Any]], T],
    jobs: int,
    deadline: Deadline,
    tell: Tell | None = None,
) -> dict[_Place, T]:
    """What `do` gives for each account, those left out that the deadline came before; raises what `do` raises.

    `tell` is called here, at most a few times a second.
    """
    waiting: queue.SimpleQueue[_Place | None] = queue.SimpleQueue()
    done: queue.SimpleQueue[tuple[_Place, T | None, BaseException | None]] = queue.SimpleQueue()

    def work() -> None:
        while (place := waiting.get()) is not None:
            try:
                done.put((place, do(tasks[place]), None))
            except BaseException as bug:  # noqa: BLE001 - carried to the main thread, which raises it
                done.put((place, None, bug))

    for place in tasks:
        waiting.put(place)
    for _ in range(min(jobs, len(tasks))):
        waiting.put(None)
        threading.Thread(target=work, daemon=True).start()
    results: dict[_Place, T] = {}
    told = None if tell is None else _Told(tell, tasks, results)
    while len(results) < len(tasks):
        try:
            place, result, bug = _next(done, deadline, told)
        except queue.Empty:
            break
        if bug is not None:
            # What ends a program, raised in a thread, must not end this one as if all were well.
            raise bug if isinstance(bug, Exception) else RuntimeError(f"{type(bug).__name__} in a thread")
        if result is not None:
            results[place] = result
    return results


class _Told:
    """Tells who is still out; called more often than a few times a second, it does nothing."""

    def __init__(
        self, tell: Tell, tasks: Mapping[_Place, Account[Any]], results: Mapping[_Place, object]
    ) -> None:
        self._tell = tell
        self._tasks = tasks
        self._results = results
        self._due = 0.0

    def __call__(self) -> None:
        now = time.monotonic()
        if now >= self._due:
            self._due = now + _TELL_EVERY
            out = [account.name for place, account in self._tasks.items() if place not in self._results]
            self._tell(out, len(self._tasks))


def _next(done: queue.SimpleQueue[T], deadline: Deadline, told: _Told | None) -> T:
    """What comes next. Raises queue.Empty where the deadline comes before."""
    while told is not None:
        told()
        if deadline.left() < _TELL_EVERY:
            break  # the last of the time is waited for as it is with nobody to tell
        with suppress(queue.Empty):
            return done.get(timeout=_TELL_EVERY)
    return done.get(timeout=deadline.left() + _GRACE)


def _expanded(
    places: Mapping[_Place, Account[Any]],
    run: Run,
    limits: RequestSettings,
    deadline: Deadline,
    tell: Tell | None,
) -> tuple[dict[_Place, Account[Any]], dict[_Place, Outcome], dict[_Place, list[echoes.Echo]]]:
    """The accounts that stand in the places of those given, each once, and the outcomes of those that have none.

    And, for the first account of each, which of the answers to this repeat a credential.
    """
    found = each(places, lambda account: _accounts_for(account, run), limits.jobs, deadline, tell)
    accounts: dict[_Place, Account[Any]] = {}
    outcomes: dict[_Place, Outcome] = {}
    noted: dict[_Place, list[echoes.Echo]] = {}
    seen: set[tuple[str, ...]] = set()
    names: set[str] = set()
    for place, account in places.items():
        result = found.get(place) or too_late(account, limits)
        if isinstance(result, Outcome):
            outcomes[place] = result
            continue
        others, echoed = result
        noted[(*place, 0)] = echoed
        # The first that stands for an account asks for it: it must not count twice.
        new: list[Account[Any]] = []
        for other in others:
            if other.key not in seen:
                seen.add(other.key)
                new.append(other)
        named = [*names, *(other.name for other in new)]
        if len(set(named)) < len(named):
            outcomes[place] = _two_of_one_name(account)
            del noted[*place, 0]
            continue
        names.update(named)
        accounts |= {(*place, number): other for number, other in enumerate(new)}
        if not new:
            outcomes[place] = _nobody(account, "all that it stands for is in this run already")
            noted[place] = noted.pop((*place, 0))
    return accounts, outcomes, noted


def _accounts_for(account: Account[Any], run: Run) -> tuple[list[Account[Any]], list[echoes.Echo]] | Outcome:
    """The accounts to fetch in the place of one, with the echoes in the answers that name them.

    Its outcome where it stands for none, or they cannot be had.
    """
    provider = PROVIDERS[account.provider]
    if not isinstance(provider, Expanding):
        return [account], []
    try:
        noted = echoes.noting()
        accounts = list(provider.expand(account, run))
    except BalcliError as problem:
        return Outcome(account, None, None, Failure.from_error(problem))
    if not accounts:
        return _with_notice(_nobody(account, "the provider lists none"), noted)
    return accounts, noted


def fetched(account: Account[Any], run: Run) -> Outcome:
    """What the account holds, with a notice if an answer repeats a credential where it is not shown.

    Raises what the provider's `fetch` raises.
    """
    provider: Provider = PROVIDERS[account.provider]
    noted = echoes.noting()
    holdings = provider.fetch(account, run)
    for balance in holdings.balances:
        text(balance.asset, "an asset's name")
        text(balance.asset_id or "", "an asset's id")
    outcome = Outcome(account, holdings, datetime.now(UTC), None)
    if not noted:
        return outcome
    if not echoes.is_clean(account.base_url, [*_texts(holdings)]):  # a plug-in may take texts as it likes
        raise EchoesCredential(_REPEATED)
    return _with_notice(outcome, noted)


def _with_notice(outcome: Outcome, noted: Iterable[echoes.Echo]) -> Outcome:
    """The outcome of an account some of whose answers repeat a credential where nothing is read."""
    if outcome.holdings is None or not any(echo.texts or echo.elsewhere for echo in noted):
        return outcome
    notice = Notice(
        "answer.echoes_credential",
        outcome.account.name,
        "a response repeats a credential in a part that is not shown; tell the provider, and replace the credential",
    )
    holdings = outcome.holdings._replace(notices=(*outcome.holdings.notices, notice))
    return outcome._replace(holdings=holdings)


def _without_given(outcome: Outcome) -> Outcome:
    """The outcome, or a failure if it repeats a token that a login gave while the answer was on its way.

    The provider's words in a message are filtered once more, for the same reason.
    """
    if outcome.failure is not None:
        return outcome._replace(failure=outcome.failure._replace(message=hide(outcome.failure.message)))
    holdings = outcome.holdings
    if holdings is None or not echoes.repeats_given(outcome.account.base_url, _texts(holdings)):
        return outcome
    return Outcome(outcome.account, None, None, Failure.from_error(EchoesCredential(_REPEATED)))


def _texts(holdings: Holdings) -> Iterator[str]:
    """Every text that the provider's answer gave."""
    yield from (notice.message for notice in holdings.notices)
    for balance in holdings.balances:
        yield from (balance.asset, balance.asset_id or "", *(text or "" for text in balance.raw.values()))
        for value in balance.details.values():
            if isinstance(value, str):
                yield value
            elif isinstance(value, tuple):
                yield from (text or "" for address in value for text in address)


def _fetched(account: Account[Any], run: Run) -> Outcome:
    try:
        return fetched(account, run)
    except BalcliError as problem:
        return Outcome(account, None, None, Failure.from_error(problem))


def _two_of_one_name(account: Account[Any]) -> Outcome:
    """The outcome of an account whose provider makes two accounts of one name, which no reader could tell apart."""
    problem = ProviderError(
        f"{account.provider} made two accounts of one name out of this one; ask the maker of the plug-in"
    )
    return Outcome(account, None, None, Failure.from_error(problem))


def _nobody(account: Account[Any], why: str) -> Outcome:
    """The outcome of an account that stands for others of which none is left to ask."""
    notice = Notice("account.empty", account.name, f"there is nothing to ask for: {why}")
    # It sums up nothing in this run.
    return Outcome(account._replace(aggregate_of=None), Holdings((), (notice,)), datetime.now(UTC), None)


def too_late(account: Account[Any], limits: RequestSettings) -> Outcome:
    """The outcome of an account that had not answered when the run's time was over."""
    problem = DeadlinePassed(
        f"no answer before the deadline of {limits.deadline:g} s; raise --deadline or try later"
    )
    return Outcome(account, None, None, Failure.from_error(problem))
