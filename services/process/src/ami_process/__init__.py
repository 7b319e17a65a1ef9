"""What every process needs once: `settings`, `events` on standard output, listening `sockets`, the `http_server`, `ownership` of state on disk."""

import os

if os.name != "posix":
    raise ImportError(
        "the processes of the AMI reference system need POSIX (Linux, macOS); on Windows use Docker or WSL2"
    )
