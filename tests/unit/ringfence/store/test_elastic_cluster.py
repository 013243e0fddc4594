from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from ringfence.errors import QueryInvalid, StoreUnavailable
from ringfence.store.elastic_cluster import BULK_BYTES, Cluster


class Server(http.server.BaseHTTPRequestHandler):
    """Answers every request with what the test has put there, and remembers the bodies."""

    status = 200
    answer: Any = None
    starting = 0
    """Requests that are answered as by an index whose shard has not started yet."""
    seen: list[bytes] = []  # noqa: RUF012 -- one per test, see the fixture
    asked: str = ""
    """Path and query of the last request."""

    def do_POST(self) -> None:
        type(self).asked = self.path
        self.seen.append(self.rfile.read(int(self.headers.get("Content-Length", 0))))
        body = json.dumps(self.answer).encode()
        self.send_response(503 if len(self.seen) <= self.starting else self.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("X-Elastic-Product", "Elasticsearch")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_PUT = do_GET = do_POST  # noqa: N815 -- the names are the server's

    def log_message(self, *_arguments: object) -> None:
        """Tests are quiet."""


@pytest.fixture
def handler() -> type[Server]:
    return type("Handler", (Server,), {"seen": []})


@pytest.fixture
def cluster(handler: type[Server]) -> Iterator[Cluster]:
    with http.server.HTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        made = Cluster(f"http://127.0.0.1:{server.server_port}", ca="", prefix="x")
        yield made
        made.close()
        server.shutdown()
        thread.join()


def item(action: str, status: int) -> dict[str, Any]:
    return {action: {"status": status, "error": {"type": "t", "reason": "r"}}}


def test_documents_that_are_there_already_or_gone_already_are_no_errors(
    cluster: Cluster, handler: type[Server]
) -> None:
    handler.answer = {"errors": True, "items": [item("create", 409), item("delete", 404)]}
    cluster.write([("create", "i", "1", b"{}"), ("delete", "i", "2", None)])
    assert handler.seen == [
        b'{"create":{"_index":"i","_id":"1"}}\n{}\n{"delete":{"_index":"i","_id":"2"}}\n',
    ]


@pytest.mark.parametrize(("action", "status"), [("create", 429), ("index", 409), ("index", 400), ("delete", 503)])
def test_any_other_refusal_is_unavailable(cluster: Cluster, handler: type[Server], action: str, status: int) -> None:
    handler.answer = {"errors": True, "items": [item("create", 409), item(action, status)]}
    with pytest.raises(StoreUnavailable, match=f"{status} t: r"):
        cluster.write([("index", "i", "1", b"{}")])


def test_large_writes_are_split(cluster: Cluster, handler: type[Server]) -> None:
    handler.answer = {"errors": False, "items": []}
    cluster.write(("index", "i", str(number), b"x" * (BULK_BYTES // 2)) for number in range(5))
    assert len(handler.seen) == 3


@pytest.mark.parametrize("status", [400, 401, 403, 500, 503])
def test_a_refused_request_is_unavailable(cluster: Cluster, handler: type[Server], status: int) -> None:
    handler.status, handler.answer = status, {"error": {"type": "no"}}
    with pytest.raises(StoreUnavailable, match="Elasticsearch failed"):
        cluster.search("i")


def test_a_question_that_is_not_taken_is_no_outage(cluster: Cluster, handler: type[Server]) -> None:
    handler.status, handler.answer = 400, {"error": {"type": "search_phase_execution_exception"}}
    with pytest.raises(QueryInvalid, match="does not take the question: search_phase_execution_exception"):
        cluster.ask(size=1)
    handler.status = 500
    with pytest.raises(StoreUnavailable):
        cluster.ask(size=1)


def test_an_index_that_is_starting_is_asked_again(cluster: Cluster, handler: type[Server]) -> None:
    handler.starting, handler.answer = 3, {"hits": {"hits": []}}
    assert cluster.search("i") == {"hits": {"hits": []}}
    assert len(handler.seen) > 3


def test_a_part_of_an_answer_is_not_taken(cluster: Cluster, handler: type[Server]) -> None:
    handler.answer = {"hits": {"hits": []}}
    cluster.search("i")
    assert "allow_partial_search_results=false" in handler.asked


def test_a_server_that_is_not_there_is_unavailable() -> None:
    cluster = Cluster("http://127.0.0.1:9", ca="", prefix="x")
    with pytest.raises(StoreUnavailable):
        cluster.refresh("i")
    cluster.close()


@pytest.mark.parametrize(("url", "ca"), [("http://", ""), ("https://127.0.0.1:9", "/none.crt"), ("https://h:x", "")])
def test_a_broken_address_is_unavailable_at_once(url: str, ca: str) -> None:
    with pytest.raises(StoreUnavailable, match=r"store\.flows"):
        Cluster(url, ca=ca, prefix="x")


def test_all_pages_are_walked(cluster: Cluster, handler: type[Server]) -> None:
    handler.answer = {"hits": {"hits": [{"_id": "1", "sort": ["a"]}]}}
    assert [hit["_id"] for hit in cluster.every("i", {"match_all": {}}, sort=["id"])] == ["1"]
    assert json.loads(handler.seen[0])["sort"] == ["id"]
