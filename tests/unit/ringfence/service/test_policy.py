"""The policy in force: the newest revision that can be read."""

from pathlib import Path

from ringfence.service.policy import PolicyInForce
from tests.support.estate import NOW, Estate


def test_a_new_revision_takes_force_at_the_next_look(tmp_path: Path) -> None:
    with Estate(tmp_path) as estate:
        policy = PolicyInForce(estate.state.policies)
        assert policy.current.revision == 0
        estate.state.policies.apply(text="version: 1\n", author="ada", reason="", at=NOW)
        assert policy.refresh()
        assert not policy.refresh()
        assert policy.current.revision == 1


def test_a_revision_that_cannot_be_read_leaves_the_last_good_one(tmp_path: Path) -> None:
    with Estate(tmp_path) as estate:
        estate.state.policies.apply(text="version: 1\n", author="ada", reason="", at=NOW)
        policy = PolicyInForce(estate.state.policies)
        estate.state.policies.apply(text="version: 99\n", author="ada", reason="", at=NOW)
        assert not policy.refresh()
        assert policy.current.revision == 1
