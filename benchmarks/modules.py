"""Which modules a run of balcli has loaded."""

import re
from typing import Final

# Not -X importtime: it does not tell of what is imported by name, as balcli's commands and providers are.
TELLING_MODULES: Final = """
import atexit, sys
loaded = lambda: ["loaded " + name for name, module in sys.modules.items() if module]
atexit.register(lambda: print(*loaded(), sep="\\n", file=sys.stderr))
sys.argv[0] = "balcli"
from balcli.__main__ import main
main()
"""
"""A program that is balcli, and at its end tells on stderr which modules are loaded."""


def modules_of(stderr: str) -> set[str]:
    """The modules that such a run has told of."""
    return set(re.findall(r"^loaded (.+)$", stderr, re.MULTILINE))
