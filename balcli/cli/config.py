"""`balcli config`: create a profile, print its path, show it without secrets, and check it offline."""

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from balcli.cli import completion
from balcli.cli.app import Command, CommandLine, Group
from balcli.cli.options import (
    OUTPUT,
    WHOSE,
    Color,
    ConfigFile,
    EnvFile,
    NoColor,
    ProfileName,
    TableOrJson,
    TableOrJsonOption,
    in_home,
)
from balcli.cli.output import (
    is_interactive,
    print_message,
    print_notice,
    terminal_columns,
    wants_colour,
    write_stdout,
)
from balcli.cli.profiles import default_file, refuse_existing, write_new_files
from balcli.errors import BalcliError, ConfigFileError, UsageError
from balcli.files import is_relative_to_nothing, nowhere, shown
from balcli.providers import PLUGIN_NOTICES, PROVIDERS
from balcli.text import did_you_mean, join_names, numbered, printable, width

if TYPE_CHECKING:
    from balcli.config.inspection import InspectedProfile, Inspection, ListedProfile, Setting
    from balcli.models import Notice
    from balcli.providers.base import Provider
    from balcli.render.settings import Row

_SCHEMA_VERSION: Final = "1.0"

Quiet = Annotated[
    bool,
    typer.Option("--quiet", "-q", help="Print only data and errors.", rich_help_panel=OUTPUT),
]

app = typer.Typer(
    cls=Group,
    help="Create, find, list, show and check profiles.",
    add_completion=False,
    rich_markup_mode=None,
)


@app.command(cls=Command)
def init(
    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            "-c",
            metavar="FILE",
            envvar="BALCLI_CONFIG",
            callback=in_home,
            help="Create this file.",
            rich_help_panel=WHOSE,
            show_default=False,
        ),
    ] = None,
    provider: Annotated[
        list[str] | None,
        typer.Option(
            "--provider",
            metavar="NAME",
            help="Add an account at this provider (comma-separated or repeated).",
            rich_help_panel=WHOSE,
            autocompletion=completion.providers,
        ),
    ] = None,
    env: Annotated[
        bool | None,
        typer.Option(
            "--env/--no-env",
            help="Also write a .env with the variable names (--no-env: do not ask).",
            rich_help_panel=OUTPUT,
            show_default=False,
        ),
    ] = None,
    quiet: Annotated[
        bool,
        typer.Option(
            "--quiet", "-q", help="Do not ask questions or print next steps.", rich_help_panel=OUTPUT
        ),
    ] = False,
) -> None:
    """Create a commented profile that only you can read.

    On a terminal, it asks which providers you use. Otherwise, it includes all of them. It never asks for a secret.
    """
    from balcli.config.template import env_text, profile_text

    file = _path(config)
    beside = file.parent / ".env"
    refuse_existing(file, "edit it, move it away first, or use another file with --config")
    if env:
        refuse_existing(beside, "add the variables to it, or remove --env")
    names = _named(provider or ())
    if provider and not names:
        raise UsageError(f"--provider: no provider given; use one of: {join_names(PROVIDERS)}")
    asks = not quiet and is_interactive()
    if not names and asks:
        names = _ask_for_providers()
    chosen = [each for name, each in PROVIDERS.items() if name in names or not names]
    if env is None and asks and not os.path.lexists(beside):
        env = _agrees(f"Write {shown(beside)} with the names of their variables, too?")
    texts = ({beside: env_text(chosen)} if env else {}) | {file: profile_text(chosen)}
    write_new_files(texts, "use another file with --config")
    write_stdout(f"{file}\n")
    if not quiet:
        _print_next_steps(chosen, config, texts)


def _print_next_steps(providers: "Sequence[Provider]", config: Path | None, written: Iterable[Path]) -> None:
    """Print the written files, the variables to set and the next commands on stderr."""
    from shlex import quote

    from balcli.config.template import variables_of
    from balcli.providers.base import HasBaseUrlNote

    *others, file = written
    print_message(f"wrote {shown(file)}, mode 0600, for {join_names(each.NAME for each in providers)}")
    for each in providers:
        if isinstance(each, HasBaseUrlNote):
            print_message(f"note: {each.BASE_URL_NOTE}", each.NAME)
        print_message(
            f"for {each.NAME}, set {', '.join(variables_of(each))} (or write the values in the file)"
        )
    if others:
        print_message(f"wrote {shown(others[0])}, mode 0600; fill in its values")
    else:
        print_message(f"set them in the environment or in {shown(file.parent / '.env')} with mode 0600")
    option = "" if config is None else f" -c {quote(str(config))}"
    print_message(f"then run balcli config check{option}, and balcli all{option}")


@app.command(cls=Command)
def path(config: ConfigFile = None) -> None:
    """Print the path of the config file, even if it does not exist."""
    write_stdout(f"{_path(config)}\n")


@app.command(cls=Command)
def profiles(
    config: ConfigFile = None,
    env_file: EnvFile = None,
    output: TableOrJsonOption = None,
    quiet: Quiet = False,
) -> None:
    """List the profiles, with the number of accounts in each.

    The default is the profile that is used without --profile.
    """
    from balcli.config.inspection import list_profiles

    listed = list_profiles(
        config or default_file(), must_exist=config is not None, env_file=env_file, environ=os.environ
    )
    notices = [*PLUGIN_NOTICES, *listed.notices]
    if TableOrJson.chosen(output) is TableOrJson.json:
        document = {"file": str(_path(config)), "profiles": _plain(listed.profiles)}
        _write_json(document | _warnings(notices) | {"errors": _errors(listed.problems)})
    else:
        from balcli.render.layout import pad

        names = [_profile_name(each.profile) for each in listed.profiles]
        column = max(map(width, names), default=0)
        lines = [
            f"{pad(name, column)}  {_count(each.accounts)}{'  (default)' if each.default else ''}\n"
            for name, each in zip(names, listed.profiles, strict=True)
        ]
        write_stdout("".join(lines))
    raise typer.Exit(_report(listed.problems, () if quiet else notices))


@app.command(cls=Command)
def show(
    config: ConfigFile = None,
    profile: ProfileName = None,
    env_file: EnvFile = None,
    output: TableOrJsonOption = None,
    quiet: Quiet = False,
    _no_color: NoColor = False,
    _color: Color = None,
) -> None:
    """Print a profile's settings, each with its source.

    Secrets are shown as ***. Secret commands are not run.
    """
    from balcli.config.inspection import Settings, shadowed, shown_name

    inspection = _inspect(config, profile, env_file, every=False)
    name, where = profile, str(_path(config))
    accounts: list[tuple[str, str, list[Setting]]] = []
    run: list[Setting] = []
    thresholds: list[list[Setting]] = []
    notices = list(PLUGIN_NOTICES)
    for inspected in inspection.profiles:
        found = inspected.profile
        name = found.name
        settings = Settings(inspection.file, found.variables)
        accounts = [
            (shown_name(each.entry), each.entry.provider, settings.of_account(each))
            for each in inspected.accounts
        ]
        run = settings.of_run(found, os.environ)
        thresholds = settings.of_thresholds(found)
        notices += [*found.variables.notices, *shadowed(found)]
    if not inspection.profiles and inspection.file is not None:
        notices += inspection.file.variables.notices
    if TableOrJson.chosen(output) is TableOrJson.json:
        document = {
            "profile": name,
            "file": where,
            "accounts": [
                {"account": account, "provider": provider, "settings": _plain(each)}
                for account, provider, each in accounts
            ],
            "settings": _plain(run),
            "limits": [{"settings": _plain(each)} for each in thresholds],
        }
        _write_json(document | _warnings(notices) | {"errors": _errors(inspection.problems)})
    elif inspection.profiles:
        from balcli.render.settings import render

        head = f"profile {printable(name, 60)}" if name is not None else "no profile file"
        parts = [
            (f"{printable(account, 60)} ({provider})", _rows(each)) for account, provider, each in accounts
        ]
        parts.append(("run", _rows(run)))
        parts += [(f"limit {number}", _rows(each)) for number, each in enumerate(thresholds, 1)]
        columns = terminal_columns()
        colour = columns is not None and wants_colour()
        write_stdout(render(f"{head}: {printable(where)}", parts, columns, colour=colour))
    raise typer.Exit(_report(inspection.problems, () if quiet else notices))


@app.command(cls=Command)
def check(
    config: ConfigFile = None,
    profile: ProfileName = None,
    env_file: EnvFile = None,
    output: TableOrJsonOption = None,
    quiet: Quiet = False,
) -> None:
    """Check the config file for errors, offline.

    It checks all profiles, or only the one named with --profile. Secret commands are not run.
    """
    from balcli.config.credentials import credential_notices
    from balcli.config.inspection import base_url_note

    inspection = _inspect(config, profile, env_file, every=True)
    found = [*PLUGIN_NOTICES]
    for inspected in inspection.profiles:
        found += inspected.profile.variables.notices
        for opened in inspected.accounts:
            found += [*base_url_note(opened), *credential_notices(opened)]
    notices = [*dict.fromkeys(found)]
    if TableOrJson.chosen(output) is TableOrJson.json:
        document = {"file": str(_path(config)), "ok": not inspection.problems}
        _write_json(document | {"problems": _errors(inspection.problems)} | _warnings(notices))
    else:
        # Without this line, stdout alone would look as if the whole file were ok.
        own = _not_ok("file", inspection.elsewhere) if inspection.elsewhere else ""
        write_stdout(own + "".join(_result(each) for each in inspection.profiles))
    raise typer.Exit(_report(inspection.problems, () if quiet else notices))


def write_failure(error: BalcliError, line: CommandLine) -> None:
    """Write the document of a `profiles`, `show` or `check` that failed before it started."""
    if line.output != TableOrJson.json:
        return
    errors = _errors([error])
    if "profiles" in line.names:
        _write_json({"file": None, "profiles": [], "warnings": [], "errors": errors})
    elif "show" in line.names:
        empty: dict[str, list[object]] = {key: [] for key in ("accounts", "settings", "limits", "warnings")}
        _write_json({"profile": None, "file": None, **empty, "errors": errors})
    elif "check" in line.names:
        _write_json({"file": None, "ok": False, "problems": errors, "warnings": []})


def _path(config: Path | None) -> Path:
    """The absolute path of the config file. Raises ConfigFileError if the home or working directory is not usable."""
    file = config or default_file()
    if is_relative_to_nothing(file):
        raise ConfigFileError(nowhere(file))
    return file.absolute()


def _ask(question: str) -> str:
    """Ask a question on stderr, and return the answer. Raises Abort at the end of input."""
    sys.stderr.write(question)
    sys.stderr.flush()
    line = sys.stdin.buffer.readline()
    if not line:
        raise typer.Abort
    return line.decode(errors="replace").strip()


def _ask_for_providers() -> list[str]:
    """Ask for providers. An empty line returns none. Raises Abort at the end of input."""
    lines = [
        f"  {number}  {name:<10} {printable(title, 60)}\n"
        for number, (name, title) in enumerate(PROVIDERS.titles.items(), 1)
    ]
    question = "Which providers do you use?\n" + "".join(lines)
    while True:
        try:
            return _named([_ask(f"{question}Names or numbers, separated by commas (Enter for all): ")])
        except UsageError as problem:
            question = f"{problem.message}\n"


def _agrees(question: str) -> bool:
    """Ask a yes-or-no question. An empty line means yes. Raises Abort at the end of input."""
    while True:
        answer = _ask(f"{question} [Y/n] ").casefold()
        if answer in {"", "y", "yes", "n", "no"}:
            return not answer.startswith("n")


def _named(texts: Iterable[str]) -> list[str]:
    """The providers in comma- or space-separated lists of names, vendors or menu numbers. Raises UsageError."""
    spellings = {title.split()[0].casefold(): name for name, title in reversed(PROVIDERS.titles.items())}
    words = {**dict.fromkeys(PROVIDERS), **spellings}
    spellings |= {name: name for name in PROVIDERS}
    spellings |= {str(number): name for number, name in enumerate(PROVIDERS, 1)}
    named = " ".join(texts).replace(",", " ").split()
    for word in named:
        if word.casefold() not in spellings:
            raise UsageError(f"unknown provider {printable(word, 40)}; {did_you_mean(word, words)}")
    return [spellings[word.casefold()] for word in named]


def _inspect(config: Path | None, profile: str | None, env_file: Path | None, *, every: bool) -> "Inspection":
    from balcli.config.inspection import inspect

    return inspect(
        config or default_file(),
        must_exist=config is not None,
        name=profile,
        every=every,
        env_file=env_file,
        environ=os.environ,
    )


def _report(problems: Sequence[BalcliError], notices: "Iterable[Notice]") -> int:
    """Print the notices and problems on stderr; returns the exit code."""
    for notice in notices:
        print_notice(notice)
    for problem in problems:
        print_message(problem.message)
    return max((problem.exit_code for problem in problems), default=0)


def _write_json(document: Mapping[str, Any]) -> None:
    from balcli.render.json import to_json

    write_stdout(to_json({"schema_version": _SCHEMA_VERSION, **document}))


def _errors(problems: Iterable[BalcliError]) -> list[dict[str, str]]:
    return [{"code": problem.code, "message": problem.message} for problem in problems]


def _warnings(notices: "Iterable[Notice]") -> dict[str, Any]:
    from balcli.render.json import warning

    return {"warnings": [warning(notice) for notice in notices]}


def _result(inspected: "InspectedProfile") -> str:
    """The result line of a profile."""
    name = inspected.profile.name
    about = _profile_name(name) if name is None else f"profile {_profile_name(name)}"
    if inspected.problems:
        return _not_ok(about, inspected.problems)
    names = ", ".join(printable(opened.entry.name, 60) for opened in inspected.accounts)
    return f"ok      {about}: {names}\n"


def _profile_name(name: str | None) -> str:
    return "the environment's accounts" if name is None else printable(name, 60)


def _count(accounts: int | None) -> str:
    return "not a table" if accounts is None else numbered(accounts, "account")


def _not_ok(about: str, problems: int) -> str:
    return f"not ok  {about}: {numbered(problems, 'problem')}\n"


def _plain(settings: "Iterable[Setting | ListedProfile]") -> list[dict[str, Any]]:
    return [each._asdict() for each in settings]


def _rows(settings: "Iterable[Setting]") -> "list[Row]":
    from balcli.render.settings import Row

    def text(value: Any) -> str:
        return (
            "-" if value is None else printable(", ".join(value) if isinstance(value, tuple) else str(value))
        )

    return [Row(each.key, text(each.value), each.source) for each in settings]
