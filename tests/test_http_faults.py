"""What a server may answer, byte by byte: nothing untrue is believed, and nothing secret leaves."""

import gzip
import json
import re
import sys
import zlib
from base64 import b64encode
from collections.abc import Callable
from functools import partial
from typing import Any, Final
from urllib.parse import quote

import pytest

from balcli import __version__
from tests.conftest import Program
from tests.faults.wire import chunked, drips, pours, sends
from tests.lists import each_case
from tests.proof.sizes import cost
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
    loopring,
    merchant,
    row,
    wallet,
)

MIB: Final = 1024**2
MOST_MEMORY: Final = 150 * MIB
WELL: Final = [("5000", "4000", "1000")]
ONE_RETRY: Final = ("--retries", "1")

answered = partial(each, code=0)
refused = partial(each, code=6)


@pytest.fixture(scope="module")
def played(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Batch:
    """How each case of this module went."""
    return Batch(request, tmp_path_factory.mktemp("faults"))


# Redirects.

ELSEWHERE: Final = {
    "other port": "http://127.0.0.1:{there}/v2/assets/account/assets?merchantId=0",
    "other host": "http://localhost:{there}/",
    "other scheme": "https://127.0.0.1:{there}/",
    "no scheme": "//127.0.0.1:{there}/",
    "itself": "http://127.0.0.1:{here}/v2/assets/account/assets?merchantId=0",
    "itself by path": "/v2/assets/account/assets?merchantId=0",
    "empty": "",
    "no URL": "http://[",
    "no port": "http://127.0.0.1:99999999/",
    "not ASCII": "http://\xff\xfe/",
    "long": "http://127.0.0.1:{there}/" + "a" * 60_000,
    "file": "file:///etc/passwd",
}


def redirects(status: int, location: str, there: Wire) -> Script:
    """A script that redirects; `{here}` and `{there}` in the location are the servers' ports."""

    def script(connection: Any, request: bytes) -> None:
        here = headers_of(request)["host"][0].rpartition(":")[2]
        place = location.format(here=here, there=there.port)
        connection.sendall(answer(holdings(), f"{status} Elsewhere", f"Location: {place}"))

    return script


def assert_redirect_refused(program: Program, here: Wire, there: Wire, status: int) -> None:
    """The run ends with 6 after one request, and nobody connects to the place that is named."""
    result = program.with_profile(merchant(here.url), "merchant", "-o", "json")
    assert result.code == 6, result.err
    error = result.json["accounts"][0]["error"]
    assert (error["code"], error["http_status"]) == ("answer.redirect", status)
    assert result.json["balances"] == []
    assert_one_line(result, "merchant")
    assert_no_secret(result, TOKEN)
    assert len(here.requests) == 1
    assert there.connections == 0


@each_case("status", [300, 301, 302, 303, 304, 305, 307, 308, 399])
def test_a_redirect_of_any_status_is_refused(program: Program, status: int) -> None:
    """A redirect to another server ends the run after one request, and the other server sees nobody."""
    with Wire(GOOD) as there, Wire(redirects(status, ELSEWHERE["other port"], there)) as here:
        assert_redirect_refused(program, here, there, status)


@each_case("place", [place for place in ELSEWHERE if place != "other port"])
def test_a_redirect_to_any_place_is_refused(program: Program, place: str) -> None:
    """Wherever a Location points, and whether or not it is one, it is not asked for."""
    with Wire(GOOD) as there, Wire(redirects(302, ELSEWHERE[place], there)) as here:
        assert_redirect_refused(program, here, there, 302)


def test_a_redirect_without_a_location_is_refused(program: Program) -> None:
    """A 302 that names no place is no answer either."""
    with Wire(GOOD) as there, Wire(sends(answer(holdings(), "302 Found"))) as here:
        assert_redirect_refused(program, here, there, 302)


def test_the_body_of_a_redirect_is_not_read(program: Program) -> None:
    """A server that pours out a body with its redirect can send no more of it than buffers hold."""
    sent = 0

    def script(connection: Any, _request: bytes) -> None:
        nonlocal sent
        connection.sendall(answer(b"", "302 Found", length=False))
        while sent < 256 * MIB:
            sent += connection.send(b" " * MIB)

    with Wire(GOOD) as there, Wire(script) as here:
        assert_redirect_refused(program, here, there, 302)
    assert sent < 64 * MIB


REDIRECT: Final = answer(
    b"", "302 Found", "Location: /", "Content-Length: 1000000000", "Content-Encoding: gzip", length=False
)


@pytest.mark.parametrize(
    "case",
    refused(
        {"a drip": drips(REDIRECT), "a bomb": pours(REDIRECT, gzip.compress(bytes(MIB)))},
        errors=("answer.redirect",),
        statuses=(302,),
        bound=15,
    ),
    ids=str,
)
def test_a_redirect_is_refused_without_waiting_for_its_body(case: Case, played: Batch) -> None:
    """A drip or a bomb for a redirect's body holds nothing up."""
    assert_failed(case, played(case))


# Lengths, chunks and encodings.

BODY: Final = holdings()
HALF: Final = BODY[: len(BODY) // 2]


def coded(body: bytes, encoding: str = "gzip") -> Script:
    """A script that sends a body with this Content-Encoding."""
    return sends(answer(body, "200 OK", f"Content-Encoding: {encoding}"))


def in_chunks(raw: bytes, *headers: str) -> Script:
    """A script that sends this as a chunked body, whatever it is."""
    return sends(answer(raw, "200 OK", "Transfer-Encoding: chunked", *headers, length=False))


def of_length(*lengths: object) -> Script:
    """A script that sends a good body with these Content-Length fields."""
    return sends(answer(BODY, "200 OK", *(f"Content-Length: {length}" for length in lengths), length=False))


def altered(raw: bytes, place: int) -> bytes:
    """The bytes with one of them inverted."""
    return raw[:place] + bytes([raw[place] ^ 0xFF]) + raw[place + 1 :]


def padded(size: int) -> bytes:
    """A good body of this many bytes."""
    return BODY + b" " * (size - len(BODY))


@each_case(
    "case",
    answered(
        {
            "a length": GOOD,
            "the end of the connection": sends(answer(BODY, length=False)),
            "one chunk": in_chunks(chunked(BODY)),
            "a chunk a byte": in_chunks(chunked(*(bytes([byte]) for byte in BODY))),
            "a chunk with an extension": in_chunks(b"%x;a=b\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY)),
            "gzip": coded(GZIPPED),
            "GZIP": coded(GZIPPED, "GZIP"),
            "identity": coded(BODY, "identity"),
            "gzip in chunks": in_chunks(chunked(GZIPPED[:9], GZIPPED[9:]), "Content-Encoding: gzip"),
            "8 MiB": sends(answer(padded(8 * MIB))),
            "8 MiB in gzip": coded(gzip.compress(padded(8 * MIB))),
            "x-gzip": coded(GZIPPED, "x-gzip"),
            "gzip of two members": coded(gzip.compress(HALF) + gzip.compress(BODY[len(HALF) :])),
            "padded gzip": coded(GZIPPED + bytes(512)),
            "200 header lines": sends(answer(BODY, "200 OK", *(f"X-{n}: a" for n in range(200)))),
            **{
                f"ten times {status} ahead of it": sends(
                    f"HTTP/1.1 {status}\r\nX-Some: a\r\n\r\n".encode() * 10 + answer(BODY)
                )
                for status in (
                    "100 Continue",
                    "101 Switching",
                    "102 Processing",
                    "103 Early Hints",
                    "199 Odd",
                )
            },
        },
        group="whole",
    ),
    ids=str,
)
def test_a_whole_body_is_read_whatever_its_framing(case: Case, played: Batch) -> None:
    """Lengths, chunks, gzip and a body of just 8 MiB are all answers."""
    assert amounts(assert_answered(case, played(case))) == WELL


@each_case(
    "case",
    refused(
        {
            "a length that is too long": of_length(len(BODY) + 1),
            "a length and nothing else": sends(answer(b"", "200 OK", "Content-Length: 9", length=False)),
            "no last chunk": in_chunks(chunked(BODY, last=b"")),
            "a cut chunk": in_chunks(b"%x\r\n%b" % (len(BODY), HALF)),
            "cut gzip": coded(GZIPPED[:-9]),
            "gzip without its last byte": coded(GZIPPED[:-1]),
            "no gzip at all": coded(b""),
        },
        errors=("answer.cut",),
        group="cut",
        requests=2,
        options=ONE_RETRY,
    ),
    ids=str,
)
def test_a_body_that_ends_early_is_asked_for_again_and_then_refused(case: Case, played: Batch) -> None:
    """A cut body is retried like connection trouble; if it stays cut, nothing of it is believed."""
    assert_failed(case, played(case))


BROKEN: Final = ("answer.broken",)


TWO_LENGTHS: Final = {
    "the greater last": (len(BODY), len(BODY) + 1),
    "the lesser first": (len(HALF), len(BODY)),
    "in one field": (f"{len(BODY)}, {len(BODY) - 1}",),
}


@each_case("lengths", TWO_LENGTHS)
def test_two_different_lengths_are_refused_at_once(program: Program, lengths: str) -> None:
    """An answer that names two lengths is broken, not the line: it is neither believed nor asked for again."""
    with Wire(of_length(*TWO_LENGTHS[lengths])) as wire:
        result = program.with_profile(merchant(wire.url), "merchant", "-o", "json")
    assert result.code == 6, result.err
    assert result.json["accounts"][0]["error"]["code"] == "answer.broken"
    assert result.json["balances"] == []
    assert_one_line(result, "merchant")
    assert_no_secret(result, TOKEN)
    assert len(wire.requests) == 1


@each_case(
    "case",
    refused(
        {
            "a length and chunks": in_chunks(chunked(BODY), f"Content-Length: {len(BODY)}"),
            "a length that is a word": of_length("all"),
            "a negative length": of_length(-1),
            "a length with a sign": of_length(f"+{len(BODY)}"),
            "a length with an underscore": of_length("1_000"),
            "an empty length": of_length(""),
            "corrupt gzip": coded(altered(GZIPPED, 20)),
            "gzip with a wrong checksum": coded(altered(GZIPPED, len(GZIPPED) - 8)),
            "gzip with a wrong size": coded(altered(GZIPPED, len(GZIPPED) - 1)),
            "more after the gzip": coded(GZIPPED + b"x"),
            "more after padded gzip": coded(GZIPPED + b"\0x"),
            "gzip and a corrupt member": coded(GZIPPED + altered(GZIPPED, 20)),
            "plain text for gzip": coded(BODY),
            "zlib for gzip": coded(zlib.compress(BODY)),
            "br": coded(BODY, "br"),
            "deflate": coded(zlib.compress(BODY), "deflate"),
            "zstd": coded(BODY, "zstd"),
            "gzip and br": coded(GZIPPED, "gzip, br"),
            "gzip in gzip": coded(gzip.compress(GZIPPED), "gzip, gzip"),
            "an encoding without a name": coded(BODY, "what?"),
        },
        errors=BROKEN,
        group="framing",
    ),
    ids=str,
)
def test_contradictory_framing_and_strange_encodings_are_refused_at_once(case: Case, played: Batch) -> None:
    """What a server says wrongly about its body is no trouble of the line: it is not asked again."""
    assert_failed(case, played(case))


@each_case(
    "case",
    refused(
        {
            "no number": in_chunks(b"zz\r\n" + BODY + b"\r\n0\r\n\r\n"),
            "negative": in_chunks(b"-1\r\n" + BODY + b"\r\n0\r\n\r\n"),
            "empty": in_chunks(b"\r\n" + BODY + b"\r\n0\r\n\r\n"),
            "too short": in_chunks(b"5\r\n" + BODY + b"\r\n0\r\n\r\n"),
            "too long": in_chunks(b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY) + 9, BODY)),
            "beyond any memory": in_chunks(b"f" * 16 + b"\r\n" + BODY + b"\r\n0\r\n\r\n"),
            "5,000 digits": in_chunks(b"f" * 5000 + b"\r\n" + BODY + b"\r\n0\r\n\r\n"),
            "100,000 digits": in_chunks(b"0" * 100_000 + b"\r\n" + BODY + b"\r\n0\r\n\r\n"),
            "no chunks at all": in_chunks(BODY),
        },
        errors=("answer.broken", "answer.cut"),
        group="chunks",
        options=("--retries", "0"),
    ),
    ids=str,
)
def test_broken_chunks_are_refused(case: Case, played: Batch) -> None:
    """A chunk whose size is no size, or not its own, spoils the answer."""
    assert_failed(case, played(case))


@each_case(
    "case",
    refused(
        {
            "a length that is too short": of_length(len(BODY) - 1),
            "a length of half": of_length(len(HALF)),
            "a length of 0": of_length(0),
            "no length, and an end in mid-document": sends(answer(HALF, length=False)),
            "an end in mid-chunk that looks like the last": in_chunks(chunked(HALF)),
        },
        errors=("answer.json",),
        group="own framing",
    ),
    ids=str,
)
def test_a_document_that_its_own_framing_cuts_is_refused(case: Case, played: Batch) -> None:
    """Where the framing says that all is there, and it is not, the answer is wrong, not the line."""
    assert_failed(case, played(case))


ENDLESS: Final = answer(b'{"code":200,"pad":"', length=False)
IN_GZIP: Final = answer(b"", "200 OK", "Content-Encoding: gzip", length=False)


def zeros() -> bytes:
    """16 MiB of zeros as a piece of a gzip stream that may be followed by itself."""
    packer = zlib.compressobj(1, wbits=-15)
    return packer.compress(bytes(16 * MIB)) + packer.flush(zlib.Z_FULL_FLUSH)


GZIP_HEAD: Final = gzip.compress(b"")[:10]
BOMB: Final = GZIP_HEAD + zeros() * 64
TOO_LARGE: Final = {
    "a byte over 8 MiB": sends(answer(padded(8 * MIB + 1))),
    "a byte over 8 MiB in gzip": coded(gzip.compress(padded(8 * MIB + 1))),
    "a gzip bomb": coded(BOMB),
    "a gzip bomb without a length": sends(IN_GZIP + BOMB),
    "a gzip bomb without an end": pours(IN_GZIP + GZIP_HEAD, zeros()),
    "an endless body": pours(ENDLESS, b"a" * MIB),
    "an endless body of a huge length": pours(
        answer(b"", "200 OK", "Content-Length: 99999999999999999999", length=False), b" " * MIB
    ),
    "endless chunks": pours(
        answer(b"", "200 OK", "Transfer-Encoding: chunked", length=False), chunked(b" " * MIB, last=b"")
    ),
    "one endless chunk": pours(
        answer(b"ffffffffff\r\n", "200 OK", "Transfer-Encoding: chunked", length=False), b" " * MIB
    ),
}


@each_case("case", refused(TOO_LARGE, errors=("answer.too_large",), bound=20), ids=str)
def test_a_body_over_8_mib_is_refused_when_that_is_seen(case: Case, played: Batch) -> None:
    """No more than 8 MiB are taken, packed or unpacked, and the answer is not asked for again."""
    assert_failed(case, played(case))


def of_many(piece: bytes) -> Script:
    """A script that sends 8 MiB of JSON in which this piece stands as often as it can."""
    room = 8 * MIB - len(b'{"code":200,"data":[0]}')
    return sends(answer(b'{"code":200,"data":[' + piece * (room // len(piece)) + b"0]}"))


GREEDY: Final = {
    **{name: TOO_LARGE[name] for name in ("a gzip bomb", "a gzip bomb without an end", "an endless body")},
    "lists": of_many(b"[],"),
    "objects": of_many(b'{"":0},'),
    "numbers": of_many(b"1,"),
}


@pytest.mark.skipif(sys.platform == "win32", reason="there is no resource module on Windows")
@pytest.mark.parametrize("name", GREEDY)
def test_no_answer_takes_the_program_beyond_150_mb(program: Program, name: str) -> None:
    """Bombs, endless bodies and 8 MiB of the costliest JSON are refused within 150 MB of memory."""
    with Wire(GREEDY[name]) as wire:
        program.write(merchant(wire.url))
        took = cost(program, "json")
    assert (6, True) == (took.code, took.memory < MOST_MEMORY)


# Heads.


@each_case(
    "case",
    refused(
        {
            "a header line of 70,000 bytes": sends(answer(BODY, "200 OK", "X-Long: " + "a" * 70_000)),
            "2,000 header lines": sends(answer(BODY, "200 OK", *(f"X-{n}: a" for n in range(2000)))),
            "300,000 bytes of headers": sends(answer(BODY, "200 OK", *["X-Long: " + "a" * 60_000] * 5)),
            "eleven interim responses": sends(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 11 + answer(BODY)),
            "a status line of 70,000 bytes": sends(answer(BODY, "200 " + "a" * 70_000)),
            "a mail server": sends(b"220 mail.example ESMTP\r\n" + BODY),
            "a shell server": sends(b"SSH-2.0-OpenSSH_9.9\r\n"),
            "another protocol": sends(answer(BODY).replace(b"HTTP/1.1", b"ICY", 1)),
            "another version": sends(answer(BODY).replace(b"HTTP/1.1", b"HTTP/3", 1)),
            "no status": sends(b"HTTP/1.1\r\n\r\n" + BODY),
            "a status that is a word": sends(answer(BODY, "fine")),
            "a status of two digits": sends(answer(BODY, "20 OK")),
            "a status of four digits": sends(answer(BODY, "2000 OK")),
            "a negative status": sends(answer(BODY, "-200 OK")),
            "binary": sends(bytes(range(256)) * 4),
            "the body alone": sends(BODY),
            "blank lines": sends(b"\r\n\r\n" + answer(BODY)),
        },
        errors=BROKEN,
        group="heads",
    ),
    ids=str,
)
def test_what_is_not_proper_http_is_refused_at_once(case: Case, played: Batch) -> None:
    """A head that is too large, or is none, is no trouble of the line: it is not asked for again."""
    assert_failed(case, played(case))


@each_case(
    "case",
    [
        case
        for status in (201, 202, 203, 204, 205, 206, 207, 226, 299, 600, 700, 999)
        for case in refused(
            {str(status): sends(answer(BODY, f"{status} Fine"))},
            group="statuses",
            errors=("answer.status",),
            statuses=(status,),
        )
    ],
    ids=str,
)
def test_only_200_is_an_answer_to_a_get(case: Case, played: Batch) -> None:
    """Any other status that is not an error is refused, however good its body looks."""
    assert_failed(case, played(case))


WALLET_BODY: Final = json.dumps(
    {"data": [{"asset": "USDT", "balance": "4000", "holdBalance": "1000", "lockBalance": "0"}]}
).encode()


@pytest.mark.parametrize(
    "case",
    answered(
        {f"{status}": sends(answer(WALLET_BODY, status)) for status in ("200 OK", "201 Created")},
        command="wallet",
        profile=wallet,
    ),
    ids=str,
)
def test_200_and_201_are_answers_to_a_post(case: Case, played: Batch) -> None:
    """A POST may be answered with either."""
    assert amounts(assert_answered(case, played(case))) == WELL


@each_case(
    "case",
    [
        case
        for status in (202, 203, 204, 206)
        for case in refused(
            {str(status): sends(answer(WALLET_BODY, f"{status} Fine"))},
            errors=("answer.status",),
            statuses=(status,),
            command="wallet",
            profile=wallet,
        )
    ],
    ids=str,
)
def test_no_other_status_is_an_answer_to_a_post(case: Case, played: Batch) -> None:
    """What was merely accepted, or is in part, has no balances."""
    assert_failed(case, played(case))


@each_case(
    "case",
    [
        case
        for status in (400, 404, 405, 407, 409, 410, 418, 422, 499)
        for case in refused(
            {
                f"{status} with {about}": sends(answer(body, f"{status} No"))
                for about, body in {"nothing": b"", "a page": b"<html>No</html>"}.items()
                if about == "nothing" or status in (400, 404)
            },
            errors=("answer.status",),
            group="refusals",
            statuses=(status,),
        )
    ],
    ids=str,
)
def test_a_request_that_is_refused_is_not_repeated(case: Case, played: Batch) -> None:
    """A 4xx that no other try can mend ends the account with 6 after one request."""
    assert_failed(case, played(case))


CHALLENGES: Final = {
    "nothing": sends(answer(b"", "401 Unauthorized")),
    "403": sends(answer(b"", "403 Forbidden")),
    "the provider's words": sends(answer(b'{"code":401,"msg":"no"}', "401 Unauthorized")),
    "a good body": sends(answer(BODY, "403 Forbidden")),
    "a page": sends(answer(b"<html>", "401 Unauthorized")),
    "a challenge": sends(
        answer(b"", "401 Unauthorized", 'WWW-Authenticate: Basic realm="a"', "WWW-Authenticate: Negotiate")
    ),
    "a body of 9 MiB": sends(answer(padded(9 * MIB), "401 Unauthorized")),
    "a bomb": sends(answer(BOMB, "403 Forbidden", "Content-Encoding: gzip")),
    "corrupt gzip": sends(answer(b"no", "401 Unauthorized", "Content-Encoding: gzip")),
    "a cut body": sends(answer(HALF, "401 Unauthorized", "Content-Length: 999", length=False)),
}


@each_case(
    "case",
    [
        Case(
            about,
            (script,),
            4,
            ("credentials.refused",),
            statuses=(403 if about in {"403", "a good body", "a bomb"} else 401,),
            group="challenges",
        )
        for about, script in CHALLENGES.items()
    ],
    ids=str,
)
def test_refused_credentials_are_sent_once(case: Case, played: Batch) -> None:
    """401 and 403 end the account with 4 after one request, whatever body they have."""
    assert_failed(case, played(case))


@pytest.mark.parametrize(
    "case",
    each(
        {"401 with a drip": drips(answer(b"", "401 No", length=False), pause=0.2)},
        code=4,
        errors=("credentials.refused",),
        statuses=(401,),
        options=("--timeout", "1"),
    ),
    ids=str,
)
def test_a_refusal_stands_without_its_body(case: Case, played: Batch) -> None:
    """A refusal whose explanation does not arrive in time is a refusal all the same."""
    assert_failed(case, played(case))


MALFORMED: Final = {
    "no colon": "what is this",
    "NUL": "X-Odd: a\0b",
    "a lone CR": "X-Odd: a\rb",
    "the token": TOKEN,
}


@each_case("line", MALFORMED)
def test_a_malformed_header_line_is_nothing_to_talk_about(program: Program, line: str) -> None:
    """A header line that is none leads to an answer or to one line on stderr, never to another library's words."""
    with Wire(sends(answer(BODY, "200 OK", MALFORMED[line]))) as wire:
        result = program.with_profile(merchant(wire.url), "merchant", "-o", "json")
    assert result.code in {0, 6}
    assert len(result.json["balances"]) == (1 if result.code == 0 else 0)
    assert result.err == "" if result.code == 0 else len(result.err.splitlines()) == 1
    assert_no_secret(result, TOKEN)


# Documents.


def nested(opening: bytes, closing: bytes, inner: bytes = b"0", depth: int = 100_000) -> Script:
    """A script that sends a good answer with a further entry of this depth."""
    return sends(answer(b'{"deep":' + opening * depth + inner + closing * depth + b"," + BODY[1:]))


@each_case(
    "case",
    refused(
        {
            name: sends(answer(body))
            for name, body in {
                "a page": b"<!doctype html><title>Soon</title>",
                "nothing": b"",
                "blanks": b" \r\n\t ",
                "a byte-order mark": b"\xef\xbb\xbf" + BODY,
                "UTF-16": BODY.decode().encode("utf-16"),
                "UTF-16 without a mark": BODY.decode().encode("utf-16-le"),
                "UTF-32": BODY.decode().encode("utf-32"),
                "Latin-1": BODY.replace(b"SUCCESS", b"SUCC\xc8S"),
                "overlong UTF-8": BODY.replace(b"SUCCESS", b"\xc0\xaf"),
                "a surrogate in UTF-8": BODY.replace(b"SUCCESS", b"\xed\xa0\x80"),
                "a key twice": BODY.replace(b'"total":', b'"total":"1","total":'),
                "a key twice, once escaped": BODY.replace(b'"total":', b'"tot\\u0061l":"1","total":'),
                "a key twice at the top": b'{"code":200,' + BODY[1:],
                "a key twice where nobody looks": b'{"x":[{"a":1,"a":1}],' + BODY[1:],
                "NaN": BODY.replace(b'"5000"', b"NaN"),
                "Infinity": BODY.replace(b'"5000"', b"Infinity"),
                "NaN where nobody looks": b'{"x":NaN,' + BODY[1:],
                "two documents": BODY + BODY,
                "two documents on two lines": BODY + b"\n" + BODY,
                "a word after the document": BODY + b" ok",
                "a comma too many": BODY[:-1] + b",}",
                "a comment": b"/* */" + BODY,
                "single quotes": BODY.replace(b'"', b"'"),
                "a callback": b"f(" + BODY + b");",
                "a guard": b")]}',\n" + BODY,
                "a line break in a text": BODY.replace(b"SUCCESS", b"SUC\nCESS"),
                "half a document": HALF,
                "a NUL at the end": BODY + b"\0",
            }.items()
        }
        | {
            "100,000 lists": nested(b"[", b"]"),
            "100,000 objects": nested(b'{"a":', b"}"),
            "100,000 lists without an end": nested(b"[", b""),
            "600 lists about an escape": nested(b"[", b"]", b'"\\n"', depth=600),
            "101 levels": nested(b"[", b"]", depth=100),
        },
        errors=("answer.json",),
        group="documents",
    ),
    ids=str,
)
def test_a_body_that_is_not_one_json_document_is_refused(case: Case, played: Batch) -> None:
    """The encoding is UTF-8 and the document is one, unambiguous and of bounded depth, or it is no answer."""
    assert_failed(case, played(case))


def with_data(data: object) -> bytes:
    """A body of the merchant API with this for its data."""
    return json.dumps({"code": 200, "msg": "SUCCESS", "data": data}).encode()


@each_case(
    "case",
    refused(
        {
            name: sends(answer(body))
            for name, body in {
                "a number": b"5",
                "a number of 5,000 digits": b"5" * 5000,
                "a text": b'"balances"',
                "null": b"null",
                "true": b"true",
                "a list": b"[]",
                "a list of answers": b"[" + BODY + b"]",
                "an empty object": b"{}",
                "no code": BODY.replace(b'"code"', b'"kode"'),
                "an own error": b'{"code":-5006,"msg":"MC_NOT_EXIST"}',
                "an own error with balances": BODY.replace(b"200", b"-5046"),
                "a code that is a text": BODY.replace(b"200", b'"ok"'),
                "a code that is nearly 200": BODY.replace(b"200", b"200.5"),
                "a code that is true": BODY.replace(b"200", b"true"),
                "a code that is null": BODY.replace(b"200", b"null"),
                "a code of 5,000 digits": BODY.replace(b"200", b"200" + b"0" * 5000),
                "no data": b'{"code":200,"msg":"SUCCESS"}',
                "data that is null": with_data(None),
                "data that is a list": with_data([]),
                "no balances": with_data({}),
                "balances that are null": with_data({"balances": None}),
                "balances that are an object": with_data({"balances": {}}),
                "balances that are a text": with_data({"balances": "none"}),
                "a row that is null": with_data({"balances": [row(), None]}),
                "a row that is a list": with_data({"balances": [list(row().values())]}),
                "a row without an asset": with_data({"balances": [{"total": "1", "free": "1", "locked": "0"}]}),
                "an asset that is empty": holdings(row(asset="")),
                "an asset that is null": BODY.replace(b'"asset":"USDT"', b'"asset":null'),
                "an asset that is a number": BODY.replace(b'"asset":"USDT"', b'"asset":5'),
                "an asset that is a list": BODY.replace(b'"asset":"USDT"', b'"asset":["USDT"]'),
            }.items()
        },
        errors=("answer.shape", "provider.error"),
        group="shapes",
    ),
    ids=str,
)  # fmt: skip
def test_a_document_of_another_shape_is_never_taken_for_no_balances(case: Case, played: Batch) -> None:
    """Anything but a success of the documented shape fails the account."""
    assert_failed(case, played(case))


# Amounts.


def in_field(field: str, text: str) -> Script:
    """A script that sends a good answer but for this JSON text as one amount of its second row."""
    marked = row(asset="BTC") | {field: "AMOUNT"}
    return sends(answer(holdings(row(), marked).replace(b'"AMOUNT"', text.encode())))


NO_AMOUNTS: Final = {
    "underscore": "1_000",
    "other digits": "\u0661\u0662",
    "wide digits": "\uff11\uff12",
    "a superscript": "1\u00b2",
    "a fraction sign": "\u00bd",
    "blanks around it": " 1 ",
    "a blank before it": " 1",
    "a line break after it": "1\n",
    "a TAB": "\t1",
    "a NUL": "1\0",
    "a thousands comma": "1,000",
    "a decimal comma": "1,5",
    "a thousands blank": "1 000",
    "a no-break blank": "1\u00a0000",
    "hexadecimal": "0x10",
    "binary": "0b1",
    "nothing": "",
    "a blank": " ",
    "plus": "+1",
    "no whole part": ".5",
    "no fraction": "1.",
    "a leading zero": "01",
    "a minus alone": "-",
    "two minuses": "--1",
    "a minus sign in Unicode": "\u22121",
    "a zero-width blank": "1\u200b0",
    "no exponent": "1e",
    "a fraction for an exponent": "1e0.5",
    "an exponent of 41": "1e41",
    "an exponent of -41": "1e-41",
    "an exponent of four digits": "1e0001",
    "an exponent of a million": "1E+1000000",
    "an exponent of minus a million": "1E-1000000",
    "81 characters": "1" * 81,
    "81 characters with a point": "0." + "1" * 79,
    "5,000 digits": "9" * 5000,
    "NaN": "NaN",
    "nan": "nan",
    "sNaN": "sNaN",
    "Infinity": "Infinity",
    "-inf": "-inf",
    "a word": "true",
    "null in quotes": "null",
    "two points": "1.2.3",
    "a currency": "$1",
    "a unit": "1 USDT",
    "a percentage": "1%",
    "brackets for a minus": "(1)",
    "a sum": "1+1",
    "a bidirectional mark": "\u202e12",
    "a lone surrogate": "1\ud800",
}


@each_case(
    "case",
    refused(
        {name: in_field("total", json.dumps(text)) for name, text in NO_AMOUNTS.items()},
        errors=("answer.amount",),
        group="texts",
    ),
    ids=str,
)
def test_a_text_that_is_no_amount_fails_the_account(case: Case, played: Batch) -> None:
    """An amount is written in one way; anything else is never guessed and never 0, and no row is shown."""
    assert_failed(case, played(case))


@each_case(
    "case",
    refused(
        {
            f"{field} is {text}": in_field(field, text)
            for field, texts in {
                "total": ("null", "true", "false", "[]", '["1"]', "{}", '{"amount":"1"}'),
                "free": ("null", "true", "[]"),
                "locked": ("null", "false", "{}"),
            }.items()
            for text in texts
        },
        errors=("answer.amount",),
        group="kinds",
    ),
    ids=str,
)
def test_what_is_neither_text_nor_number_is_no_amount(case: Case, played: Batch) -> None:
    """Null, a truth value, a list and an object fail the account in each of its amounts."""
    assert_failed(case, played(case))


@each_case(
    "case",
    refused(
        {
            f"no {field}": sends(answer(holdings(row(), {k: v for k, v in row().items() if k != field})))
            for field in ("total", "free", "locked")
        }
        | {f"{field} is 1_000": in_field(field, '"1_000"') for field in ("free", "locked")},
        errors=("answer.amount",),
        group="rows",
    ),
    ids=str,
)
def test_every_amount_of_a_row_must_be_there_and_be_one(case: Case, played: Batch) -> None:
    """A row that lacks one of its three amounts, or has it in another form, fails the account."""
    assert_failed(case, played(case))


@each_case(
    "case",
    refused(
        {
            name: in_field("total", NO_AMOUNTS[name])
            for name in NO_AMOUNTS
            if re.fullmatch(r"-?[1-9][0-9]*(\.[0-9]+)?([eE][-+]?[0-9]+)?", NO_AMOUNTS[name], re.ASCII)
            or NO_AMOUNTS[name].startswith("0.")
        }
        | {"a minus and 5,000 digits": in_field("total", "-" + "9" * 5000)},
        errors=("answer.amount",),
        group="numbers",
    ),
    ids=str,
)
def test_a_json_number_beyond_the_bounds_is_no_amount(case: Case, played: Batch) -> None:
    """A number of over 80 characters, or with which has an exponent beyond 40, is refused without being computed."""
    assert_failed(case, played(case))


@each_case(
    "case",
    refused(
        {
            f"{text!r}": in_field("total", text)
            for text in (
                "1_000",
                "1,000",
                "0x10",
                "",
                "+1",
                ".5",
                "1.",
                "01",
                "--1",
                "NaN",
                "Infinity",
                "-Infinity",
            )
        },
        errors=("answer.json",),
        group="no JSON",
    ),
    ids=str,
)
def test_a_number_that_is_not_json_spoils_the_document(case: Case, played: Batch) -> None:
    """What stands for a number and is none makes the whole body no JSON."""
    assert_failed(case, played(case))


EXACT: Final = {
    "0": "0",
    "-0": "0",
    "-0.0": "0",
    "0e0": "0",
    "0.000": "0",
    "-0e-40": "0",
    "1e-18": "0.000000000000000001",
    "1E-18": "0.000000000000000001",
    "-1e-18": "-0.000000000000000001",
    "123456789012345678901234567890.123456789012345678": "123456789012345678901234567890.123456789012345678",
    "-123456789012345678901234567890.000000000000000001": "-123456789012345678901234567890.000000000000000001",
    "9007199254740993": "9007199254740993",
    "0.1": "0.1",
    "0.30000000000000004": "0.30000000000000004",
    "1.50": "1.5",
    "-12.3400": "-12.34",
    "100": "100",
    "1E+2": "100",
    "1e2": "100",
    "12.5e-3": "0.0125",
    "12.5e3": "12500",
    "1e40": "1" + "0" * 40,
    "1e-40": "0." + "0" * 39 + "1",
    "9" * 80: "9" * 80,
    "0." + "1" * 78: "0." + "1" * 78,
    "-1": "-1",
}


@pytest.fixture(scope="module", params=["text", "number"])
def exact_rows(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The rows of an answer with all the exact amounts, as texts or as JSON numbers, by their asset."""
    sent = [json.dumps(row(text, text, "0", asset=f"A{number}")) for number, text in enumerate(EXACT)]
    body = holdings().replace(json.dumps(row(), separators=(",", ":")).encode(), ",".join(sent).encode())
    if request.param == "number":
        body = re.sub(rb'("total"|"free"): "([^"]*)"', rb"\1: \2", body)
    with Wire(sends(answer(body))) as wire:
        program = Program(tmp_path_factory.mktemp("exact"))
        result = program.with_profile(merchant(wire.url), "merchant", "-o", "json")
    assert (result.code, result.err) == (0, "")
    return {found["asset"]: found for found in result.json["balances"]}


@each_case("text", EXACT)
def test_an_amount_is_shown_to_its_last_digit(exact_rows: dict[str, Any], text: str) -> None:
    """A text or a JSON number comes out in its canonical form, exact, and as it was sent in `raw`."""
    shown = exact_rows[f"A{list(EXACT).index(text)}"]
    assert amounts([shown]) == [(EXACT[text], EXACT[text], "0")]
    assert shown["raw"] == {"total": text, "free": text, "locked": "0"}


# Secrets that come back.


def escaped(text: str) -> str:
    """A JSON text's inside in which every character is an escape."""
    return "".join(f"\\u{ord(character):04x}" for character in text)


FORMS: Final[dict[str, Callable[[str], str]]] = {
    "plain": lambda secret: secret,
    "in escapes": escaped,
    "in half escapes": lambda secret: escaped(secret[:9]) + secret[9:],
    "in base64": lambda secret: b64encode(secret.encode()).decode(),
    "in a URL": lambda secret: quote(secret, safe=""),
    "in a sentence": lambda secret: f"bad token {secret}!",
    "with escaped slashes": lambda secret: secret.replace("/", "\\/"),
}
MERCHANT_ECHOES: Final = {
    "asset": ("200 OK", 6, BODY.replace(b'"asset":"USDT"', b'"asset":"ECHO"')),
    "asset's id": ("200 OK", 6, BODY.replace(b'"assetId":"USDT"', b'"assetId":"ECHO"')),
    "asset's name": ("200 OK", 6, BODY.replace(b'"assetName":"USDT"', b'"assetName":"ECHO"')),
    "amount": ("200 OK", 6, BODY.replace(b'"total":"5000"', b'"total":"ECHO"')),
    "error": ("200 OK", 6, b'{"code":-5046,"msg":"ECHO"}'),
    "error's code": ("200 OK", 6, b'{"code":"ECHO","msg":"no"}'),
    "400": ("400 No", 6, b'{"code":-4010,"msg":"ECHO"}'),
    "401": ("401 No", 4, b'{"code":401,"msg":"ECHO"}'),
    "500": ("500 No", 5, b'{"code":500,"msg":"ECHO"}'),
    "302": ("302 No", 6, b"ECHO"),
    "reason phrase": ("418 ECHO", 6, b""),
}
SLASHED: Final = "tQ7zK/9vXw2mRb5/hN8cYd4J+w=="
DIGITS: Final = "730184629517740362918475"


def echoes(status: str, body: bytes, text: str) -> Script:
    """A script that sends this body, with the text in the place of ECHO."""
    return sends(answer(body.replace(b"ECHO", text.encode()), status.replace("ECHO", text)))


def merchant_echoes() -> list[Case]:
    """Every place of the merchant API's answers with a token as it stands and in escapes, some with more."""
    wanted = [(TOKEN, where, form) for where in MERCHANT_ECHOES for form in ("plain", "in escapes")]
    for where in ("asset", "400"):
        wanted += [(TOKEN, where, form) for form in list(FORMS)[2:-1]]
        wanted += [(SLASHED, where, form) for form in ("plain", "with escaped slashes")]
    wanted += [(DIGITS, "400", form) for form in ("plain", "in escapes")]
    kinds = {TOKEN: "a token", SLASHED: "a token with slashes", DIGITS: "a token of digits"}
    return [
        Case(
            f"{kinds[token]} as {where} {form}",
            (echoes(status, body, FORMS[form](token)),),
            code,
            options=("--retries", "0"),
            secrets=(token,),
            group=f"echoes, {code}",
        )
        for token, where, form in wanted
        for status, code, body in [MERCHANT_ECHOES[where]]
    ]


WALLET_ECHOES: Final = {
    "asset": ("200 OK", 6, b'{"data":[{"asset":"ECHO","balance":"1"}]}'),
    "address": (
        "200 OK",
        6,
        b'{"data":[{"asset":"A","depositAddress":{"ECHO":{"address":"ECHO","memo":"ECHO"}}}]}',
    ),
    "error": ("200 OK", 6, b'{"errors":[{"code":"1","message":"ECHO"}]}'),
    "400": ("400 No", 6, b'{"statusCode":400,"message":"ECHO"}'),
    "401": ("401 No", 4, b'{"statusCode":401,"message":"ECHO"}'),
}


def wallet_echoes() -> list[Case]:
    """Every place of the wallet API's answers with every form of a JWT or a key."""
    return [
        Case(
            f"wallet's {where} {form}, {key}",
            (echoes(status, body, FORMS[form](TOKEN)),),
            code,
            command="wallet",
            profile=partial(wallet, credential=f'{key} = "{TOKEN}"'),
        )
        for where, (status, code, body) in WALLET_ECHOES.items()
        for key, form in (
            ("access_token", "plain"),
            ("access_token", "in escapes"),
            ("api_key", "in escapes"),
        )
    ]


def loopring_echoes() -> list[Case]:
    """The places of the relayer's answers with a key."""
    bodies = {
        "400": ("400 No", 6, b'{"resultInfo":{"code":100001,"message":"ECHO"}}'),
        "validation": ("400 No", 6, b'{"accountId":["ECHO"]}'),
        "refusal": ("200 OK", 4, b'{"resultInfo":{"code":104002,"message":"ECHO"}}'),
    }
    return [
        Case(
            f"relayer's {where} {form}",
            (echoes(status, body, FORMS[form](TOKEN)),),
            code,
            command="loopring",
            profile=loopring,
        )
        for where, (status, code, body) in bodies.items()
        for form in ("plain", "in escapes")
    ]


@pytest.mark.parametrize("case", [*merchant_echoes(), *wallet_echoes(), *loopring_echoes()], ids=str)
def test_a_credential_that_the_server_sends_back_is_not_shown(case: Case, played: Batch) -> None:
    """Whatever a server makes of our credential, no part of it reaches a stream."""
    result = played(case).result
    assert result.code == case.code, result.err
    assert result.json["accounts"][0]["status"] == ("ok" if case.code == 0 else "failed")
    assert_no_secret(result, *case.secrets)


PASSWORD: Final = "hW3-pZ8kVq5tYr2nXs6bJf9c"
MAIL: Final = "treasury.bot@balcli.example"
LOGIN: Final = f'login = {{ merchant_id = "m-1", email = "{MAIL}", password = "{PASSWORD}" }}'


@each_case(
    "case",
    [
        Case(
            f"{status} {form}",
            (echoes(status, body, FORMS[form](PASSWORD)),),
            code,
            command="wallet",
            profile=partial(wallet, credential=LOGIN),
            secrets=(PASSWORD,),
        )
        for status, code, body in (
            ("200 OK", 6, b'{"errors":[{"code":"1","message":"ECHO"}]}'),
            ("400 No", 6, b'{"statusCode":400,"message":"ECHO"}'),
            ("401 No", 4, b'{"statusCode":401,"message":"ECHO"}'),
        )
        for form in ("plain", "in escapes")
    ],
    ids=str,
)
def test_a_password_that_the_login_sends_back_is_not_shown(case: Case, played: Batch) -> None:
    """What a login's body carries is as secret as what a header does."""
    result = played(case).result
    assert result.code == case.code, result.err
    assert_no_secret(result, *case.secrets)


@pytest.mark.parametrize("output", ["json", "table"])
def test_a_server_error_that_echoes_the_request_shows_nothing_of_it(program: Program, output: str) -> None:
    """A 500 whose body and headers are our own request leaves no trace of either."""

    def script(connection: Any, request: bytes) -> None:
        head = request.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")[1:]
        connection.sendall(answer(request, "500 Internal Server Error", *head))

    with Wire(script) as wire:
        result = program.with_profile(merchant(wire.url), "merchant", "-o", output, "--retries", "1")
    assert result.code == 5
    assert len(wire.requests) == 2
    assert_one_line(result, "merchant")
    assert_no_secret(result, TOKEN)
    assert "X-BH-TOKEN" not in result.out + result.err


@pytest.mark.parametrize("form", ["plain", "in escapes"])
def test_a_table_shows_no_credential_that_the_server_sends_back(program: Program, form: str) -> None:
    """Of an answer that names an asset like the token, the table shows nothing."""
    body = MERCHANT_ECHOES["asset"][2].replace(b"ECHO", FORMS[form](TOKEN).encode())
    with Wire(sends(answer(body))) as wire:
        result = program.with_profile(merchant(wire.url), "merchant")
    assert result.code == 6
    assert "5000" not in result.out
    assert_no_secret(result, TOKEN)


# Where a credential travels.


def assert_only_in_header(request: bytes, header: str, value: str) -> None:
    """The value stands in this one header of the request, and nowhere else in it."""
    found = headers_of(request)
    assert [name for name, values in found.items() if any(value in text for text in values)] == [header]
    assert len(found[header]) == 1
    assert request.count(value.encode("latin-1")) == 1


def test_the_merchant_request_is_exactly_this(program: Program) -> None:
    """The method, the path with its query, the headers, and the token in one of them: nothing else is sent."""
    with Wire(GOOD) as wire:
        assert program.with_profile(merchant(wire.url), "merchant").code == 0
    (request,) = wire.requests
    assert request.split(b"\r\n", 1)[0] == b"GET /v2/assets/account/assets?merchantId=0 HTTP/1.1"
    assert headers_of(request) == {
        "host": [f"127.0.0.1:{wire.port}"],
        "user-agent": [f"balcli/{__version__}"],
        "accept": ["application/json"],
        "accept-encoding": ["gzip"],
        "x-bh-token": [TOKEN],
    }
    assert request.endswith(b"\r\n\r\n")
    assert_only_in_header(request, "x-bh-token", TOKEN)


@pytest.mark.parametrize(
    ("key", "header", "value"),
    [("access_token", "authorization", f"Bearer {TOKEN}"), ("api_key", "api-key", TOKEN)],
)
def test_the_wallet_request_is_exactly_this(program: Program, key: str, header: str, value: str) -> None:
    """The wallet is asked for in a POST with a small body, and the credential is in one header."""
    with Wire(sends(answer(WALLET_BODY))) as wire:
        assert program.with_profile(wallet(wire.url, f'{key} = "{TOKEN}"'), "wallet").code == 0
    (request,) = wire.requests
    body = request.partition(b"\r\n\r\n")[2]
    assert request.split(b"\r\n", 1)[0] == b"POST /v2/balance HTTP/1.1"
    assert json.loads(body) == {"walletId": "w-1"}
    assert headers_of(request) == {
        "host": [f"127.0.0.1:{wire.port}"],
        "user-agent": [f"balcli/{__version__}"],
        "accept": ["application/json"],
        "accept-encoding": ["gzip"],
        "content-type": ["application/json"],
        "content-length": [str(len(body))],
        header: [value],
    }
    assert_only_in_header(request, header, TOKEN)


TOKENS: Final = json.dumps(
    [{"tokenId": 0, "symbol": "ETH", "name": "Ethereum", "address": "0x0", "decimals": 18, "precision": 7}]
).encode()
ETHER: Final = b'[{"accountId":11329,"tokenId":0,"total":"5000","locked":"1000"}]'


def test_the_relayer_key_goes_with_the_balances_alone(program: Program) -> None:
    """The public token table is asked for without the key, the balances with it in one header."""

    def script(connection: Any, request: bytes) -> None:
        connection.sendall(answer(ETHER if b"/user/balances" in request else TOKENS))

    with Wire(script) as wire:
        assert program.with_profile(loopring(wire.url), "loopring").code == 0
    requests = {request.split(b" ")[1]: request for request in wire.requests}
    balances = requests.pop(b"/api/v3/user/balances?accountId=11329")
    common = {
        "host": [f"127.0.0.1:{wire.port}"],
        "user-agent": [f"balcli/{__version__}"],
        "accept": ["application/json"],
        "accept-encoding": ["gzip"],
    }
    assert headers_of(balances) == {**common, "x-api-key": [TOKEN]}
    assert_only_in_header(balances, "x-api-key", TOKEN)
    assert list(requests) == [b"/api/v3/exchange/tokens"]
    assert headers_of(*requests.values()) == common


def test_key_and_secret_make_a_token_and_go_no_further(program: Program) -> None:
    """The key goes with the request for a token, the token with that for balances, the secret with none."""
    fresh, key, secret = "fR3sh-uN7kQ2wZ9", "kE9-bV4mXz7", "sE5-pL8tHn2"
    made = json.dumps({"code": 200, "data": {"token": fresh, "expireTime": "9"}}).encode()
    credential = f'api_key = "{key}"\napi_secret = "{secret}"'
    with Wire(keeps(answer(made)), GOOD) as wire:
        profile = f'[profiles.main.merchant]\nbase_url = "{wire.url}"\n{credential}\n'
        result = program.with_profile(profile, "merchant", "-o", "json")
    assert result.code == 0
    for_token, for_balances = wire.requests
    assert_only_in_header(for_token, "x-bh-apikey", key)
    assert_only_in_header(for_balances, "x-bh-token", fresh)
    assert key.encode() not in for_balances
    assert secret.encode() not in for_token + for_balances
    assert_no_secret(result, fresh, key, secret)


def test_an_answer_that_nobody_asked_for_is_not_taken(program: Program) -> None:
    """A second answer that comes with the first, over a kept connection, is not the one to the next request."""
    made = json.dumps({"code": 200, "data": {"token": "fR3sh-uN7kQ2wZ9", "expireTime": "9"}}).encode()
    smuggled = answer(holdings(row("9", "9", "0")))
    with Wire(keeps(answer(made) + smuggled), GOOD) as wire:
        profile = (
            f'[profiles.main.merchant]\nbase_url = "{wire.url}"\napi_key = "k3y-1"\napi_secret = "s3c-1"\n'
        )
        result = program.with_profile(profile, "merchant", "-o", "json")
    assert result.code == 0
    assert amounts(result.json["balances"]) == WELL
    assert len(wire.requests) == 2


def test_a_login_is_sent_once_and_in_the_body_alone(program: Program) -> None:
    """E-mail and password stand in the login's body, the JWT that they give in the next request's header."""
    made = json.dumps({"data": {"accessToken": TOKEN}}).encode()
    with Wire(keeps(answer(made)), sends(answer(WALLET_BODY))) as wire:
        result = program.with_profile(wallet(wire.url, LOGIN), "wallet", "-o", "json")
    assert result.code == 0
    login, balance = wire.requests
    head, _, body = login.partition(b"\r\n\r\n")
    assert head.startswith(b"POST /v2/auth/login HTTP/1.1\r\n")
    assert headers_of(login)["merchant_id"] == ["m-1"]
    assert json.loads(body) == {"email": MAIL, "password": PASSWORD}
    for value in (MAIL, PASSWORD):
        assert value.encode() not in head + balance
    assert headers_of(balance)["authorization"] == [f"Bearer {TOKEN}"]
    assert_no_secret(result, TOKEN, PASSWORD, MAIL)


def test_a_base_url_may_have_a_path(program: Program) -> None:
    """The API's paths follow what the base URL has, with one slash between."""
    with Wire(GOOD) as wire:
        assert program.with_profile(merchant(f"{wire.url}/api/velafi/"), "merchant").code == 0
    assert wire.requests[0].startswith(b"GET /api/velafi/v2/assets/account/assets?merchantId=0 HTTP/1.1\r\n")


def test_a_latin_1_token_is_sent_as_it_stands(program: Program) -> None:
    """A token with letters of Latin-1 goes out in that encoding."""
    with Wire(GOOD) as wire:
        assert program.with_profile(merchant(wire.url, "tok\u00e9n\u00ff"), "merchant").code == 0
    assert b"\r\nX-BH-TOKEN: tok\xe9n\xff\r\n" in wire.requests[0]


def test_no_cookie_is_kept(program: Program) -> None:
    """A cookie that comes with a failure does not go with the next try."""
    busy = answer(b"", "503 Busy", "Set-Cookie: session=1; Path=/", "Connection: keep-alive")
    with Wire(keeps(busy), GOOD) as wire:
        assert program.with_profile(merchant(wire.url), "merchant").code == 0
    first, second = wire.requests
    assert first == second
    assert "cookie" not in headers_of(second)


NETRC: Final = {
    "the host": "machine 127.0.0.1 login mallory password netrc-password\n",
    "a default": "default login mallory password netrc-password\n",
}


@each_case("source", ["home", "NETRC"])
@each_case("entry", NETRC)
@each_case("provider", ["wallet", "merchant"])
def test_a_netrc_changes_no_header(program: Program, provider: str, entry: str, source: str) -> None:
    """Neither an entry for the host nor a default one replaces or adds a credential."""
    file = program.folder / (".netrc" if source == "home" else "elsewhere")
    file.write_text(NETRC[entry])
    file.chmod(0o600)
    env = {"NETRC": str(file)} if source == "NETRC" else {}
    profile, body = (wallet, WALLET_BODY) if provider == "wallet" else (merchant, BODY)
    with Wire(sends(answer(body))) as wire:
        assert program.with_profile(profile(wire.url), provider, env=env).code == 0
    found = headers_of(wire.requests[0])
    assert found.get("authorization") == ([f"Bearer {TOKEN}"] if provider == "wallet" else None)
    assert found.get("x-bh-token") == (None if provider == "wallet" else [TOKEN])


@each_case(
    "name", ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "profile"]
)
def test_loopback_is_never_asked_for_through_a_proxy(program: Program, name: str) -> None:
    """A proxy of the environment or of the profile sees nothing of a request to 127.0.0.1."""
    with Wire(GOOD) as proxy, Wire(GOOD) as wire:
        profile, env = merchant(wire.url), {name: proxy.url}
        if name == "profile":
            profile, env = f'[profiles.main]\nproxy = "{proxy.url}"\n{profile}', {}
        assert program.with_profile(profile, "merchant", env=env).code == 0
    assert len(wire.requests) == 1
    assert proxy.connections == 0


def two_merchants(first: str, second: str) -> str:
    """A profile of two accounts with a token each."""
    return "".join(
        f'[[profiles.main.merchant]]\nname = "{name}"\nbase_url = "{url}"\ntoken = "{TOKEN}-{name}"\n'
        for name, url in (("first", first), ("second", second))
    )


@each_case(
    ("script", "code"),
    [
        (GOOD, 0),
        (sends(answer(b"", "401 No")), 8),
        (sends(answer(b"", "503 Busy")), 8),
        (redirects, 8),
    ],
    ids=["good", "refused", "unavailable", "redirected to the other"],
)
def test_no_host_sees_the_key_of_another(program: Program, script: Any, code: int) -> None:
    """Of two accounts at two hosts, each host gets its own token alone, also when the other fails."""
    with Wire(GOOD) as first:
        if script is redirects:
            script = redirects(302, ELSEWHERE["other port"], first)
        with Wire(script) as second:
            profile = two_merchants(first.url, second.url)
            result = program.with_profile(profile, "merchant", "-o", "json", "--retries", "1")
    assert result.code == code
    assert len(first.requests) == 1
    assert {tuple(headers_of(r)["x-bh-token"]) for r in first.requests} == {(f"{TOKEN}-first",)}
    assert {tuple(headers_of(r)["x-bh-token"]) for r in second.requests} == {(f"{TOKEN}-second",)}
    assert_no_secret(result, TOKEN)


# Every provider, to people and to programs.

GOOD_BODIES: Final = {"merchant": BODY, "wallet": WALLET_BODY, "loopring": ETHER}
PROFILES: Final = {"merchant": merchant, "wallet": wallet, "loopring": loopring}
KINDS: Final[dict[str, tuple[int, Callable[[bytes], bytes]]]] = {
    "redirect": (6, lambda _good: answer(b"", "302 Found", "Location: http://127.0.0.1:1/")),
    "refused": (4, lambda _good: answer(b"", "401 No")),
    "unavailable": (5, lambda _good: answer(b"", "503 Busy")),
    "limited": (7, lambda _good: answer(b"", "429 Slow", "Retry-After: 99999999")),
    "page": (6, lambda _good: answer(b"<html>")),
    "empty": (6, lambda _good: answer(b"")),
    "cut": (6, lambda good: answer(good, "200 OK", f"Content-Length: {len(good) + 9}", length=False)),
    "amount": (6, lambda good: answer(re.sub(rb'"[145]000"', b'"1_000"', good, count=1))),
    "an error": (6, lambda _good: answer(b'{"code":1,"message":"no","errors":[{"code":"1","message":"no"}]}')),
}  # fmt: skip


def with_token_table(raw: bytes) -> Script:
    """A script that sends these bytes, but the relayer's token table where that is asked for."""

    def script(connection: Any, request: bytes) -> object:
        asked_for_table = b"/exchange/tokens" in request.split(b"\r\n")[0]
        return sends(answer(TOKENS) if asked_for_table else raw)(connection, request)

    return script


@pytest.mark.parametrize(
    "case",
    [
        Case(
            f"{provider} {kind} {output}",
            (with_token_table(made(GOOD_BODIES[provider])),),
            code,
            command=provider,
            profile=PROFILES[provider],
            options=("--retries", "0", "-o", output),
        )
        for provider in PROFILES
        for kind, (code, made) in KINDS.items()
        for output in ("json", "table")
        if output == "table" or provider != "merchant"
    ],
    ids=str,
)
def test_every_provider_fails_alike_in_every_format(case: Case, played: Batch) -> None:
    """The exit code does not depend on the format, one line says why, and there is no row and no amount."""
    result = played(case).result
    assert result.code == case.code, result.err
    assert_one_line(result, case.command)
    assert_no_secret(result, *case.secrets)
    if case.name.endswith("json"):
        assert [account["status"] for account in result.json["accounts"]] == ["failed"]
        assert result.json["balances"] == result.json["totals"] == []
    else:
        assert "unavailable" in result.out
        assert re.search(r"(?<![:\d])[45]000", result.out) is None
