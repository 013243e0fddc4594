"""What a namespace's rules and sets read as text, for comparing before and after."""

from __future__ import annotations

import subprocess

from tests.support.containers import Container


def rules_of(container: Container) -> str:
    """Rules and sets of the namespace, without counters and dates."""
    texts = [
        subprocess.run(container.nsenter(*command), capture_output=True, text=True, check=True).stdout
        for command in (("iptables-save",), ("ip6tables-save",), ("ipset", "save", "-sorted"))
    ]
    lines = [line for text in texts for line in text.splitlines() if not line.startswith("#")]
    return "\n".join(line.partition(" [")[0] if line.startswith(":") else line for line in lines)
