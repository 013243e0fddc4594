"""The outer ends of a namespace's interfaces: found in whichever namespace holds them, sealed and opened with tc."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from enforcer.frames import Seal
from enforcer.iptables import Runner
from enforcer.netns import NamespaceGone, Netns, everywhere, opened, run_in
from ringfence.errors import EnforcementFailed

PRIORITY = "1"
"""The first filter of all: one before it could let frames pass ours."""
HANDLE = 0x52460001
CAP_NET_RAW = 1 << 13
GETNSID = 90
HEADER = struct.Struct("=IHHII")
NSID_OF_DESCRIPTOR = struct.Struct("=B3xHHI")
"""rtgenmsg, then NETNSA_FD (3)."""
NSID, NSID_LENGTH = 1, 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealed:
    """What a packet socket in the namespace can do: nothing, when `problem` is empty.

    `detail` says why in words, `changed` what had to be written or removed.
    """

    detail: str = ""
    problem: str = ""
    changed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """The outer end of one interface."""

    interface: str
    netns: Netns
    device: str


def seal_wires(netns: Netns, run: Runner, seal: Seal | None) -> Sealed:
    """Hold `seal` at the outer end of every interface that is up, if anybody inside could use a packet socket.

    None takes away what is ours there.

    Raises:
        EnforcementFailed: the interfaces cannot be listed, or something of ours cannot be removed.
    """
    links = _links(netns, run)
    senders = _senders(netns) if seal is not None else ""
    changed: list[str] = []
    if seal is None or not senders:
        for link in links:
            with contextlib.suppress(NamespaceGone):
                end = _outer_end(netns, link, run)
                changed += [] if isinstance(end, str) else _open(end, run)
        return Sealed(detail="nobody inside holds CAP_NET_RAW, no packet socket is open", changed=tuple(changed))
    problems, closed = [], []
    for link in links:
        try:
            end = _outer_end(netns, link, run)
            if isinstance(end, str):
                problems.append(end)
                continue
            changed += _close(end, seal, run)
            closed.append(f"{end.interface} at {end.device}")
        except EnforcementFailed as error:
            problems.append(f"{link['ifname']}: {error}")
    detail = f"{senders}; closed on the host's side: {', '.join(closed) or 'nothing'}"
    return Sealed(detail=detail, problem="; ".join(problems), changed=tuple(changed))


def _links(netns: Netns, run: Runner) -> list[Mapping[str, Any]]:
    """Interfaces that lead out. One that is down sends nothing, and only CAP_NET_ADMIN sets it up."""
    return [
        item for item in json.loads(run(["ip", "-j", "-d", "link", "show"], netns=netns) or "[]") if leads_out(item)
    ]


def _senders(netns: Netns) -> str:
    """Who could send frames past the rules, in words; empty: nobody."""
    if run_in(netns, lambda: len(Path("/proc/thread-self/net/packet").read_text("ascii").splitlines()) > 1):
        return "a packet socket is open"
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (path / "ns/net").stat().st_ino == netns.inode and (said := _sender(path)):
                return said
    return ""


def senders_in(folder: str) -> str:
    """The same for the processes of a cgroup and of those below it."""
    for processes in Path(folder).rglob("cgroup.procs"):
        with contextlib.suppress(OSError):
            for number in processes.read_text("ascii").split():
                if said := _sender(Path("/proc", number)):
                    return said
    return ""


def _sender(process: Path) -> str:
    status = (process / "status").read_text("utf-8", "replace")
    return (
        f"process {process.name} may use packet sockets (CAP_NET_RAW)" if may_send_frames(status, os.getpid()) else ""
    )


def may_send_frames(status: str, own: int) -> bool:
    """Whether a process may ever hold CAP_NET_RAW, from its /proc/PID/status: the bounding set has the last word.

    Our own short-lived tools (children of `own`) are not of the workload.
    """
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    return int(fields.get("PPid", "0")) != own and bool(int(fields.get("CapBnd", "0"), 16) & CAP_NET_RAW)


def leads_out(link: Mapping[str, Any]) -> bool:
    """Whether frames could leave by an interface: it is up, and no pair with both ends inside."""
    flags, inside = link.get("flags", ()), _kind(link) == "veth" and link.get("link_netnsid") is None
    return "UP" in flags and "LOOPBACK" not in flags and not inside


def no_outer_end(link: Mapping[str, Any]) -> str:
    """Why an interface has no end outside that could be closed; empty when it has one."""
    if _kind(link) == "veth":
        return ""
    return f"a packet socket sends past the rules through {link['ifname']}: a {_kind(link)} has no outer end to close"


def _kind(link: Mapping[str, Any]) -> str:
    return str(link.get("linkinfo", {}).get("info_kind", "device of its own"))


def _outer_end(netns: Netns, link: Mapping[str, Any], run: Runner) -> End | str:
    """The other end of a veth pair, or in words why there is none to close."""
    if why := no_outer_end(link):
        return why
    name, number = link["ifname"], int(link["link_netnsid"])
    found = _namespace_of(netns, number)
    if found is None:
        return f"the other end of {name} is in a namespace that cannot be opened"
    for item in json.loads(run(["ip", "-j", "link", "show"], netns=found) or "[]"):
        if item["ifindex"] == link.get("link_index"):
            return End(interface=name, netns=found, device=item["ifname"])
    return f"the other end of {name} was not found"


def _namespace_of(netns: Netns, number: int) -> Netns | None:
    """The namespace that `netns` knows by this number (RTM_GETNSID, rtnetlink's own way to name another one)."""

    def search() -> Netns | None:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE) as link:
            link.settimeout(2)
            for candidate in everywhere().values():
                with contextlib.suppress(EnforcementFailed), opened(candidate) as descriptor:
                    if _nsid(link, descriptor) == number:
                        return candidate
        return None

    return run_in(netns, search)


def _nsid(link: socket.socket, descriptor: int) -> int:
    body = NSID_OF_DESCRIPTOR.pack(0, 8, 3, descriptor)
    link.send(HEADER.pack(HEADER.size + len(body), GETNSID, 1, 1, 0) + body)
    answer = link.recv(4096)
    place = HEADER.size + 4
    while place + NSID_LENGTH <= len(answer):
        length, kind = struct.unpack_from("=HH", answer, place)
        if kind == NSID:
            return int(struct.unpack_from("=i", answer, place + 4)[0])
        place += max(4, length + 3 & ~3)
    return -1


def _close(end: End, seal: Seal, run: Runner) -> Iterator[str]:
    """Hold both programs at an outer end and read them back; yields what was not there."""
    wanted = {"ingress": seal.sent, "egress": seal.received}
    hooked = _hooked(end, run)
    wrong = [way for way, program in wanted.items() if not (hooked and _holds(end, way, program, run))]
    if not hooked:
        run(["tc", "qdisc", "add", "dev", end.device, "clsact"], netns=end.netns)
    for way in wrong:
        run([*_filter("replace", end, way), "da", "bytecode", wanted[way]], netns=end.netns)
        if not _holds(end, way, wanted[way], run):
            raise EnforcementFailed(f"another filter stands before ours on {end.device}")
        yield f"the {way} filter of {end.device} was missing or changed"


def _open(end: End, run: Runner) -> Iterator[str]:
    """Remove our filters, and the hook when nobody else uses it."""
    if not _hooked(end, run):
        return
    for way in ("ingress", "egress"):
        if any(_ours(item) for item in _filters(end, way, run)):
            run(_filter("del", end, way), netns=end.netns)
            yield f"the {way} filter of {end.device}"
            if not any(_filters(end, side, run) for side in ("ingress", "egress")):
                run(["tc", "qdisc", "del", "dev", end.device, "clsact"], netns=end.netns)
                return


def _filter(verb: str, end: End, way: str) -> list[str]:
    where = ["dev", end.device, way, "prio", PRIORITY, "handle", f"{HANDLE:#x}", "protocol", "all"]
    return ["tc", "filter", verb, *where, "bpf"]


def _hooked(end: End, run: Runner) -> bool:
    listed = json.loads(run(["tc", "-j", "qdisc", "show", "dev", end.device], netns=end.netns) or "[]")
    return any(item.get("kind") == "clsact" for item in listed)


def _filters(end: End, way: str, run: Runner) -> list[Mapping[str, Any]]:
    """The filters in the order in which they are asked; each begins with a line that has no options."""
    listed = json.loads(run(["tc", "-j", "filter", "show", "dev", end.device, way], netns=end.netns) or "[]")
    return [item for item in listed if "options" in item]


def _ours(item: Mapping[str, Any]) -> bool:
    handle = item["options"].get("handle") if isinstance(item["options"], Mapping) else None
    return bool(item.get("kind") == "bpf" and handle == f"{HANDLE:#x}")


def _holds(end: End, way: str, program: str, run: Runner) -> bool:
    first = next(iter(_filters(end, way, run)), None)
    if first is None or not _ours(first):
        return False
    options = first["options"]
    code = options.get("bytecode", {})
    lines = [f"{item['code']} {item['jt']} {item['jf']} {item['k']}" for item in code.get("insns", ())]
    return bool(options.get("direct-action")) and ",".join([str(len(lines)), *lines]) == program
