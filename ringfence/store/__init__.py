"""Stores: flows (DuckDB or Elasticsearch) and state (SQLite or PostgreSQL), each behind narrow protocols.

In: flow batches, filters, state records. Out: rows, pages, aggregates. Never: judges, formats for people, talks to a
kernel.
"""
