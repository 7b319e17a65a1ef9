"""Starts servers on this machine and runs a command of `ami` with them: bench_servers.py bench-scale|store-plans [OPTION ...].

PostgreSQL of the distribution and NATS, each with a directory of its own that is gone at the end; PostgreSQL commits to the disk here, as it
does in use. A server that is not installed is left out, and the command says which section needs it.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

import nats_server
import postgresql_server

AMI = Path(sys.executable).with_name("ami")
LASTING = ("max_connections=100", "shared_buffers=256MB", "max_wal_size=4GB")


def main(command: str, *options: str) -> int:
    """The code that the command has ended with."""
    with ExitStack() as stack:
        scratch = stack.enter_context(tempfile.TemporaryDirectory(prefix="ami-bench-"))
        if Path(postgresql_server.program("postgres")).is_file():
            one = stack.enter_context(postgresql_server.cluster(Path(scratch, "template"), LASTING))
            options = ("--store", one.url("public").partition("&options=")[0], *options)
        if command == "bench-scale" and nats_server.program():
            options = ("--engine", stack.enter_context(nats_server.broker()).server, *options)
        return subprocess.run([AMI, command, *options], check=False).returncode


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
