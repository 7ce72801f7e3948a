"""The line that a message names: the very line of the key, however the profile is written, or none."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from balcli.config.problems import KeyPath, Source, line_numbers
from balcli.config.sources import parse_toml
from tests.conftest import Program
from tests.generated import examples
from tests.lists import each_case
from tests.profiles import private

# Texts that look like keys, headings, comments and ends of texts where they are none.
TEXTS = st.sampled_from(
    ["", "x = 1", "[a.b]", "[[a]]", "# no comment", "a\nb = 2\n[c]\n", "'", '"', "]", "}", "\\"]
)
BARE = st.from_regex("[A-Za-z0-9_-]{1,4}", fullmatch=True)
KEYS = BARE | st.sampled_from(["a b", "a.b", "", "=", "#", "[x]", "ключ", '"', "'", "a\tb"])
BETWEEN = st.sampled_from(["", "", "\n", "# [no.table]\n", "  # key = 1\n\n", "\t\n"])


class Writer:
    """Writes a TOML text and notes the line of each key."""

    def __init__(self, data: st.DataObject) -> None:
        self.draw = data.draw
        self.text = ""
        self.lines: dict[KeyPath, int] = {}

    def document(self) -> None:
        """The whole text: keys, then tables and lists of tables."""
        self.pairs((), 2)
        for name in self.draw(st.lists(KEYS, max_size=3, unique=True)):
            if (name,) in self.lines:
                continue
            several = self.draw(st.booleans())
            for index in range(self.draw(st.integers(1, 2)) if several else 1):
                self.write(self.draw(BETWEEN))
                path: KeyPath = (name, index) if several else (name,)
                self.lines.setdefault((name,), self.line)
                self.lines[path] = self.line
                self.write(f"[[{self.key(name)}]] # x = 1\n" if several else f"[ {self.key(name)} ]\n")
                self.pairs(path, 2)
                if self.draw(st.booleans()) and (*path, "sub") not in self.lines:
                    self.write(self.draw(BETWEEN))
                    self.lines[*path, "sub"] = self.line
                    self.write(f"[{self.key(name)}.sub]\n")
                    self.pairs((*path, "sub"), 1)

    def pairs(self, table: KeyPath, depth: int) -> None:
        """Some keys of a table, each with its value."""
        for key in self.draw(st.lists(KEYS, max_size=3, unique=True)):
            self.write(self.draw(BETWEEN))
            self.pair(table, key, depth)
            self.write(self.draw(st.sampled_from(["\n", " # [x]\n", "\t\n"])))

    def pair(self, table: KeyPath, key: str, depth: int) -> None:
        """A key, which may be dotted, and its value."""
        keys = [key, *self.draw(st.lists(KEYS, max_size=1))]
        path = table
        for each in keys:
            path = (*path, each)
            self.lines.setdefault(path, self.line)
        self.write(" . ".join(map(self.key, keys)) + " = ")
        self.value(path, depth)

    def value(self, path: KeyPath, depth: int) -> None:
        """A value, at most this deep."""
        kind = self.draw(
            st.sampled_from(["scalar", "text", "list", "table"] if depth else ["scalar", "text"])
        )
        if kind == "scalar":
            self.write(
                self.draw(st.sampled_from(["1", "-1.5e3", "true", "07:32:00", "2026-11-21 07:32:00", "inf"]))
            )
        elif kind == "text":
            self.write(self.string(self.draw(TEXTS)))
        elif kind == "list":
            self.write("[")
            for index in range(self.draw(st.integers(0, 2))):
                self.write(self.draw(BETWEEN))
                self.lines[*path, index] = self.line
                self.value((*path, index), depth - 1)
                self.write(",")
            self.write(self.draw(BETWEEN) + "]")
        else:
            self.write("{")
            for number, key in enumerate(self.draw(st.lists(KEYS, max_size=2, unique=True))):
                self.write(("," if number else "") + self.draw(BETWEEN))
                self.pair(path, key, depth - 1)
            self.write(self.draw(BETWEEN) + "}")

    def string(self, text: str) -> str:
        """A text in one of the forms that it can have."""
        forms = [json.dumps(text, ensure_ascii=False)]
        if "\\" not in text:
            forms.append(f'"""\n{text}"""' if not text.endswith('"') else f'"""{text}"""')
        if "'" not in text:
            forms.append(f"'''{text}'''")
        return self.draw(st.sampled_from(forms))

    def key(self, key: str) -> str:
        """A key in one of the forms that it can have."""
        forms = [json.dumps(key, ensure_ascii=False)]
        if key and key.isascii() and key.replace("-", "").replace("_", "").isalnum():
            forms.append(key)
        if "'" not in key:
            forms.append(f"'{key}'")
        return self.draw(st.sampled_from(forms))

    @property
    def line(self) -> int:
        """The line that is written on."""
        return self.text.count("\n") + 1

    def write(self, text: str) -> None:
        """Add to the text."""
        self.text += text


def paths(value: Any, path: KeyPath = ()) -> set[KeyPath]:
    """The path of each key and list item of a document."""
    items = [
        *(value.items() if isinstance(value, dict) else enumerate(value if isinstance(value, list) else ()))
    ]
    return {(*path, key) for key, _ in items}.union(*(paths(item, (*path, key)) for key, item in items))


@examples(400)
@given(st.data())
def test_each_key_has_its_own_line(data: st.DataObject) -> None:
    """Every key, table and list item of a generated text has the line on which it was written, and nothing else has one."""
    writer = Writer(data)
    writer.document()
    found = line_numbers(writer.text)
    assert writer.lines == found
    assert paths(parse_toml(Source("", writer.text))) == set(found)
    assert found == line_numbers(writer.text.replace("\n", "\r\n"))


SECRET = "s3cr3t-CANARY-of-a-profile"
EVERYTHING = f"""\
[profiles.main]
deadlin = 3

[[profiles.main.wallet]]
name = "treasury"
base_url = "https://core.example"
api_key = "${{NOT_SET}}"
walletid = "{SECRET}"
timeout = "{SECRET}"

[[profiles.main.wallet]]
base_url = "http://core.example"
{SECRET}9 = 1

[profiles.main.merchant]
token = "${{ALSO_NOT_SET}}"
merchant_id = "eleven"
"""
IN_FILE = [
    '2: unknown key "deadlin" in profile "main"; did you mean "deadline"?',
    '8: unknown key "walletid" in wallet "treasury"; did you mean "wallet_id"?',
    '9: unknown key "timeout" in wallet "treasury"; known keys: name, base_url, ',
    "11: name in wallet 2 is missing, but is required with several accounts; add name = …",
    "13: unknown key (not shown: it may be a secret) in wallet 2; known keys: name, base_url, ",
    '7: api_key in wallet "treasury" needs ${NOT_SET}, which is not set; set NOT_SET in the environment or in ',
    '4: wallet_id in wallet "treasury" is missing; add ',
    "12: base_url in wallet 2 is plain HTTP, ",
    "11: access_token in wallet 2 is missing; add ",
    "11: wallet_id in wallet 2 is missing; add ",
]
OF_MERCHANT = [
    "16: token in merchant needs ${ALSO_NOT_SET}, which is not set; ",
    "17: merchant_id in merchant must be a whole number; use only digits",
]
IN_ENV_FILE = ["1: expected NAME=value; ", "3: expected NAME=value; "]


def check_all(program: Program, arguments: list[str], told: list[str]) -> None:
    """A command line ends with 3, says each of these on a line of stderr, and nothing of the secret."""
    result = program.run(*arguments, "-c", str(program.file))
    lines = [line.removeprefix("balcli: ") for line in result.err.splitlines() if ": note: " not in line]
    assert 3 == result.code
    assert [] == [text for text in told if not any(text in line for line in lines)]
    assert "CANARY" not in result.out + result.err
    if "doctor" not in arguments:
        assert len(told) == len(lines), lines


@each_case(
    ("arguments", "others"),
    [
        (["all", "-o", "json"], OF_MERCHANT),
        (["all"], OF_MERCHANT),
        (["wallet", "-q"], []),
        (["check", "--asset", "USDT", "--crit", "1:"], OF_MERCHANT),
        (["doctor", "--offline", "-o", "json"], OF_MERCHANT),
        (["config", "check"], OF_MERCHANT),
    ],
)
def test_everything_is_said_in_one_go(program: Program, arguments: list[str], others: list[str]) -> None:
    """Every command names each bad key, value, variable and line of the `.env`, with its line; a run of its accounts."""
    program.write(EVERYTHING)
    private(program.folder / ".env", f"{SECRET}\nGOOD=1\nexport OTHER\n")
    told = [f"config.toml:{text}" for text in (*IN_FILE, *others)] + [f".env:{text}" for text in IN_ENV_FILE]
    if "doctor" in arguments:  # which writes the cure in its own place
        told = [text.partition("; ")[0] for text in told]
    check_all(program, arguments, told)


def test_no_command_is_run_beside_a_problem(program: Program) -> None:
    """Once anything is wrong, no secret's command is run: the file may be one that another user wrote."""
    marker = program.folder / "ran"
    file = program.write(
        f'[profiles.main.merchant]\ntoken_command = ["touch", "{marker}"]\nbase_url = "http://127.0.0.1:9"\n'
    )
    file.chmod(0o622)
    result = program.run("all", "-c", str(file))
    doctor = program.run("doctor", "-c", str(file))
    assert (3, 3, False) == (result.code, doctor.code, marker.exists())
