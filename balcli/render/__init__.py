"""The formats: a module for each, with a pure `pieces` from Report to text; the table takes a terminal's width, too."""

from collections.abc import Iterator
from importlib import import_module

from balcli.models import Report


def machine(name: str, report: Report) -> Iterator[str]:
    """The report in the format of that name, one for machines; only its module is imported.

    A long text comes in pieces that end with a line's end.
    """
    pieces: Iterator[str] = import_module(f"balcli.render.{name}").pieces(report)
    return pieces
