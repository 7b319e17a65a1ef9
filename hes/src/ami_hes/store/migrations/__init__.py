"""The schemas that a store of the HES has had, as Alembic revisions; data of the package, run by `ami_process.store`."""
