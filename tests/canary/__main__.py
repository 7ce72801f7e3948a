"""Hunt for leaked secrets: `python -m tests.canary [--runs N] [-o table|json]`."""

import argparse
import json
import os
import sys
from collections.abc import Sequence

from tests.canary.hunt import TROUBLES, Figures, hunt

_ROUND = 2 * len(TROUBLES)


def main(argv: Sequence[str]) -> int:
    """Print the results of a hunt. Returns 1 if any secret was found where it does not belong."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.canary", description="Hunt for leaks with false secrets and servers."
    )
    parser.add_argument(
        "--runs", type=int, default=250, help=f"runs of the program [default: 250]; {_ROUND} play every fault"
    )
    parser.add_argument("-o", "--output", choices=("table", "json"), default="table")
    given = parser.parse_args(argv)
    if given.runs < 1:
        parser.error("--runs must be at least 1")
    if not hasattr(os, "fork"):
        parser.error("this system cannot fork; run it on a Unix")
    try:
        figures = hunt(given.runs)
    except KeyboardInterrupt:
        return 130
    print(_as_json(figures) if given.output == "json" else _as_table(figures))
    for finding in figures.findings:
        print(finding, file=sys.stderr)
    return 1 if figures.findings else 0


def _as_table(figures: Figures) -> str:
    codes = sorted(figures.codes.items(), key=lambda item: int(item[0]))
    rows = {
        "runs": figures.runs,
        "bytes searched": figures.searched,
        "faults driven": f"{len(figures.troubles)} of {len(TROUBLES)}",
        "false secrets": f"{figures.secrets}, seen in their own place {figures.at_home} times",
        "exit codes": ", ".join(f"{code}: {count}" for code, count in codes),
        "seconds": f"{figures.seconds:.0f}",
        "findings": len(figures.findings),
    }
    return "\n".join(f"{name:<16} {value}" for name, value in rows.items())


def _as_json(figures: Figures) -> str:
    document = {
        "runs": figures.runs,
        "bytes_searched": figures.searched,
        "faults_driven": len(figures.troubles),
        "secrets": figures.secrets,
        "seen_in_place": figures.at_home,
        "exit_codes": figures.codes,
        "findings": figures.findings,
    }
    return json.dumps(document, indent=2)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
