"""Whatever the libraries below the transport raise leaves it as a class of the error tree."""

import http.client
import inspect
from collections.abc import Callable, Iterator
from importlib import import_module
from types import ModuleType
from typing import Any, Final

import pytest

from balcli import errors
from balcli.models import CaSource
from tests.lists import each_case
from tests.wire import TOKEN

LIBRARIES: Final = ("requests.exceptions", "urllib3.exceptions", "http.client")


def exceptions_of(module: ModuleType) -> Iterator[type[Exception]]:
    """The exception classes of the module's own."""
    for _, value in inspect.getmembers(module, inspect.isclass):
        if issubclass(value, Exception) and value.__module__ == module.__name__:
            yield value


RAISED: Final = sorted(
    {kind for name in LIBRARIES for kind in exceptions_of(import_module(name))},
    key=lambda kind: f"{kind.__module__}.{kind.__qualname__}",
)
TREE: Final = tuple(
    value for _, value in inspect.getmembers(errors, inspect.isclass) if issubclass(value, errors.BalcliError)
)


def name(kind: object) -> str:
    """A class by its module and name."""
    return f"{kind.__module__}.{kind.__qualname__}" if isinstance(kind, type) else str(kind)


def instance(kind: type[BaseException], *arguments: object) -> BaseException:
    """An instance with these arguments, whatever its constructor would ask for."""
    made = kind.__new__(kind)
    made.args = arguments
    if kind.__name__ == "MaxRetryError":
        made.reason = None  # type: ignore[attr-defined] # its constructor sets it, and requests reads it
    return made


def explained(problem: BaseException) -> errors.BalcliError:
    """What the transport makes of an exception."""
    from balcli.http import connect, library_errors

    return library_errors.balcli_error(problem, connect.Setup())


def of(path: str) -> type[BaseException]:
    """The class of that module and name."""
    module, _, attribute = path.rpartition(".")
    kind: type[BaseException] = getattr(import_module(module), attribute)
    return kind


def test_the_libraries_have_the_exceptions_that_are_walked() -> None:
    """The walk finds each library's own root, and dozens of classes."""
    roots = {of("requests.exceptions.RequestException"), of("urllib3.exceptions.HTTPError")}
    assert roots | {http.client.HTTPException} <= set(RAISED)
    assert len(RAISED) > 55


@each_case("kind", RAISED, ids=name)
def test_every_exception_becomes_one_of_the_error_tree(kind: type[Exception]) -> None:
    """A network's or an answer's error, with a code and an exit code, without the words of the library."""
    found = explained(instance(kind, f"X-BH-TOKEN: {TOKEN}"))
    assert type(found) in TREE
    assert isinstance(found, errors.NetworkError | errors.AnswerError)
    assert found.exit_code in {5, 6}
    assert found.code
    assert found.message
    assert TOKEN not in f"{found} {found!r} {found.message}"


@each_case("kind", RAISED, ids=name)
def test_an_exception_that_wraps_another_becomes_one_of_the_error_tree(kind: type[Exception]) -> None:
    """Nested in another and in itself, an exception is still explained."""
    inner = instance(kind, TOKEN)
    inner.__context__ = inner
    outer = instance(OSError, instance(of("urllib3.exceptions.HTTPError"), inner))
    assert isinstance(explained(outer), errors.NetworkError | errors.AnswerError)


MEANT: Final = {
    "urllib3.exceptions.NameResolutionError": errors.NameNotResolved,
    "urllib3.exceptions.NewConnectionError": errors.NotConnected,
    "builtins.ConnectionRefusedError": errors.NotConnected,
    "builtins.ConnectionResetError": errors.ConnectionFailed,
    "builtins.BrokenPipeError": errors.ConnectionFailed,
    "http.client.RemoteDisconnected": errors.ConnectionFailed,
    "urllib3.exceptions.ProtocolError": errors.ConnectionFailed,
    "urllib3.exceptions.ConnectTimeoutError": errors.TimedOut,
    "urllib3.exceptions.ReadTimeoutError": errors.TimedOut,
    "builtins.TimeoutError": errors.TimedOut,
    "urllib3.exceptions.SSLError": errors.TlsFailed,
    "ssl.SSLError": errors.TlsFailed,
    "ssl.SSLCertVerificationError": errors.TlsFailed,
    "urllib3.exceptions.ProxyError": errors.ProxyFailed,
    "http.client.IncompleteRead": errors.CutAnswer,
    "urllib3.exceptions.IncompleteRead": errors.CutAnswer,
    "http.client.BadStatusLine": errors.BrokenAnswer,
    "http.client.LineTooLong": errors.BrokenAnswer,
    "http.client.UnknownProtocol": errors.BrokenAnswer,
    "http.client.HTTPException": errors.BrokenAnswer,
    "urllib3.exceptions.InvalidHeader": errors.BrokenAnswer,
    "urllib3.exceptions.HeaderParsingError": errors.BrokenAnswer,
}


def bare(problem: BaseException) -> BaseException:
    """The exception as it is."""
    return problem


def as_reason(problem: BaseException) -> BaseException:
    """The exception as what urllib3 names as the reason for giving up, inside of another."""
    gave_up = instance(of("urllib3.exceptions.MaxRetryError"), "gave up")
    gave_up.reason = problem  # type: ignore[attr-defined]
    return instance(of("urllib3.exceptions.HTTPError"), gave_up)


def as_argument(problem: BaseException) -> BaseException:
    """The exception as an argument of urllib3's, inside of another."""
    aborted = instance(of("urllib3.exceptions.ProtocolError"), "Connection aborted.", problem)
    return instance(of("urllib3.exceptions.HTTPError"), aborted)


@each_case("wrapped", [bare, as_reason, as_argument], ids=lambda wrap: str(wrap.__name__))
@each_case("path", MEANT)
def test_a_known_exception_keeps_its_meaning(
    path: str, wrapped: Callable[[BaseException], BaseException]
) -> None:
    """A refusal is not taken for a time-out, nor a broken answer for a broken line, however it is wrapped."""
    assert type(explained(wrapped(instance(of(path), "words")))) is MEANT[path]


@each_case("kind", [kind for kind in RAISED if not issubclass(kind, Warning)], ids=name)
def test_no_library_exception_leaves_a_request(
    kind: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Raised in the middle of a request, each exception comes out as the error tree's, without a chain to the old."""
    from balcli.http.transport import Transport

    def fail(*_arguments: Any, **_options: Any) -> None:
        raise instance(kind, f"X-BH-TOKEN: {TOKEN}")

    transport = Transport(proxy=None, ca_bundle=CaSource(), connections=1, tls=False)
    monkeypatch.setattr("urllib3.HTTPConnectionPool.urlopen", fail)
    with pytest.raises(errors.BalcliError) as caught:
        transport.send("GET", "http://127.0.0.1:9/", {}, None, seconds=1, loopback=True)
    assert isinstance(caught.value, errors.NetworkError | errors.AnswerError)
    assert TOKEN not in f"{caught.value} {caught.value!r}"
    assert caught.value.__suppress_context__
