"""Nested values as JSON and back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from ipaddress import ip_address, ip_network
from typing import Any

from ringfence.model.policy import PortInterval, Service
from ringfence.model.quarantine import Check, ControlledAccess, Proof
from ringfence.model.verdict import Direction
from ringfence.model.workload import Attachment, NetworkKind

Json = Mapping[str, Any]


def time_text(at: datetime | None) -> str | None:
    return at.isoformat() if at else None


def time_value(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def encode_checks(checks: Iterable[Check]) -> list[Json]:
    return [{"name": check.name, "passed": check.passed, "detail": check.detail} for check in checks]


def decode_checks(items: Iterable[Json]) -> tuple[Check, ...]:
    return tuple(Check(name=item["name"], passed=item["passed"], detail=item["detail"]) for item in items)


def encode_proof(proof: Proof | None) -> Json | None:
    return {"at": proof.at.isoformat(), "checks": encode_checks(proof.checks)} if proof else None


def decode_proof(item: Json | None) -> Proof | None:
    return Proof(at=datetime.fromisoformat(item["at"]), checks=decode_checks(item["checks"])) if item else None


def encode_service(service: Service) -> Json:
    return {
        "protocol": service.protocol,
        "ports": [[ports.first, ports.last] for ports in service.ports],
        "icmp_type": service.icmp_type,
        "icmp_code": service.icmp_code,
    }


def decode_service(item: Json) -> Service:
    return Service(
        protocol=item["protocol"],
        ports=tuple(PortInterval(first=first, last=last) for first, last in item["ports"]),
        icmp_type=item["icmp_type"],
        icmp_code=item["icmp_code"],
    )


def encode_access(access: Iterable[ControlledAccess]) -> list[Json]:
    return [
        {"direction": item.direction.value, "network": str(item.network), "service": encode_service(item.service)}
        for item in access
    ]


def decode_access(items: Iterable[Json]) -> tuple[ControlledAccess, ...]:
    return tuple(
        ControlledAccess(
            direction=Direction(item["direction"]),
            network=ip_network(item["network"]),
            service=decode_service(item["service"]),
        )
        for item in items
    )


def encode_attachments(attachments: Iterable[Attachment]) -> list[Json]:
    return [
        {
            "network": item.network,
            "kind": item.kind.value,
            "addresses": [str(address) for address in item.addresses],
            "networks": [str(network) for network in item.networks],
            "interface": item.interface,
            "mac": item.mac,
            "since": time_text(item.since),
            "until": time_text(item.until),
        }
        for item in attachments
    ]


def decode_attachments(items: Iterable[Json]) -> tuple[Attachment, ...]:
    return tuple(
        Attachment(
            network=item["network"],
            kind=NetworkKind(item["kind"]),
            addresses=tuple(ip_address(address) for address in item["addresses"]),
            # Rows of earlier versions have none.
            networks=tuple(ip_network(network) for network in item.get("networks", ())),
            interface=item["interface"],
            mac=item["mac"],
            since=datetime.fromisoformat(item["since"]),
            until=time_value(item["until"]),
        )
        for item in items
    )
