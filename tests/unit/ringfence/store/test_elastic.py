from __future__ import annotations

import pytest

from ringfence.errors import StoreUnavailable
from ringfence.store.elastic import ElasticFlowStore


def test_a_server_that_is_not_there_is_unavailable_at_once() -> None:
    with pytest.raises(StoreUnavailable, match="Elasticsearch failed"):
        ElasticFlowStore("http://127.0.0.1:9")
