"""Revisions of no real store: one adds a column, the next one breaks after it has changed something."""
