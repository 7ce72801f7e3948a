"""The formats: a module for each, with a pure `render` from Report to text; the table takes a terminal's width, too."""

from importlib import import_module

from balcli.models import Report


def machine(name: str, report: Report) -> str:
    """The report in the format of that name, one for machines; only its module is imported."""
    return str(import_module(f"balcli.render.{name}").render(report))
