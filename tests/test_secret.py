"""Secrets: nothing shows them, and the filter finds them in the forms that others give them."""

import ast
import base64
import copy
import json
import logging
import pickle
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

import balcli
from balcli.secret import (
    CredentialMatcher,
    Secret,
    encodings,
    is_recognizable,
    redact,
    reveal,
    validate_credential,
)
from tests.generated import examples
from tests.lists import each_case

PACKAGE = Path(balcli.__file__).parent

# Blank, slash, plus, equals, quotes, backslash, ampersand and a Latin-1 letter: what encodings disagree about.
TEXT = 'tk-9b1f /+="\\<&>?~\u00fc-endings'

LATIN = st.text(
    st.one_of(
        st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_categories=["Cc"]),
        st.sampled_from(' /+="\\<&%?~'),
    ),
    min_size=1,
)

VIEWS: dict[str, Callable[[Secret], str]] = {
    "str": str,
    "repr": repr,
    "f-string": lambda secret: f"{secret}",
    "f-string with repr": lambda secret: f"{secret!r}",
    "f-string with ascii": lambda secret: f"{secret!a}",
    "format with a width": lambda secret: f"{secret:>40}",
    "percent": lambda secret: "%s %r" % (secret, secret),  # noqa: UP031 - it is what is tested
    "str.format": "{0} {0!r} {0!s:>9}".format,
    "in a list": lambda secret: str([secret]),
    "in a dictionary": lambda secret: str({"key": secret}),
    "in an exception": lambda secret: repr(ValueError("bad", secret)),
    "in JSON": lambda secret: json.dumps({"key": secret}, default=str),
    "in a log": lambda secret: logging.LogRecord(
        "log", logging.INFO, "", 1, "key %s", (secret,), None
    ).getMessage(),
}

ENCODINGS: dict[str, Callable[[str], str]] = {
    "as it stands": str,
    "JSON in ASCII": lambda text: json.dumps(text)[1:-1],
    "JSON in UTF-8": lambda text: json.dumps(text, ensure_ascii=False)[1:-1],
    "URL path": quote,
    "URL component": lambda text: quote(text, safe=""),
    "URL form": quote_plus,
    "URL with small digits": lambda text: quote(text, safe="").lower(),
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "base64 for URLs": lambda text: base64.urlsafe_b64encode(text.encode()).decode(),
    "base64 without padding": lambda text: base64.urlsafe_b64encode(text.encode()).decode().rstrip("="),
}

FLAWED = [
    ("", "is empty"),
    (" ", "contains only whitespace"),
    ("\t", "contains only whitespace"),
    ("\n", "contains only whitespace"),
    ("\u00a0\u00a0", "contains only whitespace"),
    ("key-1234\n", "control character"),
    ("key-1234\r", "control character"),
    ("key\r\nX-Evil: 1", "control character"),
    ("key\x001234", "control character"),
    ("key\x1b1234", "control character"),
    ("key\x7f1234", "control character"),
    ("key\x851234", "control character"),
    ("key\t1234", "control character"),
    ("key\u200b1234", "outside Latin-1"),
    ("\ufeffkey1234", "outside Latin-1"),
    ("key\u20ac1234", "outside Latin-1"),
    ("\u03ba\u03b5\u03c0", "outside Latin-1"),
    ("key\ud8001234", "outside Latin-1"),
    ("key\U0001f6001234", "outside Latin-1"),
    (" key1234", "starts or ends with whitespace"),
    ("key1234 ", "starts or ends with whitespace"),
    ("key1234\u00a0", "starts or ends with whitespace"),
]


@each_case("view", VIEWS.values(), ids=VIEWS)
def test_no_view_of_a_secret_shows_it(view: Callable[[Secret], str]) -> None:
    """Text, repr, formats, containers, JSON and logs show three asterisks in a secret's place."""
    shown = view(Secret("tk-4417-hidden"))
    assert (True, False) == ("***" in shown, "4417" in shown)


def test_a_format_never_reaches_the_text() -> None:
    """A format's width and fill are those of the asterisks."""
    assert "..***.." == f"{Secret('tk-4418-hidden'):.^7}"


@each_case("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_secret_is_not_pickled(protocol: int) -> None:
    """No protocol of pickle writes a secret down, and the refusal does not show it."""
    with pytest.raises(TypeError, match=r"(?m)^a secret is not pickled$"):
        pickle.dumps({"key": Secret("tk-4419-hidden")}, protocol)


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy])
def test_a_secret_is_not_copied(duplicate: Callable[[Secret], Secret]) -> None:
    """Copies, which what prints a structure likes to make, are refused."""
    with pytest.raises(TypeError, match=r"^a secret is not pickled$"):
        duplicate(Secret("tk-4420-hidden"))


def test_a_secret_has_no_dictionary() -> None:
    """What lists an object's attributes by its dictionary finds none."""
    assert False is hasattr(Secret("tk-4421-hidden"), "__dict__")


def test_json_refuses_a_secret() -> None:
    """A secret that is put into a document by mistake stops the document, without being shown."""
    with pytest.raises(TypeError, match=r"(?m)^Object of type Secret is not JSON serializable$"):
        json.dumps([Secret("tk-4422-hidden")])


def test_reveal_gives_the_very_text() -> None:
    """The one way to the text gives it unaltered."""
    assert TEXT == reveal(Secret(TEXT))


def test_equal_secrets_are_one_key() -> None:
    """Two secrets of one text are the same key, another text is another, and a text is no secret."""
    secrets = {Secret("tk-4423-one"), Secret("tk-4423-one"), Secret("tk-4423-two")}
    assert (2, False) == (len(secrets), "tk-4423-one" in secrets)


@each_case("encode", ENCODINGS.values(), ids=ENCODINGS)
def test_a_secret_is_hidden_in_every_encoding(encode: Callable[[str], str]) -> None:
    """A secret is replaced in a text as it stands and as JSON, URLs and base64 write it."""
    secret = Secret(TEXT)
    assert "before *** after" == redact(f"before {encode(reveal(secret)).rstrip('=')} after")


@examples(200)
@given(LATIN, st.sampled_from(["as it stands", "JSON in ASCII", "URL component", "URL form", "base64"]))
def test_whatever_a_credential_holds_it_is_hidden(text: str, encoding: str) -> None:
    """Any text that a header can carry is found again in each encoding, at any place."""
    secret = f"tk-77f0{text}"
    encoded = ENCODINGS[encoding](secret)
    found = CredentialMatcher(6, [secret]).find_in(f"({encoded})({encoded})")
    assert {encoded, encoded.rstrip("=")} & set(found)


@pytest.mark.parametrize(
    ("secret", "written"),
    [
        ("tk-77f1/a+b/c", r"tk-77f1\/a+b\/c"),  # PHP
        ("tk-77f1&<a>-b", r"tk-77f1\u0026\u003ca\u003e-b"),  # Go
        ("tk-77f1&<a>-b", r"tk-77f1\u0026\u003Ca\u003E-b"),
        ("tk-77f1-\xe9-b", r"tk-77f1-\u00E9-b"),
    ],
)
def test_a_secret_is_found_as_other_writers_of_json_escape_it(secret: str, written: str) -> None:
    """Slashes, what HTML marks up with, and the digits of an escape are written in more than Python's way."""
    assert [written] == CredentialMatcher(6, [secret]).find_in(f'{{"key":"{written}"}}')


def test_every_known_secret_is_hidden() -> None:
    """All secrets that were made are hidden, though nobody names them."""
    first, second = Secret("tk-4424-first"), Secret("tk-4424-second")
    assert "*** and ***" == redact(f"{reveal(first)} and {reveal(second)}")


def test_a_secret_inside_another_leaves_nothing_of_it() -> None:
    """Where one secret contains another, the longer one is hidden whole."""
    inner = Secret("tk-4426-inner")
    outer = Secret(f"Bearer {reveal(inner)}-and-more")
    assert "[***] [***]" == redact(f"[{reveal(outer)}] [{reveal(inner)}]")


@given(
    st.lists(
        st.text('abcXYZ019-_ "\\\u20ac&', min_size=12, max_size=24), min_size=20, max_size=40, unique=True
    ),
    st.data(),
)
@examples(30)
def test_many_secrets_are_found_as_few_are(texts: list[str], data: st.DataObject) -> None:
    """Among so many that a text is searched once for all, each is found in every form, wherever it stands."""
    chosen = data.draw(
        st.lists(st.sampled_from(sorted({f for text in texts for f in encodings(text)})), max_size=6)
    )
    between = data.draw(st.sampled_from(["", " ", '", "', "x", "=9"]))
    line = between.join(["begin", *chosen, "end"])
    there = {form for text in texts for form in encodings(text) if form in line}
    assert there == set(CredentialMatcher(12, texts).find_in(line)) >= set(chosen)


def test_a_short_value_garbles_no_text() -> None:
    """A value of under six characters is not filtered, and words that hold it stay whole; from six on it is."""
    Secret("total")
    Secret("202425")
    assert "the total of ***" == redact("the total of 202425")


def test_what_can_be_told_from_data() -> None:
    """A credential has 12 characters or more, not all of them digits."""
    told = {
        "a" * 12: True,
        "a" * 11: False,
        "1" * 12: False,
        "1" * 64: False,
        "1" * 11 + "a": True,
        "": False,
    }
    assert told == {text: is_recognizable(Secret(text)) for text in told}


def test_a_text_without_secrets_stays() -> None:
    """What holds no secret is not altered."""
    assert "nothing to hide: 4427.50 USDT" == redact("nothing to hide: 4427.50 USDT")


@each_case(("text", "reason"), FLAWED, ids=ascii)
def test_what_no_header_can_carry_is_told_in_words(text: str, reason: str) -> None:
    """A credential that cannot be sent, or would split a header, is refused with its reason."""
    assert reason in str(validate_credential(text))


@each_case("text", ["k", "abc-DEF_123", "a b", "p\u00e4ss", "~!@#$%^&*()+={}[]|:;<>,.?/'\"\\", "x" * 9000])
def test_what_a_header_can_carry_has_no_flaw(text: str) -> None:
    """Any other text, with Latin-1 letters and blanks inside, can be sent."""
    assert None is validate_credential(text)


def test_an_invisible_character_in_a_credential_is_a_flaw() -> None:
    """A soft hyphen, zero columns wide and inside Latin-1, is refused like other zero-width characters."""
    assert None is not validate_credential("key\u00ad1234")


@each_case("odd", ["\n", "\x00", "\u200b", "\u20ac", " "])
def test_a_reason_never_shows_the_credential(odd: str) -> None:
    """The words about a flawed credential hold no part of it."""
    reason = validate_credential(f"tk-4428{odd}") or validate_credential(f"tk-4428{odd}x")
    assert (True, False) == (isinstance(reason, str), "4428" in str(reason))


def touches(tree: ast.AST) -> bool:
    """Whether a module reaches for an attribute `_text`, by name or by its name as a text."""
    return any(
        (isinstance(node, ast.Attribute) and node.attr == "_text")
        or (isinstance(node, ast.Constant) and node.value == "_text")
        for node in ast.walk(tree)
    )


def test_only_the_secrets_own_module_touches_its_text() -> None:
    """In the whole package, one module alone reaches into a secret."""
    reaching = [
        file.relative_to(PACKAGE).as_posix()
        for file in sorted(PACKAGE.rglob("*.py"))
        if touches(ast.parse(file.read_text(encoding="utf-8")))
    ]
    assert ["secret.py"] == reaching
