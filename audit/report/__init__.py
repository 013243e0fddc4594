"""Compliance reports: what the stores and the audit log say about a window, as a document with a digest.

In: a window, a filter, the stores, the audit log. Out: a document, and from it HTML, CSV and JSON. Never: judges a flow
anew where a verdict was recorded, calls a picture complete that has a gap.
"""
