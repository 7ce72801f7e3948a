"""When the program asks again, how long it waits for that, and when it gives up."""

import json
import re
import socket
import sys
import time
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import partial
from typing import Any, Final

import pytest

from balcli.sandbox.faults import keeps_silent
from tests.conftest import Program
from tests.faults.wire import chunked, drips, hangs_up, resets, sends
from tests.lists import each_case
from tests.wire import (
    GOOD,
    GZIPPED,
    TOKEN,
    Batch,
    Case,
    Script,
    Wire,
    amounts,
    answer,
    assert_answered,
    assert_failed,
    assert_no_secret,
    assert_one_line,
    each,
    headers_of,
    holdings,
    keeps,
    merchant,
    wallet,
)

BODY: Final = holdings()
HALF: Final = BODY[: len(BODY) // 2]
WELL: Final = [("5000", "4000", "1000")]
ONCE: Final = ("--retries", "0")
TWICE: Final = ("--retries", "1")

trouble = partial(each, code=5)


@pytest.fixture(scope="module")
def played(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Batch:
    """How each case of this module went."""
    return Batch(request, tmp_path_factory.mktemp("retries"))


def status(number: int, *headers: str, body: bytes = b"") -> Script:
    """A script that answers with this status."""
    return sends(answer(body, f"{number} Now", *headers))


# Connections.

LENGTH: Final = f"Content-Length: {len(BODY)}"
ONLY_ONCE: Final = {
    "closed without a byte": hangs_up,
    "closed in the status line": sends(b"HTTP/1.1 2"),
    "closed in the headers": sends(answer(BODY)[:40]),
    "closed after the headers": sends(answer(b"", "200 OK", LENGTH, length=False)),
    "closed in the body": sends(answer(HALF, "200 OK", LENGTH, length=False)),
    "closed in a chunk": sends(
        answer(b"%x\r\n" % len(BODY) + HALF, "200 OK", "Transfer-Encoding: chunked", length=False)
    ),
    "closed ahead of the last chunk": sends(
        answer(chunked(BODY, last=b""), "200 OK", "Transfer-Encoding: chunked", length=False)
    ),
    "closed in the gzip": sends(answer(GZIPPED[:-9], "200 OK", "Content-Encoding: gzip", length=False)),
    "reset without a byte": resets(),
    "reset in the headers": resets(answer(BODY)[:40]),
    "reset in the body": resets(answer(HALF, "200 OK", LENGTH, length=False)),
    "reset in a body without a length": resets(answer(HALF, length=False)),
}


@each_case(
    "case",
    [
        Case(f"{name}, then good", (script, GOOD), requests=2, options=("--jobs", "20"), group="once")
        for name, script in ONLY_ONCE.items()
    ],
    ids=str,
)
def test_a_connection_that_fails_once_is_tried_again(case: Case, played: Batch) -> None:
    """After a connection that broke anywhere, the next try's answer is the account's."""
    assert amounts(assert_answered(case, played(case))) == WELL


@pytest.mark.parametrize(
    "case",
    [
        Case(
            f"{name}, tried {tries + 1} times",
            (script,),
            5,
            ("network.connection",),
            requests=tries + 1,
            options=("--retries", str(tries)),
        )
        for name, script in {
            "closed without a byte": hangs_up,
            "reset without a byte": resets(),
            "reset in the headers": resets(answer(BODY)[:40]),
            "reset in the body": resets(answer(HALF, "200 OK", LENGTH, length=False)),
        }.items()
        for tries in ((0, 1) if script is hangs_up else (1,))
    ],
    ids=str,
)
def test_a_connection_that_always_fails_is_given_up_after_the_retries(case: Case, played: Batch) -> None:
    """`--retries N` means N tries after the first; then the account fails with 5."""
    assert_failed(case, played(case))


def fails_for(seconds: float, number: int, *then: Script) -> Script:
    """A script that answers with this status for so long after the first request, and then as those in turn."""
    begun: list[float] = []
    turns = iter(then)

    def script(connection: socket.socket, request: bytes) -> object:
        begun.append(time.monotonic())
        failing = begun[-1] < begun[0] + seconds
        return (status(number) if failing else next(turns))(connection, request)

    return script


def test_an_outage_of_three_seconds_is_ridden_out_by_default(program: Program) -> None:
    """Of servers that are down for 3 seconds by default every account has its balances; what stays fails at the fourth try."""
    with ExitStack() as stack:
        wires = {
            name: stack.enter_context(wire)
            for name, wire in {
                "busy": Wire(fails_for(3, 503, GOOD)),
                "gateway": Wire(fails_for(3, 502, GOOD)),
                "restarted": Wire(GOOD, refuses_for=3),
                "lost": Wire(hangs_up),
                "login": Wire(JWT, WALLET, refuses_for=3),
            }.items()
        }
        tables = [
            f'[[profiles.main.merchant]]\nname = "{name}"\nbase_url = "{wire.url}"\ntoken = "{TOKEN}"\n'
            for name, wire in wires.items()
            if name != "login"
        ]
        tables.append(wallet(wires["login"].url, LOGIN))
        result = program.with_profile("".join(tables), "all", "-o", "json")
    failed = [account["account"] for account in result.json["accounts"] if account["error"]]
    assert failed == ["lost"]
    assert result.code == 8
    assert_one_line(result, "lost")
    assert len(wires["lost"].requests) == 4
    assert len(wires["login"].requests) == 2


def test_a_rate_limit_holds_for_every_account_of_the_host(program: Program) -> None:
    """Between a 429 and the end of the wait that it asks for, no account of the run asks that host."""
    moments: list[float] = []

    def script(connection: socket.socket, request: bytes) -> object:
        moments.append(time.monotonic())
        limited = status(429, "Retry-After: 1")
        return (limited if len(moments) == 1 else GOOD)(connection, request)

    with Wire(script) as wire:
        tables = [
            f'[[profiles.main.merchant]]\nname = "a{n}"\nbase_url = "{wire.url}/{n}"\ntoken = "{TOKEN}"\n'
            for n in range(3)
        ]
        options = ("-o", "json", "--retries", "0", "--jobs", "1")
        result = program.with_profile("".join(tables), "merchant", *options)
    assert [account["status"] for account in result.json["accounts"]] == ["failed", "ok", "ok"]
    assert result.json["accounts"][0]["error"]["message"] == (
        f"127.0.0.1:{wire.port} is rate limiting requests (HTTP 429) and asked to wait 1 s; "
        "run less often or lower --jobs"
    )
    assert len(moments) == 3
    assert moments[1] - moments[0] >= 1


def test_a_wait_beyond_the_deadline_ends_every_account_of_the_host(program: Program) -> None:
    """A host that asks for an hour gets one request; all its accounts fail with 7 and name the hour, at another none."""
    with Wire(status(429, "Retry-After: 3600")) as wire, Wire(GOOD) as other:
        urls = [wire.url, f"{wire.url}/1", f"{wire.url}/2", other.url]
        tables = [
            f'[[profiles.main.merchant]]\nname = "a{n}"\nbase_url = "{url}"\ntoken = "{TOKEN}"\n'
            for n, url in enumerate(urls)
        ]
        result = program.with_profile("".join(tables), "merchant", "-o", "json", "--jobs", "1")
    errors = [account["error"] for account in result.json["accounts"]]
    assert [error and error["code"] for error in errors] == [*["rate_limited"] * 3, None]
    assert all(" and asked to wait 3600 s; " in error["message"] for error in errors[:3])
    assert (len(wire.requests), len(other.requests)) == (1, 1)


def test_the_retries_of_the_profile_count_where_no_option_is_given(program: Program) -> None:
    """`retries = 0` in the profile means one request."""
    with Wire(hangs_up) as wire:
        result = program.with_profile(f"[profiles.main]\nretries = 0\n{merchant(wire.url)}", "merchant")
    assert result.code == 5
    assert len(wire.requests) == 1


def test_a_refused_connection_is_said_to_be_one(program: Program) -> None:
    """Where nobody listens, the account fails with 5, as a connection and not as a time-out."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        profile = merchant(f"http://127.0.0.1:{closed.getsockname()[1]}")
        result = program.with_profile(profile, "merchant", "-o", "json", "--retries", "1")
    assert result.code == 5
    assert_one_line(result, "merchant")
    assert_no_secret(result, TOKEN)
    error = result.json["accounts"][0]["error"]
    assert (error["code"], error["http_status"], error["retryable"]) == ("network.connection", None, True)


# Statuses.

RETRIED: Final = (408, 425, 500, 502, 503, 504)


@each_case(
    "case",
    [
        Case(
            f"{number} with {about}",
            (status(number, body=body),),
            5,
            ("network.unavailable",),
            requests=2,
            statuses=(number,),
            options=TWICE,
            group="unavailable",
        )
        for number in RETRIED
        for about, body in {"nothing": b"", "a page": b"<html>", "a good body": BODY}.items()
        if about == "nothing" or number == 502
    ],
    ids=str,
)
def test_a_server_that_stays_unavailable_fails_with_5(case: Case, played: Batch) -> None:
    """A status that another try can mend is tried again; when it stays, its body changes nothing."""
    assert_failed(case, played(case))


@pytest.mark.parametrize(
    "case",
    [
        Case(
            ", ".join(map(str, numbers)) + ", 200",
            (*map(status, numbers), GOOD),
            requests=len(numbers) + 1,
            group="recovers",
        )
        for numbers in ((503, 503), (408,), (425,), (429,), (500,), (502,), (504,), (429, 500))
    ]
    + [Case("reset, 503, 200", (resets(), status(503), GOOD), requests=3, group="recovers")],
    ids=str,
)
def test_a_server_that_recovers_is_answered_for(case: Case, played: Batch) -> None:
    """An answer that comes on a later try is as good as one on the first."""
    assert amounts(assert_answered(case, played(case))) == WELL


@each_case(
    "case",
    [
        Case(
            str(number), (status(number),), 5, ("network.unavailable",), statuses=(number,), group="other 5xx"
        )
        for number in (501, 505, 507, 511, 520, 599)
    ],
    ids=str,
)
def test_a_server_error_that_no_retry_mends_is_not_repeated(case: Case, played: Batch) -> None:
    """Any other 5xx is 5 after one request."""
    assert_failed(case, played(case))


@pytest.mark.parametrize(
    "case",
    [
        Case(
            "429 always",
            (status(429),),
            7,
            ("rate_limited",),
            requests=2,
            statuses=(429,),
            options=TWICE,
        ),
        Case(
            "429 with a wait that fits, always",
            (status(429, "Retry-After: 0"),),
            7,
            ("rate_limited",),
            requests=2,
            statuses=(429,),
            options=TWICE,
        ),
    ],
    ids=str,
)
def test_a_rate_limit_that_stays_fails_with_7(case: Case, played: Batch) -> None:
    """429 is tried again, too; when it stays, the code says that it was the rate."""
    assert_failed(case, played(case))


# Retry-After.


def soon() -> datetime:
    """A moment that a run of 30 seconds can wait for; the whole second after the next."""
    return datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=2)


def limited_until(form: str, number: int = 429, off: int = 0) -> Script:
    """A script that asks to wait for two seconds at most, by a date in this form, its own clock so many seconds off."""

    def script(connection: socket.socket, _request: bytes) -> None:
        now = datetime.now(UTC) + timedelta(seconds=off)
        date = format_datetime(now, usegmt=True)
        forms = {
            "IMF": format_datetime(soon(), usegmt=True),
            "RFC 850": soon().strftime("%A, %d-%b-%y %H:%M:%S GMT"),
            "asctime": soon().strftime("%a %b %e %H:%M:%S %Y"),
            "past": "Sun, 06 Nov 1994 08:49:37 GMT",
            "own": format_datetime(now + timedelta(seconds=1), usegmt=True),
        }
        headers = [f"Retry-After: {forms[form]}", *([f"Date: {date}"] if off else [])]
        connection.sendall(answer(b"", f"{number} Slow", *headers))

    return script


@each_case(
    "case",
    [
        Case(
            f"{number} with {text}", (status(number, f"Retry-After: {text}"), GOOD), requests=2, group="fits"
        )
        for number, text in ((429, "0"), (429, "1"), (503, "1"), (429, "01"), (429, " 1 "), (503, "000000"))
    ]
    + [
        Case(f"{number} with a date, {form}", (limited_until(form, number), GOOD), requests=2, group="fits")
        for number, form in ((429, "IMF"), (503, "IMF"), (429, "RFC 850"), (429, "past"))
    ]
    + [
        Case(f"a clock {off} s off", (limited_until("own", off=off), GOOD), requests=2, group="fits")
        for off in (-86_400, 3600)
    ],
    ids=str,
)
def test_a_wait_that_fits_is_waited_for(case: Case, played: Batch) -> None:
    """A Retry-After of seconds or of a date within the deadline leads to another try."""
    assert amounts(assert_answered(case, played(case))) == WELL


@pytest.mark.parametrize("zone", ["UTC", "XXX+11", "XXX-11"])
def test_a_date_without_a_zone_is_in_gmt(program: Program, zone: str) -> None:
    """The third form of HTTP's dates names no zone; it is GMT, wherever the program runs."""
    with Wire(limited_until("asctime"), GOOD) as wire:
        result = program.with_profile(merchant(wire.url), "merchant", "-o", "json", env={"TZ": zone})
    assert result.code == 0, result.err
    assert len(wire.requests) == 2


def test_the_wait_is_as_long_as_the_server_asks(program: Program) -> None:
    """After `Retry-After: 1`, the next request comes a second later, and not before."""
    moments = []

    def script(connection: socket.socket, _request: bytes) -> None:
        moments.append(time.monotonic())
        again = len(moments) > 1
        connection.sendall(answer(BODY) if again else answer(b"", "429 Slow", "Retry-After: 1"))

    with Wire(script) as wire:
        assert program.with_profile(merchant(wire.url), "merchant").code == 0
    assert moments[1] - moments[0] >= 1


UNFIT: Final = {
    "99999999": "99999999",
    "six digits": "999999",
    "seven digits": "0000001",
    "a minute": "60",
    "soon": "soon",
    "-5": "-5",
    "5,000 digits": "1" * 5000,
    "nothing": "",
    "a fraction": "1.5",
    "an exponent": "1e0",
    "plus": "+1",
    "hexadecimal": "0x1",
    "an underscore": "1_0",
    "other digits": "\u00b9",
    "NaN": "NaN",
    "inf": "inf",
    "with a unit": "1 s",
    "two": "1, 1",
    "a far date": "Fri, 01 Jan 2100 00:00:00 GMT",
    "the last date": "Fri, 31 Dec 9999 23:59:59 GMT",
    "no date": "Fri, 99 Foo 2026 99:99:99 GMT",
    "half a date": "Fri, 01 Jan",
    "a date of an odd zone": "Fri, 21 Nov 2025 00:00:00 +9999",
    "a date of an endless zone": "Fri, 21 Nov 2025 00:00:00 +99999999999999",
    "a date of an endless day": "Fri, 99999999999999999999 Nov 2025 00:00:00 GMT",
    "a date of an endless year": "Fri, 21 Nov 99999999999999999999 00:00:00 GMT",
    "a date of an endless hour": "Fri, 21 Nov 2025 99999999999999999999:00:00 GMT",
}


@each_case(
    "case",
    [
        Case(
            f"{number} with {about}",
            (status(number, f"Retry-After: {text}"),),
            5 if number == 503 else 7,
            ("network.unavailable",) if number == 503 else ("rate_limited",),
            statuses=(number,),
            # What could end the whole process is played alone.
            group=None if "endless" in about else str(number),
        )
        for number in (429, 503)
        for about, text in UNFIT.items()
        if number == 429 or "endless" not in about
    ]
    + [
        Case(
            f"{number} with 99999999",
            (status(number, "Retry-After: 99999999"),),
            5,
            ("network.unavailable",),
            statuses=(number,),
            group="no 503",
        )
        for number in RETRIED
        if number != 503
    ],
    ids=str,
)
def test_a_wait_that_does_not_fit_ends_the_account_at_once(case: Case, played: Batch) -> None:
    """A Retry-After beyond the deadline, or one that cannot be read, is not waited for and not ignored."""
    assert_failed(case, played(case))


@each_case("text", ["Fri, 31 Dec 9999 23:59:59", "Fri, 31 Dec 9999 23:59:59 -0000"])
@each_case("zone", ["XXX+11", "XXX-11"])
def test_the_last_date_there_is_does_not_fit_in_any_zone(program: Program, text: str, zone: str) -> None:
    """A date at the end of the calendar is beyond the deadline, wherever the program runs."""
    with Wire(status(429, f"Retry-After: {text}")) as wire:
        result = program.with_profile(merchant(wire.url), "merchant", "-o", "json", env={"TZ": zone})
    assert result.code == 7, result.err
    assert len(wire.requests) == 1


# Time.

SHORT: Final = ("--timeout", "0.6", "--deadline", "6", "--jobs", "30", *ONCE)
"""One request with little time, in a run with much."""

BRIEF: Final = ("--timeout", "20", "--deadline", "1.5", "--jobs", "30", "--retries", "5")
"""A run with little time, and requests with much."""


def falls_silent(raw: bytes) -> Script:
    """A script that sends these bytes, and then waits until the client goes away."""

    def script(connection: socket.socket, request: bytes) -> None:
        connection.sendall(raw)
        keeps_silent(connection, request)

    return script


CHUNKED: Final = answer(b"", "200 OK", "Transfer-Encoding: chunked", length=False)
HEAD: Final = answer(b"", length=False)
SLOW: Final = {
    "silent": keeps_silent,
    "silent after the headers": falls_silent(HEAD),
    "silent in the body": falls_silent(answer(HALF, "200 OK", LENGTH, length=False)),
    "status line, dripping": drips(b"HTTP/1.1 200 ", b"O"),
    "header, dripping": drips(b"HTTP/1.1 200 OK\r\nX-Slow: ", b"a"),
    "headers, dripping": drips(b"HTTP/1.1 200 OK\r\n", b"X-Slow: a\r\n", 0.1),
    "body, dripping": drips(HEAD),
    "body of a length, dripping": drips(answer(b"{", "200 OK", "Content-Length: 99999", length=False)),
    "chunks, dripping": drips(CHUNKED, b"1\r\n \r\n"),
    "chunk, dripping": drips(CHUNKED + b"ffff\r\n", b" "),
    "chunk size, dripping": drips(CHUNKED, b"0"),
    "chunk extension, dripping": drips(CHUNKED + b"1;", b"a"),
    "trailers, dripping": drips(CHUNKED + chunked(BODY, last=b"0\r\n"), b"X-Slow: a\r\n"),
    "gzip, dripping": drips(
        answer(GZIPPED[:10], "200 OK", "Content-Encoding: gzip", length=False), b"\x00\x00\x00\xff\xff"
    ),
    "headers of 100 Continue, dripping": drips(b"HTTP/1.1 100 Continue\r\n", b"X-Slow: a\r\n", 0.1),
}


@pytest.mark.parametrize(
    "case", trouble(SLOW, errors=("network.timeout",), options=SHORT, bound=20, group="time-outs"), ids=str
)
def test_one_request_takes_no_longer_than_its_time_out(case: Case, played: Batch) -> None:
    """`--timeout` bounds a whole request: however the bytes drip, it ends long before the run's deadline."""
    assert_failed(case, played(case))


@pytest.mark.parametrize(
    "case",
    trouble(
        {
            name: SLOW[name]
            for name in SLOW
            if "drip" not in name or re.match("header,|body,|chunk size|100", name)
        },
        errors=("network.timeout", "network.deadline"),
        options=BRIEF,
        bound=10,
        group="deadlines",
    ),
    ids=str,
)
def test_a_run_ends_by_its_deadline(case: Case, played: Batch) -> None:
    """`--deadline` bounds the run: no drip and no silence keeps the process beyond it."""
    assert_failed(case, played(case))


@pytest.mark.parametrize(
    "case",
    [
        Case(
            "silent twice",
            (keeps_silent,),
            5,
            ("network.timeout",),
            requests=2,
            options=("--timeout", "0.5", "--retries", "1"),
        )
    ],
    ids=str,
)
def test_a_time_out_is_tried_again_and_then_given_up(case: Case, played: Batch) -> None:
    """A request that timed out is retried like connection trouble."""
    assert_failed(case, played(case))


@pytest.mark.parametrize(
    "case",
    [Case("silent, then good", (keeps_silent, GOOD), requests=2, options=("--timeout", "1.5"))],
    ids=str,
)
def test_a_time_out_is_mended_by_a_good_answer(case: Case, played: Batch) -> None:
    """The try after a time-out counts."""
    assert amounts(assert_answered(case, played(case))) == WELL


def test_a_slow_answer_within_the_time_out_is_an_answer(program: Program) -> None:
    """A body that comes in pieces is read to its end if that is in time."""

    def script(connection: socket.socket, _request: bytes) -> None:
        raw = answer(BODY)
        for start in range(0, len(raw), 60):
            connection.sendall(raw[start : start + 60])
            time.sleep(0.05)

    with Wire(script) as wire:
        assert program.with_profile(merchant(wire.url), "merchant").code == 0
    assert len(wire.requests) == 1


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux drops connections beyond a full backlog")
def test_a_host_that_does_not_answer_at_all_is_given_up(program: Program) -> None:
    """Where a connection never comes about, the account fails with 5 by the time-out."""
    with ExitStack() as stack:
        hole = stack.enter_context(socket.socket())
        hole.bind(("127.0.0.1", 0))
        hole.listen(0)
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.settimeout(0)
            waiting.connect_ex(hole.getsockname())
        profile = merchant(f"http://127.0.0.1:{hole.getsockname()[1]}")
        result = program.with_profile(
            profile, "merchant", "-o", "json", "--timeout", "0.5", "--retries", "0", "--deadline", "9"
        )
    assert result.code == 5
    assert result.json["accounts"][0]["error"]["code"] == "network.timeout"
    assert_one_line(result, "merchant")


@pytest.mark.parametrize("number", [503, 429])
def test_many_retries_end_with_the_deadline(program: Program, number: int) -> None:
    """A hundred retries do not make a run longer than its deadline."""
    file_options = ("-o", "json", "--retries", "100", "--deadline", "3")
    with Wire(status(number)) as wire:
        file = program.write(merchant(wire.url))
        result = program.run("merchant", *file_options, "--config", str(file), timeout=15)
    assert result.code == (5 if number == 503 else 7)
    assert 2 <= len(wire.requests) < 100
    assert_one_line(result, "merchant")


def test_an_account_that_is_late_does_not_cost_the_others(program: Program) -> None:
    """With one server silent, the other account's row is shown, the total is unknown, and the code is 8."""
    with Wire(keeps_silent) as silent, Wire(GOOD) as good:
        tables = [
            f'[[profiles.main.merchant]]\nname = "{name}"\nbase_url = "{url}"\ntoken = "{TOKEN}"\n'
            for name, url in (("late", silent.url), ("shop", good.url))
        ]
        result = program.with_profile("".join(tables), "merchant", "-o", "json", "--deadline", "2.5")
    assert result.code == 8
    document = result.json
    assert document["complete"] is False
    assert [account["status"] for account in document["accounts"]] == ["failed", "ok"]
    assert [found["account"] for found in document["balances"]] == ["shop"]
    (total,) = document["totals"]
    assert (total["total"], total["known"]["total"], total["missing"]) == (None, "5000", ["late"])
    assert_one_line(result, "late")
    assert (len(silent.requests), len(good.requests)) == (1, 1)


# Logins.

PASSWORD: Final = "hW3-pZ8kVq5tYr2nXs6bJf9c"
LOGIN: Final = f'login = {{ merchant_id = "m-1", email = "a@b.example", password = "{PASSWORD}" }}'
WALLET: Final = sends(
    answer(b'{"data":[{"asset":"USDT","balance":"1","holdBalance":"0","lockBalance":"0"}]}')
)
JWT: Final = keeps(answer(json.dumps({"data": {"accessToken": TOKEN}}).encode()))
log_in = partial(Case, command="wallet", profile=partial(wallet, credential=LOGIN), secrets=(TOKEN, PASSWORD))


@each_case(
    "case",
    [
        log_in("silent", (keeps_silent,), 5, ("network.timeout",), options=("--timeout", "0.6")),
        log_in("closed", (hangs_up,), 5, ("network.connection",)),
        log_in("reset", (resets(),), 5, ("network.connection",)),
        log_in("503", (status(503),), 5, ("network.unavailable",), statuses=(503,)),
        log_in("503, to come back", (status(503, "Retry-After: 0"),), 5, ("network.unavailable",), statuses=(503,)),
        log_in("429", (status(429, "Retry-After: 0"),), 7, ("rate_limited",), statuses=(429,)),
        log_in("401", (status(401),), 4, ("credentials.refused",), statuses=(401,)),
        log_in("cut", (sends(answer(b"{", "200 OK", "Content-Length: 9", length=False)),), 6, ("answer.cut",)),
        log_in("redirect", (status(307, "Location: /v2/auth/login"),), 6, ("answer.redirect",), statuses=(307,)),
    ],
    ids=str,
)  # fmt: skip
def test_a_login_that_may_have_been_sent_is_not_repeated(case: Case, played: Batch) -> None:
    """Whatever befalls a login, there is one, and nobody is asked for balances."""
    assert_failed(case, played(case))


@each_case(
    "case",
    [
        log_in(text, (sends(answer(b'{"data":' + text.encode() + b"}")),), 6, ("answer.shape",))
        for text in (
            "{}",
            "null",
            "[]",
            '{"accessToken":null}',
            '{"accessToken":""}',
            '{"accessToken":5}',
            '{"accessToken":" "}',
            '{"accessToken":"a\\r\\nX-Evil: 1"}',
            '{"accessToken":"a\\u0000"}',
            '{"accessToken":"a\\u20ac"}',
            '{"accessToken":["a"]}',
        )
    ],
    ids=str,
)
def test_a_login_without_a_usable_token_is_refused(case: Case, played: Batch) -> None:
    """A login's answer must hold a token that a header can carry; nothing is asked for with another."""
    assert_failed(case, played(case))


@pytest.mark.parametrize(
    "case",
    [log_in("401 once", (JWT, status(401), JWT, WALLET), requests=4)],
    ids=str,
)
def test_an_expired_token_is_renewed_once(case: Case, played: Batch) -> None:
    """A 401 to the login's token leads to one further login and one repeat."""
    assert amounts(assert_answered(case, played(case))) == [("1", "1", "0")]


@each_case(
    "case",
    [
        log_in(
            "401 twice",
            (JWT, status(401), JWT, status(401)),
            4,
            ("credentials.refused",),
            requests=4,
            statuses=(401,),
        ),
        log_in(
            "401, and then to the login",
            (JWT, status(401), status(401)),
            4,
            ("credentials.refused",),
            requests=3,
            statuses=(401,),
        ),
        log_in("403", (JWT, status(403)), 4, ("credentials.refused",), requests=2, statuses=(403,)),
    ],
    ids=str,
)
def test_a_token_that_stays_refused_is_given_up(case: Case, played: Batch) -> None:
    """After one renewal a 401 is final, and a 403 is final at once."""
    assert_failed(case, played(case))


def test_accounts_with_one_login_renew_it_together(program: Program) -> None:
    """Three wallets whose common token has expired cause one login more, not three."""
    logins: list[bytes] = []

    def script(connection: socket.socket, request: bytes) -> None:
        if b"/v2/auth/login" in request.split(b"\r\n")[0]:
            logins.append(request)
            made: dict[str, Any] = {"data": {"accessToken": f"{TOKEN}{len(logins)}"}}
            connection.sendall(answer(json.dumps(made).encode()))
        elif headers_of(request)["authorization"] == [f"Bearer {TOKEN}1"]:
            time.sleep(0.2)
            status(401)(connection, request)
        else:
            WALLET(connection, request)

    with Wire(script) as wire:
        tables = [
            f'[[profiles.main.wallet]]\nname = "w{n}"\nbase_url = "{wire.url}"\nwallet_id = "{n}"\n{LOGIN}\n'
            for n in range(3)
        ]
        result = program.with_profile("".join(tables), "wallet", "-o", "json")
    assert result.code == 0, result.err
    assert len(logins) == 2
    assert len(wire.requests) == 8
    assert_no_secret(result, TOKEN, PASSWORD)
