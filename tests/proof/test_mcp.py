"""`balcli mcp` with a client over every fault, calls that are cancelled, and servers that are ended."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Final

import pytest

from balcli.sandbox import Sandbox
from balcli.sandbox.faults import FAULTS
from tests.agents import ERAS, Session, call_every_tool, in_session, needs_sdk
from tests.conftest import Program
from tests.lists import each_case

pytestmark = needs_sdk


def test_every_tool_answers_in_the_era_of_discover(program: Program) -> None:
    """A client that begins with `server/discover` gets what one with a handshake gets."""
    call_every_tool(program, "auto")


LIMITS: Final = """\
[profiles.main]
retries = 0
timeout = 0.5
limits = [{ asset = "USDT", crit = "1:" }]
"""


def test_every_fault_is_a_result_or_an_error_with_its_document(program: Program) -> None:
    """Complete and partial runs are results, failed ones errors, a check is a result in every state; all have documents."""
    seen: set[int] = set()

    async def work(session: Session) -> None:
        for number, fault in enumerate(FAULTS):
            with Sandbox(faults=[f"merchant:{fault}" if number % 2 else fault]) as sandbox:
                program.write(sandbox.profile("main").replace("[profiles", f"{LIMITS}\n[profiles", 1))
                balances = await session.call("get_balances")
                check = await session.call("check_limits") if number % 4 < 2 else None
            document, code = balances.structured_content, balances.meta["exit_code"]
            seen.add(code)
            assert (document["exit_code"], code not in {0, 8}) == (code, balances.is_error), fault
            if check is not None:
                assert (check.structured_content["exit_code"], False) == (
                    check.meta["exit_code"],
                    check.is_error,
                )
            if any(each["status"] == "failed" for each in document["accounts"]):
                assert {None} >= {total["total"] for total in document["totals"]}, fault

    in_session(work, program, "--config", str(program.file))
    assert {0, 5, 6, 8} <= seen


SECRET: Final = """\
import os, pathlib, time
pathlib.Path(f"{os.getpid()}.running").touch()
while not pathlib.Path("go").exists():
    time.sleep(0.02)
print("secret-of-a-test")
"""


def _write_slow_profile(program: Program) -> None:
    """A profile whose secret's command leaves a file with its process id as name, and waits for the file `go`."""
    (program.folder / "secret.py").write_text(SECRET)
    command = json.dumps([sys.executable, "-S", "secret.py"])
    program.write(
        f"[profiles.main]\nretries = 0\n[profiles.main.merchant]\nbase_url = 'http://127.0.0.1:9'\ntoken_command = {command}\n"
    )


def _running(program: Program) -> list[int]:
    """The secrets' commands that have begun, by process id."""
    return [int(path.stem) for path in program.folder.glob("*.running")]


def _is_alive(number: int) -> bool:
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    return True


async def _until(holds: Callable[[], bool]) -> None:
    for _ in range(1000):
        if holds():
            return
        await asyncio.sleep(0.02)
    pytest.fail("it does not come")


@each_case("mode", ERAS)
def test_a_cancelled_call_ends_its_run_and_all_that_it_started(program: Program, mode: str) -> None:
    """The run of a cancelled call ends with its secret's command; the server goes on."""

    async def work(session: Session) -> None:
        call = asyncio.create_task(session.call("get_balances"))
        await _until(lambda: bool(_running(program)))
        call.cancel()
        await _until(lambda: not _is_alive(_running(program)[0]))
        assert 0 == (await session.call("list_accounts")).meta["exit_code"]

    _write_slow_profile(program)
    first, *others = in_session(work, program, "--config", str(program.file), mode=mode)
    assert first.startswith("balcli: mcp: get_balances: cancelled after ")
    assert 1 == len(others)


def test_four_calls_run_at_once(program: Program) -> None:
    """A fifth call waits until one of four has ended. No run imports a module from the folder of the client."""

    async def work(session: Session) -> None:
        calls = [asyncio.create_task(session.call("get_balances")) for _ in range(6)]
        await _until(lambda: len(_running(program)) == 4)
        await asyncio.sleep(1)
        assert 4 == len(_running(program))
        (program.folder / "go").touch()
        await asyncio.gather(*calls)
        assert 6 == len(_running(program))

    for name in ("typer.py", "requests.py", "json.py"):
        (program.folder / name).write_text("raise SystemExit(99)\n")
    _write_slow_profile(program)
    in_session(work, program, "--config", str(program.file))


REQUESTS: Final = (
    {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "initialize",
        "params": {
            "protocolVersion": "2025-11-25",
            "capabilities": {},
            "clientInfo": {"name": "t", "version": "1"},
        },
    },
    {"jsonrpc": "2.0", "method": "notifications/initialized"},
    {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": "get_balances"}},
)


def _asked(program: Program, *, stdout: bool = True) -> subprocess.Popen[bytes]:
    """A server that has got these requests, with or without a reader of its stdout."""
    server = subprocess.Popen(
        [sys.executable, "-m", "balcli", "mcp", "-c", str(program.file)],
        env=program.environment(),
        cwd=program.folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert server.stdin is not None
    assert server.stdout is not None
    if not stdout:
        server.stdout.close()
        server.stdout = None
    server.stdin.write("".join(f"{json.dumps(each)}\n" for each in REQUESTS).encode())
    server.stdin.flush()
    return server


@each_case("ending, code", [(signal.SIGTERM, 143), (None, 0)], ids=str)
def test_the_server_ends_with_its_runs(program: Program, ending: int | None, code: int) -> None:
    """A signal or the end of stdin ends the server and every run of it; stdout holds the protocol alone."""
    _write_slow_profile(program)
    server = _asked(program)
    asyncio.run(_until(lambda: bool(_running(program))))
    if ending is not None:
        server.send_signal(ending)
        server.wait(20)
    out, err = server.communicate(timeout=20)
    assert (code, 1) == (server.returncode, json.loads(out.splitlines()[0])["id"])
    assert b"Traceback" not in err
    asyncio.run(_until(lambda: not _is_alive(_running(program)[0])))


def test_a_client_that_is_gone_is_141(program: Program) -> None:
    """A server that cannot write ends as every command whose reader is gone, without a word."""
    _write_slow_profile(program)
    server = _asked(program, stdout=False)
    _, err = server.communicate(timeout=20)
    assert (141, []) == (server.returncode, [line for line in err.splitlines() if b"cancelled" not in line])
