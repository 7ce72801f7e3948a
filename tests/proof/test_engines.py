"""What real monitoring engines make of `balcli check`: the project's own wrapper, and Nagios with its status file."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from balcli.sandbox import Sandbox
from tests.conftest import ROOT, Program, wait_until
from tests.proof.test_contrib import ran
from tests.proof.test_recipes import tool

CONTRIB = ROOT / "contrib"
BALCLI = [sys.executable, "-m", "balcli"]
SHOP = ("check", "--sandbox", "--asset", "USDT", "--account", "shop")


@pytest.mark.parametrize(
    ("options", "arguments", "code", "state"),
    [
        (["-o", "WARNING"], ["--crit", "1:"], 1, "WARNING"),
        (["-w", "CRITICAL"], ["--warn", "~:1"], 2, "CRITICAL"),
        (["-c", "OK"], ["--crit", "~:1"], 0, "OK"),
        (["-u", "OK"], ["--crit", "1:", "--fault", "merchant:refused"], 0, "OK"),
        (["-u", "WARNING"], ["--crit", "1:", "--nope"], 1, "WARNING"),
    ],
)
def test_the_monitoring_plugins_negate_understands_it(
    program: Program, options: list[str], arguments: list[str], code: int, state: str
) -> None:
    """The project's own wrapper reads each state from the exit code and finds its word in the status line."""
    negate = tool("/usr/lib/nagios/plugins/negate", "monitoring-plugins-common")
    command = (negate, "-t", "60", "-s", *options, *BALCLI, *SHOP, *arguments)
    done = ran(*command, env=program.environment(), cwd=ROOT)
    assert (code, f"BALCLI {state} - ") == (done.returncode, re.split("(?<= - )", done.stdout)[0])


PROFILE = """
[[profiles.main.limits]]
asset = "USDT"
crit = "57506.64:"
field = "total"
"""
ALWAYS = "".join(
    f"{day} 00:00-24:00\n"
    for day in ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
)
OBJECTS = f"""
define timeperiod {{
timeperiod_name always
alias always
{ALWAYS}}}
define host {{
host_name treasury
address 127.0.0.1
max_check_attempts 1
check_period always
}}
define contact {{
contact_name nobody
host_notification_period always
service_notification_period always
host_notification_commands check_balcli
service_notification_commands check_balcli
}}
define service {{
name generic-service
max_check_attempts 1
retry_interval 600
check_period always
notifications_enabled 0
register 0
}}
define service {{
use generic-service
host_name treasury
service_description hostile
check_command check_balcli_limit!shop!a=b'c!1:!500:
check_interval 600
}}
define service {{
use generic-service
host_name treasury
service_description nobody
check_command check_balcli_limit!nobody!USDT!1:!500:
check_interval 600
}}
define service {{
use generic-service
host_name treasury
service_description usage
check_command check_balcli_limit!shop!USDT!ten!500:
check_interval 600
}}
"""


def nagios(folder: Path, objects: str) -> Path:
    """The configuration of an engine that runs each of the services once, as soon as it starts."""
    (folder / "results").mkdir(parents=True)
    (folder / "objects.cfg").write_text(objects)
    settings = {
        "cfg_file": folder / "objects.cfg",
        "log_file": folder / "log",
        "object_cache_file": folder / "cache",
        "status_file": folder / "status",
        "status_update_interval": 1,
        "temp_file": folder / "temp",
        "temp_path": folder,
        "check_result_path": folder / "results",
        "lock_file": folder / "lock",
        "query_socket": folder / "socket",
        "command_file": folder / "commands",
        "check_external_commands": 0,
        "retain_state_information": 0,
        "service_inter_check_delay_method": "n",
        "max_service_check_spread": 1,
        "enable_notifications": 0,
        "execute_host_checks": 0,
        "check_workers": 2,
        "use_syslog": 0,
        "nagios_user": "root",
        "nagios_group": "root",
    }
    file = folder / "nagios.cfg"
    file.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
    return file


def services(status: Path) -> dict[str, tuple[str, str, str, str]]:
    """What the engine's status file says of the services that it has checked: state, first line, others, data."""
    found = {}
    text = status.read_text() if status.exists() else ""
    for part in re.findall(r"^servicestatus \{\n(.*?)^\t\}", text, re.DOTALL | re.MULTILINE):
        values = dict(line.strip().split("=", 1) for line in part.splitlines())
        if values["has_been_checked"] == "1":
            found[values["service_description"]] = (
                values["current_state"],
                values["plugin_output"],
                values["long_plugin_output"],
                values["performance_data"],
            )
    return found


@pytest.mark.skipif(
    os.getuid() != 0, reason="the engine takes its user from its configuration, and starts as root"
)
def test_nagios_reads_states_texts_and_performance_data(program: Program, sandbox: Sandbox) -> None:
    """The recipe's commands and services in the engine itself: states, lines and performance data are as meant."""
    engine = tool("nagios4", "nagios4-core")
    file = program.write(sandbox.profile("main") + PROFILE)
    environment = " ".join(f"{name}='{value}'" for name, value in program.environment().items())
    recipe = (
        (CONTRIB / "nagios" / "balcli.cfg")
        .read_text()
        .replace("/usr/local/bin/balcli", f"cd {ROOT} && env -i {environment} {' '.join(BALCLI)}")
    )
    recipe = recipe.replace("/etc/balcli/config.toml", str(file))
    folder = program.folder / "engine"
    process = subprocess.Popen(
        [engine, str(nagios(folder, OBJECTS + recipe))],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until(lambda: len(services(folder / "status")) == 5, 60)
        found = services(folder / "status")  # the engine deletes it
    finally:
        process.terminate()
        process.wait(timeout=20)
    assert {"balances": "0", "shop": "1", "hostile": "2", "nobody": "3", "usage": "3"} == {
        name: state for name, (state, *_) in found.items()
    }
    assert (
        "BALCLI WARNING - USDT available at shop is 4000, warn 5000:",
        "WARNING: USDT available at shop is 4000; warn 5000:, crit 500:",
        "'shop USDT available'=4000;5000:;500:",
    ) == found["shop"][1:]
    assert "'USDT total'=57506.64;;57506.64:" == found["balances"][3]
    assert (
        "BALCLI CRITICAL - a=b'c available at shop is 0, crit 500:: it is not listed",
        "'shop a_b_c available'=0;1:;500:",
    ) == (found["hostile"][1], found["hostile"][3])
    assert "'nobody USDT available'=U;1:;500:" == found["nobody"][3]
    assert ("", "") == found["usage"][2:]
    # Nagios writes a colon for each semicolon of the first line.
    assert found["usage"][1].startswith("BALCLI UNKNOWN - --warn: is not a range: use 10, ")


def test_icinga_accepts_the_recipe(tmp_path: Path) -> None:
    """Icinga's own validation has nothing to say about the recipe's objects."""
    host = 'object Host "treasury" {\n  check_command = "balcli"\n}\n'
    file = tmp_path / "icinga2.conf"
    file.write_text(host + (CONTRIB / "icinga2" / "balcli.conf").read_text())
    places = [f"-D{name}={tmp_path}" for name in ("DataDir", "LogDir", "CacheDir", "SpoolDir", "InitRunDir")]
    command = (tool("icinga2", "icinga2-bin"), "daemon", "-C", "-c", file)
    done = ran(*command, "-DRunAsUser=root", "-DRunAsGroup=root", *places)
    assert 0 == done.returncode, done.stdout
    assert "1 Service" in done.stdout
