"""The doctor on the real machine: it finds what is there and leaves nothing behind."""

from __future__ import annotations

import json
import socket
import subprocess
import sys

from ringfence.config import Config
from ringfence.doctor import CheckState, examine
from ringfence.doctor.host import Host
from tests.support.namespaces import Fabric
from tests.support.require import require

AS_JSON = """
from ringfence.config import load
from ringfence.doctor import examine
from ringfence.doctor.render import as_json
import sys
sys.stdout.write(as_json(examine(load())))
"""


def namespaces_alive() -> set[str]:
    done = subprocess.run(["lsns", "-t", "net", "-n", "-o", "NS"], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def doctor_inside(prefix: list[str]) -> dict[str, dict[str, str]]:
    done = subprocess.run(
        [*prefix, sys.executable, "-c", AS_JSON], capture_output=True, text=True, timeout=120, check=True
    )
    return {f"{check['group']}/{check['name']}": check for check in json.loads(done.stdout)}


def test_a_root_with_debian_packages_can_enforce_everything() -> None:
    require("root", "iptables", "ip6tables", "ipset", "unshare", "nsenter")
    found = {check.name: check for check in examine(Config()) if check.group == "netfilter"}
    assert found["IPv4"].state is CheckState.OK, found["IPv4"].detail
    assert found["IPv6"].state is CheckState.OK, found["IPv6"].detail
    assert found["ipset"].state is CheckState.OK, found["ipset"].detail
    assert found["tracking settings"].state is CheckState.OK, found["tracking settings"].detail
    for feature in ("conntrack", "connmark", "NFLOG", "comment", "reject"):
        assert feature in found["IPv4"].detail


def test_the_throwaway_namespace_is_another_one_and_is_gone_afterwards() -> None:
    require("root", "unshare", "nsenter", "lsns")
    host = Host()
    with host.throwaway_namespace() as inside:
        assert not isinstance(inside, str), inside
        seen = inside(["readlink", "/proc/self/ns/net"]).output.strip()
        assert seen and seen != host.link("/proc/self/ns/net")
    assert seen.removeprefix("net:[").removesuffix("]") not in namespaces_alive()


def test_a_mix_of_legacy_and_nft_rules_is_found_and_left_as_it_is(fabric: Fabric) -> None:
    require("iptables-legacy", "iptables-nft", "iptables-nft-save", "iptables-legacy-save")
    made = fabric.namespace()
    enter = ["nsenter", f"--net={made.path}"]
    before_mix = doctor_inside(enter)["iptables/legacy and nft"]
    assert before_mix["state"] == "ok"
    for command in ("iptables-legacy", "iptables-nft"):
        subprocess.run([*enter, command, "-A", "INPUT", "-p", "tcp", "-j", "ACCEPT"], check=True, timeout=30)
    saved = [subprocess.run([*enter, f"iptables-{side}-save"], capture_output=True, check=True).stdout.splitlines()
             for side in ("legacy", "nft")]  # fmt: skip
    mix = doctor_inside(enter)["iptables/legacy and nft"]
    assert mix["state"] == "warn"
    assert "1 legacy, 1 nft" in mix["detail"]
    again = [subprocess.run([*enter, f"iptables-{side}-save"], capture_output=True, check=True).stdout.splitlines()
             for side in ("legacy", "nft")]  # fmt: skip
    strip = [[line for line in lines if not line.startswith(b"#")] for lines in saved]
    assert [[line for line in lines if not line.startswith(b"#")] for lines in again] == strip


def test_a_fresh_namespace_stays_without_rules(fabric: Fabric) -> None:
    require("nft")
    made = fabric.namespace()
    enter = ["nsenter", f"--net={made.path}"]
    doctor_inside(enter)
    ruleset = subprocess.run([*enter, "nft", "list", "ruleset"], capture_output=True, text=True, check=True).stdout
    assert ruleset.strip() == ""


def test_a_port_that_another_process_holds_is_a_warning() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        taken = listener.getsockname()[1]
        found = doctor_inside(["env", f"RINGFENCE_WEB__PORT={taken}"])["place/port"]
    assert found["state"] == "warn"
    assert "already" in found["detail"]


def test_without_root_it_says_what_cannot_be_done_and_does_the_rest() -> None:
    require("root", "setpriv")
    found = doctor_inside(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"])
    assert found["rights/root"]["state"] == "fail"
    assert "importing captures" in found["rights/root"]["hint"]
    assert found["rights/capabilities"]["state"] == "fail"
    assert found["place/python"]["state"] == "ok"


def test_without_any_program_on_the_path_every_check_still_answers() -> None:
    require("root", "unshare", "mount")
    # An empty file system over the folders of programs, in a mount namespace of its own.
    hide = 'for folder in /usr/sbin /usr/bin /usr/local/sbin; do mount -t tmpfs none $folder; done; exec "$@"'
    shell = ["unshare", "--mount", "--propagation", "private", "sh", "-c", hide, "sh"]
    if sys.executable.startswith("/usr/"):
        require("a Python outside /usr")
    found = doctor_inside(shell)
    assert found["netfilter/netfilter"]["state"] == "unknown"
    assert "not installed" in found["netfilter/netfilter"]["detail"]
    assert found["iptables/backend"]["state"] == "fail"
