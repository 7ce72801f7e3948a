"""The modules that a run of balcli loads."""

import re
from typing import Final

# Not -X importtime: it does not report modules imported by name, such as balcli's commands and providers.
TELLING_MODULES: Final = """
import atexit, sys
loaded = lambda: ["loaded " + name for name, module in sys.modules.items() if module]
atexit.register(lambda: print(*loaded(), sep="\\n", file=sys.stderr))
sys.argv[0] = "balcli"
from balcli.__main__ import main
main()
"""
"""A program that runs balcli and then writes the loaded modules to stderr."""


def modules_of(stderr: str) -> set[str]:
    """The modules that such a run reported."""
    return set(re.findall(r"^loaded (.+)$", stderr, re.MULTILINE))
