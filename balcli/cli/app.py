"""The commands, imported on demand, and the place where every result or error becomes an exit code."""

import io
import os
import signal
import sys
from collections import Counter
from contextlib import redirect_stdout, suppress
from functools import cache
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import Annotated, Any, Final, NamedTuple, NoReturn

import typer
from typer.core import TyperCommand, TyperGroup

from balcli import __version__
from balcli.cli.output import ReaderGone, has_written, print_message, write_stdout
from balcli.errors import (
    EXHAUSTION,
    BalcliError,
    Bug,
    MachineExhausted,
    OutputError,
    Terminated,
    UsageError,
)
from balcli.providers import PROVIDERS
from balcli.secret import redact

_HELP_OPTIONS: Final = ["--help", "-h"]
_CHECK: Final = "check"
_HELP: Final = "Show your exact balances at Loopring, KunaCore and VelaFi, in a terminal or a script."


class Entry(NamedTuple):
    """A command: its module in `balcli.cli`, and the first paragraph of its help."""

    module: str
    help: str
    exit_code: int | None = None
    """The exit code of all failures, if the command has its own."""


COMMANDS: Final = {
    **{
        name: Entry("balances", f"Show the balances of accounts at the {title}.")
        for name, title in PROVIDERS.titles.items()
    },
    "all": Entry("balances", "Show all accounts, with totals by asset."),
    _CHECK: Entry("check", "Check balances against limits, as a monitoring plugin.", exit_code=3),
    "diff": Entry("diff", "Compare two runs: recorded, saved with -o json, or live.", exit_code=2),
    "doctor": Entry("doctor", "Find out why a run would fail, and what to do."),
    "history": Entry("history", "List recorded runs, show one again, or show amounts over time."),
    "mcp": Entry("mcp", "Serve balances to AI assistants, read-only, over stdio."),
    "replay": Entry("replay", "Print the output of a run again, using only its evidence."),
    "sandbox": Entry("sandbox", "Run a server that simulates the providers, and print a profile."),
    "schema": Entry("schema", "Print the JSON Schema of -o json."),
    "config": Entry("config", "Create, find, list, show and check profiles."),
    "completion": Entry("about", "Print the completion script for bash, zsh or fish."),
    "help": Entry("about", "Show the help of a command."),
    "version": Entry("about", "Show the version."),
}


class CommandLine(NamedTuple):
    """An invalid command line, as far as it can be parsed."""

    names: tuple[str, ...]
    """The names of the command and its subcommand; empty without a command."""
    command: Any
    """The command, or `all` without one."""
    options: frozenset[str]
    """The given parameters."""
    output: str
    """The format from `-o` or BALCLI_OUTPUT, or ""."""


class _RejectsIgnoredOptions:
    """Rejects an option that would have no effect."""

    make_parser: Any

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse a command line. Raises UsageError for a text or path given twice, and for --sandbox with a profile.

        For numbers and choices, the last value applies, so that an alias can be overridden.
        """
        parser: Any = self.make_parser(ctx)
        _, _, in_order = parser.parse_args(list(args))
        for option, count in Counter(in_order).items():
            if count > 1 and _takes_one_text(option) and not ctx.resilient_parsing:
                raise UsageError(f"{max(option.opts, key=len)} is given {count} times; use it once")
        rest: list[str] = super().parse_args(ctx, args)  # type: ignore[misc]
        if ctx.params.get("sandbox") and not ctx.resilient_parsing:
            from balcli.cli.profiles import SANDBOX

            for option in in_order:
                if option.name in {"config", "profile", "env_file"} and ctx.params[option.name] != SANDBOX:
                    raise UsageError(
                        f"--sandbox has its own profile; remove --sandbox or {max(option.opts, key=len)}"
                    )
        return rest


class Command(_RejectsIgnoredOptions, TyperCommand):
    """A command."""

    def get_help(self, ctx: Any) -> str:
        """The text of --help."""
        return _help(self, ctx)


class Group(TyperGroup):
    """A group of commands."""

    is_command = False
    """Whether it can run without a subcommand."""

    def get_help(self, ctx: Any) -> str:
        """The text of --help."""
        return _help(self, ctx)


class CommandGroup(_RejectsIgnoredOptions, Group):
    """A group of commands that can run without a subcommand."""

    is_command = True


def _takes_one_text(parameter: Any) -> bool:
    """Whether a parameter is an option that takes one text or path."""
    if parameter.param_type_name != "option" or parameter.multiple or parameter.is_flag:
        return False
    return parameter.type.name in {"str", "text", "path"} and parameter.metavar != "S"  # S means seconds


def _help(command: Any, context: Any) -> str:
    from balcli.cli.help import help_text  # imported here, because few runs need it

    return help_text(command, context)


class LazyGroup(Group):
    """A group that imports the module of a command only when it is run.

    Importing all of them would take longer than the rest of the start-up.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        for name, entry in COMMANDS.items():
            self.add_command(TyperCommand(name, help=entry.help), name)

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """The named command, imported, with the remaining arguments."""
        name, found, rest = super().resolve_command(ctx, args)
        return name, found if name is None else load(name), rest


@cache
def load(name: str) -> Any:
    """Import the command or group of that name."""
    module = import_module(f"balcli.cli.{COMMANDS[name].module}")
    app = module.app_for(name, COMMANDS[name].help) if hasattr(module, "app_for") else module.app
    return typer.main.get_command(app)


# No rich markup: it doubles the time of --help.
app = typer.Typer(
    cls=LazyGroup,
    help=_HELP,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": _HELP_OPTIONS},
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"balcli {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def top(
    context: typer.Context,
    _version_wanted: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Without a command, print the help and exit with 2: a script may have lost its arguments."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help(), err=True)
        raise typer.Exit(2)


def run(arguments: list[str]) -> int:
    """Run one command line and print errors; returns the exit code."""
    signal.signal(signal.SIGTERM, _terminate)
    if (
        hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN
    ):  # for example, under nohup
        signal.signal(signal.SIGHUP, _terminate)
    sys.unraisablehook = _signal_again
    try:
        return _run(arguments)
    except ReaderGone:
        return 141
    except KeyboardInterrupt:
        return 130
    except BalcliError as problem:
        for each in problem.every:
            _print(each.message, arguments)
        return _exit_code(problem, arguments)
    except Exception as bug:  # noqa: BLE001 - any bug becomes a one-line message
        code = _code_of_signal(bug)
        if code is None and (exhausted := MachineExhausted.from_exception(bug)):
            _print(exhausted.message, arguments)
            return _exit_code(exhausted, arguments)
        return _end_with_bug(bug, arguments) if code is None else code


def _run(arguments: list[str]) -> int:
    """Run one command line and write Typer's output; returns the exit code. Writes a document before raising BalcliError."""
    if "_BALCLI_COMPLETE" in os.environ:
        # For a completion, Typer would import rich to strip markup, but the help has none.
        sys.modules.setdefault("rich", None)  # type: ignore[arg-type]
    # Typer's own output (help, completion) is collected, so that it is written with the same error handling.
    gathered = io.StringIO()
    try:
        with redirect_stdout(gathered):
            code = app(args=arguments, prog_name="balcli", standalone_mode=False)
    except SystemExit as ending:  # Typer ends completion this way; its output is not written yet
        # No code means success. A string means failure.
        code = ending.code if isinstance(ending.code, int) else int(ending.code is not None)
    except typer.Abort:
        code = 130
    except typer.TyperException as problem:
        return _end_with_usage(problem, arguments)
    except (BalcliError, *EXHAUSTION) as problem:
        failure = problem if isinstance(problem, BalcliError) else MachineExhausted.from_exception(problem)
        if failure is None:
            raise
        if not (has_written() or isinstance(failure, OutputError)):
            _write_failure(failure, parse_again(arguments))
        raise failure from None
    if gathered.getvalue():
        write_stdout(gathered.getvalue())
    return code if isinstance(code, int) else 0


def parse_again(arguments: list[str]) -> CommandLine:
    """Parse a command line, ignoring errors. Its options may come before the command."""
    name = _command_name(arguments)
    names = [] if name is None else [name]
    command = load(name or "all")
    while isinstance(command, TyperGroup):
        below = next((text for text in arguments if text in command.commands), None)
        if below is None:
            break
        names.append(below)
        command = command.commands[below]
    context = typer.Context(
        command,
        ignore_unknown_options=True,
        allow_interspersed_args=True,
        resilient_parsing=True,
        help_option_names=_HELP_OPTIONS,  # a command keeps the help options of its first context
    )
    parser: Any = command.make_parser(context)
    options: dict[str, Any] = {}
    # The empty text is the value of a last option without one.
    rest = [*arguments[: arguments.index("--") if "--" in arguments else None], ""]
    while rest:  # the parser removes what it parsed from the list, and stops at a flag with a value
        options |= parser.parse_args(rest)[0]
    output = options.get("output", os.environ.get("BALCLI_OUTPUT", ""))
    return CommandLine(tuple(names), command, frozenset(options), output)


def _command_name(arguments: list[str]) -> str | None:
    """The command of a command line, wherever its options are."""
    return next((text for text in arguments if text in COMMANDS), None)


def _end_with_usage(problem: typer.TyperException, arguments: list[str]) -> int:
    """Print a usage error, and a document if the command line requests one. Returns the exit code."""
    context = getattr(problem, "ctx", None)
    command = context.command_path if context is not None else "balcli"
    said = problem.format_message().rstrip(".")
    line = parse_again(arguments)
    corrected = _corrected(getattr(problem, "option_name", ""), context, line)
    if corrected is None:
        # Typer's suggestion of a similar name ends with a question mark.
        message = f"{said}{'' if said.endswith('?') else ';'} see {command} --help"
    else:
        message = f"{said} before the command; write it after the command: {corrected}"
    error = UsageError(message)
    _write_failure(error, line)
    _print(message, arguments)
    return _exit_code(error, arguments)


def _corrected(option: str, context: Any, line: CommandLine) -> str | None:
    """The correct command line for a subcommand's option that was given to its group; None for any other option."""
    if context is None or not isinstance(context.command, TyperGroup):
        return None
    found = next((each for each in line.command.params if option in each.opts), None)
    if found is None:
        return None
    path = ["balcli", *(line.names or ["COMMAND"]), option]
    return " ".join(path if found.is_flag else [*path, found.metavar or "VALUE"])


def _write_failure(error: BalcliError, line: CommandLine) -> None:
    """Write a failure in the requested format, if the command supports that."""
    module = import_module(f"balcli.cli.{COMMANDS[line.names[0] if line.names else 'all'].module}")
    if hasattr(module, "write_failure"):
        module.write_failure(error, line)


def _print(message: str, arguments: list[str]) -> None:
    """Print one line on stderr, without `|` for `check`, because monitoring engines may read it with the status line."""
    if _command_name(arguments) == _CHECK:
        from balcli.render.verdict import plain

        message = plain(message)
    print_message(message)


def _exit_code(error: BalcliError, arguments: list[str]) -> int:
    """The exit code of a failure. Some commands use one for all failures."""
    name = _command_name(arguments)
    own = None if name is None else COMMANDS[name].exit_code
    return error.exit_code if own is None else own


def _end_with_bug(bug: Exception, arguments: list[str]) -> int:
    """Print one line about a bug, and write a document if requested. Returns the exit code.

    With BALCLI_DEBUG=1, it also prints the traceback, without local variables.
    """
    frame = bug.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    place = (
        f"{Path(frame.tb_frame.f_code.co_filename).name}:{frame.tb_lineno}" if frame else "an unknown place"
    )
    message = (
        f"this is a bug in balcli {__version__} ({type(bug).__name__} at {place}, Python {sys.version.split()[0]}); "
        "please report it with what BALCLI_DEBUG=1 prints"
    )
    error = Bug(message)
    if not has_written():
        # The bug may be in the code that writes the document. The line below reports it.
        with suppress(Exception):
            _write_failure(error, parse_again(arguments))
    _print(message, arguments)
    if os.environ.get("BALCLI_DEBUG") == "1" and sys.stderr is not None:
        import traceback

        sys.stderr.write(redact("".join(traceback.format_exception(bug))))
    return _exit_code(error, arguments)


def _terminate(number: int, _frame: FrameType | None) -> NoReturn:
    raise Terminated(128 + number)


def _code_of_signal(problem: BaseException | None) -> int | None:
    """The exit code of the signal that caused an exception, or None.

    CPython 3.11 turns an exception during the creation of a class, such as in an import, into a RuntimeError.
    """
    while problem is not None:
        if isinstance(problem, KeyboardInterrupt):
            return 130
        if isinstance(problem, Terminated):
            return int(str(problem.code))
        problem = problem.__cause__ or problem.__context__
    return None


def _signal_again(unraisable: "sys.UnraisableHookArgs") -> None:
    """Resend a signal that arrived in a callback, where Python drops exceptions. Pass on any other exception."""
    code = _code_of_signal(unraisable.exc_value)
    if code is None:
        sys.__unraisablehook__(unraisable)
        return
    import threading  # imported here, because it is rarely needed

    # In another thread: here, the handler would run, and raise, in this callback again.
    timer = threading.Timer(0.1, os.kill, (os.getpid(), code - 128))
    timer.daemon = True
    timer.start()
