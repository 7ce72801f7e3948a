"""The commands: what each is for, and the module that it is in, which is imported when it is run.

Building every command to run one would take longer than all the rest of a start.
"""

from collections import Counter
from collections.abc import Callable
from importlib import import_module
from typing import Any, Final, NamedTuple, TypeVar

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from balcli.errors import UsageError
from balcli.providers import PROVIDERS

Function = TypeVar("Function", bound=Callable[..., Any])

CHECK: Final = "check"
UNDECIDED: Final = 3
"""The exit code of the state UNKNOWN, whatever it was that kept the check from deciding."""
TROUBLE: Final = 2
"""The exit code of whatever keeps a comparison from telling."""


WHOSE: Final = "Which accounts"
LIMIT: Final = "The limit"
SHOWN: Final = "What is shown"
OUTPUT: Final = "Output"
NETWORK: Final = "Network"
KEPT: Final = "Recorded runs"
HEADINGS: Final = (WHOSE, LIMIT, SHOWN, NETWORK, KEPT, OUTPUT)
"""What the options of a command stand under in its help, in this order."""


class Entry(NamedTuple):
    """A command: the module of `balcli.cli` whose `register` adds it, and its help, whose first paragraph is a line."""

    module: str
    about: str
    trouble: int | None = None
    """The exit code of all that keeps the command from telling, where it has one of its own for that."""


COMMANDS: Final = {
    **{
        name: Entry("balances", f"Show what accounts hold at the {title}.")
        for name, title in PROVIDERS.titles.items()
    },
    "all": Entry("balances", "Show every account at once, with totals by asset."),
    CHECK: Entry(
        "check",
        "Hold balances against limits, as a monitoring plugin.\n\n"
        "One status line; exit codes 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN.",
        trouble=UNDECIDED,
    ),
    "diff": Entry(
        "diff",
        "Compare two recorded runs, or one with what there is now.\n\n"
        "The last two complete ones by default. Nothing is printed where nothing changed. "
        "Exit codes: 0 same, 1 different, 2 trouble.",
        trouble=TROUBLE,
    ),
    "doctor": Entry(
        "doctor",
        "Say what keeps a run from working, and what to do.\n\n"
        "It looks at the file, secrets, DNS, TLS, credentials and the clock.",
    ),
    "history": Entry(
        "history",
        "List the recorded runs, or show how amounts went from run to run.\n\n"
        "Runs are recorded by --record. Without --profile, those of all profiles are shown.",
    ),
    "replay": Entry(
        "replay",
        "Print what a run printed, from its evidence alone.\n\n"
        "No network, no profile, no secret. The exit code is the run's own; 6 if the evidence was altered or is not whole.",
    ),
    "sandbox": Entry(
        "sandbox",
        "Run a stand-in for the providers, and print a profile.\n\n"
        "It listens on 127.0.0.1 alone and runs until Ctrl-C. Its keys are false and its figures are invented.",
    ),
    "schema": Entry("schema", "Print the JSON Schema of -o json."),
    "config": Entry("config", "Write a profile, say where it is, show it, check it."),
}


class Command(TyperCommand):
    """A command whose help is ours."""

    def get_help(self, ctx: Any) -> str:
        """The text of its --help."""
        return _help(self, ctx)

    def make_parser(self, ctx: Any) -> Any:
        """The parser of its command line, which refuses a text or path that is given twice: one would go unseen.

        Of numbers and choices, the last counts, so that an alias can be overridden.
        """
        parser: Any = super().make_parser(ctx)
        parse = parser.parse_args

        def parse_once(args: list[str]) -> Any:
            parsed = parse(args)
            counts = Counter(each for each in parsed[2] if _takes_one_text(each))
            for option, count in counts.items():
                if count > 1 and not ctx.resilient_parsing:
                    raise UsageError(f"{max(option.opts, key=len)} is given {count} times; give it once")
            return parsed

        parser.parse_args = parse_once
        return parser


def _takes_one_text(parameter: Any) -> bool:
    """Whether a parameter is an option that takes one text or path."""
    if parameter.param_type_name != "option" or parameter.multiple or parameter.is_flag:
        return False
    return parameter.type.name in {"str", "text", "path"} and parameter.metavar != "S"  # S is seconds


class Group(TyperGroup):
    """A group of commands whose help is ours."""

    def get_help(self, ctx: Any) -> str:
        """The text of its --help."""
        return _help(self, ctx)


def _help(command: Any, context: Any) -> str:
    # Imported here: a run does not pay for the help.
    from balcli.cli import help as helps

    return helps.text(command, context)


class App(typer.Typer):
    """What commands are added to; the help of each is ours."""

    def command(self, name: str | None = None, **given: Any) -> Callable[[Function], Function]:
        """A decorator that adds a command."""
        return super().command(name, cls=Command, **given)


class Commands(Group):
    """The group of all commands: it lists them by their names and help, and builds the one that is run."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        for name, entry in COMMANDS.items():
            self.add_command(TyperCommand(name, help=entry.about), name)

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """The command that is named, whole, with the arguments that are left to it."""
        name, found, rest = super().resolve_command(ctx, args)
        return name, found if name is None or found is None else built(name), rest


def built(name: str) -> Any:
    """The command of that name as Typer makes it, with all its options."""
    entry = COMMANDS[name]
    app = App(add_completion=False, rich_markup_mode=None)
    import_module(f"balcli.cli.{entry.module}").register(app, name, entry.about)
    made = get_command(app)
    return made.commands[name] if isinstance(made, TyperGroup) else made
