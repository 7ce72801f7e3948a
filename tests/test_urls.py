"""Where credentials may be sent."""

import random
import re

import pytest

from balcli.urls import is_loopback, normalize_url, validate_base_url, validate_proxy
from tests.lists import each_case

GOOD = [
    ("https://core.example", "https://core.example"),
    ("https://core.example/", "https://core.example"),
    ("https://core.example//", "https://core.example"),
    ("https://core.example/v2/api/", "https://core.example/v2/api"),
    ("https://core.example:8443", "https://core.example:8443"),
    ("https://203.0.113.9", "https://203.0.113.9"),
    ("https://[2001:db8::1]:8443/x", "https://[2001:db8::1]:8443/x"),
    ("https://xn--bcher-kva.example", "https://xn--bcher-kva.example"),
    ("https://core.example/a%20b", "https://core.example/a%20b"),
    ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
    ("http://127.255.3.4", "http://127.255.3.4"),
    ("http://localhost:8080/api", "http://localhost:8080/api"),
    ("http://[::1]:8080", "http://[::1]:8080"),
]

BAD = [
    "",
    "core.example",
    "//core.example",
    "/v2",
    "https://",
    "https:///v2",
    "https:core.example",
    "https:/x",
    "ftp://core.example",
    "file:///etc/passwd",
    "javascript://core.example",
    "httpss://core.example",
    "http://core.example",
    "http://10.0.0.1",
    "http://0.0.0.0",
    "http://[::]",
    "http://192.168.1.1:8080",
    "http://127.0.0.1.evil.example",
    "http://localhost.evil.example",
    "http://evil.example/127.0.0.1",
    "http://127.1",
    "http://2130706433",
    "http://0x7f.0.0.1",
    "http://0177.0.0.1",
    "http://127.0.0.01",
    "https://user@core.example",
    "https://user:pw@core.example",
    "https://:pw@core.example",
    "https://@core.example",
    "http://127.0.0.1@evil.example",
    "http://localhost:80@evil.example",
    "https://core.example\\@evil.example",
    "https://core.example?",
    "https://core.example/?key=1",
    "https://core.example#",
    "https://core.example/#x",
    "https://core.example:0",
    "https://core.example:65536",
    "https://core.example:-1",
    "https://core.example:8x",
    "https://core.example:\u0668",
    "https://[::1",
    "https://::1]",
    "https://core.example]",
    "https://core example",
    " https://core.example",
    "https://core.example ",
    "https://core.example\n",
    "https://core.example\r\nX: 1",
    "\thttps://core.example",
    "https://core.example/\x00",
    "https://core.example/\x7f",
    "https://b\u00fccher.example",
    "https://core\uff0eexample",
    "https://core\u200b.example",
    "https://c\u043ere.example",
    'https://core.example/"',
    "https://core.example/<x>",
    "https://core.example/{x}",
    "https://core.example/`",
]


@each_case(("text", "checked"), GOOD)
def test_https_anywhere_and_http_on_loopback_are_accepted(text: str, checked: str) -> None:
    """A full HTTPS URL, or a plain HTTP one on the loopback range, is kept without its final slash."""
    assert checked == validate_base_url(text)


@each_case("text", BAD, ids=ascii)
def test_any_other_url_gets_no_credentials(text: str) -> None:
    """Plain HTTP elsewhere, user info, queries, fragments, odd hosts and odd characters are refused."""
    with pytest.raises(ValueError, match="; "):
        validate_base_url(text)


@each_case(
    ("text", "checked"),
    [
        ("HTTPS://core.example", "https://core.example"),
        ("Https://core.example/V2", "https://core.example/V2"),
        ("https://CORE.Example/V2", "https://core.example/V2"),
        ("HTTP://LOCALHOST:8080/", "http://localhost:8080"),
    ],
)
def test_one_server_has_one_url(text: str, checked: str) -> None:
    """Scheme and host, where case means nothing, are in small letters; the path keeps its case."""
    assert checked == validate_base_url(text)


@each_case("text", ["https://*.example", "https://.example", "https://[v1.x]", "https://%"])
def test_a_host_that_no_request_can_name_is_refused(text: str) -> None:
    """A host of no valid form is told when the profile is read, not when a request cannot be made."""
    with pytest.raises(ValueError, match="; "):
        validate_base_url(text)


@each_case(
    "text",
    [
        "https://tk-9931:tk-9931@core.example",
        "https://core.example/?key=tk-9931",
        "https://core.example:tk-9931",
        "http://tk-9931.example",
        "tk-9931",
        "https://core.example/tk-9931 x",
    ],
)
def test_a_refused_url_is_never_shown(text: str) -> None:
    """The reason for refusing a URL, or a proxy's, holds nothing of what may be a password in it."""
    with pytest.raises(ValueError, match="; ") as refused:
        validate_base_url(text)
    assert (False, True) == (
        "9931" in str(refused.value),
        refused.value.__suppress_context__ or refused.value.__context__ is None,
    )


@each_case(
    "host", ["localhost", "LocalHost", "127.0.0.1", "127.0.0.2", "127.255.255.254", "::1", "0:0:0:0:0:0:0:1"]
)
def test_the_loopback_range_is_known_by_its_text(host: str) -> None:
    """The name localhost and the addresses 127.0.0.0/8 and ::1 are this machine."""
    assert True is is_loopback(host)


@each_case(
    "host",
    [
        "",
        "localhost.",
        "localhost.example",
        "127.0.0.1.example",
        "127.1",
        "2130706433",
        "0.0.0.0",  # noqa: S104 - refused, not bound
        "::",
        "128.0.0.1",
        "126.255.255.255",
        "10.0.0.1",
        "fe80::1",
        "::2",
        "localh\u043est",
        "127.0.0.1 ",
        "\u0661\u0662\u0667.0.0.1",
    ],
    ids=ascii,
)
def test_no_other_host_is_loopback(host: str) -> None:
    """A name or address that only looks like this machine, or that a resolver would have to judge, is none."""
    assert False is is_loopback(host)


@each_case(
    "text",
    [
        "http://proxy.example:3128",
        "https://proxy.example",
        "http://user:pw@10.0.0.1:3128",
        "http://[::1]:8080",
    ],
)
def test_a_proxy_is_kept_as_it_is(text: str) -> None:
    """An HTTP or HTTPS proxy, with or without credentials of its own, is taken unaltered."""
    assert text == validate_proxy(text)


@each_case(
    "text",
    [
        "",
        "proxy.example",
        "proxy.example:3128",
        "socks5://proxy.example:1080",
        "http://",
        "http://:3128",
        "http://proxy.example:0",
        "http://proxy.example:99999",
        "http://proxy.example:x",
        "http://[::1",
        "http://proxy.example:3128\n",
        "http://proxy\x00.example",
        "http://proxy\u200b.example",
    ],
    ids=ascii,
)
def test_what_is_no_proxy_is_refused(text: str) -> None:
    """A proxy without scheme or host, of another kind, with an odd port or a control character is refused."""
    with pytest.raises(ValueError, match=r"^is not a supported proxy URL"):
        validate_proxy(text)


@pytest.mark.parametrize("text", ["http://my proxy:3128", " http://proxy.example:3128"])
def test_a_proxy_with_a_blank_is_refused(text: str) -> None:
    """A blank in a proxy's URL, which no request could go through, is told when the profile is read."""
    with pytest.raises(ValueError, match=r"^is not a supported proxy URL"):
        validate_proxy(text)


def test_a_refused_proxy_is_never_shown() -> None:
    """The reason for refusing a proxy holds nothing of what may be a password in it."""
    with pytest.raises(ValueError, match=r"^is not a supported proxy") as refused:
        validate_proxy("socks5://user:tk-9932@proxy.example")
    assert False is ("9932" in str(refused.value))


PLACES = [
    "https://core.example", "http://core.example", "https://core.example:8443", "https://core.example/v2", "https://core.example/V2",
    "https://core.example/v2/x", "https://core.example/a%2Fb", "https://core.example/a/b", "https://core.example/a//b",
    "https://core.example/~u", "https://core.example/100%25", "https://other.example", "https://203.0.113.9", "https://[2001:db8::1]",
    "https://[2001:db8::1]:444/v2", "https://127.0.0.1", "http://127.0.0.1:8080", "http://127.0.0.2:8080", "https://[fe80::1%25eth0]",
]  # fmt: skip
"""Places that are all different, each in its normal form or near it."""


def _hosts(host: str) -> list[str]:
    """Spellings of a host."""
    others = {
        "127.0.0.1": ["localhost", "LocalHost", "localhost.", "[::1]", "[0:0:0:0:0:0:0:1]", "[::0001]", "[::ffff:127.0.0.1]", "127.1", "0x7f.0.0.1", "2130706433", "0177.0.0.01", "0", "[::]"],
        "203.0.113.9": ["203.0.28937", "0xcb007109", "0313.0.0161.011", "[::ffff:203.0.113.9]", "[::FFFF:cb00:7109]", "203.0.113.9."],
        "[2001:db8::1]": ["[2001:DB8::1]", "[2001:0db8:0:0:0:0:0:1]", "[2001:db8::0.0.0.1]"],
    }  # fmt: skip
    return [host, host.upper(), *others.get(host, [f"{host}."] if host[0].isalpha() else [])]


def _paths(rng: random.Random, path: str) -> str:
    """One of the spellings of a path."""
    segments: list[str] = []
    for segment in path.split("/"):
        spoilt = rng.random() < 0.4 and "%" not in path
        letters = [
            f"%{ord(c):02{rng.choice('xX')}}" if spoilt and c.isalnum() and rng.random() < 0.5 else c
            for c in segment
        ]
        segments.append(
            re.sub("%[0-9A-F]{2}", lambda found: rng.choice((found[0], found[0].lower())), "".join(letters))
        )
        if len(segments) > 1 and rng.random() < 0.3:
            segments += rng.choice((["."], ["x", ".."], ["%2e"], ["x", "y", "%2E.", ".."]))
    return "/".join(segments) + rng.choice(("", "/", "/.", "/x/.."))


def test_spellings_of_one_place_are_one_place() -> None:
    """Case, implied ports, dots, escapes and forms of addresses make no other place; and what is sent keeps its spelling."""
    rng = random.Random(20261128)
    assert len(PLACES) == len({normalize_url(place) for place in PLACES})
    wrong = []
    for place in PLACES:
        scheme, _, rest = place.partition("://")
        authority, slash, path = rest.partition("/")
        host, port = re.fullmatch(r"(\[.*\]|[^:]*)(:[0-9]+)?", authority).groups()  # type: ignore[union-attr]
        for name in _hosts(host):
            for _ in range(20):
                implied = rng.choice(("", ":443" if scheme == "https" else ":80"))
                spelled = f"{rng.choice((scheme, scheme.upper()))}://{name}{port or implied}{_paths(rng, slash + path)}"
                if normalize_url(spelled.rstrip("/")) != normalize_url(place):
                    wrong.append((place, spelled, normalize_url(spelled)))
    assert [] == wrong


def test_what_only_looks_like_a_spelling_is_another_place() -> None:
    """Encoded slashes, other letters, names made of digits and numbers that are no address stay apart."""
    pairs = [
        ("https://a/x%2Fy", "https://a/x/y"),
        ("https://a/x", "https://a/X"),
        ("https://a", "https://a.a"),
        ("https://localhost", "https://localhost.example"),
        ("https://127.0.0.1", "https://127.0.0.1.example"),
        ("https://127.0.0.1", "https://127.0.0.1.1"),
        ("https://1.2.3.4", "https://1.2.3_4"),
        ("https://0.0.0.8", "https://08"),
        ("https://0.0.0.0", "https://4294967296"),
        ("http://127.0.0.1:443", "https://127.0.0.1"),
        ("https://a/%25", "https://a/%2525"),
    ]
    assert [] == [pair for pair in pairs if normalize_url(pair[0]) == normalize_url(pair[1])]
