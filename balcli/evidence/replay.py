"""Replay a record: the providers send their requests again and get the recorded responses, without network or secrets.

The balances and totals are computed again from the responses and must match the recorded document. What the
responses do not contain, such as times, failure messages or late accounts, is taken from the document.
"""

import json
import threading
from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple, get_args

from balcli import __version__, document
from balcli import report as reports
from balcli.collect import collect
from balcli.errors import BalcliError, DeadlinePassed, EvidenceAltered, EvidenceDiffers, leaves
from balcli.evidence import folder
from balcli.evidence.names import NAME, Names, written_request
from balcli.evidence.record import LAYOUT
from balcli.files import shown
from balcli.http.client import Request, RequestSettings, parse_response
from balcli.http.strictjson import Json
from balcli.http.timing import Deadline
from balcli.models import Account, ExactName, Outcome, Report
from balcli.providers import PROVIDERS
from balcli.providers.base import SettingProblem, Values
from balcli.render.json import pieces
from balcli.secret import Secret
from balcli.settings import Order
from balcli.text import printable

_PATIENCE: Final = 3600.0
_ORDERS: Final[Mapping[str | None, Order | None]] = {
    None: None,
    **{order: order for order in get_args(Order)},
}
_ERRORS: Final = {leaf.code: leaf for leaf in leaves(BalcliError)}
_LEFT_OUT: Final = (
    "a response is missing from the record, because it repeated a credential; replay another record"
)
_SHAPED: Final = frozenset({"rows.hidden", "rows.left_out"})
"""The warnings that `--nonzero` and `--totals-only` add to a report."""


class Options(NamedTuple):
    """The run's options that affect its report or output."""

    output: str
    assets: tuple[str, ...]
    flags: frozenset[str]
    nonzero: bool
    sort: Order | None
    totals_only: bool
    field: str | None
    absent: str | None


class ReplayResult(NamedTuple):
    """The report of a record, the options that affect its output, and the SHA-256 of its manifest."""

    report: Report
    options: Options
    sha256: str
    answers: int
    """The number of response bodies in the record."""
    other_version: str | None
    """The version of balcli whose document differs from this replay; None if the document is the same."""


class _RecordedResponse(NamedTuple):
    """The last attempt of a request."""

    status: int | None
    headers: Mapping[str, str]
    body: bytes | None
    """Empty if there was none; None if it was not recorded."""
    problem: BalcliError | None


def replay(place: Path) -> ReplayResult:
    """The report of a recorded run. Raises an EvidenceError, or UsageError if it is not a folder."""
    try:
        files = folder.read(place)
        manifest, printed = files.manifest, files.others[folder.DOCUMENT]
        version = printable(str(manifest["balcli"]), 20)
        if manifest["evidence"] != LAYOUT:
            raise EvidenceDiffers(
                f"{shown(place)} is a record of layout {printable(str(manifest['evidence']), 20)}, and balcli "
                f"{__version__} reads only {LAYOUT}; replay it with balcli {version}"
            )
        options = _options(manifest["options"])
        accounts = [_open_entry(entry) for entry in manifest["accounts"]]
        client = _ReplayClient(manifest, files.others)
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError):
        # Matching hashes do not prove who made the files.
        raise folder.altered(place, f"{folder.MANIFEST} is not as balcli writes it") from None
    try:
        was = document.parse(printed)
    except document.DocumentError as problem:
        raise EvidenceDiffers(
            f"{shown(place)}: {folder.DOCUMENT} is not a document of balcli {__version__} ({problem}); "
            f"replay it with balcli {version}"
        ) from None
    report = was if was.failures else _replayed(accounts, client, options, was)
    same = "".join(pieces(report)).encode() == printed
    if not same and version == __version__:
        raise EvidenceDiffers(
            f"{shown(place)} is complete, but its replay differs from what the run printed; please report it"
        )
    return ReplayResult(report, options, files.sha256, len(files.others) - 1, None if same else version)


def _options(written: Any) -> Options:
    """The options as typed values. For an unexpected shape, raises what `folder.read` raises."""
    return Options(
        output=str(written["output"]),
        assets=tuple(map(ExactName if written["exact"] is True else str, written["assets"])),
        flags=frozenset(map(str, written["flags"])),
        nonzero=written["nonzero"] is True,
        sort=_ORDERS[written["sort"]],
        totals_only=written["totals_only"] is True,
        field=written["field"] and str(written["field"]),
        absent=written["absent"] and str(written["absent"]),
    )


def _open_entry(entry: Mapping[str, Any]) -> Account[Any]:
    """The account of an entry, with names for secrets.

    Raises EvidenceAltered or EvidenceDiffers, or TypeError or KeyError for an entry with an unexpected shape.
    """
    provider = PROVIDERS.get(entry["provider"])
    name, base_url = entry["account"], entry["base_url"]
    if not isinstance(name, str) or not isinstance(base_url, str):
        raise TypeError("an account's name and URL must be strings")
    if provider is None:
        raise EvidenceDiffers(
            f"the record has an account at the unknown provider {printable(entry['provider'], 40)}; install its plugin"
        )
    values = {key: _setting(value) for key, value in entry["settings"].items()}
    try:
        return provider.open_account(name, base_url, Values(values))
    except SettingProblem as problem:
        raise EvidenceAltered(
            f"the record's account {printable(name, 60)} cannot be opened: {problem.key} "
            f"{problem.message.partition(';')[0]}; ask for a new record"
        ) from None


def _setting(value: Any) -> Any:
    """The setting that `account_entry` wrote. Raises TypeError or KeyError for an unexpected shape."""
    if isinstance(value, list):
        return tuple(map(_setting, value))
    if not isinstance(value, Mapping):
        return value
    if "secret" in value:
        return Secret(str(value["secret"]))
    return {key: _setting(item) for key, item in value["table"].items()}


def _recorded_response(entry: Any, bodies: Mapping[str, bytes]) -> _RecordedResponse:
    """The last attempt of a request, and its result."""
    error, problem = entry["error"], None
    if error is not None:
        problem = _ERRORS[error["code"]](str(error["message"]), http_status=error["http_status"])
    if not entry["tries"]:
        return _RecordedResponse(None, {}, None, problem)
    last = entry["tries"][-1]
    kept, status = last["body"], None if last["status"] is None else int(last["status"])
    body = b"" if kept is None else None if kept["file"] is None else bodies[kept["file"]]
    return _RecordedResponse(status, dict(last["headers"]), body, problem)


def _replayed(
    accounts: Sequence[Account[Any]], client: "_ReplayClient", options: Options, was: Report
) -> Report:
    """The report of a record, with balances and totals computed again. Raises EvidenceDiffers if accounts differ."""
    settings, deadline = RequestSettings(), Deadline(_PATIENCE)
    outcomes = collect(
        accounts, settings, deadline, assets=options.assets, flags=options.flags, client=client
    )
    endings = {outcome.account.name: outcome for outcome in was.outcomes}
    if {outcome.account.name for outcome in outcomes} != endings.keys():
        raise EvidenceDiffers(
            "the recorded responses list different accounts from the run's; please report it"
        )
    made = reports.build(was.profile, [_as_it_was(each, endings[each.account.name]) for each in outcomes])
    made = reports.without_zeros(made) if options.nonzero else made
    made = reports.arranged(made, options.sort, totals_only=options.totals_only)
    notices = tuple(notice for notice in was.notices if notice.code not in _SHAPED)
    return made._replace(generated_at=was.generated_at, notices=notices)


def _as_it_was(outcome: Outcome, was: Outcome) -> Outcome:
    """The outcome at the time of the run. Raises EvidenceDiffers for a new failure."""
    if was.failure is not None:
        return Outcome(outcome.account, None, None, was.failure)
    if outcome.failure is not None:
        raise EvidenceDiffers(outcome.failure.message)
    return outcome._replace(fetched_at=was.fetched_at)


class _ReplayClient:
    """A client that answers requests from a record. The last attempt of each request counts.

    Equal requests are answered in the order in which they were sent. A token counts as the login that
    returned it, because the order of two logins is random.
    """

    def __init__(self, manifest: Any, bodies: Mapping[str, bytes]) -> None:
        self._lock = threading.Lock()
        self._answers: defaultdict[str, deque[_RecordedResponse]] = defaultdict(deque)
        self._issuers = dict.fromkeys(NAME.findall(json.dumps(manifest["accounts"])), "")
        for entry in manifest["asked"]:
            key, answer = self._key(entry["request"]), _recorded_response(entry, bodies)
            for name in NAME.findall((answer.body or b"").decode("latin-1")):
                self._issuers.setdefault(name, key)
            if entry["finished"] is True:
                self._answers[key].append(answer)
        self._names = Names(self._issuers)

    def close(self) -> None:
        """Do nothing: a record has no connections."""

    def request(self, request: Request) -> Json:
        """The payload of the recorded response. Raises the recorded error, or EvidenceDiffers if there is no response."""
        key = self._key(written_request(request, self._names))
        with self._lock:
            answers = self._answers[key]
            if not answers:
                raise EvidenceDiffers(
                    "a request is not in the record; replay it with the version of balcli that made the record"
                )
            # A token may be renewed once more than in the run: then the last response is used again.
            last = request.returns_credential and len(answers) == 1
            answer = answers[0] if last else answers.popleft()
        by_answer = not isinstance(answer.problem, DeadlinePassed)
        if by_answer and answer.status is not None and answer.body is not None:
            try:
                return parse_response(request, answer.status, answer.headers, answer.body)
            except BalcliError as problem:
                if type(problem) is not type(answer.problem):
                    raise
                # The recorded message names settings, waits and clocks, which are not in the response.
        raise answer.problem or EvidenceDiffers(_LEFT_OUT)

    def _key(self, written: Mapping[str, Any]) -> str:
        """The key of a request, with each token replaced by the login that returned it."""
        return NAME.sub(
            lambda name: self._issuers.get(name[0]) or name[0], json.dumps(written, sort_keys=True)
        )
