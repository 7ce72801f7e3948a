"""The recipes of the README and the pages, run as they stand there against the sandbox, with the tools that they are for."""

import os
import re
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from balcli.sandbox import Sandbox
from tests.conftest import ROOT, Program, free_port
from tests.documents import DOCS, PAGES, README
from tests.test_ledgers import SCRIPTS, Line, beancount_ledger, beancount_lines

RECIPES = [text.partition("## Recipes\n")[2].partition("\n## ")[0] for text in (README, DOCS["scripting.md"])]
BALCLI = "balcli all"


def recipe(title: str, kind: str) -> list[str]:
    """The blocks of code of a recipe: of one kind, below its title in bold letters or its heading, up to the next."""
    start = rf"\n(?:\*\*|## )(?={re.escape(title)})"
    text = next(text for text in (*RECIPES, DOCS["operations.md"]) if re.search(start, text))
    below = re.split(r"\n(?:\*\*|## )", re.split(start, text, maxsplit=1)[1], maxsplit=1)[0]
    found = re.findall(rf"```{kind}\n(.*?)```", below, re.DOTALL)
    assert found
    return found


def tool(name: str, package: str) -> str:
    """The path of a tool; skips the test where it is not installed."""
    found = shutil.which(name, path=SCRIPTS)
    if found is None:
        pytest.skip(f"{name} is not installed ({package})")
    return found


def shell(program: Program, script: str, folder: Path, *options: str) -> "subprocess.CompletedProcess[str]":
    """A script, run in a folder with the sandbox in the place of a profile."""
    script = script.replace(BALCLI, " ".join([BALCLI, "--sandbox", *options]))
    return subprocess.run(
        ["bash", "-c", re.sub(r"balcli (history show|history|check|diff)", r"balcli \1 --sandbox", script)],
        env={**program.environment(), "PATH": SCRIPTS},
        cwd=folder,
        capture_output=True,
        check=False,
        text=True,
    )


def cron_lines(title: str) -> list[str]:
    """The commands of a recipe's lines, without their five fields of time."""
    (block,) = recipe(title, "")
    assert "%" not in block  # cron takes it for the end of the command
    lines = [line for line in block.splitlines() if not re.match("[A-Z_]+=", line)]
    return [re.sub(r"^(\S+ +){5}", "", line) for line in lines]


def test_a_new_key_is_asked_with_before_it_is_used(
    program: Program, tmp_path: Path, sandbox: Sandbox
) -> None:
    """The steps of a rotation: the new file is tried beside the old one, and renamed over it once it is good."""
    (step,) = recipe("Rotating a key", "sh")
    profile = sandbox.profile("main")
    (key,) = re.findall(r'^api_key = "(.*)"\napi_secret', profile, re.MULTILINE)
    program.write(profile.replace(f'"{key}"', '"${VELAFI_KEY}"'))
    for name, value in ((".env", "revoked"), (".env.new", "mistyped")):
        (tmp_path / name).write_text(f"VELAFI_KEY={value}\n")
        (tmp_path / name).chmod(0o600)
    step = step.replace("/etc/balcli", str(tmp_path)).replace("doctor", "doctor shop")
    refused = shell(program, step, tmp_path)
    (tmp_path / ".env.new").write_text(f"VELAFI_KEY={key}\n")
    accepted = shell(program, step, tmp_path)
    (tmp_path / ".env.new").rename(tmp_path / ".env")
    assert [4, 0] == [run.returncode for run in (refused, accepted)]
    assert "a run would be complete\n" in accepted.stdout
    assert 0 == program.run("merchant", "-c", str(program.file), "-q").code


def test_the_history_is_kept_in_silence(program: Program, tmp_path: Path) -> None:
    """The lines of cron record a run, keep it, and print nothing."""
    record, prune = cron_lines("Nightly archive")
    runs = [shell(program, record, tmp_path), shell(program, f"{prune} -p sandbox", tmp_path)]
    assert [(0, "", "")] * 2 == [(run.returncode, run.stdout, run.stderr) for run in runs]
    assert 1 == len(program.run("history", "--sandbox", "-o", "json").json["runs"])


def test_an_alert_is_mailed_only_outside_the_limit(program: Program, tmp_path: Path) -> None:
    """The line of cron prints nothing while the limit holds, and the status line if it does not, or is not known."""
    (line,) = cron_lines("Limit alert")
    runs = [shell(program, line, tmp_path)]
    runs += [
        shell(program, line.replace("500:", limit), tmp_path) for limit in ("5000:", "500: --fault refused")
    ]
    said = [run.stdout.partition(" - ")[0] for run in runs]
    assert ["", "BALCLI CRITICAL", "BALCLI UNKNOWN"] == said
    assert "" == runs[0].stderr


def test_a_month_end_is_exported_and_compared(program: Program, tmp_path: Path) -> None:
    """The recipe writes the csv of a recorded run, and prints what changed since."""
    (script,) = recipe("Month-end", "sh")
    for fault in ("flaky", "wallet:minus"):
        shell(program, f"{BALCLI} -q --record > /dev/null", tmp_path, "--fault", fault)
    run = shell(program, script.replace("2026-10-31", "1").replace("2026-11-30", "2"), tmp_path)
    assert (1, 1) == (run.returncode, len(run.stderr.splitlines())), run.stderr
    assert "treasury,wallet,BTC,,1.75," in (tmp_path / "october.csv").read_text()
    assert "run 1 " in run.stdout


def test_metrics_are_readable_by_the_collector(program: Program, tmp_path: Path) -> None:
    """The short recipe for Prometheus writes metrics that every user can read."""
    (script,) = recipe("Prometheus", "sh")
    run = shell(program, script.replace("/var/lib/node_exporter", str(tmp_path)), tmp_path)
    file = tmp_path / "balances.prom"
    assert (0, "", 0o644) == (run.returncode, run.stdout + run.stderr, file.stat().st_mode & 0o777)
    assert 40 < len(numbers(file.read_text()))


def test_gnuplot_draws_a_bar_for_each_line_of_a_series(program: Program, tmp_path: Path) -> None:
    """The chart has the bars of the runs in which the account answered, and none where it did not."""
    tool("gnuplot", "gnuplot-nox")
    (script,) = recipe("A chart", "sh")
    for fault in ("flaky", "merchant:refused", "flaky"):
        shell(program, f"{BALCLI} -q --record > /dev/null", tmp_path, "--fault", fault)
    run = shell(program, script, tmp_path)
    assert (0, "") == (run.returncode, run.stdout)
    rows = (tmp_path / "usdt.csv").read_text().splitlines()
    assert [True, False, True] == [",ok," in row for row in rows[1:]]
    # Two marks are the bars', one is the title's.
    assert 3 == (tmp_path / "usdt.svg").read_text().count("<use xlink:href='#gpPt0' transform")


def test_the_shell_script_tells_partial_from_whole(program: Program, tmp_path: Path) -> None:
    """The script is silent about a whole run, says that a partial one is, and fails with none."""
    (script,) = recipe("A shell script", "sh")
    faults = ["merchant:refused", "refused"]
    runs = [shell(program, script, tmp_path)]
    runs += [shell(program, script, tmp_path, "--fault", fault) for fault in faults]
    assert [0, 0, 1] == [run.returncode for run in runs]
    told = [run.stdout.splitlines()[-1:] for run in runs]
    assert [[], ["some accounts did not answer"], ["no balances"]] == told


@contextmanager
def exporter(folder: Path, port: int) -> Iterator[str]:
    """The address of a node_exporter that collects the textfiles of a folder and nothing else."""
    command = tool("prometheus-node-exporter", "prometheus-node-exporter")
    process = subprocess.Popen(
        [
            command,
            "--collector.disable-defaults",
            "--collector.textfile",
            f"--collector.textfile.directory={folder}",
            f"--web.listen-address=127.0.0.1:{port}",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield f"http://127.0.0.1:{port}/metrics"
    finally:
        process.terminate()
        process.wait()


def scraped(address: str) -> str:
    """What an exporter serves, as soon as it does."""
    limit = time.monotonic() + 20
    while True:
        try:
            with urllib.request.urlopen(address, timeout=10) as answer:  # noqa: S310 - on loopback
                return str(answer.read().decode())
        except OSError:
            if time.monotonic() > limit:
                raise
            time.sleep(0.1)


def numbers(text: str) -> dict[tuple[str, ...], float]:
    """The samples of balcli in an exposition, by name and labels; an empty label is as good as none to Prometheus."""
    return {
        (
            sample.name,
            *(f"{key}={value}" for key, value in sorted(sample.labels.items()) if value),
        ): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name.startswith("balcli_")
    }


def test_node_exporter_serves_the_file(program: Program, tmp_path: Path) -> None:
    """The recipe makes a file that others can read, and node_exporter serves each of its samples, without an error."""
    (script,) = recipe("node_exporter", "sh")
    script = script.replace("/var/lib/node_exporter", str(tmp_path)).replace(
        "-g node_exporter", f"-g {os.getgid()}"
    )
    done = shell(program, script, tmp_path)
    file = tmp_path / "balances.prom"
    assert (0, "", 0o640) == (done.returncode, done.stdout + done.stderr, file.stat().st_mode & 0o777)
    assert 40 < len(numbers(file.read_text()))
    with exporter(tmp_path, free_port()) as address:
        served = scraped(address)
    assert numbers(file.read_text()) == numbers(served)
    assert "node_textfile_scrape_error 0" in served


@pytest.mark.parametrize("fault", ["flaky", "wallet:refused", "refused", "wallet:units"])
def test_prometheus_accepts_the_metrics(program: Program, fault: str) -> None:
    """Promtool's linter finds nothing wrong with the metrics of whole, partial and failed runs."""
    promtool = tool("promtool", "prometheus")
    made = program.run("all", "--sandbox", "-o", "prometheus", "--fault", fault)
    done = subprocess.run(
        [promtool, "check", "metrics"], input=made.out, capture_output=True, check=False, text=True
    )
    assert (0, "", "") == (done.returncode, done.stdout, done.stderr)


@pytest.mark.parametrize("off", ["0", "0.01"])
def test_bean_check_holds_the_ledger_to_the_balances(program: Program, tmp_path: Path, off: str) -> None:
    """The recipe of the ledger succeeds where the ledger has the balances, and fails where it has not."""
    tool("bean-check", "pip install -e '.[tools]'")
    lines: list[Line] = beancount_lines(program.run("all", "--sandbox", "-o", "beancount").out)
    text = beancount_ledger(lines, off=off) + 'include "balcli.beancount"\n'
    (tmp_path / "ledger.beancount").write_text(text)
    (script,) = recipe("A ledger", "sh")
    done = shell(program, script.replace(BALCLI, f"set -e; {BALCLI}"), tmp_path)
    assert (off == "0") == (done.returncode == 0), done.stderr


def test_shellcheck_accepts_the_scripts(tmp_path: Path) -> None:
    """Shellcheck finds nothing wrong with the shell scripts of all pages, of contrib/ and of CI."""
    shellcheck = tool("shellcheck", "shellcheck")
    blocks = [block for page in PAGES.values() for block in re.findall(r"```sh\n(.*?)```", page, re.DOTALL)]
    files = [tmp_path / f"{number}.sh" for number in range(len(blocks))]
    for file, block in zip(files, blocks, strict=True):
        file.write_text(block)
    # SC1090: the lines for a shell's start-up file source what balcli prints.
    files += [*(ROOT / "contrib").glob("*/*.sh"), ROOT / ".ci" / "release", ROOT / ".ci" / "run"]
    command = [shellcheck, "--shell=bash", "--exclude=SC1090", "--format=gcc", *map(str, files)]
    done = subprocess.run(command, capture_output=True, check=False, text=True)
    assert (0, "") == (done.returncode, done.stdout + done.stderr)


def test_jq_rounds_as_the_recipes_say() -> None:
    """The traps are there: jq's sum of nothing is null, and a number of 21 digits does not come back."""
    jq = tool("jq", "jq")

    def of(script: str, text: str) -> str:
        return subprocess.run(
            [jq, "-c", script], input=text, capture_output=True, check=True, text=True
        ).stdout

    assert ("null\n", "0\n") == (of("add", "[]"), of("add // 0", "[]"))
    assert "42.000000000000000001\n" != of("map(tonumber) | add", '["42.000000000000000001", "0"]')
