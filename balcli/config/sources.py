"""Where a configuration comes from: files, TOML, the environment and `.env`, and the sources of secrets."""

import os
import re
import stat
from binascii import a2b_base64
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from balcli import pipes
from balcli.config.checks import RAISE_FIRST, Problems
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
from balcli.models import Notice
from balcli.secret import Secret, validate_credential
from balcli.settings import COMMAND_SECONDS
from balcli.text import printable

if TYPE_CHECKING:
    from balcli.http.timing import Deadline

MAX_BYTES: Final = 1_000_000
_MOST_LEVELS: Final = 50  # a login nested twenty deep begins at level five
_MOST_PEM: Final = 10_000_000
_CERTIFICATE: Final = rb"(?s)-----BEGIN (?:TRUSTED )?CERTIFICATE-----(.*?)-----END "


def exists(path: Path) -> bool:
    """Whether a path exists. One that may not be looked at counts, so that reading it says why."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return False
    except OSError:
        return True
    return True


class FileText(NamedTuple):
    """The text of a file, and the state of the opened file."""

    path: Path
    text: str
    state: os.stat_result

    def require_private(self, why: str) -> None:
        """Raise ConfigFileError, with the chmod, if every user may read the file."""
        if is_readable_by_others(self.state):
            raise ConfigFileError(
                f"{shown(self.path)}: {why}, and every user can read it; {chmod(self.state, self.path)}"
            )


def read_text(path: Path, most_bytes: int = MAX_BYTES, problems: Problems = RAISE_FIRST) -> FileText:
    """The text of a UTF-8 file or FIFO, without its byte-order mark. Only the user or root may own or write it.

    The checks are made on the opened file, so that it cannot be changed between check and use.
    Raises ConfigFileError. A wrong owner or mode is added to the problems.
    """
    name = shown(path)
    if is_relative_to_nothing(path):
        raise ConfigFileError(nowhere(path))

    def check(state: os.stat_result) -> None:
        flaw = permission_problem(state, path)
        if flaw is not None:
            problems.add(ConfigFileError(f"{name}: {flaw}"))

    if pipes.is_fifo(path):
        try:
            content, state = pipes.reader.read(path, most_bytes + 1, check)
        except OSError as problem:
            raise ConfigFileError(
                f"{name}: cannot be read: {problem.strerror}; start what writes to it before balcli, or give the path of a file"
            ) from None
    else:
        content, state = _read_file(path, most_bytes + 1, check)
    if len(content) > most_bytes:
        size = f"{most_bytes / 1_000_000:g} MB" if most_bytes >= 1_000_000 else f"{most_bytes} bytes"
        raise ConfigFileError(f"{name}: is over {size}, which no such file can need; name the right one")
    try:
        return FileText(path, content.decode("utf-8-sig"), state)
    except UnicodeDecodeError:
        raise ConfigFileError(f"{name}: is not UTF-8; save it in that encoding") from None


def _read_file(
    path: Path, most: int, check: Callable[[os.stat_result], None]
) -> tuple[bytes, os.stat_result]:
    """At most that many bytes of a regular file, and its state. Raises ConfigFileError, and what the check raises."""
    name = shown(path)
    try:
        descriptor = open_for_reading(path)
    except FileNotFoundError:
        raise ConfigFileError(f"{name}: there is no such file; check the path") from None
    except (OSError, ValueError) as problem:
        reason = getattr(problem, "strerror", None) or "not a usable path"
        raise ConfigFileError(
            f"{name}: cannot be opened: {reason}; check the path and its permissions"
        ) from None
    try:
        state = os.fstat(descriptor)
        if not stat.S_ISREG(state.st_mode):
            raise ConfigFileError(f"{name}: is no regular file; give the path of one")
        check(state)
        return _read(descriptor, most), state
    except OSError as problem:
        raise ConfigFileError(f"{name}: cannot be read: {problem.strerror}; check the disk") from None
    finally:
        os.close(descriptor)


def _read(descriptor: int, most: int) -> bytes:
    content = b""
    while len(content) < most and (piece := os.read(descriptor, most - len(content))):
        content += piece
    return content


def pem_flaw(path: Path) -> str | None:
    """Why a file cannot be one of PEM certificates; None if it looks like one."""
    try:
        descriptor = open_for_reading(path)
    except (OSError, ValueError) as problem:
        return f"cannot be opened: {getattr(problem, 'strerror', None) or 'not a usable path'}"
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return "is no regular file"
        content = _read(descriptor, _MOST_PEM + 1)
    except OSError as problem:
        return f"cannot be read: {problem.strerror}"
    finally:
        os.close(descriptor)
    if len(content) > _MOST_PEM:
        return f"is over {_MOST_PEM // 1_000_000} MB"
    blocks = re.findall(_CERTIFICATE, content)  # not compiled at import: few profiles name a bundle
    return None if blocks and all(_is_base64(block) for block in blocks) else "holds no certificates"


def _is_base64(block: bytes) -> bool:
    try:
        return bool(a2b_base64(b"".join(block.split()), strict_mode=True))
    except ValueError:
        return False


# What a message of tomli begins with, the flaw and the cure. The whole message may contain a piece of a secret.
_TOML_FLAWS: Final = {
    ("Cannot ", "Duplicate "): (
        ": it stands above already",
        "remove one of the two, and write each of several accounts as [[...]]",
    ),
    ("Unterminated ", "Illegal ", "Expected '\"", "Expected \"'"): (
        ": a text is not closed, or holds what no text can",
        "add its quote",
    ),
    ("Expected '='",): (": a key is not followed by =", "write KEY = VALUE"),
    ("Invalid value",): (": what follows = is no value", "write texts in quotes"),
    ("Unclosed ",): (": a list or table is not closed", "add its bracket"),
    ("Unescaped ",): (": a \\ stands alone in a text", "write it twice"),
    ("",): ("", "mend that place"),
}


def parse_toml(text: str, name: str) -> dict[str, Any]:
    """The document of a TOML 1.1 text; messages call it `name`.

    Raises ConfigSyntaxError with line, column and kind alone: the text there may be a secret.
    """
    import tomli  # not needed by `--help`

    too_deep = ConfigSyntaxError(
        f"{name}: is nested too deeply, and a profile needs four levels; remove the others"
    )
    try:
        document = tomli.loads(text)
    except tomli.TOMLDecodeError as problem:
        flaw, cure = next(said for begin, said in _TOML_FLAWS.items() if problem.msg.startswith(begin))
        raise ConfigSyntaxError(
            f"{name}: is not valid TOML at line {problem.lineno}, column {problem.colno}{flaw}; {cure}"
        ) from None
    except RecursionError:
        raise too_deep from None
    except ValueError:
        # tomli lets a number of over 4,300 digits through to int(), which refuses it.
        raise ConfigSyntaxError(f"{name}: holds a number that is too long; shorten it") from None
    if is_deeper(document, _MOST_LEVELS):
        raise too_deep
    return document


# In this order, so that `$${` is taken for the literal before `${` is looked for.
_PLACEHOLDER = re.compile(r"\$\$\{|\$\{([A-Za-z_][A-Za-z0-9_]*)\}|\$\{")
# With these names a `.env` could redirect the program's traffic or load foreign code.
_IGNORED = re.compile(
    r".*_proxy|REQUESTS_CA_BUNDLE|CURL_CA_BUNDLE|SSL_.*|SSLKEYLOGFILE|LD_.*|DYLD_.*|PYTHON.*|NETRC",
    re.IGNORECASE,
)
PREFIX: Final = "BALCLI_"


class Variables(NamedTuple):
    """The environment, and apart from it the variables of the `.env` file."""

    environ: Mapping[str, str]
    env_file: Path | None = None
    from_file: Mapping[str, str] = MappingProxyType({})
    notices: tuple[Notice, ...] = ()
    lines: Mapping[str, int] = MappingProxyType({})
    """The line of each variable in the `.env` file."""

    def expand(self, text: str, place: str) -> str:
        """The text with each `${NAME}` replaced; `$${` is a literal `${`.

        Raises VariableError, naming the place, for an undefined name or any other `${`.
        """
        if "${" not in text:
            return text
        undefined: dict[str, None] = {}

        def value(match: re.Match[str]) -> str:
            if match[0] == "$${":
                return "${"
            name = match[1]
            if name is None:
                raise VariableError(
                    f"{place}: a ${{ is not followed by a NAME and }}; write $${{ if the text is meant as it stands"
                )
            found = self.environ.get(name, self.from_file.get(name))
            if found is None:
                undefined[name] = None
            return found or ""

        expanded = _PLACEHOLDER.sub(value, text)
        if undefined:
            file = f" or in {shown(self.env_file)}" if self.env_file else " or in a .env beside the profile"
            names = ", ".join(undefined)
            shown_names = ", ".join(f"${{{name}}}" for name in undefined)
            raise VariableError(
                f"{place}: {shown_names} {'is' if len(undefined) == 1 else 'are'} not defined; "
                f"set {names} in the environment{file}"
            )
        return expanded

    def path(self, text: str, place: str) -> str:
        """A path with the home folder in the place of `~/`. Raises VariableError, naming the place, without HOME."""
        try:
            return expand_home(text, self.environ)
        except ValueError as problem:
            raise VariableError(f"{place}: {problem}") from None

    def is_defined(self, name: str) -> bool:
        """Whether the environment or the `.env` file has the variable."""
        return name in self.environ or name in self.from_file

    def origin(self, name: str) -> str:
        """The source of a variable: `environment NAME`, or `.env:3 NAME` with the file's name and the line."""
        if name in self.environ:
            return f"environment {name}"
        if self.env_file is not None and name in self.from_file:
            return f"{self.env_file.name}:{self.lines.get(name, 0)} {name}"
        return f"{name} (not defined)"

    def origins(self, text: str) -> tuple[str, ...]:
        """The sources of a text: each `${NAME}` with its own, and `as it stands` if it has text beside them."""
        found = [
            f"${{{name}}} from {'the environment' if name in self.environ else shown(self.env_file or Path('.env'))}"
            for name in dict.fromkeys(names_in(text))
        ]
        return (*found, "as it stands") if has_own_text(text) else tuple(found)

    def names(self, provider: str) -> tuple[str, ...]:
        """The names of the provider's `BALCLI_<PROVIDER>_<KEY>` variables that are set, from both sources."""
        prefix = prefix_of(provider)
        return tuple(name for name in {**self.environ, **self.from_file} if name.startswith(prefix))

    def settings(self, provider: str) -> tuple[dict[str, str], str]:
        """The values of the provider's `BALCLI_<PROVIDER>_<KEY>` variables by key, and their one source."""
        prefix = prefix_of(provider)
        sources = [(self.environ, "environment")]
        if self.env_file is not None:
            sources.append((self.from_file, shown(self.env_file)))
        for source, origin in sources:
            found = {
                name[len(prefix) :].lower(): value
                for name, value in source.items()
                if name.startswith(prefix)
            }
            if found:
                return found, origin
        return {}, ""


def names_in(text: str) -> tuple[str, ...]:
    """The names of all `${NAME}` in a text."""
    return tuple(match[1] for match in _PLACEHOLDER.finditer(text) if match[1] is not None)


def as_written(text: str) -> str:
    """A text with each `$${` replaced by `${`, and each `${NAME}` left as it is."""
    return _PLACEHOLDER.sub(lambda match: "${" if match[0] == "$${" else match[0], text)


def prefix_of(provider: str) -> str:
    """The prefix of a provider's variables: `BALCLI_<PROVIDER>_`."""
    return f"{PREFIX}{provider.upper().replace('-', '_')}_"


def has_own_text(text: str) -> bool:
    """Whether a text has anything beside `${NAME}` in it."""
    return bool(_PLACEHOLDER.sub(lambda match: match[0] if match[1] is None else "", text))


def read_variables(
    environ: Mapping[str, str], env_file: Path | None, problems: Problems = RAISE_FIRST
) -> Variables:
    """The environment with the variables of a `.env` file, as python-dotenv reads its quotes and comments.

    Nothing is expanded in it, and nothing of it enters the process's environment. The problems are
    ConfigFileError, and ConfigSyntaxError with the number of a line that does not parse.
    """
    if env_file is None:
        return Variables(environ)
    from io import StringIO

    from dotenv.parser import parse_stream  # takes longer to import than tomli

    found: dict[str, str] = {}
    lines: dict[str, int] = {}
    notices: list[Notice] = []
    with problems:
        file = read_text(env_file, problems=problems)
        with problems:
            file.require_private("a .env is taken to hold secrets")
        for binding in parse_stream(StringIO(file.text)):
            # A binding begins after the line before it: blank lines ahead of it count as its own.
            skipped = len(binding.original.string) - len(binding.original.string.lstrip())
            line = binding.original.line + binding.original.string[:skipped].count("\n")
            if binding.error:
                problems.add(
                    ConfigSyntaxError(f"{shown(env_file)}: line {line} is not NAME=value; mend or remove it")
                )
            name = binding.key
            if name is None or binding.value is None:
                continue
            place = f"{shown(env_file)}: {printable(name, 40)}"
            if _IGNORED.fullmatch(name):
                message = f"{place} is ignored there; set it in the real environment"
                notices.append(Notice("env_file.ignored", None, message))
                continue
            if name in found:
                message = (
                    f"{place} stands on line {lines[name]} and again on line {line}, which counts; remove one"
                )
                notices.append(Notice("env_file.doubled", None, message))
            found[name], lines[name] = binding.value, line
    return Variables(environ, env_file, found, tuple(notices), lines)


_MOST_BYTES: Final = 65_536


def checked_secret(text: str, place: str, *, is_credential: bool = True) -> Secret:
    """The secret, if it can be sent as it is. Raises SecretError, naming the place and never the text."""
    problem = validate_credential(text)
    if problem is not None:
        raise SecretError(f"{place}: the secret {problem}; check where it comes from")
    return Secret(text, is_credential=is_credential)


class SecretSources:
    """Reads secrets from files and commands, each command once a run, within its seconds and the run's deadline.

    Without a deadline no command is run: each must only exist, and a random secret replaces its output.
    """

    def __init__(self, deadline: "Deadline | None", command_timeout: float = COMMAND_SECONDS) -> None:
        self._deadline = deadline
        self._command_timeout = command_timeout
        self._outputs: dict[tuple[str, ...], str] = {}

    def from_file(self, path: Path, place: str) -> Secret:
        """The content of a file without one final line break. Raises SecretError."""
        if self._deadline is not None:
            pipes.reader.stop_after(self._deadline.left())
        try:
            text = read_text(path, _MOST_BYTES).text
        except ConfigFileError as problem:
            raise SecretError(f"{place}: {problem.message}") from None
        return checked_secret(_without_line_break(text), place)

    def from_command(self, arguments: Sequence[str], place: str) -> Secret:
        """What a command prints on stdout, without one final line break. Raises SecretError.

        It runs without a shell. Its stderr may repeat the secret and is not shown.
        """
        command = tuple(arguments)
        if command not in self._outputs:
            self._outputs[command] = _without_line_break(self._output_of(command, place))
        return checked_secret(self._outputs[command], place)

    def _output_of(self, command: tuple[str, ...], place: str) -> str:
        if self._deadline is not None:
            from balcli.config import commands  # few profiles have a command

            return commands.output_of(command, min(self._command_timeout, self._deadline.left()), place)
        from shutil import which

        if which(command[0]) is None:
            name = printable(command[0], 60)
            raise SecretError(f"{place}: {name} is no program that can be found; check the command and PATH")
        return os.urandom(16).hex()


def _without_line_break(text: str) -> str:
    """The text without one line break (LF or CRLF) at its end; a second one is refused as a control character."""
    return text[:-1].removesuffix("\r") if text.endswith("\n") else text
