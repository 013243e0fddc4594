"""Do the real kernel and the executing fake agree on what a ruleset does to connections into a workload?

with Fabric() as fabric:
    pair = Pair.wired(fabric)
    assert pair.disagreements(ruleset, attempts) == []
"""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Self

from enforcer.kernel import Kernel, SystemKernel
from enforcer.netns import Netns
from enforcer.place import Place
from enforcer.plan import namespace_plan
from ringfence.config import Enforce
from ringfence.model.quarantine import Quarantine
from ringfence.model.ruleset import Ruleset
from ringfence.model.verdict import Direction
from tests.support.fake_kernel import Packet, decide, fake_namespace
from tests.support.namespaces import Fabric, Namespace
from tests.support.sockets import family_of, inside
from tests.support.traffic import Probe, TcpEcho, UdpEcho, probe_tcp, probe_udp

MASK = Enforce().mark_mask
TCP, UDP = 6, 17
CLIENT, WORKLOAD = ("10.9.0.1", "fd09::1"), ("10.9.0.2", "fd09::2")
WAIT_SECONDS = 0.6
EPERM = "DROP or REJECT"
MEANING = {Probe.OPEN: "ACCEPT", Probe.TIMEOUT: "DROP", Probe.REFUSED: "REJECT", Probe.UNREACHABLE: EPERM}
"""A port that listens answers when let through. The sender's own kernel says EPERM for a drop and a reject alike."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One new connection into (ingress) or out of (egress) the workload. ICMP is an echo request."""

    direction: Direction
    version: int
    protocol: int
    port: int = 0

    def packet(self) -> Packet:
        """The attempt's first packet, as the workload's namespace meets it."""
        client, workload = (ip_address(side[self.version == 6]) for side in (CLIENT, WORKLOAD))
        inbound = self.direction is Direction.INGRESS
        return Packet(
            chain="INPUT" if inbound else "OUTPUT",
            src=client if inbound else workload,
            dst=workload if inbound else client,
            protocol=self.protocol,
            dport=self.port,
            icmp_type=8 if self.version == 4 else 128,
        )


@dataclass(slots=True)
class Pair:
    """A client and a workload, wired with both families, and echo servers on both sides."""

    client: Namespace
    workload: Namespace
    kernel: Kernel = field(default_factory=lambda: SystemKernel(Enforce()))

    @classmethod
    def wired(cls, fabric: Fabric) -> Self:
        client, workload = fabric.namespace("cl"), fabric.namespace("wl")
        fabric.wire(
            client, workload, [f"{CLIENT[0]}/24", f"{CLIENT[1]}/64"], [f"{WORKLOAD[0]}/24", f"{WORKLOAD[1]}/64"]
        )
        return cls(client, workload)

    @property
    def netns(self) -> Netns:
        return Netns(inode=self.workload.inode, path=str(self.workload.path))

    def disagreements(
        self, ruleset: Ruleset | None, attempts: Sequence[Attempt], quarantine: Quarantine | None = None
    ) -> list[str]:
        """Apply to both kernels, try everything on both, and name every attempt that ended differently."""
        plan = namespace_plan(ruleset, quarantine, MASK)
        Place(self.netns, self.kernel).settle(plan)
        real = self.outcomes(attempts)
        with fake_namespace() as (fake, netns):
            Place(netns, fake).settle(plan)
            namespace = fake.namespaces[netns.inode]
            expected = {attempt: decide(namespace, attempt.packet()).target for attempt in attempts}
        return [
            f"{attempt}: the kernel says {real[attempt]}, the fake {expected[attempt]}"
            for attempt in attempts
            if expected[attempt] not in real[attempt].split(" or ")
        ]

    def outcomes(self, attempts: Sequence[Attempt]) -> Mapping[Attempt, str]:
        """What the real kernel does with each: ACCEPT, DROP or REJECT."""
        with contextlib.ExitStack() as stack:
            wanted = {(item.direction, item.version, item.protocol, item.port) for item in attempts}
            for direction, version, protocol, port in sorted(wanted):
                if protocol in (TCP, UDP):
                    inbound = direction is Direction.INGRESS
                    path = (self.workload if inbound else self.client).path
                    address = (WORKLOAD if inbound else CLIENT)[version == 6]
                    server = TcpEcho if protocol == TCP else UdpEcho
                    stack.enter_context(server(path, address, port))
            pool = stack.enter_context(ThreadPoolExecutor(max_workers=24))
            return dict(zip(attempts, pool.map(self._try, attempts), strict=True))

    def _try(self, attempt: Attempt) -> str:
        inbound = attempt.direction is Direction.INGRESS
        source = self.client if inbound else self.workload
        address = (WORKLOAD if inbound else CLIENT)[attempt.version == 6]
        if attempt.protocol == TCP:
            return MEANING[probe_tcp(source.path, address, attempt.port, timeout=WAIT_SECONDS)]
        if attempt.protocol == UDP:
            return MEANING[probe_udp(source.path, address, attempt.port, timeout=WAIT_SECONDS)]
        return _echo(source, address)


def _quotes(packet: bytes, protocol: int, *, six: bool) -> bool:
    """Whether an error is about our echo request: other attempts of the namespace are refused at the same time."""
    found, start = (packet[6], 40) if six else (packet[9], 20)
    return found == protocol and packet[start + 4 : start + 6] == b"\x12\x34"


def _echo(source: Namespace, address: str) -> str:
    """One echo request and its answer, through a raw socket: no program is needed."""
    six = ":" in address
    kind, answer, denied = (128, 129, 1) if six else (8, 0, 3)
    protocol = socket.IPPROTO_ICMPV6 if six else socket.IPPROTO_ICMP
    request = struct.pack("!BBHHH", kind, 0, 0xFFFF - (kind << 8) - 0x1234 - 1, 0x1234, 1)
    with inside(source.path, lambda: socket.socket(family_of(address), socket.SOCK_RAW, protocol)) as link:
        link.settimeout(WAIT_SECONDS)
        try:
            link.sendto(request, (address, 0))
            while True:
                data = link.recv(2048)
                body = data if six else data[20:]
                if body[0] == answer and body[4:6] == b"\x12\x34":
                    return "ACCEPT"
                if body[0] == denied and _quotes(body[8:], protocol, six=six):
                    return "REJECT"
        except TimeoutError:
            return "DROP"
        except PermissionError:
            return EPERM
