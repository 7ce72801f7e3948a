"""The options that several commands take, each declared once, and the formats of `-o`."""

import os
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Final, Self

import typer

from balcli.cli import completion
from balcli.errors import UsageError
from balcli.settings import MOST_JOBS, MOST_RETRIES, MOST_SECONDS, parse_seconds
from balcli.text import printable

WHOSE: Final = "Which accounts"
LIMIT: Final = "The limit"
SHOWN: Final = "What is shown"
OUTPUT: Final = "Output"
NETWORK: Final = "Network"
RECORDED: Final = "Recorded runs"
HEADINGS: Final = (WHOSE, LIMIT, SHOWN, NETWORK, RECORDED, OUTPUT)
"""The headings of a command's options in its help, in this order."""


account_option = partial(typer.Option, rich_help_panel=WHOSE)
limit_option = partial(typer.Option, rich_help_panel=LIMIT)
shown_option = partial(typer.Option, rich_help_panel=SHOWN)
network_option = partial(typer.Option, rich_help_panel=NETWORK)
recording_option = partial(typer.Option, rich_help_panel=RECORDED)
output_option = partial(typer.Option, rich_help_panel=OUTPUT)


class Format(StrEnum):
    """What `-o` takes where balances are shown; `balcli.render` has the module of each."""

    table = "table"
    json = "json"
    jsonl = "jsonl"
    csv = "csv"
    prometheus = "prometheus"
    beancount = "beancount"
    hledger = "hledger"


class OtherFormat(StrEnum):
    """What `-o` takes elsewhere: each kind has a table."""

    @classmethod
    def chosen(cls, option: Self | None) -> Self:
        """The format of -o, else that of BALCLI_OUTPUT if it is one of these, else a table."""
        variable = os.environ.get("BALCLI_OUTPUT")
        return option or cls(variable if variable in set(cls) else "table")


class TableOrJson(OtherFormat):
    """What `-o` takes where there is one format for programs."""

    table = "table"
    json = "json"


def format_option(default: str) -> Any:
    """The option `-o` of a command that has this default."""
    return output_option("--output", "-o", metavar="FORMAT", help=f"The format [default: {default}].")


def _parsed(text: str, plain: str = "s") -> float:
    """The seconds of a time with or without a unit. Raises BadParameter."""
    try:
        return parse_seconds(text, plain)
    except ValueError as problem:
        raise typer.BadParameter(f"{printable(text, 40)} {problem}") from None


def _positive_seconds(text: str) -> float:
    value = _parsed(text)
    if not 0 < value <= MOST_SECONDS:  # also of NaN
        raise typer.BadParameter(f"{printable(text, 40)} is not above 0 and up to {MOST_SECONDS:g} seconds")
    return value


def _seconds(text: str) -> float:
    value = _parsed(text)
    if not 0 <= value <= MOST_SECONDS:
        raise typer.BadParameter(f"{printable(text, 40)} is not from 0 to {MOST_SECONDS:g} seconds")
    return value


def latency_seconds(text: str) -> float:
    """The seconds, at most a minute, of a time that is in milliseconds without a unit. Raises BadParameter."""
    value = _parsed(text, "ms")
    if not 0 <= value <= 60:
        raise typer.BadParameter(f"{printable(text, 40)} is not from 0 to 60 seconds")
    return value


def whole_seconds(text: str) -> int:
    """The whole seconds of a time, at least one. Raises BadParameter."""
    value = _parsed(text)
    if not 1 <= value <= MOST_SECONDS or value != int(value):
        raise typer.BadParameter(
            f"{printable(text, 40)} is not a whole number of seconds from 1 to {MOST_SECONDS:g}"
        )
    return int(value)


def _file_or_stdout(file: Path | None) -> Path | None:
    # As elsewhere, `-` is stdout; a file of that name is `./-`.
    return None if file is not None and str(file) == "-" else file


Accounts = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[ACCOUNT]...",
        help="Only these accounts of the profile.",
        rich_help_panel=WHOSE,
        show_default=False,
        autocompletion=completion.accounts,
    ),
]
ConfigFile = Annotated[
    Path | None,
    account_option("--config", "-c", metavar="FILE", envvar="BALCLI_CONFIG", help="Read this profile file."),
]
ProfileName = Annotated[
    str | None,
    account_option(
        "--profile",
        "-p",
        metavar="NAME",
        envvar="BALCLI_PROFILE",
        help="Use this profile of the file.",
        autocompletion=completion.profiles,
    ),
]
EnvFile = Annotated[
    Path | None,
    account_option("--env-file", metavar="FILE", help="Fill in ${NAME} from this, not the profile's .env."),
]
UseSandbox = Annotated[
    bool, account_option("--sandbox", help="Ask the built-in stand-in; no profile, no network.")
]
Faults = Annotated[
    list[str] | None,
    account_option(
        "--fault",
        metavar="NAME",
        help="With --sandbox: one of balcli sandbox --faults.",
        autocompletion=completion.faults,
    ),
]
OnlyAssets = Annotated[
    list[str] | None,
    shown_option("--asset", metavar="SYMBOL", help="Only these assets; repeat, or give a comma list."),
]
Exact = Annotated[bool, shown_option("--exact", help="Take each --asset in that spelling alone.")]
Timeout = Annotated[
    float | None,
    network_option(
        "--timeout", metavar="S", parser=_positive_seconds, help="Seconds for one request [default: 10]."
    ),
]
DeadlineSeconds = Annotated[
    float | None,
    network_option(
        "--deadline", metavar="S", parser=_positive_seconds, help="Seconds for the whole run [default: 30]."
    ),
]
Retries = Annotated[
    int | None,
    network_option(
        "--retries", metavar="N", min=0, max=MOST_RETRIES, help="Tries after the first [default: 3]."
    ),
]
Jobs = Annotated[
    int | None,
    network_option("--jobs", metavar="N", min=1, max=MOST_JOBS, help="Accounts asked at once [default: 8]."),
]
NoCache = Annotated[bool, network_option("--no-cache", help="Neither use nor keep a token table on disk.")]
Record = Annotated[bool, recording_option("--record", help="Keep the run in the history.")]
HistoryFile = Annotated[
    Path | None, recording_option("--history", metavar="FILE", help="Use this history, not your own.")
]
Wait = Annotated[
    float | None,
    recording_option(
        "--wait", metavar="S", parser=_seconds, help="Seconds to wait for another run [default: 0]."
    ),
]
TableOrJsonOption = Annotated[TableOrJson | None, format_option("table")]
OutputFile = Annotated[
    Path | None,
    output_option(
        "--output-file",
        "-O",
        metavar="FILE",
        callback=_file_or_stdout,
        help="Write into this file, whole or not at all.",
    ),
]
Quiet = Annotated[
    bool, output_option("--quiet", "-q", help="Say nothing but the data and why something failed.")
]
NoColor = Annotated[bool, output_option("--no-color", help="No colour, whatever the terminal.")]


def given(**options: Any) -> dict[str, Any]:
    """The options that have a value."""
    return {name: value for name, value in options.items() if value is not None}


def validate_faults(faults: list[str] | None, *, sandbox: bool) -> None:
    """Raise UsageError for a fault without a sandbox."""
    if faults and not sandbox:
        raise UsageError("--fault is for --sandbox alone; add --sandbox, or leave it out")


def validate_recording(*, record: bool, history: Path | None, wait: float | None) -> None:
    """Raise UsageError for an option of recording where nothing is recorded."""
    for name, value in (("--history", history), ("--wait", wait)):
        if value is not None and not record:
            raise UsageError(f"{name} is for --record alone; add --record, or leave it out")
