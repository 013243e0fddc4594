"""Enforcer: acts on the kernel and proves it.

In: rulesets and quarantine orders.
Out: kernel state, and proof that it holds.
Never: knows policy, flows or people; touches rules that are not its own.
"""
