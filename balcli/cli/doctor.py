"""`balcli doctor`: what a run needs, looked at one by one; with `--canary`, the hunt for secrets that get out."""

import os
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Annotated, Final

import typer

from balcli.cli.balances import default_file, progress
from balcli.cli.commands import SHOWN
from balcli.cli.options import ACCOUNTS, OutputFile, RunOptions, TableOrJson, TableOrJsonOption, with_options
from balcli.cli.output import (
    check_destination,
    is_one_terminal,
    print_error,
    print_message,
    terminal_columns,
    wants_colour,
    write_output,
    write_stdout,
)
from balcli.errors import BalcliError, ConfigError, OutputError, UsageError
from balcli.http.timing import Deadline
from balcli.models import Step

if TYPE_CHECKING:
    from balcli.config.profile import Profile
    from balcli.models import Diagnosis

_RUNS: Final = 250


class DoctorOptions(RunOptions):
    """The options of the doctor."""

    output: TableOrJsonOption = None
    output_file: OutputFile = None
    offline: Annotated[
        bool, typer.Option("--offline", help="Look at what needs no network.", rich_help_panel=SHOWN)
    ] = False
    canary: Annotated[
        bool,
        typer.Option(
            "--canary", help="Hunt for leaks with false secrets and servers.", rich_help_panel=SHOWN
        ),
    ] = False
    runs: Annotated[
        int | None,
        typer.Option(
            "--runs",
            metavar="N",
            min=1,
            help=f"With --canary: so many runs [default: {_RUNS}].",
            rich_help_panel=SHOWN,
        ),
    ] = None


def register(app: typer.Typer, name: str, about: str) -> None:
    """Add the command."""
    app.command(name, help=about)(with_options(_doctor, DoctorOptions, [ACCOUNTS], []))


def _doctor(options: DoctorOptions, accounts: list[str] | None) -> None:
    raise typer.Exit(run(options, accounts or []))


def run(options: DoctorOptions, names: list[str]) -> int:
    """Look, write and report; the exit code that the run would have, or whether the canary found a leak."""
    # Imported here: what a run needs is no matter for --help and completion.
    from balcli import doctor

    try:
        _refuse_what_does_not_go_together(options, names)
        check_destination(options.output_file)
        if options.canary:
            from balcli.cli import canary

            return canary.run(options.runs or _RUNS, as_json=_as_json(options))
        diagnosis = _diagnosed(options, names)
    except (UsageError, OutputError) as problem:
        diagnosis = doctor.unreadable(options.profile, [], problem)
    except ConfigError as problem:
        diagnosis = doctor.unreadable(options.profile, [Step.failed(None, "profile", problem)], problem)
    # A diagnosis of what fails is one all the same; without a step there is none.
    unwritten = write_output(_rendered(diagnosis, options), options.output_file if diagnosis.steps else None)
    in_table = bool(diagnosis.steps) and not _as_json(options) and options.output_file is None
    if not (in_table and is_one_terminal()):
        _say(diagnosis, quiet=options.quiet)
    return diagnosis.exit_code if unwritten is None else print_error(unwritten)


def write_failure(error: BalcliError, output: str, _arguments: list[str]) -> None:
    """Write the document of a diagnosis that could not begin."""
    if output == TableOrJson.json:
        from balcli.doctor import unreadable
        from balcli.render.steps import render_json

        write_stdout(render_json(unreadable(None, [], error)))


def _refuse_what_does_not_go_together(options: DoctorOptions, names: list[str]) -> None:
    """Raise UsageError for options that cannot be meant together."""
    if options.runs is not None and not options.canary:
        raise UsageError("--runs is for --canary alone; add --canary, or leave it out")
    own = (names, options.env_file, options.sandbox, options.fault, options.offline, options.output_file)
    if options.canary and any(own):
        raise UsageError(
            "--canary brings its own profiles and servers; leave out accounts, --env-file, --sandbox, --fault, "
            "--offline and -O"
        )
    options.refuse_stray_fault()


def _diagnosed(options: DoctorOptions, names: list[str]) -> "Diagnosis":
    """The diagnosis of the sandbox or of the user's own profile. Raises what keeps it from being looked for."""
    from balcli import doctor

    found: AbstractContextManager[Profile | BalcliError]
    if options.sandbox:
        from balcli.cli.sandbox import sandbox_profile

        found = sandbox_profile(options)
        steps = [Step(None, "profile", "ok", "the sandbox's own; no file is read")]
    else:
        steps, profile_or_problem = doctor.read_files(
            options.config or default_file(),
            must_exist=options.config is not None,
            name=options.profile,
            env_file=options.env_file,
            environ=os.environ,
        )
        found = nullcontext(profile_or_problem)
    with found as profile:
        if isinstance(profile, BalcliError):
            around = doctor.surroundings(os.environ, None)
            return doctor.unreadable(options.profile, [*steps, *around], profile)
        around = doctor.surroundings(os.environ, profile)
        limits = options.limits(profile.limits)
        with progress(options) as tell:
            diagnosis = doctor.examine(
                profile,
                names,
                limits,
                Deadline(limits.deadline),
                os.environ,
                offline=options.offline,
                tell=tell,
            )
    return diagnosis._replace(steps=(*steps, *around, *diagnosis.steps))


def _as_json(options: DoctorOptions) -> bool:
    return TableOrJson.chosen(options.output) is TableOrJson.json


def _rendered(diagnosis: "Diagnosis", options: DoctorOptions) -> str:
    from balcli.render import steps

    if _as_json(options):
        return steps.render_json(diagnosis)
    if not diagnosis.steps:
        return ""  # nothing was looked at; stderr says why
    colour = wants_colour(os.environ, no_color=options.no_color, file=options.output_file)
    return steps.render(diagnosis, columns=terminal_columns(options.output_file), colour=colour)


def _say(diagnosis: "Diagnosis", *, quiet: bool) -> None:
    """The failed steps on stderr, one line each, and the warnings unless quiet."""
    failed = [step for step in diagnosis.steps if step.status == "failed"]
    for step in failed:
        print_message(_sentence(step), step.account)
    if not failed:  # nothing was looked at, then
        for failure in diagnosis.report.failures:
            print_message(failure.message)
    for step in diagnosis.steps if not quiet else ():
        if step.status == "warning":
            print_message(f"note: {_sentence(step)}", step.account)


def _sentence(step: Step) -> str:
    return f"{step.step}: {step.message}" + (f"; {step.cure}" if step.cure else "")
