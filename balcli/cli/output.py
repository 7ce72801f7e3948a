"""Write to stdout, stderr and files. Files are written completely or not at all. A message is one line."""

import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, NamedTuple, TextIO, TypeAlias, cast

from balcli.errors import BalcliError, OutputError, UsageError
from balcli.files import shown
from balcli.secret import redact
from balcli.text import printable
from balcli.urls import display_url

if TYPE_CHECKING:
    from balcli.cli.progress import Progress
    from balcli.http.client import Exchange
    from balcli.models import Notice, Report
    from balcli.render.display import View

_LONGEST_MESSAGE: Final = 300
_LEAST_SECONDS: Final = 0.4
"""The minimum seconds to write a FIFO or device, even if the run used up its deadline."""

_Data: TypeAlias = str | bytes | Iterable[str]
"""Text, in one piece or several that end with a newline, or the bytes of a picture."""
_CHUNK: Final = 1_048_576
"""The size of a chunk in bytes. Most outputs are a single chunk."""

_written = False
_colour_chosen: bool | None = None
"""The choice of --color or --no-color; None to use streams and environment."""


class ReaderGone(Exception):
    """The reader of stdout closed it. Not an OSError, because Typer exits on some of those."""


def write_stdout(text: _Data) -> None:
    """Write text or a picture to stdout and flush it.

    Raises ReaderGone if the reader closed it, OutputError if stdout is closed or full.
    """
    global _written  # noqa: PLW0603 - there is one stdout
    stream = sys.__stdout__
    if stream is None:
        raise OutputError("stdout is closed; redirect it to a file or a pipe")
    # Escape characters that the locale cannot encode, so that the amounts are still written.
    chunks = _chunks(text, stream.encoding)
    chunk = next(chunks)
    _written = True
    try:
        stream.flush()
        for data in chain((chunk,), chunks):
            cast("BinaryIO", stream.buffer).write(data)
        stream.buffer.flush()
    except BrokenPipeError:
        _give_up_stdout()
        raise ReaderGone from None
    except (OSError, ValueError) as problem:
        _give_up_stdout()
        reason = problem.strerror if isinstance(problem, OSError) else "it is closed"
        raise OutputError(f"stdout cannot be written: {reason}; check where the output goes") from None
    except BaseException:
        # After a signal, the exit must not wait for a slow reader again.
        _give_up_stdout()
        raise


def has_written() -> bool:
    """Whether anything was, or should have been, written to stdout."""
    return _written


def _chunks(text: _Data, encoding: str = "utf-8") -> Iterator[bytes]:
    """The encoded data, at least one chunk. Small data is one chunk, so that an error in a piece writes nothing."""
    if isinstance(text, bytes):
        yield text
        return
    data = bytearray()
    for piece in (text,) if isinstance(text, str) else text:
        data += piece.encode(encoding, "backslashreplace")
        if len(data) >= _CHUNK:
            yield bytes(data)
            data.clear()
    yield bytes(data)


class Outputs(NamedTuple):
    """The destinations of a command's output: stdout or a file for `-o`, and files with their own formats."""

    file: Path | None = None
    """The file of the `-o` format; None for stdout."""
    others: tuple[tuple[str, Path | None], ...] = ()
    """The formats and files of `-O FORMAT:FILE`."""
    has_main: bool = True
    """Whether the `-o` format is written."""
    mode: int | None = None
    """The mode of the files; None to keep that of the old file, or use 0600."""
    begun: float = 0.0
    """The start of the command, by the monotonic clock."""

    def all(self, output: str) -> list[tuple[str, Path | None]]:
        """All formats with their files, with `output` for `-o`."""
        return [*([(output, self.file)] if self.has_main else []), *self.others]

    def without_files(self) -> "Outputs":
        """A copy without its files, for errors about them."""
        return self._replace(file=None, others=())

    def without(self, form: str, output: str) -> "Outputs":
        """A copy without the format `form`, with `output` for `-o`."""
        others = tuple(each for each in self.others if each[0] != form)
        return self._replace(others=others, has_main=self.has_main and output != form)

    def check(self) -> None:
        """Raise UsageError for a duplicate file, and OutputError for one that cannot be written. Changes no file."""
        files = [file for _, file in self.all("") if file is not None]
        if not files:
            return
        from balcli import atomic  # imported here, because few runs write a file

        places: dict[object, Path] = {}
        for file in files:
            other = places.setdefault(atomic.identity(file), file)
            if other is not file or (
                len(files) < len(self.all("")) and atomic.is_replaced(file) and atomic.is_file_of_stdout(file)
            ):
                raise UsageError(f"{shown(file)} would be written twice; use another file")
        for file in files:
            atomic.check(file)

    def write(
        self,
        output: str,
        render: Callable[[str, Path | None], _Data],
        *,
        keep_old: bool = False,
        deadline: float | None = None,
    ) -> list[OutputError]:
        """Write the output of `render` for each format and file; returns the errors of files.

        Files are replaced by `atomic.replace_all`, all or none, or not at all with `keep_old`. Then the `-o`
        format goes to stdout. The deadline, in seconds from the command's start, limits the writing of FIFOs,
        devices and descriptors. Raises the errors of `write_stdout`.
        """
        to_stdout: list[str] = []
        files: list[tuple[str, Path]] = []
        for form, file in self.all(output):
            if file is None:
                to_stdout.append(form)
            else:
                files.append((form, file))
        problems: list[OutputError] = []
        if files:
            written, problems = self._write_files(files, render, keep_old=keep_old, deadline=deadline)
            if self.has_main and self.file is not None and self.file not in written:
                to_stdout.append(output)
        for form in to_stdout:
            data = render(form, None)
            if data != "":
                write_stdout(data)
        return problems

    def _write_files(
        self,
        files: list[tuple[str, Path]],
        render: Callable[[str, Path | None], _Data],
        *,
        keep_old: bool,
        deadline: float | None,
    ) -> tuple[set[Path], list[OutputError]]:
        """Write the files; returns the written ones, and the errors."""
        from balcli import atomic, pipes
        from balcli.http.client import RequestSettings

        replaced = [(form, file) for form, file in files if atomic.is_replaced(file)]
        written: set[Path] = set()
        problems: list[OutputError] = []
        if not keep_old:
            try:
                atomic.replace_all(
                    ((file, _chunks(render(form, file))) for form, file in replaced), self.mode
                )
                written.update(file for _, file in replaced)
            except OutputError as problem:
                problems.append(problem)
        until = max(self.begun + (deadline or RequestSettings().deadline), time.monotonic() + _LEAST_SECONDS)
        for form, file in files:
            if (form, file) not in replaced:
                try:
                    pipes.write(file, _chunks(render(form, file)), until)
                    written.add(file)
                except OSError as problem:
                    problems.append(atomic.write_error(file, problem))
        return written, problems


def _give_up_stdout() -> None:
    """Discard the stream's buffer, so that the interpreter exits without a message."""
    try:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.close(null)
    except OSError:
        sys.__stdout__ = None  # type: ignore[misc]


def print_message(text: str, account: str | None = None) -> None:
    """Write one line to stderr, `balcli: ACCOUNT: TEXT`, escaped, without secrets, with at most 300 characters.

    On a terminal, `balcli:` is red for a failure, and the cure after the last semicolon is dim.
    """
    stream = sys.stderr
    if stream is None:
        return
    about = f"{printable(account, 60)}: " if account is not None else ""
    line = printable(f"balcli: {about}{redact(text)}", _LONGEST_MESSAGE)
    try:
        encoding = stream.encoding or "utf-8"
        line = line.encode(encoding, "backslashreplace").decode(encoding) + "\n"
        if stream.isatty() and _wants_colour(on_terminal=True):
            line = _coloured_message(line, failed=not text.startswith("note: "))
        stream.write(line)
        stream.flush()
    except (OSError, ValueError):
        return  # stderr is closed, but the exit code remains


def _coloured_message(line: str, *, failed: bool) -> str:
    from balcli.render.layout import Line, to_text  # imported here, because only terminals need it

    head, body = line[:8], line[8:-1]
    said, semicolon, cure = body.rpartition(";")
    if not semicolon or not failed:
        said, cure = body, ""
    return to_text(
        [
            Line()
            .add(head, "bad" if failed else "faint")
            .add(said)
            .add(semicolon + cure if cure else "", "faint")
        ],
        colour=True,
    )


def print_error(problem: BalcliError) -> int:
    """Print an error and its `others` on stderr; returns the exit code."""
    for each in problem.every:
        print_message(each.message)
    return problem.exit_code


def print_problems(report: "Report", *, quiet: bool, in_table: bool = False) -> None:
    """Print all failures of a report on stderr, and its notices unless quiet.

    The table already contains them, so they are not repeated on the same terminal.
    """
    if in_table and not report.failures and is_one_terminal():
        return
    for text, account in problems_of(report, quiet=quiet):
        print_message(text, account)


def problems_of(report: "Report", *, quiet: bool) -> Iterator[tuple[str, str | None]]:
    """The messages of all failures, and of notices unless quiet, with the account's name."""
    for failure in report.failures:
        yield failure.message, None
    for outcome in report.outcomes:
        if outcome.failure is not None:
            yield outcome.failure.message, outcome.account.name
    for notice in report.notices if not quiet else ():
        yield f"note: {notice.message}", notice.account


def print_notice(notice: "Notice") -> None:
    """Print one notice on stderr."""
    print_message(f"note: {notice.message}", notice.account)


def print_exchange(exchange: "Exchange") -> None:
    """Log one attempt of a request on stderr: names, sizes and times, never values."""
    request = exchange.request
    names = "&".join(f"{name}=…" for name, _ in request.query)
    query = f"?{names}" if names else ""
    place = display_url(request.base_url).rpartition("://")[2]
    print_message(
        f"{request.endpoint.method} {place}{request.endpoint.path}{query} ({', '.join(exchange.headers)}): {exchange.outcome}, "
        f"{exchange.sent} B sent, {exchange.received} B received, {exchange.seconds * 1000:.0f} ms, "
        f"try {exchange.attempt}"
    )


def terminal_rows() -> int | None:
    """The height of the terminal on stdout; None without a terminal, or if unknown."""
    try:
        return os.get_terminal_size(1).lines or None
    except OSError:
        return None


def terminal_columns(file: Path | None = None) -> int | None:
    """The width of the terminal on stdout, or `COLUMNS`; None for a file or pipe, or if unknown."""
    if file is not None or not is_terminal():
        return None
    set_by_user = os.environ.get("COLUMNS", "")
    if set_by_user.isascii() and set_by_user.isdigit() and len(set_by_user) < 6 and int(set_by_user):
        return int(set_by_user)
    try:
        return os.get_terminal_size(1).columns or None
    except OSError:
        return None


def terminal_view(file: Path | None = None, *, verbose: bool = False, about: str = "") -> "View | None":
    """The view for the terminal on stdout; None for a file or pipe, or if the width is unknown."""
    columns = terminal_columns(file)
    if columns is None:
        return None
    from balcli.render.display import SIGNS, View  # imported here, because it loads the data model

    return View(columns, can_encode("".join(SIGNS)), verbose, about=about)


def can_encode(text: str, stream: TextIO | None = None) -> bool:
    """Whether a stream (default: stdout) can encode a text."""
    try:
        text.encode(getattr(stream or sys.__stdout__, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        return False
    return True


def is_terminal() -> bool:
    """Whether stdout is a terminal."""
    return _is_tty(sys.__stdout__)


def is_interactive() -> bool:
    """Whether a prompt can reach the user: stdin and stderr are terminals."""
    return _is_tty(sys.stdin) and _is_tty(sys.stderr)


def _is_tty(stream: TextIO | None) -> bool:
    try:
        return stream is not None and stream.isatty()
    except ValueError:  # it is closed
        return False


def is_one_terminal() -> bool:
    """Whether stdout and stderr are the same terminal."""
    try:
        return is_terminal() and os.path.samestat(os.fstat(1), os.fstat(2))
    except OSError:
        return False


def progress(*, quiet: bool, colour: bool = False) -> "AbstractContextManager[Progress | None]":
    """A context with the progress line, or None if quiet, or if stderr is not a terminal that can erase a line.

    With `colour`, it imports the color module while waiting for the accounts.
    """
    shown = not quiet and os.environ.get("TERM", "dumb") not in {"", "dumb"} and _is_tty(sys.stderr)
    if not (shown or colour):
        return nullcontext()
    from balcli.cli.progress import (
        Progress,
    )  # imported here, because most runs are short or without a terminal

    return Progress(shown=shown, colour=colour, unicode=can_encode("●✗○", sys.stderr))


@contextmanager
def waiting_for(what: str) -> Iterator[None]:
    """A context that shows what the command is waiting for, if that takes long and stderr is a terminal."""
    with progress(quiet=False) as shown:
        if shown is not None:
            shown.show_later(f"balcli: {what} ...")
        yield


def choose_colour(*, always: bool) -> None:
    """Always or never use colors from now on, overriding the environment. `never` wins over `always`."""
    global _colour_chosen  # noqa: PLW0603 - there is one command line
    _colour_chosen = always and _colour_chosen is not False


def wants_colour(file: Path | None = None) -> bool:
    """Whether to use colors: by the options, else never with NO_COLOR, else with FORCE_COLOR or on a terminal."""
    return _wants_colour(on_terminal=file is None and is_terminal())


def _wants_colour(*, on_terminal: bool) -> bool:
    if _colour_chosen is not None:
        return _colour_chosen
    if os.environ.get("NO_COLOR"):
        return False
    forced = os.environ.get("FORCE_COLOR", "").lower()
    if forced not in {"", "0", "false"}:
        return True
    return on_terminal and forced != "false" and os.environ.get("TERM") != "dumb"
