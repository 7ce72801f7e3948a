"""The content of the man page and the reference: the command tree, the providers' keys, the tables of exit codes.

Texts are Markdown: names in backquotes, placeholders between asterisks.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import typer

from balcli.cli.app import COMMANDS, app, load
from balcli.config.sources import PREFIX, prefix_of
from balcli.errors import BalcliError, leaves
from balcli.providers import OWN, PROVIDERS
from balcli.providers.base import Key

ROOT: Final = Path(__file__).parent.parent
README: Final = ROOT / "README.md"
MONITORING: Final = ROOT / "docs" / "monitoring.md"
OPTIONS: Final = "[*OPTION*]..."

VARIABLES = {
    "BALCLI_DEBUG": "If 1, a bug in balcli also prints its traceback, without local variables.",
    "NO_COLOR": "If not empty, disables colour.",
    "FORCE_COLOR": "If `false`, disables colour. If `0` or empty, changes nothing. Otherwise enables colour, also in pipes and "
    "files. `NO_COLOR` and `--no-color` override it.",
    "TERM": "If dumb, disables colour, unless `FORCE_COLOR` enables it.",
    "HTTPS_PROXY, NO_PROXY": "The proxy and the hosts that bypass it, if the profile has no `proxy`.",
    "XDG_CONFIG_HOME, XDG_CACHE_HOME, XDG_STATE_HOME": "Replace ~/.config, ~/.cache and ~/.local/state in the paths below.",
}
FILES = {
    "~/.config/balcli/config.toml": "The profiles. macOS: ~/Library/Application Support/balcli/config.toml.",
    "~/.config/balcli/.env": "Values for `${NAME}` in a profile, if the environment has none. It is the one next to "
    "the profile, or the file of `--env-file`.",
    "~/.local/state/balcli/history.db": "The runs of `--record`.",
    "~/.local/state/balcli/PROFILE.lock": "Locked by a run with `--record`. Never remove it.",
    "~/.cache/balcli/": "Token tables, which are public.",
}
BASE_URL = Key("base_url", "text", "the API's address")


class Described(NamedTuple):
    """An option, argument, code, variable or file: its spelling, its meaning, and its heading in the help."""

    written: str
    about: str
    heading: str = ""


class Page(NamedTuple):
    """A command without subcommands: its full name, help, arguments and options."""

    name: str
    help: str
    arguments: tuple[Described, ...]
    options: tuple[Described, ...]

    @property
    def usage(self) -> str:
        """The command line."""
        written = (argument.written for argument in self.arguments)
        return " ".join([f"`balcli {self.name}`", *([OPTIONS] if self.options else ()), *written])


def code(plain: str) -> str:
    """A name as Markdown code."""
    return f"`{plain}`"


def pages() -> Iterator[Page]:
    """The commands of the tree, without those of plugins, which differ between installations."""
    for name in COMMANDS:
        if name in PROVIDERS and name not in OWN:
            continue
        command = load(name)
        leaves_of = dict(getattr(command, "commands", {"": command}))
        if getattr(command, "is_command", False):
            leaves_of = {"": command, **leaves_of}
        for below, leaf in leaves_of.items():
            arguments = [argument(p) for p in leaf.params if p.param_type_name == "argument"]
            options = [option(p) for p in leaf.params if p.param_type_name == "option"]
            yield Page(f"{name} {below}".rstrip(), leaf.help, tuple(arguments), tuple(options))


def argument(parameter: Any) -> Described:
    """An argument, with its name in the usage."""
    return Described(f"*{parameter.metavar}*", parameter.help)


def option(parameter: Any) -> Described:
    """An option, with its values, range, default and variable."""
    written = ", ".join(code(name) for name in sorted((*parameter.opts, *parameter.secondary_opts), key=len))
    choices, low, high = (getattr(parameter.type, name, None) for name in ("choices", "min", "max"))
    if not parameter.is_flag:
        written += f" *{parameter.metavar or 'VALUE'}*"
    more = []
    if choices is not None:
        more.append(f"one of {', '.join(choices)}")
    if low is not None:
        more.append(f"from {low}" + (f" to {high}" if high is not None else " on"))
    if parameter.show_default and not parameter.is_flag and parameter.default is not None:
        more.append(f"{parameter.default} by default")
    if parameter.envvar:
        more.append(f"also from {parameter.envvar}")
    about = "; ".join([parameter.help.rstrip("."), *more]) + "."
    return Described(written, about, parameter.rich_help_panel or "")


def of_the_program() -> tuple[Described, ...]:
    """The options of balcli itself, including --help."""
    group: Any = typer.main.get_command(app)
    context = typer.Context(group, info_name="balcli", **group.context_settings)
    return tuple(option(parameter) for parameter in group.get_params(context))


def long_name(option: Described) -> str:
    """The long name of an option."""
    return str(re.findall(r"`--[^`]*`", option.written)[0])


def shared_by(commands: Sequence[Page]) -> tuple[Described, ...]:
    """The options of several commands, in the order of the tree, each with the meaning that most commands give it."""
    counts = Counter(option for command in commands for option in command.options)
    most = {long_name(option): option for option, _ in reversed(counts.most_common())}
    return tuple(
        option for option, count in counts.items() if count > 1 and most[long_name(option)] == option
    )


def table(page: Path, columns: str) -> Iterator[Described]:
    """The first and last cells of the rows in a page's table with these columns."""
    (rows,) = re.findall(rf"^{re.escape(columns)}\n\|[-|]+\n((?:\|.*\n)+)", page.read_text(), re.MULTILINE)
    for row in rows.splitlines():
        first, *_, last = (cell.strip() for cell in row.strip("|").split(" | "))
        yield Described(code(first.replace("`", "")), f"{last[0].upper()}{last[1:]}.")


def exit_codes() -> Iterator[Described]:
    """The README's meaning of each exit code, and the error codes that lead to it."""
    for written, about, _ in table(README, "| code | means |"):
        errors = [code(leaf.code) for leaf in leaves(BalcliError) if code(str(leaf.exit_code)) == written]
        yield Described(written, about + (f" In JSON: {', '.join(errors)}." if errors else ""))


def check_codes() -> Iterator[Described]:
    """The meaning of each exit code of `balcli check`."""
    return table(MONITORING, "| exit code | state | means |")


def variables(commands: Sequence[Page]) -> Iterator[Described]:
    """The variables for options, the other variables that balcli reads, and those that define an account."""
    named: dict[str, dict[str, None]] = {}
    for option in (option for command in commands for option in command.options):
        for variable in re.findall(rf"also from ({PREFIX}\w+)", option.about):
            named.setdefault(variable, {})[long_name(option)] = None
    for variable, names in sorted(named.items()):
        yield Described(code(variable), f"The default of {', '.join(names)}.")
    yield from (Described(code(name), about) for name, about in VARIABLES.items())
    for provider in OWN:
        for key in (*PROVIDERS[provider].KEYS, BASE_URL):
            if key.kind != "table":
                name = f"{prefix_of(provider)}{key.name.upper()}"
                written = ", ".join(map(code, [name, f"{name}_FILE"] if key.kind == "secret" else [name]))
                yield Described(written, f"{key.help[0].upper()}{key.help[1:]}.")


def files() -> Iterator[Described]:
    """The files that balcli reads and writes."""
    return (Described(f"*{name}*", about) for name, about in FILES.items())
