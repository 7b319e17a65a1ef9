"""The schemas that a store of the CIS has had, as Alembic revisions; data of the package, run by `ami_process.store`."""
