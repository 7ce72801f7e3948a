"""The shared options of commands, and the formats of `-o`."""

import os
import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Self

import typer

from balcli.cli import completion, profiles
from balcli.cli.output import Outputs, choose_colour
from balcli.errors import ConfigFileError, UsageError
from balcli.files import expand_home
from balcli.settings import MOST_JOBS, MOST_RETRIES, MOST_SECONDS, parse_seconds
from balcli.text import printable

if TYPE_CHECKING:
    from balcli.config.profile import Profile
    from balcli.providers.base import Flag
    from balcli.render.value import ValueRequest
    from balcli.run import RunRequest

WHOSE: Final = "Accounts"
LIMIT: Final = "Limit"
SHOWN: Final = "Display"
OUTPUT: Final = "Output"
NETWORK: Final = "Network"
RECORDED: Final = "Recorded runs"
HEADINGS: Final = (WHOSE, LIMIT, SHOWN, NETWORK, RECORDED, OUTPUT)
"""The headings of the options in the help, in order."""


account_option = partial(typer.Option, rich_help_panel=WHOSE)
limit_option = partial(typer.Option, rich_help_panel=LIMIT)
shown_option = partial(typer.Option, rich_help_panel=SHOWN)
network_option = partial(typer.Option, rich_help_panel=NETWORK)
recording_option = partial(typer.Option, rich_help_panel=RECORDED)
output_option = partial(typer.Option, rich_help_panel=OUTPUT)


class Format(StrEnum):
    """The formats of `-o` for balances. Each has a module in `balcli.render`."""

    table = "table"
    json = "json"
    jsonl = "jsonl"
    csv = "csv"
    prometheus = "prometheus"
    beancount = "beancount"
    hledger = "hledger"
    value = "value"


REPORTS: Final = tuple(form for form in Format if form is not Format.value)
"""The formats of a whole report."""


class OtherFormat(StrEnum):
    """Base class for the formats of other commands, which all have a table."""

    @classmethod
    def chosen(cls, option: Self | None) -> Self:
        """The format from -o, or from BALCLI_OUTPUT if it is supported, or a table."""
        variable = os.environ.get("BALCLI_OUTPUT")
        return option or cls(variable if variable in set(cls) else "table")


class TableOrJson(OtherFormat):
    """The formats of commands with only one machine-readable format."""

    table = "table"
    json = "json"


def format_option(default: str) -> Any:
    """The option `-o` with this default."""
    return output_option("--output", "-o", metavar="FORMAT", help=f"The format [default: {default}].")


def _parsed(text: str, plain: str = "s") -> float:
    """Parse a duration, with or without a unit, into seconds. Raises BadParameter."""
    try:
        return parse_seconds(text, plain)
    except ValueError as problem:
        raise typer.BadParameter(f"{printable(text, 40)} {problem}") from None


def _positive_seconds(text: str) -> float:
    value = _parsed(text)
    if not 0 < value <= MOST_SECONDS:  # also true for NaN
        raise typer.BadParameter(
            f"{printable(text, 40)} must be above 0 and at most {MOST_SECONDS:g} seconds"
        )
    return value


def _seconds(text: str) -> float:
    value = _parsed(text)
    if not 0 <= value <= MOST_SECONDS:
        raise typer.BadParameter(f"{printable(text, 40)} must be 0 to {MOST_SECONDS:g} seconds")
    return value


def _one_of(*words: str) -> Callable[[str | None], str | None]:
    """A callback that accepts one of these words."""

    def check(value: str | None) -> str | None:
        if value is not None and value not in words:
            raise typer.BadParameter(f"{value!r} is not {' or '.join(words)}")
        return value

    return check


def latency_seconds(text: str) -> float:
    """Parse a duration of at most a minute, by default in milliseconds. Returns seconds. Raises BadParameter."""
    value = _parsed(text, "ms")
    if not 0 <= value <= 60:
        raise typer.BadParameter(f"{printable(text, 40)} must be 0 to 60 seconds")
    return value


def whole_seconds(text: str) -> int:
    """Parse a duration of whole seconds, at least one. Raises BadParameter."""
    value = _parsed(text)
    if not 1 <= value <= MOST_SECONDS or value != int(value):
        raise typer.BadParameter(
            f"{printable(text, 40)} must be a whole number of seconds from 1 to {MOST_SECONDS:g}"
        )
    return int(value)


def in_home(context: typer.Context, parameter: typer.CallbackParam, value: Path | None) -> Path | None:
    """The path of an option, with `~/` replaced by the home folder. Raises UsageError or ConfigFileError."""
    if value is None or context.resilient_parsing:
        return value
    try:
        return Path(expand_home(str(value), os.environ))
    except ValueError as problem:
        source = context.get_parameter_source(parameter.name or "")
        if source is not None and source.name == "ENVIRONMENT":
            raise ConfigFileError(f"{parameter.envvar}: {problem}") from None
        raise UsageError(f"{max(parameter.opts, key=len)}: {problem}") from None


def _mode(value: str | None) -> str | None:
    if value is not None and not re.fullmatch("0?[0-7]{3}", value):
        raise typer.BadParameter(
            f"{printable(value, 40)} must be an octal mode from 000 to 777, such as 0644"
        )
    return value


Accounts = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[ACCOUNT]...",
        help="Show only these accounts of the profile.",
        rich_help_panel=WHOSE,
        show_default=False,
        autocompletion=completion.accounts,
    ),
]
ConfigFile = Annotated[
    Path | None,
    account_option(
        "--config",
        "-c",
        metavar="FILE",
        envvar="BALCLI_CONFIG",
        callback=in_home,
        help="Use this config file.",
    ),
]
ProfileName = Annotated[
    str | None,
    account_option(
        "--profile",
        "-p",
        metavar="NAME",
        envvar="BALCLI_PROFILE",
        help="Use this profile.",
        autocompletion=completion.profiles,
    ),
]
EnvFile = Annotated[
    Path | None,
    account_option(
        "--env-file",
        metavar="FILE",
        callback=in_home,
        help="Read ${NAME} from this file, not the profile's .env.",
    ),
]
UseSandbox = Annotated[
    bool, account_option("--sandbox", help="Use the built-in sandbox (no profile or network).")
]
Faults = Annotated[
    list[str] | None,
    account_option(
        "--fault",
        metavar="NAME",
        help="With --sandbox: simulate this fault.",
        autocompletion=completion.faults,
    ),
]
OnlyAssets = Annotated[
    list[str] | None,
    shown_option("--asset", metavar="SYMBOL", help="Show only these assets (comma-separated or repeated)."),
]
Exact = Annotated[bool, shown_option("--exact", help="Match the case of each --asset exactly.")]
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
        "--absent",
        metavar="zero",
        callback=_one_of("zero"),
        help="With -o value: print 0 if no account lists the asset.",
    ),
]
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
        "--retries", metavar="N", min=0, max=MOST_RETRIES, help="Retries of a failed request [default: 3]."
    ),
]
Jobs = Annotated[
    int | None,
    network_option(
        "--jobs", metavar="N", min=1, max=MOST_JOBS, help="Accounts to query at once [default: 8]."
    ),
]
NoCache = Annotated[bool, network_option("--no-cache", help="Do not use or write the cache of token tables.")]
Record = Annotated[bool, recording_option("--record", help="Record the run in the history.")]
HistoryFile = Annotated[
    Path | None,
    recording_option("--history", metavar="FILE", callback=in_home, help="Use this history file."),
]
Wait = Annotated[
    float | None,
    recording_option(
        "--wait", metavar="S", parser=_seconds, help="Seconds to wait for another run to end [default: 0]."
    ),
]
TableOrJsonOption = Annotated[TableOrJson | None, format_option("table")]
OutputFiles = Annotated[
    list[str] | None,
    output_option(
        "--output-file",
        "-O",
        metavar="FILE",
        help="Write to this file (or FORMAT:FILE, repeatable).",
    ),
]
Mode = Annotated[
    str | None,
    output_option(
        "--mode", metavar="OCTAL", callback=_mode, help="Set the mode of the -O files, for example 0644."
    ),
]
Quiet = Annotated[bool, output_option("--quiet", "-q", help="Print only data and errors.")]


class When(StrEnum):
    """The values of `--color`."""

    auto = "auto"
    always = "always"
    never = "never"


def _choose_colour(value: When | bool | None) -> When | bool | None:
    """Choose the color from --color or --no-color (True)."""
    if value and value is not When.auto:
        choose_colour(always=value is When.always)
    return value


Color = Annotated[
    When | None,
    output_option("--color", metavar="WHEN", callback=_choose_colour, help="Use colors."),
]
NoColor = Annotated[
    bool,
    output_option(
        "--no-color", callback=_choose_colour, hidden=True, help="Do not use colors, like --color never."
    ),
]


@contextmanager
def open_profile(
    file: Path | None,
    name: str | None,
    env_file: Path | None,
    *,
    sandbox: bool,
    faults: Sequence[str] | None,
    deadline: float | None = None,
) -> "Iterator[Profile]":
    """Open the profile of that name in the config file, or a sandbox's. Raises ConfigError and UsageError.

    The deadline, in seconds from now, limits the wait for a FIFO.
    """
    if sandbox:
        with profiles.start_sandbox(faults=faults) as server:
            yield profiles.sandbox_profile(server)
        return
    from balcli.config.profile import load

    if deadline is not None:
        from balcli import pipes  # imported here, because few runs read one

        pipes.reader.stop_after(deadline)
    path = file or profiles.default_file()
    yield load(path, must_exist=file is not None, name=name, env_file=env_file, environ=os.environ)


def given(**options: Any) -> dict[str, Any]:
    """The options with a value."""
    return {name: value for name, value in options.items() if value is not None}


def value_request(
    formats: Iterable[str], assets: tuple[str, ...], field: str | None, absent: str | None
) -> "ValueRequest | None":
    """The amount for the format `value`, or None without it. Raises UsageError unless exactly one asset is given."""
    if Format.value not in set(formats):
        for name, given in (("--field", field), ("--absent", absent)):
            if given is not None:
                raise UsageError(f"{name} works only with -o value; add -o value or remove the option")
        return None
    if len(assets) != 1:
        raise UsageError("-o value prints the amount of one asset; choose it with --asset")
    from balcli.render.value import ValueRequest  # imported here, because few runs print one

    return ValueRequest(assets[0], field or "total", absent is not None)


def is_explicit(context: typer.Context, name: str) -> bool:
    """Whether an option is given on the command line."""
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def outputs(
    given: Iterable[str] | None, formats: Iterable[str], *, explicit: bool, mode: str | None
) -> Outputs:
    """The output files of `-O`, for a command with these formats. `explicit` means that `-o` is given too.

    Only the exact name of a format is a prefix: `./json:x` is a file. `-` and `/dev/stdout` are stdout.
    Raises UsageError.
    """
    texts = list(given or ())
    plain, others = [], []
    for text in texts:
        name, colon, rest = text.partition(":")
        if not (colon and name in set(Format)):
            plain.append(_output_path(text))
        elif name not in set(formats):
            raise UsageError(
                f"-O: this command does not support {name}; use {' or '.join(formats)}, or ./{name}: for a file with that name"
            )
        elif not rest:
            raise UsageError(f"-O {name}: has no file name; use -O {name}:FILE")
        else:
            others.append((name, _output_path(rest)))
    if len(plain) > 1:
        raise UsageError(
            f"--output-file is given {len(plain)} times; use it once, or write each one as FORMAT:FILE"
        )
    has_main = bool(plain) or explicit or not others
    file = plain[0] if plain else None
    files = [*([file] if has_main else []), *(each for _, each in others)]
    if files.count(None) > 1:
        raise UsageError("two outputs would go to stdout; remove -o, or the -O for stdout")
    if mode is not None and files == [None]:
        raise UsageError("--mode works only with -O; add -O or remove --mode")
    return Outputs(file, tuple(others), has_main, None if mode is None else int(mode, 8), time.monotonic())


def _output_path(text: str) -> Path | None:
    """The path of an output file; None for stdout. A file named `-` is `./-`."""
    if text == "-":
        return None
    from balcli.atomic import is_stdout  # imported here, because few runs write a file

    try:
        path = Path(expand_home(text, os.environ))
    except ValueError as problem:
        raise UsageError(f"--output-file: {problem}") from None
    return None if is_stdout(path) else path


def validate_faults(faults: list[str] | None, *, sandbox: bool) -> None:
    """Raise UsageError for a fault without a sandbox."""
    if faults and not sandbox:
        raise UsageError("--fault works only with --sandbox; add --sandbox or remove --fault")


def validate_options(request: "RunRequest", faults: list[str] | None, flags: "Iterable[Flag]" = ()) -> None:
    """Raise UsageError for options that cannot be combined.

    These are a flag with a target that it includes, --fault without --sandbox, and options of --record without it.
    """
    for flag in flags:
        if not request.targets.keys().isdisjoint(flag.excludes):
            raise UsageError(f"--{flag.name} already includes every one; remove the option that selects one")
    validate_faults(faults, sandbox=request.sandbox)
    for name, value in (("--history", request.history), ("--wait", request.wait)):
        if value is not None and not request.record:
            raise UsageError(f"{name} works only with --record; add --record or remove the option")
