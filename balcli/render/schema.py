"""The JSON Schema (2020-12) of the documents and lines with balances.

`schema.json` has the required keys and types. It allows additional keys, because minor versions add keys: a 1.1 document is valid under the 1.0 schema. It does not use "format", because strict validators reject formats that
they do not know. `answers.json` has the other documents that `balcli mcp` returns.
"""

import json
import re
from pathlib import Path
from typing import Any

from balcli.render.json import to_json
from balcli.render.jsonl import KINDS, SUMMARY


def render(*, lines: bool = False) -> str:
    """The schema of the `-o json` document, or of one line of `-o jsonl`, as JSON."""
    return to_json(line() if lines else document())


def document() -> dict[str, Any]:
    """The schema of the document of `-o json`."""
    schema: dict[str, Any] = json.loads(Path(__file__).with_name("schema.json").read_bytes())
    return schema


def answer(name: str) -> dict[str, Any]:
    """The schema of a document in `answers.json`, with its definitions, or of a report."""
    if name == "report":
        return document()
    answers = json.loads(Path(__file__).with_name("answers.json").read_bytes())
    definitions = document()["$defs"] | answers["$defs"]
    schema: dict[str, Any] = answers[name]
    used: dict[str, Any] = {}
    while missing := {*re.findall(r"#/\$defs/(\w+)", json.dumps([schema, used]))} - used.keys():
        used |= {each: definitions[each] for each in definitions if each in missing}
    return {**schema, "$defs": used}


def line() -> dict[str, Any]:
    """The schema of the lines of `-o jsonl`, distinguished by their `type`."""
    whole = document()
    keys = [key for key in whole["required"] if key not in KINDS]
    summary = {
        "type": "object",
        "required": keys,
        "properties": {key: whole["properties"][key] for key in keys},
    }
    definitions = {**whole["$defs"], SUMMARY: summary}
    kinds = (*KINDS.values(), SUMMARY)
    for kind in kinds:
        item = definitions[kind]
        definitions[kind] = {
            **item,
            "required": ["type", *item["required"]],
            "properties": {"type": {"const": kind}, **item["properties"]},
        }
    return {
        "$schema": whole["$schema"],
        "$id": whole["$id"].replace("report", "line"),
        "title": "A line of a balcli report",
        "description": "One line of balcli -o jsonl. The summary is the last line.",
        "oneOf": [{"$ref": f"#/$defs/{kind}"} for kind in kinds],
        "$defs": definitions,
    }
