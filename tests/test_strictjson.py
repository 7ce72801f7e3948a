"""JSON as it was sent: exact or refused."""

import json
import re
from typing import TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balcli.errors import AnswerTooLarge, BadJson
from balcli.http.strictjson import Json, Number, decode
from tests.generated import examples
from tests.lists import each_case

SOME = examples(200)

Plain: TypeAlias = "bool | int | str | list[Plain] | dict[str, Plain] | None"

NUMBERS = st.builds(
    lambda *parts: "".join(parts),
    st.sampled_from(["", "-"]),
    st.one_of(st.just("0"), st.integers(1, 10**40).map(str)),
    st.one_of(st.just(""), st.text("0123456789", min_size=1, max_size=40).map(lambda digits: f".{digits}")),
    st.one_of(st.just(""), st.from_regex(r"[eE][+-]?[0-9]{1,8}", fullmatch=True, alphabet="eE+-0123456789")),
)

DOCUMENTS: st.SearchStrategy[Plain] = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text()),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(), inner, max_size=4)),
    max_leaves=12,
)

KEPT = [
    *["0", "-0", "1", "-1", "0.10", "1.000000000000000000", "1e5", "1E+05", "1e-18", "-0.0e-0"],
    *["1E+1000000", "1e99999999999", "0.1000000000000000055511151231257827", "79228162514264337593543950335"],
    "123456789012345678901234567890.123456789012345678",
]

REFUSED: dict[str, bytes] = {
    "nothing": b"",
    "blanks": b" \r\n\t ",
    "a byte-order mark": b"\xef\xbb\xbf{}",
    "a byte-order mark alone": b"\xef\xbb\xbf",
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    "UTF-16 little-endian": '{"a": 1}'.encode("utf-16-le"),
    "UTF-16 big-endian": '{"a": 1}'.encode("utf-16-be"),
    "UTF-32": '{"a": 1}'.encode("utf-32"),
    "Latin-1": b'"\xe9"',
    "a cut UTF-8 sequence": b'"\xe4\xb8"',
    "an overlong UTF-8 sequence": b'"\xc0\x80"',
    "a surrogate in UTF-8": b'"\xed\xa0\x80"',
    "bytes beyond Unicode": b'"\xf4\x90\x80\x80"',
    "a key twice": b'{"total": "1", "total": "2"}',
    "a key twice with one value": b'{"total": "1", "total": "1"}',
    "a key twice in two spellings": b'{"total": "1", "t\\u006ftal": "2"}',
    "a key twice further down": b'[{"a": {"b": 1, "b": 2}}]',
    "NaN": b"NaN",
    "NaN in an object": b'{"total": NaN}',
    "Infinity": b"[Infinity]",
    "minus Infinity": b"[-Infinity]",
    "two documents": b"{}{}",
    "two documents on two lines": b"{}\n{}",
    "a number after a document": b"{} 1",
    "text after a document": b"{} # fine",
    "an open object": b'{"a": 1',
    "an open list": b"[1, 2",
    "an open text": b'"abc',
    "a comma at the end": b"[1, 2,]",
    "a comma at an object's end": b'{"a": 1,}',
    "a comment": b"// one\n1",
    "single quotes": b"{'a': 1}",
    "a key without quotes": b"{a: 1}",
    "a word": b"nul",
    "a capital word": b"True",
    "a plus sign": b"+1",
    "a leading zero": b"01",
    "a leading point": b".5",
    "a final point": b"1.",
    "a hexadecimal number": b"0x10",
    "an underscore": b"1_000",
    "digits of another script": "\u0661\u0662".encode(),
    "a line break in a text": b'"a\nb"',
    "a NUL in a text": b'"a\x00b"',
    "a NUL after the document": b"{}\x00",
    "an unknown escape": b'"\\x41"',
    "another kind of blank": "\u00a0{}".encode(),
    "100,000 open brackets": b"[" * 100_000,
    "100,000 nested lists": b"[" * 100_000 + b"]" * 100_000,
    "100,000 nested objects": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "a web page": b"<!DOCTYPE html><html><body>Bad gateway</body></html>",
}


def as_decoded(value: Plain) -> Json:
    """The value that a document of this must decode to: numbers by their text."""
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return value
    if isinstance(value, int):
        return Number(value)
    if isinstance(value, list):
        return [as_decoded(item) for item in value]
    return {key: as_decoded(item) for key, item in value.items()}


def kinds(value: Json) -> object:
    """The value with the name of each leaf's type in the leaf's place: a number's text is no text."""
    if isinstance(value, list):
        return [kinds(item) for item in value]
    if isinstance(value, dict):
        return {key: kinds(item) for key, item in value.items()}
    return type(value).__name__


@each_case("text", KEPT)
def test_a_number_keeps_its_very_characters(text: str) -> None:
    """A number, however long or small or huge, stays the text that was sent, and is told from a string."""
    value = decode(f'{{"total": {text}}}'.encode())
    assert ({"total": Number(text)}, {"total": "Number"}) == (value, kinds(value))


@SOME
@given(NUMBERS)
def test_any_number_of_the_grammar_keeps_its_characters(text: str) -> None:
    """Every JSON number comes out with no character changed, at the top and in a list."""
    assert [text, [text]] == [decode(text.encode()), decode(f"[{text}]".encode())]


def test_a_string_of_digits_is_no_number() -> None:
    """A text in quotes is a text, whatever it holds."""
    assert ["str", "Number"] == kinds(decode(b'["1.0", 1.0]'))


def test_an_integer_of_five_thousand_digits_is_kept_as_text() -> None:
    """An integer longer than any that can be meant costs nothing, and is left to who reads the amount."""
    assert Number("7" * 5000) == decode(b"7" * 5000)


@SOME
@given(DOCUMENTS, st.booleans())
def test_whatever_json_writes_is_read_back(document: Plain, ascii_only: bool) -> None:
    """Any document, escaped or in UTF-8, comes back with its values and the kinds of its values."""
    body = json.dumps(document, ensure_ascii=ascii_only).encode()
    assert (as_decoded(document), kinds(as_decoded(document))) == (decode(body), kinds(decode(body)))


def test_the_order_of_keys_is_kept() -> None:
    """The keys of an object come in the order in which they were sent."""
    value = decode(b'{"b": 1, "a": 2, "": 3}')
    assert ["b", "a", ""] == (list(value) if isinstance(value, dict) else value)


@each_case("body", [b" {} ", b"\r\n\t{}\n", b"{}"])
def test_blanks_around_a_document_do_no_harm(body: bytes) -> None:
    """The four blanks of JSON may stand around a document."""
    assert {} == decode(body)


@each_case(
    ("opened", "closed", "times"),
    [(b"[", b"]", 100), (b'{"a":', b"}", 100), (b'[{"a":', b"}]", 50)],
    ids=["lists", "objects", "both"],
)
def test_depth_is_bounded_by_a_figure(opened: bytes, closed: bytes, times: int) -> None:
    """A document nested a hundred deep, far more than any provider's, is read; one level more is refused."""
    deepest = opened * times + b'"x"' + closed * times
    assert 100 == len(re.findall(r"[\[{]", str(decode(deepest))))
    siblings = b"[" + b",".join([opened * (times - 1) + b'"x"' + closed * (times - 1)] * 3) + b"]"
    assert isinstance(decode(siblings), list)  # many in all, and none too deep
    for deeper in (b"[" + deepest + b"]", b'{"a": 1, "b": ' + deepest + b"}"):
        with pytest.raises(BadJson, match=r"^the JSON is nested too deeply$"):
            decode(deeper)


@each_case("body", REFUSED.values(), ids=REFUSED)
def test_what_is_not_exactly_one_document_is_refused(body: bytes) -> None:
    """An answer that is empty, ambiguous, in another encoding or no JSON is refused as bad JSON."""
    with pytest.raises(BadJson) as refused:
        decode(body)
    assert ("answer.json", 6) == (refused.value.code, refused.value.exit_code)


def test_an_object_of_very_many_keys_is_read() -> None:
    """That no key stands twice is found of an object of any size."""
    pairs = ", ".join(f'"{number}": {number}' for number in range(1000))
    assert {str(number): Number(number) for number in range(1000)} == decode(f"{{{pairs}}}".encode())


@each_case("body", [b"", b" ", b"\r\n"])
def test_an_empty_body_is_called_empty(body: bytes) -> None:
    """Where nothing came, that is said, and not that something was wrong with it."""
    with pytest.raises(BadJson, match=r"^the body is empty$"):
        decode(body)


@each_case(
    ("body", "line", "column"),
    [(b"{", 1, 2), (b'{"a": 1,\n "b": @}', 2, 7), (b"=", 1, 1), (b"\n!", 2, 1), (b"x", 1, 1)],
)
def test_where_json_is_wrong_is_said(body: bytes, line: int, column: int) -> None:
    """A document that is not valid JSON fails with the line and column of the error."""
    with pytest.raises(BadJson, match=f"^the body is not valid JSON at line {line}, column {column}$"):
        decode(body)


MOST = {
    "numbers": (b"[0" + b",0" * (400_000 - 1), b"]"),
    "lists": (b"[0" + b",[]" * ((400_000 - 1) // 2), b"]"),
    "objects": (b"[0" + b",{}" * ((400_000 - 1) // 2), b"]"),
}


@pytest.mark.parametrize(("begins", "ends"), MOST.values(), ids=MOST)
def test_an_answer_of_very_many_values_is_refused_before_it_is_read(begins: bytes, ends: bytes) -> None:
    """Up to the bound a document is read; with two values more it is too large, before it takes memory."""
    assert isinstance(decode(begins + ends), list)
    with pytest.raises(AnswerTooLarge, match=r"^the response has more than 400,000 values$"):
        decode(begins + b",[]" + ends)


def test_the_bound_on_values_is_met_exactly() -> None:
    """A document of as many values as allowed is read; one more is refused."""
    assert isinstance(decode(b"[0" + b",0" * (400_000 - 1) + b"]"), list)
    with pytest.raises(AnswerTooLarge):
        decode(b"[0" + b",0" * 400_000 + b"]")


@each_case("body", [b"<html>", b" \n<!doctype html>", b'<?xml version="1.0"?>'])
def test_a_web_page_is_called_one(body: bytes) -> None:
    """A page where JSON should be is named, because it tells that the address is wrong."""
    with pytest.raises(BadJson, match=r"^the body is a web page, not JSON$"):
        decode(body)


@each_case(
    "body",
    [
        b'{"token": "tk-5531',
        b'{"tk-5531": 1, "tk-5531": 2}',
        b"tk-5531",
        b'{"a": tk-5531}',
        b'\xef\xbb\xbf"tk-5531"',
        b"<p>tk-5531</p>",
        b'"tk-5531\xff"',
    ],
)
def test_the_reason_shows_nothing_of_the_body(body: bytes) -> None:
    """A refusal is one short line that says what is wrong, and quotes nothing that may be a secret."""
    with pytest.raises(BadJson) as refused:
        decode(body)
    message = refused.value.message
    assert (False, True, True) == ("5531" in message, message.isprintable(), len(message) < 100)
