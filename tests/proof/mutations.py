"""The mutants of a module: small changes to its behavior, all of which its tests should find.

cosmic-ray makes most of them. Changed texts, removed statements and arguments, and `in` are added here.
"""

import ast
import re
import warnings
from collections import Counter
from collections.abc import Iterator
from typing import Final, NamedTuple

import parso
from cosmic_ray.mutating import MutationVisitor
from cosmic_ray.plugins import get_operator, operator_names

_MESSAGE: Final = re.compile(r"\w[^\w\s]? \w")
_ERRORS: Final = re.compile(
    r"(?:Error|Problem|Failed|Refused|Passed|Answer|Json|Limited|Unavailable|Out|Gone)$"
)
_PLACE: Final = "tests.proof"

ANNOTATION: Final = "type annotations, `@final` and the `*` of a signature: mypy alone holds them"
MESSAGE: Final = "texts for people: messages, help and docstrings are free to change"
SAME: Final = "the same code as another mutant, or as the module itself"
NO_CODE: Final = "no Python: the compiler refuses it, or warns (`is` with a literal)"
RULES: Final = (ANNOTATION, MESSAGE, SAME, NO_CODE)


class Mutant(NamedTuple):
    """A changed module: the offset of the change, its operator, the lines before and after, and the new text."""

    line: int
    operator: str
    before: str
    after: str
    text: str


class _Change(NamedTuple):
    operator: str
    start: int
    end: int
    """Offsets in the text, in characters."""
    text: str


def mutants(source: str) -> tuple[list[Mutant], Counter[str]]:
    """The mutants of a module's text, and the number that each rule excluded."""
    tree = ast.parse(source)
    offsets = _Offsets(source)
    quiet = {ANNOTATION: list(_annotations(tree, offsets)), MESSAGE: list(_messages(tree, offsets))}
    left_out: Counter[str] = Counter()
    seen = {_meaning(source)}
    found = []
    for change in sorted({*_made_by_cosmic_ray(source), *_made_here(tree, source, offsets)},
                         key=lambda change: (change.start, change.operator, change.text)):  # fmt: skip
        rule = next((rule for rule, spans in quiet.items() if _inside(change, spans)), None)
        was = source[change.start : change.end]
        if was.strip() == "@final" or (was == "*" and source.startswith(",", change.end)):
            rule = ANNOTATION
        if rule is None:
            text = f"{source[: change.start]}{change.text}{source[change.end :]}"
            try:
                meaning = _meaning(text)
            except (SyntaxError, ValueError):
                rule = NO_CODE
            else:
                rule = SAME if meaning in seen else None
                seen.add(meaning)
        if rule is not None:
            left_out[rule] += 1
            continue
        line = source.count("\n", 0, change.start) + 1
        found.append(Mutant(line, change.operator, *_lines(source, text), text))
    return found, left_out


class _Offsets:
    """Offsets of lines and columns in a text; ast counts columns in bytes."""

    def __init__(self, source: str) -> None:
        self._lines = source.splitlines(keepends=True)
        self._starts = [0]
        for line in self._lines:
            self._starts.append(self._starts[-1] + len(line))

    def at(self, line: int, column: int) -> int:
        """The offset of a column in bytes."""
        return self._starts[line - 1] + len(self._lines[line - 1].encode()[:column].decode())

    def of(self, node: ast.AST) -> tuple[int, int]:
        """The start and end offset of a node."""
        assert isinstance(node, ast.expr | ast.stmt | ast.keyword | ast.arg)
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        return self.at(node.lineno, node.col_offset), self.at(node.end_lineno, node.end_col_offset)


def _inside(change: _Change, spans: list[tuple[int, int]]) -> bool:
    return any(start <= change.start and change.end <= end for start, end in spans)


def _meaning(source: str) -> str:
    """The behavior of a text, without messages, docstrings and annotations."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", SyntaxWarning)
        compile(source, _PLACE, "exec")
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Module)
            and ast.get_docstring(node) is not None
        ):
            node.body = node.body[1:] or [ast.Pass()]
    return ast.dump(tree)


def _lines(source: str, text: str) -> tuple[str, str]:
    """The lines that differ, before and after, each joined to one line."""
    before, after = source.splitlines(), text.splitlines()
    while before and after and before[0] == after[0]:
        del before[0], after[0]
    while before and after and before[-1] == after[-1]:
        del before[-1], after[-1]
    one = [" ".join(" ".join(lines).split()) for lines in (before, after)]
    return one[0], one[1]


def _made_by_cosmic_ray(source: str) -> Iterator[_Change]:
    """The changes of all cosmic-ray operators except the one that changes nothing."""
    nodes = list(_walk(parso.parse(source)))
    for name in operator_names():
        if name == "core/NoOp":
            continue
        try:
            operator = get_operator(name)()
        except TypeError:  # it needs the names to exchange
            continue
        number = 0
        for node in nodes:
            for _ in operator.mutation_positions(node):
                number += 1
                try:
                    mutated = MutationVisitor.mutate_code(source, operator, number - 1)
                except AttributeError:  # it does not support starred expressions in an except clause
                    continue
                yield _difference(name.removeprefix("core/"), source, mutated)


def _walk(node: "parso.tree.NodeOrLeaf") -> "Iterator[parso.tree.NodeOrLeaf]":
    yield node
    for child in getattr(node, "children", ()):
        yield from _walk(child)


def _difference(operator: str, before: str, after: str) -> _Change:
    """The smallest single replacement that turns one text into the other."""
    start = next((n for n, (a, b) in enumerate(zip(before, after, strict=False)) if a != b), 0)
    most = min(len(before), len(after)) - start
    same = next((n for n in range(most) if before[-1 - n] != after[-1 - n]), most)
    return _Change(operator, start, len(before) - same, after[start : len(after) - same])


def _made_here(tree: ast.Module, source: str, offsets: _Offsets) -> Iterator[_Change]:
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    in_functions = {
        id(inner) for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) for inner in ast.walk(node)
    }
    in_texts = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.JoinedStr)
        for inner in ast.walk(node)
        if inner is not node
    }
    for node in ast.walk(tree):
        if id(node) in in_texts:
            continue  # Python 3.11 does not have their positions
        if isinstance(node, ast.Constant | ast.JoinedStr) and id(node) not in docstrings:
            value = node.value if isinstance(node, ast.Constant) else ""
            if isinstance(value, str | bytes):
                start, _ = offsets.of(node)
                yield _Change("Text", start, start, 'b"~x" ' if isinstance(value, bytes) else '"~x" ')
        elif isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.In | ast.NotIn):
            start, end = offsets.of(node.left)[1], offsets.of(node.comparators[0])[0]
            was = source[start:end]
            yield _Change(
                "Membership",
                start,
                end,
                re.sub(r"\bnot in\b", "in", was) if "not" in was else re.sub(r"\bin\b", "not in", was),
            )
        elif isinstance(node, ast.Return) and node.value is not None:
            yield _Change("ReturnNone", *offsets.of(node.value), "None")
        elif isinstance(node, ast.Raise) or (
            id(node) in in_functions
            and isinstance(node, ast.Assign | ast.AugAssign | ast.AnnAssign | ast.Delete | ast.Expr)
            and not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
        ):
            yield _Change("StatementLeftOut", *offsets.of(node), "pass")
        elif isinstance(node, ast.Call):
            for keyword in node.keywords:
                start, end = offsets.of(keyword)
                comma = re.compile(r"\s*,").match(source, end)
                yield _Change("ArgumentLeftOut", start, comma.end() if comma else end, "")


def _annotations(tree: ast.Module, offsets: _Offsets) -> Iterator[tuple[int, int]]:
    """The ranges that only a type checker reads."""
    for node in ast.walk(tree):
        if isinstance(node, ast.arg | ast.AnnAssign) and node.annotation is not None:
            yield offsets.of(node.annotation)
        if isinstance(node, ast.AnnAssign) and (
            node.value is None or ast.unparse(node.annotation).endswith("TypeAlias")
        ):
            yield offsets.of(node)
        if isinstance(node, ast.FunctionDef) and node.returns is not None:
            yield offsets.of(node.returns)
        if isinstance(node, ast.Assign) and ast.unparse(node.value).startswith("TypeVar("):
            yield offsets.of(node)
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield offsets.of(node)


def _messages(tree: ast.Module, offsets: _Offsets) -> Iterator[tuple[int, int]]:
    """The ranges of messages for people, including the expressions in them."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            yield offsets.of(node)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and _MESSAGE.search(node.value):
            yield offsets.of(node)
        if isinstance(node, ast.JoinedStr):
            words = "".join(
                str(part.value) if isinstance(part, ast.Constant) else "x" for part in node.values
            )
            if _MESSAGE.search(words):
                yield offsets.of(node)
        if isinstance(node, ast.Call) and _ERRORS.search(ast.unparse(node.func)) and node.args:
            yield offsets.of(node.args[0])
        if isinstance(node, ast.keyword) and node.arg == "help":
            yield offsets.of(node)
