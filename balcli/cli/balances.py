"""The four commands that show balances: one for each provider, and `all`."""

import inspect
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from balcli.cli import keeping
from balcli.cli.commands import SHOWN, WHOSE
from balcli.cli.options import ACCOUNTS, AskingOptions, BalanceOptions, Format, RunOptions, with_options
from balcli.cli.output import (
    check_destination,
    print_error,
    print_exchange,
    print_problems,
    shows_progress,
    terminal_columns,
    wants_colour,
    write_output,
    write_stdout,
)
from balcli.errors import BalcliError, ConfigFileError, StateError, UsageError
from balcli.providers import PLUGIN_NOTICES, PROVIDERS

if TYPE_CHECKING:
    from balcli.collect import Tell
    from balcli.config.profile import Profile
    from balcli.evidence.record import Recorder
    from balcli.http.door import Asks, Exchange
    from balcli.models import Report
    from balcli.providers.base import Flag, Key, Provider


def register(app: typer.Typer, name: str, about: str) -> None:
    """Add `all`, or the command of a provider, made from what the provider declares."""
    app.command(name, help=about)(_command(PROVIDERS.get(name)))


def _command(provider: "Provider | None") -> Callable[..., None]:
    """The function behind a balance command; None is `all`."""
    own = [] if provider is None else [*_target_options(provider), *_flag_options(provider)]

    def command(options: BalanceOptions, accounts: list[str] | None, **chosen: Any) -> None:
        keys = {key.name: key for key in provider.KEYS} if provider else {}
        targets = {
            name: tuple(value) if isinstance(value, list) else (value,)
            for name, value in chosen.items()
            if name in keys and value not in (None, [])
        }
        given = [flag for flag in (provider.FLAGS if provider else ()) if chosen[_parameter(flag)]]
        name = provider.NAME if provider else None
        if options.watch is not None:
            raise typer.Exit(_watch(name, options, options.watch, accounts or [], targets, given))
        raise typer.Exit(run(name, options, accounts or [], targets, given))

    return with_options(command, BalanceOptions, [ACCOUNTS], own)


def _target_options(provider: "Provider") -> list[inspect.Parameter]:
    def annotation(key: "Key") -> Any:
        kind = list[str] | None if key.repeatable else str | None
        metavar = "N" if key.kind == "integer" else "0x…" if key.name == "address" else "ID"
        again = "; repeat for several" if key.repeatable else ""
        about = f"For one run: {key.help}{again}."
        return Annotated[
            kind,
            typer.Option(
                key.option or "", metavar=metavar, help=about, rich_help_panel=WHOSE, show_default=False
            ),
        ]

    return [
        inspect.Parameter(key.name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation(key))
        for key in provider.KEYS
        if key.option
    ]


def _flag_options(provider: "Provider") -> list[inspect.Parameter]:
    return [
        inspect.Parameter(
            _parameter(flag),
            inspect.Parameter.KEYWORD_ONLY,
            default=False,
            annotation=Annotated[bool, typer.Option(f"--{flag.name}", help=flag.help, rich_help_panel=SHOWN)],
        )
        for flag in provider.FLAGS
    ]


def _parameter(flag: "Flag") -> str:
    return flag.name.replace("-", "_")


def _watch(
    provider: str | None,
    options: BalanceOptions,
    every: int,
    names: list[str],
    targets: dict[str, tuple[str, ...]],
    given: list["Flag"],
) -> int:
    """Look again and again; the worst exit code of all looks."""
    from balcli.cli import watching

    watching.refuse_what_does_not_go_together(options)
    _refuse_what_does_not_go_together(options, targets, given)
    assets, flags = options.assets(), frozenset(flag.name for flag in given)
    observe = print_exchange if options.verbose else None
    with profile_of(options) as profile:

        def ask() -> "tuple[Report, Report]":
            whole = report_of(
                profile, options, provider, names, targets, assets=assets, flags=flags, observe=observe
            )
            return _arranged(whole, options), whole

        colour = wants_colour(os.environ, no_color=options.no_color)
        return watching.watch(every, ask, options, colour=colour)


def _arranged(whole: "Report", options: BalanceOptions) -> "Report":
    """The report as the options want it shown."""
    from balcli import report as reports

    report = reports.without_zeros(whole) if options.nonzero else whole
    return reports.arranged(report, options.sort, totals_only=options.totals_only)


def run(
    provider: str | None,
    options: BalanceOptions,
    names: list[str],
    targets: dict[str, tuple[str, ...]],
    given: list["Flag"],
) -> int:
    """Collect, write and report; the exit code. A failure before any request still makes a document."""
    # Imported here: what a run needs is no matter for --help and completion.
    from balcli import report as reports

    profile_name: str | None = options.profile
    trouble: StateError | None = None
    recorder: Recorder | None = None
    flags = frozenset(flag.name for flag in given)
    with ExitStack() as held:
        try:
            _refuse_what_does_not_go_together(options, targets, given)
            check_destination(options.output_file)
            recorder = keeping.recorder(options)
            assets = options.assets()
            with profile_of(options) as profile:
                profile_name = profile.name
                trouble = held.enter_context(keeping.locked(options, profile.name))
                whole = report_of(
                    profile,
                    options,
                    provider,
                    names,
                    targets,
                    assets=assets,
                    flags=flags,
                    observe=print_exchange if options.verbose else None,
                    recorder=recorder,
                )
            asked_all = not (provider or names or targets)
            trouble = keeping.keep(whole, options, trouble, whole=asked_all, assets=assets, flags=flags)
            report = _arranged(whole, options)
        except BalcliError as problem:
            trouble = None  # there is no run that could have been kept
            report = reports.failed(profile_name, problem)
        unkept = keeping.keep_evidence(recorder, report, options, flags, trouble)
        text = rendered(keeping.marked(report, trouble), options, addresses="addresses" in flags)
        # Of a run that failed wholly, an older file is worth more.
        unwritten = write_output(text, options.output_file if report.answered else None)
    print_problems(report, quiet=options.quiet, in_table=is_table(options))
    codes = [print_error(problem) for problem in (trouble, unkept, unwritten) if problem is not None]
    return codes[0] if codes and report.answered else report.exit_code


def write_failure(error: BalcliError, output: str, _arguments: list[str]) -> None:
    """Write the document of a run that failed before it began, in a format for programs."""
    if output in set(Format) - {Format.table}:
        from balcli.render import machine
        from balcli.report import failed

        write_stdout(machine(output, failed(None, error)))


def report_of(
    profile: "Profile",
    options: AskingOptions,
    provider: str | None,
    names: list[str],
    targets: Mapping[str, tuple[str, ...]],
    *,
    assets: tuple[str, ...] = (),
    flags: frozenset[str] = frozenset(),
    limited: Sequence[tuple[str | None, str]] = (),
    observe: "Callable[[Exchange], None] | None" = None,
    recorder: "Recorder | None" = None,
) -> "Report":
    """What the profile's accounts answer, one provider's or all, all of them or those named. Raises BalcliErrors.

    Both are told of each try of a request, a `recorder` with its answer. `limited` is as `collect` has it.
    """
    from balcli import report as reports
    from balcli.cache import default_cache
    from balcli.collect import collect, open_door
    from balcli.config.accounts import opened
    from balcli.config.profile import refuse_bad_bundle
    from balcli.http.timing import Deadline

    limits = options.limits(profile.limits)
    deadline = Deadline(limits.deadline)
    refuse_bad_bundle(profile)
    notices = (*PLUGIN_NOTICES, *profile.notices)
    found = opened(profile, provider, names, targets, deadline)
    chosen = [each.account for each in found if each.account is not None]
    if recorder is None:
        door: Asks = open_door(chosen, limits, deadline, observe)
    else:
        door = recorder.door(found, notices, limits, deadline, observe)
    # What is not asked for cannot be told again: with a recorder, a kept token table is not used.
    uncached = options.sandbox or options.no_cache or recorder is not None
    # --watch has the screen for itself, and -v its lines.
    quiet = observe is not None or getattr(options, "watch", None) is not None
    with progress(options, quiet=quiet) as tell:
        outcomes = collect(
            chosen,
            limits,
            deadline,
            assets=assets,
            flags=flags,
            limited=limited,
            cache=None if uncached else default_cache(os.environ),
            door=door,
            tell=tell,
        )
    return reports.build(profile.name, outcomes, notices)


def progress(options: RunOptions, *, quiet: bool = False) -> "AbstractContextManager[Tell | None]":
    """A context with what tells on a terminal who is waited for; with None where nobody is to be told."""
    if quiet or options.quiet or not shows_progress(os.environ):
        return nullcontext()
    from balcli.cli.progress import Progress

    return Progress()


def _refuse_what_does_not_go_together(
    options: BalanceOptions, targets: dict[str, tuple[str, ...]], given: list["Flag"]
) -> None:
    """Raise UsageError for options that cannot be meant together."""
    for flag in given:
        if not targets.keys().isdisjoint(flag.excludes):
            raise UsageError(f"--{flag.name} stands for all of them; leave out the option that names one")
    options.refuse_stray_fault()
    keeping.refuse_what_does_not_go_together(options)


def is_table(options: BalanceOptions) -> bool:
    """Whether stdout gets a table."""
    return options.output is Format.table and options.output_file is None


def rendered(report: "Report", options: BalanceOptions, *, addresses: bool) -> Iterable[str]:
    """The report in the format that is asked for, in one piece or more."""
    if options.output is not Format.table:
        from balcli.render import machine

        return machine(options.output, report)
    if report.failures:
        return ()  # there is nothing to show a person but the reason, which stderr has
    from balcli.render import table

    colour = wants_colour(os.environ, no_color=options.no_color, file=options.output_file)
    columns = terminal_columns(options.output_file)
    return (table.render(report, columns=columns, colour=colour, addresses=addresses),)


def profile_of(options: RunOptions) -> "AbstractContextManager[Profile]":
    """A context with the profile of the run: the sandbox's, for as long as it serves, or the user's."""
    if options.sandbox:
        from balcli.cli.sandbox import sandbox_profile

        return sandbox_profile(options)
    from balcli.config.profile import load

    return nullcontext(
        load(
            options.config or default_file(),
            must_exist=options.config is not None,
            name=options.profile,
            env_file=options.env_file,
            environ=os.environ,
        )
    )


def default_file() -> Path:
    """Where the profile file is by default. Raises ConfigFileError where the home directory is no fixed place."""
    folder = Path(typer.get_app_dir("balcli"))
    # An empty HOME would stand for the root.
    homeless = os.environ.get("HOME") == "" and not os.environ.get("XDG_CONFIG_HOME")
    if homeless or not folder.is_absolute():
        raise ConfigFileError(
            "there is no place for the profile file: HOME or XDG_CONFIG_HOME is no absolute path; set it to one, or name "
            "the file with --config"
        )
    return folder / "config.toml"
