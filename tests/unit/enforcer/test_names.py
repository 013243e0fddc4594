"""Names and text that reach the kernel tools."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enforcer.names import Family, checked, is_our_chain, is_our_set, set_name, short_hash
from ringfence.errors import EnforcementFailed

MOST_SET_NAME = 31  # IPSET_MAXNAMELEN without its terminator


@given(st.text())
def test_a_set_name_fits_and_is_plain_whatever_the_set_is_called(name: str) -> None:
    made = set_name(Family.IPV6, short_hash(name, length=16), name) + "t"
    assert len(made) <= MOST_SET_NAME
    assert checked([made]) == made


@pytest.mark.parametrize("token", ["", " ", "a b", "a\nb", '"', "'", "$x", "`id`", "#", "a\x00", "é", "\\"])
def test_text_that_could_mean_something_to_the_tools_is_refused(token: str) -> None:
    with pytest.raises(EnforcementFailed):
        checked(["-A", token])


def test_other_rules_get_other_sets() -> None:
    assert set_name(Family.IPV4, "aaaaaaaa", "x") != set_name(Family.IPV4, "bbbbbbbb", "x")


def test_a_hash_tells_its_parts_apart() -> None:
    assert short_hash("ab", "c") != short_hash("a", "bc")


@pytest.mark.parametrize(
    ("name", "ours"),
    [
        ("RINGFENCE-IN", True),
        ("RINGFENCE-Q-OUT", True),
        ("RINGFENCE-3-abcdef-0123-R", True),
        ("RINGFENCE-ADMIN", False),
        ("RINGFENCE-IN-2", False),
        ("RINGFENCE-3-abcdef-0123-X", False),
    ],
)
def test_only_the_exact_names_of_chains_are_ours(name: str, ours: bool) -> None:
    assert is_our_chain(name) is ours


@pytest.mark.parametrize("suffix", ["", "t"])
def test_only_the_exact_names_of_sets_are_ours(suffix: str) -> None:
    assert is_our_set(set_name(Family.IPV4, "0123456789abcdef", "x") + suffix)
    assert not is_our_set("ringfence-admin-allow" + suffix)
