"""Which certificates an account trusts: its own, the profile's, those of the environment, the system's, the built-in ones."""

import itertools
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import pytest

from balcli.config.sources import ca_source
from balcli.files import shown
from balcli.http.client import trusted
from balcli.models import CaSource
from balcli.providers.base import Run
from balcli.settings import CA_VARIABLES
from tests.authority import Authority, found, serving
from tests.conftest import Program, Result
from tests.generated import sampled
from tests.lists import each_case
from tests.wire import GOOD, TOKEN, Wire, assert_no_secret, merchant

PLACES: Final = ("account", "profile", *CA_VARIABLES)


class Two:
    """Two authorities that know nothing of each other, and a server with a certificate of each."""

    def __init__(self, folder: Path) -> None:
        self.authorities: dict[str, Authority] = {}
        self.urls: dict[str, str] = {}
        self.servers: list[Wire] = []
        for name in ("ours", "other"):
            (folder / name).mkdir()
            self.authorities[name] = found(folder / name)
            self.servers.append(Wire(GOOD, tls=serving(self.authorities[name].issue("good"))))
            self.urls[name] = self.servers[-1].__enter__().url

    def bundle(self, name: str) -> Path:
        """The certificate of an authority."""
        return self.authorities[name].bundle


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Two]:
    """The authorities and their servers."""
    if shutil.which("openssl") is None:
        pytest.skip("certificates are made with the openssl command, which is not installed")
    made = Two(tmp_path_factory.mktemp("authorities"))
    yield made
    for server in made.servers:
        server.__exit__(None, None, None)


def ask(program: Program, two: Two, named: Mapping[str, object], *command: str) -> Result:
    """A run at the server of ours, with a `ca_bundle` or a variable for each place that is named."""
    lines = {place: f'ca_bundle = "{named[place]}"\n' for place in ("account", "profile") if place in named}
    text = (
        f"[profiles.main]\n{lines.get('profile', '')}{merchant(two.urls['ours'])}{lines.get('account', '')}"
    )
    env: dict[str, str] = {place: str(named[place]) for place in CA_VARIABLES if place in named}
    return program.with_profile(text, *(command or ("merchant", "-o", "json")), env=env)


def test_the_first_place_that_is_set_decides() -> None:
    """Of all combinations of the five places, the account's counts, then the profile's, then the variables in their order."""
    for set_ones in itertools.product([True, False], repeat=len(PLACES)):
        named = [place for place, is_set in zip(PLACES, set_ones, strict=True) if is_set]
        texts = {place: f"/{place}.pem" for place in named}
        environ = {place: texts.get(place, "") for place in CA_VARIABLES}
        found = ca_source(texts.get("account"), texts.get("profile"), Path("/etc"), environ)
        if not named:
            assert CaSource() == found
        else:
            assert (Path(texts[named[0]]), True) == (found.path, found.named_by.endswith(named[0]))


@each_case("place", PLACES)
def test_each_place_is_believed_before_those_behind_it(program: Program, two: Two, place: str) -> None:
    """The authority that one place names is the one that is trusted, whatever those behind it name."""
    behind = PLACES[PLACES.index(place) + 1 :]
    good = ask(program, two, {place: two.bundle("ours"), **dict.fromkeys(behind, two.bundle("other"))})
    bad = ask(program, two, {place: two.bundle("other"), **dict.fromkeys(behind, two.bundle("ours"))})
    assert (0, 5, "network.tls") == (good.code, bad.code, bad.json["accounts"][0]["error"]["code"])
    assert_no_secret(bad, TOKEN)


@each_case("place", CA_VARIABLES)
def test_a_variable_can_name_a_folder(program: Program, two: Two, tmp_path: Path, place: str) -> None:
    """A directory in the environment is one of certificates by their hashes, as OpenSSL makes it."""
    folder = tmp_path / "certificates"
    folder.mkdir()
    shutil.copy(two.bundle("ours"), folder / "ours.pem")
    empty = ask(program, two, {place: folder})
    subprocess.run(["openssl", "rehash", str(folder)], check=True, capture_output=True)
    assert (5, 0) == (empty.code, ask(program, two, {place: folder}).code)


@each_case(
    "content",
    [None, b"", b"no certificate", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"],
)
@pytest.mark.whole
@each_case("place", sampled(PLACES, 3))
def test_what_is_no_bundle_ends_the_run(
    program: Program, two: Two, tmp_path: Path, place: str, content: bytes | None
) -> None:
    """A file that is missing or holds no certificates is 3 wherever it is named, and the message says where."""
    bundle = tmp_path / "bundle.pem"
    if content is not None:
        bundle.write_bytes(content)
    result = ask(program, two, {place: bundle})
    doctor = ask(program, two, {place: bundle}, "doctor", "-o", "json")
    (error,) = result.json["errors"]
    told = place if place in CA_VARIABLES else "ca_bundle"
    assert (3, "config.value", 3) == (result.code, error["code"], doctor.code)
    assert told in error["message"]
    assert str(bundle.name) in error["message"]
    assert ["failed"] == [step["status"] for step in doctor.json["steps"] if step["step"] == "ca_bundle"]


@each_case("place", ["account", "profile"])
def test_system_takes_the_store_of_openssl(program: Program, two: Two, tmp_path: Path, place: str) -> None:
    """`"system"` takes what Python's ssl finds, OpenSSL's own variables included, and passes over the others."""
    folder = tmp_path / "certificates"
    folder.mkdir()
    shutil.copy(two.bundle("ours"), folder / "ours.pem")
    subprocess.run(["openssl", "rehash", str(folder)], check=True, capture_output=True)
    line = 'ca_bundle = "system"\n'
    text = (
        "[profiles.main]\n"
        + line * (place == "profile")
        + merchant(two.urls["ours"])
        + line * (place == "account")
    )
    for env, code in (
        ({"SSL_CERT_FILE": str(two.bundle("ours"))}, 0),
        ({"SSL_CERT_DIR": str(folder)}, 0),
        ({"SSL_CERT_FILE": str(two.bundle("other"))}, 5),
        ({"REQUESTS_CA_BUNDLE": str(two.bundle("ours"))}, 5),
    ):
        assert code == program.with_profile(text, "all", "-o", "json", env=env).code


def test_each_account_of_a_run_trusts_its_own(program: Program, two: Two) -> None:
    """Accounts with different bundles in one run, also at one server, are each judged by their own alone."""
    accounts = [
        (server, bundle, number)
        for number, (server, bundle) in enumerate(
            itertools.product(("ours", "other"), ("ours", "other", None))
        )
    ]
    text = f'[profiles.main]\nca_bundle = "{two.bundle("ours")}"\n'
    for server, bundle, number in accounts:
        table = merchant(two.urls[server]).replace("[profiles.main.merchant]", "[[profiles.main.merchant]]")
        line = "" if bundle is None else f'ca_bundle = "{two.bundle(bundle)}"\n'
        text += f'{table}name = "m{number}"\nmerchant_id = {number + 1}\n{line}'
    result = program.with_profile(text, "all", "-o", "json", "--jobs", "1")
    statuses = {account["account"]: account["status"] for account in result.json["accounts"]}
    assert 8 == result.code
    assert statuses == {
        f"m{number}": "ok" if (bundle or "ours") == server else "failed"
        for server, bundle, number in accounts
    }


def test_what_accounts_share_is_shared_by_those_that_trust_the_same() -> None:
    """A login or table that one account failed to get with its certificates fails no account with others."""
    run = Run(None)  # type: ignore[arg-type]
    one = run.share("key", object)
    token = trusted.set(CaSource("system"))
    try:
        assert run.share("key", object) is not one
        assert run.share("key", object) is run.share("key", object)
    finally:
        trusted.reset(token)
    assert run.share("key", object) is one


def test_the_source_is_named(program: Program, two: Two) -> None:
    """`config show` and `doctor` say which certificates count, and what names them."""
    ours, other = two.bundle("ours"), two.bundle("other")
    path = shown(ours)
    cases: tuple[tuple[dict[str, object], tuple[str, str], str], ...] = (
        ({}, ("built-in", "default"), "the built-in certificates"),
        ({"CURL_CA_BUNDLE": ours}, (str(ours), "environment CURL_CA_BUNDLE"), f"{path} (CURL_CA_BUNDLE)"),
        (
            {"profile": ours, "SSL_CERT_FILE": other},
            (str(ours), "config.toml:2"),
            f"{path} (ca_bundle of the profile)",
        ),
        (
            {"profile": "system"},
            ("system", "config.toml:2"),
            "the system certificates (ca_bundle of the profile)",
        ),
        ({"account": ours}, ("built-in", "default"), f"{path} (ca_bundle of the account)"),
    )
    for named, row, step in cases:
        settings = ask(program, two, named, "config", "show", "-o", "json").json
        (found,) = [each for each in settings["settings"] if each["key"] == "ca_bundle"]
        assert row == (found["value"], found["source"])
        own = [each["value"] for each in settings["accounts"][0]["settings"] if each["key"] == "ca_bundle"]
        assert own == ([str(ours)] if "account" in named else [])
        doctor = ask(program, two, named, "doctor", "--offline", "-o", "json").json
        assert [step] == [one["message"] for one in doctor["steps"] if one["step"] == "ca_bundle"]
        beside = [one["message"] for one in doctor["steps"] if "_FILE is ignored" in one["message"]]
        assert len(beside) == (1 if "profile" in named and "SSL_CERT_FILE" in named else 0)


@each_case(
    ("named", "words"),
    [
        ({}, "not in the built-in certificates; check base_url, or set ca_bundle to that authority's file"),
        (
            {"SSL_CERT_FILE": "other"},
            "(SSL_CERT_FILE); check base_url, or set ca_bundle to that authority's file",
        ),
        (
            {"profile": "other", "REQUESTS_CA_BUNDLE": "ours"},
            (
                "(ca_bundle of the profile); check base_url, or remove the ca_bundle of the profile to use "
                "REQUESTS_CA_BUNDLE"
            ),
        ),
        (
            {"account": "other", "profile": "ours"},
            "(ca_bundle of the account); check base_url, or set ca_bundle to that authority's file",
        ),
    ],
)
def test_an_unknown_authority_is_told_with_what_was_trusted(
    tmp_path: Path, two: Two, named: dict[str, str], words: str
) -> None:
    """The message names the certificates that were tried and the setting to change; `doctor` says the same."""
    program = Program(tmp_path)
    bundles = {place: two.bundle(name) for place, name in named.items()}
    for command in ([], ["doctor", "-o", "json"]):
        result = ask(program, two, bundles, *command)
        assert 5 == result.code
        (error,) = result.json["errors"] if command else [result.json["accounts"][0]["error"]]
        assert ("network.tls", True) == (error["code"], error["message"].endswith(words)), error["message"]
