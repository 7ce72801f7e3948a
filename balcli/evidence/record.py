"""A run being recorded: every try of every request with its answer, gathered as it runs and written at its end."""

import re
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from balcli import __version__
from balcli.collect import open_client
from balcli.config.accounts import OpenedAccount
from balcli.errors import BalcliError
from balcli.evidence import folder, requests
from balcli.evidence.accounts import account_entry
from balcli.evidence.names import Names
from balcli.http import echoes
from balcli.http.client import Exchange, Request, SupportsRequest
from balcli.http.strictjson import Json
from balcli.http.timing import Deadline
from balcli.models import Report
from balcli.render import machine
from balcli.settings import RequestSettings

if TYPE_CHECKING:
    from balcli.http.transport import Answer

LAYOUT: Final = "2.0"

# Headers that are worth keeping, each with the form that it must have: what a server puts elsewhere could be an echo.
_DATE: Final = r"(?:[A-Za-z]{3,9}, )?[0-9]{1,2}[ -][A-Za-z]{3}[ -][0-9]{2,4} [0-9]{2}:[0-9]{2}:[0-9]{2} (?:GMT|UTC|[+-][0-9]{4})"
_HEADERS: Final = {
    "date": re.compile(_DATE),
    "content-type": re.compile(r"[a-z]{1,20}/[a-z.+-]{1,40}(; ?charset=[A-Za-z0-9-]{1,20})?"),
    "content-length": re.compile(r"[0-9]{1,12}"),
    "content-encoding": re.compile(r"[a-z, -]{1,20}"),
    "retry-after": re.compile(rf"[0-9]{{1,6}}|{_DATE}"),
}


@dataclass(slots=True)
class _Asked:
    """One request with all its tries, and what came of it in the end."""

    request: Request
    tries: list[Exchange] = field(default_factory=list)
    finished: bool = False
    problem: BalcliError | None = None


class Recorder:
    """Stands before the client of one run, and writes into a folder what went through it.

    Raises OutputError if the folder is none that can be taken.
    """

    def __init__(self, place: Path) -> None:
        folder.claim(place)
        self._place = place
        self._names = Names()
        self._accounts: list[dict[str, Any]] = []
        self._asked: list[_Asked] = []
        self._lock = threading.Lock()
        self._here = threading.local()

    def client(
        self,
        accounts: Sequence[OpenedAccount],
        settings: RequestSettings,
        deadline: Deadline,
        observe: Callable[[Exchange], None] | None,
    ) -> SupportsRequest:
        """The client for these accounts, and the recorder before it; another may observe, too."""

        def heard(exchange: Exchange) -> None:
            self._here.asked.tries.append(exchange)
            if observe is not None:
                observe(exchange)

        pairs = [(each.account, each.values) for each in accounts if each.account is not None]
        self._accounts = [account_entry(account, values, self._names) for account, values in pairs]
        return _Before(open_client([account for account, _ in pairs], settings, deadline, heard), self._begin)

    def _begin(self, request: Request) -> _Asked:
        self._here.asked = asked = _Asked(request)
        with self._lock:
            self._asked.append(asked)
        return asked

    def keep(self, report: Report, options: Mapping[str, Any]) -> str:
        """Write what was gathered, and the report's document; the SHA-256 of the manifest. Raises OutputError.

        `options` are those of the run that shape its output.
        """
        with self._lock:
            asked = [_Asked(a.request, [*a.tries], a.finished, a.problem) for a in self._asked]
        files: dict[str, bytes] = {}
        manifest = {
            "evidence": LAYOUT,
            "balcli": __version__,
            "options": options,
            "accounts": self._accounts,
            "asked": [self._written(one, files) for one in asked],
        }
        files[folder.DOCUMENT] = "".join(machine("json", report)).encode()
        return folder.write(self._place, files, manifest)

    def _written(self, asked: _Asked, bodies: dict[str, bytes]) -> dict[str, Any]:
        """One request as a plain object; the bodies of its answers are added to the files."""
        return {
            "request": requests.written(asked.request, self._names),
            "finished": asked.finished,
            "error": None if asked.problem is None else _written_error(asked.problem),
            "tries": [self._try(one, asked, bodies) for one in asked.tries],
        }

    def _try(self, exchange: Exchange, asked: _Asked, bodies: dict[str, bytes]) -> dict[str, Any]:
        answer = exchange.answer
        return {
            "at": _at(exchange.began),
            "seconds": f"{exchange.seconds:.3f}",
            "sent_headers": list(exchange.headers),
            "sent_bytes": exchange.sent,
            "error": None if exchange.problem is None else _written_error(exchange.problem),
            "status": None if answer is None else answer.status,
            "headers": {} if answer is None else _headers(asked.request.base_url, answer.headers),
            "body": None if answer is None else self._body(answer, asked, bodies),
        }

    def _body(self, answer: "Answer", asked: _Asked, bodies: dict[str, bytes]) -> dict[str, Any] | None:
        """What is told of a body, which is added to the files if it is kept; null where there is none."""
        kept = self._kept(answer, asked)
        if not answer.body and kept is not None:
            return None
        file = None
        if kept is not None:
            file = f"{len(bodies) + 1:04}.body"
            bodies[file] = kept
        return {"file": file, "redacted": kept != answer.body, "received_bytes": len(answer.body)}

    def _kept(self, answer: "Answer", asked: _Asked) -> bytes | None:
        """The body as it was sent, of a login its shape; None where the answer repeats a credential."""
        body, base_url = answer.body, asked.request.base_url
        if echoes.contains_credential(base_url, answer.headers, b"", login=asked.request.returns_credential):
            return None
        if asked.request.returns_credential and body:
            # A login that went wrong, or was not seen to its end, can have given a token all the same, in whatever shape.
            if not asked.finished or asked.problem is not None:
                return None
            body = self._names.shape(body)
        return None if echoes.may_contain_credential(base_url, body) else body


class _Before:
    """The client with a recorder before it."""

    def __init__(self, client: SupportsRequest, begin: Callable[[Request], _Asked]) -> None:
        self._client = client
        self._begin = begin

    def request(self, request: Request) -> Json:
        """What the client answers; raises what it raises."""
        asked = self._begin(request)
        try:
            payload = self._client.request(request)
        except BalcliError as problem:
            asked.problem = problem
            asked.finished = True
            raise
        asked.finished = True
        return payload


def _written_error(error: BalcliError) -> dict[str, Any]:
    return {"code": error.code, "message": error.message, "http_status": error.http_status}


def _headers(base_url: str, headers: Mapping[str, str]) -> dict[str, str]:
    """The headers that are worth keeping, those that repeat a credential left out."""
    there = ((name, headers.get(name, ""), form) for name, form in _HEADERS.items())
    kept = {name: value for name, value, form in there if form.fullmatch(value)}
    return {
        name: value
        for name, value in kept.items()
        if not echoes.contains_credential(base_url, {name: value}, b"")
    }


def _at(nanoseconds: int) -> str:
    """A moment in UTC, to the millisecond."""
    moment = datetime.fromtimestamp(nanoseconds // 1_000_000_000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{nanoseconds // 1_000_000 % 1000:03}Z"
