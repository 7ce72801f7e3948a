"""What a good answer is: marks of an error at HTTP 200, strict amounts, and amounts in fields that are not read.

Each test goes through a list of made-up answers, an account for each in one run, and holds what comes of them
against an oracle of its own.
"""

import itertools
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from typing import Any, Final, NamedTuple, TypeVar

import pytest

from balcli.cli.options import REPORTS, Format
from balcli.sandbox import Sandbox, SandboxRequest, SandboxResponse, json_response
from balcli.sandbox.merchant import TOKEN
from tests.conftest import Program
from tests.faults.wire import sends
from tests.generated import sampled
from tests.wire import Wire, answer, merchant

PROVIDERS: Final = ("loopring", "wallet", "merchant")
_BALANCES: Final = {
    "loopring": "/api/v3/user/balances",
    "wallet": "/v2/balance",
    "merchant": "/v2/assets/account/assets",
}
_TOKENS: Final = [
    {"tokenId": number, "symbol": symbol, "decimals": decimals}
    for number, symbol, decimals in ((0, "GOOD", 2), (1, "DUST", 2))
]


class Case(NamedTuple):
    """One account: its provider and the responses to its balance requests in turn, the last one for ever."""

    provider: str
    responses: tuple[SandboxResponse, ...]


class Cases:
    """A host of the sandbox with an account for each case; the logins of all are well."""

    NAME = "cases"
    BALANCES = NAMES = LOGIN = ""

    def __init__(self, cases: Iterable[Case]) -> None:
        self.cases = [*cases]
        self.asked: Counter[tuple[int, str]] = Counter()

    def answer(self, request: SandboxRequest) -> SandboxResponse:
        """The case's next response, or a login that goes well."""
        _, number, path = request.path.split("/", 2)
        case = self.cases[int(number)]
        self.asked[int(number), path] += 1
        count = self.asked[int(number), path]
        if f"/{path}" == _BALANCES[case.provider]:
            return case.responses[min(count, len(case.responses)) - 1]
        if path == "api/v3/exchange/tokens":
            return json_response(_TOKENS)
        token = {"accessToken": f"jwt-{number}-{count}", "token": f"token-{number}-{count}"}
        return json_response({"code": 200, "msg": "SUCCESS", "data": token})

    def expire_tokens(self) -> None:
        """Nothing: a token works for ever."""

    def profile(self, base_url: str) -> str:
        """A profile with the accounts a0, a1, …, each at a path of its own."""
        return (
            "".join(
                self._account(number, case, f"{base_url}/{number}") for number, case in enumerate(self.cases)
            )
            .replace("{", "{{")
            .replace("}", "}}")
            .replace("{{table}}", "{table}")
        )

    def _account(self, number: int, case: Case, base_url: str) -> str:
        own = {
            "loopring": 'api_key = "a-key-of-nobody"\naccount_id = 1',
            "wallet": f'login = {{ merchant_id = "m", pin_of_user = "secret-of-{number}" }}\nwallet_id = "w"',
            "merchant": f'api_key = "key-of-{number:08}"\napi_secret = "secret-of-{number:08}"\nmerchant_id = 1',
        }[case.provider]
        return f'[[{{table}}.{case.provider}]]\nname = "a{number}"\nbase_url = "{base_url}"\n{own}\n'

    def requests(self, number: int) -> tuple[int, int]:
        """How many logins and balance requests a case's account has cost."""
        login = {"loopring": "", "wallet": "v2/auth/login", "merchant": "v2/token/generate"}
        provider = self.cases[number].provider
        return self.asked[number, login[provider]], self.asked[number, _BALANCES[provider][1:]]


_ARGUMENTS: Final = ("-o", "json", "--jobs", "12", "--deadline", "300", "--timeout", "30", "--no-cache")


_Kind = TypeVar("_Kind", bound=tuple[Any, ...])


def _paced(kinds: Iterable[_Kind]) -> list[_Kind]:
    """The kinds, of the relayer's every eleventh alone: it allows five requests a second."""
    return [kind for number, kind in enumerate(kinds) if kind[0] != "loopring" or number % 11 == 0]


def _answered(provider: str, rows: object, **beside: object) -> dict[str, Any]:
    """A good answer of a wallet or a merchant with these rows, and with these fields beside its data."""
    if provider == "wallet":
        return {"data": rows, **beside}
    data = {"canDeposit": True, "balances": rows}
    return {"code": 200, "msg": "SUCCESS", "data": data, **beside}


def _row(provider: str, held: str, /, **fields: object) -> dict[str, Any]:
    """A good row with 7 held of an asset, and with these fields in it."""
    whole: dict[str, dict[str, object]] = {
        "loopring": {"accountId": 1, "tokenId": 0 if held == "GOOD" else 1, "total": "700", "locked": "0"},
        "wallet": {
            "asset": held,
            "balance": "7",
            "holdBalance": "0",
            "lockBalance": "0",
            "referralBalance": "0",
        },
        "merchant": {"asset": held, "assetId": held, "total": "7", "free": "7", "locked": "0"},
    }
    return {**whole[provider], **fields}


def _reply(provider: str, *rows: dict[str, Any]) -> SandboxResponse:
    return json_response([*rows] if provider == "loopring" else _answered(provider, [*rows]))


# Marks of an error.

_SAID: Final = "the vault is shut"
_VALUES: Final[tuple[object, ...]] = (
    None, False, True, 0, 0.0, -0.0, "", "0", [], {}, _SAID, {"message": _SAID}, {"msg": _SAID, "code": "E7"}, [_SAID], [{"message": _SAID}],
    {"wallet": [_SAID]}, {"code": 401, "message": _SAID}, [{"code": "Unauthorized", "message": _SAID}], {"nested": {"detail": _SAID}}, [None],
    200, 201, 200.0, "200", "201", "ok", "SUCCESS", "active", 1, 399, 400, 401, 403, 404, 500, 2e2, 4.01e2, -5006, "401", "403", "500", "0401",
    "error", "Error", "FAIL", "failed", "Failure", "UNAUTHORIZED", "forbidden", "errors", "unauthorized user",
)  # fmt: skip
_MARKS: Final = ("error", "errors", "success", "code", "statusCode", "status")
_PLACES: Final = ("empty", "full", "null", "none")


def _is_number(value: object) -> bool:
    if isinstance(value, str):
        return value.isdigit()
    return isinstance(value, int | float) and not isinstance(value, bool)


def _number(value: Any) -> float:
    return float(value)


def _is_nothing(value: object) -> bool:
    return value is None or value is False or value in ("", [], {}) or (_is_number(value) and value == 0)


def _verdict(provider: str, mark: str, value: Any, place: str) -> str:
    """What the contract makes of one mark: refused, error, shape or good."""
    word = value.lower() if isinstance(value, str) else ""
    bad_word = word in {"error", "fail", "failed", "failure", "unauthorized", "forbidden"}
    if mark in {"error", "errors"}:
        bad = not _is_nothing(value)
    elif mark == "success":
        bad = value is False
    elif mark == "status":
        bad = bad_word or (_is_number(value) and not isinstance(value, str) and value >= 400)
    else:
        number = _is_number(value) and _number(value) not in {0, 200, 201}
        bad = bad_word or number or isinstance(value, bool | list | dict)
    if mark == "code" and provider == "merchant" and not (_is_number(value) and _number(value) == 200):
        bad = bad or value not in {None, ""} if not isinstance(value, list | dict) else True
        if not bad:
            return "shape"  # without its code
    if bad:
        codes = [value] if mark in {"code", "statusCode", "status"} else []
        for item in value if isinstance(value, list) else [value]:
            codes += (
                [item["code"]]
                if mark in {"error", "errors"} and isinstance(item, dict) and "code" in item
                else []
            )
        says_no = any(
            (_is_number(code) and _number(code) in {401, 403})
            or (isinstance(code, str) and code.lower() in {"unauthorized", "forbidden"})
            for code in codes
        )
        return "refused" if says_no else "error"
    return "good" if place in {"empty", "full"} else "shape"


def _marked(provider: str, mark: str, value: object, place: str) -> dict[str, Any]:
    rows = [_row(provider, "GOOD")] if place == "full" else []
    payload = _answered(provider, rows, **{mark: value})
    if place == "null":
        payload["data"] = None
    elif place == "none":
        del payload["data"]
    return payload


@pytest.mark.whole
@pytest.mark.parametrize("provider", ["wallet", "merchant"])
def test_an_answer_with_a_mark_of_an_error_is_none(program: Program, provider: str) -> None:
    """Each mark with each value beside, before and in the place of data: code, words and renewals are as the contract says."""
    kinds = sampled(itertools.product(_MARKS, _VALUES, _PLACES), 7)
    statuses = itertools.cycle([200, 201] if provider == "wallet" else [200])
    part = Cases(
        Case(provider, (json_response(_marked(provider, *kind), status),))
        for kind, status in zip(kinds, statuses, strict=False)
    )
    with Sandbox(stand_ins=[part]) as server:
        result = program.with_profile(
            part.profile(f"{server.url}/cases").format(table="profiles.main"),
            provider,
            *_ARGUMENTS,
            timeout=300,
        )
    codes = {
        "refused": "credentials.refused",
        "error": "provider.error",
        "shape": "answer.shape",
        "good": None,
    }
    wrong: list[object] = []
    held = Counter(row["account"] for row in result.json["balances"])
    for number, (kind, account) in enumerate(zip(kinds, result.json["accounts"], strict=True)):
        verdict = _verdict(provider, *kind)
        error = account["error"] or {"code": None, "message": ""}
        requests = (2, 2) if verdict == "refused" else (1, 1)
        rows = int(verdict == "good" and kind[2] == "full")
        due = (codes[verdict], requests, rows)
        got = (error["code"], part.requests(number), held[account["account"]])
        tells = (
            verdict not in {"refused", "error"}
            or _SAID not in json.dumps(kind[1])
            or kind[0] not in {"error", "errors"}
            or _SAID in error["message"]
        )
        if got != due or not tells:
            wrong.append((kind, due, got, error["message"]))
    assert [] == wrong
    assert 8 == result.code == result.json["exit_code"]
    assert {*codes} == {_verdict(provider, *kind) for kind in kinds}


_SHAPES: Final[tuple[dict[str, Any], ...]] = (
    {"error": {"message": _SAID}},
    {"errors": {"message": _SAID}},
    {"errors": {"walletId": [_SAID]}},
    {"errors": [{"code": "E1", "message": _SAID}]},
    {"errors": [_SAID]},
    {"error": _SAID},
    {"message": _SAID},
    {"message": [_SAID]},
    {"msg": _SAID},
    {"message": "OK", "error": _SAID},
    {"resultInfo": {"code": 100001, "message": _SAID}},
    {"error": {"error": {"description": _SAID}}},
)


def test_the_providers_own_words_reach_the_message_at_any_status(program: Program) -> None:
    """Whatever the status and the shape, the words are in the error's message, and the status keeps its code."""
    due = {400: 6, 401: 4, 403: 4, 404: 6, 418: 6, 500: 5, 501: 5, 503: 5}
    kinds = _paced(itertools.product(PROVIDERS, due, _SHAPES))
    part = Cases(Case(provider, (json_response(shape, status),)) for provider, status, shape in kinds)
    with Sandbox(stand_ins=[part]) as server:
        text = part.profile(f"{server.url}/cases").format(table="profiles.main")
        result = program.with_profile(text, "all", "--retries", "0", *_ARGUMENTS)
    exits = {
        "provider.error": 6,
        "answer.status": 6,
        "credentials.refused": 4,
        "network.unavailable": 5,
    }
    errors = {int(account["account"][1:]): account["error"] for account in result.json["accounts"]}
    wrong = [
        (kind, errors[number])
        for number, kind in enumerate(kinds)
        if errors[number] is None
        or _SAID not in errors[number]["message"]
        or due[kind[1]] != exits[errors[number]["code"]]
    ]
    assert [] == wrong


def test_the_providers_own_words_reach_the_message_of_a_rate_limit(program: Program) -> None:
    """The words of a 429 are in its message, whatever their shape. Each has a host of its own: a limit holds for a host."""
    with ExitStack() as stack:
        bodies = [json.dumps(shape).encode() for shape in _SHAPES]
        wires = [stack.enter_context(Wire(sends(answer(body, "429 Slow")))) for body in bodies]
        tables = [
            merchant(wire.url).replace(".merchant]", f".merchant]]\nname = 'a{n}'").replace("[p", "[[p")
            for n, wire in enumerate(wires)
        ]
        result = program.with_profile("".join(tables), "all", "--retries", "0", *_ARGUMENTS)
    errors = [account["error"] for account in result.json["accounts"]]
    assert [] == [
        error for error in errors if error["code"] != "rate_limited" or _SAID not in error["message"]
    ]
    assert (7, len(_SHAPES)) == (result.code, len(errors))


def test_the_relayers_own_trouble_is_tried_again(program: Program) -> None:
    """The codes 100000 and 104208, at any status, are a server that is unavailable: retried, then exit code 5."""
    good = _reply("loopring", _row("loopring", "GOOD"))
    kinds = [*itertools.product((100000, "104208"), (200, 400), (1, 9))]
    part = Cases(
        Case(
            "loopring",
            (*[json_response({"resultInfo": {"code": code, "message": _SAID}}, status)] * times, good),
        )
        for code, status, times in kinds
    )
    with Sandbox(stand_ins=[part]) as server:
        text = part.profile(f"{server.url}/cases").format(table="profiles.main")
        result = program.with_profile(text, "loopring", "--retries", "1", *_ARGUMENTS)
    found = [
        (account["error"] and account["error"]["code"], part.requests(number)[1])
        for number, account in enumerate(result.json["accounts"])
    ]
    assert [(None if times == 1 else "network.unavailable", 2) for *_, times in kinds] == found


# Strict where money is decided, and only there.

_BAD_AMOUNTS: Final[tuple[object, ...]] = ("1_000", "", True, [], {}, " 1 ", "NaN", "1e99")
_AMOUNTS: Final = {
    "loopring": ("total", "locked", "pending"),
    "wallet": ("balance", "holdBalance", "lockBalance", "referralBalance"),
    "merchant": ("total", "free", "locked"),
}
_ADDRESSES: Final[tuple[object, ...]] = (
    [], "x", True, 5, {"XRP": None}, {"XRP": []}, {"XRP": {"address": {}}}, {"A": {"memo": True}, "B": {"address": "b"}},
)  # fmt: skip
_NAMES: Final[tuple[object, ...]] = ([], {}, True)
_DECORATIONS: Final[Mapping[str, list[tuple[str, object]]]] = {
    "loopring": [],
    "wallet": [("depositAddress", value) for value in _ADDRESSES],
    "merchant": [("assetName", value) for value in _NAMES],
}
_STRICT: Final[Mapping[str, tuple[tuple[str, object], ...]]] = {
    "loopring": (("tokenId", "x"), ("tokenId", None), ("accountId", 2), ("accountId", [])),
    "wallet": (("asset", None), ("asset", ""), ("asset", 5), ("asset", [])),
    "merchant": (("asset", None), ("asset", {}), ("assetId", []), ("assetId", True)),
}


def _dust(provider: str) -> list[tuple[str, str, object]]:
    """The ways in which the second row of an answer can be bad: the kind, the field and the value."""
    return [
        *(
            ("amount", field, value)
            for field in _AMOUNTS[provider]
            for value in _BAD_AMOUNTS
            if (field, value) != ("pending", {})
        ),
        *(
            ("amount", field, None)
            for field in _AMOUNTS[provider]
            if provider != "wallet" and field != "pending"
        ),
        *(("decoration", *each) for each in _DECORATIONS[provider]),
        *(("strict", *each) for each in _STRICT[provider]),
    ]


def _due(kind: str, *, asked: bool) -> tuple[str, list[str]]:
    """The account's status, and the codes of its warnings."""
    if kind == "strict" or (kind == "amount" and asked):
        return "failed", []
    if kind == "amount":
        return "ok", ["row.unreadable"]
    return "ok", ["field.unreadable"] if asked else []


@pytest.mark.parametrize("narrowed", ["no", "--asset", "assets", "a limit"])
def test_only_what_decides_money_is_strict(program: Program, narrowed: str) -> None:
    """A bad amount fails an account unless its row is not asked for; what decorates becomes null; a name always counts."""
    providers = [name for name in PROVIDERS if narrowed != "assets" or name != "merchant"]
    kinds = _paced([(provider, *dust) for provider in providers for dust in _dust(provider)])
    part = Cases(
        Case(provider, (_reply(provider, _row(provider, "GOOD"), _row(provider, "DUST", **{field: value})),))
        for provider, _, field, value in kinds
    )
    with Sandbox(stand_ins=[part]) as server:
        text = part.profile(f"{server.url}/cases").format(table="profiles.main")
        if narrowed == "assets":
            text = text.replace("\nbase_url", '\nassets = ["GOOD"]\nbase_url')
        if narrowed == "a limit":
            text += "".join(
                f'[[profiles.main.limits]]\naccount = "a{number}"\nasset = "GOOD"\nfield = "total"\ncrit = "7:7"\n'
                for number, _ in enumerate(kinds)
            )
        asset = ["--asset", "good"] if narrowed == "--asset" else []
        command = "check" if narrowed == "a limit" else "all"
        result = program.with_profile(
            text,
            command,
            *asset,
            *(("-o", "json", "--deadline", "300", "--no-cache") if command == "check" else _ARGUMENTS),
        )
    document = result.json
    warned: dict[str, list[str]] = {account["account"]: [] for account in document["accounts"]}
    for warning in document["warnings"]:
        warned[warning["account"]].append(warning["code"])
    statuses = {account["account"]: account["status"] for account in document["accounts"]}
    wrong = []
    for number, (provider, kind, field, value) in enumerate(kinds):
        name = f"a{number}"
        due = _due(kind, asked=narrowed == "no")
        if narrowed == "a limit" and kind == "decoration":
            due = ("ok", ["field.unreadable"])  # the check's report has all rows
        if due != (statuses[name], warned[name]):
            wrong.append((provider, kind, field, value, due, statuses[name], warned[name]))
    assert [] == wrong
    if narrowed == "a limit":
        states = [limit["state"] for limit in document["limits"]]
        assert ["UNKNOWN" if kind == "strict" else "OK" for _, kind, *_ in kinds] == states
        return
    for row in document["balances"]:
        _, kind, *_ = kinds[int(row["account"][1:])]
        assert ("7", "7", "0") == (row["total"], row["available"], row["locked"])
        addresses = row["details"].get("deposit_addresses", row["details"].get("asset_name"))
        assert kind != "decoration" or addresses in (None, [])


def test_a_bad_can_deposit_costs_no_amount(program: Program) -> None:
    """`canDeposit` decorates: one that is neither true nor false is null, with one warning, and the rows stay."""
    values: tuple[object, ...] = ("yes", 1, [], {})
    part = Cases(
        Case(
            "merchant",
            (
                json_response(
                    {"code": 200, "data": {"canDeposit": value, "balances": [_row("merchant", "GOOD")] * 2}}
                ),
            ),
        )
        for value in values
    )
    with Sandbox(stand_ins=[part]) as server:
        result = program.with_profile(
            part.profile(f"{server.url}/cases").format(table="profiles.main"), "merchant", *_ARGUMENTS
        )
    codes = Counter(warning["code"] for warning in result.json["warnings"])
    assert (0, len(values)) == (result.code, codes["field.unreadable"])
    assert {None} == {row["details"]["can_deposit"] for row in result.json["balances"]}


# What is not read is told.

_FIELDS: Final[Mapping[str, bool]] = {
    "settlementBalance": True, "inSettlement": True, "FROZEN": True, "frozenAmount": True, "reserved": True, "pendingOut": True,
    "refund": True, "balance2": True, "Amount": True, "fee": False, "rate": False, "updateTime": False, "usd": False,
}  # fmt: skip
_TEXTS: Final[tuple[tuple[object, str | None], ...]] = (
    ("12.5", "12.5"), (12.5, "12.5"), ("-3", "-3"), (7, "7"), ("1e-18", "1e-18"), ({"sum": "4"}, "4"),
    ("0", None), (0, None), ("0.00", None), (-0.0, None), (None, None), ("soon", None), ("1_0", None), (True, None), ([], None), ({"sum": "0"}, None),
)  # fmt: skip


@pytest.mark.whole
def test_an_amount_that_is_not_read_is_told_once(program: Program) -> None:
    """A field that sounds like funds and holds an amount other than 0 is one warning, its text in `raw`; no other is."""
    kinds = _paced(sampled(itertools.product(PROVIDERS, _FIELDS, _TEXTS), 5))
    part = Cases(
        Case(provider, (_reply(provider, *[_row(provider, "GOOD", **{field: value})] * 2),))
        for provider, field, (value, _) in kinds
    )
    with Sandbox(stand_ins=[part]) as server:
        text = part.profile(f"{server.url}/cases").format(table="profiles.main")
        result = program.with_profile(text, "all", *_ARGUMENTS)
    told = Counter(w["account"] for w in result.json["warnings"] if w["code"] == "field.unread")
    raws: dict[str, list[dict[str, str]]] = {}
    for row in result.json["balances"]:
        raws.setdefault(row["account"], []).append(row["raw"])
        assert "7" == row["total"]
    wrong = []
    for number, (provider, field, (value, sent)) in enumerate(kinds):
        due = sent if _FIELDS[field] else None
        path = f"{field}.sum" if isinstance(value, dict) else field
        found = [raw.get(path) for raw in raws[f"a{number}"]]
        if (int(due is not None), [due] * 2) != (told[f"a{number}"], found):
            wrong.append((provider, field, value, told[f"a{number}"], found))
    assert ([], 0) == (wrong, result.code)


def test_a_row_with_an_unread_amount_is_no_row_of_zeros(program: Program) -> None:
    """--nonzero keeps a row of zeros in which a field that is not read holds an amount."""
    zeros: dict[str, object] = {"balance": "0", "settlementBalance": "3"}
    part = Cases(
        [
            Case(
                "wallet",
                (_reply("wallet", _row("wallet", "GOOD", **zeros), _row("wallet", "DUST", balance="0")),),
            )
        ]
    )
    with Sandbox(stand_ins=[part]) as server:
        result = program.with_profile(
            part.profile(f"{server.url}/cases").format(table="profiles.main"),
            "wallet",
            "--nonzero",
            *_ARGUMENTS,
        )
    assert ["GOOD"] == [row["asset"] for row in result.json["balances"]]


# Fiat that cannot be had.

_FIAT_PATH: Final = "/merchant/v2/merchant/accounts"
_FIAT_FAILURES: Final = {
    "unavailable": (SandboxResponse(503, b""), "network.unavailable"),
    "refused": (json_response({"code": 401, "msg": "no"}), "credentials.refused"),
    "an error beside its rows": (
        json_response({"code": 200, "data": {"record": []}, "error": _SAID}),
        "provider.error",
    ),
    "a bad amount": (
        json_response(
            {"code": 200, "data": {"record": [{"merchantId": 1, "fiat": "USD", "balance": "1_0"}]}}
        ),
        "answer.amount",
    ),
    "a web page": (SandboxResponse(200, b"<html>"), "answer.json"),
}
_SHOP: Final = '[[profiles.main.merchant]]\nname = "{name}"\nbase_url = "{url}/merchant"\ntoken = "{token}"\nmerchant_id = {number}\n'


def test_fiat_that_fails_costs_no_crypto(program: Program) -> None:
    """A fiat list that cannot be had is a failed outcome of its own: 8 in every format, and crypto totals are numbers."""
    formats = itertools.cycle(form for form in REPORTS if form is not Format.json)
    for name, (response, code) in _FIAT_FAILURES.items():
        with Sandbox(scripted={_FIAT_PATH: [response]}) as server:
            text = _SHOP.format(name="shop", url=server.url, token=TOKEN, number=0)
            arguments = ("merchant", "--fiat", "--retries", "0")
            result = program.with_profile(text, *arguments, "-o", "json")
            other = program.with_profile(text, *arguments, "-o", next(formats))
        assert [("shop", None), ("shop/fiat", code)] == [
            (account["account"], account["error"] and account["error"]["code"])
            for account in result.json["accounts"]
        ], name
        assert (8, 8, 8, False) == (
            result.code,
            other.code,
            result.json["exit_code"],
            result.json["complete"],
        )
        assert {"BTC": "2", "USDT": "5000"} == {
            total["asset"]: total["total"] for total in result.json["totals"]
        }
        assert [] == [total["missing"] for total in result.json["totals"] if total["missing"]]
        assert "shop/fiat" in other.out


def test_a_record_of_fiat_that_fails_is_told_again(program: Program) -> None:
    """With --evidence, a run without its fiat list comes to the same document again, and the same exit code."""
    folder = str(program.folder / "record")
    with Sandbox(scripted={_FIAT_PATH: [SandboxResponse(500, b'{"message":"later"}')]}) as server:
        text = _SHOP.format(name="shop", url=server.url, token=TOKEN, number=0)
        arguments = ("merchant", "--fiat", "--retries", "0", "-o", "json", "--evidence", folder)
        result = program.with_profile(text, *arguments)
    again = program.run("replay", folder)
    assert (8, result.code, result.out) == (result.code, again.code, again.out)
    assert "later" in result.json["accounts"][1]["error"]["message"]


def test_an_error_beside_a_page_of_nfts_is_one(program: Program) -> None:
    """The relayer's pages are held to it, too: an error beside an empty list is no list of nothing."""
    for beside in ({"error": _SAID}, {"errors": [_SAID]}, {"success": False, "message": _SAID}):
        page = json_response({"totalNum": 0, "data": [], **beside})
        with Sandbox(scripted={"/loopring/api/v3/user/nft/balances": [page]}) as server:
            text = server.profile("main").split("[[")[0]
            result = program.with_profile(text, "loopring", "--nfts", "-o", "json", "--no-cache")
        assert (6, True) == (result.code, _SAID in result.json["accounts"][0]["error"]["message"])


def test_fiat_that_fails_makes_the_fiat_totals_unknown(program: Program) -> None:
    """Of two keys, one has its fiat: those totals are null, their known part is told, and the other is missing."""
    good = json_response(
        {"code": 200, "data": {"record": [{"merchantId": 1, "fiat": "USD", "balance": "12.50"}]}}
    )
    with (
        Sandbox(scripted={_FIAT_PATH: [good]}) as well,
        Sandbox(scripted={_FIAT_PATH: [SandboxResponse(500, b"")]}) as ill,
    ):
        text = _SHOP.format(name="one", url=well.url, token=TOKEN, number=0) + _SHOP.format(
            name="two", url=ill.url, token=TOKEN, number=0
        )
        result = program.with_profile(text, "merchant", "--fiat", "--retries", "0", "-o", "json")
    totals = {total["asset"]: total for total in result.json["totals"]}
    assert (None, "12.5", ["one", "two/fiat"]) == (
        totals["USD"]["total"],
        totals["USD"]["known"]["total"],
        totals["USD"]["missing"],
    )
    assert ("10000", []) == (totals["USDT"]["total"], totals["USDT"]["missing"])


def test_an_asset_is_not_said_to_be_missing_where_fiat_failed(program: Program) -> None:
    """Whether USD is listed is not known without the fiat list: no warning says that it is not."""
    with Sandbox(scripted={_FIAT_PATH: [SandboxResponse(500, b"")]}) as server:
        text = _SHOP.format(name="shop", url=server.url, token=TOKEN, number=0)
        result = program.with_profile(
            text, "merchant", "--fiat", "--asset", "USD", "--retries", "0", "-o", "json"
        )
    assert (8, []) == (result.code, result.json["warnings"])


def test_fiat_that_failed_is_not_compared(program: Program) -> None:
    """A run without its fiat list does not make the fiat rows vanish for `diff`: they are named as not compared."""
    well = json_response(
        {"code": 200, "data": {"record": [{"merchantId": 1, "fiat": "USD", "balance": "12.50"}]}}
    )
    with Sandbox(scripted={_FIAT_PATH: [well, SandboxResponse(500, b"")]}) as server:
        text = _SHOP.format(name="shop", url=server.url, token=TOKEN, number=0)
        for _ in range(2):
            program.with_profile(text, "merchant", "--fiat", "--retries", "0", "--record", "-q")
    found = json.loads(program.with_profile(text, "diff", "1", "2", "--allow-partial", "-o", "json").out)
    assert ([("shop/fiat", "incomparable")], []) == (
        [(account["account"], account["happened"]) for account in found["accounts"]],
        found["balances"],
    )
