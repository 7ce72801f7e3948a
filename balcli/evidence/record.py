"""Record a run: collect every attempt of every request with its response, and write them at the end."""

import re
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from balcli import __version__
from balcli.collect import open_client
from balcli.config.entry import OpenedAccount
from balcli.errors import BalcliError
from balcli.evidence import folder
from balcli.evidence.names import Names, account_entry, written_request
from balcli.http import echoes
from balcli.http.client import Exchange, Request, RequestSettings, SupportsRequest
from balcli.http.strictjson import Json
from balcli.http.timing import Deadline
from balcli.models import Report
from balcli.render.json import pieces

if TYPE_CHECKING:
    from balcli.http.transport import Answer

LAYOUT: Final = "2.0"

# The recorded headers, each with the pattern that it must match: other text could be an echo of a credential.
_DATE: Final = r"(?:[A-Za-z]{3,9}, )?[0-9]{1,2}[ -][A-Za-z]{3}[ -][0-9]{2,4} [0-9]{2}:[0-9]{2}:[0-9]{2} (?:GMT|UTC|[+-][0-9]{4})"
_HEADERS: Final = {
    "date": re.compile(_DATE),
    "content-type": re.compile(r"[a-z]{1,20}/[a-z.+-]{1,40}(; ?charset=[A-Za-z0-9-]{1,20})?"),
    "content-length": re.compile(r"[0-9]{1,12}"),
    "content-encoding": re.compile(r"[a-z, -]{1,20}"),
    "retry-after": re.compile(rf"[0-9]{{1,6}}|{_DATE}"),
}


@dataclass(slots=True)
class _RecordedRequest:
    """One request with all its attempts and its result."""

    request: Request
    tries: list[Exchange] = field(default_factory=list)
    finished: bool = False
    problem: BalcliError | None = None


class Recorder:
    """Records the requests and responses of one run's client in a folder.

    Raises OutputError if the folder cannot be used.
    """

    def __init__(self, place: Path) -> None:
        folder.claim(place)
        self._place = place
        self._names = Names()
        self._accounts: list[dict[str, Any]] = []
        self._requests: list[_RecordedRequest] = []
        self._here = threading.local()
        self._client: SupportsRequest

    def client(
        self,
        accounts: Sequence[OpenedAccount],
        settings: RequestSettings,
        deadline: Deadline,
        observe: Callable[[Exchange], None] | None,
    ) -> "Recorder":
        """The recorder with a client for these accounts. `observe` is also called with every attempt."""

        def observe_exchange(exchange: Exchange) -> None:
            self._here.request.tries.append(exchange)
            if observe is not None:
                observe(exchange)

        pairs = [(each.account, each.values) for each in accounts if each.account is not None]
        self._accounts = [account_entry(account, values, self._names) for account, values in pairs]
        self._client = open_client([account for account, _ in pairs], settings, deadline, observe_exchange)
        return self

    def request(self, request: Request) -> Json:
        """Like the client's `request`."""
        self._here.request = recorded = _RecordedRequest(request)
        self._requests.append(recorded)
        try:
            payload = self._client.request(request)
        except BalcliError as problem:
            recorded.problem, recorded.finished = problem, True
            raise
        recorded.finished = True
        return payload

    def close(self) -> None:
        """Close the client."""
        self._client.close()

    def keep(self, report: Report, options: Mapping[str, Any]) -> str:
        """Write the collected requests and the report's document. Returns the manifest's SHA-256. Raises OutputError.

        `options` are the run's options that affect its output.
        """
        files: dict[str, bytes] = {}
        manifest = {
            "evidence": LAYOUT,
            "balcli": __version__,
            "options": options,
            "accounts": self._accounts,
            "asked": [self._written(one, files) for one in self._requests],
        }
        files[folder.DOCUMENT] = "".join(pieces(report)).encode()
        return folder.write(self._place, files, manifest)

    def _written(self, recorded: _RecordedRequest, bodies: dict[str, bytes]) -> dict[str, Any]:
        """One request as a plain object. The bodies of its responses are added to `bodies`."""
        # A thread may still be adding attempts: `finished` is read first, because nothing is added after it is set.
        return {
            "request": written_request(recorded.request, self._names),
            "finished": recorded.finished,
            "error": None if recorded.problem is None else _written_error(recorded.problem),
            "tries": [self._try(one, recorded, bodies) for one in recorded.tries],
        }

    def _try(
        self, exchange: Exchange, recorded: _RecordedRequest, bodies: dict[str, bytes]
    ) -> dict[str, Any]:
        answer = exchange.answer
        return {
            "at": f"{datetime.fromtimestamp(exchange.began / 1e9, UTC):%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z",
            "seconds": f"{exchange.seconds:.3f}",
            "sent_headers": list(exchange.headers),
            "sent_bytes": exchange.sent,
            "error": None if exchange.problem is None else _written_error(exchange.problem),
            "status": None if answer is None else answer.status,
            "headers": {} if answer is None else _headers(recorded.request.base_url, answer.headers),
            "body": None if answer is None else self._body(answer, recorded, bodies),
        }

    def _body(
        self, answer: "Answer", recorded: _RecordedRequest, bodies: dict[str, bytes]
    ) -> dict[str, Any] | None:
        """The entry of a body, which is added to `bodies` if it is recorded; None if there is no body."""
        kept = self._kept(answer, recorded)
        if not answer.body and kept is not None:
            return None
        file = None
        if kept is not None:
            file = f"{len(bodies) + 1:04}.body"
            bodies[file] = kept
        return {"file": file, "redacted": kept != answer.body, "received_bytes": len(answer.body)}

    def _kept(self, answer: "Answer", recorded: _RecordedRequest) -> bytes | None:
        """The body as sent, or the shape of a login's body; None if the response repeats a credential."""
        body, base_url = answer.body, recorded.request.base_url
        if echoes.contains_credential(
            base_url, answer.headers, b"", login=recorded.request.returns_credential
        ):
            return None
        if recorded.request.returns_credential and body:
            # A login that failed or did not finish may still have returned a token, in any shape.
            if not recorded.finished or recorded.problem is not None:
                return None
            body = self._names.shape(body)
        return None if echoes.may_contain_credential(base_url, body) else body


def _written_error(error: BalcliError) -> dict[str, Any]:
    return {"code": error.code, "message": error.message, "http_status": error.http_status}


def _headers(base_url: str, headers: Mapping[str, str]) -> dict[str, str]:
    """The headers to record, without those that repeat a credential."""
    return {
        name: value
        for name, form in _HEADERS.items()
        if form.fullmatch(value := headers.get(name, ""))
        and not echoes.contains_credential(base_url, {name: value}, b"")
    }
