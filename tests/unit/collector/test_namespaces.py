"""What is not there is told apart from what may not be done. The rest needs real namespaces: tests/functional."""

from __future__ import annotations

from pathlib import Path

import pytest

from collector.namespaces import open_namespace, run_in
from ringfence.errors import NotFound


@pytest.mark.parametrize("name", ["missing", "file/below"])
def test_a_missing_namespace_is_not_found(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(NotFound, match="is gone"):
        open_namespace(str(tmp_path / name))
    with pytest.raises(NotFound, match="is gone"):
        run_in(str(tmp_path / name), lambda: None)
