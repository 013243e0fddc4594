"""Schema changes of the state store, in order; alembic runs them when the store is opened.

In: a connection. Out: tables. Never: touches a table of flows, loses a record.
"""
