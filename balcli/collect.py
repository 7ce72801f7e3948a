"""From accounts to outcomes: every account at once, within the deadline. The only concurrency.

Threads are daemons and results come through a queue, so that neither the deadline nor Ctrl-C waits
for a resolver that hangs or a server that drips.
"""

import queue
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final, TypeAlias

from balcli.cache import Cache
from balcli.errors import BalcliError, DeadlinePassed
from balcli.http.door import Deadline, Door, Limits
from balcli.models import Account, Failure, Holdings, Notice, Outcome
from balcli.providers import PROVIDERS
from balcli.providers.base import Expanding, Provider, Run

_Place: TypeAlias = tuple[int, ...]
"""Where an account stands in the run's order: its number, then its number among those it expands to."""

# An attempt that ends with the deadline says better than we could what it waited for.
_GRACE: Final = 0.1


@dataclass(frozen=True, slots=True)
class _Task:
    place: _Place
    account: Account[Any]


@dataclass(frozen=True, slots=True)
class _Done:
    """What came of a task: an outcome, accounts that stand in its place, or a bug."""

    place: _Place
    result: Outcome | Sequence[Account[Any]] | BaseException


def collect(
    accounts: Sequence[Account[Any]],
    limits: Limits,
    *,
    assets: tuple[str, ...] = (),
    flags: frozenset[str] = frozenset(),
    cache: Cache | None = None,
) -> tuple[Outcome, ...]:
    """What came of each account, in the accounts' order; an account's error becomes its Failure.

    Raises what is no BalcliError: a bug is not swallowed. Returns by the deadline, whatever the
    network does.
    """
    deadline = Deadline(limits.deadline)
    crew = _Crew(Run(_door(accounts, limits, deadline), assets, flags, cache), limits.jobs)
    open_tasks: dict[_Place, _Task] = {
        (number,): _Task((number,), account) for number, account in enumerate(accounts)
    }
    outcomes: dict[_Place, Outcome] = {}
    identities = {account.identity for account in accounts}
    crew.take_on(list(open_tasks.values()))
    while open_tasks:
        try:
            done = crew.done.get(timeout=deadline.left() + _GRACE)
        except queue.Empty:
            break
        if isinstance(done.result, BaseException):
            raise done.result
        task = open_tasks.pop(done.place)
        if isinstance(done.result, Outcome):
            outcomes[done.place] = done.result
            continue
        # An account that stands in the run by itself is not asked for a second time.
        others = [account for account in done.result if account.identity not in identities]
        identities |= {account.identity for account in others}
        if not others:
            outcomes[done.place] = _nobody(task.account, known=len(done.result))
        more = {(*done.place, number): _Task((*done.place, number), a) for number, a in enumerate(others)}
        open_tasks |= more
        crew.take_on(list(more.values()))
    crew.dismiss()
    outcomes |= {place: _too_late(task.account, limits) for place, task in open_tasks.items()}
    return tuple(outcomes[place] for place in sorted(outcomes))


def _door(accounts: Sequence[Account[Any]], limits: Limits, deadline: Deadline) -> Door:
    """The door for these accounts, open for their providers' endpoints alone."""
    providers: Mapping[str, Any] = {account.provider: PROVIDERS[account.provider] for account in accounts}
    endpoints = [endpoint for provider in providers.values() for endpoint in provider.ENDPOINTS]
    tls = any(account.base_url.startswith("https:") for account in accounts)
    return Door(limits, deadline, endpoints, tls=tls)


class _Crew:
    """The threads of a run: never more than `most`, each doing one task after the other."""

    def __init__(self, run: Run, most: int) -> None:
        self.done: queue.SimpleQueue[_Done] = queue.SimpleQueue()
        self._run = run
        self._most = most
        self._waiting: queue.SimpleQueue[_Task | None] = queue.SimpleQueue()
        self._size = 0

    def take_on(self, tasks: Sequence[_Task]) -> None:
        """Put tasks in line, with as many threads as that is worth."""
        for task in tasks:
            self._waiting.put(task)
        for _ in range(min(self._most - self._size, len(tasks))):
            self._size += 1
            threading.Thread(target=self._work, daemon=True).start()

    def dismiss(self) -> None:
        """Let the threads that wait for work end."""
        for _ in range(self._size):
            self._waiting.put(None)

    def _work(self) -> None:
        while (task := self._waiting.get()) is not None:
            try:
                self.done.put(_Done(task.place, _result(task, self._run)))
            except BaseException as bug:  # noqa: BLE001 - carried to the main thread, which raises it
                self.done.put(_Done(task.place, bug))


def _result(task: _Task, run: Run) -> Outcome | Sequence[Account[Any]]:
    """The account's outcome, or the accounts that stand in its place and are still to be fetched."""
    account = task.account
    provider: Provider = PROVIDERS[account.provider]
    try:
        # What an expansion gave is not expanded again.
        if isinstance(provider, Expanding) and len(task.place) == 1:
            others = provider.expand(account, run)
            if list(others) != [account]:
                return others
        holdings = provider.fetch(account, run)
    except BalcliError as problem:
        return Outcome(account, None, None, Failure.of(problem))
    return Outcome(account, holdings, datetime.now(UTC), None)


def _nobody(account: Account[Any], known: int) -> Outcome:
    """The outcome of an account that stands for others of which none is left to ask."""
    why = "all of its accounts are in this run by themselves" if known else "the provider lists none"
    notice = Notice("account.empty", account.name, f"there is nothing to ask for: {why}")
    # It sums up nothing in this run.
    return Outcome(replace(account, aggregate_of=None), Holdings((), (notice,)), datetime.now(UTC), None)


def _too_late(account: Account[Any], limits: Limits) -> Outcome:
    problem = DeadlinePassed(
        f"no answer before the deadline of {limits.deadline:g} s; raise --deadline or try later"
    )
    return Outcome(account, None, None, Failure.of(problem))
