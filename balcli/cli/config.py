"""`balcli config`: write a profile, print its path, show it without its secrets, check it offline."""

import os
import sys
from collections.abc import Iterable, Mapping
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
from balcli.cli.output import print_message, print_notice, terminal_columns, wants_colour, write_stdout
from balcli.cli.profiles import default_file
from balcli.errors import BalcliError, ConfigFileError, OutputError, UsageError
from balcli.files import is_relative_to_nothing, nowhere
from balcli.providers import PLUGIN_NOTICES, PROVIDERS
from balcli.text import did_you_mean, printable

if TYPE_CHECKING:
    from balcli.config.inspection import InspectedProfile, Inspection, Setting
    from balcli.models import Notice
    from balcli.render.settings import Row

_SCHEMA_VERSION: Final = "1.0"

Quiet = Annotated[
    bool,
    typer.Option("--quiet", "-q", help="Say nothing but the data and what is wrong.", rich_help_panel=OUTPUT),
]

app = typer.Typer(
    cls=Group,
    help="Write a profile, say where it is, show it, check it.",
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
            help="Write this file.",
            rich_help_panel=WHOSE,
            show_default=False,
        ),
    ] = None,
    provider: Annotated[
        list[str] | None,
        typer.Option(
            "--provider",
            metavar="NAME",
            help="An account at this provider; repeat for several.",
            rich_help_panel=WHOSE,
            autocompletion=completion.providers,
        ),
    ] = None,
    quiet: Annotated[
        bool,
        typer.Option("--quiet", "-q", help="Ask nothing, and say no next steps.", rich_help_panel=OUTPUT),
    ] = False,
) -> None:
    """Write a commented profile that only you can read.

    On a terminal it asks which providers you use; else it writes them all. It never asks for a secret.
    """
    from balcli.config.template import profile_text, variables_of
    from balcli.files import shown, write_new
    from balcli.providers.base import HasBaseUrlNote

    file = _path(config)
    taken = ConfigFileError(
        f"{shown(file)} already exists; edit it, move it away first, or name another file with --config"
    )
    if os.path.lexists(file):
        raise taken
    names = list(dict.fromkeys(provider or ()))
    unknown = [name for name in names if name not in PROVIDERS]
    if unknown:
        raise UsageError(
            f"--provider: there is no {printable(unknown[0], 40)}; {did_you_mean(unknown[0], PROVIDERS)}"
        )
    if not names and not quiet and _is_interactive():
        names = _ask_for_providers()
    chosen = [each for name, each in PROVIDERS.items() if name in names or not names]
    try:
        write_new(file, profile_text(chosen))
    except FileExistsError:
        raise taken from None
    except OSError as problem:
        raise OutputError(
            f"{shown(file)} cannot be written: {problem.strerror}; check the folder, or name a file with --config"
        ) from None
    write_stdout(f"{file}\n")
    if not quiet:
        for each in chosen:
            if isinstance(each, HasBaseUrlNote):
                print_message(f"note: {each.BASE_URL_NOTE}", each.NAME)
            print_message(
                f"for {each.NAME}, set {', '.join(variables_of(each))} (or write values in the file)"
            )
        print_message(
            f"they can stand in the environment, or in {shown(file.parent / '.env')} with mode 0600"
        )
        print_message("then run balcli config check, and balcli all")


@app.command(cls=Command)
def path(config: ConfigFile = None) -> None:
    """Print where the profile file is, or would be."""
    write_stdout(f"{_path(config)}\n")


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

    Secrets are shown as ***, and no secret's command is run.
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
        colour = columns is not None and wants_colour(os.environ, no_color=False)
        write_stdout(render(f"{head}: {printable(where)}", parts, columns, colour=colour))
    raise typer.Exit(_report(inspection, () if quiet else notices))


@app.command(cls=Command)
def check(
    config: ConfigFile = None,
    profile: ProfileName = None,
    env_file: EnvFile = None,
    output: TableOrJsonOption = None,
    quiet: Quiet = False,
) -> None:
    """Look for everything that is wrong with the file, offline.

    All its profiles are checked, or the one of --profile. No secret's command is run.
    """
    from balcli.config.credentials import expiring_credentials, short_credentials

    inspection = _inspect(config, profile, env_file, every=True)
    found = [*PLUGIN_NOTICES]
    for inspected in inspection.profiles:
        found += inspected.profile.variables.notices
        for opened in inspected.accounts:
            found += [*short_credentials(opened), *expiring_credentials(opened)]
            found += opened.entry.exposed_files()
    notices = [*dict.fromkeys(found)]
    if TableOrJson.chosen(output) is TableOrJson.json:
        document = {"file": str(_path(config)), "ok": not inspection.problems}
        _write_json(document | {"problems": _errors(inspection.problems)} | _warnings(notices))
    else:
        # Without this line, a reader of stdout alone would take a profile's `ok` for that of the file.
        own = _not_ok("file", inspection.elsewhere) if inspection.elsewhere else ""
        write_stdout(own + "".join(_result(each) for each in inspection.profiles))
    raise typer.Exit(_report(inspection, () if quiet else notices))


def write_failure(error: BalcliError, line: CommandLine) -> None:
    """Write the document of a `show` or `check` that failed before it began."""
    if line.output != TableOrJson.json:
        return
    errors = _errors([error])
    if "show" in line.names:
        empty: dict[str, list[object]] = {key: [] for key in ("accounts", "settings", "limits", "warnings")}
        _write_json({"profile": None, "file": None, **empty, "errors": errors})
    elif "check" in line.names:
        _write_json({"file": None, "ok": False, "problems": errors, "warnings": []})


def _path(config: Path | None) -> Path:
    """The absolute path of the profile file. Raises ConfigFileError if home or working directory are not usable."""
    file = config or default_file()
    if is_relative_to_nothing(file):
        raise ConfigFileError(nowhere(file))
    return file.absolute()


def _is_interactive() -> bool:
    """Whether stdin and stderr are terminals."""
    try:
        return sys.stdin.isatty() and sys.stderr.isatty()
    except (AttributeError, ValueError):  # a stream is missing or closed
        return False


def _ask_for_providers() -> list[str]:
    """The providers that the user names, none for an empty line. Raises Abort at the end of input."""
    lines = [f"  {name:<10} {printable(provider.TITLE, 60)}\n" for name, provider in PROVIDERS.items()]
    sys.stderr.write("Which providers do you use?\n" + "".join(lines))
    while True:
        sys.stderr.write("Their names, with commas between them (Enter for all): ")
        sys.stderr.flush()
        line = sys.stdin.readline()
        if not line:
            raise typer.Abort
        names = line.replace(",", " ").split()
        unknown = [name for name in names if name not in PROVIDERS]
        if not unknown:
            return names
        sys.stderr.write(f"there is no {printable(unknown[0], 40)}; {did_you_mean(unknown[0], PROVIDERS)}\n")


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


def _report(inspection: "Inspection", notices: "Iterable[Notice]") -> int:
    """Write the notices and problems to stderr; the exit code."""
    for notice in notices:
        print_notice(notice)
    for problem in inspection.problems:
        print_message(problem.message)
    return max((problem.exit_code for problem in inspection.problems), default=0)


def _write_json(document: Mapping[str, Any]) -> None:
    from balcli.render.json import to_json

    write_stdout(to_json({"schema_version": _SCHEMA_VERSION, **document}))


def _errors(problems: Iterable[BalcliError]) -> list[dict[str, str]]:
    return [{"code": problem.code, "message": problem.message} for problem in problems]


def _warnings(notices: "Iterable[Notice]") -> dict[str, Any]:
    from balcli.render.json import warning

    return {"warnings": [warning(notice) for notice in notices]}


def _result(inspected: "InspectedProfile") -> str:
    """The line of a profile in the result of a check."""
    name = inspected.profile.name
    about = f"profile {printable(name, 60)}" if name is not None else "the environment's accounts"
    if inspected.problems:
        return _not_ok(about, inspected.problems)
    names = ", ".join(printable(opened.entry.name, 60) for opened in inspected.accounts)
    return f"ok      {about}: {names}\n"


def _not_ok(about: str, problems: int) -> str:
    return f"not ok  {about}: {problems} problem{'s' if problems > 1 else ''}\n"


def _plain(settings: "Iterable[Setting]") -> list[dict[str, Any]]:
    return [each._asdict() for each in settings]


def _rows(settings: "Iterable[Setting]") -> "list[Row]":
    from balcli.render.settings import Row

    def text(value: Any) -> str:
        return (
            "-" if value is None else printable(", ".join(value) if isinstance(value, tuple) else str(value))
        )

    return [Row(each.key, text(each.value), each.source) for each in settings]
