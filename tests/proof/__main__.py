"""Run one proof: `python -m tests.proof NAME [--count N] [--seed N]`."""

import ast
import signal
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path


def proofs() -> Mapping[str, str]:
    """All proofs, each with its module's first sentence: every module in this folder that has a `main`."""
    found = {}
    for path in sorted(Path(__file__).parent.glob("[!_]*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        if any(isinstance(node, ast.FunctionDef) and node.name == "main" for node in tree.body):
            found[path.stem.replace("_", "-")] = (ast.get_docstring(tree) or "").partition("\n")[0]
    return found


def main(argv: Sequence[str]) -> int:
    """Run the proof in the first argument with the other arguments. Returns 1 if it fails, 2 for wrong usage."""
    there = proofs()
    name = argv[0] if argv else ""
    if name in there:
        code: int = import_module(f"tests.proof.{name.replace('-', '_')}").main(argv[1:])
        return code
    asked = name in {"-h", "--help"}
    lines = ["usage: python -m tests.proof NAME [--count N] [--seed N]", ""]
    lines += [f"  {proof:<10} {about}" for proof, about in there.items()]
    if name and not asked:
        lines[1] = f"there is no proof {name!r}; these are there:"
    print("\n".join(lines), file=sys.stdout if asked else sys.stderr)
    return 0 if asked else 2


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background has it ignored
    sys.exit(main(sys.argv[1:]))
