"""The error tree, held against the contract's list of codes and exit codes."""

import inspect
from typing import Final

from balcli import errors
from balcli.errors import BalcliError
from tests.lists import each_case

CONTRACT: Final = {
    "UsageError": ("usage", 2, False),
    "ConfigFileError": ("config.file", 3, False),
    "ConfigSyntaxError": ("config.syntax", 3, False),
    "ProfileError": ("config.profile", 3, False),
    "AccountError": ("config.account", 3, False),
    "KeyProblem": ("config.key", 3, False),
    "ValueProblem": ("config.value", 3, False),
    "VariableError": ("config.variable", 3, False),
    "SecretError": ("config.secret", 3, False),
    "CredentialsRefused": ("credentials.refused", 4, False),
    "AccessBlocked": ("access.blocked", 4, False),
    "NameNotResolved": ("network.dns", 5, True),
    "ConnectionFailed": ("network.connection", 5, True),
    "TlsFailed": ("network.tls", 5, False),
    "ProxyFailed": ("network.proxy", 5, True),
    "TimedOut": ("network.timeout", 5, True),
    "DeadlinePassed": ("network.deadline", 5, True),
    "ServerUnavailable": ("network.unavailable", 5, True),
    "UnexpectedStatus": ("answer.status", 6, False),
    "RedirectRefused": ("answer.redirect", 6, False),
    "CutAnswer": ("answer.cut", 6, True),
    "BrokenAnswer": ("answer.broken", 6, False),
    "AnswerTooLarge": ("answer.too_large", 6, False),
    "BadJson": ("answer.json", 6, False),
    "BadShape": ("answer.shape", 6, False),
    "BadAmount": ("answer.amount", 6, False),
    "EchoesCredential": ("answer.echoes_credential", 6, False),
    "ProviderError": ("provider.error", 6, False),
    "EvidenceAltered": ("evidence.altered", 6, False),
    "EvidenceIncomplete": ("evidence.incomplete", 6, False),
    "EvidenceDiffers": ("evidence.differs", 6, False),
    "PluginFault": ("plugin.fault", 6, False),
    "RateLimited": ("rate_limited", 7, True),
    "OutputError": ("output.write", 9, False),
    "StateError": ("state.unusable", 9, False),
    "MachineExhausted": ("machine.exhausted", 9, True),
    "LockHeld": ("lock.held", 10, True),
    "Bug": ("bug", 1, False),
}
"""Each class that is raised: its code, its exit code, and whether the same run may succeed later."""

LEAVES: Final = {
    name: kind
    for name, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, BalcliError) and "code" in vars(kind)
}


@each_case("name", sorted(CONTRACT | LEAVES))
def test_codes_are_those_of_the_contract(name: str) -> None:
    """Scripts rely on these codes and exit codes: none changes, comes or goes unseen."""
    kind = LEAVES[name]
    assert CONTRACT[name] == (kind.code, kind.exit_code, kind.retryable)


def test_an_error_carries_its_words_and_status() -> None:
    """An error has its message, as its text too, and the HTTP status where there was one."""
    bare, known = errors.BadShape("not a list"), errors.UnexpectedStatus("odd", http_status=418)
    assert [("not a list", "not a list", None), ("odd", "odd", 418)] == [
        (str(error), error.message, error.http_status) for error in (bare, known)
    ]


def test_the_leaves_of_a_branch_are_listed_in_its_order() -> None:
    """Who asks for the classes below one gets those that have a code, as deep as they are, and no other."""
    assert [*CONTRACT] == [kind.__name__ for kind in errors.leaves(BalcliError)]
    assert ["CutAnswer", "BadShape"] == [
        kind.__name__
        for kind in errors.leaves(errors.AnswerError)
        if kind.code in {"answer.cut", "answer.shape"}
    ]
    assert [] == list(errors.leaves(errors.BadShape))
