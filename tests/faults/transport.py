"""Faults of the transport: silent addresses, broken connections, and wrong framing."""

from typing import Final

from balcli.sandbox.faults import Fault, at_odd_times, cuts, scripted
from tests.faults import wire

ADDRESSES: Final = {
    "no-name": Fault("the host's name does not resolve", 5, address="https://nowhere.invalid"),
    "handshake": Fault("the TLS handshake gets no answer", 5, address="https://{deaf}"),
    "plain": Fault("the port speaks plain HTTP where HTTPS is due", 5, address="https://{here}"),
}

CONNECTIONS: Final = {
    "head-drip": Fault(
        "the head of the answer comes byte by byte, without end",
        5,
        scripted(wire.drips(b"HTTP/1.1 200 OK\r\nX-Drip: ", b"x")),
    ),
    "body-drip": Fault("the body stops half-way, and then comes byte by byte", 5, scripted(wire.drips_out)),
    "continue": Fault(
        "100 Continue, again and again",
        6,
        scripted(wire.drips(b"", b"HTTP/1.1 100 Continue\r\n\r\n")),
    ),
    "hang-up": Fault("the connection closes without a byte, every time", 5, scripted(wire.hangs_up)),
    "hang-up-once": Fault(
        "the connection closes without a byte, every other time", 0, at_odd_times(scripted(wire.hangs_up))
    ),
    "reset": Fault("the connection is reset, every time", 5, scripted(wire.resets())),
    "reset-once": Fault(
        "the connection is reset in the body, every other time", 0, at_odd_times(scripted(wire.cuts_by_reset))
    ),
    "cut-once": Fault(
        "the connection closes in mid-answer, every other time", 0, at_odd_times(scripted(cuts))
    ),
}

FRAMING: Final = {
    "length-long": Fault("Content-Length is ten bytes too long", 6, scripted(wire.claims(10))),
    "length-short": Fault("Content-Length is ten bytes too short", 6, scripted(wire.claims(-10))),
    "lengths": Fault("two Content-Lengths that contradict each other", 6,
                     scripted(wire.says("Content-Length: {length}", "Content-Length: 7"))),
    "length-and-chunks": Fault("a Content-Length and chunks at once", 6,
                               scripted(wire.says("Content-Length: {length}", "Transfer-Encoding: chunked"))),
    "chunks": Fault("a chunk without a length", 6, scripted(wire.breaks_chunks)),
    "gzip-cut": Fault("a compressed body without its end", 6, scripted(wire.zips(cut=9))),
    "gzip-corrupt": Fault("a compressed body with a wrong byte", 6, scripted(wire.zips(flip=True))),
    "gzip-bomb": Fault("a compressed body that unpacks to 64 MiB", 6, scripted(wire.bombs)),
    "encoding": Fault("a body said to be in an encoding that was not asked for", 6,
                      scripted(wire.says("Content-Length: {length}", "Content-Encoding: br"))),
    "headers": Fault("a header of 100,000 bytes", 6, scripted(wire.says("X-Large: " + "x" * 100_000))),
    "status-line": Fault("a status line that is none", 6, scripted(wire.sends(b"HTTP/1.1 fine\r\n\r\n{}"))),
    "status-999": Fault("a status that there is not", 6, scripted(wire.says("Content-Length: {length}", status="999 Odd"))),
}  # fmt: skip
