"""The process that probes from inside a cgroup."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from enforcer.probing import main


def test_it_joins_the_cgroup_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main([str(tmp_path)])
    assert (tmp_path / "cgroup.procs").read_text() == str(os.getpid())
    assert capsys.readouterr().out == ""
