"""The commands of a newcomer: Makefile, CI entry, system packages."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.support.repository import ROOT

MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
WANTED = {"up", "test", "test-fast", "bench", "demo", "demo-down", "lint", "lock", "clean", "help"}


def phony() -> set[str]:
    found = re.search(r"^\.PHONY:(.*)$", MAKEFILE, re.MULTILINE)
    assert found
    return {name for name in found[1].split() if not name.startswith("packages-")}


def run(*argv: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        argv, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False, env={**os.environ, **environment}
    )


def test_every_target_has_help() -> None:
    described = set(re.findall(r"^([a-z-]+):[^\n]*## \S", MAKEFILE, re.MULTILINE))
    assert phony() - described == set()
    assert phony() == WANTED


def test_make_alone_lists_the_targets() -> None:
    shown = run("make", "--no-print-directory").stdout
    assert {line.split()[0] for line in shown.splitlines()} == WANTED


def test_ci_runs_what_a_person_runs() -> None:
    script = ROOT / ".ci/run"
    assert os.access(script, os.X_OK)
    assert script.read_text(encoding="utf-8").rstrip().endswith("exec make test")


def test_every_folder_of_tests_is_run() -> None:
    assert "sh .ci/test.sh $(BIN)" in MAKEFILE.partition("\ntest:")[2].partition("\n\n")[0]
    script = (ROOT / ".ci/test.sh").read_text(encoding="utf-8")
    folders = {path.relative_to(ROOT).parts[1] for path in (ROOT / "tests").rglob("test_*.py")}
    named = re.findall(r"\btests/(\w+)", script)
    assert (len(named), set(named)) == (len(folders), folders)
    # Those of the labs go in two runs, which together are all of them.
    assert re.search(r'^labs="tests/', script, re.MULTILINE)
    assert re.findall(r'^ *\$pytest (?:-m (\w+|"[^"]+") \$labs|(tests/)\w+)', script, re.MULTILINE) == [
        ("", "tests/"),
        ("browser", ""),
        ('"not browser"', ""),
    ]


def test_every_benchmark_can_be_named_and_an_unknown_one_is_answered_with_the_list() -> None:
    recipe = MAKEFILE.partition("\nbench:")[2].partition("\n\n")[0]
    assert "tests.bench.$(NAME)" in recipe
    listing = recipe[recipe.index("ls tests/bench") : recipe.index("; exit 2")].replace("$$", "$")
    shown = set(run("sh", "-c", listing).stdout.split())
    modules = {path.stem for path in (ROOT / "tests/bench").glob("*.py") if not path.stem.startswith("test_")}
    assert shown == modules


def test_the_package_script_refuses_unknown_words() -> None:
    done = run("sh", ".ci/packages.sh", "everything")
    assert (done.returncode, "runtime|demo|test" in done.stderr) == (2, True)


def test_where_there_is_no_apt_the_missing_programs_and_their_names_elsewhere_are_printed(tmp_path: Path) -> None:
    script = (ROOT / ".ci/packages.sh").read_text(encoding="utf-8").replace(":/usr/local/sbin:/usr/sbin:/sbin", "")
    (tmp_path / "packages.sh").write_text(script, encoding="utf-8")
    done = run("/bin/sh", str(tmp_path / "packages.sh"), "runtime", PATH=str(tmp_path), PYTHON=sys.executable)
    assert done.returncode == 0
    assert {"iptables", "ipset", "conntrack", "iproute2"} <= set(done.stdout.split())
    assert "dnf install" in done.stdout


def test_what_is_there_is_not_installed_again(tmp_path: Path) -> None:
    programs = ("iptables", "ip6tables", "ipset", "conntrack", "ip", "ss", "tc", "nsenter", "sysctl")
    for name in programs:
        (tmp_path / name).write_text("#!/bin/sh\n", encoding="utf-8")
        (tmp_path / name).chmod(0o755)
    done = run("/bin/sh", str(ROOT / ".ci/packages.sh"), "runtime", PATH=str(tmp_path), PYTHON=sys.executable)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_scripts_are_valid_shell() -> None:
    for script in (".ci/run", ".ci/packages.sh"):
        assert run("sh", "-n", script).returncode == 0
