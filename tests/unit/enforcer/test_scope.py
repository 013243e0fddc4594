"""The part of a host's namespace that is one workload's."""

from __future__ import annotations

from enforcer.scope import Scope, cgroup_folder, cgroup_mount


def test_the_slot_is_matched_in_its_bits_of_the_mark() -> None:
    assert Scope(slot=255, folder="").mark == "0xff000000/0xff000000"


def test_cgroup2_is_found_beside_the_old_hierarchies() -> None:
    mounts = "cgroup /sys/fs/cgroup/cpu cgroup rw 0 0\ncgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n"
    assert cgroup_mount(mounts) == "/sys/fs/cgroup/unified"
    assert cgroup_mount("proc /proc proc rw 0 0\n") == ""


def test_a_cgroup_that_is_gone_has_no_folder() -> None:
    assert cgroup_folder("docker/no-such-container") == ""
