"""The README and the pages of docs/ are true: examples, tables of options, codes and paths are those of the program."""

import json
import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

import pytest
import reference
import refresh

from balcli import __version__
from balcli.cli.options import Format
from balcli.errors import BalcliError, leaves
from balcli.evidence.record import LAYOUT
from balcli.history import database
from balcli.providers import OWN, PROVIDERS, coverage_of
from balcli.providers.base import Provider
from balcli.render.json import SCHEMA_VERSION
from balcli.sandbox import Sandbox, SandboxRequest, SandboxResponse, json_response
from tests.acme import install
from tests.conftest import ROOT, Program, warm
from tests.documents import DOCS, PAGES, README, anchors
from tests.tree import commands, options

KINDS = ("Added", "Changed", "Deprecated", "Removed", "Fixed", "Security")
"""What Keep a Changelog calls the changes of a version."""
EXAMPLES = refresh.EXAMPLE.findall("".join(PAGES.values()))


def test_examples_print_what_the_readme_shows(
    program: Program, tmp_path: Path, subtests: pytest.Subtests
) -> None:
    """Each example of the README and docs/, run in an empty folder without a history, prints what is shown below it."""
    warm().install(tmp_path)
    path = f"{tmp_path}{os.pathsep}{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"

    def printed(command: str) -> str | None:
        """What an example prints; None where a tool that it pipes to is not installed."""
        if any(f"| {tool} " in command and shutil.which(tool) is None for tool in ("jq", "mlr")):
            return None
        if "docs/ask.py" in command and find_spec("mcp") is None:
            return None
        return refresh.output(command, {**program.environment(), "PATH": path})

    # At once, because those with faults wait between retries.
    with ThreadPoolExecutor() as pool:
        all_printed = list(pool.map(printed, [command for command, _ in EXAMPLES]))
    for (command, shown), now in zip(EXAMPLES, all_printed, strict=True):
        with subtests.test(command=command):
            if now is None:
                pytest.skip("jq, mlr or the MCP SDK is not installed")
            assert shown == now


def test_links_lead_somewhere() -> None:
    """Each link inside the project leads to a file that exists, and to one of its headings; the index has every page."""
    others = [*DOCS.keys() - {"README.md"}, "../CHANGELOG.md", "../CONTRIBUTING.md", "../SECURITY.md"]
    assert [] == [name for name in others if f"]({name})" not in DOCS["README.md"]]
    dead = []
    for page, text in PAGES.items():
        for target in re.findall(r"\]\((?!https?:)([^)]*)\)", text):
            file, _, anchor = target.partition("#")
            path = (ROOT / page).parent / file if file else ROOT / page
            if not path.exists() or (anchor and anchor not in anchors(path.read_text())):
                dead.append((page, target))
    assert [] == dead


def test_the_pages_are_short() -> None:
    """The README is a face, of 220 lines and 1,800 words at most; a page has fewer than 400 lines."""
    assert (True, True) == (len(README.splitlines()) <= 220, len(README.split()) <= 1800)
    assert [] == [name for name, text in DOCS.items() if len(text.splitlines()) >= 400]


def test_the_reference_is_what_the_program_gives() -> None:
    """The reference is the one that is made now; else run `python docs/reference.py`."""
    assert reference.page() == DOCS["reference.md"], "run `python docs/reference.py`"


def test_the_versions_are_told() -> None:
    """The changelog has the versions of the program and of all that it writes for later, and begins with the next one."""
    page = PAGES["CHANGELOG.md"]
    told = re.findall(r"^\| [^|]+ \| ([0-9.]+) \|", page, re.MULTILINE)
    assert [__version__, SCHEMA_VERSION, str(len(database._MIGRATIONS)), LAYOUT] == told
    newest = re.findall(r"^## \[([^]]+)\]", page, re.MULTILINE)[0]
    assert newest in {"Unreleased", __version__}
    kinds = re.findall(r"^### (.*)$", page.partition("\n## ")[2].partition("\n## ")[0], re.MULTILINE)
    assert kinds == [kind for kind in KINDS if kind in kinds]


def test_the_modules_that_are_named_are_there() -> None:
    """Each module or folder of the package that a document names exists, whole or from the package's folder on."""
    for page, text in PAGES.items():
        for named in re.findall(r"`([a-z_]+(?:/[a-z_]+)*(?:\.py|/))`", text):
            places = (ROOT / named, ROOT / "balcli" / named, ROOT / "tests" / named)
            found = any(place.exists() for place in places) or list((ROOT / "balcli").glob(f"*/{named}"))
            assert found or page == "docs/mutants.md", (page, named)


def test_nothing_is_read_from_the_working_directory(program: Program, tmp_path: Path) -> None:
    """The program in a folder with a profile, a .env and modules of names that it imports takes none of them."""
    hostile = tmp_path / "hostile"
    hostile.mkdir()
    for name in ("typer.py", "tomli.py", "balcli.py"):
        (hostile / name).write_text("raise SystemExit(99)\n")
    (hostile / ".env").write_text("BALCLI_MERCHANT_TOKEN=t\n")
    (hostile / "config.toml").write_text('[profiles.main.merchant]\ntoken = "t"\n')
    done = subprocess.run(
        [Path(sys.executable).parent / "balcli", "all", "-o", "json"],
        env=program.environment(),
        cwd=hostile,
        capture_output=True,
        check=False,
    )
    assert (3, "config.file") == (done.returncode, json.loads(done.stdout)["errors"][0]["code"])


def test_there_are_examples_of_both_formats() -> None:
    """The examples show a table, a partial run and recipes for jq, so that what is tested is worth it."""
    assert 6 <= len(EXAMPLES)
    assert any("exit code 8" in shown for _, shown in EXAMPLES)


def test_each_command_is_explained() -> None:
    """Every command of the live tree is in the README's table, and has its part in the reference."""
    table = "".join(re.findall(r"^\| `balcli .*\n", README, re.MULTILINE))
    for name, command in commands():
        if not hasattr(command, "commands"):
            assert f"\n### balcli {name}\n" in DOCS["reference.md"]
            group, _, below = name.rpartition(" ")
            assert f"`balcli {name}" in table or (group and f"`{below}`" in table), name


def test_each_format_is_explained() -> None:
    """Every format has its row in the table of formats, and is at the option that chooses it."""
    option = re.findall(r"^\| `-o`, `--output` .*$", DOCS["reference.md"], re.MULTILINE)[0]
    assert [] == [
        name.value
        for name in Format
        if not re.search(rf"\b{name.value}\b", option)
        or not re.search(
            rf"^\| (`[a-z]+`, )?`{name.value}`(, `[a-z]+`)? \| ", DOCS["formats.md"], re.MULTILINE
        )
    ]


def test_each_option_is_explained() -> None:
    """Every option of the live tree is with its command in the reference, or named there and with the common options."""
    parts = dict(re.findall(r"^###? (.*)\n((?:(?!###? ).*\n)*)", DOCS["reference.md"], re.MULTILINE))
    missing = []
    for command, option in options():
        if command == "config":
            continue
        part = parts["The program" if command == "balcli" else f"balcli {command}"]
        described = rf"^\| (?:`-?-[\w-]+`, )*`{re.escape(option)}`"
        if f"`{option}`" not in part or not re.search(
            described, part + parts["Common options"], re.MULTILINE
        ):
            missing.append((command, option))
    assert [] == missing


def test_each_option_that_is_explained_is_there() -> None:
    """The tables of all pages name no option that the program lacks, but for those of other programs."""
    named = set[str]()
    for name, page in PAGES.items():
        if name != "docs/comparison.md":
            named |= set(re.findall(r"^\| (?!`(?:python|uv) )[^|]*?(--[a-z-]+)", page, re.MULTILINE))
    assert set() == named - {"--help"} - {option for _, option in options()}


def test_the_error_tree_is_drawn_as_it_is() -> None:
    """The tree in the docstring of balcli.errors names every class with its code."""
    import balcli.errors

    drawn = set(re.findall(r"── (\w+) +([a-z_.]+)", balcli.errors.__doc__ or ""))
    assert {(leaf.__name__, leaf.code) for leaf in leaves(BalcliError)} == drawn


def test_the_paths_are_those_of_the_code() -> None:
    """The page on security lists every path that the program may call."""
    for name, provider in PROVIDERS.items():
        paths = ", ".join(f"`{endpoint.method} {endpoint.path}`" for endpoint in provider.ENDPOINTS)
        assert f"| `{name}` | {paths} |" in DOCS["security.md"]


def test_what_is_covered_is_told() -> None:
    """The page on providers has what their balances cover and leave out, as each document has it, with a source."""
    for name in OWN:
        coverage = coverage_of(name)
        row = f"| `{name}` | {'; '.join(coverage.covers)} | {'; '.join(coverage.leaves_out)} |"
        assert row in DOCS["providers.md"]
        assert (coverage.source or "").startswith("https://docs.")


def test_only_reads_and_logins_are_allowed() -> None:
    """No endpoint that creates or moves anything is on the list: the two POSTs are a query and a login."""
    endpoints = {(e.method, e.path) for provider in PROVIDERS.values() for e in provider.ENDPOINTS}
    assert {("POST", "/v2/balance"), ("POST", "/v2/auth/login")} == {e for e in endpoints if e[0] != "GET"}
    creating = {
        "/v2/merchant/addfunds",
        "/v2/assets/depositAddress",
        "/v2/deposit/address",
        "/v2/rate/freeze",
    }
    assert set() == creating & {path for _, path in endpoints}


def test_the_readmes_second_command_is_what_ci_runs() -> None:
    """The command that the README gives for the tests is the one that .ci/run runs, to the letter."""
    (command,) = re.findall(r"^python3 -m venv \.venv-test.*$", README, re.MULTILINE)
    assert command in (ROOT / ".ci" / "run").read_text()


def test_the_profile_keys_are_explained() -> None:
    """Every key of every provider is in the table of the page on configuration."""
    for provider in PROVIDERS.values():
        rows = re.findall(
            rf"^\| `{provider.NAME}` \| (.*`\w+`.*) \|$", DOCS["configuration.md"], re.MULTILINE
        )
        assert rows, f"the table of keys has no row of {provider.NAME}"
        assert set() == {key.name for key in provider.KEYS if f"`{key.name}`" not in rows[0]}


class _Acme:
    """The server of the example of a provider."""

    NAME = "acme"
    BALANCES = NAMES = "/v1/balances"
    LOGIN = ""

    def answer(self, request: SandboxRequest) -> SandboxResponse:
        if request.headers.get("x-acme-key") != "acme-key-1":
            return json_response({"error": "no such key"}, 401)
        if request.query != {"user": "7"}:
            return json_response({"error": "no such user"}, 404)
        return json_response([{"asset": "EUR", "free": "10.50", "held": "0.25"}])

    def expire_tokens(self) -> None:
        """Nothing: the key does not expire."""

    def profile(self, base_url: str) -> str:
        return f'[{{table}}.acme]\nbase_url = "{base_url}"\napi_key = "acme-key-1"\nuser_id = 7\n'


def _example() -> str:
    (source,) = re.findall(r'```python\n("""Acme.*?)```', DOCS["development.md"], re.DOTALL)
    return str(source)


def test_the_example_of_a_provider_works_as_it_stands(program: Program, tmp_path: Path) -> None:
    """The example, installed as a package, gets its command, its table, its checks and its place in all."""
    assert len(_example().splitlines()) < 60
    env = install(tmp_path, _example())
    with Sandbox(stand_ins=[_Acme()]) as server:
        text = server.profile("main")
        alone = program.with_profile(text, "acme", "-o", "json", env=env)
        other = program.with_profile(text, "acme", "-o", "json", "--user-id", "8", env=env)
        all_of_them = program.with_profile(text, "all", "-o", "json", env=env)
        unknown = text.replace("acme-key-1", "acme-key-2")
        keyless = program.with_profile(unknown, "acme", "-o", "json", env=env)
    assert [("EUR", "10.75", "10.5", "0.25")] == [
        (r["asset"], r["total"], r["available"], r["locked"]) for r in alone.json["balances"]
    ]
    assert (6, "no such user") == (other.code, other.err[other.err.index("no such") :][:12])
    assert "acme" == all_of_them.json["accounts"][-1]["account"]
    assert (4, "credentials.refused") == (keyless.code, keyless.json["accounts"][0]["error"]["code"])
    bare = program.with_profile('[profiles.main.acme]\nkey = "x"\n', "acme", "-o", "json", env=env)
    assert (3, "config.key") == (bare.code, bare.json["errors"][0]["code"])


def test_a_plug_in_that_cannot_be_used_harms_nobody(
    program: Program, tmp_path: Path, subtests: pytest.Subtests
) -> None:
    """A plugin that fails to load is skipped with a warning that names it; the others work."""
    sources = {
        "raise RuntimeError('no')": "loading it raised RuntimeError",
        "raise SystemExit(0)": "loading it raised SystemExit",
        "NAME = 'acme'": "it has no TITLE",
        _example().replace('"acme"', '"wallet"'): "its NAME wallet is already in use",
        _example().replace('"acme"', '"all"'): "its NAME cannot be a subcommand",
    }
    for number, (source, why) in enumerate(sources.items()):
        folder = tmp_path / str(number)
        folder.mkdir()
        with subtests.test(why=why):
            env = install(folder, source)
            result = program.run("all", "--sandbox", "-o", "json", env=env)
            assert (0, ["plugin.left_out"]) == (result.code, [w["code"] for w in result.json["warnings"]])
            assert f"the provider plugin acme: {why}" in result.err
            assert result.json["accounts"]


def test_the_registry_holds_providers() -> None:
    """Each module of the registry has every name that the Protocol asks for."""
    names = {name for name in vars(Provider) if not name.startswith("_")}
    for provider in PROVIDERS.values():
        assert set() == {name for name in names if not hasattr(provider, name)}


def test_the_mutants_that_are_explained_can_still_be_made() -> None:
    """Each line that docs/mutants.md quotes is in its file."""
    rows = re.findall(r"^\| `([^`]+)` \| `` (.*?) `` \| ``", DOCS["mutants.md"], re.MULTILINE)
    assert rows
    squeezed = {path: "".join((ROOT / path).read_text().split()) for path, _ in rows}
    assert [] == [row for row in rows if "".join(row[1].replace(r"\|", "|").split()) not in squeezed[row[0]]]
