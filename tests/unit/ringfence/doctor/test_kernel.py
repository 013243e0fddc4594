from __future__ import annotations

import pytest

from ringfence.config import Config
from ringfence.doctor.check import CheckState
from ringfence.doctor.kernel import TIME_ERROR, clock, clock_state, forced_buffer, kernel, receive_buffer
from tests.support.doctor_host import AnsweringHost

TRACKING = "/proc/sys/net/netfilter/nf_conntrack_"
BRIDGE = "/proc/sys/net/bridge/bridge-nf-call-"


def named(host: AnsweringHost, name: str) -> tuple[CheckState, str]:
    found = next(check for check in kernel(Config(), host) if check.name == name)
    return found.state, found.detail


@pytest.mark.parametrize(
    ("release", "state"),
    [
        ("6.18.44-x", CheckState.OK),
        ("5.4.0", CheckState.OK),
        ("4.19.0-amd64", CheckState.WARN),
        ("3.10.0-1160.el7", CheckState.FAIL),
        ("custom", CheckState.UNKNOWN),
    ],
)
def test_the_version_decides(release: str, state: CheckState) -> None:
    assert named(AnsweringHost(kernel=release), "version")[0] is state


def test_tracking_that_is_off_says_what_it_costs() -> None:
    host = AnsweringHost(files={f"{TRACKING}acct": "0", f"{TRACKING}timestamp": "1", f"{TRACKING}events": "2"})
    assert named(host, "byte and packet counts")[0] is CheckState.WARN
    assert "their bytes are not" in named(host, "byte and packet counts")[1]
    assert named(host, "time stamps")[0] is CheckState.OK
    assert "when somebody listens" in named(host, "events")[1]


def test_tracking_that_is_not_loaded_is_unknown() -> None:
    assert named(AnsweringHost(), "events")[0] is CheckState.UNKNOWN


def test_the_receive_buffer_is_what_the_kernel_gave() -> None:
    wished = Config().capture.receive_buffer
    assert receive_buffer(Config(), wished).state is CheckState.OK
    small = receive_buffer(Config(), 106_496)
    assert small.state is CheckState.WARN
    assert "room for about 166 events" in small.detail
    assert str(wished) in small.hint
    assert receive_buffer(Config(), None).state is CheckState.FAIL


def test_asking_for_a_buffer_gives_a_size() -> None:
    given = forced_buffer(65_536)
    assert given is None or given > 0


@pytest.mark.parametrize(
    ("files", "word"),
    [({}, "no IPv6"), ({"/proc/sys/net/ipv6/conf/all/disable_ipv6": "1"}, "disabled"),
     ({"/proc/sys/net/ipv6/conf/all/disable_ipv6": "0"}, "IPv4 and IPv6")],
    ids=["absent", "disabled", "there"],
)  # fmt: skip
def test_address_families(files: dict[str, str], word: str) -> None:
    assert word in named(AnsweringHost(files=files), "address families")[1]


def test_bridge_netfilter_on_off_and_not_loaded() -> None:
    on = {f"{BRIDGE}iptables": "1", f"{BRIDGE}ip6tables": "1"}
    assert named(AnsweringHost(files=on), "bridge netfilter")[0] is CheckState.OK
    assert named(AnsweringHost(files=on | {f"{BRIDGE}ip6tables": "0"}), "bridge netfilter")[0] is CheckState.WARN
    assert named(AnsweringHost(), "bridge netfilter")[0] is CheckState.UNKNOWN


def test_a_clock_is_synchronised_or_unknown_never_a_failure() -> None:
    assert clock(0).state is CheckState.OK
    assert clock(TIME_ERROR).state is CheckState.UNKNOWN
    assert clock(None).state is CheckState.UNKNOWN
    assert clock(clock_state()).state in (CheckState.OK, CheckState.UNKNOWN)
