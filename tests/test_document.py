"""The document of `-o json`: its shape, its order, and amounts that are text."""

import json
import re
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balcli.errors import ConfigFileError
from balcli.models import Account, Balance, DepositAddress, Failure, Holdings, Notice, Outcome, Report
from balcli.money import Amount, parse
from balcli.providers import coverage_of
from balcli.render.json import document
from balcli.report import build, failed, without_zeros
from tests.generated import examples
from tests.rendering import machine

SOME = examples(200)

MOMENT = datetime(2026, 11, 21, 0, 57, 0, 999_999, tzinfo=UTC)

CANONICAL = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]*[1-9])?")

# The example of the contract, in its order of keys.
EXAMPLE: dict[str, Any] = {
    "schema_version": "1.1",
    "generated_at": "2026-11-21T00:57:00Z",
    "profile": "main",
    "complete": False,
    "exit_code": 8,
    "coverage": [
        {
            "provider": name,
            "covers": [*coverage_of(name).covers],
            "leaves_out": [*coverage_of(name).leaves_out],
            "source": coverage_of(name).source,
        }
        for name in ("loopring", "wallet")
    ],
    "accounts": [
        {
            "account": "loopring",
            "provider": "loopring",
            "status": "ok",
            "fetched_at": "2026-11-21T00:57:00Z",
            "target": {"account_id": "11329"},
            "error": None,
        },
        {
            "account": "treasury",
            "provider": "wallet",
            "status": "failed",
            "fetched_at": None,
            "target": {"wallet_id": "1f44b1c7-9fd4-4d20-b9a4-7aca3646d0d5"},
            "error": {
                "code": "credentials.refused",
                "message": "the token is refused",
                "retryable": False,
                "http_status": 401,
            },
        },
    ],
    "balances": [
        {
            "account": "loopring",
            "provider": "loopring",
            "asset": "ETH",
            "asset_id": "0",
            "total": "0.099476758",
            "available": "0.099476758",
            "locked": "0",
            "details": {"pending_withdraw": "0", "pending_deposit": "0"},
            "raw": {"total": "99476758000000000", "locked": "0"},
        }
    ],
    "totals": [
        {
            "asset": "ETH",
            "total": None,
            "available": None,
            "locked": None,
            "known": {"total": "0.099476758", "available": "0.099476758", "locked": "0"},
            "missing": ["treasury"],
        }
    ],
    "warnings": [{"code": "asset.unlisted", "account": "loopring", "message": "it has no USDT"}],
    "errors": [],
}


def account(name: str, provider: str = "loopring", **target: str) -> Account[object]:
    """An account of that name."""
    return Account(name, provider, "https://host.example", target, (name,), None)


def answered(name: str, *balances: Balance, notices: tuple[Notice, ...] = ()) -> Outcome:
    """An account that answered with these rows."""
    return Outcome(account(name), Holdings(balances, notices), MOMENT, None)


def row(
    asset: str = "ETH",
    total: Amount | None = None,
    available: Amount | None = None,
    locked: Amount | None = None,
) -> Balance:
    """A row of the account `loopring`."""
    return Balance("loopring", "loopring", asset, None, total, available, locked)


def parsed(report: Report) -> dict[str, Any]:
    """What a script makes of the text."""
    made: dict[str, Any] = json.loads(machine("json", report))
    return made


def example() -> Report:
    """The report that the contract's example shows."""
    ethereum = Balance(
        "loopring",
        "loopring",
        "ETH",
        "0",
        parse("0.099476758"),
        parse("0.099476758000000000"),
        parse("-0"),
        details={"pending_withdraw": parse("0"), "pending_deposit": parse("0.0")},
        raw={"total": "99476758000000000", "locked": "0"},
    )
    outcomes = [
        Outcome(
            account("loopring", account_id="11329"),
            Holdings((ethereum,), (Notice("asset.unlisted", "loopring", "it has no USDT"),)),
            MOMENT,
            None,
        ),
        Outcome(
            account("treasury", "wallet", wallet_id="1f44b1c7-9fd4-4d20-b9a4-7aca3646d0d5"),
            None,
            None,
            Failure(
                "credentials.refused", "the token is refused", retryable=False, http_status=401, exit_code=4
            ),
        ),
    ]
    return build("main", outcomes)._replace(generated_at=MOMENT)


def test_the_contracts_example_comes_out_key_by_key() -> None:
    """The document has the contract's keys in the contract's order, with its values, and no key more."""
    assert json.dumps(EXAMPLE) == json.dumps(parsed(example()))


def test_the_document_is_the_text() -> None:
    """The plain objects, which others build upon, are what the text says."""
    assert parsed(example()) == document(example())


def test_a_run_level_failure_has_the_same_shape() -> None:
    """A run that failed before any request is a document with every key, its reason under `errors`."""
    report = failed("main", ConfigFileError("config.toml: is not there"))._replace(generated_at=MOMENT)
    expected = {
        "schema_version": "1.1",
        "generated_at": "2026-11-21T00:57:00Z",
        "profile": "main",
        "complete": False,
        "exit_code": 3,
        "coverage": [],
        "accounts": [],
        "balances": [],
        "totals": [],
        "warnings": [],
        "errors": [{"code": "config.file", "message": "config.toml: is not there"}],
    }
    assert json.dumps(expected) == json.dumps(parsed(report))


def test_no_profile_is_null() -> None:
    """A run without a profile has the key, and null under it."""
    assert None is parsed(failed(None, ConfigFileError("gone")))["profile"]


def test_a_complete_run_says_so() -> None:
    """With every account answered, `complete` is true, each total a number, and `missing` empty."""
    report = build("main", [answered("loopring", row("ETH", parse("1.50"), parse("1"), parse("5e-1")))])
    total = {
        "asset": "ETH",
        "total": "1.5",
        "available": "1",
        "locked": "0.5",
        "known": {"total": "1.5", "available": "1", "locked": "0.5"},
        "missing": [],
    }
    made = parsed(report)
    assert (True, [total]) == (made["complete"], made["totals"])


def test_an_unknown_amount_is_null() -> None:
    """An amount that is not known has its key and null, in the row, in the total and in what is known of it."""
    made = parsed(build("main", [answered("loopring", row("ETH", parse("1"), None, parse("0")))]))
    total = {
        "asset": "ETH",
        "total": "1",
        "available": None,
        "locked": "0",
        "known": {"total": "1", "available": None, "locked": "0"},
        "missing": ["loopring"],
    }
    (balance,) = made["balances"]
    assert (["1", None, "0"], [total]) == (
        [balance["total"], balance["available"], balance["locked"]],
        made["totals"],
    )


def test_known_is_null_where_nothing_is_known() -> None:
    """Where no account knows any amount of an asset, there is no sum of what is known either."""
    made = parsed(build("main", [answered("loopring", row("ETH"))]))
    assert [None] == [total["known"] for total in made["totals"]]


def test_details_are_amounts_words_flags_and_addresses() -> None:
    """A detail keeps its kind: amounts are text, flags are true or false, unknown is null, addresses objects."""
    details: dict[str, Any] = {
        "hold": parse("1.20"),
        "aml_lock": None,
        "can_deposit": False,
        "asset_name": "Tether",
        "deposit_addresses": (
            DepositAddress("TRON", "T-1", None),
            DepositAddress("TON", None, "77"),
        ),
    }
    balance = row("USDT")._replace(details=details, raw={"balance": "1.20", "holdBalance": None})
    (made,) = parsed(build("main", [answered("loopring", balance)]))["balances"]
    expected = {
        "hold": "1.2",
        "aml_lock": None,
        "can_deposit": False,
        "asset_name": "Tether",
        "deposit_addresses": [
            {"network": "TRON", "address": "T-1", "memo": None},
            {"network": "TON", "address": None, "memo": "77"},
        ],
    }
    assert json.dumps([expected, {"balance": "1.20", "holdBalance": None}]) == json.dumps(
        [made["details"], made["raw"]]
    )


def test_no_deposit_addresses_are_an_empty_list() -> None:
    """A wallet without addresses has the list, with nothing in it."""
    balance = row("USDT")._replace(details={"deposit_addresses": ()})
    (made,) = parsed(build("main", [answered("loopring", balance)]))["balances"]
    assert {"deposit_addresses": []} == made["details"]


@pytest.mark.parametrize("hidden", [1, 2])
def test_rows_that_nonzero_hides_are_told_as_a_warning(hidden: int) -> None:
    """Rows of zeros that were left out on request are counted in one warning about the run."""
    zero = parse("0")
    rows = [row(f"ZERO{number}", zero, zero, zero) for number in range(hidden)]
    made = parsed(
        without_zeros(build("main", [answered("loopring", row("ETH", parse("1"), zero, zero), *rows)]))
    )
    told = [
        (warning["code"], warning["account"], str(hidden) in warning["message"])
        for warning in made["warnings"]
    ]
    assert (["ETH"], [("rows.hidden", None, True)]) == (
        [balance["asset"] for balance in made["balances"]],
        told,
    )


def test_nothing_hidden_is_nothing_told() -> None:
    """Without rows left out, nothing is said about any."""
    made = parsed(without_zeros(build("main", [answered("loopring", row("ETH", parse("1")))])))
    assert [] == made["warnings"]


def test_the_text_is_one_document_and_one_final_line_break() -> None:
    """The text ends with the document's brace and one line break."""
    text = machine("json", example())
    assert ("}\n", text) == (text[-2:], text.rstrip() + "\n")


def written(units: int, places: int) -> str:
    """The oracle's own way to write units of ten to the power of minus places."""
    digits = str(abs(units)).zfill(places + 1)
    whole, fraction = digits[: len(digits) - places], digits[len(digits) - places :].rstrip("0")
    text = f"{whole}.{fraction}" if fraction else whole
    return f"-{text}" if units < 0 else text


UNITS = st.one_of(st.integers(-(10**60), 10**60), st.integers(-10, 10))
PARTS = st.one_of(st.none(), st.tuples(UNITS, st.integers(0, 77)))


@SOME
@given(st.lists(st.tuples(PARTS, PARTS, PARTS), min_size=1, max_size=4))
def test_every_amount_is_a_canonical_text_or_null(rows: list[tuple[tuple[int, int] | None, ...]]) -> None:
    """Any amount is a string in the contract's canonical form with its exact value; unknown is null."""
    balances = [
        row(f"ASSET{number}", *(None if part is None else Amount(*part) for part in parts))
        for number, parts in enumerate(rows)
    ]
    made = parsed(build("main", [answered("loopring", *balances)]))
    actual = [[entry["total"], entry["available"], entry["locked"]] for entry in made["balances"]]
    expected = [[None if part is None else written(*part) for part in parts] for parts in rows]
    odd = [text for texts in actual for text in texts if text is not None and not CANONICAL.fullmatch(text)]
    sums = [[entry["total"], entry["available"], entry["locked"]] for entry in made["totals"]]
    assert (expected, expected, []) == (actual, sums, odd)


@SOME
@given(st.text(), st.text(), st.text(), st.text(), st.text())
def test_any_name_travels_in_ascii_and_comes_back_whole(
    name: str, asset: str, target: str, message: str, memo: str
) -> None:
    """Names and messages of any script, with controls and markup, are ASCII in the text and themselves to a reader."""
    balance = row(asset)._replace(
        account=name, details={"deposit_addresses": (DepositAddress("net", None, memo),)}
    )
    outcomes = [
        Outcome(
            account(name, target=target), Holdings((balance,), (Notice("code", name, message),)), MOMENT, None
        ),
        Outcome(
            account("b"),
            None,
            None,
            Failure("answer.json", message, retryable=False, http_status=200, exit_code=6),
        ),
    ]
    report = build(name, outcomes)
    made = parsed(report)
    assert (True, [name, name, asset, target, message, message, memo]) == (
        machine("json", report).isascii(),
        [
            made["profile"],
            made["accounts"][0]["account"],
            made["balances"][0]["asset"],
            made["accounts"][0]["target"]["target"],
            made["warnings"][0]["message"],
            made["accounts"][1]["error"]["message"],
            made["balances"][0]["details"]["deposit_addresses"][0]["memo"],
        ],
    )
