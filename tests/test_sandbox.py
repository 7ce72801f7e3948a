"""The sandbox tells the truth: what it answers is what the vendors document, and what its faults lead to is listed."""

import itertools
import json
import socket
from typing import Any, cast
from urllib.parse import urlsplit

from balcli.cli.options import REPORTS
from balcli.sandbox import Sandbox, SandboxRequest, SandboxResponse
from balcli.sandbox.loopring import ACCOUNT_ID, ADDRESS, KEY, Loopring
from balcli.sandbox.merchant import TOKEN, Merchant
from balcli.sandbox.wallet import API_KEY, TREASURY, Wallet
from tests.conftest import Program
from tests.faults import ALL, LISTED
from tests.faults.bodies import HARD
from tests.faults.refusals import PRETENCES


def _relayer(path: str, **query: str) -> SandboxResponse:
    # One for each request: it allows five in a second.
    return Loopring().answer(SandboxRequest("GET", f"/api/v3/user/{path}", query, {"x-api-key": KEY}, b""))


def _shop(path: str, **query: str) -> SandboxResponse:
    return Merchant().answer(SandboxRequest("GET", f"/v2/{path}", query, {"x-bh-token": TOKEN}, b""))


def _wallet(body: object) -> SandboxResponse:
    return Wallet().answer(
        SandboxRequest("POST", "/v2/balance", {}, {"api-key": API_KEY}, json.dumps(body).encode())
    )


def test_an_empty_filter_of_the_relayer_means_all() -> None:
    """`tokens=` gives every balance, as no filter does; a filter gives those that it names."""
    owner = {"accountId": str(ACCOUNT_ID)}
    every = json.loads(_relayer("balances", **owner).body)
    assert (5, every) == (len(every), json.loads(_relayer("balances", **owner, tokens="").body))
    some = json.loads(_relayer("balances", **owner, tokens="3,0,99").body)
    assert [0, 3] == [row["tokenId"] for row in some]


def test_a_number_that_is_none_is_answered_with_400() -> None:
    """Whatever stands in the place of a number, or of a list, gets an answer with the vendor's error."""
    bad = ("x", "", "-1", "1.5", "²", "1_0", "9" * 5000, "None")
    owner = {"accountId": str(ACCOUNT_ID)}
    bodies: list[object] = [5, [], {"walletId": 5}, {"walletId": []}]
    bodies += [
        {"walletId": TREASURY, "assets": value} for value in cast("list[object]", [5, "USDT", {}, True])
    ]
    responses = [
        *(_relayer("balances", accountId=text, address=ADDRESS) for text in bad if text),
        *(_relayer("balances", **owner, tokens=text) for text in (*bad, "0,x") if text),
        *(_relayer("nft/balances", **owner, **{key: text}) for key in ("offset", "limit") for text in bad),
        *(_shop("assets/account/assets", merchantId=text) for text in bad),
        *(_shop("merchants", **{key: text}) for key in ("pageSize", "currentPage") for text in bad),
        *(_shop("merchants", status=text) for text in bad if text != "-1"),
        *map(_wallet, bodies),
    ]
    assert {400} == {response.status for response in responses}
    assert all(json.loads(response.body) for response in responses)


def test_a_bad_length_is_answered_too() -> None:
    """A Content-Length that is no number is a 400, and no dropped connection."""
    with (
        Sandbox() as server,
        socket.create_connection((urlsplit(server.url).hostname, urlsplit(server.url).port)) as raw,
    ):
        raw.sendall(b"POST /wallet/v2/balance HTTP/1.1\r\nHost: x\r\nContent-Length: many\r\n\r\n")
        assert b" 400 " in raw.recv(4096).partition(b"\r\n")[0]


def test_velafis_pages_have_the_documented_fields() -> None:
    """A page says which it is and how long, has the rows in it, and `status` filters: by default the normal ones."""

    def listed(path: str, key: str, **query: str) -> tuple[dict[str, Any], list[Any]]:
        data = json.loads(_shop(path, **query).body)["data"]
        return {name: data[name] for name in ("currentPage", "size", "total")}, data[key]

    page, rows = listed("merchants", "data", status="-1", pageSize="2", currentPage="2")
    assert ({"currentPage": 2, "size": 2, "total": 3}, [12347]) == (page, [row["merchantId"] for row in rows])
    assert {"country", "merchantName", "email", "merchantType", "status", "createTime"} <= rows[0].keys()
    by_status = {
        status: [row["merchantId"] for row in listed("merchants", "data", **query)[1]]
        for status, query in {
            None: {},
            "1": {"status": "1"},
            "2": {"status": "2"},
            "3": {"status": "3"},
        }.items()
    }
    assert {None: [12345, 12346], "1": [12347], "2": [12345, 12346], "3": []} == by_status
    page, rows = listed("merchant/accounts", "record")
    assert {"currentPage": 1, "size": 10, "total": 3} == page
    assert {"merchantId", "fiat", "balance", "status", "paymentId", "paymentMethodName"} <= rows[0].keys()


def test_the_list_of_faults_has_the_codes_by_provider(program: Program) -> None:
    """`--faults` has each fault's code, and the providers at which it is another."""
    lines = program.run("sandbox", "--faults").out.splitlines()[1:]
    assert [*LISTED] == [line.split()[0] for line in lines]
    for line, fault in zip(lines, LISTED.values(), strict=True):
        told = ", ".join(f"{name}: {code}" for name, code in fault.but.items())
        assert str(fault.code) == line.split()[1]
        assert line.endswith(f"({told})" if told else fault.about)


def test_a_fault_leads_to_its_code_in_every_format(program: Program) -> None:
    """Answers that are errors, refusals at 200 and odd fields end with the code that is listed, whatever the format."""
    formats = itertools.cycle([form.value for form in REPORTS])
    faults = [*PRETENCES, "page", "error", "degraded", "denied", *HARD, "minus", "repeated"]
    faults.remove("long")
    wrong = []
    for name, provider in itertools.product(faults, ("loopring", "wallet", "merchant")):
        output = next(formats)
        code = program.run(provider, "--sandbox", "--fault", name, "--retries", "0", "-o", output).code
        if code != ALL[name].but.get(provider, ALL[name].code):
            wrong.append((name, provider, output, code))
    assert [] == wrong
