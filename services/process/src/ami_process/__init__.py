"""What every process needs once: `settings`, `events` on standard output, listening `sockets`, the `http_server`, `ownership` of state on disk."""
