"""The two ends of a connection and what it asks for, as policy sees them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ringfence.model.flow import PROTOCOL_NAMES
from ringfence.model.workload import Address


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One end. `labels` None: no known workload, so no selector matches it and no policy is its own.

    `governed` False: a workload that policies can name as a peer but never select (a named external network).
    `address` None: not known, so no network matches.
    """

    name: str
    labels: Mapping[str, str] | None = None
    address: Address | None = None
    governed: bool = True


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Request:
    """What a connection asks for: protocol number, destination port, ICMP type and code; None where not known."""

    protocol: int
    port: int | None = None
    icmp_type: int | None = None
    icmp_code: int | None = None

    def __str__(self) -> str:
        """`tcp/5432`, `icmp type 8`, `icmp type 3 code 1`, `protocol 47`."""
        name = PROTOCOL_NAMES.get(self.protocol, f"protocol {self.protocol}")
        if self.port is not None:
            return f"{name}/{self.port}"
        if self.icmp_type is None:
            return name
        code = f" code {self.icmp_code}" if self.icmp_code else ""
        return f"{name} type {self.icmp_type}{code}"
