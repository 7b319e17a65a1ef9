"""How many meters one campaign has at most: its rows are written at once."""

MOST_METERS = 10_000
