"""Services as people write them: protocol names and numbers, ports and port ranges, ICMP types."""

from __future__ import annotations

import re

from policy_engine.document import Mapping, Node, Scalar, Sequence
from policy_engine.reading import Reader, suggestion
from ringfence.model.flow import PROTOCOL_NUMBERS
from ringfence.model.policy import PortInterval, Service

SERVICE_KEYS = ("protocol", "ports", "icmp")
PORT_PROTOCOLS = (6, 17, 132, 136)
ICMP_PROTOCOLS = (1, 58)
ANY_ICMP_TYPE = 255
"""Reserved in ICMP for IPv4: in a match Linux takes it for any type (`icmp_type_code_match`), in ICMPv6 for itself."""
RANGE = re.compile(r"([0-9]{1,5})(?:\s*[-:]\s*([0-9]{1,5}))?")


def read_service(reader: Reader, mapping: Mapping, path: str) -> Service | None:
    """The service that `protocol`, `ports` and `icmp` of a mapping describe; None when it has none of them."""
    if not any(key in mapping.entries for key in SERVICE_KEYS):
        return None
    number = read_protocol(reader, mapping, path)
    ports = _read_ports(reader, mapping, path, number)
    icmp_type, icmp_code = _read_icmp(reader, mapping, path, number)
    return Service(protocol=number, ports=ports, icmp_type=icmp_type, icmp_code=icmp_code)


def read_protocol(reader: Reader, mapping: Mapping, path: str) -> int | None:
    """An IP protocol number from a name or a number; None when absent or wrong."""
    entry = mapping.entries.get("protocol")
    if entry is None:
        return None
    text = reader.text(entry.value, f"{path}.protocol").lower()
    if text in PROTOCOL_NUMBERS:
        return PROTOCOL_NUMBERS[text]
    if text.isascii() and text.isdecimal():
        return reader.integer(entry.value, f"{path}.protocol", 1, 255)
    if text:
        known = suggestion(text, PROTOCOL_NUMBERS)
        reader.problems.add(entry.line, f"{path}.protocol", f"unknown protocol `{text[:40]}`{known} or a number")
    return None


def read_port(reader: Reader, node: Node, path: str) -> PortInterval | None:
    """One port, or a range written `8000-8100`."""
    match = RANGE.fullmatch(node.text) if isinstance(node, Scalar) else None
    if match is None:
        reader.problems.add(node.line, path, 'expected a port such as 5432 or a range such as "8000-8100"')
        return None
    first, last = int(match[1]), int(match[2] or match[1])
    if last > 65535 or first > last:
        reader.problems.add(node.line, path, f"`{match[0]}` is no port range within 0-65535")
        return None
    return PortInterval(first=first, last=last)


def merged(ports: list[PortInterval]) -> tuple[PortInterval, ...]:
    """The same ports in order, touching intervals joined."""
    joined: list[PortInterval] = []
    for item in sorted(ports):
        if joined and item.first <= joined[-1].last + 1:
            joined[-1] = PortInterval(first=joined[-1].first, last=max(joined[-1].last, item.last))
        else:
            joined.append(item)
    return tuple(joined)


def _read_ports(reader: Reader, mapping: Mapping, path: str, number: int | None) -> tuple[PortInterval, ...]:
    entry = mapping.entries.get("ports")
    if entry is None:
        return ()
    where = f"{path}.ports"
    if number not in PORT_PROTOCOLS:
        if "protocol" not in mapping.entries:
            reader.problems.add(entry.line, where, "ports need a `protocol`: tcp, udp or sctp")
        elif number is not None:
            reader.problems.add(entry.line, where, f"protocol {number} has no ports")
    nodes = list(reader.items(mapping, "ports", path))
    if not nodes and isinstance(entry.value, Sequence):
        reader.problems.add(entry.line, where, "an empty list; leave `ports` out to mean every port")
    ports = [port for item_path, node in nodes if (port := read_port(reader, node, item_path)) is not None]
    return merged(ports)


def _read_icmp(reader: Reader, mapping: Mapping, path: str, number: int | None) -> tuple[int | None, int | None]:
    entry = mapping.entries.get("icmp")
    if entry is None:
        return None, None
    where = f"{path}.icmp"
    if number not in ICMP_PROTOCOLS:
        reader.problems.add(entry.line, where, "`icmp` needs `protocol: icmp` or `protocol: ipv6-icmp`")
    fields = reader.mapping(entry.value, where, ("type", "code"), ("type",))
    values: dict[str, int] = {}
    for key in ("type", "code"):
        if key in fields.entries:
            values[key] = reader.integer(fields.entries[key].value, f"{where}.{key}", 0, 255)
    if number == ICMP_PROTOCOLS[0] and values.get("type") == ANY_ICMP_TYPE:
        reader.problems.add(
            fields.entries["type"].line,
            f"{where}.type",
            "the kernel takes ICMP type 255 for every type; leave `icmp` out to mean every type",
        )
    return values.get("type"), values.get("code")
