from __future__ import annotations

from typing import Any, cast

from ringfence.store.elastic_cluster import PAGE, Cluster
from ringfence.store.elastic_retention import delete_matching


class Index:
    """Documents by id; a search shows what the last refresh has seen, as in Elasticsearch."""

    def __init__(self, count: int) -> None:
        self.documents = {str(number) for number in range(count)}
        self.visible = set(self.documents)

    def search(self, index: str, *, size: int, **_body: Any) -> dict[str, Any]:
        hits = [{"_index": f".ds-{index}", "_id": id_} for id_ in sorted(self.visible)[:size]]
        return {"hits": {"hits": hits}}

    def write(self, operations: Any) -> None:
        for action, index, id_, _ in operations:
            assert (action, index) == ("delete", ".ds-flows")
            self.documents.remove(id_)

    def refresh(self, *_names: str) -> None:
        self.visible = set(self.documents)


def test_everything_that_matches_is_deleted_once_and_counted() -> None:
    for count in (0, 1, PAGE, PAGE + 1, 2 * PAGE):
        index = Index(count)
        assert delete_matching(cast(Cluster, index), "flows", {"match_all": {}}, sort="flow.id") == count
        assert index.documents == set()
