"""What can be held of every message at once: a next step, a length, and words for people."""

import builtins
import re
from typing import Final

import pytest

from balcli.errors import BalcliError, leaves
from balcli.http import library_errors
from balcli.providers import merchant_requests
from tests.messages import CLASS, FILLED, LEAVES, PHRASES, Message, main, messages

COMPLETED: Final = {
    ("http/library_errors.py", ""): "the client puts the host before it and a cure behind it, as it does for",
    ("http/transport.py", ""): "the client puts the host before it and a cure behind it",
    ("http/strictjson.py", ""): "the client does the same",
    (
        "http/client.py",
        "{…} refused the credentials ({…})",
    ): "`with_cure` names the settings to check behind it",
    ("providers/parsing.py", "{…} refused the credentials ({…})"): "the same",
    ("providers/loopring.py", "{…} refused the API key with error {…} ({…})"): "the same",
    (
        "providers/loopring.py",
        "{…} returned error 101002 ({…}): the account_id or address does not exist, or the API key is wrong",
    ): "the same",
    ("http/client.py", "no time left before the deadline of {…} s"): "and it does so with its own",
    ("http/client.py", "no response before the deadline of {…} s"): "the same",
    ("money.py", ""): "reading puts the place in the answer before it, and `ask the provider` behind it",
    ("diff.py", ""): "a bug, which is said as one",
    ("history/series.py", "not a canonical amount"): "reading says that the history is damaged, and a cure",
    ("thresholds.py", "the run failed ({…})"): "what stopped the run is told beside it",
    ("thresholds.py", "{…} did not answer ({…})"): "each failure is told with its own next step on stderr",
    (
        "cli/options.py",
        "",
    ): "Typer names the option before it, and the boundary puts `see … --help` behind it",
}
"""Where a message has no next step of its own, by module and text, or module alone; and who gives it one."""

FILLED_LAST: Final = {
    ("cli/check.py", "--{…}: {…}"): "a ValueError or a missing key of a limit",
    ("config/entry.py", "{…}: {…}"): "a SettingProblem",
    ("config/entry.py", "{…} {…}"): "what is wrong with a value of a profile",
    ("config/inspection.py", ": {…}"): "the fault of a plug-in",
    ("config/sources.py", "{…} {…}"): "a wrong owner or mode with its chmod",
    ("config/sources.py", ": {…}"): "the message of a secret's file",
    ("history/database.py", "the history {…} {…}"): "what SQLite says, with a next step for each",
    ("http/library_errors.py", "the certificate {…}"): "what is wrong with the certificate",
    ("http/probe.py", "{…}: the certificate {…}"): "what is wrong with the certificate",
    ("thresholds.py", "starts above its end{…}"): "what to write, which begins with a semicolon",
    ("thresholds.py", "{…} did not answer ({…}): {…}"): "the account's own failure",
    (
        "providers/parsing.py",
        "{…} returned {…} ({…}){…}",
    ): "the advice on the vendor's code, or the general one",
    ("state.py", "{…} {…}"): "what is wrong with owner or mode, and its chmod",
}
"""Where the next step stands in what is filled in last, by module and text; and what that is."""


def _has_no_step(message: Message) -> bool:
    """Whether a message that is to have a next step has none of its own."""
    return message.kind in LEAVES | PHRASES and ";" not in message.text


def test_each_message_says_what_to_do() -> None:
    """Each error has a next step behind its last semicolon, or is completed by a caller that gives it one."""
    excused = {*COMPLETED, *FILLED_LAST}
    assert [] == [
        message
        for message in messages()
        if _has_no_step(message)
        and excused.isdisjoint({(message.module, message.text), (message.module, "")})
    ]


def test_each_message_is_short_and_in_words() -> None:
    """With typical fields no message is over 300 characters; none has a class's name or an exclamation mark."""
    classes = LEAVES | {name for name in dir(builtins) if name.endswith(("Error", "Exception"))}
    assert [] == [
        message
        for message in messages()
        if len(f"balcli: treasury: {message.text}".replace(FILLED, "x" * 20)) > 300
        or classes & set(re.findall(r"\w+", message.text))
        or CLASS in message.text
        or "!" in message.text
    ]


def test_each_error_has_a_message() -> None:
    """The list has every class of the error tree that is raised; a bug's is made at the boundary."""
    raised = {leaf.__name__ for leaf in leaves(BalcliError)} - {"Bug"}
    assert set() == raised - {message.kind for message in messages()}


def test_the_exceptions_are_needed() -> None:
    """Every exception that is listed here is one for a message that there is."""
    there = {
        (message.module, text)
        for message in messages()
        if _has_no_step(message)
        for text in ("", message.text)
    }
    assert set() == {*COMPLETED, *FILLED_LAST} - there


def test_words_that_are_filled_in_say_what_to_do() -> None:
    """The words for a vendor's code and for a certificate have the next step that their message lacks."""
    advice = [*merchant_requests._ADVICE.values(), *library_errors._CERTIFICATE_PROBLEMS.values()]
    assert [] == [words for words in advice if "; " not in words and not words.startswith("check")]


def test_the_list_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """`python -m tests.messages` prints each message below its place and class."""
    assert 0 == main()
    printed = capsys.readouterr().out.splitlines()
    places, texts = printed[::2], printed[1::2]
    assert [message.text for message in messages()] == [text.removeprefix("    ") for text in texts]
    assert all(re.fullmatch(r"balcli/[\w/]+\.py:\d+  \w+", place) for place in places)
