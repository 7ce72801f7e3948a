"""`${NAME}`: from the environment, then from one `.env` file; nothing of that file leaves this module's values."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from balcli.config.source import read_text, shown
from balcli.errors import ConfigSyntaxError, VariableError
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


@dataclass(frozen=True, slots=True)
class Variables:
    """The environment, and the variables of the `.env` file, which stay apart from it."""

    environ: Mapping[str, str]
    env_file: Path | None = None
    from_file: Mapping[str, str] = field(default_factory=dict)
    notices: tuple[Notice, ...] = ()

    def expand(self, text: str, place: str) -> str:
        """The text with each `${NAME}` replaced, `$${` meaning a literal `${`.

        Raises VariableError, naming the place, for an undefined name and for any other `${`.
        """

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
                file = f" or in {shown(self.env_file)}" if self.env_file else ""
                raise VariableError(
                    f"{place}: ${{{name}}} is not defined; set {name} in the environment{file}"
                )
            return found

        return _PLACEHOLDER.sub(value, text)

    def settings(self, provider: str) -> tuple[dict[str, str], str]:
        """The `BALCLI_<PROVIDER>_<KEY>` variables by key, and where they are from: one place, never both."""
        prefix = f"{PREFIX}{provider.upper().replace('-', '_')}_"
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


def has_own_text(text: str) -> bool:
    """Whether a text has anything beside `${NAME}` in it: then it says something as it stands."""
    return bool(_PLACEHOLDER.sub(lambda match: match[0] if match[1] is None else "", text))


def read_variables(environ: Mapping[str, str], env_file: Path | None) -> Variables:
    """The environment with the variables of a `.env` file, as python-dotenv reads its quotes and comments.

    Nothing is expanded in it, and nothing of it enters the process's environment. Raises
    ConfigFileError, or ConfigSyntaxError with the number of a line that does not parse.
    """
    if env_file is None:
        return Variables(environ)
    from io import StringIO

    from dotenv.parser import parse_stream  # only where there is a .env: it costs more than the TOML

    found: dict[str, str] = {}
    notices: list[Notice] = []
    file = read_text(env_file)
    file.refuse_if_readable("a .env is taken to hold secrets")
    for binding in parse_stream(StringIO(file.text)):
        if binding.error:
            # The binding begins after the line before it; blank lines ahead of the fault count as its own.
            skipped = len(binding.original.string) - len(binding.original.string.lstrip())
            line = binding.original.line + binding.original.string[:skipped].count("\n")
            raise ConfigSyntaxError(f"{shown(env_file)}: line {line} is not NAME=value; mend or remove it")
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
        found[binding.key] = binding.value
    return Variables(environ, env_file, found, tuple(notices))
