"""stdout, stderr and files: data is written whole or not at all, and a message is one line."""

import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, TypeAlias, cast

from balcli.errors import BalcliError, OutputError
from balcli.secret import redact
from balcli.text import printable
from balcli.urls import display_url

if TYPE_CHECKING:
    from balcli.http.client import Exchange
    from balcli.models import Notice, Report

_LONGEST_MESSAGE: Final = 300

_Data: TypeAlias = str | bytes | Iterable[str]
"""Text, in one piece or in several that each end with a newline, or the bytes of a picture."""

_written = False


class ReaderGone(Exception):
    """The reader of stdout closed it. Not an OSError, because Typer exits on some of those."""


def write_stdout(text: _Data) -> None:
    """Write text or a picture to stdout and flush it.

    Raises ReaderGone if the reader closed it, OutputError if stdout is closed or full.
    """
    global _written  # noqa: PLW0603 - there is one stdout
    stream = sys.__stdout__
    if stream is None:
        raise OutputError("stdout is closed; give the output somewhere to go")
    # A character that the locale cannot encode is escaped: the amounts must still be written.
    data = _bytes(text, stream.encoding)
    _written = True
    try:
        stream.flush()
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
        # A signal while the reader is slow: the exit must not wait for it again.
        _give_up_stdout()
        raise


def has_written() -> bool:
    """Whether anything was written to stdout, or should have been."""
    return _written


def _bytes(text: _Data, encoding: str = "utf-8") -> bytes | bytearray:
    """The data encoded whole, before any of it is written: an error in a piece must not leave half of it."""
    if isinstance(text, bytes):
        return text
    data = bytearray()
    for piece in (text,) if isinstance(text, str) else text:
        data += piece.encode(encoding, "backslashreplace")
    return data


def check_destination(file: Path | None) -> None:
    """Raise OutputError for a file that could not be written, before any request is made for it."""
    if file is not None:
        from balcli import atomic  # here, because few runs write a file

        atomic.check(file)


def write_output(text: _Data, file: Path | None) -> OutputError | None:
    """Write text to a file, as `atomic.replace` does, or to stdout where the file is None.

    If the file cannot be written, the text goes to stdout, and the error is returned. Raises as `write_stdout`.
    """
    if file is not None:
        from balcli import atomic  # here, because few runs write a file

        if not isinstance(text, str | bytes):
            text = "".join(text)
        try:
            atomic.replace(file, _bytes(text))
        except OutputError as problem:
            write_stdout(text)
            return problem
        return None
    write_stdout(text)
    return None


def _give_up_stdout() -> None:
    """Discard what is still in the stream's buffer, so that the interpreter exits without a message."""
    try:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.close(null)
    except OSError:
        sys.__stdout__ = None  # type: ignore[misc]


def print_message(text: str, account: str | None = None) -> None:
    """Write one line to stderr, `balcli: ACCOUNT: TEXT`, escaped, without secrets, of at most 300 characters."""
    stream = sys.stderr
    if stream is None:
        return
    about = f"{printable(account, 60)}: " if account is not None else ""
    line = printable(f"balcli: {about}{redact(text)}", _LONGEST_MESSAGE)
    try:
        stream.write(
            line.encode(stream.encoding or "utf-8", "backslashreplace").decode(stream.encoding or "utf-8")
            + "\n"
        )
        stream.flush()
    except (OSError, ValueError):
        return  # stderr is closed: there is still the exit code


def print_error(problem: BalcliError) -> int:
    """Print an error on stderr; its exit code."""
    print_message(problem.message)
    return problem.exit_code


def print_problems(report: "Report", *, quiet: bool, in_table: bool = False) -> None:
    """Print all failures of a report on stderr, and its notices unless quiet.

    The table has them already: where both streams are one terminal, they are not printed again.
    """
    if in_table and not report.failures and is_one_terminal():
        return
    for text, account in problems_of(report, quiet=quiet):
        print_message(text, account)


def problems_of(report: "Report", *, quiet: bool) -> Iterator[tuple[str, str | None]]:
    """The messages of all failures, and of the notices unless quiet, each with its account's name."""
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
    """Print one attempt of a request on stderr: names, sizes and times, never a value."""
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
    """The height of the terminal that stdout is; None where it is not a terminal, or its height is unknown."""
    try:
        return os.get_terminal_size(1).lines or None
    except OSError:
        return None


def terminal_columns(file: Path | None = None) -> int | None:
    """The width of the terminal that stdout is, or `COLUMNS`; None for a file, a pipe, or an unknown width."""
    if file is not None or not is_terminal():
        return None
    set_by_user = os.environ.get("COLUMNS", "")
    if set_by_user.isascii() and set_by_user.isdigit() and len(set_by_user) < 6 and int(set_by_user):
        return int(set_by_user)
    try:
        return os.get_terminal_size(1).columns or None
    except OSError:
        return None


def is_terminal() -> bool:
    """Whether stdout is a terminal."""
    try:
        return sys.__stdout__ is not None and sys.__stdout__.isatty()
    except ValueError:
        return False


def is_interactive() -> bool:
    """Whether somebody can be asked: stdin and stderr are terminals."""
    try:
        return all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stderr))
    except ValueError:
        return False


def is_one_terminal() -> bool:
    """Whether stdout and stderr are the same terminal."""
    try:
        return is_terminal() and os.path.samestat(os.fstat(1), os.fstat(2))
    except OSError:
        return False


def shows_progress(environ: Mapping[str, str]) -> bool:
    """Whether stderr is a terminal on which a line can be erased."""
    try:
        on_terminal = sys.stderr is not None and sys.stderr.isatty()
    except ValueError:
        return False
    return on_terminal and environ.get("TERM", "dumb") not in {"", "dumb"}


def wants_colour(environ: Mapping[str, str], *, no_color: bool, file: Path | None = None) -> bool:
    """Whether output is coloured: not with NO_COLOR or --no-color, else with FORCE_COLOR or on a terminal."""
    if no_color or environ.get("NO_COLOR"):
        return False
    if environ.get("FORCE_COLOR", "") not in {"", "0"}:
        return True
    return file is None and is_terminal() and environ.get("TERM") != "dumb"
