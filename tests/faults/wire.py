"""Scripts of what a server does to a connection, byte by byte."""

import gzip
import socket
import struct
import time
from typing import Final

from balcli.sandbox.exchange import Script

_BOMB: Final = 64 * 1024 * 1024


def hangs_up(connection: socket.socket, _bytes: bytes) -> None:
    """Close without sending a byte."""
    connection.shutdown(socket.SHUT_RDWR)


def sends(raw: bytes) -> Script:
    """A script that sends these bytes and closes."""
    return lambda connection, _bytes: connection.sendall(raw)


def resets(raw: bytes = b"") -> Script:
    """A script that sends these bytes and resets the connection."""

    def script(connection: socket.socket, _bytes: bytes) -> None:
        connection.sendall(raw)
        if raw:
            time.sleep(0.1)  # a reset may arrive before the last bytes
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        # Here, because the server would first close the connection properly.
        socket.close(connection.detach())

    return script


def drips(raw: bytes, drop: bytes = b" ", pause: float = 0.02) -> Script:
    """A script that sends these bytes, and then the drop repeatedly until the client disconnects."""

    def script(connection: socket.socket, _bytes: bytes) -> None:
        connection.sendall(raw)
        while True:
            connection.sendall(drop)
            time.sleep(pause)

    return script


def pours(raw: bytes, piece: bytes) -> Script:
    """A script that sends these bytes, and then the piece as long and as fast as the client reads."""
    return drips(raw, piece, 0)


def drips_out(connection: socket.socket, answer: bytes) -> None:
    """Send the head and half of the body, and then almost nothing until the client disconnects."""
    drips(answer[: -(len(body_of(answer)) // 2)])(connection, answer)


def cuts_by_reset(connection: socket.socket, answer: bytes) -> None:
    """Send the head and the first half of the body, and reset."""
    resets(answer[: -(len(body_of(answer)) // 2)])(connection, answer)


def head(*lines: str, status: str = "200 OK") -> bytes:
    """The head of a response with `Connection: close`."""
    kept = [f"HTTP/1.1 {status}", "Content-Type: application/json", "Connection: close", *lines]
    return "\r\n".join([*kept, "", ""]).encode("latin-1")


def body_of(answer: bytes) -> bytes:
    """The body of a complete response."""
    return answer.partition(b"\r\n\r\n")[2]


def claims(difference: int) -> Script:
    """A script that sends the response with a Content-Length that is wrong by that many bytes."""

    def script(connection: socket.socket, answer: bytes) -> None:
        body = body_of(answer)
        connection.sendall(head(f"Content-Length: {len(body) + difference}") + body)

    return script


def says(*lines: str, status: str = "200 OK") -> Script:
    """A script that sends the response with these head lines; `{length}` is the body's length."""

    def script(connection: socket.socket, answer: bytes) -> None:
        body = body_of(answer)
        connection.sendall(head(*(line.format(length=len(body)) for line in lines), status=status) + body)

    return script


def chunked(*chunks: bytes, last: bytes = b"0\r\n\r\n") -> bytes:
    """A body in these chunks."""
    return b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + last


def breaks_chunks(connection: socket.socket, answer: bytes) -> None:
    """Send the body in chunks, the second one without a length."""
    body = body_of(answer)
    broken = chunked(body[:20], last=b"twenty\r\n") + body[20:]
    connection.sendall(head("Transfer-Encoding: chunked") + broken)


def zips(*, cut: int = 0, flip: bool = False) -> Script:
    """A script that sends a compressed response without its last bytes, or with one changed byte."""

    def script(connection: socket.socket, answer: bytes) -> None:
        packed = bytearray(gzip.compress(body_of(answer), mtime=0))
        if flip:
            packed[len(packed) // 2] ^= 0xFF
        packed = packed[: len(packed) - cut]
        connection.sendall(head("Content-Encoding: gzip", f"Content-Length: {len(packed)}") + bytes(packed))

    return script


def bombs(connection: socket.socket, _bytes: bytes) -> None:
    """Send a few kilobytes that decompress to 64 MiB."""
    packed = gzip.compress(b" " * _BOMB, mtime=0)
    connection.sendall(head("Content-Encoding: gzip", f"Content-Length: {len(packed)}") + packed)
