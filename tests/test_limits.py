"""Limits: ranges against an oracle of whole numbers, and what a report decides, row by row."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balcli.errors import ConfigFileError
from balcli.models import Account, Balance, Report
from balcli.money import Amount, parse
from balcli.report import build, failed
from balcli.thresholds import (
    Finding,
    State,
    Threshold,
    Verdict,
    evaluate,
    make_threshold,
    missing_key,
    named_accounts,
    parse_range,
    parse_value,
)
from tests.generated import examples
from tests.lists import each_case
from tests.proof import integers
from tests.test_report import account, answered, balance, refused

SOME = examples(500)

# Each range with amounts that are well and amounts that are not, its edges among them.
RANGES = [
    ("10", ["0", "10", "9.999999999999999999999"], ["-1", "-0.000000000000000001", "10.000000000000000001"]),
    ("0", ["0"], ["-1", "1"]),
    ("10:", ["10", "10.5", "1e40"], ["9.999999999999999999999999", "0", "-10"]),
    ("~:10", ["10", "0", "-1000"], ["10.000000000000000000000001", "11"]),
    ("10:20", ["10", "15", "20"], ["9.99", "20.01", "-15"]),
    ("@10:20", ["9.99", "20.01", "-15"], ["10", "15", "20"]),
    ("@10", ["-1", "10.1"], ["0", "10"]),
    ("@10:", ["9.9"], ["10", "1e40"]),
    ("@~:10", ["10.1"], ["10", "-1e40"]),
    ("@~:", [], ["0", "-1", "1e40"]),
    ("-10:-5", ["-10", "-7.5", "-5"], ["-10.1", "-4.9", "0"]),
    ("-10:", ["-10", "0"], ["-10.1"]),
    ("~:-5", ["-5", "-6"], ["-4.9", "0"]),
    ("0.1:0.30", ["0.1", "0.3", "0.2"], ["0.0999999999999999999", "0.30000000000000000001"]),
    ("5:5", ["5", "5.0"], ["4.9", "5.1"]),
]


@each_case(("text", "well", "not_well"), RANGES, ids=[row[0] for row in RANGES])
def test_a_range_alerts_beyond_its_bounds(text: str, well: list[str], not_well: list[str]) -> None:
    """Both bounds are inside; `@` turns the range round; no digit is rounded away."""
    made = parse_range(text)
    assert text == made.text
    assert [False] * len(well) == [made.alerts(parse(amount)) for amount in well]
    assert [True] * len(not_well) == [made.alerts(parse(amount)) for amount in not_well]


@each_case(
    "text",
    [
        *("", " ", "@", "~", ":", "@:", "~10", "10:~", "~:~", ":10", "10::20", "10:20:30", "@@10", "10@"),
        *("1,5:", "1_000:", "+5:", ".5:", "5.:", "05:", "--5:", "1e3:", "0x10:", "NaN", "inf:", "1/2"),
        *(" 10:", "10: ", "10 :20", "10:\n", "\u0661\u0662:", "\uff11:", "10;20", "1" * 81, "1" * 81 + ":"),
    ],
)
def test_what_is_no_range_is_refused(text: str) -> None:
    """Nothing is trimmed or guessed, and the message does not hold the text."""
    with pytest.raises(ValueError, match=r"is not a range; use 10, |more than 80 characters; use"):
        parse_range(text)


@each_case("text", ["20:10", "@20:10", "-5:-10", "0:-1", "-5", "@-5", "1:0.999999999999999999"])
def test_a_range_that_begins_above_its_end_is_refused(text: str) -> None:
    """Such a range holds nothing; a negative number alone would begin at 0."""
    with pytest.raises(ValueError, match="starts above its end; "):
        parse_range(text)


def test_a_range_without_a_bound_would_never_alert() -> None:
    """`~:` is refused: a limit that always holds is none."""
    with pytest.raises(ValueError, match="would never alert"):
        parse_range("~:")


NUMBERS = st.builds(
    lambda sign, whole, fraction: f"{sign}{whole}{fraction}",
    st.sampled_from(["", "-"]),
    st.one_of(st.integers(0, 30), st.integers(0, 10**40)).map(str),
    st.one_of(
        st.just(""),
        st.integers(0, 99).map(lambda n: f".{n:02}"),
        st.integers(0, 10**30).map(lambda n: f".{n}"),
    ),
)


def expected_alert(start: int | None, end: int | None, value: int, *, inside: bool) -> bool:
    """The oracle: whether a whole number is outside the bounds, or inside them where that is not well."""
    outside = (start is not None and value < start) or (end is not None and value > end)
    return not outside if inside else outside


@SOME
@given(
    st.sampled_from(["", "@"]),
    st.sampled_from(["a", "a:", "~:b", "a:b"]),
    NUMBERS,
    NUMBERS,
    st.one_of(NUMBERS, st.none()),
    st.integers(-1, 1),
)
def test_ranges_against_whole_numbers(
    at: str, form: str, first: str, second: str, amount: str | None, step: int
) -> None:
    """Every form with any bounds decides as whole numbers on one scale do, at and beside the bounds, too."""
    text = at + form.replace("a", first).replace("b", second)
    start = {"a": 0, "~:b": None}.get(form, integers.read(first))
    end = {"a": integers.read(first), "a:": None}.get(form, integers.read(second))
    value = integers.read(first if amount is None else amount) + step
    if start is not None and end is not None and start > end:
        with pytest.raises(ValueError, match="starts above its end"):
            parse_range(text)
        return
    expected = expected_alert(start, end, value, inside=at == "@")
    assert expected == parse_range(text).alerts(Amount(value, integers.SCALE))


def test_the_keys_of_a_limit_are_read_one_by_one() -> None:
    """Each key has its own form; a limit needs an asset, and a range of one kind or the other."""
    assert "SNX#173" == parse_value("asset", "SNX#173")
    for key, text in [
        *(("asset", text) for text in ("", " USDT", "USDT ", "US\nDT", "x" * 101, "nft:32768", "NFT:1")),
        *(("field", text) for text in ("", "Total", "hold", "free")),
        *(("absent", text) for text in ("", "0", "Zero", "unknown")),
        *((key, "x") for key in ("warn", "crit")),
    ]:
        with pytest.raises(ValueError, match=r"is |must be "):
            parse_value(key, text)
    assert ["asset", "crit", None, None] == [
        lacking and lacking[0]
        for lacking in (
            missing_key(["warn"]),
            missing_key(["asset", "field"]),
            missing_key(["asset", "warn"]),
            missing_key(["asset", "crit"]),
        )
    ]
    values = {
        key: parse_value(key, text) for key, text in {"asset": "USDT", "warn": "10:", "crit": "5:"}.items()
    }
    assert limit("USDT", warn="10:", crit="5:") == make_threshold(values)


def limit(
    asset: str = "USDT",
    *,
    field: str = "available",
    of: str | None = None,
    warn: str | None = None,
    crit: str | None = "500:",
) -> Threshold:
    """A limit; by default on the available total of USDT, critical below 500."""
    return Threshold(
        asset, field, of, parse_range(warn) if warn else None, parse_range(crit) if crit else None
    )


def found(report: Report, one: Threshold) -> tuple[State, str | None, str | None]:
    """What came of one limit: state, value as text, and reason."""
    (finding,) = evaluate(report, [one]).findings
    return finding.state, None if finding.value is None else str(finding.value), finding.reason


def limited(name: str, *assets: str) -> Account[object]:
    """An account whose profile limits it to these assets."""
    return account(name)._replace(assets=assets)


def usdt(available: str | None, of: str = "shop", **more: str) -> Balance:
    """A row of USDT."""
    return balance(more.get("asset", "USDT"), "9999", available, "1", of=of, asset_id=more.get("asset_id"))


@each_case(
    ("available", "state"),
    [
        ("1000", State.OK),
        ("999.999999999999999999", State.WARNING),
        ("500", State.WARNING),
        ("499.999999999999999999", State.CRITICAL),
        ("-1", State.CRITICAL),
    ],
)
def test_warn_and_crit_are_steps(available: str, state: State) -> None:
    """Below both ranges is CRITICAL, below the first alone is WARNING, and the edge is well."""
    report = build("main", [answered("shop", usdt(available))])
    for of in (None, "shop"):
        expected = state, available, None
        assert expected == found(report, limit(of=of, warn="1000:", crit="500:"))


def test_each_field_is_its_own() -> None:
    """A limit is on the field that it names, in an account and in the total."""
    report = build("main", [answered("shop", balance("USDT", "5", "3", "2"))])
    for of in (None, "shop"):
        values = [found(report, limit(of=of, field=field))[1] for field in ("total", "available", "locked")]
        assert ["5", "3", "2"] == values


def test_the_total_is_over_all_accounts() -> None:
    """Without an account a limit is on the sum; with one, on that account alone."""
    report = build("main", [answered("shop", usdt("400.5")), answered("bank", usdt("100", "bank"))])
    assert (State.OK, "500.5", None) == found(report, limit())
    assert (State.CRITICAL, "400.5", None) == found(report, limit(of="shop"))


def test_an_asset_that_stands_twice_is_added_up() -> None:
    """All rows of an asset in an account count, and one unknown among them leaves the sum unknown."""
    rows = [usdt("400"), usdt("100.000000000000000001")]
    assert "500.000000000000000001" == found(build("main", [answered("shop", *rows)]), limit(of="shop"))[1]
    state, value, reason = found(build("main", [answered("shop", *rows, usdt(None))]), limit(of="shop"))
    assert (
        State.UNKNOWN,
        None,
        "the provider did not return it (shop); set the limit on another field",
    ) == (state, value, reason)


UNLISTED = "no account lists it (asset.not_listed); check the name, or set absent = zero to treat it as 0"


def test_an_asset_that_is_not_listed_is_never_ok() -> None:
    """For every range, field and account, absence alerts as 0 does, and is UNKNOWN where 0 holds, unless it is meant as 0."""
    listed = balance("BTC", "1"), balance("USDC", "1")
    reports = [build("main", [answered("shop", *rows)]) for rows in ((), listed[:1], listed)]
    wrong = []
    for text, _, _ in RANGES:
        for report in reports:
            for of in (None, "shop"):
                for field in ("total", "available", "locked"):
                    for warn, crit, alert in (
                        (text, None, State.WARNING),
                        (None, text, State.CRITICAL),
                        (text, "~:9", State.WARNING),
                    ):
                        one = limit(of=of, field=field, warn=warn, crit=crit)
                        holds = integers_hold(text)
                        zero = State.OK if holds else alert
                        meant = found(report, one._replace(absent_is_zero=True))
                        strict = found(report, one)
                        if meant[:2] != (zero, "0"):
                            wrong.append((text, of, field, meant))
                        if strict[:2] != ((State.UNKNOWN, None) if holds else (alert, "0")):
                            wrong.append((text, of, field, strict))
                        if holds and "(asset.not_listed)" not in str(strict[2]):
                            wrong.append((text, of, field, strict))
    assert [] == wrong
    assert UNLISTED == found(reports[1], limit(crit="~:10"))[2]
    assert "(asset.not_listed), but USDC is;" in str(found(reports[2], limit(crit="~:10"))[2])
    assert (State.CRITICAL, "0", "it is not listed") == found(reports[1], limit())


def integers_hold(text: str) -> bool:
    """Whether a range of whole numbers or decimals holds 0, read by its signs alone."""
    start, colon, end = text.removeprefix("@").partition(":")
    low = 0 if not colon else None if start == "~" else integers.read(start)
    high = integers.read(start) if not colon else integers.read(end) if end else None
    inside = (low is None or low <= 0) and (high is None or high >= 0)
    return inside is not text.startswith("@")


def test_who_is_not_asked_for_an_asset_does_not_count_as_0() -> None:
    """Where the profile limits an account to other assets, that it lists none of this one says nothing."""
    report = build("main", [answered(limited("shop", "BTC"), balance("BTC", "1"))])
    for of in (None, "shop"):
        state, value, reason = found(report, limit(of=of))
        assert (State.UNKNOWN, None) == (state, value)
        assert "the profile excludes the asset" in str(reason)
    assert "0" == found(build("main", [answered(limited("shop", "usdt"))]), limit(of="shop"))[1]
    others = [answered(limited("shop", "BTC")), answered("bank")]
    assert (State.CRITICAL, "0", "it is not listed") == found(build("main", others), limit())


def test_an_account_that_failed_is_unknown() -> None:
    """A failure is never 0: the account's limit and every total are unknown, other accounts' limits are not."""
    report = build("main", [answered("shop", usdt("5000")), refused("bank")])
    reason = "bank did not answer (network.dns): no address"
    assert (State.UNKNOWN, None, reason) == found(report, limit(of="bank"))
    assert (State.UNKNOWN, None, reason) == found(report, limit())
    assert (State.UNKNOWN, None, reason) == found(report, limit("NOPE"))
    assert (State.OK, "5000", None) == found(report, limit(of="shop"))
    many = build("main", [refused(f"bank{number}") for number in range(6)])
    assert "bank0, bank1, bank2, bank3 and 2 more did not answer (network.dns)" == found(many, limit())[2]


def test_a_run_that_failed_or_did_not_ask_decides_nothing() -> None:
    """Without an answer no limit holds, and neither does one on an account that was not asked."""
    stopped = failed("main", ConfigFileError("no such file"))
    assert (State.UNKNOWN, None, "the run failed (config.file)") == found(stopped, limit(crit="~:10"))
    report = build("main", [answered("shop", usdt("5000"))])
    assert (State.UNKNOWN, None, "the account is not in this run; choose one that is") == found(
        report, limit(of="bank")
    )
    assert (State.UNKNOWN, None, "the account is not in this run; choose one that is") == found(
        build("main", []), limit()
    )


def test_an_amount_that_is_unknown_is_unknown() -> None:
    """Unknown is not 0, and a field that is known can be held although another of its row is not."""
    rows = [answered("shop", balance("USDT", None, "700", None)), answered("bank", usdt("1", "bank"))]
    report = build("main", rows)
    assert (State.OK, "701", None) == found(report, limit())
    for of in (None, "shop"):
        state, value, reason = found(report, limit(of=of, field="total"))
        assert (
            State.UNKNOWN,
            None,
            "the provider did not return it (shop); set the limit on another field",
        ) == (state, value, reason)


def test_two_assets_that_answer_to_one_name_decide_nothing() -> None:
    """Any ASCII case fits; of two assets that differ in it, also the one spelled just so is UNKNOWN without `exact`."""
    report = build("main", [answered("shop", usdt("700"))])
    assert (State.OK, "700", None) == found(report, limit("usdt"))
    both = build("main", [answered("shop", usdt("700"), usdt("1", asset="usdt"))])
    apart = build("main", [answered("shop", usdt("700")), answered("bank", usdt("1", "bank", asset="usdt"))])
    for name in ("USDT", "usdt", "Usdt"):
        reason = "it matches several assets: USDT, usdt; choose one with exact, or set an account"
        for of in (None, "shop"):
            assert (State.UNKNOWN, None, reason) == found(both, limit(name, of=of))
        assert (State.UNKNOWN, None, reason) == found(apart, limit(name))
        assert ["700", "1"] == [found(apart, limit(name, of=of))[1] for of in ("shop", "bank")]
    for of in (None, "shop"):
        values = [
            found(both, limit(name, of=of)._replace(exact=True))[1] for name in ("USDT", "usdt", "Usdt")
        ]
        assert ["700", "1", "0"] == values
    for odd in ("U\u017fDT", "u\u017fdt"):
        strange = build("main", [answered("shop", usdt("700"), usdt("1", asset=odd))])
        assert "700" == found(strange, limit("usdt"))[1]


def several(*assets: str, of: str | None = None, crit: str = "500:") -> Threshold:
    """A limit on the sum of these assets, as a profile's list makes it."""
    values = {"asset": parse_value("asset", [*assets]), "crit": parse_value("crit", crit)}
    return make_threshold(values if of is None else {**values, "account": of})


def test_a_list_adds_up_exact_names() -> None:
    """Each name of a list is one asset, spelled just so; one that nobody lists is told, and one unknown leaves all unknown."""
    rows = [usdt("700"), usdt("1", asset="usdt"), usdt("20.5", asset="USDT.e"), usdt(None, asset="odd")]
    report = build("main", [answered("shop", *rows)])
    for of in (None, "shop"):
        assert (State.OK, "720.5", None) == found(report, several("USDT", "USDT.e", of=of))
        assert (State.CRITICAL, "21.5", None) == found(report, several("usdt", "USDT.e", of=of))
        assert (State.OK, "701", None) == found(report, several("usdt", "USDT", of=of))
        reason = "no account lists USDt (asset.not_listed), but usdt is; check the name, or set absent = zero to treat it as 0"
        assert (State.UNKNOWN, None, reason) == found(report, several("USDT", "USDt", of=of))
        assert State.UNKNOWN is found(report, several("USDT", "odd", of=of))[0]
    one = several("USDT", "USDT.e")
    assert ("USDT + USDT.e", ("USDT", "USDT.e"), True) == (one.asset, one.assets, one.exact)
    for bad in ([], ["USDT", "USDT"], ["#1", "USDT"], ["nft:1"], [" USDT"], [""]):
        with pytest.raises(ValueError, match=r"must be|is "):
            parse_value("asset", bad)


def test_an_id_beside_another_of_its_name_is_that_row_alone() -> None:
    """Where one symbol stands under two ids, `#id` is one row of an account, and no total; the symbol is both."""
    rows = [usdt("400", asset_id="1"), usdt("300", asset_id="2")]
    report = build("main", [answered("shop", *rows), answered("bank", usdt("5", "bank", asset_id="2"))])
    assert ["400", "300", "700"] == [
        found(report, limit(name, of="shop"))[1] for name in ("#1", "#2", "USDT")
    ]
    assert (State.OK, "705", None) == found(report, limit())
    reason = "USDT has another id at shop, too; use USDT as the asset, or set an account"
    assert (State.UNKNOWN, None, reason) == found(report, limit("#2"))


def test_a_symbol_of_several_tokens_is_none_of_them() -> None:
    """`SNX` where labels carry ids is unknown, also with one listed; the label and the id are exact."""
    two = [usdt("700", asset="SNX#24", asset_id="24"), usdt("1", asset="SNX#173", asset_id="173")]
    both, one = (build("main", [answered("shop", *rows)]) for rows in (two, two[:1]))
    for of in (None, "shop"):
        assert "it matches several assets: SNX#173, SNX#24; " in str(found(both, limit("snx", of=of))[2])
        assert "it matches several assets: SNX#24, another SNX" in str(found(one, limit("SNX", of=of))[2])
        for name in ("SNX#24", "snx#24", "#24"):
            assert (State.OK, "700", None) == found(both, limit(name, of=of))
            assert (State.OK, "700", None) == found(one, limit(name, of=of))
        assert (State.CRITICAL, "0", "it is not listed, but SNX#24 is") == found(one, limit("SNX#173", of=of))
    elsewhere = build("main", [answered("shop", *two[:1]), answered("bank", usdt("1", "bank", asset="SNX"))])
    assert State.UNKNOWN == found(elsewhere, limit("SNX"))[0]
    assert "1" == found(elsewhere, limit("SNX", of="bank"))[1]


def test_an_id_that_means_two_assets_is_none_of_them() -> None:
    """An id belongs to its host: where it fits two assets, only an account makes it one."""
    rows = [usdt("700", asset="LRC", asset_id="1"), usdt("3", "bank", asset="ETH", asset_id="1")]
    report = build("main", [answered("shop", rows[0]), answered("bank", rows[1])])
    assert "it matches several assets: LRC, ETH; " in str(found(report, limit("#1"))[2])
    assert "3" == found(report, limit("#1", of="bank"))[1]


def test_a_token_without_a_name_can_be_any() -> None:
    """A token that the relayer's table does not know has no amount, and may be what an account does not list."""
    unnamed = balance("#999", None, None, None, asset_id="999", counted=False)
    alone = build("main", [answered("shop", unnamed), answered("bank", usdt("700", "bank"))])
    reason = "#999 at shop has no known name and may be this asset; use the asset's #id"
    for one in (limit(), limit(of="shop"), limit("SNX#999", of="shop")):
        assert (State.UNKNOWN, None, reason) == found(alone, one)
    assert (
        State.UNKNOWN,
        None,
        "the provider did not return it (shop); set the limit on another field",
    ) == found(alone, limit("#999"))
    for one in (limit("SNX#24", of="shop"), limit("#24", of="shop")):
        assert (State.CRITICAL, "0", "it is not listed") == found(alone, one)
    assert (State.OK, "700", None) == found(alone, limit(of="bank"))
    beside = build("main", [answered("shop", unnamed, usdt("600")), answered("bank", usdt("700", "bank"))])
    assert (State.OK, "1300", None) == found(beside, limit())


def test_an_nft_has_no_limit() -> None:
    """What is counted in pieces is in no total, and no amount to hold."""
    nft = balance("nft:32768", "3", "3", asset_id="32768", counted=False)
    for of in (None, "shop"):
        state, value, reason = found(build("main", [answered("shop", nft)]), limit("#32768", of=of))
        assert (
            State.UNKNOWN,
            None,
            "it is not in any total, so it cannot have a limit; remove the limit",
        ) == (
            state,
            value,
            reason,
        )


def test_what_totals_leave_out_is_left_out() -> None:
    """The aggregate of merchants that are in the run does not count twice, and has limits of its own."""
    whole = answered(account("all", aggregate_of="key"), usdt("900", "all"), usdt("5", "all", asset="BTC"))
    report = build("main", [whole, answered(account("one", part_of="key"), usdt("600", "one"))])
    assert (State.OK, "600", None) == found(report, limit())
    assert (State.OK, "900", None) == found(report, limit(of="all"))
    reason = "it is listed only by accounts that are not in the totals (all); set the limit's account"
    assert (State.UNKNOWN, None, reason) == found(report, limit("BTC"))
    assert (State.OK, "5", None) == found(report, limit("BTC", of="all", crit="5:"))


def test_an_account_by_two_names_counts_once() -> None:
    """An account that is in the run already adds nothing to the total that a limit is on."""
    first, second = answered("shop", usdt("400")), answered("again", usdt("400", "again"))
    twice = [o._replace(holdings=o.holdings._replace(owner="7")) for o in (first, second) if o.holdings]
    report = build("main", twice)
    assert (State.CRITICAL, "400", None) == found(report, limit())
    assert (State.CRITICAL, "400", None) == found(report, limit(of="again"))


@each_case(
    ("states", "expected"),
    [
        ([], State.UNKNOWN),
        ([0], State.OK),
        ([0, 1], State.WARNING),
        ([1, 3, 0], State.UNKNOWN),
        ([3, 2, 1], State.CRITICAL),
        ([0, 0, 3], State.UNKNOWN),
    ],
)
def test_the_worst_state_wins(states: list[int], expected: State) -> None:
    """CRITICAL wins over UNKNOWN, UNKNOWN over WARNING and OK; without a limit nothing is OK."""
    findings = tuple(Finding(limit(), State(state), None, None) for state in states)
    assert expected == Verdict(findings, build("main", [])).state


def test_only_the_accounts_that_limits_name_are_asked() -> None:
    """The named accounts, each once; all of them (none named) where a limit is on a total, or there is none."""
    assert ["shop", "bank"] == named_accounts([limit(of="shop"), limit(of="bank"), limit("BTC", of="shop")])
    assert [] == named_accounts([limit(of="shop"), limit()])
    assert [] == named_accounts([])
