"""The directives of `-o beancount`: a balance assertion for each account and asset, exact, for the day after."""

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from balcli.models import Report
from balcli.render.ledger import UNCLEAR, assertions, glossary, legal, preface, unknown

# Version 2 takes from 2 to 24 characters, and three words are its own.
_COMMODITY: Final = r"(?!(?:TRUE|FALSE|NULL)$)[A-Z][A-Z0-9'._-]{0,22}[A-Z0-9]"
_LONGEST: Final = 15  # beside a hyphen and the digest
_PART: Final = r"[A-Z0-9][A-Za-z0-9-]*"
_DAY: Final = timedelta(days=1)
_HOW: Final = "an assertion holds at the beginning of its day, after all of the day before (UTC)"


def pieces(report: Report) -> Iterator[str]:
    """The report's total amounts as balance assertions without any tolerance; what is unknown is a comment."""
    yield from (f"{line}\n" for line in (*preface(report, _HOW), *_directives(report)))


def _directives(report: Report) -> Iterator[str]:
    found = assertions(report)
    commodities = legal((each.asset for each in found), _COMMODITY, _commodity)
    parts = legal((each.account for each in found if each.account is not None), _PART, _part, _capitalised)
    profile = report.profile or ""
    root = f"Assets:Balcli:{legal([profile], _PART, _part, _capitalised)[profile]}"
    yield from (*glossary(commodities), *glossary(parts, _capitalised))
    for each in found:
        account = root if each.account is None else f"{root}:{parts.get(each.account, '')}"
        if each.amount is None:
            yield unknown(each)
        elif each.asset not in commodities or (each.account is not None and each.account not in parts):
            yield unknown(each, UNCLEAR)
        else:
            day = (each.at + _DAY).strftime("%Y-%m-%d")
            # Without an explicit tolerance, beancount lets the last digit be off.
            yield f"{day} balance {account}  {each.amount} ~ 0 {commodities[each.asset]}"


def _commodity(asset: str) -> str:
    made = re.sub(r"[^A-Z0-9]+", "-", asset.upper())[:_LONGEST].strip("-")
    return made if made[:1].isalpha() else f"X{made}"[:_LONGEST]


def _part(name: str) -> str:
    return _capitalised(re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-")) or "X"


def _capitalised(name: str) -> str:
    return name[:1].upper() + name[1:]
