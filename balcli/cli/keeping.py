"""Keeping a run, in the history or as evidence: no trouble with that ever hides a balance."""

import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from balcli.cli.options import BalanceOptions, RecordingOptions
from balcli.cli.output import print_message
from balcli.errors import OutputError, StateError, UsageError

if TYPE_CHECKING:
    from balcli.evidence.record import Recorder
    from balcli.models import Report


def refuse_what_does_not_go_together(options: RecordingOptions) -> None:
    """Raise UsageError for options that are for recording alone."""
    for name, given in (("--history", options.history), ("--wait", options.wait)):
        if given is not None and not options.record:
            raise UsageError(f"{name} is for --record alone; add --record, or leave it out")


@contextmanager
def locked(options: RecordingOptions, profile: str | None) -> Iterator[StateError | None]:
    """Hold the profile's lock if the run is to be recorded; why that cannot be, where it cannot.

    Raises LockHeld while another run has it.
    """
    with ExitStack() as held:
        trouble = None
        if options.record:
            from balcli import state

            try:
                held.enter_context(state.lock(profile, os.environ, wait=options.wait or 0))
            except StateError as problem:
                trouble = problem
        yield trouble


def keep(
    report: "Report",
    options: RecordingOptions,
    trouble: StateError | None,
    *,
    whole: bool,
    assets: tuple[str, ...] = (),
    flags: frozenset[str] = frozenset(),
) -> StateError | None:
    """Record the run if that is asked for and nothing stands against it; why it is not, where it is not.

    `whole` says whether all accounts of the profile were asked.
    """
    if not options.record or trouble is not None:
        return trouble
    from balcli.history.recording import Selection, placed, record
    from balcli.providers.selection import Exactly

    try:
        named = () if whole else tuple(outcome.account.name for outcome in report.outcomes)
        exact = tuple(asset for asset in assets if isinstance(asset, Exactly))
        selection = Selection(assets, tuple(sorted(flags)), named, exact)
        record(history_file(options.history), placed(report, sandbox=options.sandbox), selection)
    except StateError as problem:
        return problem
    return None


def history_file(named: Path | None) -> Path:
    """The history that is named, or the user's own. Raises StateError where the home directory is no fixed place."""
    if named is not None:
        return named
    from balcli import state
    from balcli.history.database import default_file

    return default_file(state.folder(os.environ))


def marked(report: "Report", trouble: StateError | None) -> "Report":
    """The report with the notice, if there is cause for it, that it is not recorded."""
    if trouble is None:
        return report
    from balcli.models import Notice

    notice = Notice("history.not_recorded", None, f"the run is not recorded: {trouble.message}")
    return report._replace(notices=(*report.notices, notice))


def recorder(options: BalanceOptions) -> "Recorder | None":
    """What keeps the evidence of the run, if that is asked for. Raises OutputError for a folder that cannot be taken."""
    if options.evidence is None:
        return None
    from balcli.evidence import record

    return record.Recorder(options.evidence)


def keep_evidence(
    recorder: "Recorder | None",
    report: "Report",
    options: BalanceOptions,
    flags: Iterable[str],
    trouble: StateError | None,
) -> OutputError | None:
    """Write the evidence, if there is a recorder, and say its manifest's digest; why it is not kept, where it is not."""
    if recorder is None:
        return None
    shaping = {
        "output": options.output.value,
        "assets": [] if report.failures else options.assets(),
        "exact": options.exact,
        "flags": sorted(flags),
        "nonzero": options.nonzero,
        "sort": options.sort,
        "totals_only": options.totals_only,
    }
    try:
        shown = marked(report, trouble)
        digest = recorder.keep(shown, shaping, shown.notices[len(report.notices) :])
    except OutputError as problem:
        return problem
    if not options.quiet:
        print_message(f"note: the manifest of the evidence has the SHA-256 {digest}")
    return None
