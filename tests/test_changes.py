"""What is different between two runs: nothing is missed, nothing is made up, differences are exact."""

from collections.abc import Mapping
from datetime import UTC, datetime
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balcli.diff import AccountChange, AmountChange, DiffFilter, compare
from balcli.models import Account, Balance, Detail, Failure, Holdings, Outcome, Report
from balcli.money import Amount, parse
from tests.lists import each_case
from tests.proof.integers import read, written

THEN = datetime(2026, 11, 20, tzinfo=UTC)


def held(asset: str, total: str | None, *, account: str = "shop", **details: Detail) -> Balance:
    """A row whose three amounts are the same."""
    amount = None if total is None else parse(total)
    return Balance(account, "merchant", asset, asset, amount, amount, amount, details)


@each_case(
    ("before", "after", "reason"),
    [
        (("x", ()), ("y", ()), "its base_url changed in the profile"),
        (("x", ("BTC",)), ("x", ()), "its assets changed in the profile"),
        (("x", ("BTC",)), ("x", ("BTC", "ETH")), "its assets changed in the profile"),
        (("x", ("ETH", "BTC")), ("x", ("BTC", "ETH")), None),
        (("", ("BTC",)), ("x", ()), None),
        (("x", ()), ("", ("BTC",)), None),
    ],
)
def test_an_account_with_other_settings_is_not_compared(
    before: tuple[str, tuple[str, ...]], after: tuple[str, tuple[str, ...]], reason: str | None
) -> None:
    """Another address or other assets make it another account's answer; what a run does not tell decides nothing."""
    old, new = (
        report._replace(
            outcomes=tuple(
                each._replace(account=each.account._replace(base_url=base_url, assets=assets))
                for each in report.outcomes
            )
        )
        for report, (base_url, assets) in ((run(held("BTC", "1")), before), (run(held("BTC", "2")), after))
    )
    changes = compare(old, new)
    assert (reason is None) == bool(changes)
    assert [reason] * (reason is not None) == [change.reason for change in changes.incomparable]


def run(
    *rows: Balance, failed: tuple[str, ...] = (), names: tuple[str, ...] = ("shop",), target: str = "0"
) -> Report:
    """A run of accounts with these rows, some of which failed."""
    failure = Failure("network.timeout", "no answer", retryable=True, http_status=None, exit_code=5)
    outcomes = []
    for name in names:
        account: Account[object] = Account(name, "merchant", "", {"merchant_id": target}, (), None)
        mine = Holdings(tuple(row for row in rows if row.account == name))
        outcomes.append(
            Outcome(account, None, None, failure) if name in failed else Outcome(account, mine, THEN, None)
        )
    return Report(THEN, "main", tuple(outcomes), rows)


def moved(before: str | None, after: str | None) -> tuple[AmountChange, ...]:
    """The moves of a row whose three amounts went alike."""
    old, new = (None if text is None else parse(text) for text in (before, after))
    difference = None if old is None or new is None else new - old
    return tuple(AmountChange(part, old, new, difference) for part in ("total", "available", "locked"))


def test_equal_runs_are_the_same() -> None:
    """Runs with the same amounts, however they are spelled, are not different."""
    changes = compare(run(held("BTC", "1.50"), held("XRP", None)), run(held("XRP", None), held("BTC", "1.5")))
    assert ((), (), False) == (changes.accounts, changes.balances, bool(changes))


@each_case(
    ("before", "after", "happened"),
    [("1", "2", "changed"), ("2", "-1", "changed"), (None, "0", "changed"), ("0", None, "changed")],
)
def test_an_amount_that_moved(before: str | None, after: str | None, happened: str) -> None:
    """A moved amount has its exact difference, and none where one side is unknown: that is not 0."""
    (change,) = compare(run(held("BTC", before)), run(held("BTC", after))).balances
    assert ("shop", "BTC", happened, moved(before, after)) == (
        change.account,
        change.asset,
        change.happened,
        change.amounts,
    )


def test_a_row_that_one_run_has_alone() -> None:
    """An asset that was not listed before has appeared, one that is not listed any more has vanished; neither was 0."""
    changes = compare(run(held("BTC", "1")), run(held("ETH", "2")))
    assert [("BTC", "vanished", moved("1", None)), ("ETH", "appeared", moved(None, "2"))] == [
        (change.asset, change.happened, change.amounts) for change in changes.balances
    ]


def test_accounts_come_and_go() -> None:
    """An account that one run has alone is told as such, and its rows are not told one by one."""
    changes = compare(
        run(held("BTC", "1"), names=("shop", "old")), run(held("BTC", "1"), names=("shop", "new"))
    )
    assert (
        AccountChange("new", "merchant", "appeared"),
        AccountChange("old", "merchant", "vanished"),
    ) == changes.accounts
    assert () == changes.balances


@each_case(("before", "after"), [(("shop",), ()), ((), ("shop",)), (("shop",), ("shop",))])
def test_an_account_that_failed_is_not_compared(before: tuple[str, ...], after: tuple[str, ...]) -> None:
    """What an account that failed holds is not known: nothing of it has vanished or appeared, and that is said."""
    changes = compare(run(held("BTC", "1"), failed=before), run(held("BTC", "1"), failed=after))
    assert (["incomparable"], ()) == ([change.happened for change in changes.accounts], changes.balances)


def test_a_name_that_means_another_account() -> None:
    """Where a name has another target than before, the two are not compared."""
    changes = compare(run(held("BTC", "1")), run(held("BTC", "9"), target="12345"))
    assert (["incomparable"], ()) == ([change.happened for change in changes.accounts], changes.balances)


def test_details_are_compared_too() -> None:
    """A detail that is an amount moves like any other; one that is no amount does not count."""
    old, new = held("BTC", "1", hold=parse("0.5"), note="a"), held("BTC", "1", hold=parse("0.25"), note="b")
    (change,) = compare(run(old), run(new)).balances
    assert (AmountChange("hold", parse("0.5"), parse("0.25"), parse("-0.25")),) == change.amounts


def test_rows_alike_are_told_apart_by_their_order() -> None:
    """An asset that stands twice in both runs is compared row by row."""
    changes = compare(run(held("BTC", "1"), held("BTC", "2")), run(held("BTC", "1"), held("BTC", "3")))
    assert [moved("2", "3")] == [change.amounts for change in changes.balances]


@each_case(
    ("before", "after", "small"),
    [
        ("1", "1.5", True),
        ("1", "0.5", True),
        ("1", "1.5000000000000000000000000000001", False),
        (None, "0.1", False),
        ("0.1", None, False),
    ],
)
def test_the_threshold(before: str | None, after: str | None, small: bool) -> None:
    """A move of exactly the threshold is small, one a digit beyond is not; what became known or unknown never is."""
    changes = compare(run(held("BTC", before)), run(held("BTC", after)), DiffFilter(threshold=parse("0.5")))
    assert (int(small), not small) == (changes.within_threshold, bool(changes))


@pytest.mark.parametrize(("rows", "small"), [(["0.5"], 1), (["0.6"], 0)])
def test_the_threshold_of_what_came_or_went(rows: list[str], small: int) -> None:
    """What was not listed counts as nothing for the threshold, whichever side lacks it."""
    full, narrowing = run(*(held("BTC", text) for text in rows)), DiffFilter(threshold=parse("0.5"))
    assert [small, small] == [
        compare(run(), full, narrowing).within_threshold,
        compare(full, run(), narrowing).within_threshold,
    ]


def test_a_comparison_can_be_narrowed() -> None:
    """By assets and accounts alone what is named is compared, without regard to the case of a symbol."""
    before = run(held("BTC", "1"), held("ETH", "1"), held("BTC", "1", account="b"), names=("shop", "b"))
    after = run(held("BTC", "2"), held("ETH", "2"), held("BTC", "2", account="b"), names=("shop", "b"))
    found = compare(before, after, DiffFilter(("shop",), ("btc",))).balances
    assert [("shop", "BTC")] == [(change.account, change.asset) for change in found]
    old, new = (
        run(held("SNX#24", total)._replace(asset_id="24"), held("ETH", "1")._replace(asset_id=None))
        for total in ("1", "2")
    )
    for name, compared in (("snx", 1), ("snx#24", 1), ("#24", 1), ("#None", 0), ("24", 0), ("SNX#", 0)):
        assert compared == len(compare(old, new, DiffFilter(assets=(name,))).balances), name


AMOUNTS: st.SearchStrategy[Mapping[str, str]] = st.dictionaries(
    st.sampled_from(["BTC", "ETH", "USDT", "XRP"]),
    st.from_regex(r"-?(0|[1-9][0-9]{0,30})(\.[0-9]{1,18})?", fullmatch=True),
)


@given(st.lists(st.sampled_from([None, "0", "1", "1.0", "2"]), max_size=5), st.randoms(use_true_random=False))
def test_the_order_of_rows_alike_says_nothing(totals: list[str | None], random: Random) -> None:
    """One asset several times in any order is the same, and one row that is another is one change."""
    shuffled = random.sample(totals, len(totals))
    old, new = (run(*(held("BTC", text) for text in each)) for each in (totals, shuffled))
    assert not compare(old, new)
    more = compare(old, run(*(held("BTC", text) for text in [*shuffled, "9"])))
    assert ["appeared"] == [change.happened for change in more.balances]
    if totals:
        (change,) = compare(old, run(*(held("BTC", text) for text in ["9", *shuffled[1:]]))).balances
        assert ("changed", {"9"}) == (change.happened, {str(move.after) for move in change.amounts})


@given(AMOUNTS, AMOUNTS)
def test_differences_are_exact(before: Mapping[str, str], after: Mapping[str, str]) -> None:
    """Every difference is that of whole numbers, and the changes lead from the first run to the second and back."""
    old, new = (run(*(held(asset, text) for asset, text in texts.items())) for texts in (before, after))
    found = {change.asset: change for change in compare(old, new).balances}
    for asset in {*before, *after}:
        if asset in before and asset in after:
            step = read(after[asset]) - read(before[asset])
            moves = found[asset].amounts if step else ()
            assert [written(step)] * len(moves) == [str(move.difference) for move in moves]
            assert (step != 0) == (asset in found)
        else:
            assert found[asset].happened == ("vanished" if asset in before else "appeared")
    back = {change.asset: change for change in compare(new, old).balances}
    assert found.keys() == back.keys()
    assert all(
        there.difference is None or here.difference is None or here.difference + there.difference == Amount(0)
        for asset in found
        for here, there in zip(found[asset].amounts, back[asset].amounts, strict=True)
    )
