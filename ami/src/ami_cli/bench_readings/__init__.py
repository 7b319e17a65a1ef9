"""`ami bench-readings`: how fast meters are read on demand and by profile, and what the head-end needs for it."""
