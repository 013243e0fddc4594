"""Addresses: those that a network namespace holds itself, asked of the kernel inside it (RTM_GETADDR, rtnetlink(7))."""

from __future__ import annotations

import socket
import struct
from ipaddress import ip_address

from collector.namespaces import run_in
from collector.netlink import (
    NETLINK_ROUTE,
    NLM_F_DUMP,
    NLM_F_REQUEST,
    NLMSG_DONE,
    NLMSG_ERROR,
    attributes,
    first_sequence,
    message,
    messages,
    open_socket,
    receive,
)
from ringfence.model.workload import Address

RTM_NEWADDR, RTM_GETADDR = 20, 22
IFA_ADDRESS, IFA_LOCAL = 1, 2
_BODY = struct.Struct("=BBBBI")  # struct ifaddrmsg


def addresses_in(path: str) -> frozenset[Address]:
    """Every address but loopback in the namespace at `path`.

    Raises:
        NotFound: the namespace is gone.
        NotPermitted: it may not be entered.
        OSError: the kernel did not answer.
    """
    return run_in(path, _addresses)


def _addresses() -> frozenset[Address]:
    link = open_socket(NETLINK_ROUTE)
    with link:
        link.settimeout(5.0)
        asked = first_sequence()
        link.send(message(RTM_GETADDR, NLM_F_REQUEST | NLM_F_DUMP, asked, _BODY.pack(socket.AF_UNSPEC, 0, 0, 0, 0)))
        found: set[Address] = set()
        while True:
            datagram = receive(link)
            for kind, _, sequence, start, end in messages(datagram):
                if sequence != asked:
                    continue
                if kind in (NLMSG_DONE, NLMSG_ERROR):
                    return frozenset(item for item in found if not item.is_loopback)
                if kind == RTM_NEWADDR:
                    held = dict(attributes(datagram[start + _BODY.size : end]))
                    raw = held.get(IFA_LOCAL, held.get(IFA_ADDRESS, b""))
                    if len(raw) in (4, 16):
                        found.add(ip_address(raw))
