"""The fixtures every test may ask for by name; each is started when first asked for."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support import servers
from tests.support.elasticsearch import Elasticsearch, elasticsearch_server
from tests.support.lab import Lab, LabHost
from tests.support.namespaces import Fabric
from tests.support.require import require


@pytest.fixture
def fabric() -> Iterator[Fabric]:
    """Network namespaces for one test; all are removed afterwards."""
    require("namespaces")
    with Fabric() as made:
        yield made


@pytest.fixture(scope="session")
def shared_lab() -> Iterator[Lab]:
    """One Docker host for the whole run; use `lab_host`."""
    require("docker")
    with Lab(hosts=1) as lab:
        yield lab


@pytest.fixture(scope="session")
def shared_swarm() -> Iterator[Lab]:
    """Two Docker hosts in a swarm for the whole run; use `lab_pair`."""
    require("docker")
    with Lab(hosts=2, swarm=True) as lab:
        yield lab


@pytest.fixture
def lab_host(shared_lab: Lab) -> Iterator[LabHost]:
    """A Docker host without containers; what the test makes on it is removed afterwards."""
    with shared_lab.cleared() as lab:
        yield lab.host


@pytest.fixture
def lab_pair(shared_swarm: Lab) -> Iterator[Lab]:
    """A swarm of two Docker hosts without containers; what the test makes on them is removed afterwards."""
    with shared_swarm.cleared() as lab:
        yield lab


@pytest.fixture(scope="session")
def redis_server() -> Iterator[str]:
    """URL of a Redis for the whole run; use `redis_url`."""
    require("redis-server")
    with servers.redis_server() as url:
        yield url


@pytest.fixture
def redis_url(redis_server: str) -> str:
    """URL of a Redis that is empty when the test begins."""
    servers.empty_redis(redis_server)
    return redis_server


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[servers.Postgres]:
    """A PostgreSQL for the whole run; `postgres_server.database()` makes an empty database."""
    require("postgres")
    with servers.postgres_server() as server:
        yield server


@pytest.fixture
def postgres_url(postgres_server: servers.Postgres) -> Iterator[str]:
    """SQLAlchemy URL (postgresql+psycopg) of a new, empty database, dropped afterwards."""
    url = postgres_server.database()
    yield url
    postgres_server.drop(url)


@pytest.fixture(scope="session")
def elasticsearch() -> Iterator[Elasticsearch]:
    """An Elasticsearch for the whole run: take an index prefix of your own and `clear(prefix)` it afterwards."""
    require("elasticsearch")
    with elasticsearch_server() as node:
        yield node
