"""The text of `--help`: the options of a command under headings, and examples.

Typer would list options in order of declaration. Lines are wrapped to the width of the terminal.
"""

from collections.abc import Iterable
from textwrap import wrap
from typing import Any, Final

import typer

from balcli.cli.options import HEADINGS, OUTPUT
from balcli.cli.output import is_terminal, wants_colour

EXAMPLES: Final[dict[str, tuple[str, ...]]] = {
    "": ("balcli all --sandbox", "balcli config init", "balcli doctor"),
    "loopring": ("balcli loopring --sandbox --asset ETH,LRC", "balcli loopring --account-id 11329 -o json"),
    "wallet": ("balcli wallet --sandbox --addresses", "balcli wallet treasury --asset BTC,USDT"),
    "merchant": ("balcli merchant --sandbox --all-merchants --fiat",),
    "all": (
        "balcli all --sandbox --nonzero",
        "balcli all -q -o json -O balances.json",
        "balcli all --sandbox --fault merchant:amount",
    ),
    "check": (
        "balcli check --sandbox --asset USDT --crit 500:",
        "balcli check --asset ETH --warn 2: --crit 1: -o json",
    ),
    "diff": (
        "balcli diff 24h --asset USDT",
        "balcli diff june.json july.json",
        "balcli diff --live --threshold 0.01",
    ),
    "doctor": ("balcli doctor --sandbox", "balcli doctor --offline", "balcli doctor treasury"),
    "history": (
        "balcli history --limit 10",
        "balcli history --asset USDT --since 7d",
        "balcli history --account shop --since 2026-10-01 -o csv",
    ),
    "history show": (
        "balcli history show",
        "balcli history show 2026-10-31 -o csv",
        "balcli history show 12 -o json",
    ),
    "mcp": ("balcli mcp --profile main", "balcli mcp --config /etc/balcli/config.toml"),
    "replay": ("balcli replay evidence", "balcli replay evidence --check"),
    "sandbox": ("balcli sandbox --faults", "balcli sandbox --profile sandbox.toml --latency 200"),
    "schema": ("balcli schema", "balcli schema --lines"),
    "config": ("balcli config init --provider merchant", "balcli config check"),
    "config init": ("balcli config init --provider kunacore,velafi --env",),
    "config path": ("balcli config path",),
    "config profiles": ("balcli config profiles",),
    "config show": ("balcli config show --profile main",),
    "config check": ("balcli config check", "balcli config check -o json"),
    "completion": ("balcli completion bash", "balcli completion fish"),
    "help": ("balcli help all", "balcli help config init"),
    "version": ("balcli version",),
}
"""The examples by full command name; "" is the program."""

_MOST_LINES: Final = 40
"""Lines of a terminal. A longer help omits blank lines."""
_MOST_COLUMNS: Final = 80
_LEAST_COLUMNS: Final = 24
"""The minimum columns for an option's help. In a narrower terminal, the help is below the option."""
_NO_BREAK: Final = "\xa0"
_BOLD: Final = "\x1b[1m"
_PLAIN: Final = "\x1b[0m"


def help_text(command: Any, context: Any) -> str:
    """The help of a Typer command or group, without a trailing newline."""
    columns = min(typer.get_terminal_size().columns, _MOST_COLUMNS)
    parameters = [each for each in command.get_params(context) if not getattr(each, "hidden", False)]
    commands = {
        name: each.help.partition("\n\n")[0] for name, each in getattr(command, "commands", {}).items()
    }
    arguments = [each.metavar for each in parameters if each.param_type_name == "argument"]
    usage = [
        "Usage:",
        context.command_path,
        "[OPTIONS]",
        *(_below(command) if commands else arguments),
    ]
    about = [line for part in command.help.split("\n\n") for line in _wrapped(part, columns, "  ", "  ")]
    # Options without a heading, such as --help, go under the output heading.
    other = OUTPUT if any(each.rich_help_panel == OUTPUT for each in parameters) else "Options"
    options: dict[str, dict[str, str]] = {heading: {} for heading in (*HEADINGS, other)}
    for each in parameters:
        options[each.rich_help_panel or other][_name(each)] = _about(each)
    width = max(len(name) for rows in options.values() for name in rows)
    blocks = [[" ".join(usage), *about]]
    if commands:
        blocks.append(_section("Commands", commands, max(map(len, commands)), columns))
    blocks += [_section(heading, rows, width, columns) for heading, rows in options.items() if rows]
    blocks.append(["Examples:", *(f"  {line}" for line in examples(context.command_path))])
    airy = sum(map(len, blocks)) + len(blocks) <= _MOST_LINES
    if is_terminal() and wants_colour():
        # Without rich, which would take longer than the rest of --help.
        context.color = True
        for block in blocks:
            block[0] = f"{_BOLD}{block[0]}{_PLAIN}"
    return ("\n\n" if airy else "\n").join("\n".join(block) for block in blocks)


def _below(group: Any) -> list[str]:
    """The metavar for a group's commands in its usage line."""
    return ["[COMMAND [ARGS]...]"] if group.is_command else ["COMMAND", "[ARGS]..."]


def examples(path: str) -> tuple[str, ...]:
    """The examples for a command, given by its full name with `balcli`. A plugin's command has one with --sandbox."""
    return EXAMPLES.get(path.partition(" ")[2], (f"{path} --sandbox",))


def _name(parameter: Any) -> str:
    """An option with its metavar, or the name of an argument."""
    if parameter.param_type_name == "argument":
        return str(parameter.metavar)
    names = ", ".join(sorted((*parameter.opts, *parameter.secondary_opts), key=len))
    return names if parameter.is_flag else f"{names} {parameter.metavar or 'VALUE'}"


def _about(parameter: Any) -> str:
    """The help of an option, with its choices, default and environment variable."""
    about, _, note = parameter.help.rstrip(".").partition(" [")
    choices = [str(each) for each in getattr(parameter.type, "choices", ())]
    if choices:
        *first, last = (f"{each} (default)" if each == parameter.default else each for each in choices)
        about += f": {', '.join(first)} or {last}"
    variable = getattr(parameter, "envvar", None)
    notes = "; ".join([*([note.rstrip("]")] if note else []), *([f"env: {variable}"] if variable else [])])
    return f"{about} [{notes.replace(' ', _NO_BREAK)}]." if notes else f"{about}."


def _section(heading: str, rows: dict[str, str], width: int, columns: int) -> list[str]:
    """A heading with names and their help, next to them, or below them in a narrow terminal."""
    lines = [f"{heading}:"]
    indent = " " * (width + 4)
    for name, about in rows.items():
        if columns - len(indent) >= _LEAST_COLUMNS:
            lines += _wrapped(about, columns, f"  {name:<{width}}  ", indent)
        else:
            lines += [f"  {name}", *_wrapped(about, columns, " " * 6, " " * 6)]
    return lines


def _wrapped(text: str, columns: int, first: str, others: str) -> Iterable[str]:
    """The text, wrapped to this many columns, with these indents."""
    lines = wrap(
        text,
        columns,
        initial_indent=first,
        subsequent_indent=others,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return (line.replace(_NO_BREAK, " ") for line in lines)
