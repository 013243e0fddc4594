from __future__ import annotations

import socket
import threading

import pytest

from ringfence.errors import StoreUnavailable
from ringfence.store.elastic import ElasticFlowStore


def answering(answer: bytes) -> tuple[str, socket.socket]:
    """A server that gives everybody the same answer: its address, and what ends it."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                link, _ = server.accept()
            except OSError:
                return
            with link:
                link.recv(65536)
                link.sendall(answer)

    threading.Thread(target=serve, daemon=True).start()
    return f"http://127.0.0.1:{server.getsockname()[1]}", server


def test_a_server_that_is_not_there_yet_is_unavailable_when_it_is_asked() -> None:
    store = ElasticFlowStore("http://127.0.0.1:9")
    for _ in range(2):
        with pytest.raises(StoreUnavailable, match="Elasticsearch failed"):
            store.open_flows("h1")
    store.close()


def test_a_server_that_starts_is_waited_for() -> None:
    url, server = answering(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
    with server:
        store = ElasticFlowStore(url)
        with pytest.raises(StoreUnavailable, match="503"):
            store.get("f1")
        store.close()
        server.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
    ],
    ids=["the password is wrong", "it is no Elasticsearch"],
)
def test_what_waiting_does_not_mend_is_told_at_once(answer: bytes) -> None:
    url, server = answering(answer)
    with server:
        with pytest.raises(StoreUnavailable, match="Elasticsearch failed"):
            ElasticFlowStore(url)
        server.shutdown(socket.SHUT_RDWR)


def test_a_certificate_that_nobody_signed_is_told_at_once() -> None:
    url, server = answering(b"no TLS at all")
    with server:
        with pytest.raises(StoreUnavailable, match="Elasticsearch failed"):
            ElasticFlowStore(url.replace("http:", "https:"))
        server.shutdown(socket.SHUT_RDWR)
