"""The formats for machines: jsonl, csv and prometheus tell the same as the JSON document, each in its own form."""

import csv
import io
import json
import re
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from balcli.cli.options import REPORTS, Format
from balcli.errors import ConfigFileError
from balcli.models import Account, Balance, Failure, Holdings, Notice, Outcome, Report
from balcli.money import parse
from balcli.render import prometheus
from balcli.render.json import document
from balcli.report import arranged, build, failed, without_zeros
from balcli.text import is_text
from tests.conftest import Program
from tests.generated import examples
from tests.lists import each_case
from tests.rendering import machine

SOME = examples(200)
MOMENT = datetime(2026, 11, 21, 0, 57, 0, tzinfo=UTC)
MACHINES = [form.value for form in REPORTS if form is not Format.table]
HEADER = ["account", "provider", "asset", "asset_id", "total", "available", "locked", "status", "error"]
# Any character that Python can hold, halves of surrogate pairs included.
ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=12)


def account(
    name: str, provider: str = "acme", part_of: str | None = None, aggregate_of: str | None = None
) -> Account[object]:
    """An account of that name."""
    target = {"target": name}
    return Account(name, provider, "https://host.example", target, (name,), None, part_of, aggregate_of)


def row(of: str, asset: str, *amounts: str | None, **more: Any) -> Balance:
    """A row with these amounts: total, available, locked; what is left out is unknown."""
    parts = [None if text is None else parse(text) for text in amounts]
    total, available, locked = (*parts, None, None)[:3]
    provider, asset_id = more.pop("provider", "acme"), more.pop("asset_id", None)
    return Balance(of, provider, asset, asset_id, total, available, locked, **more)


def answered(who: Account[object] | str, *rows: Balance, notices: tuple[Notice, ...] = ()) -> Outcome:
    """An account that answered with these rows."""
    return Outcome(account(who) if isinstance(who, str) else who, Holdings(rows, notices), MOMENT, None)


def refused(name: str) -> Outcome:
    """An account that did not accept the key."""
    failure = Failure(
        "credentials.refused", "the key, so to say", retryable=False, http_status=401, exit_code=4
    )
    return Outcome(account(name), None, None, failure)


def report_of(*outcomes: Outcome) -> Report:
    """The report of a run of the profile `main` at a known time."""
    return build("main", outcomes)._replace(generated_at=MOMENT)


def lines(report: Report) -> list[dict[str, Any]]:
    """The objects of the jsonl lines."""
    return [json.loads(line) for line in machine("jsonl", report).splitlines()]


def cells(report: Report) -> list[list[str]]:
    """The sheet as a strict reader of RFC 4180 gets it, without its header."""
    text = machine("csv", report)
    header, *rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    assert HEADER == header
    return rows


def samples(report: Report) -> list[Sample]:
    """The samples as Prometheus's own parser reads them."""
    families = text_string_to_metric_families(machine("prometheus", report))
    return [sample for family in families for sample in family.samples]


def values(report: Report, name: str) -> dict[tuple[str, ...], str]:
    """The texts of a metric's values, by the values of its labels but the profile."""
    texts = re.findall(rf"^{name}(?:\{{.*\}})? (\S+)$", machine("prometheus", report), re.MULTILINE)
    found = [sample for sample in samples(report) if sample.name == name]
    keys = [tuple(v for k, v in sample.labels.items() if k != "profile") for sample in found]
    return dict(zip(keys, texts, strict=True))


def test_each_format_for_machines_has_its_module() -> None:
    """What -o takes, but the table, has a module that renders it, also of an empty report."""
    report = report_of()
    assert MACHINES == [name for name in MACHINES if machine(name, report)]


def everything_left_out() -> Report:
    """A run in which an account failed, an aggregate is left out, a row is hidden and an amount unknown."""
    aggregate = account("shop", "bazaar", aggregate_of="key")
    single = account("shop/1", "bazaar", part_of="key")
    report = report_of(
        answered(
            "treasury", row("treasury", "ETH", "1", None, "-0.5"), row("treasury", "BTC", "0", "0", "0")
        ),
        answered(aggregate, row("shop", "ETH", "5", "5", "0", provider="bazaar")),
        answered(single, row("shop/1", "ETH", "5", "5", "0", provider="bazaar")),
        refused("payouts"),
    )
    return without_zeros(report)


def test_jsonl_is_the_document_line_by_line() -> None:
    """Each item of the document is one line with its type, in the document's order; the rest is the summary, last."""
    report = everything_left_out()
    whole = document(report)
    expected = [
        {"type": kind, **item}
        for key, kind in [
            ("accounts", "account"),
            ("balances", "balance"),
            ("totals", "total"),
            ("warnings", "warning"),
            ("errors", "error"),
        ]
        for item in whole.pop(key)
    ]
    assert [*expected, {"type": "summary", **whole}] == [*lines(report)]


@SOME
@given(ANY_TEXT, ANY_TEXT)
def test_a_line_of_jsonl_is_a_line_to_everybody(name: str, message: str) -> None:
    """Whatever the names, the text is ASCII, and splits into as many lines as there are objects."""
    report = report_of(
        answered(name, row(name, message, "1", "1", "0"), notices=(Notice("x", None, message),))
    )
    text = machine("jsonl", report)
    assert (True, len([*lines(report)])) == (text.isascii(), len(text.splitlines()))


def test_csv_has_a_row_for_each_balance_and_for_each_omission() -> None:
    """Balances in the report's order, amounts as they are, unknown empty; then who has none, then warnings."""
    expected = [
        ["treasury", "acme", "ETH", "", "1", "", "-0.5", "ok", ""],
        ["shop", "bazaar", "ETH", "", "5", "5", "0", "ok", ""],
        ["shop/1", "bazaar", "ETH", "", "5", "5", "0", "ok", ""],
        ["payouts", "acme", "", "", "", "", "", "failed", "credentials.refused: the key, so to say"],
        [
            *("shop", "", "", "", "", "", "", "warning"),
            "total.aggregate_left_out: includes merchants that are also in this run, so it is not in the totals",
        ],
        [*[""] * 7, "warning", "rows.hidden: 1 row of zeros is hidden (--nonzero)"],
    ]
    assert expected == cells(everything_left_out())


def test_csv_names_an_account_that_lists_nothing() -> None:
    """An account whose answer is empty, or hidden throughout, has a row that says which."""
    zero = row("b", "ETH", "0", "0", "0")
    assert [
        ["a", "acme", "", "", "", "", "", "empty", "no balances listed"],
        ["b", "acme", "", "", "", "", "", "empty", "all rows are 0 and hidden"],
    ] == cells(without_zeros(report_of(answered("a"), answered("b", zero))))[:2]


@each_case("start", ["=", "+", "-", "@", "\t", "\r", "\n", "\uff1d"])
def test_a_spreadsheet_takes_no_name_for_a_formula(start: str) -> None:
    """A text that a spreadsheet would calculate has a leading apostrophe; a negative amount has none."""
    name = f'{start}cmd|"x"!A1'
    report = report_of(answered(name, row(name, name, "-1", "-2.5", "1.5", asset_id=name)))
    assert [f"'{name}", "acme", f"'{name}", f"'{name}", "-1", "-2.5", "1.5", "ok", ""] == cells(report)[0]


@SOME
@given(ANY_TEXT, ANY_TEXT)
def test_any_name_is_one_cell_of_csv(name: str, asset: str) -> None:
    """Whatever the names, there are rows of nine cells, ended by CRLF, in valid UTF-8, with nothing that is not printed."""
    report = report_of(answered(name, row(name, asset, "-1.5", None, "0")), refused(f"{name}z"))
    text = machine("csv", report)
    table = cells(report)
    shown = table[0][0]
    assert ({9}, "\r\n", ["-1.5", "", "0", "ok", ""]) == (
        {len(cells_of) for cells_of in table},
        text[-2:],
        table[0][4:],
    )
    assert text.encode().decode() == text
    assert all(c.isprintable() or c in "\t\r\n" for c in shown)
    assert not shown.startswith(tuple("=+-@\t\r"))
    if name.isprintable() and name.isascii() and name[:1] not in {"=", "+", "-", "@"}:
        assert name == shown


def test_prometheus_has_the_exact_text_of_each_amount() -> None:
    """A sample's value is the amount's own text, at any length; unknown amounts and failed accounts have none."""
    long = "123456789012345678901234567890.000000000000000001"
    report = report_of(
        answered("treasury", row("treasury", "ETH", long, None, "-0.5", asset_id="0")), refused("payouts")
    )
    key = ("acme", "treasury", "ETH", "0")
    assert {(*key, "total"): long, (*key, "locked"): "-0.5"} == values(report, "balcli_balance")
    assert {(*key, "available"): "1"} == values(report, "balcli_balance_unknown")
    assert {("acme", "treasury"): "1", ("acme", "payouts"): "0"} == values(report, "balcli_account_up")
    assert {("acme", "payouts", "credentials.refused"): "1"} == values(report, "balcli_failure")


def test_prometheus_names_are_those_of_gauges() -> None:
    """No metric, all of them gauges, has a suffix that is for other types."""
    taken = ("_total", "_count", "_sum", "_bucket", "_info")
    assert [] == [name for name in prometheus._HELP if name.endswith(taken)]


def test_prometheus_totals_are_whole_or_absent() -> None:
    """A total has samples where it is a number, and says whether every account is in it."""
    row_a, row_b = row("a", "ETH", "1", None, "0"), row("b", "ETH", "2.50", "1", "0")
    whole, partial = (
        report_of(answered("a", row_a), answered("b", row_b)),
        report_of(answered("b", row_b), refused("a")),
    )
    assert {("ETH", "total"): "3.5", ("ETH", "locked"): "0"} == values(whole, "balcli_asset_balance")
    assert ({}, {("ETH",): "0"}) == (
        values(partial, "balcli_asset_balance"),
        values(partial, "balcli_asset_complete"),
    )


def test_prometheus_adds_rows_that_no_label_tells_apart() -> None:
    """Rows alike in every label are one sample, their sum; the merchant's number is a label, and tells apart."""
    first, second = {"merchant_id": "1"}, {"merchant_id": "2"}
    report = report_of(
        answered(
            account("shop", "bazaar"),
            row("shop", "USDT", "0.1", "0", "0", provider="bazaar", details=first),
            row("shop", "USDT", "0.2", None, "0", provider="bazaar", details=first),
            row("shop", "USDT", "7", "0", "0", provider="bazaar", details=second),
        )
    )
    assert {
        ("bazaar", "shop", "1", "USDT", "", "total"): "0.3",
        ("bazaar", "shop", "1", "USDT", "", "locked"): "0",
        ("bazaar", "shop", "2", "USDT", "", "total"): "7",
        ("bazaar", "shop", "2", "USDT", "", "available"): "0",
        ("bazaar", "shop", "2", "USDT", "", "locked"): "0",
    } == values(report, "balcli_balance")


def test_prometheus_labels_escape_what_the_format_asks_for() -> None:
    """A quote, a backslash and a line break come back from the parser as they were."""
    asset = 'a"b\\c\nd\\n'
    report = report_of(answered("a", row("a", asset, "1", "1", "0")))
    assert {asset} == {s.labels["asset"] for s in samples(report) if s.name == "balcli_balance"}


@SOME
@given(ANY_TEXT, ANY_TEXT, ANY_TEXT)
def test_any_name_is_a_label(name: str, asset: str, other: str) -> None:
    """Whatever the names, the exposition is UTF-8 that the parser reads, with no sample twice and no amount lost."""
    report = report_of(
        answered(name, row(name, asset, "1", "1", "0"), row(name, other, "2", "2", "0")), refused(f"{name}z")
    )
    machine("prometheus", report).encode()
    found = [(sample.name, *sample.labels.items()) for sample in samples(report)]
    assert len(found) == len(set(found))
    amounts = [s.value for s in samples(report) if s.name == "balcli_balance" and s.labels["kind"] == "total"]
    assert 3 == sum(amounts)


def test_prometheus_tells_the_time_of_the_run() -> None:
    """The last run's time is that of the document, in seconds."""
    report = everything_left_out()
    assert {(): str(int(MOMENT.timestamp()))} == values(report, "balcli_last_run_timestamp_seconds")
    assert "2026-11-21T00:57:00Z" == document(report)["generated_at"]


@each_case("name", MACHINES)
def test_every_format_tells_the_same_omissions(name: str) -> None:
    """Each format names the failed account and its code, the aggregate that is left out, and that rows are hidden."""
    text = machine(name, everything_left_out())
    told = ["payouts", "credentials.refused", "total.aggregate_left_out", "rows.hidden"]
    assert told == [word for word in told if word in text]


@each_case("name", MACHINES)
def test_every_format_speaks_of_a_run_that_failed(name: str) -> None:
    """A run that failed before any request has the error's code in every format, and is not complete in any."""
    report = failed(None, ConfigFileError("config.toml: is not there, or \udc80"))
    text = machine(name, report)
    text.encode()
    marks = {
        "json": '"complete": false',
        "jsonl": '"complete": false',
        "csv": ",failed,",
        "prometheus": "balcli_complete 0\n",
        "beancount": "; INCOMPLETE",
        "hledger": "; INCOMPLETE",
    }
    assert name in marks, "say here how the new format marks a run that failed"
    assert ("config.file" in text, marks[name] in text) == (True, True)


@pytest.mark.parametrize("name", MACHINES)
@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["all", "--sandbox", "--fault", "merchant:refused"], 8),
        (["all", "--nope"], 2),
        (["all", "--fault", "x"], 2),
        (["all", "--config", "/nonexistent"], 3),
    ],
)
def test_the_exit_code_and_the_reason_do_not_depend_on_the_format(
    program: Program, name: str, arguments: list[str], code: int
) -> None:
    """Every format has the same exit code, a reason on stderr, and its code on stdout, also before any request."""
    result = program.run(*arguments, "-o", name)
    words = {8: "credentials.refused", 2: "usage", 3: "config.file"}
    assert (code, True, True) == (result.code, words[code] in result.out, result.err.startswith("balcli: "))


def test_selection_means_the_same_in_every_format(program: Program) -> None:
    """--asset, --nonzero and an account's name leave the same rows in every format."""
    chosen = ["all", "treasury", "loopring", "--sandbox", "--nonzero", "--asset", "usdt,USDC"]
    expected = [("loopring", "USDT", "3120.5"), ("treasury", "USDT", "48386.14")]
    runs = {name: program.run(*chosen, "-o", name).out for name in MACHINES}
    told = {
        "json": [(r["account"], r["asset"], r["total"]) for r in json.loads(runs["json"])["balances"]],
        "jsonl": [
            (r["account"], r["asset"], r["total"])
            for r in map(json.loads, runs["jsonl"].splitlines())
            if r["type"] == "balance"
        ],
        "csv": [
            (r["account"], r["asset"], r["total"])
            for r in csv.DictReader(io.StringIO(runs["csv"], newline=""))
            if r["status"] == "ok"
        ],
        "prometheus": re.findall(
            r'^balcli_balance\{.*account="(\w+)",asset="(\w+)",.*kind="total"\} (\S+)$',
            runs["prometheus"],
            re.MULTILINE,
        ),
        "beancount": [
            (account.lower(), asset, amount)
            for account, amount, asset in re.findall(r"Sandbox:(\w+)  (\S+) ~ 0 (\w+)", runs["beancount"])
        ],
        "hledger": [
            (account, asset, amount)
            for account, amount, asset in re.findall(r"sandbox:(\w+) .* = (\S+) (\w+)", runs["hledger"])
        ],
    }
    assert dict.fromkeys(MACHINES, expected) == told


def test_totals_only_means_the_same_in_every_format(program: Program) -> None:
    """--totals-only shows the totals in every format, no row, who failed, and how many rows are left out."""
    chosen = ["all", "--sandbox", "--totals-only", "--asset", "USDT", "--sort", "total"]
    chosen += ["--fault", "wallet:refused"]
    document_of = program.run(*chosen, "-o", "json").json
    assert ([], ["rows.left_out"]) == (document_of["balances"], [w["code"] for w in document_of["warnings"]])
    runs = {name: program.run(*chosen, "-o", name).out for name in (*MACHINES, "table")}
    assert "loopring,loopring" not in runs["csv"]
    assert '"type": "balance"' not in runs["jsonl"]
    assert "balcli_balance{" not in runs["prometheus"]
    assert "3120.5" not in runs["table"]
    sheet = csv.reader(io.StringIO(runs["csv"], newline=""))
    known = "without treasury, payouts; known so far: total 8120.5, available 7000, locked 1120.5"
    assert ["", "", "USDT", "", "", "", "", "incomplete", known] == list(sheet)[1]
    assert 'balcli_asset_complete{profile="sandbox",asset="USDT"} 0' in runs["prometheus"]
    assert "TOTALS (INCOMPLETE: without treasury, payouts)" in runs["table"]
    assert "2 rows left out (--totals-only)" in runs["table"]
    assert dict.fromkeys(runs, True) == {name: "treasury" in text for name, text in runs.items()}


def test_csv_of_whole_totals() -> None:
    """With totals alone, a total that every account made known is a row with the status `total`."""
    report = arranged(report_of(answered("a", row("a", "=ETH", "1.50", "1", "0.5"))), totals_only=True)
    assert [
        ["", "", "'=ETH", "", "1.5", "1", "0.5", "total", ""],
        [*[""] * 7, "warning", "rows.left_out: 1 row is left out (--totals-only)"],
    ] == cells(report)


def test_a_command_without_the_format_does_not_speak_it(program: Program) -> None:
    """The doctor has no csv: asked for it, it says so and prints nothing; from the environment, it is no trouble."""
    refused_format = program.run("doctor", "-o", "csv", "--offline", "--sandbox")
    assert (2, "") == (refused_format.code, refused_format.out)
    assert 0 == program.run("doctor", "--offline", "--sandbox", env={"BALCLI_OUTPUT": "csv"}).code


def test_names_are_valid_unicode_everywhere() -> None:
    """Half a surrogate pair in a name is escaped in every format: all of them can be encoded."""
    report = report_of(answered("a\ud800", row("a\ud800", "\udfff", "1", "1", "0")))
    for name in MACHINES:
        assert is_text(machine(name, report))
