from __future__ import annotations

import gc
import random
import weakref
from typing import Any

import pytest

from ringfence.store.elastic_groups import GROUP_PAGE, largest_groups


class Bucket(dict[str, Any]):
    """A group as the server tells it, of which can be seen whether somebody holds it."""

    __hash__ = object.__hash__  # type: ignore[assignment]


class Server:
    """Answers a composite aggregation page by page and remembers which groups are still held."""

    def __init__(self, counts: list[int]) -> None:
        self.counts = counts
        self.alive: weakref.WeakSet[Bucket] = weakref.WeakSet()
        self.most = 0

    def __call__(self, *, aggs: dict[str, Any], **_options: Any) -> dict[str, Any]:
        gc.collect()
        self.most = max(self.most, len(self.alive))
        composite = aggs["groups"]["composite"]
        start = composite.get("after", {"dst_port": -1})["dst_port"] + 1
        page = range(start, min(start + composite["size"], len(self.counts)))
        buckets = [self.bucket(number) for number in page]
        after = {"after_key": {"dst_port": page[-1]}} if page else {}
        return {"aggregations": {"groups": {"buckets": buckets, **after}}}

    def bucket(self, number: int) -> Bucket:
        made = Bucket(
            key={"dst_port": number},
            doc_count=self.counts[number],
            denied={"doc_count": 1},
            staged_denied={"doc_count": 2},
            packets={"value": 3.0},
            bytes={"value": 4.0},
            first_seen={"value": 0.0},
            last_seen={"value": 1.0},
            example={"hits": {"hits": [{"_id": f"f{number:06}"}]}},
        )
        self.alive.add(made)
        return made


def shuffled(groups: int) -> list[int]:
    """Numbers of flows, a few of them the same."""
    return [random.Random(number).randrange(1, groups + 1) for number in range(groups)]


@pytest.mark.parametrize("groups", [0, 1, GROUP_PAGE, 3 * GROUP_PAGE + 7])
@pytest.mark.parametrize("limit", [0, 1, 50, 100_000])
def test_the_largest_come_first_and_of_equals_the_one_with_the_first_example(groups: int, limit: int) -> None:
    counts = shuffled(groups)
    found = largest_groups(Server(counts), ("dst_port",), limit)
    order = sorted(range(groups), key=lambda number: (-counts[number], number))
    assert [row["dst_port"] for row in found] == order[:limit]
    assert all(row["flows"] == counts[row["dst_port"]] for row in found)


def test_no_more_groups_are_held_than_a_page_and_those_that_are_kept() -> None:
    server = Server(shuffled(5 * GROUP_PAGE))
    assert len(largest_groups(server, ("dst_port",), 10)) == 10
    assert server.most <= GROUP_PAGE + 10 + 1
