"""Policy engine: decides.

In: policy text, workloads, flows.
Out: verdicts with their sentences, rulesets, findings, responses.
Never: touches a socket, a file, a clock, a process or a store.
"""
