"""HTTPS: whose certificate is believed, what is done when none is, and what passes a proxy."""

import shutil
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from balcli.sandbox.faults import keeps_silent
from tests.authority import HERE, LEAF, NOW, Authority, found, serving
from tests.conftest import Program, Result
from tests.faults.wire import drips, hangs_up, resets, sends
from tests.lists import each_case
from tests.wire import (
    GOOD,
    TOKEN,
    Script,
    Wire,
    amounts,
    answer,
    assert_no_secret,
    assert_one_line,
    first_bytes,
    headers_of,
    holdings,
    merchant,
    whole_request,
)

if TYPE_CHECKING:
    from ssl import SSLContext

WELL: Final = [("5000", "4000", "1000")]
FAR: Final = "192.0.2.1"
"""An address for documentation: nothing answers there."""


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """The authority that the profiles of these tests trust."""
    if shutil.which("openssl") is None:
        pytest.skip("certificates are made with the openssl command, which is not installed")
    return found(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="session")
def trusted(authority: Authority) -> "SSLContext":
    """The server's side of TLS with a certificate for 127.0.0.1 that is in order."""
    return serving(authority.issue("good"))


def profile(url: str, bundle: object) -> str:
    """A profile of one merchant account, with this `ca_bundle` if any."""
    line = "" if bundle is None else f'ca_bundle = "{bundle}"\n'
    return f"[profiles.main]\n{line}{merchant(url)}"


def ask(program: Program, url: str, bundle: object, *options: str, **env: str) -> Result:
    """How a run with this profile goes, as JSON."""
    return program.with_profile(profile(url, bundle), "merchant", "-o", "json", *options, env=env)


def assert_network_failure(result: Result, *codes: str) -> None:
    """The account failed with 5 and one of these codes, cleanly and without a secret."""
    assert result.code == 5, result.err
    document = result.json
    (account,) = document["accounts"]
    assert account["error"]["code"] in codes, account
    assert account["error"]["http_status"] is None
    assert document["balances"] == document["totals"] == []
    assert_one_line(result, "merchant")
    assert_no_secret(result, TOKEN)


# Certificates.


@pytest.mark.parametrize("form", ["absolute", "relative to the profile", "among others"])
def test_a_bundle_of_the_profile_makes_a_server_trusted(
    program: Program, authority: Authority, trusted: "SSLContext", form: str
) -> None:
    """With its authority in `ca_bundle`, a server is asked, and its answer counts."""
    bundle: object = authority.bundle
    if form != "absolute":
        others = "" if form == "relative to the profile" else "# others\n" + authority.bundle.read_text()
        (program.folder / "company.pem").write_text(others + authority.bundle.read_text())
        bundle = "company.pem"
    with Wire(GOOD, tls=trusted) as wire:
        result = ask(program, wire.url, bundle)
    assert (result.code, result.err) == (0, "")
    assert amounts(result.json["balances"]) == WELL
    assert headers_of(wire.requests[0])["x-bh-token"] == [TOKEN]
    assert len(wire.requests) == 1


FORGED: Final = {
    "expired": (LEAF + HERE, ("20200101000000Z", "20210101000000Z")),
    "not yet valid": (LEAF + HERE, ("20480101000000Z", "20491231000000Z")),
    "another name": (LEAF + "subjectAltName = DNS:elsewhere.example\n", NOW),
    "another address": (LEAF + "subjectAltName = IP:127.0.0.2\n", NOW),
    "the address as a name": (LEAF + "subjectAltName = DNS:127.0.0.1\n", NOW),
    "127.0.0.1": (LEAF, NOW),
    "for clients": (LEAF.replace("serverAuth", "clientAuth") + HERE, NOW),
}


@pytest.mark.parametrize("flaw", FORGED)
def test_a_certificate_with_a_flaw_is_refused(program: Program, authority: Authority, flaw: str) -> None:
    """A trusted authority's certificate that is not for this server now gets one handshake and no request."""
    with Wire(GOOD, tls=serving(authority.issue(flaw, *FORGED[flaw]))) as wire:
        result = ask(program, wire.url, authority.bundle)
    assert_network_failure(result, "network.tls")
    assert wire.connections == 1
    assert wire.requests == []


@pytest.mark.parametrize("bundle", ["built-in", "another authority's"])
def test_an_unknown_authority_is_refused(
    program: Program, trusted: "SSLContext", tmp_path: Path, bundle: str
) -> None:
    """A certificate of an authority that is not in the bundle gets one handshake and no request."""
    other = None if bundle == "built-in" else found(tmp_path).bundle
    with Wire(GOOD, tls=trusted) as wire:
        result = ask(program, wire.url, other)
    assert_network_failure(result, "network.tls")
    assert wire.connections == 1
    assert wire.requests == []


def test_a_certificate_that_vouches_for_itself_is_refused(program: Program, authority: Authority) -> None:
    """A self-signed certificate is no better than one of an unknown authority."""
    authority.openssl("req", "-x509", "-new", "-config", "ca.cnf", "-key", "key.pem", "-days", "30",
                      "-subj", "/CN=127.0.0.1", "-out", "own.crt")  # fmt: skip
    own = authority.folder / "own.pem"
    own.write_text((authority.folder / "own.crt").read_text() + (authority.folder / "key.pem").read_text())
    with Wire(GOOD, tls=serving(own)) as wire:
        result = ask(program, wire.url, None)
    assert_network_failure(result, "network.tls")
    assert (wire.connections, wire.requests) == (1, [])


@pytest.mark.parametrize("name", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"])
def test_a_dotenv_file_makes_nobody_trusted(
    program: Program, authority: Authority, trusted: "SSLContext", name: str
) -> None:
    """An authority that a `.env` names is not believed, and a note says that the name was ignored."""
    dotenv = program.folder / ".env"
    dotenv.write_text(f"{name}={authority.bundle}\n")
    dotenv.chmod(0o600)
    with Wire(GOOD, tls=trusted) as wire:
        result = ask(program, wire.url, None)
    assert result.code == 5
    assert wire.requests == []
    assert [name in warning["message"] for warning in result.json["warnings"]] == [True]
    assert_no_secret(result, TOKEN)


BUNDLES: Final = {
    "empty": b"",
    "words": b"this is no certificate\n",
    "binary": bytes(range(256)),
    "cut": b"-----BEGIN CERTIFICATE-----\nMIIB",
    "corrupt": b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    "missing": None,
    "directory": None,
    "key": None,
}


@pytest.mark.parametrize("kind", BUNDLES)
def test_a_bundle_that_is_none_is_a_configuration_error(
    program: Program, authority: Authority, trusted: "SSLContext", kind: str
) -> None:
    """A `ca_bundle` without a certificate in it ends the run with 3 before any connection."""
    bundle = program.folder / "bundle.pem"
    content = BUNDLES[kind]
    if content is not None:
        bundle.write_bytes(content)
    elif kind == "directory":
        bundle.mkdir()
    elif kind == "key":
        bundle = authority.folder / "key.pem"
    with Wire(GOOD, tls=trusted) as wire:
        result = ask(program, wire.url, bundle)
    assert result.code == 3, result.err
    document = result.json
    assert [error["code"] for error in document["errors"]] == ["config.value"]
    assert (document["complete"], document["balances"]) == (False, [])
    assert len(result.err.splitlines()) == 1
    assert "ca_bundle" in result.err
    assert wire.connections == 0
    assert_no_secret(result, TOKEN)


# Handshakes.


@pytest.mark.parametrize(
    "said",
    [
        b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.9\r\n",
        b"\x00" * 64,
        b"\x15\x03\x03\x00\x02\x02\x28",
    ],
    ids=["HTTP", "SSH", "zeros", "a TLS alert"],
)
def test_a_port_that_speaks_no_tls_is_asked_once(program: Program, authority: Authority, said: bytes) -> None:
    """Another protocol on the port, or a refusal in TLS itself, is not tried again."""
    with Wire(sends(said), read=first_bytes) as wire:
        result = ask(program, f"https://127.0.0.1:{wire.port}", authority.bundle)
    assert_network_failure(result, "network.tls")
    assert wire.connections == 1
    assert TOKEN.encode() not in b"".join(wire.requests)


@pytest.mark.parametrize(
    "options",
    [("--timeout", "0.6", "--retries", "0", "--deadline", "9"), ("--timeout", "20", "--deadline", "1.5")],
    ids=["time-out", "deadline"],
)
@pytest.mark.parametrize(
    "script",
    [keeps_silent, drips(b"\x16\x03\x03\x40\x00", b"\x00", 0.1)],
    ids=["silent", "dripping"],
)
def test_a_handshake_that_hangs_is_ended(
    program: Program, authority: Authority, script: Script, options: tuple[str, ...]
) -> None:
    """A server that never finishes the handshake costs the time-out or the deadline, and sees no secret."""
    with Wire(script, read=first_bytes) as wire:
        file = program.write(profile(f"https://127.0.0.1:{wire.port}", authority.bundle))
        arguments = ("merchant", "-o", "json", "--config", str(file), *options)
        result = program.run(*arguments, timeout=15)
    codes = ("network.timeout",) if "--retries" in options else ("network.timeout", "network.deadline")
    assert_network_failure(result, *codes)
    assert wire.connections == 1
    assert TOKEN.encode() not in b"".join(wire.requests)


def unread(connection: socket.socket) -> bytes:
    """A look at what comes first, which is left to be read."""
    return connection.recv(1, socket.MSG_PEEK)


@pytest.mark.parametrize("first", [hangs_up, resets()], ids=["closed", "reset"])
def test_a_handshake_that_breaks_off_is_connection_trouble(
    program: Program, authority: Authority, trusted: "SSLContext", first: Script
) -> None:
    """A connection that ends in the handshake is tried again, as it would be without TLS."""

    def good(connection: socket.socket, _request: bytes) -> None:
        with trusted.wrap_socket(connection, server_side=True) as secured:
            whole_request(secured)
            secured.sendall(answer(holdings()))

    with Wire(first, good, read=unread) as wire:
        result = ask(program, f"https://127.0.0.1:{wire.port}", authority.bundle)
    assert (result.code, result.err) == (0, "")
    assert wire.connections == 2


def test_a_body_that_tls_cuts_is_refused(
    program: Program, authority: Authority, trusted: "SSLContext"
) -> None:
    """A body without a length that ends in mid-document, without TLS's own end, is no answer."""
    with Wire(sends(answer(holdings()[:60], length=False)), tls=trusted) as wire:
        result = ask(program, wire.url, authority.bundle, "--retries", "0")
    assert result.code == 6
    assert result.json["balances"] == []
    assert_one_line(result, "merchant")
    assert len(wire.requests) == 1


# What leaves the connection.


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_to_plain_http_is_refused(
    program: Program, authority: Authority, trusted: "SSLContext", status: int
) -> None:
    """A redirect from https to http is not followed: nobody connects there."""
    with Wire(GOOD) as plain:
        moved = sends(answer(b"", f"{status} Moved", f"Location: {plain.url}/"))
        with Wire(moved, tls=trusted) as wire:
            result = ask(program, wire.url, authority.bundle)
    assert result.code == 6
    assert result.json["accounts"][0]["error"]["code"] == "answer.redirect"
    assert_one_line(result, "merchant")
    assert_no_secret(result, TOKEN)
    assert (len(wire.requests), plain.connections) == (1, 0)


def test_no_key_log_is_written(program: Program, authority: Authority, trusted: "SSLContext") -> None:
    """SSLKEYLOGFILE, by which TLS can be read along, has no effect."""
    log = program.folder / "keys.log"
    with Wire(GOOD, tls=trusted) as wire:
        result = ask(program, wire.url, authority.bundle, SSLKEYLOGFILE=str(log))
    assert result.code == 0, result.err
    assert not log.exists()


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
def test_loopback_over_tls_never_goes_through_a_proxy(
    program: Program, authority: Authority, trusted: "SSLContext", name: str
) -> None:
    """A proxy of the environment sees nothing of a request to https://127.0.0.1."""
    with Wire(GOOD) as proxy, Wire(GOOD, tls=trusted) as wire:
        result = ask(program, wire.url, authority.bundle, **{name: proxy.url})
    assert result.code == 0, result.err
    assert (len(wire.requests), proxy.connections) == (1, 0)


@pytest.mark.parametrize("source", ["environment", "profile"])
def test_a_proxy_carries_the_request_and_cannot_read_it(
    program: Program, authority: Authority, source: str
) -> None:
    """Through a proxy goes a tunnel to the host alone; the token is inside of its TLS."""
    context = serving(authority.issue("far", f"{LEAF}subjectAltName = IP:{FAR}\n"))
    inside = []

    def tunnel(connection: socket.socket, _request: bytes) -> None:
        connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        with context.wrap_socket(connection, server_side=True) as secured:
            inside.append(whole_request(secured))
            secured.sendall(answer(holdings()))

    with Wire(tunnel) as proxy:
        env = {"HTTPS_PROXY": proxy.url} if source == "environment" else {}
        text = profile(f"https://{FAR}", authority.bundle)
        if source == "profile":
            text = text.replace("[profiles.main]\n", f'[profiles.main]\nproxy = "{proxy.url}"\n')
        result = program.with_profile(text, "merchant", "-o", "json", env=env)
    assert (result.code, result.err) == (0, "")
    assert [request.split(b" ")[:2] for request in proxy.requests] == [[b"CONNECT", f"{FAR}:443".encode()]]
    assert TOKEN.encode() not in proxy.requests[0]
    assert [headers_of(request)["x-bh-token"] for request in inside] == [[TOKEN]]


REFUSALS: Final[dict[str, Script]] = {
    "407": sends(answer(b"", "407 Who", 'Proxy-Authenticate: Basic realm="a"')),
    "403": sends(answer(b"", "403 No")),
    "502": sends(answer(b"", "502 Bad")),
    "closed": hangs_up,
    "a good answer to CONNECT": sends(answer(holdings(), "404 No")),
    "not HTTP": sends(b"SSH-2.0-OpenSSH_9.9\r\n"),
    "silent": keeps_silent,
    "an interim response": sends(b"HTTP/1.1 103 Early Hints\r\n\r\n" + answer(b"", "407 Who")),
}


REFUSED: Final = {
    "407": "the proxy requires a user name and password (HTTP 407); set HTTPS_PROXY to http",
    "403": "the proxy refused to connect (HTTP 403); allow the host in the proxy, or change HTTPS_PROXY",
    "502": "the proxy refused to connect (HTTP 502); allow the host in the proxy, or change HTTPS_PROXY",
    "closed": "the proxy closed the connection; check HTTPS_PROXY",
    "a good answer to CONNECT": "the proxy refused to connect (HTTP 404); allow the host in the proxy",
    "not HTTP": "the proxy does not speak HTTP; check HTTPS_PROXY",
    "silent": "the proxy timed out; check HTTPS_PROXY",
    "an interim response": "the proxy requires a user name and password (HTTP 407); set HTTPS_PROXY to http",
}


@pytest.mark.parametrize("how", REFUSALS)
def test_a_proxy_that_lets_nothing_pass_fails_the_account(
    program: Program, authority: Authority, how: str
) -> None:
    """Whatever a proxy answers to the tunnel, it is 5, named with its setting, and it never sees the token."""
    url = f"https://{FAR}"
    quick = ("--timeout", "0.5")
    with Wire(REFUSALS[how]) as proxy:
        result = ask(program, url, authority.bundle, "--retries", "0", *quick, HTTPS_PROXY=proxy.url)
        doctor = program.with_profile(
            profile(url, authority.bundle).replace("main]\n", "main]\nretries = 0\n"),
            "doctor",
            "-o",
            "json",
            *quick,
            env={"HTTPS_PROXY": proxy.url},
        )
    assert_network_failure(result, "network.proxy")
    assert f"{FAR}: {REFUSED[how]}" in result.err
    assert [REFUSED[how] in error["message"] for error in doctor.json["errors"]] == [True]
    requests = [request for request in proxy.requests if request]
    assert len(requests) >= 2
    assert TOKEN.encode() not in b"".join(requests)


@pytest.mark.parametrize("status", ["407", "403"])
def test_a_proxy_that_refuses_is_asked_once(program: Program, authority: Authority, status: str) -> None:
    """Another attempt would be refused, too; a proxy that is down for a moment is tried again."""
    with Wire(REFUSALS[status]) as proxy:
        ask(program, f"https://{FAR}", authority.bundle, HTTPS_PROXY=proxy.url)
    assert len(proxy.requests) == 1


@each_case(
    ("env", "words"),
    [
        (
            {"HTTPS_PROXY": "socks5h://127.0.0.1:1"},
            "HTTPS_PROXY is a SOCKS proxy, which is not supported; use an http:// or https:// proxy",
        ),
        (
            {"all_proxy": "SOCKS4://me:secret@127.0.0.1:1"},
            "all_proxy is a SOCKS proxy, which is not supported; use an http://",
        ),
        (
            {"https_proxy": "ftp://127.0.0.1:1"},
            "https_proxy is not a proxy URL; use http://host:port",
        ),
        ({"ALL_PROXY": "http://["}, "ALL_PROXY is not a proxy URL; use http://host:port"),
        ({"HTTPS_PROXY": "127.0.0.1:1"}, "the proxy cannot be reached; check HTTPS_PROXY"),
        (
            {"HTTPS_PROXY": "http://nobody.invalid:1"},
            "the proxy's host name cannot be resolved; check HTTPS_PROXY",
        ),
    ],
)
def test_a_proxy_that_cannot_be_used_is_named(
    program: Program, authority: Authority, env: dict[str, str], words: str
) -> None:
    """The message has the variable and what to write there, never its value; `doctor` says the same."""
    url = f"https://{FAR}"
    result = ask(program, url, authority.bundle, "--retries", "0", **env)
    assert_network_failure(result, "network.proxy")
    assert words in result.err
    assert "secret" not in result.err
    doctor = program.with_profile(profile(url, authority.bundle), "doctor", "-o", "json", env=env)
    (error,) = doctor.json["errors"]
    assert error["code"] == "network.proxy"
    assert words.partition(";")[0] in error["message"] or "cannot be reached" in error["message"]


@pytest.mark.parametrize(
    "address",
    ["socks5://127.0.0.1:1", "ftp://127.0.0.1:1", "http://[", "http://127.0.0.1:99999", "http://", "://"],
)
def test_a_proxy_of_no_use_fails_the_account(program: Program, authority: Authority, address: str) -> None:
    """An address in the environment that is no proxy's is 5 with one line, not a defect."""
    result = ask(
        program, f"https://{FAR}", authority.bundle, "--retries", "0", "--timeout", "1", HTTPS_PROXY=address
    )
    assert_network_failure(result, "network.proxy", "network.connection")


def test_the_password_of_a_proxy_is_not_shown(program: Program, authority: Authority) -> None:
    """A password in the proxy's address goes to the proxy, and no stream has it."""
    password = "pX4-vK9sLm2wQz7t"
    with Wire(REFUSALS["407"]) as proxy:
        address = f"http://me:{password}@127.0.0.1:{proxy.port}"
        result = ask(program, f"https://{FAR}", authority.bundle, "--retries", "0", HTTPS_PROXY=address)
    assert_network_failure(result, "network.proxy")
    assert_no_secret(result, password)
    assert headers_of(proxy.requests[0]).keys() - {"host"} == {"proxy-authorization"}


HOSTS: Final = ("*.example", ".example", "a..example", f"{'a' * 64}.example", "[::1]x")


@each_case("host", HOSTS)
def test_a_base_url_with_an_impossible_host_is_said_to_be_wrong(program: Program, host: str) -> None:
    """A name that no host can have is the configuration's or the network's fault, not a defect."""
    result = ask(program, f"https://{host}", None, "--retries", "0", "--deadline", "3")
    assert result.code in {3, 5}, result.err
    assert len(result.err.splitlines()) == 1
    assert result.json["balances"] == []
    assert_no_secret(result, TOKEN)


def test_a_proxy_of_a_dotenv_file_is_not_used(program: Program, authority: Authority) -> None:
    """A `.env` cannot send the traffic to a proxy; a note says that its name was ignored."""
    with Wire(hangs_up) as proxy:
        dotenv = program.folder / ".env"
        dotenv.write_text(f"HTTPS_PROXY={proxy.url}\nhttps_proxy={proxy.url}\n")
        dotenv.chmod(0o600)
        result = ask(program, f"https://{FAR}", authority.bundle, "--timeout", "0.5", "--retries", "0")
    assert result.code == 5
    assert proxy.connections == 0
    assert len(result.json["warnings"]) == 2
    assert_no_secret(result, TOKEN)


@pytest.mark.parametrize("bye", [True, False], ids=["said", "unsaid"])
def test_an_answer_that_breaks_off_is_asked_for_again(
    program: Program, authority: Authority, trusted: "SSLContext", bye: bool
) -> None:
    """A body that ends early over TLS, with a goodbye or without, is cut like any other: tried again, then 6."""

    def cut(connection: socket.socket, _request: bytes) -> None:
        with trusted.wrap_socket(connection, server_side=True) as secured:
            whole_request(secured)
            secured.sendall(answer(holdings())[:-20])
            if bye:
                secured.unwrap().close()

    with Wire(cut, read=unread) as wire:
        result = ask(program, f"https://127.0.0.1:{wire.port}", authority.bundle, "--retries", "1")
    assert (6, "answer.cut") == (result.code, result.json["accounts"][0]["error"]["code"])
    assert wire.connections == 2
