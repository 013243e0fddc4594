"""Commands are argument vectors, and failures carry what the command said."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ringfence.demo import netns


def test_a_command_enters_only_the_network_namespace() -> None:
    assert netns.inside("blue", ["ip", "address"]) == ["nsenter", "--net=/run/netns/blue", "--", "ip", "address"]
    assert netns.path("blue") == Path("/run/netns/blue")


def test_a_failure_carries_what_the_command_said() -> None:
    with pytest.raises(subprocess.CalledProcessError) as caught:
        netns.run([sys.executable, "-c", "import sys; sys.exit('no such link')"])
    assert caught.value.__notes__ == ["no such link"]


def test_output_is_returned() -> None:
    assert netns.run([sys.executable, "-c", "print('fine')"]) == "fine\n"


def test_deleting_what_is_not_there_is_no_error() -> None:
    netns.delete("rf-never-made")
    assert not netns.exists("rf-never-made")
