"""The faults that the sandbox can simulate, for testing alerts; `balcli sandbox --faults` lists them."""

import json
import re
import socket
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple, TypeAlias

from balcli.providers import OWN
from balcli.sandbox.exchange import FaultContext, SandboxRequest, SandboxResponse, Script, json_response

HERE: Final = "http://{here}"
"""The address for faults that do not change the host."""
EXPIRED: Final = "expired"
"""The fault that the providers simulate themselves, because only they know their tokens."""

NAMES: Final = (
    "[bold red]RICH[/]", "x[/]", "ESC\x1b[2J", "OSC\x1b]8;;http://elsewhere.example\x07", "OSC\x1b]52;c;AAAA\x07", "C1\x9b31m",
    "CR\rEVIL", "NUL\x00", "two\nlines", "TAB\tbed", "line\u2028end", "\u202eIDIB", "zero\u200bwidth",
    "=HYPERLINK(1)", "ﷺ", "💰", "N" * 10_000,
)  # fmt: skip
"""Names of assets that a terminal, a spreadsheet or a parser might misinterpret."""

Play: TypeAlias = Callable[[FaultContext], SandboxResponse]
Rows: TypeAlias = list[dict[str, Any]]

_AMOUNT: Final = re.compile(rb'"(total|balance)":"([0-9.]+)",?')
_CREDENTIAL_HEADERS: Final = ("x-api-key", "authorization", "api-key", "x-bh-token", "x-bh-apikey")
# The request for the token table has no key.
_NO_KEY: Final = "sandbox-loopring-key"


def _well(context: FaultContext) -> SandboxResponse:
    return context.good


class Fault(NamedTuple):
    """One fault.

    `where` is the affected response: `balances`, `login`, the assets' `names`, or `all`. `code` is the exit code
    of a run with one account. `but` has different codes for single providers.
    """

    about: str
    code: int
    play: Play = _well
    where: str = "balances"
    but: Mapping[str, int] = {}
    address: str = HERE
    """The host in the profile: `{here}`, the `{closed}` port, or the `{deaf}` one."""

    @property
    def others(self) -> str:
        """The different exit codes of single providers, such as ` (loopring: 0)`; "" without any."""
        codes = ", ".join(f"{name}: {code}" for name, code in self.but.items())
        return f" ({codes})" if codes else ""


# Functions that make responses.


def always(response: SandboxResponse) -> Play:
    """Always return the same response."""
    return lambda _context: response


def at_odd_times(play: Play) -> Play:
    """Affect every other request, starting with the first, so that a retry helps."""
    return lambda context: play(context) if context.number % 2 else context.good


def scripted(script: Script) -> Play:
    """Let a script send the normal response."""
    return lambda context: context.good._replace(script=script)


def with_body(make: Callable[[bytes], bytes]) -> Play:
    """Change the body of the normal response."""
    return lambda context: context.good._replace(body=make(context.good.body))


def with_amount(text: str) -> Play:
    """Replace the first amount with this JSON text; "" removes it."""

    def replaced(found: re.Match[bytes]) -> bytes:
        end = b"," if found[0].endswith(b",") else b""
        return b'"' + found[1] + b'":' + text.encode() + end if text else b""

    return with_body(lambda body: _AMOUNT.sub(replaced, body, count=1))


def with_rows(change: Callable[[Rows], object]) -> Play:
    """Change the rows of balances or tokens. A body without rows is unchanged."""

    def make(body: bytes) -> bytes:
        try:
            payload = json.loads(body)
        except ValueError:
            return body
        rows = rows_of(payload)
        if rows:
            change(rows)
        return json.dumps(payload, separators=(",", ":")).encode()

    return with_body(make)


def with_names(names: Iterable[str]) -> Play:
    """Rename the assets, with a copy of the first balance for each remaining name."""

    def change(rows: Rows) -> None:
        first = dict(rows[0])
        key = "symbol" if "symbol" in first else "asset"
        for number, name in enumerate(names):
            if number == len(rows):
                if key == "symbol":
                    break
                rows.append(dict(first))
            rows[number][key] = name

    return with_rows(change)


def rows_of(payload: Any) -> Rows:
    """The rows of any provider's balances or tokens; empty if there are none."""
    while isinstance(payload, dict):
        payload = payload.get("data", payload.get("balances"))
    return payload or []


def credential_of(request: SandboxRequest) -> str:
    """The credential of a request: that of a header, or the password of a login."""
    found = next((request.headers[name] for name in _CREDENTIAL_HEADERS if name in request.headers), "")
    if request.path.endswith("/auth/login"):
        found = str(json.loads(request.body).get("password", ""))
    return found.removeprefix("Bearer ") or _NO_KEY


# Scripts for a connection.


def keeps_silent(connection: socket.socket, _answer: bytes) -> None:
    """Wait until the client goes away."""
    while connection.recv(65536):
        pass


def cuts(connection: socket.socket, answer: bytes) -> None:
    """Send only the first half of the body."""
    _, _, body = answer.partition(b"\r\n\r\n")
    connection.sendall(answer[: -(len(body) // 2)])


def _pours(connection: socket.socket, _answer: bytes) -> None:
    """Send a body for as long as the client reads it."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n")
    while True:
        connection.sendall(b" " * 65536)


# The responses of single faults.

_UNAVAILABLE: Final = SandboxResponse(503, b"")
_PAGE: Final = b"<!doctype html><title>Maintenance</title><p>We will be back soon.</p>"
DEGRADED: Final = "Service degraded"
LOOPRING_DEGRADED: Final = {"resultInfo": {"code": 104208, "message": DEGRADED}}
# The errors of all three providers in one body.
_ERROR: Final = {
    "resultInfo": {"code": 100001, "message": "unknown error"},
    "code": -5046,
    "msg": "COMMON_ERROR",
    "statusCode": 500,
    "message": "unknown error",
    "errors": [{"code": "unknown", "message": "unknown error"}],
}
_EXPIRED: Final = {
    "resultInfo": {"code": 104002, "message": "the token expired"},
    "code": 401,
    "msg": "the token expired",
    "statusCode": 401,
    "message": "the token expired",
}


def _echo(context: FaultContext) -> SandboxResponse:
    sent = {**context.request.headers, "body": context.request.body.decode("utf-8", "replace")}
    return SandboxResponse(
        500, json.dumps(sent).encode(), {"Content-Type": "application/json", "X-Echo": repr(sent)}
    )


def _echo_as_name(context: FaultContext) -> SandboxResponse:
    return with_names([credential_of(context.request)])(context)


def _degraded(context: FaultContext) -> SandboxResponse:
    """The response with an error and without rows, or the relayer's own error code."""
    payload = json.loads(context.good.body)
    if isinstance(payload, list):
        return json_response(LOOPRING_DEGRADED, 400)
    data = [] if isinstance(payload["data"], list) else {**payload["data"], "balances": []}
    return json_response({**payload, "data": data, "error": DEGRADED}, context.good.status)


def _stranger(rows: Rows) -> None:
    if "accountId" in rows[0] and "nftId" not in rows[0]:
        rows[0]["accountId"] += 1


def _unitless(rows: Rows) -> None:
    if "symbol" in rows[0]:
        rows[0]["decimals"] = "18"


FAULTS: Final[dict[str, Fault]] = {
    EXPIRED: Fault("all generated tokens and JWTs expire once during the run", 0),
    "refused": Fault("401: the key or token is rejected", 4, always(SandboxResponse(401, b""))),
    "forbidden": Fault("403: the key lacks permission", 4, always(SandboxResponse(403, b""))),
    "firewall": Fault(
        "403 with a web page: the IP address or region is blocked", 4,
        always(SandboxResponse(403, _PAGE, {"Content-Type": "text/html"})),
    ),
    "login-refused": Fault("401 to a login", 4, always(SandboxResponse(401, b"")), "login", {"loopring": 0}),
    "unavailable": Fault("503 with an empty body, every time", 5, always(_UNAVAILABLE)),
    "flaky": Fault("503 on every other request, so that a retry helps", 0, at_odd_times(always(_UNAVAILABLE))),
    "limited": Fault("429 with a Retry-After of one day", 7, always(SandboxResponse(429, b"", {"Retry-After": "86400"}))),
    "busy": Fault(
        "429 with a Retry-After of one second, on every other request", 0,
        at_odd_times(always(SandboxResponse(429, b"", {"Retry-After": "1"}))),
    ),
    "echo": Fault("500 that echoes the whole request", 5, _echo),
    "redirect": Fault(
        "302 to https://elsewhere.example/", 6, always(SandboxResponse(302, b"", {"Location": "https://elsewhere.example/"}))
    ),
    "no-listener": Fault("nothing listens on the port", 5, address="http://{closed}"),
    "deaf": Fault("the port accepts connections, but nothing responds", 5, address="http://{deaf}"),
    "silent": Fault("no response to a request", 5, scripted(keeps_silent)),
    "cut": Fault("the connection closes during the response, every time", 6, scripted(cuts)),
    "endless": Fault("an endless body", 6, scripted(_pours)),
    "page": Fault(
        "200 with a web page instead of JSON", 6, always(SandboxResponse(200, _PAGE, {"Content-Type": "text/html"}))
    ),
    "error": Fault("a success whose body is the provider's error", 6, lambda context: json_response(_ERROR, context.good.status)),
    "degraded": Fault("an error with an empty list of balances", 6, _degraded, but={"loopring": 5}),
    "denied": Fault("a refusal with HTTP 200", 4, lambda context: json_response(_EXPIRED, context.good.status)),
    "half": Fault("half of the JSON, with correct framing", 6, with_body(lambda body: body[: len(body) // 2])),
    "amount": Fault('an amount is "1_000"', 6, with_amount('"1_000"')),
    "amount-missing": Fault(
        "an amount is missing (unknown for a wallet)", 6, with_amount(""), but={"wallet": 0}
    ),
    "amount-null": Fault("an amount is null (unknown for a wallet)", 6, with_amount("null"), but={"wallet": 0}),
    "minus": Fault("an amount is -5", 0, with_amount('"-5"')),
    "repeated": Fault("an asset is listed twice", 0, with_rows(lambda rows: rows.append(dict(rows[0])))),
    "names": Fault("asset names that can confuse a terminal or a spreadsheet", 0, with_names(NAMES), "names"),
    "stranger": Fault(
        "Loopring returns a row of another account", 6, with_rows(_stranger), "all", {"wallet": 0, "merchant": 0}
    ),
    "decimals": Fault("Loopring lists a token with invalid decimals", 0, with_rows(_unitless), "all"),
    "echo-name": Fault("the credential as an asset's name", 6, _echo_as_name, "names"),
}  # fmt: skip
"""The faults by name. Faults that only the tests use are in `tests/faults/`."""


def fault_names(like: str) -> list[str]:
    """The names of faults: `NAME`, or `PROVIDER:NAME` if `like` has a colon."""
    providers = [f"{provider}:" for provider in OWN] if ":" in like else [""]
    return [provider + name for provider in providers for name in FAULTS]
