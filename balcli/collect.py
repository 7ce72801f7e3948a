"""From accounts to outcomes: every account at once, within the deadline. The only concurrency.

Threads are daemons and results come through a queue, so that neither the deadline nor Ctrl-C waits
for a resolver that hangs or a server that drips.
"""

import queue
import threading
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from balcli.errors import BalcliError, DeadlinePassed
from balcli.http.door import Deadline, Door, Limits
from balcli.models import Account, Failure, Outcome
from balcli.providers import PROVIDERS
from balcli.providers.base import Run


def collect(
    accounts: Sequence[Account[Any]],
    limits: Limits,
    assets: tuple[str, ...] = (),
    flags: frozenset[str] = frozenset(),
) -> tuple[Outcome, ...]:
    """What came of each account, in the accounts' order; an account's error becomes its Failure.

    Raises what is no BalcliError: a bug is not swallowed. Returns by the deadline, whatever the
    network does.
    """
    deadline = Deadline(limits.deadline)
    run = Run(_door(accounts, limits, deadline), assets, flags)
    waiting: queue.SimpleQueue[int | None] = queue.SimpleQueue()
    done: queue.SimpleQueue[tuple[int, Outcome | BaseException]] = queue.SimpleQueue()
    for number in range(len(accounts)):
        waiting.put(number)
    for _ in range(min(limits.jobs, len(accounts))):
        waiting.put(None)
        threading.Thread(target=_work, args=(accounts, run, waiting, done), daemon=True).start()
    outcomes: dict[int, Outcome] = {}
    while len(outcomes) < len(accounts):
        try:
            # A little more than the deadline: an attempt that ends with it says better what it waited for.
            number, outcome = done.get(timeout=deadline.left() + 0.1)
        except queue.Empty:
            break
        if isinstance(outcome, BaseException):
            raise outcome
        outcomes[number] = outcome
    return tuple(
        outcomes.get(number) or _too_late(account, limits) for number, account in enumerate(accounts)
    )


def _door(accounts: Sequence[Account[Any]], limits: Limits, deadline: Deadline) -> Door:
    """The door for these accounts, open for their providers' endpoints alone."""
    providers: Mapping[str, Any] = {account.provider: PROVIDERS[account.provider] for account in accounts}
    endpoints = [endpoint for provider in providers.values() for endpoint in provider.ENDPOINTS]
    tls = any(account.base_url.startswith("https:") for account in accounts)
    return Door(limits, deadline, endpoints, tls=tls)


def _work(
    accounts: Sequence[Account[Any]],
    run: Run,
    waiting: "queue.SimpleQueue[int | None]",
    done: "queue.SimpleQueue[tuple[int, Outcome | BaseException]]",
) -> None:
    """Fetch one account after the other until the queue says that there are no more."""
    while (number := waiting.get()) is not None:
        try:
            done.put((number, _fetched(accounts[number], run)))
        except BaseException as bug:  # noqa: BLE001 - carried to the main thread, which raises it
            done.put((number, bug))


def _fetched(account: Account[Any], run: Run) -> Outcome:
    try:
        holdings = PROVIDERS[account.provider].fetch(account, run)
    except BalcliError as problem:
        return Outcome(account, None, None, Failure.of(problem))
    return Outcome(account, holdings, datetime.now(UTC), None)


def _too_late(account: Account[Any], limits: Limits) -> Outcome:
    problem = DeadlinePassed(
        f"no answer before the deadline of {limits.deadline:g} s; raise --deadline or try later"
    )
    return Outcome(account, None, None, Failure.of(problem))
