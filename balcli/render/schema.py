"""The JSON Schema (2020-12) of the documents and lines that balances are printed in.

It says what must be there and of what form; keys that it does not name are allowed, because minor
versions add keys: a document of 1.1 is valid by the schema of 1.0.
"""

from typing import Any, Final, TypeAlias, get_args

from balcli.errors import BalcliError, leaves
from balcli.models import AMOUNT_FIELDS, AccountStatus
from balcli.render.json import SCHEMA_VERSION, to_json
from balcli.render.jsonl import KINDS, SUMMARY

_Schema: TypeAlias = dict[str, Any]

_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_MAJOR: Final = SCHEMA_VERSION.partition(".")[0]
_TEXT: Final[_Schema] = {"type": "string"}
_FLAG: Final[_Schema] = {"type": "boolean"}
_CODE: Final = r"^[a-z_]+(\.[a-z_]+)*$"
_AMOUNT: Final = r"^-?(0|[1-9][0-9]*)(\.[0-9]*[1-9])?$"
_TIME: Final = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$"


def render(*, lines: bool = False) -> str:
    """The schema of the `-o json` document, or of one line of `-o jsonl`, as JSON."""
    return to_json(line() if lines else document())


def document() -> _Schema:
    """The schema of the document of `-o json`."""
    lists = {key: {"type": "array", "items": _ref(kind)} for key, kind in KINDS.items()}
    answered = {"type": "object", "properties": {"status": {"const": "ok"}}}
    all_well = {
        "accounts": {"type": "array", "items": answered},
        "errors": {"type": "array", "maxItems": 0},
    }
    return {
        **_about("report", "A balcli report"),
        "description": "What balcli prints with -o json. Minor versions of the schema only add keys.",
        **_object({**_head(), **lists}),
        "if": {"type": "object", "properties": {"complete": {"const": True}}},
        "then": {"type": "object", "properties": all_well},
        "$defs": _definitions(),
    }


def line() -> _Schema:
    """The schema of each line of `-o jsonl`; its `type` says which of them it is."""
    definitions = _definitions()
    for kind in KINDS.values():
        definitions[kind] = _typed(kind, definitions[kind])
    definitions[SUMMARY] = _typed(SUMMARY, _object(_head()))
    return {
        **_about("line", "A line of a balcli report"),
        "description": "What balcli prints with -o jsonl, line by line; the summary is the last.",
        "oneOf": [_ref(kind) for kind in (*KINDS.values(), SUMMARY)],
        "$defs": definitions,
    }


def _about(name: str, title: str) -> _Schema:
    return {"$schema": _DIALECT, "$id": f"urn:balcli:{name}:{_MAJOR}", "title": title}


def _head() -> _Schema:
    """What a report says of itself as a whole."""
    return {
        "schema_version": {"type": "string", "pattern": rf"^{_MAJOR}\.[0-9]+$"},
        "generated_at": _ref("time"),
        "profile": _or_null(_TEXT),
        "complete": {"type": "boolean", "description": "Whether every account answered."},
        "exit_code": {
            "type": "integer",
            "minimum": 0,
            "maximum": 255,
            "description": "The exit code by this document's data; what fails later, such as writing it, is not in it.",
        },
        "coverage": {"type": "array", "items": _ref("coverage")},
    }


def _definitions() -> _Schema:
    """Every part of a report by its name."""
    amounts = {part: _or_null(_ref("amount")) for part in AMOUNT_FIELDS}
    code = {"enum": [error.code for error in leaves(BalcliError)]}
    return {
        "amount": {
            "type": "string",
            "pattern": _AMOUNT,
            "not": {"const": "-0"},
            "description": "An exact decimal number in whole units: no exponent, no needless zero, no -0.",
        },
        # Without "format": validators that are strict refuse those that they have no plug-in for.
        "time": {"type": "string", "pattern": _TIME},
        "account": _account(code),
        "balance": _balance(amounts),
        "total": {
            **_object(
                {
                    "asset": _TEXT,
                    **amounts,
                    "known": _or_null(_object(amounts)),
                    "missing": {"type": "array", "items": _TEXT, "uniqueItems": True},
                }
            ),
            "description": "A sum over all accounts: null unless every account answered and made it known.",
        },
        "coverage": {
            **_object(
                {
                    "provider": _TEXT,
                    "covers": {"type": "array", "items": _TEXT},
                    "leaves_out": {"type": "array", "items": _TEXT},
                    "source": _or_null(_TEXT),
                }
            ),
            "description": "What the balances of a provider cover, and what they leave out, by the vendor's page.",
        },
        "warning": _object(
            {"code": {"type": "string", "pattern": _CODE}, "account": _or_null(_TEXT), "message": _TEXT}
        ),
        "error": _object({"code": code, "message": _TEXT}),
        "loopring_details": _object(
            {key: _or_null(_ref("amount")) for key in ("pending_withdraw", "pending_deposit")},
            optional={"kind": {"const": "nft"}},
        ),
        "wallet_details": _object(
            {
                **{key: _or_null(_ref("amount")) for key in ("hold", "aml_lock", "referral")},
                "deposit_addresses": _or_null({"type": "array", "items": _ref("deposit_address")}),
            }
        ),
        "merchant_details": {
            "oneOf": [
                _object(
                    {
                        "asset_name": _or_null(_TEXT),
                        "can_deposit": _or_null(_FLAG),
                        "merchant_id": _TEXT,
                    }
                ),
                _object({"kind": {"const": "fiat"}, "merchant_id": _TEXT}),
            ]
        },
        "deposit_address": _object(
            {"network": _TEXT, "address": _or_null(_TEXT), "memo": _or_null(_TEXT)},
        ),
    }


def _account(code: _Schema) -> _Schema:
    error = _object(
        {
            "code": code,
            "message": _TEXT,
            "retryable": _FLAG,
            "http_status": _or_null({"type": "integer"}),
        }
    )
    return {
        **_object(
            {
                "account": _TEXT,
                "provider": _TEXT,
                "status": {"enum": list(get_args(AccountStatus))},
                "fetched_at": _or_null(_ref("time")),
                "target": {"type": "object", "additionalProperties": _TEXT},
                "error": _or_null(error),
            }
        ),
        "if": {"type": "object", "properties": {"status": {"const": "ok"}}},
        "then": {
            "type": "object",
            "properties": {"fetched_at": {"type": "string"}, "error": {"type": "null"}},
        },
        "else": {
            "type": "object",
            "properties": {"fetched_at": {"type": "null"}, "error": {"type": "object"}},
        },
    }


def _balance(amounts: _Schema) -> _Schema:
    """A row; its details are those of its provider, a plug-in's any."""
    return {
        **_object(
            {
                "account": _TEXT,
                "provider": _TEXT,
                "asset": _TEXT,
                "asset_id": _or_null(_TEXT),
                **amounts,
                "details": {"type": "object"},
                "raw": {"type": "object", "additionalProperties": _or_null(_TEXT)},
            }
        ),
        "allOf": [
            {
                "if": {"type": "object", "properties": {"provider": {"const": provider}}},
                "then": {"type": "object", "properties": {"details": _ref(f"{provider}_details")}},
            }
            for provider in ("loopring", "wallet", "merchant")
        ],
    }


def _object(required: _Schema, optional: _Schema | None = None) -> _Schema:
    return {"type": "object", "required": list(required), "properties": {**required, **(optional or {})}}


def _typed(kind: str, schema: _Schema) -> _Schema:
    """The schema of an object with the type of its line as a first key."""
    return {
        **schema,
        "required": ["type", *schema["required"]],
        "properties": {"type": {"const": kind}, **schema["properties"]},
    }


def _or_null(schema: _Schema) -> _Schema:
    return {"anyOf": [schema, {"type": "null"}]}


def _ref(name: str) -> _Schema:
    return {"$ref": f"#/$defs/{name}"}
