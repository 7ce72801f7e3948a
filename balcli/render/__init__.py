"""The formats: each a pure function from Report to pieces of text; the table takes a terminal's width, too."""

from collections.abc import Iterator
from importlib import import_module

from balcli.models import Report


def machine(name: str, report: Report) -> Iterator[str]:
    """The report in the format of that name, one for machines; only its module is imported.

    A long text comes in pieces that end with a line's end.
    """
    ledgers = {"beancount", "hledger"}
    module = import_module(f"balcli.render.{'ledger' if name in ledgers else name}")
    pieces: Iterator[str] = getattr(module, name if name in ledgers else "pieces")(report)
    return pieces
