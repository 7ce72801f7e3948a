"""`python -m balcli`, and the console script."""

import sys


def main() -> None:
    """Run the command line of this process and exit with the contract's code."""
    try:
        from balcli.cli.app import run

        code = run(sys.argv[1:])
    except KeyboardInterrupt:  # also while the program is still being imported
        code = 130
    sys.exit(code)


if __name__ == "__main__":
    main()
