"""The chaos suite: CIS, HES and simulated meters under load, killed, stopped and starved, and what must hold all the same (`make chaos`)."""
