"""The options that several commands take, each declared once, and the formats of `-o`."""

import os
from collections.abc import Callable
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Self

import typer

from balcli.cli import completion
from balcli.errors import UsageError
from balcli.settings import MOST_JOBS, MOST_RETRIES, MOST_SECONDS

if TYPE_CHECKING:
    from balcli.render.value import ValueRequest

WHOSE: Final = "Which accounts"
LIMIT: Final = "The limit"
SHOWN: Final = "What is shown"
OUTPUT: Final = "Output"
NETWORK: Final = "Network"
RECORDED: Final = "Recorded runs"
HEADINGS: Final = (WHOSE, LIMIT, SHOWN, NETWORK, RECORDED, OUTPUT)
"""The headings of a command's options in its help, in this order."""


def _options_of(heading: str) -> Callable[..., Any]:
    """What makes the options under a heading, with the arguments of `typer.Option`."""
    return partial(typer.Option, rich_help_panel=heading)


account_option = _options_of(WHOSE)
limit_option = _options_of(LIMIT)
shown_option = _options_of(SHOWN)
network_option = _options_of(NETWORK)
recording_option = _options_of(RECORDED)
output_option = _options_of(OUTPUT)


class Format(StrEnum):
    """What `-o` takes where balances are shown; `balcli.render` has the module of each."""

    table = "table"
    json = "json"
    jsonl = "jsonl"
    csv = "csv"
    prometheus = "prometheus"
    beancount = "beancount"
    hledger = "hledger"
    value = "value"


REPORTS: Final = tuple(form for form in Format if form is not Format.value)
"""The formats that show a whole report."""


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


def _positive_seconds(value: float | None) -> float | None:
    # Not a range of the option's type: to that, NaN is inside any range.
    if value is not None and not 0 < value <= MOST_SECONDS:
        raise typer.BadParameter(f"{value:g} is not above 0 and up to {MOST_SECONDS:g} seconds")
    return value


def _seconds(value: float | None) -> float | None:
    if value is not None and not 0 <= value <= MOST_SECONDS:
        raise typer.BadParameter(f"{value:g} is not from 0 to {MOST_SECONDS:g} seconds")
    return value


def _one_of(*words: str) -> Callable[[str | None], str | None]:
    """A callback that takes one of these words."""

    def check(value: str | None) -> str | None:
        if value is not None and value not in words:
            raise typer.BadParameter(f"{value!r} is not {' or '.join(words)}")
        return value

    return check


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
ValueField = Annotated[
    str | None,
    output_option(
        "--field",
        metavar="FIELD",
        callback=_one_of("total", "available", "locked"),
        help="With -o value: total (default), available or locked.",
        autocompletion=completion.fields,
    ),
]
ValueAbsent = Annotated[
    str | None,
    output_option(
        "--absent", metavar="zero", callback=_one_of("zero"), help="With -o value: 0 if no account lists it."
    ),
]
Timeout = Annotated[
    float | None,
    network_option(
        "--timeout", metavar="S", callback=_positive_seconds, help="Seconds for one request [default: 10]."
    ),
]
DeadlineSeconds = Annotated[
    float | None,
    network_option(
        "--deadline", metavar="S", callback=_positive_seconds, help="Seconds for the whole run [default: 30]."
    ),
]
Retries = Annotated[
    int | None,
    network_option(
        "--retries", metavar="N", min=0, max=MOST_RETRIES, help="Tries after the first [default: 2]."
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
        "--wait", metavar="S", callback=_seconds, help="Seconds to wait for another run [default: 0]."
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


def value_request(
    output: Format, assets: tuple[str, ...], field: str | None, absent: str | None
) -> "ValueRequest | None":
    """What `-o value` prints; None for another format. Raises UsageError unless exactly one asset is named."""
    if output is not Format.value:
        for name, given in (("--field", field), ("--absent", absent)):
            if given is not None:
                raise UsageError(f"{name} is for -o value alone; add -o value, or leave it out")
        return None
    if len(assets) != 1:
        raise UsageError("-o value prints one amount of one asset; name it with --asset")
    from balcli.render.value import ValueRequest  # here, because few runs print one

    return ValueRequest(assets[0], field or "total", absent is not None)


def validate_faults(faults: list[str] | None, *, sandbox: bool) -> None:
    """Raise UsageError for a fault without a sandbox."""
    if faults and not sandbox:
        raise UsageError("--fault is for --sandbox alone; add --sandbox, or leave it out")


def validate_recording(*, record: bool, history: Path | None, wait: float | None) -> None:
    """Raise UsageError for an option of recording where nothing is recorded."""
    for name, value in (("--history", history), ("--wait", wait)):
        if value is not None and not record:
            raise UsageError(f"{name} is for --record alone; add --record, or leave it out")
