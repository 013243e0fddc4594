"""What a cgroup receives; the real kernel is asked in tests/functional/test_cgroup_rules.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from enforcer.cgroup import NAME, RETURN_DROP, receive, receive_everywhere
from ringfence.errors import EnforcementFailed


def test_the_program_fits_what_the_kernel_keeps_of_it() -> None:
    assert len(NAME) < 16, "BPF_OBJ_NAME_LEN with its terminator"
    assert len(RETURN_DROP) == 2 * 8


def test_a_cgroup_that_is_gone_is_said(tmp_path: Path) -> None:
    with pytest.raises(EnforcementFailed, match="is gone"):
        receive(str(tmp_path / "gone"), allowed=False)
    assert not receive(str(tmp_path / "gone"), allowed=True), "nothing is left to be taken away"


def test_what_is_no_cgroup_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a/cgroup.procs").write_text("")
    assert receive_everywhere(str(tmp_path)) == 0
