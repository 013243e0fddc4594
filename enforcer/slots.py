"""Host-network workloads: told apart by cgroup in the engine's own namespace, each with a slot in the mark. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from enforcer.names import CHAIN_PREFIX, IN, OUT, SLOT_CHAIN, Family, Tokens, short_hash
from enforcer.observed import Observed
from enforcer.plan import KernelSet, Plan, Table, ruleset_lines, ruleset_sets
from enforcer.render import Style, access_lines, log_target
from ringfence.errors import EnforcementFailed
from ringfence.model.quarantine import Quarantine
from ringfence.model.ruleset import QUARANTINE_RULE, WORKLOAD_SLOT_MASK, Ruleset, log_prefix
from ringfence.model.verdict import Direction
from ringfence.model.workload import Workload

LAST_SLOT = 255
_CGROUP = re.compile(r"^[A-Za-z0-9_./:@-]+$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """One host-network workload with what should hold for it."""

    number: int
    workload: Workload
    ruleset: Ruleset | None
    quarantine: Quarantine | None
    last: Ruleset | None = None
    """The ruleset that was in force before."""

    def chain(self, part: str) -> str:
        """`part`: I(n), O(ut) or R(eply). The name holds the slot, whose it is, and which run of it: a restarted
        container has a new cgroup under the old path, and a rule stays with the cgroup it was made for."""
        run = short_hash(self.workload.started, self.workload.pid, length=4)
        return f"{CHAIN_PREFIX}{self.number}-{short_hash(self.workload.id, length=6)}-{run}-{part}"

    @property
    def mark(self) -> int:
        return self.number << 24


def assign_slots(wanted: Sequence[str], taken: Mapping[int, str], observed: Iterable[str]) -> dict[int, str]:
    """Slot -> workload id for `wanted`: as before, else as the names of chains in the kernel say, else free.

    There are 255: of more workloads the last get none.
    """
    slots = {slot: workload for slot, workload in taken.items() if workload in wanted}
    remembered = dict(filter(None, (_parse_chain(name) for name in observed)))
    for workload in wanted:
        if workload in slots.values():
            continue
        slot = remembered.get(short_hash(workload, length=6), 0)
        if not slot or slot in slots:
            reserved = set(slots) | set(remembered.values())
            free = (number for number in range(1, LAST_SLOT + 1) if number not in reserved)
            slot = next(free, 0) or next((n for n in range(1, LAST_SLOT + 1) if n not in slots), 0)
        if slot:
            slots[slot] = workload
    return slots


def _parse_chain(name: str) -> tuple[str, int] | None:
    match = SLOT_CHAIN.fullmatch(name)
    return (match[2], int(match[1])) if match else None


def slot_names(observed: Observed) -> frozenset[str]:
    """The names of our chains, from which slots are recovered."""
    return frozenset(name for _, name in observed.chains)


def cgroup_path(workload: Workload) -> str:
    """The cgroup2 path as iptables takes it, without the leading slash.

    Raises:
        EnforcementFailed: it is unknown or holds characters that a cgroup of a container never has.
    """
    path = (workload.cgroup or "").strip("/")
    if not path or not _CGROUP.match(path) or ".." in path.split("/"):
        raise EnforcementFailed(f"the cgroup of {workload.name[:60]!r} is not known")
    return path


def host_plan(slots: Sequence[Slot], mask: int) -> Plan:
    """The plan of a namespace that an engine shares with its host-network workloads. Other traffic is untouched.

    A quarantine does not wait for anybody's ruleset that cannot be expressed: then those stand as they were last.

    Raises:
        EnforcementFailed: a rule cannot be expressed and nobody is isolated, or a cgroup is not known.
    """
    try:
        return _host_plan(slots, mask)
    except EnforcementFailed as error:
        if all(slot.quarantine is None for slot in slots):
            raise
        return replace(_host_plan([replace(slot, ruleset=slot.last) for slot in slots], mask), problem=str(error))


def _host_plan(slots: Sequence[Slot], mask: int) -> Plan:
    """A packet leaving is matched by its sender's cgroup from the first one on, a packet coming in only once a
    connected socket owns it. So a connection from outside is judged by its first data packet, or by the first answer.
    """
    if not slots:
        return Plan()
    tables = {}
    sets: dict[str, KernelSet] = {}
    for slot in slots:
        sets |= ruleset_sets(slot.ruleset, slot.number) if slot.ruleset is not None else {}
    for family in Family:
        chains: dict[str, tuple[Tokens, ...]] = {}
        for slot in slots:
            style = Style(mask=mask, accept="RETURN", slot=slot.number)
            chains[slot.chain("R")] = tuple(_reply_lines(slot, family, style))
            chains[slot.chain("I")] = tuple(_slot_lines(slot, Direction.INGRESS, family, style))
            chains[slot.chain("O")] = tuple(_slot_lines(slot, Direction.EGRESS, family, style))
        for base, part in ((IN, "I"), (OUT, "O")):
            chains[base] = tuple(
                ("-m", "cgroup", "--path", cgroup_path(slot.workload), "-j", slot.chain(part)) for slot in slots
            )
        tables[family] = Table(chains=chains, jumps={"INPUT": IN, "OUTPUT": OUT})
    return Plan(tables=tables, sets=sets)


def _slot_lines(slot: Slot, direction: Direction, family: Family, style: Style) -> Iterator[Tokens]:
    if slot.quarantine is not None:
        for access in slot.quarantine.access:
            yield from access_lines(access, direction, family, style.accept)
        yield log_target(log_prefix(QUARANTINE_RULE, direction, slot.number))
        yield ("-j", "DROP")
    if slot.ruleset is None:
        return
    inbound = direction is Direction.INGRESS
    # The host reaches its own addresses, and ports it publishes, over loopback as well: judged where it is sent, once.
    if inbound:
        yield ("-i", "lo", "-j", "RETURN")
    else:
        yield ("-o", "lo", "-d", "127.0.0.0/8" if family is Family.IPV4 else "::1/128", "-j", "RETURN")
        yield ("-o", "lo", "-m", "conntrack", "--ctdir", "REPLY", "-j", "RETURN")
    yield ("-m", "connmark", "--mark", f"{slot.mark:#x}/{WORKLOAD_SLOT_MASK:#x}", "-j", "RETURN")
    reply: Tokens = ("-m", "conntrack", "--ctdir", "REPLY")
    yield (*reply, "-j", "RETURN") if inbound else (*reply, "-g", slot.chain("R"))
    yield from ruleset_lines(slot.ruleset, direction, family, style)


def _reply_lines(slot: Slot, family: Family, style: Style) -> Iterator[Tokens]:
    """An answer to a connection from outside that was not judged yet: the ingress rules, turned round."""
    if slot.ruleset is not None:
        yield from ruleset_lines(slot.ruleset, Direction.INGRESS, family, style, reply=True)
