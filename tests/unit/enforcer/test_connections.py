"""Cutting connections: what is counted, what is left alone, what is said when it cannot be done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from enforcer.connections import cut_connections, leaving
from enforcer.netns import Netns
from enforcer.scope import Scope
from ringfence.errors import EnforcementFailed
from ringfence.model.verdict import Direction
from tests.support.rulesets import access, service

NETNS = Netns(inode=1, path="/x")
LISTING = """tcp 6 60 ESTABLISHED src=10.0.0.1 dst=10.0.0.2 sport=1 dport=2 src=10.0.0.2 dst=10.0.0.1 mark=0
udp 17 20 src=127.0.0.1 dst=127.0.0.11 sport=1 dport=53 src=127.0.0.11 dst=127.0.0.1 mark=0
tcp 6 60 ESTABLISHED src=10.0.0.1 dst=10.0.0.1 sport=1 dport=2 src=10.0.0.1 dst=10.0.0.1 mark=0
icmpv6 58 29 src=fd00::1 dst=fd00::2 type=128 code=0 id=1 src=fd00::2 dst=fd00::1 mark=0
"""


class Tools:
    """Answers as the programs would; `missing` are not installed."""

    def __init__(self, *missing: str) -> None:
        self.missing, self.calls, self.flushed = missing, list[tuple[str, ...]](), False

    def __call__(self, argv: Sequence[str], *, netns: Netns | None = None, text: str = "") -> str:
        self.calls.append(tuple(argv))
        if argv[0] in self.missing:
            raise EnforcementFailed(f"{argv[0]} is not installed")
        if argv[0] == "ss":
            return "tcp one\ntcp two\n"
        self.flushed = self.flushed or argv[1] in {"-F", "-D"}
        return "" if self.flushed or argv[3] == "ipv6" else LISTING


def test_only_what_leaves_the_namespace_counts() -> None:
    assert [line.split()[0] for line in leaving(LISTING)] == ["tcp", "icmpv6"]


def test_everything_is_forgotten_and_counted() -> None:
    cut = cut_connections(NETNS, Tools())
    assert (cut.connections, cut.sockets, cut.left, cut.problem) == (2, 2, 0, "")


def test_a_scope_cuts_only_its_own() -> None:
    tools = Tools()
    cut_connections(NETNS, tools, Scope(slot=3, folder="/cg/x"))
    assert ("conntrack", "-F") not in tools.calls
    assert ("conntrack", "-D", "-f", "ipv4", "-m", "0x3000000/0xff000000") in tools.calls
    assert tools.calls[-3][-2:] == ("cgroup", "/cg/x")


def test_missing_tools_are_said_and_not_hidden() -> None:
    cut = cut_connections(NETNS, Tools("conntrack", "ss"))
    assert "conntrack is not installed" in cut.problem
    assert "time out" in cut.problem


def test_what_a_controlled_access_grants_is_neither_counted_nor_destroyed() -> None:
    forensics = access(Direction.INGRESS, "10.0.0.1/32", service(6, 2))
    tools = Tools()
    cut = cut_connections(NETNS, tools, None, [forensics, access(Direction.EGRESS, "fd00::/64", service(58))])
    assert (cut.connections, cut.left) == (0, 0)
    assert ("conntrack", "-F") not in tools.calls, "nothing but what is granted is tracked"
    tcp = next(call for call in tools.calls if "-t" in call)
    assert " ".join(tcp).endswith("and not ( dst 10.0.0.1/32 and sport >= :2 and sport <= :2 )")
    other = cut_connections(NETNS, Tools(), None, [access(Direction.EGRESS, "10.0.0.1/32", service(6, 2))])
    assert other.connections == 2, "the far end did not open that one"


def test_a_hosts_own_namespace_is_never_cut_as_a_whole() -> None:
    tools = Tools()
    with pytest.raises(EnforcementFailed, match="never cut as a whole"):
        cut_connections(replace(NETNS, shared=True), tools)
    assert not tools.calls
