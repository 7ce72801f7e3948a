"""A record told again: the providers ask as they did, and what was recorded answers. No network, no secret."""

import json
import threading
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple, NoReturn, get_args

from balcli import __version__
from balcli import report as reports
from balcli.collect import collect
from balcli.errors import BalcliError, DeadlinePassed, EvidenceAltered, EvidenceDiffers, leaves
from balcli.evidence import folder, requests
from balcli.evidence.accounts import open_entry
from balcli.evidence.names import NAME, GivenNames
from balcli.evidence.record import LAYOUT, document_digest
from balcli.files import shown
from balcli.http.client import Request, parse_response
from balcli.http.strictjson import Json
from balcli.http.timing import Deadline
from balcli.models import Account, Failure, Notice, Outcome, Report
from balcli.providers.selection import ExactName
from balcli.settings import Order, RequestSettings
from balcli.text import printable

_PATIENCE: Final = 3600.0
_LEFT_OUT: Final = "the record leaves out an answer of the run, because it repeats a credential; replay a record without such an answer"


class Options(NamedTuple):
    """What the run was asked for that shapes its report or its output."""

    output: str
    assets: tuple[str, ...]
    flags: frozenset[str]
    nonzero: bool
    sort: Order | None
    totals_only: bool
    field: str | None
    absent: str | None


class Told(NamedTuple):
    """What a record came to: the report, the options that shape its output, and the record's own SHA-256."""

    report: Report
    options: Options
    sha256: str
    answers: int
    """How many bodies of answers are in the record."""
    other_version: str | None
    """The version of balcli that printed another document from this record; None where it is the same."""


def tell(place: Path) -> Told:
    """The report of a recorded run. Raises the EvidenceErrors, and UsageError for what is no folder."""
    files = folder.read(place)
    try:
        record = _read(place, files)
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError):
        # Hashes that fit say nothing of who made them.
        raise EvidenceAltered(
            f"{shown(place)}: {folder.MANIFEST} is not as balcli writes it; ask for the record anew"
        ) from None
    report = _told_again(record)
    same = document_digest(report) == record.document_sha256
    if not same and record.version == __version__:
        raise EvidenceDiffers(
            f"{shown(place)} is whole, but does not come to the document that its run printed; please report it"
        )
    return Told(report, record.options, files.sha256, len(files.others), None if same else record.version)


class _Answer(NamedTuple):
    """What one request came to in the end."""

    finished: bool
    status: int | None
    body: bytes | None
    """Empty where none was read; None where it was not kept."""
    problem: BalcliError | None


class _Ending(NamedTuple):
    """What came of one account: when it was had, or why it failed, and whether because it came too late."""

    account: str
    fetched_at: datetime | None
    failure: Failure | None
    late: bool


class _Record(NamedTuple):
    """A manifest as values, each of its type."""

    version: str
    generated_at: datetime
    profile: str | None
    options: Options
    accounts: tuple[Account[Any], ...]
    given: tuple[str, ...]
    """The names of the secrets that the accounts were opened with."""
    asked: tuple[tuple[Mapping[str, Any], _Answer], ...]
    endings: tuple[_Ending, ...]
    notices: tuple[Notice, ...]
    added: tuple[Notice, ...]
    failures: tuple[Failure, ...]
    document_sha256: str


def _read(place: Path, files: folder.Files) -> _Record:
    """The record that the files hold, each body with the digest that the manifest has for it.

    Raises EvidenceAltered, EvidenceDiffers, and what reading a manifest of another shape raises.
    """
    manifest = json.loads(files.manifest, parse_float=_no_fraction, parse_constant=_no_fraction)
    if manifest["evidence"] != LAYOUT:
        raise EvidenceDiffers(
            f"{shown(place)} is a record of the kind {printable(str(manifest['evidence']), 20)}, and this "
            f"balcli {__version__} knows {LAYOUT} alone; use a newer one"
        )
    _compare(place, manifest, files.others)
    options, profile = manifest["options"], manifest["profile"]
    return _Record(
        version=printable(str(manifest["balcli"]), 20),
        generated_at=_moment(manifest["generated_at"]),
        profile=None if profile is None else str(profile),
        options=Options(
            output=str(options["output"]),
            # A record of before it could be asked for has none.
            assets=tuple(map(ExactName if options.get("exact") is True else str, options["assets"])),
            flags=frozenset(map(str, options["flags"])),
            nonzero=options["nonzero"] is True,
            sort=_order(options["sort"]),
            totals_only=options["totals_only"] is True,
            field=_text_or_none(options.get("field")),
            absent=_text_or_none(options.get("absent")),
        ),
        accounts=tuple(open_entry(entry) for entry in manifest["accounts"]),
        given=tuple(NAME.findall(json.dumps(manifest["accounts"]))),
        asked=tuple((dict(entry["request"]), _answer(entry, files.others)) for entry in manifest["asked"]),
        endings=tuple(_ending(entry) for entry in manifest["outcomes"]),
        notices=tuple(_notice(entry) for entry in manifest["warnings"]),
        added=tuple(_notice(entry) for entry in manifest["added_warnings"]),
        failures=tuple(Failure.from_error(_error(entry)) for entry in manifest["errors"]),
        document_sha256=str(manifest["document_sha256"]),
    )


def _compare(place: Path, manifest: Any, others: Mapping[str, bytes]) -> None:
    """Raise EvidenceAltered unless each body is there, as it was, and no other."""
    bodies = [one["body"] for asked in manifest["asked"] for one in asked["tries"]]
    told = {body["file"]: body["sha256"] for body in bodies if body is not None and body["file"] is not None}
    for name, sha256 in told.items():
        if name not in others:
            raise EvidenceAltered(
                f"{shown(place)}: {printable(name, 60)} is missing; ask for the record anew"
            )
        if folder.digest(others[name]) != sha256:
            raise EvidenceAltered(f"{shown(place)}: {name} was altered; ask for the record anew")
    strangers = sorted(others.keys() - told.keys())
    if strangers:
        raise EvidenceAltered(
            f"{shown(place)}: {strangers[0]} is no part of the record; remove it, or ask for the record anew"
        )


def _answer(entry: Any, bodies: Mapping[str, bytes]) -> _Answer:
    """The last of a request's tries, and how it ended."""
    problem = None if entry["error"] is None else _error(entry["error"])
    finished = entry["finished"] is True
    if not entry["tries"]:
        return _Answer(finished, None, None, problem)
    last = entry["tries"][-1]
    body: bytes | None = b""
    if last["body"] is not None:
        body = None if last["body"]["file"] is None else bodies[last["body"]["file"]]
    return _Answer(finished, None if last["status"] is None else int(last["status"]), body, problem)


def _ending(entry: Any) -> _Ending:
    at = entry["fetched_at"]
    failure = None if entry["error"] is None else Failure.from_error(_error(entry["error"]))
    return _Ending(
        str(entry["account"]), None if at is None else _moment(at), failure, late=entry["late"] is True
    )


def _told_again(record: _Record) -> Report:
    """The report of a record, at the time of its run. Raises EvidenceDiffers where other accounts answer."""
    if record.failures:
        return Report(generated_at=record.generated_at, profile=record.profile, failures=record.failures)
    outcomes = collect(
        record.accounts,
        RequestSettings(),
        Deadline(_PATIENCE),
        assets=record.options.assets,
        flags=record.options.flags,
        client=_Recorded(record.asked, record.given),
    )
    # The run may have been sorted by account: its endings stand in the order of its output.
    endings = {ending.account: ending for ending in record.endings}
    if sorted(outcome.account.name for outcome in outcomes) != sorted(
        ending.account for ending in record.endings
    ):
        raise EvidenceDiffers(
            "the record's answers come to other accounts than its run had; please report it"
        )
    for outcome, ending in zip(outcomes, record.endings, strict=True):
        if ending.failure is None and _lacks_answer(outcome):
            raise EvidenceDiffers(_LEFT_OUT)
    made = reports.build(
        record.profile,
        [_as_it_was(outcome, endings[outcome.account.name]) for outcome in outcomes],
        record.notices,
    )
    options = record.options
    made = reports.without_zeros(made) if options.nonzero else made
    made = reports.arranged(made, options.sort, totals_only=options.totals_only)
    return made._replace(generated_at=record.generated_at, notices=(*made.notices, *record.added))


def _as_it_was(outcome: Outcome, ending: _Ending) -> Outcome:
    """The outcome at the time of its run; one that came too late then, or lacks an answer here, fails as it did."""
    if ending.failure is not None and (ending.late or _lacks_answer(outcome)):
        return Outcome(outcome.account, None, None, ending.failure)
    return outcome if outcome.failure is not None else outcome._replace(fetched_at=ending.fetched_at)


def _lacks_answer(outcome: Outcome) -> bool:
    return outcome.failure is not None and outcome.failure.message == _LEFT_OUT


class _Recorded:
    """Answers requests from a record, as the client would; the tries of one request count as their last.

    Requests that are alike are answered in the order in which they were asked. A token counts as the
    login that gave it: which of two accounts made it anew first is chance.
    """

    def __init__(self, asked: Iterable[tuple[Mapping[str, Any], _Answer]], given: Iterable[str]) -> None:
        self._names = GivenNames()
        self._lock = threading.Lock()
        self._answers: defaultdict[str, deque[_Answer]] = defaultdict(deque)
        self._issuers = dict.fromkeys(given, "")
        for request, answer in asked:
            key = self._key(request)
            for name in NAME.findall((answer.body or b"").decode("latin-1")):
                self._issuers.setdefault(name, key)
            if answer.finished:
                self._answers[key].append(answer)

    def request(self, request: Request) -> Json:
        """The payload of the recorded answer; raises what was raised then, and EvidenceDiffers for what was not asked."""
        key = self._key(requests.written(request, self._names))
        with self._lock:
            answers = self._answers[key]
            if not answers:
                raise EvidenceDiffers(
                    "the record does not hold a request that balcli makes; replay it with the version of balcli that made it"
                )
            # Here a token may be made anew once more than it was then; the last one serves.
            last = request.returns_credential and len(answers) == 1
            answer = answers[0] if last else answers.popleft()
        by_answer = not isinstance(answer.problem, DeadlinePassed)
        if by_answer and answer.status is not None and answer.body is not None:
            return parse_response(request, answer.status, answer.body)
        if answer.problem is None:
            raise EvidenceDiffers(_LEFT_OUT)
        raise answer.problem

    def _key(self, written: Mapping[str, Any]) -> str:
        """What a request is known by: of what a login gave, the login."""
        return NAME.sub(lambda name: self._issuers.get(name[0]) or name[0], requests.key(written))


def _error(entry: Any) -> BalcliError:
    """The error that a record tells. Raises KeyError for a code that there is none of."""
    kinds = {leaf.code: leaf for leaf in leaves(BalcliError)}
    return kinds[entry["code"]](str(entry["message"]), http_status=entry["http_status"])


def _notice(entry: Any) -> Notice:
    account = entry["account"]
    return Notice(str(entry["code"]), None if account is None else str(account), str(entry["message"]))


def _text_or_none(value: Any) -> str | None:
    return None if value is None else str(value)


def _order(text: Any) -> Order | None:
    """The order of that name. Raises KeyError for one that there is none of."""
    orders: dict[str | None, Order | None] = {order: order for order in get_args(Order)}
    return None if text is None else orders[text]


def _no_fraction(text: str) -> NoReturn:
    """There is none in a manifest."""
    raise ValueError(text)


def _moment(text: str) -> datetime:
    """A moment as a manifest has it. Raises ValueError or TypeError."""
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
