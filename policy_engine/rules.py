"""Rules as people write them: peers by selector or network, services, an action."""

from __future__ import annotations

from collections.abc import Mapping as Map
from ipaddress import ip_network

from policy_engine.document import Mapping, Node, Scalar, Sequence
from policy_engine.reading import NAME, Reader, suggestion
from policy_engine.services import SERVICE_KEYS, read_service
from ringfence.model.policy import Action, Network, Peer, Rule, Service
from ringfence.model.verdict import Direction

Sets = Map[str, tuple[Network, ...]]

PEER_KEYS = ("selector", "networks", "except")
SIDE = {Direction.INGRESS: "from", Direction.EGRESS: "to"}


def read_sets(reader: Reader, root: Mapping) -> Sets:
    """The named network sets. An empty one is refused: resolved, it would look like `any network`."""
    entry = root.entries.get("sets")
    if entry is None:
        return {}
    if not isinstance(entry.value, Mapping):
        reader.problems.add(entry.line, "sets", "expected set names with lists of networks")
        return {}
    sets: dict[str, tuple[Network, ...]] = {}
    for name, item in entry.value.entries.items():
        path = f"sets.{name}"
        if not NAME.fullmatch(name) or _network(name) is not None:
            reader.problems.add(item.line, path, f"`{name[:80]}` is no name for a set")
        networks = [
            network
            for where, node in reader.items(entry.value, name, "sets")
            if (network := _read_network(reader, node, where)) is not None
        ]
        if isinstance(item.value, Sequence) and not item.value.items:
            reader.problems.add(item.line, path, "an empty set")
        sets[name] = tuple(networks)
    return sets


def read_rules(
    reader: Reader, mapping: Mapping, direction: Direction, path: str, sets: Sets
) -> tuple[Rule, ...] | None:
    """The rule list of one direction; None when the policy says nothing about it."""
    entry = mapping.entries.get(direction.value)
    if entry is None:
        return None
    if isinstance(entry.value, Scalar) and entry.value.missing:
        reader.problems.add(
            entry.line, f"{path}.{direction}", "write [] to let nothing through, or leave it out to say nothing"
        )
        return None
    nodes = reader.items(mapping, direction.value, path)
    return tuple(_read_rule(reader, node, direction, where, sets) for where, node in nodes)


def _read_rule(reader: Reader, node: Node, direction: Direction, path: str, sets: Sets) -> Rule:
    side = SIDE[direction]
    wrong = SIDE[Direction.EGRESS if direction is Direction.INGRESS else Direction.INGRESS]
    if isinstance(node, Mapping) and wrong in node.entries:
        reader.problems.add(
            node.entries[wrong].line,
            f"{path}.{wrong}",
            f"a rule for {direction} names the other end with `{side}`; this end is what the policy selects",
        )
        node = Mapping(node.line, {key: item for key, item in node.entries.items() if key != wrong})
    fields = reader.mapping(node, path, ("name", "action", side, *SERVICE_KEYS, "services"), ("action",))
    return Rule(
        action=reader.choice(fields, "action", path, Action, Action.DENY),
        peers=_read_peers(reader, fields, side, path, sets),
        services=_read_services(reader, fields, path),
        name=reader.field_text(fields, "name", path),
        line=node.line,
    )


def _read_services(reader: Reader, fields: Mapping, path: str) -> tuple[Service, ...]:
    short = read_service(reader, fields, path)
    entry = fields.entries.get("services")
    if entry is None:
        return () if short is None else (short,)
    if short is not None:
        reader.problems.add(entry.line, f"{path}.services", "stands beside `protocol`, `ports` or `icmp`; use one form")
    services: list[Service] = []
    for where, node in reader.items(fields, "services", path):
        mapping = reader.mapping(node, where, SERVICE_KEYS, ("protocol",))
        service = read_service(reader, mapping, where)
        if service is not None:
            services.append(service)
    if isinstance(entry.value, Sequence) and not entry.value.items:
        reader.problems.add(entry.line, f"{path}.services", "an empty list; leave `services` out to mean everything")
    return tuple(services)


def _read_peers(reader: Reader, fields: Mapping, side: str, path: str, sets: Sets) -> tuple[Peer, ...]:
    entry = fields.entries.get(side)
    if entry is None:
        return ()
    where = f"{path}.{side}"
    if not isinstance(entry.value, Sequence):
        return (_read_peer(reader, entry.value, where, sets),)
    if not entry.value.items:
        reader.problems.add(entry.line, where, f"an empty list; leave `{side}` out to mean anywhere")
    return tuple(_read_peer(reader, node, item_path, sets) for item_path, node in reader.items(fields, side, path))


def _read_peer(reader: Reader, node: Node, path: str, sets: Sets) -> Peer:
    fields = reader.mapping(node, path, PEER_KEYS)
    if isinstance(node, Mapping) and not node.entries:
        reader.problems.add(node.line, path, "an empty peer; leave it out to mean anywhere")
    return Peer(
        selector=reader.selector(fields, "selector", path),
        networks=_read_networks(reader, fields, "networks", path, sets),
        not_networks=_read_networks(reader, fields, "except", path, sets),
    )


def _read_networks(reader: Reader, fields: Mapping, key: str, path: str, sets: Sets) -> tuple[Network, ...]:
    entry = fields.entries.get(key)
    if entry is None:
        return ()
    if isinstance(entry.value, Sequence) and not entry.value.items:
        reader.problems.add(entry.line, f"{path}.{key}", f"an empty list; leave `{key}` out")
    found: list[Network] = []
    for where, node in reader.items(fields, key, path):
        if isinstance(node, Scalar) and node.text in sets:
            found.extend(sets[node.text])
            continue
        network = _read_network(reader, node, where, sets)
        if network is not None:
            found.append(network)
    return tuple(found)


def _read_network(reader: Reader, node: Node, path: str, sets: Sets | None = None) -> Network | None:
    text = reader.text(node, path)
    if not text:
        return None
    network = _network(text)
    if network is not None:
        return network
    address = text.split("/", 1)[0]
    if _network(address) is not None:
        try:
            meant = ip_network(text, strict=False)
            reader.problems.add(node.line, path, f"`{text}` has bits set behind the prefix; did you mean {meant}?")
        except ValueError:
            reader.problems.add(node.line, path, f"`{text[:80]}` has no possible prefix length")
        return None
    known = suggestion(text, sets) if sets is not None else ""
    word = "network or set" if sets is not None else "network"
    reader.problems.add(node.line, path, f"`{text[:80]}` is no {word}{known}")
    return None


def _network(text: str) -> Network | None:
    if "%" in text:
        return None
    try:
        return ip_network(text)
    except ValueError:
        return None
