"""Every message that the program can print, read from its source. `python -m tests.messages` lists them for review.

A message is the text of an error, a notice, a step of the doctor or a line of stderr. If it depends on a condition,
each variant is a message. `{…}` replaces the values that are filled in.
"""

import ast
import inspect
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from itertools import product
from pathlib import Path
from typing import Final, NamedTuple

from balcli import errors
from balcli.errors import BalcliError
from tests.conftest import ROOT

FILLED: Final = "{…}"
CLASS: Final = "{class}"
"""Replaces the name of a class, which means nothing to a reader."""
LEAVES: Final = frozenset(
    name for name, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, BalcliError)
)
"""The classes of the error tree."""
PHRASES: Final = frozenset(("ValueError", "SettingProblem", "_Undecided", "BadParameter"))
"""The exceptions whose text becomes part of a message, after a place."""
_ARGUMENTS: Final = {
    **dict.fromkeys((*LEAVES, *PHRASES), 0),
    "SettingProblem": 1,
    "print_message": 0,
    "note": 2,
    "Step": 3,
    "Notice": 2,
    "notify": 1,
    # Functions that return an error with their argument.
    "bad_shape": 0,
    "_untrusted": 0,
}
"""The callables that take a message, with the position of the message."""

_Returned = Mapping[str, list[ast.expr]]


class Message(NamedTuple):
    """A message: its module and line, the callable that takes it, and its text with `{…}` for values."""

    module: str
    line: int
    kind: str
    text: str


@cache
def messages(folder: Path = ROOT / "balcli") -> tuple[Message, ...]:
    """Every message in the modules of a folder, sorted by path and line."""
    return tuple(_messages(folder))


def _messages(folder: Path) -> Iterator[Message]:
    trees = {path: ast.parse(path.read_text(encoding="utf-8")) for path in sorted(folder.rglob("*.py"))}
    returned = _returned(trees.values())
    for path, tree in trees.items():
        constants = _constants(tree)
        found = {
            (given.lineno, kind, text)
            for node in ast.walk(tree)
            for kind, given in _given(node)
            for text in _texts(given, constants, returned)
        }
        for line, kind, text in sorted(found):
            if text != FILLED:
                yield Message(path.relative_to(folder).as_posix(), line, kind, text)


def _given(node: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    """The messages in a node, each with its callable: a call, or a class and its message in a tuple."""
    if isinstance(node, ast.Call):
        kind = _name(node.func)
        if len(node.args) > _ARGUMENTS.get(kind, len(node.args)):
            yield kind, node.args[_ARGUMENTS[kind]]
    elif isinstance(node, ast.Tuple):
        for one, other in zip(node.elts, node.elts[1:], strict=False):
            if _name(one) in LEAVES:
                yield _name(one), other


def _texts(node: ast.expr, constants: Mapping[str, ast.expr], returned: _Returned) -> list[str]:
    """The possible texts of an expression, with `{…}` for each part that is known only at run time."""

    def of(part: ast.expr) -> list[str]:
        return _texts(part, constants, returned)

    found = [FILLED]
    match node:
        case ast.Constant(value=str(text)):
            found = [text]
        case ast.IfExp(body=one, orelse=other):
            found = [*of(one), *of(other)]
        case ast.BinOp(left=one, op=ast.Add(), right=other):
            found = _joined([of(one), of(other)])
        case ast.JoinedStr(values=parts):
            found = _joined([of(part) for part in parts])
        case ast.FormattedValue(value=ast.Attribute(attr="__name__")):
            found = [CLASS]
        case ast.FormattedValue(value=ast.IfExp() | ast.Name() as value):
            found = of(value)
        case ast.Name(id=name) if name in constants:
            found = of(constants[name])
        case ast.Call(func=called) if _name(called) in returned:
            found = [text for each in returned[_name(called)] for text in of(each)]
    return found


def _joined(parts: Sequence[Sequence[str]]) -> list[str]:
    return ["".join(each) for each in product(*parts)]


def _constants(tree: ast.Module) -> Mapping[str, ast.expr]:
    """The string constants of a module."""
    return {
        node.target.id: node.value
        for node in tree.body
        if isinstance(node, ast.AnnAssign)
        and isinstance(node.target, ast.Name)
        and node.value
        and _is_text(node.value)
    }


def _returned(trees: Iterable[ast.Module]) -> _Returned:
    """The returned texts of all functions that return only texts, by function name."""
    found: dict[str, list[ast.expr]] = defaultdict(list)
    for tree in trees:
        for function in ast.walk(tree):
            if isinstance(function, ast.FunctionDef):
                values = [node.value for node in ast.walk(function) if isinstance(node, ast.Return)]
                if values and all(_is_text(value) for value in values):
                    found[function.name] += [value for value in values if value is not None]
    return found


def _is_text(node: ast.expr | None) -> bool:
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))


def _name(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else getattr(node, "attr", "")


def main() -> int:
    """Print the list, each message below its place. Returns 0."""
    for message in messages():
        sys.stdout.write(f"balcli/{message.module}:{message.line}  {message.kind}\n    {message.text}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
