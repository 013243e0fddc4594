"""The kernel: the words everyone uses, the stores and the composition root.

In: nothing but the standard library (and pyarrow for the flow schema). Out: frozen values, stores, configuration.
Never: reads a packet, decides a verdict, changes a rule. Those are `collector`, `policy_engine` and `enforcer`.
"""

__version__ = "0.1.0"
