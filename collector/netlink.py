"""Netlink: message and attribute packing, and sockets that are bound, sized and read back."""

from __future__ import annotations

import os
import secrets
import socket
import struct
import time
from collections.abc import Callable, Iterator

NETLINK_ROUTE = 0
NETLINK_NETFILTER = 12
SOL_NETLINK = 270
NETLINK_ADD_MEMBERSHIP = 1
NETLINK_NO_ENOBUFS = 5
NETLINK_LISTEN_ALL_NSID = 8
SO_RCVBUFFORCE = 33

NLM_F_REQUEST = 0x1
NLM_F_ACK = 0x4
NLM_F_DUMP_INTR = 0x10
NLM_F_DUMP = 0x300

NLMSG_NOOP = 1
NLMSG_ERROR = 2
NLMSG_DONE = 3

NLA_F_NESTED = 0x8000
NLA_TYPE_MASK = 0x3FFF

HEADER = struct.Struct("=IHHII")
"""Length, type, flags, sequence, port id."""
NFGENMSG = struct.Struct("=BBH")
"""Family, version, resource id (the last in network order)."""

SocketFactory = Callable[[int], socket.socket]
"""Opens a raw netlink socket of the given protocol."""


def raw_socket(protocol: int) -> socket.socket:
    """An unbound netlink socket of this thread's network namespace."""
    return socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol)


def open_socket(protocol: int, *, receive_buffer: int = 0, factory: SocketFactory = raw_socket) -> socket.socket:
    """A bound netlink socket; `receive_buffer` in bytes is forced past `rmem_max` where that is permitted.

    Binding matters: an unbound socket gets no multicast message and stands in no `/proc/net/netlink`.
    """
    link = factory(protocol)
    try:
        if receive_buffer:
            force_receive_buffer(link, receive_buffer)
        link.bind((0, 0))
    except BaseException:
        link.close()
        raise
    return link


def force_receive_buffer(link: socket.socket, size: int) -> int:
    """Ask for `size` bytes, return what the kernel gave (it doubles the request)."""
    try:
        link.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, size)
    except PermissionError:
        link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)
    return link.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)


def port_of(link: socket.socket) -> int:
    """The socket's netlink port id."""
    port: int = link.getsockname()[0]
    return port


def attribute(kind: int, payload: bytes) -> bytes:
    """One attribute with its padding."""
    return struct.pack("=HH", len(payload) + 4, kind) + payload + bytes(-len(payload) % 4)


def nested(kind: int, *attributes: bytes) -> bytes:
    """An attribute that holds others."""
    return attribute(kind | NLA_F_NESTED, b"".join(attributes))


def message(kind: int, flags: int, sequence: int, body: bytes) -> bytes:
    """A netlink message with its header."""
    return HEADER.pack(HEADER.size + len(body), kind, flags, sequence, 0) + body


def messages(datagram: bytes | memoryview) -> Iterator[tuple[int, int, int, int, int]]:
    """Every message of a datagram as (type, flags, sequence, start of the body, end); stops at the first bad length."""
    position, size = 0, len(datagram)
    while position + HEADER.size <= size:
        length, kind, flags, sequence, _ = HEADER.unpack_from(datagram, position)
        if length < HEADER.size or position + length > size:
            return
        yield kind, flags, sequence, position + HEADER.size, position + length
        position += length + 3 & ~3


def attributes(data: bytes | memoryview) -> Iterator[tuple[int, bytes]]:
    """Every attribute as (type without flags, payload); stops at the first bad length."""
    position, size = 0, len(data)
    while position + 4 <= size:
        length, kind = struct.unpack_from("=HH", data, position)
        if length < 4 or position + length > size:
            return
        yield kind & NLA_TYPE_MASK, bytes(data[position + 4 : position + length])
        position += length + 3 & ~3


def error_of(datagram: bytes | memoryview, start: int) -> int:
    """The errno of an NLMSG_ERROR body; 0 is an acknowledgement."""
    code: int = struct.unpack_from("=i", datagram, start)[0]
    return -code


def receive_into(link: socket.socket, buffer: memoryview | bytearray) -> int:
    """Take one datagram of the kernel's; returns its length.

    Any process that may send in the socket's namespace can send to it: what is not from the kernel (port 0) is ignored.

    Raises:
        TimeoutError: nothing came from the kernel within the socket's timeout, whatever others sent.
    """
    timeout = link.gettimeout()
    until = None if timeout is None else time.monotonic() + timeout
    while True:
        size, (sender, _) = link.recvfrom_into(buffer)
        if sender == 0:
            return size
        if until is not None and time.monotonic() >= until:
            raise TimeoutError("the kernel did not answer")


def receive(link: socket.socket, size: int = 65536) -> bytes:
    """The same as bytes."""
    buffer = bytearray(size)
    return bytes(memoryview(buffer)[: receive_into(link, buffer)])


def first_sequence() -> int:
    """Where to start numbering requests: nobody else can guess what an answer must carry."""
    return secrets.randbits(31)


def transact(link: socket.socket, request: bytes, sequence: int) -> list[tuple[int, bytes]]:
    """Send one request with NLM_F_ACK and return the (type, body) of every answer before the acknowledgement.

    Raises:
        OSError: the kernel refused the request, with its errno.
    """
    link.send(request)
    answers: list[tuple[int, bytes]] = []
    while True:
        datagram = receive(link)
        for kind, _, number, start, end in messages(datagram):
            if number != sequence:
                continue
            if kind == NLMSG_ERROR:
                code = error_of(datagram, start)
                if code:
                    raise OSError(code, os.strerror(code))
                return answers
            answers.append((kind, datagram[start:end]))
