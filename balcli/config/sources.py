"""Where a configuration comes from: files, TOML, the environment and `.env`, and the sources of secrets."""

import os
import re
import select
import stat
import subprocess
import time
from binascii import a2b_base64
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from balcli.config.checks import RAISED, Faults
from balcli.errors import ConfigFileError, ConfigSyntaxError, SecretError, VariableError
from balcli.files import is_readable_by_others, open_for_reading, permission_problem, shown
from balcli.http.timing import Deadline
from balcli.models import Notice
from balcli.secret import Secret, validate_credential
from balcli.text import printable

MAX_BYTES: Final = 1_000_000
_MOST_LEVELS: Final = 50  # a login nested twenty deep begins at level five
_MOST_PEM: Final = 10_000_000
_CERTIFICATE: Final = rb"(?s)-----BEGIN (?:TRUSTED )?CERTIFICATE-----(.*?)-----END "


def is_there(path: Path) -> bool:
    """Whether there is something at a path; what cannot even be looked at counts, so that reading it says why."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return False
    except OSError:
        return True
    return True


class FileText(NamedTuple):
    """A file's text, and what the opened file was found to be."""

    path: Path
    text: str
    state: os.stat_result

    def refuse_if_readable(self, why: str) -> None:
        """Raise ConfigFileError, with the chmod, if other users may read the file."""
        if is_readable_by_others(self.state):
            raise ConfigFileError(
                f"{shown(self.path)}: {why}, and every user can read it; chmod 600 {printable(str(self.path), 120)}"
            )


def read_text(path: Path, most_bytes: int = MAX_BYTES, faults: Faults = RAISED) -> FileText:
    """A regular file of the user or root, writable by its owner alone, in UTF-8, without its byte-order mark.

    The checks are made on the opened file, so that it cannot be changed between check and use.
    Raises ConfigFileError; what is wrong with owner and mode alone is left to the faults.
    """
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
        flaw = permission_problem(state, path)
        if flaw is not None:
            with faults:
                raise ConfigFileError(f"{name}: {flaw}")
        content = _read(descriptor, most_bytes + 1)
    except OSError as problem:
        raise ConfigFileError(f"{name}: cannot be read: {problem.strerror}; check the disk") from None
    finally:
        os.close(descriptor)
    if len(content) > most_bytes:
        size = f"{most_bytes / 1_000_000:g} MB" if most_bytes >= 1_000_000 else f"{most_bytes} bytes"
        raise ConfigFileError(f"{name}: is over {size}, which no such file can need; name the right one")
    try:
        return FileText(path, content.decode("utf-8-sig"), state)
    except UnicodeDecodeError:
        raise ConfigFileError(f"{name}: is not UTF-8; save it in that encoding") from None


def _read(descriptor: int, most: int) -> bytes:
    """Up to so many bytes of an open file."""
    content = b""
    while len(content) < most and (piece := os.read(descriptor, most - len(content))):
        content += piece
    return content


def pem_flaw(path: Path) -> str | None:
    """Why a file cannot be one of PEM certificates; None where it looks like one."""
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
    blocks = re.findall(_CERTIFICATE, content)  # compiled where a bundle is named, which is seldom
    return None if blocks and all(_is_base64(block) for block in blocks) else "holds no certificates"


def _is_base64(block: bytes) -> bool:
    try:
        return bool(a2b_base64(b"".join(block.split()), strict_mode=True))
    except ValueError:
        return False


# How the parser's words begin, which can go on with the text that stands there; what is wrong, and what to do.
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


def _is_deeper(document: dict[str, Any], most: int) -> bool:
    """Whether tables and lists stand in one another more than so often: what goes through them recurses."""
    level: list[Any] = [document]
    for _ in range(most):
        level = [
            item
            for value in level
            if isinstance(value, dict | list)
            for item in (value.values() if isinstance(value, dict) else value)
        ]
    return any(isinstance(value, dict | list) for value in level)


def parse_toml(text: str, name: str) -> dict[str, Any]:
    """The document of a TOML 1.1 text; `name` says in messages where it is from.

    Raises ConfigSyntaxError with line, column and kind alone: the text there may be a secret.
    """
    import tomli  # where the work begins: `--help` and completion need none of it

    too_deep = ConfigSyntaxError(
        f"{name}: is nested too deeply, and a profile needs four levels; remove the others"
    )
    try:
        document = tomli.loads(text)
    except tomli.TOMLDecodeError as problem:
        flaws = (said for begin, said in _TOML_FLAWS.items() if problem.msg.startswith(begin))
        flaw, cure = next(flaws)
        raise ConfigSyntaxError(
            f"{name}: is not valid TOML at line {problem.lineno}, column {problem.colno}{flaw}; {cure}"
        ) from None
    except RecursionError:
        raise too_deep from None
    except ValueError:
        # tomli lets a number of over 4,300 digits through to int(), which refuses it.
        raise ConfigSyntaxError(f"{name}: holds a number that is too long; shorten it") from None
    if _is_deeper(document, _MOST_LEVELS):
        raise too_deep
    return document


# In this order, so that `$${` is taken for the literal before `${` is looked for.
_PLACEHOLDER = re.compile(r"\$\$\{|\$\{([A-Za-z_][A-Za-z0-9_]*)\}|\$\{")
# Names by which a `.env` could turn the program's traffic or its loader to somebody else's ends.
_IGNORED = re.compile(
    r".*_proxy|REQUESTS_CA_BUNDLE|CURL_CA_BUNDLE|SSL_.*|SSLKEYLOGFILE|LD_.*|DYLD_.*|PYTHON.*|NETRC",
    re.IGNORECASE,
)
PREFIX: Final = "BALCLI_"


class Variables(NamedTuple):
    """The environment, and the variables of the `.env` file, which stay apart from it."""

    environ: Mapping[str, str]
    env_file: Path | None = None
    from_file: Mapping[str, str] = MappingProxyType({})
    notices: tuple[Notice, ...] = ()
    lines: Mapping[str, int] = MappingProxyType({})
    """On which line of the `.env` file each of its variables stands."""

    def expand(self, text: str, place: str) -> str:
        """The text with each `${NAME}` replaced, `$${` meaning a literal `${`.

        Raises VariableError, naming the place, for undefined names and for any other `${`.
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

    def is_defined(self, name: str) -> bool:
        """Whether a variable has a value, here or there."""
        return name in self.environ or name in self.from_file

    def origin(self, name: str) -> str:
        """Where a variable is from: `environment NAME`, or `.env:3 NAME` with the file's own name and the line."""
        if name in self.environ:
            return f"environment {name}"
        if self.env_file is not None and name in self.from_file:
            return f"{self.env_file.name}:{self.lines.get(name, 0)} {name}"
        return f"{name} (not defined)"

    def origins(self, text: str) -> tuple[str, ...]:
        """Where what a text says comes from: each `${NAME}` with its source, and the text itself."""
        found = [
            f"${{{name}}} from {'the environment' if name in self.environ else shown(self.env_file or Path('.env'))}"
            for name in dict.fromkeys(names_in(text))
        ]
        return (*found, "as it stands") if has_own_text(text) else tuple(found)

    def names(self, provider: str) -> tuple[str, ...]:
        """The names of all `BALCLI_<PROVIDER>_<KEY>` variables that are set, in the environment or the `.env`."""
        prefix = prefix_of(provider)
        return tuple(name for name in {**self.environ, **self.from_file} if name.startswith(prefix))

    def settings(self, provider: str) -> tuple[dict[str, str], str]:
        """The `BALCLI_<PROVIDER>_<KEY>` variables by key, and where they are from: one place, never both."""
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
    """A text with each `${NAME}` as it is, and each `$${` as the `${` that it means."""
    return _PLACEHOLDER.sub(lambda match: "${" if match[0] == "$${" else match[0], text)


def prefix_of(provider: str) -> str:
    """What the names of a provider's variables begin with: `BALCLI_<PROVIDER>_`."""
    return f"{PREFIX}{provider.upper().replace('-', '_')}_"


def has_own_text(text: str) -> bool:
    """Whether a text has anything beside `${NAME}` in it: then it says something as it stands."""
    return bool(_PLACEHOLDER.sub(lambda match: match[0] if match[1] is None else "", text))


def read_variables(environ: Mapping[str, str], env_file: Path | None, faults: Faults = RAISED) -> Variables:
    """The environment with the variables of a `.env` file, as python-dotenv reads its quotes and comments.

    Nothing is expanded in it, and nothing of it enters the process's environment. The faults are
    ConfigFileError, and ConfigSyntaxError with the number of a line that does not parse.
    """
    if env_file is None:
        return Variables(environ)
    from io import StringIO

    from dotenv.parser import parse_stream  # only where there is a .env: it costs more than the TOML

    found: dict[str, str] = {}
    lines: dict[str, int] = {}
    notices: list[Notice] = []
    with faults:
        file = read_text(env_file, faults=faults)
        with faults:
            file.refuse_if_readable("a .env is taken to hold secrets")
        for binding in parse_stream(StringIO(file.text)):
            # A binding begins after the line before it; blank lines ahead of it count as its own.
            skipped = len(binding.original.string) - len(binding.original.string.lstrip())
            line = binding.original.line + binding.original.string[:skipped].count("\n")
            if binding.error:
                with faults:
                    raise ConfigSyntaxError(
                        f"{shown(env_file)}: line {line} is not NAME=value; mend or remove it"
                    )
            if binding.key is None or binding.value is None:
                continue
            if _IGNORED.fullmatch(binding.key):
                notices.append(
                    Notice(
                        "env_file.ignored",
                        None,
                        f"{shown(env_file)}: {printable(binding.key, 40)} is ignored there; set it in the real environment",
                    )
                )
                continue
            if binding.key in found:
                notices.append(
                    Notice(
                        "env_file.doubled",
                        None,
                        f"{shown(env_file)}: {printable(binding.key, 40)} stands on line {lines[binding.key]} and again on "
                        f"line {line}, which counts; remove one",
                    )
                )
            found[binding.key] = binding.value
            lines[binding.key] = line
    return Variables(environ, env_file, found, tuple(notices), lines)


_MOST_BYTES: Final = 65_536
_COMMAND_SECONDS: Final = 10.0


def checked_secret(text: str, place: str, *, is_credential: bool = True) -> Secret:
    """The secret, if it can be sent as it is. Raises SecretError, naming the place and never the text."""
    problem = validate_credential(text)
    if problem is not None:
        raise SecretError(f"{place}: the secret {problem}; check where it comes from")
    return Secret(text, is_credential=is_credential)


class SecretSources:
    """Reads secrets from files and commands, each command once a run, within the run's deadline."""

    def __init__(self, deadline: Deadline) -> None:
        self._deadline = deadline
        self._printed: dict[tuple[str, ...], str] = {}

    def from_file(self, path: Path) -> str:
        """The content of a file, one final line break left out. Raises ConfigFileError."""
        return _without_line_break(read_text(path, _MOST_BYTES).text)

    def from_command(self, arguments: Sequence[str], place: str) -> str:
        """What a command prints on stdout, one final line break left out. Raises SecretError.

        It runs without a shell, with nothing on stdin, for at most 10 seconds; what it says on
        stderr is not shown, because it can hold what it should not.
        """
        command = tuple(arguments)
        if command not in self._printed:
            self._printed[command] = _without_line_break(self._run(command, place))
        return self._printed[command]

    def _run(self, command: tuple[str, ...], place: str) -> str:
        name = printable(command[0], 60)
        seconds = min(_COMMAND_SECONDS, self._deadline.left())
        try:
            # A list and no shell: nothing of the profile is taken for shell syntax.
            process = subprocess.Popen(  # noqa: S603
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
            )
        except (OSError, ValueError) as problem:
            reason = getattr(problem, "strerror", None) or "its arguments cannot be passed on"
            raise SecretError(f"{place}: {name} cannot be started: {reason}; check the command") from None
        try:
            output = _output(process, time.monotonic() + seconds)
            if output is None:
                raise SecretError(f"{place}: {name} took over {seconds:.2g} s; run it by hand to see why")
        finally:
            # Whatever ended the wait, Ctrl-C included, the command does not outlive it.
            process.kill()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()
        return _checked_output(output, process.returncode, f"{place}: {name}")


class UnrunSources(SecretSources):
    """Reads secrets from files alone: of a command it only looks whether it could be started.

    A text that nobody knows stands in for what a command would print, one for each command.
    """

    def __init__(self) -> None:
        super().__init__(Deadline(0))

    def _run(self, command: tuple[str, ...], place: str) -> str:
        from shutil import which

        if which(command[0]) is None:
            raise SecretError(
                f"{place}: {printable(command[0], 60)} is no program that can be found; check the command and PATH"
            )
        return os.urandom(16).hex()


def _output(process: "subprocess.Popen[bytes]", until: float) -> bytes | None:
    """What the command printed by its end, or a little more than is allowed; None if it did not end in time."""
    if process.stdout is None:
        raise RuntimeError("the command was started without a pipe")
    output = b""
    while len(output) <= _MOST_BYTES:
        left = until - time.monotonic()
        if left <= 0 or not select.select([process.stdout], [], [], left)[0]:
            return None
        piece = os.read(process.stdout.fileno(), _MOST_BYTES)
        if not piece:
            break
        output += piece
    else:
        return output
    try:
        process.wait(max(until - time.monotonic(), 0.01))
    except subprocess.TimeoutExpired:
        return None
    return output


def _checked_output(output: bytes, status: int, name: str) -> str:
    if len(output) > _MOST_BYTES:
        raise SecretError(f"{name} printed over {_MOST_BYTES} bytes; let it print the secret alone")
    if status != 0:
        ending = f"ended with status {status}" if status > 0 else f"was ended by signal {-status}"
        raise SecretError(f"{name} {ending}; run it by hand to see why")
    if not output:
        raise SecretError(f"{name} printed nothing; run it by hand to see why")
    try:
        return output.decode()
    except UnicodeDecodeError:
        raise SecretError(
            f"{name} printed something that is not UTF-8; let it print the secret alone"
        ) from None


def _without_line_break(text: str) -> str:
    """The text without one line break (LF or CRLF) at its end; a second one is the reader's to see."""
    return text[:-1].removesuffix("\r") if text.endswith("\n") else text
