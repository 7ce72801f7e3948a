"""The house's rules, read from the source and from fresh processes: arrows, imports, no binary floats."""

import ast
import functools
import re
import sys
from pathlib import Path

import pytest

from balcli.cli.app import COMMANDS
from balcli.config.profile import RUN_KEYS
from balcli.providers import OWN, PROVIDERS, TAKEN
from balcli.sandbox import Sandbox
from balcli.sandbox.exchange import FaultContext
from balcli.sandbox.faults import EXPIRED, HERE
from balcli.sandbox.loopring import Loopring
from tests.conftest import ROOT, Program
from tests.documents import DOCS
from tests.faults import ALL
from tests.lists import each_case

PACKAGE = ROOT / "balcli"
# The rooms from the foundation up: a room may import those before it, and itself.
ORDER = (
    ("errors", "money"),
    ("text", "secret", "urls"),
    ("files", "pipes", "signals"),
    ("atomic", "state"),
    ("settings",),
    ("models",),
    ("http",),
    ("cache",),
    ("providers", "document", "diagnosis"),
    ("history", "diff", "thresholds"),
    ("config", "collect", "report", "render", "sandbox"),
    ("doctor", "evidence"),
    ("run",),
    ("cli",),
    ("__main__",),
)
LEVEL = {room: level for level, rooms in enumerate(ORDER) for room in rooms}
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


def _room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


@functools.cache
def _imports(path: Path) -> set[str]:
    """Every module that a file imports, also inside functions."""
    found = set()
    statements: list[ast.AST] = [ast.parse(path.read_text())]
    for node in statements:
        statements += (
            below
            for below in ast.iter_child_nodes(node)
            if not isinstance(below, ast.expr | ast.expr_context)
        )
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module or "")
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def _named(path: Path) -> str:
    return str(path.relative_to(PACKAGE))


def test_arrows_point_down() -> None:
    """A module imports rooms below its own, or its own; never one above or beside."""
    wrong = []
    for path in MODULES:
        level = LEVEL[_room(path)]
        others = {name: name.split(".")[1] for name in _imports(path) if name.startswith("balcli.")}
        wrong += [
            f"{_named(path)} imports {name}"
            for name, other in others.items()
            if other in LEVEL and other != _room(path) and LEVEL[other] >= level
        ]
    assert [] == wrong


def test_the_command_line_has_no_import_circle() -> None:
    """No module of the command line imports one that imports it, not even inside a function."""
    imported = {f"balcli.cli.{path.stem}": _imports(path) for path in (PACKAGE / "cli").glob("*.py")}
    while below := [name for name, others in imported.items() if others.isdisjoint(imported)]:
        imported = {name: others for name, others in imported.items() if name not in below}
    assert {} == imported


def test_costly_and_dangerous_modules_have_one_room_each() -> None:
    """Requests is imported by the transport alone, rich by the terminal, the sandbox by the CLI."""
    owners = {
        "requests": {"http/transport.py"},
        "urllib3": {"http/connect.py", "http/library_errors.py", "http/transport.py"},
        "certifi": {"http/transport.py"},
        "ssl": {"http/library_errors.py", "http/probe.py", "http/transport.py"},
        "socket": {
            "http/connect.py",
            "http/probe.py",
            "sandbox/exchange.py",
            "sandbox/server.py",
            "sandbox/faults.py",
        },
        "rich": {"render/terminal.py"},
        "tomli": {"config/sources.py"},
        "dotenv": {"config/sources.py"},
        "subprocess": {"config/commands.py"},
        "sqlite3": {"history/database.py"},
        "ctypes": {"http/turns.py"},
        "mcp": {"cli/tools.py"},
        "asyncio": {"cli/tools.py"},
        "jsonschema": {"cli/tools.py"},
        "pickle": set[str](),
        "click": set[str](),
    }
    wrong = []
    for path in MODULES:
        for name in _imports(path):
            owner = owners.get(name.split(".")[0])
            in_sandbox = name.startswith("balcli.sandbox") and _room(path) not in {"sandbox", "cli"}
            if in_sandbox or (owner is not None and _named(path) not in owner):
                wrong.append(f"{_named(path)} imports {name}")
    assert [] == wrong


@pytest.mark.parametrize("name", ["errors.py", "money.py"])
def test_the_foundation_stands_on_the_standard_library(name: str) -> None:
    """Errors and money import nothing but the standard library."""
    assert {module.split(".")[0] for module in _imports(PACKAGE / name)} <= sys.stdlib_module_names


def test_the_page_on_development_draws_the_arrows_as_they_are() -> None:
    """The drawing has each room that there is on the line of its level, the command line on top."""
    (drawn,) = re.findall(r"```\n(__main__\n(?:[a-z ]+\n)+)```", DOCS["development.md"])
    assert [list(rooms) for rooms in reversed(ORDER)] == [line.split() for line in drawn.splitlines()]
    assert {_room(path) for path in MODULES} == set(LEVEL)


@each_case("provider", OWN)
def test_providers_do_not_know_each_other(provider: str) -> None:
    """A provider's module imports no other provider, no configuration and no command line."""
    others = OWN.keys() - {provider}
    imported = {name.rsplit(".", 1)[-1] for name in _imports(PACKAGE / "providers" / f"{provider}.py")}
    assert set() == imported & (others | {"config", "cli"})


def test_a_plug_in_takes_no_name_that_means_something() -> None:
    """A provider of another package cannot have the name of a command, nor of a key that stands beside its table."""
    assert {*COMMANDS, *RUN_KEYS, "limits"} - {*PROVIDERS} == TAKEN


def test_no_binary_float_near_money() -> None:
    """`float` stands only in the rooms that deal with seconds, and Decimal, which can round, in none."""
    with_seconds = {"http", "cache", "config", "cli", "sandbox", "state", "settings", "run", "pipes"}
    texts = {_named(path): (_room(path), path.read_text()) for path in MODULES}
    assert [] == [
        name
        for name, (room, text) in texts.items()
        if "Decimal" in text or (room not in with_seconds and re.search(r"\bfloat\b", text))
    ]


def test_modules_stay_readable() -> None:
    """No module is over 500 lines, and each says in its first words what it is for."""
    assert [] == [
        _named(path)
        for path in MODULES
        if len(path.read_text().splitlines()) > 500 or not ast.get_docstring(ast.parse(path.read_text()))
    ]


def test_only_the_command_line_prints_or_exits() -> None:
    """print, sys.exit and os._exit stand in balcli/cli and __main__ alone."""
    for path in MODULES:
        if _room(path) not in {"cli", "__main__"}:
            assert not re.search(r"(?<![.\w])print\(|sys\.exit|os\._exit", path.read_text()), _named(path)


def test_nothing_splits_the_process() -> None:
    """No module calls os.fork: accounts are asked in threads, which a fork does not survive."""
    assert set() == {_named(path) for path in MODULES if "os.fork(" in path.read_text()}


def test_secrets_are_revealed_where_they_leave() -> None:
    """`reveal` is called only by the client, by what signs, hashes, wraps or decodes a credential, and by the proxy's setting."""
    callers = {_named(path) for path in MODULES if re.search(r"\breveal\(|=reveal\b", path.read_text())}
    assert {
        "secret.py",
        "http/client.py",
        "providers/merchant.py",
        "providers/merchant_requests.py",
        "providers/wallet.py",
        "config/profile.py",
        "evidence/names.py",
        "http/echoes.py",
        "http/jwt.py",
    } == callers


def test_a_start_loads_nothing_heavy(program: Program, subtests: pytest.Subtests) -> None:
    """Help, version, completion, the schema and wrong usage load nothing of HTTP, files or tables."""
    heavy = {
        *("requests", "urllib3", "ssl", "http.client", "rich", "tomli", "dotenv"),
        *("asyncio", "pydantic", "hashlib", "sqlite3"),
    }
    complete = {"_BALCLI_COMPLETE": "complete_bash", "COMP_WORDS": "balcli all --", "COMP_CWORD": "2"}
    lines = ("--version", "--help", "all --help", "all --nope", "schema", "config path")
    for line, env in (*((line, {}) for line in lines), ("", complete)):
        with subtests.test(line=line, env=env):
            assert set() == heavy & program.loaded(*line.split(), **env)


def test_a_run_without_requests_loads_no_transport(program: Program) -> None:
    """A command that only reads the configuration loads the client, and none of what sends its requests."""
    loaded = program.loaded("config", "check")
    assert "balcli.http.client" in loaded
    assert set() == {"urllib3", "ssl", "http.client", "balcli.http.transport"} & loaded


def test_a_machine_format_loads_no_rich(program: Program) -> None:
    """A run for a program loads no rich; neither does a table without colour."""
    for output in ("json", "table"):
        loaded = program.loaded("all", "--sandbox", "-o", output)
        assert "urllib3" in loaded
        assert set() == {"rich", "asyncio", "pydantic", "balcli.thresholds"} & loaded


def test_each_fault_does_something_to_each_provider(program: Program, sandbox: Sandbox) -> None:
    """A fault leaves no provider's answer as it was: a new provider's shape is one that the faults know."""
    program.with_profile(sandbox.profile("main"), "all", "--no-cache")
    playing = {fault for fault in ALL if ALL[fault].address == HERE} - {EXPIRED}
    idle = []
    for name, part in sandbox._stand_ins.items():
        paths = {"balances": part.BALANCES, "names": part.NAMES, "login": part.LOGIN}
        for where, path in paths.items():
            for asked in [request for request in sandbox.log if request.path == f"/{name}{path}"][:1]:
                request = asked._replace(path=path)
                context = FaultContext(request, part.answer(request), 1)
                here = [fault for fault in playing if ALL[fault].where == where]
                idle += [f"{name}:{fault}" for fault in here if ALL[fault].play(context) == context.good]
    anywhere = {fault for fault in playing if ALL[fault].where == "all"}
    program.with_profile(sandbox.profile("main"), "loopring", "--no-cache", "--nfts")
    for asked in [request for request in sandbox.log if request.path.startswith("/loopring/")]:
        request = asked._replace(path=asked.path.removeprefix("/loopring"))
        context = FaultContext(request, Loopring().answer(request), 1)
        anywhere -= {fault for fault in anywhere if ALL[fault].play(context) != context.good}
    assert ([], set()) == (idle, anywhere)
