"""Audit: accounts for everything that was decided.

In: audit events, and questions to the stores.
Out: a tamper-evident log and reports with digests.
Never: changes what it reports on.
"""
