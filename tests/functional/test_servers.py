"""The servers that the tests start are real, and go away."""

from __future__ import annotations

import psycopg
import pytest
import redis
from elasticsearch import Elasticsearch as Client

from ringfence.demo.engine import processes_of
from tests.support import servers
from tests.support.elasticsearch import Elasticsearch
from tests.support.namespaces import Fabric
from tests.support.require import require

pytestmark = pytest.mark.servers


def test_redis_keeps_a_value_and_begins_empty(redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        assert client.dbsize() == 0
        client.set("key", "value")
        assert client.get("key") == b"value"
        servers.empty_redis(redis_url)
        assert client.dbsize() == 0


def test_redis_asks_for_the_password(redis_url: str) -> None:
    wrong = redis_url.replace(servers.PASSWORD, "wrong")
    with redis.Redis.from_url(wrong) as client, pytest.raises(redis.AuthenticationError):
        client.ping()


def test_each_test_has_a_database_of_its_own(postgres_server: servers.Postgres, postgres_url: str) -> None:
    plain = postgres_url.replace("+psycopg", "")
    with psycopg.connect(plain) as connection:
        assert connection.info.server_version >= 150000
        connection.execute("CREATE TABLE t (n int)")
    other = postgres_server.database().replace("+psycopg", "")
    with psycopg.connect(other) as connection:
        assert connection.execute("SELECT count(*) FROM pg_tables WHERE tablename = 't'").fetchone() == (0,)
    postgres_server.drop(other)
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(other)


def test_elasticsearch_speaks_tls_with_passwords(elasticsearch: Elasticsearch) -> None:
    status, health = elasticsearch.call("GET", "/_cluster/health")
    assert (status, health["number_of_nodes"]) == (200, 1)
    assert (
        Elasticsearch(elasticsearch.port, elasticsearch.ca, password="wrong").call("GET", "/_cluster/health")[0] == 401
    )


def test_the_client_library_stores_and_finds(elasticsearch: Elasticsearch) -> None:
    with Client(elasticsearch.url, ca_certs=str(elasticsearch.ca), request_timeout=30) as client:
        client.index(index="lab-one", id="1", document={"ip": "192.0.2.1"}, refresh=True)
        assert client.count(index="lab-one")["count"] == 1
    elasticsearch.clear("lab-")
    assert elasticsearch.call("GET", "/lab-one")[0] == 404


def test_a_server_ends_with_its_context() -> None:
    require("redis-server")
    with servers.redis_server() as url, redis.Redis.from_url(url) as client:
        folder = client.config_get("dir")["dir"]
        assert list(processes_of(folder))
    assert list(processes_of(folder)) == []


def test_a_server_that_fails_to_start_says_why(fabric: Fabric) -> None:
    require("redis-server")
    folder = fabric.folder("bad")
    with servers.daemon(["redis-server", "--port", "not-a-port"], log=folder / "log") as process:
        process.wait(10)
        with pytest.raises(AssertionError, match="ended with 1"):
            servers.alive(process, folder / "log")
