"""The doctor: says what works on this host and what does not.

In: the configuration, the host. Out: checks with what was seen and what to do. Never: changes anything outside a
network namespace of its own that ends with it.
"""

from ringfence.doctor.check import Check, CheckState
from ringfence.doctor.examine import examine
from ringfence.doctor.render import render

__all__ = ["Check", "CheckState", "examine", "render"]
