"""Run secret commands within a time limit, and return their output up to the exit.

On a terminal, the command can prompt. It stays in our process group, so Ctrl-C reaches both.
"""

import os
import select
import signal
import subprocess
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

from balcli import signals
from balcli.errors import SecretError
from balcli.text import printable

MAX_BYTES: Final = 65_536
_POLL_SECONDS: Final = 0.02
"""Seconds between checks whether a command exited: a child process can keep its stdout open."""


def output_of(command: tuple[str, ...], seconds: float) -> str:
    """Run a command without a shell, and return its stdout. Raises SecretError with the program's name.

    Its stderr may repeat the secret and is not shown. On timeout or interrupt, the command is killed: alone on a
    terminal, otherwise with its process group. After its own exit, no process is killed.
    """
    program = printable(command[0], 60)
    name = f": {program}"
    with _terminal() as terminal:
        status, output = _run(command, time.monotonic() + seconds, terminal, name)
    if len(output) > MAX_BYTES:
        raise SecretError(f"{name} printed more than {MAX_BYTES} bytes; make it print only the secret")
    if status is None:
        raise SecretError(f"{name} took more than {round(seconds, 1):g} s; run it yourself to see why")
    if status != 0:
        ending = f"exited with status {status}" if status > 0 else f"was killed by signal {-status}"
        raise SecretError(f"{name} {ending}; run it yourself to see why")
    if not output:
        raise SecretError(f"{name} printed nothing; run it yourself to see why")
    try:
        text = output.decode()
    except UnicodeDecodeError:
        raise SecretError(f"{name} printed bytes that are not UTF-8; make it print only the secret") from None
    if "\n" in text[:-1]:
        raise SecretError(
            f'{name} printed several lines; use only the first one with ["sh", "-c", "{program} … | head -n 1"]'
        )
    return text


def _run(command: tuple[str, ...], until: float, terminal: int | None, name: str) -> tuple[int | None, bytes]:
    """The exit status of a command (None on timeout), and its output, or slightly more than the maximum."""
    process: subprocess.Popen[bytes] | None = None
    try:
        # A signal between starting the process and storing it would leave an orphan behind.
        with signals.deferred():
            try:
                # A list, without a shell: the profile cannot contain shell syntax.
                process = subprocess.Popen(  # noqa: S603
                    command,
                    stdin=subprocess.DEVNULL if terminal is None else terminal,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    start_new_session=terminal is None,
                )
            except (OSError, ValueError) as problem:
                reason = getattr(problem, "strerror", None) or "invalid arguments"
                raise SecretError(f"{name} cannot be started: {reason}; check the command") from None
        output = _read_output(process, until)
        return process.poll(), output
    finally:
        if process is not None:
            _end(process, alone=terminal is not None)


def _read_output(process: "subprocess.Popen[bytes]", until: float) -> bytes:
    """The output of a command until it exits or the timeout, or slightly more than the maximum."""
    if process.stdout is None:
        raise RuntimeError("the command was started without a pipe")
    output = b""
    has_exited = False
    while len(output) <= MAX_BYTES:
        left = 0.0 if has_exited else until - time.monotonic()
        if select.select([process.stdout], [], [], min(max(left, 0.0), _POLL_SECONDS))[0]:
            piece = os.read(process.stdout.fileno(), MAX_BYTES)
            output += piece
            if not piece:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(max(until - time.monotonic(), 0.0))
                return output
        elif has_exited or left <= 0:
            return output
        else:
            # Read once more after the exit, for the last output.
            has_exited = process.poll() is not None
    return output


def _end(process: "subprocess.Popen[bytes]", *, alone: bool) -> None:
    """Kill a running command, `alone` or with its process group, and close its pipe."""
    if process.poll() is None:
        if alone:
            process.kill()
        else:
            # Not waited for yet, so no other process can have its PID.
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    if process.stdout is not None:
        process.stdout.close()


@contextmanager
def _terminal() -> Iterator[int | None]:
    """A descriptor of our controlling terminal if we are in its foreground, else None.

    Restores the terminal's settings, because a command that is killed while it reads a password leaves echo off.
    """
    try:
        terminal = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY)
    except OSError:
        yield None
        return
    try:
        if os.tcgetpgrp(terminal) != os.getpgrp():
            yield None  # a prompt would stop this process
            return
        settings = termios.tcgetattr(terminal)
        try:
            # Some commands get the terminal's name from stdin. For the other descriptor, it is just /dev/tty.
            yield 0 if _stdin_is_terminal() else terminal
        finally:
            with suppress(termios.error):
                if termios.tcgetattr(terminal) != settings:
                    termios.tcsetattr(terminal, termios.TCSANOW, settings)
    finally:
        os.close(terminal)


def _stdin_is_terminal() -> bool:
    """Whether stdin is our controlling terminal."""
    try:
        return os.tcgetpgrp(0) == os.getpgrp()
    except OSError:
        return False
