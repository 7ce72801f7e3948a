"""`balcli doctor`: check everything that a run needs."""

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from balcli import pipes
from balcli.cli import options
from balcli.cli.app import Command, CommandLine
from balcli.cli.options import output_option, shown_option
from balcli.cli.output import (
    Outputs,
    is_one_terminal,
    print_error,
    print_message,
    progress,
    terminal_view,
    wants_colour,
    write_stdout,
)
from balcli.cli.profiles import default_file
from balcli.diagnosis import Step
from balcli.errors import BalcliError, ConfigError, OutputError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from balcli.config.profile import Profile
    from balcli.diagnosis import Diagnosis


app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command("doctor", cls=Command)
def diagnose(
    accounts: options.Accounts = None,
    output: options.TableOrJsonOption = None,
    output_file: options.OutputFiles = None,
    mode: options.Mode = None,
    offline: Annotated[bool, shown_option("--offline", help="Check only what needs no network.")] = False,
    config: options.ConfigFile = None,
    profile: options.ProfileName = None,
    env_file: options.EnvFile = None,
    timeout: options.Timeout = None,
    deadline: options.DeadlineSeconds = None,
    sandbox: options.UseSandbox = False,
    fault: options.Faults = None,
    verbose: Annotated[
        bool, output_option("--verbose", "-v", help="Show every step, even on a terminal.")
    ] = False,
    quiet: options.Quiet = False,
    _no_color: options.NoColor = False,
    _color: options.Color = None,
) -> None:
    """Find out why a run would fail, and what to do.

    It checks the config file, secrets, DNS, TLS, credentials and the clock.
    """
    # Imported here, so that --help and completion do not load it.
    from balcli.doctor import read_files, surroundings, unreadable

    chosen = options.TableOrJson.chosen(output)
    outputs = Outputs()
    settings = options.given(timeout=timeout, deadline=deadline)
    try:
        options.validate_faults(fault, sandbox=sandbox)
        named = options.outputs(output_file, options.TableOrJson, explicit=output is not None, mode=mode)
        outputs = named.without_files()
        named.check()
        outputs = named
        if sandbox:
            steps = [Step(None, "profile", "ok", "built-in sandbox profile; no file is read")]
            with options.open_profile(None, None, None, sandbox=True, faults=fault) as opened:
                diagnosis = _examined(opened, steps, accounts, settings, offline=offline, quiet=quiet)
        else:
            if deadline is not None:
                pipes.reader.stop_after(deadline)
            steps, found = read_files(
                config or default_file(),
                must_exist=config is not None,
                name=profile,
                env_file=env_file,
                environ=os.environ,
            )
            if isinstance(found, BalcliError):
                diagnosis = unreadable(profile, [*steps, *surroundings(os.environ, None)], found)
            else:
                deadline = deadline or found.request_settings.deadline
                diagnosis = _examined(found, steps, accounts, settings, offline=offline, quiet=quiet)
    except (UsageError, OutputError) as problem:
        diagnosis = unreadable(profile, [], problem)
    except ConfigError as problem:
        diagnosis = unreadable(profile, [Step.failed(None, "profile", problem)], problem)
    unwritten = outputs.write(
        chosen,
        lambda output, file: _rendered(diagnosis, output, file, verbose=verbose, offline=offline),
        # Keep the old file only if nothing was checked. A diagnosis with failures is still a diagnosis.
        keep_old=not diagnosis.steps,
        deadline=deadline,
    )
    in_table = bool(diagnosis.steps) and ("table", None) in outputs.all(chosen)
    if not (in_table and is_one_terminal()):
        _print_steps(diagnosis, quiet=quiet)
    raise typer.Exit(max(map(print_error, unwritten), default=diagnosis.exit_code))


def write_failure(error: BalcliError, line: CommandLine) -> None:
    """Write the document of a diagnosis that failed before it started."""
    if line.output == options.TableOrJson.json:
        from balcli.doctor import unreadable
        from balcli.render.steps import render_json

        write_stdout(render_json(unreadable(None, [], error)))


def _examined(
    profile: "Profile",
    steps: list[Step],
    accounts: list[str] | None,
    settings: Mapping[str, Any],
    *,
    offline: bool,
    quiet: bool,
) -> "Diagnosis":
    """The diagnosis of a profile: the given steps, then those of the environment and the accounts."""
    from balcli import doctor
    from balcli.http.timing import Deadline

    steps = [*steps, *doctor.surroundings(os.environ, profile)]
    run_settings = profile.request_settings._replace(**settings)
    with progress(quiet=quiet) as on_progress:
        diagnosis = doctor.examine(
            profile,
            accounts or [],
            run_settings,
            Deadline(run_settings.deadline),
            os.environ,
            offline=offline,
            on_progress=on_progress,
        )
    return diagnosis._replace(steps=(*steps, *diagnosis.steps))


def _rendered(
    diagnosis: "Diagnosis", output: str, file: "Path | None", *, verbose: bool, offline: bool
) -> str:
    from balcli.render import steps

    if output == options.TableOrJson.json:
        return steps.render_json(diagnosis)
    if not diagnosis.steps:
        return ""  # nothing was checked; the reason is on stderr
    view = terminal_view(file, verbose=verbose)
    return steps.render(diagnosis, view, colour=wants_colour(file), offline=offline)


def _print_steps(diagnosis: "Diagnosis", *, quiet: bool) -> None:
    """Print the failed steps on stderr, one line each, and the warnings unless quiet."""
    failed = [step for step in diagnosis.steps if step.status == "failed"]
    for step in failed:
        print_message(_sentence(step), step.account)
    if not failed:  # nothing was checked
        for failure in diagnosis.report.failures:
            print_message(failure.message)
    for step in diagnosis.steps if not quiet else ():
        if step.status == "warning":
            print_message(f"note: {_sentence(step)}", step.account)


def _sentence(step: Step) -> str:
    return f"{step.step}: {step.message}" + (f"; {step.cure}" if step.cure else "")
