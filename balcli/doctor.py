"""What a run needs, looked at one by one: files, environment, secrets' sources, and the way to each server.

Everything becomes a Step. The last stage is the real balance call, so that its exit code is the run's.
"""

import stat
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from balcli.collect import OnProgress, each, fetch, open_client
from balcli.config.accounts import (
    open_accounts,
    reject_credential_as_name,
    select,
    short_credentials,
    shown_name,
)
from balcli.config.entry import Entry
from balcli.config.profile import Profile, load
from balcli.config.sources import SecretSources, Variables, exists, parse_toml, read_text, read_variables
from balcli.errors import (
    AccountError,
    BalcliError,
    ConfigError,
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
from balcli.http.client import Exchange
from balcli.http.echoes import host_key
from balcli.http.timing import Deadline
from balcli.models import Account, Diagnosis, Failure, Holdings, Notice, Outcome, Report, Status, Step
from balcli.providers import PLUGIN_NOTICES, PROVIDERS, coverage_of
from balcli.providers.base import Key, Run
from balcli.settings import RequestSettings
from balcli.text import printable
from balcli.urls import display_url, is_loopback

_STAGES: Final = ("name", "tcp", "tls", "credentials", "latency", "clock")
"""What is looked at over the network, for each account."""

_FEWEST_DAYS: Final = 21
_CLOCK_WARNING: Final = 30
_CLOCK_FAILURE: Final = 300
_IGNORED_CAS: Final = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR")
_PROXY_NAMES: Final = frozenset({"https_proxy", "http_proxy", "all_proxy"})
_CLOCK_CURE: Final = "set this machine's clock, best by a time service"


def read_files(
    file: Path, *, must_exist: bool, name: str | None, env_file: Path | None, environ: Mapping[str, str]
) -> tuple[list[Step], Profile | BalcliError]:
    """The steps over the profile's file and its `.env`, and the profile or what is wrong with it."""
    steps: list[Step] = []
    stage = "profile"
    try:
        if must_exist or exists(file):
            read = read_text(file)
            parse_toml(read.text, shown(file))
            steps.append(Step(None, stage, "ok", f"{shown(file)}, mode {_mode(read.state.st_mode)}"))
        stage, beside = "env_file", file.parent / ".env"
        chosen = env_file or (beside if steps and exists(beside) else None)
        if chosen is not None:
            variables = read_variables(environ, chosen)
            mode = _mode(chosen.stat().st_mode)
            count = len(variables.from_file)
            steps.append(Step(None, stage, "ok", f"{shown(chosen)}, mode {mode}, {count} variables"))
            steps += [
                Step.from_message(None, stage, "warning", notice.message) for notice in variables.notices
            ]
        if steps and not CAN_CHECK:
            message = "this system does not tell owners and modes: they are not checked"
            steps.append(Step(None, "profile", "warning", message, "let nobody else read or write the files"))
        stage = "accounts"
        profile = load(file, must_exist=must_exist, name=name, env_file=env_file, environ=environ)
    except BalcliError as problem:
        if stage == "accounts" and isinstance(problem, ConfigFileError):
            # The file was readable by itself; what its content makes of its mode is about the file.
            stage, steps = "profile", [step for step in steps if step.step != "profile"]
        return [*steps, Step.failed(None, stage, problem)], problem
    if profile.name is None:
        steps.insert(
            0, Step(None, "profile", "ok", f"{shown(file)} is not there: variables make the accounts")
        )
    return steps, profile


def surroundings(environ: Mapping[str, str], profile: Profile | None) -> list[Step]:
    """A warning for everything around the program that is ignored, shadowed or left out."""
    found = [Step.from_message(None, "plugins", "warning", notice.message) for notice in PLUGIN_NOTICES]
    found += [Step.from_message(None, "environment", "warning", text) for text in _ignored(environ, profile)]
    return found or [Step(None, "environment", "ok", "nothing in it is ignored or shadowed")]


def examine(
    profile: Profile,
    names: Sequence[str],
    settings: RequestSettings,
    deadline: Deadline,
    environ: Mapping[str, str],
    *,
    offline: bool,
    on_progress: OnProgress | None = None,
) -> Diagnosis:
    """What each account of a run needs, in the profile's order. Returns by the deadline; `on_progress` as in `collect`."""
    try:
        entries = select(profile, None, list(names))
    except ConfigError as problem:
        return unreadable(profile.name, [Step.failed(None, "accounts", problem)], problem)
    diagnoses = [_AccountDiagnosis(entry) for entry in entries]
    where = f"profile {printable(profile.name, 40)}" if profile.name else "the environment"
    faults = [*_open_all(diagnoses, profile, deadline)]
    failures = [Failure.from_error(fault) for fault in faults]
    for diagnosis in diagnoses:
        diagnosis.refuse_bad_name()
    listed = ", ".join(printable(diagnosis.entry.name, 40) for diagnosis in diagnoses)
    refused = [Step.failed(None, "accounts", fault) for fault in faults if isinstance(fault, AccountError)]
    steps = refused[-1:] or [Step(None, "accounts", "ok", f"{where}: {listed}")]
    opened = {diagnosis: diagnosis.account for diagnosis in diagnoses if diagnosis.account is not None}
    steps += _coverage(dict.fromkeys(account.provider for account in opened.values()))
    reason = "--offline"
    try:
        prober = _Prober(list(opened.values()), settings, deadline)
        steps += prober.steps()
    except BalcliError as problem:
        steps.append(Step.failed(None, "ca_bundle", problem))
        failures.append(Failure.from_error(problem))
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
    """The diagnosis that ends before any account."""
    return Diagnosis(tuple(steps), Report(datetime.now(UTC), name, failures=(Failure.from_error(problem),)))


class _AccountDiagnosis:
    """The steps of one account, written by its thread. It is closed at the deadline, also while that thread runs."""

    def __init__(self, entry: Entry) -> None:
        self.entry = entry
        self.account: Account[Any] | None = None
        self.route: probe.Route | None = None
        self.outcome: Outcome | None = None
        self.stage = _STAGES[0]
        self._steps: list[Step] = []
        self._closed = False
        self._lock = threading.Lock()

    def note(self, step: str, status: Status, message: str, cure: str | None = None) -> None:
        """Add a step."""
        self._add(Step(self.entry.name, step, status, message, cure))

    def fail(self, step: str, problem: BalcliError, *, last: bool = False) -> None:
        """Add the step that an error ended; it is the outcome of an opened account. No step follows the `last`."""
        outcome = None
        if self.account is not None:
            outcome = Outcome(self.account, None, None, Failure.from_error(problem))
        self._add(Step.failed(self.entry.name, step, problem), outcome, last=last)

    def warn(self, step: str, notice: Notice) -> None:
        """Add a step that is a notice."""
        self._add(Step.from_message(self.entry.name, step, "warning", notice.message))

    def answer(self, outcome: Outcome) -> None:
        """Add the steps of a successful call, and its outcome."""
        holdings = outcome.holdings or Holdings(())
        count = len(holdings.balances)
        said = f"accepted; {count} balance{'' if count == 1 else 's'} listed"
        self._add(Step(self.entry.name, "credentials", "ok", said), outcome)
        for notice in holdings.notices:
            if notice.code == EchoesCredential.code:
                self.warn("credentials", notice)

    def refuse_bad_name(self) -> None:
        """Replace an account's name that contains a credential, and do not fetch the account."""
        try:
            reject_credential_as_name(self.entry)
        except ConfigError as problem:
            self.entry = self.entry._replace(name=shown_name(self.entry))
            self.account = None
            self._steps = [Step.failed(self.entry.name, "settings", problem)]

    def _add(self, step: Step, outcome: Outcome | None = None, *, last: bool = False) -> None:
        with self._lock:
            if not self._closed:
                self._steps.append(step)
                self.outcome = outcome or self.outcome
                self._closed = last

    def find_route(
        self, account: Account[Any], settings: RequestSettings, environ: Mapping[str, str]
    ) -> None:
        """Add the step on proxies, from the profile and the environment alone."""
        try:
            self.route = probe.route_to(account.base_url, settings.proxy)
        except NetworkError as problem:
            self.fail("proxy", problem)
            return
        server = self.route.server
        if self.route.proxy is not None:
            through = f"{self.route.proxy.shown} ({self.route.setting})"
            self.note("proxy", "ok", f"{server.shown} is asked through {through}")
            return
        named = [name for name in environ if name.lower() in _PROXY_NAMES and environ[name]]
        why = "loopback needs none" if is_loopback(server.host) else "NO_PROXY or the scheme leaves it out"
        beside = f"; {', '.join(named)} is set, but {why}" if named else ""
        self.note("proxy", "ok", f"none: {server.shown} is asked directly{beside}")

    def whole(self, reason: str) -> list[Step]:
        """The steps so far, and a skipped one for each stage that was not reached. No step follows."""
        with self._lock:
            self._closed = True
        ended = next((step.step for step in self._steps if step.status == "failed"), None)
        there = {step.step for step in self._steps}
        why = f"{ended} failed" if ended else reason
        skipped = [Step(self.entry.name, stage, "skipped", why) for stage in _STAGES if stage not in there]
        # Steps before the stages, then those of the stages in their order.
        return sorted(
            [*self._steps, *skipped],
            key=lambda step: _STAGES.index(step.step) if step.step in _STAGES else -1,
        )


def _open_all(
    diagnoses: Sequence[_AccountDiagnosis], profile: Profile, deadline: Deadline
) -> Iterator[ConfigError]:
    """Open each account by itself; an error for each that cannot be, or for all if they do not go together."""
    sources = SecretSources(deadline, profile.request_settings.command_timeout)
    well = True
    for diagnosis in diagnoses:
        try:
            (found,) = open_accounts(profile._replace(entries=(diagnosis.entry,)), sources)
        except ConfigError as problem:
            well = False
            diagnosis.fail(
                "secrets" if isinstance(problem, SecretError | VariableError) else "settings", problem
            )
            yield problem
            continue
        account = found.account
        if account is None:
            raise RuntimeError("an account without a fault is opened")
        target = ", ".join(f"{key} {printable(value, 80)}" for key, value in account.target.items())
        diagnosis.note(
            "settings",
            "ok",
            f"{account.provider}, {target}, at {printable(display_url(account.base_url), 100)}",
        )
        diagnosis.note("secrets", "ok", "; ".join(_secret_sources(diagnosis.entry, profile.variables)))
        for notice in (*short_credentials(found), *diagnosis.entry.exposed_files(profile.variables)):
            diagnosis.warn("secrets", notice)
        diagnosis.account = account
    if well:
        together = profile._replace(entries=tuple(diagnosis.entry for diagnosis in diagnoses))
        try:
            open_accounts(together, sources)
        except ConfigError as problem:
            yield problem


def _coverage(names: Iterable[str]) -> Iterator[Step]:
    """What the balances of each provider cover and leave out."""
    for name in names:
        coverage = coverage_of(name)
        covers, without = ", ".join(coverage.covers), ", ".join(coverage.leaves_out)
        said = f"{covers}. Not: {without}" if covers or without else "its plug-in does not say"
        yield Step(None, "coverage", "ok", f"{name}: {said}")


class _Prober:
    """Probes all accounts at the same time, with one client. Making it raises ValueProblem for a bad ca_bundle."""

    def __init__(self, opened: Sequence[Account[Any]], settings: RequestSettings, deadline: Deadline) -> None:
        self._settings = settings
        self._deadline = deadline
        self._tls = any(account.base_url.startswith("https:") for account in opened)
        self._ahead: dict[str, int | None] = {}
        """By host, the seconds that this machine's clock is ahead of its last response; None if that has no date."""
        self._slowest: dict[str, Exchange] = {}
        """By host, the exchange that took longest."""
        self._run = Run(open_client(opened, settings, deadline, self._heard))

    def _heard(self, exchange: Exchange) -> None:
        host = host_key(exchange.request.base_url)
        self._slowest[host] = max(exchange, self._slowest.get(host, exchange), key=lambda one: one.seconds)
        if exchange.date is not None:
            self._ahead[host] = probe.seconds_ahead(exchange.date, time.time())

    def steps(self) -> Iterator[Step]:
        """The step on the certificates that are trusted, where any connection needs them."""
        if self._tls:
            bundle = self._settings.ca_bundle
            yield Step(None, "ca_bundle", "ok", shown(bundle) if bundle else "the built-in certificates")

    def visit(self, opened: Mapping[_AccountDiagnosis, Account[Any]], on_progress: OnProgress | None) -> None:
        """Go through every account's stages, until the deadline."""
        diagnoses = list(opened)
        tasks: dict[tuple[int, ...], Account[Any]] = {
            (n,): opened[diagnosis] for n, diagnosis in enumerate(diagnoses)
        }
        by_name = {diagnosis.entry.name: diagnosis for diagnosis in diagnoses}

        def stages(account: Account[Any]) -> bool:
            diagnosis = by_name[account.name]
            try:
                self._reach(diagnosis)
                self._call(diagnosis, account)
            except BalcliError as problem:
                diagnosis.fail(diagnosis.stage, problem)
            self._compare_clocks(diagnosis, account)
            return True

        done = each(tasks, stages, self._settings.jobs, self._deadline, on_progress)
        seconds = f"{self._settings.deadline:g} s"
        for place, account in tasks.items():
            if place not in done:
                diagnosis = by_name[account.name]
                diagnosis.fail(
                    diagnosis.stage,
                    DeadlinePassed(
                        f"not done before the deadline of {seconds}; raise --deadline or try later"
                    ),
                    last=True,
                )

    def _reach(self, diagnosis: _AccountDiagnosis) -> None:
        """Check the name, the port and the certificate. Raises NetworkError."""
        route = diagnosis.route
        if route is None:
            raise RuntimeError("an account is probed once its route is known")
        first, kind = (route.server, "") if route.proxy is None else (route.proxy, "the proxy ")
        try:
            reached = probe.reach(first, self._settings, self._deadline)
            found = ", ".join([*reached.answered, *reached.failed])
            diagnosis.note("name", "ok", f"{kind}{first.shown} is at {found}")
            diagnosis.stage = "tcp"
            reached.require_answer(first)
        except NetworkError:
            if route.proxy is None:
                raise
            raise ProxyFailed(f"the proxy {first.shown} cannot be reached; check {route.setting}") from None
        answered = ", ".join(
            f"{address} connects in {took:.0f} ms" for address, took in reached.answered.items()
        )
        if reached.failed:
            failed = ", ".join(f"{address} {why}" for address, why in reached.failed.items())
            cure = "balcli uses the others; tell who runs the network or the host"
            diagnosis.note("tcp", "warning", f"{kind}{first.shown}: {answered}, {failed}", cure)
        else:
            diagnosis.note("tcp", "ok", f"{kind}{first.shown}: {answered}")
        diagnosis.stage = "tls"
        if not route.server.tls:
            diagnosis.note("tls", "ok", "plain HTTP, which does not leave this machine")
        elif route.proxy is not None:
            diagnosis.note("tls", "skipped", "it is made through the proxy, with the call below")
        else:
            seen = probe.certificate(route.server, self._settings, self._deadline)
            text = f"{seen.protocol}, the certificate ends in {seen.days} days"
            if seen.days < _FEWEST_DAYS:
                diagnosis.note("tls", "warning", text, "tell the provider to renew it")
            else:
                diagnosis.note("tls", "ok", text)
        diagnosis.stage = "credentials"

    def _call(self, diagnosis: _AccountDiagnosis, account: Account[Any]) -> None:
        """Make the real balance call. Raises what it raises."""
        begun = time.monotonic()
        outcome = fetch(account, self._run)
        took = time.monotonic() - begun
        diagnosis.answer(outcome)
        text = f"the balances came in {took * 1000:.0f} ms"
        slowest = self._slowest.get(host_key(account.base_url))
        if slowest is not None and slowest.seconds > self._settings.timeout / 2:
            text += f", one answer in {slowest.seconds * 1000:.0f} ms"
            cure = f"raise --timeout above {self._settings.timeout:g} s in good time"
            diagnosis.note("latency", "warning", text, cure)
        elif took > self._settings.deadline / 2:
            cure = f"raise --deadline above {self._settings.deadline:g} s in good time"
            diagnosis.note("latency", "warning", text, cure)
        else:
            diagnosis.note("latency", "ok", text)

    def _compare_clocks(self, diagnosis: _AccountDiagnosis, account: Account[Any]) -> None:
        """Add the step on the clock, by the last answer of the account's host, if there was one."""
        host = host_key(account.base_url)
        failed = diagnosis.outcome is None or diagnosis.outcome.failure is not None
        ahead = self._ahead.get(host)
        if ahead is None:
            if not failed:
                diagnosis.note("clock", "skipped", "the server's answers have no date")
            return
        seconds = abs(ahead)
        text = f"{seconds} s {'ahead of' if ahead > 0 else 'behind'} the server's"
        if seconds <= _CLOCK_WARNING:
            diagnosis.note("clock", "ok", text if seconds > 1 else "agrees with the server's")
        elif seconds > _CLOCK_FAILURE and failed and _signs_time(diagnosis.entry):
            text += ", too far for a signature with the time in it"
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


def _secret_sources(entry: Entry, variables: Variables) -> Iterator[str]:
    """The source of each secret of an account that could be opened."""
    for key, (spelling, *_) in entry.given_keys().items():
        if key.kind in {"secret", "table"}:
            yield f"{key.name}: {_secret_source(entry, key, spelling, variables)}"


def _secret_source(entry: Entry, key: Key, spelling: str, variables: Variables) -> str:
    raw = entry.settings[spelling]
    if spelling == key.in_file:
        return f"the file {shown(entry.folder / entry.expand(raw, entry.at(spelling), variables))}"
    if spelling != key.name:
        return f"the command {printable(raw[0], 60)}"
    if entry.from_variables:
        return entry.at(spelling)
    found = [origin for text in _texts(raw) for origin in variables.origins(text)]
    return ", ".join(dict.fromkeys(found))


def _texts(value: Any) -> Iterator[str]:
    """Every text in a value, at any depth, but for `merchant_id`, which is not a secret."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _texts(item) if key != "merchant_id" else ()
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)


def _ignored(environ: Mapping[str, str], profile: Profile | None) -> Iterator[str]:
    """A sentence for each file and variable of the environment that balcli ignores, with its cure."""
    for file in _netrc_files(environ):
        yield f"{shown(file)} is there and never read; give credentials in the profile"
    bundles = [name for name in _IGNORED_CAS if environ.get(name)]
    if bundles:
        verb = "are" if len(bundles) > 1 else "is"
        yield f"{', '.join(bundles)} {verb} ignored; name the file as ca_bundle in the profile"
    if environ.get("SSLKEYLOGFILE"):
        yield "SSLKEYLOGFILE is ignored, and no TLS keys are written; leave it for other programs, or unset it"
    if profile is None:
        return
    tables = [entry.provider for entry in profile.entries if not entry.from_variables]
    for provider in dict.fromkeys(tables):
        names = sorted(profile.variables.names(provider))
        if names:
            listed = ", ".join(printable(name, 60) for name in names)
            yield f"{listed}: shadowed by the profile's {provider} table; unset what is not meant"


def _netrc_files(environ: Mapping[str, str]) -> Iterator[Path]:
    home = environ.get("HOME", "")
    named = [Path(home) / name for name in (".netrc", "_netrc")] if home else []
    if environ.get("NETRC"):
        named.append(Path(environ["NETRC"]))
    yield from (file for file in named if exists(file))
