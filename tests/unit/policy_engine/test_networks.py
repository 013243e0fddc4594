from __future__ import annotations

from ipaddress import ip_address, ip_network

from hypothesis import given
from hypothesis import strategies as st

from policy_engine.matching import networks_match
from policy_engine.networks import NetworkIndex
from tests.support.policies import INVENTORY, NETWORKS, OUTSIDE

ADDRESSES = [*OUTSIDE, *(address for item in INVENTORY for address in item.addresses)]
lists = st.lists(st.sampled_from(NETWORKS), max_size=3).map(tuple)


@given(st.lists(st.tuples(lists, lists), max_size=6), st.sampled_from([None, *ADDRESSES]))
def test_the_index_agrees_with_asking_each_network(pairs: list[tuple[tuple, tuple]], address: object) -> None:  # type: ignore[type-arg]
    found = NetworkIndex(pairs).bits(address)  # type: ignore[arg-type]
    for index, (inside, outside) in enumerate(pairs):
        expected = (not inside and not outside) or networks_match(inside, outside, address)  # type: ignore[arg-type]
        assert bool(found >> index & 1) is expected


def test_asking_twice_gives_the_same_answer() -> None:
    index = NetworkIndex([((ip_network("10.0.0.0/8"),), ())])
    assert [index.bits(ip_address("10.1.1.1")) for _ in range(2)] == [1, 1]
