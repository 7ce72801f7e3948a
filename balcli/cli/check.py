"""`balcli check`: balances held against limits, in the words and exit codes of monitoring plugins."""

import os
from typing import TYPE_CHECKING, Annotated

import typer

from balcli.cli import completion, keeping
from balcli.cli.balances import profile_of, report_of
from balcli.cli.commands import LIMIT, UNDECIDED
from balcli.cli.options import RecordingOptions, TableOrJson, TableOrJsonOption, with_options
from balcli.cli.output import print_error, print_message, problems_of, wants_colour, write_stdout
from balcli.errors import BalcliError, KeyProblem, OutputError, UsageError
from balcli.text import printable

if TYPE_CHECKING:
    from balcli.limits import Limit, Value, Verdict


class CheckOptions(RecordingOptions):
    """The options of the check. Those of the limit are lists, so that one given twice does not go unseen."""

    output: TableOrJsonOption = None
    asset: Annotated[
        list[str] | None,
        typer.Option(
            "--asset",
            metavar="SYMBOL",
            help="One limit, not the profile's: on this asset.",
            rich_help_panel=LIMIT,
        ),
    ] = None
    exact: Annotated[
        bool, typer.Option("--exact", help="Take that spelling alone, not other case.", rich_help_panel=LIMIT)
    ] = False
    field: Annotated[
        list[str] | None,
        typer.Option(
            "--field",
            metavar="FIELD",
            help="Its available, total or locked [default: available].",
            rich_help_panel=LIMIT,
            autocompletion=completion.fields,
        ),
    ] = None
    account: Annotated[
        list[str] | None,
        typer.Option(
            "--account",
            metavar="ACCOUNT",
            help="In this account; without it, the total over all.",
            rich_help_panel=LIMIT,
            autocompletion=completion.accounts,
        ),
    ] = None
    warn: Annotated[
        list[str] | None,
        typer.Option(
            "--warn",
            metavar="RANGE",
            help="WARNING outside this range: 10, 10:, '~:10', 10:20.",
            rich_help_panel=LIMIT,
        ),
    ] = None
    crit: Annotated[
        list[str] | None,
        typer.Option(
            "--crit",
            metavar="RANGE",
            help="CRITICAL outside this range; @10:20: inside it.",
            rich_help_panel=LIMIT,
        ),
    ] = None
    absent: Annotated[
        list[str] | None,
        typer.Option(
            "--absent",
            metavar="zero",
            help="Take an asset that no account lists as 0, not UNKNOWN.",
            rich_help_panel=LIMIT,
        ),
    ] = None


def register(app: typer.Typer, name: str, about: str) -> None:
    """Add the command."""
    app.command(name, help=about)(with_options(_check, CheckOptions, [], []))


def _check(options: CheckOptions) -> None:
    raise typer.Exit(run(options))


def run(options: CheckOptions) -> int:
    """Ask, decide, write and report; the exit code of the state."""
    from balcli.render.verdict import plain

    verdict = _verdict(options)
    as_json = TableOrJson.chosen(options.output) is TableOrJson.json
    colour = wants_colour(os.environ, no_color=options.no_color)
    try:
        _write(verdict, as_json=as_json, colour=colour)
    except OutputError as problem:
        print_error(problem)
        return UNDECIDED
    # After the status line, and without a bar: some engines read both streams as one.
    for text, account in problems_of(verdict.report, quiet=options.quiet):
        print_message(plain(text), None if account is None else plain(account))
    return int(verdict.state)


def write_failure(error: BalcliError, output: str, _arguments: list[str]) -> None:
    """Write what kept a check from its beginning, as any other state that is UNKNOWN."""
    from balcli.limits import decide
    from balcli.report import failed

    _write(decide(failed(None, error), ()), as_json=output == TableOrJson.json, colour=False)


def _write(verdict: "Verdict", *, as_json: bool, colour: bool) -> None:
    from balcli.render.verdict import render, render_json

    write_stdout(render_json(verdict) if as_json else render(verdict, colour=colour))


def _verdict(options: CheckOptions) -> "Verdict":
    """What the limits of the options or of the profile come to; every failure leaves them undecided."""
    from balcli import report as reports
    from balcli.limits import accounts_of, decide, limited

    name = options.profile
    limits: tuple[Limit, ...] = ()
    try:
        options.refuse_stray_fault()
        keeping.refuse_what_does_not_go_together(options)
        given = _given(options)
        with profile_of(options) as profile:
            name = profile.name
            held = tuple(entry.limit for entry in profile.held if entry.limit is not None)
            limits = held if given is None else (given,)
            if not limits:
                raise KeyProblem(
                    f"{profile.place} has no limits; add [[profiles.{printable(name or 'main', 40)}.limits]], "
                    "or give --asset with --warn or --crit"
                )
            names = accounts_of(limits)
            with keeping.locked(options, profile.name) as trouble:
                report = report_of(profile, options, None, names, {}, limited=limited(limits))
                unkept = keeping.keep(report, options, trouble, whole=not names)
            report = keeping.marked(report, unkept)
    except BalcliError as problem:
        report = reports.failed(name, problem)
    return decide(report, limits)


def _given(options: CheckOptions) -> "Limit | None":
    """The limit that the command line makes, None where it makes none. Raises UsageError for half of one, or two."""
    from balcli.limits import KEYS, gap, limit_of, read

    values: dict[str, Value] = {"exact": True} if options.exact else {}
    for key in KEYS:
        if key == "exact":
            continue
        texts: list[str] = getattr(options, key) or []
        if len(texts) > 1:
            raise UsageError(
                f"--{key} is given twice, and options make one limit; write several in the profile"
            )
        try:
            for text in texts:
                values[key] = read(key, text)
        except ValueError as problem:
            raise UsageError(f"--{key}: {problem}") from None
    lacking = gap(values)
    if values and lacking is not None:
        raise UsageError(f"--{lacking[0]}: {lacking[1]}")
    return limit_of(values) if values else None
