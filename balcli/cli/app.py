"""The command tree, and the one boundary at which every ending becomes an exit code."""

import io
import os
import re
import signal
import sys
from contextlib import redirect_stdout, suppress
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import Annotated, Any, NoReturn

import typer

from balcli import __version__
from balcli.cli.commands import CHECK, COMMANDS, Commands, built
from balcli.cli.output import ReaderGone, has_written, print_message, write_stdout
from balcli.errors import BalcliError, Bug, OutputError, Terminated, UsageError
from balcli.secret import hide

_OUTPUT = re.compile(r"-[qvh]*o(.*)", re.DOTALL)
"""`-o` as it can be written: with its format, and behind other letters."""
_HELP = "Show exactly what you own at Loopring, KunaCore and VelaFi, for people, jq and cron."

# No rich markup in help: its panels double the time of a --help.
app = typer.Typer(
    cls=Commands,
    help=_HELP,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["--help", "-h"]},
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
    """Print the help where no command is named; wrong usage, as a script may have lost its arguments."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help(), err=True)
        raise typer.Exit(2)


def run(arguments: list[str]) -> int:
    """Run one command line; the exit code of the contract, with everything said that is to be said."""
    signal.signal(signal.SIGTERM, _terminated)
    sys.unraisablehook = _again
    try:
        return _written(arguments)
    except ReaderGone:
        return 141
    except KeyboardInterrupt:
        return 130
    except BalcliError as problem:
        _say(problem.message, arguments)
        return _code(problem, arguments)
    except Exception as bug:  # noqa: BLE001 - the boundary: whatever it is, it becomes one line
        ending = _signalled(bug)
        return _end_with_bug(bug, arguments) if ending is None else ending


def _signalled(problem: BaseException | None) -> int | None:
    """The exit code of the signal that an exception was made of; None where it was made of none.

    CPython 3.11 makes a RuntimeError of what interrupts the making of a class, as an import does.
    """
    while problem is not None:
        if isinstance(problem, KeyboardInterrupt):
            return 130
        if isinstance(problem, Terminated):
            return int(str(problem.code))
        problem = problem.__cause__ or problem.__context__
    return None


def _again(unraisable: "sys.UnraisableHookArgs") -> None:
    """Send a signal once more that came in a callback, whose exceptions Python drops; pass on any other."""
    signals = {KeyboardInterrupt: signal.SIGINT, Terminated: signal.SIGTERM}
    number = next((number for kind, number in signals.items() if issubclass(unraisable.exc_type, kind)), None)
    if number is None:
        sys.__unraisablehook__(unraisable)
        return
    import threading  # here, because it hardly ever happens

    # Not from here: the handler would run, and raise, in this callback again.
    timer = threading.Timer(0.01, os.kill, (os.getpid(), number))
    timer.daemon = True
    timer.start()


def _written(arguments: list[str]) -> int:
    """Run one command line and write what there is to write; the exit code. Raises what there is to say."""
    # What Typer prints itself (help, completion) is gathered, so that it is written with the same care.
    gathered = io.StringIO()
    try:
        with redirect_stdout(gathered):
            code = _run(arguments)
    except BalcliError as problem:
        untold = not (has_written() or isinstance(problem, OutputError))
        if untold and _output_asked_for(arguments) == "json":
            _write_failure(problem, arguments)
        raise
    if gathered.getvalue():
        write_stdout(gathered.getvalue())
    return code


def _run(arguments: list[str]) -> int:
    if "_BALCLI_COMPLETE" in os.environ:
        # Typer would load rich for a completion, to take markup out of help that has none.
        sys.modules.setdefault("rich", None)  # type: ignore[arg-type]
    try:
        result = app(args=arguments, prog_name="balcli", standalone_mode=False)
    except SystemExit as ending:  # how Typer ends a completion; what it printed is still to be written
        # Without a code that is well, and words in the place of one are not.
        return ending.code if isinstance(ending.code, int) else int(ending.code is not None)
    except typer.Abort:
        return 130
    except typer.TyperException as problem:
        return _end_with_usage(problem, arguments)
    return result if isinstance(result, int) else 0


def _end_with_usage(problem: typer.TyperException, arguments: list[str]) -> int:
    """Say what is wrong with a command line; a document too, if it asks for one. The exit code."""
    context = getattr(problem, "ctx", None)
    command = context.command_path if context is not None else "balcli"
    said = problem.format_message().rstrip(".")
    # A question, which is what Typer adds for a close name, ends its part by itself.
    behind = _behind(getattr(problem, "option_name", ""), context, arguments)
    if behind is None:
        message = f"{said}{'' if said.endswith('?') else ';'} see {command} --help"
    else:
        message = f"{said} in front of the command; write it behind the command: {behind}"
    _write_failure(UsageError(message), arguments)
    _say(message, arguments)
    return _code(UsageError(message), arguments)


def _behind(option: str, context: Any, arguments: list[str]) -> str | None:
    """How an option is written that stands in front of the command that has it; None for any other."""
    command: Any = None if context is None else context.command
    path = [] if context is None else [context.command_path]
    while hasattr(command, "commands"):
        is_top = isinstance(command, Commands)
        name = next((text for text in arguments if text in command.commands), None)
        if name is None and not is_top:
            return None
        path.append(name or "COMMAND")
        command = built(name or "all") if is_top else command.commands[name]
    # Of a command's own context nothing was gone through: its option stands where it belongs.
    parameters = command.params if path[1:] else ()
    found = next((each for each in parameters if option in each.opts), None)
    if found is None:
        return None
    return " ".join([*path, option, *([] if found.is_flag else [found.metavar or "VALUE"])])


def _command(arguments: list[str]) -> str | None:
    """The command that a command line names, as far as can be told, wherever its options stand."""
    return next((text for text in arguments if text in COMMANDS), None)


def _say(text: str, arguments: list[str]) -> None:
    """Write one line to stderr, without a bar where an engine may read it with a status line."""
    if _command(arguments) == CHECK:
        from balcli.render.verdict import plain

        text = plain(text)
    print_message(text)


def _code(error: BalcliError, arguments: list[str]) -> int:
    """The exit code of a failure; some commands have one for all that keeps them from telling."""
    command = _command(arguments)
    own = COMMANDS[command].trouble if command is not None else None
    return error.exit_code if own is None else own


def _write_failure(error: BalcliError, arguments: list[str]) -> None:
    """Tell the failure of a whole run in the command's own shape and the format that the line asks for.

    A command whose module has no `write_failure` has no shape for one: then stderr alone tells it.
    """
    command = _command(arguments)
    # Imported here: on most days nothing fails before its command is built.
    module = import_module(f"balcli.cli.{'balances' if command is None else COMMANDS[command].module}")
    write = getattr(module, "write_failure", None)
    if write is not None:
        write(error, _output_asked_for(arguments), arguments)


def _output_asked_for(arguments: list[str]) -> str:
    """The format that a command line asks for that cannot be parsed, as far as can be told."""
    named = os.environ.get("BALCLI_OUTPUT", "")
    texts = iter(arguments)
    for text in texts:
        short = _OUTPUT.fullmatch(text)
        if text == "--":
            break
        if text == "--output" or (short is not None and not short[1]):
            named = next(texts, "")
        elif text.startswith("--output="):
            named = text.removeprefix("--output=")
        elif short is not None:
            named = short[1]
    return named


def _terminated(number: int, _frame: FrameType | None) -> NoReturn:
    raise Terminated(128 + number)


def _end_with_bug(bug: Exception, arguments: list[str]) -> int:
    """One line on a bug, with the place to report, and a document that tells it, if one is asked for and none is out.

    With BALCLI_DEBUG=1 the traceback, too, without local variables.
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
    if not has_written():
        # The bug can be in what writes the document: the line below tells it.
        with suppress(Exception):
            _write_failure(Bug(message), arguments)
    _say(message, arguments)
    if os.environ.get("BALCLI_DEBUG") == "1" and sys.stderr is not None:
        import traceback

        sys.stderr.write(hide("".join(traceback.format_exception(bug))))
    return _code(Bug(message), arguments)
