"""Typer's commands and groups with a help of our own; a command refuses a text that is given twice."""

from collections import Counter
from typing import Any, NamedTuple

from typer.core import TyperCommand, TyperGroup

from balcli.errors import UsageError


class CommandLine(NamedTuple):
    """What a command line asks for that cannot be run, as far as it can be parsed."""

    names: tuple[str, ...]
    """The command's name, and that of the command below it; empty where none is named."""
    command: Any
    """The command itself, `all` where none is named."""
    options: frozenset[str]
    """The parameters that are given."""
    output: str
    """The format of `-o` or BALCLI_OUTPUT, "" without one."""


class _RefusesRepeats:
    """Refuses a text or path that is given twice."""

    make_parser: Any

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse a command line. Raises UsageError for a text or path that is given twice: one would go unseen.

        Of numbers and choices, the last counts, so that an alias can be overridden.
        """
        parser: Any = self.make_parser(ctx)
        _, _, in_order = parser.parse_args(list(args))
        counts = Counter(option for option in in_order if _takes_one_text(option))
        for option, count in counts.items():
            if count > 1 and not ctx.resilient_parsing:
                raise UsageError(f"{max(option.opts, key=len)} is given {count} times; give it once")
        rest: list[str] = super().parse_args(ctx, args)  # type: ignore[misc]
        return rest


class Command(_RefusesRepeats, TyperCommand):
    """A command."""

    def get_help(self, ctx: Any) -> str:
        """The text of its --help."""
        return _help(self, ctx)


class Group(TyperGroup):
    """A group of commands."""

    is_command = False
    """Whether it does something without one of its commands."""

    def get_help(self, ctx: Any) -> str:
        """The text of its --help."""
        return _help(self, ctx)


class CommandGroup(_RefusesRepeats, Group):
    """A group of commands that is a command itself."""

    is_command = True


def _takes_one_text(parameter: Any) -> bool:
    """Whether a parameter is an option that takes one text or path."""
    if parameter.param_type_name != "option" or parameter.multiple or parameter.is_flag:
        return False
    return parameter.type.name in {"str", "text", "path"} and parameter.metavar != "S"  # S is seconds


def _help(command: Any, context: Any) -> str:
    from balcli.cli.help import help_text  # here, because a run does not need it

    return help_text(command, context)
