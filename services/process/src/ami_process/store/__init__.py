"""Stores: files (or databases) that outlive their process, each with a schema that has a version and can be upgraded.

`schema` says what is wanted, `opening` makes a new store or has an older one upgraded, `migration` does that with Alembic,
`copies` keeps a copy of what is about to change.
"""
