"""A gRPC client of raw HTTP/2 frames, in a closed loop, that does on purpose what other clients do by themselves.

    python raw_client.py '{"port": N, "connections": N, "window": [from, until], "does": [...], "burn_us": N}'

`window` is by the monotonic clock; calls that are answered in it are counted. What it may do, one word each:

    apart     send HEADERS and DATA by two system calls, not one
    literal   send all headers in full with every call, not as indexes into HPACK's table
    timeout   send grpc-timeout with every call
    updates   send WINDOW_UPDATE for every reply, of stream and connection
    pings     send a PING with every reply
    clumps    read all that has come, and only then send all that goes on

`burn_us` is CPU time used between a reply and the next call. Its last line is JSON: calls, and how many times it
received something, all in the window. Imports nothing but the standard library.
"""

import json
import select
import socket
import struct
import sys
import time

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, SETTINGS, PING, WINDOW_UPDATE = 0, 1, 4, 6, 8
END_STREAM, ACK, END_HEADERS = 1, 1, 4
PATH, AUTHORITY = b"/counter.incrementCounter/increment", b"127.0.0.1"
BODY = b"\0\0\0\0\2\x08\1"
WIDE = 2**31 - 1 - 65535
"""Added to a connection's window at its beginning, so that it needs no more updates."""


def frame(kind, flags, stream, payload=b""):
    """Return the bytes of a frame."""
    return struct.pack("!I", len(payload))[1:] + struct.pack("!BBI", kind, flags, stream) + payload


def text(value):
    """Return a string as HPACK has it, without Huffman's code."""
    return bytes([len(value)]) + value


def headers(first, does):
    """Return the header block of a call: POST http, path, authority, content-type, te."""
    known = b"\x83\x86"
    if "literal" in does:
        block = (
            known + b"\x04" + text(PATH) + b"\x01" + text(AUTHORITY) + b"\x0f\x10" + text(b"application/grpc")
            + b"\x00" + text(b"te") + text(b"trailers")
        )  # fmt: skip
    elif first:  # put into the table, from where later calls take them
        block = (
            known + b"\x44" + text(PATH) + b"\x41" + text(AUTHORITY) + b"\x5f" + text(b"application/grpc")
            + b"\x40" + text(b"te") + text(b"trailers")
        )  # fmt: skip
    else:
        block = known + b"\xc1\xc0\xbf\xbe"
    return block + (b"\x00" + text(b"grpc-timeout") + text(b"9999m") if "timeout" in does else b"")


class Connection:
    """One connection, with one call at a time."""

    def __init__(self, port, does):
        self.does = does
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.sendall(
            PREFACE + frame(SETTINGS, 0, 0) + frame(WINDOW_UPDATE, 0, 0, struct.pack("!I", WIDE))
        )  # fmt: skip
        self.stream, self.rest = -1, b""
        self.block = headers(False, does)

    def call(self):
        """Send the next call."""
        self.stream += 2
        block = headers(True, self.does) if self.stream == 1 else self.block
        head, body = frame(HEADERS, END_HEADERS, self.stream, block), frame(DATA, END_STREAM, self.stream, BODY)
        if "apart" in self.does:
            self.socket.sendall(head)
            self.socket.sendall(body)
        else:
            self.socket.sendall(head + body)

    def receive(self):
        """Read what has come, answer what must be answered; return whether the call has ended."""
        got = self.socket.recv(65536)
        if not got:
            raise SystemExit("the server closed a connection")
        data, at, ended, answers = self.rest + got, 0, False, b""
        while len(data) - at >= 9:
            length = int.from_bytes(data[at : at + 3], "big")
            if len(data) - at - 9 < length:
                break
            kind, flags, stream = data[at + 3], data[at + 4], int.from_bytes(data[at + 5 : at + 9], "big")
            if kind == SETTINGS and not flags & ACK:
                answers += frame(SETTINGS, ACK, 0)
            elif kind == PING and not flags & ACK:
                answers += frame(PING, ACK, 0, data[at + 9 : at + 9 + length])
            elif kind == DATA and "updates" in self.does and length:
                more = struct.pack("!I", length)
                answers += frame(WINDOW_UPDATE, 0, 0, more) + frame(WINDOW_UPDATE, 0, stream, more)
            elif kind == HEADERS and flags & END_STREAM:
                ended = True
            at += 9 + length
        self.rest = data[at:]
        if ended and "pings" in self.does:
            answers += frame(PING, 0, 0, b"perfkit!")
        if answers:
            self.socket.sendall(answers)
        return ended


def main():
    """Load the server until the window is over."""
    wanted = json.loads(sys.argv[1])
    does, burn_s, (since, until) = set(wanted["does"]), wanted["burn_us"] / 1e6, wanted["window"]
    polled = select.epoll()
    connections = {}
    for _ in range(wanted["connections"]):
        one = Connection(wanted["port"], does)
        connections[one.socket.fileno()] = one
        polled.register(one.socket, select.EPOLLIN)
        one.call()
    calls = receipts = 0
    while (now := time.monotonic()) < until:
        ready = []
        for number, _ in polled.poll(0.1):
            one = connections[number]
            receipts += now >= since
            if not one.receive():
                continue
            calls += now >= since
            if burn_s:
                end = time.thread_time() + burn_s
                while time.thread_time() < end:
                    pass
            if "clumps" in does:
                ready.append(one)
            else:
                one.call()
        for one in ready:
            one.call()
    print(json.dumps({"calls": calls, "receipts": receipts}))


if __name__ == "__main__":
    main()
