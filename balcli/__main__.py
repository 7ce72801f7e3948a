"""Runs `python -m balcli` and the console script."""

import gc
import signal
import sys


def main() -> None:
    """Run this process's command line and exit with its exit code."""
    # A start makes classes and functions, and no garbage. Collecting every 700 objects, and once more at the
    # exit, would take an eighth of a small run.
    gc.set_threshold(100_000)
    try:
        from balcli.cli.app import run

        code = run(sys.argv[1:])
    except KeyboardInterrupt:  # also while the program is still being imported
        code = 130
    except Exception as problem:
        # CPython 3.11 raises a RuntimeError from an interrupt in a class statement.
        if not isinstance(problem.__cause__, KeyboardInterrupt):
            raise
        code = 130
    # From here on, an interrupt would only print a traceback.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.freeze()
    sys.exit(code)


if __name__ == "__main__":
    main()
