"""`balcli schema`: what it demands, what it refuses, and the sets of keys that are the contract with scripts."""

import copy
import json
import shutil
import subprocess
from collections.abc import Iterator
from typing import Any, get_args

import pytest
from jsonschema import Draft202012Validator

from balcli.errors import BalcliError, leaves
from balcli.models import AMOUNT_FIELDS, AccountStatus
from balcli.render import jsonl, schema
from balcli.render.json import SCHEMA_VERSION, document
from tests.conftest import Program, closed, hold_to_schema
from tests.lists import each_case
from tests.test_document import EXAMPLE, example
from tests.test_formats import everything_left_out

AMOUNTS = ["total", "available", "locked"]
# The contract: a key that goes, or changes its name, is a new major version.
KEYS = {
    "account": ["account", "provider", "status", "fetched_at", "target", "error"],
    "balance": ["account", "provider", "asset", "asset_id", *AMOUNTS, "details", "raw"],
    "total": ["asset", *AMOUNTS, "known", "missing"],
    "warning": ["code", "account", "message"],
    "error": ["code", "message"],
}
TOP = ["schema_version", "generated_at", "profile", "complete", "exit_code", "coverage"]
LISTS = ["accounts", "balances", "totals", "warnings", "errors"]


def is_valid(made: object) -> bool:
    """Whether a document is valid by the schema as it is printed."""
    return bool(Draft202012Validator(schema.document()).is_valid(made))


def test_the_schemas_are_schemas() -> None:
    """Both are valid by the dialect that they name."""
    for made in (schema.document(), schema.line()):
        Draft202012Validator.check_schema(made)
        assert "https://json-schema.org/draft/2020-12/schema" == made["$schema"]


_COMPILE = """
const fs = require("fs"), Ajv = require("ajv/dist/2020");
const said = [], logger = {log: (text) => said.push(text), warn: (text) => said.push(text), error: (text) => said.push(text)};
new (Ajv.default || Ajv)({strict: true, logger}).compile(JSON.parse(fs.readFileSync(0)));
process.stdout.write(said.join("\\n"));
"""


@pytest.mark.parametrize("made", [schema.document(), schema.line()], ids=["document", "line"])
def test_a_strict_validator_compiles_them(made: dict[str, Any]) -> None:
    """In ajv's strict mode, where node finds ajv, the schemas compile without a word."""
    node = shutil.which("node")
    if (
        node is None
        or subprocess.run([node, "-e", 'require("ajv")'], capture_output=True, check=False).returncode
    ):
        pytest.skip("node with ajv is not installed")
    done = subprocess.run(
        [node, "-e", _COMPILE], input=json.dumps(made), capture_output=True, text=True, check=False
    )
    assert (0, "") == (done.returncode, done.stdout), done.stderr


def _parts(made: Any) -> Iterator[dict[str, Any]]:
    """Every schema in a schema, but for the names of properties and definitions."""
    if isinstance(made, dict):
        yield made
        for key, part in made.items():
            yield from (
                (each for inner in part.values() for each in _parts(inner))
                if key in {"properties", "$defs"}
                else _parts(part)
            )
    elif isinstance(made, list):
        for part in made:
            yield from _parts(part)


def test_each_part_says_its_type() -> None:
    """What a strict validator asks for: a type beside each keyword that needs one, and no format."""
    needs = {
        "properties": "object",
        "required": "object",
        "items": "array",
        "maxItems": "array",
        "pattern": "string",
    }
    for part in (*_parts(schema.document()), *_parts(schema.line())):
        assert {needs[key] for key in needs.keys() & part.keys()} <= {part.get("type")}, part
        assert "format" not in part


def test_the_keys_of_the_contract() -> None:
    """Document and schema have exactly the keys of the contract, in its order."""
    made, printed = document(example()), schema.document()
    assert ([*TOP, *LISTS], [*TOP, *LISTS]) == (list(made), printed["required"])
    firsts = {kind: list(made[f"{kind}s"][0]) for kind in KEYS if made[f"{kind}s"]}
    assert {kind: keys for kind, keys in KEYS.items() if kind != "error"} == firsts
    assert KEYS == {kind: printed["$defs"][kind]["required"] for kind in KEYS}
    assert KEYS == {kind: list(printed["$defs"][kind]["properties"]) for kind in KEYS}


def test_the_contracts_example_is_valid() -> None:
    """The document of the contract's example is valid, also where no other key is allowed."""
    hold_to_schema(EXAMPLE)
    assert is_valid(EXAMPLE)


def test_the_command_prints_the_schema(program: Program) -> None:
    """`balcli schema` prints the document's schema, with `--lines` that of a line, and nothing else."""
    whole, lines = program.run("schema"), program.run("schema", "--lines")
    assert (0, schema.document(), "") == (whole.code, json.loads(whole.out), whole.err)
    assert (0, schema.line(), "") == (lines.code, json.loads(lines.out), lines.err)


@each_case(
    "arguments",
    [["loopring", "--nfts"], ["merchant", "--fiat", "--all-merchants"], ["wallet", "--addresses"]],
)
def test_what_single_providers_add_is_in_the_schema(program: Program, arguments: list[str]) -> None:
    """NFTs, fiat, merchants and deposit addresses make documents that name no key beyond the schema."""
    hold_to_schema(program.run(*arguments, "--sandbox", "-o", "json").json)


def test_each_line_of_jsonl_is_valid() -> None:
    """Every line is valid by the schema of lines, also where no other key is allowed, and the document is none."""
    validator = Draft202012Validator(closed(schema.line()))
    lines = [*jsonl.lines(example()), *jsonl.lines(everything_left_out())]
    assert [] == [line for line in lines if not validator.is_valid(line)]
    assert {*jsonl.KINDS.values(), "summary"} - {"error"} == {line["type"] for line in lines}
    assert not validator.is_valid(EXAMPLE)


def test_the_codes_are_those_of_the_error_tree() -> None:
    """An error's code is one of the tree, for an account and for the run."""
    definitions = schema.document()["$defs"]
    codes = [error.code for error in leaves(BalcliError)]
    of_account = definitions["account"]["properties"]["error"]["anyOf"][0]["properties"]["code"]["enum"]
    assert (codes, codes) == (definitions["error"]["properties"]["code"]["enum"], of_account)


def test_the_file_says_what_the_code_says() -> None:
    """The schema's file has the version, the statuses and the amounts of the code."""
    made = schema.document()
    major = SCHEMA_VERSION.partition(".")[0]
    assert f"urn:balcli:report:{major}" == made["$id"]
    assert rf"^{major}\.[0-9]+$" == made["properties"]["schema_version"]["pattern"]
    definitions = made["$defs"]
    assert [*get_args(AccountStatus)] == definitions["account"]["properties"]["status"]["enum"]
    assert [*AMOUNT_FIELDS] == definitions["total"]["properties"]["known"]["anyOf"][0]["required"]


def changed(path: str, value: Any) -> dict[str, Any]:
    """The contract's example with another value at a place such as `balances.0.total`."""
    made = copy.deepcopy(EXAMPLE)
    *way, last = path.split(".")
    place: Any = made
    for step in way:
        place = place[int(step) if step.isdigit() else step]
    place[int(last) if last.isdigit() else last] = value
    return made


@each_case(
    ("path", "value"),
    [
        *(("balances.0.total", text) for text in ("1.0", "1e3", "-0", "+1", "01", "1,5", "", "NaN", 1, 0.1)),
        ("balances.0.details.pending_deposit", 0),
        ("balances.0.raw.total", 99476758000000000),
        ("totals.0.known.total", "1.50"),
        ("totals.0.missing", None),
        ("accounts.0.status", "maybe"),
        ("accounts.0.error", {"code": "usage", "message": "", "retryable": False, "http_status": None}),
        ("accounts.1.error", None),
        ("accounts.1.error.code", "credentials.lost"),
        ("accounts.1.error.http_status", "401"),
        ("accounts.1.fetched_at", "2026-11-21T00:57:00Z"),
        ("complete", True),
        ("generated_at", "2026-11-21T00:57:00+00:00"),
        ("schema_version", "2.0"),
        ("errors", [{"code": "nonsense", "message": ""}]),
        ("errors", None),
    ],
)
def test_what_is_wrong_is_not_valid(path: str, value: Any) -> None:
    """An amount that is no canonical text, a status or code that there is not, and a contradiction are refused."""
    assert not is_valid(changed(path, value))


@each_case("key", [*TOP, *LISTS, *(f"balances.0.{key}" for key in KEYS["balance"])])
def test_every_key_must_be_there(key: str) -> None:
    """A document that lacks a key is not valid: unknown is null, and not absent."""
    made = copy.deepcopy(EXAMPLE)
    place: Any = made["balances"][0] if "." in key else made
    del place[key.rpartition(".")[2]]
    assert not is_valid(made)


def test_minor_versions_may_add_keys() -> None:
    """A later minor version, with keys that this one does not know, is valid."""
    made = changed("schema_version", "1.7")
    for place in (
        made,
        made["accounts"][0],
        made["balances"][0],
        made["totals"][0],
        made["balances"][0]["details"],
    ):
        place["something_new"] = {"of": 1}
    assert is_valid(made)
