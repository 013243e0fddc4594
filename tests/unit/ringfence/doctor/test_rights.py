from __future__ import annotations

from dataclasses import replace

from ringfence.config import Capture, Config, Enforce
from ringfence.doctor.check import CheckState
from ringfence.doctor.rights import HOST_PIDS, rights
from tests.support.doctor_host import AnsweringHost

WATCHING_ONLY = replace(Config(), capture=Capture(enabled=False), enforce=Enforce(enabled=False))


def states(host: AnsweringHost, config: Config | None = None) -> dict[str, CheckState]:
    return {check.name: check.state for check in rights(config or Config(), host)}


def status(capabilities: str) -> dict[str, str]:
    return {"/proc/self/status": f"Name:\tx\nCapEff:\t{capabilities}\nSeccomp:\t0"}


def test_root_with_everything_is_fine() -> None:
    host = AnsweringHost(files=status("000001ffffffffff"), links={"/proc/self/ns/pid": HOST_PIDS})
    assert set(states(host).values()) == {CheckState.OK}


def test_without_root_the_doctor_says_what_is_lost_and_what_still_works() -> None:
    host = AnsweringHost(files=status("0000000000000000"), root=False)
    root, capabilities, _ = rights(Config(), host)
    assert root.state is CheckState.FAIL and "connections cannot be seen" in root.detail
    assert "importing captures" in root.hint
    assert capabilities.detail == "lacks NET_ADMIN, NET_RAW, SYS_ADMIN"


def test_a_container_without_one_capability_is_told_which_to_add() -> None:
    host = AnsweringHost(files=status("00000000a80435fb"))
    _, capabilities, _ = rights(Config(), host)
    assert capabilities.state is CheckState.FAIL
    assert "--cap-add SYS_ADMIN" in capabilities.hint and "NET_RAW" not in capabilities.hint


def test_what_the_configuration_does_not_need_is_not_missed() -> None:
    host = AnsweringHost(files=status("0"), root=False, links={"/proc/self/ns/pid": HOST_PIDS})
    assert set(states(host, WATCHING_ONLY).values()) == {CheckState.OK}


def test_a_pid_namespace_of_its_own_is_a_warning_and_silence_is_unknown() -> None:
    found = states(AnsweringHost(links={"/proc/self/ns/pid": "pid:[4026532000]"}))
    assert found["host processes"] is CheckState.WARN
    assert found["capabilities"] is CheckState.UNKNOWN
    assert states(AnsweringHost())["host processes"] is CheckState.UNKNOWN
