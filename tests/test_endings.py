"""Endings: each command's wrong usage in its own shape, options given twice, records of every shaping, a watch cut short."""

import itertools
import json
import os
import re
import signal
from pathlib import Path
from typing import Any, Final

import pytest

from balcli.cli.app import COMMANDS, load
from balcli.sandbox import Sandbox
from tests.conftest import Program, wait_until
from tests.documents import DOCS
from tests.generated import sampled

BALANCES: Final = {
    "schema_version",
    "generated_at",
    "profile",
    "complete",
    "exit_code",
    "coverage",
    "accounts",
    "balances",
    "totals",
    "warnings",
    "errors",
}
SHAPES: Final[dict[tuple[str, ...], set[str] | None]] = {
    **{(name,): BALANCES for name in ("all", "loopring", "wallet", "merchant", "replay")},
    ("check",): {"schema_version", "generated_at", "profile", "state", "exit_code", "limits", "accounts", "warnings", "errors"},
    ("diff",): {"schema_version", "profile", "different", "from", "to", "accounts", "balances", "within_threshold", "errors"},
    ("doctor",): {"schema_version", "generated_at", "profile", "ok", "steps", "errors"},
    ("history",): {"schema_version", "runs", "errors"},
    ("history", "--asset", "BTC"): {"schema_version", "series", "errors"},
    ("history", "--account=shop"): {"schema_version", "series", "errors"},
    ("history", "--prune", "1d"): {"schema_version", "before", "pruned", "left", "errors"},
    ("config", "show"): {"schema_version", "profile", "file", "accounts", "settings", "limits", "warnings", "errors"},
    ("config", "profiles"): {"schema_version", "file", "profiles", "warnings", "errors"},
    ("config", "check"): {"schema_version", "file", "ok", "problems", "warnings"},
    **dict.fromkeys((("mcp",), ("schema",), ("sandbox",), ("config", "init"), ("config", "path"))),
    **dict.fromkeys((("completion",), ("help",), ("version",))),
}  # fmt: skip
"""The keys of each command's document where it could not begin; None where it prints none."""
CODES: Final = {"check": 3}


def _wrong(result: Any, command: tuple[str, ...], keys: set[str] | None) -> bool:
    """Whether a run did not end as wrong usage of that command does."""
    code = CODES.get(command[0], 2)
    if keys is None:
        return bool((result.code, result.out) != (code, ""))
    made = json.loads(result.out) if result.out.startswith("{") else {}
    said = made.get("errors") or made.get("problems") or [{}]
    return (result.code, set(made), said[0].get("code")) != (code, keys, "usage")


@pytest.mark.whole
def test_wrong_usage_makes_the_commands_own_document(program: Program) -> None:
    """However JSON is asked for, the document has the command's keys and one error, and the code is that of the table."""
    assert {words[0] for words in SHAPES} == {*COMMANDS}
    asked: list[tuple[tuple[str, ...], tuple[str, ...], dict[str, str]]] = [
        (("-qo", "json"), ("--nope",), {}),
        ((), ("-qojson", "--nope"), {}),
        ((), ("--nope",), {"BALCLI_OUTPUT": "json"}),
    ]
    wrong = []
    for command, keys in sampled(SHAPES.items(), 2):
        for before, behind, env in asked if keys else asked[:1]:
            result = program.run(*command, *before, *behind, env=env)
            wrong += [(command, before, behind, result)] if _wrong(result, command, keys) else []
        plain = program.run(*command, "--nope")
        if plain.code != CODES.get(command[0], 2) or (plain.out and command != ("check",)):
            wrong.append((command, (), (), plain))
    assert [] == wrong


def test_the_keys_of_each_document_are_listed() -> None:
    """The page on formats has a row for each command with a document of its own, with the keys that it has."""
    table = DOCS["formats.md"].partition("## Documents of other commands")[2]
    listed = {
        name: set(re.findall(r"\w+", keys))
        for name, keys in re.findall(r"^\| (.*?) \| (.*) \|$", table, re.MULTILINE)
    }
    for command, keys in SHAPES.items():
        if keys is not None and keys is not BALANCES:
            name = "`history` of assets or accounts" if "series" in keys else f"`{' '.join(command[:2])}`"
            assert set() == keys - listed[name], name


def test_usage_that_a_command_finds_wrong_makes_its_document(program: Program) -> None:
    """What is found wrong behind the parser, or a place that is none, has the same shape and code as before it."""
    lines: dict[tuple[str, ...], tuple[str, ...]] = {
        ("all",): ("--watch", "1", "--record"),
        ("wallet",): ("--fault", "cut"),
        ("diff",): ("--threshold", ""),
        ("doctor",): ("--fault", "cut"),
        ("check",): ("--fault", "cut"),
        ("history",): ("--since", "x"),
        ("history", "--asset", "BTC"): ("--wait", "1"),
        ("history", "--prune", "1d"): ("--limit", "1"),
    }
    wrong = []
    for command, behind in lines.items():
        result = program.run(*command, *behind, "-o", "json")
        wrong += [(command, result)] if _wrong(result, command, SHAPES[command]) else []
    for words in (("show",), ("check",)):
        homeless = program.run("config", *words, "-o", "json", env={"HOME": ""})
        made = json.loads(homeless.out)
        assert (3, SHAPES["config", *words]) == (homeless.code, set(made))
    assert [] == wrong


def test_a_text_that_is_given_twice_is_wrong_usage(program: Program) -> None:
    """Of two profiles, files or targets none is dropped in silence, in any spelling; of numbers and formats the last counts."""
    wrong = []
    for name in ("loopring", "diff", "history", "check"):
        for option in load(name).params:
            if option.param_type_name != "option" or option.multiple or option.is_flag:
                continue
            is_text = option.type.name in {"str", "path"}
            long = max(option.opts, key=len)
            spellings = [
                (long, "a", long, "b"),
                *((each, "a", long, "b") for each in option.opts if each != long),
            ]
            for words in spellings if is_text else ():
                result = program.run(name, *words, "-o", "json")
                if (
                    result.code != CODES.get(name, 2)
                    or f"{long} is given 2 times; use it once" not in result.err
                ):
                    wrong.append((name, words, result))
    assert [] == wrong
    last = program.run("all", "--sandbox", "--timeout", "1", "--timeout", "9", "-o", "csv", "-o", "json")
    assert (0, True) == (last.code, last.json["complete"])


@pytest.mark.whole
def test_every_record_can_be_told_again(program: Program, tmp_path: Path) -> None:
    """Whatever shapes the output, sorted or narrowed, whole or partial, replay gives the same bytes and code."""
    wrong = []
    sorts = ((), ("--sort", "account"), ("--sort", "asset"), ("--sort", "total"))
    shapes: tuple[tuple[str, ...], ...] = ((), ("--nonzero", "--totals-only"), ("--asset", "usdt,NOPE"))
    faults: tuple[tuple[str, ...], ...] = ((), ("--fault", "wallet:refused"))
    for number, (sort, shape) in sampled(enumerate(itertools.product(sorts, shapes)), 2):
        fault = faults[number % len(faults)]
        place = str(tmp_path / str(number))
        output = ("json", "table", "csv", "jsonl")[number % 4]
        ran = program.run("all", "--sandbox", *sort, *shape, *fault, "-o", output, "--evidence", place)
        told = program.run("replay", place)
        if (ran.code, ran.out) != (told.code, told.out):
            wrong.append((sort, shape, fault, told))
    expanded = str(tmp_path / "expanded")
    program.run("merchant", "--sandbox", "--all-merchants", "--sort", "account", "--evidence", expanded)
    assert ([], 0) == (wrong, program.run("replay", expanded, "--check").code)


def test_a_watch_that_saw_nothing_was_interrupted(program: Program) -> None:
    """Ctrl-C before the first look is 130, as a table and as JSON; no document was printed."""
    for output in ("table", "json"):
        with Sandbox(faults=["silent"]) as server:
            file = program.write(server.profile("main"))
            process = program.start("all", "--watch", "1", "-c", str(file), "-o", output)
            wait_until(lambda: server.log)
            process.send_signal(signal.SIGINT)
            assert (b"", b"") == process.communicate(timeout=30)
            assert 130 == process.returncode


NESTINGS: Final = {"lists": ("[", "]"), "tables": ("{a=", "}"), "both": ("[{a=", "}]"), "dotted": ("", "")}


@pytest.mark.whole
def test_a_profile_nested_as_deep_as_its_reader_lets_through_is_3(program: Program) -> None:
    """Lists and tables in one another, anywhere in the profile, at each depth beside a reader's own bound: 3, never a bug."""
    head = '[profiles.main.wallet]\nbase_url = "http://127.0.0.1:9"\nwallet_id = "w"\n'
    wrong = []
    for kind, (begin, end) in NESTINGS.items():
        for levels in sampled((26, 51, 195, 385, 950), 3):
            value = f'{begin * levels}"${{NAME}}"{end * levels}'
            dots = f".{'.'.join('a' * levels)}" if kind == "dotted" else ""
            login = f'{head}login.merchant_id = "${{NAME}}"\nlogin.deep{dots} = {value}\n'
            other = f'{head}api_key = "k"\ndeep{dots} = {value}\n'
            for text, command in (
                (login, ("all",)),
                (login, ("config", "show")),
                (other, ("config", "check")),
            ):
                result = program.with_profile(text, *command, "-q", env={"NAME": "n"})
                if result.code != 3 or "bug" in result.err:
                    wrong.append((kind, levels, command, result))
    assert [] == wrong


GONE: Final[dict[tuple[str, ...], int]] = {
    ("--version",): 0,
    ("schema",): 0,
    ("all", "--sandbox", "--asset", "LRC"): 0,
    ("all", "-c", "here.toml"): 3,
    ("all", "--sandbox", "--asset", "LRC", "-O", "here"): 9,
    ("all", "--sandbox", "--asset", "LRC", "--evidence", "here"): 9,
    ("all", "--sandbox", "--asset", "LRC", "--record", "--history", "here.db"): 9,
    ("merchant", "--retries", "0"): 5,
    ("check", "--sandbox", "--asset", "BTC", "--crit", "1:"): 0,
    ("diff",): 2,
    ("history", "--history", "here.db"): 9,
    ("all", "--sandbox", "--asset", "LRC", "-O", "json:here", "-O", "csv:/dev/null"): 9,
    ("all", "--sandbox", "--asset", "LRC", "-O", "/dev/null"): 0,
    ("merchant", "--retries", "0", "--env-file", "here"): 3,
    ("doctor", "--offline", "-c", "here.toml"): 3,
    ("replay", "here"): 2,
    ("config", "path"): 0,
    ("config", "path", "-c", "here.toml"): 3,
    ("config", "show", "-c", "here.toml"): 3,
    ("config", "check", "-c", "here.toml"): 3,
    ("config", "init", "-c", "here.toml"): 3,
}


@pytest.mark.whole
def test_a_working_directory_that_is_deleted_is_no_bug(program: Program, tmp_path: Path) -> None:
    """Where it was deleted, each command works without it, or says so in one line where a relative path needs it."""
    own = {
        "BALCLI_MERCHANT_BASE_URL": "http://127.0.0.1:9",
        "BALCLI_MERCHANT_TOKEN_FILE": str(tmp_path / "token"),
    }
    (tmp_path / "token").write_text("t" * 20)
    (tmp_path / "token").chmod(0o600)
    (tmp_path / "gone").mkdir()
    gone = os.open(tmp_path / "gone", os.O_RDONLY)
    (tmp_path / "gone").rmdir()
    wrong = []
    for command, code in sampled(GONE.items(), 3):
        done = program.run(
            *command,
            env=own if command[0] == "merchant" else None,
            cwd=Path(f"/proc/{os.getpid()}/fd/{gone}"),
            own_process="" if command[1:] else "an interpreter looks at its folder when it starts",
        )
        told = "the working directory was deleted; change to another one" in done.err
        relative = any("here" in word for word in command)
        if done.code != code or told != relative or "bug" in done.err:
            wrong.append((command, done))
    os.close(gone)
    assert [] == wrong


def test_a_name_that_is_no_text_is_one_that_is_not_there(program: Program, tmp_path: Path) -> None:
    """Undecodable bytes as any name on a command line are never a bug, and damage no history."""
    history = str(tmp_path / "history.db")
    for _ in range(2):
        program.run("all", "--sandbox", "--record", "--history", history, "--asset", "BTC")
    recorded = ("--history", history)
    lines: dict[tuple[str, ...], int] = {
        ("history", *recorded, "-p"): 0,
        ("history", *recorded, "--account"): 0,
        ("history", *recorded, "--asset"): 0,
        ("history", *recorded, "--since"): 2,
        ("history", "--history"): 0,
        ("diff", *recorded, "-p"): 2,
        ("diff", *recorded, "--account"): 2,
        ("diff", *recorded): 2,
        ("all", "--sandbox"): 3,
        ("all", "-c"): 3,
        ("all", "--sandbox", "--sort"): 2,
        ("all", "--sandbox", "--asset"): 0,
        ("check", "--sandbox", "--crit", "1:", "--asset"): 3,
        ("wallet", "--sandbox", "treasury", "--wallet-id"): 2,
        ("doctor", "--sandbox", "--offline"): 3,
        ("replay",): 2,
    }
    wrong = []
    for command, code in lines.items():
        result = program.run(*command, "\udcff")
        if result.code != code or "bug" in result.err or "damaged" in result.err:
            wrong.append((command, result))
    assert [] == wrong
