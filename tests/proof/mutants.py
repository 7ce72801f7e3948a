"""Check that a test fails for every small change to the most important code.

`python -m tests.proof mutants [MODULE…]`, with the extra `proof` installed. The working tree is not
changed: each job has a copy. Survivors must be in docs/mutants.md, with the reason.
"""

import argparse
import json
import os
import queue
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

from tests.proof.mutations import RULES, Mutant, mutants

ROOT: Final = Path(__file__).parents[2]
EXPLAINED: Final = ROOT / "docs" / "mutants.md"
_NO_TEST: Final = "--version"


class Module(NamedTuple):
    """A file to change, and its stages of tests: each stage gets the survivors of the one before."""

    path: str
    stages: tuple[tuple[str, ...], ...]


MODULES: Final = {
    "money": Module("balcli/money.py", (("tests/test_money.py",),)),
    "strictjson": Module("balcli/http/strictjson.py", (("tests/test_strictjson.py",),)),
    "models": Module("balcli/models.py", (("tests/test_models.py", "tests/test_report.py"),)),
    "report": Module("balcli/report.py", (("tests/test_report.py",),)),
    "errors": Module("balcli/errors.py", (("tests/test_errors.py",),)),
    "timing": Module(
        "balcli/http/timing.py",
        (
            ("tests/test_timing.py",),
            (
                "tests/test_refusals.py::test_a_refusal_by_a_clock_that_is_off_says_so",
                "tests/test_doctor.py::test_the_clock_is_held_against_the_servers",
            ),
        ),
    ),
    "client": Module(
        "balcli/http/client.py",
        (
            (
                "tests/test_client.py",
                "tests/test_models.py",
                "tests/test_app.py::test_limits_have_the_bounds_that_are_said",
            ),
            (
                "tests/test_echoes.py::test_a_short_run_of_the_proof_finds_nothing",
                "tests/test_echoes.py::test_a_login_may_give_the_same_token_again",
                "tests/test_good_answers.py::test_the_providers_own_words_reach_the_message_at_any_status",
                "tests/test_good_answers.py::test_the_relayers_own_trouble_is_tried_again",
                "tests/test_house.py::test_a_run_without_requests_loads_no_transport",
            ),
        ),
    ),
    "response": Module(
        "balcli/http/response.py",
        (
            ("tests/test_client.py",),
            (
                "tests/test_refusals.py",
                "tests/test_echoes.py::test_a_short_run_of_the_proof_finds_nothing",
                "tests/test_good_answers.py::test_the_providers_own_words_reach_the_message_at_any_status",
            ),
        ),
    ),
    "transport": Module(
        "balcli/http/transport.py",
        (
            ("tests/test_transport.py", "tests/test_http_mapping.py", "tests/test_models.py"),
            ("tests/test_http_tls.py", "tests/test_http_retries.py", "tests/test_http_faults.py"),
        ),
    ),
    "app": Module(
        "balcli/cli/app.py",
        (
            ("tests/test_app.py",),
            ("tests/test_process.py", "tests/test_completion.py", "tests/test_house.py"),
        ),
    ),
    "streams": Module("balcli/cli/output.py", (("tests/test_streams.py",), ("tests/test_process.py",))),
}


class Tried(NamedTuple):
    """A mutant and its result: killed, timed out or survived."""

    mutant: Mutant
    outcome: str
    killer: str
    seconds: float


class _Runner:
    """A copy of the checkout, with a process that runs tests in it."""

    def __init__(self, folder: Path) -> None:
        ignored = shutil.ignore_patterns(
            ".git", ".venv*", "*.egg-info", ".mypy_cache", ".ruff_cache", ".hypothesis", "dist"
        )
        shutil.copytree(ROOT, folder, ignore=ignored, symlinks=True)
        self.folder = folder
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.proof.mutant_tests"],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(folder), "BALCLI_EXAMPLES": "whole"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, path: str, text: str | None, tests: tuple[str, ...], seconds: float) -> dict[str, Any]:
        """The result of these tests with this text in the file."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        task = {"file": path, "text": text, "tests": tests, "seconds": seconds}
        self._process.stdin.write(json.dumps(task) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer

    def end(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


@contextmanager
def _runners(jobs: int) -> Iterator[list[_Runner]]:
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        runners = [_Runner(Path(folder) / str(number)) for number in range(jobs)]
        try:
            yield runners
        finally:
            for runner in runners:
                runner.end()


def _time_limits(module: Module, runner: _Runner) -> list[float]:
    """The time limit of each stage. Raises RuntimeError if its tests fail without a mutant."""
    limits = []
    for stage in module.stages:
        plain = runner.run(module.path, None, stage, 600)
        if plain["outcome"] != "survived":
            raise RuntimeError(f"{' '.join(stage)}: {plain['outcome']} without a mutant\n{plain['words']}")
        limits.append(10 + 4 * plain["seconds"])
    return limits


def _try(module: Module, mutant: Mutant, runner: _Runner, limits: list[float]) -> Tried:
    """The result of one mutant."""
    seconds = 0.0
    for stage, limit in zip(module.stages, limits, strict=True):
        result = runner.run(module.path, mutant.text, stage, limit)
        seconds += result["seconds"]
        if result["outcome"] != "survived":
            break
    return Tried(mutant, result["outcome"], result["killer"] or "", seconds)


def _try_all(module: Module, found: list[Mutant], runners: list[_Runner]) -> Iterator[Tried]:
    """The results of the mutants, as they become known. Each runner takes the next one."""
    source = (runners[0].folder / module.path).read_text()
    limits = _time_limits(module, runners[0])
    waiting, done = queue.SimpleQueue[Mutant | None](), queue.SimpleQueue[Tried | BaseException]()

    def work(runner: _Runner) -> None:
        try:
            while (mutant := waiting.get()) is not None:
                done.put(_try(module, mutant, runner, limits))
            runner.run(module.path, source, (_NO_TEST,), 10)
        except BaseException as problem:  # noqa: BLE001 - raised again by the consumer of the results
            done.put(problem)

    for mutant in [*found, *(None for _ in runners)]:
        waiting.put(mutant)
    threads = [threading.Thread(target=work, args=(runner,), daemon=True) for runner in runners]
    for thread in threads:
        thread.start()
    for _ in found:
        came = done.get()
        if isinstance(came, BaseException):
            raise came
        yield came
    for thread in threads:
        thread.join()


def _explained() -> set[tuple[str, str, str]]:
    """The survivors explained in docs/mutants.md: file, line before, line after."""
    rows = re.findall(r"^\| `([^`]+)` \| `` (.*?) `` \| `` (.*?) `` \|", EXPLAINED.read_text(), re.MULTILINE)
    return {(path, before.replace(r"\|", "|"), after.replace(r"\|", "|")) for path, before, after in rows}


def as_row(path: str, mutant: Mutant) -> str:
    """The beginning of a survivor's row in docs/mutants.md."""
    before, after = (text.replace("|", r"\|") for text in (mutant.before, mutant.after))
    return f"| `{path}` | `` {before} `` | `` {after} `` |"


def main(argv: list[str]) -> int:
    """Try the mutants of the named modules, or of all. Returns 1 if one survives without a reason."""
    parser = argparse.ArgumentParser(prog="python -m tests.proof mutants")
    parser.add_argument("modules", nargs="*", metavar="MODULE", help=f"of {', '.join(MODULES)}; default all")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="copies that run at once")
    parser.add_argument("--line", type=int, action="append", help="only the mutants that begin on this line")
    parser.add_argument(
        "--quick", action="store_true", help="leave out the second stage: tests with processes"
    )
    parser.add_argument("-v", "--verbose", action="store_true", help="say what became of each, by which test")
    chosen = parser.parse_args(argv)
    unknown = [name for name in chosen.modules if name not in MODULES]
    if unknown:
        parser.error(f"no module {unknown[0]}; there are {', '.join(MODULES)}")
    reasons, left_out, open_ends = _explained(), Counter[str](), 0
    print(f"{'module':10} mutants  killed  timed out  survived  explained  left out  seconds")
    with _runners(chosen.jobs) as runners:
        for name in chosen.modules or MODULES:
            module, begun = MODULES[name], time.monotonic()
            if chosen.quick:
                module = module._replace(stages=module.stages[:1])
            found, by_rule = mutants((runners[0].folder / module.path).read_text())
            found = [mutant for mutant in found if not chosen.line or mutant.line in chosen.line]
            tried = []
            for entry in _try_all(module, found, runners):
                tried.append(entry)
                if chosen.verbose:
                    print(
                        f"  {entry.mutant.line:4} {entry.outcome:9} {entry.seconds:6.1f} s {entry.mutant.operator}: "
                        f"{entry.mutant.after} ({entry.killer})",
                        flush=True,
                    )
            outcomes = Counter(entry.outcome for entry in tried)
            survivors = sorted(entry.mutant for entry in tried if entry.outcome == "survived")
            known = [m for m in survivors if (module.path, m.before, m.after) in reasons]
            left_out += by_rule
            open_ends += len(survivors) - len(known)
            print(
                f"{name:10} {len(found):7} {outcomes['killed']:7} {outcomes['timed out']:10} {len(survivors):9} "
                f"{len(known):10} {by_rule.total():9} {time.monotonic() - begun:8.0f}",
                flush=True,
            )
            for mutant in survivors:
                if mutant not in known:
                    print(f"  {as_row(module.path, mutant)} {mutant.operator}, line {mutant.line}")
    print("left out by rule:")
    for rule in RULES:
        print(f"  {left_out[rule]:5}  {rule}")
    return 1 if open_ends else 0
