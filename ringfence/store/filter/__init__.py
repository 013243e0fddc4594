"""The filter language: KQL's everyday part over the flow schema, with addresses and networks.

In: what a person typed. Out: a syntax tree, and from it SQL, an Elasticsearch query or a predicate, which select the
same rows. Never: runs a query, guesses what a wrong name meant.
"""
