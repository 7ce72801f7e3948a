"""From outcomes to the report: order, sums, omissions and the exit code."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balcli.errors import ConfigFileError, CredentialsRefused
from balcli.models import Account, Amounts, Balance, Failure, Holdings, Notice, Outcome, Report, Total
from balcli.money import Amount, parse
from balcli.report import arranged, build, failed, without_zeros
from balcli.settings import Order
from tests.generated import examples
from tests.lists import each_case

SOME = examples(300)

NOON = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)

# The oracle's amounts: whole numbers of the smallest unit that the strategies below make.
PLACES = 30

StandIn: TypeAlias = "int | None"
Row: TypeAlias = "tuple[str, StandIn, StandIn, StandIn]"
"""An asset and its total, available and locked amounts in units of ten to the power of -PLACES."""


def account(name: str, *, part_of: str | None = None, aggregate_of: str | None = None) -> Account[object]:
    """An account of that name."""
    return Account(
        name=name,
        provider="merchant",
        base_url="https://merchant.example",
        target={"merchant_id": "1"},
        identity=(name,),
        settings=None,
        part_of=part_of,
        aggregate_of=aggregate_of,
    )


def amount(text: str | None) -> Amount | None:
    """The amount of a text, unknown of none."""
    return None if text is None else parse(text)


def balance(
    asset: str,
    total: str | None,
    available: str | None = "0",
    locked: str | None = "0",
    *,
    of: str = "shop",
    asset_id: str | None = None,
    details: dict[str, Amount | str | bool | None] | None = None,
    counted: bool = True,
) -> Balance:
    """A row with these amounts."""
    return Balance(
        account=of,
        provider="merchant",
        asset=asset,
        asset_id=asset_id,
        total=amount(total),
        available=amount(available),
        locked=amount(locked),
        details=details or {},
        counted=counted,
    )


def answered(who: Account[object] | str, *balances: Balance, notices: Sequence[Notice] = ()) -> Outcome:
    """An account that answered with these rows."""
    asked = account(who) if isinstance(who, str) else who
    return Outcome(asked, Holdings(balances, tuple(notices)), NOON, None)


def owned(name: str, owner: str | None, *balances: Balance, base_url: str = "https://m.example") -> Outcome:
    """An account that answered with these rows, and said whose they are."""
    return Outcome(account(name)._replace(base_url=base_url), Holdings(balances, (), owner), NOON, None)


def refused(who: Account[object] | str, exit_code: int = 5) -> Outcome:
    """An account that failed."""
    asked = account(who) if isinstance(who, str) else who
    return Outcome(
        asked,
        None,
        None,
        Failure("network.dns", "no address", retryable=True, http_status=None, exit_code=exit_code),
    )


def texts(parts: Amounts) -> list[str | None]:
    """The three amounts as they are printed."""
    return [None if part is None else str(part) for part in (parts.total, parts.available, parts.locked)]


def sums(report: Report) -> dict[str, tuple[list[str | None], list[str | None], list[str]]]:
    """The totals of a report: by asset the sums, what is known and who is missing."""
    return {
        total.asset: (texts(total.amounts), texts(total.known), list(total.missing))
        for total in report.totals
    }


def codes(report: Report) -> list[tuple[str, str | None]]:
    """The code and account of each notice."""
    return [(notice.code, notice.account) for notice in report.notices]


def written(units: StandIn) -> str | None:
    """The oracle's own way to write an amount: the digits with a point among them."""
    if units is None:
        return None
    digits = str(abs(units)).zfill(PLACES + 1)
    text = f"{digits[:-PLACES]}.{digits[-PLACES:]}".rstrip("0").rstrip(".")
    return f"-{text}" if units < 0 else text


PARTS = st.one_of(st.none(), st.integers(-(10**50), 10**50), st.integers(-3, 3))
ROWS = st.lists(
    st.tuples(st.sampled_from(["ETH", "USDT", "SNX#24", "SNX#173"]), PARTS, PARTS, PARTS), max_size=5
)
ANSWERS = st.lists(st.one_of(ROWS, ROWS, ROWS, st.none()), min_size=1, max_size=5)
"""What each account of a run answers: its rows, or nothing."""


def of_row(name: str, row: Row) -> Balance:
    """The balance of an account that a row stands for."""
    asset, *parts = row
    total, available, locked = (None if part is None else Amount(int(part), PLACES) for part in parts)
    return Balance(name, "merchant", asset, None, total, available, locked)


def added(rows: Sequence[StandIn]) -> StandIn:
    """The sum of what is known, unknown of nothing."""
    known = [part for part in rows if part is not None]
    return sum(known) if known else None


@SOME
@given(ANSWERS)
def test_totals_agree_with_the_oracle(answers: list[list[Row] | None]) -> None:
    """Each sum is exact, a number only where all is known, and names every account that lacks."""
    names = [f"account {number}" for number in range(len(answers))]
    outcomes = [
        refused(name) if rows is None else answered(name, *(of_row(name, row) for row in rows))
        for name, rows in zip(names, answers, strict=True)
    ]
    expected = {}
    for asset in sorted({row[0] for rows in answers for row in rows or ()}):
        mine = [
            (name, row)
            for name, rows in zip(names, answers, strict=True)
            for row in rows or ()
            if row[0] == asset
        ]
        columns = [[row[part] for _, row in mine] for part in (1, 2, 3)]
        known = [added([part for part in column if isinstance(part, int)]) for column in columns]
        whole = [
            None if None in answers or None in column else value
            for column, value in zip(columns, known, strict=True)
        ]
        lacking = [
            name
            for name, rows in zip(names, answers, strict=True)
            if rows is None or any(row[0] == asset and None in row for row in rows)
        ]
        expected[asset] = ([written(v) for v in whole], [written(v) for v in known], lacking)
    actual = sums(build("main", outcomes))
    assert (expected, list(expected)) == (actual, list(actual))


def test_a_complete_total_is_the_exact_sum() -> None:
    """With every account answered, an asset's total is the sum to the last digit, and nobody is missing."""
    report = build(
        "main",
        [
            answered("a", balance("ETH", "1e12", "1e12", "0", of="a")),
            answered("b", balance("ETH", "1e-18", "1e-18", "-0", of="b")),
        ],
    )
    whole: list[str | None] = ["1000000000000.000000000000000001", "1000000000000.000000000000000001", "0"]
    assert {"ETH": (whole, whole, [])} == sums(report)


def test_a_failed_account_leaves_no_total_a_number() -> None:
    """When an account fails, every total is unknown, what is known stands beside it, and the account is named."""
    report = build("main", [answered("a", balance("ETH", "2", "1", "1")), refused("b")])
    assert {"ETH": ([None, None, None], ["2", "1", "1"], ["b"])} == sums(report)


def test_an_unknown_part_makes_that_part_of_the_total_unknown() -> None:
    """One unknown amount leaves the other two amounts of the total numbers, and names its account."""
    report = build(
        "main",
        [
            answered("a", balance("ETH", "2", "1", "1", of="a")),
            answered("b", balance("ETH", "3", "3", None, of="b")),
        ],
    )
    assert {"ETH": (["5", "4", None], ["5", "4", "1"], ["b"])} == sums(report)


def test_nothing_known_is_not_zero() -> None:
    """The sum of amounts that are all unknown is unknown, also as what is known."""
    report = build("main", [answered("a", balance("ETH", None, None, None, of="a"))])
    assert {"ETH": ([None, None, None], [None, None, None], ["a"])} == sums(report)


def test_an_account_without_the_asset_lacks_nothing() -> None:
    """An account that answered and holds none of an asset leaves that asset's total complete."""
    report = build("main", [answered("a", balance("ETH", "2", "2", of="a")), answered("b")])
    assert {"ETH": (["2", "2", "0"], ["2", "2", "0"], [])} == sums(report)


def test_missing_accounts_stand_in_the_order_of_the_run() -> None:
    """Those who lack are listed once each, as the profile orders them, whatever they lack."""
    report = build(
        "main",
        [
            refused("z"),
            answered("m", balance("ETH", None, None, "1", of="m")),
            answered("k", balance("ETH", "1", of="k")),
            refused("a"),
        ],
    )
    assert [("z", "m", "a")] == [total.missing for total in report.totals]


def test_all_failed_is_no_total_at_all() -> None:
    """When nobody answered, there is no totals, and nothing is said to be 0."""
    report = build("main", [refused("a"), refused("b")])
    assert ((), (), False) == (report.balances, report.totals, report.complete)


def test_assets_are_never_added_to_each_other() -> None:
    """Two labels of one symbol have a total each."""
    report = build("main", [answered("a", balance("SNX#24", "1", of="a"), balance("SNX#173", "2", of="a"))])
    assert ["1", "2"] == [sums(report)[asset][0][0] for asset in ("SNX#24", "SNX#173")]


def test_what_does_not_count_is_shown_and_not_added() -> None:
    """A row that is in no total, such as an NFT or a token of unknown unit, is listed and makes no totals row."""
    rows = [
        balance("nft:7", "1", of="a", counted=False),
        balance("#99", None, None, None, of="a", counted=False),
    ]
    report = build("main", [answered("a", *rows)])
    assert ({"nft:7", "#99"}, ()) == ({row.asset for row in report.balances}, report.totals)


def test_an_aggregate_is_left_out_beside_its_parts() -> None:
    """All merchants together are shown and warned of, and not added to the merchants that they sum up."""
    report = build(
        "main",
        [
            answered(account("all", aggregate_of="key"), balance("USDT", "3", "3", of="all")),
            answered(account("one", part_of="key"), balance("USDT", "1", "1", of="one")),
            answered(account("two", part_of="key"), balance("USDT", "2", "2", of="two")),
        ],
    )
    assert (
        ["all", "one", "two"],
        {"USDT": (["3", "3", "0"], ["3", "3", "0"], [])},
        [("total.aggregate_left_out", "all")],
    ) == ([row.account for row in report.balances], sums(report), codes(report))


@pytest.mark.parametrize("part_of", [None, "another key"])
def test_an_aggregate_counts_without_its_parts(part_of: str | None) -> None:
    """All merchants together are added to accounts that they do not sum up, without a warning."""
    report = build(
        "main",
        [
            answered(account("all", aggregate_of="key"), balance("USDT", "3", "3", of="all")),
            answered(account("one", part_of=part_of), balance("USDT", "1", "1", of="one")),
        ],
    )
    assert ({"USDT": (["4", "4", "0"], ["4", "4", "0"], [])}, []) == (sums(report), codes(report))


def test_what_an_aggregate_does_not_know_leaves_the_total_whole() -> None:
    """An unknown amount of an account that is left out of the totals makes none of them unknown."""
    report = build(
        "main",
        [
            answered(account("all", aggregate_of="key"), balance("USDT", None, None, None, of="all")),
            answered(account("one", part_of="key"), balance("USDT", "1", "1", of="one")),
        ],
    )
    assert {"USDT": (["1", "1", "0"], ["1", "1", "0"], [])} == sums(report)


def test_a_failed_aggregate_leaves_the_total_open() -> None:
    """A total is a number only if every account of the run answered, an aggregate included."""
    report = build(
        "main",
        [
            refused(account("all", aggregate_of="key")),
            answered(account("one", part_of="key"), balance("USDT", "1", "1", of="one")),
        ],
    )
    assert {"USDT": ([None, None, None], ["1", "1", "0"], ["all"])} == sums(report)


def test_an_account_that_is_in_the_run_already_counts_once() -> None:
    """Accounts that turn out to be one are all shown; the first counts, and each other is warned of, by name."""
    report = build(
        "main",
        [owned(name, "0xabc", balance("ETH", "2", "2", of=name)) for name in ("m", "z", "a")],
    )
    assert (
        ["m", "z", "a"],
        {"ETH": (["2", "2", "0"], ["2", "2", "0"], [])},
        [("account.repeated", "a"), ("account.repeated", "z")],
    ) == ([row.account for row in report.balances], sums(report), codes(report))


def test_only_what_is_known_to_be_one_account_counts_once() -> None:
    """Another owner, another host, or none that is known: such accounts are added, without a warning."""
    report = build(
        "main",
        [
            owned("a", "0xabc", balance("ETH", "1", of="a")),
            owned("b", "0xdef", balance("ETH", "2", of="b")),
            owned("c", "0xabc", balance("ETH", "4", of="c"), base_url="https://other.example"),
            owned("d", None, balance("ETH", "8", of="d")),
            owned("e", None, balance("ETH", "16", of="e")),
            refused("f", 5),
        ],
    )
    assert ({"ETH": ([None, None, None], ["31", "0", "0"], ["f"])}, []) == (sums(report), codes(report))


def test_an_aggregate_that_is_in_the_run_twice_is_left_out_of_the_totals() -> None:
    """What is left out for two reasons is left out, and both are told."""
    outcomes = [
        owned("one", "7", balance("USDT", "1", "1", of="one")),
        owned("all", "7", balance("USDT", "3", "3", of="all")),
    ]
    outcomes[0] = outcomes[0]._replace(account=outcomes[0].account._replace(part_of="key"))
    outcomes[1] = outcomes[1]._replace(account=outcomes[1].account._replace(aggregate_of="key"))
    report = build("main", outcomes)
    assert (
        {"USDT": (["1", "1", "0"], ["1", "1", "0"], [])},
        [("total.aggregate_left_out", "all"), ("account.repeated", "all")],
    ) == (sums(report), codes(report))


def test_accounts_that_are_all_part_of_something_count() -> None:
    """Parts without their aggregate are added up like any accounts."""
    report = build(
        "main",
        [
            answered(account(name, part_of="key"), balance("USDT", "1", "1", of=name))
            for name in ("one", "two")
        ],
    )
    assert ({"USDT": (["2", "2", "0"], ["2", "2", "0"], [])}, []) == (sums(report), codes(report))


def test_a_currency_of_several_merchants_is_no_repetition() -> None:
    """An aggregate's rows of one currency are of a merchant each: nothing to warn of, and all are added."""
    rows = [balance("USDT", "1", "1", of="all", details={"merchant_id": name}) for name in ("1", "2")]
    report = build("main", [answered("all", *rows)])
    assert ({"USDT": (["2", "2", "0"], ["2", "2", "0"], [])}, []) == (sums(report), codes(report))


def test_a_row_without_an_id_stands_first() -> None:
    """Of rows of one asset, one without an id comes before those that have one."""
    rows = [balance("ETH", "1", of="a", asset_id="1"), balance("ETH", "1", of="a")]
    report = build("main", [answered("a", *rows)])
    assert [None, "1"] == [row.asset_id for row in report.balances]


def test_a_repeated_asset_is_two_rows_one_warning_and_both_added() -> None:
    """An asset that one answer lists twice is shown twice, warned of once, and both rows are in the total."""
    report = build(
        "main",
        [
            answered(
                "a",
                balance("USDT", "1", "1", of="a", asset_id="7"),
                balance("USDT", "2", "2", of="a", asset_id="7"),
            )
        ],
    )
    assert (
        ["USDT", "USDT"],
        [("asset.repeated", "a")],
        {"USDT": (["3", "3", "0"], ["3", "3", "0"], [])},
    ) == ([row.asset for row in report.balances], codes(report), sums(report))


def test_the_same_asset_in_two_accounts_is_no_repetition() -> None:
    """Two accounts that hold one asset are nothing to warn of."""
    report = build(
        "main", [answered("a", balance("USDT", "1", of="a")), answered("b", balance("USDT", "2", of="b"))]
    )
    assert [] == codes(report)


@pytest.mark.parametrize(
    "outcomes",
    [
        [answered("a", *[balance("#99", None, None, None, of="a", asset_id="99", counted=False)] * 2)],
        [
            answered(account("a", aggregate_of="key"), *[balance("USDT", "1", of="a")] * 2),
            answered(account("b", part_of="key")),
        ],
    ],
    ids=["of unknown unit", "of an aggregate"],
)
def test_a_repetition_outside_the_totals_is_not_said_to_be_in_them(outcomes: list[Outcome]) -> None:
    """The warning about repeated rows that no total counts does not claim that the totals hold them."""
    report = build("main", outcomes)
    told = [notice.message for notice in report.notices if notice.code == "asset.repeated"]
    assert ([False], ()) == (["all are in the totals" in message for message in told], report.totals)


def test_order_is_that_of_the_profile_then_of_the_assets() -> None:
    """Accounts stay as given, balances follow them and are sorted by asset and id, totals by asset."""
    report = build(
        "main",
        [
            answered(
                "z", balance("USDT", "1", of="z"), balance("BTC", "1", of="z"), balance("ETH", "1", of="z")
            ),
            refused("m"),
            answered(
                "a", balance("ETH", "1", of="a", asset_id="2"), balance("ETH", "1", of="a", asset_id="1")
            ),
        ],
    )
    assert (
        ["z", "m", "a"],
        [("z", "BTC", None), ("z", "ETH", None), ("z", "USDT", None), ("a", "ETH", "1"), ("a", "ETH", "2")],
        ["BTC", "ETH", "USDT"],
    ) == (
        [outcome.account.name for outcome in report.outcomes],
        [(row.account, row.asset, row.asset_id) for row in report.balances],
        [total.asset for total in report.totals],
    )


def test_all_notices_reach_the_report() -> None:
    """What the profile and each account's provider have to say is kept, the run's own before the accounts'."""
    report = build(
        "main",
        [
            answered("a", notices=[Notice("asset.unknown", "a", "token")]),
            answered("b", notices=[Notice("asset.unlisted", "b", "none")]),
        ],
        [Notice("env.ignored", None, "name")],
    )
    assert [("env.ignored", None), ("asset.unknown", "a"), ("asset.unlisted", "b")] == codes(report)


NONZERO_ROWS = [
    (balance("A", "0", "0", "0"), False),
    (balance("B", "0.000", "-0", "0e5"), False),
    (balance("C", "1e-18", "0", "0"), True),
    (balance("D", "-1", "0", "-1"), True),
    (balance("E", "0", "1", "-1"), True),
    (balance("F", "0", "0", None), True),
    (balance("G", None, None, None), True),
    (balance("H", "0", "0", "0", details={"pending_deposit": parse("1")}), True),
    (balance("I", "0", "0", "0", details={"pending_deposit": parse("0"), "asset_name": "Eye"}), False),
    (balance("J", "0", "0", "0", details={"referral": None, "can_deposit": True}), False),
    (balance("K", "0", "0", "0", details={"hold": parse("-2")}), True),
]


@each_case(("row", "shown"), NONZERO_ROWS, ids=[row.asset for row, _ in NONZERO_ROWS])
def test_nonzero_hides_only_what_is_known_to_be_zero(row: Balance, shown: bool) -> None:
    """A row is hidden if each of its amounts, details included, is exactly 0; unknown and negative ones stay."""
    report = without_zeros(build("main", [answered("shop", row)]))
    assert ([row] if shown else [], 0 if shown else 1) == (list(report.balances), report.hidden)


def test_nonzero_hides_totals_of_zero_and_counts_rows() -> None:
    """Totals of 0 are hidden too, also where their rows are not 0; the count is that of the rows."""
    outcomes = [
        answered(
            "a", balance("ETH", "0", of="a"), balance("USDT", "5", "5", of="a"), balance("BTC", "0", of="a")
        ),
        answered(
            "b", balance("ETH", "0", of="b"), balance("USDT", "-5", "-5", of="b"), balance("BTC", "1", of="b")
        ),
    ]
    report = without_zeros(build("main", outcomes))
    assert ([("a", "USDT"), ("b", "BTC"), ("b", "USDT")], ["BTC"], 3) == (
        [(row.account, row.asset) for row in report.balances],
        [total.asset for total in report.totals],
        report.hidden,
    )


def test_nonzero_keeps_a_total_that_is_not_known() -> None:
    """A total that lacks an account is not known to be 0, and stays."""
    report = without_zeros(build("main", [answered("a", balance("ETH", "0", of="a")), refused("b")]))
    assert ["ETH"] == [total.asset for total in report.totals]


def test_zeros_are_shown_unless_asked_otherwise() -> None:
    """Without the option nothing is hidden."""
    report = build("main", [answered("a", balance("ETH", "0", of="a"))])
    assert (["ETH"], ["ETH"], 0) == (
        [row.asset for row in report.balances],
        [total.asset for total in report.totals],
        report.hidden,
    )


@each_case(
    ("exit_codes", "expected"),
    [
        ([0], 0),
        ([0, 0, 0], 0),
        ([4], 4),
        ([7], 7),
        ([6, 5, 7], 5),
        ([7, 4], 4),
        ([5, 5], 5),
        ([0, 5], 8),
        ([4, 0], 8),
        ([7, 6, 0, 4], 8),
        ([6] * 300, 6),
        ([6] * 299 + [0], 8),
    ],
)
def test_the_exit_code_is_that_of_the_contract(exit_codes: list[int], expected: int) -> None:
    """All answered is 0, some failed is 8, all failed is the lowest of their codes; only 0 is complete."""
    outcomes = [
        refused(f"account {number}", code) if code else answered(f"account {number}")
        for number, code in enumerate(exit_codes)
    ]
    report = build("main", outcomes)
    assert (expected, expected == 0) == (report.exit_code, report.complete)


def test_hidden_rows_and_unknown_amounts_leave_a_run_complete() -> None:
    """A run is complete if every account answered, whatever their amounts are."""
    outcomes = [answered("a", balance("ETH", "0", of="a"), balance("BTC", None, of="a"))]
    report = without_zeros(build("main", outcomes))
    assert (0, True) == (report.exit_code, report.complete)


def test_a_run_that_fails_before_any_request_is_a_report_too() -> None:
    """A run-level error is the report's only content, and gives the exit code."""
    report = failed("main", ConfigFileError("config.toml: is not there"))
    expected = Failure(
        "config.file", "config.toml: is not there", retryable=False, http_status=None, exit_code=3
    )
    assert ("main", (expected,), (), (), (), 3, False) == (
        report.profile,
        report.failures,
        report.outcomes,
        report.balances,
        report.totals,
        report.exit_code,
        report.complete,
    )


def test_a_failure_carries_what_the_error_knew() -> None:
    """An account's failure has the error's stable code, its words, its status and whether to try again."""
    expected = Failure("credentials.refused", "refused", retryable=False, http_status=401, exit_code=4)
    assert expected == Failure.from_error(CredentialsRefused("refused", http_status=401))


@pytest.mark.parametrize(
    "report", [build(None, []), failed(None, ConfigFileError("gone"))], ids=["built", "failed"]
)
def test_the_time_of_a_report_is_in_utc(report: Report) -> None:
    """A report says when it was made, in universal time."""
    assert timedelta(0) == report.generated_at.utcoffset()


def test_a_total_is_the_value_that_it_says() -> None:
    """A total holds amounts, not their texts: its sums can be compared with limits."""
    report = build("main", [answered("a", balance("ETH", "1.50", "1.5", "0", of="a"))])
    parts = Amounts(parse("1.5"), parse("1.5"), parse("0"))
    assert (Total("ETH", parts, parts, ()),) == report.totals


def rows(report: Report) -> list[tuple[str, str]]:
    """Who holds what, in the report's order."""
    return [(balance.account, balance.asset) for balance in report.balances]


def two_accounts() -> Report:
    """A run of two accounts whose names, assets and amounts are each in another order."""
    return build(
        "main",
        [
            answered(
                "b", balance("ETH", "2", of="b"), balance("BTC", "10", of="b"), balance("ZZZ", "-3", of="b")
            ),
            answered(
                "a", balance("ETH", None, of="a"), balance("BTC", "9.99", of="a"), balance("NIL", "0", of="a")
            ),
        ],
    )


@each_case(
    ("order", "expected"),
    [
        (None, ["b BTC", "b ETH", "b ZZZ", "a BTC", "a ETH", "a NIL"]),
        ("asset", ["b BTC", "a BTC", "b ETH", "a ETH", "a NIL", "b ZZZ"]),
        ("account", ["a BTC", "a ETH", "a NIL", "b BTC", "b ETH", "b ZZZ"]),
        ("total", ["b BTC", "a BTC", "b ETH", "a NIL", "b ZZZ", "a ETH"]),
    ],
)
def test_rows_are_sorted_on_request(order: Order | None, expected: list[str]) -> None:
    """Rows are sorted by asset, by account, or from the largest total down with the unknown last; else as they were."""
    assert expected == [f"{who} {what}" for who, what in rows(arranged(two_accounts(), order))]


def test_accounts_and_totals_are_sorted_with_the_rows() -> None:
    """By account, the accounts are sorted; by total, the totals are, the one that is not known last."""
    by_account, by_total = arranged(two_accounts(), "account"), arranged(two_accounts(), "total")
    assert ["a", "b"] == [outcome.account.name for outcome in by_account.outcomes]
    assert ["b", "a"] == [outcome.account.name for outcome in by_total.outcomes]
    assert ["BTC", "NIL", "ZZZ", "ETH"] == [total.asset for total in by_total.totals]


def test_rows_that_are_alike_stay_in_their_order() -> None:
    """What has one account and asset, or one total, stays as the provider sent it, in every order."""
    held = [balance("ETH", "2"), balance("ETH", "1"), balance("ETH", "1")._replace(locked=None)]
    expected = build("main", [answered("shop", *held)]).balances
    assert tuple(held) == expected
    for order in ("account", "asset", "total"):
        assert expected == arranged(build("main", [answered("shop", *held)]), order).balances


@SOME
@given(st.lists(st.tuples(st.integers(-(10**40), 10**40), st.integers(0, 30))))
def test_the_sort_by_total_is_exact(amounts: list[tuple[int, int]]) -> None:
    """Amounts of any length and scale stand in the order of their exact values."""
    held = [balance(f"A{number}", None)._replace(total=Amount(*a)) for number, a in enumerate(amounts)]
    made = arranged(build("main", [answered("shop", *held)]), "total")
    common = [b.total.units * 10 ** (30 - b.total.places) for b in made.balances if b.total is not None]
    assert sorted(common, reverse=True) == common


@pytest.mark.parametrize("nonzero", [False, True])
def test_totals_only_leaves_out_every_row_and_says_how_many(nonzero: bool) -> None:
    """Without rows, the totals are the same, and a warning counts the rows, hidden ones included."""
    whole = without_zeros(two_accounts()) if nonzero else two_accounts()
    made = arranged(whole, totals_only=True)
    hidden = [("rows.hidden", "1 total of 0 is hidden (--nonzero)")] if nonzero else []
    assert ((), whole.totals, whole.outcomes, whole.exit_code) == (
        made.balances,
        made.totals,
        made.outcomes,
        made.exit_code,
    )
    assert [*hidden, ("rows.left_out", "6 rows are left out (--totals-only)")] == [
        (warning.code, warning.message) for warning in made.warnings
    ]


def test_a_total_of_zero_that_is_hidden_is_told() -> None:
    """A total that is 0 because its parts cancel out is told where it is hidden, though no row is."""
    outcomes = [answered("a", balance("ETH", "5", of="a")), answered("b", balance("ETH", "-5", of="b"))]
    report = without_zeros(build("main", outcomes))
    assert ([], ["1 total of 0 is hidden (--nonzero)"]) == (
        [total.asset for total in report.totals],
        [warning.message for warning in report.warnings],
    )


def test_names_that_differ_in_ascii_case_are_told_once_for_the_run() -> None:
    """Over all accounts, one warning for each set of such names; letters outside ASCII have no case here."""
    names = ["USDT", "usdt", "Usdt", "BTC", "\u00c9", "\u00e9", "S", "\u017f"]
    outcomes = [answered(f"a{n}", balance(name, "1", of=f"a{n}")) for n, name in enumerate(names)]
    report = build("main", outcomes)
    assert [("asset.case", None)] == codes(report)
    assert report.notices[0].message.startswith("USDT, Usdt, usdt differ only in case")
    assert sorted(names) == [total.asset for total in report.totals]


def test_a_repetition_is_seen_whatever_the_ids() -> None:
    """One symbol under two ids, or with and without one, is told as one that stands twice."""
    for ids in (("1", "2"), ("1", None), (None, None), ("1", "1")):
        rows = [balance("USDT", "1", of="a", asset_id=each) for each in ids]
        report = build("main", [answered("a", *rows)])
        assert ([("asset.repeated", "a")], "2") == (codes(report), str(report.totals[0].amounts.total))
        assert ("under the ids 1, 2" in report.notices[0].message) is (ids == ("1", "2"))


WHOLE = "is in this run twice, under two names, so it is not in the totals; remove one"
PARTLY = "is the same account as first, so assets of both count once in the totals"


def left_out(asset: str) -> str:
    """What is said of a row that an earlier account lists, too."""
    return f"{asset} is already listed under the other account name, so this row is not in the totals"


@each_case(
    ("filters", "rows", "added", "messages"),
    [
        (((), ()), ("ETH", "LRC"), {"ETH": "1", "LRC": "1"}, [WHOLE]),
        ((("ETH",), ("ETH",)), ("ETH", "LRC"), {"ETH": "1", "LRC": "1"}, [WHOLE]),
        ((("ETH",), ("LRC",)), ("ETH",), {"ETH": "1", "LRC": "1"}, [PARTLY, left_out("ETH")]),
        ((("ETH",), ("BTC",)), ("ETH",), {"ETH": "1", "LRC": "1"}, [PARTLY, left_out("ETH")]),
        (
            ((), ("ETH",)),
            ("ETH", "LRC"),
            {"ETH": "1", "LRC": "1"},
            [PARTLY, left_out("ETH"), left_out("LRC")],
        ),
        (((), ()), ("ETH", "BTC"), {"BTC": "1", "ETH": "1", "LRC": "1"}, [PARTLY, left_out("ETH")]),
        (((), ()), ("BTC",), {"BTC": "1", "ETH": "1", "LRC": "1"}, [PARTLY]),
        (((), ()), (), {"ETH": "1", "LRC": "1"}, [WHOLE]),
    ],
    ids=str,
)
def test_a_second_name_of_an_account_adds_only_what_the_first_does_not_list(
    filters: tuple[tuple[str, ...], tuple[str, ...]],
    rows: tuple[str, ...],
    added: dict[str, str],
    messages: list[str],
) -> None:
    """Each asset of one account counts once, and rows that are left out are named where the two were asked differently."""
    outcomes = [
        refused("broken"),
        owned("unknown", None),
        owned("first", "0xabc", *(balance(asset, "1", of="first") for asset in ("ETH", "LRC"))),
        owned("second", "0xabc", *(balance(asset, "1", of="second") for asset in rows)),
    ]
    for number, assets in zip((2, 3), filters, strict=True):
        outcomes[number] = outcomes[number]._replace(
            account=outcomes[number].account._replace(assets=(*assets,))
        )
    report = build("main", outcomes)
    assert added == {total.asset: str(total.known.total) for total in report.totals}
    assert [("account.repeated", "second", message) for message in messages] == [*report.notices]


@each_case(
    ("first", "second", "total"),
    [
        (("ETH", "1"), ("Ether", "1"), {"ETH": "1"}),  # one id: one asset, whatever its name
        (("ETH", "1"), ("ETH", "2"), {"ETH": "2"}),
        (("ETH", None), ("ETH", None), {"ETH": "1"}),
        (("ETH", None), ("LRC", None), {"ETH": "1", "LRC": "1"}),
        (("ETH", None), ("LRC", "5"), {"ETH": "1", "LRC": "1"}),
        (("ETH", "1"), ("LRC", None), {"ETH": "1", "LRC": "1"}),
        (("#5", None), ("ETH", "5"), {"#5": "1"}),  # a token that was known by its id alone
    ],
    ids=str,
)
def test_an_asset_of_an_account_is_known_by_its_id(
    first: tuple[str, str | None], second: tuple[str, str | None], total: dict[str, str]
) -> None:
    """Under two names of one account, rows are one asset by the id, and by the name where there is none."""
    outcomes = [
        owned(name, "0xabc", balance(asset, "1", of=name, asset_id=number))
        for name, (asset, number) in (("a", first), ("b", second))
    ]
    assert total == {
        each.asset: str(each.amounts.total) for each in build("main", outcomes).totals if each.amounts.total
    }


def test_second_names_are_told_in_the_order_of_the_accounts_names() -> None:
    """Whatever the profile's order, notices on accounts stand by their names."""
    names = ("first", "z", "b", "a")
    outcomes = [owned(name, "0xabc", balance("ETH", "1", of=name)) for name in names]
    assert ["a", "b", "z"] == [notice.account for notice in build("main", outcomes).notices]


@each_case(
    ("rows", "message"),
    [
        ([("1", None), ("2", None)], None),
        ([("1", "fiat"), ("2", "fiat")], None),
        ([("1", "fiat"), ("1", "fiat")], "USD occurs 2 times in the response; all rows are in the totals"),
        ([("1", "fiat"), ("2", None)], "USD occurs 2 times in the response; all rows are in the totals"),
        (
            [("1", None), ("2", None), ("2", None)],
            "USD occurs 3 times in the response; all rows are in the totals",
        ),
        ([(None, None)] * 2, "USD occurs 2 times in the response; all rows are in the totals"),
    ],
    ids=str,
)
def test_only_one_row_for_each_merchant_is_no_repetition(
    rows: list[tuple[str | None, str | None]], message: str | None
) -> None:
    """Rows of one asset are told, but for those of an aggregate that are of one kind and of a merchant each."""
    details: list[dict[str, Amount | str | bool | None]] = [
        {"merchant_id": merchant, "kind": kind} for merchant, kind in rows
    ]
    balances = [balance("USD", "1", of="all", details=each) for each in details]
    notices = build("main", [answered("all", *balances)]).notices
    assert ([] if message is None else [("asset.repeated", "all", message)]) == [*notices]


@each_case(
    ("ids", "counted", "message"),
    [
        (("7", "7"), True, "USD occurs 2 times in the response; all rows are in the totals"),
        (("7", None), True, "USD occurs 2 times in the response; all rows are in the totals"),
        (
            ("7", "8"),
            True,
            "USD occurs 2 times in the response under the ids 7, 8; all rows are in the totals",
        ),
        (("7", "8"), False, "USD occurs 2 times in the response under the ids 7, 8; all rows are shown"),
        ((None, None, None), False, "USD occurs 3 times in the response; all rows are shown"),
    ],
    ids=str,
)
def test_a_repetition_is_told_with_its_ids(ids: tuple[str | None, ...], counted: bool, message: str) -> None:
    """How often, under which ids if there are several, and whether the totals have it."""
    rows = [balance("USD", "1", of="a", asset_id=each, counted=counted) for each in ids]
    assert [("asset.repeated", "a", message)] == [*build("main", [answered("a", *rows)]).notices]


def test_two_names_that_differ_in_case_are_told() -> None:
    """Two are enough, and names that differ in more are none of them."""
    rows = [balance(name, "1", of="a") for name in ("usdt", "USDT", "BTC")]
    (notice,) = build("main", [answered("a", *rows)]).notices
    assert ("asset.case", "USDT, usdt differ only in case") == (
        notice.code,
        notice.message.partition(" and ")[0],
    )


def test_fiat_that_is_missing_leaves_only_the_totals_of_fiat_open() -> None:
    """An asset that has rows of the kind lacks the account; all others are whole."""
    rows = [
        balance("USD", "1", of="other", details={"kind": "fiat"}),
        balance("BTC", "2", of="shop"),
        balance("ETH", "3", of="shop", details={"kind": "nft"}),
    ]
    outcomes = [answered("other", rows[0]), answered("shop", *rows[1:]), refused("shop/fiat")]
    assert {
        "BTC": (["2", "0", "0"], ["2", "0", "0"], []),
        "ETH": (["3", "0", "0"], ["3", "0", "0"], []),
        "USD": ([None, None, None], ["1", "0", "0"], ["shop/fiat"]),
    } == sums(build("main", outcomes))
