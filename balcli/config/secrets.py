"""Where secrets are had from: the profile as it stands, a file, or a command. Never shown, never logged."""

import os
import select
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from balcli.config.source import read_text
from balcli.errors import SecretError
from balcli.http.timing import Deadline
from balcli.secret import Secret, validate_credential
from balcli.text import printable

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
