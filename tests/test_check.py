"""`balcli check`: states, the status line in every ending, documents, and what monitoring engines make of it."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from balcli.errors import ConfigFileError
from balcli.money import parse
from balcli.render.verdict import render
from balcli.report import build, failed
from balcli.sandbox import Sandbox
from balcli.sandbox.merchant import TOKEN
from balcli.thresholds import Finding, State, Threshold, Verdict, evaluate, parse_range
from tests.conftest import ROOT, Program, Result, wait_until
from tests.lists import each_case
from tests.plugins import plugin
from tests.warm import Running

SHOP = ("check", "--sandbox", "--asset", "USDT", "--account", "shop")


def limits(*tables: str) -> str:
    """The limits of a profile, each of these lines."""
    return "".join(f"\n[[profiles.main.limits]]\n{table}\n" for table in tables)


def checked(program: Program, server: Sandbox, text: str, *arguments: str) -> Result:
    """A check of the sandbox's accounts with these limits in the profile."""
    return program.with_profile(server.profile("main") + text, "check", *arguments)


@each_case(
    ("arguments", "state", "text", "data"),
    [
        (["--warn", "4000:", "--crit", "500:"], "OK", "is 4000", ("4000", "4000:", "500:")),
        (["--warn", "~:3999.9"], "WARNING", "is 4000, warn ~:3999.9", ("4000", "~:3999.9", "")),
        (
            ["--warn", "5000:", "--crit", "@4000"],
            "CRITICAL",
            "is 4000, crit @4000",
            ("4000", "5000:", "@4000"),
        ),
        (["--crit", "-5:-1"], "CRITICAL", "is 4000, crit -5:-1", ("4000", "", "-5:-1")),
    ],
)
def test_states_of_one_limit(
    program: Program, arguments: list[str], state: str, text: str, data: tuple[str, ...]
) -> None:
    """A limit of options gives its state, exit code, performance data with the ranges as given, and one more line."""
    result = program.run(*SHOP, *arguments)
    told = plugin(result)
    assert (state, f"USDT available at shop {text}", "") == (told.state, told.text, result.err)
    assert {"shop USDT available": data} == told.data
    (line,) = told.lines
    assert line.startswith(f"{state}: USDT available at shop is 4000; ")


def test_an_account_that_fails_is_unknown(program: Program) -> None:
    """The failure's code and words are told on stdout, and on stderr as by any command; nothing counts as 0."""
    result = program.run(*SHOP, "--crit", "~:10", "--fault", "merchant:refused")
    told = plugin(result)
    assert ("UNKNOWN", ("U", "", "~:10")) == (told.state, told.data["shop USDT available"])
    assert told.text.startswith(
        "USDT available at shop is unknown: shop did not answer (credentials.refused)"
    )
    assert "check the account's credentials" in told.lines[0] or "; check" in told.lines[0]
    assert 1 == len(result.err.splitlines())


def test_a_total_that_lacks_an_account_is_unknown(program: Program) -> None:
    """A limit on a total needs every account; one on an account that answered is decided all the same."""
    total = ("check", "--sandbox", "--asset", "USDT", "--crit", "1:")
    assert "UNKNOWN" == plugin(program.run(*total, "--fault", "loopring:refused")).state
    assert "OK" == plugin(program.run(*SHOP, "--crit", "1:", "--fault", "loopring:amount")).state


def test_an_asset_that_is_not_listed_counts_as_0(program: Program) -> None:
    """What the answer does not list is 0, and both lines say that it is not listed."""
    told = plugin(program.run("check", "--sandbox", "--asset", "NOPE", "--account", "shop", "--crit", "1:"))
    assert ("CRITICAL", ("0", "", "1:")) == (told.state, told.data["shop NOPE available"])
    assert "NOPE available at shop is 0, crit 1:: it is not listed" == told.text
    assert ["CRITICAL: NOPE available at shop is 0; crit 1:; it is not listed"] == told.lines


def test_an_asset_that_is_not_listed_is_never_ok(program: Program, sandbox: Sandbox) -> None:
    """A limit that 0 keeps is UNKNOWN in both formats, and OK where options or profile say that absence is 0."""
    strict = program.run("check", "--sandbox", "--asset", "UDST", "--warn", "~:1000")
    told = plugin(strict)
    assert ("UNKNOWN", ("U", "~:1000", "")) == (told.state, told.data["UDST available"])
    assert (
        "UDST available in total is unknown: no account lists it (asset.not_listed), but USDT is;"
        in told.text
    )
    document = program.run("check", "--sandbox", "--asset", "UDST", "--warn", "~:1000", "-o", "json")
    (found,) = document.json["limits"]
    assert (3, "UNKNOWN", None) == (document.code, found["state"], found["value"])
    assert "asset.not_listed" in found["reason"]
    meant = program.run("check", "--sandbox", "--asset", "UDST", "--warn", "~:1000", "--absent", "zero")
    assert ("OK", ("0", "~:1000", "")) == (plugin(meant).state, plugin(meant).data["UDST available"])
    table = 'asset = "UDST"\naccount = "shop"\ncrit = "~:1"\n'
    assert "UNKNOWN" == plugin(checked(program, sandbox, limits(table))).state
    assert "OK" == plugin(checked(program, sandbox, limits(table + 'absent = "zero"\n'))).state
    assert "must be zero" in checked(program, sandbox, limits(table + 'absent = "0"\n')).err


SEVERAL = limits(
    'asset = "USDT"\naccount = "shop"\nwarn = "4000.1:"\ncrit = "500:"',
    'asset = "btc"\nfield = "total"\ncrit = "3.75:"',
    'asset = "SNX"\naccount = "loopring"\ncrit = "1:"',
    'asset = "SNX#24"\naccount = "loopring"\ncrit = "~:42"',
)


def test_the_limits_of_a_profile(program: Program, sandbox: Sandbox) -> None:
    """Each limit has its line in the profile's order; the worst state wins, CRITICAL over UNKNOWN over WARNING."""
    told = plugin(checked(program, sandbox, SEVERAL))
    assert ("CRITICAL", ["WARNING", "OK", "UNKNOWN", "CRITICAL"]) == (
        told.state,
        [line.split(":")[0] for line in told.lines],
    )
    assert (
        "SNX#24 available at loopring is 42.000000000000000001, crit ~:42 "
        "(4 limits: 1 CRITICAL, 1 UNKNOWN, 1 WARNING, 1 OK)"
    ) == told.text
    assert {
        "shop USDT available": ("4000", "4000.1:", "500:"),
        "btc total": ("3.75", "", "3.75:"),
        "loopring SNX available": ("U", "", "1:"),
        "loopring SNX#24 available": ("42.000000000000000001", "", "~:42"),
    } == told.data
    without_critical = checked(program, sandbox, SEVERAL.replace("~:42", "~:42.1"))
    assert "UNKNOWN" == plugin(without_critical).state


def test_all_well_is_one_line_and_silent(program: Program, sandbox: Sandbox) -> None:
    """Where every limit holds the status line says how many there are, and stderr is empty."""
    held = limits('asset = "USDT"\ncrit = "1:"', 'asset = "BTC"\naccount = "shop"\nwarn = "0:2"')
    result = checked(program, sandbox, held, "-q")
    assert ("OK", "all 2 limits hold", "") == (plugin(result).state, plugin(result).text, result.err)


def test_options_replace_the_limits_of_the_profile(program: Program, sandbox: Sandbox) -> None:
    """One limit by options is the only one of the run."""
    told = plugin(checked(program, sandbox, SEVERAL, "--asset", "XRP", "--crit", "1:"))
    assert ("OK", ["XRP available"]) == (told.state, list(told.data))


def test_only_the_accounts_of_the_limits_are_asked(program: Program, sandbox: Sandbox) -> None:
    """A limit on an account asks that one, whose secrets alone must be there; no filter of assets is sent."""
    other = '\n[[profiles.main.limits]]\nasset = "BTC"\naccount = "treasury"\ncrit = "1:"\n'
    profile = sandbox.profile("main").replace("account_id = 11329", 'account_id = "${NOT_SET}"')
    assert "${NOT_SET}" in profile
    told = plugin(program.with_profile(profile + other, "check"))
    assert ("OK", {"treasury BTC available": ("1.25", "", "1:")}) == (told.state, told.data)
    assert {"/wallet"} == {"/" + question.path.split("/")[1] for question in sandbox.log}
    assert not any(b"assets" in question.body for question in sandbox.log)
    assert "config.variable" in str(
        program.with_profile(profile + limits('asset = "BTC"\ncrit = "1:"'), "check", "-o", "json").json
    )


USAGE = [
    ["--nope|'x'=5"],
    ["shop"],
    ["-o", "csv"],
    ["--timeout", "0"],
    ["--retries", "x"],
    ["--asset"],
    ["--sandbox"],
    ["--sandbox", "--asset", "USDT"],
    ["--sandbox", "--crit", "1:"],
    ["--sandbox", "--asset", "USDT", "--crit", "20:10"],
    ["--sandbox", "--asset", "USDT", "--crit", "~:"],
    ["--sandbox", "--asset", "USDT", "--crit", "ten|'x'=5"],
    ["--sandbox", "--asset", "USDT,BTC", "--crit", "1:"],
    ["--sandbox", "--asset", "USDT", "--asset", "BTC", "--crit", "1:"],
    ["--sandbox", "--asset", "USDT", "--crit", "1:", "--crit", "2:"],
    ["--sandbox", "--asset", "USDT", "--field", "free", "--crit", "1:"],
    ["--sandbox", "--asset", "USDT", "--absent", "0", "--crit", "1:"],
    ["--sandbox", "--asset", "USDT", "--account", "no|body", "--crit", "1:"],
    ["--asset", "USDT", "--crit", "1:", "--fault", "refused"],
    ["--asset", "USDT", "--crit", "1:", "-c", "/no|where"],
]


@each_case("arguments", [*USAGE, ["-c", "/a/file", "check"], ["--nope", "check"]], ids=" ".join)
def test_wrong_usage_is_unknown(program: Program, arguments: list[str]) -> None:
    """A command line that cannot be meant is UNKNOWN, with the reason in the status line and on stderr."""
    result = program.run(*([] if "check" in arguments else ["check"]), *arguments)
    assert "UNKNOWN" == plugin(result).state
    assert 1 == len(result.err.splitlines())


@each_case("arguments", [["--nope"], ["--sandbox"], ["--sandbox", "--asset", "USDT"]])
def test_wrong_usage_makes_a_document_too(program: Program, arguments: list[str]) -> None:
    """With -o json, or BALCLI_OUTPUT, the state UNKNOWN is told in the one document."""
    for result in (
        program.run("check", *arguments, "-o", "json"),
        program.run("check", *arguments, env={"BALCLI_OUTPUT": "json"}),
    ):
        assert (3, "UNKNOWN", 3, []) == (
            result.code,
            result.json["state"],
            result.json["exit_code"],
            result.json["limits"],
        )
        assert 1 == len(result.json["errors"])


@each_case(
    ("text", "words"),
    [
        ("", "has no profiles; add [profiles.main]"),
        (
            "[profiles.main.merchant]\ntoken = 5\n" + limits('asset = "USDT"\ncrit = "1:"'),
            "token in merchant",
        ),
        (
            '[profiles.main.merchant]\ntoken = "t"\n',
            'profile "main" has no limits; add [[profiles.main.limits]]',
        ),
        ('[profiles.main.merchant]\ntoken = "t"\n' + limits('asset = "USDT"\ncrit = "x"'), "crit in limit 1"),
        (limits('asset = "USDT"\ncrit = "1:"'), "has no account"),
    ],
    ids=["empty", "account", "no limits", "limit", "no account"],
)
def test_a_bad_profile_is_unknown(program: Program, text: str, words: str) -> None:
    """Whatever is wrong with the configuration is said in the status line."""
    told = plugin(program.with_profile(text, "check"))
    assert "UNKNOWN" == told.state
    assert words in told.text


def test_accounts_of_the_environment_have_limits_by_options(program: Program) -> None:
    """Without a file there are no limits, and what is missing is said."""
    env = {"BALCLI_MERCHANT_TOKEN": TOKEN, "BALCLI_MERCHANT_BASE_URL": "http://127.0.0.1:9"}
    assert (
        "the environment has no limits; add [[profiles.main.limits]]"
        in plugin(program.run("check", env=env)).text
    )
    result = program.run("check", "--asset", "USDT", "--crit", "1:", "--retries", "0", env=env)
    assert "merchant did not answer (network.connection)" in plugin(result).text


def test_names_break_no_line_and_no_performance_data(program: Program, sandbox: Sandbox) -> None:
    """Bars, quotes, equals signs and escapes in names are escaped in texts and replaced in labels, which stay apart."""
    profile = sandbox.profile("main").replace('name = "shop"', "name = \"a|b='c'\"")
    text = limits(
        *(
            f'asset = "{asset}"\naccount = "a|b=\'c\'"\ncrit = "~:1"'
            for asset in ("x|y", "x=y", "x'y", "USDT")
        ),
        'asset = "| \'z\'=9;;5"\ncrit = "~:1"',
    )
    result = program.with_profile(profile + text, "check")
    told = plugin(result)
    labels = [f"a_b__c_ {name} available" for name in ("x_y", "x_y", "x_y", "USDT")]
    assert [labels[0], f"{labels[1]} 2", f"{labels[2]} 3", labels[3], "_ _z__9;;5 available"] == list(
        told.data
    )
    assert "USDT available at a\\x7cb='c' is 4000, crit ~:1 (5 limits: 1 CRITICAL, 4 UNKNOWN)" == told.text
    with Sandbox(faults=["merchant:refused"]) as refusing:
        refused = refusing.profile("main").replace('name = "shop"', "name = \"a|b='c'\"")
        assert "UNKNOWN" == plugin(program.with_profile(refused + text, "check")).state


def test_the_document_keeps_its_keys(program: Program, sandbox: Sandbox) -> None:
    """The keys are what scripts rely on, and are all there, also where nothing is known."""
    keys = [
        "schema_version",
        "generated_at",
        "profile",
        "state",
        "exit_code",
        "limits",
        "accounts",
        "warnings",
        "errors",
    ]
    of_limit = ["asset", "assets", "exact", "field", "account", "warn", "crit", "value", "state", "reason"]
    result = checked(program, sandbox, SEVERAL, "-o", "json")
    document = result.json
    assert (2, "CRITICAL", 2, "main") == (
        result.code,
        document["state"],
        document["exit_code"],
        document["profile"],
    )
    assert keys == list(document)
    assert [of_limit] * 4 == [list(limit) for limit in document["limits"]]
    assert ["4000", "3.75", None, "42.000000000000000001"] == [limit["value"] for limit in document["limits"]]
    assert ["USDT", ["USDT"], False, "available", "shop", "4000.1:", "500:", "4000", "WARNING", None] == list(
        document["limits"][0].values()
    )
    assert ["account", "provider", "status", "fetched_at", "target", "error"] == list(document["accounts"][0])
    lost = program.run(*SHOP, "--crit", "1:", "--fault", "merchant:refused", "-o", "json").json
    assert keys == list(lost)
    assert of_limit == list(lost["limits"][0])
    assert "credentials.refused" == lost["accounts"][0]["error"]["code"]
    stopped = program.run("check", "-c", "/nowhere", "-o", "json").json
    assert (keys, [], [["code", "message"]]) == (
        list(stopped),
        stopped["limits"],
        [list(error) for error in stopped["errors"]],
    )


def test_output_that_cannot_be_written_is_unknown(program: Program) -> None:
    """A full disk or a closed stdout is 3, with the reason on stderr."""
    for extra in ((), ("--nope",)):
        arguments = [*SHOP, "--crit", "1:", *extra]
        with Path("/dev/full").open("wb") as full:
            process = program.start(*arguments, stdout=full.fileno())
            _, err = process.communicate()
        closed = subprocess.run(
            ["bash", "-c", '"$@" >&-', "-", sys.executable, "-m", "balcli", *arguments],
            env=program.environment(),
            cwd=ROOT,
            capture_output=True,
            check=False,
        )
        assert [(3, True)] * 2 == [
            (process.returncode, b"stdout " in err),
            (closed.returncode, b"stdout " in closed.stderr),
        ]


def test_a_reader_that_goes_away_is_141(program: Program) -> None:
    """If nobody reads, there is no state to tell: the code is that of the closed pipe."""
    reading, writing = os.pipe()
    os.close(reading)
    process = program.start(*SHOP, "--crit", "1:", stdout=writing)
    os.close(writing)
    _, err = process.communicate(timeout=30)
    assert (141, b"") == (process.returncode, err)


@contextmanager
def waiting(program: Program, *arguments: str) -> Iterator[Running]:
    """A check that waits for a silent server."""
    asked: list[str] = []
    with Sandbox(faults=["merchant:silent"], log_line=asked.append) as server:
        text = f'[profiles.main.merchant]\nbase_url = "{server.url}/merchant"\ntoken = "{TOKEN}"\n'
        file = program.write(text + limits('asset = "USDT"\ncrit = "1:"'))
        process = program.start("check", "-c", str(file), "--timeout", "600", *arguments)
        wait_until(lambda: asked)
        yield process
        process.kill()
        process.communicate()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_keeps_its_code(program: Program, number: signal.Signals, code: int) -> None:
    """Ctrl-C and SIGTERM end a check at once with their own codes; there is no state then."""
    with waiting(program, "--deadline", "600") as process:
        process.send_signal(number)
        out, err = process.communicate(timeout=5)
        assert (code, b"", b"") == (process.returncode, out, err)


def test_the_deadline_makes_a_state(program: Program) -> None:
    """A server that never answers is UNKNOWN by the deadline: an engine need not kill the check."""
    with waiting(program, "--deadline", "1") as process:
        out, err = process.communicate(timeout=10)
    assert "UNKNOWN" == plugin(Result(process.returncode, out.decode(), err.decode())).state


BUG = """
import sys
from balcli.cli import app
import balcli.report
def broken(*args, **kwargs):
    raise LookupError("a-very-secret-key")
balcli.report.build = broken
sys.exit(app.run(["check", "--sandbox", "--asset", "USDT", "--crit", "1:", *sys.argv[1:]]))
"""


@pytest.mark.parametrize("arguments", [[], ["-o", "json"]])
def test_a_bug_is_unknown(program: Program, arguments: list[str]) -> None:
    """A bug is no warning: it is UNKNOWN, in the status line or the document."""
    done = subprocess.run(
        [sys.executable, "-c", BUG, *arguments],
        env=program.environment(),
        cwd=ROOT,
        capture_output=True,
        check=False,
        text=True,
    )
    assert (3, False) == (done.returncode, "a-very-secret-key" in done.stdout + done.stderr)
    if arguments:
        assert ("UNKNOWN", "bug") == (
            json.loads(done.stdout)["state"],
            json.loads(done.stdout)["errors"][0]["code"],
        )
    else:
        assert plugin(Result(done.returncode, done.stdout, done.stderr)).text.startswith(
            "this is a bug in balcli"
        )


def test_colour_is_for_the_lines_of_the_limits(program: Program) -> None:
    """The status line is never coloured, so that an engine reads it; the others are on request, and not against it."""
    arguments = (*SHOP, "--crit", "~:1")
    first, *lines = program.run(*arguments, env={"FORCE_COLOR": "1"}).out.splitlines()
    assert ["BALCLI CRITICAL", True] == [first[:15], "\x1b[" in "".join(lines)]
    assert "\x1b[" not in first
    assert "\x1b[" not in program.run(*arguments, "--no-color", env={"FORCE_COLOR": "1"}).out


def test_help_is_no_state(program: Program) -> None:
    """--help explains the options and ends with 0."""
    result = program.run("check", "--help")
    assert (0, True) == (result.code, "--crit" in result.out)


def test_other_commands_keep_their_codes(program: Program) -> None:
    """`config check` is another command: its wrong usage is 2, without a status line."""
    result = program.run("config", "check", "--nope")
    assert (2, "") == (result.code, result.out)


def test_a_status_line_stays_short() -> None:
    """Names and reasons are cut, amounts and ranges never are."""
    digits = "-" + "9" * 79
    long = Threshold("A" * 100, "available", "b" * 100, parse_range(f"{digits}:"), None)
    findings = (
        Finding(long, State.WARNING, parse(digits), None),
        Finding(long, State.UNKNOWN, None, "w" * 5000),
    )
    first, *lines = render(Verdict(findings, build("main", [])), colour=False).splitlines()
    text, _, data = first.partition(" | ")
    assert (True, True) == (len(text) < 400, max(len(line) for line in lines) < 600)
    known, unknown = data.split(" 'b")
    assert [2, 1, 2, 1] == [part.count(digits) for part in (known, unknown, *lines)]


def test_nothing_found_is_never_ok() -> None:
    """A verdict without limits is UNKNOWN, and so is every limit of a run that failed."""
    line = render(evaluate(failed("main", ConfigFileError("no such file; check the path")), ()), colour=False)
    assert "BALCLI UNKNOWN - no such file; check the path\n" == line
