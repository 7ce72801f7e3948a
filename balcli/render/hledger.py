"""The journal of `-o hledger`: a transaction for each account that moves nothing and asserts what it holds."""

import re
from collections.abc import Iterator
from itertools import groupby
from typing import Final

from balcli.models import Report
from balcli.render.ledger import UNCLEAR, Assertion, assertions, glossary, legal, preface, unknown

# Quoted, a commodity is any text that is printed but for quotes and semicolons.
_COMMODITY: Final = r"[^\";\\\s](?:[^\";\\]*[^\";\\\s])?"
_PART: Final = r"[\w./+@-]+(?: [\w./+@-]+)*"
_HOW: Final = "an assertion holds after what stands before it of its day (UTC): include this file last"


def pieces(report: Report) -> Iterator[str]:
    """The report's total amounts as balance assertions; what is unknown is a comment."""
    yield from (f"{line}\n" for line in (*preface(report, _HOW), *_transactions(report)))


def _transactions(report: Report) -> Iterator[str]:
    found = assertions(report)
    commodities = legal((each.asset for each in found), _COMMODITY, _renamed, _printed)
    parts = legal((each.account for each in found if each.account is not None), _PART, _renamed)
    profile = report.profile or ""
    root = f"assets:balcli:{legal([profile], _PART, _renamed)[profile]}"
    yield from (*glossary(commodities), *glossary(parts))
    if found:
        # Whatever the journal around it has for its own amounts.
        yield "decimal-mark ."
    for name, of_account in groupby(found, lambda each: each.account):
        yield ""
        asserted: list[Assertion] = []
        for each in of_account:
            if each.amount is None:
                yield unknown(each)
            elif each.asset not in commodities or (name is not None and name not in parts):
                yield unknown(each, UNCLEAR)
            else:
                asserted.append(each)
        account, sign = (root, "=*") if name is None else (f"{root}:{parts.get(name, '')}", "=")
        if asserted:
            yield f"{asserted[0].at:%Y-%m-%d} balcli"
        for each in asserted:
            commodity = _quoted(commodities[each.asset])
            yield f"    {account}  0 {commodity} {sign} {each.amount} {commodity}"


def _quoted(commodity: str) -> str:
    return commodity if re.fullmatch("[A-Za-z]+", commodity) else f'"{commodity}"'


def _printed(name: str) -> str:
    """The name where all of it is printed; what is not would be a name that nobody can write."""
    return name if name.isprintable() else ""


def _renamed(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-") or "X"
