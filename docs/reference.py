"""Generates `docs/reference.md`: commands, options, error codes, the JSON document, variables and files.

Run `python docs/reference.py`, with balcli installed in the interpreter's environment.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any

from command_tree import (
    ROOT,
    Described,
    Page,
    files,
    long_name,
    of_the_program,
    pages,
    shared_by,
    variables,
)

from balcli.cli.options import HEADINGS
from balcli.errors import BalcliError, leaves
from balcli.providers import OWN
from balcli.render import schema

PAGE = ROOT / "docs" / "reference.md"
INTRODUCTION = """\
# Reference

All commands, options, error codes, JSON keys, variables and files. `python docs/reference.py` generates this page; \
do not edit it. `man balcli` has the same content with examples, and `balcli help COMMAND` shows one command."""
EXIT_CODES = """\
The [README](../README.md#exit-codes) lists the exit codes of a run, and [Monitoring](monitoring.md#exit-codes) those \
of `balcli check`."""
DOCUMENT = """\
The document of `-o json`, from `balcli schema`. [Formats](formats.md#json) explains the keys."""
DEFINITIONS = schema.document()["$defs"]
WARNING = r'(?:Notice|notify)\(\s*"([a-z_.]+)"|^NOT_LISTED = "([a-z_.]+)"'


def rows(first: str, listed: Iterable[Described]) -> str:
    """A table whose first column has this heading."""
    lines = [f"| {first} | meaning |", "|---|---|"]
    lines += [f"| {cell(each.written)} | {cell(each.about)} |" for each in listed]
    return "\n".join(lines)


def cell(markdown: str) -> str:
    """A text, escaped for a cell of a table."""
    return markdown.replace("|", "\\|")


def command(page: Page, common: frozenset[Described]) -> Iterator[str]:
    """The blocks of a command: usage and help, its own options, and the names of the common ones."""
    own = [*page.arguments, *(option for option in page.options if option not in common)]
    shared = [long_name(option) for option in page.options if option in common]
    yield f"### balcli {page.name}"
    yield f"{page.usage}: {' '.join(page.help.split())}"
    if own:
        yield rows("option", own)
    if shared:
        yield f"[Common options](#common-options): {', '.join(shared)}."


def errors() -> str:
    """The table of error codes. The meaning is the first line of the docstring of the class."""
    lines = ["| error code | exit code | meaning |", "|---|---|---|"]
    for leaf in leaves(BalcliError):
        about = (leaf.__doc__ or "").partition("\n")[0]
        lines.append(f"| `{leaf.code}` | {leaf.exit_code} | {about} |")
    return "\n".join(lines)


def warnings() -> str:
    """The codes of all warnings in the source."""
    source = "".join(path.read_text() for path in sorted((ROOT / "balcli").rglob("*.py")))
    found = {one or other for one, other in re.findall(WARNING, source, re.MULTILINE)}
    return ", ".join(f"`{code}`" for code in sorted(found))


def document() -> str:
    """The table of the objects in the JSON document, with their keys and types from the schema."""
    lines = ["| object | keys |", "|---|---|"]
    for name, shape in objects("", schema.document()):
        keys = (f"`{key}` ({kind(about)})" for key, about in shape["properties"].items())
        lines.append(f"| {name} | {', '.join(keys)} |")
    return "\n".join(lines)


def objects(name: str, shape: Any) -> Iterator[tuple[str, Any]]:
    """An object of the document and all objects in it, with their names."""
    yield f"`{name}`" if name else "the document", shape
    for key, about in shape["properties"].items():
        inner = resolved(about)
        is_list = "items" in inner
        inner = resolved(inner.get("items", inner))
        if "properties" in inner:
            yield from objects(f"{name}.{key}".lstrip(".") + "[]" * is_list, inner)
        if key == "details":
            for provider in OWN:
                variants = DEFINITIONS[f"{provider}_details"]
                for variant in variants.get("oneOf", [variants]):
                    yield f"`{name}.{key}`, {provider}", variant


def resolved(shape: Any) -> Any:
    """A schema with its reference resolved, or the alternative that is not null."""
    (shape,) = [each for each in shape.get("anyOf", [shape]) if each.get("type") != "null"]
    return DEFINITIONS[shape["$ref"].rpartition("/")[2]] if "$ref" in shape else shape


def kind(shape: Any) -> str:
    """The type of a value, or the values that it can have."""
    if "anyOf" in shape:
        return " or ".join(kind(each) for each in shape["anyOf"])
    if "const" in shape:
        return f"`{shape['const']}`"
    if "enum" in shape:
        few = len(shape["enum"]) < 4
        return " or ".join(f"`{each}`" for each in shape["enum"]) if few else "an [error code](#error-codes)"
    name = shape.get("$ref", "").rpartition("/")[2]
    return name if name in {"amount", "time"} else "object" if name else str(shape["type"])


def page() -> str:
    """The whole page."""
    commands = tuple(pages())
    common = shared_by(commands)
    blocks = [INTRODUCTION, "## The program", rows("option", of_the_program()), "## Commands"]
    for each in commands:
        blocks += command(each, frozenset(common))
    blocks += [
        "## Common options",
        "If a command has another meaning for one of these, it is listed with the command.",
    ]
    blocks.append(rows("option", sorted(common, key=lambda option: HEADINGS.index(option.heading))))
    blocks += [
        *("## Exit codes", EXIT_CODES),
        *("## Error codes", "These codes are stable.", errors()),
        *("## Warning codes", warnings()),
        *("## JSON document", DOCUMENT, document()),
        *("## Environment", rows("variable", variables(commands))),
        *("## Files", rows("file", files())),
    ]
    return "\n\n".join(blocks) + "\n"


def refresh() -> None:
    """Write the page."""
    PAGE.write_text(page())


if __name__ == "__main__":
    refresh()
