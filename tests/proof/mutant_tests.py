"""Run tests against one mutant after another, each in a fork of a process that has loaded the libraries.

Starting Python and importing pytest, hypothesis and requests takes a second; a fork takes a hundredth.
No module of the project is imported before the fork. Each line on stdin says what to write where and
which tests to run; each line on stdout is a result.
"""

import contextlib
import importlib
import json
import os
import select
import signal
import sys
import time
from pathlib import Path
from typing import Any, Final

LIBRARIES: Final = (
    *(
        "asyncio",
        "email.utils",
        "http.server",
        "requests",
        "rich.console",
        "rich.table",
        "ssl",
        "tomli",
        "typer",
    ),
    *("dotenv", "hypothesis.strategies", "sqlite3", "pty", "secrets", "sched"),
)


def serve() -> None:
    """Serve until stdin is closed."""
    import hypothesis

    for name in LIBRARIES:
        importlib.import_module(name)
    # The same examples for every mutant and run, without shrinking.
    hypothesis.settings.register_profile(
        "mutants",
        database=None,
        derandomize=True,
        deadline=None,
        phases=(hypothesis.Phase.explicit, hypothesis.Phase.generate),
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    hypothesis.settings.load_profile("mutants")
    first: list[str] = []
    for number, line in enumerate(sys.stdin):
        task = json.loads(line)
        if task["text"] is not None:
            file = Path(task["file"])
            file.write_text(task["text"])
            # Compiled files are distinguished by whole seconds and sizes, which can be equal for mutants.
            os.utime(file, (1_000_000_000 + number, 1_000_000_000 + number))
        result = run(task["tests"], task["seconds"], first)
        if result["killer"] is not None:
            first = [result["killer"], *(name for name in first if name != result["killer"])]
        print(json.dumps(result), flush=True)


def run(tests: list[str], seconds: float, first: list[str]) -> dict[str, Any]:
    """Run the tests with the current files. Returns the result, the time, and the first failed test."""
    begun = time.monotonic()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.setsid()
        os.close(reading)
        try:
            _test(tests, first, writing)
        finally:
            os._exit(0)
    os.close(writing)
    said, ended = b"", True
    while True:
        left = seconds - (time.monotonic() - begun)
        if left <= 0 or not select.select([reading], [], [], left)[0]:
            ended = False
            break
        piece = os.read(reading, 65536)
        if not piece:
            break
        said += piece
    os.close(reading)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    told = json.loads(said) if said.endswith(b"}") else {}
    outcome = told.get("outcome", "killed") if ended else "timed out"
    return {
        "outcome": outcome,
        "seconds": time.monotonic() - begun,
        "killer": told.get("killer"),
        "words": told.get("words", "" if ended else "no end in time"),
    }


def _test(tests: list[str], first: list[str], writing: int) -> None:
    import pytest

    class Watch:
        """Runs the tests that killed mutants first and slow tests last, and keeps the first failure."""

        killer: str | None = None
        words = ""

        def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
            place = {name: number for number, name in enumerate(first)}
            items.sort(
                key=lambda item: (
                    place.get(item.nodeid, len(place)),
                    hasattr(getattr(item, "obj", None), "hypothesis"),
                )
            )

        def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
            if report.failed and self.killer is None:
                self.killer, self.words = report.nodeid, str(report.longrepr)[-2000:]

        def pytest_collectreport(self, report: pytest.CollectReport) -> None:
            if report.failed and self.killer is None:
                self.words = str(report.longrepr)[-2000:]

    watch = Watch()
    null = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(null, stream)
    options = ["-x", "-q", "-o", "addopts=", "-p", "no:xdist", "-p", "no:cov", "-p", "no:cacheprovider"]
    options += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]  # for hypothesis, which is already loaded
    code = 0
    with contextlib.suppress(Exception):
        # It raises for what the garbage collector finds at the end, which is not a failed test.
        code = int(pytest.main([*options, *tests], plugins=[watch]))
    noticed = code != 0 or watch.killer is not None or bool(watch.words)
    told = {"outcome": "killed" if noticed else "survived", "killer": watch.killer, "words": watch.words}
    os.write(writing, json.dumps(told).encode())


if __name__ == "__main__":
    serve()
