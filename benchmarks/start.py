"""Rows 1 to 4 and 9: the cost of a start relative to the bare interpreter, and the modules that it loads."""

import platform
import sys
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from benchmarks.amounts import Account
from benchmarks.bench import THREE, Bench, Line, arguments_of, balcli, millions, ms
from benchmarks.checks import Wrong, has
from benchmarks.measure import Command, cpu, ratios, wall
from benchmarks.modules import TELLING_MODULES, modules_of

_ROUNDS: Final = 20
_BARE: Final = Command((sys.executable, "-c", "pass"), has(0, "\n"))
_ONE: Final = (Account("wallet", 1, 4),)
# Runs balcli and writes a line to a file whenever certificates are loaded into a context.
_COUNTING: Final = """
import ssl, sys
log = sys.argv[1]
def counted(name):
    real = getattr(ssl.SSLContext, name)
    def load(self, *arguments, **named):
        with open(log, "a") as stream:
            stream.write(name + "\\n")
        return real(self, *arguments, **named)
    setattr(ssl.SSLContext, name, load)
counted("load_verify_locations")
counted("set_default_verify_paths")
sys.argv[:2] = ["balcli"]
from balcli.__main__ import main
main()
"""
_NOT_IN_MACHINE_FORMATS: Final = ("rich", "pydantic", "asyncio")
_NOT_AT_A_START: Final = (*_NOT_IN_MACHINE_FORMATS, "requests", "urllib3", "ssl", "_ssl", "http")


class _Start(NamedTuple):
    """A command whose start is measured, and its target as a multiple of the bare start."""

    what: str
    command: Command
    most: float | None


def _lines(bench: Bench, row: int, starts: Sequence[_Start]) -> list[Line]:
    """A line for each command, judged by counted instructions if possible, or else by CPU time."""
    commands = [_BARE, *(start.command for start in starts)]
    bare, *times = bench.runner.rounds(commands, bench.rounds(_ROUNDS))
    counts = bench.counter.count(commands) if bench.counter.tool else None
    peer = f"`python -c pass` {platform.python_version()}: {ms(bare)}"
    if counts is not None:
        peer += f", {millions(counts[0])}"
    lines = []
    for number, (start, took) in enumerate(zip(starts, times, strict=True), 1):
        by_cpu = ratios(took, bare, cpu)
        held, ratio, measured = (
            "CPU time",
            by_cpu.median,
            f"CPU {by_cpu} ×; wall {ratios(took, bare, wall)} ×, {ms(took)}",
        )
        if counts is not None:
            held, ratio = "instructions", counts[number] / counts[0]
            measured = f"instructions {ratio:.2f} × ({millions(counts[number])}); {measured}"
        target, met = (
            ("", None) if start.most is None else (f"≤ {start.most:g} × {held}", ratio <= start.most)
        )
        lines.append(Line(row, start.what, measured, peer, target, met))
    return lines


def _offline(bench: Bench) -> list[tuple[str, Command]]:
    """The commands that need no network."""
    names = ("daily", "spare", "test")
    tables = (f'[profiles.{name}.merchant]\ntoken = "bench-{name}"\n' for name in names)
    file = bench.folder / "several.toml"
    file.touch(mode=0o600)
    file.write_text(f'default_profile = "{names[0]}"\n' + "".join(tables), encoding="utf-8")
    asked = {"_BALCLI_COMPLETE": "complete_bash", "COMP_WORDS": "balcli all -p ", "COMP_CWORD": "3"}
    offered = "\n".join(names)
    return [
        ("`--version`", balcli("--version", check=has(1, "balcli "))),
        ("`--help`", balcli("--help", check=has(1, "Usage: "))),
        ("`all --help`", balcli("all", "--help", check=has(1, "Usage: "))),
        ("usage error (`all --nope`)", balcli("all", "--nope", check=has(0, "\n"), code=2)),
        (
            "TAB completion of a profile's name",
            balcli(check=has(1, offered), env={**asked, "BALCLI_CONFIG": str(file)}),
        ),
    ]


def row_1(bench: Bench) -> list[Line]:
    """Starts without the network."""
    return _lines(bench, 1, [_Start(what, command, 6.4) for what, command in _offline(bench)])


def row_2(bench: Bench) -> list[Line]:
    """One account over HTTP."""
    bench.server.set_latency(0)
    command = bench.ask(bench.profile("one", _ONE), _ONE, command="wallet")
    peak = bench.runner.peak(command)
    return [
        *_lines(bench, 2, [_Start("one `wallet` account, `-o json`, 0 ms", command, 15.2)]),
        Line(2, "its peak memory", f"{peak:.1f} MiB", "", "≤ 33 MiB", peak <= 33),
    ]


def row_3(bench: Bench) -> list[Line]:
    """One account per provider over HTTP."""
    bench.server.set_latency(0)
    file = bench.profile("three", THREE)
    what = "`all`, three providers, `-o {}`, 0 ms, token table {}"
    fresh = bench.ask(file, THREE, "json", "--no-cache")
    return _lines(
        bench,
        3,
        [
            _Start(what.format("json", "cached"), bench.ask(file, THREE), 15.8),
            _Start(what.format("table", "cached"), bench.ask(file, THREE, "table"), 19),
            _Start(what.format("json", "requested"), fresh, None),
        ],
    )


def row_4(bench: Bench) -> list[Line]:
    """One account per provider over TLS."""
    if bench.bundle is None:
        return [Line(4, "`all` over TLS", "not measured: there is no openssl or no bundle to add a CA to")]
    bench.server.set_latency(0)
    file = bench.profile("tls", THREE, "https", f'ca_bundle = "{bench.bundle}"')
    command = bench.ask(file, THREE)
    log = bench.folder / "loads"
    counting = Command((sys.executable, "-c", _COUNTING, str(log), *arguments_of(command)), command.check)
    bench.runner.run(counting)
    loads = log.read_text().split() if log.exists() else []
    what = "`all`, three providers over TLS, `-o json`, 0 ms, token table cached"
    return [
        Line(4, "loads of the CA bundle in one of these runs", str(len(loads)), "", "1", len(loads) == 1),
        *_lines(bench, 4, [_Start(what, command, 22.4)]),
    ]


def row_9(bench: Bench) -> list[Line]:
    """The loaded modules."""
    bench.server.set_latency(0)
    file = bench.profile("three", THREE)
    machine = [(f"`all -o {name}`", bench.ask(file, THREE, name)) for name in ("json", "jsonl", "csv")]
    machine.append(("`all -o prometheus`", balcli("all", "--config", str(file), "-o", "prometheus",
                                                  check=has(1, "\nbalcli_complete{"))))  # fmt: skip
    named = ("--config", str(file))
    starts = [
        *_offline(bench),
        ("`schema`", balcli("schema", check=has(1, "$schema"))),
        ("`config path`", balcli("config", "path", *named, check=has(1, str(file)))),
        ("`config show`", balcli("config", "show", *named, check=has(1, "merchant_id"))),
        ("`config check`", balcli("config", "check", *named, check=has(0, "Traceback"))),
    ]
    return [
        _loads(bench, machine, _NOT_IN_MACHINE_FORMATS),
        _loads(bench, starts, _NOT_AT_A_START),
    ]


def _loads(bench: Bench, commands: Sequence[tuple[str, Command]], unwanted: Sequence[str]) -> Line:
    """The unwanted modules that each command loads."""
    found = []
    for what, command in commands:
        telling = Command(
            (sys.executable, "-c", TELLING_MODULES, *arguments_of(command)),
            command.check,
            command.code,
            command.env,
        )
        _, told = bench.runner.read(telling)
        modules = modules_of(told)
        if "balcli" not in modules:
            raise Wrong(f"{what}: nothing is told of its modules: {told[:200]!r}")
        if loaded := loaded_of(modules, unwanted):
            found.append(f"{what}: {', '.join(loaded)}")
    names = ", ".join(name for name in unwanted if not name.startswith("_"))
    return Line(
        9,
        f"{names} loaded by {', '.join(what for what, _ in commands)}",
        "; ".join(found) or "none",
        "",
        "none",
        not found,
    )


def loaded_of(modules: Iterable[str], unwanted: Sequence[str]) -> list[str]:
    """The unwanted packages with a module in `modules`."""
    packages = {module.split(".")[0] for module in modules}
    return [name for name in unwanted if name in packages]
