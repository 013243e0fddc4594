"""Which binaries, and how one is run."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from enforcer.iptables import Commands, NotInstalled, choose_commands, other_commands, run
from enforcer.names import Family
from enforcer.netns import Netns
from ringfence.errors import EnforcementFailed


class Versions:
    def __init__(self, text: str) -> None:
        self.text, self.asked = text, list[Sequence[str]]()

    def __call__(self, argv: Sequence[str], *, netns: Netns | None = None, text: str = "") -> str:
        self.asked.append(argv)
        return self.text


@pytest.mark.parametrize(
    ("backend", "version", "expected"),
    [
        ("auto", "iptables v1.8.9 (nf_tables)", Commands(legacy=False)),
        ("auto", "iptables v1.8.9 (legacy)", Commands(legacy=True)),
        ("auto", "iptables v1.6.1", Commands(legacy=True)),
        ("nft", "iptables v1.8.9 (nf_tables)", Commands(legacy=False, suffix="-nft")),
        ("legacy", "iptables v1.8.9 (legacy)", Commands(legacy=True, suffix="-legacy")),
    ],
)
def test_the_backend_is_what_iptables_says_or_what_was_asked_for(
    backend: str, version: str, expected: Commands
) -> None:
    assert choose_commands(backend, Versions(version)) == expected


@pytest.mark.parametrize(
    ("ipv4", "ipv6", "expected"),
    [
        ("(nf_tables)", "(legacy)", Commands(legacy=False, suffix="-nft")),
        ("(legacy)", "(nf_tables)", Commands(legacy=True, suffix="-legacy")),
        ("(nf_tables)", "(nf_tables)", Commands(legacy=False)),
        ("(legacy)", None, Commands(legacy=True)),
    ],
    ids=["IPv6 is legacy", "IPv6 is nft", "the same", "no ip6tables"],
)
def test_both_families_have_the_backend_of_iptables(ipv4: str, ipv6: str | None, expected: Commands) -> None:
    def versions(argv: Sequence[str], *, netns: Netns | None = None, text: str = "") -> str:
        if argv[0] == "ip6tables" and ipv6 is None:
            raise NotInstalled("ip6tables is not installed")
        return f"{argv[0]} v1.8.9 {ipv6 if argv[0] == 'ip6tables' else ipv4}"

    assert choose_commands("auto", versions) == expected


def test_programs_are_named_by_family_and_backend() -> None:
    assert Commands(legacy=True, suffix="-legacy").restore(Family.IPV6) == "ip6tables-legacy-restore"
    assert Commands(legacy=False).save(Family.IPV4) == "iptables-save"


def test_an_unknown_backend_is_refused() -> None:
    with pytest.raises(EnforcementFailed, match="auto, nft or legacy"):
        choose_commands("ebtables", Versions(""))


def test_a_program_that_is_not_there_is_named() -> None:
    with pytest.raises(NotInstalled, match="no-such-program is not installed"):
        run(["no-such-program"])
    with pytest.raises(NotInstalled, match="no-such-program is not installed"):
        run(["env", "--", "no-such-program"])


def test_a_failure_says_what_the_program_said() -> None:
    with pytest.raises(EnforcementFailed, match="status 3: on purpose"):
        run(["sh", "-c", "echo on purpose >&2; exit 3"])


def test_input_of_any_size_arrives_whole() -> None:
    text = "line\n" * 200_000
    assert run(["wc", "-c"], text=text).strip() == str(len(text))


@pytest.mark.parametrize(("legacy", "suffix"), [(True, "-nft"), (False, "-legacy")])
def test_the_other_backend_is_asked_for_by_name_or_not_there(legacy: bool, suffix: str) -> None:
    def missing(argv: Sequence[str], *, netns: Netns | None = None, text: str = "") -> str:
        raise EnforcementFailed(f"{argv[0]} is not installed")

    versions = Versions("iptables v1.8.9")
    assert other_commands(Commands(legacy=legacy), versions) == Commands(legacy=not legacy, suffix=suffix)
    assert versions.asked == [[f"iptables{suffix}", "-V"]]
    assert other_commands(Commands(legacy=legacy), missing) is None
