"""The files of contrib/, each given to the tool that reads it, or run against the sandbox and a local HTTP server."""

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Final

import pytest
from prometheus_client.parser import text_string_to_metric_families

from balcli.sandbox import Sandbox
from tests.conftest import ROOT, Program, warm
from tests.documents import DOCS
from tests.faults.wire import sends
from tests.proof.test_recipes import tool
from tests.test_ledgers import SCRIPTS
from tests.wire import GOOD, Wire, answer, headers_of

CONTRIB: Final = ROOT / "contrib"
RULES: Final = CONTRIB / "prometheus"
DASHBOARD: Final[dict[str, Any]] = json.loads((CONTRIB / "grafana" / "balcli.json").read_text())
CRONTAB: Final = (CONTRIB / "alerts" / "crontab").read_text()


def ran(*command: str | Path, **options: Any) -> "subprocess.CompletedProcess[str]":
    """A command, run to its end."""
    return subprocess.run([*map(str, command)], capture_output=True, check=False, text=True, **options)


# systemd.


def test_systemd_accepts_the_units(tmp_path: Path) -> None:
    """systemd-analyze finds nothing wrong with the service and the timer, and little that the service could do without."""
    analyze = tool("systemd-analyze", "systemd")
    service = (CONTRIB / "systemd" / "balcli.service").read_text()
    (tmp_path / "balcli.service").write_text(service.replace("/usr/local/bin/balcli", sys.executable))
    (tmp_path / "balcli.timer").write_text((CONTRIB / "systemd" / "balcli.timer").read_text())
    for unit in ("balcli.service", "balcli.timer"):
        done = ran(analyze, "verify", "--man=no", tmp_path / unit)
        # It speaks of the machine's own units, too.
        assert (0, []) == (done.returncode, [line for line in done.stderr.splitlines() if "balcli" in line])
    (told, version) = re.findall(r"scores ([0-9.]+) .* \(systemd ([0-9]+)\)", DOCS["operations.md"])[0]
    done = ran(analyze, "security", "--offline=yes", "--threshold=20", tmp_path / "balcli.service")
    (score,) = re.findall(r"exposure level for balcli.service: ([0-9.]+)", done.stdout)
    assert 0 == done.returncode, score
    if f"systemd {version} " in ran(analyze, "--version").stdout:
        assert told == score


def test_the_service_writes_the_balances_with_its_credential(
    program: Program, tmp_path: Path, sandbox: Sandbox
) -> None:
    """The command of the service, with the folders that systemd gives it, reads its secret and writes its file."""
    (line,) = re.findall(
        r"^ExecStart=/usr/local/bin/(.*)$", (CONTRIB / "systemd" / "balcli.service").read_text(), re.MULTILINE
    )
    profile = sandbox.profile("main")
    (secret,) = re.findall(r'^api_secret = "(.*)"$', profile, re.MULTILINE)
    file = program.write(
        profile.replace(f'api_secret = "{secret}"', 'api_secret_file = "${CREDENTIALS_DIRECTORY}/velafi"')
    )
    (tmp_path / "velafi").write_text(secret)
    (tmp_path / "velafi").chmod(0o400)
    done = ran(
        *("sh", "-c", line.replace("/etc/balcli/config.toml", str(file))),
        env={"PATH": SCRIPTS, "STATE_DIRECTORY": str(tmp_path), "CREDENTIALS_DIRECTORY": str(tmp_path)},
        cwd="/",
    )
    assert (0, "") == (done.returncode, done.stderr)
    assert json.loads((tmp_path / "balances.json").read_text())["complete"]


# Prometheus and Grafana.


def test_prometheus_accepts_the_rules() -> None:
    """Promtool finds nothing wrong with the rules, and they alert, stay silent and add up as their tests say."""
    promtool = tool("promtool", "prometheus")
    checked = ran(promtool, "check", "rules", *sorted(RULES.glob("*.rules.yml")))
    assert (0, "") == (checked.returncode, checked.stderr)
    tested = ran(promtool, "test", "rules", RULES / "tests.yml")
    assert 0 == tested.returncode, tested.stdout + tested.stderr


@pytest.mark.parametrize(
    "condition",
    [
        "and on (asset) (min by (asset) (balcli_asset_complete) == 1)",
        "and on () (min(balcli_complete) == 1)",
        "and on () (count(time() - balcli_last_run_timestamp_seconds <= 1800) == 3)",
    ],
)
def test_the_sum_over_hosts_needs_each_condition(tmp_path: Path, condition: str) -> None:
    """Without one of its conditions, the sum is less in silence in one of the tests of the rules."""
    promtool = tool("promtool", "prometheus")
    for file in RULES.iterdir():
        text = file.read_text()
        assert condition in text or file.name != "hosts.rules.yml"
        (tmp_path / file.name).write_text(text.replace(condition, ""))
    assert 1 == ran(promtool, "test", "rules", tmp_path / "tests.yml").returncode


def exported(program: Program) -> dict[str, set[str]]:
    """The metrics that runs of the sandbox print, with their labels."""
    labels: dict[str, set[str]] = {}
    for options in (["all", "--asset", "BTC"], ["merchant", "--fiat"], ["all", "--fault", "wallet:refused"]):
        text = program.run(*options, "--sandbox", "-o", "prometheus").out
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                labels.setdefault(sample.name, set()).update(sample.labels)
    return labels


QUERIES: Final = {
    **{panel["title"]: panel["targets"][0]["expr"] for panel in DASHBOARD["panels"]},
    **{variable["name"]: variable["definition"] for variable in DASHBOARD["templating"]["list"][1:]},
    **{
        f"{path.name}: {expression}": expression
        for path in RULES.glob("*.rules.yml")
        for expression in re.findall(r"expr: (?:\|\n)?((?:.+\n)(?: {10,}.+\n)*)", path.read_text())
    },
}
"""The queries of the dashboard and the rules."""


def test_the_queries_name_what_is_exported(program: Program) -> None:
    """Each query of the dashboard and the rules names metrics that runs print, and labels of these metrics."""
    metrics = exported(program)
    assert 15 < len(QUERIES)
    for title, query in QUERIES.items():
        named = re.findall(r"\bbalcli_\w+", query)
        assert named, title
        assert set() == set(named) - metrics.keys(), title
        labels = set(re.findall(r"(\w+)\s*(?:=~|!=|!~|=)\s*\"", query))
        for listed in re.findall(r"(?:by|on) \(([^)]*)\)|, (\w+)\)$", query):
            labels |= set(", ".join(listed).replace(",", " ").split())
        assert set() == labels - set().union(*(metrics[name] for name in named)), title
    assert set(metrics) == set(re.findall(r"\bbalcli_\w+", json.dumps(DASHBOARD)))


def test_prometheus_reads_the_queries_of_the_dashboard(tmp_path: Path) -> None:
    """Promtool parses each query of a panel, and no two panels have one number."""
    promtool = tool("promtool", "prometheus")
    expressions = [panel["targets"][0]["expr"] for panel in DASHBOARD["panels"]]
    rules = [
        {"record": f"panel:{number}", "expr": expression.replace("$profile", ".*").replace("$asset", ".*")}
        for number, expression in enumerate(expressions)
    ]
    (tmp_path / "rules.yml").write_text(json.dumps({"groups": [{"name": "panels", "rules": rules}]}))
    done = ran(promtool, "check", "rules", tmp_path / "rules.yml")
    assert (0, "") == (done.returncode, done.stderr)
    assert len(expressions) == len({panel["id"] for panel in DASHBOARD["panels"]})


# Alerts.


class Cron:
    """Runs a line of the crontab as cron does: no HOME, no stdin, `/` as the folder, and the sandbox for a profile."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.commands = folder / "bin"
        self.commands.mkdir()
        for path in (CONTRIB / "alerts").glob("*.sh"):
            (self.commands / path.name).write_text(self._here(path.read_text()))
            (self.commands / path.name).chmod(0o755)
        program = self.commands / "program"
        program.mkdir()
        warm().install(program)

    def _here(self, text: str) -> str:
        return text.replace("/var/lib/balcli", str(self.folder))

    def run(self, line: str, *options: str) -> tuple[int, list[str]]:
        """The exit code and the lines that cron would mail, with these options of balcli."""
        balcli = self.commands / "balcli"
        balcli.write_text(
            f'#!/bin/sh\ncommand=$1; shift\nexec {self.commands}/program/balcli "$command" --sandbox "$@" {" ".join(options)}\n'
        )
        balcli.chmod(0o755)
        done = ran(
            *("sh", "-c", f"exec <&-; {self._here(line)}"),
            env={"PATH": f"{self.commands}:{SCRIPTS}"},
            cwd="/",
        )
        return done.returncode, (done.stdout + done.stderr).splitlines()


@pytest.fixture
def cron(tmp_path: Path) -> Cron:
    """Cron, with the scripts of contrib/alerts on its PATH."""
    return Cron(tmp_path)


def line_of(part: str) -> str:
    """The one command of the crontab that has a part in it, with or without a comment sign before it."""
    (line,) = re.findall(rf"^(?:# )?(?:[0-9*/]+ +){{5}}(?=.*{re.escape(part)})(.*)$", CRONTAB, re.MULTILINE)
    assert "%" not in line  # cron takes it for the end of the command
    return str(line)


PARTIAL: Final = ("--fault", "merchant:refused")


def posted(request: bytes) -> tuple[str, str, str]:
    """The path, content type and body of a POST."""
    head, _, body = request.partition(b"\r\n\r\n")
    method, path, _ = head.decode().split(" ", 2)
    assert "POST" == method
    return path, headers_of(request)["content-type"][0], body.decode()


def test_cron_mails_what_failed(cron: Cron) -> None:
    """A complete run mails nothing and writes the file; of a partial one, a line says why."""
    line = line_of("balcli all")
    assert (0, []) == cron.run(line)
    assert json.loads((cron.folder / "balances.json").read_text())["complete"]
    code, mailed = cron.run(line, *PARTIAL)
    assert (8, 1) == (code, len(mailed))


def test_the_script_gives_an_hour_to_what_may_pass(cron: Cron) -> None:
    """It is silent about a partial run until none was complete for an hour, as the switch is; the rest it says at once."""
    script, switch = line_of("mail.sh"), line_of("test -n")
    assert (0, []) == cron.run(script)
    assert (0, []) == cron.run(script, *PARTIAL)
    assert (0, []) == cron.run(switch)
    os.utime(cron.folder / "complete", (time.time() - 7200,) * 2)
    code, (said, reason) = cron.run(script, *PARTIAL)
    assert (8, True) == (code, said.startswith("no complete run for an hour") and "shop" in reason)
    assert (0, ["balcli: no complete run for an hour"]) == cron.run(switch)
    code, (said, *_) = cron.run(script, "--fault", "refused")
    assert (4, True) == (code, said.startswith("the profile or a credential is wrong"))


def test_each_run_pings_with_its_exit_code(cron: Cron) -> None:
    """A complete run pings 0, another its code and reasons; where the ping fails, cron mails that."""
    tool("curl", "curl")
    with Wire(GOOD) as receiver:
        line = line_of("ping.sh").replace("https://hc-ping.com", receiver.url)
        assert (0, []) == cron.run(line)
        assert (8, []) == cron.run(line, *PARTIAL)
    assert [("/UUID/0", ""), ("/UUID/8", "shop")] == [
        (path, body and body.split(": ")[1]) for path, _, body in map(posted, receiver.requests)
    ]
    code, mailed = cron.run(line)
    assert (0, True) == (code, "the ping failed" in mailed)


def test_the_webhook_is_called_when_the_state_changes_and_only_then(cron: Cron) -> None:
    """The first OK, and each state after one like it, is not posted; a post that failed is tried again."""
    tool("curl", "curl")
    limit = ("--asset", "USDT", "--account", "shop", "--crit")
    low, high = (*limit, "5000:"), (*limit, "1:")
    # The third post fails.
    with Wire(GOOD, GOOD, sends(answer(status="404 Not Found")), GOOD) as receiver:
        line = line_of("webhook.sh").replace("https://hooks.example", receiver.url)
        quiet = [cron.run(line, *options) for options in (high, high, low, low, high)]
        failed = cron.run(line, *high, *PARTIAL)
        quiet += [cron.run(line, *options) for options in ((*high, *PARTIAL), (*high, *PARTIAL), high)]
    assert [(0, [])] * 8 == quiet
    assert (1, True) == (failed[0], "the webhook failed; the next check tries again" in failed[1])
    states = ["CRITICAL", "OK", "UNKNOWN", "UNKNOWN", "OK"]
    assert [("/balcli", "application/json", state) for state in states] == [
        (path, kind, json.loads(body)["state"]) for path, kind, body in map(posted, receiver.requests)
    ]
