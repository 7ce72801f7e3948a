"""`${NAME}`: from the environment, then from one `.env` file; nothing of that file leaves this module's values."""

import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final, NamedTuple

from balcli.config.faults import RAISED, Faults
from balcli.config.source import read_text
from balcli.errors import ConfigSyntaxError, VariableError
from balcli.files import shown
from balcli.models import Notice
from balcli.text import printable

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
