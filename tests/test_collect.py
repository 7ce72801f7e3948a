"""Accounts asked at the same time: what they share is made once, and what goes wrong in a thread is not lost."""

from pathlib import Path
from threading import Event, Thread

import pytest

from balcli.collect import each
from balcli.errors import TimedOut
from balcli.http.timing import Deadline
from balcli.models import Account
from balcli.providers.base import RunOnce
from tests.conftest import Program


@pytest.mark.parametrize(("bug", "told"), [(SystemExit(0), RuntimeError), (KeyError("x"), KeyError)])
def test_a_bug_in_a_thread_is_raised(bug: BaseException, told: type[Exception]) -> None:
    """What is no error of the tree is not swallowed; what would end the program is a bug like any other."""

    def do(_: Account[None]) -> bool:
        raise bug

    account = Account("shop", "merchant", "", {}, (), None)
    with pytest.raises(told):
        each({(0,): account}, do, 1, Deadline(5))


def test_a_value_is_there_also_while_another_has_it_renewed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the making of a value and its use, another account may find it stale and have it made anew."""
    begun, over = Event(), Event()
    made: list[str] = []

    def make() -> str:
        if made:
            begun.set()
            over.wait(5)
        made.append(f"token {len(made) + 1}")
        return made[-1]

    shared = RunOnce(make)
    fill, other = shared._fill, Thread(target=lambda: shared.renewed(made[0]))

    def fill_and_lose_the_turn() -> list[str]:
        found = fill()
        if other.ident is None:
            other.start()
            begun.wait(5)
        return found

    monkeypatch.setattr(shared, "_fill", fill_and_lose_the_turn)
    assert "token 1" == shared.get()
    over.set()
    other.join(5)
    assert ("token 2", ["token 1", "token 2"]) == (shared.get(), made)


def test_what_fails_fails_alike_for_everyone() -> None:
    """A login that may have been sent is not sent again: each who asks gets its error."""
    tries: list[int] = []

    def make() -> str:
        tries.append(1)
        raise TimedOut("no response in time")

    shared = RunOnce(make)
    for _ in range(2):
        with pytest.raises(TimedOut):
            shared.get()
    assert [1] == tries


PLUG_IN = """
from balcli.models import Account, Balance, Holdings
from balcli.money import parse
from balcli.providers.base import Flag

NAME, TITLE, BASE_URL, KEYS, ENDPOINTS = "acme", "Acme", "http://127.0.0.1:9", (), ()
FLAGS = (Flag("twice", "Two accounts of one name."), Flag("odd", "A name that is no text."))


def open_account(name, base_url, values):
    return Account(name, NAME, base_url, {}, (base_url, name), None)


def expand(account, run):
    return [account._replace(identity=(str(n),)) for n in range(2 if "twice" in run.flags else 1)]


def fetch(account, run):
    asset = "half \\ud800" if "odd" in run.flags else "whole"
    return Holdings((Balance(account.name, NAME, asset, None, parse("1"), None, None),))
"""


def test_what_a_plug_in_names_is_told_apart_too(program: Program, tmp_path: Path) -> None:
    """Two accounts of one name, and a name that is no text, fail the account of a plug-in that makes them."""
    (tmp_path / "balcli_acme.py").write_text(PLUG_IN)
    info = tmp_path / "balcli_acme-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: balcli-acme\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[balcli.providers]\nacme = balcli_acme\n")
    env = {"PYTHONPATH": str(tmp_path)}
    for options, code, error in (
        ([], 0, None),
        (["--twice"], 6, "provider.error"),
        (["--odd"], 6, "answer.shape"),
    ):
        result = program.with_profile("[profiles.main.acme]\n", "acme", "-o", "json", *options, env=env)
        (account,) = result.json["accounts"]
        assert (code, error) == (result.code, account["error"] and account["error"]["code"])
