"""JSON documents made by rules: valid ones, invalid ones, and ones that the standard leaves open."""

import random
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from tests.proof.grammar import DEEPEST, MOST_VALUES, Expected, Told


class Made(NamedTuple):
    """A document's bytes, and the expected result: its value, or the code of the error."""

    body: bytes
    expected: Expected


JSON: Final = "answer.json"
SIZE: Final = "answer.too_large"
_SHORT: Final = dict(zip('"\\/\b\f\n\r\t', '"\\/bfnrt', strict=True))
_POOL: Final = "abcXYZ 0129_-+./:;,[]{}'<>&%$#@!\x7f"
_SCALARS: Final = (
    *((0x80, 0x7FF), (0x800, 0xD7FF), (0xE000, 0xFFFF), (0x10000, 0x10FFFF)),
    *((0x200B, 0x202E), (0xFFFE, 0xFFFF), (0x1F600, 0x1F64F), (0x1FFFE, 0x1FFFF), (0x80, 0x9F)),
)


# Valid documents.


def spelled(rng: random.Random, character: str) -> bytes:
    """A character in a JSON text: unchanged, as a short escape, or as a numeric escape."""
    number = ord(character)
    may_stand = number >= 0x20 and character not in '"\\' and not 0xD800 <= number <= 0xDFFF
    if may_stand and rng.random() < 0.75:
        return character.encode()
    if character in _SHORT and rng.random() < 0.5:
        return f"\\{_SHORT[character]}".encode()
    units = [number]
    if number > 0xFFFF:
        units = [0xD800 + ((number - 0x10000) >> 10), 0xDC00 + ((number - 0x10000) & 0x3FF)]
    hexadecimal = rng.choice(("{:04x}", "{:04X}"))
    return b"".join(b"\\u" + hexadecimal.format(unit).encode() for unit in units)


def quoted(rng: random.Random, text: str) -> bytes:
    """A text as a JSON text, with each character in a random spelling."""
    return b'"' + b"".join(spelled(rng, character) for character in text) + b'"'


def characters(rng: random.Random) -> str:
    """A few characters: from ASCII, from all of Unicode, or ones that need an escape."""
    found = []
    for _ in range(rng.choice((0, 1, 1, 2, 3, 5, 8, 20))):
        kind = rng.random()
        if kind < 0.7:
            found.append(rng.choice(_POOL))
        elif kind < 0.85:
            found.append(chr(rng.randint(*rng.choice(_SCALARS))))
        else:
            found.append(rng.choice(('"', "\\", "\0", "\n", "\x1f", chr(rng.randrange(0x20)))))
    return "".join(found)


def number(rng: random.Random) -> str:
    """A number in any form of the grammar."""
    whole = rng.choice(("0", "1", str(rng.randrange(1, 10**9)), str(rng.randrange(1, 10**40))))
    fraction = rng.choice(("", "", ".0", ".50", f".{rng.randrange(10**18):018d}"))
    power = rng.choice(("", "", "", "e0", "E+05", "e-18", f"e{rng.randrange(10**6)}"))
    return rng.choice(("", "", "-")) + whole + fraction + power


def blanks(rng: random.Random) -> bytes:
    """Whitespace between two tokens, mostly none."""
    return rng.choice((b"", b"", b"", b"", b" ", b"\n", b"\t", b"\r\n", b"  \n "))


def value(rng: random.Random, depth: int = 3) -> Made:
    """A value of any kind, with at most that many levels."""
    kind = rng.randrange(7 if depth else 4)
    if kind == 0:
        word = rng.choice(("true", "false", "null"))
        return Made(word.encode(), ("word", word))
    if kind == 1:
        digits = number(rng)
        return Made(digits.encode(), ("number", digits))
    if kind < 4:
        text = characters(rng)
        return Made(quoted(rng, text), ("text", text))
    inner = [value(rng, depth - 1) for _ in range(rng.choice((0, 1, 2, 2, 3, 4)))]
    bodies = [blanks(rng) + made.body + blanks(rng) for made in inner]
    if kind == 4:
        told = tuple(made.expected for made in inner if not isinstance(made.expected, str))
        return Made(b"[" + (b",".join(bodies) or blanks(rng)) + b"]", ("list", told))
    keys = list(dict.fromkeys(characters(rng) for _ in inner))
    pairs = [
        blanks(rng) + quoted(rng, key) + blanks(rng) + b":" + body
        for key, body in zip(keys, bodies, strict=False)
    ]
    entries = tuple(
        (key, made.expected)
        for key, made in zip(keys, inner, strict=False)
        if not isinstance(made.expected, str)
    )
    return Made(b"{" + (b",".join(pairs) or blanks(rng)) + b"}", ("object", entries))


def document(rng: random.Random) -> Made:
    """A valid document."""
    made = value(rng, rng.choice((0, 1, 2, 3, 3, 4, 6)))
    return Made(blanks(rng) + made.body + blanks(rng), made.expected)


# Invalid documents.

SPOILT_VALUES: Final[Mapping[str, tuple[bytes, ...]]] = {
    "a comma too many": (
        b"[1,]",
        b"[,1]",
        b"[1,,2]",
        b"[,]",
        b'{"a":1,}',
        b'{,"a":1}',
        b'{"a":1,,"b":2}',
        b"{,}",
    ),
    "a comma too few": (b"[1 2]", b'["a""b"]', b'{"a":1"b":2}', b'{"a":1 "b":2}', b"[[][]]", b"[1 true]"),
    "a colon where none is": (b"[1:2]", b'{"a"::1}', b'{"a":1:2}', b"[:1]", b'{"a":"b":1}'),
    "no colon": (b'{"a" 1}', b'{"a",1}', b'{"a"}', b'{"a"=1}', b'{"a";1}'),
    "a key that is no text": (b"{a:1}", b"{1:1}", b"{'a':1}", b"{null:1}", b"{[]:1}", b"{{}:1}", b"{:1}"),
    "a key without a value": (b'{"a":}', b'{"a":,"b":1}', b'{"a":1,"b"}', b'{"a":1,"b":}'),
    "single quotes": (b"'a'", b"['a']", b"`a`", "\u201ca\u201d".encode()),
    "not closed": (b"[1", b"[", b'{"a":1', b"{", b'"a', b'{"a', b'"', b"[[]", b'{"a":[}', b'"a\\"'),
    "closed too often": (b"[1]]", b'{"a":1}}', b"]", b"}", b'"a""', b"[]}"),
    "closed by another": (b"[1}", b'{"a":1]', b"(1)", b"<1>", b'["a}'),
    "a comment": (b"1//x\n", b"/*x*/1", b"1#x", b"[1/**/]", b"<!--x-->1", b"[1--x\n]", b"/1"),
    "another word": (
        b"True",
        b"NULL",
        b"nil",
        b"None",
        b"undefined",
        b"tru",
        b"truee",
        b"nul",
        b"fals",
        b"yes",
        b"t",
    ),
    "not a number": (b"NaN", b"nan", b"-NaN", b"+NaN", b"NaN1", b"nan(1)", b"sNaN"),
    "an infinity": (
        b"Infinity",
        b"-Infinity",
        b"+Infinity",
        b"inf",
        b"-inf",
        b"Inf",
        b"1.#INF",
        "\u221e".encode(),
    ),
    "a sign too many": (b"+1", b"--1", b"-+1", b"++1", b"1-", b"- 1", b"-", b"+", "\u22121".encode(), b"1+2"),
    "a zero too many": (b"01", b"-01", b"00", b"-00", b"000.1", b"01.5", b"0123e1"),
    "a point without digits": (
        b".5",
        b"5.",
        b"-.5",
        b"-5.",
        b".",
        b"5.e1",
        b"0.e1",
        b".e1",
        b"1..2",
        b"1.2.3",
    ),
    "an exponent without digits": (
        b"1e",
        b"1E",
        b"1e+",
        b"1e-",
        b"1.5e",
        b"e1",
        b"1e1.5",
        b"1ee1",
        b"1e1e1",
        b"1e 1",
    ),
    "digits of other bases": (b"0x10", b"0X1f", b"0b1", b"0o7", b"1h", b"0xg", b"1L", b"1n", b"1f", b"1d"),
    "digits of other scripts": tuple(
        t.encode() for t in ("\uff11", "\u0661", "\u0967", "1\uff12", "1.\u0665", "\U0001d7cf")
    ),
    "signs within a number": (b"1_000", b"1,000.5,", b"1'000", b"1 000", b"$1", b"1%", b"1 e5", b"1. 5"),
    "an unknown escape": (
        b'"\\x41"',
        b'"\\a"',
        b'"\\0"',
        b'"\\\'"',
        b'"\\v"',
        b'"\\U0041"',
        b'"\\N{DASH}"',
        b'"\\ "',
        b'"\\\n"',
    ),
    "half an escape": (
        b'"\\u"',
        b'"\\u1"',
        b'"\\u12"',
        b'"\\u123"',
        b'"\\u12G4"',
        b'"\\u+123"',
        b'"\\u 123"',
        b'"\\u0x41"',
    ),
    "an escape outside of a text": (b"\\u0031", b"[\\n]", b"\\", b'\\"a\\"', b"{\\u0022a\\u0022:1}"),
    "a control character in a text": tuple(b'"a' + bytes([byte]) + b'b"' for byte in range(0x20)),
    "another kind of blank": tuple(
        blank + b"1"
        for blank in (
            b"\x0b",
            b"\x0c",
            b"\x00",
            b"\x1f",
            b"\x85",
            b"\xa0",
            *map(str.encode, "\u00a0\u2003\u2028\u3000\ufeff\u200b\u2060\x85"),
        )
    ),
    "a call": (b"f(1)", b"new Date(1)", b"1;", b"x=1", b")]}',\n1", b"while(1);1", b"\x1e1"),
    "an ellipsis": (b"[...]", b"[1,...]", b"{...a}", b"*", b"&1", b"!1", b"@", b"~"),
}
"""Values that are invalid anywhere in JSON."""


def spoilt_value(rng: random.Random, kind: str) -> bytes:
    """A document with an invalid value, at the top or nested."""
    body = rng.choice(SPOILT_VALUES[kind])
    for _ in range(rng.choice((0, 0, 1, 1, 2, 4))):
        beside = value(rng, 1).body
        body = rng.choice(
            (
                b"[" + body + b"]",
                b"[" + beside + b"," + body + b"]",
                b"[" + body + b"," + beside + b"]",
                b'{"x":' + body + b"}",
                b'{"x":' + beside + b',"y":' + body + b"}",
                b'{"x":' + body + b',"y":' + beside + b"}",
            )
        )
    return body


def _two(rng: random.Random) -> bytes:
    """Two documents in brackets, so that two numbers do not merge."""
    one, other = (b"[" + value(rng, 1).body + b"]" for _ in range(2))
    return one + rng.choice((b"", b"\n", b" ", b"\x1e", b";", b",", b"\0")) + other


def _cut(rng: random.Random) -> bytes:
    """A list, object or text without its end."""
    body = b"[" + document(rng).body + b"]"
    return body[: rng.randrange(1, len(body))]


def _junk(rng: random.Random) -> bytes:
    after = rng.choice(
        (b"x", b"]", b"}", b",", b":", b"\0", b"//", b"#", b"1 1", b'"', b"\x1a", b"\\", b"ok")
    )
    return b"[" + value(rng, 1).body + b"]" + blanks(rng) + after


SPOILT_DOCUMENTS: Final[Mapping[str, Callable[[random.Random], bytes]]] = {
    "two documents": _two,
    "a cut document": _cut,
    "more after the document": _junk,
    "nothing": lambda rng: b"".join(rng.choice((b"", b" ", b"\n", b"\r\n", b"\t")) for _ in range(4)),
    "a page": lambda rng: (
        rng.choice((b"<html>", b"<!DOCTYPE html>", b"<?xml?>", b" <p>")) + document(rng).body
    ),
}


# Documents that the standard leaves open, with the project's choice.


def _in_list(rng: random.Random, body: bytes, told: Expected) -> Made:
    """A value, or a list with it."""
    if rng.random() < 0.5:
        return Made(body, told)
    return Made(b"[" + body + b"]", told if isinstance(told, str) else ("list", (told,)))


def _number_as_text(rng: random.Random, text: str) -> Made:
    return _in_list(rng, text.encode(), ("number", text))


def _marked(rng: random.Random) -> Made:
    return Made(b"\xef\xbb\xbf" + document(rng).body, JSON)


def _wide_encoding(rng: random.Random) -> Made:
    encodings = ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be")
    return Made(document(rng).body.decode().encode(rng.choice(encodings)), JSON)


def _bad_utf8(rng: random.Random) -> Made:
    bad = (
        *(b"\xff", b"\xfe", b"\x80", b"\xbf", b"\xc0\x80", b"\xc1\xbf", b"\xe0\x80\x80", b"\xe0\x9f\xbf"),
        *(b"\xf0\x80\x80\x80", b"\xf0\x8f\xbf\xbf", b"\xed\xa0\x80", b"\xed\xbf\xbf", b"\xf4\x90\x80\x80"),
        *(
            b"\xf5\x80\x80\x80",
            b"\xf8\x88\x80\x80\x80",
            b"\xc3",
            b"\xe4\xb8",
            b"\xf0\x9f\x98",
            b"\xe9t\xe9",
            b"\xc3(",
        ),
    )
    return _in_list(rng, b'"' + spelled(rng, "a") + rng.choice(bad) + b'"', JSON)


def _key_twice(rng: random.Random) -> Made:
    key = characters(rng)
    one, other = value(rng, 1).body, value(rng, 1).body
    pairs = [quoted(rng, key) + b":" + one, quoted(rng, key) + b":" + rng.choice((one, other))]
    between = [b'"\\u0000between":1'] if rng.random() < 0.3 and key != "\0between" else []
    return _in_list(rng, b"{" + b",".join([pairs[0], *between, pairs[1]]) + b"}", JSON)


def _deep(rng: random.Random) -> Made:
    levels = rng.choice(
        (DEEPEST - 1, DEEPEST, DEEPEST, DEEPEST + 1, DEEPEST + 1, 200, 600, 990, 5000, 100_000)
    )
    told: Told = ("number", "1")
    opened, closed = [], []
    for _ in range(min(levels, DEEPEST)):
        told = ("list", (told,)) if rng.random() < 0.5 else ("object", (("a", told),))
        opened.append(b"[" if told[0] == "list" else b'{"a":')
        closed.append(b"]" if told[0] == "list" else b"}")
    more = levels - len(opened)
    body = b"[" * more + b"".join(reversed(opened)) + b"1" + b"".join(closed) + b"]" * more
    return Made(body, JSON if more else told)


def _many(rng: random.Random) -> Made:
    """The maximum number of values, or one more. Commas in texts also count, because telling them apart takes too long."""
    most = MOST_VALUES + rng.choice((0, 1))
    expected: Told
    if rng.random() < 0.5:
        body, expected = b'"' + b"," * most + b'"', ("text", "," * most)
    else:
        body, expected = b"[" + b",".join([b"0"] * most) + b"]", ("list", (("number", "0"),) * most)
    return Made(body, expected if most == MOST_VALUES else SIZE)


def _lone_surrogate(rng: random.Random) -> Made:
    high, low = rng.randint(0xD800, 0xDBFF), rng.randint(0xDC00, 0xDFFF)
    units = rng.choice(
        ((high,), (low,), (low, high), (high, high), (0x61, high, 0x62), (high, 0x5C), (low, low))
    )
    text = "".join(map(chr, units))
    return _in_list(rng, quoted(rng, text), ("text", text))


def _long_text(rng: random.Random) -> Made:
    text = rng.choice(("a", "\u4eba", "\0", "\\")) * rng.choice((1000, 10_000, 60_000))
    return _in_list(rng, quoted(rng, text), ("text", text))


CHOICES: Final[Mapping[str, Callable[[random.Random], Made]]] = {
    "a byte-order mark (refused)": _marked,
    "UTF-16 and UTF-32 (refused)": _wide_encoding,
    "bytes that are not UTF-8 (refused)": _bad_utf8,
    "a key twice (refused)": _key_twice,
    "depth (100 levels are read, more refused)": _deep,
    "values (400,000 are read, more refused)": _many,
    "surrogates without their other half (read)": _lone_surrogate,
    "texts of any length (read)": _long_text,
    "numbers of any length (read as text)": lambda rng: _number_as_text(
        rng,
        rng.choice("123456789")
        + str(rng.randrange(10)) * rng.choice((80, 400, 5000))
        + rng.choice(("", ".5", "e7")),
    ),
    "numbers of any size (read as text)": lambda rng: _number_as_text(
        rng,
        rng.choice(("1", "-1", "0.1", "0"))
        + rng.choice("eE")
        + rng.choice(("+", "-", ""))
        + str(10 ** rng.randrange(3, 30)),
    ),
    "minus zero (read as text)": lambda rng: _number_as_text(
        rng, rng.choice(("-0", "-0.0", "-0e1", "-0.00E-5"))
    ),
    "an empty key (read)": lambda rng: _in_list(rng, b'{"":' + b"0}", ("object", (("", ("number", "0")),))),
}
"""The cases that the standard leaves open, with the project's choices."""

RARE: Final = "values (400,000 are read, more refused)"
"""The choice whose documents take almost a second each."""


# Randomly changed documents, valid or not.

_SIGNS: Final = (
    *(
        b'"',
        b"\\",
        b",",
        b":",
        b"[",
        b"]",
        b"{",
        b"}",
        b"0",
        b"-",
        b"+",
        b".",
        b"e",
        b"E",
        b" ",
        b"\n",
        b"\t",
        b"\0",
    ),
    *(
        b"\\u",
        b"\\ud800",
        b"\\udc00",
        b"null",
        b"true",
        b"NaN",
        b"\xef\xbb\xbf",
        b"\xc3",
        b"\xa9",
        b"\xed\xa0\x80",
        b"1e9",
    ),
)


def mutated(rng: random.Random) -> bytes:
    """A document with a few bytes removed, inserted, changed, doubled or swapped."""
    body = document(rng).body
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        start = rng.randrange(len(body) + 1)
        end = min(start + rng.choice((1, 1, 2, 5)), len(body))
        other = rng.randrange(len(body) + 1)
        body = rng.choice(
            (
                body[:start],
                body[start:],
                body[:start] + body[end:],
                body[:start] + rng.choice(_SIGNS) + body[start:],
                body[:start] + rng.choice(_SIGNS) + body[end:],
                body[:start] + bytes([rng.randrange(256)]) + body[end:],
                body[:end] + body[start:],
                body[:other] + body[start:end] + body[other:],
            )
        )
    return body
