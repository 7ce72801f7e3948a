"""Run the tests on every Python that pyproject.toml lists: `python -m tests.pythons [VERSION ...] [PYTEST OPTION ...]`.

A Python is `python3.X` on the PATH, or a version of pyenv. If there is none, one is taken from a Debian suite:
mmdebstrap extracts it into `.pythons/`, and a mount namespace mounts it as /usr. That needs root on Debian or Ubuntu.
Versions that are not available are listed and skipped.
"""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parent.parent
FOLDER: Final = ROOT / ".pythons"
SUITES: Final = {"3.13": "trixie", "3.14": "sid", "3.15": "sid"}
MIRROR: Final = "http://deb.debian.org/debian"
TOOLS: Final = (
    "bash",
    "coreutils",
    "dash",
    "diffutils",
    "findutils",
    "grep",
    "jq",
    "libc-bin",
    "mount",
    "procps",
    "sed",
    "util-linux",
)
IN_PLACE_OF_USR: Final = ("unshare", "-m", "sh", "-c", 'mount --bind "$0" /usr && exec "$@"')


def versions() -> list[str]:
    """The versions of Python that pyproject.toml lists, the oldest first."""
    prefix = "Programming Language :: Python :: 3."
    with (ROOT / "pyproject.toml").open("rb") as stream:
        classifiers = tomllib.load(stream)["project"]["classifiers"]
    return [f"3.{name.removeprefix(prefix)}" for name in classifiers if name.startswith(prefix)]


def command(version: str) -> list[str] | str:
    """The command that runs a version of Python, or why there is none."""
    name = f"python{version}"
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    for found in (name, *map(str, pyenv.glob(f"{version}.*/bin/{name}"))):
        if (
            shutil.which(found)
            and subprocess.run([found, "-c", ""], check=False, capture_output=True).returncode == 0
        ):
            return [found]
    if version not in SUITES:
        return f"{name} is not installed, and no Debian suite has it"
    if os.getuid() != 0 or shutil.which("mmdebstrap") is None:
        return f"{name} is not installed, and a Debian suite needs root and mmdebstrap"
    suite = FOLDER / version
    if not suite.exists():
        suite.parent.mkdir(parents=True, exist_ok=True)
        made = subprocess.run(
            [
                "mmdebstrap",
                "--quiet",
                "--variant=extract",
                f"--include={','.join((f'python{version}-venv', *TOOLS))}",
                # An outdated mirror is fine here. Signatures are checked.
                '--aptopt=Acquire::Check-Valid-Until "false"',
                SUITES[version],
                str(suite),
                f"deb {MIRROR} {SUITES[version]} main",
            ],
            check=False,
        )
        if made.returncode != 0:
            shutil.rmtree(suite, ignore_errors=True)
            return f"{SUITES[version]} of {MIRROR} is not available"
    return [*IN_PLACE_OF_USR, str(suite / "usr"), f"python{version}"]


def passes(version: str, python: list[str], options: list[str]) -> bool:
    """Whether the tests pass on a Python, in a new virtual environment."""
    venv = FOLDER / f"venv-{version}"
    inside = [*python[:-1], str(venv / "bin" / "python")]
    steps = [
        *([] if venv.exists() else [[*python, "-m", "venv", str(venv)]]),
        [*inside, "-m", "pip", "install", "-q", "-e", ".[test]"],
        [*inside, "-m", "pytest", "-q", *options],
    ]
    return all(subprocess.run(step, cwd=ROOT, check=False).returncode == 0 for step in steps)


def main(arguments: list[str]) -> int:
    """Run the tests on the named versions, or on all. Returns 1 if they fail on any."""
    named = [argument for argument in arguments if re.fullmatch(r"3\.[0-9]+", argument)]
    options = [argument for argument in arguments if argument not in named]
    outcomes = {}
    for version in named or versions():
        python = command(version)
        if isinstance(python, str):
            outcomes[version] = f"skipped: {python}"
        else:
            outcomes[version] = "passed" if passes(version, python, options) else "FAILED"
    for version, outcome in outcomes.items():
        print(f"Python {version}: {outcome}")  # noqa: T201 - it is what the command is for
    return int("FAILED" in outcomes.values())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
