"""The options that commands share, declared once, and the way to give a command's function its own."""

import inspect
import os
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final, TypeAlias

import typer

from balcli.cli import completion
from balcli.cli.commands import KEPT, NETWORK, OUTPUT, SHOWN, WHOSE
from balcli.errors import UsageError
from balcli.settings import MOST_JOBS, MOST_RETRIES, MOST_SECONDS, Order, RequestSettings


class Format(StrEnum):
    """What `-o` takes where balances are shown; all but the table are modules of `balcli.render` by that name."""

    table = "table"
    json = "json"
    jsonl = "jsonl"
    csv = "csv"
    prometheus = "prometheus"
    beancount = "beancount"
    hledger = "hledger"


class TableOrJson(StrEnum):
    """What `-o` takes elsewhere."""

    table = "table"
    json = "json"

    @classmethod
    def chosen(cls, option: "TableOrJson | None") -> "TableOrJson":
        """The format of -o, else that of BALCLI_OUTPUT where it is one of the two, else a table."""
        variable = os.environ.get("BALCLI_OUTPUT")
        return option or (cls(variable) if variable in set(cls) else cls.table)


def format_option(default: str) -> Any:
    """The option `-o` of a command whose output is in this format without it."""
    return typer.Option(
        "--output",
        "-o",
        metavar="FORMAT",
        help=f"The format [default: {default}].",
        rich_help_panel=OUTPUT,
        show_default=False,
    )


TableOrJsonOption: TypeAlias = Annotated[TableOrJson | None, format_option("table")]
Quiet: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--quiet", "-q", help="Say nothing but the data and why something failed.", rich_help_panel=OUTPUT
    ),
]
NoColor: TypeAlias = Annotated[
    bool, typer.Option("--no-color", help="No colour, whatever the terminal.", rich_help_panel=OUTPUT)
]
Exact: TypeAlias = Annotated[
    bool,
    typer.Option("--exact", help="Take each --asset in that spelling alone.", rich_help_panel=SHOWN),
]
OnlyAssets: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--asset",
        metavar="SYMBOL",
        help="Only these assets; repeat, or give a comma list.",
        rich_help_panel=SHOWN,
    ),
]


def _seconds(value: float | None) -> float | None:
    # Not a range of the option's type: to that, NaN is inside any range.
    if value is not None and not 0 < value <= MOST_SECONDS:
        raise typer.BadParameter(f"{value:g} is not above 0 and up to {MOST_SECONDS:g} seconds")
    return value


def _waiting(value: float | None) -> float | None:
    if value is not None and not 0 <= value <= MOST_SECONDS:
        raise typer.BadParameter(f"{value:g} is not from 0 to {MOST_SECONDS:g} seconds")
    return value


def _destination(file: Path | None) -> Path | None:
    # As elsewhere, `-` is stdout; a file of that name is `./-`.
    return None if file is not None and str(file) == "-" else file


OutputFile: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--output-file",
        "-O",
        metavar="FILE",
        callback=_destination,
        help="Write into this file, whole or not at all.",
        rich_help_panel=OUTPUT,
        show_default=False,
    ),
]
HistoryFile: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--history",
        metavar="FILE",
        help="Use this history, not your own.",
        rich_help_panel=KEPT,
        show_default=False,
    ),
]
Wait: TypeAlias = Annotated[
    float | None,
    typer.Option(
        "--wait",
        metavar="S",
        callback=_waiting,
        help="Seconds to wait for another run [default: 0].",
        rich_help_panel=KEPT,
    ),
]
ConfigFile: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--config",
        "-c",
        metavar="FILE",
        envvar="BALCLI_CONFIG",
        help="Read this profile file.",
        rich_help_panel=WHOSE,
        show_default=False,
    ),
]
ProfileName: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--profile",
        "-p",
        metavar="NAME",
        envvar="BALCLI_PROFILE",
        help="Use this profile of the file.",
        rich_help_panel=WHOSE,
        autocompletion=completion.profiles,
    ),
]
EnvFile: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--env-file",
        metavar="FILE",
        help="Fill in ${NAME} from this, not the profile's .env.",
        rich_help_panel=WHOSE,
    ),
]


class RunOptions:
    """The options of the commands that ask providers.

    Typer is told each by its name, annotation and default, and the help by its panel what it stands under. A plain
    class, because a dataclass of thirty options takes longer to make than the command line takes to be read.
    """

    def __init__(self, **given: Any) -> None:
        self.__dict__.update(given)

    config: ConfigFile = None
    profile: ProfileName = None
    env_file: EnvFile = None
    timeout: Annotated[
        float | None,
        typer.Option(
            "--timeout",
            metavar="S",
            callback=_seconds,
            help="Seconds for one request [default: 10].",
            rich_help_panel=NETWORK,
        ),
    ] = None
    deadline: Annotated[
        float | None,
        typer.Option(
            "--deadline",
            metavar="S",
            callback=_seconds,
            help="Seconds for the whole run [default: 30].",
            rich_help_panel=NETWORK,
        ),
    ] = None
    sandbox: Annotated[
        bool,
        typer.Option(
            "--sandbox", help="Ask the built-in stand-in; no profile, no network.", rich_help_panel=WHOSE
        ),
    ] = False
    fault: Annotated[
        list[str] | None,
        typer.Option(
            "--fault",
            metavar="NAME",
            help="With --sandbox: one of balcli sandbox --faults.",
            rich_help_panel=WHOSE,
            autocompletion=completion.faults,
        ),
    ] = None
    quiet: Quiet = False
    no_color: NoColor = False

    def limits(self, profile: RequestSettings) -> RequestSettings:
        """The profile's limits with the command line's in their place."""
        return profile._replace(
            timeout=profile.timeout if self.timeout is None else self.timeout,
            deadline=profile.deadline if self.deadline is None else self.deadline,
        )

    def refuse_stray_fault(self) -> None:
        """Raise UsageError for a fault that no sandbox could play."""
        if self.fault and not self.sandbox:
            raise UsageError("--fault is for --sandbox alone; add --sandbox, or leave it out")


class AskingOptions(RunOptions):
    """The options of the commands that ask for balances."""

    retries: Annotated[
        int | None,
        typer.Option(
            "--retries",
            metavar="N",
            min=0,
            max=MOST_RETRIES,
            help="Tries after the first [default: 2].",
            rich_help_panel=NETWORK,
        ),
    ] = None
    jobs: Annotated[
        int | None,
        typer.Option(
            "--jobs",
            metavar="N",
            min=1,
            max=MOST_JOBS,
            help="Accounts asked at once [default: 8].",
            rich_help_panel=NETWORK,
        ),
    ] = None
    no_cache: Annotated[
        bool,
        typer.Option(
            "--no-cache", help="Neither use nor keep a token table on disk.", rich_help_panel=NETWORK
        ),
    ] = False

    def limits(self, profile: RequestSettings) -> RequestSettings:
        """The profile's limits with the command line's in their place."""
        return RunOptions.limits(self, profile)._replace(
            retries=profile.retries if self.retries is None else self.retries,
            jobs=profile.jobs if self.jobs is None else self.jobs,
        )


class RecordingOptions(AskingOptions):
    """The options of the commands whose runs can be recorded."""

    record: Annotated[
        bool, typer.Option("--record", help="Keep the run in the history.", rich_help_panel=KEPT)
    ] = False
    history: HistoryFile = None
    wait: Wait = None


class BalanceOptions(RecordingOptions):
    """The options of the commands that show balances."""

    output: Annotated[
        Format,
        typer.Option(
            "--output",
            "-o",
            envvar="BALCLI_OUTPUT",
            metavar="FORMAT",
            help="The format.",
            rich_help_panel=OUTPUT,
        ),
    ] = Format.table
    output_file: OutputFile = None
    asset: OnlyAssets = None
    exact: Exact = False
    nonzero: Annotated[
        bool,
        typer.Option("--nonzero", help="Hide rows whose every amount is exactly 0.", rich_help_panel=SHOWN),
    ] = False
    sort: Annotated[
        Order | None,
        typer.Option("--sort", metavar="KEY", help="The order of the rows.", rich_help_panel=SHOWN),
    ] = None
    totals_only: Annotated[
        bool,
        typer.Option(
            "--totals-only", help="Only the totals by asset, and what failed.", rich_help_panel=SHOWN
        ),
    ] = False
    watch: Annotated[
        int | None,
        typer.Option(
            "--watch",
            metavar="S",
            min=1,
            max=int(MOST_SECONDS),
            help="Look again every S seconds, until Ctrl-C.",
            rich_help_panel=OUTPUT,
        ),
    ] = None
    verbose: Annotated[
        bool,
        typer.Option(
            "--verbose",
            "-v",
            help="Tell each request on stderr: sizes, times, no value.",
            rich_help_panel=OUTPUT,
        ),
    ] = False
    evidence: Annotated[
        Path | None,
        typer.Option(
            "--evidence",
            metavar="DIR",
            help="Keep all answers, without secrets, for balcli replay.",
            rich_help_panel=KEPT,
            show_default=False,
        ),
    ] = None

    def assets(self) -> tuple[str, ...]:
        """What `--asset` and `--exact` name. Raises UsageError."""
        from balcli.providers.selection import (
            wanted,
        )  # here: a start that filters nothing does without the models

        return wanted(self.asset, exact=self.exact)


ACCOUNTS: Final = inspect.Parameter(
    "accounts",
    inspect.Parameter.KEYWORD_ONLY,
    default=None,
    annotation=Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[ACCOUNT]...",
            help="Only these accounts of the profile.",
            rich_help_panel=WHOSE,
            show_default=False,
            autocompletion=completion.accounts,
        ),
    ],
)
"""The accounts that a command names."""


def with_options(
    command: Callable[..., None],
    options: type[RunOptions],
    first: list[inspect.Parameter],
    last: list[inspect.Parameter],
) -> Callable[..., None]:
    """The command as Typer sees it: its own parameters around those of a class of options.

    Typer reads a function's signature; this builds one, so that no option is declared twice.
    """
    hints = {name: hint for kind in options.__mro__ for name, hint in inspect.get_annotations(kind).items()}
    shared = [
        inspect.Parameter(
            name, inspect.Parameter.KEYWORD_ONLY, default=getattr(options, name), annotation=hint
        )
        for name, hint in hints.items()
    ]
    parameters = [*first, *last, *shared]

    def run(**values: Any) -> None:
        given = options(**{name: values.pop(name) for name in hints})
        command(given, **values)

    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    run.__doc__ = command.__doc__
    return run
