"""Everything that can go wrong, as one tree; each leaf has a stable `code` and an exit code.

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

The codes and exit codes are part of the contract with scripts; the messages are for people.
A message says what failed, where, and the next step. It never holds a secret.
"""

import errno
from collections.abc import Iterator
from typing import ClassVar, Final


class BalcliError(Exception):
    """The root: a failure that balcli foresaw and can explain."""

    code: ClassVar[str]
    exit_code: ClassVar[int]
    retryable: ClassVar[bool] = False
    """Whether the same run, a little later and unchanged, may succeed."""

    def __init__(self, message: str, *, http_status: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.http_status = http_status
        self.others: tuple[BalcliError, ...] = ()
        """What else is wrong, where everything is looked for before a run."""

    @property
    def every(self) -> "tuple[BalcliError, ...]":
        """The error itself and the others."""
        return (self, *self.others)


class UsageError(BalcliError):
    """The command line is wrong, or its options do not go together."""

    code = "usage"
    exit_code = 2


class ConfigError(BalcliError):
    """The profile, its variables or a secret's source is wrong; the message names file, key and cure."""

    exit_code = 3


class ConfigFileError(ConfigError):
    """A configuration file cannot be read."""

    code = "config.file"


class ConfigSyntaxError(ConfigError):
    """A file is not valid TOML, or a line of a `.env` does not parse."""

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
    """A `${NAME}` is undefined or malformed."""

    code = "config.variable"


class SecretError(ConfigError):
    """A secret is empty or cannot be sent as it is."""

    code = "config.secret"


class CredentialsRefused(BalcliError):
    """The provider responded, and did not accept the key, token or login."""

    code = "credentials.refused"
    exit_code = 4


class AccessBlocked(BalcliError):
    """A firewall, an IP allowlist or a law blocks the request; the credentials are not the reason."""

    code = "access.blocked"
    exit_code = 4


class NetworkError(BalcliError):
    """No answer was had, or the server said that it is not available."""

    exit_code = 5
    retryable = True


class NameNotResolved(NetworkError):
    """The host name could not be resolved."""

    code = "network.dns"


class ConnectionFailed(NetworkError):
    """The connection was refused, reset or closed before a response."""

    code = "network.connection"


class NotConnected(ConnectionFailed):
    """The connection was refused or has no route: nothing was sent."""


class TlsFailed(NetworkError):
    """The TLS handshake or the certificate failed; a retry does not help."""

    code = "network.tls"
    retryable = False


class ProxyFailed(NetworkError):
    """The proxy could not be reached, or did not let the request pass."""

    code = "network.proxy"


class ProxyRefused(ProxyFailed):
    """The proxy refused the request, or is of a kind that cannot be used; trying again does not mend that."""

    retryable = False


class TimedOut(NetworkError):
    """One request took longer than its timeout."""

    code = "network.timeout"


class DeadlinePassed(NetworkError):
    """The run's deadline came before this account answered, or before its rows could be written."""

    code = "network.deadline"


class ServerUnavailable(NetworkError):
    """The server returned 408, 425 or 5xx, or its own code for that, even after the retries."""

    code = "network.unavailable"


class AnswerError(BalcliError):
    """An answer came, and cannot be trusted."""

    exit_code = 6


class UnexpectedStatus(AnswerError):
    """The HTTP status is not one that balcli expects."""

    code = "answer.status"


class RedirectRefused(AnswerError):
    """The server redirects; balcli never sends credentials to another place."""

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
    """The response repeats a credential in what would be shown, stored or cached; none of it is."""

    code = "answer.echoes_credential"


class ProviderError(AnswerError):
    """The provider returned an error of its own."""

    code = "provider.error"


class EvidenceError(BalcliError):
    """A record of a run cannot be trusted, or does not come to what the run came to."""

    exit_code = 6


class EvidenceAltered(EvidenceError):
    """A file of a record was altered, is missing, or was added."""

    code = "evidence.altered"


class EvidenceIncomplete(EvidenceError):
    """A record is incomplete: its run was ended early, or its end was removed."""

    code = "evidence.incomplete"


class EvidenceDiffers(EvidenceError):
    """A complete record does not give the document that its run printed."""

    code = "evidence.differs"


class PluginFault(BalcliError):
    """A plugin's provider broke the protocol: it returned something else, raised, or exited."""

    code = "plugin.fault"
    exit_code = 6


class RateLimited(BalcliError):
    """The provider asks for fewer requests, for longer than the run may wait."""

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
    """The machine gives this process too few threads, file descriptors or too little memory."""

    code = "machine.exhausted"
    exit_code = 9
    retryable = True

    @staticmethod
    def from_exception(problem: BaseException) -> "MachineExhausted | None":
        """The error for what Python raises where threads, descriptors or memory run out; None for all else."""
        if isinstance(problem, MemoryError):
            return MachineExhausted(f"not enough memory; {_MORE_MEMORY}")
        if isinstance(problem, RuntimeError) and "start new thread" in str(problem):
            return MachineExhausted(
                "not enough threads; raise the limit (ulimit -u, and -v), or lower --jobs"
            )
        if isinstance(problem, OSError) and problem.errno in {errno.EMFILE, errno.ENFILE}:
            return MachineExhausted(
                "not enough file descriptors; raise the limit (ulimit -n), or lower --jobs"
            )
        if isinstance(problem, OSError) and problem.errno in {errno.ENOMEM, errno.ENOBUFS}:
            return MachineExhausted(f"not enough memory; {_MORE_MEMORY}")
        return None


_MORE_MEMORY: Final = "raise the limit (ulimit -v), or select fewer accounts"


class LockHeld(BalcliError):
    """Another run that writes the profile's state is still running."""

    code = "lock.held"
    exit_code = 10
    retryable = True


class Bug(BalcliError):
    """An error that balcli did not foresee. Only the boundary of the command line raises one."""

    code = "bug"
    exit_code = 1


class Terminated(SystemExit):
    """SIGTERM or SIGHUP arrived: no error of anybody's, and told by its type from a plug-in that exits."""


def leaves(error: type[BalcliError]) -> Iterator[type[BalcliError]]:
    """The classes below one that have a code, in the order of the tree."""
    for child in error.__subclasses__():
        if "code" in vars(child):
            yield child
        yield from leaves(child)
