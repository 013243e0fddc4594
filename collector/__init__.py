"""Collector: sees every connection on this host.

In: kernel messages, Docker events, capture files.
Out: workloads and batches of flows, spooled and fsynced.
Never: decides, changes a rule, or stops the host's traffic.
"""
