"""The oracle for JSON: RFC 8259 and RFC 3629 parsed byte by byte, with the choices of the contract and no library."""

from typing import Final, TypeAlias

Told: TypeAlias = "tuple[str, str] | tuple[str, tuple[Told, ...]] | tuple[str, tuple[tuple[str, Told], ...]]"
"""A value by its kind: a `number` as text, a `text`, a `word`, a `list` of values, or an `object` of pairs."""

Expected: TypeAlias = "Told | str"
"""The expected result of a body: its value, or the code of the error."""

DEEPEST: Final = 100
MOST_VALUES: Final = 400_000

_BLANKS: Final = b" \t\n\r"
_DIGITS: Final = b"0123456789"
_HEX: Final = b"0123456789abcdefABCDEF"
_ESCAPES: Final = dict(zip(b'"\\/bfnrt', '"\\/\b\f\n\r\t', strict=True))
_WORDS: Final = (b"true", b"false", b"null")

# RFC 3629: the first byte, the second byte, and the number of bytes.
_SEQUENCES: Final = (
    (range(0xC2, 0xE0), range(0x80, 0xC0), 2),
    (range(0xE0, 0xE1), range(0xA0, 0xC0), 3),
    (range(0xE1, 0xED), range(0x80, 0xC0), 3),
    (range(0xED, 0xEE), range(0x80, 0xA0), 3),
    (range(0xEE, 0xF0), range(0x80, 0xC0), 3),
    (range(0xF0, 0xF1), range(0x90, 0xC0), 4),
    (range(0xF1, 0xF4), range(0x80, 0xC0), 4),
    (range(0xF4, 0xF5), range(0x80, 0x90), 4),
)


class Refused(Exception):
    """The body is not exactly one valid document; `code` is the expected error code."""

    def __init__(self, code: str = "answer.json") -> None:
        super().__init__(code)
        self.code = code


def read(body: bytes) -> Told:
    """The document of a body. Raises Refused."""
    if sum(body.count(mark) for mark in (b",", b"[", b"{")) > MOST_VALUES:
        raise Refused("answer.too_large")
    reader = _Reader(body)
    value = reader.value(0)
    reader.blanks()
    if reader.place != len(body):
        raise Refused
    return value


class _Reader:
    """A body with a read position."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self.place = 0

    def _peek(self) -> int:
        """The next byte. Raises Refused at the end, because no value can be complete there."""
        if self.place >= len(self._body):
            raise Refused
        return self._body[self.place]

    def _take(self) -> int:
        byte = self._peek()
        self.place += 1
        return byte

    def _expect(self, byte: bytes) -> None:
        if self._take() != byte[0]:
            raise Refused

    def _have(self, among: bytes) -> bool:
        """Whether the next byte exists and is one of these."""
        return self.place < len(self._body) and self._body[self.place] in among

    def blanks(self) -> None:
        """Skip JSON's four whitespace characters."""
        while self._have(_BLANKS):
            self.place += 1

    def value(self, depth: int) -> Told:
        """The value at this position, after whitespace, at that depth of lists and objects."""
        self.blanks()
        byte = self._peek()
        if byte in b"[{":
            if depth == DEEPEST:
                raise Refused
            return self._list(depth + 1) if byte == b"["[0] else self._object(depth + 1)
        if byte == b'"'[0]:
            return "text", self._text()
        if byte in b"-0123456789":
            return "number", self._number()
        for word in _WORDS:
            if self._body.startswith(word, self.place):
                self.place += len(word)
                return "word", word.decode()
        raise Refused

    def _list(self, depth: int) -> Told:
        self._expect(b"[")
        self.blanks()
        found: list[Told] = []
        if not self._have(b"]"):
            found.append(self.value(depth))
            self.blanks()
            while self._have(b","):
                self.place += 1
                found.append(self.value(depth))
                self.blanks()
        self._expect(b"]")
        return "list", tuple(found)

    def _object(self, depth: int) -> Told:
        self._expect(b"{")
        self.blanks()
        found: dict[str, Told] = {}
        while not self._have(b"}"):
            if found:
                self._expect(b",")
                self.blanks()
            key = self._text()
            if key in found:
                raise Refused
            self.blanks()
            self._expect(b":")
            found[key] = self.value(depth)
            self.blanks()
        self._expect(b"}")
        return "object", tuple(found.items())

    def _number(self) -> str:
        start = self.place
        if self._have(b"-"):
            self.place += 1
        if self._have(b"0"):
            self.place += 1
        else:
            self._digits()
        if self._have(b"."):
            self.place += 1
            self._digits()
        if self._have(b"eE"):
            self.place += 1
            if self._have(b"+-"):
                self.place += 1
            self._digits()
        return self._body[start : self.place].decode("ascii")

    def _digits(self) -> None:
        """Skip digits. There must be at least one."""
        if not self._have(_DIGITS):
            raise Refused
        while self._have(_DIGITS):
            self.place += 1

    def _text(self) -> str:
        self._expect(b'"')
        units: list[int] = []
        while (byte := self._take()) != b'"'[0]:
            if byte < 0x20:
                raise Refused
            if byte == b"\\"[0]:
                unit = self._escape()
                if 0xDC00 <= unit <= 0xDFFF and units and 0xD800 <= units[-1] <= 0xDBFF:
                    # The second half of a character above U+FFFF: a high surrogate can only come from an escape.
                    unit = 0x10000 + ((units.pop() - 0xD800) << 10) + (unit - 0xDC00)
                units.append(unit)
            else:
                units.append(byte if byte < 0x80 else self._sequence(byte))
        return "".join(map(chr, units))

    def _escape(self) -> int:
        """The code unit of the escape whose backslash was read."""
        byte = self._take()
        if byte in _ESCAPES:
            return ord(_ESCAPES[byte])
        if byte != b"u"[0]:
            raise Refused
        unit = 0
        for _ in range(4):
            digit = self._take()
            if digit not in _HEX:
                raise Refused
            unit = unit * 16 + "0123456789abcdef".index(chr(digit).lower())
        return unit

    def _sequence(self, first: int) -> int:
        """The code point of the UTF-8 sequence whose first byte was read."""
        for firsts, seconds, length in _SEQUENCES:
            if first in firsts:
                number = first & (0x7F >> length)
                for place in range(1, length):
                    byte = self._take()
                    if byte not in (seconds if place == 1 else range(0x80, 0xC0)):
                        raise Refused
                    number = (number << 6) | (byte & 0x3F)
                return number
        raise Refused
