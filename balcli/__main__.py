"""`python -m balcli`, and the console script."""

import gc
import signal
import sys


def main() -> None:
    """Run the command line of this process and exit with the contract's code."""
    # A start makes classes and functions that stay, and no garbage: to look for some every 700 objects, and
    # once more through all of them at the exit, takes an eighth of a small run.
    gc.set_threshold(100_000)
    try:
        from balcli.cli.app import run

        code = run(sys.argv[1:])
    except KeyboardInterrupt:  # also while the program is still being imported
        code = 130
    except Exception as problem:
        # CPython 3.11 makes a RuntimeError of what interrupts the making of a class.
        if not isinstance(problem.__cause__, KeyboardInterrupt):
            raise
        code = 130
    # All is said: a signal would only add a traceback to that.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.freeze()
    sys.exit(code)


if __name__ == "__main__":
    main()
