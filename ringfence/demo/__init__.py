"""Demo: a shop of real containers to look at.

In: a Docker engine of this machine, one of our own in a network namespace, or plain namespaces.
Out: workloads with traffic, a policy, a violation and a quarantine.
Never: leaves a trace after `ringfence demo down`; touches containers that are not its own.
"""
