from __future__ import annotations

import pytest

from ringfence.errors import StoreAway
from ringfence.store.elastic import ElasticFlowStore


def test_a_server_that_is_not_there_is_away_whenever_it_is_asked() -> None:
    store = ElasticFlowStore("http://127.0.0.1:9")
    for _ in range(2):
        with pytest.raises(StoreAway, match="Elasticsearch failed"):
            store.open_flows("h1")
    store.close()
