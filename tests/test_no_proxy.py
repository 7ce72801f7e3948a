"""What a name in NO_PROXY leaves out: as requests reads it, which docs/configuration.md says in a line."""

import pytest

from tests.conftest import Program
from tests.generated import sampled
from tests.lists import each_case

PROXY = "http://proxy.example:3128"
LEFT_OUT = [
    *[
        ("a.example", name)
        for name in ("a.example", ".a.example", "A.Example", "example", "*", "b, a.example")
    ],
    *[("x.a.example", name) for name in ("a.example", ".a.example")],
    *[("a.example:8443", name) for name in ("a.example", "a.example:8443")],
    *[("10.1.2.3", name) for name in ("10.1.2.3", "10.0.0.0/8", "b,10.1.2.0/24")],
    ("10.1.2.3:8443", "10.1.2.3"),
    ("[2001:db8::1]", "2001:db8::1"),
]
ASKED_THROUGH = [
    *[
        ("a.example", name)
        for name in ("", "b.example", "*.example", "*.a.example", "b,*", "http://a.example")
    ],
    *[("a.example", name) for name in ("a.example:443", "b;a.example", "xa.example", "a.example.")],
    ("a.example:443", "a.example:443"),  # the default port is no part of a base_url
    *[("10.1.2.3", name) for name in ("10.", "10.1.2.*", "10.1.2.3:443")],
    ("10.1.2.3:8443", "10.1.2.3:8443"),
    *[("[2001:db8::1]", name) for name in ("2001:db8::/32", "[2001:db8::1]", "[2001:db8::1]:443")],
]


def asked_directly(program: Program, host: str, env: dict[str, str], line: str = "") -> bool:
    """Whether the doctor says that a host is asked without a proxy."""
    text = f'[profiles.main]\n{line}[profiles.main.merchant]\nbase_url = "https://{host}"\ntoken = "s3cr3t-token"\n'
    result = program.with_profile(text, "doctor", "--offline", "-o", "json", env=env)
    (step,) = [step["message"] for step in result.json["steps"] if step["step"] == "proxy"]
    direct: bool = step.startswith("direct connection to ")
    assert direct != (" through " in step)
    return direct


@pytest.mark.whole
@each_case(("host", "name"), sampled(LEFT_OUT, 3))
def test_a_host_that_is_left_out_is_asked_directly(program: Program, host: str, name: str) -> None:
    """A name with its subdomains, a port that is not the default, an address, and an IPv4 network leave a host out."""
    for variable in ("NO_PROXY", "no_proxy"):
        assert asked_directly(program, host, {"HTTPS_PROXY": PROXY, variable: name})


@pytest.mark.whole
@each_case(("host", "name"), sampled(ASKED_THROUGH, 3))
def test_a_host_that_is_not_left_out_is_asked_through_the_proxy(
    program: Program, host: str, name: str
) -> None:
    """`*.`, a default port, networks and brackets of IPv6, and other separators leave nothing out."""
    assert not asked_directly(program, host, {"HTTPS_PROXY": PROXY, "NO_PROXY": name})


def test_lower_case_wins_and_the_profile_before_all(program: Program) -> None:
    """Of the two spellings the lower one counts; NO_PROXY leaves nothing out of the profile's own proxy."""
    both = {"HTTPS_PROXY": PROXY, "NO_PROXY": "a.example", "no_proxy": "b.example"}
    assert not asked_directly(program, "a.example", both)
    assert asked_directly(program, "b.example", both)
    assert not asked_directly(program, "b.example", both, f'proxy = "{PROXY}"\n')
