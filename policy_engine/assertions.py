"""`assert:` -- statements about the policy that must hold before it is accepted."""

from __future__ import annotations

from collections.abc import Mapping as Map
from dataclasses import dataclass
from ipaddress import ip_address

from policy_engine.document import Mapping, Node, Problems, Scalar
from policy_engine.endpoint import Endpoint, Request
from policy_engine.reading import Reader, kind
from policy_engine.services import ICMP_PROTOCOLS, PORT_PROTOCOLS, read_protocol
from policy_engine.verdicts import Verdicts
from ringfence.model.policy import PolicySet
from ringfence.model.verdict import Outcome

KEYS = ("name", "from", "to", "protocol", "port", "icmp", "expect")
MAX_ASSERTIONS = 1_000
"""Each asks every policy: this bounds the time that reading a policy takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Assertion:
    """One statement: a connection and the outcome it must have."""

    source: Endpoint
    destination: Endpoint
    request: Request
    expect: Outcome
    line: int
    path: str


def read_assertions(reader: Reader, top: Mapping) -> tuple[Assertion, ...]:
    """The assertions that can be read; what is wrong with the others is noted."""
    nodes = list(reader.items(top, "assert", ""))
    if len(nodes) > MAX_ASSERTIONS:
        reader.problems.add(nodes[MAX_ASSERTIONS][1].line, "assert", f"more than {MAX_ASSERTIONS} assertions")
        return ()
    found = [_read(reader, node, path) for path, node in nodes]
    return tuple(item for item in found if item is not None)


def check_assertions(problems: Problems, policies: PolicySet, assertions: tuple[Assertion, ...]) -> None:
    """Note every assertion that the policy breaks, with the verdict it gives instead."""
    if not assertions:
        return
    verdicts = Verdicts(policies)
    for item in assertions:
        verdict = verdicts.decide(item.source, item.destination, item.request).connection
        if verdict.outcome is not item.expect:
            problems.add(item.line, item.path, f"expected {item.expect}, but {verdict.sentence}")


def _read(reader: Reader, node: Node, path: str) -> Assertion | None:
    before = len(reader.problems.found)
    fields = reader.mapping(node, path, KEYS, ("from", "to", "protocol", "expect"))
    ends = {side: _read_end(reader, fields, side, path) for side in ("from", "to")}
    protocol = read_protocol(reader, fields, path) or 0
    port = None
    if "port" in fields.entries:
        port = reader.integer(fields.entries["port"].value, f"{path}.port", 0, 65535)
        if protocol and protocol not in PORT_PROTOCOLS:
            reader.problems.add(fields.entries["port"].line, f"{path}.port", f"protocol {protocol} has no ports")
    elif protocol in PORT_PROTOCOLS:
        reader.problems.add(fields.line, path, "`port` is missing")
    kind_of_message = _read_icmp(reader, fields, path, protocol)
    expect = reader.choice(fields, "expect", path, Outcome, Outcome.DENIED)
    if len(reader.problems.found) > before:
        return None
    return Assertion(
        source=ends["from"],
        destination=ends["to"],
        request=Request(protocol=protocol, port=port, icmp_type=kind_of_message[0], icmp_code=kind_of_message[1]),
        expect=expect,
        line=node.line,
        path=path,
    )


def _read_icmp(reader: Reader, fields: Mapping, path: str, protocol: int) -> tuple[int | None, int | None]:
    entry = fields.entries.get("icmp")
    if entry is None:
        return None, None
    if protocol not in ICMP_PROTOCOLS:
        reader.problems.add(entry.line, f"{path}.icmp", "`icmp` needs `protocol: icmp` or `protocol: ipv6-icmp`")
    mapping = reader.mapping(entry.value, f"{path}.icmp", ("type", "code"), ("type",))
    values = {
        key: reader.integer(item.value, f"{path}.icmp.{key}", 0, 255)
        for key, item in mapping.entries.items()
        if key in ("type", "code")
    }
    return values.get("type"), values.get("code", 0)


def _read_end(reader: Reader, fields: Mapping, side: str, path: str) -> Endpoint:
    entry = fields.entries.get(side)
    if entry is None:
        return Endpoint(name="")
    where = f"{path}.{side}"
    if isinstance(entry.value, Scalar) and not entry.value.missing:
        try:
            return Endpoint(name=entry.value.text, address=ip_address(entry.value.text))
        except ValueError:
            message = f"`{entry.value.text[:80]}` is no address; write labels as {{role: api}}"
            reader.problems.add(entry.line, where, message)
            return Endpoint(name="")
    if not isinstance(entry.value, Mapping):
        reader.problems.add(entry.line, where, f"expected labels or an address, found {kind(entry.value)}")
        return Endpoint(name="")
    labels = {key: reader.text(item.value, f"{where}.{key}") for key, item in entry.value.entries.items()}
    return Endpoint(name=_name(labels), labels=labels)


def _name(labels: Map[str, str]) -> str:
    return "{" + ", ".join(f"{key}={value}" for key, value in labels.items()) + "}"
