"""The text of `--help`: a command's options under headings, each on a line where it fits, and examples that run.

Typer would list them in the order of their declaration, and load what breaks lines for it. Nothing is wider than
the terminal, but for a word that is.
"""

from collections.abc import Sequence
from typing import Any, Final

import typer

from balcli.cli.options import HEADINGS, OUTPUT

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
    "diff": ("balcli diff", "balcli diff 24h --asset USDT", "balcli diff --live --threshold 0.01"),
    "doctor": ("balcli doctor --sandbox", "balcli doctor --offline", "balcli doctor treasury"),
    "history": ("balcli history --limit 10", "balcli history --asset USDT --since 7d"),
    "replay": ("balcli replay evidence", "balcli replay evidence --check"),
    "sandbox": ("balcli sandbox --faults", "balcli sandbox --port 8080 --latency 200"),
    "schema": ("balcli schema", "balcli schema --lines"),
    "config": ("balcli config init --provider merchant", "balcli config check"),
    "config init": ("balcli config init --provider wallet",),
    "config path": ("balcli config path",),
    "config show": ("balcli config show --profile main",),
    "config check": ("balcli config check", "balcli config check -o json"),
}
"""Of the program, whose name here is empty, and of each command by its whole name: what is typed."""

_SCREEN: Final = 40
"""Lines: a help that is longer does without blank ones."""
_WIDEST: Final = 80
_NARROWEST: Final = 24
"""Columns beside the options; where fewer are left, what an option does stands below it."""
_OTHERS: Final = "Options"
_GAP: Final = "  "
_FIRM: Final = "\xa0"
"""A blank at which no line is broken."""


def help_text(command: Any, context: Any) -> str:
    """The help of a Typer command or group, without a line's end after it."""
    columns = min(typer.get_terminal_size().columns, _WIDEST)
    below = getattr(command, "commands", {})
    commands = [(name, broken_off(each.help)) for name, each in below.items()]
    parameters = command.get_params(context)
    options = {
        heading: [
            (written(each), told(each)) for each in parameters if heading_of(each, parameters) == heading
        ]
        for heading in headings(parameters)
    }
    blocks = [_head(command, context, parameters, columns)]
    if commands:
        blocks.append(_block("Commands", commands, _widest(commands), columns))
    beside = max(map(_widest, options.values()))
    blocks += [_block(heading, rows, beside, columns) for heading, rows in options.items()]
    blocks.append(["Examples:", *(_GAP + line for line in examples(context.command_path))])
    airy = sum(map(len, blocks)) + len(blocks) <= _SCREEN
    return ("\n\n" if airy else "\n").join("\n".join(block) for block in blocks)


def broken_off(about: str) -> str:
    """What a help says in its first paragraph, which is a line of a list of commands."""
    return about.partition("\n\n")[0].replace("\n", " ")


def examples(path: str) -> tuple[str, ...]:
    """The examples of a command by its whole name, `balcli` first; none for one of a plug-in."""
    return EXAMPLES.get(path.partition(" ")[2], (f"{path} --sandbox",))


def headings(parameters: Sequence[Any]) -> list[str]:
    """The headings that a command's options stand under, in their order."""
    used = {heading_of(each, parameters) for each in parameters}
    return [heading for heading in (*HEADINGS, _OTHERS) if heading in used]


def heading_of(parameter: Any, among: Sequence[Any]) -> str:
    """The heading that an option stands under; one without, such as --help, goes with those of the output."""
    without = OUTPUT if any(each.rich_help_panel == OUTPUT for each in among) else _OTHERS
    return parameter.rich_help_panel or without


def written(parameter: Any) -> str:
    """How an option is written, with what it takes; of an argument its name."""
    if parameter.param_type_name == "argument":
        return str(parameter.metavar)
    names = ", ".join(sorted(parameter.opts, key=len))
    return names if parameter.is_flag else f"{names} {parameter.metavar or 'VALUE'}"


def told(parameter: Any) -> str:
    """What an option does, with what it can be and the variable that stands for it."""
    said, _, note = parameter.help.rstrip(".").partition(" [")
    choices = [str(each) for each in getattr(parameter.type, "choices", ())]
    if choices:
        *first, last = (f"{each} (default)" if each == parameter.default else each for each in choices)
        said += f": {', '.join(first)} or {last}"
    notes = [note.rstrip("]")] if note else []
    if getattr(parameter, "envvar", None):
        notes.append(f"env: {parameter.envvar}")
    return f"{said} [{_FIRM.join('; '.join(notes).split(' '))}]." if notes else f"{said}."


def _head(command: Any, context: Any, parameters: Sequence[Any], columns: int) -> list[str]:
    """How the command is called, and what it is for."""
    named = [written(each) for each in parameters if each.param_type_name == "argument"]
    if hasattr(command, "commands"):
        named = ["COMMAND", "[ARGS]..."]
    lines = [" ".join([f"Usage: {context.command_path} [OPTIONS]", *named])]
    return lines + [_GAP + row for part in command.help.split("\n\n") for row in _broken(part, columns - 2)]


def _widest(rows: Sequence[tuple[str, str]]) -> int:
    return max(len(name) for name, _ in rows)


def _block(heading: str, rows: Sequence[tuple[str, str]], beside: int, columns: int) -> list[str]:
    """A heading with what stands under it: names, and what they mean in a column, below them where none is left."""
    lines = [f"{heading}:"]
    start = len(_GAP) + beside + len(_GAP)
    for name, about in rows:
        if columns - start >= _NARROWEST:
            first, *more = _broken(about, columns - start)
            lines.append(f"{_GAP}{name:<{beside}}{_GAP}{first}")
            lines += [" " * start + row for row in more]
        else:
            lines.append(_GAP + name)
            lines += [_GAP * 3 + row for row in _broken(about, columns - len(_GAP) * 3)]
    return lines


def _broken(text: str, room: int) -> list[str]:
    """The text in lines of at most that many characters. What the standard library has for it is long to load."""
    rows = [""]
    for word in text.replace("\n", " ").split(" "):
        longer = f"{rows[-1]} {word}" if rows[-1] else word
        if len(longer) <= room or not rows[-1]:
            rows[-1] = longer
        else:
            rows.append(word)
    return [row.replace(_FIRM, " ") for row in rows]
