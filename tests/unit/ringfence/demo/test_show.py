"""Where the shop is put, and what a place is derived from."""

from __future__ import annotations

from pathlib import Path

import pytest

from ringfence.demo.show import Place, Stage, choose

NOWHERE = Place(folder=Path("/nowhere"), socket="unix:///nowhere/docker.sock")


@pytest.mark.parametrize(
    ("installed", "wanted"),
    [
        ({"dockerd", "containerd"}, Stage.OWN_ENGINE),
        ({"dockerd"}, Stage.NAMESPACES),
        (set(), Stage.NAMESPACES),
    ],
    ids=["docker installed", "half of it", "no docker"],
)
def test_an_engine_of_its_own_needs_docker_installed(installed: set[str], wanted: Stage) -> None:
    assert choose(NOWHERE, find=lambda name: name if name in installed else None) is wanted


def test_each_stage_has_its_engine() -> None:
    assert NOWHERE.url(Stage.EXISTING_ENGINE) == NOWHERE.socket
    assert NOWHERE.url(Stage.OWN_ENGINE) == "unix:///nowhere/engine/docker.sock"
    assert NOWHERE.url(Stage.NAMESPACES) == ""
