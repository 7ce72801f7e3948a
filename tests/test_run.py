"""One run as a function: a profile and a request make a report, without a command line."""

from pathlib import Path

import pytest

from balcli.cli.profiles import sandbox_profile
from balcli.config.profile import Profile
from balcli.errors import LockHeld, StateError
from balcli.run import RunRequest, run
from balcli.sandbox import Sandbox
from balcli.state import lock


@pytest.fixture
def profile(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Profile:
    """A profile with an account of each provider, and an empty folder for state."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return sandbox_profile(sandbox)


def test_a_run_without_wishes_asks_everybody(profile: Profile) -> None:
    """An empty request asks all accounts of the profile, shows every row and records nothing."""
    result = run(profile, RunRequest(cache=False))
    assert ["loopring", "treasury", "payouts", "shop"] == [
        each.account.name for each in result.report.outcomes
    ]
    assert (True, result.report, ()) == (result.report.complete, result.whole, result.problems)
    assert result.document == result.report


def test_what_is_not_shown_is_in_the_whole_report(profile: Profile) -> None:
    """Rows of zeros that a request hides are counted in the report, and stand in the whole one."""
    result = run(profile, RunRequest(provider="loopring", nonzero=True, cache=False))
    assert {"USDC"} == {row.asset for row in result.whole.balances} - {
        row.asset for row in result.report.balances
    }
    assert 1 == result.report.hidden


def test_a_run_that_cannot_be_recorded_has_its_balances(profile: Profile, tmp_path: Path) -> None:
    """The problem has the exit code 9; the document has a notice, and the report has not."""
    result = run(profile, RunRequest(record=True, history=tmp_path, sandbox=True))
    (problem,) = result.problems
    assert (StateError, True) == (type(problem), result.report.complete)
    assert ["history.not_recorded"] == [notice.code for notice in result.document.notices]
    assert () == result.report.notices


def test_a_run_waits_for_the_lock_only_if_it_is_recorded(profile: Profile, tmp_path: Path) -> None:
    """While another run has the profile's lock, one that is to be recorded is refused, and any other is not."""
    with lock(profile.name, {"XDG_STATE_HOME": str(tmp_path / "state")}):
        assert run(profile, RunRequest(provider="merchant", cache=False)).report.complete
        with pytest.raises(LockHeld):
            run(profile, RunRequest(provider="merchant", record=True, cache=False))
