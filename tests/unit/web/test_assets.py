"""The address of our static files."""

from __future__ import annotations

from pathlib import Path

from web.assets import address_of_assets


def test_every_change_of_a_file_changes_the_address(tmp_path: Path) -> None:
    seen = {address_of_assets(tmp_path)}

    def check() -> None:
        made = address_of_assets(tmp_path)
        assert made not in seen
        assert address_of_assets(tmp_path) == made
        seen.add(made)

    (tmp_path / "js").mkdir()
    (tmp_path / "js" / "main.js").write_text("one")
    check()
    (tmp_path / "js" / "main.js").write_text("two")
    check()
    (tmp_path / "js" / "main.js").rename(tmp_path / "js" / "other.js")
    check()
    (tmp_path / "js" / "more.js").write_text("")
    check()
