"""Makes the man page, `docs/balcli.1`, of the command tree, the providers' keys and the README's exit codes.

`python docs/manpage.py`, with balcli installed in the interpreter's environment. The page's date is kept where
nothing else is new.
"""

import re
import textwrap
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import typer

from balcli import __version__
from balcli.cli import help as helps
from balcli.cli.app import COMMANDS, app, load
from balcli.cli.options import HEADINGS
from balcli.config.sources import PREFIX, prefix_of
from balcli.errors import BalcliError, leaves
from balcli.providers import OWN, PROVIDERS
from balcli.providers.base import Key

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "balcli.1"
README = ROOT / "README.md"

DESCRIPTION = """\
Every digit that a provider sent is shown, a failure is never shown as zero, and a total is a number only if every \
account answered.

stdout is data and nothing else. Messages go to stderr, one line each. No option takes a secret, because process \
lists show options.

Accounts stand in a profile: `balcli config init` writes one, `balcli config check` and `balcli doctor` say what is \
wrong with it. With `--sandbox` a command needs none, and asks a stand-in that it starts itself."""
EXAMPLES = (
    ("The accounts of the built-in sandbox:", "balcli all --sandbox"),
    ("What a script reads:", "balcli all --sandbox -o json"),
    ("A profile, and what is wrong with it:", "balcli config init --provider merchant\nbalcli doctor"),
    ("Two assets of one wallet:", "balcli wallet treasury --asset BTC,USDT"),
    ("From cron, into a file that is never half written:", "balcli all -q -o json -O balances.json"),
    ("As a monitoring plugin:", "balcli check --asset USDT --account shop --warn 5000: --crit 500:"),
    ("What changed since yesterday:", "balcli all --record\nbalcli diff 24h"),
)
VARIABLES = {
    "BALCLI_DEBUG": "If 1, a bug in balcli prints its traceback, too, without local variables.",
    "NO_COLOR": "If it is not empty, there is no colour.",
    "FORCE_COLOR": "If it is not empty, a table has colour in a pipe, too; `NO_COLOR` and `--no-color` win over it.",
    "TERM": "If dumb, there is no colour.",
    "HTTPS_PROXY, NO_PROXY": "The proxy, and for which hosts there is none, where the profile names none.",
    "XDG_CONFIG_HOME, XDG_CACHE_HOME, XDG_STATE_HOME": "Where the files below are, other than under the home folder.",
}
FILES = {
    "~/.config/balcli/config.toml": "The profiles. macOS: ~/Library/Application Support/balcli/config.toml.",
    "~/.config/balcli/.env": "What `${NAME}` in a profile stands for, where the environment does not say it; always "
    "the one beside the profile, or that of `--env-file`.",
    "~/.local/state/balcli/history.db": "The runs of `--record`.",
    "~/.local/state/balcli/PROFILE.lock": "Held by a run with `--record`. There is never a reason to remove it.",
    "~/.cache/balcli/": "Token tables, which are public.",
}
BASE_URL = Key("base_url", "text", "the API's address")
OPTIONS = r"[\fIOPTION\fR]..."
SEE_ALSO = ("jq(1)", "mlr(1)", "hledger(1)", "crontab(5)", "systemd.timer(5)")
# What troff would read as something else, or print as a character that cannot be pasted into a shell.
SPECIAL = str.maketrans(
    {"\\": r"\e", "-": r"\-", "'": r"\(aq", "`": r"\(ga", "^": r"\(ha", "~": r"\(ti", "…": "..."}
)


class Described(NamedTuple):
    """An option or argument: how it is written, in troff, what it does, and the heading of its help."""

    written: str
    about: str
    heading: str = ""


class Page(NamedTuple):
    """A command without subcommands: its whole name, help, arguments and options."""

    name: str
    help: str
    arguments: tuple[Described, ...]
    options: tuple[Described, ...]


def text(plain: str) -> str:
    """A text as troff prints it. Raises ValueError for a character that not every device has."""
    escaped = plain.translate(SPECIAL)
    if not escaped.isascii():
        raise ValueError(f"not ASCII: {plain!r}")
    return re.sub(r"^([.'])", r"\\&\1", escaped, flags=re.MULTILINE)


def prose(markdown: str) -> str:
    """A sentence of the README's markup as troff: names in bold, links as their text, places in it left out."""
    plain = re.sub(r" \(\[\w+\]\(#[^)]*\)\)", "", markdown)
    plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", plain)
    parts = re.split(r"`([^`]+)`", plain)
    return "".join(bold(part) if number % 2 else text(part) for number, part in enumerate(parts))


def bold(plain: str) -> str:
    """A text in bold."""
    return rf"\fB{text(plain)}\fR"


def italic(plain: str) -> str:
    """A text in italics."""
    return rf"\fI{text(plain)}\fR"


def pages() -> Iterator[Page]:
    """The commands of the tree; those of plug-ins are left out, which differ from one installation to the next."""
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
    """An argument, by the name that the usage has for it."""
    return Described(italic(parameter.metavar), text(parameter.help))


def option(parameter: Any) -> Described:
    """An option, with its values, range, default and variable."""
    written = ", ".join(bold(name) for name in sorted((*parameter.opts, *parameter.secondary_opts), key=len))
    choices, low, high = (getattr(parameter.type, name, None) for name in ("choices", "min", "max"))
    if not parameter.is_flag:
        written += f" {italic(parameter.metavar or 'VALUE')}"
    more = []
    if choices is not None:
        more.append(f"one of {', '.join(choices)}")
    if low is not None:
        more.append(f"from {low}" + (f" to {high}" if high is not None else " on"))
    if parameter.show_default and not parameter.is_flag and parameter.default is not None:
        more.append(f"{parameter.default} by default")
    if parameter.envvar:
        more.append(f"also from {parameter.envvar}")
    about = prose("; ".join([parameter.help.rstrip("."), *more]) + ".")
    return Described(written, about, parameter.rich_help_panel or "")


def of_the_program() -> tuple[Described, ...]:
    """The options of balcli itself, the help of each command among them."""
    group: Any = typer.main.get_command(app)
    context = typer.Context(group, info_name="balcli", **group.context_settings)
    return tuple(option(parameter) for parameter in group.get_params(context))


def paragraphs(markdown: str) -> str:
    """The paragraphs of a text; the first without a macro, because a heading is one."""
    return ".PP\n".join(f"{prose(one)}\n" for one in markdown.split("\n\n"))


def terms(listed: Iterable[Described]) -> str:
    """What is written, each with what it means indented below."""
    return "".join(f".TP\n{one.written}\n{one.about}\n" for one in listed)


def of_the_command(page: Page, common: frozenset[Described]) -> str:
    """A command's part of the page: usage, help, arguments, its own options, the names of the common ones, examples."""
    usage = [bold(f"balcli {page.name}"), *([OPTIONS] if page.options else ())]
    usage += [argument.written for argument in page.arguments]
    made = f".SS {heading(page.name)}\n{' '.join(usage)}\n.PP\n"
    made += paragraphs(page.help)
    made += terms((*page.arguments, *(option for option in page.options if option not in common)))
    shared = [long_name(option) for option in page.options if option in common]
    made += f".PP\nCommon options, described below: {', '.join(shared)}.\n" if shared else ""
    return f"{made}.PP\nExamples:\n.PP\n{typed(*helps.examples(f'balcli {page.name}'))}"


def long_name(option: Described) -> str:
    """The long name of an option, in bold."""
    return str(re.findall(r"\\fB\\-\\-.*?\\fR", option.written)[0])


def shared_by(commands: Sequence[Page]) -> tuple[Described, ...]:
    """The options of several commands, in the order of the tree; of those with one name, what most of them mean by it."""
    counts = Counter(option for command in commands for option in command.options)
    most = {long_name(option): option for option, _ in reversed(counts.most_common())}
    return tuple(
        option for option, count in counts.items() if count > 1 and most[long_name(option)] == option
    )


def heading(plain: str) -> str:
    """The argument of a macro that starts a section."""
    return f'"{text(plain)}"' if " " in plain else text(plain)


def table(columns: str) -> Iterator[Described]:
    """The rows of the README's table with these columns; the last is what a row means, those between are left out."""
    (rows,) = re.findall(rf"^{re.escape(columns)}\n\|[-|]+\n((?:\|.*\n)+)", README.read_text(), re.MULTILINE)
    for row in rows.splitlines():
        first, *_, last = (cell.strip() for cell in row.strip("|").split(" | "))
        yield Described(bold(first.replace("`", "")), prose(last[0].upper() + last[1:] + "."))


def exit_codes() -> Iterator[Described]:
    """What each exit code means by the README, and the codes of the errors that lead to it."""
    for written, about, _ in table("| code | means |"):
        errors = [bold(leaf.code) for leaf in leaves(BalcliError) if bold(str(leaf.exit_code)) == written]
        yield Described(written, about + (f" In JSON: {', '.join(errors)}." if errors else ""))


def variables(commands: Sequence[Page]) -> Iterator[Described]:
    """The variables that stand for options, those of the surroundings, and those that make an account."""
    named: dict[str, dict[str, None]] = {}
    for option in (option for command in commands for option in command.options):
        for variable in re.findall(rf"also from ({PREFIX}\w+)", option.about):
            named.setdefault(variable, {})[long_name(option)] = None
    for variable, names in sorted(named.items()):
        yield Described(bold(variable), f"Stands for {', '.join(names)}, where it is not given.")
    yield from (Described(bold(name), prose(about)) for name, about in VARIABLES.items())
    for provider in OWN:
        for key in (*PROVIDERS[provider].KEYS, BASE_URL):
            if key.kind != "table":
                name = f"{prefix_of(provider)}{key.name.upper()}"
                written = ", ".join(map(bold, [name, f"{name}_FILE"] if key.kind == "secret" else [name]))
                yield Described(written, prose(f"{key.help[0].upper()}{key.help[1:]}."))


def examples() -> str:
    """The examples, each as it is typed."""
    return ".PP\n".join(f"{prose(about)}\n.PP\n{typed(lines)}" for about, lines in EXAMPLES)


def typed(*lines: str) -> str:
    """What is typed, as it stands."""
    return f".nf\n.RS 4\n{text(chr(10).join(lines))}\n.RE\n.fi\n"


def by_heading(listed: Sequence[Described]) -> str:
    """Options under the headings that the help of a command has for them."""
    return "".join(
        f".SS {heading(name)}\n" + terms(one for one in listed if one.heading == name)
        for name in HEADINGS
        if any(one.heading == name for one in listed)
    )


def sections() -> dict[str, str]:
    """What stands on the page, by its headings."""
    commands = tuple(pages())
    common = shared_by(commands)
    about = app.info.help or ""
    return {
        "NAME": f"balcli \\- {text(about[0].lower() + about[1:].rstrip('.'))}\n",
        "SYNOPSIS": f"{bold('balcli')} {italic('COMMAND')} {OPTIONS} [{italic('ARGUMENT')}]...\n",
        "DESCRIPTION": paragraphs(DESCRIPTION),
        "OPTIONS": terms(of_the_program()),
        "COMMANDS": "".join(of_the_command(command, frozenset(common)) for command in commands),
        "COMMON OPTIONS": by_heading(common),
        "EXIT STATUS": terms(exit_codes())
        + f".PP\n{prose('If all accounts fail, it is the lowest of their codes.')}\n"
        + f".SS {heading('balcli check')}\n"
        + terms(table("| exit code | state | means |")),
        "ENVIRONMENT": terms(variables(commands)),
        "FILES": terms(Described(italic(name), prose(what)) for name, what in FILES.items()),
        "EXAMPLES": examples(),
        "SEE ALSO": " ,\n".join(f".BR {name.replace('(', ' (')}" for name in SEE_ALSO) + "\n",
    }


def wrapped(troff: str) -> str:
    """Troff with no line over 80 characters but macros, terms and what is typed."""
    lines, filled, last = list[str](), True, ""
    for line in troff.splitlines():
        filled = line == ".fi" or (filled and line != ".nf")
        if not filled or line.startswith(".") or last == ".TP":
            lines.append(line)
        else:
            first, *more = textwrap.wrap(line, 79, break_long_words=False, break_on_hyphens=False)
            # A line that began so would be a macro.
            lines += [first, *(re.sub(r"^([.'])", r"\\&\1", part) for part in more)]
        last = line
    return "\n".join(lines) + "\n"


def page(date: str) -> str:
    """The whole page, with this date."""
    return wrapped(
        '.\\" Made by docs/manpage.py of the command tree: do not change it by hand.\n'
        f'.TH BALCLI 1 {date} "balcli {__version__}" "User Commands"\n.nh\n.ad l\n'
        + "".join(f".SH {heading(name)}\n{content}" for name, content in sections().items())
    )


def date_of(made: str) -> str:
    """The date that a page has."""
    return str(re.findall(r"^\.TH BALCLI 1 (\S+) ", made, re.MULTILINE)[0])


def refresh() -> None:
    """Write the page if it says anything new, with the date of today."""
    old = PAGE.read_text() if PAGE.exists() else ""
    if not old or page(date_of(old)) != old:
        PAGE.write_text(page(datetime.now(UTC).date().isoformat()))


if __name__ == "__main__":
    refresh()
