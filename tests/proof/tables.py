"""Tables of random reports in a pipe and in terminals of eight widths: complete amounts, safe names, nothing invented."""

import random
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Final, NamedTuple, Protocol

from balcli.models import Amounts, Balance, Outcome, Report
from balcli.money import Amount
from balcli.render.display import View
from tests.proof import naughty
from tests.proof.conduct import Proof, Tally, conduct
from tests.proof.naughty import shown
from tests.proof.reports import report
from tests.rendering import AMOUNT, balance_shown, drawn, missing_rows, total_shown

WIDTHS: Final = (20, 30, 40, 60, 80, 120, 200, 10_000)
OTHER_ENCODINGS: Final = ("ascii", "latin-1")
PARTS: Final = ("total", "available", "locked")

SGR: Final = re.compile(r"\x1b\[[0-9;]*m")
WIDE_ROW: Final = re.compile(rf"  .*  {AMOUNT} +{AMOUNT} +{AMOUNT}")
AMOUNT_BELOW: Final = re.compile(rf" +(?:total|available|locked)(?:, \w+)* +{AMOUNT}")
LONGEST_NAME: Final = 48
LONGEST_TARGET: Final = 80


class Render(Protocol):
    """A function that renders a report as a table, like `rendered`."""

    def __call__(self, report: Report, *, columns: int | None, colour: bool, addresses: bool) -> str:
        """The table."""


def rendered(report: Report, *, columns: int | None, colour: bool, addresses: bool) -> str:
    """The table for a terminal of that width with -v, or for a pipe."""
    view = None if columns is None else View(columns, verbose=True)
    return drawn(report, view, colour=colour, addresses=addresses)


class Row(NamedTuple):
    """A label with its three amounts to show, and the texts below them."""

    label: str
    amounts: tuple[str, str, str]
    told: tuple[str, ...] = ()


def texts(row: Balance | Amounts) -> tuple[str, str, str]:
    """The three amounts of a row as in tables."""
    total, available, locked = (
        "unknown" if part is None else str(part) for part in (row.total, row.available, row.locked)
    )
    return total, available, locked


def label(asset: str) -> str:
    """An asset's name as the label of a row, with spaces at its ends escaped."""
    inner = asset.strip(" ")
    before, _, after = asset.partition(inner) if inner else (asset, "", "")
    return shown("\\x20" * len(before) + inner + "\\x20" * len(after), LONGEST_NAME)


def row_of(balance: Balance, *, with_addresses: bool) -> Row:
    """The expected row of a balance: its amounts, nonzero details, raw units and addresses."""
    told = [str(value) for value in balance.details.values() if isinstance(value, Amount) and value]
    amounts = texts(balance)
    if set(amounts) == {"unknown"}:
        told += [value for value in balance.raw.values() if value]
    for value in balance.details.values():
        for address in value if isinstance(value, tuple) and with_addresses else ():
            told += [shown(text) for text in (address.address, address.memo) if text]
    return Row(label(balance.asset), amounts, tuple(told))


def shows_totals(made: Report) -> bool:
    """Whether there must be totals: without rows, or if they do not only repeat the rows of a single account."""
    added = {total.asset for total in made.totals}
    names = [balance.asset for balance in made.balances if balance.asset in added]
    return made.left_out is not None or len(made.outcomes) > 1 or len(set(names)) < len(names)


def total_rows(made: Report) -> Iterator[Row]:
    """The expected rows of totals in a pipe, with the known part of incomplete totals."""
    for total in made.totals:
        yield Row(label(total.asset), texts(total.amounts))
        if total.known != total.amounts:
            yield Row("known so far", texts(total.known))


def squeezed(text: str) -> str:
    """The text without spaces and line breaks, to compare wrapped text."""
    return "".join(text.split())


class Wrong(Exception):
    """A table is wrong; the message says how."""


def demand(condition: object, problem: str) -> None:
    """Raise Wrong with the problem unless the condition is true."""
    if not condition:
        raise Wrong(problem)


class Reader:
    """Reads a table in a pipe, line by line, and checks that it shows a report."""

    def __init__(self, text: str, made: Report, *, with_addresses: bool, encoding: str = "utf-8") -> None:
        self._made = made
        self._with_addresses = with_addresses
        self._encoding = encoding
        demand(text.endswith("\n") and not text.endswith("\n\n"), "it does not end with one line break")
        self._sections = [part.split("\n") for part in text[:-1].split("\n\n")]
        if made.balances or made.totals:
            demand(self._sections[0].pop(0).split() == ["TOTAL", "AVAILABLE", "LOCKED"], "it has no headings")

    def _carried(self, text: str) -> str:
        """A text in the stream's encoding."""
        return text.encode(self._encoding, "backslashreplace").decode(self._encoding)

    def check(self) -> None:
        """Raise Wrong for the first missing, changed or additional text."""
        made, sections = self._made, iter(self._sections)
        by_account = {outcome.account.name: list[Row]() for outcome in made.outcomes}
        for balance in made.balances:
            by_account[balance.account].append(row_of(balance, with_addresses=self._with_addresses))
        for outcome in made.outcomes:
            if made.left_out is not None and outcome.failure is None:
                continue
            lines = next(sections, [])
            name = self._carried(shown(outcome.account.name, LONGEST_NAME))
            demand(squeezed("".join(lines)).startswith(squeezed(name)), f"{name}: it has no heading")
            if outcome.failure is None:
                self._rows(lines, by_account[outcome.account.name])
            else:
                self._failure(lines, outcome)
        if shows_totals(made):
            lines = next(sections, [""])
            silent = any(outcome.failure for outcome in made.outcomes)
            demand(lines[0].startswith("TOTALS"), "the totals have no heading")
            demand(
                silent == ("INCOMPLETE" in "".join(lines)), "the totals do not say whether they are complete"
            )
            self._rows(lines, list(total_rows(made)))
        self._notes(next(sections, []))
        demand(next(sections, None) is None, "there is more in it than the report holds")

    def _failure(self, lines: Sequence[str], outcome: Outcome) -> None:
        """The section of a failed account has only its heading and the reason, and nothing like an amount."""
        account, failure = outcome.account, outcome.failure
        target = ", ".join(f"{key} {shown(value, LONGEST_TARGET)}" for key, value in account.target.items())
        kind = "" if account.name == account.provider else f"{account.provider}, "
        reason = shown(failure.message) if failure else ""
        expected = f"{shown(account.name, LONGEST_NAME)} ({kind}{target}) unavailable: {reason}"
        found = squeezed("".join(lines))
        demand(squeezed(self._carried(expected)) == found, f"{account.name}: it is not shown as unavailable")

    def _rows(self, lines: Sequence[str], rows: Sequence[Row]) -> None:
        """Exactly these rows are in order, with complete amounts on one line, followed by their other texts."""
        place = 0
        for row in rows:
            block = [row.label, *row.amounts]
            place = next((n for n in range(place, len(lines)) if self._stands(row, lines, n)), -1)
            demand(place >= 0, f"the row {block} is not whole, or not in its place")
            place += 1
        demand_told(lines, rows, self._carried)
        found = sum(WIDE_ROW.fullmatch(line) is not None for line in lines)
        demand(found == len(rows), f"{found} lines look like {len(rows)} rows of amounts")

    def _stands(self, row: Row, lines: Sequence[str], place: int) -> bool:
        """Whether that line has a row."""
        name, line = self._carried(row.label), lines[place]
        return line.startswith(f"  {name}  ") and tuple(line[2 + len(name) :].split()) == row.amounts

    def _notes(self, lines: Sequence[str]) -> None:
        """Each notice is shown, and the numbers of hidden rows and totals."""
        made, said = self._made, squeezed("".join(lines))
        for notice in made.notices:
            demand(squeezed(self._carried(shown(notice.message))) in said, f"{notice.code} is not told")
        demand(f"{made.hidden}row" in said or not made.hidden, "hidden rows are not counted")
        hidden_alone = made.hidden_totals if not made.hidden else 0
        demand(f"{hidden_alone}total" in said or not hidden_alone, "hidden totals are not counted")
        demand(f"{made.left_out}row" in said or not made.left_out, "rows left out are not counted")


def harmful(text: str) -> Iterable[str]:
    """The characters of a table that must not reach a terminal, except line breaks between its lines."""
    return {character for character in set(text) - {"\n"} if naughty.hidden(character)}


def demand_told(lines: Sequence[str], rows: Sequence[Row], carried: Callable[[str], str] = str) -> None:
    """Raise Wrong unless all texts of the rows are shown, with amounts as whole words."""
    words = Counter(word.rstrip(",") for line in lines for word in line.split())
    due = Counter(text for row in rows for text in row.told if re.fullmatch(AMOUNT, text))
    demand(due <= words, f"{due - words} are not whole")
    said = squeezed("".join(lines))
    for text in {carried(text) for row in rows for text in row.told}:
        demand(squeezed(text) in said, f"{text} is not told")


def read_terminal(text: str, made: Report, columns: int, *, with_addresses: bool) -> None:
    """Raise Wrong for the first missing, changed or additional text in a terminal's table."""
    lines, said = text.split("\n"), squeezed(text)
    balances = [
        row for outcome in made.outcomes for row in made.balances if row.account == outcome.account.name
    ]
    rows = [balance_shown(row, label(row.asset)) for row in balances]
    rows += [total_shown(total, label(total.asset)) for total in made.totals if shows_totals(made)]
    lacking = [*missing_rows(text, rows)]
    demand(not lacking, f"the rows {lacking} are not whole, or not in their place")
    demand_told(lines, [row_of(row, with_addresses=with_addresses) for row in balances])
    found = sum(WIDE_ROW.fullmatch(line) is not None for line in lines)
    demand(found <= len(rows), f"{found} lines look like {len(rows)} rows of amounts")
    failures = [outcome.failure for outcome in made.outcomes if outcome.failure is not None]
    for failure in failures:
        demand(squeezed(f"unavailable: {shown(failure.message)}") in said, f"{failure.message} is not told")
    demand(said.count("unavailable:") >= len(failures), "a failed account is not shown as unavailable")
    if shows_totals(made):
        # A name or notice can start a line with the same word, but not after a rule or an empty line.
        heading = re.search("[\n─]\nTOTALS", text)
        totals = squeezed(text[heading.start() :] if heading else "")
        open_ones = sum(None in total.amounts for total in made.totals)
        demand(totals.count("incomplete") >= open_ones, "a total does not say that it is incomplete")
    for line in lines:
        amounts = line.isascii() and (WIDE_ROW.fullmatch(line) or AMOUNT_BELOW.fullmatch(line))
        demand(not amounts or len(line) <= columns, f"{line!r} is wider than {columns} columns")


def read(text: str, made: Report, columns: int | None, *, with_addresses: bool) -> None:
    """Raise Wrong for the first error in a table, including harmful characters."""
    demand(not harmful(text), f"it holds {sorted(map(ascii, harmful(text)))}")
    demand(text.split("\n")[:-1] == text.splitlines(), "a line is broken where the table does not break it")
    if columns is None:
        Reader(text, made, with_addresses=with_addresses).check()
    else:
        read_terminal(text, made, columns, with_addresses=with_addresses)


def check(render: Render, made: Report, case: str, *, with_addresses: bool, tally: Tally) -> None:
    """Render a report for terminals of each width and for pipes, with and without colour, and check the tables."""
    for columns in (*WIDTHS, None):
        kind = "tables for a pipe" if columns is None else f"tables {columns} columns wide"
        tally.cases[kind] += 1
        try:
            text = render(made, columns=columns, colour=False, addresses=with_addresses)
            coloured = render(made, columns=columns, colour=True, addresses=with_addresses)
            demand(SGR.sub("", coloured) == text, "colour changes more than colours")
            read(text, made, columns, with_addresses=with_addresses)
            demand(text == text.encode("utf-8", "replace").decode(), "UTF-8 cannot carry it")
            for encoding in OTHER_ENCODINGS if columns is None else ():
                # Written like the program does.
                sent = text.encode(encoding, "backslashreplace").decode(encoding)
                Reader(sent, made, with_addresses=with_addresses, encoding=encoding).check()
        except Wrong as problem:
            tally.differs(kind, case, "a table with all of it", f"{problem}\n{text}")
        except Exception as bug:  # noqa: BLE001 - a difference, printed with its case
            tally.differs(kind, case, "a table", f"raised {type(bug).__name__}: {bug}")


def work(render: Render, rng: random.Random, count: int) -> Tally:
    """The results of that many reports."""
    tally = Tally()
    for _ in range(count):
        number = rng.getrandbits(32)
        made = report(random.Random(number))
        tally.cases["reports"] += 1
        rows: list[Balance | Amounts] = [*made.balances, *(total.amounts for total in made.totals)]
        tally.cases["amounts in the reports"] += len(rows) * len(PARTS)
        tally.cases["failed accounts in the reports"] += sum(
            outcome.failure is not None for outcome in made.outcomes
        )
        case = f"report(random.Random({number}))"
        check(render, made, case, with_addresses=rng.random() < 0.5, tally=tally)
    return tally


def main(argv: Sequence[str], render: Render = rendered) -> int:
    """Check the tables of ten thousand reports by default. Returns 1 if one is wrong."""
    return conduct(argv, Proof("tables", __doc__ or "", 10_000, 250, partial(work, render)))
