"""The table for people: at any width, every amount whole, every name harmless."""

import re
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import TypeAlias

from hypothesis import given
from hypothesis import strategies as st

from balcli.models import (
    Account,
    Amounts,
    Balance,
    DepositAddress,
    Detail,
    Failure,
    Holdings,
    Notice,
    Outcome,
    Report,
)
from balcli.money import Amount, parse
from balcli.render.display import View
from balcli.render.layout import paragraph
from balcli.render.words import label_of, shows_totals
from balcli.report import arranged, build, without_zeros
from tests.generated import examples
from tests.lists import each_case
from tests.rendering import Shown, balance_shown, drawn, missing_rows, terminal_columns, total_shown

NOON = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)

TERMINALS = [20, 30, 40, 60, 80, 100, 120, 200]
WIDTHS = [20, 40, 60, 80, 120, 200, None]

SGR = re.compile(r"\x1b\[[0-9;]*m")
AMOUNT = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]*[1-9])?|unknown")
LAST_THREE = re.compile(r" (\S+) +(\S+) +(\S+)$")

Row: TypeAlias = "tuple[str, Amount | None, Amount | None, Amount | None]"

# What servers and users can put into a name, and how it must look in the table.
HOSTILE = {
    "markup": ("[red]x[/]", "[red]x[/]"),
    "closing markup": ("x[/]", "x[/]"),
    "a link in markup": ("[link=https://evil.example]x[/link]", "[link=https://evil.example]x[/link]"),
    "an emoji's code": (":warning:", ":warning:"),
    "a backslash": ("\\[x]", "\\[x]"),
    "braces and percents": ("{0} %s", "{0} %s"),
    "ESC": ("a\x1b[2Jb", r"a\x1b[2Jb"),
    "OSC 8": ("\x1b]8;;https://evil.example\x07x", r"\x1b]8;;https://evil.example\x07x"),
    "OSC 52": ("\x1b]52;c;Zm9v\x07", r"\x1b]52;c;Zm9v\x07"),
    "C1": ("\x9b31mx\x85y", r"\x9b31mx\x85y"),
    "CR": ("good\rbad", r"good\x0dbad"),
    "NUL": ("a\x00b", r"a\x00b"),
    "newline": ("a\nb\n", r"a\x0ab\x0a"),
    "TAB": ("a\tb", r"a\x09b"),
    "other line breaks": ("a\x0b\x0c\u2028\u2029b", r"a\x0b\x0c\u2028\u2029b"),
    "backspace and bell": ("a\x08\x07\x7fb", r"a\x08\x07\x7fb"),
    "bidi": ("\u202eTDSU\u202c\u2066x", r"\u202eTDSU\u202c\u2066x"),
    "zero-width": ("U\u200bS\u200dD\ufeffT", r"U\u200bS\u200dD\ufeffT"),
    "fillers": ("\u3164\u115f\u2800", r"\u3164\u115f\u2800"),
    "variation selectors": ("E\ufe0fT\U000e0100H", r"E\ufe0fT\U000e0100H"),
    "tags": ("x\U000e0041", r"x\U000e0041"),
    "an unpaired surrogate": ("x\ud800y", r"x\ud800y"),
}

ASSETS = [
    *["ETH", "USDT", "SNX#24", "SNX#173", "nft:340282366920938463463374607431768211456", "wBTC.e", "A" * 60],
    *[
        "\u4eba\u6c11\u5e01",
        "\u30b3\u30a4\u30f3",
        "\ud55c\uad6d\uc6d0",
        "\U0001f600",
        "\u0440\u0443\u0431",
        "e\u0301",
    ],
    *["[red]x[/]", "x[/]", "a\x1b[31mb", "a\nb", "\u202eHTE", "\u200bETH"],
]
NAMES = ["loopring", "treasury", "\u6771\u4eac", "shop/1", "x[/]", "a\nb", "B" * 300, "my own"]
REASONS = ["no address for the host", "HTTP 401; check the token", "[red]x[/]", "line\nbreak", "\u202eback"]


def account(name: str, target: str = "7") -> Account[object]:
    """An account of that name."""
    return Account(name, "merchant", "https://host.example", {"merchant_id": target}, (name,), None)


def answered(name: str, *rows: Balance, notices: Sequence[Notice] = (), target: str = "7") -> Outcome:
    """An account that answered with these rows."""
    return Outcome(account(name, target), Holdings(rows, tuple(notices)), NOON, None)


def refused(name: str, reason: str = "no address") -> Outcome:
    """An account that failed for that reason."""
    failure = Failure("network.dns", reason, retryable=True, http_status=None, exit_code=5)
    return Outcome(account(name), None, None, failure)


def balance(
    name: str,
    asset: str,
    total: str | None = "1",
    available: str | None = "1",
    locked: str | None = "0",
    **details: Detail,
) -> Balance:
    """A row of that account."""
    parts = Amounts(*(None if text is None else parse(text) for text in (total, available, locked)))
    return Balance(name, "merchant", asset, None, parts.total, parts.available, parts.locked, details=details)


def view(columns: int | None) -> View | None:
    """A terminal of that width, with -v; None for a pipe."""
    return None if columns is None else View(columns, verbose=True)


def plain(report: Report, columns: int | None) -> str:
    """The table without colour."""
    return drawn(report, view(columns))


def words(text: str) -> str:
    """The text with each run of blanks and line breaks made one blank: what prose says, however it is broken."""
    return " ".join(text.split())


def texts(row: Balance | Amounts) -> list[str]:
    """The three amounts of a row as people read them."""
    return ["unknown" if part is None else str(part) for part in (row.total, row.available, row.locked)]


def point(line: str, start: int, amount: str) -> int:
    """The terminal column of an amount's decimal point, or of where it would stand."""
    return terminal_columns(line[:start]) + len(amount.partition(".")[0])


def due_on_a_terminal(report: Report) -> list[Shown]:
    """The rows that a terminal must show: balances by account, then totals."""
    shown = [
        balance_shown(row, label_of(row.asset))
        for outcome in report.outcomes
        for row in report.balances
        if row.account == outcome.account.name
    ]
    return shown + [
        total_shown(total, label_of(total.asset)) for total in report.totals if shows_totals(report)
    ]


def rows_shown(report: Report) -> list[Balance | Amounts]:
    """The rows of amounts that a table has: balances, then totals and what is known of them."""
    shown: list[Balance | Amounts] = [*report.balances]
    counted = [row.asset for row in report.balances if row.counted]
    if len(report.outcomes) > 1 or len(set(counted)) < len(counted):
        for total in report.totals:
            shown += [total.amounts] if total.amounts == total.known else [total.amounts, total.known]
    return shown


UNITS = st.one_of(
    st.integers(-(10**45), 10**45), st.integers(-(10**12), 10**12), st.integers(-99, 99), st.just(0)
)
PARTS = st.one_of(st.none(), *[st.builds(Amount, UNITS, st.integers(0, 40))] * 4)
ROWS = st.lists(st.tuples(st.sampled_from(ASSETS), PARTS, PARTS, PARTS), max_size=5)
ANSWERS = st.one_of(st.sampled_from(REASONS), ROWS, ROWS, ROWS)
"""What an account answers: rows, or the reason why there are none."""


def report_of(run: Iterable[tuple[str, str | list[Row]]]) -> Report:
    """The report of a run in which the accounts answer so."""
    return build(
        "main",
        [
            refused(name, answer)
            if isinstance(answer, str)
            else answered(
                name,
                *(
                    Balance(name, "merchant", asset, None, total, available, locked)
                    for asset, total, available, locked in answer
                ),
            )
            for name, answer in run
        ],
    )


REPORTS = st.lists(
    st.tuples(st.sampled_from(NAMES), ANSWERS), min_size=1, max_size=4, unique_by=lambda named: named[0]
).map(report_of)


@examples(150)
@given(REPORTS)
def test_every_amount_of_a_pipe_stands_whole_on_one_line(report: Report) -> None:
    """Each amount of each row and total is one unbroken word of the table, as often as it is due."""
    due = Counter(text for row in rows_shown(report) for text in texts(row))
    assert Counter() == due - Counter(plain(report, None).split())


@examples(150)
@given(REPORTS)
def test_every_amount_of_a_terminal_can_be_read_back(report: Report) -> None:
    """At every width each row has its three amounts, each whole on one line and under or beside its field's name."""
    for columns in TERMINALS:
        made = plain(report, columns)
        assert [] == [*missing_rows(made, due_on_a_terminal(report))], f"{columns} columns\n{made}"


@examples(60)
@given(REPORTS)
def test_colour_adds_nothing_but_colour(report: Report) -> None:
    """With colour, once its sequences are taken away, the table is to the byte what it is without."""
    for columns in WIDTHS:
        coloured = drawn(report, view(columns), colour=True)
        assert (plain(report, columns), True) == (SGR.sub("", coloured), SGR.search(coloured) is not None)


@examples(150)
@given(REPORTS)
def test_decimal_points_of_the_wide_layout_stand_in_one_column(report: Report) -> None:
    """Where there is room, each row has its three amounts in their order, each point under the others'."""
    found, points = [], []
    for line in plain(report, None).split("\n"):
        match = LAST_THREE.search(line)
        if match and all(AMOUNT.fullmatch(text) for text in match.groups()):
            found.append(list(match.groups()))
            points += [(n, point(line, match.start(n), match[n])) for n in (1, 2, 3) if match[n] != "unknown"]
    assert [texts(row) for row in rows_shown(report)] == found
    assert len({n for n, _ in points}) == len(set(points))


@examples(150)
@given(REPORTS, st.sampled_from([20, 40, 60, 80, 120, 200]))
def test_an_amount_that_fits_is_inside_the_terminal(report: Report, columns: int) -> None:
    """No line with an amount is wider than the terminal, unless the amount alone is."""
    due = {text for row in due_on_a_terminal(report) for text in row.amounts}
    lines = [line for line in plain(report, columns).split("\n") if terminal_columns(line) > columns]
    assert [] == [line for line in lines for word in line.split() if word in due and len(word) <= columns]


@examples(100)
@given(REPORTS, st.sampled_from(WIDTHS))
def test_every_line_is_printable_text(report: Report, columns: int | None) -> None:
    """Whatever the names are, lines hold printable characters alone and are broken where the table breaks them."""
    text = plain(report, columns)
    lines = text.split("\n")
    assert ([], lines[:-1], "") == (
        [line for line in lines if not line.isprintable()],
        text.splitlines(),
        lines[-1],
    )


@examples(100)
@given(REPORTS, st.sampled_from(WIDTHS))
def test_a_failed_account_says_that_it_is_unavailable_and_why(report: Report, columns: int | None) -> None:
    """At every width each failed account's part of the table has `unavailable` with the reason, others have not."""
    harmless = {"line\nbreak": r"line\x0abreak", "\u202eback": r"\u202eback"}
    reasons = [outcome.failure.message for outcome in report.outcomes if outcome.failure]
    expected = [f"unavailable: {harmless.get(reason, reason)}" for reason in reasons]
    said = words(plain(report, columns))
    found = {text: said.count(text) for text in expected}
    assert (len(reasons), Counter(expected)) == (said.count("unavailable: "), found)


def test_a_failed_account_stands_in_its_place() -> None:
    """The reason of a failure is the row below its account's name, between the other accounts."""
    report = build("main", [answered("a", balance("a", "ETH")), refused("b", "no address"), answered("c")])
    lines = plain(report, None).splitlines()
    start = lines.index("b (merchant, merchant_id 7)")
    assert (["  unavailable: no address", ""], "c (merchant, merchant_id 7)") == (
        lines[start + 1 : start + 3],
        lines[start + 3],
    )


@each_case("columns", WIDTHS)
@each_case(("name", "shown"), HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_name_is_escaped_and_stays_on_its_row(name: str, shown: str, columns: int | None) -> None:
    """Markup, controls and invisible characters in any name are shown as text, on as many lines as a plain name."""

    def table(text: str, *, colour: bool = False) -> str:
        row = balance(text, text, "1234.5", "1234", "0.5")
        notice = Notice("asset.unknown", text, "it is said")
        report = build(
            "main", [answered(text, row, notices=[notice], target=text), refused(f"{text}z", text)]
        )._replace(generated_at=NOON)
        return drawn(report, view(columns), colour=colour)

    # A plain name that is as long and breaks at the same places.
    twin = re.sub(r"[^ ]", "x", shown)
    made = table(name)
    assert (len(table(twin).split("\n")), [], made) == (
        len(made.split("\n")),
        [line for line in made.split("\n") if not line.isprintable()],
        SGR.sub("", table(name, colour=True)),
    )
    # As account, target, asset, total, whose note it is, reason of a failure, and twice as who failed.
    assert 8 == words(made).count(words(shown))
    assert 2 == Counter(made.split())["1234.5"]


@each_case("columns", WIDTHS)
def test_a_name_of_ten_thousand_characters_stays_on_its_row(columns: int | None) -> None:
    """A name that is far too long is cut on one row, marked, and leaves the amounts whole."""
    name = "N" * 10_000
    report = build("main", [answered(name, balance(name, name, "1234.5")), answered("b")])
    made = plain(report, columns)
    assert (False, True, 2) == (
        "N" * 49 in made,
        "N" * 45 + "..." in made.split(),
        Counter(made.split())["1234.5"],
    )


@each_case(
    "asset",
    [
        "\u4eba\u6c11\u5e01\u6570\u5b57",
        "\u30c6\u30b6\u30fc",
        "\ud55c\uad6d\uc6d0",
        "\uff35\uff33\uff24",
        "\U0001f600\U0001f4b0",
        "e\u0301a\u0308",
        "\u0e40\u0e07\u0e34\u0e19",
        "\u0930\u0941\u092a\u092f\u0947",
    ],
    ids=ascii,
)
def test_a_name_of_any_script_leaves_the_points_aligned(asset: str) -> None:
    """Wide characters and marks are counted as a terminal draws them, so that the amounts beside them align."""
    report = build(
        "main", [answered("a", balance("a", asset, "12.5"), balance("a", "a longer name", "1.25"))]
    )
    rows = [line for line in plain(report, None).splitlines() if line.endswith(" 0")]
    spots = [terminal_columns(row[: row.index(".")]) for row in rows]
    assert (2, spots[:1] * 2) == (len(rows), spots)


@each_case("columns", WIDTHS)
def test_a_repeated_asset_of_a_single_account_has_its_total(columns: int | None) -> None:
    """An asset that one account lists twice has its sum in the table, though the account is the only one."""
    rows = [balance("a", "USDT", "1.25", "1.25"), balance("a", "USDT", "2.5", "2.5")]
    made = plain(build("main", [answered("a", *rows)]), columns)
    assert "3.75" in made.partition("TOTALS")[2].split()


def test_incomplete_totals_are_marked() -> None:
    """With an account missing, the totals say so and whom they lack, and show what is known as that and no more."""
    report = build("main", [answered("a", balance("a", "ETH", "2.5", "2", "0.5")), refused("b")])
    lines = plain(report, None).splitlines()
    (start,) = [number for number, line in enumerate(lines) if line.startswith("TOTALS")]
    assert (
        "TOTALS (INCOMPLETE: without b)",
        [["ETH", "unknown", "unknown", "unknown"], ["known", "so", "far", "2.5", "2", "0.5"]],
    ) == (lines[start], [line.split() for line in lines[start + 1 :]])


@each_case("columns", TERMINALS)
@each_case("failing", [("shop",), ("shop", "a wallet with a name of some length", "another one")])
def test_an_incomplete_total_of_a_terminal_says_so(failing: tuple[str, ...], columns: int) -> None:
    """It is the sum of what is known, marked in words; who lacks is named once, above the totals."""
    outcomes = [answered("a", balance("a", "ETH", "2.5"), balance("a", "XRP", "7")), *map(refused, failing)]
    totals = words(plain(build("main", outcomes), columns).partition("TOTALS")[2])
    assert totals.startswith(f"incomplete: without {', '.join(failing)} ETH ")
    assert (3, 1) == (totals.count("incomplete"), totals.count(failing[0]))


def test_complete_totals_are_not_marked() -> None:
    """With every account answered, the totals say so, and no other sum stands beside them."""
    report = build(
        "main", [answered("a", balance("a", "ETH", "2.5")), answered("b", balance("b", "ETH", "1"))]
    )
    lines = plain(report, None).splitlines()
    assert ["TOTALS (complete: 2 accounts answered)", "ETH 3.5 2 0"] == [words(line) for line in lines[-2:]]


@each_case("columns", WIDTHS)
@each_case("total", [None, "1"], ids=["nothing known", "something known"])
def test_who_does_not_know_an_amount_is_named_below_the_total(total: str | None, columns: int | None) -> None:
    """A total that lacks what an account did not say names that account, though the account answered."""
    report = build(
        "main", [answered("first", balance("first", "ETH", total, None, None)), answered("second")]
    )
    totals = words(plain(report, columns)).partition("TOTALS")[2]
    said = "some amounts unknown: first" if columns is None else "incomplete: without first"
    assert ([("first",)], True) == ([t.missing for t in report.totals], said in totals)
    if columns is None:
        assert totals.startswith(" (2 accounts answered; some amounts are unknown)")


@each_case("columns", WIDTHS)
@each_case(("hidden", "said"), [(1, "1 row of zeros hidden"), (2, "2 rows of zeros hidden")])
def test_the_table_says_how_many_rows_it_hid(hidden: int, said: str, columns: int | None) -> None:
    """Rows that are left out on request are counted below the table."""
    zeros = [balance("a", f"ZERO{number}", "0", "0", "0") for number in range(hidden)]
    made = plain(without_zeros(build("main", [answered("a", balance("a", "ETH"), *zeros)])), columns)
    assert (True, False) == (said in words(made), "ZERO" in made)


@each_case("columns", WIDTHS)
def test_totals_alone_are_a_table_of_totals(columns: int | None) -> None:
    """With totals alone, an account that answered has no block, also where it is the only one; one that failed has."""
    report = build("main", [answered("a", balance("a", "ETH"))])
    made = words(plain(arranged(report, totals_only=True), columns))
    assert ("TOTALS", True, True) == (
        made[made.index("TOTALS") :][:6],
        made.endswith("1 row left out (--totals-only)"),
        "1 account answered" in made or "1 of 1 account answered" in made,
    )
    assert "merchant_id" not in made


def test_nothing_hidden_is_nothing_said() -> None:
    """Without rows left out, the table says nothing about any."""
    assert False is (
        "hidden" in plain(without_zeros(build("main", [answered("a", balance("a", "ETH"))])), None)
    )


@each_case("columns", WIDTHS)
def test_every_notice_is_told(columns: int | None) -> None:
    """What JSON has as warnings stands below the table, each with the account that it is about."""
    notices = [
        Notice("asset.unlisted", "a", "it does not list BTC"),
        Notice("env.ignored", None, "a name is ignored"),
    ]
    made = words(plain(build("main", [answered("a", notices=notices)]), columns))
    assert [True, True] == ["note: a: it does not list BTC" in made, "note: a name is ignored" in made]


@each_case("columns", WIDTHS)
def test_an_account_without_rows_says_so(columns: int | None) -> None:
    """An account that answered with nothing is told from one that failed."""
    made = words(plain(build("main", [answered("a")]), columns))
    assert (True, False) == ("no balances listed" in made, "unavailable" in made)


@each_case("columns", WIDTHS)
def test_details_are_told_with_their_amounts_whole(columns: int | None) -> None:
    """An amount beside the three of a row, such as a pending deposit, is told in words if it is not 0."""
    tiny = "0.000000000000000001"
    row = balance("a", "ETH", pending_deposit=parse(tiny), pending_withdraw=parse("0"))
    made = plain(build("main", [answered("a", row)]), columns)
    assert (True, False) == (f"pending deposit {tiny}" in words(made), "pending withdraw" in made)
    assert tiny in made.split()


@each_case(
    ("flags", "said"),
    [
        ([True, True], ", can deposit: yes)"),
        ([False, False], ", can deposit: no)"),
        ([True, False], ")"),
        ([], ")"),
    ],
)
def test_what_all_rows_agree_on_stands_beside_the_account(flags: list[bool], said: str) -> None:
    """A yes or no that each row of an account repeats is told once, and not at all where they differ."""
    rows = [balance("a", f"ASSET{number}", can_deposit=flag) for number, flag in enumerate(flags)]
    lines = plain(build("main", [answered("a", *rows)]), None).splitlines()
    assert f"a (merchant, merchant_id 7{said}" in lines


@each_case("columns", WIDTHS)
def test_raw_units_of_an_unknown_token_are_whole(columns: int | None) -> None:
    """A row whose amounts are all unknown shows the raw units that were sent, unbroken."""
    units = "79228162514264337593543950335"
    row = Balance(
        "a", "loopring", "#99", "99", None, None, None, raw={"total": units, "locked": "0"}, counted=False
    )
    made = plain(build("main", [answered("a", row)]), columns)
    assert True is (units in made.replace(",", " ").split())


@each_case("columns", WIDTHS)
def test_raw_units_are_never_taken_for_an_amount(columns: int | None) -> None:
    """However narrow the table, no line below an unknown token reads as one of its amounts in whole units."""
    raw = {"total": "7" * 29, "locked": "5000"}
    row = Balance("a", "loopring", "#99", "99", None, None, None, raw=raw, counted=False)
    lines = plain(build("main", [answered("a", row)]), columns).splitlines()
    last = next(number for number, line in enumerate(lines) if "raw" in line)
    assert [] == [line for line in lines[last:] if re.fullmatch(rf" {{0,3}}(\w+ +)?{AMOUNT.pattern}", line)]


@each_case("columns", WIDTHS)
@each_case(("asset", "label"), [(" ", r"\x20"), ("ETH ", r"ETH\x20"), ("  E H", r"\x20\x20E H")], ids=ascii)
def test_blanks_at_the_ends_of_a_name_are_seen(asset: str, label: str, columns: int | None) -> None:
    """A name that is blank, or ends in a blank, is told from none and from the name without it."""
    lines = plain(build("main", [answered("a", balance("a", asset)), answered("b")]), columns).splitlines()
    assert 2 == sum(line.strip().partition("  ")[0] == label for line in lines)


@each_case("columns", WIDTHS)
def test_deposit_addresses_are_shown_whole_where_asked_for(columns: int | None) -> None:
    """An address and its memo are never cut or broken, and stand in the table only if they are asked for."""
    where, memo = "EQ-" + "9x-y" * 20, "8" * 30
    row = balance("a", "USDT", deposit_addresses=(DepositAddress("TRON", where, memo),))
    report = build("main", [answered("a", row)])
    made = drawn(report, view(columns), addresses=True).replace(",", " ").split()
    assert (1, 1, False) == (made.count(where), made.count(memo), where in plain(report, columns))


def test_a_hostile_address_is_escaped() -> None:
    """What a provider gives as network, address or memo is shown as text, in one line."""
    row = balance("a", "USDT", deposit_addresses=(DepositAddress("n\x1b", "x\u202e", "m\n[red]"),))
    made = drawn(build("main", [answered("a", row)]), addresses=True)
    assert r"n\x1b: x\u202e, memo m\x0a[red]" in made


def test_amounts_that_fit_stand_in_columns() -> None:
    """All amounts are in the columns of a terminal that is just as wide as they are, and not in a narrower one."""
    row = balance("a", "ETH", "1234567890.123456789012345678")
    report = build("main", [answered("a", row, balance("a", "BTC"), balance("a", "XRP"))])
    needed = max(len(line) for line in plain(report, 200).splitlines()[2:])
    assert [False, True] == [
        "total  1234567890" in plain(report, columns) for columns in (needed, needed - 1)
    ]


@each_case(("columns", "most"), [(60, 1.5), (80, 1.0), (120, 1.0)])
def test_a_row_takes_few_lines(columns: int, most: float) -> None:
    """Rows whose amounts are zero or equal take a line and a half at most where the columns are too narrow for some."""
    rows = [balance("a", f"A{number}", "3.000000000000000001", "3.000000000000000001") for number in range(4)]
    rows += [balance("a", f"B{number}", "12345.25", "12000.25", "345") for number in range(4)]
    lines = plain(build("main", [answered("a", *rows)]), columns).splitlines()
    assert len(lines) - 5 <= most * len(rows)


def test_a_terminal_names_what_needs_attention_alone() -> None:
    """That an account lists no asset that another lists is no note; that nobody lists it is one, not one an account."""
    notices = {
        n: [Notice("asset.not_listed", n, f"{a} is not listed; check") for a in ("BTC", "XRP")] for n in "ab"
    }
    outcomes = [
        answered("a", balance("a", "ETH"), notices=notices["a"]),
        answered("b", balance("b", "BTC"), notices=notices["b"][1:]),
    ]
    made = plain(build("main", outcomes), 80).splitlines()
    assert ["note: XRP is not listed; check"] == [line for line in made if line.startswith("note")]


@each_case("columns", TERMINALS)
@each_case(
    ("outcomes", "said"),
    [
        ([answered("a")], "1 of 1 account answered"),
        ([answered("a"), refused("b")], "1 of 2 accounts answered"),
        ([refused("a"), refused("b")], "0 of 2 accounts answered"),
        ([answered("a"), refused("a/fiat")], "1 of 1 account answered, without a/fiat"),
    ],
)
def test_a_terminal_has_a_status_line(outcomes: list[Outcome], said: str, columns: int) -> None:
    """It says the profile, the local time with its offset, who answered, and how long that took."""
    report = build("main", outcomes)._replace(generated_at=NOON)
    shown = NOON.astimezone().strftime("%Y-%m-%d %H:%M:%S %z")
    made = drawn(report, View(columns, about="0.2 s"))
    assert (
        words(made.partition("\n\n")[0])
        .replace("· ", "")
        .startswith(f"main {shown[:-2]}:{shown[-2:]} {said} 0.2 s")
    )


@examples(20)
@given(REPORTS)
def test_a_terminal_without_unicode_is_shown_ascii_signs(report: Report) -> None:
    """Marks, rules and dots have stand-ins where the encoding lacks them."""
    assert set("●✗·─…").isdisjoint(drawn(report, View(80, unicode=False)))


@each_case("columns", [20, 40, 60, 80])
def test_prose_in_wide_characters_is_broken_to_fit(columns: int) -> None:
    """A message in Chinese, whose characters take two columns each, is broken before the terminal does it."""
    reason = " ".join(["\u7cfb\u7edf\u7e41\u5fd9"] * 30)
    made = plain(build("main", [refused("a", reason)]), columns)
    assert [] == [line for line in made.splitlines() if terminal_columns(line) > columns]


def test_a_paragraph_without_a_limit_is_one_line() -> None:
    """Where any width will do, a text is not broken at all."""
    (line,) = paragraph("word " * 200 + "end", "  ", None)
    assert "  " + "word " * 200 + "end" == line.text


def test_a_word_of_any_length_is_broken_in_one_pass() -> None:
    """A word of half a million wide characters, which a server can send, costs no more than its length."""
    begun = time.monotonic()
    lines = paragraph("\u4eba" * 500_000, "  ", 1002)
    assert (1000, True) == (len(lines), time.monotonic() - begun < 20)
