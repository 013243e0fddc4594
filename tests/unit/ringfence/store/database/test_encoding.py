from __future__ import annotations

import json
from datetime import UTC, datetime
from ipaddress import ip_network

from hypothesis import given
from hypothesis import strategies as st

from ringfence.model.policy import PortInterval, Service
from ringfence.model.quarantine import Check, ControlledAccess, Proof
from ringfence.model.verdict import Direction
from ringfence.model.workload import Attachment, NetworkKind
from ringfence.store.database import encoding

PORTS = st.builds(PortInterval, first=st.integers(0, 65535), last=st.integers(0, 65535))
BYTE = st.none() | st.integers(0, 255)
SERVICES = st.builds(
    Service, protocol=BYTE, ports=st.tuples(PORTS, PORTS) | st.just(()), icmp_type=BYTE, icmp_code=BYTE
)
NETWORKS = st.ip_addresses().map(lambda address: f"{address}").map(encoding.ip_network)
ACCESS = st.builds(ControlledAccess, direction=st.sampled_from(Direction), network=NETWORKS, service=SERVICES)
CHECKS = st.lists(st.builds(Check, name=st.text(), passed=st.booleans(), detail=st.text()), max_size=3).map(tuple)
TIMES = st.datetimes(timezones=st.just(UTC))
ATTACHMENTS = st.builds(
    Attachment,
    network=st.text(),
    kind=st.sampled_from(NetworkKind),
    addresses=st.lists(st.ip_addresses(), max_size=3).map(tuple),
    networks=st.lists(st.ip_addresses().map(ip_network), max_size=3).map(tuple),
    interface=st.none() | st.text(),
    mac=st.none() | st.text(),
    since=TIMES,
    until=st.none() | TIMES,
)


@given(ACCESS, CHECKS, ATTACHMENTS, st.none() | st.builds(Proof, at=TIMES, checks=CHECKS))
def test_nested_values_survive_json(
    access: ControlledAccess, checks: tuple[Check, ...], attachment: Attachment, proof: Proof | None
) -> None:
    def through(value: object) -> object:
        return json.loads(json.dumps(value))

    assert encoding.decode_access(through(encoding.encode_access([access]))) == (access,)  # type: ignore[arg-type]
    assert encoding.decode_checks(through(encoding.encode_checks(checks))) == checks  # type: ignore[arg-type]
    assert encoding.decode_attachments(through(encoding.encode_attachments([attachment]))) == (attachment,)  # type: ignore[arg-type]
    assert encoding.decode_proof(through(encoding.encode_proof(proof))) == proof  # type: ignore[arg-type]


def test_times_may_be_absent() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert encoding.time_value(encoding.time_text(now)) == now
    assert encoding.time_value(encoding.time_text(None)) is None


def test_an_attachment_of_an_earlier_version_has_no_networks() -> None:
    row = encoding.encode_attachments([Attachment(network="n", kind=NetworkKind.BRIDGE, since=datetime.now(UTC))])[0]
    older = {key: value for key, value in row.items() if key != "networks"}
    assert encoding.decode_attachments([older])[0].networks == ()
