"""Fetch all accounts concurrently, within the deadline. The only module with threads.

Threads are daemons, and results arrive through a queue, so neither the deadline nor Ctrl-C waits for a hanging
resolver or a slow server.
"""

import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple, TypeAlias, TypeVar

from balcli.errors import (
    EXHAUSTION,
    AnswerTooLarge,
    BalcliError,
    DeadlinePassed,
    EchoesCredential,
    MachineExhausted,
    ProviderError,
)
from balcli.http import echoes, turns
from balcli.http.client import Client, Endpoint, Exchange, RequestSettings, SupportsRequest, trusted
from balcli.http.timing import Deadline, seconds_to_retry, writable_rows
from balcli.models import Account, Holdings, Notice, Outcome
from balcli.providers import PROVIDERS
from balcli.providers.base import Provider, Run, SupportsExpand
from balcli.secret import redact

T = TypeVar("T")

_Position: TypeAlias = tuple[int, ...]
"""The position of an account in the run: its number, and its number within an expanded account."""


class AccountProgress(NamedTuple):
    """The progress of an account. `retry_in` is the seconds until the next retry, or None."""

    name: str
    state: Literal["waiting", "answered", "failed"]
    retry_in: int | None = None


OnProgress: TypeAlias = Callable[[Sequence[AccountProgress]], None]
"""Called with the progress of all accounts, in order."""
_PROGRESS_SECONDS: Final = 0.25
_REPEATED: Final = (
    "the response repeats a credential, so it is not shown; replace the credential, and tell the provider"
)
# If an attempt ends at the deadline, its own message is better: it says what it waited for.
_GRACE: Final = 0.1
MAX_ROWS: Final = 100_000
"""The maximum number of balances in one run."""
_SPARE_ROWS: Final = 10_000
_OTHER_FILES: Final = 12
"""File descriptors that the rest of a run may need: modules, the cache, the history, output files."""


def collect(
    accounts: Sequence[Account[Any]],
    settings: RequestSettings,
    deadline: Deadline,
    *,
    assets: tuple[str, ...] = (),
    flags: frozenset[str] = frozenset(),
    limited: Sequence[tuple[str | None, str]] = (),
    use_cache: bool = False,
    client: SupportsRequest | None = None,
    on_progress: OnProgress | None = None,
) -> tuple[Outcome, ...]:
    """The outcome of each account, in order. A BalcliError becomes the account's Failure.

    Always returns by the deadline. Without a `client`, it opens its own. `limited` has the accounts (None for all)
    and assets of thresholds, if only these are needed. Raises any exception that is not a BalcliError, which is a bug.
    """
    client = client or open_client(accounts, settings, deadline)
    run = Run(client, assets, flags, limited, use_cache=use_cache)
    positions: Mapping[_Position, Account[Any]] = {
        (number,): account for number, account in enumerate(accounts)
    }
    outcomes: dict[_Position, Outcome] = {}
    noted: Mapping[_Position, Sequence[echoes.CredentialEcho]] = {}
    if flags:  # without flags, no account expands to others
        positions, outcomes, noted = _expanded(positions, run, settings, deadline, on_progress)
    found = _Outcomes()
    each(
        positions,
        partial(_or_failed, partial(fetch, run=run)),
        settings.jobs,
        deadline,
        on_progress,
        results=found,
    )
    found.drop()
    for position, account in positions.items():
        outcomes[position] = found.get(position) or deadline_passed(account, settings)
    for position, echo in noted.items():
        outcomes[position] = _with_notice(outcomes[position], echo)
    for position, outcome in tuple(outcomes.items()):
        for number, (kind, failure) in enumerate(outcome.holdings.failed if outcome.holdings else ()):
            # The expanded accounts are neither aggregates nor parts of one.
            account = outcome.account._replace(
                name=f"{outcome.account.name}/{kind}", part_of=None, aggregate_of=None
            )
            outcomes[*position, number] = Outcome(account, None, None, failure)
    ordered = [outcomes[position] for position in sorted(outcomes)]
    return tuple(map(_without_given, ordered) if echoes.tokens_were_issued() else ordered)


def open_client(
    accounts: Sequence[Account[Any]],
    settings: RequestSettings,
    deadline: Deadline,
    observe: Callable[[Exchange], None] | None = None,
) -> Client:
    """The client for these accounts. It allows only the endpoints of their providers.

    `observe` is called for every attempt of a request, in the request's thread.
    """
    endpoints: list[Endpoint] = []
    for provider in {account.provider for account in accounts}:
        endpoints += PROVIDERS[provider].ENDPOINTS
    tls = any(account.base_url.startswith("https:") for account in accounts)
    certificates = dict.fromkeys(account.ca or settings.ca_bundle for account in accounts)
    return Client(settings, deadline, endpoints, tls=tls, certificates=certificates, observe=observe)


def each(
    tasks: Mapping[_Position, Account[Any]],
    do: Callable[[Account[Any]], T],
    jobs: int,
    deadline: Deadline,
    on_progress: OnProgress | None = None,
    results: dict[_Position, T] | None = None,
) -> dict[_Position, T]:
    """The results of `do` that are ready before the deadline, stored in `results` if given.

    Raises what `do` raises. `on_progress` is called in this thread, a few times per second.
    """
    waiting: queue.SimpleQueue[_Position | None] = queue.SimpleQueue()
    done: queue.SimpleQueue[tuple[_Position, T | None, BaseException | None]] = queue.SimpleQueue()
    threads: dict[_Position, int] = {}
    workers = min(jobs, len(tasks))
    if workers > 1:
        workers = affordable(workers)
    for position_or_end in (*tasks, *[None] * workers):
        waiting.put(position_or_end)
    work = partial(_work, tasks, do, waiting, done, threads)
    if tasks and not _started(work, workers):
        work()
    results = {} if results is None else results
    progress_due = 0.0
    while len(results) < len(tasks):
        if on_progress is not None and time.monotonic() >= progress_due:
            on_progress(
                [
                    _progress_of(account.name, results.get(position), threads.get(position))
                    for position, account in tasks.items()
                ]
            )
            progress_due = time.monotonic() + _PROGRESS_SECONDS
        left = deadline.left()
        is_last_wait = on_progress is None or left < _PROGRESS_SECONDS
        try:
            position, result, bug = done.get(timeout=left + _GRACE if is_last_wait else _PROGRESS_SECONDS)
        except queue.Empty:
            if is_last_wait:
                break
            continue
        if bug is not None:
            # SystemExit in a thread must not end the program with exit code 0.
            raise bug if isinstance(bug, Exception) else RuntimeError(f"{type(bug).__name__} in a thread")
        if result is not None:
            results[position] = result
    return results


def _progress_of(name: str, result: object, thread: int | None) -> AccountProgress:
    """The progress of an account with this result, or None if its thread is still running."""
    if result is None:
        return AccountProgress(name, "waiting", seconds_to_retry(thread))
    failed = result is False or (isinstance(result, Outcome) and result.failure is not None)
    return AccountProgress(name, "failed" if failed else "answered")


class _Outcomes(dict[_Position, Outcome]):
    """The outcomes of accounts. Accounts that exceed the maximum number of rows of a run fail.

    Rows are counted in the profile's order, not in the order of the responses.
    """

    def __init__(self) -> None:
        super().__init__()
        self._rows: dict[_Position, int] = {}
        self._held = 0

    def __setitem__(self, position: _Position, outcome: Outcome) -> None:
        super().__setitem__(position, outcome)
        self._rows[position] = len(outcome.holdings.balances) if outcome.holdings else 0
        self._held += self._rows[position]
        if self._held > MAX_ROWS + _SPARE_ROWS:
            self.drop()

    def drop(self) -> None:
        """Fail the accounts that exceed the maximum number of rows, and drop their rows."""
        rows = 0
        for position in sorted(self):
            rows += self._rows[position]
            if rows > MAX_ROWS and self[position].holdings is not None and self._rows[position]:
                self._held -= self._rows[position]
                super().__setitem__(position, _too_many_rows(self[position].account))


def _work(
    tasks: Mapping[_Position, Account[Any]],
    do: Callable[[Account[Any]], T],
    waiting: "queue.SimpleQueue[_Position | None]",
    done: "queue.SimpleQueue[tuple[_Position, T | None, BaseException | None]]",
    threads: dict[_Position, int],
) -> None:
    """Take accounts from a queue until it returns None, and put each result or exception in the other queue.

    `threads` maps each account to its thread.
    """
    while (position := waiting.get()) is not None:
        threads[position] = threading.get_ident()
        try:
            done.put((position, do(tasks[position]), None))
        except BaseException as bug:  # noqa: BLE001 - raised again in the main thread
            done.put((position, None, bug))


def _started(work: Callable[[], None], count: int) -> int:
    """Start up to `count` threads, as far as the machine allows; returns their number."""
    for number in range(count):
        try:
            threading.Thread(target=work, daemon=True).start()
        except RuntimeError:  # the machine's limit is reached
            return number
    return count


def affordable(jobs: int) -> int:
    """The number of concurrent accounts that the limit on file descriptors allows."""
    try:
        import resource

        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        free = limit - len([*Path("/dev/fd").iterdir()])
    except (ImportError, OSError):
        return jobs  # not supported by this system
    # Two descriptors per account: one for its connection, and one for the resolver or an idle connection.
    return jobs if limit == resource.RLIM_INFINITY else max(1, min(jobs, (free - _OTHER_FILES) // 2))


def _expanded(
    positions: Mapping[_Position, Account[Any]],
    run: Run,
    settings: RequestSettings,
    deadline: Deadline,
    on_progress: OnProgress | None,
) -> tuple[
    dict[_Position, Account[Any]], dict[_Position, Outcome], dict[_Position, list[echoes.CredentialEcho]]
]:
    """The accounts after expansion, each once, and the outcomes of accounts that expand to none.

    The third item has, for the first account of each expansion, the responses that repeat a credential.
    """
    found = each(
        positions, partial(_or_failed, partial(_accounts_for, run=run)), settings.jobs, deadline, on_progress
    )
    accounts: dict[_Position, Account[Any]] = {}
    outcomes: dict[_Position, Outcome] = {}
    noted: dict[_Position, list[echoes.CredentialEcho]] = {}
    seen: set[tuple[str, ...]] = set()
    names: set[str] = set()
    for position, account in positions.items():
        result = found.get(position) or deadline_passed(account, settings)
        if isinstance(result, Outcome):
            outcomes[position] = result
            continue
        others, echoed = result
        noted[(*position, 0)] = echoed
        # Two accounts can expand to the same one, which counts once.
        new: list[Account[Any]] = []
        for other in others:
            if other.key not in seen:
                seen.add(other.key)
                new.append(other)
        named = [*names, *(other.name for other in new)]
        if len(set(named)) < len(named):
            outcomes[position] = _ambiguous(account)
            del noted[*position, 0]
            continue
        names.update(named)
        accounts |= {(*position, number): other for number, other in enumerate(new)}
        if not new:
            outcomes[position] = _empty(account, "all its accounts are in this run already")
            noted[position] = noted.pop((*position, 0))
    return accounts, outcomes, noted


def _accounts_for(
    account: Account[Any], run: Run
) -> tuple[list[Account[Any]], list[echoes.CredentialEcho]] | Outcome:
    """The accounts that an account expands to, with the echoes in those responses; its outcome if there are none.

    Raises what the provider's `expand` raises.
    """
    provider = PROVIDERS[account.provider]
    if not isinstance(provider, SupportsExpand):
        return [account], []
    trusted.set(account.ca)
    noted = echoes.record_echoes()
    try:
        accounts = [each._replace(ca=account.ca) for each in provider.expand(account, run)]
    finally:
        turns.leave()
    if not accounts:
        return _with_notice(_empty(account, "the provider lists no accounts"), noted)
    return accounts, noted


def fetch(account: Account[Any], run: Run) -> Outcome:
    """Fetch an account's holdings, with a notice if a hidden part of a response repeats a credential.

    Raises what the provider's `fetch` raises.
    """
    provider: Provider = PROVIDERS[account.provider]
    trusted.set(account.ca)
    noted = echoes.record_echoes()
    try:
        holdings = provider.fetch(account, run)
    finally:
        turns.leave()
    outcome = Outcome(account, holdings, datetime.now(UTC), None)
    if not noted:
        return outcome
    # A plugin may return texts that it did not check.
    if not echoes.is_free_of_credentials(account.base_url, [*_texts(holdings)]):
        raise EchoesCredential(_REPEATED)
    return _with_notice(outcome, noted)


def _with_notice(outcome: Outcome, noted: Iterable[echoes.CredentialEcho]) -> Outcome:
    """The outcome of an account, with a notice if an unused part of its responses repeats a credential."""
    if outcome.holdings is None or not any(echo.texts or echo.elsewhere for echo in noted):
        return outcome
    notice = Notice(
        "answer.echoes_credential",
        outcome.account.name,
        "a response repeats a credential in a part that is not shown; replace the credential, and tell the provider",
    )
    holdings = outcome.holdings._replace(notices=(*outcome.holdings.notices, notice))
    return outcome._replace(holdings=holdings)


def _without_given(outcome: Outcome) -> Outcome:
    """The outcome, or a failure if it repeats a token that a login returned after the response was checked.

    For the same reason, the provider's text in a message is redacted again.
    """
    if outcome.failure is not None:
        return outcome._replace(failure=outcome.failure._replace(message=redact(outcome.failure.message)))
    holdings = outcome.holdings
    if holdings is None or not echoes.contains_issued_token(outcome.account.base_url, _texts(holdings)):
        return outcome
    return Outcome.failed(outcome.account, EchoesCredential(_REPEATED))


def _texts(holdings: Holdings) -> Iterator[str]:
    """All strings of the provider's response."""
    for notice in holdings.notices:
        yield notice.message
    for balance in holdings.balances:
        yield balance.asset
        yield from filter(None, (balance.asset_id, *balance.raw.values()))
        for value in balance.details.values():
            if isinstance(value, str):
                yield value
            elif isinstance(value, tuple):
                for address in value:
                    yield from filter(None, address)


def _or_failed(ask: Callable[[Account[Any]], T], account: Account[Any]) -> T | Outcome:
    """The result of fetching an account, or a failed outcome, also if the machine runs out of resources."""
    try:
        return ask(account)
    except BalcliError as problem:
        return Outcome.failed(account, problem)
    except EXHAUSTION as problem:
        exhausted = MachineExhausted.from_exception(problem)
        if exhausted is None:
            raise
        return Outcome.failed(account, exhausted)


def _ambiguous(account: Account[Any]) -> Outcome:
    """The failed outcome of an account that expands to two accounts with the same name."""
    problem = ProviderError(
        f"{account.provider} expanded this account into two with the same name; report it to the plugin's author"
    )
    return Outcome.failed(account, problem)


def _empty(account: Account[Any], why: str) -> Outcome:
    """The outcome of an account that expands to no accounts."""
    notice = Notice("account.empty", account.name, f"nothing to request: {why}")
    # In this run, it is not the aggregate of any account.
    return Outcome(account._replace(aggregate_of=None), Holdings((), (notice,)), datetime.now(UTC), None)


def _too_many_rows(account: Account[Any]) -> Outcome:
    """The failed outcome of an account that exceeds the maximum number of rows."""
    return Outcome.failed(
        account,
        AnswerTooLarge(
            f"with this account, the run has more than {MAX_ROWS:,} rows; select fewer accounts, or limit the assets with --asset"
        ),
    )


def deadline_passed(account: Account[Any], settings: RequestSettings) -> Outcome:
    """The failed outcome of an account that did not answer by the deadline."""
    problem = DeadlinePassed(
        f"no response before the deadline of {settings.deadline:g} s; raise --deadline or try again later"
    )
    return Outcome.failed(account, problem)


def writable(
    outcomes: Iterable[Outcome], settings: RequestSettings, deadline: Deadline
) -> tuple[Outcome, ...]:
    """The outcomes, in order. Accounts whose rows cannot be written before the deadline fail."""
    left, found = writable_rows(deadline), []
    for outcome in outcomes:
        rows = len(outcome.holdings.balances) if outcome.holdings else 0
        fits = rows <= left
        found.append(outcome if fits else written_too_late(outcome.account, settings))
        left -= rows if fits else 0
    return tuple(found)


def written_too_late(account: Account[Any], settings: RequestSettings) -> Outcome:
    """The failed outcome of an account whose rows cannot be written before the deadline."""
    problem = DeadlinePassed(
        f"too many rows to write before the deadline of {settings.deadline:g} s; raise --deadline or select fewer accounts"
    )
    return Outcome.failed(account, problem)
