"""Frozen values that every package speaks of.

In: parsed data. Out: immutable values. Never: input or output, clocks, randomness, policy decisions.
"""
