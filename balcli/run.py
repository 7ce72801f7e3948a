"""One run: open the accounts of a profile, fetch their balances, build the report, and record it."""

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from balcli import report as reports
from balcli.collect import OnProgress, collect, open_client, writable
from balcli.config.credentials import expiring_credentials
from balcli.config.profile import Profile, open_accounts
from balcli.config.sources import SecretSources
from balcli.errors import BalcliError, StateError
from balcli.http.client import Exchange, RequestSettings, SupportsRequest
from balcli.http.timing import Deadline, writing_seconds
from balcli.models import ExactName, Notice, Report
from balcli.providers import PLUGIN_NOTICES
from balcli.settings import Order

if TYPE_CHECKING:
    from balcli.evidence.record import Recorder

_RECORDING_SECONDS: Final = 0.1
"""The minimum time to record a run, in seconds."""


class RunRequest(NamedTuple):
    """The options of one run. By default, it requests everything from all accounts, and records nothing."""

    provider: str | None = None
    """The provider of the accounts to request; None for all providers."""
    accounts: Sequence[str] = ()
    """The names of the accounts to request; empty for all."""
    targets: Mapping[str, tuple[str, ...]] = {}
    """Values by provider key, which replace those of the single account."""
    assets: tuple[str, ...] = ()
    """The assets to show, from `providers.selection.wanted`; empty for all."""
    flags: frozenset[str] = frozenset()
    """The provider's flags that are set."""
    thresholds: Sequence[tuple[str | None, str]] = ()
    """The accounts (None for all) and assets of thresholds, if only these are needed."""
    settings: Mapping[str, Any] = {}
    """Request settings (`timeout`, `deadline`, `retries`, `jobs`) that override the profile's."""
    nonzero: bool = False
    sort: Order | None = None
    totals_only: bool = False
    sandbox: bool = False
    """Whether the profile is a sandbox's. Its token tables are not cached, and its addresses not recorded."""
    cache: bool = True
    record: bool = False
    history: Path | None = None
    """The history to record the run in; None for the user's own."""
    wait: float | None = None
    """Seconds to wait for the lock of another run; None to not wait."""


class RunResult(NamedTuple):
    """The result of a run."""

    report: Report
    """The report to show."""
    whole: Report
    """The report with all rows."""
    problems: tuple[BalcliError, ...] = ()
    """Why the run or its evidence was not recorded. If an account answered, the first one sets the exit code."""

    @property
    def document(self) -> Report:
        """The report for the JSON document, with a notice if the run was not recorded."""
        report = self.report
        for problem in self.problems:
            if isinstance(problem, StateError):
                message = f"the run is not recorded: {problem.message}"
                notice = Notice("history.not_recorded", None, message)
                report = report._replace(notices=(*report.notices, notice))
        return report


def run(
    profile: Profile,
    request: RunRequest,
    *,
    recorder: "Recorder | None" = None,
    observe: Callable[[Exchange], None] | None = None,
    progress: AbstractContextManager[OnProgress | None] | None = None,
    deadline: Deadline | None = None,
) -> RunResult:
    """Run once. Errors of accounts are in the report. An error in recording never hides a balance.

    `recorder` gets every response, for the evidence. `observe` gets every attempt of a request. `progress` is
    entered while requests are in flight. If `deadline` is None, the deadline from the settings applies, counted from
    now. Raises BalcliError if no account can be requested, or another run has the lock.
    """
    problems: tuple[BalcliError, ...] = ()
    with ExitStack() as locks:
        try:
            if request.record:
                from balcli import state  # imported here, because few runs are recorded

                locks.enter_context(state.lock(profile.name, os.environ, wait=request.wait or 0))
        except StateError as problem:
            problems = (problem,)
        # Starts here, because `--wait` limits the wait for another run.
        settings = profile.request_settings._replace(**request.settings)
        deadline = deadline or Deadline(settings.deadline)
        whole = _fetched(profile, request, settings, deadline, recorder, observe, progress)
        if request.record and not problems:
            try:
                _record(whole, profile, request, deadline)
            except StateError as problem:
                problems = (problem,)
    report = reports.without_zeros(whole) if request.nonzero else whole
    report = reports.arranged(report, request.sort, totals_only=request.totals_only)
    return RunResult(report, whole, problems)


def _fetched(
    profile: Profile,
    request: RunRequest,
    settings: RequestSettings,
    whole: Deadline,
    recorder: "Recorder | None",
    observe: Callable[[Exchange], None] | None,
    progress: AbstractContextManager[OnProgress | None] | None,
) -> Report:
    """The report of all requested accounts, with every row."""
    deadline = whole.for_requests()
    found = open_accounts(
        profile,
        SecretSources(deadline, settings.command_timeout),
        request.provider,
        request.accounts,
        request.targets,
    )
    notices = [*PLUGIN_NOTICES, *profile.variables.notices]
    accounts = []
    for opened in found:
        notices += expiring_credentials(opened)
        if opened.account is not None:
            accounts.append(opened.account)
    if recorder is None:
        client: SupportsRequest = open_client(accounts, settings, deadline, observe)
    else:
        client = recorder.client(found, settings, deadline, observe)
    # Evidence must contain every response, so a recorder disables the cache.
    use_cache = request.cache and not request.sandbox and recorder is None
    with closing(client), progress or nullcontext() as on_progress:
        outcomes = collect(
            accounts,
            settings,
            deadline,
            assets=request.assets,
            flags=request.flags,
            limited=request.thresholds,
            use_cache=use_cache,
            client=client,
            on_progress=on_progress,
        )
    return reports.build(profile.name, writable(outcomes, settings, whole), notices)


def _record(report: Report, profile: Profile, request: RunRequest, deadline: Deadline) -> None:
    """Add the run to the history, leaving time to write the report. Raises StateError."""
    from balcli.history.database import history_file, within
    from balcli.history.recording import Selection, record, with_url_digests

    asked_all = not request.targets and all(
        request.provider in {None, entry.provider}
        and (not request.accounts or entry.name in request.accounts)
        for entry in profile.entries
    )
    selection = Selection(
        request.assets,
        tuple(sorted(request.flags)),
        () if asked_all else tuple(outcome.account.name for outcome in report.outcomes),
        tuple(asset for asset in request.assets if isinstance(asset, ExactName)),
    )
    # After a late response, there is still this much time to record.
    spare = max(0.0, deadline.left() - _RECORDING_SECONDS)
    with within(deadline.earlier(min(spare, writing_seconds(len(report.balances))))):
        record(
            history_file(request.history, os.environ, sandbox=request.sandbox),
            with_url_digests(report, sandbox=request.sandbox),
            selection,
        )
