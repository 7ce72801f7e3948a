"""The values that travel the line: they cannot be altered on the way, and say the same everywhere."""

import importlib
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final, cast

import pytest

from balcli.diagnosis import Diagnosis, Step
from balcli.errors import BadShape, ConfigFileError, OutputError, TimedOut
from balcli.models import (
    Account,
    Balance,
    DepositAddress,
    Failure,
    Holdings,
    Notice,
    Outcome,
    Report,
)
from balcli.money import Amount
from tests.lists import each_case

NOON: Final = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)
SHOP: Final[Account[object]] = Account("shop", "merchant", "https://m.example", {}, ("shop",), None)


def values() -> Iterator[type[Any]]:
    """The values that carry requests, answers and what is made of them."""
    for name in ("models", "http.client", "http.transport"):
        module = importlib.import_module(f"balcli.{name}")
        for value in vars(module).values():
            if isinstance(value, type) and issubclass(value, tuple) and value.__module__ == module.__name__:
                yield value


def failure(error: Any) -> Outcome:
    """An account that failed with this error."""
    return Outcome(SHOP, None, None, Failure.from_error(error))


@each_case("kind", list(values()), ids=lambda kind: str(kind.__qualname__))
def test_a_value_cannot_be_altered(kind: type[Any]) -> None:
    """No field of a value can be set once it is made, and nothing can be hung on it."""
    value = tuple.__new__(kind, [None] * len(kind._fields))
    for name in (*kind._fields, "another"):
        with pytest.raises(AttributeError):
            setattr(value, name, None)
    assert not hasattr(value, "__dict__")


def test_the_word_for_an_outcome() -> None:
    """An account that answered is ok, also with nothing; one with a failure has failed."""
    well = Outcome(SHOP, Holdings(()), NOON, None)
    assert ("ok", "failed") == (well.status, failure(TimedOut("late")).status)


def test_what_stops_the_whole_run_gives_its_exit_code() -> None:
    """A run-level failure is what counts, the lowest of several, whatever the accounts did; nothing is complete."""
    well = Outcome(SHOP, Holdings(()), NOON, None)
    stops = [
        Failure.from_error(error) for error in (OutputError("full"), ConfigFileError("gone"), BadShape("odd"))
    ]
    reports = [
        Report(NOON, "main", outcomes=outcomes, failures=tuple(failures))
        for outcomes in ((), (well,), (well, failure(TimedOut("late"))))
        for failures in (stops, stops[:1])
    ]
    assert [(3, False), (9, False)] * 3 == [(report.exit_code, report.complete) for report in reports]


def test_a_run_of_no_accounts_is_complete() -> None:
    """A report starts out empty, complete and with nothing hidden."""
    report = Report(NOON, None)
    assert ((), (), (), (), (), 0, 0, True) == (
        *(report.outcomes, report.balances, report.totals, report.notices, report.failures),
        *(report.hidden, report.exit_code, report.complete),
    )


@pytest.mark.parametrize(("outcomes", "code"), [((), 0), ((failure(BadShape("odd")),), 6)])
def test_a_diagnosis_ends_as_the_run_would(outcomes: tuple[Outcome, ...], code: int) -> None:
    """The doctor's exit code is that of the report which it comes to."""
    assert code == Diagnosis((), Report(NOON, None, outcomes)).exit_code


@each_case(
    ("sentence", "message", "cure"),
    [
        ("no address", "no address", None),
        ("no address; check base_url", "no address", "check base_url"),
        ("no address; asked twice; check base_url", "no address; asked twice", "check base_url"),
        ("a;b", "a;b", None),
        ("; check base_url", "check base_url", None),
    ],
)
def test_the_last_part_of_a_sentence_is_its_cure(sentence: str, message: str, cure: str | None) -> None:
    """What stands after the last semicolon says what to do; a sentence without one says what is."""
    assert Step("shop", "dns", "warning", message, cure) == Step.from_message(
        "shop", "dns", "warning", sentence
    )


def test_an_error_is_a_failed_step() -> None:
    """The step that an error ended has failed, with the error's words and cure."""
    error = TimedOut("no response in time; try later")
    assert Step("shop", "login", "failed", "no response in time", "try later") == Step.failed(
        "shop", "login", error
    )


def test_a_balance_starts_out_with_nothing_beside_its_amounts() -> None:
    """Details and raw texts are empty where none are given, the row counts, and nothing can be put into them."""
    rows = [Balance("a", "merchant", "ETH", None, Amount(0), Amount(0), Amount(0)) for _ in range(2)]
    assert [({}, {}, True, True)] * 2 == [(row.details, row.raw, row.counted, row.is_zero()) for row in rows]
    for given in (rows[0].details, rows[0].raw):
        with pytest.raises(TypeError):
            cast("dict[str, str]", given)["kind"] = "nft"


def test_a_deposit_address_is_a_value() -> None:
    """Two addresses that say the same are the same, and told apart by any part."""
    addresses = {DepositAddress(*parts) for parts in [("ERC20", "0x1", None)] * 2 + [("TON", "0x1", "7")]}
    assert 2 == len(addresses)


@each_case(
    ("report", "answered"),
    [
        (Report(NOON, None), True),
        (Report(NOON, None, (Outcome(SHOP, Holdings(()), NOON, None),)), True),
        (Report(NOON, None, (Outcome(SHOP, Holdings(()), NOON, None), failure(TimedOut("late")))), True),
        (Report(NOON, None, (failure(TimedOut("late")),)), False),
        (
            Report(
                NOON,
                None,
                (Outcome(SHOP, Holdings(()), NOON, None),),
                failures=(Failure.from_error(OutputError("x")),),
            ),
            False,
        ),
    ],
)
def test_a_run_has_something_to_show_if_an_account_answered(report: Report, answered: bool) -> None:
    """A run that was stopped, or in which every account failed, has nothing; any other has."""
    assert answered is report.answered


@each_case(
    ("hidden", "message"),
    [(0, None), (1, "1 row of zeros is hidden (--nonzero)"), (2, "2 rows of zeros are hidden (--nonzero)")],
)
def test_what_was_hidden_is_a_warning_of_its_own(hidden: int, message: str | None) -> None:
    """The warnings are the run's notices, and last how many rows were left out, if any were."""
    notice = Notice("env.ignored", None, "name")
    report = Report(NOON, None, notices=(notice,), hidden=hidden)
    expected = (notice,) if message is None else (notice, Notice("rows.hidden", None, message))
    assert expected == report.warnings


@each_case(
    ("left_out", "message"),
    [
        (None, None),
        (0, None),
        (1, "1 row is left out (--totals-only)"),
        (2, "2 rows are left out (--totals-only)"),
    ],
)
def test_what_was_left_out_is_a_warning_of_its_own(left_out: int | None, message: str | None) -> None:
    """How many rows stood aside for totals alone is the last of the warnings, if there were any."""
    report = Report(NOON, None, left_out=left_out)
    expected = () if message is None else (Notice("rows.left_out", None, message),)
    assert expected == report.warnings
