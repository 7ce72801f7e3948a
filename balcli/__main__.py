"""Runs `python -m balcli` and the console script."""

# `signal` imports `enum` and others, and an interrupt meanwhile would print a traceback.
import _signal as signal  # type: ignore[import-not-found]
import gc
import os
import sys


def main() -> None:
    """Run this process's command line and exit with its exit code."""
    interrupt = signal.getsignal(signal.SIGINT)
    if interrupt is signal.default_int_handler:
        # While the program is imported, Python can drop an exception, or make another one of it.
        signal.signal(signal.SIGINT, lambda *_: os._exit(130))
    # A start makes classes and functions, and no garbage. Collecting every 700 objects, and once more at the
    # exit, would take an eighth of a small run.
    gc.set_threshold(100_000)
    try:
        from balcli.cli.app import run

        signal.signal(signal.SIGINT, interrupt)
        code = run(sys.argv[1:])
    except KeyboardInterrupt:
        code = 130
    except (MemoryError, SystemError):  # too little even for the message of a MachineExhausted
        os.write(2, b"balcli: too little memory; raise the limit (ulimit -v)\n")
        os._exit(9)
    # From here on, an interrupt would only print a traceback.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.freeze()
    sys.exit(code)


if __name__ == "__main__":
    main()
