"""The state store over SQLAlchemy: SQLite for one machine, PostgreSQL for many.

In: state records. Out: state records. Never: decides what a record means, holds a transaction while somebody thinks.
"""
