"""stdout and stderr: data whole or not at all, messages one line each, and what a closed stream means."""

import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, TypeAlias, cast

from balcli.errors import BalcliError, OutputError
from balcli.secret import hide
from balcli.text import printable
from balcli.urls import shown_url

if TYPE_CHECKING:
    from balcli.http.door import Exchange
    from balcli.models import Notice, Report

_LONGEST_MESSAGE: Final = 300


_written = False


class ReaderGone(Exception):
    """Whoever read stdout has gone; not an OSError, because Typer ends the program on some of those."""


_Data: TypeAlias = str | bytes | Iterable[str]
"""Text, whole or in pieces that end with a line's end, or a picture."""


def write_stdout(text: _Data) -> None:
    """Write text or a picture to stdout, and see it off.

    Raises ReaderGone if the reader is, OutputError if stdout is closed or full.
    """
    global _written  # noqa: PLW0603 - there is one stdout, and it is written once
    stream = sys.__stdout__
    if stream is None:
        raise OutputError("stdout is closed; give the output somewhere to go")
    # What the stream cannot encode is escaped: an odd locale must not cost the amounts.
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
        # A signal while the reader takes its time: the exit must not wait for it once more.
        _give_up_stdout()
        raise


def has_written() -> bool:
    """Whether stdout was written to, or at least tried."""
    return _written


def _bytes(text: _Data, encoding: str = "utf-8") -> bytes | bytearray:
    """All that is to be written, before the first of it is: a fault on the way must not leave half of it."""
    if isinstance(text, bytes):
        return text
    data = bytearray()
    for piece in (text,) if isinstance(text, str) else text:
        data += piece.encode(encoding, "backslashreplace")
    return data


def check_destination(file: Path | None) -> None:
    """Refuse a file that could not be written, before anything is done for it. Raises OutputError."""
    if file is not None:
        from balcli import aside  # here, because few runs write a file

        aside.check(file)


def write_output(text: _Data, file: Path | None) -> OutputError | None:
    """Write text into a file, as `aside.replace` does, or to stdout without one.

    What a file cannot take goes to stdout; the reason is what the caller gets, to be said. Raises as `write_stdout` does.
    """
    if file is not None:
        from balcli import aside  # here, because few runs write a file

        if not isinstance(text, str | bytes):
            text = "".join(text)
        try:
            aside.replace(file, _bytes(text))
        except OutputError as problem:
            write_stdout(text)
            return problem
        return None
    write_stdout(text)
    return None


def _give_up_stdout() -> None:
    """Let what is still in the stream's buffer go nowhere, so that the interpreter's exit stays silent."""
    try:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.close(null)
    except OSError:
        sys.__stdout__ = None  # type: ignore[misc]


def print_message(text: str, account: str | None = None) -> None:
    """Write one line to stderr, `balcli: <account>: <text>`, escaped, without secrets, at most 300 characters."""
    stream = sys.stderr
    if stream is None:
        return
    about = f"{printable(account, 60)}: " if account is not None else ""
    line = printable(f"balcli: {about}{hide(text)}", _LONGEST_MESSAGE)
    try:
        stream.write(
            line.encode(stream.encoding or "utf-8", "backslashreplace").decode(stream.encoding or "utf-8")
            + "\n"
        )
        stream.flush()
    except (OSError, ValueError):
        return  # nobody listens; the exit code still tells


def print_error(problem: BalcliError) -> int:
    """The exit code of an error, which is told on stderr."""
    print_message(problem.message)
    return problem.exit_code


def print_problems(report: "Report", *, quiet: bool, in_table: bool = False) -> None:
    """The reasons of all failures on stderr, and the notices unless quiet.

    What stdout has in a table is not said again to who reads both streams on one terminal.
    """
    if in_table and not report.failures and is_one_terminal():
        return
    for text, account in problems_of(report, quiet=quiet):
        print_message(text, account)


def problems_of(report: "Report", *, quiet: bool) -> Iterator[tuple[str, str | None]]:
    """The reasons of all failures, and the notices unless quiet, each with the account that it is about."""
    for failure in report.failures:
        yield failure.message, None
    for outcome in report.outcomes:
        if outcome.failure is not None:
            yield outcome.failure.message, outcome.account.name
    for notice in report.notices if not quiet else ():
        yield f"note: {notice.message}", notice.account


def print_notice(notice: "Notice") -> None:
    """One notice as a message on stderr."""
    print_message(f"note: {notice.message}", notice.account)


def print_exchange(exchange: "Exchange") -> None:
    """One try of a request as a message on stderr: names, sizes and times, never a value."""
    request = exchange.request
    names = "&".join(f"{name}=…" for name, _ in request.query)
    query = f"?{names}" if names else ""
    place = shown_url(request.base_url).rpartition("://")[2]
    print_message(
        f"{request.endpoint.method} {place}{request.endpoint.path}{query} ({', '.join(exchange.headers)}): {exchange.outcome}, "
        f"{exchange.sent} B sent, {exchange.received} B received, {exchange.seconds * 1000:.0f} ms, "
        f"try {exchange.attempt}"
    )


def terminal_rows() -> int | None:
    """The height of the terminal that stdout is; None where there is none, or it is not known."""
    try:
        return os.get_terminal_size(1).lines or None
    except OSError:
        return None


def terminal_columns(file: Path | None = None) -> int | None:
    """The width of the terminal that stdout is, `COLUMNS` first; None where there is none, or it is not known.

    There is none for what goes into a file.
    """
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


def is_one_terminal() -> bool:
    """Whether stdout and stderr are one terminal: what goes to both stands there twice."""
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
    """Whether the output gets colour: never with NO_COLOR or --no-color, else with FORCE_COLOR or on a terminal."""
    if no_color or environ.get("NO_COLOR"):
        return False
    if environ.get("FORCE_COLOR", "") not in {"", "0"}:
        return True
    return file is None and is_terminal() and environ.get("TERM") != "dumb"
