"""One simulated meter: its setup, its objects in time, what it keeps on disk, and a session with it, without any I/O but files."""
