"""A real Elasticsearch on loopback with TLS and passwords: the official distribution with its core modules.

The archive comes from the Maven repository through `mvn` and is unpacked once to a cache folder that any user can
read; each run has its own configuration, data and log in a temporary folder, and runs as a user that is not root.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import os
import pwd
import shutil
import ssl
import subprocess
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.namespaces import Fabric
from tests.support.require import command
from tests.support.servers import PASSWORD, alive, daemon, free_port
from tests.support.wait import wait_until

VERSION = "8.19.21"
ARTIFACT = f"org.elasticsearch.distribution.integ-test-zip:elasticsearch:{VERSION}:zip"
USER = "nobody"
HEAP = "768m"
START_SECONDS = 120


def cache_folder() -> Path:
    """Where the unpacked distribution is kept between runs; root's must be readable by `nobody`."""
    if os.geteuid() == 0:
        return Path("/var/cache/ringfence-tests")
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "ringfence-tests"


def java_home() -> Path | None:
    """The oldest JDK or JRE that will do: version 17 or later."""
    homes = {}
    for release in Path("/usr/lib/jvm").glob("*/release"):
        for line in release.read_text(encoding="utf-8").splitlines():
            if line.startswith("JAVA_VERSION="):
                homes[int(line.split('"')[1].split(".")[0])] = release.parent
    usable = {version: home for version, home in homes.items() if version >= 17}
    return usable[min(usable)] if usable else None


def archive() -> Path:
    """Where `mvn` keeps the downloaded archive."""
    group = Path.home() / ".m2/repository/org/elasticsearch/distribution/integ-test-zip/elasticsearch"
    return group / VERSION / f"elasticsearch-{VERSION}.zip"


def missing() -> str:
    """Why Elasticsearch cannot be started here; empty when it can."""
    if java_home() is None:
        return "Elasticsearch needs Java 17 or later in /usr/lib/jvm"
    if (cache_folder() / f"elasticsearch-{VERSION}").is_dir() or archive().exists() or command("mvn"):
        return ""
    return "the Elasticsearch archive is not there and mvn, which would fetch it, is not installed"


def distribution() -> Path:
    """The unpacked distribution; fetched and unpacked when it is not there yet."""
    home = cache_folder() / f"elasticsearch-{VERSION}"
    if home.is_dir():
        return home
    if not archive().exists():
        fetch = [command("mvn") or "mvn", "-q", "-B", "dependency:get", f"-Dartifact={ARTIFACT}", "-Dtransitive=false"]
        subprocess.run(fetch, check=True, timeout=600)
    unpacking = cache_folder() / f"unpacking-{os.getpid()}"
    with zipfile.ZipFile(archive()) as packed:
        packed.extractall(unpacking)
    for program in (unpacking / home.name / "bin").iterdir():
        program.chmod(0o755)
    with contextlib.suppress(OSError):  # another run was faster
        (unpacking / home.name).rename(home)
    shutil.rmtree(unpacking, ignore_errors=True)
    return home


@dataclass(frozen=True, slots=True)
class Elasticsearch:
    """A running node. `url` carries user and password, `ca` is the certificate file to trust."""

    port: int
    ca: Path
    user: str = "elastic"
    password: str = PASSWORD

    @property
    def url(self) -> str:
        return f"https://{self.user}:{self.password}@127.0.0.1:{self.port}"

    def call(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        """One request with JSON in and out: status and answer. For set-up and checks beside the product's client."""
        context = ssl.create_default_context(cafile=str(self.ca))
        token = base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
        headers = {"Authorization": f"Basic {token}", "Content-Type": "application/json"}
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=30, context=context)
        try:
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            content = answer.read()
            return answer.status, json.loads(content) if content.startswith((b"{", b"[")) else content.decode()
        finally:
            connection.close()

    def clear(self, prefix: str) -> None:
        """Delete the data streams, indices and index templates whose names begin with this."""
        for kind in ("_data_stream", "_index_template", "_component_template"):
            self.call("DELETE", f"/{kind}/{prefix}*")
        _, indices = self.call("GET", f"/{prefix}*/_settings?expand_wildcards=open")
        for name in indices if isinstance(indices, dict) and "error" not in indices else ():
            self.call("DELETE", f"/{name}")


@contextlib.contextmanager
def elasticsearch_server(*, heap: str = HEAP) -> Iterator[Elasticsearch]:
    """Start a node and wait until it has elected itself; TLS and authentication set themselves up."""
    home, java = distribution(), java_home()
    user = USER if os.geteuid() == 0 else ""
    with Fabric() as fabric:
        folder, port = fabric.folder("es"), free_port()
        config, log = folder / "config", folder / "console.log"
        shutil.copytree(home / "config", config)
        (folder / "tmp").mkdir()
        (config / "elasticsearch.yml").write_text(
            f"cluster.name: ringfence-test\nnode.name: one\ndiscovery.type: single-node\n"
            f"path.data: {folder}/data\npath.logs: {folder}/logs\npath.repo: {folder}/snapshots\n"
            f"http.host: 127.0.0.1\ntransport.host: 127.0.0.1\nhttp.port: {port}\ntransport.port: {free_port()}\n"
            "cluster.routing.allocation.disk.threshold_enabled: false\n"
        )
        if user:
            for item in (folder, *folder.rglob("*")):
                os.chown(item, pwd.getpwnam(user).pw_uid, pwd.getpwnam(user).pw_gid)
        environment = {
            "PATH": os.environ.get("PATH", ""),
            "ES_JAVA_HOME": str(java),
            "ES_PATH_CONF": str(config),
            "ES_TMPDIR": str(folder / "tmp"),
            "ES_JAVA_OPTS": f"-Xms{heap} -Xmx{heap}",
        }
        _set_password(home, environment, log, user)
        with daemon([home / "bin/elasticsearch"], log=log, user=user, cwd=folder, env=environment) as process:
            node = Elasticsearch(port, config / "certs/http_ca.crt")

            def ready() -> bool:
                alive(process, log)
                if not node.ca.exists():
                    return False
                with contextlib.suppress(OSError, http.client.HTTPException):
                    return node.call("GET", "/_cluster/health?wait_for_status=yellow&timeout=1s")[0] == 200
                return False

            wait_until("Elasticsearch answers", ready, seconds=START_SECONDS, every=0.25)
            yield node


def _set_password(home: Path, environment: dict[str, str], log: Path, user: str) -> None:
    tool = home / "bin/elasticsearch-keystore"
    with daemon([tool, "create"], log=log, user=user, env=environment) as process:
        assert process.wait(60) == 0, log.read_text()
    secret = log.parent / "bootstrap"
    secret.write_text(PASSWORD)
    with secret.open() as given:
        identity = {"user": USER, "group": pwd.getpwnam(USER).pw_gid, "extra_groups": []} if user else {}
        subprocess.run(
            [tool, "add", "-x", "bootstrap.password"],
            stdin=given,
            env=environment,
            check=True,
            capture_output=True,
            timeout=60,
            **identity,
        )
