"""Generates the man page, `docs/balcli.1`.

Run `python docs/manpage.py`, with balcli installed in the interpreter's environment. If nothing else changed, the page
keeps its date.
"""

import re
import textwrap
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from command_tree import (
    OPTIONS,
    ROOT,
    Described,
    Page,
    check_codes,
    exit_codes,
    files,
    long_name,
    of_the_program,
    pages,
    shared_by,
    variables,
)

from balcli import __version__
from balcli.cli import help as helps
from balcli.cli.app import app
from balcli.cli.options import HEADINGS

PAGE = ROOT / "docs" / "balcli.1"

DESCRIPTION = """\
balcli never rounds an amount, never shows a failure as zero, and shows a total only if every account answered.

stdout contains only data. Messages go to stderr, one line each. No option takes a secret, because every user can see \
the process list.

Accounts are in a profile. `balcli config init` creates it, and `balcli config check` and `balcli doctor` check it. \
With `--sandbox`, a command needs no profile, and starts a local server."""
EXAMPLES = (
    ("The accounts of the built-in sandbox:", "balcli all --sandbox"),
    ("JSON for a script:", "balcli all --sandbox -o json"),
    ("Create a profile and check it:", "balcli config init --provider merchant\nbalcli doctor"),
    ("Two assets of one wallet:", "balcli wallet treasury --asset BTC,USDT"),
    ("From cron, into a file that is replaced atomically:", "balcli all -q -o json -O balances.json"),
    ("As a monitoring plugin:", "balcli check --asset USDT --account shop --warn 5000: --crit 500:"),
    ("What changed since yesterday:", "balcli all --record\nbalcli diff 24h"),
)
SEE_ALSO = ("jq(1)", "mlr(1)", "hledger(1)", "crontab(5)", "systemd.timer(5)")
# Characters with a meaning in troff, and those that it prints as other ones, which cannot be pasted into a shell.
SPECIAL = str.maketrans(
    {"\\": r"\e", "-": r"\-", "'": r"\(aq", "`": r"\(ga", "^": r"\(ha", "~": r"\(ti", "…": "..."}
)


def text(plain: str) -> str:
    """A text, escaped for troff. Raises ValueError for a character that is not ASCII."""
    escaped = plain.translate(SPECIAL)
    if not escaped.isascii():
        raise ValueError(f"not ASCII: {plain!r}")
    return re.sub(r"^([.'])", r"\\&\1", escaped, flags=re.MULTILINE)


def prose(markdown: str) -> str:
    """Markdown as troff: names in bold, placeholders in italics, links as their text."""
    plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", markdown)
    parts = re.split(r"(`[^`]+`|\*[^*\s][^*]*\*)", plain)
    fonts = {"`": bold, "*": italic}
    return "".join(
        fonts[part[0]](part[1:-1]) if number % 2 else text(part) for number, part in enumerate(parts)
    )


def bold(plain: str) -> str:
    """A text in bold."""
    return rf"\fB{text(plain)}\fR"


def italic(plain: str) -> str:
    """A text in italics."""
    return rf"\fI{text(plain)}\fR"


def paragraphs(markdown: str) -> str:
    """The paragraphs of a text. The first has no macro, because it follows a heading."""
    return ".PP\n".join(f"{prose(one)}\n" for one in markdown.split("\n\n"))


def terms(listed: Iterable[Described]) -> str:
    """A list of terms, with their meanings indented below."""
    return "".join(f".TP\n{prose(one.written)}\n{prose(one.about)}\n" for one in listed)


def of_the_command(page: Page, common: frozenset[Described]) -> str:
    """The part of a command: usage, help, arguments, its own options, the names of the common ones, examples."""
    made = f".SS {heading(page.name)}\n{prose(page.usage)}\n.PP\n"
    made += paragraphs(page.help)
    made += terms((*page.arguments, *(option for option in page.options if option not in common)))
    shared = [long_name(option) for option in page.options if option in common]
    made += f".PP\nCommon options, described below: {prose(', '.join(shared))}.\n" if shared else ""
    return f"{made}.PP\nExamples:\n.PP\n{typed(*helps.examples(f'balcli {page.name}'))}"


def heading(plain: str) -> str:
    """The argument of a macro that starts a section."""
    return f'"{text(plain)}"' if " " in plain else text(plain)


def examples() -> str:
    """The examples, with their command lines."""
    return ".PP\n".join(f"{prose(about)}\n.PP\n{typed(lines)}" for about, lines in EXAMPLES)


def typed(*lines: str) -> str:
    """Command lines, unchanged."""
    return f".nf\n.RS 4\n{text(chr(10).join(lines))}\n.RE\n.fi\n"


def by_heading(listed: Sequence[Described]) -> str:
    """Options, under the headings of the help."""
    return "".join(
        f".SS {heading(name)}\n" + terms(one for one in listed if one.heading == name)
        for name in HEADINGS
        if any(one.heading == name for one in listed)
    )


def sections() -> dict[str, str]:
    """The sections of the page, by heading."""
    commands = tuple(pages())
    common = shared_by(commands)
    about = app.info.help or ""
    return {
        "NAME": f"balcli \\- {text(about[0].lower() + about[1:].rstrip('.'))}\n",
        "SYNOPSIS": prose(f"`balcli` *COMMAND* {OPTIONS} [*ARGUMENT*]...") + "\n",
        "DESCRIPTION": paragraphs(DESCRIPTION),
        "OPTIONS": terms(of_the_program()),
        "COMMANDS": "".join(of_the_command(command, frozenset(common)) for command in commands),
        "COMMON OPTIONS": by_heading(common),
        "EXIT STATUS": terms(exit_codes())
        + f".PP\n{prose('If all accounts fail, it is the lowest of their codes.')}\n"
        + f".SS {heading('balcli check')}\n"
        + terms(check_codes()),
        "ENVIRONMENT": terms(variables(commands)),
        "FILES": terms(files()),
        "EXAMPLES": examples(),
        "SEE ALSO": " ,\n".join(f".BR {name.replace('(', ' (')}" for name in SEE_ALSO) + "\n",
    }


def wrapped(troff: str) -> str:
    """Troff with lines of at most 80 characters, except macros, terms and command lines."""
    lines, filled, last = list[str](), True, ""
    for line in troff.splitlines():
        filled = line == ".fi" or (filled and line != ".nf")
        if not filled or line.startswith(".") or last == ".TP":
            lines.append(line)
        else:
            first, *more = textwrap.wrap(line, 79, break_long_words=False, break_on_hyphens=False)
            # Otherwise this line would be a macro.
            lines += [first, *(re.sub(r"^([.'])", r"\\&\1", part) for part in more)]
        last = line
    return "\n".join(lines) + "\n"


def page(date: str) -> str:
    """The whole page, with this date."""
    return wrapped(
        '.\\" Generated by docs/manpage.py: do not edit it.\n'
        f'.TH BALCLI 1 {date} "balcli {__version__}" "User Commands"\n.nh\n.ad l\n'
        + "".join(f".SH {heading(name)}\n{content}" for name, content in sections().items())
    )


def date_of(made: str) -> str:
    """The date that a page has."""
    return str(re.findall(r"^\.TH BALCLI 1 (\S+) ", made, re.MULTILINE)[0])


def refresh() -> None:
    """Write the page with today's date, if its content changed."""
    old = PAGE.read_text() if PAGE.exists() else ""
    if not old or page(date_of(old)) != old:
        PAGE.write_text(page(datetime.now(UTC).date().isoformat()))


if __name__ == "__main__":
    refresh()
