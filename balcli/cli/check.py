"""`balcli check`: check balances against limits, with the output and exit codes of monitoring plugins."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Final

import typer

from balcli.cli import completion, options
from balcli.cli.app import Command, CommandLine
from balcli.cli.options import limit_option
from balcli.cli.output import (
    is_terminal,
    print_error,
    print_message,
    problems_of,
    progress,
    wants_colour,
    write_stdout,
)
from balcli.errors import BalcliError, KeyProblem, OutputError, UsageError
from balcli.text import printable

if TYPE_CHECKING:
    from balcli.config.profile import Profile
    from balcli.thresholds import Threshold, Value, Verdict

UNDECIDED: Final = 3
"""The exit code of the state UNKNOWN."""

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command(cls=Command)
def check(
    output: options.TableOrJsonOption = None,
    asset: Annotated[
        list[str] | None,
        limit_option(
            "--asset", metavar="SYMBOL", help="Check one limit on this asset instead of the profile's limits."
        ),
    ] = None,
    exact: Annotated[bool, limit_option("--exact", help="Match the case of the asset exactly.")] = False,
    field: Annotated[
        list[str] | None,
        limit_option(
            "--field",
            metavar="FIELD",
            help="Check available, total or locked [default: available].",
            autocompletion=completion.fields,
        ),
    ] = None,
    account: Annotated[
        list[str] | None,
        limit_option(
            "--account",
            metavar="ACCOUNT",
            help="Check this account, not the total over all accounts.",
            autocompletion=completion.accounts,
        ),
    ] = None,
    warn: Annotated[
        list[str] | None,
        limit_option("--warn", metavar="RANGE", help="WARNING outside this range: 10, 10:, '~:10', 10:20."),
    ] = None,
    crit: Annotated[
        list[str] | None,
        limit_option("--crit", metavar="RANGE", help="CRITICAL outside this range (@10:20: inside it)."),
    ] = None,
    absent: Annotated[
        list[str] | None,
        limit_option(
            "--absent", metavar="zero", help="Treat an asset that no account lists as 0, not UNKNOWN."
        ),
    ] = None,
    record: options.Record = False,
    history: options.HistoryFile = None,
    wait: options.Wait = None,
    retries: options.Retries = None,
    jobs: options.Jobs = None,
    no_cache: options.NoCache = False,
    config: options.ConfigFile = None,
    profile: options.ProfileName = None,
    env_file: options.EnvFile = None,
    timeout: options.Timeout = None,
    deadline: options.DeadlineSeconds = None,
    sandbox: options.UseSandbox = False,
    fault: options.Faults = None,
    quiet: options.Quiet = False,
    _no_color: options.NoColor = False,
    _color: options.Color = None,
) -> None:
    """Check balances against limits, as a monitoring plugin.

    It prints one status line. Exit codes: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN.
    """
    # Imported here, so that --help and completion do not load it.
    from balcli.render.verdict import plain
    from balcli.report import failed
    from balcli.run import RunRequest, run
    from balcli.thresholds import evaluate, named_accounts, watched_assets

    request = RunRequest(
        settings=options.given(timeout=timeout, deadline=deadline, retries=retries, jobs=jobs),
        sandbox=sandbox,
        cache=not no_cache,
        record=record,
        history=history,
        wait=wait,
    )
    thresholds: tuple[Threshold, ...] = ()
    try:
        options.validate_options(request, fault)
        texts = {
            "asset": asset,
            "field": field,
            "account": account,
            "warn": warn,
            "crit": crit,
            "absent": absent,
        }
        given = _given(texts, exact=exact)
        with options.open_profile(
            config, profile, env_file, sandbox=sandbox, faults=fault, deadline=deadline
        ) as opened:
            profile = opened.name
            thresholds = _thresholds_of(opened) if given is None else (given,)
            request = request._replace(
                accounts=named_accounts(thresholds), thresholds=watched_assets(thresholds)
            )
            report = run(opened, request, progress=progress(quiet=quiet)).document
    except BalcliError as problem:
        report = failed(profile, problem)
    verdict = evaluate(report, thresholds)
    as_json = options.TableOrJson.chosen(output) is options.TableOrJson.json
    try:
        _write(verdict, as_json=as_json, colour=wants_colour())
    except OutputError as problem:
        print_error(problem)
        raise typer.Exit(UNDECIDED) from None
    # After the status line and without `|`, because some engines read both streams as one.
    for text, name in problems_of(verdict.report, quiet=quiet):
        print_message(plain(text), None if name is None else plain(name))
    raise typer.Exit(int(verdict.state))


def _thresholds_of(profile: "Profile") -> "tuple[Threshold, ...]":
    """The valid limits of a profile. Raises KeyProblem if it has none and no other problem."""
    thresholds = tuple(entry.threshold for entry in profile.thresholds if entry.threshold is not None)
    if not thresholds and not profile.problems:
        raise KeyProblem(
            profile.located(
                f"has no limits; add [[profiles.{printable(profile.name or 'main', 40)}.limits]], "
                "or give --asset with --warn or --crit"
            )
        )
    return thresholds


def write_failure(error: BalcliError, line: CommandLine) -> None:
    """Write the state UNKNOWN of a check that failed before it started."""
    from balcli.report import failed
    from balcli.thresholds import evaluate

    _write(evaluate(failed(None, error), ()), as_json=line.output == options.TableOrJson.json, colour=False)


def _write(verdict: "Verdict", *, as_json: bool, colour: bool) -> None:
    from balcli.render.verdict import render, render_json

    text = render_json(verdict) if as_json else render(verdict, colour=colour, terminal=is_terminal())
    write_stdout(text)


def _given(options: Mapping[str, list[str] | None], *, exact: bool) -> "Threshold | None":
    """The limit of the command line, or None. Raises UsageError if it is incomplete or given twice."""
    from balcli.thresholds import make_threshold, missing_key, parse_value

    values: dict[str, Value] = {"exact": True} if exact else {}
    for key, given in options.items():
        texts = given or []
        if len(texts) > 1:
            raise UsageError(f"--{key} is given twice; use it once, or add several limits to the profile")
        try:
            for text in texts:
                values[key] = parse_value(key, text)
        except ValueError as problem:
            raise UsageError(f"--{key}: {problem}") from None
    lacking = missing_key(values)
    if values and lacking is not None:
        raise UsageError(f"--{lacking[0]}: {lacking[1]}")
    return make_threshold(values) if values else None
