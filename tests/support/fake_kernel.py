"""A kernel that executes what the enforcer sends it: restore input changes its tables, packets run through them.

It fails when it is told to (`fail_restore`, `fail_sets`), lets somebody interfere between a read and a write
(`interfere`), and refuses what the real one refuses: rules that name a chain or a set that is not there.
"""

from __future__ import annotations

import contextlib
import copy
import shlex
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from enforcer.change import Change
from enforcer.connections import Cut, scoped
from enforcer.frames import Seal
from enforcer.kernel import Access
from enforcer.names import CHAIN_PREFIX, Family, Network, is_our_chain
from enforcer.netns import NamespaceGone, Netns
from enforcer.observed import BUILTIN, Observed, ObservedRule, parse_sets
from enforcer.probe import ProbeResult
from enforcer.scope import Scope
from enforcer.wire import Sealed
from ringfence.errors import EnforcementFailed

Address = IPv4Address | IPv6Address
PROTOCOLS = {"tcp": 6, "udp": 17, "icmp": 1, "icmpv6": 58, "ipv6-icmp": 58}
FINAL = {"ACCEPT", "DROP", "REJECT"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Packet:
    """One packet as the filter table of a namespace meets it; `chain` is INPUT, OUTPUT or FORWARD."""

    chain: str
    src: Address
    dst: Address
    protocol: int = 6
    sport: int = 40000
    dport: int = 80
    icmp_type: int = 8
    icmp_code: int = 0
    hops: int = 64
    state: str = "NEW"
    reply: bool = False
    interface: str = "eth0"
    cgroup: str = ""

    @property
    def family(self) -> Family:
        return Family.IPV4 if self.src.version == 4 else Family.IPV6


@dataclass(frozen=True, slots=True)
class Decision:
    """What became of a packet: ACCEPT, DROP or REJECT, the connection mark, and the prefixes that were logged."""

    target: str
    mark: int = 0
    logged: tuple[str, ...] = ()


@dataclass(slots=True)
class FakeNamespace:
    """Tables by family: chain -> rules; sets as ipset save text would give them."""

    tables: dict[Family, dict[str, list[ObservedRule]]] = field(
        default_factory=lambda: {family: {name: [] for name in BUILTIN} for family in Family}
    )
    sets: dict[str, tuple[str, set[Network]]] = field(default_factory=dict)
    connections: int = 0
    ipv6_active: bool = True
    leaks: tuple[str, ...] = ()
    seal: Seal | None = None
    unsealable: str = ""

    def save_sets(self) -> str:
        lines = []
        for name, (family, members) in self.sets.items():
            lines.append(f"create {name} hash:net family {family} hashsize 1024 maxelem 65536")
            lines += [f"add {name} {member}" for member in members]
        return "\n".join(lines)


class FakeKernel:
    """Implements `enforcer.kernel.Kernel`. `writes` counts accepted and refused writes per namespace."""

    def __init__(self) -> None:
        self.namespaces: dict[int, FakeNamespace] = {}
        self.writes: list[int] = []
        self.reads: list[int] = []
        self.cuts: list[tuple[int, Scope | None]] = []
        self.deaf: set[str] = set()
        """Cgroup folders whose sockets receive nothing."""
        self.fail_restore: dict[Family, int] = {}
        """How many of the next restores of a family fail."""
        self.fail_sets = 0
        self.interfere: Callable[[FakeNamespace], None] | None = None
        """Called once, before the next write."""
        self.broken: dict[int, Exception] = {}
        """What every access to a namespace raises."""
        self.unreadable = ""
        """Why rules cannot be read; empty when they can."""
        self.sealing = ""
        """Why interfaces cannot be sealed or opened; empty when they can."""
        self.cut_raises: Exception | None = None
        self.watching = FakeWatch()

    def add(self, inode: int) -> Netns:
        self.namespaces[inode] = FakeNamespace()
        return Netns(inode=inode, path=f"/fake/{inode}")

    def read(self, netns: Netns) -> Observed:
        namespace = self._namespace(netns)
        self.reads.append(netns.inode)
        if self.unreadable:
            raise EnforcementFailed(self.unreadable)
        tables = {
            family: {name: tuple(rules) for name, rules in table.items() if name in BUILTIN or is_our_chain(name)}
            for family, table in namespace.tables.items()
        }
        return Observed(tables=tables, sets=parse_sets(namespace.save_sets()), ipv6_active=namespace.ipv6_active)

    def write(self, netns: Netns, change: Change) -> None:
        namespace = self._namespace(netns)
        self.writes.append(netns.inode)
        if self.interfere is not None:
            interfere, self.interfere = self.interfere, None
            interfere(namespace)
        self._restore_sets(namespace, change.sets_before)
        done: list[Family] = []
        try:
            for family, text in change.tables.items():
                self._restore(namespace, family, text)
                done.append(family)
        except EnforcementFailed:
            for family in done:
                namespace.tables[family] = restored(namespace, family, change.undo[family])
            raise
        self._restore_sets(namespace, change.sets_after)

    def seal(self, netns: Netns, seal: Seal | None) -> Sealed:
        namespace = self._namespace(netns)
        if self.sealing:
            raise EnforcementFailed(self.sealing)
        changed = () if namespace.seal == seal else ("the filters of veth0",)
        namespace.seal = seal
        return Sealed(detail="closed", problem=namespace.unsealable, changed=changed)

    def senders(self, folder: str) -> str:
        return ""

    def receive(self, folder: str, *, allowed: bool) -> None:
        (self.deaf.discard if allowed else self.deaf.add)(folder)

    def cut(self, netns: Netns, scope: Scope | None, access: Access = ()) -> Cut:
        namespace = self._namespace(netns)
        scoped(netns, scope)
        if self.cut_raises is not None:
            raise self.cut_raises
        self.cuts.append((netns.inode, scope))
        count, namespace.connections = namespace.connections, 0
        return Cut(connections=count, sockets=count, left=0)

    def probe(self, netns: Netns, scope: Scope | None, access: Access = ()) -> ProbeResult:
        namespace = self._namespace(netns)
        packet = Packet(chain="OUTPUT", src=ip_address("10.0.0.1"), dst=ip_address("10.0.0.254"), protocol=17, dport=9)
        if scope is not None:
            packet = replace(packet, cgroup=scope.folder.removeprefix("/fake/").lstrip("/"))
        passed = decide(namespace, packet).target == "ACCEPT"
        return ProbeResult(
            targets=("10.0.0.254",), sent=1, passed=("UDP to 10.0.0.254",) if passed else namespace.leaks
        )

    def watch(self) -> FakeWatch:
        return self.watching

    def _namespace(self, netns: Netns) -> FakeNamespace:
        if netns.inode not in self.namespaces:
            raise NamespaceGone(f"the namespace {netns.inode} is gone")
        if netns.inode in self.broken:
            raise self.broken[netns.inode]
        return self.namespaces[netns.inode]

    def _restore(self, namespace: FakeNamespace, family: Family, text: str) -> None:
        if self.fail_restore.get(family, 0) > 0:
            self.fail_restore[family] -= 1
            raise EnforcementFailed(f"{family.label}: told to fail")
        namespace.tables[family] = restored(namespace, family, text)

    def _restore_sets(self, namespace: FakeNamespace, text: str) -> None:
        for number, line in enumerate(text.splitlines()):
            if self.fail_sets and number >= len(text.splitlines()) // 2:
                self.fail_sets -= 1
                raise EnforcementFailed("ipset: told to fail")
            restore_set_line(namespace, line)


class FakeWatch:
    """A watch that reports what a test says has changed."""

    def __init__(self) -> None:
        self._changed: dict[int, float] = {}
        self._woken = threading.Event()
        self.closed = False

    def touch(self, inode: int, age: float = 0.0) -> None:
        self._changed[inode] = age
        self._woken.set()

    def wait(self, namespaces: Sequence[Netns], seconds: float) -> Mapping[int, float]:
        self._woken.wait(seconds)
        self._woken.clear()
        changed, self._changed = self._changed, {}
        return changed

    def wake(self) -> None:
        self._woken.set()

    def close(self) -> None:
        self.closed = True


def restored(namespace: FakeNamespace, family: Family, text: str) -> dict[str, list[ObservedRule]]:
    """The table after `iptables-restore --noflush`; raises and changes nothing when a line is refused."""
    table = copy.deepcopy(namespace.tables[family])
    lines = text.splitlines()
    if lines[:1] != ["*filter"] or lines[-1:] != ["COMMIT"]:
        raise EnforcementFailed("not a complete table")
    for line in lines[1:-1]:
        word, chain, rest = [*line.split(" ", 2), ""][:3]
        if word.startswith(":"):
            table[word[1:]] = []
        elif word == "-X":
            if table.pop(chain, None) or any(rule.target == chain for rules in table.values() for rule in rules):
                raise EnforcementFailed(f"{chain} is in use")
        elif word == "-A":
            _chain(table, chain).append(ObservedRule(text=_checked(namespace, table, rest)))
        elif word == "-I":
            position, rest = rest.split(" ", 1)
            _chain(table, chain).insert(int(position) - 1, ObservedRule(text=_checked(namespace, table, rest)))
        elif word == "-D":
            texts = [_plain(rule.text) for rule in _chain(table, chain)]
            if _plain(rest) not in texts:
                raise EnforcementFailed(f"{chain} has no such rule")
            del table[chain][texts.index(_plain(rest))]
        else:
            raise EnforcementFailed(f"not understood: {line}")
    return table


def restore_set_line(namespace: FakeNamespace, line: str) -> None:
    word, *rest = line.split()
    if word == "create":
        if rest[0] in namespace.sets:
            raise EnforcementFailed(f"set {rest[0]} exists")
        namespace.sets[rest[0]] = (rest[3], set())
    elif word == "add":
        namespace.sets[rest[0]][1].add(ip_network(rest[1]))
    elif word == "swap":
        first, second = rest
        namespace.sets[first], namespace.sets[second] = namespace.sets[second], namespace.sets[first]
    elif word == "destroy":
        texts = [rule.text for table in namespace.tables.values() for rules in table.values() for rule in rules]
        if any(rest[0] in text.split() for text in texts):
            raise EnforcementFailed(f"set {rest[0]} is in use")
        del namespace.sets[rest[0]]


def _chain(table: dict[str, list[ObservedRule]], name: str) -> list[ObservedRule]:
    if name not in table:
        raise EnforcementFailed(f"no chain {name}")
    return table[name]


def _plain(text: str) -> list[str]:
    return shlex.split(text)


def _checked(namespace: FakeNamespace, table: Mapping[str, object], text: str) -> str:
    rule = ObservedRule(text=text)
    if rule.target.startswith(CHAIN_PREFIX) and rule.target not in table:
        raise EnforcementFailed(f"no chain {rule.target}")
    words = text.split()
    for place, word in enumerate(words):
        if word == "--match-set" and words[place + 1] not in namespace.sets:
            raise EnforcementFailed(f"no set {words[place + 1]}")
    return text


def decide(namespace: FakeNamespace, packet: Packet, mark: int = 0) -> Decision:
    """Run one packet through the filter table, counting as the kernel counts; nothing matched means ACCEPT."""
    run = _Run(namespace, packet, mark)
    target = run.chain(packet.chain)
    return Decision(target if target in FINAL else "ACCEPT", run.mark, tuple(run.logged))


class _Run:
    def __init__(self, namespace: FakeNamespace, packet: Packet, mark: int) -> None:
        self.namespace, self.packet, self.mark = namespace, packet, mark
        self.logged: list[str] = []

    def chain(self, name: str) -> str:
        rules = self.namespace.tables[self.packet.family][name]
        for number, rule in enumerate(rules):
            options = list(_options(_plain(rule.text)))
            if not all(self._matches(*option) for option in options):
                continue
            rules[number] = replace(rule, packets=rule.packets + 1)
            values = {name: value for name, _, value in options}
            goto = "-g" in values
            result = self._target(values.get("-j") or values["-g"], values)
            if result or goto:
                return result
        return ""

    def _target(self, target: str, values: Mapping[str, str]) -> str:
        """The final verdict, RETURN, or empty to go on with the next rule."""
        if target == "CONNMARK":
            value, mask = (int(part, 16) for part in values["--set-xmark"].split("/"))
            self.mark = (self.mark & ~mask) ^ value
            return ""
        if target == "NFLOG":
            self.logged.append(values["--nflog-prefix"])
            return ""
        if target in FINAL or target == "RETURN":
            return target
        result = self.chain(target)
        return result if result in FINAL else ""

    def _matches(self, name: str, negated: bool, value: str) -> bool:
        match = _MATCHES.get(name)
        return True if match is None else match(self, value) is not negated

    def in_set(self, value: str) -> bool:
        name, side = value.split()
        address = self.packet.src if side == "src" else self.packet.dst
        return any(address in member for member in self.namespace.sets[name][1])


def _options(words: Sequence[str]) -> Iterator[tuple[str, bool, str]]:
    negated = False
    place = 0
    while place < len(words):
        word = words[place]
        if word == "!":
            negated, place = True, place + 1
            continue
        size = 3 if word == "--match-set" else 2
        yield word, negated, " ".join(words[place + 1 : place + size])
        negated, place = False, place + size


def _port_in(value: str, port: int) -> bool:
    bounds = [[int(end) for end in part.split(":")] for part in value.split(",")]
    return any(part[0] <= port <= part[-1] for part in bounds)


def _icmp_is(packet: Packet, value: str) -> bool:
    kind, _, code = value.partition("/")
    return packet.icmp_type == int(kind) and (not code or packet.icmp_code == int(code))


def _mark_is(mark: int, value: str) -> bool:
    wanted, mask = (int(part, 16) for part in value.split("/"))
    return mark & mask == wanted


_MATCHES: Mapping[str, Callable[[_Run, str], bool]] = {
    "-p": lambda run, value: (
        run.packet.protocol == PROTOCOLS.get(value, -1) or (value.isdecimal() and run.packet.protocol == int(value))
    ),
    "-s": lambda run, value: run.packet.src in ip_network(value),
    "-d": lambda run, value: run.packet.dst in ip_network(value),
    "-i": lambda run, value: run.packet.chain == "INPUT" and run.packet.interface == value,
    "-o": lambda run, value: run.packet.chain == "OUTPUT" and run.packet.interface == value,
    "--dports": lambda run, value: _port_in(value, run.packet.dport),
    "--sports": lambda run, value: _port_in(value, run.packet.sport),
    "--icmp-type": lambda run, value: _icmp_is(run.packet, value),
    "--icmpv6-type": lambda run, value: _icmp_is(run.packet, value),
    "--hl-eq": lambda run, value: run.packet.hops == int(value),
    "--ctstate": lambda run, value: run.packet.state in value.split(","),
    "--ctdir": lambda run, value: run.packet.reply == (value == "REPLY"),
    "--match-set": lambda run, value: run.in_set(value),
    "--mark": lambda run, value: _mark_is(run.mark, value),
    "--path": lambda run, value: run.packet.cgroup == value,
}


@contextlib.contextmanager
def fake_namespace(inode: int = 4711) -> Iterator[tuple[FakeKernel, Netns]]:
    """A fake kernel with one namespace."""
    kernel = FakeKernel()
    yield kernel, kernel.add(inode)
