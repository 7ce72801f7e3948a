"""A report in a format for machines, as one text."""

from balcli.cli.balances import machine as pieces
from balcli.models import Report


def machine(name: str, report: Report) -> str:
    """The report in the format of that name."""
    return "".join(pieces(name, report))
