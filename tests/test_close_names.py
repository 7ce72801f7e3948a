"""Mistyped names: what is close is suggested, what there is stays listed, and nothing is asked."""

import time

from balcli.sandbox import Sandbox
from balcli.text import closest_match, did_you_mean
from tests.conftest import Program
from tests.lists import each_case

OF = "one of: loopring, treasury, payouts, shop"


@each_case(
    ("arguments", "code", "said"),
    [
        (["all", "shpo"], 3, f"has no account shpo; did you mean shop? ({OF})"),
        (["all", "TREASURY"], 3, f"did you mean treasury? ({OF})"),
        (["wallet", "payout"], 3, "did you mean payouts? (one of: treasury, payouts)"),
        (["check", "--asset", "BTC", "--crit", "1:", "--account", "shpo"], 3, f"did you mean shop? ({OF})"),
        (["doctor", "shpo"], 3, f"did you mean shop? ({OF})"),
        (
            ["all", "--fault", "refusd"],
            2,
            "unknown fault refusd; did you mean refused? balcli sandbox --faults",
        ),
        (["all", "--fault", "merhant:refused"], 2, "did you mean merchant:refused? balcli sandbox --faults"),
        (["all", "--fault", "zzzzzzzz"], 2, "unknown fault zzzzzzzz; balcli sandbox --faults lists"),
    ],
)
def test_a_close_name_of_the_sandbox_is_suggested(
    program: Program, arguments: list[str], code: int, said: str
) -> None:
    """A mistyped account or fault is answered with the one that is close, and with those that there are."""
    result = program.run(*arguments, "--sandbox")
    (line,) = result.err.splitlines() or result.out.splitlines()[:1]
    assert (code, True) == (result.code, said in line), line


@each_case(
    ("arguments", "said"),
    [
        (["walet"], "No such command 'walet'. Did you mean 'wallet'? see balcli --help"),
        (["config", "shwo"], "Did you mean 'show'? see balcli config --help"),
        (["all", "--fualt", "x"], "--fault"),
        (["--profile", "main", "all"], "write it after the command: balcli all --profile NAME"),
        (["-q"], "write it after the command: balcli COMMAND -q"),
        (["config", "-p", "main", "check"], "write it after the command: balcli config check -p NAME"),
        (["--config", "x", "schema"], "No such option: --config; see balcli --help"),
        (["config", "--nope"], "No such option: --nope; see balcli config --help"),
        (
            ["config", "init", "--provider", "walet"],
            "did you mean wallet? (one of: loopring, wallet, merchant, velafi, kunacore)",
        ),
    ],
)
def test_a_close_command_option_or_provider_is_suggested(
    program: Program, arguments: list[str], said: str
) -> None:
    """A mistyped command, option or provider is wrong usage, told in one line with the one that is close."""
    result = program.run(*arguments)
    (line,) = result.err.splitlines()
    assert (2, "", True) == (result.code, result.out, said in line), line


PROFILES = """\
[profiles.treasury-eu.merchant]
base_url = "http://127.0.0.1:9"
token = "s3cr3t-CANARY-value"

[[profiles.treasury-eu.limits]]
asset = "BTC"
account = "{account}"
crit = "1:"

[profiles.treasury-us.merchant]
base_url = "http://127.0.0.1:9"
token = "s3cr3t-CANARY-value"
"""


@each_case(
    ("head", "account", "options", "said"),
    [
        ("", "merchant", ["-p", "treasuri-eu"], "has no profile treasuri-eu; did you mean treasury-eu?"),
        (
            'default_profile = "tresury-us\\u202e"',
            "merchant",
            [],
            "default_profile names profile tresury-us\\u202e, which does not exist; did you mean treasury-us?",
        ),
        (
            "",
            "merchnat",
            ["-p", "treasury-eu"],
            "account in limit 1 is not an account in the profile; did you",
        ),
        ('defualt_profile = "treasury-eu"', "merchant", [], 'did you mean "default_profile"?'),
    ],
)
def test_a_close_name_of_the_file_is_suggested(
    program: Program, head: str, account: str, options: list[str], said: str
) -> None:
    """A mistyped profile, account of a limit or key names the one that is close, and no value of the file."""
    text = f"{head}\n{PROFILES.format(account=account)}"
    result = program.with_profile(text, "all", *options)
    assert (3, True, False) == (result.code, said in result.err, "CANARY" in result.err), result.err


@each_case(
    ("arguments", "said"),
    [
        (["merchant"], {"shop: note: USTD is not listed, but USDT is; check --asset"}),
        (["merchant", "--fiat"], {"shop: note: USTD is not listed, but USD is; check --asset"}),
        (["loopring"], {"loopring: note: USTD is not listed, but USDT is; check --asset"}),
    ],
)
def test_a_close_asset_is_told(program: Program, arguments: list[str], said: set[str]) -> None:
    """An asset that an answer does not list is a note, with the listed one that is close; the run is complete."""
    result = program.run(*arguments, "--sandbox", "--asset", "USTD")
    assert (0, said) == (result.code, {line.removeprefix("balcli: ") for line in result.err.splitlines()})


def test_an_asset_that_is_asked_for_is_not_suggested(program: Program) -> None:
    """Of two assets that are like each other, the one that is listed is not what the other is a slip for."""
    for provider, assets in (("merchant", "usdt,USD"), ("loopring", "usdt,usdc,USD")):
        result = program.run(provider, "--sandbox", "--asset", assets, "-o", "json")
        (warning,) = result.json["warnings"]
        assert "USD is not listed; check --asset" == warning["message"]


def test_an_asset_like_no_other_is_told_alone(program: Program) -> None:
    """Nothing is suggested for an asset that is close to none."""
    result = program.run("merchant", "--sandbox", "--asset", "ZZZZZ")
    assert "balcli: shop: note: ZZZZZ is not listed; check --asset\n" == result.err


def test_a_check_tells_a_close_asset(program: Program) -> None:
    """A limit on an asset that nobody lists counts 0, and says which listed one is close."""
    result = program.run("check", "--sandbox", "--asset", "USTD", "--crit", "1:")
    assert (2, True) == (result.code, ": it is not listed, but USDT is |" in result.out)


def test_a_variable_is_answered_with_a_whole_one(program: Program) -> None:
    """A mistyped BALCLI_MERCHANT_… variable is answered with the one that is close, a missing one with its name."""
    for given, said in (
        ("MERCHANT_TOKN", "; did you mean BALCLI_MERCHANT_TOKEN?\n"),
        ("MERCHANT_ZZZ", "; use BALCLI_MERCHANT_ with NAME, BASE_URL, CA_BUNDLE, API_KEY, "),
        ("MERCHANT_API_KEY", "is missing; set BALCLI_MERCHANT_API_SECRET\n"),
        ("WALLET_WALLET_ID", "; set BALCLI_WALLET_BASE_URL\n"),
    ):
        result = program.run("all", env={f"BALCLI_{given}": "s3cr3t-CANARY-value"})
        assert (3, True, False) == (result.code, said in result.err, "CANARY" in result.err), result.err


def test_many_names_leave_the_line_whole(program: Program, sandbox: Sandbox) -> None:
    """Of eighty accounts as many are listed as the line has room for; a close one is named first."""
    accounts = "".join(
        f'[[profiles.main.merchant]]\nname = "merchant-account-{number:02}"\nmerchant_id = {number}\n'
        f'base_url = "{sandbox.url}/merchant"\ntoken = "sandbox-merchant-token"\n'
        for number in range(80)
    )
    for name, said in (("other", " more\n"), ("merchantaccount-07", "did you mean merchant-account-07?\n")):
        result = program.with_profile(accounts, "all", name)
        assert (3, True, True) == (result.code, result.err.endswith(said), len(result.err) <= 301)
    assert [] == sandbox.log


def test_names_are_compared_in_any_case() -> None:
    """A name in another case is the closest; none is close to one that is another word."""
    names = ["shop", "shops", "treasury"]
    assert ("shop", "treasury", None) == (
        closest_match("SHOP", names),
        closest_match("tresury", names),
        closest_match("x", names),
    )


def test_a_list_without_names_says_so() -> None:
    """Where there is nothing to suggest or list, that is said."""
    assert "none exist" == did_you_mean("x", [])


def test_a_suggestion_is_made_safe_to_show() -> None:
    """A name from outside is escaped where it is suggested, and one of over 48 characters never is."""
    assert r"did you mean sho\x1bp? (one of: sho\x1bp)" == did_you_mean("shop", ["sho\x1bp"])
    assert closest_match("s" * 48, ["s" * 49]) is None


def test_a_hostile_list_costs_no_time() -> None:
    """A hundred thousand names that are close cost less than two seconds of the processor, and one of megabytes nothing."""
    begun = time.process_time()
    closest_match("a" * 40, (f"{'a' * 36}{number}" for number in range(100_000)))
    closest_match("a" * 5_000_000, ["a" * 5_000_000])
    assert time.process_time() - begun < 2
