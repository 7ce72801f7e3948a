"""Read the sources of a configuration: files, TOML, the environment, `.env`, and secrets."""

import os
import re
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from balcli.config.problems import Problems, Source
from balcli.errors import ConfigFileError, ConfigSyntaxError, SecretError, VariableError
from balcli.files import (
    chmod,
    expand_home,
    is_readable_by_others,
    is_relative_to_nothing,
    nowhere,
    open_for_reading,
    permission_problem,
    shown,
)
from balcli.http.strictjson import is_deeper
from balcli.secret import Secret, validate_credential
from balcli.settings import CA_VARIABLES, COMMAND_SECONDS
from balcli.text import printable

if TYPE_CHECKING:
    from balcli.http.timing import Deadline
    from balcli.models import CaSource, Notice

MAX_BYTES: Final = 1_000_000
_MOST_LEVELS: Final = 50  # a login of the maximum depth (20) starts at level five


def ca_source(
    account: str | None, profile: str | None, folder: Path, environ: Mapping[str, str]
) -> "CaSource":
    """The CA certificates of an account: its `ca_bundle`, the profile's, a variable's, or the built-in ones.

    Relative paths of a `ca_bundle` are relative to the folder. A directory in a variable is an OpenSSL directory.
    """
    from balcli.models import CaSource  # imported here, because completion names profiles without the models

    for whose, text in (("account", account), ("profile", profile)):
        if text is not None:
            named_by = f"ca_bundle of the {whose}"
            return (
                CaSource("system", None, named_by)
                if text == "system"
                else CaSource("file", folder / text, named_by)
            )
    for name in CA_VARIABLES:
        if environ.get(name):
            path = Path(environ[name])
            return CaSource("folder" if path.is_dir() else "file", path, name)
    return CaSource()


def exists(path: Path) -> bool:
    """Whether a path exists. An inaccessible path counts, so that reading it raises the error."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return False
    except OSError:
        return True
    return True


class FileText(NamedTuple):
    """The text of a file, and the state of the open file."""

    text: str
    state: os.stat_result


def exposed_error(path: Path, state: os.stat_result, why: str) -> ConfigFileError:
    """The error for a file that every user can read, with the chmod command."""
    return ConfigFileError(f"{shown(path)} {why} and is readable by everyone; {chmod(state, path)}")


def read_text(path: Path, problems: Problems | None = None, most_bytes: int = MAX_BYTES) -> FileText:
    """Read a UTF-8 file or FIFO, without its byte-order mark. Only the user or root may own or write it.

    Checks the open file, so that it cannot change between check and use.
    Raises ConfigFileError. A wrong owner or mode is added to `problems`, if given.
    """
    if not path.is_absolute() and is_relative_to_nothing(path):
        raise ConfigFileError(nowhere(path))

    def check(state: os.stat_result) -> None:
        flaw = permission_problem(state, path)
        if flaw is not None:
            untrusted = ConfigFileError(f"{shown(path)} {flaw}")
            if problems is None:
                raise untrusted
            problems.add(untrusted)

    content, state = _read_file(path, most_bytes + 1, check)
    if len(content) > most_bytes:
        size = f"{most_bytes / 1_000_000:g} MB" if most_bytes >= 1_000_000 else f"{most_bytes} bytes"
        raise ConfigFileError(f"{shown(path)} is larger than {size}; check the path")
    try:
        return FileText(content.decode("utf-8-sig"), state)
    except UnicodeDecodeError:
        raise ConfigFileError(f"{shown(path)} is not UTF-8; save it as UTF-8") from None


def _read_file(
    path: Path, most: int, check: Callable[[os.stat_result], None]
) -> tuple[bytes, os.stat_result]:
    """Read at most `most` bytes of a regular file or FIFO. Raises ConfigFileError, and what `check` raises."""
    try:
        if path.is_fifo():
            return _read_fifo(path, most, check)
        descriptor = open_for_reading(path)
    except FileNotFoundError:
        raise ConfigFileError(f"{shown(path)} does not exist; check the path") from None
    except (OSError, ValueError) as problem:
        reason = getattr(problem, "strerror", None) or "not a usable path"
        raise ConfigFileError(
            f"{shown(path)} cannot be opened: {reason}; check the path and the permissions"
        ) from None
    try:
        state = os.fstat(descriptor)
        if not stat.S_ISREG(state.st_mode):
            raise ConfigFileError(f"{shown(path)} is not a regular file; check the path")
        check(state)
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return file.read(most), state
    except OSError as problem:
        raise ConfigFileError(f"{shown(path)} cannot be read: {problem.strerror}; check the disk") from None
    finally:
        os.close(descriptor)


def _read_fifo(
    path: Path, most: int, check: Callable[[os.stat_result], None]
) -> tuple[bytes, os.stat_result]:
    from balcli import pipes  # imported here, because few runs read one

    try:
        return pipes.reader.read(path, most, check)
    except OSError as problem:
        raise ConfigFileError(
            f"{shown(path)} cannot be read: {problem.strerror}; start its writer first, or use a regular file"
        ) from None


# The start of a tomli message, our message and the cure. The whole tomli message may contain a secret.
_TOML_FLAWS: Final = {
    ("Cannot ", "Duplicate "): (
        "the key or table already exists",
        "remove one of the two, or write several accounts as [[...]]",
    ),
    ("Unterminated ", "Illegal ", "Expected '\"", "Expected \"'"): (
        "string not closed, or it contains an invalid character",
        "add the missing quote",
    ),
    ("Expected '='",): ("key without a value", "write KEY = VALUE"),
    ("Invalid value",): ("invalid value", "put strings in quotes"),
    ("Unclosed ",): ("list or table not closed", "add the missing bracket"),
    ("Unescaped ",): ("single \\ in a string", "write it twice"),
    ("",): ("not valid TOML", "correct the line"),
}


def parse_toml(source: Source) -> dict[str, Any]:
    """The document parsed from TOML 1.1 text.

    Raises ConfigSyntaxError with only the line, the column and the kind of error, because the text may be a secret.
    """
    import tomli  # not needed by `--help`

    try:
        document = tomli.loads(source.text)
    except tomli.TOMLDecodeError as problem:
        flaw, cure = next(said for begin, said in _TOML_FLAWS.items() if problem.msg.startswith(begin))
        where = f"{source.name}:{problem.lineno}"
        raise ConfigSyntaxError(f"{where}: {flaw} (column {problem.colno}); {cure}") from None
    except RecursionError:
        document = None
    except ValueError:
        # tomli passes numbers of over 4,300 digits to int(), which rejects them.
        raise ConfigSyntaxError(
            f"{source.name} contains a number that is too long; use a shorter one"
        ) from None
    if document is None or is_deeper(document, _MOST_LEVELS):
        raise ConfigSyntaxError(f"{source.name} is nested too deeply; use at most four levels")
    return document


def profile_names(document: Mapping[str, Any]) -> list[str]:
    """The names of the profiles in a config file."""
    profiles = document.get("profiles")
    return [*profiles] if isinstance(profiles, dict) else []


# In this order, so that `$${` is found before `${`.
_PLACEHOLDER = r"\$\$\{|\$\{([A-Za-z_][A-Za-z0-9_]*)\}|\$\{"
# With these variables, a `.env` could redirect traffic or load code.
_IGNORED = r".*_proxy|REQUESTS_CA_BUNDLE|CURL_CA_BUNDLE|SSL_.*|SSLKEYLOGFILE|LD_.*|DYLD_.*|PYTHON.*|NETRC"
PREFIX: Final = "BALCLI_"


class Variables(NamedTuple):
    """The environment and, separately, the variables of the `.env` file."""

    environ: Mapping[str, str]
    env_file: Path | None = None
    from_file: Mapping[str, str] = MappingProxyType({})
    notices: "tuple[Notice, ...]" = ()
    lines: Mapping[str, int] = MappingProxyType({})
    """The line of each variable in the `.env` file."""

    def expand(self, text: str) -> str:
        """The text with each `${NAME}` replaced; `$${` is a literal `${`.

        Raises VariableError for an undefined name or a malformed `${`. If all values from a `.env` are empty, its
        names are undefined: they are not filled in yet.
        """
        if "${" not in text:
            return text
        undefined: dict[str, None] = {}

        def value(match: re.Match[str]) -> str:
            if match[0] == "$${":
                return "${"
            name = match[1]
            if name is None:
                raise VariableError("contains a malformed ${; write ${NAME}, or $${ for a literal ${")
            found = self.environ.get(name, self.from_file.get(name))
            if found is None:
                undefined[name] = None
            return found or ""

        expanded = re.sub(_PLACEHOLDER, value, text)
        if not expanded:
            undefined |= dict.fromkeys(name for name in names_in(text) if name not in self.environ)
        if undefined:
            file = f"in {shown(self.env_file)}" if self.env_file else "in a .env next to the profile"
            names = ", ".join(f"${{{name}}}" for name in undefined)
            verb = "is" if len(undefined) == 1 else "are"
            raise VariableError(
                f"needs {names}, which {verb} not set; set {', '.join(undefined)} in the environment or {file}"
            )
        return expanded

    def path(self, text: str) -> str:
        """A path with `~/` replaced by the home folder. Raises VariableError without HOME."""
        try:
            return expand_home(text, self.environ)
        except ValueError as problem:
            raise VariableError(f": {problem}") from None

    def is_defined(self, name: str) -> bool:
        """Whether the environment or the `.env` file has the variable."""
        return name in self.environ or name in self.from_file

    def origin(self, name: str) -> str:
        """The source of a variable: `environment NAME`, or `.env:3 NAME` with file name and line."""
        if name in self.environ:
            return f"environment {name}"
        if self.env_file is not None and name in self.from_file:
            return f"{self.env_file.name}:{self.lines.get(name, 0)} {name}"
        return f"{name} (not defined)"

    def names(self, provider: str) -> tuple[str, ...]:
        """The names of the provider's `BALCLI_<PROVIDER>_<KEY>` variables in both sources."""
        prefix = prefix_of(provider)
        return tuple(name for name in {**self.environ, **self.from_file} if name.startswith(prefix))

    @property
    def have_settings(self) -> bool:
        """Whether there may be `BALCLI_<PROVIDER>_<KEY>` variables."""
        return any(name.startswith(PREFIX) for name in (*self.environ, *self.from_file))

    def settings(self, provider: str) -> dict[str, str]:
        """The values of the provider's `BALCLI_<PROVIDER>_<KEY>` variables by key, from only one source."""
        prefix = prefix_of(provider)
        for source in (self.environ, self.from_file):
            found = {
                name[len(prefix) :].lower(): value
                for name, value in source.items()
                if name.startswith(prefix)
            }
            if found:
                return found
        return {}

    def place(self, name: str) -> str:
        """The place of a variable, for messages: `.env:3`, or the environment."""
        if self.env_file is not None and name in self.lines and name not in self.environ:
            return f"{shown(self.env_file)}:{self.lines[name]}"
        return "environment"


def texts_in(value: Any) -> Iterator[str]:
    """All strings in a value, at any depth, except keys."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | dict):
        for item in value.values() if isinstance(value, dict) else value:
            yield from texts_in(item)


def names_in(text: str) -> tuple[str, ...]:
    """The names of all `${NAME}` in a text."""
    if "${" not in text:  # true of nearly all texts
        return ()
    return tuple(match[1] for match in re.finditer(_PLACEHOLDER, text) if match[1] is not None)


def as_written(text: str) -> str:
    """The text with each `$${` replaced by `${`, and `${NAME}` unchanged."""
    return re.sub(_PLACEHOLDER, lambda match: "${" if match[0] == "$${" else match[0], text)


def prefix_of(provider: str) -> str:
    """The prefix of a provider's variables: `BALCLI_<PROVIDER>_`."""
    return f"{PREFIX}{provider.upper().replace('-', '_')}_"


def has_own_text(text: str) -> bool:
    """Whether a text contains more than `${NAME}`."""
    return bool(re.sub(_PLACEHOLDER, lambda match: match[0] if match[1] is None else "", text))


def read_variables(environ: Mapping[str, str], env_file: Path | None, problems: Problems) -> Variables:
    """Read the environment and a `.env` file, with python-dotenv's rules for quotes and comments.

    The file's values are not expanded, and are not added to the process's environment.
    """
    if env_file is None:
        return Variables(environ)
    from io import StringIO

    from dotenv.parser import parse_stream  # slower to import than tomli

    from balcli.models import Notice

    found: dict[str, str] = {}
    lines: dict[str, int] = {}
    notices: list[Notice] = []
    with problems.step():
        file = read_text(env_file, problems)
        if is_readable_by_others(file.state):
            problems.add(exposed_error(env_file, file.state, "may contain secrets"))
        for binding in parse_stream(StringIO(file.text)):
            # A binding includes the blank lines before it.
            skipped = len(binding.original.string) - len(binding.original.string.lstrip())
            line = binding.original.line + binding.original.string[:skipped].count("\n")
            where, name = f"{shown(env_file)}:{line}", binding.key
            if name is None or binding.value is None:
                if binding.error or name is not None:
                    problems.add(
                        ConfigSyntaxError(f"{where}: expected NAME=value; correct or remove the line")
                    )
            elif re.fullmatch(_IGNORED, name, re.IGNORECASE):
                message = f"{where}: {printable(name, 40)} is ignored in a .env; set it in the environment"
                notices.append(Notice("env_file.ignored", None, message))
            else:
                if name in found:
                    message = (
                        f"{where}: {printable(name, 40)} replaces line {lines[name]}; remove one of the two"
                    )
                    notices.append(Notice("env_file.doubled", None, message))
                found[name], lines[name] = binding.value, line
    return Variables(environ, env_file, found, tuple(notices), lines)


_MOST_BYTES: Final = 65_536


def checked_secret(text: str, *, is_credential: bool = True) -> Secret:
    """The secret of a text. Raises SecretError, without the text, if it cannot be sent."""
    problem = validate_credential(text)
    if problem is not None:
        raise SecretError(f"{problem}; check where the secret comes from")
    return Secret(text, is_credential=is_credential)


class SecretSources:
    """Reads secrets from files and commands. Each command runs once, within its timeout and the run's deadline.

    Without a deadline, no command is run.
    """

    def __init__(self, deadline: "Deadline | None", command_timeout: float = COMMAND_SECONDS) -> None:
        self._deadline = deadline
        self._command_timeout = command_timeout
        self._outputs: dict[tuple[str, ...], str] = {}

    def from_file(self, path: Path) -> Secret:
        """The content of a file, without one trailing line break. Raises SecretError."""
        if self._deadline is not None:
            from balcli import pipes  # imported here, because few secrets are in files

            pipes.reader.stop_after(self._deadline.left())
        try:
            text = read_text(path, most_bytes=_MOST_BYTES).text
        except ConfigFileError as problem:
            raise SecretError(f": {problem.message}") from None
        return checked_secret(_without_line_break(text))

    def from_command(self, arguments: Sequence[str], *, run: bool) -> Secret:
        """The stdout of a command, without one trailing line break. Raises SecretError.

        It runs without a shell. Its stderr may repeat the secret and is not shown. If `run` is False, the command must
        only exist, and the secret is random.
        """
        command = tuple(arguments)
        if self._deadline is None or not run:
            from shutil import which

            if which(command[0]) is None:
                raise SecretError(f": {printable(command[0], 60)} not found; check the command and PATH")
            return Secret(os.urandom(16).hex())
        if command not in self._outputs:
            from balcli.config import commands  # few profiles have a command

            seconds = min(self._command_timeout, self._deadline.left())
            if not seconds:
                name = printable(command[0], 60)
                raise SecretError(
                    f": no time left for {name} before the deadline of {self._deadline.seconds:g} s; raise --deadline"
                )
            self._outputs[command] = _without_line_break(commands.output_of(command, seconds))
        return checked_secret(self._outputs[command])


def _without_line_break(text: str) -> str:
    """The text without one trailing line break (LF or CRLF). A second one is rejected as a control character."""
    return text[:-1].removesuffix("\r") if text.endswith("\n") else text
