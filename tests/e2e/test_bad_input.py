"""Acceptance: bad input and a bad place get one clear sentence, and nothing is lost."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pytest

from ringfence.service.lock import DataLock
from tests.support import traffic
from tests.support.lab import LabHost
from tests.support.namespaces import Fabric
from tests.support.repository import ROOT
from tests.support.servers import free_port
from tests.support.service import RunningService
from tests.support.wait import wait_until

pytestmark = [pytest.mark.root, pytest.mark.timeout(300)]

AS_NOBODY = ("unshare", "--user", "--map-user=65534", "--map-group=65534", "--")
QUIET = {"docker.endpoints": "", "capture.enabled": "false", "enforce.enabled": "false"}
POLICY = """
version: 1
groups:
  - {name: databases, selector: "role == 'db'", mode: monitor}
tiers:
  - {name: application, default: deny}
policies:
  - {name: db, tier: application, selector: "role == 'db'", ingress: []}
"""
BAD_POLICY = "version: 1\ntiers: [{name: a}]\npolicies: [{name: p, tier: b, selector: 'x ==', ingress: []}]\n"


@dataclass(frozen=True, slots=True)
class Place:
    """A folder with the files that a command is given."""

    folder: Path

    def ringfence(self, *arguments: str, become: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
        where = ["--set", f"general.data_dir={self.folder / 'data'}", "--set", "docker.endpoints="]
        return subprocess.run(
            [*become, sys.executable, "-m", "ringfence.cli", *where, *arguments],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            cwd=ROOT,
        )


@pytest.fixture
def place(tmp_path: Path) -> Place:
    (tmp_path / "bad.yaml").write_text(BAD_POLICY)
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "empty.pcap").touch()
    (tmp_path / "hostile.pcap").write_bytes(bytes(range(256)) * 40)
    (tmp_path / "broken.toml").write_text("[web\n")
    (tmp_path / "unknown.toml").write_text("[web]\nprot = 1\n")
    (tmp_path / "folder").mkdir()
    return Place(tmp_path)


COMMANDS = {
    "invalid policy": ("policy check @bad.yaml", "the policy has 2 problems"),
    "no policy file": ("policy check @none.yaml", "cannot be read: No such file or directory"),
    "a folder as policy": ("policy check @folder", "cannot be read: Is a directory"),
    "a policy that is no text": ("policy check @binary.yaml", "not UTF-8"),
    "no capture": ("import @none.pcap", "there is no file"),
    "an empty capture": ("import @empty.pcap", "empty.pcap is empty"),
    "a hostile capture": ("import @hostile.pcap", "is not a capture"),
    "a folder as capture": ("import @folder", "is not a regular file"),
    "no audit log": ("audit verify", "there is no audit log"),
    "no such log folder": ("audit verify --folder @none", "there is no audit log"),
    "unknown user": ("token nobody", "no user 'nobody'"),
    "days of a token": ("token nobody --days 0", "0 is not in the range"),
    "unknown setting": ("--set web.prot=1 config show", "did you mean web.port?"),
    "unknown setting in a file": ("--config @unknown.toml config show", "did you mean web.port?"),
    "unreadable configuration": ("--config @broken.toml config show", "broken.toml cannot be read"),
    "a folder as configuration": ("--config @folder config show", "cannot be read: Is a directory"),
    "no configuration file": ("--config @none.toml up", "does not exist"),
    "no value": ("--set web.port config show", "is not SECTION.KEY=VALUE"),
    "no number": ("--set web.port=http up", "'http' is not a whole number"),
    "impossible port": ("--set web.port=70000 up", "must be at most 65535"),
    "impossible level": ("--set general.log_level=loud up", "'loud' is none of debug"),
    "foreign flow store": ("--set store.flows=mysql up", "store.flows is neither duckdb nor"),
    "foreign database": ("--set store.state=mysql://x/y up", "store.state cannot be mysql"),
    "foreign broker": ("--set jobs.broker=amqp://x worker", "jobs.broker (flag): neither memory nor a URL"),
    "invalid protected selector": ("--set enforce.protected=== up", "enforce.protected"),
    "database away": ("--set store.state=postgresql+psycopg://a:b@127.0.0.1:1/x up", "the state store failed"),
    "agent without a fleet": ("agent", "are embedded: only `ringfence up` can use that"),
    "server without a fleet": ("server", "are embedded: only `ringfence up` can use that"),
    "worker without a broker": ("worker", "jobs.broker is in memory"),
    "beat without a broker": ("beat", "jobs.broker is in memory"),
    "data folder is a file": ("up --data-dir @bad.yaml", "cannot be used"),
    "foreign address": ("up --address 192.0.2.1", "192.0.2.1 is no address of this host"),
    "unknown command": ("watch", "No such command 'watch'"),
}


@pytest.mark.parametrize(("line", "sentence"), COMMANDS.values(), ids=COMMANDS.keys())
def test_a_command_says_in_a_sentence_what_is_wrong(place: Place, line: str, sentence: str) -> None:
    before = {item.name: item.read_bytes() for item in place.folder.iterdir() if item.is_file()}
    words = [str(place.folder / word[1:]) if word.startswith("@") else word for word in line.split()]
    done = place.ringfence(*words)
    said = done.stdout + done.stderr
    assert sentence in said
    assert done.returncode in {1, 2}
    assert "Traceback" not in said
    assert {name: (place.folder / name).read_bytes() for name in before} == before


def test_every_problem_of_a_policy_has_its_line(place: Place) -> None:
    done = place.ringfence("policy", "check", str(place.folder / "bad.yaml"))
    assert len(re.findall(r"^  line \d+", done.stderr, re.MULTILINE)) == 2
    shown = json.loads(place.ringfence("policy", "check", "--json", str(place.folder / "bad.yaml")).stdout)
    assert [problem["line"] for problem in shown["problems"]] == [3, 3]


def test_without_root_nothing_is_cleaned_and_the_reason_is_given(place: Place) -> None:
    done = place.ringfence("clean", become=AS_NOBODY)
    assert (done.returncode, done.stderr.strip()) == (1, "ringfence: removing rules needs root")


@pytest.fixture
def service(tmp_path: Path) -> Iterator[RunningService]:
    with RunningService(None, tmp_path, settings={**QUIET, "web.port": str(free_port())}) as running:
        yield running


QUESTIONS = {
    "unknown filter field": ("GET", "/flows?q=" + quote("sorce.port: 1"), None, "source.port"),
    "broken filter": ("GET", "/flows?q=" + quote("source.port: ("), None, ""),
    "end before start": ("GET", "/flows?from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z", None, ""),
    "impossible time": ("GET", "/flows?from=2026-13-45&to=now", None, ""),
    "time out of bounds": ("GET", "/flows?from=99999999999999&to=now", None, ""),
    "broken cursor": ("GET", "/flows?cursor=xyz", None, ""),
    "invalid policy": ("POST", "/policies", {"text": BAD_POLICY, "reason": "a test"}, "problem"),
    "no policy": ("POST", "/policies", {"reason": "a test"}, "text"),
    "report of no kind": ("POST", "/reports", {"kind": "horoscope"}, ""),
    "report over an impossible time": ("POST", "/reports?from=now&to=now-1h", {"kind": "flow"}, ""),
    "quarantine of nobody": (
        "POST",
        "/quarantines",
        {"workload": "none", "reason": "a test", "duration": "1h"},
        "workload",
    ),
}


def test_the_api_says_what_is_wrong_and_changes_nothing(service: RunningService) -> None:
    service.apply_policy(POLICY)
    for name, (method, path, body, word) in QUESTIONS.items():
        status, text = service.request(method, f"/api/v1{path}", body)
        assert 400 <= status < 500, (name, status, text)
        answer = json.loads(text)
        assert answer["status"] == status, name
        assert answer["detail"], name
        assert word in text.decode(), name
    assert service.api("GET", "/policies")["text"] == POLICY
    assert service.api("GET", "/quarantines")["quarantines"] == []
    assert "Traceback" not in service.log()


def test_a_second_instance_on_the_same_folder_is_refused_and_the_first_goes_on(service: RunningService) -> None:
    second = service.run("--set", f"web.port={free_port()}", "up")
    assert second.returncode == 1
    assert f"another Ringfence (process {service.process.pid if service.process else 0}) uses" in second.stderr
    assert "Traceback" not in second.stderr
    assert service.request("GET", "/readyz", signed_in=False)[0] == 200


@pytest.mark.parametrize("off", [None, "enforce.enabled", "capture.enabled"])
def test_a_second_one_on_the_same_host_is_refused_whatever_its_folder(
    fabric: Fabric, tmp_path: Path, off: str | None
) -> None:
    namespace = fabric.namespace("twice")
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
    with RunningService(namespace.path, tmp_path / "first", settings={off: "false"} if off else {}) as first:
        second = RunningService(namespace.path, tmp_path / "second", settings={"web.port": "8845"})
        for command in ("up", "clean"):
            done = second.run(command)
            assert done.returncode == 1
            assert "another Ringfence" in done.stderr and "runs on this host" in done.stderr
            assert "Traceback" not in done.stderr
        assert first.request("GET", "/readyz", signed_in=False)[0] == 200


def test_a_port_in_use_is_named_and_nothing_stays_locked(place: Place) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = place.ringfence(
            "--set", "enforce.enabled=false", "--set", "capture.enabled=false", "up", "--port", f"{port}"
        )
    assert done.returncode == 1
    assert f"port {port} on 127.0.0.1 is in use" in done.stderr
    assert "Traceback" not in done.stderr
    DataLock(place.folder / "data").release()


def test_without_a_docker_socket_the_service_runs_and_says_what_it_lacks(fabric: Fabric, tmp_path: Path) -> None:
    namespace = fabric.namespace("nodocker")
    missing = f"unix://{tmp_path}/none.sock"
    with RunningService(namespace.path, tmp_path, endpoints=[missing]) as service:
        limits = wait_until("it says so", lambda: service.api("GET", "/health")["status"]["limits"], seconds=20)
        assert any("Docker" in line and "none.sock" in line for line in limits), limits
        assert service.request("GET", "/readyz", signed_in=False)[0] == 200
        assert "Traceback" not in service.log()


@pytest.mark.docker
def test_a_full_disk_stops_nothing_is_told_and_passes(lab_host: LabHost, tmp_path: Path) -> None:
    """What could not be kept is a gap; once there is room again, new flows are stored."""
    data = tmp_path / "data"
    data.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", str(data)], check=True)
    try:
        _fill_and_free(lab_host, tmp_path, data)
    finally:
        subprocess.run(["umount", "-l", str(data)], check=True)


def _fill_and_free(lab_host: LabHost, folder: Path, data: Path) -> None:
    net = lab_host.network("shop")
    api, db = (lab_host.run(name, network=net, labels={"role": name}) for name in ("api", "db"))
    settings = {"spool.max_bytes": 4 << 20}
    with (
        RunningService(lab_host.namespace.path, folder, endpoints=[f"h1={lab_host.url}"], settings=settings) as service,
        traffic.TcpEcho(db.netns_path, db.address(4), 5432),
    ):
        service.enforce(POLICY, db.id)
        ballast = data / "ballast"
        with ballast.open("wb") as file:
            free = os.statvfs(data)
            file.write(bytes(free.f_bavail * free.f_frsize))
        traffic.tcp_connections(api.netns_path, db.address(4), 5432, 200)
        wait_until("the log says that the disk is full", lambda: _full(service.log()), seconds=30, every=0.5)
        assert service.request("GET", "/readyz", signed_in=False)[0] in {200, 503}
        status, answer = service.request("POST", "/api/v1/policies", {"text": POLICY + "\n", "reason": "a test"})
        assert status == 201 or (status, _says_why(json.loads(answer)["detail"])) == (503, True), answer
        ballast.unlink()
        done = service.api("GET", "/policies")["text"] != POLICY
        assert done is (status == 201), "what cannot be recorded is not done, and what is done is recorded"
        later = set(traffic.tcp_connections(api.netns_path, db.address(4), 5432, 50).sources)
        wait_until("the new ones are stored", lambda: later <= _source_ports(service), seconds=60, every=0.5)
        rows = service.flows("destination.port: 5432")
        lost = [item for item in service.api("GET", "/gaps")["gaps"] if item["cause"] == "spool full"]
        assert len(rows) == 250 or lost, "either all were kept, or what was not is a gap"
        assert len({row["flow_id"] for row in rows}) == len(rows)
        assert service.run("audit", "verify").returncode == 0
        assert "Traceback" not in service.log(), service.log()[-5000:]


def _source_ports(service: RunningService) -> set[int]:
    return {row["src_port"] for row in service.flows("destination.port: 5432")}


def _says_why(detail: str) -> bool:
    return "cannot be written" in detail or "No space left" in detail


def _full(log: str) -> bool:
    return "No space left" in log or "disk is full" in log
