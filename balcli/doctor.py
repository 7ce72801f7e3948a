"""Check everything that a run needs: files, environment, sources of secrets, and the connection to each server.

Each check is a Step. The last stage is the real balance request, so its exit code is that of a run.
"""

import stat
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from balcli.collect import OnProgress, each, fetch, open_client
from balcli.config.credentials import credential_notices, source_of
from balcli.config.entry import Entry, OpenedAccount, open_entry
from balcli.config.inspection import base_url_note, shown_name
from balcli.config.problems import Problem, Problems, Source
from balcli.config.profile import Profile, check_certificates, check_together, load, select
from balcli.config.sources import (
    SecretSources,
    exists,
    parse_toml,
    read_text,
    read_variables,
)
from balcli.diagnosis import Diagnosis, Status, Step
from balcli.errors import (
    AccountError,
    BalcliError,
    ConfigFileError,
    DeadlinePassed,
    EchoesCredential,
    NetworkError,
    ProxyFailed,
    SecretError,
    VariableError,
)
from balcli.files import CAN_CHECK, shown
from balcli.http import probe
from balcli.http.client import Exchange, RequestSettings
from balcli.http.echoes import host_key
from balcli.http.timing import CLOCK_TOLERANCE, Deadline, seconds_ahead
from balcli.models import Account, Failure, Holdings, Notice, Outcome, Report
from balcli.providers import PLUGIN_NOTICES, PROVIDERS, coverage_of
from balcli.providers.base import Run
from balcli.settings import CA_VARIABLES
from balcli.text import numbered, printable
from balcli.urls import display_url, is_loopback

_STAGES: Final = ("name", "tcp", "tls", "credentials", "latency", "clock")
"""The network checks of each account, in order."""

_FEWEST_DAYS: Final = 21
_CLOCK_FAILURE: Final = 300
_PROXY_NAMES: Final = frozenset({"https_proxy", "http_proxy", "all_proxy"})
_CLOCK_CURE: Final = "synchronize the clock of this machine, for example with NTP"


def read_files(
    file: Path, *, must_exist: bool, name: str | None, env_file: Path | None, environ: Mapping[str, str]
) -> tuple[list[Step], Profile | BalcliError]:
    """The steps for the config file and its `.env`, and the profile or its error."""
    is_there, beside = must_exist or exists(file), file.parent / ".env"
    steps = _file_steps(file) if is_there else []
    chosen = env_file or (beside if is_there and exists(beside) else None)
    if chosen is not None:
        steps += _env_file_steps(chosen, environ)
    if is_there and not CAN_CHECK:
        message = "file owners and modes are not checked on this system"
        steps.append(
            Step(None, "profile", "warning", message, "make sure that only you can access the files")
        )
    profile: Profile | BalcliError
    try:
        profile = load(file, must_exist=must_exist, name=name, env_file=env_file, environ=environ)
    except BalcliError as problem:
        profile, errors = problem, problem.every
    else:
        errors = Problems(one for one in profile.problems if not isinstance(one[1], Entry)).errors()
        if profile.name is None:
            text = f"{shown(file)} does not exist; accounts come from environment variables"
            steps.insert(0, Step(None, "profile", "ok", text))
    for error in errors:
        # Whether a file's mode is a problem can depend on its content.
        stage = "profile" if isinstance(error, ConfigFileError) else "accounts"
        step = Step.failed(None, stage, error)
        if step not in [each._replace(step=stage) for each in steps]:
            steps = [each for each in steps if (each.step, each.status) != (stage, "ok")] + [step]
    return steps, profile


def _file_steps(file: Path) -> list[Step]:
    problems = Problems()
    with problems.step():
        read = read_text(file, problems)
        parse_toml(Source(file, read.text))
        if not problems.found:
            return [Step(None, "profile", "ok", f"{shown(file)}, mode {_mode(read.state.st_mode)}")]
    return _failed("profile", problems)


def _env_file_steps(file: Path, environ: Mapping[str, str]) -> list[Step]:
    problems = Problems()
    variables = read_variables(environ, file, problems)
    steps = [Step.from_message(None, "env_file", "warning", each.message) for each in variables.notices]
    if not problems.found:
        text = f"{shown(file)}, mode {_mode(file.stat().st_mode)}, {len(variables.from_file)} variables"
        steps.insert(0, Step(None, "env_file", "ok", text))
    return steps + _failed("env_file", problems)


def _failed(stage: str, problems: Problems) -> list[Step]:
    return [Step.failed(None, stage, error) for error in problems.errors()]


def surroundings(environ: Mapping[str, str], profile: Profile | None) -> list[Step]:
    """A warning for each plugin, file or variable that is ignored or overridden."""
    found = [Step.from_message(None, "plugins", "warning", notice.message) for notice in PLUGIN_NOTICES]
    found += [Step.from_message(None, "environment", "warning", text) for text in _ignored(environ, profile)]
    return found or [Step(None, "environment", "ok", "no setting is ignored or overridden")]


def examine(
    profile: Profile,
    names: Sequence[str],
    settings: RequestSettings,
    deadline: Deadline,
    environ: Mapping[str, str],
    *,
    offline: bool,
    on_progress: OnProgress | None,
) -> Diagnosis:
    """Check each account, in the profile's order. Returns by the deadline; `on_progress` as in `collect`."""
    problems = Problems(profile.problems)
    entries = select(profile, None, [*names], problems)
    diagnoses = [_AccountDiagnosis(entry) for entry in entries]
    where = f"profile {printable(profile.name, 40)}" if profile.name else "the environment"
    general = _open_all(diagnoses, SecretSources(deadline, settings.command_timeout), problems)
    failures = [Failure.from_error(error) for error in problems.errors()]
    # The earlier steps already report the others.
    new = Problems(one for one in general if isinstance(one[1], Entry) or one not in profile.problems)
    listed = ", ".join(printable(diagnosis.entry.name, 40) for diagnosis in diagnoses)
    steps = _failed("accounts", new)
    if not general:
        steps.append(Step(None, "accounts", "ok", f"{where}: {listed}"))
    if not entries:
        return Diagnosis(tuple(steps), Report(datetime.now(UTC), profile.name, failures=tuple(failures)))
    opened = {diagnosis: diagnosis.account for diagnosis in diagnoses if diagnosis.account is not None}
    steps += _coverage(dict.fromkeys(account.provider for account in opened.values()))
    reason = "--offline"
    if general:
        offline, reason = True, "the profile failed"
    bundles = Problems()
    check_certificates(profile, [OpenedAccount(each.entry, {}, each.account) for each in diagnoses], bundles)
    if not bundles.found:
        with bundles.step():
            prober = _Prober(list(opened.values()), settings, deadline)
            steps += prober.steps()
    if bundles.found:
        steps += _failed("ca_bundle", bundles)
        failures += [Failure.from_error(error) for error in bundles.errors()]
        offline, reason = True, "ca_bundle failed"
    for diagnosis, account in opened.items():
        diagnosis.find_route(account, settings, environ)
    if not offline:
        prober.visit(
            {diagnosis: account for diagnosis, account in opened.items() if diagnosis.route is not None},
            on_progress,
        )
    for diagnosis in diagnoses:
        steps += diagnosis.whole(reason)
    outcomes = tuple(diagnosis.outcome for diagnosis in diagnoses if diagnosis.outcome is not None)
    report = Report(datetime.now(UTC), profile.name, outcomes=outcomes, failures=tuple(failures))
    return Diagnosis(tuple(steps), report)


def unreadable(name: str | None, steps: Sequence[Step], problem: BalcliError) -> Diagnosis:
    """The diagnosis of a profile that cannot be read."""
    return Diagnosis(tuple(steps), Report(datetime.now(UTC), name, failures=(Failure.from_error(problem),)))


class _AccountDiagnosis:
    """The steps of one account, added by its thread. It is closed at the deadline, even if the thread still runs."""

    def __init__(self, entry: Entry) -> None:
        self.entry = entry
        self.account: Account[Any] | None = None
        self.route: probe.Route | None = None
        self.outcome: Outcome | None = None
        self.stage = _STAGES[0]
        self._steps: list[Step] = []
        self._closed = False
        self._lock = threading.Lock()

    def has(self, problem: Problem) -> bool:
        """Whether a configuration problem belongs to this account."""
        place = problem[1]
        return isinstance(place, Entry) and (place.provider, place.path) == (
            self.entry.provider,
            self.entry.path,
        )

    def note(self, step: str, status: Status, message: str, cure: str | None = None) -> None:
        """Add a step."""
        self._add(Step(self.entry.name, step, status, message, cure))

    def fail(self, step: str, problem: BalcliError, *, last: bool = False) -> None:
        """Add a failed step, which is also the outcome of an opened account. No step follows the `last`."""
        outcome = None
        if self.account is not None:
            outcome = Outcome.failed(self.account, problem)
        self._add(Step.failed(self.entry.name, step, problem), outcome, last=last)

    def warn(self, step: str, notice: Notice) -> None:
        """Add a warning step for a notice."""
        self._add(Step.from_message(self.entry.name, step, "warning", notice.message))

    def answer(self, outcome: Outcome) -> None:
        """Add the steps of a successful call, and its outcome."""
        holdings = outcome.holdings or Holdings(())
        said = f"accepted; {numbered(len(holdings.balances), 'balance')} listed"
        self._add(Step(self.entry.name, "credentials", "ok", said), outcome)
        for notice in holdings.notices:
            if notice.code == EchoesCredential.code:
                self.warn("credentials", notice)

    def _add(self, step: Step, outcome: Outcome | None = None, *, last: bool = False) -> None:
        with self._lock:
            if not self._closed:
                self._steps.append(step)
                self.outcome = outcome or self.outcome
                self._closed = last

    def find_route(
        self, account: Account[Any], settings: RequestSettings, environ: Mapping[str, str]
    ) -> None:
        """Add the proxy step, using only the profile and the environment."""
        try:
            self.route = probe.route_to(account.base_url, settings.proxy)
        except NetworkError as problem:
            self.fail("proxy", problem)
            return
        server = self.route.server
        if self.route.proxy is not None:
            through = f"{self.route.proxy.shown} ({self.route.setting})"
            self.note("proxy", "ok", f"{server.shown} through {through}")
            return
        named = [name for name in environ if name.lower() in _PROXY_NAMES and environ[name]]
        why = "not for loopback" if is_loopback(server.host) else "NO_PROXY or the scheme excludes it"
        beside = f"; {', '.join(named)} is set, but {why}" if named else ""
        self.note("proxy", "ok", f"direct connection to {server.shown}{beside}")

    def whole(self, reason: str) -> list[Step]:
        """Close the diagnosis, and return its steps, with a skipped one for each stage that was not reached."""
        with self._lock:
            self._closed = True
        ended = next((step.step for step in self._steps if step.status == "failed"), None)
        there = {step.step for step in self._steps}
        why = f"{ended} failed" if ended else reason
        skipped = [Step(self.entry.name, stage, "skipped", why) for stage in _STAGES if stage not in there]
        # First the other steps, then the stages in order.
        return sorted(
            [*self._steps, *skipped],
            key=lambda step: _STAGES.index(step.step) if step.step in _STAGES else -1,
        )


def _open_all(
    diagnoses: Sequence[_AccountDiagnosis], sources: SecretSources, problems: Problems
) -> list[Problem]:
    """Open each valid account, and add the problems of the others. Returns the problems of no single account."""
    before = problems.found
    general = [
        one
        for one in before
        if isinstance(one[0], AccountError) or not any(diagnosis.has(one) for diagnosis in diagnoses)
    ]
    found = {}
    for diagnosis in diagnoses:
        own = Problems((*general, *filter(diagnosis.has, before)))
        (found[diagnosis],) = open_entry(diagnosis.entry, sources, {}, own)
        problems.found += [one for one in own.found if one not in before]
    together = Problems()
    check_together(found.values(), together)
    general += [one for one in together.found if isinstance(one[0], AccountError)]
    problems.found += together.found
    for diagnosis, opened in found.items():
        own = Problems(one for one in problems.found if diagnosis.has(one) and one not in general)
        diagnosis.entry = diagnosis.entry._replace(name=shown_name(diagnosis.entry))
        for error in own.errors():
            diagnosis.fail("secrets" if isinstance(error, SecretError | VariableError) else "settings", error)
        account = opened.account
        if own.found or account is None:
            continue
        target = ", ".join(f"{key} {printable(value, 80)}" for key, value in account.target.items())
        diagnosis.note(
            "settings",
            "ok",
            f"{account.provider}, {target}, at {printable(display_url(account.base_url), 100)}",
        )
        for notice in base_url_note(opened):
            diagnosis.warn("settings", notice)
        diagnosis.note("secrets", "ok", "; ".join(_secret_sources(diagnosis.entry)))
        for notice in credential_notices(opened):
            diagnosis.warn("secrets", notice)
        diagnosis.account = account
    return general


def _coverage(names: Iterable[str]) -> Iterator[Step]:
    """What each provider's balances include and exclude."""
    for name in names:
        coverage = coverage_of(name)
        covers, without = ", ".join(coverage.covers), ", ".join(coverage.leaves_out)
        said = f"{covers}. Not: {without}" if covers or without else "not documented by its plugin"
        yield Step(None, "coverage", "ok", f"{name}: {said}")


class _Prober:
    """Checks all accounts concurrently, with one client. The constructor raises ValueProblem for a bad ca_bundle."""

    def __init__(self, opened: Sequence[Account[Any]], settings: RequestSettings, deadline: Deadline) -> None:
        self._settings = settings
        self._deadline = deadline
        secured = [account for account in opened if account.base_url.startswith("https:")]
        self._sources = [account.ca or settings.ca_bundle for account in secured]
        self._ahead: dict[str, int | None] = {}
        """By host, the seconds by which this machine's clock is ahead; None if the last response has no date."""
        self._slowest: dict[str, Exchange] = {}
        """By host, the slowest exchange."""
        self._run = Run(open_client(opened, settings, deadline, self._heard))

    def _heard(self, exchange: Exchange) -> None:
        host = host_key(exchange.request.base_url)
        self._slowest[host] = max(exchange, self._slowest.get(host, exchange), key=lambda one: one.seconds)
        if exchange.date is not None:
            self._ahead[host] = seconds_ahead(exchange.date, time.time())

    def steps(self) -> Iterator[Step]:
        """The steps for the trusted CA certificates, if any connection uses TLS."""
        for source in dict.fromkeys(self._sources):
            yield Step(None, "ca_bundle", "ok", source.described)

    def visit(self, opened: Mapping[_AccountDiagnosis, Account[Any]], on_progress: OnProgress | None) -> None:
        """Run every account's stages until the deadline."""
        diagnoses = list(opened)
        tasks: dict[tuple[int, ...], Account[Any]] = {
            (n,): opened[diagnosis] for n, diagnosis in enumerate(diagnoses)
        }
        by_name = {diagnosis.entry.name: diagnosis for diagnosis in diagnoses}

        def stages(account: Account[Any]) -> bool:
            diagnosis, well = by_name[account.name], True
            try:
                self._reach(diagnosis, account)
                self._call(diagnosis, account)
            except BalcliError as problem:
                diagnosis.fail(diagnosis.stage, problem)
                well = False
            self._compare_clocks(diagnosis, account)
            return well

        done = each(tasks, stages, self._settings.jobs, self._deadline, on_progress)
        seconds = f"{self._settings.deadline:g} s"
        for place, account in tasks.items():
            if place not in done:
                diagnosis = by_name[account.name]
                diagnosis.fail(
                    diagnosis.stage,
                    DeadlinePassed(
                        f"not finished before the deadline of {seconds}; raise --deadline or try again later"
                    ),
                    last=True,
                )

    def _reach(self, diagnosis: _AccountDiagnosis, account: Account[Any]) -> None:
        """Check DNS, the port and the certificate. Raises NetworkError."""
        route = diagnosis.route
        if route is None:
            raise RuntimeError("the route of the account is not known")
        first, kind = (route.server, "") if route.proxy is None else (route.proxy, "the proxy ")
        try:
            reached = probe.reach(first, self._settings, self._deadline)
            found = ", ".join([*reached.answered, *reached.failed])
            diagnosis.note("name", "ok", f"{kind}{first.shown} resolves to {found}")
            diagnosis.stage = "tcp"
            reached.require_answer(first)
        except NetworkError:
            if route.proxy is None:
                raise
            raise ProxyFailed(f"the proxy {first.shown} cannot be reached; check {route.setting}") from None
        answered = ", ".join(
            f"{address} connected in {took:.0f} ms" for address, took in reached.answered.items()
        )
        if reached.failed:
            failed = ", ".join(f"{address} {why}" for address, why in reached.failed.items())
            cure = "balcli uses the others; report it to the operator of the network or the host"
            diagnosis.note("tcp", "warning", f"{kind}{first.shown}: {answered}, {failed}", cure)
        else:
            diagnosis.note("tcp", "ok", f"{kind}{first.shown}: {answered}")
        diagnosis.stage = "tls"
        if not route.server.tls:
            diagnosis.note("tls", "ok", "plain HTTP on this machine")
        elif route.proxy is not None:
            diagnosis.note("tls", "skipped", "checked with the request below, through the proxy")
        else:
            settings = self._settings._replace(ca_bundle=account.ca or self._settings.ca_bundle)
            seen = probe.certificate(route.server, settings, self._deadline)
            text = f"{seen.protocol}, certificate expires in {seen.days} days"
            if seen.days < _FEWEST_DAYS:
                diagnosis.note("tls", "warning", text, "ask the provider to renew it")
            else:
                diagnosis.note("tls", "ok", text)
        diagnosis.stage = "credentials"

    def _call(self, diagnosis: _AccountDiagnosis, account: Account[Any]) -> None:
        """Make the real balance request. Raises what that raises."""
        begun = time.monotonic()
        outcome = fetch(account, self._run)
        took = time.monotonic() - begun
        diagnosis.answer(outcome)
        text = f"balances received in {took * 1000:.0f} ms"
        slowest = self._slowest.get(host_key(account.base_url))
        if slowest is not None and slowest.seconds > self._settings.timeout / 2:
            text += f", slowest response in {slowest.seconds * 1000:.0f} ms"
            cure = f"raise --timeout above {self._settings.timeout:g} s"
            diagnosis.note("latency", "warning", text, cure)
        elif took > self._settings.deadline / 2:
            cure = f"raise --deadline above {self._settings.deadline:g} s"
            diagnosis.note("latency", "warning", text, cure)
        else:
            diagnosis.note("latency", "ok", text)

    def _compare_clocks(self, diagnosis: _AccountDiagnosis, account: Account[Any]) -> None:
        """Add the clock step, from the last response of the account's host, if any."""
        host = host_key(account.base_url)
        failed = diagnosis.outcome is None or diagnosis.outcome.failure is not None
        ahead = self._ahead.get(host)
        if ahead is None:
            if not failed:
                diagnosis.note("clock", "skipped", "the server's responses have no Date header")
            return
        seconds = abs(ahead)
        text = f"{seconds} s {'ahead of' if ahead > 0 else 'behind'} the server's"
        if seconds <= CLOCK_TOLERANCE:
            diagnosis.note("clock", "ok", text if seconds > 1 else "agrees with the server's")
        elif seconds > _CLOCK_FAILURE and failed and _signs_time(diagnosis.entry):
            text += ", too far for signed requests"
            diagnosis.note("clock", "failed", text, _CLOCK_CURE)
        else:
            diagnosis.note("clock", "warning", text, _CLOCK_CURE)


def _signs_time(entry: Entry) -> bool:
    return any(
        key.signs_time and any(name in entry.settings for name in key.spellings)
        for key in PROVIDERS[entry.provider].KEYS
    )


def _mode(mode: int) -> str:
    return f"{stat.S_IMODE(mode):04o}"


def _secret_sources(entry: Entry) -> Iterator[str]:
    """The source of each secret of an opened account."""
    for key, (spelling, *_) in entry.given_keys().items():
        if key.kind in {"secret", "table"}:
            yield f"{key.name}: {source_of(entry, spelling)}"


def _ignored(environ: Mapping[str, str], profile: Profile | None) -> Iterator[str]:
    """A message, with the cure, for each file and variable that balcli ignores."""
    for file in _netrc_files(environ):
        yield f"{shown(file)} exists but is never read; set credentials in the profile"
    if profile is not None:
        used = profile.request_settings.ca_bundle
        beside = [name for name in CA_VARIABLES if environ.get(name) and environ[name] != str(used.path)]
        if beside and used.kind != "system":
            verb = "are" if len(beside) > 1 else "is"
            yield f"{', '.join(beside)} {verb} ignored; {used.described} are used instead; unset the unused variables"
    if environ.get("SSLKEYLOGFILE"):
        yield "SSLKEYLOGFILE is ignored, and no TLS keys are written; unset it if no other program needs it"
    if profile is None:
        return
    tables = [entry.provider for entry in profile.entries if entry.source is not None]
    for provider in dict.fromkeys(tables):
        names = sorted(profile.variables.names(provider))
        if names:
            listed = ", ".join(printable(name, 60) for name in names)
            yield f"{listed}: overridden by the profile's {provider} table; unset the unused variables"


def _netrc_files(environ: Mapping[str, str]) -> Iterator[Path]:
    home = environ.get("HOME", "")
    named = [Path(home) / name for name in (".netrc", "_netrc")] if home else []
    if environ.get("NETRC"):
        named.append(Path(environ["NETRC"]))
    yield from (file for file in named if exists(file))
