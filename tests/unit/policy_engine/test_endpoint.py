from __future__ import annotations

import pytest

from policy_engine.endpoint import Endpoint, Request


@pytest.mark.parametrize(
    ("request_", "text"),
    [
        (Request(protocol=6, port=5432), "tcp/5432"),
        (Request(protocol=17, port=0), "udp/0"),
        (Request(protocol=6), "tcp"),
        (Request(protocol=1, icmp_type=8, icmp_code=0), "icmp type 8"),
        (Request(protocol=58, icmp_type=1, icmp_code=4), "ipv6-icmp type 1 code 4"),
        (Request(protocol=47), "protocol 47"),
    ],
)
def test_a_request_is_written_as_people_write_it(request_: Request, text: str) -> None:
    assert str(request_) == text


def test_an_end_is_no_workload_unless_told() -> None:
    assert Endpoint(name="x").labels is None
