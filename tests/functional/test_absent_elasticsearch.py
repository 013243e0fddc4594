"""An Elasticsearch that is not there yet, or not what it should be, when the flow store is opened."""

from __future__ import annotations

import contextlib
import socket
import ssl
import subprocess
import threading
from pathlib import Path

import pytest

from ringfence.errors import StoreAway, StoreUnavailable
from ringfence.store.elastic import ElasticFlowStore


def answering(answer: bytes, tls: ssl.SSLContext | None = None) -> tuple[str, socket.socket]:
    """A server that gives everybody the same answer, and cuts the connection: its address, and what ends it."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                link, _ = server.accept()
            except OSError:
                return
            with link, contextlib.suppress(OSError):
                if tls is not None:
                    tls.wrap_socket(link, server_side=True).close()
                link.recv(65536)
                link.sendall(answer)

    threading.Thread(target=serve, daemon=True).start()
    return f"http://127.0.0.1:{server.getsockname()[1]}", server


@pytest.mark.parametrize(
    ("scheme", "answer"),
    [("http", b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"), ("http", b""), ("https", b"")],
    ids=["starts", "is cut", "is cut within the handshake"],
)
def test_a_server_that_starts_is_waited_for(scheme: str, answer: bytes) -> None:
    url, server = answering(answer)
    with server:
        store = ElasticFlowStore(url.replace("http:", f"{scheme}:"))
        with pytest.raises(StoreAway):
            store.get("f1")
        store.close()
        server.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("status", ["401 Unauthorized", "404 Not Found"], ids=["wrong password", "no Elasticsearch"])
def test_what_waiting_does_not_mend_is_told_at_once(status: str) -> None:
    url, server = answering(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode())
    with server:
        with pytest.raises(StoreUnavailable, match="Elasticsearch failed") as caught:
            ElasticFlowStore(url)
        assert not isinstance(caught.value, StoreAway)
        server.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize(("scheme", "answer"), [("https", b"HTTP/1.1 200 OK\r\n\r\n"), ("http", b"SSH-2.0-other\r\n")])
def test_a_server_that_speaks_something_else_is_told_at_once(scheme: str, answer: bytes) -> None:
    url, server = answering(answer)
    with server:
        with pytest.raises(StoreUnavailable, match="Elasticsearch failed") as caught:
            ElasticFlowStore(url.replace("http:", f"{scheme}:"))
        assert not isinstance(caught.value, StoreAway)
        assert str(caught.value).isprintable()
        server.shutdown(socket.SHUT_RDWR)


def test_a_certificate_that_nobody_trusts_is_told_at_once(tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    made = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1"]
    subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run([*made, *subject, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    url, server = answering(b"", context)
    with server:
        with pytest.raises(StoreUnavailable, match="CERTIFICATE_VERIFY_FAILED") as caught:
            ElasticFlowStore(url.replace("http:", "https:"))
        assert not isinstance(caught.value, StoreAway)
        server.shutdown(socket.SHUT_RDWR)
