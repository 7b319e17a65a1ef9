"""Scenarios: what happens to many meters in the course of time, from TOML files with waits and expectations, with a history."""
