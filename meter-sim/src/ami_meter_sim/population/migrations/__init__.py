"""Revisions of the store of simulated meters, the first one first."""
