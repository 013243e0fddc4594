"""The server."""

from __future__ import annotations

import http.client

import pytest

from tests.support.site import Site
from web.serve import PortUnavailable, serve


def test_it_answers_while_it_runs_and_not_after(shop: Site) -> None:
    server = serve(shop.app, "127.0.0.1", 0, threads=2)
    server.start()
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
    connection.request("GET", "/healthz")
    assert connection.getresponse().read() == b'{"status":"alive"}\n'
    connection.close()
    port = server.port
    server.stop()
    with pytest.raises(OSError):
        http.client.HTTPConnection("127.0.0.1", port, timeout=2).request("GET", "/healthz")


def test_a_port_in_use_is_said_to_be_in_use(shop: Site) -> None:
    first = serve(shop.app, "127.0.0.1", 0, threads=2)
    first.start()
    try:
        with pytest.raises(PortUnavailable, match=f"port {first.port} on 127.0.0.1 is in use") as caught:
            serve(shop.app, "127.0.0.1", first.port).start()
        assert "--port" in caught.value.hint
    finally:
        first.stop()


def test_a_foreign_address_is_said_to_be_foreign(shop: Site) -> None:
    with pytest.raises(PortUnavailable, match="no address of this host"):
        serve(shop.app, "203.0.113.7", 0).start()
