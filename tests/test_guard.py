"""Plug-ins that misbehave: whatever one does fails its account with plugin.fault, in every command, and nothing else."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from balcli.cli.options import REPORTS
from balcli.sandbox import Sandbox
from balcli.sandbox.merchant import TOKEN
from tests.acme import SOURCE, install
from tests.conftest import ROOT, Program
from tests.generated import sampled

RAISED: Final = (
    "SystemExit(0)",
    "SystemExit()",
    "SystemExit('words')",
    "typer.Exit(0)",
    "typer.Abort()",
    "typer.BadParameter('odd')",
    "ValueError('x')",
    "RecursionError()",
    "MemoryError()",
    "OSError(32, 'pipe')",
    "BrokenPipeError()",
    "BaseException()",
    "GeneratorExit()",
    "StopIteration()",
    "Odd()",
    "errors.Bug('mine')",
    "Own('mine')",
    "Well('mine')",
    "errors.BalcliError('no code')",
    "errors.NetworkError('no code')",
    "errors.TimedOut(b'no text')",
)
"""What a plug-in may not raise, wherever it is called."""
RETURNED: Final = (
    *("None", "()", "[]", "{}", "0", "'text'", "Holdings", "NotImplemented"),
    *("Holdings(None)", "Holdings([row()])", "Holdings((None,))", "Holdings(({},))"),
    *("Holdings((), None)", "Holdings((), ('note',))", "Holdings((), (), 7)"),
    *("Holdings((), (Notice(1, None, 'x'),))", "Holdings((), (Notice('a', 'shop', 'x'),))"),
    *("Holdings((row(total=1),))", "Holdings((row(total='1'),))", "Holdings((row(locked=0.5),))"),
    *(
        "Holdings((row(total=Amount(1.5)),))",
        "Holdings((row(total=Amount(True)),))",
        "Holdings((row(total=Amount('1.5')),))",
    ),
    *("Holdings((row(account='shop'),))", "Holdings((row(provider='wallet'),))"),
    *("Holdings((row(asset=None),))", "Holdings((row(asset=''),))", "Holdings((row(asset_id=7),))"),
    *(
        "Holdings((row(details=None),))",
        "Holdings((row(details={'a': 1.5}),))",
        "Holdings((row(details={1: 'a'}),))",
    ),
    *(
        "Holdings((row(details={'a': (DepositAddress(1, None, None),)}),))",
        "Holdings((row(details={'a': ('b',)}),))",
    ),
    *("Holdings((row(raw={'a': 1}),))", "Holdings((row(raw=[]),))", "Holdings((row(counted=None),))"),
)
"""What a fetch may not return."""
ACCOUNTS: Final = (
    *(
        "None",
        "'acme'",
        "base._replace(name='shop')",
        "base._replace(name=None)",
        "base._replace(provider='wallet')",
    ),
    *("base._replace(target=None)", "base._replace(target={'a': 1})", "base._replace(identity=None)"),
    *("base._replace(identity=(1,))", "base._replace(assets=None)", "base._replace(base_url=None)"),
    *("base._replace(part_of=1)", "base._replace(aggregate_of=1)"),
)
"""What open_account may not return."""
EXPANDED: Final = (
    "None",
    "7",
    "[None]",
    *(f"[{each}]" for each in ACCOUNTS),
    "[base, base._replace(name='x')]",
)
IN_THREADS: Final = ("KeyboardInterrupt()", "errors.Terminated(0)", "SettingProblem('fault', 'odd')")
"""What is the user's, or due, where accounts are opened, and a fault in a fetch."""


def faults() -> list[str]:
    """Every fault of the lists at each place that balcli calls."""
    raised = [f"die({problem})" for problem in RAISED]
    in_threads = [*raised, *(f"die({problem})" for problem in IN_THREADS)]
    return [
        *(f"open:{each}" for each in (*raised, *ACCOUNTS, "die(SettingProblem(1, 2))")),
        *(f"fetch:{each}" for each in (*in_threads, *RETURNED)),
        *(f"expand:{each}" for each in (*in_threads, *EXPANDED)),
    ]


def account(fault: str) -> str:
    """The profile's table of an account with this fault."""
    return f"\n[profiles.main.acme]\nfault = {json.dumps(fault)}\n"


LOOP: Final = """
import contextlib, io, json, os, sys
file, server, faults = sys.argv[1:]
sys.argv = ["balcli"]
from balcli.cli import app
for fault in json.loads(faults):
    with open(file, "w") as stream:
        stream.write(server + "\\n[profiles.main.acme]\\nfault = " + json.dumps(fault) + "\\n")
    flags = ["--more"] if fault.startswith("expand") else []
    command = ["acme", *flags] if flags else ["all"]
    out, err = io.TextIOWrapper(io.BytesIO(), encoding="utf-8"), io.StringIO()
    sys.__stdout__ = out
    with contextlib.redirect_stderr(err):
        code = app.run([*command, "-c", file, "-o", "json", "--retries", "0"])
    out.flush()
    sys.stdout.write(json.dumps([fault, code, out.buffer.getvalue().decode(), err.getvalue()]) + "\\n")
"""


@pytest.mark.whole
def test_whatever_a_plug_in_does_fails_its_account_alone(
    program: Program, sandbox: Sandbox, tmp_path: Path
) -> None:
    """Each fault, at each place: plugin.fault, 8 beside accounts that answer and 6 alone, one line, one document."""
    file = tmp_path / "config.toml"
    file.touch(mode=0o600)
    shop = f'[profiles.main.merchant]\nbase_url = "{sandbox.url}/merchant"\ntoken = "{TOKEN}"\n'
    done = subprocess.run(
        [sys.executable, "-c", LOOP, str(file), shop, json.dumps(sampled(faults(), 5))],
        env=program.environment(install(tmp_path)),
        cwd=ROOT,
        capture_output=True,
        check=False,
        text=True,
    )
    assert 0 == done.returncode, done.stderr
    ended = [json.loads(line) for line in done.stdout.splitlines()]
    assert sampled(faults(), 5) == [fault for fault, *_ in ended]
    wrong = []
    for fault, code, out, err in ended:
        assert out.startswith("{"), (fault, code, out, err)
        document = json.loads(out)
        (mine,) = (each for each in document["accounts"] if each["provider"] == "acme")
        others = [each["status"] for each in document["accounts"] if each["provider"] != "acme"]
        rows = [row for row in document["balances"] if row["provider"] == "acme"]
        said = err.count("balcli: acme: the plugin acme failed: its ")
        due: tuple[object, ...] = (6 if fault.startswith("expand") else 8, "plugin.fault", False, [], 1)
        found = (code, (mine["error"] or {}).get("code"), document["complete"], rows, said)
        if found != due or set(others) - {"ok"} or "Traceback" in err:
            wrong.append((fault, found, err))
    assert [] == wrong


@pytest.mark.whole
@pytest.mark.parametrize(
    "fault", sampled(["fetch:die(SystemExit(0))", "fetch:None", "open:die(typer.Exit(0))"], 3)
)
def test_a_plug_ins_fault_is_one_in_every_format_and_command(
    program: Program, sandbox: Sandbox, tmp_path: Path, fault: str
) -> None:
    """No format and no command takes the fault for success, or what the plugin prints for data."""
    env = install(tmp_path)
    text = sandbox.profile("main") + account(fault)
    check = ("check", "--asset", "EUR", "--account", "acme", "--crit", "~:5")
    commands: dict[tuple[str, ...], int] = {
        **{("all", "-o", form): 8 for form in REPORTS},
        **{("acme", "-o", form): 6 for form in ("table", "json")},
        ("all", "--asset", "EUR", "--sort", "account", "--evidence", str(tmp_path / "record")): 8,
        ("doctor",): 8,
        check: 3,
        ("config", "check"): 3 if fault.startswith("open") else 0,
    }
    wrong = []
    for command, code in commands.items():
        result = program.with_profile(text, *command, env=env)
        if result.code != code or "a plug-in says" in result.out + result.err:
            wrong.append((command, result))
    replayed = program.run("replay", str(tmp_path / "record"), env=env)
    assert ([], 8) == (wrong, replayed.code)


@pytest.mark.parametrize("part", ["asset", "asset_id"])
def test_a_plug_ins_name_that_is_no_text_fails_its_account(
    program: Program, sandbox: Sandbox, tmp_path: Path, part: str
) -> None:
    """An unpaired surrogate fails the account as at any provider: what replaces it could make two names one."""
    text = sandbox.profile("main") + account(f"fetch:Holdings((row({part}=chr(0xD800)),))")
    result = program.with_profile(text, "acme", "-o", "json", env=install(tmp_path))
    (acme,) = json.loads(result.out)["accounts"]
    assert (6, "answer.shape") == (result.code, acme["error"]["code"])


@pytest.mark.whole
@pytest.mark.parametrize(
    "line",
    sampled(
        [
            "TITLE = None",
            "BASE_URL = 7",
            "KEYS = [Key('a', 'text', 'b')]",
            "KEYS = ('a',)",
            "FLAGS = None",
            "ENDPOINTS = ('/v1',)",
            "fetch = None",
            "expand = 5",
            "open_account = 'x'",
            "raise BaseException",
            "raise GeneratorExit",
            "raise typer.Exit(0)",
            "raise errors.Terminated(0)",
            "class Raising:\n    NAME = property(lambda self: 1/0)\nsys.modules[__name__] = Raising()",
        ],
        4,
    ),
)
def test_a_module_that_is_no_provider_is_left_out(program: Program, tmp_path: Path, line: str) -> None:
    """What a module declares wrongly is found when it is loaded, and costs no other account anything."""
    result = program.run("all", "--sandbox", "-o", "json", env=install(tmp_path, f"{SOURCE}\n{line}\n"))
    assert (0, ["plugin.left_out"]) == (result.code, [each["code"] for each in result.json["warnings"]])
