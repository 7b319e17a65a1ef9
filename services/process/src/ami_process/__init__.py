"""What every process needs once: `events` on standard output, listening `sockets`, the `http_server`, `ownership` of state on disk."""
