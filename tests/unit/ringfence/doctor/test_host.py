from __future__ import annotations

from pathlib import Path

from ringfence.doctor.host import Host, Ran


def test_a_missing_command_is_an_answer(tmp_path: Path) -> None:
    ran = Host().run(["no-such-command-at-all"])
    assert ran.code is None and not ran.worked
    assert ran.words == "no-such-command-at-all is not installed"


def test_a_command_answers_with_its_code_and_its_words() -> None:
    assert Host().run(["true"]).worked
    failed = Host().run(["ls", "/no/such/folder"])
    assert not failed.worked and failed.code not in (0, None)
    assert "/no/such/folder" in failed.words


def test_the_last_line_is_what_it_complained_with() -> None:
    assert Ran(code=1, output="", error="first\n  last  \n\n").words == "last"
    assert Ran(code=1).words == "no message"


def test_files_and_links_that_are_not_there_are_none(tmp_path: Path) -> None:
    host = Host()
    assert host.read(str(tmp_path / "absent")) is None
    assert host.link(str(tmp_path / "absent")) is None
    assert not host.exists(str(tmp_path / "absent"))
    (tmp_path / "there").write_text(" 1\n")
    assert host.read(str(tmp_path / "there")) == "1"
