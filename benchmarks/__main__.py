"""`python -m benchmarks [--quick] [--row N]… [--output FILE]`: measure all targets in one run."""

import argparse
import shutil
import ssl
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from benchmarks.bench import Bench, Line
from benchmarks.checks import Wrong
from benchmarks.measure import Counter, Runner
from benchmarks.network import row_5, row_6, row_7
from benchmarks.rendering import row_8
from benchmarks.server import Server
from benchmarks.start import row_1, row_2, row_3, row_4, row_9
from benchmarks.table import document
from benchmarks.year import row_11

ROWS: Final[dict[int, Callable[[Bench], list[Line]]]] = {
    1: row_1, 2: row_2, 3: row_3, 4: row_4, 5: row_5, 6: row_6, 7: row_7, 8: row_8, 9: row_9, 11: row_11,
}  # fmt: skip


def main(argv: Sequence[str]) -> int:
    """Measure and print. Returns 1 if a run failed or printed wrong amounts; times do not affect it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds and accounts, under a minute")
    parser.add_argument("--row", type=int, action="append", choices=list(ROWS), help="only this row; repeat")
    parser.add_argument("--output", type=Path, metavar="FILE", help="write the table to this file, too")
    given = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="balcli-bench-") as name:
        folder = Path(name)
        certificate, bundle = _certificates(folder)
        with Server(certificate) as server:
            runner = Runner(folder)
            counter = Counter(runner, quick=given.quick)
            bench = Bench(folder, server, runner, counter, given.quick, bundle)
            lines = measured(bench, sorted(set(given.row or ROWS)))
    text = document(lines, quick=given.quick, tool=counter.tool)
    print(text, end="", flush=True)
    if given.output is not None:
        given.output.write_text(text, encoding="utf-8")
    return 1 if any(line.failed for line in lines) else 0


def measured(bench: Bench, rows: Sequence[int]) -> list[Line]:
    """The lines of these rows. If a run fails, its row says so and the others are still measured."""
    lines = []
    for row in rows:
        begun = time.monotonic()
        try:
            lines += ROWS[row](bench)
        except Wrong as problem:
            lines.append(Line(row, "a measured run went wrong", str(problem), failed=True))
            print(f"row {row}: {problem}", file=sys.stderr)
        print(f"row {row}: {time.monotonic() - begun:.1f} s", file=sys.stderr, flush=True)
    return lines


def _certificates(folder: Path) -> tuple[Path | None, Path | None]:
    """The server's certificate, and a CA bundle of the usual size that includes it; None if unavailable."""
    bundle = _usual_bundle()
    if bundle is None or shutil.which("openssl") is None:
        return None, None
    from tests.authority import found

    place = folder / "authority"
    place.mkdir()
    authority = found(place)
    certificate = authority.issue("bench")
    ours = folder / "bundle.pem"
    ours.write_text(bundle.read_text(encoding="utf-8") + authority.bundle.read_text(), encoding="utf-8")
    return certificate, ours


def _usual_bundle() -> Path | None:
    """The CA bundle of this environment: certifi's, or the system's."""
    try:
        import certifi
    except ImportError:
        file = ssl.get_default_verify_paths().cafile
        return Path(file) if file else None
    return Path(certifi.where())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
