"""Namespaces by inode."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from enforcer.netns import NamespaceGone, Netns, everywhere, opened

OWN = Path("/proc/self/ns/net")


def test_a_namespace_is_opened_by_its_own_inode() -> None:
    with opened(Netns(inode=OWN.stat().st_ino, path=str(OWN))) as descriptor:
        assert os.fstat(descriptor).st_ino == OWN.stat().st_ino


@pytest.mark.parametrize("path", [str(OWN), "/nowhere", "/proc/0/ns/net"])
def test_another_or_no_namespace_behind_the_path_is_refused(path: str) -> None:
    with pytest.raises(NamespaceGone), opened(Netns(inode=1, path=path)):
        pass


def test_namespaces_of_processes_and_names_are_listed_once(tmp_path: Path) -> None:
    for number in ("1", "2", "self"):
        (tmp_path / number / "ns").mkdir(parents=True)
    (tmp_path / "1/ns/net").write_text("")
    (tmp_path / "2/ns/net").hardlink_to(tmp_path / "1/ns/net")
    (tmp_path / "self/ns/net").write_text("")
    (tmp_path / "named").mkdir()
    (tmp_path / "named/blue").write_text("")
    found = everywhere(tmp_path, tmp_path / "named")
    assert len(found) == 2
    assert all(inode == item.inode for inode, item in found.items())


def test_a_namespace_that_only_a_mount_keeps_is_listed(tmp_path: Path) -> None:
    (tmp_path / "1/root/run/docker/netns").mkdir(parents=True)
    (tmp_path / "1/root/run/docker/netns/1-abc").write_text("")
    lines = (
        "36 24 0:4 net:[4026532000] /run/docker/netns/1-abc rw - nsfs nsfs rw\n37 24 0:5 / /run rw - tmpfs tmpfs rw\n"
    )
    (tmp_path / "1/mountinfo").write_text(lines)
    assert [Path(item.path).name for item in everywhere(tmp_path, tmp_path / "named").values()] == ["1-abc"]
