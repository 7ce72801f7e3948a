"""Seconds with units: what is taken, what is refused, and that options and profiles agree."""

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from balcli.settings import parse_seconds
from tests.conftest import Program
from tests.generated import examples
from tests.lists import each_case
from tests.profiles import private
from tests.tree import commands

FACTORS = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


@examples(500)
@given(st.decimals(0, 100_000, places=3), st.sampled_from(sorted(FACTORS)))
def test_a_number_with_a_unit_is_so_many_seconds(number: object, unit: str) -> None:
    """Any number takes any of the units; without one it is seconds."""
    assert parse_seconds(f"{number}{unit}") == pytest.approx(float(str(number)) * FACTORS[unit], rel=1e-12)


WRONG = "|s|ms|5 s| 5s|5s |5S|5M|5sec|5min|5d|1h30m|5ss|5sm|-5s|+5s|.s|1e3s|1_0|1_0s|5,5|٥|٥s|0x5|five|5\ns|infs|µs|²s"


@each_case("text", WRONG.split("|"))
def test_what_is_no_time_is_refused(text: str) -> None:
    """A unit that can be misread, two of them, or a number that is none is refused, with what to write."""
    with pytest.raises(ValueError, match=r"500ms or 2m$"):
        parse_seconds(text)


@each_case(
    ("text", "seconds"),
    [("2.5", 2.5), ("2500ms", 2.5), ("2m", 120.0), ("1h", 3600.0), ("7s", 7.0), ("5", 5.0)],
)
def test_options_and_profiles_take_the_same(program: Program, text: str, seconds: float) -> None:
    """`--timeout` and `timeout`, quoted, bare or from a variable, are the same number of seconds."""
    bare = f"timeout = {text}\n" if text.replace(".", "").isdigit() else ""
    table = '[profiles.main.merchant]\ntoken = "s3cr3t-token"\n'
    private(program.folder / ".env", f"TIMEOUT={text}\n")
    for line in (f'timeout = "{text}"\n', 'timeout = "${TIMEOUT}"\n', bare):
        result = program.with_profile(f"[profiles.main]\n{line}{table}", "config", "show", "-o", "json")
        (found,) = [each["value"] for each in result.json["settings"] if each["key"] == "timeout"]
        assert found == (seconds if line else 10)
    run = program.run("merchant", "--sandbox", "-o", "json", "--timeout", text, "--deadline", text)
    assert 0 == run.code


@each_case(
    "value",
    ['"0s"', '"25h"', '"nan"', '"5x"', '"-1"', "0", "-1", "nan", "inf", "86401", "true", '["5s"]', '""'],
)
def test_a_profile_refuses_other_times(program: Program, value: str) -> None:
    """A time that is none, or out of range, is 3 and one line, with the key and its line."""
    text = f'[profiles.main]\ndeadline = {value}\n[profiles.main.merchant]\ntoken = "s3cr3t-token"\n'
    result = program.with_profile(text, "all", "-o", "json")
    assert (3, ["config.value"]) == (result.code, [error["code"] for error in result.json["errors"]])
    assert 'config.toml:2: deadline in profile "main" ' in result.err


def test_every_option_of_seconds_takes_units() -> None:
    """Each option whose value is a time, in every command, takes a unit and refuses what is no time."""
    timed = [
        (name, parameter)
        for name, command in commands()
        for parameter in command.params
        if getattr(parameter, "metavar", None) in {"S", "MS"}
    ]
    assert {"--timeout", "--deadline", "--wait", "--watch", "--latency"} <= {
        each.opts[0] for _, each in timed
    }
    for name, parameter in timed:
        assert parameter.type.convert("2s", parameter, None) == 2, (name, parameter.opts)
        with pytest.raises(typer.BadParameter, match="5x is not a duration"):
            parameter.type.convert("5x", parameter, None)
