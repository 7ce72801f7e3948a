"""Check that a run printed the accounts' balances: each row and total as text, and their number."""

import csv
import io
import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, TypeAlias

from benchmarks.amounts import Account, Row, balances, text, totals

Check: TypeAlias = Callable[[str], None]
"""Checks the output of a run; raises Wrong."""

_PARTS: Final = ("total", "available", "locked")


class Wrong(Exception):
    """A measured run failed or printed something wrong."""


def prints_balances(output: str, accounts: Sequence[Account]) -> Check:
    """The check for the output of these accounts in that format."""
    expected = balances(accounts)
    sums = {name: text(amount) for name, amount in totals(accounts).items()}

    def check(printed: str) -> None:
        found, summed = _READERS[output](printed)
        _compare("balances", expected, sorted(found))
        if summed is not None:
            _compare("totals", sorted(sums.items()), sorted(summed.items()))

    return check


def adds_up(accounts: Sequence[Account]) -> Check:
    """The check for jq's object of totals by asset. jq adds in binary, so nine digits are compared."""
    expected = totals(accounts)

    def check(printed: str) -> None:
        found: dict[str, float] = json.loads(printed)
        _compare("assets", sorted(expected), sorted(found))
        for name, amount in expected.items():
            exact = amount / 10**18
            if abs(found[name] - exact) > exact * 1e-9:
                raise Wrong(f"the total of {name} is {found[name]}, not {exact}")

    return check


def has(count: int, piece: str) -> Check:
    """The check that a piece of text is printed that many times."""

    def check(printed: str) -> None:
        if (found := printed.count(piece)) != count:
            raise Wrong(f"{piece!r} is printed {found} times, not {count}")

    return check


def _compare(what: str, expected: Sequence[object], found: Sequence[object]) -> None:
    if len(expected) != len(found):
        raise Wrong(f"{len(found)} {what} are printed, not {len(expected)}")
    for right, here in zip(expected, found, strict=True):
        if right != here:
            raise Wrong(f"wrong {what}: {here} is printed, not {right}")


_Read: TypeAlias = tuple[list[Row], dict[str, str] | None]


def _row(balance: dict[str, Any]) -> Row:
    return Row(balance["account"], balance["asset"], *(balance[part] for part in _PARTS))


def _json(printed: str) -> _Read:
    document = json.loads(printed)
    if document["complete"] is not True:
        raise Wrong(f"the report is not complete: {document['errors'] or document['accounts']}"[:300])
    return [_row(balance) for balance in document["balances"]], _sums(document["totals"])


def _jsonl(printed: str) -> _Read:
    lines = [json.loads(line) for line in printed.splitlines()]
    if lines[-1]["type"] != "summary" or lines[-1]["complete"] is not True:
        raise Wrong("the report is not complete")
    rows = [_row(line) for line in lines if line["type"] == "balance"]
    return rows, _sums(line for line in lines if line["type"] == "total")


def _sums(found: Iterable[dict[str, str]]) -> dict[str, str]:
    return {total["asset"]: total["total"] for total in found}


def _csv(printed: str) -> _Read:
    rows = list(csv.DictReader(io.StringIO(printed)))
    if bad := [row for row in rows if row["status"] != "ok"]:
        raise Wrong(f"the report is not complete: {bad[0]}")
    return [_row(row) for row in rows], None


def _table(printed: str) -> _Read:
    """Rows are indented by two spaces, notes and the heading by more, and account names by none."""
    rows: list[Row] = []
    sums: dict[str, str] = {}
    account = ""
    for line in printed.splitlines():
        if line and not line.startswith(" "):
            account = line.split(" ")[0]
        elif line.startswith("  ") and not line.startswith("   "):
            asset, *amounts = line.split()
            if len(amounts) != len(_PARTS):
                raise Wrong(f"no row of a table: {line[:200]!r}")
            if account == "TOTALS":
                sums[asset] = amounts[0]
            else:
                rows.append(Row(account, asset, *amounts))
    return rows, sums or None


_READERS: Final[dict[str, Callable[[str], _Read]]] = {
    "json": _json,
    "jsonl": _jsonl,
    "csv": _csv,
    "table": _table,
}
