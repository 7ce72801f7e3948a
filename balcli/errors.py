"""All errors, as one class tree. Each leaf has a stable `code` and an exit code.

    BalcliError
    ├── UsageError              usage                 2
    ├── ConfigError                                   3
    │   ├── ConfigFileError     config.file
    │   ├── ConfigSyntaxError   config.syntax
    │   ├── ProfileError        config.profile
    │   ├── AccountError        config.account
    │   ├── KeyProblem          config.key
    │   ├── ValueProblem        config.value
    │   ├── VariableError       config.variable
    │   └── SecretError         config.secret
    ├── CredentialsRefused      credentials.refused   4
    ├── AccessBlocked           access.blocked        4
    ├── NetworkError                                  5
    │   ├── NameNotResolved     network.dns
    │   ├── ConnectionFailed    network.connection
    │   ├── TlsFailed           network.tls
    │   ├── ProxyFailed         network.proxy
    │   ├── TimedOut            network.timeout
    │   ├── DeadlinePassed      network.deadline
    │   └── ServerUnavailable   network.unavailable
    ├── AnswerError                                   6
    │   ├── UnexpectedStatus    answer.status
    │   ├── RedirectRefused     answer.redirect
    │   ├── CutAnswer           answer.cut
    │   ├── BrokenAnswer        answer.broken
    │   ├── AnswerTooLarge      answer.too_large
    │   ├── BadJson             answer.json
    │   ├── BadShape            answer.shape
    │   ├── BadAmount           answer.amount
    │   ├── EchoesCredential    answer.echoes_credential
    │   └── ProviderError       provider.error
    ├── EvidenceError                                 6
    │   ├── EvidenceAltered     evidence.altered
    │   ├── EvidenceIncomplete  evidence.incomplete
    │   └── EvidenceDiffers     evidence.differs
    ├── PluginFault             plugin.fault          6
    ├── RateLimited             rate_limited          7
    ├── OutputError             output.write          9
    ├── StateError              state.unusable        9
    ├── MachineExhausted        machine.exhausted     9
    ├── LockHeld                lock.held             10
    └── Bug                     bug                   1

Scripts can rely on codes and exit codes. Messages are for people and can change.
A message says what failed, where, and what to do. It never contains a secret.
"""

import errno
from collections.abc import Iterator
from typing import ClassVar, Final


class BalcliError(Exception):
    """The base class of all expected errors."""

    code: ClassVar[str]
    exit_code: ClassVar[int]
    retryable: ClassVar[bool] = False
    """Whether the same run may succeed later."""

    def __init__(self, message: str, *, http_status: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.http_status = http_status
        self.others: tuple[BalcliError, ...] = ()
        """Further errors that were found with it."""

    @property
    def every(self) -> "tuple[BalcliError, ...]":
        """The error itself and the others."""
        return (self, *self.others)


class UsageError(BalcliError):
    """The command line is invalid, or its options cannot be combined."""

    code = "usage"
    exit_code = 2


class ConfigError(BalcliError):
    """The profile, its variables or the source of a secret is invalid. The message names file, key and cure."""

    exit_code = 3


class ConfigFileError(ConfigError):
    """A configuration file cannot be read."""

    code = "config.file"


class ConfigSyntaxError(ConfigError):
    """A file is not valid TOML, or a line of a `.env` file cannot be parsed."""

    code = "config.syntax"


class ProfileError(ConfigError):
    """The requested profile does not exist, or none is chosen."""

    code = "config.profile"


class AccountError(ConfigError):
    """An account does not exist, or two accounts are the same."""

    code = "config.account"


class KeyProblem(ConfigError):
    """A key is missing, unknown, duplicated or incomplete."""

    code = "config.key"


class ValueProblem(ConfigError):
    """A value has the wrong type or form."""

    code = "config.value"


class VariableError(ConfigError):
    """A `${NAME}` is not defined or malformed."""

    code = "config.variable"


class SecretError(ConfigError):
    """A secret is empty or cannot be sent."""

    code = "config.secret"


class CredentialsRefused(BalcliError):
    """The provider rejected the key, token or login."""

    code = "credentials.refused"
    exit_code = 4


class AccessBlocked(BalcliError):
    """A firewall, an IP allowlist or a law blocks the request, whatever the credentials."""

    code = "access.blocked"
    exit_code = 4


class NetworkError(BalcliError):
    """The host did not respond, or is unavailable."""

    exit_code = 5
    retryable = True


class NameNotResolved(NetworkError):
    """The host name could not be resolved."""

    code = "network.dns"


class ConnectionFailed(NetworkError):
    """The connection was refused, reset or closed before a response."""

    code = "network.connection"


class NotConnected(ConnectionFailed):
    """The connection was refused or has no route. Nothing was sent."""


class TlsFailed(NetworkError):
    """The TLS handshake or the certificate failed; a retry does not help."""

    code = "network.tls"
    retryable = False


class ProxyFailed(NetworkError):
    """The proxy could not be reached, or rejected the request."""

    code = "network.proxy"


class ProxyRefused(ProxyFailed):
    """The proxy rejected the request, or is not supported. A retry does not help."""

    retryable = False


class TimedOut(NetworkError):
    """One request took longer than its timeout."""

    code = "network.timeout"


class DeadlinePassed(NetworkError):
    """The deadline passed before the account answered, or before its rows could be written."""

    code = "network.deadline"


class ServerUnavailable(NetworkError):
    """The server returned 408, 425 or 5xx, or its own code for that, even after the retries."""

    code = "network.unavailable"


class AnswerError(BalcliError):
    """A response cannot be trusted."""

    exit_code = 6


class UnexpectedStatus(AnswerError):
    """The HTTP status is not one that balcli expects."""

    code = "answer.status"


class RedirectRefused(AnswerError):
    """The server redirects. balcli never sends credentials to another URL."""

    code = "answer.redirect"


class CutAnswer(AnswerError):
    """The body was cut short, even after the retries."""

    code = "answer.cut"
    retryable = True


class BrokenAnswer(AnswerError):
    """The framing, encoding or length of the response is wrong."""

    code = "answer.broken"


class AnswerTooLarge(AnswerError):
    """The response has more than 8 MiB, 400,000 values or 20,000 rows, or the run more than 100,000 rows."""

    code = "answer.too_large"


class BadJson(AnswerError):
    """The body is not exactly one JSON document in UTF-8."""

    code = "answer.json"


class BadShape(AnswerError):
    """The JSON does not have the documented shape."""

    code = "answer.shape"


class BadAmount(AnswerError):
    """An amount is not a plain number; balcli never guesses one."""

    code = "answer.amount"


class EchoesCredential(AnswerError):
    """The response repeats a credential in a part that would be shown, stored or cached."""

    code = "answer.echoes_credential"


class ProviderError(AnswerError):
    """The provider returned its own error."""

    code = "provider.error"


class EvidenceError(BalcliError):
    """The record of a run cannot be trusted, or gives a different result than the run."""

    exit_code = 6


class EvidenceAltered(EvidenceError):
    """A file of a record was changed, removed or added."""

    code = "evidence.altered"


class EvidenceIncomplete(EvidenceError):
    """A record is incomplete: its run ended early, or its end was removed."""

    code = "evidence.incomplete"


class EvidenceDiffers(EvidenceError):
    """A complete record does not reproduce the document that its run printed."""

    code = "evidence.differs"


class PluginFault(BalcliError):
    """A plugin's provider violated the protocol: it returned a wrong type, raised, or exited."""

    code = "plugin.fault"
    exit_code = 6


class RateLimited(BalcliError):
    """The provider limits the rate of requests for longer than the run can wait."""

    code = "rate_limited"
    exit_code = 7
    retryable = True


class OutputError(BalcliError):
    """The result could not be written."""

    code = "output.write"
    exit_code = 9


class StateError(BalcliError):
    """The history or the lock cannot be read or written."""

    code = "state.unusable"
    exit_code = 9


class MachineExhausted(BalcliError):
    """The process ran out of threads, file descriptors or memory."""

    code = "machine.exhausted"
    exit_code = 9
    retryable = True

    @staticmethod
    def from_exception(problem: BaseException) -> "MachineExhausted | None":
        """The error for an exception caused by a lack of threads, descriptors or memory; None for any other."""
        number = problem.errno if isinstance(problem, OSError) else None
        # An ImportError quotes dlopen(3). CPython can lose a MemoryError, and then raises a SystemError.
        text = str(problem) if isinstance(problem, ImportError) else ""
        if (
            isinstance(problem, MemoryError)
            or number in {errno.ENOMEM, errno.ENOBUFS}
            or "allocate memory" in text
            or "failed to map segment" in text
            or (isinstance(problem, SystemError) and _memory_is_limited())
        ):
            return MachineExhausted(
                "not enough memory; raise the limit (ulimit -v), or select fewer accounts"
            )
        if isinstance(problem, RuntimeError) and "start new thread" in str(problem):
            return MachineExhausted(
                "not enough threads; raise the limits (ulimit -u and -v), or lower --jobs"
            )
        if number in {errno.EMFILE, errno.ENFILE} or "Too many open files" in text:
            return MachineExhausted(
                "not enough file descriptors; raise the limit (ulimit -n), or lower --jobs"
            )
        return None


EXHAUSTION: Final = (ImportError, MemoryError, OSError, RuntimeError, SystemError)
"""The types of exceptions that `MachineExhausted.from_exception` recognizes, some of each."""


def _memory_is_limited() -> bool:
    try:
        import resource
    except ImportError:
        return False
    return resource.getrlimit(resource.RLIMIT_AS)[0] != resource.RLIM_INFINITY


class LockHeld(BalcliError):
    """Another run that writes the profile's state is still running."""

    code = "lock.held"
    exit_code = 10
    retryable = True


class Bug(BalcliError):
    """An unexpected error. Only `cli.app` raises it."""

    code = "bug"
    exit_code = 1


class Terminated(SystemExit):
    """SIGTERM or SIGHUP arrived. Its own type distinguishes it from a plugin that exits."""


def leaves(error: type[BalcliError]) -> Iterator[type[BalcliError]]:
    """The subclasses with a code, in the order of the tree."""
    for child in error.__subclasses__():
        if "code" in vars(child):
            yield child
        yield from leaves(child)
