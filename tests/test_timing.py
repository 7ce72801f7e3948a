"""Time on the way to an answer: deadlines, a host's pace, pauses, and what a `Retry-After` means."""

import math
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Final

import pytest

from balcli.http.timing import Deadline, HostPause, RateLimiter, backoff, parse_retry_after, seconds_ahead
from tests.lists import each_case

MUCH: Final = 20.0
"""Seconds that no test here takes."""


def test_a_deadline_counts_down() -> None:
    """What is left of a deadline starts at its seconds and shrinks with the clock."""
    deadline = Deadline(5)
    first = deadline.left()
    time.sleep(0.05)
    second = deadline.left()
    assert 5 == deadline.seconds
    assert 4 < first <= 5
    assert 3 < second <= first - 0.05


@each_case("seconds", [0, -1, -100])
def test_nothing_is_left_of_a_deadline_that_has_passed(seconds: float) -> None:
    """After the moment there is nothing left, never less than nothing."""
    assert 0.0 == Deadline(seconds).left()


def entered(pace: RateLimiter, seconds: float) -> tuple[bool, float]:
    """Whether a place was had before a deadline of so many seconds, and how long that took."""
    begun = time.monotonic()
    return pace.acquire(Deadline(seconds)), time.monotonic() - begun


def test_places_are_had_at_once_until_there_are_no_more() -> None:
    """As many requests as the host allows leave at once; the next one waits, and gives up with the deadline."""
    pace = RateLimiter(3)
    taken = [entered(pace, MUCH) for _ in range(3)]
    late = entered(pace, 0.2)
    assert [True, True, True] == [there for there, _ in taken]
    assert max(seconds for _, seconds in taken) < 1
    assert not late[0]
    assert 0.2 <= late[1] < 1


def test_a_place_is_free_a_second_after_the_answer() -> None:
    """A place that is given back stays taken for a second, and is had right after it, not at the deadline."""
    pace = RateLimiter(1)
    pace.acquire(Deadline(MUCH))
    pace.release()
    left = time.monotonic()
    early = entered(pace, 0.3)
    there, _ = entered(pace, MUCH)
    assert not early[0]
    assert 0.3 <= early[1] < 0.9
    assert there
    assert 1.0 <= time.monotonic() - left < 2


def test_each_place_has_a_second_of_its_own() -> None:
    """Of two places given back one after the other, the first is had a second after it was, and not with the second."""
    pace = RateLimiter(2)
    for _ in range(2):
        pace.acquire(Deadline(MUCH))
    pace.release()
    first = time.monotonic()
    time.sleep(0.6)
    pace.release()
    assert pace.acquire(Deadline(MUCH))
    assert 1.0 <= time.monotonic() - first < 1.5
    assert pace.acquire(Deadline(MUCH))
    assert 1.6 <= time.monotonic() - first < 2.5


def test_who_waits_for_a_request_under_way_is_woken_by_its_end() -> None:
    """One that waits while all places are under way goes a second after the first of them has ended."""
    pace = RateLimiter(1)
    pace.acquire(Deadline(MUCH))
    moments: list[float] = []

    def wait() -> None:
        if pace.acquire(Deadline(MUCH)):
            moments.append(time.monotonic())

    waiting = threading.Thread(target=wait, daemon=True)
    waiting.start()
    time.sleep(0.1)
    pace.release()
    left = time.monotonic()
    waiting.join(timeout=5)
    (moment,) = moments
    assert 1.0 <= moment - left < 2


def test_no_second_holds_more_requests_than_the_host_allows() -> None:
    """However many ask at once, no second has more of them under way or just ended than there are places."""
    pace, entries, lock = RateLimiter(4), list[float](), threading.Lock()

    def ask() -> None:
        assert pace.acquire(Deadline(MUCH))
        with lock:
            entries.append(time.monotonic())
        pace.release()

    threads = [threading.Thread(target=ask, daemon=True) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=10)
    entries.sort()
    assert 10 == len(entries)
    assert all(later - earlier > 1 for earlier, later in zip(entries, entries[4:], strict=False))
    assert entries[-1] - entries[0] < 5


def test_a_place_that_was_had_in_time_is_not_lost() -> None:
    """Where there is a place, a request has it also when the deadline has just passed; the request itself ends."""
    assert (True, False) == (RateLimiter(1).acquire(Deadline(0)), RateLimiter(0).acquire(Deadline(0)))


def test_waiting_costs_no_work() -> None:
    """A wait for a place sleeps; it does not look at the clock again and again."""
    pace = RateLimiter(1)
    pace.acquire(Deadline(MUCH))
    pace.release()
    before = time.thread_time()
    assert entered(pace, MUCH)[0]
    assert not entered(pace, 0.5)[0]
    assert time.thread_time() - before < 0.05


@each_case(("attempt", "shortest"), [(0, 0.5), (1, 1.0), (2, 2.0), (3, 2.0), (4, 2.0), (100, 2.0)], ids=str)
def test_pauses_double_up_to_four_seconds_and_are_random(attempt: int, shortest: float) -> None:
    """A pause is at least half a second, then one, then two, and up to twice that: three outlast 3 seconds."""
    drawn = [backoff(attempt) for _ in range(2000)]
    assert shortest <= min(drawn) < 1.05 * shortest
    assert 1.95 * shortest < max(drawn) <= 2 * shortest


def test_a_pause_of_a_host_is_the_longest_that_was_asked_for() -> None:
    """A shorter one does not end it earlier, and its reason is that of the longest."""
    pause = HostPause()
    assert 0.0 == pause.left()
    pause.extend(0.3, "long")
    pause.extend(0.1, "short")
    begun = time.monotonic()
    assert not pause.wait(Deadline(0.2))
    assert time.monotonic() - begun < 0.15
    assert pause.wait(Deadline(MUCH))
    assert 0.25 <= time.monotonic() - begun < 1
    assert "long" == pause.reason


@each_case(
    ("text", "seconds"),
    [("0", 0), ("1", 1), ("01", 1), (" 7 ", 7), ("120", 120), ("000000", 0), ("999999", 999_999)],
)
def test_whole_seconds_are_waited_for(text: str, seconds: float) -> None:
    """A number of at most six digits is the wait in seconds."""
    assert seconds == parse_retry_after(text)


@each_case("text", ["1000000", "0000001", "99999999", "1" * 5000])
def test_a_number_of_more_digits_is_a_wait_that_no_run_has(text: str) -> None:
    """Seven digits are too many, whatever they come to."""
    assert math.inf == parse_retry_after(text)


@each_case(
    "text",
    [
        *("", " ", "soon", "-5", "+1", "1.5", "1e0", "0x1", "1_0", "1 s", "1, 1", "NaN", "inf"),
        *(
            "\u00b9",
            "\u0661",
            "Fri, 01 Jan",
            "Fri, 99 Foo 2026 99:99:99 GMT",
        ),
        *("Fri, 21 Nov 2025 00:00:00 +9999", "Fri, 21 Nov 2025 00:00:00 +99999999999999"),
        *("Fri, 21 Nov 99999999999999999999 00:00:00 GMT", "Fri, 21 Nov 2025 99999999999999999999:00:00 GMT"),
    ],
    ids=ascii,
)
def test_what_is_neither_seconds_nor_a_date_is_no_wait(text: str) -> None:
    """Anything else has no meaning, and none is guessed."""
    assert None is parse_retry_after(text)


@pytest.fixture
def zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The time zone of this process for one test."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", request.param)
        time.tzset()
        yield request.param
    time.tzset()


@pytest.mark.parametrize("zone", ["UTC", "XXX+11", "XXX-11"], indirect=True)
@pytest.mark.parametrize("ahead", [3600, 90, -90, -3600])
@pytest.mark.parametrize("form", ["IMF", "RFC 850", "asctime", "offset"])
def test_a_date_is_waited_for_from_now(zone: str, ahead: int, form: str) -> None:
    """A date in any of HTTP's forms, in GMT unless it says otherwise, is so many seconds away; 0.1 if it is past."""
    moment = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=ahead)
    east = moment + timedelta(hours=2)
    text = {
        "IMF": format_datetime(moment, usegmt=True),
        "RFC 850": moment.strftime("%A, %d-%b-%y %H:%M:%S GMT"),
        "asctime": moment.strftime("%a %b %e %H:%M:%S %Y"),
        "offset": east.strftime("%a, %d %b %Y %H:%M:%S +0200"),
    }[form]
    wait = parse_retry_after(text)
    assert wait is not None
    assert max(0.1, ahead - 30) <= wait <= max(0.1, ahead), zone
    assert -ahead == seconds_ahead(text, moment.timestamp() - ahead + 0.5), zone


@each_case("off", [-86_400 * 365, -3600, -90, 90, 3600, 86_400 * 365], ids=str)
@each_case(("date", "shift"), [("IMF", 0), ("none", 1), ("garbage", 1)], ids=str)
def test_a_date_is_read_against_the_clock_of_its_server(off: int, date: str, shift: int) -> None:
    """A server whose clock is off asks for the wait between its two dates; without its own, our clock counts."""
    theirs = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=off)
    text = format_datetime(theirs + timedelta(seconds=5), usegmt=True)
    own = {"IMF": format_datetime(theirs, usegmt=True), "none": None, "garbage": "Sat, 99 Foo"}[date]
    wait = parse_retry_after(text, own)
    assert wait is not None
    if shift:
        assert max(0.1, off + 5 - 30) <= wait <= max(0.1, off + 5)
    else:
        assert 5.0 == wait


@pytest.mark.parametrize("zone", ["XXX+11", "XXX-11"], indirect=True)
@pytest.mark.parametrize("text", ["Fri, 31 Dec 9999 23:59:59 GMT", "Fri, 31 Dec 9999 23:59:59"])
def test_the_end_of_the_calendar_is_far(zone: str, text: str) -> None:
    """The last date there is gives a wait that no run has, wherever the program runs."""
    wait = parse_retry_after(text)
    assert wait is None or wait > 10**9, zone
